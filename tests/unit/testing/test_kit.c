/* SPDX-License-Identifier: Apache-2.0 */
/* test_kit.c - the testing kit, as users use it: time, mocks, retries, timeouts, endings, and that
 * nothing is left behind. */
#include <stdio.h>
#include <string.h>

#include "support/testing_kit.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

static struct flo_err err;

/* ---- the workflows ---- */

static const struct flo_activity_options once_a_second = {
    .start_to_close_ms = 10000, .retry = &(const struct flo_retry_policy){.maximum_attempts = 3}};

static int greet(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return flo_activity(wf, "greet", input, &once_a_second, out_result);
}

static int month(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    for (int day = 0; day < 30; day++) {
        int rc = flo_sleep(wf, DAY_MS);
        if (rc)
            return rc;
    }
    *out_result = json_integer(flo_workflow_now_ms(wf) - flo_workflow_info(wf)->start_ms);
    return 0;
}

static int approval(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    int rc = flo_signal_await(wf, "approve", 7 * DAY_MS, out_result);
    if (rc == FLO_ETIMEDOUT)
        return flo_workflow_fail(wf, "NotApproved", true, NULL, "nobody approved within a week");
    return rc;
}

static int look_up(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static const struct flo_local_activity_options options = {.start_to_close_ms = 60000};
    return flo_local_activity(wf, "price", input, &options, out_result);
}

static int patient(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    return flo_activity(wf, "work", NULL,
                        &(struct flo_activity_options){
                            .start_to_close_ms = DAY_MS,
                            .heartbeat_ms = 30000,
                            .cancellation = FLO_CANCEL_WAIT,
                            .retry = &(const struct flo_retry_policy){.maximum_attempts = 2}},
                        out_result);
}

static int fickle_runs;

/* What no workflow may do: its steps depend on something outside. */
static int fickle(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input, (void)out_result;
    int rc = fickle_runs++ ? flo_activity(wf, "greet", NULL, &once_a_second, NULL) : 0;
    return rc ? rc : flo_sleep(wf, 1000);
}

static const struct flo_module module = {
    .abi = FLO_MODULE_ABI,
    .name = "kit",
    .workflows = FLO_WORKFLOWS({"Greet", greet}, {"Month", month}, {"Approval", approval},
                               {"LookUp", look_up}, {"Patient", patient}, {"Fickle", fickle}),
};

/* ---- mocks ---- */

/* A mock's result is the activity's. */
static void test_mock_result_completes(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    flo_test_mock(env, "greet", &(struct flo_test_mock){.result = "\"hello\""});
    struct flo_test_workflow *wf =
        flo_test_start(env, "Greet", flo_test_json(env, "{\"name\": \"Ada\"}"), NULL);
    flo_test_assert_completed(wf, "\"hello\"");
    flo_test_assert_attempts(env, "greet", 1);
    json_t *input = flo_test_activity_input(env, "greet", 0);
    assert_string_equal(json_string_value(json_object_get(input, "name")), "Ada");
    flo_test_assert_story(wf, "WorkflowExecutionStarted Greet\n"
                              "ActivityTaskScheduled greet\n"
                              "ActivityTaskStarted greet\n"
                              "ActivityTaskCompleted greet\n"
                              "WorkflowExecutionCompleted");
    kit_env_end(env);
}

/* A mock that fails twice is tried a third time, after the policy's pauses of 1 and 2 s. */
static void test_mock_fails_twice_is_retried(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    flo_test_mock(env, "greet", &(struct flo_test_mock){.result = "1", .fail_times = 2});
    struct flo_test_workflow *wf = flo_test_start(env, "Greet", NULL, NULL);
    flo_test_assert_completed(wf, "1");
    flo_test_assert_attempts(env, "greet", 3);
    flo_test_assert_activities(env, "greet", 1);
    assert_int_equal(flo_test_elapsed_ms(env), 3000);
    kit_env_end(env);
}

/* A mock that always fails fails the workflow, with its own failure. */
static void test_mock_always_fails_fails_workflow(void **state)
{
    static const struct flo_failure declined = {.type = "Declined", .message = "no money"};
    struct flo_test_env *env = kit_env(state, &module);
    flo_test_mock(env, "greet",
                  &(struct flo_test_mock){.fail_times = FLO_TEST_ALWAYS, .failure = &declined});
    struct flo_test_workflow *wf = flo_test_start(env, "Greet", NULL, NULL);
    flo_test_assert_ended(wf, FLO_TEST_FAILED, "Declined");
    flo_test_assert_attempts(env, "greet", 3);
    assert_int_equal(flo_test_result(wf, NULL, &err), FLO_EFAILED);
    assert_non_null(strstr(err.message, "no money"));
    kit_env_end(env);
}

static int count_calls(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    int *calls = flo_activity_shared(ctx);
    *out_result = json_pack("{s:i, s:O}", "call", ++*calls, "input", input);
    return *calls < 2 ? flo_activity_fail(ctx, "Early", false, NULL, "not yet") : 0;
}

/* A mock may be a function, which sees what activity code sees. */
static void test_mock_function_sees_input(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    int calls = 0;
    flo_test_mock(env, "greet", &(struct flo_test_mock){.run = count_calls, .shared = &calls});
    struct flo_test_workflow *wf = flo_test_start(env, "Greet", flo_test_json(env, "7"), NULL);
    flo_test_assert_completed(wf, "{\"call\": 2, \"input\": 7}");
    kit_env_end(env);
}

/* An activity that nobody plays is told at once, not retried for ever. */
static void test_mock_missing_is_a_problem(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    struct flo_test_workflow *wf = flo_test_start(env, "Greet", NULL, NULL);
    assert_int_equal(flo_test_result(wf, NULL, &err), FLO_ENOENT);
    assert_non_null(strstr(err.message, "the activity greet has no mock"));
    flo_test_env_destroy(&env);
}

/* ---- time ---- */

/* A month passes in no time. */
static void test_sleep_month_takes_no_time(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    struct flo_test_workflow *wf = flo_test_start(env, "Month", NULL, NULL);
    flo_test_assert_completed(wf, "2592000000");
    assert_int_equal(flo_test_elapsed_ms(env), 30 * DAY_MS);
    flo_test_assert_events(wf, "TimerFired", 30);
    kit_env_end(env);
}

static void approve(struct flo_test_env *env, void *ctx)
{
    json_t *by = flo_test_json(env, "\"Grace\"");
    assert_int_equal(flo_test_signal(ctx, "approve", by, &err), 0);
}

/* The test acts in the middle of the workflow's life. */
static void test_at_signals_later(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    struct flo_test_workflow *wf = flo_test_start(env, "Approval", NULL, NULL);
    flo_test_at(env, 3 * DAY_MS, approve, wf);
    flo_test_assert_completed(wf, "\"Grace\"");
    assert_int_equal(flo_test_elapsed_ms(env), 3 * DAY_MS);
    assert_int_equal(flo_test_signal(wf, "approve", NULL, &err), FLO_ENOENT);
    kit_env_end(env);
}

/* Time goes by as far as the test says. */
static void test_advance_stops_in_between(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    struct flo_test_workflow *wf = flo_test_start(env, "Approval", NULL, NULL);
    flo_test_assert_ok(flo_test_advance(env, 6 * DAY_MS, &err), &err);
    assert_int_equal(flo_test_status(wf), FLO_TEST_RUNNING);
    assert_int_equal(flo_test_elapsed_ms(env), 6 * DAY_MS);
    flo_test_assert_ok(flo_test_advance(env, DAY_MS, &err), &err);
    assert_int_equal(flo_test_status(wf), FLO_TEST_FAILED);
    flo_test_assert_ended(wf, FLO_TEST_FAILED, "NotApproved");
    kit_env_end(env);
}

/* ---- long activities ---- */

/* One that hangs without heartbeats is found by its heartbeat timeout, twice. */
static void test_mock_hangs_times_out(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    flo_test_mock(env, "work", &(struct flo_test_mock){.hangs = true});
    struct flo_test_workflow *wf = flo_test_start(env, "Patient", NULL, NULL);
    flo_test_assert_ended(wf, FLO_TEST_FAILED, NULL);
    flo_test_assert_attempts(env, "work", 2);
    flo_test_assert_events(wf, "ActivityTaskTimedOut", 1);
    assert_int_equal(flo_test_elapsed_ms(env), 61000);
    kit_env_end(env);
}

/* One that heartbeats has its time, and hears of a cancellation. */
static void test_mock_heartbeats_is_cancelled(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    flo_test_mock(env, "work", &(struct flo_test_mock){.takes_ms = DAY_MS / 2, .heartbeats = true});
    struct flo_test_workflow *done = flo_test_start(env, "Patient", NULL, NULL);
    flo_test_assert_completed(done, "null");
    assert_int_equal(flo_test_elapsed_ms(env), DAY_MS / 2);
    struct flo_test_workflow *wf = flo_test_start(env, "Patient", NULL, NULL);
    flo_test_assert_ok(flo_test_advance(env, 60000, &err), &err);
    flo_test_assert_ok(flo_test_cancel(wf, "enough", &err), &err);
    flo_test_assert_ended(wf, FLO_TEST_CANCELLED, NULL);
    flo_test_assert_events(wf, "ActivityTaskCanceled", 1);
    kit_env_end(env);
}

/* ---- local activities ---- */

/* Local activities are played, too: retried, and for longer than a task may be open. */
static void test_local_activity_is_played(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    flo_test_mock(env, "price",
                  &(struct flo_test_mock){.result = "42", .fail_times = 2, .takes_ms = 25000});
    struct flo_test_workflow *wf = flo_test_start(env, "LookUp", NULL, NULL);
    flo_test_assert_completed(wf, "42");
    flo_test_assert_attempts(env, "price", 3);
    assert_int_equal(flo_test_elapsed_ms(env), 78000);
    kit_env_end(env);
}

/* What still runs when the environment goes, goes with it. */
static void test_destroy_in_the_middle(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    flo_test_mock(env, "work", &(struct flo_test_mock){.hangs = true, .heartbeats = true});
    flo_test_mock(env, "price", &(struct flo_test_mock){.hangs = true});
    flo_test_mock(env, "greet", &(struct flo_test_mock){.takes_ms = 9000});
    flo_test_start(env, "Patient", NULL, NULL);
    flo_test_start(env, "LookUp", NULL, NULL);
    flo_test_start(env, "Greet", NULL, NULL);
    flo_test_start(env, "Month", NULL, NULL);
    flo_test_assert_ok(flo_test_advance(env, 5000, &err), &err);
    flo_test_assert_attempts(env, "price", 1);
    kit_env_end(env);
}

/* ---- mistakes ---- */

/* Code that is not deterministic is found by the replay at its end at the latest. */
static void test_replay_finds_fickle_code(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    flo_test_mock(env, "greet", &(struct flo_test_mock){.result = "1"});
    fickle_runs = 0;
    struct flo_test_workflow *wf = flo_test_start(env, "Fickle", NULL, NULL);
    assert_int_equal(flo_test_result(wf, NULL, &err), FLO_ENONDET);
    flo_test_env_destroy(&env);
}

/* What never comes is not waited for. */
static void test_result_nothing_comes_says_so(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    struct flo_test_workflow *wf = flo_test_start(env, "Approval", NULL, NULL);
    assert_int_equal(flo_test_result(wf, NULL, &err), FLO_EFAILED); /* by its timeout */
    wf = flo_test_start(env, "Unknown", NULL, NULL);
    assert_int_equal(flo_test_result(wf, NULL, &err), FLO_EFAILED);
    assert_non_null(strstr(err.message, "registered types: "));
    assert_null(strstr(err.message, "registered types: none"));
    flo_test_env_destroy(&env);
}

/* The same seed gives the same history, another one other ids. */
static void test_seed_repeats_itself(void **state)
{
    char run_ids[3][64];
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct flo_test_env *env =
            flo_test_env_new(&module, &(struct flo_test_options){.seed = i < 2 ? 7 : 8});
        struct flo_test_workflow *wf = flo_test_start(env, "Month", NULL, NULL);
        flo_test_assert_completed(wf, NULL);
        snprintf(run_ids[i], sizeof run_ids[i], "%s", flo_test_run_id(wf));
        flo_test_env_destroy(&env);
    }
    assert_string_equal(run_ids[0], run_ids[1]);
    assert_string_not_equal(run_ids[0], run_ids[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_mock_result_completes),
        KIT_TEST(test_mock_fails_twice_is_retried),
        KIT_TEST(test_mock_always_fails_fails_workflow),
        KIT_TEST(test_mock_function_sees_input),
        KIT_TEST(test_mock_missing_is_a_problem),
        KIT_TEST(test_sleep_month_takes_no_time),
        KIT_TEST(test_at_signals_later),
        KIT_TEST(test_advance_stops_in_between),
        KIT_TEST(test_mock_hangs_times_out),
        KIT_TEST(test_mock_heartbeats_is_cancelled),
        KIT_TEST(test_local_activity_is_played),
        KIT_TEST(test_destroy_in_the_middle),
        KIT_TEST(test_replay_finds_fickle_code),
        KIT_TEST(test_result_nothing_comes_says_so),
        cmocka_unit_test(test_seed_repeats_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
