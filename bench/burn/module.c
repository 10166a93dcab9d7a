/* SPDX-License-Identifier: Apache-2.0 */
/* module.c - the computing piece as an activity, under the name that FanWorkflow calls. */
#include <flotilla/worker.h>

#include "burn.h"

static volatile uint64_t sink;

static int piece(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)ctx;
    sink = burn((uint64_t)json_integer_value(input));
    *out_result = json_incref(input);
    return 0;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "burn",
    .activities = FLO_ACTIVITIES({"echo", piece}),
};
