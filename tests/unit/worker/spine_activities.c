/* SPDX-License-Identifier: Apache-2.0 */
/* spine_activities.c - see spine_activities.h. */
#include "spine_activities.h"

#include "base/clock.h"
#include "wire/payload.h"

int spine_echo(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)ctx;
    *out_result = json_incref(input);
    return 0;
}

int spine_hold(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)out_result;
    flo_activity_heartbeat(ctx, input);
    while (!flo_activity_wait_cancelled(ctx, 10000))
        ;
    return FLO_ECANCELLED;
}

FloApi__PollActivityTaskQueueResponse *spine_activity_task(struct spine *s, const char *type,
                                                           int64_t timeout_ms)
{
    FloApi__PollActivityTaskQueueResponse *task = SPINE_NEW(
        s, FloApi__PollActivityTaskQueueResponse, FLO_API__POLL_ACTIVITY_TASK_QUEUE_RESPONSE__INIT);
    json_t *input = json_string("hello");

    task->task_token = spine_token(s, "the-token");
    task->activity_type = SPINE_NEW(s, FloApi__ActivityType, FLO_API__ACTIVITY_TYPE__INIT);
    task->activity_type->name = spine_copy(s, type);
    task->activity_id = spine_copy(s, "1");
    task->workflow_execution = spine_execution(s);
    task->attempt = 1;
    task->input = flo_payloads_from_json(&s->arena, input);
    task->start_to_close_timeout = flo_duration_new(&s->arena, timeout_ms * FLO_NS_PER_MS);
    json_decref(input);
    return task;
}

const FloApi__RecordActivityTaskHeartbeatRequest *spine_await_heartbeat(struct spine *s,
                                                                        size_t count)
{
    return (const FloApi__RecordActivityTaskHeartbeatRequest *)spine_await(
        s, "RecordActivityTaskHeartbeat", count,
        &flo_api__record_activity_task_heartbeat_request__descriptor);
}

const FloApi__RespondActivityTaskCompletedRequest *spine_await_completed(struct spine *s,
                                                                         size_t count)
{
    return (const FloApi__RespondActivityTaskCompletedRequest *)spine_await(
        s, "RespondActivityTaskCompleted", count,
        &flo_api__respond_activity_task_completed_request__descriptor);
}

const FloApi__RespondActivityTaskFailedRequest *spine_await_failed(struct spine *s, size_t count)
{
    return (const FloApi__RespondActivityTaskFailedRequest *)spine_await(
        s, "RespondActivityTaskFailed", count,
        &flo_api__respond_activity_task_failed_request__descriptor);
}
