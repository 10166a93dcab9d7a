/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode.c - messages to bytes. Sizes are computed first, so that every message is written
 * straight into its place. Unknown fields that a decoded message carries are written again.
 */
#include "base/alloc.h"
#include "wire/decode.h"

int flo_wire_encode(const ProtobufCMessage *message, struct flo_buf *out)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    if (out->max && len > out->max - out->len) {
        out->failed = true;
        return FLO_ELIMIT;
    }
    if (len == 0)
        return 0;
    uint8_t *to = flo_buf_reserve(out, len);
    if (!to)
        return FLO_ENOMEM;
    out->len += protobuf_c_message_pack(message, to);
    return 0;
}

int flo_wire_encode_arena(const ProtobufCMessage *message, struct flo_arena *arena,
                          uint8_t **out_data, size_t *out_len)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *to = flo_arena_alloc(arena, len);
    if (!to)
        return FLO_ENOMEM;
    *out_len = protobuf_c_message_pack(message, to);
    *out_data = to;
    return 0;
}

ProtobufCMessage *flo_wire_copy(const ProtobufCMessage *message, struct flo_arena *arena)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = flo_malloc(len);
    if (!bytes)
        return NULL;
    protobuf_c_message_pack(message, bytes);
    ProtobufCMessage *copy = NULL;
    int rc = flo_wire_decode(message->descriptor, bytes, len, arena, &copy, NULL);
    flo_free(bytes);
    return rc ? NULL : copy;
}
