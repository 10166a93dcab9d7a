/* SPDX-License-Identifier: Apache-2.0 */
/* test_reset.c - resets, also of runs that are only stored. */
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/engine_harness.h"
#include "wire/payload.h"

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

static const char *reset_by(struct engine *e, const char *run_id, int64_t finish_id,
                            const char *request_id)
{
    FloApi__ResetWorkflowExecutionRequest request = FLO_API__RESET_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = "default";
    request.workflow_execution = engine_run(e, "wf", run_id);
    request.workflow_task_finish_event_id = finish_id;
    request.request_id = (char *)(uintptr_t)request_id;
    request.reason = "why";
    return engine_try(e, "ResetWorkflowExecution", &request.base);
}

static const char *reset(struct engine *e, const char *run_id, int64_t finish_id)
{
    return reset_by(e, run_id, finish_id, "again");
}

static void signal_once(struct engine *e, const char *request_id)
{
    FloApi__SignalWorkflowExecutionRequest request =
        FLO_API__SIGNAL_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = "default";
    request.workflow_execution = engine_run(e, "wf", "");
    request.signal_name = "s";
    request.request_id = (char *)(uintptr_t)request_id;
    assert_string_equal(engine_try(e, "SignalWorkflowExecution", &request.base), "OK");
}

/* The new run begins at the failed task, with the signal of before, and outlives a restart. */
static void test_reset_open_run_goes_on(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__Command *timer = engine_cmd_timer(e, "t", FLO_NS_PER_S);
    engine_complete(e, engine_task(e, engine_poll(e, "q")), timer, NULL);
    engine_signal(e, "wf", "s");
    assert_string_equal(reset(e, "", 4), "OK");
    assert_string_equal(reset(e, "", 4), "OK"); /* the same request: the same run */
    engine_restart(e);
    const char *history = engine_history(e, "wf");
    assert_non_null(strstr(history, "4 WORKFLOW_TASK_FAILED"));
    assert_non_null(strstr(history, "5 WORKFLOW_EXECUTION_SIGNALED"));
    assert_non_null(strstr(history, "6 WORKFLOW_TASK_SCHEDULED"));
    assert_null(strstr(history, "7 "));
    engine_complete(e, engine_task(e, engine_poll(e, "q")), engine_cmd_complete(e), NULL);
}

/* A signal that is sent again after the reset, with the request of before, is still the same one:
 * also after a restart, and after one more reset. */
static void test_reset_knows_requests_of_signals(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    engine_complete(e, engine_task(e, engine_poll(e, "q")), engine_cmd_timer(e, "t", FLO_NS_PER_S),
                    NULL);
    signal_once(e, "request");
    for (int i = 0; i < 2; i++) {
        assert_string_equal(reset_by(e, "", 4, i ? "second" : "first"), "OK");
        signal_once(e, "request");
        engine_restart(e);
        signal_once(e, "request");
        const char *history = engine_history(e, "wf");
        assert_non_null(strstr(history, "5 WORKFLOW_EXECUTION_SIGNALED"));
        assert_null(strstr(history, "7 "));
    }
    signal_once(e, "another");
    assert_non_null(strstr(engine_history(e, "wf"), "7 WORKFLOW_EXECUTION_SIGNALED"));
}

/* A closed run comes back from the store to learn which run was made of it. */
static void test_reset_stored_run_comes_back(void **state)
{
    struct engine *e = *state;
    const char *old = engine_start(e, "wf", "q");
    engine_complete(e, engine_task(e, engine_poll(e, "q")), engine_cmd_complete(e), NULL);
    engine_restart(e);
    assert_string_equal(reset(e, old, 4), "OK");
    assert_non_null(strstr(engine_history(e, "wf"), "4 WORKFLOW_TASK_FAILED"));
    engine_complete(e, engine_task(e, engine_poll(e, "q")), engine_cmd_complete(e), NULL);
}

/* Where no workflow task ends, and inside of a batch, nothing can be reset. */
static void test_reset_other_events_are_refused(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__Command *timer = engine_cmd_timer(e, "t", FLO_NS_PER_S);
    engine_complete(e, engine_task(e, engine_poll(e, "q")), timer, NULL);
    assert_non_null(strstr(reset(e, "", 1), "finish ID must be > 1"));
    assert_non_null(strstr(reset(e, "", 2), "must be at the boundary"));
    assert_non_null(strstr(reset(e, "", 6), "finish ID must be > 1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reset_open_run_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_knows_requests_of_signals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_stored_run_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_other_events_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
