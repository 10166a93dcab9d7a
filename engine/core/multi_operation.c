/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multi_operation.c - ExecuteMultiOperation, which is update-with-start: start a workflow unless it
 * runs, and send it an update, in one step.
 *
 * Whatever can be refused is refused before the start. The call is answered when the update is as
 * far as it asks for; an error tells of both operations.
 */
#include "engine/core/multi_operation.h"

#include <string.h>

#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/request.h"
#include "engine/core/runs.h"
#include "engine/core/start.h"
#include "engine/core/update.h"
#include "wire/decode.h"
#include "wire/payload.h"

#define FAILED_TEXT "Update-with-Start could not be executed."

typedef FloApi__MultiOperationExecutionFailure__OperationStatus operation_status_t;

/* ---- answers ---- */

void flo_multi_operation_reply(struct flo_core *core, uint64_t call, uint64_t after, bool started,
                               FloApi__UpdateWorkflowExecutionResponse *update)
{
    FloApi__StartWorkflowExecutionResponse start = FLO_API__START_WORKFLOW_EXECUTION_RESPONSE__INIT;
    FloApi__ExecuteMultiOperationResponse__Response
        first = FLO_API__EXECUTE_MULTI_OPERATION_RESPONSE__RESPONSE__INIT,
        second = FLO_API__EXECUTE_MULTI_OPERATION_RESPONSE__RESPONSE__INIT;
    FloApi__ExecuteMultiOperationResponse__Response *both[] = {&first, &second};
    FloApi__ExecuteMultiOperationResponse response =
        FLO_API__EXECUTE_MULTI_OPERATION_RESPONSE__INIT;
    start.run_id = update->update_ref->workflow_execution->run_id;
    start.started = started;
    start.status = FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_RUNNING;
    const struct flo_execution *run = flo_core_resident(core, start.run_id);
    struct flo_start_link link;
    if (started && run)
        start.link = flo_start_link(&link, run->hooks.ns->name, run->workflow_id, run->run_id);
    first.response_case =
        FLO_API__EXECUTE_MULTI_OPERATION_RESPONSE__RESPONSE__RESPONSE_START_WORKFLOW;
    first.start_workflow = &start;
    second.response_case =
        FLO_API__EXECUTE_MULTI_OPERATION_RESPONSE__RESPONSE__RESPONSE_UPDATE_WORKFLOW;
    second.update_workflow = update;
    response.responses = both;
    response.n_responses = 2;
    flo_reply_ok(core, call, after, &response.base);
}

/* An operation's status with its detail packed; false without memory. */
static bool put_status(struct flo_core *core, operation_status_t *out, int code,
                       const char *message, const ProtobufCMessage *detail)
{
    flo_api__multi_operation_execution_failure__operation_status__init(out);
    out->code = code;
    out->message = flo_text(message);
    if (!detail)
        return true;
    Google__Protobuf__Any *any = flo_arena_alloc(&core->scratch, sizeof *any);
    out->details = flo_arena_alloc(&core->scratch, sizeof *out->details);
    if (!any || !out->details)
        return false;
    google__protobuf__any__init(any);
    any->type_url =
        flo_arena_printf(&core->scratch, "type.googleapis.com/%s", detail->descriptor->name);
    out->details[out->n_details++] = any;
    return any->type_url &&
           !flo_wire_encode_arena(detail, &core->scratch, &any->value.data, &any->value.len);
}

static bool put_aborted(struct flo_core *core, operation_status_t *out)
{
    static const FloApi__MultiOperationExecutionAborted detail =
        FLO_API__MULTI_OPERATION_EXECUTION_ABORTED__INIT;
    return put_status(core, out, FLO_GRPC_ABORTED, "Operation was aborted.", &detail.base);
}

/* Refuse with what is said of each operation; status is that of the one that failed. */
static void refuse(struct flo_core *core, uint64_t call, uint64_t after, operation_status_t *first,
                   operation_status_t *second, bool complete, const struct flo_status *status)
{
    operation_status_t *both[] = {first, second};
    FloApi__MultiOperationExecutionFailure failure =
        FLO_API__MULTI_OPERATION_EXECUTION_FAILURE__INIT;
    failure.statuses = both;
    failure.n_statuses = 2;
    struct flo_status whole = {
        .code = status->code, .message = FAILED_TEXT, .detail = &failure.base};
    if (!complete)
        flo_status_no_memory(&whole);
    flo_reply_status(core, call, after, &whole);
}

/* The start failed: the update was not tried. */
static void refuse_start(struct flo_core *core, uint64_t call, const struct flo_status *status)
{
    operation_status_t first, second;
    const bool complete = put_status(core, &first, status->code, status->message, status->detail) &&
                          put_aborted(core, &second);
    refuse(core, call, 0, &first, &second, complete, status);
}

void flo_multi_operation_refuse(struct flo_core *core, uint64_t call, uint64_t after, bool started,
                                const struct flo_status *status)
{
    operation_status_t first, second;
    bool complete =
        started ? put_status(core, &first, FLO_GRPC_OK, "", NULL) : put_aborted(core, &first);
    complete = complete && put_status(core, &second, status->code, status->message, status->detail);
    refuse(core, call, after, &first, &second, complete, status);
}

/* ---- the call ---- */

static int refused(struct flo_core *core, struct flo_status *status, const char *text)
{
    return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "%s", text);
}

static int check_start(struct flo_core *core, const FloApi__StartWorkflowExecutionRequest *start,
                       struct flo_status *status)
{
    if (*start->cron_schedule)
        return refused(core, status, "CronSchedule is not allowed.");
    if (start->request_eager_execution)
        return refused(core, status, "RequestEagerExecution is not supported.");
    if (start->workflow_start_delay)
        return refused(core, status, "WorkflowStartDelay is not supported.");
    return 0;
}

static int check_update(struct flo_core *core, const FloApi__StartWorkflowExecutionRequest *start,
                        const FloApi__UpdateWorkflowExecutionRequest *update,
                        struct flo_status *status)
{
    const FloApi__WorkflowExecution *execution = update->workflow_execution;
    int rc = flo_update_check(core, update, status);
    if (rc)
        return rc;
    if (strcmp(execution->workflow_id, start->workflow_id) != 0)
        return refused(core, status, "WorkflowId is not consistent with previous operation(s).");
    if (*execution->run_id)
        return refused(core, status, "RunId is not allowed.");
    if (*update->first_execution_run_id)
        return refused(core, status, "FirstExecutionRunId is not allowed.");
    return 0;
}

static bool is_update_with_start(const FloApi__ExecuteMultiOperationRequest *request)
{
    return request->n_operations == 2 &&
           request->operations[0]->operation_case ==
               FLO_API__EXECUTE_MULTI_OPERATION_REQUEST__OPERATION__OPERATION_START_WORKFLOW &&
           request->operations[1]->operation_case ==
               FLO_API__EXECUTE_MULTI_OPERATION_REQUEST__OPERATION__OPERATION_UPDATE_WORKFLOW;
}

void flo_rpc_execute_multi_operation(struct flo_core *core, const struct flo_core_call_info *info,
                                     const void *message)
{
    const FloApi__ExecuteMultiOperationRequest *request = message;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc && !is_update_with_start(request))
        rc = refused(core, &status, "Operations have to be exactly [Start, Update].");
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    const FloApi__StartWorkflowExecutionRequest *start = request->operations[0]->start_workflow;
    const FloApi__UpdateWorkflowExecutionRequest *update = request->operations[1]->update_workflow;
    struct flo_core_run_ref run = {0};
    bool started = false;
    if (!*start->workflow_id) {
        refused(core, &status, "WorkflowId is not set on request.");
        refuse_start(core, info->id, &status);
        return;
    }
    if (check_start(core, start, &status)) {
        refuse_start(core, info->id, &status);
        return;
    }
    if (check_update(core, start, update, &status)) {
        flo_multi_operation_refuse(core, info->id, 0, false, &status);
        return;
    }
    if (flo_start_for_update(core, info, start, update->request->meta->update_id, &run, &started,
                             &status)) {
        refuse_start(core, info->id, &status);
        return;
    }
    if (flo_update_ask_with_start(core, info, &run, update, started, &status))
        flo_multi_operation_refuse(
            core, info->id, started ? flo_core_after(core, run.execution) : 0, started, &status);
}
