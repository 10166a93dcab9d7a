/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update.c - updates that a test sends. The server answers the call when the update has its outcome
 * or after 20 seconds; after that the update is looked at whenever something has changed, so that
 * an update that takes a month costs no polls.
 */
#include "base/alloc.h"
#include "grpc/status.h"
#include "testing/kit.h"
#include "wire/failure.h"
#include "wire/payload.h"

#define STAGE(name)                                                                                \
    FLO_API__UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE__UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_##name

struct flo_test_update {
    struct flo_node node; /* env->updates */
    struct flo_test_workflow *workflow;
    char *id, *name;
    enum flo_test_update_stage stage;
    bool answered; /* the call has been */
    uint64_t seen; /* env->changes when it was looked at */
    json_t *result;
    struct flo_err why; /* OVER without success */
};

static struct flo_test_env *env_of(const struct flo_test_update *update)
{
    return update->workflow->env;
}

static void refused(struct flo_test_update *update, int code, const char *message)
{
    update->stage = FLO_TEST_UPDATE_OVER;
    (void)flo_fail(&update->why, code, "the update %s of %s was refused: %s", update->name,
                   update->workflow->workflow_id, message);
}

static void take_outcome(struct flo_test_update *update, const FloApi__Outcome *outcome)
{
    struct flo_buf text;
    json_t *value = NULL;
    update->stage = FLO_TEST_UPDATE_OVER;
    if (outcome->value_case == FLO_API__OUTCOME__VALUE_SUCCESS) {
        if (flo_payloads_show(outcome->success, false, &value, &update->why) == 0)
            update->result = kit_keep(env_of(update), value);
        return;
    }
    flo_buf_init(&text, 0);
    if (outcome->value_case == FLO_API__OUTCOME__VALUE_FAILURE)
        flo_failure_describe(outcome->failure, &text);
    (void)flo_fail(&update->why, FLO_EFAILED, "the update %s of %s failed: %s", update->name,
                   update->workflow->workflow_id, flo_buf_cstr(&text));
    flo_buf_fini(&text);
}

static void take_stage(struct flo_test_update *update, int stage, const FloApi__Outcome *outcome)
{
    if (outcome && outcome->value_case)
        take_outcome(update, outcome);
    else if (stage >= (int)STAGE(ACCEPTED))
        update->stage = FLO_TEST_UPDATE_ACCEPTED;
}

/* kit_answer_fn of the call. */
static void answered(struct flo_test_env *env, void *ctx, const struct kit_answer *answer)
{
    struct flo_test_update *update = ctx;
    (void)env;
    update->answered = true;
    if (answer->code != FLO_GRPC_OK) {
        refused(update, answer->code == FLO_GRPC_NOT_FOUND ? FLO_ENOENT : FLO_EFAILED,
                answer->message);
        return;
    }
    const FloApi__UpdateWorkflowExecutionResponse *body = (const void *)answer->body;
    take_stage(update, (int)body->stage, body->outcome);
}

struct flo_test_update *flo_test_update_start(struct flo_test_workflow *workflow, const char *name,
                                              const char *id, json_t *input)
{
    static struct flo_test_update none = {.stage = FLO_TEST_UPDATE_OVER,
                                          .why = {FLO_ENOMEM, "no memory for an update"}};
    struct flo_test_env *env = workflow->env;
    FloApi__UpdateWorkflowExecutionRequest request =
        FLO_API__UPDATE_WORKFLOW_EXECUTION_REQUEST__INIT;
    FloApi__WorkflowExecution run = FLO_API__WORKFLOW_EXECUTION__INIT;
    FloApi__WaitPolicy wait = FLO_API__WAIT_POLICY__INIT;
    FloApi__Request asked = FLO_API__REQUEST__INIT;
    FloApi__Meta meta = FLO_API__META__INIT;
    FloApi__Input what = FLO_API__INPUT__INIT;
    struct flo_arena arena;
    char uuid[FLO_UUID_LEN + 1];
    struct flo_test_update *update = flo_calloc(1, sizeof *update);
    if (!update) {
        kit_problem(env, FLO_ENOMEM, "%s", none.why.message);
        none.workflow = workflow;
        return &none;
    }
    flo_rng_uuid4(&env->rng, uuid);
    update->workflow = workflow;
    update->id = kit_text(env, id ? id : uuid);
    update->name = kit_text(env, name);
    flo_list_push_back(&env->updates, &update->node);
    flo_arena_init(&arena, 0);
    run.workflow_id = workflow->workflow_id;
    wait.lifecycle_stage = STAGE(COMPLETED);
    meta.update_id = update->id;
    meta.identity = KIT_TEXT("test");
    what.name = update->name;
    what.args = input ? flo_payloads_from_json(&arena, input) : NULL;
    asked.meta = &meta;
    asked.input = &what;
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.workflow_execution = &run;
    request.wait_policy = &wait;
    request.request = &asked;
    (void)kit_call(env, "UpdateWorkflowExecution", &request.base,
                   &flo_api__update_workflow_execution_response__descriptor, answered, update);
    flo_arena_fini(&arena);
    return update;
}

/* Ask for its stage, if something may have changed. */
static void look(struct flo_test_update *update)
{
    struct flo_test_env *env = env_of(update);
    FloApi__PollWorkflowExecutionUpdateRequest request =
        FLO_API__POLL_WORKFLOW_EXECUTION_UPDATE_REQUEST__INIT;
    FloApi__WorkflowExecution run = FLO_API__WORKFLOW_EXECUTION__INIT;
    FloApi__UpdateRef ref = FLO_API__UPDATE_REF__INIT;
    FloApi__PollWorkflowExecutionUpdateResponse *answer;
    struct flo_arena arena;
    struct flo_err err = {0};
    if (update->stage == FLO_TEST_UPDATE_OVER || update->seen == env->changes || env->problem.code)
        return;
    update->seen = env->changes;
    run.workflow_id = update->workflow->workflow_id;
    ref.workflow_execution = &run;
    ref.update_id = update->id;
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.update_ref = &ref;
    flo_arena_init(&arena, 0);
    int rc = kit_ask(env, "PollWorkflowExecutionUpdate", &request.base,
                     &flo_api__poll_workflow_execution_update_response__descriptor, &arena, &answer,
                     &err);
    if (rc == 0)
        take_stage(update, (int)answer->stage, answer->outcome);
    else if (update->answered) /* else that answer will say what there is to say */
        refused(update, rc, err.message);
    flo_arena_fini(&arena);
}

enum flo_test_update_stage flo_test_update_stage(struct flo_test_update *update)
{
    look(update);
    return update->stage;
}

int flo_test_update_result(struct flo_test_update *update, json_t **out_result, struct flo_err *err)
{
    struct flo_test_env *env = env_of(update);
    int64_t until_ns = env->clock.now_ns + env->options.limit_ms * FLO_NS_PER_MS;
    if (env->inside)
        return flo_fail(err, FLO_EINVAL, "an update cannot be waited for inside an activity");
    look(update);
    while (update->stage != FLO_TEST_UPDATE_OVER && kit_step(env, until_ns))
        look(update);
    if (env->problem.code)
        return flo_fail(err, env->problem.code, "%s", env->problem.message);
    if (update->stage != FLO_TEST_UPDATE_OVER)
        return flo_fail(err, FLO_EPENDING,
                        "the update %s of %s waits for something that never comes", update->name,
                        update->workflow->workflow_id);
    if (update->why.code)
        return flo_fail(err, update->why.code, "%s", update->why.message);
    if (out_result)
        *out_result = update->result;
    return 0;
}

int flo_test_update(struct flo_test_workflow *workflow, const char *name, json_t *input,
                    json_t **out_result, struct flo_err *err)
{
    return flo_test_update_result(flo_test_update_start(workflow, name, NULL, input), out_result,
                                  err);
}

void kit_updates_fini(struct flo_test_env *env)
{
    while (!flo_list_empty(&env->updates)) {
        struct flo_test_update *update =
            flo_container(flo_list_pop_front(&env->updates), struct flo_test_update, node);
        flo_free(update);
    }
}
