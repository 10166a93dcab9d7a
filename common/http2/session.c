/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - nghttp2's side of a connection: its options, its callbacks, the submit functions.
 *
 * Two rules keep this safe. A stream is found through nghttp2's stream user data only, never
 * through a pointer kept in a queued frame, so a stream that was reset and freed is simply not
 * found. And on_stream_close never returns a fatal error (GHSA-6pcr-v3hg-752p).
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "http2/conn_internal.h"

/* Most SETTINGS entries, CONTINUATION frames and queued acknowledgements that a peer may cause. */
enum { MAX_SETTINGS = 32, MAX_CONTINUATIONS = 8, MAX_OUTBOUND_ACK = 128 };

static void *mem_malloc(size_t size, void *user)
{
    (void)user;
    return flo_malloc(size);
}

static void mem_free(void *block, void *user)
{
    (void)user;
    flo_free(block);
}

static void *mem_calloc(size_t count, size_t size, void *user)
{
    (void)user;
    return flo_calloc(count, size);
}

static void *mem_realloc(void *block, size_t size, void *user)
{
    (void)user;
    return flo_reallocarray(block, size, 1);
}

/* The last one found is remembered: a block of headers asks once for each field. */
static struct flo_h2_stream *find(struct flo_h2_conn *conn, int32_t id)
{
    if (!conn->found || conn->found->id != id)
        conn->found = nghttp2_session_get_stream_user_data(conn->session, id);
    return conn->found;
}

static void bind_stream(struct flo_h2_conn *conn, struct flo_h2_stream *stream, int32_t id)
{
    stream->conn = conn;
    stream->id = id;
    stream->opened = false;
    stream->body_off = 0;
    stream->unacked = 0;
    flo_list_push_back(&conn->streams, &stream->node);
}

void flo_h2_session_unbind(struct flo_h2_conn *conn, struct flo_h2_stream *stream)
{
    if (conn->queued > FLO_H2_QUEUE_SOFT)
        flo_h2_conn_schedule(conn); /* there may be room now */
    conn->queued -= stream->body_len - stream->body_off;
    stream->body_len = stream->body_off = 0;
    stream->body = NULL;
    stream->conn = NULL;
    if (conn->found == stream)
        conn->found = NULL;
    flo_list_remove(&conn->streams, &stream->node);
    if (flo_list_empty(&conn->streams)) {
        conn->idle_since_ns = flo_clock_mono_ns();
        if (conn->draining)
            flo_h2_conn_schedule(conn);
        else if (conn->opt.idle_timeout_ms > 0)
            flo_h2_conn_arm(conn);
    }
}

/* ---- what nghttp2 tells us ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct flo_h2_conn *conn = user;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    if (conn->final_goaway) /* it was on the way when we said the last stream */
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                         NGHTTP2_REFUSED_STREAM)
                   ? NGHTTP2_ERR_CALLBACK_FAILURE
                   : 0;
    struct flo_h2_stream *stream = conn->handler->on_open(conn->ctx, conn);
    if (conn->doomed)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (!stream)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    bind_stream(conn, stream, frame->hd.stream_id);
    stream->opened = true;
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    (void)session;
    (void)flags;
    struct flo_h2_conn *conn = user;
    struct flo_h2_stream *stream = find(conn, frame->hd.stream_id);
    if (!stream)
        return 0;
    int rc = conn->handler->on_header(conn->ctx, stream, name, name_len, value, value_len);
    if (conn->doomed)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return rc ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
}

/*
 * What is used up is given back to the peer's windows in parts of a quarter of the smallest window:
 * nghttp2, which looks streams up and counts for each call, is not asked for a message that is
 * small, and the peer always has room left, since nghttp2 sends at half a window.
 */
#define GIVE_BACK_BYTES (NGHTTP2_INITIAL_WINDOW_SIZE / 4)

static int consume_connection(struct flo_h2_conn *conn, size_t len)
{
    conn->unacked += len;
    if (conn->unacked < GIVE_BACK_BYTES)
        return 0;
    len = conn->unacked;
    conn->unacked = 0;
    return nghttp2_session_consume_connection(conn->session, len);
}

static int consume_stream(struct flo_h2_conn *conn, struct flo_h2_stream *stream, size_t len)
{
    stream->unacked += len;
    if (stream->unacked < GIVE_BACK_BYTES)
        return 0;
    len = stream->unacked;
    stream->unacked = 0;
    return nghttp2_session_consume_stream(conn->session, stream->id, len);
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t len, void *user)
{
    (void)session;
    (void)flags;
    struct flo_h2_conn *conn = user;
    struct flo_h2_stream *stream = find(conn, id);
    int rc = consume_connection(conn, len);
    /* Before the owner is told: `hold`, which it decides then, is for what follows. */
    if (stream && !stream->hold && !rc)
        rc = consume_stream(conn, stream, len);
    if (rc)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (stream)
        conn->handler->on_data(conn->ctx, stream, data, len);
    return conn->doomed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static void on_settings(struct flo_h2_conn *conn, const nghttp2_frame *frame)
{
    if (frame->hd.flags & NGHTTP2_FLAG_ACK)
        return;
    for (size_t i = 0; conn->coder && i < frame->settings.niv; i++)
        if (frame->settings.iv[i].settings_id == NGHTTP2_SETTINGS_HEADER_TABLE_SIZE)
            flo_h2_coder_limit(conn->coder, frame->settings.iv[i].value);
    if (conn->ready)
        return;
    conn->ready = true;
    flo_h2_conn_arm(conn); /* keepalive begins */
    if (conn->handler->on_ready)
        conn->handler->on_ready(conn->ctx, conn);
}

static void on_goaway(struct flo_h2_conn *conn, const nghttp2_frame *frame)
{
    conn->draining = true;
    conn->final_goaway = conn->opt.server;
    flo_h2_conn_schedule(conn); /* ends here when no stream is left */
    if (conn->handler->on_goaway)
        conn->handler->on_goaway(conn->ctx, conn, frame->goaway.error_code);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    struct flo_h2_conn *conn = user;
    struct flo_h2_stream *stream;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        stream = find(conn, frame->hd.stream_id);
        if (stream && frame->hd.type == NGHTTP2_HEADERS) {
            conn->handler->on_headers(conn->ctx, stream);
            if (conn->doomed)
                break;
            stream = find(conn, frame->hd.stream_id);
        }
        if (stream && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
            conn->handler->on_end(conn->ctx, stream);
        break;
    case NGHTTP2_SETTINGS:
        on_settings(conn, frame);
        break;
    case NGHTTP2_GOAWAY:
        on_goaway(conn, frame);
        break;
    case NGHTTP2_PING:
        if (!(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
            flo_h2_ping_received(conn, frame->ping.opaque_data);
        } else if (conn->drain_ns && !conn->final_goaway) {
            conn->drain_ns = 1; /* the peer has read the first GOAWAY: the timer sends the final */
            flo_h2_conn_arm(conn);
        }
        break;
    default:
        break;
    }
    return conn->doomed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code,
                            void *user)
{
    (void)session;
    (void)frame;
    (void)code;
    struct flo_h2_conn *conn = user;
    if (conn->handler->on_reject)
        conn->handler->on_reject(conn->ctx, "h2.invalid_frame");
    return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct flo_h2_conn *conn = user;
    int32_t id = frame->hd.stream_id;
    struct flo_h2_stream *stream;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        stream = find(conn, id);
        if (stream)
            stream->opened = true;
        flo_h2_guard_sent(&conn->guard);
        break;
    case NGHTTP2_DATA:
        flo_h2_guard_sent(&conn->guard);
        break;
    case NGHTTP2_RST_STREAM:
        if (!flo_h2_guard_charge_reset(&conn->guard, frame->rst_stream.error_code,
                                       flo_clock_mono_ns()))
            conn->fatal = "h2.reset_flood";
        return 0;
    default:
        return 0;
    }
    /* An answer that did not wait for the whole request: tell the client to stop sending it. */
    if (conn->opt.server && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
        nghttp2_session_get_stream_remote_close(session, id) == 0 &&
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    (void)session;
    struct flo_h2_conn *conn = user;
    struct flo_h2_stream *stream = find(conn, id);
    if (!stream)
        return 0;
    flo_h2_session_unbind(conn, stream);
    conn->handler->on_close(conn->ctx, stream, code, false);
    return 0;
}

/* The body of a stream, piece by piece, and its trailers at the end. */
static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t len,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)source;
    struct flo_h2_conn *conn = user;
    struct flo_h2_stream *stream = find(conn, id);
    if (!stream)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    size_t n = stream->body_len - stream->body_off;
    if (n == 0 && stream->more)
        return NGHTTP2_ERR_DEFERRED; /* until flo_h2_continue */
    if (n > len)
        n = len;
    if (n > 0)
        memcpy(out, stream->body + stream->body_off, n);
    stream->body_off += n;
    conn->queued -= n;
    conn->stalled_since_ns = 0;
    if (stream->body_off < stream->body_len || stream->more)
        return (ssize_t)n;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->trailers) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(session, id, stream->trailers, stream->trailer_count))
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (ssize_t)n;
}

/* ---- start ---- */

static int new_session(struct flo_h2_conn *conn)
{
    nghttp2_mem mem = {NULL, mem_malloc, mem_free, mem_calloc, mem_realloc};
    nghttp2_session_callbacks *cb = NULL;
    nghttp2_option *option = NULL;
    int rc = FLO_ENOMEM;
    if (nghttp2_session_callbacks_new(&cb) || nghttp2_option_new(&option))
        goto out;
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    /* Closed streams are forgotten: late frames for them are dropped instead of being answered with
     * STREAM_CLOSED, and ten thousand dead streams a connection cost nothing. */
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_no_auto_ping_ack(option, 1);      /* ping.c */
    nghttp2_option_set_no_auto_window_update(option, 1); /* on_data_chunk, flo_h2_consume */
    nghttp2_option_set_max_settings(option, MAX_SETTINGS);
    nghttp2_option_set_max_continuations(option, MAX_CONTINUATIONS);
    nghttp2_option_set_max_outbound_ack(option, MAX_OUTBOUND_ACK);
    nghttp2_option_set_max_reserved_remote_streams(option, 0);
    if (conn->opt.server ? nghttp2_session_server_new3(&conn->session, cb, conn, option, &mem)
                         : nghttp2_session_client_new3(&conn->session, cb, conn, option, &mem))
        goto out;
    rc = 0;
out:
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(cb);
    return rc;
}

/*
 * SETTINGS_NO_RFC7540_PRIORITIES is not sent: with it nghttp2 1.52 frees a DATA item twice when its
 * queue cannot grow (found by failing each allocation), and it brought no speed. PRIORITY frames
 * are paid for in guard.c.
 */
int flo_h2_session_start(struct flo_h2_conn *conn)
{
    int rc = new_session(conn);
    if (rc)
        return rc;
    if (!conn->opt.server) {
        conn->coder = flo_h2_coder_new();
        if (!conn->coder)
            return FLO_ENOMEM;
    }
    nghttp2_settings_entry entries[4];
    size_t count = 0;
    entries[count++] =
        (nghttp2_settings_entry){NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, conn->opt.stream_window};
    entries[count++] =
        (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, conn->opt.max_header_bytes};
    if (conn->opt.server)
        entries[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
                                                    conn->opt.max_streams};
    else
        entries[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    if (nghttp2_submit_settings(conn->session, NGHTTP2_FLAG_NONE, entries, count) ||
        nghttp2_session_set_local_window_size(conn->session, NGHTTP2_FLAG_NONE, 0,
                                              (int32_t)conn->opt.conn_window))
        return FLO_ENOMEM;
    flo_h2_conn_schedule(conn);
    return 0;
}

/* ---- what the owner asks for ---- */

/* What nghttp2 is given in place of a request's headers: it frames this, one byte without a trace
 * in its table, and flo_h2_session_put_head puts the real ones there. */
static const nghttp2_nv stand_in = {
    .name = (uint8_t *)":method",
    .namelen = 7,
    .value = (uint8_t *)"POST",
    .valuelen = 4,
    .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE,
};

int flo_h2_session_put_head(struct flo_h2_conn *conn, const uint8_t **data, size_t *len)
{
    const uint8_t *frame = *data, *block;
    size_t block_len;
    if (*len < FLO_H2_FRAME_HEADER || frame[3] != NGHTTP2_HEADERS)
        return 0;
    uint32_t id = (uint32_t)frame[5] << 24 | (uint32_t)frame[6] << 16 | (uint32_t)frame[7] << 8 |
                  (uint32_t)frame[8];
    struct flo_h2_stream *stream = find(conn, (int32_t)id);
    if (!stream)
        return FLO_EINVAL; /* nghttp2 drops the HEADERS of streams that were reset before */
    flo_buf_clear(&conn->head);
    if (flo_h2_coder_encode(conn->coder, stream->head, &block, &block_len) ||
        flo_h2_head_frames(frame, block, block_len, &conn->head))
        return FLO_ENOMEM;
    *data = conn->head.data;
    *len = conn->head.len;
    return 0;
}

int flo_h2_request(struct flo_h2_conn *conn, struct flo_h2_stream *stream)
{
    if (!flo_h2_conn_usable(conn))
        return FLO_ECLOSED;
    nghttp2_data_provider provider = {.read_callback = read_body};
    int32_t id = nghttp2_submit_request(conn->session, NULL, &stand_in, 1,
                                        stream->body ? &provider : NULL, stream);
    if (id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE)
        return FLO_ECLOSED;
    if (id < 0)
        return FLO_ENOMEM;
    bind_stream(conn, stream, id);
    conn->queued += stream->body_len;
    flo_h2_conn_schedule(conn);
    return 0;
}

int flo_h2_respond(struct flo_h2_stream *stream, const nghttp2_nv *headers, size_t count)
{
    struct flo_h2_conn *conn = stream->conn;
    bool has_body = stream->body || stream->trailers || stream->more;
    nghttp2_data_provider provider = {.read_callback = read_body};
    if (nghttp2_submit_response(conn->session, stream->id, headers, count,
                                has_body ? &provider : NULL)) {
        stream->body = NULL; /* never counted in queued */
        stream->body_len = 0;
        return FLO_ENOMEM;
    }
    conn->queued += stream->body_len;
    if (conn->queued > FLO_H2_QUEUE_HARD)
        conn->fatal = "h2.output_full";
    flo_h2_conn_schedule(conn);
    return 0;
}

int flo_h2_continue(struct flo_h2_stream *stream, const uint8_t *body, size_t len, bool more)
{
    struct flo_h2_conn *conn = stream->conn;
    if (!conn)
        return FLO_ECLOSED;
    conn->queued = conn->queued - (stream->body_len - stream->body_off) + len;
    stream->body = body;
    stream->body_len = len;
    stream->body_off = 0;
    stream->more = more;
    if (conn->queued > FLO_H2_QUEUE_HARD)
        conn->fatal = "h2.output_full";
    /* Nothing to resume: the stream is not at its end yet, and finds what was put there. */
    int rc = nghttp2_session_resume_data(conn->session, stream->id);
    flo_h2_conn_schedule(conn);
    return rc && rc != NGHTTP2_ERR_INVALID_ARGUMENT ? FLO_ENOMEM : 0;
}

void flo_h2_consume(struct flo_h2_stream *stream, size_t len)
{
    struct flo_h2_conn *conn = stream->conn;
    if (!conn || len == 0)
        return;
    if (consume_stream(conn, stream, len))
        conn->fatal = "out of memory";
    flo_h2_conn_schedule(conn);
}

void flo_h2_reset(struct flo_h2_stream *stream, uint32_t error_code)
{
    struct flo_h2_conn *conn = stream->conn;
    if (!conn)
        return;
    /* Without memory for the frame the connection cannot keep its word: it ends. */
    if (nghttp2_submit_rst_stream(conn->session, NGHTTP2_FLAG_NONE, stream->id, error_code))
        conn->fatal = "out of memory";
    nghttp2_session_set_stream_user_data(conn->session, stream->id, NULL);
    flo_h2_session_unbind(conn, stream);
    flo_h2_conn_schedule(conn);
}

void flo_h2_release(struct flo_h2_stream *stream)
{
    struct flo_h2_conn *conn = stream->conn;
    if (!conn)
        return;
    if (nghttp2_session_get_stream_local_close(conn->session, stream->id) != 1) {
        flo_h2_reset(stream, NGHTTP2_NO_ERROR);
        return;
    }
    nghttp2_session_set_stream_user_data(conn->session, stream->id, NULL);
    flo_h2_session_unbind(conn, stream);
}
