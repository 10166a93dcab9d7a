/* SPDX-License-Identifier: Apache-2.0 */
/* test_limits.c - rates and open calls of namespaces, on a clock of the test. */
#include "engine/limits.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#define S INT64_C(1000000000)

static int served(struct flo_limits *limits, const char *name, int64_t now_ns, int calls)
{
    int count = 0;
    unsigned *open;
    for (int i = 0; i < calls; i++)
        count +=
            flo_limits_begin(limits, name, FLO_LIMITS_SHORT, now_ns, &open) == FLO_LIMITS_SERVE;
    return count;
}

static struct flo_limits *make(double rps, unsigned concurrent)
{
    struct flo_limits *limits;
    const struct flo_limits_options options = {.rps = rps, .concurrent = concurrent};
    assert_int_equal(flo_limits_new(&options, &limits), 0);
    return limits;
}

/* A burst of twice the rate, then the rate; each namespace for itself. */
static void test_rate_with_burst(void **state)
{
    (void)state;
    struct flo_limits *limits = make(5, 0);
    assert_int_equal(served(limits, "a", 100 * S, 40), 10);
    assert_int_equal(served(limits, "b", 100 * S, 3), 3);
    assert_int_equal(served(limits, "a", 101 * S, 40), 5);
    assert_int_equal(served(limits, "a", 1000 * S, 40), 10);
    flo_limits_destroy(&limits);
}

/* Less than a call a second is a limit, too. */
static void test_slow_rate_serves_one(void **state)
{
    (void)state;
    struct flo_limits *limits = make(0.1, 0);
    assert_int_equal(served(limits, "a", 0, 3), 1);
    assert_int_equal(served(limits, "a", 5 * S, 3), 0);
    assert_int_equal(served(limits, "a", 11 * S, 3), 1);
    flo_limits_destroy(&limits);
}

/* So many open calls of each long-running method and namespace; one that ends makes room. */
static void test_concurrent_calls_of_a_kind(void **state)
{
    (void)state;
    struct flo_limits *limits = make(0, 2);
    enum flo_limits_long poll = flo_limits_kind("PollWorkflowTaskQueue");
    unsigned *first, *open;
    assert_int_equal(flo_limits_begin(limits, "a", poll, 0, &first), FLO_LIMITS_SERVE);
    assert_int_equal(flo_limits_begin(limits, "a", poll, 0, &open), FLO_LIMITS_SERVE);
    assert_int_equal(flo_limits_begin(limits, "a", poll, 0, &open), FLO_LIMITS_CONCURRENT);
    assert_null(open);
    assert_int_equal(flo_limits_begin(limits, "b", poll, 0, &open), FLO_LIMITS_SERVE);
    assert_int_equal(
        flo_limits_begin(limits, "a", flo_limits_kind("PollActivityTaskQueue"), 0, &open),
        FLO_LIMITS_SERVE);
    assert_int_equal(served(limits, "a", 0, 100), 100);
    --*first;
    assert_int_equal(flo_limits_begin(limits, "a", poll, 0, &open), FLO_LIMITS_SERVE);
    assert_int_equal(flo_limits_kind("StartWorkflowExecution"), FLO_LIMITS_SHORT);
    flo_limits_destroy(&limits);
}

/* Names that a caller makes up cannot fill the memory: beyond a bound they share one limit. */
static void test_many_names_share(void **state)
{
    (void)state;
    struct flo_limits *limits = make(1, 0);
    char name[32];
    int count = 0;
    for (int i = 0; i < 3 * FLO_LIMITS_NAMESPACES_MAX; i++) {
        snprintf(name, sizeof name, "n%d", i);
        count += served(limits, name, 0, 1);
    }
    assert_int_equal(count, FLO_LIMITS_NAMESPACES_MAX + 2);
    flo_limits_destroy(&limits);
}

/* Who made up many names keeps nobody else from a limit of its own for longer than a rate lasts. */
static void test_idle_names_make_room(void **state)
{
    (void)state;
    struct flo_limits *limits = make(1, 1);
    enum flo_limits_long poll = flo_limits_kind("PollWorkflowTaskQueue");
    char name[32];
    unsigned *open;
    assert_int_equal(flo_limits_begin(limits, "polls", poll, 0, &open), FLO_LIMITS_SERVE);
    for (int i = 0; i < FLO_LIMITS_NAMESPACES_MAX; i++) {
        snprintf(name, sizeof name, "n%d", i);
        (void)served(limits, name, 0, 1);
    }
    assert_int_equal(served(limits, "late", 0, 3), 1); /* of what the others left */
    assert_int_equal(served(limits, "a", 2 * S, 3), 2);
    assert_int_equal(served(limits, "b", 2 * S, 3), 2);
    assert_int_equal(flo_limits_begin(limits, "polls", poll, 2 * S, &open), FLO_LIMITS_CONCURRENT);
    flo_limits_destroy(&limits);
}

/* A name that is longer than any namespace's is not kept. */
static void test_long_names_share(void **state)
{
    (void)state;
    struct flo_limits *limits = make(1, 0);
    char name[300];
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(served(limits, name, 0, 3), 2);
    name[0] = 'b';
    assert_int_equal(served(limits, name, 0, 3), 0);
    name[255] = '\0';
    assert_int_equal(served(limits, name, 0, 3), 2);
    flo_limits_destroy(&limits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate_with_burst),
        cmocka_unit_test(test_slow_rate_serves_one),
        cmocka_unit_test(test_concurrent_calls_of_a_kind),
        cmocka_unit_test(test_many_names_share),
        cmocka_unit_test(test_idle_names_make_room),
        cmocka_unit_test(test_long_names_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
