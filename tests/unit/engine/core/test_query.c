/* SPDX-License-Identifier: Apache-2.0 */
/* test_query.c - queries: with a workflow task, as tasks of their own, of closed runs. */
#include <string.h>

#include "support/cmocka_env.h"
#include "support/engine_harness.h"

#include "base/clock.h"

static int setup(void **state)
{
    *state = engine_new(5);
    return 0;
}

static int teardown(void **state)
{
    engine_free(*state);
    return 0;
}

static uint64_t ask_if(struct engine *e, const char *workflow_id,
                       FloApi__QueryRejectCondition condition)
{
    FloApi__WorkflowQuery query = FLO_API__WORKFLOW_QUERY__INIT;
    FloApi__QueryWorkflowRequest request = FLO_API__QUERY_WORKFLOW_REQUEST__INIT;
    query.query_type = "state";
    request.namespace_ = "default";
    request.execution = engine_run(e, workflow_id, NULL);
    request.query = &query;
    request.query_reject_condition = condition;
    return engine_call(e, "QueryWorkflow", &request.base, 5 * FLO_NS_PER_S);
}

static uint64_t ask(struct engine *e, const char *workflow_id)
{
    return ask_if(e, workflow_id, 0);
}

/* The result of a query, or its outcome. */
static const char *result(struct engine *e, uint64_t call)
{
    const char *outcome = engine_outcome(e, call);
    if (strcmp(outcome, "OK") != 0)
        return outcome;
    const FloApi__QueryWorkflowResponse *response = engine_body(e, call);
    return engine_text(e, &response->base);
}

static const char *answer(struct engine *e, const FloApi__PollWorkflowTaskQueueResponse *task,
                          const char *json)
{
    FloApi__RespondQueryTaskCompletedRequest request =
        FLO_API__RESPOND_QUERY_TASK_COMPLETED_REQUEST__INIT;
    request.namespace_ = "default";
    request.task_token = task->task_token;
    request.completed_type = FLO_API__QUERY_RESULT_TYPE__QUERY_RESULT_TYPE_ANSWERED;
    request.query_result = engine_payloads(e, json);
    return engine_try(e, "RespondQueryTaskCompleted", &request.base);
}

/* A run whose first workflow task is completed; it waits for a timer. */
static void idle_run(struct engine *e, bool sticky)
{
    engine_start(e, "wf", "q");
    FloApi__RespondWorkflowTaskCompletedRequest *r =
        engine_completion(e, engine_task(e, engine_poll(e, "q")));
    engine_add_command(e, r, engine_cmd_timer(e, "1", 3600 * FLO_NS_PER_S));
    if (sticky)
        engine_stick(e, r, "q");
    engine_do(e, "RespondWorkflowTaskCompleted", &r->base);
}

/* An idle run: the query is a task of its own, on the sticky queue without history. */
static void test_query_idle_sticky_run(void **state)
{
    struct engine *e = *state;
    idle_run(e, true);
    uint64_t poll = engine_poll_sticky(e, "q");
    uint64_t query = ask(e, "wf");
    assert_string_equal(engine_task_text(e, poll),
                        "prev=3 started=0 attempt=1 events=none query=state");
    assert_string_equal(answer(e, engine_task(e, poll), "5"), "OK");
    assert_string_equal(result(e, query), "query_result=5");
    assert_string_equal(answer(e, engine_task(e, poll), "6"),
                        "NOT_FOUND | query task not found, or already expired | NotFoundFailure");
    assert_string_equal(engine_event_names(e, "wf"),
                        "1 EXECUTION_STARTED, 2 TASK_SCHEDULED, 3 TASK_STARTED, 4 TASK_COMPLETED, "
                        "5 TIMER_STARTED");
}

/* The sticky worker does not come: after its timeout any worker gets the query, with history. */
static void test_query_sticky_worker_gone_goes_to_normal_queue(void **state)
{
    struct engine *e = *state;
    idle_run(e, true);
    flo_core_cancel_call(e->core, engine_poll_sticky(e, "q"));
    uint64_t poll = engine_poll(e, "q"), query;
    FloApi__WorkflowQuery text = FLO_API__WORKFLOW_QUERY__INIT;
    FloApi__QueryWorkflowRequest request = FLO_API__QUERY_WORKFLOW_REQUEST__INIT;
    text.query_type = "state";
    request.namespace_ = "default";
    request.execution = engine_run(e, "wf", NULL);
    request.query = &text;
    query = engine_call(e, "QueryWorkflow", &request.base, 20 * FLO_NS_PER_S);
    assert_string_equal(engine_task_text(e, poll), "waits");
    engine_pass(e, 5 * FLO_NS_PER_S);
    assert_string_equal(engine_task_text(e, poll),
                        "prev=3 started=0 attempt=1 events=1-5 query=state");
    answer(e, engine_task(e, poll), "1");
    assert_string_equal(result(e, query), "query_result=1");
}

/* A pending workflow task carries the query; its completion answers. */
static void test_query_goes_with_the_pending_workflow_task(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    uint64_t query = ask(e, "wf");
    const FloApi__PollWorkflowTaskQueueResponse *task = engine_task(e, engine_poll(e, "q"));
    assert_string_equal(engine_task_line(e, task),
                        "prev=0 started=3 attempt=1 events=1-3 queries=1");
    FloApi__RespondWorkflowTaskCompletedRequest *r = engine_completion(e, task);
    FloApi__WorkflowQueryResult answered = FLO_API__WORKFLOW_QUERY_RESULT__INIT;
    answered.result_type = FLO_API__QUERY_RESULT_TYPE__QUERY_RESULT_TYPE_ANSWERED;
    answered.answer = engine_payloads(e, "7");
    FloApi__RespondWorkflowTaskCompletedRequest__QueryResultsEntry
        entry = FLO_API__RESPOND_WORKFLOW_TASK_COMPLETED_REQUEST__QUERY_RESULTS_ENTRY__INIT,
        *entries[] = {&entry};
    entry.key = task->queries[0]->key;
    entry.value = &answered;
    r->n_query_results = 1;
    r->query_results = entries;
    engine_do(e, "RespondWorkflowTaskCompleted", &r->base);
    assert_string_equal(result(e, query), "query_result=7");
}

/* A query that comes while a workflow task is out waits for its end, then goes directly. */
static void test_query_during_a_started_task_waits_for_its_end(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    const FloApi__PollWorkflowTaskQueueResponse *task = engine_task(e, engine_poll(e, "q"));
    uint64_t query = ask(e, "wf");
    uint64_t poll = engine_poll(e, "q");
    assert_string_equal(engine_task_text(e, poll), "waits");
    engine_complete(e, task, engine_cmd_timer(e, "1", 3600 * FLO_NS_PER_S), NULL);
    assert_string_equal(engine_task_text(e, poll),
                        "prev=3 started=0 attempt=1 events=1-5 query=state");
    answer(e, engine_task(e, poll), "8");
    assert_string_equal(result(e, query), "query_result=8");
}

/* A completion that does not answer its query releases it. */
static void test_query_unanswered_by_its_task_goes_directly(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    uint64_t query = ask(e, "wf");
    const FloApi__PollWorkflowTaskQueueResponse *task = engine_task(e, engine_poll(e, "q"));
    assert_int_equal(task->n_queries, 1);
    engine_complete(e, task, engine_cmd_complete(e), NULL);
    uint64_t poll = engine_poll(e, "q");
    assert_string_equal(engine_task_text(e, poll),
                        "prev=3 started=0 attempt=1 events=1-5 query=state");
    answer(e, engine_task(e, poll), "9");
    assert_string_equal(result(e, query), "query_result=9");
}

/* A run that is only stored answers with its whole history. */
static void test_query_stored_run(void **state)
{
    struct engine *e = *state;
    idle_run(e, false);
    engine_terminate(e, "wf");
    engine_pass(e, 2 * FLO_NS_PER_S);
    uint64_t query = ask(e, "wf"), poll = engine_poll(e, "q");
    assert_string_equal(engine_task_text(e, poll),
                        "prev=3 started=0 attempt=1 events=1-6 query=state");
    answer(e, engine_task(e, poll), "4");
    assert_string_equal(result(e, query), "query_result=4");
    assert_string_equal(
        result(e,
               ask_if(e, "wf", FLO_API__QUERY_REJECT_CONDITION__QUERY_REJECT_CONDITION_NOT_OPEN)),
        "query_rejected(status=WORKFLOW_EXECUTION_STATUS_TERMINATED)");
}

/* A failed query is the caller's INVALID_ARGUMENT. */
static void test_query_failed(void **state)
{
    struct engine *e = *state;
    idle_run(e, false);
    uint64_t query = ask(e, "wf"), poll = engine_poll(e, "q");
    FloApi__Failure failure = FLO_API__FAILURE__INIT;
    FloApi__RespondQueryTaskCompletedRequest request =
        FLO_API__RESPOND_QUERY_TASK_COMPLETED_REQUEST__INIT;
    failure.message = "nope";
    request.namespace_ = "default";
    request.task_token = engine_task(e, poll)->task_token;
    request.completed_type = FLO_API__QUERY_RESULT_TYPE__QUERY_RESULT_TYPE_FAILED;
    request.error_message = "nope";
    request.failure = &failure;
    engine_do(e, "RespondQueryTaskCompleted", &request.base);
    assert_string_equal(result(e, query), "INVALID_ARGUMENT | nope | QueryFailedFailure");
}

/* When no worker can ever answer, or none comes. */
static void test_query_not_ready(void **state)
{
    struct engine *e = *state;
    assert_string_equal(result(e, ask(e, "wf")),
                        "NOT_FOUND | workflow not found for ID: wf | NotFoundFailure");
    engine_start(e, "wf", "q");
    uint64_t waiting = ask(e, "wf");
    assert_string_equal(result(e, waiting), "waits");
    static const char *const closed = "FAILED_PRECONDITION | Workflow execution closed before "
                                      "WorkflowTaskStarted event | WorkflowNotReadyFailure";
    engine_terminate(e, "wf");
    assert_string_equal(result(e, waiting), closed);
    assert_string_equal(result(e, ask(e, "wf")), closed);
    idle_run(e, false);
    waiting = ask(e, "wf");
    engine_pass(e, 5 * FLO_NS_PER_S);
    assert_string_equal(result(e, waiting), "waits"); /* the caller's own timer comes first */
    engine_pass(e, 100 * FLO_NS_PER_MS);
    assert_string_equal(result(e, waiting),
                        "DEADLINE_EXCEEDED | query timed out before a worker could process it");
    flo_core_cancel_call(e->core, ask(e, "wf"));
    assert_string_equal(engine_task_text(e, engine_poll(e, "q")), "waits");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_query_idle_sticky_run),
        TEST(test_query_sticky_worker_gone_goes_to_normal_queue),
        TEST(test_query_goes_with_the_pending_workflow_task),
        TEST(test_query_during_a_started_task_waits_for_its_end),
        TEST(test_query_unanswered_by_its_task_goes_directly),
        TEST(test_query_stored_run),
        TEST(test_query_failed),
        TEST(test_query_not_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
