/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h - memory that is freed all at once: one arena per request, per workflow task, per run.
 *
 * Allocation is a pointer bump inside a chunk; chunks grow geometrically. An arena may carry a
 * budget: past it allocation returns NULL, which is how a hostile message (4 MiB of empty ones
 * become 250 MB of structs) is kept from eating the machine. Not thread safe: one owner.
 */
#ifndef FLO_BASE_ARENA_H
#define FLO_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flo_arena_chunk;

struct flo_arena {
    unsigned char *at, *end;      /* the unused rest of the newest chunk */
    struct flo_arena_chunk *head; /* newest chunk first */
    size_t held_bytes;            /* taken from the heap */
    size_t budget_bytes;          /* most that may be held; 0 = no bound */
};

/* An empty arena; takes no memory yet. budget_bytes 0 = no bound. */
void flo_arena_init(struct flo_arena *arena, size_t budget_bytes);
/* Free everything. The arena is as after init. NULL is fine. */
void flo_arena_fini(struct flo_arena *arena);
/* Forget everything but keep the newest chunk for reuse. */
void flo_arena_reset(struct flo_arena *arena);

/* A new chunk and the block from its front; for the two functions below. */
void *flo_arena_grow(struct flo_arena *arena, size_t bytes);

/* bytes of uninitialised memory aligned for any type; NULL past the budget or without memory. */
static inline void *flo_arena_alloc(struct flo_arena *arena, size_t bytes)
{
    size_t pad = -(uintptr_t)arena->at & (_Alignof(max_align_t) - 1);
    size_t left = (size_t)(arena->end - arena->at);
    if (pad > left || bytes > left - pad || !arena->at)
        return flo_arena_grow(arena, bytes);
    unsigned char *block = arena->at + pad;
    arena->at = block + bytes;
    return block;
}

/* The same, not aligned: for text and bytes. */
static inline void *flo_arena_alloc_bytes(struct flo_arena *arena, size_t bytes)
{
    unsigned char *block = arena->at;
    if (bytes > (size_t)(arena->end - block) || !block)
        return flo_arena_grow(arena, bytes);
    arena->at = block + bytes;
    return block;
}

void *flo_arena_calloc(struct flo_arena *arena, size_t count, size_t bytes);
/* A copy of bytes, aligned for any type. */
void *flo_arena_memdup(struct flo_arena *arena, const void *data, size_t bytes);
char *flo_arena_strdup(struct flo_arena *arena, const char *text);
char *flo_arena_strndup(struct flo_arena *arena, const char *text, size_t len);
char *flo_arena_printf(struct flo_arena *arena, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
