/* SPDX-License-Identifier: Apache-2.0 */
/* guard.c - frame walker, token bucket and PING strikes. */
#include "http2/guard.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

#include "base/clock.h"

enum {
    TOKEN = 1000,               /* one free frame */
    BURST = 800 * TOKEN,        /* at once */
    RATE_PER_MS = 100,          /* 100 frames a second afterwards */
    PING_STRIKES_TOLERATED = 2, /* as grpc-go's servers do */
    PING_CREDIT_MAX = 256,      /* of unanswered output: 4 MiB of DATA in frames of 16 KiB */
};

/* Temporal's frontend.keepAliveMinTime. */
#define PING_MIN_INTERVAL_NS (10 * FLO_NS_PER_S)

void flo_h2_guard_init(struct flo_h2_guard *guard, bool server, int64_t now_ns)
{
    *guard = (struct flo_h2_guard){
        .tokens = BURST,
        .refilled_ns = now_ns,
        .preface_left = server ? NGHTTP2_CLIENT_MAGIC_LEN : 0,
        .ping_policy = server,
        .ping_credit = 1,
    };
}

static bool charge(struct flo_h2_guard *guard, int64_t cost, int64_t now_ns)
{
    int64_t elapsed_ms = (now_ns - guard->refilled_ns) / FLO_NS_PER_MS;
    if (elapsed_ms > 0) {
        if (elapsed_ms > BURST / RATE_PER_MS)
            elapsed_ms = BURST / RATE_PER_MS;
        guard->tokens += elapsed_ms * RATE_PER_MS;
        if (guard->tokens > BURST)
            guard->tokens = BURST;
        guard->refilled_ns = now_ns;
    }
    guard->tokens -= cost;
    return guard->tokens >= 0;
}

/* A PING for which we sent something; it costs nothing, however many there are a second. */
static bool ping_paid(struct flo_h2_guard *guard)
{
    if (!guard->ping_credit)
        return false;
    guard->ping_credit--;
    guard->ping_strikes = 0;
    return true;
}

/* A PING out of the blue, since_ns after the last one. */
static bool ping_tolerated(struct flo_h2_guard *guard, int64_t since_ns)
{
    if (!guard->ping_policy || since_ns >= PING_MIN_INTERVAL_NS)
        return true;
    return ++guard->ping_strikes <= PING_STRIKES_TOLERATED;
}

/* One whole frame header is in guard->head. */
static const char *on_frame(struct flo_h2_guard *guard, int64_t now_ns)
{
    const uint8_t *head = guard->head;
    uint32_t length = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
    uint8_t flags = head[4];
    const char *flood = NULL; /* the name of the flood that this frame could be part of */
    int64_t since_ns;         /* from the PING before to this one */
    guard->payload_left = length;
    switch (head[3]) {
    case NGHTTP2_DATA:
        if (length == 0 && !(flags & NGHTTP2_FLAG_END_STREAM))
            flood = "h2.empty_data_flood";
        break;
    case NGHTTP2_HEADERS:
    case NGHTTP2_WINDOW_UPDATE:
    case NGHTTP2_GOAWAY:
        break;
    case NGHTTP2_CONTINUATION:
        flood = "h2.continuation_flood";
        break;
    case NGHTTP2_PRIORITY:
        flood = "h2.priority_flood";
        break;
    case NGHTTP2_RST_STREAM:
        flood = "h2.reset_flood";
        break;
    case NGHTTP2_SETTINGS:
        flood = "h2.settings_flood";
        break;
    case NGHTTP2_PING:
        if (flags & NGHTTP2_FLAG_ACK) {
            flood = "h2.ping_ack_flood";
            break;
        }
        since_ns = now_ns - guard->last_ping_ns;
        guard->last_ping_ns = now_ns;
        if (ping_paid(guard))
            break;
        if (!ping_tolerated(guard, since_ns))
            return "h2.ping_flood";
        flood = "h2.ping_flood";
        break;
    default:
        flood = "h2.unknown_frame_flood";
        break;
    }
    return flood && !charge(guard, TOKEN, now_ns) ? flood : NULL;
}

const char *flo_h2_guard_feed(struct flo_h2_guard *guard, const uint8_t *data, size_t len,
                              int64_t now_ns)
{
    size_t skip = len < guard->preface_left ? len : guard->preface_left;
    guard->preface_left -= (uint32_t)skip;
    data += skip;
    len -= skip;
    while (len > 0) {
        if (guard->payload_left > 0) {
            skip = len < guard->payload_left ? len : guard->payload_left;
            guard->payload_left -= (uint32_t)skip;
        } else {
            size_t want = sizeof guard->head - guard->head_len;
            skip = len < want ? len : want;
            memcpy(guard->head + guard->head_len, data, skip);
            guard->head_len += (unsigned)skip;
            if (guard->head_len == sizeof guard->head) {
                guard->head_len = 0;
                const char *reason = on_frame(guard, now_ns);
                if (reason)
                    return reason;
            }
        }
        data += skip;
        len -= skip;
    }
    return NULL;
}

bool flo_h2_guard_charge_reset(struct flo_h2_guard *guard, uint32_t error_code, int64_t now_ns)
{
    /* These three are our own choice and cost the peer a whole request each. */
    bool cheap = error_code == NGHTTP2_NO_ERROR || error_code == NGHTTP2_CANCEL ||
                 error_code == NGHTTP2_REFUSED_STREAM;
    return charge(guard, cheap ? TOKEN / 10 : TOKEN, now_ns);
}

void flo_h2_guard_sent(struct flo_h2_guard *guard)
{
    if (guard->ping_credit < PING_CREDIT_MAX)
        guard->ping_credit++;
}
