/* SPDX-License-Identifier: Apache-2.0 */
/* talk.c - what a test says to workflows, and to activities that were left open. */
#include "grpc/status.h"
#include "testing/kit.h"
#include "wire/failure.h"
#include "wire/payload.h"

static void name_run(const struct flo_test_workflow *workflow, FloApi__WorkflowExecution *run)
{
    flo_api__workflow_execution__init(run);
    run->workflow_id = workflow->workflow_id; /* its newest run */
}

static FloApi__Payloads *payloads(struct flo_arena *arena, json_t *value)
{
    return value ? flo_payloads_from_json(arena, value) : NULL;
}

/* Ask, and forget the answer and arena. */
static int tell(struct flo_test_env *env, const char *method, const ProtobufCMessage *request,
                const ProtobufCMessageDescriptor *type, struct flo_arena *arena,
                struct flo_err *err)
{
    int rc = kit_ask(env, method, request, type, arena, NULL, err);
    env->changes++;
    flo_arena_fini(arena);
    return rc;
}

static char *request_id(struct flo_test_env *env, struct flo_arena *arena)
{
    char text[FLO_UUID_LEN + 1];
    flo_rng_uuid4(&env->rng, text);
    return flo_arena_strdup(arena, text);
}

int flo_test_signal(struct flo_test_workflow *workflow, const char *name, json_t *input,
                    struct flo_err *err)
{
    FloApi__SignalWorkflowExecutionRequest request =
        FLO_API__SIGNAL_WORKFLOW_EXECUTION_REQUEST__INIT;
    FloApi__WorkflowExecution run;
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    name_run(workflow, &run);
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.identity = KIT_TEXT("test");
    request.workflow_execution = &run;
    request.signal_name = KIT_TEXT(name);
    request.input = payloads(&arena, input);
    request.request_id = request_id(workflow->env, &arena);
    return tell(workflow->env, "SignalWorkflowExecution", &request.base,
                &flo_api__signal_workflow_execution_response__descriptor, &arena, err);
}

int flo_test_cancel(struct flo_test_workflow *workflow, const char *reason, struct flo_err *err)
{
    FloApi__RequestCancelWorkflowExecutionRequest request =
        FLO_API__REQUEST_CANCEL_WORKFLOW_EXECUTION_REQUEST__INIT;
    FloApi__WorkflowExecution run;
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    name_run(workflow, &run);
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.identity = KIT_TEXT("test");
    request.workflow_execution = &run;
    request.reason = KIT_TEXT(reason ? reason : "");
    request.request_id = request_id(workflow->env, &arena);
    return tell(workflow->env, "RequestCancelWorkflowExecution", &request.base,
                &flo_api__request_cancel_workflow_execution_response__descriptor, &arena, err);
}

int flo_test_terminate(struct flo_test_workflow *workflow, const char *reason, struct flo_err *err)
{
    FloApi__TerminateWorkflowExecutionRequest request =
        FLO_API__TERMINATE_WORKFLOW_EXECUTION_REQUEST__INIT;
    FloApi__WorkflowExecution run;
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    name_run(workflow, &run);
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.identity = KIT_TEXT("test");
    request.workflow_execution = &run;
    request.reason = KIT_TEXT(reason ? reason : "");
    return tell(workflow->env, "TerminateWorkflowExecution", &request.base,
                &flo_api__terminate_workflow_execution_response__descriptor, &arena, err);
}

static int fail_activity(struct flo_test_workflow *workflow, const char *activity_id,
                         const struct flo_failure *failure, struct flo_err *err)
{
    FloApi__RespondActivityTaskFailedByIdRequest request =
        FLO_API__RESPOND_ACTIVITY_TASK_FAILED_BY_ID_REQUEST__INIT;
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.workflow_id = workflow->workflow_id;
    request.activity_id = KIT_TEXT(activity_id);
    request.identity = KIT_TEXT("test");
    request.failure = flo_failure_from_user(&arena, failure);
    return tell(workflow->env, "RespondActivityTaskFailedById", &request.base,
                &flo_api__respond_activity_task_failed_by_id_response__descriptor, &arena, err);
}

int flo_test_finish_activity(struct flo_test_workflow *workflow, const char *activity_id,
                             json_t *result, const struct flo_failure *failure, struct flo_err *err)
{
    FloApi__RespondActivityTaskCompletedByIdRequest request =
        FLO_API__RESPOND_ACTIVITY_TASK_COMPLETED_BY_ID_REQUEST__INIT;
    struct flo_arena arena;
    if (failure)
        return fail_activity(workflow, activity_id, failure, err);
    flo_arena_init(&arena, 0);
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.workflow_id = workflow->workflow_id;
    request.activity_id = KIT_TEXT(activity_id);
    request.identity = KIT_TEXT("test");
    request.result = payloads(&arena, result);
    return tell(workflow->env, "RespondActivityTaskCompletedById", &request.base,
                &flo_api__respond_activity_task_completed_by_id_response__descriptor, &arena, err);
}

int flo_test_query(struct flo_test_workflow *workflow, const char *name, json_t *input,
                   json_t **out_answer, struct flo_err *err)
{
    struct flo_test_env *env = workflow->env;
    FloApi__QueryWorkflowRequest request = FLO_API__QUERY_WORKFLOW_REQUEST__INIT;
    FloApi__WorkflowQuery query = FLO_API__WORKFLOW_QUERY__INIT;
    FloApi__WorkflowExecution run;
    FloApi__QueryWorkflowResponse *answer;
    struct flo_arena arena;
    json_t *value = NULL;
    if (env->inside)
        return flo_fail(err, FLO_EINVAL, "a workflow cannot be queried inside an activity");
    flo_arena_init(&arena, 0);
    name_run(workflow, &run);
    query.query_type = KIT_TEXT(name);
    query.query_args = payloads(&arena, input);
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.execution = &run;
    request.query = &query;
    int rc = kit_ask_and_wait(env, "QueryWorkflow", &request.base,
                              &flo_api__query_workflow_response__descriptor, &arena, &answer, err);
    if (rc == 0)
        rc = flo_payloads_show(answer->query_result, false, &value, err);
    if (rc == 0 && out_answer)
        *out_answer = value;
    (void)kit_keep(env, value);
    flo_arena_fini(&arena);
    return rc;
}
