/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h - one HTTP/2 connection over a connected socket, client or server, plain (h2c with prior
 * knowledge) or TLS with ALPN "h2": bytes in, streams out.
 *
 * Output: nothing is written when it is submitted. Whatever one turn of the loop submits leaves in
 * one write at the end of that turn (a deferred event). The framed bytes that the kernel does not
 * take are bounded: bodies stay with their streams until there is room.
 *
 * Bounds: guard.h for floods. Past FLO_H2_QUEUE_SOFT of queued body bytes a server reads no further
 * while the socket is blocked; while only the peer's windows are closed it must go on reading (the
 * WINDOW_UPDATE is among the input), so there the owner holds requests back until on_room. Past
 * FLO_H2_QUEUE_HARD the connection is closed.
 *
 * One thread: the loop's. Callbacks come from the loop, or from flo_h2_conn_close, never from
 * inside a submit function. flo_h2_conn_destroy may be called from any callback.
 */
#ifndef FLO_HTTP2_CONN_H
#define FLO_HTTP2_CONN_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "flotilla/error.h"
#include "http2/head.h"

#define FLO_H2_QUEUE_SOFT ((size_t)4 << 20)  /* bytes */
#define FLO_H2_QUEUE_HARD ((size_t)64 << 20) /* bytes */

struct event_base;
struct ssl_ctx_st;
struct flo_h2_conn; /* opaque: conn.c */

/*
 * A stream, embedded in the owner's struct (one struct a call). head, body and trailers are
 * borrowed until the stream is closed or reset.
 */
struct flo_h2_stream {
    struct flo_node node;     /* on the connection's list while bound to one */
    struct flo_h2_conn *conn; /* NULL: not on a connection */
    int32_t id;
    const struct flo_h2_head *head; /* of the request (client) */
    const uint8_t *body;            /* what is sent after the headers */
    size_t body_len;
    size_t body_off;            /* how much of it is framed */
    bool more;                  /* more of the body comes later: flo_h2_continue */
    const nghttp2_nv *trailers; /* sent after the body; NULL: the last DATA ends the stream */
    size_t trailer_count;
    size_t unacked; /* what arrived and is used up, and its window was not given back yet */
    bool hold;      /* what arrives is given back to the peer's window by flo_h2_consume only */
    bool opened;    /* its HEADERS have left (client) or arrived (server) */
};

/* What a connection tells its owner. on_goaway, on_ready, on_room, on_reject may be NULL. */
struct flo_h2_handler {
    /* Server: a request begins. Returns its stream, or NULL to reset it (no memory). */
    struct flo_h2_stream *(*on_open)(void *ctx, struct flo_h2_conn *conn);
    /* One header or trailer field. Non-zero resets the stream with INTERNAL_ERROR. */
    int (*on_header)(void *ctx, struct flo_h2_stream *stream, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len);
    /* A header block is complete: the first one, a 1xx, or the trailers. */
    void (*on_headers)(void *ctx, struct flo_h2_stream *stream);
    void (*on_data)(void *ctx, struct flo_h2_stream *stream, const uint8_t *data, size_t len);
    /* The peer has sent everything. */
    void (*on_end)(void *ctx, struct flo_h2_stream *stream);
    /*
     * The stream is gone and unbound; the owner may free it. error_code is HTTP/2's; lost: the
     * connection broke under it.
     */
    void (*on_close)(void *ctx, struct flo_h2_stream *stream, uint32_t error_code, bool lost);
    /* The peer's SETTINGS are here: the connection works. */
    void (*on_ready)(void *ctx, struct flo_h2_conn *conn);
    /* The peer will take no new streams. */
    void (*on_goaway)(void *ctx, struct flo_h2_conn *conn, uint32_t error_code);
    /* After a write, when no more than FLO_H2_QUEUE_SOFT bytes are queued. May be NULL. */
    void (*on_room)(void *ctx, struct flo_h2_conn *conn);
    /* Input was refused; reason is static ("h2.ping_flood"). */
    void (*on_reject)(void *ctx, const char *reason);
    /* The connection is over: every stream got on_close before. The owner destroys conn. */
    void (*on_down)(void *ctx, struct flo_h2_conn *conn, const char *reason);
};

struct flo_h2_options {
    bool server;
    struct ssl_ctx_st *tls;    /* NULL = plain; see tls.h */
    const char *server_name;   /* client TLS: SNI and the name that is checked; borrowed in new */
    bool insecure_skip_verify; /* client TLS: no name check */
    uint32_t max_streams;      /* server: MAX_CONCURRENT_STREAMS */
    uint32_t stream_window;    /* bytes, at least 65,535 */
    uint32_t conn_window;      /* bytes, at least 65,535 */
    uint32_t max_header_bytes; /* announced as MAX_HEADER_LIST_SIZE; the owner enforces it */
    int64_t handshake_timeout_ms; /* TLS + preface + SETTINGS */
    int64_t keepalive_ms;         /* PING after so long without a byte from the peer; 0 = never */
    int64_t keepalive_timeout_ms;
    int64_t idle_timeout_ms;  /* close after so long without a stream; 0 = never */
    int64_t stall_timeout_ms; /* close when queued output makes no progress; 0 = never */
};

/*
 * Take over the connected non-blocking socket fd (closed in any case from here on). handler and
 * ctx must live as long as the connection. FLO_ENOMEM, FLO_ESYS.
 */
FLO_MUST_CHECK int flo_h2_conn_new(struct event_base *base, int fd,
                                   const struct flo_h2_options *options,
                                   const struct flo_h2_handler *handler, void *ctx,
                                   struct flo_h2_conn **out_conn, struct flo_err *err);
/* Close now, without a callback; streams still bound are unbound silently. NULL is fine. */
void flo_h2_conn_destroy(struct flo_h2_conn **conn);
/* GOAWAY, then on_close for every stream and on_down: all before this returns. */
void flo_h2_conn_close(struct flo_h2_conn *conn, const char *reason);
/* No new streams; on_down comes when the last stream has ended. */
void flo_h2_conn_drain(struct flo_h2_conn *conn);

/* Client: may a new stream be opened? */
bool flo_h2_conn_usable(const struct flo_h2_conn *conn);

/* Client: open a stream with stream->head, then stream->body. FLO_ENOMEM, FLO_ECLOSED (no more
 * streams here). */
FLO_MUST_CHECK int flo_h2_request(struct flo_h2_conn *conn, struct flo_h2_stream *stream);
/* Server: answer with headers, then stream->body and stream->trailers (without a body and without
 * trailers the headers end the stream). FLO_ENOMEM. */
FLO_MUST_CHECK int flo_h2_respond(struct flo_h2_stream *stream, const nghttp2_nv *headers,
                                  size_t count);
/*
 * Server, for a stream with `more` that has been answered: what is to be sent from now on, in place
 * of what stream->body still had (the caller puts that first). more: and again more after it; else
 * it and the trailers end the stream. FLO_ENOMEM, FLO_ECLOSED.
 */
FLO_MUST_CHECK int flo_h2_continue(struct flo_h2_stream *stream, const uint8_t *body, size_t len,
                                   bool more);
/*
 * len more bytes of on_data, which came while `hold` was set, are used up: the peer may send as
 * many again. (The connection's window is given back at once: one stream must not stop the others.)
 */
void flo_h2_consume(struct flo_h2_stream *stream, size_t len);
/* RST_STREAM and unbind: no callback comes for it any more. Nothing when it is not bound. */
void flo_h2_reset(struct flo_h2_stream *stream, uint32_t error_code);
/*
 * After on_end, when the owner has what it wanted: unbind. RST_STREAM(NO_ERROR) only if our own
 * side is not all sent yet.
 */
void flo_h2_release(struct flo_h2_stream *stream);
/* When the bytes came that the callbacks are told of: the time, without asking for it. */
int64_t flo_h2_conn_received_ns(const struct flo_h2_conn *conn);
/* Body bytes that wait on this connection. */
size_t flo_h2_conn_queued(const struct flo_h2_conn *conn);

#endif
