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
#include "base/buf.h"
#include "base/trace.h"
#include "flotilla/error.h"
#include "flotilla/worker.h"
#include "wire/api.h"
#include "workflow/heap.h" /* flo_workflow_jansson_install: call it when the program starts */

struct flo_run; /* opaque: internal.h */

#define FLO_EAGER_MOST 3

/* One activation: what the code is told at once, before it runs. */
struct flo_run_step {
    bool replaying;
    int64_t history_length; /* id of its WorkflowTaskStarted */
    int64_t now_ns;         /* workflow time from then on */
};

/*
 * Looks on while a run is replayed, for tools that show it. The calls come in order: an
 * activation, its jobs, the commands that the code issued then. Jobs have the names that the
 * official core gives them (initialize_workflow, signal_workflow, fire_timer, resolve_activity
 * ...). Texts are borrowed for the call.
 */
struct flo_run_observer {
    void (*activation)(void *ctx, const struct flo_run_step *step);
    /* event: the history event that it comes from. */
    void (*job)(void *ctx, const char *name, const FloApi__HistoryEvent *event);
    /* "ScheduleActivityTask", "activity id 1, type echo", "orders.c:42" ("": the runtime's own). */
    void (*command)(void *ctx, const char *name, const char *what, const char *place);
    void *ctx;
};

/* A metric of workflow code. The texts are borrowed for the call. */
#define FLO_RUN_LABELS_MAX 4
enum flo_run_sample_kind { FLO_RUN_COUNTER, FLO_RUN_GAUGE, FLO_RUN_HISTOGRAM };
struct flo_run_sample {
    enum flo_run_sample_kind kind;
    const char *name;
    double value; /* a number; of counters and histograms not below 0 */
    size_t label_count;
    const char *label_names[FLO_RUN_LABELS_MAX], *label_values[FLO_RUN_LABELS_MAX];
};

/* What a run may use of the outside; all of it borrowed and longer-lived than the run. */
struct flo_run_env {
    const char *namespace_;
    const char *identity;
    size_t stack_bytes; /* of one coroutine; 0 = 256 KiB (address space, touched lazily) */
    /* The registered types, NULL-terminated, for the message about an unknown one; may be NULL. */
    const char *const *workflow_types;
    /* Called by flo_workflow_log while not replaying; may be NULL. */
    void (*log)(void *ctx, enum flo_log_level level, const char *workflow_id, const char *run_id,
                const char *workflow_type, const char *traceparent, const char *message);
    void *log_ctx;
    /* This process also runs activities of that task queue and has room for some: at most
     * FLO_EAGER_MOST activities a task are offered to it in the answer. NULL: none are. */
    const char *eager_queue;
    const struct flo_trace_sampler *tracing; /* which runs record spans; NULL: no tracing at all */
    const struct flo_run_observer *observer; /* NULL: nobody looks on */
    /* Around the code, the outermost first, ended by NULL; NULL: there are none. */
    const struct flo_workflow_interceptor *const *interceptors;
    /* Keys of headers that go along with what a run starts, ended by NULL; NULL: none do. */
    const char *const *propagate;
    /* Called with log_ctx by flo_workflow_counter and the like while not replaying; may be NULL. A
     * code with a sentence: it is not counted. */
    int (*metric)(void *ctx, const struct flo_workflow_info *info,
                  const struct flo_run_sample *sample, struct flo_err *err);
};

/* Which function to run. Returns NULL for an unknown type. */
typedef flo_workflow_fn (*flo_workflow_lookup_fn)(void *ctx, const char *workflow_type);

enum flo_activation_outcome {
    FLO_ACTIVATION_COMPLETE, /* send RespondWorkflowTaskCompleted */
    FLO_ACTIVATION_OPEN,     /* local activities are at work: keep the task, send nothing yet */
    FLO_ACTIVATION_FAIL,     /* send RespondWorkflowTaskFailed, then evict */
    FLO_ACTIVATION_QUERY,    /* a legacy query task: send RespondQueryTaskCompleted */
};

/* A local activity that the worker is to run now. */
struct flo_local_start {
    uint64_t seq; /* its name, in this run, until it is resolved or no longer wanted */
    /* A packed PollActivityTaskQueueResponse with type, input, timeouts, retry policy and the
     * workflow; what differs between attempts is below. Borrowed until the run is called again. */
    const uint8_t *task;
    size_t task_len;
    const char *activity_id;      /* borrowed as task is */
    int32_t attempt;              /* the first one to make */
    int64_t original_schedule_ns; /* wall clock, of the first attempt; 0: now */
    int64_t schedule_to_start_ns; /* 0 = no limit */
    int64_t threshold_ns;         /* longer pauses than this are not the worker's */
    bool cancelled;               /* do not run it: it is cancelled already */
};

/* A local activity whose result the run no longer waits for (or waits for to be cancelled). */
struct flo_local_cancel {
    uint64_t seq;
    bool forget; /* let it run and drop its result; else tell it to stop */
};

/* How a local activity ended. All borrowed for the call. */
struct flo_local_result {
    uint64_t seq;
    int32_t attempt;                /* the last one made */
    int64_t ran_ns;                 /* from its flo_local_start to its end */
    int64_t original_schedule_ns;   /* wall clock */
    int64_t backoff_ns;             /* > 0: it failed, and is to be tried again after that */
    const FloApi__Payloads *result; /* when failure is NULL; NULL = none */
    const FloApi__Failure *failure;
    FloApi__RetryState retry_state; /* of a failure that is final */
};

enum flo_run_span_kind { FLO_RUN_SPAN_INTERNAL, FLO_RUN_SPAN_SERVER, FLO_RUN_SPAN_CLIENT };

/* A span of the run, a point in time (workflow/trace.h says which there are). */
struct flo_run_span {
    const struct flo_run_span *next;
    const char *verb, *what; /* "StartActivity", the activity's type */
    enum flo_run_span_kind kind;
    struct flo_trace_context context, parent;
    bool has_parent;
    const char *tracestate; /* NULL: none */
    int64_t time_ns;        /* wall clock */
    bool linked;
    struct flo_trace_context link;
    const char *error, *error_type; /* NULL: it went well */
};

/* The answer to one workflow task. Everything it points to lives in the arena that was given. */
struct flo_activation {
    enum flo_activation_outcome outcome;
    /* COMPLETE: */
    FloApi__Command **commands;
    size_t command_count;
    FloApi__RespondWorkflowTaskCompletedRequest__QueryResultsEntry **query_results;
    size_t query_result_count;
    FloApi__Message **messages; /* of the update protocol */
    size_t message_count;
    int64_t started_ns; /* wall clock, of the run's first event */
    bool closes; /* the commands end the run: it can be evicted once the answer is accepted */
    bool more;   /* local activities are still at work: a new task is wanted at once */
    /* What later replays are to know, and who answered; NULL: nothing new. */
    const FloApi__WorkflowTaskCompletedMetadata *sdk_metadata;
    const struct flo_run_span *spans; /* to be exported once the server has taken the answer */
    /* COMPLETE and OPEN: */
    struct flo_local_start *local_starts;
    size_t local_start_count;
    struct flo_local_cancel *local_cancels;
    size_t local_cancel_count;
    /* FAIL: */
    FloApi__WorkflowTaskFailedCause cause;
    FloApi__Failure *failure; /* never NULL for FAIL */
    /* QUERY: */
    FloApi__QueryResultType query_type;
    FloApi__Payloads *query_answer;
    const char *query_error; /* NULL: it is answered */
    FloApi__Failure *query_failure;
};

/* An empty run for the execution that task is about. The workflow function is looked up when the
 * first event arrives. FLO_ENOMEM. */
FLO_API FLO_MUST_CHECK int flo_run_new(const struct flo_run_env *env, flo_workflow_lookup_fn lookup,
                                       void *lookup_ctx, const char *workflow_id,
                                       const char *run_id, struct flo_run **out_run);
/* Free the run, its coroutines and all that its code allocated, wherever that code stands. */
FLO_API void flo_run_destroy(struct flo_run **run);

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
FLO_API bool flo_run_missing_history(const struct flo_run *run,
                                     const FloApi__PollWorkflowTaskQueueResponse *task);

/*
 * Apply task (history whole, all pages joined) and run the workflow until it waits. Arena holds
 * the answer; task is not needed any more after the call. 0 with *out filled; FLO_ENOMEM: evict
 * the run and let the task time out. A run whose task failed says so again for each later task.
 */
FLO_API FLO_MUST_CHECK int flo_run_activate(struct flo_run *run,
                                            const FloApi__PollWorkflowTaskQueueResponse *task,
                                            struct flo_arena *arena, struct flo_activation *out);

/*
 * A local activity of the open task has ended: hand its result to the code and run that until it
 * waits. task and arena are those of the task: they hold the answer that grows. *out as from
 * flo_run_activate; OPEN again while others are at work. A seq that is not at work (it was
 * cancelled meanwhile) changes nothing. FLO_ENOMEM: evict the run and let the task time out.
 */
FLO_API FLO_MUST_CHECK int flo_run_resolve_local(struct flo_run *run,
                                                 const FloApi__PollWorkflowTaskQueueResponse *task,
                                                 const struct flo_local_result *result,
                                                 struct flo_arena *arena,
                                                 struct flo_activation *out);
/*
 * The open task cannot stay open (its time is nearly up, or the worker stops): what there is so far
 * becomes its answer, COMPLETE with more set. The run goes on with the next task, in which local
 * activities that are at work still may be resolved. FLO_ENOMEM.
 */
FLO_API FLO_MUST_CHECK int flo_run_yield_task(struct flo_run *run,
                                              const FloApi__PollWorkflowTaskQueueResponse *task,
                                              struct flo_arena *arena, struct flo_activation *out);
/* How long the server waits for a task of this run, 0 when that is not known. */
FLO_API int64_t flo_run_task_timeout_ns(const struct flo_run *run);
/* Local activities that the run waits for: those at work, and those that were never begun because
 * it was only replayed. */
size_t flo_run_local_count(const struct flo_run *run);

/* The completion's answer had this reset_history_event_id > 0: the task just answered left no
 * events behind, their numbers will come again for others. */
FLO_API void flo_run_reset_to(struct flo_run *run, int64_t started_event_id);

/*
 * A line for each coroutine that has not ended: its name, the place of the call that it made last,
 * and what it waits for.
 *
 *     main at orders.c:42: waits for activity id 5, type charge
 *     packer at orders.c:80: has not begun
 *
 * Anywhere between calls, and from inside one on the same thread. FLO_ENOMEM, FLO_ELIMIT (out's).
 */
FLO_API FLO_MUST_CHECK int flo_run_stack_text(const struct flo_run *run, struct flo_buf *out);

/* Memory that the run holds now: its heap, its tables, the touched pages of its stacks. */
size_t flo_run_bytes(const struct flo_run *run);
const char *flo_run_id(const struct flo_run *run);
const char *flo_run_workflow_id(const struct flo_run *run);

#endif
