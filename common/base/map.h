/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.h - hash map from byte strings to pointers. Iteration follows insertion order, whatever the
 * hash seed is, so that a simulated run with the same seed repeats itself exactly. Keys are
 * copied. Hash: SipHash-1-3 with a per-process key, so that a client cannot choose colliding ids.
 */
#ifndef FLO_BASE_MAP_H
#define FLO_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/index.h"
#include "flotilla/error.h"

struct flo_map_entry;

struct flo_map {
    struct flo_index index;             /* grows a bucket at a time (base/index.h) */
    size_t count;                       /* entries */
    struct flo_map_entry *first, *last; /* insertion order */
};

void flo_map_init(struct flo_map *map);
/* Free the entries; the values are the caller's (free them first with FLO_MAP_FOREACH). */
void flo_map_fini(struct flo_map *map);

/* The value under key, or NULL. */
void *flo_map_get(const struct flo_map *map, const void *key, size_t key_len);
void *flo_map_get_str(const struct flo_map *map, const char *key);
/* Put value (not NULL) under key, replacing what was there; *out_old gets that or NULL (may be
 * NULL). 0 or FLO_ENOMEM. */
FLO_MUST_CHECK int flo_map_put(struct flo_map *map, const void *key, size_t key_len, void *value,
                               void **out_old);
FLO_MUST_CHECK int flo_map_put_str(struct flo_map *map, const char *key, void *value);
/* Remove and return the value under key, or NULL. */
void *flo_map_remove(struct flo_map *map, const void *key, size_t key_len);
void *flo_map_remove_str(struct flo_map *map, const char *key);

/* Iterate: for (it = flo_map_first(m); it; it = flo_map_next(it)). Removing the current entry is
 * allowed when next was taken before. */
struct flo_map_entry *flo_map_first(const struct flo_map *map);
struct flo_map_entry *flo_map_next(const struct flo_map_entry *entry);
void *flo_map_value(const struct flo_map_entry *entry);
const char *flo_map_key(const struct flo_map_entry *entry, size_t *out_len); /* NUL-terminated */

/* The keyed hash itself. */
uint64_t flo_hash(const void *data, size_t len);

#endif
