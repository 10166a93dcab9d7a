/* SPDX-License-Identifier: Apache-2.0 */
/* describe.c - `flotilla describe`: one workflow's state and what it waits for. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/output.h"
#include "cli/session.h"
#include "wire/failure.h"

static void print_activity(const FloApi__PendingActivityInfo *a)
{
    static const char *const states[] = {"Unspecified",     "Scheduled", "Started",
                                         "CancelRequested", "Paused",    "PauseRequested"};
    size_t state = (size_t)a->state;
    printf("  activity %-6s %-24s %-15s attempt %d\n", a->activity_id,
           a->activity_type ? a->activity_type->name : "",
           state < sizeof states / sizeof *states ? states[state] : "?", a->attempt);
    if (a->last_failure) {
        struct flo_buf text;
        flo_buf_init(&text, 4096);
        flo_failure_describe(a->last_failure, &text);
        printf("           last failure: %s\n", flo_buf_cstr(&text));
        flo_buf_fini(&text);
    }
}

static void print_text(const FloApi__DescribeWorkflowExecutionResponse *d)
{
    const FloApi__WorkflowExecutionInfo *info = d->workflow_execution_info;
    char start[32], close[32];
    if (!info || !info->execution)
        return;
    cli_format_time(info->start_time, start);
    cli_format_time(info->close_time, close);
    printf("workflow    %s\nrun         %s\ntype        %s\nstatus      %s\nqueue       %s\n",
           info->execution->workflow_id, info->execution->run_id,
           info->type ? info->type->name : "", cli_status_name(info->status), info->task_queue);
    printf("started     %s\nclosed      %s\nhistory     %" PRId64 " events, %" PRId64 " bytes\n",
           start, close, info->history_length, info->history_size_bytes);
    if (d->pending_workflow_task)
        printf("pending     workflow task, attempt %d\n", d->pending_workflow_task->attempt);
    if (d->n_pending_activities)
        printf("pending     %zu activities\n", d->n_pending_activities);
    for (size_t i = 0; i < d->n_pending_activities; i++)
        print_activity(d->pending_activities[i]);
    for (size_t i = 0; i < d->n_pending_children; i++)
        printf("  child    %s (%s)\n", d->pending_children[i]->workflow_id,
               d->pending_children[i]->workflow_type_name);
}

int cli_describe(const struct cli_options *options)
{
    struct cli_session session;
    struct cli_waiter waiter;
    const char *workflow_id = cli_workflow_id(options, "describe");
    if (!workflow_id)
        return FLO_EXIT_USAGE;
    int rc = cli_session_open(&session, options, false);
    if (rc)
        return rc;
    cli_waiter_init(&waiter, &session);
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    execution.workflow_id = (char *)(uintptr_t)workflow_id;
    if (options->run_id)
        execution.run_id = (char *)(uintptr_t)options->run_id;
    FloApi__DescribeWorkflowExecutionRequest request =
        FLO_API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.execution = &execution;
    int started = flo_client_describe_workflow_execution(session.client, &request, cli_waiter_done,
                                                         &waiter, NULL);
    const ProtobufCMessage *response = cli_wait(&waiter, started, &rc);
    if (response && options->json)
        cli_print_message(response);
    else if (response)
        print_text((const FloApi__DescribeWorkflowExecutionResponse *)response);
    cli_waiter_fini(&waiter);
    cli_session_close(&session);
    return rc;
}
