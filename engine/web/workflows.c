/* SPDX-License-Identifier: Apache-2.0 */
/* workflows.c - "/": the workflows of a namespace, by a query, a page at a time. */
#include <jansson.h>
#include <string.h>

#include "engine/web/page.h"
#include "wire/payload.h"

enum { PAGE_SIZE = 50 };

/* What is asked for. */
struct search {
    const char *query, *status, *token; /* of the URL; status "" = any */
    const char *filter;                 /* query and status */
};

static bool read_search(struct flo_web_page *page, struct search *out)
{
    out->query = flo_web_parameter(page, "query", FLO_WEB_QUERY_MAX);
    out->status = flo_web_parameter(page, "status", FLO_WEB_NAME_MAX);
    out->token = flo_web_parameter(page, "page", FLO_WEB_TOKEN_MAX);
    if (strspn(out->status, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") !=
        strlen(out->status))
        out->status = "";
    if (!*out->status)
        out->filter = out->query;
    else if (!*out->query)
        out->filter = flo_arena_printf(&page->arena, "ExecutionStatus = '%s'", out->status);
    else
        out->filter = flo_arena_printf(&page->arena, "(%s) AND ExecutionStatus = '%s'", out->query,
                                       out->status);
    return out->filter;
}

static void put_form(struct flo_web_page *page, const struct search *search)
{
    flo_html(page->out, "<h1>Workflows</h1>\n<form class=\"search\" action=\"/\" method=\"get\">");
    flo_web_namespaces(page);
    flo_html(page->out,
             "<label class=\"grow\">Query <input type=\"search\" name=\"query\" value=\"%s\" "
             "placeholder=\"WorkflowType = 'Order' AND StartTime &gt; '2026-11-01T00:00:00Z'\" "
             "spellcheck=\"false\" autocapitalize=\"off\" autocomplete=\"off\"></label>",
             search->query);
    if (*search->status)
        flo_html(page->out, "<input type=\"hidden\" name=\"status\" value=\"%s\">", search->status);
    flo_html(page->out, "<button>Search</button></form>\n");
}

/* A status with how many there are, as a link that shows only those. */
static void put_chip(struct flo_web_page *page, const struct search *search, const char *status,
                     const char *name, int64_t count)
{
    const bool here = strcmp(search->status, status) == 0;
    flo_html(page->out, "<a class=\"chip %s\"", name);
    flo_html(page->out, here ? " aria-current=\"true\"" : "");
    flo_html(page->out, " href=\"/?namespace=%u&amp;query=%u&amp;status=%u\">%s <b>%d</b></a> ",
             page->namespace_name, search->query, status, name, count);
}

static void put_counts(struct flo_web_page *page, const struct search *search)
{
    FloApi__CountWorkflowExecutionsRequest request =
        FLO_API__COUNT_WORKFLOW_EXECUTIONS_REQUEST__INIT;
    request.namespace_ = (char *)(uintptr_t)page->namespace_name;
    request.query = flo_arena_printf(&page->arena, "%s GROUP BY ExecutionStatus", search->query);
    const FloApi__CountWorkflowExecutionsResponse *count =
        request.query ? flo_web_ask(page, "CountWorkflowExecutions", &request.base, NULL, NULL)
                      : NULL;
    if (!count) /* the list says why */
        return;
    flo_html(page->out, "<p class=\"chips\">");
    put_chip(page, search, "", "All", count->count);
    for (size_t i = 0; i < count->n_groups; i++) {
        const FloApi__CountWorkflowExecutionsResponse__AggregationGroup *group = count->groups[i];
        json_t *value = NULL;
        struct flo_err err;
        if (group->n_group_values && !flo_payload_show(group->group_values[0], &value, &err) &&
            json_is_string(value))
            put_chip(page, search, json_string_value(value), json_string_value(value),
                     group->count);
        json_decref(value);
    }
    flo_html(page->out, "</p>\n");
}

static void put_row(struct flo_web_page *page, const FloApi__WorkflowExecutionInfo *info)
{
    const int64_t start_ns = flo_timestamp_ns(info->start_time);
    const int64_t close_ns = info->close_time ? flo_timestamp_ns(info->close_time) : page->now_ns;
    flo_html(page->out, "<tr><td>");
    flo_web_badge(page, info->status);
    flo_html(page->out, "</td><td>");
    flo_web_workflow_link(page, info->execution->workflow_id, info->execution->run_id);
    flo_html(page->out,
             "</td><td class=\"id\" data-name=\"type\">%s</td><td class=\"id\" "
             "data-name=\"queue\">%s</td><td data-name=\"started\">",
             info->type ? info->type->name : "", info->task_queue);
    flo_html_time(page->out, start_ns);
    flo_html(page->out, "</td><td class=\"number\" data-name=\"duration\">");
    flo_html_duration(page->out, close_ns - start_ns);
    flo_html(page->out, "</td><td class=\"number\" data-name=\"events\">");
    if (info->history_length) /* lists know that of closed runs only */
        flo_html(page->out, "%d", info->history_length);
    flo_html(page->out, "</td></tr>\n");
}

static void put_list(struct flo_web_page *page, const struct search *search,
                     const FloApi__ListWorkflowExecutionsResponse *list)
{
    if (list->n_executions == 0) {
        flo_html(page->out, *search->filter || *search->token
                                ? "<p class=\"empty\">No workflow matches.</p>\n"
                                : "<p class=\"empty\">No workflow has been started in this "
                                  "namespace.</p>\n");
        return;
    }
    flo_html(
        page->out,
        "<div class=\"scroll\"><table class=\"stack\"><thead><tr><th>Status</th><th>Workflow</th>"
        "<th>Type</th><th>Task queue</th><th>Started (<span class=\"zone\">UTC</span>)</th>"
        "<th class=\"number\">Duration</th><th class=\"number\">Events</th></tr></thead>"
        "<tbody>\n");
    for (size_t i = 0; i < list->n_executions; i++)
        put_row(page, list->executions[i]);
    flo_html(page->out, "</tbody></table></div>\n");
}

static void put_pager(struct flo_web_page *page, const struct search *search,
                      const ProtobufCBinaryData *next)
{
    const char *hex = next->len ? flo_web_hex(page, next) : NULL;
    flo_html(page->out, "<p class=\"pager\">");
    if (*search->token)
        flo_html(page->out, "<a href=\"/?namespace=%u&amp;query=%u&amp;status=%u\">First page</a> ",
                 page->namespace_name, search->query, search->status);
    if (hex)
        flo_html(page->out,
                 "<a rel=\"next\" href=\"/?namespace=%u&amp;query=%u&amp;status=%u&amp;page=%s\">"
                 "Next page</a>",
                 page->namespace_name, search->query, search->status, hex);
    flo_html(page->out, "</p>\n");
}

void flo_web_workflows(struct flo_web_page *page)
{
    FloApi__ListWorkflowExecutionsRequest request = FLO_API__LIST_WORKFLOW_EXECUTIONS_REQUEST__INIT;
    struct search search;
    const char *message;
    int code;
    if (!read_search(page, &search) || !flo_web_token(page, "page", &request.next_page_token)) {
        flo_http_error(page->reply, 400, "that is no page of a list");
        return;
    }
    flo_web_begin(page, FLO_WEB_WORKFLOWS, "Workflows \xc2\xb7 Flotilla engine");
    put_form(page, &search);
    request.namespace_ = (char *)(uintptr_t)page->namespace_name;
    request.page_size = PAGE_SIZE;
    request.query = (char *)(uintptr_t)search.filter;
    const FloApi__ListWorkflowExecutionsResponse *list =
        flo_web_ask(page, "ListWorkflowExecutions", &request.base, &code, &message);
    if (list) {
        put_counts(page, &search);
        put_list(page, &search, list);
        put_pager(page, &search, &list->next_page_token);
    } else {
        if (code == FLO_GRPC_NOT_FOUND)
            page->reply->status = 404;
        flo_web_problem(page, "The list cannot be shown", message);
    }
    flo_web_end(page);
}
