/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watchdog.h - notices when an event loop no longer turns, and answers for it.
 *
 * The health page is served by the loop, so a loop that is stuck cannot say so: a probe would only
 * time out. Here a timer of the loop counts; a small thread sees whether the count moves. When it
 * has stood for the limit, the thread
 *
 *   - fails the live check "loop", with what the loop thread is at, as far as the program knows,
 *   - logs `loop.stalled` once,
 *   - takes over the HTTP listeners: each new connection gets 503 with the checks, whatever it asks
 *
 * until the loop turns again; then the loop says `loop.recovered` and how long it stood.
 *
 * The thread counts its own sleeps and looks at no clock, so a process that was stopped, or a
 * machine that slept, is not taken for a stuck loop. Idle, both sides wake five times per limit.
 */
#ifndef FLO_TELEMETRY_WATCHDOG_H
#define FLO_TELEMETRY_WATCHDOG_H

#include "telemetry/http.h"

struct flo_watchdog; /* opaque: watchdog.c */

struct flo_watchdog_options {
    struct event_base *base;   /* of the loop that is watched */
    struct flo_http *http;     /* its listeners; borrowed */
    struct flo_health *health; /* borrowed */
    int64_t limit_ms;          /* at least 100 */
    /* What the loop is at, in a few words, as a string into out ("" for nothing special). Called in
     * a signal handler on the loop thread. May be NULL. */
    void (*at)(void *ctx, char *out, size_t size);
    /* The loop thread came late to its timer by so much: each time, on the loop. May be NULL. */
    void (*on_lag)(void *ctx, int64_t lag_ns);
    void *ctx;
};

/* Start; call it on the loop's thread, with all listeners open. One a process. FLO_ENOMEM,
 * FLO_ESYS. */
FLO_MUST_CHECK int flo_watchdog_new(const struct flo_watchdog_options *options,
                                    struct flo_watchdog **out, struct flo_err *err);
/* Another limit from now on, at least 100 ms. On the loop's thread. */
void flo_watchdog_set_limit(struct flo_watchdog *watchdog, int64_t limit_ms);
/* Stop the thread, wait for it, free; clears the pointer. Before the HTTP server goes. NULL is
 * fine. */
void flo_watchdog_destroy(struct flo_watchdog **watchdog);

#endif
