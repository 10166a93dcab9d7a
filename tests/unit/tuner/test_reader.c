/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_reader.c - tuner/reader.c on folders that look like /proc and /sys/fs/cgroup: v2, v1, both,
 * containers, nested limits, no limits, broken files.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "plant.h"
#include "support/tree.h"
#include "tuner/reader.h"

#define MIB (1ull << 20)

struct fixture {
    char root[TREE_ROOT_SIZE], proc[80], text[1024];
    struct flo_reader_paths paths;
    struct flo_reader reader;
    struct flo_tuner_sample sample;
    int64_t now_ns;
};

/* A file below the root, with the folders above it. */
#define put(f, name, ...) tree_put((f)->root, name, __VA_ARGS__)

static void put_machine(struct fixture *f, unsigned busy, unsigned idle)
{
    put(f, "proc/stat", "cpu  9 9 9 9\ncpu0 %u 0 0 %u 0 0 0 0\ncpu1 %u 0 0 %u 0 0 0 0\n", busy,
        idle, busy, idle);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_int_equal(tree_make(f->root), 0);
    snprintf(f->proc, sizeof f->proc, "%s/proc", f->root);
    f->paths = (struct flo_reader_paths){.proc = f->proc, .root = f->root};
    f->now_ns = 1000 * FLO_NS_PER_S;
    put(f, "proc/meminfo", "MemTotal: 4194304 kB\nMemFree: 1 kB\nMemAvailable: 3145728 kB\n");
    put(f, "proc/self/status", "Cpus_allowed_list:\t0-1\n");
    put_machine(f, 1000, 1000);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    int rc = tree_remove(f->root);

    free(f);
    return rc;
}

static void init(struct fixture *f)
{
    flo_reader_init(&f->reader, &f->paths, f->now_ns);
    flo_reader_describe(&f->reader, f->text, sizeof f->text);
}

static void sample_after(struct fixture *f, double seconds)
{
    f->now_ns += (int64_t)(seconds * FLO_NS_PER_S);
    flo_reader_sample(&f->reader, f->now_ns, &f->sample);
}

static void assert_near(double value, double expected)
{
    if (fabs(value - expected) > 1e-6)
        fail_msg("%f is not %f", value, expected);
}

/* The share of memory that the next sample tells. */
static void assert_memory_after(struct fixture *f, double seconds, double expected)
{
    sample_after(f, seconds);
    assert_near(f->sample.memory, expected);
}

static void assert_text_has(const struct fixture *f, const char *part)
{
    if (!strstr(f->text, part))
        fail_msg("\"%s\" lacks \"%s\"", f->text, part);
}

static void put_v2(struct fixture *f, const char *root, const char *path)
{
    put(f, "proc/self/mountinfo", "41 31 0:38 %s /cg rw - cgroup2 cgroup2 rw\n", root);
    put(f, "proc/self/cgroup", "0::%s\n", path);
}

/* A cgroup of v2 with a limit and what it uses. */
static void put_memory(struct fixture *f, const char *cgroup, unsigned max_mib, unsigned anon_mib)
{
    char name[64];

    snprintf(name, sizeof name, "%s/memory.max", cgroup);
    put(f, name, "%llu\n", max_mib * MIB);
    snprintf(name, sizeof name, "%s/memory.stat", cgroup);
    put(f, name, "anon %llu\n", anon_mib * MIB);
}

static void put_pressure(struct fixture *f, const char *name, double percent)
{
    put(f, name, "some avg10=%.2f avg60=0 avg300=0 total=1\n", percent);
}

/* No cgroup at all: the machine's numbers. */
static void test_no_cgroup_reads_the_machine(void **state)
{
    struct fixture *f = *state;

    init(f);
    assert_text_has(f, "memory: machine; cpu: machine, 2 CPUs; pressure: none");
    put_machine(f, 1030, 1070);
    assert_memory_after(f, 1, 0.25);
    assert_near(f->sample.cpu, 0.3);
    assert_true(f->sample.throttled < 0 && f->sample.cpu_pressure < 0);
    sample_after(f, 0.001); /* too soon: the same again */
    assert_near(f->sample.cpu, 0.3);
    sample_after(f, 1); /* no tick since then: the same again */
    assert_near(f->sample.cpu, 0.3);
}

/* Bound to one CPU, that one counts. */
static void test_affinity_counts_own_cpus(void **state)
{
    struct fixture *f = *state;

    put(f, "proc/self/status", "Cpus_allowed_list:\t1\n");
    put(f, "proc/stat", "cpu  9 9 9 9\ncpu0 0 0 0 0\ncpu1 100 0 0 100\n");
    init(f);
    assert_text_has(f, "1 CPUs");
    put(f, "proc/stat", "cpu  9 9 9 9\ncpu0 0 0 0 100\ncpu1 190 0 0 110\n");
    sample_after(f, 1);
    assert_near(f->sample.cpu, 0.9);
}

/* v2: anonymous, shared, sockets and what of the kernel is no cache; page cache never counts. */
static void test_v2_page_cache_does_not_count(void **state)
{
    struct fixture *f = *state;

    put_v2(f, "/", "/pod/box");
    put(f, "cg/pod/box/memory.max", "%llu\n", 512ull * MIB);
    put(f, "cg/pod/box/memory.high", "max\n");
    put(f, "cg/pod/box/memory.current", "%llu\n", 511ull * MIB);
    put(f, "cg/pod/box/memory.stat",
        "anon %llu\nfile %llu\nkernel %llu\nsock %llu\nshmem %llu\nslab_reclaimable %llu\n",
        100ull * MIB, 380ull * MIB, 20ull * MIB, 4ull * MIB, 8ull * MIB, 4ull * MIB);
    init(f);
    assert_text_has(f, "memory: cgroup v2, limit 512 MiB");
    assert_memory_after(f, 0.1, (100 + 16 + 4 + 8) / 512.0);
    /* Before Linux 5.18 there is no sum of the kernel's part. */
    put(f, "cg/pod/box/memory.stat",
        "anon %llu\nfile %llu\nkernel_stack %llu\nslab_reclaimable %llu\nslab_unreclaimable %llu\n",
        100ull * MIB, 380ull * MIB, 20ull * MIB, 99ull * MIB, 8ull * MIB);
    assert_memory_after(f, 0.1, 128 / 512.0);
}

/* Activities that read large files: the page cache grows until it fills the limit, memory.current
 * stays there, and slots go on growing to their maximum all the same. */
static void test_v2_page_cache_does_not_freeze_admission(void **state)
{
    struct fixture *f = *state;
    const struct flo_tuner_options options = plant_options(2, 100, 50);
    struct flo_tuner_verdict verdicts[FLO_TUNER_KINDS] = {[FLO_TUNER_ACTIVITY] = {.slots = 2}};
    struct flo_tuner_load load[FLO_TUNER_KINDS] = {{0}};
    struct flo_tuner tuner;

    put_v2(f, "/", "/box");
    put(f, "cg/box/memory.max", "%llu\n", 512ull * MIB);
    put(f, "cg/box/memory.stat", "anon 1\n");
    init(f);
    flo_tuner_init(&tuner, &options, f->now_ns);
    for (unsigned i = 0; i < 300; i++) {
        struct flo_tuner_load *activities = &load[FLO_TUNER_ACTIVITY];
        unsigned file = i * 16 < 440 ? i * 16 : 440;
        activities->running = activities->peak = verdicts[FLO_TUNER_ACTIVITY].slots;
        activities->done += activities->running / 2 + 1;
        put(f, "cg/box/memory.current", "%llu\n", (64 + file) * MIB);
        put(f, "cg/box/memory.stat", "anon %llu\nfile %llu\n", 64 * MIB, file * MIB);
        put_machine(f, 1000 + i, 1000 + i * 9);
        sample_after(f, 0.1);
        flo_tuner_step(&tuner, f->now_ns, &f->sample, load, verdicts);
    }
    assert_int_equal(verdicts[FLO_TUNER_ACTIVITY].slots, 100);
    assert_int_equal(verdicts[FLO_TUNER_ACTIVITY].reason, FLO_TUNER_MAX);
}

/* memory.high holds processes up before memory.max kills them. */
static void test_v2_memory_high_is_a_limit(void **state)
{
    struct fixture *f = *state;

    put_v2(f, "/", "/box");
    put(f, "cg/box/memory.max", "max\n");
    put(f, "cg/box/memory.high", "%llu\n", 256ull * MIB);
    put(f, "cg/box/memory.stat", "anon %llu\n", 64ull * MIB);
    init(f);
    assert_memory_after(f, 0.1, 0.25);
}

/* The fullest of the limits on the way up counts, be it the pod's or the container's. */
static void test_v2_nested_limits_fullest_counts(void **state)
{
    struct fixture *f = *state;

    put_v2(f, "/", "/pod/box/leaf");
    put_memory(f, "cg/pod", 1024, 900);
    put_memory(f, "cg/pod/box", 512, 128);
    put(f, "cg/pod/box/leaf/memory.max", "max\n");
    init(f);
    assert_int_equal(f->reader.memory_count, 2);
    assert_text_has(f, "limit 512 MiB");
    assert_memory_after(f, 0.1, 900 / 1024.0);
    put(f, "cg/pod/memory.stat", "anon %llu\n", 200ull * MIB);
    assert_memory_after(f, 0.1, 0.25);
}

/* A limit above the machine's memory is none. */
static void test_v2_limit_above_the_machine_is_none(void **state)
{
    struct fixture *f = *state;

    put_v2(f, "/", "/box");
    put(f, "cg/box/memory.max", "%llu\n", 8192ull * MIB);
    put(f, "cg/box/memory.stat", "anon 1\n");
    init(f);
    assert_text_has(f, "memory: machine;");
    assert_memory_after(f, 0.1, 0.25);
}

/* Usage against the quota, how often it was throttled, and a quota above the cores. */
static void test_v2_cpu_quota(void **state)
{
    struct fixture *f = *state;

    put_v2(f, "/", "/box");
    put(f, "cg/box/cpu.max", "50000 100000\n");
    put(f, "cg/box/cpu.stat", "usage_usec 1000000\nnr_periods 10\nnr_throttled 1\n");
    init(f);
    assert_text_has(f, "cpu: cgroup v2, quota 0.50 cores");
    put(f, "cg/box/cpu.stat", "usage_usec 1400000\nnr_periods 20\nnr_throttled 9\n");
    sample_after(f, 1);
    assert_near(f->sample.cpu, 0.8);
    assert_near(f->sample.throttled, 0.8);
    put(f, "cg/box/cpu.max", "400000 100000\n");
    init(f);
    assert_text_has(f, "cpu: machine, 2 CPUs");
}

/* The parent's quota may be the tighter one. */
static void test_v2_nested_quota(void **state)
{
    struct fixture *f = *state;

    put_v2(f, "/", "/pod/box");
    put(f, "cg/pod/cpu.max", "100000 100000\n");
    put(f, "cg/pod/cpu.stat", "usage_usec 0\n");
    put(f, "cg/pod/box/cpu.max", "150000 100000\n");
    put(f, "cg/pod/box/cpu.stat", "usage_usec 0\n");
    init(f);
    assert_text_has(f, "quota 1.00 cores");
    put(f, "cg/pod/cpu.stat", "usage_usec 900000\n");
    put(f, "cg/pod/box/cpu.stat", "usage_usec 300000\n");
    sample_after(f, 1);
    assert_near(f->sample.cpu, 0.9);
}

/* In a container the mount may begin below the path that /proc/self/cgroup tells. */
static void test_container_mount_root(void **state)
{
    struct fixture *f = *state;

    put_v2(f, "/docker/abc", "/docker/abc");
    put_memory(f, "cg", 128, 32);
    init(f);
    assert_memory_after(f, 0.1, 0.25);
    put_v2(f, "/docker/abc", "/docker/abcdef"); /* not below the root */
    init(f);
    assert_memory_after(f, 0.1, 0.25);
    put_v2(f, "/", "/../outside"); /* above what the namespace shows */
    init(f);
    assert_memory_after(f, 0.1, 0.25);
}

static void put_v1(struct fixture *f)
{
    put(f, "proc/self/mountinfo",
        "32 31 0:29 / /cg/memory rw - cgroup cgroup rw,memory\n"
        "33 31 0:30 / /cg/cpu rw - cgroup cgroup rw,cpu\n"
        "34 31 0:31 / /cg/cpuacct rw - cgroup cgroup rw,cpuacct\n"
        "41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw\n");
    put(f, "proc/self/cgroup", "4:memory:/box\n2:cpuacct:/box\n1:cpu:/box\n0::/box\n");
    put(f, "cg/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put(f, "cg/memory/box/memory.limit_in_bytes", "%llu\n", 256ull * MIB);
    put(f, "cg/memory/box/memory.usage_in_bytes", "%llu\n", 255ull * MIB);
    put(f, "cg/memory/box/memory.stat",
        "cache 1\nrss 1\ntotal_cache %llu\ntotal_rss %llu\ntotal_shmem %llu\n", 180ull * MIB,
        60ull * MIB, 4ull * MIB);
    put(f, "cg/cpu/cpu.cfs_quota_us", "-1\n");
    put(f, "cg/cpu/box/cpu.cfs_quota_us", "150000\n");
    put(f, "cg/cpu/box/cpu.cfs_period_us", "100000\n");
    put(f, "cg/cpu/box/cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n");
    put(f, "cg/cpuacct/box/cpuacct.usage", "1000000000\n");
    put(f, "cg/unified/box/cgroup.type", "domain\n");
    put_pressure(f, "cg/unified/box/cpu.pressure", 12.50);
    put_pressure(f, "cg/unified/box/memory.pressure", 0.00);
}

/* v1, with pressure from v2's hierarchy beside it. */
static void test_v1_and_unified_pressure(void **state)
{
    struct fixture *f = *state;

    put_v1(f);
    init(f);
    assert_text_has(f, "memory: cgroup v1, limit 256 MiB");
    assert_text_has(f, "cpu: cgroup v1, quota 1.50 cores");
    assert_text_has(f, "pressure: cgroup v2");
    put(f, "cg/cpuacct/box/cpuacct.usage", "1600000000\n");
    put(f, "cg/cpu/box/cpu.stat", "nr_periods 10\nnr_throttled 2\n");
    assert_memory_after(f, 0.5, 0.25);
    assert_near(f->sample.cpu, 0.8);
    assert_near(f->sample.throttled, 0.2);
    assert_near(f->sample.cpu_pressure, 0.125);
    assert_near(f->sample.memory_pressure, 0);
}

/* With limits of its own, a worker does not mind that the machine is under pressure. */
static void test_pressure_of_others_does_not_count(void **state)
{
    struct fixture *f = *state;

    put_v1(f);
    put(f, "proc/self/cgroup", "4:memory:/box\n2:cpuacct:/box\n1:cpu:/box\n0::/\n");
    put_pressure(f, "cg/unified/cpu.pressure", 99.00);
    put_pressure(f, "proc/pressure/cpu", 99.00);
    put_pressure(f, "proc/pressure/memory", 99.00);
    init(f);
    assert_text_has(f, "pressure: machine");
    sample_after(f, 0.1);
    assert_true(f->sample.cpu_pressure < 0 && f->sample.memory_pressure < 0);
    put(f, "cg/cpu/box/cpu.cfs_quota_us", "-1\n");
    init(f);
    sample_after(f, 0.1);
    assert_near(f->sample.cpu_pressure, 0.99);
    assert_true(f->sample.memory_pressure < 0);
}

/* Without a cgroup's pressure the machine's. */
static void test_pressure_of_the_machine(void **state)
{
    struct fixture *f = *state;

    put_pressure(f, "proc/pressure/cpu", 50.00);
    init(f);
    assert_text_has(f, "pressure: machine");
    sample_after(f, 0.1);
    assert_near(f->sample.cpu_pressure, 0.5);
    assert_true(f->sample.memory_pressure < 0);
}

/* A limit that is set or changed while we run is found. */
static void test_limits_are_looked_up_again(void **state)
{
    struct fixture *f = *state;

    put_v2(f, "/", "/box");
    put(f, "cg/box/memory.max", "max\n");
    put(f, "cg/box/memory.stat", "anon %llu\n", 64ull * MIB);
    put(f, "cg/box/cpu.max", "max 100000\n");
    put(f, "cg/box/cpu.stat", "usage_usec 500000\n");
    init(f);
    assert_text_has(f, "memory: machine");
    put(f, "cg/box/memory.max", "%llu\n", 128ull * MIB);
    put(f, "cg/box/cpu.max", "100000 100000\n");
    assert_memory_after(f, 5, 0.25);
    assert_memory_after(f, 6, 0.5);
    flo_reader_describe(&f->reader, f->text, sizeof f->text);
    assert_text_has(f, "limit 128 MiB");
    put(f, "cg/box/cpu.stat", "usage_usec 1000000\n");
    sample_after(f, 1);
    assert_near(f->sample.cpu, 0.5);
    sample_after(f, 10); /* looked up again: the measure goes on where it was */
    assert_near(f->sample.cpu, 0);
}

/* Files that vanish or rot: unknown, never a wrong number, and nothing at all is fine too. */
static void test_broken_files_are_unknown(void **state)
{
    struct fixture *f = *state;

    put_v2(f, "/", "/box");
    put(f, "cg/box/memory.max", "%llu\n", 128ull * MIB);
    put(f, "cg/box/memory.stat", "anon lots\n");
    put(f, "cg/box/cpu.max", "50000 0\n");
    init(f);
    assert_text_has(f, "cpu: machine");
    sample_after(f, 0.1);
    assert_true(f->sample.memory < 0);
    put(f, "cg/box/memory.max", "a lot\n");
    init(f);
    assert_text_has(f, "memory: machine");
    put(f, "proc/meminfo", "MemTotal: 0 kB\n");
    put(f, "proc/stat", "nothing\n");
    init(f);
    assert_text_has(f, "memory: unknown; cpu: unknown");
    sample_after(f, 0.1);
    assert_true(f->sample.memory < 0 && f->sample.cpu < 0);
    f->paths.proc = "/nowhere";
    init(f);
    sample_after(f, 20);
    assert_true(f->sample.memory < 0 && f->sample.cpu < 0);
}

/* What this machine has: whatever it is, it can be read. */
static void test_this_machine(void **state)
{
    struct fixture *f = *state;

    f->now_ns = flo_clock_mono_ns();
    flo_reader_init(&f->reader, NULL, f->now_ns);
    flo_reader_describe(&f->reader, f->text, sizeof f->text);
    print_message("%s\n", f->text);
    usleep(50000);
    flo_reader_sample(&f->reader, flo_clock_mono_ns(), &f->sample);
    print_message("cpu %.3f memory %.3f psi %.3f %.3f\n", f->sample.cpu, f->sample.memory,
                  f->sample.cpu_pressure, f->sample.memory_pressure);
    assert_true(f->sample.memory > 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_no_cgroup_reads_the_machine),
        T(test_affinity_counts_own_cpus),
        T(test_v2_page_cache_does_not_count),
        T(test_v2_page_cache_does_not_freeze_admission),
        T(test_v2_memory_high_is_a_limit),
        T(test_v2_nested_limits_fullest_counts),
        T(test_v2_limit_above_the_machine_is_none),
        T(test_v2_cpu_quota),
        T(test_v2_nested_quota),
        T(test_container_mount_root),
        T(test_v1_and_unified_pressure),
        T(test_pressure_of_others_does_not_count),
        T(test_pressure_of_the_machine),
        T(test_limits_are_looked_up_again),
        T(test_broken_files_are_unknown),
        T(test_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
