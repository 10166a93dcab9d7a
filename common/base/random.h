/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random.h - randomness from outside: a seeded generator that pure cores are handed, and the
 * operating system's bytes for seeds and ids. Generator: xoshiro256** (Blackman, Vigna 2018),
 * seeded by SplitMix64.
 */
#ifndef FLO_BASE_RANDOM_H
#define FLO_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#define FLO_UUID_LEN 36 /* text form, without the NUL */

struct flo_rng {
    uint64_t s[4];
};

void flo_rng_seed(struct flo_rng *rng, uint64_t seed);
uint64_t flo_rng_next(struct flo_rng *rng);
/* Uniform in [0, bound); bound 0 gives 0. */
uint64_t flo_rng_below(struct flo_rng *rng, uint64_t bound);
/* Uniform in [0, 1). */
double flo_rng_unit(struct flo_rng *rng);

/* RFC 9562 version 4 UUID, text, NUL-terminated. */
void flo_rng_uuid4(struct flo_rng *rng, char out_text[FLO_UUID_LEN + 1]);
/* RFC 9562 version 7 UUID for the given wall time: sorts by time. */
void flo_rng_uuid7(struct flo_rng *rng, int64_t wall_ns, char out_text[FLO_UUID_LEN + 1]);

/* Bytes from getrandom(2); ends the process when the kernel has none. Shells only. */
void flo_random_bytes(void *out, size_t len);
uint64_t flo_random_u64(void);

/* Is text a UUID in the 8-4-4-4-12 form (any case)? */
int flo_uuid_valid(const char *text, size_t len);

#endif
