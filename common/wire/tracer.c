/* SPDX-License-Identifier: Apache-2.0 */
/* tracer.c - header "_tracer-data", to and from a trace context; see tracer.h. */
#include "wire/tracer.h"

#include <jansson.h>
#include <string.h>

#include "wire/payload.h"

/* W3C asks for 512 bytes of tracestate at least, and 8192 of baggage at most. */
#define TEXT_MAX 8192

static const FloApi__Payload *field_of(const FloApi__Header *header)
{
    for (size_t i = 0; header && i < header->n_fields; i++)
        if (strcmp(header->fields[i]->key, FLO_TRACER_HEADER) == 0)
            return header->fields[i]->value;
    return NULL;
}

/* A member's text in arena; NULL when there is none that can be passed on. */
static const char *text_of(const json_t *carrier, const char *key, struct flo_arena *arena)
{
    const json_t *value = json_object_get(carrier, key);
    size_t len = json_string_length(value);
    return len > 0 && len <= TEXT_MAX ? flo_arena_strdup(arena, json_string_value(value)) : NULL;
}

bool flo_tracer_read(const FloApi__Header *header, struct flo_arena *arena,
                     struct flo_tracer_data *out)
{
    const FloApi__Payload *payload = field_of(header);
    json_t *carrier = NULL;
    const char *parent;
    struct flo_tracer_data data = {0};
    bool found;

    if (!payload || flo_payload_to_json(payload, &carrier, NULL))
        return false;
    parent = json_string_value(json_object_get(carrier, "traceparent"));
    found = parent && flo_traceparent_parse(parent, &data.context);
    if (found) {
        data.tracestate = text_of(carrier, "tracestate", arena);
        data.baggage = text_of(carrier, "baggage", arena);
        *out = data;
    }
    json_decref(carrier);
    return found;
}

FloApi__Header *flo_tracer_header(const struct flo_tracer_data *data, struct flo_arena *arena)
{
    static char key[] = FLO_TRACER_HEADER;
    char parent[FLO_TRACEPARENT_LEN + 1];
    FloApi__Header *header = flo_arena_alloc(arena, sizeof *header);
    FloApi__Header__FieldsEntry *entry = flo_arena_alloc(arena, sizeof *entry);
    FloApi__Header__FieldsEntry **entries = flo_arena_alloc(arena, sizeof(void *));
    json_t *carrier;

    flo_traceparent_format(&data->context, parent);
    carrier = json_pack("{s:s, s:s*, s:s*}", "traceparent", parent, "tracestate", data->tracestate,
                        "baggage", data->baggage);
    if (!header || !entry || !entries || !carrier) {
        json_decref(carrier);
        return NULL;
    }
    flo_api__header__init(header);
    flo_api__header__fields_entry__init(entry);
    entry->key = key;
    entry->value = flo_payload_from_json(arena, carrier);
    json_decref(carrier);
    entries[0] = entry;
    header->fields = entries;
    header->n_fields = 1;
    return entry->value ? header : NULL;
}
