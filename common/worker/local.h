/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local.h - local activities: run by this worker, on threads of its own, while the workflow task
 * that started them stays open. local.c keeps the runs and their tasks, local_pool.c the attempts,
 * local_tell.c says what became of them.
 *
 *   execute.c ──OPEN──► hold ──► wait for a slot ──► thread ──► retry, or ended
 *                        │            (queue)                        │
 *                        │◄────────────── the code runs on ──────────┘
 *                        ├── nothing is at work any more: respond.c
 *                        └── 80 % of the task's time is over: heartbeat: respond.c with what there
 *                            is, and the task that comes back takes the run over
 *
 * A run whose local activities are at work belongs to its struct flo_local_run and to no cache; it
 * is handed to its thread with each result. Nothing exists, no thread and no memory, before the
 * first local activity. Loop thread only.
 */
#ifndef FLO_WORKER_LOCAL_H
#define FLO_WORKER_LOCAL_H

#include "activity/outcome.h"
#include "worker/worker.h"

struct flo_local_run;

/* All of a worker's; worker->locals, NULL before the first one. */
struct flo_locals {
    struct flo_worker *worker;
    struct flo_executor *executor; /* NULL until something is to be run */
    unsigned threads;              /* of it */
    struct flo_activity_library library;
    struct flo_map runs;   /* run id -> struct flo_local_run, owned */
    struct flo_list queue; /* struct flo_local that wait for a slot */
    struct flo_list jobs;  /* struct flo_local_job at work, wanted or not */
    bool cutting;          /* the worker stops: nothing is begun any more */
};

enum flo_local_state { FLO_LOCAL_WAITING, FLO_LOCAL_RUNNING, FLO_LOCAL_PAUSING, FLO_LOCAL_ENDED };

/* One local activity, from its start to the hand-over of its result. */
struct flo_local {
    struct flo_node node; /* WAITING: locals->queue; ENDED: lr->ended */
    struct flo_local_run *lr;
    struct flo_arena arena;         /* of task */
    struct flo_arena attempt_arena; /* of end, and of what an attempt needs */
    uint64_t seq;
    enum flo_local_state state;
    FloApi__PollActivityTaskQueueResponse *task; /* as a server would send it */
    struct flo_task_series *series;              /* of the type; may be NULL */
    struct flo_local_job *job;                   /* RUNNING */
    struct event *timer; /* of the state: what may end it, or the end of a pause */
    int32_t attempt;
    int64_t began_ns; /* monotonic */
    int64_t original_schedule_ns, threshold_ns;
    int64_t start_by_ns, close_by_ns; /* monotonic; INT64_MAX: no limit */
    bool cancelled;                   /* told to stop because the code wants it */
    struct flo_local_result end;      /* ENDED; in attempt_arena */
};

/* One attempt on a thread. */
struct flo_local_job {
    struct flo_node node; /* locals->jobs */
    struct flo_locals *locals;
    struct flo_local *local; /* NULL: nobody waits for it any more */
    struct flo_task_queue *queue;
    struct flo_arena arena; /* of task */
    FloApi__PollActivityTaskQueueResponse *task;
    int64_t began_ns; /* monotonic */
    bool shut;        /* told that the worker stops */
};

/* A run with local activities. */
struct flo_local_run {
    struct flo_locals *locals;
    char *id;
    struct flo_task_queue *queue; /* that its tasks come from */
    struct flo_run *run;          /* owned; NULL while its thread advances it */
    struct flo_workflow_task *wt; /* the open task; NULL between a heartbeat and the next task */
    bool answering;               /* wt's heartbeat is on its way */
    bool delivering;              /* what an activation asks for is being done */
    bool yield_due;               /* as soon as its thread has come back, answer with a heartbeat */
    bool cut_due;                 /* and for good: the worker stops */
    bool gone;                    /* its task is unwanted, and at work: it goes with that */
    size_t held_bytes;            /* of wt's arena when the task was first kept */
    struct flo_map activities;    /* seq -> struct flo_local, owned */
    struct flo_list ended;        /* those whose result the code has not got yet */
    struct event *timer;          /* the heartbeat; without a task: nothing came */
};

/* ---- local.c, for execute.c, respond.c, drain.c, worker.c ---- */

/* Give wt the run that it is a task of, if local activities of it are at work and history goes on
 * where the run stands. */
void flo_local_take(struct flo_workflow_task *wt);
/* wt's activation is OPEN: keep it and its run, and do what it asks for. */
void flo_local_hold(struct flo_workflow_task *wt);
/* wt is back from its thread: the results that it took along have been handed over (RESOLVE), or it
 * is to be answered as it is (YIELD). */
void flo_local_stepped(struct flo_workflow_task *wt);
/* wt is at work, and nobody waits for it any more: its struct flo_local_run goes with it. */
void flo_local_abandon(struct flo_workflow_task *wt);
/* The task is about to be answered for good, or ends: what is at work for it is given up (what
 * activation lets go on, goes on; NULL: nothing does). Its run too, when it has it. */
void flo_local_release(struct flo_workflow_task *wt, const struct flo_activation *activation);
/* The server has taken wt's heartbeat: its run waits for the next task. */
void flo_local_heartbeat_taken(struct flo_workflow_task *wt);
/* The worker begins to drain: jobs are told, for their information. */
void flo_local_notice_stopping(struct flo_worker *worker);
/* Drain: tell what runs to stop; tasks are answered as soon as nothing of theirs runs. */
void flo_local_cut(struct flo_worker *worker);
/* Drain: answer them now. */
void flo_local_cut_now(struct flo_worker *worker);
/* The worker ends. Returns how many threads do not. */
size_t flo_local_fini(struct flo_worker *worker, int64_t grace_ms);

/* ---- local_pool.c, for local.c ---- */

/* Begin. It may end at once. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_local_begin(struct flo_local_run *lr, const struct flo_local_start *start);
/* The code does not want it any more. */
void flo_local_stop(struct flo_local *local, bool forget);
/* Free it; a thread that runs it is told to stop, but when forget. */
void flo_local_drop(struct flo_local **local, bool forget);
/* The worker stops: what runs is told, and what does not, is dropped. */
void flo_local_shut(struct flo_local_run *lr);
/* Begin what waits, as far as there are slots: after more slots were given, too. */
void flo_local_fill(struct flo_worker *worker);

/* Free what threads worked on; the executor is gone. */
void flo_local_jobs_fini(struct flo_locals *locals);

/* ---- local_tell.c, for local_pool.c ---- */

/* An attempt has returned: count and log it. */
void flo_local_tell_ended(struct flo_local *local, const struct flo_local_job *job,
                          enum flo_outcome_kind kind);
/* Executor callbacks; ctx is the struct flo_locals. */
void flo_local_on_progress(void *ctx, uint64_t job, const uint8_t *data, size_t len);
void flo_local_on_note(void *ctx, uint64_t job, const uint8_t *data, size_t len);
void flo_local_on_stuck(void *ctx, const struct flo_stuck_job *stuck, bool ended);

/* local.c, for local_pool.c: hand what has ended over to the code. Frees lr when its task has been
 * answered. */
void flo_local_deliver(struct flo_local_run *lr);

#endif
