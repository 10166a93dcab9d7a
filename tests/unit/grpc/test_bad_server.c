/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_bad_server.c - the client half against servers that break their word: each call ends once,
 * with the code that gRPC's documents ask for, and the channel works afterwards.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/h2raw.h"
#include "unit/grpc/pair.h"

struct villain {
    struct pair pair; /* without a server of its own */
    struct h2raw raw; /* the server's side of the channel's connection */
    int listen_fd;
};

static const char *const ok_headers[] = {":status", "200", "content-type", "application/grpc",
                                         NULL};
static const char *const ok_trailers[] = {"grpc-status", "0", NULL};

static int setup_with(void **state, const struct flo_grpc_channel_options *opt)
{
    struct villain *v = calloc(1, sizeof *v);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    char address[32];
    v->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(v->listen_fd, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(v->listen_fd, 8), 0);
    assert_int_equal(getsockname(v->listen_fd, (struct sockaddr *)&in, &len), 0);
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(in.sin_port));
    v->pair.base = event_base_new();
    pair_connect(&v->pair, address, opt);
    h2raw_accept(&v->raw, v->pair.base, v->listen_fd);
    H2RAW_UNTIL(&v->raw, v->pair.connected);
    *state = v;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, NULL);
}

static int setup_keepalive(void **state)
{
    return setup_with(state, &(struct flo_grpc_channel_options){.keepalive_ms = 100,
                                                                .keepalive_timeout_ms = 100});
}

static int teardown(void **state)
{
    struct villain *v = *state;
    pair_fini(&v->pair);
    h2raw_close(&v->raw);
    close(v->listen_fd);
    free(v);
    return 0;
}

/* Start a call and wait until its request is here; returns its stream. */
static int32_t begin(struct villain *v, struct outcome *out)
{
    size_t before = v->raw.requests;
    pair_call(&v->pair, "/t/x", "req", 3, 10000, out);
    H2RAW_UNTIL(&v->raw, v->raw.requests > before);
    return v->raw.last_request;
}

static void assert_code(struct villain *v, struct outcome *out, int code)
{
    H2RAW_UNTIL(&v->raw, out->runs);
    if (out->code != code)
        fail_msg("want %s, got %s: %s", flo_grpc_code_name(code), flo_grpc_code_name(out->code),
                 out->message);
    assert_int_equal(out->runs, 1);
    outcome_fini(out);
}

static void answer_ok(struct villain *v, int32_t stream)
{
    h2raw_fields(&v->raw, stream, 0, ok_headers);
    h2raw_message(&v->raw, stream, 0, 0, 2, "ok", 2);
    h2raw_fields(&v->raw, stream, NGHTTP2_FLAG_END_STREAM, ok_trailers);
}

/* The connection still serves. */
static void assert_conn_stays(struct villain *v)
{
    struct outcome out;
    answer_ok(v, begin(v, &out));
    assert_code(v, &out, FLO_GRPC_OK);
    assert_int_equal(v->pair.connects, 1);
}

/* Answers with these headers (and END_STREAM) end the call with code. */
static void answers(struct villain *v, int code, const char *const *fields)
{
    struct outcome out;
    h2raw_fields(&v->raw, begin(v, &out), NGHTTP2_FLAG_END_STREAM, fields);
    assert_code(v, &out, code);
}

/* HTTP answers of things that are no gRPC servers, and faulty grpc-status. */
static void test_answer_without_grpc_status_maps_http(void **state)
{
    struct villain *v = *state;
    static const struct {
        const char *status;
        int code;
    } table[] = {{"400", FLO_GRPC_INTERNAL},          {"401", FLO_GRPC_UNAUTHENTICATED},
                 {"403", FLO_GRPC_PERMISSION_DENIED}, {"404", FLO_GRPC_UNIMPLEMENTED},
                 {"429", FLO_GRPC_UNAVAILABLE},       {"502", FLO_GRPC_UNAVAILABLE},
                 {"503", FLO_GRPC_UNAVAILABLE},       {"504", FLO_GRPC_UNAVAILABLE},
                 {"500", FLO_GRPC_UNKNOWN},           {"200", FLO_GRPC_UNKNOWN}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        answers(v, table[i].code,
                (const char *[]){":status", table[i].status, "content-type", "text/html", NULL});
    answers(v, FLO_GRPC_INTERNAL, ok_headers);
    answers(v, FLO_GRPC_UNKNOWN,
            (const char *[]){":status", "200", "content-type", "application/grpc", "grpc-status",
                             "abc", NULL});
    answers(v, FLO_GRPC_UNKNOWN,
            (const char *[]){":status", "200", "content-type", "application/grpc", "grpc-status",
                             "99", NULL});
    answers(v, FLO_GRPC_INTERNAL, /* OK without a message */
            (const char *[]){":status", "200", "content-type", "application/grpc", "grpc-status",
                             "0", NULL});
    assert_conn_stays(v);
}

/* Interim responses come before the real one. */
static void test_interim_responses_are_skipped(void **state)
{
    struct villain *v = *state;
    struct outcome out;
    int32_t stream = begin(v, &out);
    h2raw_fields(&v->raw, stream, 0, (const char *[]){":status", "103", "link", "x", NULL});
    answer_ok(v, stream);
    assert_code(v, &out, FLO_GRPC_OK);
}

/* Each RST_STREAM code has its gRPC code, wherever in the response it comes. */
static void test_reset_maps_code(void **state)
{
    struct villain *v = *state;
    static const struct {
        uint8_t h2;
        int code;
    } table[] = {{NGHTTP2_NO_ERROR, FLO_GRPC_INTERNAL},
                 {NGHTTP2_PROTOCOL_ERROR, FLO_GRPC_INTERNAL},
                 {NGHTTP2_INTERNAL_ERROR, FLO_GRPC_INTERNAL},
                 {NGHTTP2_CANCEL, FLO_GRPC_CANCELLED},
                 {NGHTTP2_ENHANCE_YOUR_CALM, FLO_GRPC_RESOURCE_EXHAUSTED},
                 {NGHTTP2_INADEQUATE_SECURITY, FLO_GRPC_PERMISSION_DENIED}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        for (int part = 0; part < 3; part++) {
            struct outcome out;
            uint8_t code[4] = {0, 0, 0, table[i].h2};
            int32_t stream = begin(v, &out);
            if (part > 0)
                h2raw_fields(&v->raw, stream, 0, ok_headers);
            if (part > 1)
                h2raw_message(&v->raw, stream, 0, 0, 10, "half", 4);
            h2raw_frame(&v->raw, NGHTTP2_RST_STREAM, 0, stream, code, 4);
            assert_code(v, &out, table[i].code);
        }
    }
    assert_conn_stays(v);
}

/* REFUSED_STREAM: sent again once on this connection, unseen by the caller. */
static void test_refused_stream_is_sent_again_once(void **state)
{
    struct villain *v = *state;
    struct outcome out;
    int32_t first = begin(v, &out);
    h2raw_frame(&v->raw, NGHTTP2_RST_STREAM, 0, first, "\0\0\0\7", 4);
    H2RAW_UNTIL(&v->raw, v->raw.requests == 2);
    answer_ok(v, v->raw.last_request);
    assert_code(v, &out, FLO_GRPC_OK);

    int32_t again = begin(v, &out);
    h2raw_frame(&v->raw, NGHTTP2_RST_STREAM, 0, again, "\0\0\0\7", 4);
    H2RAW_UNTIL(&v->raw, v->raw.requests == 4);
    h2raw_frame(&v->raw, NGHTTP2_RST_STREAM, 0, v->raw.last_request, "\0\0\0\7", 4);
    assert_code(v, &out, FLO_GRPC_UNAVAILABLE);
    assert_int_equal(v->raw.requests, 4);
}

/* DATA in 5 byte pieces, and padded. */
static void test_small_and_padded_data_are_joined(void **state)
{
    struct villain *v = *state;
    struct outcome out;
    int32_t stream = begin(v, &out);
    static uint8_t padded[1 + 3 + 255] = {255, 'a', 'b', 'c'};
    h2raw_fields(&v->raw, stream, 0, ok_headers);
    h2raw_frame(&v->raw, NGHTTP2_DATA, 0, stream, "\0\0\0\0\5", 5);
    h2raw_frame(&v->raw, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, stream, padded, sizeof padded);
    h2raw_frame(&v->raw, NGHTTP2_DATA, 0, stream, "de", 2);
    h2raw_fields(&v->raw, stream, NGHTTP2_FLAG_END_STREAM, ok_trailers);
    H2RAW_UNTIL(&v->raw, out.runs);
    assert_int_equal(out.len, 5);
    assert_memory_equal(out.body, "abcde", 5);
    assert_code(v, &out, FLO_GRPC_OK);
}

/* Broken messages in the response. */
static void test_bad_messages_end_the_call(void **state)
{
    struct villain *v = *state;
    struct outcome out;
    int32_t stream = begin(v, &out);
    h2raw_fields(&v->raw, stream, 0, ok_headers);
    h2raw_message(&v->raw, stream, 0, 0, 200u << 20, "x", 1); /* over 128 MiB: not waited for */
    assert_code(v, &out, FLO_GRPC_RESOURCE_EXHAUSTED);
    stream = begin(v, &out);
    h2raw_fields(&v->raw, stream, 0, ok_headers);
    h2raw_message(&v->raw, stream, 0, 0, 1, "xy", 2);
    assert_code(v, &out, FLO_GRPC_INTERNAL);
    stream = begin(v, &out);
    h2raw_fields(&v->raw, stream, 0, ok_headers);
    h2raw_message(&v->raw, stream, 0, 0, 5, "xy", 2);
    h2raw_fields(&v->raw, stream, NGHTTP2_FLAG_END_STREAM, ok_trailers);
    assert_code(v, &out, FLO_GRPC_INTERNAL);
    assert_conn_stays(v);
}

/* What comes after the end changes nothing. */
static void test_data_after_trailers_is_ignored(void **state)
{
    struct villain *v = *state;
    struct outcome out;
    int32_t stream = begin(v, &out);
    answer_ok(v, stream);
    h2raw_frame(&v->raw, NGHTTP2_DATA, 0, stream, "more", 4);
    h2raw_fields(&v->raw, stream, NGHTTP2_FLAG_END_STREAM, ok_trailers);
    assert_code(v, &out, FLO_GRPC_OK);
}

/* MAX_CONCURRENT_STREAMS 1: the second call waits its turn. */
static void test_max_streams_one_serialises(void **state)
{
    struct villain *v = *state;
    struct outcome a, b;
    h2raw_frame(&v->raw, NGHTTP2_SETTINGS, 0, 0, "\0\3\0\0\0\1", 6);
    size_t acks = v->raw.frames[NGHTTP2_SETTINGS];
    H2RAW_UNTIL(&v->raw, v->raw.frames[NGHTTP2_SETTINGS] > acks);
    int32_t first = begin(v, &a);
    pair_call(&v->pair, "/t/x", NULL, 0, 10000, &b);
    for (int i = 0; i < 20; i++)
        h2raw_turn(&v->raw);
    assert_int_equal(v->raw.requests, 1);
    answer_ok(v, first);
    assert_code(v, &a, FLO_GRPC_OK);
    H2RAW_UNTIL(&v->raw, v->raw.requests == 2);
    answer_ok(v, v->raw.last_request);
    assert_code(v, &b, FLO_GRPC_OK);
}

/* One SETTINGS takes the header table away and gives it back: its decoder hears of both. */
static void test_table_to_nothing_and_back_is_announced(void **state)
{
    struct villain *v = *state;
    assert_conn_stays(v); /* its fields are in the table now */
    size_t acks = v->raw.frames[NGHTTP2_SETTINGS];
    h2raw_frame(&v->raw, NGHTTP2_SETTINGS, 0, 0, "\0\1\0\0\0\0\0\1\0\0\20\0", 12);
    H2RAW_UNTIL(&v->raw, v->raw.frames[NGHTTP2_SETTINGS] > acks);
    assert_int_equal(nghttp2_hd_inflate_change_table_size(v->raw.inflater, 0), 0);
    assert_int_equal(nghttp2_hd_inflate_change_table_size(v->raw.inflater, 4096), 0);
    assert_conn_stays(v);
    assert_conn_stays(v);
}

/* GOAWAY below an open stream: that call goes to a new connection, the older one finishes here. */
static void test_goaway_moves_unprocessed_calls(void **state)
{
    struct villain *v = *state;
    struct outcome old, moved;
    int32_t first = begin(v, &old);
    begin(v, &moved);
    uint8_t goaway[8] = {0, 0, 0, (uint8_t)first, 0, 0, 0, 0};
    h2raw_frame(&v->raw, NGHTTP2_GOAWAY, 0, 0, goaway, sizeof goaway);
    struct h2raw second;
    h2raw_turn(&v->raw);
    h2raw_accept(&second, v->pair.base, v->listen_fd);
    H2RAW_UNTIL(&second, second.requests == 1);
    assert_int_equal(old.runs + moved.runs, 0);
    h2raw_fields(&second, second.last_request, 0, ok_headers);
    h2raw_message(&second, second.last_request, 0, 0, 0, NULL, 0);
    h2raw_fields(&second, second.last_request, NGHTTP2_FLAG_END_STREAM, ok_trailers);
    H2RAW_UNTIL(&second, moved.runs);
    assert_int_equal(moved.code, FLO_GRPC_OK);
    answer_ok(v, first);
    assert_code(v, &old, FLO_GRPC_OK);
    H2RAW_UNTIL(&v->raw, v->raw.closed); /* the old connection has nothing left to do */
    h2raw_close(&second);
}

/* The connection breaks: calls under way end with UNAVAILABLE, the next ones use a new one. */
static void test_lost_connection_is_replaced(void **state)
{
    struct villain *v = *state;
    struct outcome lost, next;
    begin(v, &lost);
    h2raw_close(&v->raw);
    h2raw_accept(&v->raw, v->pair.base, v->listen_fd);
    assert_code(v, &lost, FLO_GRPC_UNAVAILABLE);
    answer_ok(v, begin(v, &next));
    assert_code(v, &next, FLO_GRPC_OK);
    assert_int_equal(v->pair.connects, 2);
}

/* A peer that is silent is found by PING, also without calls. */
static void test_keepalive_finds_dead_peer(void **state)
{
    struct villain *v = *state;
    H2RAW_UNTIL(&v->raw, !v->pair.connected);
    assert_non_null(strstr(v->pair.state_reason, "PING"));
    assert_true(v->raw.frames[NGHTTP2_PING] >= 1);
}

/* Endless or huge headers end the call or the connection, not the process. */
static void test_header_floods_are_bounded(void **state)
{
    struct villain *v = *state;
    struct outcome out;
    static char value[16000];
    memset(value, 'v', sizeof value - 1);
    const char *huge[] = {":status", "200", "x-a", value, "x-b", value, "x-c",
                          value,     "x-d", value, "x-e", value, NULL};
    h2raw_fields(&v->raw, begin(v, &out), 0, huge);
    assert_code(v, &out, FLO_GRPC_RESOURCE_EXHAUSTED);
    assert_conn_stays(v);
    int32_t stream = begin(v, &out);
    h2raw_frame(&v->raw, NGHTTP2_HEADERS, 0, stream, "\210", 1);
    for (int i = 0; i < 2000; i++)
        h2raw_frame(&v->raw, NGHTTP2_CONTINUATION, 0, stream, value, 0);
    assert_code(v, &out, FLO_GRPC_UNAVAILABLE);
}

/* A server that floods us is left. */
static void test_ping_flood_ends_connection(void **state)
{
    struct villain *v = *state;
    struct outcome out;
    begin(v, &out);
    for (int i = 0; i < 5000; i++)
        h2raw_frame(&v->raw, NGHTTP2_PING, 0, 0, "12345678", 8);
    assert_code(v, &out, FLO_GRPC_UNAVAILABLE);
    H2RAW_UNTIL(&v->raw, v->raw.closed);
}

/* Few of them in one go are answered; more than may wait for the socket end the connection. */
static void test_unsent_ping_answers_are_bounded(void **state)
{
    struct villain *v = *state;
    struct outcome out;
    for (int i = 0; i < 120; i++)
        h2raw_frame(&v->raw, NGHTTP2_PING, 0, 0, "12345678", 8);
    H2RAW_UNTIL(&v->raw, v->raw.frames[NGHTTP2_PING] == 120);
    assert_conn_stays(v);
    begin(v, &out);
    for (int i = 0; i < 200; i++)
        h2raw_frame(&v->raw, NGHTTP2_PING, 0, 0, "12345678", 8);
    assert_code(v, &out, FLO_GRPC_UNAVAILABLE);
    H2RAW_UNTIL(&v->raw, v->raw.closed);
    assert_int_equal(v->raw.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_string_equal(v->raw.goaway_debug, "h2.ack_flood");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_answer_without_grpc_status_maps_http),
        CASE(test_interim_responses_are_skipped),
        CASE(test_reset_maps_code),
        CASE(test_refused_stream_is_sent_again_once),
        CASE(test_small_and_padded_data_are_joined),
        CASE(test_bad_messages_end_the_call),
        CASE(test_data_after_trailers_is_ignored),
        CASE(test_max_streams_one_serialises),
        CASE(test_table_to_nothing_and_back_is_announced),
        CASE(test_goaway_moves_unprocessed_calls),
        CASE(test_lost_connection_is_replaced),
        cmocka_unit_test_setup_teardown(test_keepalive_finds_dead_peer, setup_keepalive, teardown),
        CASE(test_header_floods_are_bounded),
        CASE(test_ping_flood_ends_connection),
        CASE(test_unsent_ping_answers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
