/* SPDX-License-Identifier: Apache-2.0 */
/* map.c - chained hash map with insertion order. */
#include "base/map.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "base/siphash.h"

struct flo_map_entry {
    struct flo_map_entry *chain;       /* next in the bucket */
    struct flo_map_entry *prev, *next; /* insertion order */
    void *value;
    uint64_t hash;
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
    flo_free(map->buckets);
    flo_map_init(map);
}

static struct flo_map_entry **find(const struct flo_map *map, const void *key, size_t key_len,
                                   uint64_t hash)
{
    struct flo_map_entry **slot = &map->buckets[hash & (map->bucket_count - 1)];
    while (*slot && ((*slot)->hash != hash || (*slot)->key_len != key_len ||
                     memcmp((*slot)->key, key, key_len) != 0))
        slot = &(*slot)->chain;
    return slot;
}

void *flo_map_get(const struct flo_map *map, const void *key, size_t key_len)
{
    if (!map->count)
        return NULL;
    struct flo_map_entry *entry = *find(map, key, key_len, flo_hash(key, key_len));
    return entry ? entry->value : NULL;
}

void *flo_map_get_str(const struct flo_map *map, const char *key)
{
    return flo_map_get(map, key, strlen(key));
}

static int grow(struct flo_map *map)
{
    size_t count = map->bucket_count ? map->bucket_count * 2 : 16;
    struct flo_map_entry **buckets = flo_calloc(count, sizeof *buckets);
    if (!buckets)
        return FLO_ENOMEM;
    for (struct flo_map_entry *entry = map->first; entry; entry = entry->next) {
        struct flo_map_entry **bucket = &buckets[entry->hash & (count - 1)];
        entry->chain = *bucket;
        *bucket = entry;
    }
    flo_free(map->buckets);
    map->buckets = buckets;
    map->bucket_count = count;
    return 0;
}

int flo_map_put(struct flo_map *map, const void *key, size_t key_len, void *value, void **out_old)
{
    if (map->count >= map->bucket_count && grow(map))
        return FLO_ENOMEM;
    uint64_t hash = flo_hash(key, key_len);
    struct flo_map_entry **slot = find(map, key, key_len, hash);
    if (*slot) {
        if (out_old)
            *out_old = (*slot)->value;
        (*slot)->value = value;
        return 0;
    }
    struct flo_map_entry *entry = flo_malloc(sizeof *entry + key_len + 1);
    if (!entry)
        return FLO_ENOMEM;
    *entry =
        (struct flo_map_entry){.value = value, .hash = hash, .key_len = key_len, .prev = map->last};
    memcpy(entry->key, key, key_len);
    entry->key[key_len] = '\0';
    *slot = entry;
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
    struct flo_map_entry **slot = find(map, key, key_len, flo_hash(key, key_len));
    struct flo_map_entry *entry = *slot;
    if (!entry)
        return NULL;
    *slot = entry->chain;
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
