/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.h - what the two kinds of executors share (private to this folder): units, the bounded
 * queue, deadlines. A unit is one thread or one process; it runs at most one job. The kinds
 * supply struct flo_executor_ops and report back through flo_core_*.
 *
 *   submit ──► waiting ──► unit->job ──► ended (on_done)
 *                 (no free unit)   │ deadline: CANCEL_TIMED_OUT, + grace: SIGTERM,
 *                                  │   + FLO_CORE_TERM_MS: SIGKILL
 *                                  │   (where nothing is killed: + grace: stuck)
 *                                  └ its process died: taken off the unit, until the death is told
 *
 * Everything here runs on the loop thread.
 */
#ifndef FLO_EXECUTOR_CORE_H
#define FLO_EXECUTOR_CORE_H

#include <event2/event_struct.h>

#include "base/list.h"
#include "executor/executor.h"

/* From SIGTERM to SIGKILL. */
#define FLO_CORE_TERM_MS 500

/* How far an unwanted job's end is. */
enum flo_core_stage {
    FLO_CORE_RUNS,   /* or is wanted */
    FLO_CORE_WARNED, /* told; the timer is the grace's */
    FLO_CORE_ASKED,  /* its unit was asked to end (kill); the timer is FLO_CORE_TERM_MS. Where
                      * nothing is killed: stuck; the timer is the deadline's */
    FLO_CORE_FORCED, /* it was killed, and has not ended yet */
};

struct flo_core_job {
    struct flo_node node; /* on executor->waiting until it has a unit; then the kind's */
    struct flo_executor *executor;
    struct flo_core_unit *unit; /* NULL while waiting */
    uint64_t id;
    int64_t grace_ms;           /* from "stop" to the kill */
    enum flo_job_cancel reason; /* what it was told */
    bool stopping;              /* and that the worker begins to drain */
    enum flo_core_stage stage;
    bool stuck;         /* it is counted in executor->stuck */
    int64_t told_ns;    /* monotonic: since when it is WARNED; where nothing is killed */
    struct event timer; /* the deadline, later the next stage; assigned once it is: */
    bool timed;         /* it has been armed */
    struct timeval due; /* the deadline while the grace has the timer; where nothing is killed */
    size_t request_len;
    uint8_t request[]; /* stays until the job has ended */
};

struct flo_core_unit {
    struct flo_executor *executor;
    unsigned index;
    bool ready;      /* started and alive: may be given a job */
    int64_t down_ns; /* monotonic: flo_executor_down has found it so since then; 0 = it was not */
    struct flo_core_job *job;
};

struct flo_executor_ops {
    /* A unit that is ready and has no job, made if need be; NULL when all are at work. NULL: the
     * first of executor->units that is. */
    struct flo_core_unit *(*idle)(struct flo_executor *executor);
    /* Give a ready unit its job (unit->job is set). */
    void (*start)(struct flo_core_unit *unit);
    /* Pass flo_core_job_told on to the unit that runs the job. */
    void (*cancel)(struct flo_core_unit *unit);
    /* End the unit: ask, or use force; NULL where that is impossible. */
    void (*kill)(struct flo_core_unit *unit, bool force);
    /* Where kill is NULL: name the unit, and say what it does unless its job has ended. */
    void (*look)(const struct flo_core_unit *unit, bool ended, struct flo_stuck_job *out);
    /* options.workers has changed; NULL where it cannot. */
    void (*resized)(struct flo_executor *executor);
    unsigned workers_max; /* where it can */
    /* Stop and free the kind's part and the executor itself; returns units left behind. */
    size_t (*destroy)(struct flo_executor *executor, int64_t grace_ms);
};

struct flo_executor {
    const struct flo_executor_ops *ops;
    struct event_base *base;
    struct flo_executor_options options;
    struct flo_core_unit **units; /* the kind's, set before use */
    unsigned unit_count;          /* of units: options.workers, unless the kind says otherwise */
    struct flo_list waiting;      /* at most options.workers */
    size_t running;
    size_t stuck;  /* jobs that do not end */
    bool closed;   /* no new jobs: broken or being destroyed */
    bool stopping; /* flo_executor_notice_stopping was called */
};

/* What the job was told, as the runner gets to see it. */
static inline unsigned flo_core_job_told(const struct flo_core_job *job)
{
    return (unsigned)job->reason | (job->stopping ? FLO_JOB_STOPPING : 0);
}

/* The executor side of a job, for the runner: first member of each kind's own. */
struct flo_job_io {
    void (*progress)(struct flo_job_io *io, const uint8_t *data, size_t len);
    int (*note)(struct flo_job_io *io, const uint8_t *data, size_t len);
    /* Until it was told something else than known, at most timeout_ms: 0 = do not wait, < 0 = for
     * ever. What it was told. */
    unsigned (*wait)(struct flo_job_io *io, unsigned known, int64_t timeout_ms);
    int (*watch)(struct flo_job_io *io); /* NULL = nothing to prepare */
    void (*wake)(struct flo_job_io *io);
    int64_t (*now_ns)(struct flo_job_io *io); /* wait's clock; NULL = the monotonic one */
};

/* Set the shared part up; options are copied (defaults filled in). */
void flo_core_init(struct flo_executor *executor, const struct flo_executor_ops *ops,
                   struct event_base *base, const struct flo_executor_options *options);
/* Drop the jobs that still wait. */
void flo_core_fini(struct flo_executor *executor);
/* unit became ready, or its job ended: give it the next waiting job. */
void flo_core_unit_free(struct flo_core_unit *unit);
/* The unit's job ended with result: on_done, then free the job. The unit stays as it is. */
void flo_core_job_ended(struct flo_core_unit *unit, const struct flo_job_result *result);
/* The same in two steps, for a unit that can go on before the job's end is known: its job is the
 * caller's, until flo_core_job_finish() calls on_done and frees it (result NULL: only frees). */
struct flo_core_job *flo_core_job_detach(struct flo_core_unit *unit);
void flo_core_job_finish(struct flo_core_job *job, const struct flo_job_result *result);
/* Free a unit's job without a callback (at destroy). */
void flo_core_job_drop(struct flo_core_unit *unit);
/* Nothing works any more (the template died): end all jobs as crashed, refuse new ones. */
void flo_core_break(struct flo_executor *executor);

#endif
