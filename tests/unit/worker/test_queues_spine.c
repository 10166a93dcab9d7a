/* SPDX-License-Identifier: Apache-2.0 */
/* test_queues_spine.c - what an activity worker polls for: several queues, tokens, rates, pollers
 * by the server's advice. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "spine_activities.h"
#include "wire/decode.h"

static int where(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)input;
    *out_result = json_string(flo_activity_info(ctx)->task_queue);
    return 0;
}

static int nap(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    usleep(2000);
    return spine_echo(ctx, input, out_result);
}

static const struct flo_module MODULE = {
    .abi = FLO_MODULE_ABI,
    .name = "test",
    .activities =
        FLO_ACTIVITIES({"echo", spine_echo}, {"where", where}, {"hold", spine_hold}, {"nap", nap}),
};

static const FloApi__PollActivityTaskQueueRequest *poll_at(struct spine *s, size_t number)
{
    return (const FloApi__PollActivityTaskQueueRequest *)spine_await(
        s, POLL_ACTIVITY, number, &flo_api__poll_activity_task_queue_request__descriptor);
}

/* How many of the first count polls asked queue. */
static size_t polls_of(struct spine *s, size_t count, const char *queue)
{
    size_t found = 0;

    for (size_t i = 1; i <= count; i++)
        found += strcmp(poll_at(s, i)->task_queue->name, queue) == 0;
    return found;
}

/* Each queue has its own number of polls, says its own rate, and is named at the shutdown. */
static void test_queues_are_polled_with_their_own_settings(void **state)
{
    const FloApi__PollActivityTaskQueueRequest *poll;
    const FloApi__ShutdownWorkerRequest *shut;
    struct spine s;

    (void)state;
    spine_init(&s);
    s.yaml = "queues:\n"
             "  - {name: fast, max_concurrent_activity_task_polls: 3}\n"
             "  - {name: slow, max_task_queue_activities_per_second: 2.5}\n";
    spine_start(&s, &flo_role_io_activity, &MODULE, "max_concurrent_activities=5", NULL);
    spine_await_parked(&s, POLL_ACTIVITY, 5);
    assert_int_equal(polls_of(&s, 5, "fast"), 3);
    assert_int_equal(polls_of(&s, 5, "slow"), 2);
    for (size_t i = 1; i <= 5; i++) {
        poll = poll_at(&s, i);
        if (strcmp(poll->task_queue->name, "slow") == 0)
            assert_true(poll->task_queue_metadata->max_tasks_per_second->value == 2.5);
        else
            assert_null(poll->task_queue_metadata);
    }
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    assert_int_equal(spine_count(&s, "ShutdownWorker"), 2);
    shut = (const FloApi__ShutdownWorkerRequest *)spine_await(
        &s, "ShutdownWorker", 2, &flo_api__shutdown_worker_request__descriptor);
    assert_string_equal(shut->task_queue, "slow");
    spine_fini(&s);
}

/* With fewer executors than slots a queue that brought nothing yet has one poll; its first task
 * gets it more, and never all places are its. */
static void test_queues_share_what_the_executor_runs(void **state)
{
    struct spine s;

    (void)state;
    spine_init(&s);
    s.yaml = "queues: [a, b]\n";
    spine_start(&s, &flo_role_io_activity, &MODULE, "executor.workers=4",
                "max_concurrent_activities=4", "max_concurrent_activity_task_polls=4",
                "shutdown_timeout=2s", "executor.grace=200ms", NULL);
    spine_await_parked(&s, POLL_ACTIVITY, 2);
    assert_int_equal(polls_of(&s, 2, "a"), 1);
    spine_give(&s, POLL_ACTIVITY, &spine_activity_task(&s, "hold", 60000)->base);
    spine_await_heartbeat(&s, 1);
    /* One runs, the other queue's poll stays out: two places are left. */
    spine_await_parked(&s, POLL_ACTIVITY, 3);
    assert_int_equal(spine_count(&s, POLL_ACTIVITY), 4);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* Places go by weight once both queues bring tasks: three of four. */
static void test_queues_share_by_weight(void **state)
{
    struct spine s;

    (void)state;
    spine_init(&s);
    s.yaml = "queues: [{name: a, weight: 3}, b]\n";
    spine_start(&s, &flo_role_io_activity, &MODULE, "executor.workers=4",
                "max_concurrent_activities=4", "max_concurrent_activity_task_polls=4",
                "shutdown_timeout=2s", "executor.grace=200ms", NULL);
    spine_await_parked(&s, POLL_ACTIVITY, 2);
    for (size_t i = 1; i <= 4; i++) { /* the oldest poll first: a, b, a, a */
        spine_give(&s, POLL_ACTIVITY, &spine_activity_task(&s, "hold", 60000)->base);
        spine_await_heartbeat(&s, i);
    }
    assert_int_equal(spine_count(&s, POLL_ACTIVITY), 4);
    assert_int_equal(polls_of(&s, 4, "a"), 3);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* An activity knows which queue it came from, on threads as in processes. */
static void activities_know_their_queue(const struct flo_role_spec *role)
{
    const FloApi__RespondActivityTaskCompletedRequest *answer;
    bool named[2] = {false};
    struct spine s;

    spine_init(&s);
    s.yaml = "queues: [first, second]\n";
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "where", 60000)->base);
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "where", 60000)->base);
    spine_start(&s, role, &MODULE, "executor.workers=2", "max_concurrent_activity_task_polls=1",
                NULL);
    for (size_t i = 1; i <= 2; i++) {
        answer = spine_await_completed(&s, i);
        ProtobufCBinaryData data = answer->result->payloads[0]->data;
        named[0] |= data.len == 7 && memcmp(data.data, "\"first\"", 7) == 0;
        named[1] |= data.len == 8 && memcmp(data.data, "\"second\"", 8) == 0;
    }
    assert_true(named[0] && named[1]);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

static void test_activities_on_threads_know_their_queue(void **state)
{
    (void)state;
    activities_know_their_queue(&flo_role_io_activity);
}

static void test_activities_in_processes_know_their_queue(void **state)
{
    (void)state;
    activities_know_their_queue(&flo_role_cpu_activity);
}

/* A type that the queue's list does not have is answered as one that is not registered. */
static void test_queue_refuses_a_type_that_it_does_not_serve(void **state)
{
    const FloApi__RespondActivityTaskFailedRequest *answer;
    struct spine s;

    (void)state;
    spine_init(&s);
    s.yaml = "queues: [{name: q, activities: [echo]}]\n";
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "nap", 60000)->base);
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "echo", 60000)->base);
    spine_start(&s, &flo_role_io_activity, &MODULE, NULL);
    answer = spine_await_failed(&s, 1);
    assert_string_equal(answer->failure->application_failure_info->type, "NotFoundError");
    spine_await_completed(&s, 1);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* A type or token that does not exist is a mistake in the configuration. */
static void test_unknown_activity_ends_with_78(void **state)
{
    struct spine s;

    (void)state;
    spine_init(&s);
    s.yaml = "task_queue: q\ntokens: {db: 1}\nactivities: {ehco: {tokens: {db: 1}}}\n";
    spine_start(&s, &flo_role_io_activity, &MODULE, NULL);
    assert_int_equal(spine_stop(&s, 0), 78);
    spine_fini(&s);
}

/* ---- tokens ---- */

/* Without its tokens a slot is not polled for; a type that needs none gives back what its poll
 * took. */
static void test_tokens_hold_polls_back(void **state)
{
    struct spine s;

    (void)state;
    spine_init(&s);
    s.yaml = "task_queue: q\ntokens: {db: 2}\nactivities: {hold: {tokens: {db: 1}}}\n";
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "echo", 60000)->base);
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "hold", 60000)->base);
    spine_start(&s, &flo_role_io_activity, &MODULE, "max_concurrent_activities=5",
                "max_concurrent_activity_task_polls=5", "shutdown_timeout=2s",
                "executor.grace=200ms", NULL);
    spine_await_completed(&s, 1);
    spine_await_heartbeat(&s, 1);
    /* One token is with the held activity, so one poll is out: the third of all. */
    spine_await_parked(&s, POLL_ACTIVITY, 1);
    assert_int_equal(spine_count(&s, POLL_ACTIVITY), 3);
    spine_give(&s, POLL_ACTIVITY, &spine_activity_task(&s, "hold", 60000)->base);
    spine_await_heartbeat(&s, 2);
    assert_int_equal(spine_count(&s, POLL_ACTIVITY), 3);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

#define NAPS 40

static size_t most_naps;

/* What runs, by what the server knows, and what polls could bring. */
static void count_naps(struct spine *s, const char *rpc)
{
    size_t given = 0, out;

    (void)rpc;
    for (size_t i = 0; i < s->answer_count; i++)
        given += s->answers[i].used;
    out = given - spine_count(s, "RespondActivityTaskCompleted") + spine_parked(s, POLL_ACTIVITY);
    most_naps = out > most_naps ? out : most_naps;
}

/* 50 slots, 5 tokens: never more than 5 at work or on their way, and all complete. */
static void test_tokens_bound_what_runs(void **state)
{
    struct spine s;

    (void)state;
    spine_init(&s);
    most_naps = 0;
    s.on_request = count_naps;
    s.yaml = "task_queue: q\ntokens: {db: 5}\nactivities: {nap: {tokens: {db: 1}}}\n";
    for (int i = 0; i < NAPS; i++)
        spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "nap", 60000)->base);
    spine_start(&s, &flo_role_io_activity, &MODULE, "executor.workers=50",
                "max_concurrent_activities=50", "max_concurrent_activity_task_polls=50", NULL);
    spine_await_completed(&s, NAPS);
    assert_in_range(most_naps, 2, 5);
    spine_await_parked(&s, POLL_ACTIVITY, 5);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* A queue that brings nothing, heavy as it is, leaves the tokens for a first poll to the other. */
static void test_tokens_are_left_for_a_queue_without_a_poll(void **state)
{
    struct spine s;

    (void)state;
    spine_init(&s);
    s.yaml = "queues: [busy, {name: idle, weight: 10}]\n"
             "tokens: {db: 2}\nactivities: {nap: {tokens: {db: 1}}}\n";
    spine_start(&s, &flo_role_io_activity, &MODULE, "executor.workers=8",
                "max_concurrent_activities=4", "shutdown_timeout=2s", "executor.grace=200ms", NULL);
    spine_await_parked(&s, POLL_ACTIVITY, 2);
    spine_give(&s, POLL_ACTIVITY,
               &spine_activity_task(&s, "hold", 60000)->base); /* to busy: the oldest poll */
    spine_await_heartbeat(&s, 1);
    spine_await_parked(&s, POLL_ACTIVITY, 2);
    assert_int_equal(polls_of(&s, 3, "busy"), 2);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* ---- rate ---- */

/* The one permit of a very low rate goes with the first task, and no other poll is sent. */
static void test_rate_holds_polls_back(void **state)
{
    struct spine s;

    (void)state;
    spine_init(&s);
    spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "echo", 60000)->base);
    spine_start(&s, &flo_role_io_activity, &MODULE, "max_activities_per_second=0.001", NULL);
    spine_await_completed(&s, 1);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    assert_int_equal(spine_count(&s, POLL_ACTIVITY), 1);
    spine_fini(&s);
}

/* A higher one lets all through, in its time. */
static void test_rate_lets_polls_through_in_time(void **state)
{
    struct spine s;
    int64_t began = flo_clock_mono_ns();

    (void)state;
    spine_init(&s);
    for (int i = 0; i < 6; i++)
        spine_answer(&s, POLL_ACTIVITY, &spine_activity_task(&s, "echo", 60000)->base);
    spine_start(&s, &flo_role_io_activity, &MODULE, "max_activities_per_second=10", NULL);
    spine_await_completed(&s, 6);
    assert_true(flo_clock_mono_ns() - began >=
                500 * FLO_NS_PER_MS); /* five permits after the first */
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* Of the permits, too: the next one is busy's, whose turn comes after idle's. */
static void test_rate_leaves_a_permit_for_a_queue_without_a_poll(void **state)
{
    struct spine s;

    (void)state;
    spine_init(&s);
    s.yaml = "queues: [busy, {name: idle, weight: 10}]\n";
    spine_start(&s, &flo_role_io_activity, &MODULE, "max_activities_per_second=20",
                "executor.workers=8", "max_concurrent_activities=4", "shutdown_timeout=2s",
                "executor.grace=200ms", NULL);
    spine_await_parked(&s, POLL_ACTIVITY, 2);
    spine_give(&s, POLL_ACTIVITY, &spine_activity_task(&s, "hold", 60000)->base);
    spine_await_heartbeat(&s, 1);
    spine_await_parked(&s, POLL_ACTIVITY, 2);
    assert_int_equal(polls_of(&s, 3, "busy"), 2);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

/* ---- pollers ---- */

/* The server's advice takes the polls above their first number; polls that end empty bring them
 * down to the least. */
static void test_pollers_follow_the_servers_advice(void **state)
{
    FloApi__PollActivityTaskQueueResponse empty = FLO_API__POLL_ACTIVITY_TASK_QUEUE_RESPONSE__INIT;
    FloApi__PollActivityTaskQueueResponse *task;
    struct spine s;

    (void)state;
    spine_init(&s);
    task = spine_activity_task(&s, "echo", 60000);
    task->poller_scaling_decision =
        SPINE_NEW(&s, FloApi__PollerScalingDecision, FLO_API__POLLER_SCALING_DECISION__INIT);
    task->poller_scaling_decision->poll_request_delta_suggestion = 3;
    spine_start(&s, &flo_role_io_activity, &MODULE, "executor.workers=10",
                "max_concurrent_activities=10", "pollers.kind=autoscale", "pollers.initial=2",
                "pollers.max=8", NULL);
    spine_await_parked(&s, POLL_ACTIVITY, 2);
    spine_give(&s, POLL_ACTIVITY, &task->base);
    spine_await_parked(&s, POLL_ACTIVITY, 5);
    for (int i = 0; i < 4; i++)
        spine_give(&s, POLL_ACTIVITY, &empty.base);
    task->poller_scaling_decision = NULL;
    spine_give(&s, POLL_ACTIVITY, &task->base); /* so that the worker has seen the others */
    spine_await_completed(&s, 2);
    spine_await_parked(&s, POLL_ACTIVITY, 1);
    assert_int_equal(spine_count(&s, POLL_ACTIVITY), 7);
    assert_int_equal(spine_stop(&s, SIGTERM), 0);
    spine_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queues_are_polled_with_their_own_settings),
        cmocka_unit_test(test_queues_share_what_the_executor_runs),
        cmocka_unit_test(test_queues_share_by_weight),
        cmocka_unit_test(test_activities_on_threads_know_their_queue),
        cmocka_unit_test(test_activities_in_processes_know_their_queue),
        cmocka_unit_test(test_queue_refuses_a_type_that_it_does_not_serve),
        cmocka_unit_test(test_unknown_activity_ends_with_78),
        cmocka_unit_test(test_tokens_hold_polls_back),
        cmocka_unit_test(test_tokens_bound_what_runs),
        cmocka_unit_test(test_tokens_are_left_for_a_queue_without_a_poll),
        cmocka_unit_test(test_rate_holds_polls_back),
        cmocka_unit_test(test_rate_lets_polls_through_in_time),
        cmocka_unit_test(test_rate_leaves_a_permit_for_a_queue_without_a_poll),
        cmocka_unit_test(test_pollers_follow_the_servers_advice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
