/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c - the proof that code is deterministic: a run that has closed is made once more from its
 * history alone, and has to issue the same commands in the same order.
 */
#include "testing/kit.h"

static void replay(struct flo_test_env *env, const char *workflow_id, const char *run_id,
                   struct flo_arena *arena)
{
    FloApi__PollWorkflowTaskQueueResponse task = FLO_API__POLL_WORKFLOW_TASK_QUEUE_RESPONSE__INIT;
    struct flo_activation activation = {0};
    struct flo_err err = {0};
    if (kit_history(env, workflow_id, run_id, arena, &task.history, &err)) {
        kit_problem(env, err.code, "%s", err.message);
        return;
    }
    struct flo_run *run = kit_run_new(env, workflow_id, run_id, true);
    if (!run)
        return;
    task.attempt = 1;
    if (flo_run_activate(run, &task, arena, &activation))
        kit_problem(env, FLO_ENOMEM, "no memory to replay %s", workflow_id);
    else if (activation.outcome == FLO_ACTIVATION_FAIL)
        kit_problem(env, FLO_ENONDET, "the workflow %s is not deterministic: replayed, %s",
                    workflow_id, activation.failure->message);
    flo_run_destroy(&run);
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
    replay(env, workflow_id, run_id, &arena);
    flo_arena_fini(&arena);
}
