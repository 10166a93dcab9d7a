/* SPDX-License-Identifier: Apache-2.0 */
/* job.c - batch jobs: their life, their steps, what is stored of them. */
#include "engine/core/job.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/decode.h"

#define RUNNING FLO_API__BATCH_OPERATION_STATE__BATCH_OPERATION_STATE_RUNNING
#define COMPLETED FLO_API__BATCH_OPERATION_STATE__BATCH_OPERATION_STATE_COMPLETED
#define FAILED FLO_API__BATCH_OPERATION_STATE__BATCH_OPERATION_STATE_FAILED

/* Operations of one step: others are served between two steps. */
#define STEP_OPERATIONS 16
/* Operations a second when the request does not say how many. */
#define DEFAULT_RATE 500.0

static void on_timer(struct flo_core *core, struct flo_core_timer *timer);

static void arm(struct flo_core *core, struct flo_job *job, int64_t at_ns)
{
    if (flo_core_timers_set(&core->timers, &job->timer, at_ns, on_timer))
        flo_core_set_fatal(core);
}

/* ---- what is stored ---- */

static int encode(const struct flo_core_record *record, struct flo_arena *arena,
                  const uint8_t **out_state, size_t *out_len)
{
    const struct flo_job *job = flo_container(record, struct flo_job, record);
    FloEngine__BatchJob state = FLO_ENGINE__BATCH_JOB__INIT;
    uint8_t *packed;
    int rc =
        flo_wire_encode_arena(&job->request->base, arena, &state.request.data, &state.request.len);
    if (rc)
        return rc;
    state.run_id = flo_text(job->run_id);
    state.request_id = flo_text(job->request_id);
    state.state = (int32_t)job->state;
    state.start_ns = job->start_ns;
    state.close_ns = job->close_ns;
    state.total = job->total;
    state.complete = job->complete;
    state.failed = job->failed;
    state.counted = job->counted;
    state.cursor = job->cursor;
    state.last_key = job->last_key;
    rc = flo_wire_encode_arena(&state.base, arena, &packed, out_len);
    if (!rc)
        *out_state = packed;
    return rc;
}

/* ---- life ---- */

static void destroy(struct flo_core *core, struct flo_job *job)
{
    flo_core_timers_clear(&core->timers, &job->timer);
    flo_core_record_forget(core, &job->record);
    if (flo_node_linked(&job->node))
        flo_list_remove(&core->jobs, &job->node);
    flo_arena_fini(&job->arena);
    flo_arena_fini(&job->window);
    flo_free(job);
}

/* A job with the packed request decoded. 0, FLO_ENOMEM, FLO_EDATA. */
static int make(struct flo_core *core, struct flo_namespace *ns, const uint8_t *request, size_t len,
                struct flo_job **out)
{
    ProtobufCMessage *message;
    struct flo_job *job = flo_calloc(1, sizeof *job);
    if (!job)
        return FLO_ENOMEM;
    flo_arena_init(&job->arena, 0);
    flo_arena_init(&job->window, 0);
    job->ns = ns;
    uint8_t *copy = flo_arena_memdup(&job->arena, request, len);
    int rc = copy ? flo_wire_decode(&flo_api__start_batch_operation_request__descriptor, copy, len,
                                    &job->arena, &message, NULL)
                  : FLO_ENOMEM;
    if (rc) {
        destroy(core, job);
        return rc == FLO_ENOMEM ? rc : FLO_EDATA;
    }
    job->request = (FloApi__StartBatchOperationRequest *)message;
    job->record = (struct flo_core_record){.kind = FLO_CORE_RECORD_BATCH,
                                           .namespace_id = ns->id,
                                           .id = job->request->job_id,
                                           .encode = encode};
    flo_list_push_back(&core->jobs, &job->node);
    *out = job;
    return 0;
}

int flo_job_new(struct flo_core *core, struct flo_namespace *ns,
                const FloApi__StartBatchOperationRequest *request, struct flo_job **out_job)
{
    uint8_t *packed;
    size_t len;
    struct flo_job *job;
    int rc = flo_wire_encode_arena(&request->base, &core->scratch, &packed, &len);
    if (!rc)
        rc = make(core, ns, packed, len, &job);
    if (rc)
        return FLO_ENOMEM;
    flo_core_new_id(core, job->run_id);
    flo_core_new_id(core, job->request_id);
    job->state = RUNNING;
    job->start_ns = job->next_op_ns = core->now_ns;
    job->last_key = core->next_key - 1;
    if (job->request->n_executions) {
        job->total = (int64_t)job->request->n_executions;
        job->counted = true;
    }
    flo_core_record_changed(core, &job->record);
    job->made_seq = job->record.dirty_seq;
    arm(core, job, core->now_ns);
    *out_job = job;
    return 0;
}

void flo_job_end(struct flo_core *core, struct flo_job *job, FloApi__BatchOperationState state)
{
    job->state = state;
    job->close_ns = core->now_ns;
    job->asked = false;
    job->target_count = job->target_next = 0;
    flo_arena_fini(&job->window);
    flo_arena_init(&job->window, 0);
    flo_core_record_changed(core, &job->record);
    arm(core, job, job->close_ns + job->ns->retention_ns);
}

void flo_jobs_fini(struct flo_core *core)
{
    for (struct flo_node *node; (node = flo_list_first(&core->jobs));)
        destroy(core, flo_job_at(node));
}

int flo_job_load(struct flo_core *core, const struct flo_core_record_row *row, struct flo_err *err)
{
    ProtobufCMessage *message;
    struct flo_arena arena;
    struct flo_job *job;
    struct flo_namespace *ns = flo_namespace_by_id(core, row->namespace_id);
    if (!ns)
        return flo_fail(err, FLO_EDATA, "the batch job %s is of an unknown namespace", row->id);
    flo_arena_init(&arena, 0);
    int rc = flo_wire_decode(&flo_engine__batch_job__descriptor, row->state, row->state_len, &arena,
                             &message, err);
    if (rc)
        goto out;
    const FloEngine__BatchJob *state = (const void *)message;
    rc = make(core, ns, state->request.data, state->request.len, &job);
    if (rc) {
        rc = flo_fail(err, rc, "the batch job %s cannot be read", row->id);
        goto out;
    }
    snprintf(job->run_id, sizeof job->run_id, "%s", state->run_id);
    snprintf(job->request_id, sizeof job->request_id, "%s", state->request_id);
    job->state = (FloApi__BatchOperationState)state->state;
    job->start_ns = state->start_ns;
    job->close_ns = state->close_ns;
    job->total = state->total;
    job->complete = state->complete;
    job->failed = state->failed;
    job->counted = state->counted;
    job->cursor = state->cursor;
    job->last_key = state->last_key;
    job->next_op_ns = core->now_ns;
    arm(core, job, job->state == RUNNING ? core->now_ns : job->close_ns + ns->retention_ns);
out:
    flo_arena_fini(&arena);
    return rc;
}

/* ---- finding ---- */

struct flo_job *flo_job_find(struct flo_core *core, const struct flo_namespace *ns, const char *id)
{
    FLO_LIST_FOREACH(node, &core->jobs)
    {
        struct flo_job *job = flo_job_at(node);
        if (job->ns == ns && strcmp(job->record.id, id) == 0)
            return job;
    }
    return NULL;
}

size_t flo_jobs_running(struct flo_core *core, const struct flo_namespace *ns)
{
    size_t count = 0;
    FLO_LIST_FOREACH(node, &core->jobs)
    {
        const struct flo_job *job = flo_job_at(node);
        count += job->ns == ns && job->state == RUNNING;
    }
    return count;
}

/* ---- steps ---- */

/* The rate of the request: the time from one operation to the next. */
static int64_t pause_ns(const struct flo_job *job)
{
    const double rate = (double)job->request->max_operations_per_second;
    return (int64_t)((double)FLO_NS_PER_S / (rate > 0 ? rate : DEFAULT_RATE));
}

/* The next target, or false: there is none at hand. */
static bool next_target(struct flo_job *job, struct flo_job_target *out)
{
    if (job->request->n_executions) {
        if (job->cursor == job->request->n_executions)
            return false;
        const FloApi__WorkflowExecution *execution = job->request->executions[job->cursor];
        *out = (struct flo_job_target){.workflow_id = execution->workflow_id,
                                       .run_id = execution->run_id};
        return true;
    }
    if (job->target_next == job->target_count)
        return false;
    *out = job->targets[job->target_next];
    return true;
}

static void do_target(struct flo_core *core, struct flo_job *job,
                      const struct flo_job_target *target)
{
    const bool listed = job->request->n_executions > 0;
    const bool done = flo_job_do(core, job, target, listed ? job->cursor : target->key);
    job->complete += done;
    job->failed += !done;
    if (listed) {
        job->cursor++;
    } else {
        job->cursor = target->key;
        job->target_next++;
    }
    const int64_t due = job->next_op_ns + pause_ns(job);
    job->next_op_ns = due > core->now_ns - FLO_NS_PER_S ? due : core->now_ns - FLO_NS_PER_S;
    flo_core_record_changed(core, &job->record);
}

/* All that is at hand is done: is there more? */
static void go_on(struct flo_core *core, struct flo_job *job)
{
    if (!job->request->n_executions && job->window_end > job->cursor) {
        job->cursor = job->window_end;
        flo_core_record_changed(core, &job->record);
    }
    if (!job->request->n_executions && job->cursor < job->last_key) {
        job->asked = true; /* the shell gives the next window */
        return;
    }
    job->total = job->complete + job->failed;
    flo_job_end(core, job, COMPLETED);
}

static void on_timer(struct flo_core *core, struct flo_core_timer *timer)
{
    struct flo_job *job = flo_container(timer, struct flo_job, timer);
    struct flo_job_target target;
    if (job->state != RUNNING) {
        if (flo_core_record_deleted(core, &job->record))
            flo_core_set_fatal(core);
        else
            destroy(core, job);
        return;
    }
    for (int i = 0; i < STEP_OPERATIONS && !core->fatal; i++) {
        if (!next_target(job, &target)) {
            go_on(core, job);
            return;
        }
        if (job->next_op_ns > core->now_ns)
            break;
        do_target(core, job, &target);
    }
    arm(core, job, job->next_op_ns > core->now_ns ? job->next_op_ns : core->now_ns);
}

/* ---- the shell reads for a job ---- */

bool flo_core_job_asks(struct flo_core *core, struct flo_core_job_question *out)
{
    FLO_LIST_FOREACH(node, &core->jobs)
    {
        struct flo_job *job = flo_job_at(node);
        if (!job->asked || job->made_seq > core->committed_seq)
            continue;
        *out = (struct flo_core_job_question){
            .job = job,
            .namespace_id = job->ns->id,
            .namespace_name = job->ns->name,
            .query = job->request->visibility_query,
            .open_only = flo_job_wants_open(job->request),
            .count = !job->counted,
            .after_key = job->cursor,
            .last_key = job->last_key,
        };
        return true;
    }
    return false;
}

int flo_core_job_target(struct flo_core *core, struct flo_job *job, uint64_t key,
                        const char *workflow_id, const char *run_id)
{
    struct flo_job_target *target;
    (void)core;
    if (job->target_count == FLO_CORE_JOB_WINDOW)
        return FLO_EFULL;
    if (!job->targets) {
        job->targets = flo_arena_alloc(&job->window, FLO_CORE_JOB_WINDOW * sizeof *job->targets);
        if (!job->targets)
            return FLO_ENOMEM;
    }
    target = &job->targets[job->target_count];
    *target = (struct flo_job_target){.key = key,
                                      .workflow_id = flo_arena_strdup(&job->window, workflow_id),
                                      .run_id = flo_arena_strdup(&job->window, run_id)};
    if (!target->workflow_id || !target->run_id)
        return FLO_ENOMEM;
    job->target_count++;
    return 0;
}

void flo_core_job_answer(struct flo_core *core, struct flo_job *job,
                         const struct flo_core_job_answer *answer)
{
    job->asked = false;
    if (answer->refused) {
        flo_job_end(core, job, FAILED);
        return;
    }
    if (answer->counted && !job->counted) {
        job->total = answer->total;
        job->counted = true;
    }
    job->window_end = answer->end_key;
    arm(core, job, core->now_ns);
}

void flo_core_job_begin_answer(struct flo_job *job)
{
    flo_arena_fini(&job->window);
    flo_arena_init(&job->window, 0);
    job->targets = NULL;
    job->target_count = job->target_next = 0;
}
