/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kit.h - the testing kit's parts (this folder only); users see flotilla/testing.h.
 *
 *   clock.c     virtual time: a heap of events, and the step that lets the next one happen
 *   call.c      calls to the engine's core, and their answers
 *   queues.c    the polls of the one worker
 *   worker.c    workflow tasks: the cache of runs, activations, answers
 *   local.c     local activities of open tasks
 *   attempt.c   one attempt of an activity, on a coroutine, so that waiting takes virtual time only
 *   activity.c  activity tasks: mocks, heartbeats, answers
 *   handle.c    started workflows, and how they end      talk.c  signals, queries, cancels
 *   update.c    updates
 *   history.c   histories as JSON and as a story          replay.c  the proof of determinism
 *   check.c     assertions                                env.c  making and freeing all that
 *
 * The core stores nothing: all that it would commit counts as committed at once, and closed runs
 * stay in its memory. One batch is taken at the start and never confirmed, so that the core waits
 * for it for ever and asks for no other.
 */
#ifndef FLO_TESTING_KIT_H
#define FLO_TESTING_KIT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "base/random.h"
#include "engine/core/core.h"
#include "flotilla/testing.h"
#include "wire/api.h"
#include "workflow/run.h"

/* ---- clock.c ---- */

typedef void (*kit_event_fn)(struct flo_test_env *env, void *ctx, uint64_t arg);

struct kit_event {
    int64_t at_ns;
    uint64_t order; /* of two at one time the older comes first */
    kit_event_fn fn;
    void *ctx;
    uint64_t arg;
};

struct kit_clock {
    int64_t start_ns, now_ns;
    struct kit_event *events; /* a heap */
    size_t count, capacity;
    uint64_t next_order;
    uint64_t steps_now; /* without time having gone by */
};

/* Call fn after delay_ns. Without memory: the environment's problem. */
void kit_after(struct flo_test_env *env, int64_t delay_ns, kit_event_fn fn, void *ctx,
               uint64_t arg);
/* Let the next thing happen, unless it is later than until_ns. False: there is none. */
bool kit_step(struct flo_test_env *env, int64_t until_ns);
/* Will nothing ever happen, unless the test does something? */
bool kit_quiet(struct flo_test_env *env);
/* Why nothing, or nothing in time, happens, for a person; to out. */
void kit_say_waits(struct flo_test_env *env, struct flo_buf *out);

/* ---- call.c ---- */

struct kit_answer {
    int code; /* gRPC */
    const char *message;
    ProtobufCMessage *body; /* code OK */
};

/* An answer that comes later; borrowed. */
typedef void (*kit_answer_fn)(struct flo_test_env *env, void *ctx, const struct kit_answer *answer);

/* flo_core_env.reply. */
void kit_core_reply(void *ctx, const struct flo_core_reply *reply);

/* A call under way. */
struct kit_call {
    struct flo_node node; /* env->calls */
    struct flo_test_env *env;
    uint64_t id;
    const ProtobufCMessageDescriptor *type; /* of the answer */
    kit_answer_fn fn;
    void *ctx;
    bool answered;
    int code;
    struct flo_buf body;
    char message[400];
};

/* Make a call; fn gets the answer in an event of its own. NULL: no memory, a problem. */
struct kit_call *kit_call(struct flo_test_env *env, const char *method,
                          const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type,
                          kit_answer_fn fn, void *ctx);
/* Forget it, unless its answer is there: then false, and fn will be called. */
bool kit_call_cancel(struct kit_call *call);
/* Free those that are under way. */
void kit_calls_fini(struct flo_test_env *env);
/*
 * Make a call that the core answers at once; the answer lives in arena. 0; FLO_ENOENT (NOT_FOUND),
 * FLO_EFAILED (other codes), with a sentence; FLO_EPENDING: no answer came yet (a problem of ours).
 */
int kit_ask(struct flo_test_env *env, const char *method, const ProtobufCMessage *request,
            const ProtobufCMessageDescriptor *type, struct flo_arena *arena, void *out_message,
            struct flo_err *err);
/* As kit_ask, but the answer may need workflow tasks, and so time. */
int kit_ask_and_wait(struct flo_test_env *env, const char *method, const ProtobufCMessage *request,
                     const ProtobufCMessageDescriptor *type, struct flo_arena *arena,
                     void *out_message, struct flo_err *err);
/* An answer's code as one of ours, with its sentence. */
int kit_refused(int code, const char *message, const char *method, struct flo_err *err);

/* ---- queues.c ---- */

struct kit_queue {
    struct flo_node node; /* env->queues */
    bool activity, sticky;
    struct kit_call *poll; /* NULL: none is under way */
    char *normal_name;     /* sticky: of the queue that it belongs to */
    char name[];
};

/* The queue is polled from now on, for workflow tasks (normal and sticky) and activity tasks. */
int kit_queue_know(struct flo_test_env *env, const char *name);
/* Each queue that is known, or has tasks waiting, has a poll. */
void kit_queues_poll(struct flo_test_env *env);
/* Before time goes by: the polls end, so that none times out. */
void kit_queues_stop(struct flo_test_env *env);
void kit_queues_fini(struct flo_test_env *env);

/* ---- worker.c ---- */

/* A workflow task until it is answered. */
struct kit_task {
    struct flo_test_env *env;
    struct flo_arena arena;
    FloApi__PollWorkflowTaskQueueResponse *message;
    const char *run_id;
    struct kit_held *held; /* its local activities; NULL = none */
};

/* A task has come (message is copied). */
void kit_worker_task(struct flo_test_env *env,
                     const FloApi__PollWorkflowTaskQueueResponse *message);
/* The task's activation; run and task are consumed. */
void kit_worker_settle(struct kit_task *task, struct flo_run *run,
                       const struct flo_activation *activation);
/* Send the activation as the task's answer: 0 when the server took it. more: a heartbeat. Does not
 * free the task. */
int kit_worker_respond(struct kit_task *task, const struct flo_activation *activation);
void kit_task_free(struct kit_task **task);
/* A new run for an execution; NULL: a problem. quiet: its log lines are dropped. */
struct flo_run *kit_run_new(struct flo_test_env *env, const char *workflow_id, const char *run_id,
                            bool quiet);
/* The whole history of a run, in arena. 0, or as kit_ask. */
int kit_history(struct flo_test_env *env, const char *workflow_id, const char *run_id,
                struct flo_arena *arena, FloApi__History **out, struct flo_err *err);
void kit_worker_fini(struct flo_test_env *env);

/* ---- local.c ---- */

/* The run of task, if its local activities are at work and history goes on where it stands. */
struct flo_run *kit_local_take(struct kit_task *task);
/* The activation is OPEN: begin what it asks for. Consumes both. */
void kit_local_hold(struct kit_task *task, struct flo_run *run,
                    const struct flo_activation *activation);
/* The task is answered: what is still at work is dropped. */
void kit_local_release(struct kit_task *task);
void kit_local_fini(struct flo_test_env *env);

/* ---- attempt.c ---- */

struct kit_attempt; /* opaque: attempt.c */

struct kit_attempt_ops {
    /* The activity heartbeats: packed Payloads, or none. What it is told (enum flo_job_cancel). */
    unsigned (*beat)(void *ctx, const uint8_t *details, size_t len);
    /* It has ended; reply is an outcome (activity/outcome.h), told is what it was told last. The
     * attempt is freed. */
    void (*done)(void *ctx, unsigned told, const uint8_t *reply, size_t len);
};

/* Begin an attempt of task (copied) in an event of its own; done is called once, unless it is
 * forgotten. NULL: no memory, a problem. limit_ns: after that it is told that its time is over;
 * INT64_MAX = never. */
struct kit_attempt *kit_attempt_begin(struct flo_test_env *env, bool local,
                                      const FloApi__PollActivityTaskQueueResponse *task,
                                      int64_t limit_ns, const struct kit_attempt_ops *ops,
                                      void *ctx);
/* Tell it (enum flo_job_cancel); it learns of it in an event of its own. */
void kit_attempt_tell(struct kit_attempt *attempt, unsigned what);
/* Nobody waits for it any more: ops are not called from now on. */
void kit_attempt_forget(struct kit_attempt *attempt);
/* Tell all to end, and drop those that do not. */
void kit_attempts_fini(struct flo_test_env *env);

/* ---- activity.c ---- */

void kit_activity_task(struct flo_test_env *env,
                       const FloApi__PollActivityTaskQueueResponse *message);
void kit_activity_fini(struct flo_test_env *env);
/* What runs attempts; activity/task.h. */
const struct flo_activity_library *kit_library(struct flo_test_env *env, bool local);
/* An attempt of type begins. */
void kit_activity_count(struct flo_test_env *env, const char *type, int32_t attempt,
                        const FloApi__Payloads *input);

/* ---- replay.c ---- */

/* A run has closed: replay it, unless that was done. What differs is a problem. */
void kit_replay(struct flo_test_env *env, const char *workflow_id, const char *run_id);

/* Where its code stands: the first line of its stack, behind "; ". */
void kit_say_stack(struct flo_test_workflow *workflow, struct flo_buf *out);

/* ---- handle.c ---- */

struct flo_test_workflow {
    struct flo_node node; /* env->handles */
    struct flo_test_env *env;
    char *workflow_id, *run_id; /* run_id: of the newest known run */
    unsigned runs;
    enum flo_test_status status;
    uint64_t seen;      /* env->changes when it was looked at */
    json_t *result;     /* in env->kept */
    json_t *failure;    /* in env->kept; NULL = none */
    struct flo_err why; /* ended, but not completed */
};

/* Look at the newest run, and at those that followed it. */
void kit_handle_look(struct flo_test_workflow *workflow);
void kit_handles_fini(struct flo_test_env *env);

/* ---- update.c ---- */

void kit_updates_fini(struct flo_test_env *env);

/* ---- env.c ---- */

struct kit_module {
    struct flo_node node; /* env->modules */
    const struct flo_module *module;
    void *shared;
    bool started;
};

struct flo_test_env {
    struct flo_test_options options; /* texts and settings are ours */
    struct flo_rng rng;
    struct kit_clock clock;
    struct flo_core *core;
    struct flo_run_env run_env, quiet_env;
    struct flo_arena arena; /* what lives as long as the environment */
    json_t *kept;           /* array of the values that were handed out */
    struct flo_err problem; /* code 0: none */
    struct flo_list modules, calls, queues, handles, updates, attempts, activities;
    struct flo_map mocks, counts; /* type -> struct mock, struct count: activity.c */
    struct flo_map cache;         /* run id -> struct flo_run */
    struct flo_map held;          /* run id -> struct kit_held */
    struct flo_map replayed;      /* run id -> anything */
    uint64_t next_call;
    uint64_t changes;               /* how often runs may have changed */
    unsigned next_workflow;         /* number of made up ids */
    unsigned inside;                /* activity functions that run now: 0 or 1 */
    bool closing;                   /* it is being destroyed */
    struct kit_activities *library; /* activity.c; NULL before the first attempt */
};

/* Put down the first problem; returns code. */
int kit_problem(struct flo_test_env *env, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Keep value until the environment goes; takes the reference. NULL stays NULL. */
json_t *kit_keep(struct flo_test_env *env, json_t *value);
/* text in env->arena; "" and a problem without memory. */
char *kit_text(struct flo_test_env *env, const char *text);
/* The entry of a type, or NULL. */
flo_workflow_fn kit_find_workflow(void *env, const char *type);
const struct flo_activity_entry *kit_find_activity(struct flo_test_env *env, const char *type,
                                                   struct kit_module **out_module);

/* A text literal in a message, which protobuf-c declares as char *. */
#define KIT_TEXT(text) ((char *)(uintptr_t)(text))
#define KIT_NAMESPACE "default"

#endif
