/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.h - the memory of one run: what its code allocates, json_t values included, and what the
 * runtime keeps for it. Freed as a whole with the run, however deep its stack is at that moment.
 *
 * A heap takes chunks from one reserved range of addresses (heap.c), so that any pointer tells by
 * its value alone whether it belongs to a run. That is what makes jansson's process-wide
 * allocator hooks sound: inside a run (between enter and leave) json memory comes from the run's
 * heap, elsewhere from malloc, and a free goes to where its block came from, wherever it is
 * called. Outside a run `free(json_dumps(...))` stays right, too.
 *
 * One thread at a time per heap; the range itself may be used by many threads.
 */
#ifndef FLO_WORKFLOW_HEAP_H
#define FLO_WORKFLOW_HEAP_H

#include <stdbool.h>
#include <stddef.h>

#include "flotilla/error.h"

struct flo_heap; /* opaque: heap.c */

/* An empty heap (takes one chunk, 4 KiB, which also holds the heap itself). NULL: no memory. */
struct flo_heap *flo_heap_new(void);
/* Free the heap and every block in it. NULL is fine. */
void flo_heap_destroy(struct flo_heap **heap);

/* bytes of uninitialised memory, aligned for any type; NULL without memory, and flo_heap_failed
 * is true from then on. */
void *flo_heap_alloc(struct flo_heap *heap, size_t bytes);
void *flo_heap_calloc(struct flo_heap *heap, size_t bytes);
char *flo_heap_strdup(struct flo_heap *heap, const char *text);
/* Give one block back to its heap for reuse. NULL is fine; block must be from a heap. */
void flo_heap_free(void *block);
/* Is block inside the range of the heaps? */
bool flo_heap_owns(const void *block);

/* Did an allocation fail since the last flo_heap_failed_clear? */
bool flo_heap_failed(const struct flo_heap *heap);
void flo_heap_failed_clear(struct flo_heap *heap);
/* Bytes of chunks that the heap holds. */
size_t flo_heap_bytes(const struct flo_heap *heap);
/* Bytes that all heaps of the process hold: 0 when every run is gone. */
size_t flo_heap_total_bytes(void);

/* From now on jansson on this thread allocates from heap (NULL: from malloc). Returns the heap
 * before, to be handed to the next flo_heap_enter. */
struct flo_heap *flo_heap_enter(struct flo_heap *heap);

/*
 * Make jansson ask us for memory (json_set_alloc_funcs). Idempotent; any thread; best called
 * before the first json value is made, but values made before may be freed later all the same.
 */
FLO_API void flo_workflow_jansson_install(void);

#endif
