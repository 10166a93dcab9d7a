/* SPDX-License-Identifier: Apache-2.0 */
/* The scaling policy: single decisions, and simulated fleets under load. */
#include "supervisor/scaling/scale_policy.h"
#include "support/cmocka_env.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND INT64_C(1000)
#define START 5000000

static const struct flo_scale_limits guide = {.min = 3,
                                              .max = 20,
                                              .up_backlog = 10,
                                              .down_backlog = 3,
                                              .drain_target_ms = 10 * SECOND,
                                              .target_utilization = 0.8,
                                              .cooldown_ms = 60 * SECOND,
                                              .zero_cooldown_ms = 300 * SECOND,
                                              .settle_ms = 15 * SECOND};

struct fleet {
    struct flo_scale_limits limits;
    struct flo_scale_state state;
    struct flo_scale_sample sample;
    struct flo_scale_decision decision;
    int64_t now_ms;
};

static struct fleet fleet_of(int64_t replicas)
{
    return (struct fleet){.limits = guide,
                          .sample = {.known = true,
                                     .replicas = replicas,
                                     .ready = replicas,
                                     .slots = 3 * replicas,
                                     .task_s = 1},
                          .now_ms = START};
}

static int64_t decide(struct fleet *fleet)
{
    flo_scale_decide(&fleet->limits, &fleet->sample, &fleet->state, fleet->now_ms,
                     &fleet->decision);
    assert_true(strlen(fleet->decision.reason) > 10);
    assert_null(strchr(fleet->decision.reason, '\n'));
    return fleet->decision.desired;
}

/* Do what was decided: the new ones report at once, with three slots each. */
static void obey(struct fleet *fleet)
{
    fleet->sample.replicas = fleet->sample.ready = fleet->decision.desired;
    fleet->sample.slots = 3 * fleet->decision.desired;
}

/* So many seconds with the same sample, one a second; the last decision. */
static int64_t pass(struct fleet *fleet, int seconds)
{
    int64_t desired = fleet->sample.replicas;
    for (int i = 0; i < seconds; i++) {
        fleet->now_ms += SECOND;
        desired = decide(fleet);
        if (desired != fleet->sample.replicas)
            return desired;
    }
    return desired;
}

/* The guide's threshold is ten workflow tasks for each replica: at it nothing happens yet. */
static void test_up_only_above_threshold(void **state)
{
    (void)state;
    struct fleet fleet = fleet_of(3);
    fleet.sample.backlog = 30;
    assert_int_equal(decide(&fleet), 3);
    fleet.sample.backlog = 31;
    assert_int_equal(decide(&fleet), 4);
    assert_string_equal(fleet.decision.reason,
                        "31 tasks wait, more than 10 for each of 3 replicas");
}

/* The sum: 100 tasks of 2 s within 10 s take 20 slots, 9 are in use: 29 of 3 each. */
static void test_up_by_what_the_backlog_takes(void **state)
{
    (void)state;
    struct fleet fleet = fleet_of(3);
    fleet.sample.backlog = 100;
    fleet.sample.in_flight = 9;
    fleet.sample.task_s = 2;
    assert_int_equal(decide(&fleet), 10);
    fleet.sample.backlog = 1000;
    assert_int_equal(decide(&fleet), 20); /* the most */
    fleet.sample.backlog = 100;
    fleet.sample.task_s = 0.001; /* the sum says one: there is still too much for three */
    assert_int_equal(decide(&fleet), 4);
    fleet.sample.task_s = 0; /* not known: as many as have ten each */
    assert_int_equal(decide(&fleet), 10);
}

/* IO workers of the guide: five slots each. */
static struct fleet io_fleet(int64_t replicas)
{
    struct fleet fleet = fleet_of(replicas);
    fleet.limits.up_backlog = 15;
    fleet.limits.down_backlog = 5;
    fleet.sample.slots = 5 * replicas;
    fleet.sample.task_s = 1.2;
    return fleet;
}

/* Slots are full and the queue stands below the threshold: (100 * 0.12 + 50) / 5. */
static void test_full_slots_below_threshold_get_more(void **state)
{
    (void)state;
    struct fleet fleet = io_fleet(10);
    fleet.sample.backlog = 100;
    fleet.sample.in_flight = 50;
    assert_int_equal(decide(&fleet), 13);
    assert_string_equal(fleet.decision.reason,
                        "100 tasks wait and 50 run: enough work for 13 instead of 10 replicas");
    fleet = io_fleet(10);
    fleet.sample.backlog = 49; /* little waits: they manage */
    fleet.sample.in_flight = 50;
    assert_int_equal(decide(&fleet), 10);
}

/* Ten tasks of a minute are few, but they would wait for 40 s: each gets a slot, and none is
 * without a task. */
static void test_slow_tasks_get_slots(void **state)
{
    (void)state;
    struct fleet fleet = io_fleet(3);
    fleet.sample.backlog = 10;
    fleet.sample.in_flight = 15;
    fleet.sample.task_s = 60;
    assert_int_equal(decide(&fleet), 5);
    fleet.sample.backlog = 0;
    fleet = io_fleet(3);
    fleet.sample.in_flight = 15;
    fleet.sample.task_s = 60;
    assert_int_equal(pass(&fleet, 1000), 3);
}

/* A backlog that grows by 20 a second needs slots for those, too: 24, and 15 + 7.8 for the rest. */
static void test_growth_counts(void **state)
{
    (void)state;
    struct fleet fleet = io_fleet(3);
    fleet.sample.in_flight = 15;
    fleet.sample.backlog = 5;
    assert_int_equal(decide(&fleet), 3);
    fleet.sample.backlog = 25;
    fleet.limits.drain_target_ms = 100 * SECOND; /* nothing but growth */
    assert_int_equal(pass(&fleet, 1), 4);
    fleet.sample.backlog = 65;
    fleet.limits.drain_target_ms = 10 * SECOND;
    fleet.now_ms += SECOND;
    assert_int_equal(pass(&fleet, 1), 10);
    fleet.sample.ready = fleet.sample.replicas = 10; /* seen anew: with them it may not grow */
    fleet.sample.slots = 50;
    fleet.sample.backlog = 160;
    assert_int_equal(pass(&fleet, 1), 11);
}

/* Whoever else starts them: what was wanted stays so while they come, and while nobody knows. */
static void test_reported_only_keeps_what_was_wanted(void **state)
{
    (void)state;
    struct fleet fleet = io_fleet(3);
    fleet.sample.reported_only = true;
    fleet.sample.backlog = 300;
    fleet.sample.in_flight = 15;
    assert_int_equal(decide(&fleet), 11);
    fleet.sample.backlog = 40; /* fewer wait, and the pods are not there yet */
    fleet.now_ms += SECOND;
    assert_int_equal(decide(&fleet), 11);
    fleet.sample.known = false;
    fleet.sample.replicas = fleet.sample.ready = 1;
    fleet.now_ms += 500 * SECOND;
    assert_int_equal(decide(&fleet), 11);
    fleet.sample.known = true;
    fleet.sample.backlog = fleet.sample.in_flight = 0;
    fleet.sample.replicas = fleet.sample.ready = 11;
    fleet.now_ms += SECOND;
    assert_int_equal(decide(&fleet), 11);
    fleet.now_ms += 70 * SECOND;
    assert_true(decide(&fleet) < 11);
}

/* Too few by the bounds and much to do: not just the fewest. */
static void test_below_the_fewest_work_counts(void **state)
{
    (void)state;
    struct fleet fleet = io_fleet(1);
    fleet.sample.backlog = 300;
    fleet.sample.in_flight = 5;
    assert_int_equal(decide(&fleet), 9);
}

/* New replicas are awaited before more are asked for, but not for ever. */
static void test_up_awaits_the_last_ones(void **state)
{
    (void)state;
    struct fleet fleet = fleet_of(3);
    fleet.sample.backlog = 31;
    assert_int_equal(decide(&fleet), 4);
    fleet.sample.replicas = 4;
    fleet.sample.backlog = 100;
    fleet.sample.task_s = 0.001; /* what waits and runs needs but one */
    assert_int_equal(pass(&fleet, 10), 4);
    assert_non_null(strstr(fleet.decision.reason, "3 report, the rest is awaited"));
    assert_true(pass(&fleet, 6) > 4);
    fleet.sample.ready = 4;
    assert_true(decide(&fleet) > 4);
}

/* Between the thresholds the count stays, however long. */
static void test_band_holds(void **state)
{
    (void)state;
    struct fleet fleet = fleet_of(6);
    fleet.sample.backlog = 18;
    assert_int_equal(pass(&fleet, 1000), 6);
    fleet = fleet_of(6);
    fleet.sample.backlog = 60;
    assert_int_equal(pass(&fleet, 1000), 6);
}

/* Down after the cool-down, by half at most, then again after the settling time, to the fewest. */
static void test_down_after_cooldown(void **state)
{
    (void)state;
    struct fleet fleet = fleet_of(16);
    assert_int_equal(decide(&fleet), 16);
    assert_int_equal(pass(&fleet, 59), 16);
    assert_non_null(strstr(fleet.decision.reason, "the cool-down is not over"));
    assert_int_equal(pass(&fleet, 5), 8);
    obey(&fleet);
    assert_int_equal(pass(&fleet, 15), 8);
    assert_int_equal(pass(&fleet, 2), 4);
    obey(&fleet);
    assert_int_equal(pass(&fleet, 20), 3);
    obey(&fleet);
    assert_int_equal(pass(&fleet, 1000), 3);
}

/* A peak within the cool-down keeps what it needed. */
static void test_peak_is_remembered(void **state)
{
    (void)state;
    struct fleet fleet = fleet_of(10);
    assert_int_equal(pass(&fleet, 30), 10);
    fleet.sample.in_flight = 20; /* of 0.8 * 3 each: 9 */
    assert_int_equal(pass(&fleet, 1), 10);
    fleet.sample.in_flight = 0;
    assert_int_equal(pass(&fleet, 31), 9);
    obey(&fleet);
    assert_int_equal(pass(&fleet, 26), 9);
    assert_int_equal(pass(&fleet, 10), 5);
}

/* What is not known changes nothing, and the cool-down starts over. */
static void test_unknown_holds(void **state)
{
    (void)state;
    struct fleet fleet = fleet_of(10);
    assert_int_equal(pass(&fleet, 59), 10);
    fleet.sample.known = false;
    assert_int_equal(pass(&fleet, 500), 10);
    assert_string_equal(fleet.decision.reason, "how many tasks wait is not known: the count stays");
    fleet.sample.known = true;
    assert_int_equal(pass(&fleet, 59), 10);
    assert_true(pass(&fleet, 5) < 10);
}

/* The bounds hold at once, known or not. */
static void test_bounds(void **state)
{
    (void)state;
    struct fleet fleet = fleet_of(1);
    fleet.sample.known = false;
    assert_int_equal(decide(&fleet), 3);
    fleet = fleet_of(25);
    assert_int_equal(decide(&fleet), 20);
}

/* To none only when nothing waited or ran for the longer cool-down; up with the first task. */
static void test_zero(void **state)
{
    (void)state;
    struct fleet fleet = fleet_of(1);
    fleet.limits.min = 0;
    fleet.sample.in_flight = 1;
    assert_int_equal(pass(&fleet, 2000), 1);
    fleet.sample.in_flight = 0;
    assert_int_equal(pass(&fleet, 299), 1);
    assert_int_equal(pass(&fleet, 2), 0);
    obey(&fleet);
    assert_int_equal(pass(&fleet, 1000), 0);
    fleet.sample.backlog = 1;
    assert_int_equal(pass(&fleet, 1), 1);
}

/* A count that was set by hand stays for the cool-down, within the bounds. */
static void test_hold(void **state)
{
    (void)state;
    struct fleet fleet = fleet_of(5);
    fleet.sample.backlog = 500;
    flo_scale_hold(&fleet.state, &fleet.limits, fleet.now_ms);
    assert_int_equal(pass(&fleet, 59), 5);
    assert_non_null(strstr(fleet.decision.reason, "set by hand"));
    assert_true(pass(&fleet, 2) > 5);
    fleet.sample.replicas = 50;
    flo_scale_hold(&fleet.state, &fleet.limits, fleet.now_ms);
    assert_int_equal(pass(&fleet, 1), 20);
}

/* ---- simulated fleets ---- */

struct plant {
    struct fleet fleet;
    double waiting, running; /* tasks */
    double task_s;
    int64_t asked[16]; /* replicas, by second: they report start_s later */
    int second;
    int slots_each, start_s, turns, direction, away_s;
    uint64_t random;
};

static uint32_t draw(struct plant *plant, uint32_t below)
{
    plant->random = plant->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(plant->random >> 33) % below;
}

/* One second of load. */
static void work(struct plant *plant, double arrivals)
{
    struct flo_scale_sample *sample = &plant->fleet.sample;
    double capacity = (double)(plant->slots_each * sample->ready);
    plant->waiting += arrivals;
    /* Tasks end after task_s on the average, others take their place at once. */
    double could = capacity / plant->task_s;
    double done = plant->waiting + plant->running < could ? plant->waiting + plant->running : could;
    double left = plant->waiting + plant->running - done;
    double busy = done * plant->task_s < capacity ? done * plant->task_s : capacity;
    plant->running = left < busy ? left : busy;
    plant->waiting = left - plant->running;
    sample->backlog = (int64_t)plant->waiting;
    sample->in_flight = (int64_t)(busy + 0.5);
    sample->slots = (int64_t)capacity;
    sample->task_s = plant->task_s;
    if (draw(plant, 400) == 0) /* the server is away for a while */
        plant->away_s = 1 + (int)draw(plant, 20);
    sample->known = plant->away_s == 0;
    plant->away_s -= plant->away_s > 0;
}

static void step(struct plant *plant, double arrivals)
{
    struct flo_scale_sample *sample = &plant->fleet.sample;
    plant->fleet.now_ms += SECOND;
    plant->second++;
    if (plant->second > plant->start_s) {
        int64_t asked = plant->asked[(plant->second - plant->start_s) % 16];
        asked = asked < sample->replicas ? asked : sample->replicas;
        sample->ready = asked > sample->ready ? asked : sample->ready;
    }
    work(plant, arrivals);
    int64_t before = sample->replicas, desired = decide(&plant->fleet);
    assert_true(desired >= plant->fleet.limits.min && desired <= plant->fleet.limits.max);
    plant->asked[plant->second % 16] = desired;
    if (desired == before)
        return;
    assert_true(sample->known);
    if (desired < 1)
        assert_true(sample->in_flight == 0 && sample->backlog == 0);
    int direction = desired > before ? 1 : -1;
    plant->turns += plant->direction && plant->direction != direction;
    plant->direction = direction;
    sample->replicas = desired;
    if (desired < sample->ready)
        sample->ready = desired;
}

/*
 * The guide's expectations, with IO tasks of 1.2 s: 5 a second, then so many, for five minutes
 * each. A task that comes waits at most as long as those before it take.
 */
static void test_guides_load(void **state)
{
    (void)state;
    static const struct {
        int load, fewest, most;
    } rows[] = {{10, 3, 5}, {25, 5, 10}, {30, 8, 15}, {40, 10, 15}, {60, 15, 20}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct plant plant = {
            .fleet = io_fleet(3), .task_s = 1.2, .slots_each = 5, .start_s = 2, .random = 1};
        double longest = 0;
        for (int t = 0; t < 600; t++) {
            const struct flo_scale_sample *sample = &plant.fleet.sample;
            plant.away_s = 0;
            step(&plant, t < 300 ? 5 : rows[i].load);
            double wait = plant.waiting * plant.task_s / (double)sample->slots;
            longest = wait > longest ? wait : longest;
            if (t > 360)
                assert_in_range(sample->replicas, rows[i].fewest, rows[i].most);
        }
        print_message("%d/s: %d replicas, at most %.1f s of waiting\n", rows[i].load,
                      (int)plant.fleet.sample.replicas, longest);
        if (rows[i].load <= 30)
            assert_true(longest + plant.task_s < 4.5);
        assert_true(plant.waiting < 5.0 * (double)plant.fleet.sample.replicas);
        assert_in_range(plant.turns, 0, 1); /* one too many goes again */
    }
}

static uint64_t seed_of(void)
{
    const char *text = getenv("FLOTILLA_SEED");
    return text ? strtoull(text, NULL, 10) : (uint64_t)time(NULL);
}

/*
 * Load goes from low to high and back, with noise. While it is steady the count settles: it turns
 * no more, the backlog goes away, and when the load is gone so are the replicas.
 */
static void test_plants_settle(void **state)
{
    (void)state;
    uint64_t seed = seed_of();
    for (int round = 0; round < 2000; round++) {
        struct plant plant = {.fleet = fleet_of(3), .random = seed + (uint64_t)round};
        (void)draw(&plant, 2);
        plant.task_s = 0.05 + draw(&plant, 300) / 100.0;
        plant.slots_each = 1 + (int)draw(&plant, 10);
        plant.start_s = 1 + (int)draw(&plant, 10);
        plant.fleet.limits.min = draw(&plant, 4);
        double most = (double)(plant.fleet.limits.max * plant.slots_each) / plant.task_s;
        double high = most * (0.2 + draw(&plant, 50) / 100.0), low = high / 8;
        const double loads[] = {low, high, low};
        for (int phase = 0; phase < 3; phase++) {
            for (int i = 0; i < 400; i++)
                step(&plant, loads[phase] * (0.9 + draw(&plant, 21) / 100.0));
            int turns = plant.turns;
            int64_t backlog = plant.fleet.sample.backlog;
            for (int i = 0; i < 400; i++)
                step(&plant, loads[phase] * (0.9 + draw(&plant, 21) / 100.0));
            if (plant.turns > turns + 1 || backlog > 15 * plant.fleet.sample.replicas)
                fail_msg("seed %" PRIu64 " round %d phase %d: %d turns, backlog %" PRId64
                         " with %" PRId64 " replicas (task %.2f s, %d slots, load %.1f/s)",
                         seed, round, phase, plant.turns - turns, backlog,
                         plant.fleet.sample.replicas, plant.task_s, plant.slots_each, loads[phase]);
        }
        if (plant.turns > 4)
            fail_msg("seed %" PRIu64 " round %d: %d changes of direction", seed, round,
                     plant.turns);
        for (int i = 0; i < 3000 && plant.fleet.sample.replicas > plant.fleet.limits.min; i++)
            step(&plant, 0);
        assert_int_equal(plant.fleet.sample.replicas, plant.fleet.limits.min);
    }
}

/* Any sample, also nonsense: always within the bounds, never none while there is work. */
static void test_random_samples(void **state)
{
    (void)state;
    uint64_t seed = seed_of();
    struct plant plant = {.fleet = fleet_of(3), .random = seed};
    print_message("seed %" PRIu64 "\n", seed);
    for (int i = 0; i < 200000; i++) {
        struct flo_scale_sample *sample = &plant.fleet.sample;
        plant.fleet.limits.min = draw(&plant, 4);
        plant.fleet.limits.cooldown_ms = draw(&plant, 100000);
        sample->known = draw(&plant, 3) > 0;
        sample->backlog = draw(&plant, 3) ? 0 : draw(&plant, 1u << 30);
        sample->in_flight = draw(&plant, 2) ? 0 : draw(&plant, 100);
        sample->slots = draw(&plant, 200);
        sample->replicas = draw(&plant, 30);
        sample->ready = draw(&plant, 30);
        static const double odd[] = {0, 1e-300, 1e300, (double)NAN, (double)INFINITY, -1};
        uint32_t kind = draw(&plant, 12);
        sample->task_s = kind < 6 ? odd[kind] : draw(&plant, 1u << 30);
        sample->reported_only = draw(&plant, 2) > 0;
        plant.fleet.now_ms += draw(&plant, 10000);
        int64_t desired = decide(&plant.fleet);
        assert_true(desired >= plant.fleet.limits.min && desired <= 20);
        if (sample->in_flight > 0 && sample->replicas > 0)
            assert_true(desired > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_up_only_above_threshold),
        cmocka_unit_test(test_up_by_what_the_backlog_takes),
        cmocka_unit_test(test_full_slots_below_threshold_get_more),
        cmocka_unit_test(test_slow_tasks_get_slots),
        cmocka_unit_test(test_growth_counts),
        cmocka_unit_test(test_reported_only_keeps_what_was_wanted),
        cmocka_unit_test(test_below_the_fewest_work_counts),
        cmocka_unit_test(test_guides_load),
        cmocka_unit_test(test_up_awaits_the_last_ones),
        cmocka_unit_test(test_band_holds),
        cmocka_unit_test(test_down_after_cooldown),
        cmocka_unit_test(test_peak_is_remembered),
        cmocka_unit_test(test_unknown_holds),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_zero),
        cmocka_unit_test(test_hold),
        cmocka_unit_test(test_plants_settle),
        cmocka_unit_test(test_random_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
