/* SPDX-License-Identifier: Apache-2.0 */
/* The registry and its two forms, byte for byte; threads; bounds. */
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "metrics_fixture.h"

static const struct flo_metrics_form TEXT = {.naming = FLO_NAMING_TALLY};

static void assert_renders(struct flo_metrics *metrics, const char *text)
{
    struct flo_buf out;
    flo_buf_init(&out, 0);
    assert_int_equal(flo_metrics_render(metrics, &TEXT, &out), 0);
    assert_string_equal(flo_buf_cstr(&out), text);
    flo_buf_fini(&out);
}

/* Counters and gauges, escaped labels, no families without series. */
static void test_render_counters_and_gauges(void **state)
{
    struct flo_metrics *m = *state;
    assert_renders(m, "");
    struct flo_series *done =
        flo_metrics_get(m, FLO_METRIC_WORKFLOW_COMPLETED, "default", "q\"1\\\n", "Echo", NULL);
    flo_series_inc(done);
    flo_series_add(done, 2);
    flo_series_add(done, -5);
    flo_series_add(done, NAN);
    flo_series_set(
        flo_metrics_get(m, FLO_METRIC_SLOTS_AVAILABLE, "default", "q", "ActivityWorker", NULL),
        4.5);
    assert_true(flo_series_value(done) == 3);
    assert_renders(m, "# HELP temporal_workflow_completed_total Workflows completed.\n"
                      "# TYPE temporal_workflow_completed_total counter\n"
                      "temporal_workflow_completed_total{namespace=\"default\",task_queue=\"q\\\"1"
                      "\\\\\\n\",workflow_type=\"Echo\"} 3\n"
                      "# HELP temporal_worker_task_slots_available Free task slots.\n"
                      "# TYPE temporal_worker_task_slots_available gauge\n"
                      "temporal_worker_task_slots_available{namespace=\"default\",task_queue=\"q\","
                      "worker_type=\"ActivityWorker\"} 4.5\n");
}

/* A gauge family set to zero has its old series, at 0. */
static void test_zero_gauges_are_zero(void **state)
{
    struct flo_metrics *m = *state;
    struct flo_series *one =
        flo_metrics_get(m, FLO_METRIC_ENGINE_BACKLOG, "default", "q", "Workflow", NULL);
    struct flo_series *other = flo_metrics_get(m, FLO_METRIC_ENGINE_OPEN, NULL);
    flo_series_set(one, 7);
    flo_series_set(other, 3);
    flo_metrics_zero(m, FLO_METRIC_ENGINE_BACKLOG);
    assert_true(flo_series_value(one) == 0);
    assert_true(flo_series_value(other) == 3);
    flo_metrics_zero(NULL, FLO_METRIC_ENGINE_BACKLOG);
}

/* A gauge that is not known is absent from pages and reports, and comes back with a value. */
static void test_cleared_gauge_is_absent(void **state)
{
    struct flo_metrics *m = *state;
    struct flo_series *series = flo_metrics_get(m, FLO_METRIC_ENGINE_OPEN, NULL);
    flo_series_set(series, 3);
    flo_series_clear(series);
    assert_renders(m, "");
    struct flo_buf out;
    size_t left = 0;
    flo_buf_init(&out, 0);
    assert_int_equal(flo_metrics_render_json(m, SIZE_MAX, &out, &left), 0);
    assert_null(strstr(flo_buf_cstr(&out), "NaN"));
    flo_buf_fini(&out);
    flo_series_set(series, 4);
    assert_renders(m, "# HELP flotilla_engine_open_workflows Open workflow runs.\n"
                      "# TYPE flotilla_engine_open_workflows gauge\n"
                      "flotilla_engine_open_workflows 4\n");
    flo_series_clear(NULL);
}

/* Buckets are cumulative; a bound belongs to its bucket. */
static void test_render_histogram(void **state)
{
    struct flo_metrics *m = *state;
    struct flo_series *h = flo_metrics_get(m, FLO_METRIC_ENGINE_COMMIT_LATENCY, NULL);
    flo_series_observe(h, 0.0001);
    flo_series_observe(h, 0.0015);
    flo_series_observe(h, 7);
    flo_series_observe(h, -1);
    flo_series_observe(h, NAN);
    assert_true(flo_series_value(h) == 4);
#define H "flotilla_engine_commit_latency_seconds"
    assert_renders(m, "# HELP " H " Duration of a commit, sync included.\n"
                      "# TYPE " H " histogram\n" H "_bucket{le=\"0.0001\"} 2\n" H
                      "_bucket{le=\"0.0002\"} 2\n" H "_bucket{le=\"0.0005\"} 2\n" H
                      "_bucket{le=\"0.001\"} 2\n" H "_bucket{le=\"0.002\"} 3\n" H
                      "_bucket{le=\"0.005\"} 3\n" H "_bucket{le=\"0.01\"} 3\n" H
                      "_bucket{le=\"0.02\"} 3\n" H "_bucket{le=\"0.05\"} 3\n" H
                      "_bucket{le=\"0.1\"} 3\n" H "_bucket{le=\"1\"} 3\n" H
                      "_bucket{le=\"+Inf\"} 4\n" H "_sum 7.0016\n" H "_count 4\n");
}

/* The report's form is JSON that holds the same. */
static void test_render_json(void **state)
{
    struct flo_metrics *m = *state;
    flo_series_inc(flo_metrics_get(m, FLO_METRIC_ACTIVITY_POLL_NO_TASK, "default", "q", NULL));
    flo_series_observe(flo_metrics_get(m, FLO_METRIC_ENGINE_COMMIT_LATENCY, NULL), 0.5);
    struct flo_buf out;
    flo_buf_init(&out, 0);
    size_t left = 9;
    assert_int_equal(flo_metrics_render_json(m, 65536, &out, &left), 0);
    assert_int_equal(left, 0);
    assert_string_equal(
        flo_buf_cstr(&out),
        "[{\"n\":\"temporal_activity_poll_no_task_total\",\"k\":\"c\",\"l\":[\"namespace\",\"task_"
        "queue\"],\"s\":[[[\"default\",\"q\"],1]]},{\"n\":\"flotilla_engine_commit_latency_"
        "seconds\",\"k\":\"h\",\"l\":[],\"b\":[0.0001,0.0002,0.0005,0.001,0.002,0.005,0.01,0.02,"
        "0.05,0.1,1],\"s\":[[[],0.5,[0,0,0,0,0,0,0,0,0,0,1,0]]]}]");
    flo_buf_clear(&out);
    assert_int_equal(flo_metrics_render_json(m, 140, &out, &left), 0);
    assert_int_equal(left, 1); /* the histogram did not fit; what is there is still JSON */
    json_t *json = json_loads(flo_buf_cstr(&out), 0, NULL);
    assert_int_equal(json_array_size(json), 1);
    json_decref(json);
    flo_buf_fini(&out);
}

/* Past the bound, label sets fall into "other", counted. */
static void test_series_are_bounded(void **state)
{
    struct flo_metrics *m = *state;
    char path[16];
    for (int i = 0; i < FLO_METRIC_SERIES_MAX + 100; i++) {
        snprintf(path, sizeof path, "/%d", i);
        flo_series_inc(flo_metrics_get(m, FLO_METRIC_HTTP_REQUESTS, path, "200", NULL));
    }
    struct flo_series *other = flo_metrics_get(m, FLO_METRIC_HTTP_REQUESTS, "other", "other", NULL);
    assert_true(flo_series_value(other) == 100);
    assert_true(flo_series_value(flo_metrics_get(m, FLO_METRIC_SERIES_DROPPED,
                                                 "flotilla_http_requests_total", NULL)) == 100);
}

/* Nothing is lost between threads. */
static void *hammer(void *ctx)
{
    struct flo_metrics *m = ctx;
    for (int i = 0; i < 20000; i++) {
        flo_series_inc(flo_metrics_get(m, FLO_METRIC_ENGINE_COMMITS, NULL));
        flo_series_observe(flo_metrics_get(m, FLO_METRIC_ENGINE_COMMIT_LATENCY, NULL), 1);
    }
    return NULL;
}

static void test_updates_from_threads_add_up(void **state)
{
    struct flo_metrics *m = *state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, m), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_true(flo_series_value(flo_metrics_get(m, FLO_METRIC_ENGINE_COMMITS, NULL)) == 80000);
    assert_true(flo_series_value(flo_metrics_get(m, FLO_METRIC_ENGINE_COMMIT_LATENCY, NULL)) ==
                80000);
}

/* process_* are there and plausible. */
static void test_process_metrics(void **state)
{
    struct flo_metrics *m = *state;
    assert_int_equal(flo_metrics_add_process(m, "0.1.0", "test"), 0);
    struct flo_buf out;
    flo_buf_init(&out, 0);
    assert_int_equal(flo_metrics_render(m, &TEXT, &out), 0);
    assert_non_null(
        strstr(flo_buf_cstr(&out), "flotilla_build_info{version=\"0.1.0\",role=\"test\"} 1\n"));
    assert_true(flo_series_value(flo_metrics_get(m, FLO_METRIC_PROCESS_RSS, NULL)) > 100000);
    assert_true(flo_series_value(flo_metrics_get(m, FLO_METRIC_PROCESS_THREADS, NULL)) >= 1);
    assert_true(flo_series_value(flo_metrics_get(m, FLO_METRIC_PROCESS_FDS, NULL)) >= 3);
    assert_true(flo_series_value(flo_metrics_get(m, FLO_METRIC_PROCESS_START, NULL)) > 1e9);
    flo_buf_fini(&out);
}

/* Without a registry everything is a no-op. */
static void test_null_is_fine(void **state)
{
    (void)state;
    struct flo_series *none = flo_metrics_get(NULL, FLO_METRIC_ENGINE_COMMITS, NULL);
    flo_series_inc(none);
    flo_series_set(none, 1);
    flo_series_observe(none, 1);
    assert_true(flo_series_value(none) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_render_counters_and_gauges, setup, teardown),
        cmocka_unit_test_setup_teardown(test_zero_gauges_are_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cleared_gauge_is_absent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_render_histogram, setup, teardown),
        cmocka_unit_test_setup_teardown(test_render_json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_series_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_updates_from_threads_add_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_process_metrics, setup, teardown),
        cmocka_unit_test(test_null_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
