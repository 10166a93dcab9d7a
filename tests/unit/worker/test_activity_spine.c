/* SPDX-License-Identifier: Apache-2.0 */
/* test_activity_spine.c - an activity worker as a whole: poll, execute, heartbeat, respond, drain.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "activity/context.h"
#include "base/clock.h"
#include "executor/child_io.h"
#include "executor/frame.h"
#include "grpc/status.h"
#include "spine_activities.h"
#include "wire/payload.h"

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

static int leave_open(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)input;
    (void)out_result;
    return flo_activity_complete_async(ctx);
}

/* In an executor process: what one might send that wrote over its memory, an answer that has the
 * form of one and holds what is none. */
static int damage(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    static const uint8_t BODY[] = {FLO_OUTCOME_COMPLETED, 3, 0xff, 0xff, 0xff};
    const struct flo_child_io *child = (const struct flo_child_io *)ctx->io;
    const struct flo_frame head = {
        .kind = FLO_FRAME_DONE, .job = child->job, .body_len = sizeof BODY};

    (void)input;
    (void)out_result;
    return flo_frame_write(child->fd, &head, BODY);
}

/* Fails with a message that is not UTF-8. */
static int fail_in_latin_1(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)input;
    (void)out_result;
    return flo_activity_fail(ctx, "Mine", false, NULL, "caf\xe9");
}

/* Never looks up; the worker heartbeats for it. */
static int beaten_for(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)flo_activity_heartbeat(ctx, input);
    flo_activity_heartbeat_every(ctx, 10);
    (void)flo_activity_wait_cancelled(ctx, 60000);
    (void)out_result;
    return FLO_ECANCELLED;
}

static const struct flo_module MODULE = {
    .abi = FLO_MODULE_ABI,
    .name = "test",
    .activities = FLO_ACTIVITIES({"echo", spine_echo}, {"hold", spine_hold}, {"crash", crash},
                                 {"beat_and_fail", beat_and_fail}, {"leave_open", leave_open},
                                 {"beaten_for", beaten_for}, {"damage", damage},
                                 {"fail_in_latin_1", fail_in_latin_1}),
};

static void activity_completes(const struct flo_role_spec *role)
{
    const FloApi__RespondActivityTaskCompletedRequest *answer;
    struct spine s;

    spine_init(&s);
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "echo", 5000)->base);
    spine_start(&s, role, &MODULE, NULL);
    answer = spine_await_completed(&s, 1);
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
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "echo", 5000)->base);
    spine_refuse(&s, "RespondActivityTaskCompleted", FLO_GRPC_UNAVAILABLE);
    spine_start(&s, &flo_role_io_activity, &MODULE, NULL);
    spine_await_completed(&s, 2);
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
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "crash", 5000)->base);
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "echo", 5000)->base);
    spine_start(&s, &flo_role_cpu_activity, &MODULE, "executor.workers=1",
                "max_concurrent_activities=1", NULL);
    answer = spine_await_failed(&s, 1);
    assert_string_equal(answer->failure->application_failure_info->type, "ApplicationCrash");
    assert_false(answer->failure->application_failure_info->non_retryable);
    assert_non_null(strstr(answer->failure->message, "SIGSEGV"));
    spine_await_completed(&s, 1);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

static void activity_fails(const struct flo_role_spec *role, const char *type,
                           const char *failure_type, const char *message)
{
    const FloApi__RespondActivityTaskFailedRequest *answer;
    struct spine s;

    spine_init(&s);
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, type, 60000)->base);
    spine_start(&s, role, &MODULE, NULL);
    answer = spine_await_failed(&s, 1);
    assert_string_equal(answer->failure->application_failure_info->type, failure_type);
    assert_string_equal(answer->failure->message, message);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* An answer that cannot be read fails the attempt at once: nobody waits for its time-out. */
static void test_damaged_answer_fails_the_attempt(void **state)
{
    (void)state;
    activity_fails(&flo_role_cpu_activity, "damage", "ApplicationCrash",
                   "The activity's answer is damaged");
}

/* Nor is a failure lost because of the bytes in its message. */
static void test_failure_that_is_not_utf8_is_reported(void **state)
{
    (void)state;
    activity_fails(&flo_role_io_activity, "fail_in_latin_1", "Mine", "caf?");
    activity_fails(&flo_role_cpu_activity, "fail_in_latin_1", "Mine", "caf?");
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
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "hold", 10000)->base);
    spine_start(&s, &flo_role_io_activity, &MODULE, NULL);
    spine_await(&s, "RespondActivityTaskCanceled", 1,
                &flo_api__respond_activity_task_canceled_request__descriptor);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* What an operator did comes the same way; it is reported as a failure that may be retried. */
static void test_heartbeat_paused_or_reset_fails_the_attempt(void **state)
{
    static const char *const TYPES[] = {"ActivityPause", "ActivityReset"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        FloApi__RecordActivityTaskHeartbeatResponse wish =
            FLO_API__RECORD_ACTIVITY_TASK_HEARTBEAT_RESPONSE__INIT;
        const FloApi__RespondActivityTaskFailedRequest *answer;
        struct spine s;
        spine_init(&s);
        wish.activity_paused = i == 0;
        wish.activity_reset = i == 1;
        spine_answer(&s, "RecordActivityTaskHeartbeat", &wish.base);
        spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "hold", 10000)->base);
        spine_start(&s, &flo_role_io_activity, &MODULE, NULL);
        answer = spine_await_failed(&s, 1);
        assert_string_equal(answer->failure->application_failure_info->type, TYPES[i]);
        assert_false(answer->failure->application_failure_info->non_retryable);
        assert_int_equal(spine_stop(&s, SIGTERM), 0);
        spine_fini(&s);
    }
}

/* An activity that is left open is not reported, and gives its slot back. */
static void test_pending_reports_nothing(void **state)
{
    struct spine s;

    (void)state;
    spine_init(&s);
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "leave_open", 10000)->base);
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "echo", 10000)->base);
    spine_start(&s, &flo_role_io_activity, &MODULE, "max_concurrent_activities=1", NULL);
    spine_await_completed(&s, 1);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    assert_int_equal(spine_count(&s, "RespondActivityTaskCompleted"), 1);
    assert_int_equal(spine_count(&s, "RespondActivityTaskFailed"), 0);
    spine_fini(&s);
}

/* An activity that stops when its time is over is not reported: the server says so itself, and a
 * report would be a failure without retry. */
static void test_timed_out_reports_nothing(void **state)
{
    struct spine s;

    (void)state;
    spine_init(&s);
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "hold", 100)->base);
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "echo", 10000)->base);
    spine_start(&s, &flo_role_io_activity, &MODULE, "max_concurrent_activities=1", NULL);
    spine_await_completed(&s, 1);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    assert_int_equal(spine_count(&s, "RespondActivityTaskFailed"), 0);
    assert_int_equal(spine_count(&s, "RespondActivityTaskCanceled"), 0);
    spine_fini(&s);
}

static void worker_heartbeats(const struct flo_role_spec *role)
{
    FloApi__PollActivityTaskQueueResponse *task;
    const FloApi__RecordActivityTaskHeartbeatRequest *beat;
    struct spine s;

    spine_init(&s);
    task = spine_activity_task(&s, "beaten_for", 0);
    task->heartbeat_timeout = flo_duration_new(&s.arena, 500 * FLO_NS_PER_MS);
    spine_answer(&s, POLL_ACTIVITY, &task->base);
    spine_start(&s, role, &MODULE, "shutdown_timeout=4s", NULL);
    beat = spine_await_heartbeat(&s, 3);
    assert_memory_equal(beat->details->payloads[0]->data.data, "\"hello\"", 7);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* The worker heartbeats for an activity that asked for it, with its newest details. */
static void test_heartbeats_by_the_worker(void **state)
{
    (void)state;
    worker_heartbeats(&flo_role_io_activity);
    worker_heartbeats(&flo_role_cpu_activity);
}

/* A heartbeat that finds no task stops the activity, and nothing is reported. */
static void test_heartbeat_not_found_reports_nothing(void **state)
{
    struct spine s;

    (void)state;
    spine_init(&s);
    spine_refuse(&s, "RecordActivityTaskHeartbeat", FLO_GRPC_NOT_FOUND);
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "hold", 10000)->base);
    spine_start(&s, &flo_role_io_activity, &MODULE, "max_concurrent_activities=1",
                "max_concurrent_activity_task_polls=1", NULL);
    spine_await_heartbeat(&s, 1);
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
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "beat_and_fail", 10000)->base);
    spine_start(&s, &flo_role_io_activity, &MODULE, NULL);
    spine_await_failed(&s, 1);
    last = spine_await_heartbeat(&s, spine_count(&s, "RecordActivityTaskHeartbeat"));
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
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "hold", 60000)->base);
    spine_start(&s, &flo_role_io_activity, &MODULE, "shutdown_timeout=3s", "executor.grace=500ms",
                NULL);
    spine_await_heartbeat(&s, 1);
    began = flo_clock_mono_ns();
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    assert_true(flo_clock_mono_ns() - began < 4 * FLO_NS_PER_S);
    answer = spine_await_failed(&s, 1);
    assert_string_equal(answer->failure->application_failure_info->type, "WorkerShutdown");
    assert_false(answer->failure->application_failure_info->non_retryable);
    spine_fini(&s);
}

/* An answer that the server has not taken yet gets the time that there is, although no activity
 * runs any more; the exit code says that its end is not known. */
static void test_drain_waits_for_the_answers_on_their_way(void **state)
{
    struct spine s;
    int64_t began, took;

    (void)state;
    spine_init(&s);
    snprintf(s.unanswered, sizeof s.unanswered, "RespondActivityTaskCompleted");
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "echo", 60000)->base);
    spine_start(&s, &flo_role_io_activity, &MODULE, "shutdown_timeout=3s", NULL);
    spine_await_parked(&s, "RespondActivityTaskCompleted", 1);
    began = flo_clock_mono_ns();
    assert_int_equal(spine_stop(&s, SIGTERM), FLO_EXIT_ABANDONED);
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
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "hold", 60000)->base);
    spine_start(&s, &flo_role_io_activity, &MODULE, "executor.workers=1",
                "max_concurrent_activities=2", "max_concurrent_activity_task_polls=2",
                "shutdown_timeout=2s", "executor.grace=200ms", NULL);
    spine_await_heartbeat(&s, 1);
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
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "hold", 60000)->base);
    spine_start(&s, &flo_role_io_activity, &MODULE, "max_concurrent_activities=2",
                "max_concurrent_activity_task_polls=2", "shutdown_timeout=2s",
                "executor.grace=200ms", NULL);
    spine_await_heartbeat(&s, 1);
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
    answer.namespace_info = SPINE_NEW(&s, FloApi__NamespaceInfo, FLO_API__NAMESPACE_INFO__INIT);
    answer.namespace_info->capabilities = SPINE_NEW(&s, FloApi__NamespaceInfo__Capabilities,
                                                    FLO_API__NAMESPACE_INFO__CAPABILITIES__INIT);
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
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "hold", 60000)->base);
    spine_start(&s, &flo_role_io_activity, &MODULE, "shutdown_timeout=60s", NULL);
    spine_await_heartbeat(&s, 1);
    kill(s.worker, SIGTERM);
    spine_await(&s, "ShutdownWorker", 1, &flo_api__shutdown_worker_request__descriptor);
    began = flo_clock_mono_ns();
    assert_int_equal(spine_stop(&s, SIGTERM), 128 + SIGTERM);
    assert_true(flo_clock_mono_ns() - began < 3 * FLO_NS_PER_S);
    spine_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_io_activity_completes),
        cmocka_unit_test(test_cpu_activity_completes),
        cmocka_unit_test(test_answer_unavailable_is_retried),
        cmocka_unit_test(test_cpu_activity_crash_fails_the_attempt),
        cmocka_unit_test(test_damaged_answer_fails_the_attempt),
        cmocka_unit_test(test_failure_that_is_not_utf8_is_reported),
        cmocka_unit_test(test_heartbeat_cancel_requested_cancels),
        cmocka_unit_test(test_heartbeat_paused_or_reset_fails_the_attempt),
        cmocka_unit_test(test_pending_reports_nothing),
        cmocka_unit_test(test_timed_out_reports_nothing),
        cmocka_unit_test(test_heartbeats_by_the_worker),
        cmocka_unit_test(test_heartbeat_not_found_reports_nothing),
        cmocka_unit_test(test_failure_flushes_the_last_heartbeat),
        cmocka_unit_test(test_drain_running_activity_is_reported),
        cmocka_unit_test(test_drain_waits_for_the_answers_on_their_way),
        cmocka_unit_test(test_slots_are_no_more_than_executors),
        cmocka_unit_test(test_poll_needs_a_free_slot),
        cmocka_unit_test(test_namespace_unknown_ends_with_78),
        cmocka_unit_test(test_drain_waits_for_the_server_to_end_polls),
        cmocka_unit_test(test_second_signal_ends_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
