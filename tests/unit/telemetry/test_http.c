/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server over a real socket: routes, refusals, health. */
#include <event2/event.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/cmocka_env.h"
#include "telemetry/http.h"

struct fixture {
    struct event_base *base;
    struct flo_metrics *metrics;
    struct flo_health *health;
    struct flo_http *http;
    int port;
    char answer[65536];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char address[FLO_HTTP_ADDRESS_MAX];
    f->base = event_base_new();
    assert_int_equal(flo_metrics_new(&f->metrics, NULL), 0);
    assert_int_equal(flo_health_new(&f->health, NULL), 0);
    assert_int_equal(flo_http_new(f->base, f->metrics, f->health, &f->http, NULL), 0);
    assert_int_equal(flo_http_listen(f->http, "127.0.0.1", 0, address, NULL), 0);
    f->port = (int)strtol(strrchr(address, ':') + 1, NULL, 10);
    assert_memory_equal(address, "127.0.0.1:", 10);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    flo_http_destroy(&f->http);
    flo_health_destroy(&f->health);
    flo_metrics_destroy(&f->metrics);
    event_base_free(f->base);
    free(f);
    return 0;
}

struct exchange {
    struct fixture *f;
    const char *request;
};

/* The client: sends, reads until the server closes, stops the loop. */
static void *client(void *ctx)
{
    struct exchange *x = ctx;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)x->f->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    size_t len = 0;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) {
        (void)!send(fd, x->request, strlen(x->request), MSG_NOSIGNAL);
        for (ssize_t n; (n = recv(fd, x->f->answer + len, sizeof x->f->answer - 1 - len, 0)) > 0;)
            len += (size_t)n;
    }
    x->f->answer[len] = '\0';
    close(fd);
    event_base_loopbreak(x->f->base);
    return NULL;
}

static void on_never(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    (void)ctx;
}

static const char *exchange(struct fixture *f, const char *request)
{
    struct exchange x = {.f = f, .request = request};
    pthread_t thread;
    /* loopbreak from another thread is seen at the loop's next turn: a short timer turns it. */
    struct event *turn = event_new(f->base, -1, EV_PERSIST, on_never, NULL);
    const struct timeval often = {.tv_usec = 2000};
    event_add(turn, &often);
    assert_int_equal(pthread_create(&thread, NULL, client, &x), 0);
    event_base_dispatch(f->base);
    pthread_join(thread, NULL);
    event_free(turn);
    return f->answer;
}

static const char *get(struct fixture *f, const char *path)
{
    static char request[32768];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
             path);
    return exchange(f, request);
}

static void assert_status(const char *answer, int status)
{
    char line[32];
    snprintf(line, sizeof line, "HTTP/1.1 %d ", status);
    if (strncmp(answer, line, strlen(line)) != 0)
        fail_msg("expected %d, got: %.200s", status, answer);
}

/* Health and readiness follow the checks; reasons are shown. */
static void test_health_follows_checks(void **state)
{
    struct fixture *f = *state;
    assert_status(get(f, "/ready"), 200);
    flo_health_set_ready(f->health, "server", false, "cannot reach \"x:1\"");
    const char *answer = get(f, "/ready");
    assert_status(answer, 503);
    assert_non_null(strstr(answer, "{\"status\":\"unavailable\",\"checks\":{\"server\":{\"ok\":"
                                   "false,\"reason\":\"cannot reach \\\"x:1\\\"\"}}}"));
    assert_status(get(f, "/health"), 200);
    assert_false(flo_health_is_ready(f->health));
    assert_true(flo_health_is_live(f->health));
    flo_health_set_ready(f->health, "server", true, NULL);
    flo_health_set_live(f->health, "poller", false, "silent for 93 s");
    assert_status(get(f, "/livez"), 503);
    assert_status(get(f, "/readyz"), 503);
    flo_health_set_live(f->health, "poller", true, NULL);
    assert_status(get(f, "/readyz"), 200);
}

/* A probe of the start waits for "started" and for nothing else that makes a process ready; people
 * see each check in a line of its own. */
static void test_startup_waits_for_the_start(void **state)
{
    struct fixture *f = *state;
    flo_health_set_live(f->health, "loop", true, NULL);
    flo_health_set_ready(f->health, "started", false, "no answer yet");
    flo_health_set_ready(f->health, "server", false, "away");
    const char *answer = get(f, "/startupz?verbose");
    assert_status(answer, 503);
    assert_non_null(strstr(
        answer, "\r\n\r\n[+]loop ok\n[-]started failed: no answer yet\nstartup check failed\n"));
    flo_health_set_ready(f->health, "started", true, NULL);
    assert_status(get(f, "/startupz"), 200);
    assert_status(get(f, "/ready"), 503);
    flo_health_set_live(f->health, "loop", false, "stuck");
    assert_status(get(f, "/startupz"), 503);
}

/* /metrics has the text format's type; every answer carries the safe headers. */
static void test_metrics_and_headers(void **state)
{
    struct fixture *f = *state;
    flo_series_inc(flo_metrics_get(f->metrics, FLO_METRIC_ENGINE_COMMITS, NULL));
    const char *answer = get(f, "/metrics");
    assert_status(answer, 200);
    assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_non_null(strstr(answer, "X-Content-Type-Options: nosniff\r\n"));
    assert_non_null(strstr(answer, "Content-Security-Policy: default-src 'none'"));
    assert_null(strstr(answer, "Access-Control"));
    assert_non_null(strstr(answer, "\nflotilla_engine_commits_total 1\n"));
}

/* Other methods: 405 that says what is allowed. HEAD: no body. */
static void test_methods(void **state)
{
    struct fixture *f = *state;
    static const char *const refused[] = {"POST /metrics", "DELETE /", "PUT /health",
                                          "OPTIONS /metrics", "TRACE /metrics"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char request[128];
        snprintf(request, sizeof request,
                 "%s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                 refused[i]);
        const char *answer = exchange(f, request);
        assert_status(answer, 405);
        assert_non_null(strstr(answer, "Allow: GET, HEAD\r\n"));
    }
    const char *answer =
        exchange(f, "HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_status(answer, 200);
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    assert_null(strstr(answer, "Content-Length: 0\r\n"));
}

/* Odd paths lead nowhere. */
static void test_odd_paths_are_404(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[] = {"/",        "/../../etc/passwd", "/%2e%2e/etc/passwd",
                                        "//health", "/health/",          "/health%00",
                                        "/HEALTH",  "/metrics%2f"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_status(get(f, paths[i]), 404);
    assert_status(get(f, "/health?verbose=1"), 200);
}

/* Oversized and malformed requests are refused and the server lives. */
static void test_bad_requests(void **state)
{
    struct fixture *f = *state;
    char *request = calloc(1, 70000);
    memcpy(request, "GET /", 5);
    memset(request + 5, 'a', 20000);
    memcpy(request + 20005, " HTTP/1.1\r\n\r\n", 13);
    const char *answer = exchange(f, request);
    assert_true(!*answer || strncmp(answer, "HTTP/1.1 4", 10) == 0);
    snprintf(request, 70000, "GET /health HTTP/1.1\r\nX: ");
    memset(request + 25, 'a', 20000);
    memcpy(request + 20025, "\r\n\r\n", 5);
    answer = exchange(f, request);
    assert_true(!*answer || strncmp(answer, "HTTP/1.1 4", 10) == 0);
    free(request);
    answer = exchange(f, "\x16\x03\x01\x02\r\n\r\n");
    assert_true(!*answer || strncmp(answer, "HTTP/1.1 4", 10) == 0);
    assert_status(get(f, "/health"), 200);
}

static void page(void *ctx, const struct flo_http_request *request, struct flo_http_reply *reply)
{
    assert_string_equal(request->path, "/page");
    assert_string_equal(request->query, "a=1");
    reply->content_type = "text/html";
    reply->csp = "default-src 'self'";
    flo_buf_append_str(&reply->body, ctx);
}

/* Programs add pages. */
static void test_own_page(void **state)
{
    struct fixture *f = *state;
    char body[] = "<p>hi</p>";
    assert_int_equal(flo_http_handle(f->http, "/page", page, body), 0);
    const char *answer = get(f, "/page?a=1");
    assert_status(answer, 200);
    assert_non_null(strstr(answer, "Content-Security-Policy: default-src 'self'\r\n"));
    assert_string_equal(strstr(answer, "\r\n\r\n") + 4, body);
}

/* A port that is taken, a host that is none; two equal listeners are one. */
static void test_listen_errors(void **state)
{
    struct fixture *f = *state;
    struct flo_err err = {0};
    assert_int_equal(flo_http_listen(f->http, "127.0.0.1", f->port, NULL, &err), FLO_ECONN);
    assert_non_null(strstr(err.message, "cannot listen on 127.0.0.1:"));
    assert_int_equal(flo_http_listen(f->http, "999.1.1.1", 0, NULL, &err), FLO_EINVAL);
    char health[FLO_HTTP_ADDRESS_MAX], metrics[FLO_HTTP_ADDRESS_MAX];
    assert_int_equal(
        flo_http_listen_both(f->http, "127.0.0.1", 0, "127.0.0.1", 0, health, metrics, &err), 0);
    assert_string_equal(health, metrics);
}

static void echo(void *ctx, const struct flo_http_request *request, struct flo_http_reply *reply)
{
    const char *word = flo_http_header(request, "x-word");
    char value[8];
    (void)ctx;
    flo_buf_append_str(&reply->body, request->method == FLO_HTTP_POST ? "POST " : "GET ");
    flo_buf_append(&reply->body, request->body, request->body_len);
    flo_buf_append_str(&reply->body, word ? word : " -");
    if (flo_http_parameter(request, "n", value, sizeof value))
        flo_buf_append_str(&reply->body, value);
}

/* Bodies up to the page's bound, under all paths of a prefix, from a host that is ours. */
static void test_post(void **state)
{
    struct fixture *f = *state;
    const struct flo_http_route route = {.path = "/v1/echo/",
                                         .prefix = true,
                                         .methods = FLO_HTTP_GET | FLO_HTTP_POST,
                                         .body_max = 8,
                                         .fn = echo};
    assert_int_equal(flo_http_route(f->http, &route), 0);
    const char *answer =
        exchange(f, "POST /v1/echo/a%2fb?m=1&n=%32 HTTP/1.1\r\nHost: localhost:1\r\n"
                    "X-Word: hi\r\nContent-Length: 4\r\nConnection: close\r\n"
                    "\r\nbody");
    assert_status(answer, 200);
    assert_non_null(strstr(answer, "\r\n\r\nPOST bodyhi2"));
    assert_status(get(f, "/v1/echo/"), 200);
    assert_status(get(f, "/v1/echo"), 404);
    static const struct {
        const char *head;
        int status;
    } refused[] = {
        {"POST /v1/echo/ HTTP/1.1\r\nHost: 1.2.3.4\r\nContent-Length: 9\r\n", 413},
        {"POST /v1/echo/ HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 1\r\n", 403},
        {"POST /v1/echo/ HTTP/1.1\r\nHost: [::1]:7\r\nOrigin: http://x\r\n", 403},
        {"POST /v1/echo/ HTTP/1.1\r\nHost: [::1]:7\r\nOrigin: null\r\n", 403},
        {"POST /v1/echo/ HTTP/1.0\r\n", 403},
        {"POST /health HTTP/1.1\r\nHost: [::1]\r\n", 405},
        {"POST /nothing HTTP/1.1\r\nHost: [::1]\r\n", 404},
        {"PUT /v1/echo/ HTTP/1.1\r\nHost: [::1]\r\n", 405},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char request[256];
        /* The bodies never come: the head is enough to refuse. */
        snprintf(request, sizeof request, "%sX: y\r\nConnection: close\r\n\r\n", refused[i].head);
        assert_status(exchange(f, request), refused[i].status);
    }
    assert_int_equal(flo_http_trust_host(f->http, "evil.example"), 0);
    assert_status(exchange(f, "POST /v1/echo/ HTTP/1.1\r\nHost: EVIL.example:80\r\nOrigin: "
                              "https://evil.example:80\r\nConnection: close\r\n\r\n"),
                  200);
}

/* Requests that are sent ahead are answered in order, one after the other. */
static void test_pipelined(void **state)
{
    struct fixture *f = *state;
    const char *answer = exchange(f, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
                                     "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
                                     "GET /ready HTTP/1.0\r\n\r\n");
    assert_status(answer, 200);
    answer = strstr(answer + 1, "HTTP/1.1 ");
    assert_status(answer, 404);
    assert_status(strstr(answer + 1, "HTTP/1.1 "), 200);
}

struct deferred {
    struct fixture *f;
    struct flo_http_later *later;
    struct event *timer;
    int gone;
};

static void on_gone(void *ctx)
{
    struct deferred *d = ctx;
    d->later = NULL;
    d->gone++;
    event_base_loopbreak(d->f->base);
}

static void answer_now(evutil_socket_t fd, short what, void *ctx)
{
    struct deferred *d = ctx;
    struct flo_http_reply reply;
    (void)fd;
    (void)what;
    flo_http_reply_init(&reply);
    flo_buf_append_str(&reply.body, "late");
    flo_http_answer(&d->later, &reply);
    assert_null(d->later);
}

static void defer(void *ctx, const struct flo_http_request *request, struct flo_http_reply *reply)
{
    struct deferred *d = ctx;
    (void)reply;
    d->later = flo_http_later(request, on_gone, d);
    if (d->timer)
        event_active(d->timer, EV_TIMEOUT, 1);
}

/* An answer that comes later; a client that does not wait for it. */
static void test_answer_later(void **state)
{
    struct fixture *f = *state;
    struct deferred d = {.f = f};
    assert_int_equal(flo_http_handle(f->http, "/later", defer, &d), 0);
    d.timer = evtimer_new(f->base, answer_now, &d);
    const char *answer = get(f, "/later");
    assert_status(answer, 200);
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\nlate");
    assert_int_equal(d.gone, 0);
    event_free(d.timer);
    d.timer = NULL;

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)f->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static const char request[] = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
    while (!d.later)
        event_base_loop(f->base, EVLOOP_ONCE);
    close(fd);
    event_base_dispatch(f->base);
    assert_int_equal(d.gone, 1);
}

struct streaming {
    struct flo_http_channel *channel;
    struct flo_buf first;
    bool joined;
};

static void join(void *ctx, const struct flo_http_request *request, struct flo_http_reply *reply)
{
    struct streaming *s = ctx;
    s->joined = flo_http_channel_join(s->channel, request, reply, &s->first);
}

static int open_stream(struct fixture *f, struct streaming *s)
{
    static const char request[] = "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n";
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)f->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 4096;
    size_t before = flo_http_channel_listeners(s->channel);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
    while (flo_http_channel_listeners(s->channel) == before)
        event_base_loop(f->base, EVLOOP_ONCE);
    return fd;
}

/* A stream begins with what it was told to, gets what is sent, and ends when nobody reads. */
static void test_stream(void **state)
{
    struct fixture *f = *state;
    const struct flo_http_channel_options options = {
        .listeners_max = 1, .backlog_bytes = (size_t)64 << 10, .retry_ms = 2000};
    struct streaming s = {.channel = NULL};
    struct flo_buf event;
    char got[8192] = "";
    size_t len = 0;
    assert_int_equal(flo_http_channel_new(f->http, &options, &s.channel), 0);
    assert_int_equal(flo_http_handle(f->http, "/stream", join, &s), 0);
    flo_buf_init(&s.first, 0);
    flo_http_event(&s.first, "hello", "7", "a\nb", 3);
    int fd = open_stream(f, &s);
    flo_buf_init(&event, 0);
    flo_http_event(&event, "fleet", NULL, "{}", 2);
    flo_http_channel_send(s.channel, &event);
    while (!strstr(got, "data: {}\n\n")) {
        event_base_loop(f->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        ssize_t n = recv(fd, got + len, sizeof got - 1 - len, MSG_DONTWAIT);
        len += n > 0 ? (size_t)n : 0;
        got[len] = '\0';
    }
    assert_status(got, 200);
    assert_non_null(strstr(got, "Content-Type: text/event-stream\r\n"));
    assert_non_null(strstr(got, "\r\n\r\nd\r\nretry: 2000\n\n\r\n"));
    assert_non_null(strstr(got, "event: hello\nid: 7\ndata: a\ndata: b\n\n\r\n"));
    assert_non_null(strstr(got, "event: fleet\ndata: {}\n\n\r\n"));
    assert_status(get(f, "/stream"), 503); /* one is the bound */

    char *much = calloc(1, 8000);
    memset(much, 'x', 7999);
    flo_http_event(&event, "much", NULL, much, 7999);
    while (flo_http_channel_listeners(s.channel)) { /* it does not read any more */
        flo_http_channel_send(s.channel, &event);
        event_base_loop(f->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    }
    free(much);
    close(fd);
    fd = open_stream(f, &s);
    flo_http_channel_destroy(&s.channel);
    close(fd);
    flo_buf_fini(&event);
    flo_buf_fini(&s.first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_post, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipelined, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answer_later, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(test_health_follows_checks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_startup_waits_for_the_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metrics_and_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_methods, setup, teardown),
        cmocka_unit_test_setup_teardown(test_odd_paths_are_404, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_page, setup, teardown),
        cmocka_unit_test_setup_teardown(test_listen_errors, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
