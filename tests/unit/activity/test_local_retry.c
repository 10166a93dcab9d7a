/* SPDX-License-Identifier: Apache-2.0 */
/* test_local_retry.c - when a local activity is tried again, and when not. */
#include "activity/local_retry.h"
#include "base/clock.h"
#include "support/cmocka_env.h"
#include "wire/failure.h"
#include "wire/payload.h"

#define MS FLO_NS_PER_MS
#define STATE(name) FLO_API__RETRY_STATE__RETRY_STATE_##name

struct fixture {
    struct flo_arena arena;
    FloApi__RetryPolicy policy;
    FloApi__Failure *failure;
};

static int setup(void **state)
{
    static struct fixture f;
    flo_arena_init(&f.arena, 0);
    flo_api__retry_policy__init(&f.policy);
    f.failure = flo_failure_application(&f.arena, "no", "Error", false, NULL, 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    flo_arena_fini(&f->arena);
    return 0;
}

static void expect_delay(const struct fixture *f, const FloApi__RetryPolicy *policy,
                         int32_t attempt, int64_t ms)
{
    struct flo_local_retry verdict = flo_local_retry(policy, f->failure, attempt, INT64_MAX);
    assert_true(verdict.again);
    assert_int_equal(verdict.delay_ns, ms * MS);
}

static void expect_end(const struct fixture *f, int32_t attempt, int64_t left_ns,
                       FloApi__RetryState state)
{
    struct flo_local_retry verdict = flo_local_retry(&f->policy, f->failure, attempt, left_ns);
    assert_false(verdict.again);
    assert_int_equal(verdict.state, state);
}

/* Without a policy: 1 s, doubled each time, up to 100 s, for ever. */
static void test_retry_without_policy(void **state)
{
    const struct fixture *f = *state;
    expect_delay(f, NULL, 1, 1000);
    expect_delay(f, NULL, 2, 2000);
    expect_delay(f, NULL, 7, 64000);
    expect_delay(f, NULL, 8, 100000);
    expect_delay(f, NULL, INT32_MAX, 100000);
}

static void test_retry_by_policy(void **state)
{
    struct fixture *f = *state;
    f->policy.initial_interval = flo_duration_new(&f->arena, 10 * MS);
    f->policy.backoff_coefficient = 3;
    expect_delay(f, &f->policy, 1, 10);
    expect_delay(f, &f->policy, 3, 90);
    expect_delay(f, &f->policy, 50, 1000);
    f->policy.maximum_interval = flo_duration_new(&f->arena, 50 * MS);
    expect_delay(f, &f->policy, 3, 50);
    f->policy.backoff_coefficient = 1;
    expect_delay(f, &f->policy, INT32_MAX, 10);
}

static void test_retry_ends_with_the_attempts(void **state)
{
    struct fixture *f = *state;
    f->policy.maximum_attempts = 3;
    expect_delay(f, &f->policy, 2, 2000);
    expect_end(f, 3, INT64_MAX, STATE(MAXIMUM_ATTEMPTS_REACHED));
}

static void test_retry_needs_time(void **state)
{
    struct fixture *f = *state;
    expect_end(f, 1, 1000 * MS, STATE(TIMEOUT));
    assert_true(flo_local_retry(&f->policy, f->failure, 1, 1001 * MS).again);
    expect_end(f, 1, -1, STATE(TIMEOUT));
}

static void test_retry_never_of_some_failures(void **state)
{
    struct fixture *f = *state;
    char *types[] = {(char[]){"Broke"}, (char[]){"TemporalTimeout:StartToClose"}};
    f->policy.non_retryable_error_types = types;
    f->policy.n_non_retryable_error_types = 1;
    f->failure = flo_failure_application(&f->arena, "no", "Error", true, NULL, 0);
    expect_end(f, 1, INT64_MAX, STATE(NON_RETRYABLE_FAILURE));
    f->failure = flo_failure_application(&f->arena, "no", "Broke", false, NULL, 0);
    expect_end(f, 1, INT64_MAX, STATE(NON_RETRYABLE_FAILURE));
    f->failure = flo_failure_cancelled(&f->arena, "no", NULL);
    expect_end(f, 1, INT64_MAX, STATE(NON_RETRYABLE_FAILURE));
    f->failure =
        flo_failure_timeout(&f->arena, "no", FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_SCHEDULE_TO_CLOSE);
    expect_end(f, 1, INT64_MAX, STATE(NON_RETRYABLE_FAILURE));
    f->failure =
        flo_failure_timeout(&f->arena, "no", FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_START_TO_CLOSE);
    expect_delay(f, &f->policy, 1, 1000);
    f->policy.n_non_retryable_error_types = 2;
    expect_end(f, 1, INT64_MAX, STATE(NON_RETRYABLE_FAILURE));
}

/* What the failure asks for goes before the policy, but not before its number of attempts. */
static void test_retry_when_the_failure_says(void **state)
{
    struct fixture *f = *state;
    f->failure = flo_failure_application(&f->arena, "no", "Error", false, NULL, 7 * MS);
    expect_delay(f, &f->policy, 4, 7);
    f->policy.maximum_attempts = 4;
    expect_end(f, 4, INT64_MAX, STATE(MAXIMUM_ATTEMPTS_REACHED));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_retry_without_policy),         TEST(test_retry_by_policy),
        TEST(test_retry_ends_with_the_attempts), TEST(test_retry_needs_time),
        TEST(test_retry_never_of_some_failures), TEST(test_retry_when_the_failure_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
