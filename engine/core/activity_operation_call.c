/* SPDX-License-Identifier: Apache-2.0 */
/* activity_operation_call.c - the calls of operators about pending activities. */
#include <string.h>

#include "engine/core/activity_operation.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/runs.h"
#include "wire/payload.h"

/* The open run of a request that names activities; named: does it? */
static int find(struct flo_core *core, const char *namespace_name,
                const FloApi__WorkflowExecution *ids, bool named, struct flo_execution **out,
                struct flo_status *status)
{
    struct flo_namespace *ns;
    struct flo_core_run_ref run;
    int rc = flo_namespace_find(core, namespace_name, &ns, status);
    if (!rc && (!ids || !ids->workflow_id[0]))
        rc = flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                            "WorkflowId is not set on request.");
    if (!rc && !named)
        rc = flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                            "Either Activity.Id or Activity.Type should be set on request.");
    if (!rc && ids->run_id[0] && !flo_uuid_valid(ids->run_id, strlen(ids->run_id)))
        rc = flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "RunId is not valid UUID.");
    if (!rc)
        rc = flo_core_find_run(core, ns, ids->workflow_id, ids->run_id, &run, status);
    if (rc)
        return rc;
    if (!run.execution || !flo_execution_is_open(run.execution))
        return flo_status_not_found(core, status, "workflow execution already completed");
    *out = run.execution;
    return 0;
}

/* The selector of a request: which of its oneof's members is set. ALL that is set to false means
 * none, hence an id that nothing has. */
#define SELECTOR(request, PREFIX, ALL, all)                                                        \
    ((request)->activity_case == PREFIX##_ACTIVITY_TYPE                                            \
         ? (struct flo_activity_selector){FLO_ACTIVITY_BY_TYPE, (request)->type}                   \
     : (request)->activity_case == PREFIX##_ACTIVITY_##ALL && (request)->all                       \
         ? (struct flo_activity_selector){FLO_ACTIVITY_ALL, ""}                                    \
     : (request)->activity_case == PREFIX##_ACTIVITY_ID                                            \
         ? (struct flo_activity_selector){FLO_ACTIVITY_BY_ID, (request)->id}                       \
         : (struct flo_activity_selector){FLO_ACTIVITY_BY_ID, ""})

static void answer(struct flo_core *core, const struct flo_core_call_info *info, int rc,
                   const struct flo_execution *execution, const ProtobufCMessage *response,
                   const struct flo_status *status)
{
    if (rc)
        flo_reply_status(core, info->id, 0, status);
    else
        flo_reply_ok(core, info->id, flo_core_after(core, execution), response);
}

void flo_rpc_pause_activity(struct flo_core *core, const struct flo_core_call_info *info,
                            const void *message)
{
    static const FloApi__PauseActivityResponse response = FLO_API__PAUSE_ACTIVITY_RESPONSE__INIT;
    const FloApi__PauseActivityRequest *request = message;
    const struct flo_activity_pause pause = {request->identity, request->reason};
    const bool by_type = request->activity_case == FLO_API__PAUSE_ACTIVITY_REQUEST__ACTIVITY_TYPE;
    const struct flo_activity_selector selector = {
        by_type ? FLO_ACTIVITY_BY_TYPE : FLO_ACTIVITY_BY_ID, by_type ? request->type : request->id};
    struct flo_execution *execution = NULL;
    struct flo_status status = {0};
    int rc = find(core, request->namespace_, request->execution, request->activity_case != 0,
                  &execution, &status);
    if (!rc)
        rc = flo_activities_pause(core, execution, &selector, &pause, &status);
    answer(core, info, rc, execution, &response.base, &status);
}

void flo_rpc_unpause_activity(struct flo_core *core, const struct flo_core_call_info *info,
                              const void *message)
{
    static const FloApi__UnpauseActivityResponse response =
        FLO_API__UNPAUSE_ACTIVITY_RESPONSE__INIT;
    const FloApi__UnpauseActivityRequest *request = message;
    const struct flo_activity_selector selector =
        SELECTOR(request, FLO_API__UNPAUSE_ACTIVITY_REQUEST_, UNPAUSE_ALL, unpause_all);
    const struct flo_activity_unpause how = {
        .reset_attempts = request->reset_attempts,
        .reset_heartbeat = request->reset_heartbeat,
        .jitter_ns = flo_duration_ns(request->jitter),
    };
    struct flo_execution *execution = NULL;
    struct flo_status status = {0};
    int rc = find(core, request->namespace_, request->execution, request->activity_case != 0,
                  &execution, &status);
    if (!rc)
        rc = flo_activities_unpause(core, execution, &selector, &how, &status);
    answer(core, info, rc, execution, &response.base, &status);
}

void flo_rpc_reset_activity(struct flo_core *core, const struct flo_core_call_info *info,
                            const void *message)
{
    static const FloApi__ResetActivityResponse response = FLO_API__RESET_ACTIVITY_RESPONSE__INIT;
    const FloApi__ResetActivityRequest *request = message;
    const struct flo_activity_selector selector =
        SELECTOR(request, FLO_API__RESET_ACTIVITY_REQUEST_, MATCH_ALL, match_all);
    const struct flo_activity_reset how = {
        .reset_heartbeat = request->reset_heartbeat,
        .keep_paused = request->keep_paused,
        .restore_original_options = request->restore_original_options,
        .jitter_ns = flo_duration_ns(request->jitter),
    };
    struct flo_execution *execution = NULL;
    struct flo_status status = {0};
    int rc = find(core, request->namespace_, request->execution, request->activity_case != 0,
                  &execution, &status);
    if (!rc)
        rc = flo_activities_reset(core, execution, &selector, &how, &status);
    answer(core, info, rc, execution, &response.base, &status);
}

void flo_rpc_update_activity_options(struct flo_core *core, const struct flo_core_call_info *info,
                                     const void *message)
{
    const FloApi__UpdateActivityOptionsRequest *request = message;
    FloApi__UpdateActivityOptionsResponse response =
        FLO_API__UPDATE_ACTIVITY_OPTIONS_RESPONSE__INIT;
    const struct flo_activity_selector selector =
        SELECTOR(request, FLO_API__UPDATE_ACTIVITY_OPTIONS_REQUEST_, MATCH_ALL, match_all);
    const struct flo_activity_options_update update = {
        .options = request->activity_options,
        .mask = request->update_mask,
        .restore_original = request->restore_original,
    };
    struct flo_execution *execution = NULL;
    struct flo_status status = {0};
    int rc = find(core, request->namespace_, request->execution, request->activity_case != 0,
                  &execution, &status);
    if (!rc)
        rc = flo_activities_update_options(core, execution, &selector, &update,
                                           &response.activity_options, &status);
    answer(core, info, rc, execution, &response.base, &status);
}
