/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.c - the server: routes, the pages that every process has, who may ask for what, listeners.
 *
 * Our own HTTP/1.1 on libevent's bufferevents, not evhttp: that one takes a request for as long as
 * bytes trickle in, has no bound on connections, resolves doubtful framing silently and cannot
 * drop a reader of a stream that falls behind.
 */
#include "telemetry/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/net.h"
#include "telemetry/health_internal.h"
#include "telemetry/http_internal.h"
#include "telemetry/json_text.h"
#include "telemetry/metrics_page.h"

#define BACKLOG 128
#define METRICS_SHARE 20
#define METRICS_MAX_AGE_NS FLO_NS_PER_S
#define READ_METHODS "GET, HEAD"

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

static void serve_checks(struct flo_http *http, enum flo_health_scope scope, const char *query,
                         struct flo_http_reply *reply)
{
    bool ok;
    if (is_verbose(query)) {
        reply->content_type = "text/plain; charset=utf-8";
        ok = flo_health_render_text(http->health, scope, &reply->body);
    } else {
        ok = flo_health_render(http->health, scope, &reply->body);
    }
    reply->status = ok ? 200 : 503;
}

static void serve_live(void *ctx, const struct flo_http_request *request,
                       struct flo_http_reply *reply)
{
    serve_checks(ctx, FLO_HEALTH_LIVE, request->query, reply);
}

static void serve_ready(void *ctx, const struct flo_http_request *request,
                        struct flo_http_reply *reply)
{
    serve_checks(ctx, FLO_HEALTH_READY, request->query, reply);
}

static void serve_started(void *ctx, const struct flo_http_request *request,
                          struct flo_http_reply *reply)
{
    serve_checks(ctx, FLO_HEALTH_STARTED, request->query, reply);
}

static int render_registry(void *ctx, const struct flo_metrics_form *form, struct flo_buf *out)
{
    struct flo_http *http = ctx;
    return flo_metrics_render(http->metrics, form, out);
}

static void serve_metrics(void *ctx, const struct flo_http_request *request,
                          struct flo_http_reply *reply)
{
    struct flo_http *http = ctx;
    flo_http_metrics_serve(&http->metrics_page, flo_metrics_naming(http->metrics), render_registry,
                           http, request, reply);
}

/* The form that is asked for; false: there is no such one. */
static bool metrics_form(const struct flo_http_request *request, struct flo_metrics_form *form)
{
    char name[16];
    form->openmetrics = flo_page_wants_openmetrics(flo_http_header(request, "Accept"));
    return !flo_http_parameter(request, "naming", name, sizeof name) ||
           flo_naming_by_name(name, &form->naming);
}

/* At most a twentieth of the time goes into rendering: a page of a few series is always new, one of
 * a hundred thousand is up to a second old. */
void flo_http_metrics_serve(struct flo_http_metrics *page, enum flo_naming naming,
                            flo_http_render_fn render, void *ctx,
                            const struct flo_http_request *request, struct flo_http_reply *reply)
{
    struct flo_metrics_form form = {.naming = naming};
    if (!metrics_form(request, &form)) {
        flo_http_error(reply, 400, "the namings are tally, core and otel-go");
        return;
    }
    struct flo_http_text **text = &page->forms[form.naming][form.openmetrics].text;
    int64_t *until_ns = &page->forms[form.naming][form.openmetrics].until_ns;
    reply->content_type = flo_page_content_type(form.openmetrics);
    if (!*text || flo_clock_mono_ns() >= *until_ns) {
        flo_http_text_unref(text);
        int64_t before = flo_clock_thread_cpu_ns();
        if (render(ctx, &form, &reply->body) == 0)
            *text = flo_http_text_new(&reply->body);
        int64_t keep = (flo_clock_thread_cpu_ns() - before) * METRICS_SHARE;
        *until_ns = flo_clock_mono_ns() + (keep < METRICS_MAX_AGE_NS ? keep : METRICS_MAX_AGE_NS);
    }
    if (*text)
        reply->text = flo_http_text_ref(*text);
    else
        flo_http_error(reply, 503, "no memory for the page");
}

void flo_http_metrics_expire(struct flo_http_metrics *page)
{
    int64_t now = flo_clock_mono_ns();
    for (int naming = 0; naming < FLO_NAMINGS; naming++)
        for (int openmetrics = 0; openmetrics < 2; openmetrics++)
            if (now >= page->forms[naming][openmetrics].until_ns)
                flo_http_text_unref(&page->forms[naming][openmetrics].text);
}

void flo_http_metrics_fini(struct flo_http_metrics *page)
{
    for (int naming = 0; naming < FLO_NAMINGS; naming++)
        for (int openmetrics = 0; openmetrics < 2; openmetrics++)
            flo_http_text_unref(&page->forms[naming][openmetrics].text);
}

/* ---- replies ---- */

void flo_http_error(struct flo_http_reply *reply, int status, const char *fmt, ...)
{
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    reply->status = status;
    reply->content_type = "application/json";
    flo_http_text_unref(&reply->text);
    flo_buf_fini(&reply->body); /* it may have failed */
    flo_buf_init(&reply->body, 0);
    flo_buf_append_str(&reply->body, "{\"error\":");
    flo_json_append_string(&reply->body, text);
    flo_buf_append_str(&reply->body, "}\n");
}

void flo_http_count(struct flo_http *http, const char *label, int status)
{
    char code[8];
    snprintf(code, sizeof code, "%d", status);
    flo_series_inc(flo_metrics_get(http->metrics, FLO_METRIC_HTTP_REQUESTS, label, code, NULL));
}

bool flo_http_parameter(const struct flo_http_request *request, const char *name, char *out,
                        size_t size)
{
    size_t name_len = strlen(name);
    const char *at = request->query;
    *out = '\0';
    for (; at && *at; at += strcspn(at, "&"), at += *at == '&') {
        if (strncmp(at, name, name_len) != 0 || at[name_len] != '=')
            continue;
        at += name_len + 1;
        size_t len = strcspn(at, "&");
        if (len >= size)
            return false;
        memcpy(out, at, len);
        out[len] = '\0';
        if (flo_http_decode(out) >= 0)
            return true;
        *out = '\0';
        return false;
    }
    return false;
}

/* ---- routes ---- */

static struct flo_http_route *route_at(struct flo_http *http, const char *path)
{
    for (size_t i = 0; i < http->route_count; i++)
        if (strcmp(http->routes[i].path, path) == 0)
            return &http->routes[i];
    return NULL;
}

/* The route that serves path: the exact one, else the longest that it begins with. */
static const struct flo_http_route *find_route(const struct flo_http *http, const char *path)
{
    const struct flo_http_route *best = NULL;
    for (size_t i = 0; i < http->route_count; i++) {
        const struct flo_http_route *route = &http->routes[i];
        size_t len = strlen(route->path);
        if (strcmp(route->path, path) == 0)
            return route;
        if (route->prefix && strncmp(route->path, path, len) == 0 &&
            (!best || len > strlen(best->path)))
            best = route;
    }
    return best;
}

/* All methods that any page takes. */
static unsigned known_methods(const struct flo_http *http)
{
    unsigned methods = FLO_HTTP_GET;
    for (size_t i = 0; i < http->route_count; i++)
        methods |= http->routes[i].methods;
    return methods;
}

int flo_http_route(struct flo_http *http, const struct flo_http_route *route)
{
    struct flo_http_route *place = route_at(http, route->path);
    if (route->path[0] != '/' || route->body_max > FLO_HTTP_BODY_MAX)
        return FLO_EINVAL;
    if (!place) {
        if (http->route_count == FLO_HTTP_ROUTES_MAX)
            return FLO_EFULL;
        place = &http->routes[http->route_count++];
    }
    *place = *route;
    if (!place->methods)
        place->methods = FLO_HTTP_GET;
    return 0;
}

int flo_http_handle(struct flo_http *http, const char *path, flo_http_handler_fn fn, void *ctx)
{
    return flo_http_route(http, &(struct flo_http_route){.path = path, .fn = fn, .ctx = ctx});
}

static const struct {
    const char *name;
    enum flo_http_method method;
} method_names[] = {{"GET", FLO_HTTP_GET},
                    {"HEAD", FLO_HTTP_GET},
                    {"POST", FLO_HTTP_POST},
                    {"PUT", FLO_HTTP_PUT},
                    {"DELETE", FLO_HTTP_DELETE}};

void flo_http_allowed(const struct flo_http *http, const char *path, char *out, size_t size)
{
    const struct flo_http_route *route = find_route(http, path);
    unsigned methods = route ? route->methods : known_methods(http);
    size_t len = 0;
    *out = '\0';
    for (size_t i = 0; i < sizeof method_names / sizeof *method_names; i++) {
        if (!(methods & method_names[i].method) || len >= size)
            continue;
        len +=
            (size_t)snprintf(out + len, size - len, "%s%s", len ? ", " : "", method_names[i].name);
    }
}

/* ---- who may ask ---- */

/* The host of "host", "host:port", "[v6]:port", or false. */
static bool host_name(const char *text, char *out, size_t size)
{
    const char *start = text + (*text == '[');
    size_t len = *text == '[' ? strcspn(start, "]") : strcspn(start, ":");
    if (!len || len >= size || (*text == '[' && start[len] != ']'))
        return false;
    memcpy(out, start, len);
    out[len] = '\0';
    return true;
}

/* Nobody else can make a browser send this name to us: it has no name servers, or we trust it. */
static bool host_is_ours(const struct flo_http *http, const char *host)
{
    char name[256], own[256];
    uint8_t number[16];
    if (!host || !host_name(host, name, sizeof name))
        return false;
    if (inet_pton(AF_INET, name, number) == 1 || inet_pton(AF_INET6, name, number) == 1 ||
        strcasecmp(name, "localhost") == 0)
        return true;
    own[sizeof own - 1] = '\0';
    if (gethostname(own, sizeof own - 1) == 0 && strcasecmp(name, own) == 0)
        return true;
    for (size_t i = 0; i < http->name_count; i++)
        if (strcmp(http->names[i], "*") == 0 || strcasecmp(http->names[i], name) == 0)
            return true;
    return false;
}

static bool may_change(const struct flo_http *http, const struct flo_http_head *head)
{
    if (!host_is_ours(http, head->host))
        return false;
    for (size_t i = 0; i < head->field_count; i++) {
        if (strcasecmp(head->fields[i].name, "Origin") != 0)
            continue;
        const char *origin = strstr(head->fields[i].value, "://");
        if (!origin || strcasecmp(origin + 3, head->host) != 0)
            return false;
    }
    return true;
}

int flo_http_admit(struct flo_http *http, const struct flo_http_head *head,
                   const struct flo_http_route **out_route, enum flo_http_method *out_method)
{
    const struct flo_http_route *route = find_route(http, head->path);
    unsigned allowed = route ? route->methods : known_methods(http);
    unsigned method = 0;
    *out_route = route;
    for (size_t i = 0; i < sizeof method_names / sizeof *method_names; i++)
        if (strcmp(method_names[i].name, head->method) == 0)
            method = method_names[i].method;
    if (!(method & allowed))
        return 405;
    if (!route)
        return 404;
    if (method != FLO_HTTP_GET ? !may_change(http, head)
                               : route->own_name && !host_is_ours(http, head->host))
        return 403;
    if (head->body_len > (method == FLO_HTTP_GET ? 0 : route->body_max))
        return 413;
    *out_method = (enum flo_http_method)method;
    return 0;
}

int flo_http_trust_host(struct flo_http *http, const char *name)
{
    if (http->name_count == FLO_HTTP_NAMES_MAX)
        return FLO_EFULL;
    char *copy = flo_strdup(name);
    if (!copy)
        return FLO_ENOMEM;
    http->names[http->name_count++] = copy;
    return 0;
}

/* ---- the server ---- */

static int add_builtin_routes(struct flo_http *http)
{
    int rc = flo_http_handle(http, "/health", serve_live, http);
    if (!rc)
        rc = flo_http_handle(http, "/livez", serve_live, http);
    if (!rc)
        rc = flo_http_handle(http, "/ready", serve_ready, http);
    if (!rc)
        rc = flo_http_handle(http, "/readyz", serve_ready, http);
    if (!rc)
        rc = flo_http_handle(http, "/startupz", serve_started, http);
    if (!rc && http->metrics)
        rc = flo_http_handle(http, "/metrics", serve_metrics, http);
    return rc;
}

static void pause_accepting(struct flo_http *http)
{
    const struct timeval again = {.tv_sec = 1};
    http->paused = true;
    for (size_t i = 0; i < http->listener_count; i++)
        evconnlistener_disable(http->listeners[i]);
    event_add(http->resume, &again);
}

void flo_http_resume(struct flo_http *http)
{
    if (!http->paused)
        return;
    http->paused = false;
    event_del(http->resume);
    for (size_t i = 0; i < http->listener_count; i++)
        evconnlistener_enable(http->listeners[i]);
}

static void on_resume(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    flo_http_resume(ctx);
}

/* The connection that can best be done without, or NULL: one that waits for a next request, else
 * the one that has been sending its request for longest. */
static struct flo_http_conn *least_needed(struct flo_http *http)
{
    struct flo_node *node = flo_list_first(&http->conns[FLO_HTTP_CLOSING]);
    if (!node)
        node = flo_list_first(&http->conns[FLO_HTTP_IDLE]);
    if (!node)
        node = flo_list_first(&http->conns[FLO_HTTP_READING]);
    return node ? flo_container(node, struct flo_http_conn, node) : NULL;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int address_len, void *ctx)
{
    struct flo_http *http = ctx;
    (void)listener;
    (void)address;
    (void)address_len;
    if (http->conn_count >= FLO_HTTP_CONNS_MAX) {
        struct flo_http_conn *victim = least_needed(http);
        if (!victim) {
            evutil_closesocket(fd);
            return;
        }
        flo_http_conn_free(victim);
    }
    flo_http_conn_accept(http, fd);
}

/* Out of descriptors: the listener would fire for ever. */
static void on_accept_error(struct evconnlistener *listener, void *ctx)
{
    (void)listener;
    pause_accepting(ctx);
}

int flo_http_new(struct event_base *base, struct flo_metrics *metrics, struct flo_health *health,
                 struct flo_http **out, struct flo_err *err)
{
    struct flo_http *http = flo_calloc(1, sizeof *http);
    if (!http)
        return flo_fail(err, FLO_ENOMEM, "no memory for the HTTP server");
    http->base = base;
    http->metrics = metrics;
    http->health = health;
    for (int i = 0; i < FLO_HTTP_STATES; i++)
        flo_list_init(&http->conns[i]);
    http->resume = evtimer_new(base, on_resume, http);
    int rc = http->resume ? add_builtin_routes(http) : FLO_ENOMEM;
    if (rc) {
        flo_http_destroy(&http);
        return flo_fail(err, rc, "no memory for the HTTP server");
    }
    *out = http;
    return 0;
}

void flo_http_destroy(struct flo_http **http)
{
    struct flo_http *self = *http;
    if (!self)
        return;
    for (size_t i = 0; i < self->listener_count; i++)
        evconnlistener_free(self->listeners[i]);
    self->listener_count = 0;
    for (int i = 0; i < FLO_HTTP_STATES; i++)
        FLO_LIST_FOREACH_SAFE(node, &self->conns[i])
    flo_http_conn_free(flo_container(node, struct flo_http_conn, node));
    if (self->resume)
        event_free(self->resume);
    for (size_t i = 0; i < self->name_count; i++)
        flo_free(self->names[i]);
    flo_http_metrics_fini(&self->metrics_page);
    flo_free(self);
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
    struct evconnlistener *listener = evconnlistener_new(
        http->base, on_accept, http, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (!listener) {
        close(fd);
        return flo_fail(err, FLO_ENOMEM, "no memory to listen on %s port %d", host, port);
    }
    evconnlistener_set_error_cb(listener, on_accept_error);
    http->listeners[http->listener_count++] = listener;
    return 0;
}

size_t flo_http_listeners(const struct flo_http *http, int out_fds[FLO_HTTP_LISTENERS_MAX])
{
    for (size_t i = 0; i < http->listener_count; i++)
        out_fds[i] = evconnlistener_get_fd(http->listeners[i]);
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
