/* SPDX-License-Identifier: Apache-2.0 */
/* test_waits.c - timers, signals, conditions, and waiting for one of several. */
#include <string.h>

#include "support/cmocka_env.h"
#include "support/story.h"

static const struct flo_activity_options options = {.start_to_close_ms = 30000};

static int nap(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    int64_t before = flo_workflow_now_ms(wf);
    int rc = flo_sleep(wf, json_integer_value(input));
    if (rc)
        return rc;
    *out_result = json_integer(flo_workflow_now_ms(wf) - before);
    return 0;
}

/* The sum of two "add" signals, or what came within 5 s. */
static int add_up(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_int_t sum = json_integer_value(input);
    for (int i = 0; i < 2; i++) {
        json_t *value;
        int rc = flo_signal_await(wf, "add", 5000, &value);
        if (rc == FLO_ETIMEDOUT)
            break;
        if (rc)
            return rc;
        sum += json_integer_value(value);
        json_decref(value);
    }
    *out_result = json_integer(sum);
    return 0;
}

static int wait_signal(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    return flo_signal_await(wf, "go", -1, out_result);
}

static int count_signals(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    size_t waiting = flo_signal_count(wf, "go");
    while (flo_signal_take(wf, "go", NULL))
        ;
    *out_result = json_integer((json_int_t)waiting);
    return 0;
}

/* An activity against a timer; the loser is cancelled. */
static int race(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_future *both[] = {flo_activity_start(wf, "work", input, &options),
                                 flo_timer_start(wf, 1000)};
    size_t first;
    int rc = flo_await_any(wf, both, 2, &first);
    if (rc)
        return rc;
    flo_future_cancel(wf, both[1 - first]);
    if (first == 1)
        return flo_workflow_fail(wf, "TooLate", true, NULL, "no answer within %d ms", 1000);
    return flo_await(wf, both[0], out_result);
}

static bool enough(void *ctx)
{
    return flo_signal_count(ctx, "go") >= 2;
}

static int condition(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    int rc = flo_await_condition(wf, enough, wf, json_integer_value(input));
    if (rc == FLO_ETIMEDOUT)
        *out_result = json_string("timed out");
    return rc == FLO_ETIMEDOUT ? 0 : rc;
}

/* A timer that is cancelled before it is sent leaves no trace. */
static int second_thoughts(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)out_result;
    struct flo_future *timer = flo_timer_start(wf, 1000);
    struct flo_future *work = flo_activity_start(wf, "work", input, &options);
    flo_future_cancel(wf, timer);
    flo_future_cancel(wf, work);
    int first = flo_await(wf, timer, NULL), second = flo_await(wf, work, NULL);
    *out_result = json_pack("[i,i]", first, second);
    return flo_sleep(wf, 0);
}

static int logs(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input, (void)out_result;
    flo_workflow_log(wf, FLO_LOG_INFO, "before %d", 1);
    int rc = flo_sleep(wf, 1000);
    flo_workflow_log(wf, FLO_LOG_INFO, "after");
    return rc;
}

static int randoms(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    char uuid[37];
    (void)input;
    uint64_t number = flo_workflow_random(wf);
    flo_workflow_uuid(wf, uuid);
    int rc = flo_sleep(wf, 1000);
    *out_result = json_pack("[I,s,b]", (json_int_t)number, uuid, flo_workflow_random(wf) != number);
    return rc;
}

static const struct flo_workflow_entry workflows[] = {{"Nap", nap},
                                                      {"AddUp", add_up},
                                                      {"WaitSignal", wait_signal},
                                                      {"CountSignals", count_signals},
                                                      {"Race", race},
                                                      {"Condition", condition},
                                                      {"SecondThoughts", second_thoughts},
                                                      {"Logs", logs},
                                                      {"Randoms", randoms},
                                                      {NULL, NULL}};

static int setup(void **state)
{
    return story_setup(state, workflows);
}

/* now() is the time of the task, in both runs of the code. */
static void test_sleep_waits_for_its_timer(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Nap input=1500; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=1500");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=5000");
    story_expect_replayed(s, "Complete result=5000");
}

/* A timer of no length is rounded up to a millisecond. */
static void test_sleep_zero_becomes_one_millisecond(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Nap input=0; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=1");
}

/* Signals that come before the code waits are kept; each is taken once, in order. */
static void test_signals_before_and_after_the_wait_are_taken(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=AddUp input=1; Signaled name=add input=10; WFTScheduled");
    story_tell(s, "WFTStarted");
    story_expect(s, "StartTimer id=1 ms=5000");
    story_tell(s, "WFTCompleted; TimerStarted id=1; Signaled name=other input=5");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "");
    story_tell(s, "WFTCompleted; Signaled name=add input=100; WFTScheduled; WFTStarted");
    story_expect(s, "CancelTimer id=1\nComplete result=111");
    story_expect_replayed(s, "CancelTimer id=1\nComplete result=111");
}

static void test_signal_await_times_out(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=AddUp input=1; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=5000");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=1");
}

/* Without a time limit there is no timer. */
static void test_signal_await_for_ever(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=WaitSignal; WFTScheduled; WFTStarted");
    story_expect(s, "");
    story_tell(s, "WFTCompleted; Signaled name=go input={'a':[1,2]}; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result={'a':[1,2]}");
    story_expect_replayed(s, "Complete result={'a':[1,2]}");
}

/* Signals of the first task are there before the first line of code runs. */
static void test_signals_in_first_task_are_there_at_the_start(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=CountSignals; Signaled name=go; WFTScheduled");
    story_tell(s, "Signaled name=go; WFTStarted");
    story_expect(s, "Complete result=2");
}

static void test_await_any_activity_first_cancels_timer(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Race input=1; WFTScheduled; WFTStarted");
    story_expect(s, "ScheduleActivity id=1 type=work queue=queue stc=30000 input=1\n"
                    "StartTimer id=1 ms=1000");
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=work; TimerStarted id=1");
    story_tell(s, "ActivityStarted scheduled=5; ActivityCompleted scheduled=5 result='ok'");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "CancelTimer id=1\nComplete result='ok'");
    story_tell(s, "WFTCompleted; TimerCanceled id=1; Completed");
    story_expect_replayed(s, "");
}

static void test_await_any_timer_first_cancels_activity(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Race input=1; WFTScheduled; WFTStarted");
    story_expect(s, "ScheduleActivity id=1 type=work queue=queue stc=30000 input=1\n"
                    "StartTimer id=1 ms=1000");
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=work; TimerStarted id=1");
    story_tell(s, "ActivityStarted scheduled=5; TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "RequestCancelActivity scheduled=5\n"
                    "Fail no answer within 1000 ms (type TooLate)");
    story_tell(s, "WFTCompleted; ActivityCancelRequested scheduled=5; Failed");
    story_expect_replayed(s, "");
}

/* Both at once: the first of the list wins. */
static void test_await_any_both_ready_takes_the_first(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Race input=1; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "ActivityScheduled id=1 type=work; TimerStarted id=1; TimerFired id=1");
    story_tell(s, "ActivityStarted scheduled=5; ActivityCompleted scheduled=5 result='ok'");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "Complete result='ok'");
}

static void test_condition_becomes_true(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Condition input=9000; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=9000");
    story_tell(s, "WFTCompleted; TimerStarted id=1; Signaled name=go; WFTScheduled; WFTStarted");
    story_expect(s, "");
    story_tell(s, "WFTCompleted; Signaled name=go; WFTScheduled; WFTStarted");
    story_expect(s, "CancelTimer id=1\nComplete");
    story_expect_replayed(s, "CancelTimer id=1\nComplete");
}

static void test_condition_times_out(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Condition input=9000; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "TimerStarted id=1; TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result='timed out'");
}

static void test_condition_without_time_does_not_wait(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Condition input=0; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result='timed out'");
}

static void test_cancel_before_sending_leaves_no_trace(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=SecondThoughts; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=2 ms=1");
    story_tell(s, "WFTCompleted; TimerStarted id=2; TimerFired id=2; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[-8,-8]");
    story_expect_replayed(s, "Complete result=[-8,-8]");
}

/* A line is logged once in the life of the run, however often it is replayed. */
static void test_log_is_silent_in_replay(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Logs; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=1000");
    assert_string_equal(s->log, "before 1");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerFired id=1; WFTScheduled; WFTStarted");
    story_evict(s);
    s->delivered = 0;
    story_expect(s, "Complete");
    assert_string_equal(s->log, "before 1|after");
}

/* Random numbers and ids repeat in replay, differ by run, and change after a reset. */
static void test_random_is_the_run_s(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Randoms original=a; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "TimerStarted id=1; TimerFired id=1; WFTScheduled; WFTStarted");
    const char *first = story_replayed(s), *again = story_replayed(s);
    assert_string_equal(first, again);
    assert_non_null(strstr(first, "true"));
    s->event_count = 0;
    story_tell(s, "Started type=Randoms original=b; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "TimerStarted id=1; TimerFired id=1; WFTScheduled; WFTStarted");
    const char *other = story_replayed(s);
    assert_string_not_equal(first, other);
    s->event_count = 0;
    story_tell(s, "Started type=Randoms original=a; WFTScheduled; WFTStarted");
    story_tell(s, "WFTFailed cause=20 new_run=b; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "TimerStarted id=1; TimerFired id=1; WFTScheduled; WFTStarted");
    assert_string_equal(story_replayed(s), other);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_sleep_waits_for_its_timer),
        T(test_sleep_zero_becomes_one_millisecond),
        T(test_signals_before_and_after_the_wait_are_taken),
        T(test_signal_await_times_out),
        T(test_signal_await_for_ever),
        T(test_signals_in_first_task_are_there_at_the_start),
        T(test_await_any_activity_first_cancels_timer),
        T(test_await_any_timer_first_cancels_activity),
        T(test_await_any_both_ready_takes_the_first),
        T(test_condition_becomes_true),
        T(test_condition_times_out),
        T(test_condition_without_time_does_not_wait),
        T(test_cancel_before_sending_leaves_no_trace),
        T(test_log_is_silent_in_replay),
        T(test_random_is_the_run_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
