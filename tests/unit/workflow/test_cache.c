/* SPDX-License-Identifier: Apache-2.0 */
/* test_cache.c - the sticky cache: least recently used out first, within both bounds. */
#include "workflow/cache.h"

#include <stdio.h>

#include "base/alloc.h"
#include "support/cmocka_env.h"

static flo_workflow_fn no_workflow(void *ctx, const char *type)
{
    (void)ctx, (void)type;
    return NULL;
}

static struct flo_run *run_new(const char *id)
{
    struct flo_run_env env = {.namespace_ = "default", .identity = "test"};
    struct flo_run *run = NULL;
    assert_int_equal(flo_run_new(&env, no_workflow, NULL, "workflow", id, &run), 0);
    return run;
}

static struct flo_run_cache *cache_new(size_t max_bytes, size_t max_runs)
{
    struct flo_run_cache *cache = NULL;
    assert_int_equal(flo_run_cache_new(max_bytes, max_runs, &cache), 0);
    return cache;
}

static struct flo_run_cache_stats stats(const struct flo_run_cache *cache)
{
    struct flo_run_cache_stats s;
    flo_run_cache_stats(cache, &s);
    return s;
}

/* A run that was used is younger than one that was not. */
static void test_put_beyond_max_runs_evicts_the_oldest(void **state)
{
    (void)state;
    struct flo_run_cache *cache = cache_new(SIZE_MAX, 2);
    assert_int_equal(flo_run_cache_put(cache, run_new("a")), 0);
    assert_int_equal(flo_run_cache_put(cache, run_new("b")), 0);
    struct flo_run *a = flo_run_cache_take(cache, "a");
    assert_non_null(a);
    assert_int_equal(flo_run_cache_put(cache, a), 0);
    assert_int_equal(flo_run_cache_put(cache, run_new("c")), 0);
    assert_null(flo_run_cache_take(cache, "b"));
    struct flo_run_cache_stats s = stats(cache);
    assert_int_equal(s.entries, 2);
    assert_int_equal(s.hits, 1);
    assert_int_equal(s.misses, 1);
    assert_int_equal(s.evictions, 1);
    flo_run_cache_destroy(&cache);
    assert_null(cache);
    flo_run_cache_destroy(&cache);
    assert_int_equal(flo_heap_total_bytes(), 0);
}

/* Bytes are counted as they are when the run is put in, and gone when it is taken. */
static void test_put_beyond_max_bytes_evicts(void **state)
{
    (void)state;
    struct flo_run *first = run_new("a");
    size_t one = flo_run_bytes(first);
    struct flo_run_cache *cache = cache_new(3 * one, 1000);
    assert_int_equal(flo_run_cache_put(cache, first), 0);
    for (int i = 0; i < 10; i++) {
        char id[16];
        snprintf(id, sizeof id, "run-%d", i);
        assert_int_equal(flo_run_cache_put(cache, run_new(id)), 0);
    }
    assert_int_equal(stats(cache).entries, 3);
    assert_int_equal(stats(cache).bytes, 3 * one);
    struct flo_run *taken = flo_run_cache_take(cache, "run-9");
    assert_int_equal(stats(cache).bytes, 2 * one);
    flo_run_destroy(&taken);
    flo_run_cache_destroy(&cache);
}

/* A taken run is out of the cache's reach. */
static void test_taken_run_is_never_evicted(void **state)
{
    (void)state;
    struct flo_run_cache *cache = cache_new(SIZE_MAX, 1);
    assert_int_equal(flo_run_cache_put(cache, run_new("a")), 0);
    struct flo_run *a = flo_run_cache_take(cache, "a");
    assert_int_equal(flo_run_cache_put(cache, run_new("b")), 0);
    assert_string_equal(flo_run_id(a), "a");
    assert_int_equal(stats(cache).evictions, 0);
    assert_int_equal(flo_run_cache_put(cache, a), 0);
    assert_int_equal(stats(cache).evictions, 1);
    flo_run_cache_drop(cache, "a");
    flo_run_cache_drop(cache, "a");
    assert_int_equal(stats(cache).entries, 0);
    flo_run_cache_destroy(&cache);
}

/* No room at all: the run is gone at once. The same id again: the newer one stays. */
static void test_put_edges(void **state)
{
    (void)state;
    struct flo_run_cache *cache = cache_new(10, 10);
    assert_int_equal(flo_run_cache_put(cache, run_new("a")), 0);
    assert_int_equal(stats(cache).entries, 0);
    flo_run_cache_destroy(&cache);
    cache = cache_new(SIZE_MAX, 10);
    assert_int_equal(flo_run_cache_put(cache, run_new("a")), 0);
    struct flo_run *newer = run_new("a");
    assert_int_equal(flo_run_cache_put(cache, newer), 0);
    assert_int_equal(stats(cache).entries, 1);
    assert_ptr_equal(flo_run_cache_take(cache, "a"), newer);
    flo_alloc_fail_after(0, 0);
    assert_int_equal(flo_run_cache_put(cache, newer), FLO_ENOMEM);
    flo_run_destroy(&newer);
    flo_run_cache_destroy(&cache);
    assert_int_equal(flo_heap_total_bytes(), 0);
}

/* Caches that share a bound: who has more than its share pays, and who has not says that there is
 * too much; reasons are counted. */
static void test_shared_bound(void **state)
{
    (void)state;
    struct flo_run_cache_bounds bounds = {.max_bytes = SIZE_MAX, .max_runs = 4, .caches = 2};
    struct flo_run_cache *a = NULL, *b = NULL;
    assert_int_equal(flo_run_cache_new_shared(&bounds, &a), 0);
    assert_int_equal(flo_run_cache_new_shared(&bounds, &b), 0);
    for (int i = 0; i < 4; i++) {
        char id[16];
        snprintf(id, sizeof id, "a-%d", i);
        assert_int_equal(flo_run_cache_put(a, run_new(id)), 0);
    }
    assert_false(flo_run_cache_over(a));
    assert_int_equal(flo_run_cache_put(b, run_new("b-0")), 0);
    assert_int_equal(stats(b).entries, 1);
    assert_true(flo_run_cache_over(b));
    flo_run_cache_trim(a);
    assert_false(flo_run_cache_over(b));
    assert_int_equal(stats(a).entries, 3);
    assert_null(flo_run_cache_take(a, "a-0")); /* the oldest */
    assert_int_equal(flo_run_cache_put(a, run_new("a-4")), 0);
    assert_int_equal(stats(a).entries, 3); /* it had its share */
    assert_int_equal(stats(a).evicted[FLO_EVICT_CAPACITY], 2);
    flo_run_cache_evict(a, "a-4", FLO_EVICT_FAILED);
    flo_run_cache_evict(a, "a-4", FLO_EVICT_FAILED);
    assert_int_equal(stats(a).evicted[FLO_EVICT_FAILED], 1);
    flo_run_cache_clear(a, FLO_EVICT_FORCED);
    assert_int_equal(stats(a).evicted[FLO_EVICT_FORCED], 2);
    assert_int_equal(atomic_load(&bounds.entries), 1);
    flo_run_cache_destroy(&a);
    flo_run_cache_destroy(&b);
    assert_int_equal(atomic_load(&bounds.bytes), 0);
    assert_int_equal(flo_heap_total_bytes(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_beyond_max_runs_evicts_the_oldest),
        cmocka_unit_test(test_put_beyond_max_bytes_evicts),
        cmocka_unit_test(test_taken_run_is_never_evicted),
        cmocka_unit_test(test_put_edges),
        cmocka_unit_test(test_shared_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
