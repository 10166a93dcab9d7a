/* SPDX-License-Identifier: Apache-2.0 */
/* burn.h - a piece of pure computing, about 100 ms of it; the same in the module and in the bare
 * loop. */
#ifndef BENCH_BURN_H
#define BENCH_BURN_H

#include <stdint.h>

#define BURN_ROUNDS 32000000

static inline uint64_t burn(uint64_t seed)
{
    uint64_t x = seed | 1, sum = 0;

    for (int i = 0; i < BURN_ROUNDS; i++) { /* xorshift: each round waits for the last */
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        sum += x;
    }
    return sum;
}

#endif
