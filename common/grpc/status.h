/* SPDX-License-Identifier: Apache-2.0 */
/* status.h - gRPC status codes (its document statuscodes) and a status with message and details. */
#ifndef FLO_GRPC_STATUS_H
#define FLO_GRPC_STATUS_H

#include <stddef.h>
#include <stdint.h>

#define FLO_GRPC_CODES(X)                                                                          \
    X(OK, 0)                                                                                       \
    X(CANCELLED, 1)                                                                                \
    X(UNKNOWN, 2)                                                                                  \
    X(INVALID_ARGUMENT, 3)                                                                         \
    X(DEADLINE_EXCEEDED, 4)                                                                        \
    X(NOT_FOUND, 5)                                                                                \
    X(ALREADY_EXISTS, 6)                                                                           \
    X(PERMISSION_DENIED, 7)                                                                        \
    X(RESOURCE_EXHAUSTED, 8)                                                                       \
    X(FAILED_PRECONDITION, 9)                                                                      \
    X(ABORTED, 10)                                                                                 \
    X(OUT_OF_RANGE, 11)                                                                            \
    X(UNIMPLEMENTED, 12)                                                                           \
    X(INTERNAL, 13)                                                                                \
    X(UNAVAILABLE, 14)                                                                             \
    X(DATA_LOSS, 15)                                                                               \
    X(UNAUTHENTICATED, 16)

enum flo_grpc_code {
#define FLO_GRPC_ENUM(name, value) FLO_GRPC_##name = value,
    FLO_GRPC_CODES(FLO_GRPC_ENUM)
#undef FLO_GRPC_ENUM
};

/* "NOT_FOUND"; "CODE(17)"-like text for unknown numbers is "UNKNOWN_CODE". Static. */
const char *flo_grpc_code_name(int code);

/*
 * How a call ended. details is the bytes of google.rpc.Status (grpc-status-details-bin, already
 * base64-decoded), NULL when there is none. Borrowed: valid during the callback.
 */
struct flo_grpc_status {
    int code;
    const char *message; /* percent-decoded UTF-8, never NULL */
    const uint8_t *details;
    size_t details_len;
};

#endif
