/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threads.c - jobs on threads: the loop's side. pool_thread.c has the threads'.
 *
 *   loop ──► queue ──► a thread runs the slot ──► news ──► loop
 *     (mu)         wake: one thread, if need be     eventfd, if need be
 *
 * A slot is a place for one running job. Ownership of it travels through the two lists, so the two
 * sides never look at the same one at the same time, except for what must be seen while a job runs:
 * what it was told (an atomic) and the progress and notes (under mu). mu is held for a few
 * instructions, never while user code runs.
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
 *
 * Threads and slots are made when they are needed, so that room for many costs nothing: a thread
 * when there are more jobs than threads. While there is more than one, the loop looks once in
 * idle_ms how many were never needed since the last time (idle_least: the list is a stack, so they
 * are those at its end) and tells these to quit; a job pays for that with one comparison. When a
 * thread cannot be made, jobs wait for those that there are, and the next job tries again.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "executor/doing.h"
#include "executor/pool.h"

#define START_TIMEOUT_MS 60000
#define IDLE_MS 60000
/* A reply's memory up to this size stays with its slot for the next job. */
#define REPLY_KEPT_BYTES 1024

/* ---- threads come and go ---- */

static void arm_trim(struct flo_pool *pool)
{
    const int64_t ms = pool->executor.options.idle_ms;
    const struct timeval delay = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    if (pool->threads.count - pool->quitting > 1 && !event_pending(pool->trim, EV_TIMEOUT, NULL))
        event_add(pool->trim, &delay);
}

/* Join the threads that have ended. */
static void bury(struct flo_pool *pool)
{
    struct flo_pool_thread *thread;
    struct flo_node *node;

    do {
        pthread_mutex_lock(&pool->mu);
        node = flo_list_pop_front(&pool->over);
        pthread_mutex_unlock(&pool->mu);
        if (node) {
            thread = flo_container(node, struct flo_pool_thread, over);
            pthread_join(thread->id, NULL); /* at its last instructions */
            pool->quitting -= thread->quit;
            flo_pool_thread_free(thread);
        }
    } while (node);
}

static void make_threads(struct flo_pool *pool)
{
    const struct flo_executor_options *options = &pool->executor.options;
    struct flo_err err = {0};

    if (pool->quitting > 0)
        bury(pool); /* their numbers are free then */
    while (pool->threads.count - pool->quitting < pool->executor.running) {
        if (flo_pool_thread_new(pool, &err)) {
            if (!pool->warned && options->on_warning)
                options->on_warning(options->ctx, err.message);
            pool->warned = true;
            return;
        }
        pool->warned = false;
        arm_trim(pool);
    }
}

/* As many threads as jobs. */
static void want_threads(struct flo_pool *pool)
{
    if (pool->threads.count - pool->quitting < pool->executor.running)
        make_threads(pool);
}

static void on_trim(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_pool *pool = ctx;
    size_t spare;

    (void)fd;
    (void)what;
    pthread_mutex_lock(&pool->mu);
    spare = pool->idle_least;
    if (spare > 0 && spare >= pool->threads.count - pool->quitting)
        spare--; /* one stays, for the next job */
    for (; spare > 0 && !flo_list_empty(&pool->idle); spare--) {
        struct flo_node *coldest = pool->idle.head.prev;
        struct flo_pool_thread *thread = flo_container(coldest, struct flo_pool_thread, idle);
        flo_list_remove(&pool->idle, coldest);
        thread->quit = true;
        pool->quitting++;
        sem_post(&thread->wake);
    }
    pool->idle_least = pool->idle.count;
    pthread_mutex_unlock(&pool->mu);
    arm_trim(pool);
}

/* ---- slots ---- */

static struct flo_pool_slot *slot_new(struct flo_pool *pool)
{
    struct flo_pool_slot *slot = flo_calloc(1, sizeof *slot);
    pthread_condattr_t attr;

    if (!slot)
        return NULL;
    slot->unit = (struct flo_core_unit){
        .executor = &pool->executor, .index = pool->executor.unit_count, .ready = true};
    slot->pool = pool;
    slot->io = flo_pool_job_io;
    flo_buf_init(&slot->reply, pool->executor.options.max_reply_bytes);
    flo_buf_init(&slot->progress, FLO_JOB_PROGRESS_MAX);
    flo_buf_init(&slot->notes, 0);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&slot->telling, &attr);
    pthread_condattr_destroy(&attr);
    return slot;
}

static void slot_free(struct flo_pool_slot *slot)
{
    flo_core_job_drop(&slot->unit);
    pthread_cond_destroy(&slot->telling);
    flo_buf_fini(&slot->notes);
    flo_buf_fini(&slot->progress);
    flo_buf_fini(&slot->reply);
    flo_free(slot);
}

/* One more slot, on idle_slots. FLO_ENOMEM. */
static int add_slot(struct flo_pool *pool)
{
    const unsigned count = pool->executor.unit_count;
    struct flo_pool_slot *slot;

    if (count == pool->unit_room) {
        unsigned room = count ? 2 * count : 8;
        struct flo_core_unit **units =
            flo_reallocarray(pool->units, room, sizeof(struct flo_core_unit *));
        if (!units)
            return FLO_ENOMEM;
        pool->units = pool->executor.units = units;
        pool->unit_room = room;
    }
    slot = slot_new(pool);
    if (!slot)
        return FLO_ENOMEM;
    pool->units[count] = &slot->unit;
    pool->executor.unit_count++;
    flo_list_push_front(&pool->idle_slots, &slot->idle);
    return 0;
}

/* Without memory for another slot a job waits for one of those that are at work: there is one,
 * since the first is made with the pool. */
static struct flo_core_unit *threads_idle(struct flo_executor *executor)
{
    struct flo_pool *pool = (struct flo_pool *)executor;
    struct flo_node *node;

    if (executor->running >= executor->options.workers)
        return NULL;
    if (flo_list_empty(&pool->idle_slots) && add_slot(pool))
        return NULL;
    node = flo_list_first(&pool->idle_slots);
    return &flo_container(node, struct flo_pool_slot, idle)->unit;
}

/* ---- jobs ---- */

static void threads_start(struct flo_core_unit *unit)
{
    struct flo_pool_slot *slot = (struct flo_pool_slot *)unit;
    struct flo_pool *pool = slot->pool;
    struct flo_pool_thread *thread;
    bool looks;

    if (flo_node_linked(&slot->idle))
        flo_list_remove(&pool->idle_slots, &slot->idle);
    slot->job = unit->job->id;
    slot->request = unit->job->request;
    slot->request_len = unit->job->request_len;
    slot->reply.failed = false;
    flo_buf_clear(&slot->reply);
    pthread_mutex_lock(&pool->mu);
    atomic_store(&slot->told, 0);
    slot->runner = -1;
    flo_list_push_back(&pool->queue, &slot->queued);
    thread = flo_pool_wake_locked(pool);
    looks = pool->loop_looks;
    pool->loop_looks = true;
    pthread_mutex_unlock(&pool->mu);
    if (thread)
        sem_post(&thread->wake);
    if (!looks)
        event_active(pool->look, EV_READ, 0);
    want_threads(pool);
}

static void threads_cancel(struct flo_core_unit *unit)
{
    struct flo_pool_slot *slot = (struct flo_pool_slot *)unit;
    unsigned nudges;

    pthread_mutex_lock(&slot->pool->mu);
    nudges = atomic_load(&slot->told) / FLO_JOB_NUDGE * FLO_JOB_NUDGE;
    atomic_store(&slot->told, nudges | flo_core_job_told(unit->job));
    pthread_cond_broadcast(&slot->telling);
    pthread_mutex_unlock(&slot->pool->mu);
}

static void threads_look(const struct flo_core_unit *unit, bool ended, struct flo_stuck_job *out)
{
    const struct flo_pool_slot *slot = (const struct flo_pool_slot *)unit;
    struct flo_pool *pool = slot->pool;
    pid_t tid;
    int runner;

    pthread_mutex_lock(&pool->mu);
    runner = slot->runner;
    tid = slot->runner_tid;
    ended = ended || slot->done;
    pthread_mutex_unlock(&pool->mu);
    if (runner < 0) {
        snprintf(out->unit, sizeof out->unit, "none");
        return;
    }
    snprintf(out->unit, sizeof out->unit, "%.10s-%d", pool->executor.options.name, runner);
    if (!ended)
        flo_doing(tid, out->doing, sizeof out->doing);
}

static void slot_ended(struct flo_pool_slot *slot)
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
    if (slot->pool->executor.running < slot->pool->executor.options.workers)
        flo_core_unit_free(&slot->unit);
    if (!slot->unit.job)
        flo_list_push_front(&slot->pool->idle_slots, &slot->idle);
}

/* What a slot had to say, taken off it. */
struct taken {
    struct flo_buf progress, notes; /* set when: */
    bool progressed, noted;
    bool done;
};

static void take_locked(struct flo_pool_slot *slot, struct taken *out)
{
    out->progressed = slot->progressed;
    out->noted = slot->notes.len > 0;
    out->done = slot->done;
    if (out->progressed) {
        out->progress = slot->progress;
        flo_buf_init(&slot->progress, FLO_JOB_PROGRESS_MAX);
    }
    if (out->noted) {
        out->notes = slot->notes;
        flo_buf_init(&slot->notes, 0);
    }
    slot->progressed = slot->done = false;
}

static void act_on(struct flo_pool_slot *slot, struct taken *taken)
{
    const struct flo_executor_options *options = &slot->pool->executor.options;
    const uint64_t job = slot->job;

    if (taken->progressed) {
        if (options->on_progress)
            options->on_progress(options->ctx, job, taken->progress.data, taken->progress.len);
        flo_buf_fini(&taken->progress);
    }
    if (taken->noted) {
        if (options->on_note)
            options->on_note(options->ctx, job, taken->notes.data, taken->notes.len);
        flo_buf_fini(&taken->notes);
    }
    if (taken->done)
        slot_ended(slot);
}

/* Take one piece of news and act on it. False when there is none: from then on the loop is told. */
static bool take_news(struct flo_pool *pool)
{
    struct flo_pool_slot *slot = NULL;
    struct flo_node *node;
    struct taken taken;
    bool dead = false;

    pthread_mutex_lock(&pool->mu);
    node = flo_list_pop_front(&pool->news);
    pool->loop_looks = node != NULL;
    if (node) {
        slot = flo_container(node, struct flo_pool_slot, news);
        take_locked(slot, &taken);
    } else {
        dead = !flo_list_empty(&pool->over);
    }
    pthread_mutex_unlock(&pool->mu);
    if (slot)
        act_on(slot, &taken);
    if (dead)
        bury(pool);
    return slot != NULL;
}

static void on_look(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_pool *pool = ctx;

    (void)fd;
    (void)what;
    /* A bounded number: threads that never tire must not hold the loop. */
    for (unsigned i = 0; i < 2 * pool->executor.unit_count; i++)
        if (!take_news(pool))
            return;
    event_active(pool->look, EV_READ, 0);
}

static void threads_resized(struct flo_executor *executor)
{
    (void)executor; /* what is missing comes with the jobs, what is too much ends when idle */
}

/* ---- starting and stopping ---- */

/* Tell every thread to end once its job has, and give them grace_ms; returns how many did not. */
static size_t threads_join(struct flo_pool *pool, int64_t grace_ms)
{
    const struct timespec until = flo_pool_time_in(CLOCK_REALTIME, grace_ms);
    struct flo_node *asleep;
    size_t left = 0;

    for (unsigned i = 0; i < pool->executor.unit_count; i++) {
        struct flo_core_unit *unit = pool->units[i];
        if (!unit->job)
            continue;
        unit->job->reason = FLO_JOB_CANCEL_SHUTDOWN;
        threads_cancel(unit);
    }
    pthread_mutex_lock(&pool->mu);
    pool->stopping = true;
    while ((asleep = flo_list_pop_front(&pool->idle)))
        sem_post(&flo_container(asleep, struct flo_pool_thread, idle)->wake);
    pthread_mutex_unlock(&pool->mu);
    FLO_LIST_FOREACH_SAFE(node, &pool->threads)
    {
        struct flo_pool_thread *thread = flo_container(node, struct flo_pool_thread, node);
        if (pthread_timedjoin_np(thread->id, NULL, &until) == 0) {
            flo_pool_thread_free(thread);
            continue;
        }
        pthread_detach(thread->id);
        left++;
    }
    return left;
}

static size_t threads_destroy(struct flo_executor *executor, int64_t grace_ms)
{
    struct flo_pool *pool = (struct flo_pool *)executor;
    size_t left = threads_join(pool, grace_ms);

    flo_core_fini(executor);
    if (pool->look)
        event_free(pool->look);
    if (pool->trim)
        event_free(pool->trim);
    pool->look = pool->trim = NULL;
    if (left)
        return left; /* they still use the pool: it stays until the process ends */
    for (unsigned i = 0; i < executor->unit_count; i++)
        slot_free((struct flo_pool_slot *)pool->units[i]);
    if (pool->news_fd >= 0)
        close(pool->news_fd);
    pthread_cond_destroy(&pool->came_up);
    pthread_mutex_destroy(&pool->mu);
    flo_free(pool->units);
    flo_free(pool);
    return 0;
}

static const struct flo_executor_ops THREADS_OPS = {
    .idle = threads_idle,
    .start = threads_start,
    .cancel = threads_cancel,
    .look = threads_look,
    .resized = threads_resized,
    .workers_max = FLO_EXECUTOR_THREADS_MAX,
    .destroy = threads_destroy,
};

/* Wait until the first thread has said that it is ready. */
static int wait_ready(struct flo_pool *pool, struct flo_err *err)
{
    const struct timespec until = flo_pool_time_in(CLOCK_MONOTONIC, START_TIMEOUT_MS);
    int rc = 0;

    pthread_mutex_lock(&pool->mu);
    while (!pool->up && !rc)
        rc = pthread_cond_timedwait(&pool->came_up, &pool->mu, &until);
    if (pool->up_rc)
        rc = flo_fail(err, pool->up_rc, "%s", pool->up_err.message);
    else if (!pool->up)
        rc = flo_fail(err, FLO_ESYS, "the threads of the %s pool do not start",
                      pool->executor.options.name);
    else
        rc = 0;
    pthread_mutex_unlock(&pool->mu);
    return rc;
}

static int pool_launch(struct flo_pool *pool, struct flo_err *err)
{
    const struct flo_executor_options *options = &pool->executor.options;
    int rc;

    if (options->workers == 0 || options->workers > FLO_EXECUTOR_THREADS_MAX)
        return flo_fail(err, FLO_EINVAL, "the %s pool cannot have %u threads", options->name,
                        options->workers);
    pool->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->news_fd < 0)
        return flo_fail(err, FLO_ESYS, "cannot make the %s pool's eventfd: %s", options->name,
                        strerror(errno));
    pool->look =
        event_new(pool->executor.base, pool->news_fd, EV_READ | EV_PERSIST | EV_ET, on_look, pool);
    pool->trim = evtimer_new(pool->executor.base, on_trim, pool);
    if (!pool->look || !pool->trim || event_add(pool->look, NULL) < 0 || add_slot(pool))
        return flo_fail(err, FLO_ENOMEM, "no memory for the %s pool", options->name);
    rc = flo_pool_thread_new(pool, err);
    if (!rc)
        rc = wait_ready(pool, err);
    return rc;
}

static void pool_init(struct flo_pool *pool)
{
    struct flo_executor_options *options = &pool->executor.options;
    pthread_condattr_t attr;

    if (options->stack_bytes == 0)
        options->stack_bytes = FLO_STACK_BYTES;
    if (options->stack_bytes < FLO_STACK_MIN_BYTES)
        options->stack_bytes = FLO_STACK_MIN_BYTES;
    if (options->idle_ms <= 0)
        options->idle_ms = IDLE_MS;
    pool->news_fd = -1;
    pool->executor.unit_count = 0;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&pool->mu, NULL);
    pthread_cond_init(&pool->came_up, &attr);
    pthread_condattr_destroy(&attr);
    flo_list_init(&pool->threads);
    flo_list_init(&pool->idle_slots);
    flo_list_init(&pool->queue);
    flo_list_init(&pool->news);
    flo_list_init(&pool->idle);
    flo_list_init(&pool->over);
}

int flo_executor_threads_new(struct event_base *base, const struct flo_executor_options *options,
                             struct flo_executor **out, struct flo_err *err)
{
    struct flo_pool *pool = flo_calloc(1, sizeof *pool);
    int rc;

    if (!pool)
        return flo_fail(err, FLO_ENOMEM, "no memory for the %s pool", options->name);
    flo_core_init(&pool->executor, &THREADS_OPS, base, options);
    pool_init(pool);
    rc = pool_launch(pool, err);
    if (rc) {
        pool->executor.closed = true;
        threads_destroy(&pool->executor, 1000);
        return rc;
    }
    *out = &pool->executor;
    return 0;
}
