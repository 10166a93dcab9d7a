/* SPDX-License-Identifier: Apache-2.0 */
/* http_internal.h - what the files of the HTTP server share: http.c (routes, pages), http_conn.c
 * (connections), http_stream.c (server-sent events). */
#ifndef FLO_TELEMETRY_HTTP_INTERNAL_H
#define FLO_TELEMETRY_HTTP_INTERNAL_H

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "base/list.h"
#include "telemetry/http.h"
#include "telemetry/http_parse.h"

#define FLO_HTTP_ROUTES_MAX 48
#define FLO_HTTP_NAMES_MAX 16
#define FLO_HTTP_CONNS_MAX 256

/*
 * The life of a connection:
 *
 *            byte            head, body         answered            sent, keep-alive
 *   (accept) ----> READING ------------> HANDLING -----> WRITING -------------------> IDLE
 *   IDLE              |                     |               |                          |
 *                     | refused             | joined        | sent, close              |
 *                     +---> WRITING         v               v                          |
 *                                        STREAMING       CLOSING <---------------------+
 *
 * One timer bounds the state that it is in; HANDLING has none (the handler sees to it), STREAMING
 * is bounded by what waits to be sent.
 */
enum flo_http_state {
    FLO_HTTP_IDLE,
    FLO_HTTP_READING,
    FLO_HTTP_HANDLING,
    FLO_HTTP_WRITING,
    FLO_HTTP_STREAMING,
    FLO_HTTP_CLOSING, /* our side is shut; what still comes is thrown away */
    FLO_HTTP_STATES
};

struct flo_http_later {
    flo_http_gone_fn gone; /* may be NULL */
    void *ctx;
    bool armed;
};

struct flo_http_conn {
    struct flo_node node; /* on http->conns[state], longest in it first */
    enum flo_http_state state;
    struct flo_http *http;
    struct bufferevent *bev;
    struct event *timer;
    char *head_text; /* heap, while a request is read or handled; head points into it */
    struct flo_http_head *head;
    const struct flo_http_route *route; /* that serves the request */
    struct flo_http_later later;
    struct flo_http_channel *channel; /* while STREAMING */
    struct flo_node listener;         /* on channel->conns */
    bool http10;                      /* no chunks, no lasting connection unless asked for */
    bool head_only;                   /* HEAD */
    bool keep_alive;                  /* after this answer */
    bool ended;                       /* the client sends no more */
};

struct flo_http {
    struct event_base *base;
    struct flo_metrics *metrics; /* borrowed, may be NULL */
    struct flo_health *health;   /* borrowed, may be NULL */
    struct flo_http_route routes[FLO_HTTP_ROUTES_MAX];
    size_t route_count;
    char *names[FLO_HTTP_NAMES_MAX]; /* trusted beside our own */
    size_t name_count;
    struct evconnlistener *listeners[FLO_HTTP_LISTENERS_MAX];
    size_t listener_count;
    struct flo_list conns[FLO_HTTP_STATES];
    size_t conn_count;
    struct event *resume; /* accepting goes on, after descriptors ran out */
    bool paused;
    struct flo_http_metrics metrics_page;
};

/* http.c: find the page, check what may be asked of it. 0, or the status of the refusal. */
int flo_http_admit(struct flo_http *http, const struct flo_http_head *head,
                   const struct flo_http_route **out_route, enum flo_http_method *out_method);
/* http.c: the methods of a path as a value of Allow. */
void flo_http_allowed(const struct flo_http *http, const char *path, char *out, size_t size);
void flo_http_count(struct flo_http *http, const char *label, int status);

/* http_conn.c: take over an accepted socket (closed on failure). */
void flo_http_conn_accept(struct flo_http *http, evutil_socket_t fd);
void flo_http_conn_free(struct flo_http_conn *conn);
void flo_http_conn_move(struct flo_http_conn *conn, enum flo_http_state state);
/* The status line and headers of reply; length < 0: a stream. */
void flo_http_conn_put_head(struct flo_http_conn *conn, const struct flo_http_reply *reply,
                            int64_t length);
/* http_stream.c: a listener's connection ends. */
void flo_http_channel_leave(struct flo_http_conn *conn);
/* http.c: a connection ended, so that another may come. */
void flo_http_resume(struct flo_http *http);

#endif
