/* SPDX-License-Identifier: Apache-2.0 */
/* http_stream.c - texts that replies share, and server-sent events. */
#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "telemetry/http_internal.h"

/* ---- shared texts ---- */

struct flo_http_text {
    unsigned refs;
    uint8_t *data;
    size_t len;
};

struct flo_http_text *flo_http_text_new(struct flo_buf *buf)
{
    struct flo_http_text *text = flo_calloc(1, sizeof *text);
    if (!text)
        return NULL;
    text->refs = 1;
    text->data = flo_buf_take(buf, &text->len);
    return text;
}

struct flo_http_text *flo_http_text_ref(struct flo_http_text *text)
{
    text->refs++;
    return text;
}

void flo_http_text_unref(struct flo_http_text **text)
{
    if (*text && --(*text)->refs == 0) {
        flo_free((*text)->data);
        flo_free(*text);
    }
    *text = NULL;
}

const void *flo_http_text_data(const struct flo_http_text *text, size_t *out_len)
{
    *out_len = text->len;
    return text->data;
}

/* ---- events ---- */

struct flo_http_channel {
    struct flo_http *http;
    struct flo_http_channel_options options;
    struct flo_list conns; /* that listen, by their member listener */
};

void flo_http_event(struct flo_buf *out, const char *name, const char *id, const char *data,
                    size_t len)
{
    flo_buf_printf(out, "event: %s\n", name);
    if (id)
        flo_buf_printf(out, "id: %s\n", id);
    do {
        const char *end = len ? memchr(data, '\n', len) : NULL;
        size_t line = end ? (size_t)(end - data) : len;
        flo_buf_append_str(out, "data: ");
        flo_buf_append(out, data, line);
        flo_buf_append_str(out, "\n");
        line += end != NULL;
        data += line;
        len -= line;
    } while (len);
    flo_buf_append_str(out, "\n");
}

/* Queue bytes for one listener; false: it must go. */
static bool put(struct flo_http_conn *conn, const void *data, size_t len)
{
    struct evbuffer *out = bufferevent_get_output(conn->bev);
    if (!len)
        return true;
    if (evbuffer_get_length(out) + len > conn->channel->options.backlog_bytes)
        return false;
    if (!conn->http10 && evbuffer_add_printf(out, "%zx\r\n", len) < 0)
        return false;
    if (evbuffer_add(out, data, len))
        return false;
    return conn->http10 || evbuffer_add(out, "\r\n", 2) == 0;
}

bool flo_http_channel_join(struct flo_http_channel *channel, const struct flo_http_request *request,
                           struct flo_http_reply *reply, const struct flo_buf *first)
{
    struct flo_http_conn *conn = request->conn;
    char hello[48];
    if (channel->conns.count >= channel->options.listeners_max) {
        flo_http_error(reply, 503, "%zu listen already", channel->conns.count);
        return false;
    }
    conn->keep_alive = false; /* the stream ends with the connection */
    reply->content_type = "text/event-stream";
    flo_http_count(conn->http, conn->route->path, reply->status);
    flo_http_conn_put_head(conn, reply, -1);
    conn->channel = channel;
    flo_list_push_back(&channel->conns, &conn->listener);
    if (!conn->head_only) {
        int len = snprintf(hello, sizeof hello, "retry: %d\n\n", channel->options.retry_ms);
        /* What does not fit at once is told to the client by the events that follow. */
        (void)put(conn, hello, (size_t)len);
        if (first && !first->failed)
            (void)put(conn, first->data, first->len);
    }
    flo_http_conn_move(conn, FLO_HTTP_STREAMING);
    return true;
}

void flo_http_channel_leave(struct flo_http_conn *conn)
{
    flo_list_remove(&conn->channel->conns, &conn->listener);
    conn->channel = NULL;
}

size_t flo_http_channel_listeners(const struct flo_http_channel *channel)
{
    return channel->conns.count;
}

void flo_http_channel_send(struct flo_http_channel *channel, const struct flo_buf *events)
{
    static const char comment[] = ":\n\n";
    const void *data = events->len ? (const void *)events->data : comment;
    size_t len = events->len ? events->len : sizeof comment - 1;
    if (events->failed)
        return;
    FLO_LIST_FOREACH_SAFE(node, &channel->conns)
    {
        struct flo_http_conn *conn = flo_container(node, struct flo_http_conn, listener);
        if (!put(conn, data, len))
            flo_http_conn_free(conn); /* it comes back when it can read */
    }
}

int flo_http_channel_new(struct flo_http *http, const struct flo_http_channel_options *options,
                         struct flo_http_channel **out)
{
    struct flo_http_channel *channel = flo_calloc(1, sizeof *channel);
    if (!channel)
        return FLO_ENOMEM;
    channel->http = http;
    channel->options = *options;
    flo_list_init(&channel->conns);
    *out = channel;
    return 0;
}

void flo_http_channel_destroy(struct flo_http_channel **channel)
{
    if (!*channel)
        return;
    FLO_LIST_FOREACH_SAFE(node, &(*channel)->conns)
    flo_http_conn_free(flo_container(node, struct flo_http_conn, listener));
    flo_free(*channel);
    *channel = NULL;
}
