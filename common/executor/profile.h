/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile.h - where the CPU time of a worker goes: call stacks of this process's threads and of its
 * executor processes, taken by timers that count CPU time, so that who sleeps is not seen.
 *
 *   SIGPROF's handler ──► ring (fixed memory, lock-free) ──► the loop takes samples out, now and
 *   then ──► counts by stack ──► a child process that lives for this names the addresses
 *
 * Each thread of this process gets a timer of its own (SIGEV_THREAD_ID, its CPU clock), so that a
 * busy thread is sampled and not whichever the kernel picks. An executor process is told by a
 * SIGPROF that its template sends, since only a parent knows that a pid is still its child's; its
 * ring is shared memory from before the fork, and its timer is ITIMER_PROF. Threads that block
 * SIGPROF (those of libraries) are not seen.
 *
 * The handler only unwinds (glibc 2.35 and later: without a lock) and writes into the ring; a full
 * ring loses samples, and counts them. Nothing of this costs anything while no profile is made, but
 * one sigaction at the start of an executor process.
 */
#ifndef FLO_EXECUTOR_PROFILE_H
#define FLO_EXECUTOR_PROFILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "executor/executor.h"

#define FLO_PROFILE_DEPTH 48
#define FLO_PROFILE_SLOTS 128 /* a quarter of a second of a busy core and more */
#define FLO_PROFILE_NAME 16
#define FLO_PROFILE_HZ_MAX 99

/* One stack, innermost first. Without padding: samples are compared as bytes, up to depth. */
struct flo_profile_sample {
    char thread[FLO_PROFILE_NAME]; /* the thread's name, padded with zeros */
    uint64_t depth;
    uint64_t pc[FLO_PROFILE_DEPTH];
};

struct flo_profile_ring {
    atomic_uint hz;   /* wanted by the worker; 0: none */
    atomic_uint head; /* slots that were claimed */
    atomic_uint tail; /* and taken out */
    atomic_uint lost; /* samples that found no room */
    struct {
        atomic_bool ready; /* written whole */
        struct flo_profile_sample sample;
    } slots[FLO_PROFILE_SLOTS];
};

/* ---- a ring: the loop's side ---- */

/* Drop what is in it, and want samples at hz. Who has begun to write one may go on. */
void flo_profile_ring_open(struct flo_profile_ring *ring, unsigned hz);
/* Take the samples that are there, oldest first; each is fn's for the call. They are at
 * most as many as there is room for, so that who writes on and on does not hold the loop. */
typedef void (*flo_profile_fn)(void *ctx, const struct flo_profile_sample *sample);
void flo_profile_ring_drain(struct flo_profile_ring *ring, flo_profile_fn fn, void *ctx);
/* All who wrote are dead: what they had only begun is finished as a sample without a stack, so that
 * it holds up nothing. */
void flo_profile_ring_mend(struct flo_profile_ring *ring);

/* ---- this process ---- */

/*
 * Begin to sample the threads of this process into ring. skip (may be NULL; called in the handler)
 * says at which program counters the stack cannot be read. One at a time. FLO_ESYS.
 */
FLO_MUST_CHECK int flo_profile_begin(struct flo_profile_ring *ring, unsigned hz,
                                     bool (*skip)(uintptr_t pc), struct flo_err *err);
/* Look for threads that are new. Call it now and then. */
void flo_profile_look(void);
/* Stop; samples that are in the ring stay. */
void flo_profile_end(void);

/* ---- executor processes ---- */

/* In an executor process, at its start: sample when SIGPROF says so. Those that start while a
 * profile is made are told when they are ready. */
void flo_profile_guard(struct flo_profile_ring *ring);
/* Begin (hz > 0) or stop sampling all executor processes of a worker; nothing for threads. */
void flo_executor_profile(struct flo_executor *executor, unsigned hz);
/* The same as flo_profile_ring_drain, of all of them. */
void flo_executor_profile_drain(struct flo_executor *executor, flo_profile_fn fn, void *ctx);
/* How many they lost. */
size_t flo_executor_profile_lost(const struct flo_executor *executor);

/* ---- names ---- */

/* A stack and how often it was seen. */
struct flo_profile_stack {
    const struct flo_profile_sample *sample;
    uint64_t count;
};
/*
 * Name the stacks in a child process and have it write them folded ("thread;outermost;...;innermost
 * COUNT", a line a stack, in their order) to *out_fd, a pipe whose other end closes when it is
 * done; it ends by itself within 20 seconds. The caller reads, closes, and reaps *out_pid.
 * FLO_ESYS.
 */
FLO_MUST_CHECK int flo_profile_names(const struct flo_profile_stack *stacks, size_t count,
                                     int *out_fd, int *out_pid, struct flo_err *err);

#endif
