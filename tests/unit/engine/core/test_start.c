/* SPDX-License-Identifier: Apache-2.0 */
/* test_start.c - starting runs: what is refused, what the policies say, what repeats find. */
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

static const char *try_start(struct engine *e, FloApi__StartWorkflowExecutionRequest *request)
{
    return engine_try(e, "StartWorkflowExecution", &request->base);
}

/* The first two events are one batch and look as a real server's. */
static void test_start_writes_started_and_scheduled(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    assert_string_equal(engine_history(e, "wf"),
                        "1 WORKFLOW_EXECUTION_STARTED workflow_type(name=T) task_queue=NORMAL "
                        "workflow_task_timeout=10s attempt=1 first_workflow_task_backoff=0s\n"
                        "2 WORKFLOW_TASK_SCHEDULED task_queue=NORMAL start_to_close_timeout=10s "
                        "attempt=1\n");
}

/* The answer to a start waits for the commit that holds it. */
static void test_start_waits_for_its_commit(void **state)
{
    struct engine *e = *state;
    e->auto_commit = false;
    uint64_t call =
        engine_call(e, "StartWorkflowExecution", &engine_start_request(e, "wf", "q")->base, 0);
    assert_true(flo_core_wants_commit(e->core));
    assert_int_equal(engine_reply(e, call)->after, engine_commit(e));
}

/* Every bad request is refused with the words that clients know. */
static void test_start_invalid_requests_are_refused(void **state)
{
    struct engine *e = *state;
    FloApi__StartWorkflowExecutionRequest *r = engine_start_request(e, "", "q");
    assert_string_equal(try_start(e, r), "INVALID_ARGUMENT | WorkflowId is not set on request.");
    r = engine_start_request(e, "wf", "q");
    r->workflow_type = NULL;
    assert_string_equal(try_start(e, r), "INVALID_ARGUMENT | WorkflowType is not set on request.");
    r = engine_start_request(e, "wf", "");
    assert_string_equal(try_start(e, r), "INVALID_ARGUMENT | missing task queue name");
    r = engine_start_request(e, "wf", "q");
    r->task_queue = NULL;
    assert_string_equal(try_start(e, r), "INVALID_ARGUMENT | taskQueue is not set");
    r = engine_start_request(e, "wf", "q");
    r->namespace_ = "";
    assert_string_equal(try_start(e, r), "INVALID_ARGUMENT | Namespace is empty.");
    r->namespace_ = "nowhere";
    assert_string_equal(try_start(e, r),
                        "NOT_FOUND | Namespace nowhere is not found. | NamespaceNotFoundFailure");
    r = engine_start_request(e, "wf", "q");
    r->cron_schedule = "* * * *";
    assert_string_equal(try_start(e, r), "INVALID_ARGUMENT | invalid CronSchedule.");
    r->cron_schedule = "* * * * *";
    r->workflow_start_delay = flo_duration_new(&e->arena, 0);
    assert_string_equal(try_start(e, r),
                        "INVALID_ARGUMENT | CronSchedule and WorkflowStartDelay may not be used "
                        "together.");
    r = engine_start_request(e, "wf", "q");
    r->workflow_run_timeout = flo_duration_new(&e->arena, -1);
    assert_non_null(strstr(try_start(e, r), "INVALID_ARGUMENT | An invalid WorkflowRunTimeout"));
    r = engine_start_request(e, "wf", "q");
    r->workflow_id_reuse_policy =
        FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING;
    r->workflow_id_conflict_policy =
        FLO_API__WORKFLOW_ID_CONFLICT_POLICY__WORKFLOW_ID_CONFLICT_POLICY_FAIL;
    assert_non_null(strstr(try_start(e, r), "INVALID_ARGUMENT | Invalid WorkflowIDReusePolicy: "));
}

/* Numbers that no enum has. */
static void test_unknown_enum_values_are_refused(void **state)
{
    struct engine *e = *state;
    static const int values[] = {-1, 99, INT32_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        FloApi__StartWorkflowExecutionRequest *r = engine_start_request(e, "wf", "q");
        r->workflow_id_reuse_policy = (FloApi__WorkflowIdReusePolicy)values[i];
        assert_string_equal(try_start(e, r), "INVALID_ARGUMENT | Invalid WorkflowIDReusePolicy.");
        r = engine_start_request(e, "wf", "q");
        r->workflow_id_conflict_policy = (FloApi__WorkflowIdConflictPolicy)values[i];
        assert_string_equal(try_start(e, r),
                            "INVALID_ARGUMENT | Invalid WorkflowIDConflictPolicy.");
    }
}

/* Durations that are none. */
static void test_start_bad_durations_are_refused(void **state)
{
    struct engine *e = *state;
    static const Google__Protobuf__Duration bad[] = {
        {PROTOBUF_C_MESSAGE_INIT(&google__protobuf__duration__descriptor), -1, 0},
        {PROTOBUF_C_MESSAGE_INIT(&google__protobuf__duration__descriptor), INT64_MIN, INT32_MIN},
        {PROTOBUF_C_MESSAGE_INIT(&google__protobuf__duration__descriptor), 5, -5},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        FloApi__StartWorkflowExecutionRequest *r = engine_start_request(e, "wf", "q");
        r->workflow_start_delay = (Google__Protobuf__Duration *)&bad[i];
        assert_non_null(
            strstr(try_start(e, r), "INVALID_ARGUMENT | An invalid WorkflowStartDelaySeconds"));
    }
    FloApi__StartWorkflowExecutionRequest *r = engine_start_request(e, "wf", "q");
    FloApi__RetryPolicy policy = FLO_API__RETRY_POLICY__INIT;
    r->retry_policy = &policy;
    policy.backoff_coefficient = 0.5;
    assert_non_null(strstr(try_start(e, r), "INVALID_ARGUMENT | BackoffCoefficient"));
    policy.backoff_coefficient = 2;
    policy.maximum_attempts = -1;
    assert_non_null(strstr(try_start(e, r), "INVALID_ARGUMENT | MaximumAttempts"));
}

/* Ids end at 1,000 bytes, payloads at 2 MiB. */
static void test_start_too_long_is_refused(void **state)
{
    struct engine *e = *state;
    char id[1002];
    memset(id, 'x', sizeof id);
    id[1001] = '\0';
    assert_string_equal(try_start(e, engine_start_request(e, id, "q")),
                        "INVALID_ARGUMENT | WorkflowId length exceeds limit.");
    id[1000] = '\0';
    assert_string_equal(try_start(e, engine_start_request(e, id, "q")), "OK");
    char *big = flo_arena_alloc(&e->arena, (2 << 20) + 1);
    memset(big, '1', 2 << 20);
    big[2 << 20] = '\0';
    FloApi__StartWorkflowExecutionRequest *r = engine_start_request(e, "wf", "q");
    r->input = engine_payloads(e, big);
    assert_string_equal(try_start(e, r), "INVALID_ARGUMENT | Blob data size exceeds limit.");
}

/* Search attributes: those that the server sets, and unknown ones, are refused. */
static void test_start_search_attributes_are_checked(void **state)
{
    struct engine *e = *state;
    FloApi__SearchAttributes__IndexedFieldsEntry
        entry = FLO_API__SEARCH_ATTRIBUTES__INDEXED_FIELDS_ENTRY__INIT,
        *entries[] = {&entry};
    FloApi__SearchAttributes attributes = FLO_API__SEARCH_ATTRIBUTES__INIT;
    attributes.n_indexed_fields = 1;
    attributes.indexed_fields = entries;
    entry.value = engine_payloads(e, "\"x\"")->payloads[0];
    FloApi__StartWorkflowExecutionRequest *r = engine_start_request(e, "wf", "q");
    r->search_attributes = &attributes;
    entry.key = "Color";
    assert_string_equal(try_start(e, r),
                        "INVALID_ARGUMENT | Namespace default has no mapping defined for search "
                        "attribute Color");
    entry.key = "RunId";
    assert_string_equal(try_start(e, r),
                        "INVALID_ARGUMENT | RunId attribute can't be set in SearchAttributes");
    entry.key = "TemporalChangeVersion";
    entry.value = engine_payloads(e, "[1, 2]")->payloads[0];
    assert_string_equal(try_start(e, r), "INVALID_ARGUMENT | invalid value for search attribute "
                                         "TemporalChangeVersion of type KeywordList: [1 2]");
    entry.value = engine_payloads(e, "[\"x\"]")->payloads[0];
    assert_string_equal(try_start(e, r), "OK");
}

static const char *define(struct engine *e, const char *name, FloApi__IndexedValueType type)
{
    FloApi__AddSearchAttributesRequest request = FLO_API__ADD_SEARCH_ATTRIBUTES_REQUEST__INIT;
    FloApi__AddSearchAttributesRequest__SearchAttributesEntry
        entry = FLO_API__ADD_SEARCH_ATTRIBUTES_REQUEST__SEARCH_ATTRIBUTES_ENTRY__INIT,
        *entries[] = {&entry, &entry}; /* a map on the wire may name a key twice: it is one */
    entry.key = (char *)name;
    entry.value = type;
    request.namespace_ = "default";
    request.search_attributes = entries;
    request.n_search_attributes = 2;
    return engine_try(e, "AddSearchAttributes", &request.base);
}

/* What an operator defines may be set, by values of its type, also after a restart; until it is
 * removed. */
static void test_start_with_a_search_attribute_of_the_namespace(void **state)
{
    struct engine *e = *state;
    FloApi__SearchAttributes__IndexedFieldsEntry
        entry = FLO_API__SEARCH_ATTRIBUTES__INDEXED_FIELDS_ENTRY__INIT,
        *entries[] = {&entry};
    FloApi__SearchAttributes attributes = FLO_API__SEARCH_ATTRIBUTES__INIT;
    FloApi__RemoveSearchAttributesRequest removal = FLO_API__REMOVE_SEARCH_ATTRIBUTES_REQUEST__INIT;
    char *names[] = {(char *)"Size"};
    attributes.n_indexed_fields = 1;
    attributes.indexed_fields = entries;
    entry.key = names[0];
    assert_string_equal(define(e, "Size", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_INT),
                        "OK");
    assert_string_equal(define(e, "RunId", FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_INT),
                        "INVALID_ARGUMENT | Search attribute RunId is reserved by system.");
    engine_restart(e);
    FloApi__StartWorkflowExecutionRequest *r = engine_start_request(e, "wf", "q");
    r->search_attributes = &attributes;
    entry.value = engine_payloads(e, "\"x\"")->payloads[0];
    assert_string_equal(
        try_start(e, r),
        "INVALID_ARGUMENT | invalid value for search attribute Size of type Int: x");
    entry.value = engine_payloads(e, "5")->payloads[0];
    assert_string_equal(try_start(e, r), "OK");
    removal.namespace_ = "default";
    removal.search_attributes = names;
    removal.n_search_attributes = 1;
    assert_string_equal(engine_try(e, "RemoveSearchAttributes", &removal.base), "OK");
    r = engine_start_request(e, "wf2", "q");
    r->search_attributes = &attributes;
    assert_string_equal(try_start(e, r), "INVALID_ARGUMENT | Namespace default has no mapping "
                                         "defined for search attribute Size");
}

static void test_search_attributes_of_a_type_are_few(void **state)
{
    struct engine *e = *state;
    const FloApi__IndexedValueType type = FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_INT;
    assert_string_equal(define(e, "One", type), "OK");
    assert_string_equal(define(e, "Two", type), "OK");
    assert_string_equal(define(e, "Three", type), "OK");
    assert_string_equal(define(e, "Four", type),
                        "INVALID_ARGUMENT | Unable to create search attributes: cannot have more "
                        "than 3 search attribute of type Int.");
}

/* A repeated call (same request id) finds its run; another one is told of it. */
static void test_start_again_same_request_id_gives_same_run(void **state)
{
    struct engine *e = *state;
    FloApi__StartWorkflowExecutionRequest *r = engine_start_request(e, "wf", "q");
    const FloApi__StartWorkflowExecutionResponse *first =
        engine_do(e, "StartWorkflowExecution", &r->base);
    const FloApi__StartWorkflowExecutionResponse *again =
        engine_do(e, "StartWorkflowExecution", &r->base);
    assert_string_equal(first->run_id, again->run_id);
    assert_true(again->started);
    assert_string_equal(
        try_start(e, engine_start_request(e, "wf", "q")),
        engine_format(e,
                      "ALREADY_EXISTS | Workflow execution is already running. WorkflowId: wf, "
                      "RunId: %s. | WorkflowExecutionAlreadyStartedFailure",
                      first->run_id));
    engine_terminate(e, "wf");
    again = engine_do(e, "StartWorkflowExecution", &r->base);
    assert_string_equal(first->run_id, again->run_id);
}

/* Running: use it, or end it and start anew. */
static void test_start_conflict_policies(void **state)
{
    struct engine *e = *state;
    const char *run = engine_start(e, "wf", "q");
    FloApi__StartWorkflowExecutionRequest *r = engine_start_request(e, "wf", "q");
    r->workflow_id_conflict_policy =
        FLO_API__WORKFLOW_ID_CONFLICT_POLICY__WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING;
    const FloApi__StartWorkflowExecutionResponse *response =
        engine_do(e, "StartWorkflowExecution", &r->base);
    assert_string_equal(response->run_id, run);
    assert_false(response->started);
    r = engine_start_request(e, "wf", "q");
    r->workflow_id_conflict_policy =
        FLO_API__WORKFLOW_ID_CONFLICT_POLICY__WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING;
    response = engine_do(e, "StartWorkflowExecution", &r->base);
    assert_string_not_equal(response->run_id, run);
    assert_true(response->started);
    assert_string_equal(
        strstr(engine_history_of(e, "wf", run), "3 "),
        engine_format(e,
                      "3 WORKFLOW_EXECUTION_TERMINATED reason=TerminateIfRunning "
                      "WorkflowIdReusePolicy details=\"terminated by new runID: %s\"\n",
                      response->run_id));
}

/* Closed: the reuse policy decides. */
static void test_start_reuse_policies(void **state)
{
    struct engine *e = *state;
    const char *run = engine_start(e, "wf", "q");
    engine_complete(e, engine_task(e, engine_poll(e, "q")), engine_cmd_complete(e), NULL);
    FloApi__StartWorkflowExecutionRequest *r = engine_start_request(e, "wf", "q");
    r->workflow_id_reuse_policy =
        FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY;
    assert_string_equal(
        try_start(e, r),
        engine_format(e,
                      "ALREADY_EXISTS | Workflow execution already finished successfully. "
                      "WorkflowId: wf, RunId: %s. Workflow Id reuse policy: allow duplicate "
                      "workflow Id if last run failed. | WorkflowExecutionAlreadyStartedFailure",
                      run));
    r->workflow_id_reuse_policy =
        FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE;
    assert_string_equal(
        try_start(e, r),
        engine_format(
            e,
            "ALREADY_EXISTS | Workflow execution already finished. WorkflowId: wf, RunId: "
            "%s. Workflow Id reuse policy: reject duplicate workflow Id. | "
            "WorkflowExecutionAlreadyStartedFailure",
            run));
    engine_start(e, "wf", "q");
    engine_terminate(e, "wf");
    r = engine_start_request(e, "wf", "q");
    r->workflow_id_reuse_policy =
        FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY;
    assert_string_equal(try_start(e, r), "OK");
}

/* A start delay holds the first workflow task, not the run. */
static void test_start_delay_holds_first_task(void **state)
{
    struct engine *e = *state;
    FloApi__StartWorkflowExecutionRequest *r = engine_start_request(e, "wf", "q");
    r->workflow_start_delay = flo_duration_new(&e->arena, 2 * FLO_NS_PER_S);
    assert_string_equal(try_start(e, r), "OK");
    uint64_t poll = engine_poll(e, "q");
    engine_signal(e, "wf", "s");
    engine_pass(e, 2 * FLO_NS_PER_S - 1);
    assert_string_equal(engine_task_text(e, poll), "waits");
    engine_pass(e, 1);
    assert_string_equal(engine_task_text(e, poll), "prev=0 started=4 attempt=1 events=1-4");
}

/* An eager start brings the first task with the answer, and again when it is repeated. */
static void test_start_eager_brings_the_task(void **state)
{
    struct engine *e = *state;
    FloApi__StartWorkflowExecutionRequest *r = engine_start_request(e, "wf", "q");
    r->request_eager_execution = true;
    const FloApi__StartWorkflowExecutionResponse *first =
        engine_do(e, "StartWorkflowExecution", &r->base);
    assert_string_equal(engine_task_line(e, first->eager_workflow_task),
                        "prev=0 started=3 attempt=1 events=1-3");
    const FloApi__StartWorkflowExecutionResponse *again =
        engine_do(e, "StartWorkflowExecution", &r->base);
    assert_string_equal(engine_task_line(e, again->eager_workflow_task),
                        "prev=0 started=3 attempt=1 events=1-3");
    engine_complete(e, first->eager_workflow_task, engine_cmd_complete(e), NULL);
    assert_string_equal(engine_event_names(e, "wf"),
                        "1 EXECUTION_STARTED, 2 TASK_SCHEDULED, 3 TASK_STARTED, 4 TASK_COMPLETED, "
                        "5 EXECUTION_COMPLETED");
}

static FloApi__SignalWithStartWorkflowExecutionRequest signal_with_start(struct engine *e)
{
    const FloApi__StartWorkflowExecutionRequest *start = engine_start_request(e, "wf", "q");
    FloApi__SignalWithStartWorkflowExecutionRequest r =
        FLO_API__SIGNAL_WITH_START_WORKFLOW_EXECUTION_REQUEST__INIT;
    r.namespace_ = start->namespace_;
    r.workflow_id = start->workflow_id;
    r.workflow_type = start->workflow_type;
    r.task_queue = start->task_queue;
    r.signal_name = "s";
    return r;
}

/* Signal-with-start: one run, each request once. */
static void test_signal_with_start_dedupes_by_request_id(void **state)
{
    struct engine *e = *state;
    FloApi__SignalWithStartWorkflowExecutionRequest r = signal_with_start(e);
    const FloApi__SignalWithStartWorkflowExecutionResponse *response;
    static const struct {
        char *request_id;
        bool started;
    } steps[] = {{"q1", true}, {"q1", false}, {"q2", false}, {"q2", false}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        r.request_id = steps[i].request_id;
        response = engine_do(e, "SignalWithStartWorkflowExecution", &r.base);
        assert_int_equal(response->started, steps[i].started);
    }
    assert_string_equal(engine_event_names(e, "wf"),
                        "1 EXECUTION_STARTED, 2 EXECUTION_SIGNALED, 3 TASK_SCHEDULED, 4 "
                        "EXECUTION_SIGNALED");
    r.signal_name = "";
    assert_string_equal(engine_try(e, "SignalWithStartWorkflowExecution", &r.base),
                        "INVALID_ARGUMENT | SignalName is not set on request.");
}

/* Cancel and terminate, of open, closed and unknown runs. */
static void test_cancel_and_terminate_of_closed_and_unknown_runs(void **state)
{
    struct engine *e = *state;
    FloApi__RequestCancelWorkflowExecutionRequest cancel =
        FLO_API__REQUEST_CANCEL_WORKFLOW_EXECUTION_REQUEST__INIT;
    FloApi__TerminateWorkflowExecutionRequest terminate =
        FLO_API__TERMINATE_WORKFLOW_EXECUTION_REQUEST__INIT;
    cancel.namespace_ = terminate.namespace_ = "default";
    cancel.workflow_execution = terminate.workflow_execution = engine_run(e, "wf", NULL);
    static const char *const unknown =
        "NOT_FOUND | workflow not found for ID: wf | NotFoundFailure";
    assert_string_equal(engine_try(e, "RequestCancelWorkflowExecution", &cancel.base), unknown);
    assert_string_equal(engine_try(e, "TerminateWorkflowExecution", &terminate.base), unknown);
    engine_start(e, "wf", "q");
    assert_string_equal(engine_try(e, "RequestCancelWorkflowExecution", &cancel.base), "OK");
    assert_string_equal(engine_try(e, "RequestCancelWorkflowExecution", &cancel.base), "OK");
    assert_string_equal(engine_event_names(e, "wf"),
                        "1 EXECUTION_STARTED, 2 TASK_SCHEDULED, 3 EXECUTION_CANCEL_REQUESTED");
    terminate.first_execution_run_id = "00000000-0000-0000-0000-000000000000";
    assert_string_equal(engine_try(e, "TerminateWorkflowExecution", &terminate.base),
                        "NOT_FOUND | workflow execution not found | NotFoundFailure");
    terminate.first_execution_run_id = "";
    assert_string_equal(engine_try(e, "TerminateWorkflowExecution", &terminate.base), "OK");
    assert_string_equal(engine_try(e, "TerminateWorkflowExecution", &terminate.base),
                        "NOT_FOUND | workflow execution already completed | NotFoundFailure");
    assert_string_equal(engine_try(e, "RequestCancelWorkflowExecution", &cancel.base), "OK");
    cancel.workflow_execution = engine_run(e, "wf", "not-a-uuid");
    assert_string_equal(engine_try(e, "RequestCancelWorkflowExecution", &cancel.base),
                        "INVALID_ARGUMENT | Invalid RunId.");
}

/* A deleted run is gone, whether it was open or closed. */
static void test_delete_removes_the_run(void **state)
{
    struct engine *e = *state;
    FloApi__DeleteWorkflowExecutionRequest delete =
        FLO_API__DELETE_WORKFLOW_EXECUTION_REQUEST__INIT;
    delete.namespace_ = "default";
    for (int closed = 0; closed < 2; closed++) {
        delete.workflow_execution = engine_run(e, "wf", NULL);
        engine_start(e, "wf", "q");
        if (closed)
            engine_terminate(e, "wf");
        assert_string_equal(engine_try(e, "DeleteWorkflowExecution", &delete.base), "OK");
        engine_pass(e, 2 * FLO_NS_PER_S);
        assert_string_equal(engine_try(e, "DeleteWorkflowExecution", &delete.base),
                            "NOT_FOUND | workflow not found for ID: wf | NotFoundFailure");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_start_writes_started_and_scheduled),
        TEST(test_start_waits_for_its_commit),
        TEST(test_start_invalid_requests_are_refused),
        TEST(test_unknown_enum_values_are_refused),
        TEST(test_start_bad_durations_are_refused),
        TEST(test_start_too_long_is_refused),
        TEST(test_start_search_attributes_are_checked),
        TEST(test_start_with_a_search_attribute_of_the_namespace),
        TEST(test_search_attributes_of_a_type_are_few),
        TEST(test_start_again_same_request_id_gives_same_run),
        TEST(test_start_conflict_policies),
        TEST(test_start_reuse_policies),
        TEST(test_start_delay_holds_first_task),
        TEST(test_start_eager_brings_the_task),
        TEST(test_signal_with_start_dedupes_by_request_id),
        TEST(test_cancel_and_terminate_of_closed_and_unknown_runs),
        TEST(test_delete_removes_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
