/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visibility.c - List, Scan, ListOpen, ListClosed and Count of workflow executions, read from the
 * store: they show what is durable, which is at most one commit behind.
 *
 * A page token is the sort key of the page's last row, so that pages stay right while runs start
 * and close between them.
 */
#include <stdio.h>
#include <string.h>

#include "engine/rpc/query.h"
#include "engine/rpc/routes.h"
#include "engine/rpc/visibility.h"
#include "grpc/status.h"
#include "wire/decode.h"
#include "wire/payload.h"

#define PAGE_MAX 1000
/* A page is cut when its rows pass this: clients receive 4 MiB. */
#define PAGE_BYTES ((size_t)3 << 20)

/* ---- page tokens: version, close order, start, key; little endian ---- */

#define TOKEN_SIZE 25
#define TOKEN_VERSION 1

static void put_u64(uint8_t *out, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_u64(const uint8_t *in)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value |= (uint64_t)in[i] << (8 * i);
    return value;
}

static void encode_token(const struct flo_store_cursor *cursor, uint8_t out[TOKEN_SIZE])
{
    out[0] = TOKEN_VERSION;
    put_u64(out + 1, (uint64_t)cursor->close_order);
    put_u64(out + 9, (uint64_t)cursor->start_ns);
    put_u64(out + 17, cursor->key);
}

static bool decode_token(const ProtobufCBinaryData *token, struct flo_store_cursor *out)
{
    if (token->len != TOKEN_SIZE || token->data[0] != TOKEN_VERSION)
        return false;
    out->close_order = (int64_t)get_u64(token->data + 1);
    out->start_ns = (int64_t)get_u64(token->data + 9);
    out->key = get_u64(token->data + 17);
    return true;
}

/* ---- rows to messages ---- */

struct page {
    struct flo_arena *arena;
    const struct flo_core *core;
    const char *namespace_name;
    FloApi__WorkflowExecutionInfo *items[PAGE_MAX];
    size_t count, limit, bytes;
    struct flo_store_cursor end; /* of the last item */
    bool more;                   /* rows are left */
    bool failed;                 /* memory */
};

static FloApi__WorkflowExecution *execution(struct flo_arena *arena, const char *workflow_id,
                                            const char *run_id)
{
    FloApi__WorkflowExecution *made = flo_arena_alloc(arena, sizeof *made);
    if (!made)
        return NULL;
    flo_api__workflow_execution__init(made);
    made->workflow_id = flo_arena_strdup(arena, workflow_id);
    made->run_id = flo_arena_strdup(arena, run_id);
    return made->workflow_id && made->run_id ? made : NULL;
}

/* A stored part in wire form; absent when there is none or it cannot be read. */
static void *decode_part(struct flo_arena *arena, const ProtobufCMessageDescriptor *type,
                         const uint8_t *data, size_t len)
{
    ProtobufCMessage *message;
    if (!data || !len || flo_wire_decode(type, data, len, arena, &message, NULL))
        return NULL;
    return message;
}

/* A memo is always there, if empty. NULL: no memory. */
static FloApi__Memo *decode_memo(struct flo_arena *arena, const struct flo_core_run_row *row)
{
    FloApi__Memo *memo = decode_part(arena, &flo_api__memo__descriptor, row->memo, row->memo_len);
    if (memo)
        return memo;
    memo = flo_arena_alloc(arena, sizeof *memo);
    if (memo)
        flo_api__memo__init(memo);
    return memo;
}

/* What lists show of closed runs only, as on the real server. */
static bool fill_closed(FloApi__WorkflowExecutionInfo *info, const struct flo_core_run_row *row,
                        struct flo_arena *arena)
{
    int64_t ns = row->close_ns > row->execution_ns ? row->close_ns - row->execution_ns : 0;
    info->history_length = row->history_length;
    info->history_size_bytes = row->history_bytes;
    info->state_transition_count = row->state_transitions;
    info->close_time = flo_timestamp_new(arena, row->close_ns);
    info->execution_duration = flo_duration_new(arena, ns);
    return info->close_time && info->execution_duration;
}

static FloApi__WorkflowExecutionInfo *make_info(const struct flo_core_run_row *row,
                                                struct flo_arena *arena)
{
    FloApi__WorkflowExecutionInfo *info = flo_arena_alloc(arena, sizeof *info);
    FloApi__WorkflowType *type = flo_arena_alloc(arena, sizeof *type);
    if (!info || !type)
        return NULL;
    flo_api__workflow_execution_info__init(info);
    flo_api__workflow_type__init(type);
    type->name = flo_arena_strdup(arena, row->type);
    info->type = type;
    info->execution = execution(arena, row->workflow_id, row->run_id);
    info->start_time = flo_timestamp_new(arena, row->start_ns);
    info->execution_time = flo_timestamp_new(arena, row->execution_ns);
    info->status = (FloApi__WorkflowExecutionStatus)row->status;
    info->task_queue = flo_arena_strdup(arena, row->task_queue);
    info->memo = decode_memo(arena, row);
    info->search_attributes = decode_part(arena, &flo_api__search_attributes__descriptor,
                                          row->search_attributes, row->search_attributes_len);
    if (*row->parent_workflow_id)
        info->parent_execution = execution(arena, row->parent_workflow_id, row->parent_run_id);
    info->root_execution = *row->root_workflow_id
                               ? execution(arena, row->root_workflow_id, row->root_run_id)
                               : execution(arena, row->workflow_id, row->run_id);
    if (!type->name || !info->execution || !info->start_time || !info->execution_time ||
        !info->task_queue || !info->memo || !info->root_execution ||
        (*row->parent_workflow_id && !info->parent_execution))
        return NULL;
    return !row->close_ns || fill_closed(info, row, arena) ? info : NULL;
}

static bool add_row(void *ctx, const struct flo_store_visible *run)
{
    struct page *page = ctx;
    if (page->count == page->limit || page->bytes > PAGE_BYTES) {
        page->more = true;
        return false;
    }
    FloApi__WorkflowExecutionInfo *info = make_info(&run->row, page->arena);
    if (!info || flo_core_show_attributes(page->core, page->namespace_name, info->search_attributes,
                                          page->arena)) {
        page->failed = true;
        return false;
    }
    page->items[page->count++] = info;
    page->bytes += 512 + run->row.memo_len + run->row.search_attributes_len;
    page->end = run->cursor;
    return true;
}

/* ---- the calls ---- */

/* What the four lists have in common; their responses, too, have the same two fields. */
struct list_request {
    const char *namespace_;
    int32_t page_size;
    const ProtobufCBinaryData *token;
    struct flo_store_filter filter;
};

void flo_route_out_of_memory(struct flo_route_answer *answer)
{
    *answer = (struct flo_route_answer){.code = FLO_GRPC_RESOURCE_EXHAUSTED,
                                        .message = "the engine is out of memory"};
}

static void read_failed(int error, const struct flo_err *err, struct flo_arena *arena,
                        struct flo_route_answer *answer)
{
    flo_route_fail(answer, arena,
                   error == FLO_ELIMIT ? FLO_GRPC_RESOURCE_EXHAUSTED : FLO_GRPC_INTERNAL, "%s",
                   err->message);
}

const char *flo_route_namespace(struct flo_route_context *context, const char *name,
                                struct flo_arena *arena, struct flo_route_answer *answer)
{
    if (!*name) {
        flo_route_fail(answer, arena, FLO_GRPC_INVALID_ARGUMENT, "Namespace is empty.");
        return NULL;
    }
    const char *id = flo_core_namespace_id(context->core, name);
    if (id)
        return id;
    FloApi__NamespaceNotFoundFailure *detail = flo_arena_alloc(arena, sizeof *detail);
    flo_route_fail(answer, arena, FLO_GRPC_NOT_FOUND, "Namespace %s is not found.", name);
    if (detail) {
        flo_api__namespace_not_found_failure__init(detail);
        detail->namespace_ = flo_arena_strdup(arena, name);
        answer->detail = detail->namespace_ ? &detail->base : NULL;
    }
    return NULL;
}

/* Read one page; NULL when answer holds an error. */
static struct page *read_page(struct flo_route_context *context, const struct list_request *list,
                              struct flo_arena *arena, struct flo_route_answer *answer)
{
    struct flo_store_cursor after;
    struct flo_err err = {0};
    const char *id = flo_route_namespace(context, list->namespace_, arena, answer);
    if (!id)
        return NULL;
    if (list->token->len && !decode_token(list->token, &after)) {
        flo_route_fail(answer, arena, FLO_GRPC_INVALID_ARGUMENT, "Invalid NextPageToken.");
        return NULL;
    }
    struct page *page = flo_arena_calloc(arena, 1, sizeof *page);
    if (!page) {
        flo_route_out_of_memory(answer);
        return NULL;
    }
    page->arena = arena;
    page->core = context->core;
    page->namespace_name = list->namespace_;
    page->limit =
        list->page_size > 0 && list->page_size < PAGE_MAX ? (size_t)list->page_size : PAGE_MAX;
    /* One row more than the page holds says whether there is another page. */
    int rc = flo_store_list(context->store, id, &list->filter, list->token->len ? &after : NULL,
                            page->limit + 1, add_row, page, &err);
    if (rc)
        read_failed(rc, &err, arena, answer);
    else if (page->failed)
        flo_route_out_of_memory(answer);
    return rc || page->failed ? NULL : page;
}

/* Fill the two fields that every list response has. */
static bool put_page(const struct page *page, FloApi__WorkflowExecutionInfo ***out_items,
                     size_t *out_count, ProtobufCBinaryData *out_token)
{
    *out_count = page->count;
    *out_items = flo_arena_memdup(page->arena, page->items, page->count * sizeof(void *));
    if (page->count && !*out_items)
        return false;
    if (!page->more)
        return true;
    out_token->data = flo_arena_alloc(page->arena, TOKEN_SIZE);
    if (!out_token->data)
        return false;
    out_token->len = TOKEN_SIZE;
    encode_token(&page->end, out_token->data);
    return true;
}

/* Answer with the page as a message of Type, whose two fields have the same names in each. */
#define ANSWER_WITH_PAGE(Type, init)                                                               \
    do {                                                                                           \
        Type *response = page ? flo_arena_alloc(arena, sizeof *response) : NULL;                   \
        if (response)                                                                              \
            init(response);                                                                        \
        if (response && put_page(page, &response->executions, &response->n_executions,             \
                                 &response->next_page_token))                                      \
            answer->body = &response->base;                                                        \
        else if (page)                                                                             \
            flo_route_out_of_memory(answer);                                                       \
    } while (0)

struct namespace_names {
    const struct flo_core *core;
    const char *namespace_name;
};

static FloApi__IndexedValueType type_in_namespace(void *ctx, const char *name)
{
    const struct namespace_names *in = ctx;
    return flo_core_attribute_type(in->core, in->namespace_name, name);
}

int flo_visibility_compile(const struct flo_core *core, const char *namespace_name,
                           const char *text, struct flo_arena *arena, struct flo_store_filter *out,
                           struct flo_err *err)
{
    struct namespace_names in = {core, namespace_name};
    const struct flo_query_names names = {type_in_namespace, &in};
    struct flo_query query;
    int rc = flo_query_compile(text, &names, arena, &query, err);
    if (!rc && query.group_by_status)
        rc = flo_fail(err, FLO_EINVAL,
                      "invalid query: operation is not supported: 'group by' clause");
    if (!rc)
        *out = query.filter;
    return rc;
}

/* Compile a query for a list or a count. */
static bool compile(struct flo_route_context *context, const char *namespace_name, const char *text,
                    bool may_group, struct flo_arena *arena, struct flo_query *out,
                    struct flo_route_answer *answer)
{
    struct flo_err err = {0};
    struct namespace_names in = {context->core, namespace_name};
    const struct flo_query_names names = {type_in_namespace, &in};
    int rc = flo_query_compile(text, &names, arena, out, &err);
    if (rc == FLO_EINVAL)
        flo_route_fail(answer, arena, FLO_GRPC_INVALID_ARGUMENT, "%s", err.message);
    else if (rc)
        flo_route_out_of_memory(answer);
    else if (out->group_by_status && !may_group)
        flo_route_fail(answer, arena, FLO_GRPC_INVALID_ARGUMENT,
                       "invalid query: operation is not supported: 'group by' clause");
    return answer->code == FLO_GRPC_OK;
}

static struct page *read_by_query(struct flo_route_context *context, const char *name,
                                  const char *query_text, int32_t page_size,
                                  const ProtobufCBinaryData *token, struct flo_arena *arena,
                                  struct flo_route_answer *answer)
{
    struct flo_query query;
    if (!flo_route_namespace(context, name, arena, answer) ||
        !compile(context, name, query_text, false, arena, &query, answer))
        return NULL;
    struct list_request list = {
        .namespace_ = name, .page_size = page_size, .token = token, .filter = query.filter};
    return read_page(context, &list, arena, answer);
}

void flo_route_list(struct flo_route_context *context, const void *message, struct flo_arena *arena,
                    struct flo_route_answer *answer)
{
    const FloApi__ListWorkflowExecutionsRequest *request = message;
    const struct page *page =
        read_by_query(context, request->namespace_, request->query, request->page_size,
                      &request->next_page_token, arena, answer);
    ANSWER_WITH_PAGE(FloApi__ListWorkflowExecutionsResponse,
                     flo_api__list_workflow_executions_response__init);
}

void flo_route_scan(struct flo_route_context *context, const void *message, struct flo_arena *arena,
                    struct flo_route_answer *answer)
{
    const FloApi__ScanWorkflowExecutionsRequest *request = message;
    const struct page *page =
        read_by_query(context, request->namespace_, request->query, request->page_size,
                      &request->next_page_token, arena, answer);
    ANSWER_WITH_PAGE(FloApi__ScanWorkflowExecutionsResponse,
                     flo_api__scan_workflow_executions_response__init);
}

/* Conditions of the older lists, put together one by one. */
struct conditions {
    char sql[256];
    struct flo_store_value values[8];
    size_t count;
    enum flo_store_path path;
};

static void add_sql(struct conditions *c, const char *sql)
{
    size_t used = strlen(c->sql);
    snprintf(c->sql + used, sizeof c->sql - used, "%s%s", used ? " AND " : "", sql);
}

static void add_condition(struct conditions *c, const char *sql, struct flo_store_value value)
{
    add_sql(c, sql);
    c->values[c->count++] = value;
}

static void add_text_condition(struct conditions *c, const char *sql, const char *text,
                               enum flo_store_path path)
{
    if (!text || !*text)
        return;
    add_condition(c, sql, (struct flo_store_value){.kind = FLO_STORE_TEXT, .text = text});
    c->path = path;
}

static void add_int_condition(struct conditions *c, const char *sql, int64_t value)
{
    add_condition(c, sql, (struct flo_store_value){.kind = FLO_STORE_INT, .integer = value});
}

static int64_t nanoseconds(const Google__Protobuf__Timestamp *time)
{
    int64_t ns;
    if (__builtin_mul_overflow(time->seconds, INT64_C(1000000000), &ns) ||
        __builtin_add_overflow(ns, time->nanos, &ns))
        return time->seconds < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}

/* The order of the two times; false: the answer says that it is wrong. */
static bool times_fit(const FloApi__StartTimeFilter *filter, struct flo_arena *arena,
                      struct flo_route_answer *answer)
{
    if (!filter || !filter->earliest_time || !filter->latest_time ||
        nanoseconds(filter->earliest_time) <= nanoseconds(filter->latest_time))
        return true;
    flo_route_fail(answer, arena, FLO_GRPC_INVALID_ARGUMENT,
                   "EarliestTime in StartTimeFilter should not be larger than LatestTime.");
    return false;
}

static void add_times(struct conditions *c, const FloApi__StartTimeFilter *filter, bool closed)
{
    if (filter && filter->earliest_time)
        add_int_condition(c, closed ? "close_ns >= ?" : "start_ns >= ?",
                          nanoseconds(filter->earliest_time));
    if (filter && filter->latest_time)
        add_int_condition(c, closed ? "close_ns <= ?" : "start_ns <= ?",
                          nanoseconds(filter->latest_time));
}

static void add_execution(struct conditions *c, const FloApi__WorkflowExecutionFilter *filter)
{
    add_text_condition(c, "workflow_id = ?", filter->workflow_id, FLO_STORE_BY_WORKFLOW);
    add_text_condition(c, "run_id = ?", filter->run_id, FLO_STORE_BY_RUN);
}

static struct flo_store_filter as_filter(const struct conditions *c)
{
    return (struct flo_store_filter){
        .sql = c->sql, .values = c->values, .value_count = c->count, .path = c->path};
}

void flo_route_list_open(struct flo_route_context *context, const void *message,
                         struct flo_arena *arena, struct flo_route_answer *answer)
{
    const FloApi__ListOpenWorkflowExecutionsRequest *request = message;
    struct conditions c = {0};
    if (!times_fit(request->start_time_filter, arena, answer))
        return;
    add_sql(&c, FLO_STORE_IS_OPEN);
    add_times(&c, request->start_time_filter, false);
    if (request->filters_case ==
        FLO_API__LIST_OPEN_WORKFLOW_EXECUTIONS_REQUEST__FILTERS_EXECUTION_FILTER)
        add_execution(&c, request->execution_filter);
    else if (request->filters_case ==
             FLO_API__LIST_OPEN_WORKFLOW_EXECUTIONS_REQUEST__FILTERS_TYPE_FILTER)
        add_text_condition(&c, "type = ?", request->type_filter->name, FLO_STORE_BY_TYPE);
    struct list_request list = {.namespace_ = request->namespace_,
                                .page_size = request->maximum_page_size,
                                .token = &request->next_page_token,
                                .filter = as_filter(&c)};
    const struct page *page = read_page(context, &list, arena, answer);
    ANSWER_WITH_PAGE(FloApi__ListOpenWorkflowExecutionsResponse,
                     flo_api__list_open_workflow_executions_response__init);
}

void flo_route_list_closed(struct flo_route_context *context, const void *message,
                           struct flo_arena *arena, struct flo_route_answer *answer)
{
    const FloApi__ListClosedWorkflowExecutionsRequest *request = message;
    struct conditions c = {0};
    if (!times_fit(request->start_time_filter, arena, answer))
        return;
    add_sql(&c, FLO_STORE_IS_CLOSED " AND close_order < 9223372036854775807");
    add_times(&c, request->start_time_filter, true);
    switch (request->filters_case) {
    case FLO_API__LIST_CLOSED_WORKFLOW_EXECUTIONS_REQUEST__FILTERS_EXECUTION_FILTER:
        add_execution(&c, request->execution_filter);
        break;
    case FLO_API__LIST_CLOSED_WORKFLOW_EXECUTIONS_REQUEST__FILTERS_TYPE_FILTER:
        add_text_condition(&c, "type = ?", request->type_filter->name, FLO_STORE_BY_TYPE);
        break;
    case FLO_API__LIST_CLOSED_WORKFLOW_EXECUTIONS_REQUEST__FILTERS_STATUS_FILTER:
        add_int_condition(&c, "status = ?", request->status_filter->status);
        c.path = FLO_STORE_BY_STATUS;
        break;
    default:
        break;
    }
    struct list_request list = {.namespace_ = request->namespace_,
                                .page_size = request->maximum_page_size,
                                .token = &request->next_page_token,
                                .filter = as_filter(&c)};
    const struct page *page = read_page(context, &list, arena, answer);
    ANSWER_WITH_PAGE(FloApi__ListClosedWorkflowExecutionsResponse,
                     flo_api__list_closed_workflow_executions_response__init);
}

/* ---- count ---- */

#define STATUS_MAX 16

struct counts {
    int64_t total, by_status[STATUS_MAX];
};

static void add_count(void *ctx, int status, int64_t count)
{
    struct counts *counts = ctx;
    counts->total += count;
    if (status >= 0 && status < STATUS_MAX)
        counts->by_status[status] += count;
}

/* The JSON text "Name" of a status as a search attribute's payload. */
static FloApi__Payload *status_payload(struct flo_arena *arena, const char *name)
{
    static const char *const metadata[][2] = {{"encoding", "json/plain"}, {"type", "Keyword"}};
    FloApi__Payload *payload = flo_arena_alloc(arena, sizeof *payload);
    FloApi__Payload__MetadataEntry *entries = flo_arena_alloc(arena, 2 * sizeof *entries);
    FloApi__Payload__MetadataEntry **list = flo_arena_alloc(arena, 2 * sizeof *list);
    char *data = flo_arena_printf(arena, "\"%s\"", name);
    if (!payload || !entries || !list || !data)
        return NULL;
    flo_api__payload__init(payload);
    for (size_t i = 0; i < 2; i++) {
        flo_api__payload__metadata_entry__init(&entries[i]);
        entries[i].key = flo_arena_strdup(arena, metadata[i][0]);
        entries[i].value.len = strlen(metadata[i][1]);
        entries[i].value.data = flo_arena_memdup(arena, metadata[i][1], entries[i].value.len);
        if (!entries[i].key || !entries[i].value.data)
            return NULL;
        list[i] = &entries[i];
    }
    payload->metadata = list;
    payload->n_metadata = 2;
    payload->data.data = (uint8_t *)data;
    payload->data.len = strlen(data);
    return payload;
}

static bool add_groups(const struct counts *counts, struct flo_arena *arena,
                       FloApi__CountWorkflowExecutionsResponse *response)
{
    static const char *const names[STATUS_MAX] = {
        [1] = "Running",    [2] = "Completed",      [3] = "Failed",   [4] = "Canceled",
        [5] = "Terminated", [6] = "ContinuedAsNew", [7] = "TimedOut", [8] = "Paused"};
    FloApi__CountWorkflowExecutionsResponse__AggregationGroup *groups =
        flo_arena_alloc(arena, STATUS_MAX * sizeof *groups);
    response->groups = flo_arena_alloc(arena, STATUS_MAX * sizeof *response->groups);
    if (!groups || !response->groups)
        return false;
    for (size_t i = 0; i < STATUS_MAX; i++) {
        if (!counts->by_status[i] || !names[i])
            continue;
        FloApi__CountWorkflowExecutionsResponse__AggregationGroup *group = &groups[i];
        flo_api__count_workflow_executions_response__aggregation_group__init(group);
        group->count = counts->by_status[i];
        group->group_values = flo_arena_alloc(arena, sizeof *group->group_values);
        if (!group->group_values)
            return false;
        group->group_values[0] = status_payload(arena, names[i]);
        if (!group->group_values[0])
            return false;
        group->n_group_values = 1;
        response->groups[response->n_groups++] = group;
    }
    return true;
}

void flo_route_count(struct flo_route_context *context, const void *message,
                     struct flo_arena *arena, struct flo_route_answer *answer)
{
    const FloApi__CountWorkflowExecutionsRequest *request = message;
    struct counts counts = {0};
    struct flo_query query;
    struct flo_err err = {0};
    const char *id = flo_route_namespace(context, request->namespace_, arena, answer);
    if (!id || !compile(context, request->namespace_, request->query, true, arena, &query, answer))
        return;
    int rc = flo_store_count(context->store, id, &query.filter, query.group_by_status, add_count,
                             &counts, &err);
    if (rc) {
        read_failed(rc, &err, arena, answer);
        return;
    }
    FloApi__CountWorkflowExecutionsResponse *response = flo_arena_alloc(arena, sizeof *response);
    if (!response) {
        flo_route_out_of_memory(answer);
        return;
    }
    flo_api__count_workflow_executions_response__init(response);
    response->count = counts.total;
    if (query.group_by_status && !add_groups(&counts, arena, response))
        flo_route_out_of_memory(answer);
    else
        answer->body = &response->base;
}
