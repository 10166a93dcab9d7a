/* SPDX-License-Identifier: Apache-2.0 */
/* A loop that stands still is noticed and answered for, and is healthy again when it turns. */
#include "telemetry/watchdog.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/cmocka_env.h"
#include "telemetry/log.h"

struct fixture {
    struct event_base *base;
    struct flo_health *health;
    struct flo_http *http;
    struct flo_watchdog *watchdog;
    int port;
    int64_t lag_ns; /* the largest */
    char answer[8192];
};

static void at(void *ctx, char *out, size_t size)
{
    (void)ctx;
    snprintf(out, size, "a callback of the test");
}

static void on_lag(void *ctx, int64_t lag_ns)
{
    struct fixture *f = ctx;
    f->lag_ns = lag_ns > f->lag_ns ? lag_ns : f->lag_ns;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char address[FLO_HTTP_ADDRESS_MAX];
    struct flo_watchdog_options options = {.limit_ms = 250, .at = at, .on_lag = on_lag, .ctx = f};
    f->base = event_base_new();
    assert_int_equal(flo_health_new(&f->health, NULL), 0);
    assert_int_equal(flo_http_new(f->base, NULL, f->health, &f->http, NULL), 0);
    assert_int_equal(flo_http_listen(f->http, "127.0.0.1", 0, address, NULL), 0);
    f->port = (int)strtol(strrchr(address, ':') + 1, NULL, 10);
    options.base = f->base;
    options.http = f->http;
    options.health = f->health;
    assert_int_equal(flo_watchdog_new(&options, &f->watchdog, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    flo_watchdog_destroy(&f->watchdog);
    flo_http_destroy(&f->http);
    flo_health_destroy(&f->health);
    event_base_free(f->base);
    free(f);
    return 0;
}

/* One GET, the whole answer into f->answer. Needs nothing of the loop's thread. */
static void get(struct fixture *f, const char *path)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)f->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char request[128];
    size_t len = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
             path);
    (void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
    for (ssize_t n; (n = recv(fd, f->answer + len, sizeof f->answer - 1 - len, 0)) > 0;)
        len += (size_t)n;
    f->answer[len] = '\0';
    close(fd);
}

/* Runs on the loop, and leaves it only with an answer, which nobody but the watchdog can give. */
static void on_stand_still(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    get(ctx, "/health");
}

static void test_stalled_loop_answers_503_and_recovers(void **state)
{
    struct fixture *f = *state;
    const struct timeval now = {0};
    assert_true(flo_health_is_live(f->health));
    event_base_once(f->base, -1, EV_TIMEOUT, on_stand_still, f, &now);
    while (!f->lag_ns)
        event_base_loop(f->base, EVLOOP_ONCE);
    assert_memory_equal(f->answer, "HTTP/1.1 503", 12);
    assert_non_null(strstr(f->answer, "\"loop\":{\"ok\":false"));
#ifndef __SANITIZE_THREAD__ /* holds signals back until a call that it knows */
    assert_non_null(strstr(f->answer, "a callback of the test"));
#endif
    while (!flo_health_is_live(f->health))
        event_base_loop(f->base, EVLOOP_ONCE);
    assert_true(f->lag_ns > 200 * FLO_NS_PER_MS);
}

static void *get_health(void *ctx)
{
    struct fixture *f = ctx;
    get(f, "/livez?verbose");
    event_base_loopbreak(f->base);
    return NULL;
}

/* The page for people. */
static void test_verbose_lists_the_checks(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    flo_health_set_live(f->health, "pollers", false, "silent");
    pthread_create(&thread, NULL, get_health, f);
    event_base_dispatch(f->base);
    pthread_join(thread, NULL);
    assert_memory_equal(f->answer, "HTTP/1.1 503", 12);
    assert_non_null(
        strstr(f->answer, "[+]loop ok\n[-]pollers failed: silent\nhealth check failed\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stalled_loop_answers_503_and_recovers, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_verbose_lists_the_checks, setup, teardown),
    };
    flo_log_open(FLO_LOG_ERROR, FLO_LOG_JSON, "test");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
