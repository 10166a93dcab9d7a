/* SPDX-License-Identifier: Apache-2.0 */
/* test_priority.c - the order of tasks in a queue: priority levels, fair shares, rate limits that
 * operators set. */
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/engine_worker.h"

#define SECOND FLO_NS_PER_S

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

static void start_with(struct engine *e, const char *id, int32_t level, const char *key,
                       float weight)
{
    FloApi__StartWorkflowExecutionRequest *request = engine_start_request(e, id, "q");
    FloApi__Priority priority = FLO_API__PRIORITY__INIT;
    priority.priority_key = level;
    priority.fairness_key = (char *)key;
    priority.fairness_weight = weight;
    request->priority = &priority;
    engine_do(e, "StartWorkflowExecution", &request->base);
}

/* The workflow whose task comes next. */
static const char *next(struct engine *e)
{
    return engine_task(e, engine_poll(e, "q"))->workflow_execution->workflow_id;
}

/* Lower levels go first; without one it is 3, above 5 it is 5; within a level who came first. */
static void test_levels_go_in_order(void **state)
{
    struct engine *e = *state;
    start_with(e, "late", 99, "", 0);
    engine_start(e, "plain", "q");
    start_with(e, "three", 3, "", 0);
    start_with(e, "first", 1, "", 0);
    start_with(e, "four", 4, "", 0);
    engine_start(e, "plain2", "q");
    static const char *const expected[] = {"first", "plain", "three", "plain2", "four", "late"};
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(next(e), expected[i]);
}

/* The order outlives the process: it is the run's, and its activities'. */
static void test_levels_survive_a_restart(void **state)
{
    struct engine *e = *state;
    engine_start(e, "plain", "q");
    start_with(e, "first", 1, "k", 2);
    engine_restart(e);
    assert_string_equal(next(e), "first");
    assert_string_equal(next(e), "plain");
}

/* A key with many tasks does not keep one with few waiting; a weight of 2 is twice the share. */
static void test_keys_get_their_shares(void **state)
{
    struct engine *e = *state;
    for (int i = 0; i < 12; i++)
        start_with(e, engine_format(e, "many%d", i), 0, "many", 1);
    for (int i = 0; i < 12; i++)
        start_with(e, engine_format(e, "twice%d", i), 0, "twice", 2);
    int many = 0, twice = 0;
    for (int i = 0; i < 12; i++) {
        const char *id = next(e);
        *(strncmp(id, "many", 4) == 0 ? &many : &twice) += 1;
    }
    assert_int_equal(many, 4);
    assert_int_equal(twice, 8);
    start_with(e, "new", 0, "new", 1); /* not behind all that waits, nor before its turn */
    int before = 0;
    while (strcmp(next(e), "new") != 0)
        before++;
    assert_in_range(before, 0, 3);
}

/* An activity has the priority of its run where it says nothing else; both are told. */
static void test_activity_takes_the_priority_of_its_run(void **state)
{
    struct engine *e = *state;
    FloApi__Priority own = FLO_API__PRIORITY__INIT;
    own.priority_key = 1;
    start_with(e, "wf", 5, "k", 3);
    FloApi__Command *a = engine_cmd_activity(e, "a", "q");
    FloApi__Command *b = engine_cmd_activity(e, "b", "q");
    engine_activity_of(b)->priority = &own;
    engine_respond_poll(e, "q", a, b, NULL);
    FloApi__PollActivityTaskQueueResponse *task = engine_next_activity(e, "q");
    assert_string_equal(task->activity_id, "b");
    assert_int_equal(task->priority->priority_key, 1);
    assert_string_equal(task->priority->fairness_key, "k");
    task = engine_next_activity(e, "q");
    assert_string_equal(task->activity_id, "a");
    assert_int_equal(task->priority->priority_key, 5);
}

/* What makes no sense is refused. */
static void test_bad_priorities_are_refused(void **state)
{
    struct engine *e = *state;
    FloApi__StartWorkflowExecutionRequest *request = engine_start_request(e, "wf", "q");
    FloApi__Priority priority = FLO_API__PRIORITY__INIT;
    request->priority = &priority;
    priority.priority_key = -1;
    assert_string_equal(engine_try(e, "StartWorkflowExecution", &request->base),
                        "INVALID_ARGUMENT | PriorityKey can't be negative");
    priority.priority_key = 0;
    priority.fairness_weight = -1;
    assert_string_equal(engine_try(e, "StartWorkflowExecution", &request->base),
                        "INVALID_ARGUMENT | FairnessWeight can't be negative");
    priority.fairness_weight = 0;
    priority.fairness_key =
        (char *)"0123456789012345678901234567890123456789012345678901234567890123456789";
    assert_string_equal(engine_try(e, "StartWorkflowExecution", &request->base),
                        "INVALID_ARGUMENT | FairnessKey length exceeds limit");
}

/* ---- limits that operators set ---- */

/* Set the limit of the queue, or of each key; < 0: take it off. */
static const char *limit(struct engine *e, bool keys, double value)
{
    FloApi__UpdateTaskQueueConfigRequest request = FLO_API__UPDATE_TASK_QUEUE_CONFIG_REQUEST__INIT;
    FloApi__UpdateTaskQueueConfigRequest__RateLimitUpdate update =
        FLO_API__UPDATE_TASK_QUEUE_CONFIG_REQUEST__RATE_LIMIT_UPDATE__INIT;
    FloApi__RateLimit rate = FLO_API__RATE_LIMIT__INIT;
    rate.requests_per_second = (float)value;
    if (value >= 0)
        update.rate_limit = &rate;
    update.reason = (char *)"why";
    request.namespace_ = (char *)"default";
    request.identity = (char *)"op";
    request.task_queue = (char *)"q";
    request.task_queue_type = FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_ACTIVITY;
    if (keys)
        request.update_fairness_key_rate_limit_default = &update;
    else
        request.update_queue_rate_limit = &update;
    return engine_try(e, "UpdateTaskQueueConfig", &request.base);
}

static FloApi__DescribeTaskQueueResponse *describe(struct engine *e)
{
    FloApi__DescribeTaskQueueRequest request = FLO_API__DESCRIBE_TASK_QUEUE_REQUEST__INIT;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    queue.name = (char *)"q";
    request.namespace_ = (char *)"default";
    request.task_queue = &queue;
    request.task_queue_type = FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_ACTIVITY;
    request.report_config = request.report_stats = true;
    return engine_do(e, "DescribeTaskQueue", &request.base);
}

/* So many activities wait, of runs with these fairness keys. */
static void schedule(struct engine *e, const char *key, int count)
{
    for (int i = 0; i < count; i++) {
        start_with(e, engine_format(e, "%s%d", key, i), 0, key, 1);
        engine_respond_poll(e, "q", engine_cmd_activity(e, "a", "q"), NULL);
    }
}

/* Polls until one waits: how many got a task. That poll is given up. */
static int take_all(struct engine *e)
{
    for (int taken = 0;; taken++) {
        uint64_t poll = engine_poll_activity(e, "q");
        if (!engine_reply(e, poll)) {
            flo_core_cancel_call(e->core, poll);
            return taken;
        }
    }
}

/* A second's worth at once, then so many a second; also after a restart. */
static void test_queue_limit_holds_and_is_durable(void **state)
{
    struct engine *e = *state;
    schedule(e, "k", 20);
    assert_string_equal(limit(e, false, 3), "OK");
    assert_int_equal(take_all(e), 3);
    engine_pass(e, SECOND);
    assert_int_equal(take_all(e), 3);
    engine_commit(e);
    engine_restart(e);
    FloApi__DescribeTaskQueueResponse *response = describe(e);
    assert_int_equal(response->effective_rate_limit->rate_limit_source,
                     FLO_API__RATE_LIMIT_SOURCE__RATE_LIMIT_SOURCE_API);
    assert_string_equal(response->config->queue_rate_limit->metadata->reason, "why");
    assert_string_equal(response->config->queue_rate_limit->metadata->update_identity, "op");
    assert_int_equal(take_all(e), 3);
    assert_string_equal(limit(e, false, 0), "OK");
    engine_pass(e, 2 * SECOND);
    assert_int_equal(take_all(e), 0);
    assert_string_equal(limit(e, false, -1), "OK");
    assert_int_equal(take_all(e), 11);
}

/* A poll that waits gets its task when the limit is taken off. */
static void test_a_lifted_limit_wakes_polls(void **state)
{
    struct engine *e = *state;
    assert_string_equal(limit(e, false, 0), "OK");
    schedule(e, "k", 1);
    uint64_t poll = engine_poll_activity(e, "q");
    assert_null(engine_reply(e, poll));
    assert_string_equal(limit(e, false, -1), "OK");
    engine_activity(e, poll);
}

/* Each key has the limit of its own; one that is held back holds no other back. */
static void test_key_limit_is_for_each_key(void **state)
{
    struct engine *e = *state;
    schedule(e, "a", 6);
    schedule(e, "b", 1);
    assert_string_equal(limit(e, true, 2), "OK");
    assert_int_equal(take_all(e), 3); /* 2 of a, 1 of b */
    engine_pass(e, SECOND / 2);
    assert_int_equal(take_all(e), 1);
    uint64_t poll = engine_poll_activity(e, "q");
    assert_null(engine_reply(e, poll));
    engine_pass(e, SECOND / 2);
    engine_activity(e, poll);
    assert_string_equal(limit(e, true, 0), "OK");
    engine_pass(e, 2 * SECOND);
    assert_int_equal(take_all(e), 0);
    assert_string_equal(limit(e, true, -1), "OK");
    assert_int_equal(take_all(e), 2);
}

/* Figures by level; the levels add up. */
static void test_describe_tells_of_levels(void **state)
{
    struct engine *e = *state;
    FloApi__Priority own = FLO_API__PRIORITY__INIT;
    own.priority_key = 1;
    engine_start(e, "wf", "q");
    FloApi__Command *b = engine_cmd_activity(e, "b", "q");
    engine_activity_of(b)->priority = &own;
    engine_respond_poll(e, "q", engine_cmd_activity(e, "a", "q"), b, NULL);
    engine_pass(e, SECOND);
    FloApi__DescribeTaskQueueResponse *response = describe(e);
    assert_int_equal(response->stats->approximate_backlog_count, 2);
    assert_int_equal(response->n_stats_by_priority_key, 2);
    assert_int_equal(response->stats_by_priority_key[0]->key, 1);
    assert_int_equal(response->stats_by_priority_key[0]->value->approximate_backlog_count, 1);
    assert_int_equal(response->stats_by_priority_key[1]->key, 3);
    assert_int_equal(response->stats_by_priority_key[1]->value->approximate_backlog_count, 1);
    assert_int_equal(response->stats_by_priority_key[1]->value->approximate_backlog_age->seconds,
                     1);
}

/* Keys that are not in use do not pile up. */
static void test_unused_keys_are_swept(void **state)
{
    struct engine *e = *state;
    for (int i = 0; i < 2000; i++) {
        start_with(e, engine_format(e, "wf%d", i), 0, engine_format(e, "key%d", i), 1);
        engine_task(e, engine_poll(e, "q"));
        engine_terminate(e, engine_format(e, "wf%d", i));
    }
    start_with(e, "last", 0, "last", 1);
    assert_string_equal(next(e), "last");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_levels_go_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_levels_survive_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys_get_their_shares, setup, teardown),
        cmocka_unit_test_setup_teardown(test_activity_takes_the_priority_of_its_run, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_bad_priorities_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_queue_limit_holds_and_is_durable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_lifted_limit_wakes_polls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_key_limit_is_for_each_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_describe_tells_of_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unused_keys_are_swept, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
