/* SPDX-License-Identifier: Apache-2.0 */
/* explain_gather.c - see explain_gather.h: DescribeWorkflowExecution, the history, and
 * DescribeTaskQueue of every queue that something waits in. */
#include "cli/explain_gather.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/explain_history.h"
#include "wire/decode.h"
#include "wire/payload.h"

#define PAGES_MAX 64 /* of a history, 1,000 events each: more than servers allow a run */
#define PAGE_EVENTS 1000

static int64_t ms_of(const Google__Protobuf__Timestamp *timestamp)
{
    return timestamp ? flo_timestamp_ns(timestamp) / FLO_NS_PER_MS : 0;
}

static char *borrowed(const char *text)
{
    return (char *)(uintptr_t)(text ? text : "");
}

static const char *keep(struct cli_explain_gather *gather, const char *text)
{
    const char *kept = flo_arena_strdup(gather->arena, text ? text : "");
    return kept ? kept : "";
}

/* ---- the workflow ---- */

static bool has_namespace(struct cli_explain_gather *gather)
{
    FloApi__DescribeNamespaceRequest request = FLO_API__DESCRIBE_NAMESPACE_REQUEST__INIT;
    struct cli_waiter waiter;
    cli_waiter_init(&waiter, gather->session);
    request.namespace_ = borrowed(gather->facts->name_space);
    int code =
        cli_waiter_run(&waiter, flo_client_describe_namespace(gather->session->client, &request,
                                                              cli_waiter_done, &waiter, NULL));
    cli_waiter_fini(&waiter);
    return code != FLO_GRPC_NOT_FOUND;
}

static void set_trouble(struct cli_explain_gather *gather, int code, const char *message)
{
    struct cli_explain_facts *facts = gather->facts;
    const char *reason = gather->session->reason;
    facts->trouble_text = keep(gather, message);
    if (code == FLO_GRPC_NOT_FOUND) {
        facts->trouble = has_namespace(gather) ? CLI_EXPLAIN_NOT_FOUND : CLI_EXPLAIN_NO_NAMESPACE;
    } else if (code == FLO_GRPC_UNAVAILABLE || code == FLO_GRPC_DEADLINE_EXCEEDED) {
        facts->trouble = CLI_EXPLAIN_SERVER_AWAY;
        if (*reason)
            facts->trouble_text = keep(gather, reason);
    } else {
        facts->trouble = CLI_EXPLAIN_REFUSED;
    }
}

static void take_activity(struct cli_explain_gather *gather, const FloApi__PendingActivityInfo *in,
                          struct cli_explain_activity *out)
{
    const int64_t next_ms = ms_of(in->next_attempt_schedule_time);
    const FloApi__TaskQueue *queue = in->activity_options ? in->activity_options->task_queue : NULL;
    *out = (struct cli_explain_activity){.id = in->activity_id,
                                         .type = in->activity_type ? in->activity_type->name : "",
                                         .queue = queue ? queue->name : "",
                                         .attempt = in->attempt,
                                         .attempts_max = in->maximum_attempts,
                                         .scheduled_ms = ms_of(in->scheduled_time),
                                         .next_attempt_ms = next_ms,
                                         .started_ms = ms_of(in->last_started_time),
                                         .heartbeat_ms = ms_of(in->last_heartbeat_time),
                                         .identity = in->last_worker_identity,
                                         .failure =
                                             cli_explain_failure(gather->arena, in->last_failure)};
    if (in->attempt > 1 && next_ms)
        out->scheduled_ms = next_ms; /* this attempt's */
    else if (in->attempt > 1 && in->last_attempt_complete_time)
        out->scheduled_ms = ms_of(in->last_attempt_complete_time);
    if (in->paused || in->state == FLO_API__PENDING_ACTIVITY_STATE__PENDING_ACTIVITY_STATE_PAUSED)
        out->state = CLI_EXPLAIN_PAUSED;
    else if (in->state == FLO_API__PENDING_ACTIVITY_STATE__PENDING_ACTIVITY_STATE_CANCEL_REQUESTED)
        out->state = CLI_EXPLAIN_CANCELLING;
    else if (in->state == FLO_API__PENDING_ACTIVITY_STATE__PENDING_ACTIVITY_STATE_STARTED ||
             in->state == FLO_API__PENDING_ACTIVITY_STATE__PENDING_ACTIVITY_STATE_PAUSE_REQUESTED)
        out->state = CLI_EXPLAIN_RUNNING;
    else
        out->state = next_ms > gather->facts->now_ms ? CLI_EXPLAIN_BACKOFF : CLI_EXPLAIN_QUEUED;
    gather->facts->poison |= cli_explain_is_poison(in->last_failure);
}

static void take_info(struct cli_explain_facts *facts, const FloApi__WorkflowExecutionInfo *info)
{
    if (!info)
        return;
    if (info->execution)
        facts->run_id = info->execution->run_id;
    facts->type = info->type ? info->type->name : "";
    facts->queue = info->task_queue;
    facts->status = (enum cli_explain_status)info->status;
    facts->started_ms = ms_of(info->start_time);
    facts->closed_ms = ms_of(info->close_time);
    facts->first_task_ms = ms_of(info->execution_time);
}

static void take_description(struct cli_explain_gather *gather,
                             const FloApi__DescribeWorkflowExecutionResponse *d)
{
    struct cli_explain_facts *facts = gather->facts;
    struct cli_explain_activity *activities =
        flo_arena_calloc(gather->arena, d->n_pending_activities, sizeof *activities);
    struct cli_explain_child *children =
        flo_arena_calloc(gather->arena, d->n_pending_children, sizeof *children);
    take_info(facts, d->workflow_execution_info);
    facts->cancel_requested =
        d->workflow_extended_info && d->workflow_extended_info->cancel_requested;
    for (size_t i = 0; activities && i < d->n_pending_activities; i++)
        take_activity(gather, d->pending_activities[i], &activities[i]);
    for (size_t i = 0; children && i < d->n_pending_children; i++)
        children[i] =
            (struct cli_explain_child){.workflow_id = d->pending_children[i]->workflow_id,
                                       .type = d->pending_children[i]->workflow_type_name};
    facts->activities = activities;
    facts->activity_count = activities ? d->n_pending_activities : 0;
    facts->children = children;
    facts->child_count = children ? d->n_pending_children : 0;
    const FloApi__PendingWorkflowTaskInfo *task = d->pending_workflow_task;
    if (!task)
        return;
    facts->task.pending = true;
    facts->task.started =
        task->state == FLO_API__PENDING_WORKFLOW_TASK_STATE__PENDING_WORKFLOW_TASK_STATE_STARTED;
    facts->task.attempt = task->attempt;
    facts->task.scheduled_ms = ms_of(task->scheduled_time);
    facts->task.started_ms = ms_of(task->started_time);
}

static bool describe(struct cli_explain_gather *gather, FloApi__WorkflowExecution *execution)
{
    struct cli_waiter waiter;
    FloApi__DescribeWorkflowExecutionRequest request =
        FLO_API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    cli_waiter_init(&waiter, gather->session);
    request.execution = execution;
    int code = cli_waiter_run(
        &waiter, flo_client_describe_workflow_execution(gather->session->client, &request,
                                                        cli_waiter_done, &waiter, NULL));
    const FloApi__DescribeWorkflowExecutionResponse *description =
        waiter.response ? (const void *)flo_wire_copy(waiter.response, gather->arena) : NULL;
    if (code == FLO_GRPC_OK && description)
        take_description(gather, description);
    else
        set_trouble(gather, code, waiter.message);
    cli_waiter_fini(&waiter);
    return gather->facts->trouble == CLI_EXPLAIN_FOUND;
}

/* ---- its history ---- */

static void take_event(struct cli_explain_gather *gather, struct cli_explain_scan *scan,
                       const FloApi__HistoryEvent *event)
{
    if (scan)
        cli_explain_scan_event(scan, event);
    else
        cli_explain_close(gather->facts, gather->arena, event);
}

/* One page, of a run that is open (scan) or its last event; false: it was the last one. */
static bool read_page(struct cli_explain_gather *gather, FloApi__WorkflowExecution *execution,
                      struct flo_buf *token, struct cli_explain_scan *scan)
{
    FloApi__GetWorkflowExecutionHistoryRequest request =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    struct cli_waiter waiter;
    cli_waiter_init(&waiter, gather->session);
    request.execution = execution;
    request.maximum_page_size = PAGE_EVENTS;
    request.next_page_token.data = token->data;
    request.next_page_token.len = token->len;
    if (!scan)
        request.history_event_filter_type =
            FLO_API__HISTORY_EVENT_FILTER_TYPE__HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
    int code = cli_waiter_run(
        &waiter, flo_client_get_workflow_execution_history(gather->session->client, &request,
                                                           cli_waiter_done, &waiter, NULL));
    const FloApi__GetWorkflowExecutionHistoryResponse *response =
        (const FloApi__GetWorkflowExecutionHistoryResponse *)waiter.response;
    flo_buf_clear(token);
    if (code == FLO_GRPC_OK && response) {
        for (size_t i = 0; response->history && i < response->history->n_events; i++)
            take_event(gather, scan, response->history->events[i]);
        flo_buf_append(token, response->next_page_token.data, response->next_page_token.len);
    }
    cli_waiter_fini(&waiter);
    return token->len > 0;
}

static void take_scan(struct cli_explain_gather *gather, const struct cli_explain_scan *scan)
{
    struct cli_explain_facts *facts = gather->facts;
    struct cli_explain_timer *timers =
        flo_arena_calloc(gather->arena, scan->timers.count, sizeof *timers);
    for (size_t i = 0; timers && i < scan->timers.count; i++)
        timers[i] = (struct cli_explain_timer){.id = scan->timers.items[i].id,
                                               .fires_ms = scan->timers.items[i].at_ms};
    facts->timers = timers;
    facts->timer_count = timers ? scan->timers.count : 0;
    facts->external_count = scan->externals.count;
    facts->task.queue = scan->task_queue;
    facts->task.sticky = scan->task_sticky && facts->task.attempt <= 1;
    facts->task.identity = scan->task_identity;
    facts->task_failure = scan->task_failure;
    facts->task_failure_cause = scan->task_failure_cause;
    facts->task_failure_identity = scan->task_failure_identity;
    facts->last_event = scan->last_event;
    facts->last_event_ms = scan->last_event_ms;
    facts->poison |= scan->poison;
}

/* Where each activity waits, when the server did not say. */
static void place_activities(struct cli_explain_gather *gather, const struct cli_explain_scan *scan)
{
    struct cli_explain_activity *activities =
        (struct cli_explain_activity *)(uintptr_t)gather->facts->activities;
    for (size_t i = 0; i < gather->facts->activity_count; i++) {
        const char *queue = cli_explain_scan_queue(scan, activities[i].id);
        if (!*activities[i].queue && queue)
            activities[i].queue = queue;
    }
}

static void read_history(struct cli_explain_gather *gather, FloApi__WorkflowExecution *execution)
{
    const bool open =
        gather->facts->status == CLI_EXPLAIN_OPEN || gather->facts->status == CLI_EXPLAIN_WF_PAUSED;
    struct cli_explain_scan scan;
    struct flo_buf token;
    flo_buf_init(&token, 0);
    cli_explain_scan_init(&scan, gather->arena);
    for (int i = 0; i < PAGES_MAX && read_page(gather, execution, &token, open ? &scan : NULL); i++)
        ;
    if (open) {
        take_scan(gather, &scan);
        place_activities(gather, &scan);
    }
    cli_explain_scan_fini(&scan);
    flo_buf_fini(&token);
}

/* ---- the queues ---- */

static void take_queue(struct cli_explain_queue *queue,
                       const FloApi__DescribeTaskQueueResponse *response)
{
    queue->pollers = response->n_pollers;
    for (size_t i = 0; i < response->n_pollers; i++) {
        const int64_t last_ms = ms_of(response->pollers[i]->last_access_time);
        if (last_ms > queue->last_poll_ms)
            queue->last_poll_ms = last_ms;
    }
    if (!response->stats)
        return;
    queue->backlog = response->stats->approximate_backlog_count;
    queue->backlog_age_ms =
        flo_duration_ns(response->stats->approximate_backlog_age) / FLO_NS_PER_MS;
}

static void ask_queue(struct cli_explain_gather *gather, struct cli_explain_queue *queue)
{
    FloApi__DescribeTaskQueueRequest request = FLO_API__DESCRIBE_TASK_QUEUE_REQUEST__INIT;
    FloApi__TaskQueue name = FLO_API__TASK_QUEUE__INIT;
    struct cli_waiter waiter;
    cli_waiter_init(&waiter, gather->session);
    name.name = borrowed(queue->name);
    name.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    request.task_queue = &name;
    request.report_stats = true;
    request.task_queue_type = queue->activities
                                  ? FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_ACTIVITY
                                  : FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_WORKFLOW;
    int code =
        cli_waiter_run(&waiter, flo_client_describe_task_queue(gather->session->client, &request,
                                                               cli_waiter_done, &waiter, NULL));
    if (code == FLO_GRPC_OK && waiter.response)
        take_queue(queue, (const FloApi__DescribeTaskQueueResponse *)waiter.response);
    else
        queue->refused = keep(gather, waiter.message ? waiter.message : flo_grpc_code_name(code));
    cli_waiter_fini(&waiter);
}

static void add_queue(struct cli_explain_queue *queues, size_t *count, const char *name,
                      bool activities)
{
    for (size_t i = 0; i < *count; i++)
        if (queues[i].activities == activities && strcmp(queues[i].name, name) == 0)
            return;
    if (*name && *count < CLI_EXPLAIN_QUEUES_MAX)
        queues[(*count)++] =
            (struct cli_explain_queue){.name = name, .activities = activities, .backlog = -1};
}

static void ask_queues(struct cli_explain_gather *gather)
{
    struct cli_explain_facts *facts = gather->facts;
    struct cli_explain_queue *queues =
        flo_arena_calloc(gather->arena, CLI_EXPLAIN_QUEUES_MAX, sizeof *queues);
    size_t count = 0;
    if (!queues)
        return;
    if (facts->task.pending && !facts->task.started)
        add_queue(queues, &count, facts->queue, false);
    for (size_t i = 0; i < facts->activity_count; i++)
        if (facts->activities[i].state == CLI_EXPLAIN_QUEUED ||
            facts->activities[i].state == CLI_EXPLAIN_BACKOFF)
            add_queue(queues, &count, facts->activities[i].queue, true);
    for (size_t i = 0; i < count; i++)
        ask_queue(gather, &queues[i]);
    facts->queues = queues;
    facts->queue_count = count;
}

void cli_explain_ask_server(struct cli_explain_gather *gather, const char *workflow_id,
                            const char *run_id)
{
    struct cli_explain_facts *facts = gather->facts;
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    facts->now_ms = flo_clock_wall_ns() / FLO_NS_PER_MS;
    facts->address = keep(gather, gather->session->address);
    facts->name_space = gather->options->namespace_;
    facts->workflow_id = workflow_id;
    facts->run_id = run_id;
    execution.workflow_id = borrowed(workflow_id);
    execution.run_id = borrowed(run_id);
    if (describe(gather, &execution)) {
        execution.run_id = borrowed(facts->run_id); /* one run, even when it goes on in a new one */
        read_history(gather, &execution);
        ask_queues(gather);
    }
}
