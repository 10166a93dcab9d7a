/* SPDX-License-Identifier: Apache-2.0 */
/* alloc, arena, buf: bounds, failing allocations, and that failure changes nothing. */
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "support/cmocka_env.h"

/* The seam fails the allocation that was named, and with forever all after it. */
static void test_alloc_seam_fails_the_nth(void **state)
{
    (void)state;
    flo_alloc_fail_after(1, 0);
    void *first = flo_malloc(1), *second = flo_malloc(1), *third = flo_malloc(1);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    flo_alloc_fail_after(0, 1);
    assert_null(flo_calloc(1, 1));
    assert_null(flo_strdup("x"));
    assert_null(flo_asprintf("%d", 1));
    assert_null(flo_memdup("x", 1));
    assert_null(flo_reallocarray(first, 2, 1)); /* first is still ours */
    flo_alloc_fail_after(-1, 0);
    flo_free(first);
    flo_free(third);
    flo_free(NULL);
}

/* Sizes that overflow count as out of memory; sizes of nothing give a block. */
static void test_alloc_odd_sizes(void **state)
{
    (void)state;
    volatile size_t huge = SIZE_MAX / 2 + 2;
    assert_null(flo_calloc(huge, 2));
    assert_null(flo_reallocarray(NULL, huge, 2));
    void *empty = flo_malloc(0);
    assert_non_null(empty);
    flo_free(empty);
    char *text = flo_strndup("abcdef", 3);
    assert_string_equal(text, "abc");
    flo_free(text);
    text = flo_asprintf("%s-%d", "a", 7);
    assert_string_equal(text, "a-7");
    flo_free(text);
}

/* Blocks are aligned, distinct and stay where they are; fini gives all back. */
static void test_arena_blocks(void **state)
{
    (void)state;
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    assert_int_equal(arena.held_bytes, 0);
    uint8_t *blocks[1000];
    for (size_t i = 0; i < 1000; i++) {
        blocks[i] = flo_arena_alloc(&arena, i % 100);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
        memset(blocks[i], (int)i, i % 100);
    }
    for (size_t i = 0; i < 1000; i++)
        for (size_t k = 0; k < i % 100; k++)
            assert_int_equal(blocks[i][k], (uint8_t)i);
    assert_true(arena.held_bytes >= 49500);
    flo_arena_fini(&arena);
    assert_int_equal(arena.held_bytes, 0);
    flo_arena_fini(NULL);
}

/* Unaligned blocks lie one after the other; the next aligned one is aligned again. */
static void test_arena_bytes_lie_close(void **state)
{
    (void)state;
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    uint8_t *first = flo_arena_alloc_bytes(&arena, 3), *second = flo_arena_alloc_bytes(&arena, 5);
    assert_ptr_equal(second, first + 3);
    uint8_t *aligned = flo_arena_alloc(&arena, 1);
    assert_int_equal((uintptr_t)aligned % _Alignof(max_align_t), 0);
    assert_true(aligned >= second + 5);
    assert_non_null(flo_arena_alloc_bytes(&arena, 100000));
    assert_null(flo_arena_alloc_bytes(&arena, SIZE_MAX));
    flo_arena_fini(&arena);
}

/* The copying helpers copy. */
static void test_arena_copies(void **state)
{
    (void)state;
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    assert_string_equal(flo_arena_strdup(&arena, "text"), "text");
    assert_string_equal(flo_arena_strndup(&arena, "text", 2), "te");
    assert_string_equal(flo_arena_printf(&arena, "%s %04d", "n", 42), "n 0042");
    assert_memory_equal(flo_arena_memdup(&arena, "a\0b", 3), "a\0b", 3);
    assert_non_null(flo_arena_memdup(&arena, NULL, 0));
    const uint8_t *zeros = flo_arena_calloc(&arena, 10, 10);
    for (int i = 0; i < 100; i++)
        assert_int_equal(zeros[i], 0);
    flo_arena_fini(&arena);
}

/* Past the budget, and for sizes that overflow, the answer is NULL and the budget still holds. */
static void test_arena_budget(void **state)
{
    (void)state;
    struct flo_arena arena;
    flo_arena_init(&arena, 10000);
    size_t got = 0;
    while (flo_arena_alloc(&arena, 100))
        got++;
    assert_true(got >= 80 && got <= 100);
    assert_true(arena.held_bytes <= 10000);
    assert_null(flo_arena_alloc(&arena, 5000));
    assert_null(flo_arena_alloc(&arena, SIZE_MAX - 3));
    assert_null(flo_arena_calloc(&arena, SIZE_MAX / 2, 4));
    flo_arena_fini(&arena);
    assert_int_equal(arena.budget_bytes, 10000);
    assert_non_null(flo_arena_alloc(&arena, 5000)); /* usable again */
    flo_arena_fini(&arena);
}

/* reset keeps one chunk and forgets the rest. */
static void test_arena_reset_keeps_a_chunk(void **state)
{
    (void)state;
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    flo_arena_reset(&arena);
    for (int i = 0; i < 100; i++)
        assert_non_null(flo_arena_alloc(&arena, 1000));
    size_t before = arena.held_bytes;
    flo_arena_reset(&arena);
    assert_true(arena.held_bytes > 0 && arena.held_bytes < before);
    flo_alloc_fail_after(0, 1); /* the kept chunk serves */
    assert_non_null(flo_arena_alloc(&arena, 1000));
    assert_null(flo_arena_alloc(&arena, (size_t)1024 * 1024));
    flo_alloc_fail_after(-1, 0);
    flo_arena_fini(&arena);
}

/* Appends of every kind, a NUL past the end, consume, take. */
static void test_buf_content(void **state)
{
    (void)state;
    struct flo_buf buf;
    flo_buf_init(&buf, 0);
    assert_string_equal(flo_buf_cstr(&buf), "");
    assert_int_equal(flo_buf_append(&buf, "ab", 2), 0);
    assert_int_equal(flo_buf_append(&buf, NULL, 0), 0);
    assert_int_equal(flo_buf_append_str(&buf, "cd"), 0);
    assert_int_equal(flo_buf_printf(&buf, "%0100d", 5), 0);
    assert_int_equal(buf.len, 104);
    assert_int_equal(strlen(flo_buf_cstr(&buf)), 104);
    flo_buf_consume(&buf, 3);
    assert_int_equal(buf.data[0], 'd');
    assert_int_equal(buf.len, 101);
    flo_buf_consume(&buf, 1000);
    assert_int_equal(buf.len, 0);
    memcpy(flo_buf_reserve(&buf, 3), "xyz", 3);
    buf.len += 3;
    size_t len;
    uint8_t *taken = flo_buf_take(&buf, &len);
    assert_int_equal(len, 3);
    assert_memory_equal(taken, "xyz", 3);
    assert_null(buf.data);
    flo_free(taken);
    assert_non_null(flo_buf_reserve(&buf, 0)); /* NULL is for failure alone */
    flo_buf_fini(&buf);
}

/* A refused append leaves the content, and the mark stays until clear. */
static void test_buf_bound_and_memory(void **state)
{
    (void)state;
    struct flo_buf buf;
    flo_buf_init(&buf, 10);
    assert_int_equal(flo_buf_append_str(&buf, "12345678"), 0);
    assert_int_equal(flo_buf_append_str(&buf, "abc"), FLO_ELIMIT);
    assert_int_equal(flo_buf_printf(&buf, "%s", "abc"), FLO_ELIMIT);
    assert_null(flo_buf_reserve(&buf, SIZE_MAX));
    assert_true(buf.failed);
    assert_int_equal(buf.len, 8);
    assert_string_equal(flo_buf_cstr(&buf), "");
    flo_buf_clear(&buf);
    assert_false(buf.failed);
    assert_int_equal(flo_buf_append_str(&buf, "1234567890"), 0); /* exactly the bound */
    flo_buf_fini(&buf);

    flo_buf_init(&buf, 0);
    flo_alloc_fail_after(0, 0);
    assert_int_equal(flo_buf_append_str(&buf, "abc"), FLO_ENOMEM);
    flo_alloc_fail_after(-1, 0);
    assert_true(buf.failed && buf.len == 0);
    flo_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_seam_fails_the_nth),
        cmocka_unit_test(test_alloc_odd_sizes),
        cmocka_unit_test(test_arena_blocks),
        cmocka_unit_test(test_arena_bytes_lie_close),
        cmocka_unit_test(test_arena_copies),
        cmocka_unit_test(test_arena_budget),
        cmocka_unit_test(test_arena_reset_keeps_a_chunk),
        cmocka_unit_test(test_buf_content),
        cmocka_unit_test(test_buf_bound_and_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
