/* SPDX-License-Identifier: Apache-2.0 */
/* start.c - `flotilla start`. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "cli/output.h"
#include "cli/result.h"
#include "cli/session.h"
#include "wire/payload.h"
#include "wire/tracer.h"

/* The number of a policy by its name; 0 for NULL, -1 for an unknown one. */
static int policy(const char *name, const char *const *names)
{
    if (!name)
        return 0;
    for (int i = 0; names[i]; i++)
        if (strcasecmp(name, names[i]) == 0)
            return i + 1;
    return -1;
}

static const char *const reuse_policies[] = {"AllowDuplicate", "AllowDuplicateFailedOnly",
                                             "RejectDuplicate", "TerminateIfRunning", NULL};
static const char *const conflict_policies[] = {"Fail", "UseExisting", "TerminateExisting", NULL};

static int check(const struct cli_options *options, int *out_reuse, int *out_conflict)
{
    if (!options->type || !options->task_queue) {
        fprintf(stderr, "flotilla start: --type and --task-queue are needed, e.g. flotilla start "
                        "--type EchoWorkflow --task-queue benchmark --input '\"hello\"'\n");
        return FLO_EXIT_USAGE;
    }
    *out_reuse = policy(options->id_reuse_policy, reuse_policies);
    *out_conflict = policy(options->id_conflict_policy, conflict_policies);
    if (*out_reuse < 0 || *out_conflict < 0) {
        fprintf(stderr, "flotilla start: unknown policy '%s'; 'flotilla start --help' lists them\n",
                *out_reuse < 0 ? options->id_reuse_policy : options->id_conflict_policy);
        return FLO_EXIT_USAGE;
    }
    return 0;
}

static void print_started(const char *workflow_id, const char *run_id, bool json)
{
    if (json) {
        json_t *answer = json_pack("{s:s, s:s}", "workflowId", workflow_id, "runId", run_id);
        cli_print_json(answer);
    } else {
        printf("started  %s\nrun      %s\n", workflow_id, run_id);
    }
    fflush(stdout);
}

static Google__Protobuf__Duration *duration(struct flo_arena *arena, int64_t ms)
{
    return ms > 0 ? flo_duration_new(arena, ms * FLO_NS_PER_MS) : NULL;
}

/* The trace that the caller is part of, as other programs are told it, too: by the environment. */
static FloApi__Header *trace_header(struct flo_arena *arena)
{
    const char *parent = getenv("TRACEPARENT"), *state = getenv("TRACESTATE");
    struct flo_tracer_data data = {.tracestate = state && *state ? state : NULL};

    if (!parent || !flo_traceparent_parse(parent, &data.context))
        return NULL;
    return flo_tracer_header(&data, arena);
}

static int start(struct cli_session *session, const struct cli_options *options, json_t *input,
                 int reuse, int conflict)
{
    char id[37], request_id[37];
    struct cli_waiter waiter;
    int exit_code = 0;
    cli_waiter_init(&waiter, session);
    cli_new_uuid(id);
    cli_new_uuid(request_id);
    struct cli_start_request request;
    const char *workflow_id = options->workflow_id ? options->workflow_id : id;
    cli_start_request_init(&request, workflow_id, request_id, options->type, options->task_queue);
    FloApi__StartWorkflowExecutionRequest *message = &request.message;
    message->input = input ? flo_payloads_from_json(&waiter.arena, input) : NULL;
    message->header = trace_header(&waiter.arena);
    message->workflow_id_reuse_policy = (FloApi__WorkflowIdReusePolicy)reuse;
    message->workflow_id_conflict_policy = (FloApi__WorkflowIdConflictPolicy)conflict;
    message->workflow_execution_timeout = duration(&waiter.arena, options->execution_timeout_ms);
    message->workflow_run_timeout = duration(&waiter.arena, options->run_timeout_ms);
    message->workflow_task_timeout = duration(&waiter.arena, options->task_timeout_ms);
    int rc = flo_client_start_workflow_execution(session->client, message, cli_waiter_done, &waiter,
                                                 NULL);
    const FloApi__StartWorkflowExecutionResponse *response =
        (const FloApi__StartWorkflowExecutionResponse *)cli_wait(&waiter, rc, &exit_code);
    if (response && options->wait)
        exit_code = cli_follow(session, options, workflow_id, response->run_id);
    else if (response)
        print_started(workflow_id, response->run_id, options->json);
    cli_waiter_fini(&waiter);
    return exit_code;
}

int cli_start(const struct cli_options *options)
{
    struct cli_session session;
    json_t *input = NULL;
    int reuse = 0, conflict = 0;
    int rc = check(options, &reuse, &conflict);
    if (rc == 0)
        rc = cli_read_input(options, &input);
    if (rc == 0)
        rc = cli_session_open(&session, options, false);
    if (rc == 0) {
        rc = start(&session, options, input, reuse, conflict);
        cli_session_close(&session);
    }
    json_decref(input);
    return rc;
}
