/* SPDX-License-Identifier: Apache-2.0 */
/* Reporter to hub over ipc: a real snapshot arrives; bad messages are counted; a restart is
 * harmless. */
#include <czmq.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "supervisor/hub/hub.h"
#include "support/cmocka_env.h"
#include "telemetry/curve.h"
#include "telemetry/report.h"

struct fixture {
    struct event_base *base;
    struct event *tick;
    struct flo_metrics *metrics;
    struct flo_fleet fleet;
    struct flo_events *events;
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

static int new_hub(struct fixture *f, const char *endpoint, struct flo_hub **out,
                   struct flo_err *err)
{
    const struct flo_hub_options options = {.endpoint = endpoint, .events = f->events};
    return flo_hub_new(f->base, &options, &f->fleet, out, err);
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
    assert_int_equal(flo_events_new(0, &f->events, NULL), 0);
    assert_int_equal(new_hub(f, f->endpoint, &f->hub, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    flo_hub_destroy(&f->hub);
    flo_fleet_fini(&f->fleet);
    flo_events_destroy(&f->events);
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
    assert_int_equal(new_hub(f, f->endpoint, &f->hub, NULL), 0);
    turn_until_reported(f);
    flo_reporter_destroy(&reporter);
}

static double bad(struct fixture *f, const char *reason)
{
    return flo_series_value(flo_metrics_get(f->metrics, FLO_METRIC_FLEET_BAD_FRAMES, reason, NULL));
}

/* Several frames, an empty one, garbage: counted, and the next snapshot is taken. */
static void test_bad_messages_are_dropped(void **state)
{
    struct fixture *f = *state;
    zsock_t *dealer = zsock_new_dealer(f->endpoint);
    zsock_set_linger(dealer, 0);
    zsock_send(dealer, "sssss", "many", "frames", "are", "one", "refusal");
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

/* A flood does not keep the loop from its other work, and beyond its peer's share it is not even
 * read. */
static void test_flood_is_taken_in_batches(void **state)
{
    struct fixture *f = *state;
    zsock_t *dealer = zsock_new(ZMQ_DEALER);
    zsock_set_sndhwm(dealer, 0);
    zsock_set_linger(dealer, 0);
    assert_int_equal(zsock_connect(dealer, "%s", f->endpoint), 0);
    for (int i = 0; i < 5000; i++)
        zstr_send(dealer, "x");
    for (int i = 0; i < 5000 && bad(f, "json") + bad(f, "rate") < 5000; i++)
        event_base_loop(f->base, EVLOOP_ONCE);
    assert_true(bad(f, "json") + bad(f, "rate") == 5000);
    assert_true(bad(f, "rate") > 0);
    zsock_destroy(&dealer);
}

/* ---- commands and events ---- */

/* A process that takes commands: "later" is answered when the test says so. */
struct commanded {
    struct flo_reporter *reporter;
    uint64_t later;
};

static void obey(void *ctx, uint64_t id, const char *name, json_t *args)
{
    struct commanded *process = ctx;
    if (strcmp(name, "later") == 0)
        process->later = id;
    else
        flo_reporter_ack(process->reporter, id, strcmp(name, "echo") == 0, name, json_incref(args));
}

/* How a command ended. */
struct answer {
    int calls;
    bool ok;
    char message[64];
    json_t *data;
};

static void keep(void *ctx, bool ok, const char *message, json_t *data)
{
    struct answer *answer = ctx;
    answer->calls++;
    answer->ok = ok;
    snprintf(answer->message, sizeof answer->message, "%s", message);
    json_decref(answer->data);
    answer->data = json_incref(data);
}

static void turn_until_answered(struct fixture *f, const struct answer *answer, int calls)
{
    for (int i = 0; i < 5000 && answer->calls < calls; i++)
        event_base_loop(f->base, EVLOOP_ONCE);
    assert_int_equal(answer->calls, calls);
}

static struct flo_fleet_entry *entry_of_us(struct fixture *f)
{
    return flo_fleet_by_pid(&f->fleet, getpid(), flo_clock_mono_ns() / FLO_NS_PER_MS);
}

static void ask(struct fixture *f, const char *name, json_t *args, int timeout_ms,
                struct answer *answer)
{
    assert_int_equal(
        flo_hub_command(f->hub, entry_of_us(f), name, args, timeout_ms, keep, answer, NULL), 0);
}

/* Until the process has its "later". */
static void turn_until_asked(struct fixture *f, const struct commanded *process)
{
    for (int i = 0; i < 5000 && !process->later; i++)
        event_base_loop(f->base, EVLOOP_ONCE);
}

static void start_commanded(struct fixture *f, struct commanded *process)
{
    const struct flo_report_options options = {.endpoint = f->endpoint,
                                               .identity = "w",
                                               .role = "workflow",
                                               .version = "1",
                                               .interval_ms = 50,
                                               .metrics = f->metrics,
                                               .command = obey,
                                               .command_ctx = process};
    assert_int_equal(flo_reporter_new(f->base, &options, &process->reporter, NULL), 0);
    for (int i = 0; i < 5000 && !(reported(f) && entry_of_us(f)->connection); i++)
        event_base_loop(f->base, EVLOOP_ONCE); /* of a run before it there may still be news */
    assert_true(reported(f));
}

/* A command comes back done or refused, with what the process has to say; and later, too. */
static void test_commands_are_acknowledged(void **state)
{
    struct fixture *f = *state;
    struct commanded process = {.later = 0};
    struct answer answer = {.calls = 0};
    json_t *args = json_pack("{s:i}", "n", 7);
    start_commanded(f, &process);
    ask(f, "echo", args, 60000, &answer);
    assert_int_equal(answer.calls, 0); /* never from within */
    turn_until_answered(f, &answer, 1);
    assert_true(answer.ok);
    assert_true(json_equal(answer.data, args));
    ask(f, "refuse", NULL, 60000, &answer);
    turn_until_answered(f, &answer, 2);
    assert_false(answer.ok);
    assert_string_equal(answer.message, "refuse");
    ask(f, "later", NULL, 60000, &answer);
    turn_until_asked(f, &process);
    flo_reporter_ack(process.reporter, process.later, true, "done at last", NULL);
    turn_until_answered(f, &answer, 3);
    assert_string_equal(answer.message, "done at last");
    json_decref(args);
    json_decref(answer.data);
    flo_reporter_destroy(&process.reporter);
}

/* A command without an answer ends all the same: by its timeout, with its process, with the hub. */
static void test_commands_end_without_an_answer(void **state)
{
    struct fixture *f = *state;
    struct commanded process = {.later = 0};
    struct answer answer = {.calls = 0};
    start_commanded(f, &process);
    struct flo_fleet_entry *entry = entry_of_us(f);
    ask(f, "later", NULL, 1, &answer);
    turn_until_answered(f, &answer, 1);
    assert_string_equal(answer.message, "no answer in time");
    ask(f, "later", NULL, 60000, &answer);
    flo_reporter_destroy(&process.reporter);
    turn_until_answered(f, &answer, 2);
    assert_string_equal(answer.message, "its connection closed");
    assert_int_equal(flo_hub_command(f->hub, entry, "later", NULL, 60000, keep, &answer, NULL),
                     FLO_ECONN);
    start_commanded(f, &process);
    ask(f, "later", NULL, 60000, &answer);
    flo_hub_destroy(&f->hub);
    assert_int_equal(answer.calls, 3);
    assert_string_equal(answer.message, "the supervisor stops");
    flo_reporter_destroy(&process.reporter);
}

/* An answer to the supervisor before this one is no answer to a command of this one. */
static void test_ids_differ_from_supervisor_to_supervisor(void **state)
{
    struct fixture *f = *state;
    struct commanded process = {.later = 0};
    struct answer answer = {.calls = 0};
    start_commanded(f, &process);
    ask(f, "later", NULL, 60000, &answer);
    turn_until_asked(f, &process);
    const uint64_t before = process.later;
    process.later = 0;
    flo_hub_destroy(&f->hub);
    assert_int_equal(answer.calls, 1);
    assert_int_equal(new_hub(f, f->endpoint, &f->hub, NULL), 0);
    for (int i = 0;
         i < 5000 && !(reported(f) && flo_hub_command(f->hub, entry_of_us(f), "later", NULL, 60000,
                                                      keep, &answer, NULL) == 0);
         i++)
        event_base_loop(f->base, EVLOOP_ONCE);
    turn_until_asked(f, &process);
    flo_reporter_ack(process.reporter, before, true, "the old one", NULL);
    flo_reporter_ack(process.reporter, process.later, true, "the new one", NULL);
    turn_until_answered(f, &answer, 2);
    assert_string_equal(answer.message, "the new one");
    flo_reporter_destroy(&process.reporter);
}

/* A reporter goes over to new connections: nothing is lost, refused or alarming, and a command
 * that came by the old one is answered by the new one. */
static void test_connections_are_renewed(void **state)
{
    struct fixture *f = *state;
    struct answer answer = {.calls = 0};
    struct commanded process = {.later = 0};
    const struct flo_report_options options = {.endpoint = f->endpoint,
                                               .identity = "w",
                                               .role = "workflow",
                                               .version = "1",
                                               .interval_ms = 50,
                                               .metrics = f->metrics,
                                               .command = obey,
                                               .command_ctx = &process};
    assert_int_equal(flo_reporter_new(f->base, &options, &process.reporter, NULL), 0);
    turn_until_reported(f);
    for (int renewed = 0; renewed < 2; renewed++) {
        const uint64_t connection = entry_of_us(f)->connection;
        process.later = 0;
        ask(f, "later", NULL, 60000, &answer);
        for (int i = 0; i < 20000 && entry_of_us(f)->connection == connection; i++) {
            event_base_loop(f->base, EVLOOP_ONCE);
            assert_non_null(entry_of_us(f));
        }
        assert_true(entry_of_us(f)->connection > connection);
        flo_reporter_event(process.reporter, FLO_LOG_INFO, "still.here", "It goes on", NULL);
        flo_reporter_ack(process.reporter, process.later, true, "by the new one", NULL);
        turn_until_answered(f, &answer, renewed + 1);
        assert_string_equal(answer.message, "by the new one");
    }
    /* Where the machine stands still a report is dropped, or overtakes the goodbye; each is
     * counted. */
    const double counted =
        flo_series_value(flo_metrics_get(f->metrics, FLO_METRIC_REPORTS_DROPPED, NULL)) +
        bad(f, "peer") + bad(f, "old");
    assert_true((double)entry_of_us(f)->gaps <= counted);
    assert_int_equal(entry_of_us(f)->events_lost, 0);
    assert_true(bad(f, "type") == 0);
    for (const struct flo_event *event = flo_events_after(f->events, 0); event;
         event = flo_events_after(f->events, event->seq))
        assert_string_equal(event->kind, "still.here");
    flo_reporter_destroy(&process.reporter);
}

/* Arguments that no frame holds, and an answer that none holds. */
static void test_commands_have_bounds(void **state)
{
    struct fixture *f = *state;
    struct commanded process = {.later = 0};
    struct answer answer = {.calls = 0};
    static char much[70000];
    memset(much, 'x', sizeof much - 1);
    json_t *args = json_pack("{s:s}", "much", much);
    start_commanded(f, &process);
    assert_int_equal(
        flo_hub_command(f->hub, entry_of_us(f), "echo", args, 60000, keep, &answer, NULL),
        FLO_ELIMIT);
    ask(f, "later", NULL, 60000, &answer);
    turn_until_asked(f, &process);
    flo_reporter_ack(process.reporter, process.later, true, "here", args);
    turn_until_answered(f, &answer, 1);
    assert_false(answer.ok);
    assert_null(answer.data);
    flo_reporter_destroy(&process.reporter);
}

/* Events arrive in order, with who and what; too many are dropped and the gap is counted. */
static void test_events_arrive(void **state)
{
    struct fixture *f = *state;
    struct commanded process = {.later = 0};
    start_commanded(f, &process);
    flo_reporter_event(process.reporter, FLO_LOG_WARN, "executor.died", "It died",
                       json_pack("{s:i}", "pid", 5));
    for (int i = 0; i < 5000 && !flo_events_last(f->events); i++)
        event_base_loop(f->base, EVLOOP_ONCE);
    const struct flo_event *event = flo_events_after(f->events, 0);
    assert_string_equal(event->kind, "executor.died");
    assert_string_equal(event->identity, "w");
    assert_int_equal(event->level, FLO_LOG_WARN);
    assert_int_equal(json_integer_value(json_object_get(event->fields, "pid")), 5);
    for (int i = 0; i < 200; i++)
        flo_reporter_event(process.reporter, FLO_LOG_INFO, "flood", "again", NULL);
    assert_true(flo_series_value(
                    flo_metrics_get(f->metrics, FLO_METRIC_REPORT_EVENTS_DROPPED, NULL)) > 100);
    for (int i = 0; i < 5000 && flo_events_last(f->events) < 50; i++)
        event_base_loop(f->base, EVLOOP_ONCE);
    for (int i = 0; i < 5000 && entry_of_us(f)->events_lost == 0; i++) {
        flo_reporter_event(process.reporter, FLO_LOG_INFO, "after", "the flood", NULL);
        event_base_loop(f->base, EVLOOP_ONCE);
    }
    assert_true(entry_of_us(f)->events_lost > 100);
    flo_reporter_destroy(&process.reporter);
}

/* Endpoints that cannot be bound. */
static void test_bad_endpoints(void **state)
{
    struct fixture *f = *state;
    struct flo_hub *hub = NULL;
    struct flo_err err = {0};
    assert_int_equal(new_hub(f, "nonsense", &hub, &err), FLO_EINVAL);
    assert_int_equal(new_hub(f, "ipc:///nowhere/at/all", &hub, &err), FLO_ECONN);
    assert_null(hub);
}

/* ---- CURVE: a hub with keys, in a folder of its own ---- */

struct keys {
    char dir[64], allowed[80], server[100], secret[96], stranger[96], stranger_public[112];
};

static void make_keys(struct fixture *f, struct keys *keys)
{
    snprintf(keys->dir, sizeof keys->dir, "%s", f->dir);
    snprintf(keys->allowed, sizeof keys->allowed, "%s/allowed", f->dir);
    assert_int_equal(mkdir(keys->allowed, 0700), 0);
    assert_int_equal(flo_curve_make_pair(f->dir, f->dir, "hub", NULL), 0);
    assert_int_equal(flo_curve_make_pair(f->dir, keys->allowed, "worker", NULL), 0);
    assert_int_equal(flo_curve_make_pair(f->dir, f->dir, "stranger", NULL), 0);
    snprintf(keys->server, sizeof keys->server, "%s/hub.public", f->dir);
    snprintf(keys->secret, sizeof keys->secret, "%s/worker.secret", f->dir);
    snprintf(keys->stranger, sizeof keys->stranger, "%s/stranger.secret", f->dir);
    snprintf(keys->stranger_public, sizeof keys->stranger_public, "%s/stranger.public", f->dir);
}

static void remove_keys(const struct keys *keys)
{
    static const char *const names[] = {"hub.secret",
                                        "hub.public",
                                        "worker.secret",
                                        "stranger.secret",
                                        "stranger.public",
                                        "allowed/worker.public",
                                        "allowed/stranger.public"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", keys->dir, names[i]);
        unlink(path);
    }
    rmdir(keys->allowed);
}

/* The hub of the fixture again, on a port of the kernel's, with CURVE. */
static void start_curve_hub(struct fixture *f, struct keys *keys)
{
    char secret[96];
    make_keys(f, keys);
    flo_hub_destroy(&f->hub);
    snprintf(secret, sizeof secret, "%s/hub.secret", f->dir);
    const struct flo_hub_options options = {.endpoint = "tcp://127.0.0.1:*",
                                            .secret_key_file = secret,
                                            .allowed_keys_dir = keys->allowed};
    assert_int_equal(flo_hub_new(f->base, &options, &f->fleet, &f->hub, NULL), 0);
}

static struct flo_reporter *start_curve_reporter(struct fixture *f, const struct keys *keys,
                                                 const char *secret)
{
    const struct flo_report_options options = {.endpoint = flo_hub_endpoint(f->hub),
                                               .identity = "w",
                                               .role = "workflow",
                                               .version = "1",
                                               .secret_key_file = secret,
                                               .server_key_file = keys->server,
                                               .interval_ms = 50,
                                               .metrics = f->metrics};
    struct flo_reporter *reporter = NULL;
    assert_int_equal(flo_reporter_new(f->base, &options, &reporter, NULL), 0);
    return reporter;
}

static double refused(struct fixture *f)
{
    return flo_series_value(flo_metrics_get(f->metrics, FLO_METRIC_FLEET_PEERS_REFUSED, NULL));
}

/* A key of the folder may report; another is refused and counted until it lies there, too. */
static void test_curve_lets_in_allowed_keys_only(void **state)
{
    struct fixture *f = *state;
    struct keys keys;
    start_curve_hub(f, &keys);
    struct flo_reporter *stranger = start_curve_reporter(f, &keys, keys.stranger);
    for (int i = 0; i < 2000 && refused(f) < 1; i++)
        event_base_loop(f->base, EVLOOP_ONCE);
    assert_true(refused(f) >= 1);
    assert_false(reported(f));
    char allowed[112];
    snprintf(allowed, sizeof allowed, "%s/stranger.public", keys.allowed);
    assert_int_equal(rename(keys.stranger_public, allowed), 0);
    assert_int_equal(flo_hub_reload_keys(f->hub, NULL), 0);
    flo_reporter_destroy(&stranger); /* libzmq does not try again after a refusal */
    stranger = start_curve_reporter(f, &keys, keys.stranger);
    turn_until_reported(f);
    flo_reporter_destroy(&stranger);
    remove_keys(&keys);
}

/* Peers without CURVE and random bytes deliver nothing, and the allowed peer is heard. */
static void test_curve_hears_no_plain_peer(void **state)
{
    struct fixture *f = *state;
    struct keys keys;
    start_curve_hub(f, &keys);
    zsock_t *plain = zsock_new_dealer(flo_hub_endpoint(f->hub));
    zsock_set_linger(plain, 0);
    zsock_set_sndtimeo(plain, 0);
    zstr_send(plain, "garbage");
    int port = (int)strtol(strrchr(flo_hub_endpoint(f->hub), ':') + 1, NULL, 10);
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char noise[4096];
    flo_random_bytes(noise, sizeof noise);
    for (int i = 0; i < 20; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
        (void)!send(fd, noise, sizeof noise, MSG_NOSIGNAL);
        close(fd);
    }
    struct flo_reporter *reporter = start_curve_reporter(f, &keys, keys.secret);
    turn_until_reported(f);
    assert_true(bad(f, "json") == 0);
    assert_true(bad(f, "parts") == 0);
    assert_true(bad(f, "size") == 0);
    flo_reporter_destroy(&reporter);
    zsock_destroy(&plain);
    remove_keys(&keys);
}

/* Key files that others can read, that hold no key, or that are not there. */
static void test_curve_bad_keys_are_refused(void **state)
{
    struct fixture *f = *state;
    struct keys keys;
    char text[FLO_CURVE_TEXT], other[FLO_CURVE_TEXT];
    make_keys(f, &keys);
    assert_int_equal(flo_curve_make_pair(f->dir, f->dir, "hub", NULL), FLO_EEXIST);
    assert_int_equal(flo_curve_read_secret(keys.secret, text, other, NULL), 0);
    chmod(keys.secret, 0404);
    assert_int_equal(flo_curve_read_secret(keys.secret, text, other, NULL), FLO_EPERM);
    assert_int_equal(flo_curve_read_public("/dev/null", text, NULL), FLO_ECONFIG);
    assert_int_equal(flo_curve_read_public("/nowhere", text, NULL), FLO_ENOENT);
    const struct flo_hub_options options = {.endpoint = "tcp://127.0.0.1:*",
                                            .secret_key_file = keys.stranger,
                                            .allowed_keys_dir = "/dev"};
    struct flo_hub *hub = NULL;
    assert_int_equal(flo_hub_new(f->base, &options, &f->fleet, &hub, NULL), FLO_ECONFIG);
    assert_null(hub);
    remove_keys(&keys);
}

int main(void)
{
    setenv("ZSYS_SIGHANDLER", "false", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_snapshot_arrives_also_after_a_restart, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_bad_messages_are_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flood_is_taken_in_batches, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commands_are_acknowledged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commands_end_without_an_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids_differ_from_supervisor_to_supervisor, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_connections_are_renewed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commands_have_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events_arrive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_endpoints, setup, teardown),
        cmocka_unit_test_setup_teardown(test_curve_lets_in_allowed_keys_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_curve_hears_no_plain_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_curve_bad_keys_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
