/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_stream.c - messages one by one: those that a handler sends, and those that it is given
 * when the requests of its call are a stream.
 *
 *   DATA ──► message ──whole──► on_message ──answer waits──► held ──answer taken──► next message
 *                                    └──nothing waits──► next message
 *
 * While a call is held, what arrives stays in `waiting` and is not given back to the stream's
 * window, so that a peer which does not read is stopped by it. What is given to a handler is
 * bounded by one message, what is kept by one window.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "grpc/codec.h"
#include "grpc/server_internal.h"

/* ---- answers ---- */

static size_t unsent(const struct flo_grpc_server_call *call)
{
    return call->stream.body_len - call->stream.body_off;
}

/* What the peer has not taken of a stream, and one more message, in one block. */
static uint8_t *stream_block(const struct flo_grpc_server_call *call, const uint8_t *body,
                             size_t len)
{
    size_t before = unsent(call);
    uint8_t *block = flo_malloc(before + FLO_GRPC_PREFIX + len);
    if (!block)
        return NULL;
    if (before > 0)
        memcpy(block, call->stream.body + call->stream.body_off, before);
    flo_grpc_message_prefix(block + before, len);
    if (len > 0)
        memcpy(block + before + FLO_GRPC_PREFIX, body, len);
    return block;
}

/* The first block of a stream, or none (then it ends with its headers' answer). */
static int begin(struct flo_grpc_server_call *call, const uint8_t *block, size_t len, bool more)
{
    call->stream.body = block;
    call->stream.body_len = len;
    call->stream.more = more;
    call->stream.trailers = &flo_grpc_ok_trailer;
    call->stream.trailer_count = 1;
    call->streaming = true;
    return flo_h2_respond(&call->stream, flo_grpc_ok_headers, 2);
}

int flo_grpc_stream(struct flo_grpc_server_call *call, const uint8_t *body, size_t len)
{
    size_t before = unsent(call);
    if (call->state != FLO_GRPC_CALL_OPEN)
        return FLO_ECLOSED;
    if ((before > 0 && before + len > FLO_GRPC_STREAM_MAX) || len > UINT32_MAX)
        return FLO_EFULL;
    int rc = FLO_ENOMEM;
    uint8_t *block = stream_block(call, body, len), *old = call->answer;
    if (block && call->streaming)
        rc = flo_h2_continue(&call->stream, block, before + FLO_GRPC_PREFIX + len, true);
    else if (block)
        rc = begin(call, block, FLO_GRPC_PREFIX + len, true);
    if (block) {
        call->answer = block;
        flo_free(old);
    }
    if (rc)
        flo_grpc_call_answered(call, rc);
    return rc;
}

void flo_grpc_stream_end(struct flo_grpc_server_call *call)
{
    struct flo_h2_stream *stream = &call->stream;
    if (call->state != FLO_GRPC_CALL_OPEN)
        return;
    int rc = call->streaming
                 ? flo_h2_continue(stream, stream->body + stream->body_off, unsent(call), false)
                 : begin(call, NULL, 0, false);
    flo_grpc_call_answered(call, rc);
}

void flo_grpc_stream_fail(struct flo_grpc_server_call *call, struct flo_grpc_call_end **end)
{
    struct flo_h2_stream *stream = &call->stream;
    call->end = *end;
    *end = NULL;
    stream->trailers = call->end->nv;
    stream->trailer_count = call->end->count;
    flo_grpc_call_answered(
        call, flo_h2_continue(stream, stream->body + stream->body_off, unsent(call), false));
}

/* ---- requests ---- */

static bool held(const struct flo_grpc_server_call *call)
{
    return flo_node_linked(&call->node);
}

static size_t waiting(const struct flo_grpc_server_call *call)
{
    return call->waiting.len - call->waiting_off;
}

/* Count what the call holds now. False: it is too much for the server, and the call was refused. */
static bool account(struct flo_grpc_server_call *call)
{
    struct flo_grpc_server *server = call->server;
    size_t bytes = call->message.data.len + waiting(call);
    server->buffered_bytes = server->buffered_bytes - call->buffered_bytes + bytes;
    call->buffered_bytes = bytes;
    if (server->buffered_bytes <= server->opt.max_buffered_bytes)
        return true;
    flo_grpc_call_refuse(call, FLO_GRPC_RESOURCE_EXHAUSTED, "too many requests are under way",
                         "grpc.buffered");
    return false;
}

/* Wait until the answers are taken: no message meanwhile. */
static void hold(struct flo_grpc_server_call *call)
{
    int64_t now = flo_clock_mono_ns();
    flo_list_push_back(&call->conn->held, &call->node);
    call->stream.hold = true;
    call->stall_off = call->stream.body_off;
    flo_grpc_call_expect(call, now + call->server->opt.stall_timeout_ms * FLO_NS_PER_MS, now);
}

/* Give the whole message to the handler. False: the call is gone, or no longer open. */
static bool deliver(struct flo_grpc_server_call *call)
{
    struct flo_grpc_server *server = call->server;
    struct flo_grpc_message_error error;
    const uint8_t *body;
    size_t len;
    bool gone = false;
    if (flo_grpc_message_end(&call->message, &body, &len, &error)) {
        flo_grpc_call_refuse(call, error.code, error.message, "grpc.message");
        return false;
    }
    struct flo_grpc_message message = call->message; /* ours, whatever becomes of the call */
    flo_grpc_message_init(&call->message, server->opt.max_receive_bytes);
    call->message.gzip = message.gzip;
    flo_grpc_call_expect(call, INT64_MAX, 0);
    call->gone = &gone;
    server->opt.on_message(server->opt.ctx, call, body, len);
    flo_grpc_message_fini(&message);
    if (gone)
        return false;
    call->gone = NULL;
    return call->state == FLO_GRPC_CALL_OPEN;
}

/* Take messages out of data until one of their answers waits. False: the call is gone, or no longer
 * open, and data may be, too. */
static bool feed(struct flo_grpc_server_call *call, const uint8_t *data, size_t len,
                 size_t *out_used)
{
    struct flo_grpc_message_error error;
    *out_used = 0;
    while (*out_used < len && !held(call)) {
        bool begins = call->message.data.len == 0, whole;
        size_t used;
        if (flo_grpc_message_take(&call->message, data + *out_used, len - *out_used, &used, &whole,
                                  &error)) {
            flo_grpc_call_refuse(call, error.code, error.message, "grpc.message");
            return false;
        }
        *out_used += used;
        if (whole && !deliver(call))
            return false;
        if (whole && unsent(call) > 0) {
            hold(call);
        } else if (!whole && begins) {
            int64_t now = flo_h2_conn_received_ns(call->conn->h2);
            flo_grpc_call_expect(call, now + call->server->opt.request_timeout_ms * FLO_NS_PER_MS,
                                 now);
        }
    }
    return true;
}

/* Keep what arrives while the call is held. */
static bool keep(struct flo_grpc_server_call *call, const uint8_t *data, size_t len)
{
    if (call->waiting_off > call->waiting.len / 2) {
        flo_buf_consume(&call->waiting, call->waiting_off);
        call->waiting_off = 0;
    }
    if (len == 0 || !flo_buf_append(&call->waiting, data, len))
        return true;
    flo_grpc_call_refuse(call, FLO_GRPC_RESOURCE_EXHAUSTED, "out of memory for a message",
                         "grpc.buffered");
    return false;
}

void flo_grpc_stream_data(struct flo_grpc_server_call *call, const uint8_t *data, size_t len)
{
    size_t used = 0;
    bool was_held = held(call);
    if (call->half_closed || (!was_held && !feed(call, data, len, &used)))
        return;
    if (!keep(call, data + used, len - used))
        return;
    if (was_held)
        call->unconsumed += len;
    (void)account(call);
}

static void finish_requests(struct flo_grpc_server_call *call)
{
    struct flo_grpc_server *server = call->server;
    if (call->message.data.len > 0)
        flo_grpc_call_refuse(call, FLO_GRPC_INTERNAL, "grpc: the stream ended inside a message",
                             "grpc.message");
    else
        server->opt.on_half_close(server->opt.ctx, call);
}

void flo_grpc_stream_half_close(struct flo_grpc_server_call *call)
{
    if (call->half_closed)
        return;
    call->half_closed = true;
    if (!held(call))
        finish_requests(call);
}

void flo_grpc_stream_resume(struct flo_grpc_server_call *call)
{
    size_t used;
    if (unsent(call) > 0) {
        flo_list_push_back(&call->conn->held, &call->node);
        return;
    }
    call->stream.hold = false;
    flo_grpc_call_expect(call, INT64_MAX, 0);
    if (!feed(call, call->waiting.data + call->waiting_off, waiting(call), &used))
        return;
    call->waiting_off += used;
    if (waiting(call) == 0) {
        flo_buf_fini(&call->waiting); /* most calls never come here */
        call->waiting_off = 0;
    }
    if (!account(call))
        return;
    if (call->unconsumed > waiting(call)) {
        size_t done = call->unconsumed - waiting(call);
        call->unconsumed -= done;
        flo_h2_consume(&call->stream, done);
    }
    if (call->half_closed && !held(call))
        finish_requests(call);
}
