/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.c - one server address: connect, reconnect, replace the connection at GOAWAY, and put
 * calls on it.
 *
 * A user's callback may destroy the channel; our frames on the stack are counted (busy) and the
 * memory goes when the last one is left.
 */
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/net.h"
#include "grpc/client_internal.h"
#include "http2/listen.h"
#include "http2/tls.h"

enum {
    DEFAULT_PORT = 7233,
    BACKOFF_MIN_MS = 10, /* a server that has just been started is there in a moment */
    BACKOFF_MAX_MS = 10000,
    BACKOFF_JITTER_PERCENT = 20,
    CONNECT_TIMEOUT_MS = 20000,
    /* A connection that served shorter than this does not reset the backoff. */
    HEALTHY_MS = 500,
};

#define STREAM_WINDOW (4u << 20)
#define CONN_WINDOW (16u << 20)
#define MAX_HEADER_BYTES (64u << 10)

static void connect_now(struct flo_grpc_channel *channel);

static void channel_free(struct flo_grpc_channel *channel)
{
    event_del(&channel->retry);
    if (channel->tls)
        flo_h2_tls_free(&channel->tls);
    flo_free(channel->host);
    flo_free(channel->authority);
    flo_free(channel->peer_name);
    flo_free(channel->header_text);
    flo_free(channel);
}

void flo_grpc_channel_enter(struct flo_grpc_channel *channel)
{
    channel->busy++;
}

void flo_grpc_channel_leave(struct flo_grpc_channel *channel)
{
    if (--channel->busy == 0 && channel->doomed)
        channel_free(channel);
}

static void report(struct flo_grpc_channel *channel, bool connected, const char *reason)
{
    if (channel->connected == connected && connected)
        return;
    channel->connected = connected;
    if (channel->on_state)
        channel->on_state(channel->on_state_ctx, connected, reason);
}

/* ---- when there is no connection ---- */

/* Calls that do not wait for a connection end now. */
static void fail_impatient(struct flo_grpc_channel *channel)
{
    FLO_LIST_FOREACH(node, &channel->waiting)
    {
        struct flo_grpc_call *call = flo_container(node, struct flo_grpc_call, node);
        if (call->wait_for_ready || call->fail_code)
            continue;
        call->fail_code = FLO_GRPC_UNAVAILABLE;
        call->fail_text = channel->reason;
        event_active(&call->timer, EV_TIMEOUT, 1); /* done must not run inside this walk */
    }
}

static void back_off(struct flo_grpc_channel *channel)
{
    int64_t wait_us = channel->backoff_ms * 1000;
    int64_t spread = wait_us * BACKOFF_JITTER_PERCENT / 100;
    wait_us += (int64_t)flo_rng_below(&channel->rng, (uint64_t)(2 * spread + 1)) - spread;
    channel->backoff_ms = channel->backoff_ms * 16 / 10;
    if (channel->backoff_ms > BACKOFF_MAX_MS)
        channel->backoff_ms = BACKOFF_MAX_MS;
    struct timeval tv = {.tv_sec = wait_us / 1000000, .tv_usec = wait_us % 1000000};
    channel->state = FLO_GRPC_CHANNEL_BACKOFF;
    event_add(&channel->retry, &tv);
}

static void connect_failed(struct flo_grpc_channel *channel, const char *reason)
{
    snprintf(channel->reason, sizeof channel->reason, "no connection: %s", reason);
    channel->failed = true;
    back_off(channel);
    fail_impatient(channel);
    report(channel, false, channel->reason);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct flo_grpc_channel *channel = arg;
    flo_grpc_channel_enter(channel);
    connect_now(channel);
    flo_grpc_channel_leave(channel);
}

/* ---- a connection ---- */

static bool was_healthy(const struct flo_grpc_link *link)
{
    return link->ready && flo_clock_mono_ns() - link->ready_ns >= HEALTHY_MS * FLO_NS_PER_MS;
}

static void on_ready(void *ctx, struct flo_h2_conn *h2)
{
    (void)h2;
    struct flo_grpc_link *link = ctx;
    struct flo_grpc_channel *channel = link->channel;
    link->ready = true;
    link->ready_ns = flo_clock_mono_ns();
    if (link != channel->current || channel->state == FLO_GRPC_CHANNEL_CLOSED)
        return;
    flo_grpc_channel_enter(channel);
    channel->state = FLO_GRPC_CHANNEL_READY;
    channel->failed = false;
    channel->reason[0] = '\0';
    flo_grpc_channel_pump(channel);
    report(channel, true, "connected");
    flo_grpc_channel_leave(channel);
}

/* The current connection takes no more calls: get another one, let this one finish. */
static void replace_current(struct flo_grpc_channel *channel)
{
    bool healthy = was_healthy(channel->current);
    channel->current = NULL;
    if (!healthy) { /* a server that says GOAWAY at once must not make us spin */
        back_off(channel);
        return;
    }
    channel->backoff_ms = BACKOFF_MIN_MS;
    connect_now(channel);
}

static void on_goaway(void *ctx, struct flo_h2_conn *h2, uint32_t error_code)
{
    (void)h2;
    (void)error_code;
    struct flo_grpc_link *link = ctx;
    struct flo_grpc_channel *channel = link->channel;
    if (link != channel->current || channel->state == FLO_GRPC_CHANNEL_CLOSED)
        return;
    flo_grpc_channel_enter(channel);
    replace_current(channel);
    flo_grpc_channel_leave(channel);
}

static void on_down(void *ctx, struct flo_h2_conn *h2, const char *reason)
{
    (void)h2;
    struct flo_grpc_link *link = ctx;
    struct flo_grpc_channel *channel = link->channel;
    bool current = channel->current == link;
    bool ready = link->ready;
    if (current && was_healthy(link))
        channel->backoff_ms = BACKOFF_MIN_MS;
    flo_grpc_channel_enter(channel);
    char text[160];
    snprintf(text, sizeof text, "%s", reason);
    flo_list_remove(&channel->links, &link->node);
    flo_h2_conn_destroy(&link->h2);
    flo_free(link);
    if (current && channel->state != FLO_GRPC_CHANNEL_CLOSED) {
        channel->current = NULL;
        if (!ready) {
            connect_failed(channel, text);
        } else {
            back_off(channel);
            report(channel, false, text);
        }
    }
    flo_grpc_channel_leave(channel);
}

static const struct flo_h2_handler handler = {
    .on_header = flo_grpc_call_on_header,
    .on_headers = flo_grpc_call_on_headers,
    .on_data = flo_grpc_call_on_data,
    .on_end = flo_grpc_call_on_end,
    .on_close = flo_grpc_call_on_close,
    .on_ready = on_ready,
    .on_goaway = on_goaway,
    .on_down = on_down,
};

static int link_new(struct flo_grpc_channel *channel, int fd, struct flo_err *err)
{
    struct flo_grpc_link *link = flo_calloc(1, sizeof *link);
    if (!link) {
        evutil_closesocket(fd);
        return flo_fail(err, FLO_ENOMEM, "no memory for a connection");
    }
    struct flo_h2_options options = {
        .tls = channel->tls,
        .server_name = channel->peer_name,
        .insecure_skip_verify = channel->skip_verify,
        .stream_window = STREAM_WINDOW,
        .conn_window = CONN_WINDOW,
        .max_header_bytes = MAX_HEADER_BYTES,
        .handshake_timeout_ms = CONNECT_TIMEOUT_MS,
        .keepalive_ms = channel->keepalive_ms,
        .keepalive_timeout_ms = channel->keepalive_timeout_ms,
    };
    link->channel = channel;
    link->serial = ++channel->serial;
    int rc = flo_h2_conn_new(channel->base, fd, &options, &handler, link, &link->h2, err);
    if (rc) {
        flo_free(link);
        return rc;
    }
    flo_list_push_back(&channel->links, &link->node);
    channel->current = link;
    return 0;
}

static void on_dialed(void *ctx, int fd, const char *reason)
{
    struct flo_grpc_channel *channel = ctx;
    struct flo_err err = {0};
    channel->dial = NULL;
    flo_grpc_channel_enter(channel);
    if (fd < 0)
        connect_failed(channel, reason);
    else if (link_new(channel, fd, &err))
        connect_failed(channel, err.message);
    flo_grpc_channel_leave(channel);
}

static void connect_now(struct flo_grpc_channel *channel)
{
    channel->state = FLO_GRPC_CHANNEL_CONNECTING;
    if (flo_h2_dial(channel->base, channel->host, channel->port, CONNECT_TIMEOUT_MS, on_dialed,
                    channel, &channel->dial))
        connect_failed(channel, "out of memory");
}

void flo_grpc_channel_pump(struct flo_grpc_channel *channel)
{
    struct flo_node *node;
    if (channel->state != FLO_GRPC_CHANNEL_READY)
        return;
    if (!flo_h2_conn_usable(channel->current->h2)) {
        /* Out of stream ids (after a billion calls), or it ends: on_down or we replace it. */
        flo_h2_conn_drain(channel->current->h2);
        replace_current(channel);
        return;
    }
    FLO_LIST_FOREACH_SAFE(at, &channel->waiting)
    {
        node = at;
        struct flo_grpc_call *call = flo_container(node, struct flo_grpc_call, node);
        if (call->fail_code)
            continue;
        int rc = flo_grpc_call_submit(call, channel->current);
        if (rc == 0)
            continue;
        if (rc == FLO_ECLOSED)
            return;
        call->fail_code = FLO_GRPC_RESOURCE_EXHAUSTED;
        call->fail_text = "out of memory for a call";
        event_active(&call->timer, EV_TIMEOUT, 1);
    }
}

/* ---- for the owner ---- */

static int set_headers(struct flo_grpc_channel *channel,
                       const struct flo_grpc_channel_options *options, struct flo_err *err)
{
    if (options->header_count > FLO_GRPC_HEADERS_MAX)
        return flo_fail(err, FLO_EINVAL, "more than %d headers", FLO_GRPC_HEADERS_MAX);
    size_t size = flo_grpc_headers_size(options->headers, options->header_count);
    channel->header_text = flo_malloc(size + 1);
    if (!channel->header_text)
        return flo_fail(err, FLO_ENOMEM, "no memory for headers");
    nghttp2_nv *nv = channel->headers;
    bool tls = options->tls.enabled;
    *nv++ = flo_grpc_nv(":method", "POST", 4, FLO_GRPC_NO_COPY);
    *nv++ = flo_grpc_nv(":scheme", tls ? "https" : "http", tls ? 5 : 4, FLO_GRPC_NO_COPY);
    *nv++ =
        flo_grpc_nv(":authority", channel->authority, strlen(channel->authority), FLO_GRPC_NO_COPY);
    *nv++ = flo_grpc_nv("te", "trailers", 8, FLO_GRPC_NO_COPY);
    *nv++ = flo_grpc_nv("content-type", "application/grpc", 16, FLO_GRPC_NO_COPY);
    *nv++ = flo_grpc_nv("user-agent", "grpc-c-flotilla/0.1", 19, FLO_GRPC_NO_COPY);
    *nv++ = flo_grpc_nv("grpc-accept-encoding", "identity,gzip", 13, FLO_GRPC_NO_COPY);
    flo_grpc_headers_write(options->headers, options->header_count,
                           (unsigned char *)channel->header_text, nv);
    channel->header_count = FLO_GRPC_FIXED_HEADERS + options->header_count;
    return 0;
}

/* Where to connect, and what to call the peer. */
static int set_names(struct flo_grpc_channel *channel,
                     const struct flo_grpc_channel_options *options, struct flo_err *err)
{
    char host[FLO_NET_HOST_MAX];
    int rc = flo_net_split(options->address, DEFAULT_PORT, host, &channel->port, err);
    if (rc)
        return rc;
    if (channel->port == 0)
        return flo_fail(err, FLO_EINVAL, "address \"%s\": no port to connect to", options->address);
    const char *name = options->tls.server_name ? options->tls.server_name : host;
    channel->host = flo_strdup(host);
    channel->peer_name = flo_strdup(name);
    channel->authority = options->tls.server_name
                             ? flo_strdup(options->tls.server_name)
                             : flo_asprintf(strchr(host, ':') ? "[%s]:%u" : "%s:%u",
                                            host[0] ? host : "localhost", channel->port);
    if (!channel->host || !channel->peer_name || !channel->authority)
        return flo_fail(err, FLO_ENOMEM, "no memory for a channel");
    return 0;
}

int flo_grpc_channel_new(struct event_base *base, const struct flo_grpc_channel_options *options,
                         struct flo_grpc_channel **out_channel, struct flo_err *err)
{
    struct flo_grpc_channel *channel = flo_calloc(1, sizeof *channel);
    if (!channel)
        return flo_fail(err, FLO_ENOMEM, "no memory for a channel");
    channel->base = base;
    channel->skip_verify = options->tls.insecure_skip_verify;
    channel->keepalive_ms = options->keepalive_ms > 0 ? options->keepalive_ms : 30000;
    channel->keepalive_timeout_ms =
        options->keepalive_timeout_ms > 0 ? options->keepalive_timeout_ms : 15000;
    channel->max_receive_bytes =
        options->max_receive_bytes ? options->max_receive_bytes : (size_t)128 << 20;
    channel->on_state = options->on_state;
    channel->on_state_ctx = options->on_state_ctx;
    channel->backoff_ms = BACKOFF_MIN_MS;
    flo_list_init(&channel->links);
    flo_list_init(&channel->waiting);
    flo_list_init(&channel->active);
    flo_rng_seed(&channel->rng, flo_random_u64());
    event_assign(&channel->retry, base, -1, 0, on_retry, channel);
    int rc = set_names(channel, options, err);
    if (!rc)
        rc = set_headers(channel, options, err);
    if (!rc && options->tls.enabled) {
        struct flo_h2_tls_files files = {.ca_file = options->tls.ca_file,
                                         .cert_file = options->tls.cert_file,
                                         .key_file = options->tls.key_file};
        rc = flo_h2_tls_client(&files, channel->skip_verify, &channel->tls, err);
    }
    if (rc) {
        channel_free(channel);
        return rc;
    }
    connect_now(channel);
    *out_channel = channel;
    return 0;
}

/* End every call of a list with CANCELLED. */
static void cancel_all(struct flo_list *calls)
{
    struct flo_node *node;
    while ((node = flo_list_first(calls)))
        flo_grpc_call_fail(flo_container(node, struct flo_grpc_call, node), FLO_GRPC_CANCELLED,
                           "the channel is closed");
}

void flo_grpc_channel_destroy(struct flo_grpc_channel **channel)
{
    struct flo_grpc_channel *self = *channel;
    *channel = NULL;
    if (!self || self->state == FLO_GRPC_CHANNEL_CLOSED)
        return;
    flo_grpc_channel_enter(self);
    self->state = FLO_GRPC_CHANNEL_CLOSED;
    self->doomed = true;
    event_del(&self->retry);
    flo_h2_dial_cancel(&self->dial);
    cancel_all(&self->active);
    cancel_all(&self->waiting);
    struct flo_node *node;
    while ((node = flo_list_first(&self->links)))
        flo_h2_conn_close(flo_container(node, struct flo_grpc_link, node)->h2,
                          "the channel is closed");
    flo_grpc_channel_leave(self);
}

bool flo_grpc_channel_connected(const struct flo_grpc_channel *channel)
{
    return channel->connected;
}

size_t flo_grpc_channel_calls(const struct flo_grpc_channel *channel)
{
    return channel->active.count + channel->waiting.count;
}
