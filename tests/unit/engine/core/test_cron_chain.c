/* SPDX-License-Identifier: Apache-2.0 */
/* test_cron_chain.c - a workflow with a cron schedule: its runs, one after the other. */
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/engine_worker.h"

#define MINUTE (60 * FLO_NS_PER_S)

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

/* "wf", every minute; retries: a failed run is tried twice before its minute is over. */
static void start(struct engine *e, bool retries)
{
    FloApi__StartWorkflowExecutionRequest *request = engine_start_request(e, "wf", "q");
    FloApi__RetryPolicy policy = FLO_API__RETRY_POLICY__INIT;
    policy.initial_interval = engine_duration(e, FLO_NS_PER_S);
    policy.maximum_attempts = 2;
    request->cron_schedule = (char *)"@every 1m";
    if (retries)
        request->retry_policy = &policy;
    engine_do(e, "StartWorkflowExecution", &request->base);
}

/* The line of the newest run's start. */
static bool started_with(struct engine *e, const char *text)
{
    const char *history = engine_history(e, "wf");
    const char *at = strstr(history, text), *end = strchr(history, '\n');
    return at && at < end;
}

/* Its task comes with the minute, not before. */
static FloApi__PollWorkflowTaskQueueResponse *task_after(struct engine *e, int64_t ns)
{
    engine_pass(e, ns - FLO_NS_PER_S);
    const uint64_t poll = engine_poll(e, "q");
    assert_string_equal(engine_outcome(e, poll), "waits");
    engine_pass(e, 2 * FLO_NS_PER_S);
    return engine_task(e, poll);
}

/* Each run begins with its minute and is told what the one before returned; the one that waits
 * outlives a restart. */
static void test_runs_fire_in_their_time(void **state)
{
    struct engine *e = *state;
    start(e, false);
    engine_complete(e, task_after(e, MINUTE), engine_cmd_complete(e), NULL);
    assert_true(started_with(e, "initiator=CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE"));
    assert_true(started_with(e, "last_completion_result=\"r\""));
    engine_restart(e);
    engine_complete(e, task_after(e, MINUTE - FLO_NS_PER_S), engine_cmd_fail(e, "oops"), NULL);
    assert_true(started_with(e, "last_completion_result=\"r\"")); /* the failure has none */
    assert_true(started_with(e, "continued_failure(message=oops"));
}

/* A failure is retried first; when no attempt is left, the schedule goes on with attempt 1. */
static void test_failures_are_retried_within(void **state)
{
    struct engine *e = *state;
    start(e, true);
    engine_complete(e, task_after(e, MINUTE), engine_cmd_fail(e, "first"), NULL);
    assert_true(started_with(e, "initiator=CONTINUE_AS_NEW_INITIATOR_RETRY"));
    assert_true(started_with(e, "attempt=2 "));
    engine_pass(e, 2 * FLO_NS_PER_S);
    engine_complete(e, engine_task(e, engine_poll(e, "q")), engine_cmd_fail(e, "second"), NULL);
    assert_true(started_with(e, "initiator=CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE"));
    assert_true(started_with(e, "attempt=1 "));
}

/* Continue-as-new follows at once, and without a schedule of its own ends the chain. */
static void test_continuation_ends_the_chain(void **state)
{
    struct engine *e = *state;
    start(e, false);
    engine_complete(e, task_after(e, MINUTE), engine_cmd_continue(e), NULL);
    assert_true(started_with(e, "initiator=CONTINUE_AS_NEW_INITIATOR_WORKFLOW"));
    assert_false(started_with(e, "cron_schedule"));
    engine_pass(e, 2 * FLO_NS_PER_S);
    engine_complete(e, engine_task(e, engine_poll(e, "q")), engine_cmd_complete(e), NULL);
    assert_non_null(strstr(engine_history(e, "wf"), "COMPLETED"));
}

/* A cancel request does not wait for the minute; a cancelled run is the last one, and so is one
 * that is terminated while it waits. */
static void test_cancel_and_termination_end_it(void **state)
{
    struct engine *e = *state;
    start(e, false);
    assert_string_equal(engine_request_cancel(e, "wf"), "OK");
    engine_complete(e, engine_task(e, engine_poll(e, "q")), engine_cmd_cancel(e), NULL);
    assert_non_null(strstr(engine_history(e, "wf"), "WORKFLOW_EXECUTION_CANCELED"));
    start(e, false);
    engine_terminate(e, "wf");
    const uint64_t poll = engine_poll(e, "q");
    engine_pass(e, 2 * MINUTE);
    assert_string_equal(engine_task_text(e, poll), "empty");
    assert_non_null(strstr(engine_history(e, "wf"), "WORKFLOW_EXECUTION_TERMINATED"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_runs_fire_in_their_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failures_are_retried_within, setup, teardown),
        cmocka_unit_test_setup_teardown(test_continuation_ends_the_chain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_and_termination_end_it, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
