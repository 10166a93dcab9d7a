/* SPDX-License-Identifier: Apache-2.0 */
/* test_heartbeat.c - activity/heartbeat.c: when heartbeats go out, on a fake clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "activity/heartbeat.h"
#include "base/clock.h"

#define S FLO_NS_PER_S

/* The first heartbeat goes at once, the next after 0.8 x the timeout. */
static void test_beat_first_is_sent_at_once(void **state)
{
    struct flo_heartbeat beat;
    int64_t wait = 0;

    (void)state;
    flo_heartbeat_init(&beat, 10 * S);
    assert_int_equal(flo_heartbeat_next(&beat, 0, &wait), FLO_HEARTBEAT_NOTHING);
    flo_heartbeat_beat(&beat);
    assert_int_equal(flo_heartbeat_next(&beat, 0, &wait), FLO_HEARTBEAT_SEND);
    flo_heartbeat_sent(&beat, 0);
    flo_heartbeat_answered(&beat);
    flo_heartbeat_beat(&beat);
    assert_int_equal(flo_heartbeat_next(&beat, 1 * S, &wait), FLO_HEARTBEAT_WAIT);
    assert_int_equal(wait, 7 * S);
    assert_int_equal(flo_heartbeat_next(&beat, 8 * S, &wait), FLO_HEARTBEAT_SEND);
}

/* While a call is in flight nothing is sent; what was said meanwhile follows later, once. */
static void test_beat_in_flight_waits_for_the_answer(void **state)
{
    struct flo_heartbeat beat;
    int64_t wait = 0;

    (void)state;
    flo_heartbeat_init(&beat, 1 * S);
    flo_heartbeat_beat(&beat);
    flo_heartbeat_sent(&beat, 0);
    flo_heartbeat_beat(&beat);
    flo_heartbeat_beat(&beat);
    assert_int_equal(flo_heartbeat_next(&beat, 5 * S, &wait), FLO_HEARTBEAT_NOTHING);
    flo_heartbeat_answered(&beat);
    assert_int_equal(flo_heartbeat_next(&beat, 5 * S, &wait), FLO_HEARTBEAT_SEND);
    flo_heartbeat_sent(&beat, 5 * S);
    flo_heartbeat_answered(&beat);
    assert_int_equal(flo_heartbeat_next(&beat, 50 * S, &wait), FLO_HEARTBEAT_NOTHING);
}

/* Without a timeout every 30 s; with a very long one every 60 s. */
static void test_init_interval_has_default_and_cap(void **state)
{
    struct flo_heartbeat beat;

    (void)state;
    flo_heartbeat_init(&beat, 0);
    assert_int_equal(beat.interval_ns, 30 * S);
    flo_heartbeat_init(&beat, 3600 * S);
    assert_int_equal(beat.interval_ns, 60 * S);
    flo_heartbeat_init(&beat, 2 * S);
    assert_int_equal(beat.interval_ns, 1600 * FLO_NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beat_first_is_sent_at_once),
        cmocka_unit_test(test_beat_in_flight_waits_for_the_answer),
        cmocka_unit_test(test_init_interval_has_default_and_cap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
