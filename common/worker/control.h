/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - what a running worker can be told, and what it tells (this folder only).
 *
 *   supervisor ──command──► report.c ──► commands.c ──► drain.c, resize.c, reload.c, dump.c,
 *                                            │          profile.c
 *   supervisor ◄──ack────────────────────────┘
 *   supervisor ◄──event── tell.c ◄── whatever happens that is worth telling
 *
 * Everything here runs on the loop thread.
 */
#ifndef FLO_WORKER_CONTROL_H
#define FLO_WORKER_CONTROL_H

#include <jansson.h>

#include "worker/worker.h"

struct flo_local;

/* ---- commands.c ---- */

/* The reporter's callback; ctx is the worker, args is borrowed and may be NULL. Every command is
 * answered once by flo_reporter_ack, a profile when it is done. */
void flo_command(void *ctx, uint64_t id, const char *name, json_t *args);
/* SIGHUP: read the configuration again. */
FLO_MUST_CHECK int flo_commands_start(struct flo_worker *worker, struct flo_err *err);
void flo_commands_fini(struct flo_worker *worker);

/* ---- resize.c: other numbers while it runs ----
 *
 * What is set here is written into the worker's configuration, with the source "by command", so
 * that a reload goes back to what the file says. All: 0, or FLO_EINVAL with one sentence and
 * nothing changed. */

/* The queue of that name; NULL name or "": NULL, without an error. FLO_EINVAL: there is none. */
FLO_MUST_CHECK int flo_resize_queue(struct flo_worker *worker, const char *name,
                                    struct flo_task_queue **out, struct flo_err *err);
/* Slots of a kind, of one queue (may be NULL: of the worker). With a tuner: its maximum. */
FLO_MUST_CHECK int flo_resize_slots(struct flo_worker *worker, enum flo_slot_kind kind,
                                    struct flo_task_queue *queue, int64_t slots,
                                    struct flo_err *err);
/* Threads that run activities. Slots that there were no threads for follow. */
FLO_MUST_CHECK int flo_resize_executors(struct flo_worker *worker, int64_t executors,
                                        struct flo_err *err);
/* Long polls of each kind, of one queue or (NULL) of all: a fixed number when min == max, else as
 * many as the server advises, within the two, which is for all queues only. */
FLO_MUST_CHECK int flo_resize_pollers(struct flo_worker *worker, struct flo_task_queue *queue,
                                      int64_t min, int64_t max, struct flo_err *err);
/* Have slots, executors and polls as the configuration says now. */
void flo_resize_settle_tuner(struct flo_worker *worker);
void flo_resize_settle_slots(struct flo_worker *worker);
void flo_resize_settle_pollers(struct flo_worker *worker);

/* ---- reload.c ---- */

/*
 * Load the configuration again (the same file, command line and environment) and apply what can
 * change while the worker runs. *out: {"applied": [KEY...], "needs_restart": [KEY...]}. A file that
 * is not good changes nothing: the loader's code and sentence (file:line:column).
 */
FLO_MUST_CHECK int flo_reload(struct flo_worker *worker, const char *why, json_t **out,
                              struct flo_err *err);

/* ---- dump.c ---- */

/* What the worker is and does, as one object of at most FLO_DUMP_MAX_BYTES of JSON: lists are cut,
 * and "left_out" says by how much. NULL without memory. */
#define FLO_DUMP_MAX_BYTES ((size_t)60 << 10)
json_t *flo_dump(struct flo_worker *worker);

/* ---- service.c: as a service of systemd ---- */

FLO_MUST_CHECK int flo_service_start(struct flo_worker *worker, struct flo_err *err);
void flo_service_ready(struct flo_worker *worker);
void flo_service_stopping(struct flo_worker *worker);
void flo_service_fini(struct flo_worker *worker);

/* ---- tell.c: events for the supervisor ----
 *
 * They cost nothing when the worker reports to nobody; none is told on the way of a task that goes
 * well. Fields as in flo_log: pairs of C strings that end with NULL, '#' before the key of a
 * number; those with a NULL or empty value are left out. No payloads. */
void flo_tell(struct flo_worker *worker, enum flo_log_level level, const char *kind,
              const char *message, ...) __attribute__((sentinel));
/* A task has failed: at most FLO_TELL_FAILURES a second, then only their number. */
#define FLO_TELL_FAILURES 10
void flo_tell_failed_activity(struct flo_activity_task *at, const FloApi__Failure *failure);
void flo_tell_failed_local(const struct flo_local *local, const FloApi__Failure *failure);
void flo_tell_failed_workflow(struct flo_workflow_task *wt, const char *reason,
                              const char *message);
void flo_tell_fini(struct flo_worker *worker);

#endif
