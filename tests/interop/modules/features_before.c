/* SPDX-License-Identifier: Apache-2.0 */
/* features_before.c - a workflow as it was before it was changed; features_after.c is what it
 * became. */
#include <flotilla/worker.h>

static const struct flo_activity_options plain = {.start_to_close_ms = 30000};

static int changing(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    int rc = flo_sleep(wf, 5);
    bool marked = flo_patched(wf, "old");
    if (rc == 0)
        rc = flo_signal_await(wf, "go", -1, NULL);
    if (rc == 0)
        rc = flo_activity(wf, "echo", input, &plain, NULL);
    *out_result = json_pack("[s,b]", "before", (int)marked);
    return rc;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "features_before",
    .workflows = FLO_WORKFLOWS({"Changing", changing}),
};
