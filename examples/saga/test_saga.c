/* SPDX-License-Identifier: Apache-2.0 */
/* test_saga.c - every way in which an order can end, in virtual time. */
#include <flotilla/testing.h>
#include <stdio.h>

#include "saga.h"

#define ORDER "{\"id\": \"7\", \"amount\": 20}"

static struct flo_test_env *env;

static void play(const char *type, const struct flo_test_mock *mock)
{
    flo_test_mock(env, type, mock);
}

static struct flo_test_workflow *begin(void)
{
    env = flo_test_env_new(&saga_module, &(struct flo_test_options){.real_activities = true});
    return flo_test_start(env, "OrderSaga", flo_test_json(env, ORDER), NULL);
}

static void all_steps(void)
{
    flo_test_assert_completed(begin(), "[\"reserve_stock 7\", \"charge_card 7\", \"ship 7\"]");
    flo_test_assert_activities(env, "release_stock", 0);
    flo_test_env_destroy(&env);
}

/* A step that fails twice is no reason to give up. */
static void a_step_is_retried(void)
{
    struct flo_test_workflow *order = begin();
    play("charge_card", &(struct flo_test_mock){.result = "1", .fail_times = 2});
    flo_test_assert_completed(order, "[\"reserve_stock 7\", 1, \"ship 7\"]");
    flo_test_env_destroy(&env);
}

/* Shipping fails for good: money and stock go back, in this order; refunding is tried until it
 * works. */
static void the_last_step_fails(void)
{
    static const struct flo_failure strike = {
        .type = "Strike", .message = "nobody drives", .non_retryable = true};
    struct flo_test_workflow *order = begin();
    play("ship", &(struct flo_test_mock){.fail_times = FLO_TEST_ALWAYS, .failure = &strike});
    play("refund_card", &(struct flo_test_mock){.fail_times = 20});
    flo_test_assert_ended(order, FLO_TEST_FAILED, "OrderFailed");
    flo_test_assert_attempts(env, "refund_card", 21);
    flo_test_assert_story(order, "WorkflowExecutionStarted OrderSaga\n"
                                 "ActivityTaskScheduled reserve_stock\n"
                                 "ActivityTaskStarted reserve_stock\n"
                                 "ActivityTaskCompleted reserve_stock\n"
                                 "ActivityTaskScheduled charge_card\n"
                                 "ActivityTaskStarted charge_card\n"
                                 "ActivityTaskCompleted charge_card\n"
                                 "ActivityTaskScheduled ship\n"
                                 "ActivityTaskStarted ship\n"
                                 "ActivityTaskFailed ship\n"
                                 "ActivityTaskScheduled refund_card\n"
                                 "ActivityTaskStarted refund_card\n"
                                 "ActivityTaskCompleted refund_card\n"
                                 "ActivityTaskScheduled release_stock\n"
                                 "ActivityTaskStarted release_stock\n"
                                 "ActivityTaskCompleted release_stock\n"
                                 "WorkflowExecutionFailed");
    flo_test_env_destroy(&env);
}

/* Cancelled while it is charged: what was done is undone all the same. */
static void cancelled_in_the_middle(void)
{
    struct flo_test_workflow *order = begin();
    struct flo_err err;
    play("charge_card", &(struct flo_test_mock){.takes_ms = 20000});
    flo_test_assert_ok(flo_test_advance(env, 5000, &err), &err);
    flo_test_assert_ok(flo_test_cancel(order, "changed my mind", &err), &err);
    flo_test_assert_ended(order, FLO_TEST_CANCELLED, NULL);
    flo_test_assert_activities(env, "refund_card", 1);
    flo_test_assert_activities(env, "release_stock", 1);
    flo_test_assert_activities(env, "ship", 0);
    flo_test_env_destroy(&env);
}

int main(void)
{
    all_steps();
    a_step_is_retried();
    the_last_step_fails();
    cancelled_in_the_middle();
    puts("saga: all is well");
    return 0;
}
