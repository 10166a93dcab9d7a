/* SPDX-License-Identifier: Apache-2.0 */
/* test_messages.c - signals, queries and updates of workflows, as a test sends them. */
#include <string.h>

#include "support/testing_kit.h"

#define HOUR_MS (INT64_C(3600) * 1000)

static struct flo_err err;

/* ---- a basket: things are put in by signal and update, looked at by query, until it is paid ----
 */

struct basket {
    json_t *items;
    int limit;
    bool paid;
};

static const struct flo_activity_options quick = {.start_to_close_ms = 10000};

static int on_put(struct flo_workflow *wf, const struct flo_message *message, void *ctx)
{
    struct basket *basket = ctx;
    (void)wf;
    json_array_append(basket->items, message->input);
    return 0;
}

static int on_other(struct flo_workflow *wf, const struct flo_message *message, void *ctx)
{
    struct basket *basket = ctx;
    (void)wf;
    json_array_append_new(basket->items, json_sprintf("signal %s", message->name));
    return 0;
}

static int get_items(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                     json_t **out_result)
{
    const struct basket *basket = ctx;
    (void)wf, (void)message;
    *out_result = json_deep_copy(basket->items);
    return 0;
}

/* What no query may do. */
static int bad_query(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                     json_t **out_result)
{
    (void)message, (void)ctx;
    return flo_activity(wf, "price", NULL, &quick, out_result);
}

static int check_add(struct flo_workflow *wf, const struct flo_message *message, void *ctx)
{
    const struct basket *basket = ctx;
    if (!json_is_string(message->input))
        return flo_workflow_fail(wf, "BadItem", true, NULL, "an item is a text");
    if ((int)json_array_size(basket->items) >= basket->limit)
        return flo_workflow_fail(wf, "Full", true, NULL, "the basket is full");
    return 0;
}

static int do_add(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                  json_t **out_result)
{
    struct basket *basket = ctx;
    json_t *price;
    int rc = flo_activity(wf, "price", message->input, &quick, &price);
    if (rc)
        return rc;
    rc = flo_sleep(wf, HOUR_MS);
    if (rc)
        return rc;
    json_array_append(basket->items, message->input);
    *out_result = price;
    return 0;
}

static int on_pay(struct flo_workflow *wf, const struct flo_message *message, void *ctx)
{
    struct basket *basket = ctx;
    (void)wf, (void)message;
    basket->paid = true;
    return 0;
}

static bool paid(void *ctx)
{
    const struct basket *basket = ctx;
    return basket->paid;
}

static int basket_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct basket *basket = flo_workflow_alloc(wf, sizeof *basket);
    basket->items = json_array();
    basket->limit = json_is_integer(input) ? (int)json_integer_value(input) : 3;
    flo_query_handle(wf, "items", get_items, basket, NULL);
    flo_query_handle(wf, "bad", bad_query, basket, NULL);
    flo_signal_handle(wf, "put", on_put, basket, NULL);
    flo_signal_handle(wf, "pay", on_pay, basket, NULL);
    flo_signal_handle(wf, NULL, on_other, basket, NULL);
    flo_update_handle(wf, "add", check_add, do_add, basket, NULL);
    int rc = flo_await_condition(wf, paid, basket, -1);
    if (rc == 0)
        rc = flo_handlers_await(wf, -1);
    *out_result = json_deep_copy(basket->items);
    return rc;
}

/* Registers its handlers late: what came before is kept. */
static int late_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    int rc = flo_sleep(wf, HOUR_MS);
    return rc ? rc : basket_workflow(wf, input, out_result);
}

static const struct flo_module module = {
    .abi = FLO_MODULE_ABI,
    .name = "messages",
    .workflows = FLO_WORKFLOWS({"Basket", basket_workflow}, {"Late", late_workflow}),
};

static struct flo_test_workflow *begin(struct flo_test_env *env, const char *type)
{
    struct flo_test_workflow *wf = flo_test_start(env, type, NULL, NULL);
    flo_test_mock(env, "price", &(struct flo_test_mock){.result = "5"});
    flo_test_assert_ok(flo_test_advance(env, 0, &err), &err);
    return wf;
}

static void put(struct flo_test_workflow *wf, struct flo_test_env *env, const char *item)
{
    flo_test_assert_ok(flo_test_signal(wf, "put", flo_test_json(env, item), &err), &err);
}

static void pay(struct flo_test_workflow *wf)
{
    flo_test_assert_ok(flo_test_signal(wf, "pay", NULL, &err), &err);
}

/* ---- signals and queries ---- */

/* Handlers take signals in their order; queries see it, also when the workflow has ended. */
static void test_signals_are_handled_in_order(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    struct flo_test_workflow *wf = begin(env, "Basket");
    flo_test_assert_query(wf, "items", "[]");
    put(wf, env, "\"tea\"");
    put(wf, env, "\"cup\"");
    flo_test_assert_query(wf, "items", "[\"tea\", \"cup\"]");
    flo_test_assert_ok(flo_test_signal(wf, "wave", NULL, &err), &err);
    pay(wf);
    flo_test_assert_completed(wf, "[\"tea\", \"cup\", \"signal wave\"]");
    flo_test_assert_query(wf, "items", "[\"tea\", \"cup\", \"signal wave\"]");
    kit_env_end(env);
}

/* Signals that come before their handler wait for it, through a timer, too. */
static void test_signals_wait_for_their_handler(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    struct flo_test_workflow *wf = begin(env, "Late");
    put(wf, env, "1");
    assert_int_equal(flo_test_advance(env, HOUR_MS / 2, &err), 0);
    put(wf, env, "2");
    pay(wf);
    flo_test_assert_completed(wf, "[1, 2]");
    assert_int_equal(flo_test_elapsed_ms(env), HOUR_MS);
    kit_env_end(env);
}

/* A signal can start the workflow. */
static void test_signal_with_start(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    struct flo_test_workflow *wf =
        flo_test_start(env, "Basket", NULL,
                       &(struct flo_test_start_options){
                           .signal = "put", .signal_input = flo_test_json(env, "\"tea\"")});
    pay(wf);
    flo_test_assert_completed(wf, "[\"tea\"]");
    kit_env_end(env);
}

/* A query that does not exist, or does what none may, fails; the workflow goes on. */
static void test_query_fails_alone(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    struct flo_test_workflow *wf = begin(env, "Basket");
    assert_int_equal(flo_test_query(wf, "nothing", NULL, NULL, &err), FLO_EFAILED);
    assert_int_equal(flo_test_query(wf, "bad", NULL, NULL, &err), FLO_EFAILED);
    flo_test_assert_query(wf, "items", "[]");
    json_t *stack = NULL;
    assert_int_equal(flo_test_query(wf, "__stack_trace", NULL, &stack, &err), 0);
    assert_non_null(strstr(json_string_value(stack), "main"));
    pay(wf);
    flo_test_assert_completed(wf, "[]");
    flo_test_assert_attempts(env, "price", 0);
    kit_env_end(env);
}

/* ---- updates ---- */

/* An update runs its handler, which may wait, and gives its result. */
static void test_update_gives_its_result(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    struct flo_test_workflow *wf = begin(env, "Basket");
    json_t *price = NULL;
    flo_test_assert_ok(flo_test_update(wf, "add", flo_test_json(env, "\"tea\""), &price, &err),
                       &err);
    assert_int_equal(json_integer_value(price), 5);
    assert_int_equal(flo_test_elapsed_ms(env), HOUR_MS);
    flo_test_assert_query(wf, "items", "[\"tea\"]");
    flo_test_assert_events(wf, "WorkflowExecutionUpdateAccepted", 1);
    flo_test_assert_events(wf, "WorkflowExecutionUpdateCompleted", 1);
    pay(wf);
    flo_test_assert_completed(wf, "[\"tea\"]");
    kit_env_end(env);
}

/* A validator's no leaves nothing in the history. */
static void test_update_rejected_leaves_nothing(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    struct flo_test_workflow *wf = begin(env, "Basket");
    size_t before = json_array_size(flo_test_history(wf));
    assert_int_equal(flo_test_update(wf, "add", flo_test_json(env, "7"), NULL, &err), FLO_EFAILED);
    assert_non_null(strstr(err.message, "BadItem"));
    assert_int_equal(flo_test_update(wf, "nothing", NULL, NULL, &err), FLO_EFAILED);
    assert_int_equal(json_array_size(flo_test_history(wf)), before);
    pay(wf);
    flo_test_assert_completed(wf, "[]");
    assert_int_equal(flo_test_update(wf, "add", NULL, NULL, &err), FLO_ENOENT);
    kit_env_end(env);
}

/* Several at a time, and one name only once; the workflow waits for those that are at work. */
static void test_updates_run_side_by_side(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    struct flo_test_workflow *wf = begin(env, "Basket");
    json_t *tea = flo_test_json(env, "\"tea\""), *cup = flo_test_json(env, "\"cup\"");
    struct flo_test_update *first = flo_test_update_start(wf, "add", "u-1", tea);
    struct flo_test_update *again = flo_test_update_start(wf, "add", "u-1", tea);
    struct flo_test_update *second = flo_test_update_start(wf, "add", NULL, cup);
    assert_int_equal(flo_test_update_stage(first), FLO_TEST_UPDATE_SENT);
    assert_int_equal(flo_test_advance(env, HOUR_MS / 2, &err), 0);
    assert_int_equal(flo_test_update_stage(first), FLO_TEST_UPDATE_ACCEPTED);
    pay(wf);
    flo_test_assert_completed(wf, "[\"tea\", \"cup\"]");
    assert_int_equal(flo_test_elapsed_ms(env), HOUR_MS);
    assert_int_equal(flo_test_update_result(first, NULL, &err), 0);
    assert_int_equal(flo_test_update_result(again, NULL, &err), 0);
    assert_int_equal(flo_test_update_result(second, NULL, &err), 0);
    flo_test_assert_attempts(env, "price", 2);
    kit_env_end(env);
}

/* An update that comes before its handler, when the workflow waits already, is rejected. */
static void test_update_without_handler_is_rejected(void **state)
{
    struct flo_test_env *env = kit_env(state, &module);
    struct flo_test_workflow *wf = begin(env, "Late");
    assert_int_equal(flo_test_update(wf, "add", flo_test_json(env, "\"tea\""), NULL, &err),
                     FLO_EFAILED);
    pay(wf);
    flo_test_assert_completed(wf, "[]");
    kit_env_end(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_signals_are_handled_in_order),
        KIT_TEST(test_signals_wait_for_their_handler),
        KIT_TEST(test_signal_with_start),
        KIT_TEST(test_query_fails_alone),
        KIT_TEST(test_update_gives_its_result),
        KIT_TEST(test_update_rejected_leaves_nothing),
        KIT_TEST(test_updates_run_side_by_side),
        KIT_TEST(test_update_without_handler_is_rejected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
