/* SPDX-License-Identifier: Apache-2.0 */
/* test_interceptors.c - the code of a worker around its workflows: what it sees, what it may change
 * and refuse; headers that travel; metrics of workflow code. */
#include <stdio.h>
#include <string.h>

#include "support/cmocka_env.h"
#include "support/story.h"

#define BEGIN(type) "Started type=" type " input='tea'; WFTScheduled; WFTStarted"
#define TASK "; WFTScheduled; WFTStarted"
#define both_expect(s, expected)                                                                   \
    do {                                                                                           \
        story_expect(s, expected);                                                                 \
        story_expect_replayed(s, expected);                                                        \
    } while (0)

static const struct flo_activity_options quick = {.start_to_close_ms = 1000};
static const struct flo_local_activity_options quick_local = {.start_to_close_ms = 1000};

/* ---- the workflows ---- */

static int one(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return flo_activity(wf, "work", input, &quick, out_result);
}

/* Starts each kind of call, and says how they ended. */
static int all(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_t *headers = json_pack("{s:s}", "own", "option");
    struct flo_activity_options options = quick;
    struct flo_child_options child_options = {.workflow_id = "child-1", .headers = headers};
    options.headers = headers;
    struct flo_child *child = flo_child_start(wf, "Kid", input, &child_options);
    struct flo_future *futures[] = {
        flo_activity_start(wf, "work", input, &options),
        flo_child_started(child),
        flo_child_result(child),
        flo_signal_external_start(wf, "other", NULL, "add", input),
        flo_cancel_external_start(wf, "other", NULL, "enough"),
        flo_timer_start(wf, 5000),
    };
    json_decref(headers);
    *out_result = json_array();
    for (size_t i = 0; i < sizeof futures / sizeof *futures; i++) {
        int rc = flo_await(wf, futures[i], NULL);
        if (rc && rc != FLO_EFAILED)
            return rc;
        json_array_append_new(*out_result, json_string(flo_failure_message(wf)));
    }
    return 0;
}

/* A local activity keeps the task open. */
static int near(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return flo_local_activity(wf, "quick", input, &quick_local, out_result);
}

static int continues(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)out_result;
    return flo_continue_as_new(wf, input, NULL);
}

/* A tenant of its own from here on. */
static int moves(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_t *headers = json_pack("{s:s}", "tenant", "only once");
    struct flo_activity_options options = quick;
    options.headers = headers;
    flo_activity_start(wf, "first", NULL, &quick);
    flo_activity_start(wf, "second", NULL, &options);
    assert_int_equal(flo_context_set(wf, "tenant", input), 0);
    assert_int_equal(flo_context_set(wf, "region", json_true()), 0);
    flo_activity_start(wf, "third", NULL, &quick);
    assert_true(json_equal(flo_context_get(wf, "tenant"), input));
    assert_null(flo_context_get(wf, "nothing"));
    assert_int_equal(flo_context_set(wf, "tenant", NULL), 0);
    assert_int_equal(flo_context_set(wf, "", input), FLO_EINVAL);
    assert_int_equal(flo_context_set(wf, "\xff", input), FLO_EINVAL);
    json_decref(headers);
    return flo_activity(wf, "fourth", NULL, &quick, out_result);
}

struct talk {
    json_t *said;
    bool done;
};

static int on_say(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    struct talk *talk = ctx;
    (void)wf;
    json_array_append(talk->said, m->input);
    return 0;
}

static int get_said(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                    json_t **out_result)
{
    (void)m;
    flo_workflow_counter(wf, "asked", 1, NULL);
    *out_result = json_deep_copy(((struct talk *)ctx)->said);
    return 0;
}

static int check_set(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    (void)wf, (void)ctx;
    return json_is_string(m->input) ? 0 : FLO_EINVAL;
}

static int do_set(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                  json_t **out_result)
{
    struct talk *talk = ctx;
    (void)wf;
    json_array_append(talk->said, m->input);
    talk->done = true;
    *out_result = json_string(m->id);
    return 0;
}

static bool is_done(void *ctx)
{
    return ((struct talk *)ctx)->done;
}

static int talks(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct talk *talk = flo_workflow_alloc(wf, sizeof *talk);
    (void)input;
    talk->said = json_array();
    flo_signal_handle(wf, "say", on_say, talk, NULL);
    flo_query_handle(wf, "said", get_said, talk, NULL);
    flo_update_handle(wf, "set", check_set, do_set, talk, NULL);
    int rc = flo_await_condition(wf, is_done, talk, -1);
    *out_result = json_deep_copy(talk->said);
    return rc;
}

static int counts(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    flo_workflow_counter(wf, "orders", 2, "kind", json_string_value(input), NULL);
    flo_workflow_counter(wf, "orders", -1, NULL);
    flo_workflow_counter(wf, NULL, 1, NULL);
    flo_workflow_counter(wf, "x", 1, "a", "1", "b", "2", "c", "3", "d", "4", "e", "5", NULL);
    int rc = flo_activity(wf, "work", NULL, &quick, out_result);
    flo_workflow_gauge(wf, "depth", -3, NULL);
    flo_workflow_histogram(wf, "size", 0.5, NULL);
    return rc;
}

static const struct flo_workflow_entry workflows[] = {
    {"One", one},     {"All", all},     {"Near", near},     {"Continues", continues},
    {"Moves", moves}, {"Talks", talks}, {"Counts", counts}, {NULL, NULL}};

/* ---- the interceptors ---- */

static char trail[600];

static void note(const char *text)
{
    size_t len = strlen(trail);
    snprintf(trail + len, sizeof trail - len, "%s%s", len ? " " : "", text);
}

static const char *const inbound_names[] = {"workflow", "signal", "query", "validator", "update"};

static int outer_in(struct flo_workflow *wf, struct flo_inbound_call *call, json_t **out_result)
{
    char text[80];
    snprintf(text, sizeof text, "%s:%s%s%s", inbound_names[call->kind], call->name,
             *call->id ? "/" : "", call->id);
    note(text);
    int rc = flo_inbound_proceed(wf, call, out_result);
    note(rc ? "failed" : "ended");
    return rc;
}

/* Shouts what comes in, and packs what goes back. */
static int inner_in(struct flo_workflow *wf, struct flo_inbound_call *call, json_t **out_result)
{
    json_t *result = NULL, *loud = json_pack("[O,s]", call->input, "!");
    call->input = loud;
    int rc = flo_inbound_proceed(wf, call, out_result ? &result : NULL);
    json_decref(loud);
    if (rc == 0 && result)
        *out_result = json_pack("{s:o}", "inner", result);
    return rc;
}

/* Only with a tenant, and no queries or updates of these names. */
static int refuse_in(struct flo_workflow *wf, struct flo_inbound_call *call, json_t **out_result)
{
    if (call->kind == FLO_INBOUND_WORKFLOW && !json_object_get(call->headers, "tenant"))
        return flo_workflow_fail(wf, "NoTenant", true, NULL, "%s needs a tenant", call->name);
    if (call->kind == FLO_INBOUND_QUERY || call->kind == FLO_INBOUND_VALIDATOR)
        return flo_workflow_fail(wf, "Closed", true, NULL, "no %s of %s", call->name,
                                 inbound_names[call->kind]);
    return flo_inbound_proceed(wf, call, out_result);
}

static int drops_result(struct flo_workflow *wf, struct flo_inbound_call *call, json_t **out_result)
{
    *out_result = json_string("mine");
    json_decref(*out_result);
    *out_result = NULL;
    return flo_inbound_proceed(wf, call, NULL);
}

static int add_out(struct flo_workflow *wf, struct flo_outbound_call *call)
{
    static const char *const kinds[] = {"activity", "local", "child", "signal",
                                        "cancel",   "next",  "timer"};
    char text[120];
    (void)wf;
    snprintf(text, sizeof text, "%s:%s@%s/%s", kinds[call->kind], call->name, call->task_queue,
             call->workflow_id);
    note(text);
    bool carries = call->kind != FLO_OUTBOUND_CANCEL && call->kind != FLO_OUTBOUND_TIMER;
    int rc = flo_outbound_set_header(call, "by", json_string(kinds[call->kind]));
    assert_int_equal(rc, carries ? 0 : FLO_EINVAL);
    assert_int_equal(flo_outbound_set_header(call, "\xff", json_true()), FLO_EINVAL);
    assert_int_equal(flo_outbound_set_header(call, "nothing", NULL), carries ? 0 : FLO_EINVAL);
    rc = flo_outbound_set_input(call, json_pack("[O?]", call->input));
    assert_int_equal(rc, carries ? 0 : FLO_EINVAL);
    assert_true(!carries || json_object_get(call->headers, "by"));
    return 0;
}

static int refuse_out(struct flo_workflow *wf, struct flo_outbound_call *call)
{
    return flo_workflow_fail(wf, "Closed", true, NULL, "no %d today", (int)call->kind);
}

static int bare_out(struct flo_workflow *wf, struct flo_outbound_call *call)
{
    (void)wf, (void)call;
    return FLO_ELIMIT;
}

static int odd_out(struct flo_workflow *wf, struct flo_outbound_call *call)
{
    (void)wf, (void)call;
    return 7;
}

static int busy_out(struct flo_workflow *wf, struct flo_outbound_call *call)
{
    flo_outbound_set_header(call, "by", json_true());
    return flo_sleep(wf, 1);
}

static const struct flo_workflow_interceptor outer = {.inbound = outer_in},
                                             inner = {.inbound = inner_in},
                                             refusing = {.inbound = refuse_in},
                                             dropping = {.inbound = drops_result},
                                             adding = {.outbound = add_out},
                                             closed = {.outbound = refuse_out},
                                             bare = {.outbound = bare_out},
                                             odd = {.outbound = odd_out},
                                             busy = {.outbound = busy_out};

static const struct flo_workflow_interceptor *row[4];

static void wrap(struct story *s, const struct flo_workflow_interceptor *first,
                 const struct flo_workflow_interceptor *second)
{
    row[0] = first;
    row[1] = second;
    row[2] = NULL;
    s->env.interceptors = row;
}

static const char *const travelling[] = {"tenant", "other", NULL};

static int setup(void **state)
{
    *trail = '\0';
    return story_setup(state, workflows);
}

/* ---- what comes in ---- */

/* The first is the outermost; the input and the result may be changed. */
static void test_inbound_around_the_function(void **state)
{
    struct story *s = *state;
    wrap(s, &outer, &inner);
    story_tell(s, BEGIN("One"));
    both_expect(s, "ScheduleActivity id=1 type=work queue=queue stc=1000 input=['tea','!']");
    assert_string_equal(trail, "workflow:One workflow:One");
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=work; ActivityStarted scheduled=5; "
                  "ActivityCompleted scheduled=5 result='hot'" TASK);
    both_expect(s, "Complete result={'inner':'hot'}");
    assert_string_equal(trail, "workflow:One workflow:One ended workflow:One ended");
}

static void test_inbound_refuses_the_workflow(void **state)
{
    struct story *s = *state;
    wrap(s, &outer, &refusing);
    story_tell(s, BEGIN("One"));
    both_expect(s, "Fail One needs a tenant (type NoTenant)");
    assert_string_equal(trail, "workflow:One failed workflow:One failed");
}

static void test_inbound_sees_the_headers(void **state)
{
    struct story *s = *state;
    wrap(s, &refusing, NULL);
    story_tell(s, "Started type=One header=tenant header_value='acme'; WFTScheduled; WFTStarted");
    both_expect(s, "ScheduleActivity id=1 type=work queue=queue stc=1000 input=null");
}

static void test_inbound_discards_a_result(void **state)
{
    struct story *s = *state;
    wrap(s, &dropping, NULL);
    story_tell(s, BEGIN("One"));
    story_answer(s);
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=work; ActivityStarted scheduled=5; "
                  "ActivityCompleted scheduled=5 result='hot'" TASK);
    both_expect(s, "Complete");
}

static void test_inbound_around_handlers(void **state)
{
    struct story *s = *state;
    wrap(s, &outer, &inner);
    story_tell(s, BEGIN("Talks"));
    both_expect(s, "");
    *trail = '\0';
    story_tell(s, "WFTCompleted; Signaled name=say input='hi'" TASK);
    s->query = "said";
    story_expect(s, "query q1 result={'inner':[['hi','!']]}");
    assert_string_equal(trail, "signal:say ended query:said ended");
    story_tell(s, "WFTCompleted");
    s->legacy_query = "said";
    *trail = '\0';
    story_expect(s, "query result={'inner':[['hi','!']]}");
    assert_string_equal(trail, "query:said ended");
}

/* inner makes the input an array: the validator, which gets that, refuses. */
static void test_inbound_around_updates(void **state)
{
    struct story *s = *state;
    wrap(s, &outer, &inner);
    story_tell(s, BEGIN("Talks"));
    story_answer(s);
    story_tell(s, "WFTCompleted" TASK);
    story_update(s, "id=u1 name=set input='x' behind=5");
    *trail = '\0';
    assert_non_null(strstr(story_answer(s), "FLO_EINVAL"));
    assert_string_equal(trail, "validator:set/u1 failed");
}

static void test_inbound_of_updates_proceeds(void **state)
{
    struct story *s = *state;
    wrap(s, &outer, NULL);
    story_tell(s, BEGIN("Talks"));
    story_answer(s);
    story_tell(s, "WFTCompleted" TASK);
    story_update(s, "id=u1 name=set input='x' behind=5");
    *trail = '\0';
    assert_non_null(strstr(story_answer(s), "Complete result=['x']"));
    assert_string_equal(trail, "validator:set/u1 ended update:set/u1 ended ended");
}

static void test_inbound_refuses_queries_and_updates(void **state)
{
    struct story *s = *state;
    wrap(s, &refusing, NULL);
    story_tell(s, "Started type=Talks header=tenant header_value='acme'" TASK);
    story_answer(s);
    story_tell(s, "WFTCompleted" TASK);
    story_update(s, "id=u1 name=set input='x' behind=5");
    s->query = "said";
    const char *answer = story_answer(s);
    assert_non_null(strstr(answer, "no set of validator"));
    assert_non_null(strstr(answer, "query q1 failed: no said of query"));
}

/* ---- what goes out ---- */

/* Each kind of call passes by, with what it says of itself; input and headers are replaced where
 * there are any. */
static void test_outbound_changes_calls(void **state)
{
    struct story *s = *state;
    wrap(s, &adding, NULL);
    story_tell(s, BEGIN("All"));
    both_expect(s, "StartChild id=child-1 type=Kid queue=queue input=['tea'] own='option' "
                   "by='child'\n"
                   "ScheduleActivity id=1 type=work queue=queue stc=1000 input=['tea'] "
                   "own='option' by='activity'\n"
                   "SignalExternal id=other name=add input=['tea'] by='signal'\n"
                   "CancelExternal id=other reason='enough'\n"
                   "StartTimer id=1 ms=5000");
    trail[strlen(trail) / 2] = '\0'; /* once for each of the two */
    assert_string_equal(trail, "child:Kid@queue/child-1 activity:work@queue/ signal:add@/other "
                               "cancel:@/other timer:@/");
}

static void test_outbound_changes_local_activities(void **state)
{
    struct story *s = *state;
    wrap(s, &adding, NULL);
    s->env.propagate = travelling;
    story_tell(s, "Started type=Near input='tea' header=tenant header_value='acme'" TASK);
    story_expect(s, "StartLocal seq=1 id=1 type=quick attempt=1 stc=1000 input=['tea'] "
                    "tenant='acme' by='local'\nopen");
    assert_string_equal(trail, "local:quick@/");
    flo_run_destroy(&s->run);
    s->env.propagate = NULL;
    wrap(s, &closed, NULL);
    story_expect_replayed(s, "Fail no 1 today (type Closed)");
}

static void test_outbound_changes_the_next_run(void **state)
{
    struct story *s = *state;
    wrap(s, &adding, NULL);
    story_tell(s, BEGIN("Continues"));
    both_expect(s, "ContinueAsNew type=Continues queue=queue input=['tea'] by='next'");
}

/* Nothing is sent; each future has the failure, which names the kind. */
static void test_outbound_refuses_calls(void **state)
{
    struct story *s = *state;
    wrap(s, &closed, &adding);
    story_tell(s, BEGIN("All"));
    both_expect(s, "Complete result=['no 0 today (type Closed)','no 2 today (type Closed)',"
                   "'no 2 today (type Closed)','no 3 today (type Closed)',"
                   "'no 4 today (type Closed)','no 6 today (type Closed)']");
    assert_string_equal(trail, "");
}

static void test_outbound_refuses_the_next_run(void **state)
{
    struct story *s = *state;
    wrap(s, &closed, NULL);
    story_tell(s, BEGIN("Continues"));
    both_expect(s, "Fail no 5 today (type Closed)");
}

/* A code without a failure gets one of its own, not an older one of the workflow's. */
static void test_outbound_refuses_by_a_code(void **state)
{
    struct story *s = *state;
    wrap(s, &bare, NULL);
    story_tell(s, BEGIN("One"));
    both_expect(s, "Fail a limit was exceeded (type FLO_ELIMIT)");
    flo_run_destroy(&s->run);
    wrap(s, &odd, NULL);
    story_expect_replayed(
        s, "Fail an interceptor returned a number that is no error code (type FLO_EINVAL)");
}

/* It only looks: else the calls that it makes would pass it again. */
static void test_outbound_that_starts_something_fails_the_task(void **state)
{
    struct story *s = *state;
    wrap(s, &busy, NULL);
    story_tell(s, BEGIN("One"));
    const char *answer = story_answer(s);
    assert_non_null(strstr(answer, "task failed"));
    assert_non_null(strstr(answer, "the interceptor of a call \"work\""));
}

/* ---- headers that travel ---- */

static void test_headers_travel(void **state)
{
    struct story *s = *state;
    s->env.propagate = travelling;
    story_tell(s, "Started type=All input='tea' header=tenant header_value={'id':7}" TASK);
    both_expect(s, "StartChild id=child-1 type=Kid queue=queue input='tea' own='option' "
                   "tenant={'id':7}\n"
                   "ScheduleActivity id=1 type=work queue=queue stc=1000 input='tea' own='option' "
                   "tenant={'id':7}\n"
                   "SignalExternal id=other name=add input='tea' tenant={'id':7}\n"
                   "CancelExternal id=other reason='enough'\n"
                   "StartTimer id=1 ms=5000");
}

static void test_headers_travel_to_the_next_run(void **state)
{
    struct story *s = *state;
    s->env.propagate = travelling;
    story_tell(s, "Started type=Continues input='tea' header=tenant header_value='acme'" TASK);
    both_expect(s, "ContinueAsNew type=Continues queue=queue input='tea' tenant='acme'");
}

static void test_other_headers_stay(void **state)
{
    struct story *s = *state;
    s->env.propagate = travelling;
    story_tell(s, "Started type=One input='tea' header=secret header_value='acme'" TASK);
    both_expect(s, "ScheduleActivity id=1 type=work queue=queue stc=1000 input='tea'");
}

static void test_code_changes_the_context(void **state)
{
    struct story *s = *state;
    s->env.propagate = travelling;
    story_tell(s, "Started type=Moves input='tea' header=tenant header_value='acme'" TASK);
    both_expect(s, "ScheduleActivity id=1 type=first queue=queue stc=1000 tenant='acme'\n"
                   "ScheduleActivity id=2 type=second queue=queue stc=1000 tenant='only once'\n"
                   "ScheduleActivity id=3 type=third queue=queue stc=1000 tenant='tea' "
                   "region=true\n"
                   "ScheduleActivity id=4 type=fourth queue=queue stc=1000 region=true");
}

/* Without keys and without interceptors a context begins empty. */
static void test_context_of_code_alone(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Moves input='tea'" TASK);
    both_expect(s, "ScheduleActivity id=1 type=first queue=queue stc=1000\n"
                   "ScheduleActivity id=2 type=second queue=queue stc=1000 tenant='only once'\n"
                   "ScheduleActivity id=3 type=third queue=queue stc=1000 tenant='tea' "
                   "region=true\n"
                   "ScheduleActivity id=4 type=fourth queue=queue stc=1000 region=true");
}

/* ---- metrics ---- */

static int on_metric(void *ctx, const struct flo_workflow_info *info,
                     const struct flo_run_sample *sample, struct flo_err *err)
{
    char text[120];
    (void)ctx;
    if (strcmp(sample->name, "size") == 0)
        return flo_fail(err, FLO_EINVAL, "no");
    snprintf(text, sizeof text, "%s:%d:%s=%g", info->type, (int)sample->kind, sample->name,
             sample->value);
    note(text);
    for (size_t i = 0; i < sample->label_count; i++) {
        note(sample->label_names[i]);
        note(sample->label_values[i]);
    }
    return 0;
}

/* Each once, however often the history is replayed; what cannot be counted is said once. */
static void test_metrics_are_silent_while_replaying(void **state)
{
    struct story *s = *state;
    s->env.metric = on_metric;
    story_tell(s, BEGIN("Counts"));
    story_answer(s);
    assert_string_equal(trail, "Counts:0:orders=2 kind tea");
    assert_string_equal(s->log, "A metric is not counted (): it has no name, a label without a "
                                "value, or more than 4 labels");
    *trail = '\0';
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=work; ActivityStarted scheduled=5; "
                  "ActivityCompleted scheduled=5 result='hot'" TASK);
    story_expect(s, "Complete result='hot'");
    assert_string_equal(trail, "Counts:1:depth=-3");
    *trail = '\0';
    story_expect_replayed(s, "Complete result='hot'");
    assert_string_equal(trail, "Counts:1:depth=-3");
}

static void test_queries_count_each_time(void **state)
{
    struct story *s = *state;
    s->env.metric = on_metric;
    story_tell(s, BEGIN("Talks"));
    story_answer(s);
    story_tell(s, "WFTCompleted");
    for (int i = 0; i < 2; i++) {
        s->legacy_query = "said";
        story_expect(s, "query result=[]");
    }
    assert_string_equal(trail, "Talks:0:asked=1 Talks:0:asked=1");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown_dropping)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_inbound_around_the_function),
        T(test_inbound_refuses_the_workflow),
        T(test_inbound_sees_the_headers),
        T(test_inbound_discards_a_result),
        T(test_inbound_around_handlers),
        T(test_inbound_around_updates),
        T(test_inbound_of_updates_proceeds),
        T(test_inbound_refuses_queries_and_updates),
        T(test_outbound_changes_calls),
        T(test_outbound_changes_local_activities),
        T(test_outbound_changes_the_next_run),
        T(test_outbound_refuses_calls),
        T(test_outbound_refuses_the_next_run),
        T(test_outbound_refuses_by_a_code),
        T(test_outbound_that_starts_something_fails_the_task),
        T(test_headers_travel),
        T(test_headers_travel_to_the_next_run),
        T(test_other_headers_stay),
        T(test_code_changes_the_context),
        T(test_context_of_code_alone),
        T(test_metrics_are_silent_while_replaying),
        T(test_queries_count_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
