/* SPDX-License-Identifier: Apache-2.0 */
/*
 * messages.c - a workflow that is steered by signals, asked by queries and changed by updates: for
 * tests with real workers and clients.
 */
#include <string.h>

#include <flotilla/worker.h>

static const struct flo_local_activity_options local = {.start_to_close_ms = 30000};

struct cart {
    json_t *items;   /* array */
    json_t *signals; /* what the handler for all signals saw */
    json_t *address;
    bool paid;
};

static int on_add(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    struct cart *cart = ctx;
    (void)wf;
    json_array_append(cart->items, m->input);
    return 0;
}

static int on_any(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    struct cart *cart = ctx;
    (void)wf;
    json_array_append_new(cart->signals, json_pack("[s,O]", m->name, m->args));
    return 0;
}

static int get_cart(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                    json_t **out_result)
{
    struct cart *cart = ctx;
    (void)wf;
    *out_result =
        json_pack("{s:O, s:O, s:O?, s:b, s:O}", "items", cart->items, "signals", cart->signals,
                  "address", cart->address, "paid", cart->paid, "args", m->args);
    return 0;
}

/* A query that does what it must not. */
static int get_nap(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                   json_t **out_result)
{
    (void)m, (void)ctx, (void)out_result;
    return flo_sleep(wf, 1);
}

static int check_address(struct flo_workflow *wf, const struct flo_message *m, void *ctx)
{
    struct cart *cart = ctx;
    if (cart->paid || !json_is_string(m->input))
        return flo_workflow_fail(wf, "BadAddress", true, m->args, "that is no address");
    return 0;
}

/* Through an activity of the worker, so that the update completes in a later step. */
static int set_address(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                       json_t **out_result)
{
    struct cart *cart = ctx;
    json_t *before = cart->address, *clean;
    int rc = flo_local_activity(wf, "tidy", m->input, &local, &clean);
    if (rc)
        return rc;
    cart->address = clean;
    *out_result = before ? json_incref(before) : json_null();
    return 0;
}

/* Waits as long as it is told, then fails or not: "ok" or else, ms; as arguments or in an array. */
static int take_time(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                     json_t **out_result)
{
    const json_t *args = json_is_array(m->input) ? m->input : m->args;
    const char *how = json_string_value(json_array_get(args, 0));
    (void)ctx;
    int rc = flo_sleep(wf, json_integer_value(json_array_get(args, 1)));
    if (rc)
        return rc;
    if (!how || strcmp(how, "ok") != 0)
        return flo_workflow_fail(wf, "TookTooLong", true, NULL, "so it goes");
    *out_result = json_string(m->id);
    return 0;
}

static int pay(struct flo_workflow *wf, const struct flo_message *m, void *ctx, json_t **out_result)
{
    struct cart *cart = ctx;
    (void)wf, (void)m;
    cart->paid = true;
    *out_result = json_integer((json_int_t)json_array_size(cart->items));
    return 0;
}

static bool is_paid(void *ctx)
{
    return ((struct cart *)ctx)->paid;
}

static int cart_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_handler_options described = {.description = "puts an item into the cart"};
    struct cart *cart = flo_workflow_alloc(wf, sizeof *cart);
    cart->items = json_is_array(input) ? json_deep_copy(input) : json_array();
    cart->signals = json_array();
    flo_signal_handle(wf, "add", on_add, cart, &described);
    flo_signal_handle(wf, NULL, on_any, cart, NULL);
    flo_query_handle(wf, "cart", get_cart, cart, NULL);
    flo_query_handle(wf, "nap", get_nap, cart, NULL);
    flo_update_handle(wf, "set_address", check_address, set_address, cart, NULL);
    flo_update_handle(wf, "take_time", NULL, take_time, cart, NULL);
    flo_update_handle(wf, "pay", NULL, pay, cart, NULL);
    flo_workflow_set_details(wf, "waits to be **paid**");
    int rc = flo_await_condition(wf, is_paid, cart, -1);
    if (rc == 0)
        rc = flo_handlers_await(wf, -1);
    flo_workflow_set_details(wf, "paid");
    *out_result = json_incref(cart->items);
    return rc;
}

/* Ends by a signal, whatever its handlers do. */
static int hasty_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    flo_update_handle(wf, "take_time", NULL, take_time, NULL, NULL);
    return flo_signal_await(wf, "end", -1, out_result);
}

static int get_id(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                  json_t **out_result)
{
    (void)wf, (void)ctx;
    *out_result = json_string(m->id);
    return 0;
}

/* Ends in its first task. */
static int brief_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    *out_result = json_incref(input);
    flo_update_handle(wf, "id", NULL, get_id, NULL, NULL);
    flo_update_handle(wf, "take_time", NULL, take_time, NULL, NULL);
    return 0;
}

/* Without a handler for what comes: it takes its signals itself. */
static int plain_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_future *never = flo_timer_start(wf, 3600 * 1000);
    (void)input;
    int rc = flo_signal_await(wf, "end", -1, out_result);
    flo_future_cancel(wf, never);
    return rc;
}

static int tidy(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)ctx;
    *out_result = json_incref(input);
    return 0;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "messages",
    .workflows = FLO_WORKFLOWS({"Cart", cart_workflow}, {"Hasty", hasty_workflow},
                               {"Plain", plain_workflow}, {"Brief", brief_workflow}),
    .activities = FLO_ACTIVITIES({"tidy", tidy}),
};
