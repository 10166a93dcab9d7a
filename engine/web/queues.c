/* SPDX-License-Identifier: Apache-2.0 */
/* queues.c - "/queues": the task queues of a namespace, what waits there and who polls. */
#include <string.h>

#include "engine/web/page.h"
#include "wire/payload.h"

enum { QUEUES_MAX = 500, POLLERS_MAX = 50 };

struct queues {
    struct flo_web_page *page;
    struct flo_web_queue list[QUEUES_MAX];
    size_t count, left_out;
};

static void take(void *ctx, const struct flo_web_queue *queue)
{
    struct queues *queues = ctx;
    if (strcmp(queue->namespace_name, queues->page->namespace_name) != 0)
        return;
    char *name =
        queues->count < QUEUES_MAX ? flo_arena_strdup(&queues->page->arena, queue->name) : NULL;
    if (!name) {
        queues->left_out++;
        return;
    }
    queues->list[queues->count] = *queue;
    queues->list[queues->count++].name = name;
}

static void put_pollers(struct flo_web_page *page, const struct flo_web_queue *queue)
{
    FloApi__DescribeTaskQueueRequest request = FLO_API__DESCRIBE_TASK_QUEUE_REQUEST__INIT;
    FloApi__TaskQueue task_queue = FLO_API__TASK_QUEUE__INIT;
    task_queue.name = (char *)(uintptr_t)queue->name;
    request.namespace_ = (char *)(uintptr_t)page->namespace_name;
    request.task_queue = &task_queue;
    request.task_queue_type = queue->activity ? FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_ACTIVITY
                                              : FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_WORKFLOW;
    const FloApi__DescribeTaskQueueResponse *answer =
        flo_web_ask(page, "DescribeTaskQueue", &request.base, NULL, NULL);
    if (!answer || !answer->n_pollers) {
        flo_html(page->out, "<span class=\"note\">nobody</span>");
        return;
    }
    flo_html(page->out, "<ul class=\"plain\">");
    for (size_t i = 0; i < answer->n_pollers && i < POLLERS_MAX; i++) {
        const FloApi__PollerInfo *poller = answer->pollers[i];
        flo_html(page->out, "<li><span class=\"id\">%s</span> <span class=\"note\">",
                 poller->identity);
        if (poller->last_access_time)
            flo_html_time(page->out, flo_timestamp_ns(poller->last_access_time));
        flo_html(page->out, "</span></li>");
    }
    if (answer->n_pollers > POLLERS_MAX)
        flo_html(page->out, "<li class=\"note\">and %d more</li>",
                 (int64_t)(answer->n_pollers - POLLERS_MAX));
    flo_html(page->out, "</ul>");
}

void flo_web_queues(struct flo_web_page *page)
{
    struct queues *queues = flo_arena_calloc(&page->arena, 1, sizeof *queues);
    FloApi__DescribeNamespaceRequest namespace_asked = FLO_API__DESCRIBE_NAMESPACE_REQUEST__INIT;
    const char *message;
    int code;
    flo_web_begin(page, FLO_WEB_QUEUES, "Task queues \xc2\xb7 Flotilla engine");
    flo_html(page->out, "<h1>Task queues</h1>\n<form class=\"search\" action=\"/queues\" "
                        "method=\"get\">");
    flo_web_namespaces(page);
    flo_html(page->out, "<button>Show</button></form>\n");
    namespace_asked.namespace_ = (char *)(uintptr_t)page->namespace_name;
    if (!flo_web_ask(page, "DescribeNamespace", &namespace_asked.base, &code, &message)) {
        if (code == FLO_GRPC_NOT_FOUND)
            page->reply->status = 404;
        flo_web_problem(page, "The task queues cannot be shown", message);
        flo_web_end(page);
        return;
    }
    if (queues) {
        queues->page = page;
        page->source->each_queue(page->source->ctx, take, queues);
    }
    if (!queues || !queues->count)
        flo_html(page->out, "<p class=\"empty\">No task queue is in use in this namespace.</p>\n");
    else
        flo_html(page->out,
                 "<div class=\"scroll\"><table class=\"stack\"><thead><tr><th>Task queue</th>"
                 "<th>Tasks of</th><th class=\"number\">Backlog</th><th "
                 "class=\"number\">Oldest</th><th class=\"number\">Open polls</th><th>Pollers, and "
                 "when they last asked (<span class=\"zone\">UTC</span>)"
                 "</th></tr></thead><tbody>\n");
    for (size_t i = 0; queues && i < queues->count; i++) {
        const struct flo_web_queue *queue = &queues->list[i];
        flo_html(page->out,
                 "<tr><td class=\"id\">%s</td><td>%s</td><td class=\"number\" "
                 "data-name=\"backlog\">%d</td><td class=\"number\" data-name=\"oldest\">",
                 queue->name, queue->activity ? "activities" : "workflows", queue->backlog);
        flo_html_duration(page->out, queue->backlog ? queue->backlog_age_ns : -1);
        flo_html(page->out, "</td><td class=\"number\" data-name=\"polls\">%d</td><td>",
                 queue->pollers);
        put_pollers(page, queue);
        flo_html(page->out, "</td></tr>\n");
    }
    if (queues && queues->count)
        flo_html(page->out, "</tbody></table></div>\n");
    if (queues && queues->left_out)
        flo_html(page->out, "<p class=\"note\">and %d more</p>\n", (int64_t)queues->left_out);
    flo_web_end(page);
}
