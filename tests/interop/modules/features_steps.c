/* SPDX-License-Identifier: Apache-2.0 */
/*
 * features_steps.c - activities, local activities and timers as workflows use them, with every
 * option; and the activities of all features_*.c.
 */
#include <flotilla/worker.h>
#include <string.h>

static const struct flo_activity_options plain = {.start_to_close_ms = 30000};
static const struct flo_local_activity_options local = {.start_to_close_ms = 30000};

/* ---- activities ---- */

static int echo(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)ctx;
    *out_result = json_incref(input);
    return 0;
}

/* Succeeds at the third attempt. */
static int flaky(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)input;
    if (flo_activity_info(ctx)->attempt < 3)
        return flo_activity_fail(ctx, "NotYet", false, NULL, "not yet");
    *out_result = json_integer(flo_activity_info(ctx)->attempt);
    return 0;
}

/* Fails for good, with a detail and a cause. */
static int broke(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)out_result;
    json_t *details[] = {input};
    const struct flo_failure cause = {.type = "Bank", .message = "the account is empty"};
    const struct flo_failure failure = {.type = "Broke",
                                        .message = "no money",
                                        .non_retryable = true,
                                        .details = details,
                                        .detail_count = 1,
                                        .cause = &cause};
    return flo_activity_fail_with(ctx, &failure);
}

/* Until it is cancelled, saying so all the time. */
static int stay(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    json_t *tidied = json_string("tidied");
    (void)input, (void)out_result;
    while (!flo_activity_wait_cancelled(ctx, 50))
        (void)flo_activity_heartbeat(ctx, NULL);
    flo_activity_cancel_details(ctx, tidied);
    json_decref(tidied);
    return FLO_ECANCELLED;
}

/* That many milliseconds, after one heartbeat with the input. */
static int nap(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)flo_activity_heartbeat(ctx, input);
    if (flo_activity_wait_cancelled(ctx, json_integer_value(input)))
        return FLO_ECANCELLED;
    *out_result = json_incref(input);
    return 0;
}

/* ---- remote activities ---- */

static int activity_options(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const char *const hopeless[] = {"Hopeless", NULL};
    const struct flo_retry_policy retry = {.initial_interval_ms = 20,
                                           .backoff_coefficient = 1.5,
                                           .maximum_interval_ms = 100,
                                           .maximum_attempts = 5,
                                           .non_retryable_types = hopeless};
    const struct flo_activity_options options = {
        .task_queue = "features-2",
        .activity_id = "the-one",
        .schedule_to_close_ms = 50000,
        .schedule_to_start_ms = 40000,
        .start_to_close_ms = 30000,
        .heartbeat_ms = 20000,
        .retry = &retry,
        .summary = "with everything",
        .priority = {.priority_key = 2, .fairness_key = "tenant", .fairness_weight = 2},
        .no_eager_execution = true};
    json_t *attempts, *echoed;
    int rc = flo_activity(wf, "flaky", NULL, &options, &attempts);
    if (rc == 0)
        rc = flo_activity(wf, "echo", input, &plain, &echoed);
    if (rc)
        return rc;
    int refused = flo_activity(wf, "echo", input, &(struct flo_activity_options){0}, NULL);
    *out_result = json_pack("[o,o,i]", attempts, echoed, refused);
    return 0;
}

/* Each cancellation type: what the future says, and how the cancelled attempts end. A signal says
 * that the attempt has begun. */
static int activity_cancel(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static const struct {
        const char *id;
        enum flo_cancellation_type how;
    } ways[] = {
        {"try", FLO_CANCEL_TRY}, {"wait", FLO_CANCEL_WAIT}, {"abandon", FLO_CANCEL_ABANDON}};
    json_t *seen = json_array();
    (void)input;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct flo_failure_link link;
        json_t *detail = NULL;
        unsigned depth;
        const struct flo_activity_options options = {
            .activity_id = ways[i].id,
            .start_to_close_ms = 30000,
            .heartbeat_ms = 2000, /* a cancel request comes with a heartbeat */
            .cancellation = ways[i].how};
        struct flo_future *staying = flo_activity_start(wf, "stay", NULL, &options);
        int rc = flo_signal_await(wf, "begun", -1, NULL);
        if (rc)
            return rc;
        flo_future_cancel(wf, staying);
        rc = flo_await(wf, staying, NULL);
        if (flo_failure_find(wf, FLO_FAILURE_CANCELLED, &link, &depth) && link.detail_count)
            (void)flo_failure_detail(wf, depth, 0, &detail);
        json_array_append_new(seen, json_pack("[i,o?]", rc, detail));
        flo_failure_clear(wf);
    }
    struct flo_future *unsent = flo_activity_start(wf, "echo", NULL, &plain);
    flo_future_cancel(wf, unsent);
    json_array_append_new(seen, json_integer(flo_await(wf, unsent, NULL)));
    *out_result = seen;
    return 0;
}

/* ---- local activities ---- */

static int local_activities(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_retry_policy quick = {.initial_interval_ms = 20};
    const struct flo_local_activity_options retried = {.start_to_close_ms = 30000,
                                                       .activity_id = "again",
                                                       .summary = "tried again",
                                                       .retry = &quick};
    const struct flo_retry_policy slow = {.initial_interval_ms = 150};
    const struct flo_local_activity_options by_timer = {
        .schedule_to_close_ms = 30000, .retry = &slow, .local_retry_threshold_ms = 50};
    const struct flo_retry_policy once = {.maximum_attempts = 1};
    const struct flo_local_activity_options brief = {.start_to_close_ms = 100, .retry = &once};
    struct flo_future *both[2];
    json_t *echoed, *third, *later, *short_nap;
    struct flo_failure_link link;
    int rc = flo_local_activity(wf, "echo", input, &local, &echoed);
    if (rc == 0)
        rc = flo_local_activity(wf, "flaky", NULL, &retried, &third);
    if (rc == 0)
        rc = flo_local_activity(wf, "flaky", NULL, &by_timer, &later);
    if (rc)
        return rc;
    int failed = flo_local_activity(wf, "broke", input, &local, NULL);
    json_t *type = json_string(flo_failure_type_name(wf));
    int late = flo_local_activity(wf, "nap", json_integer(5000), &brief, NULL);
    bool timeout = flo_failure_find(wf, FLO_FAILURE_TIMEOUT, &link, NULL) &&
                   link.timeout == FLO_TIMEOUT_START_TO_CLOSE;
    both[0] = flo_local_activity_start(wf, "stay", NULL, &local);
    both[1] = flo_local_activity_start(wf, "nap", json_integer(20), &local);
    rc = flo_await(wf, both[1], &short_nap);
    if (rc)
        return rc;
    flo_future_cancel(wf, both[0]);
    int cancelled = flo_await(wf, both[0], NULL);
    *out_result = json_pack("[o,o,o,i,o,i,b,o,i]", echoed, third, later, failed, type, late,
                            (int)timeout, short_nap, cancelled);
    return 0;
}

/* ---- timers ---- */

static int timers(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_timer_options summary = {.summary = "a short rest"};
    int64_t before = flo_workflow_now_ms(wf);
    (void)input;
    int rc = flo_sleep_with(wf, 120, &summary);
    bool slept = flo_workflow_now_ms(wf) - before >= 120;
    struct flo_future *cancelled = flo_timer_start(wf, 3600000);
    struct flo_future *unsent = flo_timer_start_with(wf, 3600000, &summary);
    struct flo_future *fires = flo_timer_start(wf, 10);
    flo_future_cancel(wf, unsent);
    if (rc == 0)
        rc = flo_await(wf, fires, NULL);
    if (rc)
        return rc;
    flo_future_cancel(wf, cancelled);
    int first = flo_await(wf, cancelled, NULL), second = flo_await(wf, unsent, NULL);
    rc = flo_sleep(wf, 0);
    *out_result =
        json_pack("[b,b,i,i,i]", (int)slept, (int)flo_future_ready(fires), first, second, rc);
    return 0;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "features_steps",
    .workflows =
        FLO_WORKFLOWS({"ActivityOptions", activity_options}, {"ActivityCancel", activity_cancel},
                      {"LocalActivities", local_activities}, {"Timers", timers}),
    .activities = FLO_ACTIVITIES({"echo", echo}, {"flaky", flaky}, {"broke", broke}, {"stay", stay},
                                 {"nap", nap}),
};
