/* SPDX-License-Identifier: Apache-2.0 */
/* test_calls.c - unary calls between our client half and our server half. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "unit/grpc/pair.h"

static int setup(void **state)
{
    struct pair *pair = calloc(1, sizeof *pair);
    pair_init(pair, NULL);
    pair_connect(pair, NULL, NULL);
    *state = pair;
    return 0;
}

static int teardown(void **state)
{
    pair_fini(*state);
    free(*state);
    return 0;
}

/* The request's bytes come back, also when the call was made before there was a connection. */
static void test_call_echo_answers_body(void **state)
{
    struct pair *pair = *state;
    struct outcome out;
    pair_call(pair, "/t/echo", "hello", 5, 5000, &out);
    RUN_UNTIL(pair, out.runs);
    assert_int_equal(out.code, FLO_GRPC_OK);
    assert_int_equal(out.len, 5);
    assert_memory_equal(out.body, "hello", 5);
    assert_int_equal(flo_grpc_channel_calls(pair->channel), 0);
    assert_int_equal(flo_grpc_server_calls(pair->server), 0);
    outcome_fini(&out);
}

/* A message of no bytes is a message. */
static void test_call_echo_empty_body(void **state)
{
    struct pair *pair = *state;
    struct outcome out;
    pair_call(pair, "/t/echo", NULL, 0, 5000, &out);
    RUN_UNTIL(pair, out.runs);
    assert_int_equal(out.code, FLO_GRPC_OK);
    assert_int_equal(out.len, 0);
}

/* A hundred long polls share one connection and all are answered. */
static void test_call_hundred_polls_all_answered(void **state)
{
    struct pair *pair = *state;
    static struct outcome out[100];
    for (int i = 0; i < 100; i++)
        pair_call(pair, "/t/park", NULL, 0, 60000, &out[i]);
    RUN_UNTIL(pair, pair->parked_count == 100);
    assert_int_equal(flo_grpc_server_calls(pair->server), 100);
    for (int i = 0; i < 100; i++)
        flo_grpc_respond(pair->parked[i], (const uint8_t *)"task", 4);
    assert_int_equal(flo_grpc_server_calls(pair->server), 0);
    RUN_UNTIL(pair, flo_grpc_channel_calls(pair->channel) == 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(out[i].code, FLO_GRPC_OK);
        assert_int_equal(out[i].len, 4);
        outcome_fini(&out[i]);
    }
    assert_int_equal(pair->connects, 1);
    assert_int_equal(pair->cancels, 0);
}

/* The caller's deadline ends the call; the handler hears of it and must not answer. */
static void test_call_deadline_ends_both_sides(void **state)
{
    struct pair *pair = *state;
    struct outcome out;
    pair_call(pair, "/t/park", NULL, 0, 50, &out);
    RUN_UNTIL(pair, out.runs && pair->cancels);
    assert_int_equal(out.code, FLO_GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(out.runs, 1);
    assert_int_equal(pair->cancels, 1);
    assert_int_equal(flo_grpc_server_calls(pair->server), 0);
}

/* A cancelled call runs no callback here and on_cancel there. */
static void test_call_cancel_reaches_handler(void **state)
{
    struct pair *pair = *state;
    struct outcome out;
    struct flo_grpc_call *call = pair_call(pair, "/t/park", NULL, 0, 60000, &out);
    RUN_UNTIL(pair, pair->parked_count == 1);
    flo_grpc_call_cancel(&call);
    assert_null(call);
    RUN_UNTIL(pair, pair->cancels == 1);
    assert_int_equal(out.runs, 0);
    assert_int_equal(flo_grpc_channel_calls(pair->channel), 0);
}

/* A call that is cancelled before a byte of it was written leaves nothing behind. */
static void test_call_cancel_before_it_was_sent(void **state)
{
    struct pair *pair = *state;
    struct outcome gone, kept;
    pair_call(pair, "/t/echo", "a", 1, 5000, &kept);
    RUN_UNTIL(pair, kept.runs);
    outcome_fini(&kept);
    struct flo_grpc_call *call = pair_call(pair, "/t/echo", "b", 1, 5000, &gone);
    flo_grpc_call_cancel(&call);
    pair_call(pair, "/t/echo", "c", 1, 5000, &kept);
    RUN_UNTIL(pair, kept.runs);
    assert_int_equal(kept.code, FLO_GRPC_OK);
    assert_int_equal(gone.runs, 0);
    assert_int_equal(pair->calls, 2);
    outcome_fini(&kept);
}

static int setup_one_stream(void **state)
{
    struct pair *pair = calloc(1, sizeof *pair);
    pair_init(pair, &(struct flo_grpc_server_options){.max_streams = 1});
    pair_connect(pair, NULL, NULL);
    *state = pair;
    return 0;
}

/* A call that waits for the peer's one stream is cancelled there; those behind it are served. */
static void test_call_cancel_while_streams_are_used_up(void **state)
{
    struct pair *pair = *state;
    struct outcome first, gone, last, again;
    pair_call(pair, "/t/park", NULL, 0, 5000, &first);
    RUN_UNTIL(pair, pair->parked_count == 1);
    struct flo_grpc_call *call = pair_call(pair, "/t/fail", "b", 1, 5000, &gone);
    pair_call(pair, "/t/echo", "c", 1, 5000, &last);
    event_base_loop(pair->base, EVLOOP_NONBLOCK); /* what may leave has left */
    flo_grpc_call_cancel(&call);
    flo_grpc_respond(pair->parked[0], NULL, 0);
    RUN_UNTIL(pair, first.runs && last.runs);
    assert_int_equal(last.code, FLO_GRPC_OK);
    assert_int_equal(gone.runs, 0);
    pair_call(pair, "/t/echo", "d", 1, 5000, &again);
    RUN_UNTIL(pair, again.runs);
    assert_int_equal(again.code, FLO_GRPC_OK);
    assert_int_equal(pair->calls, 3);
    assert_int_equal(pair->connects, 1);
    outcome_fini(&first);
    outcome_fini(&last);
    outcome_fini(&again);
}

/* Losing the server ends its calls with UNAVAILABLE, and on_cancel runs there. */
static void test_call_server_destroyed_unavailable(void **state)
{
    struct pair *pair = *state;
    struct outcome out;
    pair_call(pair, "/t/park", NULL, 0, 60000, &out);
    RUN_UNTIL(pair, pair->parked_count == 1);
    flo_grpc_server_destroy(&pair->server);
    assert_int_equal(pair->cancels, 1);
    RUN_UNTIL(pair, out.runs);
    assert_int_equal(out.code, FLO_GRPC_UNAVAILABLE);
}

/* 4 MiB minus nothing flows both ways through windows of 1 MiB. */
static void test_call_four_mebibytes_both_ways(void **state)
{
    struct pair *pair = *state;
    struct outcome out;
    size_t len = (size_t)4 << 20;
    uint8_t *body = malloc(len);
    for (size_t i = 0; i < len; i++)
        body[i] = (uint8_t)(i * 2654435761u >> 13);
    pair_call(pair, "/t/echo", body, len, 20000, &out);
    RUN_UNTIL(pair, out.runs);
    assert_int_equal(out.code, FLO_GRPC_OK);
    assert_int_equal(out.len, len);
    assert_memory_equal(out.body, body, len);
    outcome_fini(&out);
    free(body);
}

/* One byte more is refused with grpc-go's words, and the connection goes on. */
static void test_call_over_the_limit_resource_exhausted(void **state)
{
    struct pair *pair = *state;
    struct outcome big, next;
    size_t len = ((size_t)4 << 20) + 1;
    uint8_t *body = calloc(1, len);
    pair_call(pair, "/t/echo", body, len, 20000, &big);
    RUN_UNTIL(pair, big.runs);
    assert_int_equal(big.code, FLO_GRPC_RESOURCE_EXHAUSTED);
    assert_string_equal(big.message,
                        "grpc: received message larger than max (4194305 vs. 4194304)");
    pair_call(pair, "/t/echo", "x", 1, 5000, &next);
    RUN_UNTIL(pair, next.runs);
    assert_int_equal(next.code, FLO_GRPC_OK);
    assert_int_equal(pair->connects, 1);
    outcome_fini(&next);
    free(body);
}

/* Many answers of 1 MiB on one connection at once: backpressure, not loss. */
static void test_call_many_big_answers_all_arrive(void **state)
{
    struct pair *pair = *state;
    static struct outcome out[40];
    for (int i = 0; i < 40; i++)
        pair_call(pair, "/t/big", "1000000", 7, 20000, &out[i]);
    RUN_UNTIL(pair, flo_grpc_channel_calls(pair->channel) == 0);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(out[i].code, FLO_GRPC_OK);
        assert_int_equal(out[i].len, 1000000);
        outcome_fini(&out[i]);
    }
}

/* Code, percent-coded text and binary details arrive as they were given. */
static void test_call_error_carries_message_and_details(void **state)
{
    struct pair *pair = *state;
    struct outcome out;
    pair_call(pair, "/t/fail", NULL, 0, 5000, &out);
    RUN_UNTIL(pair, out.runs);
    assert_int_equal(out.code, FLO_GRPC_ALREADY_EXISTS);
    assert_string_equal(out.message, "läuft schon: 100%");
    assert_int_equal(out.details_len, 4);
    assert_memory_equal(out.details, "\x08\x06\0z", 4);
    assert_null(out.body);
}

/* Text and -bin metadata of the call reach the handler; -bin is raw on both sides. */
static void test_call_metadata_reaches_handler(void **state)
{
    struct pair *pair = *state;
    struct outcome text, bin;
    const struct flo_grpc_header headers[] = {{"x-name", "wert", 4}, {"x-key-bin", "\0\xff\1", 3}};
    struct flo_grpc_call_options opt = {.path = "/t/meta",
                                        .body = (const uint8_t *)"x-name",
                                        .body_len = 6,
                                        .timeout_ms = 5000,
                                        .wait_for_ready = true,
                                        .headers = headers,
                                        .header_count = 2};
    pair_call_with(pair, &opt, &text);
    opt.body = (const uint8_t *)"x-key-bin";
    opt.body_len = 9;
    pair_call_with(pair, &opt, &bin);
    RUN_UNTIL(pair, text.runs && bin.runs);
    assert_int_equal(text.code, FLO_GRPC_OK);
    assert_int_equal(text.len, 4);
    assert_memory_equal(text.body, "wert", 4);
    assert_int_equal(bin.len, 3);
    assert_memory_equal(bin.body, "\0\xff\1", 3);
    outcome_fini(&text);
    outcome_fini(&bin);
}

/* A drained server finishes what is open; the channel goes to the next server. */
static void test_channel_goaway_moves_to_new_connection(void **state)
{
    struct pair *pair = *state;
    struct outcome parked, next;
    char address[80];
    pair_call(pair, "/t/park", NULL, 0, 60000, &parked);
    RUN_UNTIL(pair, pair->parked_count == 1);
    struct flo_grpc_server *old = pair->server;
    snprintf(address, sizeof address, "%s", flo_grpc_server_address(old));
    flo_grpc_server_drain(old);
    pair_serve(pair, &(struct flo_grpc_server_options){.listen = address});
    pair_call(pair, "/t/echo", "n", 1, 10000, &next);
    RUN_UNTIL(pair, next.runs);
    assert_int_equal(next.code, FLO_GRPC_OK);
    assert_int_equal(parked.runs, 0);
    flo_grpc_respond(pair->parked[0], (const uint8_t *)"late", 4);
    RUN_UNTIL(pair, parked.runs);
    assert_int_equal(parked.code, FLO_GRPC_OK);
    assert_int_equal(parked.len, 4);
    outcome_fini(&parked);
    outcome_fini(&next);
    flo_grpc_server_destroy(&old);
}

/* A call that waits is served by the server that comes back on the same port. */
static void test_channel_server_restart_waiting_call_served(void **state)
{
    struct pair *pair = *state;
    struct outcome out;
    char address[80];
    RUN_UNTIL(pair, pair->connected);
    snprintf(address, sizeof address, "%s", flo_grpc_server_address(pair->server));
    flo_grpc_server_destroy(&pair->server);
    RUN_UNTIL(pair, !pair->connected);
    assert_false(flo_grpc_channel_connected(pair->channel));
    pair_call(pair, "/t/echo", "w", 1, 15000, &out);
    pair_serve(pair, &(struct flo_grpc_server_options){.listen = address});
    RUN_UNTIL(pair, out.runs);
    assert_int_equal(out.code, FLO_GRPC_OK);
    outcome_fini(&out);
}

/* Nobody listens: a call that does not wait fails with the reason, one that waits times out. */
static void test_channel_refused_connection_unavailable(void **state)
{
    struct pair *pair = *state;
    struct outcome now, wait;
    char address[80];
    RUN_UNTIL(pair, pair->connected);
    snprintf(address, sizeof address, "%s", flo_grpc_server_address(pair->server));
    flo_grpc_server_destroy(&pair->server);
    flo_grpc_channel_destroy(&pair->channel);
    pair_connect(pair, address, NULL);
    struct flo_grpc_call_options opt = {.path = "/t/echo", .timeout_ms = 10000};
    pair_call_with(pair, &opt, &now);
    pair_call(pair, "/t/echo", NULL, 0, 300, &wait);
    assert_int_equal(now.runs, 0);
    RUN_UNTIL(pair, now.runs && wait.runs);
    assert_int_equal(now.code, FLO_GRPC_UNAVAILABLE);
    assert_non_null(strstr(now.message, "Connection refused"));
    assert_int_equal(wait.code, FLO_GRPC_DEADLINE_EXCEEDED);
}

/* Destroying a channel ends its calls with CANCELLED, each once. */
static void test_channel_destroy_cancels_calls(void **state)
{
    struct pair *pair = *state;
    struct outcome a, b;
    pair_call(pair, "/t/park", NULL, 0, 60000, &a);
    RUN_UNTIL(pair, pair->parked_count == 1);
    pair_call(pair, "/t/park", NULL, 0, 60000, &b);
    flo_grpc_channel_destroy(&pair->channel);
    assert_int_equal(a.code, FLO_GRPC_CANCELLED);
    assert_int_equal(b.code, FLO_GRPC_CANCELLED);
    assert_int_equal(a.runs + b.runs, 2);
    RUN_UNTIL(pair, pair->cancels == 1);
}

struct destroyer {
    struct pair *pair;
    int runs;
};

static void destroy_channel(void *ctx, const struct flo_grpc_status *status, const uint8_t *body,
                            size_t len)
{
    (void)status;
    (void)body;
    (void)len;
    struct destroyer *d = ctx;
    d->runs++;
    flo_grpc_channel_destroy(&d->pair->channel);
}

/* A done callback may destroy the channel that it came from. */
static void test_channel_destroy_inside_done(void **state)
{
    struct pair *pair = *state;
    struct destroyer d = {.pair = pair};
    struct flo_grpc_call_options opt = {.path = "/t/echo",
                                        .timeout_ms = 5000,
                                        .wait_for_ready = true,
                                        .done = destroy_channel,
                                        .ctx = &d};
    assert_int_equal(flo_grpc_call_start(pair->channel, &opt, NULL), 0);
    assert_int_equal(flo_grpc_call_start(pair->channel, &opt, NULL), 0);
    RUN_UNTIL(pair, d.runs == 2);
    assert_null(pair->channel);
}

/* Names that need the resolver do not block; "localhost" and numbers need none. */
static void test_channel_localhost_connects(void **state)
{
    struct pair *pair = *state;
    char address[80];
    flo_grpc_channel_destroy(&pair->channel);
    snprintf(address, sizeof address, "localhost:%s",
             strrchr(flo_grpc_server_address(pair->server), ':') + 1);
    pair_connect(pair, address, NULL);
    RUN_UNTIL(pair, pair->connected);
}

/* A channel that resolves a name may be destroyed at once. */
static void test_channel_destroy_while_resolving(void **state)
{
    struct pair *pair = *state;
    flo_grpc_channel_destroy(&pair->channel);
    pair_connect(pair, "no-such-host.invalid:1", NULL);
    event_base_loop(pair->base, EVLOOP_NONBLOCK);
    flo_grpc_channel_destroy(&pair->channel);
    for (int i = 0; i < 10; i++)
        event_base_loop(pair->base, EVLOOP_NONBLOCK);
}

/* Faulty addresses and options are refused with a sentence. */
static void test_channel_bad_address_refused(void **state)
{
    struct pair *pair = *state;
    static const char *const bad[] = {"host:port", "host:70000", "::1:80", "[::1", "h:-1", "h:0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct flo_grpc_channel_options opt = {.address = bad[i]};
        struct flo_grpc_channel *channel = NULL;
        struct flo_err err = {0};
        assert_int_equal(flo_grpc_channel_new(pair->base, &opt, &channel, &err), FLO_EINVAL);
        assert_true(err.message[0] != '\0');
        assert_null(channel);
    }
}

/* A port that is taken: the sentence names the address. */
static void test_server_port_taken_names_address(void **state)
{
    struct pair *pair = *state;
    struct flo_grpc_server_options opt = {.listen = flo_grpc_server_address(pair->server)};
    struct flo_grpc_server *second = NULL;
    struct flo_err err = {0};
    assert_int_equal(flo_grpc_server_new(pair->base, &opt, &second, &err), FLO_ECONN);
    assert_non_null(strstr(err.message, opt.listen));
}

/*
 * Each allocation of one connection and one call fails in turn: the call still ends once (or was
 * refused), nothing leaks, and after that calls are served.
 */
static void test_call_survives_each_failing_allocation(void **state)
{
    (void)state;
    for (int64_t nth = 0; nth < 160; nth++) {
        struct pair pair;
        struct outcome out = {0}, after;
        struct flo_grpc_call_options opt = {
            .path = "/t/echo", .body = (const uint8_t *)"x", .body_len = 1, .timeout_ms = 300};
        pair_init(&pair, NULL);
        pair_connect(&pair, NULL, NULL);
        if (nth >= 80) /* the second half: with a connection that works */
            RUN_UNTIL(&pair, pair.connected);
        flo_alloc_fail_after(nth % 80, 0);
        int rc = pair_try_call(&pair, &opt, &out);
        if (rc == 0)
            RUN_UNTIL(&pair, out.runs);
        flo_alloc_fail_after(-1, 0);
        assert_true(rc == 0 || rc == FLO_ENOMEM);
        assert_int_equal(out.runs, rc == 0);
        outcome_fini(&out);
        pair_call(&pair, "/t/echo", "y", 1, 10000, &after);
        RUN_UNTIL(&pair, after.runs);
        if (after.code != FLO_GRPC_OK)
            fail_msg("allocation %d: %s (%s)", (int)nth, after.message, pair.state_reason);
        outcome_fini(&after);
        pair_fini(&pair);
    }
}

static void destroy_server(void *ctx, struct flo_grpc_server_call *call, const char *path,
                           const uint8_t *body, size_t len)
{
    (void)call;
    (void)path;
    (void)body;
    (void)len;
    struct flo_grpc_server **server = ctx;
    flo_grpc_server_destroy(server);
}

/* A handler may destroy the server that calls it. */
static void test_server_destroy_inside_on_call(void **state)
{
    struct pair *pair = *state;
    struct outcome out;
    struct flo_grpc_server *server = NULL;
    struct flo_grpc_server_options opt = {
        .listen = "127.0.0.1:0", .on_call = destroy_server, .ctx = &server};
    flo_grpc_channel_destroy(&pair->channel);
    assert_int_equal(flo_grpc_server_new(pair->base, &opt, &server, NULL), 0);
    pair_connect(pair, flo_grpc_server_address(server), NULL);
    pair_call(pair, "/t/echo", NULL, 0, 5000, &out);
    RUN_UNTIL(pair, out.runs);
    assert_int_equal(out.code, FLO_GRPC_UNAVAILABLE);
    assert_null(server);
}

/* Out of descriptors: accepting pauses without spinning and goes on when there are some again. */
static void test_server_out_of_descriptors_pauses_accepting(void **state)
{
    struct pair *pair = *state;
    struct rlimit before, few;
    int extra[64];
    size_t held = 0;
    RUN_UNTIL(pair, pair->connected);
    flo_grpc_channel_destroy(&pair->channel);
    pair_connect(pair, NULL, NULL);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    event_base_loop(pair->base, EVLOOP_NONBLOCK); /* the channel has its socket now */
    few = before;
    few.rlim_cur = (rlim_t)dup(0) + 1;
    close((int)few.rlim_cur - 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (held < 64 && (extra[held] = dup(0)) >= 0)
        held++;
    clock_t cpu = clock();
    struct timeval tv = {.tv_usec = 250000};
    event_base_loopexit(pair->base, &tv);
    event_base_dispatch(pair->base);
    assert_true(clock() - cpu < CLOCKS_PER_SEC / 5);
    while (held > 0)
        close(extra[--held]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    RUN_UNTIL(pair, pair->connected);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_call_echo_answers_body),
        CASE(test_call_echo_empty_body),
        CASE(test_call_hundred_polls_all_answered),
        CASE(test_call_deadline_ends_both_sides),
        CASE(test_call_cancel_reaches_handler),
        CASE(test_call_cancel_before_it_was_sent),
        cmocka_unit_test_setup_teardown(test_call_cancel_while_streams_are_used_up,
                                        setup_one_stream, teardown),
        CASE(test_call_server_destroyed_unavailable),
        CASE(test_call_four_mebibytes_both_ways),
        CASE(test_call_over_the_limit_resource_exhausted),
        CASE(test_call_many_big_answers_all_arrive),
        CASE(test_call_error_carries_message_and_details),
        CASE(test_call_metadata_reaches_handler),
        CASE(test_channel_goaway_moves_to_new_connection),
        CASE(test_channel_server_restart_waiting_call_served),
        CASE(test_channel_refused_connection_unavailable),
        CASE(test_channel_destroy_cancels_calls),
        CASE(test_channel_destroy_inside_done),
        CASE(test_channel_localhost_connects),
        CASE(test_channel_destroy_while_resolving),
        CASE(test_channel_bad_address_refused),
        CASE(test_server_port_taken_names_address),
        CASE(test_server_destroy_inside_on_call),
        CASE(test_server_out_of_descriptors_pauses_accepting),
        cmocka_unit_test(test_call_survives_each_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
