/* SPDX-License-Identifier: Apache-2.0 */
/* story.c - words to history events, commands to words. */
#include "support/story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "support/cmocka_env.h"
#include "wire/failure.h"
#include "wire/payload.h"
#include "workflow/heap.h"
#include "workflow/names.h"

/* One event's words: a name and key=value pairs. */
struct words {
    char *name;
    char *key[16], *value[16];
    size_t count;
};

static const char *word(const struct words *w, const char *key, const char *otherwise)
{
    for (size_t i = 0; i < w->count; i++) {
        if (strcmp(w->key[i], key) == 0)
            return w->value[i];
    }
    return otherwise;
}

static int64_t number(const struct words *w, const char *key)
{
    return strtoll(word(w, key, "0"), NULL, 10);
}

static char *text_of(struct story *s, const struct words *w, const char *key, const char *otherwise)
{
    return flo_arena_strdup(&s->arena, word(w, key, otherwise));
}

static FloApi__Payloads *payloads(struct story *s, const struct words *w, const char *key)
{
    const char *text = word(w, key, NULL);
    if (!text)
        return NULL;
    FloApi__Payloads *all = flo_payloads_from_json(&s->arena, json_null());
    FloApi__Payload *one = flo_arena_alloc(&s->arena, sizeof *one);
    FloApi__Payload__MetadataEntry *meta = flo_arena_alloc(&s->arena, sizeof *meta);
    FloApi__Payload__MetadataEntry **metas = flo_arena_alloc(&s->arena, sizeof(void *));
    static uint8_t plain[] = "json/plain";
    static char encoding[] = "encoding";
    char *json = flo_arena_strdup(&s->arena, text);
    for (char *c = json; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    flo_api__payload__init(one);
    flo_api__payload__metadata_entry__init(meta);
    meta->key = encoding;
    meta->value = (ProtobufCBinaryData){sizeof plain - 1, plain};
    metas[0] = meta;
    one->metadata = metas;
    one->n_metadata = 1;
    one->data = (ProtobufCBinaryData){strlen(json), (uint8_t *)json};
    all->payloads[0] = one;
    return all;
}

/* Make attributes of one kind: storage, init, and the oneof's case. */
#define ATTRIBUTES(event, lower, upper, type)                                                      \
    FloApi__##type##EventAttributes *a = flo_arena_alloc(&s->arena, sizeof *a);                    \
    flo_api__##lower##_event_attributes__init(a);                                                  \
    (event)->lower##_event_attributes = a;                                                         \
    (event)->attributes_case = FLO_API__HISTORY_EVENT__ATTRIBUTES_##upper##_EVENT_ATTRIBUTES;      \
    (event)->event_type = FLO_EVENT(upper)

static void started(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    ATTRIBUTES(event, workflow_execution_started, WORKFLOW_EXECUTION_STARTED,
               WorkflowExecutionStarted);
    a->workflow_type = flo_arena_alloc(&s->arena, sizeof *a->workflow_type);
    flo_api__workflow_type__init(a->workflow_type);
    a->workflow_type->name = text_of(s, w, "type", "");
    a->task_queue = flo_arena_alloc(&s->arena, sizeof *a->task_queue);
    flo_api__task_queue__init(a->task_queue);
    a->task_queue->name = text_of(s, w, "queue", "queue");
    a->original_execution_run_id = text_of(s, w, "original", "run-1");
    a->workflow_task_timeout = flo_duration_new(&s->arena, 10 * FLO_NS_PER_S);
    a->input = payloads(s, w, "input");
    a->attempt = 1;
}

static void wft_started(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    ATTRIBUTES(event, workflow_task_started, WORKFLOW_TASK_STARTED, WorkflowTaskStarted);
    a->history_size_bytes = number(w, "bytes");
    a->suggest_continue_as_new = number(w, "suggest") != 0;
}

static void wft_failed(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    ATTRIBUTES(event, workflow_task_failed, WORKFLOW_TASK_FAILED, WorkflowTaskFailed);
    a->cause = (FloApi__WorkflowTaskFailedCause)number(w, "cause");
    a->new_run_id = text_of(s, w, "new_run", "");
}

static void activity_scheduled(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    ATTRIBUTES(event, activity_task_scheduled, ACTIVITY_TASK_SCHEDULED, ActivityTaskScheduled);
    a->activity_id = text_of(s, w, "id", "");
    a->activity_type = flo_arena_alloc(&s->arena, sizeof *a->activity_type);
    flo_api__activity_type__init(a->activity_type);
    a->activity_type->name = text_of(s, w, "type", "");
}

static void activity_started(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    ATTRIBUTES(event, activity_task_started, ACTIVITY_TASK_STARTED, ActivityTaskStarted);
    a->scheduled_event_id = number(w, "scheduled");
}

static void activity_completed(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    ATTRIBUTES(event, activity_task_completed, ACTIVITY_TASK_COMPLETED, ActivityTaskCompleted);
    a->scheduled_event_id = number(w, "scheduled");
    a->result = payloads(s, w, "result");
}

static void activity_failed(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    ATTRIBUTES(event, activity_task_failed, ACTIVITY_TASK_FAILED, ActivityTaskFailed);
    a->scheduled_event_id = number(w, "scheduled");
    a->failure = flo_failure_application(&s->arena, word(w, "message", ""), word(w, "type", ""),
                                         false, NULL, 0);
    a->retry_state = FLO_API__RETRY_STATE__RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED;
}

static void activity_timed_out(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    ATTRIBUTES(event, activity_task_timed_out, ACTIVITY_TASK_TIMED_OUT, ActivityTaskTimedOut);
    a->scheduled_event_id = number(w, "scheduled");
    a->failure = flo_failure_timeout(&s->arena, word(w, "message", "activity StartToClose timeout"),
                                     FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_START_TO_CLOSE);
    a->retry_state = FLO_API__RETRY_STATE__RETRY_STATE_TIMEOUT;
}

static void activity_cancel_requested(struct story *s, const struct words *w,
                                      FloApi__HistoryEvent *event)
{
    ATTRIBUTES(event, activity_task_cancel_requested, ACTIVITY_TASK_CANCEL_REQUESTED,
               ActivityTaskCancelRequested);
    a->scheduled_event_id = number(w, "scheduled");
}

static void activity_canceled(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    ATTRIBUTES(event, activity_task_canceled, ACTIVITY_TASK_CANCELED, ActivityTaskCanceled);
    a->scheduled_event_id = number(w, "scheduled");
    a->details = payloads(s, w, "details");
}

static void timer_started(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    ATTRIBUTES(event, timer_started, TIMER_STARTED, TimerStarted);
    a->timer_id = text_of(s, w, "id", "");
}

static void timer_fired(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    ATTRIBUTES(event, timer_fired, TIMER_FIRED, TimerFired);
    a->timer_id = text_of(s, w, "id", "");
}

static void timer_canceled(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    ATTRIBUTES(event, timer_canceled, TIMER_CANCELED, TimerCanceled);
    a->timer_id = text_of(s, w, "id", "");
}

static void signaled(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    ATTRIBUTES(event, workflow_execution_signaled, WORKFLOW_EXECUTION_SIGNALED,
               WorkflowExecutionSignaled);
    a->signal_name = text_of(s, w, "name", "");
    a->input = payloads(s, w, "input");
}

static void cancel_requested(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    ATTRIBUTES(event, workflow_execution_cancel_requested, WORKFLOW_EXECUTION_CANCEL_REQUESTED,
               WorkflowExecutionCancelRequested);
    a->cause = text_of(s, w, "reason", "");
}

static json_t *time_json(const struct words *w, const char *key)
{
    int64_t ms = number(w, key);
    return ms ? json_pack("{s:I, s:I}", "seconds", (json_int_t)(ms / 1000), "nanos",
                          (json_int_t)(ms % 1000 * FLO_NS_PER_MS))
              : json_null();
}

/* A marker of local activity seq, or (name=) another. */
static void marker(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    ATTRIBUTES(event, marker_recorded, MARKER_RECORDED, MarkerRecorded);
    a->marker_name = text_of(s, w, "name", "core_local_activity");
    json_t *data =
        json_pack("{s:I, s:I, s:s, s:s, s:o, s:o}", "seq", (json_int_t)number(w, "seq"), "attempt",
                  (json_int_t)strtoll(word(w, "attempt", "1"), NULL, 10), "activity_id",
                  word(w, "id", word(w, "seq", "")), "activity_type", word(w, "type", ""),
                  "complete_time", time_json(w, "complete"), "backoff", time_json(w, "backoff"));
    if (word(w, "step", NULL))
        json_object_set_new(data, "activation_index", json_integer(number(w, "step")));
    FloApi__Payloads *values[] = {flo_payloads_from_json(&s->arena, data),
                                  payloads(s, w, "result")};
    static char keys[2][8] = {"data", "result"};
    json_decref(data);
    a->details = flo_arena_alloc(&s->arena, 2 * sizeof(void *));
    for (size_t i = 0; i < 2 && values[i]; i++) {
        a->details[i] = flo_arena_alloc(&s->arena, sizeof *a->details[i]);
        flo_api__marker_recorded_event_attributes__details_entry__init(a->details[i]);
        a->details[i]->key = keys[i];
        a->details[i]->value = values[i];
        a->n_details++;
    }
    if (word(w, "failure", NULL))
        a->failure = strcmp(word(w, "failure", ""), "cancelled") == 0
                         ? flo_failure_cancelled(&s->arena, "Activity cancelled", NULL)
                         : flo_failure_application(&s->arena, word(w, "message", ""),
                                                   word(w, "failure", ""), false, NULL, 0);
}

/* An event whose attributes nobody looks at. */
#define BARE(word, type)                                                                           \
    {                                                                                              \
        word, NULL, FLO_EVENT(type)                                                                \
    }

static const struct {
    const char *name;
    void (*fill)(struct story *s, const struct words *w, FloApi__HistoryEvent *event);
    FloApi__EventType type;
} vocabulary[] = {
    {"Started", started, 0},
    BARE("WFTScheduled", WORKFLOW_TASK_SCHEDULED),
    {"WFTStarted", wft_started, 0},
    BARE("WFTCompleted", WORKFLOW_TASK_COMPLETED),
    {"WFTFailed", wft_failed, 0},
    BARE("WFTTimedOut", WORKFLOW_TASK_TIMED_OUT),
    {"ActivityScheduled", activity_scheduled, 0},
    {"ActivityStarted", activity_started, 0},
    {"ActivityCompleted", activity_completed, 0},
    {"ActivityFailed", activity_failed, 0},
    {"ActivityTimedOut", activity_timed_out, 0},
    {"ActivityCancelRequested", activity_cancel_requested, 0},
    {"ActivityCanceled", activity_canceled, 0},
    {"TimerStarted", timer_started, 0},
    {"TimerFired", timer_fired, 0},
    {"TimerCanceled", timer_canceled, 0},
    {"Signaled", signaled, 0},
    {"CancelRequested", cancel_requested, 0},
    BARE("Completed", WORKFLOW_EXECUTION_COMPLETED),
    BARE("Failed", WORKFLOW_EXECUTION_FAILED),
    BARE("Canceled", WORKFLOW_EXECUTION_CANCELED),
    BARE("Terminated", WORKFLOW_EXECUTION_TERMINATED),
    {"Marker", marker, 0},
    BARE("ChildInitiated", START_CHILD_WORKFLOW_EXECUTION_INITIATED),
    BARE("ChildStarted", CHILD_WORKFLOW_EXECUTION_STARTED),
    BARE("UpdateAdmitted", WORKFLOW_EXECUTION_UPDATE_ADMITTED),
};

static void split(char *line, struct words *out)
{
    char *rest = line;
    *out = (struct words){.name = strsep(&rest, " ")};
    char *pair;
    while ((pair = strsep(&rest, " "))) {
        if (!*pair)
            continue;
        assert_true(out->count < 16);
        char *equals = strchr(pair, '=');
        assert_non_null(equals);
        *equals = '\0';
        out->key[out->count] = pair;
        out->value[out->count++] = equals + 1;
    }
}

static void add_event(struct story *s, char *line)
{
    struct words w;
    split(line, &w);
    FloApi__HistoryEvent *event = flo_arena_alloc(&s->arena, sizeof *event);
    flo_api__history_event__init(event);
    event->worker_may_ignore = number(&w, "may_ignore") != 0;
    size_t i = 0, count = sizeof vocabulary / sizeof *vocabulary;
    while (i < count && strcmp(vocabulary[i].name, w.name) != 0)
        i++;
    if (strcmp(w.name, "Unknown") == 0)
        event->event_type = (FloApi__EventType)9999;
    else if (i == count)
        fail_msg("no event is called %s", w.name);
    else if (vocabulary[i].fill)
        vocabulary[i].fill(s, &w, event);
    else
        event->event_type = vocabulary[i].type;
    if (s->event_count == s->event_capacity) {
        s->event_capacity = s->event_capacity ? s->event_capacity * 2 : 64;
        s->events = realloc(s->events, s->event_capacity * sizeof(void *));
        assert_non_null(s->events);
    }
    s->events[s->event_count++] = event;
    event->event_id = (int64_t)s->event_count;
    event->event_time = flo_timestamp_new(&s->arena, (1000 + event->event_id) * FLO_NS_PER_S);
}

void story_tell(struct story *s, const char *events)
{
    char *text = strdup(events), *rest = text, *line;
    assert_non_null(text);
    while ((line = strsep(&rest, ";\n"))) {
        while (*line == ' ')
            line++;
        if (*line)
            add_event(s, line);
    }
    free(text);
}

/* ---- running ---- */

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
                     const char *run_id, const char *type, const char *message)
{
    struct story *s = ctx;
    (void)level, (void)workflow_id, (void)run_id, (void)type;
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
}

void story_end(struct story *s)
{
    flo_run_destroy(&s->run);
    flo_arena_fini(&s->arena);
    free(s->events);
    assert_int_equal(flo_heap_total_bytes(), 0);
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
    s->legacy_query = s->query = NULL;
    return as_received(s, task);
}

/* ---- commands to words ---- */

static void say_payloads(struct flo_buf *out, const char *key, const FloApi__Payloads *payloads)
{
    if (!payloads || payloads->n_payloads == 0)
        return;
    flo_buf_printf(out, " %s=", key);
    const ProtobufCBinaryData *data = &payloads->payloads[0]->data;
    if (data->len == 0)
        flo_buf_append_str(out, "null");
    for (size_t i = 0; i < data->len; i++)
        flo_buf_printf(out, "%c", data->data[i] == '"' ? '\'' : data->data[i]);
}

static void say_ms(struct flo_buf *out, const char *key, const Google__Protobuf__Duration *d)
{
    if (d)
        flo_buf_printf(out, " %s=%lld", key, (long long)(flo_duration_ns(d) / FLO_NS_PER_MS));
}

static void say_failure(struct flo_buf *out, const FloApi__Failure *failure)
{
    flo_buf_append_str(out, " ");
    flo_failure_describe(failure, out);
}

static void say_activity(struct flo_buf *out,
                         const FloApi__ScheduleActivityTaskCommandAttributes *a)
{
    flo_buf_printf(out, "ScheduleActivity id=%s type=%s queue=%s", a->activity_id,
                   a->activity_type->name, a->task_queue->name);
    say_ms(out, "s2c", a->schedule_to_close_timeout);
    say_ms(out, "s2s", a->schedule_to_start_timeout);
    say_ms(out, "stc", a->start_to_close_timeout);
    say_ms(out, "hb", a->heartbeat_timeout);
    if (a->retry_policy)
        flo_buf_printf(out, " attempts=%d", a->retry_policy->maximum_attempts);
    say_payloads(out, "input", a->input);
}

static void say_marker(struct flo_buf *out, const FloApi__RecordMarkerCommandAttributes *a)
{
    flo_buf_printf(out, "Marker %s", a->marker_name);
    for (size_t i = 0; i < a->n_details; i++)
        say_payloads(out, a->details[i]->key, a->details[i]->value);
    if (a->failure)
        say_failure(out, a->failure);
}

static void say_command(struct flo_buf *out, const FloApi__Command *c)
{
    switch (c->command_type) {
    case FLO_COMMAND(SCHEDULE_ACTIVITY_TASK):
        say_activity(out, c->schedule_activity_task_command_attributes);
        break;
    case FLO_COMMAND(REQUEST_CANCEL_ACTIVITY_TASK):
        flo_buf_printf(
            out, "RequestCancelActivity scheduled=%lld",
            (long long)c->request_cancel_activity_task_command_attributes->scheduled_event_id);
        break;
    case FLO_COMMAND(START_TIMER):
        flo_buf_printf(out, "StartTimer id=%s", c->start_timer_command_attributes->timer_id);
        say_ms(out, "ms", c->start_timer_command_attributes->start_to_fire_timeout);
        break;
    case FLO_COMMAND(CANCEL_TIMER):
        flo_buf_printf(out, "CancelTimer id=%s", c->cancel_timer_command_attributes->timer_id);
        break;
    case FLO_COMMAND(COMPLETE_WORKFLOW_EXECUTION):
        flo_buf_append_str(out, "Complete");
        say_payloads(out, "result", c->complete_workflow_execution_command_attributes->result);
        break;
    case FLO_COMMAND(FAIL_WORKFLOW_EXECUTION):
        flo_buf_append_str(out, "Fail");
        say_failure(out, c->fail_workflow_execution_command_attributes->failure);
        break;
    case FLO_COMMAND(CANCEL_WORKFLOW_EXECUTION):
        flo_buf_append_str(out, "Cancel");
        break;
    case FLO_COMMAND(RECORD_MARKER):
        say_marker(out, c->record_marker_command_attributes);
        break;
    default:
        flo_buf_append_str(out, flo_command_name(c->command_type));
    }
}

static void say_start(struct story *s, struct flo_buf *out, const struct flo_local_start *start)
{
    ProtobufCMessage *message = NULL;
    assert_int_equal(flo_wire_decode(&flo_api__poll_activity_task_queue_response__descriptor,
                                     start->task, start->task_len, &s->arena, &message, NULL),
                     0);
    const FloApi__PollActivityTaskQueueResponse *task =
        (const FloApi__PollActivityTaskQueueResponse *)message;
    flo_buf_printf(out, "StartLocal seq=%llu id=%s type=%s attempt=%d",
                   (unsigned long long)start->seq, start->activity_id, task->activity_type->name,
                   start->attempt);
    say_ms(out, "s2c", task->schedule_to_close_timeout);
    say_ms(out, "stc", task->start_to_close_timeout);
    if (task->retry_policy)
        flo_buf_printf(out, " attempts=%d", task->retry_policy->maximum_attempts);
    say_payloads(out, "input", task->input);
    if (start->cancelled)
        flo_buf_append_str(out, " cancelled");
}

/* What the worker is to do, and whether the task stays open. */
static void say_locals(struct story *s, struct flo_buf *out, const struct flo_activation *answer)
{
    for (size_t i = 0; i < answer->local_start_count; i++) {
        flo_buf_append_str(out, out->len ? "\n" : "");
        say_start(s, out, &answer->local_starts[i]);
    }
    for (size_t i = 0; i < answer->local_cancel_count; i++)
        flo_buf_printf(out, "%s%s seq=%llu", out->len ? "\n" : "",
                       answer->local_cancels[i].forget ? "ForgetLocal" : "CancelLocal",
                       (unsigned long long)answer->local_cancels[i].seq);
    if (answer->outcome == FLO_ACTIVATION_OPEN)
        flo_buf_printf(out, "%sopen", out->len ? "\n" : "");
    if (answer->more)
        flo_buf_printf(out, "%smore", out->len ? "\n" : "");
}

const char *story_words(struct story *s, int rc, const struct flo_activation *answer)
{
    if (rc)
        return flo_error_name(rc);
    if (answer->outcome == FLO_ACTIVATION_QUERY)
        return flo_arena_printf(&s->arena, "query failed: %s", answer->query_error);
    if (answer->outcome == FLO_ACTIVATION_FAIL)
        return flo_arena_printf(&s->arena, "task failed (cause %d): %s", (int)answer->cause,
                                answer->failure->message);
    struct flo_buf out;
    flo_buf_init(&out, 0);
    for (size_t i = 0; i < answer->command_count; i++) {
        if (i)
            flo_buf_append_str(&out, "\n");
        say_command(&out, answer->commands[i]);
    }
    for (size_t i = 0; i < answer->query_result_count; i++)
        flo_buf_printf(&out, "%squery %s failed: %s", out.len ? "\n" : "",
                       answer->query_results[i]->key,
                       answer->query_results[i]->value->error_message);
    say_locals(s, &out, answer);
    char *text = flo_arena_strdup(&s->arena, flo_buf_cstr(&out));
    flo_buf_fini(&out);
    return text;
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
    char *line = flo_arena_strdup(&s->arena, words);
    struct words w;
    split(line, &w);
    struct flo_local_result result = {
        .seq = (uint64_t)strtoull(w.name, NULL, 10),
        .attempt = (int32_t)strtol(word(&w, "attempt", "1"), NULL, 10),
        .ran_ns = number(&w, "ran") * FLO_NS_PER_MS,
        .original_schedule_ns = 7 * FLO_NS_PER_S,
        .backoff_ns = number(&w, "backoff") * FLO_NS_PER_MS,
        .result = payloads(s, &w, "result"),
        .retry_state = FLO_API__RETRY_STATE__RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED,
    };
    if (word(&w, "failure", NULL))
        result.failure = strcmp(word(&w, "failure", ""), "cancelled") == 0
                             ? flo_failure_cancelled(&s->arena, "Activity cancelled", NULL)
                             : flo_failure_application(&s->arena, word(&w, "message", ""),
                                                       word(&w, "failure", ""), false, NULL, 0);
    s->answer_rc = flo_run_resolve_local(s->run, s->task, &result, &s->arena, &s->answer);
    return story_words(s, s->answer_rc, &s->answer);
}

const char *story_yielded(struct story *s)
{
    s->answer_rc = flo_run_yield_task(s->run, s->task, &s->arena, &s->answer);
    return story_words(s, s->answer_rc, &s->answer);
}
