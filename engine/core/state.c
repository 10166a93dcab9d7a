/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.c - what is stored of a run beside its history (proto/flotilla/engine_state.proto);
 * state_load.c is the way back.
 *
 * Nothing that the history holds is stored twice: what an activity is to do is decoded from its
 * Scheduled event when it is handed out, the request ids of signals are read from the Signaled
 * events when a run is loaded. So the row of a run is small, and packing it cheap.
 */
#include "engine/core/attributes.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/namespace.h"
#include "engine/core/run.h"
#include "engine/core/update.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/decode.h"

static ProtobufCBinaryData bytes_of(const struct flo_blob *blob)
{
    return (ProtobufCBinaryData){blob->len, blob->data};
}

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
    out->attempt = task->attempt;
    if (task->speculative)
        return; /* it does not outlive the process */
    out->stage = (int32_t)task->stage;
    out->scheduled_event_id = task->scheduled_id;
    out->started_event_id = task->started_id;
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

static int pack_paused(const struct flo_core_activity *activity, struct flo_arena *arena,
                       FloEngine__ActivityState *to)
{
    if (!activity->paused)
        return 0;
    FloEngine__PausedState *paused = flo_arena_alloc(arena, sizeof *paused);
    if (!paused)
        return FLO_ENOMEM;
    flo_engine__paused_state__init(paused);
    paused->since_ns = activity->paused->since_ns;
    paused->identity = flo_text(activity->paused->identity);
    paused->reason = flo_text(activity->paused->reason);
    to->paused = paused;
    return 0;
}

static int pack_priority(const struct flo_priority *priority, struct flo_arena *arena,
                         FloEngine__PriorityState **out)
{
    if (!priority)
        return 0;
    *out = flo_arena_alloc(arena, sizeof **out);
    if (!*out)
        return FLO_ENOMEM;
    flo_engine__priority_state__init(*out);
    (*out)->level = priority->level;
    (*out)->fairness_key = flo_text(priority->key);
    (*out)->fairness_weight = priority->weight;
    return 0;
}

/* Told only where other options have come between the two. */
static int64_t pack_retry_until(const struct flo_core_activity *activity)
{
    const int64_t follows =
        activity->schedule_to_close_ns
            ? flo_add_ns(activity->first_scheduled_ns, activity->schedule_to_close_ns)
            : 0;
    if (activity->retry_until_ns == follows)
        return 0;
    return activity->retry_until_ns ? activity->retry_until_ns : -1;
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
        to->was_reset = activity->was_reset;
        to->heartbeat_reset = activity->heartbeat_reset;
        to->retry_until_ns = pack_retry_until(activity);
        if (pack_paused(activity, arena, to) ||
            pack_priority(activity->priority, arena, &to->priority))
            return FLO_ENOMEM;
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

static int pack_signal_requests(const struct flo_execution *execution, struct flo_arena *arena,
                                FloEngine__ExecutionState *out)
{
    const struct flo_map_entry *at = NULL;
    if (!execution->more->kept_signals)
        return 0;
    out->signal_requests =
        flo_arena_alloc(arena, execution->more->kept_signals * sizeof *out->signal_requests);
    if (!out->signal_requests)
        return FLO_ENOMEM;
    for (const char *id; (id = flo_execution_next_kept_signal(execution, &at));)
        out->signal_requests[out->n_signal_requests++] = flo_text(id);
    return 0;
}

static int pack_more(const struct flo_execution *execution, struct flo_arena *arena,
                     FloEngine__ExecutionState *out)
{
    const struct flo_run_more *more = execution->more;
    FloEngine__RunRequestState *to =
        new_list(arena, more->request_count, sizeof *to, (void ***)&out->requests);
    if (!to)
        return FLO_ENOMEM;
    out->reset_run_id = flo_text(more->reset_run_id);
    out->original_start_ns = more->original_start_ns;
    out->versioned = more->versioned;
    out->versioning_override = bytes_of(&more->versioning_override);
    out->n_requests = more->request_count;
    for (size_t i = 0; i < more->request_count; i++, to++) {
        flo_engine__run_request_state__init(to);
        to->id = more->requests[i].id;
        to->event_id = more->requests[i].event_id;
    }
    int rc = pack_signal_requests(execution, arena, out);
    return rc ? rc : pack_priority(more->priority, arena, &out->priority);
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
    out->has_cron = execution->has_cron;
    out->first_task_pending = execution->first_task_pending;
    out->next_event_id = execution->history.next_event_id;
    out->history_bytes = (int64_t)execution->history.len;
    out->state_transitions = execution->state_transitions;
    out->last_completed_started_id = execution->last_completed_started_id;
    out->cancel_requested = execution->cancel_requested;
    out->cancel_request_id = flo_text(execution->cancel_request_id);
    out->sticky_queue = flo_text(execution->sticky_queue);
    out->sticky_schedule_to_start_ns = execution->sticky_schedule_to_start_ns;
    out->has_build = execution->last_build != NULL;
    out->last_build_id = flo_text(execution->last_build);
    out->memo = bytes_of(&execution->memo);
    out->search_attributes = bytes_of(&execution->search_attributes);
    out->reset_points = bytes_of(&execution->reset_points);
    out->user_metadata = bytes_of(&execution->user_metadata);
    out->new_run_id = flo_text(execution->new_run_id);
    out->signal_count = execution->signal_count;
    out->update_count = (int64_t)flo_updates_recorded(execution);
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
    if (!rc && execution->more)
        rc = pack_more(execution, &lists, &state);
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
    row->is_new = execution->history.stored_next_id == 1;
    row->has_attributes = execution->has_attributes;
    row->memo = copy_blob(arena, &execution->memo, &row->memo_len, &failed);
    row->search_attributes =
        copy_blob(arena, &execution->search_attributes, &row->search_attributes_len, &failed);
    return failed ? FLO_ENOMEM : pack_state(execution, arena, row);
}

/* What lists find the run by, of the attributes copied to row. A name that is not defined any more
 * is left out. */
static int collect_attributes(struct flo_execution *execution, struct flo_arena *arena,
                              struct flo_core_run_row *row)
{
    ProtobufCMessage *message = NULL;
    row->attributes_changed = true;
    if (row->search_attributes_len) {
        int rc = flo_wire_decode(&flo_api__search_attributes__descriptor, row->search_attributes,
                                 row->search_attributes_len, arena, &message, NULL);
        if (rc == FLO_ENOMEM)
            return rc;
    }
    const FloApi__SearchAttributes *all = (const void *)message;
    const size_t count = all ? all->n_indexed_fields : 0;
    struct flo_core_attribute *attributes =
        flo_arena_alloc(arena, (count + 1) * sizeof *attributes);
    if (!attributes)
        return FLO_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const FloApi__SearchAttributes__IndexedFieldsEntry *field = all->indexed_fields[i];
        const FloApi__IndexedValueType type = flo_attribute_type(execution->hooks.ns, field->key);
        if (field->value && field->value->data.len &&
            type != FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_UNSPECIFIED)
            attributes[row->attribute_count++] =
                (struct flo_core_attribute){.name = field->key,
                                            .type = type,
                                            .json = field->value->data.data,
                                            .len = field->value->data.len};
    }
    row->attributes = attributes;
    execution->attributes_changed = false;
    execution->has_attributes = row->attribute_count > 0;
    return 0;
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
    if (!rows || fill_row(execution, arena, out_row) ||
        (execution->attributes_changed && collect_attributes(execution, arena, out_row)))
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
