/* SPDX-License-Identifier: Apache-2.0 */
/* map.c - entries with copies of their keys, in a hash index and in insertion order. */
#include "base/map.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/random.h"
#include "base/siphash.h"

struct flo_map_entry {
    struct flo_index_node node;
    struct flo_map_entry *prev, *next; /* insertion order */
    void *value;
    size_t key_len;
    char key[]; /* NUL-terminated copy */
};

static uint8_t hash_key[FLO_SIPHASH_KEY_BYTES];
static pthread_once_t hash_key_once = PTHREAD_ONCE_INIT;

static void make_hash_key(void)
{
    flo_random_bytes(hash_key, sizeof hash_key);
}

uint64_t flo_hash(const void *data, size_t len)
{
    pthread_once(&hash_key_once, make_hash_key);
    return flo_siphash13(hash_key, data, len);
}

void flo_map_init(struct flo_map *map)
{
    *map = (struct flo_map){0};
}

void flo_map_fini(struct flo_map *map)
{
    struct flo_map_entry *entry = map->first;
    while (entry) {
        struct flo_map_entry *next = entry->next;
        flo_free(entry);
        entry = next;
    }
    flo_index_fini(&map->index);
    flo_map_init(map);
}

static struct flo_map_entry *find(const struct flo_map *map, const void *key, size_t key_len,
                                  uint64_t hash)
{
    for (struct flo_index_node *node = flo_index_first(&map->index, hash); node;
         node = flo_index_next(node)) {
        struct flo_map_entry *entry = flo_container(node, struct flo_map_entry, node);
        if (entry->key_len == key_len && memcmp(entry->key, key, key_len) == 0)
            return entry;
    }
    return NULL;
}

void *flo_map_get(const struct flo_map *map, const void *key, size_t key_len)
{
    if (!map->count)
        return NULL;
    const struct flo_map_entry *entry = find(map, key, key_len, flo_hash(key, key_len));
    return entry ? entry->value : NULL;
}

void *flo_map_get_str(const struct flo_map *map, const char *key)
{
    return flo_map_get(map, key, strlen(key));
}

int flo_map_put(struct flo_map *map, const void *key, size_t key_len, void *value, void **out_old)
{
    uint64_t hash = flo_hash(key, key_len);
    struct flo_map_entry *entry = find(map, key, key_len, hash);
    if (entry) {
        if (out_old)
            *out_old = entry->value;
        entry->value = value;
        return 0;
    }
    entry = flo_malloc(sizeof *entry + key_len + 1);
    if (!entry)
        return FLO_ENOMEM;
    *entry = (struct flo_map_entry){.value = value, .key_len = key_len, .prev = map->last};
    memcpy(entry->key, key, key_len);
    entry->key[key_len] = '\0';
    if (flo_index_add(&map->index, &entry->node, hash)) {
        flo_free(entry);
        return FLO_ENOMEM;
    }
    if (map->last)
        map->last->next = entry;
    else
        map->first = entry;
    map->last = entry;
    map->count++;
    if (out_old)
        *out_old = NULL;
    return 0;
}

int flo_map_put_str(struct flo_map *map, const char *key, void *value)
{
    return flo_map_put(map, key, strlen(key), value, NULL);
}

void *flo_map_remove(struct flo_map *map, const void *key, size_t key_len)
{
    if (!map->count)
        return NULL;
    struct flo_map_entry *entry = find(map, key, key_len, flo_hash(key, key_len));
    if (!entry)
        return NULL;
    flo_index_remove(&map->index, &entry->node);
    if (entry->prev)
        entry->prev->next = entry->next;
    else
        map->first = entry->next;
    if (entry->next)
        entry->next->prev = entry->prev;
    else
        map->last = entry->prev;
    map->count--;
    void *value = entry->value;
    flo_free(entry);
    return value;
}

void *flo_map_remove_str(struct flo_map *map, const char *key)
{
    return flo_map_remove(map, key, strlen(key));
}

struct flo_map_entry *flo_map_first(const struct flo_map *map)
{
    return map->first;
}

struct flo_map_entry *flo_map_next(const struct flo_map_entry *entry)
{
    return entry->next;
}

void *flo_map_value(const struct flo_map_entry *entry)
{
    return entry->value;
}

const char *flo_map_key(const struct flo_map_entry *entry, size_t *out_len)
{
    if (out_len)
        *out_len = entry->key_len;
    return entry->key;
}
