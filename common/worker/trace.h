/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.h - what the worker tells an OpenTelemetry collector: metrics, and the spans of its tasks
 * once they are answered. worker->otlp is NULL, and none of the span functions called, unless
 * otlp.* asks for it. Loop thread only.
 */
#ifndef FLO_WORKER_TRACE_H
#define FLO_WORKER_TRACE_H

#include "worker/local.h"
#include "worker/worker.h"

/* Decide what is traced, as the configuration says: before anything forks or runs. */
void flo_tracing_prepare(struct flo_worker *worker);
/* The exporter, when there is something to export. */
FLO_MUST_CHECK int flo_tracing_start(struct flo_worker *worker, struct flo_err *err);

/* The server has taken the task's answer: its spans. Only with wt->spans. */
void flo_tracing_workflow(const struct flo_workflow_task *wt);
/* An attempt has ended, failed with failure or (NULL) not; why: nobody wants its answer. Only with
 * worker->library.tracing, as the next. */
void flo_tracing_activity(const struct flo_activity_task *at, const FloApi__Failure *failure,
                          const char *why);
/* The same of an attempt of a local activity; NULL: its answer is damaged. */
void flo_tracing_local(const struct flo_local_job *job, const struct flo_outcome *outcome);

/* For log lines: the ids in a traceparent; empty texts when it is none. */
struct flo_trace_ids {
    char trace_id[2 * FLO_TRACE_ID_BYTES + 1], span_id[2 * FLO_SPAN_ID_BYTES + 1];
};
struct flo_trace_ids flo_tracing_ids(const char *traceparent);
/* Pairs for the end of a flo_log call: nothing when ids are empty. */
#define FLO_LOG_TRACE(ids)                                                                         \
    *(ids).trace_id ? "trace_id" : NULL, (ids).trace_id, "span_id", (ids).span_id

#endif
