/* SPDX-License-Identifier: Apache-2.0 */
/* command_apply.c - checked commands to events and pending things, in their order. */
#include <string.h>

#include "base/alloc.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/namespace.h"
#include "engine/core/run.h"
#include "engine/core/task.h"
#include "engine/core/update.h"

#define EVENT(name) FLO_API__EVENT_TYPE__EVENT_TYPE_##name

static int64_t write(struct flo_core *core, struct flo_execution *execution, FloApi__EventType type,
                     void *attributes, const FloApi__Command *command)
{
    struct flo_event event = {
        .type = type,
        .attributes = attributes,
        .user_metadata = command->user_metadata,
    };
    return flo_history_write(core, execution, &event);
}

/* ---- activities ---- */

struct activity_times {
    Google__Protobuf__Duration schedule_to_close, schedule_to_start, start_to_close, heartbeat;
    Google__Protobuf__Duration initial, maximum;
};

/* What was left open follows from what is set, and nothing is longer than the run may take. */
static void normalise_timeouts(const struct flo_execution *execution,
                               const FloApi__ScheduleActivityTaskCommandAttributes *command,
                               struct activity_times *out)
{
    int64_t s2c = flo_duration_ns(command->schedule_to_close_timeout);
    int64_t s2s = flo_duration_ns(command->schedule_to_start_timeout);
    int64_t stc = flo_duration_ns(command->start_to_close_timeout);
    int64_t heartbeat = flo_duration_ns(command->heartbeat_timeout);
    int64_t run = execution->run_timeout_ns;
    if (s2c > 0) {
        s2s = flo_min_timeout(s2s, s2c);
        stc = flo_min_timeout(stc, s2c);
    } else {
        s2c = run;
        s2s = s2s > 0 ? s2s : run;
    }
    if (run > 0) {
        s2c = flo_min_timeout(s2c, run);
        s2s = flo_min_timeout(s2s, run);
        stc = flo_min_timeout(stc, run);
    }
    if (heartbeat > stc)
        heartbeat = stc;
    out->schedule_to_close = flo_make_duration(s2c);
    out->schedule_to_start = flo_make_duration(s2s);
    out->start_to_close = flo_make_duration(stc);
    out->heartbeat = flo_make_duration(heartbeat);
}

static void fill_policy(const FloApi__RetryPolicy *asked, struct activity_times *times,
                        FloApi__RetryPolicy *out)
{
    struct flo_core_retry_policy policy = flo_core_retry_normalise(asked);
    flo_api__retry_policy__init(out);
    times->initial = flo_make_duration(policy.initial_ns);
    times->maximum = flo_make_duration(policy.maximum_ns);
    out->initial_interval = &times->initial;
    out->maximum_interval = &times->maximum;
    out->backoff_coefficient = policy.coefficient;
    out->maximum_attempts = policy.maximum_attempts;
    out->non_retryable_error_types = policy.non_retryable;
    out->n_non_retryable_error_types = policy.n_non_retryable;
}

/* Not past the queue's rate limit; which queues it serves, the worker knows. */
static bool grants_eager(struct flo_core *core, const struct flo_execution *execution,
                         const FloApi__ScheduleActivityTaskCommandAttributes *command,
                         const char *queue)
{
    return command->request_eager_execution && !core->options.no_eager_activities &&
           !flo_matching_rate_limited(core, execution->hooks.ns, queue);
}

static struct flo_core_activity *schedule_activity(struct flo_core *core,
                                                   struct flo_execution *execution,
                                                   const FloApi__Command *command,
                                                   int64_t completed_id)
{
    FloApi__ScheduleActivityTaskCommandAttributes *asked =
        command->schedule_activity_task_command_attributes;
    struct activity_times times;
    FloApi__RetryPolicy policy;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    FloApi__ActivityTaskScheduledEventAttributes scheduled =
        FLO_API__ACTIVITY_TASK_SCHEDULED_EVENT_ATTRIBUTES__INIT;
    normalise_timeouts(execution, asked, &times);
    fill_policy(asked->retry_policy, &times, &policy);
    queue.name = asked->task_queue->name;
    queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    scheduled.activity_id = asked->activity_id;
    scheduled.activity_type = asked->activity_type;
    scheduled.task_queue = &queue;
    scheduled.header = asked->header;
    scheduled.input = asked->input;
    scheduled.schedule_to_close_timeout = &times.schedule_to_close;
    scheduled.schedule_to_start_timeout = &times.schedule_to_start;
    scheduled.start_to_close_timeout = &times.start_to_close;
    scheduled.heartbeat_timeout = &times.heartbeat;
    scheduled.workflow_task_completed_event_id = completed_id;
    scheduled.retry_policy = &policy;
    scheduled.use_workflow_build_id = asked->use_workflow_build_id;
    scheduled.priority = asked->priority;
    int64_t id = write(core, execution, EVENT(ACTIVITY_TASK_SCHEDULED), &scheduled, command);
    bool eager = grants_eager(core, execution, asked, queue.name);
    struct flo_core_activity *activity =
        flo_core_activity_add(core, execution, id, &scheduled, !eager);
    return eager ? activity : NULL;
}

static void cancel_activity(struct flo_core *core, struct flo_execution *execution,
                            const FloApi__Command *command, int64_t completed_id,
                            const char *identity)
{
    int64_t scheduled_id =
        command->request_cancel_activity_task_command_attributes->scheduled_event_id;
    FloApi__ActivityTaskCancelRequestedEventAttributes requested =
        FLO_API__ACTIVITY_TASK_CANCEL_REQUESTED_EVENT_ATTRIBUTES__INIT;
    requested.scheduled_event_id = scheduled_id;
    requested.workflow_task_completed_event_id = completed_id;
    int64_t id = write(core, execution, EVENT(ACTIVITY_TASK_CANCEL_REQUESTED), &requested, command);
    struct flo_core_activity *activity = flo_core_activity_by_event(execution, scheduled_id);
    if (activity && !activity->cancel_requested)
        flo_core_activity_request_cancel(core, activity, id, identity);
}

/* ---- timers, markers ---- */

static void start_timer(struct flo_core *core, struct flo_execution *execution,
                        const FloApi__Command *command, int64_t completed_id)
{
    FloApi__StartTimerCommandAttributes *asked = command->start_timer_command_attributes;
    FloApi__TimerStartedEventAttributes started = FLO_API__TIMER_STARTED_EVENT_ATTRIBUTES__INIT;
    started.timer_id = asked->timer_id;
    started.start_to_fire_timeout = asked->start_to_fire_timeout;
    started.workflow_task_completed_event_id = completed_id;
    int64_t id = write(core, execution, EVENT(TIMER_STARTED), &started, command);
    int64_t deadline = flo_add_ns(core->now_ns, flo_duration_ns(asked->start_to_fire_timeout));
    flo_user_timer_add(core, execution, asked->timer_id, id, deadline);
    flo_user_timers_arm(core, execution);
}

/* The timer may have fired while the task was with its worker: then that never happened. */
static void cancel_timer(struct flo_core *core, struct flo_execution *execution,
                         const FloApi__Command *command, int64_t completed_id, const char *identity)
{
    const char *timer_id = command->cancel_timer_command_attributes->timer_id;
    FloApi__TimerCanceledEventAttributes canceled = FLO_API__TIMER_CANCELED_EVENT_ATTRIBUTES__INIT;
    canceled.timer_id = flo_text(timer_id);
    canceled.workflow_task_completed_event_id = completed_id;
    canceled.identity = flo_text(identity);
    struct flo_user_timer *timer = flo_user_timer_find(execution, timer_id);
    if (timer) {
        canceled.started_event_id = timer->started_id;
        flo_user_timer_free(execution, timer);
        flo_user_timers_arm(core, execution);
    } else {
        struct flo_buffered_event *fired = flo_history_buffered_timer(core, execution, timer_id);
        if (!fired)
            return; /* fatal: memory; the check has seen it */
        canceled.started_event_id = fired->ref;
        flo_history_drop_buffered(execution, fired);
    }
    write(core, execution, EVENT(TIMER_CANCELED), &canceled, command);
}

static void record_marker(struct flo_core *core, struct flo_execution *execution,
                          const FloApi__Command *command, int64_t completed_id)
{
    FloApi__RecordMarkerCommandAttributes *asked = command->record_marker_command_attributes;
    FloApi__MarkerRecordedEventAttributes marker = FLO_API__MARKER_RECORDED_EVENT_ATTRIBUTES__INIT;
    marker.marker_name = asked->marker_name;
    marker.workflow_task_completed_event_id = completed_id;
    marker.header = asked->header;
    marker.failure = asked->failure;
    marker.n_details = asked->n_details;
    FloApi__MarkerRecordedEventAttributes__DetailsEntry *entries =
        flo_arena_calloc(&core->scratch, asked->n_details + 1, sizeof *entries);
    marker.details = flo_arena_calloc(&core->scratch, asked->n_details + 1, sizeof(void *));
    if (!entries || !marker.details) {
        flo_core_set_fatal(core);
        return;
    }
    for (size_t i = 0; i < asked->n_details; i++) {
        flo_api__marker_recorded_event_attributes__details_entry__init(&entries[i]);
        entries[i].key = asked->details[i]->key;
        entries[i].value = asked->details[i]->value;
        marker.details[i] = &entries[i];
    }
    write(core, execution, EVENT(MARKER_RECORDED), &marker, command);
}

/* ---- other runs ---- */

static void start_child(struct flo_core *core, struct flo_execution *execution,
                        const FloApi__Command *command, int64_t completed_id)
{
    FloApi__StartChildWorkflowExecutionCommandAttributes *asked =
        command->start_child_workflow_execution_command_attributes;
    struct flo_namespace *ns =
        *asked->namespace_ ? flo_namespace_by_name(core, asked->namespace_) : execution->hooks.ns;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    bool own_queue = !asked->task_queue || !*asked->task_queue->name;
    queue.name = own_queue ? flo_text(execution->task_queue) : asked->task_queue->name;
    queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    int64_t execution_ns = flo_duration_ns(asked->workflow_execution_timeout);
    int64_t run_ns = flo_min_timeout(flo_duration_ns(asked->workflow_run_timeout), execution_ns);
    int64_t task_ns = flo_duration_ns(asked->workflow_task_timeout);
    task_ns = task_ns > 0 ? task_ns : FLO_CORE_RUN_WORKFLOW_TASK_NS;
    task_ns = flo_min_timeout(task_ns, FLO_CORE_RUN_WORKFLOW_TASK_MAX_NS);
    Google__Protobuf__Duration run_timeout = flo_make_duration(run_ns);
    Google__Protobuf__Duration task_timeout = flo_make_duration(flo_min_timeout(task_ns, run_ns));
    struct activity_times times;
    FloApi__RetryPolicy policy;
    FloApi__StartChildWorkflowExecutionInitiatedEventAttributes initiated =
        FLO_API__START_CHILD_WORKFLOW_EXECUTION_INITIATED_EVENT_ATTRIBUTES__INIT;
    initiated.namespace_ = ns ? ns->name : asked->namespace_;
    initiated.namespace_id = ns ? ns->id : flo_text("");
    initiated.workflow_id = asked->workflow_id;
    initiated.workflow_type = asked->workflow_type;
    initiated.task_queue = &queue;
    initiated.input = asked->input;
    initiated.workflow_execution_timeout = asked->workflow_execution_timeout;
    initiated.workflow_run_timeout = &run_timeout;
    initiated.workflow_task_timeout = &task_timeout;
    initiated.parent_close_policy =
        asked->parent_close_policy ? asked->parent_close_policy
                                   : FLO_API__PARENT_CLOSE_POLICY__PARENT_CLOSE_POLICY_TERMINATE;
    initiated.workflow_id_reuse_policy =
        asked->workflow_id_reuse_policy
            ? asked->workflow_id_reuse_policy
            : FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE;
    if (asked->retry_policy) {
        fill_policy(asked->retry_policy, &times, &policy);
        initiated.retry_policy = &policy;
    }
    initiated.cron_schedule = asked->cron_schedule;
    initiated.control = asked->control;
    initiated.header = asked->header;
    initiated.memo = asked->memo;
    initiated.search_attributes = asked->search_attributes;
    initiated.inherit_build_id = asked->inherit_build_id;
    initiated.priority = asked->priority;
    initiated.workflow_task_completed_event_id = completed_id;
    int64_t id = write(core, execution, EVENT(START_CHILD_WORKFLOW_EXECUTION_INITIATED), &initiated,
                       command);
    flo_core_child_add(core, execution, id, ns, asked->workflow_id, asked->workflow_type->name,
                       (int)initiated.parent_close_policy);
    flo_outbound_add(core, execution, FLO_OUTBOUND_CHILD, id);
}

static const char *namespace_id(struct flo_core *core, const struct flo_execution *execution,
                                const char *name)
{
    const struct flo_namespace *ns =
        *name ? flo_namespace_by_name(core, name) : execution->hooks.ns;
    return ns ? ns->id : "";
}

static void signal_external(struct flo_core *core, struct flo_execution *execution,
                            const FloApi__Command *command, int64_t completed_id)
{
    FloApi__SignalExternalWorkflowExecutionCommandAttributes *asked =
        command->signal_external_workflow_execution_command_attributes;
    FloApi__SignalExternalWorkflowExecutionInitiatedEventAttributes initiated =
        FLO_API__SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED_EVENT_ATTRIBUTES__INIT;
    initiated.workflow_task_completed_event_id = completed_id;
    initiated.namespace_ = asked->namespace_;
    initiated.namespace_id = flo_text(namespace_id(core, execution, asked->namespace_));
    initiated.workflow_execution = asked->execution;
    initiated.signal_name = asked->signal_name;
    initiated.input = asked->input;
    initiated.control = asked->control;
    initiated.child_workflow_only = asked->child_workflow_only;
    initiated.header = asked->header;
    int64_t id = write(core, execution, EVENT(SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED),
                       &initiated, command);
    flo_outbound_add(core, execution, FLO_OUTBOUND_SIGNAL, id);
}

static void cancel_external(struct flo_core *core, struct flo_execution *execution,
                            const FloApi__Command *command, int64_t completed_id)
{
    FloApi__RequestCancelExternalWorkflowExecutionCommandAttributes *asked =
        command->request_cancel_external_workflow_execution_command_attributes;
    FloApi__WorkflowExecution ids = FLO_API__WORKFLOW_EXECUTION__INIT;
    ids.workflow_id = asked->workflow_id;
    ids.run_id = asked->run_id;
    FloApi__RequestCancelExternalWorkflowExecutionInitiatedEventAttributes initiated =
        FLO_API__REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED_EVENT_ATTRIBUTES__INIT;
    initiated.workflow_task_completed_event_id = completed_id;
    initiated.namespace_ = asked->namespace_;
    initiated.namespace_id = flo_text(namespace_id(core, execution, asked->namespace_));
    initiated.workflow_execution = &ids;
    initiated.control = asked->control;
    initiated.child_workflow_only = asked->child_workflow_only;
    initiated.reason = asked->reason;
    int64_t id = write(core, execution, EVENT(REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED),
                       &initiated, command);
    flo_outbound_add(core, execution, FLO_OUTBOUND_CANCEL, id);
}

/* ---- memo and search attributes ---- */

/* Does a value remove its key? */
static bool removes(const FloApi__Payload *payload)
{
    return !payload || payload->data.len == 0 ||
           (payload->data.len == 2 && !memcmp(payload->data.data, "[]", 2));
}

/* What an entry of a map field says; both kinds of entries look alike. */
struct map_entry {
    const char *key;
    const FloApi__Payload *value;
};

static struct map_entry attribute_entry(const void *entry)
{
    const FloApi__SearchAttributes__IndexedFieldsEntry *field = entry;
    return (struct map_entry){field->key, field->value};
}

static struct map_entry memo_entry(const void *entry)
{
    const FloApi__Memo__FieldsEntry *field = entry;
    return (struct map_entry){field->key, field->value};
}

/* Put the entries of old, then of upserted, into out: a later one replaces an earlier one, an empty
 * one removes it. Returns how many. */
static size_t merge(struct flo_core *core, void **out, void *const *old, size_t n_old,
                    void *const *upserted, size_t n_upserted,
                    struct map_entry (*read)(const void *entry))
{
    struct flo_map map;
    size_t count = 0;
    flo_map_init(&map);
    for (size_t i = 0; i < n_old + n_upserted; i++) {
        void *entry = i < n_old ? old[i] : upserted[i - n_old];
        struct map_entry field = read(entry);
        if (removes(field.value))
            flo_map_remove_str(&map, field.key);
        else if (flo_map_put_str(&map, field.key, entry))
            flo_core_set_fatal(core);
    }
    for (struct flo_map_entry *it = flo_map_first(&map); it; it = flo_map_next(it))
        out[count++] = flo_map_value(it);
    flo_map_fini(&map);
    return count;
}

void flo_merge_search_attributes(struct flo_core *core, struct flo_execution *execution,
                                 const FloApi__SearchAttributes *upserted)
{
    FloApi__SearchAttributes none = FLO_API__SEARCH_ATTRIBUTES__INIT, *old;
    FloApi__SearchAttributes merged = FLO_API__SEARCH_ATTRIBUTES__INIT;
    old = flo_blob_decode(core, &execution->search_attributes,
                          &flo_api__search_attributes__descriptor);
    old = old ? old : &none;
    merged.indexed_fields = flo_arena_calloc(
        &core->scratch, old->n_indexed_fields + upserted->n_indexed_fields + 1, sizeof(void *));
    if (!merged.indexed_fields) {
        flo_core_set_fatal(core);
        return;
    }
    merged.n_indexed_fields = merge(
        core, (void **)merged.indexed_fields, (void **)old->indexed_fields, old->n_indexed_fields,
        (void **)upserted->indexed_fields, upserted->n_indexed_fields, attribute_entry);
    flo_blob_set(core, &execution->search_attributes, &merged.base);
}

void flo_merge_memo(struct flo_core *core, struct flo_execution *execution,
                    const FloApi__Memo *upserted)
{
    FloApi__Memo none = FLO_API__MEMO__INIT, *old;
    FloApi__Memo merged = FLO_API__MEMO__INIT;
    old = flo_blob_decode(core, &execution->memo, &flo_api__memo__descriptor);
    old = old ? old : &none;
    merged.fields =
        flo_arena_calloc(&core->scratch, old->n_fields + upserted->n_fields + 1, sizeof(void *));
    if (!merged.fields) {
        flo_core_set_fatal(core);
        return;
    }
    merged.n_fields = merge(core, (void **)merged.fields, (void **)old->fields, old->n_fields,
                            (void **)upserted->fields, upserted->n_fields, memo_entry);
    flo_blob_set(core, &execution->memo, &merged.base);
}

static void upsert_search_attributes(struct flo_core *core, struct flo_execution *execution,
                                     const FloApi__Command *command, int64_t completed_id)
{
    FloApi__UpsertWorkflowSearchAttributesEventAttributes upserted =
        FLO_API__UPSERT_WORKFLOW_SEARCH_ATTRIBUTES_EVENT_ATTRIBUTES__INIT;
    upserted.workflow_task_completed_event_id = completed_id;
    upserted.search_attributes =
        command->upsert_workflow_search_attributes_command_attributes->search_attributes;
    write(core, execution, EVENT(UPSERT_WORKFLOW_SEARCH_ATTRIBUTES), &upserted, command);
    flo_merge_search_attributes(core, execution, upserted.search_attributes);
    execution->attributes_changed = true;
}

static void modify_properties(struct flo_core *core, struct flo_execution *execution,
                              const FloApi__Command *command, int64_t completed_id)
{
    FloApi__WorkflowPropertiesModifiedEventAttributes modified =
        FLO_API__WORKFLOW_PROPERTIES_MODIFIED_EVENT_ATTRIBUTES__INIT;
    modified.workflow_task_completed_event_id = completed_id;
    modified.upserted_memo = command->modify_workflow_properties_command_attributes->upserted_memo;
    write(core, execution, EVENT(WORKFLOW_PROPERTIES_MODIFIED), &modified, command);
    if (modified.upserted_memo)
        flo_merge_memo(core, execution, modified.upserted_memo);
}

/* ---- one command ---- */

struct flo_core_activity *flo_command_apply(struct flo_core *core, struct flo_execution *execution,
                                            const FloApi__Command *command, int64_t completed_id,
                                            const char *identity)
{
    switch (command->command_type) {
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK:
        return schedule_activity(core, execution, command, completed_id);
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK:
        cancel_activity(core, execution, command, completed_id, identity);
        break;
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_START_TIMER:
        start_timer(core, execution, command, completed_id);
        break;
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_CANCEL_TIMER:
        cancel_timer(core, execution, command, completed_id,
                     execution->workflow_task.start->identity);
        break;
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_RECORD_MARKER:
        record_marker(core, execution, command, completed_id);
        break;
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION:
        start_child(core, execution, command, completed_id);
        break;
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION:
        signal_external(core, execution, command, completed_id);
        break;
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION:
        cancel_external(core, execution, command, completed_id);
        break;
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
        upsert_search_attributes(core, execution, command, completed_id);
        break;
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES:
        modify_properties(core, execution, command, completed_id);
        break;
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION:
        flo_close_completed(core, execution,
                            command->complete_workflow_execution_command_attributes,
                            command->user_metadata, completed_id);
        break;
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION:
        flo_close_failed(core, execution,
                         command->fail_workflow_execution_command_attributes->failure,
                         command->user_metadata, completed_id);
        break;
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION:
        flo_close_canceled(core, execution,
                           command->cancel_workflow_execution_command_attributes->details,
                           command->user_metadata, completed_id);
        break;
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION:
        flo_close_continued(core, execution,
                            command->continue_as_new_workflow_execution_command_attributes,
                            command->user_metadata, completed_id);
        break;
    case FLO_API__COMMAND_TYPE__COMMAND_TYPE_PROTOCOL_MESSAGE:
        flo_update_apply_command(core, execution, command);
        break;
    default: /* the check refuses all others */
        break;
    }
    return NULL;
}
