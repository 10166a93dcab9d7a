/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_spine.c - common/worker as a whole: poll, execute, respond, drain, in each role. Over 600
 * lines because it is one story a case, all over one scripted server.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "grpc/status.h"
#include "spine_fixture.h"
#include "wire/payload.h"

#define POLL_ACTIVITY "PollActivityTaskQueue"
#define POLL_WORKFLOW "PollWorkflowTaskQueue"

/* ---- the user code of the workers under test ---- */

static int echo(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)ctx;
    *out_result = json_incref(input);
    return 0;
}

static int hold(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)out_result;
    flo_activity_heartbeat(ctx, input);
    while (!flo_activity_wait_cancelled(ctx, 10000))
        ;
    return FLO_ECANCELLED;
}

static int crash(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)ctx;
    (void)input;
    (void)out_result;
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
    return 0;
}

static int beat_and_fail(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)input;
    (void)out_result;
    for (int i = 1; i <= 3; i++) {
        json_t *step = json_integer(i);
        flo_activity_heartbeat(ctx, step);
        json_decref(step);
    }
    return flo_activity_fail(ctx, "Mine", false, NULL, "no luck");
}

static int workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_activity_options options = {.start_to_close_ms = 1000};

    return flo_activity(wf, "echo", input, &options, out_result);
}

static const struct flo_module MODULE = {
    .abi = FLO_MODULE_ABI,
    .name = "test",
    .workflows = FLO_WORKFLOWS({"Echo", workflow}),
    .activities = FLO_ACTIVITIES({"echo", echo}, {"hold", hold}, {"crash", crash},
                                 {"beat_and_fail", beat_and_fail}),
};

/* ---- tasks ---- */

static char *copy(struct spine *s, const char *text)
{
    return flo_arena_strdup(&s->arena, text);
}

static ProtobufCBinaryData token(struct spine *s, const char *text)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)copy(s, text), .len = strlen(text)};
}

#define NEW(s, type, init) ((type *)flo_arena_memdup(&(s)->arena, &(type)init, sizeof(type)))

static FloApi__WorkflowExecution *execution(struct spine *s)
{
    FloApi__WorkflowExecution *e =
        NEW(s, FloApi__WorkflowExecution, FLO_API__WORKFLOW_EXECUTION__INIT);

    e->workflow_id = copy(s, "wf-1");
    e->run_id = copy(s, "0190a1b2-0000-7000-8000-000000000001");
    return e;
}

static const ProtobufCMessage *activity_task(struct spine *s, const char *type, int64_t timeout_ms)
{
    FloApi__PollActivityTaskQueueResponse *task = NEW(
        s, FloApi__PollActivityTaskQueueResponse, FLO_API__POLL_ACTIVITY_TASK_QUEUE_RESPONSE__INIT);
    json_t *input = json_string("hello");

    task->task_token = token(s, "the-token");
    task->activity_type = NEW(s, FloApi__ActivityType, FLO_API__ACTIVITY_TYPE__INIT);
    task->activity_type->name = copy(s, type);
    task->activity_id = copy(s, "1");
    task->workflow_execution = execution(s);
    task->attempt = 1;
    task->input = flo_payloads_from_json(&s->arena, input);
    task->start_to_close_timeout = flo_duration_new(&s->arena, timeout_ms * FLO_NS_PER_MS);
    json_decref(input);
    return &task->base;
}

static FloApi__HistoryEvent *event(struct spine *s, int64_t id, FloApi__EventType type)
{
    FloApi__HistoryEvent *e = NEW(s, FloApi__HistoryEvent, FLO_API__HISTORY_EVENT__INIT);

    e->event_id = id;
    e->event_type = type;
    e->event_time = flo_timestamp_new(&s->arena, FLO_NS_PER_S * 1000 + id);
    return e;
}

/* Events 1 to 3 of a run of type. */
static FloApi__History *first_events(struct spine *s, const char *type)
{
    FloApi__History *history = NEW(s, FloApi__History, FLO_API__HISTORY__INIT);
    FloApi__WorkflowExecutionStartedEventAttributes *started =
        NEW(s, FloApi__WorkflowExecutionStartedEventAttributes,
            FLO_API__WORKFLOW_EXECUTION_STARTED_EVENT_ATTRIBUTES__INIT);

    history->n_events = 3;
    history->events = flo_arena_calloc(&s->arena, 3, sizeof(FloApi__HistoryEvent *));
    history->events[0] = event(s, 1, FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_STARTED);
    history->events[0]->attributes_case =
        FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_STARTED_EVENT_ATTRIBUTES;
    history->events[0]->workflow_execution_started_event_attributes = started;
    started->workflow_type = NEW(s, FloApi__WorkflowType, FLO_API__WORKFLOW_TYPE__INIT);
    started->workflow_type->name = copy(s, type);
    started->original_execution_run_id = copy(s, execution(s)->run_id);
    started->attempt = 1;
    history->events[1] = event(s, 2, FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_SCHEDULED);
    history->events[1]->attributes_case =
        FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_TASK_SCHEDULED_EVENT_ATTRIBUTES;
    history->events[1]->workflow_task_scheduled_event_attributes =
        NEW(s, FloApi__WorkflowTaskScheduledEventAttributes,
            FLO_API__WORKFLOW_TASK_SCHEDULED_EVENT_ATTRIBUTES__INIT);
    history->events[2] = event(s, 3, FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_STARTED);
    history->events[2]->attributes_case =
        FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_TASK_STARTED_EVENT_ATTRIBUTES;
    history->events[2]->workflow_task_started_event_attributes =
        NEW(s, FloApi__WorkflowTaskStartedEventAttributes,
            FLO_API__WORKFLOW_TASK_STARTED_EVENT_ATTRIBUTES__INIT);
    history->events[2]->workflow_task_started_event_attributes->scheduled_event_id = 2;
    return history;
}

static FloApi__PollWorkflowTaskQueueResponse *workflow_task(struct spine *s, const char *type,
                                                            int attempt)
{
    FloApi__PollWorkflowTaskQueueResponse *task = NEW(
        s, FloApi__PollWorkflowTaskQueueResponse, FLO_API__POLL_WORKFLOW_TASK_QUEUE_RESPONSE__INIT);

    task->task_token = token(s, "the-token");
    task->workflow_execution = execution(s);
    task->workflow_type = NEW(s, FloApi__WorkflowType, FLO_API__WORKFLOW_TYPE__INIT);
    task->workflow_type->name = copy(s, type);
    task->attempt = attempt;
    task->started_event_id = 3;
    task->history = first_events(s, type);
    return task;
}

/* ---- activities ---- */

static void activity_completes(const struct flo_role_spec *role)
{
    const FloApi__RespondActivityTaskCompletedRequest *answer;
    struct spine s;

    spine_init(&s);
    spine_answer(&s, POLL_ACTIVITY, activity_task(&s, "echo", 5000));
    spine_start(&s, role, &MODULE, NULL);
    answer = (const FloApi__RespondActivityTaskCompletedRequest *)spine_await(
        &s, "RespondActivityTaskCompleted", 1,
        &flo_api__respond_activity_task_completed_request__descriptor);
    assert_memory_equal(answer->task_token.data, "the-token", 9);
    assert_string_equal(answer->namespace_, "default");
    assert_int_equal(answer->result->n_payloads, 1);
    assert_memory_equal(answer->result->payloads[0]->data.data, "\"hello\"", 7);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    assert_int_equal(spine_count(&s, "ShutdownWorker"), 1);
    assert_int_equal(spine_parked(&s, POLL_ACTIVITY), 0);
    spine_fini(&s);
}

/* A task goes through threads and comes back; SIGTERM ends the worker with 0 and tells the server.
 */
static void test_io_activity_completes(void **state)
{
    (void)state;
    activity_completes(&flo_role_io_activity);
}

/* The same through processes. */
static void test_cpu_activity_completes(void **state)
{
    (void)state;
    activity_completes(&flo_role_cpu_activity);
}

/* An answer that the server could not take is sent again. */
static void test_answer_unavailable_is_retried(void **state)
{
    struct spine s;

    (void)state;
    spine_init(&s);
    spine_answer(&s, POLL_ACTIVITY, activity_task(&s, "echo", 5000));
    spine_refuse(&s, "RespondActivityTaskCompleted", FLO_GRPC_UNAVAILABLE);
    spine_start(&s, &flo_role_io_activity, &MODULE, NULL);
    spine_await(&s, "RespondActivityTaskCompleted", 2,
                &flo_api__respond_activity_task_completed_request__descriptor);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* A crash fails the attempt, retryable, with the signal's name; the worker works on. */
static void test_cpu_activity_crash_fails_the_attempt(void **state)
{
    const FloApi__RespondActivityTaskFailedRequest *answer;
    struct spine s;

    (void)state;
    spine_init(&s);
    spine_answer(&s, POLL_ACTIVITY, activity_task(&s, "crash", 5000));
    spine_answer(&s, POLL_ACTIVITY, activity_task(&s, "echo", 5000));
    spine_start(&s, &flo_role_cpu_activity, &MODULE, "executor.workers=1",
                "max_concurrent_activities=1", NULL);
    answer = (const FloApi__RespondActivityTaskFailedRequest *)spine_await(
        &s, "RespondActivityTaskFailed", 1,
        &flo_api__respond_activity_task_failed_request__descriptor);
    assert_string_equal(answer->failure->application_failure_info->type, "ApplicationCrash");
    assert_false(answer->failure->application_failure_info->non_retryable);
    assert_non_null(strstr(answer->failure->message, "SIGSEGV"));
    spine_await(&s, "RespondActivityTaskCompleted", 1,
                &flo_api__respond_activity_task_completed_request__descriptor);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* The server's wish to cancel comes with the heartbeat's answer and reaches the activity. */
static void test_heartbeat_cancel_requested_cancels(void **state)
{
    FloApi__RecordActivityTaskHeartbeatResponse wish =
        FLO_API__RECORD_ACTIVITY_TASK_HEARTBEAT_RESPONSE__INIT;
    struct spine s;

    (void)state;
    spine_init(&s);
    wish.cancel_requested = true;
    spine_answer(&s, "RecordActivityTaskHeartbeat", &wish.base);
    spine_answer(&s, POLL_ACTIVITY, activity_task(&s, "hold", 10000));
    spine_start(&s, &flo_role_io_activity, &MODULE, NULL);
    spine_await(&s, "RespondActivityTaskCanceled", 1,
                &flo_api__respond_activity_task_canceled_request__descriptor);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* A heartbeat that finds no task stops the activity, and nothing is reported. */
static void test_heartbeat_not_found_reports_nothing(void **state)
{
    struct spine s;

    (void)state;
    spine_init(&s);
    spine_refuse(&s, "RecordActivityTaskHeartbeat", FLO_GRPC_NOT_FOUND);
    spine_answer(&s, POLL_ACTIVITY, activity_task(&s, "hold", 10000));
    spine_start(&s, &flo_role_io_activity, &MODULE, "max_concurrent_activities=1",
                "max_concurrent_activity_task_polls=1", NULL);
    spine_await(&s, "RecordActivityTaskHeartbeat", 1,
                &flo_api__record_activity_task_heartbeat_request__descriptor);
    spine_await_parked(&s, POLL_ACTIVITY, 1); /* the slot is free again */
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    assert_int_equal(spine_count(&s, "RespondActivityTaskFailed"), 0);
    assert_int_equal(spine_count(&s, "RespondActivityTaskCanceled"), 0);
    spine_fini(&s);
}

/* The last details reach the server before the failure does. */
static void test_failure_flushes_the_last_heartbeat(void **state)
{
    const FloApi__RecordActivityTaskHeartbeatRequest *last;
    struct spine s;

    (void)state;
    spine_init(&s);
    spine_answer(&s, POLL_ACTIVITY, activity_task(&s, "beat_and_fail", 10000));
    spine_start(&s, &flo_role_io_activity, &MODULE, NULL);
    spine_await(&s, "RespondActivityTaskFailed", 1,
                &flo_api__respond_activity_task_failed_request__descriptor);
    last = (const FloApi__RecordActivityTaskHeartbeatRequest *)spine_await(
        &s, "RecordActivityTaskHeartbeat", spine_count(&s, "RecordActivityTaskHeartbeat"),
        &flo_api__record_activity_task_heartbeat_request__descriptor);
    assert_memory_equal(last->details->payloads[0]->data.data, "3", 1);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* A drain tells what still runs to stop, reports it as retryable, and ends with 0 in time. */
static void test_drain_running_activity_is_reported(void **state)
{
    const FloApi__RespondActivityTaskFailedRequest *answer;
    struct spine s;
    int64_t began;

    (void)state;
    spine_init(&s);
    spine_answer(&s, POLL_ACTIVITY, activity_task(&s, "hold", 60000));
    spine_start(&s, &flo_role_io_activity, &MODULE, "shutdown_timeout=3s", "executor.grace=500ms",
                NULL);
    spine_await(&s, "RecordActivityTaskHeartbeat", 1,
                &flo_api__record_activity_task_heartbeat_request__descriptor);
    began = flo_clock_mono_ns();
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    assert_true(flo_clock_mono_ns() - began < 4 * FLO_NS_PER_S);
    answer = (const FloApi__RespondActivityTaskFailedRequest *)spine_await(
        &s, "RespondActivityTaskFailed", 1,
        &flo_api__respond_activity_task_failed_request__descriptor);
    assert_string_equal(answer->failure->application_failure_info->type, "WorkerShutdown");
    assert_false(answer->failure->application_failure_info->non_retryable);
    spine_fini(&s);
}

/* An answer that the server has not taken yet gets the time that there is, although no activity
 * runs any more. */
static void test_drain_waits_for_the_answers_on_their_way(void **state)
{
    struct spine s;
    int64_t began, took;

    (void)state;
    spine_init(&s);
    snprintf(s.unanswered, sizeof s.unanswered, "RespondActivityTaskCompleted");
    spine_answer(&s, POLL_ACTIVITY, activity_task(&s, "echo", 60000));
    spine_start(&s, &flo_role_io_activity, &MODULE, "shutdown_timeout=3s", NULL);
    spine_await_parked(&s, "RespondActivityTaskCompleted", 1);
    began = flo_clock_mono_ns();
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    took = (flo_clock_mono_ns() - began) / FLO_NS_PER_MS;
    assert_in_range(took, 2400, 3500);
    spine_fini(&s);
}

/* Nothing is fetched that could not run at once: its clocks would run while it waits. */
static void test_slots_are_no_more_than_executors(void **state)
{
    struct spine s;

    (void)state;
    spine_init(&s);
    spine_answer(&s, POLL_ACTIVITY, activity_task(&s, "hold", 60000));
    spine_start(&s, &flo_role_io_activity, &MODULE, "executor.workers=1",
                "max_concurrent_activities=2", "max_concurrent_activity_task_polls=2",
                "shutdown_timeout=2s", "executor.grace=200ms", NULL);
    spine_await(&s, "RecordActivityTaskHeartbeat", 1,
                &flo_api__record_activity_task_heartbeat_request__descriptor);
    assert_int_equal(spine_count(&s, POLL_ACTIVITY), 1);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* No more polls than free slots. */
static void test_poll_needs_a_free_slot(void **state)
{
    struct spine s;

    (void)state;
    spine_init(&s);
    spine_answer(&s, POLL_ACTIVITY, activity_task(&s, "hold", 60000));
    spine_start(&s, &flo_role_io_activity, &MODULE, "max_concurrent_activities=2",
                "max_concurrent_activity_task_polls=2", "shutdown_timeout=2s",
                "executor.grace=200ms", NULL);
    spine_await(&s, "RecordActivityTaskHeartbeat", 1,
                &flo_api__record_activity_task_heartbeat_request__descriptor);
    spine_await_parked(&s, POLL_ACTIVITY, 1);
    assert_int_equal(spine_count(&s, POLL_ACTIVITY), 2); /* the held one and the open one */
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* A namespace that does not exist is a mistake in the configuration. */
static void test_namespace_unknown_ends_with_78(void **state)
{
    struct spine s;

    (void)state;
    spine_init(&s);
    spine_refuse(&s, "DescribeNamespace", FLO_GRPC_NOT_FOUND);
    spine_start(&s, &flo_role_io_activity, &MODULE, "log.level=error", NULL);
    assert_int_equal(spine_stop(&s, 0), 78);
    assert_int_equal(spine_count(&s, POLL_ACTIVITY), 0);
    spine_fini(&s);
}

/* A server that ends polls itself at a shutdown is given the time to. */
static void test_drain_waits_for_the_server_to_end_polls(void **state)
{
    FloApi__DescribeNamespaceResponse answer = FLO_API__DESCRIBE_NAMESPACE_RESPONSE__INIT;
    FloApi__PollActivityTaskQueueResponse empty = FLO_API__POLL_ACTIVITY_TASK_QUEUE_RESPONSE__INIT;
    struct spine s;

    (void)state;
    spine_init(&s);
    answer.namespace_info = NEW(&s, FloApi__NamespaceInfo, FLO_API__NAMESPACE_INFO__INIT);
    answer.namespace_info->capabilities =
        NEW(&s, FloApi__NamespaceInfo__Capabilities, FLO_API__NAMESPACE_INFO__CAPABILITIES__INIT);
    answer.namespace_info->capabilities->worker_poll_complete_on_shutdown = true;
    spine_answer(&s, "DescribeNamespace", &answer.base);
    spine_start(&s, &flo_role_io_activity, &MODULE, "max_concurrent_activity_task_polls=1", NULL);
    spine_await_parked(&s, POLL_ACTIVITY, 1);
    kill(s.worker, SIGTERM);
    spine_await(&s, "ShutdownWorker", 1, &flo_api__shutdown_worker_request__descriptor);
    assert_int_equal(spine_parked(&s, POLL_ACTIVITY), 1);
    spine_give(&s, POLL_ACTIVITY, &empty.base);
    assert_int_equal(spine_stop(&s, 0), 0);
    assert_int_equal(spine_count(&s, POLL_ACTIVITY), 1);
    spine_fini(&s);
}

/* A second signal ends a worker at once. */
static void test_second_signal_ends_at_once(void **state)
{
    struct spine s;
    int64_t began;

    (void)state;
    spine_init(&s);
    spine_answer(&s, POLL_ACTIVITY, activity_task(&s, "hold", 60000));
    spine_start(&s, &flo_role_io_activity, &MODULE, "shutdown_timeout=60s", NULL);
    spine_await(&s, "RecordActivityTaskHeartbeat", 1,
                &flo_api__record_activity_task_heartbeat_request__descriptor);
    kill(s.worker, SIGTERM);
    spine_await(&s, "ShutdownWorker", 1, &flo_api__shutdown_worker_request__descriptor);
    began = flo_clock_mono_ns();
    assert_int_equal(spine_stop(&s, SIGTERM), 128 + SIGTERM);
    assert_true(flo_clock_mono_ns() - began < 3 * FLO_NS_PER_S);
    spine_fini(&s);
}

/* ---- workflow tasks ---- */

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
    task->next_page_token = page.next_page_token = token(&s, "page");
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
    inline_task.workflow_task->task_token = token(&s, "second");
    inline_task.workflow_task->workflow_execution->run_id = copy(&s, "another-run");
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
    empty.next_page_token = token(&s, "more"); /* an empty page with a token is allowed */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_io_activity_completes),
        cmocka_unit_test(test_cpu_activity_completes),
        cmocka_unit_test(test_answer_unavailable_is_retried),
        cmocka_unit_test(test_cpu_activity_crash_fails_the_attempt),
        cmocka_unit_test(test_heartbeat_cancel_requested_cancels),
        cmocka_unit_test(test_heartbeat_not_found_reports_nothing),
        cmocka_unit_test(test_failure_flushes_the_last_heartbeat),
        cmocka_unit_test(test_drain_running_activity_is_reported),
        cmocka_unit_test(test_drain_waits_for_the_answers_on_their_way),
        cmocka_unit_test(test_slots_are_no_more_than_executors),
        cmocka_unit_test(test_poll_needs_a_free_slot),
        cmocka_unit_test(test_history_whose_pages_do_not_end_is_given_up),
        cmocka_unit_test(test_namespace_unknown_ends_with_78),
        cmocka_unit_test(test_drain_waits_for_the_server_to_end_polls),
        cmocka_unit_test(test_second_signal_ends_at_once),
        cmocka_unit_test(test_workflow_task_is_advanced),
        cmocka_unit_test(test_workflow_task_cache_miss_reads_the_history),
        cmocka_unit_test(test_workflow_task_failure_is_reported_once),
        cmocka_unit_test(test_workflow_completion_refused_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
