/* SPDX-License-Identifier: Apache-2.0 */
/* test_job.c - batch jobs: lists of runs, windows of a query, rates, stops, crashes. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/engine_harness.h"

#define S FLO_NS_PER_S

/* A request to signal "hello", for "a" and "b" unless they are taken out. */
static FloApi__StartBatchOperationRequest *job_request(struct engine *e, const char *id)
{
    FloApi__StartBatchOperationRequest *request = flo_arena_alloc(&e->arena, sizeof *request);
    FloApi__BatchOperationSignal *signal = flo_arena_alloc(&e->arena, sizeof *signal);
    assert_true(request && signal);
    flo_api__start_batch_operation_request__init(request);
    flo_api__batch_operation_signal__init(signal);
    signal->signal = (char *)"hello";
    signal->identity = (char *)"me";
    request->namespace_ = (char *)"default";
    request->job_id = (char *)(uintptr_t)engine_format(e, "%s", id);
    request->reason = (char *)"why";
    request->operation_case = FLO_API__START_BATCH_OPERATION_REQUEST__OPERATION_SIGNAL_OPERATION;
    request->signal_operation = signal;
    request->executions = flo_arena_calloc(&e->arena, 2, sizeof(void *));
    request->executions[0] = engine_run(e, "a", "");
    request->executions[1] = engine_run(e, "b", "");
    request->n_executions = 2;
    return request;
}

static const char *start_job(struct engine *e, const FloApi__StartBatchOperationRequest *request)
{
    return engine_try(e, "StartBatchOperation", &request->base);
}

/* "COMPLETED 2 of 2, 0 failed" */
static const char *job_text(struct engine *e, const char *id)
{
    FloApi__DescribeBatchOperationRequest request = FLO_API__DESCRIBE_BATCH_OPERATION_REQUEST__INIT;
    static const char *const states[] = {"UNSPECIFIED", "RUNNING", "COMPLETED", "FAILED"};
    request.namespace_ = (char *)"default";
    request.job_id = (char *)(uintptr_t)engine_format(e, "%s", id);
    const FloApi__DescribeBatchOperationResponse *job =
        engine_do(e, "DescribeBatchOperation", &request.base);
    return engine_format(e, "%s %d of %d, %d failed", states[job->state],
                         (int)job->complete_operation_count, (int)job->total_operation_count,
                         (int)job->failure_operation_count);
}

static const char *stop_job(struct engine *e, const char *id)
{
    FloApi__StopBatchOperationRequest request = FLO_API__STOP_BATCH_OPERATION_REQUEST__INIT;
    request.namespace_ = (char *)"default";
    request.job_id = (char *)(uintptr_t)engine_format(e, "%s", id);
    request.reason = (char *)"enough";
    return engine_try(e, "StopBatchOperation", &request.base);
}

static int signals_of(struct engine *e, const char *workflow_id)
{
    int count = 0;
    for (const char *at = engine_history(e, workflow_id); (at = strstr(at, "_SIGNALED")); at++)
        count++;
    return count;
}

/* What the shell does: the runs named, as long as their numbers are in the range. */
static void answer_job(struct engine *e, const char *const *ids, size_t count)
{
    struct flo_core_job_question question;
    assert_true(flo_core_job_asks(e->core, &question));
    struct flo_core_job_answer answer = {
        .end_key = question.last_key, .counted = true, .total = (int64_t)count};
    flo_core_job_begin_answer(question.job);
    for (size_t i = 0; i < count; i++)
        if (i + 1 > question.after_key)
            assert_int_equal(flo_core_job_target(e->core, question.job, i + 1, ids[i], ""), 0);
    flo_core_job_answer(e->core, question.job, &answer);
}

/* A list of runs: each gets it once; one that is not there is as good as done. */
static void test_list_is_done_once(void **state)
{
    (void)state;
    struct engine *e = engine_new(1);
    engine_start(e, "a", "q");
    FloApi__StartBatchOperationRequest *request = job_request(e, "job");
    assert_string_equal(start_job(e, request), "OK");
    assert_string_equal(job_text(e, "job"), "RUNNING 0 of 2, 0 failed");
    engine_pass(e, S);
    assert_string_equal(job_text(e, "job"), "COMPLETED 2 of 2, 0 failed");
    assert_int_equal(signals_of(e, "a"), 1);
    assert_non_null(strstr(start_job(e, request), "ALREADY_EXISTS"));
    assert_string_equal(stop_job(e, "job"), "NOT_FOUND | workflow execution already completed | "
                                            "NotFoundFailure");
    engine_pass(e, 25 * 3600 * S); /* the retention of the namespace */
    assert_string_equal(start_job(e, request), "OK");
    engine_free(e);
}

/* The rate of the request holds, one job runs at a time, and a stop is the end. */
static void test_rate_and_stop(void **state)
{
    (void)state;
    struct engine *e = engine_new(1);
    engine_start(e, "a", "q");
    engine_start(e, "b", "q");
    FloApi__StartBatchOperationRequest *request = job_request(e, "slow");
    request->max_operations_per_second = 0.1F;
    assert_string_equal(start_job(e, request), "OK");
    engine_pass(e, S);
    assert_string_equal(job_text(e, "slow"), "RUNNING 1 of 2, 0 failed");
    assert_string_equal(start_job(e, job_request(e, "other")),
                        "RESOURCE_EXHAUSTED | Max concurrent batch operations is reached | "
                        "ResourceExhaustedFailure");
    assert_string_equal(stop_job(e, "slow"), "OK");
    engine_pass(e, 60 * S);
    assert_string_equal(job_text(e, "slow"), "FAILED 1 of 2, 0 failed");
    assert_int_equal(signals_of(e, "a"), 1);
    assert_int_equal(signals_of(e, "b"), 0);
    engine_free(e);
}

/* After a crash a job goes on behind the last run whose change is durable. */
static void test_crash_repeats_nothing(void **state)
{
    (void)state;
    struct engine *e = engine_new(1);
    engine_start(e, "a", "q");
    engine_start(e, "b", "q");
    FloApi__StartBatchOperationRequest *request = job_request(e, "job");
    request->max_operations_per_second = 0.1F;
    assert_string_equal(start_job(e, request), "OK");
    engine_pass(e, S);
    assert_int_equal(signals_of(e, "a"), 1);
    engine_restart(e);
    engine_pass(e, 60 * S);
    assert_string_equal(job_text(e, "job"), "COMPLETED 2 of 2, 0 failed");
    assert_int_equal(signals_of(e, "a"), 1);
    assert_int_equal(signals_of(e, "b"), 1);
    /* What was done and not committed is done again, and only once is it there. */
    e->auto_commit = false;
    request = job_request(e, "lost");
    assert_string_equal(start_job(e, request), "OK");
    engine_commit(e);
    engine_pass(e, S / 2);
    assert_int_equal(signals_of(e, "a"), 2);
    engine_restart(e);
    e->auto_commit = true;
    engine_pass(e, S);
    assert_string_equal(job_text(e, "lost"), "COMPLETED 2 of 2, 0 failed");
    assert_int_equal(signals_of(e, "a"), 2);
    engine_free(e);
}

/* A query: the shell is asked for windows of runs once the job is durable. */
static void test_query_asks_for_windows(void **state)
{
    static const char *const ids[] = {"a", "b"};
    struct flo_core_job_question question;
    (void)state;
    struct engine *e = engine_new(1);
    engine_start(e, "a", "q");
    engine_start(e, "b", "q");
    FloApi__StartBatchOperationRequest *request = job_request(e, "job");
    request->n_executions = 0;
    request->visibility_query = (char *)"WorkflowType = 'T'";
    assert_string_equal(start_job(e, request), "OK");
    engine_pass(e, S);
    assert_true(flo_core_job_asks(e->core, &question));
    assert_string_equal(question.query, "WorkflowType = 'T'");
    assert_true(question.open_only && question.count);
    assert_int_equal(question.after_key, 0);
    assert_int_equal(question.last_key, 2);
    answer_job(e, ids, 2);
    assert_false(flo_core_job_asks(e->core, &question));
    engine_pass(e, S);
    assert_string_equal(job_text(e, "job"), "COMPLETED 2 of 2, 0 failed");
    assert_int_equal(signals_of(e, "b"), 1);

    request = job_request(e, "bad");
    request->n_executions = 0;
    request->visibility_query = (char *)"nonsense";
    assert_string_equal(start_job(e, request), "OK");
    engine_pass(e, S);
    assert_true(flo_core_job_asks(e->core, &question));
    const struct flo_core_job_answer refused = {.refused = true};
    flo_core_job_answer(e->core, question.job, &refused);
    assert_string_equal(job_text(e, "bad"), "FAILED 0 of 0, 0 failed");
    engine_free(e);
}

/* Terminate, cancel, delete; a run that is over is as good as done, a bad id is not. */
static void test_operations(void **state)
{
    FloApi__BatchOperationTermination termination = FLO_API__BATCH_OPERATION_TERMINATION__INIT;
    FloApi__BatchOperationCancellation cancellation = FLO_API__BATCH_OPERATION_CANCELLATION__INIT;
    FloApi__BatchOperationDeletion deletion = FLO_API__BATCH_OPERATION_DELETION__INIT;
    (void)state;
    struct engine *e = engine_new(1);
    engine_start(e, "a", "q");
    engine_start(e, "b", "q");
    engine_terminate(e, "b");

    FloApi__StartBatchOperationRequest *request = job_request(e, "cancel");
    request->operation_case =
        FLO_API__START_BATCH_OPERATION_REQUEST__OPERATION_CANCELLATION_OPERATION;
    request->cancellation_operation = &cancellation;
    request->executions[1] = engine_run(e, "b", "no-run");
    assert_string_equal(start_job(e, request), "OK");
    engine_pass(e, S);
    assert_string_equal(job_text(e, "cancel"), "COMPLETED 1 of 2, 1 failed");
    assert_non_null(strstr(engine_history(e, "a"), "CANCEL_REQUESTED"));

    request = job_request(e, "terminate");
    request->operation_case =
        FLO_API__START_BATCH_OPERATION_REQUEST__OPERATION_TERMINATION_OPERATION;
    request->termination_operation = &termination;
    assert_string_equal(start_job(e, request), "OK");
    engine_pass(e, S);
    assert_string_equal(job_text(e, "terminate"), "COMPLETED 2 of 2, 0 failed");
    assert_non_null(strstr(engine_history(e, "a"), "TERMINATED reason=why"));

    request = job_request(e, "delete");
    request->operation_case = FLO_API__START_BATCH_OPERATION_REQUEST__OPERATION_DELETION_OPERATION;
    request->deletion_operation = &deletion;
    assert_string_equal(start_job(e, request), "OK");
    engine_pass(e, S);
    assert_string_equal(job_text(e, "delete"), "COMPLETED 2 of 2, 0 failed");
    FloApi__DescribeWorkflowExecutionRequest describe =
        FLO_API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    describe.namespace_ = (char *)"default";
    describe.execution = engine_run(e, "a", "");
    assert_non_null(strstr(engine_try(e, "DescribeWorkflowExecution", &describe.base),
                           "NOT_FOUND | workflow not found for ID: a"));
    engine_free(e);
}

/* Resets of an open run and of one that is only stored; one without a workflow task cannot be. */
static void test_resets(void **state)
{
    Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
    FloApi__ResetOptions options = FLO_API__RESET_OPTIONS__INIT;
    FloApi__BatchOperationReset operation = FLO_API__BATCH_OPERATION_RESET__INIT;
    options.target_case = FLO_API__RESET_OPTIONS__TARGET_LAST_WORKFLOW_TASK;
    options.last_workflow_task = &empty;
    operation.options = &options;
    (void)state;
    struct engine *e = engine_new(1);
    engine_start(e, "b", "q");
    engine_complete(e, engine_task(e, engine_poll(e, "q")), engine_cmd_complete(e), NULL);
    engine_restart(e);
    engine_start(e, "a", "q");
    engine_complete(e, engine_task(e, engine_poll(e, "q")), NULL, NULL);
    engine_signal(e, "a", "s");
    FloApi__StartBatchOperationRequest *request = job_request(e, "last");
    request->operation_case = FLO_API__START_BATCH_OPERATION_REQUEST__OPERATION_RESET_OPERATION;
    request->reset_operation = &operation;
    assert_string_equal(start_job(e, request), "OK");
    engine_pass(e, S);
    assert_string_equal(job_text(e, "last"), "COMPLETED 2 of 2, 0 failed");
    engine_restart(e);
    assert_non_null(strstr(engine_history(e, "a"), "5 WORKFLOW_EXECUTION_SIGNALED"));
    assert_non_null(strstr(engine_history(e, "a"), "4 WORKFLOW_TASK_FAILED"));
    assert_non_null(strstr(engine_history(e, "b"), "4 WORKFLOW_TASK_FAILED"));

    request->job_id = (char *)"twice";
    request->executions[1] = engine_run(e, "a", "");
    assert_string_equal(start_job(e, request), "OK");
    engine_pass(e, S);
    assert_string_equal(job_text(e, "twice"), "COMPLETED 2 of 2, 0 failed");
    assert_int_equal(signals_of(e, "a"), 1);

    options.target_case = FLO_API__RESET_OPTIONS__TARGET_BUILD_ID;
    options.build_id = (char *)"none";
    request->job_id = (char *)"build";
    assert_string_equal(start_job(e, request), "OK");
    engine_pass(e, S);
    assert_string_equal(job_text(e, "build"), "COMPLETED 0 of 2, 2 failed");
    options.target_case = FLO_API__RESET_OPTIONS__TARGET__NOT_SET;
    request->job_id = (char *)"nowhere";
    assert_non_null(strstr(start_job(e, request), "batch reset missing target"));
    engine_free(e);
}

/* What cannot be a job, with the server's sentences. */
static void test_refused(void **state)
{
    (void)state;
    struct engine *e = engine_new(1);
    FloApi__StartBatchOperationRequest *request = job_request(e, "");
    assert_string_equal(start_job(e, request), "INVALID_ARGUMENT | JobId is not set on request.");
    request->reason = (char *)"";
    assert_non_null(strstr(start_job(e, request), "must provide required parameters: BatchType"));
    request = job_request(e, "j");
    request->signal_operation->signal = (char *)"";
    assert_string_equal(start_job(e, request),
                        "INVALID_ARGUMENT | SignalName is not set on request.");
    assert_string_equal(stop_job(e, "none"),
                        "NOT_FOUND | workflow not found for ID: none | NotFoundFailure");
    engine_free(e);
}

/* Lists: running ones first, then those that ended last; pages. */
static void test_list_order_and_pages(void **state)
{
    FloApi__ListBatchOperationsRequest request = FLO_API__LIST_BATCH_OPERATIONS_REQUEST__INIT;
    (void)state;
    struct engine *e = engine_new(1);
    engine_start(e, "a", "q");
    for (int i = 0; i < 3; i++) {
        FloApi__StartBatchOperationRequest *job = job_request(e, i == 0   ? "one"
                                                                 : i == 1 ? "two"
                                                                          : "three");
        job->max_operations_per_second = i == 2 ? 0.1F : 0;
        assert_string_equal(start_job(e, job), "OK");
        engine_pass(e, S);
    }
    request.namespace_ = (char *)"default";
    request.page_size = 2;
    const FloApi__ListBatchOperationsResponse *page =
        engine_do(e, "ListBatchOperations", &request.base);
    assert_int_equal(page->n_operation_info, 2);
    assert_string_equal(page->operation_info[0]->job_id, "three");
    assert_string_equal(page->operation_info[1]->job_id, "two");
    request.next_page_token = page->next_page_token;
    page = engine_do(e, "ListBatchOperations", &request.base);
    assert_int_equal(page->n_operation_info, 1);
    assert_string_equal(page->operation_info[0]->job_id, "one");
    assert_int_equal(page->next_page_token.len, 0);
    engine_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_is_done_once),
        cmocka_unit_test(test_rate_and_stop),
        cmocka_unit_test(test_crash_repeats_nothing),
        cmocka_unit_test(test_query_asks_for_windows),
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_list_order_and_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
