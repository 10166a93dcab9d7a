/* SPDX-License-Identifier: Apache-2.0 */
/* shard_caches.c - the sticky caches of all shards as one, for who looks from the loop. */
#include "worker/shards.h"

void flo_shards_cache_stats(struct flo_shards *shards, struct flo_run_cache_stats *out)
{
    *out = (struct flo_run_cache_stats){0};
    for (unsigned i = 0; i < shards->count && shards->caching; i++) {
        struct flo_run_cache_stats one;
        pthread_mutex_lock(&shards->of[i].cache_mu);
        flo_run_cache_stats(shards->of[i].cache, &one);
        pthread_mutex_unlock(&shards->of[i].cache_mu);
        out->entries += one.entries;
        out->bytes += one.bytes;
        out->hits += one.hits;
        out->misses += one.misses;
        out->evictions += one.evictions;
        for (int reason = 0; reason < FLO_EVICT_REASONS; reason++)
            out->evicted[reason] += one.evicted[reason];
    }
}

void flo_shards_cache_each(struct flo_shards *shards,
                           void (*fn)(void *ctx, const struct flo_run *run), void *ctx)
{
    for (unsigned i = 0; i < shards->count && shards->caching; i++) {
        pthread_mutex_lock(&shards->of[i].cache_mu);
        flo_run_cache_each(shards->of[i].cache, fn, ctx);
        pthread_mutex_unlock(&shards->of[i].cache_mu);
    }
}

size_t flo_shards_cache_awaiting(struct flo_shards *shards)
{
    size_t awaiting = 0;

    for (unsigned i = 0; i < shards->count && shards->caching; i++) {
        pthread_mutex_lock(&shards->of[i].cache_mu);
        awaiting += flo_run_cache_awaiting(shards->of[i].cache);
        pthread_mutex_unlock(&shards->of[i].cache_mu);
    }
    return awaiting;
}
