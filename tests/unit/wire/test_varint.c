/* SPDX-License-Identifier: Apache-2.0 */
/* test_varint.c - numbers of variable length, written and read. */
#include "wire/varint.h"

#include <string.h>

#include "support/cmocka_env.h"

/* Numbers come back as they went; what is too long or does not end is refused and not moved past.
 */
static void test_varint(void **state)
{
    static const uint64_t values[] = {0, 1, 127, 128, 300, UINT32_MAX, INT64_MAX, UINT64_MAX};
    uint8_t bytes[FLO_VARINT_MAX + 1];
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        const uint8_t *end = flo_varint_put(bytes, values[i]), *at = bytes;
        uint64_t value = 0;
        assert_int_equal(end - bytes, flo_varint_len(values[i]));
        assert_false(flo_varint_get(&at, end - 1, &value));
        assert_ptr_equal(at, bytes);
        assert_true(flo_varint_get(&at, end, &value));
        assert_ptr_equal(at, end);
        assert_true(value == values[i]);
    }
    /* every length, with bytes behind it and without */
    for (unsigned bits = 0; bits < 64; bits++) {
        const uint64_t written = UINT64_C(0x9e3779b97f4a7c15) >> bits;
        uint8_t long_bytes[32];
        memset(long_bytes, 0xff, sizeof long_bytes);
        const uint8_t *end = flo_varint_put(long_bytes, written);
        for (size_t behind = 0; behind < 12; behind++) {
            const uint8_t *from = long_bytes;
            uint64_t read = 0;
            assert_true(flo_varint_get(&from, end + behind, &read));
            assert_ptr_equal(from, end);
            assert_true(read == written);
        }
    }
    const uint8_t *at = bytes;
    uint64_t value;
    memset(bytes, 0xff, sizeof bytes);
    bytes[FLO_VARINT_MAX] = 0;
    assert_false(flo_varint_get(&at, bytes + sizeof bytes, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_varint)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
