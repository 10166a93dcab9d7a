/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec.h - payload codecs: code that changes payloads on their way to and from the server.
 *
 * Everything that user code gives to the server (inputs, results, details, memos) leaves as
 * payloads: bytes and metadata. A codec gets each one before it is sent and each one that came,
 * and may turn it into another: compress it, encrypt it, or write a value in an encoding of its own
 * instead of json/plain. What the server must read itself (search attributes) and headers are left
 * alone. Two codecs are built in and need only settings (docs/codecs.md): zstd and AES-256-GCM.
 *
 * A worker's codecs stand in a row: those of its modules in the order of the YAML, then zstd, then
 * AES-256-GCM. What is sent goes through the row from front to end, what came from end to front.
 * So a module's codec sees plain values, and what it writes is compressed and encrypted.
 *
 *     static int to_upper(void *ctx, const struct flo_payload *in, struct flo_payload_writer *out,
 *                         struct flo_err *err)
 *     {
 *         if (!flo_payload_encoded_as(in, "text/plain"))
 *             return FLO_CODEC_PASS;
 *         ...
 *         return flo_payload_write_data(out, text, len);
 *     }
 */
#ifndef FLOTILLA_CODEC_H
#define FLOTILLA_CODEC_H

#include <stddef.h>

#include "flotilla/error.h"
#include "flotilla/payload.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The payload a codec writes; empty (no data, no metadata) at first. Lives during the call. */
struct flo_payload_writer;

/* What encode and decode return to leave the payload as it is: it is not theirs. */
#define FLO_CODEC_PASS 1

/*
 * One codec. Both functions: 0 when *out is the payload to take instead of in, FLO_CODEC_PASS, or a
 * negative code with a sentence in err. A failing decode fails the task or attempt that came, a
 * failing encode is logged and keeps the answer back, so that the server gives the task out again
 * after its timeout: it may be a key server that is away. Called from several threads at
 * once. decode must take what encode wrote, and pass on what it does not know: the fleet may be
 * half way through an update, and histories are older than the code.
 */
struct flo_codec {
    const char *name; /* for messages */
    int (*encode)(void *ctx, const struct flo_payload *in, struct flo_payload_writer *out,
                  struct flo_err *err);
    int (*decode)(void *ctx, const struct flo_payload *in, struct flo_payload_writer *out,
                  struct flo_err *err);
    void *ctx; /* handed to both */
};

/* A table of codecs for struct flo_module; ends with an entry without a name. */
#define FLO_CODECS(...)                                                                            \
    (const struct flo_codec[])                                                                     \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, NULL, NULL, NULL                                                                 \
        }                                                                                          \
    }

/* Set the bytes (copied). FLO_ENOMEM. */
FLO_API FLO_MUST_CHECK int flo_payload_write_data(struct flo_payload_writer *out, const void *data,
                                                  size_t len);
/* Add one metadata entry (copied); "encoding" says how to read the bytes. FLO_ENOMEM. */
FLO_API FLO_MUST_CHECK int flo_payload_write_metadata(struct flo_payload_writer *out,
                                                      const char *key, const void *value,
                                                      size_t len);
/* len bytes of room for the data, to be filled by the caller before it returns; NULL when memory
 * is out. flo_payload_write_shorten says how many were used, when not all were. */
FLO_API void *flo_payload_write_room(struct flo_payload_writer *out, size_t len);
FLO_API void flo_payload_write_shorten(struct flo_payload_writer *out, size_t len);

/*
 * A payload as a whole, metadata included, in protobuf's form, which is how codecs that wrap
 * payloads keep them, in each of Temporal's SDKs. *out_data lives as long as out does. FLO_ENOMEM.
 */
FLO_API FLO_MUST_CHECK int flo_payload_pack(const struct flo_payload *payload,
                                            struct flo_payload_writer *out, const void **out_data,
                                            size_t *out_len);
/* The reverse: out becomes the payload whose bytes these are. FLO_EPROTO with a sentence: they are
 * none; FLO_ENOMEM. */
FLO_API FLO_MUST_CHECK int flo_payload_write_packed(struct flo_payload_writer *out,
                                                    const void *data, size_t len,
                                                    struct flo_err *err);

#ifdef __cplusplus
}
#endif
#endif
