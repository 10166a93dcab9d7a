/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job.h - batch jobs: one operation done to many runs. job.c drives them, job_call.c serves the
 * calls about them, job_target.c does the operation to one run.
 *
 *            start
 *   ( ) ------------> RUNNING --all targets done--> COMPLETED --retention--> gone
 *                        |
 *                        +--stopped, or a query that cannot be asked--> FAILED --retention--> gone
 *
 * A job of a query goes through the runs in the order of their keys, which never change, up to the
 * last one there was when the job was made: so each run is met once, whatever the operation makes
 * of it. The shell reads them from the store, a window of keys at a time (core.h). How far the job
 * is, is stored in the same batch as what was done to the runs: after a crash it goes on behind the
 * last one whose change is durable.
 */
#ifndef FLO_ENGINE_CORE_JOB_H
#define FLO_ENGINE_CORE_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/random.h"
#include "engine/core/core.h"
#include "engine/core/record.h"
#include "engine/core/timers.h"
#include "wire/api.h"

struct flo_namespace; /* namespace.h */
struct flo_status;    /* reply.h */

/* A run to do it to. Texts are borrowed from the window or the request. */
struct flo_job_target {
    uint64_t key;
    const char *workflow_id, *run_id;
};

struct flo_job {
    struct flo_core_record record; /* id = request->job_id */
    struct flo_node node;          /* in core->jobs, in the order of their starts */
    struct flo_core_timer timer;   /* RUNNING: the next step; else: the end of its retention */
    struct flo_namespace *ns;
    struct flo_arena arena; /* of request */
    FloApi__StartBatchOperationRequest *request;
    /* As of the workflow that a job is on the real server, and of its start. */
    char run_id[FLO_UUID_LEN + 1], request_id[FLO_UUID_LEN + 1];
    FloApi__BatchOperationState state;
    int64_t start_ns, close_ns;
    int64_t total, complete, failed;
    bool counted;       /* total is known */
    uint64_t cursor;    /* key of the last run done or passed over; of a list: how many are done */
    uint64_t last_key;  /* of the runs there were when it was made */
    int64_t next_op_ns; /* when the next operation may be done */

    uint64_t made_seq; /* the batch that it was new in: before, the store does not have all runs */
    bool asked;        /* the shell is to read the next window */
    struct flo_arena window;
    struct flo_job_target *targets; /* in window */
    size_t target_count, target_next;
    uint64_t window_end; /* the cursor when all of them are done */
};

/* ---- job.c ---- */

/* Make a job of a checked request, which is copied. 0, FLO_ENOMEM: nothing happened. */
FLO_MUST_CHECK int flo_job_new(struct flo_core *core, struct flo_namespace *ns,
                               const FloApi__StartBatchOperationRequest *request,
                               struct flo_job **out_job);
/* The job of a namespace with that id, or NULL. */
struct flo_job *flo_job_find(struct flo_core *core, const struct flo_namespace *ns, const char *id);
/* How many jobs of a namespace are RUNNING. */
size_t flo_jobs_running(struct flo_core *core, const struct flo_namespace *ns);
/* A RUNNING job ends. */
void flo_job_end(struct flo_core *core, struct flo_job *job, FloApi__BatchOperationState state);
/* A stored job: record.c. */
FLO_MUST_CHECK int flo_job_load(struct flo_core *core, const struct flo_core_record_row *row,
                                struct flo_err *err);
void flo_jobs_fini(struct flo_core *core);
static inline struct flo_job *flo_job_at(struct flo_node *node)
{
    return flo_container(node, struct flo_job, node);
}

/* ---- job_target.c ---- */

/* Who the job says it is; what it does; does its query mean open runs only? */
const char *flo_job_identity(const FloApi__StartBatchOperationRequest *request);
FloApi__BatchOperationType flo_job_type(const FloApi__StartBatchOperationRequest *request);
bool flo_job_wants_open(const FloApi__StartBatchOperationRequest *request);
/* Can the operation be done at all? Status: INVALID_ARGUMENT. */
FLO_MUST_CHECK int flo_job_check(struct flo_core *core,
                                 const FloApi__StartBatchOperationRequest *request,
                                 struct flo_status *status);
/* Do it to one run; number tells the targets of a job apart. false: it could not be done. A run
 * that is not there any more, or closed, is as good as done. */
bool flo_job_do(struct flo_core *core, struct flo_job *job, const struct flo_job_target *target,
                uint64_t number);

#endif
