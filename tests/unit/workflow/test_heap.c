/* SPDX-License-Identifier: Apache-2.0 */
/* test_heap.c - memory of a run, and jansson inside and outside of it. */
#include "workflow/heap.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "support/cmocka_env.h"

static int setup(void **state)
{
    flo_workflow_jansson_install();
    struct flo_heap *heap = flo_heap_new();
    assert_non_null(heap);
    *state = heap;
    return 0;
}

static int teardown(void **state)
{
    struct flo_heap *heap = *state;
    flo_heap_destroy(&heap);
    assert_null(heap);
    flo_heap_destroy(&heap);
    assert_int_equal(flo_heap_total_bytes(), 0);
    return 0;
}

/* Blocks of all sizes: aligned, apart from each other, and as large as asked. */
static void test_alloc_blocks_do_not_overlap(void **state)
{
    struct flo_heap *heap = *state;
    enum { COUNT = 400 };
    unsigned char *blocks[COUNT];
    size_t sizes[COUNT], size = 1;
    for (int i = 0; i < COUNT; i++) {
        sizes[i] = size;
        blocks[i] = flo_heap_alloc(heap, size);
        assert_non_null(blocks[i]);
        assert_true(flo_heap_owns(blocks[i]));
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], i, size);
        size = size * 5 / 4 + 1;
        if (size > 300000)
            size = 1;
    }
    for (int i = 0; i < COUNT; i++) {
        for (size_t at = 0; at < sizes[i]; at += 1 + sizes[i] / 64)
            assert_int_equal(blocks[i][at], (unsigned char)i);
        assert_int_equal(blocks[i][sizes[i] - 1], (unsigned char)i);
        flo_heap_free(blocks[i]);
    }
}

static void test_freed_blocks_are_reused(void **state)
{
    struct flo_heap *heap = *state;
    static const size_t sizes[] = {1, 16, 17, 512, 513, 5000, 32768, 32769, 1000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        flo_heap_free(flo_heap_alloc(heap, sizes[i]));
        size_t held = flo_heap_bytes(heap);
        for (int n = 0; n < 1000; n++)
            flo_heap_free(flo_heap_alloc(heap, sizes[i]));
        assert_int_equal(flo_heap_bytes(heap), held);
    }
}

static void test_calloc_zeroes_and_strdup_copies(void **state)
{
    struct flo_heap *heap = *state;
    memset(flo_heap_alloc(heap, 64), 0xff, 64);
    flo_heap_free(flo_heap_alloc(heap, 64));
    unsigned char *zeroed = flo_heap_calloc(heap, 64);
    for (int i = 0; i < 64; i++)
        assert_int_equal(zeroed[i], 0);
    assert_string_equal(flo_heap_strdup(heap, "text"), "text");
}

/* A refused allocation is remembered until it is cleared. */
static void test_failure_is_remembered(void **state)
{
    struct flo_heap *heap = *state;
    assert_false(flo_heap_failed(heap));
    flo_alloc_fail_after(0, 0);
    assert_null(flo_heap_alloc(heap, 10));
    assert_true(flo_heap_failed(heap));
    assert_non_null(flo_heap_alloc(heap, 10));
    assert_true(flo_heap_failed(heap));
    flo_heap_failed_clear(heap);
    assert_null(flo_heap_alloc(heap, SIZE_MAX / 2 + 1));
    assert_true(flo_heap_failed(heap));
}

/* Inside, values are the heap's; outside, they are malloc's and free(json_dumps()) is right. */
static void test_jansson_follows_the_current_heap(void **state)
{
    struct flo_heap *heap = *state;
    json_t *outside = json_pack("{s:i}", "a", 1);
    assert_false(flo_heap_owns(outside));
    assert_null(flo_heap_enter(heap));
    json_t *inside = json_pack("{s:[i,i]}", "b", 1, 2);
    assert_true(flo_heap_owns(inside));
    json_decref(outside); /* freed where it came from */
    assert_ptr_equal(flo_heap_enter(NULL), heap);
    json_t *after = json_array();
    assert_false(flo_heap_owns(after));
    json_decref(inside);
    free(json_dumps(after, 0));
    json_decref(after);
}

static void *churn(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        struct flo_heap *heap = flo_heap_new();
        struct flo_heap *before = flo_heap_enter(heap);
        json_t *value = json_array();
        for (int n = 0; n < 200; n++)
            json_array_append_new(value, json_string("a text of some length"));
        flo_heap_enter(before);
        assert_true(flo_heap_owns(value));
        flo_heap_destroy(&heap); /* with all that is in it */
    }
    return NULL;
}

/* Heaps on several threads share the range. */
static void test_heaps_on_many_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_alloc_blocks_do_not_overlap),      T(test_freed_blocks_are_reused),
        T(test_calloc_zeroes_and_strdup_copies),  T(test_failure_is_remembered),
        T(test_jansson_follows_the_current_heap), T(test_heaps_on_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
