/* SPDX-License-Identifier: Apache-2.0 */
/* test_update.c - updates: speculative workflow tasks, what workers say, what callers are told. */
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/engine_worker.h"
#include "wire/decode.h"

#define SECOND FLO_NS_PER_S
#define STAGE(name)                                                                                \
    FLO_API__UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE__UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_##name

#define IDLE                                                                                       \
    "1 EXECUTION_STARTED, 2 TASK_SCHEDULED, 3 TASK_STARTED, 4 TASK_COMPLETED, 5 TIMER_STARTED"

typedef FloApi__RespondWorkflowTaskCompletedRequest completion_t;
typedef FloApi__PollWorkflowTaskQueueResponse task_t;

static int setup(void **state)
{
    *state = engine_new(9);
    return 0;
}

static int teardown(void **state)
{
    engine_free(*state);
    return 0;
}

/* ---- callers ---- */

static uint64_t update_until(struct engine *e, const char *id, int stage, int64_t timeout_ns)
{
    FloApi__UpdateWorkflowExecutionRequest request =
        FLO_API__UPDATE_WORKFLOW_EXECUTION_REQUEST__INIT;
    FloApi__WaitPolicy policy = FLO_API__WAIT_POLICY__INIT;
    FloApi__Request update = FLO_API__REQUEST__INIT;
    FloApi__Meta meta = FLO_API__META__INIT;
    FloApi__Input input = FLO_API__INPUT__INIT;
    request.namespace_ = "default";
    request.workflow_execution = engine_run(e, "wf", NULL);
    policy.lifecycle_stage = (FloApi__UpdateWorkflowExecutionLifecycleStage)stage;
    request.wait_policy = &policy;
    meta.update_id = (char *)id;
    input.name = "u";
    input.args = engine_payloads(e, "1");
    update.meta = &meta;
    update.input = &input;
    request.request = &update;
    return engine_call(e, "UpdateWorkflowExecution", &request.base, timeout_ns);
}

static uint64_t update(struct engine *e, const char *id)
{
    return update_until(e, id, STAGE(COMPLETED), 0);
}

static uint64_t poll_update(struct engine *e, const char *id, const char *run_id)
{
    FloApi__PollWorkflowExecutionUpdateRequest request =
        FLO_API__POLL_WORKFLOW_EXECUTION_UPDATE_REQUEST__INIT;
    FloApi__UpdateRef ref = FLO_API__UPDATE_REF__INIT;
    FloApi__WaitPolicy policy = FLO_API__WAIT_POLICY__INIT;
    request.namespace_ = "default";
    ref.workflow_execution = engine_run(e, "wf", run_id);
    ref.update_id = (char *)id;
    request.update_ref = &ref;
    policy.lifecycle_stage = STAGE(COMPLETED);
    request.wait_policy = &policy;
    return engine_call(e, "PollWorkflowExecutionUpdate", &request.base, 0);
}

/* How an answer reads: "success=9", "failure=no", "ACCEPTED", or its error. */
static const char *told(struct engine *e, uint64_t call)
{
    const char *outcome = engine_outcome(e, call);
    if (strcmp(outcome, "OK") != 0)
        return outcome;
    const ProtobufCMessage *body = engine_body(e, call);
    const bool poll =
        body->descriptor == &flo_api__poll_workflow_execution_update_response__descriptor;
    const FloApi__Outcome *got =
        poll ? ((const FloApi__PollWorkflowExecutionUpdateResponse *)(const void *)body)->outcome
             : ((const FloApi__UpdateWorkflowExecutionResponse *)(const void *)body)->outcome;
    const int stage =
        poll ? (int)((const FloApi__PollWorkflowExecutionUpdateResponse *)(const void *)body)->stage
             : (int)((const FloApi__UpdateWorkflowExecutionResponse *)(const void *)body)->stage;
    if (!got)
        return stage == STAGE(ACCEPTED) ? "ACCEPTED" : "ADMITTED";
    assert_int_equal(stage, STAGE(COMPLETED));
    return got->value_case == FLO_API__OUTCOME__VALUE_FAILURE
               ? engine_format(e, "failure=%s", got->failure->message)
               : engine_format(e, "success=%.*s", (int)got->success->payloads[0]->data.len,
                               (const char *)got->success->payloads[0]->data.data);
}

/* ---- the worker ---- */

enum said { ACCEPT, REJECT, COMPLETE, GARBAGE };

/* Add a message about the task's update number `at` to a completion; its id: "accept" ... */
static void say(struct engine *e, completion_t *r, const task_t *task, size_t at, enum said what)
{
    static const char *const types[] = {"Acceptance", "Rejection", "Response", "Acceptance"};
    static const char *const ids[] = {"accept", "reject", "complete", "garbage"};
    const FloApi__Message *asked = task->messages[at];
    ProtobufCMessage *request;
    assert_int_equal(flo_wire_decode(&flo_api__request__descriptor, asked->body->value.data,
                                     asked->body->value.len, &e->arena, &request, NULL),
                     0);
    FloApi__Acceptance acceptance = FLO_API__ACCEPTANCE__INIT;
    FloApi__Rejection rejection = FLO_API__REJECTION__INIT;
    FloApi__Response response = FLO_API__RESPONSE__INIT;
    FloApi__Failure failure = FLO_API__FAILURE__INIT;
    FloApi__Outcome outcome = FLO_API__OUTCOME__INIT;
    acceptance.accepted_request_message_id = asked->id;
    acceptance.accepted_request_sequencing_event_id = asked->event_id;
    acceptance.accepted_request = (FloApi__Request *)(void *)request;
    rejection.rejected_request_message_id = asked->id;
    failure.message = "no";
    rejection.failure = &failure;
    outcome.value_case = FLO_API__OUTCOME__VALUE_SUCCESS;
    outcome.success = engine_payloads(e, "9");
    response.meta = acceptance.accepted_request->meta;
    response.outcome = &outcome;
    const ProtobufCMessage *bodies[] = {&acceptance.base, &rejection.base, &response.base};
    FloApi__Message *message = flo_arena_alloc(&e->arena, sizeof *message);
    Google__Protobuf__Any *body = flo_arena_alloc(&e->arena, sizeof *body);
    flo_api__message__init(message);
    google__protobuf__any__init(body);
    message->id = (char *)ids[what];
    message->protocol_instance_id = asked->protocol_instance_id;
    message->body = body;
    body->type_url =
        (char *)engine_format(e, "type.googleapis.com/temporal.api.update.v1.%s", types[what]);
    if (what == GARBAGE)
        body->value = (ProtobufCBinaryData){2, (uint8_t *)"\xff\xff"};
    else
        assert_int_equal(
            flo_wire_encode_arena(bodies[what], &e->arena, &body->value.data, &body->value.len), 0);
    FloApi__Message **messages = flo_arena_alloc(&e->arena, (r->n_messages + 1) * sizeof *messages);
    if (r->n_messages)
        memcpy(messages, r->messages, r->n_messages * sizeof *messages);
    messages[r->n_messages++] = message;
    r->messages = messages;
}

static FloApi__Command *command_for(struct engine *e, const char *message_id)
{
    FloApi__Command *command = flo_arena_alloc(&e->arena, sizeof *command);
    FloApi__ProtocolMessageCommandAttributes *a = flo_arena_alloc(&e->arena, sizeof *a);
    flo_api__command__init(command);
    flo_api__protocol_message_command_attributes__init(a);
    a->message_id = (char *)message_id;
    command->command_type = FLO_API__COMMAND_TYPE__COMMAND_TYPE_PROTOCOL_MESSAGE;
    command->attributes_case = FLO_API__COMMAND__ATTRIBUTES_PROTOCOL_MESSAGE_COMMAND_ATTRIBUTES;
    command->protocol_message_command_attributes = a;
    return command;
}

static const char *complete(struct engine *e, completion_t *r)
{
    return engine_try(e, "RespondWorkflowTaskCompleted", &r->base);
}

/* Accept and complete the first update of a task. */
static const char *finish(struct engine *e, const task_t *task)
{
    completion_t *r = engine_completion(e, task);
    say(e, r, task, 0, ACCEPT);
    say(e, r, task, 0, COMPLETE);
    return complete(e, r);
}

static task_t *next_task(struct engine *e)
{
    return engine_task(e, engine_poll(e, "q"));
}

/* A run whose first workflow task is completed; it waits for a timer. Its run id. */
static const char *idle(struct engine *e)
{
    const char *run_id = engine_start(e, "wf", "q");
    engine_complete(e, next_task(e), engine_cmd_timer(e, "1", 3600 * SECOND), NULL);
    return run_id;
}

/* ---- speculative tasks ---- */

/* An idle run gets a task that nothing tells of; acceptance and outcome make it real. The events
 * stand where the commands stood. */
static void test_update_accepted_writes_the_task_and_both_events(void **state)
{
    struct engine *e = *state;
    idle(e);
    uint64_t call = update(e, "u1");
    task_t *task = next_task(e);
    assert_string_equal(engine_task_line(e, task), "prev=3 started=7 attempt=1 events=1-7");
    assert_int_equal(task->n_messages, 1);
    assert_string_equal(task->messages[0]->id, "u1/request");
    assert_int_equal(task->messages[0]->event_id, 6);
    assert_string_equal(engine_event_names(e, "wf"), IDLE);
    completion_t *r = engine_completion(e, task);
    say(e, r, task, 0, COMPLETE);
    say(e, r, task, 0, ACCEPT);
    engine_add_command(e, r, command_for(e, "accept"));
    engine_add_command(e, r, engine_cmd_timer(e, "2", SECOND));
    engine_add_command(e, r, command_for(e, "complete"));
    assert_string_equal(complete(e, r), "OK");
    assert_string_equal(told(e, call), "success=9");
    assert_string_equal(told(e, update(e, "u1")), "success=9");
    assert_string_equal(told(e, poll_update(e, "u1", NULL)), "success=9");
    assert_string_equal(told(e, poll_update(e, "zz", NULL)),
                        "NOT_FOUND | update \"zz\" not found | NotFoundFailure");
    assert_string_equal(engine_event_names(e, "wf"),
                        IDLE ", 6 TASK_SCHEDULED, 7 TASK_STARTED, 8 TASK_COMPLETED, "
                             "9 EXECUTION_UPDATE_ACCEPTED, 10 TIMER_STARTED, "
                             "11 EXECUTION_UPDATE_COMPLETED");
}

/* Rejected by a worker that can go back: as if nothing had happened. Its id is free again. */
static void test_update_rejected_leaves_no_trace(void **state)
{
    struct engine *e = *state;
    idle(e);
    uint64_t call = update(e, "u1");
    task_t *task = next_task(e);
    completion_t *r = engine_completion(e, task);
    FloApi__RespondWorkflowTaskCompletedRequest__Capabilities can =
        FLO_API__RESPOND_WORKFLOW_TASK_COMPLETED_REQUEST__CAPABILITIES__INIT;
    can.discard_speculative_workflow_task_with_events = true;
    r->capabilities = &can;
    say(e, r, task, 0, REJECT);
    const FloApi__RespondWorkflowTaskCompletedResponse *response =
        engine_do(e, "RespondWorkflowTaskCompleted", &r->base);
    assert_int_equal(response->reset_history_event_id, 3);
    assert_string_equal(told(e, call), "failure=no");
    assert_string_equal(engine_event_names(e, "wf"), IDLE);
    assert_string_equal(told(e, poll_update(e, "u1", NULL)),
                        "NOT_FOUND | update \"u1\" not found | NotFoundFailure");
    call = update(e, "u1");
    assert_string_equal(finish(e, next_task(e)), "OK");
    assert_string_equal(told(e, call), "success=9");
}

/* A worker that cannot go back behind events: the task is written down. */
static void test_update_rejected_without_the_capability_keeps_the_task(void **state)
{
    struct engine *e = *state;
    idle(e);
    uint64_t call = update(e, "u1");
    task_t *task = next_task(e);
    completion_t *r = engine_completion(e, task);
    say(e, r, task, 0, REJECT);
    assert_string_equal(complete(e, r), "OK");
    assert_string_equal(told(e, call), "failure=no");
    assert_string_equal(engine_event_names(e, "wf"),
                        IDLE ", 6 TASK_SCHEDULED, 7 TASK_STARTED, 8 TASK_COMPLETED");
}

/* Whatever else happens makes the task a real one first, before and after its start. */
static void test_signal_makes_a_speculative_task_real(void **state)
{
    struct engine *e = *state;
    idle(e);
    update(e, "u1");
    engine_signal(e, "wf", "sg");
    assert_string_equal(engine_event_names(e, "wf"),
                        IDLE ", 6 TASK_SCHEDULED, 7 EXECUTION_SIGNALED");
    task_t *task = next_task(e);
    assert_int_equal(task->started_event_id, 8);
    assert_int_equal(task->messages[0]->event_id, 7);
    finish(e, task);
    update(e, "u2");
    task = next_task(e);
    engine_signal(e, "wf", "sg");
    assert_non_null(strstr(engine_event_names(e, "wf"), "12 TASK_SCHEDULED, 13 TASK_STARTED"));
    finish(e, task);
    assert_non_null(strstr(engine_event_names(e, "wf"),
                           "16 EXECUTION_UPDATE_COMPLETED, 17 EXECUTION_SIGNALED"));
}

/* Nobody takes it: after five seconds it has timed out, and a real one waits. */
static void test_speculative_task_without_worker_becomes_real(void **state)
{
    struct engine *e = *state;
    idle(e);
    uint64_t call = update(e, "u1");
    engine_pass(e, 4 * SECOND);
    assert_string_equal(engine_event_names(e, "wf"), IDLE);
    engine_pass(e, 2 * SECOND);
    assert_string_equal(engine_event_names(e, "wf"),
                        IDLE ", 6 TASK_SCHEDULED, 7 TASK_TIMED_OUT, 8 TASK_SCHEDULED");
    assert_string_equal(finish(e, next_task(e)), "OK");
    assert_string_equal(told(e, call), "success=9");
}

/* A failed or lost task sends its updates again; after three the workflow is not ready for more. */
static void test_failed_task_sends_its_updates_again(void **state)
{
    struct engine *e = *state;
    idle(e);
    uint64_t call = update(e, "u1");
    engine_fail_task(e, next_task(e));
    task_t *task = next_task(e);
    assert_string_equal(engine_task_line(e, task), "prev=3 started=10 attempt=2 events=1-10");
    assert_int_equal(task->n_messages, 1);
    engine_pass(e, 11 * SECOND);
    task = next_task(e);
    assert_int_equal(task->attempt, 3);
    assert_string_equal(told(e, update(e, "u2")),
                        "FAILED_PRECONDITION | Unable to perform workflow execution update due to "
                        "Workflow Task in failed state. | WorkflowNotReadyFailure");
    assert_string_equal(finish(e, task), "OK");
    assert_string_equal(told(e, call), "success=9");
}

/* An update that comes while a task is started waits for its end. */
static void test_update_during_a_started_task_gets_the_next_one(void **state)
{
    struct engine *e = *state;
    engine_start(e, "wf", "q");
    task_t *task = next_task(e);
    uint64_t call = update(e, "u1");
    completion_t *r = engine_completion(e, task);
    r->return_new_workflow_task = true;
    const FloApi__RespondWorkflowTaskCompletedResponse *response =
        engine_do(e, "RespondWorkflowTaskCompleted", &r->base);
    assert_int_equal(response->workflow_task->n_messages, 1);
    assert_string_equal(engine_event_names(e, "wf"), "1 EXECUTION_STARTED, 2 TASK_SCHEDULED, "
                                                     "3 TASK_STARTED, 4 TASK_COMPLETED");
    assert_string_equal(finish(e, response->workflow_task), "OK");
    assert_string_equal(told(e, call), "success=9");
}

/* ---- what workers may say ---- */

/* A completion with a message that does not fit fails the task, and its updates with it. */
static void test_bad_messages_fail_the_task(void **state)
{
    struct engine *e = *state;
    static const struct {
        enum said says[3];
        size_t count;
        const char *error;
    } bad[] = {
        {{COMPLETE},
         1,
         "invalid state transition attempted for Update u: received "
         "*update.Response message while in state Sent"},
        {{ACCEPT, ACCEPT},
         2,
         "invalid state transition attempted for Update u: received "
         "*update.Acceptance message while in state ProvisionallyAccepted"},
        {{ACCEPT, COMPLETE, REJECT},
         3,
         "invalid state transition attempted for Update u: received *update.Rejection message "
         "while in state ProvisionallyCompleted"},
        {{GARBAGE}, 1, "unable to unmarshal request: proto: cannot parse invalid wire-format data"},
    };
    idle(e);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t call = update(e, "u");
        task_t *task = next_task(e);
        completion_t *r = engine_completion(e, task);
        for (size_t k = 0; k < bad[i].count; k++)
            say(e, r, task, 0, bad[i].says[k]);
        assert_string_equal(complete(e, r),
                            engine_format(e,
                                          "INVALID_ARGUMENT | BadUpdateWorkflowExecutionMessage: "
                                          "%s",
                                          bad[i].error));
        assert_string_equal(told(e, call),
                            "FAILED_PRECONDITION | Unable to perform workflow execution update due "
                            "to unexpected workflow task failure. | WorkflowNotReadyFailure");
        task = next_task(e);
        assert_int_equal(task->n_messages, 0);
        engine_complete(e, task, NULL, NULL);
    }
}

/* A command names a message that is not there. */
static void test_command_without_message_fails_the_task(void **state)
{
    struct engine *e = *state;
    idle(e);
    update(e, "u");
    completion_t *r = engine_completion(e, next_task(e));
    engine_add_command(e, r, command_for(e, "nope"));
    assert_string_equal(complete(e, r), "INVALID_ARGUMENT | BadUpdateWorkflowExecutionMessage: "
                                        "ProtocolMessageCommand referenced absent message ID nope");
}

/* A worker that says nothing about an update has not understood it; a heartbeat says nothing yet.
 */
static void test_update_that_the_worker_ignores_is_rejected(void **state)
{
    struct engine *e = *state;
    idle(e);
    uint64_t call = update(e, "u1");
    completion_t *r = engine_completion(e, next_task(e));
    r->force_create_new_workflow_task = true;
    engine_stick(e, r, "q");
    engine_poll_sticky(e, "q");
    assert_string_equal(complete(e, r), "OK");
    assert_string_equal(engine_outcome(e, call), "waits");
    engine_pass(e, 12 * SECOND); /* the sticky task is lost: the next one carries it again */
    task_t *task = next_task(e);
    assert_int_equal(task->n_messages, 1);
    engine_complete(e, task, NULL, NULL);
    assert_non_null(strstr(told(e, call), "failure=Workflow Update is rejected because it wasn't"));
}

/* ---- the end of runs ---- */

/* Accepted and not completed: the outcome is a failure, also for those who ask later. */
static void test_accepted_update_of_a_run_that_closes_fails(void **state)
{
    struct engine *e = *state;
    const char *run_id = idle(e);
    uint64_t done = update(e, "done");
    finish(e, next_task(e));
    assert_string_equal(told(e, done), "success=9");
    uint64_t call = update(e, "u1");
    task_t *task = next_task(e);
    completion_t *r = engine_completion(e, task);
    say(e, r, task, 0, ACCEPT);
    engine_add_command(e, r, command_for(e, "accept"));
    engine_add_command(e, r, engine_cmd_complete(e));
    assert_string_equal(complete(e, r), "OK");
    static const char failed[] = "failure=Workflow Update failed because the Workflow completed "
                                 "before the Update completed.";
    assert_string_equal(told(e, call), failed);
    /* only stored by now */
    assert_string_equal(told(e, poll_update(e, "u1", run_id)), failed);
    assert_string_equal(told(e, update(e, "u1")), failed);
    assert_string_equal(told(e, update(e, "done")), "success=9");
    assert_string_equal(told(e, poll_update(e, "zz", run_id)),
                        "NOT_FOUND | update \"zz\" not found | NotFoundFailure");
    assert_string_equal(told(e, update(e, "u2")),
                        "NOT_FOUND | workflow execution already completed | NotFoundFailure");
}

/* Not accepted: there is no outcome. A started speculative task fails, a scheduled one was never.
 */
static void test_terminate_aborts_updates(void **state)
{
    struct engine *e = *state;
    static const char aborted[] =
        "NOT_FOUND | workflow update was aborted by closing workflow | NotFoundFailure";
    idle(e);
    uint64_t call = update(e, "u1");
    engine_terminate(e, "wf");
    assert_string_equal(told(e, call), aborted);
    assert_string_equal(engine_event_names(e, "wf"), IDLE ", 6 EXECUTION_TERMINATED");
    idle(e);
    call = update(e, "u1");
    next_task(e);
    engine_terminate(e, "wf");
    assert_string_equal(told(e, call), aborted);
    assert_string_equal(engine_event_names(e, "wf"),
                        IDLE ", 6 TASK_SCHEDULED, 7 TASK_STARTED, 8 TASK_FAILED, "
                             "9 EXECUTION_TERMINATED");
}

/* ---- waiting ---- */

/* ACCEPTED is enough for some; the others hear after 20 seconds how far it is. */
static void test_callers_wait_for_their_stage(void **state)
{
    struct engine *e = *state;
    idle(e);
    uint64_t accepted = update_until(e, "u1", STAGE(ACCEPTED), 0), completed = update(e, "u1");
    uint64_t hasty = update_until(e, "u1", STAGE(COMPLETED), 2 * SECOND);
    task_t *task = next_task(e);
    completion_t *r = engine_completion(e, task);
    say(e, r, task, 0, ACCEPT);
    assert_string_equal(complete(e, r), "OK");
    assert_string_equal(told(e, accepted), "ACCEPTED");
    assert_string_equal(engine_outcome(e, completed), "waits");
    engine_pass(e, 21 * SECOND);
    assert_string_equal(told(e, completed), "ACCEPTED");
    assert_string_equal(told(e, hasty), "DEADLINE_EXCEEDED | context deadline exceeded");
    assert_string_equal(told(e, update_until(e, "x", STAGE(ADMITTED), 0)),
                        "PERMISSION_DENIED | UpdateWorkflowExecution issued asynchronously and "
                        "waiting on update admitted is not supported. | PermissionDeniedFailure");
}

/* Ten may be in flight. */
static void test_too_many_updates_in_flight_are_refused(void **state)
{
    struct engine *e = *state;
    idle(e);
    for (int i = 0; i < 10; i++)
        update(e, engine_format(e, "u%d", i));
    assert_string_equal(told(e, update(e, "one more")),
                        "RESOURCE_EXHAUSTED | limit on number of concurrent in-flight updates has "
                        "been reached (10) | ResourceExhaustedFailure");
    assert_int_equal(next_task(e)->n_messages, 10);
}

/* All runs together: those that no worker has accepted have a bound, and give their room back. */
static void test_updates_of_all_runs_have_a_bound(void **state)
{
    static const struct flo_core_options options = {.update_bytes_limit = 120};
    engine_free(*state);
    struct engine *e = engine_new_with(9, &options);
    *state = e;
    idle(e);
    update(e, "u1");
    update(e, "u2");
    static const char full[] = "RESOURCE_EXHAUSTED | too many updates of all workflows together "
                               "wait for a worker";
    assert_memory_equal(told(e, update(e, "u3")), full, sizeof full - 1);
    finish(e, next_task(e)); /* says nothing about u2, which is rejected */
    update(e, "u4");
    engine_terminate(e, "wf");
    idle(e);
    update(e, "u5");
    uint64_t call = update(e, "u6");
    assert_string_equal(engine_outcome(e, call), "waits");
    assert_memory_equal(told(e, update(e, "u7")), full, sizeof full - 1);
}

/* ---- after a kill ---- */

/* What events tell of comes back: an outcome, and an accepted update that is completed later. */
static void test_updates_come_back_out_of_the_history(void **state)
{
    struct engine *e = *state;
    idle(e);
    update(e, "done");
    finish(e, next_task(e));
    update_until(e, "half", STAGE(ACCEPTED), 0);
    task_t *task = next_task(e);
    completion_t *r = engine_completion(e, task);
    say(e, r, task, 0, ACCEPT);
    assert_string_equal(complete(e, r), "OK");
    engine_restart(e);
    assert_string_equal(told(e, update(e, "done")), "success=9");
    uint64_t call = update(e, "half");
    assert_string_equal(engine_outcome(e, call), "waits");
    engine_signal(e, "wf", "sg");
    r = engine_completion(e, next_task(e));
    say(e, r, task, 0, COMPLETE);
    assert_string_equal(complete(e, r), "OK");
    assert_string_equal(told(e, call), "success=9");
}

/* A speculative task and its updates do not outlive the process; the caller asks again. A worker
 * that answers nonetheless brings the request with it. */
static void test_speculative_task_is_gone_after_a_kill(void **state)
{
    struct engine *e = *state;
    idle(e);
    update(e, "u1");
    task_t *lost = next_task(e);
    engine_restart(e);
    assert_string_equal(finish(e, lost), "NOT_FOUND | Workflow task not found. | NotFoundFailure");
    assert_string_equal(engine_event_names(e, "wf"), IDLE);
    engine_signal(e, "wf", "sg");
    completion_t *r = engine_completion(e, next_task(e));
    say(e, r, lost, 0, ACCEPT);
    say(e, r, lost, 0, COMPLETE);
    assert_string_equal(complete(e, r), "OK");
    assert_string_equal(told(e, update(e, "u1")), "success=9");
}

/* What comes back with an answer that is refused goes again: nobody waits for it, and a worker that
 * goes on like that must not fill the engine's memory. */
static void test_refused_answer_brings_no_update_back(void **state)
{
    struct engine *e = *state;
    idle(e);
    update(e, "u1");
    task_t *lost = next_task(e);
    engine_restart(e);
    engine_signal(e, "wf", "sg");
    for (int attempt = 1; attempt <= 2; attempt++) {
        task_t *task = next_task(e);
        assert_int_equal(task->n_messages, 0);
        completion_t *r = engine_completion(e, task);
        say(e, r, lost, 0, ACCEPT);
        engine_add_command(e, r, command_for(e, "accept"));
        engine_add_command(e, r, command_for(e, "nope"));
        assert_string_equal(complete(e, r),
                            "INVALID_ARGUMENT | BadUpdateWorkflowExecutionMessage: "
                            "ProtocolMessageCommand referenced absent message ID nope");
        assert_string_equal(told(e, poll_update(e, "u1", NULL)),
                            "NOT_FOUND | update \"u1\" not found | NotFoundFailure");
        if (attempt == 2)
            engine_pass(e, 11 * SECOND);
    }
    task_t *task = next_task(e);
    assert_int_equal(task->n_messages, 0);
    completion_t *r = engine_completion(e, task);
    say(e, r, lost, 0, ACCEPT);
    say(e, r, lost, 0, COMPLETE);
    assert_string_equal(complete(e, r), "OK");
    assert_string_equal(told(e, update(e, "u1")), "success=9");
}

/* Ids that no update can have, and more messages than a run can have updates for. */
static void test_messages_have_bounds(void **state)
{
    struct engine *e = *state;
    char id[1002];
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    idle(e);
    uint64_t call = update(e, "u1");
    task_t *task = next_task(e);
    completion_t *r = engine_completion(e, task);
    say(e, r, task, 0, ACCEPT);
    r->messages[0]->protocol_instance_id = id;
    assert_string_equal(complete(e, r),
                        "INVALID_ARGUMENT | ProtocolInstanceId length exceeds limit.");
    r = engine_completion(e, task);
    say(e, r, task, 0, ACCEPT);
    FloApi__Message *many[4001];
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        many[i] = r->messages[0];
    r->messages = many;
    r->n_messages = sizeof many / sizeof *many;
    assert_string_equal(complete(e, r), "INVALID_ARGUMENT | 4001 messages are more than 4000");
    assert_string_equal(finish(e, task), "OK");
    assert_string_equal(told(e, call), "success=9");
}

/* ---- update-with-start ---- */

static uint64_t start_and_update(struct engine *e, const char *id, const char *request_id,
                                 FloApi__WorkflowIdConflictPolicy conflict)
{
    FloApi__ExecuteMultiOperationRequest request = FLO_API__EXECUTE_MULTI_OPERATION_REQUEST__INIT;
    FloApi__ExecuteMultiOperationRequest__Operation
        first = FLO_API__EXECUTE_MULTI_OPERATION_REQUEST__OPERATION__INIT,
        second = FLO_API__EXECUTE_MULTI_OPERATION_REQUEST__OPERATION__INIT;
    FloApi__ExecuteMultiOperationRequest__Operation *both[] = {&first, &second};
    FloApi__UpdateWorkflowExecutionRequest sent = FLO_API__UPDATE_WORKFLOW_EXECUTION_REQUEST__INIT;
    FloApi__Request update_request = FLO_API__REQUEST__INIT;
    FloApi__Meta meta = FLO_API__META__INIT;
    FloApi__Input input = FLO_API__INPUT__INIT;
    request.namespace_ = "default";
    request.operations = both;
    request.n_operations = 2;
    first.operation_case =
        FLO_API__EXECUTE_MULTI_OPERATION_REQUEST__OPERATION__OPERATION_START_WORKFLOW;
    first.start_workflow = engine_start_request(e, "wf", "q");
    first.start_workflow->request_id = (char *)request_id;
    first.start_workflow->workflow_id_conflict_policy = conflict;
    second.operation_case =
        FLO_API__EXECUTE_MULTI_OPERATION_REQUEST__OPERATION__OPERATION_UPDATE_WORKFLOW;
    second.update_workflow = &sent;
    sent.workflow_execution = engine_run(e, "wf", NULL);
    meta.update_id = (char *)id;
    input.name = "u";
    update_request.meta = &meta;
    update_request.input = &input;
    sent.request = &update_request;
    return engine_call(e, "ExecuteMultiOperation", &request.base, 0);
}

/* "started success=9", "used success=9", or the error. */
static const char *both_told(struct engine *e, uint64_t call)
{
    const char *outcome = engine_outcome(e, call);
    if (strcmp(outcome, "OK") != 0)
        return outcome;
    const FloApi__ExecuteMultiOperationResponse *response = engine_body(e, call);
    const FloApi__Payloads *result = response->responses[1]->update_workflow->outcome->success;
    return engine_format(
        e, "%s success=%.*s", response->responses[0]->start_workflow->started ? "started" : "used",
        (int)result->payloads[0]->data.len, (const char *)result->payloads[0]->data.data);
}

/* One start, one update, in the first workflow task; the same call again is the same. */
static void test_update_with_start(void **state)
{
    struct engine *e = *state;
    uint64_t call = start_and_update(e, "u1", "r1", 0);
    uint64_t again = start_and_update(e, "u1", "r1", 0);
    task_t *task = next_task(e);
    assert_int_equal(task->n_messages, 1);
    assert_string_equal(finish(e, task), "OK");
    assert_string_equal(both_told(e, call), "started success=9");
    assert_string_equal(both_told(e, again), "used success=9");
    assert_non_null(strstr(both_told(e, start_and_update(e, "u2", "r2", 0)), "ALREADY_EXISTS"));
    call = start_and_update(
        e, "u2", "r2",
        FLO_API__WORKFLOW_ID_CONFLICT_POLICY__WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING);
    finish(e, next_task(e));
    assert_string_equal(both_told(e, call), "used success=9");
    engine_terminate(e, "wf");
    assert_string_equal(both_told(e, start_and_update(e, "u2", "r3", 0)), "used success=9");
    call = start_and_update(e, "u3", "r3", 0);
    engine_terminate(e, "wf");
    assert_string_equal(both_told(e, call),
                        "NOT_FOUND | Update-with-Start could not be executed. | "
                        "MultiOperationExecutionFailure");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_update_accepted_writes_the_task_and_both_events),
        TEST(test_update_rejected_leaves_no_trace),
        TEST(test_update_rejected_without_the_capability_keeps_the_task),
        TEST(test_signal_makes_a_speculative_task_real),
        TEST(test_speculative_task_without_worker_becomes_real),
        TEST(test_failed_task_sends_its_updates_again),
        TEST(test_update_during_a_started_task_gets_the_next_one),
        TEST(test_bad_messages_fail_the_task),
        TEST(test_command_without_message_fails_the_task),
        TEST(test_update_that_the_worker_ignores_is_rejected),
        TEST(test_accepted_update_of_a_run_that_closes_fails),
        TEST(test_terminate_aborts_updates),
        TEST(test_callers_wait_for_their_stage),
        TEST(test_too_many_updates_in_flight_are_refused),
        TEST(test_updates_of_all_runs_have_a_bound),
        TEST(test_updates_come_back_out_of_the_history),
        TEST(test_speculative_task_is_gone_after_a_kill),
        TEST(test_refused_answer_brings_no_update_back),
        TEST(test_messages_have_bounds),
        TEST(test_update_with_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
