/* SPDX-License-Identifier: Apache-2.0 */
/*
 * executor.c - the part of an executor that threads and processes share: who runs what, what
 * waits, and deadlines. See core.h.
 */
#include "executor/executor.h"

#include <event2/event.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "executor/core.h"

#define DEFAULT_MAX_REPLY_BYTES (8u << 20)

void flo_core_init(struct flo_executor *executor, const struct flo_executor_ops *ops,
                   struct event_base *base, const struct flo_executor_options *options)
{
    executor->ops = ops;
    executor->base = base;
    executor->options = *options;
    executor->unit_count = options->workers;
    if (executor->options.max_reply_bytes == 0)
        executor->options.max_reply_bytes = DEFAULT_MAX_REPLY_BYTES;
    flo_list_init(&executor->waiting);
}

static void timer_end(struct flo_core_job *job)
{
    if (job->timed)
        event_del(&job->timer);
}

static void job_free(struct flo_core_job *job)
{
    timer_end(job);
    flo_free(job);
}

void flo_core_fini(struct flo_executor *executor)
{
    struct flo_node *node;

    while ((node = flo_list_pop_front(&executor->waiting)))
        job_free(flo_container(node, struct flo_core_job, node));
}

static void on_timer(evutil_socket_t fd, short what, void *ctx);

static void timer_arm(struct flo_core_job *job, int64_t ms)
{
    struct timeval delay = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

    if (!job->timed)
        evtimer_assign(&job->timer, job->executor->base, on_timer, job);
    job->timed = true;
    event_add(&job->timer, &delay);
}

/* In a while: end the unit by force when nobody wants the answer any more; where nothing is killed,
 * say that a job that was to end is stuck. */
static void job_arm_kill(struct flo_core_job *job)
{
    const bool unwanted =
        job->reason == FLO_JOB_CANCEL_TIMED_OUT || job->reason == FLO_JOB_CANCEL_NOT_FOUND;
    const bool to_end = unwanted || job->reason == FLO_JOB_CANCEL_REQUESTED;

    if (!job->unit || job->stage != FLO_CORE_RUNS ||
        !(job->executor->ops->kill ? unwanted : to_end))
        return;
    job->stage = FLO_CORE_WARNED;
    if (!job->executor->ops->kill) {
        job->told_ns = flo_clock_mono_ns();
        if (!unwanted && job->timed)
            (void)event_pending(&job->timer, EV_TIMEOUT, &job->due);
    }
    timer_arm(job, job->grace_ms);
}

bool flo_job_graver(enum flo_job_cancel a, enum flo_job_cancel b)
{
    static const unsigned char WEIGHT[] = {
        [FLO_JOB_RUNNING] = 0,          [FLO_JOB_CANCEL_PAUSED] = 1,
        [FLO_JOB_CANCEL_RESET] = 1,     [FLO_JOB_CANCEL_REQUESTED] = 2,
        [FLO_JOB_CANCEL_SHUTDOWN] = 2,  [FLO_JOB_CANCEL_TIMED_OUT] = 3,
        [FLO_JOB_CANCEL_NOT_FOUND] = 3,
    };

    return WEIGHT[a] > WEIGHT[b];
}

static void stuck_fill(const struct flo_core_job *job, bool ended, struct flo_stuck_job *out)
{
    *out = (struct flo_stuck_job){
        .job = job->id,
        .reason = job->reason,
        .told_ms = (flo_clock_mono_ns() - job->told_ns) / FLO_NS_PER_MS,
    };
    job->executor->ops->look(job->unit, ended, out);
}

/* The job does not end, or, ended, has at last. */
static void job_stuck(struct flo_core_job *job, bool ended)
{
    const struct flo_executor_options *options = &job->executor->options;
    struct flo_stuck_job stuck;

    job->stuck = !ended;
    job->executor->stuck += ended ? -(size_t)1 : 1;
    if (!options->on_stuck)
        return;
    stuck_fill(job, ended, &stuck);
    options->on_stuck(options->ctx, &stuck, ended);
}

/* Tell the job why it should stop, unless it knows something graver. */
static void job_tell(struct flo_core_job *job, enum flo_job_cancel reason)
{
    if (flo_job_graver(reason, job->reason)) {
        job->reason = reason;
        if (job->unit)
            job->executor->ops->cancel(job->unit);
    }
    job_arm_kill(job);
}

/* The deadline has its timer back: a job that ignores a request to stop may still run out of time.
 */
static void job_arm_due(struct flo_core_job *job)
{
    struct timeval now, left = {0};

    if (!evutil_timerisset(&job->due))
        return;
    event_base_gettimeofday_cached(job->executor->base, &now);
    if (evutil_timercmp(&job->due, &now, >))
        evutil_timersub(&job->due, &now, &left);
    event_add(&job->timer, &left);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_core_job *job = ctx;

    (void)fd;
    (void)what;
    switch (job->stage) {
    case FLO_CORE_RUNS:
        job_tell(job, FLO_JOB_CANCEL_TIMED_OUT);
        break;
    case FLO_CORE_WARNED:
        job->stage = FLO_CORE_ASKED;
        if (!job->executor->ops->kill) {
            job_stuck(job, false);
            job_arm_due(job);
            break;
        }
        timer_arm(job, FLO_CORE_TERM_MS);
        job->executor->ops->kill(job->unit, false);
        break;
    case FLO_CORE_ASKED:
        job->stage = FLO_CORE_FORCED;
        if (job->executor->ops->kill)
            job->executor->ops->kill(job->unit, true);
        else
            job_tell(job, FLO_JOB_CANCEL_TIMED_OUT);
        break;
    case FLO_CORE_FORCED: /* no timer runs */
        break;
    }
}

static void unit_start(struct flo_core_unit *unit, struct flo_core_job *job)
{
    job->unit = unit;
    unit->job = job;
    unit->executor->running++;
    unit->executor->ops->start(unit);
    if (flo_core_job_told(job)) { /* while it waited */
        unit->executor->ops->cancel(unit);
        job_arm_kill(job);
    }
}

static struct flo_core_unit *idle_unit(struct flo_executor *executor)
{
    if (executor->ops->idle)
        return executor->ops->idle(executor);
    for (unsigned i = 0; i < executor->unit_count; i++) {
        struct flo_core_unit *unit = executor->units[i];
        if (unit->ready && !unit->job)
            return unit;
    }
    return NULL;
}

void flo_core_unit_free(struct flo_core_unit *unit)
{
    struct flo_node *node;

    unit->down_ns = 0; /* it gets on */
    if (!unit->ready || unit->job || unit->executor->closed)
        return;
    node = flo_list_pop_front(&unit->executor->waiting);
    if (node)
        unit_start(unit, flo_container(node, struct flo_core_job, node));
}

struct flo_core_job *flo_core_job_detach(struct flo_core_unit *unit)
{
    struct flo_core_job *job = unit->job;

    unit->job = NULL;
    job->unit = NULL;
    timer_end(job);
    return job;
}

void flo_core_job_finish(struct flo_core_job *job, const struct flo_job_result *result)
{
    struct flo_executor *executor = job->executor;

    executor->running--;
    if (result)
        executor->options.on_done(executor->options.ctx, job->id, result);
    flo_free(job); /* its timer ended when it was detached */
}

void flo_core_job_ended(struct flo_core_unit *unit, const struct flo_job_result *result)
{
    if (unit->job->stuck)
        job_stuck(unit->job, true);
    flo_core_job_finish(flo_core_job_detach(unit), result);
}

void flo_core_job_drop(struct flo_core_unit *unit)
{
    if (!unit->job)
        return;
    if (unit->job->stuck)
        unit->executor->stuck--;
    flo_core_job_finish(flo_core_job_detach(unit), NULL);
}

void flo_core_break(struct flo_executor *executor)
{
    const struct flo_job_result crashed = {.end = FLO_JOB_CRASHED, .signal = 9, .lost = true};
    struct flo_node *node;

    executor->closed = true;
    for (unsigned i = 0; i < executor->unit_count; i++) {
        executor->units[i]->ready = false;
        if (executor->units[i]->job)
            flo_core_job_ended(executor->units[i], &crashed);
    }
    while ((node = flo_list_pop_front(&executor->waiting))) {
        struct flo_core_job *job = flo_container(node, struct flo_core_job, node);
        executor->options.on_done(executor->options.ctx, job->id, &crashed);
        job_free(job);
    }
    if (executor->options.on_broken)
        executor->options.on_broken(executor->options.ctx);
}

int flo_executor_submit(struct flo_executor *executor, uint64_t id, const uint8_t *request,
                        size_t len, int64_t deadline_ms, int64_t grace_ms)
{
    struct flo_core_unit *unit;
    struct flo_core_job *job;

    if (executor->closed)
        return FLO_ECLOSED;
    unit = idle_unit(executor);
    if (!unit && executor->waiting.count >= executor->options.workers)
        return FLO_EFULL;
    job = flo_malloc(sizeof *job + len);
    if (!job)
        return FLO_ENOMEM;
    *job = (struct flo_core_job){.executor = executor,
                                 .id = id,
                                 .grace_ms = grace_ms,
                                 .request_len = len,
                                 .stopping = executor->stopping};
    if (len > 0)
        memcpy(job->request, request, len);
    if (deadline_ms > 0)
        timer_arm(job, deadline_ms);
    if (unit)
        unit_start(unit, job);
    else
        flo_list_push_back(&executor->waiting, &job->node);
    return 0;
}

void flo_executor_cancel(struct flo_executor *executor, uint64_t id, enum flo_job_cancel reason)
{
    for (unsigned i = 0; i < executor->unit_count; i++) {
        struct flo_core_job *job = executor->units[i]->job;
        if (job && job->id == id) {
            job_tell(job, reason);
            return;
        }
    }
    FLO_LIST_FOREACH(node, &executor->waiting)
    {
        struct flo_core_job *job = flo_container(node, struct flo_core_job, node);
        if (job->id == id) {
            job_tell(job, reason);
            return;
        }
    }
}

void flo_executor_notice_stopping(struct flo_executor *executor)
{
    executor->stopping = true;
    for (unsigned i = 0; i < executor->unit_count; i++) {
        struct flo_core_job *job = executor->units[i]->job;
        if (job && !job->stopping) {
            job->stopping = true;
            executor->ops->cancel(job->unit);
        }
    }
    FLO_LIST_FOREACH(node, &executor->waiting)
    flo_container(node, struct flo_core_job, node)->stopping = true;
}

size_t flo_executor_running(const struct flo_executor *executor)
{
    return executor->running + executor->waiting.count;
}

int flo_executor_resize(struct flo_executor *executor, unsigned workers)
{
    struct flo_core_unit *unit;
    struct flo_node *node;

    if (executor->closed)
        return FLO_ECLOSED;
    if (!executor->ops->resized)
        return FLO_EUNIMPL;
    if (workers == 0 || workers > executor->ops->workers_max)
        return FLO_EINVAL;
    executor->options.workers = workers;
    executor->ops->resized(executor);
    while (!flo_list_empty(&executor->waiting) && (unit = idle_unit(executor))) {
        node = flo_list_pop_front(&executor->waiting);
        unit_start(unit, flo_container(node, struct flo_core_job, node));
    }
    return 0;
}

/* Fill in the stuck jobs that are still wanted, or those that are not. */
static size_t stuck_find(const struct flo_executor *executor, bool wanted,
                         struct flo_stuck_job *out, size_t room)
{
    size_t filled = 0;

    for (unsigned i = 0; i < executor->unit_count && filled < room; i++) {
        const struct flo_core_job *job = executor->units[i]->job;
        if (job && job->stuck && (job->reason == FLO_JOB_CANCEL_REQUESTED) == wanted)
            stuck_fill(job, false, &out[filled++]);
    }
    return filled;
}

size_t flo_executor_stuck(const struct flo_executor *executor, struct flo_stuck_job *out,
                          size_t room)
{
    size_t filled;

    if (executor->stuck == 0 || room == 0)
        return executor->stuck;
    filled = stuck_find(executor, false, out, room);
    (void)stuck_find(executor, true, out + filled, room - filled);
    return executor->stuck;
}

size_t flo_executor_down(struct flo_executor *executor, int64_t limit_ms, unsigned *out_first)
{
    int64_t now_ns = flo_clock_mono_ns();
    size_t down = 0;

    for (unsigned i = executor->unit_count; executor->ops->kill && i > 0; i--) {
        struct flo_core_unit *unit = executor->units[i - 1];
        if (unit->ready && !(unit->job && unit->job->stage == FLO_CORE_FORCED)) {
            unit->down_ns = 0;
            continue;
        }
        if (unit->down_ns == 0)
            unit->down_ns = now_ns;
        if (now_ns - unit->down_ns < limit_ms * FLO_NS_PER_MS)
            continue;
        *out_first = unit->index;
        down++;
    }
    return down;
}

size_t flo_executor_destroy(struct flo_executor **executor, int64_t grace_ms)
{
    struct flo_executor *gone = *executor;

    if (!gone)
        return 0;
    *executor = NULL;
    gone->closed = true;
    return gone->ops->destroy(gone, grace_ms);
}

void flo_job_progress(struct flo_job_io *io, const uint8_t *data, size_t len)
{
    if (len <= FLO_JOB_PROGRESS_MAX)
        io->progress(io, data, len);
}

int flo_job_note(struct flo_job_io *io, const uint8_t *data, size_t len)
{
    return len <= FLO_JOB_NOTES_MAX ? io->note(io, data, len) : FLO_EFULL;
}

unsigned flo_job_told(struct flo_job_io *io)
{
    return io->wait(io, 0, 0);
}

unsigned flo_job_wait_told(struct flo_job_io *io, unsigned known, int64_t timeout_ms)
{
    return io->wait(io, known, timeout_ms);
}

int64_t flo_job_now_ns(struct flo_job_io *io)
{
    return io->now_ns ? io->now_ns(io) : flo_clock_mono_ns();
}

enum flo_job_cancel flo_job_cancelled(struct flo_job_io *io)
{
    return FLO_JOB_REASON(io->wait(io, 0, 0));
}

enum flo_job_cancel flo_job_wait_cancelled(struct flo_job_io *io, int64_t timeout_ms)
{
    unsigned told = io->wait(io, 0, 0);
    int64_t until = timeout_ms > 0 ? flo_job_now_ns(io) + timeout_ms * FLO_NS_PER_MS : 0;

    while (FLO_JOB_REASON(told) == FLO_JOB_RUNNING && timeout_ms > 0) {
        told = io->wait(io, told, timeout_ms);
        timeout_ms = (until - flo_job_now_ns(io) + FLO_NS_PER_MS - 1) / FLO_NS_PER_MS;
    }
    return FLO_JOB_REASON(told);
}

int flo_job_watch(struct flo_job_io *io)
{
    return io->watch ? io->watch(io) : 0;
}

void flo_job_wake(struct flo_job_io *io)
{
    io->wake(io);
}
