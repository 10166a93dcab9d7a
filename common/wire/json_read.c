/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_read.c - protobuf messages from their JSON, by walking the descriptors; see wire/json.h.
 *
 * Two spellings of payloads are read beside the official one: tools that print for people write a
 * payload of JSON as that JSON itself ("shorthand"), and a list of payloads as an array of those.
 * A value is taken for the official form when it has metadata and nothing that a payload has not.
 */
#include "wire/json_read.h"

#include <ctype.h>
#include <string.h>

#include "wire/api.h"
#include "wire/decode.h"
#include "wire/field.h"
#include "wire/json.h"

/* The key of a shorthand payload that says which message its JSON is of. */
#define MESSAGE_TYPE_KEY "_protoMessageType"

static int read_message(struct flo_json_reader *reader, const struct flo_json_place *place,
                        const ProtobufCMessageDescriptor *descriptor, const json_t *value,
                        ProtobufCMessage **out);

static ProtobufCMessage *message_new(struct flo_json_reader *reader,
                                     const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = flo_arena_alloc(reader->arena, descriptor->sizeof_message);
    if (message)
        descriptor->message_init(message);
    return message;
}

/* Is key the name of a field, as foo_bar or as fooBar? */
static bool names(const char *key, const char *field)
{
    if (strcmp(key, field) == 0)
        return true;
    for (; *field; key++, field++) {
        bool upper = *field == '_';
        field += upper;
        if (*key != (upper ? toupper((unsigned char)*field) : *field))
            return false;
    }
    return !*key;
}

static const ProtobufCFieldDescriptor *find(const ProtobufCMessageDescriptor *descriptor,
                                            const char *key)
{
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        if (descriptor->fields[i].name[0] == key[0] && names(key, descriptor->fields[i].name))
            return &descriptor->fields[i];
    }
    return NULL;
}

/* One value of the field's type into to. */
static int read_value(struct flo_json_reader *reader, const struct flo_json_place *place,
                      const ProtobufCFieldDescriptor *field, const json_t *value, void *to)
{
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return flo_json_read_scalar(reader, place, field, value, to);
    ProtobufCMessage *message;
    int rc = read_message(reader, place, field->descriptor, value, &message);
    if (rc == 0)
        memcpy(to, &message, sizeof message);
    return rc;
}

/* ---- repeated fields ---- */

static int read_array(struct flo_json_reader *reader, const struct flo_json_place *place,
                      const ProtobufCFieldDescriptor *field, const json_t *value, void **out,
                      size_t *out_count)
{
    size_t count = json_array_size(value), size = flo_wire_layouts[field->type].size;
    uint8_t *values = flo_arena_calloc(reader->arena, count ? count : 1, size);
    if (!json_is_array(value))
        return flo_json_wrong(reader, place, "an array was expected");
    if (!values)
        return flo_json_no_memory(reader);
    for (size_t i = 0; i < count; i++) {
        const struct flo_json_place here = {.up = place, .index = i};
        int rc = read_value(reader, &here, field, json_array_get(value, i), values + i * size);
        if (rc)
            return rc;
    }
    *out = values;
    *out_count = count;
    return 0;
}

static int read_map(struct flo_json_reader *reader, const struct flo_json_place *place,
                    const ProtobufCFieldDescriptor *field, const json_t *value, void **out,
                    size_t *out_count)
{
    const ProtobufCMessageDescriptor *descriptor = field->descriptor;
    size_t count = 0;
    ProtobufCMessage **entries =
        flo_arena_calloc(reader->arena, json_object_size(value) + 1, sizeof *entries);
    const char *key;
    json_t *content;
    if (!json_is_object(value))
        return flo_json_wrong(reader, place, "an object was expected");
    if (!entries)
        return flo_json_no_memory(reader);
    json_object_foreach((json_t *)(uintptr_t)value, key, content)
    {
        const struct flo_json_place here = {.up = place, .name = key};
        ProtobufCMessage *entry = entries[count++] = message_new(reader, descriptor);
        if (!entry)
            return flo_json_no_memory(reader);
        int rc = flo_json_read_key(reader, &here, &descriptor->fields[0], key,
                                   (uint8_t *)entry + descriptor->fields[0].offset);
        if (rc == 0)
            rc = read_value(reader, &here, &descriptor->fields[1], content,
                            (uint8_t *)entry + descriptor->fields[1].offset);
        if (rc)
            return rc;
    }
    *out = entries;
    *out_count = count;
    return 0;
}

/* ---- messages ---- */

static int read_field(struct flo_json_reader *reader, const struct flo_json_place *place,
                      const ProtobufCFieldDescriptor *field, const json_t *value,
                      ProtobufCMessage *message)
{
    uint8_t *base = (uint8_t *)message;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        void *values = NULL;
        size_t count = 0;
        int rc = flo_json_is_map(message->descriptor, field)
                     ? read_map(reader, place, field, value, &values, &count)
                     : read_array(reader, place, field, value, &values, &count);
        if (rc)
            return rc;
        memcpy(base + field->offset, &values, sizeof(void *));
        memcpy(base + field->quantifier_offset, &count, sizeof count);
        return 0;
    }
    union {
        uint64_t number;
        void *pointer;
        ProtobufCBinaryData bytes;
    } place_of_value = {0};
    int rc = read_value(reader, place, field, value, &place_of_value);
    if (rc)
        return rc;
    memcpy(base + field->offset, &place_of_value, flo_wire_layouts[field->type].size);
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        memcpy(base + field->quantifier_offset, &field->id, sizeof field->id);
    else if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->quantifier_offset)
        memcpy(base + field->quantifier_offset, &(protobuf_c_boolean){1},
               sizeof(protobuf_c_boolean));
    return 0;
}

/* What a newer server has and we do not know is left out; null is as if it were not there. */
static int read_fields(struct flo_json_reader *reader, const struct flo_json_place *place,
                       const json_t *value, ProtobufCMessage *message)
{
    const char *key;
    json_t *content;
    if (!json_is_object(value))
        return flo_json_wrong(reader, place, "an object was expected");
    json_object_foreach((json_t *)(uintptr_t)value, key, content)
    {
        const struct flo_json_place here = {.up = place, .name = key};
        const ProtobufCFieldDescriptor *field = find(message->descriptor, key);
        int rc = field && !json_is_null(content)
                     ? read_field(reader, &here, field, content, message)
                     : 0;
        if (rc)
            return rc;
    }
    return 0;
}

/* Of both messages: the fields 1 and 2 are seconds and nanos. */
static int read_time(struct flo_json_reader *reader, const struct flo_json_place *place,
                     const json_t *value, ProtobufCMessage *message)
{
    const char *text = json_string_value(value);
    if (!text) /* out of the range that text has: the fields themselves */
        return read_fields(reader, place, value, message);
    if (message->descriptor == &google__protobuf__timestamp__descriptor) {
        Google__Protobuf__Timestamp *timestamp = (Google__Protobuf__Timestamp *)(void *)message;
        return flo_json_read_timestamp(reader, place, text, &timestamp->seconds, &timestamp->nanos);
    }
    Google__Protobuf__Duration *duration = (Google__Protobuf__Duration *)(void *)message;
    return flo_json_read_duration(reader, place, text, &duration->seconds, &duration->nanos);
}

/* The bytes of one whose content is written out as JSON are not known. */
static int read_any(struct flo_json_reader *reader, const struct flo_json_place *place,
                    const json_t *value, Google__Protobuf__Any *any)
{
    const char *url = json_string_value(json_object_get(value, "@type"));
    const json_t *bytes = json_object_get(value, "value");
    if (!json_is_object(value))
        return flo_json_wrong(reader, place, "an object was expected");
    if (url && !(any->type_url = flo_arena_strdup(reader->arena, url)))
        return flo_json_no_memory(reader);
    return json_is_string(bytes)
               ? flo_json_read_scalar(reader, place, &any->base.descriptor->fields[1], bytes,
                                      &any->value)
               : 0;
}

/* ---- payloads ---- */

static bool is_official_payload(const json_t *value)
{
    const json_t *metadata = json_object_get(value, "metadata");
    const char *key;
    json_t *content;
    if (json_object_size(metadata) == 0)
        return false;
    json_object_foreach((json_t *)(uintptr_t)metadata, key, content)
    {
        if (!json_is_string(content))
            return false;
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, content)
    {
        if (!find(&flo_api__payload__descriptor, key))
            return false;
    }
    return true;
}

static int add_metadata(struct flo_json_reader *reader, FloApi__Payload *payload, const char *key,
                        const char *value)
{
    FloApi__Payload__MetadataEntry *entry = flo_arena_alloc(reader->arena, sizeof *entry);
    size_t len = strlen(value);
    if (!payload->metadata)
        payload->metadata = flo_arena_calloc(reader->arena, 2, sizeof *payload->metadata);
    if (!entry || !payload->metadata)
        return flo_json_no_memory(reader);
    flo_api__payload__metadata_entry__init(entry);
    entry->key = flo_arena_strdup(reader->arena, key);
    entry->value.data = flo_arena_memdup(reader->arena, value, len);
    entry->value.len = len;
    if (!entry->key || !entry->value.data)
        return flo_json_no_memory(reader);
    payload->metadata[payload->n_metadata++] = entry;
    return 0;
}

static int set_json_data(struct flo_json_reader *reader, FloApi__Payload *payload,
                         const json_t *value)
{
    const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;
    size_t len = json_dumpb(value, NULL, 0, flags);
    payload->data.data = len ? flo_arena_alloc_bytes(reader->arena, len) : NULL;
    if (!payload->data.data)
        return flo_json_no_memory(reader);
    payload->data.len = json_dumpb(value, (char *)payload->data.data, len, flags);
    return 0;
}

static int read_shorthand(struct flo_json_reader *reader, const json_t *value,
                          FloApi__Payload *payload)
{
    const char *type = json_string_value(json_object_get(value, MESSAGE_TYPE_KEY));
    if (json_is_null(value))
        return add_metadata(reader, payload, "encoding", "binary/null");
    if (!type) {
        int rc = add_metadata(reader, payload, "encoding", "json/plain");
        return rc ? rc : set_json_data(reader, payload, value);
    }
    json_t *bare = json_copy((json_t *)(uintptr_t)value);
    int rc = bare ? add_metadata(reader, payload, "encoding", "json/protobuf")
                  : flo_json_no_memory(reader);
    if (rc == 0)
        rc = add_metadata(reader, payload, "messageType", type);
    if (rc == 0 && json_object_del(bare, MESSAGE_TYPE_KEY) == 0)
        rc = set_json_data(reader, payload, bare);
    json_decref(bare);
    return rc;
}

static int read_by_type(struct flo_json_reader *reader, const struct flo_json_place *place,
                        const json_t *value, ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    if (descriptor == &google__protobuf__timestamp__descriptor ||
        descriptor == &google__protobuf__duration__descriptor)
        return read_time(reader, place, value, message);
    if (descriptor == &google__protobuf__any__descriptor)
        return read_any(reader, place, value, (Google__Protobuf__Any *)(void *)message);
    if (flo_json_is_wrapper(descriptor))
        return read_field(reader, place, &descriptor->fields[0], value, message);
    if (descriptor == &flo_api__payload__descriptor && !is_official_payload(value))
        return read_shorthand(reader, value, (FloApi__Payload *)(void *)message);
    if (descriptor == &flo_api__payloads__descriptor && json_is_array(value))
        return read_field(reader, place, &descriptor->fields[0], value, message);
    return read_fields(reader, place, value, message);
}

static int read_message(struct flo_json_reader *reader, const struct flo_json_place *place,
                        const ProtobufCMessageDescriptor *descriptor, const json_t *value,
                        ProtobufCMessage **out)
{
    ProtobufCMessage *message = message_new(reader, descriptor);
    if (!message)
        return flo_json_no_memory(reader);
    if (reader->depth >= FLO_WIRE_DEPTH)
        return flo_json_wrong(reader, place, "this nests deeper than %d messages", FLO_WIRE_DEPTH);
    reader->depth++;
    int rc = read_by_type(reader, place, value, message);
    reader->depth--;
    if (rc == 0)
        *out = message;
    return rc;
}

int flo_wire_from_json(const ProtobufCMessageDescriptor *descriptor, const json_t *value,
                       struct flo_arena *arena, ProtobufCMessage **out_message, struct flo_err *err)
{
    struct flo_json_reader reader = {.arena = arena, .err = err};
    return read_message(&reader, NULL, descriptor, value, out_message);
}
