/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c - the proof that code is deterministic: a run that has closed is made once more from its
 * history alone, and has to issue the same commands in the same order.
 */
#include <string.h>

#include "testing/kit.h"

/* A run that has been through the whole history; NULL: a problem. */
static struct flo_run *replay(struct flo_test_env *env, const char *workflow_id, const char *run_id,
                              struct flo_arena *arena)
{
    FloApi__PollWorkflowTaskQueueResponse task = FLO_API__POLL_WORKFLOW_TASK_QUEUE_RESPONSE__INIT;
    struct flo_activation activation = {0};
    struct flo_err err = {0};
    if (kit_history(env, workflow_id, run_id, arena, &task.history, &err)) {
        kit_problem(env, err.code, "%s", err.message);
        return NULL;
    }
    struct flo_run *run = kit_run_new(env, workflow_id, run_id, true);
    if (!run)
        return NULL;
    task.attempt = 1;
    if (flo_run_activate(run, &task, arena, &activation))
        kit_problem(env, FLO_ENOMEM, "no memory to replay %s", workflow_id);
    else if (activation.outcome == FLO_ACTIVATION_FAIL)
        kit_problem(env, FLO_ENONDET, "the workflow %s is not deterministic: replayed, %s",
                    workflow_id, activation.failure->message);
    if (env->problem.code)
        flo_run_destroy(&run);
    return run;
}

void kit_say_stack(struct flo_test_workflow *workflow, struct flo_buf *out)
{
    struct flo_arena arena;
    struct flo_buf stack;
    flo_arena_init(&arena, 0);
    flo_buf_init(&stack, 0);
    struct flo_run *run = replay(workflow->env, workflow->workflow_id, workflow->run_id, &arena);
    if (run && flo_run_stack_text(run, &stack) == 0 && stack.len)
        (void)flo_buf_printf(out, "; %.*s", (int)strcspn(flo_buf_cstr(&stack), "\n"),
                             flo_buf_cstr(&stack));
    flo_run_destroy(&run);
    flo_buf_fini(&stack);
    flo_arena_fini(&arena);
}

void kit_replay(struct flo_test_env *env, const char *workflow_id, const char *run_id)
{
    struct flo_arena arena;
    if (env->options.no_replay || env->problem.code || flo_map_get_str(&env->replayed, run_id))
        return;
    if (flo_map_put_str(&env->replayed, run_id, env)) {
        kit_problem(env, FLO_ENOMEM, "no memory to replay %s", workflow_id);
        return;
    }
    flo_arena_init(&arena, 0);
    struct flo_run *run = replay(env, workflow_id, run_id, &arena);
    flo_run_destroy(&run);
    flo_arena_fini(&arena);
}
