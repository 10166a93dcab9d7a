/* SPDX-License-Identifier: Apache-2.0 */
/*
 * describe.c - DescribeWorkflowExecution: what a run is, and what it waits for.
 *
 * A run is described out of one struct, view, that is filled from the resident run or from its
 * stored state, so that an open and a closed run look alike.
 */
#include <string.h>

#include "engine/core/attributes.h"
#include "engine/core/describe.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/options.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/runs.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/decode.h"
#include "wire/payload.h"

/* 0001-01-01T00:00:00Z: how the real server writes a time that there is not. */
#define NO_TIME_S INT64_C(-62135596800)

/* All that is told of a run. Borrowed from the run, or from its decoded state. */
struct view {
    const struct flo_namespace *ns;
    const char *workflow_id, *run_id, *type, *task_queue, *first_run_id, *start_request_id;
    const char *parent_namespace_id, *parent_workflow_id, *parent_run_id;
    const char *root_workflow_id, *root_run_id;
    int status;
    int64_t start_ns, execution_ns, close_ns;
    int64_t execution_timeout_ns, run_timeout_ns, task_timeout_ns, execution_deadline_ns;
    int64_t history_length, history_bytes, state_transitions;
    bool cancel_requested;
    FloApi__Priority priority;
    ProtobufCBinaryData memo, search_attributes, reset_points, user_metadata; /* wire form */
    const char *original_run_id, *reset_run_id;
    int64_t original_start_ns; /* 0: it is no run of a reset */
    bool versioned;
    ProtobufCBinaryData versioning_override;
    const struct flo_run_request *requests;
    size_t request_count;
};

/* ---- filling the view ---- */

static ProtobufCBinaryData blob(const struct flo_blob *from)
{
    return (ProtobufCBinaryData){.data = from->data, .len = from->len};
}

/* With level 0, no key and no weight: none was given. */
static FloApi__Priority priority_of(int32_t level, const char *key, float weight)
{
    FloApi__Priority priority = FLO_API__PRIORITY__INIT;
    priority.priority_key = level;
    priority.fairness_key = (char *)key;
    priority.fairness_weight = weight;
    return priority;
}

static FloApi__Priority priority_resident(const struct flo_priority *priority)
{
    return priority ? priority_of(priority->level, priority->key, priority->weight)
                    : priority_of(0, "", 0);
}

static FloApi__Priority priority_stored(const FloEngine__PriorityState *priority)
{
    return priority
               ? priority_of(priority->level, priority->fairness_key, priority->fairness_weight)
               : priority_of(0, "", 0);
}

static struct view view_resident(const struct flo_execution *e)
{
    return (struct view){.workflow_id = e->workflow_id,
                         .run_id = e->run_id,
                         .type = e->type,
                         .task_queue = e->task_queue,
                         .first_run_id = e->first_run_id,
                         .original_run_id = e->original_run_id,
                         .start_request_id = e->start_request_id,
                         .parent_namespace_id = e->parent_namespace_id,
                         .parent_workflow_id = e->parent_workflow_id,
                         .parent_run_id = e->parent_run_id,
                         .root_workflow_id = e->root_workflow_id,
                         .root_run_id = e->root_run_id,
                         .status = e->status,
                         .priority = priority_resident(flo_execution_priority(e)),
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

/* What few runs have. */
static void view_more(struct view *v, const struct flo_run_more *more)
{
    if (!more)
        return;
    v->reset_run_id = more->reset_run_id;
    v->original_start_ns = more->original_start_ns;
    v->versioned = more->versioned;
    v->versioning_override = blob(&more->versioning_override);
    v->requests = more->requests;
    v->request_count = more->request_count;
}

static void view_stored_more(struct flo_core *core, struct view *v,
                             const FloEngine__ExecutionState *s, bool *ok)
{
    struct flo_run_request *requests =
        flo_arena_calloc(&core->scratch, s->n_requests + 1, sizeof *requests);
    v->reset_run_id = s->reset_run_id;
    v->original_start_ns = s->original_start_ns;
    v->versioned = s->versioned;
    v->versioning_override = s->versioning_override;
    *ok = *ok && requests;
    for (size_t i = 0; requests && i < s->n_requests; i++)
        requests[i] = (struct flo_run_request){s->requests[i]->id, s->requests[i]->event_id};
    v->requests = requests;
    v->request_count = requests ? s->n_requests : 0;
}

static struct view view_stored(const struct flo_core_stored_run *run,
                               const FloEngine__ExecutionState *s)
{
    return (struct view){.workflow_id = run->workflow_id,
                         .run_id = run->run_id,
                         .type = s->type,
                         .task_queue = s->task_queue,
                         .priority = priority_stored(s->priority),
                         .first_run_id = s->first_run_id,
                         .original_run_id = s->original_run_id,
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

Google__Protobuf__Timestamp *flo_describe_time(struct flo_core *core, int64_t ns, bool *ok)
{
    if (ns == 0)
        return NULL;
    Google__Protobuf__Timestamp *out = flo_timestamp_new(&core->scratch, ns);
    *ok = *ok && out;
    return out;
}

Google__Protobuf__Duration *flo_describe_duration(struct flo_core *core, int64_t ns, bool *ok)
{
    if (ns == 0)
        return NULL;
    Google__Protobuf__Duration *out = flo_duration_new(&core->scratch, ns);
    *ok = *ok && out;
    return out;
}

/* A message out of its wire form; empty bytes give an empty message. */
void *flo_describe_message(struct flo_core *core, const ProtobufCMessageDescriptor *descriptor,
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
    FloApi__WorkflowExecutionVersioningInfo versioning;
    FloApi__PendingWorkflowTaskInfo workflow_task;
};

static void fill_config(struct flo_core *core, struct answer *a, const struct view *v, bool *ok)
{
    flo_api__task_queue__init(&a->queue);
    a->queue.name = (char *)v->task_queue;
    a->queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    flo_api__workflow_execution_config__init(&a->config);
    a->config.task_queue = &a->queue;
    a->config.workflow_execution_timeout = flo_describe_duration(core, v->execution_timeout_ns, ok);
    a->config.workflow_run_timeout = flo_describe_duration(core, v->run_timeout_ns, ok);
    a->config.default_workflow_task_timeout = flo_describe_duration(core, v->task_timeout_ns, ok);
    if (v->user_metadata.len)
        a->config.user_metadata =
            flo_describe_message(core, &flo_api__user_metadata__descriptor, v->user_metadata, ok);
    a->response.execution_config = &a->config;
}

static void fill_versioning(struct flo_core *core, struct answer *a, const struct view *v, bool *ok)
{
    if (!v->versioned)
        return;
    flo_api__workflow_execution_versioning_info__init(&a->versioning);
    a->info.versioning_info = &a->versioning;
    if (!v->versioning_override.len)
        return;
    FloApi__VersioningOverride *override = flo_describe_message(
        core, &flo_api__versioning_override__descriptor, v->versioning_override, ok);
    a->versioning.versioning_override = override ? flo_options_shown(core, override) : NULL;
    *ok = *ok && a->versioning.versioning_override;
    if (*ok && override->override_case == FLO_API__VERSIONING_OVERRIDE__OVERRIDE_PINNED &&
        override->pinned->version)
        a->info.worker_deployment_name = override->pinned->version->deployment_name;
}

static void fill_info(struct flo_core *core, struct answer *a, const struct view *v, bool *ok)
{
    FloApi__WorkflowExecutionInfo *info = &a->info;
    flo_api__workflow_type__init(&a->type);
    a->type.name = (char *)v->type;
    flo_api__workflow_execution_info__init(info);
    info->execution = run_named(core, v->workflow_id, v->run_id, ok);
    info->type = &a->type;
    info->start_time = flo_describe_time(core, v->start_ns, ok);
    info->execution_time = flo_describe_time(core, v->execution_ns, ok);
    info->close_time = flo_describe_time(core, v->close_ns, ok);
    info->status = (FloApi__WorkflowExecutionStatus)v->status;
    info->history_length = v->history_length;
    info->history_size_bytes = v->history_bytes;
    info->state_transition_count = v->state_transitions;
    info->task_queue = (char *)v->task_queue;
    info->first_run_id = (char *)v->first_run_id;
    info->memo = flo_describe_message(core, &flo_api__memo__descriptor, v->memo, ok);
    info->search_attributes = flo_describe_message(core, &flo_api__search_attributes__descriptor,
                                                   v->search_attributes, ok);
    if (flo_attributes_show(v->ns, info->search_attributes, &core->scratch))
        *ok = false;
    info->auto_reset_points =
        flo_describe_message(core, &flo_api__reset_points__descriptor, v->reset_points, ok);
    if (v->parent_workflow_id[0]) {
        info->parent_namespace_id = (char *)v->parent_namespace_id;
        info->parent_execution = run_named(core, v->parent_workflow_id, v->parent_run_id, ok);
    }
    info->root_execution = run_named(core, v->root_workflow_id, v->root_run_id, ok);
    if (v->close_ns) {
        info->execution_duration = flo_duration_new(&core->scratch, v->close_ns - v->execution_ns);
        *ok = *ok && info->execution_duration;
    }
    fill_versioning(core, a, v, ok);
    if (v->priority.priority_key || v->priority.fairness_key[0] ||
        v->priority.fairness_weight > 0) {
        info->priority = flo_arena_memdup(&core->scratch, &v->priority, sizeof v->priority);
        *ok = *ok && info->priority;
    }
    a->response.workflow_execution_info = info;
}

/* The request that started the run, then those that were attached to it. */
static void fill_requests(struct flo_core *core, FloApi__WorkflowExecutionExtendedInfo *extended,
                          const struct view *v, bool *ok)
{
    typedef FloApi__WorkflowExecutionExtendedInfo__RequestIdInfosEntry entry_t;
    const struct flo_run_request first = {flo_text(v->start_request_id), 1};
    const size_t count = v->request_count + 1;
    struct {
        entry_t entry;
        FloApi__RequestIdInfo info;
    } *all = flo_arena_calloc(&core->scratch, count, sizeof *all);
    entry_t **entries = flo_arena_calloc(&core->scratch, count, sizeof *entries);
    if (!all || !entries) {
        *ok = false;
        return;
    }
    extended->request_id_infos = entries;
    for (size_t i = 0; i < count; i++) {
        const struct flo_run_request *request = i ? &v->requests[i - 1] : &first;
        if (!request->id[0])
            continue;
        flo_api__request_id_info__init(&all[i].info);
        all[i].info.event_type =
            i ? FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED
              : FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_STARTED;
        all[i].info.event_id = request->event_id;
        all[i].info.buffered = request->event_id == 0;
        flo_api__workflow_execution_extended_info__request_id_infos_entry__init(&all[i].entry);
        all[i].entry.key = request->id;
        all[i].entry.value = &all[i].info;
        entries[extended->n_request_id_infos++] = &all[i].entry;
    }
}

static void fill_extended(struct flo_core *core, struct answer *a, const struct view *v, bool *ok)
{
    FloApi__WorkflowExecutionExtendedInfo *extended = &a->extended;
    flo_api__workflow_execution_extended_info__init(extended);
    extended->execution_expiration_time = flo_describe_time(core, v->execution_deadline_ns, ok);
    extended->run_expiration_time =
        flo_timestamp_new(&core->scratch, v->execution_ns + v->run_timeout_ns);
    *ok = *ok && extended->run_expiration_time;
    if (*ok && !v->run_timeout_ns) /* never: told as the first second of the calendar */
        *extended->run_expiration_time = (Google__Protobuf__Timestamp){
            .base = extended->run_expiration_time->base, .seconds = NO_TIME_S};
    extended->cancel_requested = v->cancel_requested;
    extended->original_start_time =
        flo_describe_time(core, v->original_start_ns ? v->original_start_ns : v->start_ns, ok);
    extended->reset_run_id = flo_text(v->reset_run_id);
    if (strcmp(v->original_run_id, v->run_id) != 0)
        extended->last_reset_time = flo_describe_time(core, v->start_ns, ok);
    fill_requests(core, extended, v, ok);
    a->response.workflow_extended_info = extended;
}

/* ---- what is pending ---- */

static void add_child(struct flo_core *core, FloApi__DescribeWorkflowExecutionResponse *response,
                      const FloApi__PendingChildExecutionInfo *child, bool *ok)
{
    FloApi__PendingChildExecutionInfo *copy =
        flo_arena_memdup(&core->scratch, child, sizeof *child);
    *ok = *ok && copy;
    if (copy)
        response->pending_children[response->n_pending_children++] = copy;
}

/* A workflow task, resident or stored; stage: enum flo_core_workflow_task_stage. */
static void fill_workflow_task(struct flo_core *core, struct answer *a, int stage,
                               int64_t scheduled_ns, int64_t original_scheduled_ns,
                               int64_t started_ns, int32_t attempt, bool *ok)
{
    if (stage == FLO_CORE_WORKFLOW_TASK_NONE)
        return;
    flo_api__pending_workflow_task_info__init(&a->workflow_task);
    a->workflow_task.state =
        FLO_API__PENDING_WORKFLOW_TASK_STATE__PENDING_WORKFLOW_TASK_STATE_SCHEDULED;
    a->workflow_task.scheduled_time = flo_describe_time(core, scheduled_ns, ok);
    a->workflow_task.original_scheduled_time = flo_describe_time(core, original_scheduled_ns, ok);
    if (stage == FLO_CORE_WORKFLOW_TASK_STARTED) {
        a->workflow_task.state =
            FLO_API__PENDING_WORKFLOW_TASK_STATE__PENDING_WORKFLOW_TASK_STATE_STARTED;
        a->workflow_task.started_time = flo_describe_time(core, started_ns, ok);
    }
    a->workflow_task.attempt = attempt;
    a->response.pending_workflow_task = &a->workflow_task;
}

/* Room for what is pending. */
static bool reserve(struct flo_core *core, FloApi__DescribeWorkflowExecutionResponse *response,
                    size_t activities, size_t children)
{
    response->pending_activities =
        flo_arena_calloc(&core->scratch, activities + 1, sizeof *response->pending_activities);
    response->pending_children =
        flo_arena_calloc(&core->scratch, children + 1, sizeof *response->pending_children);
    return response->pending_activities && response->pending_children;
}

static void pending_of_resident(struct flo_core *core, struct answer *a,
                                const struct flo_execution *execution, bool *ok)
{
    FloApi__DescribeWorkflowExecutionResponse *response = &a->response;
    if (!reserve(core, response, execution->activity_count, execution->child_count)) {
        *ok = false;
        return;
    }
    for (size_t i = 0; i < execution->activity_count; i++) {
        response->pending_activities[response->n_pending_activities++] =
            flo_describe_activity(core, execution->activities[i], ok);
    }
    for (size_t i = 0; i < execution->child_count; i++) {
        const struct flo_core_child *child = execution->children[i];
        FloApi__PendingChildExecutionInfo info = FLO_API__PENDING_CHILD_EXECUTION_INFO__INIT;
        info.workflow_id = child->workflow_id;
        info.run_id = child->run_id ? child->run_id : (char *)"";
        info.workflow_type_name = child->type;
        info.initiated_id = child->initiated_id;
        info.parent_close_policy = (FloApi__ParentClosePolicy)child->parent_close_policy;
        add_child(core, response, &info, ok);
    }
    const struct flo_core_workflow_task *task = &execution->workflow_task;
    fill_workflow_task(core, a, (int)task->stage, task->scheduled_ns, task->original_scheduled_ns,
                       task->started_ns, task->attempt, ok);
}

/* As the real server, a closed run still shows what was pending when it closed. */
static void pending_of_stored(struct flo_core *core, struct answer *a,
                              const FloEngine__ExecutionState *state, bool *ok)
{
    FloApi__DescribeWorkflowExecutionResponse *response = &a->response;
    if (!reserve(core, response, state->n_activities, state->n_children)) {
        *ok = false;
        return;
    }
    for (size_t i = 0; i < state->n_activities; i++) {
        response->pending_activities[response->n_pending_activities++] =
            flo_describe_stored_activity(core, state->activities[i], ok);
    }
    for (size_t i = 0; i < state->n_children; i++) {
        const FloEngine__ChildState *child = state->children[i];
        FloApi__PendingChildExecutionInfo info = FLO_API__PENDING_CHILD_EXECUTION_INFO__INIT;
        info.workflow_id = child->workflow_id;
        info.run_id = child->run_id;
        info.workflow_type_name = child->type;
        info.initiated_id = child->initiated_event_id;
        info.parent_close_policy = (FloApi__ParentClosePolicy)child->parent_close_policy;
        add_child(core, response, &info, ok);
    }
    const FloEngine__WorkflowTaskState *task = state->workflow_task;
    if (task)
        fill_workflow_task(core, a, task->stage, task->scheduled_ns, task->original_scheduled_ns,
                           task->started_ns, task->attempt, ok);
}

void flo_rpc_describe_workflow_execution(struct flo_core *core,
                                         const struct flo_core_call_info *info, const void *message)
{
    const FloApi__DescribeWorkflowExecutionRequest *request = message;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    struct flo_core_run_ref run;
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
    struct view view =
        run.execution ? view_resident(run.execution) : view_stored(&run.stored, run.state);
    view.ns = ns;
    struct answer *a = flo_arena_calloc(&core->scratch, 1, sizeof *a);
    bool ok = a != NULL;
    if (run.execution)
        view_more(&view, run.execution->more);
    else
        view_stored_more(core, &view, run.state, &ok);
    if (a && ok) {
        flo_api__describe_workflow_execution_response__init(&a->response);
        fill_config(core, a, &view, &ok);
        fill_info(core, a, &view, &ok);
        fill_extended(core, a, &view, &ok);
        if (run.execution)
            pending_of_resident(core, a, run.execution, &ok);
        else
            pending_of_stored(core, a, run.state, &ok);
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
