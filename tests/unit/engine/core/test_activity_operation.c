/* SPDX-License-Identifier: Apache-2.0 */
/* test_activity_operation.c - activities are paused, unpaused, reset, given other options. */
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/engine_worker.h"

#define SECOND FLO_NS_PER_S
#define NONE                                                                                       \
    "NOT_FOUND | Can't find pending activity with such ID. Invalid activityID or activity "        \
    "already completed | NotFoundFailure"

/* Two activities of the run wait: "a" and "b"; retries of "a" begin 10 s after a failure. */
static int setup(void **state)
{
    struct engine *e = engine_new(1);
    *state = e;
    engine_start(e, "wf", "q");
    FloApi__Command *a = engine_cmd_activity(e, "a", "q");
    engine_policy_of(e, a)->initial_interval = engine_duration(e, 10 * SECOND);
    engine_activity_of(a)->heartbeat_timeout = engine_duration(e, 5 * SECOND);
    engine_respond_poll(e, "q", a, engine_cmd_activity(e, "b", "other"), NULL);
    return 0;
}

static int teardown(void **state)
{
    engine_free(*state);
    return 0;
}

static const char *pause(struct engine *e, const char *id)
{
    FloApi__PauseActivityRequest request = FLO_API__PAUSE_ACTIVITY_REQUEST__INIT;
    request.namespace_ = (char *)"default";
    request.execution = engine_run(e, "wf", "");
    request.activity_case = FLO_API__PAUSE_ACTIVITY_REQUEST__ACTIVITY_ID;
    request.id = (char *)id;
    request.identity = (char *)"op";
    request.reason = (char *)"why";
    return engine_try(e, "PauseActivity", &request.base);
}

static FloApi__UnpauseActivityRequest unpause_of(struct engine *e, const char *id)
{
    FloApi__UnpauseActivityRequest request = FLO_API__UNPAUSE_ACTIVITY_REQUEST__INIT;
    request.namespace_ = (char *)"default";
    request.execution = engine_run(e, "wf", "");
    request.activity_case = FLO_API__UNPAUSE_ACTIVITY_REQUEST__ACTIVITY_ID;
    request.id = (char *)id;
    return request;
}

static const char *unpause(struct engine *e, const char *id)
{
    FloApi__UnpauseActivityRequest request = unpause_of(e, id);
    return engine_try(e, "UnpauseActivity", &request.base);
}

static FloApi__ResetActivityRequest reset_of(struct engine *e, const char *id)
{
    FloApi__ResetActivityRequest request = FLO_API__RESET_ACTIVITY_REQUEST__INIT;
    request.namespace_ = (char *)"default";
    request.execution = engine_run(e, "wf", "");
    request.activity_case = FLO_API__RESET_ACTIVITY_REQUEST__ACTIVITY_ID;
    request.id = (char *)id;
    return request;
}

/* The pending activity number i. */
static FloApi__PendingActivityInfo *pending(struct engine *e, size_t i)
{
    FloApi__DescribeWorkflowExecutionRequest request =
        FLO_API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = (char *)"default";
    request.execution = engine_run(e, "wf", "");
    FloApi__DescribeWorkflowExecutionResponse *response =
        engine_do(e, "DescribeWorkflowExecution", &request.base);
    assert_true(i < response->n_pending_activities);
    return response->pending_activities[i];
}

static void assert_state(struct engine *e, const char *expected)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(
        &flo_api__pending_activity_state__descriptor, pending(e, 0)->state);
    assert_string_equal(value->name + strlen("PENDING_ACTIVITY_STATE_"), expected);
}

static void assert_nothing(struct engine *e, const char *queue)
{
    uint64_t poll = engine_poll_activity(e, queue);
    assert_null(engine_reply(e, poll));
    flo_core_cancel_call(e->core, poll);
}

static FloApi__RecordActivityTaskHeartbeatResponse *beat(
    struct engine *e, const FloApi__PollActivityTaskQueueResponse *task)
{
    FloApi__RecordActivityTaskHeartbeatRequest request =
        FLO_API__RECORD_ACTIVITY_TASK_HEARTBEAT_REQUEST__INIT;
    request.namespace_ = (char *)"default";
    request.task_token = task->task_token;
    request.details = engine_payloads(e, "1");
    return engine_do(e, "RecordActivityTaskHeartbeat", &request.base);
}

/* One that waits for a worker is given to none, and does not time out, until it is unpaused. */
static void test_pause_waiting_is_not_given_out(void **state)
{
    struct engine *e = *state;
    assert_string_equal(pause(e, "a"), "OK");
    assert_state(e, "PAUSED");
    FloApi__PendingActivityInfo *info = pending(e, 0);
    assert_true(info->paused);
    assert_string_equal(info->pause_info->manual->identity, "op");
    assert_string_equal(info->pause_info->manual->reason, "why");
    assert_nothing(e, "q");
    engine_pass(e, 100 * SECOND);
    assert_string_equal(unpause(e, "a"), "OK");
    assert_state(e, "SCHEDULED");
    assert_int_equal(engine_next_activity(e, "q")->attempt, 1);
}

/* The pause outlives the process. */
static void test_pause_survives_a_restart(void **state)
{
    struct engine *e = *state;
    assert_string_equal(pause(e, "a"), "OK");
    engine_restart(e);
    assert_state(e, "PAUSED");
    assert_string_equal(pending(e, 0)->pause_info->manual->reason, "why");
    assert_nothing(e, "q");
    assert_string_equal(unpause(e, "a"), "OK");
    assert_int_equal(engine_next_activity(e, "q")->attempt, 1);
}

/* A running attempt is told by its heartbeat; what it ends with is not tried again before. */
static void test_pause_running_lets_the_attempt_end(void **state)
{
    struct engine *e = *state;
    FloApi__PollActivityTaskQueueResponse *task = engine_next_activity(e, "q");
    assert_false(beat(e, task)->activity_paused);
    assert_string_equal(pause(e, "a"), "OK");
    assert_state(e, "PAUSE_REQUESTED");
    assert_true(beat(e, task)->activity_paused);
    engine_pass(e, 100 * SECOND); /* no heartbeat timeout */
    assert_state(e, "PAUSE_REQUESTED");
    assert_string_equal(engine_activity_fail(e, task, "E", false), "OK");
    assert_state(e, "PAUSED");
    engine_pass(e, 100 * SECOND);
    assert_nothing(e, "q");
    assert_string_equal(unpause(e, "a"), "OK");
    task = engine_next_activity(e, "q");
    assert_int_equal(task->attempt, 2);
    assert_non_null(task->heartbeat_details);
}

/* The last permitted attempt, too, may be tried again when it fails while paused. */
static void test_pause_keeps_what_no_policy_would_retry(void **state)
{
    struct engine *e = *state;
    FloApi__Command *c = engine_cmd_activity(e, "c", "once");
    engine_policy_of(e, c)->maximum_attempts = 1;
    engine_signal(e, "wf", "s");
    engine_respond_poll(e, "q", c, NULL);
    FloApi__PollActivityTaskQueueResponse *task = engine_next_activity(e, "once");
    assert_string_equal(pause(e, "c"), "OK");
    assert_string_equal(engine_activity_fail(e, task, "E", false), "OK");
    assert_string_equal(unpause(e, "c"), "OK");
    assert_int_equal(engine_next_activity(e, "once")->attempt, 2);
}

/* Attempts from 1 again, without the old heartbeat, at a time within the jitter. */
static void test_unpause_with_resets_and_jitter(void **state)
{
    struct engine *e = *state;
    FloApi__PollActivityTaskQueueResponse *task = engine_next_activity(e, "q");
    beat(e, task);
    assert_string_equal(pause(e, "a"), "OK");
    assert_string_equal(engine_activity_fail(e, task, "E", false), "OK");
    FloApi__UnpauseActivityRequest request = unpause_of(e, "a");
    request.reset_attempts = request.reset_heartbeat = true;
    request.jitter = engine_duration(e, 10 * SECOND);
    assert_string_equal(engine_try(e, "UnpauseActivity", &request.base), "OK");
    assert_non_null(pending(e, 0)->next_attempt_schedule_time);
    assert_nothing(e, "q");
    engine_pass(e, 10 * SECOND);
    task = engine_next_activity(e, "q");
    assert_int_equal(task->attempt, 1);
    assert_null(task->heartbeat_details);
}

/* A backoff is cut short; the attempt is the first again. */
static void test_reset_cuts_a_backoff(void **state)
{
    struct engine *e = *state;
    engine_activity_fail(e, engine_next_activity(e, "q"), "E", false);
    assert_nothing(e, "q");
    FloApi__ResetActivityRequest request = reset_of(e, "a");
    assert_string_equal(engine_try(e, "ResetActivity", &request.base), "OK");
    assert_int_equal(engine_next_activity(e, "q")->attempt, 1);
}

/* A running attempt goes on and is told; its heartbeat details are not for the next one. */
static void test_reset_running_is_told(void **state)
{
    struct engine *e = *state;
    FloApi__PollActivityTaskQueueResponse *task = engine_next_activity(e, "q");
    FloApi__ResetActivityRequest request = reset_of(e, "a");
    request.reset_heartbeat = true;
    assert_string_equal(engine_try(e, "ResetActivity", &request.base), "OK");
    assert_true(beat(e, task)->activity_reset);
    assert_string_equal(engine_activity_fail(e, task, "E", false), "OK");
    engine_pass(e, 10 * SECOND);
    task = engine_next_activity(e, "q");
    assert_int_equal(task->attempt, 2);
    assert_null(task->heartbeat_details);
    assert_false(beat(e, task)->activity_reset);
}

/* keep_paused resets the attempts only; without it the activity is unpaused. */
static void test_reset_paused(void **state)
{
    struct engine *e = *state;
    engine_activity_fail(e, engine_next_activity(e, "q"), "E", false);
    assert_string_equal(pause(e, "a"), "OK");
    FloApi__ResetActivityRequest request = reset_of(e, "a");
    request.keep_paused = true;
    assert_string_equal(engine_try(e, "ResetActivity", &request.base), "OK");
    assert_state(e, "PAUSED");
    assert_int_equal(pending(e, 0)->attempt, 1);
    request.keep_paused = false;
    assert_string_equal(engine_try(e, "ResetActivity", &request.base), "OK");
    assert_state(e, "SCHEDULED");
    assert_int_equal(engine_next_activity(e, "q")->attempt, 1);
}

static const char *update(struct engine *e, const char *id, const char *path,
                          FloApi__ActivityOptions *options, FloApi__ActivityOptions **out)
{
    FloApi__UpdateActivityOptionsRequest request = FLO_API__UPDATE_ACTIVITY_OPTIONS_REQUEST__INIT;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    char *paths[] = {(char *)path};
    mask.paths = paths;
    mask.n_paths = 1;
    request.namespace_ = (char *)"default";
    request.execution = engine_run(e, "wf", "");
    request.activity_case = FLO_API__UPDATE_ACTIVITY_OPTIONS_REQUEST__ACTIVITY_ID;
    request.id = (char *)id;
    request.activity_options = options;
    request.update_mask = path ? &mask : NULL;
    request.restore_original = !path;
    uint64_t call = engine_call(e, "UpdateActivityOptions", &request.base, 0);
    const char *outcome = engine_outcome(e, call);
    if (out && !strcmp(outcome, "OK"))
        *out = ((FloApi__UpdateActivityOptionsResponse *)engine_body(e, call))->activity_options;
    return outcome;
}

/* Another queue is another queue at once, and back; the other options are as they were. */
static void test_update_moves_to_another_queue(void **state)
{
    struct engine *e = *state;
    FloApi__ActivityOptions options = FLO_API__ACTIVITY_OPTIONS__INIT, *out = NULL;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    queue.name = (char *)"elsewhere";
    options.task_queue = &queue;
    assert_string_equal(update(e, "a", "task_queue.name", &options, &out), "OK");
    assert_string_equal(out->task_queue->name, "elsewhere");
    assert_int_equal(out->heartbeat_timeout->seconds, 5);
    assert_nothing(e, "q");
    assert_string_equal(update(e, "a", NULL, NULL, &out), "OK");
    assert_string_equal(out->task_queue->name, "q");
    assert_nothing(e, "elsewhere");
    engine_next_activity(e, "q");
}

/* A shorter timeout counts for the attempt that runs; the policy for what comes then. */
static void test_update_counts_for_a_running_attempt(void **state)
{
    struct engine *e = *state;
    FloApi__ActivityOptions options = FLO_API__ACTIVITY_OPTIONS__INIT;
    FloApi__RetryPolicy policy = FLO_API__RETRY_POLICY__INIT;
    engine_next_activity(e, "q");
    options.start_to_close_timeout = engine_duration(e, 2 * SECOND);
    policy.initial_interval = engine_duration(e, SECOND);
    options.retry_policy = &policy;
    assert_string_equal(update(e, "a", "startToCloseTimeout", &options, NULL), "OK");
    assert_string_equal(update(e, "a", "retryPolicy.initialInterval", &options, NULL), "OK");
    engine_pass(e, 2 * SECOND + FLO_NS_PER_MS);
    assert_nothing(e, "q");
    engine_restart(e);
    engine_pass(e, SECOND);
    FloApi__PollActivityTaskQueueResponse *task = engine_next_activity(e, "q");
    assert_int_equal(task->attempt, 2);
    assert_int_equal(task->retry_policy->initial_interval->seconds, 1);
}

/* What makes no sense is refused, and changes nothing. */
static void test_refusals(void **state)
{
    struct engine *e = *state;
    FloApi__ActivityOptions options = FLO_API__ACTIVITY_OPTIONS__INIT;
    FloApi__UnpauseActivityRequest nothing = unpause_of(e, "a");
    nothing.activity_case = FLO_API__UNPAUSE_ACTIVITY_REQUEST__ACTIVITY__NOT_SET;
    assert_string_equal(engine_try(e, "UnpauseActivity", &nothing.base),
                        "INVALID_ARGUMENT | Either Activity.Id or Activity.Type should be set on "
                        "request.");
    assert_string_equal(pause(e, "x"), NONE);
    assert_string_equal(unpause(e, "x"), NONE);
    assert_string_equal(update(e, "x", "startToCloseTimeout", &options, NULL), NONE);
    assert_string_equal(update(e, "a", "taskQueue.name", &options, NULL),
                        "INVALID_ARGUMENT | TaskQueue is not provided");
    assert_string_equal(update(e, "a", "retry_policy.maximum_attempts", &options, NULL),
                        "INVALID_ARGUMENT | RetryPolicy is not provided");
    assert_string_equal(update(e, "b", "startToCloseTimeout", &options, NULL),
                        "INVALID_ARGUMENT | A valid StartToClose or ScheduleToCloseTimeout is not "
                        "set on ScheduleActivityTaskCommand. ActivityId=b ActivityType=A");
    engine_terminate(e, "wf");
    assert_string_equal(pause(e, "a"), "NOT_FOUND | workflow execution already completed | "
                                       "NotFoundFailure");
}

/* All of a run at once, and what a search finds of it. */
static void test_all_at_once(void **state)
{
    struct engine *e = *state;
    FloApi__UnpauseActivityRequest unpause_all = unpause_of(e, "");
    FloApi__ResetActivityRequest reset_all = reset_of(e, "");
    assert_string_equal(pause(e, "a"), "OK");
    assert_string_equal(pause(e, "b"), "OK");
    unpause_all.activity_case = FLO_API__UNPAUSE_ACTIVITY_REQUEST__ACTIVITY_UNPAUSE_ALL;
    unpause_all.unpause_all = true;
    assert_string_equal(engine_try(e, "UnpauseActivity", &unpause_all.base), "OK");
    assert_false(pending(e, 0)->paused);
    assert_false(pending(e, 1)->paused);
    reset_all.activity_case = FLO_API__RESET_ACTIVITY_REQUEST__ACTIVITY_MATCH_ALL;
    reset_all.match_all = false;
    assert_string_equal(engine_try(e, "ResetActivity", &reset_all.base), NONE); /* all: false */
    reset_all.match_all = true;
    assert_string_equal(engine_try(e, "ResetActivity", &reset_all.base), "OK");
    engine_next_activity(e, "q");
    engine_next_activity(e, "other");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pause_waiting_is_not_given_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pause_survives_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pause_running_lets_the_attempt_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pause_keeps_what_no_policy_would_retry, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_unpause_with_resets_and_jitter, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_cuts_a_backoff, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_running_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_paused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_update_moves_to_another_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_update_counts_for_a_running_attempt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_at_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
