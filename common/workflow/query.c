/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query.c - answers to those who ask how a run stands.
 *
 * A handler runs on a coroutine of its own, which is there for it alone and gone afterwards: so a
 * handler that waits, or does anything else that it must not (read_only.c), is simply left where it
 * stands; what it had allocated then goes with the run. What it logs is logged, whether the run is
 * replayed for it or not.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "wire/failure.h"
#include "wire/payload.h"
#include "workflow/messages.h"

/* The answer to one query. In the memory of the answer. */
struct answer {
    FloApi__Payloads *payloads; /* NULL: it failed */
    FloApi__Failure *failure;
};

struct asking {
    struct flo_workflow wf;
    const struct flo_handler *handler;
    const struct flo_message *message;
    json_t *result;
    int rc;
};

static void entry(void *arg)
{
    struct asking *a = arg;
    a->rc = flo_handler_call(&a->wf, FLO_INBOUND_QUERY, a->handler, a->message, &a->result);
}

static int fail(struct flo_run *run, struct answer *out, const char *type, const char *text)
{
    char *repaired = flo_arena_strdup(run->answer, text);
    if (repaired)
        flo_text_repair(repaired);
    out->failure =
        repaired ? flo_failure_application(run->answer, repaired, type, false, NULL, 0) : NULL;
    return out->failure ? 0 : FLO_ENOMEM;
}

static int succeed(struct flo_run *run, struct answer *out, const json_t *result)
{
    out->payloads = flo_payloads_from_json(run->answer, result);
    return out->payloads ? 0 : FLO_ENOMEM;
}

/* What the handler came to. */
static int conclude(struct flo_run *run, struct asking *a, const struct flo_err *breach,
                    struct answer *out)
{
    if (breach->code)
        return fail(run, out, flo_error_name(breach->code), breach->message);
    if (a->rc == 0)
        return succeed(run, out, a->result);
    a->wf.rc = a->rc;
    out->failure = flo_workflow_failure_of(&a->wf, run->answer);
    return out->failure ? 0 : FLO_ENOMEM;
}

static int ask(struct flo_run *run, const struct flo_handler *handler,
               const struct flo_message *message, struct answer *out)
{
    struct asking a = {.handler = handler, .message = message};
    struct flo_err breach = {0};
    bool replaying = run->replaying;
    a.wf = (struct flo_workflow){
        .run = run, .name = "query", .scope = &run->scope, .base = &run->scope};
    flo_arena_init(&a.wf.failure_mem, 0);
    int rc = flo_coroutine_new(run->env.stack_bytes, entry, &a, &a.wf.coroutine);
    if (rc == 0) {
        const struct flo_read_only guard = {.what = "the handler of query",
                                            .name = message->name,
                                            .coroutine = a.wf.coroutine,
                                            .err = &breach};
        run->read_only = &guard;
        run->replaying = false;
        run->current = &a.wf;
        flo_coroutine_resume(a.wf.coroutine);
        run->current = NULL;
        run->replaying = replaying;
        run->read_only = NULL;
        rc = conclude(run, &a, &breach, out);
    }
    json_decref(a.result);
    flo_coroutine_destroy(&a.wf.coroutine);
    flo_arena_fini(&a.wf.failure_mem);
    return rc;
}

static int unknown(struct flo_run *run, const char *name, struct answer *out)
{
    struct flo_buf text;
    flo_buf_init(&text, 0);
    flo_buf_printf(&text, "unknown queryType %s. KnownQueryTypes=[", name);
    flo_query_builtin_names(&text);
    int rc = flo_handler_names(run, FLO_QUERY, true, &text);
    flo_buf_append_str(&text, "]");
    if (rc == 0)
        rc = text.failed ? FLO_ENOMEM : fail(run, out, "QueryError", flo_buf_cstr(&text));
    flo_buf_fini(&text);
    return rc;
}

static int answer_builtin(struct flo_run *run, flo_query_builtin_fn answer, struct answer *out)
{
    json_t *result = NULL;
    int rc = answer(run, &result);
    if (rc == 0)
        rc = succeed(run, out, result);
    json_decref(result);
    return rc;
}

static int answer_by(struct flo_run *run, const FloApi__WorkflowQuery *query, struct answer *out)
{
    const char *name = query->query_type;
    flo_query_builtin_fn builtin = flo_query_builtin(name);
    if (builtin)
        return answer_builtin(run, builtin, out);
    const struct flo_handler *handler = flo_handler_find(run, FLO_QUERY, name);
    if (!handler || (!handler->name && strncmp(name, "__", 2) == 0))
        return unknown(run, name, out);
    struct flo_message message;
    struct flo_err err = {0};
    int rc = flo_message_decode(run, name, query->query_args, query->header, &message, &err);
    if (rc == FLO_EPROTO || rc == FLO_EPERM) {
        flo_err_prefix(&err, "the input of query %.100s", name);
        return fail(run, out, rc == FLO_EPERM ? flo_error_name(rc) : "DecodeError", err.message);
    }
    if (rc)
        return rc;
    rc = ask(run, handler, &message, out);
    flo_message_fini(&message);
    return rc;
}

static int answer_one(struct flo_run *run, const FloApi__WorkflowQuery *query, struct answer *out)
{
    static const FloApi__WorkflowQuery nothing = FLO_API__WORKFLOW_QUERY__INIT;
    int rc = answer_by(run, query ? query : &nothing, out);
    bool no_memory = run->out_of_memory || flo_heap_failed(run->heap);
    return no_memory ? FLO_ENOMEM : rc; /* whatever it looked like */
}

/* ---- the two ways in which they come ---- */

static FloApi__QueryResultType type_of(const struct answer *answer)
{
    return answer->payloads ? FLO_API__QUERY_RESULT_TYPE__QUERY_RESULT_TYPE_ANSWERED
                            : FLO_API__QUERY_RESULT_TYPE__QUERY_RESULT_TYPE_FAILED;
}

int flo_query_answer_task(struct flo_run *run, const FloApi__WorkflowQuery *query,
                          struct flo_activation *out)
{
    struct answer answer = {0};
    int rc = answer_one(run, query, &answer);
    if (rc)
        return rc;
    out->outcome = FLO_ACTIVATION_QUERY;
    out->query_type = type_of(&answer);
    out->query_answer = answer.payloads;
    out->query_failure = answer.failure;
    out->query_error = answer.failure ? answer.failure->message : NULL;
    return 0;
}

static int answer_entry(struct flo_run *run,
                        const FloApi__PollWorkflowTaskQueueResponse__QueriesEntry *query,
                        FloApi__RespondWorkflowTaskCompletedRequest__QueryResultsEntry **out_entry)
{
    FloApi__RespondWorkflowTaskCompletedRequest__QueryResultsEntry *entry =
        flo_arena_alloc(run->answer, sizeof *entry);
    FloApi__WorkflowQueryResult *result = flo_arena_alloc(run->answer, sizeof *result);
    struct answer answer = {0};
    if (!entry || !result)
        return FLO_ENOMEM;
    flo_api__respond_workflow_task_completed_request__query_results_entry__init(entry);
    flo_api__workflow_query_result__init(result);
    entry->key = flo_arena_strdup(run->answer, query->key);
    entry->value = result;
    int rc = entry->key ? answer_one(run, query->value, &answer) : FLO_ENOMEM;
    if (rc)
        return rc;
    result->result_type = type_of(&answer);
    result->answer = answer.payloads;
    result->failure = answer.failure;
    if (answer.failure)
        result->error_message = answer.failure->message;
    *out_entry = entry;
    return 0;
}

int flo_query_answer_all(struct flo_run *run, const FloApi__PollWorkflowTaskQueueResponse *task,
                         struct flo_activation *out)
{
    if (task->n_queries == 0)
        return 0;
    out->query_results = flo_arena_calloc(run->answer, task->n_queries, sizeof *out->query_results);
    if (!out->query_results)
        return FLO_ENOMEM;
    for (size_t i = 0; i < task->n_queries; i++) {
        int rc = answer_entry(run, task->queries[i], &out->query_results[i]);
        if (rc)
            return rc;
    }
    out->query_result_count = task->n_queries;
    return 0;
}
