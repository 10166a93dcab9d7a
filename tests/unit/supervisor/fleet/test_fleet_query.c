/* SPDX-License-Identifier: Apache-2.0 */
/* The compact store and what can be asked of it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/fleet/fleet_store.h"
#include "support/cmocka_env.h"
#include "unit/supervisor/fleet/fleet_fixture.h"

#define METRICS                                                                                    \
    "[{\"n\":\"runs_total\",\"k\":\"c\",\"l\":[\"type\",\"ok\"],\"s\":[[[\"a\",\"y\"],%d],"        \
    "[[\"a\",\"n\"],1],[[\"b\",\"y\"],2]]},"                                                       \
    "{\"n\":\"load\",\"k\":\"g\",\"l\":[],\"s\":[[[],-0.25]]},"                                    \
    "{\"n\":\"took_seconds\",\"k\":\"h\",\"l\":[\"type\"],\"b\":[0.1,1],\"s\":"                    \
    "[[[\"a\"],2.5,[1,2,%d]],[[\"b\"],0,[0,0,0]]]}]"

/* A report of process number `who`. */
static enum flo_frame_verdict take(struct fleet_fixture *f, int who, int seq, const char *role,
                                   const char *queue, const char *metrics)
{
    char frame[4096];
    snprintf(frame, sizeof frame,
             "{\"v\":1,\"type\":\"snapshot\",\"boot\":\"%08d-0000-4000-8000-000000000000\","
             "\"seq\":%d,\"identity\":\"w%d\",\"role\":\"%s\",\"name\":\"\",\"version\":\"1\","
             "\"server\":\"\",\"namespace\":\"\",\"task_queue\":\"%s\",\"http\":\"\","
             "\"state\":\"running\",\"pid\":%d,\"started_ms\":1,\"cpu_ms\":1,\"rss_bytes\":1,"
             "\"threads\":1,\"ready\":true,\"done\":%d,\"failed\":0,\"polls\":0,"
             "\"slots\":[{\"kind\":\"activity\",\"used\":1,\"total\":4}],\"metrics\":%s,"
             "\"left_out\":0}",
             who, seq, who, role, queue, who, seq * 10, metrics);
    return flo_fleet_take(&f->fleet, frame, strlen(frame), 0, 1000, NULL, NULL);
}

static void take_usual(struct fleet_fixture *f, int who, int seq, int runs, int slow,
                       const char *queue)
{
    char metrics[1024];
    snprintf(metrics, sizeof metrics, METRICS, runs, slow);
    assert_int_equal(take(f, who, seq, "io-activity", queue, metrics), FLO_FRAME_TAKEN);
}

static double sum(struct fleet_fixture *f, struct flo_fleet_query query)
{
    return flo_fleet_sum(&f->fleet, &query, 1000);
}

/* Processes with the same series share their shape; each has its own numbers. */
static void test_shapes_are_shared(void **state)
{
    struct fleet_fixture *f = *state;
    take_usual(f, 1, 1, 10, 0, "q");
    size_t one = flo_fleet_store_bytes(&f->fleet);
    take_usual(f, 2, 1, 123456789, 7, "q");
    size_t two = flo_fleet_store_bytes(&f->fleet);
    assert_true(two - one < 200);
    struct flo_fleet_entry *a = flo_fleet_by_pid(&f->fleet, 1, 1000);
    struct flo_fleet_entry *b = flo_fleet_by_pid(&f->fleet, 2, 1000);
    assert_ptr_equal(a->shape, b->shape);
    assert_true(a->values[0] == 10 && b->values[0] == 123456789);
    assert_int_equal(take(f, 1, 2, "io-activity", "q", "[]"), FLO_FRAME_TAKEN);
    assert_ptr_not_equal(a->shape, b->shape);
    flo_fleet_forget(&f->fleet, a);
    flo_fleet_forget(&f->fleet, b);
    assert_int_equal(flo_fleet_store_bytes(&f->fleet), 0);
}

/* A report of a known shape is refused as a whole when a number is none, or does not fit. */
static void test_numbers_are_checked(void **state)
{
    struct fleet_fixture *f = *state;
    static const char *const bad[] = {"-1", "01", "1.", ".5", "1e", "NaN", "1e999", "", "+1", "1 "};
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0},
                {"-0", 0},
                {"7.25", 7.25},
                {"1e3", 1000},
                {"1E-2", 0.01},
                {"0.1", 0.1},
                {"123456789012345678", 123456789012345678.0},
                {"0.30000000000000004", 0.30000000000000004},
                {"1.7976931348623157e308", 1.7976931348623157e308}};
    char metrics[256];
    assert_int_equal(
        take(f, 1, 1, "workflow", "q", "[{\"n\":\"x\",\"k\":\"c\",\"l\":[],\"s\":[[[],5]]}]"),
        FLO_FRAME_TAKEN);
    struct flo_fleet_entry *entry = flo_fleet_by_pid(&f->fleet, 1, 1000);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(metrics, sizeof metrics, "[{\"n\":\"x\",\"k\":\"c\",\"l\":[],\"s\":[[[],%s]]}]",
                 bad[i]);
        enum flo_frame_verdict verdict = take(f, 1, 2, "workflow", "q", metrics);
        if (verdict != FLO_FRAME_METRICS)
            fail_msg("%s: %s", bad[i], flo_frame_verdict_name(verdict));
        assert_true(entry->values[0] == 5 && entry->seq == 1);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(metrics, sizeof metrics, "[{\"n\":\"x\",\"k\":\"c\",\"l\":[],\"s\":[[[],%s]]}]",
                 good[i].text);
        assert_int_equal(take(f, 1, (int)i + 2, "workflow", "q", metrics), FLO_FRAME_TAKEN);
        if (entry->values[0] != good[i].value)
            fail_msg("%s was read as %.17g", good[i].text, entry->values[0]);
    }
}

/* What a bucket counts is converted to an integer: a number that fits none is refused, also in a
 * report whose shape is known. */
static void test_counts_of_buckets_fit_an_integer(void **state)
{
    struct fleet_fixture *f = *state;
    static const char format[] =
        "[{\"n\":\"h\",\"k\":\"h\",\"l\":[],\"b\":[1],\"s\":[[[],0.5,[%s,0]]]}]";
    char metrics[256];
    snprintf(metrics, sizeof metrics, format, "1");
    assert_int_equal(take(f, 1, 1, "workflow", "q", metrics), FLO_FRAME_TAKEN);
    snprintf(metrics, sizeof metrics, format, "9223372036854775807");
    assert_int_equal(take(f, 1, 2, "workflow", "q", metrics), FLO_FRAME_METRICS); /* as a double */
    snprintf(metrics, sizeof metrics, format, "99999999999999999999999999");
    assert_int_equal(take(f, 1, 2, "workflow", "q", metrics), FLO_FRAME_METRICS);
    snprintf(metrics, sizeof metrics, format, "9007199254740992");
    assert_int_equal(take(f, 1, 2, "workflow", "q", metrics), FLO_FRAME_TAKEN);
}

/* Sums over roles, queues, labels, one process. */
static void test_sums(void **state)
{
    struct fleet_fixture *f = *state;
    take_usual(f, 1, 1, 10, 0, "q");
    take_usual(f, 2, 1, 20, 5, "p, q2");
    assert_true(sum(f, (struct flo_fleet_query){.metric = "runs_total"}) == 36);
    assert_true(sum(f, (struct flo_fleet_query){.metric = "runs_total", .task_queue = "q2"}) == 23);
    assert_true(sum(f, (struct flo_fleet_query){.metric = "runs_total", .task_queue = "q3"}) == 0);
    assert_true(sum(f, (struct flo_fleet_query){.metric = "runs_total",
                                                .where = {{"type", "a"}, {"ok", "y"}}}) == 30);
    assert_true(sum(f, (struct flo_fleet_query){.metric = "runs_total", .where = {{"no", "y"}}}) ==
                0);
    assert_true(sum(f, (struct flo_fleet_query){
                           .metric = "runs_total", .of_role = true, .role = FLO_FLEET_CPU}) == 0);
    assert_true(sum(f, (struct flo_fleet_query){.metric = "load"}) == -0.5);
    assert_true(sum(f, (struct flo_fleet_query){.metric = "took_seconds"}) == 11);
    struct flo_fleet_query one = {.metric = "runs_total",
                                  .entry = flo_fleet_by_pid(&f->fleet, 1, 1000)};
    assert_true(flo_fleet_sum(&f->fleet, &one, 1000) == 13);
    one = (struct flo_fleet_query){.metric = "runs_total"};
    assert_true(flo_fleet_max(&f->fleet, &one, 1000) == 20);
    assert_true(flo_fleet_sum(&f->fleet, &one, 900000) == 0); /* all lost by then */
    uint64_t used, total;
    flo_fleet_slots(&f->fleet, FLO_FLEET_IO, "q2", "activity", 1000, &used, &total);
    assert_true(used == 1 && total == 4);
    flo_fleet_slots(&f->fleet, FLO_FLEET_ANY_ROLE, NULL, NULL, 1000, &used, &total);
    assert_true(used == 2 && total == 8);
    take_usual(f, 1, 3, 10, 0, "q");
    assert_true(f->fleet.totals[FLO_FLEET_IO].done == 20);
}

/* Histograms are added up; a quantile lies within its bucket; what came since is the difference. */
static void test_histograms(void **state)
{
    struct fleet_fixture *f = *state;
    struct flo_fleet_histogram all, before, since;
    const struct flo_fleet_query query = {.metric = "took_seconds"};
    assert_false(flo_fleet_merge(&f->fleet, &query, 1000, &before));
    assert_true(isnan(flo_fleet_quantile(&before, 0.5)));
    take_usual(f, 1, 1, 10, 0, "q");
    take_usual(f, 2, 1, 10, 4, "q");
    assert_true(flo_fleet_merge(&f->fleet, &query, 1000, &before));
    assert_true(before.count == 10 && before.sum == 5 && before.counts[1] == 4);
    assert_true(fabs(flo_fleet_quantile(&before, 0.4) - 0.55) < 1e-9);
    assert_true(flo_fleet_quantile(&before, 0.99) == 1);
    assert_true(flo_fleet_quantile(&before, 0.1) == 0.05);
    take_usual(f, 2, 2, 10, 9, "q");
    assert_true(flo_fleet_merge(&f->fleet, &query, 1000, &all));
    flo_fleet_histogram_since(&all, &before, &since);
    assert_true(since.count == 5 && since.counts[0] == 0 && since.counts[2] == 5);
    flo_fleet_histogram_since(&before, &all, &since);
    assert_true(since.count == before.count); /* a process left: nothing to take away */
}

static void print_group(void *ctx, const struct flo_fleet_group *group)
{
    char line[64];
    snprintf(line, sizeof line, "%s=%g/%g ", group->value, group->sum, group->histogram.sum);
    strncat(ctx, line, 200);
}

/* One row for each value of a label. */
static void test_groups(void **state)
{
    struct fleet_fixture *f = *state;
    char rows[512] = "";
    take_usual(f, 1, 1, 10, 0, "q");
    take_usual(f, 2, 1, 20, 0, "q");
    assert_int_equal(flo_fleet_group(&f->fleet, &(struct flo_fleet_query){.metric = "runs_total"},
                                     "type", 1000, print_group, rows),
                     0);
    assert_string_equal(rows, "a=32/0 b=4/0 ");
    rows[0] = '\0';
    assert_int_equal(flo_fleet_group(&f->fleet, &(struct flo_fleet_query){.metric = "took_seconds"},
                                     "type", 1000, print_group, rows),
                     0);
    assert_string_equal(rows, "a=6/5 b=0/0 ");
}

/* A process's end is known from its connection, from its parent, or from its silence. */
static void test_ends(void **state)
{
    struct fleet_fixture *f = *state;
    char reason[160];
    for (int who = 1; who <= 3; who++)
        take_usual(f, who, 1, 1, 1, "q");
    struct flo_fleet_entry *closed = flo_fleet_by_pid(&f->fleet, 1, 1000);
    struct flo_fleet_entry *silent = flo_fleet_by_pid(&f->fleet, 2, 1000);
    struct flo_fleet_entry *killed = flo_fleet_by_pid(&f->fleet, 3, 1000);
    flo_fleet_closed(&f->fleet, closed, 1500);
    flo_fleet_process_ended(&f->fleet, 3, "signal 9 (Killed)", 1500);
    assert_string_equal(flo_fleet_entry_state(closed, 2000), "running"); /* it may come back */
    assert_string_equal(flo_fleet_entry_state(killed, 1500), "lost");
    assert_string_equal(flo_fleet_entry_state(closed, 2500), "lost");
    assert_string_equal(flo_fleet_entry_state(silent, 2500), "running");
    flo_fleet_entry_reason(closed, 2500, reason, sizeof reason);
    assert_string_equal(reason, "its connection closed without a word");
    flo_fleet_entry_reason(killed, 2500, reason, sizeof reason);
    assert_string_equal(reason, "it ended: signal 9 (Killed)");
    flo_fleet_entry_reason(silent, 5000, reason, sizeof reason);
    assert_string_equal(reason, "no report for 4 s");
    take_usual(f, 1, 2, 1, 1, "q"); /* it did */
    assert_string_equal(flo_fleet_entry_state(closed, 2500), "running");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shapes_are_shared, fleet_fixture_setup,
                                        fleet_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_numbers_are_checked, fleet_fixture_setup,
                                        fleet_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_counts_of_buckets_fit_an_integer, fleet_fixture_setup,
                                        fleet_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_sums, fleet_fixture_setup, fleet_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_histograms, fleet_fixture_setup,
                                        fleet_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_groups, fleet_fixture_setup, fleet_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_ends, fleet_fixture_setup, fleet_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
