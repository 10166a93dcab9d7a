/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shards.c - see shards.h.
 *
 * A wake-up across threads costs more than most workflow tasks, so there are as few as possible:
 *
 * - What a turn of the loop submits waits in each shard's batch until the end of the turn, and is
 *   then handed over at once; the thread is woken only when it sleeps. It looks at its queue before
 *   it does.
 * - A thread tells the loop when it has nothing left to do, or has just been at a job for TELL_NS;
 *   not job by job. The eventfd is written only by the first that has news since the loop looked.
 *   Its event is edge-triggered, so it is never read.
 * - A long job must not hold back the short ones before it, of which the loop has not been told:
 *   while a shard has jobs behind the one that it is at, the loop looks by itself each LOOK_US.
 *
 * mu is held for a few instructions, never while code runs or runs are freed.
 */
#include "worker/shards.h"

#include <errno.h>
#include <event2/event.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/map.h"
#include "executor/thread_stack.h"
#include "workflow/coroutine.h"
#include "workflow/scheduler.h"
#include "workflow/switch.h"

#define STACK_BYTES ((size_t)512 << 10) /* of a thread, not of workflow code: touched lazily */
#define TELL_NS (200 * INT64_C(1000))
#define LOOK_US 5000

struct flo_shard_thread {
    struct flo_node node; /* all->threads */
    struct flo_shard *shard;
    pthread_t id;
    char name[16];
    sem_t wake;
    /* Guarded by shard->mu: */
    struct flo_shard_job *at; /* the job that it does */
    int64_t began_ns;
    pid_t tid;                    /* 0: it has not begun yet */
    const atomic_ullong *resumes; /* of its coroutines; set with tid */
    bool given_up;                /* the shard has another one */
    bool heir;                    /* it came after one that was given up */
    atomic_bool out;              /* given up, and it has come out: late is handed back */
    struct flo_shard_job *late;   /* its job then */
};

/* Of the calling thread; NULL: it is not a shard's. */
static _Thread_local struct flo_shard_thread *myself;

/* ---- the thread ---- */

static void tell_loop(struct flo_shards *all)
{
    const uint64_t one = 1;

    if (atomic_exchange(&all->told, true))
        return;
    while (write(all->news_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* The next job, or NULL: the thread is to end. Tells the loop what is done before it sleeps. */
static struct flo_shard_job *next_job(struct flo_shard_thread *thread)
{
    struct flo_shard *shard = thread->shard;
    struct flo_node *node;
    bool end, tell;

    for (;;) {
        pthread_mutex_lock(&shard->mu);
        end = shard->stop || thread->given_up;
        node = end ? NULL : flo_list_pop_front(&shard->queue);
        shard->asleep = !node && !end;
        tell = !node && !flo_list_empty(&shard->done);
        if (node) {
            thread->at = flo_container(node, struct flo_shard_job, node);
            thread->began_ns = flo_clock_mono_ns();
        }
        pthread_mutex_unlock(&shard->mu);
        if (tell)
            tell_loop(shard->all);
        if (node)
            return thread->at;
        if (end)
            return NULL;
        while (sem_wait(&thread->wake) < 0 && errno == EINTR)
            ;
    }
}

/* Hand the job back. False: the thread was given up over it. */
static bool job_done(struct flo_shard_thread *thread, struct flo_shard_job *job)
{
    struct flo_shard *shard = thread->shard;
    bool late, tell = false;

    pthread_mutex_lock(&shard->mu);
    late = thread->given_up;
    thread->at = NULL;
    if (!late) {
        flo_list_push_back(&shard->done, &job->node);
        tell = flo_clock_mono_ns() - thread->began_ns > TELL_NS;
    }
    pthread_mutex_unlock(&shard->mu);
    if (tell)
        tell_loop(shard->all);
    if (!late)
        return true;
    thread->late = job;
    return false;
}

/* A thread that takes over from one that was given up begins without its runs: their stacks and
 * what their code knows of its thread were that one's. */
static void inherit(struct flo_shard *shard)
{
    pthread_mutex_lock(&shard->cache_mu);
    if (shard->cache)
        flo_run_cache_clear(shard->cache, FLO_EVICT_FORCED);
    pthread_mutex_unlock(&shard->cache_mu);
}

bool flo_shard_is_thread(void)
{
    return myself != NULL;
}

bool flo_shard_given_up(void)
{
    bool given_up = false;

    if (!myself)
        return false;
    pthread_mutex_lock(&myself->shard->mu);
    given_up = myself->given_up;
    pthread_mutex_unlock(&myself->shard->mu);
    return given_up;
}

static void *thread_main(void *arg)
{
    struct flo_shard_thread *thread = arg;
    struct flo_shard *shard = thread->shard;
    struct flo_shard_job *job;
    bool heir;

    myself = thread;

    pthread_mutex_lock(&shard->mu);
    thread->tid = (pid_t)syscall(SYS_gettid);
    thread->resumes = flo_scheduler_resumes();
    heir = thread->heir;
    pthread_mutex_unlock(&shard->mu);
    flo_thread_stack_prepare();
    if (heir)
        inherit(shard);
    while ((job = next_job(thread))) {
        shard->all->options.run(shard, job);
        if (!job_done(thread, job))
            break;
    }
    flo_coroutine_trim();
    flo_thread_stack_release();
    if (thread->late) {
        atomic_store(&thread->out, true);
        atomic_store(&shard->all->leaves, true);
        tell_loop(shard->all);
    }
    return NULL;
}

static int thread_launch(struct flo_shard_thread *thread)
{
    sigset_t all, before;
    pthread_attr_t attr;
    int rc;

    sigfillset(&all);
    sigdelset(&all, SIGPROF); /* a profile's timer names the thread, and so does: */
    sigdelset(&all, FLO_THREAD_STACK_SIGNAL);
    pthread_attr_init(&attr);
    rc = pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (!rc) {
        pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop thread's */
        rc = pthread_create(&thread->id, &attr, thread_main, thread);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attr);
    return rc;
}

static void thread_free(struct flo_shard_thread *thread)
{
    if (flo_node_linked(&thread->node))
        flo_list_remove(&thread->shard->all->threads, &thread->node);
    sem_destroy(&thread->wake);
    flo_free(thread);
}

static int thread_new(struct flo_shard *shard, bool heir, struct flo_shard_thread **out,
                      struct flo_err *err)
{
    struct flo_shard_thread *thread = flo_calloc(1, sizeof *thread);
    int rc;

    if (!thread)
        return flo_fail(err, FLO_ENOMEM, "no memory for a thread for workflows");
    thread->shard = shard;
    thread->heir = heir;
    snprintf(thread->name, sizeof thread->name, "workflow-%u", shard->all->made);
    sem_init(&thread->wake, 0, 0);
    rc = thread_launch(thread);
    if (rc) {
        rc = flo_fail(err, FLO_ESYS, "cannot start thread %s: %s", thread->name, strerror(rc));
        thread_free(thread);
        return rc;
    }
    shard->all->made++;
    pthread_setname_np(thread->id, thread->name);
    flo_list_push_back(&shard->all->threads, &thread->node);
    *out = thread;
    return 0;
}

/* ---- the loop ---- */

struct flo_shard *flo_shards_of_run(struct flo_shards *shards, const char *run_id)
{
    if (shards->count == 1)
        return shards->of;
    return &shards->of[flo_hash(run_id, strlen(run_id)) % shards->count];
}

void flo_shards_submit(struct flo_shard *shard, struct flo_shard_job *job)
{
    struct flo_shards *all = shard->all;

    flo_list_push_back(&shard->batch, &job->node);
    shard->out++;
    if (flo_node_linked(&shard->dirty))
        return;
    if (flo_list_empty(&all->dirty))
        event_active(all->hand_over, EV_READ, 0);
    flo_list_push_back(&all->dirty, &shard->dirty);
}

static void take_done(struct flo_shard *shard, struct flo_list *out)
{
    pthread_mutex_lock(&shard->mu);
    flo_list_move_all(out, &shard->done);
    pthread_mutex_unlock(&shard->mu);
}

/* Without threads, or when one cannot be made: the loop is the thread. */
static void do_batch(struct flo_shard *shard)
{
    struct flo_shards *all = shard->all;
    struct flo_list batch;
    struct flo_node *node;

    flo_list_init(&batch);
    flo_list_move_all(&batch, &shard->batch);
    while ((node = flo_list_pop_front(&batch))) {
        struct flo_shard_job *job = flo_container(node, struct flo_shard_job, node);
        all->options.run(shard, job);
        shard->out--;
        all->options.done(all->options.ctx, job, false);
    }
}

/* Its thread, made when it is first needed; false: it cannot be. */
static bool has_thread(struct flo_shard *shard)
{
    const struct flo_shards_options *options = &shard->all->options;
    struct flo_err err = {0};

    if (shard->thread || options->count == 0)
        return shard->thread != NULL;
    if (thread_new(shard, false, &shard->thread, &err) == 0)
        return true;
    if (!shard->all->warned && options->on_warning)
        options->on_warning(options->ctx, err.message);
    shard->all->warned = true;
    return false;
}

static void hand_over(struct flo_shard *shard)
{
    struct flo_shard_thread *wake = NULL;

    pthread_mutex_lock(&shard->mu);
    flo_list_move_all(&shard->queue, &shard->batch);
    if (shard->asleep)
        wake = shard->thread;
    shard->asleep = false; /* a new thread looks before it sleeps */
    pthread_mutex_unlock(&shard->mu);
    if (wake)
        sem_post(&wake->wake);
}

/* The loop is to look by itself, when it does not hear anything earlier. */
static void look_soon(struct flo_shards *all)
{
    const struct timeval delay = {.tv_usec = LOOK_US};

    if (!all->looks)
        all->looks = event_add(all->look, &delay) == 0;
}

static void on_hand_over(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_shards *all = ctx;
    struct flo_list dirty;
    struct flo_node *node;
    bool behind = false;

    (void)fd;
    (void)what;
    flo_list_init(&dirty);
    flo_list_move_all(&dirty, &all->dirty);
    while ((node = flo_list_pop_front(&dirty))) {
        struct flo_shard *shard = flo_container(node, struct flo_shard, dirty);
        if (has_thread(shard))
            hand_over(shard);
        else
            do_batch(shard);
        behind |= shard->out > 1;
    }
    if (behind)
        look_soon(all);
}

/* Threads that had been given up and have come out of their jobs. */
static void take_late(struct flo_shards *all)
{
    FLO_LIST_FOREACH_SAFE(node, &all->threads)
    {
        struct flo_shard_thread *thread = flo_container(node, struct flo_shard_thread, node);
        if (!atomic_load(&thread->out))
            continue;
        pthread_join(thread->id, NULL); /* at its last instructions */
        all->given_up--;
        all->options.done(all->options.ctx, thread->late, true);
        thread_free(thread);
    }
}

/* Take what is done. Returns whether a shard still has jobs behind the one that it is at. */
static bool look(struct flo_shards *all)
{
    struct flo_list done;
    struct flo_node *node;
    bool behind = false;

    flo_list_init(&done);
    for (unsigned i = 0; i < all->count; i++) {
        struct flo_shard *shard = &all->of[i];
        if (shard->out == 0)
            continue;
        take_done(shard, &done);
        while ((node = flo_list_pop_front(&done))) {
            shard->out--;
            all->options.done(all->options.ctx, flo_container(node, struct flo_shard_job, node),
                              false);
        }
        behind |= shard->out > 1;
    }
    return behind;
}

static void on_news(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_shards *all = ctx;

    (void)fd;
    (void)what;
    atomic_store(&all->told, false);
    (void)look(all);
    if (atomic_exchange(&all->leaves, false))
        take_late(all);
}

static void on_look(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_shards *all = ctx;

    (void)fd;
    (void)what;
    all->looks = false;
    if (look(all))
        look_soon(all);
}

/* ---- starting and stopping ---- */

static int shard_init(struct flo_shards *all, unsigned i, struct flo_err *err)
{
    struct flo_shard *shard = &all->of[i];

    shard->all = all;
    shard->index = i;
    flo_rng_seed(&shard->rng, all->options.seed + i);
    pthread_mutex_init(&shard->cache_mu, NULL);
    pthread_mutex_init(&shard->mu, NULL);
    flo_list_init(&shard->batch);
    flo_list_init(&shard->queue);
    flo_list_init(&shard->done);
    all->count = i + 1;
    if (all->caching && flo_run_cache_new_shared(&all->bounds, &shard->cache))
        return flo_fail(err, FLO_ENOMEM, "no memory for the sticky cache");
    return 0;
}

static int launch(struct flo_shards *all, struct flo_err *err)
{
    unsigned count = all->options.count > 0 ? all->options.count : 1;
    int rc = 0;

    all->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (all->news_fd < 0)
        return flo_fail(err, FLO_ESYS, "cannot make an eventfd: %s", strerror(errno));
    all->news =
        event_new(all->options.base, all->news_fd, EV_READ | EV_PERSIST | EV_ET, on_news, all);
    all->hand_over = event_new(all->options.base, -1, EV_PERSIST, on_hand_over, all);
    all->look = evtimer_new(all->options.base, on_look, all);
    all->of = flo_calloc(count, sizeof *all->of);
    if (!all->news || !all->hand_over || !all->look || !all->of || event_add(all->news, NULL) < 0)
        return flo_fail(err, FLO_ENOMEM, "no memory for the threads of workflows");
    all->bounds.caches = count;
    for (unsigned i = 0; i < count && !rc; i++)
        rc = shard_init(all, i, err);
    return rc;
}

int flo_shards_new(const struct flo_shards_options *options, size_t max_bytes, size_t max_runs,
                   struct flo_shards **out, struct flo_err *err)
{
    struct flo_shards *all = flo_calloc(1, sizeof *all);
    int rc;

    if (!all)
        return flo_fail(err, FLO_ENOMEM, "no memory for the threads of workflows");
    all->options = *options;
    all->news_fd = -1;
    all->caching = max_runs > 0;
    all->bounds.max_bytes = max_bytes;
    all->bounds.max_runs = max_runs;
    flo_list_init(&all->dirty);
    flo_list_init(&all->threads);
    rc = launch(all, err);
    if (rc && flo_shards_stop(all, 1000) == 0)
        flo_shards_destroy(&all);
    if (!rc)
        *out = all;
    return rc;
}

static void drop_all(struct flo_shards *all, struct flo_list *jobs)
{
    struct flo_node *node;

    while ((node = flo_list_pop_front(jobs)))
        all->options.drop(all->options.ctx, flo_container(node, struct flo_shard_job, node));
}

/* No thread runs any more. */
static void drop_jobs(struct flo_shards *all)
{
    for (unsigned i = 0; i < all->count; i++) {
        drop_all(all, &all->of[i].batch);
        drop_all(all, &all->of[i].queue);
        drop_all(all, &all->of[i].done);
    }
}

size_t flo_shards_stop(struct flo_shards *shards, int64_t grace_ms)
{
    struct timespec until;
    size_t left = 0;

    if (!shards)
        return 0;
    shards->stopped = true;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += grace_ms / 1000;
    until.tv_nsec += grace_ms % 1000 * FLO_NS_PER_MS;
    if (until.tv_nsec >= FLO_NS_PER_S) {
        until.tv_sec++;
        until.tv_nsec -= FLO_NS_PER_S;
    }
    for (unsigned i = 0; i < shards->count; i++) {
        struct flo_shard *shard = &shards->of[i];
        pthread_mutex_lock(&shard->mu);
        shard->stop = true;
        pthread_mutex_unlock(&shard->mu);
        if (shard->thread)
            sem_post(&shard->thread->wake);
    }
    FLO_LIST_FOREACH_SAFE(node, &shards->threads)
    {
        struct flo_shard_thread *thread = flo_container(node, struct flo_shard_thread, node);
        if (pthread_timedjoin_np(thread->id, NULL, &until) != 0) {
            left++;
            continue;
        }
        if (thread->late)
            shards->options.done(shards->options.ctx, thread->late, true);
        if (thread->shard->thread == thread)
            thread->shard->thread = NULL;
        thread_free(thread);
    }
    if (left == 0)
        drop_jobs(shards);
    return left;
}

void flo_shards_destroy(struct flo_shards **shards)
{
    struct flo_shards *gone = *shards;

    if (!gone)
        return;
    *shards = NULL;
    for (unsigned i = 0; i < gone->count; i++) {
        flo_run_cache_destroy(&gone->of[i].cache);
        pthread_mutex_destroy(&gone->of[i].cache_mu);
        pthread_mutex_destroy(&gone->of[i].mu);
    }
    if (gone->news)
        event_free(gone->news);
    if (gone->hand_over)
        event_free(gone->hand_over);
    if (gone->look)
        event_free(gone->look);
    if (gone->news_fd >= 0)
        close(gone->news_fd);
    flo_free(gone->of);
    flo_free(gone);
}

/* ---- what a thread is at ---- */

void flo_shard_look(struct flo_shard *shard, struct flo_shard_at *out)
{
    const struct flo_shard_thread *thread = shard->thread;

    *out = (struct flo_shard_at){0};
    if (!thread)
        return;
    memcpy(out->name, thread->name, sizeof out->name);
    pthread_mutex_lock(&shard->mu);
    out->job = thread->at;
    out->began_ns = thread->began_ns;
    out->tid = thread->tid;
    if (thread->resumes)
        out->resumes = atomic_load_explicit(thread->resumes, memory_order_relaxed);
    pthread_mutex_unlock(&shard->mu);
}

size_t flo_shard_stack(struct flo_shard *shard, uint64_t out_pc[FLO_THREAD_STACK_DEPTH])
{
    return flo_thread_stack_take(shard->thread->id, flo_context_switching, out_pc);
}

int flo_shard_give_up(struct flo_shard *shard, const struct flo_shard_job *job, struct flo_err *err)
{
    struct flo_shard_thread *stuck = shard->thread, *heir = NULL;
    int rc;

    pthread_mutex_lock(&shard->mu);
    if (stuck->at != job) {
        pthread_mutex_unlock(&shard->mu);
        return FLO_ENOENT;
    }
    rc = thread_new(shard, true, &heir, err); /* it waits for mu */
    if (!rc) {
        stuck->given_up = true;
        shard->thread = heir;
        shard->out--;
        shard->all->given_up++;
    }
    pthread_mutex_unlock(&shard->mu);
    return rc;
}
