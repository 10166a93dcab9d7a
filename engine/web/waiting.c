/* SPDX-License-Identifier: Apache-2.0 */
/* waiting.c - why an open run does not go on: its start is later, or its workflow task waits. */
#include <string.h>

#include "engine/web/page.h"
#include "wire/payload.h"

enum { EVENTS_SEARCHED = 20 }; /* from the end, for the last failure of a workflow task */

/* ---- a start that is later ---- */

/* Why the first task is later than the start. */
static const char *why_later(const FloApi__WorkflowExecutionStartedEventAttributes *started)
{
    if (*started->cron_schedule)
        return "cron schedule";
    if (started->initiator == FLO_API__CONTINUE_AS_NEW_INITIATOR__CONTINUE_AS_NEW_INITIATOR_RETRY)
        return "retry";
    return *started->continued_execution_run_id ? "continued as new" : "start delay";
}

static void put_later_start(struct flo_web_page *page, int64_t due_ns,
                            const FloApi__HistoryEvent *first)
{
    flo_html(page->out, "<section><h2>Waits to start</h2><p data-name=\"later\">The first workflow "
                        "task is due at ");
    flo_html_time(page->out, due_ns);
    flo_html(page->out, ", in ");
    flo_html_duration(page->out, due_ns - page->now_ns);
    if (first->event_type == FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_STARTED) {
        const FloApi__WorkflowExecutionStartedEventAttributes *started =
            first->workflow_execution_started_event_attributes;
        flo_html(page->out, " (%s", why_later(started));
        if (*started->cron_schedule)
            flo_html(page->out, " <span class=\"id\">%s</span>", started->cron_schedule);
        flo_html(page->out, ")");
    }
    flo_html(page->out, "</p></section>\n");
}

/* ---- who polls ---- */

struct polls {
    const char *namespace_name, *name;
    int64_t open;
};

static void count_polls(void *ctx, const struct flo_web_queue *queue)
{
    struct polls *polls = ctx;
    if (!queue->activity && strcmp(queue->name, polls->name) == 0 &&
        strcmp(queue->namespace_name, polls->namespace_name) == 0)
        polls->open += queue->pollers;
}

/* Who asked for workflow tasks of the queue last. NULL: nobody in the last minutes. */
static const FloApi__PollerInfo *last_poller(struct flo_web_page *page, const char *queue)
{
    FloApi__DescribeTaskQueueRequest request = FLO_API__DESCRIBE_TASK_QUEUE_REQUEST__INIT;
    FloApi__TaskQueue task_queue = FLO_API__TASK_QUEUE__INIT;
    const FloApi__PollerInfo *last = NULL;
    task_queue.name = (char *)(uintptr_t)queue;
    request.namespace_ = (char *)(uintptr_t)page->namespace_name;
    request.task_queue = &task_queue;
    request.task_queue_type = FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_WORKFLOW;
    const FloApi__DescribeTaskQueueResponse *answer =
        flo_web_ask(page, "DescribeTaskQueue", &request.base, NULL, NULL);
    for (size_t i = 0; answer && i < answer->n_pollers; i++) {
        const FloApi__PollerInfo *poller = answer->pollers[i];
        if (poller->last_access_time && (!last || flo_timestamp_ns(poller->last_access_time) >
                                                      flo_timestamp_ns(last->last_access_time)))
            last = poller;
    }
    return last;
}

static void put_polls(struct flo_web_page *page, const char *queue)
{
    struct polls polls = {.namespace_name = page->namespace_name, .name = queue};
    page->source->each_queue(page->source->ctx, count_polls, &polls);
    if (polls.open) {
        flo_html(page->out, "<p class=\"note\">%d open polls of <span class=\"id\">%s</span></p>",
                 polls.open, queue);
        return;
    }
    flo_html(page->out,
             "<p class=\"problem\" role=\"alert\">no worker polls <span class=\"id\">%s</span>",
             queue);
    const FloApi__PollerInfo *last = last_poller(page, queue);
    if (last) {
        flo_html(page->out, "; the last was <span class=\"id\">%s</span> at ", last->identity);
        flo_html_time(page->out, flo_timestamp_ns(last->last_access_time));
    }
    flo_html(page->out, "</p>\n");
}

/* ---- the workflow task ---- */

/* Why the attempt before failed: only the first of a row of failures is in the history. */
static void put_last_failure(struct flo_web_page *page, FloApi__WorkflowExecution *execution)
{
    FloApi__GetWorkflowExecutionHistoryReverseRequest request =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REVERSE_REQUEST__INIT;
    request.namespace_ = (char *)(uintptr_t)page->namespace_name;
    request.execution = execution;
    request.maximum_page_size = EVENTS_SEARCHED;
    const FloApi__GetWorkflowExecutionHistoryReverseResponse *answer =
        flo_web_ask(page, "GetWorkflowExecutionHistoryReverse", &request.base, NULL, NULL);
    for (size_t i = 0; answer && answer->history && i < answer->history->n_events; i++) {
        const FloApi__HistoryEvent *event = answer->history->events[i];
        if (event->event_type == FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
            return;
        if (event->event_type == FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_FAILED) {
            flo_web_failure(page, event->workflow_task_failed_event_attributes->failure);
            return;
        }
        if (event->event_type == FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT) {
            flo_html(page->out, "<p class=\"failure\">timed out</p>");
            return;
        }
    }
}

static void put_task(struct flo_web_page *page, const FloApi__PendingWorkflowTaskInfo *task,
                     const FloApi__WorkflowExecutionInfo *info)
{
    const bool started = task->started_time != NULL;
    const Google__Protobuf__Timestamp *since =
        started ? task->started_time
                : (task->original_scheduled_time ? task->original_scheduled_time
                                                 : task->scheduled_time);
    const int64_t since_ns = since ? flo_timestamp_ns(since) : 0;
    flo_html(page->out,
             "<section id=\"task\"><h2>Pending workflow task</h2><div class=\"scroll\"><table "
             "class=\"stack\"><thead><tr><th>State</th><th class=\"number\">Attempt</th><th>Since "
             "(<span class=\"zone\">UTC</span>)</th><th class=\"number\">For</th><th>Last failure"
             "</th></tr></thead><tbody>\n<tr><td>%s</td><td class=\"number\" "
             "data-name=\"attempt\">%d</td><td data-name=\"since\">",
             started ? "Started" : "Scheduled", (int64_t)task->attempt);
    flo_html_time(page->out, since_ns);
    flo_html(page->out, "</td><td class=\"number\" data-name=\"for\">");
    flo_html_duration(page->out, since_ns && since_ns < page->now_ns ? page->now_ns - since_ns : 0);
    flo_html(page->out, "</td><td>");
    if (task->attempt > 1)
        put_last_failure(page, info->execution);
    flo_html(page->out, "</td></tr>\n</tbody></table></div>\n");
    if (!started)
        put_polls(page, info->task_queue);
    flo_html(page->out, "</section>\n");
}

void flo_web_waiting(struct flo_web_page *page,
                     const FloApi__DescribeWorkflowExecutionResponse *description,
                     const FloApi__HistoryEvent *first)
{
    const FloApi__WorkflowExecutionInfo *info = description->workflow_execution_info;
    const int64_t due_ns = info->execution_time ? flo_timestamp_ns(info->execution_time) : 0;
    if (description->pending_workflow_task)
        put_task(page, description->pending_workflow_task, info);
    else if (due_ns > page->now_ns)
        put_later_start(page, due_ns, first);
}
