/* SPDX-License-Identifier: Apache-2.0 */
/*
 * streams.h - the calls that stream: grpc.health.v1.Health/Watch (one request, an answer for each
 * change) and server reflection (a stream each way), outside the core and of no namespace.
 */
#ifndef FLO_ENGINE_STREAMS_H
#define FLO_ENGINE_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "grpc/server.h"

struct flo_shell; /* shell_internal.h */
struct flo_reflection;

/* Streams that may be open; more are refused. */
#define FLO_STREAMS_MAX 1000

/* The word of a call that is a stream; ids of other calls (calls.h) are larger. */
#define FLO_STREAM_USER UINT64_C(1)

struct flo_streams {
    struct flo_list open;              /* struct stream (streams.c) */
    struct flo_reflection *reflection; /* made when it is first asked for */
};

void flo_streams_init(struct flo_streams *streams);
/* Forget what is open, without answering. */
void flo_streams_fini(struct flo_streams *streams);

/* The server's callbacks for calls whose requests are a stream; ctx is the shell. */
bool flo_streams_on_stream(void *ctx, struct flo_grpc_server_call *call, const char *path);
void flo_streams_on_message(void *ctx, struct flo_grpc_server_call *call, const uint8_t *body,
                            size_t len);
void flo_streams_on_half_close(void *ctx, struct flo_grpc_server_call *call);

/* Is it Health/Watch? Then it was taken. */
bool flo_streams_watch(struct flo_shell *shell, struct flo_grpc_server_call *call, const char *path,
                       const uint8_t *body, size_t len);
/* The client of a stream (its word is FLO_STREAM_USER) is gone. */
void flo_streams_cancel(struct flo_shell *shell, struct flo_grpc_server_call *call);
/* The engine stops: who watches its health is told so, and every stream ends. */
void flo_streams_end(struct flo_shell *shell);

#endif
