/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs.c - the runs of batch jobs: the core drives a job and does its operations, but what a query
 * finds is in the store. One window of runs is read a turn, so that nobody waits long.
 */
#include "engine/rpc/visibility.h"
#include "engine/shell_internal.h"
#include "telemetry/log.h"

struct answer {
    struct flo_core *core;
    struct flo_job *job;
};

static int add_target(void *ctx, uint64_t key, const char *workflow_id, const char *run_id)
{
    const struct answer *answer = ctx;
    return flo_core_job_target(answer->core, answer->job, key, workflow_id, run_id);
}

static void add_count(void *ctx, int status, int64_t count)
{
    (void)status;
    *(int64_t *)ctx += count;
}

/* The query of a job, as a filter. FLO_EINVAL: it is none. */
static int compile(struct flo_shell *shell, const struct flo_core_job_question *question,
                   struct flo_store_filter *out, struct flo_err *err)
{
    const char *text = question->query;
    if (question->open_only)
        text = flo_arena_printf(&shell->arena, "(%s) AND (ExecutionStatus = 'Running')", text);
    if (!text)
        return flo_fail(err, FLO_ENOMEM, "no memory for the query");
    return flo_visibility_compile(shell->core, question->namespace_name, text, &shell->arena, out,
                                  err);
}

static int read_window(struct flo_shell *shell, const struct flo_core_job_question *question,
                       struct flo_core_job_answer *answer, struct flo_err *err)
{
    struct flo_store_filter filter;
    struct answer to = {shell->core, question->job};
    int rc = compile(shell, question, &filter, err);
    if (rc)
        return rc;
    flo_core_job_begin_answer(question->job);
    rc = flo_store_walk(shell->store, question->namespace_id, &filter, question->after_key,
                        question->last_key, FLO_CORE_JOB_WINDOW, add_target, &to, &answer->end_key,
                        err);
    /* Too many to be counted in time: the total is known at the end. */
    answer->counted = !rc && question->count &&
                      flo_store_count(shell->store, question->namespace_id, &filter, false,
                                      add_count, &answer->total, err) == 0;
    return rc;
}

bool flo_shell_read_for_jobs(struct flo_shell *shell)
{
    struct flo_core_job_question question;
    struct flo_core_job_answer answer = {.refused = false};
    struct flo_err err = {0};
    if (shell->stalled || flo_calls_full(&shell->calls) ||
        !flo_core_job_asks(shell->core, &question))
        return false;
    flo_arena_reset(&shell->arena);
    shell->arena.budget_bytes = 0;
    int rc = read_window(shell, &question, &answer, &err);
    if (rc) {
        flo_log(FLO_LOG_WARN, "batch.failed", "A batch job cannot go on", "error", err.message,
                NULL);
        answer.refused = true;
    }
    flo_core_job_answer(shell->core, question.job, &answer);
    return true;
}
