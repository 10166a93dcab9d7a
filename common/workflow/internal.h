/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - what the files of this folder share: the run, its futures, its issued commands.
 *
 * Memory: everything with the life of a run is in run->heap and needs no freeing when the run
 * goes; only what is named "owned" below is freed one by one in flo_run_destroy. Whatever reaches
 * jansson does so between flo_heap_enter(run->heap) and leaving it.
 */
#ifndef FLO_WORKFLOW_INTERNAL_H
#define FLO_WORKFLOW_INTERNAL_H

#include "base/list.h"
#include "base/map.h"
#include "base/random.h"
#include "flotilla/workflow.h"
#include "workflow/heap.h"
#include "workflow/machines/machine.h"
#include "workflow/names.h"
#include "workflow/run.h"
#include "workflow/scheduler.h"
#include "workflow/scope.h"

struct flo_command;
struct flo_future;

/* What a future is of. */
struct flo_future_ops {
    /* Cancel it; called while it is not ready, perhaps again. NULL: cannot be cancelled. */
    void (*cancel)(struct flo_future *future);
    /* "activity id 1, type echo", for a person. */
    void (*describe)(const struct flo_future *future, char *out_text, size_t size);
    /* Its last reference went; its own fields are still there. NULL: nothing to do. */
    void (*freed)(struct flo_future *future);
};

/* A result to come. The struct is the head of what it is a future of (activity, timer). */
struct flo_future {
    struct flo_run *run;
    const struct flo_future_ops *ops;
    struct flo_scope *scope; /* referenced; it was started there; NULL: of no scope, or ready */
    struct flo_node node;    /* on scope->pending */
    unsigned refs;           /* code, machine, issued commands */
    bool ready;
    bool heard;       /* some code has awaited it */
    int rc;           /* once ready: 0 or FLO_E... */
    json_t *result;   /* once ready with rc 0; owned by the future */
    uint8_t *failure; /* once ready with rc < 0: packed Failure; may be NULL */
    size_t failure_len;
};

/* One command that code issued, from then until its event is seen. */
struct flo_command_ops {
    FloApi__CommandType type;
    /* Compare with the event that records it (its type matches, its attributes are there) and move
     * the machine. FLO_ENONDET: it is not this command's; FLO_ENOMEM. */
    int (*recorded)(struct flo_command *command, const FloApi__HistoryEvent *event);
    /* "activity id 1, type echo": what tells it from others of its type. */
    void (*describe)(const struct flo_command *command, char *out_text, size_t size);
};

struct flo_command {
    struct flo_node node; /* on run->commands, in the order of issue */
    const struct flo_command_ops *ops;
    struct flo_future *future; /* referenced; NULL for commands that end the run */
    FloApi__Command *message;  /* in run->answer; NULL while replaying and once sent */
    struct flo_place at;       /* the call that issued it; none for what the runtime issued */
    bool observed;             /* env.observer was told */
};

struct flo_group {
    struct flo_workflow *wf;
    struct flo_future **futures;
    size_t count, capacity;
};

/* What may only look while it runs. On the stack of whoever runs it (read_only.c). */
struct flo_read_only {
    const char *what;                /* "the handler of query", for the sentence */
    const char *name;                /* of the message; "" when there is none */
    struct flo_coroutine *coroutine; /* which it runs on; NULL: the scheduler's stack */
    struct flo_err *err;             /* where the sentence goes; NULL: it fails the task */
};

struct flo_run {
    struct flo_run_env env;
    flo_workflow_lookup_fn lookup;
    void *lookup_ctx;
    struct flo_heap *heap; /* owned */
    struct flo_workflow_info info;

    /* coroutines (scheduler.c) and scopes (scope.c) */
    struct flo_workflow main;              /* the first one; runs the workflow function */
    struct flo_list fresh;                 /* have not begun */
    struct flo_list coroutines;            /* have begun and not ended, in that order */
    struct flo_workflow *current;          /* the one that runs; NULL: the runtime does */
    const struct flo_read_only *read_only; /* what runs may only look; NULL: may do anything */
    struct flo_scope scope;                /* the outermost one */
    struct flo_list scope_timers;          /* open scopes with a timeout */
    struct flo_list failed;                /* spawned coroutines that failed (task.c) */
    struct flo_workflow *spare;            /* ended ones, for those to come; NULL: none */
    uint64_t coroutine_count;              /* made so far */

    /* execution (machines/execution.c) */
    struct flo_machine machine;
    flo_workflow_fn fn;
    json_t *input, *result;
    bool cancel_requested;

    /* where in history */
    int64_t processed_id;    /* last event applied */
    int64_t started_ns;      /* wall clock, of the first event */
    int64_t last_started_id; /* of the last workflow task that was activated */
    int64_t before_task_id;  /* last event before that task was scheduled */
    int64_t now_ns;
    bool replaying;
    struct flo_rng rng;

    /* what code started */
    struct flo_list commands;             /* issued, not yet seen in history */
    struct flo_map activities;            /* owned map: scheduled event id -> struct flo_activity */
    struct flo_map timers;                /* owned map: timer id -> struct flo_timer */
    struct flo_map signals;               /* owned map: name -> struct flo_list, of signal.c */
    uint64_t activity_count, timer_count; /* ids are chosen from these */
    struct flo_map locals;                /* owned map: seq -> struct flo_local, to its marker */
    struct flo_list local_waiting;        /* struct flo_local that no worker has yet */
    struct flo_list local_pauses;         /* struct flo_local that wait for a timer */
    struct flo_list local_cancels;        /* struct flo_local that the worker is to be told of */
    size_t local_running;                 /* the worker has */
    uint64_t steps;                       /* grows when code begins to run, and when it waits */
    uint64_t task_steps;                  /* times that code was run for the current task */
    int64_t task_timeout_ns;
    struct flo_future no_memory; /* what a start without memory returns */
    struct flo_group no_memory_group;
    bool out_of_memory; /* some allocation for the code failed: it stops at its next wait */

    uint8_t *header; /* packed: what the execution was started with; NULL: none (info.c) */
    size_t header_len;
    struct flo_entities *entities;         /* entities.h; NULL: the code uses none of that */
    struct flo_run_trace *trace;           /* trace.c; NULL: the run is not traced */
    struct flo_interception *interception; /* intercept.h; NULL: there is none */
    bool metric_refused;                   /* a metric was not counted, and the log says so */

    struct flo_messages *messages; /* handlers.c; NULL: no handlers, no updates so far */
    uint64_t signal_count;         /* that were kept so far */
    struct flo_err *misuse;        /* what the code did wrong; fails the task. NULL: nothing */

    /* during one activation */
    struct flo_arena *answer; /* the caller's arena */
    unsigned eager_count;     /* activities offered to this process by the task's answer */

    char *broken; /* the run failed its task with this; it answers nothing else any more */
    int broken_rc;
    char *broken_why;    /* lines about it; NULL: there is no more to say */
    int64_t mismatch_id; /* the event that did not match; 0: history's end, or another trouble */

    struct flo_node cache_node; /* cache.c */
    size_t cache_bytes;
};

/* ---- command.c ---- */

/* Put a command on the list; while not replaying *out_command has a message whose attributes the
 * caller fills (in run->answer). future may be NULL. NULL: no memory. */
struct flo_command *flo_command_issue(struct flo_run *run, const struct flo_command_ops *ops,
                                      struct flo_future *future);
/* Take back the command of this type that future issued and that was not sent. */
void flo_command_withdraw(struct flo_run *run, const struct flo_command_ops *ops,
                          struct flo_future *future);
/* event records a command: it must be the first one on the list. FLO_ENONDET, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_command_match(struct flo_run *run, const FloApi__HistoryEvent *event,
                                     struct flo_err *err);
/* All issued commands must have been seen by now. before: the event that shows it, or NULL for
 * the end of history. FLO_ENONDET. */
FLO_MUST_CHECK int flo_command_none_left(struct flo_run *run, const FloApi__HistoryEvent *before,
                                         struct flo_err *err);
/* What command->message shows to people; NULL for none. Both UTF-8. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_command_summarise(struct flo_run *run, struct flo_command *command,
                                         const char *summary);
/* The messages to send, the one that ends the run last; forgets them. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_command_collect(struct flo_run *run, struct flo_activation *out);

/* ---- describe.c ---- */

/* "StartTimer (timer id 1) at orders.c:42" */
void flo_command_describe(const struct flo_command *command, char *out_text, size_t size);
/* FLO_ENONDET with both sides in words: what history has (NULL: its end), what the code issued
 * (NULL: nothing). */
FLO_MUST_CHECK int flo_mismatch(struct flo_run *run, const FloApi__HistoryEvent *event,
                                const struct flo_command *command, struct flo_err *err);
/* What a person wants to see beside that sentence, as lines: the last events of the task's history
 * up to it, the commands that wait for theirs, where each coroutine stands. In the run's heap; NULL
 * without memory. */
char *flo_mismatch_explain(struct flo_run *run, FloApi__HistoryEvent *const *events, size_t count);

/* ---- future.c ---- */

/* scope: where it was started, wf->scope; NULL: the runtime's own, which nothing cancels. */
void flo_future_init(struct flo_future *future, struct flo_run *run, struct flo_scope *scope,
                     const struct flo_future_ops *ops);
void flo_future_ref(struct flo_future *future);
/* The last reference frees it (it must be ready then). */
void flo_future_unref(struct flo_future *future);
/* Make it ready. Nothing when it is ready already. FLO_ENOMEM, FLO_EPROTO with a sentence when
 * the result does not decode. */
FLO_MUST_CHECK int flo_future_succeed(struct flo_future *future, const FloApi__Payloads *result,
                                      struct flo_err *err);
/* Make it ready with result, whose reference it takes over. */
void flo_future_succeed_with(struct flo_future *future, json_t *result);
/* Make it ready with rc < 0 and that failure (packed, so borrowed). FLO_ENOMEM. */
FLO_MUST_CHECK int flo_future_fail(struct flo_future *future, int rc,
                                   const FloApi__Failure *failure);
/* Fail it with an application failure made from err (bad options). */
void flo_future_refuse(struct flo_future *future, const struct flo_err *err);
/* Is the coroutine's innermost scope cancelled? */
bool flo_workflow_cancelled(const struct flo_workflow *wf);
/* What wf's function returned (wf->rc, not 0) as a failure: the one on wf when it belongs to that
 * code, else the code itself. NULL: no memory. */
FloApi__Failure *flo_workflow_failure_of(const struct flo_workflow *wf, struct flo_arena *arena);
/* Put code and a sentence on wf as its failure; returns code. */
int flo_workflow_refuse(struct flo_workflow *wf, int code, const char *sentence);
/* Remember failure (borrowed, may be NULL) as wf's; returns rc. */
int flo_workflow_set_failure(struct flo_workflow *wf, int rc, const FloApi__Failure *failure);
/* Remember "workflow cancelled" as wf's failure; returns FLO_ECANCELLED. */
int flo_workflow_set_cancelled(struct flo_workflow *wf);
/* A cancelled failure on the caller's stack; message is borrowed. */
void flo_failure_cancelled_init(FloApi__Failure *failure, FloApi__CanceledFailureInfo *info,
                                const char *message);
/* Make text, which we cut or user code wrote, fit for a protobuf string: when it is no UTF-8, each
 * byte outside ASCII becomes '?'. */
void flo_text_repair(char *text);
/* "activity id 1, type echo" */
void flo_future_describe(const struct flo_future *future, char *out_text, size_t size);
/* Is wf cancelled, and future nothing that its cancellation ends? Then it is not waited for. */
bool flo_future_given_up(const struct flo_workflow *wf, const struct flo_future *future);
/* flo_await_condition; what and name, for a stack trace: "signal", "go". */
FLO_MUST_CHECK int flo_await_condition_for(struct flo_workflow *wf, bool (*predicate)(void *ctx),
                                           void *ctx, int64_t timeout_ms, const char *what,
                                           const char *name);
/* Memory is out: the activation will say so. Returns FLO_ENOMEM. */
int flo_run_no_memory(struct flo_run *run);

/* ---- task.c ---- */

/* The workflow ends: the failures of coroutines that nobody awaited go to the log. */
void flo_task_log_failures(struct flo_run *run);

/* ---- machines ---- */

struct flo_timer;
/* In scope; NULL scope: the runtime's own. NULL future: no memory. */
struct flo_future *flo_timer_new(struct flo_run *run, struct flo_scope *scope, int64_t ms,
                                 const char *summary);
FLO_MUST_CHECK int flo_timer_event(struct flo_run *run, const FloApi__HistoryEvent *event,
                                   struct flo_err *err);
struct flo_future *flo_activity_new(struct flo_workflow *wf, const char *type, json_t *input,
                                    const struct flo_activity_options *options);
FLO_MUST_CHECK int flo_activity_event(struct flo_run *run, const FloApi__HistoryEvent *event,
                                      struct flo_err *err);

/* What activities and local activities share. Options that cannot be: FLO_EINVAL, a sentence. */
FLO_MUST_CHECK int flo_activity_check(const char *type, const struct flo_activity_options *options,
                                      struct flo_err *err);
/* Fail future with cause (may be NULL) inside an activity failure; info holds all but the type. */
FLO_MUST_CHECK int flo_activity_fail_future(struct flo_future *future, int rc, const char *message,
                                            const FloApi__Failure *cause,
                                            FloApi__ActivityFailureInfo *info, const char *type);

/* local_activity.c */
struct flo_future *flo_local_new(struct flo_workflow *wf, const char *type, json_t *input,
                                 const struct flo_local_activity_options *options);
/* Pauses whose timer has fired are over: the next attempts wait to be run. Before each step. */
FLO_MUST_CHECK int flo_local_resume(struct flo_run *run);
/* What the worker is to start and to cancel, into out. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_local_hand_out(struct flo_run *run, struct flo_activation *out);
/* Live: resolve one that is at work. *out_wakes: the code must run. */
FLO_MUST_CHECK int flo_local_resolve(struct flo_run *run, const struct flo_local_result *result,
                                     bool *out_wakes, struct flo_err *err);
/* Replaying: a marker that stands behind the task at hand. Resolves what it is about. *out_wakes:
 * that had not been resolved yet. */
FLO_MUST_CHECK int flo_local_foresee(struct flo_run *run, const FloApi__HistoryEvent *event,
                                     bool *out_wakes, struct flo_err *err);
/* The marker itself: its command must be the first one. FLO_ENONDET without a sentence when it is
 * not, or when it is about nothing that the code did. */
FLO_MUST_CHECK int flo_local_recorded(struct flo_run *run, const FloApi__HistoryEvent *event,
                                      struct flo_err *err);
/* "local activity 3, type echo" that waits for its result; "" when none does. */
void flo_local_describe_waiting(const struct flo_run *run, char *out_text, size_t size);

/* execution.c: the run itself. */
extern const struct flo_machine_state flo_execution_states[];
enum flo_execution_state { FLO_RUN_NEW, FLO_RUN_OPEN, FLO_RUN_CLOSED };
FLO_MUST_CHECK int flo_execution_start(struct flo_run *run, const FloApi__HistoryEvent *event,
                                       struct flo_err *err);
FLO_MUST_CHECK int flo_execution_cancel_requested(struct flo_run *run,
                                                  const FloApi__HistoryEvent *event);
/* Run the code until all of it waits or the workflow function ends; its end becomes a command.
 * FLO_ENOMEM; FLO_ETASK, FLO_ENONDET with a sentence: code failed the task. */
FLO_MUST_CHECK int flo_execution_step(struct flo_run *run, struct flo_err *err);
/* Start the run's random numbers again from this run id. */
void flo_execution_reseed(struct flo_run *run, const char *run_id);

/* The run ends as if its function had returned rc, with wf's failure. On the scheduler's stack.
 * FLO_ENOMEM. */
FLO_MUST_CHECK int flo_execution_end_by(struct flo_workflow *wf, int rc);

/* ---- read_only.c ---- */

/* As flo_read_only_check, which calls it, when read-only code does run. */
FLO_MUST_CHECK int flo_read_only_refuse(struct flo_run *run, const char *what);

/*
 * A call that starts, waits for or changes something begins: what says so ("starts a timer"). 0.
 * While read-only code runs that is an error: on a coroutine this does not return, else it returns
 * FLO_ESTATE.
 */
FLO_MUST_CHECK static inline int flo_read_only_check(struct flo_run *run, const char *what)
{
    return run->read_only ? flo_read_only_refuse(run, what) : 0;
}
/* The code did something that fails the task, with this sentence; the first one counts. */
void flo_run_misuse(struct flo_run *run, const struct flo_err *err);

/* ---- signal.c ---- */

FLO_MUST_CHECK int flo_signal_event(struct flo_run *run, const FloApi__HistoryEvent *event,
                                    struct flo_err *err);

/* ---- observe.c: called when somebody looks on (run->env.observer) ---- */

/* An activation begins, for a task with that many events. */
void flo_observe_activation(struct flo_run *run, int64_t history_length);
/* One of its jobs; name NULL: that of the event's type. */
void flo_observe_job(struct flo_run *run, const char *name, const FloApi__HistoryEvent *event);
/* The code waits again: the commands that it issued. */
void flo_observe_commands(struct flo_run *run);

/* ---- replay.c ---- */

/* Apply what task brings and run the code for each of its workflow tasks. 0, FLO_ENOMEM, or
 * another code with a sentence: the task fails. *out_live: the code's commands are to be sent. */
FLO_MUST_CHECK int flo_replay(struct flo_run *run,
                              const FloApi__PollWorkflowTaskQueueResponse *task, bool *out_live,
                              struct flo_err *err);

#endif
