/* SPDX-License-Identifier: Apache-2.0 */
/* test_history.c - cutting history into tasks, partial histories, and code that does not match. */
#include <string.h>

#include "support/cmocka_env.h"
#include "support/story.h"

static const struct flo_activity_options options = {.start_to_close_ms = 30000};

static int echo(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return flo_activity(wf, "echo", input, &options, out_result);
}

static int timer_then_echo(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    int rc = flo_sleep(wf, 1000);
    return rc ? rc : flo_activity(wf, "echo", input, &options, out_result);
}

static int two_at_once(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_future *timer = flo_timer_start(wf, 1000);
    int rc = flo_activity(wf, "echo", input, &options, out_result);
    return rc ? rc : flo_await(wf, timer, NULL);
}

static int wait_signal(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    return flo_signal_await(wf, "go", -1, out_result);
}

/* Ends without waiting for what it started. */
static int leaves(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input, (void)out_result;
    flo_timer_start(wf, 1000);
    return 0;
}

static int about(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    const struct flo_workflow_info *info = flo_workflow_info(wf);
    char *text = flo_json_text(wf, json_true());
    void *mine = flo_workflow_alloc(wf, 100);
    flo_workflow_free(wf, mine);
    *out_result = json_pack("[s,s,s,s,s,i,I,I,I,b,s,b]", info->workflow_id, info->run_id,
                            info->type, info->namespace_, info->task_queue, (int)info->attempt,
                            (json_int_t)info->start_ms, (json_int_t)info->history_length,
                            (json_int_t)info->history_bytes, info->continue_as_new_suggested, text,
                            flo_workflow_replaying(wf));
    return 0;
}

static const struct flo_workflow_entry workflows[] = {{"Echo", echo},
                                                      {"TimerThenEcho", timer_then_echo},
                                                      {"TwoAtOnce", two_at_once},
                                                      {"Wait", wait_signal},
                                                      {"Leaves", leaves},
                                                      {"About", about},
                                                      {NULL, NULL}};

static int setup(void **state)
{
    return story_setup(state, workflows);
}

#define BEGIN(type) "Started type=" type " input=1; WFTScheduled; WFTStarted"
#define SCHEDULES "ScheduleActivity id=1 type=echo queue=queue stc=30000 input=1"
#define DIFFERS "task failed (cause 24): [TMPRL1100] Nondeterminism error: "

/* ---- cutting ---- */

/* Tasks that timed out or failed are passed over, and their signals come with the next.
 */
static void test_failed_and_timed_out_tasks_are_skipped(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Wait"));
    story_tell(s, "WFTTimedOut; Signaled name=go input=5; WFTScheduled; WFTStarted");
    story_tell(s, "WFTFailed cause=14; WFTScheduled; WFTStarted");
    story_expect_replayed(s, "Complete result=5");
    story_tell(s, "WFTCompleted; Completed");
    story_expect_replayed(s, "");
}

/* A run that is cached when its task fails has gone ahead of history: it must be made anew. */
static void test_cached_run_whose_task_failed_is_refused(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Echo"));
    story_expect(s, SCHEDULES);
    story_tell(s, "WFTTimedOut; WFTScheduled; WFTStarted");
    story_expect(s, "missing history");
    story_evict(s);
    s->delivered = 0;
    story_expect(s, SCHEDULES);
}

/* A completed task without commands, at once followed by the next, is one activation. */
static void test_heartbeats_are_one_activation(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Echo"));
    story_tell(s, "WFTCompleted; WFTScheduled; WFTStarted");
    story_tell(s, "WFTCompleted; WFTScheduled; WFTStarted");
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=echo; ActivityStarted scheduled=11");
    story_tell(s, "ActivityCompleted scheduled=11 result=2; WFTScheduled; WFTStarted");
    story_expect_replayed(s, "Complete result=2");
}

/* What was buffered while the task ran comes behind its commands. */
static void test_buffered_events_follow_the_commands(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("TwoAtOnce"));
    story_tell(s, "WFTCompleted; TimerStarted id=1; ActivityScheduled id=1 type=echo");
    story_tell(s, "ActivityStarted scheduled=6; ActivityCompleted scheduled=6 result=3");
    story_tell(s, "WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=3");
}

/* The run was terminated while its task was at work: the rest says nothing to the code. */
static void test_terminated_history_replays(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Echo"));
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=echo; ActivityStarted scheduled=5");
    story_tell(s, "ActivityCompleted scheduled=5; WFTScheduled; WFTStarted");
    story_tell(s, "WFTFailed cause=17; Terminated");
    story_expect_replayed(s, "");
}

static void test_info_comes_from_history(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=About; WFTScheduled; WFTStarted bytes=4321 suggest=1");
    story_expect(s, "Complete result=['workflow-1','run-1','About','default','queue',1,1001000,3,"
                    "4321,true,'true',false]");
}

/* ---- partial histories ---- */

static void test_partial_history_without_a_run_is_missing(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Echo"));
    story_expect(s, SCHEDULES);
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=echo");
    story_tell(s, "ActivityCompleted scheduled=5 result=2; WFTScheduled; WFTStarted");
    story_evict(s);
    story_expect(s, "missing history");
    s->delivered = 0; /* the worker fetched it all */
    story_expect(s, "Complete result=2");
}

static void test_gap_in_history_is_missing(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Echo"));
    story_expect(s, SCHEDULES);
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=echo; WFTScheduled; WFTStarted");
    s->delivered = 5;
    story_expect(s, "missing history");
}

/* A whole history for a cached run makes it anew: it may have been answered elsewhere meanwhile. */
static void test_whole_history_replaces_a_cached_run(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Echo"));
    story_expect(s, SCHEDULES);
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=echo");
    story_tell(s, "ActivityCompleted scheduled=5 result=2; WFTScheduled; WFTStarted");
    s->delivered = 0;
    story_expect(s, "missing history");
    story_evict(s);
    story_expect(s, "Complete result=2");
}

/* The server crashed and lost events 7 to 9, which a task had already brought: the run is ahead of
 * what history now says and must be made anew, else it waits for what it takes to have seen. */
static void test_cached_run_whose_events_were_lost_is_refused(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("TwoAtOnce"));
    story_expect(s, "StartTimer id=1 ms=1000\n" SCHEDULES);
    story_tell(s, "WFTCompleted; TimerStarted id=1; ActivityScheduled id=1 type=echo");
    story_tell(s, "TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "");
    s->event_count = 6; /* the crash */
    s->delivered = 3;
    s->previous_started = 3;
    story_tell(s, "ActivityStarted scheduled=6; ActivityCompleted scheduled=6 result=2");
    story_tell(s, "TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "missing history");
    story_evict(s);
    s->delivered = 0;
    story_expect(s, "Complete result=2");
}

/* Heartbeats of a task held open are completed tasks: each one counts as answered. */
static void test_cached_run_is_kept_over_heartbeats(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Wait"));
    story_expect(s, "");
    for (int i = 0; i < 3; i++) {
        story_tell(s, "WFTCompleted; WFTScheduled; WFTStarted");
        story_expect(s, "");
    }
    story_evict(s);
    s->delivered = 0; /* made anew, as one activation: the next task still fits */
    story_expect(s, "");
    story_tell(s, "WFTCompleted; Signaled name=go input=4; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=4");
}

static void test_history_with_a_hole_fails_the_task(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Echo"));
    s->events[1]->event_id = 7;
    story_expect(s,
                 "task failed (cause 14): history is not whole: event 7 where event 2 should be");
}

/* The server took a task back: its events come again under the same numbers. */
static void test_reset_to_sees_events_again(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Wait"));
    story_expect(s, "");
    story_tell(s, "WFTCompleted; WFTScheduled; WFTStarted");
    story_expect(s, "");
    flo_run_reset_to(s->run, 6); /* nothing to go back to */
    flo_run_reset_to(s->run, 3);
    s->event_count = 4;
    s->delivered = 3;
    s->previous_started = 3;
    story_tell(s, "Signaled name=go input=9; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=9");
}

/* The same behind command events: those were seen and are not compared twice. */
static void test_reset_to_keeps_what_was_before_the_task(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("TimerThenEcho"));
    story_expect(s, "StartTimer id=1 ms=1000");
    story_tell(s, "WFTCompleted; TimerStarted id=1; WFTScheduled; WFTStarted");
    story_expect(s, "");
    flo_run_reset_to(s->run, 3);
    s->event_count = 5;
    s->delivered = 3;
    s->previous_started = 3;
    story_tell(s, "TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, SCHEDULES);
}

/* A task that is tried again, or that brings nothing new, is not for a cached run. */
static void test_cached_run_refuses_a_second_attempt(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Echo"));
    story_expect(s, SCHEDULES);
    FloApi__PollWorkflowTaskQueueResponse *task = story_task(s, 1, 3);
    assert_true(flo_run_missing_history(s->run, task));
    task->attempt = 2;
    assert_true(flo_run_missing_history(s->run, task));
    struct flo_run *fresh = story_run_new(s);
    assert_false(flo_run_missing_history(fresh, task));
    flo_run_destroy(&fresh);
}

/* ---- code that does not match ---- */

static void test_other_command_is_nondeterminism(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Echo") "; WFTCompleted; TimerStarted id=1; TimerFired id=1");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, DIFFERS "event 5 is TimerStarted (timer id 1), but the code issued "
                            "ScheduleActivityTask (activity id 1, type echo)");
    assert_string_equal(s->answer.failure->application_failure_info->type, "NonDeterminismError");
}

/* The failure's stack trace shows the ten events before, the commands, and where the code is. */
static void test_nondeterminism_is_explained(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Echo"));
    for (int i = 0; i < 3; i++)
        story_tell(s, "WFTFailed; WFTScheduled; WFTStarted");
    story_tell(s, "WFTCompleted; TimerStarted id=7; TimerFired id=7; WFTScheduled; WFTStarted");
    story_answer(s);
    assert_non_null(strstr(s->answer.failure->message, "(activity id 1, type echo) at test_hist"));
    const char *why = s->answer.failure->stack_trace;
    assert_null(strstr(why, "event 3 is"));
    assert_non_null(strstr(why, "history:\n    event 4 is WorkflowTaskFailed\n"));
    assert_non_null(strstr(why, "    event 13 is WorkflowTaskCompleted\n"
                                "  > event 14 is TimerStarted (timer id 7)\n"
                                "commands of the code that no event has shown yet:\n"
                                "    ScheduleActivityTask (activity id 1, type echo) at test_"));
    assert_non_null(strstr(why, "code:\nmain at test_history.c:"));
    assert_null(strstr(why, "event 15"));
}

static void test_other_activity_type_is_nondeterminism(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Echo") "; WFTCompleted; ActivityScheduled id=1 type=reverse");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, DIFFERS "event 5 is ActivityTaskScheduled (activity id 1, type reverse), but "
                            "the code issued ScheduleActivityTask (activity id 1, type echo)");
}

static void test_missing_command_is_nondeterminism(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Wait") "; WFTCompleted; ActivityScheduled id=1 type=echo");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, DIFFERS "event 5 is ActivityTaskScheduled (activity id 1, type echo), but the "
                            "code issued no command");
}

static void test_extra_command_is_nondeterminism(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("TwoAtOnce") "; WFTCompleted; TimerStarted id=1; TimerFired id=1");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, DIFFERS
                 "event 6 is TimerFired (timer id 1), but the code issued ScheduleActivityTask "
                 "(activity id 1, type echo)");
}

static void test_extra_command_at_the_end_is_nondeterminism(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Leaves") "; WFTCompleted; TimerStarted id=1");
    story_expect_replayed(s, DIFFERS "history ends, but the code issued CompleteWorkflowExecution");
    story_tell(s, "Completed");
    story_expect_replayed(s, "");
}

/* Kinds that this worker cannot have issued, and types that it does not know. */
static void test_foreign_events_are_nondeterminism(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Wait") "; WFTCompleted; Marker name=Version; WFTScheduled; WFTStarted");
    story_expect_replayed(s, DIFFERS "event 5 is MarkerRecorded (marker Version), but the code "
                                     "issued no command");
    s->event_count = 4;
    story_tell(s, "ChildInitiated id=c type=Child; WFTScheduled; WFTStarted");
    story_expect_replayed(s, DIFFERS "event 5 is StartChildWorkflowExecutionInitiated "
                                     "(workflow id c, type Child), but the code issued no "
                                     "command");
    s->event_count = 4;
    story_tell(s, "ChildStarted initiated=3; WFTScheduled; WFTStarted");
    story_expect_replayed(
        s, "task failed (cause 24): [TMPRL1100] Nondeterminism error: history event 5 "
           "(ChildWorkflowExecutionStarted) answers event 3, which the code never asked for or "
           "which was answered before");
    s->event_count = 4;
    story_tell(s, "Unknown; WFTScheduled; WFTStarted");
    story_expect_replayed(s, "task failed (cause 24): [TMPRL1100] Nondeterminism error: history "
                             "event 5 has type 9999, which this "
                             "worker does not know");
    s->event_count = 4;
    story_tell(s, "TimerFired id=3; WFTScheduled; WFTStarted");
    story_expect_replayed(s, "task failed (cause 24): [TMPRL1100] Nondeterminism error: history "
                             "event 5 fires timer 3, which the "
                             "code never started");
    s->event_count = 4;
    story_tell(s, "ActivityCompleted scheduled=3; WFTScheduled; WFTStarted");
    story_expect_replayed(s, "task failed (cause 24): [TMPRL1100] Nondeterminism error: history "
                             "event 5 (ActivityTaskCompleted) is "
                             "about the activity of event 3, which the code never started or "
                             "which is over");
}

static void test_events_that_may_be_ignored_are(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Wait") "; WFTCompleted; Unknown may_ignore=1; Marker may_ignore=1");
    story_tell(s, "UpdateAdmitted; Signaled name=go input=1; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=1");
}

/* The same activity cannot end twice. */
static void test_second_result_is_nondeterminism(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("TwoAtOnce") "; WFTCompleted; TimerStarted id=1");
    story_tell(s, "ActivityScheduled id=1 type=echo; ActivityCompleted scheduled=6");
    story_tell(s, "ActivityCompleted scheduled=6; WFTScheduled; WFTStarted");
    const char *answer = story_answer(s);
    assert_non_null(strstr(answer, "cause 24"));
    assert_non_null(strstr(answer, "history event 8 (ActivityTaskCompleted)"));
}

/* ---- queries ---- */

static void test_query_in_a_task_is_answered_after_it(void **state)
{
    struct story *s = *state;
    s->query = "status";
    story_tell(s, BEGIN("Echo"));
    story_expect(
        s, SCHEDULES
        "\nquery q1 failed: unknown queryType status. "
        "KnownQueryTypes=[__stack_trace __enhanced_stack_trace __temporal_workflow_metadata]");
}

/* A query task replays what there is and issues nothing, sticky or not. */
static void test_query_task_is_answered(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Echo") "; WFTCompleted; ActivityScheduled id=1 type=echo");
    s->previous_started = 3;
    s->legacy_query = "status";
    story_expect(
        s, "query failed: unknown queryType status. "
           "KnownQueryTypes=[__stack_trace __enhanced_stack_trace __temporal_workflow_metadata]");
    s->legacy_query = "again"; /* sticky: no events */
    story_expect(
        s, "query failed: unknown queryType again. "
           "KnownQueryTypes=[__stack_trace __enhanced_stack_trace __temporal_workflow_metadata]");
    story_tell(s, "ActivityStarted scheduled=5; ActivityCompleted scheduled=5 result=2");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=2");
}

static void test_query_of_an_unknown_type_of_workflow_fails_the_query(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Nobody") "; WFTCompleted");
    s->legacy_query = "status";
    story_expect(s, "query failed: Workflow type Nobody is not registered on this worker, "
                    "registered types: Known, Other");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_failed_and_timed_out_tasks_are_skipped),
        T(test_cached_run_whose_task_failed_is_refused),
        T(test_heartbeats_are_one_activation),
        T(test_buffered_events_follow_the_commands),
        T(test_terminated_history_replays),
        T(test_info_comes_from_history),
        T(test_partial_history_without_a_run_is_missing),
        T(test_gap_in_history_is_missing),
        T(test_whole_history_replaces_a_cached_run),
        T(test_cached_run_whose_events_were_lost_is_refused),
        T(test_cached_run_is_kept_over_heartbeats),
        T(test_history_with_a_hole_fails_the_task),
        T(test_reset_to_sees_events_again),
        T(test_reset_to_keeps_what_was_before_the_task),
        T(test_cached_run_refuses_a_second_attempt),
        T(test_other_command_is_nondeterminism),
        T(test_nondeterminism_is_explained),
        T(test_other_activity_type_is_nondeterminism),
        T(test_missing_command_is_nondeterminism),
        T(test_extra_command_is_nondeterminism),
        T(test_extra_command_at_the_end_is_nondeterminism),
        T(test_foreign_events_are_nondeterminism),
        T(test_events_that_may_be_ignored_are),
        T(test_second_result_is_nondeterminism),
        T(test_query_in_a_task_is_answered_after_it),
        T(test_query_task_is_answered),
        T(test_query_of_an_unknown_type_of_workflow_fails_the_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
