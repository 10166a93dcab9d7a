/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_sample.c - the workflows that the documentation shows, as modules of their own: the
 * document pipeline of docs/architecture.md and the order of docs/writing-workflows.md.
 */
#include "flotilla/worker.h"
#include "support/cmocka_env.h"
#include "support/story.h"

/* ---- docs/writing-workflows.md, to the letter ---- */

static const struct flo_activity_options quick = {.start_to_close_ms = 10000};

static int give_back(struct flo_workflow *wf, json_t *order, int why)
{
    flo_cancel_shield(wf, true); /* goes on although the workflow is cancelled */
    int rc = flo_activity(wf, "release_stock", order, &quick, NULL);
    flo_cancel_shield(wf, false);
    return rc ? rc : why;
}

static int order_workflow(struct flo_workflow *wf, json_t *order, json_t **out_result)
{
    const struct flo_retry_policy thrice = {.maximum_attempts = 3};
    const struct flo_activity_options charge = {.start_to_close_ms = 30000, .retry = &thrice};
    json_t *items = json_object_get(order, "items"), *approval, *receipt;

    struct flo_group *stock = flo_group_new(wf);
    for (size_t i = 0; i < json_array_size(items); i++)
        flo_group_add(stock, flo_activity_start(wf, "reserve", json_array_get(items, i), &quick));
    int rc = flo_group_await_all(stock, NULL);
    if (rc)
        return rc;

    rc = flo_signal_await(wf, "approve", 24 * 3600 * 1000, &approval);
    if (rc == FLO_ETIMEDOUT)
        rc = flo_workflow_fail(wf, "NotApproved", true, NULL, "nobody approved within a day");
    if (rc)
        return give_back(wf, order, rc);

    rc = flo_activity(wf, "charge", order, &charge, &receipt);
    if (rc == FLO_EFAILED)
        flo_workflow_log(wf, FLO_LOG_WARN, "not charged: %s", flo_failure_message(wf));
    if (rc)
        return give_back(wf, order, rc);
    *out_result = json_pack("{s:O, s:o}", "approved_by", approval, "receipt", receipt);
    return 0;
}

/* ---- the document pipeline ---- */

static int document_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_activity_options io = {.task_queue = "document-io-activity-queue",
                                            .start_to_close_ms = 30000};
    const struct flo_activity_options cpu = {.task_queue = "document-cpu-activity-queue",
                                             .start_to_close_ms = 60000};
    json_t *document, *chunks;
    int rc;

    rc = flo_activity(wf, "fetch_document", input, &io, &document);
    if (rc)
        return rc;
    rc = flo_activity(wf, "extract_text", document, &cpu, &chunks);
    if (rc)
        return rc;

    struct flo_group *analyses = flo_group_new(wf);
    for (size_t i = 0; i < json_array_size(chunks); i++)
        flo_group_add(analyses,
                      flo_activity_start(wf, "analyze_chunk", json_array_get(chunks, i), &cpu));
    rc = flo_group_await_all(analyses, out_result);
    return rc;
}

static int nothing(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)ctx, (void)input, (void)out_result;
    return 0;
}

static const struct flo_module module = {
    .abi = FLO_MODULE_ABI,
    .name = "samples",
    .workflows = FLO_WORKFLOWS({"DocumentWorkflow", document_workflow}, {"Order", order_workflow}),
    .activities = FLO_ACTIVITIES({"fetch_document", nothing}, {"extract_text", nothing}),
};

static int setup(void **state)
{
    return story_setup(state, module.workflows);
}

static void test_document_goes_through_its_queues(void **state)
{
    struct story *s = *state;
    story_tell(s, "Started type=DocumentWorkflow input={'uri':'file:///a'}; WFTScheduled");
    story_tell(s, "WFTStarted");
    story_expect(s, "ScheduleActivity id=1 type=fetch_document queue=document-io-activity-queue "
                    "stc=30000 input={'uri':'file:///a'}");
    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=fetch_document");
    story_tell(s, "ActivityCompleted scheduled=5 result={'size':3}; WFTScheduled; WFTStarted");
    story_expect(s, "ScheduleActivity id=2 type=extract_text queue=document-cpu-activity-queue "
                    "stc=60000 input={'size':3}");
    story_tell(s, "WFTCompleted; ActivityScheduled id=2 type=extract_text");
    story_tell(s, "ActivityCompleted scheduled=10 result=['a','b']; WFTScheduled; WFTStarted");
    story_expect(s, "ScheduleActivity id=3 type=analyze_chunk queue=document-cpu-activity-queue "
                    "stc=60000 input='a'\n"
                    "ScheduleActivity id=4 type=analyze_chunk queue=document-cpu-activity-queue "
                    "stc=60000 input='b'");
    story_tell(s, "WFTCompleted; ActivityScheduled id=3 type=analyze_chunk");
    story_tell(s, "ActivityScheduled id=4 type=analyze_chunk; ActivityCompleted scheduled=16 "
                  "result={'words':2}; ActivityCompleted scheduled=15 result={'words':1}");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "Complete result=[{'words':1},{'words':2}]");
    story_expect_replayed(s, "Complete result=[{'words':1},{'words':2}]");
}

#define ORDER "Started type=Order input={'items':[7]}; WFTScheduled; WFTStarted"
#define RESERVED                                                                                   \
    "WFTCompleted; ActivityScheduled id=1 type=reserve; ActivityCompleted scheduled=5;"            \
    "WFTScheduled; WFTStarted"

static void test_order_is_approved_and_charged(void **state)
{
    struct story *s = *state;
    story_tell(s, ORDER);
    story_expect(s, "ScheduleActivity id=1 type=reserve queue=queue stc=10000 input=7");
    story_tell(s, RESERVED);
    story_expect(s, "StartTimer id=1 ms=86400000");
    story_tell(s, "WFTCompleted; TimerStarted id=1; Signaled name=approve input='ann'");
    story_tell(s, "WFTScheduled; WFTStarted");
    story_expect(s, "CancelTimer id=1\nScheduleActivity id=2 type=charge queue=queue stc=30000 "
                    "attempts=3 input={'items':[7]}");
    story_tell(s, "WFTCompleted; TimerCanceled id=1; ActivityScheduled id=2 type=charge");
    story_tell(s, "ActivityCompleted scheduled=16 result=99; WFTScheduled; WFTStarted");
    story_expect(s, "Complete result={'approved_by':'ann','receipt':99}");
}

static void test_order_without_approval_fails_and_gives_back(void **state)
{
    struct story *s = *state;
    story_tell(s, ORDER ";" RESERVED);
    story_tell(s, "WFTCompleted; TimerStarted id=1; TimerFired id=1; WFTScheduled; WFTStarted");
    story_expect(s, "ScheduleActivity id=2 type=release_stock queue=queue stc=10000 "
                    "input={'items':[7]}");
    story_tell(s, "WFTCompleted; ActivityScheduled id=2 type=release_stock");
    story_tell(s, "ActivityCompleted scheduled=15; WFTScheduled; WFTStarted");
    story_expect(s, "Fail nobody approved within a day (type NotApproved)");
}

static void test_cancelled_order_gives_back(void **state)
{
    struct story *s = *state;
    story_tell(s, ORDER ";" RESERVED);
    story_tell(s, "WFTCompleted; TimerStarted id=1; CancelRequested; WFTScheduled; WFTStarted");
    story_expect(s, "CancelTimer id=1\nScheduleActivity id=2 type=release_stock queue=queue "
                    "stc=10000 input={'items':[7]}");
    story_tell(s, "WFTCompleted; TimerCanceled id=1; ActivityScheduled id=2 type=release_stock");
    story_tell(s, "ActivityCompleted scheduled=16; WFTScheduled; WFTStarted");
    story_expect(s, "Cancel");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_document_goes_through_its_queues),
        T(test_order_is_approved_and_charged),
        T(test_order_without_approval_fails_and_gives_back),
        T(test_cancelled_order_gives_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
