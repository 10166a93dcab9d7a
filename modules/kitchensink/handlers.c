/* SPDX-License-Identifier: Apache-2.0 */
/* handlers.c - what the workflow answers and does while its steps are at work. */
#include <string.h>

#include "kitchen.h"

/* The steps of a message, in a shield: a handler ends as its steps say, also when the workflow is
 * cancelled meanwhile. What they gave is kept under the message's key. */
static int act(struct kitchen *k, struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_scope_options shield = {.shielded = true};
    const char *key = kitchen_text(input, "key", "");
    json_t *known = json_object_get(k->messages, key), *result = NULL;
    int rc = 0;

    json_incref(
        input);   /* the message goes when its handler has returned; the steps may be longer */
    if (!known) { /* the same message comes twice when its answer was lost on the way */
        struct flo_scope *scope = flo_scope_begin(wf, &shield);
        rc = kitchen_steps(k, wf, json_object_get(input, "steps"), &result);
        int ended = flo_scope_end(wf, scope);
        if (rc == 0)
            rc = ended;
        if (rc == 0 && json_object_set_new(k->messages, key, result))
            rc = FLO_ENOMEM;
        known = result;
    }
    json_decref(input);
    if (rc == 0 && out_result)
        *out_result = json_incref(known);
    return rc;
}

/* ---- signals ---- */

static int on_set(struct flo_workflow *wf, const struct flo_message *message, void *ctx)
{
    return kitchen_run_set(ctx, wf, message->input, NULL);
}

static int on_act(struct flo_workflow *wf, const struct flo_message *message, void *ctx)
{
    return act(ctx, wf, message->input, NULL);
}

static int on_any(struct flo_workflow *wf, const struct flo_message *message, void *ctx)
{
    struct kitchen *k = ctx;
    (void)wf;
    return json_object_set(k->messages, message->name, message->input) ? FLO_ENOMEM : 0;
}

/* ---- updates ---- */

static int may_update(struct flo_workflow *wf, const struct flo_message *message, void *ctx)
{
    (void)ctx;
    if (kitchen_is(message->input, "reject"))
        return flo_workflow_fail(wf, "NotOnTheMenu", true, NULL, "the update is not wanted");
    return 0;
}

static int update_act(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                      json_t **out_result)
{
    int rc = act(ctx, wf, message->input, out_result);
    if (rc == 0 && kitchen_is(message->input, "fail"))
        rc = flo_workflow_fail(wf, "Dropped", true, NULL, "the update fails, as it says");
    return rc;
}

static int update_any(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                      json_t **out_result)
{
    int rc = on_any(wf, message, ctx);
    *out_result = json_incref(message->input);
    return rc;
}

/* ---- queries ---- */

static int get_trace(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                     json_t **out_result)
{
    const struct kitchen *k = ctx;
    (void)wf;
    (void)message;
    *out_result = json_pack("{s:O, s:O}", "trace", k->trace, "messages", k->messages);
    return *out_result ? 0 : FLO_ENOMEM;
}

static int get_progress(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                        json_t **out_result)
{
    const struct kitchen *k = ctx;
    (void)wf;
    (void)message;
    *out_result = json_integer((json_int_t)json_array_size(k->trace));
    return *out_result ? 0 : FLO_ENOMEM;
}

/* What no query may do. */
static int get_greedy(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                      json_t **out_result)
{
    (void)message;
    (void)ctx;
    (void)out_result;
    (void)flo_timer_start(wf, 1);
    return 0;
}

static int get_any(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                   json_t **out_result)
{
    (void)wf;
    (void)ctx;
    *out_result = json_pack("{s:s, s:O}", "query", message->name, "input", message->input);
    return *out_result ? 0 : FLO_ENOMEM;
}

/* ---- all of them ---- */

int kitchen_handlers(struct kitchen *k, struct flo_workflow *wf, const json_t *input)
{
    int rc = flo_signal_handle(wf, "set", on_set, k, NULL);
    if (rc == 0)
        rc = flo_signal_handle(wf, "act", on_act, k, NULL);
    if (rc == 0 && kitchen_is(input, "dynamic"))
        rc = flo_signal_handle(wf, NULL, on_any, k, NULL);
    if (rc == 0)
        rc = flo_update_handle(wf, "act", may_update, update_act, k, NULL);
    if (rc == 0)
        rc = flo_update_handle(wf, NULL, NULL, update_any, k, NULL);
    if (rc == 0)
        rc = flo_query_handle(wf, "trace", get_trace, k, NULL);
    if (rc == 0)
        rc = flo_query_handle(wf, "progress", get_progress, k, NULL);
    if (rc == 0)
        rc = flo_query_handle(wf, "greedy", get_greedy, k, NULL);
    if (rc == 0)
        rc = flo_query_handle(wf, NULL, get_any, k, NULL);
    return rc;
}

struct wish {
    struct flo_workflow *wf;
    const struct kitchen *k;
    const json_t *keys;
};

static bool all_in(void *ctx)
{
    const struct wish *wish = ctx;
    const json_t *key;
    size_t i;
    json_array_foreach(wish->keys, i, key)
    {
        if (!json_object_get(wish->k->messages, json_string_value(key)))
            return false;
    }
    return flo_all_handlers_finished(wish->wf);
}

int kitchen_await_handlers(struct kitchen *k, struct flo_workflow *wf, const json_t *keys)
{
    struct wish wish = {wf, k, keys};
    return flo_await_condition(wf, all_in, &wish, -1);
}
