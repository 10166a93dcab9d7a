/* SPDX-License-Identifier: Apache-2.0 */
/* impure.c - a module whose workflow takes TAKES from the C library; built once for each kind. With
 * MIXED it has an activity, too. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "flotilla/worker.h"

FLO_API extern void (*const flo_test_taken)(void);
void (*const flo_test_taken)(void) = (void (*)(void))TAKES;

static int workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)wf;
    *out_result = json_incref(input);
    return 0;
}

#ifdef MIXED
static int activity(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)ctx;
    *out_result = json_incref(input);
    return 0;
}
#endif

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "impure",
    .workflows = FLO_WORKFLOWS({"Workflow", workflow}),
#ifdef MIXED
    .activities = FLO_ACTIVITIES({"activity", activity}),
#endif
};
