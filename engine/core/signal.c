/* SPDX-License-Identifier: Apache-2.0 */
/* signal.c - what callers do to a run that exists: signal, ask to cancel, terminate, delete. */
#include <assert.h>
#include <string.h>

#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/reply.h"
#include "engine/core/request.h"
#include "engine/core/runs.h"
#include "flotilla/engine_state.pb-c.h"

/* Of a termination that gives none. */
#define NO_REASON "terminated by user via frontend"

static int completed(struct flo_core *core, struct flo_status *status)
{
    return flo_status_not_found(core, status, "workflow execution already completed");
}

/* The namespace, the checked execution, the run. */
static int find_run(struct flo_core *core, const char *namespace_name,
                    const FloApi__WorkflowExecution *execution, struct flo_namespace **out_ns,
                    struct flo_core_run_ref *out, struct flo_status *status)
{
    *out = (struct flo_core_run_ref){0};
    int rc = flo_namespace_find(core, namespace_name, out_ns, status);
    if (!rc)
        rc = flo_check_execution(core, execution, status);
    if (rc || !execution) /* not set is refused by the check */
        return rc;
    return flo_core_find_run(core, *out_ns, execution->workflow_id, execution->run_id, out, status);
}

static bool is_open(const struct flo_core_run_ref *run)
{
    return run->execution && flo_execution_is_open(run->execution);
}

/* ---- signal ---- */

static int check_signal(struct flo_core *core,
                        const FloApi__SignalWorkflowExecutionRequest *request,
                        struct flo_status *status)
{
    if (!request->signal_name[0])
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "SignalName is not set on request.");
    int rc = flo_check_id(core, "SignalName", request->signal_name, status);
    if (!rc)
        rc = flo_check_id(core, "RequestId", request->request_id, status);
    if (!rc)
        rc = flo_check_id(core, "Identity", request->identity, status);
    if (!rc)
        rc = flo_check_links(core, request->links, request->n_links, status);
    if (!rc)
        rc = flo_check_blob(core, request->input, status);
    return rc ? rc : flo_check_blob(core, request->header, status);
}

void flo_rpc_signal_workflow_execution(struct flo_core *core, const struct flo_core_call_info *info,
                                       const void *message)
{
    const FloApi__SignalWorkflowExecutionRequest *request = message;
    static const FloApi__SignalWorkflowExecutionResponse response =
        FLO_API__SIGNAL_WORKFLOW_EXECUTION_RESPONSE__INIT;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    struct flo_core_run_ref run;
    int rc = flo_namespace_find(core, request->namespace_, &ns, &status);
    if (!rc)
        rc = flo_check_execution(core, request->workflow_execution, &status);
    if (!rc)
        rc = check_signal(core, request, &status);
    if (!rc)
        rc = find_run(core, request->namespace_, request->workflow_execution, &ns, &run, &status);
    if (!rc && !is_open(&run))
        rc = completed(core, &status);
    if (!rc) {
        FloApi__WorkflowExecutionSignaledEventAttributes signal =
            FLO_API__WORKFLOW_EXECUTION_SIGNALED_EVENT_ATTRIBUTES__INIT;
        signal.signal_name = request->signal_name;
        signal.input = request->input;
        signal.identity = request->identity;
        signal.header = request->header;
        signal.request_id = request->request_id;
        rc = flo_execution_signal(core, run.execution, &signal, request->links, request->n_links,
                                  &status);
    }
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    flo_execution_end(core, run.execution, true);
    flo_reply_ok(core, info->id, flo_core_after(core, run.execution), &response.base);
}

/* ---- the chain of runs ---- */

/*
 * first_run_id set: the caller means the chain that began with that run, whichever of its runs is
 * current; the run id of the request does not count then.
 */
static int find_in_chain(struct flo_core *core, const char *namespace_name,
                         FloApi__WorkflowExecution *execution, const char *first_run_id,
                         struct flo_namespace **out_ns, struct flo_core_run_ref *out,
                         struct flo_status *status)
{
    if (!first_run_id[0])
        return find_run(core, namespace_name, execution, out_ns, out, status);
    FloApi__WorkflowExecution current = FLO_API__WORKFLOW_EXECUTION__INIT;
    if (execution)
        current.workflow_id = execution->workflow_id;
    int rc = find_run(core, namespace_name, execution ? &current : NULL, out_ns, out, status);
    if (rc)
        return rc;
    assert(out->execution || out->state); /* found: in memory, or stored */
    const char *first = out->execution ? out->execution->first_run_id : out->state->first_run_id;
    return strcmp(first, first_run_id) == 0
               ? 0
               : flo_status_not_found(core, status, "workflow execution not found");
}

/* ---- cancel ---- */

void flo_rpc_request_cancel_workflow_execution(struct flo_core *core,
                                               const struct flo_core_call_info *info,
                                               const void *message)
{
    const FloApi__RequestCancelWorkflowExecutionRequest *request = message;
    static const FloApi__RequestCancelWorkflowExecutionResponse response =
        FLO_API__REQUEST_CANCEL_WORKFLOW_EXECUTION_RESPONSE__INIT;
    struct flo_status status = {0};
    struct flo_core_run_ref run;
    struct flo_namespace *ns;
    int rc = find_in_chain(core, request->namespace_, request->workflow_execution,
                           request->first_execution_run_id, &ns, &run, &status);
    if (!rc)
        rc = flo_check_links(core, request->links, request->n_links, &status);
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    if (is_open(&run) && !run.execution->cancel_requested) {
        FloApi__WorkflowExecutionCancelRequestedEventAttributes event =
            FLO_API__WORKFLOW_EXECUTION_CANCEL_REQUESTED_EVENT_ATTRIBUTES__INIT;
        event.cause = request->reason;
        event.identity = request->identity;
        flo_execution_request_cancel(core, run.execution, request->request_id, &event);
        flo_execution_end(core, run.execution, true);
    }
    flo_reply_ok(core, info->id, run.execution ? flo_core_after(core, run.execution) : 0,
                 &response.base);
}

/* ---- terminate, delete ---- */

void flo_rpc_terminate_workflow_execution(struct flo_core *core,
                                          const struct flo_core_call_info *info,
                                          const void *message)
{
    const FloApi__TerminateWorkflowExecutionRequest *request = message;
    static const FloApi__TerminateWorkflowExecutionResponse response =
        FLO_API__TERMINATE_WORKFLOW_EXECUTION_RESPONSE__INIT;
    struct flo_status status = {0};
    struct flo_core_run_ref run;
    struct flo_namespace *ns;
    int rc = find_in_chain(core, request->namespace_, request->workflow_execution,
                           request->first_execution_run_id, &ns, &run, &status);
    if (!rc)
        rc = flo_check_links(core, request->links, request->n_links, &status);
    if (!rc && !is_open(&run))
        rc = completed(core, &status);
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    flo_execution_terminate_linked(core, run.execution,
                                   *request->reason ? request->reason : NO_REASON, request->details,
                                   request->identity, request->links, request->n_links);
    flo_execution_end(core, run.execution, true);
    flo_reply_ok(core, info->id, flo_core_after(core, run.execution), &response.base);
}

/*
 * An open run is terminated first, so that its parent and children learn of it. What they are told,
 * and that the rows go, is one batch, and the answer waits for it: no crash can bring the run back
 * once its deletion is acknowledged.
 */
int flo_core_delete_whole_run(struct flo_core *core, const struct flo_core_run_ref *run)
{
    struct flo_execution *execution = run->execution;
    if (flo_core_delete_run(core, execution ? execution->hooks.key : run->stored.key))
        return FLO_ENOMEM;
    if (is_open(run)) {
        flo_execution_terminate(core, execution, "Delete workflow execution", NULL,
                                "history-service");
        flo_execution_end(core, execution, true);
    }
    if (execution)
        flo_core_remove_run(core, execution); /* nobody finds it; its struct lives until then */
    return 0;
}

void flo_rpc_delete_workflow_execution(struct flo_core *core, const struct flo_core_call_info *info,
                                       const void *message)
{
    const FloApi__DeleteWorkflowExecutionRequest *request = message;
    static const FloApi__DeleteWorkflowExecutionResponse response =
        FLO_API__DELETE_WORKFLOW_EXECUTION_RESPONSE__INIT;
    struct flo_status status = {0};
    struct flo_namespace *ns;
    struct flo_core_run_ref run;
    int rc = find_run(core, request->namespace_, request->workflow_execution, &ns, &run, &status);
    if (!rc && flo_core_delete_whole_run(core, &run))
        rc = flo_status_no_memory(&status);
    if (rc) {
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    flo_reply_ok(core, info->id, core->next_seq, &response.base);
}
