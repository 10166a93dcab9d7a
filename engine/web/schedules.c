/* SPDX-License-Identifier: Apache-2.0 */
/* schedules.c - "/schedules": the schedules of a namespace, a page at a time. */
#include <string.h>

#include "engine/web/page.h"
#include "wire/payload.h"

enum { PAGE_SIZE = 100, ACTIONS_SHOWN = 3 };

static void put_recent(struct flo_web_page *page, const FloApi__ScheduleListInfo *info)
{
    const size_t first =
        info->n_recent_actions > ACTIONS_SHOWN ? info->n_recent_actions - ACTIONS_SHOWN : 0;
    for (size_t i = info->n_recent_actions; i-- > first;) {
        const FloApi__ScheduleActionResult *action = info->recent_actions[i];
        const FloApi__WorkflowExecution *started = action->start_workflow_result;
        if (started)
            flo_web_workflow_link(page, started->workflow_id, started->run_id);
        flo_html(page->out, " <span class=\"note\">");
        if (action->actual_time)
            flo_html_time(page->out, flo_timestamp_ns(action->actual_time));
        flo_html(page->out, "</span><br>");
    }
}

static void put_schedule(struct flo_web_page *page, const FloApi__ScheduleListEntry *entry)
{
    const FloApi__ScheduleListInfo *info = entry->info;
    flo_html(page->out,
             "<tr><td>%s</td><td class=\"id\">%s</td><td class=\"id\" data-name=\"type\">%s</td>"
             "<td data-name=\"next\">",
             info && info->paused ? "Paused" : "Runs", entry->schedule_id,
             info && info->workflow_type ? info->workflow_type->name : "");
    if (info && info->n_future_action_times)
        flo_html_time(page->out, flo_timestamp_ns(info->future_action_times[0]));
    flo_html(page->out, "</td><td data-name=\"started\">");
    if (info)
        put_recent(page, info);
    flo_html(page->out, "</td><td>%s", info ? info->notes : "");
    if (info && info->spec) {
        flo_html(page->out, "<details><summary>when</summary>");
        flo_web_message(page, &info->spec->base);
        flo_html(page->out, "</details>");
    }
    flo_html(page->out, "</td></tr>\n");
}

void flo_web_schedules(struct flo_web_page *page)
{
    FloApi__ListSchedulesRequest request = FLO_API__LIST_SCHEDULES_REQUEST__INIT;
    const char *message;
    int code;
    if (!flo_web_token(page, "page", &request.next_page_token)) {
        flo_http_error(page->reply, 400, "that is no page of a list");
        return;
    }
    flo_web_begin(page, FLO_WEB_SCHEDULES, "Schedules \xc2\xb7 Flotilla engine");
    flo_html(page->out, "<h1>Schedules</h1>\n<form class=\"search\" action=\"/schedules\" "
                        "method=\"get\">");
    flo_web_namespaces(page);
    flo_html(page->out, "<button>Show</button></form>\n");
    request.namespace_ = (char *)(uintptr_t)page->namespace_name;
    request.maximum_page_size = PAGE_SIZE;
    const FloApi__ListSchedulesResponse *list =
        flo_web_ask(page, "ListSchedules", &request.base, &code, &message);
    if (!list) {
        if (code == FLO_GRPC_NOT_FOUND)
            page->reply->status = 404;
        flo_web_problem(page, "The schedules cannot be shown", message);
    } else if (!list->n_schedules) {
        flo_html(page->out, "<p class=\"empty\">There is no schedule in this namespace.</p>\n");
    } else {
        flo_html(page->out,
                 "<div class=\"scroll\"><table class=\"stack\"><thead><tr><th>State</th>"
                 "<th>Schedule</th><th>Workflow type</th><th>Next (<span class=\"zone\">UTC</span>)"
                 "</th><th>Started last</th><th>Notes</th></tr></thead><tbody>\n");
        for (size_t i = 0; i < list->n_schedules; i++)
            put_schedule(page, list->schedules[i]);
        flo_html(page->out, "</tbody></table></div>\n");
    }
    if (list && list->next_page_token.len)
        flo_html(page->out,
                 "<p class=\"pager\"><a rel=\"next\" href=\"/schedules?namespace=%u&amp;page=%s\">"
                 "Next page</a></p>\n",
                 page->namespace_name, flo_web_hex(page, &list->next_page_token));
    flo_web_end(page);
}
