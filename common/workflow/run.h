/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - one workflow execution in the worker: a pure function of its history. Events in,
 * commands out; no clock, no socket, no file, no thread (the coroutines run on the caller's).
 *
 * The worker hands every workflow task to flo_run_activate, after it has made sure that the
 * history is whole (flo_run_missing_history). What comes back is either a completion (commands and
 * query results, ready to be sent) or a task failure.
 */
#ifndef FLO_WORKFLOW_RUN_H
#define FLO_WORKFLOW_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "flotilla/error.h"
#include "flotilla/worker.h"
#include "wire/api.h"
#include "workflow/heap.h" /* flo_workflow_jansson_install: call it when the program starts */

struct flo_run; /* opaque: internal.h */

/* What a run may use of the outside; all of it borrowed and longer-lived than the run. */
struct flo_run_env {
    const char *namespace_;
    const char *identity;
    size_t stack_bytes; /* of one coroutine; 0 = 256 KiB (address space, touched lazily) */
    /* The registered types, NULL-terminated, for the message about an unknown one; may be NULL. */
    const char *const *workflow_types;
    /* Called by flo_workflow_log while not replaying; may be NULL. */
    void (*log)(void *ctx, enum flo_log_level level, const char *workflow_id, const char *run_id,
                const char *workflow_type, const char *message);
    void *log_ctx;
};

/* Which function to run. Returns NULL for an unknown type. */
typedef flo_workflow_fn (*flo_workflow_lookup_fn)(void *ctx, const char *workflow_type);

enum flo_activation_outcome {
    FLO_ACTIVATION_COMPLETE, /* send RespondWorkflowTaskCompleted */
    FLO_ACTIVATION_FAIL,     /* send RespondWorkflowTaskFailed, then evict */
    FLO_ACTIVATION_QUERY,    /* a legacy query task: send RespondQueryTaskCompleted */
};

/* The answer to one workflow task. Everything it points to lives in the arena that was given. */
struct flo_activation {
    enum flo_activation_outcome outcome;
    /* COMPLETE: */
    FloApi__Command **commands;
    size_t command_count;
    FloApi__RespondWorkflowTaskCompletedRequest__QueryResultsEntry **query_results;
    size_t query_result_count;
    int64_t started_ns; /* wall clock, of the run's first event */
    bool closes; /* the commands end the run: it can be evicted once the answer is accepted */
    /* FAIL: */
    FloApi__WorkflowTaskFailedCause cause;
    FloApi__Failure *failure; /* never NULL for FAIL */
    /* QUERY: */
    FloApi__QueryResultType query_type;
    FloApi__Payloads *query_answer;
    const char *query_error;
};

/* An empty run for the execution that task is about. The workflow function is looked up when the
 * first event arrives. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_run_new(const struct flo_run_env *env, flo_workflow_lookup_fn lookup,
                               void *lookup_ctx, const char *workflow_id, const char *run_id,
                               struct flo_run **out_run);
/* Free the run, its coroutines and all that its code allocated, wherever that code stands. */
void flo_run_destroy(struct flo_run **run);

/*
 * True when this run cannot take task as it is: task's history starts after what the run has seen
 * (a cache miss on a sticky task, a gap), or the run has gone ahead of history because the last
 * task that it answered did not count (it failed, timed out, or is tried again). Tasks leave a
 * server before they are durable, so a crash of it can take events back that the run has seen, and
 * put others under their numbers: the last task that counted (task's previous_started_event_id)
 * must be the last one that the run answered. A history from event 1 is for a new run in any case:
 * the task before may have been answered elsewhere. Drop the run, make a new one, and ask again:
 * true for the new one, too, means that the whole history must be fetched from event 1 first.
 */
bool flo_run_missing_history(const struct flo_run *run,
                             const FloApi__PollWorkflowTaskQueueResponse *task);

/*
 * Apply task (history whole, all pages joined) and run the workflow until it waits. Arena holds
 * the answer; task is not needed any more after the call. 0 with *out filled; FLO_ENOMEM: evict
 * the run and let the task time out. A run whose task failed says so again for each later task.
 */
FLO_MUST_CHECK int flo_run_activate(struct flo_run *run,
                                    const FloApi__PollWorkflowTaskQueueResponse *task,
                                    struct flo_arena *arena, struct flo_activation *out);

/* The completion's answer had this reset_history_event_id > 0: the task just answered left no
 * events behind, their numbers will come again for others. */
void flo_run_reset_to(struct flo_run *run, int64_t started_event_id);

/* Memory that the run holds now: its heap, its tables, the touched pages of its stack. */
size_t flo_run_bytes(const struct flo_run *run);
const char *flo_run_id(const struct flo_run *run);

#endif
