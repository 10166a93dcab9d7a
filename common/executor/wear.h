/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wear.h - when an executor process should be replaced, because of what its jobs left behind
 * (private to this folder; struct flo_executor_recycling). Executor side.
 *
 * An ordinary job pays for this with a few comparisons. Memory is looked at when each job's
 * getrusage(2), which is made anyway, says that there may be more: with a limit after each job that
 * had a page fault, which every allocation from the kernel by malloc brings; else when the peak of
 * resident memory has risen far enough. All is looked at every 64 jobs, more often where there is
 * room for few descriptors.
 */
#ifndef FLO_EXECUTOR_WEAR_H
#define FLO_EXECUTOR_WEAR_H

#include "executor/executor.h"
#include "executor/usage.h"

struct flo_wear {
    int64_t jobs, max_jobs;
    int64_t next_look;  /* at so many jobs */
    int64_t look_every; /* jobs */
    bool data;          /* memory is data, which the limit counts; else resident memory */
    long faults;        /* data: at the last look */
    int64_t memory_begin, memory_max; /* bytes; max is of the growth, 0 = any */
    int64_t least_kib, next_kib;      /* resident: look when the peak is there */
    int descriptors_begin, descriptors_max;
};

/* What the process is like without jobs. The limits are set, the meter has begun. */
void flo_wear_begin(struct flo_wear *wear, const struct flo_executor_options *options,
                    const struct flo_usage_meter *meter);
/* A job has ended and its usage was taken. With a reason, *out_amount is as in struct
 * flo_recycled. May begin the meter anew. */
enum flo_recycle_reason flo_wear_job(struct flo_wear *wear, struct flo_usage_meter *meter,
                                     int64_t *out_amount);

#endif
