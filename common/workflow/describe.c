/* SPDX-License-Identifier: Apache-2.0 */
/*
 * describe.c - events and commands in words, and what a run says when the two do not match: a
 * sentence with both sides, the events before it, and where the code stands.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "workflow/internal.h"
#include "workflow/marker.h"

/* Events shown before the one that does not match. */
#define EVENTS_BEFORE 10
/* Most bytes of an explanation: it goes to the server with the failure. */
#define EXPLANATION_MAX 8192

/* What identifies an event among others of its type: fields of its attributes, in this order. */
static const struct {
    const char *field, *label;
} keys[] = {
    {"activity_id", "activity id"},
    {"activity_type", "type"},
    {"timer_id", "timer id"},
    {"signal_name", "signal"},
    {"protocol_instance_id", "update id"},
    {"meta", "update id"},
    {"workflow_id", "workflow id"},
    {"workflow_execution", "workflow id"},
    {"workflow_type", "type"},
    {"initiated_event_id", "of event"},
    {"scheduled_event_id", "activity of event"},
};

/* The attributes of event, whichever they are; NULL: none. */
static const ProtobufCMessage *attributes_of(const FloApi__HistoryEvent *event)
{
    const ProtobufCMessageDescriptor *descriptor = event->base.descriptor;
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(descriptor, (unsigned)event->attributes_case);
    const ProtobufCMessage *attributes = NULL;
    if (field && field->type == PROTOBUF_C_TYPE_MESSAGE &&
        (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
        memcpy(&attributes, (const uint8_t *)event + field->offset, sizeof attributes);
    return attributes;
}

/* The text of a field, or of the first text in the message that it holds; "" for others. */
static const char *text_of(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const void *at = (const uint8_t *)message + field->offset;
    const char *text = NULL;
    const ProtobufCMessage *inner = NULL;
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        memcpy(&text, at, sizeof text);
    } else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        memcpy(&inner, at, sizeof inner);
        if (inner && inner->descriptor->fields[0].type == PROTOBUF_C_TYPE_STRING)
            return text_of(inner, &inner->descriptor->fields[0]);
    }
    return text ? text : "";
}

static void add_key(const ProtobufCMessage *attributes, size_t key, char *out_text, size_t size)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(attributes->descriptor, keys[key].field);
    size_t used = strlen(out_text);
    const char *separator = used ? ", " : " (";
    int64_t number = 0;
    if (!field)
        return;
    if (field->type == PROTOBUF_C_TYPE_INT64) {
        memcpy(&number, (const uint8_t *)attributes + field->offset, sizeof number);
        if (number)
            snprintf(out_text + used, size - used, "%s%s %" PRId64, separator, keys[key].label,
                     number);
    } else if (*text_of(attributes, field)) {
        snprintf(out_text + used, size - used, "%s%s %.80s", separator, keys[key].label,
                 text_of(attributes, field));
    }
}

/* " (activity id 1, type echo)", or "". */
static void describe_keys(const FloApi__HistoryEvent *event, char *out_text, size_t size)
{
    const ProtobufCMessage *attributes = attributes_of(event);
    *out_text = '\0';
    if (!attributes)
        return;
    if (event->event_type == FLO_EVENT(MARKER_RECORDED)) {
        flo_marker_describe(event, out_text, size);
        return;
    }
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        add_key(attributes, i, out_text, size - 1);
    if (*out_text)
        strncat(out_text, ")", size - strlen(out_text) - 1);
}

void flo_event_describe(const FloApi__HistoryEvent *event, char *out_text, size_t size)
{
    const struct flo_event_kind *kind = flo_event_kind(event->event_type);
    char what[240] = "";
    if (kind->class == FLO_EVENT_UNKNOWN)
        snprintf(what, sizeof what, " (type %d)", (int)event->event_type);
    else if (kind->class != FLO_EVENT_TASK)
        describe_keys(event, what, sizeof what);
    snprintf(out_text, size, "event %" PRId64 " is %s%s", event->event_id, kind->name, what);
}

void flo_command_describe(const struct flo_command *command, char *out_text, size_t size)
{
    char what[160] = "", where[80];
    command->ops->describe(command, what, sizeof what);
    flo_place_describe(&command->at, where, sizeof where);
    snprintf(out_text, size, "%s%s%s%s%s%s", flo_command_name(command->ops->type),
             *what ? " (" : "", what, *what ? ")" : "", *where ? " at " : "", where);
}

int flo_mismatch(struct flo_run *run, const FloApi__HistoryEvent *event,
                 const struct flo_command *command, struct flo_err *err)
{
    char history[320] = "history ends", code[320] = "no command", waits[160] = "";
    if (event)
        flo_event_describe(event, history, sizeof history);
    if (command)
        flo_command_describe(command, code, sizeof code);
    else
        flo_local_describe_waiting(run, waits, sizeof waits);
    run->mismatch_id = event ? event->event_id : 0;
    return flo_fail(err, FLO_ENONDET, "%.200s, but the code issued %.200s%s%.60s", history, code,
                    *waits ? " and waits for " : "", waits);
}

/* ---- the explanation ---- */

/* The index of the event of that id, or count. */
static size_t find(FloApi__HistoryEvent *const *events, size_t count, int64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (events[i]->event_id == id)
            return i;
    }
    return count;
}

static void add_events(FloApi__HistoryEvent *const *events, size_t count, int64_t id,
                       struct flo_buf *out)
{
    char text[320];
    size_t at = id ? find(events, count, id) : count;
    size_t from = at > EVENTS_BEFORE ? at - EVENTS_BEFORE : 0;
    if (count == 0)
        return;
    (void)!flo_buf_printf(out, "history:\n");
    for (size_t i = from; i < count && i <= at; i++) {
        flo_event_describe(events[i], text, sizeof text);
        (void)!flo_buf_printf(out, "%s%s\n", i == at ? "  > " : "    ", text);
    }
    if (at == count)
        (void)!flo_buf_printf(out, "  > the end\n");
}

static void add_commands(const struct flo_run *run, struct flo_buf *out)
{
    char text[320];
    size_t shown = 0;
    if (!flo_list_empty(&run->commands))
        (void)!flo_buf_printf(out, "commands of the code that no event has shown yet:\n");
    FLO_LIST_FOREACH(node, &run->commands)
    {
        if (shown++ == EVENTS_BEFORE)
            return;
        flo_command_describe(flo_container(node, struct flo_command, node), text, sizeof text);
        (void)!flo_buf_printf(out, "    %s\n", text);
    }
}

char *flo_mismatch_explain(struct flo_run *run, FloApi__HistoryEvent *const *events, size_t count)
{
    struct flo_buf text;
    flo_buf_init(&text, EXPLANATION_MAX);
    add_events(events, count, run->mismatch_id, &text);
    add_commands(run, &text);
    (void)!flo_buf_append_str(&text, "code:\n");
    (void)!flo_run_stack_text(run, &text);
    char *copy = flo_heap_strdup(run->heap, flo_buf_cstr(&text));
    flo_buf_fini(&text);
    if (copy)
        flo_text_repair(copy);
    return copy;
}
