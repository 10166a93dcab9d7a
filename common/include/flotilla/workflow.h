/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workflow.h - what workflow code calls. Workflow code is straight-line C on a coroutine: a call
 * that has to wait gives the processor back to the runtime and returns when the answer is there,
 * perhaps days later and on another machine, by replaying the workflow's history.
 *
 * Rules for workflow code: it must do the same thing each time it is replayed, so it takes time,
 * randomness and ids from here, never from the system; it touches no file, socket or thread; all
 * that it allocates through these calls (json_t values included) belongs to the run and goes with
 * it, so it must not be kept anywhere else (a static variable). A call that fails returns a
 * negative FLO_E... code and leaves the failure on wf; returning that code from the workflow
 * function fails the workflow with that failure. When memory is out a waiting call does not return
 * at all: the run is dropped and replayed elsewhere or later.
 *
 * All functions: only from workflow code, on the workflow's own coroutine.
 */
#ifndef FLOTILLA_WORKFLOW_H
#define FLOTILLA_WORKFLOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"
#include "flotilla/failure.h"
#include "flotilla/log.h"
#include "flotilla/workflow/attributes.h"
#include "flotilla/workflow/children.h"
#include "flotilla/workflow/evolution.h"
#include "flotilla/workflow/failures.h"
#include "flotilla/workflow/messages.h"

#ifdef __cplusplus
extern "C" {
#endif

struct flo_workflow; /* one running execution, as its code sees it */
struct flo_future;   /* a result to come: an activity, a timer; lives as long as the run */
struct flo_group;    /* futures awaited together */

/*
 * A workflow function. input is the first argument (JSON null when there is none), borrowed.
 * Return 0 with *out_result set (a reference that the runtime takes over; leave it NULL for
 * none), or a negative code: the failure on wf, or the code itself when there is none, fails the
 * workflow. FLO_ECANCELLED after a cancel request closes it as cancelled.
 */
typedef int (*flo_workflow_fn)(struct flo_workflow *wf, json_t *input, json_t **out_result);

enum flo_cancellation_type {
    FLO_CANCEL_TRY = 0, /* ask the activity to stop; the future is cancelled at once */
    FLO_CANCEL_WAIT,    /* ask, and wait for how it ends */
    FLO_CANCEL_ABANDON, /* do not ask; the future is cancelled at once */
};

/* How to run an activity. All zero means: on the workflow's own queue; then at least
 * start_to_close_ms or schedule_to_close_ms must be set. */
struct flo_activity_options {
    const char *task_queue;               /* NULL = the workflow's */
    const char *activity_id;              /* NULL = chosen by the runtime */
    int64_t schedule_to_close_ms;         /* all attempts together; 0 = no limit */
    int64_t schedule_to_start_ms;         /* waiting in the queue; 0 = no limit */
    int64_t start_to_close_ms;            /* one attempt; 0 = schedule_to_close_ms */
    int64_t heartbeat_ms;                 /* longest silence; 0 = no heartbeats expected */
    const struct flo_retry_policy *retry; /* NULL = the server's default: retry for ever */
    enum flo_cancellation_type cancellation;
    const char *summary; /* one line for the web page; may be NULL */
};

/* How to run a local activity. At least start_to_close_ms or schedule_to_close_ms must be set. */
struct flo_local_activity_options {
    const char *activity_id;      /* NULL = chosen by the runtime */
    int64_t schedule_to_close_ms; /* all attempts and the pauses between them; 0 = no limit */
    int64_t schedule_to_start_ms; /* waiting for a free thread of the worker; 0 = no limit */
    int64_t start_to_close_ms;    /* one attempt; 0 = schedule_to_close_ms */
    /* NULL = retry for ever, 1 s after the first failure, then twice as long each time, at most
     * 100 s. */
    const struct flo_retry_policy *retry;
    /* A longer pause between two attempts becomes a timer in the history, so that the worker need
     * not hold the workflow's task open; 0 = the timeout of workflow tasks. */
    int64_t local_retry_threshold_ms;
    enum flo_cancellation_type cancellation;
};

/* ---- activities ---- */

/* Run an activity and wait for its result (a new reference; NULL out_result discards it).
 * 0; FLO_EFAILED: its failure is on wf; FLO_ECANCELLED; FLO_EINVAL: options. */
FLO_API int flo_activity(struct flo_workflow *wf, const char *type, json_t *input,
                         const struct flo_activity_options *options, json_t **out_result);
/* Start an activity; never NULL: a mistake shows when the future is awaited. input is borrowed. */
FLO_API struct flo_future *flo_activity_start(struct flo_workflow *wf, const char *type,
                                              json_t *input,
                                              const struct flo_activity_options *options);

/* ---- local activities ---- */

/*
 * Run an activity in the workflow worker itself, on one of its threads: without a task queue,
 * without a call to the server and without events of its own but one, which holds the result. For
 * short work that need not survive the worker: a look-up, a validation, a value from outside. The
 * function is one of the activities of the modules that the workflow worker loads. It runs at least
 * once: when the worker dies before the result has reached the server, it runs again elsewhere.
 * What it returned is replayed, the function is not. Heartbeats do nothing.
 * Results as flo_activity.
 */
FLO_API int flo_local_activity(struct flo_workflow *wf, const char *type, json_t *input,
                               const struct flo_local_activity_options *options,
                               json_t **out_result);
/* Start one; never NULL: a mistake shows when the future is awaited. input is borrowed. */
FLO_API struct flo_future *flo_local_activity_start(
    struct flo_workflow *wf, const char *type, json_t *input,
    const struct flo_local_activity_options *options);

/* ---- waiting ---- */

/* Wait for one future. Results as flo_activity. May be called again: the answer stays. */
FLO_API int flo_await(struct flo_workflow *wf, struct flo_future *future, json_t **out_result);
/* Wait until any of count futures is ready; *out_index is the first ready one of the list, which
 * flo_await then takes without waiting. The others go on: cancel what is not wanted any more. 0, or
 * FLO_ECANCELLED (the workflow was cancelled while waiting). */
FLO_API int flo_await_any(struct flo_workflow *wf, struct flo_future *const *futures, size_t count,
                          size_t *out_index);
/* Is it ready (await would not wait)? */
FLO_API bool flo_future_ready(const struct flo_future *future);
/* Ask for the cancellation of one activity, local activity or timer. Nothing when it is ready
 * already. */
FLO_API void flo_future_cancel(struct flo_workflow *wf, struct flo_future *future);

/* A group awaits many futures. Never NULL. */
FLO_API struct flo_group *flo_group_new(struct flo_workflow *wf);
FLO_API void flo_group_add(struct flo_group *group, struct flo_future *future);
/* Wait for all; *out_results is an array in the order of adding (NULL discards). The first
 * failure ends the wait and is returned; the others go on. */
FLO_API int flo_group_await_all(struct flo_group *group, json_t **out_results);

/*
 * Wait until predicate(ctx) is true, looking again after each event of the workflow. timeout_ms
 * < 0 = without end. 0, FLO_ETIMEDOUT, FLO_ECANCELLED.
 */
FLO_API int flo_await_condition(struct flo_workflow *wf, bool (*predicate)(void *ctx), void *ctx,
                                int64_t timeout_ms);

/* ---- time ---- */

/* Sleep. 0 or FLO_ECANCELLED. ms < 1 counts as 1. */
FLO_API int flo_sleep(struct flo_workflow *wf, int64_t ms);
/* A timer as a future (its result is JSON null). */
FLO_API struct flo_future *flo_timer_start(struct flo_workflow *wf, int64_t ms);
/* Time of the current workflow task, milliseconds since 1970; the same in each replay. */
FLO_API int64_t flo_workflow_now_ms(const struct flo_workflow *wf);

/* ---- cancellation ---- */

/*
 * Was cancellation of this workflow requested? The request cancels the activities and timers that
 * were started outside a shield, each by its cancellation type. From then on a call that would
 * wait returns FLO_ECANCELLED, and what is started is cancelled from the beginning, until the
 * request is shielded off. Only awaiting an activity of type FLO_CANCEL_WAIT goes on waiting, for
 * how it ends.
 */
FLO_API bool flo_cancel_requested(const struct flo_workflow *wf);
/* The reason that came with the request, "" without one. */
FLO_API const char *flo_cancel_reason(const struct flo_workflow *wf);
/* While shielded, waiting calls go on in spite of a cancel request, and what is started outlives
 * it: for cleaning up. Nests. */
FLO_API void flo_cancel_shield(struct flo_workflow *wf, bool on);

/* ---- failing ---- */

/* Put an application failure on wf and return FLO_EFAILED: `return flo_workflow_fail(...)`.
 * details (NULL = none) is borrowed. */
FLO_API int flo_workflow_fail(struct flo_workflow *wf, const char *type, bool non_retryable,
                              json_t *details, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* The failure of the last call that returned FLO_EFAILED, for a person; "" when there is none. */
FLO_API const char *flo_failure_message(const struct flo_workflow *wf);
/* Its type: of the application failure at the end of the cause chain, else its kind. */
FLO_API const char *flo_failure_type_name(const struct flo_workflow *wf);
/* Forget it (the workflow goes on). */
FLO_API void flo_failure_clear(struct flo_workflow *wf);

/* ---- about this execution ---- */

struct flo_workflow_info {
    const char *workflow_id, *run_id, *type, *namespace_, *task_queue;
    int32_t attempt;
    int64_t start_ms;       /* wall clock, milliseconds since 1970 */
    int64_t history_length; /* events up to the current task */
    int64_t history_bytes;
    bool continue_as_new_suggested;
    /* Where the run stands in a distributed trace (W3C Trace Context), as its activities get it; ""
     * when the worker does not trace. */
    const char *traceparent;
};
/* Borrowed; refreshed by each workflow task. */
FLO_API const struct flo_workflow_info *flo_workflow_info(const struct flo_workflow *wf);
FLO_API bool flo_workflow_replaying(const struct flo_workflow *wf);

/* Deterministic randomness: the same in each replay. */
FLO_API uint64_t flo_workflow_random(struct flo_workflow *wf);
/* A version 4 UUID from it; out_text holds 37 bytes. */
FLO_API void flo_workflow_uuid(struct flo_workflow *wf, char out_text[37]);
/* Zeroed memory of the run, freed with it; NULL when there is none. */
FLO_API void *flo_workflow_alloc(struct flo_workflow *wf, size_t bytes);
/* Give such a block back early; a loop that runs for months should. NULL is fine. */
FLO_API void flo_workflow_free(struct flo_workflow *wf, void *block);
/* value as compact JSON text, in memory of the run (what json_dumps returns in workflow code is
 * the run's, too: never free() it). NULL when there is none. */
FLO_API char *flo_json_text(struct flo_workflow *wf, const json_t *value);

/* Log with the workflow's ids; silent while replaying. */
FLO_API void flo_workflow_log(struct flo_workflow *wf, enum flo_log_level level, const char *fmt,
                              ...) __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif
#endif
