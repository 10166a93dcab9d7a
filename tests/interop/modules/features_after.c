/* SPDX-License-Identifier: Apache-2.0 */
/* features_after.c - the workflow of features_before.c after its change: runs that have begun there
 * end here. */
#include <flotilla/worker.h>

static const struct flo_activity_options plain = {.start_to_close_ms = 30000};

static int changing(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    bool weighs = flo_patched(wf, "weigh-first");
    int rc = weighs ? flo_activity(wf, "echo", input, &plain, NULL) : 0;
    if (rc == 0)
        rc = flo_sleep(wf, 5);
    flo_patch_deprecate(wf, "old");
    if (rc == 0)
        rc = flo_signal_await(wf, "go", -1, NULL);
    bool reached = flo_patched(wf, "behind-the-signal");
    if (rc == 0)
        rc = flo_activity(wf, "echo", input, &plain, NULL);
    *out_result = json_pack("[s,b,b]", "after", (int)weighs, (int)reached);
    return rc;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "features_after",
    .workflows = FLO_WORKFLOWS({"Changing", changing}),
};
