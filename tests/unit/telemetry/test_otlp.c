/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter against a collector on the same loop: what it sends when, and what it keeps. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_env.h"
#include "telemetry/otlp_internal.h"

#define HELD_MAX 8

struct fixture {
    struct event_base *base;
    struct evhttp *server;
    struct flo_metrics *metrics;
    struct flo_otlp *otlp;
    char url[64];
    bool hold;  /* answer nothing */
    int status; /* of the next answers */
    struct evhttp_request *held[HELD_MAX];
    size_t held_count;
    json_t *bodies; /* array, of all that came */
    int64_t patience_ms, timeout_ms;
    bool done; /* flo_otlp_finish has ended */
};

static void answer(struct fixture *f, struct evhttp_request *request)
{
    struct evbuffer *body = evbuffer_new();
    evbuffer_add(body, "{}", 2);
    evhttp_send_reply(request, f->status, "as told", body);
    evbuffer_free(body);
}

static void on_request(struct evhttp_request *request, void *ctx)
{
    struct fixture *f = ctx;
    struct evbuffer *input = evhttp_request_get_input_buffer(request);
    size_t len = evbuffer_get_length(input);
    json_t *body =
        json_loadb((const char *)evbuffer_pullup(input, -1), len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(body);
    json_array_append_new(f->bodies, body);
    if (f->hold && f->held_count < HELD_MAX)
        f->held[f->held_count++] = request;
    else
        answer(f, request);
}

static int setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    *f = (struct fixture){.status = 200, .timeout_ms = 20000, .bodies = json_array()};
    f->base = event_base_new();
    f->server = evhttp_new(f->base);
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(f->server, "127.0.0.1", 0);
    assert_non_null(bound);
    assert_int_equal(getsockname(evhttp_bound_socket_get_fd(bound), (void *)&address, &len), 0);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d/v1/x", ntohs(address.sin_port));
    evhttp_set_gencb(f->server, on_request, f);
    evhttp_set_max_body_size(f->server, 16 << 20);
    assert_int_equal(flo_metrics_new(&f->metrics, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    flo_otlp_destroy(&f->otlp);
    flo_metrics_destroy(&f->metrics);
    evhttp_free(f->server);
    event_base_free(f->base);
    json_decref(f->bodies);
    return 0;
}

static void start(struct fixture *f, const char *metrics_url, const char *traces_url)
{
    const struct flo_otlp_options options = {.metrics_url = metrics_url,
                                             .traces_url = traces_url,
                                             .interval_ms = 20,
                                             .delay_ms = 20,
                                             .timeout_ms = f->timeout_ms,
                                             .patience_ms = f->patience_ms,
                                             .program = "test",
                                             .instance = "one",
                                             .version = "1",
                                             .resource = "host.name=mine,color=blue",
                                             .metrics = f->metrics};
    assert_int_equal(flo_otlp_new(f->base, &options, &f->otlp, NULL), 0);
}

/* Turn the loop until there are so many requests. */
static void await_requests(struct fixture *f, size_t count)
{
    while (json_array_size(f->bodies) < count)
        assert_true(event_base_loop(f->base, EVLOOP_ONCE) == 0);
}

static void record(struct fixture *f, const char *what, size_t count)
{
    struct flo_otlp_span span = {.verb = "Run", .what = what, .kind = FLO_SPAN_SERVER};
    memset(span.context.trace_id, 1, sizeof span.context.trace_id);
    for (size_t i = 0; i < count; i++) {
        memcpy(span.context.span_id, &i, sizeof span.context.span_id);
        flo_otlp_record(f->otlp, &span);
    }
}

static const json_t *first_of(const json_t *value, const char *key)
{
    return json_array_get(json_object_get(value, key), 0);
}

/* The spans of request i. */
static const json_t *spans_of(const struct fixture *f, size_t i)
{
    const json_t *resource = first_of(json_array_get(f->bodies, i), "resourceSpans");
    return json_object_get(first_of(resource, "scopeSpans"), "spans");
}

static double counted(struct fixture *f, const char *outcome)
{
    return flo_series_value(flo_metrics_get(f->metrics, FLO_METRIC_OTLP_SPANS, outcome, NULL));
}

static void on_done(void *ctx)
{
    ((struct fixture *)ctx)->done = true;
}

static void finish(struct fixture *f, int64_t max_ms)
{
    flo_otlp_finish(f->otlp, max_ms, on_done, f);
    assert_false(f->done); /* never from within the call */
    while (!f->done)
        event_base_loop(f->base, EVLOOP_ONCE);
}

/* A full batch goes at once, what is left after the delay. */
static void test_batches(void **state)
{
    struct fixture *f = *state;
    start(f, NULL, f->url);
    assert_true(flo_otlp_traces(f->otlp));
    record(f, "a", FLO_OTLP_BATCH_SPANS + 3);
    await_requests(f, 2);
    assert_int_equal(json_array_size(spans_of(f, 0)), FLO_OTLP_BATCH_SPANS);
    assert_int_equal(json_array_size(spans_of(f, 1)), 3);
    finish(f, 10000);
    assert_true(counted(f, "sent") == FLO_OTLP_BATCH_SPANS + 3);
}

/* While the collector is silent the queue fills to its bound; the newest are dropped and counted;
 * what was kept arrives, once. */
static void test_queue_is_bounded(void **state)
{
    struct fixture *f = *state;
    const size_t kept = FLO_OTLP_BATCHES * FLO_OTLP_BATCH_SPANS;
    start(f, NULL, f->url);
    f->hold = true;
    record(f, "a", kept + 1000);
    await_requests(f, 1);
    record(f, "late", 50);
    assert_true(counted(f, "queue_full") == 1050);
    f->hold = false;
    answer(f, f->held[0]);
    await_requests(f, FLO_OTLP_BATCHES);
    finish(f, 10000);
    assert_true(counted(f, "sent") == (double)kept);
    assert_int_equal(json_array_size(f->bodies), FLO_OTLP_BATCHES);
}

/* Bytes are bounded, too: a batch of long spans is smaller, and one that is too long is dropped. */
static void test_bytes_are_bounded(void **state)
{
    struct fixture *f = *state;
    size_t len = FLO_OTLP_BATCH_BYTES / 4;
    char *text = malloc(FLO_OTLP_BATCH_BYTES + 1);
    memset(text, 'x', FLO_OTLP_BATCH_BYTES);
    text[FLO_OTLP_BATCH_BYTES] = '\0';
    start(f, NULL, f->url);
    record(f, text, 1);
    assert_true(counted(f, "queue_full") == 1);
    text[len] = '\0';
    record(f, text, 5);
    await_requests(f, 2);
    assert_int_equal(json_array_size(spans_of(f, 0)) + json_array_size(spans_of(f, 1)), 5);
    free(text);
}

/* Names that JSON must escape, in a name that is put together. */
static void test_names_are_escaped(void **state)
{
    struct fixture *f = *state;
    start(f, NULL, f->url);
    record(f, "a \"b\"\\\n\xc3\xbc", 1);
    record(f, "not \xff utf8", 1);
    await_requests(f, 1);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(spans_of(f, 0), 0), "name")),
        "Run:a \"b\"\\\n\xc3\xbc");
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(spans_of(f, 0), 1), "name")),
        "Run:not ? utf8");
}

/* The resource: what the user says goes first; a service without a name has the program's. */
static void test_resource(void **state)
{
    struct fixture *f = *state;
    static const char *const expected[][2] = {{"service.name", "test"},
                                              {"service.instance.id", "one"},
                                              {"host.name", "mine"},
                                              {"color", "blue"}};
    size_t i, k, found = 0;
    const json_t *pair;
    start(f, f->url, NULL);
    assert_false(flo_otlp_traces(f->otlp));
    await_requests(f, 1);
    const json_t *resource =
        json_object_get(first_of(json_array_get(f->bodies, 0), "resourceMetrics"), "resource");
    json_array_foreach(json_object_get(resource, "attributes"), i, pair)
    {
        for (k = 0; k < sizeof expected / sizeof *expected; k++)
            if (strcmp(json_string_value(json_object_get(pair, "key")), expected[k][0]) == 0) {
                found++;
                assert_string_equal(json_string_value(json_object_get(
                                        json_object_get(pair, "value"), "stringValue")),
                                    expected[k][1]);
            }
    }
    assert_int_equal(found, sizeof expected / sizeof *expected);
}

static const json_t *metric_of(const struct fixture *f, const char *name)
{
    const json_t *resource = first_of(json_array_get(f->bodies, 0), "resourceMetrics");
    const json_t *metrics = json_object_get(first_of(resource, "scopeMetrics"), "metrics"), *metric;
    size_t i;
    json_array_foreach(metrics, i, metric)
    {
        if (strcmp(json_string_value(json_object_get(metric, "name")), name) == 0)
            return metric;
    }
    return NULL;
}

/* A counter's name has no _total, a histogram's count is that of its buckets, and what nobody knows
 * now is left out, with its metric when nothing else is there. */
static void test_metrics(void **state)
{
    struct fixture *f = *state;
    flo_series_add(flo_metrics_get(f->metrics, FLO_METRIC_REQUEST, "ns", "Poll", NULL), 3);
    flo_series_observe(flo_metrics_get(f->metrics, FLO_METRIC_REQUEST_LATENCY, "ns", "P", NULL), 2);
    flo_series_set(flo_metrics_get(f->metrics, FLO_METRIC_LOOP_LAG, NULL), 1);
    flo_series_clear(flo_metrics_get(f->metrics, FLO_METRIC_LOOP_LAG, NULL));
    start(f, f->url, NULL);
    await_requests(f, 1);
    assert_null(metric_of(f, "flotilla_loop_lag_seconds"));
    assert_null(metric_of(f, "temporal_request_total"));
    const json_t *sum = json_object_get(metric_of(f, "temporal_request"), "sum");
    const json_t *histogram =
        json_object_get(metric_of(f, "temporal_request_latency_seconds"), "histogram");
    assert_true(json_is_true(json_object_get(sum, "isMonotonic")));
    assert_true(json_number_value(json_object_get(first_of(sum, "dataPoints"), "asDouble")) == 3);
    assert_string_equal(
        json_string_value(json_object_get(first_of(histogram, "dataPoints"), "count")), "1");
}

/* Nothing waits for a collector that refuses, and refused spans are counted. */
static void test_refused(void **state)
{
    struct fixture *f = *state;
    start(f, NULL, f->url);
    f->status = 413;
    record(f, "a", 7);
    await_requests(f, 1);
    finish(f, 10000);
    assert_true(counted(f, "refused") == 7);
}

/* A batch that nobody takes is given up, and what is recorded after that is sent as ever. */
static void test_given_up(void **state)
{
    struct fixture *f = *state;
    f->patience_ms = 1;
    start(f, NULL, f->url);
    f->status = 503;
    record(f, "a", 7);
    while (counted(f, "undelivered") == 0)
        event_base_loop(f->base, EVLOOP_ONCE);
    assert_true(counted(f, "undelivered") == 7);
    size_t before = json_array_size(f->bodies);
    f->status = 200;
    event_base_loop(f->base, EVLOOP_ONCE); /* the pause, after which there is nothing to send */
    record(f, "b", 2);
    await_requests(f, before + 1);
    finish(f, 10000);
    assert_true(counted(f, "sent") == 2);
}

/* The end comes in time with a collector that is silent, and at once with one that is away. */
static void test_finish_is_bounded(void **state)
{
    struct fixture *f = *state;
    start(f, f->url, f->url);
    f->hold = true;
    record(f, "a", 1);
    finish(f, 50);
    assert_true(json_array_size(f->bodies) >= 1);
    flo_otlp_destroy(&f->otlp);

    f->done = false;
    start(f, "http://127.0.0.1:1/", "http://127.0.0.1:1/");
    record(f, "a", 1);
    finish(f, 60000);
    flo_otlp_destroy(&f->otlp);

    f->done = false; /* with nothing to send at all */
    start(f, NULL, f->url);
    finish(f, 60000);
}

/* A collector that means harm: head, then more for as long as somebody reads. */
struct hostile {
    const char *head, *more; /* more NULL: silence */
};

static void on_drained(struct bufferevent *bev, void *ctx)
{
    const struct hostile *hostile = ctx;
    if (hostile->more)
        for (int i = 0; i < 256; i++)
            bufferevent_write(bev, hostile->more, strlen(hostile->more));
}

static void on_gone(struct bufferevent *bev, short what, void *ctx)
{
    (void)what;
    (void)ctx;
    bufferevent_free(bev);
}

static void on_connection(struct evconnlistener *listener, evutil_socket_t fd,
                          struct sockaddr *address, int len, void *ctx)
{
    const struct hostile *hostile = ctx;
    struct bufferevent *bev =
        bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
    (void)address;
    (void)len;
    bufferevent_setcb(bev, NULL, on_drained, on_gone, ctx);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    bufferevent_write(bev, hostile->head, strlen(hostile->head));
}

/* Answers without an end, or that are none, end with the request's time or before, as if nobody
 * were there: what is exported is kept and tried again. */
static void test_hostile_collector(void **state)
{
    static struct hostile hostiles[] = {
        {"HTTP/1.1 200 OK\r\n\r\n", "endless"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\nmore\r\n"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "long"},
        {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "negative"},
        {"HTTP/1.1 200 OK\r\nX: ", "a header that does not end"},
        {"HTTP/1.1 200 OK\r\n", "X: one of very many\r\n"},
        {"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"},
        {"SSH-2.0-not-at-all\r\n", NULL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", NULL},
        {"", NULL},
    };
    struct fixture *f = *state;
    f->timeout_ms = 200;
    for (size_t i = 0; i < sizeof hostiles / sizeof *hostiles; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t len = sizeof address;
        struct evconnlistener *listener =
            evconnlistener_new_bind(f->base, on_connection, &hostiles[i], LEV_OPT_CLOSE_ON_FREE, -1,
                                    (struct sockaddr *)&address, sizeof address);
        assert_non_null(listener);
        assert_int_equal(getsockname(evconnlistener_get_fd(listener), (void *)&address, &len), 0);
        snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
        start(f, NULL, f->url);
        record(f, "a", 1);
        struct flo_series *failed =
            flo_metrics_get(f->metrics, FLO_METRIC_OTLP_REQUESTS, "traces", "unavailable", NULL);
        while (flo_series_value(failed) < (double)(i + 1))
            assert_int_equal(event_base_loop(f->base, EVLOOP_ONCE), 0);
        assert_true(flo_series_value(failed) == (double)(i + 1));
        assert_true(counted(f, "sent") == 0);
        evconnlistener_free(listener);
        flo_otlp_destroy(&f->otlp);
        event_base_loop(f->base, EVLOOP_NONBLOCK); /* the other end sees it */
    }
}

/* Endpoints in words. */
static void test_urls(void **state)
{
    static const char *const good[] = {"http://a", "https://a:1/x?y=z", "http://[::1]:4318/v1"};
    static const char *const bad[] = {"",         "a:4318",      "ftp://a",    "http://",
                                      "http:///", "http://u@a/", "http://a/#b"};
    struct flo_otlp_url url;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (flo_otlp_url_parse(good[i], &url, NULL))
            fail_msg("refused: %s", good[i]);
        else
            flo_otlp_url_fini(&url);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!flo_otlp_url_parse(bad[i], &url, NULL))
            fail_msg("taken: %s", bad[i]);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as all programs do */
    const struct CMUnitTest tests[] = {
        T(test_batches),
        T(test_queue_is_bounded),
        T(test_bytes_are_bounded),
        T(test_names_are_escaped),
        T(test_resource),
        T(test_metrics),
        T(test_refused),
        T(test_given_up),
        T(test_finish_is_bounded),
        T(test_hostile_collector),
        cmocka_unit_test(test_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
