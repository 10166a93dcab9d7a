/* SPDX-License-Identifier: Apache-2.0 */
/* test_procfs.c - base/procfs.c: the kernel's texts as they are, cut off, and broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/procfs.h"
#include "base/random.h"

static const char MEMORY_STAT[] = "anon 1048576\nfile 99999999\nkernel 4096\nshmem 8\n"
                                  "anon_thp 5\nslab_reclaimable 12\n";
static const char MEMINFO[] = "MemTotal:       24684084 kB\nMemFree:        22052616 kB\n"
                              "MemAvailable:   24041000 kB\nSwapTotal:             0 kB\n";
static const char PRESSURE[] = "some avg10=11.60 avg60=3.18 avg300=3.49 total=7015177686\n"
                               "full avg10=1.00 avg60=0.00 avg300=0.00 total=0\n";
static const char STAT[] = "cpu  30 1 6 100 9 0 3 2 7 0\ncpu0 10 1 2 50 4 0 1 1 7 0\n"
                           "cpu1 20 0 4 50 5 0 2 1 0 0\nintr 99 1 2 3\nctxt 5\n";
static const char CGROUP[] = "9:name=systemd:/sys\n4:memory:/box/a b\n3:cpu,cpuacct:/c\n0::/v2\n";
static const char MOUNTINFO[] =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 /box /sys/fs/cgroup/my\\040memory rw,relatime shared:9 master:3 - cgroup cgroup "
    "rw,memory\n"
    "33 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n";
static const char STATUS[] = "Name:\tworker\nCpus_allowed:\t3\nCpus_allowed_list:\t1,4-6\n";

/* A field is found by its whole name, at the beginning of a line. */
static void test_field(void **state)
{
    uint64_t value = 7;

    (void)state;
    assert_true(flo_parse_field(MEMORY_STAT, "anon", &value));
    assert_int_equal(value, 1048576);
    assert_true(flo_parse_field(MEMORY_STAT, "slab_reclaimable", &value));
    assert_int_equal(value, 12);
    assert_true(flo_parse_field(MEMINFO, "MemAvailable", &value));
    assert_int_equal(value, 24041000);
    value = 7;
    assert_false(flo_parse_field(MEMORY_STAT, "ano", &value));
    assert_false(flo_parse_field(MEMORY_STAT, "reclaimable", &value));
    assert_false(flo_parse_field("anon\n", "anon", &value));
    assert_false(flo_parse_field("anon x\n", "anon", &value));
    assert_false(flo_parse_field("anon -4\n", "anon", &value));
    assert_false(flo_parse_field("anon 18446744073709551616\n", "anon", &value));
    assert_false(flo_parse_field("", "anon", &value));
    assert_int_equal(value, 7);
    assert_true(flo_parse_field("anon 18446744073709551615", "anon", &value));
    assert_true(value == UINT64_MAX);
}

static void test_number(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } CASES[] = {
        {"0\n", true, 0},      {"4096\n", true, 4096},  {"4096", true, 4096},
        {"max\n", true, ~0ul}, {"-1\n", true, ~0ul},    {"", false, 0},
        {"\n", false, 0},      {"maximum\n", false, 0}, {"-2\n", false, 0},
        {"12 13\n", false, 0}, {"0x10\n", false, 0},    {"99999999999999999999\n", false, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        uint64_t value = 7;
        assert_int_equal(flo_parse_number(CASES[i].text, &value), CASES[i].good);
        assert_true(value == (CASES[i].good ? CASES[i].value : 7));
    }
}

static void test_cpu_max(void **state)
{
    static const char *const BAD[] = {"",       "\n",        "50000\n", "50000 0\n",
                                      "0 1\n",  "x 100000",  "maximal", "50000 x\n",
                                      "-1 100", "50000\t1\n"};
    double cores = 9;

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_false(flo_parse_cpu_max(BAD[i], &cores));
    assert_true(cores == 9);
    assert_true(flo_parse_cpu_max("50000 100000\n", &cores));
    assert_true(cores == 0.5);
    assert_true(flo_parse_cpu_max("max 100000\n", &cores));
    assert_true(cores == 0);
}

static void test_pressure(void **state)
{
    static const char *const BAD[] = {"",
                                      "full avg10=1.00\n",
                                      "some avg60=1.00\n",
                                      "some avg10=\n",
                                      "some avg10=101.00\n",
                                      "some avg10=1.1234567\n"};
    double share = 9;

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_false(flo_parse_pressure(BAD[i], &share));
    assert_true(share == 9);
    assert_true(flo_parse_pressure(PRESSURE, &share));
    assert_true(share > 0.11599 && share < 0.11601);
    assert_true(flo_parse_pressure("some avg10=100.00 avg60=0\n", &share));
    assert_true(share == 1);
    assert_true(flo_parse_pressure("some avg10=2 avg60=0\n", &share));
    assert_true(share == 0.02);
}

/* All CPUs, and only some; stolen time is busy, waiting for I/O is not, guests count once. */
static void test_proc_stat(void **state)
{
    struct flo_cpu_set one = {{2}}, none = {{0}};
    uint64_t busy = 1, total = 1;
    unsigned cpus = 9;

    (void)state;
    assert_true(flo_parse_proc_stat(STAT, NULL, &busy, &total, &cpus));
    assert_int_equal(busy, 42);
    assert_int_equal(total, 151);
    assert_int_equal(cpus, 2);
    assert_true(flo_parse_proc_stat(STAT, &one, &busy, &total, &cpus));
    assert_int_equal(busy, 27);
    assert_int_equal(total, 82);
    assert_int_equal(cpus, 1);
    assert_false(flo_parse_proc_stat(STAT, &none, &busy, &total, &cpus));
    assert_false(flo_parse_proc_stat("", NULL, &busy, &total, &cpus));
    assert_false(flo_parse_proc_stat("cpu  1 2 3 4\nintr 5\n", NULL, &busy, &total, &cpus));
    assert_false(flo_parse_proc_stat("cpu0 1 2 3\n", NULL, &busy, &total, &cpus));
    assert_int_equal(cpus, 1);
}

static void test_cpus_allowed(void **state)
{
    static const char *const BAD[] = {"",
                                      "Cpus_allowed_list:\t\n",
                                      "Cpus_allowed_list:\tx\n",
                                      "Cpus_allowed_list:\t3-1\n",
                                      "Cpus_allowed_list:\t1,\n",
                                      "Cpus_allowed_list:\t1 2\n"};
    struct flo_cpu_set set;

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_false(flo_parse_cpus_allowed(BAD[i], &set));
    assert_true(flo_parse_cpus_allowed(STATUS, &set));
    for (unsigned cpu = 0; cpu < 10; cpu++)
        assert_int_equal(flo_cpu_set_has(&set, cpu), cpu == 1 || (cpu >= 4 && cpu <= 6));
    assert_false(flo_cpu_set_has(&set, 1u << 30));
    assert_true(flo_parse_cpus_allowed("Cpus_allowed_list:\t0-18446744073709551615\n", &set));
    assert_true(flo_cpu_set_has(&set, FLO_PARSE_CPUS - 1));
}

static void test_cgroup_path(void **state)
{
    char path[64] = "before", small[4] = "abc";

    (void)state;
    assert_true(flo_parse_cgroup(CGROUP, "memory", path, sizeof path));
    assert_string_equal(path, "/box/a b");
    assert_true(flo_parse_cgroup(CGROUP, "cpuacct", path, sizeof path));
    assert_string_equal(path, "/c");
    assert_true(flo_parse_cgroup(CGROUP, NULL, path, sizeof path));
    assert_string_equal(path, "/v2");
    assert_false(flo_parse_cgroup(CGROUP, "cpus", path, sizeof path));
    assert_false(flo_parse_cgroup(CGROUP, "memory", small, sizeof small));
    assert_string_equal(small, "abc");
    assert_false(flo_parse_cgroup("0:\nmemory\n:::\n4:memory:relative\n", "memory", path, 64));
    assert_false(flo_parse_cgroup("4:memory:/x\n", NULL, path, sizeof path));
}

static void test_cgroup_mount(void **state)
{
    char root[64], point[64], small[4];

    (void)state;
    assert_true(flo_parse_cgroup_mount(MOUNTINFO, "memory", root, point, sizeof root));
    assert_string_equal(root, "/box");
    assert_string_equal(point, "/sys/fs/cgroup/my memory");
    assert_true(flo_parse_cgroup_mount(MOUNTINFO, "cpuacct", root, point, sizeof root));
    assert_string_equal(point, "/sys/fs/cgroup/cpu");
    assert_true(flo_parse_cgroup_mount(MOUNTINFO, NULL, root, point, sizeof root));
    assert_string_equal(point, "/sys/fs/cgroup/unified");
    assert_false(flo_parse_cgroup_mount(MOUNTINFO, "pids", root, point, sizeof root));
    assert_false(flo_parse_cgroup_mount(MOUNTINFO, NULL, small, point, sizeof small));
    assert_false(flo_parse_cgroup_mount("1 2 3 / /x rw -\n1 2\n - \n-\n", NULL, root, point, 64));
}

/* Everything at once, on text that may be anything. */
static void parse_all(const char *text)
{
    char root[40], point[40];
    struct flo_cpu_set set;
    uint64_t a, b;
    unsigned cpus;
    double share;

    (void)flo_parse_field(text, "anon", &a);
    (void)flo_parse_number(text, &a);
    (void)flo_parse_cpu_max(text, &share);
    if (flo_parse_pressure(text, &share))
        assert_true(share >= 0 && share <= 1.01);
    if (flo_parse_proc_stat(text, NULL, &a, &b, &cpus))
        assert_true(a <= b && cpus > 0);
    if (flo_parse_cpus_allowed(text, &set))
        (void)flo_parse_proc_stat(text, &set, &a, &b, &cpus);
    (void)flo_parse_cgroup(text, "memory", point, sizeof point);
    (void)flo_parse_cgroup(text, NULL, point, sizeof point);
    (void)flo_parse_cgroup_mount(text, "memory", root, point, sizeof root);
    (void)flo_parse_cgroup_mount(text, NULL, root, point, sizeof root);
}

/* Bytes of good texts changed, cut and doubled at random: nothing is read beyond the end (the
 * sanitizers look), and what is accepted makes sense. */
static void test_any_bytes_are_fine(void **state)
{
    static const char *const GOOD[] = {MEMORY_STAT, MEMINFO,   PRESSURE, STAT,
                                       CGROUP,      MOUNTINFO, STATUS,   "50000 100000\n"};
    const char *text = getenv("FLO_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : flo_random_u64();
    struct flo_rng rng;

    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    flo_rng_seed(&rng, seed);
    for (int i = 0; i < 20000; i++) {
        const char *good = GOOD[flo_rng_below(&rng, sizeof GOOD / sizeof *GOOD)];
        size_t len = flo_rng_below(&rng, strlen(good) + 1);
        char *bad = malloc(len + 1);
        assert_non_null(bad);
        memcpy(bad, good, len);
        bad[len] = '\0';
        for (uint64_t n = flo_rng_below(&rng, 6); n > 0 && len > 0; n--)
            bad[flo_rng_below(&rng, len)] =
                (char)(flo_rng_below(&rng, 3) > 0 ? " \t\n:,-.=/\\019"[flo_rng_below(&rng, 13)]
                                                  : (char)flo_rng_below(&rng, 256));
        parse_all(bad);
        free(bad);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_field),
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_cpu_max),
        cmocka_unit_test(test_pressure),
        cmocka_unit_test(test_proc_stat),
        cmocka_unit_test(test_cpus_allowed),
        cmocka_unit_test(test_cgroup_path),
        cmocka_unit_test(test_cgroup_mount),
        cmocka_unit_test(test_any_bytes_are_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
