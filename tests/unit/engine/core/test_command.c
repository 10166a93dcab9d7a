/* SPDX-License-Identifier: Apache-2.0 */
/* test_command.c - completions: what is refused and leaves nothing behind, and what commands do. */
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/engine_worker.h"

#define SECOND FLO_NS_PER_S

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

/* The real server's words for bad commands; from attempt 2 on the task is left to time out. */
static void test_bad_commands_are_refused(void **state)
{
    struct engine *e = *state;
    FloApi__Command *no_timeouts = engine_cmd_activity(e, "a", "q");
    engine_activity_of(no_timeouts)->start_to_close_timeout = NULL;
    assert_string_equal(engine_respond_poll(e, "q", no_timeouts, NULL),
                        "INVALID_ARGUMENT | BadScheduleActivityAttributes: A valid StartToClose or "
                        "ScheduleToCloseTimeout is not set on ScheduleActivityTaskCommand. "
                        "ActivityId=a ActivityType=A");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    assert_string_equal(engine_task_line(e, task), "prev=0 started=6 attempt=2 events=1-6");
    assert_string_equal(engine_respond(e, task, NULL, engine_cmd_timer(e, "1", SECOND),
                                       engine_cmd_timer(e, "1", SECOND), NULL),
                        "INVALID_ARGUMENT | StartTimerDuplicateId: invalid history builder state "
                        "for action: add-timer-started-event, TimerID: 1");
    assert_string_equal(
        engine_respond(e, task, NULL, engine_cmd_complete(e), engine_cmd_timer(e, "1", SECOND),
                       NULL),
        "INVALID_ARGUMENT | invalid command sequence: [CompleteWorkflowExecution, StartTimer], "
        "command CompleteWorkflowExecution must be the last command.");
    assert_string_equal(engine_respond(e, task, NULL, engine_cmd_cancel_timer(e, "9"), NULL),
                        "INVALID_ARGUMENT | BadCancelTimerAttributes: invalid history builder "
                        "state for action: add-timer-canceled-event, TimerID: 9");
    FloApi__Command unknown = FLO_API__COMMAND__INIT;
    unknown.command_type = (FloApi__CommandType)4711;
    assert_string_equal(engine_respond(e, task, NULL, &unknown, NULL),
                        "INVALID_ARGUMENT | unknown command type: 4711");
    assert_string_equal(engine_respond(e, task, NULL, engine_cmd_complete(e), NULL), "OK");
}

/* Commands before a bad one have no effect: no event, no activity, no timer. */
static void test_refused_completion_leaves_nothing(void **state)
{
    struct engine *e = *state;
    FloApi__Command *bad = engine_cmd_timer(e, "t", -1);
    assert_string_equal(
        engine_respond_poll(e, "q", engine_cmd_activity(e, "a", "q"),
                            engine_cmd_timer(e, "1", SECOND), engine_cmd_memo(e, "k", "1"),
                            engine_cmd_child(e, "child", 0), bad, NULL),
        "INVALID_ARGUMENT | BadStartTimerAttributes: An invalid StartToFireTimeout is set on "
        "StartTimerCommand: negative duration. TimerId=t");
    assert_string_equal(engine_event_names(e, "wf"),
                        "1 EXECUTION_STARTED, 2 TASK_SCHEDULED, 3 TASK_STARTED, 4 TASK_FAILED");
    assert_null(engine_reply(e, engine_poll_activity(e, "q")));
    engine_pass(e, 2 * SECOND);
    assert_string_equal(engine_event_names(e, "wf"),
                        "1 EXECUTION_STARTED, 2 TASK_SCHEDULED, 3 TASK_STARTED, 4 TASK_FAILED");
    /* Nothing is pending, so the same ids are free. */
    assert_string_equal(engine_respond_poll(e, "q", engine_cmd_activity(e, "a", "q"),
                                            engine_cmd_timer(e, "1", SECOND),
                                            engine_cmd_child(e, "child", 0), NULL),
                        "OK");
}

/* Commands see those before them: an id is free again once it was cancelled. */
static void test_commands_see_earlier_ones(void **state)
{
    struct engine *e = *state;
    engine_respond_poll(e, "q", engine_cmd_timer(e, "1", 60 * SECOND),
                        engine_cmd_activity(e, "a", "q"), NULL);
    engine_signal(e, "wf", "sg");
    assert_string_equal(engine_respond_poll(e, "q", engine_cmd_cancel_timer(e, "1"),
                                            engine_cmd_timer(e, "1", SECOND),
                                            engine_cmd_cancel_activity(e, 6),
                                            engine_cmd_activity(e, "a", "q"), NULL),
                        "OK");
    assert_string_equal(
        strstr(engine_event_names(e, "wf"), "9 "),
        "9 TASK_STARTED, 10 TASK_COMPLETED, 11 TIMER_CANCELED, 12 TIMER_STARTED, "
        "13 ACTIVITY_TASK_CANCEL_REQUESTED, 14 ACTIVITY_TASK_SCHEDULED, 15 ACTIVITY_TASK_CANCELED, "
        "16 TASK_SCHEDULED");
    assert_int_equal(engine_next_activity(e, "q")->attempt, 1);
}

/* Cancelling what has ended is fine, what never was is not. */
static void test_cancel_of_finished_and_unknown_activities(void **state)
{
    struct engine *e = *state;
    engine_respond_poll(e, "q", engine_cmd_activity(e, "a", "q"), NULL);
    engine_activity_done(e, engine_next_activity(e, "q"));
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    assert_string_equal(
        engine_respond(e, task, NULL, engine_cmd_cancel_activity(e, 99), NULL),
        "INVALID_ARGUMENT | BadRequestCancelActivityAttributes: invalid history builder state for "
        "action: add-activitytask-cancel-requested-event, ScheduledEventID: 99");
    assert_string_equal(engine_respond_poll(e, "q", engine_cmd_cancel_activity(e, 5), NULL), "OK");
    assert_non_null(strstr(engine_history(e, "wf"), "ACTIVITY_TASK_CANCEL_REQUESTED "
                                                    "scheduled_event_id=5"));
}

/* More than 2,000 pending activities are refused, and so is a flood of commands. */
static void test_too_many_pending_activities(void **state)
{
    struct engine *e = *state;
    FloApi__RespondWorkflowTaskCompletedRequest *request =
        engine_completion(e, engine_next_task(e, "q"));
    request->commands = flo_arena_calloc(&e->arena, 2001, sizeof *request->commands);
    request->n_commands = 2001;
    for (int i = 0; i < 2001; i++)
        request->commands[i] = engine_cmd_activity(e, engine_format(e, "a%d", i), "q");
    assert_string_equal(engine_try(e, "RespondWorkflowTaskCompleted", &request->base),
                        "INVALID_ARGUMENT | PendingActivitiesLimitExceeded: the number of pending "
                        "activities, 2000, has reached the per-workflow limit of 2000");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    request->task_token = task->task_token;
    request->n_commands = 2000;
    assert_string_equal(engine_try(e, "RespondWorkflowTaskCompleted", &request->base), "OK");
}

/* A payload that no retry makes smaller ends the workflow. */
static void test_too_large_payload_terminates(void **state)
{
    struct engine *e = *state;
    char *big = flo_arena_alloc(&e->arena, (2 << 20) + 1);
    memset(big, '1', 2 << 20);
    big[2 << 20] = '\0';
    FloApi__Command *a = engine_cmd_activity(e, "a", "q");
    engine_activity_of(a)->input = engine_payloads(e, big);
    assert_string_equal(engine_respond_poll(e, "q", a, NULL),
                        "INVALID_ARGUMENT | BadScheduleActivityAttributes: "
                        "ScheduleActivityTaskCommandAttributes.Input exceeds size limit.");
    assert_non_null(strstr(engine_event_names(e, "wf"), "4 TASK_FAILED, 5 EXECUTION_TERMINATED"));
}

/* Commands without their attributes are refused, not followed into nothing. */
static void test_commands_without_attributes_are_refused(void **state)
{
    struct engine *e = *state;
    FloApi__PollWorkflowTaskQueueResponse *task = NULL;
    for (int type = 1; type <= 16; type++) {
        FloApi__Command command = FLO_API__COMMAND__INIT;
        command.command_type = (FloApi__CommandType)type;
        if (type == 15)
            continue; /* no such command */
        if (!task)
            task = engine_next_task(e, "q");
        const char *outcome = engine_respond(e, task, NULL, &command, NULL);
        assert_memory_equal(outcome, "INVALID_ARGUMENT | ", strlen("INVALID_ARGUMENT | "));
        if (type == 1)
            task = NULL; /* the first one failed the task; later attempts stay */
    }
}

/* Markers and memo: copied, merged, removed. */
static void test_marker_and_memo(void **state)
{
    struct engine *e = *state;
    engine_respond_poll(e, "q", engine_cmd_marker(e, "m"), engine_cmd_memo(e, "a", "1"),
                        engine_cmd_memo(e, "b", "2"), NULL);
    engine_signal(e, "wf", "sg");
    engine_respond_poll(e, "q", engine_cmd_memo(e, "a", NULL), engine_cmd_memo(e, "b", "3"), NULL);
    assert_non_null(strstr(engine_history(e, "wf"),
                           "5 MARKER_RECORDED marker_name=m details=[1] "
                           "workflow_task_completed_event_id=4\n"
                           "6 WORKFLOW_PROPERTIES_MODIFIED workflow_task_completed_event_id=4 "));
    FloApi__DescribeWorkflowExecutionRequest request =
        FLO_API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = "default";
    request.execution = engine_run(e, "wf", NULL);
    FloApi__DescribeWorkflowExecutionResponse *response =
        engine_do(e, "DescribeWorkflowExecution", &request.base);
    const FloApi__Memo *memo = response->workflow_execution_info->memo;
    assert_int_equal(memo->n_fields, 1);
    assert_string_equal(memo->fields[0]->key, "b");
    assert_memory_equal(memo->fields[0]->value->data.data, "3", 1);
}

/* Timers that are due together fire together, in the order of their deadlines. */
static void test_due_timers_fire_in_order(void **state)
{
    struct engine *e = *state;
    engine_respond_poll(e, "q", engine_cmd_timer(e, "late", 3 * SECOND),
                        engine_cmd_timer(e, "b", SECOND), engine_cmd_timer(e, "c", SECOND),
                        engine_cmd_timer(e, "a", SECOND / 2), NULL);
    flo_core_begin(e->core, e->now_ns += 2 * SECOND); /* all at once, as after a pause */
    flo_core_fire(e->core);
    assert_string_equal(strstr(engine_history(e, "wf"), "9 "),
                        "9 TIMER_FIRED timer_id=a started_event_id=8\n"
                        "10 TIMER_FIRED timer_id=b started_event_id=6\n"
                        "11 TIMER_FIRED timer_id=c started_event_id=7\n"
                        "12 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s "
                        "attempt=1\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_bad_commands_are_refused),
        TEST(test_refused_completion_leaves_nothing),
        TEST(test_commands_see_earlier_ones),
        TEST(test_cancel_of_finished_and_unknown_activities),
        TEST(test_too_many_pending_activities),
        TEST(test_too_large_payload_terminates),
        TEST(test_commands_without_attributes_are_refused),
        TEST(test_marker_and_memo),
        TEST(test_due_timers_fire_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
