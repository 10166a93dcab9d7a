/* SPDX-License-Identifier: Apache-2.0 */
/* test_external.c - signals and cancel requests to executions that are no children. */
#include <string.h>

#include "support/cmocka_env.h"
#include "support/story.h"

#define BEGIN(type) "Started type=" type "; WFTScheduled; WFTStarted"
#define TASK "; WFTScheduled; WFTStarted"
#define both_expect(s, expected)                                                                   \
    do {                                                                                           \
        story_expect(s, expected);                                                                 \
        story_expect_replayed(s, expected);                                                        \
    } while (0)

static int signals(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    int rc = flo_signal_external(wf, "other", "r1", "add", input);
    *out_result = json_pack("[i,s]", rc, flo_failure_message(wf));
    return 0;
}

static int cancels(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    int rc = flo_cancel_external(wf, "other", NULL, "enough");
    *out_result = json_pack("[i,s]", rc, flo_failure_message(wf));
    return 0;
}

/* A signal that was not sent yet is withdrawn; telling others to stop is not. */
static int in_cancelled_scope(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_scope *scope = flo_scope_begin(wf, NULL);
    struct flo_future *signal = flo_signal_external_start(wf, "other", NULL, "add", input);
    flo_scope_cancel(wf, scope, "no");
    struct flo_future *late = flo_signal_external_start(wf, "other", NULL, "add", input);
    struct flo_future *stop = flo_cancel_external_start(wf, "other", NULL, NULL);
    int first = flo_await(wf, signal, NULL), second = flo_await(wf, late, NULL),
        third = flo_await(wf, stop, NULL);
    flo_scope_end(wf, scope);
    *out_result = json_pack("[i,i,i]", first, second, third);
    return 0;
}

static int bad(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    *out_result = json_pack("[i,i,i,i]", flo_signal_external(wf, NULL, NULL, "add", input),
                            flo_signal_external(wf, "other", "\xff", "add", input),
                            flo_signal_external(wf, "other", NULL, "", input),
                            flo_cancel_external(wf, "", NULL, NULL));
    return flo_cancel_external(wf, "other", NULL, "\xff");
}

static const struct flo_workflow_entry workflows[] = {{"Signals", signals},
                                                      {"Cancels", cancels},
                                                      {"InCancelledScope", in_cancelled_scope},
                                                      {"Bad", bad},
                                                      {NULL, NULL}};

static int setup(void **state)
{
    return story_setup(state, workflows);
}

static void test_signal_is_delivered(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Signals input=5" TASK);
    both_expect(s, "SignalExternal id=other run=r1 name=add input=5");
    story_tell(s, "WFTCompleted; SignalExternalInitiated id=other run=r1 name=add" TASK);
    both_expect(s, "");
    story_tell(s, "WFTCompleted; ExternalSignaled initiated=5" TASK);
    both_expect(s, "Complete result=[0,'']");
}

static void test_signal_that_fails_says_why(void **state)
{
    static const char *const expected[] = {
        "Complete result=[-15,'cannot signal workflow other: the server refused it (type "
        "SignalExternalWorkflowFailed)']",
        "Complete result=[-3,'cannot signal workflow other: there is no such execution, or it is "
        "closed (type ExternalWorkflowNotFound)']",
        "Complete result=[-3,'cannot signal workflow other: there is no such namespace (type "
        "NamespaceNotFound)']",
        "Complete result=[-11,'cannot signal workflow other: it has had as many signals as an "
        "execution may (type SignalCountLimitExceeded)']",
    };
    struct story *s = *state;
    for (int i = 0; i < 4; i++) {
        char line[64];
        s->event_count = 0;
        story_tell(s, BEGIN("Signals") "; WFTCompleted; SignalExternalInitiated id=other name=add");
        snprintf(line, sizeof line, "SignalExternalFailed initiated=5 cause=%d", i);
        story_tell(s, line);
        story_tell(s, "WFTScheduled; WFTStarted");
        story_expect_replayed(s, expected[i]);
    }
}

static void test_cancel_request_is_delivered(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Cancels"));
    both_expect(s, "CancelExternal id=other reason='enough'");
    story_tell(s, "WFTCompleted; CancelExternalInitiated id=other");
    story_tell(s, "ExternalCancelRequested initiated=5" TASK);
    both_expect(s, "Complete result=[0,'']");
}

static void test_cancel_request_that_fails_says_why(void **state)
{
    static const char *const expected[] = {
        "Complete result=[-15,'cannot cancel workflow other: the server refused it (type "
        "CancelExternalWorkflowFailed)']",
        "Complete result=[-3,'cannot cancel workflow other: there is no such execution, or it is "
        "closed (type ExternalWorkflowNotFound)']",
        "Complete result=[-3,'cannot cancel workflow other: there is no such namespace (type "
        "NamespaceNotFound)']",
    };
    struct story *s = *state;
    for (int i = 0; i < 3; i++) {
        char line[64];
        s->event_count = 0;
        story_tell(s, BEGIN("Cancels") "; WFTCompleted; CancelExternalInitiated id=other");
        snprintf(line, sizeof line, "CancelExternalFailed initiated=5 cause=%d", i);
        story_tell(s, line);
        story_tell(s, "WFTScheduled; WFTStarted");
        story_expect_replayed(s, expected[i]);
    }
}

static void test_cancelled_scope_withdraws_signals_only(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("InCancelledScope"));
    both_expect(s, "CancelExternal id=other");
    story_tell(s, "WFTCompleted; CancelExternalInitiated id=other");
    story_tell(s, "ExternalCancelRequested initiated=5" TASK);
    both_expect(s, "Complete result=[-8,-8,0]");
}

static void test_bad_targets_are_refused(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Bad"));
    both_expect(s, "Fail a cancel request's workflow id, run id or reason is not UTF-8 (type "
                   "FLO_EINVAL)");
}

static void test_another_target_does_not_match(void **state)
{
    struct story *s = *state;
    story_tell(s,
               BEGIN("Signals") "; WFTCompleted; SignalExternalInitiated id=other name=sub" TASK);
    assert_non_null(strstr(story_replayed(s), "but the code issued SignalExternalWorkflowExecution "
                                              "(signal add, workflow id other)"));
    s->event_count = 0;
    story_tell(s, BEGIN("Cancels") "; WFTCompleted; CancelExternalInitiated id=another" TASK);
    assert_non_null(strstr(story_replayed(s), "but the code issued "
                                              "RequestCancelExternalWorkflowExecution (workflow id "
                                              "other)"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown_dropping)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_signal_is_delivered),
        TEST(test_signal_that_fails_says_why),
        TEST(test_cancel_request_is_delivered),
        TEST(test_cancel_request_that_fails_says_why),
        TEST(test_cancelled_scope_withdraws_signals_only),
        TEST(test_bad_targets_are_refused),
        TEST(test_another_target_does_not_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
