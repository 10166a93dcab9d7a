/* SPDX-License-Identifier: Apache-2.0 */
/* The strict parser of request heads: what is taken, and what is refused with which status. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_env.h"
#include "telemetry/http_parse.h"

/* Parse a copy; the status. The copy lives until the next call. */
static int parse(const char *text, struct flo_http_head *out)
{
    static char copy[20000];
    size_t len = strlen(text), head_len = 0;
    memcpy(copy, text, len);
    int status = flo_http_find_head(copy, len, &head_len);
    return status ? status : flo_http_parse_head(copy, head_len, out);
}

/* Everything a handler may ask for is there. */
static void test_parse_good_request(void **state)
{
    struct flo_http_head head;
    (void)state;
    assert_int_equal(parse("POST /v1/scale/io%2dactivity?a=%31&b HTTP/1.1\r\nHost: h:1\r\n"
                           "content-LENGTH: 12 \r\nX-Empty:\r\nExpect: 100-continue\r\n\r\nrest",
                           &head),
                     0);
    assert_string_equal(head.method, "POST");
    assert_string_equal(head.path, "/v1/scale/io-activity");
    assert_string_equal(head.query, "a=%31&b");
    assert_string_equal(head.host, "h:1");
    assert_int_equal(head.body_len, 12);
    assert_int_equal(head.field_count, 4);
    assert_string_equal(head.fields[2].value, "");
    assert_true(head.keep_alive && head.expects_continue && !head.http10);
    assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n", &head), 0);
    assert_true(head.http10 && !head.keep_alive && !head.host);
    assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: a, Keep-Alive\r\n\r\n", &head), 0);
    assert_true(head.keep_alive);
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &head), 0);
    assert_false(head.keep_alive);
}

/* What could be read in two ways is refused. */
static void test_parse_doubtful_requests_are_refused(void **state)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"GET /\r\n\r\n", 400}, /* HTTP/0.9 */
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
        {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
        {"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"\x16\x03\x01\x02", 400},
        {"get / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: \x02\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 411},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    };
    struct flo_http_head head;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (parse(cases[i].text, &head) != cases[i].status)
            fail_msg("%d instead of %d: %s", parse(cases[i].text, &head), cases[i].status,
                     cases[i].text);
}

/* A path with control characters is none of ours; nothing is cut off at a NUL. */
static void test_parse_path_with_control_characters_matches_nothing(void **state)
{
    struct flo_http_head head;
    (void)state;
    assert_int_equal(parse("GET /health%00 HTTP/1.1\r\nHost: a\r\n\r\n", &head), 0);
    assert_string_equal(head.path, "");
    assert_int_equal(parse("GET * HTTP/1.1\r\nHost: a\r\n\r\n", &head), 0);
    assert_string_equal(head.path, "");
    assert_int_equal(flo_http_parse_head((char[]){"GET / HTTP/1.1\r\nA: \0\r\n\r\n"}, 23, &head),
                     400);
}

/* The bounds of line, headers and their number; short heads wait for more. */
static void test_parse_limits(void **state)
{
    static char text[40000];
    struct flo_http_head head;
    size_t len = 0;
    (void)state;
    assert_int_equal(flo_http_find_head("", 0, &len), -1);
    assert_int_equal(flo_http_find_head("GET / HTTP/1.1\r\nHost: a\r\n\r", 26, &len), -1);
    memset(text, 'a', sizeof text);
    memcpy(text, "GET /", 5);
    assert_int_equal(flo_http_find_head(text, FLO_HTTP_LINE_MAX, &len), -1);
    assert_int_equal(flo_http_find_head(text, FLO_HTTP_LINE_MAX + 1, &len), 414);
    memcpy(text, "GET / HTTP/1.1\r\nX: ", 19);
    assert_int_equal(flo_http_find_head(text, FLO_HTTP_HEADERS_MAX, &len), -1);
    assert_int_equal(flo_http_find_head(text, FLO_HTTP_HEADERS_MAX + 40, &len), 431);
    len = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < FLO_HTTP_FIELDS_MAX; i++)
        len += (size_t)snprintf(text + len, 8, "A: b\r\n");
    memcpy(text + len, "\r\n", 3);
    assert_int_equal(parse(text, &head), 431);
}

static void test_list_has(void **state)
{
    (void)state;
    assert_true(flo_http_list_has("keep-alive, Close", "close"));
    assert_true(flo_http_list_has(" close ", "close"));
    assert_false(flo_http_list_has("closed, not-close", "close"));
    assert_false(flo_http_list_has(NULL, "close"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_good_request),
        cmocka_unit_test(test_parse_doubtful_requests_are_refused),
        cmocka_unit_test(test_parse_path_with_control_characters_matches_nothing),
        cmocka_unit_test(test_parse_limits),
        cmocka_unit_test(test_list_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
