/* SPDX-License-Identifier: Apache-2.0 */
/* test_told.c - what jobs hear and say beside their answer, the same in both kinds of executors:
 * notices, graver reasons, notes, several threads of one job. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "executor_fixture.h"

struct watcher {
    struct flo_job_io *io;
    unsigned seen[8]; /* what it was told, in order */
    int count;
};

static void say(struct flo_job_io *io, const char *text)
{
    flo_job_progress(io, (const uint8_t *)text, strlen(text));
}

static void *watch(void *arg)
{
    struct watcher *watcher = arg;
    unsigned told = 0;

    while (told < 2 * FLO_JOB_NUDGE && watcher->count < 8) {
        told = flo_job_wait_told(watcher->io, told, -1);
        watcher->seen[watcher->count++] = told;
    }
    return NULL;
}

/* A thread watches for ever, two more wait, and the job itself as well. */
static void *wait_long(void *arg)
{
    return flo_job_wait_cancelled(arg, 20000) == FLO_JOB_CANCEL_REQUESTED ? arg : NULL;
}

static void run_watched(struct flo_job_io *io, struct flo_buf *reply)
{
    struct watcher watcher = {.io = io};
    pthread_t thread, waiters[2];
    int woken = 0;

    if (flo_job_watch(io) || pthread_create(&thread, NULL, watch, &watcher))
        return;
    for (int i = 0; i < 2; i++)
        pthread_create(&waiters[i], NULL, wait_long, io);
    say(io, "watching");
    (void)flo_job_wait_cancelled(io, 20000);
    for (int i = 0; i < 2; i++) {
        void *result;
        pthread_join(waiters[i], &result);
        woken += result != NULL;
    }
    flo_job_wake(io);
    flo_job_wake(io);
    pthread_join(thread, NULL);
    flo_buf_printf(reply, "%d woken, last %x", woken, watcher.seen[watcher.count - 1]);
}

static void run(void *ctx, struct flo_job_io *io, const uint8_t *request, size_t len,
                struct flo_buf *reply)
{
    unsigned told;

    (void)ctx;
    if (len == 5 && memcmp(request, "watch", 5) == 0) {
        run_watched(io, reply);
    } else if (len == 5 && memcmp(request, "notes", 5) == 0) {
        for (int i = 0; i < 50; i++) {
            char text[8];
            int n = snprintf(text, sizeof text, "%d,", i);
            (void)!flo_job_note(io, (const uint8_t *)text, (size_t)n);
        }
    } else { /* says each thing that it is told, until it is unwanted */
        say(io, "ready");
        for (told = flo_job_told(io); FLO_JOB_REASON(told) != FLO_JOB_CANCEL_NOT_FOUND;) {
            if (told) {
                char text[16];
                snprintf(text, sizeof text, "%x", told);
                say(io, text);
            }
            told = flo_job_wait_told(io, told, 20000);
        }
        flo_buf_printf(reply, "%x", told);
    }
}

static struct {
    char text[512];
    bool before_done;
} notes;

static void on_note(void *ctx, uint64_t job, const uint8_t *data, size_t len)
{
    const struct fixture *f = ctx;
    size_t at = strlen(notes.text);

    notes.before_done = f->jobs[job].ended == 0;
    snprintf(notes.text + at, sizeof notes.text - at, "%.*s", (int)len, (const char *)data);
}

static void with_both(void (*test)(struct fixture *f))
{
    for (int kind = 0; kind < 2; kind++) {
        struct fixture *f = malloc(sizeof *f);
        fixture_init(f, 1);
        f->options.runner = run;
        f->options.on_note = on_note;
        memset(&notes, 0, sizeof notes);
        if (kind == 0)
            fixture_threads(f);
        else
            fixture_processes(f, false);
        test(f);
        fixture_fini(f);
        free(f);
    }
}

static void wait_said(struct fixture *f, uint64_t job, const char *text)
{
    while (strcmp(f->jobs[job].progress, text) != 0) {
        f->jobs[job].progress_count = 0;
        fixture_wait_progress(f, job);
    }
}

static void notices(struct fixture *f)
{
    assert_int_equal(fixture_submit(f, 0, "listen", 0, 60000), 0);
    wait_said(f, 0, "ready");
    flo_executor_cancel(f->executor, 0, FLO_JOB_CANCEL_PAUSED);
    wait_said(f, 0, "5");
    flo_executor_notice_stopping(f->executor);
    wait_said(f, 0, "105");
    flo_executor_cancel(f->executor, 0, FLO_JOB_CANCEL_REQUESTED);
    wait_said(f, 0, "101");
    flo_executor_cancel(f->executor, 0, FLO_JOB_CANCEL_SHUTDOWN); /* no graver: not told */
    flo_executor_cancel(f->executor, 0, FLO_JOB_CANCEL_NOT_FOUND);
    fixture_wait(f, 1);
    assert_string_equal(f->jobs[0].reply, "103");
    /* A job that comes later hears of the drain as well. */
    assert_int_equal(fixture_submit(f, 1, "listen", 0, 60000), 0);
    wait_said(f, 1, "100");
    flo_executor_cancel(f->executor, 1, FLO_JOB_CANCEL_NOT_FOUND);
    fixture_wait(f, 2);
}

/* A job hears that the worker drains, and reasons to stop in the order of their weight. */
static void test_told_notices_and_graver_reasons_arrive(void **state)
{
    (void)state;
    with_both(notices);
}

static void threads_wait(struct fixture *f)
{
    assert_int_equal(fixture_submit(f, 0, "watch", 0, 60000), 0);
    wait_said(f, 0, "watching");
    flo_executor_cancel(f->executor, 0, FLO_JOB_CANCEL_REQUESTED);
    fixture_wait(f, 1);
    assert_string_equal(f->jobs[0].reply, "2 woken, last 20001");
}

/* All threads of a job that wait are woken, and the watcher ends when the job does. */
static void test_told_several_threads_all_wake(void **state)
{
    (void)state;
    with_both(threads_wait);
}

static void notes_in_order(struct fixture *f)
{
    char expected[512] = "";

    for (int i = 0; i < 50; i++)
        snprintf(expected + strlen(expected), 8, "%d,", i);
    assert_int_equal(fixture_submit(f, 0, "notes", 0, 0), 0);
    fixture_wait(f, 1);
    assert_string_equal(notes.text, expected);
    assert_true(notes.before_done);
}

/* No note replaces another; they come in order, and before the answer. */
static void test_note_many_all_arrive_in_order(void **state)
{
    (void)state;
    with_both(notes_in_order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_told_notices_and_graver_reasons_arrive),
        cmocka_unit_test(test_told_several_threads_all_wake),
        cmocka_unit_test(test_note_many_all_arrive_in_order),
    };

    return cmocka_run_group_tests_name("executor/told", tests, NULL, NULL);
}
