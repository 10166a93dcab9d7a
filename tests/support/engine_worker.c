/* SPDX-License-Identifier: Apache-2.0 */
/* engine_worker.c - commands and answers of workers. */
#include "support/engine_worker.h"

#include <stdarg.h>
#include <string.h>

#include "support/cmocka_env.h"
#include "wire/payload.h"

static void *take(struct engine *engine, size_t bytes)
{
    void *memory = flo_arena_calloc(&engine->arena, 1, bytes);
    assert_non_null(memory);
    return memory;
}

#define NEW(engine, type, init)                                                                    \
    __extension__({                                                                                \
        type *message_ = take(engine, sizeof *message_);                                           \
        init(message_);                                                                            \
        message_;                                                                                  \
    })

/* A command of a type; its attributes are `member`, of struct FloApi__<Attributes>. */
#define COMMAND(engine, TYPE, Attributes, member, CASE)                                            \
    FloApi__Command *command = NEW(engine, FloApi__Command, flo_api__command__init);               \
    command->command_type = FLO_API__COMMAND_TYPE__COMMAND_TYPE_##TYPE;                            \
    command->attributes_case = FLO_API__COMMAND__ATTRIBUTES_##CASE;                                \
    FloApi__##Attributes *attributes =                                                             \
        NEW(engine, FloApi__##Attributes, flo_api__##member##__init);                              \
    command->member = attributes

Google__Protobuf__Duration *engine_duration(struct engine *engine, int64_t ns)
{
    return flo_duration_new(&engine->arena, ns);
}

FloApi__Command *engine_cmd_fail(struct engine *engine, const char *message)
{
    COMMAND(engine, FAIL_WORKFLOW_EXECUTION, FailWorkflowExecutionCommandAttributes,
            fail_workflow_execution_command_attributes, FAIL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES);
    attributes->failure = NEW(engine, FloApi__Failure, flo_api__failure__init);
    attributes->failure->message = (char *)message;
    return command;
}

FloApi__Command *engine_cmd_cancel(struct engine *engine)
{
    COMMAND(engine, CANCEL_WORKFLOW_EXECUTION, CancelWorkflowExecutionCommandAttributes,
            cancel_workflow_execution_command_attributes,
            CANCEL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES);
    (void)attributes;
    return command;
}

FloApi__Command *engine_cmd_continue(struct engine *engine)
{
    COMMAND(engine, CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
            ContinueAsNewWorkflowExecutionCommandAttributes,
            continue_as_new_workflow_execution_command_attributes,
            CONTINUE_AS_NEW_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES);
    (void)attributes;
    return command;
}

FloApi__Command *engine_cmd_cancel_timer(struct engine *engine, const char *id)
{
    COMMAND(engine, CANCEL_TIMER, CancelTimerCommandAttributes, cancel_timer_command_attributes,
            CANCEL_TIMER_COMMAND_ATTRIBUTES);
    attributes->timer_id = (char *)id;
    return command;
}

FloApi__Command *engine_cmd_cancel_activity(struct engine *engine, int64_t scheduled_id)
{
    COMMAND(engine, REQUEST_CANCEL_ACTIVITY_TASK, RequestCancelActivityTaskCommandAttributes,
            request_cancel_activity_task_command_attributes,
            REQUEST_CANCEL_ACTIVITY_TASK_COMMAND_ATTRIBUTES);
    attributes->scheduled_event_id = scheduled_id;
    return command;
}

FloApi__Command *engine_cmd_marker(struct engine *engine, const char *name)
{
    COMMAND(engine, RECORD_MARKER, RecordMarkerCommandAttributes, record_marker_command_attributes,
            RECORD_MARKER_COMMAND_ATTRIBUTES);
    attributes->marker_name = (char *)name;
    FloApi__RecordMarkerCommandAttributes__DetailsEntry *entry =
        NEW(engine, FloApi__RecordMarkerCommandAttributes__DetailsEntry,
            flo_api__record_marker_command_attributes__details_entry__init);
    entry->key = "data";
    entry->value = engine_payloads(engine, "1");
    attributes->details = take(engine, sizeof *attributes->details);
    attributes->details[0] = entry;
    attributes->n_details = 1;
    return command;
}

FloApi__Command *engine_cmd_child(struct engine *engine, const char *workflow_id, int policy)
{
    COMMAND(engine, START_CHILD_WORKFLOW_EXECUTION, StartChildWorkflowExecutionCommandAttributes,
            start_child_workflow_execution_command_attributes,
            START_CHILD_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES);
    attributes->workflow_id = (char *)workflow_id;
    attributes->workflow_type = NEW(engine, FloApi__WorkflowType, flo_api__workflow_type__init);
    attributes->workflow_type->name = "C";
    attributes->parent_close_policy = (FloApi__ParentClosePolicy)policy;
    return command;
}

FloApi__Command *engine_cmd_signal(struct engine *engine, const char *workflow_id, const char *name)
{
    COMMAND(engine, SIGNAL_EXTERNAL_WORKFLOW_EXECUTION,
            SignalExternalWorkflowExecutionCommandAttributes,
            signal_external_workflow_execution_command_attributes,
            SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES);
    attributes->execution = engine_run(engine, workflow_id, NULL);
    attributes->signal_name = (char *)name;
    return command;
}

FloApi__Command *engine_cmd_cancel_external(struct engine *engine, const char *workflow_id)
{
    COMMAND(engine, REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION,
            RequestCancelExternalWorkflowExecutionCommandAttributes,
            request_cancel_external_workflow_execution_command_attributes,
            REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES);
    attributes->workflow_id = (char *)workflow_id;
    return command;
}

FloApi__Command *engine_cmd_memo(struct engine *engine, const char *key, const char *json)
{
    COMMAND(engine, MODIFY_WORKFLOW_PROPERTIES, ModifyWorkflowPropertiesCommandAttributes,
            modify_workflow_properties_command_attributes,
            MODIFY_WORKFLOW_PROPERTIES_COMMAND_ATTRIBUTES);
    FloApi__Memo__FieldsEntry *entry =
        NEW(engine, FloApi__Memo__FieldsEntry, flo_api__memo__fields_entry__init);
    entry->key = (char *)key;
    if (json)
        entry->value = engine_payloads(engine, json)->payloads[0];
    attributes->upserted_memo = NEW(engine, FloApi__Memo, flo_api__memo__init);
    attributes->upserted_memo->fields = take(engine, sizeof(void *));
    attributes->upserted_memo->fields[0] = entry;
    attributes->upserted_memo->n_fields = 1;
    return command;
}

FloApi__ScheduleActivityTaskCommandAttributes *engine_activity_of(FloApi__Command *command)
{
    return command->schedule_activity_task_command_attributes;
}

FloApi__RetryPolicy *engine_policy_of(struct engine *engine, FloApi__Command *command)
{
    FloApi__ScheduleActivityTaskCommandAttributes *attributes = engine_activity_of(command);
    if (!attributes->retry_policy)
        attributes->retry_policy = NEW(engine, FloApi__RetryPolicy, flo_api__retry_policy__init);
    return attributes->retry_policy;
}

/* ---- answers ---- */

static const char *respond(struct engine *engine, const FloApi__PollWorkflowTaskQueueResponse *task,
                           const char *sticky_queue, va_list commands)
{
    FloApi__RespondWorkflowTaskCompletedRequest *request = engine_completion(engine, task);
    FloApi__Command *command;
    while ((command = va_arg(commands, FloApi__Command *)))
        engine_add_command(engine, request, command);
    if (sticky_queue)
        engine_stick(engine, request, sticky_queue);
    return engine_try(engine, "RespondWorkflowTaskCompleted", &request->base);
}

const char *engine_respond(struct engine *engine, const FloApi__PollWorkflowTaskQueueResponse *task,
                           const char *sticky_queue, ...)
{
    va_list commands;
    va_start(commands, sticky_queue);
    const char *outcome = respond(engine, task, sticky_queue, commands);
    va_end(commands);
    return outcome;
}

const char *engine_respond_poll(struct engine *engine, const char *queue, ...)
{
    va_list commands;
    va_start(commands, queue);
    const char *outcome = respond(engine, engine_next_task(engine, queue), NULL, commands);
    va_end(commands);
    return outcome;
}

const char *engine_fail_task(struct engine *engine,
                             const FloApi__PollWorkflowTaskQueueResponse *task)
{
    FloApi__RespondWorkflowTaskFailedRequest request =
        FLO_API__RESPOND_WORKFLOW_TASK_FAILED_REQUEST__INIT;
    FloApi__Failure failure = FLO_API__FAILURE__INIT;
    failure.message = "oops";
    request.namespace_ = "default";
    request.task_token = task->task_token;
    request.identity = (char *)engine->identity;
    request.failure = &failure;
    request.cause =
        FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE;
    return engine_try(engine, "RespondWorkflowTaskFailed", &request.base);
}

FloApi__PollWorkflowTaskQueueResponse *engine_next_task(struct engine *engine, const char *queue)
{
    return engine_task(engine, engine_poll(engine, queue));
}

FloApi__PollActivityTaskQueueResponse *engine_next_activity(struct engine *engine,
                                                            const char *queue)
{
    return engine_activity(engine, engine_poll_activity(engine, queue));
}

const char *engine_activity_done(struct engine *engine,
                                 const FloApi__PollActivityTaskQueueResponse *task)
{
    FloApi__RespondActivityTaskCompletedRequest request =
        FLO_API__RESPOND_ACTIVITY_TASK_COMPLETED_REQUEST__INIT;
    request.namespace_ = "default";
    request.task_token = task->task_token;
    request.identity = (char *)engine->identity;
    request.result = engine_payloads(engine, "1");
    return engine_try(engine, "RespondActivityTaskCompleted", &request.base);
}

const char *engine_activity_fail(struct engine *engine,
                                 const FloApi__PollActivityTaskQueueResponse *task,
                                 const char *type, bool non_retryable)
{
    FloApi__RespondActivityTaskFailedRequest request =
        FLO_API__RESPOND_ACTIVITY_TASK_FAILED_REQUEST__INIT;
    FloApi__ApplicationFailureInfo info = FLO_API__APPLICATION_FAILURE_INFO__INIT;
    FloApi__Failure failure = FLO_API__FAILURE__INIT;
    info.type = (char *)type;
    info.non_retryable = non_retryable;
    failure.message = "bad";
    failure.failure_info_case = FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO;
    failure.application_failure_info = &info;
    request.namespace_ = "default";
    request.task_token = task->task_token;
    request.identity = (char *)engine->identity;
    request.failure = &failure;
    return engine_try(engine, "RespondActivityTaskFailed", &request.base);
}

const char *engine_activity_canceled(struct engine *engine,
                                     const FloApi__PollActivityTaskQueueResponse *task)
{
    FloApi__RespondActivityTaskCanceledRequest request =
        FLO_API__RESPOND_ACTIVITY_TASK_CANCELED_REQUEST__INIT;
    request.namespace_ = "default";
    request.task_token = task->task_token;
    request.identity = (char *)engine->identity;
    request.details = engine_payloads(engine, "9");
    return engine_try(engine, "RespondActivityTaskCanceled", &request.base);
}

const char *engine_heartbeat(struct engine *engine,
                             const FloApi__PollActivityTaskQueueResponse *task, const char *json)
{
    FloApi__RecordActivityTaskHeartbeatRequest request =
        FLO_API__RECORD_ACTIVITY_TASK_HEARTBEAT_REQUEST__INIT;
    request.namespace_ = "default";
    request.task_token = task->task_token;
    request.identity = (char *)engine->identity;
    request.details = engine_payloads(engine, json);
    uint64_t call = engine_call(engine, "RecordActivityTaskHeartbeat", &request.base, 0);
    const char *outcome = engine_outcome(engine, call);
    if (strcmp(outcome, "OK") != 0)
        return outcome;
    const FloApi__RecordActivityTaskHeartbeatResponse *response = engine_body(engine, call);
    return response->cancel_requested ? "OK cancel" : "OK";
}

const char *engine_request_cancel(struct engine *engine, const char *workflow_id)
{
    FloApi__RequestCancelWorkflowExecutionRequest request =
        FLO_API__REQUEST_CANCEL_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = "default";
    request.workflow_execution = engine_run(engine, workflow_id, NULL);
    request.identity = (char *)engine->identity;
    request.reason = "why";
    return engine_try(engine, "RequestCancelWorkflowExecution", &request.base);
}
