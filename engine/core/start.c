/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.c - StartWorkflowExecution and SignalWithStartWorkflowExecution (PROTOCOL 2.4, 2.10).
 *
 * Both requests become one struct start; then the policies say what happens to the workflow id:
 *
 *    current run      same request id   running                          closed
 *    answer           that run          conflict policy: refuse, use     reuse policy: refuse,
 *                                       it, or terminate it and start    or start
 */
#include <string.h>

#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/payload.h"

enum { EAGER_TASK_FIELD = 2 }; /* of StartWorkflowExecutionResponse */

#define DEFAULT_TASK_TIMEOUT_NS (10 * FLO_NS_PER_S)
#define MAX_TASK_TIMEOUT_NS (120 * FLO_NS_PER_S)
#define ENGINE_IDENTITY "history-service"

/* What both requests say. Borrowed from the request. */
struct start {
    uint64_t call;
    const char *namespace_name, *workflow_id, *identity, *request_id, *cron_schedule;
    char made_request_id[FLO_UUID_LEN + 1]; /* when the request has none */
    FloApi__WorkflowType *workflow_type;
    FloApi__TaskQueue *task_queue;
    FloApi__Payloads *input, *last_completion_result;
    FloApi__Failure *continued_failure;
    const Google__Protobuf__Duration *execution_timeout, *run_timeout, *task_timeout, *delay;
    FloApi__RetryPolicy *retry_policy;
    FloApi__Memo *memo;
    FloApi__SearchAttributes *search_attributes;
    FloApi__Header *header;
    FloApi__Priority *priority;
    FloApi__UserMetadata *user_metadata;
    FloApi__Link **links;
    size_t n_links;
    FloApi__WorkflowIdReusePolicy reuse;
    FloApi__WorkflowIdConflictPolicy conflict;
    bool eager;
    struct flo_namespace *ns;
    /* signal-with-start only */
    const char *signal_name; /* NULL: plain start */
    FloApi__Payloads *signal_input;
};

#define REUSE(name) FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_##name
#define CONFLICT(name) FLO_API__WORKFLOW_ID_CONFLICT_POLICY__WORKFLOW_ID_CONFLICT_POLICY_##name
#define STATUS(name) FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_##name

/* ---- checks ---- */

static int invalid(struct flo_core *core, struct flo_status *status, const char *message)
{
    return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "%s", message);
}

static int check_names(struct flo_core *core, const struct start *start, struct flo_status *status)
{
    if (!start->workflow_id[0])
        return invalid(core, status, "WorkflowId is not set on request.");
    int rc = flo_check_id(core, "WorkflowId", start->workflow_id, status);
    if (rc)
        return rc;
    if (start->signal_name && !start->signal_name[0])
        return invalid(core, status, "SignalName is not set on request.");
    rc = flo_check_id(core, "SignalName", start->signal_name, status);
    if (rc)
        return rc;
    if (!start->workflow_type || !start->workflow_type->name[0])
        return invalid(core, status, "WorkflowType is not set on request.");
    rc = flo_check_id(core, "WorkflowType", start->workflow_type->name, status);
    if (rc)
        return rc;
    if (!start->task_queue || !start->task_queue->name[0])
        return invalid(core, status, "taskQueue is not set");
    if (strncmp(start->task_queue->name, "/_sys/", strlen("/_sys/")) == 0)
        return invalid(core, status, "task queue name cannot start with reserved prefix /_sys/");
    rc = flo_check_id(core, "taskQueue", start->task_queue->name, status);
    if (!rc)
        rc = flo_check_id(core, "RequestId", start->request_id, status);
    return rc ? rc : flo_check_id(core, "Identity", start->identity, status);
}

static int check_times(struct flo_core *core, const struct start *start, struct flo_status *status)
{
    int rc = flo_check_duration(core, "WorkflowExecutionTimeoutSeconds", start->execution_timeout,
                                status);
    if (!rc)
        rc = flo_check_duration(core, "WorkflowRunTimeoutSeconds", start->run_timeout, status);
    if (!rc)
        rc = flo_check_duration(core, "WorkflowTaskTimeoutSeconds", start->task_timeout, status);
    if (!rc)
        rc = flo_check_retry_policy(core, start->retry_policy, status);
    if (rc)
        return rc;
    if (start->cron_schedule[0])
        return flo_status_set(core, status, FLO_GRPC_UNIMPLEMENTED,
                              "cron_schedule is not supported by this engine; start the workflow "
                              "without it, or use a Temporal cluster");
    return flo_check_duration(core, "WorkflowStartDelay", start->delay, status);
}

static int check_policies(struct flo_core *core, struct start *start, struct flo_status *status)
{
    if (start->reuse > REUSE(TERMINATE_IF_RUNNING) || (int)start->reuse < 0 ||
        start->conflict > CONFLICT(TERMINATE_EXISTING) || (int)start->conflict < 0)
        return invalid(core, status, "Invalid WorkflowIDReusePolicy.");
    if (start->reuse == REUSE(TERMINATE_IF_RUNNING) && start->conflict)
        return invalid(core, status,
                       "Invalid WorkflowIDReusePolicy: "
                       "WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING cannot be used together "
                       "with a WorkflowIDConflictPolicy.");
    if (start->reuse == REUSE(REJECT_DUPLICATE) && start->conflict == CONFLICT(TERMINATE_EXISTING))
        return invalid(core, status,
                       "Invalid WorkflowIDReusePolicy: "
                       "WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE cannot be used together with "
                       "WorkflowIDConflictPolicy WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING.");
    if (start->reuse == REUSE(TERMINATE_IF_RUNNING)) {
        start->reuse = REUSE(ALLOW_DUPLICATE);
        start->conflict = CONFLICT(TERMINATE_EXISTING);
    }
    if (!start->reuse)
        start->reuse = REUSE(ALLOW_DUPLICATE);
    if (!start->conflict)
        start->conflict = start->signal_name ? CONFLICT(USE_EXISTING) : CONFLICT(FAIL);
    return 0;
}

static int check_content(struct flo_core *core, const struct start *start,
                         struct flo_status *status)
{
    const void *fields[] = {start->memo,         start->input,  start->last_completion_result,
                            start->signal_input, start->header, start->continued_failure,
                            start->user_metadata};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        int rc = flo_check_blob(core, fields[i], status);
        if (rc)
            return rc;
    }
    return flo_check_search_attributes(core, start->search_attributes, status);
}

static int check(struct flo_core *core, struct start *start, struct flo_status *status)
{
    int rc = flo_namespace_find(core, start->namespace_name, &start->ns, status);
    if (!rc)
        rc = check_names(core, start, status);
    if (!rc)
        rc = check_times(core, start, status);
    if (!rc)
        rc = check_content(core, start, status);
    if (!rc)
        rc = check_policies(core, start, status);
    if (!rc && !start->request_id[0]) {
        flo_rng_uuid4(&core->rng, start->made_request_id);
        start->request_id = start->made_request_id;
    }
    return rc;
}

/* ---- the Started event ---- */

/* Fill in what the policy leaves open (PROTOCOL 2.9). NULL without memory. */
static FloApi__RetryPolicy *full_retry_policy(struct flo_arena *arena,
                                              const FloApi__RetryPolicy *policy)
{
    FloApi__RetryPolicy *full = flo_arena_memdup(arena, policy, sizeof *policy);
    if (!full)
        return NULL;
    int64_t initial_ns = flo_duration_ns(policy->initial_interval);
    if (initial_ns == 0) {
        initial_ns = FLO_NS_PER_S;
        full->initial_interval = flo_duration_new(arena, initial_ns);
    }
    if (full->backoff_coefficient == 0)
        full->backoff_coefficient = 2;
    if (flo_duration_ns(policy->maximum_interval) == 0)
        full->maximum_interval =
            flo_duration_new(arena, initial_ns > INT64_MAX / 100 ? INT64_MAX : 100 * initial_ns);
    return full->initial_interval && full->maximum_interval ? full : NULL;
}

static int64_t least(int64_t a_ns, int64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

/* A duration for an event; 0 stays unset. */
static bool put_duration(struct flo_arena *arena, int64_t ns, Google__Protobuf__Duration **out)
{
    if (ns == 0)
        return true;
    *out = flo_duration_new(arena, ns);
    return *out != NULL;
}

static bool put_times(struct flo_core *core, const struct start *start,
                      FloApi__WorkflowExecutionStartedEventAttributes *out)
{
    struct flo_arena *arena = &core->scratch;
    const int64_t execution_ns = flo_duration_ns(start->execution_timeout);
    const int64_t backoff_ns = flo_duration_ns(start->delay);
    int64_t run_ns = flo_duration_ns(start->run_timeout);
    int64_t task_ns = flo_duration_ns(start->task_timeout);
    if (execution_ns && (!run_ns || run_ns > execution_ns))
        run_ns = execution_ns;
    if (!task_ns)
        task_ns = DEFAULT_TASK_TIMEOUT_NS;
    task_ns = least(task_ns, MAX_TASK_TIMEOUT_NS);
    if (run_ns)
        task_ns = least(task_ns, run_ns);
    out->first_workflow_task_backoff = flo_duration_new(arena, backoff_ns);
    if (execution_ns)
        out->workflow_execution_expiration_time =
            flo_timestamp_new(arena, core->now_ns + backoff_ns + execution_ns);
    return put_duration(arena, execution_ns, &out->workflow_execution_timeout) &&
           put_duration(arena, run_ns, &out->workflow_run_timeout) &&
           put_duration(arena, task_ns, &out->workflow_task_timeout) &&
           out->first_workflow_task_backoff &&
           (!execution_ns || out->workflow_execution_expiration_time);
}

/* NULL without memory. */
static FloApi__WorkflowExecutionStartedEventAttributes *started_event(struct flo_core *core,
                                                                      const struct start *start,
                                                                      char *run_id)
{
    struct flo_arena *arena = &core->scratch;
    FloApi__WorkflowExecutionStartedEventAttributes *out = flo_arena_alloc(arena, sizeof *out);
    FloApi__TaskQueue *queue = flo_arena_alloc(arena, sizeof *queue);
    if (!out || !queue)
        return NULL;
    flo_api__task_queue__init(queue);
    queue->name = start->task_queue->name;
    queue->kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    flo_api__workflow_execution_started_event_attributes__init(out);
    out->workflow_type = start->workflow_type;
    out->task_queue = queue;
    out->input = start->input;
    out->original_execution_run_id = run_id;
    out->first_execution_run_id = run_id;
    out->identity = (char *)start->identity;
    out->attempt = 1;
    out->memo = start->memo;
    out->search_attributes = start->search_attributes;
    out->header = start->header;
    out->workflow_id = (char *)start->workflow_id;
    out->priority = start->priority;
    out->continued_failure = start->continued_failure;
    out->last_completion_result = start->last_completion_result;
    out->eager_execution_accepted = start->eager;
    if (start->retry_policy) {
        out->retry_policy = full_retry_policy(arena, start->retry_policy);
        if (!out->retry_policy)
            return NULL;
    }
    return put_times(core, start, out) ? out : NULL;
}

/* ---- what happens to the workflow id ---- */

/* The run that a workflow id has now, resident or stored. */
struct current {
    const char *run_id, *request_id, *first_run_id;
    int status;
    struct flo_execution *execution; /* NULL: stored, hence closed */
};

static struct current current_of(const struct flo_run_ref *run)
{
    const struct flo_execution *execution = run->execution;
    if (execution)
        return (struct current){.run_id = execution->run_id,
                                .request_id = execution->start_request_id,
                                .first_run_id = execution->first_run_id,
                                .status = execution->status,
                                .execution = run->execution};
    return (struct current){.run_id = run->stored.run_id,
                            .request_id = run->state->start_request_id,
                            .first_run_id = run->state->first_run_id,
                            .status = run->stored.status};
}

static bool is_running(const struct current *current)
{
    return current->execution && flo_execution_is_open(current->execution);
}

/* ALREADY_EXISTS with the run that is in the way. */
static int already_started(struct flo_core *core, const struct current *current,
                           struct flo_status *status, const char *text)
{
    FloApi__WorkflowExecutionAlreadyStartedFailure *detail =
        flo_arena_alloc(&core->scratch, sizeof *detail);
    if (!detail)
        return flo_status_no_memory(status);
    flo_api__workflow_execution_already_started_failure__init(detail);
    detail->start_request_id = (char *)current->request_id;
    detail->run_id = (char *)current->run_id;
    detail->first_execution_run_id = (char *)current->first_run_id;
    *status = (struct flo_status){
        .code = FLO_GRPC_ALREADY_EXISTS, .message = text, .detail = &detail->base};
    return text ? FLO_ERPC : flo_status_no_memory(status);
}

static int refuse_running(struct flo_core *core, const struct start *start,
                          const struct current *current, struct flo_status *status)
{
    return already_started(core, current, status,
                           flo_arena_printf(&core->scratch,
                                            "Workflow execution is already running. WorkflowId: "
                                            "%s, RunId: %s.",
                                            start->workflow_id, current->run_id));
}

static int check_reuse(struct flo_core *core, const struct start *start,
                       const struct current *current, struct flo_status *status)
{
    const char *text;
    switch (start->reuse) {
    case REUSE(ALLOW_DUPLICATE_FAILED_ONLY):
        if (current->status == STATUS(FAILED) || current->status == STATUS(CANCELED) ||
            current->status == STATUS(TERMINATED) || current->status == STATUS(TIMED_OUT))
            return 0;
        text = flo_arena_printf(&core->scratch,
                                "Workflow execution already finished successfully. WorkflowId: "
                                "%s, RunId: %s. Workflow Id reuse policy: allow duplicate workflow "
                                "Id if last run failed.",
                                start->workflow_id, current->run_id);
        break;
    case REUSE(REJECT_DUPLICATE):
        text = flo_arena_printf(&core->scratch,
                                "Workflow execution already finished. WorkflowId: %s, RunId: %s. "
                                "Workflow Id reuse policy: reject duplicate workflow Id.",
                                start->workflow_id, current->run_id);
        break;
    default:
        return 0;
    }
    return already_started(core, current, status, text);
}

/* `"terminated by new runID: ..."` as JSON. */
static FloApi__Payloads *termination_details(struct flo_core *core, const char *new_run_id)
{
    char *text = flo_arena_printf(&core->scratch, "terminated by new runID: %s", new_run_id);
    json_t *value = text ? json_string(text) : NULL;
    FloApi__Payloads *details = flo_payloads_from_json(&core->scratch, value);
    json_decref(value);
    return details;
}

static void terminate_current(struct flo_core *core, struct flo_execution *execution,
                              const char *new_run_id)
{
    flo_execution_terminate(core, execution, "TerminateIfRunning WorkflowIdReusePolicy",
                            termination_details(core, new_run_id), ENGINE_IDENTITY);
    flo_execution_end(core, execution, true);
}

/* ---- a new run ---- */

static int signal_run(struct flo_core *core, const struct start *start,
                      struct flo_execution *execution, struct flo_status *status)
{
    FloApi__WorkflowExecutionSignaledEventAttributes signal =
        FLO_API__WORKFLOW_EXECUTION_SIGNALED_EVENT_ATTRIBUTES__INIT;
    signal.signal_name = (char *)start->signal_name;
    signal.input = start->signal_input;
    signal.identity = (char *)start->identity;
    signal.header = start->header;
    signal.request_id = (char *)start->request_id;
    return flo_execution_signal(core, execution, &signal, start->links, start->n_links, status);
}

/* Start it; old: the running run that makes room, or NULL. */
static int create(struct flo_core *core, const struct start *start, struct flo_execution *old,
                  struct flo_execution **out, struct flo_status *status)
{
    char run_id[FLO_UUID_LEN + 1];
    flo_core_new_id(core, run_id);
    FloApi__WorkflowExecutionStartedEventAttributes *started = started_event(core, start, run_id);
    if (!started)
        return flo_status_no_memory(status);
    if (old)
        terminate_current(core, old, run_id);
    const struct flo_execution_args args = {.ns = start->ns,
                                            .run_id = run_id,
                                            .request_id = start->request_id,
                                            .started = started,
                                            .user_metadata = start->user_metadata,
                                            .links = start->links,
                                            .n_links = start->n_links};
    struct flo_execution *execution = flo_execution_new(core, &args);
    if (!execution) {
        if (old)
            flo_core_set_fatal(core); /* the old run is gone already */
        return flo_status_no_memory(status);
    }
    if (start->signal_name) {
        /* The signal is event 2: no workflow task may be scheduled before begin says when. */
        execution->first_task_pending = true;
        if (signal_run(core, start, execution, status))
            flo_core_set_fatal(core); /* only memory can be missing: the run is new */
    }
    flo_execution_begin(core, execution, false);
    *out = execution;
    return 0;
}

/* ---- answers to StartWorkflowExecution ---- */

static void reply_start(struct flo_core *core, const struct start *start,
                        const struct current *current, bool started, bool with_task)
{
    FloApi__StartWorkflowExecutionResponse response =
        FLO_API__START_WORKFLOW_EXECUTION_RESPONSE__INIT;
    FloApi__Link__WorkflowEvent__EventReference first =
        FLO_API__LINK__WORKFLOW_EVENT__EVENT_REFERENCE__INIT;
    FloApi__Link__WorkflowEvent event = FLO_API__LINK__WORKFLOW_EVENT__INIT;
    FloApi__Link link = FLO_API__LINK__INIT;
    first.event_id = 1;
    first.event_type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_STARTED;
    event.namespace_ = start->ns->name;
    event.workflow_id = (char *)start->workflow_id;
    event.run_id = (char *)current->run_id;
    event.reference_case = FLO_API__LINK__WORKFLOW_EVENT__REFERENCE_EVENT_REF;
    event.event_ref = &first;
    link.variant_case = FLO_API__LINK__VARIANT_WORKFLOW_EVENT;
    link.workflow_event = &event;
    response.run_id = (char *)current->run_id;
    response.started = started;
    response.status = (FloApi__WorkflowExecutionStatus)current->status;
    response.first_execution_run_id = (char *)current->first_run_id;
    response.link = &link;
    const uint64_t after = current->execution ? flo_core_after(core, current->execution) : 0;
    const uint8_t *raw = NULL;
    size_t raw_len = 0;
    if (with_task && flo_poll_workflow_task_field(core, current->execution, false, EAGER_TASK_FIELD,
                                                  &raw, &raw_len)) {
        struct flo_status status;
        flo_status_no_memory(&status); /* it has started; the retry of the call finds it */
        flo_reply_status(core, start->call, after, &status);
        return;
    }
    flo_reply_raw(core, start->call, after, &response.base, raw, raw_len);
}

/* Is the eager first task of an earlier call with this request id still out? */
static bool eager_task_out(const struct start *start, const struct current *current)
{
    const struct flo_execution *execution = current->execution;
    return start->eager && is_running(current) && execution->last_completed_started_id == 0 &&
           execution->workflow_task.stage == FLO_WORKFLOW_TASK_STARTED &&
           execution->workflow_task.attempt == 1 && execution->workflow_task.request_id &&
           strcmp(execution->workflow_task.request_id, start->request_id) == 0;
}

static void start_new(struct flo_core *core, const struct start *start, struct flo_execution *old)
{
    struct flo_status status = {0};
    struct flo_execution *execution;
    if (create(core, start, old, &execution, &status)) {
        flo_reply_status(core, start->call, 0, &status);
        return;
    }
    bool eager = false;
    if (start->eager) {
        const struct flo_worker worker = {
            .identity = start->identity, .build_id = "", .request_id = start->request_id};
        eager = flo_workflow_task_start(core, execution, &worker, false) == 0;
    }
    flo_execution_end(core, execution, true);
    const struct flo_run_ref run = {.execution = execution};
    const struct current current = current_of(&run);
    reply_start(core, start, &current, true, eager);
}

static void serve_start(struct flo_core *core, struct start *start)
{
    struct flo_status status = {0};
    struct flo_run_ref run;
    int rc = check(core, start, &status);
    if (!rc) {
        rc = flo_core_find_run(core, start->ns, start->workflow_id, "", &run, &status);
        if (rc == FLO_ENOENT) {
            start_new(core, start, NULL);
            return;
        }
    }
    if (rc) {
        flo_reply_status(core, start->call, 0, &status);
        return;
    }
    const struct current current = current_of(&run);
    if (strcmp(current.request_id, start->request_id) == 0) {
        reply_start(core, start, &current, true, eager_task_out(start, &current));
        return;
    }
    if (!is_running(&current)) {
        rc = check_reuse(core, start, &current, &status);
        if (!rc) {
            start_new(core, start, NULL);
            return;
        }
    } else if (start->conflict == CONFLICT(USE_EXISTING)) {
        reply_start(core, start, &current, false, false);
        return;
    } else if (start->conflict == CONFLICT(TERMINATE_EXISTING)) {
        start_new(core, start, current.execution);
        return;
    } else {
        rc = refuse_running(core, start, &current, &status);
    }
    flo_reply_status(core, start->call, 0, &status);
}

void flo_rpc_start_workflow_execution(struct flo_core *core, const struct flo_core_call_info *info,
                                      const void *message)
{
    const FloApi__StartWorkflowExecutionRequest *request = message;
    struct start start = {
        .call = info->id,
        .namespace_name = request->namespace_,
        .workflow_id = request->workflow_id,
        .identity = request->identity,
        .request_id = request->request_id,
        .cron_schedule = request->cron_schedule,
        .workflow_type = request->workflow_type,
        .task_queue = request->task_queue,
        .input = request->input,
        .last_completion_result = request->last_completion_result,
        .continued_failure = request->continued_failure,
        .execution_timeout = request->workflow_execution_timeout,
        .run_timeout = request->workflow_run_timeout,
        .task_timeout = request->workflow_task_timeout,
        .delay = request->workflow_start_delay,
        .retry_policy = request->retry_policy,
        .memo = request->memo,
        .search_attributes = request->search_attributes,
        .header = request->header,
        .priority = request->priority,
        .user_metadata = request->user_metadata,
        .links = request->links,
        .n_links = request->n_links,
        .reuse = request->workflow_id_reuse_policy,
        .conflict = request->workflow_id_conflict_policy,
        .eager =
            request->request_eager_execution && flo_duration_ns(request->workflow_start_delay) == 0,
    };
    serve_start(core, &start);
}

/* ---- signal-with-start ---- */

static void reply_signal_with_start(struct flo_core *core, const struct start *start,
                                    const struct current *current, bool started)
{
    FloApi__SignalWithStartWorkflowExecutionResponse response =
        FLO_API__SIGNAL_WITH_START_WORKFLOW_EXECUTION_RESPONSE__INIT;
    response.run_id = (char *)current->run_id;
    response.started = started;
    response.first_execution_run_id = (char *)current->first_run_id;
    flo_reply_ok(core, start->call,
                 current->execution ? flo_core_after(core, current->execution) : 0, &response.base);
}

static void signal_new(struct flo_core *core, const struct start *start, struct flo_execution *old)
{
    struct flo_status status = {0};
    struct flo_run_ref run = {0};
    if (create(core, start, old, &run.execution, &status)) {
        flo_reply_status(core, start->call, 0, &status);
        return;
    }
    flo_execution_end(core, run.execution, true);
    const struct current current = current_of(&run);
    reply_signal_with_start(core, start, &current, true);
}

static void signal_running(struct flo_core *core, const struct start *start,
                           const struct current *current)
{
    struct flo_status status = {0};
    struct flo_execution *execution = current->execution;
    if (signal_run(core, start, execution, &status)) {
        flo_reply_status(core, start->call, 0, &status);
        return;
    }
    if (execution->first_task_pending) /* it does not wait for its start delay any longer */
        flo_execution_begin(core, execution, true);
    flo_execution_end(core, execution, true);
    reply_signal_with_start(core, start, current, false);
}

void flo_rpc_signal_with_start_workflow_execution(struct flo_core *core,
                                                  const struct flo_core_call_info *info,
                                                  const void *message)
{
    const FloApi__SignalWithStartWorkflowExecutionRequest *request = message;
    struct start start = {
        .call = info->id,
        .namespace_name = request->namespace_,
        .workflow_id = request->workflow_id,
        .identity = request->identity,
        .request_id = request->request_id,
        .cron_schedule = request->cron_schedule,
        .workflow_type = request->workflow_type,
        .task_queue = request->task_queue,
        .input = request->input,
        .execution_timeout = request->workflow_execution_timeout,
        .run_timeout = request->workflow_run_timeout,
        .task_timeout = request->workflow_task_timeout,
        .delay = request->workflow_start_delay,
        .retry_policy = request->retry_policy,
        .memo = request->memo,
        .search_attributes = request->search_attributes,
        .header = request->header,
        .priority = request->priority,
        .user_metadata = request->user_metadata,
        .links = request->links,
        .n_links = request->n_links,
        .reuse = request->workflow_id_reuse_policy,
        .conflict = request->workflow_id_conflict_policy,
        .signal_name = request->signal_name,
        .signal_input = request->signal_input,
    };
    struct flo_status status = {0};
    struct flo_run_ref run;
    int rc = check(core, &start, &status);
    if (!rc) {
        rc = flo_core_find_run(core, start.ns, start.workflow_id, "", &run, &status);
        if (rc == FLO_ENOENT) {
            signal_new(core, &start, NULL);
            return;
        }
    }
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    const struct current current = current_of(&run);
    if (strcmp(current.request_id, start.request_id) == 0) {
        reply_signal_with_start(core, &start, &current, false); /* the signal came with the start */
        return;
    }
    if (!is_running(&current))
        rc = check_reuse(core, &start, &current, &status);
    else if (start.conflict == CONFLICT(FAIL))
        rc = refuse_running(core, &start, &current, &status);
    if (rc)
        flo_reply_status(core, info->id, 0, &status);
    else if (!is_running(&current))
        signal_new(core, &start, NULL);
    else if (start.conflict == CONFLICT(TERMINATE_EXISTING))
        signal_new(core, &start, current.execution);
    else
        signal_running(core, &start, &current);
}
