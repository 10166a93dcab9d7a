/* SPDX-License-Identifier: Apache-2.0 */
/* test_options.c - what the options of activities and timers put into commands, and which are
 * refused with which sentence. */
#include <string.h>

#include "flotilla/failure.h"
#include "support/cmocka_env.h"
#include "support/story.h"

static struct flo_activity_options o; /* of the test at hand */

static int one(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return flo_activity(wf, "work", input, &o, out_result);
}

static int many(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_group *group = flo_group_new(wf);
    (void)input;
    for (int i = 0; i < 5; i++)
        flo_group_add(group, flo_activity_start(wf, "work", NULL, &o));
    return flo_group_await_all(group, out_result);
}

static int summaries(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_timer_options timer = {.summary = "until morning"};
    const struct flo_local_activity_options local = {.start_to_close_ms = 1000,
                                                     .summary = "the rate"};
    (void)out_result;
    struct flo_future *rate = flo_local_activity_start(wf, "rate", input, &local);
    struct flo_future *night = flo_timer_start_with(wf, 5, &timer);
    int rc = flo_await(wf, rate, NULL);
    if (rc == 0)
        rc = flo_await(wf, night, NULL);
    return rc ? rc : flo_sleep_with(wf, 6, &timer);
}

static const struct flo_workflow_entry workflows[] = {
    {"One", one}, {"Many", many}, {"Summaries", summaries}, {NULL, NULL}};

static int setup(void **state)
{
    o = (struct flo_activity_options){.start_to_close_ms = 1000};
    return story_setup(state, workflows);
}

static const FloApi__ScheduleActivityTaskCommandAttributes *schedule(const struct story *s,
                                                                     size_t i)
{
    assert_true(i < s->answer.command_count);
    return s->answer.commands[i]->schedule_activity_task_command_attributes;
}

static void test_priority_is_in_the_command(void **state)
{
    struct story *s = *state;
    o.priority = (struct flo_priority){2, "tenant-7", 2.5F};
    story_tell(s, "Started type=One; WFTScheduled; WFTStarted");
    story_answer(s);
    const FloApi__Priority *priority = schedule(s, 0)->priority;
    assert_int_equal(priority->priority_key, 2);
    assert_string_equal(priority->fairness_key, "tenant-7");
    assert_true(priority->fairness_weight == 2.5F);
}

/* All zero: the workflow's, which the server knows. */
static void test_no_priority_is_left_out(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=One; WFTScheduled; WFTStarted");
    story_answer(s);
    assert_null(schedule(s, 0)->priority);
    assert_false(schedule(s, 0)->request_eager_execution);
}

static size_t eager_count(struct story *s)
{
    size_t count = 0;
    s->event_count = s->delivered = 0;
    s->previous_started = 0;
    story_evict(s);
    story_tell(s, "Started type=Many; WFTScheduled; WFTStarted");
    story_answer(s);
    for (size_t i = 0; i < 5; i++)
        count += schedule(s, i)->request_eager_execution;
    return count;
}

/* Only for a process that runs that queue's activities, too, and three a task. */
static void test_eager_execution_is_asked_where_it_can_be(void **state)
{
    struct story *s = *state;
    assert_int_equal(eager_count(s), 0);
    s->env.eager_queue = "queue";
    assert_int_equal(eager_count(s), 3);
    o.task_queue = "elsewhere";
    assert_int_equal(eager_count(s), 0);
    o.task_queue = NULL;
    o.no_eager_execution = true;
    assert_int_equal(eager_count(s), 0);
}

static void assert_summary(const FloApi__Command *command, const char *expected)
{
    const ProtobufCBinaryData *data = &command->user_metadata->summary->data;
    assert_int_equal(data->len, strlen(expected));
    assert_memory_equal(data->data, expected, data->len);
}

static void test_summaries_are_in_the_commands(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Summaries; WFTScheduled; WFTStarted");
    story_answer(s);
    assert_int_equal(s->answer.outcome, FLO_ACTIVATION_OPEN);
    story_local(s, "1 result=2 ran=3");
    assert_int_equal(s->answer.command_count, 2);
    assert_summary(s->answer.commands[0], "\"until morning\"");
    assert_summary(s->answer.commands[1], "\"the rate\"");
}

static void expect_refused(struct story *s, const char *expected)
{
    s->event_count = 0;
    story_tell(s, "Started type=One; WFTScheduled; WFTStarted");
    char words[200];
    snprintf(words, sizeof words, "Fail %s (type FLO_EINVAL)", expected);
    story_expect_replayed(s, words);
    o = (struct flo_activity_options){.start_to_close_ms = 1000};
}

static void test_times_are_checked(void **state)
{
    struct story *s = *state;
    o = (struct flo_activity_options){0};
    expect_refused(s, "activity work: set start_to_close_ms or schedule_to_close_ms");
    o.start_to_close_ms = -1;
    expect_refused(s, "activity work: start_to_close_ms is negative, where 0 means no limit");
    o.heartbeat_ms = -5;
    expect_refused(s, "activity work: heartbeat_ms is negative, where 0 means no limit");
    o.schedule_to_start_ms = INT64_MIN;
    expect_refused(s, "activity work: schedule_to_start_ms is negative, where 0 means no limit");
}

static void test_retry_policy_is_checked(void **state)
{
    struct story *s = *state;
    const struct flo_retry_policy negative = {.maximum_attempts = -1};
    const struct flo_retry_policy shrinking = {.backoff_coefficient = 0.5};
    const struct flo_retry_policy reversed = {.initial_interval_ms = 10, .maximum_interval_ms = 5};
    o.retry = &negative;
    expect_refused(s, "activity work: a number of its retry policy is negative");
    o.retry = &shrinking;
    expect_refused(s, "activity work: the backoff_coefficient of its retry policy is below 1");
    o.retry = &reversed;
    expect_refused(s, "activity work: the maximum_interval_ms of its retry policy is below its "
                      "initial_interval_ms");
}

static void test_priority_is_checked(void **state)
{
    struct story *s = *state;
    char key[66];
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    o.priority.priority_key = -1;
    expect_refused(s, "activity work: its priority_key is negative");
    o.priority.fairness_key = key;
    expect_refused(s, "activity work: its fairness_key is longer than 64 bytes");
    o.priority.fairness_weight = 1001;
    expect_refused(s, "activity work: its fairness_weight is not between 0.001 and 1000");
    o.priority.fairness_weight = -1;
    expect_refused(s, "activity work: its fairness_weight is not between 0.001 and 1000");
}

static void test_texts_and_types_are_checked(void **state)
{
    struct story *s = *state;
    o.task_queue = "q\xff";
    expect_refused(s, "activity work: its task queue is not UTF-8");
    o.summary = "\xc0";
    expect_refused(s, "activity work: its summary is not UTF-8");
    o.cancellation = (enum flo_cancellation_type)9;
    expect_refused(s, "activity work: 9 is no cancellation type");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_priority_is_in_the_command),
        T(test_no_priority_is_left_out),
        T(test_eager_execution_is_asked_where_it_can_be),
        T(test_summaries_are_in_the_commands),
        T(test_times_are_checked),
        T(test_retry_policy_is_checked),
        T(test_priority_is_checked),
        T(test_texts_and_types_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
