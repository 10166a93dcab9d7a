/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signal_external.c - the life of a signal to another execution.
 *
 *            start          SignalExternal...Initiated       ...Signaled, ...Failed
 *   (code) --------> ISSUED --------------------> INITIATED -----------------> ANSWERED
 *                      |
 *                      | the workflow is cancelled
 *                      v
 *                   DROPPED
 *
 * Once the signal was sent nothing takes it back: its future waits for the server's answer.
 */
#include <stdio.h>
#include <string.h>

#include "workflow/entities.h"
#include "workflow/fill.h"
#include "workflow/intercept.h"

enum state { ISSUED = FLO_RELATED_ISSUED, INITIATED = FLO_RELATED_INITIATED, ANSWERED, DROPPED };

static const struct flo_machine_state states[] = {
    [ISSUED] = {"issued", FLO_STATE_BIT(INITIATED) | FLO_STATE_BIT(DROPPED)},
    [INITIATED] = {"initiated", FLO_STATE_BIT(ANSWERED)},
    [ANSWERED] = {"answered", 0},
    [DROPPED] = {"dropped", 0},
};

struct flo_signal_external {
    struct flo_related head;        /* first */
    const char *workflow_id, *name; /* in texts */
    char texts[];
};

static struct flo_signal_external *signal_of(const struct flo_future *future)
{
    return flo_container(future, struct flo_signal_external, head.future);
}

/* The machine's reference goes with its last move. */
static int move(struct flo_related *head, enum state to)
{
    int rc = flo_machine_move(&head->machine, to);
    return rc ? rc : flo_related_moved(head);
}

static int initiated(struct flo_command *command, const FloApi__HistoryEvent *event)
{
    struct flo_signal_external *signal = signal_of(command->future);
    const FloApi__SignalExternalWorkflowExecutionInitiatedEventAttributes *a =
        event->signal_external_workflow_execution_initiated_event_attributes;
    if (strcmp(a->signal_name, signal->name) != 0 || !a->workflow_execution ||
        strcmp(a->workflow_execution->workflow_id, signal->workflow_id) != 0)
        return FLO_ENONDET;
    signal->head.initiated_event_id = event->event_id;
    return move(&signal->head, INITIATED);
}

static void describe(const struct flo_command *command, char *out_text, size_t size)
{
    const struct flo_signal_external *signal = signal_of(command->future);
    snprintf(out_text, size, "signal %.60s, workflow id %.80s", signal->name, signal->workflow_id);
}

static const struct flo_command_ops ops = {FLO_COMMAND(SIGNAL_EXTERNAL_WORKFLOW_EXECUTION),
                                           initiated, describe};

static int fail_cancelled(struct flo_signal_external *signal)
{
    FloApi__Failure failure;
    FloApi__CanceledFailureInfo info;
    flo_failure_cancelled_init(&failure, &info, "Signal was cancelled before being sent");
    return flo_future_fail(&signal->head.future, FLO_ECANCELLED, &failure);
}

static void cancel(struct flo_future *future)
{
    struct flo_signal_external *signal = signal_of(future);
    if (signal->head.machine.state != ISSUED)
        return;
    int rc = fail_cancelled(signal);
    if (rc == 0) {
        flo_command_withdraw(future->run, &ops, future);
        rc = move(&signal->head, DROPPED);
    }
    if (rc)
        flo_run_no_memory(future->run);
}

static void describe_future(const struct flo_future *future, char *out_text, size_t size)
{
    const struct flo_signal_external *signal = signal_of(future);
    snprintf(out_text, size, "the delivery of signal %.60s to workflow id %.80s", signal->name,
             signal->workflow_id);
}

static const struct flo_future_ops future_ops = {cancel, describe_future, NULL};

static int fill(struct flo_run *run, const struct flo_target *target, const char *name,
                json_t *input, const json_t *headers, FloApi__Command *message)
{
    struct flo_arena *arena = run->answer;
    bool no_memory = false;
    FloApi__SignalExternalWorkflowExecutionCommandAttributes *a = flo_arena_alloc(arena, sizeof *a);
    if (!a)
        return FLO_ENOMEM;
    flo_api__signal_external_workflow_execution_command_attributes__init(a);
    a->namespace_ = flo_fill_text(arena, target->namespace_, &no_memory);
    a->execution = flo_fill_execution(arena, target->workflow_id, target->run_id, &no_memory);
    a->signal_name = flo_fill_text(arena, name, &no_memory);
    a->input = flo_fill_input(arena, input, &no_memory);
    a->header = flo_fill_header(arena, headers, &no_memory);
    a->child_workflow_only = target->child != NULL;
    message->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    message->signal_external_workflow_execution_command_attributes = a;
    return no_memory ? FLO_ENOMEM : 0;
}

static int check(const struct flo_target *target, const char *name, struct flo_err *err)
{
    if (!target->workflow_id || !*target->workflow_id || !name || !*name)
        return flo_fail(err, FLO_EINVAL, "a signal needs a name and a workflow id");
    if (!flo_is_text(target->workflow_id) || !flo_is_text(target->run_id) || !flo_is_text(name))
        return flo_fail(err, FLO_EINVAL, "a signal's name, workflow id or run id is not UTF-8");
    return 0;
}

static struct flo_signal_external *signal_alloc(struct flo_workflow *wf, const char *workflow_id,
                                                const char *name)
{
    size_t id_len = strlen(workflow_id) + 1, name_len = strlen(name) + 1;
    struct flo_signal_external *signal =
        flo_heap_calloc(wf->run->heap, sizeof *signal + id_len + name_len);
    if (!signal)
        return NULL;
    flo_future_init(&signal->head.future, wf->run, wf->scope, &future_ops);
    signal->head.kind = FLO_RELATED_SIGNAL;
    signal->head.machine = (struct flo_machine){states, DROPPED};
    signal->workflow_id = memcpy(signal->texts, workflow_id, id_len);
    signal->name = memcpy(signal->texts + id_len, name, name_len);
    return signal;
}

/* It has passed its checks. NULL: no memory. */
static struct flo_future *issue(struct flo_signal_external *signal, const struct flo_target *target,
                                json_t *input, const json_t *headers)
{
    struct flo_future *future = &signal->head.future;
    struct flo_run *run = future->run;
    signal->head.machine.state = ISSUED;
    struct flo_command *command = flo_command_issue(run, &ops, future);
    if (!command)
        return NULL;
    flo_future_ref(future); /* the machine's */
    if (command->message && fill(run, target, signal->name, input, headers, command->message))
        return NULL;
    return future;
}

static struct flo_future *issue_intercepted(struct flo_workflow *wf,
                                            struct flo_signal_external *signal,
                                            const struct flo_target *target, json_t *input)
{
    struct flo_future *future = &signal->head.future;
    struct flo_outbound out = {.call = {.kind = FLO_OUTBOUND_SIGNAL,
                                        .name = signal->name,
                                        .task_queue = "",
                                        .workflow_id = signal->workflow_id,
                                        .input = input}};
    int rc = flo_outbound_run(wf, &out);
    if (rc == 0)
        future = issue(signal, target, out.call.input, out.call.headers);
    else if (flo_outbound_refuse(wf, rc, future))
        future = NULL;
    flo_outbound_fini(&out);
    return future;
}

struct flo_future *flo_signal_external_new(struct flo_workflow *wf, const struct flo_target *target,
                                           const char *name, json_t *input)
{
    struct flo_err why = {0};
    bool refused = flo_may_issue(wf->run, &why) || check(target, name, &why);
    struct flo_signal_external *signal =
        signal_alloc(wf, target->workflow_id ? target->workflow_id : "", name ? name : "");
    if (!signal)
        return NULL;
    struct flo_future *future = &signal->head.future;
    if (refused) {
        flo_future_refuse(future, &why);
        return future;
    }
    if (flo_workflow_cancelled(wf))
        return fail_cancelled(signal) ? NULL : future;
    return wf->run->interception ? issue_intercepted(wf, signal, target, input)
                                 : issue(signal, target, input, NULL);
}

static int fail(struct flo_signal_external *signal,
                FloApi__SignalExternalWorkflowExecutionFailedCause cause)
{
    int rc = FLO_EFAILED;
    const char *type = "SignalExternalWorkflowFailed", *why = "the server refused it";
    switch (cause) {
    case FLO_API__SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE__SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND:
        rc = FLO_ENOENT;
        type = "ExternalWorkflowNotFound";
        why = "there is no such execution, or it is closed";
        break;
    case FLO_API__SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE__SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_NAMESPACE_NOT_FOUND:
        rc = FLO_ENOENT;
        type = "NamespaceNotFound";
        why = "there is no such namespace";
        break;
    case FLO_API__SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE__SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_SIGNAL_COUNT_LIMIT_EXCEEDED:
        rc = FLO_ELIMIT;
        type = "SignalCountLimitExceeded";
        why = "it has had as many signals as an execution may";
        break;
    default:
        break;
    }
    return flo_external_fail(&signal->head.future, "cannot signal", signal->workflow_id, rc, type,
                             why);
}

int flo_signal_external_event(struct flo_run *run, const FloApi__HistoryEvent *event,
                              struct flo_err *err)
{
    bool signaled = event->event_type == FLO_EVENT(EXTERNAL_WORKFLOW_EXECUTION_SIGNALED);
    int64_t id =
        signaled
            ? event->external_workflow_execution_signaled_event_attributes->initiated_event_id
            : event->signal_external_workflow_execution_failed_event_attributes->initiated_event_id;
    struct flo_related *related;
    int rc = flo_related_find(run, event, FLO_RELATED_SIGNAL, id, &related, err);
    if (rc)
        return rc;
    rc = signaled ? flo_future_succeed(&related->future, NULL, err)
                  : fail(signal_of(&related->future),
                         event->signal_external_workflow_execution_failed_event_attributes->cause);
    return rc ? rc : move(related, ANSWERED);
}

/* ---- what code calls ---- */

struct flo_future *flo_signal_external_start(struct flo_workflow *wf, const char *workflow_id,
                                             const char *run_id, const char *name, json_t *input)
{
    const struct flo_target target = {wf->run->info.namespace_, workflow_id, run_id, NULL};
    struct flo_future *future = flo_signal_external_new(wf, &target, name, input);
    if (!future)
        flo_run_no_memory(wf->run);
    return future ? future : &wf->run->no_memory;
}

int flo_signal_external(struct flo_workflow *wf, const char *workflow_id, const char *run_id,
                        const char *name, json_t *input)
{
    struct flo_future *future = flo_signal_external_start(wf, workflow_id, run_id, name, input);
    int rc = flo_await(wf, future, NULL);
    flo_future_unref(future);
    return rc;
}
