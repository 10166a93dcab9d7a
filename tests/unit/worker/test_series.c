/* SPDX-License-Identifier: Apache-2.0 */
/* test_series.c - worker/series.c: kept series are those that a look-up finds. */
#include <stdio.h>
#include <string.h>

#include "support/cmocka_env.h"
#include "worker/worker.h"

static struct flo_role_config config;
static struct flo_worker worker;
static char name[] = "queue";
static struct flo_task_queue queue;

static int setup(void **state)
{
    (void)state;
    config = (struct flo_role_config){.server = {.name_space = "default"}};
    worker = (struct flo_worker){.config = &config};
    queue = (struct flo_task_queue){.worker = &worker, .name = name};
    flo_map_init(&queue.type_series);
    return flo_metrics_new(&worker.metrics, NULL);
}

static int teardown(void **state)
{
    (void)state;
    flo_series_fini(&queue);
    flo_metrics_destroy(&worker.metrics);
    return 0;
}

/* Per type and without one; the second use is the first one's. */
static void test_kept_series_are_the_registrys(void **state)
{
    struct flo_task_series *echo = flo_series_for_type(&queue, FLO_TYPE_ACTIVITY, "echo");
    struct flo_series *of_echo =
        flo_series_of(&queue, echo, FLO_METRIC_ACTIVITY_TASK_RECEIVED, "echo");

    (void)state;
    assert_non_null(echo);
    assert_ptr_equal(of_echo, FLO_METRIC(&queue, ACTIVITY_TASK_RECEIVED, "echo", "false"));
    assert_ptr_equal(echo->of[FLO_METRIC_ACTIVITY_TASK_RECEIVED], of_echo);
    assert_ptr_equal(flo_series_for_type(&queue, FLO_TYPE_ACTIVITY, "echo"), echo);
    assert_ptr_not_equal(flo_series_for_type(&queue, FLO_TYPE_ACTIVITY, "other"), echo);
    assert_ptr_equal(FLO_OWN_METRIC(&queue, WORKFLOW_POLL_SUCCEED),
                     FLO_METRIC(&queue, WORKFLOW_POLL_SUCCEED));
}

/* The page has the counters of a type from its first task on, each of its own kind. */
static void test_counters_of_a_type_begin_at_zero(void **state)
{
    const struct flo_metrics_form form = {.naming = FLO_NAMING_TALLY};
    static const char *const wanted[] = {
        "temporal_workflow_failed_total{namespace=\"default\",task_queue=\"queue\","
        "workflow_type=\"Flow\"} 0\n",
        "task_execution_failed_total{namespace=\"default\",task_queue=\"queue\","
        "workflow_type=\"Flow\",failure_reason=\"NonDeterminismError\"} 0\n",
        "temporal_activity_execution_failed_total{namespace=\"default\",task_queue=\"queue\","
        "activity_type=\"echo\"} 0\n",
        "flotilla_activity_crashed_total{task_queue=\"queue\",activity_type=\"echo\"} 0\n",
        "temporal_local_activity_execution_failed_total{namespace=\"default\",task_queue=\"queue\","
        "activity_type=\"near\"} 0\n",
    };
    struct flo_buf page;

    (void)state;
    flo_buf_init(&page, 0);
    (void)flo_series_for_type(&queue, FLO_TYPE_WORKFLOW, "Flow");
    (void)flo_series_for_type(&queue, FLO_TYPE_ACTIVITY, "echo");
    (void)flo_series_for_type(&queue, FLO_TYPE_LOCAL_ACTIVITY, "near");
    assert_int_equal(flo_metrics_render(worker.metrics, &form, &page), 0);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!strstr(flo_buf_cstr(&page), wanted[i]))
            fail_msg("the page lacks %s", wanted[i]);
    assert_null(strstr(flo_buf_cstr(&page), "temporal_workflow_failed_total{namespace=\"default\","
                                            "task_queue=\"queue\",workflow_type=\"echo\"}"));
    flo_buf_fini(&page);
}

/* Types past the bound are not kept, and still counted. */
static void test_types_past_the_bound_are_looked_up(void **state)
{
    char type[16];

    (void)state;
    for (int i = 0; i < 300; i++) {
        snprintf(type, sizeof type, "type-%d", i);
        (void)flo_series_for_type(&queue, FLO_TYPE_ACTIVITY, type);
    }
    assert_null(flo_series_for_type(&queue, FLO_TYPE_ACTIVITY, type));
    assert_ptr_equal(flo_series_of(&queue, NULL, FLO_METRIC_ACTIVITY_TASK_RECEIVED, type),
                     FLO_METRIC(&queue, ACTIVITY_TASK_RECEIVED, type, "false"));
}

/* Each RPC has its own, also when there are more than fit. */
static void test_calls_keep_their_series(void **state)
{
    static char names[FLO_CALL_SERIES_MAX + 4][8];
    struct flo_series *count, *latency;

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < FLO_CALL_SERIES_MAX + 4; i++) {
            snprintf(names[i], sizeof names[i], "Rpc%d", i);
            flo_series_of_call(&worker, names[i], false, &count, &latency);
            assert_ptr_equal(count, flo_metrics_get(worker.metrics, FLO_METRIC_REQUEST, "default",
                                                    names[i], NULL));
            assert_ptr_equal(latency, flo_metrics_get(worker.metrics, FLO_METRIC_REQUEST_LATENCY,
                                                      "default", names[i], NULL));
        }
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_kept_series_are_the_registrys),
        T(test_counters_of_a_type_begin_at_zero),
        T(test_types_past_the_bound_are_looked_up),
        T(test_calls_keep_their_series),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
