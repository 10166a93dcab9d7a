/* SPDX-License-Identifier: Apache-2.0 */
/*
 * siphash.h - SipHash (Aumasson, Bernstein 2012): a keyed hash of 64 bits that nobody can steer
 * without the key. 1-3 is for hash tables, 2-4 where a forger would be served.
 */
#ifndef FLO_BASE_SIPHASH_H
#define FLO_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define FLO_SIPHASH_KEY_BYTES 16

/* One round for each 8 bytes, three at the end. Any thread. */
uint64_t flo_siphash13(const uint8_t key[FLO_SIPHASH_KEY_BYTES], const void *data, size_t len);
/* Two and four. */
uint64_t flo_siphash24(const uint8_t key[FLO_SIPHASH_KEY_BYTES], const void *data, size_t len);

#endif
