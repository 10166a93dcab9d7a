/* SPDX-License-Identifier: Apache-2.0 */
/* test_recovery.c - runs after a kill: what was committed goes on, what was not never was. */
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

/* Signal with a request id; the outcome. */
static const char *signal(struct engine *e, const char *request_id)
{
    FloApi__SignalWorkflowExecutionRequest request =
        FLO_API__SIGNAL_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = "default";
    request.workflow_execution = engine_run(e, "wf", NULL);
    request.signal_name = "sg";
    request.request_id = (char *)request_id;
    return engine_try(e, "SignalWorkflowExecution", &request.base);
}

/* A task that was not started is queued again. */
static void test_scheduled_task_is_queued_again(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    engine_restart(e);
    assert_string_equal(engine_task_line(e, engine_next_task(e, "q")),
                        "prev=0 started=3 attempt=1 events=1-3");
}

/* A start that was stored stays: its token is good, its timeout runs. */
static void test_started_task_stays_started(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    engine_pass(e, 2 * SECOND); /* stored by the way */
    engine_restart(e);
    assert_null(engine_reply(e, engine_poll(e, "q")));
    assert_string_equal(engine_respond(e, task, NULL, engine_cmd_timer(e, "t", SECOND), NULL),
                        "OK");
    engine_restart(e);
    engine_pass(e, SECOND);
    task = engine_next_task(e, "q");
    assert_string_equal(engine_task_line(e, task), "prev=3 started=8 attempt=1 events=1-8");
    engine_pass(e, 2 * SECOND);
    engine_restart(e);
    engine_pass(e, 8 * SECOND + MOMENT);
    assert_non_null(strstr(engine_event_names(e, "wf"), "9 TASK_TIMED_OUT"));
    assert_int_equal(engine_next_task(e, "q")->attempt, 2);
}

/* A start that was not stored never was: the task is given out again, the old token is dead. */
static void test_start_that_was_lost_is_given_out_again(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    e->auto_commit = false;
    FloApi__PollWorkflowTaskQueueResponse *lost = engine_next_task(e, "q");
    engine_restart(e);
    e->auto_commit = true;
    assert_string_equal(engine_respond(e, lost, NULL, engine_cmd_complete(e), NULL),
                        "NOT_FOUND | Workflow task not found. | NotFoundFailure");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    assert_string_equal(engine_task_line(e, task), "prev=0 started=3 attempt=1 events=1-3");
    assert_string_equal(engine_respond(e, lost, NULL, engine_cmd_complete(e), NULL),
                        "NOT_FOUND | Workflow task not found. | NotFoundFailure");
    assert_string_equal(engine_respond(e, task, NULL, engine_cmd_complete(e), NULL), "OK");
}

/* After a restart nobody has anything in a cache: a sticky task goes to the normal queue. */
static void test_sticky_task_goes_to_the_normal_queue(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    uint64_t sticky = engine_poll_sticky(e, "q");
    engine_respond(e, task, "q", NULL);
    flo_core_cancel_call(e->core, sticky);
    engine_signal(e, "wf", "sg");
    engine_restart(e);
    assert_string_equal(engine_task_line(e, engine_next_task(e, "q")),
                        "prev=3 started=7 attempt=1 events=1-7");
}

/* The attempts of a transient task are counted on. */
static void test_transient_task_keeps_its_attempt(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    engine_fail_task(e, engine_next_task(e, "q"));
    engine_fail_task(e, engine_next_task(e, "q"));
    engine_restart(e);
    engine_pass(e, MOMENT);
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    assert_string_equal(engine_task_line(e, task), "prev=0 started=6 attempt=3 events=1-6");
    engine_pass(e, 2 * SECOND);
    engine_restart(e);
    engine_respond(e, task, NULL, engine_cmd_complete(e), NULL);
    assert_non_null(strstr(engine_history(e, "wf"), "5 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL "
                                                    "start_to_close_timeout=10s attempt=3\n"
                                                    "6 WORKFLOW_TASK_STARTED scheduled_event_id=5\n"
                                                    "7 WORKFLOW_TASK_COMPLETED"));
}

/* Activities: waiting, started, between two attempts; with details, failures and deadlines. */
static void test_activities_go_on(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__Command *a = engine_cmd_activity(e, "a", "qa");
    FloApi__Command *b = engine_cmd_activity(e, "b", "qb");
    FloApi__Command *c = engine_cmd_activity(e, "c", "qc");
    engine_activity_of(c)->schedule_to_start_timeout = engine_duration(e, 10 * SECOND);
    engine_respond_poll(e, "q", a, b, c, NULL);
    FloApi__PollActivityTaskQueueResponse *running = engine_next_activity(e, "qa");
    engine_heartbeat(e, running, "42");
    FloApi__PollActivityTaskQueueResponse *failed = engine_next_activity(e, "qb");
    engine_activity_fail(e, failed, "E", false);
    engine_restart(e);
    assert_string_equal(engine_heartbeat(e, running, "43"), "OK");
    uint64_t poll = engine_poll_activity(e, "qb");
    assert_null(engine_reply(e, poll));
    engine_pass(e, SECOND + MOMENT);
    assert_int_equal(engine_activity(e, poll)->attempt, 2);
    engine_restart(e);
    engine_pass(e, 5 * SECOND); /* a times out, start to close */
    FloApi__PollActivityTaskQueueResponse *second = engine_next_activity(e, "qa");
    assert_int_equal(second->attempt, 2);
    assert_memory_equal(second->heartbeat_details->payloads[0]->data.data, "43", 2);
    engine_pass(e, 4 * SECOND);
    assert_non_null(strstr(engine_history(e, "wf"), "activity ScheduleToStart timeout"));
}

/* What waits in the buffer still does, and signals are told from their repeats. */
static void test_buffer_and_signal_requests_survive(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    assert_string_equal(signal(e, "one"), "OK");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    assert_string_equal(signal(e, "two"), "OK");
    engine_restart(e);
    assert_string_equal(signal(e, "one"), "OK");
    assert_string_equal(signal(e, "two"), "OK");
    engine_respond(e, task, NULL, NULL);
    assert_string_equal(engine_event_names(e, "wf"),
                        "1 EXECUTION_STARTED, 2 TASK_SCHEDULED, 3 EXECUTION_SIGNALED, "
                        "4 TASK_STARTED, 5 TASK_COMPLETED, 6 EXECUTION_SIGNALED, 7 TASK_SCHEDULED");
}

/* Timers of all kinds: user timers, run timeout, backoff of the first task. */
static void test_timers_are_armed_again(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    engine_respond_poll(e, "q", engine_cmd_timer(e, "late", 9 * SECOND),
                        engine_cmd_timer(e, "soon", SECOND), NULL);
    FloApi__StartWorkflowExecutionRequest *delayed = engine_start_request(e, "delayed", "q");
    delayed->workflow_start_delay = engine_duration(e, 3 * SECOND);
    engine_do(e, "StartWorkflowExecution", &delayed->base);
    FloApi__StartWorkflowExecutionRequest *limited = engine_start_request(e, "limited", "q2");
    limited->workflow_run_timeout = engine_duration(e, 2 * SECOND);
    engine_do(e, "StartWorkflowExecution", &limited->base);
    engine_restart(e);
    engine_pass(e, 10 * SECOND); /* as if it had slept: all are due */
    assert_non_null(
        strstr(engine_history(e, "wf"), "TIMER_FIRED timer_id=soon started_event_id=6\n"));
    assert_non_null(strstr(engine_history(e, "wf"), "TIMER_FIRED timer_id=late"));
    assert_string_equal(engine_event_names(e, "delayed"), "1 EXECUTION_STARTED, 2 TASK_SCHEDULED");
    assert_non_null(strstr(engine_event_names(e, "limited"), "EXECUTION_TIMED_OUT"));
}

/* Parents and children know each other. */
static void test_families_survive(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    engine_respond_poll(e, "q", engine_cmd_child(e, "one", 0), engine_cmd_child(e, "two", 0), NULL);
    engine_restart(e);
    for (int i = 0; i < 3; i++) {
        FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
        bool one = !strcmp(task->workflow_execution->workflow_id, "one");
        engine_respond(e, task, NULL, one ? engine_cmd_complete(e) : NULL, NULL);
    }
    assert_non_null(strstr(engine_history(e, "wf"), "CHILD_WORKFLOW_EXECUTION_COMPLETED"));
    engine_restart(e);
    engine_terminate(e, "wf");
    assert_non_null(strstr(engine_history(e, "two"), "reason=by parent close policy"));
}

/* A cancel request, a memo and the workflow's retry policy are not forgotten. */
static void test_the_rest_of_a_run_survives(void **state)
{
    struct engine *e = *state;
    FloApi__StartWorkflowExecutionRequest *request = engine_start_request(e, "wf", "q");
    FloApi__RetryPolicy policy = FLO_API__RETRY_POLICY__INIT;
    policy.maximum_attempts = 2;
    request->retry_policy = &policy;
    engine_do(e, "StartWorkflowExecution", &request->base);
    engine_respond_poll(e, "q", engine_cmd_memo(e, "k", "7"), NULL);
    engine_request_cancel(e, "wf");
    engine_restart(e);
    assert_string_equal(engine_request_cancel(e, "wf"), "OK");
    FloApi__DescribeWorkflowExecutionRequest describe =
        FLO_API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    describe.namespace_ = "default";
    describe.execution = engine_run(e, "wf", NULL);
    FloApi__DescribeWorkflowExecutionResponse *response =
        engine_do(e, "DescribeWorkflowExecution", &describe.base);
    assert_int_equal(response->workflow_execution_info->memo->n_fields, 1);
    engine_respond_poll(e, "q", engine_cmd_fail(e, "wf"), NULL);
    engine_restart(e);
    engine_pass(e, SECOND + MOMENT);
    assert_non_null(strstr(engine_history(e, "wf"), "initiator=CONTINUE_AS_NEW_INITIATOR_RETRY"));
    assert_int_equal(engine_next_task(e, "q")->started_event_id, 3);
}

/* A run whose stored bytes do not fit together is refused with a sentence, not loaded. */
static void test_damaged_run_is_refused(void **state)
{
    struct engine *e = *state;
    struct flo_err err = {0};
    const struct flo_core_stored_run run = {
        .key = 99,
        .namespace_id = flo_core_namespace_id(e->core, "default"),
        .workflow_id = "broken",
        .run_id = "01890000-0000-7000-8000-000000000000",
        .status = 1,
        .state = (const uint8_t *)"\xff\xff",
        .state_len = 2,
    };
    assert_int_equal(flo_core_load_run(e->core, &run, NULL, 0, &err), FLO_EDATA);
    assert_non_null(strstr(err.message, "broken"));
    const struct flo_core_stored_run empty = {
        .key = 99,
        .namespace_id = run.namespace_id,
        .workflow_id = "broken",
        .run_id = run.run_id,
        .status = 1,
        .state = (const uint8_t *)"",
    };
    const struct flo_core_history_batch batches[] = {
        {.first_event_id = 1, .event_count = 2, .events = (const uint8_t *)"\x0a\x02\x08\x01", 4},
        {.first_event_id = 2, .event_count = 1, .events = (const uint8_t *)"\x0a\x02\x08\x02", 4},
        {.first_event_id = 1, .event_count = 1, .events = (const uint8_t *)"\x0a\x7f\x08\x01", 4},
    };
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++)
        assert_int_equal(flo_core_load_run(e->core, &empty, &batches[i], 1, &err), FLO_EDATA);
}

/* Delete "wf" without letting anything commit; the answer. */
static const struct engine_reply *delete_wf(struct engine *e)
{
    FloApi__DeleteWorkflowExecutionRequest request =
        FLO_API__DELETE_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = "default";
    request.workflow_execution = engine_run(e, "wf", NULL);
    return engine_reply(e, engine_call(e, "DeleteWorkflowExecution", &request.base, 0));
}

/* Let commits happen until the answer may leave, then kill the engine: the run is gone. */
static void assert_deleted_once_acknowledged(struct engine *e, const struct engine_reply *reply)
{
    assert_int_equal(reply->code, 0);
    assert_true(reply->after > e->durable_seq); /* nothing of it is durable yet */
    const uint64_t after = reply->after;
    while (e->durable_seq < after)
        assert_true(engine_commit(e) != 0);
    engine_restart(e);
    e->auto_commit = true;
    FloApi__DescribeWorkflowExecutionRequest describe =
        FLO_API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    describe.namespace_ = "default";
    describe.execution = engine_run(e, "wf", NULL);
    assert_string_equal(engine_try(e, "DescribeWorkflowExecution", &describe.base),
                        "NOT_FOUND | workflow not found for ID: wf | NotFoundFailure");
}

/* The deletion of an open run is durable when it is acknowledged. */
static void test_acknowledged_deletion_of_an_open_run_stays(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    e->auto_commit = false;
    assert_deleted_once_acknowledged(e, delete_wf(e));
}

/* The same of a run that has closed, but whose end is not stored, or just being stored. */
static void test_acknowledged_deletion_of_a_closing_run_stays(void **state)
{
    struct engine *e = *state;
    for (int committing = 0; committing < 2; committing++) {
        struct flo_core_batch *batch = NULL;
        engine_start(e, "wf", "q");
        e->auto_commit = false;
        engine_terminate(e, "wf");
        if (committing)
            assert_int_equal(flo_core_take_batch(e->core, &batch), 0);
        const struct engine_reply *reply = delete_wf(e);
        if (batch)
            engine_store_batch(e, &batch);
        assert_deleted_once_acknowledged(e, reply);
    }
}

/* A run that was started and deleted before anything was stored leaves nothing behind. */
static void test_deletion_in_the_batch_of_the_start(void **state)
{
    struct engine *e = *state;
    e->auto_commit = false;
    engine_start(e, "wf", "q");
    assert_deleted_once_acknowledged(e, delete_wf(e));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_scheduled_task_is_queued_again),
        TEST(test_started_task_stays_started),
        TEST(test_start_that_was_lost_is_given_out_again),
        TEST(test_sticky_task_goes_to_the_normal_queue),
        TEST(test_transient_task_keeps_its_attempt),
        TEST(test_activities_go_on),
        TEST(test_buffer_and_signal_requests_survive),
        TEST(test_timers_are_armed_again),
        TEST(test_families_survive),
        TEST(test_the_rest_of_a_run_survives),
        TEST(test_damaged_run_is_refused),
        TEST(test_acknowledged_deletion_of_an_open_run_stays),
        TEST(test_acknowledged_deletion_of_a_closing_run_stays),
        TEST(test_deletion_in_the_batch_of_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
