/* SPDX-License-Identifier: Apache-2.0 */
/* test_coroutines.c - coroutines, channels, locks, scopes and timeouts of workflows, on the
 * engine's core, where events come in the server's order and at its times. */
#include <string.h>

#include "support/testing_kit.h"

#define SECOND_MS INT64_C(1000)

static struct flo_err err;

static const struct flo_activity_options minute = {
    .start_to_close_ms = 60000, .heartbeat_ms = 10000, .cancellation = FLO_CANCEL_WAIT};

/* ---- the workflows ---- */

struct shop {
    struct flo_channel *orders;
    struct flo_mutex *till;
    struct flo_semaphore *ovens;
    struct flo_wait_group *baked;
    json_t *done;
};

static int baker(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    struct shop *shop = arg;
    json_t *order;
    int rc;
    (void)out_result;
    while ((rc = flo_channel_receive(wf, shop->orders, &order)) == 0) {
        rc = flo_semaphore_acquire(wf, shop->ovens, 1);
        if (rc == 0)
            rc = flo_activity(wf, "bake", order, &minute, NULL);
        flo_semaphore_release(wf, shop->ovens, 1);
        if (rc == 0)
            rc = flo_mutex_lock(wf, shop->till);
        if (rc)
            return rc;
        rc = flo_sleep(wf, SECOND_MS); /* at the till, one at a time */
        json_array_append(shop->done, order);
        flo_mutex_unlock(wf, shop->till);
        flo_wait_group_done(wf, shop->baked);
        if (rc)
            return rc;
    }
    return rc == FLO_ECLOSED ? 0 : rc;
}

/* Six orders, three bakers, two ovens, one till. */
static int bakery(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct shop *shop = flo_workflow_alloc(wf, sizeof *shop);
    struct flo_future *bakers[3];
    (void)input;
    shop->orders = flo_channel_new(wf, 2);
    shop->till = flo_mutex_new(wf);
    shop->ovens = flo_semaphore_new(wf, 2);
    shop->baked = flo_wait_group_new(wf);
    shop->done = json_array();
    flo_wait_group_add(wf, shop->baked, 6);
    for (int i = 0; i < 3; i++)
        bakers[i] = flo_spawn(wf, "baker", baker, shop);
    for (int i = 0; i < 6; i++) {
        int rc = flo_channel_send(wf, shop->orders, json_integer(i));
        if (rc)
            return rc;
    }
    int rc = flo_wait_group_wait(wf, shop->baked);
    flo_channel_close(wf, shop->orders);
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = flo_await(wf, bakers[i], NULL);
    *out_result = shop->done;
    return rc;
}

/* An activity has ten seconds; then something else is done, outside of the scope. */
static int hasty(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_scope *scope =
        flo_scope_begin(wf, &(struct flo_scope_options){.timeout_ms = 10 * SECOND_MS});
    int rc = flo_activity(wf, "slow", input, &minute, out_result);
    int ended = flo_scope_end(wf, scope);
    if (ended != FLO_ETIMEDOUT)
        return rc;
    return flo_activity(wf, "instead", input, &minute, out_result);
}

static int worker(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    (void)arg;
    return flo_activity(wf, "slow", NULL, &minute, out_result);
}

/* Cancelled: the coroutine's activity ends in its own way, the clean-up is shielded. */
static int careful(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_future *work = flo_spawn(wf, "worker", worker, NULL);
    int rc = flo_await(wf, work, out_result);
    (void)input;
    if (rc != FLO_ECANCELLED)
        return rc;
    struct flo_scope *shield = flo_scope_begin(wf, &(struct flo_scope_options){.shielded = true});
    int cleaned = flo_activity(wf, "instead", NULL, &minute, NULL);
    flo_scope_end(wf, shield);
    return cleaned ? cleaned : rc;
}

/* Whichever comes first. */
static int race(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_future *runners[3];
    size_t first;
    (void)input;
    runners[0] = flo_activity_start(wf, "slow", NULL, &minute);
    runners[1] = flo_activity_start(wf, "instead", NULL, &minute);
    runners[2] = flo_timer_start(wf, 20 * SECOND_MS);
    int rc = flo_await_any(wf, runners, 3, &first);
    for (size_t i = 0; i < 3; i++) {
        if (i != first)
            flo_future_cancel(wf, runners[i]);
    }
    *out_result = json_integer((json_int_t)first);
    return rc;
}

static const struct flo_module module = {
    .abi = FLO_MODULE_ABI,
    .name = "coroutines",
    .workflows =
        FLO_WORKFLOWS({"Bakery", bakery}, {"Hasty", hasty}, {"Careful", careful}, {"Race", race}),
};

/* ---- the tests ---- */

/* Two ovens of ten seconds bake six orders in thirty; then the last two queue at the till. */
static void test_bakery_uses_its_ovens(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    flo_test_mock(env, "bake", &(struct flo_test_mock){.takes_ms = 10000, .heartbeats = true});
    struct flo_test_workflow *wf = flo_test_start(env, "Bakery", NULL, NULL);
    flo_test_assert_completed(wf, "[0, 1, 2, 3, 4, 5]");
    assert_int_equal(flo_test_elapsed_ms(env), 32 * SECOND_MS);
    flo_test_assert_activities(env, "bake", 6);
    kit_env_end(env);
}

/* The scope's time runs out: the activity is cancelled, hears of it, and the code goes on. */
static void test_scope_times_out(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    flo_test_mock(env, "slow", &(struct flo_test_mock){.takes_ms = 50000, .heartbeats = true});
    flo_test_mock(env, "instead", &(struct flo_test_mock){.result = "\"plan B\""});
    struct flo_test_workflow *wf = flo_test_start(env, "Hasty", NULL, NULL);
    flo_test_assert_completed(wf, "\"plan B\"");
    flo_test_assert_events(wf, "ActivityTaskCanceled", 1);
    assert_in_range(flo_test_elapsed_ms(env), 10 * SECOND_MS, 12 * SECOND_MS);
    flo_test_mock(env, "slow", &(struct flo_test_mock){.result = "\"plan A\"", .takes_ms = 9000});
    struct flo_test_workflow *fast = flo_test_start(env, "Hasty", NULL, NULL);
    flo_test_assert_completed(fast, "\"plan A\"");
    flo_test_assert_events(fast, "TimerCanceled", 1);
    kit_env_end(env);
}

/* Cancelling the workflow reaches a coroutine's activity; the clean-up runs all the same. */
static void test_cancel_reaches_coroutines(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    flo_test_mock(env, "slow", &(struct flo_test_mock){.hangs = true, .heartbeats = true});
    flo_test_mock(env, "instead", &(struct flo_test_mock){.takes_ms = 5000});
    struct flo_test_workflow *wf = flo_test_start(env, "Careful", NULL, NULL);
    flo_test_assert_ok(flo_test_advance(env, 30 * SECOND_MS, &err), &err);
    flo_test_assert_ok(flo_test_cancel(wf, NULL, &err), &err);
    flo_test_assert_ended(wf, FLO_TEST_CANCELLED, NULL);
    flo_test_assert_activities(env, "instead", 1);
    flo_test_assert_events(wf, "ActivityTaskCanceled", 1);
    kit_env_end(env);
}

/* The first of several counts; the others are cancelled. */
static void test_first_of_many(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    flo_test_mock(env, "slow", &(struct flo_test_mock){.takes_ms = 9000});
    flo_test_mock(env, "instead", &(struct flo_test_mock){.takes_ms = 8000});
    struct flo_test_workflow *wf = flo_test_start(env, "Race", NULL, NULL);
    flo_test_assert_completed(wf, "1");
    assert_int_equal(flo_test_elapsed_ms(env), 8000);
    flo_test_mock(env, "slow", &(struct flo_test_mock){.hangs = true});
    flo_test_mock(env, "instead", &(struct flo_test_mock){.takes_ms = 25000, .heartbeats = true});
    wf = flo_test_start(env, "Race", NULL, NULL);
    flo_test_assert_completed(wf, "2");
    assert_int_equal(flo_test_elapsed_ms(env), 28000);
    kit_env_end(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_bakery_uses_its_ovens),
        KIT_TEST(test_scope_times_out),
        KIT_TEST(test_cancel_reaches_coroutines),
        KIT_TEST(test_first_of_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
