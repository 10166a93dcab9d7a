/* SPDX-License-Identifier: Apache-2.0 */
/* test_updates.c - updates: accepted, rejected, carried out, and replayed from history. */
#include <string.h>

#include "flotilla/worker.h"
#include "support/cmocka_env.h"
#include "support/story.h"

static const struct flo_activity_options options = {.start_to_close_ms = 30000};

/* ---- a workflow that is steered by updates ---- */

struct counter {
    json_int_t total;
    int64_t when; /* the last addition was */
    bool done;
};

static int check_add(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    (void)ctx;
    if (!json_is_integer(m->input))
        return flo_workflow_fail(wf, "NotANumber", true, NULL, "%s takes a number, %s", m->name,
                                 m->id);
    json_array_append_new(m->args, json_string("the validator's own")); /* nobody sees that */
    return 0;
}

static int add(struct flo_workflow *wf, const struct flo_message *m, void *ctx, json_t **out_result)
{
    struct counter *counter = ctx;
    if (json_array_size(m->args) != 1)
        return flo_workflow_fail(wf, "Args", true, NULL, "there are %zu", json_array_size(m->args));
    counter->total += json_integer_value(m->input);
    counter->when = flo_workflow_now_ms(wf);
    *out_result = json_integer(counter->total);
    return 0;
}

/* Waits for an activity; fails when that fails. */
static int work(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                json_t **out_result)
{
    (void)ctx;
    return flo_activity(wf, "work", m->input, &options, out_result);
}

static int finish(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                  json_t **out_result)
{
    struct counter *counter = ctx;
    (void)wf, (void)m, (void)out_result;
    counter->done = true;
    return 0;
}

static bool is_done(void *ctx)
{
    return ((struct counter *)ctx)->done;
}

static int counts(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct counter *counter = flo_workflow_alloc(wf, sizeof *counter);
    counter->total = json_integer_value(input);
    flo_update_handle(wf, "add", check_add, add, counter, NULL);
    flo_update_handle(wf, "work", NULL, work, NULL, NULL);
    flo_update_handle(wf, "finish", NULL, finish, counter, NULL);
    int rc = flo_await_condition(wf, is_done, counter, -1);
    if (rc == 0)
        rc = flo_handlers_await(wf, -1);
    *out_result = json_integer(counter->total);
    return rc;
}

/* Ends without waiting for its handlers. */
static int leaves(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_handler_options quiet = {.abandon = true};
    struct counter *counter = flo_workflow_alloc(wf, sizeof *counter);
    (void)out_result;
    flo_update_handle(wf, "work", NULL, work, NULL, json_is_true(input) ? &quiet : NULL);
    flo_update_handle(wf, "finish", NULL, finish, counter, NULL);
    return flo_await_condition(wf, is_done, counter, -1);
}

static int on_note(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    (void)ctx;
    flo_workflow_log(wf, FLO_LOG_INFO, "noted %s", json_string_value(m->input));
    return 0;
}

/* Ends in its first task, or when it is told to; what has come by then is taken. */
static int returns(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_handler_options quiet = {.abandon = true};
    struct counter *counter = flo_workflow_alloc(wf, sizeof *counter);
    int rc = json_is_true(input) ? flo_signal_await(wf, "end", -1, NULL) : 0;
    flo_signal_handle(wf, "note", on_note, NULL, NULL);
    flo_update_handle(wf, "add", check_add, add, counter, NULL);
    flo_update_handle(wf, "work", NULL, work, NULL, &quiet);
    *out_result = json_integer(counter->total);
    return rc;
}

static bool is_long(void *ctx)
{
    return flo_workflow_info(ctx)->history_length > 5;
}

/* Ends when its history is long, as those do that continue as new. */
static int grows(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct counter *counter = flo_workflow_alloc(wf, sizeof *counter);
    (void)input;
    flo_update_handle(wf, "add", check_add, add, counter, NULL);
    int rc = flo_await_condition(wf, is_long, wf, -1);
    *out_result = json_integer(counter->total);
    return rc;
}

/* Takes every update there is, but only after a timer. */
static int echo_name(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                     json_t **out_result)
{
    (void)wf, (void)ctx;
    *out_result = json_pack("[s,s,O]", m->name, m->id, m->args);
    return 0;
}

static int late(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input, (void)out_result;
    int rc = flo_sleep(wf, 1000);
    if (rc)
        return rc;
    flo_update_handle(wf, NULL, NULL, echo_name, NULL, NULL);
    return flo_signal_await(wf, "end", -1, NULL);
}

/* Validators that do what they must not. */
static int naps(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    (void)m, (void)ctx;
    return flo_sleep(wf, 1);
}

static int draws(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    (void)m, (void)ctx;
    return flo_workflow_random(wf) == 0;
}

static int careless(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input, (void)out_result;
    flo_update_handle(wf, "naps", naps, echo_name, NULL, NULL);
    flo_update_handle(wf, "draws", draws, echo_name, NULL, NULL);
    return flo_signal_await(wf, "end", -1, NULL);
}

static int get_when(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                    json_t **out_result)
{
    (void)wf, (void)m;
    *out_result = json_integer(((struct counter *)ctx)->when);
    return 0;
}

/* An update and a local activity, in one task. */
static int holds(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_local_activity_options local = {.start_to_close_ms = 5000};
    struct counter *counter = flo_workflow_alloc(wf, sizeof *counter);
    (void)input;
    flo_update_handle(wf, "add", check_add, add, counter, NULL);
    flo_query_handle(wf, "when", get_when, counter, NULL);
    int rc = flo_local_activity(wf, "look", NULL, &local, NULL);
    *out_result = json_integer(counter->total);
    return rc;
}

static const struct flo_workflow_entry workflows[] = {
    {"Counts", counts}, {"Leaves", leaves},   {"Late", late},   {"Careless", careless},
    {"Holds", holds},   {"Returns", returns}, {"Grows", grows}, {NULL, NULL},
};

static int setup(void **state)
{
    return story_setup(state, workflows);
}

/* ---- accepted and rejected ---- */

#define BEGUN "Started type=Counts input=10; WFTScheduled; WFTStarted"
#define WAITS "WFTCompleted; WFTScheduled; WFTStarted"

static void test_update_is_accepted_and_completed_in_one_task(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGUN);
    story_expect_asked(s, "");
    story_tell(s, WAITS);
    story_update(s, "id=u1 name=add input=5 behind=5");
    story_expect_asked(s,
                       "ProtocolMessage u1/accept\nProtocolMessage u1/complete\n"
                       "message u1/accept to u1/request behind 5\nmessage u1/complete result=15");
    story_tell(s, "WFTCompleted; UpdateAccepted id=u1 name=add input=5 behind=5");
    story_tell(s, "UpdateCompleted id=u1 accepted=8; WFTScheduled; WFTStarted");
    story_update(s, "id=u2 name=finish behind=10");
    story_expect_asked(
        s, "ProtocolMessage u2/accept\nProtocolMessage u2/complete\nComplete result=15\n"
           "message u2/accept to u2/request behind 10\nmessage u2/complete result=null");
    story_update(s, "id=u2 name=finish behind=10");
    story_expect_replayed(s, "ProtocolMessage u2/accept\nProtocolMessage u2/complete\n"
                             "Complete result=15\nmessage u2/accept to u2/request behind 10\n"
                             "message u2/complete result=null");
    story_tell(s, "WFTCompleted; UpdateAccepted id=u2 name=finish behind=10");
    story_tell(s, "UpdateCompleted id=u2 accepted=13; Completed");
    s->legacy_query = "__stack_trace";
    story_expect_replayed(s, "query result=''");
}

/* Nothing of it is in history, and the run goes on as if it had not been. */
static void test_rejected_update_leaves_nothing(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGUN);
    story_expect_asked(s, "");
    story_tell(s, WAITS); /* which the server forgets */
    story_update(s, "id=u1 name=add input='x' behind=5");
    story_expect_asked(s, "message u1/reject to u1/request behind 5: add takes a number, u1 "
                          "(type NotANumber)");
    s->event_count -= 3;
    s->delivered -= 3;
    s->previous_started = 3;
    flo_run_reset_to(s->run, 3);
    story_tell(s, WAITS);
    story_update(s, "id=u2 name=add input=1 behind=5");
    story_update(s, "id=u3 name=nothing behind=5");
    story_update(s, "id=u4 name=add input=2 behind=5");
    story_expect_asked(s,
                       "ProtocolMessage u2/accept\nProtocolMessage u2/complete\n"
                       "ProtocolMessage u4/accept\nProtocolMessage u4/complete\n"
                       "message u2/accept to u2/request behind 5\nmessage u2/complete result=11\n"
                       "message u4/accept to u4/request behind 5\nmessage u4/complete result=13\n"
                       "message u3/reject to u3/request behind 5: unknown update nothing. "
                       "KnownUpdates=[add finish work] (type UnknownUpdate)");
    story_tell(s, "WFTCompleted; UpdateAccepted id=u2 name=add input=1 behind=5");
    story_tell(s, "UpdateCompleted id=u2; UpdateAccepted id=u4 name=add input=2 behind=5");
    story_tell(s, "UpdateCompleted id=u4; WFTScheduled; WFTStarted");
    story_expect_asked(s, "");
    story_expect_replayed(s, "");
}

/* In history there will be nothing for which the code could have run then: so it does not run. */
static void test_rejected_update_wakes_nobody(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Grows; WFTScheduled; WFTStarted");
    story_expect_asked(s, "");
    story_tell(s, WAITS);
    story_update(s, "id=u1 name=add input='x' behind=5");
    story_update(s, "id=u2 name=other behind=5");
    story_expect_asked(
        s, "message u1/reject to u1/request behind 5: add takes a number, u1 "
           "(type NotANumber)\nmessage u2/reject to u2/request behind 5: unknown update "
           "other. KnownUpdates=[add] (type UnknownUpdate)");
    story_tell(s, "WFTCompleted; WFTScheduled; WFTStarted");
    story_update(s, "id=u3 name=add input='y' behind=8");
    story_update(s, "id=u4 name=add input=4 behind=8");
    story_expect_asked(s,
                       "ProtocolMessage u4/accept\nProtocolMessage u4/complete\nComplete result=4\n"
                       "message u3/reject to u3/request behind 8: add takes a number, u3 "
                       "(type NotANumber)\nmessage u4/accept to u4/request behind 8\n"
                       "message u4/complete result=4");
}

/* ---- at work over several tasks ---- */

#define AT_WORK                                                                                    \
    "WFTCompleted; UpdateAccepted id=u1 name=work input=1 behind=5;"                               \
    "ActivityScheduled id=1 type=work; UpdateAccepted id=u2 name=work input=2 behind=5;"           \
    "ActivityScheduled id=2 type=work"
#define STARTS_1                                                                                   \
    "ProtocolMessage u1/accept\nScheduleActivity id=1 type=work queue=queue stc=30000 input=1\n"
#define STARTS_2                                                                                   \
    "ProtocolMessage u2/accept\nScheduleActivity id=2 type=work queue=queue stc=30000 input=2\n"
#define ACCEPTS "message u1/accept to u1/request behind 5\nmessage u2/accept to u2/request behind 5"

static void test_updates_complete_in_later_tasks(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGUN);
    story_expect_asked(s, "");
    story_tell(s, WAITS);
    story_update(s, "id=u1 name=work input=1 behind=5");
    story_update(s, "id=u2 name=work input=2 behind=5");
    story_expect_asked(s, STARTS_1 STARTS_2 ACCEPTS);
    story_tell(s, AT_WORK);
    story_tell(s, "ActivityCompleted scheduled=11 result='two'; WFTScheduled; WFTStarted");
    story_expect_asked(s, "ProtocolMessage u2/complete\nmessage u2/complete result='two'");
    story_expect_replayed(s, "ProtocolMessage u2/complete\nmessage u2/complete result='two'");
    story_tell(s, "WFTCompleted; UpdateCompleted id=u2 accepted=10");
    story_tell(s, "ActivityFailed scheduled=9 type=Bad message=broken; WFTScheduled; WFTStarted");
    story_update(s, "id=u3 name=finish behind=17");
    story_expect_asked(
        s, "ProtocolMessage u3/accept\nProtocolMessage u3/complete\n"
           "ProtocolMessage u1/complete\nComplete result=10\n"
           "message u3/accept to u3/request behind 17\nmessage u3/complete result=null\n"
           "message u1/complete Activity task failed (type Activity): broken (type Bad)");
    assert_string_equal(s->log, "");
    story_tell(s, "WFTCompleted; UpdateAccepted id=u3 name=finish behind=17; "
                  "UpdateCompleted id=u3; UpdateCompleted id=u1; Completed");
    s->legacy_query = "none";
    assert_non_null(strstr(story_replayed(s), "unknown queryType none"));
}

/* Its events may also tell of a reset: then the request is in an event of its own. */
static void test_admitted_update_is_found_again(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGUN "; WFTCompleted; UpdateAdmitted id=u1 name=add input=7; WFTScheduled;"
                        "WFTStarted; WFTCompleted; UpdateAccepted id=u1 behind=6;"
                        "UpdateCompleted id=u1; WFTScheduled; WFTStarted");
    story_update(s, "id=u2 name=add input=0 behind=11");
    story_expect_asked(s,
                       "ProtocolMessage u2/accept\nProtocolMessage u2/complete\n"
                       "message u2/accept to u2/request behind 11\nmessage u2/complete result=17");
}

/* ---- in the first task, and before there is a handler ---- */

static void test_update_with_the_first_task(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGUN);
    story_update(s, "id=u1 name=add input=1 behind=2");
    story_expect_asked(s,
                       "ProtocolMessage u1/accept\nProtocolMessage u1/complete\n"
                       "message u1/accept to u1/request behind 2\nmessage u1/complete result=11");
    story_tell(s, "WFTCompleted; UpdateAccepted id=u1 name=add input=1 behind=2");
    story_tell(s, "UpdateCompleted id=u1 accepted=5; Signaled name=x; WFTScheduled; WFTStarted");
    story_expect_asked(s, "");
    story_expect_replayed(s, "");
}

static void test_update_waits_for_its_handler_until_all_wait(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Late; WFTScheduled; WFTStarted");
    story_update(s, "id=u1 name=any input=1 behind=2");
    story_expect_asked(s,
                       "StartTimer id=1 ms=1000\nmessage u1/reject to u1/request behind 2: unknown "
                       "update any. KnownUpdates=[] (type UnknownUpdate)");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerFired id=1; WFTScheduled; WFTStarted");
    story_update(s, "id=u2 name=any input=1 behind=7");
    story_expect_asked(s, "ProtocolMessage u2/accept\nProtocolMessage u2/complete\n"
                          "message u2/accept to u2/request behind 7\n"
                          "message u2/complete result=['any','u2',[1]]");
    story_tell(s, "WFTCompleted; UpdateAccepted id=u2 name=any input=1 behind=7");
    story_tell(s, "UpdateCompleted id=u2; Signaled name=end; WFTScheduled; WFTStarted");
    story_expect_asked(s, "Complete");
    story_expect_replayed(s, "Complete");
}

static void test_update_that_cannot_be_decoded_is_rejected(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGUN);
    story_update(s, "id=u1 name=add input={ behind=2");
    assert_non_null(strstr(story_answer(s), "message u1/reject to u1/request behind 2: unable to "
                                            "decode the input for update \"add\": "));
}

/* ---- what fails the task ---- */

static void expect_task_failure(struct story *s, const char *text)
{
    const char *answer = story_answer(s);
    if (!strstr(answer, text))
        fail_msg("\"%s\" is not in \"%s\"", text, answer);
    assert_int_equal(s->answer.outcome, FLO_ACTIVATION_FAIL);
}

static void test_validator_that_waits_fails_the_task(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Careless; WFTScheduled; WFTStarted");
    story_update(s, "id=u1 name=naps behind=2");
    expect_task_failure(s, "the validator of update \"naps\" may only look, but it starts a timer");
}

static void test_validator_that_draws_a_number_fails_the_task(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Careless; WFTScheduled; WFTStarted");
    story_update(s, "id=u1 name=draws behind=2");
    expect_task_failure(s, "may only look, but it draws a random number");
}

static void test_update_that_is_at_work_fails_the_task_when_it_comes_again(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGUN);
    story_update(s, "id=u1 name=work behind=2");
    story_update(s, "id=u1 name=work behind=2");
    expect_task_failure(s, "update u1 arrives while it is at work already");
}

static void test_message_of_another_protocol_fails_the_task(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGUN);
    story_update(s, "id=u1 name=work type=type.googleapis.com/other.Request behind=2");
    expect_task_failure(s, "message u1/request of the workflow task is a "
                           "type.googleapis.com/other.Request, which this worker does not know");
}

static void test_accepted_update_that_the_code_does_not_take_is_no_match(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGUN "; WFTCompleted; UpdateAccepted id=u1 name=gone input=7 behind=2;"
                        "WFTScheduled; WFTStarted");
    expect_task_failure(s, "event 5 is WorkflowExecutionUpdateAccepted (update id u1), "
                           "but the code issued no command");
}

static void test_update_that_completed_otherwise_is_no_match(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGUN "; WFTCompleted; UpdateAccepted id=u1 name=add input=7 behind=2;"
                        "UpdateCompleted id=u9; WFTScheduled; WFTStarted");
    expect_task_failure(s, "event 6 is WorkflowExecutionUpdateCompleted (update id u9), but the "
                           "code issued ProtocolMessage (completes update u1, name add)");
}

/* ---- with a task that is held open ---- */

static void test_update_comes_with_a_heartbeat(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Holds; WFTScheduled; WFTStarted");
    story_expect(s, "StartLocal seq=1 id=1 type=look attempt=1 stc=5000\nopen");
    story_expect_yielded(s, "more");
    story_tell(s, "WFTCompleted; WFTScheduled; WFTStarted");
    story_update(s, "id=u1 name=add input=4 behind=5");
    story_expect(s, "open");
    story_expect_yielded(s, "ProtocolMessage u1/accept\nProtocolMessage u1/complete\n"
                            "message u1/accept to u1/request behind 5\n"
                            "message u1/complete result=4\nmore");
    story_tell(s, "WFTCompleted; UpdateAccepted id=u1 name=add input=4 behind=5");
    story_tell(s, "UpdateCompleted id=u1; WFTScheduled; WFTStarted");
    story_expect(s, "open");
    assert_non_null(strstr(story_local(s, "1 result=1"), " result=1\nComplete result=4"));
    story_tell(s, "WFTCompleted; Marker seq=1 type=look result=1 complete=1011000; Completed");
    s->legacy_query = "when"; /* it was not there from the beginning */
    story_expect_replayed(s, "query result=1006000");
}

/* ---- the end ---- */

static void test_handlers_that_are_cut_off_are_told_of_once(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Leaves; WFTScheduled; WFTStarted");
    story_update(s, "id=u1 name=work input=1 behind=2");
    story_answer(s);
    story_tell(s, "WFTCompleted; UpdateAccepted id=u1 name=work input=1 behind=2");
    story_tell(s, "ActivityScheduled id=1 type=work; Signaled name=x; WFTScheduled; WFTStarted");
    story_update(s, "id=u2 name=finish behind=8");
    assert_non_null(strstr(story_answer(s), "\nComplete\n"));
    assert_string_equal(s->log,
                        "The workflow ended while handlers were at work, which cut them off: "
                        "update work (id u1). Wait with flo_handlers_await() before the end, or "
                        "register them with the option abandon");
    story_tell(s, "WFTCompleted; UpdateAccepted id=u2 name=finish behind=8; UpdateCompleted id=u2");
    story_tell(s, "Completed");
    s->log = flo_arena_strdup(&s->arena, "");
    s->legacy_query = "__stack_trace";
    story_replayed(s);
    assert_string_equal(s->log, "");
}

static void test_handlers_that_may_be_abandoned_are_not_told_of(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Leaves input=true; WFTScheduled; WFTStarted");
    story_update(s, "id=u1 name=work input=1 behind=2");
    story_update(s, "id=u2 name=finish behind=2");
    assert_non_null(strstr(story_answer(s), "\nComplete\n"));
    assert_string_equal(s->log, "");
}

#define TAKEN                                                                                      \
    "ProtocolMessage u1/accept\nProtocolMessage u1/complete\nProtocolMessage u3/accept\n"          \
    "ScheduleActivity id=1 type=work queue=queue stc=30000 input=1\nComplete result=0\n"

/* What came with the task in which the workflow ends is answered, and its handlers begin. */
static void test_messages_of_the_only_task_are_taken(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Returns; Signaled name=note input='it'; WFTScheduled; WFTStarted");
    story_update(s, "id=u1 name=add input=1 behind=3");
    story_update(s, "id=u2 name=other behind=3");
    story_update(s, "id=u3 name=work input=1 behind=3");
    story_expect(s, TAKEN "message u1/accept to u1/request behind 3\n"
                          "message u1/complete result=1\n"
                          "message u3/accept to u3/request behind 3\n"
                          "message u2/reject to u2/request behind 3: unknown update other. "
                          "KnownUpdates=[add work] (type UnknownUpdate)");
    assert_string_equal(s->log, "noted it");
    story_tell(s, "WFTCompleted; UpdateAccepted id=u1 name=add input=1 behind=3");
    story_tell(s, "UpdateCompleted id=u1; UpdateAccepted id=u3 name=work input=1 behind=3");
    story_tell(s, "ActivityScheduled id=1 type=work; Completed");
    s->legacy_query = "__stack_trace";
    story_expect_replayed(s, "query result=''");
}

static void test_messages_of_the_last_task_are_taken(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Returns input=true; WFTScheduled; WFTStarted");
    story_expect_asked(s, "");
    story_tell(s, "WFTCompleted; Signaled name=end; WFTScheduled; WFTStarted");
    story_update(s, "id=u1 name=add input=1 behind=6");
    story_update(s, "id=u3 name=work input=1 behind=6");
    story_expect_asked(s, TAKEN "message u1/accept to u1/request behind 6\n"
                                "message u1/complete result=1\n"
                                "message u3/accept to u3/request behind 6");
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, story_teardown)
    const struct CMUnitTest tests[] = {
        T(test_update_is_accepted_and_completed_in_one_task),
        T(test_rejected_update_leaves_nothing),
        T(test_rejected_update_wakes_nobody),
        T(test_updates_complete_in_later_tasks),
        T(test_admitted_update_is_found_again),
        T(test_update_with_the_first_task),
        T(test_update_waits_for_its_handler_until_all_wait),
        T(test_update_that_cannot_be_decoded_is_rejected),
        T(test_validator_that_waits_fails_the_task),
        T(test_validator_that_draws_a_number_fails_the_task),
        T(test_update_that_is_at_work_fails_the_task_when_it_comes_again),
        T(test_message_of_another_protocol_fails_the_task),
        T(test_accepted_update_that_the_code_does_not_take_is_no_match),
        T(test_update_that_completed_otherwise_is_no_match),
        T(test_update_comes_with_a_heartbeat),
        T(test_handlers_that_are_cut_off_are_told_of_once),
        T(test_handlers_that_may_be_abandoned_are_not_told_of),
        T(test_messages_of_the_only_task_are_taken),
        T(test_messages_of_the_last_task_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
