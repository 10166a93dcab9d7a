/* SPDX-License-Identifier: Apache-2.0 */
/* rerun.c - the first event of a history as `flotilla start ...`. */
#include "cli/rerun.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/payload.h"

#define INPUT_SHOWN_MAX 4096 /* a longer one is no command line that anybody would paste */

void cli_quote(struct flo_buf *out, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./:,@%+=";
    if (*text && strspn(text, plain) == strlen(text)) {
        flo_buf_append_str(out, text);
        return;
    }
    flo_buf_append_str(out, "'");
    for (const char *quote; (quote = strchr(text, '\'')); text = quote + 1) {
        flo_buf_append(out, text, (size_t)(quote - text));
        flo_buf_append_str(out, "'\\''");
    }
    flo_buf_append_str(out, text);
    flo_buf_append_str(out, "'");
}

static void add(struct flo_buf *out, const char *option, const char *value)
{
    if (!value || !*value)
        return;
    flo_buf_printf(out, " %s ", option);
    cli_quote(out, value);
}

/* The reason why it cannot be given on a command line, or NULL. */
static const char *add_input(struct flo_buf *out, const FloApi__Payloads *input)
{
    json_t *value = NULL;
    if (!input || input->n_payloads == 0)
        return NULL;
    if (input->n_payloads > 1)
        return "its input has several values; start it from its own client";
    if (input->payloads[0]->data.len > INPUT_SHOWN_MAX)
        return "its input is large; start it from its own client";
    if (flo_payload_show(input->payloads[0], &value, NULL))
        return "its input is no JSON; start it from its own client";
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (text)
        add(out, "--input", text);
    free(text);
    json_decref(value);
    return text ? NULL : "out of memory";
}

static void fill(const struct cli_options *options, const char *workflow_id,
                 const FloApi__WorkflowExecutionStartedEventAttributes *a, struct cli_rerun *out)
{
    flo_buf_append_str(&out->text, "flotilla start");
    add(&out->text, "--address", options->address);
    if (strcmp(options->namespace_, "default") != 0)
        add(&out->text, "--namespace", options->namespace_);
    add(&out->text, "--workflow-id", workflow_id);
    add(&out->text, "--type", a->workflow_type ? a->workflow_type->name : "");
    add(&out->text, "--task-queue", a->task_queue ? a->task_queue->name : "");
    out->why_not = add_input(&out->text, a->input);
    if (out->why_not)
        flo_buf_clear(&out->text);
}

static bool is_running(struct cli_session *session, FloApi__WorkflowExecution *execution,
                       bool *out_running)
{
    FloApi__DescribeWorkflowExecutionRequest request =
        FLO_API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    struct cli_waiter waiter;
    int exit_code;
    request.execution = execution;
    cli_waiter_init(&waiter, session);
    int rc = flo_client_describe_workflow_execution(session->client, &request, cli_waiter_done,
                                                    &waiter, NULL);
    const FloApi__DescribeWorkflowExecutionResponse *response =
        (const FloApi__DescribeWorkflowExecutionResponse *)cli_wait(&waiter, rc, &exit_code);
    if (response && response->workflow_execution_info)
        *out_running = response->workflow_execution_info->status ==
                       FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_RUNNING;
    cli_waiter_fini(&waiter);
    return response != NULL;
}

bool cli_rerun(struct cli_session *session, const struct cli_options *options,
               const char *workflow_id, const char *run_id, struct cli_rerun *out)
{
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    FloApi__GetWorkflowExecutionHistoryRequest request =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    struct cli_waiter waiter;
    int exit_code;
    *out = (struct cli_rerun){0};
    flo_buf_init(&out->text, 0);
    execution.workflow_id = (char *)(uintptr_t)workflow_id;
    execution.run_id = (char *)(uintptr_t)run_id;
    if (!is_running(session, &execution, &out->running))
        return false;
    if (out->running)
        return true;
    request.execution = &execution;
    request.maximum_page_size = 1;
    cli_waiter_init(&waiter, session);
    int rc = flo_client_get_workflow_execution_history(session->client, &request, cli_waiter_done,
                                                       &waiter, NULL);
    const FloApi__GetWorkflowExecutionHistoryResponse *response =
        (const FloApi__GetWorkflowExecutionHistoryResponse *)cli_wait(&waiter, rc, &exit_code);
    const FloApi__HistoryEvent *first = response && response->history && response->history->n_events
                                            ? response->history->events[0]
                                            : NULL;
    if (first && first->event_type == FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
        fill(options, workflow_id, first->workflow_execution_started_event_attributes, out);
    else
        out->why_not = "its history does not begin with its start";
    cli_waiter_fini(&waiter);
    return response != NULL;
}

void cli_rerun_fini(struct cli_rerun *rerun)
{
    flo_buf_fini(&rerun->text);
}
