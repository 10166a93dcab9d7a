/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workers.c - a workflow worker without memory: it derives where a program stands from the events
 * each time (a sticky task, which brings only the newest ones, makes it fetch the rest). Some tasks
 * it loses, some it fails. Activity workers lose and fail attempts too, and say some results twice.
 */
#include "simulation/workers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/api.h"
#include "wire/decode.h"

#define NAME(literal) ((char *)(uintptr_t)(literal))
#define WORKERS 3
#define ATTEMPTS 20 /* of saying one thing, as SDKs give up at last */
#define EVENT(name) FLO_API__EVENT_TYPE__EVENT_TYPE_##name

static void poll_workflow(struct world *world, void *ctx, uint64_t sticky);
static void poll_activity(struct world *world, void *ctx, uint64_t arg);

static void *decode(const ProtobufCMessageDescriptor *type, const uint8_t *body, size_t len,
                    struct flo_arena *arena)
{
    ProtobufCMessage *message;
    flo_arena_init(arena, 0);
    if (flo_wire_decode(type, body, len, arena, &message, NULL))
        abort();
    return message;
}

/* ---- saying something until it is heard ---- */

/* A request that is repeated while its answer is unknown. */
struct saying {
    const char *method;
    ProtobufCMessage *request;
    unsigned attempts;
    struct cast *cast;
    struct result result; /* of an activity; activity_id "" = none */
};

static void say(struct world *world, void *ctx, uint64_t arg);

static void said(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    struct saying *saying = ctx;
    (void)body, (void)len;
    bool unknown = code == FLO_GRPC_UNAVAILABLE || code == FLO_GRPC_DEADLINE_EXCEEDED;
    if (unknown && saying->attempts < ATTEMPTS) {
        world_after(world, 200 * MS, say, saying, 0);
        return;
    }
    if (code == FLO_GRPC_OK && *saying->result.activity_id) {
        if (saying->cast->result_count < RESULTS_MAX)
            saying->cast->results[saying->cast->result_count++] = saying->result;
    } else if (code != FLO_GRPC_OK && !unknown && code != FLO_GRPC_NOT_FOUND &&
               code != FLO_GRPC_INVALID_ARGUMENT) {
        world_fail(world, "%s: code %d", saying->method, code);
    }
}

static void say(struct world *world, void *ctx, uint64_t arg)
{
    struct saying *saying = ctx;
    (void)arg;
    saying->attempts++;
    world_call(world, saying->method, saying->request, said, saying);
}

/* Copies request. */
static void begin_saying(struct cast *cast, const char *method, const ProtobufCMessage *request,
                         const struct result *result)
{
    struct flo_arena *arena = &cast->world->arena;
    struct saying *saying = flo_arena_calloc(arena, 1, sizeof *saying);
    if (!saying)
        abort();
    saying->cast = cast;
    saying->method = method;
    saying->request = flo_wire_copy(request, arena);
    if (!saying->request)
        abort();
    if (result)
        saying->result = *result;
    say(cast->world, saying, 0);
}

/* ---- where a program stands ---- */

struct progress {
    bool scheduled[STEPS_MAX][2], done[STEPS_MAX][2];
    int64_t scheduled_event[STEPS_MAX][2]; /* of activities */
    unsigned signals;
};

/* The step (and which of two) in ids such as "a3.1" and "t3.0". */
static bool parse_id(const char *id, unsigned *out_step, unsigned *out_part)
{
    return sscanf(id + 1, "%u.%u", out_step, out_part) == 2 && *out_step < STEPS_MAX &&
           *out_part < 2;
}

static void activity_ended(struct progress *p, int64_t scheduled_event_id)
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
        activity_ended(p, event->activity_task_completed_event_attributes->scheduled_event_id);
        break;
    case EVENT(ACTIVITY_TASK_FAILED):
        activity_ended(p, event->activity_task_failed_event_attributes->scheduled_event_id);
        break;
    case EVENT(ACTIVITY_TASK_TIMED_OUT):
        activity_ended(p, event->activity_task_timed_out_event_attributes->scheduled_event_id);
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

static FloApi__Command *add_command(struct commands *c, FloApi__CommandType type)
{
    FloApi__Command *command = make(c, sizeof *command);
    flo_api__command__init(command);
    command->command_type = type;
    c->items[c->count++] = command;
    return command;
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
    FloApi__Command *command =
        add_command(c, FLO_API__COMMAND_TYPE__COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK);
    FloApi__ScheduleActivityTaskCommandAttributes *attributes = make(c, sizeof *attributes);
    FloApi__ActivityType *type = make(c, sizeof *type);
    FloApi__TaskQueue *queue = make(c, sizeof *queue);
    flo_api__schedule_activity_task_command_attributes__init(attributes);
    flo_api__activity_type__init(type);
    flo_api__task_queue__init(queue);
    type->name = NAME("work");
    queue->name = NAME(QUEUE);
    attributes->activity_id = id;
    attributes->activity_type = type;
    attributes->task_queue = queue;
    attributes->start_to_close_timeout = duration(c, 5);
    command->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_SCHEDULE_ACTIVITY_TASK_COMMAND_ATTRIBUTES;
    command->schedule_activity_task_command_attributes = attributes;
}

static void start_timer(struct commands *c, char *id, int64_t seconds)
{
    FloApi__Command *command = add_command(c, FLO_API__COMMAND_TYPE__COMMAND_TYPE_START_TIMER);
    FloApi__StartTimerCommandAttributes *attributes = make(c, sizeof *attributes);
    flo_api__start_timer_command_attributes__init(attributes);
    attributes->timer_id = id;
    attributes->start_to_fire_timeout = duration(c, seconds);
    command->attributes_case = FLO_API__COMMAND__ATTRIBUTES_START_TIMER_COMMAND_ATTRIBUTES;
    command->start_timer_command_attributes = attributes;
}

static void complete(struct commands *c)
{
    FloApi__Command *command =
        add_command(c, FLO_API__COMMAND_TYPE__COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION);
    FloApi__CompleteWorkflowExecutionCommandAttributes *attributes = make(c, sizeof *attributes);
    flo_api__complete_workflow_execution_command_attributes__init(attributes);
    command->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_COMPLETE_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    command->complete_workflow_execution_command_attributes = attributes;
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
    for (unsigned step = 0; step < step_count; step++) {
        unsigned parts = steps[step] == STEP_TWO_ACTIVITIES ? 2 : 1;
        bool done = true;
        if (steps[step] == STEP_SIGNAL) {
            if (++signals > p.signals)
                return;
            continue;
        }
        for (unsigned part = 0; part < parts; part++) {
            bool timer = steps[step] == STEP_TIMER;
            done = done && p.done[step][part];
            if (p.scheduled[step][part])
                continue;
            char *id = flo_arena_printf(&c->arena, "%c%u.%u", timer ? 't' : 'a', step, part);
            if (timer)
                start_timer(c, id, 1 + step * 4);
            else
                schedule_activity(c, id);
        }
        if (!done)
            return;
    }
    complete(c);
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
    begin_saying(cast, "RespondWorkflowTaskCompleted", &request.base, NULL);
    flo_arena_fini(&c.arena);
}

/* A sticky task whose older events are being fetched. */
struct fetch {
    struct cast *cast;
    ProtobufCBinaryData token;
    char workflow_id[32];
};

static void fetched(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    struct fetch *fetch = ctx;
    struct flo_arena arena;
    (void)world;
    if (code == FLO_GRPC_OK) { /* else the task times out */
        const FloApi__GetWorkflowExecutionHistoryResponse *response = decode(
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
    begin_saying(cast, "RespondWorkflowTaskFailed", &request.base, NULL);
}

static void got_workflow_task(struct cast *cast, int code, const uint8_t *body, size_t len)
{
    struct world *world = cast->world;
    struct flo_arena arena;
    if (code != FLO_GRPC_OK)
        return;
    const FloApi__PollWorkflowTaskQueueResponse *task =
        decode(&flo_api__poll_workflow_task_queue_response__descriptor, body, len, &arena);
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

/* ---- activities ---- */

/* The result is a number of its own for each attempt. */
static void complete_activity(struct cast *cast, const FloApi__PollActivityTaskQueueResponse *task)
{
    FloApi__RespondActivityTaskCompletedRequest request;
    FloApi__Payload payload, *payloads[] = {&payload};
    FloApi__Payloads result;
    struct result value = {.value = ++cast->next_value};
    flo_api__respond_activity_task_completed_request__init(&request);
    flo_api__payload__init(&payload);
    flo_api__payloads__init(&result);
    snprintf(value.run_id, sizeof value.run_id, "%s", task->workflow_execution->run_id);
    snprintf(value.activity_id, sizeof value.activity_id, "%s", task->activity_id);
    payload.data.data = (uint8_t *)&value.value;
    payload.data.len = sizeof value.value;
    result.payloads = payloads;
    result.n_payloads = 1;
    request.namespace_ = NAME("default");
    request.task_token = task->task_token;
    request.result = &result;
    begin_saying(cast, "RespondActivityTaskCompleted", &request.base, &value);
    if (world_fault(cast->world, 100))
        begin_saying(cast, "RespondActivityTaskCompleted", &request.base, &value);
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
    begin_saying(cast, "RespondActivityTaskFailed", &request.base, NULL);
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
        decode(&flo_api__poll_activity_task_queue_response__descriptor, body, len, &arena);
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

void workers_start(struct cast *cast)
{
    for (int i = 0; i < WORKERS; i++) {
        world_after(cast->world, 0, poll_workflow, cast, 0);
        world_after(cast->world, 0, poll_workflow, cast, 1);
        world_after(cast->world, 0, poll_activity, cast, 0);
    }
}
