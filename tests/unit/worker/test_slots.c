/* SPDX-License-Identifier: Apache-2.0 */
/* test_slots.c - worker/slots.c: a poll needs a slot, a task keeps it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "worker/slots.h"

/* Slots go to polls until none is free. */
static void test_reserve_all_taken_refuses(void **state)
{
    struct flo_slots slots;

    (void)state;
    flo_slots_init(&slots, 2);
    assert_true(flo_slots_reserve(&slots));
    assert_true(flo_slots_reserve(&slots));
    assert_false(flo_slots_reserve(&slots));
    flo_slots_release(&slots);
    assert_true(flo_slots_reserve(&slots));
}

/* A task holds the slot of its poll until it is finished. */
static void test_run_keeps_the_slot_until_finish(void **state)
{
    struct flo_slots slots;

    (void)state;
    flo_slots_init(&slots, 1);
    assert_true(flo_slots_reserve(&slots));
    flo_slots_run(&slots);
    assert_int_equal(slots.running, 1);
    assert_int_equal(flo_slots_free(&slots), 0);
    assert_false(flo_slots_reserve(&slots));
    flo_slots_finish(&slots);
    assert_int_equal(flo_slots_free(&slots), 1);
}

/* A task that has run gives its slot to the next poll; answers on their way have a bound. */
static void test_answer_frees_the_slot_up_to_a_bound(void **state)
{
    struct flo_slots slots;

    (void)state;
    flo_slots_init(&slots, 2);
    for (int i = 0; i < 2; i++) {
        assert_true(flo_slots_reserve(&slots));
        flo_slots_run(&slots);
        flo_slots_answer(&slots);
    }
    assert_int_equal(slots.running, 0);
    assert_int_equal(flo_slots_busy(&slots), 2);
    assert_false(flo_slots_reserve(&slots));
    flo_slots_answered(&slots);
    assert_int_equal(flo_slots_free(&slots), 2);
    assert_true(flo_slots_reserve(&slots));
    assert_int_equal(flo_slots_busy(&slots), 1);
}

/* A smaller total takes nothing away, and nothing is given out until enough has come back. */
static void test_resize_below_what_is_taken_loses_nothing(void **state)
{
    struct flo_slots slots;

    (void)state;
    flo_slots_init(&slots, 3);
    for (int i = 0; i < 3; i++)
        assert_true(flo_slots_reserve(&slots));
    flo_slots_run(&slots);
    flo_slots_run(&slots);
    flo_slots_resize(&slots, 1);
    assert_int_equal(flo_slots_free(&slots), 0);
    flo_slots_run(&slots); /* the poll that was out brings its task all the same */
    flo_slots_finish(&slots);
    flo_slots_finish(&slots);
    assert_int_equal(slots.running, 1);
    assert_false(flo_slots_reserve(&slots));
    flo_slots_finish(&slots);
    assert_true(flo_slots_reserve(&slots));
    flo_slots_resize(&slots, 4);
    assert_int_equal(flo_slots_free(&slots), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reserve_all_taken_refuses),
        cmocka_unit_test(test_run_keeps_the_slot_until_finish),
        cmocka_unit_test(test_answer_frees_the_slot_up_to_a_bound),
        cmocka_unit_test(test_resize_below_what_is_taken_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
