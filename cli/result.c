/* SPDX-License-Identifier: Apache-2.0 */
/* result.c - `flotilla result`: long-polls the close event, through retries and new runs. */
#include "cli/result.h"

#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "cli/waiting.h"
#include "wire/decode.h"

/* One long poll. True: *out_done says whether the end was seen (then *out_exit and next_run). */
static bool poll_once(struct cli_session *session, const char *workflow_id, char run_id[128],
                      struct flo_buf *token, bool json, bool *out_done, int *out_exit)
{
    struct cli_waiter waiter;
    cli_waiter_init(&waiter, session);
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    execution.workflow_id = (char *)(uintptr_t)workflow_id;
    execution.run_id = run_id;
    FloApi__GetWorkflowExecutionHistoryRequest request =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    request.execution = &execution;
    request.wait_new_event = true;
    request.skip_archival = true;
    request.history_event_filter_type =
        FLO_API__HISTORY_EVENT_FILTER_TYPE__HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
    request.next_page_token.data = token->data;
    request.next_page_token.len = token->len;
    int rc = flo_client_get_workflow_execution_history(session->client, &request, cli_waiter_done,
                                                       &waiter, NULL);
    const FloApi__GetWorkflowExecutionHistoryResponse *response =
        (const FloApi__GetWorkflowExecutionHistoryResponse *)cli_wait(&waiter, rc, out_exit);
    if (response && response->history && response->history->n_events) {
        const char *next_run = NULL;
        *out_exit = cli_print_close(response->history->events[response->history->n_events - 1],
                                    json, &next_run);
        snprintf(run_id, 128, "%s", next_run ? next_run : "");
        *out_done = !next_run;
        flo_buf_clear(token);
    } else if (response && response->next_page_token.len) {
        flo_buf_clear(token);
        flo_buf_append(token, response->next_page_token.data, response->next_page_token.len);
    }
    cli_waiter_fini(&waiter);
    return response != NULL;
}

int cli_follow(struct cli_session *session, const struct cli_options *options,
               const char *workflow_id, const char *run_id)
{
    struct cli_waiting waiting;
    struct flo_buf token;
    char run[128];
    bool done = false;
    int exit_code = 0;
    snprintf(run, sizeof run, "%s", run_id);
    flo_buf_init(&token, 0);
    if (!cli_waiting_init(&waiting, session, options, workflow_id, run, "workflows")) {
        fprintf(stderr, "flotilla: out of memory\n");
        exit_code = FLO_EXIT_INTERNAL;
        done = true;
    }
    while (!done && poll_once(session, workflow_id, run, &token, options->json, &done, &exit_code))
        continue;
    cli_waiting_fini(&waiting);
    flo_buf_fini(&token);
    return exit_code;
}

int cli_result(const struct cli_options *options)
{
    struct cli_session session;
    const char *workflow_id = cli_workflow_id(options, "result");
    if (!workflow_id)
        return FLO_EXIT_USAGE;
    int rc = cli_session_open(&session, options, false);
    if (rc)
        return rc;
    rc = cli_follow(&session, options, workflow_id, options->run_id ? options->run_id : "");
    cli_session_close(&session);
    return rc;
}
