/* SPDX-License-Identifier: Apache-2.0 */
/* test_describe.c - descriptions of runs, queues, namespaces and of the server. */
#include <string.h>

#include "support/cmocka_env.h"
#include "support/engine_harness.h"

#include "base/clock.h"
#include "wire/payload.h"

static int setup(void **state)
{
    *state = engine_new(6);
    return 0;
}

static int teardown(void **state)
{
    engine_free(*state);
    return 0;
}

static const FloApi__DescribeWorkflowExecutionResponse *describe(struct engine *e)
{
    FloApi__DescribeWorkflowExecutionRequest request =
        FLO_API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = "default";
    request.execution = engine_run(e, "wf", NULL);
    return engine_do(e, "DescribeWorkflowExecution", &request.base);
}

/* A new run, as a real server describes it. */
static void test_describe_new_run(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    const FloApi__DescribeWorkflowExecutionResponse *d = describe(e);
    assert_string_equal(engine_text(e, &d->execution_config->base),
                        "task_queue=NORMAL default_workflow_task_timeout=10s");
    assert_string_equal(engine_text(e, &d->pending_workflow_task->base),
                        "state=PENDING_WORKFLOW_TASK_STATE_SCHEDULED attempt=1");
    const FloApi__WorkflowExecutionInfo *info = d->workflow_execution_info;
    assert_int_equal(info->history_length, 2);
    assert_int_equal(info->state_transition_count, 1);
    assert_string_equal(info->task_queue, "q");
    assert_string_equal(info->first_run_id, info->execution->run_id);
    assert_string_equal(info->root_execution->workflow_id, "wf");
    assert_null(info->parent_execution);
    assert_non_null(info->memo);
    assert_int_equal(d->workflow_extended_info->n_request_id_infos, 1);
}

/* Pending activities, and the same run once it is closed and only stored. */
static void test_describe_pending_and_closed_run(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    engine_complete(e, engine_task(e, engine_poll(e, "q")), engine_cmd_activity(e, "a", "q"), NULL);
    engine_activity(e, engine_poll_activity(e, "q"));
    const FloApi__DescribeWorkflowExecutionResponse *d = describe(e);
    assert_int_equal(d->n_pending_activities, 1);
    assert_string_equal(engine_text(e, &d->pending_activities[0]->base),
                        "activity_id=a activity_type(name=A) "
                        "state=PENDING_ACTIVITY_STATE_STARTED attempt=1 last_worker_identity=me "
                        "activity_options(task_queue=? schedule_to_close_timeout=0s "
                        "schedule_to_start_timeout=0s start_to_close_timeout=5s "
                        "heartbeat_timeout=0s retry_policy(initial_interval=1s "
                        "backoff_coefficient=2.0 maximum_interval=100s))");
    engine_pass(e, 3 * FLO_NS_PER_S);
    engine_terminate(e, "wf");
    d = describe(e);
    const FloApi__WorkflowExecutionInfo *info = d->workflow_execution_info;
    assert_int_equal(info->status,
                     FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_TERMINATED);
    assert_int_equal(flo_duration_ns(info->execution_duration) / FLO_NS_PER_MS, 3000);
    assert_int_equal(info->history_length, 6);
    assert_non_null(info->close_time);
    assert_int_equal(d->n_pending_activities, 1); /* as it was when the run closed */
}

/* A queue: who polls it, how much waits in it. */
static void test_describe_task_queue(void **state)
{
    struct engine *e = *state;
    FloApi__DescribeTaskQueueRequest request = FLO_API__DESCRIBE_TASK_QUEUE_REQUEST__INIT;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    queue.name = "q";
    request.namespace_ = "default";
    request.task_queue = &queue;
    request.report_stats = true;
    request.include_task_queue_status = true;
    const FloApi__DescribeTaskQueueResponse *d = engine_do(e, "DescribeTaskQueue", &request.base);
    assert_int_equal(d->n_pollers, 0);
    flo_core_cancel_call(e->core, engine_poll(e, "q"));
    e->identity = "you";
    flo_core_cancel_call(e->core, engine_poll(e, "q"));
    engine_start(e, "a", "q");
    engine_pass(e, 7 * FLO_NS_PER_S);
    engine_start(e, "b", "q");
    d = engine_do(e, "DescribeTaskQueue", &request.base);
    assert_int_equal(d->n_pollers, 2);
    assert_string_equal(d->pollers[1]->identity, "you");
    assert_int_equal(d->stats->approximate_backlog_count, 2);
    assert_int_equal(flo_duration_ns(d->stats->approximate_backlog_age) / FLO_NS_PER_MS, 7000);
    assert_true(d->stats->tasks_add_rate > 0);
    assert_int_equal(d->task_queue_status->backlog_count_hint, 2);
    engine_pass(e, 300 * FLO_NS_PER_S);
    d = engine_do(e, "DescribeTaskQueue", &request.base);
    assert_int_equal(d->n_pollers, 0);
}

/* What waits for one worker, on its sticky queue, waits in the queue: nothing else tells of it. */
static void test_describe_task_queue_counts_sticky(void **state)
{
    struct engine *e = *state;
    FloApi__DescribeTaskQueueRequest request = FLO_API__DESCRIBE_TASK_QUEUE_REQUEST__INIT;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    queue.name = "q";
    request.namespace_ = "default";
    request.task_queue = &queue;
    request.report_stats = true;
    engine_start(e, "wf", "q");
    FloApi__RespondWorkflowTaskCompletedRequest *r =
        engine_completion(e, engine_task(e, engine_poll(e, "q")));
    flo_core_cancel_call(e->core, engine_poll_sticky(e, "q"));
    engine_stick(e, r, "q");
    engine_do(e, "RespondWorkflowTaskCompleted", &r->base);
    engine_signal(e, "wf", "s"); /* its task waits on the sticky queue */
    engine_pass(e, 2 * FLO_NS_PER_S);
    engine_start(e, "other", "q");
    const FloApi__DescribeTaskQueueResponse *d = engine_do(e, "DescribeTaskQueue", &request.base);
    assert_int_equal(d->stats->approximate_backlog_count, 2);
    assert_int_equal(flo_duration_ns(d->stats->approximate_backlog_age) / FLO_NS_PER_MS, 2000);
    request.task_queue_type = FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_ACTIVITY;
    d = engine_do(e, "DescribeTaskQueue", &request.base);
    assert_int_equal(d->stats->approximate_backlog_count, 0);
}

/* A namespace is registered, found by name and id, changed, listed, and outlives the engine. */
static void test_namespace_life(void **state)
{
    struct engine *e = *state;
    FloApi__RegisterNamespaceRequest reg = FLO_API__REGISTER_NAMESPACE_REQUEST__INIT;
    reg.namespace_ = "shop";
    assert_string_equal(engine_try(e, "RegisterNamespace", &reg.base),
                        "INVALID_ARGUMENT | A valid retention period is not set on request.");
    reg.workflow_execution_retention_period = flo_duration_new(&e->arena, 72 * 3600 * FLO_NS_PER_S);
    assert_string_equal(engine_try(e, "RegisterNamespace", &reg.base), "OK");
    assert_string_equal(
        engine_try(e, "RegisterNamespace", &reg.base),
        "ALREADY_EXISTS | Namespace \"shop\" already exists | NamespaceAlreadyExistsFailure");
    FloApi__UpdateNamespaceRequest update = FLO_API__UPDATE_NAMESPACE_REQUEST__INIT;
    FloApi__UpdateNamespaceInfo info = FLO_API__UPDATE_NAMESPACE_INFO__INIT;
    FloApi__UpdateNamespaceInfo__DataEntry entry = FLO_API__UPDATE_NAMESPACE_INFO__DATA_ENTRY__INIT,
                                           *entries[] = {&entry};
    entry.key = "team";
    entry.value = "red";
    info.description = "what we sell";
    info.n_data = 1;
    info.data = entries;
    update.namespace_ = "shop";
    update.update_info = &info;
    engine_do(e, "UpdateNamespace", &update.base);
    engine_restart(e);
    FloApi__DescribeNamespaceRequest describe_ns = FLO_API__DESCRIBE_NAMESPACE_REQUEST__INIT;
    describe_ns.namespace_ = "shop";
    const FloApi__DescribeNamespaceResponse *d =
        engine_do(e, "DescribeNamespace", &describe_ns.base);
    assert_string_equal(d->namespace_info->description, "what we sell");
    assert_string_equal(d->namespace_info->data[0]->value, "red");
    assert_int_equal(d->config->workflow_execution_retention_ttl->seconds, 72 * 3600);
    describe_ns.namespace_ = "";
    describe_ns.id = d->namespace_info->id;
    d = engine_do(e, "DescribeNamespace", &describe_ns.base);
    assert_string_equal(d->namespace_info->name, "shop");
    FloApi__ListNamespacesRequest list = FLO_API__LIST_NAMESPACES_REQUEST__INIT;
    list.page_size = 1;
    const FloApi__ListNamespacesResponse *page = engine_do(e, "ListNamespaces", &list.base);
    assert_string_equal(page->namespaces[0]->namespace_info->name, "default");
    list.next_page_token = page->next_page_token;
    page = engine_do(e, "ListNamespaces", &list.base);
    assert_string_equal(page->namespaces[0]->namespace_info->name, "shop");
    assert_int_equal(page->next_page_token.len, 0);
}

/* What clients read first. */
static void test_system_info(void **state)
{
    struct engine *e = *state;
    FloApi__GetSystemInfoRequest request = FLO_API__GET_SYSTEM_INFO_REQUEST__INIT;
    const FloApi__GetSystemInfoResponse *info = engine_do(e, "GetSystemInfo", &request.base);
    assert_string_equal(info->server_version, FLO_CORE_SERVER_VERSION);
    assert_true(info->capabilities->signal_and_query_header);
    assert_true(info->capabilities->encoded_failure_attributes);
    assert_false(info->capabilities->nexus);
    FloApi__GetSearchAttributesRequest attributes = FLO_API__GET_SEARCH_ATTRIBUTES_REQUEST__INIT;
    const FloApi__GetSearchAttributesResponse *keys =
        engine_do(e, "GetSearchAttributes", &attributes.base);
    assert_true(keys->n_keys > 20);
    assert_true(info->capabilities->supports_schedules);
    assert_non_null(flo_core_method("CreateSchedule"));
    assert_null(flo_core_method("CountSchedules"));
    assert_null(flo_core_method("NoSuchMethod"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_describe_new_run),    TEST(test_describe_pending_and_closed_run),
        TEST(test_describe_task_queue), TEST(test_describe_task_queue_counts_sticky),
        TEST(test_namespace_life),      TEST(test_system_info),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
