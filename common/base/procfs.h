/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procfs.h - the texts of /proc and of cgroups, taken apart. Each function takes a whole file as a
 * C string and returns false, with the outputs untouched, when what it looks for is missing or
 * malformed. Pure; any bytes are fine.
 */
#ifndef FLO_BASE_PROCFS_H
#define FLO_BASE_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLO_PARSE_CPUS 4096 /* CPU numbers above are not looked at */

struct flo_cpu_set {
    uint64_t bits[FLO_PARSE_CPUS / 64];
};
bool flo_cpu_set_has(const struct flo_cpu_set *set, unsigned cpu);

/* The number in the line "KEY 123": memory.stat, cpu.stat; and in "KEY:   123 kB": meminfo. */
bool flo_parse_field(const char *text, const char *key, uint64_t *out);

/* A file that is one number, "max" (UINT64_MAX) or "-1" (the same): memory.max, cfs_quota_us. */
bool flo_parse_number(const char *text, uint64_t *out);

/* cpu.max: "50000 100000" is half a core; "max 100000" is infinite: 0. */
bool flo_parse_cpu_max(const char *text, double *out_cores);

/* cpu.pressure and the like: avg10 of the line "some", as a share. */
bool flo_parse_pressure(const char *text, double *out_share);

/* /proc/stat: ticks of the CPUs of set (NULL: of all), busy and in all; *out_cpus: how many of them
 * there are. Waiting for I/O is idle; time stolen by other machines is busy: it cannot be had. */
bool flo_parse_proc_stat(const char *text, const struct flo_cpu_set *set, uint64_t *out_busy,
                         uint64_t *out_total, unsigned *out_cpus);

/* The line "Cpus_allowed_list:" of /proc/PID/status: "0-3,8". */
bool flo_parse_cpus_allowed(const char *text, struct flo_cpu_set *out);

/* /proc/PID/cgroup: the path of the hierarchy that has this controller; NULL: of v2. */
bool flo_parse_cgroup(const char *text, const char *controller, char *out, size_t size);

/* /proc/PID/mountinfo: the root and the mount point of the first cgroup mount with this
 * controller; NULL: of v2. */
bool flo_parse_cgroup_mount(const char *text, const char *controller, char *out_root,
                            char *out_point, size_t size);

#endif
