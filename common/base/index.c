/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.c - linear hashing over chains.
 *
 * With n buckets and 2^k <= n < 2^(k+1), the low k + 1 bits of a hash name its bucket; when there
 * is no such bucket yet, the low k bits do. Bucket n, once added, takes its nodes from bucket
 * n - 2^k, where the low k bits had put them.
 */
#include "base/index.h"

#include "base/alloc.h"

#define FIRST_BUCKETS 4

void flo_index_init(struct flo_index *index)
{
    *index = (struct flo_index){0};
}

void flo_index_fini(struct flo_index *index)
{
    flo_free(index->buckets);
    flo_index_init(index);
}

/* The largest power of two that is not above n; n > 0. */
static size_t power_of_two(size_t n)
{
    return (size_t)1 << (63 - __builtin_clzll(n));
}

size_t flo_index_bytes(const struct flo_index *index)
{
    size_t places = index->bucket_count;
    if (places > FIRST_BUCKETS)
        places = 2 * power_of_two(places - 1);
    else if (places > 0)
        places = FIRST_BUCKETS;
    return places * sizeof(*index->buckets);
}

static struct flo_index_node **bucket_of(const struct flo_index *index, uint64_t hash)
{
    const size_t low = power_of_two(index->bucket_count);
    size_t i = hash & (2 * low - 1);
    return &index->buckets[i < index->bucket_count ? i : i - low];
}

/* One more bucket, with its share of another's nodes. */
static int split(struct flo_index *index)
{
    const size_t added = index->bucket_count;
    if (added == 0 || (added >= FIRST_BUCKETS && power_of_two(added) == added)) {
        size_t places = added ? 2 * added : FIRST_BUCKETS;
        struct flo_index_node **buckets =
            flo_reallocarray(index->buckets, places, sizeof(*index->buckets));
        if (!buckets)
            return FLO_ENOMEM;
        index->buckets = buckets;
    }
    index->buckets[added] = NULL;
    index->bucket_count++;
    if (added == 0)
        return 0;
    struct flo_index_node **from = &index->buckets[added - power_of_two(added)];
    while (*from) {
        struct flo_index_node *node = *from;
        struct flo_index_node **to = bucket_of(index, node->hash);
        if (to != &index->buckets[added]) {
            from = &node->chain;
            continue;
        }
        *from = node->chain;
        node->chain = *to;
        *to = node;
    }
    return 0;
}

int flo_index_add(struct flo_index *index, struct flo_index_node *node, uint64_t hash)
{
    if (index->count >= index->bucket_count && split(index))
        return FLO_ENOMEM;
    node->hash = hash;
    struct flo_index_node **bucket = bucket_of(index, hash);
    node->chain = *bucket;
    *bucket = node;
    index->count++;
    return 0;
}

void flo_index_remove(struct flo_index *index, struct flo_index_node *node)
{
    struct flo_index_node **slot = bucket_of(index, node->hash);
    while (*slot != node)
        slot = &(*slot)->chain;
    *slot = node->chain;
    index->count--;
}

static struct flo_index_node *with_hash(struct flo_index_node *node, uint64_t hash)
{
    while (node && node->hash != hash)
        node = node->chain;
    return node;
}

struct flo_index_node *flo_index_first(const struct flo_index *index, uint64_t hash)
{
    return index->count ? with_hash(*bucket_of(index, hash), hash) : NULL;
}

struct flo_index_node *flo_index_next(const struct flo_index_node *node)
{
    return with_hash(node->chain, node->hash);
}
