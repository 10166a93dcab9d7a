/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reset.c - ResetWorkflowExecution.
 *
 * Everything that can be refused is found out first: the new run is built aside (rebuild.c), where
 * it can still be thrown away. Then, which cannot fail any more, all runs change in one step and so
 * with one commit:
 *
 *    base run      learns which run was made of it; one that is only stored comes back for that
 *    current run   is terminated when it is open; its children stay, they are the new run's
 *    new run       its workflow task fails, attempts of activities that were under way fail, what
 *                  came after the reset point and is no doing of the workflow is applied again: of
 *                  the base run and of the runs that it continued as (reapply.c)
 */
#include "engine/core/reset.h"

#include <string.h>

#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/options.h"
#include "engine/core/reapply.h"
#include "engine/core/rebuild.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "engine/core/task.h"
#include "flotilla/engine_state.pb-c.h"

#define RESETTER_IDENTITY "history-resetter"
#define NO_REQUEST_ID "emptyUuid" /* of a workflow task that only starts in order to fail */

/* A reset under way. */
struct work {
    const struct flo_reset *reset;
    struct flo_execution *base, *current, *fresh;
    bool base_revived; /* it was only stored, and nobody knows that it is in memory */
};

/* ---- what is asked for ---- */

static int check(struct flo_core *core, const struct flo_reset *reset, struct flo_status *status)
{
    int rc = 0;
    if (!protobuf_c_enum_descriptor_get_value(&flo_api__reset_reapply_type__descriptor,
                                              (int)reset->reapply))
        return flo_status_set(core, status, FLO_GRPC_INTERNAL, "unknown reset reapply type: %d",
                              (int)reset->reapply);
    for (size_t i = 0; i < reset->n_operations && !rc; i++) {
        const FloApi__PostResetOperation *operation = reset->operations[i];
        const FloApi__PostResetOperation__UpdateWorkflowOptions *update =
            operation->update_workflow_options;
        if (operation->variant_case ==
            FLO_API__POST_RESET_OPERATION__VARIANT_UPDATE_WORKFLOW_OPTIONS)
            rc = flo_options_check(core, update->workflow_execution_options, update->update_mask,
                                   status);
        else
            rc = flo_status_set(
                core, status, FLO_GRPC_INVALID_ARGUMENT, "unsupported post reset operation: %s",
                operation->variant_case ? "*workflow.PostResetOperation_SignalWorkflow_" : "<nil>");
    }
    return rc;
}

static int64_t next_event_id(const struct flo_core_run_ref *run)
{
    return run->execution ? run->execution->history.next_event_id : run->state->next_event_id;
}

static const char *run_id_of(const struct flo_core_run_ref *run)
{
    return run->execution ? run->execution->run_id : run->stored.run_id;
}

/* Find base and current run. *out_again: the run that the same request made before, else NULL. */
static int find_runs(struct flo_core *core, const struct flo_reset *reset,
                     struct flo_core_run_ref *out_base, struct flo_core_run_ref *out_current,
                     const char **out_again, struct flo_status *status)
{
    *out_again = NULL;
    int rc =
        flo_core_find_run(core, reset->ns, reset->workflow_id, reset->run_id, out_base, status);
    if (rc)
        return rc;
    if (reset->finish_id <= 1 || reset->finish_id >= next_event_id(out_base))
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Workflow task finish ID must be > 1 && <= workflow last event ID.");
    rc = flo_core_find_run(core, reset->ns, reset->workflow_id, "", out_current, status);
    if (rc)
        return rc;
    const char *created_by = out_current->execution ? out_current->execution->start_request_id
                                                    : out_current->state->start_request_id;
    if (strcmp(created_by, reset->request_id) == 0)
        *out_again = run_id_of(out_current);
    return 0;
}

/* ---- the new run, aside ---- */

static int build(struct flo_core *core, struct work *work, const char *run_id,
                 struct flo_status *status)
{
    const struct flo_rebuild rebuild = {
        .base = work->base,
        .last_id = work->reset->finish_id - 1,
        .run_id = run_id,
        .request_id = work->reset->request_id,
    };
    int rc = flo_rebuild_run(core, &rebuild, &work->fresh, status);
    if (rc)
        return rc;
    if (work->fresh->workflow_task.stage == FLO_CORE_WORKFLOW_TASK_NONE)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Can only reset workflow to event ID in range "
                              "[WorkflowTaskScheduled +1, WorkflowTaskStarted + 1]: %lld",
                              (long long)work->reset->finish_id);
    return 0;
}

/* ---- all runs change ---- */

/* The workflow task of the reset point fails, which tells why this run is there. */
static void fail_task(struct flo_core *core, const struct work *work)
{
    struct flo_execution *fresh = work->fresh;
    struct flo_core_workflow_task *task = &fresh->workflow_task;
    if (task->transient) { /* its events have not been written yet */
        task->attempt = 1;
        task->scheduled_ns = flo_event_time(core);
        flo_core_workflow_task_keep(core, fresh);
    }
    if (task->stage == FLO_CORE_WORKFLOW_TASK_SCHEDULED) {
        const struct flo_core_worker nobody = {.identity = FLO_CORE_RUN_IDENTITY,
                                               .request_id = NO_REQUEST_ID};
        if (flo_core_workflow_task_start(core, fresh, &nobody, false))
            flo_core_set_fatal(core);
    }
    FloApi__ResetWorkflowFailureInfo info = FLO_API__RESET_WORKFLOW_FAILURE_INFO__INIT;
    FloApi__Failure failure = FLO_API__FAILURE__INIT;
    failure.message = flo_text(work->reset->reason);
    failure.failure_info_case = FLO_API__FAILURE__FAILURE_INFO_RESET_WORKFLOW_FAILURE_INFO;
    failure.reset_workflow_failure_info = &info;
    FloApi__WorkflowTaskFailedEventAttributes failed =
        FLO_API__WORKFLOW_TASK_FAILED_EVENT_ATTRIBUTES__INIT;
    failed.cause = FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW;
    failed.failure = &failure;
    failed.identity = flo_text(FLO_CORE_RUN_IDENTITY);
    failed.base_run_id = work->base->run_id;
    failed.new_run_id = fresh->run_id;
    flo_core_workflow_task_fail(core, fresh, &failed);
    task->attempt = 1;
}

/* Activities wait for a worker from now on; an attempt that an event tells of has failed. */
static void restart_activities(struct flo_core *core, struct flo_execution *fresh)
{
    for (size_t i = 0; i < fresh->activity_count; i++) {
        struct flo_core_activity *activity = fresh->activities[i];
        activity->stage = FLO_CORE_ACTIVITY_SCHEDULED;
        activity->first_scheduled_ns = activity->scheduled_ns = fresh->start_ns;
        if (flo_core_activity_queue(core, activity))
            flo_core_set_fatal(core);
        flo_core_activity_arm(core, activity);
    }
}

/* What the run asked of others before the reset point and got no answer to. */
static void ask_again(struct flo_core *core, struct flo_execution *fresh)
{
    for (size_t i = 0; i < fresh->child_count; i++)
        if (!fresh->children[i]->started_id)
            flo_outbound_add(core, fresh, FLO_OUTBOUND_CHILD, fresh->children[i]->initiated_id);
}

static void set_times(struct flo_core *core, const struct work *work)
{
    struct flo_execution *fresh = work->fresh;
    const int64_t backoff_ns = fresh->execution_ns - fresh->start_ns;
    fresh->start_ns = flo_event_time(core);
    fresh->state_transitions = 1; /* to what it is rebuilt as */
    fresh->execution_ns = flo_add_ns(fresh->start_ns, backoff_ns);
    if (fresh->execution_timeout_ns)
        fresh->execution_deadline_ns = flo_add_ns(fresh->start_ns, fresh->execution_timeout_ns);
    struct flo_run_more *more = flo_run_more_of(core, fresh);
    const struct flo_run_more *before = work->base->more;
    if (more)
        more->original_start_ns =
            before && before->original_start_ns ? before->original_start_ns : work->base->start_ns;
}

static void end_current(struct flo_core *core, const struct work *work)
{
    struct flo_execution *current = work->current;
    if (!current || !flo_execution_is_open(current))
        return;
    current->was_reset = true;
    flo_execution_terminate(core, current, work->reset->reason, NULL, RESETTER_IDENTITY);
    if (current != work->base)
        flo_execution_end(core, current, true);
}

static void operate(struct flo_core *core, const struct work *work)
{
    for (size_t i = 0; i < work->reset->n_operations; i++) {
        const FloApi__PostResetOperation__UpdateWorkflowOptions *update =
            work->reset->operations[i]->update_workflow_options;
        FloApi__WorkflowExecutionOptions *options;
        struct flo_status status;
        if (flo_options_update(core, work->fresh, update->workflow_execution_options,
                               update->update_mask, &options, NULL, &status))
            flo_core_set_fatal(core);
    }
}

/* All is checked: the runs change. What fails now is fatal. */
static void change(struct flo_core *core, const struct work *work, const struct flo_reapply *chain)
{
    struct flo_execution *base = work->base, *fresh = work->fresh;
    if (work->base_revived && flo_core_revive_run(core, base))
        flo_core_set_fatal(core);
    struct flo_run_more *more = flo_run_more_of(core, base);
    if (more)
        flo_set_text(core, &more->reset_run_id, fresh->run_id);
    end_current(core, work);
    flo_execution_end(core, base, true);
    set_times(core, work);
    if (flo_core_add_run(core, fresh)) {
        flo_core_set_fatal(core);
        return;
    }
    flo_execution_arm_run(core, fresh);
    fail_task(core, work);
    flo_execution_keep_signals_of(core, fresh, base);
    flo_reapply(core, chain, fresh);
    restart_activities(core, fresh);
    flo_user_timers_arm(core, fresh);
    ask_again(core, fresh);
    operate(core, work);
    flo_core_workflow_task_schedule(core, fresh);
    flo_execution_end(core, fresh, true);
}

int flo_reset_run(struct flo_core *core, const struct flo_reset *reset,
                  char out_run_id[FLO_UUID_LEN + 1], uint64_t *out_after, struct flo_status *status)
{
    struct work work = {.reset = reset};
    struct flo_reapply chain = {.reset = reset};
    struct flo_core_run_ref base, current;
    const char *again;
    int rc = check(core, reset, status);
    if (!rc)
        rc = find_runs(core, reset, &base, &current, &again, status);
    if (rc)
        return rc;
    if (again) {
        memcpy(out_run_id, again, FLO_UUID_LEN + 1);
        *out_after = current.execution ? flo_core_after(core, current.execution) : 0;
        return 0;
    }
    char run_id[FLO_UUID_LEN + 1];
    flo_core_new_id(core, run_id);
    work.base = base.execution;
    work.current = current.execution;
    work.base_revived = !base.execution;
    if (work.base_revived)
        rc = flo_execution_revive(core, &base, &work.base, status);
    if (!rc)
        rc = build(core, &work, run_id, status);
    if (!rc) {
        chain.base = work.base;
        chain.current = work.current;
        rc = flo_reapply_gather(core, &chain, status);
    }
    if (!rc) {
        change(core, &work, &chain);
        memcpy(out_run_id, run_id, sizeof run_id);
        *out_after = flo_core_after(core, work.fresh);
    } else {
        flo_execution_destroy(core, &work.fresh);
        if (work.base_revived)
            flo_execution_destroy(core, &work.base);
    }
    flo_reapply_fini(&chain);
    return rc;
}

/* ---- the call ---- */

static int check_request(struct flo_core *core,
                         const FloApi__ResetWorkflowExecutionRequest *request,
                         struct flo_status *status)
{
    if (!*request->request_id)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "RequestId is not set on request.");
    if (strlen(request->request_id) > FLO_CORE_ID_BYTES)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "RequestId length exceeds limit.");
    return flo_check_execution(core, request->workflow_execution, status);
}

void flo_rpc_reset_workflow_execution(struct flo_core *core, const struct flo_core_call_info *info,
                                      const void *message)
{
    const FloApi__ResetWorkflowExecutionRequest *request = message;
    struct flo_status status = {0};
    struct flo_namespace *ns = NULL;
    char run_id[FLO_UUID_LEN + 1];
    uint64_t after = 0;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc)
        rc = check_request(core, request, &status);
    if (!rc) {
        const struct flo_reset reset = {
            .ns = ns,
            .workflow_id = request->workflow_execution->workflow_id,
            .run_id = request->workflow_execution->run_id,
            .finish_id = request->workflow_task_finish_event_id,
            .request_id = request->request_id,
            .reason = request->reason,
            .reapply = request->reset_reapply_type,
            .exclude = request->reset_reapply_exclude_types,
            .n_exclude = request->n_reset_reapply_exclude_types,
            .operations = request->post_reset_operations,
            .n_operations = request->n_post_reset_operations,
        };
        rc = flo_reset_run(core, &reset, run_id, &after, &status);
    }
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    FloApi__ResetWorkflowExecutionResponse response =
        FLO_API__RESET_WORKFLOW_EXECUTION_RESPONSE__INIT;
    response.run_id = run_id;
    flo_reply_ok(core, info->id, after, &response.base);
}
