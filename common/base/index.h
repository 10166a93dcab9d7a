/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h - intrusive hash index: finds structs by a hash that the caller computes, and allocates
 * nothing but its array of buckets. The caller compares the keys.
 *
 * It grows by linear hashing (Litwin 1980): one more bucket for each node added, which takes over
 * its share of one other bucket's nodes. So no insertion ever waits for all others to be moved,
 * however many there are; what doubles at times is only the array of pointers.
 */
#ifndef FLO_BASE_INDEX_H
#define FLO_BASE_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"

/* Sits in the struct that is found. */
struct flo_index_node {
    struct flo_index_node *chain; /* next in the bucket */
    uint64_t hash;
};

/* All zero is an empty index. */
struct flo_index {
    struct flo_index_node **buckets;
    size_t bucket_count; /* in use; the array has the next power of two of places, at least 4 */
    size_t count;        /* nodes */
};

void flo_index_init(struct flo_index *index);
/* Free the buckets; the nodes are the caller's. */
void flo_index_fini(struct flo_index *index);
/* What the array of buckets takes. */
size_t flo_index_bytes(const struct flo_index *index);

/* Add node under hash; equal hashes, and equal keys, may be there. 0, FLO_ENOMEM: it is not in. */
FLO_MUST_CHECK int flo_index_add(struct flo_index *index, struct flo_index_node *node,
                                 uint64_t hash);
/* Take out node, which must be in. Never allocates. */
void flo_index_remove(struct flo_index *index, struct flo_index_node *node);

/* The nodes with exactly this hash: for (n = flo_index_first(i, h); n; n = flo_index_next(n)).
 * Their order means nothing. The current one must not be removed before the next was taken. */
struct flo_index_node *flo_index_first(const struct flo_index *index, uint64_t hash);
struct flo_index_node *flo_index_next(const struct flo_index_node *node);

#endif
