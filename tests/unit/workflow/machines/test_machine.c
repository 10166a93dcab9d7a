/* SPDX-License-Identifier: Apache-2.0 */
/* test_machine.c - the mover follows the table. */
#include "workflow/machines/machine.h"

#include "support/cmocka_env.h"

enum { RED, GREEN, OFF };

static const struct flo_machine_state light[] = {
    [RED] = {"red", FLO_STATE_BIT(GREEN) | FLO_STATE_BIT(OFF)},
    [GREEN] = {"green", FLO_STATE_BIT(RED)},
    [OFF] = {"off", 0},
};

static void test_move_follows_the_table(void **state)
{
    (void)state;
    struct flo_machine machine = {light, RED};
    assert_int_equal(flo_machine_move(&machine, GREEN), 0);
    assert_string_equal(flo_machine_state_name(&machine), "green");
    assert_false(flo_machine_final(&machine));
    assert_int_equal(flo_machine_move(&machine, OFF), FLO_ENONDET);
    assert_int_equal(machine.state, GREEN);
    assert_int_equal(flo_machine_move(&machine, RED), 0);
    assert_int_equal(flo_machine_move(&machine, OFF), 0);
    assert_true(flo_machine_final(&machine));
    assert_int_equal(flo_machine_move(&machine, OFF), FLO_ENONDET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_move_follows_the_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
