/* SPDX-License-Identifier: Apache-2.0 */
/* sample.c - a metric of workflow code, on the worker's page. On the thread that runs the code: the
 * page's series take additions from any. */
#include <string.h>

#include "worker/worker.h"

static enum flo_metric_kind kind_of(enum flo_run_sample_kind kind)
{
    switch (kind) {
    case FLO_RUN_GAUGE:
        return FLO_GAUGE;
    case FLO_RUN_HISTOGRAM:
        return FLO_HISTOGRAM;
    default:
        return FLO_COUNTER;
    }
}

static size_t bucket_of(double value)
{
    const double *bounds = flo_user_metric_bounds();
    size_t bucket = 0;

    while (bounds[bucket] > 0 && value > bounds[bucket])
        bucket++;
    return bucket;
}

int flo_count_sample(void *ctx, const struct flo_workflow_info *info,
                     const struct flo_run_sample *sample, struct flo_err *err)
{
    const struct flo_worker *worker = ctx;
    struct flo_user_sample out = {
        .kind = kind_of(sample->kind),
        .name = sample->name,
        .label_count = 3,
        .label_names = {"namespace", "task_queue", "workflow_type"},
        .label_values = {info->namespace_, info->task_queue, info->type},
        .value = sample->value,
    };

    _Static_assert(3 + FLO_RUN_LABELS_MAX <= FLO_METRIC_LABELS_MAX, "labels of a sample");
    for (size_t i = 0; i < sample->label_count; i++, out.label_count++) {
        out.label_names[out.label_count] = sample->label_names[i];
        out.label_values[out.label_count] = sample->label_values[i];
    }
    if (out.kind == FLO_HISTOGRAM)
        out.counts[bucket_of(out.value)] = 1;
    return flo_metrics_user_add(worker->metrics, &out, err);
}
