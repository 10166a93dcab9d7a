/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_distrust.c - executor processes are not believed: what one sends that wrote over its memory
 * costs its own job at most. Orders:
 *   leave: says that it leaves, and then that it is ready    usage: has used what nobody can
 *   pid  leak: 20 MiB  exit  stay: for ever  garble: no frames
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "executor/child_io.h"
#include "executor/frame.h"
#include "executor_fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static void say(struct flo_job_io *io, const struct flo_frame *head)
{
    const struct flo_child_io *child = (const struct flo_child_io *)io;
    struct flo_frame frame = *head;

    frame.job = child->job;
    (void)!flo_frame_write(child->fd, &frame, NULL);
}

static void obey(void *ctx, struct flo_job_io *io, const uint8_t *request, size_t len,
                 struct flo_buf *reply)
{
    const struct flo_frame leaves = {.kind = FLO_FRAME_DONE, .value = 1},
                           ready = {.kind = FLO_FRAME_READY},
                           used = {.kind = FLO_FRAME_DONE,
                                   .usage = {.user_ns = INT64_MAX,
                                             .system_ns = INT64_MIN,
                                             .max_rss_bytes = UINT64_MAX,
                                             .read_bytes = UINT64_MAX}};
    char order[16], noise[200];

    (void)ctx;
    memset(noise, 0xff, sizeof noise);
    snprintf(order, sizeof order, "%.*s", (int)len, (const char *)request);
    if (strcmp(order, "leave") == 0) {
        say(io, &leaves);
        say(io, &ready);
        for (;;)
            pause();
    } else if (strcmp(order, "usage") == 0) {
        say(io, &used);
    } else if (strcmp(order, "pid") == 0) {
        flo_buf_printf(reply, "%d", (int)getpid());
    } else if (strcmp(order, "leak") == 0) {
        char *volatile piece = malloc(20u << 20);
        flo_buf_append_str(reply, piece ? "has" : "has not");
    } else if (strcmp(order, "garble") == 0) {
        (void)!write(((const struct flo_child_io *)io)->fd, noise, sizeof noise);
        for (;;)
            pause();
    } else if (strcmp(order, "stay") == 0) {
        for (;;)
            pause();
    } else if (strcmp(order, "exit") == 0) {
        _exit(0);
    }
}

static struct fixture *started(struct flo_executor_limits limits)
{
    struct fixture *f = malloc(sizeof *f);

    fixture_init(f, 1);
    f->options.runner = obey;
    f->options.limits = limits;
    fixture_processes(f, false);
    return f;
}

static void ended(struct fixture *f)
{
    fixture_fini(f);
    free(f);
}

static struct outcome *run(struct fixture *f, const char *order)
{
    uint64_t job = (uint64_t)f->done;

    assert_int_equal(fixture_submit(f, job, order, 0, 0), 0);
    fixture_wait(f, f->done + 1);
    return &f->jobs[job];
}

/* Turn the loop until `count` processes are down. */
static void wait_down(struct fixture *f, size_t count)
{
    int64_t until = flo_clock_mono_ns() + 20 * FLO_NS_PER_S;
    unsigned first;

    while (flo_executor_down(f->executor, 0, &first) != count) {
        assert_true(flo_clock_mono_ns() < until);
        event_base_loop(f->base, EVLOOP_ONCE | EVLOOP_NONBLOCK); /* one turn: misses no state */
    }
}

/* A process that dies between two jobs leaves nothing that is told of the next one's death. */
static void test_old_record_is_not_told(void **state)
{
    struct fixture *f = started((struct flo_executor_limits){0});
    pid_t pid = (pid_t)strtol(run(f, "pid")->reply, NULL, 10);
    struct outcome *o;

    (void)state;
    assert_int_equal(kill(pid, SIGSEGV), 0);
    wait_down(f, 1);
    wait_down(f, 0);
    o = run(f, "exit");
    assert_int_equal(o->result.end, FLO_JOB_CRASHED);
    assert_non_null(strstr(o->details, "\"backtrace\": []"));
    ended(f);
}

/* Nothing is given to a process that is about to be killed, whatever it says. */
static void test_leaving_process_gets_no_job(void **state)
{
    struct fixture *f = started((struct flo_executor_limits){0});

    (void)state;
    assert_int_equal(fixture_submit(f, 0, "leave", 0, 0), 0);
    assert_int_equal(fixture_submit(f, 1, "pid", 0, 0), 0);
    fixture_wait(f, 2);
    assert_int_equal(f->jobs[0].result.end, FLO_JOB_DONE);
    assert_int_equal(f->jobs[1].result.end, FLO_JOB_DONE);
    ended(f);
}

/* What is no frame at all ends the process, and the reason is said. */
static void test_garbage_is_named(void **state)
{
    struct fixture *f = started((struct flo_executor_limits){0});
    struct outcome *o = run(f, "garble");

    (void)state;
    assert_int_equal(o->result.end, FLO_JOB_CRASHED);
    assert_non_null(strstr(o->message, "for sending what is no answer"));
    assert_string_equal(run(f, "leak")->reply, "has");
    ended(f);
}

/* Figures that cannot be count as unknown; those of the next job are right. */
static void test_impossible_usage_is_unknown(void **state)
{
    struct fixture *f = started((struct flo_executor_limits){0});

    (void)state;
    for (int i = 0; i < 2; i++) {
        const struct flo_job_usage *used = &run(f, "usage")->result.usage;
        assert_int_equal(used->user_ns, 0);
        assert_int_equal(used->system_ns, 0);
        assert_int_equal(used->max_rss_bytes, 0);
        assert_int_equal(used->read_bytes, 0);
    }
    run(f, "exit");
    ended(f);
}

/* A process that kept much of its memory limit makes room for a new one: what a job leaked is not
 * missing for the next one. */
static void test_leaks_do_not_add_up_to_the_limit(void **state)
{
    struct fixture *f = started((struct flo_executor_limits){.memory_bytes = 32 << 20});

    (void)state;
    for (int i = 0; i < 4 && !SANITIZED; i++)
        assert_string_equal(run(f, "leak")->reply, "has");
    ended(f);
}

/* More processes than the template's socket holds reports: neither side waits for the other when
 * all have to be killed. */
static void test_many_are_ended(void **state)
{
    const unsigned many = 640; /* orders and reports that fill both directions */
    const struct rlimit room = {4096, 4096};
    struct fixture *f;

    (void)state;
    if (SANITIZED || setrlimit(RLIMIT_NOFILE, &room) < 0)
        skip(); /* a sanitizer's processes are large */
    f = malloc(sizeof *f);
    fixture_init(f, many);
    f->options.runner = obey;
    fixture_processes(f, false);
    for (unsigned i = 0; i < many; i++)
        assert_int_equal(fixture_submit(f, i, "stay", 0, 0), 0);
    assert_int_equal(flo_executor_destroy(&f->executor, 0), 0);
    ended(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_old_record_is_not_told),
        cmocka_unit_test(test_leaving_process_gets_no_job),
        cmocka_unit_test(test_garbage_is_named),
        cmocka_unit_test(test_impossible_usage_is_unknown),
        cmocka_unit_test(test_leaks_do_not_add_up_to_the_limit),
        cmocka_unit_test(test_many_are_ended),
    };

    return cmocka_run_group_tests_name("executor/distrust", tests, NULL, NULL);
}
