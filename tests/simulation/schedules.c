/* SPDX-License-Identifier: Apache-2.0 */
/* schedules.c - a schedule that starts a workflow every few seconds, so many times: whenever the
 * engine dies, each of its moments has one workflow in the end, never two and never none. Nobody
 * works for them; they end by their timeouts. */
#include <stdio.h>
#include <string.h>

#include "simulation/feature.h"
#include "wire/api.h"

#define NAME(literal) ((char *)(uintptr_t)(literal))
#define ACTIONS 6
#define INTERVAL_S 7
#define WORKFLOW "scheduled"

/* The one schedule of a world. */
struct schedules {
    struct cast *cast;
    bool wanted;       /* this world has one */
    bool acknowledged; /* it is made */
};

static struct schedules *schedules_of(struct cast *cast)
{
    return feature_state(cast, &schedules_feature, sizeof(struct schedules));
}

static void send_create(struct world *world, void *ctx, uint64_t arg);

static void was_created(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    struct schedules *schedules = ctx;
    (void)body;
    (void)len;
    if (code == FLO_GRPC_OK)
        schedules->acknowledged = true;
    else if (code == FLO_GRPC_UNAVAILABLE || code == FLO_GRPC_DEADLINE_EXCEEDED ||
             code == FLO_GRPC_RESOURCE_EXHAUSTED)
        world_after(world, 100 * MS, send_create, schedules, 0);
    else
        world_fail(world, "a schedule was refused: code %d", code);
}

static void send_create(struct world *world, void *ctx, uint64_t arg)
{
    Google__Protobuf__Duration every = GOOGLE__PROTOBUF__DURATION__INIT;
    Google__Protobuf__Duration timeout = GOOGLE__PROTOBUF__DURATION__INIT;
    FloApi__IntervalSpec interval = FLO_API__INTERVAL_SPEC__INIT, *intervals[] = {&interval};
    FloApi__ScheduleSpec spec = FLO_API__SCHEDULE_SPEC__INIT;
    FloApi__WorkflowType type = FLO_API__WORKFLOW_TYPE__INIT;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    FloApi__NewWorkflowExecutionInfo start = FLO_API__NEW_WORKFLOW_EXECUTION_INFO__INIT;
    FloApi__ScheduleAction action = FLO_API__SCHEDULE_ACTION__INIT;
    FloApi__SchedulePolicies policies = FLO_API__SCHEDULE_POLICIES__INIT;
    FloApi__ScheduleState state = FLO_API__SCHEDULE_STATE__INIT;
    FloApi__Schedule schedule = FLO_API__SCHEDULE__INIT;
    FloApi__CreateScheduleRequest request = FLO_API__CREATE_SCHEDULE_REQUEST__INIT;
    (void)arg;
    every.seconds = INTERVAL_S;
    timeout.seconds = 2;
    interval.interval = &every;
    spec.n_interval = 1;
    spec.interval = intervals;
    type.name = NAME("Scheduled");
    queue.name = NAME("nobody-works-here");
    start.workflow_id = NAME(WORKFLOW);
    start.workflow_type = &type;
    start.task_queue = &queue;
    start.workflow_run_timeout = &timeout;
    action.action_case = FLO_API__SCHEDULE_ACTION__ACTION_START_WORKFLOW;
    action.start_workflow = &start;
    policies.overlap_policy = FLO_API__SCHEDULE_OVERLAP_POLICY__SCHEDULE_OVERLAP_POLICY_BUFFER_ALL;
    state.limited_actions = true;
    state.remaining_actions = ACTIONS;
    schedule.spec = &spec;
    schedule.action = &action;
    schedule.policies = &policies;
    schedule.state = &state;
    request.namespace_ = NAME("default");
    request.schedule_id = NAME("schedule");
    request.request_id = NAME("create");
    request.schedule = &schedule;
    world_call(world, "CreateSchedule", &request.base, was_created, ctx);
}

static void begin(struct cast *cast)
{
    struct schedules *schedules = schedules_of(cast);
    schedules->cast = cast;
    schedules->wanted = world_random(cast->world, 3) == 0;
    if (schedules->wanted)
        world_after(cast->world, (int64_t)world_random(cast->world, 5 * SECOND), send_create,
                    schedules, 0);
}

static bool is_ours(const struct disk_run *run)
{
    return strncmp(run->workflow_id, WORKFLOW "-", sizeof WORKFLOW) == 0;
}

/* The workflows that it has started, and how many of them still go. */
static unsigned count(struct cast *cast, unsigned *out_open)
{
    const struct disk *disk = &cast->world->disk;
    unsigned runs = 0;
    *out_open = 0;
    for (size_t i = 0; i < disk->run_count; i++) {
        if (!is_ours(disk->runs[i]))
            continue;
        runs++;
        *out_open += disk->runs[i]->close_ns == 0;
    }
    return runs;
}

static bool done(struct cast *cast)
{
    const struct schedules *schedules = schedules_of(cast);
    unsigned open;
    return !schedules->wanted ||
           (schedules->acknowledged && count(cast, &open) >= ACTIONS && !open);
}

/* No moment has two workflows: their ids end in it. */
static void check_once(struct cast *cast)
{
    const struct disk *disk = &cast->world->disk;
    for (size_t i = 0; i < disk->run_count; i++)
        for (size_t j = i + 1; is_ours(disk->runs[i]) && j < disk->run_count; j++)
            if (strcmp(disk->runs[i]->workflow_id, disk->runs[j]->workflow_id) == 0)
                world_fail(cast->world, "I2: %s was started twice", disk->runs[i]->workflow_id);
}

static void check_durable(struct cast *cast)
{
    check_once(cast);
    if (schedules_of(cast)->acknowledged && cast->world->disk.record_count == 0)
        world_fail(cast->world, "I1: an acknowledged schedule is lost");
}

static void check_end(struct cast *cast)
{
    unsigned open;
    check_once(cast);
    if (schedules_of(cast)->wanted && count(cast, &open) != ACTIONS)
        world_fail(cast->world, "I3: a schedule of %d actions started %u workflows", ACTIONS,
                   count(cast, &open));
}

const struct feature schedules_feature = {.name = "schedules",
                                          .begin = begin,
                                          .done = done,
                                          .check_durable = check_durable,
                                          .check_end = check_end};
