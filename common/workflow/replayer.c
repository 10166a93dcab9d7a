/* SPDX-License-Identifier: Apache-2.0 */
/* replayer.c - a whole history as one workflow task; see replayer.h. */
#include "workflow/replayer.h"

#include "workflow/names.h"

static const FloApi__WorkflowExecutionStartedEventAttributes *start_of(
    const FloApi__History *history)
{
    const FloApi__HistoryEvent *first = history->n_events ? history->events[0] : NULL;
    return first &&
                   first->attributes_case ==
                       FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_STARTED_EVENT_ATTRIBUTES
               ? first->workflow_execution_started_event_attributes
               : NULL;
}

/* The last event of that type below index end, or NULL. */
static const FloApi__HistoryEvent *last_of(const FloApi__History *history, size_t end,
                                           FloApi__EventType type)
{
    while (end-- > 0) {
        if (history->events[end]->event_type == type)
            return history->events[end];
    }
    return NULL;
}

static void fill_task(const FloApi__History *history, FloApi__PollWorkflowTaskQueueResponse *task)
{
    const FloApi__HistoryEvent *completed =
        last_of(history, history->n_events, FLO_EVENT(WORKFLOW_TASK_COMPLETED));
    const FloApi__HistoryEvent *started =
        last_of(history, history->n_events, FLO_EVENT(WORKFLOW_TASK_STARTED));
    task->history = (FloApi__History *)(uintptr_t)history;
    task->attempt = 1;
    task->started_event_id = started ? started->event_id : 0;
    if (!completed)
        return;
    for (size_t i = history->n_events; i-- > 0;) {
        const FloApi__HistoryEvent *event = history->events[i];
        if (event->event_id < completed->event_id &&
            event->event_type == FLO_EVENT(WORKFLOW_TASK_STARTED)) {
            task->previous_started_event_id = event->event_id;
            return;
        }
    }
}

int flo_replay_history(const struct flo_run_env *env, flo_workflow_lookup_fn lookup,
                       void *lookup_ctx, const FloApi__History *history, struct flo_arena *arena,
                       struct flo_replay_verdict *out)
{
    const FloApi__WorkflowExecutionStartedEventAttributes *start = start_of(history);
    FloApi__PollWorkflowTaskQueueResponse task = FLO_API__POLL_WORKFLOW_TASK_QUEUE_RESPONSE__INIT;
    struct flo_activation answer = {0};
    struct flo_run *run;
    int rc = flo_run_new(env, lookup, lookup_ctx,
                         start && *start->workflow_id ? start->workflow_id : "replayed",
                         start ? start->original_execution_run_id : "", &run);
    if (rc)
        return rc;
    fill_task(history, &task);
    rc = flo_run_activate(run, &task, arena, &answer);
    flo_run_destroy(&run);
    if (rc)
        return rc;
    *out = (struct flo_replay_verdict){
        .good = answer.outcome != FLO_ACTIVATION_FAIL,
        .message = "",
        .why = "",
        .workflow_type = start && start->workflow_type ? start->workflow_type->name : "",
        .event_count = history->n_events,
    };
    if (!out->good) {
        out->nondeterministic =
            answer.cause ==
            FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR;
        out->message = answer.failure->message;
        out->why = answer.failure->stack_trace;
    }
    return 0;
}
