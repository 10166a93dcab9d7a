/* SPDX-License-Identifier: Apache-2.0 */
/* test_limits.c - the pure parts that decide whether a poll is sent: share.c, tokens.c, bucket.c,
 * pollers.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "worker/bucket.h"
#include "worker/pollers.h"
#include "worker/share.h"
#include "worker/tokens.h"

/* ---- share ---- */

#define QUEUES 3

/* Give places to queues that always want more; at each step one place is given back by a queue
 * drawn by lot. Counts how long each held on average. */
static void share_out(const uint32_t weights[QUEUES], size_t places, uint64_t out_held[QUEUES])
{
    struct flo_share shares[QUEUES] = {{0}};
    struct flo_rng rng;
    uint64_t given = 0;

    flo_rng_seed(&rng, 5);
    for (int i = 0; i < QUEUES; i++)
        shares[i].weight = weights[i];
    memset(out_held, 0, QUEUES * sizeof *out_held);
    for (int step = 0; step < 20000; step++) {
        size_t held = 0;
        for (int i = 0; i < QUEUES; i++)
            held += shares[i].held;
        if (held == places) {
            size_t lot = flo_rng_below(&rng, held);
            for (int i = 0; i < QUEUES; lot -= shares[i].held, i++) {
                if (lot < shares[i].held) {
                    shares[i].held--;
                    break;
                }
            }
        }
        struct flo_share *turn = &shares[0];
        for (int i = 1; i < QUEUES; i++)
            if (flo_share_before(&shares[i], turn))
                turn = &shares[i];
        turn->held++;
        turn->served = ++given;
        for (int i = 0; i < QUEUES; i++)
            out_held[i] += shares[i].held;
    }
}

/* Queues that always want more hold places in the ratio of their weights. */
static void test_share_follows_the_weights(void **state)
{
    static const uint32_t weights[QUEUES] = {6, 3, 1};
    uint64_t held[QUEUES];
    double all;

    (void)state;
    share_out(weights, 20, held);
    all = (double)(held[0] + held[1] + held[2]);
    for (int i = 0; i < QUEUES; i++) {
        double share = (double)held[i] / all, wanted = weights[i] / 10.0;
        assert_true(share > wanted - 0.03 && share < wanted + 0.03);
    }
}

/* A small weight still gets its place beside a huge one. */
static void test_share_starves_nobody(void **state)
{
    static const uint32_t weights[QUEUES] = {1000, 1, 1};
    uint64_t held[QUEUES];

    (void)state;
    share_out(weights, 3, held);
    for (int i = 0; i < QUEUES; i++)
        assert_true(held[i] > 15000); /* of 20,000 steps */
}

/* Equal ones take turns. */
static void test_share_even_goes_to_the_one_served_longest_ago(void **state)
{
    const struct flo_share early = {.weight = 1, .held = 2, .served = 7};
    const struct flo_share late = {.weight = 2, .held = 4, .served = 9};

    (void)state;
    assert_true(flo_share_before(&early, &late));
    assert_false(flo_share_before(&late, &early));
}

/* ---- tokens ---- */

static struct flo_tokens pools(uint32_t first, uint32_t second)
{
    return (struct flo_tokens){
        .count = 2, .pools = {{.name = "db", .total = first}, {.name = "gpu", .total = second}}};
}

/* All of a need is taken, or nothing. */
static void test_tokens_take_is_all_or_nothing(void **state)
{
    struct flo_tokens tokens = pools(5, 1);
    const struct flo_token_need both = {.of = {2, 1}}, db = {.of = {3}};

    (void)state;
    assert_true(flo_tokens_take(&tokens, &both));
    assert_false(flo_tokens_take(&tokens, &both));
    assert_int_equal(flo_tokens_short(&tokens, &both), 2); /* the gpu */
    assert_int_equal(tokens.pools[0].taken, 2);
    assert_true(flo_tokens_take(&tokens, &db));
    assert_int_equal(flo_tokens_short(&tokens, &both), 3);
    flo_tokens_give(&tokens, &both);
    flo_tokens_give(&tokens, &db);
    assert_int_equal(tokens.pools[0].taken + tokens.pools[1].taken, 0);
}

/* A poll takes the most of any type; the type that came gives the difference back. */
static void test_tokens_narrow_gives_the_difference_back(void **state)
{
    struct flo_tokens tokens = pools(10, 2);
    const struct flo_token_need one = {.of = {1, 2}}, other = {.of = {4}}, none = {.of = {0}};
    struct flo_token_need most = {.of = {0}};

    (void)state;
    flo_token_need_raise(&most, &one);
    flo_token_need_raise(&most, &other);
    assert_int_equal(most.of[0], 4);
    assert_int_equal(most.of[1], 2);
    assert_int_equal(flo_token_need_pools(&most), 3);
    assert_true(flo_tokens_take(&tokens, &most));
    flo_tokens_narrow(&tokens, &most, &one);
    assert_int_equal(tokens.pools[0].taken, 1);
    assert_int_equal(tokens.pools[1].taken, 2);
    flo_tokens_give(&tokens, &one);
    assert_true(flo_tokens_take(&tokens, &most));
    flo_tokens_narrow(&tokens, &most, &none);
    assert_int_equal(tokens.pools[0].taken + tokens.pools[1].taken, 0);
}

/* ---- bucket ---- */

#define MS FLO_NS_PER_MS

/* However polls are sent and answered, no window has more tasks than burst + rate * time. */
static void test_bucket_never_more_than_the_rate(void **state)
{
    struct flo_bucket bucket;
    struct flo_rng rng;
    int64_t times[4096];
    size_t count = 0, out = 0;

    (void)state;
    flo_rng_seed(&rng, 11);
    flo_bucket_init(&bucket, 50, 1, 0);
    for (int64_t now = 0; now < 20000 * MS && count < 4096; now += 3 * MS) {
        while (flo_bucket_reserve(&bucket, now))
            out++;
        while (out > 0 && flo_rng_below(&rng, 3) == 0) {
            out--;
            if (flo_rng_below(&rng, 4) == 0) {
                flo_bucket_release(&bucket);
            } else {
                flo_bucket_use(&bucket, now);
                times[count++] = now;
            }
        }
    }
    assert_true(count > 500);
    for (size_t i = 0; i < count; i++)
        for (size_t j = i; j < count; j += 7)
            assert_true((double)(j - i + 1) <=
                        5.001 + 50 * (double)(times[j] - times[i]) / FLO_NS_PER_S);
}

/* Another rate while polls are out: they keep their permits, what has been saved is cut to the new
 * burst, and a rate that begins does so with nothing saved. */
static void test_bucket_gets_another_rate(void **state)
{
    struct flo_bucket bucket;

    (void)state;
    flo_bucket_init(&bucket, 100, 1, 0); /* ten are saved */
    for (int i = 0; i < 4; i++)
        assert_true(flo_bucket_reserve(&bucket, 0));
    flo_bucket_set_rate(&bucket, 20, 1, 4, 0); /* two may be */
    assert_false(flo_bucket_reserve(&bucket, 0));
    for (int i = 0; i < 4; i++)
        flo_bucket_release(&bucket);
    assert_true(flo_bucket_reserve(&bucket, 0));
    assert_true(flo_bucket_reserve(&bucket, 0));
    assert_false(flo_bucket_reserve(&bucket, 0));

    bucket = (struct flo_bucket){0}; /* no rate was set: three polls went out without a permit */
    flo_bucket_set_rate(&bucket, 10, 1, 3, 0);
    for (int i = 0; i < 3; i++)
        flo_bucket_release(&bucket);
    assert_false(flo_bucket_reserve(&bucket, 0));
    assert_int_equal(flo_bucket_wait_ns(&bucket, 0), 100 * MS);
    assert_true(flo_bucket_reserve(&bucket, 100 * MS));
}

/* Polls that find nothing cost nothing; what is missing is said to the nanosecond. */
static void test_bucket_wait_says_when(void **state)
{
    struct flo_bucket bucket;

    (void)state;
    flo_bucket_init(&bucket, 4, 1, 0);
    assert_true(flo_bucket_reserve(&bucket, 0));
    assert_false(flo_bucket_reserve(&bucket, 0));
    assert_int_equal(flo_bucket_wait_ns(&bucket, 0), -1); /* the one that there is, is out */
    flo_bucket_release(&bucket);
    assert_int_equal(flo_bucket_wait_ns(&bucket, 0), 0);
    assert_true(flo_bucket_reserve(&bucket, 0));
    flo_bucket_use(&bucket, 0);
    assert_int_equal(flo_bucket_wait_ns(&bucket, 0), 250 * MS);
    assert_int_equal(flo_bucket_wait_ns(&bucket, 100 * MS), 150 * MS);
    assert_false(flo_bucket_reserve(&bucket, 249 * MS));
    assert_true(flo_bucket_reserve(&bucket, 250 * MS));
}

/* An idle time is not saved up beyond the burst. */
static void test_bucket_idle_time_is_not_saved(void **state)
{
    struct flo_bucket bucket;
    int got = 0;

    (void)state;
    flo_bucket_init(&bucket, 100, 1, 0);
    while (flo_bucket_reserve(&bucket, 3600 * FLO_NS_PER_S))
        got++;
    assert_int_equal(got, 10);
}

/* Each queue can have a poll out, however low the rate is. */
static void test_bucket_has_a_permit_for_each_queue(void **state)
{
    struct flo_bucket bucket;

    (void)state;
    flo_bucket_init(&bucket, 0.5, 3, 0);
    for (int i = 0; i < 3; i++)
        assert_true(flo_bucket_reserve(&bucket, 0));
    assert_false(flo_bucket_reserve(&bucket, 0));
}

/* The wait of a rate that is nearly none still fits a timer. */
static void test_bucket_wait_has_an_end(void **state)
{
    struct flo_bucket bucket;

    (void)state;
    flo_bucket_init(&bucket, 1e-12, 1, 0);
    assert_true(flo_bucket_reserve(&bucket, 0));
    flo_bucket_use(&bucket, 0);
    assert_int_equal(flo_bucket_wait_ns(&bucket, 0), 3600 * FLO_NS_PER_S);
}

/* ---- pollers ---- */

static const struct flo_poll_end MORE = {.task = true, .advised = true, .advice = 1};
static const struct flo_poll_end LESS = {.task = true, .advised = true, .advice = -1};
static const struct flo_poll_end EMPTY = {.task = false};

/* Advice takes the number above where it began, up to the maximum, and down to the minimum. */
static void test_pollers_follow_advice_within_bounds(void **state)
{
    struct flo_pollers pollers;

    (void)state;
    flo_pollers_autoscale(&pollers, 2, 10, 5, 0);
    for (int i = 0; i < 20; i++)
        flo_pollers_ended(&pollers, &MORE, i);
    assert_int_equal(pollers.target, 10);
    for (int i = 0; i < 20; i++)
        flo_pollers_ended(&pollers, &LESS, 20 + i);
    assert_int_equal(pollers.target, 2);
    flo_pollers_fixed(&pollers, 5);
    flo_pollers_ended(&pollers, &MORE, 0);
    assert_int_equal(pollers.target, 5);
}

/* Empty polls take it down once the server has advised; before that they say nothing. */
static void test_pollers_empty_polls_count_after_the_first_advice(void **state)
{
    struct flo_pollers pollers;

    (void)state;
    flo_pollers_autoscale(&pollers, 1, 10, 5, 0);
    for (int i = 0; i < 20; i++)
        flo_pollers_ended(&pollers, &EMPTY, i);
    assert_int_equal(pollers.target, 5);
    flo_pollers_ended(&pollers, &MORE, 20);
    assert_int_equal(pollers.target, 6);
    flo_pollers_ended(&pollers, &EMPTY, 21);
    assert_int_equal(pollers.target, 5);
    for (int i = 0; i < 20; i++)
        flo_pollers_ended(&pollers, &EMPTY, 22 + i);
    assert_int_equal(pollers.target, 1);
}

/* A server that has too much to do is asked half as often. */
static void test_pollers_exhausted_halves(void **state)
{
    const struct flo_poll_end exhausted = {.refused = true, .exhausted = true};
    const struct flo_poll_end refused = {.refused = true};
    struct flo_pollers pollers;

    (void)state;
    flo_pollers_autoscale(&pollers, 1, 100, 40, 0);
    flo_pollers_ended(&pollers, &exhausted, 0);
    assert_int_equal(pollers.target, 40); /* nothing would bring it up again */
    flo_pollers_ended(&pollers, &MORE, 1);
    flo_pollers_ended(&pollers, &exhausted, 2);
    assert_int_equal(pollers.target, 20);
    flo_pollers_ended(&pollers, &refused, 3);
    assert_int_equal(pollers.target, 19);
}

/* A worker whose work is the limit is told of a backlog for ever, and does not follow: the number
 * comes to rest instead of running to the maximum. */
static void test_pollers_growth_without_more_tasks_stops(void **state)
{
    struct flo_pollers pollers;
    size_t before = 0;

    (void)state;
    flo_pollers_autoscale(&pollers, 1, 1000, 5, 0);
    for (int64_t ms = 0; ms < 10000; ms++) {
        flo_pollers_ended(&pollers, &MORE, ms * MS); /* 100 tasks a period, always */
        if (ms == 500)
            before = pollers.target;
    }
    assert_int_equal(pollers.target, before);
    assert_true(before > 5 && before < 400);
    /* After a pause it may grow again. */
    flo_pollers_ended(&pollers, &MORE, 20000 * MS);
    assert_int_equal(pollers.target, before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share_follows_the_weights),
        cmocka_unit_test(test_share_starves_nobody),
        cmocka_unit_test(test_share_even_goes_to_the_one_served_longest_ago),
        cmocka_unit_test(test_tokens_take_is_all_or_nothing),
        cmocka_unit_test(test_tokens_narrow_gives_the_difference_back),
        cmocka_unit_test(test_bucket_never_more_than_the_rate),
        cmocka_unit_test(test_bucket_gets_another_rate),
        cmocka_unit_test(test_bucket_wait_says_when),
        cmocka_unit_test(test_bucket_idle_time_is_not_saved),
        cmocka_unit_test(test_bucket_has_a_permit_for_each_queue),
        cmocka_unit_test(test_bucket_wait_has_an_end),
        cmocka_unit_test(test_pollers_follow_advice_within_bounds),
        cmocka_unit_test(test_pollers_empty_polls_count_after_the_first_advice),
        cmocka_unit_test(test_pollers_exhausted_halves),
        cmocka_unit_test(test_pollers_growth_without_more_tasks_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
