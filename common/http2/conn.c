/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.c - the life of a connection: events, reading, the one write at the end of a turn, and its
 * end. Its timers are in timer.c.
 *
 * Our own frames on the stack are counted (busy): an owner may destroy the connection from any
 * callback; the memory goes when the last frame is left.
 */
#include "http2/conn.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "http2/conn_internal.h"

enum {
    IO_CHUNK = 16 * 1024, /* bytes read or written at once, on the stack */
    READS_A_TURN = 4,     /* then other connections get their turn */
    OUT_MAX = 256 * 1024, /* framed bytes that wait for the kernel */
};

static void conn_flush(struct flo_h2_conn *conn);

static void conn_free(struct flo_h2_conn *conn)
{
    nghttp2_session_del(conn->session);
    flo_h2_coder_destroy(&conn->coder);
    flo_buf_fini(&conn->head);
    flo_buf_fini(&conn->out);
    flo_free(conn);
}

void flo_h2_conn_enter(struct flo_h2_conn *conn)
{
    conn->busy++;
}

void flo_h2_conn_leave(struct flo_h2_conn *conn)
{
    if (--conn->busy == 0 && conn->doomed)
        conn_free(conn);
}

bool flo_h2_conn_over(const struct flo_h2_conn *conn)
{
    return conn->doomed || conn->state == FLO_H2_DOWN;
}

/* ---- the end ---- */

static void close_streams(struct flo_h2_conn *conn, uint32_t error_code)
{
    struct flo_node *node;
    while (!conn->doomed && (node = flo_list_first(&conn->streams))) {
        struct flo_h2_stream *stream = flo_container(node, struct flo_h2_stream, node);
        nghttp2_session_set_stream_user_data(conn->session, stream->id, NULL);
        flo_h2_session_unbind(conn, stream);
        conn->handler->on_close(conn->ctx, stream, error_code, true);
    }
}

static void stop_events(struct flo_h2_conn *conn)
{
    event_del(&conn->ev_read);
    event_del(&conn->ev_write);
    event_del(&conn->ev_flush);
    event_del(&conn->ev_timer);
}

void flo_h2_conn_down(struct flo_h2_conn *conn, const char *reason)
{
    if (flo_h2_conn_over(conn))
        return;
    flo_h2_conn_enter(conn);
    if (reason)
        snprintf(conn->reason, sizeof conn->reason, "%s", reason);
    conn->state = FLO_H2_DOWN;
    stop_events(conn);
    flo_h2_io_close(conn);
    close_streams(conn, NGHTTP2_INTERNAL_ERROR);
    if (!conn->doomed)
        conn->handler->on_down(conn->ctx, conn, conn->reason);
    flo_h2_conn_leave(conn);
}

/* Everything is said: wait for the peer to read it. Clients have no need to. */
static void conn_linger(struct flo_h2_conn *conn)
{
    if (flo_h2_conn_over(conn) || conn->state == FLO_H2_LINGER)
        return;
    if (!conn->opt.server || conn->write_blocked) {
        flo_h2_conn_down(conn, NULL);
        return;
    }
    conn->state = FLO_H2_LINGER;
    conn->linger_ns = flo_clock_mono_ns();
    flo_h2_io_shutdown(conn);
    if (conn->read_paused)
        event_add(&conn->ev_read, NULL);
    conn->read_paused = false;
    flo_h2_conn_arm(conn);
    close_streams(conn, NGHTTP2_INTERNAL_ERROR);
}

void flo_h2_conn_terminate(struct flo_h2_conn *conn, uint32_t error_code, const char *reason,
                           const char *debug)
{
    if (flo_h2_conn_over(conn) || conn->state != FLO_H2_OPEN)
        return;
    flo_h2_conn_enter(conn);
    snprintf(conn->reason, sizeof conn->reason, "%s", reason);
    if (conn->handler->on_reject)
        conn->handler->on_reject(conn->ctx, reason);
    conn->draining = true;
    if (!conn->doomed) {
        int rc = nghttp2_submit_goaway(conn->session, NGHTTP2_FLAG_NONE,
                                       nghttp2_session_get_last_proc_stream_id(conn->session),
                                       error_code, (const uint8_t *)debug, strlen(debug));
        if (rc == 0)
            conn_flush(conn);
        conn_linger(conn);
    }
    flo_h2_conn_leave(conn);
}

void flo_h2_conn_close(struct flo_h2_conn *conn, const char *reason)
{
    if (flo_h2_conn_over(conn))
        return;
    flo_h2_conn_enter(conn);
    if (conn->state == FLO_H2_OPEN && !conn->write_blocked && !conn->in_session &&
        nghttp2_session_terminate_session(conn->session, NGHTTP2_NO_ERROR) == 0) {
        conn->fatal = NULL;
        conn_flush(conn);
    }
    flo_h2_conn_down(conn, reason);
    flo_h2_conn_leave(conn);
}

void flo_h2_conn_destroy(struct flo_h2_conn **conn)
{
    struct flo_h2_conn *self = *conn;
    *conn = NULL;
    if (!self || self->doomed)
        return;
    struct flo_node *node;
    self->found = NULL;
    while ((node = flo_list_pop_front(&self->streams)))
        flo_container(node, struct flo_h2_stream, node)->conn = NULL;
    stop_events(self);
    flo_h2_io_close(self);
    self->state = FLO_H2_DOWN;
    self->doomed = true;
    if (self->busy == 0)
        conn_free(self);
}

/* ---- writing ---- */

void flo_h2_conn_schedule(struct flo_h2_conn *conn)
{
    if (conn->flush_scheduled || flo_h2_conn_over(conn))
        return;
    conn->flush_scheduled = true;
    event_active(&conn->ev_flush, EV_TIMEOUT, 1);
}

/*
 * Frame what nghttp2 has: into chunk while it fits there, else into conn->out. Returns the bytes
 * in chunk (0 when conn->out is used), negative on failure.
 */
static ssize_t frame_output(struct flo_h2_conn *conn, uint8_t *chunk)
{
    size_t used = 0;
    while (conn->out.len < OUT_MAX) {
        const uint8_t *data;
        conn->in_session = true;
        ssize_t n = nghttp2_session_mem_send(conn->session, &data);
        conn->in_session = false;
        if (n < 0 || conn->doomed)
            return -1;
        if (n == 0)
            break;
        size_t len = (size_t)n;
        if (!conn->opt.server && flo_h2_session_put_head(conn, &data, &len))
            return -1;
        if (conn->out.len == 0 && used + len <= IO_CHUNK) {
            memcpy(chunk + used, data, len);
            used += len;
            continue;
        }
        if (used > 0 && flo_buf_append(&conn->out, chunk, used))
            return -1;
        used = 0;
        if (flo_buf_append(&conn->out, data, len))
            return -1;
    }
    return (ssize_t)used;
}

/* Write conn->out. 0 = all of it, FLO_H2_AGAIN, -1. */
static int write_out(struct flo_h2_conn *conn)
{
    while (conn->out_off < conn->out.len) {
        ssize_t n =
            flo_h2_io_write(conn, conn->out.data + conn->out_off, conn->out.len - conn->out_off);
        if (n == FLO_H2_AGAIN)
            return FLO_H2_AGAIN;
        if (n <= 0)
            return -1;
        conn->out_off += (size_t)n;
        conn->stalled_since_ns = 0;
    }
    flo_buf_fini(&conn->out);
    conn->out_off = 0;
    return 0;
}

/* One round: frame, write, keep the rest. 1 = there may be more, 0 = done, FLO_H2_AGAIN, -1. */
static int write_round(struct flo_h2_conn *conn)
{
    uint8_t chunk[IO_CHUNK];
    int rc = write_out(conn);
    if (rc)
        return rc;
    ssize_t used = frame_output(conn, chunk);
    if (used < 0)
        return -1;
    if (used == 0) {
        if (conn->out.len == 0)
            return 0;
        rc = write_out(conn);
        return rc ? rc : 1;
    }
    ssize_t n = flo_h2_io_write(conn, chunk, (size_t)used);
    if (n == used)
        return 0;
    if (n != FLO_H2_AGAIN && n <= 0)
        return -1;
    size_t done = n > 0 ? (size_t)n : 0;
    if (flo_buf_append(&conn->out, chunk + done, (size_t)used - done))
        return -1;
    return FLO_H2_AGAIN;
}

/* Bytes that OpenSSL holds are not announced by the socket again. */
static void read_rest_later(struct flo_h2_conn *conn)
{
    if (!flo_h2_conn_over(conn) && !conn->read_paused && flo_h2_io_pending(conn))
        event_active(&conn->ev_read, EV_READ, 1);
}

/* After a write: may the peer send more, does output move, is everything over? */
static void after_flush(struct flo_h2_conn *conn)
{
    bool pause = conn->opt.server && conn->write_blocked && conn->queued > FLO_H2_QUEUE_SOFT;
    if (pause != conn->read_paused) {
        if (pause)
            event_del(&conn->ev_read);
        else
            event_add(&conn->ev_read, NULL);
        conn->read_paused = pause;
        read_rest_later(conn);
    }
    conn->starved = conn->queued > 0;
    if (conn->queued == 0 && conn->out.len == 0) {
        conn->stalled_since_ns = 0;
    } else if (conn->stalled_since_ns == 0 && conn->opt.stall_timeout_ms > 0) {
        conn->stalled_since_ns = flo_clock_mono_ns();
        flo_h2_conn_arm(conn);
    }
    if (conn->write_blocked)
        return;
    if (!nghttp2_session_want_read(conn->session) && !nghttp2_session_want_write(conn->session)) {
        if (!conn->reason[0])
            snprintf(conn->reason, sizeof conn->reason, "the connection was ended with GOAWAY");
        conn_linger(conn);
    } else if (conn->draining && flo_list_empty(&conn->streams) &&
               (!conn->opt.server || conn->final_goaway)) {
        if (!conn->reason[0])
            snprintf(conn->reason, sizeof conn->reason, "drained");
        conn_linger(conn);
    }
}

static void conn_flush(struct flo_h2_conn *conn)
{
    if (flo_h2_conn_over(conn) || conn->state != FLO_H2_OPEN)
        return;
    flo_h2_ping_ride(conn);
    int rc;
    do
        rc = write_round(conn);
    while (rc == 1 && !conn->fatal);
    if (conn->doomed)
        return;
    if (rc == -1) {
        flo_h2_conn_down(conn, conn->reason[0] ? NULL : "the output could not be framed");
        return;
    }
    bool blocked = rc == FLO_H2_AGAIN;
    if (blocked)
        event_add(&conn->ev_write, NULL);
    conn->write_blocked = blocked;
}

static void flush_and_check(struct flo_h2_conn *conn)
{
    conn_flush(conn);
    if (flo_h2_conn_over(conn))
        return;
    if (conn->fatal) {
        const char *reason = conn->fatal;
        conn->fatal = NULL;
        flo_h2_conn_terminate(conn, NGHTTP2_ENHANCE_YOUR_CALM, reason, reason);
        return;
    }
    if (conn->state == FLO_H2_OPEN)
        after_flush(conn);
    if (!flo_h2_conn_over(conn) && conn->state == FLO_H2_OPEN && conn->handler->on_room &&
        conn->queued <= FLO_H2_QUEUE_SOFT)
        conn->handler->on_room(conn->ctx, conn);
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct flo_h2_conn *conn = arg;
    flo_h2_conn_enter(conn);
    conn->flush_scheduled = false;
    flush_and_check(conn);
    flo_h2_conn_leave(conn);
}

/* ---- reading ---- */

static void tls_refused(struct flo_h2_conn *conn)
{
    if (conn->opt.server && conn->handler->on_reject)
        conn->handler->on_reject(conn->ctx, "tls.reject");
    flo_h2_conn_down(conn, NULL);
}

/* Go on with the TLS handshake; true when it is done and the session has begun. */
static bool handshake(struct flo_h2_conn *conn)
{
    bool want_write = false;
    int rc = flo_h2_io_handshake(conn, &want_write);
    if (rc == FLO_H2_AGAIN) {
        if (want_write)
            event_add(&conn->ev_write, NULL);
        return false;
    }
    if (rc < 0) {
        tls_refused(conn);
        return false;
    }
    conn->state = FLO_H2_OPEN;
    if (flo_h2_session_start(conn)) {
        flo_h2_conn_down(conn, "no memory for an HTTP/2 session");
        return false;
    }
    return true;
}

static void feed(struct flo_h2_conn *conn, const uint8_t *data, size_t len)
{
    const char *flood = flo_h2_guard_feed(&conn->guard, data, len, conn->last_recv_ns);
    if (flood) {
        bool pings = strcmp(flood, "h2.ping_flood") == 0;
        flo_h2_conn_terminate(conn, NGHTTP2_ENHANCE_YOUR_CALM, flood,
                              pings ? "too_many_pings" : flood);
        return;
    }
    conn->in_session = true;
    ssize_t n = nghttp2_session_mem_recv(conn->session, data, len);
    conn->in_session = false;
    if (flo_h2_conn_over(conn))
        return;
    if (n == NGHTTP2_ERR_BAD_CLIENT_MAGIC) {
        if (conn->handler->on_reject)
            conn->handler->on_reject(conn->ctx, "h2.bad_preface");
        flo_h2_conn_down(conn, "the peer does not speak HTTP/2");
    } else if (n == NGHTTP2_ERR_FLOODED) {
        flo_h2_conn_terminate(conn, NGHTTP2_ENHANCE_YOUR_CALM, "h2.ack_flood", "h2.ack_flood");
    } else if (n < 0) {
        flo_h2_conn_terminate(conn, NGHTTP2_INTERNAL_ERROR, "h2.session_error",
                              nghttp2_strerror((int)n));
    } else if (nghttp2_session_want_write(conn->session) ||
               !nghttp2_session_want_read(conn->session)) {
        flo_h2_conn_schedule(conn);
    }
}

static void read_input(struct flo_h2_conn *conn)
{
    uint8_t data[IO_CHUNK];
    for (int i = 0; i < READS_A_TURN && !flo_h2_conn_over(conn) && !conn->read_paused; i++) {
        ssize_t n = flo_h2_io_read(conn, data, sizeof data);
        if (n == FLO_H2_AGAIN)
            return;
        if (n <= 0) {
            if (n == 0 && conn->state != FLO_H2_LINGER)
                snprintf(conn->reason, sizeof conn->reason, "the peer closed the connection");
            flo_h2_conn_down(conn, NULL);
            return;
        }
        conn->last_recv_ns = flo_clock_mono_ns();
        conn->ping_sent_ns = 0;
        if (conn->state == FLO_H2_OPEN)
            feed(conn, data, (size_t)n);
        if (flo_h2_conn_over(conn))
            return;
        if (conn->ssl ? !flo_h2_io_pending(conn) : (size_t)n < sizeof data)
            return; /* it was all: the socket announces what comes */
    }
    read_rest_later(conn);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    struct flo_h2_conn *conn = arg;
    flo_h2_conn_enter(conn);
    bool shaking = conn->state == FLO_H2_TLS;
    if (!shaking || handshake(conn)) {
        if (shaking || (what & EV_READ)) /* the peer's first bytes may have come with its last */
            read_input(conn);
        if (!flo_h2_conn_over(conn) && (what & EV_WRITE))
            flush_and_check(conn);
    }
    flo_h2_conn_leave(conn);
}

/* ---- for the owner ---- */

int flo_h2_conn_new(struct event_base *base, int fd, const struct flo_h2_options *options,
                    const struct flo_h2_handler *handler, void *ctx, struct flo_h2_conn **out_conn,
                    struct flo_err *err)
{
    int rc = 0;
    struct flo_h2_conn *conn = flo_calloc(1, sizeof *conn);
    if (!conn) {
        evutil_closesocket(fd);
        return flo_fail(err, FLO_ENOMEM, "no memory for a connection");
    }
    int64_t now = flo_clock_mono_ns();
    conn->base = base;
    conn->fd = fd;
    conn->opt = *options;
    conn->handler = handler;
    conn->ctx = ctx;
    conn->state = options->tls ? FLO_H2_TLS : FLO_H2_OPEN;
    conn->armed_ns = INT64_MAX;
    conn->started_ns = conn->last_recv_ns = conn->idle_since_ns = now;
    flo_buf_init(&conn->head, 0);
    flo_buf_init(&conn->out, 0);
    flo_list_init(&conn->streams);
    flo_h2_guard_init(&conn->guard, options->server, now);
    event_assign(&conn->ev_read, base, fd, EV_READ | EV_PERSIST, on_io, conn);
    event_assign(&conn->ev_write, base, fd, EV_WRITE, on_io, conn);
    event_assign(&conn->ev_flush, base, -1, 0, on_flush, conn);
    event_assign(&conn->ev_timer, base, -1, 0, flo_h2_conn_on_timer, conn);
    if (options->tls)
        rc = flo_h2_io_start_tls(conn, err);
    else if (flo_h2_session_start(conn))
        rc = flo_fail(err, FLO_ENOMEM, "no memory for an HTTP/2 session");
    conn->opt.server_name = NULL; /* borrowed only here */
    if (rc)
        goto out;
    if (event_add(&conn->ev_read, NULL)) {
        rc = flo_fail(err, FLO_ESYS, "the event loop takes no more sockets");
        goto out;
    }
    if (options->tls && !options->server)
        event_active(&conn->ev_write, EV_WRITE, 1); /* the client speaks first */
    flo_h2_conn_arm(conn);
    *out_conn = conn;
    conn = NULL;
out:
    flo_h2_conn_destroy(&conn);
    return rc;
}

void flo_h2_conn_drain(struct flo_h2_conn *conn)
{
    if (flo_h2_conn_over(conn) || conn->draining)
        return;
    conn->draining = true;
    if (!conn->opt.server || conn->state != FLO_H2_OPEN || !conn->ready) {
        conn->final_goaway = true;
        if (conn->state == FLO_H2_OPEN)
            flo_h2_conn_schedule(conn);
        return;
    }
    conn->drain_ns = flo_clock_mono_ns();
    if (nghttp2_submit_shutdown_notice(conn->session) ||
        nghttp2_submit_ping(conn->session, NGHTTP2_FLAG_NONE, NULL))
        conn->fatal = "out of memory";
    flo_h2_conn_schedule(conn);
    flo_h2_conn_arm(conn);
}

bool flo_h2_conn_usable(const struct flo_h2_conn *conn)
{
    return conn->state == FLO_H2_OPEN && !conn->draining && !conn->fatal &&
           nghttp2_session_check_request_allowed(conn->session);
}

size_t flo_h2_conn_queued(const struct flo_h2_conn *conn)
{
    return conn->queued;
}

int64_t flo_h2_conn_received_ns(const struct flo_h2_conn *conn)
{
    return conn->last_recv_ns;
}
