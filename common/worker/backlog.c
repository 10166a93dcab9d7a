/* SPDX-License-Identifier: Apache-2.0 */
/* backlog.c - see backlog.h. */
#include "worker/backlog.h"

#include "grpc/status.h"
#include "worker/worker.h"

static void finish(struct flo_backlog *backlog)
{
    backlog->done(backlog->ctx, backlog->unknown ? -1 : backlog->queued);
}

static void on_answer(void *ctx, const struct flo_grpc_status *status,
                      const ProtobufCMessage *response)
{
    const FloApi__DescribeTaskQueueResponse *answer =
        (const FloApi__DescribeTaskQueueResponse *)response;
    struct flo_backlog *backlog = ctx;

    if (status->code == FLO_GRPC_OK && answer->stats)
        backlog->queued += answer->stats->approximate_backlog_count;
    else
        backlog->unknown = true;
    if (--backlog->calls == 0)
        finish(backlog);
}

static int ask_queue(struct flo_backlog *backlog, const struct flo_task_queue *of)
{
    FloApi__DescribeTaskQueueRequest request = FLO_API__DESCRIBE_TASK_QUEUE_REQUEST__INIT;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;

    queue.name = of->name;
    queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    request.task_queue = &queue;
    request.task_queue_type = of->kind == FLO_SLOT_WORKFLOW
                                  ? FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_WORKFLOW
                                  : FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_ACTIVITY;
    request.report_stats = true;
    return flo_client_describe_task_queue(of->worker->client, &request, on_answer, backlog, NULL);
}

void flo_backlog_ask(struct flo_backlog *backlog, struct flo_worker *worker, flo_backlog_fn done,
                     void *ctx)
{
    if (backlog->calls > 0)
        return;
    *backlog = (struct flo_backlog){.done = done, .ctx = ctx};
    for (size_t i = 0; i < worker->queue_count && worker->connected; i++) {
        if (ask_queue(backlog, &worker->queues[i]))
            backlog->unknown = true;
        else
            backlog->calls++;
    }
    if (backlog->calls > 0)
        return;
    backlog->unknown = true;
    finish(backlog);
}
