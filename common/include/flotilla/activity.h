/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity.h - what activity code calls. An activity is an ordinary blocking C function; it runs
 * on a thread of the IO worker or in an executor process of the CPU worker, and may do anything.
 * It may run more than once (at least once), so its effects should be idempotent.
 *
 * All functions: from the activity's own thread, with the context that it was given.
 */
#ifndef FLOTILLA_ACTIVITY_H
#define FLOTILLA_ACTIVITY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "flotilla/error.h"
#include "flotilla/log.h"

#ifdef __cplusplus
extern "C" {
#endif

struct flo_activity_context; /* one attempt */

/*
 * An activity function. input is the first argument (JSON null when there is none), borrowed.
 * Return 0 with *out_result (a reference that the runtime takes over; NULL = none), or a negative
 * code: what flo_activity_fail put down, else the code's text, becomes the failure of this attempt.
 * FLO_ECANCELLED reports the attempt as cancelled (when cancellation was asked for).
 */
typedef int (*flo_activity_fn)(struct flo_activity_context *ctx, json_t *input,
                               json_t **out_result);

struct flo_activity_info {
    const char *activity_id, *activity_type;
    const char *workflow_id, *run_id, *workflow_type, *namespace_, *task_queue;
    const char *worker_identity;
    int32_t attempt;              /* from 1 */
    int64_t scheduled_ms;         /* first schedule, wall clock, ms since 1970 */
    int64_t started_ms;           /* this attempt */
    int64_t start_to_close_ms;    /* 0 = none */
    int64_t schedule_to_close_ms; /* 0 = none */
    int64_t heartbeat_ms;         /* 0 = none */
};
/* Borrowed for the whole attempt. */
FLO_API const struct flo_activity_info *flo_activity_info(const struct flo_activity_context *ctx);

/* Report progress; details (NULL = none, borrowed) come back to the next attempt. Cheap: sending
 * is throttled to 0.8 x the heartbeat timeout. 0; FLO_ECANCELLED when the activity should stop;
 * FLO_ELIMIT: details of more than 64 KiB are not sent. */
FLO_API int flo_activity_heartbeat(struct flo_activity_context *ctx, json_t *details);
/* The details of the last heartbeat of an earlier attempt; NULL when there are none. Borrowed. */
FLO_API json_t *flo_activity_last_heartbeat(const struct flo_activity_context *ctx);

/* Should this attempt stop? Never waits. */
FLO_API bool flo_activity_cancelled(const struct flo_activity_context *ctx);
/* Why: "cancel_requested", "timed_out", "not_found", "worker_shutdown", or "" when not. Static. */
FLO_API const char *flo_activity_cancel_reason(const struct flo_activity_context *ctx);
/* Wait up to timeout_ms for cancellation: true when it came. A sleep that can be woken. */
FLO_API bool flo_activity_wait_cancelled(struct flo_activity_context *ctx, int64_t timeout_ms);

/* Put down a typed failure and return FLO_EFAILED: `return flo_activity_fail(...)`. details
 * (NULL = none) is borrowed. */
FLO_API int flo_activity_fail(struct flo_activity_context *ctx, const char *type,
                              bool non_retryable, json_t *details, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Ask for this delay before the next attempt, instead of the retry policy's. With a failure. */
FLO_API void flo_activity_next_retry_delay(struct flo_activity_context *ctx, int64_t delay_ms);

/* State that the module made once for this worker (flo_module.start), e.g. a connection pool. */
FLO_API void *flo_activity_shared(const struct flo_activity_context *ctx);

/* Log with the activity's ids. */
FLO_API void flo_activity_log(struct flo_activity_context *ctx, enum flo_log_level level,
                              const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif
#endif
