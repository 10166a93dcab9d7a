/* SPDX-License-Identifier: Apache-2.0 */
/* wire_out.c - length-delimited fields out of parts. */
#include "engine/core/wire_out.h"

#include <string.h>

#include "wire/decode.h"
#include "wire/varint.h"

enum { WIRE_BYTES = 2, MAX_HEAD = 15 }; /* a 5-byte tag and a 10-byte length */

static size_t put_head(uint8_t *p, uint32_t field, size_t len)
{
    uint8_t *end = flo_varint_put(p, (uint64_t)field << 3 | WIRE_BYTES);
    return (size_t)(flo_varint_put(end, len) - p);
}

int flo_wire_out_field(struct flo_arena *arena, uint32_t field, const struct flo_bytes *parts,
                       size_t count, struct flo_bytes *out)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += parts[i].len;
    uint8_t *data = flo_arena_alloc(arena, MAX_HEAD + len);
    if (!data)
        return FLO_ENOMEM;
    size_t at = put_head(data, field, len);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len)
            memcpy(data + at, parts[i].data, parts[i].len);
        at += parts[i].len;
    }
    *out = (struct flo_bytes){data, at};
    return 0;
}

int flo_wire_out_message(struct flo_arena *arena, uint32_t field, const ProtobufCMessage *message,
                         struct flo_bytes raw, struct flo_bytes *out)
{
    uint8_t *packed;
    size_t len;
    if (flo_wire_encode_arena(message, arena, &packed, &len))
        return FLO_ENOMEM;
    return flo_wire_out_field(arena, field, (struct flo_bytes[]){{packed, len}, raw}, 2, out);
}
