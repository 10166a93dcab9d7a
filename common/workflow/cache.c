/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c - runs by id in the order of use. A taken run is not inside, so it cannot be evicted. */
#include "workflow/cache.h"

#include "base/alloc.h"
#include "workflow/internal.h"

struct flo_run_cache {
    struct flo_map runs;  /* run id -> struct flo_run, owned */
    struct flo_list used; /* the same, least recently used first */
    size_t max_bytes, max_runs;
    struct flo_run_cache_stats stats;
};

int flo_run_cache_new(size_t max_bytes, size_t max_runs, struct flo_run_cache **out_cache)
{
    struct flo_run_cache *cache = flo_calloc(1, sizeof *cache);
    if (!cache)
        return FLO_ENOMEM;
    flo_map_init(&cache->runs);
    flo_list_init(&cache->used);
    cache->max_bytes = max_bytes;
    cache->max_runs = max_runs;
    *out_cache = cache;
    return 0;
}

/* Take run off all lists; it is the caller's. */
static void unlink_run(struct flo_run_cache *cache, struct flo_run *run)
{
    flo_map_remove_str(&cache->runs, flo_run_id(run));
    flo_list_remove(&cache->used, &run->cache_node);
    cache->stats.bytes -= run->cache_bytes;
    cache->stats.entries--;
}

static struct flo_run *oldest(struct flo_run_cache *cache)
{
    struct flo_node *node = flo_list_first(&cache->used);
    return node ? flo_container(node, struct flo_run, cache_node) : NULL;
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

int flo_run_cache_put(struct flo_run_cache *cache, struct flo_run *run)
{
    flo_run_cache_drop(cache, flo_run_id(run));
    if (flo_map_put_str(&cache->runs, flo_run_id(run), run))
        return FLO_ENOMEM;
    run->cache_bytes = flo_run_bytes(run);
    flo_list_push_back(&cache->used, &run->cache_node);
    cache->stats.bytes += run->cache_bytes;
    cache->stats.entries++;
    while (cache->stats.entries > cache->max_runs || cache->stats.bytes > cache->max_bytes) {
        struct flo_run *evicted = oldest(cache);
        unlink_run(cache, evicted);
        flo_run_destroy(&evicted);
        cache->stats.evictions++;
    }
    return 0;
}

void flo_run_cache_drop(struct flo_run_cache *cache, const char *run_id)
{
    struct flo_run *run = flo_map_get_str(&cache->runs, run_id);
    if (!run)
        return;
    unlink_run(cache, run);
    flo_run_destroy(&run);
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
