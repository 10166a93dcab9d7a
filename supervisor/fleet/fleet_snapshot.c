/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_snapshot.c - is a frame what it says (docs/supervisor-protocol.md)? Everything that pages
 * and metrics will show is checked here or in fleet_shape.c once, so that the rest may rely on it.
 *
 * A snapshot is small but for its metrics. So the text of these is cut out first, and only the rest
 * is parsed as a tree; the metrics' text goes to the store. Both cuts are at places that compact
 * JSON has only once (a quote within a string is escaped). Frames that are not compact are parsed
 * whole, and their metrics written anew.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "supervisor/fleet/fleet_frame.h"
#include "telemetry/log.h"

#define TEXT_MAX 1024
#define METRICS_KEY ",\"metrics\":["
#define HEAD_MAX 16384 /* of a frame without its metrics; larger ones are parsed whole */

static bool is_text(const json_t *json, size_t min, size_t max)
{
    if (!json_is_string(json))
        return false;
    size_t len = json_string_length(json);
    return len >= min && len <= max && strlen(json_string_value(json)) == len;
}

static bool is_count(const json_t *json)
{
    return json_is_integer(json) && json_integer_value(json) >= 0;
}

/* ---- reading ---- */

/* The end of the list that begins at p ('['), past its ']'; NULL: it has none. */
static const char *end_of_list(const char *p, const char *end)
{
    int depth = 0;
    for (; p < end; p++) {
        switch (*p) {
        case '"':
            for (p++; p < end && *p != '"'; p++)
                p += *p == '\\';
            break;
        case '[':
            depth++;
            break;
        case ']':
            if (--depth == 0)
                return p + 1;
            break;
        default:
            break;
        }
    }
    return NULL;
}

/* The same, faster, for what our workers send: only left_out stands behind the list. */
static const char *end_of_last_list(const char *p, const char *end)
{
    static const char behind[] = ",\"left_out\":";
    const char *last = memrchr(p, ']', (size_t)(end - p));
    bool ours = last && (size_t)(end - last) > sizeof behind && end - last < 64 &&
                memcmp(last + 1, behind, sizeof behind - 1) == 0;
    return ours ? last + 1 : end_of_list(p, end);
}

/* Parse all but the metrics. False: this frame must be parsed whole. */
static bool read_split(const char *data, size_t len, struct flo_frame *frame)
{
    const char *key = memmem(data, len, METRICS_KEY, strlen(METRICS_KEY));
    const char *list = key ? key + strlen(METRICS_KEY) - 1 : NULL, *end = data + len;
    const char *rest = list ? end_of_last_list(list, end) : NULL;
    char head[HEAD_MAX];
    if (!rest || (size_t)(key - data) + (size_t)(end - rest) > sizeof head)
        return false;
    memcpy(head, data, (size_t)(key - data));
    memcpy(head + (key - data), rest, (size_t)(end - rest));
    frame->head =
        json_loadb(head, (size_t)(key - data) + (size_t)(end - rest), JSON_REJECT_DUPLICATES, NULL);
    if (!frame->head || json_object_get(frame->head, "metrics")) {
        json_decref(frame->head);
        frame->head = NULL;
        return false;
    }
    frame->metrics = list;
    frame->metrics_len = (size_t)(rest - list);
    return true;
}

static enum flo_frame_verdict read_whole(const char *data, size_t len, struct flo_frame *frame)
{
    frame->head = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(frame->head))
        return FLO_FRAME_JSON;
    const json_t *metrics = json_object_get(frame->head, "metrics");
    if (!metrics)
        return FLO_FRAME_TAKEN;
    frame->owned = json_is_array(metrics) ? json_dumps(metrics, JSON_COMPACT) : NULL;
    if (!frame->owned)
        return FLO_FRAME_METRICS;
    frame->metrics = frame->owned;
    frame->metrics_len = strlen(frame->owned);
    (void)json_object_del(frame->head, "metrics");
    return FLO_FRAME_TAKEN;
}

static enum flo_frame_verdict read_type(struct flo_frame *frame)
{
    static const char *const names[] = {"snapshot", "event", "ack", "leave"};
    const json_t *version = json_object_get(frame->head, "v");
    const json_t *type = json_object_get(frame->head, "type");
    const json_t *boot = json_object_get(frame->head, "boot");
    if (!json_is_integer(version) || json_integer_value(version) != FLO_REPORT_VERSION)
        return FLO_FRAME_VERSION;
    if (!is_text(type, 1, 32))
        return FLO_FRAME_TYPE;
    if (strcmp(json_string_value(type), "command") == 0)
        return FLO_FRAME_CONTROL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(json_string_value(type), names[i]) != 0)
            continue;
        frame->type = (enum flo_frame_type)i;
        frame->boot = json_string_value(boot);
        return is_text(boot, 36, 36) ? FLO_FRAME_TAKEN : FLO_FRAME_FIELD;
    }
    return FLO_FRAME_TYPE;
}

enum flo_frame_verdict flo_fleet_frame_read(const void *data, size_t len, struct flo_frame *out)
{
    enum flo_frame_verdict verdict = FLO_FRAME_TAKEN;
    *out = (struct flo_frame){.type = FLO_FRAME_SNAPSHOT};
    if (!len || len > FLO_REPORT_MAX_BYTES)
        return FLO_FRAME_SIZE;
    if (!read_split(data, len, out))
        verdict = read_whole(data, len, out);
    return verdict == FLO_FRAME_TAKEN ? read_type(out) : verdict;
}

void flo_fleet_frame_fini(struct flo_frame *frame)
{
    json_decref(frame->head);
    free(frame->owned); /* jansson's */
    *frame = (struct flo_frame){.head = NULL};
}

/* ---- members ---- */

static const json_t *member(const struct flo_frame *frame, const char *name)
{
    return json_object_get(frame->head, name);
}

enum flo_frame_verdict flo_fleet_frame_role(const struct flo_frame *frame,
                                            enum flo_fleet_role *out_role, uint64_t *out_seq)
{
    const json_t *role = member(frame, "role"), *seq = member(frame, "seq");
    int found =
        is_text(role, 1, 32) ? flo_fleet_role_by_name(json_string_value(role)) : FLO_FLEET_ANY_ROLE;
    if (found == FLO_FLEET_ANY_ROLE)
        return FLO_FRAME_ROLE;
    if (!is_count(seq))
        return FLO_FRAME_FIELD;
    *out_role = (enum flo_fleet_role)found;
    *out_seq = (uint64_t)json_integer_value(seq);
    return FLO_FRAME_TAKEN;
}

/* One text member and where it goes. */
struct text_place {
    const char *name;
    const char **place;
    size_t min, max;
};
#define TEXTS 7

static void text_places(struct flo_fleet_entry *entry, struct text_place out[TEXTS])
{
    const struct text_place places[TEXTS] = {{"identity", &entry->identity, 1, 255},
                                             {"name", &entry->name, 0, 255},
                                             {"version", &entry->version, 0, TEXT_MAX},
                                             {"server", &entry->server, 0, TEXT_MAX},
                                             {"namespace", &entry->name_space, 0, TEXT_MAX},
                                             {"task_queue", &entry->task_queue, 0, 4096},
                                             {"http", &entry->http, 0, TEXT_MAX}};
    memcpy(out, places, sizeof places);
}

static bool check_texts(const struct flo_frame *frame, struct flo_fleet_entry *entry)
{
    struct text_place places[TEXTS];
    text_places(entry, places);
    for (size_t i = 0; i < TEXTS; i++)
        if (!is_text(member(frame, places[i].name), places[i].min, places[i].max))
            return false;
    return true;
}

/* One block, unless the texts are what the entry has. */
enum flo_frame_verdict flo_fleet_frame_fill_texts(const struct flo_frame *frame,
                                                  struct flo_fleet_entry *entry)
{
    struct text_place places[TEXTS];
    size_t total = 0;
    bool same = entry->texts != NULL;
    text_places(entry, places);
    for (size_t i = 0; i < TEXTS; i++) {
        const json_t *text = member(frame, places[i].name);
        total += json_string_length(text) + 1;
        same = same && strcmp(*places[i].place, json_string_value(text)) == 0;
    }
    if (same)
        return FLO_FRAME_TAKEN;
    char *block = flo_malloc(total), *at = block;
    if (!block)
        return FLO_FRAME_MEMORY;
    for (size_t i = 0; i < TEXTS; i++) {
        const json_t *text = member(frame, places[i].name);
        size_t size = json_string_length(text) + 1;
        memcpy(at, json_string_value(text), size);
        *places[i].place = at;
        at += size;
    }
    flo_free(entry->texts);
    entry->texts = block;
    return FLO_FRAME_TAKEN;
}

static bool read_slots(const json_t *slots, struct flo_fleet_entry *entry)
{
    if (!json_is_array(slots) || json_array_size(slots) > FLO_REPORT_SLOT_KINDS)
        return false;
    entry->slot_count = (unsigned)json_array_size(slots);
    for (unsigned i = 0; i < entry->slot_count; i++) {
        const json_t *slot = json_array_get(slots, i), *kind = json_object_get(slot, "kind");
        const json_t *used = json_object_get(slot, "used"), *total = json_object_get(slot, "total");
        if (!is_text(kind, 1, sizeof entry->slots[i].kind - 1) || !is_count(used) ||
            !is_count(total) || json_integer_value(used) > UINT32_MAX ||
            json_integer_value(total) > UINT32_MAX)
            return false;
        memcpy(entry->slots[i].kind, json_string_value(kind), json_string_length(kind) + 1);
        entry->slots[i].used = (uint32_t)json_integer_value(used);
        entry->slots[i].total = (uint32_t)json_integer_value(total);
    }
    return true;
}

static bool read_said(const json_t *state, enum flo_fleet_said *out)
{
    static const char *const names[] = {"running", "quiet", "draining", "stopped"};
    for (int i = 0; is_text(state, 1, 16) && i <= FLO_SAID_STOPPED; i++) {
        if (strcmp(json_string_value(state), names[i]) == 0) {
            *out = (enum flo_fleet_said)i;
            return true;
        }
    }
    return false;
}

static bool read_counts(const struct flo_frame *frame, struct flo_fleet_entry *entry)
{
    const struct {
        const char *name;
        int64_t *place;
    } counts[] = {{"pid", &entry->pid},
                  {"started_ms", &entry->started_ms},
                  {"cpu_ms", &entry->cpu_ms},
                  {"rss_bytes", &entry->rss_bytes},
                  {"threads", &entry->threads},
                  {"done", (int64_t *)&entry->done},
                  {"failed", (int64_t *)&entry->failed},
                  {"polls", (int64_t *)&entry->polls}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const json_t *count = member(frame, counts[i].name);
        if (!is_count(count))
            return false;
        *counts[i].place = json_integer_value(count);
    }
    const json_t *left_out = member(frame, "left_out");
    entry->left_out = is_count(left_out) ? (uint64_t)json_integer_value(left_out) : 0;
    return true;
}

enum flo_frame_verdict flo_fleet_frame_fill(const struct flo_frame *frame,
                                            struct flo_fleet_entry *entry)
{
    const json_t *ready = member(frame, "ready");
    if (!read_said(member(frame, "state"), &entry->said) || !read_counts(frame, entry) ||
        !read_slots(member(frame, "slots"), entry) || !json_is_boolean(ready) ||
        !check_texts(frame, entry))
        return FLO_FRAME_FIELD;
    entry->ready = json_is_true(ready);
    return FLO_FRAME_TAKEN;
}

enum flo_frame_verdict flo_fleet_frame_event(const struct flo_frame *frame, struct flo_event *out)
{
    static const char *const levels[] = {"info", "warn", "error"};
    const struct {
        const char *name;
        const char **place;
        size_t min, max;
    } texts[] = {{"identity", &out->identity, 1, 255},
                 {"role", &out->role, 1, 32},
                 {"name", &out->name, 0, 255},
                 {"kind", &out->kind, 1, 64},
                 {"message", &out->message, 0, FLO_EVENT_MESSAGE_MAX}};
    *out = (struct flo_event){.boot = frame->boot};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const json_t *text = member(frame, texts[i].name);
        if (!is_text(text, texts[i].min, texts[i].max))
            return FLO_FRAME_FIELD;
        *texts[i].place = json_string_value(text);
    }
    const json_t *level = member(frame, "level"), *fields = member(frame, "fields");
    bool known = false;
    for (size_t i = 0; is_text(level, 1, 8) && i < sizeof levels / sizeof *levels; i++) {
        if (strcmp(json_string_value(level), levels[i]) == 0) {
            out->level = (enum flo_log_level)(FLO_LOG_INFO + i);
            known = true;
        }
    }
    if (!known || !is_count(member(frame, "ts_ms")) || (fields && !json_is_object(fields)))
        return FLO_FRAME_FIELD;
    out->ts_ms = json_integer_value(member(frame, "ts_ms"));
    out->fields = (json_t *)fields;
    return FLO_FRAME_TAKEN;
}

enum flo_frame_verdict flo_fleet_frame_ack(const struct flo_frame *frame, struct flo_frame_ack *out)
{
    const json_t *id = member(frame, "id"), *ok = member(frame, "ok");
    const json_t *message = member(frame, "message");
    if (!is_count(id) || !json_is_boolean(ok) || !is_text(message, 0, TEXT_MAX))
        return FLO_FRAME_FIELD;
    *out = (struct flo_frame_ack){.id = (uint64_t)json_integer_value(id),
                                  .ok = json_is_true(ok),
                                  .message = json_string_value(message),
                                  .data = json_object_get(frame->head, "data")};
    return FLO_FRAME_TAKEN;
}
