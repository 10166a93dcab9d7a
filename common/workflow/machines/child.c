/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.c - the life of a child workflow as its parent sees it.
 *
 *            start          StartChild...Initiated       Child...Started
 *   (code) --------> ISSUED -------------> INITIATED ------------------> STARTED
 *                      |                    |  |  \                     /  |  |
 *                      | cancel             |  |   `-----> CANCELLING <'   |  | Child...Completed,
 *                      v                    |  |   cancel      |           |  | Failed, Canceled,
 *                   DROPPED                 |  |               v           |  | TimedOut,
 *                                           |  `---------> DETACHED <------'  | Terminated
 *                      StartChild...Failed  |                  |              |
 *                                           `------------------+--------------+--> CLOSED
 *
 * It has two futures, which both are ready at the end: its start, and its result. What cancel does
 * follows the child's cancellation type: WAIT asks it to stop and waits for how it ends
 * (CANCELLING); WAIT_REQUESTED asks, and is DETACHED once the request was delivered; TRY asks, and
 * ABANDON does not, and both are DETACHED at once. The result of a DETACHED child is "cancelled"
 * for the code, whatever becomes of it; its start may still come.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "wire/failure.h"
#include "wire/payload.h"
#include "workflow/entities.h"
#include "workflow/fill.h"
#include "workflow/intercept.h"
#include "workflow/machines/child_command.h"
#include "workflow/trace.h"

enum state {
    ISSUED = FLO_RELATED_ISSUED,
    INITIATED = FLO_RELATED_INITIATED,
    STARTED,
    CANCELLING,
    DETACHED,
    CLOSED,
    DROPPED
};

#define ANY_END (FLO_STATE_BIT(CANCELLING) | FLO_STATE_BIT(DETACHED) | FLO_STATE_BIT(CLOSED))

static const struct flo_machine_state states[] = {
    [ISSUED] = {"issued", FLO_STATE_BIT(INITIATED) | FLO_STATE_BIT(DROPPED)},
    [INITIATED] = {"initiated", FLO_STATE_BIT(STARTED) | ANY_END},
    [STARTED] = {"started", ANY_END},
    [CANCELLING] = {"cancelling", FLO_STATE_BIT(DETACHED) | FLO_STATE_BIT(CLOSED)},
    [DETACHED] = {"detached", FLO_STATE_BIT(CLOSED)},
    [CLOSED] = {"closed", 0},
    [DROPPED] = {"dropped", 0},
};

struct flo_child {
    struct flo_related head;    /* first; its future is the result */
    struct flo_future *started; /* referenced; resolved before the result */
    const char *run_id;         /* "" until it has started */
    int64_t started_event_id;   /* 0 = not yet */
    enum flo_child_cancellation cancellation;
    const char *workflow_id, *type, *namespace_; /* in texts */
    char texts[];
};

static struct flo_child *child_of(const struct flo_future *future)
{
    return flo_container(future, struct flo_child, head.future);
}

/* The machine's reference goes with its last move. */
static int move(struct flo_related *head, enum state to)
{
    int rc = flo_machine_move(&head->machine, to);
    return rc ? rc : flo_related_moved(head);
}

/* ---- failures ---- */

/* Fail one of the futures with cause (borrowed, may be NULL) inside a child failure. */
static int fail(struct flo_child *child, struct flo_future *future, int rc, const char *message,
                const FloApi__Failure *cause, FloApi__RetryState retry_state)
{
    FloApi__Failure failure;
    FloApi__ChildWorkflowExecutionFailureInfo info;
    FloApi__WorkflowExecution execution;
    FloApi__WorkflowType type;
    flo_api__failure__init(&failure);
    flo_api__child_workflow_execution_failure_info__init(&info);
    flo_api__workflow_execution__init(&execution);
    flo_api__workflow_type__init(&type);
    execution.workflow_id = (char *)(uintptr_t)child->workflow_id;
    execution.run_id = (char *)(uintptr_t)child->run_id;
    type.name = (char *)(uintptr_t)child->type;
    info.namespace_ = (char *)(uintptr_t)child->namespace_;
    info.workflow_execution = &execution;
    info.workflow_type = &type;
    info.initiated_event_id = child->head.initiated_event_id;
    info.started_event_id = child->started_event_id;
    info.retry_state = retry_state;
    failure.message = (char *)(uintptr_t)message;
    failure.source = (char *)(uintptr_t)FLO_FAILURE_SOURCE;
    failure.cause = (FloApi__Failure *)(uintptr_t)cause;
    failure.failure_info_case =
        FLO_API__FAILURE__FAILURE_INFO_CHILD_WORKFLOW_EXECUTION_FAILURE_INFO;
    failure.child_workflow_execution_failure_info = &info;
    return flo_future_fail(future, rc, &failure);
}

static int fail_cancelled(struct flo_child *child, struct flo_future *future, const char *message,
                          FloApi__Payloads *details)
{
    FloApi__Failure cause;
    FloApi__CanceledFailureInfo info;
    flo_failure_cancelled_init(&cause, &info, "Cancelled");
    info.details = details;
    return fail(child, future, FLO_ECANCELLED, message, &cause,
                FLO_API__RETRY_STATE__RETRY_STATE_NON_RETRYABLE_FAILURE);
}

static int detach(struct flo_child *child)
{
    int rc = fail_cancelled(child, &child->head.future, "Child Workflow execution cancelled", NULL);
    return rc ? rc : move(&child->head, DETACHED);
}

/* ---- commands ---- */

static int initiated(struct flo_command *command, const FloApi__HistoryEvent *event)
{
    struct flo_child *child = child_of(command->future);
    const FloApi__StartChildWorkflowExecutionInitiatedEventAttributes *a =
        event->start_child_workflow_execution_initiated_event_attributes;
    if (strcmp(a->workflow_id, child->workflow_id) != 0 || !a->workflow_type ||
        strcmp(a->workflow_type->name, child->type) != 0)
        return FLO_ENONDET;
    child->head.initiated_event_id = event->event_id;
    return move(&child->head, INITIATED);
}

static void describe(const struct flo_command *command, char *out_text, size_t size)
{
    const struct flo_child *child = child_of(command->future);
    snprintf(out_text, size, "workflow id %.70s, type %.70s", child->workflow_id, child->type);
}

static const struct flo_command_ops ops = {FLO_COMMAND(START_CHILD_WORKFLOW_EXECUTION), initiated,
                                           describe};

/* ---- cancelling ---- */

static int drop(struct flo_child *child)
{
    static const char text[] = "Child Workflow Execution cancelled before scheduled";
    struct flo_future *result = &child->head.future;
    int rc = fail_cancelled(child, child->started, text, NULL);
    if (rc == 0)
        rc = fail_cancelled(child, result, text, NULL);
    if (rc)
        return rc;
    flo_command_withdraw(result->run, &ops, result);
    return move(&child->head, DROPPED);
}

static int request_cancel(struct flo_child *child, const char *reason)
{
    /* By its id alone: a child may have continued as a new run. */
    const struct flo_target target = {child->namespace_, child->workflow_id, NULL, child};
    struct flo_future *request =
        flo_cancel_external_new(child->head.future.run, NULL, &target, reason);
    if (!request)
        return FLO_ENOMEM;
    flo_future_ref(&child->head.future); /* the request's: flo_child_cancel_delivered */
    flo_future_unref(request);           /* nobody awaits it */
    return 0;
}

static void cancel_because(struct flo_child *child, const char *reason)
{
    unsigned state = child->head.machine.state;
    int rc = 0;
    if (state == ISSUED) {
        rc = drop(child);
    } else if (state == INITIATED || state == STARTED) {
        if (child->cancellation != FLO_CHILD_CANCEL_ABANDON)
            rc = request_cancel(child, reason);
        bool waits = child->cancellation == FLO_CHILD_CANCEL_WAIT ||
                     child->cancellation == FLO_CHILD_CANCEL_WAIT_REQUESTED;
        if (rc == 0)
            rc = waits ? move(&child->head, CANCELLING) : detach(child);
    }
    if (rc)
        flo_run_no_memory(child->head.future.run);
}

static void cancel(struct flo_future *future)
{
    cancel_because(child_of(future), future->scope ? flo_scope_reason(future->scope) : NULL);
}

static void describe_result(const struct flo_future *future, char *out_text, size_t size)
{
    const struct flo_child *child = child_of(future);
    snprintf(out_text, size, "child workflow id %.70s, type %.70s", child->workflow_id,
             child->type);
}

static void describe_start(const struct flo_future *future, char *out_text, size_t size)
{
    (void)future;
    snprintf(out_text, size, "the start of a child workflow");
}

static void freed(struct flo_future *future)
{
    struct flo_child *child = child_of(future);
    flo_future_unref(child->started);
    if (*child->run_id)
        flo_heap_free((void *)(uintptr_t)child->run_id);
}

static const struct flo_future_ops result_ops = {cancel, describe_result, freed};
static const struct flo_future_ops started_ops = {NULL, describe_start, NULL};

int flo_child_cancel_delivered(struct flo_child *child, bool *out_wakes)
{
    int rc = 0;
    if (child->cancellation == FLO_CHILD_CANCEL_WAIT_REQUESTED &&
        child->head.machine.state == CANCELLING) {
        *out_wakes = true;
        rc = detach(child);
    }
    flo_future_unref(&child->head.future);
    return rc;
}

/* ---- starting ---- */

static struct flo_child *child_alloc(struct flo_workflow *wf, const char *workflow_id,
                                     const char *type, const char *namespace_)
{
    struct flo_heap *heap = wf->run->heap;
    size_t id_len = strlen(workflow_id) + 1, type_len = strlen(type) + 1;
    size_t namespace_len = strlen(namespace_) + 1;
    struct flo_child *child =
        flo_heap_calloc(heap, sizeof *child + id_len + type_len + namespace_len);
    struct flo_future *started = flo_heap_calloc(heap, sizeof *started);
    if (!child || !started) {
        flo_heap_free(child);
        flo_heap_free(started);
        return NULL;
    }
    flo_future_init(&child->head.future, wf->run, wf->scope, &result_ops);
    flo_future_init(started, wf->run, wf->scope, &started_ops);
    child->head.kind = FLO_RELATED_CHILD;
    child->head.machine = (struct flo_machine){states, DROPPED};
    child->started = started;
    child->run_id = "";
    child->workflow_id = memcpy(child->texts, workflow_id, id_len);
    child->type = memcpy(child->texts + id_len, type, type_len);
    child->namespace_ = memcpy(child->texts + id_len + type_len, namespace_, namespace_len);
    return child;
}

static int trace_start(struct flo_run *run, const struct flo_child *child, FloApi__Command *message)
{
    return flo_trace_child(
        run, child->type,
        message ? &message->start_child_workflow_execution_command_attributes->header : NULL);
}

/* It has passed its checks. NULL: no memory. */
static struct flo_child *issue(struct flo_run *run, struct flo_child *child, json_t *input,
                               const json_t *headers, const struct flo_child_options *o)
{
    child->head.machine.state = ISSUED;
    struct flo_command *command = flo_command_issue(run, &ops, &child->head.future);
    if (!command)
        return NULL;
    flo_future_ref(&child->head.future); /* the machine's */
    const struct flo_child_call call = {child->namespace_, child->workflow_id, child->type, input,
                                        headers};
    if (command->message && flo_child_fill(run, &call, o, command->message))
        return NULL;
    return run->trace && trace_start(run, child, command->message) ? NULL : child;
}

static struct flo_child *issue_intercepted(struct flo_workflow *wf, struct flo_child *child,
                                           json_t *input, const struct flo_child_options *o)
{
    struct flo_outbound out = {
        .call = {.kind = FLO_OUTBOUND_CHILD,
                 .name = child->type,
                 .task_queue = o->task_queue ? o->task_queue : wf->run->info.task_queue,
                 .workflow_id = child->workflow_id,
                 .input = input,
                 .headers = o->headers}};
    int rc = flo_outbound_run(wf, &out);
    if (rc == 0)
        child = issue(wf->run, child, out.call.input, out.call.headers, o);
    else if (flo_outbound_refuse(wf, rc, child->started) ||
             flo_outbound_refuse(wf, rc, &child->head.future))
        child = NULL;
    flo_outbound_fini(&out);
    return child;
}

/* NULL: no memory. */
static struct flo_child *child_new(struct flo_workflow *wf, const char *type, json_t *input,
                                   const struct flo_child_options *o)
{
    struct flo_run *run = wf->run;
    struct flo_err why = {0};
    char uuid[37] = "";
    bool refused = flo_may_issue(run, &why) || flo_child_check(type, o, &why);
    bool chosen = !o->workflow_id || !*o->workflow_id;
    if (!refused && chosen)
        flo_rng_uuid4(&run->rng, uuid);
    struct flo_child *child = child_alloc(wf, chosen ? uuid : o->workflow_id, type ? type : "",
                                          o->namespace_ ? o->namespace_ : run->info.namespace_);
    if (!child)
        return NULL;
    struct flo_future *result = &child->head.future;
    child->cancellation = o->cancellation;
    if (refused) {
        flo_future_refuse(child->started, &why);
        flo_future_refuse(result, &why);
        return child;
    }
    if (flo_workflow_cancelled(wf)) {
        static const char text[] = "Child Workflow Execution cancelled before scheduled";
        bool told = !fail_cancelled(child, child->started, text, NULL) &&
                    !fail_cancelled(child, result, text, NULL);
        return told ? child : NULL;
    }
    return run->interception ? issue_intercepted(wf, child, input, o)
                             : issue(run, child, input, o->headers, o);
}

/* ---- events ---- */

static int on_started(struct flo_child *child, const FloApi__HistoryEvent *event,
                      struct flo_err *err)
{
    const FloApi__ChildWorkflowExecutionStartedEventAttributes *a =
        event->child_workflow_execution_started_event_attributes;
    struct flo_run *run = child->head.future.run;
    FloApi__Payloads *execution = NULL;
    const char *run_id =
        flo_heap_strdup(run->heap, a->workflow_execution ? a->workflow_execution->run_id : "");
    if (!run_id)
        return FLO_ENOMEM;
    child->run_id = run_id;
    child->started_event_id = event->event_id;
    json_t *value = json_pack("{s:s, s:s}", "workflow_id", child->workflow_id, "run_id", run_id);
    if (value)
        execution = flo_payloads_from_json(run->answer, value);
    json_decref(value);
    if (!execution)
        return FLO_ENOMEM;
    int rc = flo_future_succeed(child->started, execution, err);
    if (rc == 0 && child->head.machine.state == INITIATED)
        rc = move(&child->head, STARTED);
    return rc;
}

static int on_start_failed(struct flo_child *child, const FloApi__HistoryEvent *event)
{
    FloApi__StartChildWorkflowExecutionFailedCause cause =
        event->start_child_workflow_execution_failed_event_attributes->cause;
    int code = FLO_EFAILED;
    const char *type = "StartChildWorkflowFailed", *why = "the server refused it";
    if (cause ==
        FLO_API__START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE__START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS) {
        code = FLO_EEXIST;
        type = "WorkflowAlreadyStarted";
        why = "its workflow id is taken";
    } else if (
        cause ==
        FLO_API__START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE__START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND) {
        code = FLO_ENOENT;
        type = "NamespaceNotFound";
        why = "there is no such namespace";
    }
    int rc = flo_external_fail(child->started, "cannot start child", child->workflow_id, code, type,
                               why);
    if (rc == 0 && !child->head.future.ready)
        rc = flo_external_fail(&child->head.future, "cannot start child", child->workflow_id, code,
                               type, why);
    return rc;
}

static int fail_with_cause(struct flo_child *child, const char *message, FloApi__Failure *cause,
                           const char *cause_message, FloApi__RetryState retry_state)
{
    cause->message = (char *)(uintptr_t)cause_message;
    cause->source = (char *)(uintptr_t)FLO_FAILURE_SOURCE_SERVER;
    return fail(child, &child->head.future, FLO_EFAILED, message, cause, retry_state);
}

static int on_timed_out(struct flo_child *child, FloApi__RetryState retry_state)
{
    FloApi__Failure cause;
    FloApi__TimeoutFailureInfo info;
    flo_api__failure__init(&cause);
    flo_api__timeout_failure_info__init(&info);
    info.timeout_type = FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_START_TO_CLOSE;
    cause.failure_info_case = FLO_API__FAILURE__FAILURE_INFO_TIMEOUT_FAILURE_INFO;
    cause.timeout_failure_info = &info;
    return fail_with_cause(child, "Child Workflow execution timed out", &cause, "Timed out",
                           retry_state);
}

static int on_terminated(struct flo_child *child)
{
    FloApi__Failure cause;
    FloApi__TerminatedFailureInfo info;
    flo_api__failure__init(&cause);
    flo_api__terminated_failure_info__init(&info);
    cause.failure_info_case = FLO_API__FAILURE__FAILURE_INFO_TERMINATED_FAILURE_INFO;
    cause.terminated_failure_info = &info;
    return fail_with_cause(child, "Child Workflow execution terminated", &cause, "Terminated",
                           FLO_API__RETRY_STATE__RETRY_STATE_NON_RETRYABLE_FAILURE);
}

static int resolve(struct flo_child *child, const FloApi__HistoryEvent *event, struct flo_err *err)
{
    struct flo_future *result = &child->head.future;
    switch (event->event_type) {
    case FLO_EVENT(START_CHILD_WORKFLOW_EXECUTION_FAILED):
        return on_start_failed(child, event);
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_COMPLETED):
        return flo_future_succeed(
            result, event->child_workflow_execution_completed_event_attributes->result, err);
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_FAILED): {
        const FloApi__ChildWorkflowExecutionFailedEventAttributes *a =
            event->child_workflow_execution_failed_event_attributes;
        return fail(child, result, FLO_EFAILED, "Child Workflow execution failed", a->failure,
                    a->retry_state);
    }
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_CANCELED):
        return fail_cancelled(child, result, "Child Workflow execution cancelled",
                              event->child_workflow_execution_canceled_event_attributes->details);
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_TIMED_OUT):
        return on_timed_out(
            child, event->child_workflow_execution_timed_out_event_attributes->retry_state);
    default:
        return on_terminated(child);
    }
}

static int64_t initiated_id_of(const FloApi__HistoryEvent *event)
{
    switch (event->event_type) {
    case FLO_EVENT(START_CHILD_WORKFLOW_EXECUTION_FAILED):
        return event->start_child_workflow_execution_failed_event_attributes->initiated_event_id;
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_STARTED):
        return event->child_workflow_execution_started_event_attributes->initiated_event_id;
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_COMPLETED):
        return event->child_workflow_execution_completed_event_attributes->initiated_event_id;
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_FAILED):
        return event->child_workflow_execution_failed_event_attributes->initiated_event_id;
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_CANCELED):
        return event->child_workflow_execution_canceled_event_attributes->initiated_event_id;
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_TIMED_OUT):
        return event->child_workflow_execution_timed_out_event_attributes->initiated_event_id;
    default:
        return event->child_workflow_execution_terminated_event_attributes->initiated_event_id;
    }
}

int flo_child_event(struct flo_run *run, const FloApi__HistoryEvent *event, struct flo_err *err)
{
    struct flo_related *related;
    int rc = flo_related_find(run, event, FLO_RELATED_CHILD, initiated_id_of(event), &related, err);
    if (rc)
        return rc;
    struct flo_child *child = child_of(&related->future);
    if (event->event_type == FLO_EVENT(CHILD_WORKFLOW_EXECUTION_STARTED))
        return on_started(child, event, err);
    rc = resolve(child, event, err);
    if (rc == FLO_EPROTO || rc == FLO_EPERM)
        flo_err_prefix(err, "the result of child workflow %.100s (event %" PRId64 ")", child->type,
                       event->event_id);
    return rc ? rc : move(related, CLOSED);
}

/* ---- what code calls ---- */

/* What a start without memory returns stands for a child in every call: the run's future that says
 * so. Nothing is looked at of it but that. */
static bool lacks_memory(const struct flo_child *child)
{
    const struct flo_future *future = (const struct flo_future *)(const void *)child;
    return future == &future->run->no_memory;
}

struct flo_child *flo_child_start(struct flo_workflow *wf, const char *type, json_t *input,
                                  const struct flo_child_options *options)
{
    static const struct flo_child_options none = {0};
    struct flo_child *child = child_new(wf, type, input, options ? options : &none);
    if (child)
        return child;
    flo_run_no_memory(wf->run);
    return (struct flo_child *)(void *)&wf->run->no_memory;
}

int flo_child(struct flo_workflow *wf, const char *type, json_t *input,
              const struct flo_child_options *options, json_t **out_result)
{
    struct flo_child *child = flo_child_start(wf, type, input, options);
    int rc = flo_await(wf, flo_child_result(child), out_result);
    if (!lacks_memory(child))
        flo_future_unref(&child->head.future);
    return rc;
}

struct flo_future *flo_child_started(struct flo_child *child)
{
    return lacks_memory(child) ? (struct flo_future *)(void *)child : child->started;
}

struct flo_future *flo_child_result(struct flo_child *child)
{
    return (struct flo_future *)(void *)child;
}

const char *flo_child_workflow_id(const struct flo_child *child)
{
    return lacks_memory(child) ? "" : child->workflow_id;
}

const char *flo_child_run_id(const struct flo_child *child)
{
    return lacks_memory(child) ? "" : child->run_id;
}

struct flo_future *flo_child_signal_start(struct flo_workflow *wf, struct flo_child *child,
                                          const char *name, json_t *input)
{
    if (lacks_memory(child))
        return &wf->run->no_memory;
    /* A server knows nobody to signal before the child has started. */
    (void)flo_await(wf, child->started, NULL);
    if (child->started->ready && child->started->rc) {
        flo_future_ref(child->started);
        return child->started;
    }
    /* By its id alone: the signal must reach the run that is current then, as a child may have
     * continued as a new one. */
    const struct flo_target target = {child->namespace_, child->workflow_id, NULL, child};
    struct flo_future *future = flo_signal_external_new(wf, &target, name, input);
    if (!future)
        flo_run_no_memory(wf->run);
    return future ? future : &wf->run->no_memory;
}

int flo_child_signal(struct flo_workflow *wf, struct flo_child *child, const char *name,
                     json_t *input)
{
    struct flo_future *future = flo_child_signal_start(wf, child, name, input);
    int rc = flo_await(wf, future, NULL);
    flo_future_unref(future);
    return rc;
}

void flo_child_cancel(struct flo_workflow *wf, struct flo_child *child, const char *reason)
{
    if (lacks_memory(child) || flo_read_only_check(wf->run, "cancels a child") ||
        child->head.future.ready)
        return;
    cancel_because(child, flo_is_text(reason) ? reason : NULL);
}
