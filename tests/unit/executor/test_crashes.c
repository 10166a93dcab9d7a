/* SPDX-License-Identifier: Apache-2.0 */
/* test_crashes.c - what is told of jobs whose process dies, and what is left of them: nothing. */
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "executor_fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static struct fixture *started_with(unsigned workers, struct flo_executor_limits limits)
{
    struct fixture *f = malloc(sizeof *f);

    fixture_init(f, workers);
    f->options.limits = limits;
    fixture_processes(f, false);
    return f;
}

static struct fixture *started(unsigned workers)
{
    return started_with(workers, (struct flo_executor_limits){0});
}

static void ended(struct fixture *f)
{
    fixture_fini(f);
    free(f);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child, no zombie */
    assert_int_equal(errno, ECHILD);
}

/* The records of jobs are used again: memory that is touched for the first time is no leak. */
#define RECORDS 100

static struct outcome *run(struct fixture *f, const char *order)
{
    uint64_t job = (uint64_t)(f->done % RECORDS);

    assert_int_equal(fixture_submit(f, job, order, 0, 0), 0);
    fixture_wait(f, f->done + 1);
    return &f->jobs[job];
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no %s in: %s", part, text);
}

/* Signal, address, function and module of a fault; what was printed comes as it was. */
static void test_fault_is_described(void **state)
{
    struct fixture *f = started(1);
    struct outcome *o = run(f, "segv");

    (void)state;
    assert_int_equal(o->result.end, FLO_JOB_CRASHED);
    assert_string_equal(o->message, "Activity executor died: signal 11 (SIGSEGV) at address 0x10");
    assert_has(o->details, "\"signal\": \"SIGSEGV\", \"signal_number\": 11, \"code\": "
                           "\"SEGV_MAPERR\", \"address\": \"0x10\"");
    assert_has(o->details, "\"module\": \"test_crashes\"");
    assert_has(o->details, "crash_here");
    assert_null(strstr(o->details, "flo_executor_child_main"));
    o = run(f, "abort");
    assert_has(o->details, "\"output\": [");
    assert_has(o->details, "the \\\"last\\\" line");
    assert_has(o->details, "line 1");
    ended(f);
}

/* The handler has a stack, and needs no descriptor. */
static void test_fault_without_stack_or_descriptors(void **state)
{
    struct fixture *f = started(1);
    struct outcome *o = run(f, "close-segv");

    (void)state;
    assert_has(o->details, "crash_here");
    assert_has(o->message, "at address 0x20");
    o = run(f, "overflow");
    assert_int_equal(o->result.signal, SIGSEGV);
    assert_has(o->details, "overflow");
    o = run(f, "jump"); /* no unwinder gets past it, but the caller is known */
    assert_has(o->message, "at address 0x30");
    assert_has(o->details, "obey");
    assert_string_equal(run(f, "echo:x")->reply, "x");
    ended(f);
}

/* exit() and _exit() are told by their status; exit() with who called it. */
static void test_exit_is_told_with_its_caller(void **state)
{
    struct fixture *f = started(1);
    struct outcome *o = run(f, "exit3");

    (void)state;
    assert_int_equal(o->result.signal, 0);
    if (!SANITIZED) /* a leak check may change it */
        assert_int_equal(o->result.exit_status, 3);
    assert_has(o->details, "\"exit_status\": ");
    assert_has(o->details, "obey");
    o = run(f, "exit");
    assert_string_equal(o->message,
                        "Activity executor died: it exited with status 0 while the activity ran");
    assert_has(o->details, "\"backtrace\": []");
    ended(f);
}

#ifdef __SANITIZE_ADDRESS__
/* What a sanitizer finds in an activity is told with the place, and with its report. */
static void test_sanitizer_report_is_told(void **state)
{
    struct fixture *f = started(1);
    struct outcome *o = run(f, "overrun");

    (void)state;
    assert_has(o->message, "ended by a sanitizer");
    assert_has(o->details, "obey");
    assert_has(o->details, "\"output\": [\"");
    ended(f);
}
#endif

/* A time-out asks with SIGTERM before it kills; neither is a crash. */
static void test_timeout_asks_and_then_kills(void **state)
{
    struct fixture *f = started(3);

    (void)state;
    assert_int_equal(fixture_submit(f, 0, "term", 50, 50), 0);
    assert_int_equal(fixture_submit(f, 1, "no-term", 50, 50), 0);
    assert_int_equal(fixture_submit(f, 2, "spin", 50, 50), 0);
    fixture_wait(f, 3);
    assert_int_equal(f->jobs[0].result.end, FLO_JOB_DONE);
    assert_string_equal(f->jobs[0].reply, "ended when asked");
    assert_int_equal(f->jobs[1].result.end, FLO_JOB_KILLED);
    assert_int_equal(f->jobs[1].result.signal, SIGKILL);
    assert_int_equal(f->jobs[2].result.end, FLO_JOB_KILLED);
    if (!SANITIZED) { /* a sanitizer may hold the signal back */
        assert_int_equal(f->jobs[2].result.signal, SIGTERM);
        assert_has(f->jobs[2].details, "obey");
    }
    for (int i = 0; i < 6; i++)
        assert_string_equal(run(f, "echo:x")->reply, "x");
    ended(f);
}

/* A limit that kills says so, and counts as a crash. */
static void test_limits_are_named(void **state)
{
    struct fixture *f = started_with(
        1,
        (struct flo_executor_limits){.memory_bytes = 32 << 20, .cpu_ms = 1000, .open_files = 20});
    struct outcome *o;

    (void)state;
    assert_string_equal(run(f, "echo:x")->reply, "x");
    if (!SANITIZED) { /* whose runtimes hold the signal back, and have memory of their own */
        o = run(f, "spin");
        assert_int_equal(o->result.end, FLO_JOB_CRASHED);
        assert_int_equal(o->limit, FLO_JOB_LIMIT_CPU);
        assert_has(o->message, "(SIGXCPU): it used up its CPU limit of 1 s");
        o = run(f, "eat");
        assert_int_equal(o->limit, FLO_JOB_LIMIT_MEMORY);
        assert_has(o->message, "under the memory limit of 32 MiB");
    }
    o = run(f, "segv"); /* a crash of its own is not blamed on a limit */
    assert_int_equal(o->limit, FLO_JOB_LIMIT_NONE);
    ended(f);
}

/* What a job used is known although it did not live to say so, and only of it. */
static void test_usage_of_a_dead_job(void **state)
{
    struct fixture *f = started(1);
    struct outcome *first = run(f, "work"), *o = run(f, "work-exit");
    int64_t ns = o->result.usage.user_ns + o->result.usage.system_ns;

    (void)state;
    assert_int_equal(first->result.end, FLO_JOB_DONE);
    assert_int_equal(o->result.end, FLO_JOB_CRASHED);
    assert_true(ns > 30 * FLO_NS_PER_MS); /* it computes for 50 ms */
    assert_true(o->result.usage.max_rss_bytes > 0);
    ended(f);
}

/* A fork that returns from the job answers nothing, and what jobs leave running is gone before
 * the next one, from whatever session. */
static void test_forks_leave_nothing(void **state)
{
    struct fixture *f = started(1);

    (void)state;
    assert_string_equal(run(f, "fork-return")->reply, "parent");
    assert_string_equal(run(f, "children")->reply, "none");
    run(f, "grandchild");
    assert_string_equal(run(f, "children")->reply, "none");
    run(f, "daemon");
    assert_string_equal(run(f, "children")->reply, "none");
    for (int i = 0; i < f->done; i++)
        assert_int_equal(f->jobs[i].ended, 1);
    ended(f);
}

/* A process that has no descriptor left to look for its children ends, and they with it. */
static void test_leftovers_without_descriptors(void **state)
{
    struct fixture *f = started_with(1, (struct flo_executor_limits){.open_files = 32});
    pid_t grandchild = (pid_t)strtol(run(f, "full-grandchild")->reply, NULL, 10);
    int64_t until = flo_clock_mono_ns() + 20 * FLO_NS_PER_S;

    (void)state;
    assert_true(grandchild > 0);
    while (kill(grandchild, 0) == 0) {
        assert_true(flo_clock_mono_ns() < until);
        usleep(1000);
    }
    assert_string_equal(run(f, "echo:x")->reply, "x");
    ended(f);
}

static size_t descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t count = 0;

    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static long resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*d %ld", &pages), 1);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE) / 1024;
}

/* Submit count jobs that crash, and wait for their ends. */
static void crash_many(struct fixture *f, int count)
{
    int done = f->done, last = done + count;

    for (int i = 0; i < count; i++)
        while (fixture_submit(f, (uint64_t)(i % RECORDS), i % 10 ? "exit" : "segv", 0, 0) ==
               FLO_EFULL)
            fixture_wait(f, f->done + 1);
    fixture_wait(f, last);
}

/* Thousands of executors later there are as many descriptors, and as much memory, as before. */
static void test_restarts_leak_nothing(void **state)
{
    struct fixture *f = started(4);
    size_t open_before, used_before;
    long before;

    (void)state;
    crash_many(f, SANITIZED ? 200 : 1800); /* malloc's caches fill up by and by */
    run(f, "echo:x");
    open_before = descriptors();
    used_before = mallinfo2().uordblks;
    before = resident_kib();
    crash_many(f, SANITIZED ? 300 : 1500);
    run(f, "echo:x");
    assert_true(descriptors() <= open_before + 2); /* one may just be replaced */
    /* A leak of 300 bytes a crash would show. */
    assert_true(mallinfo2().uordblks < used_before + (440 << 10));
    if (!SANITIZED)
        assert_true(resident_kib() < before + 2048);
    ended(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fault_is_described),
        cmocka_unit_test(test_fault_without_stack_or_descriptors),
        cmocka_unit_test(test_exit_is_told_with_its_caller),
#ifdef __SANITIZE_ADDRESS__
        cmocka_unit_test(test_sanitizer_report_is_told),
#endif
        cmocka_unit_test(test_timeout_asks_and_then_kills),
        cmocka_unit_test(test_limits_are_named),
        cmocka_unit_test(test_usage_of_a_dead_job),
        cmocka_unit_test(test_forks_leave_nothing),
        cmocka_unit_test(test_leftovers_without_descriptors),
        cmocka_unit_test(test_restarts_leak_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
