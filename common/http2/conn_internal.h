/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn_internal.h - the inside of a connection, shared by conn.c (life, reading, writing), timer.c,
 * session.c (nghttp2's callbacks and the submit functions), ping.c (answers to PING) and io.c
 * (plain or TLS bytes).
 */
#ifndef FLO_HTTP2_CONN_INTERNAL_H
#define FLO_HTTP2_CONN_INTERNAL_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/buf.h"
#include "base/clock.h"
#include "http2/conn.h"
#include "http2/guard.h"

struct ssl_st;

/*
 *   TLS ──handshake, ALPN h2──► OPEN ──error of the peer──► LINGER ──EOF or 1 s──► DOWN
 *    └──────────────────────────┴──connection lost, close──────────────────────────►┘
 * A plain connection starts in OPEN. LINGER (server): GOAWAY is sent, input is thrown away until
 * the peer has read it, else our close would become a TCP reset that overtakes the GOAWAY.
 */
enum flo_h2_state { FLO_H2_TLS, FLO_H2_OPEN, FLO_H2_LINGER, FLO_H2_DOWN };

#define FLO_H2_PING_BYTES 8
#define FLO_H2_PINGS_HELD 4
/* An answer is held at least so long, and leaves on its own after this. */
#define FLO_H2_PING_HOLD_NS (50 * FLO_NS_PER_MS)
#define FLO_H2_PING_LATEST_NS (500 * FLO_NS_PER_MS)

/* The peer's PINGs that are not answered yet. */
struct flo_h2_pings {
    uint8_t opaque[FLO_H2_PINGS_HELD][FLO_H2_PING_BYTES]; /* what is to be sent back */
    unsigned held;
    int64_t since_ns; /* when the first of the held ones came */
};

struct flo_h2_conn {
    struct event_base *base;
    const struct flo_h2_handler *handler;
    void *ctx;
    struct flo_h2_options opt;
    nghttp2_session *session;
    struct ssl_st *ssl; /* NULL = plain */
    int fd;
    enum flo_h2_state state;
    bool ready;           /* the peer's SETTINGS came */
    bool draining;        /* no new streams: we or the peer said GOAWAY */
    bool final_goaway;    /* drain: the second GOAWAY, with the true last stream, is out */
    bool flush_scheduled; /* ev_flush is active */
    bool write_blocked;   /* the kernel took no more; ev_write waits */
    bool starved;         /* the last write left bodies behind: windows or the socket are full */
    bool read_paused;     /* queued answers are over the soft bound and the socket is blocked */
    bool doomed;          /* destroyed inside a callback: freed when the stack unwinds */
    bool in_session;      /* nghttp2 is on the stack: it must not be asked to frame */
    unsigned busy;        /* depth of our own frames on the stack */
    const char *fatal;    /* set where the connection cannot be ended at once; static */
    struct event ev_read, ev_write, ev_flush, ev_timer;
    struct flo_h2_coder *coder; /* client: of the request headers */
    struct flo_buf head;        /* client: the frames of one request's headers */
    struct flo_buf out;         /* framed bytes that the kernel did not take yet */
    size_t out_off;             /* how many of them it took */
    struct flo_list streams;
    struct flo_h2_stream *found; /* the stream that was last asked for; NULL = none */
    size_t queued;               /* body bytes of bound streams that are not framed yet */
    size_t unacked;              /* of all streams, what is still to be given back to the window */
    struct flo_h2_guard guard;
    struct flo_h2_pings pings;
    int64_t armed_ns;         /* when ev_timer fires; INT64_MAX = not armed */
    int64_t started_ns;       /* the handshake began */
    int64_t last_recv_ns;     /* the last byte from the peer */
    int64_t ping_sent_ns;     /* our PING waits for an answer since; 0 = none */
    int64_t idle_since_ns;    /* no streams since */
    int64_t stalled_since_ns; /* output makes no progress since; 0 = it does */
    int64_t drain_ns;         /* the first GOAWAY of a drain went out; 0 = no drain */
    int64_t linger_ns;        /* LINGER began */
    char reason[160];         /* why the connection ends, for a person */
};

/* conn.c */
/* Output was submitted: write it at the end of this turn. */
void flo_h2_conn_schedule(struct flo_h2_conn *conn);
/* Our frames on the stack: the memory of a destroyed connection goes with the last leave. */
void flo_h2_conn_enter(struct flo_h2_conn *conn);
void flo_h2_conn_leave(struct flo_h2_conn *conn);
/* Destroyed or DOWN: touch nothing but leave. */
bool flo_h2_conn_over(const struct flo_h2_conn *conn);
/* The connection is over: close it and tell the owner. reason NULL keeps conn->reason. */
void flo_h2_conn_down(struct flo_h2_conn *conn, const char *reason);
/* End the connection because of what the peer did: GOAWAY(error_code, debug text), then linger. */
void flo_h2_conn_terminate(struct flo_h2_conn *conn, uint32_t error_code, const char *reason,
                           const char *debug);

/* timer.c */
/* Let the timer fire at the next deadline, if that is sooner than it would. */
void flo_h2_conn_arm(struct flo_h2_conn *conn);
/* ev_timer's callback; arg is the connection. */
void flo_h2_conn_on_timer(evutil_socket_t fd, short what, void *arg);

/* ping.c */
/* A PING came: its answer goes with a later write. */
void flo_h2_ping_received(struct flo_h2_conn *conn, const uint8_t opaque[FLO_H2_PING_BYTES]);
/* A write is about to be framed: answers that were held long enough go along. */
void flo_h2_ping_ride(struct flo_h2_conn *conn);
/* The held answers have waited for a write long enough: make one. */
void flo_h2_ping_alone(struct flo_h2_conn *conn);
/* When the held answers must leave; INT64_MAX: there are none. */
int64_t flo_h2_ping_deadline_ns(const struct flo_h2_conn *conn);

/* session.c */
FLO_MUST_CHECK int flo_h2_session_start(struct flo_h2_conn *conn);
/*
 * nghttp2 has framed *data: if it opens a request, its stand-in for the headers is replaced by the
 * real ones. *data is borrowed until the next call. FLO_ENOMEM; FLO_EINVAL: it opens one that we do
 * not know.
 */
FLO_MUST_CHECK int flo_h2_session_put_head(struct flo_h2_conn *conn, const uint8_t **data,
                                           size_t *len);
/* Unbind stream and forget its queued bytes. */
void flo_h2_session_unbind(struct flo_h2_conn *conn, struct flo_h2_stream *stream);

/* io.c: results as read(2) and write(2); FLO_H2_AGAIN = try when the socket is ready. */
#define FLO_H2_AGAIN (-2)
FLO_MUST_CHECK int flo_h2_io_start_tls(struct flo_h2_conn *conn, struct flo_err *err);
/* 1 = done and ALPN is h2, FLO_H2_AGAIN (*out_want_write: wait to write), -1 = refused; reason. */
int flo_h2_io_handshake(struct flo_h2_conn *conn, bool *out_want_write);
ssize_t flo_h2_io_read(struct flo_h2_conn *conn, uint8_t *data, size_t len);
/* Are there bytes that were taken from the socket and not read yet? It does not announce them. */
bool flo_h2_io_pending(const struct flo_h2_conn *conn);
ssize_t flo_h2_io_write(struct flo_h2_conn *conn, const uint8_t *data, size_t len);
/* Say that we write no more (TLS close_notify, FIN). */
void flo_h2_io_shutdown(struct flo_h2_conn *conn);
void flo_h2_io_close(struct flo_h2_conn *conn);

#endif
