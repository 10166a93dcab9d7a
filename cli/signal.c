/* SPDX-License-Identifier: Apache-2.0 */
/* signal.c - `flotilla signal`, `cancel` and `terminate`: one request to one workflow. */
#include <stdint.h>
#include <stdio.h>

#include "cli/session.h"
#include "wire/payload.h"

/* The target of options into execution; false after a message. */
static bool target(const struct cli_options *options, const char *command,
                   FloApi__WorkflowExecution *out)
{
    const char *workflow_id = cli_workflow_id(options, command);
    if (!workflow_id)
        return false;
    flo_api__workflow_execution__init(out);
    out->workflow_id = (char *)(uintptr_t)workflow_id;
    if (options->run_id)
        out->run_id = (char *)(uintptr_t)options->run_id;
    return true;
}

int cli_signal(const struct cli_options *options)
{
    struct cli_session session;
    struct cli_waiter waiter;
    FloApi__WorkflowExecution execution;
    json_t *input = NULL;
    char request_id[37];
    if (!target(options, "signal", &execution))
        return FLO_EXIT_USAGE;
    if (!options->name) {
        fprintf(stderr, "flotilla signal: --name is needed: which signal?\n");
        return FLO_EXIT_USAGE;
    }
    int rc = cli_read_input(options, &input);
    if (rc == 0)
        rc = cli_session_open(&session, options, false);
    if (rc == 0) {
        cli_waiter_init(&waiter, &session);
        cli_new_uuid(request_id);
        FloApi__SignalWorkflowExecutionRequest request =
            FLO_API__SIGNAL_WORKFLOW_EXECUTION_REQUEST__INIT;
        request.workflow_execution = &execution;
        request.signal_name = (char *)(uintptr_t)options->name;
        request.input = input ? flo_payloads_from_json(&waiter.arena, input) : NULL;
        request.request_id = request_id;
        int started = flo_client_signal_workflow_execution(session.client, &request,
                                                           cli_waiter_done, &waiter, NULL);
        cli_wait(&waiter, started, &rc);
        cli_waiter_fini(&waiter);
        cli_session_close(&session);
    }
    json_decref(input);
    return rc;
}

int cli_cancel(const struct cli_options *options)
{
    struct cli_session session;
    struct cli_waiter waiter;
    FloApi__WorkflowExecution execution;
    char request_id[37];
    if (!target(options, "cancel", &execution))
        return FLO_EXIT_USAGE;
    int rc = cli_session_open(&session, options, false);
    if (rc)
        return rc;
    cli_waiter_init(&waiter, &session);
    cli_new_uuid(request_id);
    FloApi__RequestCancelWorkflowExecutionRequest request =
        FLO_API__REQUEST_CANCEL_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.workflow_execution = &execution;
    request.request_id = request_id;
    if (options->reason)
        request.reason = (char *)(uintptr_t)options->reason;
    int started = flo_client_request_cancel_workflow_execution(session.client, &request,
                                                               cli_waiter_done, &waiter, NULL);
    cli_wait(&waiter, started, &rc);
    cli_waiter_fini(&waiter);
    cli_session_close(&session);
    return rc;
}

int cli_terminate(const struct cli_options *options)
{
    struct cli_session session;
    struct cli_waiter waiter;
    FloApi__WorkflowExecution execution;
    if (!target(options, "terminate", &execution))
        return FLO_EXIT_USAGE;
    int rc = cli_session_open(&session, options, false);
    if (rc)
        return rc;
    cli_waiter_init(&waiter, &session);
    FloApi__TerminateWorkflowExecutionRequest request =
        FLO_API__TERMINATE_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.workflow_execution = &execution;
    if (options->reason)
        request.reason = (char *)(uintptr_t)options->reason;
    int started = flo_client_terminate_workflow_execution(session.client, &request, cli_waiter_done,
                                                          &waiter, NULL);
    cli_wait(&waiter, started, &rc);
    cli_waiter_fini(&waiter);
    cli_session_close(&session);
    return rc;
}
