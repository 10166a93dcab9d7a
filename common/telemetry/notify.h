/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.h - what a program tells the service manager that started it (systemd: Type=notify), in
 * datagrams to the socket that NOTIFY_SOCKET names; and the watchdog, WATCHDOG_USEC.
 *
 * Without NOTIFY_SOCKET every call here does nothing. Sends do not wait, and what cannot be sent is
 * dropped: a service manager is no more needed than a supervisor. Loop thread only, but for
 * flo_notify_init.
 */
#ifndef FLO_TELEMETRY_NOTIFY_H
#define FLO_TELEMETRY_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "flotilla/error.h"

struct event;
struct event_base;
struct flo_health;

/*
 * Read NOTIFY_SOCKET (a path, or "@NAME" for the abstract namespace), WATCHDOG_USEC and
 * WATCHDOG_PID, and take them out of the environment: they are this process's, not its children's.
 * Call early in main, before anything forks or any thread runs.
 */
void flo_notify_init(void);
/* Does anybody listen? For skipping the making of texts. */
bool flo_notify_wanted(void);

/* READY=1, at the end of the start and of a reload. */
void flo_notify_ready(void);
/* RELOADING=1, with the time that systemd wants along; flo_notify_ready ends it. */
void flo_notify_reloading(void);
/* STOPPING=1. */
void flo_notify_stopping(void);
/* STATUS=: one line for `systemctl status`; sent when it is another than the last. */
void flo_notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* EXTEND_TIMEOUT_USEC=: a start or stop that takes longer than the unit allows gets ms more, from
 * now on; ask again before that is over. */
void flo_notify_extend(int64_t ms);

/*
 * Feed the watchdog from the loop: WATCHDOG=1 at half of WATCHDOG_USEC, but only while no live
 * check of health (borrowed) has failed; a loop that is stuck feeds it not at all. *out is the
 * timer, for event_free before health goes; NULL when no watchdog is wanted of this process.
 * FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_notify_feed(struct event_base *base, struct flo_health *health,
                                   struct event **out, struct flo_err *err);

#endif
