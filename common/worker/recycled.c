/* SPDX-License-Identifier: Apache-2.0 */
/* recycled.c - executor processes that are replaced because of what activities left in them. */
#include "worker/worker.h"

void flo_recycled_on(void *ctx, const struct flo_recycled *recycled)
{
    static const char *const AMOUNTS[] = {
        [FLO_RECYCLE_NONE] = "#amount",
        [FLO_RECYCLE_JOBS] = "#jobs",
        [FLO_RECYCLE_MEMORY] = "#grown_bytes",
        [FLO_RECYCLE_DESCRIPTORS] = "#grown_descriptors",
    };
    const struct flo_activity_task *at = (const struct flo_activity_task *)(uintptr_t)recycled->job;
    const char *reason = flo_recycle_reason_name(recycled->reason);
    struct flo_worker *worker = ctx;

    flo_series_add(flo_metrics_get(worker->metrics, FLO_METRIC_EXECUTOR_RECYCLED, at->queue->name,
                                   at->type, reason, NULL),
                   1);
    flo_log(FLO_LOG_INFO, "executor.recycled",
            "An executor process is replaced: of what its activities left, it has enough",
            "#executor", FLO_NUM(recycled->index), "reason", reason, AMOUNTS[recycled->reason],
            FLO_NUM(recycled->amount), "activity_type", at->type, "activity_id", at->activity_id,
            NULL);
}
