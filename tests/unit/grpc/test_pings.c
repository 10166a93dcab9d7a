/* SPDX-License-Identifier: Apache-2.0 */
/* test_pings.c - when a peer's PING is answered: held, along with a write, alone, at once. */
#include <stdlib.h>

#include "base/clock.h"
#include "http2/conn_internal.h"
#include "support/h2raw.h"
#include "unit/grpc/pair.h"

struct fixture {
    struct pair pair;
    struct h2raw raw;
    int32_t stream; /* the last one */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    pair_init(&f->pair, NULL);
    h2raw_open(&f->raw, f->pair.base, flo_grpc_server_address(f->pair.server));
    h2raw_preface(&f->raw);
    f->stream = -1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    h2raw_close(&f->raw);
    pair_fini(&f->pair);
    free(f);
    return 0;
}

static void send_pings(struct fixture *f, int count)
{
    for (int i = 0; i < count; i++)
        h2raw_frame(&f->raw, NGHTTP2_PING, 0, 0, "12345678", 8);
}

static size_t answered(const struct fixture *f)
{
    return f->raw.frames[NGHTTP2_PING];
}

static void start(struct fixture *f, const char *path, const char *body, uint32_t len)
{
    f->stream += 2;
    h2raw_request(&f->raw, f->stream, 0, path, NULL);
    h2raw_message(&f->raw, f->stream, NGHTTP2_FLAG_END_STREAM, 0, len, body, len);
}

static void echo(struct fixture *f)
{
    start(f, "/t/echo", "hi", 2);
    H2RAW_UNTIL(&f->raw, h2raw_answer(&f->raw, f->stream)->ended);
}

/* Turn until all PINGs are answered; the time that it took. */
static int64_t until_answered(struct fixture *f, size_t count)
{
    int64_t began = flo_clock_mono_ns();
    H2RAW_UNTIL(&f->raw, answered(f) == count);
    return flo_clock_mono_ns() - began;
}

/* Nothing else is written: the answer leaves on its own, after a while and in time. */
static void test_ping_alone_is_answered_in_time(void **state)
{
    struct fixture *f = *state;
    echo(f);
    send_pings(f, 1);
    int64_t took = until_answered(f, 1);
    assert_true(took > FLO_H2_PING_HOLD_NS);
    assert_true(took < 5 * FLO_H2_PING_LATEST_NS); /* test machines are busy */
    assert_false(f->raw.goaway);
}

/* An answer to a call that leaves soon after does not take it along; a later one does. */
static void test_ping_is_held_then_rides(void **state)
{
    struct fixture *f = *state;
    int64_t began = flo_clock_mono_ns();
    send_pings(f, 1);
    echo(f);
    if (flo_clock_mono_ns() - began < FLO_H2_PING_HOLD_NS)
        assert_int_equal(answered(f), 0);
    while (flo_clock_mono_ns() - began < FLO_H2_PING_HOLD_NS + FLO_H2_PING_HOLD_NS / 2)
        h2raw_turn(&f->raw);
    echo(f);
    assert_int_equal(answered(f), 1);
}

/* The fastest of some tries: a busy machine delays some of them. */
static int64_t fastest(struct fixture *f, int pings)
{
    int64_t best = INT64_MAX;
    for (int i = 0; i < 10 && best >= FLO_H2_PING_HOLD_NS; i++) {
        size_t before = answered(f);
        echo(f); /* pays for them */
        echo(f);
        send_pings(f, pings);
        int64_t took = until_answered(f, before + (size_t)pings);
        best = took < best ? took : best;
    }
    return best;
}

/* No more than a few are held. */
static void test_many_pings_are_answered_at_once(void **state)
{
    assert_true(fastest(*state, 4) < FLO_H2_PING_HOLD_NS);
}

/* A peer whose window keeps a body back measures for the sake of that window. */
static void test_ping_while_a_body_waits_is_answered_at_once(void **state)
{
    struct fixture *f = *state;
    start(f, "/t/big", "100000", 6);
    H2RAW_UNTIL(&f->raw, h2raw_answer(&f->raw, f->stream)->data_bytes == 65535);
    /* The connection's window is shut too: no echo from here on. */
    int64_t best = INT64_MAX;
    for (size_t i = 1; i <= 4 && best >= FLO_H2_PING_HOLD_NS; i++) {
        send_pings(f, 1);
        int64_t took = until_answered(f, i);
        best = took < best ? took : best;
    }
    assert_true(best < FLO_H2_PING_HOLD_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ping_alone_is_answered_in_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ping_is_held_then_rides, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_pings_are_answered_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ping_while_a_body_waits_is_answered_at_once, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
