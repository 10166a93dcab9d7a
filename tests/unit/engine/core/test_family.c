/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_family.c - how runs end, what takes over from them, and what others hear of it: retry,
 * continue-as-new, timeouts, children, signals and cancel requests between runs.
 */
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/engine_worker.h"

#define SECOND FLO_NS_PER_S
#define MOMENT FLO_NS_PER_MS

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

static const char *from(const char *history, const char *event)
{
    const char *at = strstr(history, event);
    return at ? at : history;
}

/* Start "wf" with a retry policy of two attempts. */
static const char *start_with_retry(struct engine *e)
{
    FloApi__StartWorkflowExecutionRequest *request = engine_start_request(e, "wf", "q");
    FloApi__RetryPolicy policy = FLO_API__RETRY_POLICY__INIT;
    policy.initial_interval = engine_duration(e, SECOND);
    policy.maximum_attempts = 2;
    request->retry_policy = &policy;
    const FloApi__StartWorkflowExecutionResponse *response =
        engine_do(e, "StartWorkflowExecution", &request->base);
    return response->run_id;
}

/* A failed workflow with a retry policy runs again after its backoff. */
static void test_workflow_retry(void **state)
{
    struct engine *e = *state;
    const char *run = start_with_retry(e);
    engine_respond_poll(e, "q", engine_cmd_fail(e, "wf"), NULL);
    assert_string_equal(from(engine_history_of(e, "wf", run), "5 "),
                        "5 WORKFLOW_EXECUTION_FAILED failure(message=wf) "
                        "retry_state=RETRY_STATE_IN_PROGRESS workflow_task_completed_event_id=4\n");
    uint64_t poll = engine_poll(e, "q");
    assert_string_equal(engine_task_text(e, poll), "waits");
    engine_pass(e, SECOND + MOMENT);
    assert_string_equal(engine_task_text(e, poll), "prev=0 started=3 attempt=1 events=1-3");
    engine_respond(e, engine_task(e, poll), NULL, engine_cmd_fail(e, "wf"), NULL);
    assert_string_equal(
        engine_history(e, "wf"),
        "1 WORKFLOW_EXECUTION_STARTED workflow_type(name=T) task_queue=NORMAL "
        "workflow_task_timeout=10s initiator=CONTINUE_AS_NEW_INITIATOR_RETRY "
        "continued_failure(message=wf) retry_policy(initial_interval=1s backoff_coefficient=2.0 "
        "maximum_interval=100s maximum_attempts=2) attempt=2 first_workflow_task_backoff=1s "
        "prev_auto_reset_points(points=[1])\n"
        "2 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s attempt=1\n"
        "3 WORKFLOW_TASK_STARTED scheduled_event_id=2\n"
        "4 WORKFLOW_TASK_COMPLETED scheduled_event_id=2 started_event_id=3\n"
        "5 WORKFLOW_EXECUTION_FAILED failure(message=wf) "
        "retry_state=RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED workflow_task_completed_event_id=4\n");
}

/* Continue-as-new, at least a second after the run began. */
static void test_continue_as_new(void **state)
{
    struct engine *e = *state;
    const char *run = engine_start(e, "wf", "q");
    engine_pass(e, SECOND / 4);
    engine_respond_poll(e, "q", engine_cmd_continue(e), NULL);
    assert_string_equal(from(engine_history_of(e, "wf", run), "5 "),
                        "5 WORKFLOW_EXECUTION_CONTINUED_AS_NEW workflow_type(name=T) "
                        "task_queue=NORMAL workflow_run_timeout=0s workflow_task_timeout=10s "
                        "workflow_task_completed_event_id=4\n");
    assert_string_equal(engine_history(e, "wf"),
                        "1 WORKFLOW_EXECUTION_STARTED workflow_type(name=T) task_queue=NORMAL "
                        "workflow_run_timeout=0s workflow_task_timeout=10s "
                        "initiator=CONTINUE_AS_NEW_INITIATOR_WORKFLOW attempt=1 "
                        "first_workflow_task_backoff=0.75s prev_auto_reset_points(points=[1])\n");
    uint64_t poll = engine_poll(e, "q");
    assert_string_equal(engine_task_text(e, poll), "waits");
    engine_pass(e, SECOND);
    assert_string_equal(engine_task_text(e, poll), "prev=0 started=3 attempt=1 events=1-3");
}

/* The run timeout closes the run, also with a task out; late answers hear of it. */
static void test_run_timeout(void **state)
{
    struct engine *e = *state;
    FloApi__StartWorkflowExecutionRequest *request = engine_start_request(e, "wf", "q");
    request->workflow_run_timeout = engine_duration(e, SECOND);
    engine_do(e, "StartWorkflowExecution", &request->base);
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    engine_pass(e, SECOND + MOMENT);
    assert_string_equal(engine_respond(e, task, NULL, engine_cmd_complete(e), NULL),
                        "NOT_FOUND | Workflow task not found. | NotFoundFailure");
    assert_string_equal(from(engine_history(e, "wf"), "4 "),
                        "4 WORKFLOW_TASK_FAILED scheduled_event_id=2 started_event_id=3 "
                        "cause=WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND\n"
                        "5 WORKFLOW_EXECUTION_TIMED_OUT "
                        "retry_state=RETRY_STATE_RETRY_POLICY_NOT_SET\n");
}

/* The execution timeout ends the whole chain, retry policy or not. */
static void test_execution_timeout_ends_the_chain(void **state)
{
    struct engine *e = *state;
    FloApi__StartWorkflowExecutionRequest *request = engine_start_request(e, "wf", "q");
    request->workflow_execution_timeout = engine_duration(e, 5 * SECOND);
    engine_do(e, "StartWorkflowExecution", &request->base);
    engine_pass(e, 3 * SECOND);
    engine_respond_poll(e, "q", engine_cmd_continue(e), NULL);
    engine_pass(e, 2 * SECOND + MOMENT);
    assert_non_null(
        strstr(engine_history(e, "wf"), "initiator=CONTINUE_AS_NEW_INITIATOR_WORKFLOW"));
    assert_non_null(strstr(engine_history(e, "wf"),
                           "WORKFLOW_EXECUTION_TIMED_OUT retry_state=RETRY_STATE_TIMEOUT"));
}

/* What comes before a delayed start is written, and waits for it. */
static void test_signal_with_delayed_start_waits(void **state)
{
    struct engine *e = *state;
    const FloApi__StartWorkflowExecutionRequest *start = engine_start_request(e, "wf", "q");
    FloApi__SignalWithStartWorkflowExecutionRequest request =
        FLO_API__SIGNAL_WITH_START_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = "default";
    request.workflow_id = "wf";
    request.workflow_type = start->workflow_type;
    request.task_queue = start->task_queue;
    request.signal_name = "s";
    request.request_id = "r";
    request.workflow_start_delay = engine_duration(e, 2 * SECOND);
    assert_string_equal(engine_try(e, "SignalWithStartWorkflowExecution", &request.base), "OK");
    assert_string_equal(engine_event_names(e, "wf"), "1 EXECUTION_STARTED, 2 EXECUTION_SIGNALED");
    engine_request_cancel(e, "wf");
    engine_pass(e, 2 * SECOND + MOMENT);
    assert_string_equal(engine_event_names(e, "wf"),
                        "1 EXECUTION_STARTED, 2 EXECUTION_SIGNALED, 3 EXECUTION_CANCEL_REQUESTED, "
                        "4 TASK_SCHEDULED");
}

/* A cancel request is told once, and the workflow decides. */
static void test_cancel(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    engine_respond_poll(e, "q", engine_cmd_timer(e, "1", 60 * SECOND), NULL);
    assert_string_equal(engine_request_cancel(e, "wf"), "OK");
    assert_string_equal(engine_request_cancel(e, "wf"), "OK");
    engine_respond_poll(e, "q", engine_cmd_cancel_timer(e, "1"), engine_cmd_cancel(e), NULL);
    assert_string_equal(from(engine_history(e, "wf"), "6 "),
                        "6 WORKFLOW_EXECUTION_CANCEL_REQUESTED cause=why\n"
                        "7 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s "
                        "attempt=1\n"
                        "8 WORKFLOW_TASK_STARTED scheduled_event_id=7\n"
                        "9 WORKFLOW_TASK_COMPLETED scheduled_event_id=7 started_event_id=8\n"
                        "10 TIMER_CANCELED timer_id=1 started_event_id=5 "
                        "workflow_task_completed_event_id=9\n"
                        "11 WORKFLOW_EXECUTION_CANCELED workflow_task_completed_event_id=9\n");
    assert_string_equal(engine_request_cancel(e, "wf"), "OK");
}

/* A child starts, ends, and its parent hears of both. */
static void test_child(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    engine_respond_poll(e, "q", engine_cmd_child(e, "child", 0), NULL);
    FloApi__PollWorkflowTaskQueueResponse *first = engine_next_task(e, "q");
    FloApi__PollWorkflowTaskQueueResponse *second = engine_next_task(e, "q");
    bool parent_first = !strcmp(first->workflow_type->name, "T");
    FloApi__PollWorkflowTaskQueueResponse *parent = parent_first ? first : second;
    FloApi__PollWorkflowTaskQueueResponse *child = parent_first ? second : first;
    engine_respond(e, parent, NULL, NULL);
    engine_respond(e, child, NULL, engine_cmd_complete(e), NULL);
    assert_string_equal(
        from(engine_history(e, "wf"), "5 "),
        "5 START_CHILD_WORKFLOW_EXECUTION_INITIATED namespace=default workflow_type(name=C) "
        "task_queue=NORMAL workflow_run_timeout=0s workflow_task_timeout=10s "
        "parent_close_policy=PARENT_CLOSE_POLICY_TERMINATE workflow_task_completed_event_id=4 "
        "workflow_id_reuse_policy=WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE\n"
        "6 CHILD_WORKFLOW_EXECUTION_STARTED namespace=default initiated_event_id=5 "
        "workflow_execution() workflow_type(name=C)\n"
        "7 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s attempt=1\n"
        "8 WORKFLOW_TASK_STARTED scheduled_event_id=7\n"
        "9 WORKFLOW_TASK_COMPLETED scheduled_event_id=7 started_event_id=8\n"
        "10 CHILD_WORKFLOW_EXECUTION_COMPLETED result=\"r\" namespace=default workflow_execution() "
        "workflow_type(name=C) initiated_event_id=5 started_event_id=6\n"
        "11 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s attempt=1\n");
    assert_non_null(strstr(engine_history(e, "child"),
                           "1 WORKFLOW_EXECUTION_STARTED workflow_type(name=C) "
                           "parent_workflow_namespace=default parent_workflow_execution() "
                           "parent_initiated_event_id=5 task_queue=NORMAL workflow_run_timeout=0s "
                           "workflow_task_timeout=10s attempt=1 first_workflow_task_backoff=0s "
                           "root_workflow_execution()\n"));
}

/* A child that starts and ends while its parent has a task: both wait, the end knows the start. */
static void test_child_in_the_buffer(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__RespondWorkflowTaskCompletedRequest *request =
        engine_completion(e, engine_next_task(e, "q"));
    FloApi__Command *child = engine_cmd_child(e, "child", 0);
    engine_add_command(e, request, child);
    request->force_create_new_workflow_task = true;
    request->return_new_workflow_task = true;
    FloApi__RespondWorkflowTaskCompletedResponse *response =
        engine_do(e, "RespondWorkflowTaskCompleted", &request->base);
    engine_respond_poll(e, "q", engine_cmd_fail(e, "no"), NULL);
    engine_respond(e, response->workflow_task, NULL, NULL);
    assert_string_equal(
        from(engine_history(e, "wf"), "8 "),
        "8 WORKFLOW_TASK_COMPLETED scheduled_event_id=6 started_event_id=7\n"
        "9 CHILD_WORKFLOW_EXECUTION_STARTED (earlier) namespace=default initiated_event_id=5 "
        "workflow_execution() workflow_type(name=C)\n"
        "10 CHILD_WORKFLOW_EXECUTION_FAILED failure(message=no) namespace=default "
        "workflow_execution() workflow_type(name=C) initiated_event_id=5 started_event_id=9 "
        "retry_state=RETRY_STATE_RETRY_POLICY_NOT_SET\n"
        "11 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s attempt=1\n");
}

/* What becomes of the children of a run that is terminated. */
static void test_parent_close_policies(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    engine_respond_poll(e, "q", engine_cmd_child(e, "t", 0), engine_cmd_child(e, "c", 3),
                        engine_cmd_child(e, "a", 2), engine_cmd_child(e, "t", 0), NULL);
    engine_terminate(e, "wf");
    assert_string_equal(
        engine_event_names(e, "wf"),
        "1 EXECUTION_STARTED, 2 TASK_SCHEDULED, 3 TASK_STARTED, 4 TASK_COMPLETED, "
        "5 START_CHILD_WORKFLOW_EXECUTION_INITIATED, 6 START_CHILD_WORKFLOW_EXECUTION_INITIATED, "
        "7 START_CHILD_WORKFLOW_EXECUTION_INITIATED, 8 START_CHILD_WORKFLOW_EXECUTION_INITIATED, "
        "9 CHILD_WORKFLOW_EXECUTION_STARTED, 10 TASK_SCHEDULED, "
        "11 START_CHILD_WORKFLOW_EXECUTION_FAILED, 12 CHILD_WORKFLOW_EXECUTION_STARTED, "
        "13 CHILD_WORKFLOW_EXECUTION_STARTED, 14 EXECUTION_TERMINATED");
    assert_string_equal(from(engine_history(e, "t"), "3 "),
                        "3 WORKFLOW_EXECUTION_TERMINATED reason=by parent close policy\n");
    assert_string_equal(from(engine_history(e, "c"), "3 "),
                        "3 WORKFLOW_EXECUTION_CANCEL_REQUESTED external_workflow_execution()\n");
    assert_string_equal(engine_event_names(e, "a"), "1 EXECUTION_STARTED, 2 TASK_SCHEDULED");
}

/* A deep family falls without recursion. */
static void test_deep_family_is_terminated(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf0", "q");
    enum { DEPTH = 300 };
    for (int i = 0; i < DEPTH; i++) {
        FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
        /* Each parent gets a task for its child's start; only newcomers have children. */
        if (task->previous_started_event_id) {
            engine_respond(e, task, NULL, NULL);
            i--;
            continue;
        }
        engine_respond(e, task, NULL, engine_cmd_child(e, engine_format(e, "wf%d", i + 1), 0),
                       NULL);
    }
    engine_terminate(e, "wf0");
    assert_non_null(strstr(engine_history(e, engine_format(e, "wf%d", DEPTH)),
                           "WORKFLOW_EXECUTION_TERMINATED reason=by parent close policy"));
}

/* Signals and cancel requests reach other runs; missing ones and oneself are refused. */
static void test_external(void **state)
{
    struct engine *e = *state;
    engine_start(e, "other", "q2");
    engine_start(e, "wf", "q");
    engine_respond_poll(
        e, "q", engine_cmd_signal(e, "other", "x"), engine_cmd_signal(e, "missing", "x"),
        engine_cmd_cancel_external(e, "other"), engine_cmd_cancel_external(e, "missing"),
        engine_cmd_signal(e, "wf", "x"), NULL);
    assert_string_equal(
        from(engine_history(e, "wf"), "10 "),
        "10 SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED "
        "cause=SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_"
        "FOUND namespace=default workflow_execution() initiated_event_id=9\n"
        "11 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s attempt=1\n"
        "12 EXTERNAL_WORKFLOW_EXECUTION_SIGNALED initiated_event_id=5 namespace=default "
        "workflow_execution()\n"
        "13 SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED "
        "cause=SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_"
        "FOUND namespace=default workflow_execution() initiated_event_id=6\n"
        "14 EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED initiated_event_id=7 namespace=default "
        "workflow_execution()\n"
        "15 REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED "
        "cause=CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_"
        "FOUND namespace=default workflow_execution() initiated_event_id=8\n");
    assert_string_equal(
        from(engine_history(e, "other"), "3 "),
        "3 WORKFLOW_EXECUTION_SIGNALED signal_name=x external_workflow_execution()\n"
        "4 WORKFLOW_EXECUTION_CANCEL_REQUESTED external_initiated_event_id=7 "
        "external_workflow_execution()\n");
}

/* A child that continues as new is still the same child. */
static void test_child_that_continues_is_one_child(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__Command *child = engine_cmd_child(e, "child", 0);
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    queue.name = "q2";
    child->start_child_workflow_execution_command_attributes->task_queue = &queue;
    engine_respond_poll(e, "q", child, NULL);
    engine_respond_poll(e, "q", NULL);
    engine_pass(e, 2 * SECOND);
    engine_respond_poll(e, "q2", engine_cmd_continue(e), NULL);
    assert_null(engine_reply(e, engine_poll(e, "q")));
    engine_respond_poll(e, "q2", engine_cmd_complete(e), NULL);
    assert_non_null(strstr(engine_history(e, "wf"), "CHILD_WORKFLOW_EXECUTION_COMPLETED"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_workflow_retry),
        TEST(test_continue_as_new),
        TEST(test_run_timeout),
        TEST(test_execution_timeout_ends_the_chain),
        TEST(test_signal_with_delayed_start_waits),
        TEST(test_cancel),
        TEST(test_child),
        TEST(test_child_in_the_buffer),
        TEST(test_parent_close_policies),
        TEST(test_deep_family_is_terminated),
        TEST(test_external),
        TEST(test_child_that_continues_is_one_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
