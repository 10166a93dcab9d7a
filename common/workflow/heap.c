/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.c - chunks out of one reserved range of addresses, size-class free lists inside them.
 *
 * Range. One mapping of 32 GiB (less where the system refuses) without reserved memory: a page
 * costs nothing until it is touched. Chunks are 4 KiB x 2^order and are carved from its front;
 * a chunk that comes back waits on the free list of its order. The list's links are in an array
 * beside the range, so that a chunk whose pages were returned to the system stays untouched.
 *
 * Heap. Blocks of up to 512 bytes are rounded to 16, larger ones to powers of two, both with a
 * 16-byte header that names heap and size; a freed block waits on its class's list. A block that
 * would not fit into a quarter of the largest chunk gets a chunk of its own, given back when freed.
 *
 * Rejected: a header on every jansson block (user code says free(json_dumps(...)), as every C
 * program does); malloc blocks on a per-run list, told apart by a thread's current run (a value
 * of one kind freed in the other mode corrupts memory silently, and 48 bytes more a block).
 */
#include "workflow/heap.h"

#include <jansson.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "workflow/sanitize.h"

#define CHUNK_SHIFT 12
#define CHUNK_BYTES ((size_t)1 << CHUNK_SHIFT)
#define RANGE_BYTES ((size_t)1 << 35)
#define RANGE_LEAST_BYTES ((size_t)1 << 26)
#define ORDERS 24
#define LARGEST_SHARED_ORDER 5 /* chunks that many blocks share: 4 KiB ... 128 KiB */
#define OWN_CHUNK_BYTES (CHUNK_BYTES << (LARGEST_SHARED_ORDER - 2))
#define SMALL_BYTES 512
#define CLASSES (SMALL_BYTES / 16 + 8)
#define RESIDENT_BYTES ((size_t)1 << 20) /* free chunks that keep their pages, all together */

#define DROPPED (UINT32_C(1) << 31) /* of a link: its chunk's pages are with the system */

struct chunk {
    struct chunk *next; /* newer to older, of one heap */
    unsigned order;
    bool own; /* holds one big block */
    _Alignas(16) unsigned char data[];
};

struct block {
    struct flo_heap *heap;
    size_t size; /* of what follows; as rounded */
};

struct free_block {
    struct free_block *next;
};

struct flo_heap {
    struct chunk *chunks, *own_chunks;
    unsigned char *bump, *bump_end; /* the unused rest of the newest shared chunk */
    unsigned next_order;            /* of the next shared chunk */
    bool failed;
    size_t held_bytes;
    struct free_block *free[CLASSES];
};

static struct {
    pthread_mutex_t mu;
    unsigned char *start, *end; /* set once */
    uint32_t *links; /* guarded by mu: page number + 1 of the next free chunk, and DROPPED */
    size_t next_page, pages; /* guarded by mu: never used before from here on */
    uint32_t free[ORDERS];   /* guarded by mu: page number + 1 of the first free chunk */
    size_t resident_bytes;   /* guarded by mu: in free chunks */
    size_t used_bytes;       /* guarded by mu */
} range = {.mu = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t range_once = PTHREAD_ONCE_INIT;
static pthread_once_t install_once = PTHREAD_ONCE_INIT;
static _Thread_local struct flo_heap *current;

static void *map_lazily(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void range_init(void)
{
    for (size_t bytes = RANGE_BYTES; bytes >= RANGE_LEAST_BYTES; bytes /= 2) {
        unsigned char *start = map_lazily(bytes);
        if (!start)
            continue;
        range.pages = bytes >> CHUNK_SHIFT;
        range.links = map_lazily(range.pages * sizeof *range.links);
        if (!range.links) {
            munmap(start, bytes);
            continue;
        }
        range.start = start;
        range.end = start + bytes;
        return;
    }
}

static struct chunk *chunk_take(unsigned order)
{
    if (order >= ORDERS || flo_alloc_seam_fails())
        return NULL;
    pthread_once(&range_once, range_init);
    size_t page;
    bool fresh = false;
    pthread_mutex_lock(&range.mu);
    if (range.free[order]) {
        page = range.free[order] - 1;
        if (!(range.links[page] & DROPPED))
            range.resident_bytes -= CHUNK_BYTES << order;
        range.free[order] = range.links[page] & ~DROPPED;
    } else {
        page = range.next_page;
        fresh = true;
    }
    if (fresh && ((size_t)1 << order) > range.pages - range.next_page) {
        pthread_mutex_unlock(&range.mu);
        return NULL;
    }
    if (fresh)
        range.next_page += (size_t)1 << order;
    range.used_bytes += CHUNK_BYTES << order;
    pthread_mutex_unlock(&range.mu);
    struct chunk *chunk = (struct chunk *)(void *)(range.start + (page << CHUNK_SHIFT));
    flo_unpoison(chunk, CHUNK_BYTES << order);
    chunk->order = order;
    return chunk;
}

static void chunk_give_back(struct chunk *chunk)
{
    unsigned order = chunk->order;
    size_t page = (size_t)((unsigned char *)chunk - range.start) >> CHUNK_SHIFT;
    pthread_mutex_lock(&range.mu);
    bool drop = order > LARGEST_SHARED_ORDER || range.resident_bytes >= RESIDENT_BYTES;
    pthread_mutex_unlock(&range.mu);
    if (drop)
        madvise(chunk, CHUNK_BYTES << order, MADV_DONTNEED);
    flo_poison(chunk, CHUNK_BYTES << order);
    pthread_mutex_lock(&range.mu);
    if (!drop)
        range.resident_bytes += CHUNK_BYTES << order;
    range.links[page] = range.free[order] | (drop ? DROPPED : 0);
    range.free[order] = (uint32_t)page + 1;
    range.used_bytes -= CHUNK_BYTES << order;
    pthread_mutex_unlock(&range.mu);
}

size_t flo_heap_total_bytes(void)
{
    pthread_mutex_lock(&range.mu);
    size_t bytes = range.used_bytes;
    pthread_mutex_unlock(&range.mu);
    return bytes;
}

struct flo_heap *flo_heap_new(void)
{
    struct chunk *chunk = chunk_take(0);
    if (!chunk)
        return NULL;
    *chunk = (struct chunk){0};
    struct flo_heap *heap = (struct flo_heap *)(void *)chunk->data;
    size_t own = (sizeof *heap + 15) & ~(size_t)15;
    *heap = (struct flo_heap){.chunks = chunk,
                              .bump = chunk->data + own,
                              .bump_end = (unsigned char *)chunk + CHUNK_BYTES,
                              .held_bytes = CHUNK_BYTES};
    return heap;
}

static void give_back_all(struct chunk *chunk)
{
    while (chunk) {
        struct chunk *next = chunk->next;
        chunk_give_back(chunk);
        chunk = next;
    }
}

void flo_heap_destroy(struct flo_heap **heap)
{
    if (!*heap)
        return;
    give_back_all((*heap)->own_chunks);
    give_back_all((*heap)->chunks); /* the oldest, last of the list, holds the heap itself */
    *heap = NULL;
}

/* The free list for blocks of size bytes and, rounded up, their size; own chunk: CLASSES. */
static unsigned size_class(size_t bytes, size_t *out_size)
{
    if (bytes <= SMALL_BYTES) {
        size_t size = bytes ? (bytes + 15) & ~(size_t)15 : 16;
        *out_size = size;
        return (unsigned)(size / 16 - 1);
    }
    unsigned cls = SMALL_BYTES / 16;
    size_t size = (size_t)SMALL_BYTES * 2;
    while (size < bytes) {
        size *= 2;
        cls++;
    }
    *out_size = size;
    return cls;
}

static void *alloc_own_chunk(struct flo_heap *heap, size_t bytes)
{
    size_t need = sizeof(struct chunk) + sizeof(struct block) + bytes;
    unsigned order = 0;
    while (order < ORDERS && (CHUNK_BYTES << order) < need)
        order++;
    struct chunk *chunk = bytes > SIZE_MAX / 2 ? NULL : chunk_take(order);
    if (!chunk) {
        heap->failed = true;
        return NULL;
    }
    *chunk = (struct chunk){.next = heap->own_chunks, .order = order, .own = true};
    heap->own_chunks = chunk;
    heap->held_bytes += CHUNK_BYTES << order;
    struct block *block = (struct block *)(void *)chunk->data;
    *block = (struct block){.heap = heap, .size = bytes};
    return block + 1;
}

static bool add_shared_chunk(struct flo_heap *heap, size_t need)
{
    while ((CHUNK_BYTES << heap->next_order) < sizeof(struct chunk) + need)
        heap->next_order++;
    struct chunk *chunk = chunk_take(heap->next_order);
    if (!chunk)
        return false;
    unsigned order = heap->next_order;
    *chunk = (struct chunk){.next = heap->chunks, .order = order};
    heap->chunks = chunk;
    heap->bump = chunk->data;
    heap->bump_end = (unsigned char *)chunk + (CHUNK_BYTES << order);
    heap->held_bytes += CHUNK_BYTES << order;
    if (order < LARGEST_SHARED_ORDER)
        heap->next_order++;
    return true;
}

void *flo_heap_alloc(struct flo_heap *heap, size_t bytes)
{
    if (flo_alloc_seam_fails()) {
        heap->failed = true;
        return NULL;
    }
    if (bytes > OWN_CHUNK_BYTES)
        return alloc_own_chunk(heap, bytes);
    size_t size;
    unsigned cls = size_class(bytes, &size);
    struct free_block *reuse = heap->free[cls];
    if (reuse) {
        flo_unpoison(reuse, size);
        heap->free[cls] = reuse->next;
        return reuse;
    }
    size_t need = sizeof(struct block) + size;
    if ((size_t)(heap->bump_end - heap->bump) < need && !add_shared_chunk(heap, need)) {
        heap->failed = true;
        return NULL;
    }
    struct block *block = (struct block *)(void *)heap->bump;
    heap->bump += need;
    *block = (struct block){.heap = heap, .size = size};
    return block + 1;
}

void *flo_heap_calloc(struct flo_heap *heap, size_t bytes)
{
    void *block = flo_heap_alloc(heap, bytes);
    if (block)
        memset(block, 0, bytes);
    return block;
}

char *flo_heap_strdup(struct flo_heap *heap, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = flo_heap_alloc(heap, bytes);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

static void free_own_chunk(struct flo_heap *heap, struct block *block)
{
    struct chunk *chunk =
        (struct chunk *)(void *)((unsigned char *)block - offsetof(struct chunk, data));
    for (struct chunk **at = &heap->own_chunks; *at; at = &(*at)->next) {
        if (*at != chunk)
            continue;
        *at = chunk->next;
        heap->held_bytes -= CHUNK_BYTES << chunk->order;
        chunk_give_back(chunk);
        return;
    }
}

void flo_heap_free(void *memory)
{
    if (!memory)
        return;
    struct block *block = (struct block *)memory - 1;
    struct flo_heap *heap = block->heap;
    if (block->size > OWN_CHUNK_BYTES) {
        free_own_chunk(heap, block);
        return;
    }
    size_t size;
    unsigned cls = size_class(block->size, &size);
    struct free_block *node = memory;
    node->next = heap->free[cls];
    heap->free[cls] = node;
    flo_poison(memory, size);
}

bool flo_heap_owns(const void *block)
{
    const unsigned char *p = block;
    return p >= range.start && p < range.end;
}

bool flo_heap_failed(const struct flo_heap *heap)
{
    return heap->failed;
}

void flo_heap_failed_clear(struct flo_heap *heap)
{
    heap->failed = false;
}

size_t flo_heap_bytes(const struct flo_heap *heap)
{
    return heap->held_bytes;
}

struct flo_heap *flo_heap_enter(struct flo_heap *heap)
{
    struct flo_heap *before = current;
    current = heap;
    return before;
}

static void *json_alloc(size_t bytes)
{
    return current ? flo_heap_alloc(current, bytes) : flo_malloc(bytes);
}

static void json_release(void *block)
{
    if (flo_heap_owns(block))
        flo_heap_free(block);
    else
        flo_free(block);
}

static void install(void)
{
    pthread_once(&range_once, range_init);
    json_set_alloc_funcs(json_alloc, json_release);
}

void flo_workflow_jansson_install(void)
{
    pthread_once(&install_once, install);
}
