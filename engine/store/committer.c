/* SPDX-License-Identifier: Apache-2.0 */
/*
 * committer.c - one slot, one mutex, one condition; see the header for the slot's states.
 *
 * The loop never waits for the thread: it submits when the slot is EMPTY and is woken through the
 * eventfd when it is DONE, or when it has met a full disk.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/store/committer.h"

/* How long a batch that does not fit the disk waits before it is tried again. */
#define FULL_RETRY_MS 200

enum slot { SLOT_EMPTY, SLOT_FULL, SLOT_WORKING, SLOT_DONE };

struct flo_committer {
    struct flo_store *store;
    pthread_t thread;
    bool threaded;
    int event_fd;
    pthread_mutex_t mu;
    pthread_cond_t wake;
    enum slot slot;               /* guarded by mu */
    struct flo_core_batch *batch; /* of the slot; the thread's while WORKING */
    int rc;                       /* outcome, guarded by mu */
    struct flo_err err;
    bool stop;                        /* guarded by mu */
    bool stalled;                     /* guarded by mu */
    struct flo_committer_stats stats; /* guarded by mu */
};

/* Commit what is in the slot; without the lock. */
static int commit(struct flo_committer *committer, struct flo_err *err, int64_t *out_ns)
{
    int64_t begun = flo_clock_mono_ns();
    int rc = flo_store_commit(committer->store, committer->batch, err);
    *out_ns = flo_clock_mono_ns() - begun;
    return rc;
}

static void count_commit(struct flo_committer_stats *stats, int64_t ns)
{
    stats->commits++;
    stats->total_ns += ns;
    stats->last_ns = ns;
    if (ns > stats->max_ns)
        stats->max_ns = ns;
}

/* Wait until woken or FULL_RETRY_MS are over. */
static void wait_for_space_locked(struct flo_committer *committer)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += FULL_RETRY_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(&committer->wake, &committer->mu, &until);
}

static void wake_loop(const struct flo_committer *committer)
{
    uint64_t one = 1;
    while (write(committer->event_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

/* Bring the slot from FULL to DONE; the commit's result. Called and returns with the lock held. */
static int work_locked(struct flo_committer *committer)
{
    struct flo_err err = {0};
    int64_t ns = 0;
    int rc;

    committer->slot = SLOT_WORKING;
    for (;;) {
        pthread_mutex_unlock(&committer->mu);
        rc = commit(committer, &err, &ns);
        pthread_mutex_lock(&committer->mu);
        bool was_stalled = committer->stalled;
        committer->stalled = rc == FLO_EFULL;
        if (rc != FLO_EFULL || committer->stop)
            break;
        if (!was_stalled)
            wake_loop(committer);
        wait_for_space_locked(committer);
    }
    if (!rc)
        count_commit(&committer->stats, ns);
    committer->rc = rc;
    committer->err = err;
    committer->slot = SLOT_DONE;
    pthread_mutex_unlock(&committer->mu); /* the loop, awake, takes the lock at once */
    wake_loop(committer);
    pthread_mutex_lock(&committer->mu);
    return rc;
}

/* Write the log back between commits; a failure is reported as that of the next commit. */
static int checkpoint_locked(struct flo_committer *committer, struct flo_err *err)
{
    pthread_mutex_unlock(&committer->mu);
    int rc = flo_store_checkpoint(committer->store, false, err);
    pthread_mutex_lock(&committer->mu);
    return rc;
}

static void *thread_main(void *arg)
{
    struct flo_committer *committer = arg;
    struct flo_err err = {0};
    int broken = 0;

    pthread_mutex_lock(&committer->mu);
    for (;;) {
        while (committer->slot != SLOT_FULL && !committer->stop)
            pthread_cond_wait(&committer->wake, &committer->mu);
        if (committer->slot != SLOT_FULL)
            break;
        if (broken) {
            committer->rc = broken;
            committer->err = err;
            committer->slot = SLOT_DONE;
            wake_loop(committer);
            continue;
        }
        if (!work_locked(committer))
            broken = checkpoint_locked(committer, &err);
    }
    pthread_mutex_unlock(&committer->mu);
    return NULL;
}

static int start_thread(struct flo_committer *committer, struct flo_err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    int rc = pthread_create(&committer->thread, NULL, thread_main, committer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc)
        return flo_fail(err, FLO_ESYS, "cannot start the commit thread: %s", strerror(rc));
    committer->threaded = true;
    return 0;
}

int flo_committer_new(struct flo_store *store, struct flo_committer **out, struct flo_err *err)
{
    int rc = 0;
    pthread_condattr_t attributes;
    struct flo_committer *committer = flo_calloc(1, sizeof *committer);
    if (!committer)
        return flo_fail(err, FLO_ENOMEM, "no memory for the commit thread");
    committer->store = store;
    pthread_mutex_init(&committer->mu, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&committer->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    committer->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (committer->event_fd < 0)
        rc = flo_fail(err, FLO_ESYS, "cannot make an eventfd: %s", strerror(errno));
    else if (!flo_store_in_memory(store))
        rc = start_thread(committer, err);
    if (rc) {
        flo_committer_destroy(&committer);
        return rc;
    }
    *out = committer;
    return 0;
}

void flo_committer_stop(struct flo_committer *committer)
{
    if (!committer->threaded)
        return;
    pthread_mutex_lock(&committer->mu);
    committer->stop = true;
    pthread_cond_signal(&committer->wake);
    pthread_mutex_unlock(&committer->mu);
    pthread_join(committer->thread, NULL);
    committer->threaded = false;
}

void flo_committer_destroy(struct flo_committer **committer_pointer)
{
    struct flo_committer *committer = *committer_pointer;
    if (!committer)
        return;
    flo_committer_stop(committer);
    if (committer->event_fd >= 0)
        close(committer->event_fd);
    pthread_cond_destroy(&committer->wake);
    pthread_mutex_destroy(&committer->mu);
    flo_free(committer);
    *committer_pointer = NULL;
}

int flo_committer_fd(const struct flo_committer *committer)
{
    return committer->event_fd;
}

bool flo_committer_idle(struct flo_committer *committer)
{
    pthread_mutex_lock(&committer->mu);
    bool idle = committer->slot == SLOT_EMPTY;
    pthread_mutex_unlock(&committer->mu);
    return idle;
}

void flo_committer_submit(struct flo_committer *committer, struct flo_core_batch *batch)
{
    pthread_mutex_lock(&committer->mu);
    committer->batch = batch;
    committer->slot = SLOT_FULL;
    if (!committer->threaded)
        work_locked(committer);
    pthread_mutex_unlock(&committer->mu);
    if (committer->threaded)
        pthread_cond_signal(&committer->wake);
}

bool flo_committer_collect(struct flo_committer *committer, struct flo_core_batch **out_batch,
                           int *out_rc, struct flo_err *err)
{
    uint64_t count;
    pthread_mutex_lock(&committer->mu);
    bool done = committer->slot == SLOT_DONE;
    while (read(committer->event_fd, &count, sizeof count) < 0 && errno == EINTR)
        continue;
    if (done) {
        *out_batch = committer->batch;
        committer->batch = NULL;
        *out_rc = committer->rc;
        if (committer->rc && err)
            *err = committer->err;
        committer->slot = SLOT_EMPTY;
    }
    pthread_mutex_unlock(&committer->mu);
    return done;
}

bool flo_committer_stalled(struct flo_committer *committer)
{
    pthread_mutex_lock(&committer->mu);
    bool stalled = committer->stalled;
    pthread_mutex_unlock(&committer->mu);
    return stalled;
}

void flo_committer_stats(struct flo_committer *committer, struct flo_committer_stats *out)
{
    pthread_mutex_lock(&committer->mu);
    *out = committer->stats;
    pthread_mutex_unlock(&committer->mu);
}
