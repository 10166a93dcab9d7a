/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.h - the sticky cache: runs kept between workflow tasks, least recently used first out,
 * bounded in bytes and in entries. Pure; one owner (the loop thread).
 */
#ifndef FLO_WORKFLOW_CACHE_H
#define FLO_WORKFLOW_CACHE_H

#include "workflow/run.h"

struct flo_run_cache;

struct flo_run_cache_stats {
    size_t entries, bytes;
    uint64_t hits, misses, evictions; /* evictions: forced by a bound */
};

/* max_bytes and max_runs bound the cache; runs that are busy (taken) are never evicted. */
FLO_MUST_CHECK int flo_run_cache_new(size_t max_bytes, size_t max_runs,
                                     struct flo_run_cache **out_cache);
/* Destroys the runs that are inside. */
void flo_run_cache_destroy(struct flo_run_cache **cache);

/* Take the run out for a task (it is busy until put back or dropped); NULL = a miss. */
struct flo_run *flo_run_cache_take(struct flo_run_cache *cache, const char *run_id);
/* Put a run in; the cache owns it and may evict others for it. FLO_ENOMEM: still the caller's. */
FLO_MUST_CHECK int flo_run_cache_put(struct flo_run_cache *cache, struct flo_run *run);
/* Drop a run by id if it is there. */
void flo_run_cache_drop(struct flo_run_cache *cache, const char *run_id);
/* How many of the runs inside wait for an activity that is scheduled or running. Looks at each. */
size_t flo_run_cache_awaiting(const struct flo_run_cache *cache);
/* Call fn with each run inside, least recently used first. */
void flo_run_cache_each(const struct flo_run_cache *cache,
                        void (*fn)(void *ctx, const struct flo_run *run), void *ctx);
void flo_run_cache_stats(const struct flo_run_cache *cache, struct flo_run_cache_stats *out);

#endif
