/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.c - bytes to protobuf-c structs, driven by the message descriptors.
 *
 * protobuf-c's own unpacker recurses without a limit, keeps scratch lists that an arena cannot take
 * back, and lets any bytes into strings. This decoder fills the same structs, so that packing and
 * everything else of protobuf-c applies to them, under these rules:
 *
 *  - One pass over the fields of a message that has no repeated and no unknown ones. Before the
 *    first of those is stored, a pass over the headers from there on counts them all (count(); the
 *    n_ member is the counter), so that each array is taken once, in its size. Time is linear in
 *    the bytes, memory comes from the arena alone and nothing is taken twice.
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
#include "wire/field.h"
#include "wire/record.h"

#define LEAST_BUDGET_BYTES ((size_t)64 * 1024)
#define MOST_BUDGET_BYTES ((size_t)64 * 1024 * 1024)
#define BUDGET_PER_BYTE 16

struct decoder {
    struct flo_arena *arena;
    struct flo_err *err;
    const ProtobufCMessageDescriptor *root;
    const struct flo_wire_part *part;                         /* NULL: everything is stored */
    const ProtobufCFieldDescriptor *path[FLO_WIRE_DEPTH + 1]; /* field entered at each level */
    unsigned depth;                                           /* levels below the root */
};

/* Fill err with the path of the field that is being read and why. */
__attribute__((cold, noinline)) static void describe(struct decoder *d,
                                                     const ProtobufCFieldDescriptor *field,
                                                     int code, const char *why)
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
}

/* The same, and code is returned, so that the compiler sees that it is not 0. */
static inline int refuse(struct decoder *d, const ProtobufCFieldDescriptor *field, int code,
                         const char *why)
{
    describe(d, field, code, why);
    return code;
}

/* How many values a packed record holds. */
static int count_packed(struct decoder *d, const ProtobufCFieldDescriptor *field,
                        struct flo_wire_span in, size_t *out_count)
{
    enum flo_wire_type type = (enum flo_wire_type)flo_wire_layouts[field->type].wire;
    size_t count = 0, len = (size_t)(in.end - in.at);
    if (type != WIRE_VARINT) {
        size_t each = type == WIRE_64 ? 8 : 4;
        if (len % each)
            return refuse(d, field, FLO_EPROTO, "packed length is no multiple of the value size");
        *out_count = len / each;
        return 0;
    }
    for (size_t i = 0; i < len; i++)
        count += in.at[i] < 0x80;
    if (len > 0 && in.at[len - 1] >= 0x80)
        return refuse(d, field, FLO_EPROTO, "truncated number in a packed field");
    *out_count = count;
    return 0;
}

/* The n_ member of a repeated field. */
static inline size_t *count_of(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (size_t *)(void *)((uint8_t *)message + field->quantifier_offset);
}

static inline void *member_of(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (uint8_t *)message + field->offset;
}

/* A message while its fields are stored. */
struct filling {
    ProtobufCMessage *message;
    struct flo_wire_span whole;
    uint64_t keep;                    /* bit n: store field number n */
    const struct flo_wire_part *part; /* says what to keep of messages in this one; may be NULL */
    bool counted;                     /* count() was here */
    size_t unknowns;                  /* stored so far */
    uint8_t *unknown_at;              /* room for the rest of the unknown fields' bytes */
    uint8_t *merged;                  /* by field: were its occurrences gathered? NULL: none were */
};

/* Is the field one that the reader has no use for? */
static inline bool dropped(const struct filling *f, uint32_t number)
{
    return number < 64 && !(f->keep >> number & 1);
}

/* What to keep of a message in field. */
static inline uint64_t keep_inside(const struct filling *f, const ProtobufCFieldDescriptor *field)
{
    return f->part && field->id < f->part->count ? f->part->keep[field->id] : UINT64_MAX;
}

/* Give each repeated field of those numbers that has values its array; its counter starts again. */
static int make_arrays(struct decoder *d, ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *first, const ProtobufCFieldDescriptor *last)
{
    for (const ProtobufCFieldDescriptor *field = first; field && field <= last; field++) {
        if (field->label != PROTOBUF_C_LABEL_REPEATED)
            continue;
        size_t *values = count_of(message, field);
        if (*values == 0)
            continue;
        void *array = flo_arena_calloc(d->arena, *values, flo_wire_layouts[field->type].size);
        if (!array)
            return refuse(d, field, FLO_ELIMIT, "the message takes too much memory");
        memcpy(member_of(message, field), &array, sizeof array);
        *values = 0;
    }
    return 0;
}

/* Make room for the repeated and unknown fields in rest; there are none before it. */
static int count(struct decoder *d, struct filling *f, struct flo_wire_span rest)
{
    ProtobufCMessage *message = f->message;
    const ProtobufCFieldDescriptor *first = NULL, *last = NULL;
    const ProtobufCIntRange *hint = NULL;
    size_t unknown_bytes = 0;
    f->counted = true;
    while (rest.at < rest.end) {
        struct flo_wire_record record;
        const char *why = flo_wire_read(&rest, &record);
        if (why)
            return refuse(d, NULL, FLO_EPROTO, why);
        if (dropped(f, record.number))
            continue;
        const ProtobufCFieldDescriptor *field =
            flo_wire_field_of(message->descriptor, record.number, record.type, &hint);
        if (!field) {
            message->n_unknown_fields++;
            unknown_bytes += (size_t)(rest.at - record.body);
        } else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t values = 1;
            int rc = 0;
            if (flo_wire_is_packed(field, record.type))
                rc = count_packed(d, field, (struct flo_wire_span){record.data, rest.at}, &values);
            if (rc)
                return rc;
            *count_of(message, field) += values;
            first = first && first < field ? first : field;
            last = last && last > field ? last : field;
        }
    }
    if (message->n_unknown_fields) {
        message->unknown_fields =
            flo_arena_calloc(d->arena, message->n_unknown_fields, sizeof *message->unknown_fields);
        f->unknown_at = flo_arena_alloc_bytes(d->arena, unknown_bytes);
        if (!message->unknown_fields || !f->unknown_at)
            return refuse(d, NULL, FLO_ELIMIT, "the message takes too much memory");
    }
    return make_arrays(d, message, first, last);
}

static int parse_message(struct decoder *d, const ProtobufCFieldDescriptor *field,
                         const ProtobufCMessageDescriptor *descriptor, uint64_t keep,
                         struct flo_wire_span in, void *to);

/*
 * Copy text that is all ASCII and has no NUL, eight bytes at a time; false: look closer. A byte's
 * high bit shows in the word itself, a zero in the word less one in each byte.
 */
static inline bool copy_ascii(uint8_t *to, const uint8_t *from, size_t len)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
    uint64_t odd = 0, word;
    if (len >= sizeof word) {
        for (size_t i = 0; i + sizeof word < len; i += sizeof word) {
            memcpy(&word, from + i, sizeof word);
            memcpy(to + i, &word, sizeof word);
            odd |= word | (word - ones);
        }
        memcpy(&word, from + len - sizeof word, sizeof word); /* the rest, and some again */
        memcpy(to + len - sizeof word, &word, sizeof word);
        odd |= word | (word - ones);
        return !(odd & highs);
    }
    for (size_t i = 0; i < len; i++) {
        word = to[i] = from[i];
        odd |= word | (word - 1);
    }
    return !(odd & 0x80);
}

static int store_string(struct decoder *d, const ProtobufCFieldDescriptor *field,
                        struct flo_wire_span in, void *to)
{
    size_t len = (size_t)(in.end - in.at);
    char *text = flo_arena_alloc_bytes(d->arena, len + 1);
    if (!text)
        return refuse(d, field, FLO_ELIMIT, "the message takes too much memory");
    if (!FLO_LIKELY(copy_ascii((uint8_t *)text, in.at, len))) {
        if (memchr(in.at, 0, len))
            return refuse(d, field, FLO_EINVAL, "NUL in a string");
        if (!flo_utf8_valid(in.at, len))
            return refuse(d, field, FLO_EPROTO, "invalid UTF-8");
    }
    text[len] = '\0';
    memcpy(to, &text, sizeof text);
    return 0;
}

static int store_bytes(struct decoder *d, const ProtobufCFieldDescriptor *field,
                       struct flo_wire_span in, void *to)
{
    ProtobufCBinaryData bytes = {.len = (size_t)(in.end - in.at), .data = NULL};
    if (bytes.len) {
        bytes.data = flo_arena_alloc_bytes(d->arena, bytes.len);
        if (!bytes.data)
            return refuse(d, field, FLO_ELIMIT, "the message takes too much memory");
        memcpy(bytes.data, in.at, bytes.len);
    }
    memcpy(to, &bytes, sizeof bytes);
    return 0;
}

/* A number from a varint, in the shape of the member. */
static inline void store_varint(ProtobufCType type, uint64_t value, void *to)
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
static inline int store_value(struct decoder *d, const ProtobufCFieldDescriptor *field,
                              const struct flo_wire_record *record, const struct filling *f,
                              void *to)
{
    struct flo_wire_span content = {record->data, record->data + record->len};
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return store_string(d, field, content, to);
    case PROTOBUF_C_TYPE_BYTES:
        return store_bytes(d, field, content, to);
    case PROTOBUF_C_TYPE_MESSAGE:
        return parse_message(d, field, field->descriptor, keep_inside(f, field), content, to);
    default:
        if (record->type == WIRE_VARINT)
            store_varint(field->type, record->value, to);
        else
            store_fixed(record->data, record->len, to);
        return 0;
    }
}

static int store_packed(struct decoder *d, const ProtobufCFieldDescriptor *field,
                        struct flo_wire_span in, uint8_t *array, size_t *values)
{
    enum flo_wire_type type = (enum flo_wire_type)flo_wire_layouts[field->type].wire;
    size_t size = flo_wire_layouts[field->type].size;
    while (in.at < in.end) {
        void *to = array + *values * size;
        if (type == WIRE_VARINT) {
            uint64_t value;
            if (!flo_wire_varint(&in, &value))
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

/*
 * A singular message that occurs more than once: the merge of several equals the message whose
 * bytes are theirs in a row, so gather all of whole's occurrences and parse that.
 */
static int store_merged(struct decoder *d, const ProtobufCFieldDescriptor *field, uint64_t keep,
                        struct flo_wire_span whole, void *to)
{
    struct flo_wire_span in = whole;
    struct flo_wire_record record = {0};
    size_t total = 0;
    while (in.at < in.end) {
        const char *why = flo_wire_read(&in, &record);
        if (why)
            return refuse(d, NULL, FLO_EPROTO, why);
        if (record.number == field->id && record.type == WIRE_LEN)
            total += record.len;
    }
    uint8_t *bytes = flo_arena_alloc(d->arena, total);
    if (!bytes)
        return refuse(d, field, FLO_ELIMIT, "the message takes too much memory");
    size_t used = 0;
    for (in = whole; in.at < in.end;) {
        (void)flo_wire_read(&in, &record); /* as above */
        if (record.number == field->id && record.type == WIRE_LEN && record.len) {
            memcpy(bytes + used, record.data, record.len);
            used += record.len;
        }
    }
    return parse_message(d, field, field->descriptor, keep,
                         (struct flo_wire_span){bytes, bytes + used}, to);
}

/* A singular message field that was seen before: gather everything of it, once. */
static int merge(struct decoder *d, const ProtobufCFieldDescriptor *field, struct filling *f,
                 void *to)
{
    const ProtobufCMessageDescriptor *descriptor = f->message->descriptor;
    size_t index = (size_t)(field - descriptor->fields);
    if (!f->merged)
        f->merged = flo_arena_calloc(d->arena, descriptor->n_fields, 1);
    if (!f->merged)
        return refuse(d, field, FLO_ELIMIT, "the message takes too much memory");
    if (f->merged[index])
        return 0;
    f->merged[index] = true;
    return store_merged(d, field, keep_inside(f, field), f->whole, to);
}

__attribute__((noinline)) static void store_unknown(struct filling *f, uint32_t number,
                                                    enum flo_wire_type type,
                                                    struct flo_wire_span body)
{
    ProtobufCMessage *message = f->message;
    size_t len = (size_t)(body.end - body.at);
    assert(f->unknown_at && f->unknowns < message->n_unknown_fields);
    message->unknown_fields[f->unknowns++] = (ProtobufCMessageUnknownField){
        .tag = number,
        .wire_type = (ProtobufCWireType)type,
        .len = len,
        .data = f->unknown_at,
    };
    memcpy(f->unknown_at, body.at, len);
    f->unknown_at += len;
}

/* One field that is known. Inlined, so that the record stays in registers. */
__attribute__((always_inline)) static inline int store(struct decoder *d,
                                                       const ProtobufCFieldDescriptor *field,
                                                       const struct flo_wire_record *record,
                                                       struct filling *f)
{
    uint8_t *message = (uint8_t *)f->message, *to = message + field->offset, *array;
    bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
    bool oneof = field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
    if (repeated) {
        size_t *values = count_of(f->message, field);
        memcpy(&array, to, sizeof array);
        if (flo_wire_is_packed(field, record->type))
            return store_packed(d, field,
                                (struct flo_wire_span){record->data, record->data + record->len},
                                array, values);
        to = array + (*values)++ * flo_wire_layouts[field->type].size;
    } else if (field->type == PROTOBUF_C_TYPE_MESSAGE && !oneof) {
        void *before;
        memcpy(&before, to, sizeof before);
        if (before)
            return merge(d, field, f, to);
    }
    int rc = store_value(d, field, record, f, to);
    if (oneof) {
        memcpy(message + field->quantifier_offset, &field->id, sizeof field->id);
    } else if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->quantifier_offset) {
        protobuf_c_boolean has = 1;
        memcpy(message + field->quantifier_offset, &has, sizeof has);
    }
    return rc;
}

static inline int fill(struct decoder *d, struct filling *f)
{
    const ProtobufCMessageDescriptor *descriptor = f->message->descriptor;
    const ProtobufCIntRange *hint = NULL;
    struct flo_wire_span in = f->whole;
    while (in.at < in.end) {
        const uint8_t *began = in.at;
        struct flo_wire_record record;
        const char *why = flo_wire_read(&in, &record);
        if (why)
            return refuse(d, NULL, FLO_EPROTO, why);
        if (dropped(f, record.number))
            continue;
        int rc = 0;
        const ProtobufCFieldDescriptor *field =
            flo_wire_field_of(descriptor, record.number, record.type, &hint);
        if ((!field || field->label == PROTOBUF_C_LABEL_REPEATED) && !f->counted) {
            rc = count(d, f, (struct flo_wire_span){began, in.end});
            if (rc)
                return rc;
        }
        if (field)
            rc = store(d, field, &record, f);
        else
            store_unknown(f, record.number, record.type,
                          (struct flo_wire_span){record.body, in.at});
        if (rc)
            return rc;
    }
    return 0;
}

/* The message in field (NULL: the root): make it, fill it, and set the pointer at to. */
static int parse_message(struct decoder *d, const ProtobufCFieldDescriptor *field,
                         const ProtobufCMessageDescriptor *descriptor, uint64_t keep,
                         struct flo_wire_span in, void *to)
{
    if (field) {
        if (d->depth >= FLO_WIRE_DEPTH)
            return refuse(d, field, FLO_EPROTO, "messages are nested too deep");
        d->path[d->depth++] = field;
    }
    ProtobufCMessage *message = flo_arena_alloc(d->arena, descriptor->sizeof_message);
    if (!message)
        return refuse(d, NULL, FLO_ELIMIT, "the message takes too much memory");
    descriptor->message_init(message);
    struct filling f = {.message = message, .whole = in, .keep = keep};
    if (d->part && d->part->type == descriptor)
        f.part = d->part;
    int rc = fill(d, &f);
    if (rc)
        return rc;
    memcpy(to, &message, sizeof message);
    d->depth -= field != NULL;
    return 0;
}

int flo_wire_decode_part(const ProtobufCMessageDescriptor *descriptor,
                         const struct flo_wire_part *part, const uint8_t *data, size_t len,
                         struct flo_arena *arena, ProtobufCMessage **out_message,
                         struct flo_err *err)
{
    static const uint8_t nothing[1];
    struct decoder d = {.arena = arena, .err = err, .root = descriptor, .part = part};
    const uint8_t *start = len ? data : nothing;
    return parse_message(&d, NULL, descriptor, UINT64_MAX,
                         (struct flo_wire_span){start, start + len}, out_message);
}

int flo_wire_decode(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t len,
                    struct flo_arena *arena, ProtobufCMessage **out_message, struct flo_err *err)
{
    return flo_wire_decode_part(descriptor, NULL, data, len, arena, out_message, err);
}

size_t flo_wire_budget(size_t len)
{
    if (len <= LEAST_BUDGET_BYTES / BUDGET_PER_BYTE)
        return LEAST_BUDGET_BYTES;
    if (len >= MOST_BUDGET_BYTES / BUDGET_PER_BYTE)
        return MOST_BUDGET_BYTES;
    return len * BUDGET_PER_BYTE;
}
