/* SPDX-License-Identifier: Apache-2.0 */
/* pool_thread.c - the life of a pool's thread; threads.c says how the two sides work together. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "executor/pool.h"

/* Whether the caller must tell the loop once it has let go of mu. */
static bool add_news_locked(struct flo_pool_slot *slot)
{
    struct flo_pool *pool = slot->pool;
    bool first = flo_list_empty(&pool->news);

    if (flo_node_linked(&slot->news))
        return false;
    flo_list_push_back(&pool->news, &slot->news);
    return first && !pool->loop_looks;
}

static void tell_loop(const struct flo_pool *pool)
{
    const uint64_t one = 1;

    while (write(pool->news_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void slot_progress(struct flo_job_io *io, const uint8_t *data, size_t len)
{
    struct flo_pool_slot *slot = flo_container(io, struct flo_pool_slot, io);
    struct flo_buf newest, replaced;
    bool tell;

    flo_buf_init(&newest, FLO_JOB_PROGRESS_MAX);
    if (flo_buf_append(&newest, data, len))
        return;
    pthread_mutex_lock(&slot->pool->mu);
    replaced = slot->progress;
    slot->progress = newest;
    slot->progressed = true;
    tell = add_news_locked(slot);
    pthread_mutex_unlock(&slot->pool->mu);
    flo_buf_fini(&replaced);
    if (tell)
        tell_loop(slot->pool);
}

struct timespec flo_pool_time_in(clockid_t clock, int64_t ms)
{
    struct timespec until;

    clock_gettime(clock, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * FLO_NS_PER_MS;
    if (until.tv_nsec >= FLO_NS_PER_S) {
        until.tv_nsec -= FLO_NS_PER_S;
        until.tv_sec++;
    }
    return until;
}

static int slot_note(struct flo_job_io *io, const uint8_t *data, size_t len)
{
    struct flo_pool_slot *slot = flo_container(io, struct flo_pool_slot, io);
    bool tell = false;
    int rc;

    pthread_mutex_lock(&slot->pool->mu);
    rc = slot->notes.len + len > FLO_JOB_NOTES_MAX ? FLO_EFULL
                                                   : flo_buf_append(&slot->notes, data, len);
    if (!rc)
        tell = add_news_locked(slot);
    pthread_mutex_unlock(&slot->pool->mu);
    if (tell)
        tell_loop(slot->pool);
    return rc;
}

static unsigned slot_wait(struct flo_job_io *io, unsigned known, int64_t timeout_ms)
{
    struct flo_pool_slot *slot = flo_container(io, struct flo_pool_slot, io);
    unsigned told = atomic_load(&slot->told);
    struct timespec until;
    int rc = 0;

    if (told != known || timeout_ms == 0)
        return told;
    until = flo_pool_time_in(CLOCK_MONOTONIC, timeout_ms);
    pthread_mutex_lock(&slot->pool->mu);
    while ((told = atomic_load(&slot->told)) == known && rc != ETIMEDOUT)
        rc = timeout_ms < 0 ? pthread_cond_wait(&slot->telling, &slot->pool->mu)
                            : pthread_cond_timedwait(&slot->telling, &slot->pool->mu, &until);
    pthread_mutex_unlock(&slot->pool->mu);
    return told;
}

static void slot_wake(struct flo_job_io *io)
{
    struct flo_pool_slot *slot = flo_container(io, struct flo_pool_slot, io);

    pthread_mutex_lock(&slot->pool->mu);
    atomic_fetch_add(&slot->told, FLO_JOB_NUDGE);
    pthread_cond_broadcast(&slot->telling);
    pthread_mutex_unlock(&slot->pool->mu);
}

const struct flo_job_io flo_pool_job_io = {
    .progress = slot_progress, .note = slot_note, .wait = slot_wait, .wake = slot_wake};

/* Hand back the slot that has been run (NULL at first) and get the next one, asleep while there is
 * none. NULL: the pool stops, or does not need this thread. */
static struct flo_pool_slot *next_slot(struct flo_pool_thread *thread,
                                       struct flo_pool_slot *finished)
{
    struct flo_pool *pool = thread->pool;
    struct flo_pool_slot *slot = NULL;
    struct flo_pool_thread *other;
    struct flo_node *node;
    bool tell = false;

    thread->slept = false;
    pthread_mutex_lock(&pool->mu);
    if (finished) {
        finished->done = true;
        tell = add_news_locked(finished);
    }
    while (flo_list_empty(&pool->queue) && !pool->stopping && !thread->quit) {
        flo_list_push_front(&pool->idle, &thread->idle);
        pthread_mutex_unlock(&pool->mu);
        if (tell)
            tell_loop(pool);
        tell = false;
        while (sem_wait(&thread->wake) < 0 && errno == EINTR)
            ;
        thread->slept = true;
        pthread_mutex_lock(&pool->mu);
        if (!thread->quit) /* who is told to quit was not woken for the queue */
            pool->waking = false;
    }
    node = thread->quit ? NULL : flo_list_pop_front(&pool->queue);
    if (node) {
        slot = flo_container(node, struct flo_pool_slot, queued);
        slot->runner = (int)thread->number;
        slot->runner_tid = thread->tid;
    }
    other = flo_pool_wake_locked(pool);
    pthread_mutex_unlock(&pool->mu);
    if (tell)
        tell_loop(pool);
    if (other)
        sem_post(&other->wake);
    return slot;
}

static void pool_thread_serve(struct flo_pool_thread *thread)
{
    const struct flo_executor_options *options = &thread->pool->executor.options;
    struct flo_pool_slot *slot = NULL;

    flo_usage_begin(&thread->meter, FLO_USAGE_THREAD);
    while ((slot = next_slot(thread, slot))) {
        flo_usage_job(&thread->meter, thread->slept);
        thread->at = slot;
        options->runner(options->runner_ctx, &slot->io, slot->request, slot->request_len,
                        &slot->reply);
        thread->at = NULL;
        flo_usage_take(&thread->meter, &slot->usage);
    }
}

static void on_fault(void *ctx, int number, const void *address)
{
    const struct flo_pool_thread *thread = ctx;
    const struct flo_executor_options *options = &thread->pool->executor.options;
    const struct flo_pool_slot *at = thread->at;
    const struct flo_executor_fault fault = {
        .signal = number,
        .stack_overflow = number != SIGABRT && flo_stack_overflown(&thread->stack, address),
        .stack_bytes = thread->stack.stack_bytes,
        .unit = thread->name,
        .busy = at != NULL,
        .job = at ? at->job : 0,
    };

    if (options->on_fault)
        options->on_fault(options->ctx, &fault);
}

static void *thread_main(void *arg)
{
    struct flo_pool_thread *thread = arg;
    struct flo_pool *pool = thread->pool;
    const struct flo_executor_options *options = &pool->executor.options;
    struct flo_err err = {0};
    int rc;

    thread->tid = (pid_t)syscall(SYS_gettid);
    flo_fault_watch(&thread->stack, on_fault, thread);
    rc = options->worker_start ? options->worker_start(options->ctx, &err) : 0;
    pthread_mutex_lock(&pool->mu);
    pool->up = true;
    if (rc) {
        pool->up_rc = rc;
        pool->up_err = err;
    }
    pthread_cond_signal(&pool->came_up);
    pthread_mutex_unlock(&pool->mu);
    if (!rc) {
        pool_thread_serve(thread);
        if (options->worker_stop)
            options->worker_stop(options->ctx);
    }
    flo_fault_forget();
    pthread_mutex_lock(&pool->mu);
    flo_list_push_back(&pool->over, &thread->over);
    pthread_mutex_unlock(&pool->mu);
    tell_loop(pool);
    return NULL;
}

/* The least number that no thread has. */
static unsigned free_number(const struct flo_pool *pool)
{
    uint8_t taken[FLO_EXECUTOR_THREADS_MAX / 8] = {0};
    unsigned number = 0;

    FLO_LIST_FOREACH(node, &pool->threads)
    {
        unsigned other = flo_container(node, struct flo_pool_thread, node)->number;
        if (other < FLO_EXECUTOR_THREADS_MAX)
            taken[other / 8] |= (uint8_t)(1u << other % 8);
    }
    while (number < FLO_EXECUTOR_THREADS_MAX && taken[number / 8] & 1u << number % 8)
        number++;
    return number;
}

static int thread_launch(struct flo_pool_thread *thread)
{
    sigset_t all, before;
    pthread_attr_t attr;
    int rc;

    sigfillset(&all);
    sigdelset(&all, SIGPROF); /* but for this one: a profile's timer names the thread */
    pthread_attr_init(&attr);
    rc = flo_stack_use(&thread->stack, &attr);
    if (!rc) {
        pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop thread's */
        rc = pthread_create(&thread->id, &attr, thread_main, thread);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attr);
    return rc;
}

int flo_pool_thread_new(struct flo_pool *pool, struct flo_err *err)
{
    const struct flo_executor_options *options = &pool->executor.options;
    struct flo_pool_thread *thread = flo_calloc(1, sizeof *thread);
    int rc;

    if (!thread)
        return flo_fail(err, FLO_ENOMEM, "no memory for a thread of the %s pool", options->name);
    thread->pool = pool;
    thread->number = free_number(pool);
    snprintf(thread->name, sizeof thread->name, "%.10s-%u", options->name, thread->number);
    sem_init(&thread->wake, 0, 0);
    rc = flo_stack_map(&thread->stack, options->stack_bytes, err);
    if (!rc) {
        rc = thread_launch(thread);
        if (rc)
            rc = flo_fail(err, FLO_ESYS, "cannot start thread %s: %s", thread->name, strerror(rc));
    }
    if (rc) {
        flo_pool_thread_free(thread);
        return rc;
    }
    pthread_setname_np(thread->id, thread->name);
    flo_list_push_back(&pool->threads, &thread->node);
    return 0;
}

void flo_pool_thread_free(struct flo_pool_thread *thread)
{
    struct flo_pool *pool = thread->pool;

    if (flo_node_linked(&thread->node))
        flo_list_remove(&pool->threads, &thread->node);
    pthread_mutex_lock(&pool->mu);
    if (flo_node_linked(&thread->over))
        flo_list_remove(&pool->over, &thread->over);
    pthread_mutex_unlock(&pool->mu);
    flo_stack_unmap(&thread->stack);
    sem_destroy(&thread->wake);
    flo_free(thread);
}
