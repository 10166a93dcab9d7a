/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_stack.h - where another thread of this process is: it is asked by a signal, and its
 * handler unwinds its stack. The code that is interrupted notices nothing.
 */
#ifndef FLO_EXECUTOR_THREAD_STACK_H
#define FLO_EXECUTOR_THREAD_STACK_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"

/* A thread that can be asked must not block it. */
#define FLO_THREAD_STACK_SIGNAL (SIGRTMIN + 6)
#define FLO_THREAD_STACK_DEPTH 64

/* The calling thread can be asked from now on: it gets a stack for signals, since its own may be
 * nearly full, and may be a coroutine's. Until it calls flo_thread_stack_release at its end. */
void flo_thread_stack_prepare(void);
void flo_thread_stack_release(void);

/*
 * The addresses of a prepared thread's stack, innermost first; returns how many. 0: it did not
 * answer within a tenth of a second (a sanitizer holds signals back, the system is overloaded), or
 * stands where a stack cannot be read. skip (may be NULL; called in the handler) says at which
 * program counters that is so. One caller at a time.
 */
size_t flo_thread_stack_take(pthread_t thread, bool (*skip)(uintptr_t pc),
                             uint64_t out_pc[FLO_THREAD_STACK_DEPTH]);

/*
 * Name the addresses in a child process, which writes a line for each to *out_fd, a pipe whose
 * other end closes when it is done: "function (file.c:123)", or what is known of that. It ends by
 * itself within 20 seconds. The caller reads, closes, and reaps *out_pid. FLO_ESYS.
 */
FLO_MUST_CHECK int flo_thread_stack_names(const uint64_t *pc, size_t depth, int *out_fd,
                                          int *out_pid, struct flo_err *err);

#endif
