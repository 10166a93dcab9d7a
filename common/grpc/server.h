/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - gRPC server half: calls of all four kinds (one message or a stream of them, each way)
 * on HTTP/2 (h2c or TLS with ALPN h2), on one event loop.
 *
 * A handler gets the whole request message, already decompressed (gzip), and answers now or any
 * time later through flo_grpc_respond*; a long poll is a call that is answered late. Answers made
 * in one turn of the loop leave in one write per connection. What a peer may take is bounded, by
 * the options below and by http2/guard.h. One thread: the loop's.
 *
 * A call whose requests are a stream (on_stream) gets its messages one by one, each once the peer
 * has taken what was answered before: who sends without reading is stopped by its own window
 * (1 MiB a stream), not by our memory. Half of a message must be whole within request_timeout_ms,
 * and answers that wait must move within stall_timeout_ms; else the call is ended.
 */
#ifndef FLO_GRPC_SERVER_H
#define FLO_GRPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"
#include "grpc/client.h" /* flo_grpc_header */
#include "grpc/status.h"

struct event_base;
struct flo_grpc_server;      /* opaque: server.c */
struct flo_grpc_server_call; /* one request being served */

struct flo_grpc_server_options {
    const char *listen;        /* "host:port"; port 0 = the kernel chooses */
    const char *tls_cert_file; /* PEM chain; NULL = h2c */
    const char *tls_key_file;
    const char *tls_client_ca_file; /* require and check client certificates; NULL = do not ask */
    size_t max_receive_bytes;       /* one message; default 4 MiB */
    size_t max_connections;         /* default 10,000; more are closed at accept */
    uint32_t max_streams;           /* per connection; default 10,000 */
    int64_t handshake_timeout_ms;   /* preface + SETTINGS (+ TLS); default 10,000 */
    int64_t idle_timeout_ms;        /* a connection without streams; default 0 = never */
    int64_t request_timeout_ms;     /* headers to END_STREAM; default 60,000 */
    int64_t stall_timeout_ms;       /* an answer that the peer does not take; default 30,000 */
    int64_t keepalive_ms; /* PING after so long without a byte; default 10,000; < 0 = never */
    int64_t keepalive_timeout_ms; /* the PING's answer, else the connection is lost; 10,000 */
    size_t max_buffered_bytes;    /* unfinished requests of all connections; default 256 MiB */
    /*
     * A whole request arrived. The handler must see to it that the call is answered exactly once
     * (unless on_cancel says it is gone). path is "/package.Service/Method"; body is borrowed
     * during the callback.
     */
    void (*on_call)(void *ctx, struct flo_grpc_server_call *call, const char *path,
                    const uint8_t *body, size_t len);
    /*
     * The headers of a request arrived. True: its messages come one by one (client streaming,
     * bidirectional streaming). The call is open from here on, may be answered, and must be, as in
     * on_call, which is not called. False, or NULL: one message, on_call.
     */
    bool (*on_stream)(void *ctx, struct flo_grpc_server_call *call, const char *path);
    /* The next message of such a call; body is borrowed during the callback. Nothing of earlier
     * answers waits: flo_grpc_stream takes one of any size now. */
    void (*on_message)(void *ctx, struct flo_grpc_server_call *call, const uint8_t *body,
                       size_t len);
    /* The client sends no more messages; the call is still to be answered. */
    void (*on_half_close)(void *ctx, struct flo_grpc_server_call *call);
    /*
     * An unanswered call is gone (client reset, deadline, connection lost): do not answer it. The
     * call is freed after this returns.
     */
    void (*on_cancel)(void *ctx, struct flo_grpc_server_call *call);
    /* Counts a refused input under a stable static reason ("h2.ping_flood"); may be NULL. Called
     * from inside the parser: only count. */
    void (*on_reject)(void *ctx, const char *reason);
    void *ctx;
};

/* Bind and serve. FLO_ECONN, FLO_EPERM (bind: the sentence names the address), FLO_EINVAL,
 * FLO_ENOMEM. */
FLO_MUST_CHECK int flo_grpc_server_new(struct event_base *base,
                                       const struct flo_grpc_server_options *options,
                                       struct flo_grpc_server **out_server, struct flo_err *err);
/* The bound address as "host:port" (with the kernel's port). Borrowed. */
const char *flo_grpc_server_address(const struct flo_grpc_server *server);
/* Stop accepting and send GOAWAY; open calls may still be answered. */
void flo_grpc_server_drain(struct flo_grpc_server *server);
/* Calls that are not answered yet. */
size_t flo_grpc_server_calls(const struct flo_grpc_server *server);
/* Connections that are open now. */
size_t flo_grpc_server_connections(const struct flo_grpc_server *server);
/* Close everything; on_cancel runs for what was unanswered. NULL is fine. */
void flo_grpc_server_destroy(struct flo_grpc_server **server);

/*
 * The value of a request header (lower-case name; -bin values decoded), or NULL. NUL-terminated,
 * borrowed while the call lives. The second form also gives the length. grpc-* are not kept.
 */
const char *flo_grpc_server_call_header(const struct flo_grpc_server_call *call, const char *name);
const char *flo_grpc_server_call_header_len(const struct flo_grpc_server_call *call,
                                            const char *name, size_t *out_len);
/* Wall-independent deadline: nanoseconds of flo_clock_mono_ns, or INT64_MAX without grpc-timeout.
 * At the deadline the server itself answers DEADLINE_EXCEEDED and calls on_cancel. */
int64_t flo_grpc_server_call_deadline(const struct flo_grpc_server_call *call);
/* A word that is the caller's: e.g. the engine's call id. */
void flo_grpc_server_call_set_user(struct flo_grpc_server_call *call, uint64_t user);
uint64_t flo_grpc_server_call_user(const struct flo_grpc_server_call *call);

/* Answer OK with one message (copied). The call is gone afterwards. */
void flo_grpc_respond(struct flo_grpc_server_call *call, const uint8_t *body, size_t len);
/*
 * Server streaming: send one message (copied); the call stays open until flo_grpc_stream_end, an
 * error, or on_cancel (the deadline, too). FLO_EFULL: with this one more than FLO_GRPC_STREAM_MAX
 * bytes would wait that the peer does not take, nothing was sent (a message of any size is taken
 * when nothing waits); FLO_ENOMEM: the call is gone, without on_cancel.
 */
#define FLO_GRPC_STREAM_MAX ((size_t)64 * 1024)
FLO_MUST_CHECK int flo_grpc_stream(struct flo_grpc_server_call *call, const uint8_t *body,
                                   size_t len);
/* OK, no more messages, or none at all. The call is gone afterwards. */
void flo_grpc_stream_end(struct flo_grpc_server_call *call);
/*
 * Answer with an error, in a stream after the messages that were sent; details as in
 * struct flo_grpc_status (raw google.rpc.Status bytes, may be NULL); trailers are extra (at most
 * 16). A message is cut at 2 KiB and details of more than 12 KiB are left out: clients bound the
 * size of headers. The call is gone afterwards.
 */
void flo_grpc_respond_error(struct flo_grpc_server_call *call, int code, const char *message,
                            const uint8_t *details, size_t details_len,
                            const struct flo_grpc_header *trailers, size_t trailer_count);

#endif
