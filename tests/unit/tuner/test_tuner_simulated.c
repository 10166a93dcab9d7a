/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_tuner_simulated.c - the tuner steers a simulated machine (plant.h) in virtual time. Every
 * case runs under several random seeds; FLO_SEED picks the first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plant.h"

#define SEEDS 10

static uint64_t first_seed(void)
{
    const char *text = getenv("FLO_SEED");

    return text ? strtoull(text, NULL, 10) : flo_random_u64() % 1000000;
}

/* Runs body for each seed; says which one when something is wrong. */
#define FOR_SEEDS(seed)                                                                            \
    for (uint64_t seed = first_seed(), last_ = seed + SEEDS;                                       \
         seed < last_ && (print_message("seed %llu\n", (unsigned long long)seed), 1); seed++)

#define assert_between(low, value, high)                                                           \
    do {                                                                                           \
        double value_ = (value);                                                                   \
        if (value_ < (low) || value_ > (high))                                                     \
            fail_msg("%s is %.3f, not in [%.3f, %.3f]", #value, value_, (double)(low),             \
                     (double)(high));                                                              \
    } while (0)

static const struct plant_work NOTHING_BUT_CPU = {.cpu_s = {0.01, 0.05}};

/* Short tasks that only compute: the mean of a minute is within ten points of the target, from two
 * cores to sixty-four. */
static void test_cpu_load_short_tasks_settles(void **state)
{
    static const double CORES[] = {2, 4, 16, 64};
    static struct plant plant;

    (void)state;
    FOR_SEEDS(seed)
    {
        plant_init(&plant, seed, CORES[seed % 4], 1, 500, 50);
        plant.work = NOTHING_BUT_CPU;
        plant_run(&plant, 60);
        plant_measure_begin(&plant);
        plant_run(&plant, 60);
        assert_between(0.8, plant_cpu(&plant), 1.0);
    }
}

/* The same with tasks of seconds, which cannot be taken back. */
static void test_cpu_load_long_tasks_settles(void **state)
{
    static struct plant plant;

    (void)state;
    FOR_SEEDS(seed)
    {
        plant_init(&plant, seed, 2 + (double)(seed % 7), 1, 500, 50);
        plant.work = (struct plant_work){.cpu_s = {0.5, 5}};
        plant_run(&plant, 60);
        plant_measure_begin(&plant);
        plant_run(&plant, 60);
        assert_between(0.8, plant_cpu(&plant), 1.0);
    }
}

/* Tasks that wait most of the time need many slots to fill the cores. */
static void test_cpu_load_mixed_tasks_settles(void **state)
{
    static struct plant plant;

    (void)state;
    FOR_SEEDS(seed)
    {
        plant_init(&plant, seed, 4, 5, 500, 50);
        plant.work = (struct plant_work){.cpu_s = {0.01, 0.1}, .wait_s = {0.2, 1.5}};
        plant_run(&plant, 60);
        plant_measure_begin(&plant);
        plant_run(&plant, 60);
        assert_between(0.8, plant_cpu(&plant), 1.0);
        assert_true(plant.slots > 20);
    }
}

/* A quota of one and a half cores, whatever the machine has: shares are of the quota. */
static void test_quota_below_cores_settles(void **state)
{
    static struct plant plant;

    (void)state;
    FOR_SEEDS(seed)
    {
        plant_init(&plant, seed, 1.5, 1, 500, 50);
        plant.work = NOTHING_BUT_CPU;
        plant_run(&plant, 60);
        plant_measure_begin(&plant);
        plant_run(&plant, 60);
        assert_between(0.8, plant_cpu(&plant), 1.0);
    }
}

/* Settled, the slots swing in a narrow band, and seldom. */
static void test_oscillation_bounded(void **state)
{
    static struct plant plant;

    (void)state;
    FOR_SEEDS(seed)
    {
        plant_init(&plant, seed, 4, 1, 500, 50);
        plant.work = (struct plant_work){.cpu_s = {0.01, 0.05}, .wait_s = {0.1, 0.4}};
        plant_run(&plant, 90);
        plant_measure_begin(&plant);
        plant_run(&plant, 120);
        assert_between(0.8, plant_cpu(&plant), 1.0);
        assert_true(plant.slots_max <= plant.slots_min * 2 + 2);
        assert_true(plant.turns <= 240); /* of 1,200 steps */
    }
}

/* From fifty slots on two cores to about what fits, within half a minute. */
static void test_overload_at_the_start_is_left(void **state)
{
    static struct plant plant;

    (void)state;
    FOR_SEEDS(seed)
    {
        plant_init(&plant, seed, 2, 1, 500, 50);
        plant.tuner.levels[FLO_TUNER_ACTIVITY].level = 50;
        plant.slots = 50;
        plant.work = NOTHING_BUT_CPU;
        plant_run(&plant, 30);
        assert_true(plant.slots <= 8);
        plant_measure_begin(&plant);
        plant_run(&plant, 60);
        assert_between(0.8, plant_cpu(&plant), 1.0);
    }
}

/* Others take the machine: slots go down to the minimum, and come back when they leave. */
static void test_pressure_by_others_recovers(void **state)
{
    static struct plant plant;

    (void)state;
    FOR_SEEDS(seed)
    {
        size_t before;
        plant_init(&plant, seed, 8, 3, 500, 50);
        plant.work = (struct plant_work){.cpu_s = {0.01, 0.05}, .wait_s = {0.1, 0.4}};
        plant_run(&plant, 60);
        before = plant.slots;
        plant.others = 8 * 0.98;
        plant_run(&plant, 40);
        assert_int_equal(plant.slots, 3);
        plant.others = 0;
        plant_run(&plant, 60);
        assert_true(plant.slots * 2 > before);
    }
}

/*
 * Each task takes memory a random time after its start, up to four seconds later: the limit is
 * never reached, whatever the share of a task. The minimum must fit; that is the user's part.
 */
static void test_memory_load_never_exceeds_the_limit(void **state)
{
    static struct plant plant;

    (void)state;
    FOR_SEEDS(seed)
    {
        struct flo_rng rng;
        double each, late;
        flo_rng_seed(&rng, seed);
        each = 0.01 + 0.14 * flo_rng_unit(&rng);
        late = 4 * flo_rng_unit(&rng);
        plant_init(&plant, seed, 16, 1, 500, 50);
        plant.retained = seed % 3 == 0 ? 0.5 : 0;
        plant.work = (struct plant_work){.cpu_s = {0.001, 0.01},
                                         .wait_s = {late + 0.5, late + 4},
                                         .memory = {each * 0.7, each * 1.1},
                                         .memory_after = {late * 0.5, late},
                                         .memory_late_s = true};
        plant_run(&plant, 300);
        print_message("  each %.3f after %.1f s: most %.3f, slots %zu\n", each, late,
                      plant.memory_max, plant.slots_max);
        assert_true(plant.memory_max < 1.0);
        /* And the memory is used: more than half of the target, or the next task would not fit. */
        assert_true(plant.memory_max > 0.4 || plant.memory_max + 2 * each > 0.8);
    }
}

/* Somebody else's memory comes and goes: it is taken for the tasks' for a while, and no longer. */
static void test_memory_of_others_is_forgotten(void **state)
{
    static struct plant plant;

    (void)state;
    FOR_SEEDS(seed)
    {
        plant_init(&plant, seed, 16, 5, 200, 50);
        plant.shared = true;
        plant.work = (struct plant_work){.cpu_s = {0.001, 0.002}, .wait_s = {0.5, 1}};
        plant_run(&plant, 3);
        plant.base_memory = 0.7;
        plant_run(&plant, 30);
        assert_true(plant.slots < 100);
        plant.base_memory = 0.05;
        plant_run(&plant, 240);
        assert_int_equal(plant.slots, 200);
    }
}

/* Somebody else fills the memory: above the watermark there is no new slot; below, work goes on. */
static void test_watermark_stops_and_resumes(void **state)
{
    static struct plant plant;

    (void)state;
    FOR_SEEDS(seed)
    {
        uint64_t done;
        plant_init(&plant, seed, 4, 10, 100, 50);
        plant.work = (struct plant_work){.cpu_s = {0.001, 0.01}, .wait_s = {0.1, 0.5}};
        plant_run(&plant, 20);
        plant.base_memory = 0.93;
        plant_run(&plant, 2);
        assert_int_equal(plant.slots, 0);
        assert_int_equal(plant.running, 0);
        done = plant.done;
        plant_run(&plant, 20);
        assert_int_equal(plant.done, done);
        assert_int_equal(plant.verdict.reason, FLO_TUNER_WATERMARK);
        plant.base_memory = 0.89; /* within the two points: still nothing */
        plant_run(&plant, 5);
        assert_int_equal(plant.slots, 0);
        plant.base_memory = 0.3;
        plant_run(&plant, 20);
        assert_true(plant.slots >= 10);
        assert_true(plant.done > done);
    }
}

/* The minimum is given whatever the CPU does, and the maximum never passed. */
static void test_minimum_and_maximum_hold(void **state)
{
    static struct plant plant;

    (void)state;
    FOR_SEEDS(seed)
    {
        plant_init(&plant, seed, 2, 50, 500, 50);
        plant.work = NOTHING_BUT_CPU;
        plant_run(&plant, 60);
        assert_int_equal(plant.slots_min, 50);
        assert_true(plant.slots_max <= 51);
        plant_init(&plant, seed, 16, 50, 60, 50);
        plant.work = (struct plant_work){.cpu_s = {0.001, 0.002}, .wait_s = {0.5, 1}};
        plant_run(&plant, 60);
        assert_int_equal(plant.slots_max, 60);
    }
}

/* Without tasks nothing moves, for an hour; after work the level falls back to the minimum. */
static void test_idle_does_not_drift(void **state)
{
    static struct plant plant;

    (void)state;
    plant_init(&plant, 1, 4, 10, 500, 50);
    plant.backlog = false;
    plant_run(&plant, 3600);
    assert_int_equal(plant.slots_min, 10);
    assert_int_equal(plant.slots_max, 10);
    plant.backlog = true;
    plant.work = (struct plant_work){.cpu_s = {0.001, 0.002}, .wait_s = {0.5, 1}};
    plant_run(&plant, 60);
    assert_true(plant.slots > 100);
    plant.backlog = false;
    plant_run(&plant, 60);
    assert_int_equal(plant.slots, 10);
    plant_measure_begin(&plant);
    plant_run(&plant, 600);
    assert_int_equal(plant.turns, 0);
    assert_int_equal(plant.slots_max, 10);
}

/* From the minimum up, slots come no faster than the ramp. */
static void test_ramp_holds(void **state)
{
    static struct plant plant;

    (void)state;
    FOR_SEEDS(seed)
    {
        plant_init(&plant, seed, 64, 10, 500, 200);
        plant.work = (struct plant_work){.cpu_s = {0.001, 0.002}, .wait_s = {0.05, 0.1}};
        plant_run(&plant, 10);
        assert_between(20, (double)plant.slots, 10 + 10 * 5 + 1);
    }
}

/* The kernel's pressure is a brake on growth, and takes nothing away. */
static void test_pressure_brakes_growth(void **state)
{
    static struct plant plant;

    (void)state;
    FOR_SEEDS(seed)
    {
        plant_init(&plant, seed, 16, 10, 500, 50);
        plant.work = (struct plant_work){.cpu_s = {0.001, 0.002}, .wait_s = {0.5, 1}};
        plant.memory_pressure = 0.2;
        plant_run(&plant, 20);
        assert_int_equal(plant.slots, 10);
        assert_int_equal(plant.verdict.reason, FLO_TUNER_PSI);
        plant.memory_pressure = 0;
        plant.cpu_pressure = 0.9;
        plant_run(&plant, 20);
        assert_int_equal(plant.slots, 10);
        plant.cpu_pressure = 0.5;
        plant_run(&plant, 20);
        assert_true(plant.slots > 20);
        plant.throttled = 0.8;
        plant_run(&plant, 0.2);
        assert_int_equal(plant.verdict.reason, FLO_TUNER_CPU);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_load_short_tasks_settles),
        cmocka_unit_test(test_cpu_load_long_tasks_settles),
        cmocka_unit_test(test_cpu_load_mixed_tasks_settles),
        cmocka_unit_test(test_quota_below_cores_settles),
        cmocka_unit_test(test_oscillation_bounded),
        cmocka_unit_test(test_overload_at_the_start_is_left),
        cmocka_unit_test(test_pressure_by_others_recovers),
        cmocka_unit_test(test_memory_load_never_exceeds_the_limit),
        cmocka_unit_test(test_memory_of_others_is_forgotten),
        cmocka_unit_test(test_watermark_stops_and_resumes),
        cmocka_unit_test(test_minimum_and_maximum_hold),
        cmocka_unit_test(test_idle_does_not_drift),
        cmocka_unit_test(test_ramp_holds),
        cmocka_unit_test(test_pressure_brakes_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
