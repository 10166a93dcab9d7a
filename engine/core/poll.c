/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll.c - the polls of workers, and the answers that carry tasks.
 *
 * A poll always waits, if only until the end of its step: matching brings it a task
 * (flo_poll_deliver), or its time is up and it is answered empty. The history in a workflow task
 * is a range of bytes of the run, copied once behind the packed rest of the answer.
 */
#include <string.h>

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
#include "engine/core/task.h"
#include "engine/core/token.h"
#include "engine/core/update.h"
#include "engine/core/wire_out.h"
#include "engine/core/worker.h"
#include "wire/payload.h"

/* Longest hold of a poll; it is answered a second before the caller's patience ends. */
#define POLL_NS (60 * FLO_NS_PER_S)
#define POLL_MARGIN_NS FLO_NS_PER_S
#define POLL_MIN_NS (2 * FLO_NS_PER_S)

enum { BUILD_ID_BYTES = 255 };
enum { HISTORY_FIELD = 8 }; /* of PollWorkflowTaskQueueResponse */

/* ---- waiting ---- */

static int check_queue(struct flo_core *core, const FloApi__TaskQueue *queue,
                       struct flo_status *status)
{
    const char *wrong = flo_queue_wrong(queue);
    if (wrong)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "%s", wrong);
    return flo_check_enum(core, "TaskQueueKind", &flo_api__task_queue_kind__descriptor,
                          (int)queue->kind, status);
}

static int check_deadline(struct flo_core *core, const struct flo_core_call_info *info,
                          int64_t *out_until_ns, struct flo_status *status)
{
    if (info->deadline_ns == INT64_MAX)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Context timeout is not set.");
    const int64_t left = info->deadline_ns - core->now_ns;
    if (left < POLL_MIN_NS)
        return flo_status_set(core, status, FLO_GRPC_FAILED_PRECONDITION,
                              "Context timeout is too short.");
    *out_until_ns = core->now_ns + (left < POLL_NS ? left : POLL_NS) - POLL_MARGIN_NS;
    return 0;
}

/* The checks of both polls; then the poll waits. */
static void poll(struct flo_core *core, const struct flo_core_call_info *info,
                 const char *namespace_name, const FloApi__TaskQueue *queue, struct flo_poll *poll)
{
    struct flo_status status = {0};
    int rc = flo_namespace_find(core, namespace_name, &poll->ns, &status);
    if (!rc)
        rc = check_queue(core, queue, &status);
    if (!rc)
        rc = flo_check_id(core, "Identity", poll->identity, &status);
    if (!rc)
        rc = flo_check_id(core, "WorkerInstanceKey", poll->instance_key, &status);
    if (!rc && poll->has_build_id && strlen(poll->build_id) > BUILD_ID_BYTES)
        rc = flo_status_set(core, &status, FLO_GRPC_INVALID_ARGUMENT,
                            "Build ID exceeds configured limit.workerBuildIdSize, use a shorter "
                            "build ID.");
    if (!rc)
        rc = check_deadline(core, info, &poll->until_ns, &status);
    if (!rc && poll->ns->polls[poll->type] >= FLO_CORE_MAX_POLLS)
        rc = flo_status_exhausted(
            core, &status,
            FLO_API__RESOURCE_EXHAUSTED_CAUSE__RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT,
            "namespace concurrent poller limit exceeded");
    if (!rc) {
        poll->queue = queue->name;
        poll->sticky = queue->kind == FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_STICKY;
        poll->call = info->id;
        if (flo_matching_poll(core, poll))
            rc = flo_status_no_memory(&status);
    }
    if (rc)
        flo_reply_status(core, info->id, 0, &status);
}

/* The build id that a poll names: deployment options, or the older capabilities. */
static void take_build_id(struct flo_poll *poll, const FloApi__WorkerDeploymentOptions *options,
                          const FloApi__WorkerVersionCapabilities *capabilities)
{
    poll->build_id = "";
    if (capabilities && capabilities->build_id[0])
        poll->build_id = capabilities->build_id;
    else if (options)
        poll->build_id = options->build_id;
    poll->has_build_id = poll->build_id[0] != '\0';
}

void flo_rpc_poll_workflow_task_queue(struct flo_core *core, const struct flo_core_call_info *info,
                                      const void *message)
{
    const FloApi__PollWorkflowTaskQueueRequest *request = message;
    struct flo_poll wanted = {.type = FLO_QUEUE_WORKFLOW,
                              .identity = request->identity,
                              .instance_key = request->worker_instance_key};
    take_build_id(&wanted, request->deployment_options, request->worker_version_capabilities);
    poll(core, info, request->namespace_, request->task_queue, &wanted);
}

void flo_rpc_poll_activity_task_queue(struct flo_core *core, const struct flo_core_call_info *info,
                                      const void *message)
{
    const FloApi__PollActivityTaskQueueRequest *request = message;
    struct flo_poll wanted = {.type = FLO_QUEUE_ACTIVITY,
                              .identity = request->identity,
                              .instance_key = request->worker_instance_key};
    take_build_id(&wanted, request->deployment_options, request->worker_version_capabilities);
    if (request->task_queue_metadata)
        wanted.max_tasks_per_second = request->task_queue_metadata->max_tasks_per_second;
    poll(core, info, request->namespace_, request->task_queue, &wanted);
}

void flo_poll_answer_empty(struct flo_core *core, struct flo_poller *poller)
{
    static const FloApi__PollWorkflowTaskQueueResponse no_workflow_task =
        FLO_API__POLL_WORKFLOW_TASK_QUEUE_RESPONSE__INIT;
    static const FloApi__PollActivityTaskQueueResponse no_activity_task =
        FLO_API__POLL_ACTIVITY_TASK_QUEUE_RESPONSE__INIT;
    const uint64_t call = poller->waiting.call;
    const bool workflow = poller->queue->type == FLO_QUEUE_WORKFLOW;
    flo_matching_poller_free(core, poller);
    flo_reply_ok(core, call, 0, workflow ? &no_workflow_task.base : &no_activity_task.base);
}

/* ---- what a workflow task carries ---- */

static int fill_token(struct flo_core *core, const struct flo_execution *execution,
                      FloApi__PollWorkflowTaskQueueResponse *body)
{
    const struct flo_core_workflow_task *task = &execution->workflow_task;
    const struct flo_token token = {.kind = FLO_TOKEN_WORKFLOW,
                                    .ns = execution->hooks.ns,
                                    .workflow_id = execution->workflow_id,
                                    .run_id = execution->run_id,
                                    .scheduled_event_id = task->scheduled_id,
                                    .started_event_id = task->started_id,
                                    .started_ns = task->started_ns,
                                    .attempt = task->attempt};
    return flo_token_encode(core, &token, &body->task_token);
}

int flo_poll_fill_run(struct flo_core *core, const char *workflow_id, const char *run_id,
                      const char *type, const char *task_queue,
                      FloApi__PollWorkflowTaskQueueResponse *body)
{
    FloApi__WorkflowExecution *run = flo_arena_alloc(&core->scratch, sizeof *run);
    FloApi__WorkflowType *workflow_type = flo_arena_alloc(&core->scratch, sizeof *workflow_type);
    FloApi__TaskQueue *queue = flo_arena_alloc(&core->scratch, sizeof *queue);
    if (!run || !workflow_type || !queue)
        return FLO_ENOMEM;
    flo_api__workflow_execution__init(run);
    run->workflow_id = (char *)workflow_id;
    run->run_id = (char *)run_id;
    flo_api__workflow_type__init(workflow_type);
    workflow_type->name = (char *)type;
    flo_api__task_queue__init(queue);
    queue->name = (char *)task_queue;
    queue->kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    body->workflow_execution = run;
    body->workflow_type = workflow_type;
    body->workflow_execution_task_queue = queue;
    return 0;
}

int flo_poll_fill_workflow_task(struct flo_core *core, struct flo_execution *execution, bool sticky,
                                FloApi__PollWorkflowTaskQueueResponse *body,
                                const uint8_t **out_raw, size_t *out_raw_len)
{
    const struct flo_core_workflow_task *task = &execution->workflow_task;
    flo_api__poll_workflow_task_queue_response__init(body);
    body->previous_started_event_id = execution->last_completed_started_id;
    body->started_event_id = task->started_id;
    body->attempt = task->attempt;
    body->scheduled_time = flo_timestamp_new(&core->scratch, task->scheduled_ns);
    body->started_time = flo_timestamp_new(&core->scratch, task->started_ns);
    /*
     * The hint is about the queue that was polled. On a sticky queue it stays 0: an SDK sends every
     * poll there while the last hint that it saw is above 0, answers of one moment overtake each
     * other on its side, and with a hint left over nobody would poll the normal queue until the
     * polls time out. A real server's sticky tasks meet their poll and leave no backlog either.
     */
    const struct flo_queue *queue =
        sticky ? NULL
               : flo_matching_find(core, execution->hooks.ns, FLO_QUEUE_WORKFLOW, false,
                                   execution->task_queue);
    body->backlog_count_hint = queue ? (int64_t)flo_lanes_count(queue) : 0;
    if (!body->scheduled_time || !body->started_time ||
        flo_poll_fill_run(core, execution->workflow_id, execution->run_id, execution->type,
                          execution->task_queue, body) ||
        fill_token(core, execution, body) || flo_core_query_attach(core, execution, body) ||
        flo_update_attach(core, execution, sticky, body))
        return FLO_ENOMEM;
    struct flo_history_page page;
    const int64_t first = sticky ? execution->last_completed_started_id + 1 : 1;
    struct flo_bytes history;
    if (flo_history_page_for_task(core, execution, first, &page) ||
        flo_wire_out_field(&core->scratch, HISTORY_FIELD, page.parts, page.part_count, &history))
        return FLO_ENOMEM;
    body->next_page_token = page.next_page_token;
    *out_raw = history.data;
    *out_raw_len = history.len;
    return 0;
}

int flo_poll_workflow_task_field(struct flo_core *core, struct flo_execution *execution,
                                 bool sticky, uint32_t field, const uint8_t **out_raw,
                                 size_t *out_raw_len)
{
    FloApi__PollWorkflowTaskQueueResponse body;
    struct flo_bytes history, out;
    int rc =
        flo_poll_fill_workflow_task(core, execution, sticky, &body, &history.data, &history.len);
    if (!rc)
        rc = flo_wire_out_message(&core->scratch, field, &body.base, history, &out);
    if (rc)
        return rc;
    *out_raw = out.data;
    *out_raw_len = out.len;
    return 0;
}

/* ---- handing out ---- */

/* Without memory for the answer: the poll fails, and the task is there again. */
static void fail_poll(struct flo_core *core, uint64_t call)
{
    struct flo_status status;
    flo_status_no_memory(&status);
    flo_reply_status(core, call, 0, &status);
}

static void remember(struct flo_core *core, uint64_t call, const struct flo_execution *execution,
                     bool activity, int64_t scheduled_id, int32_t attempt, int64_t started_ns)
{
    struct flo_handed handed = {.call = call,
                                .activity = activity,
                                .attempt = attempt,
                                .scheduled_event_id = scheduled_id,
                                .started_ns = started_ns};
    memcpy(handed.run_id, execution->run_id, sizeof handed.run_id);
    flo_core_hand(core, &handed);
}

/* What the poller's worker is advised; NULL: nothing. decision holds it. */
static FloApi__PollerScalingDecision *advice(struct flo_core *core, const struct flo_poller *poller,
                                             FloApi__PollerScalingDecision *decision)
{
    flo_api__poller_scaling_decision__init(decision);
    decision->poll_request_delta_suggestion = flo_matching_advice(core, poller);
    return decision->poll_request_delta_suggestion ? decision : NULL;
}

static int deliver_workflow(struct flo_core *core, struct flo_poller *poller,
                            struct flo_execution *execution, const struct flo_core_worker *worker)
{
    const bool sticky = poller->queue->sticky;
    int rc = flo_core_workflow_task_start(core, execution, worker, sticky);
    if (rc)
        return rc;
    const struct flo_core_workflow_task *task = &execution->workflow_task;
    flo_execution_end(core, execution, !task->speculative);
    if (task->stage != FLO_CORE_WORKFLOW_TASK_STARTED)
        return FLO_ENOENT; /* the history is too long: that ended the run */
    const uint64_t call = poller->waiting.call;
    FloApi__PollWorkflowTaskQueueResponse body;
    FloApi__PollerScalingDecision decision;
    const uint8_t *raw;
    size_t raw_len;
    rc = flo_poll_fill_workflow_task(core, execution, sticky, &body, &raw, &raw_len);
    body.poller_scaling_decision = advice(core, poller, &decision);
    flo_matching_poller_free(core, poller);
    if (rc) {
        flo_core_workflow_task_lost(core, execution);
        fail_poll(core, call);
        return rc;
    }
    core->stats.workflow_tasks++;
    remember(core, call, execution, false, task->scheduled_id, task->attempt, task->started_ns);
    flo_reply_raw(core, call, 0, &body.base, raw, raw_len);
    return 0;
}

static int deliver_activity(struct flo_core *core, struct flo_poller *poller,
                            struct flo_core_activity *activity,
                            const struct flo_core_worker *worker)
{
    uint64_t after;
    int rc = flo_core_activity_start(core, activity, worker, &after);
    if (rc)
        return rc;
    const uint64_t call = poller->waiting.call;
    FloApi__PollActivityTaskQueueResponse body = FLO_API__POLL_ACTIVITY_TASK_QUEUE_RESPONSE__INIT;
    FloApi__PollerScalingDecision decision;
    rc = flo_core_activity_fill_task(core, activity, &body);
    body.poller_scaling_decision = advice(core, poller, &decision);
    flo_matching_poller_free(core, poller);
    if (rc) {
        flo_core_activity_lost(core, activity);
        fail_poll(core, call);
        return rc == FLO_ENOENT ? FLO_EDATA : rc;
    }
    core->stats.activity_tasks++;
    remember(core, call, activity->execution, true, activity->scheduled_id, activity->attempt,
             activity->started_ns);
    flo_reply_ok(core, call, after, &body.base);
    return 0;
}

static int deliver_query(struct flo_core *core, struct flo_poller *poller,
                         struct flo_core_query *query)
{
    FloApi__PollWorkflowTaskQueueResponse body;
    struct flo_bytes history;
    int rc = flo_core_query_deliver(core, query, poller->queue->sticky, &body, &history.data,
                                    &history.len);
    if (rc)
        return FLO_ENOENT; /* the query has been answered with the error */
    const uint64_t call = poller->waiting.call;
    flo_matching_poller_free(core, poller);
    flo_reply_raw(core, call, 0, &body.base, history.data, history.len);
    return 0;
}

int flo_poll_deliver(struct flo_core *core, struct flo_poller *poller, struct flo_task *task)
{
    char request_id[FLO_UUID_LEN + 1];
    flo_rng_uuid4(&core->rng, request_id);
    const struct flo_core_worker worker = {.identity = poller->identity,
                                           .build_id = poller->build_id,
                                           .has_build_id = poller->has_build_id,
                                           .request_id = request_id};
    switch (task->kind) {
    case FLO_TASK_WORKFLOW:
        return deliver_workflow(core, poller, task->execution, &worker);
    case FLO_TASK_ACTIVITY:
        return deliver_activity(core, poller, task->activity, &worker);
    case FLO_TASK_QUERY:
        return deliver_query(core, poller, task->query);
    }
    return FLO_ENOENT;
}

/* ---- the end of a worker ---- */

void flo_rpc_shutdown_worker(struct flo_core *core, const struct flo_core_call_info *info,
                             const void *message)
{
    const FloApi__ShutdownWorkerRequest *request = message;
    static const FloApi__ShutdownWorkerResponse response = FLO_API__SHUTDOWN_WORKER_RESPONSE__INIT;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc)
        rc = flo_check_id(core, "StickyTaskQueue", request->sticky_task_queue, &status);
    if (!rc)
        rc = flo_check_id(core, "Identity", request->identity, &status);
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    if (request->worker_heartbeat)
        flo_worker_note(core, ns, request->worker_heartbeat);
    flo_matching_shutdown(core, ns, request->sticky_task_queue, request->identity,
                          request->worker_instance_key);
    flo_reply_ok(core, info->id, 0, &response.base);
}
