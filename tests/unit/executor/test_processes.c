/* SPDX-License-Identifier: Apache-2.0 */
/* test_processes.c - executor/processes.c: jobs in processes that may crash. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "executor_fixture.h"

static struct fixture *started(unsigned workers)
{
    struct fixture *f = malloc(sizeof *f);

    fixture_init(f, workers);
    fixture_processes(f, true);
    return f;
}

static void ended(struct fixture *f)
{
    fixture_fini(f);
    free(f);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child, no zombie */
    assert_int_equal(errno, ECHILD);
}

static void run(struct fixture *f, uint64_t job, const char *order)
{
    assert_int_equal(fixture_submit(f, job, order, 0, 0), 0);
    fixture_wait(f, f->done + 1);
}

/* A job runs in another process, pinned to one core, and its reply comes back. */
static void test_submit_job_runs_elsewhere(void **state)
{
    struct fixture *f = started(2);

    (void)state;
    run(f, 0, "echo:hello");
    assert_string_equal(f->jobs[0].reply, "hello");
    run(f, 1, "pid");
    assert_int_not_equal(strtol(f->jobs[1].reply, NULL, 10), getpid());
    run(f, 2, "affinity");
    assert_string_equal(f->jobs[2].reply, "1");
    ended(f);
}

/* Each way to die ends the job as crashed, with the signal or status, and the next job runs. */
static void test_crash_ends_the_job_and_process_is_replaced(void **state)
{
    struct fixture *f = started(1);

    (void)state;
    run(f, 0, "segv");
    assert_int_equal(f->jobs[0].result.end, FLO_JOB_CRASHED);
    assert_int_equal(f->jobs[0].result.signal, SIGSEGV);
    run(f, 1, "abort");
    assert_int_equal(f->jobs[1].result.signal, SIGABRT);
    run(f, 2, "exit");
    assert_int_equal(f->jobs[2].result.end, FLO_JOB_CRASHED);
    assert_int_equal(f->jobs[2].result.signal, 0);
    assert_int_equal(f->jobs[2].result.exit_status, 0);
    run(f, 3, "echo:alive");
    assert_string_equal(f->jobs[3].reply, "alive");
    ended(f);
}

/* An endless loop is killed a grace after its deadline; the executor works on within a second. */
static void test_spin_is_killed_after_its_deadline(void **state)
{
    struct fixture *f = started(1);
    int64_t began = flo_clock_mono_ns();

    (void)state;
    assert_int_equal(fixture_submit(f, 0, "spin", 100, 100), 0);
    assert_int_equal(fixture_submit(f, 1, "echo:next", 0, 0), 0);
    fixture_wait(f, 2);
    assert_int_equal(f->jobs[0].result.end, FLO_JOB_KILLED);
    assert_string_equal(f->jobs[1].reply, "next");
    assert_true(flo_clock_mono_ns() - began >= 150 * FLO_NS_PER_MS); /* coarse timers */
    ended(f);
}

/* A process killed from outside is one crashed job. */
static void test_kill_from_outside_is_one_crash(void **state)
{
    struct fixture *f = started(1);
    pid_t pid;

    (void)state;
    run(f, 0, "pid");
    pid = (pid_t)strtol(f->jobs[0].reply, NULL, 10);
    assert_int_equal(fixture_submit(f, 1, "hold", 0, 0), 0);
    fixture_wait_progress(f, 1);
    kill(pid, SIGKILL);
    fixture_wait(f, 2);
    assert_int_equal(f->jobs[1].result.end, FLO_JOB_CRASHED);
    assert_int_equal(f->jobs[1].result.signal, SIGKILL);
    run(f, 2, "echo:alive");
    ended(f);
}

/* Cancel reaches a job that asks; stop signals to the whole group do not end an executor. */
static void test_cancel_reaches_a_waiting_job(void **state)
{
    struct fixture *f = started(2);

    (void)state;
    run(f, 0, "pid");
    kill((pid_t)strtol(f->jobs[0].reply, NULL, 10), SIGTERM);
    assert_int_equal(fixture_submit(f, 1, "hold", 0, 0), 0);
    fixture_wait_progress(f, 1);
    flo_executor_cancel(f->executor, 1, FLO_JOB_CANCEL_REQUESTED);
    fixture_wait(f, 2);
    assert_int_equal(f->jobs[1].result.end, FLO_JOB_DONE);
    assert_string_equal(f->jobs[1].reply, "told 1");
    ended(f);
}

/* Only the standard streams and the executor's own socket are open in it. */
static void test_process_inherits_no_descriptors(void **state)
{
    int extra = dup(1); /* not close-on-exec */
    struct fixture *f = started(1);

    (void)state;
    run(f, 0, "fds");
    assert_string_equal(f->jobs[0].reply, "0 1 2 3 ");
    close(extra);
    ended(f);
}

/* Variables that name secrets are not in its environment; others are. */
static void test_process_environment_has_no_secrets(void **state)
{
    struct fixture *f;

    (void)state;
    setenv("TEMPORAL_API_KEY", "canary", 1);
    setenv("PLAIN_SETTING", "kept", 1);
    setenv("DATABASE_URL", "postgresql://u:p@db/x", 1);
    f = started(1);
    run(f, 0, "env:TEMPORAL_API_KEY");
    assert_string_equal(f->jobs[0].reply, "(unset)");
    run(f, 1, "env:PLAIN_SETTING");
    assert_string_equal(f->jobs[1].reply, "kept");
    run(f, 2, "env:DATABASE_URL"); /* for the activities */
    assert_string_equal(f->jobs[2].reply, "postgresql://u:p@db/x");
    assert_string_equal(getenv("TEMPORAL_API_KEY"), "canary"); /* ours is untouched */
    ended(f);
}

/* A megabyte of output neither blocks the job nor the loop, and is cut. */
static void test_much_output_is_cut(void **state)
{
    struct fixture *f = started(1);

    (void)state;
    run(f, 0, "print");
    assert_int_equal(f->jobs[0].result.end, FLO_JOB_DONE);
    ended(f);
}

/* A grandchild that holds every descriptor open delays neither the answer nor the death. */
static void test_grandchild_does_not_block(void **state)
{
    struct fixture *f = started(1);
    int64_t began = flo_clock_mono_ns();
    pid_t grandchild;

    (void)state;
    run(f, 0, "grandchild");
    grandchild = (pid_t)strtol(f->jobs[0].reply, NULL, 10);
    run(f, 1, "exit");
    assert_int_equal(f->jobs[1].result.end, FLO_JOB_CRASHED);
    run(f, 2, "echo:alive");
    ended(f);
    assert_true(flo_clock_mono_ns() - began < 5 * FLO_NS_PER_S);
    kill(grandchild, SIGKILL);
}

/* Progress arrives in order, the newest last. */
static void test_progress_arrives(void **state)
{
    struct fixture *f = started(1);

    (void)state;
    run(f, 0, "chatty");
    assert_string_equal(f->jobs[0].progress, "p5000");
    ended(f);
}

/* A thousand crashes: each is reported once, all are reaped, the executor still works. */
static void test_thousand_crashes_are_reaped(void **state)
{
    struct fixture *f = started(4);

    (void)state;
    for (uint64_t i = 0; i < 1000; i++)
        while (fixture_submit(f, i, "exit", 0, 0) == FLO_EFULL)
            fixture_wait(f, f->done + 1);
    fixture_wait(f, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(f->jobs[i].ended, 1);
    run(f, 1100, "echo:alive");
    assert_string_equal(f->jobs[1100].reply, "alive");
    ended(f);
}

/* Destroy ends a job that never asks, after the grace. */
static void test_destroy_kills_what_does_not_stop(void **state)
{
    struct fixture *f = started(1);

    (void)state;
    assert_int_equal(fixture_submit(f, 0, "spin", 0, 0), 0);
    flo_executor_destroy(&f->executor, 100);
    ended(f);
}

static void on_broken(void *ctx)
{
    struct fixture *f = ctx;

    f->done++;
    event_base_loopbreak(f->base);
}

/* Without its template the executor is broken: said once, jobs end, and what is below them, new
 * ones are refused. */
static void test_template_killed_is_told(void **state)
{
    struct fixture *f = malloc(sizeof *f);
    char path[64], children[64] = "";
    FILE *file;
    int below;

    (void)state;
    fixture_init(f, 1);
    f->options.on_broken = on_broken;
    fixture_processes(f, false);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)getpid(), (int)getpid());
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(children, sizeof children, file));
    fclose(file);
    assert_int_equal(fixture_submit(f, 0, "hold-grandchild", 0, 0), 0);
    fixture_wait_progress(f, 0);
    below = pidfd_open((pid_t)strtol(f->jobs[0].progress, NULL, 10), 0);
    assert_true(below >= 0);
    kill((pid_t)strtol(children, NULL, 10), SIGKILL);
    fixture_wait(f, 2); /* the job and the word */
    assert_int_equal(poll(&(struct pollfd){.fd = below, .events = POLLIN}, 1, 10000), 1);
    close(below);
    assert_int_equal(f->jobs[0].result.end, FLO_JOB_CRASHED);
    assert_int_equal(fixture_submit(f, 1, "echo:x", 0, 0), FLO_ECLOSED);
    ended(f);
}

static int broken_start(void *ctx, struct flo_err *err)
{
    (void)ctx;
    return flo_fail(err, FLO_ECONN, "the database is away");
}

/* A process that cannot start makes the executor fail with its sentence. */
static void test_new_failing_start_says_why(void **state)
{
    struct fixture *f = malloc(sizeof *f);
    struct flo_executor_template *tmpl = NULL;
    struct flo_err err = {0};

    (void)state;
    fixture_init(f, 2);
    f->options.worker_start = broken_start;
    assert_int_equal(flo_executor_template_start(&f->options, false, &tmpl, &err), 0);
    f->base = event_base_new();
    assert_int_equal(flo_executor_processes_new(f->base, &f->options, &tmpl, &f->executor, &err),
                     FLO_ECONN);
    assert_string_equal(err.message, "the database is away");
    ended(f);
}

static int *start_fails; /* shared with the processes */

static int start_unless_told(void *ctx, struct flo_err *err)
{
    return *start_fails ? broken_start(ctx, err) : 0;
}

/* A process that died and whose successor does not come up is told of, until one does. */
static void test_down_process_is_told(void **state)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    struct fixture *f = malloc(sizeof *f);
    unsigned first = 7;

    (void)state;
    start_fails =
        mmap(NULL, sizeof *start_fails, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    fixture_init(f, 1);
    f->options.worker_start = start_unless_told;
    fixture_processes(f, false);
    assert_int_equal(flo_executor_down(f->executor, 0, &first), 0);
    *start_fails = 1;
    run(f, 0, "segv");
    while (flo_executor_down(f->executor, 100, &first) == 0) {
        event_base_loop(f->base, EVLOOP_NONBLOCK);
        nanosleep(&pause, NULL);
    }
    assert_int_equal(first, 0);
    *start_fails = 0;
    while (flo_executor_down(f->executor, 0, &first) > 0)
        event_base_loop(f->base, EVLOOP_ONCE);
    run(f, 1, "echo:back");
    assert_string_equal(f->jobs[1].reply, "back");
    munmap(start_fails, sizeof *start_fails);
    ended(f);
}

/* A request larger than the socket takes at once arrives whole, and a cancel behind it, too. */
static void test_submit_large_request_arrives_whole(void **state)
{
    const size_t len = 3u << 20;
    struct fixture *f = started(1);
    uint8_t *request = malloc(len);
    unsigned long sum = 0;
    char expected[64];

    (void)state;
    for (size_t i = 0; i < len; i++)
        sum += request[i] = (uint8_t)(i * 7 + i / 251);
    snprintf(expected, sizeof expected, "%zu bytes, sum %lu", len, sum);
    assert_int_equal(flo_executor_submit(f->executor, 0, request, len, 0, 0), 0);
    flo_executor_cancel(f->executor, 0, FLO_JOB_CANCEL_REQUESTED);
    assert_int_equal(fixture_submit(f, 1, "echo:next", 0, 0), 0);
    fixture_wait(f, 2);
    assert_string_equal(f->jobs[0].reply, expected);
    assert_string_equal(f->jobs[1].reply, "next");
    free(request);
    ended(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_submit_large_request_arrives_whole),
        cmocka_unit_test(test_submit_job_runs_elsewhere),
        cmocka_unit_test(test_crash_ends_the_job_and_process_is_replaced),
        cmocka_unit_test(test_spin_is_killed_after_its_deadline),
        cmocka_unit_test(test_kill_from_outside_is_one_crash),
        cmocka_unit_test(test_cancel_reaches_a_waiting_job),
        cmocka_unit_test(test_process_inherits_no_descriptors),
        cmocka_unit_test(test_process_environment_has_no_secrets),
        cmocka_unit_test(test_much_output_is_cut),
        cmocka_unit_test(test_grandchild_does_not_block),
        cmocka_unit_test(test_progress_arrives),
        cmocka_unit_test(test_thousand_crashes_are_reaped),
        cmocka_unit_test(test_destroy_kills_what_does_not_stop),
        cmocka_unit_test(test_template_killed_is_told),
        cmocka_unit_test(test_new_failing_start_says_why),
        cmocka_unit_test(test_down_process_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
