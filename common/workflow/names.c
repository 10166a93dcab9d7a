/* SPDX-License-Identifier: Apache-2.0 */
/* names.c - the tables of event and command types. */
#include "workflow/names.h"

#include <stdbool.h>
#include <stddef.h>

#define TASK(type, name) [FLO_EVENT(type)] = {name, FLO_EVENT_TASK, 0, 0}
#define NOTE(type, name) [FLO_EVENT(type)] = {name, FLO_EVENT_NOTE, 0, 0}
#define INPUT(type, name, tag) [FLO_EVENT(type)] = {name, FLO_EVENT_INPUT, 0, tag}
#define RESULT(type, name, tag) [FLO_EVENT(type)] = {name, FLO_EVENT_RESULT, 0, tag}
#define RECORDS(type, name, command, tag)                                                          \
    [FLO_EVENT(type)] = {name, FLO_EVENT_COMMAND, FLO_COMMAND(command), tag}

/* clang-format off */
static const struct flo_event_kind kinds[] = {
    INPUT(WORKFLOW_EXECUTION_STARTED, "WorkflowExecutionStarted", 6),
    RECORDS(WORKFLOW_EXECUTION_COMPLETED, "WorkflowExecutionCompleted", COMPLETE_WORKFLOW_EXECUTION, 0),
    RECORDS(WORKFLOW_EXECUTION_FAILED, "WorkflowExecutionFailed", FAIL_WORKFLOW_EXECUTION, 0),
    NOTE(WORKFLOW_EXECUTION_TIMED_OUT, "WorkflowExecutionTimedOut"),
    TASK(WORKFLOW_TASK_SCHEDULED, "WorkflowTaskScheduled"),
    TASK(WORKFLOW_TASK_STARTED, "WorkflowTaskStarted"),
    TASK(WORKFLOW_TASK_COMPLETED, "WorkflowTaskCompleted"),
    TASK(WORKFLOW_TASK_TIMED_OUT, "WorkflowTaskTimedOut"),
    TASK(WORKFLOW_TASK_FAILED, "WorkflowTaskFailed"),
    RECORDS(ACTIVITY_TASK_SCHEDULED, "ActivityTaskScheduled", SCHEDULE_ACTIVITY_TASK, 15),
    RESULT(ACTIVITY_TASK_STARTED, "ActivityTaskStarted", 16),
    RESULT(ACTIVITY_TASK_COMPLETED, "ActivityTaskCompleted", 17),
    RESULT(ACTIVITY_TASK_FAILED, "ActivityTaskFailed", 18),
    RESULT(ACTIVITY_TASK_TIMED_OUT, "ActivityTaskTimedOut", 19),
    RECORDS(ACTIVITY_TASK_CANCEL_REQUESTED, "ActivityTaskCancelRequested", REQUEST_CANCEL_ACTIVITY_TASK, 22),
    RESULT(ACTIVITY_TASK_CANCELED, "ActivityTaskCanceled", 23),
    RECORDS(TIMER_STARTED, "TimerStarted", START_TIMER, 20),
    RESULT(TIMER_FIRED, "TimerFired", 21),
    RECORDS(TIMER_CANCELED, "TimerCanceled", CANCEL_TIMER, 24),
    INPUT(WORKFLOW_EXECUTION_CANCEL_REQUESTED, "WorkflowExecutionCancelRequested", 28),
    RECORDS(WORKFLOW_EXECUTION_CANCELED, "WorkflowExecutionCanceled", CANCEL_WORKFLOW_EXECUTION, 0),
    RECORDS(REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED, "RequestCancelExternalWorkflowExecutionInitiated", REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION, 30),
    RESULT(REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED, "RequestCancelExternalWorkflowExecutionFailed", 31),
    RESULT(EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED, "ExternalWorkflowExecutionCancelRequested", 32),
    RECORDS(MARKER_RECORDED, "MarkerRecorded", RECORD_MARKER, 25),
    INPUT(WORKFLOW_EXECUTION_SIGNALED, "WorkflowExecutionSignaled", 26),
    NOTE(WORKFLOW_EXECUTION_TERMINATED, "WorkflowExecutionTerminated"),
    RECORDS(WORKFLOW_EXECUTION_CONTINUED_AS_NEW, "WorkflowExecutionContinuedAsNew", CONTINUE_AS_NEW_WORKFLOW_EXECUTION, 0),
    RECORDS(START_CHILD_WORKFLOW_EXECUTION_INITIATED, "StartChildWorkflowExecutionInitiated", START_CHILD_WORKFLOW_EXECUTION, 34),
    RESULT(START_CHILD_WORKFLOW_EXECUTION_FAILED, "StartChildWorkflowExecutionFailed", 35),
    RESULT(CHILD_WORKFLOW_EXECUTION_STARTED, "ChildWorkflowExecutionStarted", 36),
    RESULT(CHILD_WORKFLOW_EXECUTION_COMPLETED, "ChildWorkflowExecutionCompleted", 37),
    RESULT(CHILD_WORKFLOW_EXECUTION_FAILED, "ChildWorkflowExecutionFailed", 38),
    RESULT(CHILD_WORKFLOW_EXECUTION_CANCELED, "ChildWorkflowExecutionCanceled", 39),
    RESULT(CHILD_WORKFLOW_EXECUTION_TIMED_OUT, "ChildWorkflowExecutionTimedOut", 40),
    RESULT(CHILD_WORKFLOW_EXECUTION_TERMINATED, "ChildWorkflowExecutionTerminated", 41),
    RECORDS(SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED, "SignalExternalWorkflowExecutionInitiated", SIGNAL_EXTERNAL_WORKFLOW_EXECUTION, 42),
    RESULT(SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED, "SignalExternalWorkflowExecutionFailed", 43),
    RESULT(EXTERNAL_WORKFLOW_EXECUTION_SIGNALED, "ExternalWorkflowExecutionSignaled", 44),
    RECORDS(UPSERT_WORKFLOW_SEARCH_ATTRIBUTES, "UpsertWorkflowSearchAttributes", UPSERT_WORKFLOW_SEARCH_ATTRIBUTES, 45),
    RECORDS(WORKFLOW_EXECUTION_UPDATE_ACCEPTED, "WorkflowExecutionUpdateAccepted", PROTOCOL_MESSAGE, 46),
    NOTE(WORKFLOW_EXECUTION_UPDATE_REJECTED, "WorkflowExecutionUpdateRejected"),
    RECORDS(WORKFLOW_EXECUTION_UPDATE_COMPLETED, "WorkflowExecutionUpdateCompleted", PROTOCOL_MESSAGE, 48),
    [FLO_EVENT(WORKFLOW_EXECUTION_UPDATE_ADMITTED)] = {"WorkflowExecutionUpdateAdmitted", FLO_EVENT_NOTE, 0, 52},
    NOTE(WORKFLOW_PROPERTIES_MODIFIED_EXTERNALLY, "WorkflowPropertiesModifiedExternally"),
    NOTE(ACTIVITY_PROPERTIES_MODIFIED_EXTERNALLY, "ActivityPropertiesModifiedExternally"),
    RECORDS(WORKFLOW_PROPERTIES_MODIFIED, "WorkflowPropertiesModified", MODIFY_WORKFLOW_PROPERTIES, 0),
    RECORDS(NEXUS_OPERATION_SCHEDULED, "NexusOperationScheduled", SCHEDULE_NEXUS_OPERATION, 0),
    RESULT(NEXUS_OPERATION_STARTED, "NexusOperationStarted", 0),
    RESULT(NEXUS_OPERATION_COMPLETED, "NexusOperationCompleted", 0),
    RESULT(NEXUS_OPERATION_FAILED, "NexusOperationFailed", 0),
    RESULT(NEXUS_OPERATION_CANCELED, "NexusOperationCanceled", 0),
    RESULT(NEXUS_OPERATION_TIMED_OUT, "NexusOperationTimedOut", 0),
    RECORDS(NEXUS_OPERATION_CANCEL_REQUESTED, "NexusOperationCancelRequested", REQUEST_CANCEL_NEXUS_OPERATION, 0),
    NOTE(WORKFLOW_EXECUTION_OPTIONS_UPDATED, "WorkflowExecutionOptionsUpdated"),
    RESULT(NEXUS_OPERATION_CANCEL_REQUEST_COMPLETED, "NexusOperationCancelRequestCompleted", 0),
    RESULT(NEXUS_OPERATION_CANCEL_REQUEST_FAILED, "NexusOperationCancelRequestFailed", 0),
    NOTE(WORKFLOW_EXECUTION_PAUSED, "WorkflowExecutionPaused"),
    NOTE(WORKFLOW_EXECUTION_UNPAUSED, "WorkflowExecutionUnpaused"),
    NOTE(WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED, "WorkflowExecutionTimeSkippingTransitioned"),
};

static const char *const commands[] = {
    [FLO_COMMAND(SCHEDULE_ACTIVITY_TASK)] = "ScheduleActivityTask",
    [FLO_COMMAND(REQUEST_CANCEL_ACTIVITY_TASK)] = "RequestCancelActivityTask",
    [FLO_COMMAND(START_TIMER)] = "StartTimer",
    [FLO_COMMAND(COMPLETE_WORKFLOW_EXECUTION)] = "CompleteWorkflowExecution",
    [FLO_COMMAND(FAIL_WORKFLOW_EXECUTION)] = "FailWorkflowExecution",
    [FLO_COMMAND(CANCEL_TIMER)] = "CancelTimer",
    [FLO_COMMAND(CANCEL_WORKFLOW_EXECUTION)] = "CancelWorkflowExecution",
    [FLO_COMMAND(REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION)] = "RequestCancelExternalWorkflowExecution",
    [FLO_COMMAND(RECORD_MARKER)] = "RecordMarker",
    [FLO_COMMAND(CONTINUE_AS_NEW_WORKFLOW_EXECUTION)] = "ContinueAsNewWorkflowExecution",
    [FLO_COMMAND(START_CHILD_WORKFLOW_EXECUTION)] = "StartChildWorkflowExecution",
    [FLO_COMMAND(SIGNAL_EXTERNAL_WORKFLOW_EXECUTION)] = "SignalExternalWorkflowExecution",
    [FLO_COMMAND(UPSERT_WORKFLOW_SEARCH_ATTRIBUTES)] = "UpsertWorkflowSearchAttributes",
    [FLO_COMMAND(PROTOCOL_MESSAGE)] = "ProtocolMessage",
    [FLO_COMMAND(MODIFY_WORKFLOW_PROPERTIES)] = "ModifyWorkflowProperties",
    [FLO_COMMAND(SCHEDULE_NEXUS_OPERATION)] = "ScheduleNexusOperation",
    [FLO_COMMAND(REQUEST_CANCEL_NEXUS_OPERATION)] = "RequestCancelNexusOperation",
};
/* clang-format on */

/* ---- what is read of history ---- */

#define FIELD(number) (UINT64_C(1) << (number))
#define ALL UINT64_MAX
#define IN(member) [FLO_API__HISTORY_EVENT__ATTRIBUTES_##member##_EVENT_ATTRIBUTES]

/* By the field of the event. What is not named here (0) is not looked into. */
static const uint64_t read_of[64] = {
    [2] = ALL, /* event_time */
    /* All that flo_workflow_info tells: not what is about the server (versions, reset points) and
     * who started it. */
    IN(WORKFLOW_EXECUTION_STARTED) =
        FIELD(1) | FIELD(2) | FIELD(3) | FIELD(5) | FIELD(6) | FIELD(7) | FIELD(8) | FIELD(9) |
        FIELD(10) | FIELD(12) | FIELD(13) | FIELD(14) | FIELD(16) | FIELD(17) | FIELD(18) |
        FIELD(20) | FIELD(22) | FIELD(23) | FIELD(25) | FIELD(31) | FIELD(35),
    /* suggest_continue_as_new, history_size_bytes */
    IN(WORKFLOW_TASK_STARTED) = FIELD(4) | FIELD(5),
    /* cause, new_run_id */
    IN(WORKFLOW_TASK_FAILED) = FIELD(3) | FIELD(7),
    /* activity_id, activity_type */
    IN(ACTIVITY_TASK_SCHEDULED) = FIELD(1) | FIELD(2),
    /* scheduled_event_id */
    IN(ACTIVITY_TASK_STARTED) = FIELD(1),
    /* result, scheduled_event_id */
    IN(ACTIVITY_TASK_COMPLETED) = FIELD(1) | FIELD(2),
    /* failure, scheduled_event_id, identity, retry_state */
    IN(ACTIVITY_TASK_FAILED) = FIELD(1) | FIELD(2) | FIELD(4) | FIELD(5),
    /* failure, scheduled_event_id, retry_state */
    IN(ACTIVITY_TASK_TIMED_OUT) = FIELD(1) | FIELD(2) | FIELD(4),
    /* details, scheduled_event_id, identity */
    IN(ACTIVITY_TASK_CANCELED) = FIELD(1) | FIELD(3) | FIELD(5),
    /* scheduled_event_id */
    IN(ACTIVITY_TASK_CANCEL_REQUESTED) = FIELD(1),
    /* timer_id */
    IN(TIMER_STARTED) = FIELD(1),
    IN(TIMER_FIRED) = FIELD(1),
    IN(TIMER_CANCELED) = FIELD(1),
    /* marker_name, details, failure */
    IN(MARKER_RECORDED) = FIELD(1) | FIELD(2) | FIELD(5),
    /* signal_name, input, header */
    IN(WORKFLOW_EXECUTION_SIGNALED) = FIELD(1) | FIELD(2) | FIELD(4),
    /* cause */
    IN(WORKFLOW_EXECUTION_CANCEL_REQUESTED) = FIELD(1),
    /* protocol_instance_id, accepted_request_message_id, accepted_request_sequencing_event_id,
     * accepted_request */
    IN(WORKFLOW_EXECUTION_UPDATE_ACCEPTED) = FIELD(1) | FIELD(2) | FIELD(3) | FIELD(4),
    /* meta */
    IN(WORKFLOW_EXECUTION_UPDATE_COMPLETED) = FIELD(1),
    /* request */
    IN(WORKFLOW_EXECUTION_UPDATE_ADMITTED) = FIELD(1),
    /* workflow_execution */
    IN(REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED) = FIELD(3),
    /* cause, initiated_event_id */
    IN(REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED) = FIELD(1) | FIELD(5),
    /* initiated_event_id */
    IN(EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED) = FIELD(1),
    /* workflow_id, workflow_type */
    IN(START_CHILD_WORKFLOW_EXECUTION_INITIATED) = FIELD(2) | FIELD(3),
    /* cause, initiated_event_id */
    IN(START_CHILD_WORKFLOW_EXECUTION_FAILED) = FIELD(4) | FIELD(6),
    /* initiated_event_id, workflow_execution */
    IN(CHILD_WORKFLOW_EXECUTION_STARTED) = FIELD(2) | FIELD(3),
    /* result, initiated_event_id */
    IN(CHILD_WORKFLOW_EXECUTION_COMPLETED) = FIELD(1) | FIELD(5),
    /* failure, initiated_event_id, retry_state */
    IN(CHILD_WORKFLOW_EXECUTION_FAILED) = FIELD(1) | FIELD(5) | FIELD(7),
    /* details, initiated_event_id */
    IN(CHILD_WORKFLOW_EXECUTION_CANCELED) = FIELD(1) | FIELD(5),
    /* initiated_event_id, retry_state */
    IN(CHILD_WORKFLOW_EXECUTION_TIMED_OUT) = FIELD(4) | FIELD(6),
    /* initiated_event_id */
    IN(CHILD_WORKFLOW_EXECUTION_TERMINATED) = FIELD(4),
    /* workflow_execution, signal_name */
    IN(SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED) = FIELD(3) | FIELD(4),
    /* cause, initiated_event_id */
    IN(SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED) = FIELD(1) | FIELD(5),
    /* initiated_event_id */
    IN(EXTERNAL_WORKFLOW_EXECUTION_SIGNALED) = FIELD(1),
    /* search_attributes */
    IN(UPSERT_WORKFLOW_SEARCH_ATTRIBUTES) = FIELD(2),
};

const struct flo_wire_part flo_workflow_part = {&flo_api__history_event__descriptor, read_of,
                                                sizeof read_of / sizeof *read_of};

const struct flo_event_kind *flo_event_kind(FloApi__EventType type)
{
    static const struct flo_event_kind unknown = {"UnknownEvent", FLO_EVENT_UNKNOWN, 0, 0};
    size_t i = (size_t)type;
    return i < sizeof kinds / sizeof *kinds && kinds[i].name ? &kinds[i] : &unknown;
}

const char *flo_command_name(FloApi__CommandType type)
{
    size_t i = (size_t)type;
    bool known = i < sizeof commands / sizeof *commands && commands[i];
    return known ? commands[i] : "UnknownCommand";
}
