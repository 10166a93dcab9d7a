/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_call.c - one request: its headers, its message, its deadline, its answer.
 *
 * Refusals are trailers-only answers (status in the first HEADERS) wherever the client speaks
 * gRPC, and a bare HTTP status where it does not (415, 405). The connection goes on in each case.
 */
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "grpc/codec.h"
#include "grpc/server_internal.h"

enum {
    PATH_MAX_BYTES = 512,
    HEADER_LIST_MAX = 16 * 1024,   /* over it the request is refused */
    HEADER_LIST_ABORT = 64 * 1024, /* over it the stream is reset (HPACK bomb) */
    MESSAGE_TEXT_MAX = 2048,       /* grpc-message before coding */
    DETAILS_MAX = 12 * 1024,       /* grpc-status-details-bin before coding */
    TRAILERS_MAX = 16,
};

/* The client's own timer ends the call at the deadline; ours is for clients that do not, and must
 * not overtake it. */
#define DEADLINE_GRACE_NS (50 * FLO_NS_PER_MS)

#define NV(name_text, value_text)                                                                  \
    {                                                                                              \
        .name = (uint8_t *)(name_text), .namelen = sizeof(name_text) - 1,                          \
        .value = (uint8_t *)(value_text), .valuelen = sizeof(value_text) - 1,                      \
        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE                      \
    }

static const nghttp2_nv ok_headers[] = {NV(":status", "200"),
                                        NV("content-type", "application/grpc")};
static const nghttp2_nv ok_trailers[] = {NV("grpc-status", "0")};

static struct flo_grpc_server_call *call_of(struct flo_h2_stream *stream)
{
    return flo_container(stream, struct flo_grpc_server_call, stream);
}

/* ---- life ---- */

/* No longer wait for room. */
static void unhold(struct flo_grpc_server_call *call)
{
    if (flo_node_linked(&call->node))
        flo_list_remove(&call->conn->held, &call->node);
}

static void call_free(struct flo_grpc_server_call *call)
{
    unhold(call);
    event_del(&call->timer);
    call->server->buffered_bytes -= call->buffered_bytes;
    flo_grpc_message_fini(&call->message);
    flo_buf_fini(&call->headers);
    flo_free(call->answer);
    flo_free(call);
}

/* The handler loses the call: it was OPEN and nobody answered it. */
static void call_cancel(struct flo_grpc_server_call *call)
{
    struct flo_grpc_server *server = call->server;
    if (call->state != FLO_GRPC_CALL_OPEN)
        return;
    call->state = FLO_GRPC_CALL_ANSWERED; /* an answer from inside on_cancel is ignored */
    server->open_calls--;
    if (server->opt.on_cancel)
        server->opt.on_cancel(server->opt.ctx, call);
}

/*
 * Let the timer fire at at_ns. One that fires before finds out that it is too early and comes
 * again: most calls are over by then, and this way cost one timer call, whatever they wait for.
 */
static void arm(struct flo_grpc_server_call *call, int64_t at_ns, int64_t now_ns)
{
    if (call->timer_ns <= at_ns)
        return;
    int64_t wait_us = at_ns > now_ns ? (at_ns - now_ns) / 1000 + 1 : 0;
    struct timeval tv = {.tv_sec = wait_us / 1000000, .tv_usec = wait_us % 1000000};
    if (event_add(&call->timer, &tv) == 0)
        call->timer_ns = at_ns;
}

/* Give the stream up without an answer. */
static void call_abort(struct flo_grpc_server_call *call, uint32_t h2_error)
{
    flo_h2_reset(&call->stream, h2_error);
    call_cancel(call);
    call_free(call);
}

/* ---- answers ---- */

static void call_answered(struct flo_grpc_server_call *call, int rc)
{
    struct flo_grpc_server *server = call->server;
    if (call->state == FLO_GRPC_CALL_OPEN)
        server->open_calls--;
    call->state = FLO_GRPC_CALL_ANSWERED;
    unhold(call);
    call->message.rejected = true; /* what still comes of the request is dropped */
    if (rc) {
        call_abort(call, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    int64_t now = flo_clock_mono_ns();
    call->stall_off = 0;
    call->progress_by_ns = now + server->opt.stall_timeout_ms * FLO_NS_PER_MS;
    arm(call, call->progress_by_ns, now);
}

void flo_grpc_respond(struct flo_grpc_server_call *call, const uint8_t *body, size_t len)
{
    if (call->state != FLO_GRPC_CALL_OPEN || call->streaming)
        return;
    int rc = FLO_ENOMEM;
    call->answer = len <= UINT32_MAX ? flo_malloc(FLO_GRPC_PREFIX + len) : NULL;
    if (call->answer) {
        flo_grpc_message_prefix(call->answer, len);
        if (len > 0)
            memcpy(call->answer + FLO_GRPC_PREFIX, body, len);
        call->stream.body = call->answer;
        call->stream.body_len = FLO_GRPC_PREFIX + len;
        call->stream.trailers = ok_trailers;
        call->stream.trailer_count = 1;
        rc = flo_h2_respond(&call->stream, ok_headers, 2);
    }
    call_answered(call, rc);
}

/* What the peer has not taken of a stream, and one more message, in one block. */
static uint8_t *stream_block(const struct flo_grpc_server_call *call, size_t unsent,
                             const uint8_t *body, size_t len)
{
    uint8_t *block = flo_malloc(unsent + FLO_GRPC_PREFIX + len);
    if (!block)
        return NULL;
    if (unsent > 0)
        memcpy(block, call->stream.body + call->stream.body_off, unsent);
    flo_grpc_message_prefix(block + unsent, len);
    if (len > 0)
        memcpy(block + unsent + FLO_GRPC_PREFIX, body, len);
    return block;
}

int flo_grpc_stream(struct flo_grpc_server_call *call, const uint8_t *body, size_t len)
{
    size_t unsent = call->stream.body_len - call->stream.body_off;
    if (call->state != FLO_GRPC_CALL_OPEN)
        return FLO_ECLOSED;
    if (unsent + len > FLO_GRPC_STREAM_MAX)
        return FLO_EFULL;
    int rc = FLO_ENOMEM;
    uint8_t *block = stream_block(call, unsent, body, len), *old = call->answer;
    if (block && call->streaming) {
        rc = flo_h2_continue(&call->stream, block, unsent + FLO_GRPC_PREFIX + len, true);
    } else if (block) {
        call->stream.body = block;
        call->stream.body_len = FLO_GRPC_PREFIX + len;
        call->stream.more = true;
        call->stream.trailers = ok_trailers;
        call->stream.trailer_count = 1;
        rc = flo_h2_respond(&call->stream, ok_headers, 2);
    }
    if (block) {
        call->answer = block;
        flo_free(old);
    }
    call->streaming = true;
    if (rc)
        call_answered(call, rc);
    return rc;
}

void flo_grpc_stream_end(struct flo_grpc_server_call *call)
{
    struct flo_h2_stream *stream = &call->stream;
    if (call->state != FLO_GRPC_CALL_OPEN || !call->streaming)
        return;
    call_answered(call, flo_h2_continue(stream, stream->body + stream->body_off,
                                        stream->body_len - stream->body_off, false));
}

/* Append data as base64; the text's offset in buf is *out_off. */
static int add_base64(struct flo_buf *buf, const void *data, size_t len, size_t *out_off)
{
    char *out = (char *)flo_buf_reserve(buf, FLO_BASE64_TEXT_MAX(len));
    if (!out)
        return FLO_ENOMEM;
    *out_off = buf->len;
    buf->len += flo_base64_encode(data, len, false, out);
    return 0;
}

/* The coded texts of an error answer, in one buffer; offsets, since the buffer moves. */
struct error_texts {
    struct flo_buf buf;
    size_t message_len;
    size_t details_off, details_len;
    size_t trailer_off[TRAILERS_MAX], trailer_len[TRAILERS_MAX];
};

static int encode_error(struct error_texts *t, const char *message, const uint8_t *details,
                        size_t details_len, const struct flo_grpc_header *trailers, size_t count)
{
    char cut[MESSAGE_TEXT_MAX + 1];
    size_t len = strnlen(message, MESSAGE_TEXT_MAX);
    memcpy(cut, message, len);
    cut[len] = '\0';
    if (flo_grpc_percent_encode(&t->buf, cut))
        return FLO_ENOMEM;
    t->message_len = t->buf.len;
    if (details_len > 0 && details_len <= DETAILS_MAX) {
        if (add_base64(&t->buf, details, details_len, &t->details_off))
            return FLO_ENOMEM;
        t->details_len = t->buf.len - t->details_off;
    }
    for (size_t i = 0; i < count; i++) {
        if (!flo_grpc_is_bin(trailers[i].name, strlen(trailers[i].name)))
            continue;
        if (add_base64(&t->buf, trailers[i].value, trailers[i].value_len, &t->trailer_off[i]))
            return FLO_ENOMEM;
        t->trailer_len[i] = t->buf.len - t->trailer_off[i];
    }
    return 0;
}

static int submit_error(struct flo_grpc_server_call *call, int code, const struct error_texts *t,
                        const struct flo_grpc_header *trailers, size_t count)
{
    nghttp2_nv nv[6 + TRAILERS_MAX];
    char code_text[4];
    size_t n = 0;
    snprintf(code_text, sizeof code_text, "%u", (unsigned)code % 100);
    nv[n++] = ok_headers[0];
    nv[n++] = ok_headers[1];
    nv[n++] = flo_grpc_nv("grpc-status", code_text, strlen(code_text), NGHTTP2_NV_FLAG_NONE);
    if (t->message_len > 0)
        nv[n++] = flo_grpc_nv("grpc-message", t->buf.data, t->message_len, NGHTTP2_NV_FLAG_NONE);
    if (t->details_len > 0)
        nv[n++] = flo_grpc_nv("grpc-status-details-bin", t->buf.data + t->details_off,
                              t->details_len, NGHTTP2_NV_FLAG_NONE);
    if (code == FLO_GRPC_UNIMPLEMENTED)
        nv[n++] = flo_grpc_nv("grpc-accept-encoding", "identity,gzip", 13, NGHTTP2_NV_FLAG_NONE);
    for (size_t i = 0; i < count; i++)
        nv[n++] = t->trailer_len[i] ? flo_grpc_nv(trailers[i].name, t->buf.data + t->trailer_off[i],
                                                  t->trailer_len[i], NGHTTP2_NV_FLAG_NONE)
                                    : flo_grpc_nv(trailers[i].name, trailers[i].value,
                                                  trailers[i].value_len ? trailers[i].value_len
                                                                        : strlen(trailers[i].value),
                                                  NGHTTP2_NV_FLAG_NONE);
    return flo_h2_respond(&call->stream, nv, n);
}

static void answer_error(struct flo_grpc_server_call *call, int code, const char *message,
                         const uint8_t *details, size_t details_len,
                         const struct flo_grpc_header *trailers, size_t count)
{
    struct error_texts texts = {0};
    flo_buf_init(&texts.buf, 0);
    if (count > TRAILERS_MAX)
        count = TRAILERS_MAX;
    int rc = encode_error(&texts, message ? message : "", details, details_len, trailers, count);
    if (!rc)
        rc = submit_error(call, code, &texts, trailers, count);
    flo_buf_fini(&texts.buf);
    call_answered(call, rc);
}

void flo_grpc_respond_error(struct flo_grpc_server_call *call, int code, const char *message,
                            const uint8_t *details, size_t details_len,
                            const struct flo_grpc_header *trailers, size_t trailer_count)
{
    if (call->state == FLO_GRPC_CALL_OPEN && call->streaming)
        call_answered(call, FLO_ECLOSED);
    else if (call->state == FLO_GRPC_CALL_OPEN)
        answer_error(call, code, message, details, details_len, trailers, trailer_count);
}

/* Refuse a request that the handler never saw. */
static void refuse(struct flo_grpc_server_call *call, int code, const char *message,
                   const char *reason)
{
    flo_grpc_server_reject(call->server, reason);
    answer_error(call, code, message, NULL, 0, NULL, 0);
}

static void refuse_http(struct flo_grpc_server_call *call, const char *status, const char *reason)
{
    nghttp2_nv nv[] = {flo_grpc_nv(":status", status, strlen(status), NGHTTP2_NV_FLAG_NONE)};
    flo_grpc_server_reject(call->server, reason);
    call_answered(call, flo_h2_respond(&call->stream, nv, 1));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct flo_grpc_server_call *call = arg;
    int64_t now = flo_clock_mono_ns();
    call->timer_ns = INT64_MAX;
    switch (call->state) {
    case FLO_GRPC_CALL_RECEIVING:
        if (now < call->progress_by_ns)
            arm(call, call->progress_by_ns, now);
        else
            refuse(call, FLO_GRPC_DEADLINE_EXCEEDED, "the request did not arrive in time",
                   "grpc.request_timeout");
        break;
    case FLO_GRPC_CALL_OPEN:
        if (call->deadline_ns == INT64_MAX)
            break; /* it was the request timeout, and the request is here */
        if (now < call->deadline_ns + DEADLINE_GRACE_NS) {
            arm(call, call->deadline_ns + DEADLINE_GRACE_NS, now);
            break;
        }
        call_cancel(call);
        if (call->streaming)
            call_abort(call, NGHTTP2_CANCEL);
        else
            answer_error(call, FLO_GRPC_DEADLINE_EXCEEDED, "context deadline exceeded", NULL, 0,
                         NULL, 0);
        break;
    case FLO_GRPC_CALL_ANSWERED:
        if (now < call->progress_by_ns) {
            arm(call, call->progress_by_ns, now);
            break;
        }
        if (call->stream.body_off == call->stall_off) {
            flo_grpc_server_reject(call->server, "h2.stream_stalled");
            call_abort(call, NGHTTP2_CANCEL);
            break;
        }
        call->stall_off = call->stream.body_off;
        call->progress_by_ns = now + call->server->opt.stall_timeout_ms * FLO_NS_PER_MS;
        arm(call, call->progress_by_ns, now);
        break;
    }
}

/* ---- the request ---- */

struct flo_h2_stream *flo_grpc_server_on_open(void *ctx, struct flo_h2_conn *h2)
{
    (void)h2;
    struct flo_grpc_server_conn *conn = ctx;
    struct flo_grpc_server *server = conn->server;
    struct flo_grpc_server_call *call = flo_calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->server = server;
    call->conn = conn;
    call->deadline_ns = call->timer_ns = INT64_MAX;
    flo_buf_init(&call->headers, HEADER_LIST_ABORT);
    flo_grpc_message_init(&call->message, server->opt.max_receive_bytes);
    event_assign(&call->timer, server->base, -1, 0, on_timer, call);
    return &call->stream;
}

/* Remember the first fault that the headers show. */
static void fault(struct flo_grpc_server_call *call, int code, const char *text, const char *reason)
{
    if (call->refuse_code)
        return;
    call->refuse_code = code;
    call->refuse_text = text;
    call->refuse_reason = reason;
}

static void keep_header(struct flo_grpc_server_call *call, const uint8_t *name, size_t name_len,
                        const uint8_t *value, size_t value_len)
{
    int rc = flo_grpc_headers_add(&call->headers, name, name_len, value, value_len);
    if (rc == FLO_EPROTO)
        fault(call, FLO_GRPC_INTERNAL, "a -bin header is not base64", "grpc.bin_header");
    else if (rc)
        fault(call, FLO_GRPC_RESOURCE_EXHAUSTED, "too many headers", "grpc.headers");
}

static bool is(const uint8_t *text, size_t len, const char *want)
{
    return len == strlen(want) && memcmp(text, want, len) == 0;
}

static void on_timeout_header(struct flo_grpc_server_call *call, const uint8_t *value, size_t len)
{
    int64_t ns;
    if (call->has_timeout || flo_grpc_timeout_parse(value, len, &ns)) {
        fault(call, FLO_GRPC_INTERNAL, "malformed grpc-timeout", "grpc.timeout");
        return;
    }
    call->has_timeout = true;
    call->deadline_ns = flo_h2_conn_received_ns(call->conn->h2) + ns;
    if (ns == 0)
        fault(call, FLO_GRPC_DEADLINE_EXCEEDED, "context deadline exceeded", "grpc.deadline");
}

static void on_grpc_header(struct flo_grpc_server_call *call, const uint8_t *name, size_t name_len,
                           const uint8_t *value, size_t value_len)
{
    if (is(name, name_len, "grpc-timeout")) {
        on_timeout_header(call, value, value_len);
    } else if (is(name, name_len, "grpc-encoding")) {
        call->message.gzip = is(value, value_len, "gzip");
        if (!call->message.gzip && !is(value, value_len, "identity"))
            fault(call, FLO_GRPC_UNIMPLEMENTED,
                  "grpc: Decompressor is not installed for this grpc-encoding", "grpc.encoding");
    }
}

int flo_grpc_server_on_header(void *ctx, struct flo_h2_stream *stream, const uint8_t *name,
                              size_t name_len, const uint8_t *value, size_t value_len)
{
    (void)ctx;
    struct flo_grpc_server_call *call = call_of(stream);
    call->header_bytes += name_len + value_len + 32;
    if (call->header_bytes > HEADER_LIST_ABORT) {
        flo_grpc_server_reject(call->server, "h2.header_list");
        return FLO_ELIMIT;
    }
    if (call->header_bytes > HEADER_LIST_MAX) {
        fault(call, FLO_GRPC_RESOURCE_EXHAUSTED, "the headers are larger than 16 KiB",
              "h2.header_list");
        call->refuse_code = FLO_GRPC_RESOURCE_EXHAUSTED;
        return 0;
    }
    if (call->headers_done)
        return 0; /* request trailers carry nothing for us */
    if (name_len > 0 && name[0] == ':') {
        if (is(name, name_len, ":method"))
            call->post = is(value, value_len, "POST");
        else if (is(name, name_len, ":path") && value_len <= PATH_MAX_BYTES)
            keep_header(call, name, name_len, value, value_len);
        else if (is(name, name_len, ":path"))
            fault(call, FLO_GRPC_UNIMPLEMENTED, "the path is too long", "grpc.path");
        return 0;
    }
    if (name_len >= 5 && memcmp(name, "grpc-", 5) == 0) {
        on_grpc_header(call, name, name_len, value, value_len);
        return 0;
    }
    if (is(name, name_len, "content-type")) {
        call->grpc_type = flo_grpc_is_grpc_type(value, value_len);
        return 0;
    }
    if (!is(name, name_len, "te"))
        keep_header(call, name, name_len, value, value_len);
    return 0;
}

void flo_grpc_server_on_headers(void *ctx, struct flo_h2_stream *stream)
{
    (void)ctx;
    struct flo_grpc_server_call *call = call_of(stream);
    if (call->headers_done || call->state != FLO_GRPC_CALL_RECEIVING)
        return;
    call->headers_done = true;
    /* NOLINTNEXTLINE(bugprone-branch-clone): the questions have an order */
    if (call->refuse_code && call->header_bytes > HEADER_LIST_MAX) {
        /* content-type may be among the fields that were not looked at */
        refuse(call, call->refuse_code, call->refuse_text, call->refuse_reason);
    } else if (!call->post) {
        refuse_http(call, "405", "grpc.method");
    } else if (!call->grpc_type) {
        refuse_http(call, "415", "grpc.content_type");
    } else if (call->refuse_code) {
        refuse(call, call->refuse_code, call->refuse_text, call->refuse_reason);
    } else {
        int64_t now = flo_h2_conn_received_ns(call->conn->h2);
        call->progress_by_ns = now + call->server->opt.request_timeout_ms * FLO_NS_PER_MS;
        if (call->deadline_ns < call->progress_by_ns)
            call->progress_by_ns = call->deadline_ns;
        arm(call, call->progress_by_ns, now);
    }
}

void flo_grpc_server_on_data(void *ctx, struct flo_h2_stream *stream, const uint8_t *data,
                             size_t len)
{
    (void)ctx;
    struct flo_grpc_server_call *call = call_of(stream);
    struct flo_grpc_server *server = call->server;
    if (call->state != FLO_GRPC_CALL_RECEIVING)
        return;
    struct flo_grpc_message_error error;
    if (flo_grpc_message_add(&call->message, data, len, &error)) {
        refuse(call, error.code, error.message, "grpc.message");
        return;
    }
    call->buffered_bytes += len;
    server->buffered_bytes += len;
    if (server->buffered_bytes > server->opt.max_buffered_bytes)
        refuse(call, FLO_GRPC_RESOURCE_EXHAUSTED, "too many requests are under way",
               "grpc.buffered");
}

/* The request is whole: check its message and give it to the handler. */
static void hand_over(struct flo_grpc_server_call *call)
{
    struct flo_grpc_server *server = call->server;
    struct flo_grpc_message_error error;
    const uint8_t *body;
    size_t len;
    if (flo_grpc_message_end(&call->message, &body, &len, &error)) {
        refuse(call, error.code, error.message, "grpc.message");
        return;
    }
    /* The message is ours during on_call, whatever the handler does to the call. */
    struct flo_grpc_message message = call->message;
    flo_grpc_message_init(&call->message, server->opt.max_receive_bytes);
    server->buffered_bytes -= call->buffered_bytes;
    call->buffered_bytes = 0;
    call->state = FLO_GRPC_CALL_OPEN;
    server->open_calls++;
    const char *path = flo_grpc_server_call_header(call, ":path");
    server->opt.on_call(server->opt.ctx, call, path ? path : "", body, len);
    flo_grpc_message_fini(&message);
}

void flo_grpc_server_on_end(void *ctx, struct flo_h2_stream *stream)
{
    struct flo_grpc_server_conn *conn = ctx;
    struct flo_grpc_server_call *call = call_of(stream);
    if (call->state != FLO_GRPC_CALL_RECEIVING)
        return;
    if (flo_h2_conn_queued(conn->h2) > FLO_H2_QUEUE_SOFT)
        flo_list_push_back(&conn->held, &call->node);
    else
        hand_over(call);
}

void flo_grpc_server_on_room(void *ctx, struct flo_h2_conn *h2)
{
    struct flo_grpc_server_conn *conn = ctx;
    size_t most = conn->held.count;
    bool gone = false; /* a handler may destroy the server, and conn with it */
    conn->gone = &gone;
    for (size_t i = 0; i < most && flo_h2_conn_queued(h2) <= FLO_H2_QUEUE_SOFT; i++) {
        struct flo_node *node = flo_list_pop_front(&conn->held);
        if (!node)
            break;
        hand_over(flo_container(node, struct flo_grpc_server_call, node));
        if (gone)
            return;
    }
    conn->gone = NULL;
}

void flo_grpc_server_on_close(void *ctx, struct flo_h2_stream *stream, uint32_t error_code,
                              bool lost)
{
    (void)ctx;
    (void)error_code;
    (void)lost;
    struct flo_grpc_server_call *call = call_of(stream);
    call_cancel(call);
    call_free(call);
}

/* ---- what the handler asks ---- */

int64_t flo_grpc_server_call_deadline(const struct flo_grpc_server_call *call)
{
    return call->deadline_ns;
}

void flo_grpc_server_call_set_user(struct flo_grpc_server_call *call, uint64_t user)
{
    call->user = user;
}

uint64_t flo_grpc_server_call_user(const struct flo_grpc_server_call *call)
{
    return call->user;
}
