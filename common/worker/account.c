/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account.c - what activities cost, by type: CPU time, memory, storage, context switches. A job
 * that used nothing of a kind costs nothing here, and a kind that no job uses has no series.
 */
#include "base/clock.h"
#include "worker/worker.h"

static void count(struct flo_activity_task *at, enum flo_metric metric, uint64_t amount)
{
    if (amount > 0)
        flo_series_add(flo_series_of(at->queue, at->series, metric, at->type), (double)amount);
}

void flo_account_activity(struct flo_activity_task *at, const struct flo_job_usage *used)
{
    struct flo_series *peak;

    flo_series_add(FLO_TASK_METRIC(at, ACTIVITY_CPU),
                   (double)(used->user_ns + used->system_ns) / FLO_NS_PER_S);
    if (used->system_ns > 0)
        flo_series_add(FLO_TASK_METRIC(at, ACTIVITY_SYSTEM_CPU),
                       (double)used->system_ns / FLO_NS_PER_S);
    count(at, FLO_METRIC_ACTIVITY_READ, used->read_bytes);
    count(at, FLO_METRIC_ACTIVITY_WRITTEN, used->written_bytes);
    count(at, FLO_METRIC_ACTIVITY_VOLUNTARY, used->voluntary_switches);
    count(at, FLO_METRIC_ACTIVITY_INVOLUNTARY, used->involuntary_switches);
    if (used->max_rss_bytes == 0)
        return;
    peak = FLO_TASK_METRIC(at, ACTIVITY_MAX_RSS);
    if ((double)used->max_rss_bytes > flo_series_value(peak))
        flo_series_set(peak, (double)used->max_rss_bytes);
}
