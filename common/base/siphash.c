/* SPDX-License-Identifier: Apache-2.0 */
/* siphash.c - SipHash-c-d with c and d known to the compiler. */
#include "base/siphash.h"

#include <endian.h>
#include <string.h>

static inline uint64_t rotl(uint64_t x, int b)
{
    return (x << b) | (x >> (64 - b));
}

static inline void rounds(uint64_t v[4], int count)
{
    while (count-- > 0) {
        v[0] += v[1];
        v[1] = rotl(v[1], 13) ^ v[0];
        v[0] = rotl(v[0], 32);
        v[2] += v[3];
        v[3] = rotl(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotl(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotl(v[1], 17) ^ v[2];
        v[2] = rotl(v[2], 32);
    }
}

static inline uint64_t little_endian(const uint8_t *p)
{
    uint64_t value;
    memcpy(&value, p, sizeof value);
    return le64toh(value);
}

/* The last len < 8 bytes. */
static inline uint64_t little_endian_rest(const uint8_t *p, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++)
        value |= (uint64_t)p[i] << (8 * i);
    return value;
}

static inline uint64_t hash(const uint8_t *key, const uint8_t *data, size_t len, int each, int last)
{
    const uint64_t k0 = little_endian(key), k1 = little_endian(key + 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575ULL, k1 ^ 0x646f72616e646f6dULL,
                     k0 ^ 0x6c7967656e657261ULL, k1 ^ 0x7465646279746573ULL};
    const size_t whole = len & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        const uint64_t m = little_endian(data + i);
        v[3] ^= m;
        rounds(v, each);
        v[0] ^= m;
    }
    const uint64_t rest = little_endian_rest(data + whole, len - whole) | (uint64_t)len << 56;
    v[3] ^= rest;
    rounds(v, each);
    v[0] ^= rest;
    v[2] ^= 0xff;
    rounds(v, last);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t flo_siphash13(const uint8_t key[FLO_SIPHASH_KEY_BYTES], const void *data, size_t len)
{
    return hash(key, data, len, 1, 3);
}

uint64_t flo_siphash24(const uint8_t key[FLO_SIPHASH_KEY_BYTES], const void *data, size_t len)
{
    return hash(key, data, len, 2, 4);
}
