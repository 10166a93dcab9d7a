/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query.c - queries: a call that a worker answers without leaving a trace in the history.
 *
 *                    +------------------ workflow task ended without an answer
 *                    v                                     |
 *    new --------> WAITING --- workflow task starts ---> ATTACHED --- its completion ---> over
 *     |              |
 *     |              +-- no workflow task pending any more --+
 *     |                                                      v
 *     +-- no workflow task pending, or run closed -------> QUEUED --- poll ---> OUT ---> over
 *
 * A query must see every signal that was acknowledged before it: while a workflow task is pending
 * it waits for that one (WAITING, on the run's list), else it is a task of its own, first for the
 * sticky worker, then for any. It ends with an answer, its caller's deadline, or its caller.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/core/execution.h"
#include "engine/core/history_page.h"
#include "engine/core/internal.h"
#include "engine/core/matching.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/poll.h"
#include "engine/core/query.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/runs.h"
#include "engine/core/task.h"
#include "engine/core/timers.h"
#include "engine/core/token.h"
#include "engine/core/wire_out.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/decode.h"

enum { HISTORY_FIELD = 8, MAX_WAITING = 100, FAILED_ATTEMPTS = 3 };

/* The caller's own timer comes before ours, which is for callers that have none. */
#define CALLER_FIRST_NS (100 * FLO_NS_PER_MS)
/* A caller without a deadline is not kept for ever. */
#define DEFAULT_QUERY_NS (60 * FLO_NS_PER_S)

enum query_stage { QUERY_WAITING, QUERY_ATTACHED, QUERY_QUEUED, QUERY_OUT };

struct flo_core_query {
    struct flo_waiting waiting; /* the QueryWorkflow call */
    struct flo_node node;       /* WAITING, ATTACHED: on hooks.queries of the run */
    struct flo_task task;       /* QUEUED */
    struct flo_core_timer deadline;
    struct flo_core_timer sticky; /* QUEUED on a sticky queue: when to try the normal one */
    enum query_stage stage;
    uint64_t id;
    struct flo_namespace *ns;
    struct flo_execution *execution;  /* WAITING, ATTACHED */
    int64_t attached_ns;              /* start time of the workflow task that carries it */
    const char *workflow_id, *run_id; /* arena */
    FloApi__WorkflowQuery *query;     /* arena */
    struct flo_arena arena;
};

/* ---- life ---- */

static void query_leave_run(struct flo_core_query *query)
{
    if (flo_node_linked(&query->node))
        flo_list_remove(&query->execution->hooks.queries, &query->node);
    query->execution = NULL;
}

static void query_free(struct flo_core *core, struct flo_core_query *query)
{
    flo_core_wait_over(core, &query->waiting);
    flo_map_remove(&core->queries, &query->id, sizeof query->id);
    flo_core_timers_clear(&core->timers, &query->deadline);
    flo_core_timers_clear(&core->timers, &query->sticky);
    flo_matching_remove(core, &query->task);
    query_leave_run(query);
    flo_arena_fini(&query->arena);
    flo_free(query);
}

static void query_drop(struct flo_core *core, struct flo_waiting *waiting)
{
    query_free(core, flo_container(waiting, struct flo_core_query, waiting));
}

static void query_refuse(struct flo_core *core, struct flo_core_query *query,
                         const struct flo_status *status)
{
    flo_reply_status(core, query->waiting.call, 0, status);
    query_free(core, query);
}

static void query_expired(struct flo_core *core, struct flo_core_timer *timer)
{
    struct flo_status status = {0};
    flo_status_set(core, &status, FLO_GRPC_DEADLINE_EXCEEDED,
                   "query timed out before a worker could process it");
    query_refuse(core, flo_container(timer, struct flo_core_query, deadline), &status);
}

static struct flo_core_query *query_new(struct flo_core *core,
                                        const struct flo_core_call_info *info,
                                        struct flo_namespace *ns, const char *workflow_id,
                                        const char *run_id, const FloApi__WorkflowQuery *text)
{
    struct flo_core_query *query = flo_calloc(1, sizeof *query);
    if (!query)
        return NULL;
    flo_arena_init(&query->arena, 0);
    query->waiting = (struct flo_waiting){.call = info->id, .drop = query_drop};
    query->task.kind = FLO_TASK_QUERY;
    query->task.query = query;
    query->ns = ns;
    query->id = flo_rng_next(&core->rng); /* not counted: old tokens must not fit after a restart */
    query->workflow_id = flo_arena_strdup(&query->arena, workflow_id);
    query->run_id = flo_arena_strdup(&query->arena, run_id);
    query->query = (FloApi__WorkflowQuery *)flo_wire_copy(&text->base, &query->arena);
    const int64_t deadline =
        (info->deadline_ns == INT64_MAX ? core->now_ns + DEFAULT_QUERY_NS : info->deadline_ns) +
        CALLER_FIRST_NS;
    if (!query->workflow_id || !query->run_id || !query->query ||
        flo_core_wait(core, &query->waiting) ||
        flo_map_put(&core->queries, &query->id, sizeof query->id, query, NULL) ||
        flo_core_timers_set(&core->timers, &query->deadline, deadline, query_expired)) {
        query_free(core, query);
        return NULL;
    }
    return query;
}

/* ---- direct queries ---- */

static int run_of(struct flo_core *core, const struct flo_core_query *query,
                  struct flo_core_run_ref *out, struct flo_status *status)
{
    return flo_core_find_run(core, query->ns, query->workflow_id, query->run_id, out, status);
}

static void sticky_due(struct flo_core *core, struct flo_core_timer *timer)
{
    flo_core_query_requeue(core, flo_container(timer, struct flo_core_query, sticky));
}

static void query_no_memory(struct flo_core *core, struct flo_core_query *query)
{
    struct flo_status status;
    flo_status_no_memory(&status);
    query_refuse(core, query, &status);
}

/* Queue it as a task of its own. */
static void query_dispatch(struct flo_core *core, struct flo_core_query *query,
                           const struct flo_core_run_ref *run)
{
    const struct flo_execution *execution = run->execution;
    const char *normal = execution ? execution->task_queue : run->state->task_queue;
    const char *sticky = execution ? execution->sticky_queue : NULL;
    query_leave_run(query);
    query->stage = QUERY_QUEUED;
    if (sticky && !flo_matching_sticky_alive(core, query->ns, sticky))
        sticky = NULL;
    if (flo_matching_add_query_task(core, &query->task, query->ns, sticky != NULL,
                                    sticky ? sticky : normal) ||
        (sticky &&
         flo_core_timers_set(&core->timers, &query->sticky,
                             core->now_ns + execution->sticky_schedule_to_start_ns, sticky_due)))
        query_no_memory(core, query);
}

void flo_core_query_requeue(struct flo_core *core, struct flo_core_query *query)
{
    struct flo_status status = {0};
    struct flo_core_run_ref run;
    if (query->stage != QUERY_QUEUED)
        return;
    flo_core_timers_clear(&core->timers, &query->sticky);
    if (run_of(core, query, &run, &status)) {
        query_refuse(core, query, &status);
        return;
    }
    const char *normal = run.execution ? run.execution->task_queue : run.state->task_queue;
    if (flo_matching_add_query_task(core, &query->task, query->ns, false, normal))
        query_no_memory(core, query);
}

static int fill_task(struct flo_core *core, const struct flo_core_query *query,
                     const struct flo_core_run_ref *run,
                     FloApi__PollWorkflowTaskQueueResponse *body)
{
    const struct flo_execution *execution = run->execution;
    flo_api__poll_workflow_task_queue_response__init(body);
    body->attempt = 1;
    body->query = query->query;
    body->previous_started_event_id =
        execution ? execution->last_completed_started_id : run->state->last_completed_started_id;
    int rc = flo_poll_fill_run(core, query->workflow_id, query->run_id,
                               execution ? execution->type : run->state->type,
                               execution ? execution->task_queue : run->state->task_queue, body);
    const struct flo_token token = {.kind = FLO_TOKEN_QUERY,
                                    .ns = query->ns,
                                    .workflow_id = query->workflow_id,
                                    .run_id = query->run_id,
                                    .query = query->id};
    return rc ? rc : flo_token_encode(core, &token, &body->task_token);
}

int flo_core_query_deliver(struct flo_core *core, struct flo_core_query *query, bool sticky,
                           FloApi__PollWorkflowTaskQueueResponse *body, const uint8_t **out_raw,
                           size_t *out_raw_len)
{
    struct flo_status status = {0};
    struct flo_core_run_ref run;
    struct flo_history_page page = {0};
    struct flo_bytes history;
    int rc = run_of(core, query, &run, &status);
    if (rc) {
        query_refuse(core, query, &status);
        return FLO_ENOENT;
    }
    rc = fill_task(core, query, &run, body);
    if (!rc && !sticky)
        rc = run.execution ? flo_history_page_for_task(core, run.execution, 1, &page)
                           : flo_history_page_stored(core, query->ns, &run, 1, &page);
    if (!rc)
        rc = flo_wire_out_field(&core->scratch, HISTORY_FIELD, page.parts, page.part_count,
                                &history);
    if (rc) {
        if (rc == FLO_ENOMEM)
            flo_status_no_memory(&status);
        else
            flo_status_set(core, &status, FLO_GRPC_DATA_LOSS, "the stored history is damaged");
        query_refuse(core, query, &status);
        return FLO_ENOENT;
    }
    body->next_page_token = page.next_page_token;
    flo_core_timers_clear(&core->timers, &query->sticky);
    query->stage = QUERY_OUT;
    *out_raw = history.data;
    *out_raw_len = history.len;
    return 0;
}

/* ---- queries that a workflow task carries ---- */

/* Has the workflow task that carried the query ended without an answer? */
static bool carrier_gone(const struct flo_core_query *query)
{
    const struct flo_core_workflow_task *task = &query->execution->workflow_task;
    return task->stage != FLO_CORE_WORKFLOW_TASK_STARTED || task->started_ns != query->attached_ns;
}

static int closed_early(struct flo_core *core, struct flo_status *status)
{
    return flo_status_not_ready(core, status,
                                "Workflow execution closed before WorkflowTaskStarted event");
}

void flo_core_query_settle(struct flo_core *core, struct flo_execution *execution)
{
    const bool open = flo_execution_is_open(execution);
    const struct flo_core_run_ref run = {.execution = execution};
    FLO_LIST_FOREACH_SAFE(node, &execution->hooks.queries)
    {
        struct flo_core_query *query = flo_container(node, struct flo_core_query, node);
        if (query->stage == QUERY_ATTACHED && carrier_gone(query))
            query->stage = QUERY_WAITING;
        if (query->stage != QUERY_WAITING)
            continue;
        if (execution->last_completed_started_id == 0) {
            struct flo_status status;
            if (!open) {
                closed_early(core, &status);
                query_refuse(core, query, &status);
            }
            continue;
        }
        if (!open || (execution->workflow_task.stage == FLO_CORE_WORKFLOW_TASK_NONE &&
                      flo_list_empty(&execution->buffered)))
            query_dispatch(core, query, &run);
    }
}

void flo_core_query_run_gone(struct flo_core *core, struct flo_execution *execution)
{
    FLO_LIST_FOREACH_SAFE(node, &execution->hooks.queries)
    {
        struct flo_status status = {0};
        flo_status_not_found(core, &status, "workflow not found for ID: %s",
                             execution->workflow_id);
        query_refuse(core, flo_container(node, struct flo_core_query, node), &status);
    }
}

int flo_core_query_attach(struct flo_core *core, struct flo_execution *execution,
                          FloApi__PollWorkflowTaskQueueResponse *body)
{
    struct flo_list *queries = &execution->hooks.queries;
    if (flo_list_empty(queries))
        return 0;
    body->queries = flo_arena_calloc(&core->scratch, queries->count, sizeof *body->queries);
    if (!body->queries)
        return FLO_ENOMEM;
    FLO_LIST_FOREACH(node, queries)
    {
        struct flo_core_query *query = flo_container(node, struct flo_core_query, node);
        FloApi__PollWorkflowTaskQueueResponse__QueriesEntry *entry =
            flo_arena_alloc(&core->scratch, sizeof *entry);
        char *key = flo_arena_printf(&core->scratch, "%016" PRIx64, query->id);
        if (!entry || !key)
            return FLO_ENOMEM;
        flo_api__poll_workflow_task_queue_response__queries_entry__init(entry);
        entry->key = key;
        entry->value = query->query;
        body->queries[body->n_queries++] = entry;
        query->stage = QUERY_ATTACHED;
        query->attached_ns = execution->workflow_task.started_ns;
    }
    return 0;
}

/* ---- answers ---- */

static void answer_failed(struct flo_core *core, struct flo_core_query *query, const char *text,
                          FloApi__Failure *failure)
{
    FloApi__QueryFailedFailure detail = FLO_API__QUERY_FAILED_FAILURE__INIT;
    detail.failure = failure;
    const struct flo_status status = {
        .code = FLO_GRPC_INVALID_ARGUMENT, .message = text, .detail = &detail.base};
    query_refuse(core, query, &status);
}

static void answer(struct flo_core *core, struct flo_core_query *query,
                   FloApi__QueryResultType type, FloApi__Payloads *result,
                   const char *error_message, FloApi__Failure *failure)
{
    struct flo_status status = {0};
    if (type != FLO_API__QUERY_RESULT_TYPE__QUERY_RESULT_TYPE_ANSWERED) {
        answer_failed(core, query, error_message, failure);
        return;
    }
    if (flo_check_blob(core, result, &status)) {
        query_refuse(core, query, &status);
        return;
    }
    FloApi__QueryWorkflowResponse response = FLO_API__QUERY_WORKFLOW_RESPONSE__INIT;
    response.query_result = result;
    flo_reply_ok(core, query->waiting.call, 0, &response.base);
    query_free(core, query);
}

void flo_core_query_answer(struct flo_core *core, struct flo_execution *execution,
                           FloApi__RespondWorkflowTaskCompletedRequest__QueryResultsEntry **results,
                           size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t id;
        int used = 0;
        const FloApi__WorkflowQueryResult *result = results[i]->value;
        if (!result || sscanf(results[i]->key, "%16" SCNx64 "%n", &id, &used) != 1 ||
            results[i]->key[used])
            continue;
        struct flo_core_query *query = flo_map_get(&core->queries, &id, sizeof id);
        if (query && query->stage == QUERY_ATTACHED && query->execution == execution)
            answer(core, query, result->result_type, result->answer, result->error_message,
                   result->failure);
    }
}

void flo_rpc_respond_query_task_completed(struct flo_core *core,
                                          const struct flo_core_call_info *info,
                                          const void *message)
{
    const FloApi__RespondQueryTaskCompletedRequest *request = message;
    static const FloApi__RespondQueryTaskCompletedResponse response =
        FLO_API__RESPOND_QUERY_TASK_COMPLETED_RESPONSE__INIT;
    struct flo_status status = {0};
    struct flo_token token;
    struct flo_core_query *query = NULL;
    int rc = flo_token_decode(core, &request->task_token, FLO_TOKEN_QUERY, request->namespace_,
                              &token, &status);
    if (!rc)
        rc = flo_check_enum(core, "CompletedType", &flo_api__query_result_type__descriptor,
                            (int)request->completed_type, &status);
    if (!rc) {
        query = flo_map_get(&core->queries, &token.query, sizeof token.query);
        if (!query || query->stage != QUERY_OUT || strcmp(query->run_id, token.run_id) != 0)
            rc = flo_status_not_found(core, &status, "query task not found, or already expired");
    }
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    answer(core, query, request->completed_type, request->query_result, request->error_message,
           request->failure);
    flo_reply_ok(core, info->id, 0, &response.base);
}

/* ---- the call ---- */

/* Is the query refused because of where the run stands? */
static bool rejected(FloApi__QueryRejectCondition condition, int run_status)
{
    switch (condition) {
    case FLO_API__QUERY_REJECT_CONDITION__QUERY_REJECT_CONDITION_NOT_OPEN:
        return run_status != FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_RUNNING;
    case FLO_API__QUERY_REJECT_CONDITION__QUERY_REJECT_CONDITION_NOT_COMPLETED_CLEANLY:
        return run_status !=
                   FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_RUNNING &&
               run_status !=
                   FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_COMPLETED;
    default:
        return false;
    }
}

static void reply_rejected(struct flo_core *core, uint64_t call, int run_status)
{
    FloApi__QueryRejected reason = FLO_API__QUERY_REJECTED__INIT;
    FloApi__QueryWorkflowResponse response = FLO_API__QUERY_WORKFLOW_RESPONSE__INIT;
    reason.status = (FloApi__WorkflowExecutionStatus)run_status;
    response.query_rejected = &reason;
    flo_reply_ok(core, call, 0, &response.base);
}

/* Can a worker ever answer? Not for a run that ended before its first workflow task, or has that
 * only after the caller's deadline, and not while its tasks keep failing. */
static int check_ready(struct flo_core *core, const struct flo_core_call_info *info,
                       const struct flo_core_run_ref *run, struct flo_status *status)
{
    const struct flo_execution *execution = run->execution;
    if (!execution)
        return run->state->last_completed_started_id ? 0 : closed_early(core, status);
    if (execution->last_completed_started_id == 0) {
        if (!flo_execution_is_open(execution))
            return closed_early(core, status);
        if (execution->first_task_pending && execution->execution_ns > info->deadline_ns)
            return flo_status_not_ready(core, status, "Workflow task is not scheduled yet.");
    }
    if (flo_execution_is_open(execution) && execution->workflow_task.attempt >= FAILED_ATTEMPTS)
        return flo_status_not_ready(core, status,
                                    "Unable to query workflow due to Workflow Task in failed "
                                    "state.");
    if (execution->hooks.queries.count >= MAX_WAITING)
        return flo_status_exhausted(
            core, status, FLO_API__RESOURCE_EXHAUSTED_CAUSE__RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW,
            "consistent query buffer is full, cannot accept new consistent queries");
    return 0;
}

static int check_request(struct flo_core *core, const FloApi__QueryWorkflowRequest *request,
                         struct flo_namespace **out_ns, struct flo_status *status)
{
    int rc = flo_namespace_find(core, request->namespace_, out_ns, status);
    if (!rc)
        rc = flo_check_execution(core, request->execution, status);
    if (rc)
        return rc;
    if (!request->query)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "WorkflowQuery is not set on request.");
    if (!request->query->query_type[0])
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "QueryType is not set on request.");
    rc = flo_check_enum(core, "QueryRejectCondition", &flo_api__query_reject_condition__descriptor,
                        (int)request->query_reject_condition, status);
    return rc ? rc : flo_check_blob(core, request->query->query_args, status);
}

void flo_rpc_query_workflow(struct flo_core *core, const struct flo_core_call_info *info,
                            const void *message)
{
    const FloApi__QueryWorkflowRequest *request = message;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    struct flo_core_run_ref run;
    int rc = check_request(core, request, &ns, &status);
    if (!rc)
        rc = flo_core_find_run(core, ns, request->execution->workflow_id,
                               request->execution->run_id, &run, &status);
    if (!rc) {
        const int run_status = run.execution ? run.execution->status : run.stored.status;
        if (rejected(request->query_reject_condition, run_status)) {
            reply_rejected(core, info->id, run_status);
            return;
        }
        rc = check_ready(core, info, &run, &status);
    }
    struct flo_core_query *query = NULL;
    if (!rc) {
        query =
            query_new(core, info, ns, request->execution->workflow_id,
                      run.execution ? run.execution->run_id : run.stored.run_id, request->query);
        if (!query)
            rc = flo_status_no_memory(&status);
    }
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    if (!run.execution) {
        query_dispatch(core, query, &run);
        return;
    }
    query->execution = run.execution;
    flo_list_push_back(&run.execution->hooks.queries, &query->node);
    flo_core_touch(core, run.execution, false); /* flo_core_query_settle decides where it goes */
}
