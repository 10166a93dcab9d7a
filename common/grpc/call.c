/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.c - one unary call of a channel: one allocation holds the call and all bytes of its request,
 * so that it can be sent again on another connection; nghttp2 borrows them (NO_COPY).
 *
 * The end is judged when the peer has ended its side: HTTP status, content type, grpc-status,
 * message, in the order of gRPC's documents PROTOCOL-HTTP2 and http-grpc-status-mapping.
 */
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "grpc/client_internal.h"

/* Most bytes of response headers and trailers: details may be some 10 KiB. */
#define RESPONSE_HEADERS_MAX ((size_t)64 << 10)

static struct flo_grpc_call *call_of(struct flo_h2_stream *stream)
{
    return flo_container(stream, struct flo_grpc_call, stream);
}

/* ---- header fields ---- */

size_t flo_grpc_headers_size(const struct flo_grpc_header *headers, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += strlen(headers[i].name) + FLO_BASE64_TEXT_MAX(headers[i].value_len);
    return size;
}

unsigned char *flo_grpc_headers_write(const struct flo_grpc_header *headers, size_t count,
                                      unsigned char *text, nghttp2_nv *out)
{
    for (size_t i = 0; i < count; i++) {
        size_t name_len = strlen(headers[i].name);
        size_t value_len = headers[i].value_len;
        memcpy(text, headers[i].name, name_len);
        if (flo_grpc_is_bin(headers[i].name, name_len))
            value_len =
                flo_base64_encode(headers[i].value, value_len, false, (char *)text + name_len);
        else if (value_len > 0)
            memcpy(text + name_len, headers[i].value, value_len);
        out[i] = (nghttp2_nv){.name = text,
                              .namelen = name_len,
                              .value = text + name_len,
                              .valuelen = value_len,
                              .flags = FLO_GRPC_NO_COPY};
        text += name_len + value_len;
    }
    return text;
}

/* ---- the end ---- */

static void call_free(struct flo_grpc_call *call)
{
    event_del(&call->timer);
    flo_grpc_message_fini(&call->message);
    flo_buf_fini(&call->text);
    flo_buf_fini(&call->details);
    flo_free(call);
}

static struct flo_list *list_of(struct flo_grpc_call *call)
{
    return call->serial ? &call->channel->active : &call->channel->waiting;
}

/* Tell the caller and free. The stream is unbound already or is reset here. */
static void call_end(struct flo_grpc_call *call, const struct flo_grpc_status *status,
                     const uint8_t *body, size_t len)
{
    flo_h2_reset(&call->stream, NGHTTP2_CANCEL);
    flo_list_remove(list_of(call), &call->node);
    event_del(&call->timer);
    call->done(call->ctx, status, body, len);
    call_free(call);
}

void flo_grpc_call_fail(struct flo_grpc_call *call, int code, const char *message)
{
    struct flo_grpc_status status = {.code = code, .message = message};
    call_end(call, &status, NULL, 0);
}

void flo_grpc_call_cancel(struct flo_grpc_call **call)
{
    struct flo_grpc_call *self = *call;
    *call = NULL;
    if (!self)
        return;
    flo_h2_reset(&self->stream, NGHTTP2_CANCEL);
    flo_list_remove(list_of(self), &self->node);
    call_free(self);
}

int64_t flo_grpc_call_age_ns(const struct flo_grpc_call *call)
{
    const struct flo_grpc_link *current = call->channel->current;
    bool there = current && current->ready && call->serial == current->serial;
    return there ? flo_clock_mono_ns() - call->sent_ns : 0;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct flo_grpc_call *call = arg;
    if (call->fail_code)
        flo_grpc_call_fail(call, call->fail_code, call->fail_text);
    else
        flo_grpc_call_fail(call, FLO_GRPC_DEADLINE_EXCEEDED, "context deadline exceeded");
}

/* Fail from the loop, since the caller is on the stack now. */
static void fail_later(struct flo_grpc_call *call, int code, const char *text)
{
    call->fail_code = code;
    call->fail_text = text;
    event_active(&call->timer, EV_TIMEOUT, 1);
}

/* ---- start ---- */

static void reset_response(struct flo_grpc_call *call)
{
    flo_grpc_message_fini(&call->message);
    flo_grpc_message_init(&call->message, call->channel->max_receive_bytes);
    flo_buf_clear(&call->text);
    flo_buf_clear(&call->details);
    call->header_bytes = 0;
    call->http_status = 0;
    call->grpc_status = -1;
    call->grpc_type = false;
}

static struct flo_grpc_call *call_new(struct flo_grpc_channel *channel,
                                      const struct flo_grpc_call_options *options)
{
    size_t path_len = strlen(options->path);
    size_t nv_bytes = (options->header_count + 1) * sizeof(nghttp2_nv);
    size_t text_bytes = flo_grpc_headers_size(options->headers, options->header_count);
    struct flo_grpc_call *call = flo_malloc(sizeof *call + nv_bytes + text_bytes + path_len +
                                            FLO_GRPC_PREFIX + options->body_len);
    if (!call)
        return NULL;
    *call = (struct flo_grpc_call){
        .channel = channel,
        .done = options->done,
        .ctx = options->ctx,
        .timeout_ms = options->timeout_ms,
        .wait_for_ready = options->wait_for_ready,
        .odd_timeout = options->odd_timeout,
        .body_len = FLO_GRPC_PREFIX + options->body_len,
    };
    unsigned char *at = call->data;
    nghttp2_nv *own = (nghttp2_nv *)(void *)at;
    at += nv_bytes;
    at = flo_grpc_headers_write(options->headers, options->header_count, at, own);
    for (size_t i = 0; i < options->header_count; i++)
        own[i].flags |= NGHTTP2_NV_FLAG_NO_INDEX; /* the table is for what comes again */
    call->timeout = &own[options->header_count];
    call->head = (struct flo_h2_head){
        .path =
            flo_grpc_nv(":path", memcpy(at, options->path, path_len), path_len, FLO_GRPC_NO_COPY),
        .shared = channel->headers,
        .shared_count = channel->header_count,
        .own = own,
        .own_count = options->header_count + 1,
    };
    at += path_len;
    call->body = at;
    flo_grpc_message_prefix(at, options->body_len);
    if (options->body_len > 0)
        memcpy(at + FLO_GRPC_PREFIX, options->body, options->body_len);
    flo_buf_init(&call->text, 0);
    flo_buf_init(&call->details, 0);
    reset_response(call);
    event_assign(&call->timer, channel->base, -1, 0, on_timer, call);
    return call;
}

int flo_grpc_call_start(struct flo_grpc_channel *channel,
                        const struct flo_grpc_call_options *options,
                        struct flo_grpc_call **out_call)
{
    if (channel->state == FLO_GRPC_CHANNEL_CLOSED)
        return FLO_ECLOSED;
    if (options->timeout_ms <= 0 || options->path[0] != '/' || !options->done ||
        options->header_count > FLO_GRPC_HEADERS_MAX || options->body_len > UINT32_MAX)
        return FLO_EINVAL;
    struct flo_grpc_call *call = call_new(channel, options);
    if (!call)
        return FLO_ENOMEM;
    int64_t timeout_ms = options->timeout_ms;
    if (timeout_ms > FLO_GRPC_TIMEOUT_CAP_NS / FLO_NS_PER_MS)
        timeout_ms = call->timeout_ms = FLO_GRPC_TIMEOUT_CAP_NS / FLO_NS_PER_MS;
    struct timeval tv = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    if (event_add(&call->timer, &tv)) {
        call_free(call);
        return FLO_ENOMEM;
    }
    call->deadline_ns = flo_clock_mono_ns() + timeout_ms * FLO_NS_PER_MS;
    flo_list_push_back(&channel->waiting, &call->node);
    if (channel->state == FLO_GRPC_CHANNEL_READY)
        flo_grpc_channel_pump(channel);
    else if (channel->failed && !call->wait_for_ready)
        fail_later(call, FLO_GRPC_UNAVAILABLE, channel->reason);
    if (out_call)
        *out_call = call;
    return 0;
}

int flo_grpc_call_submit(struct flo_grpc_call *call, struct flo_grpc_link *link)
{
    struct flo_grpc_channel *channel = call->channel;
    /*
     * The timeout is sent as asked for unless time has passed: equal texts are one byte, and those
     * that come once must not fill the table, which forgets nothing (http2/head.h).
     */
    int64_t left_ms = (call->deadline_ns - flo_clock_mono_ns()) / FLO_NS_PER_MS;
    int64_t send_ms = call->timeout_ms - left_ms <= 5 ? call->timeout_ms : left_ms;
    bool usual = send_ms == call->timeout_ms && !call->odd_timeout;
    flo_grpc_timeout_format(send_ms, call->timeout_text);
    *call->timeout = flo_grpc_nv("grpc-timeout", call->timeout_text, strlen(call->timeout_text),
                                 FLO_GRPC_NO_COPY | (usual ? 0 : NGHTTP2_NV_FLAG_NO_INDEX));
    call->stream.head = &call->head;
    call->stream.body = call->body;
    call->stream.body_len = call->body_len;
    call->stream.trailers = NULL;
    int rc = flo_h2_request(link->h2, &call->stream);
    if (rc)
        return rc;
    flo_list_remove(&channel->waiting, &call->node);
    call->serial = link->serial;
    call->sent_ns = flo_clock_mono_ns();
    flo_list_push_back(&channel->active, &call->node);
    return 0;
}

/* The peer did not process the call: it may be sent again, by the next pump. */
static void call_again(struct flo_grpc_call *call)
{
    struct flo_grpc_channel *channel = call->channel;
    flo_list_remove(&channel->active, &call->node);
    call->serial = 0;
    reset_response(call);
    flo_list_push_back(&channel->waiting, &call->node);
}

/* ---- the response ---- */

static bool is(const uint8_t *text, size_t len, const char *want)
{
    return len == strlen(want) && memcmp(text, want, len) == 0;
}

/* A small decimal number; -1 for anything else. */
static int parse_number(const uint8_t *text, size_t len)
{
    int n = 0;
    if (len == 0 || len > 3)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        n = n * 10 + (text[i] - '0');
    }
    return n;
}

static int keep_details(struct flo_grpc_call *call, const uint8_t *value, size_t len)
{
    size_t bytes;
    flo_buf_clear(&call->details);
    uint8_t *to = flo_buf_reserve(&call->details, FLO_BASE64_DATA_MAX(len));
    if (!to)
        return FLO_ENOMEM;
    if (flo_base64_decode((const char *)value, len, to, &bytes) == 0)
        call->details.len = bytes; /* broken details are no reason to lose the status */
    return 0;
}

int flo_grpc_call_on_header(void *ctx, struct flo_h2_stream *stream, const uint8_t *name,
                            size_t name_len, const uint8_t *value, size_t value_len)
{
    (void)ctx;
    struct flo_grpc_call *call = call_of(stream);
    call->header_bytes += name_len + value_len + 32;
    if (call->header_bytes > RESPONSE_HEADERS_MAX) {
        if (!call->fail_code)
            fail_later(call, FLO_GRPC_RESOURCE_EXHAUSTED, "the response's headers are too large");
        return 0;
    }
    if (is(name, name_len, ":status")) {
        call->http_status = parse_number(value, value_len);
    } else if (is(name, name_len, "content-type")) {
        call->grpc_type = flo_grpc_is_grpc_type(value, value_len);
    } else if (is(name, name_len, "grpc-status")) {
        int code = parse_number(value, value_len);
        call->grpc_status = code < 0 || code > FLO_GRPC_UNAUTHENTICATED ? FLO_GRPC_UNKNOWN : code;
    } else if (is(name, name_len, "grpc-message")) {
        flo_buf_clear(&call->text);
        return flo_grpc_percent_decode(&call->text, value, value_len);
    } else if (is(name, name_len, "grpc-status-details-bin")) {
        return keep_details(call, value, value_len);
    } else if (is(name, name_len, "grpc-encoding")) {
        call->message.gzip = is(value, value_len, "gzip");
    }
    return 0;
}

/* What the HTTP answer of something that is not a gRPC server means; false = it is gRPC. */
static bool not_grpc(struct flo_grpc_call *call, struct flo_grpc_message_error *out_error)
{
    if (call->http_status == 200 && (call->grpc_type || call->grpc_status >= 0))
        return false;
    if (call->http_status != 200 && call->grpc_status >= 0)
        return false;
    if (call->http_status == 200) {
        out_error->code = FLO_GRPC_UNKNOWN;
        snprintf(out_error->message, sizeof out_error->message,
                 "the server answered without content-type application/grpc");
        return true;
    }
    out_error->code = flo_grpc_code_from_http(call->http_status);
    snprintf(out_error->message, sizeof out_error->message,
             "the server answered with HTTP status %d", call->http_status);
    return true;
}

void flo_grpc_call_on_headers(void *ctx, struct flo_h2_stream *stream)
{
    (void)ctx;
    struct flo_grpc_call *call = call_of(stream);
    struct flo_grpc_message_error error;
    if (call->fail_code || (call->http_status >= 100 && call->http_status < 200))
        return; /* its end is on the way; or interim, the real one follows */
    if (not_grpc(call, &error))
        flo_grpc_call_fail(call, error.code, error.message);
}

void flo_grpc_call_on_data(void *ctx, struct flo_h2_stream *stream, const uint8_t *data, size_t len)
{
    (void)ctx;
    struct flo_grpc_call *call = call_of(stream);
    struct flo_grpc_message_error error;
    if (!call->fail_code && flo_grpc_message_add(&call->message, data, len, &error))
        flo_grpc_call_fail(call, error.code, error.message);
}

void flo_grpc_call_on_end(void *ctx, struct flo_h2_stream *stream)
{
    (void)ctx;
    struct flo_grpc_call *call = call_of(stream);
    if (call->fail_code)
        return; /* its end is on the way */
    flo_h2_release(stream);
    if (call->grpc_status < 0) {
        flo_grpc_call_fail(call, FLO_GRPC_INTERNAL, "the server sent no grpc-status");
        return;
    }
    if (call->grpc_status == FLO_GRPC_OK) {
        struct flo_grpc_message_error error;
        struct flo_grpc_status ok = {.code = FLO_GRPC_OK, .message = ""};
        const uint8_t *body;
        size_t len;
        if (flo_grpc_message_end(&call->message, &body, &len, &error))
            flo_grpc_call_fail(call, error.code, error.message);
        else
            call_end(call, &ok, len > 0 ? body : NULL, len);
        return;
    }
    if (!flo_utf8_valid(call->text.data, call->text.len))
        flo_buf_clear(&call->text);
    struct flo_grpc_status status = {
        .code = call->grpc_status,
        .message = flo_buf_cstr(&call->text),
        .details = call->details.len > 0 ? call->details.data : NULL,
        .details_len = call->details.len,
    };
    call_end(call, &status, NULL, 0);
}

void flo_grpc_call_on_close(void *ctx, struct flo_h2_stream *stream, uint32_t error_code, bool lost)
{
    struct flo_grpc_link *link = ctx;
    struct flo_grpc_call *call = call_of(stream);
    char text[128];
    if (call->channel->state == FLO_GRPC_CHANNEL_CLOSED || call->fail_code)
        return; /* its end is on the way */
    if (lost && !stream->opened) {
        call_again(call); /* not a byte of it left */
    } else if (lost) {
        flo_grpc_call_fail(call, FLO_GRPC_UNAVAILABLE, "the connection was lost during the call");
    } else if (error_code == NGHTTP2_REFUSED_STREAM && call->refused != link->serial) {
        call->refused = link->serial;
        call_again(call);
        flo_grpc_channel_pump(link->channel);
    } else {
        int code = flo_grpc_code_from_h2(error_code);
        if (code == FLO_GRPC_CANCELLED && flo_clock_mono_ns() >= call->deadline_ns)
            code = FLO_GRPC_DEADLINE_EXCEEDED;
        snprintf(text, sizeof text, "the server reset the stream: %s",
                 flo_grpc_h2_error_name(error_code));
        flo_grpc_call_fail(call, code, text);
    }
}
