/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ping.c - when a PING is answered: with a write that leaves anyway.
 *
 * gRPC's libraries send a PING whenever they read DATA and none is under way, to measure the
 * bandwidth (and a window is what they would enlarge by it). Answered at once, each call costs both
 * sides one more packet and one more wake-up, and the next call brings the next PING. So an answer
 * is held for FLO_H2_PING_HOLD_NS, which also bounds how many PINGs such a peer sends a second,
 * then goes along with the next write, and leaves on its own after FLO_H2_PING_LATEST_NS: long
 * before any keepalive loses patience, which takes seconds. RFC 9113 (6.7) would have answers go
 * first, for the round-trip time's sake; nobody whom we know uses that for more than the size of
 * windows.
 *
 * Held are few: a PING too many lets all go. nghttp2 refuses answers when more than
 * MAX_OUTBOUND_ACK (session.c) wait to be framed: a flood. While bodies wait for the peer's
 * windows, or the connection is being ended (a server's GOAWAY is followed by a PING, whose answer
 * it waits for), nothing is held.
 */
#include <string.h>

#include "base/clock.h"
#include "http2/conn_internal.h"

/* Hand what is held to nghttp2, which bounds the answers that wait for the socket. */
static void let_go(struct flo_h2_conn *conn)
{
    struct flo_h2_pings *pings = &conn->pings;
    for (unsigned i = 0; i < pings->held; i++) {
        int rc = nghttp2_submit_ping(conn->session, NGHTTP2_FLAG_ACK, pings->opaque[i]);
        if (rc && !conn->fatal)
            conn->fatal = rc == NGHTTP2_ERR_FLOODED ? "h2.ack_flood" : "out of memory";
    }
    pings->held = 0;
}

void flo_h2_ping_received(struct flo_h2_conn *conn, const uint8_t opaque[FLO_H2_PING_BYTES])
{
    struct flo_h2_pings *pings = &conn->pings;
    if (pings->held == 0)
        pings->since_ns = conn->last_recv_ns;
    memcpy(pings->opaque[pings->held++], opaque, FLO_H2_PING_BYTES);
    if (pings->held == FLO_H2_PINGS_HELD || conn->starved || conn->draining)
        flo_h2_ping_alone(conn);
    else
        flo_h2_conn_arm(conn);
}

void flo_h2_ping_ride(struct flo_h2_conn *conn)
{
    const struct flo_h2_pings *pings = &conn->pings;
    if (pings->held > 0 &&
        (conn->draining || flo_clock_mono_ns() >= pings->since_ns + FLO_H2_PING_HOLD_NS))
        let_go(conn);
}

void flo_h2_ping_alone(struct flo_h2_conn *conn)
{
    let_go(conn);
    flo_h2_conn_schedule(conn);
}

int64_t flo_h2_ping_deadline_ns(const struct flo_h2_conn *conn)
{
    return conn->pings.held > 0 ? conn->pings.since_ns + FLO_H2_PING_LATEST_NS : INT64_MAX;
}
