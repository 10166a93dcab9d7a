/* SPDX-License-Identifier: Apache-2.0 */
/* job_target.c - what batch jobs can do, checked as a whole and done to one run. */
#include <inttypes.h>
#include <stdio.h>

#include "engine/core/activity_operation.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/job.h"
#include "engine/core/message.h"
#include "engine/core/namespace.h"
#include "engine/core/options.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/reset.h"
#include "engine/core/runs.h"
#include "wire/payload.h"

typedef FloApi__StartBatchOperationRequest request_t;

#define CASE(name) FLO_API__START_BATCH_OPERATION_REQUEST__OPERATION_##name
#define TYPE(name) FLO_API__BATCH_OPERATION_TYPE__BATCH_OPERATION_TYPE_##name

const char *flo_job_identity(const request_t *request)
{
    switch (request->operation_case) {
    case CASE(TERMINATION_OPERATION):
        return request->termination_operation->identity;
    case CASE(SIGNAL_OPERATION):
        return request->signal_operation->identity;
    case CASE(CANCELLATION_OPERATION):
        return request->cancellation_operation->identity;
    case CASE(DELETION_OPERATION):
        return request->deletion_operation->identity;
    case CASE(RESET_OPERATION):
        return request->reset_operation->identity;
    case CASE(UPDATE_WORKFLOW_OPTIONS_OPERATION):
        return request->update_workflow_options_operation->identity;
    case CASE(UNPAUSE_ACTIVITIES_OPERATION):
        return request->unpause_activities_operation->identity;
    case CASE(RESET_ACTIVITIES_OPERATION):
        return request->reset_activities_operation->identity;
    case CASE(UPDATE_ACTIVITY_OPTIONS_OPERATION):
        return request->update_activity_options_operation->identity;
    default:
        return "";
    }
}

FloApi__BatchOperationType flo_job_type(const request_t *request)
{
    switch (request->operation_case) {
    case CASE(TERMINATION_OPERATION):
        return TYPE(TERMINATE);
    case CASE(SIGNAL_OPERATION):
        return TYPE(SIGNAL);
    case CASE(CANCELLATION_OPERATION):
        return TYPE(CANCEL);
    case CASE(DELETION_OPERATION):
        return TYPE(DELETE);
    case CASE(RESET_OPERATION):
        return TYPE(RESET);
    case CASE(UPDATE_WORKFLOW_OPTIONS_OPERATION):
        return TYPE(UPDATE_EXECUTION_OPTIONS);
    case CASE(UNPAUSE_ACTIVITIES_OPERATION):
        return TYPE(UNPAUSE_ACTIVITY);
    case CASE(RESET_ACTIVITIES_OPERATION):
        return TYPE(RESET_ACTIVITY);
    case CASE(UPDATE_ACTIVITY_OPTIONS_OPERATION):
        return TYPE(UPDATE_ACTIVITY_OPTIONS);
    default:
        return TYPE(UNSPECIFIED);
    }
}

bool flo_job_wants_open(const request_t *request)
{
    switch (request->operation_case) {
    case CASE(TERMINATION_OPERATION):
    case CASE(SIGNAL_OPERATION):
    case CASE(CANCELLATION_OPERATION):
    case CASE(UPDATE_WORKFLOW_OPTIONS_OPERATION):
    case CASE(UNPAUSE_ACTIVITIES_OPERATION):
    case CASE(RESET_ACTIVITIES_OPERATION):
    case CASE(UPDATE_ACTIVITY_OPTIONS_OPERATION):
        return true;
    default:
        return false;
    }
}

/* ---- checks ---- */

static int check_signal(struct flo_core *core, const FloApi__BatchOperationSignal *signal,
                        struct flo_status *status)
{
    if (!signal->signal[0])
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "SignalName is not set on request.");
    int rc = flo_check_id(core, "SignalName", signal->signal, status);
    if (!rc)
        rc = flo_check_blob(core, signal->input, status);
    return rc ? rc : flo_check_blob(core, signal->header, status);
}

/* The activities are named by a type, or all are meant. */
static int check_activities(struct flo_core *core, bool by_type, const char *type, bool all,
                            const char *sentence, struct flo_status *status)
{
    if (by_type ? *type != '\0' : all)
        return 0;
    return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "%s", sentence);
}

static int check_unpause(struct flo_core *core, const FloApi__BatchOperationUnpauseActivities *o,
                         struct flo_status *status)
{
    if (o->activity_case == FLO_API__BATCH_OPERATION_UNPAUSE_ACTIVITIES__ACTIVITY__NOT_SET)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "activity filter must be set");
    return check_activities(
        core, o->activity_case == FLO_API__BATCH_OPERATION_UNPAUSE_ACTIVITIES__ACTIVITY_TYPE,
        o->type, o->match_all,
        "Either activity type must be set, or match all should be set to true", status);
}

static int check_reset_activities(struct flo_core *core,
                                  const FloApi__BatchOperationResetActivities *o,
                                  struct flo_status *status)
{
    if (o->activity_case == FLO_API__BATCH_OPERATION_RESET_ACTIVITIES__ACTIVITY__NOT_SET)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "must provide ActivityType or MatchAll");
    return check_activities(
        core, o->activity_case == FLO_API__BATCH_OPERATION_RESET_ACTIVITIES__ACTIVITY_TYPE, o->type,
        o->match_all, "Either activity type must be set, or match all should be set to true",
        status);
}

static int check_update_activities(struct flo_core *core,
                                   const FloApi__BatchOperationUpdateActivityOptions *o,
                                   struct flo_status *status)
{
    static const char filter[] =
        "Either activity type must be set, or match all should be set to true";
    if (!o->activity_options && !o->restore_original)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Either activity type must be set, or restore original should be set "
                              "to true");
    return check_activities(
        core, o->activity_case == FLO_API__BATCH_OPERATION_UPDATE_ACTIVITY_OPTIONS__ACTIVITY_TYPE,
        o->type, o->match_all, filter, status);
}

static int check_reset(struct flo_core *core, const FloApi__BatchOperationReset *reset,
                       struct flo_status *status)
{
    if (reset->options)
        return reset->options->target_case != FLO_API__RESET_OPTIONS__TARGET__NOT_SET
                   ? 0
                   : flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                                    "batch reset missing target");
    switch (reset->reset_type) {
    case FLO_API__RESET_TYPE__RESET_TYPE_FIRST_WORKFLOW_TASK:
    case FLO_API__RESET_TYPE__RESET_TYPE_LAST_WORKFLOW_TASK:
        return 0;
    case FLO_API__RESET_TYPE__RESET_TYPE_UNSPECIFIED:
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "unknown batch reset type Unspecified");
    default:
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "unknown batch reset type %d", (int)reset->reset_type);
    }
}

int flo_job_check(struct flo_core *core, const request_t *request, struct flo_status *status)
{
    switch (request->operation_case) {
    case CASE(TERMINATION_OPERATION):
        return flo_check_blob(core, request->termination_operation->details, status);
    case CASE(SIGNAL_OPERATION):
        return check_signal(core, request->signal_operation, status);
    case CASE(RESET_OPERATION):
        return check_reset(core, request->reset_operation, status);
    case CASE(UPDATE_WORKFLOW_OPTIONS_OPERATION):
        return flo_options_check(
            core, request->update_workflow_options_operation->workflow_execution_options,
            request->update_workflow_options_operation->update_mask, status);
    case CASE(UNPAUSE_ACTIVITIES_OPERATION):
        return check_unpause(core, request->unpause_activities_operation, status);
    case CASE(RESET_ACTIVITIES_OPERATION):
        return check_reset_activities(core, request->reset_activities_operation, status);
    case CASE(UPDATE_ACTIVITY_OPTIONS_OPERATION):
        return check_update_activities(core, request->update_activity_options_operation, status);
    default:
        return 0;
    }
}

/* ---- one run ---- */

static int signal(struct flo_core *core, struct flo_execution *execution, const request_t *request,
                  struct flo_status *status)
{
    const FloApi__BatchOperationSignal *o = request->signal_operation;
    FloApi__WorkflowExecutionSignaledEventAttributes event =
        FLO_API__WORKFLOW_EXECUTION_SIGNALED_EVENT_ATTRIBUTES__INIT;
    event.signal_name = o->signal;
    event.input = o->input;
    event.header = o->header;
    event.identity = o->identity;
    return flo_execution_signal(core, execution, &event, NULL, 0, status);
}

static void cancel(struct flo_core *core, struct flo_execution *execution, const request_t *request)
{
    FloApi__WorkflowExecutionCancelRequestedEventAttributes event =
        FLO_API__WORKFLOW_EXECUTION_CANCEL_REQUESTED_EVENT_ATTRIBUTES__INIT;
    event.identity = request->cancellation_operation->identity;
    flo_execution_request_cancel(core, execution, "", &event);
}

static struct flo_activity_selector selector(bool by_type, const char *type)
{
    return (struct flo_activity_selector){by_type ? FLO_ACTIVITY_BY_TYPE : FLO_ACTIVITY_ALL, type};
}

static int unpause(struct flo_core *core, struct flo_execution *execution, const request_t *request,
                   struct flo_status *status)
{
    const FloApi__BatchOperationUnpauseActivities *o = request->unpause_activities_operation;
    const struct flo_activity_selector which = selector(
        o->activity_case == FLO_API__BATCH_OPERATION_UNPAUSE_ACTIVITIES__ACTIVITY_TYPE, o->type);
    const struct flo_activity_unpause how = {.reset_attempts = o->reset_attempts,
                                             .reset_heartbeat = o->reset_heartbeat,
                                             .jitter_ns = flo_duration_ns(o->jitter)};
    return flo_activities_unpause(core, execution, &which, &how, status);
}

static int reset_activities(struct flo_core *core, struct flo_execution *execution,
                            const request_t *request, struct flo_status *status)
{
    const FloApi__BatchOperationResetActivities *o = request->reset_activities_operation;
    const struct flo_activity_selector which = selector(
        o->activity_case == FLO_API__BATCH_OPERATION_RESET_ACTIVITIES__ACTIVITY_TYPE, o->type);
    const struct flo_activity_reset how = {.reset_heartbeat = o->reset_heartbeat,
                                           .keep_paused = o->keep_paused,
                                           .restore_original_options = o->restore_original_options,
                                           .jitter_ns = flo_duration_ns(o->jitter)};
    return flo_activities_reset(core, execution, &which, &how, status);
}

static int update_activities(struct flo_core *core, struct flo_execution *execution,
                             const request_t *request, struct flo_status *status)
{
    const FloApi__BatchOperationUpdateActivityOptions *o =
        request->update_activity_options_operation;
    const struct flo_activity_selector which = selector(
        o->activity_case == FLO_API__BATCH_OPERATION_UPDATE_ACTIVITY_OPTIONS__ACTIVITY_TYPE,
        o->type);
    const struct flo_activity_options_update how = {.options = o->activity_options,
                                                    .mask = o->update_mask,
                                                    .restore_original = o->restore_original};
    FloApi__ActivityOptions *updated;
    return flo_activities_update_options(core, execution, &which, &how, &updated, status);
}

static int update_options(struct flo_core *core, struct flo_execution *execution,
                          const request_t *request, struct flo_status *status)
{
    const FloApi__BatchOperationUpdateWorkflowExecutionOptions *o =
        request->update_workflow_options_operation;
    FloApi__WorkflowExecutionOptions *updated;
    return flo_options_update(core, execution, o->workflow_execution_options, o->update_mask,
                              &updated, NULL, status);
}

/* Where to, as options say it; the older way to say it becomes those. */
static FloApi__ResetOptions reset_options(const FloApi__BatchOperationReset *reset)
{
    FloApi__ResetOptions out = FLO_API__RESET_OPTIONS__INIT;
    if (reset->options)
        return *reset->options;
    out.reset_reapply_type = reset->reset_reapply_type;
    out.target_case = reset->reset_type == FLO_API__RESET_TYPE__RESET_TYPE_FIRST_WORKFLOW_TASK
                          ? FLO_API__RESET_OPTIONS__TARGET_FIRST_WORKFLOW_TASK
                          : FLO_API__RESET_OPTIONS__TARGET_LAST_WORKFLOW_TASK;
    return out;
}

/* The request id is that of this target of this job: done twice, it makes one run. */
static int reset(struct flo_core *core, const struct flo_job *job,
                 const struct flo_job_target *target, uint64_t number, struct flo_status *status)
{
    const FloApi__BatchOperationReset *o = job->request->reset_operation;
    const FloApi__ResetOptions options = reset_options(o);
    char base_run_id[FLO_UUID_LEN + 1], new_run_id[FLO_UUID_LEN + 1];
    char request_id[FLO_UUID_LEN + 24]; /* run id of the job, a number */
    int64_t finish_id;
    uint64_t after;
    int rc = flo_reset_find_target(core, job->ns, target->workflow_id, target->run_id, &options,
                                   base_run_id, &finish_id, status);
    if (rc)
        return rc;
    snprintf(request_id, sizeof request_id, "%s-%" PRIu64, job->run_id, number);
    const struct flo_reset how = {
        .ns = job->ns,
        .workflow_id = target->workflow_id,
        .run_id = base_run_id,
        .finish_id = finish_id,
        .request_id = request_id,
        .reason = job->request->reason,
        .reapply = options.reset_reapply_type,
        .exclude = options.reset_reapply_exclude_types,
        .n_exclude = options.n_reset_reapply_exclude_types,
        .operations = o->post_reset_operations,
        .n_operations = o->n_post_reset_operations,
    };
    return flo_reset_run(core, &how, new_run_id, &after, status);
}

/* What ends with flo_execution_end here; the others end their transition themselves. */
static int do_open(struct flo_core *core, struct flo_execution *execution, const request_t *request,
                   struct flo_status *status)
{
    int rc = 0;
    switch (request->operation_case) {
    case CASE(TERMINATION_OPERATION):
        flo_execution_terminate(core, execution, request->reason,
                                request->termination_operation->details,
                                request->termination_operation->identity);
        break;
    case CASE(CANCELLATION_OPERATION):
        if (execution->cancel_requested)
            return 0;
        cancel(core, execution, request);
        break;
    case CASE(SIGNAL_OPERATION):
        rc = signal(core, execution, request, status);
        break;
    case CASE(UPDATE_WORKFLOW_OPTIONS_OPERATION):
        rc = update_options(core, execution, request, status);
        break;
    case CASE(UNPAUSE_ACTIVITIES_OPERATION):
        return unpause(core, execution, request, status);
    case CASE(RESET_ACTIVITIES_OPERATION):
        return reset_activities(core, execution, request, status);
    case CASE(UPDATE_ACTIVITY_OPTIONS_OPERATION):
        return update_activities(core, execution, request, status);
    default:
        return 0;
    }
    if (!rc)
        flo_execution_end(core, execution, true);
    return rc;
}

/* 0, or why not. */
static int do_it(struct flo_core *core, struct flo_job *job, const struct flo_job_target *target,
                 uint64_t number, struct flo_status *status)
{
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    struct flo_core_run_ref run;
    execution.workflow_id = flo_text(target->workflow_id);
    execution.run_id = flo_text(target->run_id);
    int rc = flo_check_execution(core, &execution, status);
    if (!rc && job->request->operation_case == CASE(RESET_OPERATION))
        return reset(core, job, target, number, status);
    if (!rc)
        rc = flo_core_find_run(core, job->ns, target->workflow_id, target->run_id, &run, status);
    if (rc)
        return rc;
    if (job->request->operation_case == CASE(DELETION_OPERATION))
        return flo_core_delete_whole_run(core, &run) ? flo_status_no_memory(status) : 0;
    if (!run.execution || !flo_execution_is_open(run.execution))
        return 0; /* it is over */
    return do_open(core, run.execution, job->request, status);
}

bool flo_job_do(struct flo_core *core, struct flo_job *job, const struct flo_job_target *target,
                uint64_t number)
{
    struct flo_status status = {0};
    return do_it(core, job, target, number, &status) == 0 || status.code == FLO_GRPC_NOT_FOUND;
}
