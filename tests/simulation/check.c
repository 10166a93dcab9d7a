/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c - the promises. A failure is printed with the name of the one that is broken:
 *
 *   I1   nothing that was acknowledged is lost: starts, signals, results, updates, resets
 *   I2   what has ended stays as it was (also disk.c)
 *   I3   one end for each activity and child that was scheduled
 *   I4   what is recorded was done: each result is an activity's; and every workflow task can be
 *        done (runtime.c)
 *   I5   histories only grow, without gaps; what was seen of one stays (disk.c, readers.c)
 *   I6   what got no answer is wholly there or not at all, and asking again does it once
 *   I12  when the faults are over, everything ends (simulation.c)
 *   I13  damage is loud: DATA_LOSS, never a shorter history (readers.c)
 *
 * (I7 to I11 are of the process, not of the core.) For each of them `engine_simulation --break`
 * breaks it on purpose; a test each sees that the checks then fail.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "simulation/actors.h"
#include "wire/api.h"
#include "wire/decode.h"

#define EVENTS_MAX 512
#define EVENT(name) FLO_API__EVENT_TYPE__EVENT_TYPE_##name

void cast_check_durable(struct cast *cast)
{
    for (unsigned i = 0; i < cast->client_count; i++) {
        const struct client *client = &cast->clients[i];
        if (!*client->run_id)
            continue;
        const struct disk_run *run = disk_find_run(&cast->world->disk, client->run_id);
        if (!run || strcmp(run->workflow_id, client->id) != 0)
            world_fail(cast->world, "I1: the acknowledged start of %s is lost", client->id);
        else if (client->ended && !run->close_ns)
            world_fail(cast->world, "I2: the end of %s was seen and is lost", client->id);
    }
}

/* What a history says, event by event. */
struct tally {
    unsigned ends[EVENTS_MAX];     /* by the event id of the scheduling: terminal events */
    unsigned values[EVENTS_MAX];   /* the result there */
    char activity[EVENTS_MAX][16]; /* the activity id; "" = no activity was scheduled there */
    unsigned signals[STEPS_MAX];
    int64_t next;
    bool closed;
    bool finished; /* by its own program: nothing is left open */
};

static void end_activity(struct tally *tally, int64_t scheduled_event_id)
{
    if (scheduled_event_id > 0 && scheduled_event_id < EVENTS_MAX)
        tally->ends[scheduled_event_id]++;
}

static void count_completed(struct tally *tally,
                            const FloApi__ActivityTaskCompletedEventAttributes *completed)
{
    int64_t at = completed->scheduled_event_id;
    end_activity(tally, at);
    if (at > 0 && at < EVENTS_MAX && completed->result && completed->result->n_payloads == 1 &&
        completed->result->payloads[0]->data.len == sizeof tally->values[at])
        memcpy(&tally->values[at], completed->result->payloads[0]->data.data,
               sizeof tally->values[at]);
}

static void count_event(struct world *world, struct tally *tally, const FloApi__HistoryEvent *event)
{
    if (event->event_id != tally->next++ || tally->closed || event->event_id >= EVENTS_MAX) {
        world_fail(world, "I5: event %lld is not where it belongs", (long long)event->event_id);
        return;
    }
    switch (event->event_type) {
    case EVENT(ACTIVITY_TASK_SCHEDULED):
        strncpy(tally->activity[event->event_id],
                event->activity_task_scheduled_event_attributes->activity_id,
                sizeof tally->activity[0] - 1);
        break;
    case EVENT(ACTIVITY_TASK_COMPLETED):
        count_completed(tally, event->activity_task_completed_event_attributes);
        break;
    case EVENT(ACTIVITY_TASK_FAILED):
        end_activity(tally, event->activity_task_failed_event_attributes->scheduled_event_id);
        break;
    case EVENT(ACTIVITY_TASK_TIMED_OUT):
        end_activity(tally, event->activity_task_timed_out_event_attributes->scheduled_event_id);
        break;
    case EVENT(START_CHILD_WORKFLOW_EXECUTION_INITIATED):
        strncpy(tally->activity[event->event_id], "a child", sizeof tally->activity[0] - 1);
        break;
    case EVENT(START_CHILD_WORKFLOW_EXECUTION_FAILED):
        end_activity(
            tally,
            event->start_child_workflow_execution_failed_event_attributes->initiated_event_id);
        break;
    case EVENT(CHILD_WORKFLOW_EXECUTION_COMPLETED):
        end_activity(
            tally, event->child_workflow_execution_completed_event_attributes->initiated_event_id);
        break;
    case EVENT(WORKFLOW_EXECUTION_SIGNALED): {
        const char *name = event->workflow_execution_signaled_event_attributes->signal_name;
        if (name[0] == 's' && name[1] >= '0' && name[1] < '0' + STEPS_MAX)
            tally->signals[name[1] - '0']++;
        break;
    }
    case EVENT(WORKFLOW_EXECUTION_COMPLETED):
    case EVENT(WORKFLOW_EXECUTION_CONTINUED_AS_NEW):
        tally->finished = true;
        tally->closed = true;
        break;
    case EVENT(WORKFLOW_EXECUTION_CANCELED):
    case EVENT(WORKFLOW_EXECUTION_FAILED):
    case EVENT(WORKFLOW_EXECUTION_TIMED_OUT):
    case EVENT(WORKFLOW_EXECUTION_TERMINATED):
        tally->closed = true;
        break;
    default:
        break;
    }
}

static void count_history(struct world *world, const struct disk_run *run, struct tally *tally)
{
    memset(tally, 0, sizeof *tally);
    tally->next = 1;
    for (size_t i = 0; i < run->batch_count; i++) {
        const struct flo_core_history_batch *batch = &run->batches[i];
        struct flo_arena arena;
        ProtobufCMessage *message;
        flo_arena_init(&arena, 0);
        if (flo_wire_decode(&flo_api__history__descriptor, batch->events, batch->len, &arena,
                            &message, NULL)) {
            world_fail(world, "I5: a stored history cannot be read");
        } else {
            const FloApi__History *history = (const void *)message;
            if (history->n_events != batch->event_count)
                world_fail(world, "I5: a batch does not hold what it says");
            for (size_t j = 0; j < history->n_events; j++)
                count_event(world, tally, history->events[j]);
        }
        flo_arena_fini(&arena);
    }
}

static void check_results(struct cast *cast, const struct disk_run *run, const struct tally *tally)
{
    for (unsigned i = 0; i < cast->result_count; i++) {
        const struct result *result = &cast->results[i];
        bool found = false;
        if (strcmp(result->run_id, run->run_id) != 0)
            continue;
        for (size_t at = 1; at < EVENTS_MAX; at++)
            if (strcmp(tally->activity[at], result->activity_id) == 0)
                found = tally->values[at] == result->value;
        if (!found)
            world_fail(cast->world, "I1: the acknowledged result of %s in %s is lost",
                       result->activity_id, run->workflow_id);
    }
}

/* Every result that is recorded was an activity's doing. */
static void check_effects(struct cast *cast, const struct disk_run *run, const struct tally *tally)
{
    /* A run that was made by a reset has the results of the one before it. */
    const struct client *client = client_of(cast, run->workflow_id);
    if (client && client->reset)
        return;
    for (size_t at = 1; at < EVENTS_MAX; at++) {
        bool found = !tally->values[at];
        for (unsigned i = 0; i < cast->effect_count && !found; i++) {
            const struct result *effect = &cast->effects[i];
            found = effect->value == tally->values[at] &&
                    strcmp(effect->run_id, run->run_id) == 0 &&
                    strcmp(effect->activity_id, tally->activity[at]) == 0;
        }
        if (!found)
            world_fail(cast->world, "I4: the result of %s in %s is nobody's", tally->activity[at],
                       run->workflow_id);
    }
}

/* One run, of a client or a child; its signals are added up. */
static void check_run(struct cast *cast, const struct disk_run *run, unsigned signals[STEPS_MAX])
{
    static struct tally tally; /* large; one thread */
    struct world *world = cast->world;
    count_history(world, run, &tally);
    if (tally.closed != (run->close_ns != 0))
        world_fail(world, "I2: %s has ended in its history or its row only", run->workflow_id);
    for (size_t at = 1; at < EVENTS_MAX; at++)
        if (*tally.activity[at] && (tally.ends[at] > 1 || (tally.finished && !tally.ends[at])))
            world_fail(world, "I3: activity %s of %s has %u terminal events", tally.activity[at],
                       run->workflow_id, tally.ends[at]);
    for (unsigned i = 0; i < STEPS_MAX; i++) {
        if (tally.signals[i] > 1)
            world_fail(world, "I6: signal s%u of %s is there %u times", i, run->workflow_id,
                       tally.signals[i]);
        signals[i] += tally.signals[i];
    }
    if (tally.closed) /* in an open run events may wait for a workflow task's end */
        check_results(cast, run, &tally);
    check_effects(cast, run, &tally);
}

static void check_client(struct cast *cast, const struct client *client)
{
    const struct disk *disk = &cast->world->disk;
    const struct disk_run *last = disk_find_run(&cast->world->disk, client->run_id);
    unsigned signals[STEPS_MAX] = {0};
    if (!last || !last->close_ns)
        world_fail(cast->world, "I2: %s has ended, but not on the disk", client->id);
    for (size_t i = 0; i < disk->run_count; i++)
        if (strcmp(disk->runs[i]->workflow_id, client->id) == 0)
            check_run(cast, disk->runs[i], signals);
    for (unsigned i = 0; i < client->signals; i++)
        if (client->acknowledged[i] && !signals[i])
            world_fail(cast->world, "I1: signal s%u of %s is lost", i, client->id);
}

/* No workflow id has two runs, unless one follows the other, or the parent has two. Whoever has
 * continued as new may also be started again by a start that is repeated late: request ids are a
 * run's, as on the real server. */
static void check_started_once(struct cast *cast, const struct disk_run *older,
                               const struct disk_run *newer)
{
    if (strcmp(older->workflow_id, newer->workflow_id) != 0)
        return;
    const struct client *client = client_of(cast, newer->workflow_id);
    if (!has_runs(fate_of(newer->workflow_id)) && !has_runs(fate_of_parent(newer->workflow_id)) &&
        !(client && client->reset))
        world_fail(cast->world, "I6: %s was started twice", newer->workflow_id);
}

/* ---- broken on purpose, before the checks look ---- */

/* Change the first history for which change() finds something to change. */
static void tamper(struct cast *cast, bool (*change)(FloApi__History *history))
{
    const struct disk *disk = &cast->world->disk;
    for (size_t i = 0; i < disk->run_count; i++) {
        for (size_t j = 0; j < disk->runs[i]->batch_count; j++) {
            struct flo_core_history_batch *batch = &disk->runs[i]->batches[j];
            struct flo_arena *arena = &cast->world->arena;
            ProtobufCMessage *message;
            if (flo_wire_decode(&flo_api__history__descriptor, batch->events, batch->len, arena,
                                &message, NULL))
                abort();
            if (!change((FloApi__History *)(void *)message))
                continue;
            struct flo_buf packed;
            flo_buf_init(&packed, 0);
            if (flo_wire_encode(message, &packed))
                abort();
            disk_replace(disk->runs[i], j, packed.data, packed.len);
            flo_buf_fini(&packed);
            return;
        }
    }
}

/* I3: the end of an activity is that of another one. */
static bool end_another(FloApi__History *history)
{
    static int64_t before; /* its scheduling event, in the run that is being looked at */
    for (size_t i = 0; i < history->n_events; i++) {
        FloApi__HistoryEvent *event = history->events[i];
        if (event->event_id == 1)
            before = 0;
        if (event->event_type != EVENT(ACTIVITY_TASK_COMPLETED))
            continue;
        int64_t *scheduled = &event->activity_task_completed_event_attributes->scheduled_event_id;
        if (before) {
            *scheduled = before;
            return true;
        }
        before = *scheduled;
    }
    return false;
}

/* I5: an event is not there. */
static bool lose_event(FloApi__History *history)
{
    if (history->n_events < 2)
        return false;
    history->n_events--;
    return true;
}

void cast_check_histories(struct cast *cast)
{
    if (cast->world->broken == BROKEN_I3)
        tamper(cast, end_another);
    if (cast->world->broken == BROKEN_I5)
        tamper(cast, lose_event);
    const struct disk *disk = &cast->world->disk;
    for (unsigned i = 0; i < cast->client_count; i++)
        check_client(cast, &cast->clients[i]);
    for (size_t i = 0; i < disk->run_count; i++) {
        unsigned signals[STEPS_MAX] = {0};
        if (strchr(disk->runs[i]->workflow_id, '/'))
            check_run(cast, disk->runs[i], signals);
        for (size_t j = 0; j < i; j++)
            check_started_once(cast, disk->runs[j], disk->runs[i]);
    }
}
