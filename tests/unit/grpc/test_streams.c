/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_streams.c - calls whose requests are a stream, and hostile peers of such calls: one that
 * does not read, one that never finishes, resets, half messages, a server that drains meanwhile.
 *
 * The raw peer never gives window back by itself, so it is a slow reader unless a test says more.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "unit/grpc/attack.h"

enum { WINDOW = 65535, SERVER_WINDOW = 1 << 20 };

static void assert_ends(struct attack *a, int32_t stream, const char *want)
{
    H2RAW_UNTIL(&a->raw, h2raw_answer(&a->raw, stream)->ended);
    if (!strstr(h2raw_answer(&a->raw, stream)->headers, want))
        fail_msg("stream %d: want \"%s\", got:\n%s", stream, want,
                 h2raw_answer(&a->raw, stream)->headers);
}

static void open_chat(struct attack *a, int32_t stream)
{
    h2raw_request(&a->raw, stream, 0, "/t/chat", NULL);
}

static void say(struct attack *a, int32_t stream, const char *text)
{
    h2raw_message(&a->raw, stream, 0, 0, (uint32_t)strlen(text), text, strlen(text));
}

static void half_close(struct attack *a, int32_t stream)
{
    h2raw_frame(&a->raw, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, stream, NULL, 0);
}

/* Let the server send so many more bytes on the connection and the stream. */
static void give_window(struct attack *a, int32_t stream, uint32_t bytes)
{
    uint8_t payload[4] = {(uint8_t)(bytes >> 24), (uint8_t)(bytes >> 16), (uint8_t)(bytes >> 8),
                          (uint8_t)bytes};
    h2raw_frame(&a->raw, NGHTTP2_WINDOW_UPDATE, 0, 0, payload, 4);
    h2raw_frame(&a->raw, NGHTTP2_WINDOW_UPDATE, 0, stream, payload, 4);
}

/* Messages are answered while the client goes on, in whatever pieces they come. */
static void test_chat_is_answered_message_by_message(void **state)
{
    struct attack *a = *state;
    static const char pieces[] = "\0\0\0\0\003two\0\0\0\0\005three\0\0\0\0\0";
    h2raw_preface(&a->raw);
    open_chat(a, 1);
    say(a, 1, "one");
    H2RAW_UNTIL(&a->raw, h2raw_answer(&a->raw, 1)->data_bytes == 8);
    assert_false(h2raw_answer(&a->raw, 1)->ended);
    for (size_t i = 0; i < sizeof pieces - 1; i += 3)
        h2raw_frame(&a->raw, NGHTTP2_DATA, 0, 1, pieces + i,
                    sizeof pieces - 1 - i < 3 ? sizeof pieces - 1 - i : 3);
    H2RAW_UNTIL(&a->raw, h2raw_answer(&a->raw, 1)->data_bytes == 8 + 8 + 10 + 5);
    half_close(a, 1);
    assert_ends(a, 1, "grpc-status: 0\n");
    assert_int_equal(a->pair.messages, 4);
    assert_int_equal(a->pair.half_closes, 1);
    assert_int_equal(a->pair.calls, 0);
    assert_int_equal(flo_grpc_server_calls(a->pair.server), 0);
    assert_conn_stays(a, 3);
}

/* A stream without a message, and one that is ended by the handler. */
static void test_empty_and_ended_streams(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    h2raw_request(&a->raw, 1, NGHTTP2_FLAG_END_STREAM, "/t/chat", NULL);
    assert_ends(a, 1, "grpc-status: 0\n");
    open_chat(a, 3);
    say(a, 3, "end");
    assert_ends(a, 3, "grpc-status: 0\n");
    open_chat(a, 5);
    say(a, 5, "refuse");
    assert_ends(a, 5, "grpc-status: 9\n");
    assert_int_equal(a->pair.cancels, 0);
    assert_conn_stays(a, 7);
}

/* An error after messages comes in the trailers, with its details. */
static void test_error_after_messages_is_in_the_trailers(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    open_chat(a, 1);
    say(a, 1, "one");
    say(a, 1, "refuse");
    assert_ends(a, 1, "grpc-status: 9\ngrpc-message: no%0Amore\n");
    assert_non_null(strstr(h2raw_answer(&a->raw, 1)->headers, "grpc-status-details-bin: CAk\n"));
    assert_non_null(strstr(h2raw_answer(&a->raw, 1)->headers, "x-why: tired\n"));
    assert_int_equal(h2raw_answer(&a->raw, 1)->data_bytes, 8);
    assert_conn_stays(a, 3);
}

/* A peer that sends without reading is given no message while its answers wait, and is stopped by
 * its own window; when it reads, everything is answered in order. */
static void test_slow_reader_is_held(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    open_chat(a, 1);
    for (int i = 0; i < 4; i++)
        say(a, 1, "big 40000");
    for (int i = 0; i < 1000; i++)
        say(a, 1, "");
    H2RAW_UNTIL(&a->raw, h2raw_answer(&a->raw, 1)->data_bytes == WINDOW);
    assert_int_equal(a->pair.messages, 2);
    assert_others_live(a);
    half_close(a, 1);
    give_window(a, 1, 1 << 20);
    assert_ends(a, 1, "grpc-status: 0\n");
    assert_int_equal(a->pair.messages, 1004);
    assert_int_equal(h2raw_answer(&a->raw, 1)->data_bytes, 4 * 40005 + 1000 * 5);
    assert_conn_stays(a, 3);
}

/* What a held call is sent is not given back: past its window the peer breaks the protocol, and
 * only its own connection ends. */
static void test_held_stream_keeps_its_window(void **state)
{
    struct attack *a = *state;
    static uint8_t block[16384];
    h2raw_preface(&a->raw);
    open_chat(a, 1);
    say(a, 1, "big 100000");
    H2RAW_UNTIL(&a->raw, h2raw_answer(&a->raw, 1)->data_bytes == WINDOW);
    for (size_t sent = 0; sent < SERVER_WINDOW + 2 * sizeof block; sent += sizeof block)
        h2raw_frame(&a->raw, NGHTTP2_DATA, 0, 1, block, sizeof block); /* empty messages */
    H2RAW_UNTIL(&a->raw, a->pair.cancels == 1);
    assert_int_equal(a->pair.messages, 1);
    assert_others_live(a);
}

/* Over and over a window's worth, as fast as it is given back: all of it is served. */
static void test_long_stream_is_given_window_back(void **state)
{
    struct attack *a = *state;
    static char text[16000];
    memset(text, 'x', sizeof text - 1);
    memcpy(text, "quiet ", 6);
    h2raw_preface(&a->raw);
    open_chat(a, 1);
    for (int i = 1; i <= 400; i++) { /* 6 MiB through a window of 1 MiB */
        say(a, 1, text);
        if (i % 50 == 0)
            H2RAW_UNTIL(&a->raw, a->pair.messages == i);
    }
    half_close(a, 1);
    assert_ends(a, 1, "grpc-status: 0\n");
    assert_int_equal(a->pair.messages, 400);
    assert_conn_stays(a, 3);
}

/* Answers that are never taken end the call. */
static void test_answers_not_taken_end_the_call(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    open_chat(a, 1);
    say(a, 1, "big 100000");
    say(a, 1, "never heard");
    H2RAW_UNTIL(&a->raw, a->pair.cancels == 1);
    if (strcmp(a->pair.last_reject, "h2.output_stalled") != 0) /* nothing else is going on here */
        assert_string_equal(a->pair.last_reject, "h2.stream_stalled");
    assert_int_equal(a->pair.messages, 1);
    assert_others_live(a);
}

/* Half a message that stays one is ended; a whole one may be followed by silence. */
static void test_half_a_message_is_given_up(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    open_chat(a, 1);
    say(a, 1, "one");
    open_chat(a, 3);
    h2raw_message(&a->raw, 3, 0, 0, 100, "half", 4);
    assert_ends(a, 3, "grpc-status: 4\n");
    assert_int_equal(a->pair.cancels, 1);
    say(a, 1, "two");
    H2RAW_UNTIL(&a->raw, h2raw_answer(&a->raw, 1)->data_bytes == 16);
    assert_conn_stays(a, 5);
}

/* Wrong messages end the stream with their status, and the handler hears of it. */
static void test_bad_messages_end_the_stream(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    open_chat(a, 1);
    h2raw_message(&a->raw, 1, NGHTTP2_FLAG_END_STREAM, 0, 100, "cut", 3);
    assert_ends(a, 1, "grpc-status: 13\n");
    open_chat(a, 3);
    say(a, 3, "one");
    h2raw_message(&a->raw, 3, 0, 1, 3, "zip", 3);
    assert_ends(a, 3, "grpc-status: 13\n");
    open_chat(a, 5);
    h2raw_message(&a->raw, 5, 0, 0, UINT32_MAX, "huge", 4);
    assert_ends(a, 5, "grpc-status: 8\n");
    const char *gzip[] = {"grpc-encoding", "gzip", NULL};
    h2raw_request(&a->raw, 7, 0, "/t/chat", gzip);
    h2raw_message(&a->raw, 7, 0, 1, 3, "zip", 3);
    assert_ends(a, 7, "grpc-status: 13\n");
    h2raw_request(&a->raw, 9, 0, "/t/chat", gzip);
    say(a, 9, "plain"); /* each message says for itself whether it is compressed */
    H2RAW_UNTIL(&a->raw, h2raw_answer(&a->raw, 9)->data_bytes == 10);
    assert_int_equal(a->pair.cancels, 4);
    assert_conn_stays(a, 11);
}

/* A client that resets, or is gone, also while the call is held. */
static void test_reset_and_lost_streams_are_cancelled(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    open_chat(a, 1);
    say(a, 1, "one");
    open_chat(a, 3);
    say(a, 3, "big 100000");
    say(a, 3, "waits");
    open_chat(a, 5);
    say(a, 5, "big 100000");
    H2RAW_UNTIL(&a->raw, a->pair.messages == 3);
    h2raw_frame(&a->raw, NGHTTP2_RST_STREAM, 0, 1, "\0\0\0\010", 4);
    h2raw_frame(&a->raw, NGHTTP2_RST_STREAM, 0, 3, "\0\0\0\010", 4);
    H2RAW_UNTIL(&a->raw, a->pair.cancels == 2);
    h2raw_close(&a->raw);
    RUN_UNTIL(&a->pair, a->pair.cancels == 3);
    assert_int_equal(flo_grpc_server_calls(a->pair.server), 0);
    assert_others_live(a);
    h2raw_open(&a->raw, a->pair.base, flo_grpc_server_address(a->pair.server));
}

/* The deadline ends a stream, too. */
static void test_deadline_ends_a_stream(void **state)
{
    struct attack *a = *state;
    const char *soon[] = {"grpc-timeout", "50m", NULL};
    h2raw_preface(&a->raw);
    h2raw_request(&a->raw, 1, 0, "/t/chat", soon);
    assert_ends(a, 1, "grpc-status: 4\n");
    h2raw_request(&a->raw, 3, 0, "/t/chat", soon);
    say(a, 3, "one");
    H2RAW_UNTIL(&a->raw, h2raw_answer(&a->raw, 3)->reset);
    assert_int_equal(a->pair.cancels, 2);
    assert_conn_stays(a, 5);
}

/* A server that drains goes on with the streams that are open, and then closes. */
static void test_drain_lets_a_stream_end(void **state)
{
    struct attack *a = *state;
    h2raw_preface(&a->raw);
    open_chat(a, 1);
    say(a, 1, "one");
    H2RAW_UNTIL(&a->raw, h2raw_answer(&a->raw, 1)->data_bytes == 8);
    flo_grpc_server_drain(a->pair.server);
    H2RAW_UNTIL(&a->raw, a->raw.goaway);
    say(a, 1, "two");
    H2RAW_UNTIL(&a->raw, h2raw_answer(&a->raw, 1)->data_bytes == 16);
    half_close(a, 1);
    assert_ends(a, 1, "grpc-status: 0\n");
    H2RAW_UNTIL(&a->raw, a->raw.closed);
}

/* A handler that ends the call inside on_message hears nothing of what was behind it. */
static void test_messages_behind_the_end_are_dropped(void **state)
{
    struct attack *a = *state;
    static const char both[] = "\0\0\0\0\003end\0\0\0\0\005ghost";
    h2raw_preface(&a->raw);
    open_chat(a, 1);
    h2raw_frame(&a->raw, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, both, sizeof both - 1);
    assert_ends(a, 1, "grpc-status: 0\n");
    assert_int_equal(a->pair.messages, 1);
    assert_int_equal(a->pair.half_closes, 0);
    assert_conn_stays(a, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_chat_is_answered_message_by_message),
        CASE(test_empty_and_ended_streams),
        CASE(test_error_after_messages_is_in_the_trailers),
        CASE(test_slow_reader_is_held),
        CASE(test_held_stream_keeps_its_window),
        CASE(test_long_stream_is_given_window_back),
        TIGHT(test_answers_not_taken_end_the_call),
        TIGHT(test_half_a_message_is_given_up),
        CASE(test_bad_messages_end_the_stream),
        CASE(test_reset_and_lost_streams_are_cancelled),
        CASE(test_deadline_ends_a_stream),
        CASE(test_drain_lets_a_stream_end),
        CASE(test_messages_behind_the_end_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
