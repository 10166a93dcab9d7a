/* SPDX-License-Identifier: Apache-2.0 */
/* operations.c - an operator who pauses, resets, changes and unpauses pending activities, as long
 * as faults last and until all workflows have ended: whatever he does and however often it arrives,
 * activities neither get lost nor stay behind once he has unpaused them. */
#include "simulation/feature.h"
#include "wire/api.h"

#define NAME(literal) ((char *)(uintptr_t)(literal))

enum operation { UNPAUSE, PAUSE, RESET, CHANGE, OPERATIONS };

/* The one of a world. */
struct operator
{
    struct cast *cast;
};

static void next(struct world *world, void *ctx, uint64_t arg);

static void was_done(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    (void)body, (void)len;
    switch (code) {
    case FLO_GRPC_OK:
    case FLO_GRPC_NOT_FOUND: /* nothing is pending, or its run is not there */
    case FLO_GRPC_UNAVAILABLE:
    case FLO_GRPC_DEADLINE_EXCEEDED:
    case FLO_GRPC_RESOURCE_EXHAUSTED:
    case FLO_GRPC_DATA_LOSS:
        break;
    default:
        world_fail(world, "an operation on activities was refused: code %d", code);
    }
    world_after(world, 100 * MS + (int64_t)world_random(world, SECOND), next, ctx, 0);
}

static void call(struct operator* operator, enum operation operation,
                 FloApi__WorkflowExecution *execution)
{
    struct world *world = operator->cast->world;
    FloApi__UnpauseActivityRequest unpause = FLO_API__UNPAUSE_ACTIVITY_REQUEST__INIT;
    FloApi__PauseActivityRequest pause = FLO_API__PAUSE_ACTIVITY_REQUEST__INIT;
    FloApi__ResetActivityRequest reset = FLO_API__RESET_ACTIVITY_REQUEST__INIT;
    FloApi__UpdateActivityOptionsRequest change = FLO_API__UPDATE_ACTIVITY_OPTIONS_REQUEST__INIT;
    switch (operation) {
    case PAUSE:
        pause.namespace_ = NAME("default");
        pause.execution = execution;
        pause.activity_case = FLO_API__PAUSE_ACTIVITY_REQUEST__ACTIVITY_TYPE;
        pause.type = NAME("work");
        world_call(world, "PauseActivity", &pause.base, was_done, operator);
        break;
    case RESET:
        reset.namespace_ = NAME("default");
        reset.execution = execution;
        reset.activity_case = FLO_API__RESET_ACTIVITY_REQUEST__ACTIVITY_MATCH_ALL;
        reset.match_all = 1;
        reset.keep_paused = world_random(world, 2) != 0;
        world_call(world, "ResetActivity", &reset.base, was_done, operator);
        break;
    case CHANGE:
        change.namespace_ = NAME("default");
        change.execution = execution;
        change.activity_case = FLO_API__UPDATE_ACTIVITY_OPTIONS_REQUEST__ACTIVITY_MATCH_ALL;
        change.match_all = 1;
        change.restore_original = 1;
        world_call(world, "UpdateActivityOptions", &change.base, was_done, operator);
        break;
    default:
        unpause.namespace_ = NAME("default");
        unpause.execution = execution;
        unpause.activity_case = FLO_API__UNPAUSE_ACTIVITY_REQUEST__ACTIVITY_UNPAUSE_ALL;
        unpause.unpause_all = 1;
        unpause.reset_attempts = world_random(world, 2) != 0;
        world_call(world, "UnpauseActivity", &unpause.base, was_done, operator);
    }
}

static void next(struct world *world, void *ctx, uint64_t arg)
{
    struct operator* operator= ctx;
    struct cast *cast = operator->cast;
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    const unsigned first = (unsigned)world_random(world, cast->client_count);
    (void)arg;
    for (unsigned i = 0; i < cast->client_count; i++) {
        struct client *client = &cast->clients[(first + i) % cast->client_count];
        if (client->ended)
            continue;
        execution.workflow_id = client->id;
        /* In the end what was paused goes on, also by a request that came late. */
        call(operator,
             world->now_ns<world->faults_end_ns ? (enum operation)world_random(world, OPERATIONS)
                                                : UNPAUSE,
             &execution);
        return;
    }
}

static void begin(struct cast *cast)
{
    struct operator* operator= feature_state(cast, &operations_feature, sizeof *operator);
    operator->cast = cast;
    if (world_random(cast->world, 3) == 0)
        world_after(cast->world, (int64_t)world_random(cast->world, 5 * SECOND), next, operator, 0);
}

const struct feature operations_feature = {.name = "operations", .begin = begin};
