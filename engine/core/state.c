/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.c - what is stored of a run beside its history, and back
 * (proto/flotilla/engine_state.proto).
 *
 * Nothing that the history holds is stored twice: what an activity is to do is decoded from its
 * Scheduled event when it is handed out, the request ids of signals are read from the Signaled
 * events when a run is loaded. So the row of a run is small, and packing it cheap.
 */
#include <string.h>

#include "base/alloc.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/namespace.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "flotilla/engine_state.pb-c.h"

static ProtobufCBinaryData bytes_of(const struct flo_blob *blob)
{
    return (ProtobufCBinaryData){blob->len, blob->data};
}

/* ---- to the store ---- */

/* count structs of size bytes and pointers to them, in arena. */
static void *new_list(struct flo_arena *arena, size_t count, size_t size, void ***out_pointers)
{
    void **pointers = flo_arena_alloc(arena, (count + 1) * sizeof *pointers);
    char *structs = flo_arena_alloc(arena, (count + 1) * size);
    if (!pointers || !structs)
        return NULL;
    for (size_t i = 0; i < count; i++)
        pointers[i] = structs + i * size;
    *out_pointers = pointers;
    return structs;
}

static void pack_task(const struct flo_core_workflow_task *task, FloEngine__WorkflowTaskState *out)
{
    flo_engine__workflow_task_state__init(out);
    out->stage = (int32_t)task->stage;
    out->scheduled_event_id = task->scheduled_id;
    out->started_event_id = task->started_id;
    out->attempt = task->attempt;
    out->original_scheduled_ns = task->original_scheduled_ns;
    out->scheduled_ns = task->scheduled_ns;
    out->started_ns = task->started_ns;
    out->start_to_close_ns = task->start_to_close_ns;
    out->transient = task->transient;
    out->sticky = task->sticky;
    out->close_attempted = task->close_attempted;
    if (task->stage != FLO_CORE_WORKFLOW_TASK_STARTED)
        return;
    out->request_id = flo_text(task->start->request_id);
    out->identity = flo_text(task->start->identity);
    out->build_id = flo_text(task->start->build_id);
    out->has_build_id = task->start->has_build_id;
    out->suggest_continue_as_new = task->suggest_continue_as_new;
    out->history_size_bytes = task->history_bytes;
}

static int pack_activities(const struct flo_execution *execution, struct flo_arena *arena,
                           FloEngine__ExecutionState *out)
{
    FloEngine__ActivityState *to =
        new_list(arena, execution->activity_count, sizeof *to, (void ***)&out->activities);
    if (!to)
        return FLO_ENOMEM;
    out->n_activities = execution->activity_count;
    for (size_t i = 0; i < execution->activity_count; i++, to++) {
        const struct flo_core_activity *activity = execution->activities[i];
        flo_engine__activity_state__init(to);
        to->scheduled_event_id = activity->scheduled_id;
        to->activity_id = activity->id;
        to->type = activity->type;
        to->task_queue = activity->task_queue;
        to->stage = (int32_t)activity->stage;
        to->attempt = activity->attempt;
        to->first_scheduled_ns = activity->first_scheduled_ns;
        to->scheduled_ns = activity->scheduled_ns;
        to->started_ns = activity->started_ns;
        to->schedule_to_close_ns = activity->schedule_to_close_ns;
        to->schedule_to_start_ns = activity->schedule_to_start_ns;
        to->start_to_close_ns = activity->start_to_close_ns;
        to->heartbeat_ns = activity->heartbeat_ns;
        to->initial_interval_ns = activity->initial_interval_ns;
        to->maximum_interval_ns = activity->maximum_interval_ns;
        to->backoff_coefficient = activity->backoff_coefficient;
        to->maximum_attempts = activity->maximum_attempts;
        to->cancel_requested = activity->cancel_requested;
        to->cancel_requested_event_id = activity->cancel_requested_id;
        to->last_heartbeat_ns = activity->last_heartbeat_ns;
        to->last_attempt_complete_ns = activity->last_attempt_complete_ns;
        to->heartbeat_details = bytes_of(&activity->heartbeat_details);
        to->last_failure = bytes_of(&activity->last_failure);
        to->identity = flo_text(activity->identity);
        to->request_id = flo_text(activity->request_id);
        to->build_id = flo_text(activity->build_id);
        to->has_build_id = activity->has_build_id;
    }
    return 0;
}

static int pack_timers(const struct flo_execution *execution, struct flo_arena *arena,
                       FloEngine__ExecutionState *out)
{
    FloEngine__TimerState *to =
        new_list(arena, flo_user_timers_count(execution), sizeof *to, (void ***)&out->timers);
    if (!to)
        return FLO_ENOMEM;
    out->n_timers = flo_user_timers_count(execution);
    for (struct flo_map_entry *it = flo_map_first(&execution->user_timers->by_id); it;
         it = flo_map_next(it), to++) {
        struct flo_user_timer *timer = flo_map_value(it);
        flo_engine__timer_state__init(to);
        to->timer_id = timer->id;
        to->started_event_id = timer->started_id;
        to->deadline_ns = timer->timer.deadline_ns;
    }
    return 0;
}

static int pack_children(const struct flo_execution *execution, struct flo_arena *arena,
                         FloEngine__ExecutionState *out)
{
    FloEngine__ChildState *to =
        new_list(arena, execution->child_count, sizeof *to, (void ***)&out->children);
    if (!to)
        return FLO_ENOMEM;
    out->n_children = execution->child_count;
    for (size_t i = 0; i < execution->child_count; i++, to++) {
        const struct flo_core_child *child = execution->children[i];
        flo_engine__child_state__init(to);
        to->initiated_event_id = child->initiated_id;
        to->started_event_id = child->started_id;
        to->namespace_id = child->ns ? child->ns->id : flo_text("");
        to->workflow_id = child->workflow_id;
        to->run_id = flo_text(child->run_id);
        to->type = child->type;
        to->parent_close_policy = child->parent_close_policy;
    }
    return 0;
}

static int pack_buffered(const struct flo_execution *execution, struct flo_arena *arena,
                         FloEngine__ExecutionState *out)
{
    FloEngine__BufferedEvent *to =
        new_list(arena, execution->buffered.count, sizeof *to, (void ***)&out->buffered);
    if (!to)
        return FLO_ENOMEM;
    out->n_buffered = execution->buffered.count;
    FLO_LIST_FOREACH(node, &execution->buffered)
    {
        struct flo_buffered_event *event = flo_container(node, struct flo_buffered_event, node);
        flo_engine__buffered_event__init(to);
        to->event = (ProtobufCBinaryData){event->len, event->bytes};
        to->type = (int32_t)event->type;
        to->ref = event->ref;
        to++;
    }
    return 0;
}

static void pack_fields(struct flo_execution *execution, FloEngine__ExecutionState *out)
{
    flo_engine__execution_state__init(out);
    out->type = flo_text(execution->type);
    out->task_queue = flo_text(execution->task_queue);
    out->start_request_id = flo_text(execution->start_request_id);
    out->first_run_id = flo_text(execution->first_run_id);
    out->original_run_id = flo_text(execution->original_run_id);
    out->parent_namespace_id = flo_text(execution->parent_namespace_id);
    out->parent_workflow_id = flo_text(execution->parent_workflow_id);
    out->parent_run_id = flo_text(execution->parent_run_id);
    out->parent_initiated_event_id = execution->parent_initiated_id;
    out->root_workflow_id = flo_text(execution->root_workflow_id);
    out->root_run_id = flo_text(execution->root_run_id);
    out->start_ns = execution->start_ns;
    out->execution_ns = execution->execution_ns;
    out->close_ns = execution->close_ns;
    out->execution_deadline_ns = execution->execution_deadline_ns;
    out->execution_timeout_ns = execution->execution_timeout_ns;
    out->run_timeout_ns = execution->run_timeout_ns;
    out->task_timeout_ns = execution->task_timeout_ns;
    out->attempt = execution->attempt;
    out->has_retry_policy = execution->has_retry_policy;
    out->first_task_pending = execution->first_task_pending;
    out->next_event_id = execution->history.next_event_id;
    out->history_bytes = (int64_t)execution->history.len;
    out->state_transitions = execution->state_transitions;
    out->last_completed_started_id = execution->last_completed_started_id;
    out->cancel_requested = execution->cancel_requested;
    out->cancel_request_id = flo_text(execution->cancel_request_id);
    out->sticky_queue = flo_text(execution->sticky_queue);
    out->sticky_schedule_to_start_ns = execution->sticky_schedule_to_start_ns;
    out->has_build = execution->last_build_id != NULL;
    out->last_build_id = flo_text(execution->last_build_id);
    out->memo = bytes_of(&execution->memo);
    out->search_attributes = bytes_of(&execution->search_attributes);
    out->reset_points = bytes_of(&execution->reset_points);
    out->user_metadata = bytes_of(&execution->user_metadata);
    out->new_run_id = flo_text(execution->new_run_id);
    out->signal_count = execution->signal_count;
}

static int pack_state(struct flo_execution *execution, struct flo_arena *arena,
                      struct flo_core_run_row *row)
{
    FloEngine__ExecutionState state;
    FloEngine__WorkflowTaskState task;
    struct flo_arena lists; /* what the message points to is not for the batch */
    flo_arena_init(&lists, 0);
    pack_fields(execution, &state);
    pack_task(&execution->workflow_task, &task);
    state.workflow_task = &task;
    uint8_t *data = NULL;
    int rc = 0;
    if (execution->activity_count)
        rc = pack_activities(execution, &lists, &state);
    if (!rc && flo_user_timers_count(execution))
        rc = pack_timers(execution, &lists, &state);
    if (!rc && execution->child_count)
        rc = pack_children(execution, &lists, &state);
    if (!rc && execution->buffered.count)
        rc = pack_buffered(execution, &lists, &state);
    if (!rc)
        rc = flo_wire_encode_arena(&state.base, arena, &data, &row->state_len);
    row->state = data;
    flo_arena_fini(&lists);
    return rc;
}

static const char *copy(struct flo_arena *arena, const char *value, bool *failed)
{
    const char *out = value && *value ? flo_arena_strdup(arena, value) : "";
    *failed = *failed || !out;
    return out;
}

static const uint8_t *copy_blob(struct flo_arena *arena, const struct flo_blob *blob,
                                size_t *out_len, bool *failed)
{
    *out_len = blob->len;
    if (!blob->data)
        return NULL;
    const uint8_t *out = flo_arena_memdup(arena, blob->data, blob->len);
    *failed = *failed || !out;
    return out;
}

static int fill_row(struct flo_execution *execution, struct flo_arena *arena,
                    struct flo_core_run_row *row)
{
    bool failed = false;
    *row = (struct flo_core_run_row){
        .key = execution->hooks.key,
        .namespace_id = copy(arena, execution->hooks.ns->id, &failed),
        .workflow_id = copy(arena, execution->workflow_id, &failed),
        .run_id = copy(arena, execution->run_id, &failed),
        .type = copy(arena, execution->type, &failed),
        .task_queue = copy(arena, execution->task_queue, &failed),
        .start_request_id = copy(arena, execution->start_request_id, &failed),
        .first_run_id = copy(arena, execution->first_run_id, &failed),
        .parent_workflow_id = copy(arena, execution->parent_workflow_id, &failed),
        .parent_run_id = copy(arena, execution->parent_run_id, &failed),
        .root_workflow_id = copy(arena, execution->root_workflow_id, &failed),
        .root_run_id = copy(arena, execution->root_run_id, &failed),
        .status = execution->status,
        .start_ns = execution->start_ns,
        .execution_ns = execution->execution_ns,
        .close_ns = execution->close_ns,
        .history_length = execution->history.next_event_id - 1,
        .history_bytes = (int64_t)execution->history.len,
        .state_transitions = execution->state_transitions,
    };
    row->memo = copy_blob(arena, &execution->memo, &row->memo_len, &failed);
    row->search_attributes =
        copy_blob(arena, &execution->search_attributes, &row->search_attributes_len, &failed);
    return failed ? FLO_ENOMEM : pack_state(execution, arena, row);
}

/* Does nothing go on, until somebody signals or a timer fires? */
static bool is_waiting(const struct flo_execution *execution)
{
    return execution->workflow_task.stage == FLO_CORE_WORKFLOW_TASK_NONE &&
           execution->activity_count == 0 && flo_execution_is_open(execution);
}

int flo_execution_collect(struct flo_execution *execution, struct flo_arena *arena,
                          struct flo_core_run_row *out_row,
                          struct flo_core_history_row **out_histories, size_t *out_count)
{
    struct flo_history *history = &execution->history;
    int64_t first, last;
    size_t count = 0;
    for (int64_t id = history->stored_next_id; flo_history_batch(history, id, &first, &last);
         id = last + 1)
        count++;
    struct flo_core_history_row *rows = flo_arena_calloc(arena, count + 1, sizeof *rows);
    if (!rows || fill_row(execution, arena, out_row))
        return FLO_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *events;
        flo_history_batch(history, history->stored_next_id, &first, &last);
        flo_history_range(history, first, last, &events, &rows[i].len);
        rows[i].key = execution->hooks.key;
        rows[i].first_event_id = first;
        rows[i].event_count = (uint32_t)(last - first + 1);
        rows[i].events = flo_arena_memdup(arena, events, rows[i].len);
        if (!rows[i].events)
            return FLO_ENOMEM;
        history->stored_next_id = last + 1;
    }
    if (is_waiting(execution))
        flo_history_trim(history);
    *out_histories = count ? rows : NULL;
    *out_count = count;
    return 0;
}

/* ---- from the store ---- */

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

static int load_fields(struct flo_core *core, struct flo_execution *execution,
                       const struct flo_core_stored_run *run,
                       const FloEngine__ExecutionState *state)
{
    execution->hooks.key = run->key;
    execution->status = run->status;
    if (*state->cancel_request_id)
        flo_set_text(core, &execution->cancel_request_id, state->cancel_request_id);
    if (state->has_build)
        flo_set_name(core, &execution->last_build_id, state->last_build_id);
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
    execution->first_task_pending = state->first_task_pending;
    execution->state_transitions = state->state_transitions;
    execution->last_completed_started_id = state->last_completed_started_id;
    execution->cancel_requested = state->cancel_requested;
    execution->signal_count = state->signal_count;
    load_blob(core, &execution->memo, &state->memo);
    load_blob(core, &execution->search_attributes, &state->search_attributes);
    load_blob(core, &execution->reset_points, &state->reset_points);
    load_blob(core, &execution->user_metadata, &state->user_metadata);
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

/* Which signals were applied is told by the events themselves, buffered ones included. */
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
    struct flo_execution *execution = blank_of(core, ns, run, state);
    if (!execution)
        return flo_fail(err, FLO_ENOMEM, "no memory for a stored run");
    rc = load_fields(core, execution, run, state);
    if (!rc)
        rc = load_history(execution, state->next_event_id, batches, count);
    if (!rc)
        rc = load_signals(core, execution);
    if (!rc)
        rc = flo_core_add_run(core, execution);
    if (!rc && core->fatal)
        rc = FLO_ENOMEM;
    if (rc) {
        flo_fail(err, rc,
                 rc == FLO_EDATA ? "the history of run %s of workflow \"%s\" is damaged"
                                 : "no memory for run %s of workflow \"%s\"",
                 run->run_id, run->workflow_id);
        flo_execution_destroy(core, &execution);
    }
    return rc;
}

void flo_execution_resume(struct flo_core *core, struct flo_execution *execution)
{
    if (!flo_execution_is_open(execution))
        return;
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
