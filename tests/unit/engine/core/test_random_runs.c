/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_random_runs.c - workers and clients that do anything at any time: all commands, good and
 * bad, failures, time, kills. Nothing is expected of a single answer; histories must stay whole,
 * and a restart must not change what was committed.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "support/cmocka_env.h"
#include "support/engine_worker.h"

#define WORKFLOWS 6
#define STEPS 600
#define SEEDS 12

struct play {
    struct engine *e;
    struct flo_rng rng;
};

static uint64_t dice(struct play *p, uint64_t sides)
{
    return flo_rng_below(&p->rng, sides);
}

static const char *some_workflow(struct play *p)
{
    return engine_format(p->e, "wf%d", (int)dice(p, WORKFLOWS));
}

static const char *some_id(struct play *p)
{
    return engine_format(p->e, "%d", (int)dice(p, 5));
}

static int64_t some_time(struct play *p)
{
    return (int64_t)dice(p, 4000) * FLO_NS_PER_MS;
}

static FloApi__Command *some_activity(struct play *p)
{
    FloApi__Command *command = engine_cmd_activity(p->e, some_id(p), "q");
    FloApi__ScheduleActivityTaskCommandAttributes *attributes = engine_activity_of(command);
    if (dice(p, 2))
        attributes->schedule_to_close_timeout = engine_duration(p->e, some_time(p));
    if (dice(p, 2))
        attributes->schedule_to_start_timeout = engine_duration(p->e, some_time(p));
    if (dice(p, 2))
        attributes->heartbeat_timeout = engine_duration(p->e, some_time(p));
    if (dice(p, 2))
        engine_policy_of(p->e, command)->maximum_attempts = (int32_t)dice(p, 4);
    attributes->request_eager_execution = dice(p, 4) == 0;
    return command;
}

static FloApi__Command *some_command(struct play *p)
{
    struct engine *e = p->e;
    switch (dice(p, 13)) {
    case 0:
    case 1:
    case 2:
        return some_activity(p);
    case 3:
    case 4:
        return engine_cmd_timer(e, some_id(p), some_time(p));
    case 5:
        return engine_cmd_cancel_timer(e, some_id(p));
    case 6:
        return engine_cmd_cancel_activity(e, (int64_t)dice(p, 40));
    case 7:
        return engine_cmd_child(e, some_workflow(p), (int)dice(p, 4));
    case 8:
        return engine_cmd_signal(e, some_workflow(p), "x");
    case 9:
        return engine_cmd_cancel_external(e, some_workflow(p));
    case 10:
        return engine_cmd_memo(e, some_id(p), dice(p, 2) ? "1" : NULL);
    default:
        return engine_cmd_marker(e, "m");
    }
}

static FloApi__Command *some_end(struct play *p)
{
    switch (dice(p, 4)) {
    case 0:
        return engine_cmd_complete(p->e);
    case 1:
        return engine_cmd_fail(p->e, "no");
    case 2:
        return engine_cmd_cancel(p->e);
    default:
        return engine_cmd_continue(p->e);
    }
}

static void send_signal(struct play *p, const char *workflow_id)
{
    FloApi__SignalWorkflowExecutionRequest request =
        FLO_API__SIGNAL_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = "default";
    request.workflow_execution = engine_run(p->e, workflow_id, NULL);
    request.signal_name = "sg";
    request.request_id = (char *)engine_format(p->e, "r%d", (int)dice(p, 100));
    engine_try(p->e, "SignalWorkflowExecution", &request.base);
}

static void play_workflow_task(struct play *p)
{
    struct engine *e = p->e;
    uint64_t poll = dice(p, 3) ? engine_poll(e, "q") : engine_poll_sticky(e, "q");
    if (!engine_reply(e, poll)) {
        flo_core_cancel_call(e->core, poll);
        return;
    }
    const FloApi__PollWorkflowTaskQueueResponse *task = engine_body(e, poll);
    engine_task_line(e, task); /* looks for gaps */
    if (!task->task_token.len || dice(p, 8) == 0)
        return; /* the worker is gone */
    if (dice(p, 6) == 0) {
        engine_fail_task(e, task);
        return;
    }
    if (dice(p, 3) == 0)
        send_signal(p, task->workflow_execution->workflow_id);
    FloApi__RespondWorkflowTaskCompletedRequest *request = engine_completion(e, task);
    for (uint64_t i = dice(p, 5); i > 0; i--)
        engine_add_command(e, request, some_command(p));
    if (dice(p, 6) == 0)
        engine_add_command(e, request, some_end(p));
    if (dice(p, 2))
        engine_stick(e, request, "q");
    request->return_new_workflow_task = dice(p, 2);
    request->force_create_new_workflow_task = dice(p, 5) == 0;
    engine_try(e, "RespondWorkflowTaskCompleted", &request->base);
}

static void play_activity(struct play *p)
{
    struct engine *e = p->e;
    uint64_t poll = engine_poll_activity(e, "q");
    if (!engine_reply(e, poll)) {
        flo_core_cancel_call(e->core, poll);
        return;
    }
    const FloApi__PollActivityTaskQueueResponse *task = engine_body(e, poll);
    switch (dice(p, 6)) {
    case 0:
        break;
    case 1:
        engine_heartbeat(e, task, "1");
        engine_activity_canceled(e, task);
        break;
    case 2:
    case 3:
        engine_activity_fail(e, task, "E", dice(p, 4) == 0);
        break;
    default:
        engine_activity_done(e, task);
        engine_activity_done(e, task);
    }
}

/* All histories, one after the other. */
static const char *everything(struct play *p)
{
    const char *all = "";
    for (int i = 0; i < WORKFLOWS; i++)
        all = engine_format(p->e, "%s%s\n", all,
                            engine_history(p->e, engine_format(p->e, "wf%d", i)));
    return all;
}

static void play_step(struct play *p)
{
    struct engine *e = p->e;
    switch (dice(p, 24)) {
    case 0:
        engine_request_cancel(e, some_workflow(p));
        break;
    case 1: {
        const char *id = some_workflow(p);
        FloApi__StartWorkflowExecutionRequest *request = engine_start_request(e, id, "q");
        FloApi__RetryPolicy policy = FLO_API__RETRY_POLICY__INIT;
        if (dice(p, 2))
            request->retry_policy = &policy;
        if (dice(p, 3) == 0)
            request->workflow_run_timeout = engine_duration(e, 10 * some_time(p));
        request->workflow_id_conflict_policy =
            dice(p, 4)
                ? FLO_API__WORKFLOW_ID_CONFLICT_POLICY__WORKFLOW_ID_CONFLICT_POLICY_FAIL
                : FLO_API__WORKFLOW_ID_CONFLICT_POLICY__WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING;
        engine_try(e, "StartWorkflowExecution", &request->base);
        break;
    }
    case 2: {
        engine_commit(e); /* also what nobody waits for */
        const char *before = everything(p);
        engine_restart(e);
        assert_string_equal(everything(p), before);
        break;
    }
    case 3:
        engine_restart(e);
        break;
    case 4:
        send_signal(p, some_workflow(p));
        break;
    case 5:
    case 6:
        engine_pass(e, some_time(p));
        break;
    case 7:
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
        play_activity(p);
        break;
    default:
        play_workflow_task(p);
    }
}

static void test_anything_at_any_time(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct play p = {.e = engine_new(seed)};
        flo_rng_seed(&p.rng, seed);
        for (int i = 0; i < WORKFLOWS; i++)
            engine_start(p.e, engine_format(p.e, "wf%d", i), "q");
        for (int step = 0; step < STEPS; step++)
            play_step(&p);
        engine_free(p.e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_anything_at_any_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
