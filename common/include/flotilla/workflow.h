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
 * All functions: only from workflow code, each coroutine with its own struct flo_workflow.
 *
 * This is the first page: the workflow function, failing, the execution. The parts, all included
 * here, are under flotilla/workflow/: activities.h, waiting.h (futures, timers, select),
 * coroutines.h (spawn, channels, locks), scopes.h (cancellation), messages.h (signals, queries,
 * updates), children.h, evolution.h (changing code), attributes.h, failures.h, interceptors.h (code
 * around all workflows, headers that travel, metrics). types.h says how a call knows the place
 * where it was written.
 */
#ifndef FLOTILLA_WORKFLOW_H
#define FLOTILLA_WORKFLOW_H

#include "flotilla/error.h"
#include "flotilla/failure.h"
#include "flotilla/log.h"
#include "flotilla/payload.h"
#include "flotilla/workflow/activities.h"
#include "flotilla/workflow/attributes.h"
#include "flotilla/workflow/children.h"
#include "flotilla/workflow/coroutines.h"
#include "flotilla/workflow/evolution.h"
#include "flotilla/workflow/failures.h"
#include "flotilla/workflow/interceptors.h"
#include "flotilla/workflow/messages.h"
#include "flotilla/workflow/scopes.h"
#include "flotilla/workflow/types.h"
#include "flotilla/workflow/waiting.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A workflow function. input is the first argument (JSON null when there is none), borrowed.
 * Return 0 with *out_result set (a reference that the runtime takes over; leave it NULL for
 * none), or a negative code: the failure on wf, or the code itself when there is none, fails the
 * workflow. FLO_ECANCELLED after a cancel request closes it as cancelled.
 */
typedef int (*flo_workflow_fn)(struct flo_workflow *wf, json_t *input, json_t **out_result);

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

/* Texts are "" and pointers NULL where there is nothing. */
struct flo_workflow_info {
    const char *workflow_id, *run_id, *type, *namespace_, *task_queue;
    int32_t attempt;        /* 1, then one more for each retry of the workflow */
    int64_t start_ms;       /* wall clock, milliseconds since 1970 */
    int64_t history_length; /* events up to the task for which the code runs */
    int64_t history_bytes;
    bool continue_as_new_suggested;
    /* Where the run stands in a distributed trace (W3C Trace Context), as its activities get it; ""
     * when the worker does not trace. */
    const char *traceparent;
    const char *first_run_id;     /* of the chain of retries, cron runs and continuations */
    const char *continued_run_id; /* the run before this one */
    const char *parent_namespace, *parent_workflow_id, *parent_run_id; /* of a child workflow */
    const char *root_workflow_id, *root_run_id; /* the first parent of all; of a child workflow */
    const char *cron;
    int64_t execution_timeout_ms, run_timeout_ms, task_timeout_ms; /* 0 = no limit */
    const struct flo_retry_policy *retry;
    struct flo_priority priority;
    json_t *last_result; /* of the last cron run that completed; borrowed */
    /* Why the run before this one failed, for a person; and its type. */
    const char *last_failure, *last_failure_type;
};
/* Borrowed; refreshed by each workflow task. */
FLO_API const struct flo_workflow_info *flo_workflow_info(const struct flo_workflow *wf);
FLO_API bool flo_workflow_replaying(const struct flo_workflow *wf);
/* The header of that name that the execution was started with, NULL without one; what is read of it
 * is in flotilla/payload.h. Borrowed for as long as the run lives. */
FLO_API const struct flo_payload *flo_workflow_header(const struct flo_workflow *wf,
                                                      const char *name);

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

/* ---- log ---- */

/* Log with the workflow's ids; silent while replaying. */
FLO_API void flo_workflow_log(struct flo_workflow *wf, enum flo_log_level level, const char *fmt,
                              ...) __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif
#endif
