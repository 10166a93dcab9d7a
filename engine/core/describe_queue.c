/* SPDX-License-Identifier: Apache-2.0 */
/*
 * describe_queue.c - DescribeTaskQueue: who polls a queue, how much waits in it, what limits it;
 * ListTaskQueuePartitions: a queue of this engine is one part.
 *
 * Two modes: of one type of the queue, or ("enhanced", deprecated, still what the temporal command
 * asks for) of several types by build id. There are no deployments here, so that all tasks and
 * polls are under the empty build id, whatever builds the polls name.
 */
#include <string.h>

#include "engine/core/internal.h"
#include "engine/core/matching.h"
#include "engine/core/message.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/queue_config.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/task.h"
#include "wire/payload.h"

typedef FloApi__DescribeTaskQueueRequest request_t;
typedef FloApi__DescribeTaskQueueResponse response_t;

#define PARTITION_PREFIX "/_sys/"
/* A request may be large; what is made for each build and type that it names is larger. */
enum { MAX_REACHABILITY_BUILDS = 5, MAX_BUILDS = 1000, MAX_TYPES = 8 };

/* ---- parts ---- */

static FloApi__PollerInfo *poller_info(struct flo_core *core, const struct flo_seen *seen)
{
    FloApi__PollerInfo *poller = flo_arena_alloc(&core->scratch, sizeof *poller);
    FloApi__WorkerVersionCapabilities *version = flo_arena_alloc(&core->scratch, sizeof *version);
    if (!poller || !version)
        return NULL;
    flo_api__poller_info__init(poller);
    poller->last_access_time = flo_timestamp_new(&core->scratch, seen->last_poll_ns);
    poller->identity = (char *)seen->identity;
    poller->rate_per_second = seen->rate;
    if (seen->build_id && seen->build_id[0]) {
        flo_api__worker_version_capabilities__init(version);
        version->build_id = seen->build_id;
        poller->worker_version_capabilities = version;
    }
    return poller->last_access_time ? poller : NULL;
}

/* Those of the last five minutes, into memory of scratch. queue NULL: nobody. */
static bool list_pollers(struct flo_core *core, const struct flo_queue *queue,
                         FloApi__PollerInfo ***out, size_t *out_count)
{
    if (!queue)
        return true;
    *out = flo_arena_calloc(&core->scratch, queue->seen.count + 1, sizeof(void *));
    if (!*out)
        return false;
    for (struct flo_map_entry *it = flo_map_first(&queue->seen); it; it = flo_map_next(it)) {
        const struct flo_seen *seen = flo_map_value(it);
        if (seen->last_poll_ns + FLO_QUEUE_SEEN_NS <= core->now_ns)
            continue;
        FloApi__PollerInfo *poller = poller_info(core, seen);
        if (!poller)
            return false;
        (*out)[(*out_count)++] = poller;
    }
    return true;
}

/* Tasks a second, in or out, at a level; those of the default level are what the others leave. */
static float rate_at(const struct flo_core *core, const struct flo_queue *queue, int level,
                     bool added)
{
    const struct flo_rate *all = added ? &queue->added : &queue->dispatched;
    if (queue->lanes && level) {
        const struct flo_rate *levels = added ? queue->lanes->added : queue->lanes->dispatched;
        return flo_rate_per_second(&levels[level - 1], core->now_ns);
    }
    return level == 0 || level == FLO_PRIORITY_DEFAULT_LEVEL
               ? flo_rate_per_second(all, core->now_ns)
               : 0;
}

/* level 0: all. queue NULL: nothing waits. NULL without memory. */
static FloApi__TaskQueueStats *stats_of(struct flo_core *core, const struct flo_queue *queue,
                                        int level)
{
    FloApi__TaskQueueStats *stats = flo_arena_alloc(&core->scratch, sizeof *stats);
    if (!stats)
        return NULL;
    flo_api__task_queue_stats__init(stats);
    int64_t age_ns = 0;
    if (queue) {
        /* What waits for one worker waits, too: nothing else tells that workers are too few. */
        int64_t since_ns;
        stats->approximate_backlog_count =
            (int64_t)flo_matching_waiting(core, queue, level, &since_ns);
        if (since_ns)
            age_ns = core->now_ns - since_ns;
        stats->tasks_add_rate = rate_at(core, queue, level, true);
        stats->tasks_dispatch_rate = rate_at(core, queue, level, false);
    }
    stats->approximate_backlog_age = flo_duration_new(&core->scratch, age_ns);
    return stats->approximate_backlog_age ? stats : NULL;
}

/* ---- one type ---- */

/* Each level at which something waits or moves, and always the default one. */
static bool fill_levels(struct flo_core *core, const struct flo_queue *queue, response_t *response)
{
    typedef FloApi__DescribeTaskQueueResponse__StatsByPriorityKeyEntry entry_t;
    entry_t **entries = flo_arena_calloc(&core->scratch, FLO_PRIORITY_LEVELS, sizeof(entry_t *));
    response->stats_by_priority_key = entries;
    for (int level = 1; entries && level <= FLO_PRIORITY_LEVELS; level++) {
        FloApi__TaskQueueStats *stats = stats_of(core, queue, level);
        entry_t *entry = flo_arena_alloc(&core->scratch, sizeof *entry);
        if (!stats || !entry)
            return false;
        if (level != FLO_PRIORITY_DEFAULT_LEVEL && !stats->approximate_backlog_count &&
            stats->tasks_add_rate == 0 && stats->tasks_dispatch_rate == 0)
            continue;
        flo_api__describe_task_queue_response__stats_by_priority_key_entry__init(entry);
        entry->key = level;
        entry->value = stats;
        entries[response->n_stats_by_priority_key++] = entry;
    }
    return entries != NULL;
}

static bool fill_stats(struct flo_core *core, const struct flo_queue *queue, response_t *response)
{
    response->stats = stats_of(core, queue, 0);
    return response->stats && fill_levels(core, queue, response);
}

static bool fill_status(struct flo_core *core, const struct flo_queue *queue, double limit,
                        response_t *response)
{
    FloApi__TaskQueueStatus *out = flo_arena_alloc(&core->scratch, sizeof *out);
    if (!out)
        return false;
    flo_api__task_queue_status__init(out);
    out->backlog_count_hint = queue ? (int64_t)flo_lanes_count(queue) : 0;
    out->rate_per_second = limit;
    response->task_queue_status = out;
    return true;
}

/* The limit that holds, and who has set it. */
static double limit_of(const struct flo_queue *queue, const struct flo_queue_config *config,
                       FloApi__RateLimitSource *out_source)
{
    *out_source = FLO_API__RATE_LIMIT_SOURCE__RATE_LIMIT_SOURCE_SYSTEM;
    if (config && config->queue_limit >= 0) {
        *out_source = FLO_API__RATE_LIMIT_SOURCE__RATE_LIMIT_SOURCE_API;
        return config->queue_limit;
    }
    if (queue && queue->worker_limit >= 0) {
        *out_source = FLO_API__RATE_LIMIT_SOURCE__RATE_LIMIT_SOURCE_WORKER;
        return queue->worker_limit;
    }
    return FLO_QUEUE_MAX_RATE;
}

/* What is not about tasks or polls. */
static bool fill_settings(struct flo_core *core, const struct flo_namespace *ns,
                          const request_t *request, const struct flo_queue *queue, double *limit,
                          response_t *response)
{
    FloApi__TaskQueueVersioningInfo *versioning =
        flo_arena_alloc(&core->scratch, sizeof *versioning);
    FloApi__DescribeTaskQueueResponse__EffectiveRateLimit *effective =
        flo_arena_alloc(&core->scratch, sizeof *effective);
    const char *name = request->task_queue->name;
    const bool activity =
        request->task_queue_type == FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_ACTIVITY;
    bool ok = versioning && effective;
    if (!ok)
        return false;
    flo_api__task_queue_versioning_info__init(versioning);
    versioning->current_version = flo_text("__unversioned__");
    response->versioning_info = versioning;
    if (request->report_config)
        response->config = flo_queue_config_message(core, ns, request->task_queue_type, name, &ok);
    flo_api__describe_task_queue_response__effective_rate_limit__init(effective);
    *limit =
        limit_of(queue, activity ? flo_queue_config_find(core, ns, FLO_QUEUE_ACTIVITY, name) : NULL,
                 &effective->rate_limit_source);
    effective->requests_per_second = (float)*limit;
    response->effective_rate_limit = effective;
    return ok;
}

/* ---- the enhanced mode ---- */

typedef FloApi__TaskQueueVersionInfo__TypesInfoEntry type_entry_t;
typedef FloApi__DescribeTaskQueueResponse__VersionsInfoEntry version_entry_t;

static enum flo_queue_type type_of(FloApi__TaskQueueType type)
{
    return type == FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_ACTIVITY ? FLO_QUEUE_ACTIVITY
                                                                      : FLO_QUEUE_WORKFLOW;
}

/* The queue of a type of the API, or NULL: there is none, or it can have no tasks. */
static const struct flo_queue *queue_of(struct flo_core *core, const struct flo_namespace *ns,
                                        FloApi__TaskQueueType type,
                                        const FloApi__TaskQueue *task_queue)
{
    const bool sticky = task_queue->kind == FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_STICKY;
    if (type != FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_WORKFLOW &&
        type != FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_ACTIVITY)
        return NULL;
    return flo_matching_find(core, ns, type_of(type), sticky, task_queue->name);
}

static type_entry_t *type_entry(struct flo_core *core, const struct flo_queue *queue,
                                FloApi__TaskQueueType type, const request_t *request)
{
    type_entry_t *entry = flo_arena_alloc(&core->scratch, sizeof *entry);
    FloApi__TaskQueueTypeInfo *info = flo_arena_alloc(&core->scratch, sizeof *info);
    if (!entry || !info)
        return NULL;
    flo_api__task_queue_type_info__init(info);
    flo_api__task_queue_version_info__types_info_entry__init(entry);
    entry->key = (int32_t)type;
    entry->value = info;
    if (request->report_stats) {
        info->stats = stats_of(core, queue, 0);
        if (!info->stats)
            return NULL;
    }
    if (request->report_pollers && !list_pollers(core, queue, &info->pollers, &info->n_pollers))
        return NULL;
    return entry;
}

/* Each type that is asked about, once; those past MAX_TYPES, which do not exist, are left out. */
static bool fill_types(struct flo_core *core, const struct flo_namespace *ns,
                       const request_t *request, const char *build_id,
                       FloApi__TaskQueueVersionInfo *info)
{
    static const FloApi__TaskQueueType both[] = {
        FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_WORKFLOW,
        FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_ACTIVITY};
    const FloApi__TaskQueueType *types =
        request->n_task_queue_types ? request->task_queue_types : both;
    const size_t count = request->n_task_queue_types ? request->n_task_queue_types : 2;
    info->types_info = flo_arena_calloc(&core->scratch, MAX_TYPES, sizeof(type_entry_t *));
    if (!info->types_info)
        return false;
    for (size_t i = 0; i < count && info->n_types_info < MAX_TYPES; i++) {
        size_t seen = 0;
        while (seen < info->n_types_info && info->types_info[seen]->key != (int32_t)types[i])
            seen++;
        if (seen < info->n_types_info)
            continue;
        const struct flo_queue *queue =
            build_id[0] ? NULL : queue_of(core, ns, types[i], request->task_queue);
        type_entry_t *entry = type_entry(core, queue, types[i], request);
        if (!entry)
            return false;
        info->types_info[info->n_types_info++] = entry;
    }
    return true;
}

static version_entry_t *version_entry(struct flo_core *core, const struct flo_namespace *ns,
                                      const request_t *request, const char *build_id)
{
    version_entry_t *entry = flo_arena_alloc(&core->scratch, sizeof *entry);
    FloApi__TaskQueueVersionInfo *info = flo_arena_alloc(&core->scratch, sizeof *info);
    if (!entry || !info)
        return NULL;
    flo_api__task_queue_version_info__init(info);
    if (!fill_types(core, ns, request, build_id, info))
        return NULL;
    if (request->report_task_reachability)
        info->task_reachability =
            build_id[0]
                ? FLO_API__BUILD_ID_TASK_REACHABILITY__BUILD_ID_TASK_REACHABILITY_UNREACHABLE
                : FLO_API__BUILD_ID_TASK_REACHABILITY__BUILD_ID_TASK_REACHABILITY_REACHABLE;
    flo_api__describe_task_queue_response__versions_info_entry__init(entry);
    entry->key = (char *)build_id;
    entry->value = info;
    return entry;
}

/* Is the empty build id among those that are asked about? */
static bool wants_unversioned(struct flo_core *core, const struct flo_namespace *ns,
                              const request_t *request)
{
    const FloApi__TaskQueueVersionSelection *versions = request->versions;
    if (!versions || versions->unversioned)
        return true;
    const FloApi__TaskQueue *name = request->task_queue;
    return versions->all_active &&
           (queue_of(core, ns, FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_WORKFLOW, name) ||
            queue_of(core, ns, FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_ACTIVITY, name));
}

static bool is_filled(const response_t *response, const char *build_id)
{
    for (size_t i = 0; i < response->n_versions_info; i++)
        if (strcmp(response->versions_info[i]->key, build_id) == 0)
            return true;
    return false;
}

static bool fill_versions(struct flo_core *core, const struct flo_namespace *ns,
                          const request_t *request, response_t *response)
{
    const size_t builds = request->versions ? request->versions->n_build_ids : 0;
    response->versions_info =
        flo_arena_calloc(&core->scratch, builds + 1, sizeof *response->versions_info);
    if (!response->versions_info)
        return false;
    const bool unversioned = wants_unversioned(core, ns, request);
    for (size_t i = 0; i < builds + unversioned; i++) {
        const char *build_id = i < builds ? request->versions->build_ids[i] : "";
        if (is_filled(response, build_id))
            continue;
        version_entry_t *entry = version_entry(core, ns, request, build_id);
        if (!entry)
            return false;
        response->versions_info[response->n_versions_info++] = entry;
    }
    return true;
}

/* ---- the calls ---- */

/* "/_sys/name/3": a partition, which no queue of this engine has. */
static bool is_partition(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash > name + strlen(PARTITION_PREFIX) && slash[1] &&
           strspn(slash + 1, "0123456789") == strlen(slash + 1);
}

static int check_queue(struct flo_core *core, const FloApi__TaskQueue *queue, bool partition,
                       struct flo_status *status)
{
    if (!queue)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "taskQueue is not set");
    if (!queue->name[0])
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "missing task queue name");
    if (strlen(queue->name) > FLO_CORE_ID_BYTES)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "taskQueue length exceeds limit");
    if (strncmp(queue->name, PARTITION_PREFIX, strlen(PARTITION_PREFIX)) != 0)
        return 0;
    if (!partition)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "task queue name cannot start with reserved prefix /_sys/");
    if (!is_partition(queue->name))
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "invalid task queue partition name %s", queue->name);
    return 0;
}

static int check(struct flo_core *core, const request_t *request, bool enhanced,
                 struct flo_namespace **ns, struct flo_status *status)
{
    int rc = flo_namespace_find(core, request->namespace_, ns, status);
    if (!rc)
        rc = check_queue(core, request->task_queue, !enhanced, status);
    if (!rc && request->report_task_reachability && request->versions &&
        request->versions->n_build_ids > MAX_REACHABILITY_BUILDS)
        rc = flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                            "Too many build ids queried at once with ReportTaskReachability==true, "
                            "limit: %d",
                            MAX_REACHABILITY_BUILDS);
    if (!rc && request->versions && request->versions->n_build_ids > MAX_BUILDS)
        rc = flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                            "Too many build ids queried at once, limit: %d", MAX_BUILDS);
    if (!rc && enhanced &&
        request->task_queue->kind == FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_STICKY)
        rc = flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                            "Enhanced DescribeTaskQueue is not valid for a sticky queue, use "
                            "api_mode=UNSPECIFIED or a normal queue.");
    return rc;
}

static bool fill(struct flo_core *core, const struct flo_namespace *ns, const request_t *request,
                 response_t *response)
{
    const FloApi__TaskQueueType type = request->task_queue_type
                                           ? request->task_queue_type
                                           : FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_WORKFLOW;
    const struct flo_queue *queue = queue_of(core, ns, type, request->task_queue);
    double limit = 0;
    return list_pollers(core, queue, &response->pollers, &response->n_pollers) &&
           fill_settings(core, ns, request, queue, &limit, response) &&
           (!request->report_stats || fill_stats(core, queue, response)) &&
           (!request->include_task_queue_status || fill_status(core, queue, limit, response));
}

void flo_rpc_describe_task_queue(struct flo_core *core, const struct flo_core_call_info *info,
                                 const void *message)
{
    const request_t *request = message;
    response_t response = FLO_API__DESCRIBE_TASK_QUEUE_RESPONSE__INIT;
    const bool enhanced =
        request->api_mode == FLO_API__DESCRIBE_TASK_QUEUE_MODE__DESCRIBE_TASK_QUEUE_MODE_ENHANCED;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    int rc = check(core, request, enhanced, &ns, &status);
    if (!rc && !(enhanced ? fill_versions(core, ns, request, &response)
                          : fill(core, ns, request, &response)))
        rc = flo_status_no_memory(&status);
    if (rc)
        flo_reply_status(core, info->id, 0, &status);
    else
        flo_reply_ok(core, info->id, 0, &response.base);
}

void flo_rpc_list_task_queue_partitions(struct flo_core *core,
                                        const struct flo_core_call_info *info, const void *message)
{
    const FloApi__ListTaskQueuePartitionsRequest *request = message;
    FloApi__ListTaskQueuePartitionsResponse response =
        FLO_API__LIST_TASK_QUEUE_PARTITIONS_RESPONSE__INIT;
    FloApi__TaskQueuePartitionMetadata whole = FLO_API__TASK_QUEUE_PARTITION_METADATA__INIT;
    FloApi__TaskQueuePartitionMetadata *list = &whole;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc)
        rc = check_queue(core, request->task_queue, false, &status);
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    whole.key = request->task_queue->name;
    whole.owner_host_name = flo_text("flotilla-engine");
    response.activity_task_queue_partitions = response.workflow_task_queue_partitions = &list;
    response.n_activity_task_queue_partitions = response.n_workflow_task_queue_partitions = 1;
    flo_reply_ok(core, info->id, 0, &response.base);
}
