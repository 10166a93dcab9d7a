/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - a ring of events; each keeps its texts in one block. */
#include "supervisor/hub/events.h"

#include <string.h>

#include "base/alloc.h"
#include "telemetry/log.h"

#define SHORT_MAX 256 /* bytes of kind, identity, role, name, boot */
#define TEXTS 6

struct listener {
    flo_events_fn fn;
    void *ctx;
};

struct flo_events {
    struct flo_event *ring; /* number seq lies at (seq - 1) % capacity */
    size_t capacity;
    uint64_t last;
    struct listener listeners[FLO_EVENT_LISTENERS_MAX];
    size_t listener_count;
};

int flo_events_new(size_t capacity, struct flo_events **out, struct flo_err *err)
{
    struct flo_events *events = flo_calloc(1, sizeof *events);
    if (events)
        events->capacity = capacity ? capacity : FLO_EVENTS_KEPT;
    if (events)
        events->ring = flo_calloc(events->capacity, sizeof *events->ring);
    if (!events || !events->ring) {
        flo_events_destroy(&events);
        return flo_fail(err, FLO_ENOMEM, "no memory for events");
    }
    *out = events;
    return 0;
}

static void clear(struct flo_event *event)
{
    flo_free((char *)event->kind); /* the block of all texts */
    json_decref(event->fields);
    *event = (struct flo_event){0};
}

void flo_events_destroy(struct flo_events **events)
{
    struct flo_events *self = *events;
    if (!self)
        return;
    for (size_t i = 0; self->ring && i < self->capacity; i++)
        clear(&self->ring[i]);
    flo_free(self->ring);
    flo_free(self);
    *events = NULL;
}

/* Bytes of text up to max, not in the middle of a UTF-8 character. */
static size_t cut(const char *text, size_t max)
{
    size_t len = strnlen(text, max + 1);
    if (len <= max)
        return len;
    len = max;
    while (len && ((unsigned char)text[len] & 0xC0) == 0x80)
        len--;
    return len;
}

static bool copy_texts(struct flo_event *event)
{
    const char **texts[TEXTS] = {&event->kind, &event->message, &event->identity,
                                 &event->role, &event->name,    &event->boot};
    size_t lengths[TEXTS], total = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        *texts[i] = *texts[i] ? *texts[i] : "";
        lengths[i] =
            cut(*texts[i], texts[i] == &event->message ? FLO_EVENT_MESSAGE_MAX : SHORT_MAX);
        total += lengths[i] + 1;
    }
    char *block = flo_malloc(total);
    if (!block)
        return false;
    for (size_t i = 0; i < TEXTS; i++) {
        memcpy(block, *texts[i], lengths[i]);
        block[lengths[i]] = '\0';
        *texts[i] = block;
        block += lengths[i] + 1;
    }
    return true;
}

uint64_t flo_events_add(struct flo_events *events, const struct flo_event *event)
{
    if (!events)
        return 0;
    struct flo_event copy = *event;
    if (!copy_texts(&copy))
        return 0;
    bool fits = json_is_object(copy.fields) && /* NULL is none */
                json_dumpb(copy.fields, NULL, 0, JSON_COMPACT) <= FLO_EVENT_FIELDS_MAX;
    copy.fields = fits ? json_incref(copy.fields) : NULL;
    if (copy.level < FLO_LOG_INFO)
        copy.level = FLO_LOG_INFO;
    copy.seq = ++events->last;
    struct flo_event *place = &events->ring[(copy.seq - 1) % events->capacity];
    clear(place);
    *place = copy;
    for (size_t i = 0; i < events->listener_count; i++)
        events->listeners[i].fn(events->listeners[i].ctx, place);
    return copy.seq;
}

const struct flo_event *flo_events_after(const struct flo_events *events, uint64_t seq)
{
    if (seq >= events->last)
        return NULL;
    uint64_t oldest = events->last > events->capacity ? events->last - events->capacity + 1 : 1;
    uint64_t wanted = seq + 1 > oldest ? seq + 1 : oldest;
    return &events->ring[(wanted - 1) % events->capacity];
}

uint64_t flo_events_last(const struct flo_events *events)
{
    return events->last;
}

int flo_events_listen(struct flo_events *events, flo_events_fn fn, void *ctx)
{
    if (events->listener_count == FLO_EVENT_LISTENERS_MAX)
        return FLO_EFULL;
    events->listeners[events->listener_count++] = (struct listener){fn, ctx};
    return 0;
}

void flo_events_unlisten(struct flo_events *events, flo_events_fn fn, void *ctx)
{
    for (size_t i = 0; i < events->listener_count; i++) {
        if (events->listeners[i].fn != fn || events->listeners[i].ctx != ctx)
            continue;
        events->listeners[i] = events->listeners[--events->listener_count];
        return;
    }
}

json_t *flo_event_json(const struct flo_event *event)
{
    json_t *json =
        json_pack("{s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "seq", (json_int_t)event->seq,
                  "ts_ms", (json_int_t)event->ts_ms, "level", flo_log_level_name(event->level),
                  "kind", event->kind, "message", event->message, "identity", event->identity,
                  "role", event->role, "name", event->name, "boot", event->boot);
    if (json && event->fields)
        (void)json_object_set(json, "fields", event->fields);
    return json;
}
