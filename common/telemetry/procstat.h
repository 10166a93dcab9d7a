/* SPDX-License-Identifier: Apache-2.0 */
/* procstat.h - what the kernel says about a process: CPU time and memory, from /proc. */
#ifndef FLO_TELEMETRY_PROCSTAT_H
#define FLO_TELEMETRY_PROCSTAT_H

#include <stdint.h>
#include <sys/types.h>

#include "flotilla/error.h"

struct flo_procstat {
    double cpu_seconds;          /* user + system, without children */
    double children_cpu_seconds; /* of children that ended and were waited for */
    double start_seconds;        /* after boot */
    pid_t parent;
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    int64_t threads;
};

/* Of process pid, or of this one for 0. FLO_ENOENT: no such process; FLO_ESYS. Any thread. */
FLO_MUST_CHECK int flo_procstat_read(pid_t pid, struct flo_procstat *out);

/* The sum over a process and its descendants, children that ended included, whatever groups and
 * sessions they made; *out_processes: how many there are. Memory that they share is counted for
 * each. FLO_ENOENT: none. FLO_ENOMEM, FLO_ESYS. Any thread. */
FLO_MUST_CHECK int flo_procstat_tree(pid_t pid, struct flo_procstat *out, int *out_processes);

#endif
