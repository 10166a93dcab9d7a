/* SPDX-License-Identifier: Apache-2.0 */
/* story_events.c - words to history events and to the ends of local activities. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/story_internal.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "wire/payload.h"
#include "workflow/names.h"

const char *story_word(const struct words *w, const char *key, const char *otherwise)
{
    for (size_t i = 0; i < w->count; i++) {
        if (strcmp(w->key[i], key) == 0)
            return w->value[i];
    }
    return otherwise;
}

int64_t story_number(const struct words *w, const char *key)
{
    return strtoll(story_word(w, key, "0"), NULL, 10);
}

char *story_text(struct story *s, const struct words *w, const char *key, const char *otherwise)
{
    return flo_arena_strdup(&s->arena, story_word(w, key, otherwise));
}

#define RAW "{'__flo_raw'"

/* A raw value is the payload that it stands for, not its JSON. */
static FloApi__Payloads *raw_payloads(struct story *s, const char *text)
{
    char *json = flo_arena_strdup(&s->arena, text);
    json_t *value = NULL;
    for (char *c = json; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    FloApi__Payloads *all = flo_json_parse(json, strlen(json), &value, NULL) == 0
                                ? flo_payloads_from_json(&s->arena, value)
                                : NULL;
    json_decref(value);
    return all;
}

FloApi__Payloads *story_payloads(struct story *s, const struct words *w, const char *key)
{
    const char *text = story_word(w, key, NULL);
    if (!text)
        return NULL;
    if (strncmp(text, RAW, sizeof RAW - 1) == 0)
        return raw_payloads(s, text);
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

static void started(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, workflow_execution_started, WORKFLOW_EXECUTION_STARTED,
                     WorkflowExecutionStarted);
    a->workflow_type = flo_arena_alloc(&s->arena, sizeof *a->workflow_type);
    flo_api__workflow_type__init(a->workflow_type);
    a->workflow_type->name = story_text(s, w, "type", "");
    a->task_queue = flo_arena_alloc(&s->arena, sizeof *a->task_queue);
    flo_api__task_queue__init(a->task_queue);
    a->task_queue->name = story_text(s, w, "queue", "queue");
    a->original_execution_run_id = story_text(s, w, "original", "run-1");
    a->workflow_task_timeout = flo_duration_new(&s->arena, 10 * FLO_NS_PER_S);
    a->input = story_payloads(s, w, "input");
    a->attempt = 1;
    story_entity_started(s, w, a);
}

static void wft_started(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, workflow_task_started, WORKFLOW_TASK_STARTED, WorkflowTaskStarted);
    a->history_size_bytes = story_number(w, "bytes");
    a->suggest_continue_as_new = story_number(w, "suggest") != 0;
}

static void wft_failed(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, workflow_task_failed, WORKFLOW_TASK_FAILED, WorkflowTaskFailed);
    a->cause = (FloApi__WorkflowTaskFailedCause)story_number(w, "cause");
    a->new_run_id = story_text(s, w, "new_run", "");
}

/* "id=u1 name=set input='x'" as what was asked for; without a name there is no request. */
static FloApi__Request *request_of(struct story *s, const struct words *w)
{
    if (!story_word(w, "name", NULL))
        return NULL;
    FloApi__Request *request = flo_arena_alloc(&s->arena, sizeof *request);
    flo_api__request__init(request);
    request->meta = flo_arena_alloc(&s->arena, sizeof *request->meta);
    flo_api__meta__init(request->meta);
    request->meta->update_id = story_text(s, w, "id", "");
    request->meta->identity = story_text(s, w, "by", "client");
    request->input = flo_arena_alloc(&s->arena, sizeof *request->input);
    flo_api__input__init(request->input);
    request->input->name = story_text(s, w, "name", "");
    request->input->args = story_payloads(s, w, "input");
    return request;
}

static void update_admitted(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, workflow_execution_update_admitted, WORKFLOW_EXECUTION_UPDATE_ADMITTED,
                     WorkflowExecutionUpdateAdmitted);
    a->request = request_of(s, w);
}

static void update_accepted(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, workflow_execution_update_accepted, WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
                     WorkflowExecutionUpdateAccepted);
    a->protocol_instance_id = story_text(s, w, "id", "");
    a->accepted_request_message_id =
        flo_arena_printf(&s->arena, "%s/request", story_word(w, "id", ""));
    a->accepted_request_sequencing_event_id = story_number(w, "behind");
    a->accepted_request = request_of(s, w);
}

static void update_completed(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, workflow_execution_update_completed,
                     WORKFLOW_EXECUTION_UPDATE_COMPLETED, WorkflowExecutionUpdateCompleted);
    a->meta = flo_arena_alloc(&s->arena, sizeof *a->meta);
    flo_api__meta__init(a->meta);
    a->meta->update_id = story_text(s, w, "id", "");
    a->accepted_event_id = story_number(w, "accepted");
}

static void activity_scheduled(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, activity_task_scheduled, ACTIVITY_TASK_SCHEDULED,
                     ActivityTaskScheduled);
    a->activity_id = story_text(s, w, "id", "");
    a->activity_type = flo_arena_alloc(&s->arena, sizeof *a->activity_type);
    flo_api__activity_type__init(a->activity_type);
    a->activity_type->name = story_text(s, w, "type", "");
}

static void activity_started(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, activity_task_started, ACTIVITY_TASK_STARTED, ActivityTaskStarted);
    a->scheduled_event_id = story_number(w, "scheduled");
}

static void activity_completed(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, activity_task_completed, ACTIVITY_TASK_COMPLETED,
                     ActivityTaskCompleted);
    a->scheduled_event_id = story_number(w, "scheduled");
    a->result = story_payloads(s, w, "result");
}

static void activity_failed(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, activity_task_failed, ACTIVITY_TASK_FAILED, ActivityTaskFailed);
    a->scheduled_event_id = story_number(w, "scheduled");
    a->failure = flo_failure_application(&s->arena, story_word(w, "message", ""),
                                         story_word(w, "type", ""), false, NULL, 0);
    a->retry_state = FLO_API__RETRY_STATE__RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED;
}

static void activity_timed_out(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, activity_task_timed_out, ACTIVITY_TASK_TIMED_OUT, ActivityTaskTimedOut);
    a->scheduled_event_id = story_number(w, "scheduled");
    a->failure =
        flo_failure_timeout(&s->arena, story_word(w, "message", "activity StartToClose timeout"),
                            FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_START_TO_CLOSE);
    a->retry_state = FLO_API__RETRY_STATE__RETRY_STATE_TIMEOUT;
}

static void activity_cancel_requested(struct story *s, const struct words *w,
                                      FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, activity_task_cancel_requested, ACTIVITY_TASK_CANCEL_REQUESTED,
                     ActivityTaskCancelRequested);
    a->scheduled_event_id = story_number(w, "scheduled");
}

static void activity_canceled(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, activity_task_canceled, ACTIVITY_TASK_CANCELED, ActivityTaskCanceled);
    a->scheduled_event_id = story_number(w, "scheduled");
    a->details = story_payloads(s, w, "details");
}

static void timer_started(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, timer_started, TIMER_STARTED, TimerStarted);
    a->timer_id = story_text(s, w, "id", "");
}

static void timer_fired(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, timer_fired, TIMER_FIRED, TimerFired);
    a->timer_id = story_text(s, w, "id", "");
}

static void timer_canceled(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, timer_canceled, TIMER_CANCELED, TimerCanceled);
    a->timer_id = story_text(s, w, "id", "");
}

static void signaled(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, workflow_execution_signaled, WORKFLOW_EXECUTION_SIGNALED,
                     WorkflowExecutionSignaled);
    a->signal_name = story_text(s, w, "name", "");
    a->input = story_payloads(s, w, "input");
}

static void cancel_requested(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, workflow_execution_cancel_requested,
                     WORKFLOW_EXECUTION_CANCEL_REQUESTED, WorkflowExecutionCancelRequested);
    a->cause = story_text(s, w, "reason", "");
}

static json_t *time_json(const struct words *w, const char *key)
{
    int64_t ms = story_number(w, key);
    return ms ? json_pack("{s:I, s:I}", "seconds", (json_int_t)(ms / 1000), "nanos",
                          (json_int_t)(ms % 1000 * FLO_NS_PER_MS))
              : json_null();
}

/* How a local activity failed (failure=cancelled is one); NULL when the words say nothing of it. */
static FloApi__Failure *failure_of(struct story *s, const struct words *w)
{
    const char *type = story_word(w, "failure", NULL);
    if (!type)
        return NULL;
    return strcmp(type, "cancelled") == 0
               ? flo_failure_cancelled(&s->arena, "Activity cancelled", NULL)
               : flo_failure_application(&s->arena, story_word(w, "message", ""), type, false, NULL,
                                         0);
}

/* A marker of local activity seq, or (name=) another. */
static void marker(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, marker_recorded, MARKER_RECORDED, MarkerRecorded);
    a->marker_name = story_text(s, w, "name", "core_local_activity");
    json_t *data = json_pack(
        "{s:I, s:I, s:s, s:s, s:o, s:o}", "seq", (json_int_t)story_number(w, "seq"), "attempt",
        (json_int_t)strtoll(story_word(w, "attempt", "1"), NULL, 10), "activity_id",
        story_word(w, "id", story_word(w, "seq", "")), "activity_type", story_word(w, "type", ""),
        "complete_time", time_json(w, "complete"), "backoff", time_json(w, "backoff"));
    if (story_word(w, "step", NULL))
        json_object_set_new(data, "activation_index", json_integer(story_number(w, "step")));
    FloApi__Payloads *values[] = {flo_payloads_from_json(&s->arena, data),
                                  story_payloads(s, w, "result")};
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
    a->failure = failure_of(s, w);
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
    {"UpdateAdmitted", update_admitted, 0},
    {"UpdateAccepted", update_accepted, 0},
    {"UpdateCompleted", update_completed, 0},
};

static void split(char *line, struct words *out)
{
    char *rest = line;
    *out = (struct words){.name = strsep(&rest, " ")};
    char *pair;
    while ((pair = strsep(&rest, " "))) {
        if (!*pair)
            continue;
        assert_true(out->count < sizeof out->key / sizeof *out->key);
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
    event->worker_may_ignore = story_number(&w, "may_ignore") != 0;
    size_t i = 0, count = sizeof vocabulary / sizeof *vocabulary;
    while (i < count && strcmp(vocabulary[i].name, w.name) != 0)
        i++;
    if (strcmp(w.name, "Unknown") == 0)
        event->event_type = (FloApi__EventType)9999;
    else if (i == count && story_entity_event(s, &w, event))
        ;
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

void story_update(struct story *s, const char *words)
{
    static char type[] = "type.googleapis.com/temporal.api.update.v1.Request";
    FloApi__Message *message = flo_arena_alloc(&s->arena, sizeof *message);
    FloApi__Message **grown =
        flo_arena_calloc(&s->arena, s->message_count + 1, sizeof(struct FloApi__Message *));
    char *line = flo_arena_printf(&s->arena, "Update %s", words);
    struct words w;
    split(line, &w);
    flo_api__message__init(message);
    message->id = flo_arena_printf(&s->arena, "%s/request", story_word(&w, "id", ""));
    message->protocol_instance_id = story_text(s, &w, "id", "");
    message->sequencing_id_case = FLO_API__MESSAGE__SEQUENCING_ID_EVENT_ID;
    message->event_id = story_number(&w, "behind");
    message->body = flo_arena_alloc(&s->arena, sizeof *message->body);
    google__protobuf__any__init(message->body);
    message->body->type_url = story_word(&w, "type", NULL) ? story_text(s, &w, "type", "") : type;
    assert_int_equal(flo_wire_encode_arena(&request_of(s, &w)->base, &s->arena,
                                           &message->body->value.data, &message->body->value.len),
                     0);
    if (s->message_count)
        memcpy(grown, s->messages, s->message_count * sizeof *grown);
    grown[s->message_count++] = message;
    s->messages = grown;
}

FloApi__Payloads *story_arguments(struct story *s, const char *values)
{
    if (!values)
        return NULL;
    char *text = flo_arena_strdup(&s->arena, values);
    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    json_t *list = json_loads(text, 0, NULL);
    FloApi__Payloads *all = flo_arena_alloc(&s->arena, sizeof *all);
    flo_api__payloads__init(all);
    all->n_payloads = json_array_size(list);
    all->payloads = flo_arena_calloc(&s->arena, all->n_payloads, sizeof *all->payloads);
    for (size_t i = 0; i < all->n_payloads; i++)
        all->payloads[i] = flo_payload_from_json(&s->arena, json_array_get(list, i));
    json_decref(list);
    return all;
}

void story_local_result(struct story *s, const char *words, struct flo_local_result *out)
{
    char *line = flo_arena_strdup(&s->arena, words);
    struct words w;
    split(line, &w);
    *out = (struct flo_local_result){
        .seq = (uint64_t)strtoull(w.name, NULL, 10),
        .attempt = (int32_t)strtol(story_word(&w, "attempt", "1"), NULL, 10),
        .ran_ns = story_number(&w, "ran") * FLO_NS_PER_MS,
        .original_schedule_ns = 7 * FLO_NS_PER_S,
        .backoff_ns = story_number(&w, "backoff") * FLO_NS_PER_MS,
        .result = story_payloads(s, &w, "result"),
        .failure = failure_of(s, &w),
        .retry_state = FLO_API__RETRY_STATE__RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED,
    };
}
