/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the files of this folder share. */
#ifndef FLO_CODEC_INTERNAL_H
#define FLO_CODEC_INTERNAL_H

#include "codec/codec.h"
#include "wire/api.h"

struct flo_payload_writer {
    struct flo_arena *arena;
    FloApi__Payload *payload; /* in arena */
};

/* Call fn for the place of each payload in message that codecs may change (codec.h says which).
 * Stops at the first code that is not 0 and returns it. */
typedef int (*flo_payload_visit_fn)(void *ctx, FloApi__Payload **place);
FLO_MUST_CHECK int flo_payload_visit(ProtobufCMessage *message, struct flo_arena *arena,
                                     flo_payload_visit_fn fn, void *ctx);

/* zstd.c: encoding binary/zstd, the packed payload in one frame. level 0 only reads, and loads the
 * library when there is something to read. FLO_ESYS, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_zstd_new(int level, size_t above, struct flo_codec *out_codec,
                                struct flo_err *err);
void flo_zstd_free(struct flo_codec *codec);

/* aes.c: encoding binary/encrypted, as the encryption samples of Temporal's SDKs have it: nonce of
 * 12 bytes, ciphertext, tag of 16 bytes; the key's id under encryption-key-id. */
FLO_MUST_CHECK int flo_aes_new(const char *key_file, const char *keys_dir,
                               struct flo_codec *out_codec, struct flo_err *err);
void flo_aes_free(struct flo_codec *codec);

#endif
