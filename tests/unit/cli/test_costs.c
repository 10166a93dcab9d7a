/* SPDX-License-Identifier: Apache-2.0 */
/* test_costs.c - cli/costs.c, cli/prom.c: a supervisor's pages as figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/costs.h"
#include "cli/prom.h"

struct seen {
    int count;
    char text[512];
};

static void note(void *ctx, const struct cli_prom_sample *sample)
{
    struct seen *seen = ctx;
    size_t len = strlen(seen->text);

    seen->count++;
    snprintf(seen->text + len, sizeof seen->text - len, "%s[%s|%s]=%g;", sample->name,
             cli_prom_label(sample, "a"), cli_prom_label(sample, "b"), sample->value);
}

/* Names, labels with escapes, numbers, times; comments and empty lines are nothing. */
static void test_prom_reads_samples(void **state)
{
    char text[] = "# HELP x y\n"
                  "x 1\n\n"
                  "x{a=\"1\"} 2.5 1700000000\n"
                  "y{a=\"q\\\"u\\\\o\\nte\",b=\"}, =\"} +Inf\n"
                  "z{} 3";
    struct seen seen = {0};

    (void)state;
    assert_true(cli_prom_read(text, note, &seen));
    assert_int_equal(seen.count, 4);
    assert_string_equal(seen.text, "x[|]=1;x[1|]=2.5;y[q\"u\\o\nte|}, =]=inf;z[|]=3;");
}

/* Lines that are none are refused, wherever they are cut. */
static void test_prom_refuses_what_is_none(void **state)
{
    static const char *const bad[] = {"x",        "x ",         "{a=\"1\"} 1",    "x{a=\"1\"",
                                      "x{a=1} 1", "x{a=\"1} 1", "x{a=\"1\\\"} 1", "x 1x"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct seen seen = {0};
        char text[64];
        snprintf(text, sizeof text, "%s", bad[i]);
        assert_false(cli_prom_read(text, note, &seen));
        assert_int_equal(seen.count, 0);
    }
}

static const char fleet_page[] =
    "{\"v\": 1, \"now_ms\": 50000, \"processes\": ["
    " {\"name\": \"io\", \"identity\": \"1@h@q\", \"role\": \"io-activity\", \"state\": \"up\","
    "  \"done\": 7, \"failed\": 1, \"cpu_ms\": 1500, \"rss_bytes\": 10, \"group_rss_bytes\": 30,"
    "  \"up_ms\": 20000, \"slots\": [{\"kind\": \"activity\", \"used\": 2, \"total\": 5}]},"
    " {\"name\": \"\", \"identity\": \"2@h@q\", \"role\": \"io-activity\", \"state\": \"running\","
    "  \"started_ms\": 40000, \"rss_bytes\": 11, \"slots\": []}]}";

#define L(who) "role=\"io-activity\",identity=\"" who "\",task_queue=\"q\",activity_type=\"Fetch\""

/* Figures of one type are added over processes; peaks are not; processes find their own. */
static void test_costs_join_pages(void **state)
{
    char metrics[] = "temporal_activity_execution_latency_seconds_bucket{" L(
        "1@h@q") ",le=\"0.1\"} 2\n"
                 "temporal_activity_execution_latency_seconds_bucket{" L(
                     "1@h@q") ",le=\"+Inf\"} 3\n"
                              "temporal_activity_execution_latency_seconds_count{" L(
                                  "1@h@q") "} 3\n"
                                           "temporal_activity_execution_latency_seconds_sum{" L(
                                               "1@h@q") "} 1.5\n"
                                                        "temporal_activity_execution_latency_"
                                                        "seconds_bucket{" L(
                                                            "2@h@q") ",le=\"0.1\"} 1\n"
                                                                     "temporal_activity_execution_"
                                                                     "latency_seconds_bucket{" L(
                                                                         "2@h@q") ",le=\"+Inf\"} "
                                                                                  "1\n"
                                                                                  "temporal_"
                                                                                  "activity_"
                                                                                  "execution_"
                                                                                  "latency_seconds_"
                                                                                  "count{" L(
                                                                                      "2@h@q") "} "
                                                                                               "1\n"
                                                                                               "flo"
                                                                                               "til"
                                                                                               "la_"
                                                                                               "act"
                                                                                               "ivi"
                                                                                               "ty_"
                                                                                               "cpu"
                                                                                               "_se"
                                                                                               "con"
                                                                                               "ds_"
                                                                                               "tot"
                                                                                               "al"
                                                                                               "{" L(
                                                                                                   "1@h@q") "} 0.25\n"
                                                                                                            "flotilla_activity_cpu_seconds_total{" L(
                                                                                                                "2@h@q") "} 0.5\n"
                                                                                                                         "flotilla_activity_max_rss_bytes{" L(
                                                                                                                             "1@h@q") "} 1000\n"
                                                                                                                                      "flotilla_activity_max_rss_bytes{" L(
                                                                                                                                          "2@h@q") "} 900\n"
                                                                                                                                                   "process_cpu_seconds_total{role=\"io-activity\",identity=\"2@h@q\"} 4\n"
                                                                                                                                                   "flotilla_process_peak_memory_bytes{role=\"io-activity\",identity=\"2@h@q\"} 77\n";
    json_t *fleet = json_loads(fleet_page, 0, NULL);
    struct flo_err err = {0};
    struct cli_costs costs;

    (void)state;
    assert_non_null(fleet);
    assert_int_equal(cli_costs_read(fleet, metrics, &costs, &err), 0);
    assert_int_equal(costs.process_count, 2);
    assert_string_equal(costs.processes[0].name, "io");
    assert_int_equal(costs.processes[0].used, 2);
    assert_int_equal(costs.processes[0].total, 5);
    assert_int_equal(costs.processes[0].rss_bytes, 30);
    assert_int_equal(costs.processes[0].age_ms, 20000);
    assert_string_equal(costs.processes[1].name, "2@h@q");
    assert_int_equal(costs.processes[1].age_ms, 10000);
    assert_true(costs.processes[1].own_cpu_seconds == 4);
    assert_true(costs.processes[1].own_peak_bytes == 77);
    assert_true(costs.processes[0].own_peak_bytes == 0);
    assert_int_equal(costs.type_count, 1);
    assert_string_equal(costs.types[0].name, "Fetch");
    assert_true(costs.types[0].count == 4);
    assert_true(costs.types[0].seconds == 1.5);
    assert_true(costs.types[0].cpu_seconds == 0.75);
    assert_true(costs.types[0].max_rss_bytes == 1000);
    assert_int_equal(costs.types[0].bucket_count, 2);
    assert_true(costs.types[0].buckets[0].count == 3);
    cli_costs_fini(&costs);
    json_decref(fleet);
}

/* What is no page of a supervisor is refused with a sentence. */
static void test_costs_refuse_other_pages(void **state)
{
    json_t *other = json_loads("{\"processes\": 3}", 0, NULL);
    json_t *fleet = json_loads(fleet_page, 0, NULL);
    char none[] = "", html[] = "<html>";
    struct flo_err err = {0};
    struct cli_costs costs;

    (void)state;
    assert_int_equal(cli_costs_read(NULL, none, &costs, &err), FLO_EPROTO);
    assert_int_equal(cli_costs_read(other, none, &costs, &err), FLO_EPROTO);
    assert_int_equal(cli_costs_read(fleet, html, &costs, &err), FLO_EPROTO);
    assert_true(err.message[0] != '\0');
    json_decref(other);
    json_decref(fleet);
}

/* A quantile lies within its bucket; past the last bound it is that bound. */
static void test_quantile_lies_in_its_bucket(void **state)
{
    struct cli_cost_type type = {
        .count = 10,
        .bucket_count = 4,
        .buckets = {{0.1, 0}, {0.2, 8}, {0.4, 9}, {strtod("inf", NULL), 10}},
    };
    const struct cli_cost_type none = {0};

    (void)state;
    assert_float_equal(cli_cost_quantile(&type, 0.4), 0.15, 1e-9);
    assert_float_equal(cli_cost_quantile(&type, 0.8), 0.2, 1e-9);
    assert_float_equal(cli_cost_quantile(&type, 0.85), 0.3, 1e-9);
    assert_float_equal(cli_cost_quantile(&type, 0.99), 0.4, 1e-9);
    assert_float_equal(cli_cost_quantile(&none, 0.5), -1, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prom_reads_samples),
        cmocka_unit_test(test_prom_refuses_what_is_none),
        cmocka_unit_test(test_costs_join_pages),
        cmocka_unit_test(test_costs_refuse_other_pages),
        cmocka_unit_test(test_quantile_lies_in_its_bucket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
