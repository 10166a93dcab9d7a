/* SPDX-License-Identifier: Apache-2.0 */
/*
 * greeter.c - a worker of one's own: a workflow and its activity in one program.
 *
 *   P="--set task_queue=greetings --set health.port=0 --set metrics.port=0"
 *   greeter workflow $P      runs GreetingWorkflow
 *   greeter activity $P      runs compose_greeting, on threads
 */
#include <flotilla/worker.h>
#include <stdio.h>
#include <string.h>

static int greeting_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_activity_options options = {.start_to_close_ms = 10000};

    return flo_activity(wf, "compose_greeting", input, &options, out_result);
}

static int compose_greeting(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const char *name = json_string_value(input);

    if (!name)
        return flo_activity_fail(ctx, "BadInput", true, NULL, "the input must be a name");
    *out_result = json_sprintf("Hello, %s!", name);
    return 0;
}

static const struct flo_module module = {
    .abi = FLO_MODULE_ABI,
    .name = "greeter",
    .workflows = FLO_WORKFLOWS({"GreetingWorkflow", greeting_workflow}),
    .activities = FLO_ACTIVITIES({"compose_greeting", compose_greeting}),
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "workflow") == 0)
        return flo_worker_main(argc - 1, argv + 1, FLO_ROLE_WORKFLOW, &module);
    if (argc > 1 && strcmp(argv[1], "activity") == 0)
        return flo_worker_main(argc - 1, argv + 1, FLO_ROLE_IO_ACTIVITY, &module);
    fprintf(stderr, "usage: greeter workflow|activity [--config FILE] [--set KEY=VALUE]\n");
    return 64;
}
