/* SPDX-License-Identifier: Apache-2.0 */
/* state_load.c - runs out of what state.c has stored of them, and their histories. */
#include <string.h>

#include "base/alloc.h"
#include "engine/core/cold.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "engine/core/update.h"
#include "flotilla/engine_state.pb-c.h"

static char *dup_or_null(const char *value, bool *failed)
{
    if (!*value)
        return NULL;
    char *out = flo_strdup(value);
    *failed = *failed || !out;
    return out;
}

static void load_blob(struct flo_core *core, struct flo_blob *blob, const ProtobufCBinaryData *data)
{
    if (data->data)
        flo_blob_set_bytes(core, blob, data->data, data->len);
}

static void load_task(struct flo_core *core, struct flo_core_workflow_task *task,
                      const FloEngine__WorkflowTaskState *from)
{
    if (!from)
        return;
    task->stage = (enum flo_core_workflow_task_stage)from->stage;
    task->scheduled_id = from->scheduled_event_id;
    task->started_id = from->started_event_id;
    task->attempt = from->attempt;
    task->original_scheduled_ns = from->original_scheduled_ns;
    task->scheduled_ns = from->scheduled_ns;
    task->started_ns = from->started_ns;
    task->start_to_close_ns = from->start_to_close_ns;
    task->transient = from->transient;
    task->sticky = from->sticky;
    task->close_attempted = from->close_attempted;
    task->suggest_continue_as_new = from->suggest_continue_as_new;
    task->history_bytes = from->history_size_bytes;
    const struct flo_core_worker worker = {.identity = from->identity,
                                           .build_id = from->build_id,
                                           .has_build_id = from->has_build_id,
                                           .request_id = from->request_id};
    if (task->stage == FLO_CORE_WORKFLOW_TASK_STARTED)
        flo_core_workflow_task_set_start(core, task, &worker);
}

static int load_priority(const FloEngine__PriorityState *from, struct flo_priority **out)
{
    FloApi__Priority message = FLO_API__PRIORITY__INIT;
    if (!from)
        return 0;
    message.priority_key = from->level;
    message.fairness_key = from->fairness_key;
    message.fairness_weight = from->fairness_weight;
    return flo_priority_new(&message, out);
}

static int load_activity(struct flo_core *core, struct flo_execution *execution,
                         const FloEngine__ActivityState *from)
{
    bool failed = false;
    struct flo_core_activity *activity = flo_calloc(1, sizeof *activity);
    if (!activity)
        return FLO_ENOMEM;
    activity->execution = execution;
    activity->scheduled_id = from->scheduled_event_id;
    activity->id = flo_strdup(from->activity_id);
    activity->type = flo_strdup(from->type);
    activity->task_queue = flo_strdup(from->task_queue);
    activity->stage = (enum flo_core_activity_stage)from->stage;
    activity->attempt = from->attempt;
    activity->first_scheduled_ns = from->first_scheduled_ns;
    activity->scheduled_ns = from->scheduled_ns;
    activity->started_ns = from->started_ns;
    activity->schedule_to_close_ns = from->schedule_to_close_ns;
    activity->schedule_to_start_ns = from->schedule_to_start_ns;
    activity->start_to_close_ns = from->start_to_close_ns;
    activity->heartbeat_ns = from->heartbeat_ns;
    activity->initial_interval_ns = from->initial_interval_ns;
    activity->maximum_interval_ns = from->maximum_interval_ns;
    activity->backoff_coefficient = from->backoff_coefficient;
    activity->maximum_attempts = from->maximum_attempts;
    activity->cancel_requested = from->cancel_requested;
    activity->cancel_requested_id = from->cancel_requested_event_id;
    activity->last_heartbeat_ns = from->last_heartbeat_ns;
    activity->last_attempt_complete_ns = from->last_attempt_complete_ns;
    activity->identity = dup_or_null(from->identity, &failed);
    activity->request_id = dup_or_null(from->request_id, &failed);
    activity->build_id = dup_or_null(from->build_id, &failed);
    activity->has_build_id = from->has_build_id;
    activity->was_reset = from->was_reset;
    activity->heartbeat_reset = from->heartbeat_reset;
    if (from->retry_until_ns > 0)
        activity->retry_until_ns = from->retry_until_ns;
    else if (from->retry_until_ns == 0 && activity->schedule_to_close_ns)
        activity->retry_until_ns =
            flo_add_ns(activity->first_scheduled_ns, activity->schedule_to_close_ns);
    if (from->paused) {
        activity->paused = flo_activity_paused_new(from->paused->since_ns, from->paused->identity,
                                                   from->paused->reason);
        failed = failed || !activity->paused;
    }
    failed = failed || load_priority(from->priority, &activity->priority);
    load_blob(core, &activity->heartbeat_details, &from->heartbeat_details);
    load_blob(core, &activity->last_failure, &from->last_failure);
    if (failed || !activity->id || !activity->type || !activity->task_queue ||
        flo_core_activity_insert(activity)) {
        flo_core_activity_free(core, activity);
        return FLO_ENOMEM;
    }
    return 0;
}

static int load_pending(struct flo_core *core, struct flo_execution *execution,
                        const FloEngine__ExecutionState *state)
{
    for (size_t i = 0; i < state->n_activities; i++)
        if (load_activity(core, execution, state->activities[i]))
            return FLO_ENOMEM;
    for (size_t i = 0; i < state->n_timers; i++)
        flo_user_timer_add(core, execution, state->timers[i]->timer_id,
                           state->timers[i]->started_event_id, state->timers[i]->deadline_ns);
    for (size_t i = 0; i < state->n_children; i++) {
        const FloEngine__ChildState *from = state->children[i];
        struct flo_core_child *child =
            flo_core_child_add(core, execution, from->initiated_event_id,
                               flo_namespace_by_id(core, from->namespace_id), from->workflow_id,
                               from->type, from->parent_close_policy);
        if (!child)
            return FLO_ENOMEM;
        child->started_id = from->started_event_id;
        if (*from->run_id)
            flo_set_text(core, &child->run_id, from->run_id);
    }
    for (size_t i = 0; i < state->n_buffered; i++) {
        const FloEngine__BufferedEvent *from = state->buffered[i];
        if (flo_history_restore_buffered(execution, (FloApi__EventType)from->type, from->ref,
                                         from->event.data, from->event.len))
            return FLO_ENOMEM;
    }
    return 0;
}

static void load_more(struct flo_core *core, struct flo_execution *execution,
                      const FloEngine__ExecutionState *state)
{
    if (!*state->reset_run_id && !state->original_start_ns && !state->versioned &&
        !state->n_requests && !state->n_signal_requests && !state->priority)
        return;
    struct flo_run_more *more = flo_run_more_of(core, execution);
    if (!more)
        return;
    if (*state->reset_run_id)
        flo_set_text(core, &more->reset_run_id, state->reset_run_id);
    more->original_start_ns = state->original_start_ns;
    more->versioned = state->versioned;
    load_blob(core, &more->versioning_override, &state->versioning_override);
    if (load_priority(state->priority, &more->priority))
        flo_core_set_fatal(core);
    for (size_t i = 0; i < state->n_requests; i++)
        flo_run_request_add(core, execution, state->requests[i]->id, state->requests[i]->event_id);
    for (size_t i = 0; i < state->n_signal_requests; i++)
        flo_execution_keep_signal(core, execution, state->signal_requests[i]);
}

static int load_fields(struct flo_core *core, struct flo_execution *execution,
                       const struct flo_core_stored_run *run,
                       const FloEngine__ExecutionState *state)
{
    execution->hooks.key = run->key;
    execution->status = run->status;
    if (*state->cancel_request_id)
        flo_set_text(core, &execution->cancel_request_id, state->cancel_request_id);
    if (state->has_build)
        flo_set_name(core, &execution->last_build, state->last_build_id);
    if (*state->sticky_queue)
        flo_set_name(core, &execution->sticky_queue, state->sticky_queue);
    execution->sticky_schedule_to_start_ns = state->sticky_schedule_to_start_ns;
    execution->parent_initiated_id = state->parent_initiated_event_id;
    execution->start_ns = state->start_ns;
    execution->execution_ns = state->execution_ns;
    execution->close_ns = state->close_ns;
    execution->execution_deadline_ns = state->execution_deadline_ns;
    execution->execution_timeout_ns = state->execution_timeout_ns;
    execution->run_timeout_ns = state->run_timeout_ns;
    execution->task_timeout_ns = state->task_timeout_ns;
    execution->attempt = state->attempt;
    execution->has_retry_policy = state->has_retry_policy;
    execution->has_cron = state->has_cron;
    execution->first_task_pending = state->first_task_pending;
    execution->state_transitions = state->state_transitions;
    execution->last_completed_started_id = state->last_completed_started_id;
    execution->cancel_requested = state->cancel_requested;
    execution->signal_count = state->signal_count;
    load_blob(core, &execution->memo, &state->memo);
    load_blob(core, &execution->search_attributes, &state->search_attributes);
    execution->has_attributes = execution->search_attributes.len > 0; /* maybe */
    load_blob(core, &execution->reset_points, &state->reset_points);
    load_blob(core, &execution->user_metadata, &state->user_metadata);
    load_more(core, execution, state);
    load_task(core, &execution->workflow_task, state->workflow_task);
    return core->fatal ? FLO_ENOMEM : load_pending(core, execution, state);
}

/* Remember the request of a signal. 0, FLO_ENOMEM. */
static int note_signal(struct flo_execution *execution, const FloApi__HistoryEvent *event)
{
    if (event->attributes_case !=
        FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_SIGNALED_EVENT_ATTRIBUTES)
        return 0;
    return flo_execution_note_signal(
        execution, event->workflow_execution_signaled_event_attributes->request_id);
}

/* Which signals were applied is told by the events themselves, buffered ones included; of those
 * that a reset applied again, by the state (load_more). */
static int load_signals(struct flo_core *core, struct flo_execution *execution)
{
    const struct flo_history *history = &execution->history;
    if (execution->signal_count == 0)
        return 0;
    for (int64_t id = 1; id < history->next_event_id; id++) {
        FloApi__HistoryEvent *event = flo_history_decode(history, id, &core->scratch);
        if (!event)
            return FLO_EDATA;
        if (note_signal(execution, event))
            return FLO_ENOMEM;
        flo_arena_reset(&core->scratch);
    }
    FLO_LIST_FOREACH(node, &execution->buffered)
    {
        struct flo_buffered_event *event = flo_container(node, struct flo_buffered_event, node);
        ProtobufCMessage *message;
        if (event->type != FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
            continue;
        if (flo_wire_decode(&flo_api__history_event__descriptor, event->bytes, event->len,
                            &core->scratch, &message, NULL))
            return FLO_EDATA;
        if (note_signal(execution, (FloApi__HistoryEvent *)message))
            return FLO_ENOMEM;
    }
    return 0;
}

static int load_history(struct flo_execution *execution, int64_t next_event_id,
                        const struct flo_core_history_batch *batches, size_t count)
{
    struct flo_history *history = &execution->history;
    size_t events = 0, bytes = 0;
    for (size_t i = 0; i < count; i++) {
        events += batches[i].event_count;
        bytes += batches[i].len;
    }
    int rc = flo_history_reserve(history, events, bytes);
    for (size_t i = 0; i < count && !rc; i++)
        rc = flo_history_restore(history, &batches[i]);
    if (rc)
        return rc;
    history->stored_next_id = history->next_event_id;
    return history->next_event_id == next_event_id && count > 0 ? 0 : FLO_EDATA;
}

static struct flo_execution *blank_of(struct flo_core *core, struct flo_namespace *ns,
                                      const struct flo_core_stored_run *run,
                                      const FloEngine__ExecutionState *state)
{
    return flo_execution_blank(core, ns,
                               &(struct flo_run_texts){
                                   .run_id = run->run_id,
                                   .workflow_id = run->workflow_id,
                                   .type = state->type,
                                   .task_queue = state->task_queue,
                                   .start_request_id = state->start_request_id,
                                   .first_run_id = state->first_run_id,
                                   .original_run_id = state->original_run_id,
                                   .parent_namespace_id = state->parent_namespace_id,
                                   .parent_workflow_id = state->parent_workflow_id,
                                   .parent_run_id = state->parent_run_id,
                                   .root_workflow_id = state->root_workflow_id,
                                   .root_run_id = state->root_run_id,
                               });
}

int flo_execution_load(struct flo_core *core, const struct flo_core_stored_run *run,
                       const struct flo_core_history_batch *batches, size_t count,
                       struct flo_err *err)
{
    struct flo_namespace *ns = flo_namespace_by_id(core, run->namespace_id);
    if (!ns || strlen(run->run_id) != FLO_UUID_LEN)
        return flo_fail(err, FLO_EDATA, "run %s of workflow \"%s\" is in no known namespace",
                        run->run_id, run->workflow_id);
    ProtobufCMessage *message;
    int rc = flo_wire_decode(&flo_engine__execution_state__descriptor, run->state, run->state_len,
                             &core->scratch, &message, NULL);
    if (rc)
        return flo_fail(err, rc == FLO_ENOMEM ? rc : FLO_EDATA,
                        "the state of run %s of workflow \"%s\" is damaged", run->run_id,
                        run->workflow_id);
    const FloEngine__ExecutionState *state = (const FloEngine__ExecutionState *)message;
    const bool has_updates = state->update_count > 0;
    struct flo_execution *execution = blank_of(core, ns, run, state);
    if (!execution)
        return flo_fail(err, FLO_ENOMEM, "no memory for a stored run");
    rc = load_fields(core, execution, run, state);
    if (!rc)
        rc = load_history(execution, state->next_event_id, batches, count);
    if (!rc)
        rc = load_signals(core, execution);
    if (!rc && has_updates)
        rc = flo_updates_load(core, execution);
    if (!rc)
        rc = flo_core_add_run(core, execution);
    if (!rc && core->fatal)
        rc = FLO_ENOMEM;
    if (!rc)
        flo_core_weigh(core, execution);
    if (rc) {
        flo_fail(err, rc,
                 rc == FLO_EDATA ? "the history of run %s of workflow \"%s\" is damaged"
                                 : "no memory for run %s of workflow \"%s\"",
                 run->run_id, run->workflow_id);
        flo_execution_destroy(core, &execution);
    }
    return rc;
}

/* ---- closed runs ---- */

struct revival {
    struct flo_history *history;
    int rc;
};

static bool revive_batch(void *ctx, int64_t first_event_id, uint32_t event_count,
                         const uint8_t *events, size_t len)
{
    struct revival *revival = ctx;
    const struct flo_core_history_batch batch = {first_event_id, event_count, events, len};
    revival->rc = flo_history_restore(revival->history, &batch);
    return revival->rc == 0;
}

static int revive_history(struct flo_core *core, struct flo_execution *execution,
                          const struct flo_core_run_ref *run)
{
    struct revival revival = {.history = &execution->history};
    const FloEngine__ExecutionState *state = run->state;
    int rc = core->env.store.history(core->env.store.ctx, run->stored.key, 1, false, revive_batch,
                                     &revival);
    rc = rc ? rc : revival.rc;
    if (!rc && execution->history.next_event_id != state->next_event_id)
        rc = FLO_EDATA;
    execution->history.stored_next_id = execution->history.next_event_id;
    return rc;
}

int flo_execution_revive(struct flo_core *core, const struct flo_core_run_ref *run,
                         struct flo_execution **out, struct flo_status *status)
{
    struct flo_namespace *ns = flo_namespace_by_id(core, run->stored.namespace_id);
    struct flo_execution *execution = ns ? blank_of(core, ns, &run->stored, run->state) : NULL;
    if (!execution)
        return flo_status_no_memory(status);
    int rc = load_fields(core, execution, &run->stored, run->state);
    if (!rc)
        rc = revive_history(core, execution, run);
    if (!rc && run->state->update_count > 0)
        rc = flo_updates_load(core, execution);
    if (!rc) {
        *out = execution;
        return 0;
    }
    flo_execution_destroy(core, &execution);
    if (rc == FLO_ENOMEM)
        return flo_status_no_memory(status);
    flo_status_put(core, status, rc == FLO_EDATA ? FLO_GRPC_DATA_LOSS : FLO_GRPC_UNAVAILABLE,
                   rc == FLO_EDATA ? "the history of workflow ID \"%s\" is damaged"
                                   : "the store cannot be read for workflow ID \"%s\"",
                   run->stored.workflow_id);
    return rc;
}

void flo_execution_resume(struct flo_core *core, struct flo_execution *execution, bool restarted)
{
    if (!flo_execution_is_open(execution))
        return;
    if (restarted)
        flo_names_put(&core->names, &execution->sticky_queue);
    flo_execution_arm_run(core, execution);
    flo_user_timers_arm(core, execution);
    if (execution->workflow_task.stage == FLO_CORE_WORKFLOW_TASK_SCHEDULED) {
        execution->workflow_task.sticky = false;
        flo_core_workflow_task_queue(core, execution);
    }
    if (execution->first_task_pending)
        flo_execution_arm_backoff(core, execution);
    else
        flo_core_workflow_task_arm(core, execution);
    for (size_t i = 0; i < execution->activity_count; i++) {
        struct flo_core_activity *activity = execution->activities[i];
        if (activity->stage == FLO_CORE_ACTIVITY_SCHEDULED &&
            flo_core_activity_queue(core, activity))
            flo_core_set_fatal(core);
        flo_core_activity_arm(core, activity);
    }
}
