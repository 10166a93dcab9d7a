/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threads.c - jobs on fixed threads.
 *
 *   loop ──► queue ──► a thread runs the slot ──► news ──► loop
 *     (mu)         wake: one thread, if need be     eventfd, if need be
 *
 * A slot is a place for one running job; there are as many as threads. Ownership of it travels
 * through the two lists, so the two sides never look at the same one at the same time, except for
 * what must be seen while a job runs: the cancel reason (an atomic) and the newest progress (under
 * mu). mu is held for a few instructions, never while user code runs.
 *
 * A wake-up across threads costs more than most jobs, so there are as few as possible:
 *
 * - One thread is woken at a time (pool->waking). It wakes the next one itself when it has taken a
 *   slot and more are queued, before it runs its own; so a burst of short jobs is done by the few
 *   threads that are awake, and a burst of long ones still spreads over all. A thread that has
 *   finished looks at the queue before it sleeps. Invariant: while a slot is queued, a thread is
 *   being woken or no thread is asleep.
 * - The thread that fell asleep last is woken first: its stack and caches are warm.
 * - The eventfd is written only when there was no news yet and the loop is not about to look
 *   anyway (pool->loop_looks): submitting a job makes it look once more in the same turn. Its event
 *   is edge-triggered, so it is never read.
 */
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "executor/core.h"
#include "executor/usage.h"

/* Address space of a thread's stack: libcurl, OpenSSL and libpq run on it. Touched lazily. */
#define STACK_BYTES (1u << 20)
#define START_TIMEOUT_MS 60000
/* A reply's memory up to this size stays with its slot for the next job. */
#define REPLY_KEPT_BYTES 1024

struct slot {
    struct flo_core_unit unit; /* first: a slot is a unit; loop side */
    struct threads *pool;
    /* Whose the slot is, loop or thread: */
    struct flo_job_io io;
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
};

struct thread {
    struct flo_node node; /* guarded by mu: on pool->idle */
    struct threads *pool;
    unsigned index;
    pthread_t id;
    bool started; /* to be joined */
    sem_t wake;
    bool slept;                   /* thread side: before it got its job */
    struct flo_usage_meter meter; /* thread side */
};

struct threads {
    struct flo_executor executor; /* first: the executor is the pool */
    struct thread *threads;
    struct slot *slots;
    struct flo_core_unit **units;
    struct event *look; /* at the news: the eventfd's edge, or made active */
    int news_fd;        /* eventfd; -1 = none */
    pthread_mutex_t mu;
    struct flo_list queue;  /* guarded by mu: slots that no thread has taken */
    struct flo_list news;   /* guarded by mu: slots that have something for the loop */
    struct flo_list idle;   /* guarded by mu: threads asleep, the latest first */
    bool waking;            /* guarded by mu: a thread was woken and has not looked yet */
    bool loop_looks;        /* guarded by mu: the loop will look at the news without being told */
    bool stopping;          /* guarded by mu: threads end when the queue is empty */
    pthread_cond_t came_up; /* a thread has started, or failed to */
    unsigned up_count;      /* guarded by mu: threads that have started */
    int up_rc;              /* guarded by mu: the first failure of a worker_start */
    struct flo_err up_err;  /* guarded by mu: its sentence */
};

/* ---- thread side ---- */

/* Whether the caller must tell the loop once it has let go of mu. */
static bool add_news_locked(struct slot *slot)
{
    struct threads *pool = slot->pool;
    bool first = flo_list_empty(&pool->news);

    if (flo_node_linked(&slot->news))
        return false;
    flo_list_push_back(&pool->news, &slot->news);
    return first && !pool->loop_looks;
}

static void tell_loop(const struct threads *pool)
{
    const uint64_t one = 1;

    while (write(pool->news_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* The thread to wake for the queue, taken off the idle ones; NULL when none must be. */
static struct thread *wake_locked(struct threads *pool)
{
    struct flo_node *node;

    if (pool->waking || flo_list_empty(&pool->queue))
        return NULL;
    node = flo_list_pop_front(&pool->idle);
    pool->waking = node != NULL;
    return node ? flo_container(node, struct thread, node) : NULL;
}

static void slot_progress(struct flo_job_io *io, const uint8_t *data, size_t len)
{
    struct slot *slot = flo_container(io, struct slot, io);
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

static struct timespec time_in(clockid_t clock, int64_t ms)
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
    struct slot *slot = flo_container(io, struct slot, io);
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
    struct slot *slot = flo_container(io, struct slot, io);
    unsigned told = atomic_load(&slot->told);
    struct timespec until;
    int rc = 0;

    if (told != known || timeout_ms == 0)
        return told;
    until = time_in(CLOCK_MONOTONIC, timeout_ms);
    pthread_mutex_lock(&slot->pool->mu);
    while ((told = atomic_load(&slot->told)) == known && rc != ETIMEDOUT)
        rc = timeout_ms < 0 ? pthread_cond_wait(&slot->telling, &slot->pool->mu)
                            : pthread_cond_timedwait(&slot->telling, &slot->pool->mu, &until);
    pthread_mutex_unlock(&slot->pool->mu);
    return told;
}

static void slot_wake(struct flo_job_io *io)
{
    struct slot *slot = flo_container(io, struct slot, io);

    pthread_mutex_lock(&slot->pool->mu);
    atomic_fetch_add(&slot->told, FLO_JOB_NUDGE);
    pthread_cond_broadcast(&slot->telling);
    pthread_mutex_unlock(&slot->pool->mu);
}

/* Hand back the slot that has been run (NULL at first) and get the next one, asleep while there is
 * none. NULL: the pool stops. */
static struct slot *next_slot(struct thread *thread, struct slot *finished)
{
    struct threads *pool = thread->pool;
    struct flo_node *node;
    struct thread *other;
    bool tell = false;

    thread->slept = false;
    pthread_mutex_lock(&pool->mu);
    if (finished) {
        finished->done = true;
        tell = add_news_locked(finished);
    }
    while (flo_list_empty(&pool->queue) && !pool->stopping) {
        flo_list_push_front(&pool->idle, &thread->node);
        pthread_mutex_unlock(&pool->mu);
        if (tell)
            tell_loop(pool);
        tell = false;
        while (sem_wait(&thread->wake) < 0 && errno == EINTR)
            ;
        thread->slept = true;
        pthread_mutex_lock(&pool->mu);
        pool->waking = false;
    }
    node = flo_list_pop_front(&pool->queue);
    other = wake_locked(pool);
    pthread_mutex_unlock(&pool->mu);
    if (tell)
        tell_loop(pool);
    if (other)
        sem_post(&other->wake);
    return node ? flo_container(node, struct slot, queued) : NULL;
}

static void thread_serve(struct thread *thread)
{
    const struct flo_executor_options *options = &thread->pool->executor.options;
    struct slot *slot = NULL;

    flo_usage_begin(&thread->meter, FLO_USAGE_THREAD);
    while ((slot = next_slot(thread, slot))) {
        flo_usage_job(&thread->meter, thread->slept);
        options->runner(options->runner_ctx, &slot->io, slot->request, slot->request_len,
                        &slot->reply);
        flo_usage_take(&thread->meter, &slot->usage);
    }
}

static void *thread_main(void *arg)
{
    struct thread *thread = arg;
    struct threads *pool = thread->pool;
    const struct flo_executor_options *options = &pool->executor.options;
    struct flo_err err = {0};
    int rc = options->worker_start ? options->worker_start(options->ctx, &err) : 0;

    pthread_mutex_lock(&pool->mu);
    if (rc && !pool->up_rc) {
        pool->up_rc = rc;
        pool->up_err = err;
    }
    pool->up_count++;
    pthread_cond_signal(&pool->came_up);
    pthread_mutex_unlock(&pool->mu);
    if (rc)
        return NULL;
    thread_serve(thread);
    if (options->worker_stop)
        options->worker_stop(options->ctx);
    return NULL;
}

/* ---- loop side ---- */

static void threads_start(struct flo_core_unit *unit)
{
    struct slot *slot = (struct slot *)unit;
    struct threads *pool = slot->pool;
    struct thread *thread;
    bool looks;

    slot->request = unit->job->request;
    slot->request_len = unit->job->request_len;
    slot->reply.failed = false;
    flo_buf_clear(&slot->reply);
    pthread_mutex_lock(&pool->mu);
    atomic_store(&slot->told, 0);
    flo_list_push_back(&pool->queue, &slot->queued);
    thread = wake_locked(pool);
    looks = pool->loop_looks;
    pool->loop_looks = true;
    pthread_mutex_unlock(&pool->mu);
    if (thread)
        sem_post(&thread->wake);
    if (!looks)
        event_active(pool->look, EV_READ, 0);
}

static void threads_cancel(struct flo_core_unit *unit)
{
    struct slot *slot = (struct slot *)unit;
    unsigned nudges;

    pthread_mutex_lock(&slot->pool->mu);
    nudges = atomic_load(&slot->told) / FLO_JOB_NUDGE * FLO_JOB_NUDGE;
    atomic_store(&slot->told, nudges | flo_core_job_told(unit->job));
    pthread_cond_broadcast(&slot->telling);
    pthread_mutex_unlock(&slot->pool->mu);
}

static void slot_ended(struct slot *slot)
{
    const struct flo_job_result result = {
        .end = slot->reply.failed ? FLO_JOB_CRASHED : FLO_JOB_DONE,
        .reply = slot->reply.data,
        .reply_len = slot->reply.len,
        .usage = slot->usage,
    };

    flo_core_job_ended(&slot->unit, &result);
    if (slot->reply.cap > REPLY_KEPT_BYTES) {
        flo_buf_fini(&slot->reply);
        flo_buf_init(&slot->reply, slot->pool->executor.options.max_reply_bytes);
    }
    flo_core_unit_free(&slot->unit);
}

/* Take one piece of news and act on it. False when there is none: from then on the loop is told. */
static bool take_news(struct threads *pool)
{
    const struct flo_executor_options *options = &pool->executor.options;
    struct slot *slot = NULL;
    struct flo_buf progress, notes;
    bool progressed = false, done = false;
    struct flo_node *node;

    flo_buf_init(&progress, FLO_JOB_PROGRESS_MAX);
    flo_buf_init(&notes, 0);
    pthread_mutex_lock(&pool->mu);
    node = flo_list_pop_front(&pool->news);
    pool->loop_looks = node != NULL;
    if (node) {
        slot = flo_container(node, struct slot, news);
        progressed = slot->progressed;
        done = slot->done;
        if (progressed) {
            progress = slot->progress;
            flo_buf_init(&slot->progress, FLO_JOB_PROGRESS_MAX);
        }
        if (slot->notes.len > 0) {
            notes = slot->notes;
            flo_buf_init(&slot->notes, 0);
        }
        slot->progressed = slot->done = false;
    }
    pthread_mutex_unlock(&pool->mu);
    if (progressed && options->on_progress)
        options->on_progress(options->ctx, slot->unit.job->id, progress.data, progress.len);
    if (notes.len > 0 && options->on_note)
        options->on_note(options->ctx, slot->unit.job->id, notes.data, notes.len);
    flo_buf_fini(&progress);
    flo_buf_fini(&notes);
    if (done)
        slot_ended(slot);
    return node != NULL;
}

static void on_look(evutil_socket_t fd, short what, void *ctx)
{
    struct threads *pool = ctx;

    (void)fd;
    (void)what;
    /* A bounded number: threads that never tire must not hold the loop. */
    for (unsigned i = 0; i < 2 * pool->executor.options.workers; i++)
        if (!take_news(pool))
            return;
    event_active(pool->look, EV_READ, 0);
}

/* ---- starting and stopping ---- */

/* Tell every thread to end once its job has, and give them grace_ms; returns how many did not. */
static size_t threads_join(struct threads *pool, int64_t grace_ms)
{
    const struct timespec until = time_in(CLOCK_REALTIME, grace_ms);
    struct flo_node *node;
    size_t left = 0;

    for (unsigned i = 0; i < pool->executor.options.workers; i++) {
        struct flo_core_unit *unit = pool->units[i];
        if (!unit->job)
            continue;
        unit->job->reason = FLO_JOB_CANCEL_SHUTDOWN;
        threads_cancel(unit);
    }
    pthread_mutex_lock(&pool->mu);
    pool->stopping = true;
    while ((node = flo_list_pop_front(&pool->idle)))
        sem_post(&flo_container(node, struct thread, node)->wake);
    pthread_mutex_unlock(&pool->mu);
    for (unsigned i = 0; i < pool->executor.options.workers; i++) {
        struct thread *thread = &pool->threads[i];
        if (!thread->started)
            continue;
        if (pthread_timedjoin_np(thread->id, NULL, &until) == 0) {
            thread->started = false;
            continue;
        }
        pthread_detach(thread->id);
        left++;
    }
    return left;
}

static void slot_fini(struct slot *slot)
{
    flo_core_job_drop(&slot->unit);
    pthread_cond_destroy(&slot->telling);
    flo_buf_fini(&slot->notes);
    flo_buf_fini(&slot->progress);
    flo_buf_fini(&slot->reply);
}

static size_t threads_destroy(struct flo_executor *executor, int64_t grace_ms)
{
    struct threads *pool = (struct threads *)executor;
    size_t left = threads_join(pool, grace_ms);

    flo_core_fini(executor);
    if (pool->look)
        event_free(pool->look);
    pool->look = NULL;
    if (left)
        return left; /* they still use the pool: it stays until the process ends */
    for (unsigned i = 0; i < executor->options.workers; i++) {
        slot_fini(&pool->slots[i]);
        sem_destroy(&pool->threads[i].wake);
    }
    if (pool->news_fd >= 0)
        close(pool->news_fd);
    pthread_cond_destroy(&pool->came_up);
    pthread_mutex_destroy(&pool->mu);
    flo_free(pool->threads);
    flo_free(pool->slots);
    flo_free(pool->units);
    flo_free(pool);
    return 0;
}

static const struct flo_executor_ops THREADS_OPS = {
    .start = threads_start,
    .cancel = threads_cancel,
    .destroy = threads_destroy,
};

static int thread_create(struct thread *thread, struct flo_err *err)
{
    const struct flo_executor_options *options = &thread->pool->executor.options;
    sigset_t all, before;
    pthread_attr_t attr;
    char name[16];
    int rc;

    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop thread's */
    rc = pthread_create(&thread->id, &attr, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (rc)
        return flo_fail(err, FLO_ESYS, "cannot start thread %u of the %s pool: %s",
                        thread->index + 1, options->name, strerror(rc));
    thread->started = true;
    snprintf(name, sizeof name, "%.10s-%u", options->name, thread->index);
    pthread_setname_np(thread->id, name);
    return 0;
}

/* Wait until each thread has said that it is ready. */
static int threads_wait_ready(struct threads *pool, struct flo_err *err)
{
    const struct timespec until = time_in(CLOCK_MONOTONIC, START_TIMEOUT_MS);
    int rc = 0;

    pthread_mutex_lock(&pool->mu);
    while (pool->up_count < pool->executor.options.workers && !pool->up_rc && !rc)
        rc = pthread_cond_timedwait(&pool->came_up, &pool->mu, &until);
    if (pool->up_rc)
        rc = flo_fail(err, pool->up_rc, "%s", pool->up_err.message);
    else if (pool->up_count < pool->executor.options.workers)
        rc = flo_fail(err, FLO_ESYS, "the threads of the %s pool do not start",
                      pool->executor.options.name);
    pthread_mutex_unlock(&pool->mu);
    return rc;
}

static int threads_launch(struct threads *pool, struct flo_err *err)
{
    unsigned count = pool->executor.options.workers;
    int rc;

    pool->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->news_fd < 0)
        return flo_fail(err, FLO_ESYS, "cannot make the %s pool's eventfd: %s",
                        pool->executor.options.name, strerror(errno));
    pool->look =
        event_new(pool->executor.base, pool->news_fd, EV_READ | EV_PERSIST | EV_ET, on_look, pool);
    if (!pool->look || event_add(pool->look, NULL) < 0)
        return flo_fail(err, FLO_ENOMEM, "no memory for the %s pool", pool->executor.options.name);
    for (unsigned i = 0; i < count; i++) {
        rc = thread_create(&pool->threads[i], err);
        if (rc)
            return rc;
    }
    rc = threads_wait_ready(pool, err);
    for (unsigned i = 0; i < count && !rc; i++)
        pool->units[i]->ready = true;
    return rc;
}

static void slot_init(struct slot *slot, struct threads *pool, unsigned index,
                      const pthread_condattr_t *attr)
{
    slot->unit = (struct flo_core_unit){.executor = &pool->executor, .index = index};
    slot->pool = pool;
    slot->io = (struct flo_job_io){
        .progress = slot_progress, .note = slot_note, .wait = slot_wait, .wake = slot_wake};
    flo_buf_init(&slot->reply, pool->executor.options.max_reply_bytes);
    flo_buf_init(&slot->progress, FLO_JOB_PROGRESS_MAX);
    flo_buf_init(&slot->notes, 0);
    pthread_cond_init(&slot->telling, attr);
    pool->units[index] = &slot->unit;
}

static void pool_init(struct threads *pool)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&pool->mu, NULL);
    pthread_cond_init(&pool->came_up, &attr);
    flo_list_init(&pool->queue);
    flo_list_init(&pool->news);
    flo_list_init(&pool->idle);
    for (unsigned i = 0; i < pool->executor.options.workers; i++) {
        slot_init(&pool->slots[i], pool, i, &attr);
        pool->threads[i].pool = pool;
        pool->threads[i].index = i;
        sem_init(&pool->threads[i].wake, 0, 0);
    }
    pthread_condattr_destroy(&attr);
}

int flo_executor_threads_new(struct event_base *base, const struct flo_executor_options *options,
                             struct flo_executor **out, struct flo_err *err)
{
    struct threads *pool = flo_calloc(1, sizeof *pool);
    int rc;

    if (!pool)
        return flo_fail(err, FLO_ENOMEM, "no memory for the %s pool", options->name);
    flo_core_init(&pool->executor, &THREADS_OPS, base, options);
    pool->news_fd = -1;
    pool->threads = flo_calloc(options->workers, sizeof *pool->threads);
    pool->slots = flo_calloc(options->workers, sizeof *pool->slots);
    pool->units = flo_calloc(options->workers, sizeof(struct flo_core_unit *));
    pool->executor.units = pool->units;
    bool enough = pool->threads && pool->slots && pool->units;
    if (!enough)
        pool->executor.options.workers = 0; /* none is set up */
    pool_init(pool);
    rc = enough ? threads_launch(pool, err)
                : flo_fail(err, FLO_ENOMEM, "no memory for %u threads", options->workers);
    if (rc) {
        pool->executor.closed = true;
        threads_destroy(&pool->executor, 1000);
        return rc;
    }
    *out = &pool->executor;
    return 0;
}
