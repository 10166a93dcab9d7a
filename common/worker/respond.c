/* SPDX-License-Identifier: Apache-2.0 */
/*
 * respond.c - the answers. The client retries what is worth it; what the server then refuses is
 * final: the task timed out or its run has closed, and the server has already made up for it.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "grpc/status.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "wire/payload.h"
#include "worker/control.h"
#include "worker/local.h"
#include "worker/trace.h"
#include "worker/worker.h"
#include "workflow/run.h"

/* What a server takes in one message (the default of gRPC), with room for the frame. */
#define MESSAGE_MAX ((4u << 20) - 1024)
/* RespondActivityTaskCompletedRequest.result */
#define COMPLETED_REQUEST_RESULT 2

/* ---- workflow tasks ---- */

static void log_processed(const struct flo_workflow_task *wt, const char *outcome)
{
    if (flo_log_enabled(FLO_LOG_DEBUG))
        flo_log(FLO_LOG_DEBUG, "workflow.task", "Task processed", FLO_LOG_WHO(wt->worker),
                "task_queue", wt->queue->name, "workflow_type", wt->type, "workflow_id",
                wt->workflow_id, "run_id", wt->run_id, "outcome", outcome, "#attempt",
                FLO_NUM(wt->attempt), "#duration_us",
                FLO_NUM((flo_clock_mono_ns() - wt->began_ns) / 1000), NULL);
}

static void observe_latency(const struct flo_workflow_task *wt)
{
    flo_series_observe(FLO_TASK_METRIC(wt, WORKFLOW_EXECUTION_LATENCY),
                       (double)(flo_clock_mono_ns() - wt->began_ns) / FLO_NS_PER_S);
}

static void on_plain_answer(void *ctx, const struct flo_grpc_status *status,
                            const ProtobufCMessage *response)
{
    struct flo_workflow_task *wt = ctx;

    (void)response;
    wt->call = NULL;
    if (status->code == FLO_GRPC_OK)
        flo_count_workflow(wt, wt->end);
    else if (status->code == FLO_GRPC_NOT_FOUND)
        flo_count_workflow(wt, FLO_END_UNWANTED);
    else
        flo_log(FLO_LOG_WARN, "workflow.answer_refused", "The server refused a task's answer",
                "workflow_id", wt->workflow_id, "run_id", wt->run_id, "code",
                flo_grpc_code_name(status->code), "reason", status->message, NULL);
    log_processed(wt, flo_grpc_code_name(status->code));
    flo_workflow_task_end(&wt);
}

/*
 * Fail the task, not the workflow. Only the first attempt is reported: the server would give the
 * next one out at once, while without a report it waits for the timeout, which grows.
 */
static void respond_failed(struct flo_workflow_task *wt, FloApi__WorkflowTaskFailedCause cause,
                           FloApi__Failure *failure, enum flo_task_failure kind)
{
    FloApi__RespondWorkflowTaskFailedRequest request =
        FLO_API__RESPOND_WORKFLOW_TASK_FAILED_REQUEST__INIT;
    const char *reason = flo_task_failure_names[kind];
    struct flo_worker *worker = wt->worker;

    wt->end = FLO_END_FAILED;
    if (wt->task->attempt > 1)
        flo_count_workflow(wt, FLO_END_FAILED);
    flo_series_inc(FLO_METRIC(wt->queue, WORKFLOW_EXECUTION_FAILED, wt->type, reason));
    flo_log(FLO_LOG_ERROR, "workflow.task_failed", "A workflow task failed", "workflow_type",
            wt->type, "workflow_id", wt->workflow_id, "run_id", wt->run_id, "reason",
            failure && failure->message ? failure->message : reason, "#attempt",
            FLO_NUM(wt->task->attempt),
            failure && failure->stack_trace && *failure->stack_trace ? "stack_trace" : NULL,
            failure ? failure->stack_trace : NULL, NULL);
    flo_tell_failed_workflow(wt, reason, failure && failure->message ? failure->message : reason);
    flo_execute_evict(wt);
    request.task_token = wt->task->task_token;
    request.identity = worker->identity;
    request.cause = cause;
    request.failure = failure;
    request.worker_version = flo_versioning_stamp(worker);
    request.deployment_options = flo_versioning_deployment(worker);
    if (wt->task->attempt > 1 || flo_client_respond_workflow_task_failed(
                                     worker->client, &request, on_plain_answer, wt, &wt->call))
        flo_workflow_task_end(&wt);
}

static void fail_too_large(struct flo_workflow_task *wt)
{
    respond_failed(
        wt, FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_GRPC_MESSAGE_TOO_LARGE,
        flo_failure_application(&wt->arena,
                                "The answer of the workflow task is larger than a message may be",
                                "GrpcMessageTooLarge", false, NULL, 0),
        FLO_TASK_TOO_LARGE);
}

/* The server refused the completion. The run is dropped: a new task brings what is true. */
static void completion_refused(struct flo_workflow_task *wt, const struct flo_grpc_status *status)
{
    bool race = flo_client_refusal(status->code, status->message) == FLO_REFUSAL_UNHANDLED;

    flo_execute_evict(wt);
    flo_series_inc(FLO_TASK_METRIC(wt, WORKFLOW_NO_COMPLETION));
    if (status->code == FLO_GRPC_NOT_FOUND || race)
        flo_count_workflow(wt, FLO_END_UNWANTED);
    if (status->code != FLO_GRPC_NOT_FOUND && !race)
        flo_log(FLO_LOG_WARN, "workflow.answer_refused", "The server refused a task's answer",
                "workflow_type", wt->type, "workflow_id", wt->workflow_id, "run_id", wt->run_id,
                "code", flo_grpc_code_name(status->code), "reason", status->message, NULL);
    log_processed(wt, flo_grpc_code_name(status->code));
    flo_workflow_task_end(&wt);
}

static void on_sticky_reset(void *ctx, const struct flo_grpc_status *status,
                            const ProtobufCMessage *response)
{
    (void)ctx;
    (void)status; /* without it the next task finds out that the run is gone */
    (void)response;
}

/* The run was evicted on purpose: its next task is better off with the whole history, and anywhere.
 */
static void reset_sticky(struct flo_workflow_task *wt)
{
    FloApi__ResetStickyTaskQueueRequest request = FLO_API__RESET_STICKY_TASK_QUEUE_REQUEST__INIT;

    request.execution = wt->task->workflow_execution;
    (void)!flo_client_reset_sticky_task_queue(wt->worker->client, &request, on_sticky_reset,
                                              wt->worker, NULL);
}

static void on_completed(void *ctx, const struct flo_grpc_status *status,
                         const ProtobufCMessage *response)
{
    const FloApi__RespondWorkflowTaskCompletedResponse *answer =
        (const FloApi__RespondWorkflowTaskCompletedResponse *)response;
    struct flo_workflow_task *wt = ctx;

    wt->call = NULL;
    if (flo_client_refusal(status->code, status->message) == FLO_REFUSAL_TOO_LARGE) {
        fail_too_large(wt);
        return;
    }
    if (!answer) {
        completion_refused(wt, status);
        return;
    }
    flo_count_workflow(wt, FLO_END_COMPLETED);
    observe_latency(wt);
    if (wt->spans)
        flo_tracing_workflow(wt);
    log_processed(wt, "completed");
    if (wt->local)
        flo_local_heartbeat_taken(wt);
    if (wt->picked)
        reset_sticky(wt);
    if (answer->reset_history_event_id > 0)
        flo_execute_reset_run(wt, answer->reset_history_event_id);
    if (answer->workflow_task && answer->workflow_task->task_token.len > 0) {
        wt->slot_given = true; /* the next task takes this one's slot over */
        flo_execute_workflow_task(wt->queue, answer->workflow_task);
    }
    flo_workflow_task_end(&wt);
}

static void observe_close(const struct flo_workflow_task *wt, const struct flo_activation *a)
{
    const FloApi__Command *last = a->command_count ? a->commands[a->command_count - 1] : NULL;

    if (last && a->closes)
        flo_series_observe(FLO_TASK_METRIC(wt, WORKFLOW_ENDTOEND_LATENCY),
                           (double)(flo_clock_wall_ns() - a->started_ns) / FLO_NS_PER_S);
    switch (last && a->closes ? (int)last->command_type : 0) {
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION:
        flo_series_inc(FLO_TASK_METRIC(wt, WORKFLOW_COMPLETED));
        break;
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION:
        flo_series_inc(FLO_TASK_METRIC(wt, WORKFLOW_FAILED));
        break;
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION:
        flo_series_inc(FLO_TASK_METRIC(wt, WORKFLOW_CANCELED));
        break;
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION:
        flo_series_inc(FLO_TASK_METRIC(wt, WORKFLOW_CONTINUE_AS_NEW));
        break;
    default:
        break;
    }
}

/* Is a next task of the run to come here, perhaps with the answer? While local activities are at
 * work it must, even to a worker without a cache or one that drains. */
static bool wants_next_task(const struct flo_workflow_task *wt, const struct flo_activation *a)
{
    const struct flo_worker *worker = wt->worker;

    return a->more ? wt->local != NULL && worker->state < FLO_WORKER_CANCELLING
                   : worker->shards->caching && worker->state == FLO_WORKER_RUNNING;
}

static void respond_completed(struct flo_workflow_task *wt, const struct flo_activation *a)
{
    FloApi__RespondWorkflowTaskCompletedRequest request =
        FLO_API__RESPOND_WORKFLOW_TASK_COMPLETED_REQUEST__INIT;
    FloApi__RespondWorkflowTaskCompletedRequest__Capabilities capabilities =
        FLO_API__RESPOND_WORKFLOW_TASK_COMPLETED_REQUEST__CAPABILITIES__INIT;
    FloApi__StickyExecutionAttributes sticky = FLO_API__STICKY_EXECUTION_ATTRIBUTES__INIT;
    FloApi__MeteringMetadata metering = FLO_API__METERING_METADATA__INIT;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    struct flo_worker *worker = wt->worker;

    capabilities.discard_speculative_workflow_task_with_events = true;
    request.capabilities = &capabilities;
    request.task_token = wt->task->task_token;
    request.identity = worker->identity;
    request.worker_instance_key = worker->instance_key;
    request.worker_version_stamp = flo_versioning_stamp(worker);
    request.deployment_options = flo_versioning_deployment(worker);
    request.versioning_behavior = flo_versioning_behavior(worker, wt->type);
    request.commands = a->commands;
    request.n_commands = a->command_count;
    request.query_results = a->query_results;
    request.n_query_results = a->query_result_count;
    request.messages = a->messages;
    request.n_messages = a->message_count;
    request.sdk_metadata = (FloApi__WorkflowTaskCompletedMetadata *)(uintptr_t)a->sdk_metadata;
    request.force_create_new_workflow_task = a->more;
    metering.nonfirst_local_activity_execution_attempts = wt->local_retries;
    if (wt->local_retries)
        request.metering_metadata = &metering;
    if (wants_next_task(wt, a)) {
        queue.name = worker->sticky_queue;
        queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_STICKY;
        queue.normal_name = wt->queue->name;
        sticky.worker_task_queue = &queue;
        sticky.schedule_to_start_timeout = flo_duration_new(
            &wt->arena, worker->config->sticky_cache.schedule_to_start_timeout_ms * FLO_NS_PER_MS);
        request.sticky_attributes = &sticky;
        request.return_new_workflow_task = true;
    }
    /* Measured only when it can be: what the commands say is in the arena, not much smaller. */
    if (wt->arena.held_bytes > MESSAGE_MAX / 4 && flo_wire_size(&request.base) > MESSAGE_MAX) {
        fail_too_large(wt);
        return;
    }
    wt->spans = a->spans;
    observe_close(wt, a);
    if (flo_client_respond_workflow_task_completed(worker->client, &request, on_completed, wt,
                                                   &wt->call)) {
        flo_execute_evict(wt);
        flo_workflow_task_end(&wt);
    }
}

static void respond_query(struct flo_workflow_task *wt, const struct flo_activation *a)
{
    FloApi__RespondQueryTaskCompletedRequest request =
        FLO_API__RESPOND_QUERY_TASK_COMPLETED_REQUEST__INIT;

    wt->end = FLO_END_COMPLETED;
    request.task_token = wt->task->task_token;
    request.completed_type = a->query_type;
    request.query_result = a->query_answer;
    request.failure = a->query_failure;
    if (a->query_error)
        request.error_message = flo_arena_strdup(&wt->arena, a->query_error);
    if (flo_client_respond_query_task_completed(wt->worker->client, &request, on_plain_answer, wt,
                                                &wt->call))
        flo_workflow_task_end(&wt);
}

void flo_respond_workflow(struct flo_workflow_task *wt, const struct flo_activation *a)
{
    bool nondeterministic =
        a->cause ==
        FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR;

    switch (a->outcome) {
    case FLO_ACTIVATION_COMPLETE:
        respond_completed(wt, a);
        break;
    case FLO_ACTIVATION_FAIL:
        respond_failed(wt, a->cause, a->failure,
                       nondeterministic ? FLO_TASK_NONDETERMINISM : FLO_TASK_WORKFLOW_ERROR);
        break;
    case FLO_ACTIVATION_QUERY:
        respond_query(wt, a);
        break;
    case FLO_ACTIVATION_OPEN: /* kept, never answered */
        break;
    }
}

/* ---- activities ---- */

/* Values of the label status of activity_duration_seconds. */
static const char *const STATUS_NAMES[] = {
    [FLO_OUTCOME_COMPLETED] = "success",    [FLO_OUTCOME_FAILED] = "failure",
    [FLO_OUTCOME_UNREGISTERED] = "failure", [FLO_OUTCOME_CANCELLED] = "cancelled",
    [FLO_OUTCOME_PENDING] = "pending",
};
static const char *const OUTCOME_NAMES[] = {
    [FLO_OUTCOME_COMPLETED] = "completed", [FLO_OUTCOME_FAILED] = "failed",
    [FLO_OUTCOME_UNREGISTERED] = "failed", [FLO_OUTCOME_CANCELLED] = "cancelled",
    [FLO_OUTCOME_PENDING] = "pending",
};
static const enum flo_task_end ENDS[] = {
    [FLO_OUTCOME_COMPLETED] = FLO_END_COMPLETED, [FLO_OUTCOME_FAILED] = FLO_END_FAILED,
    [FLO_OUTCOME_UNREGISTERED] = FLO_END_FAILED, [FLO_OUTCOME_CANCELLED] = FLO_END_CANCELLED,
    [FLO_OUTCOME_PENDING] = FLO_END_PENDING,
};

/* Make the outcome failure; NULL (no memory): a failure without one. */
static void outcome_set(struct flo_activity_task *at, const FloApi__Failure *failure)
{
    struct flo_outcome outcome = {.kind = FLO_OUTCOME_FAILED};
    uint8_t *packed;
    size_t len;

    if (failure && flo_wire_encode_arena(&failure->base, &at->arena, &packed, &len) == 0) {
        outcome.body = packed;
        outcome.body_len = len;
    }
    flo_buf_clear(&at->outcome);
    (void)!flo_outcome_encode(&outcome, &at->outcome);
}

void flo_outcome_fail(struct flo_activity_task *at, const char *type, const char *message)
{
    outcome_set(at, flo_failure_application(&at->arena, message, type, false, NULL, 0));
}

void flo_outcome_crash(struct flo_activity_task *at, const struct flo_job_crash *crash)
{
    json_t *details = json_loadb(crash->details, crash->details_len, 0, NULL);
    FloApi__Failure *failure =
        flo_failure_application(&at->arena, crash->message, FLO_FAILURE_CRASH, false, details, 0);
    char *stack_trace = flo_arena_strdup(&at->arena, crash->stack_trace);

    if (failure && stack_trace) /* names in it come from the process that broke */
        failure->stack_trace = flo_utf8_mend(stack_trace);
    outcome_set(at, failure);
    json_decref(details);
}

static void on_activity_answer(void *ctx, const struct flo_grpc_status *status,
                               const ProtobufCMessage *response)
{
    struct flo_activity_task *at = ctx;

    (void)response;
    at->answer = NULL;
    flo_count_activity(at, status->code == FLO_GRPC_OK          ? at->end
                           : status->code == FLO_GRPC_NOT_FOUND ? FLO_END_UNWANTED
                                                                : FLO_END_UNREPORTED);
    if (status->code != FLO_GRPC_OK) {
        flo_series_inc(FLO_TASK_METRIC(at, ACTIVITY_TASK_ERROR));
        if (status->code != FLO_GRPC_NOT_FOUND)
            flo_log(FLO_LOG_WARN, "activity.answer_refused",
                    "An activity's answer did not reach the server", "activity_type", at->type,
                    "activity_id", at->activity_id, "workflow_id", at->workflow_id, "run_id",
                    at->run_id, "code", flo_grpc_code_name(status->code), "reason", status->message,
                    NULL);
    }
    if (at->running)
        flo_drain_check(at->worker); /* given up: its thread still has the job */
    else
        flo_activity_task_end(&at);
}

/* The result is packed already, by the executor: it goes into the request as it is, in the way of
 * a field that this program does not know. */
static int send_completed(struct flo_activity_task *at, const struct flo_outcome *outcome)
{
    FloApi__RespondActivityTaskCompletedRequest request =
        FLO_API__RESPOND_ACTIVITY_TASK_COMPLETED_REQUEST__INIT;
    ProtobufCMessageUnknownField result = {.tag = COMPLETED_REQUEST_RESULT,
                                           .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
                                           .len = outcome->field_len,
                                           .data = (uint8_t *)(uintptr_t)outcome->field};

    request.task_token = at->token;
    request.identity = at->worker->identity;
    if (outcome->body_len > 0) {
        request.base.n_unknown_fields = 1;
        request.base.unknown_fields = &result;
    }
    return flo_client_respond_activity_task_completed(at->worker->client, &request,
                                                      on_activity_answer, at, &at->answer);
}

/* An attempt that is cut takes its newest heartbeat details along: the next one goes on there. */
static int send_failed(struct flo_activity_task *at, FloApi__Failure *failure,
                       struct flo_arena *arena)
{
    FloApi__RespondActivityTaskFailedRequest request =
        FLO_API__RESPOND_ACTIVITY_TASK_FAILED_REQUEST__INIT;

    request.task_token = at->token;
    request.identity = at->worker->identity;
    request.failure = failure;
    if (at->end == FLO_END_CUT)
        request.last_heartbeat_details = flo_beats_details(at, arena);
    return flo_client_respond_activity_task_failed(at->worker->client, &request, on_activity_answer,
                                                   at, &at->answer);
}

/* It stopped for an operator: a failure, after which the server does what the operator wanted. */
static int send_interrupted(struct flo_activity_task *at, struct flo_arena *arena)
{
    bool paused = at->reason == FLO_JOB_CANCEL_PAUSED;

    return send_failed(at,
                       flo_failure_application(arena,
                                               paused ? "The activity stopped because it was paused"
                                                      : "The activity stopped because it was reset",
                                               paused ? FLO_FAILURE_PAUSED : FLO_FAILURE_RESET,
                                               false, NULL, 0),
                       arena);
}

/* Accepted cancellation: the server takes Canceled only when it asked for it. */
static int send_cancelled(struct flo_activity_task *at, FloApi__Payloads *details,
                          struct flo_arena *arena)
{
    FloApi__RespondActivityTaskCanceledRequest request =
        FLO_API__RESPOND_ACTIVITY_TASK_CANCELED_REQUEST__INIT;

    if (at->reason == FLO_JOB_CANCEL_SHUTDOWN) {
        at->end = FLO_END_CUT;
        return send_failed(at,
                           flo_failure_application(arena, "The worker is shutting down",
                                                   FLO_FAILURE_SHUTDOWN, false, NULL, 0),
                           arena);
    }
    if (at->reason == FLO_JOB_CANCEL_PAUSED || at->reason == FLO_JOB_CANCEL_RESET)
        return send_interrupted(at, arena);
    if (at->reason != FLO_JOB_CANCEL_REQUESTED)
        return send_failed(at, flo_failure_cancelled(arena, "Activity cancelled", NULL), arena);
    request.task_token = at->token;
    request.identity = at->worker->identity;
    request.details = details;
    return flo_client_respond_activity_task_canceled(at->worker->client, &request,
                                                     on_activity_answer, at, &at->answer);
}

/* failure: of a failed attempt, else NULL. */
static void observe_activity(struct flo_activity_task *at, enum flo_outcome_kind kind,
                             const FloApi__Failure *failure)
{
    struct flo_worker *worker = at->worker;
    double seconds = (double)(flo_clock_mono_ns() - at->began_ns) / FLO_NS_PER_S;
    bool failed = kind == FLO_OUTCOME_FAILED || kind == FLO_OUTCOME_UNREGISTERED;
    struct flo_series *duration;

    if (at->end != FLO_END_CUT)
        at->end = ENDS[kind];
    if (kind == FLO_OUTCOME_COMPLETED) {
        flo_series_observe(FLO_TASK_METRIC(at, ACTIVITY_SUCCEED_ENDTOEND),
                           (double)(flo_clock_wall_ns() - at->scheduled_ns) / FLO_NS_PER_S);
    } else if (kind == FLO_OUTCOME_CANCELLED) {
        flo_series_inc(FLO_TASK_METRIC(at, ACTIVITY_EXECUTION_CANCELLED));
    } else if (kind != FLO_OUTCOME_PENDING && !flo_failure_is_benign(failure)) {
        flo_series_inc(FLO_TASK_METRIC(at, ACTIVITY_EXECUTION_FAILED));
        flo_tell_failed_activity(at, failure);
    }
    if (kind == FLO_OUTCOME_UNREGISTERED)
        flo_series_inc(FLO_TASK_METRIC(at, ACTIVITY_UNREGISTERED));
    flo_series_observe(FLO_TASK_METRIC(at, ACTIVITY_EXECUTION_LATENCY), seconds);
    duration =
        kind == FLO_OUTCOME_COMPLETED
            ? FLO_TASK_METRIC(at, ACTIVITY_DURATION)
            : flo_metrics_get(worker->metrics, FLO_METRIC_ACTIVITY_DURATION, at->type,
                              STATUS_NAMES[kind], failure ? flo_failure_type(failure) : "", NULL);
    flo_series_observe(duration, seconds);
    if (worker->library.tracing)
        flo_tracing_activity(at, flo_failure_is_benign(failure) ? NULL : failure,
                             failed && !failure ? "" : NULL);
    if (flo_log_enabled(FLO_LOG_DEBUG))
        flo_log(FLO_LOG_DEBUG, "activity.task", "Task processed", FLO_LOG_WHO(at->worker),
                "task_queue", at->queue->name, "activity_type", at->type, "activity_id",
                at->activity_id, "workflow_id", at->workflow_id, "run_id", at->run_id, "outcome",
                OUTCOME_NAMES[kind], "#attempt", FLO_NUM(at->attempt), "#duration_us",
                FLO_NUM(seconds * 1e6), NULL);
}

/* Whether the body must be looked at: a failure for its type; a result when another process made
 * it, which may have written over its memory. */
static bool body_matters(const struct flo_activity_task *at, const struct flo_outcome *outcome)
{
    return outcome->body_len > 0 &&
           (outcome->kind != FLO_OUTCOME_COMPLETED || !at->worker->executor_threads);
}

/* What the body of an outcome is. */
static const ProtobufCMessageDescriptor *body_type(enum flo_outcome_kind kind)
{
    return kind == FLO_OUTCOME_FAILED || kind == FLO_OUTCOME_UNREGISTERED
               ? &flo_api__failure__descriptor
               : &flo_api__payloads__descriptor;
}

/* The attempt's outcome, with its body when that matters. FLO_ENOMEM; else: it is damaged. */
static int open_outcome(const struct flo_activity_task *at, struct flo_arena *arena,
                        struct flo_outcome *out, ProtobufCMessage **out_body)
{
    int rc = flo_outcome_decode(at->outcome.data, at->outcome.len, out);

    *out_body = NULL;
    if (!rc && body_matters(at, out))
        rc = flo_wire_decode(body_type(out->kind), out->body, out->body_len, arena, out_body, NULL);
    return rc;
}

static int send_outcome(struct flo_activity_task *at, const struct flo_outcome *outcome,
                        ProtobufCMessage *body, struct flo_arena *arena)
{
    observe_activity(at, outcome->kind,
                     body_type(outcome->kind) == &flo_api__failure__descriptor
                         ? (const FloApi__Failure *)body
                         : NULL);
    switch (outcome->kind) {
    case FLO_OUTCOME_COMPLETED:
        return send_completed(at, outcome);
    case FLO_OUTCOME_CANCELLED:
        return send_cancelled(at, (FloApi__Payloads *)body, arena);
    case FLO_OUTCOME_PENDING:
        flo_count_activity(at, FLO_END_PENDING);
        return FLO_EPENDING; /* nothing to say: the task ends here */
    default:
        return send_failed(at, (FloApi__Failure *)body, arena);
    }
}

void flo_respond_activity(struct flo_activity_task *at)
{
    struct flo_outcome outcome;
    ProtobufCMessage *body;
    struct flo_arena arena;
    int rc;

    flo_arena_init(&arena, 0);
    rc = open_outcome(at, &arena, &outcome, &body);
    if (rc && rc != FLO_ENOMEM) {
        flo_outcome_fail(at, FLO_FAILURE_CRASH, FLO_ANSWER_DAMAGED);
        rc = open_outcome(at, &arena, &outcome, &body);
    }
    if (!rc)
        rc = send_outcome(at, &outcome, body, &arena);
    flo_arena_fini(&arena);
    if (rc && !at->running)
        flo_activity_task_end(&at); /* pending; or no memory: the server's timeout finds it */
}
