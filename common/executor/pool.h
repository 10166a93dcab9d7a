/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - the pool of threads as its files share it (private to this folder): threads.c has the
 * loop's side, pool_thread.c the life of a thread.
 */
#ifndef FLO_EXECUTOR_POOL_H
#define FLO_EXECUTOR_POOL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "executor/core.h"
#include "executor/stack.h"
#include "executor/usage.h"

/* A place for one running job. */
struct flo_pool_slot {
    struct flo_core_unit unit; /* first: a slot is a unit; loop side */
    struct flo_node idle;      /* loop side: on pool->idle_slots while it has no job */
    struct flo_pool *pool;
    /* Whose the slot is, loop or thread: */
    struct flo_job_io io;
    uint64_t job;
    const uint8_t *request; /* the core job's: outlives the run */
    size_t request_len;
    struct flo_buf reply;
    struct flo_job_usage usage;
    /* Both, while the job runs: */
    _Atomic unsigned told;   /* what the job was told; written under mu */
    pthread_cond_t telling;  /* told has changed */
    struct flo_node queued;  /* guarded by mu: on pool->queue */
    struct flo_node news;    /* guarded by mu: on pool->news, for one or both of: */
    struct flo_buf progress; /* guarded by mu: the newest, not yet taken */
    bool progressed;         /* guarded by mu: progress is to be taken */
    struct flo_buf notes;    /* guarded by mu: not yet taken */
    bool done;               /* guarded by mu: the job has ended */
    int runner;              /* guarded by mu: number of the thread that took it; -1: none yet */
    pid_t runner_tid;        /* guarded by mu */
};

struct flo_pool_thread {
    struct flo_node node; /* loop side: on pool->threads */
    struct flo_node idle; /* guarded by mu: on pool->idle */
    struct flo_node over; /* guarded by mu: on pool->over */
    struct flo_pool *pool;
    unsigned number;
    char name[16]; /* "io-3" */
    pthread_t id;
    struct flo_stack stack;
    sem_t wake;
    bool quit; /* guarded by mu: it is not needed any more */
    /* Thread side: */
    pid_t tid;
    bool slept;                              /* before it got its job */
    const struct flo_pool_slot *volatile at; /* what it runs; also its fault handler's */
    struct flo_usage_meter meter;
};

struct flo_pool {
    struct flo_executor executor; /* first: the executor is the pool */
    struct flo_list threads;      /* all; loop side, as are: */
    size_t quitting;              /* of them: told to */
    struct flo_list idle_slots;   /* the last used first */
    struct flo_core_unit **units; /* the slots that were ever needed */
    unsigned unit_room;
    bool warned;        /* of a thread that could not be made, since the last one that could */
    struct event *trim; /* ends threads that were not needed */
    struct event *look; /* at the news: the eventfd's edge, or made active */
    int news_fd;        /* eventfd; -1 = none */
    pthread_mutex_t mu;
    struct flo_list queue;  /* guarded by mu: slots that no thread has taken */
    struct flo_list news;   /* guarded by mu: slots that have something for the loop */
    struct flo_list idle;   /* guarded by mu: threads asleep, the latest first */
    struct flo_list over;   /* guarded by mu: threads that end: to be joined */
    size_t idle_least;      /* guarded by mu: the least of idle's count since the last trim */
    bool waking;            /* guarded by mu: a thread was woken and has not looked yet */
    bool loop_looks;        /* guarded by mu: the loop will look at the news without being told */
    bool stopping;          /* guarded by mu: threads end when the queue is empty */
    pthread_cond_t came_up; /* the first thread has started, or failed to */
    bool up;                /* guarded by mu: has */
    int up_rc;              /* guarded by mu: the last failure of a worker_start */
    struct flo_err up_err;  /* guarded by mu: its sentence */
};

/* ---- pool_thread.c ---- */

/* Start one more thread. Loop side. FLO_ENOMEM, FLO_ESYS with a sentence. */
FLO_MUST_CHECK int flo_pool_thread_new(struct flo_pool *pool, struct flo_err *err);
/* It has been joined: free it. Loop side. */
void flo_pool_thread_free(struct flo_pool_thread *thread);
/* The thread to wake for the queue, taken off the idle ones; NULL when none must be. The caller
 * posts its semaphore once mu is let go of. */
static inline struct flo_pool_thread *flo_pool_wake_locked(struct flo_pool *pool)
{
    struct flo_node *node;

    if (pool->waking || flo_list_empty(&pool->queue))
        return NULL;
    node = flo_list_pop_front(&pool->idle);
    if (!node)
        return NULL;
    pool->waking = true;
    if (pool->idle.count < pool->idle_least)
        pool->idle_least = pool->idle.count;
    return flo_container(node, struct flo_pool_thread, idle);
}
/* What the io of a pool's slots does. */
extern const struct flo_job_io flo_pool_job_io;
/* `ms` from now on that clock. */
struct timespec flo_pool_time_in(clockid_t clock, int64_t ms);

#endif
