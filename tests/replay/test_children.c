/* SPDX-License-Identifier: Apache-2.0 */
/* test_children.c - child workflows: started, awaited, signalled, cancelled in each way. */
#include <string.h>

#include "support/cmocka_env.h"
#include "support/story.h"

#define BEGIN(type) "Started type=" type "; WFTScheduled; WFTStarted"
#define INITIATED "WFTCompleted; ChildInitiated id=kid type=Child"
#define TASK "; WFTScheduled; WFTStarted"
#define START "StartChild id=kid type=Child queue=queue"

/* In pieces, and again from the beginning by a run that is destroyed right after. */
#define both_expect(s, expected)                                                                   \
    do {                                                                                           \
        story_expect(s, expected);                                                                 \
        story_expect_replayed(s, expected);                                                        \
    } while (0)

static int plain(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_child_options options = {.workflow_id = "kid"};
    int rc = flo_child(wf, "Child", input, &options, out_result);
    struct flo_failure_link link;
    if (rc != FLO_EFAILED && rc != FLO_ECANCELLED)
        return rc;
    json_t *kinds = json_array();
    for (unsigned depth = 0; flo_failure_at(wf, depth, &link); depth++) {
        json_array_append_new(kinds, json_integer(link.kind));
        if (link.kind == FLO_FAILURE_CHILD)
            json_array_append_new(kinds,
                                  json_pack("[s,s,s,i]", link.workflow_type, link.workflow_id,
                                            link.run_id, (int)link.retry_state));
    }
    json_array_append_new(kinds, json_string(flo_failure_type_name(wf)));
    *out_result = kinds;
    return 0;
}

static int two_stages(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_child_options options = {.workflow_id = "kid"};
    struct flo_child *child = flo_child_start(wf, "Child", input, &options);
    json_t *execution, *result;
    bool unknown = !*flo_child_run_id(child);
    int rc = flo_await(wf, flo_child_started(child), &execution);
    if (rc)
        return rc;
    rc = flo_child_signal(wf, child, "go", input);
    if (rc)
        return rc;
    rc = flo_await(wf, flo_child_result(child), &result);
    if (rc)
        return rc;
    *out_result = json_pack("[b,s,s,o,o]", (int)unknown, flo_child_workflow_id(child),
                            flo_child_run_id(child), execution, result);
    return 0;
}

/* A signal to a child that has only just been asked for; "dropped": and given up at once. */
static int early_signal(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_child_options options = {.workflow_id = "kid"};
    struct flo_child *child = flo_child_start(wf, "Child", NULL, &options);
    if (json_is_string(input))
        flo_child_cancel(wf, child, NULL);
    struct flo_future *told = flo_child_signal_start(wf, child, "go", input);
    bool known = *flo_child_run_id(child);
    int rc = flo_await(wf, told, NULL);
    flo_future_release(wf, told);
    int started = flo_await(wf, flo_child_started(child), NULL);
    *out_result = json_pack("[b,i,i]", (int)known, rc, started);
    return 0;
}

static int all_options(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_t *memo = json_pack("{s:s}", "note", "hello"), *headers = json_pack("{s:i}", "trace", 7);
    const struct flo_retry_policy retry = {.maximum_attempts = 3};
    const struct flo_child_options options = {
        .workflow_id = "kid",
        .task_queue = "elsewhere",
        .namespace_ = "other",
        .execution_timeout_ms = 3000,
        .run_timeout_ms = 2000,
        .task_timeout_ms = 1000,
        .retry = &retry,
        .id_reuse = FLO_ID_REJECT_DUPLICATE,
        .parent_close = FLO_PARENT_CLOSE_ABANDON,
        .cron = "@daily",
        .memo = memo,
        .attributes = FLO_ATTRIBUTES(FLO_KEYWORD("Customer", "42")),
        .headers = headers,
        .priority = {.priority_key = 2, .fairness_key = "gold", .fairness_weight = 2},
        .summary = "a line",
        .details = "a text",
    };
    (void)out_result;
    flo_child_start(wf, "Child", input, &options);
    return flo_sleep(wf, 1000);
}

/* Starts a child of the cancellation type that input names, then cancels it after a signal. */
static int cancels(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_child_options options = {
        .workflow_id = "kid",
        .cancellation = (enum flo_child_cancellation)json_integer_value(input)};
    struct flo_child *child = flo_child_start(wf, "Child", NULL, &options);
    int rc = flo_signal_await(wf, "stop", -1, NULL);
    if (rc)
        return rc;
    flo_child_cancel(wf, child, "enough");
    flo_child_cancel(wf, child, "twice does nothing more");
    rc = flo_await(wf, flo_child_result(child), NULL);
    *out_result = json_pack("[i,s]", rc, flo_failure_message(wf));
    return flo_signal_await(wf, "end", -1, NULL);
}

static int before_sent(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_child *child = flo_child_start(wf, "Child", input, NULL);
    flo_child_cancel(wf, child, NULL);
    int started = flo_await(wf, flo_child_started(child), NULL),
        result = flo_await(wf, flo_child_result(child), NULL);
    *out_result = json_pack("[i,i]", started, result);
    return 0;
}

/* Cancelled with the workflow itself; each of the others in its own way. */
static int with_parent(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_child_options options = {.workflow_id = "kid"};
    int rc = flo_child(wf, "Child", input, &options, out_result);
    if (rc != FLO_ECANCELLED)
        return rc;
    struct flo_child *late = flo_child_start(wf, "Late", NULL, NULL);
    return flo_await(wf, flo_child_started(late), NULL);
}

/* Cancelled by a scope whose reason is no text. */
static int by_scope(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_child_options options = {.workflow_id = "kid"};
    struct flo_scope *scope = flo_scope_begin(wf, NULL);
    struct flo_child *child = flo_child_start(wf, "Child", input, &options);
    int rc = flo_signal_await(wf, "stop", -1, NULL);
    if (rc)
        return rc;
    flo_scope_cancel(wf, scope, "so \xff");
    rc = flo_await(wf, flo_child_result(child), NULL);
    *out_result = json_pack("[i]", rc);
    return flo_scope_end(wf, scope);
}

static int bad_options(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_child_options negative = {.run_timeout_ms = -1},
                                   no_text = {.workflow_id = "\xff"}, bad_memo = {.memo = input},
                                   no_value = {.attributes =
                                                   FLO_ATTRIBUTES(FLO_KEYWORD("K", NULL))};
    const struct flo_retry_policy policy = {.backoff_coefficient = 0.5};
    const struct flo_child_options bad_retry = {.retry = &policy};
    json_t *said = json_array();
    flo_child(wf, "", NULL, NULL, NULL);
    json_array_append_new(said, json_string(flo_failure_message(wf)));
    const struct flo_child_options *const all[] = {&negative, &no_text, &bad_memo, &no_value,
                                                   &bad_retry};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (flo_child(wf, "Child", NULL, all[i], NULL) != FLO_EINVAL)
            return FLO_EIO;
        json_array_append_new(said, json_string(flo_failure_message(wf)));
    }
    *out_result = said;
    return 0;
}

static int chosen_ids(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_child *a = flo_child_start(wf, "Child", input, NULL),
                     *b = flo_child_start(wf, "Child", input, NULL);
    *out_result = json_pack("[i,b]", (int)strlen(flo_child_workflow_id(a)),
                            (int)(strcmp(flo_child_workflow_id(a), flo_child_workflow_id(b)) != 0));
    return 0;
}

static const struct flo_workflow_entry workflows[] = {{"Plain", plain},
                                                      {"TwoStages", two_stages},
                                                      {"AllOptions", all_options},
                                                      {"Cancels", cancels},
                                                      {"BeforeSent", before_sent},
                                                      {"WithParent", with_parent},
                                                      {"ByScope", by_scope},
                                                      {"BadOptions", bad_options},
                                                      {"ChosenIds", chosen_ids},
                                                      {"EarlySignal", early_signal},
                                                      {NULL, NULL}};

static int setup(void **state)
{
    return story_setup(state, workflows);
}

static void test_child_returns_its_result(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Plain input={'a':1}" TASK);
    both_expect(s, START " input={'a':1}");
    story_tell(s, INITIATED "; ChildStarted initiated=5" TASK);
    both_expect(s, "");
    story_tell(s, "WFTCompleted; ChildCompleted initiated=5 result='done'" TASK);
    both_expect(s, "Complete result='done'");
    story_tell(s, "WFTCompleted; Completed");
    story_expect_replayed(s, "");
}

static void test_child_that_did_not_complete_says_why(void **state)
{
    static const struct {
        const char *end, *expected;
    } ends[] = {
        {"ChildFailed initiated=5 message=no type=Broken",
         "Complete result=[7,['Child','kid','child-run',4],1,'Broken']"},
        {"ChildTimedOut initiated=5",
         "Complete result=[7,['Child','kid','child-run',2],2,'Timeout']"},
        {"ChildTerminated initiated=5",
         "Complete result=[7,['Child','kid','child-run',1],4,'Terminated']"},
        {"ChildCanceled initiated=5 details='why'",
         "Complete result=[7,['Child','kid','child-run',1],3,'Cancelled']"},
    };
    struct story *s = *state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        s->event_count = 0;
        story_tell(s, BEGIN("Plain") "; " INITIATED "; ChildStarted initiated=5");
        story_tell(s, ends[i].end);
        story_tell(s, "WFTScheduled; WFTStarted");
        story_expect_replayed(s, ends[i].expected);
    }
}

static void test_child_that_does_not_start_fails_both_stages(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Plain"));
    both_expect(s, START " input=null");
    story_tell(s, INITIATED "; ChildStartFailed initiated=5 cause=1" TASK);
    both_expect(s, "Fail cannot start child workflow kid: its workflow id is taken (type "
                   "WorkflowAlreadyStarted)");
    s->event_count = 5;
    story_tell(s, "ChildStartFailed initiated=5 cause=2" TASK);
    story_expect_replayed(s, "Fail cannot start child workflow kid: there is no such namespace "
                             "(type NamespaceNotFound)");
    s->event_count = 0;
    story_tell(s, BEGIN("TwoStages") "; " INITIATED "; ChildStartFailed initiated=5 cause=1" TASK);
    story_expect_replayed(s, "Fail cannot start child workflow kid: its workflow id is taken (type "
                             "WorkflowAlreadyStarted)");
}

static void test_child_is_awaited_in_two_stages_and_signalled(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("TwoStages"));
    both_expect(s, START " input=null");
    story_tell(s, INITIATED TASK);
    both_expect(s, "");
    story_tell(s, "WFTCompleted; ChildStarted initiated=5 run=r7" TASK);
    both_expect(s, "SignalExternal id=kid name=go child input=null");
    story_tell(s, "WFTCompleted; SignalExternalInitiated id=kid name=go");
    story_tell(s, "ExternalSignaled initiated=13; ChildCompleted initiated=5 result=3" TASK);
    both_expect(s, "Complete result=[true,'kid','r7',{'workflow_id':'kid','run_id':'r7'},3]");
}

/* The server would find nobody: the signal is sent when the child has started. */
static void test_child_signal_waits_for_the_start(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=EarlySignal" TASK);
    both_expect(s, START);
    story_tell(s, INITIATED TASK);
    both_expect(s, "");
    story_tell(s, "WFTCompleted; ChildStarted initiated=5" TASK);
    both_expect(s, "SignalExternal id=kid name=go child input=null");
    story_tell(s, "WFTCompleted; SignalExternalInitiated id=kid name=go");
    story_tell(s, "ExternalSignaled initiated=13" TASK);
    both_expect(s, "Complete result=[true,0,0]");
}

static void test_child_signal_to_one_that_does_not_start_says_why(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=EarlySignal input='dropped'" TASK);
    both_expect(s, "Complete result=[false,-8,-8]");
    s->event_count = 0;
    story_tell(s, BEGIN("EarlySignal") "; " INITIATED "; ChildStartFailed initiated=5 cause=1");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect_replayed(s, "Complete result=[false,-4,-4]");
    s->event_count = 0;
    story_tell(s, BEGIN("EarlySignal") "; " INITIATED "; CancelRequested" TASK);
    story_expect_replayed(s, "CancelExternal id=kid child\nComplete result=[false,-8,-8]");
}

static void test_child_options_are_sent(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("AllOptions"));
    both_expect(s, "StartChild id=kid type=Child queue=elsewhere namespace=other input=null "
                   "execution=3000 run=2000 task=1000 close=2 reuse=3 attempts=3 cron=@daily "
                   "priority=2/gold/2 trace=7 note='hello' Customer='42':Keyword summary='a line' "
                   "details='a text'\nStartTimer id=1 ms=1000");
}

static void test_child_cancel_waits_for_its_end(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Cancels input=0" TASK);
    both_expect(s, START);
    story_tell(s, INITIATED "; ChildStarted initiated=5; Signaled name=stop" TASK);
    both_expect(s, "CancelExternal id=kid reason='enough' child");
    story_tell(s, "WFTCompleted; CancelExternalInitiated id=kid");
    story_tell(s, "ExternalCancelRequested initiated=11" TASK);
    both_expect(s, "");
    story_tell(s, "WFTCompleted; ChildCanceled initiated=5; Signaled name=end" TASK);
    both_expect(s, "Complete result=[-8,'Child Workflow execution cancelled (type "
                   "ChildWorkflow): Cancelled (type Cancelled)']");
}

/* It may complete all the same, and that is what its parent gets. */
static void test_child_cancel_that_is_ignored_gives_the_result(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Cancels input=0" TASK "; " INITIATED "; Signaled name=stop" TASK);
    story_tell(s, "WFTCompleted; CancelExternalInitiated id=kid; ChildStarted initiated=5");
    story_tell(s, "CancelExternalFailed initiated=10 cause=1; ChildCompleted initiated=5 result=1");
    story_tell(s, "Signaled name=end" TASK);
    story_expect_replayed(s, "Complete result=[0,'']");
}

static void test_child_cancel_waits_for_the_request(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Cancels input=2" TASK "; " INITIATED "; ChildStarted initiated=5");
    story_tell(s, "Signaled name=stop" TASK);
    story_expect(s, "CancelExternal id=kid reason='enough' child");
    story_tell(s, "WFTCompleted; CancelExternalInitiated id=kid; Signaled name=end" TASK);
    both_expect(s, "");
    story_tell(s, "WFTCompleted; ExternalCancelRequested initiated=11" TASK);
    both_expect(s, "Complete result=[-8,'Child Workflow execution cancelled (type "
                   "ChildWorkflow): Cancelled (type Cancelled)']");
    s->event_count = 15; /* its end comes behind */
    story_tell(s, "ExternalCancelRequested initiated=11; ChildCanceled initiated=5" TASK);
    story_expect_replayed(s, "Complete result=[-8,'Child Workflow execution cancelled (type "
                             "ChildWorkflow): Cancelled (type Cancelled)']");
}

static void test_child_cancel_tries_or_abandons(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Cancels input=1" TASK "; " INITIATED "; ChildStarted initiated=5");
    story_tell(s, "Signaled name=stop" TASK);
    story_expect(s, "CancelExternal id=kid reason='enough' child");
    story_tell(s, "WFTCompleted; CancelExternalInitiated id=kid; ChildCompleted initiated=5");
    story_tell(s, "Signaled name=end" TASK);
    both_expect(s, "Complete result=[-8,'Child Workflow execution cancelled (type "
                   "ChildWorkflow): Cancelled (type Cancelled)']");
    s->event_count = 0;
    story_tell(s, "Started type=Cancels input=3" TASK "; " INITIATED "; Signaled name=stop" TASK);
    story_tell(s, "WFTCompleted; ChildStarted initiated=5; ChildFailed initiated=5 type=X");
    story_tell(s, "Signaled name=end" TASK);
    story_expect_replayed(s, "Complete result=[-8,'Child Workflow execution cancelled (type "
                             "ChildWorkflow): Cancelled (type Cancelled)']");
}

static void test_child_cancelled_before_it_was_sent_never_starts(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("BeforeSent"));
    both_expect(s, "Complete result=[-8,-8]");
}

static void test_child_is_cancelled_with_its_parent(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("WithParent") "; " INITIATED "; ChildStarted initiated=5");
    story_tell(s, "CancelRequested reason=quit" TASK);
    story_expect(s, "CancelExternal id=kid reason='quit' child");
    story_tell(s, "WFTCompleted; CancelExternalInitiated id=kid; ChildCanceled initiated=5" TASK);
    both_expect(s, "Cancel");
}

static void test_child_is_cancelled_by_a_scope_whatever_its_reason(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("ByScope") "; " INITIATED "; ChildStarted initiated=5");
    story_tell(s, "Signaled name=stop" TASK);
    story_expect(s, "CancelExternal id=kid reason='so ?' child");
    story_tell(s, "WFTCompleted; CancelExternalInitiated id=kid; ChildCanceled initiated=5" TASK);
    both_expect(s, "Complete result=[-8]");
}

static void test_child_options_that_cannot_be_are_refused(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=BadOptions input=1" TASK);
    both_expect(s, "Complete result=['a child workflow needs a type (type FLO_EINVAL)','child "
                   "workflow Child: a timeout is negative (type FLO_EINVAL)','a child workflow's "
                   "type or one of its options is not UTF-8 (type FLO_EINVAL)','child workflow "
                   "Child: memo and headers are objects (type FLO_EINVAL)','child workflow Child: "
                   "search attribute K has no value (type FLO_EINVAL)','child workflow Child: the "
                   "backoff_coefficient of its retry policy is below 1 (type FLO_EINVAL)']");
}

/* An id is a UUID of the run's random numbers, another for each child. */
static void test_child_ids_are_chosen(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("ChosenIds"));
    assert_non_null(strstr(story_answer(s), "Complete result=[36,true]"));
    const char *first = strdup(story_words(s, s->answer_rc, &s->answer));
    story_expect_replayed(s, first);
    free((void *)(uintptr_t)first);
}

static void test_child_of_another_type_does_not_match(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Plain") "; WFTCompleted; ChildInitiated id=kid type=Other" TASK);
    assert_non_null(strstr(story_replayed(s), "workflow id kid, type Other), but the code issued "
                                              "StartChildWorkflowExecution (workflow id kid, type "
                                              "Child)"));
    s->event_count = 0;
    story_tell(s, BEGIN("Plain") "; " INITIATED "; ChildCompleted initiated=4" TASK);
    assert_non_null(strstr(story_replayed(s), "answers event 4, which the code never asked for"));
    s->event_count = 5; /* twice */
    story_tell(s, "ChildStarted initiated=5; ChildCompleted initiated=5");
    story_tell(s, "ChildCompleted initiated=5" TASK);
    assert_non_null(strstr(story_replayed(s), "answers event 5, which the code never asked for or "
                                              "which was answered before"));
    s->event_count = 5; /* an answer of another kind */
    story_tell(s, "ExternalSignaled initiated=5" TASK);
    assert_non_null(strstr(story_replayed(s), "answers event 5, which the code never asked for"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown_dropping)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_child_returns_its_result),
        TEST(test_child_that_did_not_complete_says_why),
        TEST(test_child_that_does_not_start_fails_both_stages),
        TEST(test_child_is_awaited_in_two_stages_and_signalled),
        TEST(test_child_signal_waits_for_the_start),
        TEST(test_child_signal_to_one_that_does_not_start_says_why),
        TEST(test_child_options_are_sent),
        TEST(test_child_cancel_waits_for_its_end),
        TEST(test_child_cancel_that_is_ignored_gives_the_result),
        TEST(test_child_cancel_waits_for_the_request),
        TEST(test_child_cancel_tries_or_abandons),
        TEST(test_child_cancelled_before_it_was_sent_never_starts),
        TEST(test_child_is_cancelled_with_its_parent),
        TEST(test_child_is_cancelled_by_a_scope_whatever_its_reason),
        TEST(test_child_options_that_cannot_be_are_refused),
        TEST(test_child_ids_are_chosen),
        TEST(test_child_of_another_type_does_not_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
