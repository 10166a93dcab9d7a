/* SPDX-License-Identifier: Apache-2.0 */
/* list.c - `flotilla list`: workflows, newest first, page by page. */
#include <stdint.h>
#include <stdio.h>

#include "cli/output.h"
#include "cli/session.h"

#define DEFAULT_LIMIT 100
#define PAGE_MAX 1000

static void print_row(const FloApi__WorkflowExecutionInfo *info)
{
    char start[32], close[32];
    cli_format_time(info->start_time, start);
    cli_format_time(info->close_time, close);
    printf("%-14s %-46s %-20s %-20s %s\n", cli_status_name(info->status),
           info->execution ? info->execution->workflow_id : "", info->type ? info->type->name : "",
           start, close);
}

/* One page: prints its rows and leaves the next token in *token. False at an error. */
static bool page(struct cli_session *session, const struct cli_options *options, int64_t *left,
                 struct flo_buf *token, int *out_exit)
{
    struct cli_waiter waiter;
    cli_waiter_init(&waiter, session);
    FloApi__ListWorkflowExecutionsRequest request = FLO_API__LIST_WORKFLOW_EXECUTIONS_REQUEST__INIT;
    request.page_size = (int32_t)(*left < PAGE_MAX ? *left : PAGE_MAX);
    request.query = options->query ? (char *)(uintptr_t)options->query : request.query;
    request.next_page_token.data = token->data;
    request.next_page_token.len = token->len;
    int rc = flo_client_list_workflow_executions(session->client, &request, cli_waiter_done,
                                                 &waiter, NULL);
    const FloApi__ListWorkflowExecutionsResponse *response =
        (const FloApi__ListWorkflowExecutionsResponse *)cli_wait(&waiter, rc, out_exit);
    if (response && !token->data && !options->json) /* the first page */
        printf("%-14s %-46s %-20s %-20s %s\n", "STATUS", "WORKFLOW ID", "TYPE", "START", "CLOSE");
    flo_buf_clear(token);
    for (size_t i = 0; response && i<response->n_executions && * left> 0; i++, --*left) {
        if (options->json)
            cli_print_message(&response->executions[i]->base);
        else
            print_row(response->executions[i]);
    }
    if (response)
        flo_buf_append(token, response->next_page_token.data, response->next_page_token.len);
    cli_waiter_fini(&waiter);
    return response != NULL;
}

int cli_list(const struct cli_options *options)
{
    struct cli_session session;
    struct flo_buf token;
    int64_t left = options->limit > 0 ? options->limit : DEFAULT_LIMIT;
    int rc = cli_session_open(&session, options, false);
    if (rc)
        return rc;
    flo_buf_init(&token, 0);
    do {
        if (!page(&session, options, &left, &token, &rc))
            break;
    } while (token.len && left > 0);
    flo_buf_fini(&token);
    cli_session_close(&session);
    return rc;
}
