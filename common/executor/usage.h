/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage.h - what jobs use, measured by the thread or process that runs them (private to this
 * folder). A meter remembers what the last job ended with: between two jobs nothing is done but
 * fetching the second one, so one system call a job is enough.
 *
 * For a process getrusage(2) tells all of it. A thread's CPU time is as old there as the last tick
 * of the clock, so it is asked of the thread's CPU clock; the rest costs a second call, and only
 * jobs that took a while (FLO_USAGE_SHORT_NS) make it. What short ones did besides computing is
 * found by the next longer one.
 */
#ifndef FLO_EXECUTOR_USAGE_H
#define FLO_EXECUTOR_USAGE_H

#include <sys/resource.h>

#include "executor/executor.h"

#define FLO_USAGE_SHORT_NS 25000

enum flo_usage_of {
    FLO_USAGE_THREAD,  /* the calling thread; no memory, which is the process's */
    FLO_USAGE_PROCESS, /* the whole process */
};

struct flo_usage_meter {
    enum flo_usage_of of;
    int64_t began_ns; /* monotonic: when the job began; threads */
    int64_t cpu_ns;   /* the thread's CPU clock when it was last read */
    long waits;       /* times that the thread slept for a job since last */
    struct rusage last;
};

/* Measure from now on. On the thread that runs the jobs. */
void flo_usage_begin(struct flo_usage_meter *meter, enum flo_usage_of of);
/* A job begins; waited: the thread slept before, which is no switch of the job's. */
void flo_usage_job(struct flo_usage_meter *meter, bool waited);
/*
 * The job ended: what was used since begin or the last take. A process whose peak has risen much
 * lets the kernel forget it (/proc/self/clear_refs), so that the next job is not charged with it.
 */
void flo_usage_take(struct flo_usage_meter *meter, struct flo_job_usage *out);
/* CPU time of the process at the last reading; with FLO_USAGE_PROCESS. */
int64_t flo_usage_cpu_ns(const struct flo_usage_meter *meter);
/* The difference of two readings of getrusage(2); max_rss_bytes is now's. waits voluntary switches
 * are left out. Pure. */
void flo_usage_between(const struct rusage *before, const struct rusage *now, long waits,
                       struct flo_job_usage *out);
/* What a process says that it used; nothing when that cannot be: it may have written over it. */
struct flo_job_usage flo_usage_told(const struct flo_job_usage *usage);
/* Accounting of what did not live to say so: add a job's to a sum, peak aside; and all that a
 * process used, its waited-for children included, less what is accounted for. Pure. */
void flo_usage_add(struct flo_job_usage *sum, const struct flo_job_usage *more);
struct flo_job_usage flo_usage_rest(const struct flo_job_usage *all,
                                    const struct flo_job_usage *known);

#endif
