/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode.c - messages to bytes: the same bytes as protobuf-c's packer, field by field in the order
 * of their numbers, then the unknown fields that a decoded message carries.
 *
 * Written from the end to the front: when the length of a sub-message must be written, its bytes
 * are there already, so nothing is measured first. A message goes to a small buffer on the stack
 * and from there to its place. One that does not fit there is walked to its end all the same,
 * which says how long it is, and then once more into its place; so the walk is also the
 * measure. (protobuf-c's packer walks everything twice, and finds the fields' sizes anew at each
 * step.)
 *
 * Specification: protobuf's encoding guide (protobuf.dev/programming-guides/encoding).
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "wire/decode.h"
#include "wire/field.h"
#include "wire/varint.h"

/* What is first written on the stack: almost every message of a worker fits. Less where it may be
 * the small stack of user code. */
#define SHORT_BYTES 8192
#define SHORT_BYTES_ARENA 2048

/* The place of a message: it ends at end. What does not fit is counted and not written. */
struct writer {
    uint8_t *end;
    size_t room, used; /* bytes before end: there are, were asked for */
};

/* len bytes in front of what is there; NULL: no room. */
static inline uint8_t *take(struct writer *w, size_t len)
{
    w->used += len;
    return w->used <= w->room ? w->end - w->used : NULL;
}

static inline void put_varint(struct writer *w, uint64_t value)
{
    uint8_t *to;
    if (value < 0x80) {
        to = take(w, 1);
        if (to)
            *to = (uint8_t)value;
        return;
    }
    to = take(w, flo_varint_len(value));
    if (to)
        flo_varint_put(to, value);
}

static inline void put_bytes(struct writer *w, const void *data, size_t len)
{
    uint8_t *to = take(w, len);
    if (to && len)
        memcpy(to, data, len);
}

static inline void put_tag(struct writer *w, uint32_t number, unsigned type)
{
    put_varint(w, (uint64_t)number << 3 | type);
}

/* The varint that stands for a number of that type. */
static inline uint64_t varint_of(ProtobufCType type, const void *member)
{
    uint64_t value;
    uint32_t low;
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        memcpy(&value, member, sizeof value);
        return value;
    case PROTOBUF_C_TYPE_SINT64:
        memcpy(&value, member, sizeof value);
        return value << 1 ^ (0 - (value >> 63));
    default:
        memcpy(&low, member, sizeof low);
        break;
    }
    if (type == PROTOBUF_C_TYPE_SINT32)
        return (uint32_t)(low << 1 ^ (0 - (low >> 31)));
    if (type == PROTOBUF_C_TYPE_BOOL)
        return low != 0;
    return type == PROTOBUF_C_TYPE_UINT32 ? low : (uint64_t)(int64_t)(int32_t)low;
}

/* A number of fixed size: little-endian on the wire. */
static inline void put_fixed(struct writer *w, const void *member, size_t size)
{
    uint64_t value = 0;
    uint32_t low;
    if (size == sizeof low) {
        memcpy(&low, member, sizeof low);
        value = low;
    } else {
        memcpy(&value, member, sizeof value);
    }
    uint8_t *to = take(w, size);
    for (size_t i = 0; to && i < size; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static void put_message(struct writer *w, const ProtobufCMessage *message);

/* One value without its tag; text, bytes and messages with their length. */
static inline void put_value(struct writer *w, const ProtobufCFieldDescriptor *field,
                             const void *member)
{
    const struct flo_wire_layout *layout = &flo_wire_layouts[field->type];
    if (layout->wire == WIRE_VARINT) {
        put_varint(w, varint_of(field->type, member));
        return;
    }
    if (layout->wire != WIRE_LEN) {
        put_fixed(w, member, layout->size);
        return;
    }
    const size_t before = w->used;
    ProtobufCBinaryData bytes;
    const void *pointer;
    if (field->type == PROTOBUF_C_TYPE_BYTES) {
        memcpy(&bytes, member, sizeof bytes);
        put_bytes(w, bytes.data, bytes.len);
    } else {
        memcpy(&pointer, member, sizeof pointer);
        if (pointer && field->type == PROTOBUF_C_TYPE_STRING)
            put_bytes(w, pointer, strlen(pointer));
        else if (pointer)
            put_message(w, pointer);
    }
    put_varint(w, w->used - before);
}

static void put_repeated(struct writer *w, const ProtobufCFieldDescriptor *field, size_t count,
                         const uint8_t *array)
{
    const struct flo_wire_layout *layout = &flo_wire_layouts[field->type];
    if (field->flags & PROTOBUF_C_FIELD_FLAG_PACKED) {
        const size_t before = w->used;
        for (size_t i = count; i-- > 0;)
            put_value(w, field, array + i * layout->size);
        put_varint(w, w->used - before);
        put_tag(w, field->id, WIRE_LEN);
        return;
    }
    for (size_t i = count; i-- > 0;) {
        put_value(w, field, array + i * layout->size);
        put_tag(w, field->id, layout->wire);
    }
}

/* Is the field of proto3 without presence at its default, which is not written? Most are, and
 * then its first bytes are zeros: of a pointer, a number, and the length that bytes begin with. */
static inline bool is_default(ProtobufCType type, const void *member)
{
    uint64_t value;
    uint32_t low;
    double number;
    float small;
    const char *pointer;
    _Static_assert(offsetof(ProtobufCBinaryData, len) == 0 && sizeof(size_t) == sizeof value,
                   "bytes begin with their length");
    if (flo_wire_layouts[type].size == sizeof low) {
        memcpy(&low, member, sizeof low);
        value = low;
    } else {
        memcpy(&value, member, sizeof value);
    }
    if (value == 0)
        return true;
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
        memcpy(&pointer, member, sizeof pointer);
        return !*pointer;
    case PROTOBUF_C_TYPE_FLOAT: /* there is a negative zero */
        memcpy(&small, member, sizeof small);
        return small == 0;
    case PROTOBUF_C_TYPE_DOUBLE:
        memcpy(&number, member, sizeof number);
        return number == 0;
    default:
        return false;
    }
}

/* Is the field, which is not repeated, to be written? */
static inline bool is_present(const ProtobufCFieldDescriptor *field, const uint8_t *message)
{
    const uint8_t *member = message + field->offset;
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        uint32_t which;
        memcpy(&which, message + field->quantifier_offset, sizeof which);
        if (which != field->id)
            return false;
    } else if (field->label == PROTOBUF_C_LABEL_NONE) {
        return !is_default(field->type, member);
    } else if (field->label == PROTOBUF_C_LABEL_REQUIRED) {
        return true;
    }
    if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const void *pointer;
        memcpy(&pointer, member, sizeof pointer);
        return pointer && pointer != field->default_value;
    }
    protobuf_c_boolean has = true;
    if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
        memcpy(&has, message + field->quantifier_offset, sizeof has);
    return has;
}

/* One small stack frame a level. */
static void put_message(struct writer *w, const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    const uint8_t *base = (const uint8_t *)message;
    for (unsigned i = message->n_unknown_fields; i-- > 0;) {
        const ProtobufCMessageUnknownField *unknown = &message->unknown_fields[i];
        put_bytes(w, unknown->data, unknown->len);
        put_tag(w, unknown->tag, unknown->wire_type);
    }
    for (unsigned i = descriptor->n_fields; i-- > 0;) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t count;
            const uint8_t *array;
            memcpy(&count, base + field->quantifier_offset, sizeof count);
            memcpy(&array, base + field->offset, sizeof array);
            if (count)
                put_repeated(w, field, count, array);
        } else if (is_present(field, base)) {
            put_value(w, field, base + field->offset);
            put_tag(w, field->id, flo_wire_layouts[field->type].wire);
        }
    }
}

size_t flo_wire_size(const ProtobufCMessage *message)
{
    struct writer w = {0};
    put_message(&w, message);
    return w.used;
}

void flo_wire_pack(const ProtobufCMessage *message, uint8_t *to, size_t len)
{
    uint8_t *end = to + len;
    struct writer w = {.end = end, .room = len};
    put_message(&w, message);
}

int flo_wire_encode(const ProtobufCMessage *message, struct flo_buf *out)
{
    uint8_t bytes[SHORT_BYTES];
    struct writer w = {.end = bytes + sizeof bytes, .room = sizeof bytes};
    put_message(&w, message);
    if (w.used <= w.room)
        return flo_buf_append(out, w.end - w.used, w.used);
    uint8_t *to = flo_buf_reserve(out, w.used);
    if (!to)
        return out->max && w.used > out->max - out->len ? FLO_ELIMIT : FLO_ENOMEM;
    flo_wire_pack(message, to, w.used);
    out->len += w.used;
    return 0;
}

int flo_wire_encode_arena(const ProtobufCMessage *message, struct flo_arena *arena,
                          uint8_t **out_data, size_t *out_len)
{
    uint8_t bytes[SHORT_BYTES_ARENA];
    struct writer w = {.end = bytes + sizeof bytes, .room = sizeof bytes};
    put_message(&w, message);
    uint8_t *to = flo_arena_alloc(arena, w.used);
    if (!to)
        return FLO_ENOMEM;
    if (w.used > w.room)
        flo_wire_pack(message, to, w.used);
    else
        memcpy(to, w.end - w.used, w.used);
    *out_len = w.used;
    *out_data = to;
    return 0;
}

ProtobufCMessage *flo_wire_copy(const ProtobufCMessage *message, struct flo_arena *arena)
{
    size_t len = flo_wire_size(message);
    uint8_t *bytes = flo_malloc(len);
    if (!bytes)
        return NULL;
    flo_wire_pack(message, bytes, len);
    ProtobufCMessage *copy = NULL;
    int rc = flo_wire_decode(message->descriptor, bytes, len, arena, &copy, NULL);
    flo_free(bytes);
    return rc ? NULL : copy;
}
