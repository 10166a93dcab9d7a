/* SPDX-License-Identifier: Apache-2.0 */
/* test_codec.c - the small codings: timeouts, percent-coding, content types, codes, messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "base/alloc.h"
#include "grpc/codec.h"
#include "grpc/message.h"
#include "grpc/status.h"

static void assert_formats(int64_t ms, const char *want)
{
    char text[FLO_GRPC_TIMEOUT_MAX];
    flo_grpc_timeout_format(ms, text);
    assert_string_equal(text, want);
}

/* Short texts, never shorter in time than asked for, at most 8 digits. */
static void test_timeout_format(void **state)
{
    (void)state;
    assert_formats(1, "1m");
    assert_formats(0, "1m");
    assert_formats(1500, "1500m");
    assert_formats(70000, "70S");
    assert_formats(99999999, "99999999m");
    assert_formats(100000001, "100001S");
    assert_formats(INT64_C(100000000001), "1666667M");
    assert_formats(INT64_MAX, "99999999H");
}

static int parse(const char *text, int64_t *out_ns)
{
    return flo_grpc_timeout_parse((const uint8_t *)text, strlen(text), out_ns);
}

/* Every unit; the year's cap; what is malformed leaves the output alone. */
static void test_timeout_parse(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "1", "S", "-1S", "+1S", "1x", "999999999S", " 1S", "1S "};
    int64_t ns = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(parse(bad[i], &ns), FLO_EPROTO);
    assert_int_equal(ns, 7);
    assert_int_equal(parse("3n", &ns), 0);
    assert_int_equal(ns, 3);
    assert_int_equal(parse("3u", &ns), 0);
    assert_int_equal(ns, 3000);
    assert_int_equal(parse("3m", &ns), 0);
    assert_int_equal(ns, 3000000);
    assert_int_equal(parse("3S", &ns), 0);
    assert_int_equal(ns, 3000000000);
    assert_int_equal(parse("3M", &ns), 0);
    assert_int_equal(ns, INT64_C(180000000000));
    assert_int_equal(parse("3H", &ns), 0);
    assert_int_equal(ns, INT64_C(10800000000000));
    assert_int_equal(parse("99999999H", &ns), 0);
    assert_int_equal(ns, FLO_GRPC_TIMEOUT_CAP_NS);
}

/* What is encoded decodes to itself; broken escapes stand for themselves. */
static void test_percent_round_trip(void **state)
{
    (void)state;
    struct flo_buf coded, plain;
    flo_buf_init(&coded, 0);
    flo_buf_init(&plain, 0);
    assert_int_equal(flo_grpc_percent_encode(&coded, "100% ä\n~"), 0);
    assert_string_equal(flo_buf_cstr(&coded), "100%25 %C3%A4%0A~");
    assert_int_equal(flo_grpc_percent_decode(&plain, coded.data, coded.len), 0);
    assert_string_equal(flo_buf_cstr(&plain), "100% ä\n~");
    flo_buf_clear(&plain);
    assert_int_equal(flo_grpc_percent_decode(&plain, (const uint8_t *)"%zz%4%41", 8), 0);
    assert_string_equal(flo_buf_cstr(&plain), "%zz%4A");
    flo_buf_fini(&coded);
    flo_buf_fini(&plain);
}

static bool grpc_type(const char *type)
{
    return flo_grpc_is_grpc_type((const uint8_t *)type, strlen(type));
}

static void test_content_types(void **state)
{
    (void)state;
    assert_true(grpc_type("application/grpc"));
    assert_true(grpc_type("application/grpc+proto"));
    assert_true(grpc_type("application/grpc;charset=utf-8"));
    assert_false(grpc_type("application/grpc-web"));
    assert_false(grpc_type("application/grp"));
    assert_false(grpc_type("text/plain"));
    assert_true(flo_grpc_is_bin("x-bin", 5));
    assert_false(flo_grpc_is_bin("bin", 3));
}

static void test_codes_and_names(void **state)
{
    (void)state;
    assert_string_equal(flo_grpc_code_name(FLO_GRPC_NOT_FOUND), "NOT_FOUND");
    assert_string_equal(flo_grpc_code_name(99), "UNKNOWN_CODE");
    assert_int_equal(flo_grpc_code_from_http(503), FLO_GRPC_UNAVAILABLE);
    assert_int_equal(flo_grpc_code_from_http(418), FLO_GRPC_UNKNOWN);
    assert_int_equal(flo_grpc_code_from_h2(NGHTTP2_REFUSED_STREAM), FLO_GRPC_UNAVAILABLE);
    assert_int_equal(flo_grpc_code_from_h2(12345), FLO_GRPC_INTERNAL);
}

/* A message that comes byte by byte is whole at the end, whatever allocation fails on the way. */
static void test_message_survives_failing_allocations(void **state)
{
    (void)state;
    static const uint8_t wire[] = {0, 0, 0, 0, 100, 'a', 'b'};
    static uint8_t rest[98];
    for (int64_t nth = 0; nth < 6; nth++) {
        struct flo_grpc_message message;
        struct flo_grpc_message_error error = {0};
        const uint8_t *body;
        size_t len;
        int rc = 0;
        flo_grpc_message_init(&message, 1000);
        flo_alloc_fail_after(nth, 0);
        for (size_t i = 0; i < sizeof wire && !rc; i++)
            rc = flo_grpc_message_add(&message, wire + i, 1, &error);
        if (!rc)
            rc = flo_grpc_message_add(&message, rest, sizeof rest, &error);
        flo_alloc_fail_after(-1, 0);
        if (!rc)
            rc = flo_grpc_message_end(&message, &body, &len, &error);
        if (rc) {
            assert_int_equal(rc, FLO_ENOMEM);
            assert_int_equal(error.code, FLO_GRPC_RESOURCE_EXHAUSTED);
        } else {
            assert_int_equal(len, 100);
            assert_memory_equal(body, "ab", 2);
        }
        flo_grpc_message_fini(&message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timeout_format),
        cmocka_unit_test(test_timeout_parse),
        cmocka_unit_test(test_percent_round_trip),
        cmocka_unit_test(test_content_types),
        cmocka_unit_test(test_codes_and_names),
        cmocka_unit_test(test_message_survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
