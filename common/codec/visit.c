/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visit.c - every payload of a message, found by the descriptors: a message of the API may hold
 * them at any depth, and new fields that do are found without a change here.
 */
#include <string.h>

#include "codec/internal.h"
#include "wire/decode.h"

struct visit {
    flo_payload_visit_fn fn;
    void *ctx;
    struct flo_arena *arena;
};

static int visit_message(const struct visit *v, ProtobufCMessage *message);

/* ---- what is left alone ---- */

static bool left_alone(const ProtobufCMessageDescriptor *type)
{
    return type == &flo_api__search_attributes__descriptor || /* the server reads them */
           type == &flo_api__header__descriptor;              /* interceptors of both sides do */
}

/* Entries of a marker's details that runtimes read, not user code. */
static bool runtime_detail(const char *marker, const char *key)
{
    static const char *const core[] = {"data", "patch-data", "patch_id", "deprecated"};
    static const char *const go[] = {"change-id", "version", "side-effect-id", "call-count"};
    bool of_core = strncmp(marker, "core_", 5) == 0;
    const char *const *keys = of_core ? core : go;
    size_t count = of_core ? sizeof core / sizeof *core : sizeof go / sizeof *go;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(key, keys[i]) == 0)
            return true;
    }
    return false;
}

/* ---- messages inside other bytes ---- */

/* The messages with payloads that an Any may hold: the bodies of protocol messages. */
static const ProtobufCMessageDescriptor *body_type(const char *type_url)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &flo_api__request__descriptor, &flo_api__rejection__descriptor,
        &flo_api__acceptance__descriptor, &flo_api__response__descriptor};
    static const char *const names[] = {"Request", "Rejection", "Acceptance", "Response"};
    static const char package[] = "temporal.api.update.v1.";
    const char *name = strrchr(type_url, '/');
    name = name ? name + 1 : type_url;
    if (strncmp(name, package, sizeof package - 1) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name + sizeof package - 1, names[i]) == 0)
            return types[i];
    }
    return NULL;
}

static int visit_any(const struct visit *v, Google__Protobuf__Any *any)
{
    const ProtobufCMessageDescriptor *type = body_type(any->type_url);
    ProtobufCMessage *body;
    if (!type)
        return 0;
    int rc = flo_wire_decode(type, any->value.data, any->value.len, v->arena, &body, NULL);
    if (rc)
        return rc == FLO_ELIMIT ? FLO_ENOMEM : 0; /* who reads it will say what is wrong with it */
    rc = visit_message(v, body);
    return rc ? rc : flo_wire_encode_arena(body, v->arena, &any->value.data, &any->value.len);
}

/* ---- the walk ---- */

static int visit_marker(const struct visit *v, const char *name, size_t count,
                        ProtobufCMessage **entries)
{
    for (size_t i = 0; i < count; i++) {
        const char *key = *(char **)((char *)entries[i] + entries[i]->descriptor->fields[0].offset);
        int rc = runtime_detail(name, key) ? 0 : visit_message(v, entries[i]);
        if (rc)
            return rc;
    }
    return 0;
}

static int visit_one(const struct visit *v, ProtobufCMessage **place)
{
    if (!*place)
        return 0;
    if ((*place)->descriptor == &flo_api__payload__descriptor) {
        FloApi__Payload *payload = (FloApi__Payload *)*place;
        int rc = v->fn(v->ctx, &payload);
        *place = &payload->base;
        return rc;
    }
    return visit_message(v, *place);
}

static int visit_field(const struct visit *v, ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field)
{
    char *base = (char *)message;
    void *member = base + field->offset;
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
        *(const uint32_t *)(const void *)(base + field->quantifier_offset) != field->id)
        return 0;
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return visit_one(v, member);
    size_t count = *(const size_t *)(const void *)(base + field->quantifier_offset);
    ProtobufCMessage **items = *(ProtobufCMessage ***)member;
    if (message->descriptor == &flo_api__record_marker_command_attributes__descriptor)
        return visit_marker(v, ((FloApi__RecordMarkerCommandAttributes *)message)->marker_name,
                            count, items);
    if (message->descriptor == &flo_api__marker_recorded_event_attributes__descriptor)
        return visit_marker(v, ((FloApi__MarkerRecordedEventAttributes *)message)->marker_name,
                            count, items);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = visit_one(v, &items[i]);
    return rc;
}

static int visit_message(const struct visit *v, ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    if (type == &google__protobuf__any__descriptor)
        return visit_any(v, (Google__Protobuf__Any *)message);
    if (left_alone(type))
        return 0;
    for (unsigned i = 0; i < type->n_fields; i++) {
        if (type->fields[i].type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        int rc = visit_field(v, message, &type->fields[i]);
        if (rc)
            return rc;
    }
    return 0;
}

int flo_payload_visit(ProtobufCMessage *message, struct flo_arena *arena, flo_payload_visit_fn fn,
                      void *ctx)
{
    const struct visit v = {fn, ctx, arena};
    return visit_message(&v, message);
}
