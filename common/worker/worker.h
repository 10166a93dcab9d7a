/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - the worker as its files share it (this folder only). Everything runs on the loop
 * thread but advance.c, which runs workflow code on threads of their own (shards.h) and has for
 * that time the task that it was handed; activities run in executors, which see none of this.
 *
 *   poll.c ──task──► execute.c ──answer──► respond.c
 *     ▲               │  ▲ history.c (pages)    │
 *     │               ▼  │ beats.c (heartbeats) │
 *     │        advance.c, executor              │
 *     └──────────── slot is free ◄──────────────┘        drain.c stops them in this order
 */
#ifndef FLO_WORKER_WORKER_H
#define FLO_WORKER_WORKER_H

#include <stdatomic.h>

#include "activity/task.h"
#include "base/list.h"
#include "base/trace.h"
#include "client/client.h"
#include "executor/executor.h"
#include "telemetry/http.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"
#include "telemetry/report.h"
#include "telemetry/watchdog.h"
#include "worker/queue.h"
#include "worker/registry.h"
#include "worker/replays.h"
#include "worker/role.h"
#include "worker/shards.h"
#include "workflow/cache.h"

struct event;
struct event_base;
struct flo_locals;
struct flo_local_run;

/* The life of a worker; moved by drain.c and startup.c only. */
enum flo_worker_state {
    FLO_WORKER_STARTING,   /* no answer of the server yet: no polls */
    FLO_WORKER_RUNNING,    /* polls */
    FLO_WORKER_QUIET,      /* no new polls until told to resume; running tasks finish */
    FLO_WORKER_DRAINING,   /* no new polls; running tasks finish */
    FLO_WORKER_CANCELLING, /* running activities were told to stop */
    FLO_WORKER_STOPPED,    /* the loop ends */
};

/* Series of one RPC. operation is the client's: compared by address. */
#define FLO_CALL_SERIES_MAX 32
struct flo_call_series {
    const char *operation;
    struct flo_series *count, *latency;
};

/* How a task left this process; every task that came does so in one of these ways. */
enum flo_task_end {
    FLO_END_UNREPORTED, /* its answer did not reach the server */
    FLO_END_COMPLETED,  /* the server has taken the answer, also for the next three */
    FLO_END_FAILED,
    FLO_END_CANCELLED,
    FLO_END_CUT,       /* by the drain: reported as a retryable WorkerShutdown */
    FLO_END_UNWANTED,  /* the server had given it up: timed out, run closed */
    FLO_END_ABANDONED, /* the process ended first */
    FLO_END_PENDING,   /* left open by its code: somebody else says how it ended */
    FLO_TASK_ENDS
};

struct flo_worker_counts {
    uint64_t ended[FLO_TASK_ENDS]; /* tasks, by their end */
    uint64_t retried;              /* tasks that were a second or later attempt */
    uint64_t received;             /* tasks that came */
};

/* versioning.c: what is told of the build of this worker's code. */
struct flo_versioning {
    FloApi__WorkerDeploymentOptions deployment;
    FloApi__WorkerVersionCapabilities capabilities;
    FloApi__WorkerVersionStamp stamp;
    bool deployed, named; /* there is a deployment, a build id */
};

struct flo_worker {
    const struct flo_role_spec *role;
    struct flo_role_config *config;
    const char *program;
    struct flo_registry *registry;
    struct event_base *base;
    struct flo_client *client;
    struct flo_codec_row *codecs; /* what payloads go through; may be empty */
    enum flo_worker_state state;
    int exit_code;

    char *identity, *sticky_queue; /* never NULL after start */
    char instance_key[40];
    bool connected, was_connected, warned;
    bool complete_polls; /* the server ends polls itself at ShutdownWorker */
    struct event *startup_retry;
    struct flo_burst *burst; /* burst.c; NULL: work for ever */
    bool quiet_at_start;     /* told to be quiet before the first poll */

    struct flo_task_queue *queues; /* never empty after start; the first gives the worker's name */
    size_t queue_count;
    const char **queue_names;                  /* of several; NULL with one */
    struct flo_slots capacity[FLO_SLOT_KINDS]; /* over all queues; flo_capacity_set sizes it */
    struct flo_worker_limits *limits;          /* tokens, rate; NULL: there are none */
    uint64_t places_given;                     /* how many so far: numbers of share.served */
    size_t polls;                              /* in flight, all queues and kinds */
    bool polls_due;                            /* they wait to be sent along with an answer */
    struct event *polls_along;                 /* ends that; NULL until it is needed */
    bool polls_refused; /* the last poll that ended was refused: /ready says so */

    struct flo_shards *shards; /* the threads that run workflow code, and their caches */
    struct flo_versioning versioning;
    struct flo_replays replays;
    struct flo_deadlocks *deadlocks; /* deadlock.c; NULL: not looked for */
    struct flo_run_env run_env;
    struct flo_list workflow_tasks; /* of struct flo_workflow_task */
    struct flo_locals *locals;      /* local.h; NULL until the first local activity */

    struct flo_executor_template *tmpl;
    struct flo_executor *executor;
    size_t executor_jobs;  /* what it runs at once: the most slots */
    bool executor_threads; /* it is in this process: tasks are shared, not sent */
    bool stuck_said;       /* /health fails for a stuck thread */
    struct flo_activity_library library;
    struct flo_list activity_tasks; /* of struct flo_activity_task */
    bool modules_started;           /* in this process */

    struct flo_tuning *tuning; /* tuning.c: slots follow CPU and memory; NULL: they are fixed */

    struct flo_tell *tell;                    /* tell.c; NULL until a task fails */
    struct flo_profile *profile;              /* profile.c; NULL: none is made */
    struct event *hangup;                     /* commands.c */
    struct event *service, *service_watchdog; /* service.c; NULL without a service manager */
    size_t places_asked; /* activities at once over several queues, by a command; 0: any */

    struct flo_poison *poison; /* quarantine.c: inputs that kill executors; NULL: off */

    struct flo_metrics *metrics;
    struct flo_call_series call_series[FLO_CALL_SERIES_MAX];
    struct flo_health *health;
    struct flo_http *http;
    struct flo_reporter *reporter;
    struct flo_otlp *otlp; /* trace.c; NULL: nothing is exported */
    struct flo_trace_sampler
        sampler; /* what run_env.tracing and library.tracing point to, or not */
    char http_address[FLO_HTTP_ADDRESS_MAX];
    struct flo_worker_counts counts;
    struct event *watch;                       /* looks for silent polls, stuck executors */
    struct flo_watchdog *watchdog;             /* looks for a stuck loop */
    bool processes_said;                       /* /health shows that executor processes are down */
    int64_t connected_ns;                      /* monotonic: when the connection was made */
    const struct flo_workflow_task *advancing; /* whose code the loop runs itself now */
    struct flo_summary *summary;               /* summary.c; NULL: no summary lines */
    struct flo_depths *depths;                 /* depth.c; NULL: the depth of queues is not asked */

    struct event *signals[4];
    struct event *drain_polls, *drain_cancel, *drain_end;
    int64_t leave_by_ns;   /* monotonic: when the drain must be over; 0: there is none */
    bool last_words;       /* drain: only answers are still waited for */
    size_t shutdown_calls; /* ShutdownWorker, on their way: one a queue */
    bool shutdown_called;  /* each has been answered, or none could be made */
};

/* What each log line about the worker as a whole begins with. */
#define FLO_LOG_WHO(worker)                                                                        \
    "namespace", (worker)->config->server.name_space, "worker_identity", (worker)->identity

/* ---- worker.c ---- */

FLO_MUST_CHECK int flo_worker_new(const struct flo_role_spec *role, struct flo_role_config **config,
                                  const struct flo_module *module, struct flo_worker **out,
                                  struct flo_err *err);
/* Loop, client, pages, executor: everything up to polling. */
FLO_MUST_CHECK int flo_worker_start(struct flo_worker *worker, struct flo_err *err);
/* How to reach the server, as the configuration says; its strings are the configuration's. */
struct flo_client_options flo_worker_client_options(const struct flo_worker *worker);
/* Run until drained; returns the exit code. */
int flo_worker_loop(struct flo_worker *worker);
/* Returns how many executor threads are still busy: with any, end by _exit. */
size_t flo_worker_destroy(struct flo_worker **worker);
/* "running"; static. */
const char *flo_worker_state_name(enum flo_worker_state state);
/* End the loop with this exit code. */
void flo_worker_stop(struct flo_worker *worker, int exit_code);

/* ---- startup.c: what the server is asked before the first poll ---- */
void flo_startup_begin(struct flo_worker *worker);

/* ---- tuning.c: slots that follow CPU and memory ---- */
/* When the configuration asks for it. Call once the role has set up its pollers. */
FLO_MUST_CHECK int flo_tuning_start(struct flo_worker *worker, struct flo_err *err);
/* A task has come: look at the machine from now on. Only with worker->tuning. Cheap when it is
 * looked at already. */
void flo_tuning_wake(struct flo_worker *worker);
/* Other bounds for a kind of slots, from now on; not for a kind without slots. Only with
 * worker->tuning. */
void flo_tuning_range(struct flo_worker *worker, enum flo_slot_kind kind, size_t min, size_t max);
void flo_tuning_fini(struct flo_worker *worker);

/* ---- poll.c ---- */
/* Send polls wherever a slot and a poller are free. Cheap when there is nothing to do. */
void flo_poll_fill(struct flo_worker *worker);
/* Give every poll up (RST_STREAM) and release its slot. */
void flo_poll_cancel_all(struct flo_worker *worker);
/* How long the server has been silent about the poll that has waited longest, over the connection
 * that stands, and what that asked for (poller's kind, queue's name); 0 without any. */
int64_t flo_poll_silence_ns(const struct flo_worker *worker, const char **out_kind,
                            const char **out_queue);
void flo_poll_fini(struct flo_worker *worker);
/* Keep so many polls of each kind of the queue open from now on: of a workflow queue with a sticky
 * one, fixed polls are shared out between the two. Polls that are out stay out. */
void flo_poll_set_pollers(struct flo_task_queue *queue, size_t min, size_t max);
/* "sticky_workflow_task". Static. */
const char *flo_poll_kind_name(enum flo_poller_kind kind);
/* How long the server has been silent about each poll of the group, in milliseconds, into out: at
 * most room; how many there are. */
size_t flo_poll_ages_ms(const struct flo_poller_group *group, int64_t *out, size_t room);

/* ---- execute.c, history.c, activity.c ---- */

/* What a workflow task's thread is to do next. */
enum flo_step {
    FLO_STEP_ACTIVATE, /* find or make the run, apply the task, run its code */
    FLO_STEP_RESOLVE,  /* results of local activities have come: run the code on */
    FLO_STEP_YIELD,    /* answer with what there is: a heartbeat */
};

/* And what came of it. */
enum flo_came {
    FLO_CAME_ANSWERED,        /* activation says what */
    FLO_CAME_WANTING_HISTORY, /* the run is not cached, and the history does not begin at event 1 */
    FLO_CAME_WITHOUT_MEMORY,
};

/* flo_shard_job.kind */
enum { FLO_SHARD_JOB_TASK, FLO_SHARD_JOB_ERRAND };

enum flo_errand_kind { FLO_ERRAND_DESTROY, FLO_ERRAND_EVICT, FLO_ERRAND_RESET, FLO_ERRAND_TRIM };

/* Something for the thread of a run that is no task. Freed when it comes back. */
struct flo_errand {
    struct flo_shard_job job;
    enum flo_errand_kind kind;
    struct flo_run *run; /* DESTROY; owned */
    int64_t event_id;    /* RESET */
    char run_id[];       /* EVICT, RESET */
};

enum flo_replay_state { FLO_REPLAY_NONE, FLO_REPLAY_WAITS, FLO_REPLAY_RUNS };

struct flo_workflow_task {
    struct flo_node node; /* worker->workflow_tasks */
    struct flo_worker *worker;
    struct flo_task_queue *queue;
    struct flo_arena arena;                            /* the task as it came, the answer */
    const FloApi__PollWorkflowTaskQueueResponse *task; /* in arena */
    /* With its thread while at_work: this struct and what it points to, but for node. */
    struct flo_shard_job job;
    bool at_work;
    bool unwanted; /* at_work, and the server has given it up meanwhile */
    enum flo_step step;
    enum flo_came came;
    struct flo_run *run;                     /* handed over with a step, and back; owned */
    struct flo_activation activation;        /* what the step came to */
    const struct flo_local_result **results; /* RESOLVE: in arena */
    size_t result_count, results_taken;
    int64_t ran_ns; /* ACTIVATE */
    bool over;      /* its shard's cache is over the bound, by others' doing */
    bool picked;    /* its run was evicted by chance */
    /* replays.c: */
    enum flo_replay_state replay;
    struct flo_node replay_node;
    int64_t deadline_ns;              /* monotonic */
    bool wants_history;               /* from its first event */
    struct flo_deadlock *deadlock;    /* deadlock.c: its thread was given up over it; else NULL */
    bool slot_given;                  /* its slot went to the task that came with the answer */
    struct flo_local_run *local;      /* it is open: local activities of its run are at work */
    enum flo_task_end end;            /* what its answer counts as once the server has it */
    bool counted;                     /* in worker->counts */
    const struct flo_run_span *spans; /* of its answer; in arena */
    uint32_t local_retries;           /* attempts of those but their first ones */
    const char *workflow_id, *run_id, *type; /* in task */
    struct flo_task_series *series;          /* of the type; may be NULL */
    int32_t attempt;
    int64_t began_ns; /* monotonic: when it came */
    /* Fetching pages (history.c): */
    bool whole;                    /* the history was fetched from its first event */
    FloApi__HistoryEvent **events; /* heap array of pointers into arena */
    size_t event_count, event_room;
    size_t page_count;
    ProtobufCBinaryData page_token; /* of the page under way, in arena or task */
    struct flo_client_call *call;
};

/* The threads, caches, replays and deadlock detector, as the configuration says. */
FLO_MUST_CHECK int flo_execute_start(struct flo_worker *worker, struct flo_err *err);
/* A task has come; its slot is running. task is (in) the response of the call that ends: kept. */
void flo_execute_workflow_task(struct flo_task_queue *queue,
                               const FloApi__PollWorkflowTaskQueueResponse *task);
/* The history is whole, or all that came: advance the run. */
void flo_execute_workflow_resume(struct flo_workflow_task *wt);
/* Its turn to replay a whole history has come. */
void flo_execute_replay(struct flo_workflow_task *wt);
/* Hand wt to its thread. */
void flo_execute_step(struct flo_workflow_task *wt, enum flo_step step);
/* flo_shards_options.done; ctx is the worker. */
void flo_execute_done(void *ctx, struct flo_shard_job *job, bool late);
/* flo_shards_options.drop. */
void flo_execute_dropped(void *ctx, struct flo_shard_job *job);
/* Have the run freed by its thread. Clears *run; NULL is fine. */
void flo_execute_drop_run(struct flo_worker *worker, struct flo_run **run);
/* Have wt's run evicted, when it is cached: its answer was refused. */
void flo_execute_evict(struct flo_workflow_task *wt);
/* Have wt's run, when it is cached, forget the task: as flo_run_reset_to. */
void flo_execute_reset_run(struct flo_workflow_task *wt, int64_t event_id);
/* The task is over: free it and its slot. */
void flo_workflow_task_end(struct flo_workflow_task **wt);

/* advance.c: flo_shards_options.run. On the shard's thread. */
void flo_advance(struct flo_shard *shard, struct flo_shard_job *job);

/* deadlock.c: look whether the threads get out of workflow code, while they have something to do.
 */
FLO_MUST_CHECK int flo_deadlock_start(struct flo_worker *worker, struct flo_err *err);
void flo_deadlock_fini(struct flo_worker *worker);
/* A task was handed to a thread. Cheap. */
void flo_deadlock_watch(struct flo_worker *worker);
/* Is a thread that was given up still in the code of this run? */
bool flo_deadlock_holds(const struct flo_worker *worker, const char *run_id);
/* Then: answer wt, a task of that run which has just come, with the reason why it is not begun. */
void flo_deadlock_refuse(struct flo_workflow_task *wt);
/* The thread that was given up over wt has come out of it. */
void flo_deadlock_over(struct flo_workflow_task *wt);
/* wt ends. */
void flo_deadlock_forget(struct flo_workflow_task *wt);

/* history.c: make wt->task whole, then flo_execute_workflow_resume; on failure end the task.
 * from_start: fetch from event 1, else only what task's page token leads to. */
void flo_history_fetch(struct flo_workflow_task *wt, bool from_start);

struct flo_activity_task {
    struct flo_node node; /* worker->activity_tasks */
    struct flo_worker *worker;
    struct flo_task_queue *queue;                      /* where it came from */
    struct flo_arena arena;                            /* the task as it came; strings below */
    const FloApi__PollActivityTaskQueueResponse *task; /* in arena */
    const struct flo_token_need *need; /* of the tokens, until its code has returned; borrowed */
    ProtobufCBinaryData token;
    const char *type, *activity_id, *workflow_id, *run_id;
    struct flo_task_series *series; /* of the type; may be NULL */
    int32_t attempt;
    int64_t scheduled_ns; /* wall clock; of the first attempt */
    int64_t began_ns;     /* monotonic */
    int64_t heartbeat_timeout_ns;
    bool running;               /* in the executor */
    bool answering;             /* has been there: its slot is given back */
    enum flo_job_cancel reason; /* why it was told to stop */
    /* beats.c: */
    struct flo_activity_beats *beats; /* NULL until the first heartbeat */
    struct event *silence;            /* heartbeat timeout of our own; NULL without one */
    /* respond.c: the outcome while the last details are flushed, and the answer */
    struct flo_buf outcome;
    enum flo_task_end end; /* what the outcome counts as once the server has it */
    bool counted;          /* in worker->counts */
    bool complained;       /* about a metric of its code */
    struct flo_client_call *answer;
};

/* A task has come; its slot is running. task is the response of the call that ends: kept. */
void flo_execute_activity_task(struct flo_task_queue *queue,
                               const FloApi__PollActivityTaskQueueResponse *task);
void flo_activity_task_end(struct flo_activity_task **at);
/* Executor callbacks; ctx is the worker. */
void flo_activity_on_progress(void *ctx, uint64_t job, const uint8_t *data, size_t len);
/* Count a metric that code of an activity of this type made, with the labels of both; sample is
 * used up. As flo_metrics_user_add. */
FLO_MUST_CHECK int flo_activity_count_sample(struct flo_task_queue *queue, const char *type,
                                             struct flo_user_sample *sample, struct flo_err *err);
void flo_activity_on_note(void *ctx, uint64_t job, const uint8_t *data, size_t len);
void flo_activity_on_done(void *ctx, uint64_t job, const struct flo_job_result *result);
void flo_activity_on_broken(void *ctx);
void flo_activity_on_idle_death(void *ctx, unsigned index, int status);
/* Tell the activity to stop, unless it knows something graver. */
void flo_activity_cancel(struct flo_activity_task *at, enum flo_job_cancel reason);
/* It gave a sign of life: its heartbeat timeout of our own begins again. */
void flo_activity_heard(struct flo_activity_task *at);

/* ---- account.c ---- */
/* An attempt has ended and used this: count it. */
void flo_account_activity(struct flo_activity_task *at, const struct flo_job_usage *used);

/* ---- stuck.c: executor callbacks, ctx is the worker ---- */
void flo_stuck_on(void *ctx, const struct flo_stuck_job *stuck, bool ended);
void flo_stuck_warn(void *ctx, const char *message);
void flo_stuck_fault(void *ctx, const struct flo_executor_fault *fault);
/* Have /health say whether the time of a stuck activity is up. */
void flo_stuck_look(struct flo_worker *worker);

/* ---- recycled.c: executor callback, ctx is the worker ---- */
void flo_recycled_on(void *ctx, const struct flo_recycled *recycled);

/* ---- beats.c ---- */
void flo_beats_progress(struct flo_activity_task *at, const uint8_t *details, size_t len);
/* Heartbeat each so many ms by ourselves, until the attempt has left the executor; 0: as often as
 * the timeout asks for. */
void flo_beats_every(struct flo_activity_task *at, int64_t interval_ms);
/* Send details that were never sent, then call flo_respond_activity. False: nothing to flush. */
bool flo_beats_flush(struct flo_activity_task *at);
/* The newest details, decoded into arena; NULL: none. */
FloApi__Payloads *flo_beats_details(const struct flo_activity_task *at, struct flo_arena *arena);
void flo_beats_fini(struct flo_activity_task *at);

/* ---- respond.c ---- */
void flo_respond_workflow(struct flo_workflow_task *wt, const struct flo_activation *activation);
/* Report at->outcome (an encoded flo_outcome). */
void flo_respond_activity(struct flo_activity_task *at);
/* Put a failure of the runtime's own into at->outcome. */
void flo_outcome_fail(struct flo_activity_task *at, const char *type, const char *message);
/* The message of that when an executor process wrote over what it was to send. */
#define FLO_ANSWER_DAMAGED "The activity's answer is damaged"
/* The same for an attempt whose process died: what is known of it goes into the failure. */
void flo_outcome_crash(struct flo_activity_task *at, const struct flo_job_crash *crash);

/* ---- drain.c ---- */
/* Stop polling, and stay; poll again. Nothing when it is so already, or stopping. */
void flo_quiet_begin(struct flo_worker *worker, const char *why);
void flo_quiet_end(struct flo_worker *worker, const char *why);
int flo_drain_init(struct flo_worker *worker, struct flo_err *err);
void flo_drain_begin(struct flo_worker *worker, const char *why);
/* Something ended: stop the loop when nothing is left. Cheap while running. */
void flo_drain_check(struct flo_worker *worker);
void flo_drain_fini(struct flo_worker *worker);

/* ---- summary.c: counts, the last line, the line once a minute ---- */
/* The task has ended so; the first call for a task counts. */
void flo_count_activity(struct flo_activity_task *at, enum flo_task_end end);
void flo_count_workflow(struct flo_workflow_task *wt, enum flo_task_end end);
/* The loop has ended: what is still here is abandoned. The last log line, with all counts. */
void flo_summary_last(struct flo_worker *worker);
FLO_MUST_CHECK int flo_summary_start(struct flo_worker *worker, struct flo_err *err);
void flo_summary_fini(struct flo_worker *worker);

/* ---- depth.c: how much waits in the worker's queues ---- */
FLO_MUST_CHECK int flo_depth_start(struct flo_worker *worker, struct flo_err *err);
/* After the client, whose end ends its questions, and after all who render metrics. */
void flo_depth_fini(struct flo_worker *worker);

/* ---- burst.c, check.c, watch.c: --burst, --check, --watch ---- */
/* Begin to look whether the queues are empty. */
FLO_MUST_CHECK int flo_burst_start(struct flo_worker *worker, struct flo_err *err);
void flo_burst_fini(struct flo_worker *worker);
/* For a worker that was made and not started: connect, look, print. The exit code. */
int flo_check_run(struct flo_worker *worker);
/* Run the program without --watch as a child, again and again; the exit code. main.c calls it
 * first of all; the process stays small and has no thread. */
int flo_watch_run(const struct flo_role_spec *role, const struct flo_module *module, int argc,
                  char **argv, const char *dir);

/* ---- liveness.c: does everything here make progress? ---- */
FLO_MUST_CHECK int flo_liveness_start(struct flo_worker *worker, struct flo_err *err);
void flo_liveness_fini(struct flo_worker *worker);

/* ---- versioning.c: for polls and answers; the worker's, NULL: nothing is to be said ---- */
void flo_versioning_init(struct flo_worker *worker);
FloApi__WorkerDeploymentOptions *flo_versioning_deployment(struct flo_worker *worker);
FloApi__WorkerVersionCapabilities *flo_versioning_capabilities(struct flo_worker *worker);
FloApi__WorkerVersionStamp *flo_versioning_stamp(struct flo_worker *worker);
/* Of a completed task of this workflow type. */
FloApi__VersioningBehavior flo_versioning_behavior(const struct flo_worker *worker,
                                                   const char *type);

/* ---- observe.c: pages, metrics, reports ---- */
FLO_MUST_CHECK int flo_observe_start(struct flo_worker *worker, struct flo_err *err);
void flo_observe_fini(struct flo_worker *worker);
/* Client options' hooks; ctx is the worker. */
void flo_observe_connection(void *ctx, bool connected, const char *reason);
void flo_observe_try(void *ctx, const char *operation, int code, int64_t duration_ns,
                     bool long_poll);
void flo_observe_unsent(void *ctx, const char *operation, const char *reason);
/* Metrics label of this worker's kind: "WorkflowWorker" or "ActivityWorker". */
const char *flo_observe_worker_type(const struct flo_worker *worker);
/* ---- series.c ---- */
/* What the name of a type is one of. */
enum flo_type_kind { FLO_TYPE_WORKFLOW, FLO_TYPE_ACTIVITY, FLO_TYPE_LOCAL_ACTIVITY };
/* What is kept for a type, made at the first call; NULL past a bound or without memory. */
struct flo_task_series *flo_series_for_type(struct flo_task_queue *queue, enum flo_type_kind kind,
                                            const char *type);
/* Values of the label failure_reason of a workflow task. */
enum flo_task_failure {
    FLO_TASK_NONDETERMINISM,
    FLO_TASK_WORKFLOW_ERROR,
    FLO_TASK_TOO_LARGE,
    FLO_TASK_FAILURES
};
extern const char *const flo_task_failure_names[FLO_TASK_FAILURES];
/* metric{namespace, task_queue, type}, kept in known (may be NULL); type NULL: without that label.
 * Three kinds have labels of their own: what account.c counts, ACTIVITY_DURATION, here of those
 * that completed, and ACTIVITY_TASK_RECEIVED.
 */
struct flo_series *flo_series_of(struct flo_task_queue *queue, struct flo_task_series *known,
                                 enum flo_metric metric, const char *type);
/* The number and duration of an RPC's tries. */
void flo_series_of_call(struct flo_worker *worker, const char *operation, bool long_poll,
                        struct flo_series **out_count, struct flo_series **out_latency);
void flo_series_fini(struct flo_task_queue *queue);
/* Of a task's type; of its queue as a whole. */
#define FLO_TASK_METRIC(task, id)                                                                  \
    flo_series_of((task)->queue, (task)->series, FLO_METRIC_##id, (task)->type)
#define FLO_OWN_METRIC(queue, id) flo_series_of((queue), &(queue)->series, FLO_METRIC_##id, NULL)

/* For the rest. The series of metric with the namespace and task queue that every family begins
 * with. */
#define FLO_METRIC(queue, id, ...)                                                                 \
    flo_metrics_get((queue)->worker->metrics, FLO_METRIC_##id,                                     \
                    (queue)->worker->config->server.name_space, (queue)->name, ##__VA_ARGS__,      \
                    NULL)

/* ---- sample.c ---- */

/* What workflow code counted (flo_run_env.metric); ctx is the worker. Any thread. */
FLO_MUST_CHECK int flo_count_sample(void *ctx, const struct flo_workflow_info *info,
                                    const struct flo_run_sample *sample, struct flo_err *err);

#endif
