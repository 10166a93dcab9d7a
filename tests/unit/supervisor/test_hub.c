/* SPDX-License-Identifier: Apache-2.0 */
/* Reporter to hub over ipc: a real snapshot arrives; bad messages are counted; a restart is
 * harmless. */
#include <czmq.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "supervisor/hub.h"
#include "support/cmocka_env.h"
#include "telemetry/report.h"

struct fixture {
    struct event_base *base;
    struct event *tick;
    struct flo_metrics *metrics;
    struct flo_fleet fleet;
    struct flo_hub *hub;
    char dir[64];
    char endpoint[96];
};

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    (void)ctx;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct timeval often = {.tv_usec = 5000};
    snprintf(f->dir, sizeof f->dir, "/tmp/flo-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->endpoint, sizeof f->endpoint, "ipc://%s/s", f->dir);
    f->base = event_base_new();
    f->tick = event_new(f->base, -1, EV_PERSIST, on_tick, NULL); /* the loop always turns */
    event_add(f->tick, &often);
    assert_int_equal(flo_metrics_new(&f->metrics, NULL), 0);
    flo_fleet_init(&f->fleet, f->metrics);
    assert_int_equal(flo_hub_new(f->base, f->endpoint, &f->fleet, &f->hub, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    flo_hub_destroy(&f->hub);
    flo_fleet_fini(&f->fleet);
    flo_metrics_destroy(&f->metrics);
    event_free(f->tick);
    event_base_free(f->base);
    char path[128];
    snprintf(path, sizeof path, "%s/s", f->dir);
    unlink(path);
    rmdir(f->dir);
    free(f);
    return 0;
}

static bool reported(struct fixture *f)
{
    return flo_fleet_by_pid(&f->fleet, getpid(), flo_clock_mono_ns() / FLO_NS_PER_MS) != NULL;
}

static void turn_until_reported(struct fixture *f)
{
    for (int i = 0; i < 2000 && !reported(f); i++)
        event_base_loop(f->base, EVLOOP_ONCE);
    assert_true(reported(f));
}

static struct flo_reporter *start_reporter(struct fixture *f)
{
    const struct flo_report_options options = {.endpoint = f->endpoint,
                                               .identity = "w",
                                               .role = "workflow",
                                               .version = "1",
                                               .interval_ms = 50,
                                               .metrics = f->metrics};
    struct flo_reporter *reporter = NULL;
    assert_int_equal(flo_reporter_new(f->base, &options, &reporter, NULL), 0);
    return reporter;
}

/* What the reporter sends is what the hub takes; a new hub learns it again. */
static void test_snapshot_arrives_also_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct flo_reporter *reporter = start_reporter(f);
    turn_until_reported(f);
    flo_hub_destroy(&f->hub);
    flo_fleet_fini(&f->fleet);
    flo_fleet_init(&f->fleet, f->metrics);
    assert_false(reported(f));
    assert_int_equal(flo_hub_new(f->base, f->endpoint, &f->fleet, &f->hub, NULL), 0);
    turn_until_reported(f);
    flo_reporter_destroy(&reporter);
}

static double bad(struct fixture *f, const char *reason)
{
    return flo_series_value(flo_metrics_get(f->metrics, FLO_METRIC_FLEET_BAD_FRAMES, reason, NULL));
}

/* Several frames, an empty one, garbage: counted, and the next snapshot is taken (Z6). */
static void test_bad_messages_are_dropped(void **state)
{
    struct fixture *f = *state;
    zsock_t *dealer = zsock_new_dealer(f->endpoint);
    zsock_set_linger(dealer, 0);
    zsock_send(dealer, "ss", "two", "frames");
    zmsg_t *empty = zmsg_new();
    zmsg_addmem(empty, "", 0);
    zmsg_send(&empty, dealer);
    zstr_send(dealer, "\x01\x02 garbage");
    for (int i = 0; i < 2000 && bad(f, "json") < 1; i++)
        event_base_loop(f->base, EVLOOP_ONCE);
    assert_true(bad(f, "parts") == 1);
    assert_true(bad(f, "size") == 1);
    assert_true(bad(f, "json") == 1);
    zsock_destroy(&dealer);
    struct flo_reporter *reporter = start_reporter(f);
    turn_until_reported(f);
    flo_reporter_destroy(&reporter);
}

/* A flood does not keep the loop from its other work. */
static void test_flood_is_taken_in_batches(void **state)
{
    struct fixture *f = *state;
    zsock_t *dealer = zsock_new(ZMQ_DEALER);
    zsock_set_sndhwm(dealer, 0);
    zsock_set_linger(dealer, 0);
    assert_int_equal(zsock_connect(dealer, "%s", f->endpoint), 0);
    for (int i = 0; i < 5000; i++)
        zstr_send(dealer, "x");
    for (int i = 0; i < 5000 && bad(f, "json") < 5000; i++)
        event_base_loop(f->base, EVLOOP_ONCE);
    assert_true(bad(f, "json") == 5000);
    zsock_destroy(&dealer);
}

/* Endpoints that cannot be bound. */
static void test_bad_endpoints(void **state)
{
    struct fixture *f = *state;
    struct flo_hub *hub = NULL;
    struct flo_err err = {0};
    assert_int_equal(flo_hub_new(f->base, "nonsense", &f->fleet, &hub, &err), FLO_EINVAL);
    assert_int_equal(flo_hub_new(f->base, "ipc:///nowhere/at/all", &f->fleet, &hub, &err),
                     FLO_ECONN);
    assert_null(hub);
}

int main(void)
{
    setenv("ZSYS_SIGHANDLER", "false", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_snapshot_arrives_also_after_a_restart, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_bad_messages_are_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flood_is_taken_in_batches, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_endpoints, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
