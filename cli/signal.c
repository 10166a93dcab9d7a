/* SPDX-License-Identifier: Apache-2.0 */
/* signal.c - `flotilla signal`, `cancel` and `terminate`: one request to one workflow. */
#include <stdint.h>
#include <stdio.h>

#include "cli/session.h"
#include "wire/payload.h"

/* What the three have in common. */
struct request {
    const struct cli_options *options;
    FloApi__WorkflowExecution execution;
    char id[37]; /* a fresh request id */
    const char *signal_name;
    json_t *input; /* of the signal */
    struct cli_waiter waiter;
};

/* Sends the command's own message; what the client says. */
typedef int (*send_fn)(struct request *request);

static int perform(struct request *request, const char *workflow_id, send_fn send)
{
    struct cli_session session;
    const struct cli_options *options = request->options;
    if (!workflow_id)
        return FLO_EXIT_USAGE;
    int rc = cli_session_open(&session, options, false);
    if (rc)
        return rc;
    flo_api__workflow_execution__init(&request->execution);
    request->execution.workflow_id = (char *)(uintptr_t)workflow_id;
    if (options->run_id)
        request->execution.run_id = (char *)(uintptr_t)options->run_id;
    cli_new_uuid(request->id);
    cli_waiter_init(&request->waiter, &session);
    cli_wait(&request->waiter, send(request), &rc);
    cli_waiter_fini(&request->waiter);
    cli_session_close(&session);
    return rc;
}

static int send_signal(struct request *r)
{
    FloApi__SignalWorkflowExecutionRequest message =
        FLO_API__SIGNAL_WORKFLOW_EXECUTION_REQUEST__INIT;
    message.workflow_execution = &r->execution;
    message.signal_name = (char *)(uintptr_t)r->signal_name;
    message.input = r->input ? flo_payloads_from_json(&r->waiter.arena, r->input) : NULL;
    message.request_id = r->id;
    return flo_client_signal_workflow_execution(r->waiter.session->client, &message,
                                                cli_waiter_done, &r->waiter, NULL);
}

static int send_cancel(struct request *r)
{
    FloApi__RequestCancelWorkflowExecutionRequest message =
        FLO_API__REQUEST_CANCEL_WORKFLOW_EXECUTION_REQUEST__INIT;
    message.workflow_execution = &r->execution;
    message.request_id = r->id;
    if (r->options->reason)
        message.reason = (char *)(uintptr_t)r->options->reason;
    return flo_client_request_cancel_workflow_execution(r->waiter.session->client, &message,
                                                        cli_waiter_done, &r->waiter, NULL);
}

static int send_terminate(struct request *r)
{
    FloApi__TerminateWorkflowExecutionRequest message =
        FLO_API__TERMINATE_WORKFLOW_EXECUTION_REQUEST__INIT;
    message.workflow_execution = &r->execution;
    if (r->options->reason)
        message.reason = (char *)(uintptr_t)r->options->reason;
    return flo_client_terminate_workflow_execution(r->waiter.session->client, &message,
                                                   cli_waiter_done, &r->waiter, NULL);
}

int cli_signal(const struct cli_options *options)
{
    struct request request = {.options = options};
    const char *workflow_id;
    int rc = cli_workflow_id_and_name(options, "signal", &workflow_id, &request.signal_name);
    if (rc == 0)
        rc = cli_read_input(options, &request.input);
    if (rc == 0)
        rc = perform(&request, workflow_id, send_signal);
    json_decref(request.input);
    return rc;
}

int cli_cancel(const struct cli_options *options)
{
    struct request request = {.options = options};
    return perform(&request, cli_workflow_id(options, "cancel"), send_cancel);
}

int cli_terminate(const struct cli_options *options)
{
    struct request request = {.options = options};
    return perform(&request, cli_workflow_id(options, "terminate"), send_terminate);
}
