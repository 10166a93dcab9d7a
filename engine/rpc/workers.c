/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workers.c - ListWorkers, with its query.
 *
 * The query is of the same grammar as that of workflows, over a few names; a condition that makes
 * no sense (an unknown name, an operator that its type has not) is not met by any worker, and no
 * error, as on the real server. Texts: =, !=, starts_with, not starts_with; times: comparisons and
 * between.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/rpc/query_tree.h"
#include "engine/rpc/routes.h"
#include "grpc/status.h"
#include "wire/decode.h"
#include "wire/payload.h"

typedef FloApi__WorkerHeartbeat heartbeat_t;
typedef const struct flo_query_node node_t;

/* ---- one worker ---- */

/* As the query and the real server name it: "Running". */
static const char *status_name(FloApi__WorkerStatus status)
{
    switch (status) {
    case FLO_API__WORKER_STATUS__WORKER_STATUS_RUNNING:
        return "Running";
    case FLO_API__WORKER_STATUS__WORKER_STATUS_SHUTTING_DOWN:
        return "ShuttingDown";
    case FLO_API__WORKER_STATUS__WORKER_STATUS_SHUTDOWN:
        return "Shutdown";
    default:
        return "Unspecified";
    }
}

/* The text of that name, or NULL: there is none of it. */
static const char *text_of(const heartbeat_t *worker, const char *name)
{
    if (!strcmp(name, "WorkerInstanceKey"))
        return worker->worker_instance_key;
    if (!strcmp(name, "WorkerIdentity"))
        return worker->worker_identity;
    if (!strcmp(name, "HostName"))
        return worker->host_info ? worker->host_info->host_name : "";
    if (!strcmp(name, "TaskQueue"))
        return worker->task_queue;
    if (!strcmp(name, "DeploymentName"))
        return worker->deployment_version ? worker->deployment_version->deployment_name : "";
    if (!strcmp(name, "SdkName"))
        return worker->sdk_name;
    if (!strcmp(name, "SdkVersion"))
        return worker->sdk_version;
    if (!strcmp(name, "WorkerStatus"))
        return status_name(worker->status);
    return NULL;
}

/* False: there is no such time. One that the worker did not tell is 1970. */
static bool time_of(const heartbeat_t *worker, const char *name, int64_t *out_ns)
{
    const Google__Protobuf__Timestamp *time;
    if (!strcmp(name, "StartTime"))
        time = worker->start_time;
    else if (!strcmp(name, "HeartbeatTime"))
        time = worker->heartbeat_time;
    else
        return false;
    *out_ns = time ? flo_timestamp_ns(time) : 0;
    return true;
}

/* A condition is met, is not, or makes no sense, which ends the whole. */
enum verdict { NO, YES, NONSENSE };

static enum verdict verdict(bool yes)
{
    return yes ? YES : NO;
}

static enum verdict compare_text(const char *is, const char *op, const char *wanted)
{
    const size_t len = strlen(wanted);
    if (!len)
        return NONSENSE;
    if (!strcmp(op, "="))
        return verdict(strcmp(is, wanted) == 0);
    if (!strcmp(op, "!="))
        return verdict(strcmp(is, wanted) != 0);
    if (!strcmp(op, "starts_with"))
        return verdict(strncmp(is, wanted, len) == 0);
    if (!strcmp(op, "not starts_with"))
        return verdict(strncmp(is, wanted, len) != 0);
    return NONSENSE;
}

static enum verdict compare_time(int64_t is, const char *op, int64_t wanted)
{
    if (!strcmp(op, "="))
        return verdict(is == wanted);
    if (!strcmp(op, "!="))
        return verdict(is != wanted);
    if (!strcmp(op, "<"))
        return verdict(is < wanted);
    if (!strcmp(op, "<="))
        return verdict(is <= wanted);
    if (!strcmp(op, ">"))
        return verdict(is > wanted);
    if (!strcmp(op, ">="))
        return verdict(is >= wanted);
    return NONSENSE;
}

/* RFC 3339, or nanoseconds since 1970. */
static bool parse_time(node_t *node, int64_t *out_ns)
{
    if (node->kind == FLO_NODE_INT) {
        *out_ns = strtoll(node->text, NULL, 10);
        return true;
    }
    return node->kind == FLO_NODE_STRING && flo_clock_parse_rfc3339(node->text, out_ns);
}

static enum verdict compare(const heartbeat_t *worker, node_t *node)
{
    node_t *left = node->child, *right = left->next;
    int64_t is, wanted;
    if (left->kind != FLO_NODE_COLUMN)
        return NONSENSE;
    const char *text = text_of(worker, left->text);
    if (text)
        return right->kind == FLO_NODE_STRING ? compare_text(text, node->text, right->text)
                                              : NONSENSE;
    if (!time_of(worker, left->text, &is) || !parse_time(right, &wanted))
        return NONSENSE;
    return compare_time(is, node->text, wanted);
}

static enum verdict in_range(const heartbeat_t *worker, node_t *node)
{
    node_t *what = node->child, *from = what->next, *to = from->next;
    int64_t is, low, high;
    if (what->kind != FLO_NODE_COLUMN || !time_of(worker, what->text, &is) ||
        !parse_time(from, &low) || !parse_time(to, &high))
        return NONSENSE;
    if (!is)
        return NO;
    const bool within = is >= low && is <= high;
    return verdict(strcmp(node->text, "between") == 0 ? within : !within);
}

/* Trees are as deep as the parser lets them be. */
static enum verdict evaluate(const heartbeat_t *worker, node_t *node) // NOLINT(misc-no-recursion)
{
    enum verdict out = NONSENSE;
    switch (node->kind) {
    case FLO_NODE_PAREN:
        return evaluate(worker, node->child);
    case FLO_NODE_AND:
    case FLO_NODE_OR:
        for (node_t *child = node->child; child; child = child->next) {
            out = evaluate(worker, child);
            if (out != (node->kind == FLO_NODE_AND ? YES : NO))
                break;
        }
        return out;
    case FLO_NODE_COMPARE:
        return compare(worker, node);
    case FLO_NODE_RANGE:
        return in_range(worker, node);
    default:
        return NONSENSE;
    }
}

/* ---- the call ---- */

struct list {
    struct flo_arena *arena;
    node_t *where; /* NULL = all */
    FloApi__WorkerInfo **infos;
    size_t count, cap;
    bool failed;
};

static void add(void *ctx, const uint8_t *heartbeat, size_t len)
{
    struct list *list = ctx;
    ProtobufCMessage *message;
    if (list->failed)
        return;
    if (flo_wire_decode(&flo_api__worker_heartbeat__descriptor, heartbeat, len, list->arena,
                        &message, NULL)) {
        list->failed = true;
        return;
    }
    if (list->where && evaluate((heartbeat_t *)message, list->where) != YES)
        return;
    FloApi__WorkerInfo *info = flo_arena_alloc(list->arena, sizeof *info);
    if (list->count == list->cap) {
        const size_t cap = list->cap ? 2 * list->cap : 16;
        FloApi__WorkerInfo **infos = flo_arena_calloc(list->arena, cap, sizeof *infos);
        if (infos && list->count)
            memcpy(infos, list->infos, list->count * sizeof *infos);
        list->infos = infos;
        list->cap = cap;
    }
    if (!info || !list->infos) {
        list->failed = true;
        return;
    }
    flo_api__worker_info__init(info);
    info->worker_heartbeat = (heartbeat_t *)message;
    list->infos[list->count++] = info;
}

/* What the parser says, without what it says of workflows' queries. */
static const char *syntax_of(const struct flo_err *err)
{
    const char *at = strstr(err->message, "syntax error");
    return at ? at : err->message;
}

/* False: the query is refused, which answer says. */
static bool parse(const char *query, struct flo_arena *arena, node_t **out,
                  struct flo_route_answer *answer)
{
    struct flo_query_tree tree;
    struct flo_err err = {0};
    query += strspn(query, " \t\r\n");
    if (!*query)
        return true;
    const int rc = flo_query_parse(query, arena, &tree, &err);
    if (rc == FLO_ENOMEM)
        flo_route_fail(answer, arena, FLO_GRPC_UNAVAILABLE, "the engine is out of memory");
    else if (rc)
        flo_route_fail(answer, arena, FLO_GRPC_INVALID_ARGUMENT, "malformed query: %s",
                       syntax_of(&err));
    else if (tree.limit)
        flo_route_fail(answer, arena, FLO_GRPC_INVALID_ARGUMENT,
                       "operation is not supported: 'limit' clause");
    else if (!tree.where)
        flo_route_fail(answer, arena, FLO_GRPC_INVALID_ARGUMENT,
                       "operation is not supported: 'where' clause is missing");
    *out = rc ? NULL : tree.where;
    return answer->code == 0;
}

void flo_route_list_workers(struct flo_route_context *context, const void *message,
                            struct flo_arena *arena, struct flo_route_answer *answer)
{
    const FloApi__ListWorkersRequest *request = message;
    const char *namespace_id = flo_route_namespace(context, request->namespace_, arena, answer);
    struct list list = {.arena = arena};
    if (!namespace_id || !parse(request->query, arena, &list.where, answer))
        return;
    flo_core_each_worker(context->core, namespace_id, add, &list);
    FloApi__ListWorkersResponse *response = flo_arena_alloc(arena, sizeof *response);
    if (list.failed || !response) {
        flo_route_fail(answer, arena, FLO_GRPC_UNAVAILABLE, "the engine is out of memory");
        return;
    }
    flo_api__list_workers_response__init(response);
    response->workers_info = list.infos;
    response->n_workers_info = list.count;
    answer->body = &response->base;
}
