/* SPDX-License-Identifier: Apache-2.0 */
/* test_echo.c - the simplest workflows: activities one after another and side by side. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "support/cmocka_env.h"
#include "support/story.h"

static const struct flo_activity_options options = {.start_to_close_ms = 30000};

static int echo(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return flo_activity(wf, "echo", input, &options, out_result);
}

static int chain(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_t *first, *second;
    int rc = flo_activity(wf, "first", input, &options, &first);
    if (rc)
        return rc;
    rc = flo_activity(wf, "second", first, &options, &second);
    if (rc)
        return rc;
    return flo_activity(wf, "third", second, &options, out_result);
}

static int parallel(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_group *group = flo_group_new(wf);
    for (json_int_t i = 0; i < json_integer_value(input); i++)
        flo_group_add(group, flo_activity_start(wf, "part", json_integer(i), &options));
    return flo_group_await_all(group, out_result);
}

static const struct flo_workflow_entry workflows[] = {
    {"Echo", echo}, {"Chain", chain}, {"Parallel", parallel}, {NULL, NULL}};

static int setup(void **state)
{
    return story_setup(state, workflows);
}

/* One activity, the second task sticky. */
static void test_echo_runs_one_activity(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Echo input='hi'; WFTScheduled; WFTStarted");
    story_expect(s, "ScheduleActivity id=1 type=echo queue=queue stc=30000 input='hi'");
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=echo");
    story_tell(s, "ActivityStarted scheduled=5; ActivityCompleted scheduled=5 result='hi'");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "Complete result='hi'");
    assert_true(s->answer.closes);
    story_expect_replayed(s, "Complete result='hi'");
}

/* A closed history replays to its end without a command and without a complaint. */
static void test_echo_whole_history_replays(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Echo input='hi'; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "ActivityScheduled id=1 type=echo; ActivityStarted scheduled=5");
    story_tell(s, "ActivityCompleted scheduled=5 result='hi'; WFTScheduled; WFTStarted");
    story_tell(s, "WFTCompleted; Completed");
    story_expect_replayed(s, "");
}

/* Three activities, each with the result of the one before; every prefix replays alike. */
static void test_chain_feeds_results_on(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Chain input=1; WFTScheduled; WFTStarted");
    story_expect(s, "ScheduleActivity id=1 type=first queue=queue stc=30000 input=1");
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=first; ActivityStarted scheduled=5");
    story_tell(s, "ActivityCompleted scheduled=5 result=2; WFTScheduled; WFTStarted");
    story_expect(s, "ScheduleActivity id=2 type=second queue=queue stc=30000 input=2");
    story_expect_replayed(s, "ScheduleActivity id=2 type=second queue=queue stc=30000 input=2");
    story_tell(s, "WFTCompleted; ActivityScheduled id=2 type=second; ActivityStarted scheduled=11");
    story_tell(s, "ActivityCompleted scheduled=11 result=3; WFTScheduled; WFTStarted");
    story_expect(s, "ScheduleActivity id=3 type=third queue=queue stc=30000 input=3");
    story_tell(s, "WFTCompleted; ActivityScheduled id=3 type=third; ActivityStarted scheduled=17");
    story_tell(s, "ActivityCompleted scheduled=17 result=4; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=4");
    story_expect_replayed(s, "Complete result=4");
}

/* Fifty at once; results come back in any order and land in the order of starting. */
static void test_parallel_keeps_the_order_of_starting(void **state)
{
    struct story *s = *state;
    char line[120];
    struct flo_buf expected;
    flo_buf_init(&expected, 0);
    for (int i = 0; i < 50; i++)
        flo_buf_printf(&expected,
                       "%sScheduleActivity id=%d type=part queue=queue stc=30000 input=%d",
                       i ? "\n" : "", i + 1, i);
    story_tell(s, "Started type=Parallel input=50; WFTScheduled; WFTStarted");
    story_expect(s, flo_buf_cstr(&expected));
    story_tell(s, "WFTCompleted");
    for (int i = 0; i < 50; i++) {
        snprintf(line, sizeof line, "ActivityScheduled id=%d type=part", i + 1);
        story_tell(s, line);
    }
    for (int i = 49; i >= 0; i--) {
        snprintf(line, sizeof line,
                 "ActivityStarted scheduled=%d; ActivityCompleted scheduled=%d result=%d", i + 5,
                 i + 5, i * i);
        story_tell(s, line);
        if (i != 25)
            continue;
        story_tell(s, "WFTScheduled; WFTStarted");
        story_expect(s, "");
        story_tell(s, "WFTCompleted");
    }
    story_tell(s, "WFTScheduled; WFTStarted");
    flo_buf_clear(&expected);
    flo_buf_append_str(&expected, "Complete result=[0");
    for (int i = 1; i < 50; i++)
        flo_buf_printf(&expected, ",%d", i * i);
    flo_buf_append_str(&expected, "]");
    story_expect(s, flo_buf_cstr(&expected));
    story_expect_replayed(s, flo_buf_cstr(&expected));
    flo_buf_fini(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_echo_runs_one_activity, setup, story_teardown),
        cmocka_unit_test_setup_teardown(test_echo_whole_history_replays, setup, story_teardown),
        cmocka_unit_test_setup_teardown(test_chain_feeds_results_on, setup, story_teardown),
        cmocka_unit_test_setup_teardown(test_parallel_keeps_the_order_of_starting, setup,
                                        story_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
