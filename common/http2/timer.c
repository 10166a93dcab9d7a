/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.c - the clock of a connection: handshake, keepalive, answers to PING, idle, stalled output,
 * drain, linger.
 * One libevent timer for all of them: it is armed for the soonest deadline and, since reading must
 * not cost a timer call, finds out when it fires that the peer was heard meanwhile.
 */
#include "base/clock.h"
#include "http2/conn_internal.h"

enum {
    LINGER_MS = 1000,      /* for the peer to read our GOAWAY */
    DRAIN_GRACE_MS = 1000, /* between the two GOAWAYs of a drain, unless the PING comes back */
};

static int64_t after_ms(int64_t start_ns, int64_t ms)
{
    return start_ns + ms * FLO_NS_PER_MS;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t next_deadline(const struct flo_h2_conn *conn)
{
    const struct flo_h2_options *opt = &conn->opt;
    if (conn->state == FLO_H2_LINGER)
        return after_ms(conn->linger_ns, LINGER_MS);
    int64_t at = flo_h2_ping_deadline_ns(conn);
    if (!conn->ready && opt->handshake_timeout_ms > 0)
        at = sooner(at, after_ms(conn->started_ns, opt->handshake_timeout_ms));
    if (conn->ready && opt->keepalive_ms > 0)
        at = sooner(at, conn->ping_sent_ns ? after_ms(conn->ping_sent_ns, opt->keepalive_timeout_ms)
                                           : after_ms(conn->last_recv_ns, opt->keepalive_ms));
    if (conn->ready && opt->idle_timeout_ms > 0 && flo_list_empty(&conn->streams))
        at = sooner(at, after_ms(conn->idle_since_ns, opt->idle_timeout_ms));
    if (conn->stalled_since_ns && opt->stall_timeout_ms > 0)
        at = sooner(at, after_ms(conn->stalled_since_ns, opt->stall_timeout_ms));
    if (conn->drain_ns && !conn->final_goaway)
        at = sooner(at, after_ms(conn->drain_ns, DRAIN_GRACE_MS));
    return at;
}

void flo_h2_conn_arm(struct flo_h2_conn *conn)
{
    int64_t at = next_deadline(conn);
    if (at >= conn->armed_ns || flo_h2_conn_over(conn))
        return;
    int64_t wait_ns = at - flo_clock_mono_ns();
    int64_t wait_us = wait_ns > 0 ? wait_ns / 1000 + 1 : 0;
    struct timeval tv = {.tv_sec = wait_us / 1000000, .tv_usec = wait_us % 1000000};
    if (event_add(&conn->ev_timer, &tv) == 0)
        conn->armed_ns = at;
}

static void send_ping(struct flo_h2_conn *conn, int64_t now_ns)
{
    conn->ping_sent_ns = now_ns;
    if (nghttp2_submit_ping(conn->session, NGHTTP2_FLAG_NONE, NULL))
        conn->fatal = "out of memory";
    flo_h2_conn_schedule(conn);
}

/* The second GOAWAY of a drain: it names the last stream that is served. */
static void send_final_goaway(struct flo_h2_conn *conn)
{
    conn->final_goaway = true;
    if (nghttp2_submit_goaway(conn->session, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(conn->session),
                              NGHTTP2_NO_ERROR, NULL, 0))
        conn->fatal = "out of memory";
    flo_h2_conn_schedule(conn);
}

/* What is due now. */
static void run_timers(struct flo_h2_conn *conn, int64_t now)
{
    const struct flo_h2_options *opt = &conn->opt;
    if (conn->state == FLO_H2_LINGER) {
        flo_h2_conn_down(conn, NULL);
        return;
    }
    if (!conn->ready && opt->handshake_timeout_ms > 0 &&
        now >= after_ms(conn->started_ns, opt->handshake_timeout_ms)) {
        if (opt->server && conn->handler->on_reject)
            conn->handler->on_reject(conn->ctx, "h2.handshake_timeout");
        flo_h2_conn_down(conn, "the HTTP/2 handshake took too long");
        return;
    }
    if (conn->ready && opt->idle_timeout_ms > 0 && flo_list_empty(&conn->streams) &&
        now >= after_ms(conn->idle_since_ns, opt->idle_timeout_ms)) {
        flo_h2_conn_close(conn, "idle for too long");
        return;
    }
    if (conn->stalled_since_ns && opt->stall_timeout_ms > 0 &&
        now >= after_ms(conn->stalled_since_ns, opt->stall_timeout_ms)) {
        if (opt->server && conn->handler->on_reject)
            conn->handler->on_reject(conn->ctx, "h2.output_stalled");
        flo_h2_conn_close(conn, "the peer does not read");
        return;
    }
    if (conn->drain_ns && !conn->final_goaway && now >= after_ms(conn->drain_ns, DRAIN_GRACE_MS))
        send_final_goaway(conn);
    if (now >= flo_h2_ping_deadline_ns(conn))
        flo_h2_ping_alone(conn);
    if (!conn->ready || opt->keepalive_ms <= 0)
        return;
    if (conn->ping_sent_ns && now >= after_ms(conn->ping_sent_ns, opt->keepalive_timeout_ms))
        flo_h2_conn_down(conn, "the peer does not answer PING");
    else if (!conn->ping_sent_ns && now >= after_ms(conn->last_recv_ns, opt->keepalive_ms))
        send_ping(conn, now);
}

void flo_h2_conn_on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct flo_h2_conn *conn = arg;
    flo_h2_conn_enter(conn);
    conn->armed_ns = INT64_MAX;
    run_timers(conn, flo_clock_mono_ns());
    if (!flo_h2_conn_over(conn))
        flo_h2_conn_arm(conn);
    flo_h2_conn_leave(conn);
}
