/* SPDX-License-Identifier: Apache-2.0 */
/* test_documented.c - what docs/testing-workflows.md shows, to the letter, run against the order
 * workflow that docs/writing-workflows.md shows. */
#include "order_tests.h"
#include "order_workflow.h" /* made of the documents when this is built */
#include "support/cmocka_env.h"

static void test_documented_orders(void **state)
{
    (void)state;
    test_order_is_paid_after_approval();
    test_order_without_approval_gives_back();
    test_order_declined_gives_back();
    test_order_waits_for_approval();
}

/* The mock with a function: five minutes of virtual time. */
static void test_documented_mock(void **state)
{
    struct flo_test_env *env = flo_test_env_new(&flo_module, NULL);
    int charged = 0;
    (void)state;
    flo_test_mock(env, "reserve", &(struct flo_test_mock){0});
    flo_test_mock(env, "release_stock", &(struct flo_test_mock){0});
    play_slow_charge(env, &charged);
    struct flo_test_workflow *order =
        flo_test_start(env, "Order", flo_test_json(env, "{\"items\": [1]}"), NULL);
    flo_test_at(env, 0, approve, order);
    /* The attempt has half a minute, and needs five. */
    flo_test_assert_ended(order, FLO_TEST_FAILED, NULL);
    assert_int_equal(charged, 0);
    flo_test_assert_attempts(env, "charge", 3);
    flo_test_env_destroy(&env);
}

static void test_documented_story(void **state)
{
    struct flo_test_env *env = flo_test_env_new(&flo_module, NULL);
    (void)state;
    flo_test_mock(env, "reserve", &(struct flo_test_mock){0});
    flo_test_mock(env, "release_stock", &(struct flo_test_mock){0});
    struct flo_test_workflow *order =
        flo_test_start(env, "Order", flo_test_json(env, "{\"items\": [1]}"), NULL);
    flo_test_assert_ended(order, FLO_TEST_FAILED, "NotApproved");
    test_order_story(order);
    flo_test_env_destroy(&env);
}

/* ---- a basket, as the document's test of updates has it ---- */

static int on_open(struct flo_workflow *wf, const struct flo_message *message, void *ctx)
{
    (void)wf, (void)message, (void)ctx;
    return 0;
}

static int get_items(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                     json_t **out_result)
{
    (void)wf, (void)message;
    *out_result = json_deep_copy(*(json_t **)ctx);
    return 0;
}

static int do_add(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                  json_t **out_result)
{
    int rc = flo_sleep(wf, 1000);
    json_array_append(*(json_t **)ctx, message->input);
    *out_result = json_integer(5);
    return rc;
}

static int basket(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_t **items = flo_workflow_alloc(wf, sizeof(json_t *));
    (void)input, (void)out_result;
    *items = json_array();
    flo_signal_handle(wf, "open", on_open, items, NULL);
    flo_query_handle(wf, "items", get_items, items, NULL);
    flo_update_handle(wf, "add", NULL, do_add, items, NULL);
    return flo_sleep(wf, 3600 * 1000);
}

static const struct flo_module basket_module = {
    .abi = FLO_MODULE_ABI, .name = "basket", .workflows = FLO_WORKFLOWS({"Basket", basket})};

static void test_documented_updates(void **state)
{
    struct flo_test_env *env = flo_test_env_new(&basket_module, NULL);
    struct flo_test_workflow *wf = flo_test_start(env, "Basket", NULL, NULL);
    (void)state;
    test_two_people_add(env, wf);
    flo_test_assert_completed(wf, "null");
    flo_test_env_destroy(&env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documented_orders),
        cmocka_unit_test(test_documented_mock),
        cmocka_unit_test(test_documented_story),
        cmocka_unit_test(test_documented_updates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
