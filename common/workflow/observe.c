/* SPDX-License-Identifier: Apache-2.0 */
/*
 * observe.c - tells the observer of a run what happens; see run.h. What it makes with jansson is
 * its own, so it is called outside the run's heap.
 */
#include "workflow/internal.h"

void flo_observe_activation(struct flo_run *run, int64_t history_length)
{
    const struct flo_run_observer *observer = run->env.observer;
    const struct flo_run_step step = {
        .replaying = run->replaying, .history_length = history_length, .now_ns = run->now_ns};
    struct flo_heap *heap = flo_heap_enter(NULL);
    observer->activation(observer->ctx, &step);
    flo_heap_enter(heap);
}

static const char *job_name(FloApi__EventType type)
{
    switch (type) {
    case FLO_EVENT(WORKFLOW_EXECUTION_STARTED):
        return "initialize_workflow";
    case FLO_EVENT(WORKFLOW_TASK_FAILED):
        return "update_random_seed";
    case FLO_EVENT(WORKFLOW_EXECUTION_SIGNALED):
        return "signal_workflow";
    case FLO_EVENT(WORKFLOW_EXECUTION_CANCEL_REQUESTED):
        return "cancel_workflow";
    case FLO_EVENT(WORKFLOW_EXECUTION_UPDATE_ACCEPTED):
        return "do_update";
    case FLO_EVENT(TIMER_FIRED):
        return "fire_timer";
    case FLO_EVENT(START_CHILD_WORKFLOW_EXECUTION_FAILED):
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_STARTED):
        return "resolve_child_workflow_execution_start";
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_COMPLETED):
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_FAILED):
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_CANCELED):
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_TIMED_OUT):
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_TERMINATED):
        return "resolve_child_workflow_execution";
    case FLO_EVENT(SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED):
    case FLO_EVENT(EXTERNAL_WORKFLOW_EXECUTION_SIGNALED):
        return "resolve_signal_external_workflow";
    case FLO_EVENT(REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED):
    case FLO_EVENT(EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED):
        return "resolve_request_cancel_external_workflow";
    default: /* of activities, local ones (their markers) too */
        return "resolve_activity";
    }
}

void flo_observe_job(struct flo_run *run, const char *name, const FloApi__HistoryEvent *event)
{
    const struct flo_run_observer *observer = run->env.observer;
    struct flo_heap *heap = flo_heap_enter(NULL);
    observer->job(observer->ctx, name ? name : job_name(event->event_type), event);
    flo_heap_enter(heap);
}

void flo_observe_commands(struct flo_run *run)
{
    const struct flo_run_observer *observer = run->env.observer;
    FLO_LIST_FOREACH(node, &run->commands)
    {
        struct flo_command *command = flo_container(node, struct flo_command, node);
        char what[240] = "", place[80];
        if (command->observed)
            continue;
        command->observed = true;
        command->ops->describe(command, what, sizeof what);
        flo_place_describe(&command->at, place, sizeof place);
        struct flo_heap *heap = flo_heap_enter(NULL);
        observer->command(observer->ctx, flo_command_name(command->ops->type), what, place);
        flo_heap_enter(heap);
    }
}
