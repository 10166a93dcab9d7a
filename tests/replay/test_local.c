/* SPDX-License-Identifier: Apache-2.0 */
/* test_local.c - local activities: results and failures, order, pauses, cancelling, replay. */
#include <string.h>

#include "support/cmocka_env.h"
#include "support/story.h"

static const struct flo_local_activity_options options = {.start_to_close_ms = 30000};
static const struct flo_activity_options remote = {.start_to_close_ms = 30000};

#define DATA(seq, type, complete, step)                                                            \
    "data={'seq':" #seq ",'attempt':1,'activity_id':'" #seq "','activity_type':'" type             \
    "','complete_time':{'seconds':" complete "},'backoff':null,"                                   \
    "'original_schedule_time':{'seconds':7,'nanos':0},'activation_index':" #step "}"

static int one(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return flo_local_activity(wf, "work", input, &options, out_result);
}

static int chain(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_t *first;
    int rc = flo_local_activity(wf, "first", input, &options, &first);
    if (rc)
        return rc;
    rc = flo_local_activity(wf, "second", first, &options, out_result);
    return rc ? rc : flo_sleep(wf, 1000);
}

/* The one that ends first decides; then an activity of the server's. */
static int race(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_future *both[] = {flo_local_activity_start(wf, "slow", input, &options),
                                 flo_local_activity_start(wf, "fast", input, &options)};
    json_t *winner;
    size_t first;
    int rc = flo_await_any(wf, both, 2, &first);
    if (rc)
        return rc;
    rc = flo_await(wf, both[first], &winner);
    if (rc)
        return rc;
    rc = flo_activity(wf, first ? "second_won" : "first_won", winner, &remote, out_result);
    return rc ? rc : flo_await(wf, both[1 - first], NULL);
}

static int retried(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_retry_policy policy = {.maximum_attempts = 5};
    const struct flo_local_activity_options o = {
        .schedule_to_close_ms = 60000, .retry = &policy, .local_retry_threshold_ms = 100};
    return flo_local_activity(wf, "flaky", input, &o, out_result);
}

static int cancels(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_local_activity_options o = {
        .start_to_close_ms = 1000,
        .cancellation = (enum flo_cancellation_type)json_integer_value(input)};
    struct flo_future *slow = flo_local_activity_start(wf, "slow", NULL, &o);
    int rc = flo_local_activity(wf, "quick", NULL, &options, NULL);
    if (rc)
        return rc;
    flo_future_cancel(wf, slow);
    rc = flo_await(wf, slow, NULL);
    *out_result = json_integer(rc);
    return 0;
}

/* Started and cancelled at once: nothing is to be seen of it. */
static int regrets(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_future *slow = flo_local_activity_start(wf, "slow", input, &options);
    flo_future_cancel(wf, slow);
    int rc = flo_await(wf, slow, NULL);
    if (rc != FLO_ECANCELLED)
        return FLO_EINVAL;
    return flo_local_activity(wf, "work", input, &options, out_result);
}

static int misuse(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_local_activity_options none = {0};
    (void)out_result;
    return flo_local_activity(wf, "work", input, &none, NULL);
}

static int clock_after(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    int rc = flo_local_activity(wf, "work", input, &options, NULL);
    *out_result = json_integer(flo_workflow_now_ms(wf));
    return rc;
}

static int patient(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_future *work = flo_local_activity_start(wf, "work", input, &options);
    json_t *word;
    int rc = flo_signal_await(wf, "word", -1, &word);
    if (rc)
        return rc;
    rc = flo_await(wf, work, out_result);
    return rc ? rc : flo_activity(wf, "tell", word, &remote, NULL);
}

static int timer_only(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input, (void)out_result;
    return flo_sleep(wf, 1000);
}

/* Goes another way when history is long, before and after the work. */
static int lengthy(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_workflow_info *info = flo_workflow_info(wf);
    if (info->history_length > 3)
        flo_timer_start(wf, 1000);
    int rc = flo_local_activity(wf, "work", input, &options, out_result);
    return rc == 0 && info->history_length > 3 ? flo_sleep(wf, 1000) : rc;
}

static const struct flo_workflow_entry workflows[] = {
    {"One", one},         {"Chain", chain},      {"Race", race},       {"Retried", retried},
    {"Cancels", cancels}, {"Regrets", regrets},  {"Misuse", misuse},   {"Clock", clock_after},
    {"Patient", patient}, {"Timer", timer_only}, {"Lengthy", lengthy}, {NULL, NULL}};

static int setup(void **state)
{
    return story_setup(state, workflows);
}

/* One runs while the task is open; its marker goes with the answer; later it is only read. */
static void test_result_is_recorded_once(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=One input='hi'; WFTScheduled; WFTStarted");
    story_expect(s, "StartLocal seq=1 id=1 type=work attempt=1 stc=30000 input='hi'\nopen");
    story_expect_local(s, "1 result='ho' ran=1000",
                       "Marker core_local_activity " DATA(1, "work", "1004,'nanos':0", 1) //
                       " result='ho'\n"
                       "Complete result='ho'");
    story_tell(s, "WFTCompleted; Marker seq=1 type=work result='ho'; Completed");
    story_expect_replayed(s, "");
}

/* Without a marker (the worker died) it runs again. */
static void test_lost_result_runs_again(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=One input=1; WFTScheduled; WFTStarted");
    story_expect(s, "StartLocal seq=1 id=1 type=work attempt=1 stc=30000 input=1\nopen");
    story_tell(s, "WFTTimedOut; WFTScheduled; WFTStarted");
    story_expect_replayed(s, "StartLocal seq=1 id=1 type=work attempt=1 stc=30000 input=1\nopen");
}

/* One after the other in the same task; the timer behind them is issued at the right moment. */
static void test_chain_runs_in_one_task(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Chain input=1; WFTScheduled; WFTStarted");
    story_expect(s, "StartLocal seq=1 id=1 type=first attempt=1 stc=30000 input=1\nopen");
    story_expect_local(s, "1 result=2",
                       "StartLocal seq=2 id=2 type=second attempt=1 stc=30000 input=2\nopen");
    story_expect_local(s, "2 result=3",
                       "Marker core_local_activity " DATA(1, "first", "1003,'nanos':0", 1) //
                       " result=2\n"
                       "Marker core_local_activity " DATA(2, "second", "1003,'nanos':0", 2) //
                       " result=3\n"
                       "StartTimer id=1 ms=1000");
    story_tell(s, "WFTCompleted; Marker seq=1 type=first result=2; Marker seq=2 type=second "
                  "result=3; TimerStarted id=1; TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=3");
    story_expect_replayed(s, "Complete result=3");
}

/* The markers' order says who was first, in each replay. */
static void test_order_of_markers_decides_a_race(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Race input=0; WFTScheduled; WFTStarted");
    story_expect(s, "StartLocal seq=1 id=1 type=slow attempt=1 stc=30000 input=0\n"
                    "StartLocal seq=2 id=2 type=fast attempt=1 stc=30000 input=0\nopen");
    story_expect_local(s, "2 result='fast'", "open");
    story_expect_local(
        s, "1 result='slow'",
        "Marker core_local_activity " DATA(2, "fast", "1003,'nanos':0", 1) //
        " result='fast'\n"
        "ScheduleActivity id=3 type=second_won queue=queue stc=30000 input='fast'\n"
        "Marker core_local_activity " DATA(1, "slow", "1003,'nanos':0", 2) " result='slow'");
    story_tell(s, "WFTCompleted; Marker seq=2 type=fast step=1 result='fast'");
    story_tell(s, "ActivityScheduled id=3 type=second_won; Marker seq=1 type=slow step=2 "
                  "result='slow'; ActivityStarted scheduled=6");
    story_tell(s, "ActivityCompleted scheduled=6 result=9; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=9");
    story_expect_replayed(s, "Complete result=9");
}

/* Two that another SDK's worker handed to the code at once are ready at once here, too. */
static void test_markers_of_one_step_are_ready_together(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Race input=0; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "Marker seq=2 type=fast step=1 result='fast'; Marker seq=1 type=slow step=1 "
                  "result='slow'; ActivityScheduled id=3 type=first_won");
    story_tell(s, "ActivityStarted scheduled=7; ActivityCompleted scheduled=7 result=9");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect_replayed(s, "Complete result=9");
}

/* A failure is the application's own, inside an activity failure; the marker holds it bare. */
static void test_failure_fails_the_workflow(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=One input=1; WFTScheduled; WFTStarted");
    story_expect(s, "StartLocal seq=1 id=1 type=work attempt=1 stc=30000 input=1\nopen");
    story_expect_local(s, "1 failure=Broke message=empty",
                       "Marker core_local_activity " DATA(1, "work", "1003,'nanos':0", 1) //
                       " empty (type Broke)\n"
                       "Fail Local activity failed (type Activity): empty (type Broke)");
    story_tell(s, "WFTCompleted; Marker seq=1 type=work failure=Broke message=empty; Failed");
    story_expect_replayed(s, "");
}

/* A long pause between two attempts is a timer; what follows has a new seq and the old schedule. */
static void test_long_backoff_becomes_a_timer(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Retried input=5; WFTScheduled; WFTStarted");
    story_expect(
        s, "StartLocal seq=1 id=1 type=flaky attempt=1 s2c=60000 stc=60000 attempts=5 input=5\n"
           "open");
    story_expect_local(
        s, "1 attempt=2 failure=Error message=not_yet backoff=500",
        "Marker core_local_activity data={'seq':1,'attempt':2,'activity_id':'1','activity_type':"
        "'flaky','complete_time':{'seconds':1003,'nanos':0},'backoff':{'seconds':0,'nanos':"
        "500000000},'original_schedule_time':{'seconds':7,'nanos':0},'activation_index':1} "
        "not_yet (type Error)\n"
        "StartTimer id=1 ms=500");
    story_tell(s, "WFTCompleted; Marker seq=1 type=flaky attempt=2 backoff=500 failure=Error; "
                  "TimerStarted id=1; TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(
        s, "StartLocal seq=2 id=2 type=flaky attempt=3 s2c=60000 stc=60000 attempts=5 input=5\n"
           "open");
    assert_int_equal(s->answer.local_starts[0].original_schedule_ns, INT64_C(7000000000));
    assert_int_equal(s->answer.local_starts[0].threshold_ns, 100000000);
    story_expect_replayed(
        s, "StartLocal seq=2 id=2 type=flaky attempt=3 s2c=60000 stc=60000 attempts=5 input=5\n"
           "open");
    story_tell(s, "WFTCompleted; Marker seq=2 type=flaky attempt=3 result=1; Completed");
    story_expect_replayed(s, "");
}

/* A task that must be answered before the work is done goes on in the next one; a heartbeat leaves
 * no trace in the workflow's time, the result does. */
static void test_heartbeats_keep_the_work_going(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Clock input=1; WFTScheduled; WFTStarted");
    story_expect(s, "StartLocal seq=1 id=1 type=work attempt=1 stc=30000 input=1\nopen");
    story_expect_yielded(s, "more");
    story_tell(s, "WFTCompleted; WFTScheduled; WFTStarted");
    story_expect(s, "open");
    story_expect_replayed(s, "StartLocal seq=1 id=1 type=work attempt=1 stc=30000 input=1\nopen");
    story_expect_yielded(s, "more");
    story_tell(s, "WFTCompleted; WFTScheduled; WFTStarted");
    story_expect(s, "open");
    story_expect_local(s, "1 result=1 ran=500",
                       "Marker core_local_activity " DATA(1, "work", "1009,'nanos':0", 0) //
                       " result=1\n"
                       "Complete result=1009000");
    story_tell(s, "WFTCompleted; Marker seq=1 type=work result=1 complete=1009000; Completed");
    story_expect_replayed(s, "");
}

/* Nor in the length of the history: the replay sees no more of it than the code did then. */
static void test_heartbeats_do_not_lengthen_the_history(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Lengthy; WFTScheduled; WFTStarted");
    story_answer(s);
    story_expect_yielded(s, "more");
    story_tell(s, "WFTCompleted; WFTScheduled; WFTStarted");
    story_expect(s, "open");
    assert_non_null(strstr(story_local(s, "1 result=1 ran=500"), "\nComplete result=1"));
    story_tell(s, "WFTCompleted; Marker seq=1 type=work result=1 complete=1009000; Completed");
    story_expect_replayed(s, "");
}

/* A signal that comes with a heartbeat's task is there before the result. */
static void test_signal_between_heartbeats(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Patient input=1; WFTScheduled; WFTStarted");
    story_expect(s, "StartLocal seq=1 id=1 type=work attempt=1 stc=30000 input=1\nopen");
    story_expect_yielded(s, "more");
    story_tell(s, "WFTCompleted; Signaled name=word input='w'; WFTScheduled; WFTStarted");
    story_expect(s, "open");
    story_expect_local(s, "1 result=2",
                       "Marker core_local_activity " DATA(1, "work", "1007,'nanos':0", 1) //
                       " result=2\n"
                       "ScheduleActivity id=2 type=tell queue=queue stc=30000 input='w'");
    story_tell(s, "WFTCompleted; Marker seq=1 type=work result=2 step=1; ActivityScheduled id=2 "
                  "type=tell; ActivityStarted scheduled=10; ActivityCompleted scheduled=10; "
                  "WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=2");
    story_expect_replayed(s, "Complete result=2");
}

/* TRY: over at once for the code, the worker is told, the marker says cancelled. */
static void test_cancel_try(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Cancels input=0; WFTScheduled; WFTStarted");
    story_expect(s, "StartLocal seq=1 id=1 type=slow attempt=1 stc=1000\n"
                    "StartLocal seq=2 id=2 type=quick attempt=1 stc=30000\nopen");
    const char *answer = story_local(s, "2 result=null");
    assert_non_null(strstr(answer, "'seq':1,'attempt':1"));
    assert_non_null(strstr(answer, "Activity cancelled"));
    assert_non_null(strstr(answer, "\nCancelLocal seq=1"));
    assert_int_equal(s->answer.outcome, FLO_ACTIVATION_COMPLETE);
    story_tell(s, "WFTCompleted; Marker seq=2 type=quick result=null step=1; Marker seq=1 "
                  "type=slow failure=cancelled step=2; Completed");
    story_expect_replayed(s, "");
}

/* WAIT: the worker is told, the code sees how it ends. */
static void test_cancel_wait(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Cancels input=1; WFTScheduled; WFTStarted");
    story_expect(s, "StartLocal seq=1 id=1 type=slow attempt=1 stc=1000\n"
                    "StartLocal seq=2 id=2 type=quick attempt=1 stc=30000\nopen");
    story_expect_local(s, "2 result=null", "CancelLocal seq=1\nopen");
    assert_non_null(strstr(story_local(s, "1 result=5"), "Complete result=0"));
    story_tell(s, "WFTCompleted; Marker seq=2 type=quick result=null; Marker seq=1 type=slow "
                  "result=5; Completed");
    story_expect_replayed(s, "");
}

/* ABANDON: nobody is told, and what it returns later is ignored. */
static void test_cancel_abandon(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Cancels input=2; WFTScheduled; WFTStarted");
    story_expect(s, "StartLocal seq=1 id=1 type=slow attempt=1 stc=1000\n"
                    "StartLocal seq=2 id=2 type=quick attempt=1 stc=30000\nopen");
    assert_non_null(strstr(story_local(s, "2 result=null"), "\nForgetLocal seq=1"));
}

static void test_cancelled_at_once_leaves_no_trace(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Regrets input=1; WFTScheduled; WFTStarted");
    story_expect(s, "StartLocal seq=2 id=2 type=work attempt=1 stc=30000 input=1\nopen");
    story_tell(s, "WFTCompleted; Marker seq=2 type=work result=1; Completed");
    story_expect_replayed(s, "");
}

/* The workflow's cancel request ends it like any other wait. */
static void test_cancel_request_cancels_it(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=One input=1; WFTScheduled; WFTStarted");
    story_expect(s, "StartLocal seq=1 id=1 type=work attempt=1 stc=30000 input=1\nopen");
    story_expect_yielded(s, "more");
    story_tell(s, "WFTCompleted; CancelRequested; WFTScheduled; WFTStarted");
    const char *answer = story_answer(s);
    assert_non_null(
        strstr(answer, "Activity cancelled (type Cancelled)\nCancel\nCancelLocal seq=1"));
    story_tell(s, "WFTCompleted; Marker seq=1 type=work failure=cancelled; Canceled");
    story_expect_replayed(s, "");
}

/* The same in a run that was made anew, where nobody has begun it. */
static void test_cancel_request_after_an_eviction_cancels_it(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=One input=1; WFTScheduled; WFTStarted");
    story_expect(s, "StartLocal seq=1 id=1 type=work attempt=1 stc=30000 input=1\nopen");
    story_expect_yielded(s, "more");
    story_tell(s, "WFTCompleted; CancelRequested; WFTScheduled; WFTStarted");
    story_evict(s);
    s->delivered = 0;
    assert_non_null(strstr(story_answer(s), "Activity cancelled (type Cancelled)\nCancel"));
    assert_int_equal(s->answer.local_start_count, 0);
    story_tell(s, "WFTCompleted; Marker seq=1 type=work failure=cancelled; Canceled");
    story_expect_replayed(s, "");
}

/* A pause is cancelled with its timer. */
static void test_cancel_request_ends_a_pause(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Retried input=5; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "Marker seq=1 type=flaky attempt=1 backoff=500 failure=Error; TimerStarted id=1");
    story_tell(s, "CancelRequested; WFTScheduled; WFTStarted");
    story_expect(s, "CancelTimer id=1\nCancel");
}

static void test_options_are_checked(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Misuse; WFTScheduled; WFTStarted");
    story_expect(s, "Fail activity work: set start_to_close_ms or schedule_to_close_ms "
                    "(type FLO_EINVAL)");
}

/* ---- code that does not match ---- */

static void test_marker_of_another_type(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=One input=1; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "Marker seq=1 type=other result=1; WFTScheduled; WFTStarted");
    story_expect(s, "task failed (cause 24): [TMPRL1100] Nondeterminism error: event 5 is "
                    "MarkerRecorded (local activity 1, type other), but the code started local "
                    "activity 1 with type work and id 1");
}

/* A marker has its place among the commands. */
static void test_marker_out_of_order(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=One input=1; WFTScheduled; WFTStarted");
    story_tell(s, "WFTCompleted; Completed; Marker seq=1 type=work result=1");
    story_expect_replayed(s, "task failed (cause 24): [TMPRL1100] Nondeterminism error: event 5 is "
                             "WorkflowExecutionCompleted, but the code issued RecordMarker (local "
                             "activity 1, type work)");
}

static void test_marker_that_the_code_knows_nothing_of(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Timer; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "Marker seq=1 type=work result=1; WFTScheduled; WFTStarted");
    story_expect(s, "task failed (cause 24): [TMPRL1100] Nondeterminism error: event 5 is "
                    "MarkerRecorded (local activity 1, type work), but the code issued StartTimer "
                    "(timer id 1)");
}

static void test_local_activity_where_history_has_a_timer(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=One input=1; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "TimerStarted id=1; WFTScheduled; WFTStarted");
    story_expect(s, "task failed (cause 24): [TMPRL1100] Nondeterminism error: event 5 is "
                    "TimerStarted (timer id 1), but the code issued no command and waits for local "
                    "activity 1, type work");
}

/* Markers of other SDKs are named; one that a worker may ignore is ignored. */
static void test_markers_of_others(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=One input=1; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "Marker name=SideEffect may_ignore=1; Marker seq=1 type=work result=1");
    story_tell(s, "Completed");
    story_expect_replayed(s, "");
    s->event_count = 4;
    story_tell(s, "Marker name=LocalActivity; WFTScheduled; WFTStarted");
    story_expect(s, "task failed (cause 24): [TMPRL1100] Nondeterminism error: event 5 is "
                    "MarkerRecorded (marker LocalActivity), but the code issued no command and "
                    "waits for local activity 1, type work");
}

static void test_marker_that_says_nothing(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=One input=1; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "Marker; WFTScheduled; WFTStarted");
    flo_api__marker_recorded_event_attributes__init(s->events[4]->marker_recorded_event_attributes);
    s->events[4]->marker_recorded_event_attributes->marker_name = (char[]){"core_local_activity"};
    story_expect(s, "task failed (cause 14): the local activity marker of event 5 does not say "
                    "which it is");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_result_is_recorded_once),
        TEST(test_lost_result_runs_again),
        TEST(test_chain_runs_in_one_task),
        TEST(test_order_of_markers_decides_a_race),
        TEST(test_markers_of_one_step_are_ready_together),
        TEST(test_failure_fails_the_workflow),
        TEST(test_long_backoff_becomes_a_timer),
        TEST(test_heartbeats_keep_the_work_going),
        TEST(test_heartbeats_do_not_lengthen_the_history),
        TEST(test_signal_between_heartbeats),
        TEST(test_cancel_try),
        TEST(test_cancel_wait),
        TEST(test_cancel_abandon),
        TEST(test_cancelled_at_once_leaves_no_trace),
        TEST(test_cancel_request_cancels_it),
        TEST(test_cancel_request_after_an_eviction_cancels_it),
        TEST(test_cancel_request_ends_a_pause),
        TEST(test_options_are_checked),
        TEST(test_marker_of_another_type),
        TEST(test_marker_out_of_order),
        TEST(test_marker_that_the_code_knows_nothing_of),
        TEST(test_local_activity_where_history_has_a_timer),
        TEST(test_markers_of_others),
        TEST(test_marker_that_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
