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

const nghttp2_nv flo_grpc_ok_headers[2] = {NV(":status", "200"),
                                           NV("content-type", "application/grpc")};
const nghttp2_nv flo_grpc_ok_trailer = NV("grpc-status", "0");

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

static void free_end(struct flo_grpc_call_end *end)
{
    if (end)
        flo_buf_fini(&end->text);
    flo_free(end);
}

static void call_free(struct flo_grpc_server_call *call)
{
    unhold(call);
    event_del(&call->timer);
    call->server->buffered_bytes -= call->buffered_bytes;
    flo_grpc_message_fini(&call->message);
    flo_buf_fini(&call->headers);
    flo_buf_fini(&call->waiting);
    free_end(call->end);
    flo_free(call->answer);
    if (call->gone)
        *call->gone = true;
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

void flo_grpc_call_expect(struct flo_grpc_server_call *call, int64_t at_ns, int64_t now_ns)
{
    call->progress_by_ns = at_ns;
    if (at_ns < INT64_MAX)
        arm(call, at_ns, now_ns);
}

void flo_grpc_call_abort(struct flo_grpc_server_call *call, uint32_t h2_error)
{
    flo_h2_reset(&call->stream, h2_error);
    call_cancel(call);
    call_free(call);
}

/* ---- answers ---- */

void flo_grpc_call_answered(struct flo_grpc_server_call *call, int rc)
{
    struct flo_grpc_server *server = call->server;
    if (call->state == FLO_GRPC_CALL_OPEN)
        server->open_calls--;
    call->state = FLO_GRPC_CALL_ANSWERED;
    unhold(call);
    call->message.rejected = true; /* what still comes of the request is dropped */
    if (rc) {
        flo_grpc_call_abort(call, NGHTTP2_INTERNAL_ERROR);
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
        call->stream.trailers = &flo_grpc_ok_trailer;
        call->stream.trailer_count = 1;
        rc = flo_h2_respond(&call->stream, flo_grpc_ok_headers, 2);
    }
    flo_grpc_call_answered(call, rc);
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

static int encode_trailer(struct flo_grpc_call_end *end, size_t i,
                          const struct flo_grpc_header *trailer)
{
    size_t name_len = strlen(trailer->name);
    end->trailers[i].name_off = end->text.len;
    end->trailers[i].name_len = name_len;
    int rc = flo_buf_append(&end->text, trailer->name, name_len);
    end->trailers[i].value_off = end->text.len;
    if (!rc && flo_grpc_is_bin(trailer->name, name_len))
        rc =
            add_base64(&end->text, trailer->value, trailer->value_len, &end->trailers[i].value_off);
    else if (!rc)
        rc = flo_buf_append(&end->text, trailer->value,
                            trailer->value_len ? trailer->value_len : strlen(trailer->value));
    end->trailers[i].value_len = end->text.len - end->trailers[i].value_off;
    return rc;
}

static int encode_error(struct flo_grpc_call_end *end, const char *message, const uint8_t *details,
                        size_t details_len, const struct flo_grpc_header *trailers, size_t count)
{
    char cut[MESSAGE_TEXT_MAX + 1];
    size_t len = strnlen(message, MESSAGE_TEXT_MAX);
    memcpy(cut, message, len);
    cut[len] = '\0';
    if (flo_grpc_percent_encode(&end->text, cut))
        return FLO_ENOMEM;
    end->message_len = end->text.len;
    if (details_len > 0 && details_len <= DETAILS_MAX) {
        if (add_base64(&end->text, details, details_len, &end->details_off))
            return FLO_ENOMEM;
        end->details_len = end->text.len - end->details_off;
    }
    for (size_t i = 0; i < count; i++)
        if (encode_trailer(end, i, &trailers[i]))
            return FLO_ENOMEM;
    return 0;
}

static void add_field(struct flo_grpc_call_end *end, const char *name, size_t off, size_t len)
{
    end->nv[end->count++] =
        flo_grpc_nv(name, end->text.data + off, len, NGHTTP2_NV_FLAG_NO_COPY_NAME);
}

/* The fields, behind the usual ones of an answer when they are its headers. */
static void list_fields(struct flo_grpc_call_end *end, bool headers, int code, size_t count)
{
    snprintf(end->code, sizeof end->code, "%u", (unsigned)code % 100);
    if (headers) {
        end->nv[end->count++] = flo_grpc_ok_headers[0];
        end->nv[end->count++] = flo_grpc_ok_headers[1];
    }
    end->nv[end->count++] =
        flo_grpc_nv("grpc-status", end->code, strlen(end->code), NGHTTP2_NV_FLAG_NO_COPY_NAME);
    if (end->message_len > 0)
        add_field(end, "grpc-message", 0, end->message_len);
    if (end->details_len > 0)
        add_field(end, "grpc-status-details-bin", end->details_off, end->details_len);
    if (headers && code == FLO_GRPC_UNIMPLEMENTED)
        end->nv[end->count++] =
            flo_grpc_nv("grpc-accept-encoding", "identity,gzip", 13, FLO_GRPC_NO_COPY);
    for (size_t i = 0; i < count; i++)
        end->nv[end->count++] = (nghttp2_nv){.name = end->text.data + end->trailers[i].name_off,
                                             .namelen = end->trailers[i].name_len,
                                             .value = end->text.data + end->trailers[i].value_off,
                                             .valuelen = end->trailers[i].value_len};
}

static void answer_error(struct flo_grpc_server_call *call, int code, const char *message,
                         const uint8_t *details, size_t details_len,
                         const struct flo_grpc_header *trailers, size_t count)
{
    struct flo_grpc_call_end *end = flo_calloc(1, sizeof *end);
    int rc = FLO_ENOMEM;
    if (count > FLO_GRPC_TRAILERS_MAX)
        count = FLO_GRPC_TRAILERS_MAX;
    if (end) {
        flo_buf_init(&end->text, 0);
        rc = encode_error(end, message ? message : "", details, details_len, trailers, count);
    }
    if (!rc)
        list_fields(end, !call->streaming, code, count);
    if (!rc && call->streaming) {
        flo_grpc_stream_fail(call, &end);
        return;
    }
    if (!rc)
        rc = flo_h2_respond(&call->stream, end->nv, end->count);
    free_end(end);
    flo_grpc_call_answered(call, rc);
}

void flo_grpc_respond_error(struct flo_grpc_server_call *call, int code, const char *message,
                            const uint8_t *details, size_t details_len,
                            const struct flo_grpc_header *trailers, size_t trailer_count)
{
    if (call->state == FLO_GRPC_CALL_OPEN)
        answer_error(call, code, message, details, details_len, trailers, trailer_count);
}

void flo_grpc_call_refuse(struct flo_grpc_server_call *call, int code, const char *message,
                          const char *reason)
{
    flo_grpc_server_reject(call->server, reason);
    call_cancel(call);
    answer_error(call, code, message, NULL, 0, NULL, 0);
}

static void refuse_http(struct flo_grpc_server_call *call, const char *status, const char *reason)
{
    nghttp2_nv nv[] = {flo_grpc_nv(":status", status, strlen(status), NGHTTP2_NV_FLAG_NONE)};
    flo_grpc_server_reject(call->server, reason);
    flo_grpc_call_answered(call, flo_h2_respond(&call->stream, nv, 1));
}

/* An answer that the peer does not take, or half a message that stays one. */
static void end_overdue(struct flo_grpc_server_call *call, int64_t now)
{
    const struct flo_h2_stream *stream = &call->stream;
    if (stream->body_len == stream->body_off) {
        flo_grpc_call_refuse(call, FLO_GRPC_DEADLINE_EXCEEDED, "the request did not arrive in time",
                             "grpc.request_timeout");
    } else if (stream->body_off == call->stall_off) {
        flo_grpc_server_reject(call->server, "h2.stream_stalled");
        flo_grpc_call_abort(call, NGHTTP2_CANCEL);
    } else {
        call->stall_off = stream->body_off;
        flo_grpc_call_expect(call, now + call->server->opt.stall_timeout_ms * FLO_NS_PER_MS, now);
    }
}

static void on_open_timer(struct flo_grpc_server_call *call, int64_t now)
{
    int64_t at = call->deadline_ns == INT64_MAX ? INT64_MAX : call->deadline_ns + DEADLINE_GRACE_NS;
    /* Of one whole request it was the request timeout, and the request is here. */
    int64_t progress_by = call->client_streams ? call->progress_by_ns : INT64_MAX;
    if (now >= at) {
        call_cancel(call);
        if (call->streaming)
            flo_grpc_call_abort(call, NGHTTP2_CANCEL);
        else
            answer_error(call, FLO_GRPC_DEADLINE_EXCEEDED, "context deadline exceeded", NULL, 0,
                         NULL, 0);
    } else if (now >= progress_by) {
        end_overdue(call, now);
    } else if (at < INT64_MAX || progress_by < INT64_MAX) {
        arm(call, at < progress_by ? at : progress_by, now);
    }
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
            flo_grpc_call_refuse(call, FLO_GRPC_DEADLINE_EXCEEDED,
                                 "the request did not arrive in time", "grpc.request_timeout");
        break;
    case FLO_GRPC_CALL_OPEN:
        on_open_timer(call, now);
        break;
    case FLO_GRPC_CALL_ANSWERED:
        if (now < call->progress_by_ns) {
            arm(call, call->progress_by_ns, now);
            break;
        }
        if (call->stream.body_off == call->stall_off) {
            flo_grpc_server_reject(call->server, "h2.stream_stalled");
            flo_grpc_call_abort(call, NGHTTP2_CANCEL);
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

/* Does the handler take the call as one whose requests are a stream? */
static bool open_stream(struct flo_grpc_server_call *call)
{
    struct flo_grpc_server *server = call->server;
    if (!server->opt.on_stream)
        return false;
    const char *path = flo_grpc_server_call_header(call, ":path");
    call->state = FLO_GRPC_CALL_OPEN;
    call->client_streams = true;
    call->progress_by_ns = INT64_MAX;
    server->open_calls++;
    if (call->deadline_ns < INT64_MAX)
        arm(call, call->deadline_ns + DEADLINE_GRACE_NS, flo_h2_conn_received_ns(call->conn->h2));
    if (server->opt.on_stream(server->opt.ctx, call, path ? path : ""))
        return true;
    call->state = FLO_GRPC_CALL_RECEIVING;
    call->client_streams = false;
    server->open_calls--;
    return false;
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
        flo_grpc_call_refuse(call, call->refuse_code, call->refuse_text, call->refuse_reason);
    } else if (!call->post) {
        refuse_http(call, "405", "grpc.method");
    } else if (!call->grpc_type) {
        refuse_http(call, "415", "grpc.content_type");
    } else if (call->refuse_code) {
        flo_grpc_call_refuse(call, call->refuse_code, call->refuse_text, call->refuse_reason);
    } else if (!open_stream(call)) {
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
    if (call->client_streams) {
        if (call->state == FLO_GRPC_CALL_OPEN)
            flo_grpc_stream_data(call, data, len); /* the call may be gone now */
        return;
    }
    if (call->state != FLO_GRPC_CALL_RECEIVING)
        return;
    struct flo_grpc_message_error error;
    if (flo_grpc_message_add(&call->message, data, len, &error)) {
        flo_grpc_call_refuse(call, error.code, error.message, "grpc.message");
        return;
    }
    call->buffered_bytes += len;
    server->buffered_bytes += len;
    if (server->buffered_bytes > server->opt.max_buffered_bytes)
        flo_grpc_call_refuse(call, FLO_GRPC_RESOURCE_EXHAUSTED, "too many requests are under way",
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
        flo_grpc_call_refuse(call, error.code, error.message, "grpc.message");
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
    if (call->state == FLO_GRPC_CALL_OPEN && call->client_streams) {
        flo_grpc_stream_half_close(call);
        return;
    }
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
        struct flo_grpc_server_call *call = flo_container(node, struct flo_grpc_server_call, node);
        if (call->client_streams)
            flo_grpc_stream_resume(call);
        else
            hand_over(call);
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
