/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readers.c - clients that read whole histories, of workflows that run and of those that have
 * ended. What one reader saw stays as it was, and is the beginning of what the next one sees. Now
 * and then the disk damages the history of a workflow that has ended: readers are told so, or see
 * all of it from memory, and never a part.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation/feature.h"
#include "simulation/workers.h"
#include "wire/api.h"
#include "wire/decode.h"

#define NAME(literal) ((char *)(uintptr_t)(literal))
#define SIGHTS_MAX 256

/* The beginning of a history as somebody saw it. */
struct sight {
    char run_id[64];
    size_t events;
    uint64_t hash;
};

struct readers {
    struct sight sights[SIGHTS_MAX];
    unsigned count;
    unsigned answers_left; /* of reads that must still come: one of each client's ended workflow */
    unsigned told;         /* answers that said DATA_LOSS */
};

/* One read. */
struct read {
    struct client *client;
    char run_id[64];
    bool last; /* of the run that has ended; repeated until it is answered */
};

static struct readers *readers_of(struct cast *cast)
{
    return feature_state(cast, &readers_feature, sizeof(struct readers));
}

/* What is told of an event: enough to see another one in its place. */
static uint64_t hash_event(uint64_t hash, const FloApi__HistoryEvent *event)
{
    const uint64_t parts[] = {(uint64_t)event->event_id, (uint64_t)event->event_type,
                              (uint64_t)event->event_time->seconds,
                              (uint64_t)event->event_time->nanos};
    for (size_t i = 0; i < sizeof parts; i++)
        hash = (hash ^ ((const uint8_t *)parts)[i]) * UINT64_C(1099511628211);
    return hash;
}

/* The last events may be those of a workflow task that are shown and not written yet. */
static size_t lasting(const FloApi__History *history)
{
    size_t count = history->n_events;
    while (count > 0 && (history->events[count - 1]->event_type ==
                             FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_SCHEDULED ||
                         history->events[count - 1]->event_type ==
                             FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_STARTED))
        count--;
    return count;
}

static void note_sight(struct readers *readers, const char *run_id, const FloApi__History *history)
{
    struct sight *sight = &readers->sights[readers->count % SIGHTS_MAX];
    readers->count++;
    *sight = (struct sight){.events = lasting(history)};
    snprintf(sight->run_id, sizeof sight->run_id, "%s", run_id);
    for (size_t i = 0; i < sight->events; i++)
        sight->hash = hash_event(sight->hash, history->events[i]);
}

/* All events of a run that has ended? */
static void check_whole(struct world *world, const struct read *read,
                        const FloApi__History *history)
{
    const struct disk_run *run = disk_find_run(&world->disk, read->run_id);
    if (read->last && run && run->close_ns && (int64_t)history->n_events != run->next_event_id - 1)
        world_fail(world, "%s: %s has %lld events, and a reader is shown %zu",
                   run->damaged ? "I13" : "I5", run->workflow_id, (long long)run->next_event_id - 1,
                   history->n_events);
}

static void read_history(struct world *world, void *ctx, uint64_t arg);

static void have_read(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    struct read *read = ctx;
    struct readers *readers = readers_of(read->client->cast);
    const struct disk_run *run = disk_find_run(&world->disk, read->run_id);
    struct flo_arena arena;
    if (code == FLO_GRPC_UNAVAILABLE || code == FLO_GRPC_DEADLINE_EXCEEDED) {
        world_after(world, 100 * MS, read_history, read, 0);
        return;
    }
    readers->answers_left -= read->last;
    if (code == FLO_GRPC_OK) {
        const FloApi__GetWorkflowExecutionHistoryResponse *answer = decode_answer(
            &flo_api__get_workflow_execution_history_response__descriptor, body, len, &arena);
        if (answer->next_page_token.len == 0)
            check_whole(world, read, answer->history);
        note_sight(readers, read->run_id, answer->history);
        flo_arena_fini(&arena);
    } else if (code == FLO_GRPC_DATA_LOSS && run && run->damaged) {
        readers->told++;
    } else {
        world_fail(world, "a history of %s: code %d", read->client->id, code);
    }
}

static void read_history(struct world *world, void *ctx, uint64_t arg)
{
    struct read *read = ctx;
    FloApi__GetWorkflowExecutionHistoryRequest request;
    FloApi__WorkflowExecution execution;
    (void)arg;
    flo_api__get_workflow_execution_history_request__init(&request);
    flo_api__workflow_execution__init(&execution);
    execution.workflow_id = read->client->id;
    execution.run_id = read->run_id;
    request.namespace_ = NAME("default");
    request.execution = &execution;
    world_call(world, "GetWorkflowExecutionHistory", &request.base, have_read, read);
}

static struct read *new_read(struct client *client, bool last)
{
    struct read *read = flo_arena_calloc(&client->cast->world->arena, 1, sizeof *read);
    if (!read)
        abort();
    read->client = client;
    read->last = last;
    memcpy(read->run_id, client->run_id, sizeof read->run_id);
    return read;
}

/* Look at a client's workflow every few seconds; a last time after its end. */
static void look(struct world *world, void *ctx, uint64_t arg)
{
    struct client *client = ctx;
    (void)arg;
    if (client->ended) {
        struct disk_run *run = disk_find_run(&world->disk, client->run_id);
        if (run && run->close_ns && (world_fault(world, 300) || world->broken == BROKEN_I13))
            disk_damage(&world->disk, run);
        read_history(world, new_read(client, true), 0);
        return;
    }
    if (*client->run_id)
        read_history(world, new_read(client, false), 0);
    world_after(world, SECOND + (int64_t)world_random(world, 10 * SECOND), look, client, 0);
}

static void begin(struct cast *cast)
{
    struct readers *readers = readers_of(cast);
    for (unsigned i = 0; i < cast->client_count; i += 2) {
        readers->answers_left++;
        world_after(cast->world, (int64_t)world_random(cast->world, 10 * SECOND), look,
                    &cast->clients[i], 0);
    }
}

static bool done(struct cast *cast)
{
    return readers_of(cast)->answers_left == 0;
}

/* Is what was seen what is there? */
static void check_sight(struct world *world, const struct sight *sight)
{
    const struct disk_run *run = disk_find_run(&world->disk, sight->run_id);
    uint64_t hash = 0;
    size_t seen = 0;
    struct flo_arena arena;
    if (!run) {
        world_fail(world, "I5: a history was seen of a run that is not there");
        return;
    }
    flo_arena_init(&arena, 0);
    for (size_t i = 0; i < run->batch_count && seen < sight->events; i++) {
        ProtobufCMessage *message;
        if (flo_wire_decode(&flo_api__history__descriptor, run->batches[i].events,
                            run->batches[i].len, &arena, &message, NULL))
            break;
        const FloApi__History *history = (const void *)message;
        for (size_t j = 0; j < history->n_events && seen < sight->events; j++, seen++)
            hash = hash_event(hash, history->events[j]);
    }
    flo_arena_fini(&arena);
    if (seen < sight->events || hash != sight->hash)
        world_fail(world, "I5: the history of %s is not what was seen of it", run->workflow_id);
}

static void check_end(struct cast *cast)
{
    const struct readers *readers = readers_of(cast);
    for (unsigned i = 0; i < readers->count && i < SIGHTS_MAX; i++)
        check_sight(cast->world, &readers->sights[i]);
}

const struct feature readers_feature = {
    .name = "readers", .begin = begin, .done = done, .check_end = check_end};
