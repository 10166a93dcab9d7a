/* SPDX-License-Identifier: Apache-2.0 */
/* test_entities.c - children, other executions, continue-as-new, patches and side effects, on the
 * engine's core. */
#include <string.h>

#include "support/testing_kit.h"

#define HOUR_MS (INT64_C(3600) * 1000)

static struct flo_err err;

static const struct flo_activity_options quick = {.start_to_close_ms = 10000};

/* ---- the workflows ---- */

/* A child: waits as long as it is told, then gives its input back; told to fail, it fails. */
static int child_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    int rc = flo_sleep(wf, json_integer_value(json_object_get(input, "ms")));
    if (rc)
        return rc;
    if (json_is_true(json_object_get(input, "fail")))
        return flo_workflow_fail(wf, "ChildFailed", true, NULL, "as it was told");
    *out_result = json_incref(json_object_get(input, "give"));
    return 0;
}

/* A child for each member of the input, all at once; the list of their results. */
static int family(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_group *group = flo_group_new(wf);
    json_t *each;
    size_t i;
    json_array_foreach(input, i, each)
    {
        char id[64];
        snprintf(id, sizeof id, "%s-child-%zu", flo_workflow_info(wf)->workflow_id, i);
        const struct flo_child_options options = {.workflow_id = id};
        flo_group_add(group, flo_child_result(flo_child_start(wf, "Child", each, &options)));
    }
    return flo_group_await_all(group, out_result);
}

/* A child that waits for a signal of its parent. */
static int waiting(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    return flo_signal_await(wf, "go", -1, out_result);
}

static int signaller(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_child *child = flo_child_start(wf, "Waiting", NULL, NULL);
    int rc = flo_child_signal(wf, child, "go", input);
    if (rc == 0)
        rc = flo_await(wf, flo_child_result(child), out_result);
    if (rc == 0)
        rc = flo_signal_external(wf, "nobody", NULL, "go", NULL);
    return rc == FLO_ENOENT ? 0 : rc;
}

/* Counts down, one run a step. */
static int countdown(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_int_t left = json_integer_value(input);
    int rc = flo_sleep(wf, HOUR_MS);
    if (rc)
        return rc;
    if (left > 0)
        return flo_continue_as_new(wf, json_integer(left - 1), NULL);
    *out_result = json_string("liftoff");
    return 0;
}

/* Sleeps until the server suggests to begin anew, three times. */
static int suggested(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_int_t run = json_integer_value(input);
    while (!flo_workflow_info(wf)->continue_as_new_suggested) {
        int rc = flo_sleep(wf, HOUR_MS);
        if (rc)
            return rc;
    }
    if (run < 3)
        return flo_continue_as_new(wf, json_integer(run + 1), NULL);
    *out_result = json_integer(flo_workflow_info(wf)->history_length);
    return 0;
}

static int drawn;

static json_t *draw(void *ctx)
{
    (void)ctx;
    return json_integer(++drawn); /* other each time that it is called */
}

static int evolving(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_t *first, *second;
    bool fresh = flo_patched(wf, "new-way");
    int rc = flo_side_effect(wf, draw, NULL, &first);
    (void)input;
    if (rc == 0)
        rc = flo_activity(wf, "work", NULL, &quick, NULL);
    if (rc == 0)
        rc = flo_mutable_side_effect(wf, "limit", draw, NULL, NULL, &second);
    if (rc == 0)
        rc = flo_sleep(wf, HOUR_MS);
    if (rc == 0)
        *out_result = json_pack("[b, o, o]", fresh, first, second);
    return rc;
}

static const struct flo_module module = {
    .abi = FLO_MODULE_ABI,
    .name = "entities",
    .workflows = FLO_WORKFLOWS({"Child", child_workflow}, {"Family", family}, {"Waiting", waiting},
                               {"Signaller", signaller}, {"Countdown", countdown},
                               {"Evolving", evolving}, {"Suggested", suggested}),
};

/* ---- the tests ---- */

/* Three children side by side, of an hour, a day and a week. */
static void test_children_run_side_by_side(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    json_t *children = flo_test_json(env, "[{\"ms\": 3600000, \"give\": 1}, "
                                          "{\"ms\": 86400000, \"give\": 2}, "
                                          "{\"ms\": 604800000, \"give\": 3}]");
    struct flo_test_workflow *wf = flo_test_start(env, "Family", children, NULL);
    flo_test_assert_ok(flo_test_advance(env, 2 * HOUR_MS, &err), &err);
    struct flo_test_workflow *first = flo_test_find(env, "Family-1-child-0");
    struct flo_test_workflow *last = flo_test_find(env, "Family-1-child-2");
    assert_non_null(first);
    assert_int_equal(flo_test_status(first), FLO_TEST_COMPLETED);
    assert_int_equal(flo_test_status(last), FLO_TEST_RUNNING);
    flo_test_assert_completed(wf, "[1, 2, 3]");
    flo_test_assert_completed(last, "3");
    assert_int_equal(flo_test_elapsed_ms(env), 7 * 24 * HOUR_MS);
    flo_test_assert_events(wf, "ChildWorkflowExecutionCompleted", 3);
    assert_null(flo_test_find(env, "nobody"));
    kit_env_end(env);
}

/* A child's failure is its parent's, with its cause; the other child ends with the parent. */
static void test_child_failure_fails_parent(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    json_t *children = flo_test_json(env, "[{\"ms\": 5000, \"fail\": true}, {\"ms\": 86400000}]");
    struct flo_test_workflow *wf = flo_test_start(env, "Family", children, NULL);
    flo_test_assert_ended(wf, FLO_TEST_FAILED, "ChildFailed");
    assert_int_equal(flo_test_elapsed_ms(env), 5000);
    flo_test_assert_ok(flo_test_advance(env, 0, &err), &err);
    assert_int_equal(flo_test_status(flo_test_find(env, "Family-1-child-1")), FLO_TEST_TERMINATED);
    kit_env_end(env);
}

/* Cancelling the parent cancels its child, and waits for how that ends. */
static void test_cancel_reaches_child(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    json_t *children = flo_test_json(env, "[{\"ms\": 86400000}]");
    struct flo_test_workflow *wf = flo_test_start(env, "Family", children, NULL);
    flo_test_assert_ok(flo_test_advance(env, HOUR_MS, &err), &err);
    flo_test_assert_ok(flo_test_cancel(wf, "enough", &err), &err);
    flo_test_assert_ended(wf, FLO_TEST_CANCELLED, NULL);
    assert_int_equal(flo_test_elapsed_ms(env), HOUR_MS);
    assert_int_equal(flo_test_status(flo_test_find(env, "Family-1-child-0")), FLO_TEST_CANCELLED);
    kit_env_end(env);
}

/* A parent signals its child; who is not there cannot be signalled. */
static void test_child_is_signalled(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    struct flo_test_workflow *wf =
        flo_test_start(env, "Signaller", flo_test_json(env, "\"hello\""), NULL);
    flo_test_assert_completed(wf, "\"hello\"");
    flo_test_assert_events(wf, "ExternalWorkflowExecutionSignaled", 1);
    flo_test_assert_events(wf, "SignalExternalWorkflowExecutionFailed", 1);
    kit_env_end(env);
}

/* Five runs, one workflow. */
static void test_continue_as_new_is_followed(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    struct flo_test_workflow *wf = flo_test_start(env, "Countdown", flo_test_json(env, "4"), NULL);
    flo_test_assert_completed(wf, "\"liftoff\"");
    assert_int_equal(flo_test_runs(wf), 5);
    assert_int_equal(flo_test_elapsed_ms(env), 5 * HOUR_MS);
    flo_test_assert_story(wf, "WorkflowExecutionStarted Countdown\n"
                              "TimerStarted 3600s\n"
                              "TimerFired 3600s\n"
                              "WorkflowExecutionCompleted");
    kit_env_end(env);
}

/* The kit can let a server suggest it early. */
static void test_continue_as_new_is_suggested(void **state)
{
    struct flo_test_env *env = flo_test_env_new(
        &module, &(struct flo_test_options){.cache = *(enum flo_test_cache *)*state,
                                            .suggest_continue_events = 20});
    struct flo_test_workflow *wf = flo_test_start(env, "Suggested", NULL, NULL);
    flo_test_assert_completed(wf, NULL);
    assert_int_equal(flo_test_runs(wf), 4);
    assert_in_range(json_array_size(flo_test_history(wf)), 20, 30);
    kit_env_end(env);
}

/* What was recorded once is what each replay gets. */
static void test_side_effects_are_replayed(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    drawn = 0;
    flo_test_mock(env, "work", &(struct flo_test_mock){0});
    struct flo_test_workflow *wf = flo_test_start(env, "Evolving", NULL, NULL);
    flo_test_assert_completed(wf, "[true, 1, 2]");
    assert_int_equal(drawn, 2);
    flo_test_assert_events(wf, "MarkerRecorded", 3);
    flo_test_assert_events(wf, "UpsertWorkflowSearchAttributes", 1);
    kit_env_end(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_children_run_side_by_side),   KIT_TEST(test_child_failure_fails_parent),
        KIT_TEST(test_cancel_reaches_child),        KIT_TEST(test_child_is_signalled),
        KIT_TEST(test_continue_as_new_is_followed), KIT_TEST(test_continue_as_new_is_suggested),
        KIT_TEST(test_side_effects_are_replayed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
