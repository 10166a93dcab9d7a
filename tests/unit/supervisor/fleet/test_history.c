/* SPDX-License-Identifier: Apache-2.0 */
/* The last hour: points, gaps, the ring's end, queues that come and go. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/fleet/history.h"
#include "support/cmocka_env.h"

static const char *role_name(int role)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    return names[role];
}

static int setup(void **state)
{
    struct flo_history *history = NULL;
    assert_int_equal(flo_history_new(&history), 0);
    *state = history;
    return 0;
}

static int teardown(void **state)
{
    struct flo_history *history = *state;
    flo_history_destroy(&history);
    assert_null(history);
    return 0;
}

static struct flo_history_figures tasks(double a_second)
{
    return (struct flo_history_figures){.tasks_s = (float)a_second, .p50_s = NAN, .processes = 2};
}

static const json_t *figure(const json_t *json, const char *role, const char *name, size_t at)
{
    const json_t *figures = json_object_get(json_object_get(json, "roles"), role);
    return json_array_get(json_object_get(figures, name), at);
}

/* What was set comes back; what was not is null; roles without figures are left out. */
static void test_json_has_what_was_set(void **state)
{
    struct flo_history *history = *state;
    struct flo_history_figures figures = tasks(2.5);
    flo_history_begin(history, 1000);
    flo_history_role(history, 1, &figures);
    flo_history_begin(history, 6000);
    flo_history_queue(history, "q", true, 7);
    assert_int_equal(flo_history_points(history), 2);
    json_t *json = flo_history_json(history, 3600, role_name);
    assert_int_equal(json_integer_value(json_object_get(json, "step_ms")), FLO_HISTORY_STEP_MS);
    assert_int_equal(json_array_size(json_object_get(json, "times")), 2);
    assert_int_equal(json_object_size(json_object_get(json, "roles")), 1);
    assert_true(json_real_value(figure(json, "b", "tasks_s", 0)) == 2.5);
    assert_true(json_is_null(figure(json, "b", "p50_s", 0)));
    assert_int_equal(json_integer_value(figure(json, "b", "processes", 0)), 2);
    assert_true(json_is_null(figure(json, "b", "tasks_s", 1)));
    const json_t *queue = json_array_get(json_object_get(json, "queues"), 0);
    assert_string_equal(json_string_value(json_object_get(queue, "kind")), "activity");
    assert_true(json_is_null(json_array_get(json_object_get(queue, "depth"), 0)));
    assert_int_equal(json_integer_value(json_array_get(json_object_get(queue, "depth"), 1)), 7);
    json_decref(json);
}

/* Only the seconds that were asked for. */
static void test_json_is_cut_to_seconds(void **state)
{
    struct flo_history *history = *state;
    for (int i = 0; i < 10; i++)
        flo_history_begin(history, i);
    json_t *json = flo_history_json(history, 15, role_name);
    const json_t *times = json_object_get(json, "times");
    assert_int_equal(json_array_size(times), 3);
    assert_int_equal(json_integer_value(json_array_get(times, 0)), 7);
    json_decref(json);
}

/* After an hour the oldest points go; a queue that nobody has seen for an hour goes with them. */
static void test_ring_forgets_the_oldest(void **state)
{
    struct flo_history *history = *state;
    flo_history_begin(history, 0);
    flo_history_queue(history, "old", false, 1);
    for (int i = 1; i <= FLO_HISTORY_POINTS; i++) {
        struct flo_history_figures figures = tasks(i);
        flo_history_begin(history, i);
        flo_history_role(history, 0, &figures);
    }
    assert_int_equal(flo_history_points(history), FLO_HISTORY_POINTS);
    json_t *json = flo_history_json(history, 100000, role_name);
    const json_t *times = json_object_get(json, "times");
    assert_int_equal(json_array_size(times), FLO_HISTORY_POINTS);
    assert_int_equal(json_integer_value(json_array_get(times, 0)), 1);
    assert_int_equal(json_integer_value(figure(json, "a", "tasks_s", 0)), 1);
    assert_int_equal(json_array_size(json_object_get(json, "queues")), 0);
    json_decref(json);
}

/* More queues than there is room for: the one unseen for longest makes room, without its past. */
static void test_queues_are_bounded(void **state)
{
    struct flo_history *history = *state;
    char name[300];
    for (int i = 0; i <= FLO_HISTORY_QUEUES; i++) {
        flo_history_begin(history, i);
        snprintf(name, sizeof name, "queue-%d", i);
        flo_history_queue(history, name, true, i);
    }
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    flo_history_queue(history, name, true, 5);
    flo_history_queue(history, "", true, 5);
    json_t *json = flo_history_json(history, 3600, role_name);
    const json_t *queues = json_object_get(json, "queues");
    size_t long_ones = 0;
    assert_int_equal(json_array_size(queues), FLO_HISTORY_QUEUES);
    for (size_t i = 0; i < json_array_size(queues); i++) {
        const json_t *queue = json_array_get(queues, i);
        const char *text = json_string_value(json_object_get(queue, "queue"));
        assert_string_not_equal(text, "queue-0");
        assert_string_not_equal(text, "queue-1");
        long_ones += strlen(text) == FLO_HISTORY_NAME_MAX - 1;
        assert_int_equal(json_array_size(json_object_get(queue, "depth")), FLO_HISTORY_QUEUES + 1);
    }
    assert_int_equal(long_ones, 1);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_json_has_what_was_set, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_is_cut_to_seconds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ring_forgets_the_oldest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_queues_are_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
