/* SPDX-License-Identifier: Apache-2.0 */
/* test_scopes.c - cancellation scopes: nested, shielded, with a timeout, across coroutines. */
#include <string.h>

#include "support/cmocka_env.h"
#include "support/story.h"

static const struct flo_activity_options options = {.start_to_close_ms = 30000};
static const struct flo_scope_options shielded = {.shielded = true};
static const struct flo_scope_options second = {.timeout_ms = 1000};

/* An activity against the scope's time. */
static int timeout(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_scope *scope = flo_scope_begin(wf, &second);
    int rc = flo_activity(wf, "work", input, &options, NULL);
    bool cancelled = flo_scope_cancelled(wf, NULL), outside = flo_cancel_requested(wf);
    int ended = flo_scope_end(wf, scope);
    *out_result =
        json_pack("[i,b,b,i,b]", rc, cancelled, outside, ended, flo_scope_cancelled(wf, NULL));
    return flo_sleep(wf, 5);
}

/* Three scopes in one another: the middle one is cancelled, by a coroutine. */
struct nest {
    struct flo_scope *middle;
};

static int cancels(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    const struct nest *nest = arg;
    (void)out_result;
    int rc = flo_signal_await(wf, "cancel", -1, NULL);
    flo_scope_cancel(wf, nest->middle, "told so");
    flo_scope_cancel(wf, nest->middle, "again");
    return rc;
}

static int nested(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct nest nest;
    (void)input;
    struct flo_scope *outer = flo_scope_begin(wf, NULL);
    struct flo_future *kept = flo_activity_start(wf, "kept", NULL, &options);
    flo_spawn(wf, "canceller", cancels, &nest);
    nest.middle = flo_scope_begin(wf, NULL);
    struct flo_future *gone = flo_activity_start(wf, "gone", NULL, &options);
    struct flo_scope *inner = flo_scope_begin(wf, NULL);
    struct flo_future *gone_too = flo_activity_start(wf, "gone2", NULL, &options);
    struct flo_scope *safe = flo_scope_begin(wf, &shielded);
    struct flo_future *safe_work = flo_activity_start(wf, "safe", NULL, &options);
    int in_shield = flo_await(wf, safe_work, NULL);
    json_t *why = json_string(flo_scope_cancel_reason(wf, inner));
    flo_scope_end(wf, safe);
    int first = flo_await(wf, gone_too, NULL), again = flo_sleep(wf, 1);
    flo_scope_end(wf, inner);
    int next = flo_await(wf, gone, NULL);
    flo_scope_end(wf, nest.middle);
    int last = flo_await(wf, kept, NULL);
    flo_scope_end(wf, outer);
    *out_result = json_pack("[i,o,i,i,i,i]", in_shield, why, first, again, next, last);
    return 0;
}

static int sleeps(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    (void)arg, (void)out_result;
    return flo_sleep(wf, 60000);
}

/* A coroutine belongs to the scope where it was spawned, also after that was closed. */
static int outlives(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    struct flo_scope *outer = flo_scope_begin(wf, NULL), *scope = flo_scope_begin(wf, NULL);
    struct flo_future *one = flo_spawn(wf, "one", sleeps, NULL);
    flo_scope_end(wf, scope);
    int rc = flo_sleep(wf, 10);
    if (rc)
        return rc;
    flo_scope_cancel(wf, outer, NULL);
    int first = flo_await(wf, one, NULL);
    int ended = flo_scope_end(wf, outer);
    *out_result = json_pack("[i,i,s]", first, ended, flo_scope_cancel_reason(wf, NULL));
    return 0;
}

/* Cleans up inside a time limit of its own when the workflow is cancelled. */
static int cleanup(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_scope_options cleaning = {.shielded = true, .timeout_ms = 5000};
    (void)out_result;
    int rc = flo_activity(wf, "work", input, &options, NULL);
    struct flo_scope *scope = flo_scope_begin(wf, &cleaning);
    json_t *why = json_string(flo_cancel_reason(wf));
    int cleaned = flo_activity(wf, "clean", why, &options, NULL);
    int ended = flo_scope_end(wf, scope);
    if (ended == FLO_ETIMEDOUT)
        flo_workflow_log(wf, FLO_LOG_WARN, "not cleaned: %d", cleaned);
    return rc;
}

/* A scope with a timeout inside one that is cancelled already needs no timer. */
static int late(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    struct flo_scope *outer = flo_scope_begin(wf, NULL);
    flo_scope_cancel(wf, outer, "before");
    struct flo_scope *scope = flo_scope_begin(wf, &second);
    int rc = flo_activity(wf, "never", NULL, &options, NULL);
    int group = 0;
    struct flo_group *all = flo_group_new(wf);
    flo_group_add(all, flo_timer_start(wf, 1));
    group = flo_group_await_all(all, NULL);
    json_t *why = json_string(flo_scope_cancel_reason(wf, NULL));
    flo_scope_end(wf, outer); /* and what is open inside */
    int stale = flo_scope_end(wf, scope);
    *out_result = json_pack("[i,i,o,i,b]", rc, group, why, stale, flo_scope_cancelled(wf, NULL));
    return 0;
}

/* Shields nest, and end the scopes that were forgotten inside. */
static int shields(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    flo_cancel_shield(wf, true);
    flo_cancel_shield(wf, true);
    flo_cancel_shield(wf, false);
    flo_scope_begin(wf, NULL);
    int in = flo_sleep(wf, 1000);
    flo_cancel_shield(wf, false);
    int out = flo_sleep(wf, 1);
    flo_cancel_shield(wf, false); /* one too many */
    *out_result = json_pack("[i,i]", in, out);
    return 0;
}

/* A coroutine hears why, whoever in the tree was told. */
static int hears(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    (void)arg;
    int rc = flo_sleep(wf, 60000);
    *out_result = json_string(flo_scope_cancel_reason(wf, NULL));
    return rc == FLO_ECANCELLED ? 0 : rc;
}

static int hear_both(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    struct flo_future *one = flo_spawn(wf, "one", hears, NULL);
    struct flo_scope *scope = flo_scope_begin(wf, NULL);
    struct flo_future *two = flo_spawn(wf, "two", hears, NULL);
    int rc = flo_sleep(wf, 1000);
    if (rc)
        return rc;
    flo_scope_cancel(wf, scope, "enough");
    json_t *why = NULL, *request = NULL;
    rc = flo_await(wf, two, &why);
    flo_scope_end(wf, scope);
    if (rc == 0)
        rc = flo_await(wf, one, &request);
    *out_result = json_pack("[o,o]", why, request);
    return rc;
}

/* Another coroutine comes too late for a scope, again and again. */
struct ended {
    struct flo_scope *scopes[3];
    struct flo_future *work;
};

static int comes_late(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    struct ended *ended = arg;
    json_t *seen = json_array();
    for (size_t i = 0; i < 3; i++) {
        struct flo_scope *scope = ended->scopes[i];
        bool before = flo_scope_cancelled(wf, scope);
        int rc = flo_sleep(wf, 1000);
        if (rc)
            return rc;
        flo_scope_cancel(wf, scope, "too late");
        json_array_append_new(seen, json_pack("[b,b,s,i]", before, flo_scope_cancelled(wf, scope),
                                              flo_scope_cancel_reason(wf, scope),
                                              flo_scope_end(wf, scope)));
        flo_scope_release(wf, scope);
    }
    *out_result = seen;
    return 0;
}

/* The first ends as it began, the second was cancelled with the one around it, and work that was
 * started in the third goes on. */
static int ended_scopes(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct ended *ended = flo_workflow_alloc(wf, sizeof *ended);
    (void)input;
    ended->scopes[0] = flo_scope_begin(wf, NULL);
    flo_scope_release(wf, ended->scopes[0]); /* open: nothing */
    flo_scope_end(wf, ended->scopes[0]);
    flo_cancel_shield(wf, true);
    struct flo_scope *around = flo_scope_begin(wf, NULL);
    ended->scopes[1] = flo_scope_begin(wf, NULL);
    flo_scope_cancel(wf, around, "enough");
    flo_scope_end(wf, around);
    flo_scope_release(wf, around);
    flo_cancel_shield(wf, false);
    ended->scopes[2] = flo_scope_begin(wf, NULL);
    ended->work = flo_activity_start(wf, "work", NULL, &options);
    flo_scope_end(wf, ended->scopes[2]);
    int rc = flo_await(wf, flo_spawn(wf, "late", comes_late, ended), out_result);
    return rc ? rc : flo_await(wf, ended->work, NULL);
}

static const struct flo_workflow_entry workflows[] = {
    {"Timeout", timeout}, {"Nested", nested},      {"Outlives", outlives},
    {"Cleanup", cleanup}, {"Late", late},          {"Shields", shields},
    {"Hear", hear_both},  {"Ended", ended_scopes}, {NULL, NULL}};

static int setup(void **state)
{
    return story_setup(state, workflows);
}

#define SCHEDULE(id, type) "ScheduleActivity id=" id " type=" type " queue=queue stc=30000"

static void test_scope_is_cancelled_when_its_time_is_over(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Timeout input=1; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=1000\n" SCHEDULE("1", "work") " input=1");
    story_tell(s, "WFTCompleted; TimerStarted id=1; ActivityScheduled id=1 type=work");
    story_tell(s, "TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "RequestCancelActivity scheduled=6\nStartTimer id=2 ms=5");
    story_tell(s, "WFTCompleted; ActivityCancelRequested scheduled=6; TimerStarted id=2");
    story_tell(s, "TimerFired id=2; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[-8,true,false,-7,false]");
    story_expect_replayed(s, "Complete result=[-8,true,false,-7,false]");
}

/* Its timer goes with it. */
static void test_scope_that_ends_in_time_cancels_its_timer(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Timeout input=1; WFTScheduled; WFTStarted");
    story_answer(s);
    story_tell(s, "WFTCompleted; TimerStarted id=1; ActivityScheduled id=1 type=work");
    story_tell(s, "ActivityCompleted scheduled=6 result=2; WFTScheduled; WFTStarted");
    story_expect(s, "CancelTimer id=1\nStartTimer id=2 ms=5");
    story_tell(s, "WFTCompleted; TimerCanceled id=1; TimerStarted id=2; TimerFired id=2");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[0,false,false,0,false]");
    story_expect_replayed(s, "Complete result=[0,false,false,0,false]");
}

/* A cancel request reaches the activity, and the scope's timer is not left behind. */
static void test_cancel_request_reaches_a_scope(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Timeout input=1; WFTScheduled; WFTStarted");
    story_answer(s);
    story_tell(s, "WFTCompleted; TimerStarted id=1; ActivityScheduled id=1 type=work");
    story_tell(s, "CancelRequested; WFTScheduled; WFTStarted");
    story_expect(s, "RequestCancelActivity scheduled=6\nCancelTimer id=1\nCancel");
    story_expect_replayed(s, "RequestCancelActivity scheduled=6\nCancelTimer id=1\nCancel");
}

static void test_scopes_nest_and_shield(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Nested; WFTScheduled; WFTStarted");
    story_expect(s, SCHEDULE("1", "kept") "\n" SCHEDULE("2", "gone") "\n" SCHEDULE(
                        "3", "gone2") "\n" SCHEDULE("4", "safe"));
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=kept");
    story_tell(s, "ActivityScheduled id=2 type=gone; ActivityScheduled id=3 type=gone2");
    story_tell(s, "ActivityScheduled id=4 type=safe; Signaled name=cancel");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "RequestCancelActivity scheduled=6\nRequestCancelActivity scheduled=7");
    story_tell(s, "WFTCompleted; ActivityCancelRequested scheduled=6");
    story_tell(s, "ActivityCancelRequested scheduled=7; ActivityCompleted scheduled=8 result=1");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "");
    story_tell(s, "WFTCompleted; ActivityCompleted scheduled=5 result=1; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[0,'told so',-8,-8,-8,0]");
    story_expect_replayed(s, "Complete result=[0,'told so',-8,-8,-8,0]");
}

static void test_coroutine_belongs_to_the_scope_of_its_start(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Outlives; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=10\nStartTimer id=2 ms=60000");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerStarted id=2; TimerFired id=1");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "CancelTimer id=2\nComplete result=[-8,0,'']");
    story_expect_replayed(s, "CancelTimer id=2\nComplete result=[-8,0,'']");
}

static void test_shielded_scope_has_its_own_time(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Cleanup input=1; WFTScheduled; WFTStarted");
    story_expect(s, SCHEDULE("1", "work") " input=1");
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=work; CancelRequested reason=stop");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "RequestCancelActivity scheduled=5\nStartTimer id=1 ms=5000\n" SCHEDULE(
                        "2", "clean") " input='stop'");
    story_tell(s, "WFTCompleted; ActivityCancelRequested scheduled=5; TimerStarted id=1");
    story_tell(s, "ActivityScheduled id=2 type=clean; TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "RequestCancelActivity scheduled=12\nCancel");
    assert_string_equal(s->log, "not cleaned: -8");
}

static void test_scope_in_a_cancelled_one_begins_cancelled(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Late; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[-8,-8,'before',-24,false]");
}

static void test_shields_nest(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Shields; CancelRequested; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=1000");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[0,-8]");
    story_expect_replayed(s, "Complete result=[0,-8]");
}

static void test_coroutines_hear_the_reason(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Hear; WFTScheduled; WFTStarted");
    story_answer(s);
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerStarted id=2; TimerStarted id=3");
    story_tell(s, "TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "CancelTimer id=3");
    story_tell(s, "WFTCompleted; TimerCanceled id=3; CancelRequested reason=stop");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "CancelTimer id=2\nComplete result=['enough','stop']");
    story_expect_replayed(s, "CancelTimer id=2\nComplete result=['enough','stop']");
}

/* Whoever still has a scope that has ended may ask and cancel: nothing comes of it. */
static void test_scope_that_has_ended_may_be_asked(void **state)
{
    static const char expected[] =
        "Complete result=[[false,false,'',-24],[true,true,'enough',-24],[false,false,'',-24]]";
    struct story *s = *state;
    story_tell(s, "Started type=Ended; WFTScheduled; WFTStarted");
    story_expect(s, SCHEDULE("1", "work") "\nStartTimer id=1 ms=1000");
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=work; TimerStarted id=1");
    story_tell(s, "TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=2 ms=1000");
    story_tell(s, "WFTCompleted; TimerStarted id=2; TimerFired id=2; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=3 ms=1000");
    story_tell(s, "WFTCompleted; TimerStarted id=3; TimerFired id=3; WFTScheduled; WFTStarted");
    story_expect(s, "");
    story_tell(s, "WFTCompleted; ActivityCompleted scheduled=5 result=1; WFTScheduled; WFTStarted");
    story_expect(s, expected);
    story_expect_replayed(s, expected);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown_dropping)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_scope_is_cancelled_when_its_time_is_over),
        T(test_scope_that_ends_in_time_cancels_its_timer),
        T(test_cancel_request_reaches_a_scope),
        T(test_scopes_nest_and_shield),
        T(test_coroutine_belongs_to_the_scope_of_its_start),
        T(test_shielded_scope_has_its_own_time),
        T(test_scope_in_a_cancelled_one_begins_cancelled),
        T(test_shields_nest),
        T(test_coroutines_hear_the_reason),
        T(test_scope_that_has_ended_may_be_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
