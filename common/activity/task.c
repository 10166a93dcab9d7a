/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.c - one attempt of an activity: decode, look up, call, encode. Whatever goes wrong becomes
 * a failure of the attempt; nothing here ends the worker.
 */
#include "activity/task.h"

#include <assert.h>
#include <string.h>

#include "activity/context.h"
#include "activity/span.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "wire/payload.h"

typedef FloApi__PollActivityTaskQueueResponse task_message;

static void reply_outcome(struct flo_buf *reply, enum flo_outcome_kind kind, const uint8_t *body,
                          size_t len)
{
    const struct flo_outcome outcome = {.kind = kind, .body = body, .body_len = len};

    flo_buf_clear(reply);
    (void)!flo_outcome_encode(&outcome, reply); /* reply->failed says it, and counts as a crash */
}

static void reply_failure(struct flo_arena *arena, struct flo_buf *reply,
                          enum flo_outcome_kind kind, const FloApi__Failure *failure)
{
    uint8_t *packed;
    size_t len;

    if (failure && flo_wire_encode_arena(&failure->base, arena, &packed, &len) == 0 &&
        len <= FLO_ACTIVITY_RESULT_MAX)
        reply_outcome(reply, kind, packed, len);
    else if (failure &&
             failure->failure_info_case == FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO)
        reply_failure(
            arena, reply, kind,
            flo_failure_application(arena, "Failure exceeds size limit.", FLO_FAILURE_TOO_LARGE,
                                    failure->application_failure_info->non_retryable, NULL, 0));
    else
        reply->failed = true;
}

static void fail_attempt(struct flo_arena *arena, struct flo_buf *reply, const char *type,
                         bool non_retryable, const char *message)
{
    reply_failure(arena, reply, FLO_OUTCOME_FAILED,
                  flo_failure_application(arena, message, type, non_retryable, NULL, 0));
}

static void reply_result(struct flo_activity_context *ctx, const json_t *result,
                         struct flo_buf *reply)
{
    FloApi__Payloads *payloads = ctx->result;
    uint8_t *packed = NULL;
    size_t len = 0;

    if (!payloads && result)
        payloads = flo_payloads_from_json(ctx->arena, result);
    if ((result && !payloads) ||
        (payloads && flo_wire_encode_arena(&payloads->base, ctx->arena, &packed, &len)))
        fail_attempt(ctx->arena, reply, flo_error_name(FLO_ENOMEM), false,
                     "The result could not be encoded.");
    else if (len > FLO_ACTIVITY_RESULT_MAX)
        fail_attempt(ctx->arena, reply, FLO_FAILURE_TOO_LARGE, true,
                     "Complete result exceeds size limit.");
    else
        reply_outcome(reply, FLO_OUTCOME_COMPLETED, packed, len);
}

/* It stopped because it was asked to. */
static void reply_cancelled(struct flo_activity_context *ctx, struct flo_buf *reply)
{
    uint8_t *packed = NULL;
    size_t len = 0;

    if (ctx->cancel_details &&
        flo_wire_encode_arena(&ctx->cancel_details->base, ctx->arena, &packed, &len))
        len = 0; /* no memory: without them */
    reply_outcome(reply, FLO_OUTCOME_CANCELLED, packed, len <= FLO_ACTIVITY_RESULT_MAX ? len : 0);
}

/* The delay before the next attempt that the activity asked for by itself. */
static void add_retry_delay(const struct flo_activity_context *ctx, FloApi__Failure *failure)
{
    FloApi__ApplicationFailureInfo *info = NULL;

    if (failure &&
        failure->failure_info_case == FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO)
        info = failure->application_failure_info;
    if (info && ctx->next_retry_ns > 0 && !info->next_retry_delay)
        info->next_retry_delay = flo_duration_new(ctx->arena, ctx->next_retry_ns);
}

static void reply_error(struct flo_activity_context *ctx, int rc, struct flo_buf *reply)
{
    FloApi__Failure *failure = ctx->failure;

    if (ctx->failed && !failure)
        rc = FLO_ENOMEM;
    if (!failure && rc == FLO_ECANCELLED)
        failure = flo_failure_cancelled(ctx->arena, "Activity cancelled", NULL);
    else if (!failure)
        failure = flo_failure_application(ctx->arena, flo_error_text(rc), flo_error_name(rc), false,
                                          NULL, 0);
    add_retry_delay(ctx, failure);
    reply_failure(ctx->arena, reply, FLO_OUTCOME_FAILED, failure);
}

/* What the activity function returned, as the attempt's outcome. */
static void reply_returned(struct flo_activity_context *ctx, int rc, const json_t *result,
                           struct flo_buf *reply)
{
    if (rc == 0)
        reply_result(ctx, result, reply);
    else if (rc == FLO_EPENDING)
        reply_outcome(reply, FLO_OUTCOME_PENDING, NULL, 0);
    else if (rc == FLO_ECANCELLED && !ctx->failed && flo_activity_cancelled(ctx))
        reply_cancelled(ctx, reply);
    else
        reply_error(ctx, rc, reply);
}

static const char *text(const char *value)
{
    return value ? value : "";
}

static void fill_retry(struct flo_activity_context *ctx, const FloApi__RetryPolicy *policy)
{
    const char **types = NULL;

    if (policy->n_non_retryable_error_types > 0)
        types = flo_arena_calloc(ctx->arena, policy->n_non_retryable_error_types + 1,
                                 sizeof *types); /* NULL without memory: as if there were none */
    for (size_t i = 0; types && i < policy->n_non_retryable_error_types; i++)
        types[i] = policy->non_retryable_error_types[i];
    ctx->info.retry = (struct flo_retry_policy){
        .initial_interval_ms = flo_duration_ns(policy->initial_interval) / FLO_NS_PER_MS,
        .backoff_coefficient = policy->backoff_coefficient,
        .maximum_interval_ms = flo_duration_ns(policy->maximum_interval) / FLO_NS_PER_MS,
        .maximum_attempts = policy->maximum_attempts,
        .non_retryable_types = types,
    };
}

static void fill_trace(struct flo_activity_context *ctx, const task_message *task)
{
    char *traceparent = flo_arena_alloc(ctx->arena, FLO_TRACEPARENT_LEN + 1);
    struct flo_activity_span own;

    if (!traceparent)
        return; /* as if there were none */
    flo_activity_span(ctx->library->tracing, task, ctx->arena, &own);
    flo_traceparent_format(&own.context, traceparent);
    ctx->info.traceparent = traceparent;
}

static void fill_info(struct flo_activity_context *ctx, const task_message *task,
                      const char *task_queue)
{
    const FloApi__WorkflowExecution *execution = task->workflow_execution;

    ctx->info = (struct flo_activity_info){
        .activity_id = text(task->activity_id),
        .activity_type = task->activity_type ? text(task->activity_type->name) : "",
        .workflow_id = execution ? text(execution->workflow_id) : "",
        .run_id = execution ? text(execution->run_id) : "",
        .workflow_type = task->workflow_type ? text(task->workflow_type->name) : "",
        .namespace_ = text(task->workflow_namespace),
        .task_queue = task_queue,
        .worker_identity = ctx->library->identity,
        .attempt = task->attempt,
        .scheduled_ms = flo_timestamp_ns(task->scheduled_time) / FLO_NS_PER_MS,
        .started_ms = flo_timestamp_ns(task->started_time) / FLO_NS_PER_MS,
        .start_to_close_ms = flo_duration_ns(task->start_to_close_timeout) / FLO_NS_PER_MS,
        .schedule_to_close_ms = flo_duration_ns(task->schedule_to_close_timeout) / FLO_NS_PER_MS,
        .heartbeat_ms = flo_duration_ns(task->heartbeat_timeout) / FLO_NS_PER_MS,
        .attempt_scheduled_ms =
            flo_timestamp_ns(task->current_attempt_scheduled_time) / FLO_NS_PER_MS,
        .fairness_key = "",
        .traceparent = "",
        .is_local = ctx->library->local,
    };
    if (task->priority) {
        ctx->info.priority_key = task->priority->priority_key;
        ctx->info.fairness_key = text(task->priority->fairness_key);
        ctx->info.fairness_weight = task->priority->fairness_weight;
    }
    if (task->retry_policy)
        fill_retry(ctx, task->retry_policy);
    if (ctx->library->tracing)
        fill_trace(ctx, task);
}

static void reply_unregistered(struct flo_activity_context *ctx, struct flo_buf *reply)
{
    struct flo_buf names;

    flo_buf_init(&names, 16384);
    ctx->library->names(ctx->library->ctx, &names);
    reply_failure(
        ctx->arena, reply, FLO_OUTCOME_UNREGISTERED,
        flo_failure_application(
            ctx->arena,
            flo_arena_printf(ctx->arena,
                             "Activity function %s for workflow %s is not registered on this "
                             "worker, available activities: %s",
                             ctx->info.activity_type, ctx->info.workflow_id, flo_buf_cstr(&names)),
            FLO_FAILURE_NOT_REGISTERED, false, NULL, 0));
    flo_buf_fini(&names);
}

/* What code will be given. Arguments after the first are only looked at, they are read when they
 * are asked for. */
static int read_given(struct flo_activity_context *ctx, struct flo_err *err)
{
    const task_message *task = ctx->task;
    int rc = flo_payloads_to_json(task->input, false, &ctx->input, err);

    for (size_t i = 1; rc == 0 && task->input && i < task->input->n_payloads; i++)
        rc = flo_payload_readable(task->input->payloads[i], err);
    if (rc || !task->heartbeat_details)
        return rc;
    rc = flo_payloads_to_json(task->heartbeat_details, false, &ctx->last_heartbeat, err);
    return rc == FLO_EPERM ? rc : 0; /* else: of another worker, in a form that is not ours */
}

/* A payload that this worker has no codec for is for another worker, or a later attempt here. */
static void fail_unread(struct flo_activity_context *ctx, int rc, const struct flo_err *err,
                        struct flo_buf *out_reply)
{
    bool unreadable = rc == FLO_EPERM;

    json_decref(ctx->input);
    ctx->input = NULL;
    fail_attempt(ctx->arena, out_reply,
                 unreadable ? FLO_FAILURE_CODEC : FLO_FAILURE_PAYLOAD_INVALID, !unreadable,
                 err->message);
}

static void run_activity(struct flo_activity_context *ctx, struct flo_buf *out_reply)
{
    json_t *result = NULL;
    struct flo_err err = {0};
    int rc;

    if (!ctx->library->find(ctx->library->ctx, ctx->info.activity_type, &ctx->run, &ctx->shared)) {
        reply_unregistered(ctx, out_reply);
        return;
    }
    rc = read_given(ctx, &err);
    if (rc) {
        fail_unread(ctx, rc, &err, out_reply);
        return;
    }
    rc = flo_activity_proceed(ctx, ctx->input, &result);
    flo_activity_notices_end(ctx);
    flo_activity_tally_end(ctx);
    reply_returned(ctx, rc, result, out_reply);
    json_decref(result);
    flo_activity_context_fini(ctx);
}

/* The name of the queue whose number ends the request, which is cut off. */
static const char *take_queue(const struct flo_activity_library *library, const uint8_t *request,
                              size_t *len)
{
    size_t number;

    if (!library->task_queues || *len < FLO_ACTIVITY_QUEUE_BYTES)
        return library->task_queue;
    *len -= FLO_ACTIVITY_QUEUE_BYTES;
    number = request[*len] | (size_t)request[*len + 1] << 8;
    return number < library->task_queue_count ? library->task_queues[number] : library->task_queue;
}

static void run_task(void *library, struct flo_job_io *io, struct flo_arena *arena,
                     const task_message *task, const char *task_queue, struct flo_buf *out_reply)
{
    struct flo_activity_context ctx = {.library = library,
                                       .io = io,
                                       .arena = arena,
                                       .task = task,
                                       .mu = PTHREAD_MUTEX_INITIALIZER};

    fill_info(&ctx, task, task_queue);
    run_activity(&ctx, out_reply);
}

void flo_activity_task_run(void *library, struct flo_job_io *io, const uint8_t *request,
                           size_t request_len, struct flo_buf *out_reply)
{
    const char *task_queue = take_queue(library, request, &request_len);
    ProtobufCMessage *message;
    struct flo_arena decoded, arena;
    struct flo_err err = {0};

    flo_arena_init(&decoded, flo_wire_budget(request_len));
    flo_arena_init(&arena, 0);
    if (flo_wire_decode(&flo_api__poll_activity_task_queue_response__descriptor, request,
                        request_len, &decoded, &message, &err))
        fail_attempt(&arena, out_reply, FLO_FAILURE_PAYLOAD_INVALID, true, err.message);
    else
        run_task(library, io, &arena, (const task_message *)message, task_queue, out_reply);
    flo_arena_fini(&arena);
    flo_arena_fini(&decoded);
}

void flo_activity_task_run_shared(void *library, struct flo_job_io *io, const uint8_t *request,
                                  size_t request_len, struct flo_buf *out_reply)
{
    const char *task_queue = take_queue(library, request, &request_len);
    const task_message *task;
    struct flo_arena arena;

    assert(request_len == sizeof task);
    (void)request_len;
    memcpy(&task, request, sizeof task);
    flo_arena_init(&arena, 0);
    run_task(library, io, &arena, task, task_queue, out_reply);
    flo_arena_fini(&arena);
}
