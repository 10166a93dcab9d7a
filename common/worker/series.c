/* SPDX-License-Identifier: Apache-2.0 */
/*
 * series.c - the metrics of tasks and calls without a look-up each time: a series lives as long as
 * the registry, so its address is kept per type of a queue and per RPC. One hash a task remains.
 */
#include "base/alloc.h"
#include "worker/worker.h"

const char *const flo_task_failure_names[FLO_TASK_FAILURES] = {
    [FLO_TASK_NONDETERMINISM] = "NonDeterminismError",
    [FLO_TASK_WORKFLOW_ERROR] = "WorkflowError",
    [FLO_TASK_TOO_LARGE] = "GrpcMessageTooLarge",
};

/* Kept types; more (a server may name any) are looked up each time. */
#define TYPES_MAX 256

/* Counters of a type that begin at 0 with its first task: a rate over the page sees the first
 * failure only when there was a sample before it. Ended by FLO_METRIC_COUNT. */
static const enum flo_metric FROM_ZERO[][8] = {
    [FLO_TYPE_WORKFLOW] = {FLO_METRIC_WORKFLOW_COMPLETED, FLO_METRIC_WORKFLOW_FAILED,
                           FLO_METRIC_WORKFLOW_CANCELED, FLO_METRIC_WORKFLOW_CONTINUE_AS_NEW,
                           FLO_METRIC_WORKFLOW_NO_COMPLETION, FLO_METRIC_COUNT},
    [FLO_TYPE_ACTIVITY] = {FLO_METRIC_ACTIVITY_EXECUTION_FAILED,
                           FLO_METRIC_ACTIVITY_EXECUTION_CANCELLED, FLO_METRIC_ACTIVITY_TASK_ERROR,
                           FLO_METRIC_COUNT},
    [FLO_TYPE_LOCAL_ACTIVITY] = {FLO_METRIC_LOCAL_ACTIVITY_EXECUTION_FAILED,
                                 FLO_METRIC_LOCAL_ACTIVITY_EXECUTION_CANCELLED, FLO_METRIC_COUNT},
};

static void begin_at_zero(struct flo_task_queue *queue, struct flo_task_series *series,
                          enum flo_type_kind kind, const char *type)
{
    for (size_t i = 0; FROM_ZERO[kind][i] != FLO_METRIC_COUNT; i++)
        (void)flo_series_of(queue, series, FROM_ZERO[kind][i], type);
    for (int reason = 0; kind == FLO_TYPE_WORKFLOW && reason < FLO_TASK_FAILURES; reason++)
        (void)FLO_METRIC(queue, WORKFLOW_EXECUTION_FAILED, type, flo_task_failure_names[reason]);
    if (kind == FLO_TYPE_ACTIVITY) {
        struct flo_metrics *metrics = queue->worker->metrics;
        (void)flo_metrics_get(metrics, FLO_METRIC_ACTIVITY_CRASHED, queue->name, type, NULL);
        (void)flo_metrics_get(metrics, FLO_METRIC_QUARANTINE_PARKED, type, NULL);
    }
}

struct flo_task_series *flo_series_for_type(struct flo_task_queue *queue, enum flo_type_kind kind,
                                            const char *type)
{
    struct flo_task_series *series = flo_map_get_str(&queue->type_series, type);

    if (series || queue->type_series.count >= TYPES_MAX)
        return series;
    series = flo_calloc(1, sizeof *series);
    if (series && flo_map_put_str(&queue->type_series, type, series)) {
        flo_free(series);
        series = NULL;
    }
    if (series)
        begin_at_zero(queue, series, kind, type);
    return series;
}

static struct flo_series *look_up(struct flo_task_queue *queue, enum flo_metric metric,
                                  const char *type)
{
    struct flo_worker *worker = queue->worker;

    switch (metric) {
    case FLO_METRIC_ACTIVITY_CPU:
    case FLO_METRIC_ACTIVITY_SYSTEM_CPU:
    case FLO_METRIC_ACTIVITY_MAX_RSS:
    case FLO_METRIC_ACTIVITY_READ:
    case FLO_METRIC_ACTIVITY_WRITTEN:
    case FLO_METRIC_ACTIVITY_VOLUNTARY:
    case FLO_METRIC_ACTIVITY_INVOLUNTARY:
        return flo_metrics_get(worker->metrics, metric, queue->name, type, NULL);
    case FLO_METRIC_ACTIVITY_DURATION:
        return flo_metrics_get(worker->metrics, metric, type, "success", "", NULL);
    case FLO_METRIC_ACTIVITY_TASK_RECEIVED: /* this worker asks for no eager ones */
        return flo_metrics_get(worker->metrics, metric, worker->config->server.name_space,
                               queue->name, type, "false", NULL);
    default:
        return flo_metrics_get(worker->metrics, metric, worker->config->server.name_space,
                               queue->name, type, NULL);
    }
}

struct flo_series *flo_series_of(struct flo_task_queue *queue, struct flo_task_series *known,
                                 enum flo_metric metric, const char *type)
{
    struct flo_series *series = known ? known->of[metric] : NULL;

    if (series)
        return series;
    series = look_up(queue, metric, type);
    if (known)
        known->of[metric] = series;
    return series;
}

void flo_series_of_call(struct flo_worker *worker, const char *operation, bool long_poll,
                        struct flo_series **out_count, struct flo_series **out_latency)
{
    const char *ns = worker->config->server.name_space;
    struct flo_call_series *slot = NULL;

    for (size_t i = 0; i < FLO_CALL_SERIES_MAX; i++) {
        slot = &worker->call_series[i];
        if (!slot->operation || slot->operation == operation)
            break;
    }
    if (slot->operation != operation) /* the last one serves what does not fit */
        *slot = (struct flo_call_series){
            .operation = operation,
            .count = flo_metrics_get(worker->metrics,
                                     long_poll ? FLO_METRIC_LONG_REQUEST : FLO_METRIC_REQUEST, ns,
                                     operation, NULL),
            .latency = flo_metrics_get(worker->metrics,
                                       long_poll ? FLO_METRIC_LONG_REQUEST_LATENCY
                                                 : FLO_METRIC_REQUEST_LATENCY,
                                       ns, operation, NULL)};
    *out_count = slot->count;
    *out_latency = slot->latency;
}

void flo_series_fini(struct flo_task_queue *queue)
{
    for (struct flo_map_entry *it = flo_map_first(&queue->type_series); it; it = flo_map_next(it))
        flo_free(flo_map_value(it));
    flo_map_fini(&queue->type_series);
}
