/* SPDX-License-Identifier: Apache-2.0 */
/* test_properties.c - search attributes, the memo, what a run was started with, continuing as a new
 * run, and looking into failures. */
#include <math.h>
#include <string.h>

#include "flotilla/payload.h"
#include "support/cmocka_env.h"
#include "support/story.h"

#define BEGIN(type) "Started type=" type "; WFTScheduled; WFTStarted"
#define TASK "; WFTScheduled; WFTStarted"
#define both_expect(s, expected)                                                                   \
    do {                                                                                           \
        story_expect(s, expected);                                                                 \
        story_expect_replayed(s, expected);                                                        \
    } while (0)

static const char *const colours[] = {"red", "green", NULL};

static int set_all(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_search_attribute a, b, c, d;
    (void)input;
    int rc = flo_search_attributes_upsert(
        wf, FLO_ATTRIBUTES(FLO_KEYWORD("Key", "k"), FLO_TEXT("Text", "some words"),
                           FLO_INT("Int", -7), FLO_DOUBLE("Double", 0.5), FLO_BOOL("Bool", true),
                           FLO_DATETIME("At", INT64_C(951782400123)),
                           FLO_KEYWORDS("Colours", colours), FLO_UNSET("Gone")));
    if (rc)
        return rc;
    rc = flo_search_attributes_upsert(wf, FLO_ATTRIBUTES(FLO_UNSET("Key"), FLO_INT("Int", 8)));
    if (rc)
        return rc;
    bool key = flo_search_attribute_get(wf, "Key", &a);
    if (!flo_search_attribute_get(wf, "Int", &a) || !flo_search_attribute_get(wf, "At", &b) ||
        !flo_search_attribute_get(wf, "Colours", &c) || !flo_search_attribute_get(wf, "Text", &d))
        return FLO_EIO;
    *out_result = json_pack("[b,I,I,s,s,s,b]", (int)key, (json_int_t)a.integer,
                            (json_int_t)b.time_ms, c.list[0], c.list[1], d.text, !c.list[2]);
    return 0;
}

static int refuses(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    *out_result =
        json_pack("[i,i,i,i,i,i,i]", flo_search_attributes_upsert(wf, NULL),
                  flo_search_attributes_upsert(wf, FLO_ATTRIBUTES(FLO_KEYWORD("K", NULL))),
                  flo_search_attributes_upsert(wf, FLO_ATTRIBUTES(FLO_KEYWORD("K", "\xff"))),
                  flo_search_attributes_upsert(wf, FLO_ATTRIBUTES(FLO_KEYWORD("", "v"))),
                  flo_search_attributes_upsert(wf, FLO_ATTRIBUTES(FLO_DOUBLE("D", (double)NAN))),
                  flo_search_attributes_upsert(
                      wf, FLO_ATTRIBUTES(FLO_KEYWORDS("TemporalChangeVersion", colours))),
                  flo_memo_upsert(wf, json_null()));
    return 0;
}

static int says_started(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_search_attribute a;
    const char *name = json_string_value(input);
    bool there = flo_search_attribute_get(wf, name, &a);
    *out_result =
        !there ? json_null()
               : json_pack("[i,I,f,b,s?,s?,I]", (int)a.kind, (json_int_t)a.integer, a.number,
                           (int)a.truth, a.text, a.list ? a.list[0] : NULL, (json_int_t)a.time_ms);
    return 0;
}

static int memo(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_t *before = json_deep_copy(flo_memo_get(wf, "note"));
    int rc = flo_memo_upsert(wf, input);
    if (rc)
        return rc;
    rc = flo_sleep(wf, 1000);
    if (rc)
        return rc;
    *out_result =
        json_pack("[o?,O?,O?]", before, flo_memo_get(wf, "note"), flo_memo_get(wf, "more"));
    return 0;
}

static int info(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_workflow_info *i = flo_workflow_info(wf);
    const struct flo_payload *header = flo_workflow_header(wf, "trace");
    json_t *value = NULL;
    (void)input;
    if (flo_workflow_header(wf, "none"))
        return FLO_EIO;
    if (header && flo_payload_json(header, &value, NULL))
        return FLO_EIO;
    *out_result = json_pack(
        "[s,s,s,s,s,s,s,s,I,I,O?,s,s,i,s?,o?]", i->first_run_id, i->continued_run_id,
        i->parent_workflow_id, i->parent_run_id, i->parent_namespace, i->root_workflow_id,
        i->root_run_id, i->cron, (json_int_t)i->run_timeout_ms,
        (json_int_t)(i->retry ? i->retry->maximum_attempts : -1), i->last_result, i->last_failure,
        i->last_failure_type, (int)i->priority.priority_key, i->priority.fairness_key, value);
    return 0;
}

static int deep(struct flo_workflow *wf, const struct flo_continue_options *options, json_t *input)
{
    return flo_continue_as_new(wf, input, options);
}

/* Continues, after cleaning up, with what it has. */
static int goes_on(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)out_result;
    json_t *change = json_pack("{s:i}", "more", 2);
    int rc = flo_memo_upsert(wf, change);
    if (rc == 0)
        rc = flo_search_attributes_upsert(wf, FLO_ATTRIBUTES(FLO_INT("Count", 1)));
    if (rc)
        return rc;
    int end = deep(wf, NULL, input);
    rc = flo_sleep(wf, 1000);
    return rc ? rc : end;
}

static int goes_on_otherwise(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_retry_policy retry = {.maximum_attempts = 5};
    json_t *memo_of_next = json_pack("{s:s}", "note", "new"), *headers = json_pack("{s:i}", "h", 1);
    const struct flo_continue_options options = {
        .workflow_type = "Other",
        .task_queue = "elsewhere",
        .run_timeout_ms = 5000,
        .task_timeout_ms = 3000,
        .retry = &retry,
        .memo = memo_of_next,
        .attributes = FLO_ATTRIBUTES(FLO_BOOL("Last", false)),
        .headers = headers,
    };
    const struct flo_continue_options bad = {.run_timeout_ms = -1};
    (void)out_result;
    if (flo_continue_as_new(wf, input, &bad) != FLO_EINVAL)
        return FLO_EIO;
    return flo_continue_as_new(wf, input, &options);
}

/* Says so without having asked for it. */
static int only_says_so(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)wf, (void)input, (void)out_result;
    return FLO_ECONTINUE;
}

/* Forgets to return what the call returned. */
static int forgets(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)out_result;
    return flo_continue_as_new(wf, input, NULL) == FLO_ECONTINUE ? 0 : FLO_EIO;
}

static int bug(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)out_result;
    return json_is_true(input) ? FLO_ENONDET : flo_task_fail(wf, "stage %d is not known\xff", 7);
}

static int raises(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static const struct flo_activity_options options = {.start_to_close_ms = 1000};
    json_t *details[] = {json_integer(1), json_string("two")}, *second;
    struct flo_failure_link link;
    unsigned depth;
    (void)out_result;
    int rc = flo_activity(wf, "work", input, &options, NULL);
    if (rc != FLO_EFAILED)
        return rc;
    const struct flo_failure cause = {.type = "Inner", .message = "inside"};
    const struct flo_failure failure = {.type = "Outer",
                                        .message = "outside",
                                        .non_retryable = true,
                                        .benign = true,
                                        .next_retry_delay_ms = 1500,
                                        .details = details,
                                        .detail_count = 2,
                                        .cause = &cause};
    rc = flo_workflow_raise(wf, &failure, true);
    bool right = flo_failure_at(wf, 0, &link) && link.kind == FLO_FAILURE_APPLICATION &&
                 link.non_retryable && link.benign && link.next_retry_delay_ms == 1500 &&
                 link.detail_count == 2 && strcmp(link.source, "FlotillaC") == 0 &&
                 flo_failure_detail(wf, 0, 1, &second) == 0 &&
                 strcmp(json_string_value(second), "two") == 0 &&
                 flo_failure_detail(wf, 0, 2, &second) == FLO_ENOENT &&
                 flo_failure_find(wf, FLO_FAILURE_ACTIVITY, &link, &depth) && depth == 2 &&
                 strcmp(link.activity_type, "work") == 0 && strcmp(link.activity_id, "1") == 0 &&
                 flo_failure_find(wf, FLO_FAILURE_TIMEOUT, &link, NULL) &&
                 link.timeout == FLO_TIMEOUT_START_TO_CLOSE &&
                 !flo_failure_find(wf, FLO_FAILURE_SERVER, &link, NULL) &&
                 !flo_failure_at(wf, 4, &link);
    return right ? rc : FLO_EIO;
}

static const struct flo_workflow_entry workflows[] = {{"SetAll", set_all},
                                                      {"Refuses", refuses},
                                                      {"SaysStarted", says_started},
                                                      {"Memo", memo},
                                                      {"Info", info},
                                                      {"GoesOn", goes_on},
                                                      {"GoesOnOtherwise", goes_on_otherwise},
                                                      {"OnlySaysSo", only_says_so},
                                                      {"Forgets", forgets},
                                                      {"Bug", bug},
                                                      {"Raises", raises},
                                                      {NULL, NULL}};

static int setup(void **state)
{
    return story_setup(state, workflows);
}

static void test_attributes_are_set_and_read_back(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("SetAll"));
    both_expect(s, "Upsert Key='k':Keyword Text='some words':Text Int=-7:Int Double=0.5:Double "
                   "Bool=true:Bool At='2000-02-29T00:00:00.123Z':Datetime "
                   "Colours=['red','green']:KeywordList Gone=null\n"
                   "Upsert Key=null Int=8:Int\n"
                   "Complete result=[false,8,951782400123,'red','green','some words',true]");
    story_tell(s, "WFTCompleted; Upserted name=Key; Upserted name=Key; Completed");
    story_expect_replayed(s, "");
}

static void test_attributes_that_cannot_be_are_refused(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Refuses"));
    both_expect(s, "Complete result=[-2,-2,-2,-2,-2,-2,-2]");
}

static void test_attributes_of_the_start_are_read(void **state)
{
    static const struct {
        const char *started, *expected;
    } starts[] = {
        {"attribute_type=Int attribute_value=5", "[2,5,0.0,false,null,null,0]"},
        {"attribute_type=Double attribute_value=5", "[3,0,5.0,false,null,null,0]"},
        {"attribute_type=Bool attribute_value=true", "[4,0,0.0,true,null,null,0]"},
        {"attribute_type=Keyword attribute_value='v'", "[0,0,0.0,false,'v',null,0]"},
        {"attribute_type=Keyword attribute_value=['v']", "[0,0,0.0,false,'v',null,0]"},
        {"attribute_type=KeywordList attribute_value=['v']", "[6,0,0.0,false,null,'v',0]"},
        {"attribute_type=Datetime attribute_value='1970-01-01T01:00:01.5+01:00'",
         "[5,0,0.0,false,'1970-01-01T01:00:01.5+01:00',null,1500]"},
        {"attribute_type= attribute_value=7", "[2,7,0.0,false,null,null,0]"},
        {"attribute_type= attribute_value=0.25", "[3,0,0.25,false,null,null,0]"},
        {"attribute_type= attribute_value=false", "[4,0,0.0,false,null,null,0]"},
        {"attribute_type=Int attribute_value='no'", "null"},
        {"attribute_type=Datetime attribute_value='yesterday'", "null"},
        {"attribute_type=Int attribute_value={broken", "null"},
    };
    struct story *s = *state;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        char expected[200];
        s->event_count = 0;
        snprintf(expected, sizeof expected, "Started type=SaysStarted input='A' attribute=A %s",
                 starts[i].started);
        story_tell(s, expected);
        story_tell(s, "WFTScheduled; WFTStarted");
        snprintf(expected, sizeof expected, "Complete result=%s", starts[i].expected);
        story_expect_replayed(s, expected);
    }
}

static void test_memo_is_read_and_changed(void **state)
{
    struct story *s = *state;
    story_tell(s,
               "Started type=Memo input={'note':null,'more':[1]} memo=note memo_value='old'" TASK);
    both_expect(s, "ModifyMemo note=null more=[1]\nStartTimer id=1 ms=1000");
    story_tell(s, "WFTCompleted; MemoModified; TimerStarted id=1; TimerFired id=1" TASK);
    both_expect(s, "Complete result=['old',null,[1]]");
}

static void test_info_says_what_the_run_was_started_with(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Info"));
    both_expect(s, "Complete result=['run-1','','','','','','','',0,-1,null,'','',0,null,null]");
    s->event_count = 0;
    story_tell(s, "Started type=Info first=run-0 continued=run-x parent=mother root=grandmother "
                  "cron=@daily run_timeout=5000 attempts=3 last=[1] failed=badly priority=2 "
                  "fairness=gold header=trace header_value='t'" TASK);
    story_expect_replayed(
        s, "Complete result=['run-0','run-x','mother','parent-run','default','grandmother',"
           "'root-run','@daily',5000,3,[1],'badly (type Earlier)','Earlier',2,'gold','t']");
}

static void test_run_continues_with_what_it_has(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=GoesOn input=[1] memo=note memo_value='old' attribute=Key "
                  "attribute_type=Keyword attribute_value='k' attempts=3" TASK);
    both_expect(s, "ModifyMemo more=2\nUpsert Count=1:Int\nStartTimer id=1 ms=1000");
    story_tell(s, "WFTCompleted; MemoModified; Upserted name=Count; TimerStarted id=1");
    story_tell(s, "TimerFired id=1" TASK);
    both_expect(s, "ContinueAsNew type=GoesOn queue=queue input=[1] attempts=3 note='old' more=2 "
                   "Key='k':Keyword Count=1:Int");
    assert_true(s->answer.closes);
    story_tell(s, "WFTCompleted; ContinuedAsNew");
    story_expect_replayed(s, "");
}

static void test_run_continues_as_told(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=GoesOnOtherwise memo=note memo_value='old'" TASK);
    both_expect(s, "ContinueAsNew type=Other queue=elsewhere input=null run=5000 task=3000 "
                   "attempts=5 h=1 note='new' Last=false:Bool");
}

static void test_code_alone_continues_nothing(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("OnlySaysSo"));
    both_expect(s, "Fail the workflow continues as a new run (type FLO_ECONTINUE)");
}

static void test_continuing_without_its_code_is_warned_of(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Forgets"));
    story_expect_asked(s, "Complete");
    assert_non_null(strstr(s->log, "although it had called flo_continue_as_new()"));
}

static void test_bug_fails_the_task(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=Bug input=false" TASK);
    both_expect(s, "task failed (cause 14): stage 7 is not known?");
    s->event_count = 0;
    story_tell(s, "Started type=Bug input=true" TASK);
    assert_non_null(strstr(story_replayed(s), "task failed (cause 24): "));
}

static void test_failures_are_looked_into_and_raised(void **state)
{
    struct story *s = *state;
    story_tell(s, BEGIN("Raises"));
    story_answer(s);
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=work");
    story_tell(s, "ActivityTimedOut scheduled=5 message=late" TASK);
    both_expect(s, "Fail outside (type Outer): inside (type Inner): Activity task timed out (type "
                   "Activity): late (type Timeout)");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown)
#define DROPPING(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown_dropping)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DROPPING(test_attributes_are_set_and_read_back),
        DROPPING(test_attributes_that_cannot_be_are_refused),
        DROPPING(test_attributes_of_the_start_are_read),
        DROPPING(test_memo_is_read_and_changed),
        DROPPING(test_info_says_what_the_run_was_started_with),
        DROPPING(test_run_continues_with_what_it_has),
        DROPPING(test_run_continues_as_told),
        DROPPING(test_code_alone_continues_nothing),
        DROPPING(test_continuing_without_its_code_is_warned_of),
        TEST(test_bug_fails_the_task),
        DROPPING(test_failures_are_looked_into_and_raised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
