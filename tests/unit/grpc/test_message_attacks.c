/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_message_attacks.c - hostile gRPC in correct HTTP/2 against the server: requests, messages,
 * encodings, timeouts and metadata. Each is refused with its status; the connection stays.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/clock.h"
#include "unit/grpc/attack.h"

static void assert_answer(struct attack *a, int32_t stream, const char *want)
{
    H2RAW_UNTIL(&a->raw, h2raw_answer(&a->raw, stream)->ended);
    if (!strstr(h2raw_answer(&a->raw, stream)->headers, want))
        fail_msg("stream %d: want \"%s\", got:\n%s", stream, want,
                 h2raw_answer(&a->raw, stream)->headers);
}

/* One request with these extra headers and no body must be answered with want. */
static void refused(struct attack *a, int32_t stream, const char *name, const char *value,
                    const char *want)
{
    const char *extra[] = {name, value, NULL};
    h2raw_request(&a->raw, stream, NGHTTP2_FLAG_END_STREAM, "/t/echo", extra);
    assert_answer(a, stream, want);
}

/* HTTP/2 that is no gRPC is refused with an HTTP status. */
static void test_other_http_is_refused(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    refused(a, 1, "content-type", "text/plain", ":status: 415\n");
    refused(a, 3, "content-type", "", ":status: 415\n");
    refused(a, 5, "content-type", "application/grpc-web", ":status: 415\n");
    refused(a, 7, ":method", "GET", ":status: 405\n");
    assert_int_equal(a->pair.calls, 0);
    assert_conn_stays(a, 9);
}

/* Long paths never reach the handler, odd ones are its business. */
static void test_odd_paths_are_refused(void **state)
{
    struct attack *a = *state;
    static char path[10 * 1024];
    memset(path, 'p', sizeof path - 1);
    path[0] = '/';
    h2raw_preface(&a->raw);
    refused(a, 1, ":path", path, "grpc-status: 12\n");
    assert_int_equal(a->pair.calls, 0);
    h2raw_request(&a->raw, 3, 0, "//", NULL);
    h2raw_message(&a->raw, 3, NGHTTP2_FLAG_END_STREAM, 0, 0, NULL, 0);
    assert_answer(a, 3, "grpc-status: 12\n");
    assert_conn_stays(a, 5);
}

/* One message with this prefix must be answered with want. */
static void bad_message(struct attack *a, int32_t stream, uint8_t flags, uint8_t compressed,
                        uint32_t announced, size_t len, const char *want)
{
    static uint8_t body[64];
    h2raw_request(&a->raw, stream, 0, "/t/echo", NULL);
    h2raw_message(&a->raw, stream, flags, compressed, announced, body, len);
    assert_answer(a, stream, want);
}

/* Wrong prefixes: flags, lengths that are not kept, none or half of one. */
static void test_bad_messages_are_refused(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    bad_message(a, 1, NGHTTP2_FLAG_END_STREAM, 1, 3, 3, "grpc-status: 13\n");
    bad_message(a, 3, NGHTTP2_FLAG_END_STREAM, 2, 3, 3, "grpc-status: 13\n");
    bad_message(a, 5, NGHTTP2_FLAG_END_STREAM, 255, 3, 3, "grpc-status: 13\n");
    bad_message(a, 7, 0, 0, 0xffffffff, 0, "grpc-status: 8\n");
    bad_message(a, 9, NGHTTP2_FLAG_END_STREAM, 0, 10, 3, "grpc-status: 13\n");
    bad_message(a, 11, NGHTTP2_FLAG_END_STREAM, 0, 3, 9, "grpc-status: 13\n");
    refused(a, 13, "x", "y", "grpc-status: 13\n"); /* no message */
    h2raw_request(&a->raw, 15, 0, "/t/echo", NULL);
    h2raw_frame(&a->raw, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 15, "\0\0\0", 3);
    assert_answer(a, 15, "grpc-status: 13\n");
    assert_int_equal(a->pair.calls, 0);
    assert_conn_stays(a, 17);
}

/* An encoding that we do not speak is refused with those that we do. */
static void test_unknown_encoding_unimplemented(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    refused(a, 1, "grpc-encoding", "snappy", "grpc-status: 12\n");
    assert_non_null(
        strstr(h2raw_answer(&a->raw, 1)->headers, "grpc-accept-encoding: identity,gzip"));
    assert_conn_stays(a, 3);
}

/* gzip of size zeros; the caller frees. */
static uint8_t *gzip_zeros(size_t size, size_t *out_len)
{
    static uint8_t zeros[65536];
    size_t cap = size / 900 + 4096;
    uint8_t *out = malloc(cap);
    z_stream zs = {.next_out = out, .avail_out = (uInt)cap};
    assert_int_equal(deflateInit2(&zs, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    while (size > 0) {
        zs.next_in = zeros;
        zs.avail_in = (uInt)(size < sizeof zeros ? size : sizeof zeros);
        size -= zs.avail_in;
        assert_true(deflate(&zs, size ? Z_NO_FLUSH : Z_FINISH) >= 0);
    }
    *out_len = cap - zs.avail_out;
    deflateEnd(&zs);
    return out;
}

static void send_gzip(struct attack *a, int32_t stream, const uint8_t *body, size_t len)
{
    const char *extra[] = {"grpc-encoding", "gzip", NULL};
    uint8_t prefix[5] = {1, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                         (uint8_t)len};
    h2raw_request(&a->raw, stream, 0, "/t/echo", extra);
    h2raw_frame(&a->raw, NGHTTP2_DATA, 0, stream, prefix, 5);
    for (size_t off = 0; off < len; off += 16384)
        h2raw_frame(&a->raw, NGHTTP2_DATA, 0, stream, body + off,
                    len - off < 16384 ? len - off : 16384);
    h2raw_frame(&a->raw, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, stream, NULL, 0);
}

/* gzip is served, a bomb stops at the limit, broken gzip is INTERNAL. */
static void test_gzip_is_served_and_a_bomb_stops(void **state)
{
    struct attack *a = *state;
    size_t len;
    uint8_t *body = gzip_zeros(1000, &len);
    h2raw_preface(&a->raw);
    send_gzip(a, 1, body, len);
    assert_answer(a, 1, "grpc-status: 0\n");
    assert_int_equal(h2raw_answer(&a->raw, 1)->data_bytes, 1005);
    body[len / 2] ^= 0x55;
    send_gzip(a, 3, body, len);
    assert_answer(a, 3, "grpc-status: 13\n");
    send_gzip(a, 5, body, len - 6);
    assert_answer(a, 5, "grpc-status: 13\n");
    free(body);
    body = gzip_zeros((size_t)4 << 20, &len);
    send_gzip(a, 7, body, len); /* exactly the limit */
    h2raw_frame(&a->raw, NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\x60\0\0", 4);
    h2raw_frame(&a->raw, NGHTTP2_WINDOW_UPDATE, 0, 7, "\0\x60\0\0", 4);
    assert_answer(a, 7, "grpc-status: 0\n");
    free(body);
    body = gzip_zeros((size_t)64 << 20, &len);
    send_gzip(a, 9, body, len);
    assert_answer(a, 9, "grpc-status: 8\n");
    free(body);
    assert_int_equal(a->pair.calls, 2);
    assert_conn_stays(a, 11);
}

/* A promise of 4 MiB that is not kept. */
static void test_slow_request_deadline_exceeded(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    bad_message(a, 1, 0, 0, 4 << 20, 1, "grpc-status: 4\n");
    assert_conn_stays(a, 3);
}

/* A grpc-timeout is kept, capped, or refused when it is malformed. */
static void test_grpc_timeout_is_kept_capped_or_refused(void **state)
{
    struct attack *a = *state;
    static const char *const bad[] = {"1", "-1S", "999999999S", "1x", "S", "1 S"};
    int32_t stream = 1;
    h2raw_preface(&a->raw);
    refused(a, stream, "grpc-timeout", "0n", "grpc-status: 4\n");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refused(a, stream += 2, "grpc-timeout", bad[i], "grpc-status: 13\n");
    const char *far[] = {"grpc-timeout", "99999999H", NULL};
    h2raw_request(&a->raw, stream += 2, 0, "/t/park", far);
    h2raw_message(&a->raw, stream, NGHTTP2_FLAG_END_STREAM, 0, 0, NULL, 0);
    H2RAW_UNTIL(&a->raw, a->pair.parked_count == 1);
    int64_t deadline = flo_grpc_server_call_deadline(a->pair.parked[0]);
    assert_true(deadline > flo_clock_mono_ns());
    assert_true(deadline < flo_clock_mono_ns() + INT64_C(366) * 86400 * FLO_NS_PER_S);
    const char *twice[] = {"grpc-timeout", "1S", "grpc-timeout", "2S", NULL};
    h2raw_request(&a->raw, stream += 2, NGHTTP2_FLAG_END_STREAM, "/t/echo", twice);
    assert_answer(a, stream, "grpc-status: 13\n");
    const char *soon[] = {"grpc-timeout", "50m", NULL};
    h2raw_request(&a->raw, stream += 2, 0, "/t/park", soon);
    h2raw_message(&a->raw, stream, NGHTTP2_FLAG_END_STREAM, 0, 0, NULL, 0);
    assert_answer(a, stream, "grpc-status: 4\n");
    assert_int_equal(a->pair.cancels, 1);
    assert_conn_stays(a, stream + 2);
}

/* -bin metadata must be base64, with or without padding; unknown grpc- names are fine. */
static void test_metadata_is_checked(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    refused(a, 1, "x-bad-bin", "***", "grpc-status: 13\n");
    const char *fine[] = {"x-padded-bin", "AAE=", "x-bare-bin", "AAE", "grpc-odd", "1", NULL};
    h2raw_request(&a->raw, 3, 0, "/t/echo", fine);
    h2raw_message(&a->raw, 3, NGHTTP2_FLAG_END_STREAM, 0, 0, NULL, 0);
    assert_answer(a, 3, "grpc-status: 0\n");
    assert_conn_stays(a, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_other_http_is_refused),
        CASE(test_odd_paths_are_refused),
        CASE(test_bad_messages_are_refused),
        CASE(test_unknown_encoding_unimplemented),
        CASE(test_gzip_is_served_and_a_bomb_stops),
        TIGHT(test_slow_request_deadline_exceeded),
        CASE(test_grpc_timeout_is_kept_capped_or_refused),
        CASE(test_metadata_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
