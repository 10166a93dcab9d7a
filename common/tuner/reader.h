/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.h - what the kernel says about CPU and memory, as samples for the tuner.
 *
 * Memory is what cannot be taken back: of a cgroup with a limit its anonymous and shared memory
 * and the kernel's part that is not a cache; page cache never counts, since the kernel drops it
 * when memory is asked for, and counting it would stop a worker that merely reads files. Without a
 * limit it is MemTotal - MemAvailable of the machine.
 *
 * CPU is the share of the quota that the cgroup used; without a quota, or with one as large as the
 * machine, the busy share of the CPUs that this process may run on.
 *
 * Pressure is that of the process's own cgroup. That of the machine stands in for it only where the
 * machine's CPU or memory is what is measured.
 *
 * Limits count on every level from the process's own cgroup up to the mount's root: each level
 * that has one is measured, and the fullest is the sample. cgroup v2, v1, and v1 with some
 * controllers on v2 are read; what is missing or malformed falls back to the machine's numbers.
 * Limits are looked up anew every ten seconds, because they can be changed while we run.
 *
 * One thread at a time. Nothing is kept open, and nothing is allocated.
 */
#ifndef FLO_TUNER_READER_H
#define FLO_TUNER_READER_H

#include "base/cgroup.h"
#include "tuner/tuner.h"

#define FLO_READER_PATH_MAX FLO_CGROUP_PATH_MAX
#define FLO_READER_LEVELS 8 /* with a limit, on the way up; more are left out */

/* Where the kernel's files are; tests name their own folders. */
struct flo_reader_paths {
    const char *proc; /* "/proc" */
    const char *root; /* put before the mount points that proc/self/mountinfo names; "" */
};

enum flo_reader_source {
    FLO_READER_NONE, /* cannot be read at all */
    FLO_READER_HOST,
    FLO_READER_CGROUP1,
    FLO_READER_CGROUP2
};

/* A cgroup with a limit. */
struct flo_reader_memory_level {
    char path[FLO_READER_PATH_MAX];
    uint64_t limit_bytes;
};
struct flo_reader_cpu_level {
    char path[FLO_READER_PATH_MAX]; /* of the usage: cpu.stat, or v1's cpuacct.usage */
    char stat[FLO_READER_PATH_MAX]; /* cpu.stat with nr_periods and nr_throttled */
    double cores;                   /* the quota */
    uint64_t last_usec, last_periods, last_throttled;
};

struct flo_reader {
    struct flo_reader_paths paths;
    enum flo_reader_source memory, cpu, psi;
    struct flo_reader_memory_level memory_levels[FLO_READER_LEVELS];
    size_t memory_count;
    struct flo_reader_cpu_level cpu_levels[FLO_READER_LEVELS];
    size_t cpu_count;
    unsigned cpus; /* that this process may run on */
    char cpu_pressure[FLO_READER_PATH_MAX], memory_pressure[FLO_READER_PATH_MAX]; /* "": none */
    uint64_t last_busy, last_total; /* ticks of the machine */
    int64_t last_ns, looked_ns;
    double last_cpu, last_throttled; /* again when too little time has passed to measure */
};

/* Look at what there is. paths NULL: the system's. The strings are borrowed for the reader's life.
 * Never fails: what cannot be read is NONE, and its samples are unknown. */
void flo_reader_init(struct flo_reader *reader, const struct flo_reader_paths *paths,
                     int64_t now_ns);

/* Read a sample. CPU is since the last call (or init); with less than 10 ms since then it is that
 * of the last call again. */
void flo_reader_sample(struct flo_reader *reader, int64_t now_ns, struct flo_tuner_sample *out);

/* "memory: cgroup v2, limit 512 MiB (/sys/fs/cgroup/x); cpu: machine, 2 cores; pressure: cgroup":
 * one line for the log. */
void flo_reader_describe(const struct flo_reader *reader, char *out, size_t size);

#endif
