/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_frame_attacks.c - hostile HTTP/2 against the server: floods, bombs, sizes, streams and
 * windows. The required answer comes, and another connection is served meanwhile.
 */
#include <string.h>

#include "base/clock.h"
#include "unit/grpc/attack.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
