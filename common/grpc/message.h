/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h - a length-prefixed message, the one of a unary request or response or the next of a
 * stream: collected from DATA, checked against the limit before memory is spent, inflated when it
 * is gzip.
 *
 * The buffer grows with the data that came, never with the length that was promised.
 */
#ifndef FLO_GRPC_MESSAGE_H
#define FLO_GRPC_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* [flag:1][length:4 big endian] before every message. */
#define FLO_GRPC_PREFIX 5

struct flo_grpc_message {
    struct flo_buf data; /* prefix and message as received */
    size_t max_bytes;    /* one message, compressed or not */
    bool gzip;           /* grpc-encoding of this direction */
    bool rejected;       /* an error was reported; more data is ignored */
};

/* Why a message cannot be taken: a gRPC code and a sentence. */
struct flo_grpc_message_error {
    int code;
    char message[128];
};

/* Write the prefix of an uncompressed message. */
void flo_grpc_message_prefix(uint8_t out[FLO_GRPC_PREFIX], size_t len);

void flo_grpc_message_init(struct flo_grpc_message *message, size_t max_bytes);
void flo_grpc_message_fini(struct flo_grpc_message *message);
/* Take DATA. 0, or FLO_EPROTO / FLO_ELIMIT / FLO_ENOMEM with *out_error filled. */
FLO_MUST_CHECK int flo_grpc_message_add(struct flo_grpc_message *message, const uint8_t *data,
                                        size_t len, struct flo_grpc_message_error *out_error);
/*
 * The same for one message of several: takes no more than belongs to it; *out_used says how much.
 * *out_whole: it is complete, flo_grpc_message_end gives it.
 */
FLO_MUST_CHECK int flo_grpc_message_take(struct flo_grpc_message *message, const uint8_t *data,
                                         size_t len, size_t *out_used, bool *out_whole,
                                         struct flo_grpc_message_error *out_error);
/*
 * The stream ended: exactly one whole message must be there. *out_body is borrowed until fini.
 * Errors as above; FLO_ENOENT when there is no message at all.
 */
FLO_MUST_CHECK int flo_grpc_message_end(struct flo_grpc_message *message, const uint8_t **out_body,
                                        size_t *out_len, struct flo_grpc_message_error *out_error);

#endif
