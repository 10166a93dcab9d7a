/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - gRPC client half: one channel is one server address with one HTTP/2 connection, on
 * one event loop. Unary calls; a long poll is just a call with a long deadline, i.e. one HTTP/2
 * stream and a small struct, never a thread.
 *
 * The channel connects on its own and reconnects with exponential backoff and jitter (10 ms x 1.6
 * up to 10 s, +-20 %). Calls made while it is not connected wait for it until their deadline when
 * wait_for_ready, else they fail at once with UNAVAILABLE while the last attempt has failed.
 * GOAWAY: new calls go to a new connection, old streams finish on the old one; a call that the
 * peer says it never processed (REFUSED_STREAM, above last_stream_id) is sent again, once per
 * connection, without the caller noticing. Keepalive: PING every keepalive_ms, also when idle; no
 * ack within keepalive_timeout_ms = connection lost.
 *
 * One thread: the loop's. Callbacks run from the loop, never from inside flo_grpc_call_start.
 */
#ifndef FLO_GRPC_CLIENT_H
#define FLO_GRPC_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"
#include "grpc/status.h"

struct event_base;
struct flo_grpc_channel; /* opaque: channel.c */
struct flo_grpc_call;    /* opaque: call.c */

struct flo_grpc_header {
    const char *name;  /* lower case; *-bin values are given raw and base64-coded on the wire */
    const char *value; /* for -bin: value_len bytes */
    size_t value_len;
};

struct flo_grpc_tls { /* all paths may be NULL */
    bool enabled;
    const char *ca_file;     /* PEM; NULL = the system's */
    const char *cert_file;   /* client certificate chain (mTLS) */
    const char *key_file;    /* its key */
    const char *server_name; /* SNI, name check and :authority; NULL = host of the address */
    bool insecure_skip_verify;
};

struct flo_grpc_channel_options {
    const char *address;                   /* "host:port", "[v6]:port"; a missing port means 7233 */
    struct flo_grpc_tls tls;               /* strings are copied */
    const struct flo_grpc_header *headers; /* sent with every call; copied */
    size_t header_count;
    int64_t keepalive_ms;         /* default 30,000 */
    int64_t keepalive_timeout_ms; /* default 15,000 */
    size_t max_receive_bytes;     /* one message; default 128 MiB */
    /* Connection state for /ready and the log: connected, or not with the reason. May be NULL. */
    void (*on_state)(void *ctx, bool connected, const char *reason);
    void *on_state_ctx;
};

/* Make a channel and start connecting. FLO_EINVAL (address, TLS files), FLO_ENOMEM. */
FLO_MUST_CHECK int flo_grpc_channel_new(struct event_base *base,
                                        const struct flo_grpc_channel_options *options,
                                        struct flo_grpc_channel **out_channel, struct flo_err *err);
/* End every open call with CANCELLED, close, free, clear. NULL is fine. */
void flo_grpc_channel_destroy(struct flo_grpc_channel **channel);
bool flo_grpc_channel_connected(const struct flo_grpc_channel *channel);
/* Calls open now. */
size_t flo_grpc_channel_calls(const struct flo_grpc_channel *channel);

/*
 * The call has ended: status, and with OK the one response message (borrowed during the
 * callback; body may be NULL when len is 0). Called exactly once unless cancelled by the caller.
 */
typedef void (*flo_grpc_done_fn)(void *ctx, const struct flo_grpc_status *status,
                                 const uint8_t *body, size_t len);

struct flo_grpc_call_options {
    const char *path;    /* "/package.Service/Method" */
    const uint8_t *body; /* one message, copied */
    size_t body_len;
    int64_t timeout_ms;                    /* sent as grpc-timeout and enforced here; must be > 0 */
    bool odd_timeout;                      /* no other call will have it: not worth remembering */
    bool wait_for_ready;                   /* wait for a connection until the deadline */
    const struct flo_grpc_header *headers; /* beside the channel's; copied */
    size_t header_count;
    flo_grpc_done_fn done;
    void *ctx;
};

/*
 * Start a call. *out_call (may be NULL) stays valid until done ran or it was cancelled.
 * FLO_ENOMEM, FLO_ECLOSED (channel being destroyed), FLO_EINVAL.
 */
FLO_MUST_CHECK int flo_grpc_call_start(struct flo_grpc_channel *channel,
                                       const struct flo_grpc_call_options *options,
                                       struct flo_grpc_call **out_call);
/* Give the call up: RST_STREAM(CANCEL); done is not called. Clears the pointer. NULL is fine. */
void flo_grpc_call_cancel(struct flo_grpc_call **call);
/* How long the peer has had the call on the current connection; 0 while it waits for one, or ends
 * on a connection that drains. */
int64_t flo_grpc_call_age_ns(const struct flo_grpc_call *call);

#endif
