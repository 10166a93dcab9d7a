/* SPDX-License-Identifier: Apache-2.0 */
/* test_advice.c - cli/advice.c: requests and limits from loads. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "cli/advice.h"

#define MIB 1048576.0

/* Activities that wait: what five busy slots use and a fifth more, no CPU limit, memory with room.
 */
static void test_io_role_gets_no_cpu_limit(void **state)
{
    const struct cli_role_load load = {.role = "io-activity",
                                       .processes = 2,
                                       .slots = 5,
                                       .up_seconds = 100,
                                       .tasks = 1000,
                                       .task_seconds = 250,
                                       .cpu_seconds = 5,
                                       .peak_bytes = 40 * MIB};
    struct cli_advice advice;

    (void)state;
    cli_advise(&load, &advice);
    assert_true(advice.enough);
    assert_int_equal(advice.cpu_milli, 120); /* 0.02 cores a slot */
    assert_int_equal(advice.cpu_max_milli, 0);
    assert_int_equal(advice.memory_mib, 56);     /* 50, in steps of 8 */
    assert_int_equal(advice.memory_max_mib, 88); /* 32 above it; twice the peak is 80 */
    assert_float_equal(advice.busy, 0.5, 1e-9);
    assert_non_null(strstr(advice.cpu_reason, "1000 tasks"));
    assert_non_null(strstr(advice.cpu_reason, "5 slots"));
}

/* Tasks of a moment: their slots are never all busy, since the worker's one thread fetches them. */
static void test_io_role_of_short_tasks_counts_its_loop_once(void **state)
{
    const struct cli_role_load load = {.role = "io-activity",
                                       .slots = 5,
                                       .up_seconds = 100,
                                       .tasks = 2000,
                                       .task_seconds = 0.3,
                                       .cpu_seconds = 0.25,
                                       .tasks_cpu_seconds = 0.03,
                                       .peak_bytes = 10 * MIB};
    struct cli_advice advice;

    (void)state;
    cli_advise(&load, &advice);
    assert_int_equal(advice.cpu_milli,
                     1600); /* a core, and half a core of tasks and a fifth more */
}

/* Activities that compute: whole cores and an executor's peak for each slot, limits as requests. */
static void test_cpu_role_gets_whole_cores(void **state)
{
    const struct cli_role_load load = {.role = "cpu-activity",
                                       .processes = 1,
                                       .slots = 2,
                                       .up_seconds = 60,
                                       .tasks = 100,
                                       .task_seconds = 100,
                                       .cpu_seconds = 101,
                                       .peak_bytes = 4 * MIB,
                                       .executor_peak_bytes = 70 * MIB};
    struct cli_advice advice;

    (void)state;
    cli_advise(&load, &advice);
    assert_true(advice.enough);
    assert_int_equal(advice.cpu_milli, 2000);
    assert_int_equal(advice.cpu_max_milli, 2000);
    assert_int_equal(advice.memory_mib, 184); /* (4 + 2 * 70) * 1.25 = 180 */
    assert_int_equal(advice.memory_max_mib, 184);
}

/* So they do on a machine whose cores are shared, where tasks that compute wait as well; a word is
 * said of it. */
static void test_cpu_role_that_waits_gets_its_cores(void **state)
{
    const struct cli_role_load load = {.role = "cpu-activity",
                                       .slots = 8,
                                       .tasks = 100,
                                       .task_seconds = 100,
                                       .cpu_seconds = 30,
                                       .peak_bytes = 4 * MIB};
    struct cli_advice advice;

    (void)state;
    cli_advise(&load, &advice);
    assert_int_equal(advice.cpu_milli, 8000);
    assert_int_equal(advice.cpu_max_milli, 8000);
    assert_non_null(strstr(advice.cpu_reason, "IO tasks?"));
}

/* Workflows run on one thread: never more than a core, never less than the least. */
static void test_workflow_role_needs_a_core_at_most(void **state)
{
    struct cli_role_load load = {.role = "workflow",
                                 .slots = 100,
                                 .tasks = 100000,
                                 .task_seconds = 10,
                                 .cpu_seconds = 9,
                                 .peak_bytes = 2 * MIB};
    struct cli_advice advice;

    (void)state;
    cli_advise(&load, &advice);
    assert_int_equal(advice.cpu_milli, 1000);
    assert_int_equal(advice.memory_mib, 16);
    assert_int_equal(advice.memory_max_mib, 48);
    load.slots = 1;
    load.task_seconds = 1000;
    cli_advise(&load, &advice);
    assert_int_equal(advice.cpu_milli, 20);
}

/* Too little is said to be too little, whatever it is that lacks. */
static void test_too_little_data_is_said(void **state)
{
    const struct cli_role_load enough = {.role = "workflow",
                                         .slots = 3,
                                         .tasks = 30,
                                         .task_seconds = 1,
                                         .cpu_seconds = 0.1,
                                         .peak_bytes = MIB};
    struct cli_role_load load = enough;
    struct cli_advice advice;

    (void)state;
    cli_advise(&load, &advice);
    assert_true(advice.enough);
    load.tasks = 29;
    cli_advise(&load, &advice);
    assert_false(advice.enough);
    assert_non_null(strstr(advice.missing, "29 tasks"));
    assert_int_equal(advice.cpu_milli, 0);
    load = enough;
    load.cpu_seconds = 0.05;
    cli_advise(&load, &advice);
    assert_false(advice.enough);
    load = enough;
    load.peak_bytes = 0;
    cli_advise(&load, &advice);
    assert_false(advice.enough);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_io_role_gets_no_cpu_limit),
        cmocka_unit_test(test_io_role_of_short_tasks_counts_its_loop_once),
        cmocka_unit_test(test_cpu_role_gets_whole_cores),
        cmocka_unit_test(test_cpu_role_that_waits_gets_its_cores),
        cmocka_unit_test(test_workflow_role_needs_a_core_at_most),
        cmocka_unit_test(test_too_little_data_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
