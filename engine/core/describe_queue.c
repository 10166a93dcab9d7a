/* SPDX-License-Identifier: Apache-2.0 */
/* describe_queue.c - DescribeTaskQueue: who polls a queue, how much waits in it. */
#include "engine/core/internal.h"
#include "engine/core/matching.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/task.h"
#include "wire/payload.h"

static bool fill_pollers(struct flo_core *core, const struct flo_queue *queue,
                         FloApi__DescribeTaskQueueResponse *response)
{
    response->pollers =
        flo_arena_calloc(&core->scratch, queue->seen.count + 1, sizeof *response->pollers);
    if (!response->pollers)
        return false;
    for (struct flo_map_entry *it = flo_map_first(&queue->seen); it; it = flo_map_next(it)) {
        const struct flo_seen *seen = flo_map_value(it);
        if (seen->last_poll_ns + FLO_QUEUE_SEEN_NS <= core->now_ns)
            continue;
        FloApi__PollerInfo *poller = flo_arena_alloc(&core->scratch, sizeof *poller);
        FloApi__WorkerVersionCapabilities *version =
            flo_arena_alloc(&core->scratch, sizeof *version);
        if (!poller || !version)
            return false;
        flo_api__poller_info__init(poller);
        poller->last_access_time = flo_timestamp_new(&core->scratch, seen->last_poll_ns);
        if (!poller->last_access_time)
            return false;
        poller->identity = (char *)seen->identity;
        poller->rate_per_second = seen->rate;
        if (seen->build_id && seen->build_id[0]) {
            flo_api__worker_version_capabilities__init(version);
            version->build_id = seen->build_id;
            poller->worker_version_capabilities = version;
        }
        response->pollers[response->n_pollers++] = poller;
    }
    return true;
}

static bool fill_stats(struct flo_core *core, const struct flo_queue *queue,
                       FloApi__DescribeTaskQueueResponse *response)
{
    FloApi__TaskQueueStats *stats = flo_arena_alloc(&core->scratch, sizeof *stats);
    if (!stats)
        return false;
    flo_api__task_queue_stats__init(stats);
    int64_t age_ns = 0;
    if (queue) {
        /* What waits for one worker waits, too: nothing else tells that workers are too few. */
        int64_t since_ns;
        stats->approximate_backlog_count = (int64_t)flo_matching_waiting(core, queue, &since_ns);
        if (since_ns)
            age_ns = core->now_ns - since_ns;
        stats->tasks_add_rate = flo_rate_per_second(&queue->added, core->now_ns);
        stats->tasks_dispatch_rate = flo_rate_per_second(&queue->dispatched, core->now_ns);
    }
    stats->approximate_backlog_age = flo_duration_new(&core->scratch, age_ns);
    response->stats = stats;
    return stats->approximate_backlog_age != NULL;
}

static bool fill_status(struct flo_core *core, const struct flo_queue *queue,
                        FloApi__DescribeTaskQueueResponse *response)
{
    FloApi__TaskQueueStatus *out = flo_arena_alloc(&core->scratch, sizeof *out);
    if (!out)
        return false;
    flo_api__task_queue_status__init(out);
    if (queue) {
        out->backlog_count_hint = (int64_t)queue->tasks.count;
        out->rate_per_second = queue->rate_limit < 0 ? 0 : queue->rate_limit;
    }
    response->task_queue_status = out;
    return true;
}

void flo_rpc_describe_task_queue(struct flo_core *core, const struct flo_core_call_info *info,
                                 const void *message)
{
    const FloApi__DescribeTaskQueueRequest *request = message;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc && (!request->task_queue || !request->task_queue->name[0]))
        rc = flo_status_set(core, &status, FLO_GRPC_INVALID_ARGUMENT, "taskQueue is not set");
    if (!rc)
        rc = flo_check_id(core, "taskQueue", request->task_queue->name, &status);
    if (!rc)
        rc = flo_check_enum(core, "TaskQueueType", &flo_api__task_queue_type__descriptor,
                            (int)request->task_queue_type, &status);
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    const bool activity =
        request->task_queue_type == FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_ACTIVITY;
    const bool sticky =
        request->task_queue->kind == FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_STICKY;
    const struct flo_queue *queue =
        flo_matching_find(core, ns, activity ? FLO_QUEUE_ACTIVITY : FLO_QUEUE_WORKFLOW, sticky,
                          request->task_queue->name);
    FloApi__DescribeTaskQueueResponse response = FLO_API__DESCRIBE_TASK_QUEUE_RESPONSE__INIT;
    bool ok = !queue || fill_pollers(core, queue, &response);
    if (ok && request->report_stats)
        ok = fill_stats(core, queue, &response);
    if (ok && request->include_task_queue_status)
        ok = fill_status(core, queue, &response);
    if (ok) {
        flo_reply_ok(core, info->id, 0, &response.base);
        return;
    }
    flo_status_no_memory(&status);
    flo_reply_status(core, info->id, 0, &status);
}
