/* SPDX-License-Identifier: Apache-2.0 */
/* test_workflow_spine.c - a workflow worker as a whole: poll, read the history, advance, respond.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "executor/cores.h"
#include "grpc/status.h"
#include "spine_fixture.h"
#include "wire/payload.h"

#define POLL_WORKFLOW "PollWorkflowTaskQueue"

static int workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_activity_options options = {.start_to_close_ms = 1000};

    return flo_activity(wf, "echo", input, &options, out_result);
}

static const struct flo_module MODULE = {
    .abi = FLO_MODULE_ABI,
    .name = "test",
    .workflows = FLO_WORKFLOWS({"Echo", workflow}),
};

static FloApi__HistoryEvent *event(struct spine *s, int64_t id, FloApi__EventType type)
{
    FloApi__HistoryEvent *e = SPINE_NEW(s, FloApi__HistoryEvent, FLO_API__HISTORY_EVENT__INIT);

    e->event_id = id;
    e->event_type = type;
    e->event_time = flo_timestamp_new(&s->arena, FLO_NS_PER_S * 1000 + id);
    return e;
}

/* Events 1 to 3 of a run of type. */
static FloApi__History *first_events(struct spine *s, const char *type)
{
    FloApi__History *history = SPINE_NEW(s, FloApi__History, FLO_API__HISTORY__INIT);
    FloApi__WorkflowExecutionStartedEventAttributes *started =
        SPINE_NEW(s, FloApi__WorkflowExecutionStartedEventAttributes,
                  FLO_API__WORKFLOW_EXECUTION_STARTED_EVENT_ATTRIBUTES__INIT);

    history->n_events = 3;
    history->events = flo_arena_calloc(&s->arena, 3, sizeof(FloApi__HistoryEvent *));
    history->events[0] = event(s, 1, FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_STARTED);
    history->events[0]->attributes_case =
        FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_STARTED_EVENT_ATTRIBUTES;
    history->events[0]->workflow_execution_started_event_attributes = started;
    started->workflow_type = SPINE_NEW(s, FloApi__WorkflowType, FLO_API__WORKFLOW_TYPE__INIT);
    started->workflow_type->name = spine_copy(s, type);
    started->original_execution_run_id = spine_copy(s, spine_execution(s)->run_id);
    started->attempt = 1;
    history->events[1] = event(s, 2, FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_SCHEDULED);
    history->events[1]->attributes_case =
        FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_TASK_SCHEDULED_EVENT_ATTRIBUTES;
    history->events[1]->workflow_task_scheduled_event_attributes =
        SPINE_NEW(s, FloApi__WorkflowTaskScheduledEventAttributes,
                  FLO_API__WORKFLOW_TASK_SCHEDULED_EVENT_ATTRIBUTES__INIT);
    history->events[2] = event(s, 3, FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_STARTED);
    history->events[2]->attributes_case =
        FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_TASK_STARTED_EVENT_ATTRIBUTES;
    history->events[2]->workflow_task_started_event_attributes =
        SPINE_NEW(s, FloApi__WorkflowTaskStartedEventAttributes,
                  FLO_API__WORKFLOW_TASK_STARTED_EVENT_ATTRIBUTES__INIT);
    history->events[2]->workflow_task_started_event_attributes->scheduled_event_id = 2;
    return history;
}

static FloApi__PollWorkflowTaskQueueResponse *workflow_task(struct spine *s, const char *type,
                                                            int attempt)
{
    FloApi__PollWorkflowTaskQueueResponse *task = SPINE_NEW(
        s, FloApi__PollWorkflowTaskQueueResponse, FLO_API__POLL_WORKFLOW_TASK_QUEUE_RESPONSE__INIT);

    task->task_token = spine_token(s, "the-token");
    task->workflow_execution = spine_execution(s);
    task->workflow_type = SPINE_NEW(s, FloApi__WorkflowType, FLO_API__WORKFLOW_TYPE__INIT);
    task->workflow_type->name = spine_copy(s, type);
    task->attempt = attempt;
    task->started_event_id = 3;
    task->history = first_events(s, type);
    return task;
}

/* Pages whose token leads to themselves do not keep the worker busy for ever. */
static void test_history_whose_pages_do_not_end_is_given_up(void **state)
{
    FloApi__GetWorkflowExecutionHistoryResponse page =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_RESPONSE__INIT;
    FloApi__PollWorkflowTaskQueueResponse *task;
    struct spine s;

    (void)state;
    spine_init(&s);
    task = workflow_task(&s, "Echo", 1);
    task->next_page_token = page.next_page_token = spine_token(&s, "page");
    spine_answer(&s, POLL_WORKFLOW, &task->base);
    for (int i = 0; i < 5; i++)
        spine_answer(&s, "GetWorkflowExecutionHistory", &page.base);
    spine_start(&s, &flo_role_workflow, &MODULE, "max_concurrent_workflow_tasks=2",
                "log.level=error", NULL);
    spine_await(&s, POLL_WORKFLOW, 3, /* normal, sticky, and again when the slot is free */
                &flo_api__poll_workflow_task_queue_request__descriptor);
    assert_int_equal(spine_count(&s, "GetWorkflowExecutionHistory"), 1);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* A first task is answered with the workflow's first command and the sticky queue; the inline next
 * task is taken. */
static void test_workflow_task_is_advanced(void **state)
{
    const FloApi__RespondWorkflowTaskCompletedRequest *answer;
    FloApi__RespondWorkflowTaskCompletedResponse inline_task =
        FLO_API__RESPOND_WORKFLOW_TASK_COMPLETED_RESPONSE__INIT;
    struct spine s;

    (void)state;
    spine_init(&s);
    inline_task.workflow_task = workflow_task(&s, "Echo", 1);
    inline_task.workflow_task->task_token = spine_token(&s, "second");
    inline_task.workflow_task->workflow_execution->run_id = spine_copy(&s, "another-run");
    spine_answer(&s, "RespondWorkflowTaskCompleted", &inline_task.base);
    spine_answer(&s, POLL_WORKFLOW, &workflow_task(&s, "Echo", 1)->base);
    spine_start(&s, &flo_role_workflow, &MODULE, NULL);
    answer = (const FloApi__RespondWorkflowTaskCompletedRequest *)spine_await(
        &s, "RespondWorkflowTaskCompleted", 1,
        &flo_api__respond_workflow_task_completed_request__descriptor);
    assert_int_equal(answer->n_commands, 1);
    assert_int_equal(answer->commands[0]->command_type,
                     FLO_API__COMMAND_TYPE__COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK);
    assert_string_equal(answer->sticky_attributes->worker_task_queue->normal_name, "queue");
    assert_true(answer->return_new_workflow_task);
    answer = (const FloApi__RespondWorkflowTaskCompletedRequest *)spine_await(
        &s, "RespondWorkflowTaskCompleted", 2,
        &flo_api__respond_workflow_task_completed_request__descriptor);
    assert_memory_equal(answer->task_token.data, "second", 6);
    spine_await_parked(&s, POLL_WORKFLOW, 2); /* normal and sticky */
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* A task whose history starts in the middle, of a run that is not cached: it is read whole. */
static void test_workflow_task_cache_miss_reads_the_history(void **state)
{
    FloApi__PollWorkflowTaskQueueResponse *task;
    FloApi__GetWorkflowExecutionHistoryResponse page =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_RESPONSE__INIT;
    FloApi__GetWorkflowExecutionHistoryResponse empty = page;
    struct spine s;

    (void)state;
    spine_init(&s);
    task = workflow_task(&s, "Echo", 1);
    task->history->events += 2; /* only WorkflowTaskStarted */
    task->history->n_events = 1;
    empty.next_page_token = spine_token(&s, "more"); /* an empty page with a token is allowed */
    page.history = first_events(&s, "Echo");
    page.history->n_events = 2;
    spine_answer(&s, "GetWorkflowExecutionHistory", &empty.base);
    spine_answer(&s, "GetWorkflowExecutionHistory", &page.base);
    spine_answer(&s, POLL_WORKFLOW, &task->base);
    spine_start(&s, &flo_role_workflow, &MODULE, NULL);
    spine_await(&s, "RespondWorkflowTaskCompleted", 1,
                &flo_api__respond_workflow_task_completed_request__descriptor);
    assert_int_equal(spine_count(&s, "GetWorkflowExecutionHistory"), 2);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* A task that fails is reported at its first attempt only. */
static void test_workflow_task_failure_is_reported_once(void **state)
{
    const FloApi__RespondWorkflowTaskFailedRequest *answer;
    struct spine s;

    (void)state;
    spine_init(&s);
    spine_answer(&s, POLL_WORKFLOW, &workflow_task(&s, "Unknown", 1)->base);
    spine_answer(&s, POLL_WORKFLOW, &workflow_task(&s, "Unknown", 2)->base);
    spine_start(&s, &flo_role_workflow, &MODULE, NULL);
    answer = (const FloApi__RespondWorkflowTaskFailedRequest *)spine_await(
        &s, "RespondWorkflowTaskFailed", 1,
        &flo_api__respond_workflow_task_failed_request__descriptor);
    assert_non_null(strstr(answer->failure->message, "Unknown"));
    spine_await_parked(&s, POLL_WORKFLOW, 2); /* both tasks are done with */
    assert_int_equal(spine_count(&s, "RespondWorkflowTaskFailed"), 1);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* A completion that the server refuses costs one task, not the worker. */
static void test_workflow_completion_refused_is_dropped(void **state)
{
    struct spine s;

    (void)state;
    spine_init(&s);
    spine_refuse(&s, "RespondWorkflowTaskCompleted", FLO_GRPC_NOT_FOUND);
    spine_answer(&s, POLL_WORKFLOW, &workflow_task(&s, "Echo", 1)->base);
    spine_start(&s, &flo_role_workflow, &MODULE, NULL);
    spine_await(&s, "RespondWorkflowTaskCompleted", 1,
                &flo_api__respond_workflow_task_completed_request__descriptor);
    spine_await_parked(&s, POLL_WORKFLOW, 2);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

static FloApi__PollWorkflowTaskQueueResponse *task_of_run(struct spine *s, size_t number)
{
    FloApi__PollWorkflowTaskQueueResponse *task = workflow_task(s, "Echo", 1);
    char run_id[32];

    snprintf(run_id, sizeof run_id, "run-%zu", number);
    task->workflow_execution->run_id = spine_copy(s, run_id);
    return task;
}

#define READ_HISTORY "GetWorkflowExecutionHistory"
#define COMPLETED "RespondWorkflowTaskCompleted"

/* As many histories as there are cores are read and replayed at once; the next one's turn comes
 * when one is through. A task that needs none does not wait behind them. */
static void test_replays_wait_for_their_turn(void **state)
{
    FloApi__GetWorkflowExecutionHistoryResponse page =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_RESPONSE__INIT;
    const size_t waiting = 3;
    struct flo_cores cores;
    struct spine s;

    (void)state;
    flo_cores_read("", &cores);
    if (cores.count > SPINE_MAX / 2)
        skip(); /* more than the script has room for */
    spine_init(&s);
    snprintf(s.unanswered, sizeof s.unanswered, "%s", READ_HISTORY);
    page.history = first_events(&s, "Echo");
    page.history->n_events = 2;
    for (size_t i = 0; i < cores.count + waiting; i++) {
        FloApi__PollWorkflowTaskQueueResponse *task = task_of_run(&s, i);
        task->history->events += 2;
        task->history->n_events = 1;
        spine_answer(&s, POLL_WORKFLOW, &task->base);
    }
    spine_answer(&s, POLL_WORKFLOW, &workflow_task(&s, "Echo", 1)->base);
    spine_start(&s, &flo_role_workflow, &MODULE, "executors=1", "max_concurrent_workflow_tasks=100",
                NULL);
    spine_await(&s, COMPLETED, 1, &flo_api__respond_workflow_task_completed_request__descriptor);
    assert_int_equal(spine_count(&s, READ_HISTORY), cores.count);
    for (size_t i = 1; i <= cores.count + waiting; i++) {
        size_t begun = i < waiting ? cores.count + i : cores.count + waiting;
        spine_give(&s, READ_HISTORY, &page.base);
        spine_await(&s, COMPLETED, 1 + i,
                    &flo_api__respond_workflow_task_completed_request__descriptor);
        spine_await(&s, READ_HISTORY, begun,
                    &flo_api__get_workflow_execution_history_request__descriptor);
        assert_int_equal(spine_count(&s, READ_HISTORY), begun);
    }
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* A run that was evicted on purpose: the server is told, of some of them, that it is not here. */
static void test_run_evicted_by_chance_is_taken_off_its_sticky_queue(void **state)
{
    const FloApi__ResetStickyTaskQueueRequest *request;
    struct spine s;

    (void)state;
    spine_init(&s);
    for (size_t i = 0; i < 20; i++)
        spine_answer(&s, POLL_WORKFLOW, &task_of_run(&s, i)->base);
    spine_start(&s, &flo_role_workflow, &MODULE, "executors=1", "sticky_cache.random_eviction=1",
                "sticky_cache.random_eviction_seed=7", "log.level=error", NULL);
    request = (const FloApi__ResetStickyTaskQueueRequest *)spine_await(
        &s, "ResetStickyTaskQueue", 1, &flo_api__reset_sticky_task_queue_request__descriptor);
    assert_string_equal(request->execution->workflow_id, spine_execution(&s)->workflow_id);
    assert_memory_equal(request->execution->run_id, "run-", 4);
    assert_string_not_equal(request->namespace_, "");
    spine_await(&s, COMPLETED, 20, &flo_api__respond_workflow_task_completed_request__descriptor);
    assert_true(spine_count(&s, "ResetStickyTaskQueue") < 20);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_history_whose_pages_do_not_end_is_given_up),
        cmocka_unit_test(test_workflow_task_is_advanced),
        cmocka_unit_test(test_workflow_task_cache_miss_reads_the_history),
        cmocka_unit_test(test_workflow_task_failure_is_reported_once),
        cmocka_unit_test(test_workflow_completion_refused_is_dropped),
        cmocka_unit_test(test_replays_wait_for_their_turn),
        cmocka_unit_test(test_run_evicted_by_chance_is_taken_off_its_sticky_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
