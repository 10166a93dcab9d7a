/* SPDX-License-Identifier: Apache-2.0 */
/* test_outcome.c - activity/outcome.c: the wire form of an attempt's end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "activity/outcome.h"

/* Each kind comes back as it went in, with and without a body. */
static void test_encode_decode_round_trip(void **state)
{
    static const uint8_t BODY[] = {1, 2, 0, 255};

    (void)state;
    for (int kind = FLO_OUTCOME_COMPLETED; kind <= FLO_OUTCOME_CANCELLED; kind++) {
        for (size_t len = 0; len <= sizeof BODY; len += sizeof BODY) {
            const struct flo_outcome in = {
                .kind = (enum flo_outcome_kind)kind, .body = BODY, .body_len = len};
            struct flo_outcome out;
            struct flo_buf buf;
            flo_buf_init(&buf, 0);
            assert_int_equal(flo_outcome_encode(&in, &buf), 0);
            assert_int_equal(flo_outcome_decode(buf.data, buf.len, &out), 0);
            assert_int_equal(out.kind, kind);
            assert_int_equal(out.body_len, len);
            if (len > 0)
                assert_memory_equal(out.body, BODY, len);
            flo_buf_fini(&buf);
        }
    }
}

/* Bytes that are no outcome are refused. */
static void test_decode_damaged_is_refused(void **state)
{
    static const uint8_t ZERO[] = {0, 1}, HIGH[] = {99, 0};
    static const uint8_t CUT[] = {FLO_OUTCOME_COMPLETED, 3, 1, 2},
                         ENDLESS[] = {FLO_OUTCOME_COMPLETED, 0x80, 0x80};
    struct flo_outcome out;

    (void)state;
    assert_int_equal(flo_outcome_decode(NULL, 0, &out), FLO_EPROTO);
    assert_int_equal(flo_outcome_decode(ZERO, 0, &out), FLO_EPROTO);
    assert_int_equal(flo_outcome_decode(ZERO, sizeof ZERO, &out), FLO_EPROTO);
    assert_int_equal(flo_outcome_decode(HIGH, sizeof HIGH, &out), FLO_EPROTO);
    assert_int_equal(flo_outcome_decode(CUT, 1, &out), FLO_EPROTO);
    assert_int_equal(flo_outcome_decode(CUT, sizeof CUT, &out), FLO_EPROTO);
    assert_int_equal(flo_outcome_decode(ENDLESS, sizeof ENDLESS, &out), FLO_EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encode_decode_round_trip),
        cmocka_unit_test(test_decode_damaged_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
