/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pool.c - executor/threads.c, pool_thread.c, stack.c: threads that come and go, other sizes,
 * threads that do not come back, stacks that overflow.
 */
#include <dirent.h>
#include <semaphore.h>
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

struct stuck_fixture {
    struct fixture f;
    sem_t release; /* lets one deaf job end */
    struct flo_stuck_job stuck, unstuck;
    int stuck_count, unstuck_count;
};

static unsigned dig(unsigned depth)
{
    volatile char room[256];

    room[0] = (char)depth;
    return depth ? dig(depth - 1) + (unsigned)room[0] : 0;
}

/* hold: until told; deaf: until released, whatever it is told; dig:N: N frames deep. */
static void act(void *ctx, struct flo_job_io *io, const uint8_t *request, size_t len,
                struct flo_buf *reply)
{
    struct stuck_fixture *s = ctx;
    char order[32];

    snprintf(order, sizeof order, "%.*s", (int)len, (const char *)request);
    if (strcmp(order, "hold") == 0) {
        flo_job_progress(io, (const uint8_t *)"held", 4);
        while (flo_job_wait_cancelled(io, 10000) == FLO_JOB_RUNNING)
            ;
    } else if (strcmp(order, "deaf") == 0) {
        flo_job_progress(io, (const uint8_t *)"deaf", 4);
        while (sem_wait(&s->release) < 0)
            ;
    } else if (strncmp(order, "dig:", 4) == 0) {
        flo_buf_printf(reply, "%u", dig((unsigned)strtoul(order + 4, NULL, 10)) % 2);
    }
}

static void on_stuck(void *ctx, const struct flo_stuck_job *stuck, bool ended)
{
    struct stuck_fixture *s = ctx;

    if (ended) {
        s->unstuck = *stuck;
        s->unstuck_count++;
    } else {
        s->stuck = *stuck;
        s->stuck_count++;
    }
    event_base_loopbreak(s->f.base);
}

static struct stuck_fixture *made(unsigned workers)
{
    struct stuck_fixture *s = calloc(1, sizeof *s);

    fixture_init(&s->f, workers);
    s->f.options.runner = act;
    s->f.options.runner_ctx = s;
    s->f.options.on_stuck = on_stuck;
    sem_init(&s->release, 0, 0);
    return s;
}

static void ended(struct stuck_fixture *s)
{
    fixture_fini(&s->f);
    sem_destroy(&s->release);
    free(s);
}

static void turn(struct stuck_fixture *s, int64_t until_ns)
{
    const struct timeval pause = {.tv_usec = 5000};

    assert_true(flo_clock_mono_ns() < until_ns);
    event_base_loopexit(s->f.base, &pause);
    event_base_loop(s->f.base, EVLOOP_ONCE);
}

/* Threads of this process whose name begins with "test-"; the highest number goes to out. */
static int threads_named(unsigned *out_highest)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    unsigned number;
    int count = 0;

    *out_highest = 0;
    while (dir && (entry = readdir(dir))) {
        char path[320], name[32] = "";
        FILE *file;
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        file = fopen(path, "r");
        if (!file)
            continue;
        if (fgets(name, sizeof name, file) && sscanf(name, "test-%u", &number) == 1) {
            count++;
            if (number > *out_highest)
                *out_highest = number;
        }
        fclose(file);
    }
    if (dir)
        closedir(dir);
    return count;
}

static void wait_for_threads(struct stuck_fixture *s, int count)
{
    const int64_t until = flo_clock_mono_ns() + 20 * FLO_NS_PER_S;
    unsigned highest;

    while (threads_named(&highest) != count)
        turn(s, until);
}

static void hold(struct stuck_fixture *s, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++)
        assert_int_equal(fixture_submit(&s->f, i, "hold", 0, 0), 0);
    for (uint64_t i = from; i < to; i++)
        fixture_wait_progress(&s->f, i);
}

static void let_go(struct stuck_fixture *s, uint64_t from, uint64_t to)
{
    int before = s->f.done;

    for (uint64_t i = from; i < to; i++)
        flo_executor_cancel(s->f.executor, i, FLO_JOB_CANCEL_REQUESTED);
    fixture_wait(&s->f, before + (int)(to - from));
}

/* Room for many costs one thread until they are needed; then there are as many as jobs. */
static void test_threads_are_made_for_jobs(void **state)
{
    struct stuck_fixture *s = made(500);
    unsigned highest;

    (void)state;
    fixture_threads(&s->f);
    wait_for_threads(s, 1);
    hold(s, 0, 5);
    assert_int_equal(threads_named(&highest), 5);
    assert_int_equal(highest, 4);
    let_go(s, 0, 5);
    hold(s, 5, 8); /* the old ones do */
    assert_int_equal(threads_named(&highest), 5);
    let_go(s, 5, 8);
    ended(s);
}

/* Threads that were not needed for a while end, but for one; their numbers are given again. */
static void test_idle_threads_end(void **state)
{
    struct stuck_fixture *s = made(16);
    unsigned highest;

    (void)state;
    s->f.options.idle_ms = 20;
    fixture_threads(&s->f);
    for (uint64_t round = 0; round < 3; round++) {
        hold(s, round * 8, round * 8 + 8);
        assert_int_equal(threads_named(&highest), 8);
        assert_int_equal(highest, 7);
        let_go(s, round * 8, round * 8 + 8);
        wait_for_threads(s, 1);
    }
    ended(s);
}

/* A larger pool takes what waited at once; a smaller one begins nothing before it fits. */
static void test_resize_grows_and_shrinks(void **state)
{
    struct stuck_fixture *s = made(1);

    (void)state;
    fixture_threads(&s->f);
    hold(s, 0, 1);
    assert_int_equal(fixture_submit(&s->f, 1, "hold", 0, 0), 0); /* waits */
    assert_int_equal(fixture_submit(&s->f, 2, "hold", 0, 0), FLO_EFULL);
    assert_int_equal(flo_executor_resize(s->f.executor, 3), 0);
    fixture_wait_progress(&s->f, 1);
    hold(s, 2, 3);
    assert_int_equal(flo_executor_resize(s->f.executor, 1), 0);
    assert_int_equal(fixture_submit(&s->f, 3, "hold", 0, 0), 0); /* waits */
    let_go(s, 0, 2);
    assert_int_equal(s->f.jobs[3].progress_count, 0);
    let_go(s, 2, 3);
    fixture_wait_progress(&s->f, 3);
    let_go(s, 3, 4);
    assert_int_equal(flo_executor_resize(s->f.executor, 0), FLO_EINVAL);
    assert_int_equal(flo_executor_resize(s->f.executor, FLO_EXECUTOR_THREADS_MAX + 1), FLO_EINVAL);
    ended(s);
}

/* A job that does not end after its deadline and grace is named, once, and again when it ends. */
static void test_stuck_thread_is_named(void **state)
{
    const int64_t until = flo_clock_mono_ns() + 20 * FLO_NS_PER_S;
    struct stuck_fixture *s = made(2);
    struct flo_stuck_job found;

    (void)state;
    fixture_threads(&s->f);
    assert_int_equal(fixture_submit(&s->f, 7, "deaf", 10, 10), 0);
    fixture_wait_progress(&s->f, 7);
    assert_int_equal(flo_executor_stuck(s->f.executor, NULL, 0), 0);
    while (!s->stuck_count)
        turn(s, until);
    assert_int_equal(s->stuck.job, 7);
    assert_int_equal(s->stuck.reason, FLO_JOB_CANCEL_TIMED_OUT);
    assert_string_equal(s->stuck.unit, "test-0");
    assert_true(s->stuck.told_ms >= 5);
    assert_int_equal(flo_executor_stuck(s->f.executor, &found, 1), 1);
    assert_int_equal(found.job, 7);
    assert_non_null(strstr(found.doing, "sleeping"));
    assert_int_equal(s->unstuck_count, 0);
    sem_post(&s->release);
    fixture_wait(&s->f, 1);
    assert_int_equal(s->stuck_count, 1);
    assert_int_equal(s->unstuck_count, 1);
    assert_int_equal(s->unstuck.job, 7);
    assert_string_equal(s->unstuck.unit, "test-0");
    assert_string_equal(s->unstuck.doing, "");
    assert_int_equal(flo_executor_stuck(s->f.executor, NULL, 0), 0);
    ended(s);
}

/* So is one that was asked to stop and does not; a pause is no such request. */
static void test_stuck_after_cancel_but_not_after_pause(void **state)
{
    const int64_t until = flo_clock_mono_ns() + 20 * FLO_NS_PER_S;
    struct stuck_fixture *s = made(2);

    (void)state;
    fixture_threads(&s->f);
    assert_int_equal(fixture_submit(&s->f, 0, "deaf", 0, 1), 0);
    assert_int_equal(fixture_submit(&s->f, 1, "deaf", 0, 20), 0);
    flo_executor_cancel(s->f.executor, 0, FLO_JOB_CANCEL_PAUSED);
    flo_executor_cancel(s->f.executor, 1, FLO_JOB_CANCEL_REQUESTED);
    while (!s->stuck_count)
        turn(s, until);
    assert_int_equal(s->stuck.job, 1);
    assert_int_equal(flo_executor_stuck(s->f.executor, NULL, 0), 1);
    sem_post(&s->release);
    sem_post(&s->release);
    fixture_wait(&s->f, 2);
    ended(s);
}

/* A job that ignored a request to stop still runs out of time. */
static void test_stuck_job_still_has_its_deadline(void **state)
{
    const int64_t until = flo_clock_mono_ns() + 20 * FLO_NS_PER_S;
    struct stuck_fixture *s = made(1);
    struct flo_stuck_job found;

    (void)state;
    fixture_threads(&s->f);
    assert_int_equal(fixture_submit(&s->f, 0, "deaf", 300, 1), 0);
    flo_executor_cancel(s->f.executor, 0, FLO_JOB_CANCEL_REQUESTED);
    while (!s->stuck_count)
        turn(s, until);
    assert_int_equal(s->stuck.reason, FLO_JOB_CANCEL_REQUESTED);
    do {
        turn(s, until);
        assert_int_equal(flo_executor_stuck(s->f.executor, &found, 1), 1);
    } while (found.reason != FLO_JOB_CANCEL_TIMED_OUT);
    assert_int_equal(s->stuck_count, 1);
    sem_post(&s->release);
    fixture_wait(&s->f, 1);
    ended(s);
}

static void say_fault(void *ctx, const struct flo_executor_fault *fault)
{
    const char *text = fault->stack_overflow ? "overflow in " : "fault in ";

    (void)!write(*(int *)ctx, text, strlen(text));
    (void)!write(*(int *)ctx, fault->unit, strlen(fault->unit));
    if (fault->busy && fault->job == 5)
        (void)!write(*(int *)ctx, ", job 5", 7);
}

/* Run order in a process of its own; what its fault handler wrote goes to out, how it ended is
 * returned. */
static int run_apart(const char *order, char *out, size_t cap)
{
    size_t len = 0;
    ssize_t n;
    int ends[2], status = 0;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct stuck_fixture *s = made(2);
        close(ends[0]);
        signal(SIGSEGV, SIG_DFL); /* what the pool finds, instead of cmocka's */
        s->f.options.on_fault = say_fault;
        s->f.options.ctx = &ends[1];
        s->f.options.on_done = NULL;
        s->f.options.stack_bytes = 1; /* the least there is */
        fixture_threads(&s->f);
        if (fixture_submit(&s->f, 5, order, 0, 0) == 0)
            for (;;)
                event_base_loop(s->f.base, EVLOOP_ONCE);
        _exit(3);
    }
    close(ends[1]);
    while (len < cap - 1 && (n = read(ends[0], out + len, cap - 1 - len)) > 0)
        len += (size_t)n;
    out[len] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* A stack that is full ends the process as ever, but the thread and the job are named. */
static void test_stack_overflow_is_named(void **state)
{
    char said[256];
    int status;

    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* its runtime starts no threads in a process that was forked */
#endif
    status = run_apart("dig:1000000", said, sizeof said);
    assert_string_equal(said, "overflow in test-0, job 5");
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
}

/* A job that uses what there is of the stack runs. */
static void test_stack_is_as_large_as_asked_for(void **state)
{
    struct stuck_fixture *s = made(1);

    (void)state;
    s->f.options.stack_bytes = 4u << 20;
    fixture_threads(&s->f);
    assert_int_equal(fixture_submit(&s->f, 0, "dig:4000", 0, 0), 0);
    fixture_wait(&s->f, 1);
    assert_int_equal(s->f.jobs[0].result.end, FLO_JOB_DONE);
    ended(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: the signal handlers are set once in a process, and cmocka sets its own each time.
         */
        cmocka_unit_test(test_stack_overflow_is_named),
        cmocka_unit_test(test_threads_are_made_for_jobs),
        cmocka_unit_test(test_idle_threads_end),
        cmocka_unit_test(test_resize_grows_and_shrinks),
        cmocka_unit_test(test_stuck_thread_is_named),
        cmocka_unit_test(test_stuck_after_cancel_but_not_after_pause),
        cmocka_unit_test(test_stuck_job_still_has_its_deadline),
        cmocka_unit_test(test_stack_is_as_large_as_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
