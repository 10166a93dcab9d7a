/* SPDX-License-Identifier: Apache-2.0 */
/* test_cores.c - executor/cores.c: which cores executors are bound to, and how many fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "executor/cores.h"
#include "flotilla/error.h"
#include "support/tree.h"

/* The order for a list of usable CPUs, where core_of names the core of each, as text. */
static const char *order(const char *usable, const uint16_t *core_of, struct flo_cores *cores)
{
    static char text[128];
    uint16_t own[CPU_SETSIZE];
    cpu_set_t mask;
    size_t len = 0;

    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
        own[cpu] = core_of && cpu < 16 ? core_of[cpu] : (uint16_t)cpu;
    assert_int_equal(flo_cores_parse(usable, &mask), 0);
    memset(cores, 0, sizeof *cores);
    flo_cores_order(&mask, own, cores);
    text[0] = '\0';
    for (unsigned i = 0; i < cores->count; i++)
        len +=
            (size_t)snprintf(text + len, sizeof text - len, "%s%d", i ? " " : "", cores->order[i]);
    return text;
}

/* Without hardware threads: as they are numbered, holes left out. */
static void test_order_plain_cores(void **state)
{
    struct flo_cores cores;

    (void)state;
    assert_string_equal(order("0-3", NULL, &cores), "0 1 2 3");
    assert_int_equal(cores.physical, 4);
    assert_string_equal(order("1,3,7-8", NULL, &cores), "1 3 7 8");
    assert_string_equal(order("", NULL, &cores), "");
    assert_int_equal(flo_cores_fit(&cores), 1);
}

/* Both ways of numbering hardware threads: each core once, then again. */
static void test_order_one_thread_a_core_first(void **state)
{
    static const uint16_t halves[16] = {0, 1, 2, 3, 0, 1, 2, 3}; /* 0 and 4, 1 and 5, ... */
    static const uint16_t pairs[16] = {0, 0, 2, 2, 4, 4, 6, 6};  /* 0 and 1, 2 and 3, ... */
    static const uint16_t four[16] = {0, 0, 0, 0, 4, 4, 4, 4};
    struct flo_cores cores;

    (void)state;
    assert_string_equal(order("0-7", halves, &cores), "0 1 2 3 4 5 6 7");
    assert_int_equal(cores.physical, 4);
    assert_string_equal(order("0-7", pairs, &cores), "0 2 4 6 1 3 5 7");
    assert_int_equal(cores.physical, 4);
    assert_string_equal(order("0-7", four, &cores), "0 4 1 5 2 6 3 7");
    assert_int_equal(cores.physical, 2);
}

/* A cpuset that leaves only some threads of some cores. */
static void test_order_part_of_the_threads(void **state)
{
    static const uint16_t pairs[16] = {0, 0, 2, 2, 4, 4, 6, 6};
    struct flo_cores cores;

    (void)state;
    assert_string_equal(order("1-4,7", pairs, &cores), "1 2 4 7 3");
    assert_int_equal(cores.physical, 4);
    assert_string_equal(order("2-3", pairs, &cores), "2 3");
    assert_int_equal(cores.physical, 1);
}

/* Lists that the kernel does not write are refused. */
static void test_parse_refuses_what_is_no_list(void **state)
{
    static const char *const bad[] = {"a", "1-", "3-1", "1;2", "-1", "99999", "1,,2", "0-1x"};
    cpu_set_t mask;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (flo_cores_parse(bad[i], &mask) != FLO_EINVAL)
            fail_msg("%s was taken", bad[i]);
    assert_int_equal(flo_cores_parse("0-1,5\n", &mask), 0);
    assert_int_equal(CPU_COUNT(&mask), 3);
}

/* A quota smaller than the cores decides, but one executor there is. */
static void test_fit_obeys_the_quota(void **state)
{
    struct flo_cores cores = {.count = 8};

    (void)state;
    assert_int_equal(flo_cores_fit(&cores), 8);
    cores.quota_milli = 2500;
    assert_int_equal(flo_cores_fit(&cores), 2);
    cores.quota_milli = 300;
    assert_int_equal(flo_cores_fit(&cores), 1);
    cores.quota_milli = 20000;
    assert_int_equal(flo_cores_fit(&cores), 8);
}

/* ---- reading: a tree of files in place of /sys and /proc ---- */

static char root[TREE_ROOT_SIZE];

static void put(const char *name, const char *text)
{
    tree_put(root, name, "%s", text);
}

static int make_root(void **state)
{
    (void)state;
    return tree_make(root);
}

static int remove_root(void **state)
{
    (void)state;
    return tree_remove(root);
}

/* The least quota of the group and its ancestors counts. */
static void test_read_quota_v2(void **state)
{
    struct flo_cores cores;

    (void)state;
    put("/proc/self/cgroup", "0::/pod/box\n");
    put("/proc/self/mountinfo", "26 25 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    put("/sys/fs/cgroup/pod/box/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/pod/cpu.max", "150000 100000\n");
    flo_cores_read(root, &cores);
    assert_int_equal(cores.quota_milli, 1500);
    assert_true(cores.count >= 1);
    put("/sys/fs/cgroup/pod/box/cpu.max", "50000 100000\n");
    flo_cores_read(root, &cores);
    assert_int_equal(cores.quota_milli, 500);
    assert_int_equal(flo_cores_fit(&cores), 1);
}

/* v1, seen from inside a container: the path is the host's, the files are at the top. */
static void test_read_quota_v1(void **state)
{
    struct flo_cores cores;

    (void)state;
    put("/proc/self/cgroup", "5:cpuset:/docker/x\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/y\n");
    put("/proc/self/mountinfo",
        "33 25 0:29 /docker/x /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    flo_cores_read(root, &cores);
    assert_int_equal(cores.quota_milli, 2500);
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    flo_cores_read(root, &cores);
    assert_int_equal(cores.quota_milli, 0);
}

/* Nothing there to read: no quota, each CPU a core. */
static void test_read_nothing(void **state)
{
    struct flo_cores cores;
    cpu_set_t mask;

    (void)state;
    flo_cores_read(root, &cores);
    assert_int_equal(sched_getaffinity(0, sizeof mask, &mask), 0);
    assert_int_equal(cores.count, CPU_COUNT(&mask));
    assert_int_equal(cores.physical, cores.count);
    assert_int_equal(cores.quota_milli, 0);
}

/* The topology decides the order: here all CPUs are threads of one core. */
static void test_read_topology(void **state)
{
    struct flo_cores cores;
    char path[96];

    (void)state;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
                 cpu);
        put(path, "0-1023\n");
    }
    flo_cores_read(root, &cores);
    assert_int_equal(cores.physical, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_plain_cores),
        cmocka_unit_test(test_order_one_thread_a_core_first),
        cmocka_unit_test(test_order_part_of_the_threads),
        cmocka_unit_test(test_parse_refuses_what_is_no_list),
        cmocka_unit_test(test_fit_obeys_the_quota),
        cmocka_unit_test_setup_teardown(test_read_quota_v2, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_read_quota_v1, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_read_nothing, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_read_topology, make_root, remove_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
