/* SPDX-License-Identifier: Apache-2.0 */
/* list, index, map. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/index.h"
#include "base/list.h"
#include "base/map.h"
#include "base/siphash.h"
#include "support/cmocka_env.h"

struct item {
    int number;
    struct flo_node node;
    struct flo_index_node hashed;
};

/* Elements keep their order, may go while walked, and know whether they are on a list. */
static void test_list_order_and_removal(void **state)
{
    (void)state;
    struct flo_list list;
    struct item items[5];
    flo_list_init(&list);
    assert_true(flo_list_empty(&list));
    assert_null(flo_list_first(&list));
    assert_null(flo_list_pop_front(&list));
    for (int i = 0; i < 5; i++) {
        items[i].number = i;
        flo_node_init(&items[i].node);
        assert_false(flo_node_linked(&items[i].node));
        if (i == 4)
            flo_list_push_front(&list, &items[i].node);
        else
            flo_list_push_back(&list, &items[i].node);
        assert_true(flo_node_linked(&items[i].node));
    }
    int order[5], count = 0;
    FLO_LIST_FOREACH(node, &list)
    order[count++] = flo_container(node, struct item, node)->number;
    static const int expected[] = {4, 0, 1, 2, 3};
    assert_memory_equal(order, expected, sizeof expected);

    FLO_LIST_FOREACH_SAFE(node, &list)
    {
        if (flo_container(node, struct item, node)->number % 2 == 0)
            flo_list_remove(&list, node);
    }
    assert_int_equal(list.count, 2);
    assert_false(flo_node_linked(&items[4].node));
    assert_ptr_equal(flo_list_pop_front(&list), &items[1].node);
    assert_ptr_equal(flo_list_pop_front(&list), &items[3].node);
    assert_true(flo_list_empty(&list));
}

/* Put, replace, remove; keys are bytes and may hold NUL. */
static void test_map_put_get_remove(void **state)
{
    (void)state;
    struct flo_map map;
    int a, b, c;
    flo_map_init(&map);
    assert_null(flo_map_get_str(&map, "x"));
    assert_null(flo_map_remove_str(&map, "x"));
    assert_int_equal(flo_map_put_str(&map, "x", &a), 0);
    assert_int_equal(flo_map_put(&map, "x\0y", 3, &b, NULL), 0);
    assert_int_equal(flo_map_put(&map, "", 0, &c, NULL), 0);
    assert_ptr_equal(flo_map_get_str(&map, "x"), &a);
    assert_ptr_equal(flo_map_get(&map, "x\0y", 3), &b);
    assert_ptr_equal(flo_map_get_str(&map, ""), &c);
    void *old;
    assert_int_equal(flo_map_put(&map, "x", 1, &b, &old), 0);
    assert_ptr_equal(old, &a);
    assert_int_equal(flo_map_put(&map, "new", 3, &b, &old), 0);
    assert_null(old);
    assert_int_equal(map.count, 4);
    assert_ptr_equal(flo_map_remove_str(&map, "x"), &b);
    assert_null(flo_map_get_str(&map, "x"));
    assert_int_equal(map.count, 3);
    flo_map_fini(&map);
}

/* How many nodes the index gives for the hash of item i, and whether item i is among them. */
static int found(const struct flo_index *index, const struct item *item, uint64_t hash)
{
    int same = 0, all = 0;
    for (struct flo_index_node *node = flo_index_first(index, hash); node;
         node = flo_index_next(node)) {
        same += flo_container(node, struct item, hashed) == item;
        all++;
    }
    assert_true(same <= 1);
    return same ? all : 0;
}

/* Every node is found at every size while the index grows and shrinks; equal hashes stay apart. */
static void test_index_finds_all_at_every_size(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    static struct item items[COUNT];
    struct flo_index index = {0};
    assert_null(flo_index_first(&index, 1));
    assert_int_equal(flo_index_bytes(&index), 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        /* Two of each, hashes that differ in high bits only among them. */
        assert_int_equal(flo_index_add(&index, &items[i].hashed, i / 2 << (i % 8 * 7)), 0);
        size_t places = 4;
        while (places < i + 1)
            places *= 2;
        assert_int_equal(flo_index_bytes(&index), places * sizeof(void *));
        for (uint64_t j = 0; j <= i; j++)
            assert_true(found(&index, &items[j], items[j].hashed.hash) > 0);
    }
    assert_int_equal(index.count, COUNT);
    assert_int_equal(index.bucket_count, COUNT);
    for (uint64_t i = 0; i < COUNT; i++) {
        flo_index_remove(&index, &items[i].hashed);
        assert_int_equal(found(&index, &items[i], items[i].hashed.hash), 0);
        for (uint64_t j = i + 1; j < COUNT; j++)
            assert_true(found(&index, &items[j], items[j].hashed.hash) > 0);
    }
    assert_int_equal(index.count, 0);
    flo_index_fini(&index);
}

/* Ten thousand keys come back in the order in which they came, with holes where some went. */
static void test_map_keeps_insertion_order(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    static int values[COUNT];
    struct flo_map map;
    flo_map_init(&map);
    char key[32];
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof key, "key-%d", i * 7919 % COUNT);
        values[i] = i * 7919 % COUNT;
        assert_int_equal(flo_map_put_str(&map, key, &values[i]), 0);
    }
    assert_int_equal(map.count, COUNT);
    for (int i = 0; i < COUNT; i += 3) {
        snprintf(key, sizeof key, "key-%d", values[i]);
        assert_ptr_equal(flo_map_remove_str(&map, key), &values[i]);
    }
    int at = 0;
    for (struct flo_map_entry *it = flo_map_first(&map); it; it = flo_map_next(it)) {
        if (at % 3 == 0)
            at++;
        assert_ptr_equal(flo_map_value(it), &values[at]);
        size_t len;
        snprintf(key, sizeof key, "key-%d", values[at]);
        assert_string_equal(flo_map_key(it, &len), key);
        assert_int_equal(len, strlen(key));
        at++;
    }
    flo_map_fini(&map);
    assert_null(flo_map_first(&map));
}

/* Without memory put fails and the map is as before. */
static void test_map_put_without_memory(void **state)
{
    (void)state;
    struct flo_map map;
    int value;
    flo_map_init(&map);
    for (int64_t nth = 0; nth < 2; nth++) { /* the entry, then the buckets */
        flo_alloc_fail_after(nth, 0);
        assert_int_equal(flo_map_put_str(&map, "k", &value), FLO_ENOMEM);
        flo_alloc_fail_after(-1, 0);
        assert_int_equal(map.count, 0);
        assert_null(flo_map_get_str(&map, "k"));
    }
    assert_int_equal(flo_map_put_str(&map, "k", &value), 0);
    flo_map_fini(&map);
}

/* The hash tells lengths apart and is the same within a process. */
static void test_hash(void **state)
{
    (void)state;
    static const char zeros[32] = {0};
    for (size_t a = 0; a < 32; a++) {
        assert_true(flo_hash(zeros, a) == flo_hash(zeros, a));
        for (size_t b = a + 1; b < 32; b++)
            assert_true(flo_hash(zeros, a) != flo_hash(zeros, b));
    }
}

/* The authors' vectors: key 00 01 .. 0f, message 00 01 .. */
static void test_siphash(void **state)
{
    uint8_t bytes[16];
    (void)state;
    for (uint8_t i = 0; i < sizeof bytes; i++)
        bytes[i] = i;
    assert_true(flo_siphash24(bytes, bytes, 0) == 0x726fdb47dd0e0e31ULL);
    assert_true(flo_siphash24(bytes, bytes, 15) == 0xa129ca6149be45e5ULL);
    assert_true(flo_siphash13(bytes, bytes, 0) == 0xabac0158050fc4dcULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_order_and_removal),
        cmocka_unit_test(test_index_finds_all_at_every_size),
        cmocka_unit_test(test_map_put_get_remove),
        cmocka_unit_test(test_map_keeps_insertion_order),
        cmocka_unit_test(test_map_put_without_memory),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_siphash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
