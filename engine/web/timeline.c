/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timeline.c - a run's history as bars: activities, timers, children and updates from their first
 * event to their last, signals and markers as points.
 *
 * Events name the one that began the thing (scheduled_event_id, started_event_id of a timer,
 * initiated_event_id), so one pass over the events finds the row of each. The fields are found by
 * name in the messages' descriptors, which are many and alike.
 */
#include <string.h>

#include "engine/web/page.h"
#include "wire/payload.h"

enum {
    ROWS_MAX = 400,
    SCALE = 1000, /* of the drawing; the style says how wide it is */
};

enum state { OPEN, FINE, BAD, POINT };

struct row {
    const char *kind, *label; /* label: hostile */
    const FloApi__WorkflowExecution *child;
    int64_t event_id, begin_ns, start_ns, end_ns; /* 0: not yet */
    enum state state;
};

struct timeline {
    struct row rows[ROWS_MAX];
    size_t count;
    bool cut; /* there were more */
    int64_t begin_ns, end_ns;
};

/* ---- events ---- */

const ProtobufCMessage *flo_web_attributes(const FloApi__HistoryEvent *event)
{
    if (event->attributes_case == FLO_API__HISTORY_EVENT__ATTRIBUTES__NOT_SET)
        return NULL;
    return &event->workflow_execution_started_event_attributes->base; /* all share one place */
}

const char *flo_web_event_name(struct flo_web_page *page, FloApi__EventType type)
{
    static const char prefix[] = "EVENT_TYPE_";
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(&flo_api__event_type__descriptor, (int)type);
    char *name = value ? flo_arena_strdup(&page->arena, value->name + sizeof prefix - 1) : NULL;
    if (!name)
        return "Unknown";
    char *to = name;
    for (const char *c = name; *c; c++) { /* TIMER_FIRED -> TimerFired */
        if (*c == '_')
            continue;
        *to++ = c == name || c[-1] == '_' ? *c : (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
    }
    *to = '\0';
    return name;
}

static const void *field_at(const ProtobufCMessage *message, const char *name, ProtobufCType type)
{
    const ProtobufCFieldDescriptor *field =
        message ? protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name) : NULL;
    return field && field->type == type && field->label != PROTOBUF_C_LABEL_REPEATED
               ? (const char *)message + field->offset
               : NULL;
}

static int64_t number_of(const ProtobufCMessage *message, const char *name)
{
    const int64_t *at = field_at(message, name, PROTOBUF_C_TYPE_INT64);
    return at ? *at : 0;
}

static const char *text_of(const ProtobufCMessage *message, const char *name)
{
    const char *const *at = field_at(message, name, PROTOBUF_C_TYPE_STRING);
    return at && *at ? *at : "";
}

static const void *message_of(const ProtobufCMessage *message, const char *name)
{
    const void *const *at = field_at(message, name, PROTOBUF_C_TYPE_MESSAGE);
    return at ? *at : NULL;
}

/* ---- rows ---- */

static struct row *add_row(struct timeline *timeline, const FloApi__HistoryEvent *event,
                           const char *kind, const char *label, enum state state)
{
    if (timeline->count == ROWS_MAX) {
        timeline->cut = true;
        return NULL;
    }
    struct row *row = &timeline->rows[timeline->count++];
    *row = (struct row){.kind = kind,
                        .label = label,
                        .event_id = event->event_id,
                        .begin_ns = flo_timestamp_ns(event->event_time),
                        .state = state};
    return row;
}

static struct row *find_row(struct timeline *timeline, int64_t event_id)
{
    for (size_t i = timeline->count; event_id && i-- > 0;)
        if (timeline->rows[i].event_id == event_id)
            return &timeline->rows[i];
    return NULL;
}

static void end_row(struct row *row, const FloApi__HistoryEvent *event, enum state state)
{
    if (!row)
        return;
    row->end_ns = flo_timestamp_ns(event->event_time);
    row->state = state;
}

static const char *named(const ProtobufCMessage *attributes, const char *field)
{
    return text_of(message_of(attributes, field), "name");
}

const char *flo_web_subject(const FloApi__HistoryEvent *event)
{
    static const char *const names[] = {"activity_type", "workflow_type"};
    static const char *const texts[] = {"timer_id", "signal_name", "marker_name", "workflow_id"};
    const ProtobufCMessage *attributes = flo_web_attributes(event);
    const char *subject = "";
    for (size_t i = 0; !*subject && i < sizeof names / sizeof *names; i++)
        subject = named(attributes, names[i]);
    for (size_t i = 0; !*subject && i < sizeof texts / sizeof *texts; i++)
        subject = text_of(attributes, texts[i]);
    return subject;
}

#define EVENT(name) FLO_API__EVENT_TYPE__EVENT_TYPE_##name

/* Rows that an event begins. False: it begins none. */
static bool begins(struct timeline *timeline, const FloApi__HistoryEvent *event,
                   const ProtobufCMessage *attributes)
{
    switch (event->event_type) {
    case EVENT(ACTIVITY_TASK_SCHEDULED):
        add_row(timeline, event, "activity", named(attributes, "activity_type"), OPEN);
        return true;
    case EVENT(TIMER_STARTED):
        add_row(timeline, event, "timer", text_of(attributes, "timer_id"), OPEN);
        return true;
    case EVENT(START_CHILD_WORKFLOW_EXECUTION_INITIATED):
        add_row(timeline, event, "child", text_of(attributes, "workflow_id"), OPEN);
        return true;
    case EVENT(SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED):
        add_row(timeline, event, "signal sent", text_of(attributes, "signal_name"), OPEN);
        return true;
    case EVENT(REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED):
        add_row(timeline, event, "cancel sent",
                text_of(message_of(attributes, "workflow_execution"), "workflow_id"), OPEN);
        return true;
    case EVENT(WORKFLOW_EXECUTION_UPDATE_ACCEPTED):
        add_row(timeline, event, "update",
                text_of(message_of(message_of(attributes, "accepted_request"), "input"), "name"),
                OPEN);
        return true;
    case EVENT(WORKFLOW_EXECUTION_SIGNALED):
        add_row(timeline, event, "signal", text_of(attributes, "signal_name"), POINT);
        return true;
    case EVENT(WORKFLOW_EXECUTION_CANCEL_REQUESTED):
        add_row(timeline, event, "cancel requested", "", POINT);
        return true;
    case EVENT(MARKER_RECORDED):
        add_row(timeline, event, "marker", text_of(attributes, "marker_name"), POINT);
        return true;
    case EVENT(WORKFLOW_TASK_FAILED):
        add_row(timeline, event, "workflow task failed",
                text_of(message_of(attributes, "failure"), "message"), POINT);
        return true;
    default:
        return false;
    }
}

static void goes_on(struct timeline *timeline, const FloApi__HistoryEvent *event,
                    const ProtobufCMessage *attributes)
{
    struct row *row;
    switch (event->event_type) {
    case EVENT(ACTIVITY_TASK_STARTED):
        row = find_row(timeline, number_of(attributes, "scheduled_event_id"));
        if (row)
            row->start_ns = flo_timestamp_ns(event->event_time);
        break;
    case EVENT(ACTIVITY_TASK_COMPLETED):
        end_row(find_row(timeline, number_of(attributes, "scheduled_event_id")), event, FINE);
        break;
    case EVENT(ACTIVITY_TASK_FAILED):
    case EVENT(ACTIVITY_TASK_TIMED_OUT):
    case EVENT(ACTIVITY_TASK_CANCELED):
        end_row(find_row(timeline, number_of(attributes, "scheduled_event_id")), event, BAD);
        break;
    case EVENT(TIMER_FIRED):
        end_row(find_row(timeline, number_of(attributes, "started_event_id")), event, FINE);
        break;
    case EVENT(TIMER_CANCELED):
        end_row(find_row(timeline, number_of(attributes, "started_event_id")), event, BAD);
        break;
    case EVENT(CHILD_WORKFLOW_EXECUTION_STARTED):
        row = find_row(timeline, number_of(attributes, "initiated_event_id"));
        if (row) {
            row->start_ns = flo_timestamp_ns(event->event_time);
            row->child = message_of(attributes, "workflow_execution");
        }
        break;
    case EVENT(CHILD_WORKFLOW_EXECUTION_COMPLETED):
    case EVENT(EXTERNAL_WORKFLOW_EXECUTION_SIGNALED):
    case EVENT(EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED):
        end_row(find_row(timeline, number_of(attributes, "initiated_event_id")), event, FINE);
        break;
    case EVENT(WORKFLOW_EXECUTION_UPDATE_COMPLETED):
        end_row(find_row(timeline, number_of(attributes, "accepted_event_id")), event, FINE);
        break;
    default: /* the other ends of a child, and of what is sent to others */
        end_row(find_row(timeline, number_of(attributes, "initiated_event_id")), event, BAD);
        break;
    }
}

/* ---- drawing ---- */

static int64_t place(const struct timeline *timeline, int64_t ns)
{
    const double span = (double)(timeline->end_ns - timeline->begin_ns);
    const double part = (double)(ns - timeline->begin_ns) / span * SCALE;
    return part < 0 ? 0 : part > SCALE ? SCALE : (int64_t)part;
}

static void put_bar(struct flo_web_page *page, const char *class_name, int64_t from, int64_t to)
{
    const int64_t least = 3; /* something is to be seen of the shortest, too */
    if (to - from < least)
        to = from + least;
    if (to > SCALE) {
        from -= to - SCALE;
        to = SCALE;
    }
    flo_html(page->out, "<rect class=\"%s\" x=\"%d\" y=\"2\" width=\"%d\" height=\"12\"/>",
             class_name, from, to - from);
}

static void put_row(struct flo_web_page *page, const struct timeline *timeline,
                    const struct row *row)
{
    static const char *const words[] = {"open", "fine", "bad", "point"};
    const char *word = words[row->state];
    const int64_t end_ns = row->state == POINT ? row->begin_ns
                           : row->end_ns       ? row->end_ns
                                               : timeline->end_ns;
    const int64_t begin = place(timeline, row->begin_ns), end = place(timeline, end_ns);
    flo_html(page->out, "<tr><th scope=\"row\"><span class=\"kind\">%s</span> ", row->kind);
    if (row->child)
        flo_web_workflow_link(page, row->child->workflow_id, row->child->run_id);
    else
        flo_html(page->out, "<a class=\"id\" href=\"#event-%d\">%s</a>", row->event_id,
                 *row->label ? row->label : row->kind);
    flo_html(page->out,
             "</th><td class=\"line\"><svg viewBox=\"0 0 1000 16\" preserveAspectRatio=\"none\" "
             "role=\"img\" aria-label=\"%s\">",
             word);
    if (row->start_ns && row->start_ns > row->begin_ns) {
        const int64_t start = place(timeline, row->start_ns);
        if (start > begin)
            put_bar(page, "waits", begin, start);
        put_bar(page, word, start, end);
    } else {
        put_bar(page, row->state == OPEN && !row->start_ns ? "waits" : word, begin, end);
    }
    flo_html(page->out, "</svg></td><td class=\"number\">");
    if (row->state != POINT)
        flo_html_duration(page->out, end_ns - row->begin_ns);
    flo_html(page->out, "</td></tr>\n");
}

void flo_web_timeline(struct flo_web_page *page, FloApi__HistoryEvent *const *events, size_t count,
                      const FloApi__WorkflowExecutionInfo *info)
{
    struct timeline *timeline = flo_arena_alloc(&page->arena, sizeof *timeline);
    if (!timeline || !count)
        return;
    timeline->count = 0;
    timeline->cut = false;
    timeline->begin_ns = flo_timestamp_ns(events[0]->event_time);
    timeline->end_ns = info->close_time ? flo_timestamp_ns(info->close_time) : page->now_ns;
    if (events[0]->event_id > 1) /* a later page: what it shows */
        timeline->end_ns = flo_timestamp_ns(events[count - 1]->event_time);
    if (timeline->end_ns <= timeline->begin_ns)
        timeline->end_ns = timeline->begin_ns + 1000000;
    for (size_t i = 0; i < count; i++) {
        const ProtobufCMessage *attributes = flo_web_attributes(events[i]);
        if (attributes && !begins(timeline, events[i], attributes))
            goes_on(timeline, events[i], attributes);
    }
    if (!timeline->count)
        return;
    flo_html(page->out, "<section><h2>Timeline</h2><table class=\"timeline\"><thead><tr><th>"
                        "What</th><th class=\"axis\"><span>0</span><span>");
    flo_html_duration(page->out, (timeline->end_ns - timeline->begin_ns) / 2);
    flo_html(page->out, "</span><span>");
    flo_html_duration(page->out, timeline->end_ns - timeline->begin_ns);
    flo_html(page->out, "</span></th><th class=\"number\">Took</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < timeline->count; i++)
        put_row(page, timeline, &timeline->rows[i]);
    flo_html(page->out, "</tbody></table>");
    if (timeline->cut)
        flo_html(page->out, "<p class=\"note\">the first %d; the table below has all</p>",
                 (int64_t)ROWS_MAX);
    flo_html(page->out, "</section>\n");
}
