/* SPDX-License-Identifier: Apache-2.0 */
/* test_failures.c - failed activities, failing workflows, and tasks that fail. */
#include <stdio.h>
#include <string.h>

#include "support/cmocka_env.h"
#include "support/story.h"

static const struct flo_activity_options options = {.start_to_close_ms = 30000};

static int echo(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return flo_activity(wf, "echo", input, &options, out_result);
}

/* Tries again up to three times, except for failures of type "Fatal". */
static int stubborn(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_retry_policy once = {.maximum_attempts = 1};
    struct flo_activity_options one = {.start_to_close_ms = 30000, .retry = &once};
    int rc = 0;
    for (int attempt = 0; attempt < 3; attempt++) {
        rc = flo_activity(wf, "echo", input, &one, out_result);
        if (rc != FLO_EFAILED || json_equal(json_string(flo_failure_type_name(wf)), input))
            return rc;
        flo_workflow_log(wf, FLO_LOG_WARN, "%s", flo_failure_message(wf));
    }
    return rc;
}

/* The failure is forgotten when the code goes on. */
static int recovers(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    if (flo_activity(wf, "echo", input, &options, out_result) == FLO_EFAILED) {
        *out_result = json_pack("[s,s]", flo_failure_type_name(wf), flo_failure_message(wf));
        flo_failure_clear(wf);
        if (*flo_failure_message(wf) || *flo_failure_type_name(wf))
            return FLO_EINVAL;
    }
    return 0;
}

static int fails(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)out_result;
    return flo_workflow_fail(wf, "Business", true, input, "order %d refused", 7);
}

static int bare_code(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)wf, (void)out_result;
    return (int)json_integer_value(input);
}

static int no_timeout(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return flo_activity(wf, "echo", input, NULL, out_result);
}

/* Texts that are no UTF-8, or are cut inside a character. */
static int bad_text(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    char type[103] = "a";
    (void)out_result;
    for (int i = 0; i < 50; i++)
        snprintf(type + 1 + i * 2, 3, "\xc3\xa9");
    if (json_is_true(input))
        return flo_activity(wf, type, NULL, NULL, NULL);
    if (json_is_false(input))
        return flo_activity(wf, "\xff", NULL, &options, NULL);
    return flo_workflow_fail(wf, "T\xff", false, NULL, "b\xc3");
}

/* One of a group fails: the wait ends with its failure. */
static int group(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_group *all = flo_group_new(wf);
    for (int i = 0; i < 3; i++)
        flo_group_add(all, flo_activity_start(wf, "part", input, &options));
    return flo_group_await_all(all, out_result);
}

static const struct flo_workflow_entry workflows[] = {
    {"Echo", echo},   {"Stubborn", stubborn},  {"Recovers", recovers},
    {"Fails", fails}, {"BareCode", bare_code}, {"NoTimeout", no_timeout},
    {"Group", group}, {"BadText", bad_text},   {NULL, NULL}};

static int setup(void **state)
{
    return story_setup(state, workflows);
}

/* The failure of the activity is wrapped once and becomes the workflow's. */
static void test_activity_failure_fails_the_workflow(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Echo; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "ActivityScheduled id=1 type=echo; ActivityStarted scheduled=5");
    story_tell(s, "ActivityFailed scheduled=5 message=broken type=DiskFull");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "Fail Activity task failed (type Activity): broken (type DiskFull)");
    const FloApi__Failure *failure =
        s->answer.commands[0]->fail_workflow_execution_command_attributes->failure;
    assert_int_equal(failure->failure_info_case,
                     FLO_API__FAILURE__FAILURE_INFO_ACTIVITY_FAILURE_INFO);
    assert_string_equal(failure->activity_failure_info->activity_id, "1");
    assert_string_equal(failure->activity_failure_info->activity_type->name, "echo");
    assert_int_equal(failure->activity_failure_info->scheduled_event_id, 5);
    assert_int_equal(failure->activity_failure_info->started_event_id, 6);
    assert_int_equal(failure->activity_failure_info->retry_state,
                     FLO_API__RETRY_STATE__RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED);
    assert_string_equal(failure->cause->application_failure_info->type, "DiskFull");
}

static void test_activity_timeout_fails_the_workflow(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Echo; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "ActivityScheduled id=1 type=echo; ActivityStarted scheduled=5");
    story_tell(s, "ActivityTimedOut scheduled=5 message=late; WFTScheduled; WFTStarted");
    story_expect(s, "Fail Activity task timed out (type Activity): late (type Timeout)");
}

static void test_user_code_retries(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Stubborn; WFTScheduled; WFTStarted");
    story_expect(s, "ScheduleActivity id=1 type=echo queue=queue stc=30000 attempts=1 input=null");
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=echo");
    story_tell(s, "ActivityFailed scheduled=5 message=no type=Flaky; WFTScheduled; WFTStarted");
    story_expect(s, "ScheduleActivity id=2 type=echo queue=queue stc=30000 attempts=1 input=null");
    assert_string_equal(s->log, "Activity task failed (type Activity): no (type Flaky)");
    story_tell(s, "WFTCompleted; ActivityScheduled id=2 type=echo");
    story_tell(s, "ActivityCompleted scheduled=10 result='fine'; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result='fine'");
    story_expect_replayed(s, "Complete result='fine'");
}

static void test_failure_can_be_read_and_forgotten(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Recovers; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "ActivityScheduled id=1 type=echo");
    story_tell(s, "ActivityFailed scheduled=5 message=no type=Flaky; WFTScheduled; WFTStarted");
    story_expect(
        s, "Complete result=['Flaky','Activity task failed (type Activity): no (type Flaky)']");
}

static void test_workflow_fails_with_its_own_failure(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Fails input={'k':1}; WFTScheduled; WFTStarted");
    story_expect(s, "Fail order 7 refused (type Business)");
    const FloApi__ApplicationFailureInfo *info =
        s->answer.commands[0]
            ->fail_workflow_execution_command_attributes->failure->application_failure_info;
    assert_true(info->non_retryable);
    assert_int_equal(info->details->n_payloads, 1);
    story_tell(s, "WFTCompleted; Failed");
    story_expect_replayed(s, "");
}

/* What no codec of the worker could read is not run: input, result, signal; once it can be read
 * the run goes on. */
#define ENCRYPTED                                                                                  \
    "{'__flo_raw':{'encoding':'binary/encrypted','data':'AAEC',"                                   \
    "'metadata':{'encryption-key-id':'azE='}}}"

static void expect_unread(struct story *s)
{
    const char *answer = story_answer(s);
    if (!strstr(answer, "task failed") || !strstr(answer, "encrypted with key \"k1\"") ||
        !strstr(answer, "codec.key_file"))
        fail_msg("%s", answer);
}

static void test_encrypted_payloads_fail_the_task(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Echo input=" ENCRYPTED "; WFTScheduled; WFTStarted");
    expect_unread(s);
}

static void test_encrypted_result_fails_the_task(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Echo; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "ActivityScheduled id=1 type=echo; ActivityStarted scheduled=5");
    story_tell(s, "ActivityCompleted scheduled=5 result=" ENCRYPTED "; WFTScheduled; WFTStarted");
    expect_unread(s);
}

static void test_encrypted_signal_fails_the_task(void **state)
{
    struct story *s = *state;
    story_tell(s,
               "Started type=Echo; Signaled name=go input=" ENCRYPTED "; WFTScheduled; WFTStarted");
    expect_unread(s);
}

/* A code without a failure on wf is the failure; FLO_ECANCELLED without a request, too. */
static void test_bare_code_becomes_the_failure(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=BareCode input=-2; WFTScheduled; WFTStarted");
    story_expect(s, "Fail invalid argument (type FLO_EINVAL)");
    s->event_count = 0;
    story_tell(s, "Started type=BareCode input=-8; WFTScheduled; WFTStarted");
    story_expect_replayed(s, "Fail cancelled (type FLO_ECANCELLED)");
    s->event_count = 0;
    story_tell(s, "Started type=BareCode input=42; WFTScheduled; WFTStarted");
    story_expect_replayed(
        s, "Fail the workflow function returned 42, which is no error code (type FLO_EINVAL)");
    s->event_count = 0;
    story_tell(s, "Started type=BareCode input=-1; WFTScheduled; WFTStarted");
    story_expect_replayed(s, "Fail out of memory (type FLO_ENOMEM)");
    s->event_count = 0;
    story_tell(s, "Started type=BareCode input=-15; WFTScheduled; WFTStarted");
    story_expect_replayed(s, "Fail FLO_EFAILED was returned without a failure that says why "
                             "(type FLO_EFAILED)");
}

static void test_activity_without_timeout_is_refused(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=NoTimeout; WFTScheduled; WFTStarted");
    story_expect(s, "Fail activity echo: set start_to_close_ms or schedule_to_close_ms "
                    "(type FLO_EINVAL)");
}

static void test_group_ends_with_the_first_failure(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Group input=0; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "ActivityScheduled id=1 type=part; ActivityScheduled id=2 type=part");
    story_tell(s, "ActivityScheduled id=3 type=part; ActivityStarted scheduled=6");
    story_tell(s, "ActivityFailed scheduled=6 message=no type=Bad; WFTScheduled; WFTStarted");
    story_expect(s, "Fail Activity task failed (type Activity): no (type Bad)");
}

static void test_texts_that_are_not_utf8_are_repaired(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=BadText; WFTScheduled; WFTStarted");
    story_expect_replayed(s, "Fail b? (type T?)");
    s->event_count = 0;
    story_tell(s, "Started type=BadText input=false; WFTScheduled; WFTStarted");
    story_expect_replayed(s, "Fail activity ?: its type is not UTF-8 (type FLO_EINVAL)");
    s->event_count = 0;
    story_tell(s, "Started type=BadText input=true; WFTScheduled; WFTStarted");
    assert_non_null(strstr(story_replayed(s), ": set start_to_close_ms"));
}

/* ---- tasks that fail ---- */

static void test_unknown_workflow_type_fails_the_task(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Nobody; WFTScheduled; WFTStarted");
    story_expect(s, "task failed (cause 14): Workflow type Nobody is not registered on this "
                    "worker, registered types: Known, Other");
    assert_string_equal(s->answer.failure->application_failure_info->type, "NotFoundError");
}

static void test_undecodable_input_fails_the_task(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Echo input={oops; WFTScheduled; WFTStarted");
    const char *answer = story_answer(s);
    assert_memory_equal(answer, "task failed (cause 14): the input of workflow type Echo: ", 56);
}

static void test_undecodable_activity_result_fails_the_task(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Echo; WFTScheduled; WFTStarted; WFTCompleted");
    story_tell(s, "ActivityScheduled id=1 type=echo");
    story_tell(s, "ActivityCompleted scheduled=5 result=[1,; WFTScheduled; WFTStarted");
    const char *answer = story_answer(s);
    assert_memory_equal(answer,
                        "task failed (cause 14): the result of activity echo (event 6): ", 62);
}

/* A run whose task failed keeps saying so until it is evicted. */
static void test_failed_run_stays_failed(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Nobody; WFTScheduled; WFTStarted");
    const char *first = story_answer(s);
    s->delivered = 0;
    story_expect(s, first);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_activity_failure_fails_the_workflow),
        T(test_activity_timeout_fails_the_workflow),
        T(test_user_code_retries),
        T(test_failure_can_be_read_and_forgotten),
        T(test_workflow_fails_with_its_own_failure),
        T(test_encrypted_payloads_fail_the_task),
        T(test_encrypted_result_fails_the_task),
        T(test_encrypted_signal_fails_the_task),
        T(test_bare_code_becomes_the_failure),
        T(test_activity_without_timeout_is_refused),
        T(test_group_ends_with_the_first_failure),
        T(test_texts_that_are_not_utf8_are_repaired),
        T(test_unknown_workflow_type_fails_the_task),
        T(test_undecodable_input_fails_the_task),
        T(test_undecodable_activity_result_fails_the_task),
        T(test_failed_run_stays_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
