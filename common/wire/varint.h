/* SPDX-License-Identifier: Apache-2.0 */
/* varint.h - protobuf's base-128 numbers (Encoding, "Base 128 Varints"), for the few places that
 * write or read parts of messages by hand. */
#ifndef FLO_WIRE_VARINT_H
#define FLO_WIRE_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest one, in bytes. */
#define FLO_VARINT_MAX 10

/* How many bytes value takes: one for each 7 bits. */
static inline size_t flo_varint_len(uint64_t value)
{
    const unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    return (bits * 9 + 64) / 64;
}

/* Write value at to, which has room for it; the place after it. */
static inline uint8_t *flo_varint_put(uint8_t *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *to++ = (uint8_t)(value | 0x80);
    *to++ = (uint8_t)value;
    return to;
}

/* Read a number at *at and move past it. False, and nothing moved: it does not end before end, or
 * does not fit into 64 bits. */
static inline bool flo_varint_get(const uint8_t **at, const uint8_t *end, uint64_t *out_value)
{
    uint64_t value = 0;
    const uint8_t *p = *at;
    for (unsigned shift = 0; shift < 64 && p < end; shift += 7) {
        const uint8_t byte = *p++;
        if (shift == 63 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *at = p;
            *out_value = value;
            return true;
        }
    }
    return false;
}

#endif
