/* SPDX-License-Identifier: Apache-2.0 */
/* activity_call.c - the calls of activity workers: by task token, and by id from anywhere. */
#include <string.h>

#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "engine/core/token.h"

/* ---- which activity ---- */

static int gone(struct flo_core *core, struct flo_status *status)
{
    return flo_status_not_found(core, status,
                                "invalid activityID or activity already timed out or invoking "
                                "workflow is completed");
}

/* The activity that a request is about: token, or the ids. Borrowed from the request. */
struct target {
    const ProtobufCBinaryData *token; /* NULL: by id */
    const char *namespace_, *workflow_id, *run_id, *activity_id;
    const char *identity; /* of the worker; checked */
    bool any_stage;       /* by id: also one that is not started */
};

#define BY_TOKEN(request)                                                                          \
    (struct target)                                                                                \
    {                                                                                              \
        .token = &(request)->task_token, .namespace_ = (request)->namespace_,                      \
        .identity = (request)->identity,                                                           \
    }
#define BY_ID(request)                                                                             \
    (struct target)                                                                                \
    {                                                                                              \
        .namespace_ = (request)->namespace_, .workflow_id = (request)->workflow_id,                \
        .run_id = (request)->run_id, .activity_id = (request)->activity_id,                        \
        .identity = (request)->identity,                                                           \
    }

/* The started attempt that a token names. */
static int by_token(struct flo_core *core, const struct target *target,
                    struct flo_core_activity **out, struct flo_status *status)
{
    struct flo_token token;
    int rc = flo_token_decode(core, target->token, FLO_TOKEN_ACTIVITY, target->namespace_, &token,
                              status);
    if (rc)
        return rc;
    struct flo_execution *execution = flo_core_resident(core, token.run_id);
    if (!execution || execution->hooks.ns != token.ns || !flo_execution_is_open(execution))
        return flo_status_not_found(core, status, "workflow execution already completed");
    struct flo_core_activity *activity =
        flo_core_activity_by_event(execution, token.scheduled_event_id);
    if (!activity || activity->stage != FLO_CORE_ACTIVITY_STARTED ||
        activity->attempt != token.attempt || activity->started_ns != token.started_ns)
        return gone(core, status);
    *out = activity;
    return 0;
}

/* The pending activity with an id; unless any_stage it must be started. */
static int by_id(struct flo_core *core, const struct target *id, struct flo_core_activity **out,
                 struct flo_status *status)
{
    FloApi__WorkflowExecution ids = FLO_API__WORKFLOW_EXECUTION__INIT;
    ids.workflow_id = flo_text(id->workflow_id);
    ids.run_id = flo_text(id->run_id);
    struct flo_namespace *ns;
    struct flo_core_run_ref ref;
    int rc = flo_namespace_find(core, id->namespace_, &ns, status);
    if (!rc && *id->run_id && !flo_uuid_valid(id->run_id, strlen(id->run_id)))
        rc = flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "RunId is not valid UUID.");
    if (!rc)
        rc = flo_check_execution(core, &ids, status);
    if (!rc && !*id->activity_id)
        rc = flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                            "ActivityId is not set on request.");
    if (!rc)
        rc = flo_core_find_run(core, ns, id->workflow_id, id->run_id, &ref, status);
    if (rc)
        return rc;
    if (!ref.execution || !flo_execution_is_open(ref.execution))
        return flo_status_not_found(core, status, "workflow execution already completed");
    struct flo_core_activity *activity = flo_core_activity_by_id(ref.execution, id->activity_id);
    if (!activity)
        return flo_status_not_found(core, status,
                                    "cannot find pending activity with ActivityID %s, check "
                                    "workflow execution history for more details",
                                    id->activity_id);
    if (!id->any_stage && activity->stage != FLO_CORE_ACTIVITY_STARTED)
        return gone(core, status);
    *out = activity;
    return 0;
}

/* The activity, or NULL: the call is answered with why not. */
static struct flo_core_activity *find(struct flo_core *core, const struct flo_core_call_info *info,
                                      const struct target *target)
{
    struct flo_status status = {0};
    struct flo_core_activity *activity = NULL;
    int rc = target->token ? by_token(core, target, &activity, &status)
                           : by_id(core, target, &activity, &status);
    if (!rc)
        rc = flo_check_id(core, "identity", target->identity, &status);
    if (!rc)
        return activity;
    flo_reply_status(core, info->id, 0, &status);
    return NULL;
}

/* ---- sizes ---- */

static size_t size_of(const void *message)
{
    return message ? flo_wire_size(message) : 0;
}

static bool too_large(const struct flo_core *core, const void *message)
{
    return (int64_t)size_of(message) > core->options.blob_size_limit;
}

/* What the worker sent is too large to keep: the activity fails for good, with this message. */
static void fail_too_large(struct flo_core *core, struct flo_core_activity *activity,
                           const char *message, const char *identity)
{
    FloApi__ServerFailureInfo info = FLO_API__SERVER_FAILURE_INFO__INIT;
    FloApi__Failure failure = FLO_API__FAILURE__INIT;
    info.non_retryable = true;
    failure.message = flo_text(message);
    failure.failure_info_case = FLO_API__FAILURE__FAILURE_INFO_SERVER_FAILURE_INFO;
    failure.server_failure_info = &info;
    flo_core_activity_fail(core, activity, &failure, identity);
}

/* ---- completed ---- */

static void complete(struct flo_core *core, const struct flo_core_call_info *info,
                     const struct target *target, FloApi__Payloads *result,
                     const ProtobufCMessage *response)
{
    struct flo_core_activity *activity = find(core, info, target);
    if (!activity)
        return;
    struct flo_execution *execution = activity->execution;
    if (too_large(core, result))
        fail_too_large(core, activity, "Complete result exceeds size limit.", target->identity);
    else
        flo_core_activity_complete(core, activity, result, target->identity);
    flo_reply_ok(core, info->id, flo_core_after(core, execution), response);
}

void flo_rpc_respond_activity_task_completed(struct flo_core *core,
                                             const struct flo_core_call_info *info,
                                             const void *message)
{
    static const FloApi__RespondActivityTaskCompletedResponse response =
        FLO_API__RESPOND_ACTIVITY_TASK_COMPLETED_RESPONSE__INIT;
    const FloApi__RespondActivityTaskCompletedRequest *request = message;
    complete(core, info, &BY_TOKEN(request), request->result, &response.base);
}

void flo_rpc_respond_activity_task_completed_by_id(struct flo_core *core,
                                                   const struct flo_core_call_info *info,
                                                   const void *message)
{
    static const FloApi__RespondActivityTaskCompletedByIdResponse response =
        FLO_API__RESPOND_ACTIVITY_TASK_COMPLETED_BY_ID_RESPONSE__INIT;
    const FloApi__RespondActivityTaskCompletedByIdRequest *request = message;
    struct target target = BY_ID(request);
    target.any_stage = true;
    complete(core, info, &target, request->result, &response.base);
}

/* ---- failed ---- */

static void fail(struct flo_core *core, const struct flo_core_call_info *info,
                 const struct target *target, FloApi__Failure *failure,
                 const FloApi__Payloads *last_heartbeat, const ProtobufCMessage *response)
{
    if (failure &&
        failure->failure_info_case != FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO) {
        struct flo_status status;
        flo_status_put(core, &status, FLO_GRPC_INVALID_ARGUMENT,
                       "Failure must have ApplicationFailureInfo.");
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    struct flo_core_activity *activity = find(core, info, target);
    if (!activity)
        return;
    struct flo_execution *execution = activity->execution;
    if (last_heartbeat && !too_large(core, last_heartbeat)) {
        flo_blob_set(core, &activity->heartbeat_details, &last_heartbeat->base);
        activity->last_heartbeat_ns = core->now_ns;
    }
    if (too_large(core, failure))
        fail_too_large(core, activity, "Failure exceeds size limit.", target->identity);
    else
        flo_core_activity_fail(core, activity, failure, target->identity);
    flo_reply_ok(core, info->id, flo_core_after(core, execution), response);
}

void flo_rpc_respond_activity_task_failed(struct flo_core *core,
                                          const struct flo_core_call_info *info,
                                          const void *message)
{
    static const FloApi__RespondActivityTaskFailedResponse response =
        FLO_API__RESPOND_ACTIVITY_TASK_FAILED_RESPONSE__INIT;
    const FloApi__RespondActivityTaskFailedRequest *request = message;
    fail(core, info, &BY_TOKEN(request), request->failure, request->last_heartbeat_details,
         &response.base);
}

void flo_rpc_respond_activity_task_failed_by_id(struct flo_core *core,
                                                const struct flo_core_call_info *info,
                                                const void *message)
{
    static const FloApi__RespondActivityTaskFailedByIdResponse response =
        FLO_API__RESPOND_ACTIVITY_TASK_FAILED_BY_ID_RESPONSE__INIT;
    const FloApi__RespondActivityTaskFailedByIdRequest *request = message;
    fail(core, info, &BY_ID(request), request->failure, request->last_heartbeat_details,
         &response.base);
}

/* ---- cancelled ---- */

static void cancel(struct flo_core *core, const struct flo_core_call_info *info,
                   const struct target *target, FloApi__Payloads *details,
                   const ProtobufCMessage *response)
{
    struct flo_core_activity *activity = find(core, info, target);
    if (!activity)
        return;
    struct flo_execution *execution = activity->execution;
    if (!activity->cancel_requested) {
        struct flo_status status;
        flo_status_put(core, &status, FLO_GRPC_INVALID_ARGUMENT,
                       "unable to mark activity as canceled without activity being request "
                       "canceled first");
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    if (too_large(core, details))
        fail_too_large(core, activity, "Cancel details exceed size limit.", target->identity);
    else
        flo_core_activity_cancel(core, activity, details, target->identity);
    flo_reply_ok(core, info->id, flo_core_after(core, execution), response);
}

void flo_rpc_respond_activity_task_canceled(struct flo_core *core,
                                            const struct flo_core_call_info *info,
                                            const void *message)
{
    static const FloApi__RespondActivityTaskCanceledResponse response =
        FLO_API__RESPOND_ACTIVITY_TASK_CANCELED_RESPONSE__INIT;
    const FloApi__RespondActivityTaskCanceledRequest *request = message;
    cancel(core, info, &BY_TOKEN(request), request->details, &response.base);
}

void flo_rpc_respond_activity_task_canceled_by_id(struct flo_core *core,
                                                  const struct flo_core_call_info *info,
                                                  const void *message)
{
    static const FloApi__RespondActivityTaskCanceledByIdResponse response =
        FLO_API__RESPOND_ACTIVITY_TASK_CANCELED_BY_ID_RESPONSE__INIT;
    const FloApi__RespondActivityTaskCanceledByIdRequest *request = message;
    cancel(core, info, &BY_ID(request), request->details, &response.base);
}

/* ---- heartbeat: kept in memory, stored with whatever is stored next ---- */

/* What the worker is told: the attempt is asked to stop, since it is cancelled, paused, reset. */
struct told {
    bool cancel, paused, reset;
};

/* False: it is refused and answered. */
static bool heartbeat(struct flo_core *core, const struct flo_core_call_info *info,
                      const struct target *target, const FloApi__Payloads *details,
                      struct told *out)
{
    struct flo_core_activity *activity = find(core, info, target);
    if (!activity)
        return false;
    *out = (struct told){.cancel = true};
    if (too_large(core, details)) {
        fail_too_large(core, activity, "Heartbeat details exceed size limit.", target->identity);
        return true;
    }
    flo_blob_set(core, &activity->heartbeat_details, details ? &details->base : NULL);
    activity->last_heartbeat_ns = core->now_ns;
    *out = (struct told){activity->cancel_requested, activity->paused != NULL, activity->was_reset};
    flo_execution_end(core, activity->execution, true);
    return true;
}

void flo_rpc_record_activity_task_heartbeat(struct flo_core *core,
                                            const struct flo_core_call_info *info,
                                            const void *message)
{
    const FloApi__RecordActivityTaskHeartbeatRequest *request = message;
    FloApi__RecordActivityTaskHeartbeatResponse response =
        FLO_API__RECORD_ACTIVITY_TASK_HEARTBEAT_RESPONSE__INIT;
    struct told told;
    if (!heartbeat(core, info, &BY_TOKEN(request), request->details, &told))
        return;
    response.cancel_requested = told.cancel;
    response.activity_paused = told.paused;
    response.activity_reset = told.reset;
    flo_reply_ok(core, info->id, 0, &response.base);
}

void flo_rpc_record_activity_task_heartbeat_by_id(struct flo_core *core,
                                                  const struct flo_core_call_info *info,
                                                  const void *message)
{
    const FloApi__RecordActivityTaskHeartbeatByIdRequest *request = message;
    FloApi__RecordActivityTaskHeartbeatByIdResponse response =
        FLO_API__RECORD_ACTIVITY_TASK_HEARTBEAT_BY_ID_RESPONSE__INIT;
    struct told told;
    if (!heartbeat(core, info, &BY_ID(request), request->details, &told))
        return;
    response.cancel_requested = told.cancel;
    response.activity_paused = told.paused;
    response.activity_reset = told.reset;
    flo_reply_ok(core, info->id, 0, &response.base);
}
