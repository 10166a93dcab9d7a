/* SPDX-License-Identifier: Apache-2.0 */
/* test_messages.c - handlers of signals and queries, and what the runtime answers itself. */
#include <string.h>

#include "flotilla/worker.h"
#include "support/cmocka_env.h"
#include "support/story.h"

static const struct flo_activity_options options = {.start_to_close_ms = 30000};

/* ---- a list that signals add to, and that queries show ---- */

struct list {
    json_t *items;
    bool closed;
};

static int on_add(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    struct list *list = ctx;
    (void)wf;
    json_array_append(list->items, m->input);
    return 0;
}

/* Adds what an activity made of it. */
static int on_make(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    struct list *list = ctx;
    json_t *made;
    int rc = flo_activity(wf, "make", m->input, &options, &made);
    if (rc == 0)
        json_array_append_new(list->items, made);
    return rc;
}

static int on_close(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    (void)wf, (void)m;
    ((struct list *)ctx)->closed = true;
    return 0;
}

static int on_any(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    struct list *list = ctx;
    (void)wf;
    json_array_append_new(list->items, json_pack("[s,O,O?]", m->name, m->args, m->headers));
    return 0;
}

static int get_items(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                     json_t **out_result)
{
    struct list *list = ctx;
    (void)wf;
    if (json_array_size(m->args) > 1) /* a part: from, count */
        *out_result = json_pack("[O,O,i]", json_array_get(m->args, 0), json_array_get(m->args, 1),
                                (int)json_array_size(list->items));
    else
        *out_result = json_incref(list->items);
    return 0;
}

static int refuses(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                   json_t **out_result)
{
    (void)m, (void)ctx, (void)out_result;
    return flo_workflow_fail(wf, "NotNow", false, NULL, "ask me later");
}

static int sleeps(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                  json_t **out_result)
{
    (void)m, (void)ctx;
    *out_result = json_string("slept");
    return flo_sleep(wf, 1);
}

static bool is_closed(void *ctx)
{
    return ((struct list *)ctx)->closed;
}

static int meddles(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                   json_t **out_result)
{
    (void)ctx, (void)out_result;
    flo_workflow_log(wf, FLO_LOG_INFO, "asked %s", m->name);
    if (strcmp(m->name, "start") == 0)
        flo_activity_start(wf, "work", NULL, &options);
    else if (strcmp(m->name, "register") == 0)
        flo_signal_handle(wf, "x", on_add, NULL, NULL);
    else if (strcmp(m->name, "await") == 0)
        flo_signal_await(wf, "x", -1, NULL);
    else if (strcmp(m->name, "details") == 0)
        flo_workflow_set_details(wf, "x");
    else if (strcmp(m->name, "until") == 0)
        flo_await_condition(wf, is_closed, &(struct list){0}, 5);
    return 0;
}

static struct list *new_list(struct flo_workflow *wf)
{
    struct list *list = flo_workflow_alloc(wf, sizeof *list);
    list->items = json_array();
    return list;
}

static int lists(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_handler_options described = {.description = "adds an item"};
    struct list *list = new_list(wf);
    (void)input;
    flo_signal_handle(wf, "add", on_add, list, &described);
    flo_signal_handle(wf, "make", on_make, list, NULL);
    flo_signal_handle(wf, "close", on_close, list, NULL);
    flo_query_handle(wf, "items", get_items, list, NULL);
    flo_query_handle(wf, "refuses", refuses, NULL, NULL);
    flo_query_handle(wf, "sleeps", sleeps, NULL, NULL);
    flo_workflow_set_details(wf, "takes *items*");
    int rc = flo_await_condition(wf, is_closed, list, -1);
    *out_result = json_incref(list->items);
    return rc;
}

/* Signals come before there is a handler, by name and for all. */
static int late(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct list *list = new_list(wf);
    (void)input;
    flo_query_handle(wf, NULL, meddles, NULL, NULL);
    int rc = flo_signal_await(wf, "go", -1, NULL);
    flo_signal_handle(wf, "add", on_add, list, NULL);
    if (rc == 0)
        rc = flo_sleep(wf, 1000);
    flo_signal_handle(wf, NULL, on_any, list, NULL);
    flo_signal_handle(wf, "add", NULL, NULL, NULL); /* from now on for all, too */
    if (rc == 0)
        rc = flo_sleep(wf, 1000);
    *out_result = json_incref(list->items);
    return rc;
}

/* A handler that fails, cancelled or not. */
static int fragile(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input, (void)out_result;
    struct list *list = new_list(wf);
    flo_signal_handle(wf, "make", on_make, list, NULL);
    int rc = flo_sleep(wf, 1000);
    if (rc != FLO_ECANCELLED)
        return rc;
    flo_cancel_shield(wf, true);
    rc = flo_activity(wf, "clean up", NULL, &options, NULL);
    flo_cancel_shield(wf, false);
    return rc ? rc : FLO_ECANCELLED;
}

/* Registers what it must not. */
static int careless(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct list here = {0};
    int rc = json_is_true(input) ? flo_query_handle(wf, "items", get_items, &here, NULL)
                                 : flo_query_handle(wf, "__mine", get_items, NULL, NULL);
    (void)out_result;
    return rc;
}

static bool nosy(void *ctx)
{
    flo_timer_start(ctx, 5);
    return false;
}

static int looks(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input, (void)out_result;
    return flo_await_condition(wf, nosy, wf, -1);
}

static int on_restart(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    (void)ctx;
    return flo_continue_as_new(wf, m->input, NULL);
}

static int restarts(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input, (void)out_result;
    flo_signal_handle(wf, "restart", on_restart, NULL, NULL);
    return flo_sleep(wf, 1000);
}

static const struct flo_workflow_entry workflows[] = {
    {"Lists", lists}, {"Late", late},         {"Fragile", fragile}, {"Careless", careless},
    {"Looks", looks}, {"Restarts", restarts}, {NULL, NULL},
};

static int setup(void **state)
{
    return story_setup(state, workflows);
}

/* ---- signals ---- */

#define BEGUN "Started type=Lists; WFTScheduled; WFTStarted"
#define NEXT "; WFTScheduled; WFTStarted"

static void test_handlers_take_signals_in_their_order(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Lists; Signaled name=add input=0" NEXT);
    story_expect_asked(s, "");
    story_tell(s, "WFTCompleted; Signaled name=add input=1; Signaled name=make input=2;"
                  "Signaled name=add input=3" NEXT);
    story_expect_asked(s, "ScheduleActivity id=1 type=make queue=queue stc=30000 input=2");
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=make;"
                  "ActivityCompleted scheduled=12 result='two'" NEXT);
    story_expect_asked(s, "");
    story_tell(s, "WFTCompleted; Signaled name=close" NEXT);
    story_expect_asked(s, "Complete result=[0,1,3,'two']");
    story_expect_replayed(s, "Complete result=[0,1,3,'two']");
}

/* They were kept; for all that no handler by name takes, in the order in which they came. */
static void test_handler_registered_late_gets_what_was_kept(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Late; Signaled name=b input=1; Signaled name=add input=2;"
                  "Signaled name=a input=3; Signaled name=b; Signaled name=go" NEXT);
    story_expect_asked(s, "StartTimer id=1 ms=1000");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerFired id=1" NEXT);
    story_expect_asked(s, "StartTimer id=2 ms=1000");
    story_tell(s, "WFTCompleted; TimerStarted id=2; Signaled name=add input=4;"
                  "TimerFired id=2" NEXT);
    story_expect_asked(s, "Complete result=[2,['b',[1],null],['a',[3],null],['b',[],null],"
                          "['add',[4],null]]");
    story_expect_replayed(s, "Complete result=[2,['b',[1],null],['a',[3],null],['b',[],null],"
                             "['add',[4],null]]");
}

/* A header without a value is one all the same: whoever sent it may do so. */
static void test_handler_gets_the_headers(void **state)
{
    struct story *s = *state;
    uint8_t text[] = "\"me\"", json[] = "json/plain";
    FloApi__Payload__MetadataEntry encoding = FLO_API__PAYLOAD__METADATA_ENTRY__INIT;
    FloApi__Payload__MetadataEntry *metadata[] = {&encoding};
    FloApi__Payload value = FLO_API__PAYLOAD__INIT;
    FloApi__Header__FieldsEntry who = FLO_API__HEADER__FIELDS_ENTRY__INIT, empty = who;
    FloApi__Header__FieldsEntry *fields[] = {&who, &empty};
    FloApi__Header header = FLO_API__HEADER__INIT;
    encoding.key = (char[]){"encoding"};
    encoding.value = (ProtobufCBinaryData){sizeof json - 1, json};
    value.n_metadata = 1;
    value.metadata = metadata;
    value.data = (ProtobufCBinaryData){sizeof text - 1, text};
    who.key = (char[]){"who"};
    who.value = &value;
    empty.key = (char[]){"empty"};
    header.n_fields = 2;
    header.fields = fields;
    story_tell(s, "Started type=Late; Signaled name=go; Signaled name=x input=1" NEXT);
    s->events[2]->workflow_execution_signaled_event_attributes->header = &header;
    story_expect_asked(s, "StartTimer id=1 ms=1000");
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerFired id=1" NEXT);
    story_expect_asked(s, "StartTimer id=2 ms=1000");
    story_tell(s, "WFTCompleted; TimerStarted id=2; TimerFired id=2" NEXT);
    story_expect_asked(s, "Complete result=[['x',[1],{'who':'me','empty':null}]]");
}

static void test_signal_that_cannot_be_decoded_is_dropped(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGUN "; WFTCompleted; Signaled name=add input={; Signaled name=close" NEXT);
    story_expect_asked(s, "Complete result=[]");
    assert_non_null(
        strstr(s->log, "Signal add (event 5) was dropped, its input cannot be decoded"));
}

static void test_failing_handler_fails_the_workflow(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Fragile" NEXT "; WFTCompleted; TimerStarted id=1;"
                  "Signaled name=make" NEXT);
    story_answer(s);
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=make;"
                  "ActivityFailed scheduled=10 type=Bad message=broken" NEXT);
    story_expect_asked(s, "Fail Activity task failed (type Activity): broken (type Bad)");
    story_expect_replayed(s, "Fail Activity task failed (type Activity): broken (type Bad)");
}

/* Whatever it returns is what the workflow's function might have returned. */
static void test_handler_continues_as_new(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Restarts" NEXT);
    story_expect_asked(s, "StartTimer id=1 ms=1000");
    story_tell(s, "WFTCompleted; TimerStarted id=1; Signaled name=restart input=7" NEXT);
    assert_non_null(strstr(story_answer(s), "ContinueAsNew"));
    assert_true(s->answer.closes);
}

/* Being cancelled with the workflow is no failure: the code still cleans up. */
static void test_handler_cancelled_with_the_workflow_just_ends(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Fragile" NEXT "; WFTCompleted; TimerStarted id=1;"
                  "Signaled name=make" NEXT);
    story_answer(s);
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=make; CancelRequested" NEXT);
    assert_non_null(strstr(story_answer(s), "ScheduleActivity id=2 type=clean"));
}

/* ---- queries ---- */

static const char *asked(struct story *s, const char *query, const char *args)
{
    s->legacy_query = query;
    s->query_args = args;
    return story_answer(s);
}

static void test_queries_see_what_signals_did(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGUN);
    story_expect_asked(s, "");
    assert_string_equal(asked(s, "items", NULL), "query result=[]");
    story_tell(s, "WFTCompleted; Signaled name=add input=1; Signaled name=make input=2" NEXT);
    s->query = "items";
    story_expect(s, "ScheduleActivity id=1 type=make queue=queue stc=30000 input=2\n"
                    "query q1 result=[1]");
    assert_string_equal(asked(s, "items", "['a',{'b':2},3]"), "query result=['a',{'b':2},1]");
    assert_string_equal(asked(s, "refuses", NULL), "query failed: ask me later");
    assert_string_equal(s->answer.query_failure->application_failure_info->type, "NotNow");
    assert_string_equal(
        asked(s, "other", NULL),
        "query failed: unknown queryType other. KnownQueryTypes=[__stack_trace "
        "__enhanced_stack_trace __temporal_workflow_metadata items refuses sleeps]");
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=make; Signaled name=close" NEXT);
    story_expect_asked(s, "Complete result=[1]");
}

/* A closed run is replayed to be asked. */
static void test_query_after_the_end(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGUN "; WFTCompleted; Signaled name=add input=1; Signaled name=close" NEXT
                        "; WFTCompleted; Completed");
    s->legacy_query = "items";
    story_expect_replayed(s, "query result=[1]");
}

/* Whatever it did, the run goes on as if it had not been asked. */
static void test_query_that_waits_fails_and_the_run_goes_on(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGUN);
    story_expect_asked(s, "");
    for (int i = 0; i < 3; i++) {
        assert_non_null(strstr(asked(s, "sleeps", NULL),
                               "query failed: the handler of query \"sleeps\" may only look, but "
                               "it starts a timer at test_messages.c:"));
    }
    story_tell(s, "WFTCompleted; Signaled name=close" NEXT);
    s->query = "sleeps";
    assert_non_null(strstr(story_answer(s), "Complete result=[]\nquery q1 failed: the handler"));
}

static void test_query_handlers_may_only_look(void **state)
{
    static const struct {
        const char *query, *says;
    } cases[] = {
        {"start", "it starts an activity at test_messages.c:"},
        {"register", "it registers a handler at test_messages.c:"},
        {"await", "it waits at test_messages.c:"},
        {"details", "it sets the details at test_messages.c:"},
        {"until", "it starts a timer at test_messages.c:"},
    };
    struct story *s = *state;
    story_tell(s, "Started type=Late; WFTScheduled; WFTStarted");
    story_expect_asked(s, "");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *answer = asked(s, cases[i].query, NULL);
        if (!strstr(answer, cases[i].says))
            fail_msg("\"%s\" is not in \"%s\"", cases[i].says, answer);
    }
    assert_string_equal(asked(s, "nothing", NULL), "query result=null");
    assert_string_equal(asked(s, "__nothing", NULL),
                        "query failed: unknown queryType __nothing. KnownQueryTypes=[__stack_trace "
                        "__enhanced_stack_trace __temporal_workflow_metadata]");
    assert_string_equal(s->log, "asked start|asked register|asked await|asked details|asked until|"
                                "asked nothing");
    story_tell(s, "WFTCompleted; Signaled name=go" NEXT);
    story_expect_asked(s, "StartTimer id=1 ms=1000");
}

/* ---- what the runtime answers ---- */

static void test_stack_trace_names_the_waiting_calls(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGUN "; WFTCompleted; Signaled name=make" NEXT);
    story_answer(s);
    const char *answer = asked(s, "__stack_trace", NULL);
    assert_non_null(strstr(answer, "main at test_messages.c:"));
    assert_non_null(strstr(answer, "signal make at test_messages.c:"));
    assert_non_null(strstr(answer, ": waits for activity id 1, type make"));
}

static void test_stack_trace_for_programs(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGUN);
    story_expect_asked(s, "");
    const char *answer = asked(s, "__enhanced_stack_trace", NULL);
    assert_non_null(strstr(answer, "query result={'sdk':{'name':'flotilla-c','version':'"));
    assert_non_null(strstr(answer, "'stacks':[{'locations':[{'filePath':'"));
    assert_non_null(strstr(answer, ",'functionName':'main'}]}]}"));
}

static void test_metadata_lists_the_handlers(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGUN);
    story_expect_asked(s, "");
    assert_string_equal(
        asked(s, "__temporal_workflow_metadata", NULL),
        "query result={'definition':{'type':'Lists','signalDefinitions':[{'name':'add',"
        "'description':'adds an item'},{'name':'close'},{'name':'make'}],'queryDefinitions':["
        "{'name':'__stack_trace','description':'Where each coroutine of the workflow stands.'},"
        "{'name':'__enhanced_stack_trace','description':'The same for programs.'},"
        "{'name':'__temporal_workflow_metadata','description':'Which handlers there are, and the "
        "current details.'},{'name':'items'},{'name':'refuses'},{'name':'sleeps'}]},"
        "'currentDetails':'takes *items*'}");
    const FloApi__Payload *payload = s->answer.query_answer->payloads[0];
    assert_int_equal(payload->n_metadata, 2);
    assert_string_equal(payload->metadata[0]->key, "encoding");
    assert_memory_equal(payload->metadata[0]->value.data, "json/protobuf", 13);
    assert_string_equal(payload->metadata[1]->key, "messageType");
    assert_memory_equal(payload->metadata[1]->value.data, "temporal.api.sdk.v1.WorkflowMetadata",
                        36);
}

/* ---- misuse ---- */

static void test_context_on_the_stack_is_refused(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Careless input=true" NEXT);
    story_expect_asked(
        s, "Fail the handler of \"items\" was not registered: its context is a variable "
           "of the function that registers it; it must be memory of flo_workflow_alloc() "
           "(type FLO_EINVAL)");
}

static void test_names_of_the_runtime_are_refused(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Careless" NEXT);
    story_expect_asked(
        s, "Fail the handler of \"__mine\" was not registered: names that begin with __ "
           "are the runtime's (type FLO_EINVAL)");
    assert_non_null(strstr(s->log, "was not registered at test_messages.c:"));
}

static void test_condition_that_starts_something_fails_the_task(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Looks" NEXT);
    assert_non_null(strstr(story_answer(s), "a condition may only look, but it starts a timer"));
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, story_teardown)
    const struct CMUnitTest tests[] = {
        T(test_handlers_take_signals_in_their_order),
        T(test_handler_registered_late_gets_what_was_kept),
        T(test_handler_gets_the_headers),
        T(test_signal_that_cannot_be_decoded_is_dropped),
        T(test_failing_handler_fails_the_workflow),
        T(test_handler_continues_as_new),
        T(test_handler_cancelled_with_the_workflow_just_ends),
        T(test_queries_see_what_signals_did),
        T(test_query_after_the_end),
        T(test_query_that_waits_fails_and_the_run_goes_on),
        T(test_query_handlers_may_only_look),
        T(test_stack_trace_names_the_waiting_calls),
        T(test_stack_trace_for_programs),
        T(test_metadata_lists_the_handlers),
        T(test_context_on_the_stack_is_refused),
        T(test_names_of_the_runtime_are_refused),
        T(test_condition_that_starts_something_fails_the_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
