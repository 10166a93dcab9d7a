/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c - chunked bump allocator. */
#include "base/arena.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#define FIRST_CHUNK_BYTES ((size_t)1024)
#define LARGEST_CHUNK_BYTES ((size_t)256 * 1024)
#define ALIGNMENT _Alignof(max_align_t)

struct flo_arena_chunk {
    struct flo_arena_chunk *next; /* older chunk */
    size_t size;                  /* bytes in data */
    size_t used;
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
    keep->used = 0;
    arena->used_bytes = 0;
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
    chunk->used = 0;
    arena->head = chunk;
    arena->held_bytes += size;
    return chunk;
}

void *flo_arena_alloc(struct flo_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 4)
        return NULL;
    size_t need = (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (need == 0)
        need = ALIGNMENT;
    struct flo_arena_chunk *chunk = arena->head;
    if (!chunk || chunk->size - chunk->used < need)
        chunk = add_chunk(arena, need);
    if (!chunk)
        return NULL;
    void *block = chunk->data + chunk->used;
    chunk->used += need;
    arena->used_bytes += need;
    return block;
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
    char *copy = flo_arena_alloc(arena, len + 1);
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
    char *text = len < 0 ? NULL : flo_arena_alloc(arena, (size_t)len + 1);
    if (text)
        vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}
