/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that runs share. */
#include "base/alloc.h"
#include "engine/core/names.h"
#include "support/cmocka_env.h"

/* Equal texts are one copy, which stays until its last user gives it back. */
static void test_names_are_shared(void **state)
{
    (void)state;
    struct flo_names names = {0};
    char text[] = "queue";
    const char *a = flo_names_get(&names, text);
    text[0] = 'Q'; /* it was copied */
    const char *b = flo_names_get(&names, "queue"), *other = flo_names_get(&names, "Queue");
    const char *empty = flo_names_get(&names, "");
    assert_string_equal(a, "queue");
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, other);
    assert_string_equal(empty, "");
    assert_int_equal(names.index.count, 3);
    flo_names_put(&names, &a);
    assert_null(a);
    assert_string_equal(b, "queue");
    flo_names_put(&names, &b);
    assert_int_equal(names.index.count, 2);
    flo_names_put(&names, &b); /* NULL is fine */
    flo_names_put(&names, &other);
    flo_names_put(&names, &empty);
    flo_names_fini(&names);
}

/* Without memory nothing is added. */
static void test_names_without_memory(void **state)
{
    (void)state;
    struct flo_names names = {0};
    for (int64_t nth = 0; nth < 2; nth++) { /* the text, then the index */
        flo_alloc_fail_after(nth, 0);
        assert_null(flo_names_get(&names, "a"));
        flo_alloc_fail_after(-1, 0);
        assert_int_equal(names.index.count, 0);
    }
    flo_names_fini(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_shared),
        cmocka_unit_test(test_names_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
