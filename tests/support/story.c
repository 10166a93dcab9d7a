/* SPDX-License-Identifier: Apache-2.0 */
/* story.c - hands a story's events to a run, and its answers to the test. */
#include "support/story.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/story_internal.h"
#include "support/transitions.h"
#include "wire/decode.h"
#include "workflow/heap.h"
#include "workflow/names.h"

flo_workflow_fn story_lookup(void *ctx, const char *type)
{
    const struct story *s = ctx;
    for (const struct flo_workflow_entry *e = s->workflows; e->type; e++) {
        if (strcmp(e->type, type) == 0)
            return e->run;
    }
    return NULL;
}

static void log_line(void *ctx, enum flo_log_level level, const char *workflow_id,
                     const char *run_id, const char *type, const char *traceparent,
                     const char *message)
{
    struct story *s = ctx;
    (void)level, (void)workflow_id, (void)run_id, (void)type, (void)traceparent;
    s->log = flo_arena_printf(&s->arena, "%s%s%s", s->log, *s->log ? "|" : "", message);
}

void story_begin(struct story *s, const struct flo_workflow_entry *workflows)
{
    static const char *const types[] = {"Known", "Other", NULL};
    *s = (struct story){.workflows = workflows};
    flo_arena_init(&s->arena, 0);
    s->log = flo_arena_strdup(&s->arena, "");
    s->env = (struct flo_run_env){.namespace_ = "default",
                                  .identity = "test",
                                  .workflow_types = types,
                                  .log = log_line,
                                  .log_ctx = s};
    flo_workflow_jansson_install();
    transitions_watch();
}

void story_end(struct story *s)
{
    flo_run_destroy(&s->run);
    flo_arena_fini(&s->arena);
    free(s->events);
    assert_int_equal(flo_heap_total_bytes(), 0);
}

int story_setup(void **state, const struct flo_workflow_entry *workflows)
{
    static struct story story;
    story_begin(&story, workflows);
    *state = &story;
    return 0;
}

int story_teardown(void **state)
{
    story_end(*state);
    return 0;
}

static bool is_task_at(const struct story *s, size_t i)
{
    return s->events[i]->event_type == FLO_EVENT(WORKFLOW_TASK_STARTED) &&
           (i + 1 == s->event_count ||
            s->events[i + 1]->event_type == FLO_EVENT(WORKFLOW_TASK_COMPLETED));
}

/* Tell nothing new, only how far a run stands. */
static void look_at(const struct flo_run *run)
{
    struct flo_buf text;
    flo_buf_init(&text, 0);
    assert_int_equal(flo_run_stack_text(run, &text), 0);
    assert_true(flo_run_bytes(run) > 0);
    flo_buf_fini(&text);
}

static void drop_after(struct story *s, size_t tasks, bool in_one_go)
{
    struct flo_run *run = story_run_new(s);
    struct flo_activation answer = {0};
    size_t from = 1;
    s->previous_started = 0;
    for (size_t i = 0; i < s->event_count && tasks > 0; i++) {
        if (!is_task_at(s, i) || (--tasks > 0 && in_one_go))
            continue;
        FloApi__PollWorkflowTaskQueueResponse *task = story_task(s, from, i + 1);
        assert_int_equal(flo_run_activate(run, task, &s->arena, &answer), 0);
        s->previous_started = (int64_t)(i + 1);
        from = i + 2;
    }
    look_at(run);
    flo_run_destroy(&run);
    assert_int_equal(flo_heap_total_bytes(), 0);
}

void story_drop_at_each_task(struct story *s)
{
    size_t tasks = 0;
    flo_run_destroy(&s->run);
    for (size_t i = 0; i < s->event_count; i++)
        tasks += is_task_at(s, i);
    for (size_t n = 1; n <= tasks; n++) {
        drop_after(s, n, true);
        drop_after(s, n, false);
    }
}

int story_teardown_dropping(void **state)
{
    story_drop_at_each_task(*state);
    return story_teardown(state);
}

struct flo_run *story_run_new(struct story *s)
{
    struct flo_run *run = NULL;
    assert_int_equal(flo_run_new(&s->env, story_lookup, s, "workflow-1", "run-1", &run), 0);
    return run;
}

void story_evict(struct story *s)
{
    flo_run_destroy(&s->run);
}

/* The task as it comes out of the wire, where only what the runtime reads is decoded. */
static FloApi__PollWorkflowTaskQueueResponse *as_received(
    struct story *s, const FloApi__PollWorkflowTaskQueueResponse *task)
{
    ProtobufCMessage *received = NULL;
    uint8_t *bytes;
    size_t len;
    assert_int_equal(flo_wire_encode_arena(&task->base, &s->arena, &bytes, &len), 0);
    assert_int_equal(flo_wire_decode_part(task->base.descriptor, &flo_workflow_part, bytes, len,
                                          &s->arena, &received, NULL),
                     0);
    return (FloApi__PollWorkflowTaskQueueResponse *)received;
}

FloApi__PollWorkflowTaskQueueResponse *story_task(struct story *s, size_t from, size_t to)
{
    FloApi__PollWorkflowTaskQueueResponse *task = flo_arena_alloc(&s->arena, sizeof *task);
    flo_api__poll_workflow_task_queue_response__init(task);
    task->previous_started_event_id = s->previous_started;
    task->attempt = 1;
    task->history = flo_arena_alloc(&s->arena, sizeof *task->history);
    flo_api__history__init(task->history);
    if (to >= from) {
        task->history->events = s->events + from - 1;
        task->history->n_events = to - from + 1;
    }
    if (s->legacy_query || s->query) {
        FloApi__WorkflowQuery *query = flo_arena_alloc(&s->arena, sizeof *query);
        flo_api__workflow_query__init(query);
        query->query_type =
            flo_arena_strdup(&s->arena, s->legacy_query ? s->legacy_query : s->query);
        query->query_args = story_arguments(s, s->query_args);
        if (s->legacy_query) {
            task->query = query;
        } else {
            static char key[] = "q1";
            task->queries = flo_arena_alloc(&s->arena, sizeof(void *));
            task->queries[0] = flo_arena_alloc(&s->arena, sizeof *task->queries[0]);
            flo_api__poll_workflow_task_queue_response__queries_entry__init(task->queries[0]);
            task->queries[0]->key = key;
            task->queries[0]->value = query;
            task->n_queries = 1;
        }
    }
    task->messages = s->messages;
    task->n_messages = s->message_count;
    if (!s->keep) {
        s->legacy_query = s->query = s->query_args = NULL;
        s->messages = NULL;
        s->message_count = 0;
    }
    return as_received(s, task);
}

const char *story_answer(struct story *s)
{
    if (!s->run)
        s->run = story_run_new(s);
    FloApi__PollWorkflowTaskQueueResponse *task = story_task(s, s->delivered + 1, s->event_count);
    if (flo_run_missing_history(s->run, task))
        return "missing history";
    s->answer_rc = flo_run_activate(s->run, task, &s->arena, &s->answer);
    s->task = task;
    s->delivered = s->event_count;
    if (!task->query)
        s->previous_started = (int64_t)s->event_count;
    return story_words(s, s->answer_rc, &s->answer);
}

const char *story_replayed(struct story *s)
{
    struct flo_run *run = story_run_new(s);
    struct flo_activation answer = {0};
    int rc = flo_run_activate(run, story_task(s, 1, s->event_count), &s->arena, &answer);
    const char *text = story_words(s, rc, &answer);
    flo_run_destroy(&run);
    return text;
}

const char *story_local(struct story *s, const char *words)
{
    struct flo_local_result result;
    story_local_result(s, words, &result);
    s->answer_rc = flo_run_resolve_local(s->run, s->task, &result, &s->arena, &s->answer);
    return story_words(s, s->answer_rc, &s->answer);
}

const char *story_yielded(struct story *s)
{
    s->answer_rc = flo_run_yield_task(s->run, s->task, &s->arena, &s->answer);
    return story_words(s, s->answer_rc, &s->answer);
}

void story_expect_asked(struct story *s, const char *expected)
{
    FloApi__Message **messages = s->messages;
    size_t count = s->message_count;
    if (s->run) {
        s->legacy_query = "__stack_trace";
        s->messages = NULL;
        s->message_count = 0;
        size_t events = s->event_count;
        s->event_count = s->delivered; /* it comes without news */
        assert_non_null(strstr(story_answer(s), "query result='"));
        s->event_count = events;
        s->messages = messages;
        s->message_count = count;
    }
    s->keep = true;
    story_expect_replayed(s, expected);
    s->keep = false;
    story_expect(s, expected);
}
