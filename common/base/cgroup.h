/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.h - the control groups that this process is in, v2 and v1, and the CPU quota of one. What
 * cannot be read counts as not there. Blocking, but only on the kernel's own files. Any thread.
 */
#ifndef FLO_BASE_CGROUP_H
#define FLO_BASE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLO_CGROUP_PATH_MAX 512

struct flo_cgroup {
    char folder[FLO_CGROUP_PATH_MAX]; /* the group's; flo_cgroup_up moves it */
    char top[FLO_CGROUP_PATH_MAX];    /* where its hierarchy is mounted */
};

/*
 * This process's group in the hierarchy of a controller (v1), or in that of v2 (NULL). proc is
 * "/proc" and root "" but in tests. A container may see the host's path while only its own part is
 * mounted: then it is the top. False: there is none, out is undefined.
 */
bool flo_cgroup_find(const char *proc, const char *root, const char *controller,
                     struct flo_cgroup *out);
/* One level up, whose limits count as well; false at the top. */
bool flo_cgroup_up(struct flo_cgroup *group);

/* The CPU quota of one folder in cores (v1: of the controller "cpu"); 0: none. */
double flo_cgroup_cpu_quota(const char *folder, bool v1);

/* Bytes of memory that this process may use: the machine's, or what its groups allow; 0: unknown.
 */
uint64_t flo_cgroup_memory(void);

/* Read a whole small file as text, cut at size - 1. False: not there, or empty. */
bool flo_cgroup_read(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
