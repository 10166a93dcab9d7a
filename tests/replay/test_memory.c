/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_memory.c - eviction wherever the code stands, and every allocation failing once. What
 * is still held at the end fails story_end (run heaps) or LeakSanitizer (everything else).
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "support/cmocka_env.h"
#include "support/story.h"
#include "workflow/heap.h"

static const struct flo_activity_options options = {.start_to_close_ms = 30000};

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

/* Waits in the way that input names, with values of each sort alive on its stack. */
static int waits(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_t *held = json_pack("{s:[i,i,s]}", "held", 1, 2, "a text on the heap of the run");
    const char *how = json_string_value(input);
    struct flo_future *both[] = {flo_timer_start(wf, 1000),
                                 flo_activity_start(wf, "work", held, &options)};
    size_t first;
    flo_workflow_alloc(wf, 100000);
    int rc = flo_activity(wf, "fails", held, &options, NULL); /* its failure stays on wf */
    if (strcmp(how, "activity") == 0)
        rc = flo_await(wf, both[1], out_result);
    else if (strcmp(how, "timer") == 0)
        rc = flo_sleep(wf, 1000);
    else if (strcmp(how, "any") == 0)
        rc = flo_await_any(wf, both, 2, &first);
    else if (strcmp(how, "signal") == 0)
        rc = flo_signal_await(wf, "go", 1000, out_result);
    else if (strcmp(how, "condition") == 0)
        rc = flo_await_condition(wf, never, NULL, -1);
    else if (strcmp(how, "group") == 0) {
        struct flo_group *group = flo_group_new(wf);
        for (int i = 0; i < 20; i++)
            flo_group_add(group, flo_activity_start(wf, "part", held, &options));
        rc = flo_group_await_all(group, out_result);
    }
    json_decref(held);
    return rc;
}

static int busy(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_t *result, *list = json_array();
    struct flo_group *group = flo_group_new(wf);
    for (int i = 0; i < 3; i++)
        flo_group_add(group, flo_activity_start(wf, "part", input, &options));
    int rc = flo_group_await_all(group, &result);
    if (rc)
        return rc;
    json_array_append_new(list, result);
    json_t *signal;
    rc = flo_signal_await(wf, "go", 5000, &signal);
    if (rc)
        return rc;
    json_array_append_new(list, signal);
    if (flo_activity(wf, "fails", list, &options, NULL) == FLO_EFAILED)
        json_array_append_new(list, json_string(flo_failure_message(wf)));
    *out_result = list;
    return 0;
}

/* Looks at no code at all, and would go round for ever were it not stopped. */
static int careless(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_group *group = flo_group_new(wf);
    flo_group_add(group, flo_activity_start(wf, "part", input, &options));
    while (flo_group_await_all(group, NULL))
        ;
    while (flo_sleep(wf, 1))
        ;
    while (flo_signal_await(wf, "go", 1, out_result))
        ;
    return 0;
}

/* Issues one command of every kind, with every option. */
static int full(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static const char *const fatal[] = {"Fatal", "Hopeless", NULL};
    const struct flo_retry_policy retry = {.initial_interval_ms = 100,
                                           .backoff_coefficient = 1.5,
                                           .maximum_interval_ms = 1000,
                                           .maximum_attempts = 4,
                                           .non_retryable_types = fatal};
    const struct flo_activity_options all = {.task_queue = "elsewhere",
                                             .activity_id = "mine",
                                             .schedule_to_close_ms = 9000,
                                             .schedule_to_start_ms = 8000,
                                             .start_to_close_ms = 7000,
                                             .heartbeat_ms = 600,
                                             .retry = &retry,
                                             .summary = "all of it"};
    struct flo_future *timer = flo_timer_start(wf, 5000);
    struct flo_future *work = flo_activity_start(wf, "work", input, &all);
    int rc = flo_signal_await(wf, "go", -1, NULL);
    if (rc)
        return rc;
    flo_future_cancel(wf, timer);
    flo_future_cancel(wf, work);
    (void)out_result;
    return flo_workflow_fail(wf, "Done", true, input, "that was %s", "all");
}

/* Thousands of values made and dropped: the heap finds their memory again. */
static int churns(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)wf, (void)input;
    for (int i = 0; i < 20000; i++) {
        json_t *value = json_pack("{s:i,s:[i,i,i],s:s}", "number", i, "list", 1, 2, 3, "text",
                                  "some text that is a little longer than the others");
        char *text = json_dumps(value, 0);
        json_t *again = json_loads(text, 0, NULL);
        flo_workflow_free(wf, text);
        json_decref(value);
        json_decref(again);
    }
    *out_result = json_string("done");
    return flo_sleep(wf, 1);
}

struct crowd {
    struct flo_channel *orders;
    struct flo_mutex *mutex;
    struct flo_semaphore *semaphore;
    struct flo_wait_group *group;
    json_t *done;
};

static int packs(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    struct crowd *crowd = arg;
    json_t *one, *result;
    int rc, count = 0;
    while ((rc = flo_channel_receive(wf, crowd->orders, &one)) == 0) {
        rc = flo_semaphore_acquire(wf, crowd->semaphore, 1);
        if (rc == 0)
            rc = flo_activity(wf, "pack", one, &options, &result);
        if (rc == 0)
            rc = flo_mutex_lock(wf, crowd->mutex);
        if (rc)
            return rc;
        json_array_append_new(crowd->done, result);
        json_decref(one);
        count++;
        if ((rc = flo_mutex_unlock(wf, crowd->mutex)) != 0 ||
            (rc = flo_semaphore_release(wf, crowd->semaphore, 1)) != 0)
            return rc;
    }
    *out_result = json_integer(count);
    return rc == FLO_ECLOSED ? flo_wait_group_done(wf, crowd->group) : rc;
}

static int lost(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    (void)arg, (void)out_result;
    return flo_workflow_fail(wf, "Lost", true, NULL, "nobody looks");
}

/* Everything that coroutines can meet at, in a scope with a timeout. */
static int crowd(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_scope_options minute = {.timeout_ms = 60000};
    struct crowd crowd = {flo_channel_new(wf, 1), flo_mutex_new(wf), flo_semaphore_new(wf, 1),
                          flo_wait_group_new(wf), json_array()};
    struct flo_scope *scope = flo_scope_begin(wf, &minute);
    struct flo_group *group = flo_group_new(wf);
    size_t index;
    json_t *order;
    (void)input;
    flo_spawn(wf, "lost", lost, NULL);
    flo_wait_group_add(wf, crowd.group, 2);
    for (int i = 0; i < 2; i++)
        flo_group_add(group, flo_spawn(wf, "packer", packs, &crowd));
    const struct flo_case next = {.kind = FLO_CASE_SIGNAL, .signal = "go", .out_value = &order};
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++) {
        rc = flo_select(wf, &next, 1, 5000, &index);
        if (rc == 0)
            rc = flo_channel_send(wf, crowd.orders, order);
    }
    flo_channel_close(wf, crowd.orders);
    if (rc == 0)
        rc = flo_wait_group_wait(wf, crowd.group);
    json_t *counts = NULL;
    if (rc == 0)
        rc = flo_group_await_all(group, &counts);
    int ended = flo_scope_end(wf, scope);
    *out_result = json_pack("[o,o*,i]", crowd.done, counts, ended);
    return rc;
}

/* Everything that a message can make happen. */
static int on_signal(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    (void)wf;
    json_array_append(ctx, m->args);
    return 0;
}

static int validate(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    (void)ctx;
    return json_is_false(m->input) ? flo_workflow_fail(wf, "No", true, m->args, "not that") : 0;
}

static int update(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                  json_t **out_result)
{
    json_array_append(ctx, m->input);
    flo_workflow_set_details(wf, "updated");
    if (json_is_true(m->input))
        return flo_workflow_fail(wf, "Bad", true, NULL, "it is true");
    *out_result = json_pack("{s:O}", "is", m->input);
    return 0;
}

static int query(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                 json_t **out_result)
{
    if (json_array_size(m->args) > 1)
        return flo_sleep(wf, 5);
    *out_result = json_pack("{s:O, s:O}", "held", (json_t *)ctx, "asked", m->args);
    return 0;
}

static int steered(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_handler_options described = {.description = "all the others"};
    json_t *held = json_array();
    (void)input;
    int rc = flo_signal_await(wf, "go", -1, NULL);
    flo_signal_handle(wf, NULL, on_signal, held, &described);
    flo_signal_handle(wf, "a", on_signal, held, NULL);
    flo_signal_handle(wf, "a", NULL, NULL, NULL);
    flo_update_handle(wf, "set", validate, update, held, NULL);
    flo_query_handle(wf, "get", query, held, &described);
    if (rc == 0)
        rc = flo_sleep(wf, 1000);
    *out_result = held;
    return rc;
}

static json_t *dice(void *ctx)
{
    (void)ctx;
    return json_pack("[i]", 4);
}

/* Everything that reaches beyond the run: others, its own past and future, those who look for it.
 */
static int reaches(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static const char *const colours[] = {"red", NULL};
    const struct flo_child_options kid = {.workflow_id = "kid",
                                          .memo = input,
                                          .headers = input,
                                          .attributes = FLO_ATTRIBUTES(FLO_BOOL("B", true)),
                                          .summary = "one",
                                          .details = "two"};
    json_t *value = NULL, *other = NULL;
    (void)out_result;
    bool patched = flo_patched(wf, "p");
    struct flo_child *child = flo_child_start(wf, "Child", input, &kid);
    struct flo_future *signal = flo_signal_external_start(wf, "other", "r", "add", input);
    struct flo_future *stop = flo_cancel_external_start(wf, "other", NULL, "enough");
    int rc = flo_search_attributes_upsert(
        wf, FLO_ATTRIBUTES(FLO_KEYWORDS("L", colours), FLO_TEXT("T", "t"), FLO_UNSET("K")));
    if (rc == 0)
        rc = flo_memo_upsert(wf, input);
    if (rc == 0)
        rc = flo_side_effect(wf, dice, NULL, &value);
    if (rc == 0)
        rc = flo_mutable_side_effect(wf, "m", dice, NULL, NULL, &other);
    if (rc == 0)
        rc = flo_await(wf, flo_child_started(child), NULL);
    if (rc == 0)
        rc = flo_await(wf, signal, NULL);
    if (rc)
        return rc;
    if (flo_await(wf, stop, NULL) != FLO_ENOENT ||
        flo_await(wf, flo_child_result(child), NULL) != FLO_EFAILED)
        return FLO_EIO;
    const struct flo_failure failure = {.type = "Why", .message = "so"};
    flo_workflow_raise(wf, &failure, true);
    return patched ? flo_continue_as_new(wf, value, NULL) : FLO_EIO;
}

static const struct flo_workflow_entry workflows[] = {
    {"Reaches", reaches}, {"Crowd", crowd},     {"Waits", waits},
    {"Busy", busy},       {"Churns", churns},   {"Careless", careless},
    {"Full", full},       {"Steered", steered}, {NULL, NULL}};

static int setup(void **state)
{
    return story_setup(state, workflows);
}

/* story_end proves that nothing is left. */
static void test_eviction_in_each_wait_leaves_nothing(void **state)
{
    static const char *const ways[] = {"activity", "timer", "any", "signal", "condition", "group"};
    struct story *s = *state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char line[100];
        s->event_count = s->delivered = 0;
        s->previous_started = 0;
        snprintf(line, sizeof line, "Started type=Waits input='%s'; WFTScheduled; WFTStarted",
                 ways[i]);
        story_tell(s, line);
        story_answer(s);
        assert_int_equal(s->answer.command_count, 3);
        story_tell(s, "WFTCompleted; TimerStarted id=1; ActivityScheduled id=1 type=work");
        story_tell(s, "ActivityScheduled id=2 type=fails");
        story_tell(s, "ActivityFailed scheduled=7 message=no type=X; WFTScheduled; WFTStarted");
        story_answer(s);
        assert_int_equal(s->answer.outcome, FLO_ACTIVATION_COMPLETE);
        assert_false(s->answer.closes);
        assert_true(flo_run_bytes(s->run) > 100000);
        story_evict(s);
        assert_int_equal(flo_heap_total_bytes(), 0);
    }
}

/* A run that was made and never activated. */
static void test_new_run_is_freed(void **state)
{
    struct story *s = *state;
    struct flo_run *run = story_run_new(s);
    assert_string_equal(flo_run_id(run), "run-1");
    flo_run_destroy(&run);
    assert_null(run);
    flo_run_destroy(&run);
}

static void test_dropped_values_are_reused(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Churns; WFTScheduled; WFTStarted");
    story_expect(s, "StartTimer id=1 ms=1");
    assert_true(flo_run_bytes(s->run) < 64 * 1024);
}

/* The whole of a busy history in one activation. */
static void tell_busy(struct story *s)
{
    story_tell(s, "Started type=Busy input={'a':[1,2,3]}; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "ActivityScheduled id=1 type=part; ActivityScheduled id=2 type=part");
    story_tell(s, "ActivityScheduled id=3 type=part; ActivityCompleted scheduled=5 result=1");
    story_tell(s, "ActivityCompleted scheduled=6 result=2; ActivityCompleted scheduled=7 result=3");
    story_tell(s, "WFTScheduled; WFTStarted; WFTCompleted; TimerStarted id=1");
    story_tell(s, "Signaled name=go input='x'; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "TimerCanceled id=1; ActivityScheduled id=4 type=fails");
    story_tell(s, "ActivityFailed scheduled=20 message=no type=X; WFTScheduled; WFTStarted");
}

#define BUSY_RESULT                                                                                \
    "Complete result=[[1,2,3],'x','Activity task failed (type Activity): no (type X)']"

/*
 * Fail allocation n of making and activating a run, and (for_ever) all after it: either memory is
 * out, or the answer is right. Returns true when there are no more than n allocations (for_ever).
 */
static bool activate_failing(struct story *s, const char *expected, int64_t n, bool for_ever)
{
    FloApi__PollWorkflowTaskQueueResponse *task = story_task(s, 1, s->event_count);
    struct flo_arena arena;
    struct flo_activation answer = {0};
    struct flo_run *run = NULL;
    flo_arena_init(&arena, 0);
    flo_alloc_fail_after(n, for_ever);
    int rc = flo_run_new(&s->env, story_lookup, s, "workflow-1", "run-1", &run);
    if (rc == 0)
        rc = flo_run_activate(run, task, &arena, &answer);
    bool done = for_ever && !flo_alloc_seam_fails();
    flo_alloc_fail_after(-1, 0);
    if (rc != FLO_ENOMEM) {
        assert_int_equal(rc, 0);
        assert_string_equal(story_words(s, rc, &answer), expected);
    }
    flo_run_destroy(&run);
    flo_arena_fini(&arena);
    assert_int_equal(flo_heap_total_bytes(), 0);
    return done;
}

static void fail_each(struct story *s, const char *expected)
{
    story_expect_replayed(s, expected);
    int64_t count = 0;
    while (!activate_failing(s, expected, count, true))
        count++;
    assert_true(count > 20);
    for (int64_t n = 0; n < count; n++)
        activate_failing(s, expected, n, false);
}

static void test_each_allocation_fails_once(void **state)
{
    tell_busy(*state);
    fail_each(*state, BUSY_RESULT);
}

static void test_each_allocation_of_many_coroutines_fails_once(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Crowd; Signaled name=go input=1; WFTScheduled; WFTStarted");
    fail_each(s, "StartTimer id=1 ms=60000\n"
                 "StartTimer id=2 ms=5000\n"
                 "ScheduleActivity id=1 type=pack queue=queue stc=30000 input=1");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerStarted id=2");
    story_tell(s, "ActivityScheduled id=1 type=pack; Signaled name=go input=2");
    story_tell(s, "Signaled name=go input=3; ActivityCompleted scheduled=8 result=10");
    story_tell(s, "WFTScheduled; WFTStarted; WFTCompleted; TimerCanceled id=2");
    story_tell(s, "ActivityScheduled id=2 type=pack; ActivityCompleted scheduled=16 result=20");
    story_tell(s, "WFTScheduled; WFTStarted; WFTCompleted; ActivityScheduled id=3 type=pack");
    story_tell(s, "ActivityCompleted scheduled=21 result=30; WFTScheduled; WFTStarted");
    fail_each(s, "CancelTimer id=1\nComplete result=[[10,20,30],[2,1],0]");
}

static void test_each_allocation_for_entities_fails_once(void **state)
{
    struct story *s = *state;
    story_tell(s,
               "Started type=Reaches input={'a':1} memo=note memo_value='old' attribute=K "
               "attribute_type=KeywordList attribute_value=['k'] parent=mother cron=@daily "
               "attempts=3 header=h header_value=1 last=[1] failed=no continued=run-0 priority=1 "
               "fairness=gold");
    story_tell(s, "WFTScheduled; WFTStarted");
    fail_each(s, "Marker core_patch patch-data={'id':'p','deprecated':false}\n"
                 "Upsert TemporalChangeVersion=['p']:KeywordList\n"
                 "StartChild id=kid type=Child queue=queue input={'a':1} a=1 a=1 B=true:Bool "
                 "summary='one' details='two'\n"
                 "SignalExternal id=other run=r name=add input={'a':1}\n"
                 "CancelExternal id=other reason='enough'\n"
                 "Upsert L=['red']:KeywordList T='t':Text K=null\n"
                 "ModifyMemo a=1\n"
                 "Marker SideEffect side-effect-id=1 data=[4]\n"
                 "Marker MutableSideEffect side-effect-id='m' data=[4] "
                 "mutable-side-effect-call-counter=0");
    story_tell(s, "WFTCompleted; Patch id=p; Upserted; ChildInitiated id=kid type=Child");
    story_tell(s, "SignalExternalInitiated id=other name=add; CancelExternalInitiated id=other");
    story_tell(s, "Upserted name=L; MemoModified; SideEffect number=1 value=[4]");
    story_tell(s, "SideEffect id=m number=0 value=[4]; ChildStarted initiated=7");
    story_tell(s, "ExternalSignaled initiated=8; CancelExternalFailed initiated=9 cause=1");
    story_tell(s, "ChildFailed initiated=7 type=X message=no; WFTScheduled; WFTStarted");
    fail_each(s, "ContinueAsNew type=Reaches queue=queue input=[4] attempts=3 note='old' a=1 "
                 "L=['red']:KeywordList T='t':Text");
}

static int packs_in(struct flo_workflow *wf, struct flo_inbound_call *call, json_t **out_result)
{
    json_t *packed = json_pack("[O]", call->input);
    call->input = packed;
    int rc = packed ? flo_inbound_proceed(wf, call, out_result) : FLO_ENOMEM;
    json_decref(packed);
    return rc;
}

static int packs_out(struct flo_workflow *wf, struct flo_outbound_call *call)
{
    (void)wf;
    int rc = flo_outbound_set_input(call, json_pack("[O]", call->input));
    return rc ? rc : flo_outbound_set_header(call, "by", json_string("us"));
}

static void test_each_allocation_for_interceptors_fails_once(void **state)
{
    static const struct flo_workflow_interceptor packs = {packs_in, packs_out};
    static const struct flo_workflow_interceptor *const row[] = {&packs, NULL};
    static const char *const keys[] = {"tenant", NULL};
    struct story *s = *state;
    s->env.interceptors = row;
    s->env.propagate = keys;
    story_tell(s, "Started type=Busy input=1 header=tenant header_value='acme'");
    story_tell(s, "WFTScheduled; WFTStarted");
    fail_each(s, "ScheduleActivity id=1 type=part queue=queue stc=30000 input=[[1]] "
                 "tenant='acme' by='us'\n"
                 "ScheduleActivity id=2 type=part queue=queue stc=30000 input=[[1]] "
                 "tenant='acme' by='us'\n"
                 "ScheduleActivity id=3 type=part queue=queue stc=30000 input=[[1]] "
                 "tenant='acme' by='us'");
}

static void test_code_that_ignores_missing_memory_is_stopped(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Careless input=1; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "ActivityScheduled id=1 type=part; ActivityCompleted scheduled=5 result=1");
    story_tell(s, "WFTScheduled; WFTStarted; WFTCompleted; TimerStarted id=1; TimerFired id=1");
    story_tell(s, "Signaled name=go input='x'; WFTScheduled; WFTStarted");
    fail_each(s, "Complete result='x'");
}

#define FULL                                                                                       \
    "StartTimer id=1 ms=5000\n"                                                                    \
    "ScheduleActivity id=mine type=work queue=elsewhere s2c=9000 s2s=8000 stc=7000 hb=600 "        \
    "attempts=4 input=[1]"

/* Live: the messages that are sent are made, and any part of them may lack its memory. */
static void test_each_allocation_of_a_message_fails_once(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Full input=[1]; WFTScheduled; WFTStarted");
    fail_each(s, FULL);
    story_tell(s, "WFTCompleted; TimerStarted id=1; ActivityScheduled id=mine type=work");
    story_tell(s, "Signaled name=go; WFTScheduled; WFTStarted");
    fail_each(s, "CancelTimer id=1\nRequestCancelActivity scheduled=6\n"
                 "Fail that was all (type Done)");
    s->event_count = 6;
    story_tell(s, "CancelRequested reason=enough; WFTScheduled; WFTStarted");
    fail_each(s, "CancelTimer id=1\nRequestCancelActivity scheduled=6\nCancel");
}

/* Signals that were kept, updates from history and from the task, queries of each kind. */
static void test_each_allocation_for_messages_fails_once(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Steered; Signaled name=b input=1; Signaled name=a input={'x':[]};"
                  "Signaled name=go; WFTScheduled; WFTStarted; WFTCompleted; TimerStarted id=1;"
                  "WFTScheduled; WFTStarted; WFTCompleted;"
                  "UpdateAccepted id=u1 name=set input='old' behind=9; UpdateCompleted id=u1;"
                  "UpdateAdmitted id=u2 name=set input='reset'; Signaled name=b; WFTScheduled;"
                  "WFTStarted; WFTCompleted; UpdateAccepted id=u2 behind=16; UpdateCompleted id=u2;"
                  "WFTScheduled; WFTStarted");
    story_update(s, "id=u3 name=set input=2 behind=21");
    story_update(s, "id=u4 name=set input=false behind=21");
    story_update(s, "id=u5 name=set input=true behind=21");
    story_update(s, "id=u6 name=other behind=21");
    s->query = "get";
    s->query_args = "['how']";
    s->keep = true;
    fail_each(s, "ProtocolMessage u3/accept\nProtocolMessage u3/complete\n"
                 "ProtocolMessage u5/accept\nProtocolMessage u5/complete\n"
                 "message u3/accept to u3/request behind 21\nmessage u3/complete result={'is':2}\n"
                 "message u4/reject to u4/request behind 21: not that (type No)\n"
                 "message u5/accept to u5/request behind 21\n"
                 "message u5/complete it is true (type Bad)\n"
                 "message u6/reject to u6/request behind 21: unknown update other. "
                 "KnownUpdates=[set] (type UnknownUpdate)\n"
                 "query q1 result={'held':[[1],[{'x':[]}],'old',[],'reset',2,true],"
                 "'asked':['how']}");
    s->query_args = "['how',2]";
    s->messages = NULL;
    s->message_count = 0;
    assert_non_null(strstr(story_replayed(s), "query q1 failed: the handler of query \"get\" may "
                                              "only look"));
    fail_each(s, story_replayed(s));
    s->query_args = NULL;
    s->query = "__temporal_workflow_metadata";
    fail_each(s, story_replayed(s));
    s->query = "__enhanced_stack_trace";
    fail_each(s, story_replayed(s));
    s->query = "other";
    fail_each(s, story_replayed(s));
    s->keep = false;
}

/* What the options say is in the command. */
static void test_options_are_in_the_command(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Full input=[1]; WFTScheduled; WFTStarted");
    story_expect(s, FULL);
    const FloApi__Command *command = s->answer.commands[1];
    const FloApi__RetryPolicy *policy =
        command->schedule_activity_task_command_attributes->retry_policy;
    assert_int_equal(policy->initial_interval->nanos, 100000000);
    assert_true(policy->backoff_coefficient == 1.5);
    assert_int_equal(policy->maximum_interval->seconds, 1);
    assert_int_equal(policy->n_non_retryable_error_types, 2);
    assert_string_equal(policy->non_retryable_error_types[1], "Hopeless");
    assert_memory_equal(command->user_metadata->summary->data.data, "\"all of it\"", 11);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_eviction_in_each_wait_leaves_nothing),
        T(test_new_run_is_freed),
        T(test_dropped_values_are_reused),
        T(test_each_allocation_fails_once),
        T(test_each_allocation_of_a_message_fails_once),
        T(test_each_allocation_of_many_coroutines_fails_once),
        T(test_each_allocation_for_messages_fails_once),
        T(test_each_allocation_for_entities_fails_once),
        T(test_each_allocation_for_interceptors_fails_once),
        T(test_options_are_in_the_command),
        T(test_code_that_ignores_missing_memory_is_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
