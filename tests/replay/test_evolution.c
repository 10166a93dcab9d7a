/* SPDX-License-Identifier: Apache-2.0 */
/* test_evolution.c - patches, and values from outside (side effects). */
#include <stdio.h>
#include <string.h>

#include "support/cmocka_env.h"
#include "support/story.h"

#define BEGIN(type) "Started type=" type "; WFTScheduled; WFTStarted"
#define TASK "; WFTScheduled; WFTStarted"
#define PATCH(id, deprecated)                                                                      \
    "Marker core_patch patch-data={'id':'" id "','deprecated':" deprecated "}"
#define both_expect(s, expected)                                                                   \
    do {                                                                                           \
        story_expect(s, expected);                                                                 \
        story_expect_replayed(s, expected);                                                        \
    } while (0)

static int patched(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    bool now = flo_patched(wf, "x"), again = flo_patched(wf, "x");
    int rc = flo_sleep(wf, now ? 2000 : 1000);
    if (rc)
        return rc;
    *out_result = json_pack("[b,b,b]", (int)now, (int)again, (int)flo_patched(wf, "x"));
    return 0;
}

static int unpatched(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input, (void)out_result;
    return flo_sleep(wf, 2000);
}

static int deprecated(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input, (void)out_result;
    flo_patch_deprecate(wf, "x");
    return flo_sleep(wf, 2000);
}

/* Patch "b" first, then, later in the history, "a". */
static int two(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    flo_patched(wf, "b");
    int rc = flo_sleep(wf, 1);
    bool a = flo_patched(wf, "a");
    *out_result = json_boolean(a);
    return rc;
}

/* Asks only behind the task that has the marker. */
static int late(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    int rc = flo_sleep(wf, 2000);
    *out_result = json_boolean(flo_patched(wf, "x"));
    return rc;
}

static int many(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input, (void)out_result;
    char id[300];
    for (int i = 0; i < 10; i++) {
        snprintf(id, sizeof id, "%d%0250d", i, 0);
        flo_patched(wf, id);
    }
    return 0;
}

static int calls;

static json_t *count(void *ctx)
{
    (void)ctx;
    return json_integer(++calls);
}

static json_t *nothing(void *ctx)
{
    (void)ctx;
    return NULL;
}

static int effect(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_t *first, *second;
    (void)input;
    int rc = flo_side_effect(wf, count, NULL, &first);
    if (rc == 0)
        rc = flo_sleep(wf, 1000);
    if (rc == 0)
        rc = flo_side_effect(wf, nothing, NULL, &second);
    if (rc)
        return rc;
    *out_result = json_pack("[o,o]", first, second);
    return 0;
}

static json_t *given; /* what the mutable side effect sees */

static json_t *give(void *ctx)
{
    (void)ctx;
    calls++;
    return json_incref(given);
}

static bool near_enough(const json_t *last, const json_t *current)
{
    return json_integer_value(current) - json_integer_value(last) < 10;
}

/* Asks before each of three signals. */
static int limits(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_t *seen = json_array(), *value;
    for (int i = 0; i < 3; i++) {
        int rc = flo_mutable_side_effect(wf, "limit", give, NULL,
                                         json_is_true(input) ? near_enough : NULL, &value);
        if (rc)
            return rc;
        json_array_append_new(seen, value);
        rc = flo_signal_await(wf, "go", -1, NULL);
        if (rc)
            return rc;
    }
    *out_result = seen;
    return 0;
}

static int refused(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    *out_result = json_pack("[i,i,i]", flo_side_effect(wf, NULL, NULL, NULL),
                            flo_mutable_side_effect(wf, "", give, NULL, NULL, NULL),
                            flo_mutable_side_effect(wf, "x", NULL, NULL, NULL, NULL));
    return 0;
}

static const struct flo_workflow_entry workflows[] = {
    {"Patched", patched}, {"Unpatched", unpatched}, {"Deprecated", deprecated},
    {"Two", two},         {"Late", late},           {"Many", many},
    {"Effect", effect},   {"Limits", limits},       {"Refused", refused},
    {NULL, NULL}};

static int setup(void **state)
{
    calls = 0;
    given = NULL;
    return story_setup(state, workflows);
}

/* Live: a marker, all ids as a search attribute, and true from then on. */
static void test_new_execution_takes_the_patch(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Patched"));
    both_expect(s, PATCH("x", "false") "\nUpsert TemporalChangeVersion=['x']:KeywordList\n"
                                       "StartTimer id=1 ms=2000");
    assert_int_equal(s->answer.sdk_metadata->n_core_used_flags, 1);
    assert_int_equal(s->answer.sdk_metadata->core_used_flags[0], 2);
    assert_string_equal(s->answer.sdk_metadata->sdk_name, "flotilla-c");
    story_tell(s, "WFTCompleted; Patch id=x; Upserted; TimerStarted id=1; TimerFired id=1" TASK);
    both_expect(s, "Complete result=[true,true,true]");
    assert_null(s->answer.sdk_metadata);
}

static void test_older_execution_keeps_the_old_way(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Patched") "; WFTCompleted; TimerStarted id=1; TimerFired id=1" TASK);
    both_expect(s, "Complete result=[false,false,false]");
}

/* Workers of other times and makes: without the upsert, and with the older details. */
static void test_markers_of_others_are_taken(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Patched") "; WFTCompleted; Patch id=x; TimerStarted id=1" TASK);
    story_expect_replayed(s, "");
    s->event_count = 4;
    story_tell(s, "Patch id=x old=1; Upserted; TimerStarted id=1" TASK);
    story_expect_replayed(s, "");
    s->event_count = 4;
    story_tell(s, "Patch id=x deprecated=1; Upserted; TimerStarted id=1" TASK);
    story_expect_replayed(s, "");
}

static void test_deprecated_patch_fits_every_history(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Deprecated"));
    both_expect(s, PATCH("x", "true") "\nUpsert TemporalChangeVersion=['x']:KeywordList\n"
                                      "StartTimer id=1 ms=2000");
    story_tell(s, "WFTCompleted; Patch id=x; TimerStarted id=1" TASK);
    story_expect_replayed(s, "");
    s->event_count = 4;
    story_tell(s, "TimerStarted id=1" TASK);
    story_expect_replayed(s, "");
    s->event_count = 4;
    story_tell(s, "Patch id=x deprecated=1; Upserted; TimerStarted id=1" TASK);
    story_expect_replayed(s, "");
}

static void test_marker_without_a_call_must_be_deprecated(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Unpatched") "; WFTCompleted; Patch id=x; TimerStarted id=1" TASK);
    assert_non_null(strstr(story_replayed(s), "event 5 is MarkerRecorded (patch x), but the code "
                                              "issued StartTimer (timer id 1)"));
    s->event_count = 4;
    story_tell(s, "Patch id=x deprecated=1; Upserted; TimerStarted id=1; TimerFired id=1" TASK);
    story_expect_replayed(s, "Complete");
    s->event_count = 4;
    story_tell(s, "Patch id=x deprecated=1; TimerStarted id=1; TimerFired id=1" TASK);
    story_expect_replayed(s, "Complete");
}

/* Another patch's marker: only a deprecated one may be passed over. */
static void test_marker_of_another_patch_does_not_match(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Patched") "; WFTCompleted; Patch id=y deprecated=1; Upserted");
    story_tell(s, "Patch id=x; Upserted; TimerStarted id=1" TASK);
    story_expect_replayed(s, "");
    s->event_count = 4;
    story_tell(s, "Patch id=y; Patch id=x; TimerStarted id=1" TASK);
    assert_non_null(strstr(story_replayed(s), "event 5 is MarkerRecorded (patch y), but the code "
                                              "issued RecordMarker (patch x"));
    s->event_count = 4;
    story_tell(s, "Patch id=x; Upserted name=Mine; TimerStarted id=1" TASK);
    assert_non_null(strstr(story_replayed(s), "event 6 is UpsertWorkflowSearchAttributes"));
}

/* A marker that was passed over long ago: the patch is taken, and nothing is recorded twice. */
static void test_call_that_moved_behind_its_marker_is_true(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Late") "; WFTCompleted; Patch id=x deprecated=1; Upserted");
    story_tell(s, "TimerStarted id=1; TimerFired id=1" TASK "; WFTCompleted; Completed");
    story_expect_replayed(s, "");
}

static void test_ids_are_sorted(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Two"));
    both_expect(s, PATCH("b", "false") "\nUpsert TemporalChangeVersion=['b']:KeywordList\n"
                                       "StartTimer id=1 ms=1");
    story_tell(s, "WFTCompleted; Patch id=b; Upserted; TimerStarted id=1; TimerFired id=1" TASK);
    both_expect(s, PATCH("a", "false") "\nUpsert TemporalChangeVersion=['a','b']:KeywordList\n"
                                       "Complete result=true");
}

/* The server takes 2 KiB: what would be longer is not sent. */
static void test_long_lists_of_ids_are_not_sent(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Many"));
    story_answer(s);
    assert_int_equal(s->answer.command_count, 10 + 8 + 1);
}

static void test_side_effect_is_called_once(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Effect"));
    story_expect(s, "Marker SideEffect side-effect-id=1 data=1\nStartTimer id=1 ms=1000");
    story_tell(s, "WFTCompleted; SideEffect number=1 value=1; TimerStarted id=1");
    story_tell(s, "TimerFired id=1" TASK);
    both_expect(s, "Marker SideEffect side-effect-id=2 data=null\nComplete result=[1,null]");
    assert_int_equal(calls, 1);
    story_tell(s, "WFTCompleted; SideEffect number=2 value=null; Completed");
    story_expect_replayed(s, "");
}

static void test_side_effect_that_history_lacks_does_not_match(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Effect") "; WFTCompleted; TimerStarted id=1" TASK);
    assert_non_null(strstr(story_replayed(s), "event 5 is TimerStarted (timer id 1), but the code "
                                              "issued RecordMarker (side effect 1"));
    s->event_count = 4;
    story_tell(s, "SideEffect number=2 value=7; TimerStarted id=1" TASK);
    assert_non_null(strstr(story_replayed(s), "event 5 is MarkerRecorded (side effect 2), but"));
    s->event_count = 4;
    story_tell(s, "SideEffect number=1; TimerStarted id=1" TASK);
    assert_non_null(strstr(story_replayed(s), "the marker of event 5 has no value"));
    s->event_count = 0;
    story_tell(s, BEGIN("Limits") "; WFTCompleted; Signaled name=go" TASK);
    assert_non_null(strstr(story_replayed(s), "RecordMarker (mutable side effect limit, call 0"));
    assert_int_equal(calls, 0);
    s->event_count = 0;
}

static void test_mutable_side_effect_records_changes_only(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Limits"));
    given = json_integer(5);
    story_expect(s, "Marker MutableSideEffect side-effect-id='limit' data=5 "
                    "mutable-side-effect-call-counter=0");
    story_tell(s, "WFTCompleted; SideEffect id=limit number=0 value=5; Signaled name=go" TASK);
    both_expect(s, "");
    json_integer_set(given, 8);
    story_tell(s, "WFTCompleted; Signaled name=go" TASK);
    story_expect(s, "Marker MutableSideEffect side-effect-id='limit' data=8 "
                    "mutable-side-effect-call-counter=2");
    int before = calls;
    story_tell(s, "WFTCompleted; SideEffect id=limit number=2 value=8; Signaled name=go" TASK);
    both_expect(s, "Complete result=[5,5,8]");
    assert_int_equal(calls, before);
    json_decref(given);
}

static void test_mutable_side_effect_compares_as_told(void **state)
{
    struct story *s = *state;
    given = json_integer(5);
    story_tell(s, "Started type=Limits input=true" TASK);
    story_answer(s);
    json_integer_set(given, 9);
    story_tell(s, "WFTCompleted; SideEffect id=limit number=0 value=5; Signaled name=go" TASK);
    story_expect(s, "");
    json_integer_set(given, 15);
    story_tell(s, "WFTCompleted; Signaled name=go" TASK);
    story_expect(s, "Marker MutableSideEffect side-effect-id='limit' data=15 "
                    "mutable-side-effect-call-counter=2");
    json_decref(given);
    given = NULL;
}

static void test_side_effects_without_function_are_refused(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Refused"));
    both_expect(s, "Complete result=[-2,-2,-2]");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown)
#define DROPPING(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown_dropping)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DROPPING(test_new_execution_takes_the_patch),
        DROPPING(test_older_execution_keeps_the_old_way),
        DROPPING(test_markers_of_others_are_taken),
        DROPPING(test_deprecated_patch_fits_every_history),
        TEST(test_marker_without_a_call_must_be_deprecated),
        TEST(test_marker_of_another_patch_does_not_match),
        DROPPING(test_call_that_moved_behind_its_marker_is_true),
        DROPPING(test_ids_are_sorted),
        DROPPING(test_long_lists_of_ids_are_not_sent),
        DROPPING(test_side_effect_is_called_once),
        TEST(test_side_effect_that_history_lacks_does_not_match),
        TEST(test_mutable_side_effect_records_changes_only),
        TEST(test_mutable_side_effect_compares_as_told),
        DROPPING(test_side_effects_without_function_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
