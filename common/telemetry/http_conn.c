/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_conn.c - one connection: reads requests one after the other, answers each before it looks at
 * the next. What a client may send ahead is bounded by the reading side's watermark.
 *
 * A refused request ends its connection, since nobody knows where the next one would begin. The end
 * is gentle: our side is shut and what the client still sends is read and thrown away for a moment,
 * because closing on unread bytes would make the kernel discard the answer too.
 */
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "telemetry/http_internal.h"

#define AHEAD_MAX_BYTES (FLO_HTTP_LINE_MAX + FLO_HTTP_HEADERS_MAX + FLO_HTTP_BODY_MAX + 1024)
#define REPLY_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define STALL_SECONDS 15
#define STRICT_CSP "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

void flo_http_conn_move(struct flo_http_conn *conn, enum flo_http_state state)
{
    static const int seconds[FLO_HTTP_STATES] = {[FLO_HTTP_IDLE] = 15,
                                                 [FLO_HTTP_READING] = 5,
                                                 [FLO_HTTP_WRITING] = 60,
                                                 [FLO_HTTP_CLOSING] = 2};
    flo_list_remove(&conn->http->conns[conn->state], &conn->node);
    conn->state = state;
    flo_list_push_back(&conn->http->conns[state], &conn->node);
    const struct timeval limit = {.tv_sec = seconds[state]};
    if (limit.tv_sec)
        event_add(conn->timer, &limit);
    else
        event_del(conn->timer);
}

static void drop_request(struct flo_http_conn *conn)
{
    flo_free(conn->head_text);
    flo_free(conn->head);
    conn->head_text = NULL;
    conn->head = NULL;
    conn->route = NULL;
}

void flo_http_conn_free(struct flo_http_conn *conn)
{
    struct flo_http *http = conn->http;
    struct flo_http_later later = conn->later;
    if (conn->channel)
        flo_http_channel_leave(conn);
    flo_list_remove(&http->conns[conn->state], &conn->node);
    http->conn_count--;
    drop_request(conn);
    if (conn->timer)
        event_free(conn->timer);
    if (conn->bev)
        bufferevent_free(conn->bev);
    flo_free(conn);
    if (later.armed && later.gone)
        later.gone(later.ctx);
    flo_http_resume(http);
}

/* ---- answers ---- */

static const char *reason_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } known[] = {{200, "OK"},
                 {202, "Accepted"},
                 {204, "No Content"},
                 {400, "Bad Request"},
                 {401, "Unauthorized"},
                 {403, "Forbidden"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {406, "Not Acceptable"},
                 {409, "Conflict"},
                 {411, "Length Required"},
                 {413, "Content Too Large"},
                 {414, "URI Too Long"},
                 {415, "Unsupported Media Type"},
                 {422, "Unprocessable Content"},
                 {429, "Too Many Requests"},
                 {431, "Request Header Fields Too Large"},
                 {500, "Internal Server Error"},
                 {502, "Bad Gateway"},
                 {503, "Service Unavailable"},
                 {504, "Gateway Timeout"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].status == status)
            return known[i].phrase;
    return status < 400 ? "OK" : "Error";
}

static void put_connection(struct flo_http_conn *conn, struct evbuffer *out)
{
    if (!conn->keep_alive)
        evbuffer_add_printf(out, "Connection: close\r\n");
    else if (conn->http10)
        evbuffer_add_printf(out, "Connection: keep-alive\r\n");
}

void flo_http_conn_put_head(struct flo_http_conn *conn, const struct flo_http_reply *reply,
                            int64_t length)
{
    struct evbuffer *out = bufferevent_get_output(conn->bev);
    time_t now = (time_t)(flo_clock_wall_ns() / FLO_NS_PER_S);
    struct tm tm;
    char date[40] = "";
    if (gmtime_r(&now, &tm))
        (void)strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    evbuffer_add_printf(out,
                        "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\n"
                        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                        "X-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n"
                        "Content-Security-Policy: %s\r\n",
                        reply->status, reason_phrase(reply->status), date, reply->content_type,
                        reply->csp ? reply->csp : STRICT_CSP);
    if (length >= 0)
        evbuffer_add_printf(out, "Content-Length: %lld\r\n", (long long)length);
    else if (!conn->http10)
        evbuffer_add_printf(out, "Transfer-Encoding: chunked\r\n");
    if (reply->status == 405) {
        char allowed[64];
        flo_http_allowed(conn->http, conn->head ? conn->head->path : "", allowed, sizeof allowed);
        evbuffer_add_printf(out, "Allow: %s\r\n", allowed);
    }
    if (reply->status == 503)
        evbuffer_add_printf(out, "Retry-After: 1\r\n");
    if (reply->challenge)
        evbuffer_add_printf(out, "WWW-Authenticate: %s\r\n", reply->challenge);
    put_connection(conn, out);
    evbuffer_add_printf(out, "\r\n");
}

static void unref_sent(const void *data, size_t len, void *ctx)
{
    struct flo_http_text *text = ctx;
    (void)data;
    (void)len;
    flo_http_text_unref(&text);
}

/* The body is not copied: it goes from the reply into the output as it is. */
static int put_body(struct flo_http_conn *conn, struct flo_http_reply *reply)
{
    struct evbuffer *out = bufferevent_get_output(conn->bev);
    if (!reply->text)
        reply->text = flo_http_text_new(&reply->body);
    if (!reply->text)
        return -1;
    size_t len = 0;
    const void *data = flo_http_text_data(reply->text, &len);
    if (!len || conn->head_only)
        return 0;
    if (evbuffer_add_reference(out, data, len, unref_sent, reply->text))
        return -1;
    reply->text = NULL; /* the output's */
    return 0;
}

/* Send the reply; takes its content. The connection may be gone afterwards. */
static void send_reply(struct flo_http_conn *conn, struct flo_http_reply *reply)
{
    if (reply->body.failed) /* no page is better than half of one */
        flo_http_error(reply, 503, "the answer is too large, or memory is short");
    size_t len = reply->body.len;
    if (reply->text)
        (void)flo_http_text_data(reply->text, &len);
    flo_http_count(conn->http, conn->route ? conn->route->path : "other", reply->status);
    flo_http_conn_put_head(conn, reply, (int64_t)len);
    int rc = put_body(conn, reply);
    flo_buf_fini(&reply->body);
    flo_http_text_unref(&reply->text);
    if (rc) {
        flo_http_conn_free(conn);
        return;
    }
    drop_request(conn);
    flo_http_conn_move(conn, FLO_HTTP_WRITING); /* on_sent goes on */
}

/* Answer and end the connection. */
static void refuse(struct flo_http_conn *conn, int status)
{
    struct flo_http_reply reply;
    flo_http_reply_init(&reply);
    flo_http_error(&reply, status, "%s", reason_phrase(status));
    conn->keep_alive = false;
    send_reply(conn, &reply);
}

void flo_http_reply_init(struct flo_http_reply *reply)
{
    *reply = (struct flo_http_reply){.status = 200, .content_type = "application/json"};
    flo_buf_init(&reply->body, REPLY_MAX_BYTES);
}

/* ---- handling ---- */

static void dispatch(struct flo_http_conn *conn, enum flo_http_method method)
{
    struct evbuffer *in = bufferevent_get_input(conn->bev);
    size_t body_len = conn->head->body_len;
    struct flo_http_request request = {.path = conn->head->path,
                                       .query = conn->head->query,
                                       .method = method,
                                       .body_len = body_len,
                                       .conn = conn};
    struct flo_http_reply reply;
    if (body_len) {
        request.body = (const char *)evbuffer_pullup(in, (ev_ssize_t)body_len);
        if (!request.body) {
            refuse(conn, 503);
            return;
        }
    }
    flo_http_reply_init(&reply);
    flo_http_conn_move(conn, FLO_HTTP_HANDLING);
    conn->route->fn(conn->route->ctx, &request, &reply);
    evbuffer_drain(in, body_len);
    if (conn->channel)
        drop_request(conn);
    if (conn->later.armed || conn->channel) { /* it is not the reply that answers */
        flo_buf_fini(&reply.body);
        flo_http_text_unref(&reply.text);
        return;
    }
    send_reply(conn, &reply);
}

struct flo_http_later *flo_http_later(const struct flo_http_request *request, flo_http_gone_fn gone,
                                      void *ctx)
{
    struct flo_http_conn *conn = request->conn;
    conn->later = (struct flo_http_later){.gone = gone, .ctx = ctx, .armed = true};
    return &conn->later;
}

void flo_http_answer(struct flo_http_later **later, struct flo_http_reply *reply)
{
    struct flo_http_conn *conn = flo_container(*later, struct flo_http_conn, later);
    conn->later.armed = false;
    *later = NULL;
    send_reply(conn, reply);
}

const char *flo_http_header(const struct flo_http_request *request, const char *name)
{
    const struct flo_http_head *head = request->conn->head;
    for (size_t i = 0; i < head->field_count; i++)
        if (strcasecmp(head->fields[i].name, name) == 0)
            return head->fields[i].value;
    return NULL;
}

void flo_http_remote(const struct flo_http_request *request, char out[FLO_HTTP_ADDRESS_MAX])
{
    flo_net_peer_address((int)bufferevent_getfd(request->conn->bev), out);
}

/* ---- reading ---- */

/* Take the head out of the input. 0: conn->head is it; -1: more is needed; else refuse so. */
static int read_head(struct flo_http_conn *conn)
{
    struct evbuffer *in = bufferevent_get_input(conn->bev);
    size_t have = evbuffer_get_length(in), len = 0;
    const size_t most = FLO_HTTP_LINE_MAX + FLO_HTTP_HEADERS_MAX + 4;
    if (have > most)
        have = most;
    const char *text = (const char *)evbuffer_pullup(in, (ev_ssize_t)have);
    int status = text ? flo_http_find_head(text, have, &len) : 503;
    if (status)
        return status;
    conn->head_text = flo_malloc(len);
    conn->head = flo_calloc(1, sizeof *conn->head);
    if (!conn->head_text || !conn->head) {
        drop_request(conn);
        return 503;
    }
    (void)evbuffer_remove(in, conn->head_text, len);
    status = flo_http_parse_head(conn->head_text, len, conn->head);
    if (status)
        drop_request(conn); /* half of it means nothing */
    return status;
}

/* One request, if it is whole. */
static void read_request(struct flo_http_conn *conn)
{
    struct evbuffer *in = bufferevent_get_input(conn->bev);
    bool first_look = !conn->head;
    enum flo_http_method method = FLO_HTTP_GET;
    int status = first_look ? read_head(conn) : 0;
    if (status < 0)
        return;
    if (!status) {
        conn->head_only = strcmp(conn->head->method, "HEAD") == 0;
        conn->keep_alive = conn->head->keep_alive;
        conn->http10 = conn->head->http10;
        status = flo_http_admit(conn->http, conn->head, &conn->route, &method);
        /* A body that is not waited for would be taken for the next request. */
        if (status && conn->head->body_len)
            conn->keep_alive = false;
    }
    if (status == 403 || status == 404 || status == 405) {
        struct flo_http_reply reply;
        flo_http_reply_init(&reply);
        flo_http_error(&reply, status, "%s", reason_phrase(status));
        send_reply(conn, &reply);
    } else if (status) {
        refuse(conn, status);
    } else if (evbuffer_get_length(in) >= conn->head->body_len) {
        dispatch(conn, method);
    } else if (first_look && conn->head->expects_continue) {
        bufferevent_write(conn->bev, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    }
}

static void on_read(struct bufferevent *bev, void *ctx)
{
    struct flo_http_conn *conn = ctx;
    struct evbuffer *in = bufferevent_get_input(bev);
    if (conn->state == FLO_HTTP_STREAMING || conn->state == FLO_HTTP_CLOSING) {
        evbuffer_drain(in, evbuffer_get_length(in));
        return;
    }
    if (conn->state == FLO_HTTP_IDLE && evbuffer_get_length(in))
        flo_http_conn_move(conn, FLO_HTTP_READING);
    if (conn->state == FLO_HTTP_READING)
        read_request(conn);
}

/* The answer has left: the next request, or the end. */
static void on_sent(struct bufferevent *bev, void *ctx)
{
    struct flo_http_conn *conn = ctx;
    if (conn->state != FLO_HTTP_WRITING)
        return;
    if (conn->keep_alive && !conn->ended) {
        flo_http_conn_move(conn, FLO_HTTP_IDLE);
        on_read(bev, conn);
    } else if (conn->ended) {
        flo_http_conn_free(conn);
    } else {
        (void)shutdown(bufferevent_getfd(bev), SHUT_WR);
        flo_http_conn_move(conn, FLO_HTTP_CLOSING);
        on_read(bev, conn);
    }
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
    struct flo_http_conn *conn = ctx;
    (void)bev;
    conn->ended = true;
    if ((what & BEV_EVENT_EOF) && conn->state == FLO_HTTP_WRITING)
        return; /* it has sent all it will, and still reads */
    flo_http_conn_free(conn);
}

static void on_limit(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    flo_http_conn_free(ctx);
}

void flo_http_conn_accept(struct flo_http *http, evutil_socket_t fd)
{
    struct flo_http_conn *conn = flo_calloc(1, sizeof *conn);
    if (!conn) {
        evutil_closesocket(fd);
        return;
    }
    conn->http = http;
    conn->state = FLO_HTTP_IDLE;
    flo_list_push_back(&http->conns[FLO_HTTP_IDLE], &conn->node);
    http->conn_count++;
    conn->timer = evtimer_new(http->base, on_limit, conn);
    conn->bev = bufferevent_socket_new(http->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!conn->timer || !conn->bev) {
        if (!conn->bev)
            evutil_closesocket(fd);
        flo_http_conn_free(conn);
        return;
    }
    const struct timeval stall = {.tv_sec = STALL_SECONDS};
    bufferevent_setcb(conn->bev, on_read, on_sent, on_event, conn);
    bufferevent_setwatermark(conn->bev, EV_READ, 0, AHEAD_MAX_BYTES);
    bufferevent_set_timeouts(conn->bev, NULL, &stall);
    flo_http_conn_move(conn, FLO_HTTP_IDLE); /* its time runs */
    bufferevent_enable(conn->bev, EV_READ | EV_WRITE);
}
