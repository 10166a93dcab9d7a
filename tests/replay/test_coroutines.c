/* SPDX-License-Identifier: Apache-2.0 */
/* test_coroutines.c - several coroutines in a workflow: their order, joining, failing, ending. */
#include <string.h>

#include "support/cmocka_env.h"
#include "support/story.h"

static const struct flo_activity_options options = {.start_to_close_ms = 30000};

static int work_line, join_line; /* where they wait in this file */

static int work(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    work_line = __LINE__ + 1;
    return flo_activity(wf, arg, NULL, &options, out_result);
}

/* Two at once, joined in the other order. */
static int join(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static char a[] = "a", b[] = "b";
    json_t *first, *second;
    (void)input;
    struct flo_future *one = flo_spawn(wf, "one", work, a), *two = flo_spawn(wf, "two", work, b);
    join_line = __LINE__ + 1;
    int rc = flo_await(wf, two, &second);
    if (rc == 0)
        rc = flo_await(wf, one, &first);
    if (rc == 0)
        *out_result = json_pack("[o,o]", first, second);
    return rc;
}

static int fails(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    (void)out_result;
    int rc = flo_sleep(wf, 10);
    return rc ? rc : flo_workflow_fail(wf, arg, true, NULL, "it broke");
}

/* A joined failure is the workflow's when it returns it. */
static int join_failure(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static char type[] = "Broken";
    (void)input;
    return flo_await(wf, flo_spawn(wf, "bad", fails, type), out_result);
}

/* Failures that nobody awaits do not fail the workflow. */
static int ignore_failure(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static char lost[] = "Lost", heard[] = "Heard", released[] = "Released";
    (void)input, (void)out_result;
    flo_spawn(wf, "lost", fails, lost);
    struct flo_future *bad = flo_spawn(wf, "heard", fails, heard);
    struct flo_future *gone = flo_spawn(wf, "released", fails, released);
    int rc = flo_sleep(wf, 1000);
    if (rc)
        return rc;
    flo_future_release(wf, gone);
    if (flo_await(wf, bad, NULL) != FLO_EFAILED || strcmp(flo_failure_type_name(wf), "Heard") != 0)
        return FLO_EINVAL;
    return 0;
}

struct notes {
    char text[64];
};

static void mark(struct notes *notes, char who)
{
    size_t len = strlen(notes->text);
    notes->text[len] = who;
    notes->text[len + 1] = '\0';
}

struct note {
    struct notes *notes;
    char mark;
};

static int notes_down(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    const struct note *note = arg;
    (void)out_result;
    for (int i = 0; i < 2; i++) {
        mark(note->notes, note->mark);
        int rc = flo_sleep(wf, 1000);
        if (rc)
            return rc;
    }
    return 0;
}

/* Who has not begun goes first; then in the order of creation, main first of all. */
static int order(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    struct notes notes = {""};
    struct note a = {&notes, 'a'}, b = {&notes, 'b'};
    struct flo_group *group = flo_group_new(wf);
    mark(&notes, 'm');
    flo_group_add(group, flo_spawn(wf, "a", notes_down, &a));
    flo_group_add(group, flo_spawn(wf, "b", notes_down, &b));
    mark(&notes, 'm');
    int rc = flo_sleep(wf, 1000);
    if (rc)
        return rc;
    mark(&notes, 'm');
    rc = flo_group_await_all(group, NULL);
    *out_result = rc ? NULL : json_string(notes.text);
    return rc;
}

/* Returns while another is at work. */
static int leaves(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static char type[] = "work";
    (void)input, (void)out_result;
    flo_spawn(wf, "left", work, type);
    return flo_sleep(wf, 1000);
}

static int nested(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    int depth = *(int *)arg;
    if (depth == 0)
        return flo_sleep(wf, 1);
    int below = depth - 1;
    json_t *sum;
    int rc = flo_await(wf, flo_spawn(wf, "below", nested, &below), &sum);
    if (rc == 0)
        *out_result = json_integer(json_integer_value(sum) + depth);
    return rc;
}

/* Coroutines that spawn coroutines, each joined by its maker. */
static int nest(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    int depth = (int)json_integer_value(input);
    return flo_await(wf, flo_spawn(wf, "top", nested, &depth), out_result);
}

static int borrows(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    (void)wf;
    int rc = flo_sleep(arg, 1); /* of the one that spawned it */
    *out_result = json_string(rc == FLO_ESTATE ? flo_failure_message(arg) : "waited");
    return 0;
}

/* A coroutine that waits with another's struct flo_workflow is told so. */
static int borrowed(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    return flo_await(wf, flo_spawn(wf, "borrower", borrows, wf), out_result);
}

struct peek {
    struct flo_workflow *wf;
    struct flo_future *future;
    int rc;
};

static bool peeks(void *ctx)
{
    struct peek *peek = ctx;
    peek->rc = flo_await(peek->wf, peek->future, NULL);
    return peek->rc == 0;
}

/* A condition may not wait. */
static int bad_condition(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    struct peek peek = {wf, flo_timer_start(wf, 1000), 0};
    int rc = flo_await_condition(wf, peeks, &peek, 0);
    *out_result = json_pack("[i,i]", rc, peek.rc);
    return 0;
}

/* Cancelling a coroutine cancels what it has started and ends its waits. */
static int cancel_one(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static char type[] = "work";
    (void)input;
    struct flo_future *one = flo_spawn(wf, "one", work, type);
    int rc = flo_sleep(wf, 1000);
    if (rc)
        return rc;
    flo_future_cancel(wf, one);
    flo_future_cancel(wf, one);
    *out_result = json_integer(flo_await(wf, one, NULL));
    return 0;
}

static int odd(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    (void)wf, (void)arg;
    *out_result = json_string("dropped with the code");
    return 7;
}

/* A number that is no code is a failure, and says so. */
static int odd_result(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    return flo_await(wf, flo_spawn(wf, "odd", odd, NULL), out_result);
}

static const struct flo_workflow_entry workflows[] = {{"Join", join},
                                                      {"JoinFailure", join_failure},
                                                      {"IgnoreFailure", ignore_failure},
                                                      {"Order", order},
                                                      {"Leaves", leaves},
                                                      {"Nest", nest},
                                                      {"Borrowed", borrowed},
                                                      {"BadCondition", bad_condition},
                                                      {"CancelOne", cancel_one},
                                                      {"OddResult", odd_result},
                                                      {NULL, NULL}};

static int setup(void **state)
{
    return story_setup(state, workflows);
}

#define SCHEDULE(id, type) "ScheduleActivity id=" id " type=" type " queue=queue stc=30000"

static const char *stack(const struct story *s)
{
    static char text[1000];
    struct flo_buf out;
    flo_buf_init(&out, 0);
    assert_int_equal(flo_run_stack_text(s->run, &out), 0);
    snprintf(text, sizeof text, "%s", flo_buf_cstr(&out));
    flo_buf_fini(&out);
    return text;
}

static void test_spawned_coroutines_are_joined(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Join; WFTScheduled; WFTStarted");
    story_expect(s, SCHEDULE("1", "a") "\n" SCHEDULE("2", "b"));
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=a; ActivityScheduled id=2 type=b");
    story_tell(s, "ActivityCompleted scheduled=5 result='A'; WFTScheduled; WFTStarted");
    story_expect(s, "");
    story_tell(s, "WFTCompleted; ActivityCompleted scheduled=6 result='B'");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=['A','B']");
    story_expect_replayed(s, "Complete result=['A','B']");
}

static void test_stack_names_each_coroutine_and_its_place(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Join; WFTScheduled; WFTStarted");
    story_answer(s);
    char expected[300];
    snprintf(expected, sizeof expected,
             "main at test_coroutines.c:%d: waits for coroutine two\n"
             "one at test_coroutines.c:%d: waits for activity id 1, type a\n"
             "two at test_coroutines.c:%d: waits for activity id 2, type b\n",
             join_line, work_line, work_line);
    assert_string_equal(stack(s), expected);
}

static void test_joined_failure_fails_the_workflow(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=JoinFailure; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=10");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "Fail it broke (type Broken)");
    story_expect_replayed(s, "Fail it broke (type Broken)");
}

static void test_failure_that_nobody_awaits_is_logged(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=IgnoreFailure; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=1000\nStartTimer id=2 ms=10\nStartTimer id=3 ms=10\n"
                    "StartTimer id=4 ms=10");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerStarted id=2; TimerStarted id=3");
    story_tell(s, "TimerStarted id=4; TimerFired id=2; TimerFired id=3; TimerFired id=4");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "");
    assert_string_equal(s->log, "");
    story_tell(s, "WFTCompleted; TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "Complete");
    assert_string_equal(
        s->log, "coroutine released failed, and nobody awaited it: it broke (type Released)|"
                "coroutine lost failed, and nobody awaited it: it broke (type Lost)");
}

static void test_order_is_fresh_first_then_creation(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Order; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=1000\nStartTimer id=2 ms=1000\nStartTimer id=3 ms=1000");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerStarted id=2; TimerStarted id=3");
    story_tell(s, "TimerFired id=3; TimerFired id=2; TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=4 ms=1000\nStartTimer id=5 ms=1000");
    story_tell(s, "WFTCompleted; TimerStarted id=4; TimerStarted id=5");
    story_tell(s, "TimerFired id=5; TimerFired id=4; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result='mmabmab'");
    story_expect_replayed(s, "Complete result='mmabmab'");
}

static void test_coroutines_left_behind_are_dropped(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Leaves; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=1000\n" SCHEDULE("1", "work"));
    story_tell(s, "WFTCompleted; TimerStarted id=1; ActivityScheduled id=1 type=work");
    story_tell(s, "TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "Complete");
    assert_string_equal(stack(s), "");
}

static void test_coroutines_nest(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Nest input=9; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=1");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=45");
    story_expect_replayed(s, "Complete result=45");
}

static void test_wait_with_anothers_workflow_is_refused(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Borrowed; WFTScheduled; WFTStarted");
    assert_non_null(strstr(story_answer(s), "a coroutine waits with its own struct flo_workflow"));
}

static void test_condition_that_waits_fails_the_task(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=BadCondition; WFTScheduled; WFTStarted");
    story_expect(s, "task failed (cause 14): a condition may only look, but it waits");
}

static void test_cancelled_coroutine_ends(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=CancelOne; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=1000\n" SCHEDULE("1", "work"));
    story_tell(s, "WFTCompleted; TimerStarted id=1; ActivityScheduled id=1 type=work");
    story_tell(s, "TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "RequestCancelActivity scheduled=6\nComplete result=-8");
    story_expect_replayed(s, "RequestCancelActivity scheduled=6\nComplete result=-8");
}

static void test_result_that_is_no_code_is_a_failure(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=OddResult; WFTScheduled; WFTStarted");
    story_expect(s, "Fail the coroutine's function returned 7, which is no error code "
                    "(type FLO_EINVAL)");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown_dropping)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_spawned_coroutines_are_joined),
        T(test_stack_names_each_coroutine_and_its_place),
        T(test_joined_failure_fails_the_workflow),
        T(test_failure_that_nobody_awaits_is_logged),
        T(test_order_is_fresh_first_then_creation),
        T(test_coroutines_left_behind_are_dropped),
        T(test_coroutines_nest),
        T(test_wait_with_anothers_workflow_is_refused),
        T(test_condition_that_waits_fails_the_task),
        T(test_cancelled_coroutine_ends),
        T(test_result_that_is_no_code_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
