/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec.h - a row of codecs (flotilla/codec.h), applied to every payload of a message.
 *
 * Pure but for random nonces; libcrypto and libzstd are loaded when a row first needs them. A row
 * does not change once it is made, so any number of threads may use it at once.
 */
#ifndef FLO_CODEC_CODEC_H
#define FLO_CODEC_CODEC_H

#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "flotilla/codec.h"

/* Most bytes that a compressed payload may become: more is no honest payload. */
#define FLO_CODEC_PAYLOAD_MAX ((size_t)64 << 20)
/* The same of all payloads of a message, each counted once a codec: a small message may hold
 * thousands that are no honest ones together. */
#define FLO_CODEC_MESSAGE_MAX ((size_t)128 << 20)

struct flo_codec_row; /* opaque: codec.c */

struct flo_codec_options {
    bool zstd;         /* compress */
    bool zstd_read;    /* read what others have compressed; always with one of the other codecs */
    int zstd_level;    /* 1 (fast) to 19 */
    size_t zstd_above; /* bytes: shorter payloads are not compressed */
    const char *key_file; /* "" or NULL: nothing is encrypted */
    const char *keys_dir; /* "" or NULL: none; folder of keys that only decrypt, one a file */
};

/*
 * An empty row that takes nothing from its payloads; NULL options is fine. FLO_ECONFIG: a key file
 * that cannot be read, holds no key, or is open to others, or keys_dir without it; FLO_ESYS: a
 * library is missing; FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_codec_row_new(const struct flo_codec_options *options,
                                     struct flo_codec_row **out_row, struct flo_err *err);
/* Put a codec in front of the built-in ones and behind those added before. It is copied, its ctx
 * borrowed. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_codec_row_add(struct flo_codec_row *row, const struct flo_codec *codec);
void flo_codec_row_destroy(struct flo_codec_row **row);
/* Does it change nothing? NULL: true. */
bool flo_codec_row_empty(const struct flo_codec_row *row);

/*
 * Encode or decode every payload in message (of any type of the API), in place: new payloads live
 * in arena. Left alone are search attributes, headers, and what Temporal's runtimes themselves read
 * in markers; updates inside protocol messages are reached. A message that holds payloads more than
 * once is to be encoded once. 0; FLO_ENOMEM; FLO_ELIMIT: decoded, it is larger than
 * FLO_CODEC_MESSAGE_MAX; what a codec failed with, and a sentence that names it. Then message is
 * half done, to be thrown away.
 */
FLO_MUST_CHECK int flo_codec_encode(const struct flo_codec_row *row, ProtobufCMessage *message,
                                    struct flo_arena *arena, struct flo_err *err);
FLO_MUST_CHECK int flo_codec_decode(const struct flo_codec_row *row, ProtobufCMessage *message,
                                    struct flo_arena *arena, struct flo_err *err);

#endif
