/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update_call.c - the callers of updates: UpdateWorkflowExecution, PollWorkflowExecutionUpdate, and
 * the update of an ExecuteMultiOperation (multi_operation.c).
 *
 * Both wait for a stage. They are answered at the end of the step that reaches it, once it is
 * durable; after 20 seconds with the stage that there is, so that they ask again.
 */
#include <string.h>

#include "base/alloc.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/methods.h"
#include "engine/core/multi_operation.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "engine/core/update.h"
#include "flotilla/engine_state.pb-c.h"

#define STAGE(name)                                                                                \
    FLO_API__UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE__UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_##name

/* The caller's own timer comes before ours, which is for callers that have none. */
#define CALLER_FIRST_NS (100 * FLO_NS_PER_MS)

enum { FAILED_ATTEMPTS = 3 };

typedef FloApi__UpdateWorkflowExecutionLifecycleStage stage_t;

/* Which call waits. */
enum waiter_kind { WAITS_UPDATE, WAITS_POLL, WAITS_MULTI_OPERATION };

/* A call that waits. */
struct update_waiter {
    struct flo_waiting waiting;
    struct flo_node node; /* flo_update.waiters */
    struct flo_update *update;
    struct flo_execution *execution;
    struct flo_core_timer timer;
    stage_t wanted;
    enum waiter_kind kind;
    bool started; /* multi-operation: its start made the run */
    bool hard;    /* the timer is the caller's deadline */
};

/* ---- what an update has come to ---- */

struct standing {
    stage_t stage;
    FloApi__Outcome *outcome; /* COMPLETED; scratch */
};

static FloApi__Outcome *outcome_new(struct flo_core *core, FloApi__Failure *failure)
{
    FloApi__Outcome *outcome = flo_arena_alloc(&core->scratch, sizeof *outcome);
    if (!outcome)
        return NULL;
    flo_api__outcome__init(outcome);
    outcome->value_case = FLO_API__OUTCOME__VALUE_FAILURE;
    outcome->failure = failure;
    return outcome;
}

/* The run closed before an update that it had accepted was completed. */
static FloApi__Outcome *outcome_unfinished(struct flo_core *core)
{
    FloApi__ApplicationFailureInfo *info = flo_arena_alloc(&core->scratch, sizeof *info);
    FloApi__Failure *failure = flo_arena_alloc(&core->scratch, sizeof *failure);
    if (!info || !failure)
        return NULL;
    flo_api__application_failure_info__init(info);
    flo_api__failure__init(failure);
    info->type = flo_text("AcceptedUpdateCompletedWorkflow");
    info->non_retryable = true;
    failure->message = flo_text("Workflow Update failed because the Workflow completed before the "
                                "Update completed.");
    failure->source = flo_text("Server");
    failure->failure_info_case = FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO;
    failure->application_failure_info = info;
    return outcome_new(core, failure);
}

static FloApi__Outcome *outcome_recorded(struct flo_core *core,
                                         const struct flo_execution *execution, int64_t event_id)
{
    const FloApi__HistoryEvent *event =
        flo_history_decode(&execution->history, event_id, &core->scratch);
    return event ? event->workflow_execution_update_completed_event_attributes->outcome : NULL;
}

/* 0, FLO_ENOMEM. ABORTED ones have no standing. */
static int standing_of(struct flo_core *core, const struct flo_execution *execution,
                       const struct flo_update *update, struct standing *out)
{
    *out = (struct standing){.stage = STAGE(ADMITTED)};
    switch (update->stage) {
    case FLO_UPDATE_ACCEPTED:
        out->stage = STAGE(ACCEPTED);
        if (flo_execution_is_open(execution))
            return 0;
        out->outcome = outcome_unfinished(core);
        break;
    case FLO_UPDATE_COMPLETED:
        out->outcome = outcome_recorded(core, execution, update->completed_id);
        break;
    case FLO_UPDATE_REJECTED:
        out->outcome = outcome_new(
            core, flo_blob_decode(core, &update->failure, &flo_api__failure__descriptor));
        break;
    default:
        return 0;
    }
    out->stage = STAGE(COMPLETED);
    return out->outcome ? 0 : FLO_ENOMEM;
}

/* ---- answers ---- */

/* The names of an update in an answer. */
struct naming {
    const char *workflow_id, *run_id, *update_id;
};

static void reply_standing(struct flo_core *core, uint64_t call, uint64_t after,
                           enum waiter_kind kind, bool started, const struct naming *naming,
                           const struct standing *standing)
{
    FloApi__WorkflowExecution run = FLO_API__WORKFLOW_EXECUTION__INIT;
    FloApi__UpdateRef ref = FLO_API__UPDATE_REF__INIT;
    run.workflow_id = flo_text(naming->workflow_id);
    run.run_id = flo_text(naming->run_id);
    ref.workflow_execution = &run;
    ref.update_id = flo_text(naming->update_id);
    if (kind == WAITS_POLL) {
        FloApi__PollWorkflowExecutionUpdateResponse response =
            FLO_API__POLL_WORKFLOW_EXECUTION_UPDATE_RESPONSE__INIT;
        response.update_ref = &ref;
        response.outcome = standing->outcome;
        response.stage = standing->stage;
        flo_reply_ok(core, call, after, &response.base);
        return;
    }
    FloApi__UpdateWorkflowExecutionResponse response =
        FLO_API__UPDATE_WORKFLOW_EXECUTION_RESPONSE__INIT;
    response.update_ref = &ref;
    response.outcome = standing->outcome;
    response.stage = standing->stage;
    if (kind == WAITS_MULTI_OPERATION)
        flo_multi_operation_reply(core, call, after, started, &response);
    else
        flo_reply_ok(core, call, after, &response.base);
}

static void waiter_free(struct flo_core *core, struct update_waiter *waiter)
{
    flo_core_wait_over(core, &waiter->waiting);
    flo_core_timers_clear(&core->waits, &waiter->timer);
    flo_list_remove(&waiter->update->waiters, &waiter->node);
    flo_free(waiter);
}

static void waiter_drop(struct flo_core *core, struct flo_waiting *waiting)
{
    waiter_free(core, flo_container(waiting, struct update_waiter, waiting));
}

static void waiter_refuse(struct flo_core *core, struct update_waiter *waiter, uint64_t after,
                          const struct flo_status *status)
{
    const uint64_t call = waiter->waiting.call;
    const bool multi = waiter->kind == WAITS_MULTI_OPERATION;
    waiter_free(core, waiter);
    if (multi)
        flo_multi_operation_refuse(core, call, after, true, status);
    else
        flo_reply_status(core, call, after, status);
}

/* Why an update came to nothing. */
static void aborted(struct flo_core *core, const struct flo_update *update,
                    struct flo_status *status)
{
    switch (update->abort) {
    case FLO_UPDATE_RUN_CLOSED:
        flo_status_put_not_found(core, status, "workflow update was aborted by closing workflow");
        return;
    case FLO_UPDATE_RUN_CONTINUED:
        flo_status_put_exhausted(
            core, status, FLO_API__RESOURCE_EXHAUSTED_CAUSE__RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW,
            "workflow operation can not be applied because workflow is closing");
        return;
    case FLO_UPDATE_TASK_REFUSED:
        (void)flo_status_not_ready(core, status,
                                   "Unable to perform workflow execution update due to unexpected "
                                   "workflow task failure.");
        return;
    }
}

/* Tell a waiter how its update stands. */
static void waiter_answer(struct flo_core *core, struct update_waiter *waiter, uint64_t after)
{
    const struct flo_execution *execution = waiter->execution;
    const struct naming naming = {execution->workflow_id, execution->run_id, waiter->update->id};
    struct standing standing;
    struct flo_status status;
    if (standing_of(core, execution, waiter->update, &standing)) {
        flo_status_no_memory(&status);
        waiter_refuse(core, waiter, 0, &status);
        return;
    }
    reply_standing(core, waiter->waiting.call, after, waiter->kind, waiter->started, &naming,
                   &standing);
    waiter_free(core, waiter);
}

static bool far_enough(const struct flo_execution *execution, const struct flo_update *update,
                       stage_t wanted)
{
    switch (update->stage) {
    case FLO_UPDATE_ADMITTED:
    case FLO_UPDATE_SENT:
        return wanted < STAGE(ACCEPTED);
    case FLO_UPDATE_ACCEPTED:
        return wanted < STAGE(COMPLETED) || !flo_execution_is_open(execution);
    default:
        return true;
    }
}

void flo_update_answer(struct flo_core *core, struct flo_execution *execution,
                       struct flo_update *update)
{
    const uint64_t after = flo_core_after(core, execution);
    FLO_LIST_FOREACH_SAFE(node, &update->waiters)
    {
        struct update_waiter *waiter = flo_container(node, struct update_waiter, node);
        struct flo_status status = {0};
        if (update->stage == FLO_UPDATE_ABORTED) {
            aborted(core, update, &status);
            waiter_refuse(core, waiter, after, &status);
        } else if (far_enough(execution, update, waiter->wanted)) {
            waiter_answer(core, waiter, after);
        }
    }
}

void flo_update_answer_error(struct flo_core *core, struct flo_update *update,
                             const struct flo_status *status)
{
    FLO_LIST_FOREACH_SAFE(node, &update->waiters)
    {
        waiter_refuse(core, flo_container(node, struct update_waiter, node), 0, status);
    }
}

/* ---- waiting ---- */

static void waiter_due(struct flo_core *core, struct flo_core_timer *timer)
{
    struct update_waiter *waiter = flo_container(timer, struct update_waiter, timer);
    struct flo_status status = {0};
    if (!waiter->hard) {
        waiter_answer(core, waiter, flo_core_after(core, waiter->execution));
        return;
    }
    flo_status_set(core, &status, FLO_GRPC_DEADLINE_EXCEEDED, "context deadline exceeded");
    waiter_refuse(core, waiter, 0, &status);
}

/* Let a call wait until its update is settled: at once, when it is far enough. */
static int wait_for(struct flo_core *core, const struct flo_core_call_info *info,
                    struct flo_execution *execution, struct flo_update *update, stage_t wanted,
                    enum waiter_kind kind, bool started, struct flo_status *status)
{
    const int64_t soft = flo_add_ns(core->now_ns, FLO_CORE_LONG_POLL_NS);
    const int64_t hard = flo_add_ns(info->deadline_ns, CALLER_FIRST_NS);
    struct update_waiter *waiter = flo_calloc(1, sizeof *waiter);
    if (!waiter)
        return flo_status_no_memory(status);
    waiter->waiting = (struct flo_waiting){.call = info->id, .drop = waiter_drop};
    waiter->update = update;
    waiter->execution = execution;
    waiter->wanted = wanted;
    waiter->kind = kind;
    waiter->started = started;
    waiter->hard = hard < soft;
    flo_list_push_back(&update->waiters, &waiter->node);
    flo_update_watch(execution, update);
    if (flo_core_wait(core, &waiter->waiting) ||
        flo_core_timers_set(&core->waits, &waiter->timer, waiter->hard ? hard : soft, waiter_due)) {
        waiter_free(core, waiter);
        return flo_status_no_memory(status);
    }
    flo_core_touch(core, execution, false); /* flo_update_settle answers it */
    return 0;
}

/* ---- runs that are only stored ---- */

/* How an update of a stored run stands. 0; FLO_ENOENT: the run never accepted it; with status:
 * FLO_ENOMEM, FLO_EDATA, FLO_EIO. */
static int stored_standing(struct flo_core *core, const struct flo_core_run_ref *run,
                           const char *update_id, struct standing *out, struct flo_status *status)
{
    *out = (struct standing){.stage = STAGE(COMPLETED)};
    int rc = flo_update_find_stored(core, run, update_id, &out->outcome, status);
    if (rc || out->outcome)
        return rc;
    out->outcome = outcome_unfinished(core);
    return out->outcome ? 0 : flo_status_no_memory(status);
}

/* ---- UpdateWorkflowExecution ---- */

int flo_update_check(struct flo_core *core, const FloApi__UpdateWorkflowExecutionRequest *request,
                     struct flo_status *status)
{
    const FloApi__Request *update = request->request;
    int rc = flo_check_execution(core, request->workflow_execution, status);
    if (rc)
        return rc;
    if (!update || !update->meta)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Update meta is not set on request.");
    if (strnlen(update->meta->update_id, FLO_CORE_ID_BYTES + 1) > FLO_CORE_ID_BYTES)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "UpdateId length exceeds limit.");
    if (!update->input)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Update input is not set on request.");
    if (!*update->input->name)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Update name is not set on request.");
    if (!request->wait_policy)
        return 0;
    if (request->wait_policy->lifecycle_stage == STAGE(ADMITTED)) {
        static const FloApi__PermissionDeniedFailure detail =
            FLO_API__PERMISSION_DENIED_FAILURE__INIT;
        *status = (struct flo_status){
            .code = FLO_GRPC_PERMISSION_DENIED,
            .message = "UpdateWorkflowExecution issued asynchronously and waiting on update "
                       "admitted is not supported.",
            .detail = &detail.base};
        return FLO_ERPC;
    }
    return flo_check_enum(core, "LifecycleStage",
                          &flo_api__update_workflow_execution_lifecycle_stage__descriptor,
                          (int)request->wait_policy->lifecycle_stage, status);
}

/* May the run take the update on at all? */
static int check_run(struct flo_core *core, const struct flo_execution *execution,
                     struct flo_status *status)
{
    if (execution->workflow_task.attempt >= FAILED_ATTEMPTS)
        return flo_status_not_ready(core, status,
                                    "Unable to perform workflow execution update due to Workflow "
                                    "Task in failed state.");
    if (execution->workflow_task.stage == FLO_CORE_WORKFLOW_TASK_STARTED &&
        execution->workflow_task.close_attempted)
        return flo_status_exhausted(
            core, status, FLO_API__RESOURCE_EXHAUSTED_CAUSE__RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW,
            "workflow operation can not be applied because workflow is closing");
    return 0;
}

static int update_open_run(struct flo_core *core, struct flo_execution *execution,
                           const char *update_id,
                           const FloApi__UpdateWorkflowExecutionRequest *request,
                           struct flo_update **out, struct flo_status *status)
{
    int rc = check_run(core, execution, status);
    if (rc)
        return rc;
    *out = flo_update_find(execution, update_id);
    if (*out)
        return 0;
    /* A worker finds the id in the request, also when the caller left it to us. */
    FloApi__Meta meta = *request->request->meta;
    FloApi__Request named = *request->request;
    meta.update_id = flo_text(update_id);
    named.meta = &meta;
    rc = flo_update_admit(core, execution, update_id, &named, false, out, status);
    if (!rc)
        flo_update_schedule(core, execution);
    return rc;
}

/* The outcome of an update of a run that is only stored, or status. */
static int answer_stored(struct flo_core *core, uint64_t call, const struct flo_core_run_ref *run,
                         const char *update_id, enum waiter_kind kind, struct flo_status *status)
{
    const struct naming naming = {run->stored.workflow_id, run->stored.run_id, update_id};
    struct standing standing;
    int rc = stored_standing(core, run, update_id, &standing, status);
    if (!rc)
        reply_standing(core, call, 0, kind, false, &naming, &standing);
    else if (rc == FLO_ENOENT && kind == WAITS_POLL)
        flo_status_put_not_found(core, status, "update \"%s\" not found", update_id);
    else if (rc == FLO_ENOENT)
        flo_status_put_not_found(core, status, "workflow execution already completed");
    return rc;
}

/* Admit the update, unless the run knows it, and let the call wait for it. */
static int ask(struct flo_core *core, const struct flo_core_call_info *info,
               const struct flo_core_run_ref *run,
               const FloApi__UpdateWorkflowExecutionRequest *request, enum waiter_kind kind,
               bool started, struct flo_status *status)
{
    struct flo_update *update = NULL;
    char new_id[FLO_UUID_LEN + 1];
    const char *update_id = request->request->meta->update_id;
    if (!*update_id) {
        flo_rng_uuid4(&core->rng, new_id);
        update_id = new_id;
    }
    if (!run->execution)
        return answer_stored(core, info->id, run, update_id, kind, status);
    int rc = 0;
    if (flo_execution_is_open(run->execution))
        rc = update_open_run(core, run->execution, update_id, request, &update, status);
    else if (!(update = flo_update_find(run->execution, update_id)))
        rc = flo_status_not_found(core, status, "workflow execution already completed");
    stage_t wanted =
        request->wait_policy ? request->wait_policy->lifecycle_stage : STAGE(UNSPECIFIED);
    if (wanted == STAGE(UNSPECIFIED))
        wanted = STAGE(COMPLETED);
    return rc ? rc : wait_for(core, info, run->execution, update, wanted, kind, started, status);
}

int flo_update_ask_with_start(struct flo_core *core, const struct flo_core_call_info *info,
                              const struct flo_core_run_ref *run,
                              const FloApi__UpdateWorkflowExecutionRequest *request, bool started,
                              struct flo_status *status)
{
    return ask(core, info, run, request, WAITS_MULTI_OPERATION, started, status);
}

int flo_update_is_known(struct flo_core *core, const struct flo_core_run_ref *run, const char *id,
                        bool *out, struct flo_status *status)
{
    struct standing standing;
    if (run->execution || !*id) {
        *out = *id && flo_update_find(run->execution, id);
        return 0;
    }
    int rc = stored_standing(core, run, id, &standing, status);
    *out = rc == 0;
    return rc == FLO_ENOENT ? 0 : rc;
}

void flo_rpc_update_workflow_execution(struct flo_core *core, const struct flo_core_call_info *info,
                                       const void *message)
{
    const FloApi__UpdateWorkflowExecutionRequest *request = message;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    struct flo_core_run_ref run;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc)
        rc = flo_update_check(core, request, &status);
    if (!rc)
        rc = flo_core_find_run(core, ns, request->workflow_execution->workflow_id,
                               request->workflow_execution->run_id, &run, &status);
    if (!rc && *request->first_execution_run_id &&
        strcmp(request->first_execution_run_id,
               run.execution ? run.execution->first_run_id : run.state->first_run_id) != 0)
        rc = flo_status_not_found(core, &status, "workflow execution not found");
    if (!rc)
        rc = ask(core, info, &run, request, WAITS_UPDATE, false, &status);
    if (rc)
        flo_reply_status(core, info->id, 0, &status);
}

/* ---- PollWorkflowExecutionUpdate ---- */

static int check_ref(struct flo_core *core, const FloApi__UpdateRef *ref, struct flo_status *status)
{
    if (!ref)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "UpdateRef is not set on request.");
    if (!ref->workflow_execution || !*ref->workflow_execution->workflow_id)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Can't load workflow execution.  WorkflowId not set.");
    const char *run_id = ref->workflow_execution->run_id;
    if (*run_id && !flo_uuid_valid(run_id, strlen(run_id)))
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "RunId is not valid UUID.");
    return flo_check_execution(core, ref->workflow_execution, status);
}

void flo_rpc_poll_workflow_execution_update(struct flo_core *core,
                                            const struct flo_core_call_info *info,
                                            const void *message)
{
    const FloApi__PollWorkflowExecutionUpdateRequest *request = message;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    struct flo_core_run_ref run;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc)
        rc = check_ref(core, request->update_ref, &status);
    if (!rc && request->wait_policy)
        rc = flo_check_enum(core, "LifecycleStage",
                            &flo_api__update_workflow_execution_lifecycle_stage__descriptor,
                            (int)request->wait_policy->lifecycle_stage, &status);
    if (!rc)
        rc = flo_core_find_run(core, ns, request->update_ref->workflow_execution->workflow_id,
                               request->update_ref->workflow_execution->run_id, &run, &status);
    if (!rc && !run.execution) {
        rc = answer_stored(core, info->id, &run, request->update_ref->update_id, WAITS_POLL,
                           &status);
    } else if (!rc) {
        const char *update_id = request->update_ref->update_id;
        struct flo_update *update = flo_update_find(run.execution, update_id);
        const stage_t wanted =
            request->wait_policy ? request->wait_policy->lifecycle_stage : STAGE(UNSPECIFIED);
        if (!update)
            rc = flo_status_not_found(core, &status, "update \"%s\" not found", update_id);
        else
            rc = wait_for(core, info, run.execution, update, wanted, WAITS_POLL, false, &status);
    }
    if (rc)
        flo_reply_status(core, info->id, 0, &status);
}
