/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.c - `flotilla query`, `stack` and `update`: questions that a workflow's worker answers, and
 * requests whose outcome is waited for.
 */
#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "cli/session.h"
#include "cli/waiting.h"
#include "wire/failure.h"
#include "wire/payload.h"

#define STACK_TRACE "__stack_trace"
#define STAGE(name)                                                                                \
    FLO_API__UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE__UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_##name

/* Which workflow, and what is called there; all borrowed. */
struct target {
    FloApi__WorkflowExecution execution;
    const char *name;
};

static char *text_of(const char *text)
{
    return (char *)(uintptr_t)(text ? text : "");
}

/* The workflow and the name (given, else an operand): 0, or an exit code after a message. */
static int find_target(const struct cli_options *options, const char *command, const char *name,
                       struct target *out)
{
    const char *id = NULL;
    int rc = 0;
    if (name)
        id = cli_workflow_id(options, command);
    else
        rc = cli_workflow_id_and_name(options, command, &id, &name);
    if (rc || !id)
        return FLO_EXIT_USAGE;
    out->name = name;
    flo_api__workflow_execution__init(&out->execution);
    out->execution.workflow_id = text_of(id);
    out->execution.run_id = text_of(options->run_id);
    return 0;
}

/* ---- query and stack ---- */

/* What explain says of the workflow, after words of one's own; which: of an open or a closed one.
 */
static void say_why(struct cli_session *session, const struct cli_options *options,
                    const struct target *target, enum cli_why which, const char *words)
{
    struct flo_buf why;
    flo_buf_init(&why, 0);
    if (cli_why(session, options, target->execution.workflow_id, target->execution.run_id, &why) ==
        which)
        fprintf(stderr, "flotilla: %s: %s\n", words, flo_buf_cstr(&why));
    flo_buf_fini(&why);
}

/* A stack trace is text for people; *out_empty: there is none. */
static int print_text(const FloApi__Payloads *payloads, bool *out_empty)
{
    json_t *value = NULL;
    if (flo_payloads_show(payloads, true, &value, NULL) || !json_is_string(value)) {
        json_decref(value);
        return cli_print_result(payloads);
    }
    *out_empty = json_string_length(value) == 0;
    if (!*out_empty)
        printf("%s\n", json_string_value(value));
    json_decref(value);
    return 0;
}

static int ask(const struct cli_options *options, struct target *target, const json_t *input,
               bool as_text)
{
    struct cli_session session;
    struct cli_waiter waiter;
    FloApi__WorkflowQuery query = FLO_API__WORKFLOW_QUERY__INIT;
    FloApi__QueryWorkflowRequest request = FLO_API__QUERY_WORKFLOW_REQUEST__INIT;
    int rc = cli_session_open(&session, options, false);
    if (rc)
        return rc;
    cli_waiter_init(&waiter, &session);
    query.query_type = text_of(target->name);
    query.query_args = input ? flo_payloads_from_json(&waiter.arena, input) : NULL;
    request.execution = &target->execution;
    request.query = &query;
    const FloApi__QueryWorkflowResponse *response = (const FloApi__QueryWorkflowResponse *)cli_wait(
        &waiter,
        flo_client_query_workflow(session.client, &request, cli_waiter_done, &waiter, NULL), &rc);
    bool empty = false;
    if (response)
        rc = as_text ? print_text(response->query_result, &empty)
                     : cli_print_result(response->query_result);
    if (empty)
        say_why(&session, options, target, CLI_WHY_CLOSED, "it is closed, none of its code waits");
    if (!response && waiter.code == FLO_GRPC_DEADLINE_EXCEEDED)
        say_why(&session, options, target, CLI_WHY_OPEN, "what explain says of the workflow");
    cli_waiter_fini(&waiter);
    cli_session_close(&session);
    return rc;
}

int cli_query(const struct cli_options *options)
{
    struct target target;
    json_t *input = NULL;
    int rc = find_target(options, "query", NULL, &target);
    if (!rc)
        rc = cli_read_input(options, &input);
    if (!rc)
        rc = ask(options, &target, input, false);
    json_decref(input);
    return rc;
}

int cli_stack(const struct cli_options *options)
{
    struct target target;
    int rc = find_target(options, "stack", STACK_TRACE, &target);
    return rc ? rc : ask(options, &target, NULL, !options->json);
}

/* ---- update ---- */

typedef FloApi__UpdateWorkflowExecutionLifecycleStage stage_t;

struct update {
    const struct cli_options *options;
    struct cli_session *session;
    struct target *target;
    const json_t *input;
    const char *id;
    stage_t wanted, reached;
    char run_id[64]; /* that took it on */
};

static int read_stage(const struct cli_options *options, stage_t *out)
{
    const char *stage = options->wait_for_stage;
    if (!stage || strcmp(stage, "completed") == 0) {
        *out = STAGE(COMPLETED);
        return 0;
    }
    if (strcmp(stage, "accepted") == 0) {
        *out = STAGE(ACCEPTED);
        return 0;
    }
    fprintf(stderr, "flotilla update: --wait-for-stage is accepted or completed, not '%s'\n",
            stage);
    return FLO_EXIT_USAGE;
}

/* An update that its validator, or nobody, took leaves nothing in the run: when it has an outcome
 * and the server does not know it any more, it was rejected. */
static bool was_rejected(const struct update *update)
{
    struct cli_waiter waiter;
    FloApi__WorkflowExecution execution = update->target->execution;
    FloApi__UpdateRef ref = FLO_API__UPDATE_REF__INIT;
    FloApi__PollWorkflowExecutionUpdateRequest request =
        FLO_API__POLL_WORKFLOW_EXECUTION_UPDATE_REQUEST__INIT;
    cli_waiter_init(&waiter, update->session);
    execution.run_id = text_of(update->run_id);
    ref.workflow_execution = &execution;
    ref.update_id = text_of(update->id);
    request.update_ref = &ref;
    int rc = flo_client_poll_workflow_execution_update(update->session->client, &request,
                                                       cli_waiter_done, &waiter, NULL);
    bool gone = cli_waiter_run(&waiter, rc) == FLO_GRPC_NOT_FOUND;
    cli_waiter_fini(&waiter);
    return gone;
}

/* It has gone as far as was asked for: the exit code. */
static int print_outcome(const struct update *update, const FloApi__Outcome *outcome)
{
    struct flo_buf text;
    if (!outcome) {
        if (update->options->json)
            cli_print_json(json_pack("{s:s, s:s, s:s}", "updateId", update->id, "runId",
                                     update->run_id, "stage", "accepted"));
        else
            printf("%s\n", update->id);
        return 0;
    }
    if (outcome->value_case != FLO_API__OUTCOME__VALUE_FAILURE)
        return cli_print_result(outcome->success);
    if (update->options->json) {
        cli_print_message(&outcome->failure->base);
        return FLO_EXIT_REFUSED;
    }
    flo_buf_init(&text, 0);
    flo_failure_describe(outcome->failure, &text);
    fprintf(stderr, "flotilla: the update %s: %s\n",
            was_rejected(update) ? "was rejected" : "failed", flo_buf_cstr(&text));
    flo_buf_fini(&text);
    return FLO_EXIT_REFUSED;
}

static void note(struct update *update, stage_t stage, const FloApi__UpdateRef *ref)
{
    update->reached = stage;
    if (ref && ref->workflow_execution)
        snprintf(update->run_id, sizeof update->run_id, "%s", ref->workflow_execution->run_id);
}

/* Send it, or send it again: its id makes it the same one. True: it was answered. */
static bool send_once(struct update *update, int *out_exit)
{
    struct cli_waiter waiter;
    FloApi__Meta meta = FLO_API__META__INIT;
    FloApi__Input input = FLO_API__INPUT__INIT;
    FloApi__Request body = FLO_API__REQUEST__INIT;
    FloApi__WaitPolicy policy = FLO_API__WAIT_POLICY__INIT;
    FloApi__UpdateWorkflowExecutionRequest request =
        FLO_API__UPDATE_WORKFLOW_EXECUTION_REQUEST__INIT;
    cli_waiter_init(&waiter, update->session);
    meta.update_id = text_of(update->id);
    meta.identity = text_of(update->options->identity);
    input.name = text_of(update->target->name);
    input.args = update->input ? flo_payloads_from_json(&waiter.arena, update->input) : NULL;
    body.meta = &meta;
    body.input = &input;
    policy.lifecycle_stage = update->wanted;
    request.workflow_execution = &update->target->execution;
    request.wait_policy = &policy;
    request.request = &body;
    const FloApi__UpdateWorkflowExecutionResponse *response =
        (const FloApi__UpdateWorkflowExecutionResponse *)cli_wait(
            &waiter,
            flo_client_update_workflow_execution(update->session->client, &request, cli_waiter_done,
                                                 &waiter, NULL),
            out_exit);
    if (response) {
        note(update, response->stage, response->update_ref);
        if (update->reached >= update->wanted)
            *out_exit = print_outcome(update, response->outcome);
    }
    cli_waiter_fini(&waiter);
    return response != NULL;
}

/* It was accepted: wait on for its outcome. True: the poll was answered. */
static bool poll_once(struct update *update, int *out_exit)
{
    struct cli_waiter waiter;
    FloApi__WorkflowExecution execution = update->target->execution;
    FloApi__UpdateRef ref = FLO_API__UPDATE_REF__INIT;
    FloApi__WaitPolicy policy = FLO_API__WAIT_POLICY__INIT;
    FloApi__PollWorkflowExecutionUpdateRequest request =
        FLO_API__POLL_WORKFLOW_EXECUTION_UPDATE_REQUEST__INIT;
    cli_waiter_init(&waiter, update->session);
    execution.run_id = update->run_id;
    ref.workflow_execution = &execution;
    ref.update_id = text_of(update->id);
    policy.lifecycle_stage = update->wanted;
    request.update_ref = &ref;
    request.wait_policy = &policy;
    const FloApi__PollWorkflowExecutionUpdateResponse *response =
        (const FloApi__PollWorkflowExecutionUpdateResponse *)cli_wait(
            &waiter,
            flo_client_poll_workflow_execution_update(update->session->client, &request,
                                                      cli_waiter_done, &waiter, NULL),
            out_exit);
    if (response) {
        note(update, response->stage, response->update_ref);
        if (update->reached >= update->wanted)
            *out_exit = print_outcome(update, response->outcome);
    }
    cli_waiter_fini(&waiter);
    return response != NULL;
}

static int follow_update(struct update *update)
{
    int exit_code = 0;
    bool answered = send_once(update, &exit_code);
    while (answered && update->reached < update->wanted)
        answered = update->reached < STAGE(ACCEPTED) ? send_once(update, &exit_code)
                                                     : poll_once(update, &exit_code);
    return exit_code;
}

int cli_update(const struct cli_options *options)
{
    struct target target;
    struct cli_session session;
    struct cli_waiting waiting;
    json_t *input = NULL;
    char new_id[37];
    struct update update = {.options = options, .session = &session, .target = &target};
    int rc = find_target(options, "update", NULL, &target);
    if (!rc)
        rc = read_stage(options, &update.wanted);
    if (!rc)
        rc = cli_read_input(options, &input);
    if (!rc)
        rc = cli_session_open(&session, options, false);
    if (!rc) {
        cli_new_uuid(new_id);
        update.input = input;
        update.id = options->update_id ? options->update_id : new_id;
        const bool ready =
            cli_waiting_init(&waiting, &session, options, target.execution.workflow_id,
                             target.execution.run_id, "updates");
        rc = ready ? follow_update(&update) : FLO_EXIT_INTERNAL;
        if (!ready)
            fprintf(stderr, "flotilla: out of memory\n");
        cli_waiting_fini(&waiting);
        cli_session_close(&session);
    }
    json_decref(input);
    return rc;
}
