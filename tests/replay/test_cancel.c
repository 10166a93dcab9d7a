/* SPDX-License-Identifier: Apache-2.0 */
/* test_cancel.c - a cancel request, the three ways an activity takes it, and the shield. */
#include "support/cmocka_env.h"
#include "support/story.h"

static struct flo_activity_options with(enum flo_cancellation_type type)
{
    return (struct flo_activity_options){.start_to_close_ms = 30000, .cancellation = type};
}

static int work(struct flo_workflow *wf, json_t *input, enum flo_cancellation_type type,
                json_t **out_result)
{
    struct flo_activity_options options = with(type);
    return flo_activity(wf, "work", input, &options, out_result);
}

static int try_cancel(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return work(wf, input, FLO_CANCEL_TRY, out_result);
}

static int wait_cancel(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return work(wf, input, FLO_CANCEL_WAIT, out_result);
}

static int abandon(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return work(wf, input, FLO_CANCEL_ABANDON, out_result);
}

/* Cleans up under a shield when it is cancelled. */
static int cleans_up(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_activity_options options = with(FLO_CANCEL_TRY);
    int rc = flo_activity(wf, "work", input, &options, out_result);
    if (rc != FLO_ECANCELLED)
        return rc;
    flo_cancel_shield(wf, true);
    json_t *reason = json_string(flo_cancel_reason(wf));
    int clean = flo_activity(wf, "clean", reason, &options, NULL);
    flo_cancel_shield(wf, false);
    return clean ? clean : rc;
}

/* What was started under a shield goes on; the wait outside it ends. */
static int shielded_start(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_activity_options options = with(FLO_CANCEL_TRY);
    flo_cancel_shield(wf, true);
    struct flo_future *kept = flo_activity_start(wf, "kept", input, &options);
    flo_cancel_shield(wf, false);
    int rc = flo_await(wf, kept, NULL);
    if (rc != FLO_ECANCELLED)
        return rc;
    flo_cancel_shield(wf, true);
    rc = flo_await(wf, kept, out_result);
    flo_cancel_shield(wf, false);
    return rc;
}

/* After the request each waiting call returns at once. */
static int goes_on(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_activity_options options = with(FLO_CANCEL_TRY);
    (void)input;
    int sleeping = flo_sleep(wf, 60000), again = flo_sleep(wf, 1);
    int activity = flo_activity(wf, "never", NULL, &options, NULL);
    int signal = flo_signal_await(wf, "go", -1, NULL);
    *out_result = json_pack("[i,i,i,i]", sleeping, again, activity, signal);
    return 0;
}

/* Gives up an activity of each type, then waits for a signal. */
static int gives_up(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_future *futures[3];
    for (int type = 0; type < 3; type++) {
        struct flo_activity_options options = with((enum flo_cancellation_type)type);
        futures[type] = flo_activity_start(wf, "work", input, &options);
    }
    int rc = flo_sleep(wf, 1000);
    if (rc)
        return rc;
    for (int type = 0; type < 3; type++) {
        flo_future_cancel(wf, futures[type]);
        flo_future_cancel(wf, futures[type]); /* once is enough */
    }
    json_t *ready = json_pack("[b,b,b]", flo_future_ready(futures[0]), flo_future_ready(futures[1]),
                              flo_future_ready(futures[2]));
    rc = flo_signal_await(wf, "go", -1, NULL);
    if (rc)
        return rc;
    int first = flo_await(wf, futures[1], NULL), again = flo_await(wf, futures[1], NULL);
    *out_result = json_pack("[o,i,i,s]", ready, first, again, flo_failure_type_name(wf));
    return 0;
}

static int group(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_activity_options options =
        with((enum flo_cancellation_type)json_integer_value(input));
    struct flo_group *all = flo_group_new(wf);
    for (int i = 0; i < 2; i++)
        flo_group_add(all, flo_activity_start(wf, "work", NULL, &options));
    return flo_group_await_all(all, out_result);
}

/* Cancels its own activity: that is a failure, not a cancelled workflow. */
static int own_cancel(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_activity_options options = with(FLO_CANCEL_TRY);
    struct flo_future *future = flo_activity_start(wf, "work", input, &options);
    int rc = flo_sleep(wf, 1000);
    if (rc)
        return rc;
    flo_future_cancel(wf, future);
    return flo_await(wf, future, out_result);
}

static const struct flo_workflow_entry workflows[] = {{"Try", try_cancel},
                                                      {"Wait", wait_cancel},
                                                      {"Abandon", abandon},
                                                      {"CleansUp", cleans_up},
                                                      {"ShieldedStart", shielded_start},
                                                      {"GoesOn", goes_on},
                                                      {"OwnCancel", own_cancel},
                                                      {"GivesUp", gives_up},
                                                      {"Group", group},
                                                      {NULL, NULL}};

static int setup(void **state)
{
    return story_setup(state, workflows);
}

#define SCHEDULED "ScheduleActivity id=1 type=work queue=queue stc=30000 input=null"

static void until_cancelled(struct story *s, const char *started)
{
    story_tell(s, started);
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, SCHEDULED);
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=work; ActivityStarted scheduled=5");
    story_tell(s, "CancelRequested reason=stop; WFTScheduled; WFTStarted");
}

static void test_cancel_try_ends_at_once(void **state)
{
    struct story *s = *state;
    until_cancelled(s, "Started type=Try");
    story_expect(s, "RequestCancelActivity scheduled=5\nCancel");
    assert_true(s->answer.closes);
    story_tell(s, "WFTCompleted; ActivityCancelRequested scheduled=5; Canceled");
    story_expect_replayed(s, "");
}

static void test_cancel_wait_ends_when_the_activity_is_cancelled(void **state)
{
    struct story *s = *state;
    until_cancelled(s, "Started type=Wait");
    story_expect(s, "RequestCancelActivity scheduled=5");
    story_tell(s, "WFTCompleted; ActivityCancelRequested scheduled=5");
    story_tell(s, "ActivityCanceled scheduled=5 details='bye'; WFTScheduled; WFTStarted");
    story_expect(s, "Cancel");
    story_expect_replayed(s, "Cancel");
}

/* The activity finished in spite of the request: its result counts. */
static void test_cancel_wait_takes_the_result(void **state)
{
    struct story *s = *state;
    until_cancelled(s, "Started type=Wait");
    story_expect(s, "RequestCancelActivity scheduled=5");
    story_tell(s, "WFTCompleted; ActivityCancelRequested scheduled=5");
    story_tell(s, "ActivityCompleted scheduled=5 result='done'; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result='done'");
}

static void test_cancel_abandon_sends_nothing(void **state)
{
    struct story *s = *state;
    until_cancelled(s, "Started type=Abandon");
    story_expect(s, "Cancel");
    story_tell(s, "WFTCompleted; Canceled");
    story_expect_replayed(s, "");
}

/* Cleaning up goes on under the shield; the end is still "cancelled". */
static void test_shield_cleans_up(void **state)
{
    struct story *s = *state;
    until_cancelled(s, "Started type=CleansUp");
    story_expect(s, "RequestCancelActivity scheduled=5\n"
                    "ScheduleActivity id=2 type=clean queue=queue stc=30000 input='stop'");
    story_tell(s, "WFTCompleted; ActivityCancelRequested scheduled=5");
    story_tell(s, "ActivityScheduled id=2 type=clean; ActivityCanceled scheduled=5");
    story_tell(s, "ActivityStarted scheduled=12; ActivityCompleted scheduled=12");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "Cancel");
    story_expect_replayed(s, "Cancel");
}

static void test_shielded_activity_outlives_the_request(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=ShieldedStart; WFTScheduled; WFTStarted");
    story_expect(s, "ScheduleActivity id=1 type=kept queue=queue stc=30000 input=null");
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=kept");
    story_tell(s, "CancelRequested; WFTScheduled; WFTStarted");
    story_expect(s, "");
    story_tell(s, "WFTCompleted; ActivityStarted scheduled=5");
    story_tell(s, "ActivityCompleted scheduled=5 result=7; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=7");
    story_expect_replayed(s, "Complete result=7");
}

static void test_waiting_calls_after_the_request_return(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=GoesOn; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=60000");
    story_tell(s, "WFTCompleted; TimerStarted id=1; CancelRequested; WFTScheduled; WFTStarted");
    story_expect(s, "CancelTimer id=1\nComplete result=[-8,-8,-8,-8]");
    story_expect_replayed(s, "CancelTimer id=1\nComplete result=[-8,-8,-8,-8]");
}

/* The timer has fired before it could be cancelled: there is nothing to cancel any more. */
static void test_request_and_timer_with_the_same_task(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=GoesOn; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=60000");
    story_tell(s, "WFTCompleted; TimerStarted id=1; CancelRequested; TimerFired id=1");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[-8,-8,-8,-8]");
    story_expect_replayed(s, "Complete result=[-8,-8,-8,-8]");
}

/* A request that comes with the start: the first waiting call returns. */
static void test_cancel_in_the_first_task(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Try; CancelRequested; WFTScheduled; WFTStarted");
    story_expect(s, "Cancel");
}

static void test_own_cancel_fails_the_workflow(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=OwnCancel; WFTScheduled; WFTStarted");
    story_expect(s, SCHEDULED "\nStartTimer id=1 ms=1000");
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=work; TimerStarted id=1");
    story_tell(s, "TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "RequestCancelActivity scheduled=5\n"
                    "Fail Activity cancelled (type Activity): Cancelled (type Cancelled)");
}

/* A late end of an activity that the code gave up is taken without a word. */
static void test_late_results_are_ignored(void **state)
{
    struct story *s = *state;
    until_cancelled(s, "Started type=CleansUp");
    story_expect(s, "RequestCancelActivity scheduled=5\n"
                    "ScheduleActivity id=2 type=clean queue=queue stc=30000 input='stop'");
    story_tell(s, "WFTCompleted; ActivityCancelRequested scheduled=5");
    story_tell(s, "ActivityScheduled id=2 type=clean");
    story_tell(s, "ActivityCompleted scheduled=5 result='late'; WFTScheduled; WFTStarted");
    story_expect(s, "");
    story_expect_replayed(s, "");
}

/* Each type ends as it says, whatever the activities do afterwards. */
static void test_given_up_activities_end_quietly(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=GivesUp input=0; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "ActivityScheduled id=1 type=work; ActivityScheduled id=2 type=work");
    story_tell(s, "ActivityScheduled id=3 type=work; TimerStarted id=1; TimerFired id=1");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "RequestCancelActivity scheduled=5\nRequestCancelActivity scheduled=6");
    story_tell(s, "WFTCompleted; ActivityCancelRequested scheduled=5");
    story_tell(s, "ActivityCancelRequested scheduled=6; ActivityStarted scheduled=7");
    story_tell(s, "ActivityStarted scheduled=5; ActivityCanceled scheduled=5");
    story_tell(s, "ActivityCompleted scheduled=7 result=1; ActivityStarted scheduled=6");
    story_tell(s, "ActivityFailed scheduled=6 message=no type=Bad; Signaled name=go");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[[true,false,true],-15,-15,'Bad']");
    story_expect_replayed(s, "Complete result=[[true,false,true],-15,-15,'Bad']");
}

static void test_cancelled_group_ends_by_its_activities_types(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Group input=0; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "ActivityScheduled id=1 type=work; ActivityScheduled id=2 type=work");
    story_tell(s, "CancelRequested; WFTScheduled; WFTStarted");
    story_expect(s, "RequestCancelActivity scheduled=5\nRequestCancelActivity scheduled=6\nCancel");
}

static void test_cancelled_group_waits_for_results(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Group input=1; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "ActivityScheduled id=1 type=work; ActivityScheduled id=2 type=work");
    story_tell(s, "CancelRequested; WFTScheduled; WFTStarted");
    story_expect(s, "RequestCancelActivity scheduled=5\nRequestCancelActivity scheduled=6");
    story_tell(s, "WFTCompleted; ActivityCancelRequested scheduled=5");
    story_tell(s, "ActivityCancelRequested scheduled=6; ActivityCompleted scheduled=5 result=1");
    story_tell(s, "ActivityCompleted scheduled=6 result=2; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[1,2]");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_cancel_try_ends_at_once),
        T(test_cancel_wait_ends_when_the_activity_is_cancelled),
        T(test_cancel_wait_takes_the_result),
        T(test_cancel_abandon_sends_nothing),
        T(test_shield_cleans_up),
        T(test_shielded_activity_outlives_the_request),
        T(test_waiting_calls_after_the_request_return),
        T(test_request_and_timer_with_the_same_task),
        T(test_cancel_in_the_first_task),
        T(test_own_cancel_fails_the_workflow),
        T(test_late_results_are_ignored),
        T(test_given_up_activities_end_quietly),
        T(test_cancelled_group_ends_by_its_activities_types),
        T(test_cancelled_group_waits_for_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
