/* SPDX-License-Identifier: Apache-2.0 */
/* test_list.c - lists that are joined. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

/* All of one list goes behind the other, in order; it is empty then, and can be used again. */
static void test_move_all_joins_in_order(void **state)
{
    struct flo_node nodes[5] = {0};
    struct flo_list to, from;

    (void)state;
    flo_list_init(&to);
    flo_list_init(&from);
    flo_list_move_all(&to, &from);
    assert_true(flo_list_empty(&to));
    for (int i = 0; i < 2; i++)
        flo_list_push_back(&to, &nodes[i]);
    for (int i = 2; i < 4; i++)
        flo_list_push_back(&from, &nodes[i]);
    flo_list_move_all(&to, &from);
    assert_true(flo_list_empty(&from));
    assert_int_equal(to.count, 4);
    flo_list_push_back(&to, &nodes[4]);
    flo_list_move_all(&from, &to); /* to an empty one */
    assert_int_equal(from.count, 5);
    for (int i = 0; i < 5; i++)
        assert_ptr_equal(flo_list_pop_front(&from), &nodes[i]);
    assert_true(flo_list_empty(&from) && flo_list_empty(&to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_move_all_joins_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
