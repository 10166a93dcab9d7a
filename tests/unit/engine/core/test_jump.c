/* SPDX-License-Identifier: Apache-2.0 */
/* test_jump.c - what a clock that skips asks the core: is it busy, what is due, what moves along.
 */
#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/engine_worker.h"

#define HOUR (3600 * FLO_NS_PER_S)

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

/* Jump to the next thing that is due, as the shell does. */
static void jump(struct engine *e)
{
    const int64_t by_ns = flo_core_next_due(e->core) - e->now_ns;
    assert_false(flo_core_busy(e->core));
    assert_true(by_ns > 0);
    flo_core_jump(e->core, by_ns);
    engine_pass(e, by_ns);
}

/* A workflow task keeps the clock from jumping until it is done; a timer does not. */
static void test_busy_workflow_task_until_completed(void **state)
{
    struct engine *e = *state;
    assert_false(flo_core_busy(e->core));
    assert_true(flo_core_next_due(e->core) == INT64_MAX);
    engine_start(e, "wf", "q");
    assert_true(flo_core_busy(e->core));
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    assert_true(flo_core_busy(e->core));
    engine_respond(e, task, NULL, engine_cmd_timer(e, "t", HOUR), NULL);
    assert_false(flo_core_busy(e->core));
    assert_true(flo_core_next_due(e->core) == e->now_ns + HOUR);
    jump(e);
    assert_true(flo_core_busy(e->core));
    engine_respond(e, engine_next_task(e, "q"), NULL, engine_cmd_complete(e), NULL);
    assert_false(flo_core_busy(e->core));
}

/* So does an attempt of an activity, ready or started; its wait for the next one does not. */
static void test_busy_activity_but_not_its_backoff(void **state)
{
    struct engine *e = *state;
    FloApi__Command *command = engine_cmd_activity(e, "a", "q");
    engine_policy_of(e, command)->initial_interval = engine_duration(e, HOUR);
    engine_start(e, "wf", "q");
    engine_respond_poll(e, "q", command, NULL);
    assert_true(flo_core_busy(e->core));
    FloApi__PollActivityTaskQueueResponse *task = engine_next_activity(e, "q");
    assert_true(flo_core_busy(e->core));
    engine_activity_fail(e, task, "E", false);
    assert_false(flo_core_busy(e->core));
    jump(e);
    assert_true(flo_core_busy(e->core));
    assert_int_equal(engine_next_activity(e, "q")->attempt, 2);
}

/* A query keeps the clock from jumping until it is answered. */
static void test_busy_query_until_over(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    engine_respond_poll(e, "q", engine_cmd_timer(e, "t", HOUR), NULL);
    FloApi__WorkflowQuery what = FLO_API__WORKFLOW_QUERY__INIT;
    FloApi__QueryWorkflowRequest request = FLO_API__QUERY_WORKFLOW_REQUEST__INIT;
    what.query_type = "state";
    request.namespace_ = "default";
    request.execution = engine_run(e, "wf", NULL);
    request.query = &what;
    const uint64_t query = engine_call(e, "QueryWorkflow", &request.base, 0);
    assert_true(flo_core_busy(e->core));
    flo_core_cancel_call(e->core, query);
    assert_false(flo_core_busy(e->core));
}

/* Polls and waits for histories outlive a jump: they wait on as long as they would have. */
static void test_jump_takes_waiting_calls_along(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    engine_respond_poll(e, "q", engine_cmd_timer(e, "t", 100 * HOUR), NULL);
    uint64_t idle = engine_poll(e, "other");
    uint64_t poll = engine_poll_sticky(e, "q");
    uint64_t activity = engine_poll_activity(e, "q");
    uint64_t normal = engine_poll(e, "q");
    jump(e);
    assert_null(engine_reply(e, idle));
    assert_null(engine_reply(e, activity));
    assert_null(engine_reply(e, poll));
    assert_string_equal(engine_task_text(e, normal), "prev=3 started=8 attempt=1 events=1-8");
    engine_pass(e, 70 * FLO_NS_PER_S);
    assert_string_equal(engine_task_text(e, idle), "empty");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_busy_workflow_task_until_completed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_busy_activity_but_not_its_backoff, setup, teardown),
        cmocka_unit_test_setup_teardown(test_busy_query_until_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_jump_takes_waiting_calls_along, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
