/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.c - events: written in wire form, in batches, or buffered while a workflow task is
 * started.
 *
 * A worker that holds a workflow task has seen the history up to its Started event, and what it
 * answers follows directly behind that. So whatever happens meanwhile waits in the buffer, without
 * an id, and is written behind the commands: first everything but the ends of activities and
 * children in order of arrival, then those, so that an end always follows the Started event that it
 * refers to.
 */
#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/run.h"
#include "engine/core/wire_out.h"
#include "wire/varint.h"

#define FIRST_BYTES 256
#define FIRST_EVENTS 6
#define SMALL_BYTES 4096
#define TASK_ID_BASE 1048576 /* ids of the real server's tasks are of this size */

/* Field number of the attributes by event type; 0 = not written by this engine. */
static const uint8_t attributes_field[] = {
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_STARTED] = 6,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED] = 7,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_FAILED] = 8,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT] = 9,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_SCHEDULED] = 10,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_STARTED] = 11,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_COMPLETED] = 12,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT] = 13,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_FAILED] = 14,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_SCHEDULED] = 15,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_STARTED] = 16,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_COMPLETED] = 17,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_FAILED] = 18,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT] = 19,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED] = 22,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_CANCELED] = 23,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_TIMER_STARTED] = 20,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_TIMER_FIRED] = 21,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_TIMER_CANCELED] = 24,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED] = 28,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED] = 29,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED] = 30,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED] = 31,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED] = 32,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_MARKER_RECORDED] = 25,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED] = 26,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED] = 27,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW] = 33,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED] = 34,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED] = 35,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED] = 36,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED] = 37,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED] = 38,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED] = 39,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT] = 40,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED] = 41,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED] = 42,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED] = 43,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED] = 44,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES] = 45,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED] = 46,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED] = 48,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED] = 51,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED] = 52,
    [FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED] = 60,
};

void flo_history_init(struct flo_history *history)
{
    *history = (struct flo_history){.next_event_id = 1, .sealed_next_id = 1, .stored_next_id = 1};
}

void flo_history_fini(struct flo_history *history)
{
    flo_free(history->data);
    flo_free(history->index);
    flo_history_init(history);
}

/* ---- writing ---- */

/* A capacity that fills the heap's block (multiples of 16, less its header), so that the room that
 * a block has anyway is not lost. */
static size_t block_of(size_t bytes)
{
    return ((bytes + 8 + 15) & ~(size_t)15) - 8;
}

static int set_capacity(struct flo_history *history, size_t bytes, size_t events)
{
    if (bytes != history->cap) {
        uint8_t *data = flo_reallocarray(history->data, bytes, 1);
        if (!data)
            return FLO_ENOMEM;
        history->data = data;
        history->cap = (uint32_t)bytes;
    }
    if (events != history->index_cap) {
        uint32_t *index = flo_reallocarray(history->index, events, sizeof *index);
        if (!index)
            return FLO_ENOMEM;
        history->index = index;
        history->index_cap = (uint32_t)events;
    }
    return 0;
}

static size_t event_count(const struct flo_history *history)
{
    return (size_t)history->next_event_id - 1;
}

int flo_history_reserve(struct flo_history *history, size_t events, size_t bytes)
{
    const size_t need = history->len + bytes, count = event_count(history) + events;
    if (need > FLO_HISTORY_MAX_BYTES)
        return FLO_ENOMEM;
    return set_capacity(history, need > history->cap ? need : history->cap,
                        count > history->index_cap ? count : history->index_cap);
}

void flo_history_trim(struct flo_history *history)
{
    size_t bytes = history->len, events = event_count(history);
    if (bytes > SMALL_BYTES) { /* its growth must stay cheap: not two copies at each commit */
        bytes += bytes / 8;
        events += events / 8;
    }
    bytes = block_of(bytes);
    /* What is not worth a block of its own stays, and so does all if there is no memory. */
    if (bytes + 64 < history->cap)
        (void)set_capacity(history, bytes, history->index_cap);
    if (events + 16 < history->index_cap)
        (void)set_capacity(history, history->cap, events);
}

/* Room for one more event of len bytes, and its place in the index: where `0x0A len` is to go.
 * NULL without memory. */
static uint8_t *reserve_event(struct flo_history *history, size_t len)
{
    const size_t need = history->len + 1 + flo_varint_len(len) + len;
    const size_t count = event_count(history);
    size_t bytes = history->cap, events = history->index_cap;
    if (need > FLO_HISTORY_MAX_BYTES)
        return NULL;
    if (need > bytes)
        bytes = need > FIRST_BYTES ? block_of(need + need / 2) : block_of(FIRST_BYTES);
    if (count == events)
        events = count < FIRST_EVENTS ? FIRST_EVENTS : count + count / 2;
    if (set_capacity(history, bytes, events))
        return NULL;
    const bool first = history->next_event_id == history->sealed_next_id;
    history->index[count] = history->len | (first ? FLO_HISTORY_FIRST : 0);
    uint8_t *to = history->data + history->len;
    *to++ = 0x0A;
    return flo_varint_put(to, len);
}

/* A HistoryEvent in the order of its fields: what every event has is written by hand, since a
 * walk over the sixty fields of that message costs more than all that is in it. */
struct packed_event {
    uint8_t head[64]; /* id, time, type, task id; tag and length of the attributes */
    size_t head_len;
    struct flo_bytes attributes, rest; /* scratch; rest: user metadata and links */
};

static uint8_t *put_number(uint8_t *at, uint8_t tag, uint64_t value)
{
    if (value == 0)
        return at;
    *at++ = tag;
    return flo_varint_put(at, value);
}

static uint8_t *put_time(uint8_t *at, int64_t ns)
{
    uint8_t time[24], *end = put_number(time, 0x08, (uint64_t)(ns / FLO_NS_PER_S));
    end = put_number(end, 0x10, (uint64_t)(ns % FLO_NS_PER_S));
    *at++ = 0x12;
    *at++ = (uint8_t)(end - time);
    memcpy(at, time, sizeof time);
    return at + (end - time);
}

static int pack_message(struct flo_core *core, const ProtobufCMessage *message,
                        struct flo_bytes *out)
{
    uint8_t *data;
    int rc = flo_wire_encode_arena(message, &core->scratch, &data, &out->len);
    out->data = rc ? NULL : data;
    return rc;
}

/* id 0: an event that gets its id later. false: memory is out, fatal. */
static bool pack_event(struct flo_core *core, const struct flo_event *event, int64_t id,
                       struct packed_event *out)
{
    const int64_t time_ns = event->time_ns ? event->time_ns : flo_event_time(core);
    int rc = 0;
    assert((size_t)event->type < sizeof attributes_field && attributes_field[event->type]);
    out->attributes = out->rest = (struct flo_bytes){0};
    uint8_t *at = put_number(out->head, 0x08, (uint64_t)id);
    at = put_time(at, time_ns);
    at = put_number(at, 0x18, (uint64_t)event->type);
    if (id)
        at = put_number(at, 0x28, (uint64_t)(TASK_ID_BASE + id));
    if (event->attributes) {
        rc = pack_message(core, event->attributes, &out->attributes);
        at = flo_varint_put(at, (uint64_t)attributes_field[event->type] << 3 | 2);
        at = flo_varint_put(at, out->attributes.len);
    }
    out->head_len = (size_t)(at - out->head);
    const bool may_ignore =
        event->type == FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED;
    if (!rc && (event->user_metadata || event->n_links || may_ignore)) {
        FloApi__HistoryEvent message = FLO_API__HISTORY_EVENT__INIT;
        message.worker_may_ignore = may_ignore;
        message.user_metadata = event->user_metadata;
        message.links = event->links;
        message.n_links = event->n_links;
        rc = pack_message(core, &message.base, &out->rest);
    }
    if (rc)
        flo_core_set_fatal(core);
    return rc == 0;
}

static size_t packed_len(const struct packed_event *event)
{
    return event->head_len + event->attributes.len + event->rest.len;
}

static void copy_packed(uint8_t *to, const struct packed_event *event)
{
    memcpy(to, event->head, event->head_len);
    to += event->head_len;
    if (event->attributes.len)
        memcpy(to, event->attributes.data, event->attributes.len);
    to += event->attributes.len;
    if (event->rest.len)
        memcpy(to, event->rest.data, event->rest.len);
}

int64_t flo_history_write(struct flo_core *core, struct flo_execution *execution,
                          const struct flo_event *event)
{
    struct flo_history *history = &execution->history;
    const int64_t id = history->next_event_id;
    struct packed_event packed;
    if (!pack_event(core, event, id, &packed))
        return id;
    const size_t len = packed_len(&packed);
    uint8_t *to = reserve_event(history, len);
    if (!to) {
        flo_core_set_fatal(core);
        return id;
    }
    copy_packed(to, &packed);
    history->len = (uint32_t)((size_t)(to - history->data) + len);
    history->next_event_id++;
    return id;
}

int64_t flo_history_record(struct flo_core *core, struct flo_execution *execution,
                           const struct flo_event *event, int64_t ref)
{
    if (execution->workflow_task.speculative)
        flo_core_workflow_task_keep(core, execution);
    if (execution->workflow_task.stage != FLO_CORE_WORKFLOW_TASK_STARTED && !execution->in_commands)
        return flo_history_write(core, execution, event);
    struct packed_event packed;
    if (!pack_event(core, event, 0, &packed))
        return 0;
    const size_t len = packed_len(&packed);
    struct flo_buffered_event *buffered = flo_malloc(sizeof *buffered + len);
    if (!buffered) {
        flo_core_set_fatal(core);
        return 0;
    }
    *buffered = (struct flo_buffered_event){.type = event->type, .ref = ref, .len = len};
    copy_packed(buffered->bytes, &packed);
    flo_list_push_back(&execution->buffered, &buffered->node);
    execution->buffered_bytes += len;
    return 0;
}

int flo_history_restore_buffered(struct flo_execution *execution, FloApi__EventType type,
                                 int64_t ref, const uint8_t *bytes, size_t len)
{
    struct flo_buffered_event *buffered = flo_malloc(sizeof *buffered + len);
    if (!buffered)
        return FLO_ENOMEM;
    *buffered = (struct flo_buffered_event){.type = type, .ref = ref, .len = len};
    if (len)
        memcpy(buffered->bytes, bytes, len);
    flo_list_push_back(&execution->buffered, &buffered->node);
    execution->buffered_bytes += len;
    return 0;
}

/* ---- the buffer ---- */

/* Ends of activities and children: written after everything else of a buffer. */
static bool is_end(FloApi__EventType type)
{
    switch (type) {
    case FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
    case FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_FAILED:
    case FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
    case FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_CANCELED:
    case FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED:
    case FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED:
    case FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED:
    case FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT:
    case FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED:
        return true;
    default:
        return false;
    }
}

/* Where an end keeps the id of its Started event. */
static int64_t *started_id_of(FloApi__HistoryEvent *event)
{
    switch (event->event_type) {
    case FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
        return &event->activity_task_completed_event_attributes->started_event_id;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_FAILED:
        return &event->activity_task_failed_event_attributes->started_event_id;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
        return &event->activity_task_timed_out_event_attributes->started_event_id;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_CANCELED:
        return &event->activity_task_canceled_event_attributes->started_event_id;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED:
        return &event->child_workflow_execution_completed_event_attributes->started_event_id;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED:
        return &event->child_workflow_execution_failed_event_attributes->started_event_id;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED:
        return &event->child_workflow_execution_canceled_event_attributes->started_event_id;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT:
        return &event->child_workflow_execution_timed_out_event_attributes->started_event_id;
    default:
        return &event->child_workflow_execution_terminated_event_attributes->started_event_id;
    }
}

/* Append a buffered event as it is, with an id: fields may stand in any order, so the id goes in
 * front and nothing is rebuilt. */
static int64_t write_buffered(struct flo_core *core, struct flo_history *history,
                              const uint8_t *bytes, size_t bytes_len)
{
    int64_t id = history->next_event_id;
    size_t len = 2 + flo_varint_len((uint64_t)id) + flo_varint_len((uint64_t)(TASK_ID_BASE + id)) +
                 bytes_len;
    uint8_t *to = reserve_event(history, len);
    if (!to) {
        flo_core_set_fatal(core);
        return id;
    }
    *to++ = 0x08; /* event_id */
    to = flo_varint_put(to, (uint64_t)id);
    *to++ = 0x28; /* task_id */
    to = flo_varint_put(to, (uint64_t)(TASK_ID_BASE + id));
    memcpy(to, bytes, bytes_len);
    history->len = (uint32_t)((size_t)(to - history->data) + bytes_len);
    history->next_event_id++;
    return id;
}

/* The id that the Started event of activity or child ref got in this flush. */
struct flushed_start {
    int64_t ref, id;
};

/* Write an end; its Started event may have got its id only now. */
static void write_end(struct flo_core *core, struct flo_execution *execution,
                      const struct flo_buffered_event *buffered, const struct flushed_start *starts,
                      size_t start_count)
{
    struct flo_history *history = &execution->history;
    const struct flushed_start *start = NULL;
    for (size_t i = 0; i < start_count && !start; i++)
        if (starts[i].ref == buffered->ref)
            start = &starts[i];
    if (!start) {
        write_buffered(core, history, buffered->bytes, buffered->len);
        return;
    }
    ProtobufCMessage *message;
    if (flo_wire_decode(&flo_api__history_event__descriptor, buffered->bytes, buffered->len,
                        &core->scratch, &message, NULL)) {
        flo_core_set_fatal(core);
        return;
    }
    int64_t *started_id = started_id_of((FloApi__HistoryEvent *)message);
    if (*started_id == 0)
        *started_id = start->id;
    uint8_t *bytes;
    size_t len;
    if (flo_wire_encode_arena(message, &core->scratch, &bytes, &len)) {
        flo_core_set_fatal(core);
        return;
    }
    write_buffered(core, history, bytes, len);
}

bool flo_history_flush(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_list *buffered = &execution->buffered;
    if (flo_list_empty(buffered))
        return false;
    struct flushed_start *starts =
        flo_arena_calloc(&core->scratch, buffered->count, sizeof *starts);
    if (!starts) {
        flo_core_set_fatal(core);
        return true;
    }
    size_t start_count = 0;
    FLO_LIST_FOREACH(node, buffered)
    {
        struct flo_buffered_event *event = flo_container(node, struct flo_buffered_event, node);
        if (is_end(event->type))
            continue;
        int64_t id = write_buffered(core, &execution->history, event->bytes, event->len);
        bool child =
            event->type == FLO_API__EVENT_TYPE__EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED;
        if (event->ref == FLO_REF_REQUEST)
            flo_run_request_placed(execution, id);
        if (child || event->type == FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_STARTED)
            starts[start_count++] = (struct flushed_start){event->ref, id};
        struct flo_core_child *pending =
            child ? flo_core_child_by_event(execution, event->ref) : NULL;
        if (pending)
            pending->started_id = id;
    }
    FLO_LIST_FOREACH(node, buffered)
    {
        struct flo_buffered_event *event = flo_container(node, struct flo_buffered_event, node);
        if (is_end(event->type))
            write_end(core, execution, event, starts, start_count);
    }
    struct flo_node *node;
    while ((node = flo_list_pop_front(buffered)))
        flo_free(flo_container(node, struct flo_buffered_event, node));
    execution->buffered_bytes = 0;
    return true;
}

struct flo_buffered_event *flo_history_buffered_timer(struct flo_core *core,
                                                      const struct flo_execution *execution,
                                                      const char *timer_id)
{
    FLO_LIST_FOREACH(node, &execution->buffered)
    {
        struct flo_buffered_event *event = flo_container(node, struct flo_buffered_event, node);
        ProtobufCMessage *message;
        if (event->type != FLO_API__EVENT_TYPE__EVENT_TYPE_TIMER_FIRED)
            continue;
        if (flo_wire_decode(&flo_api__history_event__descriptor, event->bytes, event->len,
                            &core->scratch, &message, NULL)) {
            flo_core_set_fatal(core);
            return NULL;
        }
        FloApi__TimerFiredEventAttributes *fired =
            ((FloApi__HistoryEvent *)message)->timer_fired_event_attributes;
        if (!strcmp(fired->timer_id, timer_id))
            return event;
    }
    return NULL;
}

void flo_history_drop_buffered(struct flo_execution *execution, struct flo_buffered_event *event)
{
    flo_list_remove(&execution->buffered, &event->node);
    execution->buffered_bytes -= event->len;
    flo_free(event);
}

/* ---- batches and reading ---- */

void flo_history_seal(struct flo_history *history)
{
    history->sealed_next_id = history->next_event_id;
}

static size_t begin_of(const struct flo_history *history, int64_t event_id)
{
    return event_id < history->next_event_id ? history->index[event_id - 1] & ~FLO_HISTORY_FIRST
                                             : history->len;
}

void flo_history_range(const struct flo_history *history, int64_t first, int64_t last,
                       const uint8_t **out_data, size_t *out_len)
{
    assert(first >= 1 && last < history->next_event_id);
    if (first > last) {
        *out_data = history->data;
        *out_len = 0;
        return;
    }
    size_t from = begin_of(history, first);
    *out_data = history->data + from;
    *out_len = begin_of(history, last + 1) - from;
}

bool flo_history_batch(const struct flo_history *history, int64_t event_id, int64_t *out_first,
                       int64_t *out_last)
{
    int64_t first = event_id, next = event_id + 1;
    if (event_id < 1 || event_id >= history->sealed_next_id)
        return false;
    while (!(history->index[first - 1] & FLO_HISTORY_FIRST))
        first--;
    while (next < history->sealed_next_id && !(history->index[next - 1] & FLO_HISTORY_FIRST))
        next++;
    *out_first = first;
    *out_last = next - 1;
    return true;
}

FloApi__HistoryEvent *flo_history_decode(const struct flo_history *history, int64_t event_id,
                                         struct flo_arena *arena)
{
    const uint8_t *data;
    size_t len;
    flo_history_range(history, event_id, event_id, &data, &len);
    const uint8_t *at = data + 1; /* past the tag */
    uint64_t event_len;
    ProtobufCMessage *message;
    if (!flo_varint_get(&at, data + len, &event_len) ||
        flo_wire_decode(&flo_api__history_event__descriptor, at, (size_t)event_len, arena, &message,
                        NULL))
        return NULL;
    return (FloApi__HistoryEvent *)message;
}

int flo_history_restore(struct flo_history *history, const struct flo_core_history_batch *batch)
{
    if (batch->first_event_id != history->next_event_id || batch->event_count == 0)
        return FLO_EDATA;
    const uint8_t *at = batch->events, *end = batch->events + batch->len;
    for (uint32_t i = 0; i < batch->event_count; i++) {
        if (at >= end || *at++ != 0x0A)
            return FLO_EDATA;
        uint64_t len;
        if (!flo_varint_get(&at, end, &len) || len > (size_t)(end - at))
            return FLO_EDATA;
        uint8_t *to = reserve_event(history, (size_t)len);
        if (!to)
            return FLO_ENOMEM;
        memcpy(to, at, (size_t)len);
        at += len;
        history->len = (uint32_t)((size_t)(to - history->data) + (size_t)len);
        history->next_event_id++;
    }
    if (at != end)
        return FLO_EDATA;
    flo_history_seal(history);
    return 0;
}
