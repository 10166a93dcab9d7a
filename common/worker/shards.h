/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shards.h - the threads that run workflow code. Each is one shard of all runs: a run is always
 * on the same one, so that its code never meets another thread and needs no lock.
 *
 *   loop ── batch of a turn ──► queue ──► the shard's thread: job after job ──► done ──► loop
 *             one wake-up, if it sleeps            one eventfd write, if it is not told yet
 *
 * A job belongs to the thread from flo_shards_submit until options.done gets it back. What a shard
 * keeps between jobs, its part of the sticky cache, is behind cache_mu, which the thread holds
 * for as long as it takes a run out or puts one in, never while code runs; so the loop may look.
 *
 * A thread is made when its shard has something to do for the first time.
 *
 * With no thread (count 0) the same is done by the loop, at the end of its turn.
 *
 * A thread whose job does not come to its end (a workflow that spins) can be given up: its shard
 * goes on with a new thread, without the runs that the old one had; when the old one comes out of
 * its job after all, it hands that back as one that is late, and ends.
 */
#ifndef FLO_WORKER_SHARDS_H
#define FLO_WORKER_SHARDS_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/random.h"
#include "executor/thread_stack.h"
#include "flotilla/error.h"
#include "workflow/cache.h"

struct event;
struct event_base;
struct flo_shard_thread; /* opaque: shards.c */
struct flo_shards;

#define FLO_SHARDS_MAX 256

/* What is handed over; part of something larger. */
struct flo_shard_job {
    struct flo_node node; /* on the batch, the queue, or among what is done */
    int kind;             /* the submitter's */
};

struct flo_shard {
    struct flo_shards *all;
    unsigned index;
    pthread_mutex_t cache_mu;
    struct flo_run_cache *cache; /* guarded by cache_mu; NULL: off */
    struct flo_rng rng;          /* guarded by cache_mu: which runs are evicted by chance */
    /* The loop's: */
    struct flo_list batch; /* jobs of this turn */
    struct flo_node dirty; /* on all->dirty while batch is not empty */
    size_t out;            /* jobs that are with the thread */
    struct flo_shard_thread *thread;
    /* The hand-over: */
    pthread_mutex_t mu;
    struct flo_list queue; /* guarded by mu: jobs to do */
    struct flo_list done;  /* guarded by mu: jobs that are done */
    bool asleep;           /* guarded by mu: the thread waits for its semaphore */
    bool stop;             /* guarded by mu */
};

struct flo_shards_options {
    struct event_base *base;
    unsigned count; /* threads; 0: none, the loop does the work */
    /* Do the job. On the shard's thread. */
    void (*run)(struct flo_shard *shard, struct flo_shard_job *job);
    /* It is done. Loop thread. late: the thread had been given up meanwhile. */
    void (*done)(void *ctx, struct flo_shard_job *job, bool late);
    /* It was not done, or not handed back, when all was stopped. Loop thread. */
    void (*drop)(void *ctx, struct flo_shard_job *job);
    /* No thread can be made: until one can, the loop does the work. Once. May be NULL. */
    void (*on_warning)(void *ctx, const char *message);
    void *ctx;
    uint64_t seed; /* of the shards' chance */
};

struct flo_shards {
    struct flo_shards_options options;
    unsigned count; /* shards; at least one */
    struct flo_shard *of;
    struct flo_run_cache_bounds bounds; /* of all their caches together */
    bool caching;
    bool stopped;            /* nothing may be submitted any more */
    struct flo_list dirty;   /* shards with a batch */
    struct flo_list threads; /* of struct flo_shard_thread, those given up too */
    size_t given_up;         /* threads that are, and have not come back */
    unsigned made;           /* threads so far: their numbers */
    bool warned;
    struct event *hand_over; /* made active for the end of the turn */
    struct event *news;
    struct event *look; /* a timer: what is done that nobody has told of? */
    bool looks;         /* it runs */
    int news_fd;        /* an eventfd */
    atomic_bool told;   /* it was written, and the loop has not looked since */
    atomic_bool leaves; /* a thread that was given up has come out of its job */
};

/* Make them. max_runs 0: without caches. FLO_ENOMEM, FLO_ESYS with a sentence. */
FLO_MUST_CHECK int flo_shards_new(const struct flo_shards_options *options, size_t max_bytes,
                                  size_t max_runs, struct flo_shards **out, struct flo_err *err);
/*
 * Stop: every thread ends behind the job that it is at. Returns how many did not within grace_ms:
 * with any, nothing is freed and the process must end by _exit; else each job that is still here is
 * dropped. NULL is fine.
 */
size_t flo_shards_stop(struct flo_shards *shards, int64_t grace_ms);
void flo_shards_destroy(struct flo_shards **shards);

/* Whose the run is. */
struct flo_shard *flo_shards_of_run(struct flo_shards *shards, const char *run_id);
/* Hand a job over, at the end of this turn of the loop. Jobs of a shard are done in the order in
 * which they were submitted. */
void flo_shards_submit(struct flo_shard *shard, struct flo_shard_job *job);

/* Is the calling thread a shard's? Else it is the loop's, which does its work. */
bool flo_shard_is_thread(void);
/* For a shard's thread: was it given up meanwhile? Its shard's cache is another's then. */
bool flo_shard_given_up(void);

/* ---- what a thread is at; for the loop ---- */

struct flo_shard_at {
    const struct flo_shard_job *job; /* NULL: none */
    int64_t began_ns;                /* monotonic: when it began with it */
    uint64_t resumes;                /* times that the thread has resumed workflow code so far */
    pid_t tid;
    char name[16]; /* of the thread */
};
void flo_shard_look(struct flo_shard *shard, struct flo_shard_at *out);
/*
 * Ask the thread for its stack, innermost first, by a signal. Waits a moment for the answer.
 * Returns how many addresses; 0 when it does not answer.
 */
size_t flo_shard_stack(struct flo_shard *shard, uint64_t out_pc[FLO_THREAD_STACK_DEPTH]);
/*
 * Give the shard's thread up if it is still at job, and go on with a new one. job is handed back,
 * late, when the thread comes out of it. FLO_ENOENT: it is not at that job any more; FLO_ESYS,
 * FLO_ENOMEM: no new thread can be made, and nothing has changed.
 */
FLO_MUST_CHECK int flo_shard_give_up(struct flo_shard *shard, const struct flo_shard_job *job,
                                     struct flo_err *err);

/* ---- the caches together; loop thread ---- */
void flo_shards_cache_stats(struct flo_shards *shards, struct flo_run_cache_stats *out);
/* With each cached run, least recently used first in its shard; under the shard's lock. */
void flo_shards_cache_each(struct flo_shards *shards,
                           void (*fn)(void *ctx, const struct flo_run *run), void *ctx);
size_t flo_shards_cache_awaiting(struct flo_shards *shards);

#endif
