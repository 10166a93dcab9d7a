/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outcomes.c - a module of activities whose end is known, and a workflow that runs one of them:
 * what the tests with real processes look at, on both kinds of executors. Not installed.
 */
#include <flotilla/worker.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static json_int_t number(const json_t *input, const char *key)
{
    return json_integer_value(json_object_get(input, key));
}

/* ---- inputs and results ---- */

/* All that came: arguments, their encodings, a header, the info. */
static int describe(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const struct flo_activity_info *info = flo_activity_info(ctx);
    const struct flo_payload *tenant = flo_activity_header(ctx, "tenant");
    json_t *arguments = json_array(), *encodings = json_array();
    json_t *header = NULL;

    (void)input;
    for (size_t i = 0; i < flo_activity_argument_count(ctx); i++) {
        size_t len = 0;
        const char *encoding =
            flo_payload_metadata(flo_activity_argument_payload(ctx, i), "encoding", &len);
        json_array_append(arguments, flo_activity_argument(ctx, i));
        json_array_append_new(encodings, json_stringn(encoding ? encoding : "", len));
    }
    if (tenant && flo_payload_json(tenant, &header, NULL))
        header = NULL;
    *out_result = json_pack(
        "{s:o,s:o,s:o?,s:s,s:s,s:s,s:s,s:i,s:I,s:I,s:I,s:I,s:f,s:I,s:i,s:b,s:b}", "arguments",
        arguments, "encodings", encodings, "tenant", header, "activity_id", info->activity_id,
        "workflow_id", info->workflow_id, "workflow_type", info->workflow_type, "queue",
        info->task_queue, "attempt", (int)info->attempt, "start_to_close_ms",
        (json_int_t)info->start_to_close_ms, "schedule_to_close_ms",
        (json_int_t)info->schedule_to_close_ms, "heartbeat_ms", (json_int_t)info->heartbeat_ms,
        "initial_ms", (json_int_t)info->retry.initial_interval_ms, "coefficient",
        info->retry.backoff_coefficient, "maximum_ms", (json_int_t)info->retry.maximum_interval_ms,
        "maximum_attempts", (int)info->retry.maximum_attempts, "times_are_in_order",
        info->scheduled_ms > 0 && info->scheduled_ms <= info->attempt_scheduled_ms &&
            info->attempt_scheduled_ms <= info->started_ms,
        "retry_types",
        info->retry.non_retryable_types &&
            strcmp(info->retry.non_retryable_types[0], "Never") == 0);
    return 0;
}

/* The bytes of the first argument, backwards, as plain bytes. */
static int reverse_bytes(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const struct flo_payload *payload = flo_activity_argument_payload(ctx, 0);
    unsigned char turned[4096];
    const unsigned char *data;
    size_t len;

    (void)input;
    (void)out_result;
    if (!payload || !flo_payload_encoded_as(payload, "binary/plain"))
        return flo_activity_fail(ctx, "NotBytes", true, NULL, "the argument is not plain bytes");
    data = flo_payload_data(payload, &len);
    if (len > sizeof turned)
        return FLO_ELIMIT;
    for (size_t i = 0; i < len; i++)
        turned[i] = data[len - 1 - i];
    return flo_activity_result_bytes(ctx, "binary/plain", turned, len);
}

/* ---- failures and retries ---- */

/* A failure with two details, a cause and a cause of that. */
static int fail_typed(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const struct flo_failure disk = {.type = "DiskFull", .message = "no space left"};
    const struct flo_failure store = {
        .type = "StoreFailed", .message = "cannot store", .cause = &disk};
    json_t *details[] = {json_string("first"), json_pack("{s:i}", "second", 2)};
    const struct flo_failure failure = {.type = "OrderRejected",
                                        .message = "the order is rejected",
                                        .non_retryable = true,
                                        .details = details,
                                        .detail_count = 2,
                                        .stack_trace = "order.c:12",
                                        .cause = &store};
    int rc = flo_activity_fail_with(ctx, &failure);

    (void)input;
    (void)out_result;
    for (int i = 0; i < 2; i++)
        json_decref(details[i]);
    return rc;
}

/* Fails before attempt `until`, asking for `delay_ms`; then tells how long it waited since. */
static int fail_until(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const struct flo_activity_info *info = flo_activity_info(ctx);

    if (info->attempt < number(input, "until")) {
        flo_activity_next_retry_delay(ctx, number(input, "delay_ms"));
        return flo_activity_fail(ctx, "NotYet", false, NULL, "attempt %d", (int)info->attempt);
    }
    *out_result = json_pack("{s:i,s:I}", "attempt", (int)info->attempt, "waited_ms",
                            (json_int_t)(info->attempt_scheduled_ms - info->scheduled_ms));
    return 0;
}

/* ---- heartbeats ---- */

/* The first attempt says how far it came, and fails; the second says what it was told. */
static int checkpoint(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    json_t *last = flo_activity_last_heartbeat(ctx);

    if (!last) {
        (void)flo_activity_heartbeat(ctx, input);
        return flo_activity_fail(ctx, "Interrupted", false, NULL, "half way");
    }
    *out_result = json_pack("{s:O,s:i}", "resumed_from", last, "attempt",
                            (int)flo_activity_info(ctx)->attempt);
    return 0;
}

/* The first attempt says nothing for as long as it may; the second one ends. */
static int hang_once(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    json_t *last = flo_activity_last_heartbeat(ctx);

    if (flo_activity_info(ctx)->attempt == 1) {
        (void)flo_activity_heartbeat(ctx, input);
        (void)flo_activity_wait_cancelled(ctx, 60000);
        return FLO_ECANCELLED;
    }
    *out_result = last ? json_incref(last) : json_null();
    return 0;
}

/* Waits until it is told to stop, without a heartbeat. */
static int hang(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)input;
    (void)out_result;
    (void)flo_activity_wait_cancelled(ctx, 60000);
    return FLO_ECANCELLED;
}

/* Looks at nothing for `ms`, far longer than its heartbeat timeout; the worker heartbeats. */
static int compute(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    struct timespec rest;
    json_int_t ms = number(input, "ms");

    flo_activity_heartbeat_every(ctx, 0);
    rest.tv_sec = ms / 1000;
    rest.tv_nsec = ms % 1000 * 1000000;
    nanosleep(&rest, NULL);
    *out_result = json_integer(flo_activity_info(ctx)->attempt);
    return 0;
}

/* ---- cancellation and shutdown ---- */

/* Heartbeats until it is told to stop; says why. */
static int until_cancelled(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    json_t *reason;

    (void)out_result;
    do
        (void)flo_activity_heartbeat(ctx, input);
    while (!flo_activity_wait_cancelled(ctx, 20));
    reason = json_string(flo_activity_cancel_reason(ctx));
    flo_activity_cancel_details(ctx, reason);
    json_decref(reason);
    return FLO_ECANCELLED;
}

struct stuck {
    pthread_mutex_t mu;
    pthread_cond_t freed;
    bool free;
    pthread_t by;
};

static void unstick(struct flo_activity_context *ctx, void *arg)
{
    struct stuck *stuck = arg;

    (void)ctx;
    pthread_mutex_lock(&stuck->mu);
    stuck->free = true;
    stuck->by = pthread_self();
    pthread_cond_signal(&stuck->freed);
    pthread_mutex_unlock(&stuck->mu);
}

static void wait_free(struct stuck *stuck)
{
    pthread_mutex_lock(&stuck->mu);
    while (!stuck->free)
        pthread_cond_wait(&stuck->freed, &stuck->mu);
    pthread_mutex_unlock(&stuck->mu);
}

/* Stuck in a call that only the callback ends; the worker heartbeats meanwhile. */
static int called_back(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    struct stuck stuck = {.mu = PTHREAD_MUTEX_INITIALIZER, .freed = PTHREAD_COND_INITIALIZER};
    json_t *details;
    int rc;

    (void)input;
    (void)out_result;
    flo_activity_heartbeat_every(ctx, 0);
    rc = flo_activity_on_cancel(ctx, unstick, &stuck);
    if (rc)
        return rc;
    wait_free(&stuck);
    flo_activity_off(ctx, unstick, &stuck);
    details = json_string(pthread_equal(stuck.by, pthread_self()) ? "own thread" : "other thread");
    flo_activity_cancel_details(ctx, details);
    json_decref(details);
    return FLO_ECANCELLED;
}

/* Ends when the worker begins to drain, long before it would be cancelled. */
static int until_stopping(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    struct stuck stuck = {.mu = PTHREAD_MUTEX_INITIALIZER, .freed = PTHREAD_COND_INITIALIZER};
    int rc = flo_activity_on_stopping(ctx, unstick, &stuck);

    if (rc)
        return rc;
    flo_activity_log(ctx, FLO_LOG_INFO, "waiting for the drain");
    if (json_is_true(input))
        wait_free(&stuck);
    else
        (void)flo_activity_wait_stopping(ctx, 60000);
    *out_result = json_pack("{s:b,s:b}", "stopping", flo_activity_worker_stopping(ctx), "cancelled",
                            flo_activity_cancelled(ctx));
    flo_activity_off(ctx, unstick, &stuck);
    return 0;
}

/* ---- finishing later, metrics ---- */

/* Writes its token into the file that the input names, and leaves the attempt open. */
static int later(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const char *path = json_string_value(json_object_get(input, "file"));
    const char *token = flo_activity_token(ctx);
    char part[512];
    FILE *file;

    (void)out_result;
    snprintf(part, sizeof part, "%s.part", path ? path : "");
    file = path ? fopen(part, "we") : NULL;
    if (!file || !token)
        return flo_activity_fail(ctx, "NoFile", true, NULL, "cannot write the token");
    fprintf(file, "%s %s", token, flo_activity_info(ctx)->activity_id);
    fclose(file);
    if (rename(part, path))
        return FLO_EIO;
    return flo_activity_complete_async(ctx);
}

static void *count_some(void *ctx)
{
    for (int i = 0; i < 1000; i++)
        flo_activity_counter(ctx, "outcomes_things", 1, "kind", "of_a_thread", NULL);
    return NULL;
}

/* Counts, from two threads; then crashes when it is asked to. */
static int count(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    pthread_t thread;

    (void)input;
    if (pthread_create(&thread, NULL, count_some, ctx))
        return FLO_ESYS;
    for (int i = 0; i < 1000; i++)
        flo_activity_counter(ctx, "outcomes_things", 2, "kind", "own", NULL);
    pthread_join(thread, NULL);
    flo_activity_gauge(ctx, "outcomes_level", 7.5, NULL);
    flo_activity_histogram(ctx, "outcomes_seconds", 0.003, NULL);
    flo_activity_histogram(ctx, "outcomes_seconds", 20, NULL);
    flo_activity_counter(ctx, "temporal_mine", 1, NULL); /* refused */
    *out_result = json_true();
    return 0;
}

/* ---- the interceptor: counts what runs ---- */

static int start(const struct flo_module_env *env, void **out_shared, struct flo_err *err)
{
    static int state;

    (void)env;
    (void)err;
    *out_shared = &state;
    return 0;
}

static int intercept(struct flo_activity_context *ctx, void *shared, json_t *input,
                     json_t **out_result)
{
    int rc = flo_activity_proceed(ctx, input, out_result);

    flo_activity_counter(ctx, "outcomes_executed", shared == flo_activity_shared(ctx), "outcome",
                         flo_error_name(rc), NULL);
    return rc;
}

/* ---- the workflow: one activity as the input says, and how it ended ---- */

static int run_one(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_retry_policy retry = {
        .initial_interval_ms = 20,
        .maximum_attempts = (int32_t)number(input, "attempts"),
    };
    const struct flo_activity_options options = {
        .task_queue = json_string_value(json_object_get(input, "queue")),
        .start_to_close_ms = number(input, "start_to_close_ms"),
        .schedule_to_close_ms = number(input, "schedule_to_close_ms"),
        .heartbeat_ms = number(input, "heartbeat_ms"),
        .retry = &retry,
    };
    json_t *result = NULL;
    int rc = flo_activity(wf, json_string_value(json_object_get(input, "activity")),
                          json_object_get(input, "input"), &options, &result);

    if (rc == FLO_EFAILED)
        *out_result = json_pack("{s:s,s:s}", "failed", flo_failure_message(wf), "type",
                                flo_failure_type_name(wf));
    else if (rc == 0)
        *out_result = json_pack("{s:o}", "result", result);
    return rc == FLO_EFAILED ? 0 : rc;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "outcomes",
    .workflows = FLO_WORKFLOWS({"RunOne", run_one}),
    .activities = FLO_ACTIVITIES(
        {"describe", describe}, {"reverse_bytes", reverse_bytes}, {"fail_typed", fail_typed},
        {"fail_until", fail_until}, {"checkpoint", checkpoint}, {"hang_once", hang_once},
        {"hang", hang}, {"compute", compute}, {"until_cancelled", until_cancelled},
        {"called_back", called_back}, {"until_stopping", until_stopping}, {"later", later},
        {"count", count}),
    .start = start,
    .interceptors = FLO_INTERCEPTORS({intercept, NULL}),
};
