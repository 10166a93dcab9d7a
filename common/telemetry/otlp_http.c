/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otlp_http.c - one POST to the collector by evhttp, on a connection of its own: exports are
 * seconds apart, and a connection that is not kept cannot have died meanwhile. One timer limits all
 * of it: the name, the connection, the answer.
 */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "telemetry/otlp_internal.h"

#define BODY_MAX_BYTES 65536
#define HEADERS_MAX_BYTES 16384
#define RETRY_AFTER_MAX_MS 300000 /* more is not waited for */

/* ---- addresses ---- */

int flo_otlp_url_parse(const char *text, struct flo_otlp_url *out, struct flo_err *err)
{
    struct evhttp_uri *uri = evhttp_uri_parse(text);
    const char *scheme = uri ? evhttp_uri_get_scheme(uri) : NULL;
    const char *host = uri ? evhttp_uri_get_host(uri) : NULL;
    struct flo_otlp_url url = {0};
    int rc = 0;

    if (!scheme || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) || !host ||
        !*host || evhttp_uri_get_userinfo(uri) || evhttp_uri_get_fragment(uri)) {
        rc = flo_fail(err, FLO_EINVAL, "\"%.200s\" is no endpoint: http://host:4318 or https://...",
                      text);
        goto out;
    }
    const char *path = evhttp_uri_get_path(uri), *query = evhttp_uri_get_query(uri);
    size_t len = strlen(host);
    bool v6 = *host == '[' && host[len - 1] == ']';
    url.tls = strcmp(scheme, "https") == 0;
    url.port = evhttp_uri_get_port(uri);
    url.host = v6 ? flo_asprintf("%.*s", (int)len - 2, host + 1) : flo_strdup(host);
    url.authority = url.port > 0 ? flo_asprintf("%s:%d", host, url.port) : flo_strdup(host);
    url.path =
        flo_asprintf("%s%s%s", path && *path ? path : "/", query ? "?" : "", query ? query : "");
    if (url.port <= 0)
        url.port = url.tls ? 443 : 80;
    if (!url.host || !url.authority || !url.path) {
        flo_otlp_url_fini(&url);
        rc = flo_fail(err, FLO_ENOMEM, "no memory for an endpoint");
        goto out;
    }
    *out = url;
out:
    if (uri)
        evhttp_uri_free(uri);
    return rc;
}

void flo_otlp_url_fini(struct flo_otlp_url *url)
{
    flo_free(url->host);
    flo_free(url->path);
    flo_free(url->authority);
    *url = (struct flo_otlp_url){0};
}

/* ---- a request ---- */

struct flo_otlp_post {
    struct evhttp_connection *connection;
    struct event *end; /* the time is over, or there is a reply: outside evhttp's callbacks */
    flo_otlp_reply_fn done;
    void *ctx;
    bool replied;
    struct flo_otlp_reply reply;
    char body[BODY_MAX_BYTES + 1];
};

void flo_otlp_post_cancel(struct flo_otlp_post **post)
{
    struct flo_otlp_post *gone = *post;

    *post = NULL;
    if (!gone)
        return;
    if (gone->connection)
        evhttp_connection_free(gone->connection);
    if (gone->end)
        event_free(gone->end);
    flo_free(gone);
}

static void on_end(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_otlp_post *post = ctx;

    (void)fd;
    (void)what;
    if (!post->replied)
        post->reply.reason = "no answer in time";
    /* The connection goes first: a new request may be made in done(). */
    evhttp_connection_free(post->connection);
    post->connection = NULL;
    post->done(post->ctx, &post->reply);
    flo_otlp_post_cancel(&post);
}

static int64_t retry_ms(const char *text)
{
    struct tm tm = {0};
    int64_t ms = -1;
    char *end;

    if (!text)
        return -1;
    long seconds = strtol(text, &end, 10);
    if (end != text && *end == '\0' && seconds >= 0)
        ms = seconds < RETRY_AFTER_MAX_MS / 1000 ? seconds * INT64_C(1000) : RETRY_AFTER_MAX_MS;
    else if (strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm))
        ms = (int64_t)timegm(&tm) * 1000 - flo_clock_wall_ns() / FLO_NS_PER_MS;
    if (ms > RETRY_AFTER_MAX_MS)
        ms = RETRY_AFTER_MAX_MS;
    return ms < -1 ? 0 : ms;
}

static const char *error_text(enum evhttp_request_error error)
{
    switch (error) {
    case EVREQ_HTTP_TIMEOUT:
        return "no answer in time";
    case EVREQ_HTTP_EOF:
        return "the connection was closed before an answer came";
    case EVREQ_HTTP_INVALID_HEADER:
        return "the answer is no HTTP";
    case EVREQ_HTTP_DATA_TOO_LONG:
        return "the answer is too long";
    default:
        return "the connection broke";
    }
}

static void on_error(enum evhttp_request_error error, void *ctx)
{
    struct flo_otlp_post *post = ctx;

    post->reply.reason = error_text(error);
}

static void on_reply(struct evhttp_request *request, void *ctx)
{
    struct flo_otlp_post *post = ctx;
    int status = request ? evhttp_request_get_response_code(request) : 0;

    if (status) {
        struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
        ev_ssize_t len =
            evbuffer_copyout(evhttp_request_get_input_buffer(request), post->body, BODY_MAX_BYTES);
        post->body[len > 0 ? len : 0] = '\0';
        post->reply.status = status;
        post->reply.retry_ms = retry_ms(evhttp_find_header(headers, "Retry-After"));
    } else if (!post->reply.reason) {
        post->reply.reason = "no connection";
    }
    post->replied = true;
    event_active(post->end, EV_TIMEOUT, 1);
}

/* Where the name is to be asked for: without evdns libevent would wait for it. NULL for addresses.
 */
static struct evdns_base *resolver(const struct flo_otlp_peer *peer)
{
    unsigned char address[sizeof(struct in6_addr)];

    if (inet_pton(AF_INET, peer->url.host, address) == 1 ||
        inet_pton(AF_INET6, peer->url.host, address) == 1)
        return NULL;
    if (!*peer->dns) {
        *peer->dns = evdns_base_new(peer->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
        if (*peer->dns) /* no such file, or an empty one: the name server of this machine */
            (void)evdns_base_resolv_conf_parse(*peer->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
    }
    return *peer->dns;
}

static struct evhttp_connection *connect_to(const struct flo_otlp_peer *peer)
{
    struct evdns_base *dns = resolver(peer);
    struct bufferevent *bev = NULL;
    struct evhttp_connection *connection;

    if (peer->tls) {
        bev = flo_otlp_tls_bufferevent(peer->tls, peer->base, peer->url.host);
        if (!bev)
            return NULL;
    }
    connection = evhttp_connection_base_bufferevent_new(peer->base, dns, bev, peer->url.host,
                                                        (unsigned short)peer->url.port);
    if (!connection && bev)
        bufferevent_free(bev);
    return connection;
}

static struct evhttp_request *request_for(const struct flo_otlp_peer *peer,
                                          struct flo_otlp_post *post)
{
    struct evhttp_request *request = evhttp_request_new(on_reply, post);
    struct evkeyvalq *headers;
    int rc;

    if (!request)
        return NULL;
    evhttp_request_set_error_cb(request, on_error);
    headers = evhttp_request_get_output_headers(request);
    rc = evhttp_add_header(headers, "Host", peer->url.authority);
    rc |= evhttp_add_header(headers, "User-Agent", peer->agent);
    rc |= evhttp_add_header(headers, "Content-Type", "application/json");
    rc |= evhttp_add_header(headers, "Connection", "close");
    for (size_t i = 0; i < peer->headers->count; i++) {
        const struct flo_pair *pair = &peer->headers->items[i];
        evhttp_remove_header(headers, pair->key);
        rc |= evhttp_add_header(headers, pair->key, pair->value);
    }
    if (rc) {
        evhttp_request_free(request);
        return NULL;
    }
    return request;
}

int flo_otlp_post_start(const struct flo_otlp_peer *peer, struct evbuffer *body,
                        flo_otlp_reply_fn done, void *ctx, struct flo_otlp_post **out)
{
    const struct timeval limit = {.tv_sec = peer->timeout_ms / 1000,
                                  .tv_usec = peer->timeout_ms % 1000 * 1000};
    struct flo_otlp_post *post = flo_malloc(sizeof *post); /* its body is written when it comes */
    struct evhttp_request *request = NULL;

    if (!post)
        return FLO_ENOMEM;
    memset(post, 0, offsetof(struct flo_otlp_post, body) + 1);
    post->done = done;
    post->ctx = ctx;
    post->reply.retry_ms = -1;
    post->reply.body = post->body;
    post->end = evtimer_new(peer->base, on_end, post);
    post->connection = connect_to(peer);
    request = post->connection ? request_for(peer, post) : NULL;
    if (!post->end || !request || event_add(post->end, &limit))
        goto fail;
    evhttp_connection_set_timeout_tv(post->connection, &limit);
    evhttp_connection_set_max_body_size(post->connection, BODY_MAX_BYTES);
    evhttp_connection_set_max_headers_size(post->connection, HEADERS_MAX_BYTES);
    evbuffer_add_buffer(evhttp_request_get_output_buffer(request), body);
    *out = post;
    if (evhttp_make_request(post->connection, request, EVHTTP_REQ_POST, peer->url.path) == 0)
        return 0;
    *out = NULL; /* the request is gone with the connection */
    flo_otlp_post_cancel(&post);
    return FLO_ESYS;
fail:
    if (request)
        evhttp_request_free(request);
    flo_otlp_post_cancel(&post);
    return FLO_ENOMEM;
}
