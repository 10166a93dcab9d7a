/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroutine.h - straight-line code that can be put aside: a stack of its own and a switch.
 *
 * A coroutine runs on the thread that resumes it and stays on that thread. Stacks are mapped with
 * a guard page below, touched lazily and pooled per thread; overflow is a clean SIGSEGV. A
 * coroutine may be destroyed wherever it stands: its stack is dropped, nothing on it is unwound.
 */
#ifndef FLO_WORKFLOW_COROUTINE_H
#define FLO_WORKFLOW_COROUTINE_H

#include <stdbool.h>
#include <stddef.h>

#include "flotilla/error.h"

#define FLO_STACK_DEFAULT_BYTES ((size_t)256 * 1024)

struct flo_coroutine; /* opaque: coroutine.c */

/* A coroutine that will run fn(arg) at its first resume. stack_bytes is rounded up to pages and
 * to at least 16 KiB; 0 = default. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_coroutine_new(size_t stack_bytes, void (*fn)(void *arg), void *arg,
                                     struct flo_coroutine **out_coroutine);
/* Drop it in any state but running. NULL is fine. */
void flo_coroutine_destroy(struct flo_coroutine **coroutine);

/* Run it until it yields or its function returns. Not from inside itself; not when done. */
void flo_coroutine_resume(struct flo_coroutine *coroutine);
/* From inside coroutine: go back to who resumed it; returns at the next resume. */
void flo_coroutine_yield(struct flo_coroutine *coroutine);
/* Has its function returned? */
bool flo_coroutine_done(const struct flo_coroutine *coroutine);

/* Does address lie on its stack? */
bool flo_coroutine_holds(const struct flo_coroutine *coroutine, const void *address);

/* Bytes of its stack that are in memory now, and what its struct takes; not less than that, and up
 * to 16 KiB when the stack was used beyond its top page by a coroutine before this one. Asks the
 * kernel when this one has done so. */
size_t flo_coroutine_bytes(const struct flo_coroutine *coroutine);
/* Unmap the stacks that wait for reuse on this thread. Call before a thread ends. */
void flo_coroutine_trim(void);

#endif
