/* SPDX-License-Identifier: Apache-2.0 */
/* test_guard.c - the frame walker, the token bucket and the PING policy, on a fake clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "base/clock.h"
#include "http2/guard.h"

#define SECOND FLO_NS_PER_S

static const char *frame(struct flo_h2_guard *guard, uint8_t type, uint8_t flags, size_t len,
                         int64_t now)
{
    uint8_t bytes[64] = {0, 0, (uint8_t)len, type, flags};
    return flo_h2_guard_feed(guard, bytes, 9 + len, now);
}

static void start(struct flo_h2_guard *guard, bool server)
{
    flo_h2_guard_init(guard, server, SECOND);
    if (server)
        assert_null(flo_h2_guard_feed(guard, (const uint8_t *)NGHTTP2_CLIENT_MAGIC,
                                      NGHTTP2_CLIENT_MAGIC_LEN, SECOND));
}

/* Frames of type that pass at once before the bucket is empty. */
static size_t burst(struct flo_h2_guard *guard, uint8_t type, size_t len, int64_t now,
                    const char **out_reason)
{
    size_t passed = 0;
    while (passed < 5000 && !(*out_reason = frame(guard, type, 0, len, now)))
        passed++;
    return passed;
}

/* Each frame without use is bounded below 1,000 and named. */
static void test_guard_useless_frames_are_bounded_and_named(void **state)
{
    (void)state;
    static const struct {
        uint8_t type;
        size_t len;
        const char *reason;
    } table[] = {{NGHTTP2_SETTINGS, 0, "h2.settings_flood"},
                 {NGHTTP2_PRIORITY, 5, "h2.priority_flood"},
                 {NGHTTP2_RST_STREAM, 4, "h2.reset_flood"},
                 {NGHTTP2_DATA, 0, "h2.empty_data_flood"},
                 {NGHTTP2_CONTINUATION, 0, "h2.continuation_flood"},
                 {0xee, 3, "h2.unknown_frame_flood"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct flo_h2_guard guard;
        const char *reason;
        start(&guard, true);
        size_t passed = burst(&guard, table[i].type, table[i].len, SECOND, &reason);
        assert_true(passed > 100 && passed < 1000);
        assert_string_equal(reason, table[i].reason);
    }
}

/* Useful frames cost nothing, however many. */
static void test_guard_useful_frames_are_free(void **state)
{
    (void)state;
    struct flo_h2_guard guard;
    const char *reason;
    start(&guard, true);
    assert_int_equal(burst(&guard, NGHTTP2_DATA, 20, SECOND, &reason), 5000);
    assert_int_equal(burst(&guard, NGHTTP2_HEADERS, 20, SECOND, &reason), 5000);
    assert_int_equal(burst(&guard, NGHTTP2_WINDOW_UPDATE, 4, SECOND, &reason), 5000);
    for (int i = 0; i < 5000; i++)
        assert_null(frame(&guard, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 0, SECOND));
}

/* The bucket fills again with time, up to the burst. */
static void test_guard_bucket_refills(void **state)
{
    (void)state;
    struct flo_h2_guard guard;
    const char *reason;
    start(&guard, true);
    size_t full = burst(&guard, NGHTTP2_SETTINGS, 0, SECOND, &reason);
    size_t later = burst(&guard, NGHTTP2_SETTINGS, 0, 2 * SECOND, &reason);
    assert_true(later > 50 && later < full);
    assert_true(burst(&guard, NGHTTP2_SETTINGS, 0, 1000 * SECOND, &reason) <= full);
}

/* However the bytes are cut, the walker sees the same frames. */
static void test_guard_byte_by_byte_sees_the_same(void **state)
{
    (void)state;
    struct flo_h2_guard guard;
    const char *reason = NULL;
    uint8_t bytes[] = {0, 0, 5, NGHTTP2_PRIORITY, 0, 0, 0, 0, 3, 0, 0, 0, 0, 1};
    size_t frames = 0;
    flo_h2_guard_init(&guard, true, SECOND);
    for (size_t i = 0; i < NGHTTP2_CLIENT_MAGIC_LEN; i++)
        assert_null(flo_h2_guard_feed(&guard, (const uint8_t *)"x", 1, SECOND));
    for (; !reason && frames < 2000; frames++)
        for (size_t i = 0; i < sizeof bytes && !reason; i++)
            reason = flo_h2_guard_feed(&guard, bytes + i, 1, SECOND);
    assert_string_equal(reason, "h2.priority_flood");
    assert_int_equal(frames, 801);
}

/* PINGs closer than 10 s are strikes, two are tolerated, output clears them. */
static void test_guard_ping_strikes(void **state)
{
    (void)state;
    struct flo_h2_guard guard;
    int64_t now = 100 * SECOND;
    start(&guard, true);
    assert_null(frame(&guard, NGHTTP2_PING, 0, 8, now));
    assert_null(frame(&guard, NGHTTP2_PING, 0, 8, now += SECOND));
    assert_null(frame(&guard, NGHTTP2_PING, 0, 8, now += SECOND));
    flo_h2_guard_sent(&guard);
    assert_null(frame(&guard, NGHTTP2_PING, 0, 8, now += SECOND));
    assert_null(frame(&guard, NGHTTP2_PING, 0, 8, now += SECOND));
    assert_null(frame(&guard, NGHTTP2_PING, 0, 8, now += SECOND));
    assert_string_equal(frame(&guard, NGHTTP2_PING, 0, 8, now += SECOND), "h2.ping_flood");
}

/* Each frame of HEADERS or DATA that we sent pays for one PING, on both sides, at any rate. */
static void test_guard_pings_for_our_output_are_free(void **state)
{
    (void)state;
    struct flo_h2_guard guard;
    for (int server = 0; server < 2; server++) {
        start(&guard, server);
        for (int i = 0; i < 5000; i++) {
            flo_h2_guard_sent(&guard);
            assert_null(frame(&guard, NGHTTP2_PING, 0, 8, SECOND));
        }
        for (int i = 0; i < 10; i++)
            flo_h2_guard_sent(&guard); /* a large answer at once */
        for (int i = 0; i < 10; i++)
            assert_null(frame(&guard, NGHTTP2_PING, 0, 8, SECOND));
    }
}

/* A PING each 10 s or more, and answers to our own, never are strikes; clients count none. */
static void test_guard_slow_pings_are_fine(void **state)
{
    (void)state;
    struct flo_h2_guard guard;
    start(&guard, true);
    for (int64_t i = 1; i < 1000; i++) {
        assert_null(frame(&guard, NGHTTP2_PING, 0, 8, i * 10 * SECOND));
        assert_null(frame(&guard, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 8, i * 10 * SECOND));
    }
    start(&guard, false);
    for (int i = 0; i < 100; i++)
        assert_null(frame(&guard, NGHTTP2_PING, 0, 8, SECOND));
}

/* Streams that we reset cost the peer; refusals of our own choice cost a tenth. */
static void test_guard_resets_are_charged(void **state)
{
    (void)state;
    struct flo_h2_guard guard;
    size_t errors = 0, refusals = 0;
    start(&guard, true);
    while (flo_h2_guard_charge_reset(&guard, NGHTTP2_PROTOCOL_ERROR, SECOND))
        errors++;
    start(&guard, true);
    while (flo_h2_guard_charge_reset(&guard, NGHTTP2_REFUSED_STREAM, SECOND))
        refusals++;
    assert_true(errors < 1000);
    assert_int_equal(refusals, 10 * errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guard_useless_frames_are_bounded_and_named),
        cmocka_unit_test(test_guard_useful_frames_are_free),
        cmocka_unit_test(test_guard_bucket_refills),
        cmocka_unit_test(test_guard_byte_by_byte_sees_the_same),
        cmocka_unit_test(test_guard_ping_strikes),
        cmocka_unit_test(test_guard_pings_for_our_output_are_free),
        cmocka_unit_test(test_guard_slow_pings_are_fine),
        cmocka_unit_test(test_guard_resets_are_charged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
