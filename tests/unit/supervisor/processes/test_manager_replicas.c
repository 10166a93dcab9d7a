/* SPDX-License-Identifier: Apache-2.0 */
/* The process manager with fake children: replicas, replacement, reload, stop and start by hand. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/process.h"
#include "telemetry/log.h"
#include "unit/supervisor/processes/manager_fixture.h"

#define TWO                                                                                        \
    "engine: {enabled: false}\nserver: {address: \"x:1\"}\n"                                       \
    "workers:\n  - {name: a, program: fake_child, count: 2}\n"

/* One that goes on working when it is told to end, until open_gate. */
#define BUSY                                                                                       \
    "engine: {enabled: false}\nserver: {address: \"x:1\"}\nshutdown_timeout: 100ms\n"              \
    "workers:\n  - {name: a, program: fake_child, count: 2, env: {FAKE: busy}}\n"

static void open_gate(struct fixture *f)
{
    char path[128];
    snprintf(path, sizeof path, "%s.gate", f->log);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

/* The process of that name that is (not) to run; false: there is none. */
static bool find(struct fixture *f, const char *name, bool wanted, struct flo_process_view *out)
{
    for (size_t i = 0; i < flo_manager_count(f->manager); i++) {
        flo_manager_view(f->manager, i, out);
        if (strcmp(out->name, name) == 0 && out->wanted == wanted)
            return true;
    }
    return false;
}

static pid_t pid_of(struct fixture *f, const char *name)
{
    struct flo_process_view view;
    return find(f, name, true, &view) ? view.pid : -1;
}

static struct flo_worker_view worker(struct fixture *f, size_t i)
{
    struct flo_worker_view view;
    flo_manager_worker_view(f->manager, i, &view);
    return view;
}

static void end(struct fixture *f)
{
    flo_manager_stop(f->manager);
    TURN_UNTIL(f, f->exit_code >= 0);
    assert_int_equal(f->exit_code, 0);
}

static int scale(struct fixture *f, const char *name, int64_t replicas)
{
    struct flo_err err = {0};
    return flo_manager_scale(f->manager, name, replicas, NULL, NULL, &err);
}

/* More replicas start at once, with names of their own; fewer: the newest go. */
static void test_scale_out_and_in(void **state)
{
    struct fixture *f = *state;
    struct flo_process_view view;
    manager_begin(f, TWO);
    TURN_UNTIL(f, manager_all_up(f));
    assert_int_equal(scale(f, "a", 4), 0);
    TURN_UNTIL(f, worker(f, 0).ready == 4);
    assert_true(find(f, "a-4", true, &view));
    assert_string_equal(view.worker, "a");
    assert_int_equal(view.replica, 4);
    assert_int_equal(scale(f, "a", 1), 0);
    TURN_UNTIL(f, flo_manager_count(f->manager) == 1);
    assert_true(find(f, "a-1", true, &view));
    assert_int_equal(worker(f, 0).configured, 2);
    assert_int_equal(scale(f, "a", 0), 0);
    TURN_UNTIL(f, flo_manager_count(f->manager) == 0);
    assert_int_equal(scale(f, "b", 1), FLO_ENOENT);
    assert_int_equal(scale(f, "a", FLO_MANAGER_REPLICAS_MAX + 1), FLO_ELIMIT);
    assert_non_null(strstr(f->events, "worker.scaled a\n"));
    end(f);
}

static size_t pick_first(void *ctx, const struct flo_process_view *candidates, size_t count)
{
    int *calls = ctx;
    (void)candidates;
    return (*calls)++ ? count : 0; /* the oldest; then none may go */
}

/* The caller says who goes, and may refuse: then the number stays what it is. */
static void test_scale_in_asks_who_goes(void **state)
{
    struct fixture *f = *state;
    struct flo_process_view view;
    struct flo_err err = {0};
    int calls = 0;
    manager_begin(f, TWO);
    assert_int_equal(scale(f, "a", 4), 0);
    TURN_UNTIL(f, worker(f, 0).ready == 4);
    assert_int_equal(flo_manager_scale(f->manager, "a", 2, pick_first, &calls, &err), 0);
    assert_int_equal(worker(f, 0).replicas, 3);
    TURN_UNTIL(f, flo_manager_count(f->manager) == 3);
    assert_false(find(f, "a-1", true, &view));
    assert_int_equal(scale(f, "a", 4), 0); /* its name is free again */
    TURN_UNTIL(f, worker(f, 0).ready == 4);
    assert_true(find(f, "a-1", true, &view));
    end(f);
}

/* A replica that is at work when it has to go is not killed while it reports, however long. */
static void test_scale_in_spares_who_works(void **state)
{
    struct fixture *f = *state;
    struct flo_process_view view;
    manager_begin(f, BUSY);
    TURN_UNTIL(f, manager_all_up(f));
    assert_int_equal(scale(f, "a", 1), 0);
    const int64_t later = flo_clock_mono_ns() + 300 * FLO_NS_PER_MS; /* 3 x shutdown_timeout */
    TURN_UNTIL(f, flo_clock_mono_ns() > later);
    assert_true(find(f, "a-2", false, &view));
    assert_int_equal(view.state, FLO_PROCESS_STOPPING);
    assert_int_equal(worker(f, 0).leaving, 1);
    assert_int_equal(scale(f, "a", 2), 0); /* and another one comes beside it */
    TURN_UNTIL(f, worker(f, 0).ready == 2);
    assert_true(find(f, "a-3", true, &view));
    open_gate(f);
    TURN_UNTIL(f, worker(f, 0).leaving == 0);
    assert_null(strstr(f->events, "process.stop_timeout"));
    flo_manager_stop(f->manager);
    TURN_UNTIL(f, f->exit_code >= 0); /* 0 or, on a slow machine, 75 */
}

/* What scale chose is there again after a supervisor that was killed, not after an orderly end,
 * and not when the file asks for another count. */
static void test_scale_outlives_a_crash(void **state)
{
    struct fixture *f = *state;
    char path[128];
    manager_begin(f, TWO);
    assert_int_equal(scale(f, "a", 3), 0);
    for (int i = 0; i < 2; i++) {
        flo_manager_destroy(&f->manager); /* as by SIGKILL */
        flo_fleet_config_destroy(&f->config);
        manager_begin(f, i == 0 ? TWO
                                : "engine: {enabled: false}\nserver: {address: \"x:1\"}\n"
                                  "workers:\n  - {name: a, program: fake_child, count: 1}\n");
        assert_int_equal(flo_manager_count(f->manager), i == 0 ? 3 : 1);
    }
    end(f);
    snprintf(path, sizeof path, "%s/scale.json", f->dir);
    assert_int_equal(access(path, F_OK), -1);
}

/* One after the other, the new one first: there are never fewer than before. */
static void test_restart_rolls(void **state)
{
    struct fixture *f = *state;
    struct flo_err err = {0};
    manager_begin(f, TWO);
    TURN_UNTIL(f, manager_all_up(f));
    const pid_t first = pid_of(f, "a-1"), second = pid_of(f, "a-2");
    assert_int_equal(flo_manager_restart(f->manager, "a", &err), 0);
    assert_true(worker(f, 0).rolling);
    int64_t fewest = 2;
    size_t most = 0;
    for (struct flo_worker_view view; (view = worker(f, 0)).rolling;) {
        fewest = view.up < fewest ? view.up : fewest;
        most = flo_manager_count(f->manager) > most ? flo_manager_count(f->manager) : most;
        event_base_loop(f->base, EVLOOP_ONCE);
    }
    assert_int_equal(fewest, 2);
    assert_int_equal(most, 3);
    assert_int_not_equal(pid_of(f, "a-1"), first);
    assert_int_not_equal(pid_of(f, "a-2"), second);
    assert_int_equal(worker(f, 0).roll_done, 2);
    assert_string_equal(worker(f, 0).roll_error, "");
    assert_non_null(strstr(f->events, "rolling_restart.begun a\n"));
    assert_non_null(strstr(f->events, "rolling_restart.done a\n"));
    /* One of them alone. */
    const pid_t kept = pid_of(f, "a-1"), third = pid_of(f, "a-2");
    assert_int_equal(flo_manager_restart(f->manager, "a-2", &err), 0);
    TURN_UNTIL(f, !worker(f, 0).rolling);
    assert_int_equal(pid_of(f, "a-1"), kept);
    assert_int_not_equal(pid_of(f, "a-2"), third);
    assert_int_equal(flo_manager_restart(f->manager, "a-7", &err), FLO_ENOENT);
    end(f);
}

/* With a port that two cannot have the old one ends first. */
static void test_restart_drains_first_with_fixed_ports(void **state)
{
    struct fixture *f = *state;
    struct flo_err err = {0};
    manager_begin(f, "engine: {enabled: false}\nserver: {address: \"x:1\"}\n"
                     "workers:\n  - {name: a, program: fake_child, set: {health.port: 5}}\n");
    TURN_UNTIL(f, manager_all_up(f));
    const pid_t pid = pid_of(f, "a");
    assert_int_equal(flo_manager_restart(f->manager, NULL, &err), 0);
    assert_int_equal(flo_manager_count(f->manager), 1);
    assert_int_equal(manager_state(f, 0), FLO_PROCESS_STOPPING);
    TURN_UNTIL(f, !worker(f, 0).rolling);
    assert_int_not_equal(pid_of(f, "a"), pid);
    const char *text = manager_notes(f);
    const char *stop = strstr(text, "a stop\n");
    assert_non_null(stop);
    assert_non_null(strstr(stop, "a start"));
    end(f);
}

/* The engine alone: stopped, and started where it was. */
static void test_restart_engine(void **state)
{
    struct fixture *f = *state;
    struct flo_err err = {0};
    manager_begin(f, "engine: {program: fake_child, http: \"\", listen: \"127.0.0.1:0\"}\n"
                     "workers:\n  - {name: a, program: fake_child}\n");
    TURN_UNTIL(f, manager_all_up(f));
    const pid_t engine = pid_of(f, "engine"), a = pid_of(f, "a");
    assert_int_equal(flo_manager_restart(f->manager, "engine", &err), 0);
    TURN_UNTIL(f, pid_of(f, "engine") != engine && manager_all_up(f));
    assert_int_equal(pid_of(f, "a"), a);
    assert_non_null(strstr(manager_notes(f), "engine start --listen 127.0.0.1:4242"));
    assert_int_equal(flo_manager_stop_one(f->manager, "engine", &err), FLO_EINVAL);
    end(f);
}

/* A change that never gets ready costs nothing: the old ones go on. */
static void test_roll_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct flo_err err = {0};
    manager_begin(f, TWO "start_timeout: 300ms\n");
    TURN_UNTIL(f, manager_all_up(f) && worker(f, 0).ready == 2);
    const pid_t first = pid_of(f, "a-1"), second = pid_of(f, "a-2");
    manager_write(f, "engine: {enabled: false}\nserver: {address: \"x:1\"}\n"
                     "start_timeout: 300ms\nworkers:\n"
                     "  - {name: a, program: fake_child, count: 2, env: {FAKE: mute}}\n");
    assert_int_equal(flo_manager_reload(f->manager, &err), 0);
    TURN_UNTIL(f, !worker(f, 0).rolling && flo_manager_count(f->manager) == 2);
    assert_non_null(strstr(worker(f, 0).roll_error, "a-1 does not become ready: it is starting"));
    assert_int_equal(pid_of(f, "a-1"), first);
    assert_int_equal(pid_of(f, "a-2"), second);
    assert_non_null(strstr(f->events, "rolling_restart.failed a\n"));
    /* One that ends at once, with a code that would end a fleet that starts. */
    manager_write(f,
                  "engine: {enabled: false}\nserver: {address: \"x:1\"}\n"
                  "workers:\n  - {name: a, program: fake_child, count: 2, env: {FAKE: exit 78}}\n");
    assert_int_equal(flo_manager_reload(f->manager, &err), 0);
    TURN_UNTIL(f, !worker(f, 0).rolling && flo_manager_count(f->manager) == 2);
    assert_non_null(strstr(worker(f, 0).roll_error, "exit code 78"));
    assert_int_equal(f->exit_code, -1);
    end(f);
}

/* New entries start, removed ones end, changed ones are replaced, the others are left alone. */
static void test_reload(void **state)
{
    struct fixture *f = *state;
    struct flo_process_view view;
    struct flo_err err = {0};
    manager_begin(f, "engine: {enabled: false}\nserver: {address: \"x:1\"}\nworkers:\n"
                     "  - {name: same, program: fake_child}\n"
                     "  - {name: gone, program: fake_child}\n"
                     "  - {name: other, program: fake_child, count: 2}\n");
    TURN_UNTIL(f, manager_all_up(f));
    const pid_t same = pid_of(f, "same"), other = pid_of(f, "other-1");
    manager_write(f, "engine: {enabled: false}\nserver: {address: \"x:1\"}\nworkers:\n"
                     "  - {name: fresh, program: fake_child}\n"
                     "  - {name: other, program: fake_child, count: 3, set: {task_queue: t}}\n"
                     "  - {name: same, program: fake_child}\n");
    assert_int_equal(flo_manager_reload(f->manager, &err), 0);
    TURN_UNTIL(f, flo_manager_count(f->manager) == 5 && manager_all_up(f) &&
                      !worker(f, 0).rolling && !worker(f, 1).rolling && !worker(f, 2).rolling);
    assert_int_equal(pid_of(f, "same"), same);
    assert_int_not_equal(pid_of(f, "other-1"), other);
    assert_true(find(f, "other-3", true, &view));
    assert_true(find(f, "fresh", true, &view));
    assert_int_equal(flo_manager_worker_count(f->manager), 3);
    end(f);
}

/* A file that does not load changes nothing, and the place of the mistake is told. */
static void test_reload_refuses_a_bad_file(void **state)
{
    struct fixture *f = *state;
    struct flo_err err = {0};
    manager_begin(f, TWO);
    TURN_UNTIL(f, manager_all_up(f));
    const pid_t pid = pid_of(f, "a-1");
    manager_write(f, "workers:\n  - {name: a, program: fake_child, coutn: 2}\n");
    assert_int_equal(flo_manager_reload(f->manager, &err), FLO_ECONFIG);
    assert_non_null(strstr(err.message, "fleet.yaml:3:36: "));
    assert_int_equal(flo_manager_count(f->manager), 2);
    assert_false(worker(f, 0).rolling);
    assert_int_equal(pid_of(f, "a-1"), pid);
    assert_non_null(strstr(f->events, "fleet.reload_refused fleet\n"));
    end(f);
}

/* One that waits for its next try is tried at once, and its backoff is over: it disturbs nobody. */
static void test_restart_cuts_a_backoff_short(void **state)
{
    struct fixture *f = *state;
    struct flo_process_view view;
    struct flo_err err = {0};
    manager_begin(f, "engine: {enabled: false}\nserver: {address: \"x:1\"}\nstart_timeout: 400ms\n"
                     "workers:\n  - {name: a, program: fake_child, env: {FAKE: die}}\n");
    TURN_UNTIL(f, find(f, "a", true, &view) && view.restarts > 3 && !view.pid);
    manager_write(f, "engine: {enabled: false}\nserver: {address: \"x:1\"}\nstart_timeout: 400ms\n"
                     "workers:\n  - {name: a, program: fake_child, env: {FAKE: mute}}\n");
    assert_int_equal(flo_manager_reload(f->manager, &err), 0);
    TURN_UNTIL(f, !worker(f, 0).rolling);
    assert_non_null(strstr(worker(f, 0).roll_error, "it is starting"));
    assert_null(strstr(f->events, "process.start_timeout"));
    end(f);
}

/* Started by hand before the engine is known: it waits for it like the others. */
static void test_start_by_hand_waits_for_the_engine(void **state)
{
    struct fixture *f = *state;
    struct flo_process_view view;
    struct flo_err err = {0};
    setenv("FAKE", "mute", 1);
    manager_begin(f, "start_timeout: 10s\nengine: {program: fake_child, http: \"\"}\n"
                     "workers:\n  - {name: a, program: fake_child}\n");
    unsetenv("FAKE");
    assert_int_equal(flo_manager_stop_one(f->manager, "a", &err), 0);
    assert_true(find(f, "a", false, &view));
    assert_int_equal(flo_manager_start_one(f->manager, "a", &err), 0);
    assert_int_equal(flo_manager_restart(f->manager, "a", &err), 0);
    assert_true(find(f, "a", true, &view));
    assert_int_equal(view.state, FLO_PROCESS_WAITING);
    assert_int_equal(view.pid, 0);
    kill(pid_of(f, "engine"), SIGKILL); /* the next one speaks */
    TURN_UNTIL(f, manager_all_up(f));
    end(f);
}

/* A replacement that cannot even be started is given up at once. */
static void test_roll_without_a_program(void **state)
{
    struct fixture *f = *state;
    struct flo_err err = {0};
    manager_begin(f, TWO);
    TURN_UNTIL(f, manager_all_up(f));
    const pid_t first = pid_of(f, "a-1");
    manager_write(f, "engine: {enabled: false}\nserver: {address: \"x:1\"}\n"
                     "workers:\n  - {name: a, program: no-such-program, count: 2}\n");
    assert_int_equal(flo_manager_reload(f->manager, &err), 0);
    assert_false(worker(f, 0).rolling);
    assert_non_null(strstr(worker(f, 0).roll_error, "a-1 cannot be started"));
    assert_int_equal(flo_manager_count(f->manager), 2);
    assert_int_equal(pid_of(f, "a-1"), first);
    end(f);
}

/* With restart_on_change a new file is enough. */
static void test_watches_files(void **state)
{
    struct fixture *f = *state;
    char fresh[100];
    manager_begin(f, TWO "restart_on_change: true\n");
    TURN_UNTIL(f, manager_all_up(f) && worker(f, 0).ready == 2);
    manager_write(f, TWO "restart_on_change: true\n  # no change\n");
    TURN_UNTIL(f, strstr(f->events, "fleet.reloaded fleet\n"));
    assert_null(strstr(f->events, "rolling_restart"));
    /* Put in the old one's place, as editors do. */
    char kept[80];
    memcpy(kept, f->yaml, sizeof kept);
    snprintf(fresh, sizeof fresh, "%s.new", kept);
    snprintf(f->yaml, sizeof f->yaml, "%.75s.new", kept);
    manager_write(f, "restart_on_change: true\nengine: {enabled: false}\n"
                     "server: {address: \"x:1\"}\nworkers:\n"
                     "  - {name: a, program: fake_child, count: 2, env: {X: y}}\n");
    memcpy(f->yaml, kept, sizeof kept);
    assert_int_equal(rename(fresh, f->yaml), 0);
    TURN_UNTIL(f, strstr(f->events, "rolling_restart.done a\n"));
    end(f);
}

/* What is stopped by hand stays so until it is started by hand. */
static void test_stop_and_start_by_hand(void **state)
{
    struct fixture *f = *state;
    struct flo_process_view view;
    struct flo_err err = {0};
    manager_begin(f, TWO);
    TURN_UNTIL(f, manager_all_up(f));
    assert_int_equal(flo_manager_stop_one(f->manager, "a-2", &err), 0);
    TURN_UNTIL(f, find(f, "a-2", false, &view) && view.state == FLO_PROCESS_STOPPED);
    assert_int_equal(view.pid, 0);
    assert_int_equal(flo_manager_restart(f->manager, "a", &err), 0); /* passes it by */
    TURN_UNTIL(f, !worker(f, 0).rolling);
    assert_true(find(f, "a-2", false, &view));
    assert_int_equal(flo_manager_start_one(f->manager, "a-2", &err), 0);
    TURN_UNTIL(f, manager_all_up(f));
    assert_int_equal(flo_manager_stop_one(f->manager, "nobody", &err), FLO_ENOENT);
    end(f);
}

/* One that never says it is ready is told of, and goes on. */
static void test_unready_is_told(void **state)
{
    struct fixture *f = *state;
    f->unready = true;
    manager_begin(f, TWO "start_timeout: 100ms\n");
    TURN_UNTIL(f, strstr(f->events, "process.not_ready a-1\n"));
    assert_int_equal(worker(f, 0).ready, 0);
    f->unready = false;
    TURN_UNTIL(f, strstr(f->events, "process.ready a-1\n"));
    end(f);
}

/* A process that writes without end costs a file of bounded size, and nobody else waits. */
static void test_flood_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    char path[128];
    manager_begin(f, "logs: {max_size: 64KiB, keep: 1, print: false}\n"
                     "engine: {enabled: false}\nserver: {address: \"x:1\"}\nworkers:\n"
                     "  - {name: a, program: fake_child, env: {FAKE: flood}}\n"
                     "  - {name: b, program: fake_child}\n");
    TURN_UNTIL(f, pid_of(f, "b") > 0 && worker(f, 1).up == 1);
    TURN_UNTIL(f, manager_all_up(f));
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, i ? "%s/logs/a.log.%d" : "%s/logs/a.log", f->dir, i);
        assert_int_equal(stat(path, &st), i < 2 ? 0 : -1);
        if (i < 2)
            assert_in_range(st.st_size, 1, 64 * 1024);
    }
    end(f);
}

/* One random thing done to a fleet of "a" and, at times, "b". */
static void disturb(struct fixture *f, unsigned *seed)
{
    static const char *const names[] = {"a", "b", "a-1", "a-2", "engine"};
    static const char *const fakes[] = {"", "", "", "die", "mute", "exit 78"};
    const char *name = names[(unsigned)rand_r(seed) % 5];
    struct flo_process_view view;
    struct flo_err err = {0};
    char yaml[600];
    switch (rand_r(seed) % 6) {
    case 0:
        (void)scale(f, name, rand_r(seed) % 4);
        break;
    case 1:
        (void)!flo_manager_restart(f->manager, rand_r(seed) % 3 ? name : NULL, &err);
        break;
    case 2:
        (void)!flo_manager_stop_one(f->manager, name, &err);
        break;
    case 3:
        (void)!flo_manager_start_one(f->manager, name, &err);
        break;
    case 4:
        if (!flo_manager_count(f->manager))
            break;
        flo_manager_view(f->manager, (size_t)rand_r(seed) % flo_manager_count(f->manager), &view);
        if (view.pid)
            kill(view.pid, rand_r(seed) % 2 ? SIGKILL : SIGTERM);
        break;
    default:
        snprintf(yaml, sizeof yaml,
                 "start_timeout: 100ms\nengine: {program: fake_child, http: \"\"}\nworkers:\n"
                 "  - {name: a, program: %s, count: %d, env: {FAKE: \"%s\", N: %d}%s}\n%s",
                 rand_r(seed) % 5 ? "fake_child" : "no-such-program", 1 + rand_r(seed) % 3,
                 fakes[(unsigned)rand_r(seed) % 6], rand_r(seed) % 2,
                 rand_r(seed) % 3 ? "" : ", replace: drain-first",
                 rand_r(seed) % 2 ? "  - {name: b, program: fake_child}\n" : "");
        manager_write(f, yaml);
        assert_int_equal(flo_manager_reload(f->manager, &err), 0);
    }
}

/* Whatever happens at once: nothing is used after its end, and the fleet ends in order. */
static void test_everything_at_once(void **state)
{
    struct fixture *f = *state;
    const char *given = getenv("FLO_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)flo_clock_mono_ns();
    print_message("FLO_SEED=%u\n", seed);
    manager_begin(f, "start_timeout: 100ms\nengine: {program: fake_child, http: \"\"}\nworkers:\n"
                     "  - {name: a, program: fake_child, count: 2}\n");
    TURN_UNTIL(f, manager_all_up(f));
    for (int i = 0; i < 80; i++) {
        disturb(f, &seed);
        f->events[0] = '\0';
        for (int turns = rand_r(&seed) % 8; turns > 0; turns--)
            event_base_loop(f->base, EVLOOP_ONCE);
    }
    /* It is as good as new: a sound file, everything by hand undone. */
    struct flo_err err = {0};
    manager_write(f, "start_timeout: 1s\nengine: {program: fake_child, http: \"\"}\nworkers:\n"
                     "  - {name: a, program: fake_child, count: 2, set: {task_queue: last}}\n");
    assert_int_equal(flo_manager_reload(f->manager, &err), 0);
    (void)!scale(f, "a", 2);
    (void)!flo_manager_start_one(f->manager, "a", &err);
    TURN_UNTIL(f, !worker(f, 0).rolling);
    /* A replacement that met a mute process of before is given up: it is asked for again. */
    if (!manager_all_up(f) || flo_manager_count(f->manager) != 3)
        (void)!flo_manager_restart(f->manager, "a", &err);
    TURN_UNTIL(f, manager_all_up(f) && flo_manager_count(f->manager) == 3 && !worker(f, 0).rolling);
    assert_int_equal(worker(f, 0).ready, 2);
    end(f);
}

int main(void)
{
    flo_process_init();
    flo_log_open(FLO_LOG_ERROR, FLO_LOG_JSON, "test");
#define TEST(name) cmocka_unit_test_setup_teardown(name, manager_setup, manager_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_scale_out_and_in),
        TEST(test_scale_in_asks_who_goes),
        TEST(test_scale_in_spares_who_works),
        TEST(test_scale_outlives_a_crash),
        TEST(test_restart_rolls),
        TEST(test_restart_drains_first_with_fixed_ports),
        TEST(test_restart_engine),
        TEST(test_roll_is_given_up),
        TEST(test_reload),
        TEST(test_reload_refuses_a_bad_file),
        TEST(test_restart_cuts_a_backoff_short),
        TEST(test_start_by_hand_waits_for_the_engine),
        TEST(test_roll_without_a_program),
        TEST(test_watches_files),
        TEST(test_stop_and_start_by_hand),
        TEST(test_unready_is_told),
        TEST(test_flood_is_bounded),
        TEST(test_everything_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
