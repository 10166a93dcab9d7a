/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stuck.c - activities that do not end, and those that take the process with them, by name.
 *
 * A thread cannot be killed. One whose activity was told to stop and has not, executor.grace and
 * more later, is lost to others until it returns: that is logged once, and again when it does
 * return, and counted in a gauge. /health fails only when nobody wants the answer any more (its
 * start-to-close or heartbeat timeout is over, or the server has forgotten it): an activity may
 * take its time, or go on, after a request to cancel.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "worker/control.h"

static const struct flo_activity_task *task_of(uint64_t job)
{
    return (const struct flo_activity_task *)(uintptr_t)job;
}

static const char *reason_name(enum flo_job_cancel reason)
{
    switch (reason) {
    case FLO_JOB_CANCEL_TIMED_OUT:
        return "timed_out";
    case FLO_JOB_CANCEL_NOT_FOUND:
        return "not_found";
    default:
        return "cancelled";
    }
}

static int64_t ran_ms(const struct flo_activity_task *at)
{
    return (flo_clock_mono_ns() - at->began_ns) / FLO_NS_PER_MS;
}

void flo_stuck_look(struct flo_worker *worker)
{
    struct flo_stuck_job stuck;
    char reason[256];
    bool over = worker->executor && flo_executor_stuck(worker->executor, &stuck, 1) > 0 &&
                stuck.reason != FLO_JOB_CANCEL_REQUESTED;

    if (over) {
        const struct flo_activity_task *at = task_of(stuck.job);
        snprintf(reason, sizeof reason,
                 "thread %s does not get out of activity %.60s (id %.40s): %lld s past its time",
                 stuck.unit, at->type, at->activity_id, (long long)stuck.told_ms / 1000);
    }
    if (over || worker->stuck_said)
        flo_health_set_live(worker->health, "executor", !over, over ? reason : NULL);
    worker->stuck_said = over;
}

void flo_stuck_on(void *ctx, const struct flo_stuck_job *stuck, bool ended)
{
    const struct flo_activity_task *at = task_of(stuck->job);
    struct flo_worker *worker = ctx;

    flo_series_add(flo_metrics_get(worker->metrics, FLO_METRIC_EXECUTOR_STUCK, at->queue->name,
                                   at->type, NULL),
                   ended ? -1 : 1);
    if (ended)
        flo_log(FLO_LOG_INFO, "executor.unstuck", "A thread that was stuck has come back", "thread",
                stuck->unit, "activity_type", at->type, "activity_id", at->activity_id,
                "workflow_id", at->workflow_id, "run_id", at->run_id, "#ran_ms",
                FLO_NUM(ran_ms(at)), "#told_ms", FLO_NUM(stuck->told_ms), NULL);
    else
        flo_log(FLO_LOG_WARN, "executor.stuck",
                "An activity was told to stop and does not: its thread is lost until it returns",
                "thread", stuck->unit, "activity_type", at->type, "activity_id", at->activity_id,
                "workflow_id", at->workflow_id, "run_id", at->run_id, "#attempt",
                FLO_NUM(at->attempt), "reason", reason_name(stuck->reason), "#ran_ms",
                FLO_NUM(ran_ms(at)), "#told_ms", FLO_NUM(stuck->told_ms), "doing", stuck->doing,
                NULL);
    flo_tell(worker, ended ? FLO_LOG_INFO : FLO_LOG_WARN,
             ended ? "executor.unstuck" : "executor.stuck",
             ended ? "A thread that was stuck has come back"
                   : "A thread does not get out of an activity that was told to stop",
             "thread", stuck->unit, "activity_type", at->type, "activity_id", at->activity_id,
             "workflow_id", at->workflow_id, "run_id", at->run_id, "doing",
             ended ? NULL : stuck->doing, NULL);
    flo_stuck_look(worker);
}

void flo_stuck_warn(void *ctx, const char *message)
{
    struct flo_worker *worker = ctx;

    flo_log(FLO_LOG_WARN, "executor.short",
            "A thread cannot be made: activities wait for those that there are", "reason", message,
            "#jobs", FLO_NUM(flo_executor_running(worker->executor)), NULL);
}

/* In a signal handler: the task does not change while its code runs, and nothing is allocated. */
void flo_stuck_fault(void *ctx, const struct flo_executor_fault *fault)
{
    static const struct flo_activity_task none = {
        .type = "", .activity_id = "", .workflow_id = "", .run_id = ""};
    const struct flo_activity_task *at = fault->busy ? task_of(fault->job) : &none;
    const char *name = sigabbrev_np(fault->signal);

    (void)ctx;
    flo_log_last_words("executor.fault",
                       fault->stack_overflow
                           ? "An activity's stack is full and the worker dies: recursion without "
                             "end, large variables, or executor.stack_size is too small"
                           : "A thread of activities raised a fatal signal and the worker dies",
                       "thread", fault->unit, "signal", name ? name : "?", "activity_type",
                       at->type, "activity_id", at->activity_id, "workflow_id", at->workflow_id,
                       "run_id", at->run_id, "#stack_bytes", FLO_NUM(fault->stack_bytes), NULL);
}
