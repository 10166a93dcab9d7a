/* SPDX-License-Identifier: Apache-2.0 */
/* test_trace.c - spans of a run: once each, by the code that runs first; the same ids in replays.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "support/cmocka_env.h"
#include "support/story.h"
#include "wire/tracer.h"
#include "workflow/heap.h"

#define CLIENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static const struct flo_activity_options remote = {.start_to_close_ms = 30000};
static const struct flo_local_activity_options local = {.start_to_close_ms = 30000};

/* A local activity, one activity, a signal, another activity; fails. */
static int busy(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    int rc = flo_local_activity(wf, "near", input, &local, NULL);
    if (rc == 0)
        rc = flo_activity(wf, "first", input, &remote, NULL);
    if (rc == 0)
        rc = flo_signal_await(wf, "go", -1, NULL);
    if (rc == 0)
        rc = flo_activity(wf, "second", input, &remote, out_result);
    return rc ? rc : flo_workflow_fail(wf, "Sad", true, NULL, "no good");
}

static int calm(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    *out_result = json_string(flo_workflow_info(wf)->traceparent);
    return 0;
}

static int one(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return flo_activity(wf, "first", input, &remote, out_result);
}

static const struct flo_workflow_entry workflows[] = {
    {"Busy", busy}, {"Calm", calm}, {"One", one}, {NULL, NULL}};
static const struct flo_trace_sampler always = {.root = FLO_TRACE_ALWAYS_ON, .parent_based = true};
static const struct flo_trace_sampler never = {.root = FLO_TRACE_ALWAYS_OFF, .parent_based = true};

static int setup(void **state)
{
    story_setup(state, workflows);
    ((struct story *)*state)->env.tracing = &always;
    return 0;
}

/* A header as the client's interceptor makes it; NULL text: none. */
static FloApi__Header *header_of(struct story *s, const char *traceparent)
{
    struct flo_tracer_data data = {.tracestate = "a=1", .baggage = "k=v"};
    if (!traceparent)
        return NULL;
    assert_true(flo_traceparent_parse(traceparent, &data.context));
    return flo_tracer_header(&data, &s->arena);
}

static void begin(struct story *s, const char *type, const char *traceparent)
{
    char line[120];
    snprintf(line, sizeof line, "Started type=%s input=1; WFTScheduled; WFTStarted", type);
    story_tell(s, line);
    s->events[0]->workflow_execution_started_event_attributes->header = header_of(s, traceparent);
}

/* The spans in words: what each is, and what it is below. */
static const char *spans(struct story *s, const struct flo_activation *answer)
{
    struct flo_trace_context client;
    struct flo_buf out;
    uint8_t root[FLO_SPAN_ID_BYTES];
    flo_traceparent_parse(CLIENT, &client);
    flo_trace_derive(root, sizeof root, "RunWorkflow", "run-1", NULL);
    flo_buf_init(&out, 0);
    for (const struct flo_run_span *span = answer->spans; span; span = span->next) {
        const uint8_t *parent = span->parent.span_id;
        flo_buf_printf(&out, "%s%s:%s %s", span == answer->spans ? "" : "; ", span->verb,
                       span->what,
                       !span->has_parent                        ? "root"
                       : memcmp(parent, client.span_id, 8) == 0 ? "below client"
                       : memcmp(parent, root, 8) == 0           ? "below run"
                                                                : "astray");
        if (span->linked)
            flo_buf_append_str(&out, " linked");
        if (span->error)
            flo_buf_printf(&out, " %s: %s", span->error_type, span->error);
    }
    const char *text = flo_arena_strdup(&s->arena, flo_buf_cstr(&out));
    flo_buf_fini(&out);
    return text;
}

/* What the header of the first command says: it must be an activity's. */
static struct flo_tracer_data passed_on(struct story *s, const struct flo_activation *answer,
                                        size_t command)
{
    struct flo_tracer_data data;
    assert_true(command < answer->command_count);
    assert_true(flo_tracer_read(
        answer->commands[command]->schedule_activity_task_command_attributes->header, &s->arena,
        &data));
    return data;
}

/* The task at hand by a run that has seen nothing: its answer into out. */
static void replay(struct story *s, struct flo_activation *out)
{
    struct flo_run *run = story_run_new(s);
    assert_int_equal(flo_run_activate(run, story_task(s, 1, s->event_count), &s->arena, out), 0);
    flo_run_destroy(&run);
}

/* Each task gives the spans of what its code did, and no replay gives them again. */
static void test_spans_of_each_task_come_once(void **state)
{
    struct story *s = *state;
    struct flo_activation again = {0};
    begin(s, "Busy", CLIENT);
    story_answer(s);
    assert_int_equal(s->answer.outcome, FLO_ACTIVATION_OPEN);
    story_local(s, "1 result=1 ran=20");
    assert_string_equal(spans(s, &s->answer), "RunWorkflow:Busy below client; "
                                              "StartActivity:near below run; "
                                              "StartActivity:first below run");
    assert_string_equal(s->answer.spans->tracestate, "a=1");
    struct flo_tracer_data first = passed_on(s, &s->answer, 1);
    assert_memory_equal(first.context.span_id, s->answer.spans->next->next->context.span_id, 8);
    assert_string_equal(first.tracestate, "a=1");
    assert_string_equal(first.baggage, "k=v");
    assert_int_equal(first.context.flags, 1);

    story_tell(s, "WFTCompleted");
    story_tell(s, "Marker seq=1 type=near result=1");
    story_tell(s, "ActivityScheduled id=2 type=first; Signaled name=go; WFTScheduled; WFTStarted");
    s->events[6]->workflow_execution_signaled_event_attributes->header = header_of(s, CLIENT);
    story_answer(s);
    assert_string_equal(spans(s, &s->answer), "HandleSignal:go below run linked");
    story_tell(s, "WFTCompleted; ActivityCompleted scheduled=6 result=1; WFTScheduled; WFTStarted");
    replay(s, &again);
    story_answer(s);
    assert_string_equal(spans(s, &s->answer), "StartActivity:second below run");
    assert_string_equal(spans(s, &again), "StartActivity:second below run");
    struct flo_tracer_data live = passed_on(s, &s->answer, 0), replayed = passed_on(s, &again, 0);
    assert_memory_equal(&live.context, &replayed.context, sizeof live.context);
    assert_memory_not_equal(live.context.span_id, first.context.span_id, 8);

    story_tell(s, "WFTCompleted; ActivityScheduled id=3 type=second; "
                  "ActivityCompleted scheduled=15 result=1; WFTScheduled; WFTStarted");
    story_evict(s);
    replay(s, &again);
    assert_string_equal(spans(s, &again), "CompleteWorkflow:Busy below run Sad: no good");
}

/* A task that is answered while local activities go on gives what there is; the next one the rest.
 */
static void test_spans_of_a_task_held_open(void **state)
{
    struct story *s = *state;
    begin(s, "Busy", CLIENT);
    story_answer(s);
    story_yielded(s);
    assert_true(s->answer.more);
    assert_string_equal(spans(s, &s->answer),
                        "RunWorkflow:Busy below client; StartActivity:near below run");
    story_tell(s, "WFTCompleted; WFTScheduled; WFTStarted");
    story_answer(s);
    assert_int_equal(s->answer.outcome, FLO_ACTIVATION_OPEN);
    story_local(s, "1 result=1 ran=20");
    assert_string_equal(spans(s, &s->answer), "StartActivity:first below run");
}

/* An answer that never came, a task that failed: whoever does it again has the same spans, once. A
 * query has none, and takes none away from the task that is still to be answered. */
static void test_spans_of_tasks_that_are_done_again(void **state)
{
    struct story *s = *state;
    struct flo_activation lost = {0}, again = {0};
    FloApi__WorkflowQuery query;
    begin(s, "One", CLIENT);
    replay(s, &lost);
    story_tell(s, "WFTTimedOut; WFTScheduled; WFTStarted");
    story_tell(s, "WFTFailed cause=14; WFTScheduled; WFTStarted");
    replay(s, &again);
    assert_string_equal(spans(s, &again),
                        "RunWorkflow:One below client; StartActivity:first below run");
    assert_memory_equal(lost.spans->next->context.span_id, again.spans->next->context.span_id, 8);

    story_tell(s, "WFTCompleted; ActivityScheduled id=1 type=first");
    story_tell(s, "ActivityCompleted scheduled=11 result=1; WFTScheduled; WFTStarted");
    struct flo_run *run = story_run_new(s);
    FloApi__PollWorkflowTaskQueueResponse *task = story_task(s, 1, s->event_count);
    flo_api__workflow_query__init(&query);
    task->query = &query;
    assert_int_equal(flo_run_activate(run, task, &s->arena, &again), 0);
    assert_null(again.spans);
    task = story_task(s, 1, s->event_count);
    assert_int_equal(flo_run_activate(run, task, &s->arena, &again), 0);
    flo_run_destroy(&run);
    assert_string_equal(spans(s, &again), "CompleteWorkflow:One below run");
}

/* Nobody began the trace: the run does, in each replay the same one; its sampler is asked. */
static void test_without_a_parent(void **state)
{
    struct story *s = *state;
    struct flo_activation again = {0};
    begin(s, "Calm", NULL);
    story_answer(s);
    assert_string_equal(spans(s, &s->answer),
                        "RunWorkflow:Calm root; CompleteWorkflow:Calm below run");
    replay(s, &again);
    assert_memory_equal(&s->answer.spans->context, &again.spans->context,
                        sizeof again.spans->context);
    s->env.tracing = &never;
    replay(s, &again);
    assert_null(again.spans);
}

/* Not recorded: no spans, but activities are told so. */
static void test_not_sampled_is_passed_on(void **state)
{
    struct story *s = *state;
    begin(s, "One", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
    story_answer(s);
    assert_null(s->answer.spans);
    assert_int_equal(passed_on(s, &s->answer, 0).context.flags, 0);
}

/* A worker that does not trace passes nothing on, and says nothing. */
static void test_without_tracing(void **state)
{
    struct story *s = *state;
    s->env.tracing = NULL;
    begin(s, "One", CLIENT);
    story_answer(s);
    assert_null(s->answer.spans);
    assert_null(s->answer.commands[0]->schedule_activity_task_command_attributes->header);
    s->event_count = s->delivered = 0;
    s->previous_started = 0;
    story_evict(s);
    begin(s, "Calm", CLIENT);
    story_expect(s, "Complete result=''");
}

/* After a reset the run has another id: what it begins is new, what began before it is not. */
static void test_reset_run_goes_on_below_the_first_runs_span(void **state)
{
    struct story *s = *state;
    struct flo_activation first = {0}, reset = {0};
    struct flo_run *run = NULL;
    begin(s, "One", CLIENT);
    replay(s, &first);
    assert_int_equal(flo_run_new(&s->env, story_lookup, s, "workflow-1", "run-2", &run), 0);
    assert_int_equal(flo_run_activate(run, story_task(s, 1, s->event_count), &s->arena, &reset), 0);
    flo_run_destroy(&run);
    struct flo_tracer_data a = passed_on(s, &first, 0), b = passed_on(s, &reset, 0);
    assert_memory_equal(first.spans->context.span_id, reset.spans->context.span_id, 8);
    assert_memory_not_equal(a.context.span_id, b.context.span_id, 8);
}

/* Each allocation fails once: memory is out, or the answer is right. */
static void test_each_allocation_fails_once(void **state)
{
    struct story *s = *state;
    begin(s, "One", CLIENT);
    bool done = false;
    for (int64_t n = 0; !done; n++) {
        struct flo_activation answer = {0};
        struct flo_run *run = NULL;
        struct flo_arena arena;
        FloApi__PollWorkflowTaskQueueResponse *task = story_task(s, 1, s->event_count);
        flo_arena_init(&arena, 0);
        flo_alloc_fail_after(n, false);
        int rc = flo_run_new(&s->env, story_lookup, s, "workflow-1", "run-1", &run);
        if (rc == 0)
            rc = flo_run_activate(run, task, &arena, &answer);
        done = !flo_alloc_seam_fails() && rc == 0 && n > 200;
        flo_alloc_fail_after(-1, 0);
        assert_true(rc == 0 || rc == FLO_ENOMEM);
        if (rc == 0)
            assert_string_equal(spans(s, &answer),
                                "RunWorkflow:One below client; StartActivity:first below run");
        flo_run_destroy(&run);
        flo_arena_fini(&arena);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_spans_of_each_task_come_once),
        T(test_spans_of_a_task_held_open),
        T(test_spans_of_tasks_that_are_done_again),
        T(test_without_a_parent),
        T(test_not_sampled_is_passed_on),
        T(test_without_tracing),
        T(test_reset_run_goes_on_below_the_first_runs_span),
        T(test_each_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
