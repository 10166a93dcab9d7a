/* SPDX-License-Identifier: Apache-2.0 */
/*
 * minhash.h - MinHash signatures (Broder 1997) over shingles of three words, and the bands of
 * locality-sensitive hashing over them. 64 hash functions; 16 bands of 4 rows: two documents that
 * share 70 % of their shingles meet in some band with probability 0.99.
 */
#ifndef DOCUMENT_MINHASH_H
#define DOCUMENT_MINHASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MINHASH_SIZE 64
#define MINHASH_BANDS 16
#define MINHASH_HEX_LEN (MINHASH_SIZE * 8UL)

struct minhash {
    uint32_t min[MINHASH_SIZE];
};

void minhash_init(struct minhash *signature);
/* Take in one shingle by its 64-bit hash. */
void minhash_add(struct minhash *signature, uint64_t shingle);
/* The signature of the union. */
void minhash_merge(struct minhash *into, const struct minhash *other);
/* Estimated Jaccard similarity, 0 to 1. */
double minhash_similarity(const struct minhash *a, const struct minhash *b);
/* The hash of one band (rows and band number). */
uint64_t minhash_band(const struct minhash *signature, unsigned band);
/* Text form and back; false when text is not one. */
void minhash_format(const struct minhash *signature, char out_text[MINHASH_HEX_LEN + 1]);
bool minhash_parse(const char *text, struct minhash *out);

/* 64-bit FNV-1a, for shingles and bands: stored, so it must stay what it is. */
uint64_t fnv1a(uint64_t hash, const void *data, size_t len);
#define FNV1A_START UINT64_C(0xcbf29ce484222325)

#endif
