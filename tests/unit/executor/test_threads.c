/* SPDX-License-Identifier: Apache-2.0 */
/* test_threads.c - executor/threads.c: jobs on fixed threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "executor_fixture.h"

static struct fixture *started(unsigned workers)
{
    struct fixture *f = malloc(sizeof *f);

    fixture_init(f, workers);
    fixture_threads(f);
    return f;
}

static void ended(struct fixture *f)
{
    fixture_fini(f);
    free(f);
}

/* A job's reply comes back under its id, once. */
static void test_submit_job_replies(void **state)
{
    struct fixture *f = started(2);

    (void)state;
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(fixture_submit(f, i, "echo:hello", 0, 0), 0);
    fixture_wait(f, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(f->jobs[i].ended, 1);
        assert_int_equal(f->jobs[i].result.end, FLO_JOB_DONE);
        assert_string_equal(f->jobs[i].reply, "hello");
    }
    assert_int_equal(flo_executor_running(f->executor), 0);
    ended(f);
}

/* One job a thread runs and one a thread waits; the next is refused at once. */
static void test_submit_full_queue_refuses(void **state)
{
    struct fixture *f = started(1);

    (void)state;
    assert_int_equal(fixture_submit(f, 0, "hold", 0, 0), 0);
    assert_int_equal(fixture_submit(f, 1, "echo:second", 0, 0), 0);
    assert_int_equal(fixture_submit(f, 2, "echo:third", 0, 0), FLO_EFULL);
    flo_executor_cancel(f->executor, 0, FLO_JOB_CANCEL_REQUESTED);
    fixture_wait(f, 2);
    assert_string_equal(f->jobs[0].reply, "told 1");
    assert_string_equal(f->jobs[1].reply, "second");
    assert_int_equal(f->jobs[2].ended, 0);
    ended(f);
}

/* A job whose time is up is told so, and its thread is free again when it returns. */
static void test_deadline_tells_the_job(void **state)
{
    struct fixture *f = started(1);

    (void)state;
    assert_int_equal(fixture_submit(f, 0, "hold", 50, 50), 0);
    fixture_wait(f, 1);
    assert_string_equal(f->jobs[0].reply, "told 2");
    assert_int_equal(fixture_submit(f, 1, "echo:next", 0, 0), 0);
    fixture_wait(f, 2);
    ended(f);
}

/* A cancel that comes while the job waits in the queue reaches it when it starts. */
static void test_cancel_waiting_job_is_remembered(void **state)
{
    struct fixture *f = started(1);

    (void)state;
    assert_int_equal(fixture_submit(f, 0, "hold", 0, 0), 0);
    assert_int_equal(fixture_submit(f, 1, "hold", 0, 0), 0);
    flo_executor_cancel(f->executor, 1, FLO_JOB_CANCEL_NOT_FOUND);
    flo_executor_cancel(f->executor, 0, FLO_JOB_CANCEL_REQUESTED);
    fixture_wait(f, 2);
    assert_string_equal(f->jobs[1].reply, "told 3");
    ended(f);
}

/* Of many progress messages the newest arrives, with few wake-ups. */
static void test_progress_newest_wins(void **state)
{
    struct fixture *f = started(1);

    (void)state;
    assert_int_equal(fixture_submit(f, 0, "chatty", 0, 0), 0);
    fixture_wait(f, 1);
    assert_string_equal(f->jobs[0].progress, "p5000");
    assert_true(f->jobs[0].progress_count >= 1);
    ended(f);
}

/* A reply past its bound counts as a crash, not as a cut reply. */
static void test_reply_too_long_counts_as_crash(void **state)
{
    struct fixture *f = started(1);

    (void)state;
    assert_int_equal(fixture_submit(f, 0, "big", 0, 0), 0);
    fixture_wait(f, 1);
    assert_int_equal(f->jobs[0].result.end, FLO_JOB_CRASHED);
    ended(f);
}

/* Destroy tells a running job to stop and joins its thread. */
static void test_destroy_running_job_is_told(void **state)
{
    struct fixture *f = started(2);

    (void)state;
    assert_int_equal(fixture_submit(f, 0, "hold", 0, 0), 0);
    fixture_wait_progress(f, 0);
    ended(f);
}

/* Many jobs through few threads: each ends exactly once. */
static void test_submit_many_jobs_each_ends_once(void **state)
{
    struct fixture *f = started(4);
    char order[32];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(order, sizeof order, "echo:%d", i);
        while (fixture_submit(f, (uint64_t)i, order, 1000, 0) == FLO_EFULL)
            fixture_wait(f, f->done + 1);
    }
    fixture_wait(f, 1000);
    for (int i = 0; i < 1000; i++) {
        snprintf(order, sizeof order, "%d", i);
        assert_int_equal(f->jobs[i].ended, 1);
        assert_string_equal(f->jobs[i].reply, order);
    }
    ended(f);
}

/* Without memory a job is refused, and nothing of it is left; handing over needs none. */
static void test_submit_without_memory_refuses(void **state)
{
    struct fixture *f = started(1);

    (void)state;
    flo_alloc_fail_after(0, 0);
    assert_int_equal(fixture_submit(f, 0, "echo:lost", 1000, 0), FLO_ENOMEM);
    flo_alloc_fail_after(-1, 0);
    assert_int_equal(flo_executor_running(f->executor), 0);
    assert_int_equal(fixture_submit(f, 1, "echo:next", 0, 0), 0);
    fixture_wait(f, 1);
    assert_int_equal(f->jobs[0].ended, 0);
    assert_string_equal(f->jobs[1].reply, "next");
    ended(f);
}

/* A burst of jobs that wait runs on all threads at once, although each wakes the next. */
static void test_submit_burst_of_waiting_jobs_runs_at_once(void **state)
{
    enum { JOBS = 16 };
    struct fixture *f = started(JOBS);

    (void)state;
    for (uint64_t i = 0; i < JOBS; i++)
        assert_int_equal(fixture_submit(f, i, "hold", 0, 0), 0);
    for (uint64_t i = 0; i < JOBS; i++)
        fixture_wait_progress(f, i); /* each holds, none has been let go */
    assert_int_equal(f->done, 0);
    for (uint64_t i = 0; i < JOBS; i++)
        flo_executor_cancel(f->executor, i, FLO_JOB_CANCEL_REQUESTED);
    fixture_wait(f, JOBS);
    ended(f);
}

/* A job that sends progress without end does not keep another's answer from the loop. */
static void test_progress_without_end_lets_others_through(void **state)
{
    struct fixture *f = started(2);

    (void)state;
    assert_int_equal(fixture_submit(f, 0, "babble", 0, 0), 0);
    fixture_wait_progress(f, 0);
    for (uint64_t i = 1; i <= 20; i++) {
        assert_int_equal(fixture_submit(f, i, "echo:heard", 0, 0), 0);
        while (!f->jobs[i].ended)
            fixture_wait(f, f->done + 1);
    }
    flo_executor_cancel(f->executor, 0, FLO_JOB_CANCEL_REQUESTED);
    while (!f->jobs[0].ended)
        fixture_wait(f, f->done + 1);
    assert_int_equal(f->done, 21);
    ended(f);
}

static int64_t cpu_ns(const struct flo_job_result *result)
{
    return result->usage.user_ns + result->usage.system_ns;
}

/* The CPU time of a job is its own, not its thread's. */
static void test_cpu_time_is_of_the_job(void **state)
{
    struct fixture *f = started(1);

    (void)state;
    assert_int_equal(fixture_submit(f, 0, "work", 0, 0), 0);
    assert_int_equal(fixture_submit(f, 1, "echo:little", 0, 0), 0);
    fixture_wait(f, 2);
    assert_true(cpu_ns(&f->jobs[0].result) >= 50 * FLO_NS_PER_MS);
    assert_true(cpu_ns(&f->jobs[1].result) > 0);
    assert_true(cpu_ns(&f->jobs[1].result) < 50 * FLO_NS_PER_MS);
    ended(f);
}

/* Jobs that still wait for a thread when the pool is destroyed get no callback. */
static void test_destroy_drops_waiting_jobs(void **state)
{
    struct fixture *f = started(2);

    (void)state;
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(fixture_submit(f, i, "hold", 0, 0), 0);
    fixture_wait_progress(f, 0);
    assert_int_equal(flo_executor_destroy(&f->executor, 10000), 0);
    assert_int_equal(f->done, 0);
    ended(f);
}

static int broken_start(void *ctx, struct flo_err *err)
{
    (void)ctx;
    return flo_fail(err, FLO_ECONN, "the database is away");
}

/* A thread that cannot start makes the executor fail with its sentence. */
static void test_new_failing_start_says_why(void **state)
{
    struct fixture *f = malloc(sizeof *f);
    struct flo_err err = {0};

    (void)state;
    fixture_init(f, 3);
    f->options.worker_start = broken_start;
    f->base = event_base_new();
    assert_int_equal(flo_executor_threads_new(f->base, &f->options, &f->executor, &err), FLO_ECONN);
    assert_string_equal(err.message, "the database is away");
    ended(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_submit_job_replies),
        cmocka_unit_test(test_submit_full_queue_refuses),
        cmocka_unit_test(test_deadline_tells_the_job),
        cmocka_unit_test(test_cancel_waiting_job_is_remembered),
        cmocka_unit_test(test_progress_newest_wins),
        cmocka_unit_test(test_reply_too_long_counts_as_crash),
        cmocka_unit_test(test_destroy_running_job_is_told),
        cmocka_unit_test(test_submit_many_jobs_each_ends_once),
        cmocka_unit_test(test_submit_without_memory_refuses),
        cmocka_unit_test(test_submit_burst_of_waiting_jobs_runs_at_once),
        cmocka_unit_test(test_progress_without_end_lets_others_through),
        cmocka_unit_test(test_cpu_time_is_of_the_job),
        cmocka_unit_test(test_destroy_drops_waiting_jobs),
        cmocka_unit_test(test_new_failing_start_says_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
