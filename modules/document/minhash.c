/* SPDX-License-Identifier: Apache-2.0 */
/* minhash.c - MinHash signatures and LSH bands. */
#include "minhash.h"

#include <stdio.h>
#include <string.h>

uint64_t fnv1a(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* The i-th hash function: SplitMix64's finaliser over the shingle and i. */
static uint32_t permuted(uint64_t shingle, unsigned i)
{
    uint64_t z = shingle + (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(z >> 32);
}

void minhash_init(struct minhash *signature)
{
    memset(signature->min, 0xff, sizeof signature->min);
}

void minhash_add(struct minhash *signature, uint64_t shingle)
{
    for (unsigned i = 0; i < MINHASH_SIZE; i++) {
        uint32_t value = permuted(shingle, i);
        if (value < signature->min[i])
            signature->min[i] = value;
    }
}

void minhash_merge(struct minhash *into, const struct minhash *other)
{
    for (unsigned i = 0; i < MINHASH_SIZE; i++)
        if (other->min[i] < into->min[i])
            into->min[i] = other->min[i];
}

double minhash_similarity(const struct minhash *a, const struct minhash *b)
{
    unsigned same = 0;
    for (unsigned i = 0; i < MINHASH_SIZE; i++)
        same += a->min[i] == b->min[i];
    return (double)same / MINHASH_SIZE;
}

uint64_t minhash_band(const struct minhash *signature, unsigned band)
{
    const unsigned rows = MINHASH_SIZE / MINHASH_BANDS;
    uint64_t hash = fnv1a(FNV1A_START, &(uint8_t){(uint8_t)band}, 1);
    for (unsigned i = 0; i < rows; i++) {
        uint32_t value = signature->min[band * rows + i];
        uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                            (uint8_t)(value >> 24)};
        hash = fnv1a(hash, bytes, sizeof bytes);
    }
    return hash;
}

void minhash_format(const struct minhash *signature, char out_text[MINHASH_HEX_LEN + 1])
{
    for (size_t i = 0; i < MINHASH_SIZE; i++)
        snprintf(out_text + 8 * i, 9, "%08x", signature->min[i]);
}

bool minhash_parse(const char *text, struct minhash *out)
{
    if (!text || strlen(text) != MINHASH_HEX_LEN)
        return false;
    struct minhash parsed = {0};
    for (size_t i = 0; i < MINHASH_HEX_LEN; i++) {
        char c = text[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        parsed.min[i / 8] = parsed.min[i / 8] << 4 | (uint32_t)digit;
    }
    *out = parsed;
    return true;
}
