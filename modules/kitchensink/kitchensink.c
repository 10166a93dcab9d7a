/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kitchensink.c - the workflow KitchenSink and its module. The steps of its input are run one after
 * the other; some end it: "return", "fail", "cancelled", "continue". Its result is what each step
 * gave and what the handlers of messages did.
 */
#include <string.h>

#include "kitchen.h"

/* A member of the state that the run before left behind, or an empty one; a reference of k's. */
static json_t *carried(const json_t *input, const char *name, json_t *fresh)
{
    json_t *value = json_object_get(json_object_get(input, "carry"), name);
    if (!value)
        return fresh;
    json_decref(fresh);
    return json_incref(value);
}

static struct kitchen *new_kitchen(struct flo_workflow *wf, const json_t *input)
{
    struct kitchen *k = flo_workflow_alloc(wf, sizeof *k);
    if (!k)
        return NULL;
    k->vars = carried(input, "vars", json_object());
    k->messages = carried(input, "messages", json_object());
    k->trace = carried(input, "trace", json_array());
    return k->vars && k->messages && k->trace ? k : NULL;
}

/* What the end waits for, cancelled or not. */
static int finish(struct kitchen *k, struct flo_workflow *wf, const json_t *keys)
{
    flo_cancel_shield(wf, true);
    int rc = kitchen_await_handlers(k, wf, keys);
    flo_cancel_shield(wf, false);
    return rc;
}

static int give(struct kitchen *k, struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    int rc = finish(k, wf, json_object_get(input, "expect"));
    if (rc == 0)
        *out_result = json_pack("{s:O, s:O}", "trace", k->trace, "messages", k->messages);
    return rc;
}

/* The steps after this one are the next run's, and what there is until now. */
static int go_on(struct kitchen *k, struct flo_workflow *wf, json_t *input, size_t from)
{
    const json_t *steps = json_object_get(input, "steps");
    json_t *next = json_copy(input), *rest = json_array();
    int rc = finish(k, wf, NULL);
    if (rc)
        return rc;
    for (size_t i = from; i < json_array_size(steps); i++)
        json_array_append(rest, json_array_get(steps, i));
    json_object_set_new(next, "steps", rest);
    json_object_set_new(
        next, "carry",
        json_pack("{s:O, s:O, s:O}", "vars", k->vars, "messages", k->messages, "trace", k->trace));
    return flo_continue_as_new(wf, next, NULL);
}

static int fail(struct kitchen *k, struct flo_workflow *wf, json_t *input, json_t *step)
{
    int rc = finish(k, wf, json_object_get(input, "expect"));
    if (rc)
        return rc;
    return flo_workflow_fail(wf, kitchen_text(step, "type", "Burnt"), kitchen_is(step, "fatal"),
                             json_object_get(step, "details"), "%s",
                             kitchen_text(step, "message", "as the step says"));
}

/* Steps that end the run: 0 when this is none, else 1 with *out_rc, what the run returns. */
static int ends(struct kitchen *k, struct flo_workflow *wf, json_t *input, size_t i, int *out_rc)
{
    json_t *step = json_array_get(json_object_get(input, "steps"), i);
    const char *what = kitchen_text(step, "do", "");
    if (strcmp(what, "continue") == 0)
        *out_rc = go_on(k, wf, input, i + 1);
    else if (strcmp(what, "fail") == 0 &&
             flo_workflow_info(wf)->attempt <= kitchen_number(step, "attempts", INT32_MAX))
        *out_rc = fail(k, wf, input, step);
    else if (strcmp(what, "cancelled") == 0)
        *out_rc = FLO_ECANCELLED;
    else if (strcmp(what, "return") == 0)
        *out_rc = 0;
    else
        return 0;
    return 1;
}

static int kitchen_sink(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct kitchen *k = new_kitchen(wf, input);
    json_t *steps = json_object_get(input, "steps"), *step;
    size_t i;
    int rc = k ? kitchen_handlers(k, wf, input) : FLO_ENOMEM;
    if (rc == 0 && !json_is_array(steps))
        rc = kitchen_refuse(wf, "the input needs a list of steps", input);
    json_array_foreach(steps, i, step)
    {
        json_t *result = NULL;
        if (rc)
            break;
        if (ends(k, wf, input, i, &rc)) {
            if (rc)
                return rc;
            break;
        }
        if (strcmp(kitchen_text(step, "do", ""), "fail") != 0) /* its attempts are over */
            rc = kitchen_step(k, wf, step, &result);
        if (rc == 0 && json_array_append_new(k->trace, result ? result : json_null()))
            rc = FLO_ENOMEM;
    }
    return rc ? rc : give(k, wf, input, out_result);
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "kitchensink",
    .workflows = FLO_WORKFLOWS({"KitchenSink", kitchen_sink}),
    .activities = FLO_ACTIVITIES({"cook", kitchen_cook}),
};
