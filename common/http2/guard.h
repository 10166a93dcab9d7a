/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.h - what one peer may do for nothing: a token bucket over frames that carry no work, and
 * the PING policy. Pure: bytes and the time go in, a verdict comes out.
 *
 * nghttp2 1.52 bounds rapid reset and CONTINUATION but answers SETTINGS, PING, PRIORITY, empty
 * DATA and unknown frames for ever. So every received byte passes a small frame walker first,
 * which sees each 9-byte frame header (RFC 9113, 4.1) and charges frames without use. Streams that
 * we had to reset are charged too ("MadeYouReset").
 */
#ifndef FLO_HTTP2_GUARD_H
#define FLO_HTTP2_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flo_h2_guard {
    int64_t tokens;        /* thousandths of a free frame that are left */
    int64_t refilled_ns;   /* when tokens were last refilled */
    int64_t last_ping_ns;  /* when the last PING arrived */
    uint32_t payload_left; /* bytes of the current frame that are still to come */
    uint32_t preface_left; /* bytes of the client preface that are still to come */
    unsigned ping_strikes;
    unsigned ping_credit; /* HEADERS and DATA that we sent and no PING has answered yet; bounded */
    unsigned head_len;    /* bytes of the next frame header that are in head */
    uint8_t head[9];
    bool ping_policy; /* count PINGs that come too often (server) */
};

/* A guard for a fresh connection; server: skip the preface, apply the PING policy. */
void flo_h2_guard_init(struct flo_h2_guard *guard, bool server, int64_t now_ns);
/*
 * Look at the received bytes. NULL when all is well, else the reason as a stable static name
 * ("h2.ping_flood"): the caller ends the connection with ENHANCE_YOUR_CALM.
 */
const char *flo_h2_guard_feed(struct flo_h2_guard *guard, const uint8_t *data, size_t len,
                              int64_t now_ns);
/* Charge for a stream that we had to reset. False when the bucket is empty. */
bool flo_h2_guard_charge_reset(struct flo_h2_guard *guard, uint32_t error_code, int64_t now_ns);
/*
 * We sent a frame of HEADERS or DATA: one PING that probes the bandwidth is legitimate for each
 * (grpc-go sends one when it reads DATA, and the next when that is answered and more DATA is
 * there, so that a large answer sent at once brings several in a row).
 */
void flo_h2_guard_sent(struct flo_h2_guard *guard);

#endif
