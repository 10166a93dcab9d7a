/* SPDX-License-Identifier: Apache-2.0 */
/* test_cold.c - open runs that leave memory and come back, and nobody notices. */
#include <string.h>

#include "base/clock.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/runs.h"
#include "flotilla/error.h"
#include "support/cmocka_env.h"
#include "support/engine_harness.h"
#include "support/engine_internal.h"

static const struct flo_core_options no_room = {.memory_limit = 1};

static struct engine *engine_without_room(void)
{
    return engine_new_with(1, &no_room);
}

/* Open, but not in memory? */
static bool is_cold(struct engine *e, const char *run_id)
{
    struct flo_core_stats stats;
    flo_core_stats(e->core, &stats);
    return stats.cold_runs > 0 && !flo_core_in_memory(e->core, run_id);
}

/* A run that has done its first task and waits: with a timer of so long, or for good. */
static const char *start_waiting(struct engine *e, const char *workflow_id, int64_t timer_ns)
{
    const char *run_id = engine_start(e, workflow_id, "q");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_task(e, engine_poll(e, "q"));
    engine_complete(e, task, timer_ns ? engine_cmd_timer(e, "t", timer_ns) : NULL, NULL);
    return run_id;
}

/* Signal, query, timer, describe, termination: each finds a cold run as if it had never left. */
static void test_cold_run_answers(void **state)
{
    (void)state;
    struct engine *e = engine_without_room();
    const char *run_id = start_waiting(e, "wf", 60 * FLO_NS_PER_S);
    struct flo_core_stats stats;
    assert_true(is_cold(e, run_id));
    flo_core_stats(e->core, &stats);
    assert_int_equal(stats.open_runs, 1);
    assert_int_equal(stats.resident_bytes, 0);

    engine_signal(e, "wf", "poke"); /* it has a task now, and stays */
    assert_false(is_cold(e, run_id));
    assert_int_equal(e->loads, 1);
    FloApi__PollWorkflowTaskQueueResponse *task = engine_task(e, engine_poll(e, "q"));
    engine_complete(e, task, NULL, NULL);
    assert_true(is_cold(e, run_id));

    engine_pass(e, 60 * FLO_NS_PER_S); /* its timer fires */
    assert_false(is_cold(e, run_id));
    task = engine_task(e, engine_poll(e, "q"));
    engine_complete(e, task, NULL, NULL);
    assert_true(is_cold(e, run_id));

    assert_non_null(strstr(engine_event_names(e, "wf"), "TIMER_FIRED"));
    engine_terminate(e, "wf");
    flo_core_stats(e->core, &stats);
    assert_int_equal(stats.open_runs, 0);
    assert_int_equal(stats.cold_runs, 0);
    engine_free(e);
}

/* The workflow id of a cold run is taken. */
static void test_cold_run_keeps_its_workflow_id(void **state)
{
    (void)state;
    struct engine *e = engine_without_room();
    const char *run_id = start_waiting(e, "wf", 0);
    assert_true(is_cold(e, run_id));
    FloApi__StartWorkflowExecutionRequest *request = engine_start_request(e, "wf", "q");
    request->request_id = (char *)(uintptr_t) "another";
    assert_non_null(strstr(engine_try(e, "StartWorkflowExecution", &request->base),
                           "WorkflowExecutionAlreadyStartedFailure"));
    engine_free(e);
}

/* What comes back is what left: the same state, byte by byte, as is stored. */
static void test_cold_run_comes_back_whole(void **state)
{
    (void)state;
    struct engine *e = engine_without_room();
    engine_start(e, "wf", "q");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_task(e, engine_poll(e, "q"));
    FloApi__RespondWorkflowTaskCompletedRequest *completion = engine_completion(e, task);
    engine_add_command(e, completion, engine_cmd_timer(e, "a", 100 * FLO_NS_PER_S));
    engine_add_command(e, completion, engine_cmd_timer(e, "b", 200 * FLO_NS_PER_S));
    engine_stick(e, completion, "q");
    engine_do(e, "RespondWorkflowTaskCompleted", &completion->base);
    struct flo_core_stats stats;
    flo_core_stats(e->core, &stats);
    assert_int_equal(stats.cold_runs, 1);

    const struct engine_stored_run stored = e->runs[e->run_count - 1];
    struct flo_execution *execution = flo_core_resident(e->core, stored.run_id);
    assert_non_null(execution);
    struct flo_core_run_row row;
    struct flo_core_history_row *histories;
    size_t count;
    assert_int_equal(flo_execution_collect(execution, &e->arena, &row, &histories, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(row.state_len, stored.state_len);
    assert_memory_equal(row.state, stored.state, stored.state_len);
    assert_non_null(execution->sticky_queue);
    engine_free(e);
}

/* One that somebody waits for stays: a long poll for its end is answered when it ends. */
static void test_watched_run_stays(void **state)
{
    (void)state;
    struct engine *e = engine_without_room();
    const char *run_id = start_waiting(e, "wf", 0);
    FloApi__GetWorkflowExecutionHistoryRequest request =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    request.namespace_ = (char *)(uintptr_t) "default";
    request.execution = engine_run(e, "wf", NULL);
    request.wait_new_event = true;
    request.history_event_filter_type =
        FLO_API__HISTORY_EVENT_FILTER_TYPE__HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
    const uint64_t call =
        engine_call(e, "GetWorkflowExecutionHistory", &request.base, 70 * FLO_NS_PER_S);
    assert_false(is_cold(e, run_id));
    engine_terminate(e, "wf");
    assert_non_null(engine_body(e, call));
    engine_free(e);
}

/* With room for some, those idle for longest go, and the budget holds. */
static void test_budget_holds(void **state)
{
    (void)state;
    const struct flo_core_options options = {.memory_limit = 20000};
    struct engine *e = engine_new_with(1, &options);
    const char *run_ids[40];
    struct flo_core_stats stats;
    for (int i = 0; i < 40; i++)
        run_ids[i] = start_waiting(e, engine_format(e, "wf-%d", i), 0);
    flo_core_stats(e->core, &stats);
    assert_int_equal(stats.open_runs, 40);
    assert_true(stats.resident_bytes <= 20000);
    assert_true(stats.cold_runs > 20 && stats.cold_runs < 40);
    assert_null(flo_core_in_memory(e->core, run_ids[0]));
    assert_non_null(flo_core_in_memory(e->core, run_ids[39]));
    for (int i = 0; i < 40; i++)
        engine_terminate(e, engine_format(e, "wf-%d", i));
    flo_core_stats(e->core, &stats);
    assert_int_equal(stats.open_runs, 0);
    assert_int_equal(stats.resident_bytes, 0);
    engine_free(e);
}

/* Runs that recovery has not come to are found by all their names; their tasks and timers come
 * with their turn. */
static void test_unseen_runs_are_found(void **state)
{
    (void)state;
    struct engine *e = engine_new(1);
    start_waiting(e, "by-id", 0);
    start_waiting(e, "timer", 10 * FLO_NS_PER_S);
    engine_start(e, "task", "q");
    struct flo_core_stats stats;
    e->lazy = true;
    engine_restart(e);
    flo_core_stats(e->core, &stats);
    assert_int_equal(stats.open_runs, 3);
    assert_int_equal(stats.cold_runs, 3);

    engine_signal(e, "by-id", "poke");
    const uint64_t poll = engine_poll(e, "q");
    assert_string_equal(engine_task_text(e, poll), "prev=3 started=7 attempt=1 events=1-7");
    const uint64_t next = engine_poll(e, "q");
    assert_string_equal(engine_outcome(e, next), "waits"); /* nobody knows of the task yet */
    engine_wake_all(e);
    assert_non_null(engine_task(e, next));
    flo_core_stats(e->core, &stats);
    assert_int_equal(stats.open_runs, 3);
    assert_int_equal(stats.cold_runs, 0);
    const uint64_t last = engine_poll(e, "q");
    engine_pass(e, 10 * FLO_NS_PER_S);
    assert_non_null(engine_task(e, last));
    engine_free(e);
}

/* A damaged one is DATA_LOSS when it is asked for, and no reason to end. */
static void test_damaged_cold_run_is_data_loss(void **state)
{
    (void)state;
    struct engine *e = engine_without_room();
    start_waiting(e, "bad", 60 * FLO_NS_PER_S);
    start_waiting(e, "good", 0);
    e->batches[0].event_count = 7; /* of "bad" */
    FloApi__DescribeWorkflowExecutionRequest request =
        FLO_API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = (char *)(uintptr_t) "default";
    request.execution = engine_run(e, "bad", NULL);
    assert_non_null(strstr(engine_try(e, "DescribeWorkflowExecution", &request.base), "DATA_LOSS"));
    FloApi__StartWorkflowExecutionRequest *start = engine_start_request(e, "bad", "q");
    assert_non_null(strstr(engine_try(e, "StartWorkflowExecution", &start->base), "DATA_LOSS"));
    engine_pass(e, 60 * FLO_NS_PER_S);
    engine_terminate(e, "good");
    engine_free(e);
}

/* A store that cannot be read ends the core: what the run would have done is not known. */
static void test_unreadable_store_is_fatal(void **state)
{
    (void)state;
    struct engine *e = engine_without_room();
    const char *why;
    start_waiting(e, "wf", 60 * FLO_NS_PER_S);
    e->fail_store = FLO_EIO;
    engine_pass(e, 60 * FLO_NS_PER_S);
    assert_int_equal(flo_core_failed(e->core, &why), FLO_EIO);
    e->fail_store = 0;
    engine_restart(e);
    engine_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cold_run_answers),
        cmocka_unit_test(test_cold_run_keeps_its_workflow_id),
        cmocka_unit_test(test_cold_run_comes_back_whole),
        cmocka_unit_test(test_watched_run_stays),
        cmocka_unit_test(test_budget_holds),
        cmocka_unit_test(test_unseen_runs_are_found),
        cmocka_unit_test(test_damaged_cold_run_is_data_loss),
        cmocka_unit_test(test_unreadable_store_is_fatal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
