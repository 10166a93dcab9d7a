/* SPDX-License-Identifier: Apache-2.0 */
/* The reporter against a plain ROUTER: what arrives, and that an absent supervisor costs nothing.
 */
#include <czmq.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/cmocka_env.h"
#include "telemetry/log.h"
#include "telemetry/report.h"

struct fixture {
    struct event_base *base;
    struct flo_metrics *metrics;
    char dir[64];
    char endpoint[96];
    struct flo_report_options options;
};

static void sample(void *ctx, struct flo_report_sample *out)
{
    (void)ctx;
    out->ready = true;
    out->tasks_done = 7;
    out->slots[0].kind = "activity";
    out->slots[0].used = 2;
    out->slots[0].total = 5;
    out->slot_count = 1;
}

static int setup(void **state)
{
    setenv("ZSYS_SIGHANDLER", "false", 1);
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/flo-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->endpoint, sizeof f->endpoint, "ipc://%s/s", f->dir);
    f->base = event_base_new();
    assert_int_equal(flo_metrics_new(&f->metrics, NULL), 0);
    f->options = (struct flo_report_options){.endpoint = f->endpoint,
                                             .identity = "1@h@q",
                                             .role = "io-activity",
                                             .name = "io",
                                             .version = "0.1.0",
                                             .name_space = "default",
                                             .task_queue = "q",
                                             .interval_ms = 20,
                                             .metrics = f->metrics,
                                             .sample = sample};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    flo_metrics_destroy(&f->metrics);
    event_base_free(f->base);
    char path[128];
    snprintf(path, sizeof path, "%s/s", f->dir);
    unlink(path);
    rmdir(f->dir);
    free(f);
    return 0;
}

/* Turn the loop until a snapshot has arrived; the JSON, or NULL after five seconds. */
static json_t *receive(struct fixture *f, zsock_t *router)
{
    zsock_set_rcvtimeo(router, 10);
    for (int i = 0; i < 500; i++) {
        event_base_loop(f->base, EVLOOP_NONBLOCK);
        zmsg_t *message = zmsg_recv(router);
        if (!message)
            continue;
        assert_int_equal(zmsg_size(message), 2);
        zframe_t *id = zmsg_pop(message), *frame = zmsg_pop(message);
        json_t *json = json_loadb((const char *)zframe_data(frame), zframe_size(frame),
                                  JSON_REJECT_DUPLICATES, NULL);
        zframe_destroy(&id);
        zframe_destroy(&frame);
        zmsg_destroy(&message);
        assert_non_null(json);
        return json;
    }
    return NULL;
}

/* A snapshot holds who, how and the metrics; seq rises, the boot id stays; the last says stopped.
 */
static void test_snapshots_arrive(void **state)
{
    struct fixture *f = *state;
    flo_series_inc(flo_metrics_get(f->metrics, FLO_METRIC_ENGINE_COMMITS, NULL));
    zsock_t *router = zsock_new_router(f->endpoint);
    struct flo_reporter *reporter = NULL;
    assert_int_equal(flo_reporter_new(f->base, &f->options, &reporter, NULL), 0);
    json_t *first = receive(f, router);
    assert_non_null(first);
    assert_int_equal(json_integer_value(json_object_get(first, "v")), 1);
    assert_string_equal(json_string_value(json_object_get(first, "role")), "io-activity");
    assert_string_equal(json_string_value(json_object_get(first, "state")), "running");
    assert_int_equal(json_integer_value(json_object_get(first, "pid")), getpid());
    assert_int_equal(json_integer_value(json_object_get(first, "done")), 7);
    json_t *slot = json_array_get(json_object_get(first, "slots"), 0);
    assert_int_equal(json_integer_value(json_object_get(slot, "total")), 5);
    assert_true(json_array_size(json_object_get(first, "metrics")) >= 1);
    json_t *second = receive(f, router);
    assert_true(json_integer_value(json_object_get(second, "seq")) >
                json_integer_value(json_object_get(first, "seq")));
    assert_string_equal(json_string_value(json_object_get(second, "boot")),
                        json_string_value(json_object_get(first, "boot")));
    flo_reporter_destroy(&reporter);
    assert_null(reporter);
    const char *last = "";
    for (json_t *json; strcmp(last, "stopped") != 0 && (json = receive(f, router));) {
        last =
            strcmp(json_string_value(json_object_get(json, "state")), "stopped") ? "" : "stopped";
        json_decref(json);
    }
    assert_string_equal(last, "stopped");
    json_decref(first);
    json_decref(second);
    zsock_destroy(&router);
}

/* Without a supervisor snapshots are dropped and counted; when it comes, the newest arrives. */
static void test_absent_supervisor_then_present(void **state)
{
    struct fixture *f = *state;
    struct flo_reporter *reporter = NULL;
    assert_int_equal(flo_reporter_new(f->base, &f->options, &reporter, NULL), 0);
    struct flo_series *dropped = flo_metrics_get(f->metrics, FLO_METRIC_REPORTS_DROPPED, NULL);
    while (flo_series_value(dropped) < 5)
        event_base_loop(f->base, EVLOOP_ONCE);
    zsock_t *router = zsock_new_router(f->endpoint);
    json_t *json = receive(f, router);
    assert_non_null(json);
    assert_true(json_integer_value(json_object_get(json, "seq")) > 5);
    json_decref(json);
    flo_reporter_destroy(&reporter);
    zsock_destroy(&router);
}

static size_t count_of(const char *text, const char *word)
{
    size_t count = 0;
    while ((text = strstr(text, word)) && ++count)
        text++;
    return count;
}

/* Its absence is one line, however long; so is its return. */
static void test_absence_is_told_once(void **state)
{
    struct fixture *f = *state;
    struct flo_reporter *reporter = NULL;
    char text[8192] = "";
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    flo_log_open(FLO_LOG_INFO, FLO_LOG_JSON, "prog");
    flo_log_set_fd(fds[1]);
    assert_int_equal(flo_reporter_new(f->base, &f->options, &reporter, NULL), 0);
    struct flo_series *dropped = flo_metrics_get(f->metrics, FLO_METRIC_REPORTS_DROPPED, NULL);
    while (flo_series_value(dropped) < 25)
        event_base_loop(f->base, EVLOOP_ONCE);
    zsock_t *router = zsock_new_router(f->endpoint);
    json_t *json = receive(f, router);
    assert_non_null(json);
    json_decref(json);
    flo_reporter_destroy(&reporter);
    flo_log_set_fd(-1);
    close(fds[1]);
    assert_true(read(fds[0], text, sizeof text - 1) > 0);
    close(fds[0]);
    assert_int_equal(count_of(text, "supervisor.away"), 1);
    assert_int_equal(count_of(text, "supervisor.back"), 1);
    zsock_destroy(&router);
}

static double events_dropped(struct fixture *f)
{
    return flo_series_value(flo_metrics_get(f->metrics, FLO_METRIC_REPORT_EVENTS_DROPPED, NULL));
}

/* The next frame of a type; others are skipped. */
static json_t *receive_type(struct fixture *f, zsock_t *router, const char *type)
{
    json_t *json;
    while ((json = receive(f, router)) &&
           strcmp(json_string_value(json_object_get(json, "type")), type) != 0)
        json_decref(json);
    assert_non_null(json);
    return json;
}

/* Without a supervisor what is to be told waits, up to a bound; the newest are told then. */
static void test_what_waits_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct flo_reporter *reporter = NULL;
    assert_int_equal(flo_reporter_new(f->base, &f->options, &reporter, NULL), 0);
    for (uint64_t id = 1; id <= 3 * FLO_REPORT_QUEUE; id++)
        flo_reporter_ack(reporter, id, true, "", json_pack("{s:i}", "n", (int)id));
    assert_true(events_dropped(f) == 2 * FLO_REPORT_QUEUE);
    flo_reporter_event(reporter, FLO_LOG_TRACE, "test.it", "one\nline", NULL);
    assert_true(events_dropped(f) == 2 * FLO_REPORT_QUEUE + 1);
    zsock_t *router = zsock_new_router(f->endpoint);
    for (int id = 2 * FLO_REPORT_QUEUE + 2; id <= 3 * FLO_REPORT_QUEUE; id++) {
        json_t *ack = receive_type(f, router, "ack");
        assert_int_equal(json_integer_value(json_object_get(ack, "id")), id);
        assert_int_equal(json_integer_value(json_object_get(json_object_get(ack, "data"), "n")),
                         id);
        json_decref(ack);
    }
    json_t *event = receive_type(f, router, "event");
    assert_int_equal(json_integer_value(json_object_get(event, "seq")), 1);
    assert_string_equal(json_string_value(json_object_get(event, "level")), "info");
    assert_string_equal(json_string_value(json_object_get(event, "message")), "one\nline");
    json_decref(event);
    flo_reporter_destroy(&reporter);
    zsock_destroy(&router);
}

/* More bytes than may wait make room like more frames do. */
static void test_what_waits_is_bounded_in_bytes(void **state)
{
    struct fixture *f = *state;
    struct flo_reporter *reporter = NULL;
    static char text[50001];
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(flo_reporter_new(f->base, &f->options, &reporter, NULL), 0);
    for (uint64_t id = 1; id <= 10; id++)
        flo_reporter_ack(reporter, id, true, NULL, json_string(text));
    assert_true(events_dropped(f) == 5); /* five of 50 KB fit into 256 KiB */
    flo_reporter_event(NULL, FLO_LOG_INFO, "nobody", "", json_object());
    flo_reporter_ack(NULL, 1, true, "", json_object());
    flo_reporter_destroy(&reporter);
}

/* Endpoints that are none. */
static void test_bad_endpoints(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"", "http://x", "tcp://", "tcp://host", "ipc:/x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct flo_reporter *reporter = NULL;
        struct flo_err err = {0};
        f->options.endpoint = bad[i];
        assert_int_equal(flo_reporter_new(f->base, &f->options, &reporter, &err), FLO_EINVAL);
        assert_null(reporter);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_snapshots_arrive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_absent_supervisor_then_present, setup, teardown),
        cmocka_unit_test_setup_teardown(test_absence_is_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_waits_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_waits_is_bounded_in_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_endpoints, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
