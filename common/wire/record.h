/* SPDX-License-Identifier: Apache-2.0 */
/* record.h - the wire format without a schema: one field after the other, as it stands in the bytes
 * of a message. */
#ifndef FLO_WIRE_RECORD_H
#define FLO_WIRE_RECORD_H

#include "wire/field.h"
#include "wire/varint.h"

#define FLO_LIKELY(condition) __builtin_expect(!!(condition), 1)

/* What is left to read of one message. */
struct flo_wire_span {
    const uint8_t *at, *end;
};

struct flo_wire_record {
    uint32_t number;
    enum flo_wire_type type;
    uint64_t value;      /* WIRE_VARINT: the number */
    const uint8_t *data; /* else: the content */
    size_t len;          /* bytes of content */
    const uint8_t *body; /* all after the tag, a length prefix included; to the end of the record */
};

/* A number; almost all are short. False: it is malformed. */
static inline bool flo_wire_varint(struct flo_wire_span *in, uint64_t *out_value)
{
    if (FLO_LIKELY(in->at < in->end && *in->at < 0x80)) {
        *out_value = *in->at++;
        return true;
    }
    return flo_varint_get(&in->at, in->end, out_value);
}

/* The next record; in must not be at its end. NULL, or why it is none. Inlined, so that records
 * stay in registers. */
__attribute__((always_inline)) static inline const char *flo_wire_read(struct flo_wire_span *in,
                                                                       struct flo_wire_record *out)
{
    uint64_t tag, len = 0;
    if (!flo_wire_varint(in, &tag))
        return "truncated or overlong tag";
    if (tag > UINT32_MAX || tag >> 3 == 0)
        return "invalid field number";
    out->number = (uint32_t)(tag >> 3);
    out->type = (enum flo_wire_type)(tag & 7);
    out->body = in->at;
    out->value = 0;
    switch (out->type) {
    case WIRE_VARINT:
        if (!flo_wire_varint(in, &out->value))
            return "truncated or overlong number";
        break;
    case WIRE_64:
        len = 8;
        break;
    case WIRE_LEN:
        if (!flo_wire_varint(in, &len))
            return "truncated or overlong length";
        break;
    case WIRE_32:
        len = 4;
        break;
    default:
        return "groups and reserved wire types are not accepted";
    }
    if (len > (size_t)(in->end - in->at))
        return "a field runs past the end of its message";
    out->data = in->at;
    out->len = (size_t)len;
    in->at += len;
    return NULL;
}

/*
 * The descriptor's field of that number, or NULL. A descriptor lists its numbers as ranges without
 * gaps; *hint is the range of the last one, because fields mostly come in order. NULL at first.
 */
static inline const ProtobufCFieldDescriptor *find_field(
    const ProtobufCMessageDescriptor *descriptor, uint32_t number, const ProtobufCIntRange **hint)
{
    const ProtobufCIntRange *first = descriptor->field_ranges, *range = *hint;
    for (bool again = false;; again = true) {
        if (FLO_LIKELY(range)) {
            uint32_t in_range = number - (uint32_t)range->start_value; /* huge when before it */
            if (FLO_LIKELY(in_range < range[1].orig_index - range->orig_index))
                return &descriptor->fields[range->orig_index + in_range];
        }
        if (again || descriptor->n_field_ranges == 0)
            return NULL;
        if (!range || number < (uint32_t)range->start_value)
            range = first;
        while (range + 1 < first + descriptor->n_field_ranges &&
               number >= (uint32_t)range[1].start_value)
            range++;
        *hint = range;
    }
}

/* Does the record hold several values of a repeated scalar? */
static inline bool flo_wire_is_packed(const ProtobufCFieldDescriptor *field,
                                      enum flo_wire_type type)
{
    return field->label == PROTOBUF_C_LABEL_REPEATED && type == WIRE_LEN &&
           flo_wire_layouts[field->type].wire != WIRE_LEN;
}

/* The field that a record belongs to, NULL when unknown or of another wire type. */
static inline const ProtobufCFieldDescriptor *flo_wire_field_of(
    const ProtobufCMessageDescriptor *descriptor, uint32_t number, enum flo_wire_type type,
    const ProtobufCIntRange **hint)
{
    const ProtobufCFieldDescriptor *field = find_field(descriptor, number, hint);
    if (field && flo_wire_layouts[field->type].wire != type && !flo_wire_is_packed(field, type))
        return NULL;
    return field;
}

#endif
