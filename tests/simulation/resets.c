/* SPDX-License-Identifier: Apache-2.0 */
/* resets.c - clients that reset their workflow to its first workflow task: an acknowledged reset is
 * a run that is there, one however often it was asked for, and ends like any other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation/feature.h"
#include "simulation/workers.h"
#include "wire/api.h"

#define NAME(literal) ((char *)(uintptr_t)(literal))
#define RESETS_MAX 4
#define FIRST_TASK_ENDS                                                                            \
    4 /* the event that ends the first workflow task, if nothing came between                      \
       */

/* One reset, repeated until it is answered. */
struct reset {
    struct client *client;
    char request_id[48];
    char run_id[64]; /* the run that it made; "" = none yet, or it was refused */
};

struct resets {
    struct reset items[RESETS_MAX];
    unsigned count;
};

static struct resets *resets_of(struct cast *cast)
{
    return feature_state(cast, &resets_feature, sizeof(struct resets));
}

static void send_reset(struct world *world, void *ctx, uint64_t arg);

static void was_reset(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    struct reset *reset = ctx;
    struct flo_arena arena;
    switch (code) {
    case FLO_GRPC_OK: {
        const FloApi__ResetWorkflowExecutionResponse *answer = decode_answer(
            &flo_api__reset_workflow_execution_response__descriptor, body, len, &arena);
        if (*reset->run_id && strcmp(reset->run_id, answer->run_id) != 0)
            world_fail(world, "I6: a reset of %s made two runs", reset->client->id);
        snprintf(reset->run_id, sizeof reset->run_id, "%s", answer->run_id);
        flo_arena_fini(&arena);
        break;
    }
    case FLO_GRPC_UNAVAILABLE:
    case FLO_GRPC_DEADLINE_EXCEEDED:
    case FLO_GRPC_RESOURCE_EXHAUSTED:
        world_after(world, 100 * MS, send_reset, reset, 0);
        break;
    case FLO_GRPC_NOT_FOUND:
    case FLO_GRPC_INVALID_ARGUMENT: /* its first task ends elsewhere */
    case FLO_GRPC_FAILED_PRECONDITION:
    case FLO_GRPC_DATA_LOSS:
        break;
    default:
        world_fail(world, "reset of %s: code %d", reset->client->id, code);
    }
}

static void send_reset(struct world *world, void *ctx, uint64_t arg)
{
    struct reset *reset = ctx;
    FloApi__ResetWorkflowExecutionRequest request;
    FloApi__WorkflowExecution execution;
    (void)arg;
    flo_api__reset_workflow_execution_request__init(&request);
    flo_api__workflow_execution__init(&execution);
    execution.workflow_id = reset->client->id;
    request.namespace_ = NAME("default");
    request.workflow_execution = &execution;
    request.request_id = reset->request_id;
    request.reason = NAME("a test");
    request.workflow_task_finish_event_id = FIRST_TASK_ENDS;
    world_call(world, "ResetWorkflowExecution", &request.base, was_reset, reset);
}

static void begin(struct cast *cast)
{
    struct resets *resets = resets_of(cast);
    if (!flo_core_method("ResetWorkflowExecution") || workflow_step_kinds() < STEP_KINDS)
        return;
    for (unsigned i = 0; i < cast->client_count && resets->count < RESETS_MAX; i++) {
        struct client *client = &cast->clients[i];
        if (client->fate != FATE_PLAIN || world_random(cast->world, 4))
            continue;
        struct reset *reset = &resets->items[resets->count++];
        reset->client = client;
        client->reset = true;
        snprintf(reset->request_id, sizeof reset->request_id, "r-%s", client->id);
        world_after(cast->world, (int64_t)world_random(cast->world, 40 * SECOND), send_reset, reset,
                    0);
    }
}

/* The runs that were made end, too. */
static bool done(struct cast *cast)
{
    const struct resets *resets = resets_of(cast);
    for (unsigned i = 0; i < resets->count; i++) {
        const struct disk_run *run = disk_find_run(&cast->world->disk, resets->items[i].run_id);
        if (run && !run->close_ns)
            return false;
    }
    return true;
}

static void check_durable(struct cast *cast)
{
    const struct resets *resets = resets_of(cast);
    for (unsigned i = 0; i < resets->count; i++)
        if (*resets->items[i].run_id && !disk_find_run(&cast->world->disk, resets->items[i].run_id))
            world_fail(cast->world, "I1: the acknowledged reset of %s is lost",
                       resets->items[i].client->id);
}

const struct feature resets_feature = {
    .name = "resets", .begin = begin, .done = done, .check_durable = check_durable};
