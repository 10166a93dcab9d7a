/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack.h - stacks for threads (private to this folder): small, with a guard below, and with a
 * second stack on which a handler can still speak when the first one is full.
 *
 *   low │ signal stack │ guard: no access │ the thread's stack ◄── grows down │ high
 *
 * It is address space; memory is taken as it is touched.
 */
#ifndef FLO_EXECUTOR_STACK_H
#define FLO_EXECUTOR_STACK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "flotilla/error.h"

struct flo_stack {
    char *map;          /* NULL = none */
    size_t map_bytes;   /* all of it */
    size_t stack_bytes; /* the thread's part, whole pages */
};

/* Map one of at least stack_bytes. FLO_ENOMEM with a sentence. */
FLO_MUST_CHECK int flo_stack_map(struct flo_stack *stack, size_t stack_bytes, struct flo_err *err);
/* Nobody runs on it any more. */
void flo_stack_unmap(struct flo_stack *stack);
/* Have a thread with these attributes run on it. 0 or an errno. */
FLO_MUST_CHECK int flo_stack_use(const struct flo_stack *stack, pthread_attr_t *attr);
/* Whether address lies in the guard: the stack has overflown. Async-signal-safe. */
bool flo_stack_overflown(const struct flo_stack *stack, const void *address);

/* What the calling thread tells when it raises a fatal signal, in the handler. */
typedef void (*flo_fault_fn)(void *ctx, int signal, const void *address);

/*
 * From now on SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT of the calling thread, which runs on
 * stack, call fn on the signal stack; then the process goes the way that it would have gone (the
 * action that stood before the first call of this function). Until flo_fault_forget.
 */
void flo_fault_watch(const struct flo_stack *stack, flo_fault_fn fn, void *ctx);
void flo_fault_forget(void);

#endif
