/* SPDX-License-Identifier: Apache-2.0 */
/* batches.c - a batch job that signals some workflows, then one that ends them: whenever the engine
 * dies, each of its targets gets the signal, once. Nobody works for them. */
#include <stdio.h>
#include <string.h>

#include "simulation/feature.h"
#include "simulation/workers.h"
#include "wire/api.h"
#include "wire/decode.h"

#define NAME(literal) ((char *)(uintptr_t)(literal))
#define TARGETS 12
#define WORKFLOW "batched"

enum stage { STARTING, SIGNALLING, ENDING, OVER };

static const char *const jobs[] = {[SIGNALLING] = "signal", [ENDING] = "end"};

/* The jobs of a world, one after the other. */
struct batches {
    struct cast *cast;
    bool wanted; /* this world has them */
    enum stage stage;
    unsigned started; /* workflows whose start was acknowledged */
    bool made;        /* the job of the stage is acknowledged */
};

static struct batches *batches_of(struct cast *cast)
{
    return feature_state(cast, &batches_feature, sizeof(struct batches));
}

static void go_on(struct world *world, void *ctx, uint64_t arg);

static void soon(struct batches *batches)
{
    world_after(batches->cast->world, 300 * MS, go_on, batches, 0);
}

static bool is_unknown(int code)
{
    return code == FLO_GRPC_UNAVAILABLE || code == FLO_GRPC_DEADLINE_EXCEEDED ||
           code == FLO_GRPC_RESOURCE_EXHAUSTED;
}

/* ---- the workflows ---- */

static void was_started(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    struct batches *batches = ctx;
    (void)body, (void)len;
    if (code == FLO_GRPC_OK)
        batches->started++;
    else if (!is_unknown(code))
        world_fail(world, "a workflow for a batch job was refused: code %d", code);
    if (batches->started == TARGETS)
        batches->stage = SIGNALLING;
    soon(batches);
}

static void start_next(struct batches *batches)
{
    FloApi__StartWorkflowExecutionRequest request = FLO_API__START_WORKFLOW_EXECUTION_REQUEST__INIT;
    FloApi__WorkflowType type = FLO_API__WORKFLOW_TYPE__INIT;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    char id[32];
    snprintf(id, sizeof id, WORKFLOW "-%u", batches->started);
    type.name = NAME("Batched");
    queue.name = NAME("nobody-works-here");
    request.namespace_ = NAME("default");
    request.workflow_id = id;
    request.request_id = id;
    request.workflow_type = &type;
    request.task_queue = &queue;
    world_call(batches->cast->world, "StartWorkflowExecution", &request.base, was_started, batches);
}

/* ---- the jobs ---- */

/* ALREADY_EXISTS: the answer to an earlier request was lost. */
static void was_made(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    struct batches *batches = ctx;
    (void)body, (void)len;
    if (code == FLO_GRPC_OK || code == FLO_GRPC_ALREADY_EXISTS)
        batches->made = true;
    else if (!is_unknown(code))
        world_fail(world, "a batch job was refused: code %d", code);
    soon(batches);
}

static void make_job(struct batches *batches)
{
    FloApi__StartBatchOperationRequest request = FLO_API__START_BATCH_OPERATION_REQUEST__INIT;
    FloApi__BatchOperationSignal signal = FLO_API__BATCH_OPERATION_SIGNAL__INIT;
    FloApi__BatchOperationTermination end = FLO_API__BATCH_OPERATION_TERMINATION__INIT;
    FloApi__WorkflowExecution targets[TARGETS], *list[TARGETS];
    char ids[TARGETS][32];
    for (unsigned i = 0; i < TARGETS; i++) {
        flo_api__workflow_execution__init(&targets[i]);
        snprintf(ids[i], sizeof ids[i], WORKFLOW "-%u", i);
        targets[i].workflow_id = ids[i];
        list[i] = &targets[i];
    }
    signal.signal = NAME("batch");
    request.namespace_ = NAME("default");
    request.job_id = NAME(jobs[batches->stage]);
    request.reason = NAME("a test");
    request.executions = list;
    request.n_executions = TARGETS;
    if (batches->stage == SIGNALLING) {
        request.operation_case = FLO_API__START_BATCH_OPERATION_REQUEST__OPERATION_SIGNAL_OPERATION;
        request.signal_operation = &signal;
    } else {
        request.operation_case =
            FLO_API__START_BATCH_OPERATION_REQUEST__OPERATION_TERMINATION_OPERATION;
        request.termination_operation = &end;
    }
    world_call(batches->cast->world, "StartBatchOperation", &request.base, was_made, batches);
}

static void was_described(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    struct batches *batches = ctx;
    struct flo_arena arena;
    if (code == FLO_GRPC_OK) {
        const FloApi__DescribeBatchOperationResponse *job = decode_answer(
            &flo_api__describe_batch_operation_response__descriptor, body, len, &arena);
        if (job->state == FLO_API__BATCH_OPERATION_STATE__BATCH_OPERATION_STATE_COMPLETED) {
            if (job->complete_operation_count != TARGETS)
                world_fail(world, "I3: a batch job did %d of %d",
                           (int)job->complete_operation_count, TARGETS);
            batches->stage++;
            batches->made = false;
        }
        flo_arena_fini(&arena);
    } else if (!is_unknown(code)) {
        world_fail(world, "I1: an acknowledged batch job is lost: code %d", code);
    }
    soon(batches);
}

static void describe_job(struct batches *batches)
{
    FloApi__DescribeBatchOperationRequest request = FLO_API__DESCRIBE_BATCH_OPERATION_REQUEST__INIT;
    request.namespace_ = NAME("default");
    request.job_id = NAME(jobs[batches->stage]);
    world_call(batches->cast->world, "DescribeBatchOperation", &request.base, was_described,
               batches);
}

static void go_on(struct world *world, void *ctx, uint64_t arg)
{
    struct batches *batches = ctx;
    (void)world, (void)arg;
    if (batches->stage == STARTING)
        start_next(batches);
    else if (batches->stage != OVER && !batches->made)
        make_job(batches);
    else if (batches->stage != OVER)
        describe_job(batches);
}

static void begin(struct cast *cast)
{
    struct batches *batches = batches_of(cast);
    batches->cast = cast;
    batches->wanted = world_random(cast->world, 3) == 0;
    if (batches->wanted)
        world_after(cast->world, (int64_t)world_random(cast->world, 20 * SECOND), go_on, batches,
                    0);
}

static bool done(struct cast *cast)
{
    const struct batches *batches = batches_of(cast);
    return !batches->wanted || batches->stage == OVER;
}

/* ---- what must hold ---- */

/* How often a history says that the signal came. */
static unsigned count_signals(struct world *world, const struct disk_run *run)
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
            found += history->events[j]->event_type ==
                     FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED;
    }
    flo_arena_fini(&arena);
    return found;
}

static void check(struct cast *cast, bool all)
{
    const struct disk *disk = &cast->world->disk;
    unsigned runs = 0;
    for (size_t i = 0; i < disk->run_count; i++) {
        const struct disk_run *run = disk->runs[i];
        if (run->damaged || strncmp(run->workflow_id, WORKFLOW "-", sizeof WORKFLOW) != 0)
            continue;
        runs++;
        const unsigned found = count_signals(cast->world, run);
        if (found > 1)
            world_fail(cast->world, "I6: a batch job signalled %s %u times", run->workflow_id,
                       found);
        if (all && (!found || !run->close_ns))
            world_fail(cast->world, "I3: batch jobs have left out %s", run->workflow_id);
    }
    if (runs > TARGETS)
        world_fail(cast->world, "I6: %u workflows were started for a batch job", runs);
}

static void check_durable(struct cast *cast)
{
    check(cast, false);
}

static void check_end(struct cast *cast)
{
    check(cast, true);
}

const struct feature batches_feature = {.name = "batches",
                                        .begin = begin,
                                        .done = done,
                                        .check_durable = check_durable,
                                        .check_end = check_end};
