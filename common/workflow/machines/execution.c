/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execution.c - the life of the run itself.
 *
 *   NEW --(WorkflowExecutionStarted)--> OPEN --(the function returned)--> CLOSED
 *
 * OPEN: the coroutines exist; each step runs those that can go on. CLOSED: they are gone, one
 * command that ends the run was issued: Complete, Fail, ContinueAsNew, or Cancel when the function
 * returned FLO_ECANCELLED after a cancel request. A function that returned FLO_ETASK or FLO_ENONDET
 * ends nothing: it fails the workflow task.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "wire/payload.h"
#include "workflow/entities.h"
#include "workflow/info.h"
#include "workflow/intercept.h"
#include "workflow/messages.h"
#include "workflow/trace.h"

const struct flo_machine_state flo_execution_states[] = {
    [FLO_RUN_NEW] = {"new", FLO_STATE_BIT(FLO_RUN_OPEN)},
    [FLO_RUN_OPEN] = {"open", FLO_STATE_BIT(FLO_RUN_CLOSED)},
    [FLO_RUN_CLOSED] = {"closed", 0},
};

static int recorded(struct flo_command *command, const FloApi__HistoryEvent *event)
{
    (void)command;
    (void)event;
    return 0; /* the type is all that must match */
}

static void describe(const struct flo_command *command, char *out_text, size_t size)
{
    (void)command;
    *out_text = '\0';
    (void)size;
}

static const struct flo_command_ops complete_ops = {FLO_COMMAND(COMPLETE_WORKFLOW_EXECUTION),
                                                    recorded, describe};
static const struct flo_command_ops fail_ops = {FLO_COMMAND(FAIL_WORKFLOW_EXECUTION), recorded,
                                                describe};
static const struct flo_command_ops cancel_ops = {FLO_COMMAND(CANCEL_WORKFLOW_EXECUTION), recorded,
                                                  describe};

/* ---- starting ---- */

/* FNV-1a: the same on every machine, which the keyed hash of base is not. */
static uint64_t seed_of(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}

void flo_execution_reseed(struct flo_run *run, const char *run_id)
{
    flo_rng_seed(&run->rng, seed_of(run_id));
}

static int run_inner(struct flo_workflow *wf, const struct flo_inbound *inbound,
                     json_t **out_result)
{
    return wf->run->fn(wf, inbound->call.input, out_result);
}

static int run_intercepted(struct flo_workflow *wf, json_t **out_result)
{
    const struct flo_run *run = wf->run;
    struct flo_inbound inbound = {.call = {.kind = FLO_INBOUND_WORKFLOW,
                                           .name = run->info.type,
                                           .id = "",
                                           .input = run->input,
                                           .headers = run->interception->headers},
                                  .code = run_inner};
    return flo_inbound_proceed(wf, &inbound.call, out_result);
}

static int run_function(struct flo_workflow *wf, void *arg)
{
    struct flo_run *run = arg;
    json_t *result = NULL;
    int rc =
        run->env.interceptors ? run_intercepted(wf, &result) : run->fn(wf, run->input, &result);
    run->result = result;
    return rc;
}

static int unknown_type(struct flo_run *run, const char *type, struct flo_err *err)
{
    char list[300] = "";
    size_t used = 0;
    for (const char *const *t = run->env.workflow_types; t && *t && used < sizeof list - 1; t++) {
        int n = snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", *t);
        used += n > 0 ? (size_t)n : 0;
    }
    return flo_fail(err, FLO_ENOENT,
                    "Workflow type %.150s is not registered on this worker, registered types: %s",
                    type, *list ? list : "none");
}

int flo_execution_start(struct flo_run *run, const FloApi__HistoryEvent *event, struct flo_err *err)
{
    const FloApi__WorkflowExecutionStartedEventAttributes *a =
        event->workflow_execution_started_event_attributes;
    const char *type = a->workflow_type ? a->workflow_type->name : "";
    if (run->machine.state != FLO_RUN_NEW)
        return flo_fail(err, FLO_EPROTO, "history event %" PRId64 " starts the run a second time",
                        event->event_id);
    run->fn = run->lookup(run->lookup_ctx, type);
    if (!run->fn)
        return unknown_type(run, type, err);
    int rc = flo_payloads_to_json(a->input, false, &run->input, err);
    if (rc == FLO_EPROTO || rc == FLO_EPERM)
        flo_err_prefix(err, "the input of workflow type %.100s", type);
    if (rc)
        return rc;
    rc = flo_info_start(run, event, err);
    if (rc)
        return rc;
    flo_execution_reseed(run, *a->original_execution_run_id ? a->original_execution_run_id
                                                            : run->info.run_id);
    rc = run->env.tracing ? flo_trace_begin(run, a) : 0;
    if (rc == 0 && (run->env.interceptors || run->env.propagate))
        rc = flo_intercept_begin(run, a->header);
    if (rc)
        return rc;
    const struct flo_start start = {.name = "main", .fn = run_function, .arg = run};
    flo_scheduler_start_first(run, &run->main, &start);
    return flo_machine_move(&run->machine, FLO_RUN_OPEN);
}

int flo_execution_cancel_requested(struct flo_run *run, const FloApi__HistoryEvent *event)
{
    if (run->cancel_requested)
        return 0;
    char *reason = flo_heap_strdup(
        run->heap, event->workflow_execution_cancel_requested_event_attributes->cause);
    if (!reason)
        return FLO_ENOMEM;
    run->cancel_requested = true;
    flo_scope_cancel_all(&run->scope, reason);
    return 0;
}

/* ---- ending ---- */

static int issue_complete(struct flo_run *run)
{
    struct flo_command *command = flo_command_issue(run, &complete_ops, NULL);
    if (!command || !command->message)
        return command ? 0 : FLO_ENOMEM;
    FloApi__CompleteWorkflowExecutionCommandAttributes *a = flo_arena_alloc(run->answer, sizeof *a);
    if (!a)
        return FLO_ENOMEM;
    flo_api__complete_workflow_execution_command_attributes__init(a);
    a->result = run->result ? flo_payloads_from_json(run->answer, run->result) : NULL;
    command->message->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_COMPLETE_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    command->message->complete_workflow_execution_command_attributes = a;
    return run->result && !a->result ? FLO_ENOMEM : 0;
}

static int issue_cancel(struct flo_run *run)
{
    struct flo_command *command = flo_command_issue(run, &cancel_ops, NULL);
    if (!command || !command->message)
        return command ? 0 : FLO_ENOMEM;
    FloApi__CancelWorkflowExecutionCommandAttributes *a = flo_arena_alloc(run->answer, sizeof *a);
    if (!a)
        return FLO_ENOMEM;
    flo_api__cancel_workflow_execution_command_attributes__init(a);
    command->message->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_CANCEL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    command->message->cancel_workflow_execution_command_attributes = a;
    return 0;
}

int flo_execution_end_by(struct flo_workflow *wf, int rc)
{
    struct flo_run *run = wf->run;
    if (run->main.ended)
        return 0;
    run->main.ended = true;
    run->main.rc = rc;
    return wf->failure && wf->failure_rc == rc &&
                   flo_workflow_set_failure(&run->main, rc, wf->failure) == FLO_ENOMEM
               ? FLO_ENOMEM
               : 0;
}

static int issue_fail(struct flo_run *run)
{
    struct flo_command *command = flo_command_issue(run, &fail_ops, NULL);
    if (!command || !command->message)
        return command ? 0 : FLO_ENOMEM;
    FloApi__FailWorkflowExecutionCommandAttributes *a = flo_arena_alloc(run->answer, sizeof *a);
    if (!a)
        return FLO_ENOMEM;
    flo_api__fail_workflow_execution_command_attributes__init(a);
    a->failure = flo_workflow_failure_of(&run->main, run->answer);
    command->message->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_FAIL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    command->message->fail_workflow_execution_command_attributes = a;
    return a->failure ? 0 : FLO_ENOMEM;
}

/* The command that ends the run has just been issued: the last one. */
static int trace_end(struct flo_run *run)
{
    const struct flo_command *end =
        flo_container(run->commands.head.prev, struct flo_command, node);
    bool fails = end->message && end->ops == &fail_ops;
    return flo_trace_end(
        run, fails ? end->message->fail_workflow_execution_command_attributes->failure : NULL);
}

static int finish(struct flo_run *run)
{
    int rc;
    if (run->main.rc == 0)
        rc = issue_complete(run);
    else if (run->main.rc == FLO_ECONTINUE && run->entities && run->entities->next_run)
        rc = flo_continue_issue(run);
    else if (run->main.rc == FLO_ECANCELLED && run->cancel_requested)
        rc = issue_cancel(run);
    else
        rc = issue_fail(run);
    if (rc == 0 && run->trace)
        rc = trace_end(run);
    json_decref(run->result);
    run->result = NULL;
    if (!flo_list_empty(&run->failed))
        flo_task_log_failures(run);
    if (run->messages)
        flo_handlers_warn(run);
    if (run->main.rc != FLO_ECONTINUE && run->entities && run->entities->next_run)
        flo_workflow_log(&run->main, FLO_LOG_WARN,
                         "The workflow ended although it had called flo_continue_as_new(): it goes "
                         "on as a new run only when its function returns what that call returned");
    flo_scheduler_drop(run);
    return rc ? rc : flo_machine_move(&run->machine, FLO_RUN_CLOSED);
}

/* The function says that this is a bug: the task fails, the run stays open where it was. */
static int fail_task(const struct flo_run *run, struct flo_err *err)
{
    int rc = run->main.rc;
    const char *said = rc == FLO_ETASK && run->entities ? run->entities->task_failure : NULL;
    return flo_fail(err, rc, "%s", said ? said : flo_error_text(rc));
}

/* Updates that are refused leave nothing: the code has then nothing to run for. */
static int run_coroutines(struct flo_run *run)
{
    int rc = run->messages && run->messages->refused ? flo_scheduler_begin(run) : 0;
    return rc || (run->messages && run->messages->refused) ? rc : flo_scheduler_run(run);
}

int flo_execution_step(struct flo_run *run, struct flo_err *err)
{
    if (run->machine.state != FLO_RUN_OPEN)
        return 0;
    run->steps++;
    run->task_steps++;
    if (!flo_list_empty(&run->scope_timers))
        flo_scope_expire(run);
    int rc = run_coroutines(run);
    run->steps++; /* odd while code runs, even between */
    if (rc == 0 && run->messages)
        rc = flo_update_reject_rest(run);
    if (rc || !run->main.ended)
        return rc;
    switch (run->main.rc) {
    case FLO_ENONDET:
    case FLO_ETASK:
        return fail_task(run, err);
    default:
        return finish(run);
    }
}
