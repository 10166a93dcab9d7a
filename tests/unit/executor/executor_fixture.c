/* SPDX-License-Identifier: Apache-2.0 */
/* executor_fixture.c - see executor_fixture.h. */
#include "executor_fixture.h"

#include <dirent.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

static void list_fds(struct flo_buf *reply)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.' && strtol(entry->d_name, NULL, 10) != dirfd(dir))
            flo_buf_printf(reply, "%s ", entry->d_name);
    if (dir)
        closedir(dir);
}

static void print_much(void)
{
    char line[1024];

    memset(line, 'x', sizeof line);
    for (int i = 0; i < 1024; i++)
        (void)!write(1, line, sizeof line);
}

static void leave_grandchild(struct flo_buf *reply)
{
    pid_t pid = fork();

    if (pid == 0) {
        sleep(30);
        _exit(0);
    }
    flo_buf_printf(reply, "%d", (int)pid);
}

/* How many processes are below this one. */
static void list_children(struct flo_buf *reply)
{
    char text[256] = "";
    FILE *file = fopen("/proc/thread-self/children", "r");

    if (file && !fgets(text, sizeof text, file))
        text[0] = '\0';
    if (file)
        fclose(file);
    flo_buf_append_str(reply, text[0] ? text : "none");
}

static void hold(struct flo_job_io *io, struct flo_buf *reply)
{
    enum flo_job_cancel reason;

    flo_job_progress(io, (const uint8_t *)"held", 4);
    while ((reason = flo_job_wait_cancelled(io, 10000)) == FLO_JOB_RUNNING)
        ;
    flo_buf_printf(reply, "told %d", (int)reason);
}

static void chat(struct flo_job_io *io)
{
    char text[32];

    for (int i = 1; i <= 5000; i++) {
        int n = snprintf(text, sizeof text, "p%d", i);
        flo_job_progress(io, (const uint8_t *)text, (size_t)n);
    }
}

/* Progress without end, until told to stop. */
static void babble(struct flo_job_io *io)
{
    while (flo_job_cancelled(io) == FLO_JOB_RUNNING)
        flo_job_progress(io, (const uint8_t *)"bla", 3);
}

/* Computes until the thread has spent 50 ms of CPU. */
static void work(void)
{
    struct timespec began, now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &began);
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while ((now.tv_sec - began.tv_sec) * FLO_NS_PER_S + now.tv_nsec - began.tv_nsec <
           50 * FLO_NS_PER_MS);
}

/* How long a large request is, and the sum of its bytes. */
static void describe(const uint8_t *request, size_t len, struct flo_buf *reply)
{
    unsigned long sum = 0;

    for (size_t i = 0; i < len; i++)
        sum += request[i];
    flo_buf_printf(reply, "%zu bytes, sum %lu", len, sum);
}

static volatile sig_atomic_t asked_to_end;

static void on_term(int number)
{
    (void)number;
    asked_to_end = 1;
}

/* Computes until SIGTERM comes; handle: and then answers. */
static void wait_for_term(bool handle, struct flo_buf *reply)
{
    signal(SIGTERM, handle ? on_term : SIG_IGN);
    while (!asked_to_end)
        usleep(1000);
    flo_buf_append_str(reply, "ended when asked");
}

static __attribute__((noinline)) int overflow(int depth)
{
    volatile char frame[4096];

    for (size_t i = 0; i < sizeof frame; i += 256)
        frame[i] = (char)depth;
    return depth == -1 ? 0 : overflow(depth + 1) + frame[depth & 255];
}

/* Takes memory until there is none, and dies of it as careless code does. */
static void eat(void)
{
    for (;;) {
        char *piece = malloc(1u << 20);
        memset(piece, 1, 1u << 20);
    }
}

/* What nobody frees; dies without memory. */
static void *keep(size_t size, bool touch)
{
    static void *volatile last;
    char *piece = malloc(size);

    piece[0] = 1;
    if (touch)
        memset(piece, 1, size);
    return last = piece;
}

static __attribute__((noinline)) void crash_here(volatile int *at)
{
    *at = 1;
}

static void obey(void *ctx, struct flo_job_io *io, const uint8_t *request, size_t len,
                 struct flo_buf *reply)
{
    char order[128];

    (void)ctx;
    snprintf(order, sizeof order, "%.*s", (int)len, (const char *)request);
    if (len >= sizeof order)
        describe(request, len, reply);
    else if (strncmp(order, "echo:", 5) == 0)
        flo_buf_append_str(reply, order + 5);
    else if (strcmp(order, "fds") == 0)
        list_fds(reply);
    else if (strcmp(order, "pid") == 0)
        flo_buf_printf(reply, "%d", (int)getpid());
    else if (strcmp(order, "hold") == 0)
        hold(io, reply);
    else if (strcmp(order, "spin") == 0)
        for (volatile unsigned turns = 0;; turns = turns + 1)
            ;
    else if (strcmp(order, "segv") == 0) {
        crash_here((volatile int *)(uintptr_t)0x10);
    } else if (strcmp(order, "abort") == 0) {
        printf("line %d\n", 1);
        fprintf(stderr, "the \"last\" line\n");
        fflush(stdout);
        abort();
    } else if (strcmp(order, "exit") == 0)
        _exit(0);
    else if (strcmp(order, "big") == 0)
        for (int i = 0; i < 100; i++)
            (void)!flo_buf_append(reply, order, sizeof order);
    else if (strcmp(order, "print") == 0)
        print_much();
    else if (strcmp(order, "chatty") == 0)
        chat(io);
    else if (strcmp(order, "babble") == 0)
        babble(io);
    else if (strcmp(order, "work") == 0)
        work();
    else if (strcmp(order, "close-segv") == 0) {
        close_range(0, ~0u, 0);
        crash_here((volatile int *)(uintptr_t)0x20);
    } else if (strcmp(order, "jump") == 0) {
        void (*volatile nowhere)(void) = (void (*)(void))(uintptr_t)0x30;
        nowhere();
    } else if (strcmp(order, "overflow") == 0)
        overflow(0);
    else if (strcmp(order, "exit3") == 0)
        exit(3);
    else if (strcmp(order, "eat") == 0)
        eat();
    else if (strcmp(order, "work-exit") == 0) {
        work();
        _exit(4);
    } else if (strcmp(order, "term") == 0)
        wait_for_term(true, reply);
    else if (strcmp(order, "no-term") == 0)
        wait_for_term(false, reply);
    else if (strcmp(order, "fork-return") == 0)
        flo_buf_printf(reply, "%s", fork() == 0 ? "child" : "parent");
    else if (strcmp(order, "leak") == 0)
        keep(1u << 20, true);
    else if (strcmp(order, "untouched") == 0)
        keep(1u << 20, false);
    else if (strcmp(order, "leak-fd") == 0)
        (void)!dup(0);
    else if (strcmp(order, "spike") == 0)
        free(keep(48u << 20, true));
    else if (strcmp(order, "overrun") == 0) {
        char *volatile piece = malloc(8);
        piece[8] = 1; /* only a sanitizer sees it */
        free(piece);
    } else if (strcmp(order, "full-grandchild") == 0) {
        leave_grandchild(reply);
        while (dup(0) >= 0)
            ;
    } else if (strcmp(order, "daemon") == 0) {
        if (fork() == 0) {
            setsid();
            leave_grandchild(reply);
            _exit(0);
        }
    } else if (strcmp(order, "children") == 0)
        list_children(reply);
    else if (strcmp(order, "grandchild") == 0)
        leave_grandchild(reply);
    else if (strcmp(order, "hold-grandchild") == 0) {
        leave_grandchild(reply);
        flo_job_progress(io, reply->data, reply->len);
        while (flo_job_wait_cancelled(io, 10000) == FLO_JOB_RUNNING)
            ;
    } else if (strncmp(order, "env:", 4) == 0)
        flo_buf_append_str(reply, getenv(order + 4) ? getenv(order + 4) : "(unset)");
    else if (strcmp(order, "affinity") == 0) {
        cpu_set_t cores;
        sched_getaffinity(0, sizeof cores, &cores);
        flo_buf_printf(reply, "%d", CPU_COUNT(&cores));
    }
}

static void on_progress(void *ctx, uint64_t job, const uint8_t *data, size_t len)
{
    struct fixture *f = ctx;

    snprintf(f->jobs[job].progress, sizeof f->jobs[job].progress, "%.*s", (int)len,
             (const char *)data);
    f->jobs[job].progress_count++;
    event_base_loopbreak(f->base);
}

static void on_recycled(void *ctx, const struct flo_recycled *recycled)
{
    struct fixture *f = ctx;

    assert_int_equal(f->jobs[recycled->job].ended, 0);
    f->recycled++;
    f->last_recycled = *recycled;
}

static void on_done(void *ctx, uint64_t job, const struct flo_job_result *result)
{
    struct fixture *f = ctx;
    struct outcome *outcome = &f->jobs[job];

    outcome->ended++;
    outcome->result = *result;
    outcome->result.crash = NULL; /* borrowed */
    if (result->crash) {
        snprintf(outcome->message, sizeof outcome->message, "%s", result->crash->message);
        snprintf(outcome->details, sizeof outcome->details, "%s", result->crash->details);
        outcome->limit = result->crash->limit;
    }
    snprintf(outcome->reply, sizeof outcome->reply, "%.*s", (int)result->reply_len,
             result->reply ? (const char *)result->reply : "");
    f->done++;
    event_base_loopbreak(f->base);
}

void fixture_init(struct fixture *f, unsigned workers)
{
    memset(f, 0, sizeof *f);
    f->options = (struct flo_executor_options){.workers = workers,
                                               .name = "test",
                                               .max_reply_bytes = 8192,
                                               .runner = obey,
                                               .on_progress = on_progress,
                                               .on_done = on_done,
                                               .on_recycled = on_recycled,
                                               .ctx = f};
}

void fixture_threads(struct fixture *f)
{
    struct flo_err err = {0};

    f->base = event_base_new();
    if (flo_executor_threads_new(f->base, &f->options, &f->executor, &err))
        fail_msg("%s", err.message);
}

void fixture_processes(struct fixture *f, bool pin)
{
    struct flo_executor_template *tmpl = NULL;
    struct flo_err err = {0};

    if (flo_executor_template_start(&f->options, pin, &tmpl, &err))
        fail_msg("%s", err.message);
    f->base = event_base_new();
    if (flo_executor_processes_new(f->base, &f->options, &tmpl, &f->executor, &err))
        fail_msg("%s", err.message);
}

void fixture_fini(struct fixture *f)
{
    assert_int_equal(flo_executor_destroy(&f->executor, 10000), 0);
    if (f->base)
        event_base_free(f->base);
}

int fixture_submit(struct fixture *f, uint64_t job, const char *order, int64_t deadline_ms,
                   int64_t grace_ms)
{
    return flo_executor_submit(f->executor, job, (const uint8_t *)order, strlen(order), deadline_ms,
                               grace_ms);
}

static void loop_once(struct fixture *f, int64_t until)
{
    const struct timeval second = {.tv_sec = 1};

    assert_true(flo_clock_mono_ns() < until);
    event_base_loopexit(f->base, &second);
    event_base_loop(f->base, EVLOOP_ONCE);
}

void fixture_wait(struct fixture *f, int done)
{
    int64_t until = flo_clock_mono_ns() + 20 * FLO_NS_PER_S;

    while (f->done < done)
        loop_once(f, until);
}

void fixture_wait_progress(struct fixture *f, uint64_t job)
{
    int64_t until = flo_clock_mono_ns() + 20 * FLO_NS_PER_S;

    while (f->jobs[job].progress_count == 0)
        loop_once(f, until);
}
