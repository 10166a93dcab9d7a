/* SPDX-License-Identifier: Apache-2.0 */
/* What the variables of other workers mean here, and when slots follow CPU and memory. */
#include <stdlib.h>
#include <string.h>

#include "settings_fixture.h"

static void assert_printed(const struct flo_role_config *c, const char *line)
{
    struct flo_buf out;
    flo_buf_init(&out, 0);
    assert_int_equal(flo_config_print(&c->config, &out), 0);
    assert_non_null(strstr(flo_buf_cstr(&out), line));
    flo_buf_fini(&out);
}

static void test_load_known_variables(void **state)
{
    struct fixture *f = *state;
    static const char *const pairs[][2] = {
        {"DEFAULT_TEMPORAL_URL", "seed:7233"},
        {"DEFAULT_TEMPORAL_NAMESPACE", "seed-ns"},
        {"TEMPORAL_WORKER_TASK_QUEUE", "benchmark"},
        {"TEMPORAL_WORKER_TARGET_CPU", "0.9"},
        {"TEMPORAL_WORKER_TARGET_RAM", "0.8"},
        {"TEMPORAL_WORKER_WORKFLOWS_MIN_SLOTS", "10"},
        {"TEMPORAL_WORKER_WORKFLOWS_MAX_SLOTS", "1000"},
        {"TEMPORAL_WORKER_ACTIVITIES_MIN_SLOTS", "50"},
        {"TEMPORAL_WORKER_ACTIVITIES_MAX_SLOTS", "2000"},
        {"TEMPORAL_WORKER_LOCAL_ACTIVITIES_MIN_SLOTS", "50"},
        {"TEMPORAL_WORKER_LOCAL_ACTIVITIES_MAX_SLOTS", "500"},
        {"TEMPORAL_WORKER_MAX_CONCURRENT_WORKFLOW_TASK_POLLS", "100"},
        {"TEMPORAL_WORKER_MAX_CONCURRENT_ACTIVITY_TASK_POLLS", "90"},
        {"TEMPORAL_WORKER_NONSTICKY_TO_STICKY_POLL_RATIO", "0.5"},
        {"TEMPORAL_WORKFLOW_CONCURRENCY", "31"},
        {"TEMPORAL_IO_ACTIVITY_CONCURRENCY", "52"},
        {"TEMPORAL_CPU_ACTIVITY_CONCURRENCY", "3"},
        {"TEMPORAL_IO_THREAD_POOL_SIZE", "60"},
        {"TEMPORAL_CPU_THREAD_POOL_SIZE", "8"},
        {"DB_POOL_SIZE", "7"},
        {"DB_MAX_OVERFLOW", "9"},
    };
    size_t count = sizeof pairs / sizeof pairs[0];
    for (size_t i = 0; i < count; i++)
        setenv(pairs[i][0], pairs[i][1], 1);
    struct flo_role_config *c = load(f, FLO_ROLE_WORKFLOW, "log: {level: warn}\n");
    assert_string_equal(c->server.address, "seed:7233");
    assert_string_equal(c->server.name_space, "seed-ns");
    assert_string_equal(c->task_queue, "benchmark");
    assert_int_equal(c->tuner.kind, FLO_TUNER_RESOURCE); /* the variables ask for it */
    assert_string_equal(c->tuner.why, "TEMPORAL_WORKER_TARGET_CPU");
    assert_true(c->tuner.target_cpu == 0.9 && c->tuner.target_memory == 0.8);
    assert_int_equal(c->max_concurrent_workflow_tasks, 1000); /* the maximum, and not */
    assert_int_equal(c->max_concurrent_workflow_task_polls, 100);
    assert_true(c->nonsticky_to_sticky_poll_ratio == 0.5);
    assert_int_equal(c->tuner.workflow_slots.max, 1000);
    assert_int_equal(c->config.warning_count, 1); /* TEMPORAL_WORKFLOW_CONCURRENCY */
    assert_int_equal(c->tuner.workflow_slots.min, 10);
    assert_int_equal(c->tuner.local_activity_slots.min, 50);
    assert_int_equal(c->tuner.local_activity_slots.max, 500);
    assert_printed(c, "tuner.kind: resource  # by TEMPORAL_WORKER_TARGET_CPU\n");
    assert_printed(c, "max_concurrent_workflow_tasks: 1000  # by tuner.workflow_slots\n");
    flo_role_config_destroy(&c);

    c = load(f, FLO_ROLE_IO_ACTIVITY, "modules: [echo]\n");
    assert_int_equal(c->max_concurrent_activities, 2000);
    assert_int_equal(c->max_concurrent_activity_task_polls, 90);
    assert_int_equal(c->executor.workers, 2000); /* threads come with the slots */
    assert_printed(c, "executor.workers: 2000  # by tuner.activity_slots.max\n");
    assert_int_equal(c->tuner.activity_slots.min, 50);
    assert_int_equal(c->config.warning_count, 2);
    json_t *settings = flo_role_config_module(c, 0)->settings;
    assert_int_equal(json_integer_value(json_object_get(settings, "db_pool_size")), 7);
    assert_int_equal(json_integer_value(json_object_get(settings, "db_max_overflow")), 9);
    flo_role_config_destroy(&c);

    c = load(f, FLO_ROLE_CPU_ACTIVITY, "log: {level: warn}\n");
    assert_int_equal(c->executor.workers, 8);
    assert_int_equal(c->max_concurrent_activities, 8); /* processes bound the slots */
    flo_role_config_destroy(&c);

    for (int role = FLO_ROLE_WORKFLOW; role <= FLO_ROLE_CPU_ACTIVITY; role++) {
        c = load(f, (enum flo_role)role, "tuner: {kind: fixed}\n");
        assert_int_equal(c->tuner.kind, FLO_TUNER_FIXED);
        assert_int_equal(c->max_concurrent_workflow_tasks,
                         role == FLO_ROLE_WORKFLOW ? 31 : c->max_concurrent_workflow_tasks);
        assert_int_equal(c->config.warning_count, 1); /* targets without effect */
        flo_role_config_destroy(&c);
    }
    setenv("TEMPORAL_WORKER_TARGET_CPU", "0", 1);
    assert_refused(f, "",
                   "environment variable TEMPORAL_WORKER_TARGET_CPU: tuner.target_cpu: \"0\" "
                   "is out of range; a number above 0 to 1 is allowed");
    setenv("TEMPORAL_WORKER_TARGET_CPU", "90", 1);
    assert_refused(f, "",
                   "environment variable TEMPORAL_WORKER_TARGET_CPU: tuner.target_cpu: \"90\" "
                   "is out of range; a number above 0 to 1 is allowed");
    for (size_t i = 0; i < count; i++)
        unsetenv(pairs[i][0]);
}

/* One of the targets or bounds is enough to turn resource-based slots on; none leaves them fixed,
 * and so does saying so. A default gives way to the bound that was given. */
static void test_tuner_kind_follows_what_is_given(void **state)
{
    struct fixture *f = *state;
    static const char *const ONE[][2] = {{"TEMPORAL_WORKER_TARGET_CPU", "0.5"},
                                         {"TEMPORAL_WORKER_TARGET_RAM", "1"},
                                         {"TEMPORAL_WORKER_ACTIVITIES_MIN_SLOTS", "7"},
                                         {"TEMPORAL_WORKER_ACTIVITIES_MAX_SLOTS", "70"},
                                         {"TEMPORAL_WORKER_TUNER", "resource"}};
    struct flo_role_config *c = load(f, FLO_ROLE_IO_ACTIVITY, "task_queue: q\n");

    assert_int_equal(c->tuner.kind, FLO_TUNER_FIXED);
    assert_int_equal(c->executor.workers, 10);
    flo_role_config_destroy(&c);
    for (size_t i = 0; i < sizeof ONE / sizeof *ONE; i++) {
        setenv(ONE[i][0], ONE[i][1], 1);
        c = load(f, FLO_ROLE_IO_ACTIVITY, "task_queue: q\n");
        assert_int_equal(c->tuner.kind, FLO_TUNER_RESOURCE);
        assert_string_equal(c->tuner.why, i < 4 ? ONE[i][0] : "tuner.kind");
        flo_role_config_destroy(&c);
        unsetenv(ONE[i][0]);
    }
    c = load(f, FLO_ROLE_IO_ACTIVITY, "task_queue: q\ntuner: {activity_slots: {max: 20}}\n");
    assert_int_equal(c->tuner.activity_slots.min, 20); /* 50 by default */
    assert_int_equal(c->tuner.activity_slots.max, 20);
    flo_role_config_destroy(&c);
    c = load(f, FLO_ROLE_IO_ACTIVITY,
             "task_queue: q\ntuner: {activity_slots: {min: 600, ramp_throttle: 1s}}\n");
    assert_int_equal(c->tuner.activity_slots.max, 600); /* 500 by default */
    assert_int_equal(c->tuner.activity_slots.ramp_throttle_ms, 1000);
    flo_role_config_destroy(&c);
}

static void test_tuner_settings_refused(void **state)
{
    struct fixture *f = *state;

    assert_refused(f, "tuner: {activity_slots: {min: 30, max: 20}}\n",
                   "w.yaml:2:31: tuner.activity_slots.min: 30 is more than the maximum, 20");
    assert_refused(f, "tuner: {target_memory: 1.01}\n",
                   "w.yaml:2:24: tuner.target_memory: \"1.01\" is out of range; a number above 0 "
                   "to 1 is allowed");
}

int main(void)
{
    clear_environment();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_load_known_variables, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tuner_kind_follows_what_is_given, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tuner_settings_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
