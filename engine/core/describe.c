/* SPDX-License-Identifier: Apache-2.0 */
/*
 * describe.c - DescribeWorkflowExecution and DescribeTaskQueue (PROTOCOL 2.13, 2.16).
 *
 * A run is described out of one struct, view, that is filled from the resident run or from its
 * stored state, so that an open and a closed run look alike.
 */
#include <string.h>

#include "engine/core/execution.h"
#include "engine/core/matching.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/decode.h"
#include "wire/payload.h"

/* All that is told of a run. Borrowed from the run, or from its decoded state. */
struct view {
    const char *workflow_id, *run_id, *type, *task_queue, *first_run_id, *start_request_id;
    const char *parent_namespace_id, *parent_workflow_id, *parent_run_id;
    const char *root_workflow_id, *root_run_id;
    int status;
    int64_t start_ns, execution_ns, close_ns;
    int64_t execution_timeout_ns, run_timeout_ns, task_timeout_ns, execution_deadline_ns;
    int64_t history_length, history_bytes, state_transitions;
    bool cancel_requested;
    ProtobufCBinaryData memo, search_attributes, reset_points, user_metadata; /* wire form */
};

/* ---- filling the view ---- */

static ProtobufCBinaryData blob(const struct flo_blob *from)
{
    return (ProtobufCBinaryData){.data = from->data, .len = from->len};
}

static struct view view_resident(const struct flo_execution *e)
{
    return (struct view){.workflow_id = e->workflow_id,
                         .run_id = e->run_id,
                         .type = e->type,
                         .task_queue = e->task_queue,
                         .first_run_id = e->first_run_id,
                         .start_request_id = e->start_request_id,
                         .parent_namespace_id = e->parent_namespace_id,
                         .parent_workflow_id = e->parent_workflow_id,
                         .parent_run_id = e->parent_run_id,
                         .root_workflow_id = e->root_workflow_id,
                         .root_run_id = e->root_run_id,
                         .status = e->status,
                         .start_ns = e->start_ns,
                         .execution_ns = e->execution_ns,
                         .close_ns = e->close_ns,
                         .execution_timeout_ns = e->execution_timeout_ns,
                         .run_timeout_ns = e->run_timeout_ns,
                         .task_timeout_ns = e->task_timeout_ns,
                         .execution_deadline_ns = e->execution_deadline_ns,
                         .history_length = e->history.next_event_id - 1,
                         .history_bytes = (int64_t)e->history.len,
                         .state_transitions = e->state_transitions,
                         .cancel_requested = e->cancel_requested,
                         .memo = blob(&e->memo),
                         .search_attributes = blob(&e->search_attributes),
                         .reset_points = blob(&e->reset_points),
                         .user_metadata = blob(&e->user_metadata)};
}

static struct view view_stored(const struct flo_core_stored_run *run,
                               const FloEngine__ExecutionState *s)
{
    return (struct view){.workflow_id = run->workflow_id,
                         .run_id = run->run_id,
                         .type = s->type,
                         .task_queue = s->task_queue,
                         .first_run_id = s->first_run_id,
                         .start_request_id = s->start_request_id,
                         .parent_namespace_id = s->parent_namespace_id,
                         .parent_workflow_id = s->parent_workflow_id,
                         .parent_run_id = s->parent_run_id,
                         .root_workflow_id = s->root_workflow_id,
                         .root_run_id = s->root_run_id,
                         .status = run->status,
                         .start_ns = s->start_ns,
                         .execution_ns = s->execution_ns,
                         .close_ns = s->close_ns,
                         .execution_timeout_ns = s->execution_timeout_ns,
                         .run_timeout_ns = s->run_timeout_ns,
                         .task_timeout_ns = s->task_timeout_ns,
                         .execution_deadline_ns = s->execution_deadline_ns,
                         .history_length = s->next_event_id - 1,
                         .history_bytes = s->history_bytes,
                         .state_transitions = s->state_transitions,
                         .cancel_requested = s->cancel_requested,
                         .memo = s->memo,
                         .search_attributes = s->search_attributes,
                         .reset_points = s->reset_points,
                         .user_metadata = s->user_metadata};
}

/* ---- small parts of the answer; NULL and *ok false without memory ---- */

static Google__Protobuf__Timestamp *at(struct flo_core *core, int64_t ns, bool *ok)
{
    if (ns == 0)
        return NULL;
    Google__Protobuf__Timestamp *out = flo_timestamp_new(&core->scratch, ns);
    *ok = *ok && out;
    return out;
}

static Google__Protobuf__Duration *lasting(struct flo_core *core, int64_t ns, bool *ok)
{
    if (ns == 0)
        return NULL;
    Google__Protobuf__Duration *out = flo_duration_new(&core->scratch, ns);
    *ok = *ok && out;
    return out;
}

/* A message out of its wire form; empty bytes give an empty message. */
static void *parsed(struct flo_core *core, const ProtobufCMessageDescriptor *descriptor,
                    ProtobufCBinaryData bytes, bool *ok)
{
    ProtobufCMessage *out = NULL;
    if (flo_wire_decode(descriptor, bytes.data, bytes.len, &core->scratch, &out, NULL)) {
        *ok = false;
        return NULL;
    }
    return out;
}

static FloApi__WorkflowExecution *run_named(struct flo_core *core, const char *workflow_id,
                                            const char *run_id, bool *ok)
{
    FloApi__WorkflowExecution *out = flo_arena_alloc(&core->scratch, sizeof *out);
    *ok = *ok && out;
    if (!out)
        return NULL;
    flo_api__workflow_execution__init(out);
    out->workflow_id = (char *)workflow_id;
    out->run_id = (char *)run_id;
    return out;
}

/* ---- the answer about a run ---- */

/* The messages of an answer, in one block of scratch. */
struct answer {
    FloApi__DescribeWorkflowExecutionResponse response;
    FloApi__WorkflowExecutionConfig config;
    FloApi__TaskQueue queue;
    FloApi__WorkflowExecutionInfo info;
    FloApi__WorkflowType type;
    FloApi__WorkflowExecutionExtendedInfo extended;
    FloApi__WorkflowExecutionExtendedInfo__RequestIdInfosEntry request_id, *request_ids[1];
    FloApi__RequestIdInfo request_id_info;
    FloApi__PendingWorkflowTaskInfo workflow_task;
};

static void fill_config(struct flo_core *core, struct answer *a, const struct view *v, bool *ok)
{
    flo_api__task_queue__init(&a->queue);
    a->queue.name = (char *)v->task_queue;
    a->queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    flo_api__workflow_execution_config__init(&a->config);
    a->config.task_queue = &a->queue;
    a->config.workflow_execution_timeout = lasting(core, v->execution_timeout_ns, ok);
    a->config.workflow_run_timeout = lasting(core, v->run_timeout_ns, ok);
    a->config.default_workflow_task_timeout = lasting(core, v->task_timeout_ns, ok);
    if (v->user_metadata.len)
        a->config.user_metadata =
            parsed(core, &flo_api__user_metadata__descriptor, v->user_metadata, ok);
    a->response.execution_config = &a->config;
}

static void fill_info(struct flo_core *core, struct answer *a, const struct view *v, bool *ok)
{
    FloApi__WorkflowExecutionInfo *info = &a->info;
    flo_api__workflow_type__init(&a->type);
    a->type.name = (char *)v->type;
    flo_api__workflow_execution_info__init(info);
    info->execution = run_named(core, v->workflow_id, v->run_id, ok);
    info->type = &a->type;
    info->start_time = at(core, v->start_ns, ok);
    info->execution_time = at(core, v->execution_ns, ok);
    info->close_time = at(core, v->close_ns, ok);
    info->status = (FloApi__WorkflowExecutionStatus)v->status;
    info->history_length = v->history_length;
    info->history_size_bytes = v->history_bytes;
    info->state_transition_count = v->state_transitions;
    info->task_queue = (char *)v->task_queue;
    info->first_run_id = (char *)v->first_run_id;
    info->memo = parsed(core, &flo_api__memo__descriptor, v->memo, ok);
    info->search_attributes =
        parsed(core, &flo_api__search_attributes__descriptor, v->search_attributes, ok);
    info->auto_reset_points = parsed(core, &flo_api__reset_points__descriptor, v->reset_points, ok);
    if (v->parent_workflow_id[0]) {
        info->parent_namespace_id = (char *)v->parent_namespace_id;
        info->parent_execution = run_named(core, v->parent_workflow_id, v->parent_run_id, ok);
    }
    info->root_execution = run_named(core, v->root_workflow_id, v->root_run_id, ok);
    if (v->close_ns) {
        info->execution_duration = flo_duration_new(&core->scratch, v->close_ns - v->execution_ns);
        *ok = *ok && info->execution_duration;
    }
    a->response.workflow_execution_info = info;
}

static void fill_extended(struct flo_core *core, struct answer *a, const struct view *v, bool *ok)
{
    FloApi__WorkflowExecutionExtendedInfo *extended = &a->extended;
    flo_api__workflow_execution_extended_info__init(extended);
    extended->execution_expiration_time = at(core, v->execution_deadline_ns, ok);
    if (v->run_timeout_ns)
        extended->run_expiration_time = at(core, v->execution_ns + v->run_timeout_ns, ok);
    extended->cancel_requested = v->cancel_requested;
    extended->original_start_time = at(core, v->start_ns, ok);
    flo_api__request_id_info__init(&a->request_id_info);
    a->request_id_info.event_id = 1;
    a->request_id_info.event_type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_STARTED;
    flo_api__workflow_execution_extended_info__request_id_infos_entry__init(&a->request_id);
    a->request_id.key = (char *)v->start_request_id;
    a->request_id.value = &a->request_id_info;
    a->request_ids[0] = &a->request_id;
    if (v->start_request_id[0]) {
        extended->request_id_infos = a->request_ids;
        extended->n_request_id_infos = 1;
    }
    a->response.workflow_extended_info = extended;
}

/* ---- what is pending in an open run ---- */

static FloApi__PendingActivityInfo *pending_activity(struct flo_core *core,
                                                     const struct flo_activity *activity, bool *ok)
{
    FloApi__PendingActivityInfo *out = flo_arena_alloc(&core->scratch, sizeof *out);
    FloApi__ActivityType *type = flo_arena_alloc(&core->scratch, sizeof *type);
    if (!out || !type) {
        *ok = false;
        return NULL;
    }
    flo_api__activity_type__init(type);
    type->name = activity->type;
    flo_api__pending_activity_info__init(out);
    out->activity_id = activity->id;
    out->activity_type = type;
    out->attempt = activity->attempt;
    out->maximum_attempts = activity->maximum_attempts;
    out->state = FLO_API__PENDING_ACTIVITY_STATE__PENDING_ACTIVITY_STATE_SCHEDULED;
    if (activity->stage == FLO_ACTIVITY_STARTED) {
        out->state = FLO_API__PENDING_ACTIVITY_STATE__PENDING_ACTIVITY_STATE_STARTED;
        out->last_started_time = at(core, activity->started_ns, ok);
    } else {
        out->scheduled_time = at(core, activity->scheduled_ns, ok);
    }
    if (activity->cancel_requested)
        out->state = FLO_API__PENDING_ACTIVITY_STATE__PENDING_ACTIVITY_STATE_CANCEL_REQUESTED;
    if (activity->stage == FLO_ACTIVITY_BACKOFF) {
        out->next_attempt_schedule_time = at(core, activity->scheduled_ns, ok);
        out->current_retry_interval =
            lasting(core, activity->scheduled_ns - activity->last_attempt_complete_ns, ok);
    }
    if (activity->schedule_to_close_ns)
        out->expiration_time =
            at(core, activity->first_scheduled_ns + activity->schedule_to_close_ns, ok);
    out->last_heartbeat_time = at(core, activity->last_heartbeat_ns, ok);
    out->last_attempt_complete_time = at(core, activity->last_attempt_complete_ns, ok);
    if (activity->heartbeat_details.data)
        out->heartbeat_details =
            parsed(core, &flo_api__payloads__descriptor, blob(&activity->heartbeat_details), ok);
    if (activity->last_failure.data)
        out->last_failure =
            parsed(core, &flo_api__failure__descriptor, blob(&activity->last_failure), ok);
    out->last_worker_identity = activity->identity ? activity->identity : (char *)"";
    return out;
}

static FloApi__PendingChildExecutionInfo *pending_child(struct flo_core *core,
                                                        const struct flo_child *child, bool *ok)
{
    FloApi__PendingChildExecutionInfo *out = flo_arena_alloc(&core->scratch, sizeof *out);
    if (!out) {
        *ok = false;
        return NULL;
    }
    flo_api__pending_child_execution_info__init(out);
    out->workflow_id = child->workflow_id;
    out->run_id = child->run_id ? child->run_id : (char *)"";
    out->workflow_type_name = child->type;
    out->initiated_id = child->initiated_id;
    out->parent_close_policy = (FloApi__ParentClosePolicy)child->parent_close_policy;
    return out;
}

static void fill_workflow_task(struct flo_core *core, struct answer *a,
                               const struct flo_workflow_task *task, bool *ok)
{
    if (task->stage == FLO_WORKFLOW_TASK_NONE)
        return;
    flo_api__pending_workflow_task_info__init(&a->workflow_task);
    a->workflow_task.state =
        task->stage == FLO_WORKFLOW_TASK_STARTED
            ? FLO_API__PENDING_WORKFLOW_TASK_STATE__PENDING_WORKFLOW_TASK_STATE_STARTED
            : FLO_API__PENDING_WORKFLOW_TASK_STATE__PENDING_WORKFLOW_TASK_STATE_SCHEDULED;
    a->workflow_task.scheduled_time = at(core, task->scheduled_ns, ok);
    a->workflow_task.original_scheduled_time = at(core, task->original_scheduled_ns, ok);
    if (task->stage == FLO_WORKFLOW_TASK_STARTED)
        a->workflow_task.started_time = at(core, task->started_ns, ok);
    a->workflow_task.attempt = task->attempt;
    a->response.pending_workflow_task = &a->workflow_task;
}

static void fill_pending(struct flo_core *core, struct answer *a,
                         const struct flo_execution *execution, bool *ok)
{
    FloApi__DescribeWorkflowExecutionResponse *response = &a->response;
    response->pending_activities = flo_arena_calloc(&core->scratch, execution->activity_count + 1,
                                                    sizeof *response->pending_activities);
    response->pending_children = flo_arena_calloc(&core->scratch, execution->child_count + 1,
                                                  sizeof *response->pending_children);
    if (!response->pending_activities || !response->pending_children) {
        *ok = false;
        return;
    }
    for (size_t i = 0; i < execution->activity_count; i++)
        response->pending_activities[response->n_pending_activities++] =
            pending_activity(core, execution->activities[i], ok);
    for (size_t i = 0; i < execution->child_count; i++)
        if (execution->children[i]->started_id || execution->children[i]->run_id)
            response->pending_children[response->n_pending_children++] =
                pending_child(core, execution->children[i], ok);
    fill_workflow_task(core, a, &execution->workflow_task, ok);
}

void flo_rpc_describe_workflow_execution(struct flo_core *core,
                                         const struct flo_core_call_info *info, const void *message)
{
    const FloApi__DescribeWorkflowExecutionRequest *request = message;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    struct flo_run_ref run;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc)
        rc = flo_check_execution(core, request->execution, &status);
    if (!rc)
        rc = flo_core_find_run(core, ns, request->execution->workflow_id,
                               request->execution->run_id, &run, &status);
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    const struct view view =
        run.execution ? view_resident(run.execution) : view_stored(&run.stored, run.state);
    struct answer *a = flo_arena_calloc(&core->scratch, 1, sizeof *a);
    bool ok = a != NULL;
    if (ok) {
        flo_api__describe_workflow_execution_response__init(&a->response);
        fill_config(core, a, &view, &ok);
        fill_info(core, a, &view, &ok);
        fill_extended(core, a, &view, &ok);
        if (run.execution && flo_execution_is_open(run.execution))
            fill_pending(core, a, run.execution, &ok);
    }
    if (!ok) {
        flo_status_no_memory(&status);
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    /* The end of a run is told only once it is durable. */
    const bool closed = run.execution && !flo_execution_is_open(run.execution);
    flo_reply_ok(core, info->id, closed ? flo_core_after(core, run.execution) : 0,
                 &a->response.base);
}

/* ---- task queues ---- */

static bool fill_pollers(struct flo_core *core, const struct flo_queue *queue,
                         FloApi__DescribeTaskQueueResponse *response)
{
    response->pollers =
        flo_arena_calloc(&core->scratch, queue->seen.count + 1, sizeof *response->pollers);
    bool ok = response->pollers != NULL;
    for (struct flo_map_entry *it = flo_map_first(&queue->seen); it && ok; it = flo_map_next(it)) {
        const struct flo_seen *seen = flo_map_value(it);
        if (seen->last_poll_ns + FLO_QUEUE_SEEN_NS <= core->now_ns)
            continue;
        FloApi__PollerInfo *poller = flo_arena_alloc(&core->scratch, sizeof *poller);
        FloApi__WorkerVersionCapabilities *version =
            flo_arena_alloc(&core->scratch, sizeof *version);
        if (!poller || !version)
            return false;
        flo_api__poller_info__init(poller);
        poller->last_access_time = at(core, seen->last_poll_ns, &ok);
        poller->identity = (char *)seen->identity;
        poller->rate_per_second = seen->rate;
        if (seen->build_id && seen->build_id[0]) {
            flo_api__worker_version_capabilities__init(version);
            version->build_id = seen->build_id;
            poller->worker_version_capabilities = version;
        }
        response->pollers[response->n_pollers++] = poller;
    }
    return ok;
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
        const struct flo_node *oldest = flo_list_first(&queue->tasks);
        if (oldest)
            age_ns = core->now_ns - flo_container(oldest, const struct flo_task, node)->added_ns;
        stats->approximate_backlog_count = (int64_t)queue->tasks.count;
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
