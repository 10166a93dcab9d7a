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

/* Define send_NAME: the call in the form that the target has, with value in field. The two forms'
 * requests differ only in how they name the activity. */
#define DEFINE_SEND(name, Call, CALL, Value, field)                                                \
    static int send_##name(struct flo_session *session, const struct target *target, Value *value) \
    {                                                                                              \
        FloApi__##Call##Request request = FLO_API__##CALL##_REQUEST__INIT;                         \
        FloApi__##Call##ByIdRequest by_id = FLO_API__##CALL##_BY_ID_REQUEST__INIT;                 \
                                                                                                   \
        request.task_token = target->token;                                                        \
        request.field = by_id.field = value;                                                       \
        by_id.workflow_id = target->workflow_id;                                                   \
        by_id.run_id = target->run_id;                                                             \
        by_id.activity_id = target->activity_id;                                                   \
        return target->by_token                                                                    \
                   ? flo_client_##name(session->client, &request, flo_session_done, session,       \
                                       &session->under_way)                                        \
                   : flo_client_##name##_by_id(session->client, &by_id, flo_session_done, session, \
                                               &session->under_way);                               \
    }

DEFINE_SEND(respond_activity_task_completed, RespondActivityTaskCompleted,
            RESPOND_ACTIVITY_TASK_COMPLETED, FloApi__Payloads, result)
DEFINE_SEND(respond_activity_task_failed, RespondActivityTaskFailed, RESPOND_ACTIVITY_TASK_FAILED,
            FloApi__Failure, failure)
DEFINE_SEND(respond_activity_task_canceled, RespondActivityTaskCanceled,
            RESPOND_ACTIVITY_TASK_CANCELED, FloApi__Payloads, details)
DEFINE_SEND(record_activity_task_heartbeat, RecordActivityTaskHeartbeat,
            RECORD_ACTIVITY_TASK_HEARTBEAT, FloApi__Payloads, details)

typedef int (*send_payloads_fn)(struct flo_session *session, const struct target *target,
                                FloApi__Payloads *payloads);

/* Send value, as Payloads in the call's arena; NULL stays NULL. */
static int send_value(struct flo_session *session, const struct target *target, const json_t *value,
                      send_payloads_fn send)
{
    FloApi__Payloads *payloads = value ? flo_payloads_from_json(&session->call.arena, value) : NULL;

    return value && !payloads ? FLO_ENOMEM : send(session, target, payloads);
}

/* The whole of a call that ends the activity with value. */
static int end_with(struct flo_session *session, const struct flo_activity_ref *ref,
                    const json_t *value, send_payloads_fn send, struct flo_err *err)
{
    struct target target;
    int rc = begin(session, ref, &target, err);

    if (rc)
        return rc;
    rc = send_value(session, &target, value, send);
    return flo_session_finish(session, rc, NULL, NULL, err);
}

int flo_session_complete_activity(struct flo_session *session, const struct flo_activity_ref *ref,
                                  json_t *result, struct flo_err *err)
{
    return end_with(session, ref, result, send_respond_activity_task_completed, err);
}

int flo_session_cancel_activity(struct flo_session *session, const struct flo_activity_ref *ref,
                                json_t *details, struct flo_err *err)
{
    return end_with(session, ref, details, send_respond_activity_task_canceled, err);
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
    rc = packed ? send_respond_activity_task_failed(session, &target, packed) : FLO_ENOMEM;
    return flo_session_finish(session, rc, NULL, NULL, err);
}

/* Define name: a heartbeat's answer of this type, for the caller. */
#define DEFINE_TAKE(name, Answer)                                                                  \
    static void name(void *ctx, const ProtobufCMessage *response)                                  \
    {                                                                                              \
        const FloApi__##Answer *answer = (const FloApi__##Answer *)response;                       \
                                                                                                   \
        *(struct flo_heartbeat_answer *)ctx =                                                      \
            (struct flo_heartbeat_answer){.cancel_requested = answer->cancel_requested,            \
                                          .paused = answer->activity_paused,                       \
                                          .reset = answer->activity_reset};                        \
    }

DEFINE_TAKE(take_answer, RecordActivityTaskHeartbeatResponse)
DEFINE_TAKE(take_answer_by_id, RecordActivityTaskHeartbeatByIdResponse)

int flo_session_heartbeat_activity(struct flo_session *session, const struct flo_activity_ref *ref,
                                   json_t *details, struct flo_heartbeat_answer *out,
                                   struct flo_err *err)
{
    struct flo_heartbeat_answer unused;
    struct target target;
    int rc = begin(session, ref, &target, err);

    if (rc)
        return rc;
    rc = send_value(session, &target, details, send_record_activity_task_heartbeat);
    return flo_session_finish(session, rc, target.by_token ? take_answer : take_answer_by_id,
                              out ? out : &unused, err);
}
