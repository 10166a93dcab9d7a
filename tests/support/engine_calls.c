/* SPDX-License-Identifier: Apache-2.0 */
/* engine_calls.c - the usual calls of clients and workers, with what every test would say. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/engine_internal.h"
#include "wire/payload.h"

/* ---- clients ---- */

static FloApi__TaskQueue *task_queue(struct engine *engine, const char *name, bool sticky)
{
    FloApi__TaskQueue *queue = NEW(engine, FloApi__TaskQueue, flo_api__task_queue__init);
    queue->name = sticky ? (char *)engine_format(engine, "%s-sticky", name) : (char *)name;
    queue->kind = sticky ? FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_STICKY
                         : FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    if (sticky)
        queue->normal_name = (char *)name;
    return queue;
}

FloApi__Payloads *engine_payloads(struct engine *engine, const char *json)
{
    FloApi__Payloads *payloads = NEW(engine, FloApi__Payloads, flo_api__payloads__init);
    FloApi__Payload *payload = NEW(engine, FloApi__Payload, flo_api__payload__init);
    FloApi__Payload__MetadataEntry *entry =
        NEW(engine, FloApi__Payload__MetadataEntry, flo_api__payload__metadata_entry__init);
    entry->key = "encoding";
    entry->value = (ProtobufCBinaryData){.data = (uint8_t *)"json/plain", .len = 10};
    payload->metadata = engine_take(engine, sizeof *payload->metadata);
    payload->metadata[0] = entry;
    payload->n_metadata = 1;
    payload->data = (ProtobufCBinaryData){.data = (uint8_t *)json, .len = strlen(json)};
    payloads->payloads = engine_take(engine, sizeof *payloads->payloads);
    payloads->payloads[0] = payload;
    payloads->n_payloads = 1;
    return payloads;
}

FloApi__WorkflowExecution *engine_run(struct engine *engine, const char *workflow_id,
                                      const char *run_id)
{
    FloApi__WorkflowExecution *run =
        NEW(engine, FloApi__WorkflowExecution, flo_api__workflow_execution__init);
    run->workflow_id = (char *)workflow_id;
    run->run_id = run_id ? (char *)run_id : (char *)"";
    return run;
}

FloApi__StartWorkflowExecutionRequest *engine_start_request(struct engine *engine,
                                                            const char *workflow_id,
                                                            const char *queue)
{
    FloApi__StartWorkflowExecutionRequest *request =
        NEW(engine, FloApi__StartWorkflowExecutionRequest,
            flo_api__start_workflow_execution_request__init);
    request->namespace_ = "default";
    request->workflow_id = (char *)workflow_id;
    request->workflow_type = NEW(engine, FloApi__WorkflowType, flo_api__workflow_type__init);
    request->workflow_type->name = "T";
    request->task_queue = task_queue(engine, queue, false);
    request->identity = (char *)engine->identity;
    request->request_id = (char *)engine_format(engine, "request-%" PRIu64, engine->last_call + 1);
    return request;
}

const char *engine_start(struct engine *engine, const char *workflow_id, const char *queue)
{
    const FloApi__StartWorkflowExecutionResponse *response = engine_do(
        engine, "StartWorkflowExecution", &engine_start_request(engine, workflow_id, queue)->base);
    return response->run_id;
}

void engine_signal(struct engine *engine, const char *workflow_id, const char *name)
{
    FloApi__SignalWorkflowExecutionRequest request =
        FLO_API__SIGNAL_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = "default";
    request.workflow_execution = engine_run(engine, workflow_id, NULL);
    request.signal_name = (char *)name;
    request.identity = (char *)engine->identity;
    engine_do(engine, "SignalWorkflowExecution", &request.base);
}

void engine_terminate(struct engine *engine, const char *workflow_id)
{
    FloApi__TerminateWorkflowExecutionRequest request =
        FLO_API__TERMINATE_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = "default";
    request.workflow_execution = engine_run(engine, workflow_id, NULL);
    request.reason = "r";
    request.identity = (char *)engine->identity;
    engine_do(engine, "TerminateWorkflowExecution", &request.base);
}

/* ---- workers ---- */

static uint64_t poll_workflow(struct engine *engine, const char *queue, bool sticky)
{
    FloApi__PollWorkflowTaskQueueRequest request = FLO_API__POLL_WORKFLOW_TASK_QUEUE_REQUEST__INIT;
    request.namespace_ = "default";
    request.task_queue = task_queue(engine, queue, sticky);
    request.identity = (char *)engine->identity;
    return engine_call(engine, "PollWorkflowTaskQueue", &request.base, 0);
}

uint64_t engine_poll(struct engine *engine, const char *queue)
{
    return poll_workflow(engine, queue, false);
}

uint64_t engine_poll_sticky(struct engine *engine, const char *queue)
{
    return poll_workflow(engine, queue, true);
}

uint64_t engine_poll_activity(struct engine *engine, const char *queue)
{
    FloApi__PollActivityTaskQueueRequest request = FLO_API__POLL_ACTIVITY_TASK_QUEUE_REQUEST__INIT;
    request.namespace_ = "default";
    request.task_queue = task_queue(engine, queue, false);
    request.identity = (char *)engine->identity;
    return engine_call(engine, "PollActivityTaskQueue", &request.base, 0);
}

FloApi__PollWorkflowTaskQueueResponse *engine_task(struct engine *engine, uint64_t poll)
{
    FloApi__PollWorkflowTaskQueueResponse *task = engine_body(engine, poll);
    if (!task->task_token.len)
        fail_msg("poll %" PRIu64 " brought no task", poll);
    return task;
}

FloApi__PollActivityTaskQueueResponse *engine_activity(struct engine *engine, uint64_t poll)
{
    FloApi__PollActivityTaskQueueResponse *task = engine_body(engine, poll);
    if (!task->task_token.len)
        fail_msg("poll %" PRIu64 " brought no task", poll);
    return task;
}

const char *engine_task_line(struct engine *engine,
                             const FloApi__PollWorkflowTaskQueueResponse *task)
{
    if (!task->task_token.len)
        return "empty";
    const size_t n = task->history ? task->history->n_events : 0;
    const char *events = "none";
    if (n)
        events = engine_format(engine, "%" PRId64 "-%" PRId64, task->history->events[0]->event_id,
                               task->history->events[n - 1]->event_id);
    for (size_t i = 1; i < n; i++)
        assert_int_equal(task->history->events[i]->event_id,
                         task->history->events[i - 1]->event_id + 1);
    return engine_format(
        engine, "prev=%" PRId64 " started=%" PRId64 " attempt=%d events=%s%s%s%s%s",
        task->previous_started_event_id, task->started_event_id, task->attempt, events,
        task->query ? " query=" : "", task->query ? task->query->query_type : "",
        task->n_queries ? engine_format(engine, " queries=%zu", task->n_queries) : "",
        task->next_page_token.len ? " page" : "");
}

const char *engine_task_text(struct engine *engine, uint64_t poll)
{
    if (!engine_reply(engine, poll))
        return "waits";
    return engine_task_line(engine, engine_body(engine, poll));
}

FloApi__RespondWorkflowTaskCompletedRequest *engine_completion(
    struct engine *engine, const FloApi__PollWorkflowTaskQueueResponse *task)
{
    FloApi__RespondWorkflowTaskCompletedRequest *request =
        NEW(engine, FloApi__RespondWorkflowTaskCompletedRequest,
            flo_api__respond_workflow_task_completed_request__init);
    request->namespace_ = "default";
    request->task_token = task->task_token;
    request->identity = (char *)engine->identity;
    return request;
}

void engine_add_command(struct engine *engine, FloApi__RespondWorkflowTaskCompletedRequest *request,
                        const FloApi__Command *command)
{
    FloApi__Command **commands = engine_take(engine, (request->n_commands + 1) * sizeof *commands);
    for (size_t i = 0; i < request->n_commands; i++)
        commands[i] = request->commands[i];
    commands[request->n_commands++] = (FloApi__Command *)command;
    request->commands = commands;
}

void engine_stick(struct engine *engine, FloApi__RespondWorkflowTaskCompletedRequest *request,
                  const char *queue)
{
    request->sticky_attributes =
        NEW(engine, FloApi__StickyExecutionAttributes, flo_api__sticky_execution_attributes__init);
    request->sticky_attributes->worker_task_queue = task_queue(engine, queue, true);
    request->sticky_attributes->schedule_to_start_timeout =
        flo_duration_new(&engine->arena, 5 * FLO_NS_PER_S);
}

FloApi__Command *engine_cmd_complete(struct engine *engine)
{
    FloApi__Command *command = NEW(engine, FloApi__Command, flo_api__command__init);
    FloApi__CompleteWorkflowExecutionCommandAttributes *attributes =
        NEW(engine, FloApi__CompleteWorkflowExecutionCommandAttributes,
            flo_api__complete_workflow_execution_command_attributes__init);
    attributes->result = engine_payloads(engine, "\"r\"");
    command->command_type = FLO_API__COMMAND_TYPE__COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION;
    command->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_COMPLETE_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    command->complete_workflow_execution_command_attributes = attributes;
    return command;
}

FloApi__Command *engine_cmd_timer(struct engine *engine, const char *id, int64_t ns)
{
    FloApi__Command *command = NEW(engine, FloApi__Command, flo_api__command__init);
    FloApi__StartTimerCommandAttributes *attributes = NEW(
        engine, FloApi__StartTimerCommandAttributes, flo_api__start_timer_command_attributes__init);
    attributes->timer_id = (char *)id;
    attributes->start_to_fire_timeout = flo_duration_new(&engine->arena, ns);
    command->command_type = FLO_API__COMMAND_TYPE__COMMAND_TYPE_START_TIMER;
    command->attributes_case = FLO_API__COMMAND__ATTRIBUTES_START_TIMER_COMMAND_ATTRIBUTES;
    command->start_timer_command_attributes = attributes;
    return command;
}

FloApi__Command *engine_cmd_activity(struct engine *engine, const char *id, const char *queue)
{
    FloApi__Command *command = NEW(engine, FloApi__Command, flo_api__command__init);
    FloApi__ScheduleActivityTaskCommandAttributes *attributes =
        NEW(engine, FloApi__ScheduleActivityTaskCommandAttributes,
            flo_api__schedule_activity_task_command_attributes__init);
    attributes->activity_id = (char *)id;
    attributes->activity_type = NEW(engine, FloApi__ActivityType, flo_api__activity_type__init);
    attributes->activity_type->name = "A";
    attributes->task_queue = task_queue(engine, queue, false);
    attributes->input = engine_payloads(engine, "1");
    attributes->start_to_close_timeout = flo_duration_new(&engine->arena, 5 * FLO_NS_PER_S);
    command->command_type = FLO_API__COMMAND_TYPE__COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK;
    command->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_SCHEDULE_ACTIVITY_TASK_COMMAND_ATTRIBUTES;
    command->schedule_activity_task_command_attributes = attributes;
    return command;
}

FloApi__RespondWorkflowTaskCompletedResponse *engine_complete(
    struct engine *engine, const FloApi__PollWorkflowTaskQueueResponse *task,
    const FloApi__Command *first, const FloApi__Command *second)
{
    FloApi__RespondWorkflowTaskCompletedRequest *request = engine_completion(engine, task);
    if (first)
        engine_add_command(engine, request, first);
    if (second)
        engine_add_command(engine, request, second);
    return engine_do(engine, "RespondWorkflowTaskCompleted", &request->base);
}
