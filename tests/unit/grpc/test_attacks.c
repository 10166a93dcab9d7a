/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_attacks.c - hostile HTTP/2 frames and gRPC messages against the server: the required answer
 * comes, and another connection is served meanwhile. Over 600 lines because it is one list, a case
 * after another over the same raw peer; a cut anywhere would only scatter it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/clock.h"
#include "support/h2raw.h"
#include "unit/grpc/pair.h"

struct attack {
    struct pair pair;
    struct h2raw raw;
};

static int setup_with(void **state, const struct flo_grpc_server_options *opt)
{
    struct attack *a = calloc(1, sizeof *a);
    pair_init(&a->pair, opt);
    pair_connect(&a->pair, NULL, NULL);
    RUN_UNTIL(&a->pair, a->pair.connected);
    h2raw_open(&a->raw, a->pair.base, flo_grpc_server_address(a->pair.server));
    *state = a;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, NULL);
}

/* Short timeouts and few streams. */
static int setup_tight(void **state)
{
    return setup_with(state, &(struct flo_grpc_server_options){.handshake_timeout_ms = 300,
                                                               .request_timeout_ms = 300,
                                                               .stall_timeout_ms = 400,
                                                               .max_streams = 100});
}

static int teardown(void **state)
{
    struct attack *a = *state;
    h2raw_close(&a->raw);
    pair_fini(&a->pair);
    free(a);
    return 0;
}

/* The other connection answers at once (a second: test machines are busy). */
static void assert_others_live(struct attack *a)
{
    struct outcome out;
    int64_t began = flo_clock_mono_ns();
    pair_call(&a->pair, "/t/echo", "live", 4, 5000, &out);
    RUN_UNTIL(&a->pair, out.runs);
    assert_int_equal(out.code, FLO_GRPC_OK);
    assert_true(flo_clock_mono_ns() - began < FLO_NS_PER_S);
    assert_int_equal(a->pair.connects, 1);
    outcome_fini(&out);
}

/* The attacked connection itself serves a correct call on stream. */
static void assert_conn_stays(struct attack *a, int32_t stream)
{
    h2raw_request(&a->raw, stream, 0, "/t/echo", NULL);
    h2raw_message(&a->raw, stream, NGHTTP2_FLAG_END_STREAM, 0, 2, "ok", 2);
    H2RAW_UNTIL(&a->raw, h2raw_answer(&a->raw, stream)->ended);
    assert_non_null(strstr(h2raw_answer(&a->raw, stream)->headers, "grpc-status: 0\n"));
    assert_int_equal(h2raw_answer(&a->raw, stream)->data_bytes, 7);
}

/* The server ended the connection with this code. */
static void assert_ends_with(struct attack *a, uint32_t code, const char *reason)
{
    H2RAW_UNTIL(&a->raw, a->raw.closed);
    assert_true(a->raw.goaway);
    assert_int_equal(a->raw.goaway_code, code);
    if (reason)
        assert_string_equal(a->pair.last_reject, reason);
    assert_others_live(a);
}

static void flood(struct attack *a, size_t count, uint8_t type, uint8_t flags, int32_t stream,
                  const void *payload, size_t len)
{
    for (size_t i = 0; i < count; i++)
        h2raw_frame(&a->raw, type, flags, stream, payload, len);
}

/* ---- HTTP/2 ---- */

/* A request in HTTP/1.1 on the gRPC port is the end of its connection. */
static void test_http1_request_is_closed(void **state)
{
    struct attack *a = *state;
    static const char get[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    h2raw_bytes(&a->raw, get, sizeof get - 1);
    H2RAW_UNTIL(&a->raw, a->raw.closed);
    assert_string_equal(a->pair.last_reject, "h2.bad_preface");
    assert_others_live(a);
}

/* A connection that says nothing lasts as long as a handshake may. */
static void test_silent_connection_is_closed(void **state)
{
    struct attack *a = *state;
    a->raw.silent = true;
    H2RAW_UNTIL(&a->raw, a->raw.closed);
    assert_string_equal(a->pair.last_reject, "h2.handshake_timeout");
    assert_others_live(a);
}

/* So long, too, does one that stops in the middle of its SETTINGS. */
static void test_half_a_settings_is_closed(void **state)
{
    struct attack *a = *state;
    h2raw_bytes(&a->raw, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    h2raw_bytes(&a->raw, "\0\0\6\4", 4);
    H2RAW_UNTIL(&a->raw, a->raw.closed);
    assert_string_equal(a->pair.last_reject, "h2.handshake_timeout");
    assert_others_live(a);
}

/* Rapid reset: streams that are opened and reset at once are counted, and none stays behind. */
static void test_rapid_reset_is_ended(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    for (int32_t i = 0; i < 20000; i++) {
        h2raw_request(&a->raw, 2 * i + 1, 0, "/t/park", NULL);
        h2raw_message(&a->raw, 2 * i + 1, NGHTTP2_FLAG_END_STREAM, 0, 0, NULL, 0);
        h2raw_frame(&a->raw, NGHTTP2_RST_STREAM, 0, 2 * i + 1, "\0\0\0\10", 4);
    }
    assert_ends_with(a, NGHTTP2_ENHANCE_YOUR_CALM, "h2.reset_flood");
    assert_true(a->pair.calls <= 1001);
    assert_int_equal(flo_grpc_server_calls(a->pair.server), 0);
}

/* Made-you-reset: frames that make the server itself reset its streams are counted alike. */
static void test_made_you_reset_is_ended(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    for (int32_t i = 0; i < 5000; i++) {
        h2raw_request(&a->raw, 2 * i + 1, 0, "/t/park", NULL);
        h2raw_frame(&a->raw, NGHTTP2_WINDOW_UPDATE, 0, 2 * i + 1, "\0\0\0\0", 4);
    }
    H2RAW_UNTIL(&a->raw, a->raw.closed);
    assert_true(a->raw.goaway);
    assert_int_equal(flo_grpc_server_calls(a->pair.server), 0);
    assert_others_live(a);
}

/* A header block that never ends is ended by its frames' number. */
static void test_continuation_flood_is_ended(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    h2raw_frame(&a->raw, NGHTTP2_HEADERS, 0, 1, "\202", 1);
    flood(a, 5000, NGHTTP2_CONTINUATION, 0, 1, NULL, 0);
    H2RAW_UNTIL(&a->raw, a->raw.closed);
    assert_true(a->raw.goaway);
    assert_others_live(a);
}

/* A flood of SETTINGS is ended before they are all acknowledged. */
static void test_settings_flood_is_ended(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    flood(a, 20000, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    assert_ends_with(a, NGHTTP2_ENHANCE_YOUR_CALM, "h2.settings_flood");
    assert_true(a->raw.frames[NGHTTP2_SETTINGS] < 1000);
}

/* A flood of PINGs is ended, in the words that gRPC clients know. */
static void test_ping_flood_is_ended(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    flood(a, 20000, NGHTTP2_PING, 0, 0, "12345678", 8);
    assert_ends_with(a, NGHTTP2_ENHANCE_YOUR_CALM, "h2.ping_flood");
    assert_string_equal(a->raw.goaway_debug, "too_many_pings");
}

/* A PING after each answer, as bandwidth probes do, is fine. */
static void test_ping_after_each_answer_is_fine(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    for (int32_t i = 0; i < 50; i++) {
        assert_conn_stays(a, 2 * i + 1);
        h2raw_frame(&a->raw, NGHTTP2_PING, 0, 0, "12345678", 8);
    }
    H2RAW_UNTIL(&a->raw, a->raw.frames[NGHTTP2_PING] == 50);
    assert_false(a->raw.goaway);
}

/* A flood of PRIORITY is ended. */
static void test_priority_flood_is_ended(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    flood(a, 20000, NGHTTP2_PRIORITY, 0, 3, "\0\0\0\0\1", 5);
    assert_ends_with(a, NGHTTP2_ENHANCE_YOUR_CALM, "h2.priority_flood");
}

/* A flood of frames of an unknown type is ended. */
static void test_unknown_frame_flood_is_ended(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    flood(a, 5000, 0xbe, 0, 0, "x", 1);
    assert_ends_with(a, NGHTTP2_ENHANCE_YOUR_CALM, "h2.unknown_frame_flood");
}

/* A flood of empty DATA is ended. */
static void test_empty_data_flood_is_ended(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    h2raw_request(&a->raw, 1, 0, "/t/echo", NULL);
    flood(a, 50000, NGHTTP2_DATA, 0, 1, NULL, 0);
    assert_ends_with(a, NGHTTP2_ENHANCE_YOUR_CALM, "h2.empty_data_flood");
}

/* SETTINGS with 2,700 entries are the end of their connection. */
static void test_settings_of_2700_entries_is_ended(void **state)
{
    struct attack *a = *state;
    static uint8_t entries[2700 * 6];
    for (size_t i = 0; i < sizeof entries; i += 6)
        memcpy(entries + i, "\0\x10\0\0\0\1", 6);
    h2raw_preface(&a->raw);
    h2raw_frame(&a->raw, NGHTTP2_SETTINGS, 0, 0, entries, sizeof entries);
    assert_ends_with(a, NGHTTP2_ENHANCE_YOUR_CALM, NULL);
}

/* HPACK bomb: one 4,000 byte entry, referenced 16,000 times in each of 20 streams. */
static void test_hpack_bomb_is_reset(void **state)
{
    struct attack *a = *state;
    uint8_t entry[4200], refs[16000];
    size_t n = 0;
    h2raw_preface(&a->raw);
    entry[n++] = 0x40; /* literal, indexed: becomes entry 62 */
    entry[n++] = 1;
    entry[n++] = 'x';
    entry[n++] = 0x7f; /* 127 + 3873 = 4,000 */
    entry[n++] = (uint8_t)(0x80 | (3873 & 0x7f));
    entry[n++] = 3873 >> 7;
    memset(entry + n, 'v', 4000);
    n += 4000;
    memset(refs, 0x80 | 62, sizeof refs);
    h2raw_frame(&a->raw, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, entry, n);
    for (int32_t i = 1; i <= 20; i++)
        h2raw_frame(&a->raw, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2 * i + 1, refs,
                    sizeof refs);
    H2RAW_UNTIL(&a->raw, a->raw.resets >= 20 || a->raw.closed);
    assert_int_equal(a->pair.calls, 0);
    assert_others_live(a);
}

/* A header list over the limit is refused as gRPC, and HPACK stays in step. */
static void test_large_header_list_is_refused(void **state)
{
    struct attack *a = *state;
    static char value[17 * 1024 + 1];
    memset(value, 'v', sizeof value - 1);
    const char *extra[] = {"x-large", value, NULL};
    h2raw_preface(&a->raw);
    h2raw_request(&a->raw, 1, 0, "/t/echo", extra);
    H2RAW_UNTIL(&a->raw, h2raw_answer(&a->raw, 1)->ended);
    assert_non_null(strstr(h2raw_answer(&a->raw, 1)->headers, "grpc-status: 8\n"));
    assert_string_equal(a->pair.last_reject, "h2.header_list");
    assert_conn_stays(a, 3);
}

/* An HPACK table of 4 GiB is not granted. */
static void test_hpack_table_of_4_gib_is_ended(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    h2raw_frame(&a->raw, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, "\x3f\xe0\xff\xff\xff\x0f",
                6);
    assert_ends_with(a, NGHTTP2_COMPRESSION_ERROR, NULL);
}

/* Headers without a name reset their stream; the connection stays. */
static void test_empty_header_names_are_reset(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    for (int32_t i = 0; i < 200; i++)
        h2raw_frame(&a->raw, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2 * i + 1, "\0\0\1x", 4);
    H2RAW_UNTIL(&a->raw, a->raw.resets == 200);
    assert_int_equal(a->raw.last_reset_code, NGHTTP2_PROTOCOL_ERROR);
    assert_conn_stays(a, 401);
}

/* A frame of a size that its type cannot have ends the connection. */
static void test_frame_sizes_are_checked(void **state)
{
    struct attack *a = *state;
    static const struct {
        uint8_t type;
        int32_t stream;
        size_t len;
    } bad[] = {{NGHTTP2_DATA, 1, 16385}, {NGHTTP2_PING, 0, 7}, {NGHTTP2_RST_STREAM, 1, 5}};
    static uint8_t payload[16385];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (i > 0) {
            h2raw_close(&a->raw);
            h2raw_open(&a->raw, a->pair.base, flo_grpc_server_address(a->pair.server));
        }
        h2raw_preface(&a->raw);
        h2raw_request(&a->raw, 1, 0, "/t/echo", NULL);
        h2raw_frame(&a->raw, bad[i].type, 0, bad[i].stream, payload, bad[i].len);
        assert_ends_with(a, NGHTTP2_FRAME_SIZE_ERROR, NULL);
    }
}

/* CVE-2026-27135: frames after our GOAWAY must not trip an assertion. */
static void test_bad_frame_after_goaway_is_harmless(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    h2raw_frame(&a->raw, NGHTTP2_GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0", 8);
    h2raw_frame(&a->raw, NGHTTP2_PING, 0, 0, "1234567", 7);
    h2raw_frame(&a->raw, NGHTTP2_PING, 0, 0, "1234567", 7);
    H2RAW_UNTIL(&a->raw, a->raw.closed);
    assert_others_live(a);
}

/* A stream that a client may not open, and DATA for one that nobody opened. */
static void test_stream_ids_are_checked(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    h2raw_request(&a->raw, 2, NGHTTP2_FLAG_END_STREAM, "/t/echo", NULL);
    assert_ends_with(a, NGHTTP2_PROTOCOL_ERROR, NULL);
    h2raw_close(&a->raw);
    h2raw_open(&a->raw, a->pair.base, flo_grpc_server_address(a->pair.server));
    h2raw_preface(&a->raw);
    h2raw_frame(&a->raw, NGHTTP2_DATA, 0, 9, "x", 1);
    assert_ends_with(a, NGHTTP2_PROTOCOL_ERROR, NULL);
}

/* nghttp2 takes HEADERS on a lower or closed stream for a late frame and drops them. */
static void test_late_headers_are_dropped(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    assert_conn_stays(a, 5);
    h2raw_request(&a->raw, 3, NGHTTP2_FLAG_END_STREAM, "/t/echo", NULL);
    h2raw_request(&a->raw, 5, NGHTTP2_FLAG_END_STREAM, "/t/echo", NULL);
    assert_conn_stays(a, 7);
    assert_int_equal(a->pair.calls, 2);
    assert_false(h2raw_answer(&a->raw, 3)->ended);
}

/* Before the client has acknowledged the limit, streams over it are refused. */
static void test_streams_over_the_limit_are_refused(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    for (int32_t i = 0; i < 2000; i++) {
        h2raw_request(&a->raw, 2 * i + 1, 0, "/t/park", NULL);
        h2raw_message(&a->raw, 2 * i + 1, NGHTTP2_FLAG_END_STREAM, 0, 0, NULL, 0);
    }
    H2RAW_UNTIL(&a->raw, a->raw.resets + a->pair.parked_count >= 2000 || a->raw.closed);
    assert_int_equal(a->pair.calls, 100);
    if (!a->raw.closed)
        assert_int_equal(a->raw.last_reset_code, NGHTTP2_REFUSED_STREAM);
    assert_others_live(a);
}

/* Window 0, large answers, never an update: bounded, then cut. */
static void test_closed_window_is_bounded_and_cut(void **state)
{
    struct attack *a = *state;
    h2raw_bytes(&a->raw, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    h2raw_frame(&a->raw, NGHTTP2_SETTINGS, 0, 0, "\0\4\0\0\0\0", 6);
    for (int32_t i = 0; i < 90; i++) {
        h2raw_request(&a->raw, 2 * i + 1, 0, "/t/big", NULL);
        h2raw_message(&a->raw, 2 * i + 1, NGHTTP2_FLAG_END_STREAM, 0, 7, "1000000", 7);
    }
    /* A few are answered, the others held until their time is over; then the answers are cut. */
    H2RAW_UNTIL(&a->raw, a->raw.frames[NGHTTP2_HEADERS] == 90);
    assert_true(a->pair.calls <= 6);
    assert_others_live(a);
    H2RAW_UNTIL(&a->raw, a->raw.resets >= (size_t)a->pair.calls - 1 || a->raw.closed);
    /* each stream's own stall timer, or the connection's when it was first */
    assert_non_null(strstr(a->pair.last_reject, "stalled"));
    assert_others_live(a);
}

/* A window past 2^31 - 1 ends the connection. */
static void test_window_overflow_is_ended(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    h2raw_frame(&a->raw, NGHTTP2_WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff", 4);
    assert_ends_with(a, NGHTTP2_FLOW_CONTROL_ERROR, NULL);
}

/* A hundred answered polls that nobody reads. */
static void test_client_that_never_reads_is_cut(void **state)
{
    struct attack *a = *state;
    static uint8_t answer[200000];
    h2raw_bytes(&a->raw, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    h2raw_frame(&a->raw, NGHTTP2_SETTINGS, 0, 0, "\0\4\x7f\xff\xff\xff", 6);
    h2raw_frame(&a->raw, NGHTTP2_WINDOW_UPDATE, 0, 0, "\x7f\0\0\0", 4);
    for (int32_t i = 0; i < 90; i++) {
        h2raw_request(&a->raw, 2 * i + 1, 0, "/t/park", NULL);
        h2raw_message(&a->raw, 2 * i + 1, NGHTTP2_FLAG_END_STREAM, 0, 0, NULL, 0);
    }
    H2RAW_UNTIL(&a->raw, a->pair.parked_count == 90);
    a->raw.reading = false;
    for (int i = 0; i < 90; i++)
        flo_grpc_respond(a->pair.parked[i], answer, sizeof answer);
    H2RAW_UNTIL(&a->raw, strcmp(a->pair.last_reject, "h2.output_stalled") == 0 ||
                             strcmp(a->pair.last_reject, "h2.stream_stalled") == 0);
    assert_others_live(a);
}

/* ---- gRPC ---- */

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

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TIGHT(name) cmocka_unit_test_setup_teardown(name, setup_tight, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_http1_request_is_closed),
        TIGHT(test_silent_connection_is_closed),
        TIGHT(test_half_a_settings_is_closed),
        CASE(test_rapid_reset_is_ended),
        CASE(test_made_you_reset_is_ended),
        CASE(test_continuation_flood_is_ended),
        CASE(test_settings_flood_is_ended),
        CASE(test_ping_flood_is_ended),
        CASE(test_ping_after_each_answer_is_fine),
        CASE(test_priority_flood_is_ended),
        CASE(test_unknown_frame_flood_is_ended),
        CASE(test_empty_data_flood_is_ended),
        CASE(test_settings_of_2700_entries_is_ended),
        CASE(test_hpack_bomb_is_reset),
        CASE(test_large_header_list_is_refused),
        CASE(test_hpack_table_of_4_gib_is_ended),
        CASE(test_empty_header_names_are_reset),
        CASE(test_frame_sizes_are_checked),
        CASE(test_bad_frame_after_goaway_is_harmless),
        CASE(test_stream_ids_are_checked),
        CASE(test_late_headers_are_dropped),
        TIGHT(test_streams_over_the_limit_are_refused),
        TIGHT(test_closed_window_is_bounded_and_cut),
        CASE(test_window_overflow_is_ended),
        TIGHT(test_client_that_never_reads_is_cut),
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
