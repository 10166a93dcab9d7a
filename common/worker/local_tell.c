/* SPDX-License-Identifier: Apache-2.0 */
/* local_tell.c - what is said of local activities: metrics and log lines, their own and their
 * code's. */
#include "activity/note.h"
#include "base/clock.h"
#include "worker/local.h"

void flo_local_tell_ended(struct flo_local *local, const struct flo_local_job *job,
                          enum flo_outcome_kind kind)
{
    struct flo_task_queue *queue = local->lr->queue;
    const char *type = local->task->activity_type->name;
    int64_t now_ns = flo_clock_mono_ns();

    flo_series_observe(
        flo_series_of(queue, local->series, FLO_METRIC_LOCAL_ACTIVITY_EXECUTION_LATENCY, type),
        (double)(now_ns - job->began_ns) / FLO_NS_PER_S);
    if (kind == FLO_OUTCOME_COMPLETED)
        flo_series_observe(
            flo_series_of(queue, local->series, FLO_METRIC_LOCAL_ACTIVITY_SUCCEED_ENDTOEND, type),
            (double)(now_ns - local->began_ns) / FLO_NS_PER_S);
    else
        flo_series_inc(flo_series_of(queue, local->series,
                                     kind == FLO_OUTCOME_CANCELLED
                                         ? FLO_METRIC_LOCAL_ACTIVITY_EXECUTION_CANCELLED
                                         : FLO_METRIC_LOCAL_ACTIVITY_EXECUTION_FAILED,
                                     type));
    if (flo_log_enabled(FLO_LOG_DEBUG))
        flo_log(FLO_LOG_DEBUG, "activity.local", "Local activity processed", "activity_type", type,
                "activity_id", local->task->activity_id, "run_id", local->lr->id, "outcome",
                kind == FLO_OUTCOME_COMPLETED   ? "completed"
                : kind == FLO_OUTCOME_CANCELLED ? "cancelled"
                                                : "failed",
                "#attempt", FLO_NUM(local->attempt), "#duration_us",
                FLO_NUM((now_ns - job->began_ns) / 1000), NULL);
}

void flo_local_on_progress(void *ctx, uint64_t job, const uint8_t *data, size_t len)
{
    (void)ctx;
    (void)job;
    (void)data;
    (void)len; /* a local activity's heartbeats go nowhere */
}

void flo_local_on_note(void *ctx, uint64_t id, const uint8_t *data, size_t len)
{
    const struct flo_local_job *job = (const struct flo_local_job *)(uintptr_t)id;
    const uint8_t *end = data + len;
    struct flo_note note;
    struct flo_err err = {0};

    (void)ctx;
    while (flo_note_get(&data, end, FLO_METRIC_LABELS_MAX - 3, &note)) {
        if (note.kind == FLO_NOTE_BEAT_EVERY)
            continue; /* its heartbeats go nowhere, the worker's neither */
        if (flo_activity_count_sample(job->queue, job->task->activity_type->name, &note.sample,
                                      &err))
            flo_log(FLO_LOG_DEBUG, "activity.metric_refused",
                    "A metric of a local activity is not counted", "reason", err.message, NULL);
    }
}

/* A thread that does not get out of a local activity that was told to stop. */
void flo_local_on_stuck(void *ctx, const struct flo_stuck_job *stuck, bool ended)
{
    const struct flo_local_job *job = (const struct flo_local_job *)(uintptr_t)stuck->job;

    (void)ctx;
    flo_series_add(flo_metrics_get(job->locals->worker->metrics, FLO_METRIC_EXECUTOR_STUCK,
                                   job->queue->name, job->task->activity_type->name, NULL),
                   ended ? -1 : 1);
    if (ended)
        flo_log(FLO_LOG_INFO, "executor.unstuck", "A thread that was stuck has come back", "thread",
                stuck->unit, "activity_type", job->task->activity_type->name, NULL);
    else
        flo_log(FLO_LOG_WARN, "executor.stuck",
                "A thread does not get out of a local activity that was told to stop", "thread",
                stuck->unit, "activity_type", job->task->activity_type->name, "activity_id",
                job->task->activity_id, "workflow_id", job->task->workflow_execution->workflow_id,
                NULL);
}
