/* SPDX-License-Identifier: Apache-2.0 */
/* story_entities.c - the events and commands of children, of executions that are no children, of
 * patches and side effects, and of search attributes and the memo. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/story_internal.h"
#include "wire/failure.h"
#include "wire/payload.h"

/* ---- events ---- */

static FloApi__WorkflowExecution *execution(struct story *s, const char *id, const char *run)
{
    FloApi__WorkflowExecution *e = flo_arena_alloc(&s->arena, sizeof *e);
    flo_api__workflow_execution__init(e);
    e->workflow_id = flo_arena_strdup(&s->arena, id);
    e->run_id = flo_arena_strdup(&s->arena, run);
    return e;
}

static FloApi__WorkflowType *workflow_type(struct story *s, const struct words *w)
{
    FloApi__WorkflowType *type = flo_arena_alloc(&s->arena, sizeof *type);
    flo_api__workflow_type__init(type);
    type->name = story_text(s, w, "type", "");
    return type;
}

static void child_initiated(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, start_child_workflow_execution_initiated,
                     START_CHILD_WORKFLOW_EXECUTION_INITIATED,
                     StartChildWorkflowExecutionInitiated);
    a->workflow_id = story_text(s, w, "id", "");
    a->workflow_type = workflow_type(s, w);
}

static void child_start_failed(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, start_child_workflow_execution_failed,
                     START_CHILD_WORKFLOW_EXECUTION_FAILED, StartChildWorkflowExecutionFailed);
    a->initiated_event_id = story_number(w, "initiated");
    a->cause = (FloApi__StartChildWorkflowExecutionFailedCause)story_number(w, "cause");
}

static void child_started(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, child_workflow_execution_started, CHILD_WORKFLOW_EXECUTION_STARTED,
                     ChildWorkflowExecutionStarted);
    a->initiated_event_id = story_number(w, "initiated");
    a->workflow_execution = execution(s, "", story_word(w, "run", "child-run"));
}

static void child_completed(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, child_workflow_execution_completed, CHILD_WORKFLOW_EXECUTION_COMPLETED,
                     ChildWorkflowExecutionCompleted);
    a->initiated_event_id = story_number(w, "initiated");
    a->result = story_payloads(s, w, "result");
}

static void child_failed(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, child_workflow_execution_failed, CHILD_WORKFLOW_EXECUTION_FAILED,
                     ChildWorkflowExecutionFailed);
    a->initiated_event_id = story_number(w, "initiated");
    a->failure = flo_failure_application(&s->arena, story_word(w, "message", ""),
                                         story_word(w, "type", ""), false, NULL, 0);
    a->retry_state = FLO_API__RETRY_STATE__RETRY_STATE_RETRY_POLICY_NOT_SET;
}

static void child_canceled(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, child_workflow_execution_canceled, CHILD_WORKFLOW_EXECUTION_CANCELED,
                     ChildWorkflowExecutionCanceled);
    a->initiated_event_id = story_number(w, "initiated");
    a->details = story_payloads(s, w, "details");
}

static void child_timed_out(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, child_workflow_execution_timed_out, CHILD_WORKFLOW_EXECUTION_TIMED_OUT,
                     ChildWorkflowExecutionTimedOut);
    a->initiated_event_id = story_number(w, "initiated");
    a->retry_state = FLO_API__RETRY_STATE__RETRY_STATE_TIMEOUT;
}

static void child_terminated(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, child_workflow_execution_terminated,
                     CHILD_WORKFLOW_EXECUTION_TERMINATED, ChildWorkflowExecutionTerminated);
    a->initiated_event_id = story_number(w, "initiated");
}

static void signal_initiated(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, signal_external_workflow_execution_initiated,
                     SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
                     SignalExternalWorkflowExecutionInitiated);
    a->workflow_execution = execution(s, story_word(w, "id", ""), story_word(w, "run", ""));
    a->signal_name = story_text(s, w, "name", "");
}

static void signal_failed(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, signal_external_workflow_execution_failed,
                     SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
                     SignalExternalWorkflowExecutionFailed);
    a->initiated_event_id = story_number(w, "initiated");
    a->cause = (FloApi__SignalExternalWorkflowExecutionFailedCause)story_number(w, "cause");
}

static void external_signaled(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, external_workflow_execution_signaled,
                     EXTERNAL_WORKFLOW_EXECUTION_SIGNALED, ExternalWorkflowExecutionSignaled);
    a->initiated_event_id = story_number(w, "initiated");
}

static void cancel_initiated(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, request_cancel_external_workflow_execution_initiated,
                     REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
                     RequestCancelExternalWorkflowExecutionInitiated);
    a->workflow_execution = execution(s, story_word(w, "id", ""), story_word(w, "run", ""));
}

static void cancel_failed(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, request_cancel_external_workflow_execution_failed,
                     REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
                     RequestCancelExternalWorkflowExecutionFailed);
    a->initiated_event_id = story_number(w, "initiated");
    a->cause = (FloApi__CancelExternalWorkflowExecutionFailedCause)story_number(w, "cause");
}

static void external_cancel_requested(struct story *s, const struct words *w,
                                      FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, external_workflow_execution_cancel_requested,
                     EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
                     ExternalWorkflowExecutionCancelRequested);
    a->initiated_event_id = story_number(w, "initiated");
}

/* A marker whose details are JSON: count pairs of a key and a value (consumed). */
static void markers(struct story *s, FloApi__HistoryEvent *event, const char *name,
                    const char *const *keys, json_t **values, size_t count)
{
    STORY_ATTRIBUTES(event, marker_recorded, MARKER_RECORDED, MarkerRecorded);
    a->marker_name = flo_arena_strdup(&s->arena, name);
    a->details = flo_arena_alloc(&s->arena, count * sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        a->details[i] = flo_arena_alloc(&s->arena, sizeof *a->details[i]);
        flo_api__marker_recorded_event_attributes__details_entry__init(a->details[i]);
        a->details[i]->key = flo_arena_strdup(&s->arena, keys[i]);
        a->details[i]->value = flo_payloads_from_json(&s->arena, values[i]);
        json_decref(values[i]);
        a->n_details++;
    }
}

/* "Patch id=x deprecated=1"; old=1: in the older form. */
static void patch(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    static const char *const keys[] = {"patch-data"}, *const old[] = {"patch_id", "deprecated"};
    bool deprecated = story_number(w, "deprecated") != 0;
    const char *id = story_word(w, "id", "");
    json_t *both[] = {json_string(id), json_boolean(deprecated)};
    json_t *data[] = {json_pack("{s:s, s:b}", "id", id, "deprecated", (int)deprecated)};
    if (story_number(w, "old")) {
        markers(s, event, "core_patch", old, both, 2);
        json_decref(data[0]);
    } else {
        markers(s, event, "core_patch", keys, data, 1);
        json_decref(both[0]);
        json_decref(both[1]);
    }
}

/* "SideEffect number=1 value=5"; with id=: a mutable one. */
static void side_effect(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    static const char *const keys[] = {"side-effect-id", "data",
                                       "mutable-side-effect-call-counter"};
    const char *id = story_word(w, "id", NULL);
    json_t *number = json_integer((json_int_t)story_number(w, "number"));
    json_t *value = json_loads(story_word(w, "value", "null"), JSON_DECODE_ANY, NULL);
    json_t *values[] = {id ? json_string(id) : json_incref(number), value, number};
    size_t count = story_word(w, "value", NULL) ? 2 : 1;
    if (count == 1)
        json_decref(value);
    if (id && count == 2)
        markers(s, event, "MutableSideEffect", keys, values, 3);
    else
        markers(s, event, "SideEffect", keys, values, count);
    if (!id || count == 1)
        json_decref(number);
}

static FloApi__SearchAttributes *attributes(struct story *s, const char *name,
                                            FloApi__Payload *value)
{
    FloApi__SearchAttributes *map = flo_arena_alloc(&s->arena, sizeof *map);
    FloApi__SearchAttributes__IndexedFieldsEntry *entry = flo_arena_alloc(&s->arena, sizeof *entry);
    flo_api__search_attributes__init(map);
    flo_api__search_attributes__indexed_fields_entry__init(entry);
    entry->key = flo_arena_strdup(&s->arena, name);
    entry->value = value;
    map->indexed_fields = flo_arena_alloc(&s->arena, sizeof(void *));
    map->indexed_fields[0] = entry;
    map->n_indexed_fields = 1;
    return map;
}

static void upserted(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, upsert_workflow_search_attributes, UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
                     UpsertWorkflowSearchAttributes);
    a->search_attributes = attributes(s, story_word(w, "name", "TemporalChangeVersion"),
                                      flo_payload_from_json(&s->arena, NULL));
}

static void modified(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    STORY_ATTRIBUTES(event, workflow_properties_modified, WORKFLOW_PROPERTIES_MODIFIED,
                     WorkflowPropertiesModified);
    (void)a, (void)w;
}

static void continued(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    (void)s, (void)w;
    event->event_type = FLO_EVENT(WORKFLOW_EXECUTION_CONTINUED_AS_NEW);
}

bool story_entity_event(struct story *s, const struct words *w, FloApi__HistoryEvent *event)
{
    static const struct {
        const char *name;
        void (*fill)(struct story *s, const struct words *w, FloApi__HistoryEvent *event);
    } vocabulary[] = {
        {"ChildInitiated", child_initiated},
        {"ChildStartFailed", child_start_failed},
        {"ChildStarted", child_started},
        {"ChildCompleted", child_completed},
        {"ChildFailed", child_failed},
        {"ChildCanceled", child_canceled},
        {"ChildTimedOut", child_timed_out},
        {"ChildTerminated", child_terminated},
        {"SignalExternalInitiated", signal_initiated},
        {"SignalExternalFailed", signal_failed},
        {"ExternalSignaled", external_signaled},
        {"CancelExternalInitiated", cancel_initiated},
        {"CancelExternalFailed", cancel_failed},
        {"ExternalCancelRequested", external_cancel_requested},
        {"Patch", patch},
        {"SideEffect", side_effect},
        {"Upserted", upserted},
        {"MemoModified", modified},
        {"ContinuedAsNew", continued},
    };
    for (size_t i = 0; i < sizeof vocabulary / sizeof *vocabulary; i++) {
        if (strcmp(vocabulary[i].name, w->name) == 0) {
            vocabulary[i].fill(s, w, event);
            return true;
        }
    }
    return false;
}

/* attribute=NAME attribute_type=Int attribute_value=5; memo=NAME memo_value='x'; parent=, root=,
 * cron=, attempts= (of its retry policy), header=NAME header_value=, last= (result), run_timeout=.
 */
void story_entity_started(struct story *s, const struct words *w,
                          FloApi__WorkflowExecutionStartedEventAttributes *a)
{
    const char *attribute = story_word(w, "attribute", NULL), *memo = story_word(w, "memo", NULL),
               *header = story_word(w, "header", NULL), *parent = story_word(w, "parent", NULL);
    if (attribute) {
        FloApi__Payload *value = story_payloads(s, w, "attribute_value")->payloads[0];
        const char *type = story_text(s, w, "attribute_type", "");
        FloApi__Payload__MetadataEntry **all = flo_arena_alloc(&s->arena, 2 * sizeof(void *));
        all[0] = value->metadata[0];
        all[1] = flo_arena_alloc(&s->arena, sizeof **all);
        flo_api__payload__metadata_entry__init(all[1]);
        all[1]->key = flo_arena_strdup(&s->arena, "type");
        all[1]->value = (ProtobufCBinaryData){strlen(type), (uint8_t *)(uintptr_t)type};
        value->metadata = all;
        value->n_metadata = *type ? 2 : 1;
        a->search_attributes = attributes(s, attribute, value);
    }
    if (memo) {
        FloApi__Memo__FieldsEntry *entry = flo_arena_alloc(&s->arena, sizeof *entry);
        a->memo = flo_arena_alloc(&s->arena, sizeof *a->memo);
        flo_api__memo__init(a->memo);
        flo_api__memo__fields_entry__init(entry);
        entry->key = flo_arena_strdup(&s->arena, memo);
        entry->value = story_payloads(s, w, "memo_value")->payloads[0];
        a->memo->fields = flo_arena_alloc(&s->arena, sizeof(void *));
        a->memo->fields[0] = entry;
        a->memo->n_fields = 1;
    }
    if (header) {
        FloApi__Header__FieldsEntry *entry = flo_arena_alloc(&s->arena, sizeof *entry);
        a->header = flo_arena_alloc(&s->arena, sizeof *a->header);
        flo_api__header__init(a->header);
        flo_api__header__fields_entry__init(entry);
        entry->key = flo_arena_strdup(&s->arena, header);
        entry->value = story_payloads(s, w, "header_value")->payloads[0];
        a->header->fields = flo_arena_alloc(&s->arena, sizeof(void *));
        a->header->fields[0] = entry;
        a->header->n_fields = 1;
    }
    if (parent) {
        a->parent_workflow_namespace = story_text(s, w, "parent_namespace", "default");
        a->parent_workflow_execution = execution(s, parent, "parent-run");
        a->root_workflow_execution = execution(s, story_word(w, "root", parent), "root-run");
    }
    if (story_word(w, "attempts", NULL)) {
        static char *types[1];
        types[0] = flo_arena_strdup(&s->arena, "Fatal");
        a->retry_policy = flo_arena_alloc(&s->arena, sizeof *a->retry_policy);
        flo_api__retry_policy__init(a->retry_policy);
        a->retry_policy->maximum_attempts = (int32_t)story_number(w, "attempts");
        a->retry_policy->backoff_coefficient = 2;
        a->retry_policy->initial_interval = flo_duration_new(&s->arena, FLO_NS_PER_S);
        a->retry_policy->non_retryable_error_types = types;
        a->retry_policy->n_non_retryable_error_types = 1;
    }
    if (story_word(w, "failed", NULL))
        a->continued_failure = flo_failure_application(&s->arena, story_word(w, "failed", ""),
                                                       "Earlier", false, NULL, 0);
    if (story_word(w, "priority", NULL)) {
        a->priority = flo_arena_alloc(&s->arena, sizeof *a->priority);
        flo_api__priority__init(a->priority);
        a->priority->priority_key = (int32_t)story_number(w, "priority");
        a->priority->fairness_key = story_text(s, w, "fairness", "");
    }
    a->cron_schedule = story_text(s, w, "cron", "");
    a->first_execution_run_id = story_text(s, w, "first", "run-1");
    a->continued_execution_run_id = story_text(s, w, "continued", "");
    a->last_completion_result = story_payloads(s, w, "last");
    a->workflow_run_timeout =
        flo_duration_new(&s->arena, story_number(w, "run_timeout") * FLO_NS_PER_MS);
}

/* ---- commands ---- */

static void say_payload(struct flo_buf *out, const char *key, FloApi__Payload *payload)
{
    FloApi__Payloads all = FLO_API__PAYLOADS__INIT;
    all.payloads = &payload;
    all.n_payloads = payload ? 1 : 0;
    story_say_payloads(out, key, &all);
    for (size_t i = 0; payload && i < payload->n_metadata; i++) {
        const FloApi__Payload__MetadataEntry *meta = payload->metadata[i];
        if (strcmp(meta->key, "type") == 0)
            flo_buf_printf(out, ":%.*s", (int)meta->value.len, (const char *)meta->value.data);
    }
}

static void say_attributes(struct flo_buf *out, const FloApi__SearchAttributes *map)
{
    for (size_t i = 0; map && i < map->n_indexed_fields; i++)
        say_payload(out, map->indexed_fields[i]->key, map->indexed_fields[i]->value);
}

static void say_memo(struct flo_buf *out, const FloApi__Memo *memo)
{
    for (size_t i = 0; memo && i < memo->n_fields; i++)
        say_payload(out, memo->fields[i]->key, memo->fields[i]->value);
}

void story_say_header(struct flo_buf *out, const FloApi__Header *header)
{
    for (size_t i = 0; header && i < header->n_fields; i++)
        say_payload(out, header->fields[i]->key, header->fields[i]->value);
}

static void say_metadata(struct flo_buf *out, const FloApi__UserMetadata *metadata)
{
    if (!metadata)
        return;
    say_payload(out, "summary", metadata->summary);
    say_payload(out, "details", metadata->details);
}

static void say_child(struct flo_buf *out, const FloApi__Command *c)
{
    const FloApi__StartChildWorkflowExecutionCommandAttributes *a =
        c->start_child_workflow_execution_command_attributes;
    flo_buf_printf(out, "StartChild id=%s type=%s queue=%s", a->workflow_id, a->workflow_type->name,
                   a->task_queue->name);
    if (strcmp(a->namespace_, "default") != 0)
        flo_buf_printf(out, " namespace=%s", a->namespace_);
    story_say_payloads(out, "input", a->input);
    story_say_ms(out, "execution", a->workflow_execution_timeout);
    story_say_ms(out, "run", a->workflow_run_timeout);
    story_say_ms(out, "task", a->workflow_task_timeout);
    if (a->parent_close_policy != FLO_API__PARENT_CLOSE_POLICY__PARENT_CLOSE_POLICY_TERMINATE)
        flo_buf_printf(out, " close=%d", (int)a->parent_close_policy);
    if (a->workflow_id_reuse_policy !=
        FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)
        flo_buf_printf(out, " reuse=%d", (int)a->workflow_id_reuse_policy);
    if (a->retry_policy)
        flo_buf_printf(out, " attempts=%d", a->retry_policy->maximum_attempts);
    if (*a->cron_schedule)
        flo_buf_printf(out, " cron=%s", a->cron_schedule);
    if (a->priority)
        flo_buf_printf(out, " priority=%d/%s/%g", a->priority->priority_key,
                       a->priority->fairness_key, (double)a->priority->fairness_weight);
    story_say_header(out, a->header);
    say_memo(out, a->memo);
    say_attributes(out, a->search_attributes);
    say_metadata(out, c->user_metadata);
}

static void say_continue(struct flo_buf *out,
                         const FloApi__ContinueAsNewWorkflowExecutionCommandAttributes *a)
{
    flo_buf_printf(out, "ContinueAsNew type=%s queue=%s", a->workflow_type->name,
                   a->task_queue->name);
    story_say_payloads(out, "input", a->input);
    story_say_ms(out, "run", a->workflow_run_timeout);
    story_say_ms(out, "task", a->workflow_task_timeout);
    if (a->retry_policy)
        flo_buf_printf(out, " attempts=%d", a->retry_policy->maximum_attempts);
    story_say_header(out, a->header);
    say_memo(out, a->memo);
    say_attributes(out, a->search_attributes);
}

static void say_signal(struct flo_buf *out,
                       const FloApi__SignalExternalWorkflowExecutionCommandAttributes *a)
{
    flo_buf_printf(out, "SignalExternal id=%s", a->execution->workflow_id);
    if (*a->execution->run_id)
        flo_buf_printf(out, " run=%s", a->execution->run_id);
    flo_buf_printf(out, " name=%s%s", a->signal_name, a->child_workflow_only ? " child" : "");
    story_say_payloads(out, "input", a->input);
    story_say_header(out, a->header);
}

static void say_cancel(struct flo_buf *out,
                       const FloApi__RequestCancelExternalWorkflowExecutionCommandAttributes *a)
{
    flo_buf_printf(out, "CancelExternal id=%s", a->workflow_id);
    if (*a->run_id)
        flo_buf_printf(out, " run=%s", a->run_id);
    if (*a->reason)
        flo_buf_printf(out, " reason='%s'", a->reason);
    flo_buf_append_str(out, a->child_workflow_only ? " child" : "");
}

bool story_entity_command(struct flo_buf *out, const FloApi__Command *c)
{
    switch (c->command_type) {
    case FLO_COMMAND(START_CHILD_WORKFLOW_EXECUTION):
        say_child(out, c);
        return true;
    case FLO_COMMAND(SIGNAL_EXTERNAL_WORKFLOW_EXECUTION):
        say_signal(out, c->signal_external_workflow_execution_command_attributes);
        return true;
    case FLO_COMMAND(REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION):
        say_cancel(out, c->request_cancel_external_workflow_execution_command_attributes);
        return true;
    case FLO_COMMAND(CONTINUE_AS_NEW_WORKFLOW_EXECUTION):
        say_continue(out, c->continue_as_new_workflow_execution_command_attributes);
        return true;
    case FLO_COMMAND(UPSERT_WORKFLOW_SEARCH_ATTRIBUTES):
        flo_buf_append_str(out, "Upsert");
        say_attributes(out,
                       c->upsert_workflow_search_attributes_command_attributes->search_attributes);
        return true;
    case FLO_COMMAND(MODIFY_WORKFLOW_PROPERTIES):
        flo_buf_append_str(out, "ModifyMemo");
        say_memo(out, c->modify_workflow_properties_command_attributes->upserted_memo);
        return true;
    default:
        return false;
    }
}
