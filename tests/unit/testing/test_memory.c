/* SPDX-License-Identifier: Apache-2.0 */
/* test_memory.c - each allocation of a test fails once: it ends with an error, and nothing leaks.
 */
#include "base/alloc.h"
#include "support/testing_kit.h"

static const struct flo_activity_options quick = {
    .start_to_close_ms = 10000, .retry = &(const struct flo_retry_policy){.maximum_attempts = 3}};

static int story(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static const struct flo_local_activity_options local = {.start_to_close_ms = 10000};
    int rc = flo_activity(wf, "work", input, &quick, NULL);
    if (rc == 0)
        rc = flo_local_activity(wf, "look", input, &local, NULL);
    if (rc == 0)
        rc = flo_signal_await(wf, "go", 60000, out_result);
    return rc;
}

static const struct flo_module module = {
    .abi = FLO_MODULE_ABI, .name = "memory", .workflows = FLO_WORKFLOWS({"Story", story})};

/* The whole of it; true when nothing failed. */
static bool run(enum flo_test_cache cache)
{
    struct flo_test_env *env =
        flo_test_env_new(&module, &(struct flo_test_options){.cache = cache});
    if (!env)
        return false;
    flo_test_mock(env, "work", &(struct flo_test_mock){.fail_times = 1, .takes_ms = 100});
    flo_test_mock(env, "look", &(struct flo_test_mock){.result = "1"});
    struct flo_test_workflow *wf = flo_test_start(env, "Story", NULL, NULL);
    int rc = flo_test_signal(wf, "go", NULL, NULL);
    if (rc == 0)
        rc = flo_test_result(wf, NULL, NULL);
    (void)flo_test_story(wf);
    bool good = rc == 0 && !*flo_test_problem(env);
    flo_test_env_destroy(&env);
    return good;
}

/* Without some of its allocations a test goes well all the same; after the last one it always does.
 */
#define GOOD_AT_THE_END 200

static void test_each_allocation_fails(void **state)
{
    int64_t n = 0;
    for (int good = 0; good < GOOD_AT_THE_END; n++) {
        flo_alloc_fail_after(n, 0);
        good = run(*(enum flo_test_cache *)*state) ? good + 1 : 0;
        flo_alloc_fail_after(-1, 0);
        assert_int_equal(flo_heap_total_bytes(), 0);
        assert_true(n < 20000);
    }
    assert_in_range(n, GOOD_AT_THE_END + 100, 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"test_each_allocation_fails_cached", test_each_allocation_fails, NULL, NULL,
         &kit_caches[0]},
        {"test_each_allocation_fails_uncached", test_each_allocation_fails, NULL, NULL,
         &kit_caches[1]},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
