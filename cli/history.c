/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.c - `flotilla history`: a workflow's events, one a line, those of a failure with its
 * message, and its stack below; with --output json the form that the official tools exchange
 * ({"events": [...]}).
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "cli/session.h"
#include "wire/failure.h"
#include "wire/json.h"

/* The failure that an event tells of; NULL when it tells of none. */
static const FloApi__Failure *failure_of(const FloApi__HistoryEvent *event)
{
    switch (event->attributes_case) {
    case FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_FAILED_EVENT_ATTRIBUTES:
        return event->workflow_execution_failed_event_attributes->failure;
    case FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_TASK_FAILED_EVENT_ATTRIBUTES:
        return event->workflow_task_failed_event_attributes->failure;
    case FLO_API__HISTORY_EVENT__ATTRIBUTES_ACTIVITY_TASK_FAILED_EVENT_ATTRIBUTES:
        return event->activity_task_failed_event_attributes->failure;
    case FLO_API__HISTORY_EVENT__ATTRIBUTES_ACTIVITY_TASK_TIMED_OUT_EVENT_ATTRIBUTES:
        return event->activity_task_timed_out_event_attributes->failure;
    case FLO_API__HISTORY_EVENT__ATTRIBUTES_CHILD_WORKFLOW_EXECUTION_FAILED_EVENT_ATTRIBUTES:
        return event->child_workflow_execution_failed_event_attributes->failure;
    default:
        return NULL;
    }
}

/* Text of somebody else's: one line, without what a terminal would act on. */
static void print_line(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        putchar(iscntrl((unsigned char)text[i]) ? ' ' : text[i]);
    putchar('\n');
}

static void print_failure(const FloApi__Failure *failure)
{
    struct flo_buf text;

    flo_buf_init(&text, 0);
    flo_failure_describe(failure, &text);
    printf("  ");
    print_line(flo_buf_cstr(&text), text.len);
    flo_buf_fini(&text);
    for (const char *line = failure->stack_trace; *line;) {
        size_t len = strcspn(line, "\n");
        printf("%33s", "");
        print_line(line, len);
        line += len + (line[len] == '\n');
    }
}

static void print_event(const FloApi__HistoryEvent *event)
{
    char when[32];
    const ProtobufCEnumValue *type = protobuf_c_enum_descriptor_get_value(
        &flo_api__event_type__descriptor, (int)event->event_type);
    const char *name = type ? type->name : "?";
    if (strncmp(name, "EVENT_TYPE_", 11) == 0)
        name += 11;
    cli_format_time(event->event_time, when);
    printf("%5" PRId64 "  %s  %s", event->event_id, when, name);
    if (failure_of(event))
        print_failure(failure_of(event));
    else
        putchar('\n');
}

static bool page(struct cli_session *session, const char *workflow_id,
                 const struct cli_options *options, struct flo_buf *token, json_t *events,
                 int *out_exit)
{
    struct cli_waiter waiter;
    cli_waiter_init(&waiter, session);
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    execution.workflow_id = (char *)(uintptr_t)workflow_id;
    if (options->run_id)
        execution.run_id = (char *)(uintptr_t)options->run_id;
    FloApi__GetWorkflowExecutionHistoryRequest request =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    request.execution = &execution;
    request.next_page_token.data = token->data;
    request.next_page_token.len = token->len;
    int rc = flo_client_get_workflow_execution_history(session->client, &request, cli_waiter_done,
                                                       &waiter, NULL);
    const FloApi__GetWorkflowExecutionHistoryResponse *response =
        (const FloApi__GetWorkflowExecutionHistoryResponse *)cli_wait(&waiter, rc, out_exit);
    flo_buf_clear(token);
    for (size_t i = 0; response && response->history && i < response->history->n_events; i++) {
        if (events)
            json_array_append_new(events, flo_wire_to_json(&response->history->events[i]->base));
        else
            print_event(response->history->events[i]);
    }
    if (response)
        flo_buf_append(token, response->next_page_token.data, response->next_page_token.len);
    cli_waiter_fini(&waiter);
    return response != NULL;
}

int cli_history(const struct cli_options *options)
{
    struct cli_session session;
    struct flo_buf token;
    const char *workflow_id = cli_workflow_id(options, "history");
    if (!workflow_id)
        return FLO_EXIT_USAGE;
    int rc = cli_session_open(&session, options, false);
    if (rc)
        return rc;
    flo_buf_init(&token, 0);
    json_t *events = options->json ? json_array() : NULL;
    bool ok;
    do
        ok = page(&session, workflow_id, options, &token, events, &rc);
    while (ok && token.len);
    if (ok && events) {
        json_t *history = json_pack("{s:O}", "events", events);
        cli_print_json(history);
    }
    json_decref(events);
    flo_buf_fini(&token);
    cli_session_close(&session);
    return rc;
}
