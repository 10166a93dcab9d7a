/* SPDX-License-Identifier: Apache-2.0 */
/* child_command.c - what the command that starts a child says. */
#include "workflow/machines/child_command.h"

#include <string.h>

#include "workflow/fill.h"

static FloApi__ParentClosePolicy parent_close_of(enum flo_parent_close policy)
{
    switch (policy) {
    case FLO_PARENT_CLOSE_ABANDON:
        return FLO_API__PARENT_CLOSE_POLICY__PARENT_CLOSE_POLICY_ABANDON;
    case FLO_PARENT_CLOSE_CANCEL:
        return FLO_API__PARENT_CLOSE_POLICY__PARENT_CLOSE_POLICY_REQUEST_CANCEL;
    default:
        return FLO_API__PARENT_CLOSE_POLICY__PARENT_CLOSE_POLICY_TERMINATE;
    }
}

static FloApi__WorkflowIdReusePolicy id_reuse_of(enum flo_id_reuse policy)
{
    switch (policy) {
    case FLO_ID_ALLOW_FAILED_ONLY:
        return FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY;
    case FLO_ID_REJECT_DUPLICATE:
        return FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE;
    case FLO_ID_TERMINATE_IF_RUNNING:
        return FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING;
    default:
        return FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE;
    }
}

int flo_child_fill(struct flo_run *run, const struct flo_child_call *call,
                   const struct flo_child_options *o, FloApi__Command *message)
{
    struct flo_arena *arena = run->answer;
    bool none = false;
    const char *queue = o->task_queue ? o->task_queue : run->info.task_queue;
    FloApi__StartChildWorkflowExecutionCommandAttributes *a = flo_arena_alloc(arena, sizeof *a);
    if (!a)
        return FLO_ENOMEM;
    flo_api__start_child_workflow_execution_command_attributes__init(a);
    a->namespace_ = flo_fill_text(arena, call->namespace_, &none);
    a->workflow_id = flo_fill_text(arena, call->workflow_id, &none);
    a->workflow_type = flo_fill_type(arena, call->type, &none);
    a->task_queue = flo_fill_queue(arena, queue, &none);
    a->input = flo_fill_input(arena, call->input, &none);
    a->workflow_execution_timeout = flo_fill_duration(arena, o->execution_timeout_ms, &none);
    a->workflow_run_timeout = flo_fill_duration(arena, o->run_timeout_ms, &none);
    a->workflow_task_timeout = flo_fill_duration(arena, o->task_timeout_ms, &none);
    a->parent_close_policy = parent_close_of(o->parent_close);
    a->workflow_id_reuse_policy = id_reuse_of(o->id_reuse);
    a->retry_policy = flo_fill_retry(arena, o->retry, &none);
    a->cron_schedule = flo_fill_text(arena, o->cron, &none);
    a->header = flo_fill_header(arena, call->headers, &none);
    a->memo = flo_fill_memo(arena, o->memo, &none);
    a->search_attributes = flo_fill_attributes(arena, o->attributes, &none);
    a->inherit_build_id = strcmp(queue, run->info.task_queue) == 0;
    a->priority = flo_fill_priority(arena, &o->priority, &none);
    message->user_metadata = flo_fill_metadata(arena, o->summary, o->details, &none);
    message->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_START_CHILD_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    message->start_child_workflow_execution_command_attributes = a;
    return none ? FLO_ENOMEM : 0;
}

int flo_child_check(const char *type, const struct flo_child_options *o, struct flo_err *err)
{
    if (!type || !*type)
        return flo_fail(err, FLO_EINVAL, "a child workflow needs a type");
    if (!flo_is_text(type) || !flo_is_text(o->workflow_id) || !flo_is_text(o->task_queue) ||
        !flo_is_text(o->namespace_) || !flo_is_text(o->cron) || !flo_is_text(o->summary) ||
        !flo_is_text(o->details))
        return flo_fail(err, FLO_EINVAL,
                        "a child workflow's type or one of its options is not UTF-8");
    if (o->execution_timeout_ms < 0 || o->run_timeout_ms < 0 || o->task_timeout_ms < 0)
        return flo_fail(err, FLO_EINVAL, "child workflow %.100s: a timeout is negative", type);
    if (!flo_is_fields(o->memo) || !flo_is_fields(o->headers))
        return flo_fail(err, FLO_EINVAL, "child workflow %.100s: memo and headers are objects",
                        type);
    int rc = flo_retry_check(o->retry, err);
    if (rc == 0)
        rc = flo_attributes_check(o->attributes, err);
    if (rc)
        flo_err_prefix(err, "child workflow %.100s", type);
    return rc;
}
