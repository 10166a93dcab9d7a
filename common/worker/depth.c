/* SPDX-License-Identifier: Apache-2.0 */
/*
 * depth.c - how much waits in the worker's queues, as metrics of its own, for a worker without a
 * supervisor (which asks for a whole fleet). While somebody reads the metrics the server is asked
 * every two seconds, one question a queue at a time; else so rarely that it costs nothing, so that
 * there is a figure when somebody comes. A figure that is old is absent.
 */
#include <event2/event.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "worker/worker.h"

#define BUSY_MS 2000      /* between two questions while the metrics are read */
#define IDLE_MS 30000     /* else */
#define READ_MS 120000    /* they are read: within so long */
#define DEADLINE_MS 10000 /* of a question */
#define STALE_MS (IDLE_MS + DEADLINE_MS)

struct depth {
    struct flo_depths *owner;
    const struct flo_task_queue *queue;
    struct flo_series *series;
    struct flo_client_call *call;
    int64_t asked_ms, answered_ms; /* 0: never */
};

struct flo_depths {
    struct flo_worker *worker;
    struct event *timer;
    _Atomic int64_t read_ms; /* by whoever renders the metrics, which need not be the loop */
    size_t count;
    struct depth depths[];
};

static int64_t now_ms(void)
{
    return flo_clock_mono_ns() / FLO_NS_PER_MS;
}

static void on_answer(void *ctx, const struct flo_grpc_status *status,
                      const ProtobufCMessage *response)
{
    const FloApi__DescribeTaskQueueResponse *answer =
        (const FloApi__DescribeTaskQueueResponse *)response;
    struct depth *depth = ctx;

    depth->call = NULL;
    if (status->code != FLO_GRPC_OK || !answer->stats)
        return;
    depth->answered_ms = now_ms();
    flo_series_set(depth->series, (double)answer->stats->approximate_backlog_count);
}

static void ask(struct depth *depth, int64_t now)
{
    FloApi__DescribeTaskQueueRequest request = FLO_API__DESCRIBE_TASK_QUEUE_REQUEST__INIT;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;

    queue.name = depth->queue->name;
    queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    request.task_queue = &queue;
    request.task_queue_type = depth->queue->kind == FLO_SLOT_WORKFLOW
                                  ? FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_WORKFLOW
                                  : FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_ACTIVITY;
    request.report_stats = true;
    depth->asked_ms = now;
    if (flo_client_describe_task_queue(depth->owner->worker->client, &request, on_answer, depth,
                                       &depth->call))
        depth->call = NULL; /* no memory: later */
}

static void on_time(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_depths *depths = ctx;
    int64_t now = now_ms();
    int64_t read_ms = atomic_load_explicit(&depths->read_ms, memory_order_relaxed);
    int64_t wait_ms = read_ms && now - read_ms < READ_MS ? BUSY_MS : IDLE_MS;
    struct timeval next = {.tv_sec = BUSY_MS / 1000};

    (void)fd;
    (void)what;
    for (size_t i = 0; i < depths->count; i++) {
        struct depth *depth = &depths->depths[i];
        if (depth->call && now - depth->asked_ms >= DEADLINE_MS)
            flo_client_call_cancel(&depth->call);
        if (depth->answered_ms && now - depth->answered_ms >= STALE_MS) {
            flo_series_clear(depth->series);
            depth->answered_ms = 0;
        }
        if (!depth->call && depths->worker->connected &&
            (!depth->asked_ms || now - depth->asked_ms >= wait_ms))
            ask(depth, now);
    }
    event_add(depths->timer, &next);
}

static void on_collect(void *ctx, struct flo_metrics *metrics)
{
    struct flo_depths *depths = ctx;

    (void)metrics;
    atomic_store_explicit(&depths->read_ms, now_ms(), memory_order_relaxed);
}

static bool is_wanted(const struct flo_role_config *config)
{
    if (config->metrics.queue_depth == FLO_QUEUE_DEPTH_AUTO)
        return !*config->supervisor.endpoint;
    return config->metrics.queue_depth == FLO_QUEUE_DEPTH_ON;
}

int flo_depth_start(struct flo_worker *worker, struct flo_err *err)
{
    struct flo_depths *depths;
    struct timeval soon = {.tv_usec = 200000};

    if (!is_wanted(worker->config))
        return 0;
    depths = flo_calloc(1, sizeof *depths + worker->queue_count * sizeof depths->depths[0]);
    if (!depths)
        return flo_fail(err, FLO_ENOMEM, "no memory for the depth of queues");
    worker->depths = depths;
    depths->worker = worker;
    depths->count = worker->queue_count;
    for (size_t i = 0; i < depths->count; i++) {
        const struct flo_task_queue *queue = &worker->queues[i];
        depths->depths[i] =
            (struct depth){.owner = depths,
                           .queue = queue,
                           .series = flo_metrics_get(
                               worker->metrics,
                               queue->kind == FLO_SLOT_WORKFLOW ? FLO_METRIC_WORKFLOW_QUEUE_DEPTH
                                                                : FLO_METRIC_ACTIVITY_QUEUE_DEPTH,
                               worker->config->server.name_space, queue->name, queue->name, NULL)};
        flo_series_clear(depths->depths[i].series);
    }
    depths->timer = event_new(worker->base, -1, 0, on_time, depths);
    if (!depths->timer || event_add(depths->timer, &soon) ||
        flo_metrics_on_collect(worker->metrics, on_collect, depths))
        return flo_fail(err, FLO_ENOMEM, "no memory for the depth of queues");
    return 0;
}

void flo_depth_fini(struct flo_worker *worker)
{
    struct flo_depths *depths = worker->depths;

    if (!depths)
        return;
    worker->depths = NULL;
    if (depths->timer)
        event_free(depths->timer);
    flo_free(depths);
}
