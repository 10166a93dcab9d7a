/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.h - the sticky cache: runs kept between workflow tasks, least recently used first out,
 * bounded in bytes and in entries. Pure; one owner at a time.
 *
 * Several caches, each with an owner of its own, may share one bound: none is then too small for
 * its part while another has room. Over the bound, a cache that has more than its even share lets
 * its own runs go; one that has not, says so (flo_run_cache_over), and another one is to be
 * trimmed.
 */
#ifndef FLO_WORKFLOW_CACHE_H
#define FLO_WORKFLOW_CACHE_H

#include <stdatomic.h>

#include "workflow/run.h"

struct flo_run_cache;

/* Why a run left the cache, or did not get into it again after its task. */
enum flo_evict_reason {
    FLO_EVICT_CAPACITY, /* more runs than max_runs */
    FLO_EVICT_MEMORY,   /* more than max_bytes */
    FLO_EVICT_FAILED,   /* its task failed, or the server refused the answer */
    FLO_EVICT_GAP,      /* history goes on elsewhere than where the run stands */
    FLO_EVICT_FORCED,   /* somebody wanted it: a test, a thread that was given up */
    FLO_EVICT_CLOSED,   /* it has ended */
    FLO_EVICT_REASONS
};
/* "capacity"; static. */
const char *flo_evict_reason_name(enum flo_evict_reason reason);

struct flo_run_cache_stats {
    size_t entries, bytes;
    uint64_t hits, misses, evictions; /* evictions: forced by a bound */
    uint64_t evicted[FLO_EVICT_REASONS];
};

/* A bound that caches share. Filled in before the first cache uses it, and longer-lived than all.
 */
struct flo_run_cache_bounds {
    size_t max_bytes, max_runs;
    unsigned caches; /* that share it */
    /* In all of them: */
    atomic_size_t bytes, entries;
};

/* max_bytes and max_runs bound the cache; runs that are busy (taken) are never evicted. */
FLO_MUST_CHECK int flo_run_cache_new(size_t max_bytes, size_t max_runs,
                                     struct flo_run_cache **out_cache);
/* The same, with a bound that it shares with others. */
FLO_MUST_CHECK int flo_run_cache_new_shared(struct flo_run_cache_bounds *bounds,
                                            struct flo_run_cache **out_cache);
/* Destroys the runs that are inside. */
void flo_run_cache_destroy(struct flo_run_cache **cache);

/* Take the run out for a task (it is busy until put back or dropped); NULL = a miss. */
struct flo_run *flo_run_cache_take(struct flo_run_cache *cache, const char *run_id);
/* Put a run in; the cache owns it and may evict others for it. FLO_ENOMEM: still the caller's. */
FLO_MUST_CHECK int flo_run_cache_put(struct flo_run_cache *cache, struct flo_run *run);
/* Drop a run by id if it is there. */
void flo_run_cache_drop(struct flo_run_cache *cache, const char *run_id);
/* The same, and count why. */
void flo_run_cache_evict(struct flo_run_cache *cache, const char *run_id,
                         enum flo_evict_reason reason);
/* A run that was taken out is not put back for this reason: count it. */
void flo_run_cache_count(struct flo_run_cache *cache, enum flo_evict_reason reason);
/* After a put: is there more than the shared bound allows, and not here? */
bool flo_run_cache_over(const struct flo_run_cache *cache);
/* Evict until the shared bound is kept, or nothing is inside. */
void flo_run_cache_trim(struct flo_run_cache *cache);
/* Evict all. */
void flo_run_cache_clear(struct flo_run_cache *cache, enum flo_evict_reason reason);
/* How many of the runs inside wait for an activity that is scheduled or running. Looks at each. */
size_t flo_run_cache_awaiting(const struct flo_run_cache *cache);
/* Call fn with each run inside, least recently used first. */
void flo_run_cache_each(const struct flo_run_cache *cache,
                        void (*fn)(void *ctx, const struct flo_run *run), void *ctx);
void flo_run_cache_stats(const struct flo_run_cache *cache, struct flo_run_cache_stats *out);

#endif
