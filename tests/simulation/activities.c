/* SPDX-License-Identifier: Apache-2.0 */
/* activities.c - activity workers: they lose and fail attempts, and say some results twice. */
#include <stdio.h>
#include <stdlib.h>

#include "simulation/workers.h"
#include "wire/api.h"

#define NAME(literal) ((char *)(uintptr_t)(literal))

static void poll_activity(struct world *world, void *ctx, uint64_t arg);

/* Remember a result that was acknowledged. */
static void completed(struct cast *cast, void *ctx, int code, const uint8_t *body, size_t len)
{
    (void)body, (void)len;
    if (code != FLO_GRPC_OK)
        return;
    if (cast->result_count == RESULTS_MAX)
        world_fail(cast->world, "the simulation has more results than it can check");
    else
        cast->results[cast->result_count++] = *(const struct result *)ctx;
}

/* What an activity does is there for good, whatever becomes of its result. */
static void note_effect(struct cast *cast, const struct result *effect)
{
    if (cast->world->broken == BROKEN_I4 && world_random(cast->world, 5) == 0)
        return;
    if (cast->effect_count == RESULTS_MAX)
        world_fail(cast->world, "the simulation has more effects than it can check");
    else
        cast->effects[cast->effect_count++] = *effect;
}

/* The result is a number of its own for each attempt. */
static void complete_activity(struct cast *cast, const FloApi__PollActivityTaskQueueResponse *task)
{
    FloApi__RespondActivityTaskCompletedRequest request;
    FloApi__Payload payload, *payloads[] = {&payload};
    FloApi__Payloads result;
    struct result *value = flo_arena_calloc(&cast->world->arena, 1, sizeof *value);
    if (!value)
        abort();
    value->value = ++cast->next_value;
    flo_api__respond_activity_task_completed_request__init(&request);
    flo_api__payload__init(&payload);
    flo_api__payloads__init(&result);
    snprintf(value->run_id, sizeof value->run_id, "%s", task->workflow_execution->run_id);
    snprintf(value->activity_id, sizeof value->activity_id, "%s", task->activity_id);
    payload.data.data = (uint8_t *)&value->value;
    payload.data.len = sizeof value->value;
    result.payloads = payloads;
    result.n_payloads = 1;
    request.namespace_ = NAME("default");
    request.task_token = task->task_token;
    request.result = &result;
    note_effect(cast, value);
    say_until_heard(cast, "RespondActivityTaskCompleted", &request.base, completed, value);
    if (world_fault(cast->world, 100))
        say_until_heard(cast, "RespondActivityTaskCompleted", &request.base, completed, value);
}

static void fail_activity(struct cast *cast, ProtobufCBinaryData token)
{
    FloApi__RespondActivityTaskFailedRequest request;
    FloApi__Failure failure;
    FloApi__ApplicationFailureInfo info;
    flo_api__respond_activity_task_failed_request__init(&request);
    flo_api__failure__init(&failure);
    flo_api__application_failure_info__init(&info);
    failure.message = NAME("bad luck");
    failure.failure_info_case = FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO;
    failure.application_failure_info = &info;
    request.namespace_ = NAME("default");
    request.task_token = token;
    request.failure = &failure;
    say_until_heard(cast, "RespondActivityTaskFailed", &request.base, NULL, NULL);
}

static void activity_polled(struct world *world, void *ctx, int code, const uint8_t *body,
                            size_t len)
{
    struct cast *cast = ctx;
    struct flo_arena arena;
    world_after(world, code == FLO_GRPC_OK ? 0 : 300 * MS, poll_activity, ctx, 0);
    if (code != FLO_GRPC_OK)
        return;
    const FloApi__PollActivityTaskQueueResponse *task =
        decode_answer(&flo_api__poll_activity_task_queue_response__descriptor, body, len, &arena);
    if (!task->task_token.len || world_fault(world, 50)) {
        /* nothing to do, or the worker dies with it */
    } else if (world_fault(world, 100)) {
        fail_activity(cast, task->task_token);
    } else {
        complete_activity(cast, task);
    }
    flo_arena_fini(&arena);
}

static void poll_activity(struct world *world, void *ctx, uint64_t arg)
{
    FloApi__PollActivityTaskQueueRequest request;
    FloApi__TaskQueue queue;
    (void)arg;
    flo_api__poll_activity_task_queue_request__init(&request);
    flo_api__task_queue__init(&queue);
    queue.name = NAME(QUEUE);
    request.namespace_ = NAME("default");
    request.task_queue = &queue;
    request.identity = NAME("worker");
    world_call(world, "PollActivityTaskQueue", &request.base, activity_polled, ctx);
}

void activity_workers_start(struct cast *cast)
{
    for (int i = 0; i < WORKERS; i++)
        world_after(cast->world, 0, poll_activity, cast, 0);
}
