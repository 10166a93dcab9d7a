/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - workflows and activities that say where they stand in a trace. */
#include <flotilla/worker.h>

static const struct flo_retry_policy quickly = {
    .initial_interval_ms = 10, .backoff_coefficient = 1, .maximum_attempts = 3};

/* Await it and put its result into results. */
static int take(struct flo_workflow *wf, struct flo_future *future, json_t *results)
{
    json_t *result = NULL;
    int rc = flo_await(wf, future, &result);

    if (rc == 0)
        json_array_append_new(results, result);
    return rc;
}

/* The workflow's own place, then what each of its activities says: remote ones on the queues that
 * input.queues names (and the workflow's own), a local one, one that fails at first. */
static int trace(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_local_activity_options local = {.start_to_close_ms = 10000};
    json_t *results = json_array(), *queues = json_object_get(input, "queues");
    const char *place = flo_workflow_info(wf)->traceparent;
    int rc;

    flo_workflow_log(wf, FLO_LOG_INFO, "workflow speaks");
    json_array_append_new(results, json_string(place));
    rc = take(wf,
              flo_activity_start(wf, "where", NULL,
                                 &(struct flo_activity_options){.start_to_close_ms = 10000}),
              results);
    if (rc == 0)
        rc = take(wf, flo_local_activity_start(wf, "where", NULL, &local), results);
    if (rc == 0)
        rc = flo_sleep(wf, 10);
    if (rc == 0)
        rc = take(wf,
                  flo_activity_start(wf, "flaky", NULL,
                                     &(struct flo_activity_options){.start_to_close_ms = 10000,
                                                                    .retry = &quickly}),
                  results);
    for (size_t i = 0; rc == 0 && i < json_array_size(queues); i++) {
        const struct flo_activity_options other = {
            .start_to_close_ms = 10000, .task_queue = json_string_value(json_array_get(queues, i))};
        rc = take(wf, flo_activity_start(wf, "where", NULL, &other), results);
    }
    if (rc == 0)
        *out_result = results;
    return rc;
}

/* Wait for signal go, run one activity, and fail. */
static int trace_fail(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static const struct flo_activity_options options = {.start_to_close_ms = 10000};
    int rc = flo_signal_await(wf, "go", -1, NULL);

    (void)input;
    if (rc == 0)
        rc = flo_activity(wf, "where", NULL, &options, out_result);
    return rc ? rc : flo_workflow_fail(wf, "NotToday", true, NULL, "it is \"too\" late");
}

static int where(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)input;
    flo_activity_log(ctx, FLO_LOG_INFO, "activity speaks");
    *out_result = json_string(flo_activity_info(ctx)->traceparent);
    return 0;
}

static int flaky(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    if (flo_activity_info(ctx)->attempt == 1)
        return flo_activity_fail(ctx, "Flaky", false, NULL, "not at once");
    return where(ctx, input, out_result);
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "trace",
    .workflows = FLO_WORKFLOWS({"Trace", trace}, {"TraceFail", trace_fail}),
    .activities = FLO_ACTIVITIES({"where", where}, {"flaky", flaky}),
};
