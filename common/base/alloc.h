/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alloc.h - the one seam through which every layer allocates, so that tests can fail the n-th
 * allocation. All return NULL when memory is out; sizes that overflow count as out of memory.
 */
#ifndef FLO_BASE_ALLOC_H
#define FLO_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

void *flo_malloc(size_t bytes);
void *flo_calloc(size_t count, size_t bytes);
/* Grow or shrink an array of count elements. On NULL the old block is still the caller's. */
void *flo_reallocarray(void *block, size_t count, size_t bytes);
char *flo_strdup(const char *text);
char *flo_strndup(const char *text, size_t len);
void *flo_memdup(const void *data, size_t bytes);
/* A formatted heap string, the caller's to free; NULL when memory is out. */
char *flo_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void flo_free(void *block);

/*
 * Test seam: let the allocation number `after` from now (0 = the next one) fail; with forever
 * also all after it. after < 0 switches the seam off. Counts are per thread.
 */
void flo_alloc_fail_after(int64_t after, int forever);
/* For allocators that do not end in malloc: must this allocation fail? Counts as one. */
int flo_alloc_seam_fails(void);

#endif
