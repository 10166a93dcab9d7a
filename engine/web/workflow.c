/* SPDX-License-Identifier: Apache-2.0 */
/* workflow.c - "/workflow": one run: what it is, what it waits for, what happened. */
#include <string.h>

#include "engine/web/page.h"
#include "wire/payload.h"

enum {
    PAGE_EVENTS = 1000,       /* asked for at a time, and shown on a page */
    PAGE_BYTES_MAX = 8 << 20, /* of a page's events; more are behind a link */
};

/* A page of the history. */
struct events {
    FloApi__HistoryEvent **list;
    size_t count;
    ProtobufCBinaryData next; /* its token; empty: this was the end */
    bool later;               /* it is not the first page */
    const char *problem;      /* why there is none; NULL */
};

static struct events read_events(struct flo_web_page *page, FloApi__WorkflowExecution *execution)
{
    FloApi__GetWorkflowExecutionHistoryRequest request =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    struct events events = {0};
    size_t bytes = 0;
    if (!flo_web_token(page, "page", &request.next_page_token)) {
        events.problem = "that is no page of a history";
        return events;
    }
    events.later = request.next_page_token.len > 0;
    events.list = flo_arena_calloc(&page->arena, PAGE_EVENTS, sizeof *events.list);
    request.namespace_ = (char *)(uintptr_t)page->namespace_name;
    request.execution = execution;
    do {
        request.maximum_page_size = (int32_t)(PAGE_EVENTS - events.count);
        const FloApi__GetWorkflowExecutionHistoryResponse *answer =
            flo_web_ask(page, "GetWorkflowExecutionHistory", &request.base, NULL, &events.problem);
        if (!answer || !events.list)
            break;
        events.problem = NULL;
        const FloApi__History *history = answer->history;
        for (size_t i = 0; history && i < history->n_events && events.count < PAGE_EVENTS; i++)
            events.list[events.count++] = history->events[i];
        bytes += history ? protobuf_c_message_get_packed_size(&history->base) : 0;
        events.next = request.next_page_token = answer->next_page_token;
    } while (events.next.len && events.count < PAGE_EVENTS && bytes < PAGE_BYTES_MAX);
    return events;
}

/* ---- what it is ---- */

static void put_fact(struct flo_web_page *page, const char *name)
{
    flo_html(page->out, "<dt>%s</dt><dd>", name);
}

static void put_run_link(struct flo_web_page *page, const char *name,
                         const FloApi__WorkflowExecution *execution)
{
    if (!execution || !*execution->workflow_id)
        return;
    put_fact(page, name);
    flo_web_workflow_link(page, execution->workflow_id, execution->run_id);
    flo_html(page->out, "</dd>\n");
}

static void put_summary(struct flo_web_page *page,
                        const FloApi__DescribeWorkflowExecutionResponse *description)
{
    const FloApi__WorkflowExecutionInfo *info = description->workflow_execution_info;
    const int64_t start_ns = flo_timestamp_ns(info->start_time);
    const int64_t close_ns = info->close_time ? flo_timestamp_ns(info->close_time) : 0;
    flo_html(page->out, "<dl class=\"facts\">");
    put_fact(page, "Type");
    flo_html(page->out, "<span class=\"id\">%s</span></dd>", info->type ? info->type->name : "");
    put_fact(page, "Namespace");
    flo_html(page->out, "<span class=\"id\">%s</span></dd>", page->namespace_name);
    put_fact(page, "Run");
    flo_html(page->out, "<span class=\"id\">%s</span></dd>", info->execution->run_id);
    put_fact(page, "Task queue");
    flo_html(page->out, "<span class=\"id\">%s</span></dd>", info->task_queue);
    put_fact(page, "Started");
    flo_html_time(page->out, start_ns);
    flo_html(page->out, "</dd>");
    put_fact(page, close_ns ? "Closed" : "Running for");
    if (close_ns) {
        flo_html_time(page->out, close_ns);
        flo_html(page->out, ", after ");
    }
    flo_html_duration(page->out, (close_ns ? close_ns : page->now_ns) - start_ns);
    flo_html(page->out, "</dd>");
    put_fact(page, "History");
    flo_html(page->out, "%d events, ", info->history_length);
    flo_html_bytes(page->out, info->history_size_bytes);
    flo_html(page->out, "</dd>");
    put_run_link(page, "Parent", info->parent_execution);
    if (info->root_execution && info->parent_execution &&
        strcmp(info->root_execution->run_id, info->parent_execution->run_id) != 0)
        put_run_link(page, "Root", info->root_execution);
    flo_html(page->out, "</dl>\n");
    if (info->search_attributes && info->search_attributes->n_indexed_fields) {
        flo_html(page->out, "<details><summary>Search attributes</summary>");
        flo_web_message(page, &info->search_attributes->base);
        flo_html(page->out, "</details>\n");
    }
    if (info->memo && info->memo->n_fields) {
        flo_html(page->out, "<details><summary>Memo</summary>");
        flo_web_message(page, &info->memo->base);
        flo_html(page->out, "</details>\n");
    }
}

/* ---- what went in and came out ---- */

static void put_result(struct flo_web_page *page, const FloApi__HistoryEvent *event)
{
    switch (event->event_type) {
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
        flo_web_payloads(page, event->workflow_execution_completed_event_attributes->result);
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
        flo_web_failure(page, event->workflow_execution_failed_event_attributes->failure);
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
        flo_web_payloads(page, event->workflow_execution_canceled_event_attributes->details);
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
        flo_html(page->out, "<p class=\"failure\">terminated: %s</p>",
                 event->workflow_execution_terminated_event_attributes->reason);
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
        flo_html(page->out, "<p class=\"failure\">timed out</p>");
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: {
        const FloApi__WorkflowExecutionContinuedAsNewEventAttributes *attributes =
            event->workflow_execution_continued_as_new_event_attributes;
        flo_html(page->out,
                 "<p>continues in run <a class=\"id\" "
                 "href=\"/workflow?namespace=%u&amp;id=%u&amp;run=%u\">%s</a></p>",
                 page->namespace_name, flo_web_parameter(page, "id", FLO_WEB_NAME_MAX),
                 attributes->new_execution_run_id, attributes->new_execution_run_id);
        break;
    }
    default:
        flo_html(page->out, "<p class=\"note\">not yet</p>");
        break;
    }
}

/* The last event of the whole history: at hand, or asked for. */
static const FloApi__HistoryEvent *last_event(struct flo_web_page *page,
                                              const struct events *events,
                                              FloApi__WorkflowExecution *execution)
{
    FloApi__GetWorkflowExecutionHistoryRequest request =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    if (!events->next.len)
        return events->list[events->count - 1];
    request.namespace_ = (char *)(uintptr_t)page->namespace_name;
    request.execution = execution;
    request.history_event_filter_type =
        FLO_API__HISTORY_EVENT_FILTER_TYPE__HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
    const FloApi__GetWorkflowExecutionHistoryResponse *answer =
        flo_web_ask(page, "GetWorkflowExecutionHistory", &request.base, NULL, NULL);
    return answer && answer->history && answer->history->n_events
               ? answer->history->events[answer->history->n_events - 1]
               : events->list[events->count - 1];
}

static void put_input_and_result(struct flo_web_page *page, const struct events *events,
                                 FloApi__WorkflowExecution *execution, bool running)
{
    const FloApi__HistoryEvent *first = events->list[0];
    flo_html(page->out, "<div class=\"two\"><section><h2>Input</h2>");
    flo_web_payloads(page, first->workflow_execution_started_event_attributes->input);
    flo_html(page->out, "</section><section><h2>Result</h2>");
    if (running)
        flo_html(page->out, "<p class=\"note\">not yet</p>");
    else
        put_result(page, last_event(page, events, execution));
    flo_html(page->out, "</section></div>\n");
}

/* ---- what it waits for ---- */

static void put_activity(struct flo_web_page *page, const FloApi__PendingActivityInfo *activity)
{
    static const char *const states[] = {"",          "Scheduled", "Started",
                                         "Canceling", "Paused",    "Pausing"};
    const size_t state = (size_t)activity->state;
    flo_html(page->out,
             "<tr><td class=\"id\">%s</td><td class=\"id\">%s</td><td>%s</td><td "
             "class=\"number\" data-name=\"attempt\">%d",
             activity->activity_id, activity->activity_type ? activity->activity_type->name : "",
             state < sizeof states / sizeof *states ? states[state] : "",
             (int64_t)activity->attempt);
    if (activity->maximum_attempts)
        flo_html(page->out, " of %d", (int64_t)activity->maximum_attempts);
    flo_html(page->out, "</td><td>");
    if (activity->next_attempt_schedule_time)
        flo_html_time(page->out, flo_timestamp_ns(activity->next_attempt_schedule_time));
    flo_html(page->out, "</td><td class=\"id\">%s</td><td>", activity->last_worker_identity);
    flo_web_failure(page, activity->last_failure);
    if (activity->heartbeat_details) {
        flo_html(page->out, "<details><summary>heartbeat</summary>");
        flo_web_payloads(page, activity->heartbeat_details);
        flo_html(page->out, "</details>");
    }
    flo_html(page->out, "</td></tr>\n");
}

static void put_pending(struct flo_web_page *page,
                        const FloApi__DescribeWorkflowExecutionResponse *description)
{
    if (description->n_pending_activities) {
        flo_html(
            page->out,
            "<section><h2>Pending activities</h2><div class=\"scroll\"><table class=\"stack\">"
            "<thead><tr><th>Id</th><th>Type</th><th>State</th><th class=\"number\">Attempt</th>"
            "<th>Next attempt</th><th>Worker</th><th>Last failure</th></tr></thead><tbody>\n");
        for (size_t i = 0; i < description->n_pending_activities; i++)
            put_activity(page, description->pending_activities[i]);
        flo_html(page->out, "</tbody></table></div></section>\n");
    }
    if (description->n_pending_children) {
        flo_html(page->out, "<section><h2>Pending children</h2><ul class=\"plain\">");
        for (size_t i = 0; i < description->n_pending_children; i++) {
            const FloApi__PendingChildExecutionInfo *child = description->pending_children[i];
            flo_html(page->out, "<li>");
            flo_web_workflow_link(page, child->workflow_id, child->run_id);
            flo_html(page->out, " <span class=\"note\">%s</span></li>", child->workflow_type_name);
        }
        flo_html(page->out, "</ul></section>\n");
    }
}

/* ---- what happened ---- */

static void put_event(struct flo_web_page *page, const FloApi__HistoryEvent *event,
                      int64_t begin_ns)
{
    const int64_t time_ns = flo_timestamp_ns(event->event_time);
    const ProtobufCMessage *attributes = flo_web_attributes(event);
    const char *name = flo_web_event_name(page, event->event_type);
    const char *quiet = strncmp(name, "WorkflowTask", 12) == 0 ? " class=\"quiet\"" : "";
    flo_html(page->out, "<tr id=\"event-%d\"", event->event_id);
    flo_buf_append_str(page->out, quiet);
    flo_html(page->out, "><td class=\"number\">%d</td><td>", event->event_id);
    flo_html_time(page->out, time_ns);
    flo_html(page->out, "</td><td class=\"number\">+");
    flo_html_duration(page->out, time_ns - begin_ns);
    flo_html(page->out,
             "</td><td><details><summary>%s <span class=\"subject id\">%s</span>"
             "</summary>",
             name, flo_web_subject(event));
    if (attributes)
        flo_web_message(page, attributes);
    flo_html(page->out, "</details></td></tr>\n");
}

static void put_history(struct flo_web_page *page, const struct events *events,
                        const FloApi__WorkflowExecutionInfo *info)
{
    const char *id = info->execution->workflow_id, *run = info->execution->run_id;
    const int64_t begin_ns = flo_timestamp_ns(info->start_time);
    flo_html(page->out,
             "<section><h2 id=\"history\">History</h2><div class=\"scroll\"><table "
             "class=\"events\"><thead><tr><th class=\"number\">Event</th><th>Time (<span "
             "class=\"zone\">UTC</span>)</th><th class=\"number\">After</th><th>What</th></tr>"
             "</thead><tbody>\n");
    for (size_t i = 0; i < events->count; i++)
        put_event(page, events->list[i], begin_ns);
    flo_html(page->out, "</tbody></table></div><p class=\"pager\">");
    if (events->later)
        flo_html(page->out,
                 "<a href=\"/workflow?namespace=%u&amp;id=%u&amp;run=%u\">First events</a> ",
                 page->namespace_name, id, run);
    if (events->next.len)
        flo_html(page->out,
                 "<a rel=\"next\" href=\"/workflow?namespace=%u&amp;id=%u&amp;run=%u&amp;page=%s"
                 "#history\">More events</a>",
                 page->namespace_name, id, run, flo_web_hex(page, &events->next));
    flo_html(page->out, "</p></section>\n");
}

/* ---- the page ---- */

static void put_run(struct flo_web_page *page,
                    const FloApi__DescribeWorkflowExecutionResponse *description)
{
    const FloApi__WorkflowExecutionInfo *info = description->workflow_execution_info;
    const bool running =
        info->status == FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_RUNNING ||
        info->status == FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_PAUSED;
    const struct events events = read_events(page, info->execution);
    flo_html(page->out, "<h1><span class=\"id\">%s</span> ", info->execution->workflow_id);
    flo_web_badge(page, info->status);
    flo_html(page->out, "</h1>\n");
    put_summary(page, description);
    if (!events.count) {
        flo_web_problem(page, "The history cannot be shown",
                        events.problem ? events.problem : "it has no events");
        return;
    }
    if (!events.later && events.list[0]->workflow_execution_started_event_attributes)
        put_input_and_result(page, &events, info->execution, running);
    if (running)
        flo_web_waiting(page, description, events.list[0]);
    put_pending(page, description);
    flo_web_timeline(page, events.list, events.count, info);
    put_history(page, &events, info);
}

void flo_web_workflow(struct flo_web_page *page)
{
    FloApi__DescribeWorkflowExecutionRequest request =
        FLO_API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    const char *id = flo_web_parameter(page, "id", FLO_WEB_NAME_MAX), *message;
    int code;
    execution.workflow_id = (char *)(uintptr_t)id;
    execution.run_id = (char *)(uintptr_t)flo_web_parameter(page, "run", FLO_WEB_NAME_MAX);
    request.namespace_ = (char *)(uintptr_t)page->namespace_name;
    request.execution = &execution;
    const FloApi__DescribeWorkflowExecutionResponse *description =
        flo_web_ask(page, "DescribeWorkflowExecution", &request.base, &code, &message);
    const char *title = flo_arena_printf(&page->arena, "%s \xc2\xb7 Flotilla engine", id);
    flo_web_begin(page, FLO_WEB_WORKFLOWS, title ? title : "");
    if (description && description->workflow_execution_info) {
        put_run(page, description);
    } else {
        page->reply->status = code == FLO_GRPC_NOT_FOUND ? 404 : 400;
        flo_web_problem(page, "The workflow cannot be shown", message);
    }
    flo_web_end(page);
}
