/* SPDX-License-Identifier: Apache-2.0 */
/* test_matching.c - tasks meet polls: order, waiting, limits, sticky queues, shutdown. */
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/engine_harness.h"
#include "wire/payload.h"

static int setup(void **state)
{
    *state = engine_new(2);
    return 0;
}

static int teardown(void **state)
{
    engine_free(*state);
    return 0;
}

static FloApi__PollActivityTaskQueueRequest activity_poll(FloApi__TaskQueue *queue)
{
    FloApi__PollActivityTaskQueueRequest request = FLO_API__POLL_ACTIVITY_TASK_QUEUE_REQUEST__INIT;
    flo_api__task_queue__init(queue);
    queue->name = "q";
    request.namespace_ = "default";
    request.task_queue = queue;
    request.identity = "me";
    return request;
}

/* A poll that came first gets the task in the step that makes it; tasks leave in order. */
static void test_poll_before_and_after_the_task(void **state)
{
    struct engine *e = *state;
    uint64_t early = engine_poll(e, "q");
    assert_string_equal(engine_task_text(e, early), "waits");
    engine_start(e, "a", "q");
    assert_string_equal(engine_task(e, early)->workflow_execution->workflow_id, "a");
    engine_start(e, "b", "q");
    engine_start(e, "c", "q");
    assert_string_equal(engine_task(e, engine_poll(e, "q"))->workflow_execution->workflow_id, "b");
    assert_string_equal(engine_task(e, engine_poll(e, "q"))->workflow_execution->workflow_id, "c");
    assert_string_equal(engine_task_text(e, early), "prev=0 started=3 attempt=1 events=1-3");
}

/* A workflow task may leave before its commit, an activity task may not. */
static void test_activity_task_waits_for_its_commit(void **state)
{
    struct engine *e = *state;
    e->auto_commit = false;
    engine_start(e, "wf", "q");
    uint64_t poll = engine_poll(e, "q");
    assert_int_equal(engine_reply(e, poll)->after, 0);
    engine_complete(e, engine_task(e, poll), engine_cmd_activity(e, "a", "q"), NULL);
    poll = engine_poll_activity(e, "q");
    assert_true(engine_reply(e, poll)->after > 0);
    assert_int_equal(engine_reply(e, poll)->after, engine_commit(e));
}

/* Deadlines: none is refused, under 2 s is refused, else an empty answer a second before. */
static void test_poll_deadlines(void **state)
{
    struct engine *e = *state;
    FloApi__TaskQueue queue;
    FloApi__PollActivityTaskQueueRequest r = activity_poll(&queue);
    uint64_t call = engine_call(e, "PollActivityTaskQueue", &r.base, -1);
    assert_string_equal(engine_outcome(e, call), "INVALID_ARGUMENT | Context timeout is not set.");
    call = engine_call(e, "PollActivityTaskQueue", &r.base, 2 * FLO_NS_PER_S - 1);
    assert_string_equal(engine_outcome(e, call),
                        "FAILED_PRECONDITION | Context timeout is too short.");
    call = engine_call(e, "PollActivityTaskQueue", &r.base, 5 * FLO_NS_PER_S);
    uint64_t longest = engine_call(e, "PollActivityTaskQueue", &r.base, 600 * FLO_NS_PER_S);
    engine_pass(e, 4 * FLO_NS_PER_S - 1);
    assert_string_equal(engine_outcome(e, call), "waits");
    engine_pass(e, 1);
    assert_int_equal(engine_reply(e, call)->body_len, 0);
    engine_pass(e, 55 * FLO_NS_PER_S);
    assert_int_equal(engine_reply(e, longest)->body_len, 0);
}

/* 1,200 polls of one kind may wait in a namespace; the next is refused. */
static void test_poll_limit(void **state)
{
    struct engine *e = *state;
    uint64_t last = 0;
    for (int i = 0; i < 1200; i++)
        last = engine_poll_activity(e, "q");
    assert_string_equal(engine_outcome(e, last), "waits");
    assert_string_equal(engine_outcome(e, engine_poll_activity(e, "q")),
                        "RESOURCE_EXHAUSTED | namespace concurrent poller limit exceeded | "
                        "ResourceExhaustedFailure");
    assert_string_equal(engine_task_text(e, engine_poll(e, "q")), "waits");
    flo_core_cancel_call(e->core, last);
    assert_string_equal(engine_outcome(e, engine_poll_activity(e, "q")), "waits");
}

/* A cancelled poll gets nothing; one whose answer was already given out gives its task back. */
static void test_cancelled_poll_returns_its_task(void **state)
{
    struct engine *e = *state;
    uint64_t gone = engine_poll(e, "q");
    flo_core_cancel_call(e->core, gone);
    engine_start(e, "wf", "q");
    assert_null(engine_reply(e, gone));
    engine_complete(e, engine_task(e, engine_poll(e, "q")), engine_cmd_activity(e, "a", "q"), NULL);
    uint64_t lost = engine_poll_activity(e, "q");
    assert_int_equal(engine_activity(e, lost)->attempt, 1);
    flo_core_cancel_call(e->core, lost);
    assert_int_equal(engine_activity(e, engine_poll_activity(e, "q"))->attempt, 1);
}

/* The sticky queue is used while its worker polls it, with only the new events. */
static void test_sticky_queue_gets_new_events_only(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__RespondWorkflowTaskCompletedRequest *r =
        engine_completion(e, engine_task(e, engine_poll(e, "q")));
    uint64_t sticky = engine_poll_sticky(e, "q");
    engine_stick(e, r, "q");
    engine_do(e, "RespondWorkflowTaskCompleted", &r->base);
    engine_signal(e, "wf", "s");
    assert_string_equal(engine_task_text(e, sticky), "prev=3 started=7 attempt=1 events=4-7");
    assert_string_equal(engine_task(e, sticky)->workflow_execution_task_queue->name, "q");
}

/* The backlog of the normal queue is told to who polls it; on a sticky queue it is none of the
 * poll's business: an SDK would send its next polls to the sticky queue, and leave the backlog. */
static void test_backlog_hint_is_of_the_polled_queue(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    engine_start(e, "second", "q");
    engine_start(e, "third", "q");
    const FloApi__PollWorkflowTaskQueueResponse *task = engine_task(e, engine_poll(e, "q"));
    assert_int_equal(task->backlog_count_hint, 2);
    FloApi__RespondWorkflowTaskCompletedRequest *r = engine_completion(e, task);
    uint64_t sticky = engine_poll_sticky(e, "q");
    engine_stick(e, r, "q");
    engine_do(e, "RespondWorkflowTaskCompleted", &r->base);
    engine_signal(e, "wf", "s");
    assert_int_equal(engine_task(e, sticky)->backlog_count_hint, 0);
}

/* Nobody polled the sticky queue for 10 s: the task goes to the normal one, with everything. */
static void test_sticky_queue_without_polls_is_passed_over(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__RespondWorkflowTaskCompletedRequest *r =
        engine_completion(e, engine_task(e, engine_poll(e, "q")));
    flo_core_cancel_call(e->core, engine_poll_sticky(e, "q"));
    engine_stick(e, r, "q");
    engine_do(e, "RespondWorkflowTaskCompleted", &r->base);
    engine_pass(e, 11 * FLO_NS_PER_S);
    engine_signal(e, "wf", "s");
    assert_string_equal(engine_task_text(e, engine_poll(e, "q")),
                        "prev=3 started=7 attempt=1 events=1-7");
}

/* ShutdownWorker ends the worker's polls and frees what waits on its sticky queue. */
static void test_shutdown_worker_completes_polls(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    FloApi__RespondWorkflowTaskCompletedRequest *r =
        engine_completion(e, engine_task(e, engine_poll(e, "q")));
    uint64_t gone = engine_poll_sticky(e, "q");
    flo_core_cancel_call(e->core, gone);
    engine_stick(e, r, "q");
    engine_do(e, "RespondWorkflowTaskCompleted", &r->base);
    engine_signal(e, "wf", "s"); /* waits on the sticky queue */
    uint64_t normal = engine_poll(e, "q");
    assert_string_equal(engine_task_text(e, normal), "waits");

    FloApi__TaskQueue queue;
    FloApi__PollActivityTaskQueueRequest poll = activity_poll(&queue);
    poll.worker_instance_key = "key-1";
    uint64_t mine = engine_call(e, "PollActivityTaskQueue", &poll.base, 0);
    poll.worker_instance_key = "key-2";
    uint64_t other = engine_call(e, "PollActivityTaskQueue", &poll.base, 0);
    FloApi__ShutdownWorkerRequest shutdown = FLO_API__SHUTDOWN_WORKER_REQUEST__INIT;
    shutdown.namespace_ = "default";
    shutdown.sticky_task_queue = "q-sticky";
    shutdown.identity = "me";
    shutdown.worker_instance_key = "key-1";
    engine_do(e, "ShutdownWorker", &shutdown.base);
    assert_int_equal(engine_reply(e, mine)->body_len, 0);
    assert_string_equal(engine_outcome(e, other), "waits");
    assert_string_equal(engine_task_text(e, normal), "prev=3 started=7 attempt=1 events=1-7");
}

/* max_tasks_per_second of the newest poll spaces activity tasks out; 0 stops them. */
static void test_activity_rate_limit(void **state)
{
    struct engine *e = *state;
    FloApi__TaskQueue queue;
    FloApi__PollActivityTaskQueueRequest poll = activity_poll(&queue);
    FloApi__TaskQueueMetadata metadata = FLO_API__TASK_QUEUE_METADATA__INIT;
    Google__Protobuf__DoubleValue rate = GOOGLE__PROTOBUF__DOUBLE_VALUE__INIT;
    poll.task_queue_metadata = &metadata;
    metadata.max_tasks_per_second = &rate;
    rate.value = 0.5;
    engine_start(e, "wf", "q");
    engine_complete(e, engine_task(e, engine_poll(e, "q")), engine_cmd_activity(e, "a", "q"),
                    engine_cmd_activity(e, "b", "q"));
    uint64_t first = engine_call(e, "PollActivityTaskQueue", &poll.base, 0);
    uint64_t second = engine_call(e, "PollActivityTaskQueue", &poll.base, 0);
    assert_string_equal(engine_activity(e, first)->activity_id, "a");
    engine_pass(e, 1900 * FLO_NS_PER_MS);
    assert_string_equal(engine_outcome(e, second), "waits");
    engine_pass(e, 200 * FLO_NS_PER_MS);
    assert_string_equal(engine_activity(e, second)->activity_id, "b");
}

/* What comes with a task of queue "q": how many polls more or fewer. */
static int32_t advice_of(struct engine *e, uint64_t call)
{
    const FloApi__PollActivityTaskQueueResponse *task = engine_activity(e, call);
    return task->poller_scaling_decision
               ? task->poller_scaling_decision->poll_request_delta_suggestion
               : 0;
}

/* Polls that wait are too many; tasks that wait call for more, and not too often. */
static void test_advice_on_polls(void **state)
{
    struct engine *e = *state;
    FloApi__TaskQueue queue;
    FloApi__PollActivityTaskQueueRequest poll = activity_poll(&queue);
    uint64_t waited = engine_call(e, "PollActivityTaskQueue", &poll.base, 0);
    engine_pass(e, FLO_NS_PER_S);
    engine_start(e, "wf", "q");
    FloApi__RespondWorkflowTaskCompletedRequest *r =
        engine_completion(e, engine_task(e, engine_poll(e, "q")));
    for (int i = 0; i < 5; i++)
        engine_add_command(e, r, engine_cmd_activity(e, engine_format(e, "%d", i), "q"));
    engine_do(e, "RespondWorkflowTaskCompleted", &r->base);
    assert_int_equal(advice_of(e, waited), -1);
    engine_pass(e, 300 * FLO_NS_PER_MS);
    assert_int_equal(advice_of(e, engine_call(e, "PollActivityTaskQueue", &poll.base, 0)), 1);
    assert_int_equal(advice_of(e, engine_call(e, "PollActivityTaskQueue", &poll.base, 0)), 0);
    engine_pass(e, 100 * FLO_NS_PER_MS);
    assert_int_equal(advice_of(e, engine_call(e, "PollActivityTaskQueue", &poll.base, 0)), 1);
    /* Nothing is left behind this one. */
    engine_pass(e, 100 * FLO_NS_PER_MS);
    assert_int_equal(advice_of(e, engine_call(e, "PollActivityTaskQueue", &poll.base, 0)), 0);
}

static void count_queue(void *ctx, const struct flo_core_queue_figures *figures)
{
    (void)figures;
    ++*(size_t *)ctx;
}

/* Queues that nobody uses any more do not pile up. */
static void test_unused_queues_are_swept(void **state)
{
    struct engine *e = *state;
    for (int i = 0; i < 3000; i++) {
        flo_core_cancel_call(e->core, engine_poll(e, engine_format(e, "q%d", i)));
        engine_pass(e, FLO_NS_PER_S);
    }
    struct flo_core_stats stats;
    flo_core_stats(e->core, &stats);
    assert_int_equal(stats.pollers, 0);
    size_t queues = 0;
    flo_core_each_queue(e->core, count_queue, &queues);
    assert_true(queues > 0 && queues < 1500);
}

/* Nor do queues that are named once and never again, however fast they come. */
static void test_flood_of_queues_is_bounded(void **state)
{
    enum { ROUNDS = 4, NAMES = 15000, KEPT = 40000 };
    struct engine *e = *state;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < NAMES; i++)
            flo_core_cancel_call(e->core, engine_poll(e, engine_format(e, "q%d.%d", round, i)));
        engine_pass(e, 11 * FLO_NS_PER_S);
    }
    size_t queues = 0;
    flo_core_each_queue(e->core, count_queue, &queues);
    assert_true(queues > 0 && queues < KEPT);
}

static void note_backlog(void *ctx, const struct flo_core_queue_figures *figures)
{
    if (!figures->activity && strcmp(figures->queue, "q") == 0)
        *(struct flo_core_queue_figures *)ctx = *figures;
}

/* What waits on a sticky queue is in the figures of the normal one, with its age. */
static void test_figures_have_what_waits_on_sticky_queues(void **state)
{
    struct engine *e = *state;
    struct flo_core_queue_figures figures = {0};
    engine_start(e, "wf", "q");
    FloApi__RespondWorkflowTaskCompletedRequest *r =
        engine_completion(e, engine_task(e, engine_poll(e, "q")));
    flo_core_cancel_call(e->core, engine_poll_sticky(e, "q"));
    engine_stick(e, r, "q");
    engine_do(e, "RespondWorkflowTaskCompleted", &r->base);
    engine_signal(e, "wf", "s");
    engine_pass(e, 2 * FLO_NS_PER_S);
    engine_start(e, "other", "q");
    for (int i = 0; i < 2; i++) { /* the second time adds nothing up */
        flo_core_each_queue(e->core, note_backlog, &figures);
        assert_int_equal(figures.backlog, 2);
        assert_int_equal(figures.backlog_age_ns, 2 * FLO_NS_PER_S);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_poll_before_and_after_the_task),
        TEST(test_activity_task_waits_for_its_commit),
        TEST(test_poll_deadlines),
        TEST(test_poll_limit),
        TEST(test_cancelled_poll_returns_its_task),
        TEST(test_sticky_queue_gets_new_events_only),
        TEST(test_backlog_hint_is_of_the_polled_queue),
        TEST(test_sticky_queue_without_polls_is_passed_over),
        TEST(test_shutdown_worker_completes_polls),
        TEST(test_activity_rate_limit),
        TEST(test_advice_on_polls),
        TEST(test_unused_queues_are_swept),
        TEST(test_flood_of_queues_is_bounded),
        TEST(test_figures_have_what_waits_on_sticky_queues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
