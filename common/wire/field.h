/* SPDX-License-Identifier: Apache-2.0 */
/* field.h - how protobuf-c's field types look on the wire and in the generated structs: what the
 * decoder and the encoder share. */
#ifndef FLO_WIRE_FIELD_H
#define FLO_WIRE_FIELD_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

enum flo_wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };

struct flo_wire_layout {
    uint8_t wire; /* enum flo_wire_type */
    uint8_t size; /* bytes of one value in memory */
};

/* By ProtobufCType. */
static const struct flo_wire_layout flo_wire_layouts[] = {
    [PROTOBUF_C_TYPE_INT32] = {WIRE_VARINT, 4},
    [PROTOBUF_C_TYPE_SINT32] = {WIRE_VARINT, 4},
    [PROTOBUF_C_TYPE_SFIXED32] = {WIRE_32, 4},
    [PROTOBUF_C_TYPE_INT64] = {WIRE_VARINT, 8},
    [PROTOBUF_C_TYPE_SINT64] = {WIRE_VARINT, 8},
    [PROTOBUF_C_TYPE_SFIXED64] = {WIRE_64, 8},
    [PROTOBUF_C_TYPE_UINT32] = {WIRE_VARINT, 4},
    [PROTOBUF_C_TYPE_FIXED32] = {WIRE_32, 4},
    [PROTOBUF_C_TYPE_UINT64] = {WIRE_VARINT, 8},
    [PROTOBUF_C_TYPE_FIXED64] = {WIRE_64, 8},
    [PROTOBUF_C_TYPE_FLOAT] = {WIRE_32, 4},
    [PROTOBUF_C_TYPE_DOUBLE] = {WIRE_64, 8},
    [PROTOBUF_C_TYPE_BOOL] = {WIRE_VARINT, sizeof(protobuf_c_boolean)},
    [PROTOBUF_C_TYPE_ENUM] = {WIRE_VARINT, 4},
    [PROTOBUF_C_TYPE_STRING] = {WIRE_LEN, sizeof(char *)},
    [PROTOBUF_C_TYPE_BYTES] = {WIRE_LEN, sizeof(ProtobufCBinaryData)},
    [PROTOBUF_C_TYPE_MESSAGE] = {WIRE_LEN, sizeof(ProtobufCMessage *)},
};

#endif
