/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.h - runs one activity attempt on the executor's side: a packed PollActivityTaskQueueResponse
 * in, an outcome (outcome.h) out. Heartbeats go up as the job's progress: the packed Payloads of
 * the details.
 */
#ifndef FLO_ACTIVITY_TASK_H
#define FLO_ACTIVITY_TASK_H

#include <stdbool.h>

#include "activity/outcome.h"
#include "base/trace.h"
#include "executor/executor.h"
#include "flotilla/activity.h"

/* Largest result and failure, as the server's blob limit (error.blobSize). */
#define FLO_ACTIVITY_RESULT_MAX (2u << 20)

/* Types of failures that the runtime itself makes. */
#define FLO_FAILURE_NOT_REGISTERED "NotFoundError" /* as the Python SDK names it */
/* A codec of the worker could not decode what came. */
#define FLO_FAILURE_CODEC "PayloadCodecError"
#define FLO_FAILURE_PAYLOAD_INVALID "PAYLOAD_INVALID"
#define FLO_FAILURE_CRASH "ApplicationCrash"
#define FLO_FAILURE_SHUTDOWN "WorkerShutdown"
#define FLO_FAILURE_TOO_LARGE "COMPLETE_RESULT_EXCEEDS_LIMIT"

/* Reported for an activity that stopped because an operator paused or reset it, as by the Python
 * SDK. */
#define FLO_FAILURE_PAUSED "ActivityPause"
#define FLO_FAILURE_RESET "ActivityReset"

/* An interceptor and where its module's state will be. */
struct flo_activity_wrap {
    const struct flo_activity_interceptor *by;
    void *const *shared;
};

/* What the runner needs of the worker; read by executor threads, so constant while they run. */
struct flo_activity_library {
    /* Look a type up. False: not registered. */
    bool (*find)(void *ctx, const char *type, flo_activity_fn *out_fn, void **out_shared);
    /* Append the registered types, sorted, as "a, b". */
    void (*names)(void *ctx, struct flo_buf *out);
    /* flo_activity_log's line; may be NULL. */
    void (*log)(void *ctx, enum flo_log_level level, const struct flo_activity_info *info,
                const char *message);
    void *ctx;
    const struct flo_activity_wrap *wraps; /* the outermost first */
    size_t wrap_count;
    const char *identity;
    const char *task_queue;
    /* Of a worker of several queues, their names; each request then ends with two more bytes, the
     * number of its queue, low byte first. NULL: all are of task_queue. */
    const char *const *task_queues;
    size_t task_queue_count;
    bool local;                              /* it runs local activities */
    const struct flo_trace_sampler *tracing; /* attempts have spans; NULL: they have none */
};

#define FLO_ACTIVITY_QUEUE_BYTES 2 /* of that number */

/* A flo_job_runner_fn for another process: ctx is a const struct flo_activity_library. */
void flo_activity_task_run(void *ctx, struct flo_job_io *io, const uint8_t *request,
                           size_t request_len, struct flo_buf *out_reply);
/* The same for another thread: request holds the address of the decoded message, which nobody
 * changes or frees until the job has ended. */
FLO_API void flo_activity_task_run_shared(void *ctx, struct flo_job_io *io, const uint8_t *request,
                                          size_t request_len, struct flo_buf *out_reply);

#endif
