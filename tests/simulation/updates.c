/* SPDX-License-Identifier: Apache-2.0 */
/* updates.c - clients that update their workflows: what is acknowledged as done is in the history,
 * once in a run; what was rejected is not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation/feature.h"
#include "simulation/workers.h"
#include "wire/api.h"
#include "wire/decode.h"

#define NAME(literal) ((char *)(uintptr_t)(literal))
#define UPDATES_MAX 16

/* One update, repeated until its outcome is known. */
struct update {
    struct client *client;
    char id[48];
    bool reject;   /* asks to be rejected */
    bool done;     /* its outcome is known, or its run has ended */
    bool accepted; /* ... and it is success */
};

struct updates {
    struct update items[UPDATES_MAX];
    unsigned count;
};

static struct updates *updates_of(struct cast *cast)
{
    return feature_state(cast, &updates_feature, sizeof(struct updates));
}

static void send_update(struct world *world, void *ctx, uint64_t arg);

static void again(struct update *update)
{
    world_after(update->client->cast->world, 100 * MS, send_update, update, 0);
}

static void outcome_known(struct update *update,
                          const FloApi__UpdateWorkflowExecutionResponse *answer)
{
    if (!answer->outcome) { /* the wait was over before it was done */
        again(update);
        return;
    }
    update->done = true;
    update->accepted = answer->outcome->value_case == FLO_API__OUTCOME__VALUE_SUCCESS;
    if (update->accepted && update->reject)
        world_fail(update->client->cast->world, "update %s succeeded, though it was rejected",
                   update->id);
}

static void updated(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    struct update *update = ctx;
    struct flo_arena arena;
    switch (code) {
    case FLO_GRPC_OK:
        outcome_known(update,
                      decode_answer(&flo_api__update_workflow_execution_response__descriptor, body,
                                    len, &arena));
        flo_arena_fini(&arena);
        break;
    case FLO_GRPC_UNAVAILABLE:
    case FLO_GRPC_DEADLINE_EXCEEDED:
    case FLO_GRPC_RESOURCE_EXHAUSTED:
        again(update);
        break;
    case FLO_GRPC_NOT_FOUND: /* not started yet, or has ended */
        if (!update->client->ended)
            again(update);
        else
            update->done = true;
        break;
    case FLO_GRPC_FAILED_PRECONDITION: /* its run ended before it was done */
    case FLO_GRPC_INVALID_ARGUMENT:
    case FLO_GRPC_DATA_LOSS:
        update->done = true;
        break;
    default:
        world_fail(world, "update of %s: code %d", update->client->id, code);
    }
}

static void send_update(struct world *world, void *ctx, uint64_t arg)
{
    struct update *update = ctx;
    FloApi__UpdateWorkflowExecutionRequest request;
    FloApi__WorkflowExecution execution;
    FloApi__Request what;
    FloApi__Meta meta;
    FloApi__Input input;
    (void)arg;
    flo_api__update_workflow_execution_request__init(&request);
    flo_api__workflow_execution__init(&execution);
    flo_api__request__init(&what);
    flo_api__meta__init(&meta);
    flo_api__input__init(&input);
    execution.workflow_id = update->client->id;
    meta.update_id = update->id;
    input.name = NAME(update->reject ? "reject" : "do");
    what.meta = &meta;
    what.input = &input;
    request.namespace_ = NAME("default");
    request.workflow_execution = &execution;
    request.request = &what;
    world_call(world, "UpdateWorkflowExecution", &request.base, updated, update);
}

static void begin(struct cast *cast)
{
    struct updates *updates = updates_of(cast);
    for (unsigned i = 0; i < cast->client_count && updates->count < UPDATES_MAX; i++) {
        struct update *update = &updates->items[updates->count];
        if (world_random(cast->world, 2))
            continue;
        updates->count++;
        update->client = &cast->clients[i];
        snprintf(update->id, sizeof update->id, "u-%s", update->client->id);
        update->reject = world_random(cast->world, 3) == 0;
        world_after(cast->world, (int64_t)world_random(cast->world, 30 * SECOND), send_update,
                    update, 0);
    }
}

/* How often a history says that the update is done. */
static unsigned count_done(struct world *world, const struct disk_run *run, const char *update_id)
{
    unsigned found = 0;
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    for (size_t i = 0; i < run->batch_count; i++) {
        ProtobufCMessage *message;
        if (flo_wire_decode(&flo_api__history__descriptor, run->batches[i].events,
                            run->batches[i].len, &arena, &message, NULL)) {
            world_fail(world, "I5: a stored history cannot be read");
            break;
        }
        const FloApi__History *history = (const void *)message;
        for (size_t j = 0; j < history->n_events; j++)
            if (history->events[j]->event_type ==
                    FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED &&
                strcmp(history->events[j]
                           ->workflow_execution_update_completed_event_attributes->meta->update_id,
                       update_id) == 0)
                found++;
    }
    flo_arena_fini(&arena);
    return found;
}

static void check_update(struct cast *cast, const struct update *update)
{
    const struct disk *disk = &cast->world->disk;
    unsigned all = 0;
    for (size_t i = 0; i < disk->run_count; i++) {
        if (strcmp(disk->runs[i]->workflow_id, update->client->id) != 0)
            continue;
        const unsigned found = count_done(cast->world, disk->runs[i], update->id);
        if (found > 1)
            world_fail(cast->world, "I6: update %s is there %u times", update->id, found);
        all += found;
    }
    if (update->accepted && !all)
        world_fail(cast->world, "I1: the acknowledged update %s is lost", update->id);
    if (update->reject && all)
        world_fail(cast->world, "I6: update %s is there, though it was rejected", update->id);
}

static void check(struct cast *cast)
{
    const struct updates *updates = updates_of(cast);
    for (unsigned i = 0; i < updates->count; i++)
        check_update(cast, &updates->items[i]);
}

const struct feature updates_feature = {.name = "updates", .begin = begin, .check_end = check};
