/* SPDX-License-Identifier: Apache-2.0 */
/* test_decimal.c - whole numbers in digits. */
#include "base/decimal.h"
#include "support/cmocka_env.h"

static void test_numbers_have_their_digits(void **state)
{
    char text[FLO_DECIMAL_BYTES];
    (void)state;
    assert_string_equal(flo_decimal(0, text), "0");
    assert_string_equal(flo_decimal(7, text), "7");
    assert_string_equal(flo_decimal(10, text), "10");
    assert_string_equal(flo_decimal(9999, text), "9999");
    assert_string_equal(flo_decimal(10000, text), "10000");
    assert_string_equal(flo_decimal(UINT64_MAX, text), "18446744073709551615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers_have_their_digits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
