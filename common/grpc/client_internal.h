/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_internal.h - the inside of the client half: channel.c (the connection and its
 * replacement), call.c (a request and its response).
 */
#ifndef FLO_GRPC_CLIENT_INTERNAL_H
#define FLO_GRPC_CLIENT_INTERNAL_H

#include <event2/event_struct.h>

#include "base/list.h"
#include "base/random.h"
#include "grpc/client.h"
#include "grpc/codec.h"
#include "grpc/message.h"
#include "http2/conn.h"

/* Headers of a channel and of a call, each. */
#define FLO_GRPC_HEADERS_MAX 32
/* Those that every request has beside its path, in front of the channel's. */
#define FLO_GRPC_FIXED_HEADERS 7

/* One connection of a channel: the current one, or one that drains after GOAWAY. */
struct flo_grpc_link {
    struct flo_node node; /* on channel->links */
    struct flo_grpc_channel *channel;
    struct flo_h2_conn *h2;
    uint64_t serial; /* counts the channel's connections from 1 */
    bool ready;
    int64_t ready_ns; /* since when */
};

/*
 *   CONNECTING ──SETTINGS──► READY ──lost──► BACKOFF ──timer──► CONNECTING
 *        └───────failed──────────────────────►┘
 * READY goes back to CONNECTING without waiting when the peer says GOAWAY.
 */
enum flo_grpc_channel_state {
    FLO_GRPC_CHANNEL_CONNECTING,
    FLO_GRPC_CHANNEL_READY,
    FLO_GRPC_CHANNEL_BACKOFF,
    FLO_GRPC_CHANNEL_CLOSED
};

struct flo_grpc_channel {
    struct event_base *base;
    enum flo_grpc_channel_state state;
    char *host;        /* to connect to */
    char *authority;   /* :authority */
    char *peer_name;   /* TLS: SNI and name check */
    char *header_text; /* the bytes that headers point to */
    uint16_t port;
    struct ssl_ctx_st *tls; /* NULL = plain */
    bool skip_verify;
    int64_t keepalive_ms, keepalive_timeout_ms;
    size_t max_receive_bytes;
    void (*on_state)(void *ctx, bool connected, const char *reason);
    void *on_state_ctx;
    /* With every call. */
    nghttp2_nv headers[FLO_GRPC_FIXED_HEADERS + FLO_GRPC_HEADERS_MAX];
    size_t header_count;
    struct flo_h2_dial *dial;      /* while connecting */
    struct flo_grpc_link *current; /* connecting or ready; NULL otherwise */
    struct flo_list links;
    struct flo_list waiting; /* calls without a connection */
    struct flo_list active;  /* calls on a connection */
    struct event retry;      /* the end of BACKOFF */
    struct flo_rng rng;      /* jitter */
    int64_t backoff_ms;      /* the next wait */
    uint64_t serial;         /* of the newest link */
    bool connected;          /* as last reported */
    bool failed;             /* the last attempt failed: calls that do not wait fail too */
    bool doomed;             /* destroyed inside a callback */
    unsigned busy;           /* depth of our frames on the stack */
    char reason[192];        /* why there is no connection */
};

struct flo_grpc_call {
    struct flo_h2_stream stream;
    struct flo_node node; /* on channel->waiting or channel->active */
    struct flo_grpc_channel *channel;
    flo_grpc_done_fn done;
    void *ctx;
    struct event timer; /* the deadline */
    int64_t deadline_ns;
    int64_t timeout_ms; /* as asked for */
    uint64_t serial;    /* of the link that it is on */
    int64_t sent_ns;    /* when it was put there */
    uint64_t refused;   /* serial of the link that refused it once; 0 = none */
    bool wait_for_ready;
    bool odd_timeout; /* as asked for */
    int fail_code;    /* end with this at the next turn; 0 = no */
    const char *fail_text;
    /* request: all bytes are in data[] */
    struct flo_h2_head head;
    nghttp2_nv *timeout; /* the last one of head.own */
    const uint8_t *body; /* prefix and message */
    size_t body_len;
    char timeout_text[FLO_GRPC_TIMEOUT_MAX];
    /* response so far */
    struct flo_grpc_message message;
    struct flo_buf text;    /* grpc-message, decoded */
    struct flo_buf details; /* grpc-status-details-bin, decoded */
    size_t header_bytes;
    int http_status;
    int grpc_status; /* -1: none yet */
    bool grpc_type;
    _Alignas(nghttp2_nv) unsigned char data[]; /* headers, then the bytes they point to */
};

/* call.c: the stream callbacks of a link's handler; ctx is the flo_grpc_link. */
int flo_grpc_call_on_header(void *ctx, struct flo_h2_stream *stream, const uint8_t *name,
                            size_t name_len, const uint8_t *value, size_t value_len);
void flo_grpc_call_on_headers(void *ctx, struct flo_h2_stream *stream);
void flo_grpc_call_on_data(void *ctx, struct flo_h2_stream *stream, const uint8_t *data,
                           size_t len);
void flo_grpc_call_on_end(void *ctx, struct flo_h2_stream *stream);
void flo_grpc_call_on_close(void *ctx, struct flo_h2_stream *stream, uint32_t error_code,
                            bool lost);
/* End the call with an error: done runs, the call is freed, the channel may be doomed after. */
void flo_grpc_call_fail(struct flo_grpc_call *call, int code, const char *message);
/* Put a waiting call on the link. FLO_ECLOSED: the link takes no more; FLO_ENOMEM. */
FLO_MUST_CHECK int flo_grpc_call_submit(struct flo_grpc_call *call, struct flo_grpc_link *link);

/* channel.c */
/* Put waiting calls on the connection if there is one. Calls no callback of the user. */
void flo_grpc_channel_pump(struct flo_grpc_channel *channel);
void flo_grpc_channel_enter(struct flo_grpc_channel *channel);
/* Frees the channel when it was destroyed meanwhile. */
void flo_grpc_channel_leave(struct flo_grpc_channel *channel);
/*
 * Make header fields of a caller's: names and coded values are written to text (its size comes
 * from flo_grpc_headers_size) and out[] points there. Returns the end of what was written.
 */
size_t flo_grpc_headers_size(const struct flo_grpc_header *headers, size_t count);
unsigned char *flo_grpc_headers_write(const struct flo_grpc_header *headers, size_t count,
                                      unsigned char *text, nghttp2_nv *out);

#endif
