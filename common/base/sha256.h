/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sha256.h - SHA-256 (FIPS 180-4): names for contents, where two contents must never share one.
 * Here and not from OpenSSL, which programs without TLS do not load.
 */
#ifndef FLO_BASE_SHA256_H
#define FLO_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define FLO_SHA256_BYTES 32

struct flo_sha256 {
    uint32_t state[8];
    uint64_t len;      /* bytes so far */
    uint8_t block[64]; /* the last len % 64 of them wait here */
};

/* A digest in pieces: init, any number of adds, final (once). Any thread, one at a time. */
void flo_sha256_init(struct flo_sha256 *sha);
void flo_sha256_add(struct flo_sha256 *sha, const void *data, size_t len);
void flo_sha256_final(struct flo_sha256 *sha, uint8_t out_digest[FLO_SHA256_BYTES]);

#endif
