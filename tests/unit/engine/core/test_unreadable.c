/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_unreadable.c - a store that cannot be read while runs deal with each other: one damaged row
 * concerns who asks for it and nobody else; a disk that fails ends the engine as a disk failure.
 */
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_env.h"
#include "support/engine_worker.h"

static int setup(void **state)
{
    struct engine *e = engine_new(1);
    engine_start(e, "other", "q2");
    engine_terminate(e, "other"); /* only in the store from here on */
    engine_start(e, "wf", "q");
    *state = e;
    return 0;
}

static int teardown(void **state)
{
    engine_free(*state);
    return 0;
}

static FloApi__Command *child(struct engine *e, FloApi__WorkflowIdReusePolicy policy)
{
    FloApi__Command *command = engine_cmd_child(e, "other", 0);
    command->start_child_workflow_execution_command_attributes->workflow_id_reuse_policy = policy;
    return command;
}

/* Complete a task with the command while reads of the store give rc; the outcome. */
static const char *respond_unreadable(struct engine *e, int rc, const FloApi__Command *command)
{
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    e->fail_store = rc;
    const char *outcome = engine_respond(e, task, NULL, command, NULL);
    e->fail_store = 0;
    return outcome;
}

/* Whether the id may be used again cannot be told: the child is refused, the engine goes on. */
static void test_child_over_a_damaged_run_is_refused(void **state)
{
    struct engine *e = *state;
    assert_string_equal(
        respond_unreadable(
            e, FLO_EDATA,
            child(e, FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE)),
        "OK");
    assert_int_equal(e->dead, 0);
    assert_non_null(strstr(engine_history(e, "wf"),
                           "6 START_CHILD_WORKFLOW_EXECUTION_FAILED namespace=default "
                           "workflow_type(name=C) "
                           "cause=START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_"
                           "EXISTS"));
}

/* A policy that does not ask how the last run ended does not read it either. */
static void test_child_that_may_reuse_any_closed_id_starts(void **state)
{
    struct engine *e = *state;
    assert_string_equal(
        respond_unreadable(
            e, FLO_EDATA,
            child(e, FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)),
        "OK");
    assert_non_null(strstr(engine_history(e, "wf"), "6 CHILD_WORKFLOW_EXECUTION_STARTED"));
}

/* The disk fails: nothing of the step is stored, and the engine knows why it ends. */
static void test_child_over_a_failing_disk_ends_the_engine(void **state)
{
    struct engine *e = *state;
    respond_unreadable(
        e, FLO_EIO,
        child(e, FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE));
    assert_int_equal(e->dead, FLO_EIO);
    const char *why = NULL;
    assert_int_equal(flo_core_failed(e->core, &why), FLO_EIO);
    assert_string_equal(why, "the store cannot be read");
    engine_restart(e);
    assert_int_equal(flo_core_failed(e->core, &why), 0);
    assert_null(strstr(engine_history(e, "wf"), "START_CHILD_WORKFLOW_EXECUTION_FAILED"));
    assert_null(strstr(engine_history(e, "wf"), "START_CHILD_WORKFLOW_EXECUTION_INITIATED"));
}

/* Open runs are in memory: that there is none is known without the disk, so the answer is true. */
static void test_signal_to_another_run_does_not_read_the_store(void **state)
{
    struct engine *e = *state;
    engine_start(e, "third", "q3");
    FloApi__PollWorkflowTaskQueueResponse *task = engine_next_task(e, "q");
    e->fail_store = FLO_EIO;
    assert_string_equal(engine_respond(e, task, NULL, engine_cmd_signal(e, "third", "x"),
                                       engine_cmd_signal(e, "other", "x"), NULL),
                        "OK");
    e->fail_store = 0;
    assert_int_equal(e->dead, 0);
    assert_non_null(strstr(engine_history(e, "third"), "WORKFLOW_EXECUTION_SIGNALED"));
    assert_non_null(strstr(engine_history(e, "wf"), "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED"));
}

/* Who asks for the damaged run by a call hears of it. */
static void test_calls_about_a_damaged_run_hear_of_data_loss(void **state)
{
    struct engine *e = *state;
    FloApi__DescribeWorkflowExecutionRequest describe =
        FLO_API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    describe.namespace_ = "default";
    describe.execution = engine_run(e, "other", NULL);
    e->fail_store = FLO_EDATA;
    const char *damaged = "DATA_LOSS | the stored run of workflow ID \"other\" is damaged";
    assert_string_equal(engine_try(e, "DescribeWorkflowExecution", &describe.base), damaged);
    assert_string_equal(
        engine_try(e, "StartWorkflowExecution", &engine_start_request(e, "other", "q")->base),
        damaged);
    e->fail_store = FLO_EIO;
    assert_string_equal(engine_try(e, "DescribeWorkflowExecution", &describe.base),
                        "UNAVAILABLE | the store cannot be read");
    assert_int_equal(e->dead, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_child_over_a_damaged_run_is_refused),
        TEST(test_child_that_may_reuse_any_closed_id_starts),
        TEST(test_child_over_a_failing_disk_ends_the_engine),
        TEST(test_signal_to_another_run_does_not_read_the_store),
        TEST(test_calls_about_a_damaged_run_hear_of_data_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
