/* SPDX-License-Identifier: Apache-2.0 */
/* test_timers.c - the heap of deadlines, against a list that is searched. */
#include <stdlib.h>

#include "base/random.h"
#include "engine/core/timers.h"
#include "support/cmocka_env.h"

static void never(struct flo_core *core, struct flo_core_timer *timer)
{
    (void)core;
    (void)timer;
}

/* Equal deadlines fire in the order in which they were set. */
static void test_equal_deadlines_keep_their_order(void **state)
{
    (void)state;
    struct flo_core_timers timers;
    struct flo_core_timer timer[20] = {0};
    flo_core_timers_init(&timers);
    for (int i = 0; i < 20; i++)
        assert_int_equal(flo_core_timers_set(&timers, &timer[i], i % 2, never), 0);
    for (int i = 0; i < 20; i++)
        assert_ptr_equal(flo_core_timers_pop_due(&timers, 5),
                         &timer[i < 10 ? 2 * i : 2 * (i - 10) + 1]);
    assert_null(flo_core_timers_pop_due(&timers, 5));
    flo_core_timers_fini(&timers);
}

/* The next one in a plain search: earliest deadline, then order. */
static struct flo_core_timer *search(struct flo_core_timer *all, size_t count)
{
    struct flo_core_timer *best = NULL;
    for (size_t i = 0; i < count; i++)
        if (flo_core_timer_is_set(&all[i]) &&
            (!best || all[i].deadline_ns < best->deadline_ns ||
             (all[i].deadline_ns == best->deadline_ns && all[i].order < best->order)))
            best = &all[i];
    return best;
}

/* Setting, moving, clearing and popping at random agrees with the search. */
static void test_random_operations_agree_with_a_search(void **state)
{
    (void)state;
    enum { COUNT = 64 };
    struct flo_core_timers timers;
    struct flo_core_timer all[COUNT] = {0};
    struct flo_rng rng;
    flo_rng_seed(&rng, 7);
    flo_core_timers_init(&timers);
    for (int step = 0; step < 20000; step++) {
        struct flo_core_timer *timer = &all[flo_rng_below(&rng, COUNT)];
        switch (flo_rng_below(&rng, 4)) {
        case 0:
        case 1:
            assert_int_equal(
                flo_core_timers_set(&timers, timer, (int64_t)flo_rng_below(&rng, 50), never), 0);
            break;
        case 2:
            flo_core_timers_clear(&timers, timer);
            assert_false(flo_core_timer_is_set(timer));
            break;
        default: {
            struct flo_core_timer *next = search(all, COUNT);
            assert_true(flo_core_timers_next(&timers) == (next ? next->deadline_ns : INT64_MAX));
            assert_ptr_equal(flo_core_timers_pop_due(&timers, INT64_MAX - 1), next);
        }
        }
    }
    flo_core_timers_fini(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_deadlines_keep_their_order),
        cmocka_unit_test(test_random_operations_agree_with_a_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
