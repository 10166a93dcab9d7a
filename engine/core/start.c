/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.c - StartWorkflowExecution and SignalWithStartWorkflowExecution.
 *
 * Both requests become one struct flo_start; then the policies say what happens to the workflow id:
 *
 *    current run      same request id   running                          closed
 *    answer           that run          conflict policy: refuse, use     reuse policy: refuse,
 *                                       it, or terminate it and start    or start
 */
#include <assert.h>
#include <string.h>

#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/options.h"
#include "engine/core/poll.h"
#include "engine/core/reply.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "engine/core/start.h"
#include "engine/core/task.h"
#include "engine/core/update.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/payload.h"

enum { EAGER_TASK_FIELD = 2 }; /* of StartWorkflowExecutionResponse */

#define ENGINE_IDENTITY "history-service"

#define STATUS(name) FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_##name

/* ---- what happens to the workflow id ---- */

/* The run that a workflow id has now, resident or stored. */
struct current {
    const char *run_id, *request_id, *first_run_id;
    int status;
    struct flo_execution *execution; /* NULL: stored, hence closed */
    bool attached;                   /* the request was attached to it (OnConflictOptions) */
};

/* Has this request been attached to the run before? */
static bool is_attached(const struct flo_core_run_ref *run, const char *request_id)
{
    if (run->execution)
        return run->execution->more && flo_run_request_known(run->execution, request_id);
    for (size_t i = 0; i < run->state->n_requests; i++)
        if (strcmp(run->state->requests[i]->id, request_id) == 0)
            return true;
    return false;
}

/* A start that uses the run that is there leaves what its options say. */
static void attach(struct flo_core *core, const struct flo_start *start,
                   struct flo_execution *execution)
{
    const FloApi__OnConflictOptions *options = start->on_conflict;
    if (!options)
        return;
    FloApi__WorkflowExecutionOptionsUpdatedEventAttributes updated =
        FLO_API__WORKFLOW_EXECUTION_OPTIONS_UPDATED_EVENT_ATTRIBUTES__INIT;
    if (options->attach_request_id)
        updated.attached_request_id = flo_text(start->request_id);
    flo_options_record(core, execution, &updated, start->links,
                       options->attach_links ? start->n_links : 0);
    flo_execution_end(core, execution, true);
}

static struct current current_of(const struct flo_core_run_ref *run)
{
    const struct flo_execution *execution = run->execution;
    if (execution)
        return (struct current){.run_id = execution->run_id,
                                .request_id = execution->start_request_id,
                                .first_run_id = execution->first_run_id,
                                .status = execution->status,
                                .execution = run->execution};
    assert(run->state); /* found: in memory, or stored */
    return (struct current){.run_id = run->stored.run_id,
                            .request_id = run->state->start_request_id,
                            .first_run_id = run->state->first_run_id,
                            .status = run->stored.status};
}

static bool is_running(const struct current *current)
{
    return current->execution && flo_execution_is_open(current->execution);
}

/* Check the request and look up what its workflow id has now. 0; FLO_ENOENT: nothing; another
 * error: the call is refused and answered. */
static int find_current(struct flo_core *core, struct flo_start *start, struct current *out)
{
    struct flo_status status = {0};
    struct flo_core_run_ref run;
    int rc = flo_start_check(core, start, &status);
    if (!rc) {
        rc = flo_core_find_run(core, start->ns, start->workflow_id, "", &run, &status);
        if (rc == FLO_ENOENT)
            return FLO_ENOENT;
    }
    if (rc) {
        flo_reply_status(core, start->call, 0, &status);
        return rc;
    }
    *out = current_of(&run);
    out->attached = is_attached(&run, start->request_id);
    return 0;
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
    *status = (struct flo_status){
        .code = FLO_GRPC_ALREADY_EXISTS, .message = text, .detail = &detail->base};
    return text ? FLO_ERPC : flo_status_no_memory(status);
}

static int refuse_running(struct flo_core *core, const struct flo_start *start,
                          const struct current *current, struct flo_status *status)
{
    return already_started(core, current, status,
                           flo_arena_printf(&core->scratch,
                                            "Workflow execution is already running. WorkflowId: "
                                            "%s, RunId: %s.",
                                            start->workflow_id, current->run_id));
}

static int check_reuse(struct flo_core *core, const struct flo_start *start,
                       const struct current *current, struct flo_status *status)
{
    const char *text;
    switch (start->reuse) {
    case FLO_REUSE(ALLOW_DUPLICATE_FAILED_ONLY):
        if (current->status == STATUS(FAILED) || current->status == STATUS(CANCELED) ||
            current->status == STATUS(TERMINATED) || current->status == STATUS(TIMED_OUT))
            return 0;
        text = flo_arena_printf(&core->scratch,
                                "Workflow execution already finished successfully. WorkflowId: "
                                "%s, RunId: %s. Workflow Id reuse policy: allow duplicate workflow "
                                "Id if last run failed.",
                                start->workflow_id, current->run_id);
        break;
    case FLO_REUSE(REJECT_DUPLICATE):
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

static int signal_run(struct flo_core *core, const struct flo_start *start,
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
static int create(struct flo_core *core, const struct flo_start *start, struct flo_execution *old,
                  struct flo_execution **out, struct flo_status *status)
{
    char run_id[FLO_UUID_LEN + 1];
    flo_core_new_id(core, run_id);
    FloApi__WorkflowExecutionStartedEventAttributes *started = flo_start_event(core, start, run_id);
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
    if (start->signal_name && signal_run(core, start, execution, status))
        flo_core_set_fatal(core); /* only memory can be missing: the run is new */
    flo_execution_begin(core, execution, false);
    *out = execution;
    return 0;
}

/* ---- answers to StartWorkflowExecution ---- */

FloApi__Link *flo_start_link(struct flo_start_link *link, const char *namespace_name,
                             const char *workflow_id, const char *run_id)
{
    flo_api__link__workflow_event__event_reference__init(&link->first);
    flo_api__link__workflow_event__init(&link->event);
    flo_api__link__init(&link->link);
    link->first.event_id = 1;
    link->first.event_type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_STARTED;
    link->event.namespace_ = (char *)namespace_name;
    link->event.workflow_id = (char *)workflow_id;
    link->event.run_id = (char *)run_id;
    link->event.reference_case = FLO_API__LINK__WORKFLOW_EVENT__REFERENCE_EVENT_REF;
    link->event.event_ref = &link->first;
    link->link.variant_case = FLO_API__LINK__VARIANT_WORKFLOW_EVENT;
    link->link.workflow_event = &link->event;
    return &link->link;
}

static void reply_start(struct flo_core *core, const struct flo_start *start,
                        const struct current *current, bool started, bool with_task)
{
    FloApi__StartWorkflowExecutionResponse response =
        FLO_API__START_WORKFLOW_EXECUTION_RESPONSE__INIT;
    struct flo_start_link link;
    response.run_id = (char *)current->run_id;
    response.started = started;
    response.status = (FloApi__WorkflowExecutionStatus)current->status;
    response.link = flo_start_link(&link, start->ns->name, start->workflow_id, current->run_id);
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
static bool eager_task_out(const struct flo_start *start, const struct current *current)
{
    const struct flo_execution *execution = current->execution;
    return start->eager && is_running(current) && execution->last_completed_started_id == 0 &&
           execution->workflow_task.stage == FLO_CORE_WORKFLOW_TASK_STARTED &&
           execution->workflow_task.attempt == 1 &&
           strcmp(execution->workflow_task.start->request_id, start->request_id) == 0;
}

static void start_new(struct flo_core *core, const struct flo_start *start,
                      struct flo_execution *old)
{
    struct flo_status status = {0};
    struct flo_execution *execution;
    if (create(core, start, old, &execution, &status)) {
        flo_reply_status(core, start->call, 0, &status);
        return;
    }
    bool eager = false;
    if (start->eager) {
        const struct flo_core_worker worker = {.identity = start->identity,
                                               .build_id = start->build_id,
                                               .has_build_id = start->build_id[0] != '\0',
                                               .request_id = start->request_id};
        eager = flo_core_workflow_task_start(core, execution, &worker, false) == 0;
    }
    flo_execution_end(core, execution, true);
    const struct flo_core_run_ref run = {.execution = execution};
    const struct current current = current_of(&run);
    reply_start(core, start, &current, true, eager);
}

static void serve_start(struct flo_core *core, struct flo_start *start)
{
    struct flo_status status = {0};
    struct current current;
    int rc = find_current(core, start, &current);
    if (rc == FLO_ENOENT)
        start_new(core, start, NULL);
    if (rc)
        return;
    if (strcmp(current.request_id, start->request_id) == 0) {
        reply_start(core, start, &current, true, eager_task_out(start, &current));
        return;
    }
    if (current.attached) {
        reply_start(core, start, &current, false, false);
        return;
    }
    const bool running = is_running(&current);
    if (running && start->conflict == FLO_CONFLICT(USE_EXISTING)) {
        attach(core, start, current.execution);
        reply_start(core, start, &current, false, false);
        return;
    }
    if (!running)
        rc = check_reuse(core, start, &current, &status);
    else if (start->conflict != FLO_CONFLICT(TERMINATE_EXISTING))
        rc = refuse_running(core, start, &current, &status);
    if (rc)
        flo_reply_status(core, start->call, 0, &status);
    else
        start_new(core, start, running ? current.execution : NULL);
}

/* The fields that both requests have, under the same names. */
#define COMMON_FIELDS(info, request)                                                               \
    .call = (info)->id, .namespace_name = (request)->namespace_,                                   \
    .workflow_id = (request)->workflow_id, .identity = (request)->identity,                        \
    .request_id = (request)->request_id, .cron_schedule = (request)->cron_schedule,                \
    .workflow_type = (request)->workflow_type, .task_queue = (request)->task_queue,                \
    .input = (request)->input, .execution_timeout = (request)->workflow_execution_timeout,         \
    .run_timeout = (request)->workflow_run_timeout,                                                \
    .task_timeout = (request)->workflow_task_timeout, .delay = (request)->workflow_start_delay,    \
    .retry_policy = (request)->retry_policy, .memo = (request)->memo,                              \
    .search_attributes = (request)->search_attributes, .header = (request)->header,                \
    .priority = (request)->priority, .user_metadata = (request)->user_metadata,                    \
    .links = (request)->links, .n_links = (request)->n_links,                                      \
    .reuse = (request)->workflow_id_reuse_policy,                                                  \
    .conflict = (request)->workflow_id_conflict_policy

void flo_rpc_start_workflow_execution(struct flo_core *core, const struct flo_core_call_info *info,
                                      const void *message)
{
    const FloApi__StartWorkflowExecutionRequest *request = message;
    struct flo_start start = {
        COMMON_FIELDS(info, request),
        .on_conflict = request->on_conflict_options,
        .last_completion_result = request->last_completion_result,
        .continued_failure = request->continued_failure,
        .build_id = request->eager_worker_deployment_options
                        ? request->eager_worker_deployment_options->build_id
                        : "",
        .eager = request->request_eager_execution && !core->options.no_eager_start &&
                 !request->cron_schedule[0] && flo_duration_ns(request->workflow_start_delay) == 0,
    };
    serve_start(core, &start);
}

/* ---- update-with-start ---- */

int flo_start_for_update(struct flo_core *core, const struct flo_core_call_info *info,
                         const FloApi__StartWorkflowExecutionRequest *request,
                         const char *update_id, struct flo_core_run_ref *out, bool *out_started,
                         struct flo_status *status)
{
    struct flo_start start = {COMMON_FIELDS(info, request),
                              .on_conflict = request->on_conflict_options,
                              .last_completion_result = request->last_completion_result,
                              .continued_failure = request->continued_failure, .build_id = ""};
    struct flo_execution *old = NULL;
    bool known = false;
    int rc = flo_start_check(core, &start, status);
    if (rc)
        return rc;
    *out_started = false;
    rc = flo_core_find_run(core, start.ns, start.workflow_id, "", out, status);
    if (rc && rc != FLO_ENOENT)
        return rc;
    if (!rc) {
        const struct current current = current_of(out);
        rc = flo_update_is_known(core, out, update_id, &known, status);
        if (rc || known || strcmp(current.request_id, start.request_id) == 0 ||
            is_attached(out, start.request_id))
            return rc;
        if (is_running(&current) && start.conflict == FLO_CONFLICT(USE_EXISTING)) {
            attach(core, &start, current.execution);
            return 0;
        }
        if (!is_running(&current))
            rc = check_reuse(core, &start, &current, status);
        else if (start.conflict != FLO_CONFLICT(TERMINATE_EXISTING))
            rc = refuse_running(core, &start, &current, status);
        if (rc)
            return rc;
        old = is_running(&current) ? current.execution : NULL;
    }
    *out = (struct flo_core_run_ref){0};
    rc = create(core, &start, old, &out->execution, status);
    if (rc)
        return rc;
    flo_execution_end(core, out->execution, true);
    *out_started = true;
    return 0;
}

/* ---- by a schedule ---- */

int flo_start_for_schedule(struct flo_core *core,
                           const FloApi__StartWorkflowExecutionRequest *request,
                           struct flo_execution **out, struct flo_status *status)
{
    const struct flo_core_call_info info = {.client_name = ""};
    struct flo_start start = {COMMON_FIELDS(&info, request),
                              .last_completion_result = request->last_completion_result,
                              .continued_failure = request->continued_failure, .build_id = ""};
    struct flo_core_run_ref run;
    int rc = flo_start_check(core, &start, status);
    if (!rc) {
        rc = flo_core_find_run(core, start.ns, start.workflow_id, "", &run, status);
        if (rc == FLO_ENOENT) {
            rc = 0;
        } else if (!rc) {
            const struct current current = current_of(&run);
            rc = is_running(&current) ? refuse_running(core, &start, &current, status)
                                      : check_reuse(core, &start, &current, status);
        }
    }
    if (!rc)
        rc = create(core, &start, NULL, out, status);
    if (!rc)
        flo_execution_end(core, *out, true);
    return rc;
}

/* ---- signal-with-start ---- */

static void reply_signal_with_start(struct flo_core *core, const struct flo_start *start,
                                    const struct current *current, bool started)
{
    FloApi__SignalWithStartWorkflowExecutionResponse response =
        FLO_API__SIGNAL_WITH_START_WORKFLOW_EXECUTION_RESPONSE__INIT;
    response.run_id = (char *)current->run_id;
    response.started = started;
    flo_reply_ok(core, start->call,
                 current->execution ? flo_core_after(core, current->execution) : 0, &response.base);
}

static void signal_new(struct flo_core *core, const struct flo_start *start,
                       struct flo_execution *old)
{
    struct flo_status status = {0};
    struct flo_core_run_ref run = {0};
    if (create(core, start, old, &run.execution, &status)) {
        flo_reply_status(core, start->call, 0, &status);
        return;
    }
    flo_execution_end(core, run.execution, true);
    const struct current current = current_of(&run);
    reply_signal_with_start(core, start, &current, true);
}

static void signal_running(struct flo_core *core, const struct flo_start *start,
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
    struct flo_start start = {
        COMMON_FIELDS(info, request),
        .signal_name = request->signal_name,
        .signal_input = request->signal_input,
    };
    struct flo_status status = {0};
    struct current current;
    int rc = find_current(core, &start, &current);
    if (rc == FLO_ENOENT)
        signal_new(core, &start, NULL);
    if (rc)
        return;
    if (strcmp(current.request_id, start.request_id) == 0) {
        reply_signal_with_start(core, &start, &current, false); /* the signal came with the start */
        return;
    }
    if (!is_running(&current))
        rc = check_reuse(core, &start, &current, &status);
    else if (start.conflict == FLO_CONFLICT(FAIL))
        rc = refuse_running(core, &start, &current, &status);
    if (rc)
        flo_reply_status(core, info->id, 0, &status);
    else if (!is_running(&current))
        signal_new(core, &start, NULL);
    else if (start.conflict == FLO_CONFLICT(TERMINATE_EXISTING))
        signal_new(core, &start, current.execution);
    else
        signal_running(core, &start, &current);
}
