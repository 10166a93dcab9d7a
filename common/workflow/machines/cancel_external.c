/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cancel_external.c - the life of a cancel request to another execution, a child or not.
 *
 *            start          RequestCancel...Initiated      ...CancelRequested, ...Failed
 *   (code) --------> ISSUED --------------------> INITIATED -----------------> ANSWERED
 *
 * It is never taken back: when the workflow is being cancelled itself, telling others is part of
 * that.
 */
#include <stdio.h>
#include <string.h>

#include "workflow/entities.h"
#include "workflow/fill.h"
#include "workflow/intercept.h"

enum state { ISSUED = FLO_RELATED_ISSUED, INITIATED = FLO_RELATED_INITIATED, ANSWERED };

static const struct flo_machine_state states[] = {
    [ISSUED] = {"issued", FLO_STATE_BIT(INITIATED)},
    [INITIATED] = {"initiated", FLO_STATE_BIT(ANSWERED)},
    [ANSWERED] = {"answered", 0},
};

struct flo_cancel_external {
    struct flo_related head; /* first */
    struct flo_child *child; /* referenced; NULL: it is no child */
    char workflow_id[];
};

static struct flo_cancel_external *request_of(const struct flo_future *future)
{
    return flo_container(future, struct flo_cancel_external, head.future);
}

/* The machine's reference goes with its last move. */
static int move(struct flo_related *head, enum state to)
{
    int rc = flo_machine_move(&head->machine, to);
    return rc ? rc : flo_related_moved(head);
}

static int initiated(struct flo_command *command, const FloApi__HistoryEvent *event)
{
    struct flo_cancel_external *request = request_of(command->future);
    const FloApi__RequestCancelExternalWorkflowExecutionInitiatedEventAttributes *a =
        event->request_cancel_external_workflow_execution_initiated_event_attributes;
    if (!a->workflow_execution ||
        strcmp(a->workflow_execution->workflow_id, request->workflow_id) != 0)
        return FLO_ENONDET;
    request->head.initiated_event_id = event->event_id;
    return move(&request->head, INITIATED);
}

static void describe(const struct flo_command *command, char *out_text, size_t size)
{
    snprintf(out_text, size, "workflow id %.100s", request_of(command->future)->workflow_id);
}

static const struct flo_command_ops ops = {FLO_COMMAND(REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION),
                                           initiated, describe};

/* A cancelled workflow goes on waiting for the answer. */
static void cancel(struct flo_future *future)
{
    (void)future;
}

static void describe_future(const struct flo_future *future, char *out_text, size_t size)
{
    snprintf(out_text, size, "the delivery of a cancel request to workflow id %.80s",
             request_of(future)->workflow_id);
}

static const struct flo_future_ops future_ops = {cancel, describe_future, NULL};

static int fill(struct flo_run *run, const struct flo_target *target, const char *reason,
                FloApi__Command *message)
{
    struct flo_arena *arena = run->answer;
    bool no_memory = false;
    FloApi__RequestCancelExternalWorkflowExecutionCommandAttributes *a =
        flo_arena_alloc(arena, sizeof *a);
    if (!a)
        return FLO_ENOMEM;
    flo_api__request_cancel_external_workflow_execution_command_attributes__init(a);
    a->namespace_ = flo_fill_text(arena, target->namespace_, &no_memory);
    a->workflow_id = flo_fill_text(arena, target->workflow_id, &no_memory);
    a->run_id = flo_fill_text(arena, target->run_id, &no_memory);
    a->reason = flo_fill_text(arena, reason, &no_memory);
    a->child_workflow_only = target->child != NULL;
    message->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    message->request_cancel_external_workflow_execution_command_attributes = a;
    return no_memory ? FLO_ENOMEM : 0;
}

static int check(const struct flo_target *target, const char *reason, struct flo_err *err)
{
    if (!target->workflow_id || !*target->workflow_id)
        return flo_fail(err, FLO_EINVAL, "a cancel request needs a workflow id");
    if (!flo_is_text(target->workflow_id) || !flo_is_text(target->run_id) || !flo_is_text(reason))
        return flo_fail(err, FLO_EINVAL,
                        "a cancel request's workflow id, run id or reason is not UTF-8");
    return 0;
}

struct flo_future *flo_cancel_external_new(struct flo_run *run, struct flo_scope *scope,
                                           const struct flo_target *target, const char *reason)
{
    struct flo_err why = {0};
    bool refused = (scope && flo_may_issue(run, &why)) || check(target, reason, &why);
    const char *id = target->workflow_id ? target->workflow_id : "";
    size_t id_len = strlen(id) + 1;
    struct flo_cancel_external *request = flo_heap_calloc(run->heap, sizeof *request + id_len);
    if (!request)
        return NULL;
    struct flo_future *future = &request->head.future;
    flo_future_init(future, run, scope, &future_ops);
    request->head.kind = FLO_RELATED_CANCEL;
    request->head.machine = (struct flo_machine){states, ISSUED};
    request->child = target->child;
    memcpy(request->workflow_id, id, id_len);
    if (refused) {
        request->head.machine.state = ANSWERED;
        flo_future_refuse(future, &why);
        return future;
    }
    struct flo_command *command = flo_command_issue(run, &ops, future);
    if (!command)
        return NULL;
    flo_future_ref(future); /* the machine's */
    if (command->message && fill(run, target, reason, command->message))
        return NULL;
    return future;
}

static int fail(struct flo_cancel_external *request,
                FloApi__CancelExternalWorkflowExecutionFailedCause cause)
{
    int rc = FLO_EFAILED;
    const char *type = "CancelExternalWorkflowFailed", *why = "the server refused it";
    if (cause ==
        FLO_API__CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE__CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND) {
        rc = FLO_ENOENT;
        type = "ExternalWorkflowNotFound";
        why = "there is no such execution, or it is closed";
    } else if (
        cause ==
        FLO_API__CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE__CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND) {
        rc = FLO_ENOENT;
        type = "NamespaceNotFound";
        why = "there is no such namespace";
    }
    return flo_external_fail(&request->head.future, "cannot cancel", request->workflow_id, rc, type,
                             why);
}

int flo_cancel_external_event(struct flo_run *run, const FloApi__HistoryEvent *event,
                              bool *out_wakes, struct flo_err *err)
{
    bool delivered = event->event_type == FLO_EVENT(EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED);
    int64_t id = delivered
                     ? event->external_workflow_execution_cancel_requested_event_attributes
                           ->initiated_event_id
                     : event->request_cancel_external_workflow_execution_failed_event_attributes
                           ->initiated_event_id;
    struct flo_related *related;
    int rc = flo_related_find(run, event, FLO_RELATED_CANCEL, id, &related, err);
    if (rc)
        return rc;
    struct flo_cancel_external *request = request_of(&related->future);
    rc =
        delivered
            ? flo_future_succeed(&related->future, NULL, err)
            : fail(
                  request,
                  event->request_cancel_external_workflow_execution_failed_event_attributes->cause);
    *out_wakes = !request->child;
    if (rc == 0 && request->child)
        rc = flo_child_cancel_delivered(request->child, out_wakes);
    return rc ? rc : move(related, ANSWERED);
}

/* ---- what code calls ---- */

static struct flo_future *start_intercepted(struct flo_workflow *wf,
                                            const struct flo_target *target, const char *reason)
{
    struct flo_outbound out = {
        .call = {.kind = FLO_OUTBOUND_CANCEL,
                 .name = "",
                 .task_queue = "",
                 .workflow_id = target->workflow_id ? target->workflow_id : ""}};
    int rc = flo_outbound_run(wf, &out);
    flo_outbound_fini(&out);
    return rc ? flo_outbound_refused(wf, rc)
              : flo_cancel_external_new(wf->run, wf->scope, target, reason);
}

struct flo_future *flo_cancel_external_start(struct flo_workflow *wf, const char *workflow_id,
                                             const char *run_id, const char *reason)
{
    const struct flo_target target = {wf->run->info.namespace_, workflow_id, run_id, NULL};
    struct flo_future *future = wf->run->interception
                                    ? start_intercepted(wf, &target, reason)
                                    : flo_cancel_external_new(wf->run, wf->scope, &target, reason);
    if (!future)
        flo_run_no_memory(wf->run);
    return future ? future : &wf->run->no_memory;
}

int flo_cancel_external(struct flo_workflow *wf, const char *workflow_id, const char *run_id,
                        const char *reason)
{
    struct flo_future *future = flo_cancel_external_start(wf, workflow_id, run_id, reason);
    int rc = flo_await(wf, future, NULL);
    flo_future_unref(future);
    return rc;
}
