/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.c - routes on evhttp.
 *
 * evhttp is told that all methods are allowed, so that a refused one is answered by us with 405 and
 * Allow (evhttp's own answer is 501). Limits: headers and request line 8 KiB, bodies 1 KiB (none is
 * read), connections idle for 15 s are closed.
 */
#include "telemetry/http.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/net.h"
#include "telemetry/health_internal.h"

#define ROUTES_MAX 32
#define HEADERS_MAX_BYTES 8192
#define BODY_MAX_BYTES 1024
#define REPLY_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define IDLE_SECONDS 15
#define BACKLOG 128
#define STRICT_CSP "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

struct route {
    const char *path;
    flo_http_handler_fn fn;
    void *ctx;
};

struct flo_http {
    struct evhttp *evhttp;
    struct flo_metrics *metrics; /* borrowed, may be NULL */
    struct flo_health *health;   /* borrowed, may be NULL */
    struct route routes[ROUTES_MAX];
    size_t route_count;
    int listeners[FLO_HTTP_LISTENERS_MAX]; /* owned by evhttp */
    size_t listener_count;
};

/* ---- the built-in pages ---- */

/* "verbose", alone or with a value, is one of the query's parameters. */
static bool is_verbose(const char *query)
{
    static const char word[] = "verbose";
    for (const char *at = query; at && *at; at = strchr(at, '&'), at += at != NULL) {
        size_t len = strcspn(at, "=&");
        if (len == sizeof word - 1 && memcmp(at, word, len) == 0)
            return true;
    }
    return false;
}

static void serve_checks(struct flo_http *http, bool live_only, const char *query,
                         struct flo_http_reply *reply)
{
    bool ok;
    if (is_verbose(query)) {
        reply->content_type = "text/plain; charset=utf-8";
        ok = flo_health_render_text(http->health, live_only, &reply->body);
    } else {
        ok = flo_health_render(http->health, live_only, &reply->body);
    }
    reply->status = ok ? 200 : 503;
}

static void serve_live(void *ctx, const struct flo_http_request *request,
                       struct flo_http_reply *reply)
{
    serve_checks(ctx, true, request->query, reply);
}

static void serve_ready(void *ctx, const struct flo_http_request *request,
                        struct flo_http_reply *reply)
{
    serve_checks(ctx, false, request->query, reply);
}

static void serve_metrics(void *ctx, const struct flo_http_request *request,
                          struct flo_http_reply *reply)
{
    struct flo_http *http = ctx;
    (void)request;
    reply->content_type = FLO_METRICS_CONTENT_TYPE;
    if (flo_metrics_render(http->metrics, false, &reply->body))
        reply->status = 500;
}

/* ---- dispatch ---- */

static struct route *find_route(struct flo_http *http, const char *path)
{
    for (size_t i = 0; i < http->route_count; i++)
        if (strcmp(http->routes[i].path, path) == 0)
            return &http->routes[i];
    return NULL;
}

static const char *reason_phrase(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 503:
        return "Service Unavailable";
    default:
        return status < 400 ? "OK" : "Error";
    }
}

/* Send reply; takes no ownership. */
static void send_reply(struct flo_http *http, struct evhttp_request *req, const char *label,
                       const struct flo_http_reply *reply)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    char length[24], code[8];
    snprintf(length, sizeof length, "%zu", reply->body.len);
    snprintf(code, sizeof code, "%d", reply->status);
    flo_series_inc(flo_metrics_get(http->metrics, FLO_METRIC_HTTP_REQUESTS, label, code, NULL));
    evhttp_add_header(headers, "Content-Type", reply->content_type);
    evhttp_add_header(headers, "Content-Length", length);
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    evhttp_add_header(headers, "X-Frame-Options", "DENY");
    evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
    evhttp_add_header(headers, "Content-Security-Policy", reply->csp ? reply->csp : STRICT_CSP);
    if (reply->status == 405)
        evhttp_add_header(headers, "Allow", "GET, HEAD");
    struct evbuffer *body = NULL;
    if (evhttp_request_get_command(req) != EVHTTP_REQ_HEAD && reply->body.len) {
        body = evbuffer_new();
        if (!body || evbuffer_add(body, reply->body.data, reply->body.len)) {
            if (body)
                evbuffer_free(body);
            evhttp_send_error(req, 503, NULL);
            return;
        }
    }
    evhttp_send_reply(req, reply->status, reason_phrase(reply->status), body);
    if (body)
        evbuffer_free(body);
}

static void refuse(struct flo_http *http, struct evhttp_request *req, int status)
{
    struct flo_http_reply reply = {.status = status, .content_type = "application/json"};
    flo_buf_init(&reply.body, 256);
    flo_buf_printf(&reply.body, "{\"status\":\"%s\"}\n", reason_phrase(status));
    send_reply(http, req, "other", &reply);
    flo_buf_fini(&reply.body);
}

/* The decoded path, flo_free it with free(); NULL when it has none or holds a NUL. */
static char *request_path(struct evhttp_request *req)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    const char *raw = uri ? evhttp_uri_get_path(uri) : NULL;
    if (!raw || !*raw)
        return NULL;
    size_t len = 0;
    char *path = evhttp_uridecode(raw, 0, &len);
    if (path && strlen(path) != len) {
        free(path);
        path = NULL;
    }
    return path;
}

static void on_request(struct evhttp_request *req, void *ctx)
{
    struct flo_http *http = ctx;
    enum evhttp_cmd_type method = evhttp_request_get_command(req);
    if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
        refuse(http, req, 405);
        return;
    }
    char *path = request_path(req); /* libevent's malloc */
    const struct route *route = path ? find_route(http, path) : NULL;
    if (!route) {
        free(path);
        refuse(http, req, 404);
        return;
    }
    struct flo_http_request request = {
        .path = path, .query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(req))};
    struct flo_http_reply reply = {.status = 200, .content_type = "application/json"};
    flo_buf_init(&reply.body, REPLY_MAX_BYTES);
    route->fn(route->ctx, &request, &reply);
    if (reply.body.failed) {
        flo_buf_clear(&reply.body);
        reply.status = 503;
    }
    send_reply(http, req, route->path, &reply);
    flo_buf_fini(&reply.body);
    free(path);
}

int flo_http_handle(struct flo_http *http, const char *path, flo_http_handler_fn fn, void *ctx)
{
    struct route *route = find_route(http, path);
    if (!route) {
        if (http->route_count == ROUTES_MAX)
            return FLO_EFULL;
        route = &http->routes[http->route_count++];
    }
    *route = (struct route){.path = path, .fn = fn, .ctx = ctx};
    return 0;
}

static int add_builtin_routes(struct flo_http *http)
{
    int rc = flo_http_handle(http, "/health", serve_live, http);
    if (!rc)
        rc = flo_http_handle(http, "/livez", serve_live, http);
    if (!rc)
        rc = flo_http_handle(http, "/ready", serve_ready, http);
    if (!rc)
        rc = flo_http_handle(http, "/readyz", serve_ready, http);
    if (!rc && http->metrics)
        rc = flo_http_handle(http, "/metrics", serve_metrics, http);
    return rc;
}

int flo_http_new(struct event_base *base, struct flo_metrics *metrics, struct flo_health *health,
                 struct flo_http **out, struct flo_err *err)
{
    struct flo_http *http = flo_calloc(1, sizeof *http);
    if (http)
        http->evhttp = evhttp_new(base);
    if (!http || !http->evhttp) {
        flo_free(http);
        return flo_fail(err, FLO_ENOMEM, "no memory for the HTTP server");
    }
    http->metrics = metrics;
    http->health = health;
    evhttp_set_allowed_methods(http->evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                                                 EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                                 EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
                                                 EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
    evhttp_set_max_headers_size(http->evhttp, HEADERS_MAX_BYTES);
    evhttp_set_max_body_size(http->evhttp, BODY_MAX_BYTES);
    evhttp_set_timeout(http->evhttp, IDLE_SECONDS);
    evhttp_set_gencb(http->evhttp, on_request, http);
    int rc = add_builtin_routes(http);
    if (rc) {
        flo_http_destroy(&http);
        return flo_fail(err, rc, "too many pages");
    }
    *out = http;
    return 0;
}

void flo_http_destroy(struct flo_http **http)
{
    if (!*http)
        return;
    evhttp_free((*http)->evhttp);
    flo_free(*http);
    *http = NULL;
}

/* ---- listeners ---- */

int flo_http_listen(struct flo_http *http, const char *host, int port,
                    char out_address[FLO_HTTP_ADDRESS_MAX], struct flo_err *err)
{
    int fd = -1;
    if (http->listener_count == FLO_HTTP_LISTENERS_MAX)
        return flo_fail(err, FLO_EFULL, "too many listeners");
    int rc = flo_net_listen(host, (uint16_t)port, BACKLOG, &fd, err);
    if (rc)
        return rc;
    if (out_address)
        flo_net_local_address(fd, out_address);
    if (!evhttp_accept_socket_with_handle(http->evhttp, fd)) {
        close(fd);
        return flo_fail(err, FLO_ENOMEM, "no memory to listen on %s port %d", host, port);
    }
    http->listeners[http->listener_count++] = fd;
    return 0;
}

size_t flo_http_listeners(const struct flo_http *http, int out_fds[FLO_HTTP_LISTENERS_MAX])
{
    memcpy(out_fds, http->listeners, http->listener_count * sizeof *out_fds);
    return http->listener_count;
}

int flo_http_listen_both(struct flo_http *http, const char *health_host, int health_port,
                         const char *metrics_host, int metrics_port,
                         char out_health[FLO_HTTP_ADDRESS_MAX],
                         char out_metrics[FLO_HTTP_ADDRESS_MAX], struct flo_err *err)
{
    char address[FLO_HTTP_ADDRESS_MAX];
    int rc = flo_http_listen(http, health_host, health_port, address, err);
    if (rc)
        return rc;
    if (out_health)
        memcpy(out_health, address, sizeof address);
    if (health_port != metrics_port || strcmp(health_host, metrics_host) != 0)
        rc = flo_http_listen(http, metrics_host, metrics_port, address, err);
    if (!rc && out_metrics)
        memcpy(out_metrics, address, sizeof address);
    return rc;
}
