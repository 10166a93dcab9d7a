/* SPDX-License-Identifier: Apache-2.0 */
/* session_activity.c - what a program outside says about an activity that was left open: each call
 * in two forms, by the attempt's token and by ids. */
#include <string.h>

#include "base/base64.h"
#include "client/session.h"
#include "wire/failure.h"
#include "wire/payload.h"

/* The activity of a call, ready for the requests. */
struct target {
    bool by_token;
    ProtobufCBinaryData token;
    char *workflow_id, *run_id, *activity_id; /* borrowed; never NULL */
};

static char *text(const char *value)
{
    return (char *)(uintptr_t)(value ? value : "");
}

/* Begin a call about ref. After a failure the session is not held. */
static int begin(struct flo_session *session, const struct flo_activity_ref *ref,
                 struct target *out, struct flo_err *err)
{
    size_t len = ref->token ? strlen(ref->token) : 0;
    struct flo_arena *arena = &session->call.arena;

    *out = (struct target){.by_token = ref->token != NULL,
                           .workflow_id = text(ref->workflow_id),
                           .run_id = text(ref->run_id),
                           .activity_id = text(ref->activity_id)};
    if (!ref->token && (!*out->workflow_id || !*out->activity_id))
        return flo_fail(err, FLO_EINVAL,
                        "an activity is named by its token, or by the workflow's "
                        "id and its own");
    flo_session_begin(session);
    if (!ref->token)
        return 0;
    out->token.data = flo_arena_alloc(arena, FLO_BASE64_DATA_MAX(len));
    if (out->token.data && len > 0 &&
        flo_base64_decode(ref->token, len, out->token.data, &out->token.len) == 0)
        return 0;
    (void)!flo_session_finish(session, FLO_EINVAL, NULL, NULL, NULL);
    return flo_fail(err, FLO_EINVAL, "the token is not base64");
}

#define FILL_TARGET(request, target)                                                               \
    do {                                                                                           \
        (request)->workflow_id = (target)->workflow_id;                                            \
        (request)->run_id = (target)->run_id;                                                      \
        (request)->activity_id = (target)->activity_id;                                            \
    } while (0)

/* The value as Payloads in the call's arena; NULL stays NULL. */
static int to_payloads(struct flo_session *session, const json_t *value, FloApi__Payloads **out)
{
    *out = value ? flo_payloads_from_json(&session->call.arena, value) : NULL;
    return value && !*out ? FLO_ENOMEM : 0;
}

static int send_complete(struct flo_session *session, const struct target *target,
                         FloApi__Payloads *result)
{
    FloApi__RespondActivityTaskCompletedRequest request =
        FLO_API__RESPOND_ACTIVITY_TASK_COMPLETED_REQUEST__INIT;
    FloApi__RespondActivityTaskCompletedByIdRequest by_id =
        FLO_API__RESPOND_ACTIVITY_TASK_COMPLETED_BY_ID_REQUEST__INIT;

    request.task_token = target->token;
    request.result = by_id.result = result;
    FILL_TARGET(&by_id, target);
    return target->by_token
               ? flo_client_respond_activity_task_completed(
                     session->client, &request, flo_session_done, session, &session->under_way)
               : flo_client_respond_activity_task_completed_by_id(
                     session->client, &by_id, flo_session_done, session, &session->under_way);
}

int flo_session_complete_activity(struct flo_session *session, const struct flo_activity_ref *ref,
                                  json_t *result, struct flo_err *err)
{
    FloApi__Payloads *payloads;
    struct target target;
    int rc = begin(session, ref, &target, err);

    if (rc)
        return rc;
    rc = to_payloads(session, result, &payloads);
    if (!rc)
        rc = send_complete(session, &target, payloads);
    return flo_session_finish(session, rc, NULL, NULL, err);
}

static int send_fail(struct flo_session *session, const struct target *target,
                     FloApi__Failure *failure)
{
    FloApi__RespondActivityTaskFailedRequest request =
        FLO_API__RESPOND_ACTIVITY_TASK_FAILED_REQUEST__INIT;
    FloApi__RespondActivityTaskFailedByIdRequest by_id =
        FLO_API__RESPOND_ACTIVITY_TASK_FAILED_BY_ID_REQUEST__INIT;

    request.task_token = target->token;
    request.failure = by_id.failure = failure;
    FILL_TARGET(&by_id, target);
    return target->by_token
               ? flo_client_respond_activity_task_failed(
                     session->client, &request, flo_session_done, session, &session->under_way)
               : flo_client_respond_activity_task_failed_by_id(
                     session->client, &by_id, flo_session_done, session, &session->under_way);
}

int flo_session_fail_activity(struct flo_session *session, const struct flo_activity_ref *ref,
                              const struct flo_failure *failure, struct flo_err *err)
{
    FloApi__Failure *packed;
    struct target target;
    int rc = begin(session, ref, &target, err);

    if (rc)
        return rc;
    packed = flo_failure_from_user(&session->call.arena, failure);
    rc = packed ? send_fail(session, &target, packed) : FLO_ENOMEM;
    return flo_session_finish(session, rc, NULL, NULL, err);
}

static int send_cancel(struct flo_session *session, const struct target *target,
                       FloApi__Payloads *details)
{
    FloApi__RespondActivityTaskCanceledRequest request =
        FLO_API__RESPOND_ACTIVITY_TASK_CANCELED_REQUEST__INIT;
    FloApi__RespondActivityTaskCanceledByIdRequest by_id =
        FLO_API__RESPOND_ACTIVITY_TASK_CANCELED_BY_ID_REQUEST__INIT;

    request.task_token = target->token;
    request.details = by_id.details = details;
    FILL_TARGET(&by_id, target);
    return target->by_token
               ? flo_client_respond_activity_task_canceled(
                     session->client, &request, flo_session_done, session, &session->under_way)
               : flo_client_respond_activity_task_canceled_by_id(
                     session->client, &by_id, flo_session_done, session, &session->under_way);
}

int flo_session_cancel_activity(struct flo_session *session, const struct flo_activity_ref *ref,
                                json_t *details, struct flo_err *err)
{
    FloApi__Payloads *payloads;
    struct target target;
    int rc = begin(session, ref, &target, err);

    if (rc)
        return rc;
    rc = to_payloads(session, details, &payloads);
    if (!rc)
        rc = send_cancel(session, &target, payloads);
    return flo_session_finish(session, rc, NULL, NULL, err);
}

static int send_heartbeat(struct flo_session *session, const struct target *target,
                          FloApi__Payloads *details)
{
    FloApi__RecordActivityTaskHeartbeatRequest request =
        FLO_API__RECORD_ACTIVITY_TASK_HEARTBEAT_REQUEST__INIT;
    FloApi__RecordActivityTaskHeartbeatByIdRequest by_id =
        FLO_API__RECORD_ACTIVITY_TASK_HEARTBEAT_BY_ID_REQUEST__INIT;

    request.task_token = target->token;
    request.details = by_id.details = details;
    FILL_TARGET(&by_id, target);
    return target->by_token
               ? flo_client_record_activity_task_heartbeat(
                     session->client, &request, flo_session_done, session, &session->under_way)
               : flo_client_record_activity_task_heartbeat_by_id(
                     session->client, &by_id, flo_session_done, session, &session->under_way);
}

static void take_answer(void *ctx, const ProtobufCMessage *response)
{
    const FloApi__RecordActivityTaskHeartbeatResponse *answer =
        (const FloApi__RecordActivityTaskHeartbeatResponse *)response;

    *(struct flo_heartbeat_answer *)ctx =
        (struct flo_heartbeat_answer){.cancel_requested = answer->cancel_requested,
                                      .paused = answer->activity_paused,
                                      .reset = answer->activity_reset};
}

static void take_answer_by_id(void *ctx, const ProtobufCMessage *response)
{
    const FloApi__RecordActivityTaskHeartbeatByIdResponse *answer =
        (const FloApi__RecordActivityTaskHeartbeatByIdResponse *)response;

    *(struct flo_heartbeat_answer *)ctx =
        (struct flo_heartbeat_answer){.cancel_requested = answer->cancel_requested,
                                      .paused = answer->activity_paused,
                                      .reset = answer->activity_reset};
}

int flo_session_heartbeat_activity(struct flo_session *session, const struct flo_activity_ref *ref,
                                   json_t *details, struct flo_heartbeat_answer *out,
                                   struct flo_err *err)
{
    struct flo_heartbeat_answer unused;
    FloApi__Payloads *payloads;
    struct target target;
    int rc = begin(session, ref, &target, err);

    if (rc)
        return rc;
    rc = to_payloads(session, details, &payloads);
    if (!rc)
        rc = send_heartbeat(session, &target, payloads);
    return flo_session_finish(session, rc, target.by_token ? take_answer : take_answer_by_id,
                              out ? out : &unused, err);
}
