/* SPDX-License-Identifier: Apache-2.0 */
/* test_usage.c - executor/usage.c: readings of the kernel's counters as what one job used. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "executor/usage.h"

/* Two readings give the difference, in our units; the peak is the later one's. */
static void test_between_subtracts(void **state)
{
    const struct rusage before = {.ru_utime = {.tv_sec = 1, .tv_usec = 900000},
                                  .ru_stime = {.tv_usec = 5},
                                  .ru_maxrss = 900,
                                  .ru_inblock = 10,
                                  .ru_oublock = 20,
                                  .ru_nvcsw = 100,
                                  .ru_nivcsw = 7};
    const struct rusage now = {.ru_utime = {.tv_sec = 2, .tv_usec = 100000},
                               .ru_stime = {.tv_usec = 8},
                               .ru_maxrss = 1000,
                               .ru_inblock = 12,
                               .ru_oublock = 28,
                               .ru_nvcsw = 105,
                               .ru_nivcsw = 9};
    struct flo_job_usage used;

    (void)state;
    flo_usage_between(&before, &now, 1, &used);
    assert_int_equal(used.user_ns, 200 * FLO_NS_PER_MS);
    assert_int_equal(used.system_ns, 3000);
    assert_int_equal(used.max_rss_bytes, 1000 * 1024);
    assert_int_equal(used.read_bytes, 1024);
    assert_int_equal(used.written_bytes, 4096);
    assert_int_equal(used.voluntary_switches, 4);
    assert_int_equal(used.involuntary_switches, 2);
}

/* Sleeps for the job itself never make the number of its own negative. */
static void test_between_more_waits_than_switches_is_none(void **state)
{
    const struct rusage before = {.ru_nvcsw = 100}, now = {.ru_nvcsw = 101};
    struct flo_job_usage used;

    (void)state;
    flo_usage_between(&before, &now, 3, &used);
    assert_int_equal(used.voluntary_switches, 0);
}

static void compute(int64_t cpu_ns)
{
    struct timespec now;
    volatile unsigned work = 0;
    int64_t until;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    until = now.tv_sec * FLO_NS_PER_S + now.tv_nsec + cpu_ns;
    do {
        for (int i = 0; i < 1000; i++)
            work += (unsigned)i;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    } while (now.tv_sec * FLO_NS_PER_S + now.tv_nsec < until);
}

static void *measure_in_thread(void *arg)
{
    struct flo_job_usage *used = arg;
    const struct timespec pause = {.tv_nsec = 1};
    struct flo_usage_meter meter;

    flo_usage_begin(&meter, FLO_USAGE_THREAD);
    flo_usage_job(&meter, false);
    compute(3 * FLO_NS_PER_MS);
    flo_usage_take(&meter, &used[0]);
    flo_usage_job(&meter, false);
    for (int i = 0; i < 3; i++)
        nanosleep(&pause, NULL);
    flo_usage_take(&meter, &used[1]);
    return NULL;
}

/* A thread's jobs are told apart to less than a tick of the clock, and sleeping is counted. */
static void test_take_thread_jobs_are_told_apart(void **state)
{
    struct flo_job_usage used[2];
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, measure_in_thread, used), 0);
    pthread_join(thread, NULL);
    assert_true(used[0].user_ns + used[0].system_ns >= 3 * FLO_NS_PER_MS);
    assert_int_equal(used[0].max_rss_bytes, 0);
    assert_true(used[1].user_ns + used[1].system_ns < 3 * FLO_NS_PER_MS);
    assert_true(used[1].voluntary_switches >= 3);
}

/* A job that needed much memory does not make the next one look as if it did. */
static void test_take_process_peak_is_of_the_job(void **state)
{
    const size_t size = 48u << 20;
    struct flo_job_usage big, little;
    struct flo_usage_meter meter;
    char *memory;

    (void)state;
    flo_usage_begin(&meter, FLO_USAGE_PROCESS);
    flo_usage_job(&meter, false);
    memory = malloc(size);
    assert_non_null(memory);
    memset(memory, 1, size);
    assert_int_equal(memory[size / 2], 1);
    free(memory);
    flo_usage_take(&meter, &big);
    flo_usage_job(&meter, false);
    compute(FLO_NS_PER_MS);
    flo_usage_take(&meter, &little);
    assert_true(big.max_rss_bytes >= size);
    assert_true(little.user_ns + little.system_ns > 0);
    assert_true(little.max_rss_bytes > 0);
#ifndef __SANITIZE_ADDRESS__ /* keeps what is freed for a while */
    assert_true(little.max_rss_bytes + size / 2 < big.max_rss_bytes);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_between_subtracts),
        cmocka_unit_test(test_between_more_waits_than_switches_is_none),
        cmocka_unit_test(test_take_thread_jobs_are_told_apart),
        cmocka_unit_test(test_take_process_peak_is_of_the_job),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
