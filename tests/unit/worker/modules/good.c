/* SPDX-License-Identifier: Apache-2.0 */
/* good.c - a module as it should be: one workflow, two activities, a start that reads settings. */
#include "flotilla/worker.h"

static int shared;

static int start(const struct flo_module_env *env, void **out_shared, struct flo_err *err)
{
    if (json_is_true(json_object_get(env->settings, "broken")))
        return flo_fail(err, FLO_ECONN, "the database is away");
    *out_shared = &shared;
    return 0;
}

static int workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)wf;
    *out_result = json_incref(input);
    return 0;
}

static int activity(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)ctx;
    *out_result = json_incref(input);
    return 0;
}

FLO_API const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "good",
    .workflows = FLO_WORKFLOWS({"Workflow", workflow}),
    .activities = FLO_ACTIVITIES({"second", activity}, {"first", activity}),
    .start = start,
};
