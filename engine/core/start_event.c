/* SPDX-License-Identifier: Apache-2.0 */
/* start_event.c - a start is checked, and becomes the Started event. */
#include <string.h>

#include "engine/core/attributes.h"
#include "engine/core/cron.h"
#include "engine/core/internal.h"
#include "engine/core/namespace.h"
#include "engine/core/priority.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/run.h"
#include "engine/core/start.h"
#include "wire/decode.h"
#include "wire/payload.h"

#define DEFAULT_TASK_TIMEOUT_NS (10 * FLO_NS_PER_S)
#define MAX_TASK_TIMEOUT_NS (120 * FLO_NS_PER_S)

/* ---- checks ---- */

static int invalid(struct flo_core *core, struct flo_status *status, const char *message)
{
    return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "%s", message);
}

static int check_names(struct flo_core *core, const struct flo_start *start,
                       struct flo_status *status)
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
    const char *wrong = flo_queue_wrong(start->task_queue);
    if (wrong)
        return invalid(core, status, wrong);
    rc = flo_check_id(core, "RequestId", start->request_id, status);
    return rc ? rc : flo_check_id(core, "Identity", start->identity, status);
}

static int check_cron(struct flo_core *core, const char *schedule, struct flo_status *status)
{
    struct flo_err err = {0};
    int rc = flo_cron_check(&core->zones, schedule, core->now_ns, &err);
    if (rc == FLO_EINVAL)
        return invalid(core, status, flo_arena_strdup(&core->scratch, err.message));
    return rc ? flo_status_no_memory(status) : 0;
}

static int check_times(struct flo_core *core, const struct flo_start *start,
                       struct flo_status *status)
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
    if (start->cron_schedule[0] && start->delay)
        return invalid(core, status,
                       "CronSchedule and WorkflowStartDelay may not be used together.");
    rc = flo_check_duration(core, "WorkflowStartDelaySeconds", start->delay, status);
    return rc ? rc : check_cron(core, start->cron_schedule, status);
}

static int check_policies(struct flo_core *core, struct flo_start *start, struct flo_status *status)
{
    int rc =
        flo_check_enum(core, "WorkflowIDReusePolicy",
                       &flo_api__workflow_id_reuse_policy__descriptor, (int)start->reuse, status);
    if (!rc)
        rc = flo_check_enum(core, "WorkflowIDConflictPolicy",
                            &flo_api__workflow_id_conflict_policy__descriptor, (int)start->conflict,
                            status);
    if (rc)
        return rc;
    if (start->signal_name && start->conflict == FLO_CONFLICT(FAIL) &&
        start->reuse != FLO_REUSE(TERMINATE_IF_RUNNING))
        return invalid(core, status,
                       "Invalid WorkflowIDConflictPolicy: WORKFLOW_ID_CONFLICT_POLICY_FAIL is not "
                       "supported for this operation.");
    if (start->reuse == FLO_REUSE(TERMINATE_IF_RUNNING) && start->conflict)
        return invalid(core, status,
                       "Invalid WorkflowIDReusePolicy: "
                       "WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING cannot be used together "
                       "with a WorkflowIDConflictPolicy");
    if (start->reuse == FLO_REUSE(REJECT_DUPLICATE) &&
        start->conflict == FLO_CONFLICT(TERMINATE_EXISTING))
        return invalid(core, status,
                       "Invalid WorkflowIDReusePolicy: "
                       "WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE cannot be used together with "
                       "WorkflowIdConflictPolicy WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING");
    if (start->on_conflict && start->on_conflict->attach_completion_callbacks &&
        !start->on_conflict->attach_request_id)
        return invalid(core, status,
                       "attaching request ID is required for attaching completion callbacks");
    if (start->reuse == FLO_REUSE(TERMINATE_IF_RUNNING)) {
        start->reuse = FLO_REUSE(ALLOW_DUPLICATE);
        start->conflict = FLO_CONFLICT(TERMINATE_EXISTING);
    }
    if (!start->reuse)
        start->reuse = FLO_REUSE(ALLOW_DUPLICATE);
    if (!start->conflict)
        start->conflict = start->signal_name ? FLO_CONFLICT(USE_EXISTING) : FLO_CONFLICT(FAIL);
    return 0;
}

static int check_content(struct flo_core *core, const struct flo_start *start,
                         struct flo_status *status)
{
    const void *fields[] = {start->input,  start->last_completion_result, start->signal_input,
                            start->header, start->continued_failure,      start->user_metadata};
    if (start->memo && (int64_t)flo_wire_size(&start->memo->base) > core->options.blob_size_limit)
        return invalid(core, status, "Memo size exceeds limit.");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        int rc = flo_check_blob(core, fields[i], status);
        if (rc)
            return rc;
    }
    int rc = flo_check_links(core, start->links, start->n_links, status);
    if (!rc)
        rc = flo_check_priority(core, start->priority, status);
    if (!rc)
        rc = flo_check_search_attributes(core, start->ns, start->search_attributes, status);
    if (!rc && flo_attributes_show(start->ns, start->search_attributes, &core->scratch))
        rc = flo_status_no_memory(status); /* events say the type of each value */
    return rc;
}

int flo_start_check(struct flo_core *core, struct flo_start *start, struct flo_status *status)
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

int64_t flo_cron_wait(struct flo_core *core, const char *schedule)
{
    struct flo_cron cron;
    if (flo_cron_parse(&core->zones, schedule, &cron, NULL))
        return 0;
    const int64_t backoff_ns = flo_cron_backoff(&cron, core->now_ns, core->now_ns);
    return backoff_ns < 0 ? 0 : backoff_ns;
}

FloApi__RetryPolicy *flo_retry_policy_full(struct flo_arena *arena,
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

/* A duration for an event; 0 is there when the request says so. */
static bool put_duration(struct flo_arena *arena, int64_t ns,
                         const Google__Protobuf__Duration *asked, Google__Protobuf__Duration **out)
{
    if (ns == 0 && !asked)
        return true;
    *out = flo_duration_new(arena, ns);
    return *out != NULL;
}

static bool put_times(struct flo_core *core, const struct flo_start *start,
                      FloApi__WorkflowExecutionStartedEventAttributes *out)
{
    struct flo_arena *arena = &core->scratch;
    const int64_t execution_ns = flo_duration_ns(start->execution_timeout);
    const int64_t backoff_ns = start->cron_schedule[0] ? flo_cron_wait(core, start->cron_schedule)
                                                       : flo_duration_ns(start->delay);
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
            flo_timestamp_new(arena, core->now_ns + execution_ns);
    return put_duration(arena, execution_ns, start->execution_timeout,
                        &out->workflow_execution_timeout) &&
           put_duration(arena, run_ns, start->run_timeout, &out->workflow_run_timeout) &&
           put_duration(arena, task_ns, start->task_timeout, &out->workflow_task_timeout) &&
           out->first_workflow_task_backoff &&
           (!execution_ns || out->workflow_execution_expiration_time);
}

FloApi__WorkflowExecutionStartedEventAttributes *flo_start_event(struct flo_core *core,
                                                                 const struct flo_start *start,
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
    if (start->cron_schedule[0]) {
        out->cron_schedule = (char *)start->cron_schedule;
        out->initiator =
            FLO_API__CONTINUE_AS_NEW_INITIATOR__CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE;
    }
    if (start->retry_policy) {
        out->retry_policy = flo_retry_policy_full(arena, start->retry_policy);
        if (!out->retry_policy)
            return NULL;
    }
    return put_times(core, start, out) ? out : NULL;
}
