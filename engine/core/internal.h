/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - what the files of engine/core share: the core's own struct, and the services that
 * core.c, matching.c, poll.c, query.c, history_read.c and token.c give to the rest. One run's
 * struct and what can happen to it is execution.h.
 *
 * One step (flo_core_call, or one timer of flo_core_fire) has two halves. First a *transition*:
 * a handler changes runs completely and consistently; whatever it changes it marks
 * (flo_core_touch), whatever became ready it queues (flo_matching_add), and nothing reacts yet.
 * Then core_settle() lets the world react until nothing moves: waiting polls meet ready tasks
 * (each start of a task is a transition of its own, hence a history batch of its own), history
 * long polls see new events, queries find their way. So no code ever sees a half-changed run, and
 * a match still happens in the step that made the task ready.
 *
 * Memory: core->scratch holds what one step builds (replies, tokens, lookups); it is reset after
 * the step. Nothing long-lived may point into it.
 */
#ifndef FLO_ENGINE_CORE_INTERNAL_H
#define FLO_ENGINE_CORE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "base/random.h"
#include "engine/core/core.h"
#include "engine/core/timers.h"
#include "flotilla/error.h"
#include "wire/api.h"

struct flo_execution;     /* execution.h */
struct flo_core_activity; /* execution.h */
struct flo_queue;         /* matching.h */
struct flo_core_query;    /* query.c */

/* gRPC codes that the engine answers. */
enum {
    FLO_GRPC_OK = 0,
    FLO_GRPC_CANCELLED = 1,
    FLO_GRPC_INVALID_ARGUMENT = 3,
    FLO_GRPC_DEADLINE_EXCEEDED = 4,
    FLO_GRPC_NOT_FOUND = 5,
    FLO_GRPC_ALREADY_EXISTS = 6,
    FLO_GRPC_PERMISSION_DENIED = 7,
    FLO_GRPC_RESOURCE_EXHAUSTED = 8,
    FLO_GRPC_FAILED_PRECONDITION = 9,
    FLO_GRPC_UNIMPLEMENTED = 12,
    FLO_GRPC_INTERNAL = 13,
    FLO_GRPC_UNAVAILABLE = 14,
    FLO_GRPC_DATA_LOSS = 15,
};

/* Bounds of PROTOCOL 2.2, 2.13, 2.18. */
#define FLO_CORE_ID_BYTES 1000           /* longest id, name, identity */
#define FLO_CORE_MAX_POLLS 1200          /* waiting polls of one kind in one namespace */
#define FLO_CORE_MAX_HISTORY_WAITS 10000 /* calls that wait for new events in one namespace */
#define FLO_CORE_PAGE_BATCHES 256        /* batches in a history page */
#define FLO_CORE_PAGE_BYTES (3u << 20)   /* bytes in a history page, cut at a batch's end */
#define FLO_CORE_LONG_POLL_NS (20 * FLO_NS_PER_S)
#define FLO_CORE_STICKY_SEEN_NS (10 * FLO_NS_PER_S) /* a sticky queue without polls is dead */

/* ---- namespaces (namespace.c) ---- */

struct flo_namespace {
    char id[FLO_UUID_LEN + 1];
    char *name;
    int64_t retention_ns;
    uint8_t token_secret[16]; /* key of task and page tokens; stored, so tokens outlive us */
    size_t polls[2];          /* waiting polls: workflow, activity */
    size_t history_waits;     /* calls that wait for new events */
    bool dirty;               /* to be stored with the next batch */
    struct flo_arena arena;   /* holds state */
    struct FloEngine__NamespaceState *state; /* the rest of what is stored */
};

/* By name as requests give it. Sets status (`Namespace is empty.`, NamespaceNotFound). */
struct flo_status;
FLO_MUST_CHECK int flo_namespace_find(struct flo_core *core, const char *name,
                                      struct flo_namespace **out, struct flo_status *status);
void flo_namespaces_fini(struct flo_core *core);
/* By id, or NULL. */
struct flo_namespace *flo_namespace_by_id(struct flo_core *core, const char *id);
/* By name, or NULL: for child and external commands. */
struct flo_namespace *flo_namespace_by_name(struct flo_core *core, const char *name);

/* ---- the core ---- */

struct flo_core {
    struct flo_core_env env;
    struct flo_core_options options; /* defaults filled in */
    struct flo_rng rng;
    int64_t now_ns;
    int64_t last_event_ns; /* time of the newest history event: they never go back */
    struct flo_arena scratch;
    struct flo_core_timers timers;
    int fatal; /* FLO_ENOMEM, FLO_EIO in the middle of a transition: nothing may be answered */

    struct flo_map namespaces;    /* name -> struct flo_namespace */
    struct flo_map namespace_ids; /* id -> struct flo_namespace */

    struct flo_map runs; /* run id -> resident struct flo_execution (open, or closed and unsaved) */
    struct flo_map current; /* namespace id + workflow id -> newest resident struct flo_execution */
    size_t open_runs;
    uint64_t next_key;

    uint64_t next_seq;         /* number that the next batch will get */
    uint64_t committed_seq;    /* last durable batch */
    bool commit_wanted;        /* a reply waits for next_seq */
    int64_t dirty_since_ns;    /* oldest change not yet in a batch; INT64_MAX: none */
    struct flo_list dirty;     /* flo_core_run_hooks.dirty: runs to store with the next batch */
    struct flo_list touched;   /* flo_core_run_hooks.touched: runs that changed in this step */
    struct flo_list unsettled; /* flo_execution.unsettled: other runs are to be told (child.c) */
    struct flo_list
        closed; /* flo_core_run_hooks.closed: closed runs until their commit is durable */
    struct flo_map deleted; /* key of 8 bytes -> struct flo_core_deleted, until durable */

    struct flo_map calls;       /* call id of 8 bytes -> struct flo_waiting: calls not answered */
    struct flo_map queues;      /* struct flo_queue by namespace, type, kind, name */
    size_t sweep_at;            /* so many queues: look for unused ones */
    struct flo_list hot_queues; /* queues where a task and a poll may meet */
    struct flo_map queries;     /* query id of 8 bytes -> struct flo_core_query */

    struct flo_handed *handed; /* ring of FLO_CORE_HANDED tasks given out last */
    size_t next_handed;

    struct flo_core_stats stats;
};

/* A call that waits for its answer; a member of what it waits as. */
struct flo_waiting {
    uint64_t call;
    /* Forget the call: nobody wants its answer any more. Frees the struct around it. */
    void (*drop)(struct flo_core *core, struct flo_waiting *waiting);
};

/* Enter a waiting call, so that flo_core_cancel_call finds it. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_core_wait(struct flo_core *core, struct flo_waiting *waiting);
/* It is answered (or dropped). */
void flo_core_wait_over(struct flo_core *core, struct flo_waiting *waiting);

/* A task that left with the answer of a poll: when that call is cancelled before the answer is
 * out, the task goes back. */
struct flo_handed {
    uint64_t call;
    bool activity;
    int32_t attempt;
    int64_t scheduled_event_id, started_ns;
    char run_id[FLO_UUID_LEN + 1];
};
#define FLO_CORE_HANDED 1024
/* Remember a task just handed out. */
void flo_core_hand(struct flo_core *core, const struct flo_handed *handed);

/*
 * What core.c, matching.c, history_read.c and query.c keep in each run: struct flo_execution has
 * it as its member `hooks`; flo_core_run_hooks_init before anything else, _fini when the run goes.
 */
enum flo_task_kind { FLO_TASK_WORKFLOW, FLO_TASK_ACTIVITY, FLO_TASK_QUERY };

/* A ready task; sits inside what it is about. Linked = waiting in a queue. */
struct flo_task {
    struct flo_node node;
    enum flo_task_kind kind;
    struct flo_queue *queue; /* while linked */
    int64_t added_ns;
    struct flo_execution *execution;    /* NULL: query of a run that is not resident */
    struct flo_core_activity *activity; /* FLO_TASK_ACTIVITY */
    struct flo_core_query *query;       /* FLO_TASK_QUERY */
};

struct flo_core_run_hooks {
    uint64_t key; /* of the store; given by flo_core_add_run */
    struct flo_namespace *ns;
    struct flo_execution *execution;
    struct flo_node dirty, touched, closed;
    uint64_t dirty_seq;              /* batch that holds or will hold the last change; 0 = none */
    struct flo_task workflow_task;   /* the pending workflow task, while not started */
    struct flo_list history_waiters; /* long polls (history_read.c) */
    struct flo_list queries;         /* waiting for a workflow task (query.c) */
};

void flo_core_run_hooks_init(struct flo_core_run_hooks *hooks, struct flo_namespace *ns,
                             struct flo_execution *execution);
/* Answers what still waits on the run, takes it off every list. */
void flo_core_run_hooks_fini(struct flo_core *core, struct flo_core_run_hooks *hooks);

/* ---- runs (core.c) ---- */

/* Enter a new run (its ids are set): gives the key, makes it the current run of its workflow id.
 * 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_core_add_run(struct flo_core *core, struct flo_execution *execution);
/* Forget a run (its struct stays the caller's): an undone creation, a deletion. */
void flo_core_remove_run(struct flo_core *core, struct flo_execution *execution);
/* The run changed: look at its waiters in this step; with store also save it with the next batch
 * (hooks.dirty_seq becomes core->next_seq). Call it once a transition, after the last change. */
void flo_core_touch(struct flo_core *core, struct flo_execution *execution, bool store);
/* The run has just closed: leaves memory after its commit. Besides flo_core_touch. */
void flo_core_run_closed(struct flo_core *core, struct flo_execution *execution);
/* Delete the row and the history of a run, resident or not, with the next batch: an answer about
 * it waits for core->next_seq. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_core_delete_run(struct flo_core *core, uint64_t key);
/* Is such a deletion not durable yet? (The store may still show the run.) */
bool flo_core_is_deleted(const struct flo_core *core, uint64_t key);
void flo_core_deleted_fini(struct flo_core *core);
/* When changes that no reply waits for are to be saved; INT64_MAX: there are none. */
int64_t flo_core_lazy_commit_ns(const struct flo_core *core);
/* Number of the commit that a reply about the run's last change must wait for; 0 = durable. */
uint64_t flo_core_after(const struct flo_core *core, const struct flo_execution *execution);

/* A run, resident or only stored. */
struct flo_core_run_ref {
    struct flo_execution *execution;   /* resident, or NULL: then */
    struct flo_core_stored_run stored; /* copied to scratch, and its state decoded: */
    struct FloEngine__ExecutionState *state;
};
/* The resident run, open or just closed, or NULL. */
struct flo_execution *flo_core_resident(struct flo_core *core, const char *run_id);
/* The same by workflow id; run_id "" = the newest. An open run is always resident: NULL says for
 * certain that none is open (or that memory is out: fatal). */
struct flo_execution *flo_core_find_resident(struct flo_core *core, const struct flo_namespace *ns,
                                             const char *workflow_id, const char *run_id);
/* run_id "" or NULL = the newest run. 0; else with status: FLO_ENOENT `workflow not found for
 * ID: ...` (or `workflow execution not found for workflow ID "" and run ID ""`), FLO_EDATA (its row
 * is damaged: DATA_LOSS), FLO_EIO (the store cannot be read: UNAVAILABLE), FLO_ENOMEM. */
FLO_MUST_CHECK int flo_core_find_run(struct flo_core *core, struct flo_namespace *ns,
                                     const char *workflow_id, const char *run_id,
                                     struct flo_core_run_ref *out, struct flo_status *status);

/* New ids, NUL-terminated text of FLO_UUID_LEN. */
void flo_core_new_id(struct flo_core *core, char out_text[FLO_UUID_LEN + 1]);

/* Memory ran out where nothing can be undone: the core stops answering and the shell ends. */
void flo_core_set_fatal(struct flo_core *core);
/* The same for any reason: FLO_ENOMEM, FLO_EIO. The first one counts; flo_core_take_batch says it.
 */
void flo_core_set_fatal_as(struct flo_core *core, int error);

/* ---- answers (reply.c) ---- */

/* Why a call is refused. Zeroed = OK. Text and detail live in scratch (or are static). */
struct flo_status {
    int code; /* gRPC */
    const char *message;
    const ProtobufCMessage *detail;
};

/*
 * Fill status; the value is FLO_ERPC, so that a check can end in `return flo_status_set(...)`.
 * Macros, so that compiler and analyser see the constant: a refusal is never taken for success.
 */
#define flo_status_set(core, status, code, ...)                                                    \
    __extension__({                                                                                \
        flo_status_put(core, status, code, __VA_ARGS__);                                           \
        FLO_ERPC;                                                                                  \
    })
/* NOT_FOUND with NotFoundFailure. */
#define flo_status_not_found(core, status, ...)                                                    \
    __extension__({                                                                                \
        flo_status_put_not_found(core, status, __VA_ARGS__);                                       \
        FLO_ERPC;                                                                                  \
    })
/* RESOURCE_EXHAUSTED with ResourceExhaustedFailure (cause, namespace scope). */
#define flo_status_exhausted(core, status, cause, ...)                                             \
    __extension__({                                                                                \
        flo_status_put_exhausted(core, status, cause, __VA_ARGS__);                                \
        FLO_ERPC;                                                                                  \
    })
void flo_status_put(struct flo_core *core, struct flo_status *status, int code, const char *fmt,
                    ...) __attribute__((format(printf, 4, 5)));
void flo_status_put_not_found(struct flo_core *core, struct flo_status *status, const char *fmt,
                              ...) __attribute__((format(printf, 3, 4)));
void flo_status_put_exhausted(struct flo_core *core, struct flo_status *status,
                              FloApi__ResourceExhaustedCause cause, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* FAILED_PRECONDITION with WorkflowNotReadyFailure. Returns FLO_ERPC. */
int flo_status_not_ready(struct flo_core *core, struct flo_status *status, const char *message);
/* UNAVAILABLE: memory is out, nothing was changed. Returns FLO_ENOMEM. */
static inline int flo_status_no_memory(struct flo_status *status)
{
    *status =
        (struct flo_status){.code = FLO_GRPC_UNAVAILABLE, .message = "the engine is out of memory"};
    return FLO_ENOMEM;
}

/* Answer call with body; leaves once commit `after` is durable (0, or flo_core_after()). */
void flo_reply_ok(struct flo_core *core, uint64_t call, uint64_t after,
                  const ProtobufCMessage *body);
/* As above with bytes that follow the packed body as they are: more fields of the message. */
void flo_reply_raw(struct flo_core *core, uint64_t call, uint64_t after,
                   const ProtobufCMessage *body, const uint8_t *raw, size_t raw_len);
/* Answer with an error. `after`: an error that tells of a change (a failed workflow task) waits
 * for it, too. */
void flo_reply_status(struct flo_core *core, uint64_t call, uint64_t after,
                      const struct flo_status *status);

/* ---- checks of requests (request.c) ---- */

/* "<name> is longer than 1000 bytes" and the like. text NULL counts as "". */
FLO_MUST_CHECK int flo_check_id(struct flo_core *core, const char *name, const char *text,
                                struct flo_status *status);
/* Execution of a request: workflow id set, run id empty or a UUID (`Invalid RunId.`). */
FLO_MUST_CHECK int flo_check_execution(struct flo_core *core,
                                       const FloApi__WorkflowExecution *execution,
                                       struct flo_status *status);
/* An enum value of a request: one that its descriptor knows ("Invalid <name>."). Unset is fine. */
FLO_MUST_CHECK int flo_check_enum(struct flo_core *core, const char *name,
                                  const ProtobufCEnumDescriptor *descriptor, int value,
                                  struct flo_status *status);
/* A payload field: FLO_CORE blob limit, `Blob data size exceeds limit.` NULL is fine. */
FLO_MUST_CHECK int flo_check_blob(struct flo_core *core, const void *message,
                                  struct flo_status *status);
/* Search attributes that a user may set: known name, size. NULL is fine. */
FLO_MUST_CHECK int flo_check_search_attributes(struct flo_core *core,
                                               const FloApi__SearchAttributes *attributes,
                                               struct flo_status *status);
/* Not negative, below 100 years. name as in the message. NULL is fine. */
FLO_MUST_CHECK int flo_check_duration(struct flo_core *core, const char *name,
                                      const Google__Protobuf__Duration *duration,
                                      struct flo_status *status);
FLO_MUST_CHECK int flo_check_retry_policy(struct flo_core *core, const FloApi__RetryPolicy *policy,
                                          struct flo_status *status);

/* ---- matching (matching.c) ---- */

/* Where a task waits. Names are copied. */
enum flo_queue_type { FLO_QUEUE_WORKFLOW, FLO_QUEUE_ACTIVITY };

/*
 * Queue the pending workflow task of execution (hooks.workflow_task): sticky_name NULL = its
 * normal queue; a sticky queue that nobody has polled for 10 s is passed over. It meets a poll at
 * the end of this step, through flo_core_workflow_task_start. 0, FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_matching_add_workflow_task(struct flo_core *core,
                                                  struct flo_execution *execution,
                                                  const char *normal_name, const char *sticky_name);
/* Queue an attempt of an activity; task is its member, zeroed at first. It meets a poll at the end
 * of this step, through flo_core_activity_start. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_matching_add_activity_task(struct flo_core *core, struct flo_task *task,
                                                  struct flo_execution *execution,
                                                  struct flo_core_activity *activity,
                                                  const char *queue_name);
/* Take a task out of its queue (started otherwise, timed out, run closed). Fine when not queued. */
void flo_matching_remove(struct flo_core *core, struct flo_task *task);
/* Has somebody polled this sticky queue in the last 10 s? */
bool flo_matching_sticky_alive(struct flo_core *core, const struct flo_namespace *ns,
                               const char *sticky_name);
/* Is there a rate limit on the activity queue (no eager activities then)? */
bool flo_matching_rate_limited(struct flo_core *core, const struct flo_namespace *ns,
                               const char *queue_name);

/* Who takes a task: what starts of tasks record. Borrowed. */
struct flo_core_worker {
    const char *identity;
    const char *build_id;   /* "" = none was given */
    bool has_build_id;      /* the poll carried version capabilities or deployment options */
    const char *request_id; /* of this start: unique */
};

/* ---- task responses (poll.c) ---- */

/*
 * The response for the workflow task of execution that has just been started. sticky: history from
 * the last completed task on; else all of it. body's members and *out_raw (field `history`, and
 * nothing else: append it after the packed body) live in scratch. Attaches waiting queries. 0,
 * FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_poll_fill_workflow_task(struct flo_core *core,
                                               struct flo_execution *execution, bool sticky,
                                               FloApi__PollWorkflowTaskQueueResponse *body,
                                               const uint8_t **out_raw, size_t *out_raw_len);
/* The members of such an answer that name the run and its queue. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_poll_fill_run(struct flo_core *core, const char *workflow_id,
                                     const char *run_id, const char *type, const char *task_queue,
                                     FloApi__PollWorkflowTaskQueueResponse *body);
/*
 * The same as bytes of one length-delimited field (tag + length + message): `workflow_task` of
 * RespondWorkflowTaskCompletedResponse (field 1), `eager_workflow_task` of
 * StartWorkflowExecutionResponse (field 2). For flo_reply_raw.
 */
FLO_MUST_CHECK int flo_poll_workflow_task_field(struct flo_core *core,
                                                struct flo_execution *execution, bool sticky,
                                                uint32_t field, const uint8_t **out_raw,
                                                size_t *out_raw_len);

/* ---- tokens (token.c) ---- */

enum flo_token_kind {
    FLO_TOKEN_WORKFLOW = 1,
    FLO_TOKEN_ACTIVITY = 2,
    FLO_TOKEN_QUERY = 3,
    FLO_TOKEN_HISTORY = 4, /* next_page_token; scheduled_event_id is the next event */
};

struct flo_token {
    enum flo_token_kind kind;
    struct flo_namespace *ns;
    const char *workflow_id, *run_id, *activity_id; /* scratch; "" when it has none */
    int64_t scheduled_event_id, started_event_id;
    int64_t started_ns; /* start time: tells two starts of one attempt apart */
    int32_t attempt;
    uint64_t query; /* FLO_TOKEN_QUERY: which; FLO_TOKEN_HISTORY: flags of history_read.c */
};

/* Bytes in scratch. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_token_encode(struct flo_core *core, const struct flo_token *token,
                                    ProtobufCBinaryData *out);
/*
 * Check and take apart. namespace_name is what the request says ("" = nothing). Status:
 * INVALID_ARGUMENT `Task token not set on request.`, `Error deserializing task token.` (pages:
 * `Invalid NextPageToken.`), also for a kind that does not fit or a namespace that is not the
 * token's.
 */
FLO_MUST_CHECK int flo_token_decode(struct flo_core *core, const ProtobufCBinaryData *bytes,
                                    enum flo_token_kind kind, const char *namespace_name,
                                    struct flo_token *out, struct flo_status *status);

/* ---- queries (query.c) ---- */

/* Answers that came with RespondWorkflowTaskCompleted. Unknown ids are ignored. */
void flo_core_query_answer(struct flo_core *core, struct flo_execution *execution,
                           FloApi__RespondWorkflowTaskCompletedRequest__QueryResultsEntry **results,
                           size_t count);
/* Put the queries that wait on the run into the answer for its workflow task, which has just been
 * started. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_core_query_attach(struct flo_core *core, struct flo_execution *execution,
                                         FloApi__PollWorkflowTaskQueueResponse *body);

/* ---- steps of other files that core_settle drives ---- */

/* Let the polls and the tasks of one hot queue meet. */
void flo_matching_settle(struct flo_core *core);
void flo_core_query_settle(struct flo_core *core, struct flo_execution *execution);
void flo_history_settle(struct flo_core *core, struct flo_execution *execution);
/* The run leaves memory: answer, or look elsewhere for, what waits on it. */
void flo_core_query_run_gone(struct flo_core *core, struct flo_execution *execution);
void flo_history_run_gone(struct flo_core *core, struct flo_execution *execution);

/* ---- the methods ---- */

typedef void (*flo_method_fn)(struct flo_core *core, const struct flo_core_call_info *info,
                              const void *request);

/* FLO_METHODS(X): X(Name, name): flo_rpc_<name>() serves it, flo_api__<name>_request is its
 * request. Files: see README.md. */
#define FLO_METHODS(X)                                                                             \
    X(GetSystemInfo, get_system_info)                                                              \
    X(GetClusterInfo, get_cluster_info)                                                            \
    X(GetSearchAttributes, get_search_attributes)                                                  \
    X(RegisterNamespace, register_namespace)                                                       \
    X(DescribeNamespace, describe_namespace)                                                       \
    X(ListNamespaces, list_namespaces)                                                             \
    X(UpdateNamespace, update_namespace)                                                           \
    X(StartWorkflowExecution, start_workflow_execution)                                            \
    X(SignalWithStartWorkflowExecution, signal_with_start_workflow_execution)                      \
    X(SignalWorkflowExecution, signal_workflow_execution)                                          \
    X(RequestCancelWorkflowExecution, request_cancel_workflow_execution)                           \
    X(TerminateWorkflowExecution, terminate_workflow_execution)                                    \
    X(DeleteWorkflowExecution, delete_workflow_execution)                                          \
    X(GetWorkflowExecutionHistory, get_workflow_execution_history)                                 \
    X(GetWorkflowExecutionHistoryReverse, get_workflow_execution_history_reverse)                  \
    X(DescribeWorkflowExecution, describe_workflow_execution)                                      \
    X(DescribeTaskQueue, describe_task_queue)                                                      \
    X(QueryWorkflow, query_workflow)                                                               \
    X(RespondQueryTaskCompleted, respond_query_task_completed)                                     \
    X(PollWorkflowTaskQueue, poll_workflow_task_queue)                                             \
    X(PollActivityTaskQueue, poll_activity_task_queue)                                             \
    X(ShutdownWorker, shutdown_worker)                                                             \
    X(ResetStickyTaskQueue, reset_sticky_task_queue)                                               \
    X(RespondWorkflowTaskCompleted, respond_workflow_task_completed)                               \
    X(RespondWorkflowTaskFailed, respond_workflow_task_failed)                                     \
    X(RespondActivityTaskCompleted, respond_activity_task_completed)                               \
    X(RespondActivityTaskCompletedById, respond_activity_task_completed_by_id)                     \
    X(RespondActivityTaskFailed, respond_activity_task_failed)                                     \
    X(RespondActivityTaskFailedById, respond_activity_task_failed_by_id)                           \
    X(RespondActivityTaskCanceled, respond_activity_task_canceled)                                 \
    X(RespondActivityTaskCanceledById, respond_activity_task_canceled_by_id)                       \
    X(RecordActivityTaskHeartbeat, record_activity_task_heartbeat)                                 \
    X(RecordActivityTaskHeartbeatById, record_activity_task_heartbeat_by_id)

#define FLO_METHOD_DECLARE(Name, name)                                                             \
    void flo_rpc_##name(struct flo_core *core, const struct flo_core_call_info *info,              \
                        const void *request);
FLO_METHODS(FLO_METHOD_DECLARE)
#undef FLO_METHOD_DECLARE

#endif
