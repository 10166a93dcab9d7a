/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secrets.c - a workflow whose every payload is its input: arguments, results, heartbeats, details
 * of failures, a signal. For the test that none of it shows up in a log.
 *   keep   heartbeats its input, says so, gives it back
 *   lose   fails, with its input as details
 *   crash  takes its process along, at the first attempt
 */
#include <flotilla/worker.h>
#include <stdlib.h>

static int secrets_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static const struct flo_retry_policy once = {.maximum_attempts = 1};
    static const struct flo_retry_policy again = {.initial_interval_ms = 1};
    const struct flo_activity_options options = {
        .start_to_close_ms = 20000,
        .heartbeat_ms = 10000,
        .task_queue = json_string_value(json_object_get(input, "queue")),
        .retry = json_object_get(input, "crash") ? &again : &once};
    json_t *lost = NULL, *signal = NULL;
    int rc = flo_signal_await(wf, "go", -1, &signal);

    json_decref(signal);
    flo_workflow_log(wf, FLO_LOG_INFO, "the workflow speaks");
    if (!rc && json_object_get(input, "crash"))
        return flo_activity(wf, "crash", input, &options, out_result);
    if (!rc)
        rc = flo_activity(wf, "lose", input, &options, &lost);
    if (rc == FLO_EFAILED)
        rc = flo_activity(wf, "keep", input, &options, out_result);
    return rc;
}

static int keep(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)!flo_activity_heartbeat(ctx, input);
    flo_activity_log(ctx, FLO_LOG_INFO, "the activity speaks");
    *out_result = json_incref(input);
    return 0;
}

static int lose(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const struct flo_failure failure = {.type = "Lost",
                                        .message = "it is lost",
                                        .non_retryable = true,
                                        .details = &input,
                                        .detail_count = 1};

    (void)out_result;
    return flo_activity_fail_with(ctx, &failure);
}

static int crash(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    if (flo_activity_info(ctx)->attempt == 1)
        abort();
    *out_result = json_incref(input);
    return 0;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "secrets",
    .workflows = FLO_WORKFLOWS({"SecretsWorkflow", secrets_workflow}),
    .activities = FLO_ACTIVITIES({"keep", keep}, {"lose", lose}, {"crash", crash}),
};
