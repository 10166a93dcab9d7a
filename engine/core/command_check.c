/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_check.c - may these commands be applied? If not: cause and sentence of the failure.
 *
 * Each command is looked at as if those before it had been applied. What they would have changed
 * and a later one may ask for is kept in an overlay: timers and activities started or cancelled in
 * this completion, children started in it, how many buffered events a cancelled timer takes away,
 * the id of the next event.
 */
#include "engine/core/command_check.h"

#include "engine/core/attributes.h"
#include "engine/core/namespace.h"
#include "engine/core/priority.h"
#include "engine/core/update.h"

enum { DETAIL_BYTES = 4096 };

char flo_check_started, flo_check_cancelled;

/* ---- refusing ---- */

bool flo_check_refuse(struct flo_check *check, FloApi__WorkflowTaskFailedCause cause,
                      const char *detail)
{
    struct flo_core *core = check->core;
    const char *name = flo_pascal_case(core, &flo_api__workflow_task_failed_cause__descriptor,
                                       (int)cause, "WORKFLOW_TASK_FAILED_CAUSE_");
    check->verdict.cause = cause;
    check->verdict.message =
        *detail ? flo_arena_printf(&core->scratch, "%s: %s", name, detail) : name;
    if (!check->verdict.message)
        check->verdict.message = name;
    return false;
}

bool flo_check_refuse_fmt(struct flo_check *check, FloApi__WorkflowTaskFailedCause cause,
                          const char *fmt, ...)
{
    char detail[DETAIL_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    return flo_check_refuse(check, cause, detail);
}

bool flo_check_refuse_call(struct flo_check *check, const char *fmt, ...)
{
    char text[DETAIL_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    flo_status_put(check->core, &check->verdict.refusal, FLO_GRPC_INVALID_ARGUMENT, "%s", text);
    return false;
}

bool flo_check_put(struct flo_check *check, struct flo_map *map, const char *key, void *value)
{
    if (flo_map_put_str(map, key, value))
        flo_core_set_fatal(check->core);
    return true;
}

/* ---- what many commands have ---- */

bool flo_check_field(struct flo_check *check, FloApi__WorkflowTaskFailedCause cause,
                     const char *field, const void *message)
{
    if (!message || (int64_t)flo_wire_size(message) <= check->core->options.blob_size_limit)
        return true;
    flo_check_refuse_fmt(check, cause, "%s exceeds size limit.", field);
    check->verdict.terminate = true;
    return false;
}

/* Run a check of requests; its sentence becomes the detail. */
static bool passes(struct flo_check *check, FloApi__WorkflowTaskFailedCause cause, int rc,
                   const struct flo_status *status)
{
    return rc ? flo_check_refuse(check, cause, status->message ? status->message : "") : true;
}

bool flo_check_policy(struct flo_check *check, const FloApi__RetryPolicy *policy,
                      const char *prefix, const char *suffix)
{
    struct flo_status status = {0};
    if (!flo_check_retry_policy(check->core, policy, &status))
        return true;
    return flo_check_refuse_call(check, "%s: %s. %s", prefix, status.message, suffix);
}

bool flo_check_attributes(struct flo_check *check, FloApi__SearchAttributes *attributes,
                          const char *prefix, const char *suffix)
{
    const struct flo_namespace *ns = check->execution->hooks.ns;
    struct flo_status status = {0};
    if (flo_check_search_attribute_names(check->core, ns, attributes, &status))
        return passes(check, FLO_FAILED(BAD_SEARCH_ATTRIBUTES), FLO_ERPC, &status);
    if (flo_check_search_attribute_values(check->core, ns, attributes, &status))
        return prefix ? flo_check_refuse_call(check, "%s: %s. %s", prefix, status.message, suffix)
                      : passes(check, FLO_FAILED(BAD_SEARCH_ATTRIBUTES), FLO_ERPC, &status);
    if (!flo_check_search_attribute_sizes(check->core, attributes, &status)) {
        /* events say the type of each value */
        if (flo_attributes_show(ns, attributes, &check->core->scratch))
            flo_core_set_fatal(check->core);
        return true;
    }
    check->verdict.terminate = true;
    return passes(check, FLO_FAILED(BAD_SEARCH_ATTRIBUTES), FLO_ERPC, &status);
}

bool flo_check_choice(struct flo_check *check, FloApi__WorkflowTaskFailedCause cause,
                      const char *name, const ProtobufCEnumDescriptor *descriptor, int value)
{
    struct flo_status status = {0};
    return passes(check, cause, flo_check_enum(check->core, name, descriptor, value, &status),
                  &status);
}

bool flo_check_command_priority(struct flo_check *check, FloApi__WorkflowTaskFailedCause cause,
                                const FloApi__Priority *priority)
{
    struct flo_status status = {0};
    return passes(check, cause, flo_check_priority(check->core, priority, &status), &status);
}

/* ---- activities ---- */

static bool check_activity_times(struct flo_check *check,
                                 const FloApi__ScheduleActivityTaskCommandAttributes *a)
{
    const struct {
        const char *name;
        const Google__Protobuf__Duration *duration;
    } times[] = {{"ScheduleToCloseTimeout", a->schedule_to_close_timeout},
                 {"ScheduleToStartTimeout", a->schedule_to_start_timeout},
                 {"StartToCloseTimeout", a->start_to_close_timeout},
                 {"HeartbeatTimeout", a->heartbeat_timeout}};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        const char *wrong = flo_duration_wrong(times[i].duration);
        if (wrong)
            return flo_check_refuse_fmt(check, FLO_FAILED(BAD_SCHEDULE_ACTIVITY_ATTRIBUTES),
                                        "Invalid %s for ScheduleActivityTaskCommand: %s. "
                                        "ActivityId=%s ActivityType=%s",
                                        times[i].name, wrong, a->activity_id,
                                        a->activity_type->name);
    }
    if (flo_duration_ns(a->schedule_to_close_timeout) <= 0 &&
        flo_duration_ns(a->start_to_close_timeout) <= 0)
        return flo_check_refuse_fmt(check, FLO_FAILED(BAD_SCHEDULE_ACTIVITY_ATTRIBUTES),
                                    "A valid StartToClose or ScheduleToCloseTimeout is not set on "
                                    "ScheduleActivityTaskCommand. ActivityId=%s ActivityType=%s",
                                    a->activity_id, a->activity_type->name);
    return true;
}

/* Its names: queue, id, type; and the retry policy, which comes between them. */
static bool check_activity_names(struct flo_check *check,
                                 const FloApi__ScheduleActivityTaskCommandAttributes *a)
{
    const FloApi__WorkflowTaskFailedCause bad = FLO_FAILED(BAD_SCHEDULE_ACTIVITY_ATTRIBUTES);
    const char *type = a->activity_type ? a->activity_type->name : "";
    const char *wrong = flo_queue_wrong(a->task_queue);
    if (wrong)
        return flo_check_refuse_call(check,
                                     "invalid TaskQueue on ScheduleActivityTaskCommand: %s. "
                                     "ActivityId=%s ActivityType=%s",
                                     wrong, a->activity_id, type);
    if (!*a->activity_id)
        return flo_check_refuse_fmt(
            check, bad, "ActivityId is not set on ScheduleActivityTaskCommand. ActivityType=%s",
            type);
    if (!*type)
        return flo_check_refuse_fmt(
            check, bad, "ActivityType is not set on ScheduleActivityTaskCommand. ActivityID=%s",
            a->activity_id);
    struct flo_status status = {0};
    if (flo_check_retry_policy(check->core, a->retry_policy, &status))
        return flo_check_refuse_call(check,
                                     "invalid ActivityRetryPolicy on SechduleActivityTaskCommand: "
                                     "%s. ActivityId=%s ActivityType=%s",
                                     status.message, a->activity_id, type);
    if (!flo_check_id_fits(a->activity_id))
        return flo_check_refuse_fmt(
            check, bad,
            "ActivityId on ScheduleActivityTaskCommand exceeds length limit. ActivityId=%s "
            "ActivityType=%s Length=%zu Limit=%d",
            a->activity_id, type, strlen(a->activity_id), FLO_CORE_ID_BYTES);
    if (!flo_check_id_fits(type))
        return flo_check_refuse_fmt(
            check, bad,
            "ActivityType on ScheduleActivityTaskCommand exceeds length limit. ActivityId=%s "
            "ActivityType=%s Length=%zu Limit=%d",
            a->activity_id, type, strlen(type), FLO_CORE_ID_BYTES);
    return true;
}

static bool check_activity(struct flo_check *check, const FloApi__Command *command)
{
    const FloApi__WorkflowTaskFailedCause bad = FLO_FAILED(BAD_SCHEDULE_ACTIVITY_ATTRIBUTES);
    if (command->attributes_case !=
        FLO_API__COMMAND__ATTRIBUTES_SCHEDULE_ACTIVITY_TASK_COMMAND_ATTRIBUTES)
        return flo_check_refuse(check, bad,
                                "ScheduleActivityTaskCommandAttributes is not set on "
                                "ScheduleActivityTaskCommand.");
    const FloApi__ScheduleActivityTaskCommandAttributes *a =
        command->schedule_activity_task_command_attributes;
    if (!check_activity_names(check, a) || !check_activity_times(check, a) ||
        !flo_check_command_priority(check, bad, a->priority) ||
        !flo_check_field(check, bad, "ScheduleActivityTaskCommandAttributes.Input", a->input))
        return false;
    if (++check->activity_count > FLO_CORE_RUN_MAX_PENDING)
        return flo_check_refuse_fmt(
            check, FLO_FAILED(PENDING_ACTIVITIES_LIMIT_EXCEEDED),
            "the number of pending activities, %zu, has reached the per-workflow "
            "limit of %d",
            check->activity_count - 1, FLO_CORE_RUN_MAX_PENDING);
    const char *overlay = flo_map_get_str(&check->activities, a->activity_id);
    if (overlay == &flo_check_started ||
        (!overlay && flo_core_activity_by_id(check->execution, a->activity_id)))
        return flo_check_refuse_fmt(check, FLO_FAILED(SCHEDULE_ACTIVITY_DUPLICATE_ID),
                                    "invalid history builder state for action: "
                                    "add-activitytask-scheduled-event, ActivityID: %s",
                                    a->activity_id);
    return flo_check_put(check, &check->activities, a->activity_id, &flo_check_started);
}

static bool check_cancel_activity(struct flo_check *check, const FloApi__Command *command)
{
    const FloApi__WorkflowTaskFailedCause bad = FLO_FAILED(BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES);
    if (command->attributes_case !=
        FLO_API__COMMAND__ATTRIBUTES_REQUEST_CANCEL_ACTIVITY_TASK_COMMAND_ATTRIBUTES)
        return flo_check_refuse(check, bad,
                                "RequestCancelActivityTaskCommandAttributes is not set on "
                                "RequestCancelActivityTaskCommand.");
    int64_t id = command->request_cancel_activity_task_command_attributes->scheduled_event_id;
    if (id <= 0)
        return flo_check_refuse(check, bad,
                                "ScheduledEventId is not set on RequestCancelActivityTaskCommand.");
    if (id >= check->next_id)
        return flo_check_refuse_fmt(
            check, bad,
            "invalid history builder state for action: "
            "add-activitytask-cancel-requested-event, ScheduledEventID: %lld",
            (long long)id);
    const struct flo_core_activity *activity = flo_core_activity_by_event(check->execution, id);
    if (!activity || activity->stage == FLO_CORE_ACTIVITY_STARTED || activity->cancel_requested)
        return true;
    check->activity_count--; /* not started: gone with this command */
    return flo_check_put(check, &check->activities, activity->id, &flo_check_cancelled);
}

/* ---- timers, markers ---- */

static bool check_start_timer(struct flo_check *check, const FloApi__Command *command)
{
    const FloApi__WorkflowTaskFailedCause bad = FLO_FAILED(BAD_START_TIMER_ATTRIBUTES);
    if (command->attributes_case != FLO_API__COMMAND__ATTRIBUTES_START_TIMER_COMMAND_ATTRIBUTES)
        return flo_check_refuse(check, bad,
                                "StartTimerCommandAttributes is not set on StartTimerCommand.");
    const FloApi__StartTimerCommandAttributes *a = command->start_timer_command_attributes;
    if (!*a->timer_id)
        return flo_check_refuse(check, bad, "TimerId is not set on StartTimerCommand.");
    if (!flo_check_id_fits(a->timer_id))
        return flo_check_refuse_fmt(check, bad,
                                    "TimerId on StartTimerCommand exceeds length limit. "
                                    "TimerId=%s Length=%zu Limit=%d",
                                    a->timer_id, strlen(a->timer_id), FLO_CORE_ID_BYTES);
    const char *wrong = flo_duration_wrong(a->start_to_fire_timeout);
    if (wrong)
        return flo_check_refuse_fmt(check, bad,
                                    "An invalid StartToFireTimeout is set on StartTimerCommand: "
                                    "%s. TimerId=%s",
                                    wrong, a->timer_id);
    const char *overlay = flo_map_get_str(&check->timers, a->timer_id);
    if (overlay == &flo_check_started ||
        (!overlay && flo_user_timer_find(check->execution, a->timer_id)))
        return flo_check_refuse_fmt(
            check, FLO_FAILED(START_TIMER_DUPLICATE_ID),
            "invalid history builder state for action: add-timer-started-event, "
            "TimerID: %s",
            a->timer_id);
    return flo_check_put(check, &check->timers, a->timer_id, &flo_check_started);
}

static bool check_cancel_timer(struct flo_check *check, const FloApi__Command *command)
{
    const FloApi__WorkflowTaskFailedCause bad = FLO_FAILED(BAD_CANCEL_TIMER_ATTRIBUTES);
    if (command->attributes_case != FLO_API__COMMAND__ATTRIBUTES_CANCEL_TIMER_COMMAND_ATTRIBUTES)
        return flo_check_refuse(check, bad,
                                "CancelTimerCommandAttributes is not set on CancelTimerCommand.");
    const char *id = command->cancel_timer_command_attributes->timer_id;
    if (!*id)
        return flo_check_refuse(check, bad, "TimerId is not set on CancelTimerCommand.");
    if (!flo_check_id_fits(id))
        return flo_check_refuse_fmt(check, bad,
                                    "TimerId on CancelTimerCommand exceeds length limit. "
                                    "TimerId=%s Length=%zu Limit=%d",
                                    id, strlen(id), FLO_CORE_ID_BYTES);
    const char *overlay = flo_map_get_str(&check->timers, id);
    bool pending =
        overlay ? overlay == &flo_check_started : flo_user_timer_find(check->execution, id) != NULL;
    if (!pending && !overlay && flo_history_buffered_timer(check->core, check->execution, id)) {
        check->buffered--;
        pending = true;
    }
    if (!pending)
        return flo_check_refuse_fmt(
            check, bad,
            "invalid history builder state for action: add-timer-canceled-event, "
            "TimerID: %s",
            id);
    return flo_check_put(check, &check->timers, id, &flo_check_cancelled);
}

static bool check_marker(struct flo_check *check, const FloApi__Command *command)
{
    const FloApi__WorkflowTaskFailedCause bad = FLO_FAILED(BAD_RECORD_MARKER_ATTRIBUTES);
    if (command->attributes_case != FLO_API__COMMAND__ATTRIBUTES_RECORD_MARKER_COMMAND_ATTRIBUTES)
        return flo_check_refuse(check, bad,
                                "RecordMarkerCommandAttributes is not set on RecordMarkerCommand.");
    const FloApi__RecordMarkerCommandAttributes *a = command->record_marker_command_attributes;
    if (!*a->marker_name)
        return flo_check_refuse(check, bad, "MarkerName is not set on RecordMarkerCommand.");
    if (!flo_check_id_fits(a->marker_name))
        return flo_check_refuse_fmt(check, bad,
                                    "MarkerName on RecordMarkerCommand exceeds length limit. "
                                    "MarkerName=%s Length=%zu Limit=%d",
                                    a->marker_name, strlen(a->marker_name), FLO_CORE_ID_BYTES);
    for (size_t i = 0; i < a->n_details; i++)
        if (!flo_check_field(check, bad, "RecordMarkerCommandAttributes.Details",
                             a->details[i]->value))
            return false;
    return true;
}

/* ---- closing ---- */

static bool check_close(struct flo_check *check, const FloApi__Command *command)
{
    if (check->buffered > 0)
        return flo_check_refuse(check, FLO_FAILED(UNHANDLED_COMMAND), "");
    switch (command->attributes_case) {
    case FLO_API__COMMAND__ATTRIBUTES_COMPLETE_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES:
        /* the real server names this cause, not its own */
        return flo_check_field(check, FLO_FAILED(BAD_SCHEDULE_ACTIVITY_ATTRIBUTES),
                               "CompleteWorkflowExecutionCommandAttributes.Result",
                               command->complete_workflow_execution_command_attributes->result);
    case FLO_API__COMMAND__ATTRIBUTES_FAIL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES:
        if (!command->fail_workflow_execution_command_attributes->failure)
            return flo_check_refuse(check, FLO_FAILED(BAD_FAIL_WORKFLOW_EXECUTION_ATTRIBUTES),
                                    "Failure is not set on FailWorkflowExecutionCommand.");
        return flo_check_field(check, FLO_FAILED(BAD_FAIL_WORKFLOW_EXECUTION_ATTRIBUTES),
                               "FailWorkflowExecutionCommandAttributes.Failure",
                               command->fail_workflow_execution_command_attributes->failure);
    default:
        return flo_check_field(check, FLO_FAILED(BAD_CANCEL_WORKFLOW_EXECUTION_ATTRIBUTES),
                               "CancelWorkflowExecutionCommandAttributes.Details",
                               command->cancel_workflow_execution_command_attributes->details);
    }
}

static bool check_complete(struct flo_check *check, const FloApi__Command *command)
{
    return command->attributes_case ==
                   FLO_API__COMMAND__ATTRIBUTES_COMPLETE_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES
               ? check_close(check, command)
               : flo_check_refuse(check, FLO_FAILED(BAD_COMPLETE_WORKFLOW_EXECUTION_ATTRIBUTES),
                                  "CompleteWorkflowExecutionCommandAttributes is not set on "
                                  "CompleteWorkflowExecutionCommand.");
}

static bool check_fail(struct flo_check *check, const FloApi__Command *command)
{
    return command->attributes_case ==
                   FLO_API__COMMAND__ATTRIBUTES_FAIL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES
               ? check_close(check, command)
               : flo_check_refuse(check, FLO_FAILED(BAD_FAIL_WORKFLOW_EXECUTION_ATTRIBUTES),
                                  "FailWorkflowExecutionCommandAttributes is not set on "
                                  "FailWorkflowExecutionCommand.");
}

static bool check_cancel(struct flo_check *check, const FloApi__Command *command)
{
    return command->attributes_case ==
                   FLO_API__COMMAND__ATTRIBUTES_CANCEL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES
               ? check_close(check, command)
               : flo_check_refuse(check, FLO_FAILED(BAD_CANCEL_WORKFLOW_EXECUTION_ATTRIBUTES),
                                  "CancelWorkflowExecutionCommandAttributes is not set on "
                                  "CancelWorkflowExecutionCommand.");
}

/* ---- memo, search attributes, messages ---- */

static bool check_upsert(struct flo_check *check, const FloApi__Command *command)
{
    const FloApi__WorkflowTaskFailedCause bad = FLO_FAILED(BAD_SEARCH_ATTRIBUTES);
    if (command->attributes_case !=
        FLO_API__COMMAND__ATTRIBUTES_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES_COMMAND_ATTRIBUTES)
        return flo_check_refuse(check, bad,
                                "UpsertWorkflowSearchAttributesCommandAttributes is not set on "
                                "UpsertWorkflowSearchAttributesCommand.");
    FloApi__SearchAttributes *attributes =
        command->upsert_workflow_search_attributes_command_attributes->search_attributes;
    if (!attributes)
        return flo_check_refuse(
            check, bad, "SearchAttributes is not set on UpsertWorkflowSearchAttributesCommand.");
    if (!attributes->n_indexed_fields)
        return flo_check_refuse(
            check, bad, "IndexedFields is not set on UpsertWorkflowSearchAttributesCommand.");
    return flo_check_attributes(check, attributes, NULL, NULL);
}

static bool check_modify(struct flo_check *check, const FloApi__Command *command)
{
    const FloApi__WorkflowTaskFailedCause bad =
        FLO_FAILED(BAD_MODIFY_WORKFLOW_PROPERTIES_ATTRIBUTES);
    if (command->attributes_case !=
        FLO_API__COMMAND__ATTRIBUTES_MODIFY_WORKFLOW_PROPERTIES_COMMAND_ATTRIBUTES)
        return flo_check_refuse(check, bad,
                                "ModifyWorkflowPropertiesCommandAttributes is not set on "
                                "ModifyWorkflowPropertiesCommand.");
    const FloApi__Memo *memo =
        command->modify_workflow_properties_command_attributes->upserted_memo;
    if (!memo)
        return flo_check_refuse(check, bad,
                                "UpsertedMemo is not set on ModifyWorkflowPropertiesCommand.");
    if (!memo->n_fields)
        return flo_check_refuse(
            check, bad, "UpsertedMemo.Fields is not set on ModifyWorkflowPropertiesCommand.");
    return flo_check_field(check, bad, "ModifyWorkflowPropertiesCommandAttributes", memo);
}

/* There are no endpoints here, and so no operation to cancel. */
static bool check_nexus(struct flo_check *check, const FloApi__Command *command)
{
    const FloApi__WorkflowTaskFailedCause bad = FLO_FAILED(BAD_SCHEDULE_NEXUS_OPERATION_ATTRIBUTES);
    if (command->attributes_case !=
        FLO_API__COMMAND__ATTRIBUTES_SCHEDULE_NEXUS_OPERATION_COMMAND_ATTRIBUTES)
        return flo_check_refuse(check, bad, "empty ScheduleNexusOperationCommandAttributes");
    return flo_check_refuse_fmt(check, bad, "endpoint \"%s\" not found",
                                command->schedule_nexus_operation_command_attributes->endpoint);
}

static bool check_cancel_nexus(struct flo_check *check, const FloApi__Command *command)
{
    const FloApi__WorkflowTaskFailedCause bad =
        FLO_FAILED(BAD_REQUEST_CANCEL_NEXUS_OPERATION_ATTRIBUTES);
    if (command->attributes_case !=
        FLO_API__COMMAND__ATTRIBUTES_REQUEST_CANCEL_NEXUS_OPERATION_COMMAND_ATTRIBUTES)
        return flo_check_refuse(check, bad, "empty CancelNexusOperationCommandAttributes");
    return flo_check_refuse_fmt(
        check, bad,
        "requested cancelation for a non-existing or already completed operation with scheduled "
        "event ID of %lld",
        (long long)command->request_cancel_nexus_operation_command_attributes->scheduled_event_id);
}

static bool message_fits(struct flo_check *check, struct flo_update_fault fault)
{
    if (!fault.message)
        return true;
    flo_check_refuse(check, FLO_FAILED(BAD_UPDATE_WORKFLOW_EXECUTION_MESSAGE), fault.message);
    check->verdict.terminate = fault.terminate;
    return false;
}

static bool check_message(struct flo_check *check, const FloApi__Command *command)
{
    return message_fits(check, flo_update_check_command(check->core, check->execution, command));
}

/* ---- all of them ---- */

static bool check_command(struct flo_check *check, const FloApi__Command *command)
{
    switch (command->command_type) {
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK:
        return check_activity(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK:
        return check_cancel_activity(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_START_TIMER:
        return check_start_timer(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_CANCEL_TIMER:
        return check_cancel_timer(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_RECORD_MARKER:
        return check_marker(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION:
        return check_complete(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION:
        return check_fail(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION:
        return check_cancel(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION:
        return flo_check_continue(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION:
        return flo_check_child(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION:
        return flo_check_signal_external(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION:
        return flo_check_cancel_external(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
        return check_upsert(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES:
        return check_modify(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_SCHEDULE_NEXUS_OPERATION:
        return check_nexus(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_REQUEST_CANCEL_NEXUS_OPERATION:
        return check_cancel_nexus(check, command);
    default:
        return check_message(check, command);
    }
}

struct flo_verdict flo_commands_check(struct flo_core *core, struct flo_execution *execution,
                                      const FloApi__RespondWorkflowTaskCompletedRequest *request)
{
    struct flo_check check = {
        .core = core,
        .execution = execution,
        .activity_count = execution->activity_count,
        .child_count = execution->child_count,
        .buffered = execution->buffered.count,
        /* behind WorkflowTaskCompleted and, when it is transient, the task's own events */
        .next_id =
            execution->history.next_event_id + 1 + (execution->workflow_task.transient ? 2 : 0),
    };
    flo_map_init(&check.timers);
    flo_map_init(&check.activities);
    flo_map_init(&check.children);
    for (size_t i = 0; i < request->n_commands; i++, check.next_id++)
        if (!check_command(&check, request->commands[i]))
            break;
    if (!check.verdict.cause && !check.verdict.refusal.code && request->n_messages)
        message_fits(&check, flo_update_check_rest(core, execution));
    flo_map_fini(&check.timers);
    flo_map_fini(&check.activities);
    flo_map_fini(&check.children);
    return check.verdict;
}
