/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c - runs by id in the order of use. A taken run is not inside, so it cannot be evicted. */
#include "workflow/cache.h"

#include "base/alloc.h"
#include "workflow/internal.h"

struct flo_run_cache {
    struct flo_map runs;                      /* run id -> struct flo_run, owned */
    struct flo_list used;                     /* the same, least recently used first */
    struct flo_run_cache_bounds own, *bounds; /* bounds: own, or shared */
    struct flo_run_cache_stats stats;
};

static const char *const REASON_NAMES[] = {
    [FLO_EVICT_CAPACITY] = "capacity", [FLO_EVICT_MEMORY] = "memory", [FLO_EVICT_FAILED] = "failed",
    [FLO_EVICT_GAP] = "gap",           [FLO_EVICT_FORCED] = "forced", [FLO_EVICT_CLOSED] = "closed",
};

const char *flo_evict_reason_name(enum flo_evict_reason reason)
{
    return REASON_NAMES[reason];
}

int flo_run_cache_new_shared(struct flo_run_cache_bounds *bounds, struct flo_run_cache **out_cache)
{
    struct flo_run_cache *cache = flo_calloc(1, sizeof *cache);
    if (!cache)
        return FLO_ENOMEM;
    flo_map_init(&cache->runs);
    flo_list_init(&cache->used);
    cache->bounds = bounds ? bounds : &cache->own;
    *out_cache = cache;
    return 0;
}

int flo_run_cache_new(size_t max_bytes, size_t max_runs, struct flo_run_cache **out_cache)
{
    int rc = flo_run_cache_new_shared(NULL, out_cache);
    if (rc)
        return rc;
    (*out_cache)->own.max_bytes = max_bytes;
    (*out_cache)->own.max_runs = max_runs;
    (*out_cache)->own.caches = 1;
    return 0;
}

/* Both counts, here and of all. */
static void account(struct flo_run_cache *cache, size_t bytes, bool in)
{
    struct flo_run_cache_bounds *bounds = cache->bounds;
    cache->stats.bytes = in ? cache->stats.bytes + bytes : cache->stats.bytes - bytes;
    cache->stats.entries = in ? cache->stats.entries + 1 : cache->stats.entries - 1;
    if (in) {
        atomic_fetch_add_explicit(&bounds->bytes, bytes, memory_order_relaxed);
        atomic_fetch_add_explicit(&bounds->entries, 1, memory_order_relaxed);
    } else {
        atomic_fetch_sub_explicit(&bounds->bytes, bytes, memory_order_relaxed);
        atomic_fetch_sub_explicit(&bounds->entries, 1, memory_order_relaxed);
    }
}

/* Take run off all lists; it is the caller's. */
static void unlink_run(struct flo_run_cache *cache, struct flo_run *run)
{
    flo_map_remove_str(&cache->runs, flo_run_id(run));
    flo_list_remove(&cache->used, &run->cache_node);
    account(cache, run->cache_bytes, false);
}

static struct flo_run *oldest(struct flo_run_cache *cache)
{
    struct flo_node *node = flo_list_first(&cache->used);
    return node ? flo_container(node, struct flo_run, cache_node) : NULL;
}

/* Which bound is broken; FLO_EVICT_REASONS: none. */
static enum flo_evict_reason broken(const struct flo_run_cache *cache)
{
    const struct flo_run_cache_bounds *bounds = cache->bounds;
    if (atomic_load_explicit(&bounds->entries, memory_order_relaxed) > bounds->max_runs)
        return FLO_EVICT_CAPACITY;
    if (atomic_load_explicit(&bounds->bytes, memory_order_relaxed) > bounds->max_bytes)
        return FLO_EVICT_MEMORY;
    return FLO_EVICT_REASONS;
}

static void evict_oldest(struct flo_run_cache *cache, enum flo_evict_reason reason)
{
    struct flo_run *evicted = oldest(cache);
    unlink_run(cache, evicted);
    flo_run_destroy(&evicted);
    cache->stats.evicted[reason]++;
    cache->stats.evictions += reason <= FLO_EVICT_MEMORY;
}

void flo_run_cache_destroy(struct flo_run_cache **cache)
{
    if (!*cache)
        return;
    struct flo_run *run;
    while ((run = oldest(*cache))) {
        unlink_run(*cache, run);
        flo_run_destroy(&run);
    }
    flo_map_fini(&(*cache)->runs);
    flo_free(*cache);
    *cache = NULL;
}

struct flo_run *flo_run_cache_take(struct flo_run_cache *cache, const char *run_id)
{
    struct flo_run *run = flo_map_get_str(&cache->runs, run_id);
    if (!run) {
        cache->stats.misses++;
        return NULL;
    }
    cache->stats.hits++;
    unlink_run(cache, run);
    return run;
}

/* Does this cache hold more than its part of what is full? Alone, it holds all. */
static bool has_more_than_its_share(const struct flo_run_cache *cache, enum flo_evict_reason full)
{
    const struct flo_run_cache_bounds *bounds = cache->bounds;
    if (cache->stats.entries == atomic_load_explicit(&bounds->entries, memory_order_relaxed))
        return true;
    if (cache->stats.entries < 2) /* that is the newest run of all */
        return false;
    return full == FLO_EVICT_CAPACITY ? cache->stats.entries > bounds->max_runs / bounds->caches
                                      : cache->stats.bytes > bounds->max_bytes / bounds->caches;
}

int flo_run_cache_put(struct flo_run_cache *cache, struct flo_run *run)
{
    enum flo_evict_reason full;
    flo_run_cache_drop(cache, flo_run_id(run));
    if (flo_map_put_str(&cache->runs, flo_run_id(run), run))
        return FLO_ENOMEM;
    run->cache_bytes = flo_run_bytes(run);
    flo_list_push_back(&cache->used, &run->cache_node);
    account(cache, run->cache_bytes, true);
    while ((full = broken(cache)) != FLO_EVICT_REASONS && cache->stats.entries > 0 &&
           has_more_than_its_share(cache, full))
        evict_oldest(cache, full);
    return 0;
}

bool flo_run_cache_over(const struct flo_run_cache *cache)
{
    return broken(cache) != FLO_EVICT_REASONS;
}

void flo_run_cache_trim(struct flo_run_cache *cache)
{
    enum flo_evict_reason full;
    while ((full = broken(cache)) != FLO_EVICT_REASONS && cache->stats.entries > 0)
        evict_oldest(cache, full);
}

void flo_run_cache_clear(struct flo_run_cache *cache, enum flo_evict_reason reason)
{
    while (cache->stats.entries > 0)
        evict_oldest(cache, reason);
}

void flo_run_cache_count(struct flo_run_cache *cache, enum flo_evict_reason reason)
{
    cache->stats.evicted[reason]++;
}

void flo_run_cache_drop(struct flo_run_cache *cache, const char *run_id)
{
    struct flo_run *run = flo_map_get_str(&cache->runs, run_id);
    if (!run)
        return;
    unlink_run(cache, run);
    flo_run_destroy(&run);
}

void flo_run_cache_evict(struct flo_run_cache *cache, const char *run_id,
                         enum flo_evict_reason reason)
{
    if (!flo_map_get_str(&cache->runs, run_id))
        return;
    flo_run_cache_drop(cache, run_id);
    cache->stats.evicted[reason]++;
}

/* Is the command that schedules an activity sent, and its event still to come? */
static bool schedules_activity(const struct flo_run *run)
{
    FLO_LIST_FOREACH(node, &run->commands)
    {
        const struct flo_command *command = flo_container(node, struct flo_command, node);
        if (command->ops->type == FLO_COMMAND(SCHEDULE_ACTIVITY_TASK))
            return true;
    }
    return false;
}

size_t flo_run_cache_awaiting(const struct flo_run_cache *cache)
{
    size_t awaiting = 0;
    FLO_LIST_FOREACH(node, &cache->used)
    {
        const struct flo_run *run = flo_container(node, struct flo_run, cache_node);
        awaiting += run->activities.count > 0 || schedules_activity(run);
    }
    return awaiting;
}

void flo_run_cache_each(const struct flo_run_cache *cache,
                        void (*fn)(void *ctx, const struct flo_run *run), void *ctx)
{
    FLO_LIST_FOREACH(node, &cache->used)
    fn(ctx, flo_container(node, struct flo_run, cache_node));
}

void flo_run_cache_stats(const struct flo_run_cache *cache, struct flo_run_cache_stats *out)
{
    *out = cache->stats;
}
