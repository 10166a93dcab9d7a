/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.c - bytes to protobuf-c structs, driven by the message descriptors.
 *
 * protobuf-c's own unpacker recurses without a limit, keeps scratch lists that an arena cannot take
 * back, and lets any bytes into strings. This decoder fills the same structs, so that packing and
 * everything else of protobuf-c applies to them, under these rules:
 *
 *  - Two passes over the headers of one message, none over its content: count() sizes the repeated
 *    fields (the n_ member is the counter) and checks that every header is sound; fill() stores.
 *    Time is linear in the bytes, memory comes from the arena alone and nothing is taken twice.
 *  - Sub-messages nest at most FLO_WIRE_DEPTH deep below the root; one small stack frame a level.
 *  - Strings are UTF-8 without NUL. Groups and the reserved wire types are refused.
 *  - As the official decoders do: a known field with another wire type counts as unknown, unknown
 *    fields are kept (and packed again), the last of several scalars wins, several occurrences of
 *    one singular message merge, repeated scalars may come packed or one by one. Of a oneof the
 *    last occurrence wins, without merging.
 *
 * Rejected: a checking pass before protobuf-c's unpacker. It reads everything twice, and the
 * scratch lists (32 bytes a field, freed and thus lost in an arena) break the memory budget for
 * honest messages before hostile ones reach it.
 *
 * Specification: protobuf's encoding guide (protobuf.dev/programming-guides/encoding).
 */
#include "wire/decode.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "wire/varint.h"

#define LEAST_BUDGET_BYTES ((size_t)64 * 1024)
#define MOST_BUDGET_BYTES ((size_t)64 * 1024 * 1024)
#define BUDGET_PER_BYTE 16
/* Fields past this index (none today) replace instead of merging. */
#define MERGEABLE_FIELDS 256

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };

struct decoder {
    struct flo_arena *arena;
    struct flo_err *err;
    const ProtobufCMessageDescriptor *root;
    const ProtobufCFieldDescriptor *path[FLO_WIRE_DEPTH + 1]; /* field entered at each level */
    unsigned depth;                                           /* levels below the root */
};

/* What is left to read of one message. */
struct span {
    const uint8_t *at, *end;
};

/* One field as it stands in the bytes. */
struct record {
    uint32_t number;
    enum wire_type type;
    uint64_t value;      /* WIRE_VARINT: the number */
    const uint8_t *data; /* WIRE_LEN, WIRE_32, WIRE_64: the content */
    size_t len;          /* bytes of content */
    const uint8_t *body; /* all after the tag, a length prefix included */
    size_t body_len;
};

/* Fill err with the path of the field that is being read and why; returns code. */
static int refuse(struct decoder *d, const ProtobufCFieldDescriptor *field, int code,
                  const char *why)
{
    char path[256];
    size_t used = (size_t)snprintf(path, sizeof path, "%s", d->root->short_name);
    for (unsigned i = 0; i < d->depth + (field ? 1 : 0) && used < sizeof path; i++) {
        const char *name = i < d->depth ? d->path[i]->name : field->name;
        if (used + strlen(name) + sizeof "....." > sizeof path) {
            snprintf(path + used, sizeof path - used, "...");
            break;
        }
        used += (size_t)snprintf(path + used, sizeof path - used, ".%s", name);
    }
    flo_fail(d->err, code, "%s: %s", path, why);
    return code;
}

static bool read_varint(struct span *in, uint64_t *out_value)
{
    return flo_varint_get(&in->at, in->end, out_value);
}

/* The next record; in must not be at its end. */
static int read_record(struct decoder *d, struct span *in, struct record *out)
{
    uint64_t tag;
    if (!read_varint(in, &tag))
        return refuse(d, NULL, FLO_EPROTO, "truncated or overlong tag");
    if (tag > UINT32_MAX || tag >> 3 == 0)
        return refuse(d, NULL, FLO_EPROTO, "invalid field number");
    out->number = (uint32_t)(tag >> 3);
    out->body = in->at;
    uint64_t len = 0;
    switch (tag & 7) {
    case WIRE_VARINT:
        out->type = WIRE_VARINT;
        if (!read_varint(in, &out->value))
            return refuse(d, NULL, FLO_EPROTO, "truncated or overlong number");
        break;
    case WIRE_64:
        out->type = WIRE_64;
        len = 8;
        break;
    case WIRE_LEN:
        out->type = WIRE_LEN;
        if (!read_varint(in, &len))
            return refuse(d, NULL, FLO_EPROTO, "truncated or overlong length");
        break;
    case WIRE_32:
        out->type = WIRE_32;
        len = 4;
        break;
    default:
        return refuse(d, NULL, FLO_EPROTO, "groups and reserved wire types are not accepted");
    }
    if (len > (size_t)(in->end - in->at))
        return refuse(d, NULL, FLO_EPROTO, "a field runs past the end of its message");
    out->data = in->at;
    out->len = (size_t)len;
    in->at += len;
    out->body_len = (size_t)(in->at - out->body);
    return 0;
}

/* The descriptor's field of that number, or NULL. *hint: where the last one was. */
static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *descriptor,
                                                  uint32_t number, unsigned *hint)
{
    const ProtobufCFieldDescriptor *fields = descriptor->fields;
    for (unsigned i = *hint; i < descriptor->n_fields && i < *hint + 2; i++) {
        if (fields[i].id == number) {
            *hint = i;
            return &fields[i];
        }
    }
    unsigned low = 0, high = descriptor->n_fields;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (fields[middle].id == number) {
            *hint = middle;
            return &fields[middle];
        }
        if (fields[middle].id < number)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static enum wire_type type_on_wire(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_32;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_LEN;
    default:
        return WIRE_VARINT;
    }
}

/* Bytes that one value takes in the generated struct. */
static size_t size_in_memory(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4; /* 32-bit numbers, enums, and protobuf_c_boolean, an int */
    }
}

/* Does the record hold several values of a repeated scalar? */
static bool is_packed(const ProtobufCFieldDescriptor *field, const struct record *record)
{
    return field->label == PROTOBUF_C_LABEL_REPEATED && record->type == WIRE_LEN &&
           type_on_wire(field->type) != WIRE_LEN;
}

/* The field that the record belongs to, NULL when unknown or of another wire type. */
static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessageDescriptor *descriptor,
                                                const struct record *record, unsigned *hint)
{
    const ProtobufCFieldDescriptor *field = find_field(descriptor, record->number, hint);
    if (field && type_on_wire(field->type) != record->type && !is_packed(field, record))
        return NULL;
    return field;
}

/* How many values a packed record holds. */
static int count_packed(struct decoder *d, const ProtobufCFieldDescriptor *field,
                        const struct record *record, size_t *out_count)
{
    enum wire_type type = type_on_wire(field->type);
    size_t count = 0;
    if (type != WIRE_VARINT) {
        size_t each = type == WIRE_64 ? 8 : 4;
        if (record->len % each)
            return refuse(d, field, FLO_EPROTO, "packed length is no multiple of the value size");
        *out_count = record->len / each;
        return 0;
    }
    for (size_t i = 0; i < record->len; i++)
        count += record->data[i] < 0x80;
    if (record->len > 0 && record->data[record->len - 1] >= 0x80)
        return refuse(d, field, FLO_EPROTO, "truncated number in a packed field");
    *out_count = count;
    return 0;
}

/* The n_ member of a repeated field. */
static size_t *count_of(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (size_t *)(void *)((uint8_t *)message + field->quantifier_offset);
}

static void *member_of(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (uint8_t *)message + field->offset;
}

/* First pass: count repeated values into their n_ members and the unknown fields and their bytes.
 */
static int count(struct decoder *d, ProtobufCMessage *message, struct span in,
                 size_t *out_unknown_bytes)
{
    unsigned hint = 0;
    while (in.at < in.end) {
        struct record record = {0};
        int rc = read_record(d, &in, &record);
        if (rc)
            return rc;
        const ProtobufCFieldDescriptor *field = field_of(message->descriptor, &record, &hint);
        if (!field) {
            message->n_unknown_fields++;
            *out_unknown_bytes += record.body_len;
        } else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t values = 1;
            if (is_packed(field, &record))
                rc = count_packed(d, field, &record, &values);
            if (rc)
                return rc;
            *count_of(message, field) += values;
        }
    }
    return 0;
}

/* Give each repeated field that count() found its array, and set its counter back to 0. */
static int make_arrays(struct decoder *d, ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (field->label != PROTOBUF_C_LABEL_REPEATED)
            continue;
        size_t *values = count_of(message, field);
        if (*values == 0)
            continue;
        void *array = flo_arena_calloc(d->arena, *values, size_in_memory(field->type));
        if (!array)
            return refuse(d, field, FLO_ELIMIT, "the message takes too much memory");
        memcpy(member_of(message, field), &array, sizeof array);
        *values = 0;
    }
    return 0;
}

static int parse_message(struct decoder *d, const ProtobufCMessageDescriptor *descriptor,
                         struct span in, ProtobufCMessage **out);

static int store_string(struct decoder *d, const ProtobufCFieldDescriptor *field,
                        const struct record *record, void *to)
{
    if (record->len && memchr(record->data, 0, record->len))
        return refuse(d, field, FLO_EINVAL, "NUL in a string");
    if (!flo_utf8_valid(record->data, record->len))
        return refuse(d, field, FLO_EPROTO, "invalid UTF-8");
    char *text = flo_arena_strndup(d->arena, (const char *)record->data, record->len);
    if (!text)
        return refuse(d, field, FLO_ELIMIT, "the message takes too much memory");
    memcpy(to, &text, sizeof text);
    return 0;
}

static int store_bytes(struct decoder *d, const ProtobufCFieldDescriptor *field,
                       const struct record *record, void *to)
{
    ProtobufCBinaryData bytes = {.len = record->len, .data = NULL};
    if (record->len) {
        bytes.data = flo_arena_memdup(d->arena, record->data, record->len);
        if (!bytes.data)
            return refuse(d, field, FLO_ELIMIT, "the message takes too much memory");
    }
    memcpy(to, &bytes, sizeof bytes);
    return 0;
}

static int store_message(struct decoder *d, const ProtobufCFieldDescriptor *field,
                         struct span content, void *to)
{
    if (d->depth >= FLO_WIRE_DEPTH)
        return refuse(d, field, FLO_EPROTO, "messages are nested too deep");
    ProtobufCMessage *child = NULL;
    d->path[d->depth++] = field;
    int rc = parse_message(d, field->descriptor, content, &child);
    d->depth--;
    if (rc == 0)
        memcpy(to, &child, sizeof(void *));
    return rc;
}

/* A number from a varint, in the shape of the member. */
static void store_varint(ProtobufCType type, uint64_t value, void *to)
{
    uint32_t low = (uint32_t)value;
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        memcpy(to, &value, sizeof value);
        return;
    case PROTOBUF_C_TYPE_SINT64:
        value = (value >> 1) ^ (0 - (value & 1));
        memcpy(to, &value, sizeof value);
        return;
    case PROTOBUF_C_TYPE_SINT32:
        low = (low >> 1) ^ (0 - (low & 1));
        break;
    case PROTOBUF_C_TYPE_BOOL:
        low = value != 0;
        break;
    default:
        break; /* INT32, UINT32, ENUM: the low 32 bits */
    }
    memcpy(to, &low, sizeof low);
}

/* A fixed-size number: little-endian on the wire. */
static void store_fixed(const uint8_t *data, size_t len, void *to)
{
    uint64_t value = 0;
    for (size_t i = len; i-- > 0;)
        value = value << 8 | data[i];
    uint32_t low = (uint32_t)value;
    if (len == 4)
        memcpy(to, &low, sizeof low);
    else
        memcpy(to, &value, sizeof value);
}

/* One value, not packed. */
static int store_value(struct decoder *d, const ProtobufCFieldDescriptor *field,
                       const struct record *record, void *to)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return store_string(d, field, record, to);
    case PROTOBUF_C_TYPE_BYTES:
        return store_bytes(d, field, record, to);
    case PROTOBUF_C_TYPE_MESSAGE:
        return store_message(d, field, (struct span){record->data, record->data + record->len}, to);
    default:
        if (record->type == WIRE_VARINT)
            store_varint(field->type, record->value, to);
        else
            store_fixed(record->data, record->len, to);
        return 0;
    }
}

static int store_packed(struct decoder *d, const ProtobufCFieldDescriptor *field,
                        const struct record *record, uint8_t *array, size_t *values)
{
    enum wire_type type = type_on_wire(field->type);
    size_t size = size_in_memory(field->type);
    struct span in = {record->data, record->data + record->len};
    while (in.at < in.end) {
        void *to = array + *values * size;
        if (type == WIRE_VARINT) {
            uint64_t value;
            if (!read_varint(&in, &value))
                return refuse(d, field, FLO_EPROTO, "overlong number in a packed field");
            store_varint(field->type, value, to);
        } else {
            size_t each = type == WIRE_64 ? 8 : 4;
            store_fixed(in.at, each, to);
            in.at += each;
        }
        (*values)++;
    }
    return 0;
}

static int store_repeated(struct decoder *d, const ProtobufCFieldDescriptor *field,
                          const struct record *record, ProtobufCMessage *message)
{
    size_t *values = count_of(message, field);
    uint8_t *array;
    memcpy(&array, member_of(message, field), sizeof(void *));
    if (is_packed(field, record))
        return store_packed(d, field, record, array, values);
    int rc = store_value(d, field, record, array + *values * size_in_memory(field->type));
    if (rc == 0)
        (*values)++;
    return rc;
}

static int store_oneof(struct decoder *d, const ProtobufCFieldDescriptor *field,
                       const struct record *record, ProtobufCMessage *message)
{
    int rc = store_value(d, field, record, member_of(message, field));
    uint32_t which = field->id;
    memcpy((uint8_t *)message + field->quantifier_offset, &which, sizeof which);
    return rc;
}

/*
 * A singular message that occurs more than once: the merge of several equals the message whose
 * bytes are theirs in a row, so gather all of whole's occurrences and parse that.
 */
static int store_merged(struct decoder *d, const ProtobufCFieldDescriptor *field, struct span whole,
                        void *to)
{
    struct span in = whole;
    struct record record = {0};
    size_t total = 0;
    while (in.at < in.end) {
        int rc = read_record(d, &in, &record);
        if (rc)
            return rc;
        if (record.number == field->id && record.type == WIRE_LEN)
            total += record.len;
    }
    uint8_t *bytes = flo_arena_alloc(d->arena, total);
    if (!bytes)
        return refuse(d, field, FLO_ELIMIT, "the message takes too much memory");
    size_t used = 0;
    for (in = whole; in.at < in.end;) {
        int rc = read_record(d, &in, &record);
        if (rc)
            return rc;
        if (record.number == field->id && record.type == WIRE_LEN && record.len) {
            memcpy(bytes + used, record.data, record.len);
            used += record.len;
        }
    }
    return store_message(d, field, (struct span){bytes, bytes + used}, to);
}

static int store_singular(struct decoder *d, const ProtobufCFieldDescriptor *field,
                          const struct record *record, ProtobufCMessage *message, struct span whole,
                          uint8_t *merged)
{
    void *to = member_of(message, field);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        size_t index = (size_t)(field - message->descriptor->fields);
        void *before;
        memcpy(&before, to, sizeof before);
        if (before && index < MERGEABLE_FIELDS) {
            if (merged[index / 8] & 1u << index % 8)
                return 0; /* gathered with the second occurrence */
            merged[index / 8] |= (uint8_t)(1u << index % 8);
            return store_merged(d, field, whole, to);
        }
    }
    int rc = store_value(d, field, record, to);
    if (rc == 0 && field->label == PROTOBUF_C_LABEL_OPTIONAL && field->quantifier_offset) {
        protobuf_c_boolean has = 1;
        memcpy((uint8_t *)message + field->quantifier_offset, &has, sizeof has);
    }
    return rc;
}

/* Second pass: store every field. unknown_at: room for the bytes of all unknown fields. */
static int fill(struct decoder *d, ProtobufCMessage *message, struct span whole,
                uint8_t *unknown_at)
{
    uint8_t merged[MERGEABLE_FIELDS / 8] = {0};
    unsigned hint = 0;
    size_t unknowns = 0;
    struct span in = whole;
    while (in.at < in.end) {
        struct record record = {0};
        int rc = read_record(d, &in, &record);
        if (rc)
            return rc;
        const ProtobufCFieldDescriptor *field = field_of(message->descriptor, &record, &hint);
        if (!field) {
            assert(unknown_at && record.body && unknowns < message->n_unknown_fields);
            message->unknown_fields[unknowns++] = (ProtobufCMessageUnknownField){
                .tag = record.number,
                .wire_type = (ProtobufCWireType)record.type,
                .len = record.body_len,
                .data = unknown_at,
            };
            memcpy(unknown_at, record.body, record.body_len);
            unknown_at += record.body_len;
        } else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            rc = store_repeated(d, field, &record, message);
        } else if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            rc = store_oneof(d, field, &record, message);
        } else {
            rc = store_singular(d, field, &record, message, whole, merged);
        }
        if (rc)
            return rc;
    }
    return 0;
}

static int parse_message(struct decoder *d, const ProtobufCMessageDescriptor *descriptor,
                         struct span in, ProtobufCMessage **out)
{
    ProtobufCMessage *message = flo_arena_alloc(d->arena, descriptor->sizeof_message);
    if (!message)
        return refuse(d, NULL, FLO_ELIMIT, "the message takes too much memory");
    protobuf_c_message_init(descriptor, message);
    size_t unknown_bytes = 0;
    int rc = count(d, message, in, &unknown_bytes);
    if (rc)
        return rc;
    rc = make_arrays(d, message);
    if (rc)
        return rc;
    uint8_t *unknown = NULL;
    if (message->n_unknown_fields) {
        message->unknown_fields =
            flo_arena_calloc(d->arena, message->n_unknown_fields, sizeof *message->unknown_fields);
        unknown = flo_arena_alloc(d->arena, unknown_bytes);
        if (!message->unknown_fields || !unknown)
            return refuse(d, NULL, FLO_ELIMIT, "the message takes too much memory");
    }
    rc = fill(d, message, in, unknown);
    if (rc)
        return rc;
    *out = message;
    return 0;
}

int flo_wire_decode(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t len,
                    struct flo_arena *arena, ProtobufCMessage **out_message, struct flo_err *err)
{
    static const uint8_t nothing[1];
    struct decoder d = {.arena = arena, .err = err, .root = descriptor};
    const uint8_t *start = len ? data : nothing;
    return parse_message(&d, descriptor, (struct span){start, start + len}, out_message);
}

size_t flo_wire_budget(size_t len)
{
    if (len <= LEAST_BUDGET_BYTES / BUDGET_PER_BYTE)
        return LEAST_BUDGET_BYTES;
    if (len >= MOST_BUDGET_BYTES / BUDGET_PER_BYTE)
        return MOST_BUDGET_BYTES;
    return len * BUDGET_PER_BYTE;
}
