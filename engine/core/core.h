/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.h - the engine as a function of (state, now, request): no clock, socket, file, thread.
 *
 * The shell (engine/shell.c) or the simulator feeds it decoded requests, the time and randomness;
 * it answers through env->reply, now or later, and collects what must be stored. The rule
 * "acknowledge after durable" is split like this: every reply carries the number of the commit
 * that must be on disk before it may leave (`after`, 0 = at once); the shell holds it until then.
 *
 *    flo_core_begin(now) -> flo_core_call / flo_core_cancel_call / flo_core_fire
 *                        -> replies through env->reply (some held by the shell)
 *    flo_core_wants_commit? -> flo_core_take_batch -> [store commits] -> flo_core_committed(seq)
 *
 * While a commit runs, transitions collect for the next batch: group commit without a timer.
 */
#ifndef FLO_ENGINE_CORE_CORE_H
#define FLO_ENGINE_CORE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/random.h"
#include "flotilla/error.h"
#include "wire/api.h"

struct flo_core; /* opaque: core.c */

/* The version that GetSystemInfo and GetClusterInfo give; clients compare it. */
#define FLO_CORE_SERVER_VERSION "1.29.1"

/* One answer. Borrowed during env->reply. */
struct flo_core_reply {
    uint64_t call;                /* flo_core_call_info.id */
    uint64_t after;               /* may leave once this commit is durable; 0 = at once */
    int code;                     /* gRPC code */
    const ProtobufCMessage *body; /* code OK: the response message */
    const uint8_t *raw;           /* more of its fields, already packed: send them after body */
    size_t raw_len;
    const char *message;            /* else: the error text */
    const ProtobufCMessage *detail; /* else: details[0], or NULL; type from its descriptor */
};

/* A stored run, as the store gives it back. Borrowed until the next call to the store. */
struct flo_core_stored_run {
    uint64_t key;
    const char *namespace_id, *workflow_id, *run_id;
    int status;           /* temporal.api.enums.v1.WorkflowExecutionStatus */
    const uint8_t *state; /* flotilla.engine.v1.ExecutionState */
    size_t state_len;
};

/* Some events of a history: those of one transition. Borrowed. */
struct flo_core_history_batch {
    int64_t first_event_id;
    uint32_t event_count;
    const uint8_t *events;
    size_t len;
};

/* What the core may read of the past: runs that are closed and committed are not kept in memory. */
struct flo_core_store {
    void *ctx;
    /* The newest run of a workflow id (run_id ""), or that one run. 0, FLO_ENOENT, FLO_EDATA (its
     * row is damaged), FLO_EIO. */
    int (*find)(void *ctx, const char *namespace_id, const char *workflow_id, const char *run_id,
                struct flo_core_stored_run *out);
    /*
     * History of a stored run: calls batch() for each batch (one transaction's events, wire form
     * of History: repeated `0x0A len HistoryEvent`) from the one that holds first_event_id on, in
     * order (or, with reverse, from that one backwards), until batch() returns false. 0, FLO_EDATA
     * (checksum), FLO_EIO.
     */
    int (*history)(void *ctx, uint64_t key, int64_t first_event_id, bool reverse,
                   bool (*batch)(void *batch_ctx, int64_t first_event_id, uint32_t event_count,
                                 const uint8_t *events, size_t len),
                   void *batch_ctx);
    /*
     * One run with its whole history, by key: calls run(), which borrows everything and whose code
     * is returned. FLO_ENOENT: there is none; FLO_EDATA: damaged, and the store has said so;
     * FLO_EIO, FLO_ENOMEM. NULL: runs stay in memory while they are open.
     */
    int (*load)(void *ctx, uint64_t key,
                int (*run)(void *run_ctx, const struct flo_core_stored_run *run,
                           const struct flo_core_history_batch *batches, size_t count,
                           struct flo_err *err),
                void *run_ctx, struct flo_err *err);
    /* The key of an open run: by run_id (namespace_id and workflow_id are not looked at), or with
     * run_id "" by the other two. FLO_ENOENT; FLO_EIO. */
    int (*locate)(void *ctx, const char *namespace_id, const char *workflow_id, const char *run_id,
                  uint64_t *out_key);
};

struct flo_core_env {
    void *ctx;
    void (*reply)(void *ctx, const struct flo_core_reply *reply);
    struct flo_core_store store;
    /* Appends the zone file of that name to out: what zone.h says. NULL: UTC is the only zone. */
    int (*zone)(void *ctx, const char *name, struct flo_buf *out);
    uint64_t seed; /* of run ids, tokens, jitter */
};

/* Limits and behaviour; 0 = the default, which is the real server's. */
struct flo_core_options {
    int64_t retention_ns;                    /* of the namespace `default`; 24 h */
    int64_t history_size_suggest;            /* suggest continue-as-new: bytes; 4 MiB */
    int64_t history_count_suggest;           /* events; 4,096 */
    int64_t history_size_limit;              /* terminate: 50 MiB */
    int64_t history_count_limit;             /* terminate: 51,200 */
    int64_t blob_size_limit;                 /* one payload field: 2 MiB */
    int64_t update_bytes_limit;              /* updates in flight, all runs': 256 MiB */
    int64_t continue_as_new_min_interval_ns; /* 1 s */
    int64_t memory_limit;     /* bytes of open runs; past it idle ones are only stored; none */
    int64_t batch_jobs_limit; /* running in one namespace: 1 */
    bool no_eager_start, no_eager_activities; /* never hand out tasks with an answer */
};

/* How a call came in. Borrowed during flo_core_call. */
struct flo_core_call_info {
    uint64_t id;              /* the shell's name for it, never reused */
    int64_t deadline_ns;      /* on the clock of flo_core_begin; INT64_MAX = none was given */
    const char *client_name;  /* header client-name, "" when absent */
    bool follows_next_run_id; /* header supported-features: it does in any close event */
};

FLO_MUST_CHECK int flo_core_new(const struct flo_core_env *env,
                                const struct flo_core_options *options, struct flo_core **out_core);
void flo_core_destroy(struct flo_core **core);

/* ---- recovery: once, before the first call, after flo_core_begin ---- */

FLO_MUST_CHECK int flo_core_load_namespace(struct flo_core *core, const uint8_t *state, size_t len,
                                           struct flo_err *err);
/* An open run with its whole history. */
FLO_MUST_CHECK int flo_core_load_run(struct flo_core *core, const struct flo_core_stored_run *run,
                                     const struct flo_core_history_batch *batches, size_t count,
                                     struct flo_err *err);
/*
 * A record: what is durable and no run (a schedule, a batch job, settings of a task queue). Its
 * owner in the core defines the state (engine_state.proto); core/record.h is for owners.
 */
struct flo_core_record_row {
    int kind; /* enum flo_core_record_kind */
    const char *namespace_id, *id;
    const uint8_t *state;
    size_t state_len;
    bool deleted; /* of a batch: the record goes; there is no state */
};
/* After the namespaces, before the runs. FLO_EDATA: a kind that this engine does not know, a state
 * that makes no sense; FLO_ENOMEM. */
FLO_MUST_CHECK int flo_core_load_record(struct flo_core *core,
                                        const struct flo_core_record_row *row, struct flo_err *err);
/* All is loaded: next_key continues after the largest stored one; tasks are queued, timers armed.
 */
FLO_MUST_CHECK int flo_core_recovered(struct flo_core *core, uint64_t next_key,
                                      struct flo_err *err);
/*
 * Not all open runs have to be loaded before the first call: so many more, at most, are in the
 * store; called before flo_core_recovered. Each is found when it is asked for; flo_core_wake, with
 * the keys of all of them in order, brings what they have to do.
 */
void flo_core_expect(struct flo_core *core, size_t runs);
void flo_core_wake(struct flo_core *core, uint64_t key);
/* Register a namespace when it is not there (start: `default` and those of the command line). */
FLO_MUST_CHECK int flo_core_ensure_namespace(struct flo_core *core, const char *name,
                                             int64_t retention_ns);

/* Define a search attribute of a namespace when it is not there. type: "Keyword", "Int", ...
 * FLO_EINVAL with a sentence: no such type, the name is taken or bad; FLO_ENOENT; FLO_ENOMEM. */
FLO_MUST_CHECK int flo_core_ensure_attribute(struct flo_core *core, const char *namespace_name,
                                             const char *name, const char *type,
                                             struct flo_err *err);

/* ---- input ---- */

/* The time of all that follows: wall clock nanoseconds, never less than the last one. */
void flo_core_begin(struct flo_core *core, int64_t now_ns);

/* Does the core serve this call? name as in the path, of WorkflowService or OperatorService (no
 * name is in both): "StartWorkflowExecution". The descriptor of its request, or NULL. (Visibility
 * lists, health and the like are the shell's.) */
const ProtobufCMessageDescriptor *flo_core_method(const char *name);
/* The calls that the core serves, one by one, for those who list them; NULL past the last. */
const char *flo_core_method_at(size_t i);
/* Serve it. request is of the descriptor's type, borrowed. Answers through env->reply once, now or
 * later, unless flo_core_cancel_call comes first. */
void flo_core_call(struct flo_core *core, const char *name, const struct flo_core_call_info *info,
                   const ProtobufCMessage *request);
/* The caller is gone: forget the call; a task that was just matched to it goes back. Unknown ids
 * are fine. */
void flo_core_cancel_call(struct flo_core *core, uint64_t call);
/* Fire what is due at the time of flo_core_begin. */
void flo_core_fire(struct flo_core *core);
/* When flo_core_fire should next be called; INT64_MAX = nothing is waiting. */
int64_t flo_core_next_deadline(const struct flo_core *core);

/* ---- a clock that skips (engine/skip.c) ---- */

/*
 * Does something go on that takes its time outside: a workflow task that is ready or started, an
 * attempt of an activity that is ready or started, a query? A look at every open run.
 */
bool flo_core_busy(const struct flo_core *core);
/* When the next thing is due that belongs to runs, schedules and the like, not to calls that wait;
 * INT64_MAX = nothing is. */
int64_t flo_core_next_due(const struct flo_core *core);
/* The clock is about to jump forward by so much: calls that wait go on waiting as long as before.
 * Before the next flo_core_begin; not while the core is busy. */
void flo_core_jump(struct flo_core *core, int64_t by_ns);

/* ---- output: what must be stored ---- */

/* A search attribute of a run that lists find it by. */
struct flo_core_attribute {
    const char *name;
    FloApi__IndexedValueType type;
    const uint8_t *json; /* a value of that type, a list of such, or null */
    size_t len;
};

/* One row of the visibility table and the run's state; strings borrowed until the batch is freed.
 */
struct flo_core_run_row {
    bool is_new; /* no batch held it before: there is no such row */
    uint64_t key;
    const char *namespace_id, *workflow_id, *run_id, *type, *task_queue;
    const char *start_request_id, *first_run_id;
    const char *parent_workflow_id, *parent_run_id, *root_workflow_id, *root_run_id; /* or "" */
    int status;
    int64_t start_ns, execution_ns;
    int64_t close_ns; /* 0 while open */
    int64_t history_length, history_bytes, state_transitions;
    const uint8_t *memo, *search_attributes; /* wire form of Memo and SearchAttributes, or NULL */
    size_t memo_len, search_attributes_len;
    /* The attributes that have rows of their own, when attributes_changed: in place of all that
     * were there before. has_attributes: there are such rows. */
    const struct flo_core_attribute *attributes;
    size_t attribute_count;
    bool attributes_changed, has_attributes;
    const uint8_t *state; /* flotilla.engine.v1.ExecutionState */
    size_t state_len;
};

struct flo_core_namespace_row {
    const char *id, *name;
    const uint8_t *state; /* flotilla.engine.v1.NamespaceState */
    size_t state_len;
};

struct flo_core_history_row {
    uint64_t key;
    int64_t first_event_id;
    uint32_t event_count;
    const uint8_t *events;
    size_t len;
};

/* All changes since the last batch, in an order that may be applied front to back. Self-contained
 * memory: it may cross to the commit thread while the core goes on. */
struct flo_core_batch {
    uint64_t seq; /* commit number: 1, 2, 3, ... in this process */
    const struct flo_core_namespace_row *namespaces;
    size_t namespace_count;
    const struct flo_core_run_row *runs; /* insert or replace by key */
    size_t run_count;
    const struct flo_core_history_row *histories; /* insert only */
    size_t history_count;
    const struct flo_core_record_row *records; /* insert or replace by kind, namespace and id */
    size_t record_count;
    uint64_t transitions;         /* state transitions of all runs since the last batch */
    const uint64_t *deleted_keys; /* run rows and histories to delete */
    size_t deleted_count;
    struct flo_arena arena; /* holds all of the above */
};

/* Is something waiting for a commit (a held reply, or changes older than ~1 s), or has the core
 * failed? Changes that nobody waits for ride along with the next batch. */
bool flo_core_wants_commit(const struct flo_core *core);
/* Move all changes into a batch; *out_batch NULL: there are none. An error is fatal, because what
 * the core holds can no longer be stored, and the shell must end: FLO_ENOMEM; FLO_EIO: a read that
 * a change depends on failed. */
FLO_MUST_CHECK int flo_core_take_batch(struct flo_core *core, struct flo_core_batch **out_batch);
void flo_core_batch_free(struct flo_core_batch **batch);
/* Has the core failed, so that it serves nothing more and the shell must end? 0 = no; FLO_ENOMEM;
 * FLO_EIO: the store could not be read. *out_why: a sentence, static. */
int flo_core_failed(const struct flo_core *core, const char **out_why);
/* Commit seq is durable: closed runs may leave memory. */
void flo_core_committed(struct flo_core *core, uint64_t seq);

/* ---- retention: the shell finds in the store what is over (engine/retention.c) ---- */

/* Call fn with each namespace's id and how long its closed runs are kept. */
void flo_core_each_namespace(const struct flo_core *core,
                             void (*fn)(void *ctx, const char *id, int64_t retention_ns),
                             void *ctx);
/* Delete a closed run, its row and its history, with the next batch. One that is in memory, since
 * it has just changed, stays until the next pass. 0, FLO_ENOMEM: nothing has changed. */
FLO_MUST_CHECK int flo_core_expire(struct flo_core *core, uint64_t key, const char *run_id);
/* Are deletions under way that are not durable yet? The store still shows those runs. */
bool flo_core_deleting(const struct flo_core *core);

/* ---- batch jobs: the shell reads their runs from the store (engine/jobs.c) ---- */

struct flo_job; /* job.h */

/* A job asks for the next runs that its query finds. Strings are borrowed until the answer. */
struct flo_core_job_question {
    struct flo_job *job;
    const char *namespace_id, *namespace_name, *query;
    bool open_only;               /* and they are open */
    bool count;                   /* also, how many its query finds in all */
    uint64_t after_key, last_key; /* with keys in this range, exclusive and inclusive */
};
/* Does a job ask for something? */
bool flo_core_job_asks(struct flo_core *core, struct flo_core_job_question *out);

/* The answer: flo_core_job_begin_answer, flo_core_job_target for each run in the order of keys,
 * FLO_CORE_JOB_WINDOW at most, then flo_core_job_answer. */
#define FLO_CORE_JOB_WINDOW 1000
struct flo_core_job_answer {
    bool refused;     /* the query cannot be asked: the job fails */
    uint64_t end_key; /* all that fit up to this one were given */
    bool counted;
    int64_t total;
};
void flo_core_job_begin_answer(struct flo_job *job);
FLO_MUST_CHECK int flo_core_job_target(struct flo_core *core, struct flo_job *job, uint64_t key,
                                       const char *workflow_id, const char *run_id);
void flo_core_job_answer(struct flo_core *core, struct flo_job *job,
                         const struct flo_core_job_answer *answer);

/* ---- figures ---- */

struct flo_core_stats {
    size_t open_runs, pollers;
    size_t cold_runs;                        /* of the open ones: not in memory */
    size_t resident_bytes;                   /* that those in memory take, about */
    uint64_t workflow_tasks, activity_tasks; /* given out since the start */
};
void flo_core_stats(const struct flo_core *core, struct flo_core_stats *out);
/* open_runs alone, which costs nothing. */
size_t flo_core_open_runs(const struct flo_core *core);
/* What waits in a queue, since when, and for whom. Borrowed. */
struct flo_core_queue_figures {
    const char *namespace_, *queue;
    bool activity; /* else workflow tasks */
    size_t backlog, pollers;
    int64_t backlog_age_ns; /* of the oldest task; 0 without any */
};
/* Calls fn with the figures of each queue. */
void flo_core_each_queue(const struct flo_core *core,
                         void (*fn)(void *ctx, const struct flo_core_queue_figures *figures),
                         void *ctx);
/* Calls fn with the last heartbeat (WorkerHeartbeat, packed) of each worker of a namespace that was
 * heard of in the last day. */
void flo_core_each_worker(const struct flo_core *core, const char *namespace_id,
                          void (*fn)(void *ctx, const uint8_t *heartbeat, size_t len), void *ctx);
/* The type of a search attribute of a namespace; UNSPECIFIED: it has none of that name. */
FloApi__IndexedValueType flo_core_attribute_type(const struct flo_core *core,
                                                 const char *namespace_name, const char *name);
/* Calls fn with each search attribute that the namespace itself defines. */
void flo_core_each_attribute(const struct flo_core *core, const char *namespace_name,
                             void (*fn)(void *ctx, const char *name, FloApi__IndexedValueType type),
                             void *ctx);
/* Stored search attributes of one of its runs, as they are shown: with their types, and without
 * those whose definition was removed. attributes is changed. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_core_show_attributes(const struct flo_core *core, const char *namespace_name,
                                            FloApi__SearchAttributes *attributes,
                                            struct flo_arena *arena);
struct flo_schedule; /* the core's own */

/* A schedule that is alive, as lists look at it. Borrowed. */
struct flo_core_schedule {
    const struct flo_schedule *schedule;
    const char *id, *run_id; /* run_id: of no run, but unique */
    int64_t create_ns;
    bool paused;
    const FloApi__SearchAttributes *attributes; /* as stored; NULL = none */
};
/* Calls fn with each schedule of a namespace, in no order that means anything. */
void flo_core_each_schedule(const struct flo_core *core, const char *namespace_id,
                            void (*fn)(void *ctx, const struct flo_core_schedule *schedule),
                            void *ctx);
/* Its line in a list; memory is arena's. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_core_show_schedule(const struct flo_core_schedule *schedule,
                                          struct flo_arena *arena, FloApi__ScheduleListEntry **out);
/* The id of a namespace by name, or NULL; for the shell's own calls. */
const char *flo_core_namespace_id(const struct flo_core *core, const char *name);

#endif
