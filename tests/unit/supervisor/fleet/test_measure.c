/* SPDX-License-Identifier: Apache-2.0 */
/* Rates and durations out of totals: of a process, a role and an activity type. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/fleet/measure.h"
#include "support/cmocka_env.h"

#define BOOT "11111111-2222-3333-4444-555555555555"

struct fixture {
    struct flo_fleet fleet;
    struct flo_manager *manager; /* none */
    struct flo_measure *measure;
    int seq;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    flo_fleet_init(&f->fleet, NULL);
    assert_int_equal(flo_measure_new(&f->fleet, &f->manager, &f->measure), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    flo_measure_destroy(&f->measure);
    flo_fleet_fini(&f->fleet);
    free(f);
    return 0;
}

/* A worker that has done so much by now: fast attempts below 0.1 s, slow ones between 1 and 10. */
static const struct flo_fleet_entry *report(struct fixture *f, const char *boot, int done,
                                            int failed, int cpu_ms, int fast, int slow,
                                            int64_t now_ms)
{
    char text[2000];
    struct flo_fleet_entry *entry = NULL;
    snprintf(
        text, sizeof text,
        "{\"v\":1,\"type\":\"snapshot\",\"role\":\"io-activity\",\"name\":\"io\",\"version\":"
        "\"1\",\"server\":\"s\",\"namespace\":\"default\",\"task_queue\":\"q\",\"http\":\"\","
        "\"state\":\"running\",\"started_ms\":5,\"cpu_ms\":%d,\"rss_bytes\":1000,\"threads\":3,"
        "\"ready\":true,\"done\":%d,\"failed\":%d,\"polls\":2,\"slots\":[],"
        "\"boot\":\"%s\",\"seq\":%d,\"identity\":\"%s\",\"pid\":7,\"metrics\":["
        "{\"n\":\"temporal_activity_execution_latency_seconds\",\"k\":\"h\","
        "\"l\":[\"activity_type\"],\"b\":[0.1,1,10],\"s\":[[[\"fetch\"],%d,[%d,0,%d,0]]]},"
        "{\"n\":\"temporal_activity_execution_failed_total\",\"k\":\"c\","
        "\"l\":[\"activity_type\"],\"s\":[[[\"fetch\"],%d]]},"
        "{\"n\":\"flotilla_activity_cpu_seconds_total\",\"k\":\"c\","
        "\"l\":[\"activity_type\"],\"s\":[[[\"fetch\"],1.5]]},"
        "{\"n\":\"flotilla_activity_max_rss_bytes\",\"k\":\"g\","
        "\"l\":[\"activity_type\"],\"s\":[[[\"fetch\"],4096]]}]}",
        cpu_ms, done, failed, boot, ++f->seq, boot, slow * 5, fast, slow, failed);
    assert_int_equal(flo_fleet_take(&f->fleet, text, strlen(text), 0, now_ms, &entry, NULL),
                     FLO_FRAME_TAKEN);
    return entry;
}

static bool near(double value, double wanted)
{
    return fabs(value - wanted) < 1e-6;
}

/* The first look knows nothing; then rates are growth over time, not totals. */
static void test_rates_are_growth(void **state)
{
    struct fixture *f = *state;
    struct flo_rates rates;
    int64_t rss = 0;
    int processes = 0;
    const struct flo_fleet_entry *entry = report(f, BOOT, 1000, 100, 5000, 0, 0, 1000);
    flo_measure_process(f->measure, entry, 7, &rates);
    assert_false(rates.known);
    flo_measure_step(f->measure, 1000);
    flo_measure_process(f->measure, entry, 7, &rates);
    assert_false(rates.known);
    entry = report(f, BOOT, 1050, 110, 7500, 0, 0, 6000);
    flo_measure_step(f->measure, 6000);
    flo_measure_process(f->measure, entry, 7, &rates);
    assert_true(rates.known);
    assert_true(near(rates.tasks_s, 12) && near(rates.failures_s, 2) && near(rates.cpu, 0.5));
    assert_true(isnan(rates.p50_s));
    entry = report(f, BOOT, 1050, 110, 7500, 0, 0, 11000);
    flo_measure_step(f->measure, 11000);
    flo_measure_role(f->measure, FLO_FLEET_IO, true, &rates, &rss, &processes);
    assert_true(rates.known && near(rates.tasks_s, 0)); /* the last step alone */
    flo_measure_role(f->measure, FLO_FLEET_IO, false, &rates, &rss, &processes);
    assert_true(near(rates.tasks_s, 6));
    assert_int_equal(rss, 1000);
    assert_int_equal(processes, 1);
    flo_measure_role(f->measure, FLO_FLEET_CPU, false, &rates, &rss, &processes);
    assert_int_equal(processes, 0);
}

/* Durations forget what was long ago. */
static void test_durations_are_of_the_last_minutes(void **state)
{
    struct fixture *f = *state;
    struct flo_rates rates;
    const struct flo_fleet_entry *entry = NULL;
    int64_t now = 1000;
    for (int fast = 0; fast <= 20; fast += 10, now += FLO_MEASURE_STEP_MS) { /* beside slow ones */
        entry = report(f, BOOT, fast + 100, 0, 0, fast, fast ? 100 : 0, now);
        flo_measure_step(f->measure, now);
    }
    flo_measure_process(f->measure, entry, 7, &rates);
    assert_true(rates.p50_s > 1 && rates.p99_s > 5);
    for (int fast = 30; fast <= 300; fast += 10, now += FLO_MEASURE_STEP_MS) {
        entry = report(f, BOOT, fast + 100, 0, 0, fast, 100, now);
        flo_measure_step(f->measure, now);
    }
    flo_measure_process(f->measure, entry, 7, &rates);
    assert_true(rates.p50_s <= 0.1 && rates.p99_s <= 0.1);
}

/* Who is gone is no longer counted, and a new run starts without a past. */
static void test_gone_processes_are_forgotten(void **state)
{
    struct fixture *f = *state;
    static const char other[] = "99999999-2222-3333-4444-555555555555";
    struct flo_rates rates;
    int64_t rss = 0;
    int processes = 0;
    (void)report(f, BOOT, 100, 0, 0, 0, 0, 1000);
    flo_measure_step(f->measure, 1000);
    const struct flo_fleet_entry *entry = report(f, other, 5000, 0, 0, 0, 0, 20000);
    flo_measure_step(f->measure, 20000);
    flo_measure_role(f->measure, FLO_FLEET_IO, false, &rates, &rss, &processes);
    assert_int_equal(processes, 1);
    assert_false(rates.known);
    flo_measure_process(f->measure, entry, 7, &rates);
    assert_false(rates.known);
}

static void on_row(void *ctx, const struct flo_activity_row *row)
{
    struct flo_activity_row *out = ctx;
    assert_string_equal(row->type, "fetch");
    *out = *row;
}

/* A type's costs are those of all workers; its durations those of the last minutes. */
static void test_activities(void **state)
{
    struct fixture *f = *state;
    static const char other[] = "99999999-2222-3333-4444-555555555555";
    struct flo_activity_row row = {.type = NULL};
    (void)report(f, BOOT, 10, 1, 0, 10, 0, 1000);
    (void)report(f, other, 10, 2, 0, 10, 0, 1000);
    flo_measure_step(f->measure, 1000);
    assert_int_equal(flo_measure_activities(f->measure, 1000, on_row, &row), 0);
    assert_true(near(row.attempts, 20) && near(row.failed, 3) && near(row.cpu_s, 3));
    assert_true(near(row.max_rss_bytes, 4096) && row.p50_s <= 0.1 && !row.local);
    (void)report(f, BOOT, 20, 6, 0, 10, 10, 2000);
    (void)report(f, other, 10, 2, 0, 10, 0, 2000);
    flo_measure_step(f->measure, 2000);
    assert_int_equal(flo_measure_activities(f->measure, 2000, on_row, &row), 0);
    assert_true(near(row.attempts, 30) && near(row.attempts_s, 10) && near(row.failures_s, 5));
    assert_true(row.p50_s > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rates_are_growth, setup, teardown),
        cmocka_unit_test_setup_teardown(test_durations_are_of_the_last_minutes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gone_processes_are_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_activities, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
