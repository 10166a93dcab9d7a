/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_check.c - may these commands be applied? If not: cause and sentence of the failure.
 *
 * Each command is looked at as if those before it had been applied. What they would have changed
 * and a later one may ask for is kept in an overlay: timers and activities started or cancelled in
 * this completion, children started in it, how many buffered events a cancelled timer takes away,
 * the id of the next event.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/core/attributes.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/run.h"
#include "engine/core/update.h"

#define CAUSE(name) FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_##name

struct check {
    struct flo_core *core;
    struct flo_execution *execution;
    struct flo_verdict verdict;
    struct flo_map timers;     /* id -> &started or &cancelled */
    struct flo_map activities; /* the same for activities */
    struct flo_map children;   /* workflow ids of children started in it */
    size_t activity_count, child_count, buffered;
    int64_t next_id;
};

/* Values of the overlay's maps. */
static char started, cancelled;

/* Refuse: "<Cause>[: detail]". Returns false. */
static bool refuse(struct check *check, FloApi__WorkflowTaskFailedCause cause, const char *detail)
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

__attribute__((format(printf, 3, 4))) static bool refuse_fmt(struct check *check,
                                                             FloApi__WorkflowTaskFailedCause cause,
                                                             const char *fmt, ...)
{
    char detail[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    return refuse(check, cause, detail);
}

static bool put(struct check *check, struct flo_map *map, const char *key, void *value)
{
    if (flo_map_put_str(map, key, value))
        flo_core_set_fatal(check->core);
    return true;
}

/* ---- what many commands have ---- */

static bool id_fits(const char *id)
{
    return strnlen(id, FLO_CORE_ID_BYTES + 1) <= FLO_CORE_ID_BYTES;
}

/* A payload field that is too large ends the workflow: no retry makes it smaller. */
static bool blob_fits(struct check *check, FloApi__WorkflowTaskFailedCause cause, const char *field,
                      const void *message)
{
    if (!message || (int64_t)flo_wire_size(message) <= check->core->options.blob_size_limit)
        return true;
    refuse_fmt(check, cause, "%s exceeds size limit.", field);
    check->verdict.terminate = true;
    return false;
}

/* Run a check of requests; its sentence becomes the detail. */
static bool passes(struct check *check, FloApi__WorkflowTaskFailedCause cause, int rc,
                   const struct flo_status *status)
{
    return rc ? refuse(check, cause, status->message ? status->message : "") : true;
}

static bool durations_fit(struct check *check, FloApi__WorkflowTaskFailedCause cause,
                          const char *const names[],
                          const Google__Protobuf__Duration *const durations[], size_t count)
{
    struct flo_status status = {0};
    for (size_t i = 0; i < count; i++)
        if (flo_check_duration(check->core, names[i], durations[i], &status))
            return passes(check, cause, FLO_ERPC, &status);
    return true;
}

static bool policy_fits(struct check *check, FloApi__WorkflowTaskFailedCause cause,
                        const FloApi__RetryPolicy *policy)
{
    struct flo_status status = {0};
    return passes(check, cause, flo_check_retry_policy(check->core, policy, &status), &status);
}

static bool priority_fits(struct check *check, FloApi__WorkflowTaskFailedCause cause,
                          const FloApi__Priority *priority)
{
    struct flo_status status = {0};
    return passes(check, cause, flo_check_priority(check->core, priority, &status), &status);
}

static bool attributes_fit(struct check *check, const FloApi__SearchAttributes *attributes)
{
    struct flo_status status = {0};
    int rc =
        flo_check_search_attributes(check->core, check->execution->hooks.ns, attributes, &status);
    return passes(check, CAUSE(BAD_SEARCH_ATTRIBUTES), rc, &status);
}

static bool enum_fits(struct check *check, FloApi__WorkflowTaskFailedCause cause, const char *name,
                      const ProtobufCEnumDescriptor *descriptor, int value)
{
    struct flo_status status = {0};
    return passes(check, cause, flo_check_enum(check->core, name, descriptor, value, &status),
                  &status);
}

static bool queue_fits(const FloApi__TaskQueue *queue)
{
    return !queue || (id_fits(queue->name) && strncmp(queue->name, "/_sys/", 6) != 0);
}

/* ---- activities ---- */

static bool check_activity_times(struct check *check,
                                 const FloApi__ScheduleActivityTaskCommandAttributes *a)
{
    static const char *const names[] = {"ScheduleToCloseTimeout", "ScheduleToStartTimeout",
                                        "StartToCloseTimeout", "HeartbeatTimeout"};
    const Google__Protobuf__Duration *const durations[] = {
        a->schedule_to_close_timeout, a->schedule_to_start_timeout, a->start_to_close_timeout,
        a->heartbeat_timeout};
    if (!durations_fit(check, CAUSE(BAD_SCHEDULE_ACTIVITY_ATTRIBUTES), names, durations, 4))
        return false;
    if (flo_duration_ns(a->schedule_to_close_timeout) <= 0 &&
        flo_duration_ns(a->start_to_close_timeout) <= 0)
        return refuse_fmt(check, CAUSE(BAD_SCHEDULE_ACTIVITY_ATTRIBUTES),
                          "A valid StartToClose or ScheduleToCloseTimeout is not set on "
                          "ScheduleActivityTaskCommand. ActivityId=%s ActivityType=%s",
                          a->activity_id, a->activity_type->name);
    return policy_fits(check, CAUSE(BAD_SCHEDULE_ACTIVITY_ATTRIBUTES), a->retry_policy) &&
           priority_fits(check, CAUSE(BAD_SCHEDULE_ACTIVITY_ATTRIBUTES), a->priority);
}

static bool check_activity(struct check *check, const FloApi__Command *command)
{
    const FloApi__ScheduleActivityTaskCommandAttributes *a =
        command->attributes_case ==
                FLO_API__COMMAND__ATTRIBUTES_SCHEDULE_ACTIVITY_TASK_COMMAND_ATTRIBUTES
            ? command->schedule_activity_task_command_attributes
            : NULL;
    const FloApi__WorkflowTaskFailedCause bad = CAUSE(BAD_SCHEDULE_ACTIVITY_ATTRIBUTES);
    if (!a)
        return refuse(check, bad,
                      "ScheduleActivityTaskCommandAttributes is not set on "
                      "ScheduleActivityTaskCommand.");
    if (!*a->activity_id)
        return refuse_fmt(check, bad,
                          "ActivityId is not set on ScheduleActivityTaskCommand. ActivityType=%s",
                          a->activity_type ? a->activity_type->name : "");
    if (!a->activity_type || !*a->activity_type->name)
        return refuse_fmt(check, bad,
                          "ActivityType is not set on ScheduleActivityTaskCommand. ActivityId=%s",
                          a->activity_id);
    if (!a->task_queue || !*a->task_queue->name || !queue_fits(a->task_queue))
        return refuse_fmt(check, bad,
                          "invalid TaskQueue on ScheduleActivityTaskCommand: taskQueue is not set. "
                          "ActivityId=%s ActivityType=%s",
                          a->activity_id, a->activity_type->name);
    if (!id_fits(a->activity_id) || !id_fits(a->activity_type->name))
        return refuse(check, bad,
                      "ActivityId or ActivityType on ScheduleActivityTaskCommand exceeds length "
                      "limit.");
    if (!check_activity_times(check, a) ||
        !blob_fits(check, bad, "ScheduleActivityTaskCommandAttributes.Input", a->input))
        return false;
    if (++check->activity_count > FLO_CORE_RUN_MAX_PENDING)
        return refuse_fmt(check, CAUSE(PENDING_ACTIVITIES_LIMIT_EXCEEDED),
                          "the number of pending activities, %zu, has reached the per-workflow "
                          "limit of %d",
                          check->activity_count - 1, FLO_CORE_RUN_MAX_PENDING);
    const char *overlay = flo_map_get_str(&check->activities, a->activity_id);
    if (overlay == &started ||
        (!overlay && flo_core_activity_by_id(check->execution, a->activity_id)))
        return refuse_fmt(check, CAUSE(SCHEDULE_ACTIVITY_DUPLICATE_ID),
                          "invalid history builder state for action: "
                          "add-activitytask-scheduled-event, ActivityID: %s",
                          a->activity_id);
    return put(check, &check->activities, a->activity_id, &started);
}

static bool check_cancel_activity(struct check *check, const FloApi__Command *command)
{
    const FloApi__WorkflowTaskFailedCause bad = CAUSE(BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES);
    if (command->attributes_case !=
        FLO_API__COMMAND__ATTRIBUTES_REQUEST_CANCEL_ACTIVITY_TASK_COMMAND_ATTRIBUTES)
        return refuse(check, bad,
                      "RequestCancelActivityTaskCommandAttributes is not set on "
                      "RequestCancelActivityTaskCommand.");
    int64_t id = command->request_cancel_activity_task_command_attributes->scheduled_event_id;
    if (id <= 0)
        return refuse(check, bad,
                      "ScheduledEventId is not set on RequestCancelActivityTaskCommand.");
    if (id >= check->next_id)
        return refuse_fmt(check, bad,
                          "invalid history builder state for action: "
                          "add-activitytask-cancel-requested-event, ScheduledEventID: %lld",
                          (long long)id);
    const struct flo_core_activity *activity = flo_core_activity_by_event(check->execution, id);
    if (!activity || activity->stage == FLO_CORE_ACTIVITY_STARTED || activity->cancel_requested)
        return true;
    check->activity_count--; /* not started: gone with this command */
    return put(check, &check->activities, activity->id, &cancelled);
}

/* ---- timers, markers ---- */

static bool check_start_timer(struct check *check, const FloApi__Command *command)
{
    static const char *const names[] = {"StartToFireTimeout"};
    const FloApi__WorkflowTaskFailedCause bad = CAUSE(BAD_START_TIMER_ATTRIBUTES);
    if (command->attributes_case != FLO_API__COMMAND__ATTRIBUTES_START_TIMER_COMMAND_ATTRIBUTES)
        return refuse(check, bad, "StartTimerCommandAttributes is not set on StartTimerCommand.");
    const FloApi__StartTimerCommandAttributes *a = command->start_timer_command_attributes;
    const Google__Protobuf__Duration *const durations[] = {a->start_to_fire_timeout};
    if (!*a->timer_id)
        return refuse(check, bad, "TimerId is not set on StartTimerCommand.");
    if (!id_fits(a->timer_id))
        return refuse(check, bad, "TimerId on StartTimerCommand exceeds length limit.");
    if (!durations_fit(check, bad, names, durations, 1))
        return false;
    if (flo_duration_ns(a->start_to_fire_timeout) <= 0)
        return refuse_fmt(check, bad,
                          "A valid StartToFireTimeout is not set on StartTimerCommand. TimerId=%s",
                          a->timer_id);
    const char *overlay = flo_map_get_str(&check->timers, a->timer_id);
    if (overlay == &started || (!overlay && flo_user_timer_find(check->execution, a->timer_id)))
        return refuse_fmt(check, CAUSE(START_TIMER_DUPLICATE_ID),
                          "invalid history builder state for action: add-timer-started-event, "
                          "TimerID: %s",
                          a->timer_id);
    return put(check, &check->timers, a->timer_id, &started);
}

static bool check_cancel_timer(struct check *check, const FloApi__Command *command)
{
    const FloApi__WorkflowTaskFailedCause bad = CAUSE(BAD_CANCEL_TIMER_ATTRIBUTES);
    if (command->attributes_case != FLO_API__COMMAND__ATTRIBUTES_CANCEL_TIMER_COMMAND_ATTRIBUTES)
        return refuse(check, bad, "CancelTimerCommandAttributes is not set on CancelTimerCommand.");
    const char *id = command->cancel_timer_command_attributes->timer_id;
    if (!*id)
        return refuse(check, bad, "TimerId is not set on CancelTimerCommand.");
    const char *overlay = flo_map_get_str(&check->timers, id);
    bool pending =
        overlay ? overlay == &started : flo_user_timer_find(check->execution, id) != NULL;
    if (!pending && !overlay && flo_history_buffered_timer(check->core, check->execution, id)) {
        check->buffered--;
        pending = true;
    }
    if (!pending)
        return refuse_fmt(check, bad,
                          "invalid history builder state for action: add-timer-canceled-event, "
                          "TimerID: %s",
                          id);
    return put(check, &check->timers, id, &cancelled);
}

static bool check_marker(struct check *check, const FloApi__Command *command)
{
    const FloApi__WorkflowTaskFailedCause bad = CAUSE(BAD_RECORD_MARKER_ATTRIBUTES);
    if (command->attributes_case != FLO_API__COMMAND__ATTRIBUTES_RECORD_MARKER_COMMAND_ATTRIBUTES)
        return refuse(check, bad,
                      "RecordMarkerCommandAttributes is not set on RecordMarkerCommand.");
    const FloApi__RecordMarkerCommandAttributes *a = command->record_marker_command_attributes;
    if (!*a->marker_name)
        return refuse(check, bad, "MarkerName is not set on RecordMarkerCommand.");
    if (!id_fits(a->marker_name))
        return refuse(check, bad, "MarkerName on RecordMarkerCommand exceeds length limit.");
    for (size_t i = 0; i < a->n_details; i++)
        if (!blob_fits(check, bad, "RecordMarkerCommandAttributes.Details", a->details[i]->value))
            return false;
    return true;
}

/* ---- closing ---- */

static bool check_close(struct check *check, const FloApi__Command *command)
{
    if (check->buffered > 0)
        return refuse(check, CAUSE(UNHANDLED_COMMAND), "");
    switch (command->attributes_case) {
    case FLO_API__COMMAND__ATTRIBUTES_COMPLETE_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES:
        return blob_fits(check, CAUSE(BAD_COMPLETE_WORKFLOW_EXECUTION_ATTRIBUTES),
                         "CompleteWorkflowExecutionCommandAttributes.Result",
                         command->complete_workflow_execution_command_attributes->result);
    case FLO_API__COMMAND__ATTRIBUTES_FAIL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES:
        if (!command->fail_workflow_execution_command_attributes->failure)
            return refuse(check, CAUSE(BAD_FAIL_WORKFLOW_EXECUTION_ATTRIBUTES),
                          "Failure is not set on FailWorkflowExecutionCommand.");
        return blob_fits(check, CAUSE(BAD_FAIL_WORKFLOW_EXECUTION_ATTRIBUTES),
                         "FailWorkflowExecutionCommandAttributes.Failure",
                         command->fail_workflow_execution_command_attributes->failure);
    default:
        return blob_fits(check, CAUSE(BAD_CANCEL_WORKFLOW_EXECUTION_ATTRIBUTES),
                         "CancelWorkflowExecutionCommandAttributes.Details",
                         command->cancel_workflow_execution_command_attributes->details);
    }
}

static bool check_complete(struct check *check, const FloApi__Command *command)
{
    return command->attributes_case ==
                   FLO_API__COMMAND__ATTRIBUTES_COMPLETE_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES
               ? check_close(check, command)
               : refuse(check, CAUSE(BAD_COMPLETE_WORKFLOW_EXECUTION_ATTRIBUTES),
                        "CompleteWorkflowExecutionCommandAttributes is not set on "
                        "CompleteWorkflowExecutionCommand.");
}

static bool check_fail(struct check *check, const FloApi__Command *command)
{
    return command->attributes_case ==
                   FLO_API__COMMAND__ATTRIBUTES_FAIL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES
               ? check_close(check, command)
               : refuse(check, CAUSE(BAD_FAIL_WORKFLOW_EXECUTION_ATTRIBUTES),
                        "FailWorkflowExecutionCommandAttributes is not set on "
                        "FailWorkflowExecutionCommand.");
}

static bool check_cancel(struct check *check, const FloApi__Command *command)
{
    return command->attributes_case ==
                   FLO_API__COMMAND__ATTRIBUTES_CANCEL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES
               ? check_close(check, command)
               : refuse(check, CAUSE(BAD_CANCEL_WORKFLOW_EXECUTION_ATTRIBUTES),
                        "CancelWorkflowExecutionCommandAttributes is not set on "
                        "CancelWorkflowExecutionCommand.");
}

static bool check_continue(struct check *check, const FloApi__Command *command)
{
    static const char *const names[] = {"WorkflowRunTimeout", "WorkflowTaskTimeout",
                                        "BackoffStartInterval"};
    const FloApi__WorkflowTaskFailedCause bad = CAUSE(BAD_CONTINUE_AS_NEW_ATTRIBUTES);
    if (check->buffered > 0)
        return refuse(check, CAUSE(UNHANDLED_COMMAND), "");
    if (command->attributes_case !=
        FLO_API__COMMAND__ATTRIBUTES_CONTINUE_AS_NEW_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES)
        return refuse(check, bad,
                      "ContinueAsNewWorkflowExecutionCommandAttributes is not set on "
                      "ContinueAsNewWorkflowExecutionCommand.");
    const FloApi__ContinueAsNewWorkflowExecutionCommandAttributes *a =
        command->continue_as_new_workflow_execution_command_attributes;
    const Google__Protobuf__Duration *const durations[] = {
        a->workflow_run_timeout, a->workflow_task_timeout, a->backoff_start_interval};
    if (!durations_fit(check, bad, names, durations, 3) ||
        !policy_fits(check, bad, a->retry_policy) || !attributes_fit(check, a->search_attributes) ||
        !enum_fits(check, bad, "Initiator", &flo_api__continue_as_new_initiator__descriptor,
                   (int)a->initiator))
        return false;
    if ((a->workflow_type && !id_fits(a->workflow_type->name)) || !queue_fits(a->task_queue))
        return refuse(check, bad, "WorkflowType or TaskQueue is not valid.");
    return blob_fits(check, bad, "ContinueAsNewWorkflowExecutionCommandAttributes.Input",
                     a->input) &&
           blob_fits(check, bad, "ContinueAsNewWorkflowExecutionCommandAttributes.Memo", a->memo);
}

/* ---- other runs ---- */

static bool check_child(struct check *check, const FloApi__Command *command)
{
    static const char *const names[] = {"WorkflowExecutionTimeout", "WorkflowRunTimeout",
                                        "WorkflowTaskTimeout"};
    const FloApi__WorkflowTaskFailedCause bad = CAUSE(BAD_START_CHILD_EXECUTION_ATTRIBUTES);
    if (command->attributes_case !=
        FLO_API__COMMAND__ATTRIBUTES_START_CHILD_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES)
        return refuse(check, bad,
                      "StartChildWorkflowExecutionCommandAttributes is not set on "
                      "StartChildWorkflowExecutionCommand.");
    const FloApi__StartChildWorkflowExecutionCommandAttributes *a =
        command->start_child_workflow_execution_command_attributes;
    const Google__Protobuf__Duration *const durations[] = {
        a->workflow_execution_timeout, a->workflow_run_timeout, a->workflow_task_timeout};
    if (!*a->workflow_id)
        return refuse(
            check, bad,
            "Required field WorkflowId is not set on StartChildWorkflowExecutionCommand.");
    if (!a->workflow_type || !*a->workflow_type->name)
        return refuse_fmt(check, bad,
                          "Required field WorkflowType is not set on "
                          "StartChildWorkflowExecutionCommand. WorkflowId=%s",
                          a->workflow_id);
    if (!id_fits(a->workflow_id) || !id_fits(a->workflow_type->name) || !queue_fits(a->task_queue))
        return refuse(check, bad,
                      "WorkflowId, WorkflowType or TaskQueue on StartChildWorkflowExecutionCommand "
                      "is not valid.");
    bool own_namespace =
        !*a->namespace_ || !strcmp(a->namespace_, check->execution->hooks.ns->name);
    if (own_namespace && !strcmp(a->workflow_id, check->execution->workflow_id))
        return refuse_fmt(check, bad,
                          "Start child workflow with the same WorkflowId as the parent is not "
                          "allowed. WorkflowId=%s",
                          a->workflow_id);
    if (!durations_fit(check, bad, names, durations, 3) ||
        !policy_fits(check, bad, a->retry_policy) || !attributes_fit(check, a->search_attributes) ||
        !enum_fits(check, bad, "ParentClosePolicy", &flo_api__parent_close_policy__descriptor,
                   (int)a->parent_close_policy) ||
        !enum_fits(check, bad, "WorkflowIdReusePolicy",
                   &flo_api__workflow_id_reuse_policy__descriptor,
                   (int)a->workflow_id_reuse_policy))
        return false;
    if (!blob_fits(check, bad, "StartChildWorkflowExecutionCommandAttributes.Input", a->input) ||
        !blob_fits(check, bad, "StartChildWorkflowExecutionCommandAttributes.Memo", a->memo))
        return false;
    if (++check->child_count > FLO_CORE_RUN_MAX_PENDING)
        return refuse_fmt(check, CAUSE(PENDING_CHILD_WORKFLOWS_LIMIT_EXCEEDED),
                          "the number of pending child workflow executions, %zu, has reached the "
                          "per-workflow limit of %d",
                          check->child_count - 1, FLO_CORE_RUN_MAX_PENDING);
    return put(check, &check->children, a->workflow_id, &started);
}

static bool run_id_fits(const char *run_id)
{
    return !*run_id || flo_uuid_valid(run_id, strlen(run_id));
}

static bool check_signal_external(struct check *check, const FloApi__Command *command)
{
    const FloApi__WorkflowTaskFailedCause bad = CAUSE(BAD_SIGNAL_WORKFLOW_EXECUTION_ATTRIBUTES);
    if (command->attributes_case !=
        FLO_API__COMMAND__ATTRIBUTES_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES)
        return refuse(check, bad,
                      "SignalExternalWorkflowExecutionCommandAttributes is not set on "
                      "SignalExternalWorkflowExecutionCommand.");
    const FloApi__SignalExternalWorkflowExecutionCommandAttributes *a =
        command->signal_external_workflow_execution_command_attributes;
    if (!a->execution)
        return refuse(check, bad,
                      "Execution is not set on SignalExternalWorkflowExecutionCommand.");
    if (!*a->execution->workflow_id || !id_fits(a->execution->workflow_id))
        return refuse(check, bad,
                      "WorkflowId is not set on SignalExternalWorkflowExecutionCommand.");
    if (!run_id_fits(a->execution->run_id))
        return refuse(check, bad, "Invalid RunId set on SignalExternalWorkflowExecutionCommand.");
    if (!*a->signal_name || !id_fits(a->signal_name))
        return refuse(check, bad,
                      "SignalName is not set on SignalExternalWorkflowExecutionCommand.");
    return blob_fits(check, bad, "SignalExternalWorkflowExecutionCommandAttributes.Input",
                     a->input);
}

static bool check_cancel_external(struct check *check, const FloApi__Command *command)
{
    const FloApi__WorkflowTaskFailedCause bad =
        CAUSE(BAD_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_ATTRIBUTES);
    if (command->attributes_case !=
        FLO_API__COMMAND__ATTRIBUTES_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES)
        return refuse(check, bad,
                      "RequestCancelExternalWorkflowExecutionCommandAttributes is not set on "
                      "RequestCancelExternalWorkflowExecutionCommand.");
    const FloApi__RequestCancelExternalWorkflowExecutionCommandAttributes *a =
        command->request_cancel_external_workflow_execution_command_attributes;
    if (!*a->workflow_id || !id_fits(a->workflow_id))
        return refuse(check, bad,
                      "WorkflowId is not set on RequestCancelExternalWorkflowExecutionCommand.");
    if (!run_id_fits(a->run_id))
        return refuse(check, bad,
                      "Invalid RunId set on RequestCancelExternalWorkflowExecutionCommand.");
    if (flo_map_get_str(&check->children, a->workflow_id))
        return refuse_fmt(check, bad,
                          "Start and RequestCancel for child workflow is not allowed in same "
                          "workflow task. WorkflowId=%s",
                          a->workflow_id);
    return true;
}

/* ---- memo, search attributes, messages ---- */

static bool check_upsert(struct check *check, const FloApi__Command *command)
{
    const FloApi__WorkflowTaskFailedCause bad = CAUSE(BAD_SEARCH_ATTRIBUTES);
    if (command->attributes_case !=
        FLO_API__COMMAND__ATTRIBUTES_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES_COMMAND_ATTRIBUTES)
        return refuse(check, bad,
                      "UpsertWorkflowSearchAttributesCommandAttributes is not set on "
                      "UpsertWorkflowSearchAttributesCommand.");
    const FloApi__SearchAttributes *attributes =
        command->upsert_workflow_search_attributes_command_attributes->search_attributes;
    if (!attributes || !attributes->n_indexed_fields)
        return refuse(check, bad,
                      "SearchAttributes is not set on UpsertWorkflowSearchAttributesCommand.");
    return attributes_fit(check, attributes);
}

static bool check_modify(struct check *check, const FloApi__Command *command)
{
    const FloApi__WorkflowTaskFailedCause bad = CAUSE(BAD_MODIFY_WORKFLOW_PROPERTIES_ATTRIBUTES);
    if (command->attributes_case !=
        FLO_API__COMMAND__ATTRIBUTES_MODIFY_WORKFLOW_PROPERTIES_COMMAND_ATTRIBUTES)
        return refuse(check, bad,
                      "ModifyWorkflowPropertiesCommandAttributes is not set on "
                      "ModifyWorkflowPropertiesCommand.");
    return blob_fits(check, bad, "ModifyWorkflowPropertiesCommandAttributes.UpsertedMemo",
                     command->modify_workflow_properties_command_attributes->upserted_memo);
}

static bool message_fits(struct check *check, struct flo_update_fault fault)
{
    if (!fault.message)
        return true;
    refuse(check, CAUSE(BAD_UPDATE_WORKFLOW_EXECUTION_MESSAGE), fault.message);
    check->verdict.terminate = fault.terminate;
    return false;
}

static bool check_message(struct check *check, const FloApi__Command *command)
{
    return message_fits(check, flo_update_check_command(check->core, check->execution, command));
}

/* ---- all of them ---- */

static bool check_command(struct check *check, const FloApi__Command *command)
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
        return check_continue(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION:
        return check_child(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION:
        return check_signal_external(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION:
        return check_cancel_external(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
        return check_upsert(check, command);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES:
        return check_modify(check, command);
    default:
        return check_message(check, command);
    }
}

struct flo_verdict flo_commands_check(struct flo_core *core, struct flo_execution *execution,
                                      const FloApi__RespondWorkflowTaskCompletedRequest *request)
{
    struct check check = {
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
    if (!check.verdict.cause && request->n_messages)
        message_fits(&check, flo_update_check_rest(core, execution));
    flo_map_fini(&check.timers);
    flo_map_fini(&check.activities);
    flo_map_fini(&check.children);
    return check.verdict;
}
