/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.c - the web page's way to the engine: the calls that clients make, answered at once, without
 * gRPC in between. Reads only: what the core would keep waiting for is given up. A page that shows
 * what is not durable yet is kept until it is.
 */
#include <string.h>

#include "base/alloc.h"
#include "config/process.h"
#include "engine/shell_internal.h"
#include "wire/decode.h"

/* The id of the one call that is asked; ids of gRPC calls (calls.h) are larger. */
#define ASK_CALL UINT64_C(2)

bool flo_shell_take_answer(struct flo_shell *shell, const struct flo_core_reply *reply)
{
    struct flo_ask *ask = shell->ask;
    if (reply->call != ASK_CALL)
        return false;
    if (!ask)
        return true;
    if (reply->after > shell->held_pages.after)
        shell->held_pages.after = reply->after;
    ask->answered = true;
    ask->code = reply->code;
    if (reply->code != FLO_GRPC_OK) {
        ask->message = flo_arena_strdup(ask->arena, reply->message ? reply->message : "");
        return true;
    }
    /* The core's memory ends with this call, and part of the answer may be packed already. */
    int rc = reply->body ? flo_wire_encode(reply->body, &ask->bytes) : 0;
    if (!rc && reply->raw_len)
        rc = flo_buf_append(&ask->bytes, reply->raw, reply->raw_len);
    if (rc)
        ask->code = FLO_GRPC_RESOURCE_EXHAUSTED;
    return true;
}

/* The descriptors of what the page asks the core; the core knows only those of requests. */
static const ProtobufCMessageDescriptor *response_of(const char *method)
{
    static const struct {
        const char *method;
        const ProtobufCMessageDescriptor *response;
    } known[] = {
        {"DescribeWorkflowExecution", &flo_api__describe_workflow_execution_response__descriptor},
        {"GetWorkflowExecutionHistory",
         &flo_api__get_workflow_execution_history_response__descriptor},
        {"GetWorkflowExecutionHistoryReverse",
         &flo_api__get_workflow_execution_history_reverse_response__descriptor},
        {"DescribeNamespace", &flo_api__describe_namespace_response__descriptor},
        {"DescribeTaskQueue", &flo_api__describe_task_queue_response__descriptor},
        {"ListNamespaces", &flo_api__list_namespaces_response__descriptor},
        {"ListSchedules", &flo_api__list_schedules_response__descriptor},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].method, method) == 0)
            return known[i].response;
    return NULL;
}

static int ask_core(struct flo_shell *shell, const char *method, const ProtobufCMessage *request,
                    struct flo_arena *arena, const ProtobufCMessage **out_response,
                    const char **out_message)
{
    const ProtobufCMessageDescriptor *response = response_of(method);
    struct flo_ask ask = {.arena = arena, .code = FLO_GRPC_UNAVAILABLE};
    const struct flo_core_call_info info = {
        .id = ASK_CALL, .deadline_ns = INT64_MAX, .client_name = "flotilla-web"};
    struct flo_err err = {0};
    ProtobufCMessage *message = NULL;
    if (!response || !flo_core_method(method)) {
        *out_message = "the engine does not serve this";
        return FLO_GRPC_UNIMPLEMENTED;
    }
    flo_buf_init(&ask.bytes, 0);
    shell->ask = &ask;
    flo_core_begin(shell->core, flo_shell_now(shell));
    flo_core_call(shell->core, method, &info, request);
    shell->ask = NULL;
    if (!ask.answered)
        flo_core_cancel_call(shell->core, ASK_CALL);
    if (ask.code == FLO_GRPC_OK &&
        flo_wire_decode(response, ask.bytes.data, ask.bytes.len, arena, &message, &err)) {
        ask.code = FLO_GRPC_RESOURCE_EXHAUSTED;
        ask.message = flo_arena_strdup(arena, err.message);
    }
    flo_buf_fini(&ask.bytes);
    *out_response = message;
    *out_message = ask.message ? ask.message : "the engine is out of memory";
    return ask.code;
}

static int ask(void *ctx, const char *method, const ProtobufCMessage *request,
               struct flo_arena *arena, const ProtobufCMessage **out_response,
               const char **out_message)
{
    struct flo_shell *shell = ctx;
    const struct flo_route *route =
        flo_route_find(FLO_WORKFLOW_SERVICE, strlen(FLO_WORKFLOW_SERVICE), method);
    if (shell->state != FLO_SHELL_SERVING) {
        *out_message = "the engine is shutting down";
        return FLO_GRPC_UNAVAILABLE;
    }
    if (!route)
        return ask_core(shell, method, request, arena, out_response, out_message);
    struct flo_route_context context = {
        .core = shell->core, .store = shell->store, .now_ns = flo_shell_now(shell)};
    struct flo_route_answer answer = {.code = FLO_GRPC_OK};
    flo_core_begin(shell->core, context.now_ns);
    route->serve(&context, request, arena, &answer);
    *out_response = answer.body;
    *out_message = answer.message;
    return answer.code;
}

static bool serves(void *ctx, const char *method)
{
    (void)ctx;
    return flo_core_method(method) ||
           flo_route_find(FLO_WORKFLOW_SERVICE, strlen(FLO_WORKFLOW_SERVICE), method);
}

/* What flo_core_each_queue hands on to the page. */
struct queue_taker {
    void (*fn)(void *ctx, const struct flo_web_queue *queue);
    void *ctx;
};

static void take_queue(void *ctx, const struct flo_core_queue_figures *figures)
{
    const struct queue_taker *taker = ctx;
    const struct flo_web_queue queue = {.namespace_name = figures->namespace_,
                                        .name = figures->queue,
                                        .activity = figures->activity,
                                        .backlog = (int64_t)figures->backlog,
                                        .backlog_age_ns = figures->backlog_age_ns,
                                        .pollers = (int64_t)figures->pollers};
    taker->fn(taker->ctx, &queue);
}

static void each_queue(void *ctx, void (*fn)(void *fn_ctx, const struct flo_web_queue *queue),
                       void *fn_ctx)
{
    struct flo_shell *shell = ctx;
    struct queue_taker taker = {fn, fn_ctx};
    flo_core_each_queue(shell->core, take_queue, &taker);
}

/* ---- pages that wait ---- */

struct held_page {
    struct flo_node node; /* in flo_held_pages.list */
    struct flo_held_pages *pages;
    struct flo_http_later *later;
    struct flo_http_reply reply;
    uint64_t after;
};

static void free_page(struct held_page *page)
{
    flo_list_remove(&page->pages->list, &page->node);
    flo_buf_fini(&page->reply.body);
    flo_free(page);
}

static void on_gone(void *ctx)
{
    free_page(ctx);
}

static void settle(void *ctx, const struct flo_http_request *request, struct flo_http_reply *reply)
{
    struct flo_shell *shell = ctx;
    const uint64_t after = shell->held_pages.after;
    shell->held_pages.after = 0;
    if (after <= shell->calls.durable)
        return;
    struct held_page *page = flo_calloc(1, sizeof *page);
    if (page)
        page->later = flo_http_later(request, on_gone, page);
    if (!page || !page->later) {
        flo_free(page);
        flo_http_error(reply, 503, "no memory for the page");
        return;
    }
    page->pages = &shell->held_pages;
    page->after = after;
    page->reply = *reply;
    flo_http_reply_init(reply);
    struct flo_node *at = &page->pages->list.head;
    while (at->prev != &page->pages->list.head &&
           flo_container(at->prev, struct held_page, node)->after > after)
        at = at->prev;
    flo_list_insert_before(&page->pages->list, at, &page->node);
}

void flo_shell_answer_pages(struct flo_shell *shell)
{
    struct flo_node *node;
    while ((node = flo_list_first(&shell->held_pages.list))) {
        struct held_page *page = flo_container(node, struct held_page, node);
        if (page->after > shell->calls.durable)
            break;
        flo_http_answer(&page->later, &page->reply);
        free_page(page);
    }
}

static int64_t now_ns(void *ctx)
{
    return flo_shell_now(ctx);
}

void flo_shell_web_source(struct flo_shell *shell, struct flo_web_source *out)
{
    *out = (struct flo_web_source){.ctx = shell,
                                   .ask = ask,
                                   .settle = settle,
                                   .serves = serves,
                                   .each_queue = each_queue,
                                   .now_ns = now_ns,
                                   .version = flo_version()};
}
