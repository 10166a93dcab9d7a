/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_internal.h - the inside of the server half: server.c (listening, connections),
 * server_call.c (a request and its answer), server_stream.c (messages one by one, each way),
 * server_headers.c (the headers that it keeps).
 */
#ifndef FLO_GRPC_SERVER_INTERNAL_H
#define FLO_GRPC_SERVER_INTERNAL_H

#include <event2/event_struct.h>

#include "base/list.h"
#include "grpc/message.h"
#include "grpc/server.h"
#include "http2/conn.h"

struct flo_grpc_server {
    struct event_base *base;
    struct flo_grpc_server_options opt; /* its strings are not kept */
    struct flo_h2_listener *listener;   /* NULL after drain */
    struct ssl_ctx_st *tls;
    struct flo_list conns;
    size_t open_calls;     /* handed to on_call and not answered */
    size_t buffered_bytes; /* of requests that are not complete */
    char address[80];
};

struct flo_grpc_server_conn {
    struct flo_node node; /* on server->conns */
    struct flo_grpc_server *server;
    struct flo_h2_conn *h2;
    bool *gone;           /* set when the connection ends under flo_grpc_server_on_room */
    struct flo_list held; /* calls whose next message waits until earlier answers are taken */
};

/*
 *   RECEIVING ──whole request──► OPEN ──respond, deadline──► ANSWERED ──stream closed──► freed
 *       └──refused, timed out──────────────────────────────────┘
 * OPEN is what the handler knows: a call that leaves it without respond gets on_cancel. A call
 * whose requests are a stream is OPEN from its headers on.
 */
enum flo_grpc_call_state { FLO_GRPC_CALL_RECEIVING, FLO_GRPC_CALL_OPEN, FLO_GRPC_CALL_ANSWERED };

struct flo_grpc_server_call {
    struct flo_h2_stream stream;
    struct flo_node node; /* on conn->held, or on no list */
    struct flo_grpc_server *server;
    struct flo_grpc_server_conn *conn;
    enum flo_grpc_call_state state;
    struct flo_grpc_message message;
    struct flo_buf headers; /* entries as in server_headers.c */
    size_t header_bytes;    /* as RFC 9113 6.5.2 counts them: name + value + 32 each */
    size_t buffered_bytes;  /* this call's part of server->buffered_bytes */
    struct event timer;     /* request timeout, deadline, then stall of the answer */
    int64_t timer_ns;       /* when it fires; INT64_MAX: it does not */
    int64_t deadline_ns;    /* INT64_MAX: none */
    int64_t progress_by_ns; /* the whole request, later more of the answer, must be through */
    size_t stall_off;       /* body_off when progress_by_ns was set for the answer */
    uint64_t user;          /* the handler's word */
    uint8_t *answer;        /* prefix and message, owned */
    bool headers_done;      /* the first header block is complete */
    bool streaming;         /* messages have been sent, more may follow */
    bool client_streams;    /* its messages are given one by one */
    bool half_closed;       /* of client_streams: the client has sent all */
    struct flo_buf waiting; /* of client_streams: what came while the call was held */
    size_t waiting_off;     /* how much of it the handler has been given */
    size_t unconsumed;      /* how much of that is still charged to the peer's window */
    bool *gone;             /* set when the call is freed under a handler of client_streams */
    struct flo_grpc_call_end *end; /* the error at the end of a stream; NULL: none */
    bool post, grpc_type;          /* what the headers said so far */
    bool has_timeout;
    int refuse_code;           /* the headers' first fault; 0 = none */
    const char *refuse_text;   /* static */
    const char *refuse_reason; /* static, for on_reject */
};

/* An error's texts as header fields: freed with its call when they are trailers. */
enum { FLO_GRPC_TRAILERS_MAX = 16 };
struct flo_grpc_call_end {
    struct flo_buf text; /* all coded texts; offsets, since the buffer moves */
    size_t message_len;
    size_t details_off, details_len;
    struct {
        size_t name_off, name_len, value_off, value_len;
    } trailers[FLO_GRPC_TRAILERS_MAX];
    char code[4];
    nghttp2_nv nv[6 + FLO_GRPC_TRAILERS_MAX];
    size_t count;
};

/* The beginning and the end of an answer that is fine. */
extern const nghttp2_nv flo_grpc_ok_headers[2], flo_grpc_ok_trailer;

/* server_call.c, for server_stream.c: the call is answered (rc: or cannot be, and is given up). */
void flo_grpc_call_answered(struct flo_grpc_server_call *call, int rc);
/* Answer with an error, after on_cancel when the handler knows the call. */
void flo_grpc_call_refuse(struct flo_grpc_server_call *call, int code, const char *message,
                          const char *reason);
/* Give the stream up without an answer, with on_cancel. Frees the call. */
void flo_grpc_call_abort(struct flo_grpc_server_call *call, uint32_t h2_error);
/* The request or more of the answer must be through by at_ns (INT64_MAX: it need not). */
void flo_grpc_call_expect(struct flo_grpc_server_call *call, int64_t at_ns, int64_t now_ns);

/* server_stream.c: calls whose requests are a stream. The call may be gone afterwards. */
void flo_grpc_stream_data(struct flo_grpc_server_call *call, const uint8_t *data, size_t len);
void flo_grpc_stream_half_close(struct flo_grpc_server_call *call);
/* There may be room: go on with what was held. */
void flo_grpc_stream_resume(struct flo_grpc_server_call *call);
/* End the stream with this error after the messages that were sent. */
void flo_grpc_stream_fail(struct flo_grpc_server_call *call, struct flo_grpc_call_end **end);

/* server_call.c: the handler of every server connection; ctx is a flo_grpc_server_conn. */
struct flo_h2_stream *flo_grpc_server_on_open(void *ctx, struct flo_h2_conn *h2);
int flo_grpc_server_on_header(void *ctx, struct flo_h2_stream *stream, const uint8_t *name,
                              size_t name_len, const uint8_t *value, size_t value_len);
void flo_grpc_server_on_headers(void *ctx, struct flo_h2_stream *stream);
void flo_grpc_server_on_data(void *ctx, struct flo_h2_stream *stream, const uint8_t *data,
                             size_t len);
void flo_grpc_server_on_end(void *ctx, struct flo_h2_stream *stream);
void flo_grpc_server_on_close(void *ctx, struct flo_h2_stream *stream, uint32_t error_code,
                              bool lost);
void flo_grpc_server_on_room(void *ctx, struct flo_h2_conn *h2);
/* server_headers.c: keep a request's header, decoded if its name ends in -bin. FLO_EPROTO: that is
 * not base64; FLO_ENOMEM; then the buffer is as it was. */
FLO_MUST_CHECK int flo_grpc_headers_add(struct flo_buf *buf, const uint8_t *name, size_t name_len,
                                        const uint8_t *value, size_t value_len);
/* Count a refused input. */
void flo_grpc_server_reject(struct flo_grpc_server *server, const char *reason);

#endif
