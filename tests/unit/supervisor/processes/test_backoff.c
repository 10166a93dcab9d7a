/* SPDX-License-Identifier: Apache-2.0 */
/* When a process is started again. */
#include "supervisor/processes/backoff.h"
#include "support/cmocka_env.h"

/* Doubles from min to max while runs are short. */
static void test_next_doubles_to_the_maximum(void **state)
{
    (void)state;
    struct flo_backoff b = {
        .min_ms = 1000, .max_ms = 30000, .stable_after_ms = 30000, .crash_loop_after = 5};
    static const int64_t expected[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
    for (int i = 0; i < 7; i++)
        assert_int_equal(flo_backoff_next(&b, 100), expected[i]);
}

/* A stable run starts over. */
static void test_next_after_stable_run_starts_over(void **state)
{
    (void)state;
    struct flo_backoff b = {
        .min_ms = 1000, .max_ms = 30000, .stable_after_ms = 30000, .crash_loop_after = 5};
    for (int i = 0; i < 6; i++)
        (void)flo_backoff_next(&b, 29999);
    assert_int_equal(flo_backoff_next(&b, 30000), 1000);
    assert_int_equal(flo_backoff_next(&b, 0), 2000);
}

/* The crash loop begins with the fifth short run and ends with a stable one. */
static void test_crash_loop(void **state)
{
    (void)state;
    struct flo_backoff b = {
        .min_ms = 1000, .max_ms = 30000, .stable_after_ms = 30000, .crash_loop_after = 5};
    for (int i = 0; i < 4; i++)
        (void)flo_backoff_next(&b, 0);
    assert_false(flo_backoff_crash_loop(&b));
    (void)flo_backoff_next(&b, 0);
    assert_true(flo_backoff_crash_loop(&b));
    (void)flo_backoff_next(&b, 60000);
    assert_false(flo_backoff_crash_loop(&b));
}

/* However often it failed, the wait neither overflows nor passes the maximum. */
static void test_next_never_overflows(void **state)
{
    (void)state;
    struct flo_backoff b = {
        .min_ms = 10, .max_ms = 3600000, .stable_after_ms = 1000, .crash_loop_after = 5};
    b.failures = INT64_C(1) << 40;
    assert_int_equal(flo_backoff_next(&b, 0), 3600000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_doubles_to_the_maximum),
        cmocka_unit_test(test_next_after_stable_run_starts_over),
        cmocka_unit_test(test_crash_loop),
        cmocka_unit_test(test_next_never_overflows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
