/* SPDX-License-Identifier: Apache-2.0 */
/* test_activity.c - activities: retries, the four timeouts, heartbeats, cancellation, calls by id.
 */
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/engine_worker.h"

#define GONE                                                                                       \
    "NOT_FOUND | invalid activityID or activity already timed out or invoking workflow is "        \
    "completed | NotFoundFailure"
#define SECOND FLO_NS_PER_S
#define MOMENT FLO_NS_PER_MS

static int setup(void **state)
{
    *state = engine_new(1);
    engine_start(*state, "wf", "q");
    return 0;
}

static int teardown(void **state)
{
    engine_free(*state);
    return 0;
}

/* The history from the event `from` on. */
static const char *history_from(struct engine *e, const char *from)
{
    const char *at = strstr(engine_history(e, "wf"), from);
    return at ? at : engine_history(e, "wf");
}

/* Attempts that are retried leave no events; the last one carries the failure before it. */
static void test_retried_activity_writes_only_its_last_attempt(void **state)
{
    struct engine *e = *state;
    FloApi__Command *a = engine_cmd_activity(e, "a", "q");
    engine_policy_of(e, a)->initial_interval = engine_duration(e, SECOND / 10);
    engine_respond_poll(e, "q", a, NULL);
    for (int attempt = 1; attempt <= 2; attempt++) {
        FloApi__PollActivityTaskQueueResponse *task = engine_next_activity(e, "q");
        assert_int_equal(task->attempt, attempt);
        assert_string_equal(engine_activity_fail(e, task, "E", false), "OK");
        assert_string_equal(engine_activity_done(e, task), GONE);
        uint64_t poll = engine_poll_activity(e, "q");
        assert_null(engine_reply(e, poll));
        flo_core_cancel_call(e->core, poll);
        engine_pass(e, attempt * SECOND / 10);
    }
    FloApi__PollActivityTaskQueueResponse *task = engine_next_activity(e, "q");
    assert_int_equal(task->attempt, 3);
    assert_string_equal(engine_activity_done(e, task), "OK");
    assert_string_equal(engine_activity_done(e, task), GONE);
    assert_string_equal(
        history_from(e, "6 "),
        "6 ACTIVITY_TASK_STARTED scheduled_event_id=5 attempt=3 last_failure(message=bad "
        "application_failure_info(type=E))\n"
        "7 ACTIVITY_TASK_COMPLETED result=1 scheduled_event_id=5 started_event_id=6\n"
        "8 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s attempt=1\n");
}

/* What ends the retries says why. */
static void test_failed_activity_says_why_it_is_not_retried(void **state)
{
    struct engine *e = *state;
    FloApi__Command *a = engine_cmd_activity(e, "a", "q");
    FloApi__Command *c = engine_cmd_activity(e, "c", "q");
    char *listed[] = {"E"};
    engine_policy_of(e, a)->maximum_attempts = 1;
    engine_policy_of(e, c)->non_retryable_error_types = listed;
    engine_policy_of(e, c)->n_non_retryable_error_types = 1;
    engine_respond_poll(e, "q", a, engine_cmd_activity(e, "b", "q"), c, NULL);
    for (int i = 0; i < 3; i++) {
        FloApi__PollActivityTaskQueueResponse *task = engine_next_activity(e, "q");
        engine_activity_fail(e, task, "E", !strcmp(task->activity_id, "b"));
    }
    assert_string_equal(
        history_from(e, "8 "),
        "8 ACTIVITY_TASK_STARTED scheduled_event_id=5 attempt=1\n"
        "9 ACTIVITY_TASK_FAILED failure(message=bad application_failure_info(type=E)) "
        "scheduled_event_id=5 started_event_id=8 retry_state=RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED\n"
        "10 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s attempt=1\n"
        "11 ACTIVITY_TASK_STARTED scheduled_event_id=6 attempt=1\n"
        "12 ACTIVITY_TASK_FAILED failure(message=bad application_failure_info(type=E "
        "non_retryable=True)) scheduled_event_id=6 started_event_id=11 "
        "retry_state=RETRY_STATE_NON_RETRYABLE_FAILURE\n"
        "13 ACTIVITY_TASK_STARTED scheduled_event_id=7 attempt=1\n"
        "14 ACTIVITY_TASK_FAILED failure(message=bad application_failure_info(type=E)) "
        "scheduled_event_id=7 started_event_id=13 retry_state=RETRY_STATE_NON_RETRYABLE_FAILURE\n");
}

/* Schedule-to-start, while nobody takes it. */
static void test_schedule_to_start_timeout(void **state)
{
    struct engine *e = *state;
    FloApi__Command *a = engine_cmd_activity(e, "a", "q");
    engine_activity_of(a)->schedule_to_start_timeout = engine_duration(e, SECOND);
    engine_respond_poll(e, "q", a, NULL);
    engine_pass(e, SECOND + MOMENT);
    assert_string_equal(
        history_from(e, "6 "),
        "6 ACTIVITY_TASK_TIMED_OUT failure(message=activity ScheduleToStart timeout source=Server "
        "timeout_failure_info(timeout_type=TIMEOUT_TYPE_SCHEDULE_TO_START)) scheduled_event_id=5 "
        "retry_state=RETRY_STATE_NON_RETRYABLE_FAILURE\n"
        "7 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s attempt=1\n");
    uint64_t poll = engine_poll_activity(e, "q");
    assert_null(engine_reply(e, poll));
}

/* Schedule-to-close, over all attempts. */
static void test_schedule_to_close_timeout(void **state)
{
    struct engine *e = *state;
    FloApi__Command *a = engine_cmd_activity(e, "a", "q");
    engine_activity_of(a)->schedule_to_close_timeout = engine_duration(e, SECOND);
    engine_respond_poll(e, "q", a, NULL);
    engine_pass(e, SECOND / 2);
    FloApi__PollActivityTaskQueueResponse *task = engine_next_activity(e, "q");
    engine_pass(e, SECOND / 2 + MOMENT);
    assert_string_equal(engine_activity_done(e, task), GONE);
    assert_string_equal(
        history_from(e, "6 "),
        "6 ACTIVITY_TASK_STARTED scheduled_event_id=5 attempt=1\n"
        "7 ACTIVITY_TASK_TIMED_OUT failure(message=activity ScheduleToClose timeout source=Server "
        "timeout_failure_info(timeout_type=TIMEOUT_TYPE_SCHEDULE_TO_CLOSE)) scheduled_event_id=5 "
        "started_event_id=6 retry_state=RETRY_STATE_NON_RETRYABLE_FAILURE\n"
        "8 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s attempt=1\n");
}

/* No time for the next attempt: the failure stands, with the reason. */
static void test_failure_without_time_for_a_retry(void **state)
{
    struct engine *e = *state;
    FloApi__Command *a = engine_cmd_activity(e, "a", "q");
    engine_activity_of(a)->schedule_to_close_timeout = engine_duration(e, 2 * SECOND);
    engine_policy_of(e, a)->initial_interval = engine_duration(e, 5 * SECOND);
    engine_respond_poll(e, "q", a, NULL);
    engine_activity_fail(e, engine_next_activity(e, "q"), "E", false);
    assert_non_null(strstr(engine_history(e, "wf"), "retry_state=RETRY_STATE_TIMEOUT"));
}

/* A heartbeat keeps an activity alive; without one it times out with the last details. */
static void test_heartbeat_timeout_carries_last_details(void **state)
{
    struct engine *e = *state;
    FloApi__Command *a = engine_cmd_activity(e, "a", "q");
    engine_activity_of(a)->heartbeat_timeout = engine_duration(e, SECOND);
    engine_policy_of(e, a)->maximum_attempts = 1;
    engine_respond_poll(e, "q", a, NULL);
    FloApi__PollActivityTaskQueueResponse *task = engine_next_activity(e, "q");
    for (int i = 0; i < 3; i++) {
        engine_pass(e, SECOND * 9 / 10);
        assert_string_equal(engine_heartbeat(e, task, "7"), "OK");
    }
    engine_pass(e, SECOND + MOMENT);
    assert_string_equal(engine_heartbeat(e, task, "8"), GONE);
    assert_non_null(strstr(engine_history(e, "wf"),
                           "7 ACTIVITY_TASK_TIMED_OUT failure(message=activity Heartbeat timeout "
                           "source=Server timeout_failure_info(timeout_type=TIMEOUT_TYPE_HEARTBEAT "
                           "last_heartbeat_details=7)) scheduled_event_id=5 started_event_id=6 "
                           "retry_state=RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED"));
}

/* A start-to-close timeout is retried, and the next attempt gets the details of the last. */
static void test_start_to_close_timeout_is_retried_with_details(void **state)
{
    struct engine *e = *state;
    engine_respond_poll(e, "q", engine_cmd_activity(e, "a", "q"), NULL);
    FloApi__PollActivityTaskQueueResponse *task = engine_next_activity(e, "q");
    engine_heartbeat(e, task, "42");
    engine_pass(e, 5 * SECOND + MOMENT);
    assert_string_equal(engine_activity_done(e, task), GONE);
    engine_pass(e, SECOND);
    task = engine_next_activity(e, "q");
    assert_int_equal(task->attempt, 2);
    assert_non_null(task->heartbeat_details);
    assert_memory_equal(task->heartbeat_details->payloads[0]->data.data, "42", 2);
    engine_activity_done(e, task);
    assert_non_null(strstr(engine_history(e, "wf"),
                           "6 ACTIVITY_TASK_STARTED scheduled_event_id=5 attempt=2 "
                           "last_failure(message=activity StartToClose timeout source=Server"));
}

/* One that is not started is cancelled at once, behind the commands; a started one is asked.
 */
static void test_cancel_activities(void **state)
{
    struct engine *e = *state;
    engine_respond_poll(e, "q", engine_cmd_activity(e, "a", "q"), engine_cmd_activity(e, "b", "q"),
                        NULL);
    FloApi__PollActivityTaskQueueResponse *task = engine_next_activity(e, "q");
    assert_string_equal(engine_activity_canceled(e, task),
                        "INVALID_ARGUMENT | unable to mark activity as canceled without activity "
                        "being request canceled first");
    engine_signal(e, "wf", "sg");
    FloApi__PollWorkflowTaskQueueResponse *next = engine_next_task(e, "q");
    engine_respond(e, next, NULL, engine_cmd_cancel_activity(e, 5),
                   engine_cmd_cancel_activity(e, 6), engine_cmd_timer(e, "x", 50 * SECOND), NULL);
    assert_string_equal(engine_heartbeat(e, task, "1"), "OK cancel");
    assert_string_equal(engine_activity_canceled(e, task), "OK");
    assert_string_equal(
        history_from(e, "11 "),
        "11 ACTIVITY_TASK_CANCEL_REQUESTED scheduled_event_id=5 "
        "workflow_task_completed_event_id=10\n"
        "12 ACTIVITY_TASK_CANCEL_REQUESTED scheduled_event_id=6 "
        "workflow_task_completed_event_id=10\n"
        "13 TIMER_STARTED timer_id=x start_to_fire_timeout=50s "
        "workflow_task_completed_event_id=10\n"
        "14 ACTIVITY_TASK_CANCELED (earlier) details=\"ACTIVITY_ID_NOT_STARTED\" "
        "latest_cancel_requested_event_id=12 scheduled_event_id=6\n"
        "15 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s attempt=1\n"
        "16 ACTIVITY_TASK_STARTED (earlier) scheduled_event_id=5 attempt=1\n"
        "17 ACTIVITY_TASK_CANCELED details=9 latest_cancel_requested_event_id=11 "
        "scheduled_event_id=5 started_event_id=16\n");
}

/* Calls by id: unknown ones are told apart, one that is not started can be completed. */
static void test_calls_by_id(void **state)
{
    struct engine *e = *state;
    engine_respond_poll(e, "q", engine_cmd_activity(e, "a", "q"), NULL);
    FloApi__RespondActivityTaskCompletedByIdRequest done =
        FLO_API__RESPOND_ACTIVITY_TASK_COMPLETED_BY_ID_REQUEST__INIT;
    done.namespace_ = "default";
    done.workflow_id = "wf";
    done.activity_id = "zz";
    assert_string_equal(
        engine_try(e, "RespondActivityTaskCompletedById", &done.base),
        "NOT_FOUND | cannot find pending activity with ActivityID zz, check workflow execution "
        "history for more details | NotFoundFailure");
    FloApi__RecordActivityTaskHeartbeatByIdRequest heartbeat =
        FLO_API__RECORD_ACTIVITY_TASK_HEARTBEAT_BY_ID_REQUEST__INIT;
    heartbeat.namespace_ = "default";
    heartbeat.workflow_id = "wf";
    heartbeat.activity_id = "a";
    assert_string_equal(engine_try(e, "RecordActivityTaskHeartbeatById", &heartbeat.base), GONE);
    done.activity_id = "a";
    done.result = engine_payloads(e, "3");
    assert_string_equal(engine_try(e, "RespondActivityTaskCompletedById", &done.base), "OK");
    assert_string_equal(
        history_from(e, "6 "),
        "6 ACTIVITY_TASK_STARTED scheduled_event_id=5 attempt=1\n"
        "7 ACTIVITY_TASK_COMPLETED result=3 scheduled_event_id=5 started_event_id=6\n"
        "8 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s attempt=1\n");
    engine_terminate(e, "wf");
    assert_string_equal(engine_try(e, "RespondActivityTaskCompletedById", &done.base),
                        "NOT_FOUND | workflow execution already completed | NotFoundFailure");
}

/* After the run has closed its activities hear of it. */
static void test_closed_run_refuses_its_activities(void **state)
{
    struct engine *e = *state;
    engine_respond_poll(e, "q", engine_cmd_activity(e, "a", "q"), engine_cmd_activity(e, "b", "q"),
                        NULL);
    FloApi__PollActivityTaskQueueResponse *task = engine_next_activity(e, "q");
    engine_terminate(e, "wf");
    assert_string_equal(engine_heartbeat(e, task, "1"),
                        "NOT_FOUND | workflow execution already completed | NotFoundFailure");
    uint64_t poll = engine_poll_activity(e, "q");
    assert_null(engine_reply(e, poll)); /* b left its queue */
}

/* Eager: the activity comes with the answer to the completion. */
static void test_eager_activity(void **state)
{
    struct engine *e = *state;
    FloApi__Command *a = engine_cmd_activity(e, "a", "q");
    engine_activity_of(a)->request_eager_execution = true;
    FloApi__RespondWorkflowTaskCompletedRequest *request =
        engine_completion(e, engine_next_task(e, "q"));
    engine_add_command(e, request, a);
    FloApi__RespondWorkflowTaskCompletedResponse *response =
        engine_do(e, "RespondWorkflowTaskCompleted", &request->base);
    assert_int_equal(response->n_activity_tasks, 1);
    assert_int_equal(response->activity_tasks[0]->attempt, 1);
    assert_string_equal(engine_activity_done(e, response->activity_tasks[0]), "OK");
    assert_string_equal(
        history_from(e, "6 "),
        "6 ACTIVITY_TASK_STARTED scheduled_event_id=5 attempt=1\n"
        "7 ACTIVITY_TASK_COMPLETED result=1 scheduled_event_id=5 started_event_id=6\n"
        "8 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s attempt=1\n");
}

/* A result too large to keep fails the activity for good. */
static void test_too_large_result_fails_the_activity(void **state)
{
    struct engine *e = *state;
    engine_respond_poll(e, "q", engine_cmd_activity(e, "a", "q"), NULL);
    FloApi__PollActivityTaskQueueResponse *task = engine_next_activity(e, "q");
    char *big = flo_arena_alloc(&e->arena, (2 << 20) + 1);
    memset(big, '1', 2 << 20);
    big[2 << 20] = '\0';
    FloApi__RespondActivityTaskCompletedRequest request =
        FLO_API__RESPOND_ACTIVITY_TASK_COMPLETED_REQUEST__INIT;
    request.task_token = task->task_token;
    request.result = engine_payloads(e, big);
    assert_string_equal(engine_try(e, "RespondActivityTaskCompleted", &request.base), "OK");
    assert_non_null(strstr(engine_history(e, "wf"),
                           "7 ACTIVITY_TASK_FAILED failure(message=Complete result exceeds size "
                           "limit. server_failure_info(non_retryable=True))"));
}

/* A poll waits for the commit that scheduled the activity, the last attempt for its own start. */
static void test_poll_waits_for_the_right_commit(void **state)
{
    struct engine *e = *state;
    FloApi__Command *once = engine_cmd_activity(e, "once", "q2");
    engine_policy_of(e, once)->maximum_attempts = 1;
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    e->auto_commit = false;
    engine_respond(e, task, NULL, engine_cmd_activity(e, "often", "q"), once, NULL);
    uint64_t often = engine_poll_activity(e, "q");
    uint64_t scheduling = engine_commit(e);
    uint64_t last = engine_poll_activity(e, "q2");
    assert_int_equal(engine_reply(e, often)->after, scheduling);
    assert_int_equal(engine_reply(e, last)->after, scheduling + 1);
    assert_true(flo_core_wants_commit(e->core));
    e->auto_commit = true;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_retried_activity_writes_only_its_last_attempt),
        TEST(test_failed_activity_says_why_it_is_not_retried),
        TEST(test_schedule_to_start_timeout),
        TEST(test_schedule_to_close_timeout),
        TEST(test_failure_without_time_for_a_retry),
        TEST(test_heartbeat_timeout_carries_last_details),
        TEST(test_start_to_close_timeout_is_retried_with_details),
        TEST(test_cancel_activities),
        TEST(test_calls_by_id),
        TEST(test_closed_run_refuses_its_activities),
        TEST(test_eager_activity),
        TEST(test_too_large_result_fails_the_activity),
        TEST(test_poll_waits_for_the_right_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
