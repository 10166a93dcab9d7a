/* SPDX-License-Identifier: Apache-2.0 */
/* hello.c - the smallest workflow that does something: it has an activity compose a greeting. */
#include "hello.h"

/* The workflow: what is to happen. It is replayed after a crash, and so does nothing itself. */
static int hello_workflow(struct flo_workflow *wf, json_t *name, json_t **out_result)
{
    const struct flo_activity_options options = {.start_to_close_ms = 10000};
    return flo_activity(wf, "compose_greeting", name, &options, out_result);
}

/* The activity: it does it, and may do anything. When it fails, it is tried again. */
static int compose_greeting(struct flo_activity_context *ctx, json_t *name, json_t **out_result)
{
    if (!json_is_string(name))
        return flo_activity_fail(ctx, "BadInput", true, NULL, "the input must be a name");
    *out_result = json_sprintf("Hello, %s!", json_string_value(name));
    return 0;
}

const struct flo_module hello_module = {
    .abi = FLO_MODULE_ABI,
    .name = "hello",
    .workflows = FLO_WORKFLOWS({"Hello", hello_workflow}),
    .activities = FLO_ACTIVITIES({"compose_greeting", compose_greeting}),
};
