/* SPDX-License-Identifier: Apache-2.0 */
/* marker.c - how a local activity ended, to and from its marker; see marker.h. */
#include "workflow/marker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "wire/decode.h"
#include "wire/payload.h"
#include "workflow/entities.h"

#define MARKER_NAME "core_local_activity"
#define DATA "data"
#define RESULT "result"

static const FloApi__MarkerRecordedEventAttributes *attributes_of(const FloApi__HistoryEvent *event)
{
    return event->marker_recorded_event_attributes;
}

bool flo_marker_is_local(const FloApi__HistoryEvent *event)
{
    return strcmp(attributes_of(event)->marker_name, MARKER_NAME) == 0;
}

static const FloApi__Payloads *detail(const FloApi__MarkerRecordedEventAttributes *a,
                                      const char *key)
{
    for (size_t i = 0; i < a->n_details; i++) {
        if (strcmp(a->details[i]->key, key) == 0)
            return a->details[i]->value;
    }
    return NULL;
}

/* ---- reading ---- */

/* {"seconds": 1, "nanos": 2} as a time; null and absence give 0. */
static int64_t time_of(const json_t *data, const char *key)
{
    const json_t *value = json_object_get(data, key);
    int64_t seconds = json_integer_value(json_object_get(value, "seconds"));
    int64_t nanos = json_integer_value(json_object_get(value, "nanos"));
    if (seconds > INT64_MAX / FLO_NS_PER_S - 1 || seconds < 0 || nanos < 0 || nanos >= FLO_NS_PER_S)
        return 0;
    return seconds * FLO_NS_PER_S + nanos;
}

static const char *text_of(const json_t *data, const char *key)
{
    const char *text = json_string_value(json_object_get(data, key));
    return text ? text : "";
}

int flo_marker_decode(const FloApi__HistoryEvent *event, struct flo_marker *out,
                      struct flo_err *err)
{
    const FloApi__MarkerRecordedEventAttributes *a = attributes_of(event);
    const FloApi__Payloads *packed = detail(a, DATA);
    json_t *data = NULL;
    int rc = flo_payloads_to_json(packed, false, &data, err);
    if (rc == FLO_EPROTO || rc == FLO_EPERM)
        flo_err_prefix(err, "the local activity marker of event %" PRId64, event->event_id);
    if (rc)
        return rc;
    const json_t *seq = json_object_get(data, "seq"),
                 *step = json_object_get(data, "activation_index");
    if (!json_is_integer(seq)) {
        json_decref(data);
        return flo_fail(err, FLO_EPROTO,
                        "the local activity marker of event %" PRId64 " does not say which it is",
                        event->event_id);
    }
    *out = (struct flo_marker){
        .seq = (uint64_t)json_integer_value(seq),
        .attempt = (int32_t)json_integer_value(json_object_get(data, "attempt")),
        .activity_id = text_of(data, "activity_id"),
        .type = text_of(data, "activity_type"),
        .complete_ns = time_of(data, "complete_time"),
        .backoff_ns = time_of(data, "backoff"),
        .original_schedule_ns = time_of(data, "original_schedule_time"),
        .step = json_is_integer(step) ? json_integer_value(step) : -1,
        .result = a->failure ? NULL : detail(a, RESULT),
        .failure = a->failure,
        .data = data,
    };
    return 0;
}

void flo_marker_fini(struct flo_marker *marker)
{
    json_decref(marker->data);
    marker->data = NULL;
}

void flo_marker_describe(const FloApi__HistoryEvent *event, char *out_text, size_t size)
{
    struct flo_marker marker;
    if (!flo_marker_is_local(event)) {
        if (flo_evolution_describe(event, out_text, size))
            return;
        snprintf(out_text, size, " (marker %.100s)", attributes_of(event)->marker_name);
    } else if (flo_marker_decode(event, &marker, NULL)) {
        snprintf(out_text, size, " (of a local activity)");
    } else {
        snprintf(out_text, size, " (local activity %" PRIu64 ", type %.100s)", marker.seq,
                 marker.type);
        flo_marker_fini(&marker);
    }
}

/* ---- writing ---- */

static json_t *time_json(int64_t ns)
{
    if (ns <= 0)
        return json_null();
    return json_pack("{s:I, s:I}", "seconds", (json_int_t)(ns / FLO_NS_PER_S), "nanos",
                     (json_int_t)(ns % FLO_NS_PER_S));
}

static FloApi__RecordMarkerCommandAttributes__DetailsEntry *entry(struct flo_arena *arena,
                                                                  char *key,
                                                                  FloApi__Payloads *value)
{
    FloApi__RecordMarkerCommandAttributes__DetailsEntry *e = flo_arena_alloc(arena, sizeof *e);
    if (!e || !value)
        return NULL;
    flo_api__record_marker_command_attributes__details_entry__init(e);
    e->key = key;
    e->value = value;
    return e;
}

static FloApi__Payloads *data_payload(const struct flo_marker *marker, struct flo_arena *arena)
{
    json_t *data = json_pack(
        "{s:I, s:i, s:s, s:s, s:o, s:o, s:o, s:I}", "seq", (json_int_t)marker->seq, "attempt",
        (int)marker->attempt, "activity_id", marker->activity_id, "activity_type", marker->type,
        "complete_time", time_json(marker->complete_ns), "backoff", time_json(marker->backoff_ns),
        "original_schedule_time", time_json(marker->original_schedule_ns), "activation_index",
        (json_int_t)marker->step);
    FloApi__Payloads *payloads = data ? flo_payloads_from_json(arena, data) : NULL;
    json_decref(data);
    return payloads;
}

/* A success always has a result; readers of the official format expect one. */
static FloApi__Payloads *result_payload(const struct flo_marker *marker, struct flo_arena *arena)
{
    if (!marker->result || marker->result->n_payloads == 0)
        return flo_payloads_from_json(arena, NULL);
    return (FloApi__Payloads *)flo_wire_copy(&marker->result->base, arena);
}

int flo_marker_fill(const struct flo_marker *marker, struct flo_arena *arena,
                    FloApi__Command *message)
{
    static char data_key[] = DATA, result_key[] = RESULT, name[] = MARKER_NAME;
    FloApi__RecordMarkerCommandAttributes *a = flo_arena_alloc(arena, sizeof *a);
    FloApi__RecordMarkerCommandAttributes__DetailsEntry **entries =
        flo_arena_calloc(arena, 2, sizeof *entries);
    if (!a || !entries)
        return FLO_ENOMEM;
    flo_api__record_marker_command_attributes__init(a);
    a->marker_name = name;
    a->details = entries;
    entries[a->n_details++] = entry(arena, data_key, data_payload(marker, arena));
    if (marker->failure)
        a->failure = (FloApi__Failure *)flo_wire_copy(&marker->failure->base, arena);
    else
        entries[a->n_details++] = entry(arena, result_key, result_payload(marker, arena));
    message->attributes_case = FLO_API__COMMAND__ATTRIBUTES_RECORD_MARKER_COMMAND_ATTRIBUTES;
    message->record_marker_command_attributes = a;
    bool complete = entries[0] && (marker->failure ? a->failure != NULL : entries[1] != NULL);
    return complete ? 0 : FLO_ENOMEM;
}
