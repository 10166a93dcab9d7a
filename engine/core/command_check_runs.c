/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_check_runs.c - the commands that are about other runs: the next one of the same workflow,
 * children, signals and cancels to others.
 */
#include "engine/core/command_check.h"

#include "engine/core/cron.h"
#include "engine/core/namespace.h"

/* A time that a command gives a run. */
struct run_time {
    const char *name;
    const Google__Protobuf__Duration *duration;
};

/* "Invalid <name> on <command>: <why>. <suffix>" */
static bool check_times(struct flo_check *check, FloApi__WorkflowTaskFailedCause bad,
                        const char *command, const char *suffix, const struct run_time *times,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *wrong = flo_duration_wrong(times[i].duration);
        if (wrong)
            return flo_check_refuse_fmt(check, bad, "Invalid %s on %s: %s. %s", times[i].name,
                                        command, wrong, suffix);
    }
    return true;
}

static bool check_cron(struct flo_check *check, const char *schedule, const char *command,
                       const char *suffix)
{
    struct flo_err err = {0};
    struct flo_core *core = check->core;
    if (!*schedule || !flo_cron_check(&core->zones, schedule, core->now_ns, &err))
        return true;
    return flo_check_refuse_call(check, "invalid CronSchedule on %s: %s. %s", command, err.message,
                                 suffix);
}

/* A queue may be left out. NULL: nothing is wrong with it. */
static const char *other_queue_wrong(const FloApi__TaskQueue *queue)
{
    return queue && *queue->name ? flo_queue_wrong(queue) : NULL;
}

/* A task queue as the real server prints it. */
static const char *queue_text(struct flo_check *check, const FloApi__TaskQueue *queue)
{
    const char *name = queue && *queue->name ? queue->name : check->execution->task_queue;
    const char *text =
        flo_arena_printf(&check->core->scratch, "name:\"%s\" kind:TASK_QUEUE_KIND_NORMAL", name);
    return text ? text : "";
}

/* A namespace that a command names: one that there is. */
static bool check_namespace(struct flo_check *check, const char *name)
{
    struct flo_namespace *ns;
    return !*name || !flo_namespace_named(check->core, name, &ns, &check->verdict.refusal);
}

/* ---- the next run ---- */

bool flo_check_continue(struct flo_check *check, const FloApi__Command *command)
{
    static const char NAME[] = "ContinueAsNewWorkflowExecutionCommand";
    const FloApi__WorkflowTaskFailedCause bad = FLO_FAILED(BAD_CONTINUE_AS_NEW_ATTRIBUTES);
    if (check->buffered > 0)
        return flo_check_refuse(check, FLO_FAILED(UNHANDLED_COMMAND), "");
    if (command->attributes_case !=
        FLO_API__COMMAND__ATTRIBUTES_CONTINUE_AS_NEW_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES)
        return flo_check_refuse_fmt(check, bad, "%sAttributes is not set on %s.", NAME, NAME);
    const FloApi__ContinueAsNewWorkflowExecutionCommandAttributes *a =
        command->continue_as_new_workflow_execution_command_attributes;
    const char *type = a->workflow_type && *a->workflow_type->name ? a->workflow_type->name
                                                                   : check->execution->type;
    const char *queue = queue_text(check, a->task_queue);
    if (!flo_check_id_fits(type))
        return flo_check_refuse_fmt(
            check, bad,
            "WorkflowType on %s exceeds length limit. WorkflowType=%s Length=%zu Limit=%d", NAME,
            type, strlen(type), FLO_CORE_ID_BYTES);
    const char *wrong = other_queue_wrong(a->task_queue);
    if (wrong)
        return flo_check_refuse_call(
            check, "error validating %s TaskQueue: %s. WorkflowType=%s TaskQueue=%s", NAME, wrong,
            type, queue);
    const char *suffix =
        flo_arena_printf(&check->core->scratch, "WorkflowType=%s TaskQueue=%s", type, queue);
    suffix = suffix ? suffix : "";
    const struct run_time times[] = {{"WorkflowRunTimeout", a->workflow_run_timeout},
                                     {"WorkflowTaskTimeout", a->workflow_task_timeout},
                                     {"BackoffStartInterval", a->backoff_start_interval}};
    if (!flo_check_policy(check, a->retry_policy,
                          "invalid WorkflowRetryPolicy on ContinueAsNewWorkflowExecutionCommand",
                          suffix) ||
        !check_times(check, bad, NAME, suffix, times, 3))
        return false;
    return flo_check_attributes(check, a->search_attributes,
                                "invalid SearchAttributes on ContinueAsNewWorkflowExecutionCommand",
                                suffix) &&
           flo_check_choice(check, bad, "Initiator",
                            &flo_api__continue_as_new_initiator__descriptor, (int)a->initiator) &&
           flo_check_field(check, bad, "ContinueAsNewWorkflowExecutionCommandAttributes. Input",
                           a->input) &&
           flo_check_field(check, bad, "ContinueAsNewWorkflowExecutionCommandAttributes. Memo",
                           a->memo);
}

/* ---- children ---- */

typedef FloApi__StartChildWorkflowExecutionCommandAttributes child_t;

/* Workflow id and type, queue. */
static bool check_child_names(struct flo_check *check, const child_t *a, const char *namespace_name)
{
    const FloApi__WorkflowTaskFailedCause bad = FLO_FAILED(BAD_START_CHILD_EXECUTION_ATTRIBUTES);
    const char *type = a->workflow_type ? a->workflow_type->name : "";
    if (!*a->workflow_id)
        return flo_check_refuse_fmt(check, bad,
                                    "Required field WorkflowId is not set on "
                                    "StartChildWorkflowExecutionCommand. WorkflowType=%s "
                                    "Namespace=%s",
                                    type, namespace_name);
    if (!*type)
        return flo_check_refuse_fmt(check, bad,
                                    "Required field WorkflowType is not set on "
                                    "StartChildWorkflowExecutionCommand. WorkflowId=%s "
                                    "Namespace=%s",
                                    a->workflow_id, namespace_name);
    if (!flo_check_id_fits(a->workflow_id))
        return flo_check_refuse_fmt(check, bad,
                                    "WorkflowId on StartChildWorkflowExecutionCommand exceeds "
                                    "length limit. WorkflowId=%s Length=%zu Limit=%d "
                                    "WorkflowType=%s Namespace=%s",
                                    a->workflow_id, strlen(a->workflow_id), FLO_CORE_ID_BYTES, type,
                                    namespace_name);
    if (!flo_check_id_fits(type))
        return flo_check_refuse_fmt(check, bad,
                                    "WorkflowType on StartChildWorkflowExecutionCommand exceeds "
                                    "length limit. WorkflowId=%s WorkflowType=%s Length=%zu "
                                    "Limit=%d Namespace=%s",
                                    a->workflow_id, type, strlen(type), FLO_CORE_ID_BYTES,
                                    namespace_name);
    const char *wrong = other_queue_wrong(a->task_queue);
    return wrong
               ? flo_check_refuse_call(
                     check,
                     "invalid TaskQueue on StartChildWorkflowExecutionCommand: %s. "
                     "WorkflowId=%s WorkflowType=%s Namespace=%s TaskQueue=%s",
                     wrong, a->workflow_id, type, namespace_name, queue_text(check, a->task_queue))
               : true;
}

/* Times and policies. */
static bool check_child_rules(struct flo_check *check, const child_t *a, const char *suffix)
{
    const FloApi__WorkflowTaskFailedCause bad = FLO_FAILED(BAD_START_CHILD_EXECUTION_ATTRIBUTES);
    const struct run_time times[] = {{"WorkflowExecutionTimeout", a->workflow_execution_timeout},
                                     {"WorkflowRunTimeout", a->workflow_run_timeout},
                                     {"WorkflowTaskTimeout", a->workflow_task_timeout}};
    if (!check_times(check, bad, "StartChildWorkflowExecutionCommand", suffix, times, 3) ||
        !flo_check_policy(check, a->retry_policy,
                          "invalid WorkflowRetryPolicy on StartChildWorkflowExecutionCommand",
                          suffix))
        return false;
    if (!check_cron(check, a->cron_schedule, "StartChildWorkflowExecutionCommand", suffix))
        return false;
    return flo_check_attributes(check, a->search_attributes,
                                "invalid SearchAttributes on StartChildWorkflowExecutionCommand",
                                suffix) &&
           flo_check_command_priority(check, bad, a->priority) &&
           flo_check_choice(check, bad, "ParentClosePolicy",
                            &flo_api__parent_close_policy__descriptor,
                            (int)a->parent_close_policy) &&
           flo_check_choice(check, bad, "WorkflowIdReusePolicy",
                            &flo_api__workflow_id_reuse_policy__descriptor,
                            (int)a->workflow_id_reuse_policy);
}

bool flo_check_child(struct flo_check *check, const FloApi__Command *command)
{
    const FloApi__WorkflowTaskFailedCause bad = FLO_FAILED(BAD_START_CHILD_EXECUTION_ATTRIBUTES);
    if (command->attributes_case !=
        FLO_API__COMMAND__ATTRIBUTES_START_CHILD_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES)
        return flo_check_refuse(check, bad,
                                "StartChildWorkflowExecutionCommandAttributes is not set on "
                                "StartChildWorkflowExecutionCommand.");
    const child_t *a = command->start_child_workflow_execution_command_attributes;
    const char *own = check->execution->hooks.ns->name;
    const char *namespace_name = *a->namespace_ ? a->namespace_ : own;
    if (!check_namespace(check, a->namespace_) || !check_child_names(check, a, namespace_name))
        return false;
    if (!strcmp(namespace_name, own) && !strcmp(a->workflow_id, check->execution->workflow_id))
        return flo_check_refuse_fmt(check, bad,
                                    "Start child workflow with the same WorkflowId as the parent "
                                    "is not allowed. WorkflowId=%s",
                                    a->workflow_id);
    const char *suffix =
        flo_arena_printf(&check->core->scratch, "WorkflowId=%s WorkflowType=%s Namespace=%s",
                         a->workflow_id, a->workflow_type->name, namespace_name);
    if (!check_child_rules(check, a, suffix ? suffix : "") ||
        !flo_check_field(check, bad, "StartChildWorkflowExecutionCommandAttributes. Input",
                         a->input) ||
        !flo_check_field(check, bad, "StartChildWorkflowExecutionCommandAttributes.Memo", a->memo))
        return false;
    if (++check->child_count > FLO_CORE_RUN_MAX_PENDING)
        return flo_check_refuse_fmt(check, FLO_FAILED(PENDING_CHILD_WORKFLOWS_LIMIT_EXCEEDED),
                                    "the number of pending child workflow executions, %zu, has "
                                    "reached the per-workflow limit of %d",
                                    check->child_count - 1, FLO_CORE_RUN_MAX_PENDING);
    return flo_check_put(check, &check->children, a->workflow_id, &flo_check_started);
}

/* ---- signals and cancels to others ---- */

static bool run_id_fits(const char *run_id)
{
    return !*run_id || flo_uuid_valid(run_id, strlen(run_id));
}

bool flo_check_signal_external(struct flo_check *check, const FloApi__Command *command)
{
    static const char NAME[] = "SignalExternalWorkflowExecutionCommand";
    const FloApi__WorkflowTaskFailedCause bad =
        FLO_FAILED(BAD_SIGNAL_WORKFLOW_EXECUTION_ATTRIBUTES);
    if (command->attributes_case !=
        FLO_API__COMMAND__ATTRIBUTES_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES)
        return flo_check_refuse_fmt(check, bad, "%sAttributes is not set on %s.", NAME, NAME);
    const FloApi__SignalExternalWorkflowExecutionCommandAttributes *a =
        command->signal_external_workflow_execution_command_attributes;
    if (!check_namespace(check, a->namespace_))
        return false;
    if (!a->execution)
        return flo_check_refuse_fmt(check, bad, "Execution is not set on %s.", NAME);
    const char *id = a->execution->workflow_id, *run_id = a->execution->run_id;
    if (!*id)
        return flo_check_refuse_fmt(
            check, bad, "WorkflowId is not set on %s. Namespace=%s RunId=%s SignalName=%s", NAME,
            a->namespace_, run_id, a->signal_name);
    if (!flo_check_id_fits(id))
        return flo_check_refuse_fmt(check, bad,
                                    "WorkflowId on %s exceeds length limit. WorkflowId=%s "
                                    "Length=%zu Limit=%d Namespace=%s RunId=%s SignalName=%s",
                                    NAME, id, strlen(id), FLO_CORE_ID_BYTES, a->namespace_, run_id,
                                    a->signal_name);
    if (!run_id_fits(run_id))
        return flo_check_refuse_fmt(
            check, bad,
            "Invalid RunId set on %s. WorkflowId=%s Namespace=%s RunId=%s SignalName=%s", NAME, id,
            a->namespace_, run_id, a->signal_name);
    if (!*a->signal_name)
        return flo_check_refuse_fmt(check, bad,
                                    "SignalName is not set on %s. WorkflowId=%s Namespace=%s "
                                    "RunId=%s",
                                    NAME, id, a->namespace_, run_id);
    return flo_check_field(check, bad, "SignalExternalWorkflowExecutionCommandAttributes.Input",
                           a->input);
}

bool flo_check_cancel_external(struct flo_check *check, const FloApi__Command *command)
{
    static const char NAME[] = "RequestCancelExternalWorkflowExecutionCommand";
    const FloApi__WorkflowTaskFailedCause bad =
        FLO_FAILED(BAD_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_ATTRIBUTES);
    if (command->attributes_case !=
        FLO_API__COMMAND__ATTRIBUTES_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES)
        return flo_check_refuse_fmt(check, bad, "%sAttributes is not set on %s.", NAME, NAME);
    const FloApi__RequestCancelExternalWorkflowExecutionCommandAttributes *a =
        command->request_cancel_external_workflow_execution_command_attributes;
    if (!check_namespace(check, a->namespace_))
        return false;
    if (!*a->workflow_id)
        return flo_check_refuse_fmt(check, bad,
                                    "WorkflowId is not set on %s. Namespace=%s RunId=%s", NAME,
                                    a->namespace_, a->run_id);
    if (!flo_check_id_fits(a->workflow_id))
        return flo_check_refuse_fmt(check, bad,
                                    "WorkflowId on %s exceeds length limit. WorkflowId=%s "
                                    "Length=%zu Limit=%d RunId=%s Namespace=%s",
                                    NAME, a->workflow_id, strlen(a->workflow_id), FLO_CORE_ID_BYTES,
                                    a->run_id, a->namespace_);
    if (!run_id_fits(a->run_id))
        return flo_check_refuse_fmt(check, bad,
                                    "Invalid RunId set on %s. WorkflowId=%s RunId=%s Namespace=%s",
                                    NAME, a->workflow_id, a->run_id, a->namespace_);
    if (flo_map_get_str(&check->children, a->workflow_id))
        return flo_check_refuse_fmt(check, bad,
                                    "Start and RequestCancel for child workflow is not allowed in "
                                    "same workflow task. WorkflowId=%s",
                                    a->workflow_id);
    return true;
}
