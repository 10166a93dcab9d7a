/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.c - a workflow worker without memory: it derives where a program stands from the events
 * each time (a sticky task, which brings only the newest ones, makes it fetch the rest). Some tasks
 * it loses, some it fails.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation/workers.h"
#include "wire/api.h"

#define NAME(literal) ((char *)(uintptr_t)(literal))
#define EVENT(name) FLO_API__EVENT_TYPE__EVENT_TYPE_##name

static void poll_workflow(struct world *world, void *ctx, uint64_t sticky);

/* ---- where a program stands ---- */

struct progress {
    bool scheduled[STEPS_MAX][2], done[STEPS_MAX][2];
    int64_t scheduled_event[STEPS_MAX][2]; /* of activities */
    unsigned signals;
    bool continued, cancel_requested;
};

/* The step (and which of two) in ids such as "a3.1", "t3.0" and, after the parent's, "/c3.0". */
static bool parse_id(const char *id, unsigned *out_step, unsigned *out_part)
{
    return sscanf(id + 1, "%u.%u", out_step, out_part) == 2 && *out_step < STEPS_MAX &&
           *out_part < 2;
}

static void part_ended(struct progress *p, int64_t scheduled_event_id)
{
    for (unsigned step = 0; step < STEPS_MAX; step++)
        for (unsigned part = 0; part < 2; part++)
            if (p->scheduled[step][part] && p->scheduled_event[step][part] == scheduled_event_id)
                p->done[step][part] = true;
}

static void follow(struct progress *p, const FloApi__HistoryEvent *event)
{
    unsigned step, part;
    switch (event->event_type) {
    case EVENT(ACTIVITY_TASK_SCHEDULED):
        if (parse_id(event->activity_task_scheduled_event_attributes->activity_id, &step, &part)) {
            p->scheduled[step][part] = true;
            p->scheduled_event[step][part] = event->event_id;
        }
        break;
    case EVENT(ACTIVITY_TASK_COMPLETED):
        part_ended(p, event->activity_task_completed_event_attributes->scheduled_event_id);
        break;
    case EVENT(ACTIVITY_TASK_FAILED):
        part_ended(p, event->activity_task_failed_event_attributes->scheduled_event_id);
        break;
    case EVENT(ACTIVITY_TASK_TIMED_OUT):
        part_ended(p, event->activity_task_timed_out_event_attributes->scheduled_event_id);
        break;
    case EVENT(START_CHILD_WORKFLOW_EXECUTION_INITIATED):
        if (parse_id(
                strchr(
                    event->start_child_workflow_execution_initiated_event_attributes->workflow_id,
                    '/') +
                    1,
                &step, &part)) {
            p->scheduled[step][part] = true;
            p->scheduled_event[step][part] = event->event_id;
        }
        break;
    case EVENT(START_CHILD_WORKFLOW_EXECUTION_FAILED):
        part_ended(
            p, event->start_child_workflow_execution_failed_event_attributes->initiated_event_id);
        break;
    case EVENT(CHILD_WORKFLOW_EXECUTION_COMPLETED):
        part_ended(p,
                   event->child_workflow_execution_completed_event_attributes->initiated_event_id);
        break;
    case EVENT(WORKFLOW_EXECUTION_STARTED):
        p->continued =
            *event->workflow_execution_started_event_attributes->continued_execution_run_id;
        break;
    case EVENT(WORKFLOW_EXECUTION_CANCEL_REQUESTED):
        p->cancel_requested = true;
        break;
    case EVENT(TIMER_STARTED):
        if (parse_id(event->timer_started_event_attributes->timer_id, &step, &part))
            p->scheduled[step][part] = true;
        break;
    case EVENT(TIMER_FIRED):
        if (parse_id(event->timer_fired_event_attributes->timer_id, &step, &part))
            p->done[step][part] = true;
        break;
    case EVENT(WORKFLOW_EXECUTION_SIGNALED):
        p->signals++;
        break;
    default:
        break;
    }
}

/* ---- commands ---- */

struct commands {
    struct flo_arena arena;
    FloApi__Command *items[2];
    size_t count;
};

static void *make(struct commands *c, size_t bytes)
{
    void *made = flo_arena_alloc(&c->arena, bytes);
    if (!made)
        abort();
    return made;
}

static FloApi__Command *add_command(struct commands *c, FloApi__CommandType type,
                                    FloApi__Command__AttributesCase attributes)
{
    FloApi__Command *command = make(c, sizeof *command);
    flo_api__command__init(command);
    command->command_type = type;
    command->attributes_case = attributes;
    c->items[c->count++] = command;
    return command;
}

/* A command of KIND with attributes of its kind, which are the value, for the caller to fill. */
#define ADD_COMMAND(c, KIND, kind)                                                                 \
    __extension__({                                                                                \
        FloApi__Command *command_ =                                                                \
            add_command(c, FLO_API__COMMAND_TYPE__COMMAND_TYPE_##KIND,                             \
                        FLO_API__COMMAND__ATTRIBUTES_##KIND##_COMMAND_ATTRIBUTES);                 \
        command_->kind##_command_attributes =                                                      \
            make(c, sizeof *command_->kind##_command_attributes);                                  \
        flo_api__##kind##_command_attributes__init(command_->kind##_command_attributes);           \
        command_->kind##_command_attributes;                                                       \
    })

static FloApi__TaskQueue *task_queue(struct commands *c)
{
    FloApi__TaskQueue *queue = make(c, sizeof *queue);
    flo_api__task_queue__init(queue);
    queue->name = NAME(QUEUE);
    return queue;
}

static Google__Protobuf__Duration *duration(struct commands *c, int64_t seconds)
{
    Google__Protobuf__Duration *made = make(c, sizeof *made);
    google__protobuf__duration__init(made);
    made->seconds = seconds;
    return made;
}

static void schedule_activity(struct commands *c, char *id)
{
    FloApi__ScheduleActivityTaskCommandAttributes *attributes =
        ADD_COMMAND(c, SCHEDULE_ACTIVITY_TASK, schedule_activity_task);
    FloApi__ActivityType *type = make(c, sizeof *type);
    flo_api__activity_type__init(type);
    type->name = NAME("work");
    attributes->activity_id = id;
    attributes->activity_type = type;
    attributes->task_queue = task_queue(c);
    attributes->start_to_close_timeout = duration(c, 5);
}

static void start_timer(struct commands *c, char *id, int64_t seconds)
{
    FloApi__StartTimerCommandAttributes *attributes = ADD_COMMAND(c, START_TIMER, start_timer);
    attributes->timer_id = id;
    attributes->start_to_fire_timeout = duration(c, seconds);
}

static void start_child(struct commands *c, char *workflow_id, bool reject_duplicate)
{
    FloApi__StartChildWorkflowExecutionCommandAttributes *attributes =
        ADD_COMMAND(c, START_CHILD_WORKFLOW_EXECUTION, start_child_workflow_execution);
    FloApi__WorkflowType *type = make(c, sizeof *type);
    flo_api__workflow_type__init(type);
    type->name = NAME("Program");
    attributes->workflow_id = workflow_id;
    attributes->workflow_type = type;
    attributes->task_queue = task_queue(c);
    if (reject_duplicate) /* then the engine asks the store */
        attributes->workflow_id_reuse_policy =
            FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE;
}

/* Begin one part of a step. */
static void begin_part(struct commands *c, const char *workflow_id, enum step kind, unsigned step,
                       unsigned part)
{
    char *id = flo_arena_printf(&c->arena, "%c%u.%u", kind == STEP_TIMER ? 't' : 'a', step, part);
    if (kind == STEP_TIMER)
        start_timer(c, id, 1 + step * 4);
    else if (kind == STEP_CHILD)
        start_child(c, flo_arena_printf(&c->arena, "%s/c%u.%u", workflow_id, step, part), step % 2);
    else
        schedule_activity(c, id);
}

/* What the program does now; nothing when it waits. */
static void decide(const char *workflow_id, FloApi__HistoryEvent *const *events, size_t count,
                   struct commands *c)
{
    enum step steps[STEPS_MAX];
    struct progress p = {0};
    unsigned signals = 0, step_count = program_of(workflow_id, steps);
    for (size_t i = 0; i < count; i++)
        follow(&p, events[i]);
    if (p.cancel_requested) {
        (void)ADD_COMMAND(c, CANCEL_WORKFLOW_EXECUTION, cancel_workflow_execution);
        return;
    }
    for (unsigned step = 0; step < step_count; step++) {
        unsigned parts = steps[step] == STEP_TWO_ACTIVITIES ? 2 : 1;
        bool done = true;
        if (steps[step] == STEP_SIGNAL) {
            if (++signals > p.signals && !p.continued) /* the first run has had the signals */
                return;
            continue;
        }
        for (unsigned part = 0; part < parts; part++) {
            done = done && p.done[step][part];
            if (!p.scheduled[step][part])
                begin_part(c, workflow_id, steps[step], step, part);
        }
        if (!done)
            return;
    }
    if (fate_of(workflow_id) == FATE_CONTINUES && !p.continued)
        (void)ADD_COMMAND(c, CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
                          continue_as_new_workflow_execution);
    else
        (void)ADD_COMMAND(c, COMPLETE_WORKFLOW_EXECUTION, complete_workflow_execution);
}

/* ---- workflow tasks ---- */

static void respond_task(struct cast *cast, ProtobufCBinaryData token, const char *workflow_id,
                         FloApi__HistoryEvent *const *events, size_t count)
{
    FloApi__RespondWorkflowTaskCompletedRequest request;
    FloApi__StickyExecutionAttributes sticky;
    FloApi__TaskQueue queue;
    struct commands c = {0};
    flo_arena_init(&c.arena, 0);
    flo_api__respond_workflow_task_completed_request__init(&request);
    decide(workflow_id, events, count, &c);
    request.namespace_ = NAME("default");
    request.task_token = token;
    request.commands = c.items;
    request.n_commands = c.count;
    if (world_random(cast->world, 2)) {
        flo_api__sticky_execution_attributes__init(&sticky);
        flo_api__task_queue__init(&queue);
        queue.name = NAME(STICKY_QUEUE);
        queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_STICKY;
        queue.normal_name = NAME(QUEUE);
        sticky.worker_task_queue = &queue;
        sticky.schedule_to_start_timeout = duration(&c, 10);
        request.sticky_attributes = &sticky;
    }
    say_until_heard(cast, "RespondWorkflowTaskCompleted", &request.base, NULL, NULL);
    flo_arena_fini(&c.arena);
}

/* A sticky task whose older events are being fetched. */
struct fetch {
    struct cast *cast;
    ProtobufCBinaryData token;
    char workflow_id[48];
};

static void fetched(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    struct fetch *fetch = ctx;
    struct flo_arena arena;
    (void)world;
    if (code == FLO_GRPC_OK) { /* else the task times out */
        const FloApi__GetWorkflowExecutionHistoryResponse *response = decode_answer(
            &flo_api__get_workflow_execution_history_response__descriptor, body, len, &arena);
        respond_task(fetch->cast, fetch->token, fetch->workflow_id, response->history->events,
                     response->history->n_events);
        flo_arena_fini(&arena);
    }
}

static void fetch_history(struct cast *cast, const FloApi__PollWorkflowTaskQueueResponse *task)
{
    struct flo_arena *arena = &cast->world->arena;
    struct fetch *fetch = flo_arena_calloc(arena, 1, sizeof *fetch);
    FloApi__GetWorkflowExecutionHistoryRequest request;
    if (!fetch)
        abort();
    fetch->cast = cast;
    fetch->token.data = flo_arena_memdup(arena, task->task_token.data, task->task_token.len);
    fetch->token.len = task->task_token.len;
    snprintf(fetch->workflow_id, sizeof fetch->workflow_id, "%s",
             task->workflow_execution->workflow_id);
    flo_api__get_workflow_execution_history_request__init(&request);
    request.namespace_ = NAME("default");
    request.execution = task->workflow_execution;
    world_call(cast->world, "GetWorkflowExecutionHistory", &request.base, fetched, fetch);
}

static void fail_task(struct cast *cast, ProtobufCBinaryData token)
{
    FloApi__RespondWorkflowTaskFailedRequest request;
    flo_api__respond_workflow_task_failed_request__init(&request);
    request.namespace_ = NAME("default");
    request.task_token = token;
    request.cause =
        FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE;
    say_until_heard(cast, "RespondWorkflowTaskFailed", &request.base, NULL, NULL);
}

static void got_workflow_task(struct cast *cast, int code, const uint8_t *body, size_t len)
{
    struct world *world = cast->world;
    struct flo_arena arena;
    if (code != FLO_GRPC_OK)
        return;
    const FloApi__PollWorkflowTaskQueueResponse *task =
        decode_answer(&flo_api__poll_workflow_task_queue_response__descriptor, body, len, &arena);
    if (!task->task_token.len || world_fault(world, 40)) {
        /* nothing to do, or the worker dies with it */
    } else if (world_fault(world, 40)) {
        fail_task(cast, task->task_token);
    } else if (task->next_page_token.len || !task->history || !task->history->n_events ||
               task->history->events[0]->event_id != 1) {
        fetch_history(cast, task);
    } else {
        respond_task(cast, task->task_token, task->workflow_execution->workflow_id,
                     task->history->events, task->history->n_events);
    }
    flo_arena_fini(&arena);
}

static void workflow_polled(struct world *world, void *ctx, int code, const uint8_t *body,
                            size_t len)
{
    got_workflow_task(ctx, code, body, len);
    world_after(world, code == FLO_GRPC_OK ? 0 : 300 * MS, poll_workflow, ctx, 0);
}

static void sticky_polled(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    got_workflow_task(ctx, code, body, len);
    world_after(world, code == FLO_GRPC_OK ? 0 : 300 * MS, poll_workflow, ctx, 1);
}

static void poll_workflow(struct world *world, void *ctx, uint64_t sticky)
{
    FloApi__PollWorkflowTaskQueueRequest request;
    FloApi__TaskQueue queue;
    flo_api__poll_workflow_task_queue_request__init(&request);
    flo_api__task_queue__init(&queue);
    queue.name = NAME(sticky ? STICKY_QUEUE : QUEUE);
    queue.kind = sticky ? FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_STICKY
                        : FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    queue.normal_name = NAME(sticky ? QUEUE : "");
    request.namespace_ = NAME("default");
    request.task_queue = &queue;
    request.identity = NAME("worker");
    world_call(world, "PollWorkflowTaskQueue", &request.base,
               sticky ? sticky_polled : workflow_polled, ctx);
}

unsigned workflow_step_kinds(void)
{
    return STEP_KINDS;
}

void workflow_workers_start(struct cast *cast)
{
    for (int i = 0; i < WORKERS; i++) {
        world_after(cast->world, 0, poll_workflow, cast, 0);
        world_after(cast->world, 0, poll_workflow, cast, 1);
    }
}

void workflow_workers_end(struct cast *cast)
{
    (void)cast;
}
