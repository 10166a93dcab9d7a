/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c - chunked bump allocator. */
#include "base/arena.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

/* With the chunk's own head below 1,032 bytes: what glibc hands out and takes back fastest. */
#define FIRST_CHUNK_BYTES ((size_t)992)
#define LARGEST_CHUNK_BYTES ((size_t)256 * 1024)

struct flo_arena_chunk {
    struct flo_arena_chunk *next; /* older chunk */
    size_t size;                  /* bytes in data */
    _Alignas(max_align_t) unsigned char data[];
};

void flo_arena_init(struct flo_arena *arena, size_t budget_bytes)
{
    *arena = (struct flo_arena){.budget_bytes = budget_bytes};
}

static void free_chunks(struct flo_arena_chunk *chunk)
{
    while (chunk) {
        struct flo_arena_chunk *next = chunk->next;
        flo_free(chunk);
        chunk = next;
    }
}

void flo_arena_fini(struct flo_arena *arena)
{
    if (!arena)
        return;
    free_chunks(arena->head);
    flo_arena_init(arena, arena->budget_bytes);
}

void flo_arena_reset(struct flo_arena *arena)
{
    struct flo_arena_chunk *keep = arena->head;
    if (!keep)
        return;
    free_chunks(keep->next);
    keep->next = NULL;
    arena->at = keep->data;
    arena->held_bytes = keep->size;
}

static struct flo_arena_chunk *add_chunk(struct flo_arena *arena, size_t at_least)
{
    size_t size = arena->head ? arena->head->size * 2 : FIRST_CHUNK_BYTES;
    if (size > LARGEST_CHUNK_BYTES)
        size = LARGEST_CHUNK_BYTES;
    if (size < at_least)
        size = at_least;
    if (arena->budget_bytes && arena->held_bytes + size > arena->budget_bytes) {
        size = at_least;
        if (arena->held_bytes + size > arena->budget_bytes)
            return NULL;
    }
    struct flo_arena_chunk *chunk = flo_malloc(sizeof *chunk + size);
    if (!chunk)
        return NULL;
    chunk->next = arena->head;
    chunk->size = size;
    arena->head = chunk;
    arena->held_bytes += size;
    return chunk;
}

void *flo_arena_grow(struct flo_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 4)
        return NULL;
    struct flo_arena_chunk *chunk = add_chunk(arena, bytes);
    if (!chunk)
        return NULL;
    arena->at = chunk->data + bytes;
    arena->end = chunk->data + chunk->size;
    return chunk->data;
}

void *flo_arena_calloc(struct flo_arena *arena, size_t count, size_t bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total))
        return NULL;
    void *block = flo_arena_alloc(arena, total);
    if (block)
        memset(block, 0, total);
    return block;
}

void *flo_arena_memdup(struct flo_arena *arena, const void *data, size_t bytes)
{
    void *copy = flo_arena_alloc(arena, bytes);
    if (copy && bytes)
        memcpy(copy, data, bytes);
    return copy;
}

char *flo_arena_strndup(struct flo_arena *arena, const char *text, size_t len)
{
    char *copy = flo_arena_alloc_bytes(arena, len + 1);
    if (copy) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

char *flo_arena_strdup(struct flo_arena *arena, const char *text)
{
    return flo_arena_strndup(arena, text, strlen(text));
}

char *flo_arena_printf(struct flo_arena *arena, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *text = len < 0 ? NULL : flo_arena_alloc_bytes(arena, (size_t)len + 1);
    if (text)
        vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}
