/* SPDX-License-Identifier: Apache-2.0 */
/* test_recycling.c - executor/wear.c and process.c: processes that jobs have worn out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/clock.h"
#include "executor_fixture.h"

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED true /* memory has its own ways then */
#else
#define SANITIZED false
#endif

#define MIB (INT64_C(1) << 20)

static struct fixture *prepared(unsigned workers)
{
    struct fixture *f = malloc(sizeof *f);

    fixture_init(f, workers);
    return f;
}

static void ended(struct fixture *f)
{
    fixture_fini(f);
    free(f);
}

static void run(struct fixture *f, uint64_t job, const char *order)
{
    assert_int_equal(fixture_submit(f, job, order, 0, 0), 0);
    fixture_wait(f, f->done + 1);
}

/* `count` bad jobs, each with a good one before it; all of them end well. */
static void run_pairs(struct fixture *f, int count, const char *bad)
{
    for (int i = 0; i < count; i++) {
        uint64_t job = 2 * (uint64_t)i;
        assert_int_equal(fixture_submit(f, job, "echo:fine", 0, 0), 0);
        assert_int_equal(fixture_submit(f, job + 1, bad, 0, 0), 0);
        fixture_wait(f, f->done + 2);
        assert_int_equal(f->jobs[job].result.end, FLO_JOB_DONE);
        assert_string_equal(f->jobs[job].reply, "fine");
        assert_int_equal(f->jobs[job + 1].result.end, FLO_JOB_DONE);
    }
}

static int *stops; /* shared with the processes */

static void count_stops(void)
{
    stops = mmap(NULL, sizeof *stops, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(stops, MAP_FAILED);
}

static void count_stop(void *ctx)
{
    (void)ctx;
    __atomic_add_fetch(stops, 1, __ATOMIC_SEQ_CST);
}

/* After max_jobs the process stops its modules and another goes on; the job that was the last one
 * has its reply, and the one that waited runs. */
static void test_max_jobs_replaces_the_process_in_order(void **state)
{
    struct fixture *f = prepared(1);
    char first[256];

    (void)state;
    count_stops();
    f->options.recycling.max_jobs = 3;
    f->options.worker_stop = count_stop;
    fixture_processes(f, false);
    run(f, 0, "pid");
    run(f, 1, "pid");
    assert_int_equal(f->recycled, 0);
    assert_int_equal(fixture_submit(f, 2, "pid", 0, 0), 0);
    assert_int_equal(fixture_submit(f, 3, "pid", 0, 0), 0);
    fixture_wait(f, 4);
    memcpy(first, f->jobs[0].reply, sizeof first);
    assert_string_equal(f->jobs[1].reply, first);
    assert_string_equal(f->jobs[2].reply, first);
    assert_string_not_equal(f->jobs[3].reply, first);
    assert_int_equal(f->jobs[3].result.end, FLO_JOB_DONE);
    assert_int_equal(f->recycled, 1);
    assert_int_equal(f->last_recycled.job, 2);
    assert_int_equal(f->last_recycled.reason, FLO_RECYCLE_JOBS);
    assert_int_equal(f->last_recycled.amount, 3);
    assert_int_equal(__atomic_load_n(stops, __ATOMIC_SEQ_CST), 1);
    ended(f);
    munmap(stops, sizeof *stops);
}

/* Jobs that leak memory under a limit, each job far from it alone: none ever meets the limit. */
static void test_leak_under_a_limit_fails_no_job(void **state)
{
    struct fixture *f = prepared(2);

    (void)state;
    f->options.limits.memory_bytes = 48 * MIB;
    fixture_processes(f, false);
    run_pairs(f, SANITIZED ? 20 : 500, "leak");
    if (!SANITIZED) {
        assert_true(f->recycled >= 10);
        assert_int_equal(f->last_recycled.reason, FLO_RECYCLE_MEMORY);
        assert_true(f->last_recycled.amount > 24 * MIB && f->last_recycled.amount < 48 * MIB);
    }
    ended(f);
}

/* Memory that is taken and never touched counts for the limit as well. */
static void test_untouched_leak_under_a_limit_fails_no_job(void **state)
{
    struct fixture *f;

    (void)state;
    if (SANITIZED)
        skip();
    f = prepared(1);
    f->options.limits.memory_bytes = 48 * MIB;
    fixture_processes(f, false);
    for (int i = 0; i < 600; i++) {
        run(f, (uint64_t)i, "untouched");
        assert_int_equal(f->jobs[i].result.end, FLO_JOB_DONE);
    }
    assert_true(f->recycled >= 20);
    assert_int_equal(f->last_recycled.reason, FLO_RECYCLE_MEMORY);
    ended(f);
}

/* Without a limit, growth is bounded. */
static void test_leak_without_a_limit_is_bounded(void **state)
{
    struct fixture *f = prepared(1);

    (void)state;
    f->options.recycling.max_growth_bytes = 16 * MIB;
    fixture_processes(f, false);
    for (int i = 0; i < 100; i++)
        run(f, (uint64_t)i, "leak");
    assert_true(f->recycled >= 4);
    assert_int_equal(f->last_recycled.reason, FLO_RECYCLE_MEMORY);
    ended(f);
}

/* What a job uses and gives back, however often, replaces nothing; nor does work. */
static void test_peaks_and_ordinary_jobs_replace_nothing(void **state)
{
    struct fixture *f;

    (void)state;
    if (SANITIZED)
        skip();
    f = prepared(1);
    f->options.limits.memory_bytes = 64 * MIB;
    f->options.limits.open_files = 64;
    f->options.recycling.max_growth_bytes = 16 * MIB;
    fixture_processes(f, false);
    for (int i = 0; i < 300; i++) {
        run(f, 2 * (uint64_t)i, i % 10 ? "echo:x" : "spike");
        run(f, 2 * (uint64_t)i + 1, i % 2 ? "fds" : "children");
    }
    assert_int_equal(f->recycled, 0);
    ended(f);
}

/* Leaked descriptors: the process goes before its limit is met. */
static void test_leaked_descriptors_replace_the_process(void **state)
{
    struct fixture *f = prepared(2);

    (void)state;
    f->options.limits.open_files = 64;
    fixture_processes(f, false);
    run_pairs(f, 500, "leak-fd");
    assert_true(f->recycled >= 8);
    assert_int_equal(f->last_recycled.reason, FLO_RECYCLE_DESCRIPTORS);
    assert_true(f->last_recycled.amount > 30 && f->last_recycled.amount < 60);
    ended(f);
}

/* The first process hangs as it stops. */
static void hang_once(void *ctx)
{
    (void)ctx;
    while (__atomic_add_fetch(stops, 1, __ATOMIC_SEQ_CST) == 1)
        nanosleep(&(struct timespec){.tv_sec = 60}, NULL);
}

/* A process that leaves and is killed at that is no crash, and is replaced. */
static void test_process_that_does_not_leave_is_killed(void **state)
{
    struct fixture *f = prepared(1);

    (void)state;
    count_stops();
    f->options.recycling.max_jobs = 1;
    f->options.worker_stop = hang_once;
    fixture_processes(f, false);
    run(f, 0, "pid");
    run(f, 1, "pid"); /* in the next one, when the patience with the first is over */
    assert_int_equal(f->jobs[1].result.end, FLO_JOB_DONE);
    assert_string_not_equal(f->jobs[0].reply, f->jobs[1].reply);
    assert_int_equal(f->recycled, 2);
    ended(f);
    munmap(stops, sizeof *stops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_max_jobs_replaces_the_process_in_order),
        cmocka_unit_test(test_leak_under_a_limit_fails_no_job),
        cmocka_unit_test(test_untouched_leak_under_a_limit_fails_no_job),
        cmocka_unit_test(test_leak_without_a_limit_is_bounded),
        cmocka_unit_test(test_peaks_and_ordinary_jobs_replace_nothing),
        cmocka_unit_test(test_leaked_descriptors_replace_the_process),
        cmocka_unit_test(test_process_that_does_not_leave_is_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
