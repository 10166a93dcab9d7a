/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bucket.h - a token bucket for polls: how many tasks a second may come in. Pure: the clock is
 * passed in.
 *
 * A poll that is out may bring a task at any moment, so it reserves one of the bucket's permits; a
 * task uses the permit up, an empty poll gives it back. Permits come in at the rate and are kept up
 * to a burst of a tenth of a second's worth, and at least one for each queue: a poll that waits on
 * one queue keeps its permit, and must not keep the others from being polled (queue.c sees to it
 * that no queue takes another's). So within any time T at most burst + rate * T tasks arrive.
 */
#ifndef FLO_WORKER_BUCKET_H
#define FLO_WORKER_BUCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flo_bucket {
    double rate;     /* permits a second; 0: no limit, and the rest is not used */
    double burst;    /* the most that are kept */
    double level;    /* permits at filled_ns, those that polls hold included */
    size_t reserved; /* permits that polls hold */
    int64_t filled_ns;
};

/* A full bucket for so many queues. */
void flo_bucket_init(struct flo_bucket *bucket, double rate, size_t queues, int64_t now_ns);
/* Another rate above 0; polls keep the permits that they hold, of which there are `reserved`. */
void flo_bucket_set_rate(struct flo_bucket *bucket, double rate, size_t queues, size_t reserved,
                         int64_t now_ns);
/* Reserve a permit for a poll. False: there is none yet; flo_bucket_wait_ns says when. */
bool flo_bucket_reserve(struct flo_bucket *bucket, int64_t now_ns);
/* Can it ever hold so many permits more, next to those that polls hold now? */
bool flo_bucket_holds(const struct flo_bucket *bucket, size_t more);
/* The poll came back without a task. */
void flo_bucket_release(struct flo_bucket *bucket);
/* It came back with one. */
void flo_bucket_use(struct flo_bucket *bucket, int64_t now_ns);
/* Time until a permit can be reserved, 0: now, at most an hour: then ask again. -1: not before a
 * poll comes back. */
int64_t flo_bucket_wait_ns(const struct flo_bucket *bucket, int64_t now_ns);

#endif
