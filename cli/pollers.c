/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pollers.c - one workflow's history names its queue and those of the activities that it waits for;
 * then each queue is asked about, one after the other.
 */
#include "cli/pollers.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define EVENTS_MAX 1000
/* Servers remember pollers for five minutes, and a poll takes one: who has not come back for this
 * long is busy, quiet or gone. So is, much sooner, who leaves tasks in the queue. */
#define SILENT_S 90
#define BACKLOG_S 2

enum { UNKNOWN, POLLED, SILENT, NOBODY };

static const char *kind_name(const struct cli_pollers_queue *queue)
{
    return queue->activities ? "activities" : "workflows";
}

static void ask_next(struct cli_pollers *pollers);

static void unknown(struct cli_pollers *pollers, const char *why)
{
    if (!pollers->said_unknown)
        cli_progress_say(pollers->progress, "the server does not say who polls: %s", why);
    pollers->said_unknown = true;
}

/* ---- who polls ---- */

/* Seconds since the last poll, by our clock; -1: nobody has polled. */
static int64_t last_poll_s(const FloApi__DescribeTaskQueueResponse *response)
{
    const int64_t now_s = flo_clock_wall_ns() / FLO_NS_PER_S;
    int64_t least = -1;
    for (size_t i = 0; i < response->n_pollers; i++) {
        const Google__Protobuf__Timestamp *last = response->pollers[i]->last_access_time;
        const int64_t ago = last && last->seconds < now_s ? now_s - last->seconds : 0;
        if (least < 0 || ago < least)
            least = ago;
    }
    return least;
}

static int state_of(const FloApi__DescribeTaskQueueResponse *response, int64_t ago_s)
{
    const bool backlog = response->stats && response->stats->approximate_backlog_count > 0;
    if (ago_s < 0)
        return NOBODY;
    return ago_s > (backlog ? BACKLOG_S : SILENT_S) ? SILENT : POLLED;
}

static void judge(struct cli_pollers *pollers, struct cli_pollers_queue *queue,
                  const FloApi__DescribeTaskQueueResponse *response)
{
    const int before = queue->state;
    const int64_t ago_s = last_poll_s(response);
    queue->state = state_of(response, ago_s);
    if (queue->state == before)
        return;
    if (queue->state == NOBODY)
        cli_progress_say(pollers->progress, "no worker polls task queue %s (%s)", queue->name,
                         kind_name(queue));
    else if (queue->state == SILENT)
        cli_progress_say(pollers->progress,
                         "no worker has polled task queue %s (%s) for %lld s: they are busy, "
                         "quiet or gone",
                         queue->name, kind_name(queue), (long long)ago_s);
    else if (before != UNKNOWN)
        cli_progress_say(pollers->progress, "a worker polls task queue %s (%s) now", queue->name,
                         kind_name(queue));
}

static void on_described(void *ctx, const struct flo_grpc_status *status,
                         const ProtobufCMessage *message)
{
    struct cli_pollers *pollers = ctx;
    pollers->call = NULL; /* it has ended */
    if (status->code == FLO_GRPC_OK)
        judge(pollers, &pollers->queues[pollers->asked],
              (const FloApi__DescribeTaskQueueResponse *)message);
    else if (status->code != FLO_GRPC_UNAVAILABLE && status->code != FLO_GRPC_DEADLINE_EXCEEDED)
        unknown(pollers, status->message);
    pollers->asked++;
    ask_next(pollers);
}

static void ask_next(struct cli_pollers *pollers)
{
    FloApi__DescribeTaskQueueRequest request = FLO_API__DESCRIBE_TASK_QUEUE_REQUEST__INIT;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    if (pollers->asked == pollers->queue_count)
        return;
    const struct cli_pollers_queue *next = &pollers->queues[pollers->asked];
    queue.name = (char *)(uintptr_t)next->name;
    queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    request.task_queue = &queue;
    request.report_stats = true;
    request.task_queue_type = next->activities ? FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_ACTIVITY
                                               : FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_WORKFLOW;
    int rc = flo_client_describe_task_queue(pollers->session->client, &request, on_described,
                                            pollers, &pollers->call);
    if (rc)
        unknown(pollers, flo_error_text(rc));
}

/* ---- what a workflow waits for ---- */

static void add_queue(struct cli_pollers *pollers, const char *name, bool activities)
{
    for (size_t i = 0; i < pollers->queue_count; i++)
        if (pollers->queues[i].activities == activities &&
            strcmp(pollers->queues[i].name, name) == 0)
            return;
    if (pollers->queue_count == CLI_POLLERS_QUEUES_MAX ||
        strlen(name) >= sizeof pollers->queues[0].name)
        return;
    struct cli_pollers_queue *queue = &pollers->queues[pollers->queue_count++];
    *queue = (struct cli_pollers_queue){.activities = activities};
    snprintf(queue->name, sizeof queue->name, "%s", name);
}

/* The event that says how the activity of an event went on names that event. */
static int64_t closes(const FloApi__HistoryEvent *event)
{
    switch (event->event_type) {
    case FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
        return event->activity_task_completed_event_attributes->scheduled_event_id;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_FAILED:
        return event->activity_task_failed_event_attributes->scheduled_event_id;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
        return event->activity_task_timed_out_event_attributes->scheduled_event_id;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_CANCELED:
        return event->activity_task_canceled_event_attributes->scheduled_event_id;
    default:
        return 0;
    }
}

static void add_queues(struct cli_pollers *pollers, const FloApi__History *history)
{
    for (size_t i = 0; i < history->n_events; i++) {
        const FloApi__HistoryEvent *event = history->events[i];
        const FloApi__TaskQueue *queue = NULL;
        bool activity =
            event->event_type == FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_SCHEDULED;
        bool open = activity;
        for (size_t k = i + 1; open && k < history->n_events; k++)
            open = closes(history->events[k]) != event->event_id;
        if (open)
            queue = event->activity_task_scheduled_event_attributes->task_queue;
        else if (event->event_type == FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
            queue = event->workflow_execution_started_event_attributes->task_queue;
        if (queue)
            add_queue(pollers, queue->name, activity);
    }
}

static void on_history(void *ctx, const struct flo_grpc_status *status,
                       const ProtobufCMessage *message)
{
    struct cli_pollers *pollers = ctx;
    pollers->call = NULL; /* it has ended */
    if (status->code == FLO_GRPC_OK) {
        const FloApi__GetWorkflowExecutionHistoryResponse *response =
            (const FloApi__GetWorkflowExecutionHistoryResponse *)message;
        if (response->history)
            add_queues(pollers, response->history);
    }
    ask_next(pollers); /* of those that are known, in any case */
}

/* ---- outside ---- */

void cli_pollers_init(struct cli_pollers *pollers, struct cli_session *session,
                      struct cli_progress *progress, const char *task_queue)
{
    *pollers = (struct cli_pollers){.session = session, .progress = progress};
    if (task_queue)
        add_queue(pollers, task_queue, false);
}

void cli_pollers_ask(struct cli_pollers *pollers, const char *workflow_id, const char *run_id)
{
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    FloApi__GetWorkflowExecutionHistoryRequest request =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    if (pollers->call)
        return;
    pollers->asked = 0;
    if (!workflow_id) {
        ask_next(pollers);
        return;
    }
    execution.workflow_id = (char *)(uintptr_t)workflow_id;
    execution.run_id = (char *)(uintptr_t)run_id;
    request.execution = &execution;
    request.maximum_page_size = EVENTS_MAX;
    request.skip_archival = true;
    int rc = flo_client_get_workflow_execution_history(pollers->session->client, &request,
                                                       on_history, pollers, &pollers->call);
    if (rc)
        unknown(pollers, flo_error_text(rc));
}

bool cli_pollers_lacking(const struct cli_pollers *pollers)
{
    for (size_t i = 0; i < pollers->queue_count; i++)
        if (pollers->queues[i].state > POLLED)
            return true;
    return false;
}

void cli_pollers_fini(struct cli_pollers *pollers)
{
    flo_client_call_cancel(&pollers->call);
}
