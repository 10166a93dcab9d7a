/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cores.h - which cores executor processes are bound to, and how many there should be.
 *
 * Two hardware threads of one core share its units: bound to them, two computing processes take
 * almost as long as one after the other. So every physical core gets one before any gets a second.
 */
#ifndef FLO_EXECUTOR_CORES_H
#define FLO_EXECUTOR_CORES_H

#include <sched.h>
#include <stdint.h>

struct flo_cores {
    unsigned count;      /* logical CPUs that may be used: entries in order */
    unsigned physical;   /* cores that they belong to; order begins with one of each */
    int64_t quota_milli; /* CPU time that the cgroup allows, thousandths of a core; 0 = no quota */
    uint16_t order[CPU_SETSIZE];
};

/*
 * The order for usable, where core_of[cpu] names the core of a CPU by any number below
 * CPU_SETSIZE. Pure; fills count, physical and order.
 */
void flo_cores_order(const cpu_set_t *usable, const uint16_t *core_of, struct flo_cores *out);

/* Parse the kernel's list form, "0-3,8,10-11". FLO_EINVAL: out is undefined. Pure. */
int flo_cores_parse(const char *text, cpu_set_t *out);

/*
 * What this process may use: its affinity mask (which a cgroup's cpuset narrows), the topology
 * under root/sys, the cgroup's quota (v2 and v1, its ancestors' too). root is "" but in tests.
 * What cannot be read counts as not limited.
 */
void flo_cores_read(const char *root, struct flo_cores *out);

/* How many processes that compute fit: one a usable CPU, less when the quota is smaller; >= 1. */
unsigned flo_cores_fit(const struct flo_cores *cores);

#endif
