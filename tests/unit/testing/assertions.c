/* SPDX-License-Identifier: Apache-2.0 */
/* assertions.c - a test without cmocka whose assertion fails, chosen by its argument: what it
 * prints and its exit code are checked by ctest. */
#include <string.h>

#include "flotilla/testing.h"

static int one(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)wf, (void)input;
    *out_result = json_integer(1);
    return 0;
}

static int never(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    return flo_signal_await(wf, "never", -1, out_result);
}

static const struct flo_module module = {
    .abi = FLO_MODULE_ABI,
    .name = "assertions",
    .workflows = FLO_WORKFLOWS({"One", one}, {"Never", never}),
};

int main(int argc, char **argv)
{
    const char *which = argc > 1 ? argv[1] : "";
    struct flo_test_env *env = flo_test_env_new(&module, NULL);
    struct flo_test_workflow *wf = flo_test_start(env, "One", NULL, NULL);
    if (strcmp(which, "result") == 0)
        flo_test_assert_completed(wf, "2");
    if (strcmp(which, "status") == 0)
        flo_test_assert_ended(wf, FLO_TEST_FAILED, NULL);
    if (strcmp(which, "attempts") == 0)
        flo_test_assert_attempts(env, "charge", 1);
    if (strcmp(which, "events") == 0)
        flo_test_assert_events(wf, "TimerFired", 3);
    if (strcmp(which, "story") == 0)
        flo_test_assert_story(wf, "nothing");
    if (strcmp(which, "never") == 0)
        flo_test_assert_completed(flo_test_start(env, "Never", NULL, NULL), NULL);
    if (strcmp(which, "json") == 0) {
        flo_test_json(env, "{");
        flo_test_assert_completed(wf, NULL);
    }
    flo_test_env_destroy(&env);
    return 0;
}
