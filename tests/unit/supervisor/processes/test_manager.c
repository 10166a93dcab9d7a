/* SPDX-License-Identifier: Apache-2.0 */
/* The process manager with fake children: order, restarts, stops, hopeless starts. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/process.h"
#include "supervisor/processes/state_dir.h"
#include "telemetry/log.h"
#include "unit/supervisor/processes/manager_fixture.h"

#define FLEET                                                                                      \
    "engine: {program: fake_child, listen: \"127.0.0.1:0\", http: \"\", args: [--extra]}\n"        \
    "workers:\n"                                                                                   \
    "  - {name: a, program: fake_child, set: {task_queue: q, health.port: 5}}\n"                   \
    "  - {name: b, program: fake_child, count: 2}\n"

/* The engine first, workers once its address is known, workers stopped before the engine. */
static void test_starts_and_stops_in_order(void **state)
{
    struct fixture *f = *state;
    manager_begin(f, FLEET);
    assert_int_equal(flo_manager_count(f->manager), 4);
    TURN_UNTIL(f, manager_all_up(f));
    assert_string_equal(flo_manager_engine_address(f->manager), "127.0.0.1:4242");
    flo_manager_stop(f->manager);
    TURN_UNTIL(f, f->exit_code >= 0);
    assert_int_equal(f->exit_code, 0);
    char first[256];
    snprintf(first, sizeof first, "engine start --listen 127.0.0.1:0 --db %s/engine.db --extra\n",
             f->dir);
    const char *text = manager_notes(f);
    assert_memory_equal(text, first, strlen(first));
    assert_non_null(strstr(text, "a start --set server.address=127.0.0.1:4242 --set "
                                 "server.namespace=default --set supervisor.endpoint=ipc:///s "
                                 "--set task_queue=q --set health.port=5\n"));
    assert_non_null(strstr(text, "b-2 start --set server.address=127.0.0.1:4242 --set "
                                 "server.namespace=default --set supervisor.endpoint=ipc:///s "
                                 "--set health.port=0 --set metrics.port=0\n"));
    assert_string_equal(strstr(text, "engine stop\n"), "engine stop\n"); /* the last line */
    assert_non_null(strstr(text, "a stop\n"));
}

/* What is killed comes back; the engine at the address that workers know. */
static void test_restarts_what_dies(void **state)
{
    struct fixture *f = *state;
    struct flo_process_view view;
    manager_begin(f, FLEET);
    TURN_UNTIL(f, manager_all_up(f));
    for (size_t i = 0; i < 2; i++) {
        flo_manager_view(f->manager, i, &view);
        kill(view.pid, SIGKILL);
        TURN_UNTIL(f, manager_state(f, i) != FLO_PROCESS_UP);
        TURN_UNTIL(f, manager_all_up(f));
        flo_manager_view(f->manager, i, &view);
        assert_int_equal(view.restarts, 1);
    }
    assert_non_null(strstr(manager_notes(f), "engine start --listen 127.0.0.1:4242 "));
    flo_manager_stop(f->manager);
    TURN_UNTIL(f, f->exit_code == 0);
}

/* One that dies again and again is in a crash loop and is still restarted. */
static void test_crash_loop_is_seen(void **state)
{
    struct fixture *f = *state;
    struct flo_process_view view;
    manager_begin(f, "engine: {enabled: false}\nserver: {address: \"x:1\"}\n"
                     "workers:\n  - {name: a, program: fake_child, env: {FAKE: die}}\n");
    do {
        event_base_loop(f->base, EVLOOP_ONCE);
        flo_manager_view(f->manager, 0, &view);
    } while (view.restarts < 6);
    assert_true(view.crash_loop);
    assert_int_equal(f->exit_code, -1);
    flo_manager_stop(f->manager);
    TURN_UNTIL(f, f->exit_code == 0);
}

/* A worker that cannot start as configured ends the fleet with its code. */
static void test_hopeless_start_ends_the_fleet(void **state)
{
    struct fixture *f = *state;
    manager_begin(f, "engine: {program: fake_child, http: \"\"}\n"
                     "workers:\n  - {name: a, program: fake_child, env: {FAKE: exit 78}}\n");
    TURN_UNTIL(f, f->exit_code >= 0);
    assert_int_equal(f->exit_code, 78);
    assert_non_null(strstr(manager_notes(f), "engine stop\n"));
}

/* Not where a killed supervisor's processes may still have what it needs, a port: it tries again.
 */
static void test_hopeless_start_over_ends_nothing(void **state)
{
    struct fixture *f = *state;
    struct flo_process_view view = {.restarts = 0};
    f->again = true;
    manager_begin(f, "engine: {program: fake_child, http: \"\"}\n"
                     "workers:\n  - {name: a, program: fake_child, env: {FAKE: exit 73}}\n");
    TURN_UNTIL(f, (flo_manager_view(f->manager, 1, &view), view.restarts > 1));
    assert_int_equal(f->exit_code, -1);
}

/* So does a program that is not there. */
static void test_absent_program_ends_the_fleet(void **state)
{
    struct fixture *f = *state;
    manager_begin(f, "engine: {enabled: false}\nserver: {address: \"x:1\"}\n"
                     "workers:\n  - {name: a, program: no-such-program}\n");
    assert_int_equal(f->exit_code, -1); /* told when the loop runs: it could not be ended yet */
    TURN_UNTIL(f, f->exit_code >= 0);
    assert_int_equal(f->exit_code, 66);
}

/* An engine that never says where it listens is killed and started again. */
static void test_start_timeout(void **state)
{
    struct fixture *f = *state;
    struct flo_process_view view;
    setenv("FAKE", "mute", 1);
    manager_begin(f, "start_timeout: 100ms\nengine: {program: fake_child, http: \"\"}\n");
    do {
        event_base_loop(f->base, EVLOOP_ONCE);
        flo_manager_view(f->manager, 0, &view);
    } while (view.restarts < 1);
    unsetenv("FAKE");
    TURN_UNTIL(f, manager_state(f, 0) == FLO_PROCESS_UP || view.restarts > 0);
    flo_manager_kill(f->manager);
}

/* Who does not listen to SIGTERM is killed at shutdown_timeout, and that is told. */
static void test_stop_timeout_kills(void **state)
{
    struct fixture *f = *state;
    manager_begin(f,
                  "shutdown_timeout: 100ms\nengine: {enabled: false}\nserver: {address: \"x:1\"}\n"
                  "workers:\n  - {name: a, program: fake_child, env: {FAKE: deaf}}\n");
    TURN_UNTIL(f, manager_all_up(f));
    flo_manager_stop(f->manager);
    TURN_UNTIL(f, f->exit_code >= 0);
    assert_int_equal(f->exit_code, 75);
}

/* Destroying kills what runs: nothing is left behind. */
static void test_destroy_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct flo_process_view view;
    manager_begin(f, FLEET);
    TURN_UNTIL(f, manager_all_up(f));
    flo_manager_view(f->manager, 1, &view);
    flo_manager_destroy(&f->manager);
    assert_int_equal(kill(view.pid, 0), -1);
}

/* One fleet a folder; the second is told who has it. */
static void test_state_dir_is_locked(void **state)
{
    struct fixture *f = *state;
    char path[256], deep[160];
    struct flo_state_dir first, second;
    struct flo_err err = {0};
    snprintf(path, sizeof path, "%s/x", f->dir);
    snprintf(deep, sizeof deep, "%s/x/y", f->dir);
    assert_int_equal(flo_state_dir_open(deep, false, &second, &err), 0);
    flo_state_dir_close(&second);
    snprintf(path, sizeof path, "%s/lock", deep);
    const int looker = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(looker, LOCK_SH), 0); /* is in nobody's way */
    assert_int_equal(flo_state_dir_open(deep, true, &first, &err), 0);
    close(looker);
    json_t *fleet = json_pack("{s:i}", "v", 1);
    assert_int_equal(flo_state_dir_publish(&first, fleet, &err), 0);
    json_decref(fleet);
    assert_true(flo_state_dir_is_left(&first));
    assert_int_equal(flo_state_dir_open(deep, true, &second, &err), FLO_ECONN);
    snprintf(path, sizeof path, "(process %d)", (int)getpid());
    assert_non_null(strstr(err.message, path));
    flo_state_dir_close(&second);
    snprintf(path, sizeof path, "%s/fleet.json", deep); /* the first one's: still there */
    assert_int_equal(access(path, R_OK), 0);
    flo_state_dir_close(&first);
    assert_int_equal(access(path, R_OK), -1);
    snprintf(path, sizeof path, "%s/lock", deep);
    unlink(path);
    rmdir(deep);
    snprintf(path, sizeof path, "%s/x", f->dir);
    rmdir(path);
}

/* An engine that a killed supervisor left behind has ended when the next fleet begins. */
static void test_state_dir_awaits_engine(void **state)
{
    struct fixture *f = *state;
    struct flo_state_dir dir;
    struct flo_err err = {0};
    char path[256];
    const struct itimerval soon = {.it_value.tv_usec = 100000};
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGALRM, SIG_DFL);
        setitimer(ITIMER_REAL, &soon, NULL);
        for (;;)
            pause();
    }
    assert_int_equal(flo_state_dir_open(f->dir, true, &dir, &err), 0);
    json_t *fleet = json_pack("{s:[{s:s, s:i}, {s:s, s:i}]}", "processes", "name", "io", "pid",
                              (int)getpid(), "name", "engine", "pid", (int)pid);
    assert_int_equal(flo_state_dir_publish(&dir, fleet, &err), 0);
    json_decref(fleet);
    flo_state_dir_await_engine(&dir);
    assert_int_equal(waitpid(pid, &status, WNOHANG), pid);
    flo_state_dir_await_engine(&dir); /* gone: no wait */
    flo_state_dir_close(&dir);
    snprintf(path, sizeof path, "%.200s/lock", f->dir);
    unlink(path);
}

int main(void)
{
    flo_process_init();
    flo_log_open(FLO_LOG_ERROR, FLO_LOG_JSON, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_starts_and_stops_in_order, manager_setup,
                                        manager_teardown),
        cmocka_unit_test_setup_teardown(test_restarts_what_dies, manager_setup, manager_teardown),
        cmocka_unit_test_setup_teardown(test_crash_loop_is_seen, manager_setup, manager_teardown),
        cmocka_unit_test_setup_teardown(test_hopeless_start_ends_the_fleet, manager_setup,
                                        manager_teardown),
        cmocka_unit_test_setup_teardown(test_hopeless_start_over_ends_nothing, manager_setup,
                                        manager_teardown),
        cmocka_unit_test_setup_teardown(test_absent_program_ends_the_fleet, manager_setup,
                                        manager_teardown),
        cmocka_unit_test_setup_teardown(test_start_timeout, manager_setup, manager_teardown),
        cmocka_unit_test_setup_teardown(test_stop_timeout_kills, manager_setup, manager_teardown),
        cmocka_unit_test_setup_teardown(test_destroy_leaves_nothing, manager_setup,
                                        manager_teardown),
        cmocka_unit_test_setup_teardown(test_state_dir_is_locked, manager_setup, manager_teardown),
        cmocka_unit_test_setup_teardown(test_state_dir_awaits_engine, manager_setup,
                                        manager_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
