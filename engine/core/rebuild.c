/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rebuild.c - the state of a run is folded out of its events, one after the other.
 *
 * The engine stores states beside histories and never needs this to recover; only a reset makes a
 * run whose state nobody has seen yet. What no event tells (an attempt of an activity that was
 * under way, stickiness, who polls) is gone, as for a worker that reads the history anew.
 */
#include "engine/core/rebuild.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/namespace.h"
#include "engine/core/options.h"
#include "engine/core/reply.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "engine/core/task.h"
#include "engine/core/update.h"

#define EVENT(name) FLO_API__EVENT_TYPE__EVENT_TYPE_##name

/* ---- workflow tasks ---- */

static void task_scheduled(struct flo_execution *execution, const FloApi__HistoryEvent *event)
{
    const FloApi__WorkflowTaskScheduledEventAttributes *scheduled =
        event->workflow_task_scheduled_event_attributes;
    struct flo_core_workflow_task *task = &execution->workflow_task;
    execution->first_task_pending = false;
    task->stage = FLO_CORE_WORKFLOW_TASK_SCHEDULED;
    task->transient = false;
    task->attempt = scheduled->attempt;
    task->scheduled_id = event->event_id;
    task->started_id = 0;
    task->scheduled_ns = task->original_scheduled_ns = flo_timestamp_ns(event->event_time);
    task->start_to_close_ns = flo_duration_ns(scheduled->start_to_close_timeout);
}

static void task_started(struct flo_core *core, struct flo_execution *execution,
                         const FloApi__HistoryEvent *event)
{
    const FloApi__WorkflowTaskStartedEventAttributes *started =
        event->workflow_task_started_event_attributes;
    struct flo_core_workflow_task *task = &execution->workflow_task;
    const struct flo_core_worker worker = {
        .identity = started->identity,
        .build_id = started->worker_version ? started->worker_version->build_id : "",
        .has_build_id = started->worker_version != NULL,
        .request_id = started->request_id,
    };
    task->stage = FLO_CORE_WORKFLOW_TASK_STARTED;
    task->started_id = event->event_id;
    task->started_ns = flo_timestamp_ns(event->event_time);
    task->history_bytes = started->history_size_bytes;
    task->suggest_continue_as_new = started->suggest_continue_as_new;
    (void)flo_core_workflow_task_set_start(core, task, &worker); /* else fatal */
}

static void task_gone(struct flo_execution *execution)
{
    execution->workflow_task.stage = FLO_CORE_WORKFLOW_TASK_NONE;
    flo_core_workflow_task_forget_start(execution);
}

static void task_completed(struct flo_core *core, struct flo_execution *execution,
                           const FloApi__HistoryEvent *event)
{
    const FloApi__WorkflowTaskCompletedEventAttributes *completed =
        event->workflow_task_completed_event_attributes;
    const char *build_id = completed->worker_version ? completed->worker_version->build_id : "";
    task_gone(execution);
    execution->workflow_task.attempt = 1;
    execution->last_completed_started_id = completed->started_event_id;
    flo_core_note_build(core, execution, build_id, completed->binary_checksum, event->event_id);
}

/* Another attempt follows at once, which has no events of its own until something else happens. */
static void task_lost(struct flo_execution *execution, const FloApi__HistoryEvent *event)
{
    struct flo_core_workflow_task *task = &execution->workflow_task;
    task_gone(execution);
    task->attempt++;
    task->stage = FLO_CORE_WORKFLOW_TASK_SCHEDULED;
    task->transient = true;
    task->scheduled_id = event->event_id + 1;
    task->started_id = 0;
    task->scheduled_ns = task->original_scheduled_ns = flo_timestamp_ns(event->event_time);
    task->start_to_close_ns = execution->task_timeout_ns;
}

/* ---- activities, timers ---- */

static void activity_scheduled(struct flo_core *core, struct flo_execution *execution,
                               const FloApi__HistoryEvent *event)
{
    struct flo_core_activity *activity = flo_core_activity_add(
        core, execution, event->event_id, event->activity_task_scheduled_event_attributes, false);
    if (activity)
        activity->first_scheduled_ns = activity->scheduled_ns = flo_timestamp_ns(event->event_time);
}

static void activity_started(struct flo_core *core, const struct flo_execution *execution,
                             const FloApi__HistoryEvent *event)
{
    const FloApi__ActivityTaskStartedEventAttributes *started =
        event->activity_task_started_event_attributes;
    struct flo_core_activity *activity =
        flo_core_activity_by_event(execution, started->scheduled_event_id);
    if (!activity)
        return;
    activity->stage = FLO_CORE_ACTIVITY_STARTED;
    activity->attempt = started->attempt;
    activity->started_ns = flo_timestamp_ns(event->event_time);
    flo_set_text(core, &activity->identity, started->identity);
}

static void activity_cancel_requested(const struct flo_execution *execution,
                                      const FloApi__HistoryEvent *event)
{
    struct flo_core_activity *activity = flo_core_activity_by_event(
        execution, event->activity_task_cancel_requested_event_attributes->scheduled_event_id);
    if (!activity)
        return;
    activity->cancel_requested = true;
    activity->cancel_requested_id = event->event_id;
}

static void activity_over(struct flo_core *core, struct flo_execution *execution,
                          int64_t scheduled_id)
{
    struct flo_core_activity *activity = flo_core_activity_by_event(execution, scheduled_id);
    if (activity)
        flo_core_activity_remove(core, activity);
}

static void timer_started(struct flo_core *core, struct flo_execution *execution,
                          const FloApi__HistoryEvent *event)
{
    const FloApi__TimerStartedEventAttributes *started = event->timer_started_event_attributes;
    flo_user_timer_add(core, execution, started->timer_id, event->event_id,
                       flo_add_ns(flo_timestamp_ns(event->event_time),
                                  flo_duration_ns(started->start_to_fire_timeout)));
}

static void timer_over(struct flo_execution *execution, const char *timer_id)
{
    struct flo_user_timer *timer = flo_user_timer_find(execution, timer_id);
    if (timer)
        flo_user_timer_free(execution, timer);
}

/* ---- other runs ---- */

static void child_initiated(struct flo_core *core, struct flo_execution *execution,
                            const FloApi__HistoryEvent *event)
{
    const FloApi__StartChildWorkflowExecutionInitiatedEventAttributes *initiated =
        event->start_child_workflow_execution_initiated_event_attributes;
    flo_core_child_add(core, execution, event->event_id,
                       flo_namespace_by_id(core, initiated->namespace_id), initiated->workflow_id,
                       initiated->workflow_type->name, (int)initiated->parent_close_policy);
}

static void child_started(struct flo_core *core, struct flo_execution *execution,
                          const FloApi__HistoryEvent *event)
{
    const FloApi__ChildWorkflowExecutionStartedEventAttributes *started =
        event->child_workflow_execution_started_event_attributes;
    struct flo_core_child *child = flo_core_child_by_event(execution, started->initiated_event_id);
    if (!child)
        return;
    child->started_id = event->event_id;
    flo_set_text(core, &child->run_id, started->workflow_execution->run_id);
}

static void child_over(struct flo_execution *execution, int64_t initiated_id)
{
    struct flo_core_child *child = flo_core_child_by_event(execution, initiated_id);
    if (child)
        flo_core_child_remove(execution, child);
}

/* A signal or cancel request was answered. */
static void outbound_over(struct flo_execution *execution, int64_t initiated_id)
{
    FLO_LIST_FOREACH_SAFE(node, &execution->outbound)
    {
        struct flo_outbound *outbound = flo_container(node, struct flo_outbound, node);
        if (outbound->initiated_id != initiated_id)
            continue;
        flo_list_remove(&execution->outbound, node);
        flo_free(outbound);
    }
}

static bool fold_other_runs(struct flo_core *core, struct flo_execution *execution,
                            const FloApi__HistoryEvent *event)
{
    switch (event->event_type) {
    case EVENT(START_CHILD_WORKFLOW_EXECUTION_INITIATED):
        child_initiated(core, execution, event);
        return true;
    case EVENT(CHILD_WORKFLOW_EXECUTION_STARTED):
        child_started(core, execution, event);
        return true;
#define CHILD_OVER(type, field)                                                                    \
    case EVENT(type):                                                                              \
        child_over(execution, event->field##_event_attributes->initiated_event_id);                \
        return true
        CHILD_OVER(START_CHILD_WORKFLOW_EXECUTION_FAILED, start_child_workflow_execution_failed);
        CHILD_OVER(CHILD_WORKFLOW_EXECUTION_COMPLETED, child_workflow_execution_completed);
        CHILD_OVER(CHILD_WORKFLOW_EXECUTION_FAILED, child_workflow_execution_failed);
        CHILD_OVER(CHILD_WORKFLOW_EXECUTION_CANCELED, child_workflow_execution_canceled);
        CHILD_OVER(CHILD_WORKFLOW_EXECUTION_TIMED_OUT, child_workflow_execution_timed_out);
        CHILD_OVER(CHILD_WORKFLOW_EXECUTION_TERMINATED, child_workflow_execution_terminated);
#undef CHILD_OVER
    case EVENT(SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED):
        flo_outbound_add(core, execution, FLO_OUTBOUND_SIGNAL, event->event_id);
        return true;
    case EVENT(REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED):
        flo_outbound_add(core, execution, FLO_OUTBOUND_CANCEL, event->event_id);
        return true;
#define OUTBOUND_OVER(type, field)                                                                 \
    case EVENT(type):                                                                              \
        outbound_over(execution, event->field##_event_attributes->initiated_event_id);             \
        return true
        OUTBOUND_OVER(SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
                      signal_external_workflow_execution_failed);
        OUTBOUND_OVER(EXTERNAL_WORKFLOW_EXECUTION_SIGNALED, external_workflow_execution_signaled);
        OUTBOUND_OVER(REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
                      request_cancel_external_workflow_execution_failed);
        OUTBOUND_OVER(EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
                      external_workflow_execution_cancel_requested);
#undef OUTBOUND_OVER
    default:
        return false;
    }
}

/* ---- one event ---- */

static bool fold_activity(struct flo_core *core, struct flo_execution *execution,
                          const FloApi__HistoryEvent *event)
{
    switch (event->event_type) {
    case EVENT(ACTIVITY_TASK_SCHEDULED):
        activity_scheduled(core, execution, event);
        return true;
    case EVENT(ACTIVITY_TASK_STARTED):
        activity_started(core, execution, event);
        return true;
    case EVENT(ACTIVITY_TASK_CANCEL_REQUESTED):
        activity_cancel_requested(execution, event);
        return true;
#define ACTIVITY_OVER(type, field)                                                                 \
    case EVENT(type):                                                                              \
        activity_over(core, execution, event->field##_event_attributes->scheduled_event_id);       \
        return true
        ACTIVITY_OVER(ACTIVITY_TASK_COMPLETED, activity_task_completed);
        ACTIVITY_OVER(ACTIVITY_TASK_FAILED, activity_task_failed);
        ACTIVITY_OVER(ACTIVITY_TASK_TIMED_OUT, activity_task_timed_out);
        ACTIVITY_OVER(ACTIVITY_TASK_CANCELED, activity_task_canceled);
#undef ACTIVITY_OVER
    default:
        return false;
    }
}

static void signaled(struct flo_core *core, struct flo_execution *execution,
                     const FloApi__HistoryEvent *event)
{
    execution->signal_count++;
    if (flo_execution_note_signal(execution,
                                  event->workflow_execution_signaled_event_attributes->request_id))
        flo_core_set_fatal(core);
}

static void fold(struct flo_core *core, struct flo_execution *execution,
                 const FloApi__HistoryEvent *event)
{
    if (fold_activity(core, execution, event) || fold_other_runs(core, execution, event))
        return;
    switch (event->event_type) {
    case EVENT(WORKFLOW_TASK_SCHEDULED):
        task_scheduled(execution, event);
        break;
    case EVENT(WORKFLOW_TASK_STARTED):
        task_started(core, execution, event);
        break;
    case EVENT(WORKFLOW_TASK_COMPLETED):
        task_completed(core, execution, event);
        break;
    case EVENT(WORKFLOW_TASK_FAILED):
    case EVENT(WORKFLOW_TASK_TIMED_OUT):
        task_lost(execution, event);
        break;
    case EVENT(TIMER_STARTED):
        timer_started(core, execution, event);
        break;
    case EVENT(TIMER_FIRED):
        timer_over(execution, event->timer_fired_event_attributes->timer_id);
        break;
    case EVENT(TIMER_CANCELED):
        timer_over(execution, event->timer_canceled_event_attributes->timer_id);
        break;
    case EVENT(WORKFLOW_EXECUTION_SIGNALED):
        signaled(core, execution, event);
        break;
    case EVENT(WORKFLOW_EXECUTION_CANCEL_REQUESTED):
        execution->cancel_requested = true;
        break;
    case EVENT(UPSERT_WORKFLOW_SEARCH_ATTRIBUTES):
        flo_merge_search_attributes(
            core, execution,
            event->upsert_workflow_search_attributes_event_attributes->search_attributes);
        break;
    case EVENT(WORKFLOW_PROPERTIES_MODIFIED):
        if (event->workflow_properties_modified_event_attributes->upserted_memo)
            flo_merge_memo(core, execution,
                           event->workflow_properties_modified_event_attributes->upserted_memo);
        break;
    case EVENT(WORKFLOW_EXECUTION_OPTIONS_UPDATED):
        flo_options_apply(core, execution,
                          event->workflow_execution_options_updated_event_attributes,
                          event->event_id);
        break;
    default: /* markers say nothing, updates are read from the whole history */
        break;
    }
}

/* ---- the run ---- */

static struct flo_execution *born(struct flo_core *core, const struct flo_rebuild *rebuild,
                                  const FloApi__HistoryEvent *first)
{
    const struct flo_execution_args args = {
        .ns = rebuild->base->hooks.ns,
        .run_id = rebuild->run_id,
        .request_id = rebuild->request_id,
        .started = first->workflow_execution_started_event_attributes,
        .user_metadata = first->user_metadata,
    };
    return flo_execution_born(core, &args, core->now_ns);
}

static int copy_history(struct flo_execution *execution, const struct flo_history *base,
                        int64_t last_id)
{
    int64_t first, last = 0;
    int rc = 0;
    while (!rc && last < last_id && flo_history_batch(base, last + 1, &first, &last)) {
        struct flo_core_history_batch batch = {.first_event_id = first,
                                               .event_count = (uint32_t)(last - first + 1)};
        flo_history_range(base, first, last, &batch.events, &batch.len);
        rc = flo_history_restore(&execution->history, &batch);
    }
    return rc;
}

static int fold_all(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_history *history = &execution->history;
    struct flo_arena mem; /* of the event that is looked at */
    bool updates = false;
    int rc = 0;
    flo_arena_init(&mem, 0);
    for (int64_t id = 2; id < history->next_event_id && !rc; id++) {
        FloApi__HistoryEvent *event = flo_history_decode(history, id, &mem);
        if (event) {
            fold(core, execution, event);
            updates = updates || event->event_type == EVENT(WORKFLOW_EXECUTION_UPDATE_ADMITTED) ||
                      event->event_type == EVENT(WORKFLOW_EXECUTION_UPDATE_ACCEPTED);
        } else {
            rc = FLO_EDATA;
        }
        flo_arena_reset(&mem);
    }
    flo_arena_fini(&mem);
    if (!rc && updates)
        rc = flo_updates_load(core, execution);
    return core->fatal ? FLO_ENOMEM : rc;
}

int flo_rebuild_run(struct flo_core *core, const struct flo_rebuild *rebuild,
                    struct flo_execution **out, struct flo_status *status)
{
    const struct flo_history *base = &rebuild->base->history;
    int64_t first_id, last_id;
    if (!flo_history_batch(base, rebuild->last_id, &first_id, &last_id) ||
        last_id != rebuild->last_id)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "StateRebuilder unable to Rebuild mutable state to event ID: %lld, "
                              "version: 0, this event must be at the boundary",
                              (long long)rebuild->last_id);
    const FloApi__HistoryEvent *first = flo_history_decode(base, 1, &core->scratch);
    struct flo_execution *execution = first ? born(core, rebuild, first) : NULL;
    int rc = execution ? copy_history(execution, base, rebuild->last_id) : FLO_ENOMEM;
    if (!rc)
        rc = fold_all(core, execution);
    if (!rc) {
        *out = execution;
        return 0;
    }
    flo_execution_destroy(core, &execution);
    if (rc == FLO_EDATA)
        return flo_status_set(core, status, FLO_GRPC_DATA_LOSS,
                              "the history of workflow ID \"%s\" is damaged",
                              rebuild->base->workflow_id);
    return flo_status_no_memory(status);
}
