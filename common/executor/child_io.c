/* SPDX-License-Identifier: Apache-2.0 */
/* child_io.c - what a job in an executor process says and hears; see child_io.h. */
#include "executor/child_io.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "executor/family.h"
#include "executor/frame.h"

/* poll(2) counts in ints. */
#define POLL_MAX_MS 1000000

static int send_up(struct flo_child_io *child, enum flo_frame_kind kind, const uint8_t *data,
                   size_t len)
{
    const struct flo_frame head = {.kind = kind, .job = child->job, .body_len = (uint32_t)len};
    int rc;

    if (!flo_family_here())
        return FLO_ECLOSED; /* a fork of the activity has no say here */
    pthread_mutex_lock(&child->write_mu);
    rc = flo_frame_write(child->fd, &head, data);
    pthread_mutex_unlock(&child->write_mu);
    if (rc) {
        pthread_mutex_lock(&child->mu);
        child->stop = true;
        pthread_mutex_unlock(&child->mu);
    }
    return rc;
}

static void child_progress(struct flo_job_io *io, const uint8_t *data, size_t len)
{
    (void)send_up((struct flo_child_io *)io, FLO_FRAME_PROGRESS, data, len);
}

static int child_note(struct flo_job_io *io, const uint8_t *data, size_t len)
{
    return send_up((struct flo_child_io *)io, FLO_FRAME_NOTE, data, len);
}

/* Take the frames that have come. */
static void listen_locked(struct flo_child_io *child)
{
    struct flo_frame head;
    char peek;

    if (!flo_family_here())
        child->stop = true;
    while (!child->stop && recv(child->fd, &peek, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) {
        if (flo_frame_read(child->fd, &head, sizeof head, -1) || head.kind == FLO_FRAME_STOP)
            child->stop = true;
        else if (head.kind == FLO_FRAME_CANCEL && head.job == child->job)
            child->told = child->told / FLO_JOB_NUDGE * FLO_JOB_NUDGE | (unsigned)head.value;
    }
    if (child->stop && FLO_JOB_REASON(child->told) == FLO_JOB_RUNNING)
        child->told |= FLO_JOB_CANCEL_SHUTDOWN;
}

/* Wait as the one reader until something has come, or left_ms (< 0: for ever). */
static void read_turn_locked(struct flo_child_io *child, int64_t left_ms)
{
    struct pollfd some[2] = {{.fd = child->fd, .events = POLLIN},
                             {.fd = child->wake_fd, .events = POLLIN}};
    uint64_t wakes;

    child->reading = true;
    pthread_mutex_unlock(&child->mu);
    (void)poll(some, 2, left_ms < 0 || left_ms > POLL_MAX_MS ? POLL_MAX_MS : (int)left_ms);
    if (some[1].revents)
        (void)!read(child->wake_fd, &wakes, sizeof wakes);
    pthread_mutex_lock(&child->mu);
    child->reading = false;
    listen_locked(child);
    pthread_cond_broadcast(&child->turn);
}

/* Sleep while another thread reads. */
static void sleep_turn_locked(struct flo_child_io *child, int64_t until_ns, bool bounded)
{
    struct timespec until = {.tv_sec = until_ns / FLO_NS_PER_S, .tv_nsec = until_ns % FLO_NS_PER_S};

    if (bounded)
        pthread_cond_timedwait(&child->turn, &child->mu, &until);
    else
        pthread_cond_wait(&child->turn, &child->mu);
}

static unsigned child_wait(struct flo_job_io *io, unsigned known, int64_t timeout_ms)
{
    struct flo_child_io *child = (struct flo_child_io *)io;
    int64_t until_ns = timeout_ms > 0 ? flo_clock_mono_ns() + timeout_ms * FLO_NS_PER_MS : 0;
    int64_t left_ms = timeout_ms;
    unsigned told;

    pthread_mutex_lock(&child->mu);
    if (!child->reading)
        listen_locked(child);
    while (child->told == known && left_ms != 0) {
        if (child->reading)
            sleep_turn_locked(child, until_ns, timeout_ms > 0);
        else
            read_turn_locked(child, left_ms);
        if (timeout_ms > 0) {
            left_ms = (until_ns - flo_clock_mono_ns() + FLO_NS_PER_MS - 1) / FLO_NS_PER_MS;
            left_ms = left_ms > 0 ? left_ms : 0;
        }
    }
    told = child->told;
    pthread_mutex_unlock(&child->mu);
    return told;
}

static int child_watch(struct flo_job_io *io)
{
    struct flo_child_io *child = (struct flo_child_io *)io;

    if (child->wake_fd < 0)
        child->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return child->wake_fd < 0 ? FLO_ESYS : 0;
}

static void child_wake(struct flo_job_io *io)
{
    struct flo_child_io *child = (struct flo_child_io *)io;
    const uint64_t one = 1;

    pthread_mutex_lock(&child->mu);
    child->told += FLO_JOB_NUDGE;
    pthread_cond_broadcast(&child->turn);
    pthread_mutex_unlock(&child->mu);
    while (child->wake_fd >= 0 && write(child->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void flo_child_io_init(struct flo_child_io *child, int fd, uint64_t job)
{
    pthread_condattr_t attr;

    *child = (struct flo_child_io){
        .io = {.progress = child_progress,
               .note = child_note,
               .wait = child_wait,
               .watch = child_watch,
               .wake = child_wake},
        .fd = fd,
        .wake_fd = -1,
        .job = job,
    };
    pthread_mutex_init(&child->write_mu, NULL);
    pthread_mutex_init(&child->mu, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&child->turn, &attr);
    pthread_condattr_destroy(&attr);
}

void flo_child_io_fini(struct flo_child_io *child)
{
    if (child->wake_fd >= 0)
        close(child->wake_fd);
    pthread_cond_destroy(&child->turn);
    pthread_mutex_destroy(&child->mu);
    pthread_mutex_destroy(&child->write_mu);
}
