/* SPDX-License-Identifier: Apache-2.0 */
/*
 * echo.c - the smallest useful module: a workflow that runs one activity, which gives its input
 * back. What load tests run.
 */
#include <flotilla/worker.h>

static int echo_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static const struct flo_activity_options options = {.start_to_close_ms = 10000};
    return flo_activity(wf, "echo", input, &options, out_result);
}

static int echo(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)ctx;
    *out_result = json_incref(input);
    return 0;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "echo",
    .workflows = FLO_WORKFLOWS({"EchoWorkflow", echo_workflow}),
    .activities = FLO_ACTIVITIES({"echo", echo}),
};
