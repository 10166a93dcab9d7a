/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.c - a workflow worker without memory: it derives where a program stands from the events
 * each time (a sticky task, which brings only the newest ones, makes it fetch the rest). Some tasks
 * it loses, some it fails. A query it answers with the number of signals that it has seen; an
 * update it accepts and completes at once, or rejects when that is its name (updates.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation/workers.h"
#include "wire/api.h"
#include "wire/decode.h"

#define NAME(literal) ((char *)(uintptr_t)(literal))
#define MESSAGES_MAX 64 /* updates that one task may bring */
#define EVENT(name) FLO_API__EVENT_TYPE__EVENT_TYPE_##name

static void poll_workflow(struct world *world, void *ctx, uint64_t sticky);

/* ---- where a program stands ---- */

struct progress {
    bool scheduled[STEPS_MAX][2], done[STEPS_MAX][2];
    int64_t scheduled_event[STEPS_MAX][2]; /* of activities */
    unsigned signals;
    bool continued; /* a run before this one has had the signals */
    bool cancel_requested;
    int32_t attempt;
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
        p->attempt = event->workflow_execution_started_event_attributes->attempt;
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
    FloApi__Command *items[2 + 2 * MESSAGES_MAX];
    size_t count;
    FloApi__Message *messages[2 * MESSAGES_MAX];
    size_t message_count;
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

/* The end of all steps. */
static void finish(struct commands *c, const char *workflow_id, const struct progress *p)
{
    const enum fate fate = fate_of(workflow_id);
    if (fate == FATE_CONTINUES && !p->continued) {
        (void)ADD_COMMAND(c, CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
                          continue_as_new_workflow_execution);
    } else if (fate == FATE_RETRIES && p->attempt < 2) {
        FloApi__FailWorkflowExecutionCommandAttributes *attributes =
            ADD_COMMAND(c, FAIL_WORKFLOW_EXECUTION, fail_workflow_execution);
        attributes->failure = make(c, sizeof *attributes->failure);
        flo_api__failure__init(attributes->failure);
        attributes->failure->failure_info_case =
            FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO;
        attributes->failure->application_failure_info =
            make(c, sizeof *attributes->failure->application_failure_info);
        flo_api__application_failure_info__init(attributes->failure->application_failure_info);
    } else {
        (void)ADD_COMMAND(c, COMPLETE_WORKFLOW_EXECUTION, complete_workflow_execution);
    }
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
    finish(c, workflow_id, &p);
}

/* ---- updates ---- */

static Google__Protobuf__Any *any(struct commands *c, const ProtobufCMessage *message)
{
    Google__Protobuf__Any *made = make(c, sizeof *made);
    google__protobuf__any__init(made);
    made->type_url =
        flo_arena_printf(&c->arena, "type.googleapis.com/%s", message->descriptor->name);
    if (!made->type_url ||
        flo_wire_encode_arena(message, &c->arena, &made->value.data, &made->value.len))
        abort();
    return made;
}

/* Say body about the update of `request`, and where its event is to stand. */
static void say_of_update(struct commands *c, const FloApi__Message *request, const char *what,
                          const ProtobufCMessage *body)
{
    FloApi__Message *message = make(c, sizeof *message);
    flo_api__message__init(message);
    message->id = flo_arena_printf(&c->arena, "%s/%s", request->protocol_instance_id, what);
    message->protocol_instance_id = request->protocol_instance_id;
    message->body = any(c, body);
    c->messages[c->message_count++] = message;
    ADD_COMMAND(c, PROTOCOL_MESSAGE, protocol_message)->message_id = message->id;
}

/* Accept and complete it, or reject it. */
static void answer_update(struct commands *c, const FloApi__Message *request)
{
    FloApi__Request *asked;
    if (flo_wire_decode(&flo_api__request__descriptor, request->body->value.data,
                        request->body->value.len, &c->arena, (ProtobufCMessage **)&asked, NULL))
        abort();
    if (strcmp(asked->input->name, "reject") == 0) {
        FloApi__Rejection *rejection = make(c, sizeof *rejection);
        flo_api__rejection__init(rejection);
        rejection->rejected_request_message_id = request->id;
        rejection->rejected_request = asked;
        rejection->failure = make(c, sizeof *rejection->failure);
        flo_api__failure__init(rejection->failure);
        say_of_update(c, request, "rejection", &rejection->base);
        return;
    }
    FloApi__Acceptance *acceptance = make(c, sizeof *acceptance);
    FloApi__Response *response = make(c, sizeof *response);
    flo_api__acceptance__init(acceptance);
    flo_api__response__init(response);
    acceptance->accepted_request_message_id = request->id;
    acceptance->accepted_request_sequencing_event_id = request->event_id;
    acceptance->accepted_request = asked;
    say_of_update(c, request, "acceptance", &acceptance->base);
    response->meta = asked->meta;
    response->outcome = make(c, sizeof *response->outcome);
    flo_api__outcome__init(response->outcome);
    response->outcome->value_case = FLO_API__OUTCOME__VALUE_SUCCESS;
    response->outcome->success = make(c, sizeof *response->outcome->success);
    flo_api__payloads__init(response->outcome->success);
    say_of_update(c, request, "response", &response->base);
}

/* ---- queries ---- */

/* How many signals are there? */
static FloApi__Payloads *answer_query(struct flo_arena *arena, FloApi__HistoryEvent *const *events,
                                      size_t count)
{
    FloApi__Payload *payload = flo_arena_calloc(arena, 1, sizeof *payload);
    FloApi__Payload **one = flo_arena_calloc(arena, 1, sizeof *one);
    FloApi__Payloads *answer = flo_arena_calloc(arena, 1, sizeof *answer);
    unsigned *signals = flo_arena_calloc(arena, 1, sizeof *signals);
    if (!payload || !one || !answer || !signals)
        abort();
    for (size_t i = 0; i < count; i++)
        *signals += events[i]->event_type == EVENT(WORKFLOW_EXECUTION_SIGNALED);
    flo_api__payload__init(payload);
    flo_api__payloads__init(answer);
    payload->data.data = (uint8_t *)signals;
    payload->data.len = sizeof *signals;
    one[0] = payload;
    answer->payloads = one;
    answer->n_payloads = 1;
    return answer;
}

/* The queries that came with a workflow task. */
static void answer_queries(struct commands *c, const FloApi__PollWorkflowTaskQueueResponse *task,
                           FloApi__HistoryEvent *const *events, size_t count,
                           FloApi__RespondWorkflowTaskCompletedRequest *request)
{
    typedef FloApi__RespondWorkflowTaskCompletedRequest__QueryResultsEntry entry;
    request->query_results = make(c, (task->n_queries + 1) * sizeof *request->query_results);
    for (size_t i = 0; i < task->n_queries; i++) {
        entry *result = make(c, sizeof *result);
        flo_api__respond_workflow_task_completed_request__query_results_entry__init(result);
        result->key = task->queries[i]->key;
        result->value = make(c, sizeof *result->value);
        flo_api__workflow_query_result__init(result->value);
        result->value->result_type = FLO_API__QUERY_RESULT_TYPE__QUERY_RESULT_TYPE_ANSWERED;
        result->value->answer = answer_query(&c->arena, events, count);
        request->query_results[request->n_query_results++] = result;
    }
}

/* A task that is a query alone. */
static void respond_query(struct cast *cast, const FloApi__PollWorkflowTaskQueueResponse *task,
                          FloApi__HistoryEvent *const *events, size_t count)
{
    FloApi__RespondQueryTaskCompletedRequest request;
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    flo_api__respond_query_task_completed_request__init(&request);
    request.namespace_ = NAME("default");
    request.task_token = task->task_token;
    request.completed_type = FLO_API__QUERY_RESULT_TYPE__QUERY_RESULT_TYPE_ANSWERED;
    request.query_result = answer_query(&arena, events, count);
    say_until_heard(cast, "RespondQueryTaskCompleted", &request.base, NULL, NULL);
    flo_arena_fini(&arena);
}

/* ---- workflow tasks ---- */

static void respond_task(struct cast *cast, const FloApi__PollWorkflowTaskQueueResponse *task,
                         FloApi__HistoryEvent *const *events, size_t count)
{
    FloApi__RespondWorkflowTaskCompletedRequest request;
    FloApi__StickyExecutionAttributes sticky;
    FloApi__TaskQueue queue;
    struct commands c = {0};
    if (task->query) {
        respond_query(cast, task, events, count);
        return;
    }
    flo_arena_init(&c.arena, 0);
    flo_api__respond_workflow_task_completed_request__init(&request);
    for (size_t i = 0; i < task->n_messages && i < MESSAGES_MAX; i++)
        answer_update(&c, task->messages[i]);
    decide(task->workflow_execution->workflow_id, events, count, &c);
    answer_queries(&c, task, events, count, &request);
    request.namespace_ = NAME("default");
    request.task_token = task->task_token;
    request.commands = c.items;
    request.n_commands = c.count;
    request.messages = c.messages;
    request.n_messages = c.message_count;
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
    FloApi__PollWorkflowTaskQueueResponse *task;
};

static void fetched(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    struct fetch *fetch = ctx;
    struct flo_arena arena;
    (void)world;
    if (code == FLO_GRPC_OK) { /* else the task times out */
        const FloApi__GetWorkflowExecutionHistoryResponse *response = decode_answer(
            &flo_api__get_workflow_execution_history_response__descriptor, body, len, &arena);
        respond_task(fetch->cast, fetch->task, response->history->events,
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
    fetch->task = (void *)flo_wire_copy(&task->base, arena);
    if (!fetch->task)
        abort();
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
    } else if (!task->query && world_fault(world, 40)) {
        fail_task(cast, task->task_token);
    } else if (task->next_page_token.len || !task->history || !task->history->n_events ||
               task->history->events[0]->event_id != 1) {
        fetch_history(cast, task);
    } else {
        respond_task(cast, task, task->history->events, task->history->n_events);
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
