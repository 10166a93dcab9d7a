/* SPDX-License-Identifier: Apache-2.0 */
/* random.c - xoshiro256**, UUIDs, getrandom. */
#include "base/random.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static inline uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void flo_rng_seed(struct flo_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15ULL;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        rng->s[i] = z ^ (z >> 31);
    }
}

uint64_t flo_rng_next(struct flo_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t flo_rng_below(struct flo_rng *rng, uint64_t bound)
{
    if (bound == 0)
        return 0;
    uint64_t threshold = (0 - bound) % bound; /* reject the uneven tail */
    uint64_t value;
    do
        value = flo_rng_next(rng);
    while (value < threshold);
    return value % bound;
}

double flo_rng_unit(struct flo_rng *rng)
{
    return (double)(flo_rng_next(rng) >> 11) * 0x1.0p-53;
}

static void format_uuid(uint64_t hi, uint64_t lo, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0, at = 0; i < 32; i++) {
        const uint64_t half = i < 16 ? hi : lo;
        if (i == 8 || i == 12 || i == 16 || i == 20)
            out[at++] = '-';
        out[at++] = digits[half >> (60 - i % 16 * 4) & 15];
    }
    out[FLO_UUID_LEN] = '\0';
}

void flo_rng_uuid4(struct flo_rng *rng, char out_text[FLO_UUID_LEN + 1])
{
    uint64_t hi = (flo_rng_next(rng) & ~0xf000ULL) | 0x4000;
    uint64_t lo = (flo_rng_next(rng) & 0x3fffffffffffffffULL) | 0x8000000000000000ULL;
    format_uuid(hi, lo, out_text);
}

void flo_rng_uuid7(struct flo_rng *rng, int64_t wall_ns, char out_text[FLO_UUID_LEN + 1])
{
    uint64_t ms = (uint64_t)(wall_ns / 1000000);
    uint64_t hi = (ms << 16) | 0x7000 | (flo_rng_next(rng) & 0xfff);
    uint64_t lo = (flo_rng_next(rng) & 0x3fffffffffffffffULL) | 0x8000000000000000ULL;
    format_uuid(hi, lo, out_text);
}

void flo_random_bytes(void *out, size_t len)
{
    uint8_t *p = out;
    while (len) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            abort();
        p += n;
        len -= (size_t)n;
    }
}

uint64_t flo_random_u64(void)
{
    uint64_t value;
    flo_random_bytes(&value, sizeof value);
    return value;
}

int flo_uuid_valid(const char *text, size_t len)
{
    if (len != FLO_UUID_LEN)
        return 0;
    for (size_t i = 0; i < len; i++) {
        int dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return 0;
    }
    return 1;
}
