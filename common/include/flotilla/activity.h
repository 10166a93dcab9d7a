/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity.h - what activity code calls. An activity is an ordinary blocking C function; it runs
 * on a thread of the IO worker or in an executor process of the CPU worker, and may do anything.
 * It may run more than once (at least once), so its effects should be idempotent.
 *
 * Threads: each function says nothing, and then belongs to the activity's own thread, or "any
 * thread": then also to threads that the activity has started, while the attempt runs. Everything
 * that an attempt hands out is borrowed, and gone when the activity function has returned.
 */
#ifndef FLOTILLA_ACTIVITY_H
#define FLOTILLA_ACTIVITY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"
#include "flotilla/failure.h"
#include "flotilla/log.h"
#include "flotilla/payload.h"

#ifdef __cplusplus
extern "C" {
#endif

struct flo_activity_context; /* one attempt */

/*
 * An activity function. input is the first argument (JSON null when there is none), borrowed.
 * Return 0 with *out_result (a reference that the runtime takes over; NULL = none), or a negative
 * code: what flo_activity_fail put down, else the code's text, becomes the failure of this attempt.
 * FLO_ECANCELLED reports the attempt as cancelled (when cancellation was asked for);
 * FLO_EPENDING leaves it open (flo_activity_complete_async).
 */
typedef int (*flo_activity_fn)(struct flo_activity_context *ctx, json_t *input,
                               json_t **out_result);

/* ---- what the attempt is ---- */

struct flo_activity_info {
    const char *activity_id, *activity_type;
    const char *workflow_id, *run_id, *workflow_type, *namespace_, *task_queue;
    const char *worker_identity;
    int32_t attempt;               /* from 1 */
    int64_t scheduled_ms;          /* first schedule, wall clock, ms since 1970 */
    int64_t started_ms;            /* this attempt */
    int64_t start_to_close_ms;     /* 0 = none */
    int64_t schedule_to_close_ms;  /* 0 = none */
    int64_t heartbeat_ms;          /* 0 = none */
    int64_t attempt_scheduled_ms;  /* this attempt, as scheduled_ms */
    struct flo_retry_policy retry; /* as the server applies it; its types may be NULL */
    int32_t priority_key;          /* 1 is the most urgent; 0 = not said */
    const char *fairness_key;      /* "" = not said */
    float fairness_weight;         /* 0 = not said */
    bool is_local;                 /* flo_local_activity: in the workflow's own worker */
    /* Where the attempt stands in a distributed trace (W3C Trace Context: "00-<trace id>-<span
     * id>-<flags>"), for the header of calls that it makes; "" when the worker does not trace. */
    const char *traceparent;
};
/* Borrowed for the whole attempt. Any thread. (The server does not tell an activity its
 * schedule-to-start timeout: it is over when the activity starts.) */
FLO_API const struct flo_activity_info *flo_activity_info(const struct flo_activity_context *ctx);

/* How many arguments the workflow gave. */
FLO_API size_t flo_activity_argument_count(const struct flo_activity_context *ctx);
/* Argument i, from 0, as JSON, borrowed; NULL when there is none, or none that can be read. */
FLO_API json_t *flo_activity_argument(struct flo_activity_context *ctx, size_t i);
/* Argument i as it came, for bytes that are no JSON; NULL when there is none. */
FLO_API const struct flo_payload *flo_activity_argument_payload(
    const struct flo_activity_context *ctx, size_t i);
/* The header that an interceptor of the caller put there (tracing, a tenant); NULL when none. */
FLO_API const struct flo_payload *flo_activity_header(const struct flo_activity_context *ctx,
                                                      const char *key);

/* Make these bytes (copied) the result, instead of *out_result, which stays NULL; encoding is
 * "binary/plain" for plain bytes. FLO_ELIMIT: more than 2 MiB; FLO_ENOMEM. */
FLO_API FLO_MUST_CHECK int flo_activity_result_bytes(struct flo_activity_context *ctx,
                                                     const char *encoding, const void *data,
                                                     size_t len);

/* ---- heartbeats ---- */

/* Report progress; details (NULL = none, borrowed) come back to the next attempt. Cheap: sending
 * is throttled to 0.8 x the heartbeat timeout, and what is sent is the newest. 0; FLO_ECANCELLED
 * when the activity should stop; FLO_ELIMIT: details of more than 64 KiB are not sent. Any thread.
 */
FLO_API int flo_activity_heartbeat(struct flo_activity_context *ctx, json_t *details);
/* The details of the last heartbeat of an earlier attempt; NULL when there are none. Borrowed. */
FLO_API json_t *flo_activity_last_heartbeat(const struct flo_activity_context *ctx);
/*
 * From now on the worker heartbeats for this attempt, with the newest details, each interval_ms (0:
 * as often as the heartbeat timeout asks for), until it ends; code that computes need not call.
 * A request to stop still arrives. It is no default, because it says only that the worker lives:
 * an activity that hangs is then found by its start-to-close timeout alone. Any thread.
 */
FLO_API void flo_activity_heartbeat_every(struct flo_activity_context *ctx, int64_t interval_ms);

/* ---- cancellation and shutdown ---- */

/* Why an attempt should stop. */
enum flo_activity_cancel {
    FLO_ACTIVITY_RUNNING = 0,      /* it should not */
    FLO_ACTIVITY_CANCEL_REQUESTED, /* the workflow cancelled it, or was cancelled */
    FLO_ACTIVITY_TIMED_OUT,        /* its time is over: the answer is not wanted any more */
    FLO_ACTIVITY_NOT_FOUND,        /* the server knows it no longer (the workflow has ended) */
    FLO_ACTIVITY_WORKER_SHUTDOWN,  /* the worker's time to drain is nearly over */
    FLO_ACTIVITY_PAUSED,           /* an operator paused it: a later attempt goes on */
    FLO_ACTIVITY_RESET,            /* an operator reset it: it begins again with attempt 1 */
};

/* Should this attempt stop? Never waits. Requests of the server come with the answers to
 * heartbeats: an activity that does not heartbeat does not hear of them. Any thread. */
FLO_API bool flo_activity_cancelled(const struct flo_activity_context *ctx);
/* Why. Any thread. */
FLO_API enum flo_activity_cancel flo_activity_cancel_code(const struct flo_activity_context *ctx);
/* The same as text: "cancel_requested", "timed_out", "not_found", "worker_shutdown", "paused",
 * "reset", or "" when it should not. Static. Any thread. */
FLO_API const char *flo_activity_cancel_reason(const struct flo_activity_context *ctx);
/* Wait up to timeout_ms for cancellation: true when it came. A sleep that can be woken. Any
 * thread. */
FLO_API bool flo_activity_wait_cancelled(struct flo_activity_context *ctx, int64_t timeout_ms);

/* Has the worker begun to drain? The attempt may go on until its time to drain is nearly over,
 * when it is told to stop (FLO_ACTIVITY_WORKER_SHUTDOWN); a long one makes its checkpoint now. Any
 * thread. */
FLO_API bool flo_activity_worker_stopping(const struct flo_activity_context *ctx);
/* Wait up to timeout_ms for that, or for cancellation: true when one came. Any thread. */
FLO_API bool flo_activity_wait_stopping(struct flo_activity_context *ctx, int64_t timeout_ms);

/*
 * Callbacks instead of polling, for code that is stuck in somebody else's call: on_cancel runs once
 * when the attempt should stop, on_stopping when the worker begins to drain; at once when that has
 * been already. They run on a thread of their own that the first registration starts (also in
 * executor processes), one at a time, never after the activity function has returned, which waits
 * for one that runs. arg is the caller's. At most 16 an attempt. FLO_EFULL, FLO_ENOMEM, FLO_ESYS:
 * no thread. Any thread.
 */
typedef void (*flo_activity_notice_fn)(struct flo_activity_context *ctx, void *arg);
FLO_API FLO_MUST_CHECK int flo_activity_on_cancel(struct flo_activity_context *ctx,
                                                  flo_activity_notice_fn fn, void *arg);
FLO_API FLO_MUST_CHECK int flo_activity_on_stopping(struct flo_activity_context *ctx,
                                                    flo_activity_notice_fn fn, void *arg);
/* Take a callback of either kind back, so that arg may go; waits while it runs (unless called from
 * it). Any thread. */
FLO_API void flo_activity_off(struct flo_activity_context *ctx, flo_activity_notice_fn fn,
                              void *arg);

/* ---- failing ---- */

/* Put down a typed failure and return FLO_EFAILED: `return flo_activity_fail(...)`. details
 * (NULL = none) is borrowed. A later one replaces an earlier one. */
FLO_API int flo_activity_fail(struct flo_activity_context *ctx, const char *type,
                              bool non_retryable, json_t *details, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* The same with everything that a failure can have: several details, a cause, ... */
FLO_API int flo_activity_fail_with(struct flo_activity_context *ctx,
                                   const struct flo_failure *failure);
/* Ask for this delay before the next attempt, instead of the retry policy's. With a failure. */
FLO_API void flo_activity_next_retry_delay(struct flo_activity_context *ctx, int64_t delay_ms);
/* Details (borrowed) for the report of an attempt that returns FLO_ECANCELLED. */
FLO_API void flo_activity_cancel_details(struct flo_activity_context *ctx, json_t *details);

/* ---- finishing later ---- */

/*
 * Leave the attempt open and give its slot back: `return flo_activity_complete_async(ctx);` (it is
 * FLO_EPENDING). Whoever has the token, or the workflow's and the activity's id, completes, fails
 * or cancels it later, from anywhere: flotilla/client.h, `flotilla activity`, any SDK. Heartbeats
 * are then theirs, too. The timeouts go on.
 */
FLO_API int flo_activity_complete_async(struct flo_activity_context *ctx);
/* The attempt's token as base64 text: store it before returning FLO_EPENDING. Borrowed; NULL when
 * memory is out. */
FLO_API const char *flo_activity_token(struct flo_activity_context *ctx);

/* ---- around it ---- */

/* State that the module made once for this worker (flo_module.start), e.g. a connection pool. Any
 * thread. */
FLO_API void *flo_activity_shared(const struct flo_activity_context *ctx);

/* Log with the activity's ids. Any thread. */
FLO_API void flo_activity_log(struct flo_activity_context *ctx, enum flo_log_level level,
                              const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * Metrics of one's own, on the worker's metrics page with the labels namespace, task_queue and
 * activity_type, and up to 4 more: name, value, ..., NULL. Names and labels are those of
 * Prometheus ([a-zA-Z_][a-zA-Z0-9_]*); those of the worker itself are refused, and a counter's name
 * gets "_total" when it does not end so. What one name was first used as, it stays. Bounded: 64
 * names a worker, 512 label sets a name (further ones count as "other"). A bad name, the labels le
 * and __*, and values that are not UTF-8 are logged once an attempt and not counted. Values reach
 * the worker with the next heartbeat, a second after the first one at the next call, and when the
 * attempt ends; a crash of the executor process loses the rest. Histograms have the bounds 1
 * ms, 2.5, 5, 10 ... to 10,000 s. Any thread.
 */
FLO_API void flo_activity_counter(struct flo_activity_context *ctx, const char *name, double amount,
                                  ...) __attribute__((sentinel));
FLO_API void flo_activity_gauge(struct flo_activity_context *ctx, const char *name, double value,
                                ...) __attribute__((sentinel));
FLO_API void flo_activity_histogram(struct flo_activity_context *ctx, const char *name,
                                    double value, ...) __attribute__((sentinel));

/*
 * Interceptors wrap every activity of a worker (flo_module.interceptors), for tracing, checks,
 * measuring. Modules in the order in which they are loaded, a module's own in the table's: the
 * first is the outermost. shared is the state of the interceptor's module.
 *
 * execute calls flo_activity_proceed, which runs the next one and in the end the activity, and may
 * do so with another input, several times, or not at all. heartbeat does the same with details;
 * either may be NULL.
 */
struct flo_activity_interceptor {
    int (*execute)(struct flo_activity_context *ctx, void *shared, json_t *input,
                   json_t **out_result);
    int (*heartbeat)(struct flo_activity_context *ctx, void *shared, json_t *details);
};
/* From an execute: go on inwards. Ownership as for flo_activity_fn. */
FLO_API int flo_activity_proceed(struct flo_activity_context *ctx, json_t *input,
                                 json_t **out_result);
/* From a heartbeat, on its thread: go on inwards. */
FLO_API int flo_activity_proceed_heartbeat(struct flo_activity_context *ctx, json_t *details);

#ifdef __cplusplus
}
#endif
#endif
