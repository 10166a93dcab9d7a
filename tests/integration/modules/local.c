/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local.c - workflows with local activities, and those activities: for tests with real
 * workers, and for replaying histories of the same workflows written in Python.
 */
#include <stdio.h>
#include <string.h>

#include <flotilla/worker.h>

static const struct flo_local_activity_options plain = {.start_to_close_ms = 30000};

/* ---- activities ---- */

static int twice(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)ctx;
    *out_result = json_integer(2 * json_integer_value(input));
    return 0;
}

/* Succeeds at the third attempt. */
static int flaky(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    int attempt = flo_activity_info(ctx)->attempt;

    (void)input;
    if (attempt < 3)
        return flo_activity_fail(ctx, "RuntimeError", false, NULL, "not yet");
    *out_result = json_integer(attempt);
    return 0;
}

static int typed(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    json_t *details = json_pack("{s:i}", "a", 1);
    int rc = flo_activity_fail(ctx, "Broke", true, details, "no money");

    (void)input;
    (void)out_result;
    json_decref(details);
    return rc;
}

static int slow(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    if (flo_activity_wait_cancelled(ctx, json_integer_value(input)))
        return FLO_ECANCELLED;
    *out_result = json_incref(input);
    return 0;
}

static int nothing(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)ctx;
    (void)input;
    (void)out_result;
    return 0;
}

/* Add a line to a file, take some time, and return how many lines there are: {"file", "ms"}. */
static int count(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    FILE *file = fopen(json_string_value(json_object_get(input, "file")), "a+");
    json_int_t lines = 0;
    int c;

    if (!file)
        return flo_activity_fail(ctx, "File", true, NULL, "no such file");
    fprintf(file, "attempt %d\n", (int)flo_activity_info(ctx)->attempt);
    fflush(file);
    rewind(file);
    while ((c = getc(file)) != EOF)
        lines += c == '\n';
    fclose(file);
    if (flo_activity_wait_cancelled(ctx, json_integer_value(json_object_get(input, "ms"))))
        return FLO_ECANCELLED;
    *out_result = json_integer(lines);
    return 0;
}

static int about(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const struct flo_activity_info *info = flo_activity_info(ctx);

    (void)input;
    (void)flo_activity_heartbeat(ctx, NULL);
    *out_result = json_pack("{s:s, s:s, s:s, s:b, s:i}", "type", info->activity_type, "workflow",
                            info->workflow_type, "queue", info->task_queue, "local",
                            (int)info->is_local, "attempt", (int)info->attempt);
    return 0;
}

/* ---- workflows, as in the Python that recorded the histories ---- */

static int local_chain(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_t *first;
    int rc = flo_local_activity(wf, "twice", input, &plain, &first);

    if (!rc)
        rc = flo_local_activity(wf, "twice", first, &plain, out_result);
    if (!rc)
        rc = flo_sleep(wf, 10);
    return rc ? rc : flo_local_activity(wf, "nothing", NULL, &plain, NULL);
}

/* What went wrong, as text. */
static int local_fail(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    int rc = flo_local_activity(wf, "typed", input, &plain, NULL);

    *out_result = json_sprintf("%d %s", rc == FLO_EFAILED, flo_failure_type_name(wf));
    return 0;
}

static int local_backoff(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_retry_policy policy = {.initial_interval_ms = 200};
    const struct flo_local_activity_options options = {
        .start_to_close_ms = 30000, .retry = &policy, .local_retry_threshold_ms = 50};

    return flo_local_activity(wf, "flaky", input, &options, out_result);
}

/* The same, but the pauses are the worker's. */
static int local_retry(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_retry_policy policy = {.initial_interval_ms = 20};
    const struct flo_local_activity_options options = {.start_to_close_ms = 30000,
                                                       .retry = &policy};

    return flo_local_activity(wf, "flaky", input, &options, out_result);
}

static int local_long(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return flo_local_activity(wf, "slow", input, &plain, out_result);
}

static int local_both(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_activity_options remote = {.start_to_close_ms = 30000};
    struct flo_future *both[] = {flo_local_activity_start(wf, "slow", json_integer(300), &plain),
                                 flo_local_activity_start(wf, "slow", json_integer(50), &plain)};
    json_t *values[3];
    size_t first;
    int rc = flo_await_any(wf, both, 2, &first);

    (void)input;
    if (!rc)
        rc = flo_await(wf, both[first], &values[0]);
    if (!rc)
        rc = flo_await(wf, both[1 - first], &values[1]);
    if (!rc)
        rc = flo_activity(wf, "twice", json_integer(4), &remote, &values[2]);
    if (!rc)
        *out_result = json_pack("[o, o, o]", values[0], values[1], values[2]);
    return rc;
}

static int local_timeout(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_retry_policy once = {.maximum_attempts = 1};
    const struct flo_local_activity_options options = {.start_to_close_ms = 200, .retry = &once};
    int rc = flo_local_activity(wf, "slow", json_integer(5000), &options, NULL);

    (void)input;
    *out_result = json_sprintf("%d %s", rc == FLO_EFAILED, flo_failure_type_name(wf));
    return 0;
}

static int local_cancel(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_future *work = flo_local_activity_start(wf, "slow", json_integer(5000), &plain);
    int rc = flo_local_activity(wf, "twice", json_integer(1), &plain, NULL);

    (void)input;
    if (rc)
        return rc;
    flo_future_cancel(wf, work);
    *out_result = json_boolean(flo_await(wf, work, NULL) == FLO_ECANCELLED);
    return 0;
}

/* ---- others ---- */

/* Counts, waits for a signal, counts again. */
static int local_count(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_t *first, *second;
    int rc = flo_local_activity(wf, "count", input, &plain, &first);

    if (!rc)
        rc = flo_signal_await(wf, "go", -1, NULL);
    if (!rc)
        rc = flo_local_activity(wf, "count", input, &plain, &second);
    if (!rc)
        *out_result = json_pack("[o, o]", first, second);
    return rc;
}

/* Fails with the failure of its local activity. */
static int local_broke(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return flo_local_activity(wf, "typed", input, &plain, out_result);
}

static int local_about(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return flo_local_activity(wf, "about", input, &plain, out_result);
}

/* Many side by side: the sum of their results. */
static int local_many(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_group *group = flo_group_new(wf);
    json_int_t sum = 0;
    json_t *results;

    for (json_int_t i = 0; i < json_integer_value(input); i++)
        flo_group_add(group, flo_local_activity_start(wf, "twice", json_integer(i), &plain));
    int rc = flo_group_await_all(group, &results);
    for (size_t i = 0; !rc && i < json_array_size(results); i++)
        sum += json_integer_value(json_array_get(results, i));
    *out_result = json_integer(sum);
    return rc;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "local",
    .workflows = FLO_WORKFLOWS(
        {"LocalChain", local_chain}, {"LocalFail", local_fail}, {"LocalBackoff", local_backoff},
        {"LocalRetry", local_retry}, {"LocalLong", local_long}, {"LocalBoth", local_both},
        {"LocalTimeout", local_timeout}, {"LocalCancel", local_cancel}, {"LocalCount", local_count},
        {"LocalBroke", local_broke}, {"LocalAbout", local_about}, {"LocalMany", local_many}),
    .activities =
        FLO_ACTIVITIES({"twice", twice}, {"flaky", flaky}, {"typed", typed}, {"slow", slow},
                       {"nothing", nothing}, {"count", count}, {"about", about}),
};
