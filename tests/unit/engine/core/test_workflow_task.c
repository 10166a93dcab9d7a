/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_workflow_task.c - workflow tasks: attempts, transient and sticky tasks, timeouts, the
 * buffer. The transcripts were recorded from a real server. (Events of one moment lie nanoseconds
 * apart, hence the odd millisecond.)
 */
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/engine_worker.h"

#define STARTED                                                                                    \
    "1 WORKFLOW_EXECUTION_STARTED workflow_type(name=T) task_queue=NORMAL "                        \
    "workflow_task_timeout=10s attempt=1 first_workflow_task_backoff=0s\n"
#define TASK_1                                                                                     \
    "2 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s attempt=1\n"           \
    "3 WORKFLOW_TASK_STARTED scheduled_event_id=2\n"

static int setup(void **state)
{
    *state = engine_new(1);
    return 0;
}

static int teardown(void **state)
{
    engine_free(*state);
    return 0;
}

/* Start, activity, close, with a sticky worker. */
static void test_echo(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    assert_string_equal(engine_task_line(e, task), "prev=0 started=3 attempt=1 events=1-3");
    uint64_t sticky = engine_poll_sticky(e, "q");
    assert_string_equal(engine_respond(e, task, "q", engine_cmd_activity(e, "5", "q"), NULL), "OK");
    FloApi__PollActivityTaskQueueResponse *activity = engine_next_activity(e, "q");
    assert_string_equal(engine_text(e, &activity->retry_policy->base),
                        "initial_interval=1s backoff_coefficient=2.0 maximum_interval=100s");
    assert_int_equal(activity->attempt, 1);
    assert_string_equal(engine_activity_done(e, activity), "OK");
    assert_string_equal(engine_task_text(e, sticky), "prev=3 started=9 attempt=1 events=4-9");
    task = engine_task(e, sticky);
    assert_string_equal(engine_respond(e, task, "q", engine_cmd_complete(e), NULL), "OK");
    assert_string_equal(
        engine_history(e, "wf"), STARTED TASK_1
        "4 WORKFLOW_TASK_COMPLETED scheduled_event_id=2 started_event_id=3\n"
        "5 ACTIVITY_TASK_SCHEDULED activity_id=5 activity_type(name=A) task_queue=NORMAL input=1 "
        "schedule_to_close_timeout=0s schedule_to_start_timeout=0s start_to_close_timeout=5s "
        "heartbeat_timeout=0s workflow_task_completed_event_id=4 retry_policy(initial_interval=1s "
        "backoff_coefficient=2.0 maximum_interval=100s)\n"
        "6 ACTIVITY_TASK_STARTED scheduled_event_id=5 attempt=1\n"
        "7 ACTIVITY_TASK_COMPLETED result=1 scheduled_event_id=5 started_event_id=6\n"
        "8 WORKFLOW_TASK_SCHEDULED task_queue=STICKY start_to_close_timeout=10s attempt=1\n"
        "9 WORKFLOW_TASK_STARTED scheduled_event_id=8\n"
        "10 WORKFLOW_TASK_COMPLETED scheduled_event_id=8 started_event_id=9\n"
        "11 WORKFLOW_EXECUTION_COMPLETED result=\"r\" workflow_task_completed_event_id=10\n");
}

/* A sticky task that its worker fails is tried again on the normal queue, attempt 1. */
static void test_sticky_task_failed_goes_to_normal_queue(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    uint64_t sticky = engine_poll_sticky(e, "q");
    engine_respond(e, task, "q", engine_cmd_timer(e, "1", FLO_NS_PER_S), NULL);
    engine_pass(e, FLO_NS_PER_S);
    assert_string_equal(engine_task_text(e, sticky), "prev=3 started=8 attempt=1 events=4-8");
    assert_string_equal(engine_fail_task(e, engine_task(e, sticky)), "OK");
    task = engine_next_task(e, "q");
    assert_string_equal(engine_task_line(e, task), "prev=3 started=11 attempt=1 events=1-11");
    assert_string_equal(engine_event_names(e, "wf"),
                        "1 EXECUTION_STARTED, 2 TASK_SCHEDULED, 3 TASK_STARTED, 4 TASK_COMPLETED, "
                        "5 TIMER_STARTED, 6 TIMER_FIRED, 7 TASK_SCHEDULED, 8 TASK_STARTED, "
                        "9 TASK_FAILED, 10 TASK_SCHEDULED, 11 TASK_STARTED");
}

/* Later attempts are only shown; the one that succeeds is written. */
static void test_failing_task_is_transient_from_attempt_2(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    engine_fail_task(e, engine_next_task(e, "q"));
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    assert_string_equal(engine_task_line(e, task), "prev=0 started=6 attempt=2 events=1-6");
    engine_fail_task(e, task);
    task = engine_next_task(e, "q");
    assert_string_equal(engine_task_line(e, task), "prev=0 started=6 attempt=3 events=1-6");
    assert_string_equal(engine_event_names(e, "wf"),
                        "1 EXECUTION_STARTED, 2 TASK_SCHEDULED, 3 TASK_STARTED, 4 TASK_FAILED");
    engine_respond(e, task, NULL, engine_cmd_complete(e), NULL);
    assert_string_equal(
        engine_history(e, "wf"), STARTED TASK_1
        "4 WORKFLOW_TASK_FAILED scheduled_event_id=2 started_event_id=3 "
        "cause=WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE failure(message=oops)\n"
        "5 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s attempt=3\n"
        "6 WORKFLOW_TASK_STARTED scheduled_event_id=5\n"
        "7 WORKFLOW_TASK_COMPLETED scheduled_event_id=5 started_event_id=6\n"
        "8 WORKFLOW_EXECUTION_COMPLETED result=\"r\" workflow_task_completed_event_id=7\n");
}

/* What is written between two attempts makes the next one a first one again. */
static void test_signal_between_attempts_restarts_counting(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    engine_fail_task(e, engine_next_task(e, "q"));
    engine_signal(e, "wf", "sg");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    assert_string_equal(engine_task_line(e, task), "prev=0 started=7 attempt=1 events=1-7");
    engine_fail_task(e, task);
    task = engine_next_task(e, "q");
    assert_string_equal(engine_task_line(e, task), "prev=0 started=10 attempt=2 events=1-10");
    engine_signal(e, "wf", "sg");
    engine_respond(e, task, NULL, NULL);
    task = engine_next_task(e, "q");
    assert_string_equal(engine_task_line(e, task), "prev=10 started=14 attempt=1 events=1-14");
    assert_string_equal(
        engine_event_names(e, "wf"),
        "1 EXECUTION_STARTED, 2 TASK_SCHEDULED, 3 TASK_STARTED, 4 TASK_FAILED, "
        "5 EXECUTION_SIGNALED, 6 TASK_SCHEDULED, 7 TASK_STARTED, 8 TASK_FAILED, 9 TASK_SCHEDULED, "
        "10 TASK_STARTED, 11 TASK_COMPLETED, 12 EXECUTION_SIGNALED, 13 TASK_SCHEDULED, "
        "14 TASK_STARTED");
}

/* Attempts from the fourth on get more and more time: at the fourth 5 s, of which a fifth varies.
 */
static void test_later_attempts_get_more_time(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct engine *e = engine_new(seed);
        engine_start(e, "wf", "q");
        for (int attempt = 1; attempt <= 3; attempt++)
            engine_fail_task(e, engine_next_task(e, "q"));
        FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
        assert_int_equal(task->attempt, 4);
        engine_pass(e, 10 * FLO_NS_PER_S + 4 * FLO_NS_PER_S - FLO_NS_PER_MS);
        assert_string_equal(engine_task_text(e, engine_poll(e, "q")), "waits");
        engine_pass(e, FLO_NS_PER_S + 2 * FLO_NS_PER_MS);
        assert_string_equal(engine_respond(e, task, NULL, NULL),
                            "NOT_FOUND | Workflow task not found. | NotFoundFailure");
        engine_free(e);
    }
}

/* A task that times out: what waited follows, and the next attempt is a first one. */
static void test_timed_out_task_flushes_the_buffer(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__PollWorkflowTaskQueueResponse *late = engine_next_task(e, "q");
    engine_signal(e, "wf", "sg");
    uint64_t poll = engine_poll(e, "q");
    engine_pass(e, 10 * FLO_NS_PER_S + FLO_NS_PER_MS);
    assert_string_equal(engine_task_text(e, poll), "prev=0 started=7 attempt=1 events=1-7");
    assert_string_equal(engine_respond(e, late, NULL, engine_cmd_complete(e), NULL),
                        "NOT_FOUND | Workflow task not found. | NotFoundFailure");
    engine_respond(e, engine_task(e, poll), NULL, engine_cmd_complete(e), NULL);
    assert_string_equal(
        engine_history(e, "wf"), STARTED TASK_1
        "4 WORKFLOW_TASK_TIMED_OUT scheduled_event_id=2 started_event_id=3 "
        "timeout_type=TIMEOUT_TYPE_START_TO_CLOSE\n"
        "5 WORKFLOW_EXECUTION_SIGNALED (earlier) signal_name=sg\n"
        "6 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s attempt=1\n"
        "7 WORKFLOW_TASK_STARTED scheduled_event_id=6\n"
        "8 WORKFLOW_TASK_COMPLETED scheduled_event_id=6 started_event_id=7\n"
        "9 WORKFLOW_EXECUTION_COMPLETED result=\"r\" workflow_task_completed_event_id=8\n");
}

/* Closing while something waits is refused, and then nothing new may come in its way. */
static void test_close_with_buffered_events_is_unhandled(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    engine_signal(e, "wf", "sg");
    assert_string_equal(engine_respond(e, task, "q", engine_cmd_complete(e), NULL),
                        "INVALID_ARGUMENT | UnhandledCommand");
    task = engine_next_task(e, "q");
    FloApi__SignalWorkflowExecutionRequest signal =
        FLO_API__SIGNAL_WORKFLOW_EXECUTION_REQUEST__INIT;
    signal.namespace_ = "default";
    signal.workflow_execution = engine_run(e, "wf", NULL);
    signal.signal_name = "s2";
    assert_string_equal(engine_try(e, "SignalWorkflowExecution", &signal.base),
                        "RESOURCE_EXHAUSTED | workflow operation can not be applied because "
                        "workflow is closing | ResourceExhaustedFailure");
    assert_string_equal(engine_respond(e, task, NULL, engine_cmd_complete(e), NULL), "OK");
    assert_string_equal(
        engine_history(e, "wf"), STARTED TASK_1
        "4 WORKFLOW_TASK_FAILED scheduled_event_id=2 started_event_id=3 "
        "cause=WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND failure(message=UnhandledCommand "
        "server_failure_info())\n"
        "5 WORKFLOW_EXECUTION_SIGNALED (earlier) signal_name=sg\n"
        "6 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s attempt=1\n"
        "7 WORKFLOW_TASK_STARTED scheduled_event_id=6\n"
        "8 WORKFLOW_TASK_COMPLETED scheduled_event_id=6 started_event_id=7\n"
        "9 WORKFLOW_EXECUTION_COMPLETED result=\"r\" workflow_task_completed_event_id=8\n");
}

/* Nobody takes a sticky task: after its timeout it goes to the normal queue. */
static void test_sticky_worker_gone_times_out(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    uint64_t sticky = engine_poll_sticky(e, "q");
    engine_respond(e, task, "q", engine_cmd_timer(e, "1", 4 * FLO_NS_PER_S), NULL);
    flo_core_cancel_call(e->core, sticky);
    engine_pass(e, 4 * FLO_NS_PER_S);
    uint64_t poll = engine_poll(e, "q");
    assert_string_equal(engine_task_text(e, poll), "waits");
    engine_pass(e, 5 * FLO_NS_PER_S + FLO_NS_PER_MS); /* the sticky timeout of engine_stick */
    assert_string_equal(engine_task_text(e, poll), "prev=3 started=10 attempt=1 events=1-10");
    assert_non_null(strstr(engine_history(e, "wf"),
                           "7 WORKFLOW_TASK_SCHEDULED task_queue=STICKY "
                           "start_to_close_timeout=10s attempt=1\n"
                           "8 WORKFLOW_TASK_TIMED_OUT scheduled_event_id=7 "
                           "timeout_type=TIMEOUT_TYPE_SCHEDULE_TO_START\n"
                           "9 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL "
                           "start_to_close_timeout=10s attempt=1\n"));
}

/* What came while a task was out follows the commands, ends of activities last. */
static void test_buffered_events_follow_the_commands(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    engine_respond_poll(e, "q", engine_cmd_activity(e, "a", "q"), engine_cmd_activity(e, "b", "q"),
                        NULL);
    FloApi__PollActivityTaskQueueResponse *a = engine_next_activity(e, "q");
    FloApi__PollActivityTaskQueueResponse *b = engine_next_activity(e, "q");
    engine_signal(e, "wf", "s0");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    engine_pass(e, FLO_NS_PER_MS);
    engine_activity_done(e, b);
    engine_signal(e, "wf", "s1");
    engine_activity_done(e, a);
    assert_non_null(strstr(engine_event_names(e, "wf"), "9 TASK_STARTED"));
    assert_null(strstr(engine_event_names(e, "wf"), "10 "));
    engine_respond(e, task, NULL, engine_cmd_timer(e, "t", 60 * FLO_NS_PER_S), NULL);
    assert_string_equal(strstr(engine_history(e, "wf"), "10 "),
                        "10 WORKFLOW_TASK_COMPLETED scheduled_event_id=8 started_event_id=9\n"
                        "11 TIMER_STARTED timer_id=t start_to_fire_timeout=60s "
                        "workflow_task_completed_event_id=10\n"
                        "12 ACTIVITY_TASK_STARTED (earlier) scheduled_event_id=6 attempt=1\n"
                        "13 WORKFLOW_EXECUTION_SIGNALED signal_name=s1\n"
                        "14 ACTIVITY_TASK_STARTED (earlier) scheduled_event_id=5 attempt=1\n"
                        "15 ACTIVITY_TASK_COMPLETED result=1 scheduled_event_id=6 "
                        "started_event_id=12\n"
                        "16 ACTIVITY_TASK_COMPLETED result=1 scheduled_event_id=5 "
                        "started_event_id=14\n"
                        "17 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s "
                        "attempt=1\n");
}

/* A timer that fired while the task was out and is cancelled by it has not fired. */
static void test_cancelled_timer_takes_its_firing_back(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    engine_respond_poll(e, "q", engine_cmd_timer(e, "t", FLO_NS_PER_S), NULL);
    engine_signal(e, "wf", "sg");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    engine_pass(e, 2 * FLO_NS_PER_S);
    assert_string_equal(engine_respond(e, task, NULL, engine_cmd_cancel_timer(e, "t"),
                                       engine_cmd_complete(e), NULL),
                        "OK");
    assert_string_equal(strstr(engine_history(e, "wf"), "9 "),
                        "9 WORKFLOW_TASK_COMPLETED scheduled_event_id=7 started_event_id=8\n"
                        "10 TIMER_CANCELED timer_id=t started_event_id=5 "
                        "workflow_task_completed_event_id=9\n"
                        "11 WORKFLOW_EXECUTION_COMPLETED result=\"r\" "
                        "workflow_task_completed_event_id=9\n");
}

/* A worker that asks for a new task gets it with the answer. */
static void test_force_create_returns_the_task_inline(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__RespondWorkflowTaskCompletedRequest *request =
        engine_completion(e, engine_next_task(e, "q"));
    engine_stick(e, request, "q");
    request->return_new_workflow_task = true;
    request->force_create_new_workflow_task = true;
    FloApi__RespondWorkflowTaskCompletedResponse *response =
        engine_do(e, "RespondWorkflowTaskCompleted", &request->base);
    assert_non_null(response->workflow_task);
    assert_string_equal(engine_task_line(e, response->workflow_task),
                        "prev=3 started=6 attempt=1 events=4-6");
    assert_string_equal(
        engine_respond(e, response->workflow_task, "q", engine_cmd_complete(e), NULL), "OK");
}

/* A task kept alive for half an hour is taken away. */
static void test_heartbeats_of_a_task_end_after_30_minutes(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    for (int i = 0; i < 360; i++) {
        engine_pass(e, 5 * FLO_NS_PER_S);
        FloApi__RespondWorkflowTaskCompletedRequest *request = engine_completion(e, task);
        request->return_new_workflow_task = true;
        request->force_create_new_workflow_task = true;
        FloApi__RespondWorkflowTaskCompletedResponse *response =
            engine_do(e, "RespondWorkflowTaskCompleted", &request->base);
        task = response->workflow_task;
        assert_non_null(task);
    }
    engine_pass(e, 5 * FLO_NS_PER_S);
    FloApi__RespondWorkflowTaskCompletedRequest *request = engine_completion(e, task);
    request->force_create_new_workflow_task = true;
    assert_string_equal(engine_try(e, "RespondWorkflowTaskCompleted", &request->base),
                        "NOT_FOUND | workflow task heartbeat timeout | NotFoundFailure");
}

/* More than 100 events behind one task: it is taken from its worker. */
static void test_full_buffer_fails_the_task(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    for (int i = 0; i < 100; i++)
        engine_signal(e, "wf", "sg");
    assert_null(strstr(engine_event_names(e, "wf"), "TASK_FAILED"));
    engine_signal(e, "wf", "sg");
    assert_non_null(strstr(engine_event_names(e, "wf"),
                           "4 TASK_FAILED, 5 EXECUTION_SIGNALED, 6 EXECUTION_SIGNALED"));
    assert_non_null(strstr(engine_event_names(e, "wf"), "106 TASK_SCHEDULED"));
    assert_string_equal(engine_respond(e, task, NULL, NULL),
                        "NOT_FOUND | Workflow task not found. | NotFoundFailure");
}

/* Terminating takes a started task away first. */
static void test_terminate_with_a_started_task(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    engine_signal(e, "wf", "sg");
    engine_terminate(e, "wf");
    assert_string_equal(engine_respond(e, task, NULL, engine_cmd_complete(e), NULL),
                        "NOT_FOUND | Workflow task not found. | NotFoundFailure");
    assert_string_equal(engine_history(e, "wf"), STARTED TASK_1
                        "4 WORKFLOW_TASK_FAILED scheduled_event_id=2 started_event_id=3 "
                        "cause=WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND\n"
                        "5 WORKFLOW_EXECUTION_SIGNALED (earlier) signal_name=sg\n"
                        "6 WORKFLOW_EXECUTION_TERMINATED reason=r\n");
}

/* A worker that resets stickiness gets the whole history next time. */
static void test_reset_sticky_moves_a_waiting_task(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    uint64_t sticky = engine_poll_sticky(e, "q");
    engine_respond(e, task, "q", NULL);
    flo_core_cancel_call(e->core, sticky);
    engine_signal(e, "wf", "sg");
    uint64_t poll = engine_poll(e, "q");
    assert_string_equal(engine_task_text(e, poll), "waits");
    FloApi__ResetStickyTaskQueueRequest request = FLO_API__RESET_STICKY_TASK_QUEUE_REQUEST__INIT;
    request.namespace_ = "default";
    request.execution = engine_run(e, "wf", NULL);
    assert_string_equal(engine_try(e, "ResetStickyTaskQueue", &request.base), "OK");
    assert_string_equal(engine_task_text(e, poll), "prev=3 started=7 attempt=1 events=1-7");
    engine_terminate(e, "wf");
    assert_string_equal(engine_try(e, "ResetStickyTaskQueue", &request.base),
                        "NOT_FOUND | workflow execution already completed | NotFoundFailure");
}

/* A long history tells its worker so, and a longer one ends the workflow. */
static void test_long_history_suggests_then_terminates(void **state)
{
    (void)state;
    struct flo_core_options options = {.history_count_suggest = 10, .history_count_limit = 20};
    struct engine *e = engine_new_with(1, &options);
    engine_start(e, "wf", "q");
    for (int i = 0; i < 10; i++)
        engine_signal(e, "wf", "sg");
    engine_respond_poll(e, "q", NULL);
    engine_signal(e, "wf", "sg");
    engine_next_task(e, "q");
    assert_non_null(strstr(engine_history(e, "wf"),
                           "17 WORKFLOW_TASK_STARTED scheduled_event_id=16 "
                           "suggest_continue_as_new=True"));
    for (int i = 0; i < 10; i++)
        engine_signal(e, "wf", "sg");
    engine_pass(e, 10 * FLO_NS_PER_S + FLO_NS_PER_MS);
    assert_non_null(
        strstr(engine_history(e, "wf"), "TERMINATED reason=Workflow history count exceeds limit."));
    engine_free(e);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_echo),
        TEST(test_sticky_task_failed_goes_to_normal_queue),
        TEST(test_failing_task_is_transient_from_attempt_2),
        TEST(test_signal_between_attempts_restarts_counting),
        cmocka_unit_test(test_later_attempts_get_more_time),
        TEST(test_timed_out_task_flushes_the_buffer),
        TEST(test_close_with_buffered_events_is_unhandled),
        TEST(test_sticky_worker_gone_times_out),
        TEST(test_buffered_events_follow_the_commands),
        TEST(test_cancelled_timer_takes_its_firing_back),
        TEST(test_force_create_returns_the_task_inline),
        TEST(test_heartbeats_of_a_task_end_after_30_minutes),
        TEST(test_full_buffer_fails_the_task),
        TEST(test_terminate_with_a_started_task),
        TEST(test_reset_sticky_moves_a_waiting_task),
        cmocka_unit_test(test_long_history_suggests_then_terminates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
