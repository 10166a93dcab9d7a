/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.h - protobuf's wire form piece by piece, as a peer might send it. */
#ifndef FLO_TEST_WIRE_BYTES_H
#define FLO_TEST_WIRE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

static inline void put_varint(struct flo_buf *out, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)(value & 0x7f) | (value > 0x7f ? 0x80 : 0);
        flo_buf_append(out, &byte, 1);
        value >>= 7;
    } while (value);
}

static inline void put_tag(struct flo_buf *out, uint32_t number, unsigned wire_type)
{
    put_varint(out, (uint64_t)number << 3 | wire_type);
}

static inline void put_bytes(struct flo_buf *out, uint32_t number, const void *data, size_t len)
{
    put_tag(out, number, 2);
    put_varint(out, len);
    flo_buf_append(out, data, len);
}

static inline void put_text(struct flo_buf *out, uint32_t number, const char *text)
{
    put_bytes(out, number, text, strlen(text));
}

#endif
