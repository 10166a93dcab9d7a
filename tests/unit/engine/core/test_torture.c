/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_torture.c - every allocation of a workflow's life fails once. The call that meets it is
 * refused, or the core dies and starts again from its last commit; the callers repeat, as real
 * ones do, and the workflow ends as if nothing had been.
 */
#include <string.h>

#include "support/cmocka_env.h"
#include "support/engine_harness.h"
#include "support/engine_worker.h"

#include "base/alloc.h"
#include "base/clock.h"

enum { RESERVE = 4 << 20, MOST_ALLOCATIONS = 700, MOST_OF_A_STEP = 150, PATIENCE = 60 };

static int deaths, refusals; /* what the failures did, over all rounds */

/* Restart a dead core; allocations work then. */
static void revive(struct engine *e)
{
    if (!e->dead)
        return;
    deaths++;
    flo_alloc_fail_after(-1, 0);
    engine_restart(e);
}

static bool succeeds(struct engine *e, const char *name, const ProtobufCMessage *request)
{
    const uint64_t call = engine_call(e, name, request, 0);
    const struct engine_reply *reply = engine_reply(e, call);
    const bool ok = reply && reply->code == 0 && !e->dead;
    refusals += reply && reply->code == 14; /* UNAVAILABLE */
    revive(e);
    return ok;
}

static void start(struct engine *e)
{
    FloApi__StartWorkflowExecutionRequest *request = engine_start_request(e, "wf", "q");
    for (int i = 0; i < PATIENCE; i++)
        if (succeeds(e, "StartWorkflowExecution", &request->base))
            return;
    fail_msg("the start never succeeds");
}

/* Do what a poll brought, if it brought something. */
static void work_workflow(struct engine *e)
{
    const uint64_t poll = engine_poll(e, "q");
    const struct engine_reply *reply = engine_reply(e, poll);
    if (e->dead || !reply) {
        flo_core_cancel_call(e->core, poll);
        revive(e);
        return;
    }
    if (reply->code || !reply->body_len)
        return;
    const FloApi__PollWorkflowTaskQueueResponse *task = engine_task(e, poll);
    FloApi__RespondWorkflowTaskCompletedRequest *r = engine_completion(e, task);
    engine_add_command(e, r,
                       task->previous_started_event_id == 0 ? engine_cmd_activity(e, "a", "q")
                                                            : engine_cmd_complete(e));
    succeeds(e, "RespondWorkflowTaskCompleted", &r->base);
}

static void work_activity(struct engine *e)
{
    const uint64_t poll = engine_poll_activity(e, "q");
    const struct engine_reply *reply = engine_reply(e, poll);
    if (e->dead || !reply) {
        flo_core_cancel_call(e->core, poll);
        revive(e);
        return;
    }
    if (reply->code || !reply->body_len)
        return;
    FloApi__RespondActivityTaskCompletedRequest r =
        FLO_API__RESPOND_ACTIVITY_TASK_COMPLETED_REQUEST__INIT;
    r.namespace_ = "default";
    r.task_token = engine_activity(e, poll)->task_token;
    r.result = engine_payloads(e, "1");
    succeeds(e, "RespondActivityTaskCompleted", &r.base);
}

static bool closed(struct engine *e)
{
    FloApi__DescribeWorkflowExecutionRequest request =
        FLO_API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = "default";
    request.execution = engine_run(e, "wf", NULL);
    const uint64_t call = engine_call(e, "DescribeWorkflowExecution", &request.base, 0);
    const struct engine_reply *reply = engine_reply(e, call);
    const bool known = reply && reply->code == 0 && !e->dead;
    const FloApi__DescribeWorkflowExecutionResponse *d = known ? engine_body(e, call) : NULL;
    revive(e);
    return d && d->workflow_execution_info->status ==
                    FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_COMPLETED;
}

static void test_each_allocation_fails_once(void **state)
{
    (void)state;
    for (int64_t n = 0; n < MOST_ALLOCATIONS; n++) {
        struct engine *e = engine_new_reserved((uint64_t)n + 1, RESERVE);
        flo_alloc_fail_after(n, 0);
        start(e);
        int patience = PATIENCE;
        while (!closed(e) && patience-- > 0) {
            work_workflow(e);
            work_activity(e);
            engine_pass(e, 2 * FLO_NS_PER_S);
            revive(e);
        }
        flo_alloc_fail_after(-1, 0);
        if (patience <= 0)
            fail_msg("allocation %d: the workflow never ends", (int)n);
        const char *events = engine_event_names(e, "wf");
        if (!strstr(events, "ACTIVITY_TASK_COMPLETED") || !strstr(events, "EXECUTION_COMPLETED"))
            fail_msg("allocation %d: %s", (int)n, events);
        engine_free(e);
    }
    assert_true(deaths > 20 && refusals > 20); /* the failures did hit */
}

/* Each allocation of a step that ends a run and begins the next one fails once: the call succeeds
 * or is refused, or the core dies and, started again, has the run that was acknowledged. */
static void test_continue_as_new_each_allocation_fails_once(void **state)
{
    int dead = 0, last_dead = -1;
    (void)state;
    for (int n = 0; n < MOST_OF_A_STEP; n++) {
        struct engine *e = engine_new_reserved((uint64_t)n + 1, RESERVE);
        engine_start(e, "wf", "q");
        const FloApi__PollWorkflowTaskQueueResponse *task = engine_task(e, engine_poll(e, "q"));
        FloApi__RespondWorkflowTaskCompletedRequest *r = engine_completion(e, task);
        engine_add_command(e, r, engine_cmd_continue(e));
        flo_alloc_fail_after(n, 0);
        engine_call(e, "RespondWorkflowTaskCompleted", &r->base, 0);
        flo_alloc_fail_after(-1, 0);
        if (e->dead) {
            dead++;
            last_dead = n;
            engine_restart(e);
        }
        assert_non_null(strstr(engine_event_names(e, "wf"), "EXECUTION_STARTED"));
        engine_free(e);
    }
    assert_true(dead > 5);
    assert_true(last_dead < MOST_OF_A_STEP - 1); /* all were reached */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_allocation_fails_once),
        cmocka_unit_test(test_continue_as_new_each_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
