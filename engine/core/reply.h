/* SPDX-License-Identifier: Apache-2.0 */
/* reply.h - answers to calls, and why a call is refused (reply.c). */
#ifndef FLO_ENGINE_CORE_REPLY_H
#define FLO_ENGINE_CORE_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/core.h"
#include "flotilla/error.h"
#include "wire/api.h"

/* gRPC codes that the engine answers. */
enum {
    FLO_GRPC_OK = 0,
    FLO_GRPC_CANCELLED = 1,
    FLO_GRPC_INVALID_ARGUMENT = 3,
    FLO_GRPC_DEADLINE_EXCEEDED = 4,
    FLO_GRPC_NOT_FOUND = 5,
    FLO_GRPC_ALREADY_EXISTS = 6,
    FLO_GRPC_PERMISSION_DENIED = 7,
    FLO_GRPC_RESOURCE_EXHAUSTED = 8,
    FLO_GRPC_FAILED_PRECONDITION = 9,
    FLO_GRPC_ABORTED = 10,
    FLO_GRPC_UNIMPLEMENTED = 12,
    FLO_GRPC_INTERNAL = 13,
    FLO_GRPC_UNAVAILABLE = 14,
    FLO_GRPC_DATA_LOSS = 15,
};

/* Why a call is refused. Zeroed = OK. Text and detail live in scratch (or are static). */
struct flo_status {
    int code; /* gRPC */
    const char *message;
    const ProtobufCMessage *detail;
};

/*
 * Fill status; the value is FLO_ERPC, so that a check can end in `return flo_status_set(...)`.
 * Macros, so that compiler and analyser see the constant: a refusal is never taken for success.
 */
#define flo_status_set(core, status, code, ...)                                                    \
    __extension__({                                                                                \
        flo_status_put(core, status, code, __VA_ARGS__);                                           \
        FLO_ERPC;                                                                                  \
    })
/* NOT_FOUND with NotFoundFailure. */
#define flo_status_not_found(core, status, ...)                                                    \
    __extension__({                                                                                \
        flo_status_put_not_found(core, status, __VA_ARGS__);                                       \
        FLO_ERPC;                                                                                  \
    })
/* RESOURCE_EXHAUSTED with ResourceExhaustedFailure (cause, namespace scope). */
#define flo_status_exhausted(core, status, cause, ...)                                             \
    __extension__({                                                                                \
        flo_status_put_exhausted(core, status, cause, __VA_ARGS__);                                \
        FLO_ERPC;                                                                                  \
    })
void flo_status_put(struct flo_core *core, struct flo_status *status, int code, const char *fmt,
                    ...) __attribute__((format(printf, 4, 5)));
void flo_status_put_not_found(struct flo_core *core, struct flo_status *status, const char *fmt,
                              ...) __attribute__((format(printf, 3, 4)));
void flo_status_put_exhausted(struct flo_core *core, struct flo_status *status,
                              FloApi__ResourceExhaustedCause cause, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* FAILED_PRECONDITION with WorkflowNotReadyFailure. Returns FLO_ERPC. */
int flo_status_not_ready(struct flo_core *core, struct flo_status *status, const char *message);
/* UNAVAILABLE: memory is out, nothing was changed. Returns FLO_ENOMEM. */
static inline int flo_status_no_memory(struct flo_status *status)
{
    *status =
        (struct flo_status){.code = FLO_GRPC_UNAVAILABLE, .message = "the engine is out of memory"};
    return FLO_ENOMEM;
}

/* Answer call with body; leaves once commit `after` is durable (0, or flo_core_after()). */
void flo_reply_ok(struct flo_core *core, uint64_t call, uint64_t after,
                  const ProtobufCMessage *body);
/* As above with bytes that follow the packed body as they are: more fields of the message. */
void flo_reply_raw(struct flo_core *core, uint64_t call, uint64_t after,
                   const ProtobufCMessage *body, const uint8_t *raw, size_t raw_len);
/* Answer with an error. `after`: an error that tells of a change (a failed workflow task) waits
 * for it, too. */
void flo_reply_status(struct flo_core *core, uint64_t call, uint64_t after,
                      const struct flo_status *status);

#endif
