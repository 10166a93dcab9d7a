/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_pool.c - the attempts of local activities: slots, threads, timeouts, retries.
 *
 *              a slot and a thread           failed, to be tried again soon
 *   WAITING ----------------------> RUNNING ------------------------------> PAUSING
 *     |  ^                             |                                       |
 *     |  |                             | returned, timed out                   |
 *     |  +-----------------------------+---------------------------------------+
 *     |                                v
 *     +----------------------------> ENDED ----> handed over to the code (local.c)
 *
 * A thread cannot be stopped. So what it works on, a struct flo_local_job with its own copy of the
 * task, is not the local activity: that may end (time-out, cancel, the run is gone) while its
 * thread is still busy and keeps its slot.
 */
#include <event2/event.h>
#include <limits.h>
#include <string.h>

#include "activity/local_retry.h"
#include "activity/outcome.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "wire/payload.h"
#include "worker/control.h"
#include "worker/local.h"
#include "worker/trace.h"

static struct flo_slots *slots_of(struct flo_locals *locals)
{
    return &locals->worker->capacity[FLO_SLOT_LOCAL_ACTIVITY];
}

static void set_state(struct flo_local *local, enum flo_local_state state)
{
    if (flo_node_linked(&local->node))
        flo_list_remove(local->state == FLO_LOCAL_WAITING ? &local->lr->locals->queue
                                                          : &local->lr->ended,
                        &local->node);
    local->state = state;
    if (state == FLO_LOCAL_WAITING)
        flo_list_push_back(&local->lr->locals->queue, &local->node);
    if (state == FLO_LOCAL_ENDED)
        flo_list_push_back(&local->lr->ended, &local->node);
}

/* ---- jobs ---- */

static void job_free(struct flo_local_job *job)
{
    flo_list_remove(&job->locals->jobs, &job->node);
    flo_arena_fini(&job->arena);
    flo_free(job);
}

/* Let go of the job; it frees itself when its thread is done. */
static void detach(struct flo_local *local, enum flo_job_cancel reason)
{
    struct flo_local_job *job = local->job;

    local->job = NULL;
    if (!job)
        return;
    job->local = NULL;
    if (reason != FLO_JOB_RUNNING && job->locals->executor)
        flo_executor_cancel(job->locals->executor, (uint64_t)(uintptr_t)job, reason);
}

void flo_local_jobs_fini(struct flo_locals *locals)
{
    struct flo_node *node;

    while ((node = flo_list_first(&locals->jobs))) {
        job_free(flo_container(node, struct flo_local_job, node));
        flo_slots_finish(slots_of(locals));
    }
}

void flo_local_drop(struct flo_local **local, bool forget)
{
    struct flo_local *gone = *local;

    *local = NULL;
    detach(gone, forget ? FLO_JOB_RUNNING : FLO_JOB_CANCEL_NOT_FOUND);
    if (flo_node_linked(&gone->node))
        set_state(gone, FLO_LOCAL_PAUSING); /* off the lists */
    flo_map_remove(&gone->lr->activities, &gone->seq, sizeof gone->seq);
    if (gone->timer)
        event_free(gone->timer);
    flo_arena_fini(&gone->arena);
    flo_arena_fini(&gone->attempt_arena);
    flo_free(gone);
}

/* ---- ending ---- */

static void arm(struct flo_local *local, int64_t ns)
{
    int64_t us = ns / 1000 + 1; /* not before */
    struct timeval delay = {.tv_sec = us / 1000000, .tv_usec = us % 1000000};

    if (ns >= INT64_MAX / 2)
        event_del(local->timer);
    else
        event_add(local->timer, &delay);
}

static void end(struct flo_local *local, const FloApi__Payloads *result,
                const FloApi__Failure *failure, FloApi__RetryState state, int64_t backoff_ns)
{
    event_del(local->timer);
    local->end = (struct flo_local_result){.seq = local->seq,
                                           .attempt = local->attempt,
                                           .ran_ns = flo_clock_mono_ns() - local->began_ns,
                                           .original_schedule_ns = local->original_schedule_ns,
                                           .backoff_ns = backoff_ns,
                                           .result = result,
                                           .failure = failure,
                                           .retry_state = state};
    set_state(local, FLO_LOCAL_ENDED);
}

/* The attempt failed. failure is in local->attempt_arena; NULL: no memory, and there is only one
 * thing left that is true of it. */
static void fail(struct flo_local *local, const FloApi__Failure *failure)
{
    static FloApi__Failure no_memory = FLO_API__FAILURE__INIT;
    static char text[] = "out of memory";
    int64_t left_ns =
        local->close_by_ns == INT64_MAX ? INT64_MAX : local->close_by_ns - flo_clock_mono_ns();
    struct flo_local_retry verdict;

    if (!failure) {
        no_memory.message = text;
        failure = &no_memory;
    }
    if (!flo_failure_is_benign(failure))
        flo_tell_failed_local(local, failure);
    verdict = flo_local_retry(local->task->retry_policy, failure, local->attempt, left_ns);
    if (local->cancelled) {
        verdict.again = false;
        verdict.state = FLO_API__RETRY_STATE__RETRY_STATE_CANCEL_REQUESTED;
    }
    if (verdict.again && verdict.delay_ns <= local->threshold_ns) {
        local->attempt++;
        set_state(local, FLO_LOCAL_PAUSING);
        arm(local, verdict.delay_ns);
        return;
    }
    end(local, NULL, failure, verdict.state, verdict.again ? verdict.delay_ns : 0);
}

static void cancelled(struct flo_local *local, FloApi__Payloads *details)
{
    FloApi__Failure *failure =
        flo_failure_cancelled(&local->attempt_arena, "Activity cancelled", NULL);

    if (!failure) {
        fail(local, NULL);
        return;
    }
    if (details && details->n_payloads > 0)
        failure->canceled_failure_info->details = details;
    end(local, NULL, failure, FLO_API__RETRY_STATE__RETRY_STATE_CANCEL_REQUESTED, 0);
}

static FloApi__Failure *timeout(struct flo_local *local, FloApi__TimeoutType type)
{
    return flo_failure_timeout(&local->attempt_arena, "Activity timed out", type);
}

/* Get in line. It may have begun, and even ended and be gone, when this returns. */
static void wait_for_slot(struct flo_local *local)
{
    int64_t by_ns =
        local->start_by_ns < local->close_by_ns ? local->start_by_ns : local->close_by_ns;
    int64_t left_ns = by_ns == INT64_MAX ? by_ns : by_ns - flo_clock_mono_ns();

    set_state(local, FLO_LOCAL_WAITING);
    arm(local, left_ns > 0 ? left_ns : 0);
    flo_local_fill(local->lr->locals->worker);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_local *local = ctx;
    struct flo_local_run *lr = local->lr;
    bool closed = flo_clock_mono_ns() >= local->close_by_ns;

    (void)fd;
    (void)what;
    switch (local->state) {
    case FLO_LOCAL_PAUSING:
        wait_for_slot(local);
        return;
    case FLO_LOCAL_WAITING:
        end(local, NULL,
            timeout(local, closed ? FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
                                  : FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_SCHEDULE_TO_START),
            FLO_API__RETRY_STATE__RETRY_STATE_TIMEOUT, 0);
        break;
    case FLO_LOCAL_RUNNING:
        detach(local, FLO_JOB_CANCEL_TIMED_OUT);
        if (closed)
            end(local, NULL, timeout(local, FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_SCHEDULE_TO_CLOSE),
                FLO_API__RETRY_STATE__RETRY_STATE_TIMEOUT, 0);
        else
            fail(local, timeout(local, FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_START_TO_CLOSE));
        break;
    case FLO_LOCAL_ENDED:
        break;
    }
    flo_local_deliver(lr);
}

/* ---- the thread's answer ---- */

static void fail_with(struct flo_local *local, const char *type, const char *message)
{
    fail(local, flo_failure_application(&local->attempt_arena, message, type, false, NULL, 0));
}

/* body, decoded into the attempt's memory; NULL when that cannot be. */
static ProtobufCMessage *decode(struct flo_local *local, const struct flo_outcome *outcome,
                                const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = NULL;

    if (flo_wire_decode(descriptor, outcome->body, outcome->body_len, &local->attempt_arena,
                        &message, NULL))
        return NULL;
    return message;
}

static void returned(struct flo_local *local, const struct flo_outcome *outcome)
{
    ProtobufCMessage *body;

    switch (outcome->kind) {
    case FLO_OUTCOME_COMPLETED:
        body = decode(local, outcome, &flo_api__payloads__descriptor);
        if (body)
            end(local, (const FloApi__Payloads *)body, NULL,
                FLO_API__RETRY_STATE__RETRY_STATE_UNSPECIFIED, 0);
        else
            fail_with(local, FLO_FAILURE_CRASH, "The activity's answer is damaged");
        break;
    case FLO_OUTCOME_FAILED:
    case FLO_OUTCOME_UNREGISTERED:
        fail(local, (const FloApi__Failure *)decode(local, outcome, &flo_api__failure__descriptor));
        break;
    case FLO_OUTCOME_CANCELLED:
        body = decode(local, outcome, &flo_api__payloads__descriptor);
        cancelled(local, (FloApi__Payloads *)body);
        break;
    default:
        fail(local,
             flo_failure_application(&local->attempt_arena,
                                     "A local activity cannot be left open, to be completed later",
                                     flo_error_name(FLO_EINVAL), true, NULL, 0));
    }
}

static void on_done(void *ctx, uint64_t id, const struct flo_job_result *result)
{
    struct flo_locals *locals = ctx;
    struct flo_local_job *job = (struct flo_local_job *)(uintptr_t)id;
    struct flo_local *local = job->local;
    struct flo_worker *worker = locals->worker;
    struct flo_outcome outcome = {.kind = FLO_OUTCOME_FAILED};
    bool damaged = result->end != FLO_JOB_DONE ||
                   flo_outcome_decode(result->reply, result->reply_len, &outcome);
    bool shut = job->shut && (damaged || outcome.kind != FLO_OUTCOME_COMPLETED);
    struct flo_local_run *lr = local ? local->lr : NULL;

    if (locals->library.tracing)
        flo_tracing_local(job, damaged ? NULL : &outcome);
    if (local) {
        local->job = NULL;
        flo_local_tell_ended(local, job, outcome.kind);
        if (shut) /* somebody else does it again, from its start */
            flo_local_drop(&local, false);
        else if (damaged)
            fail_with(local, FLO_FAILURE_CRASH, "The activity's answer is damaged");
        else
            returned(local, &outcome);
    }
    job_free(job);
    flo_slots_finish(slots_of(locals));
    if (lr)
        flo_local_deliver(lr);
    flo_local_fill(worker);
    flo_drain_check(worker);
}

/* ---- beginning ---- */

/* Modules and threads, for the first attempt of all. */
static int make_executor(struct flo_locals *locals, struct flo_err *err)
{
    struct flo_worker *worker = locals->worker;
    struct flo_executor_options options = {
        .workers = (unsigned)worker->config->max_concurrent_local_activities,
        .name = "local",
        .runner = flo_activity_task_run_shared,
        .runner_ctx = &locals->library,
        .on_progress = flo_local_on_progress,
        .on_note = flo_local_on_note,
        .on_stuck = flo_local_on_stuck,
        .on_done = on_done,
        .ctx = locals};
    int rc = 0;

    if (!worker->modules_started)
        rc = flo_registry_start(worker->registry, flo_role_name(worker->config->role),
                                worker->identity, err);
    if (rc)
        return rc; /* tried again with the next attempt */
    worker->modules_started = true;
    locals->threads = options.workers;
    return flo_executor_threads_new(worker->base, &options, &locals->executor, err);
}

static struct flo_local_job *job_new(struct flo_local *local)
{
    struct flo_locals *locals = local->lr->locals;
    struct flo_local_job *job = flo_calloc(1, sizeof *job);

    if (!job)
        return NULL;
    job->locals = locals;
    job->local = local;
    job->queue = local->lr->queue;
    job->began_ns = flo_clock_mono_ns();
    flo_arena_init(&job->arena, 0);
    flo_list_push_back(&locals->jobs, &job->node);
    flo_arena_reset(&local->attempt_arena);
    local->task->attempt = local->attempt;
    local->task->scheduled_time =
        flo_timestamp_new(&local->attempt_arena, local->original_schedule_ns);
    local->task->current_attempt_scheduled_time = local->task->started_time =
        flo_timestamp_new(&local->attempt_arena, flo_clock_wall_ns());
    job->task =
        (FloApi__PollActivityTaskQueueResponse *)flo_wire_copy(&local->task->base, &job->arena);
    if (!job->task) {
        job_free(job);
        return NULL;
    }
    return job;
}

/* To a thread: the address of the task and, where queues have numbers, that of its queue. */
static int submit(struct flo_local_job *job)
{
    struct flo_locals *locals = job->locals;
    uint8_t request[sizeof job->task + FLO_ACTIVITY_QUEUE_BYTES];
    size_t number = (size_t)(job->queue - locals->worker->queues);
    size_t len = sizeof job->task;

    memcpy(request, &job->task, len);
    if (locals->library.task_queues) {
        request[len++] = number & 0xff;
        request[len++] = (uint8_t)(number >> 8);
    }
    return flo_executor_submit(locals->executor, (uint64_t)(uintptr_t)job, request, len, 0,
                               locals->worker->config->executor.grace_ms);
}

/* Its turn has come and a slot is free. */
static void run(struct flo_local *local)
{
    struct flo_locals *locals = local->lr->locals;
    struct flo_err err = {0};
    int64_t now_ns = flo_clock_mono_ns();
    int64_t limit_ns = flo_duration_ns(local->task->start_to_close_timeout);
    struct flo_local_job *job = NULL;
    int rc = locals->executor ? 0 : make_executor(locals, &err);

    if (rc) {
        flo_log(FLO_LOG_ERROR, "activity.local_failed", err.message, NULL);
        fail_with(local, flo_error_name(rc), err.message);
        return;
    }
    job = job_new(local);
    if (!job || submit(job)) {
        if (job)
            job_free(job);
        fail(local, NULL);
        return;
    }
    local->job = job;
    if (local->lr->wt && local->attempt > 1)
        local->lr->wt->local_retries++;
    local->start_by_ns = INT64_MAX; /* met */
    set_state(local, FLO_LOCAL_RUNNING);
    if (local->close_by_ns != INT64_MAX && local->close_by_ns - now_ns < limit_ns)
        limit_ns = local->close_by_ns - now_ns;
    arm(local, limit_ns > 0 ? limit_ns : 0);
    (void)flo_slots_reserve(slots_of(locals)); /* one is free: flo_local_fill asked */
    flo_slots_run(slots_of(locals));
}

void flo_local_fill(struct flo_worker *worker)
{
    struct flo_locals *locals = worker->locals;
    struct flo_node *node;

    while (locals && !locals->cutting && flo_slots_free(slots_of(locals)) > 0 &&
           (!locals->executor || locals->jobs.count < locals->threads) &&
           (node = flo_list_first(&locals->queue))) {
        struct flo_local *local = flo_container(node, struct flo_local, node);
        struct flo_local_run *lr = local->lr;
        run(local);
        if (local->state == FLO_LOCAL_ENDED)
            flo_local_deliver(lr);
    }
}

/* Deadlines: monotonic, although the first attempt may have been made long ago by another worker.
 */
static void set_deadlines(struct flo_local *local, const struct flo_local_start *start)
{
    int64_t close_ns = flo_duration_ns(local->task->schedule_to_close_timeout);
    int64_t gone_ns =
        start->original_schedule_ns ? flo_clock_wall_ns() - start->original_schedule_ns : 0;

    if (gone_ns < 0) /* by a clock that was ahead of ours */
        gone_ns = 0;
    local->close_by_ns = close_ns > 0 ? local->began_ns + close_ns - gone_ns : INT64_MAX;
    local->start_by_ns = INT64_MAX;
    if (start->attempt == 1 && start->schedule_to_start_ns > 0 &&
        start->schedule_to_start_ns < INT64_MAX / 2)
        local->start_by_ns = local->began_ns + start->schedule_to_start_ns;
}

static int fill(struct flo_local *local, const struct flo_local_start *start)
{
    ProtobufCMessage *task = NULL;
    int rc = flo_wire_decode(&flo_api__poll_activity_task_queue_response__descriptor, start->task,
                             start->task_len, &local->arena, &task, NULL);

    if (rc)
        return FLO_ENOMEM; /* the runtime packed it */
    local->task = (FloApi__PollActivityTaskQueueResponse *)task;
    local->task->activity_id = flo_arena_strdup(&local->arena, start->activity_id);
    local->timer = evtimer_new(local->lr->locals->worker->base, on_timer, local);
    if (!local->task->activity_id || !local->timer)
        return FLO_ENOMEM;
    local->attempt = start->attempt;
    local->threshold_ns = start->threshold_ns;
    local->began_ns = flo_clock_mono_ns();
    local->original_schedule_ns =
        start->original_schedule_ns ? start->original_schedule_ns : flo_clock_wall_ns();
    set_deadlines(local, start);
    return flo_map_put(&local->lr->activities, &local->seq, sizeof local->seq, local, NULL);
}

int flo_local_begin(struct flo_local_run *lr, const struct flo_local_start *start)
{
    struct flo_local *local = flo_calloc(1, sizeof *local);
    struct flo_task_queue *queue = lr->queue;

    if (!local)
        return FLO_ENOMEM;
    local->lr = lr;
    local->seq = start->seq;
    local->state = FLO_LOCAL_PAUSING; /* on no list yet */
    flo_arena_init(&local->arena, 0);
    flo_arena_init(&local->attempt_arena, 0);
    if (fill(local, start)) {
        flo_local_drop(&local, false);
        return FLO_ENOMEM;
    }
    local->series =
        flo_series_for_type(queue, FLO_TYPE_LOCAL_ACTIVITY, local->task->activity_type->name);
    flo_series_inc(flo_series_of(queue, local->series, FLO_METRIC_LOCAL_ACTIVITY,
                                 local->task->activity_type->name));
    if (start->cancelled) {
        flo_local_stop(local, false);
        return 0;
    }
    if (lr->locals->cutting) {
        flo_local_drop(&local, false);
        return 0;
    }
    wait_for_slot(local);
    return 0;
}

/* ---- stopping ---- */

void flo_local_stop(struct flo_local *local, bool forget)
{
    if (forget) {
        flo_local_drop(&local, true);
        return;
    }
    if (local->state == FLO_LOCAL_ENDED)
        return;
    local->cancelled = true;
    if (local->job)
        flo_executor_cancel(local->lr->locals->executor, (uint64_t)(uintptr_t)local->job,
                            FLO_JOB_CANCEL_REQUESTED);
    else
        cancelled(local, NULL);
}

void flo_local_shut(struct flo_local_run *lr)
{
    struct flo_map_entry *it, *next;

    for (it = flo_map_first(&lr->activities); it; it = next) {
        struct flo_local *local = flo_map_value(it);
        next = flo_map_next(it);
        if (local->job) {
            local->job->shut = true;
            flo_executor_cancel(lr->locals->executor, (uint64_t)(uintptr_t)local->job,
                                FLO_JOB_CANCEL_SHUTDOWN);
        } else if (local->state != FLO_LOCAL_ENDED) {
            flo_local_drop(&local, false);
        }
    }
}
