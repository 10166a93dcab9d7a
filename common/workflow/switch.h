/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch.h - the context switch under coroutine.c: own code for x86-64 and aarch64, ucontext
 * elsewhere (or with -DFLO_UCONTEXT). Saves what the ABI says a call preserves, nothing else.
 */
#ifndef FLO_WORKFLOW_SWITCH_H
#define FLO_WORKFLOW_SWITCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(FLO_UCONTEXT) && !(defined(__x86_64__) && defined(__LP64__)) && !defined(__aarch64__)
#define FLO_UCONTEXT 1
#endif
/* A shadow stack (CET) would have to be switched as well: leave that to libc. */
#if defined(__SHSTK__) && !defined(FLO_UCONTEXT)
#define FLO_UCONTEXT 1
#endif

#ifdef FLO_UCONTEXT
#include <ucontext.h>
struct flo_context {
    ucontext_t uc;
};
#else
struct flo_context {
    void *sp; /* the saved registers lie above it */
};
#endif

/* Make *context start entry(arg) on the given stack at the first switch to it. entry must never
 * return. */
void flo_context_make(struct flo_context *context, void *stack, size_t bytes,
                      void (*entry)(void *arg), void *arg);
/* Is pc an instruction of the switch, between two stacks, where no unwinder can tell the caller?
 * Async-signal-safe. */
bool flo_context_switching(uintptr_t pc);
/* Save the caller in *from and go on at *to. */
void flo_context_switch(struct flo_context *from, const struct flo_context *to);

#endif
