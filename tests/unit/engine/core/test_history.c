/* SPDX-License-Identifier: Apache-2.0 */
/* test_history.c - reading histories: pages, long polls, the close event, in reverse; of runs in
 * memory and of runs that are only stored. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "support/cmocka_env.h"
#include "support/engine_harness.h"

#include "base/clock.h"
#include "wire/payload.h"

static int setup(void **state)
{
    *state = engine_new(4);
    return 0;
}

static int teardown(void **state)
{
    engine_free(*state);
    return 0;
}

static FloApi__GetWorkflowExecutionHistoryRequest reading(struct engine *e, const char *workflow_id)
{
    FloApi__GetWorkflowExecutionHistoryRequest request =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    request.namespace_ = "default";
    request.execution = engine_run(e, workflow_id, NULL);
    return request;
}

/* "1-3 more", "none", "7" */
static const char *events_text(struct engine *e, const FloApi__History *history, size_t token_len)
{
    const char *more = token_len ? " more" : "";
    if (!history || !history->n_events)
        return engine_format(e, "none%s", more);
    const int64_t first = history->events[0]->event_id;
    const int64_t last = history->events[history->n_events - 1]->event_id;
    assert_int_equal(history->n_events, 1 + (last > first ? last - first : first - last));
    return engine_format(e, "%" PRId64 "-%" PRId64 "%s", first, last, more);
}

static const char *page_text(struct engine *e, uint64_t call)
{
    if (!engine_reply(e, call))
        return "waits";
    const FloApi__GetWorkflowExecutionHistoryResponse *response = engine_body(e, call);
    return events_text(e, response->history, response->next_page_token.len);
}

static uint64_t read_history(struct engine *e, FloApi__GetWorkflowExecutionHistoryRequest *request)
{
    return engine_call(e, "GetWorkflowExecutionHistory", &request->base, 0);
}

/* The next page of call. */
static uint64_t read_on(struct engine *e, FloApi__GetWorkflowExecutionHistoryRequest *request,
                        uint64_t call)
{
    const FloApi__GetWorkflowExecutionHistoryResponse *response = engine_body(e, call);
    request->next_page_token = response->next_page_token;
    return read_history(e, request);
}

/* Ten timers: batches {1,2} {3} {4..14}. */
static void ten_timers(struct engine *e)
{
    engine_start(e, "wf", "q");
    FloApi__RespondWorkflowTaskCompletedRequest *r =
        engine_completion(e, engine_task(e, engine_poll(e, "q")));
    for (int i = 0; i < 10; i++)
        engine_add_command(e, r,
                           engine_cmd_timer(e, engine_format(e, "%d", i), 600 * FLO_NS_PER_S));
    engine_do(e, "RespondWorkflowTaskCompleted", &r->base);
}

/* The page size counts batches. The same from memory and from the store. */
static void test_history_pages_are_batches(void **state)
{
    struct engine *e = *state;
    ten_timers(e);
    FloApi__GetWorkflowExecutionHistoryRequest r = reading(e, "wf");
    r.maximum_page_size = 2;
    uint64_t call = read_history(e, &r);
    assert_string_equal(page_text(e, call), "1-3 more");
    assert_string_equal(page_text(e, read_on(e, &r, call)), "4-14");
    engine_terminate(e, "wf");
    r = reading(e, "wf");
    r.maximum_page_size = 2;
    call = read_history(e, &r);
    assert_string_equal(page_text(e, call), "1-3 more");
    call = read_on(e, &r, call);
    assert_string_equal(page_text(e, call), "4-15");
}

/* Newest first, whole batches. */
static void test_history_reverse(void **state)
{
    struct engine *e = *state;
    ten_timers(e);
    FloApi__GetWorkflowExecutionHistoryReverseRequest r =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REVERSE_REQUEST__INIT;
    r.namespace_ = "default";
    r.execution = engine_run(e, "wf", NULL);
    for (int closed = 0; closed < 2; closed++) {
        const int last = 14 + closed;
        const FloApi__GetWorkflowExecutionHistoryReverseResponse *response;
        if (closed)
            engine_terminate(e, "wf");
        r.maximum_page_size = 5;
        r.next_page_token = (ProtobufCBinaryData){0};
        response = engine_do(e, "GetWorkflowExecutionHistoryReverse", &r.base);
        assert_string_equal(events_text(e, response->history, response->next_page_token.len),
                            engine_format(e, "%d-1", last));
        r.maximum_page_size = 1 + closed;
        response = engine_do(e, "GetWorkflowExecutionHistoryReverse", &r.base);
        assert_string_equal(events_text(e, response->history, response->next_page_token.len),
                            engine_format(e, "%d-4 more", last));
        r.next_page_token = response->next_page_token;
        response = engine_do(e, "GetWorkflowExecutionHistoryReverse", &r.base);
        assert_string_equal(events_text(e, response->history, response->next_page_token.len),
                            closed ? "3-1" : "3-3 more");
    }
}

/* Page tokens that are not ours, or of another run, are refused. */
static void test_history_foreign_token_is_refused(void **state)
{
    struct engine *e = *state;
    ten_timers(e);
    engine_start(e, "other", "q");
    FloApi__GetWorkflowExecutionHistoryRequest r = reading(e, "wf");
    r.maximum_page_size = 1;
    const FloApi__GetWorkflowExecutionHistoryResponse *response =
        engine_do(e, "GetWorkflowExecutionHistory", &r.base);
    r.next_page_token = response->next_page_token;
    r.execution = engine_run(e, "other", NULL);
    static const char *const invalid = "INVALID_ARGUMENT | Invalid NextPageToken.";
    assert_string_equal(engine_try(e, "GetWorkflowExecutionHistory", &r.base), invalid);
    r.execution = engine_run(e, "wf", "00000000-0000-0000-0000-000000000000");
    assert_string_equal(
        engine_try(e, "GetWorkflowExecutionHistory", &r.base),
        "INVALID_ARGUMENT | RunId in the request does not match the NextPageToken.");
    r.execution = engine_run(e, "wf", NULL);
    for (size_t i = 0; i < r.next_page_token.len; i++) {
        r.next_page_token.data[i] ^= 1;
        assert_string_equal(engine_try(e, "GetWorkflowExecutionHistory", &r.base), invalid);
        r.next_page_token.data[i] ^= 1;
    }
    r.next_page_token.len--;
    assert_string_equal(engine_try(e, "GetWorkflowExecutionHistory", &r.base), invalid);
}

/* All events, waiting: what is there, then each new event, then an empty page after 20 s. */
static void test_history_long_poll_for_events(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__GetWorkflowExecutionHistoryRequest r = reading(e, "wf");
    r.wait_new_event = true;
    uint64_t call = read_history(e, &r);
    assert_string_equal(page_text(e, call), "1-2 more");
    call = read_on(e, &r, call);
    assert_string_equal(page_text(e, call), "waits");
    engine_signal(e, "wf", "s");
    assert_string_equal(page_text(e, call), "3-3 more");
    call = read_on(e, &r, call);
    engine_pass(e, 20 * FLO_NS_PER_S - 1);
    assert_string_equal(page_text(e, call), "waits");
    engine_pass(e, 1);
    assert_string_equal(page_text(e, call), "none more");
    call = read_on(e, &r, call);
    engine_terminate(e, "wf");
    assert_string_equal(page_text(e, call), "4-4");
}

/* The close event: nothing without waiting, then the event, which waits for its commit. */
static void test_history_close_event(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__GetWorkflowExecutionHistoryRequest r = reading(e, "wf");
    r.history_event_filter_type =
        FLO_API__HISTORY_EVENT_FILTER_TYPE__HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
    assert_string_equal(page_text(e, read_history(e, &r)), "none");
    r.wait_new_event = true;
    uint64_t call = read_history(e, &r), given_up = read_history(e, &r);
    flo_core_cancel_call(e->core, given_up);
    engine_signal(e, "wf", "s");
    assert_string_equal(page_text(e, call), "waits");
    e->auto_commit = false;
    engine_complete(e, engine_task(e, engine_poll(e, "q")), engine_cmd_complete(e), NULL);
    assert_string_equal(page_text(e, call), "6-6");
    assert_null(engine_reply(e, given_up));
    assert_true(engine_reply(e, call)->after > 0);
    assert_int_equal(engine_reply(e, call)->after, engine_commit(e));
    uint64_t stored = read_history(e, &r);
    assert_string_equal(page_text(e, stored), "6-6");
    assert_int_equal(engine_reply(e, stored)->after, 0);
}

/* A run that is retried: clients that do not follow new_execution_run_id see ContinuedAsNew. */
static void test_history_close_event_with_new_run_is_converted(void **state)
{
    struct engine *e = *state;
    FloApi__StartWorkflowExecutionRequest *start = engine_start_request(e, "wf", "q");
    FloApi__RetryPolicy policy = FLO_API__RETRY_POLICY__INIT;
    policy.maximum_attempts = 2;
    start->retry_policy = &policy;
    const FloApi__StartWorkflowExecutionResponse *run =
        engine_do(e, "StartWorkflowExecution", &start->base);
    FloApi__Failure failure = FLO_API__FAILURE__INIT;
    failure.message = "wf";
    FloApi__FailWorkflowExecutionCommandAttributes attributes =
        FLO_API__FAIL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES__INIT;
    attributes.failure = &failure;
    FloApi__Command fail = FLO_API__COMMAND__INIT;
    fail.command_type = FLO_API__COMMAND_TYPE__COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION;
    fail.attributes_case = FLO_API__COMMAND__ATTRIBUTES_FAIL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    fail.fail_workflow_execution_command_attributes = &attributes;
    engine_complete(e, engine_task(e, engine_poll(e, "q")), &fail, NULL);
    FloApi__GetWorkflowExecutionHistoryRequest r = reading(e, "wf");
    r.execution = engine_run(e, "wf", run->run_id);
    r.history_event_filter_type =
        FLO_API__HISTORY_EVENT_FILTER_TYPE__HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
    const FloApi__GetWorkflowExecutionHistoryResponse *response =
        engine_do(e, "GetWorkflowExecutionHistory", &r.base);
    assert_string_equal(
        engine_text(e, &response->history->events[0]
                            ->workflow_execution_continued_as_new_event_attributes->base),
        "failure(message=wf)");
    e->follows_next_run_id = true;
    response = engine_do(e, "GetWorkflowExecutionHistory", &r.base);
    assert_int_equal(response->history->events[0]->event_type,
                     FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_FAILED);
}

/* Unknown runs, bad ids, a store that cannot be read. */
static void test_history_errors(void **state)
{
    struct engine *e = *state;
    FloApi__GetWorkflowExecutionHistoryRequest r = reading(e, "wf");
    assert_string_equal(engine_try(e, "GetWorkflowExecutionHistory", &r.base),
                        "NOT_FOUND | workflow not found for ID: wf | NotFoundFailure");
    r.execution = engine_run(e, "wf", "00000000-0000-0000-0000-000000000000");
    assert_string_equal(engine_try(e, "GetWorkflowExecutionHistory", &r.base),
                        "NOT_FOUND | workflow execution not found for workflow ID \"wf\" and run "
                        "ID \"00000000-0000-0000-0000-000000000000\" | NotFoundFailure");
    r.execution = NULL;
    assert_string_equal(engine_try(e, "GetWorkflowExecutionHistory", &r.base),
                        "INVALID_ARGUMENT | Execution is not set on request.");
    engine_start(e, "wf", "q");
    engine_terminate(e, "wf");
    e->fail_store = FLO_EIO;
    r.execution = engine_run(e, "wf", NULL);
    assert_string_equal(engine_try(e, "GetWorkflowExecutionHistory", &r.base),
                        "UNAVAILABLE | the store cannot be read");
}

/* A history of many batches comes to the worker in pages of 256, the last one complete. */
static void test_long_history_is_paged_to_the_worker(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    for (int i = 0; i < 300; i++)
        engine_signal(e, "wf", "s");
    const FloApi__PollWorkflowTaskQueueResponse *task = engine_task(e, engine_poll(e, "q"));
    assert_string_equal(engine_task_line(e, task),
                        "prev=0 started=303 attempt=1 events=1-257 page");
    FloApi__GetWorkflowExecutionHistoryRequest r = reading(e, "wf");
    r.execution = task->workflow_execution;
    r.next_page_token = task->next_page_token;
    assert_string_equal(page_text(e, read_history(e, &r)), "258-303");
}

/* The pages of a transient task end with its synthetic events; a plain read does not show them. */
static void test_transient_task_events_end_the_last_page(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    for (int i = 0; i < 300; i++)
        engine_signal(e, "wf", "s");
    for (int i = 0; i < 2; i++) {
        FloApi__RespondWorkflowTaskFailedRequest failed =
            FLO_API__RESPOND_WORKFLOW_TASK_FAILED_REQUEST__INIT;
        failed.namespace_ = "default";
        failed.task_token = engine_task(e, engine_poll(e, "q"))->task_token;
        engine_do(e, "RespondWorkflowTaskFailed", &failed.base);
    }
    const FloApi__PollWorkflowTaskQueueResponse *task = engine_task(e, engine_poll(e, "q"));
    assert_string_equal(engine_task_line(e, task),
                        "prev=0 started=306 attempt=3 events=1-257 page");
    FloApi__GetWorkflowExecutionHistoryRequest r = reading(e, "wf");
    r.next_page_token = task->next_page_token;
    assert_string_equal(page_text(e, read_history(e, &r)), "258-306");
    r.next_page_token = (ProtobufCBinaryData){0};
    assert_string_equal(page_text(e, read_on(e, &r, read_history(e, &r))), "258-304");
}

/* Pages also end at about 3 MiB. */
static void test_large_events_are_paged_by_bytes(void **state)
{
    struct engine *e = *state;
    char *big = flo_arena_alloc(&e->arena, (1 << 20) + 1);
    memset(big, '1', 1 << 20);
    big[1 << 20] = '\0';
    engine_start(e, "wf", "q");
    FloApi__SignalWorkflowExecutionRequest signal =
        FLO_API__SIGNAL_WORKFLOW_EXECUTION_REQUEST__INIT;
    signal.namespace_ = "default";
    signal.workflow_execution = engine_run(e, "wf", NULL);
    signal.signal_name = "s";
    signal.input = engine_payloads(e, big);
    for (int i = 0; i < 5; i++)
        engine_do(e, "SignalWorkflowExecution", &signal.base);
    for (int closed = 0; closed < 2; closed++) {
        FloApi__GetWorkflowExecutionHistoryRequest r = reading(e, "wf");
        uint64_t call = read_history(e, &r);
        assert_string_equal(page_text(e, call), "1-4 more");
        call = read_on(e, &r, call);
        assert_string_equal(page_text(e, call), "5-6 more");
        assert_string_equal(page_text(e, read_on(e, &r, call)), closed ? "7-8" : "7-7");
        if (!closed)
            engine_terminate(e, "wf");
    }
}

/* 10,000 calls may wait for events in a namespace; the next is refused, until one has left. */
static void test_history_wait_limit(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__GetWorkflowExecutionHistoryRequest r = reading(e, "wf");
    r.wait_new_event = true;
    uint64_t first = read_on(e, &r, read_history(e, &r));
    for (int i = 1; i < 10000; i++)
        read_history(e, &r);
    assert_string_equal(page_text(e, first), "waits");
    assert_string_equal(engine_outcome(e, read_history(e, &r)),
                        "RESOURCE_EXHAUSTED | namespace concurrent history long poll limit "
                        "exceeded | ResourceExhaustedFailure");
    flo_core_cancel_call(e->core, first);
    assert_string_equal(page_text(e, read_history(e, &r)), "waits");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_history_pages_are_batches),
        TEST(test_history_reverse),
        TEST(test_history_foreign_token_is_refused),
        TEST(test_history_long_poll_for_events),
        TEST(test_history_close_event),
        TEST(test_history_close_event_with_new_run_is_converted),
        TEST(test_history_errors),
        TEST(test_long_history_is_paged_to_the_worker),
        TEST(test_transient_task_events_end_the_last_page),
        TEST(test_large_events_are_paged_by_bytes),
        TEST(test_history_wait_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
