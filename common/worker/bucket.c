/* SPDX-License-Identifier: Apache-2.0 */
/* bucket.c - a token bucket for polls; see bucket.h. */
#include "worker/bucket.h"

#include <assert.h>
#include <math.h>

#include "base/clock.h"

/* Part of a second whose permits may be kept. */
#define BURST_S 0.1
/* Rounding of many small refills must not hold a whole permit back. */
#define NEARLY 1e-6
/* The longest wait that is said: the time of a very low rate is beyond what a timer takes. */
#define WAIT_MAX_S 3600

static double burst_of(double rate, size_t queues)
{
    double least = queues > 1 ? (double)queues : 1;

    return rate * BURST_S > least ? rate * BURST_S : least;
}

void flo_bucket_init(struct flo_bucket *bucket, double rate, size_t queues, int64_t now_ns)
{
    double burst = burst_of(rate, queues);

    *bucket =
        (struct flo_bucket){.rate = rate, .burst = burst, .level = burst, .filled_ns = now_ns};
}

static double level_at(const struct flo_bucket *bucket, int64_t now_ns)
{
    double passed_s = (double)(now_ns - bucket->filled_ns) / FLO_NS_PER_S;
    double level = bucket->level + (passed_s > 0 ? passed_s * bucket->rate : 0);

    return level < bucket->burst ? level : bucket->burst;
}

static void fill(struct flo_bucket *bucket, int64_t now_ns)
{
    bucket->level = level_at(bucket, now_ns);
    bucket->filled_ns = now_ns;
}

void flo_bucket_set_rate(struct flo_bucket *bucket, double rate, size_t queues, size_t reserved,
                         int64_t now_ns)
{
    if (bucket->rate > 0)
        fill(bucket, now_ns);
    else
        bucket->filled_ns = now_ns; /* it begins empty: permits come in at the new rate */
    bucket->rate = rate;
    bucket->burst = burst_of(rate, queues);
    bucket->reserved = reserved;
    if (bucket->level > bucket->burst)
        bucket->level = bucket->burst;
}

bool flo_bucket_reserve(struct flo_bucket *bucket, int64_t now_ns)
{
    fill(bucket, now_ns);
    if (bucket->level + NEARLY < (double)bucket->reserved + 1)
        return false;
    bucket->reserved++;
    return true;
}

bool flo_bucket_holds(const struct flo_bucket *bucket, size_t more)
{
    return (double)(bucket->reserved + more) <= bucket->burst + NEARLY;
}

void flo_bucket_release(struct flo_bucket *bucket)
{
    assert(bucket->reserved > 0);
    bucket->reserved--;
}

void flo_bucket_use(struct flo_bucket *bucket, int64_t now_ns)
{
    flo_bucket_release(bucket);
    fill(bucket, now_ns);
    bucket->level -= 1;
}

int64_t flo_bucket_wait_ns(const struct flo_bucket *bucket, int64_t now_ns)
{
    double missing = (double)bucket->reserved + 1 - level_at(bucket, now_ns);
    double wait_s = missing / bucket->rate;

    if (missing <= NEARLY)
        return 0;
    if (!flo_bucket_holds(bucket, 1))
        return -1;
    return (int64_t)ceil((wait_s < WAIT_MAX_S ? wait_s : WAIT_MAX_S) * FLO_NS_PER_S);
}
