/* SPDX-License-Identifier: Apache-2.0 */
/* entities.c - workflows for tests: children, external executions, continuing as a new run,
 * patches, side effects, search attributes and the memo, failures. */
#include <stdio.h>
#include <string.h>

#include "flotilla/worker.h"
#include "flotilla/workflow.h"

/* Does as its input says: {"do": "echo" | "fail" | "wait" | "stay", "value": ...}. */
static int kid_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const char *todo = json_string_value(json_object_get(input, "do"));
    json_t *value = json_object_get(input, "value");
    int rc = 0;
    if (strcmp(todo, "fail") == 0)
        return flo_workflow_fail(wf, "KidBroke", true, value, "as it was told");
    if (strcmp(todo, "wait") == 0)
        return flo_signal_await(wf, "go", 60000, out_result);
    if (strcmp(todo, "stay") == 0)
        rc = flo_sleep(wf, 3600 * 1000);
    if (rc)
        return rc;
    *out_result = json_pack("{s:O?, s:s, s:s}", "value", value, "parent",
                            flo_workflow_info(wf)->parent_workflow_id, "memo",
                            json_string_value(flo_memo_get(wf, "note")) ? "memo" : "");
    return 0;
}

static json_t *told(const char *todo, int value)
{
    return json_pack("{s:s, s:i}", "do", todo, "value", value);
}

static int completes(struct flo_workflow *wf, json_t *out)
{
    json_t *memo = json_pack("{s:s}", "note", "from the parent"), *result, *input = told("echo", 7);
    const struct flo_child_options options = {.memo = memo, .summary = "a child"};
    int rc = flo_child(wf, "Kid", input, &options, &result);
    return rc ? rc : json_object_set_new(out, "completes", result);
}

static int fails(struct flo_workflow *wf, json_t *out)
{
    json_t *input = told("fail", 3), *detail;
    struct flo_failure_link link;
    unsigned depth;
    int rc = flo_child(wf, "Kid", input, NULL, NULL);
    if (rc != FLO_EFAILED || !flo_failure_find(wf, FLO_FAILURE_APPLICATION, &link, &depth))
        return FLO_EIO;
    rc = flo_failure_detail(wf, depth, 0, &detail);
    return rc ? rc
              : json_object_set_new(out, "fails",
                                    json_pack("[s,o,i]", link.type, detail, (int)depth));
}

/* Started, signalled, and a second one of the same id meanwhile. */
static int signalled(struct flo_workflow *wf, json_t *out)
{
    char id[200];
    json_t *wait = told("wait", 0), *result;
    snprintf(id, sizeof id, "%s-kid", flo_workflow_info(wf)->workflow_id);
    const struct flo_child_options options = {.workflow_id = id};
    struct flo_child *child = flo_child_start(wf, "Kid", wait, &options);
    int rc = flo_await(wf, flo_child_started(child), NULL);
    if (rc)
        return rc;
    int second = flo_child(wf, "Kid", wait, &options, NULL);
    const char *type = flo_failure_type_name(wf);
    json_t *found = json_pack("[i,s]", second, type);
    rc = flo_child_signal(wf, child, "go", found);
    if (rc == 0)
        rc = flo_await(wf, flo_child_result(child), &result);
    return rc ? rc : json_object_set_new(out, "signalled", result);
}

static int cancelled(struct flo_workflow *wf, json_t *out)
{
    static const enum flo_child_cancellation ways[] = {FLO_CHILD_CANCEL_WAIT, FLO_CHILD_CANCEL_TRY,
                                                       FLO_CHILD_CANCEL_WAIT_REQUESTED,
                                                       FLO_CHILD_CANCEL_ABANDON};
    json_t *codes = json_array(), *stay = told("stay", 0);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        const struct flo_child_options options = {.cancellation = ways[i]};
        struct flo_child *child = flo_child_start(wf, "Kid", stay, &options);
        int rc = flo_await(wf, flo_child_started(child), NULL);
        if (rc)
            return rc;
        flo_child_cancel(wf, child, "enough");
        rc = flo_await(wf, flo_child_result(child), NULL);
        json_array_append_new(codes, json_integer(rc));
    }
    return json_object_set_new(out, "cancelled", codes);
}

/* Executions that are no children: one that is not there, and the one that input names. */
static int external(struct flo_workflow *wf, json_t *input, json_t *out)
{
    const char *other = json_string_value(input);
    json_t *codes = json_array();
    json_array_append_new(codes, json_integer(flo_signal_external(wf, "nobody", NULL, "go", NULL)));
    json_array_append_new(codes, json_integer(flo_cancel_external(wf, "nobody", NULL, NULL)));
    json_array_append_new(codes, json_integer(flo_signal_external(wf, other, NULL, "add", input)));
    json_array_append_new(codes, json_integer(flo_cancel_external(wf, other, NULL, "done")));
    return json_object_set_new(out, "external", codes);
}

static int parent_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_t *out = json_object();
    int rc = completes(wf, out);
    if (rc == 0)
        rc = fails(wf, out);
    if (rc == 0)
        rc = signalled(wf, out);
    if (rc == 0)
        rc = cancelled(wf, out);
    if (rc == 0)
        rc = external(wf, input, out);
    *out_result = out;
    return rc;
}

/* Until it is cancelled; says what it was told. */
static int other_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input, (void)out_result;
    int rc = flo_signal_await(wf, "add", -1, NULL);
    return rc ? rc : flo_sleep(wf, 3600 * 1000);
}

static json_t *roll(void *ctx)
{
    (void)ctx;
    return json_integer(4711);
}

/* Runs of it: {"left": how many more}. Each says in the memo and in a search attribute how many are
 * left, is patched, and takes values from outside. */
static int counter_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_int_t left = json_integer_value(json_object_get(input, "left"));
    json_t *changes = json_pack("{s:I}", "left", left), *dice, *limit, *next;
    bool first = flo_patched(wf, "first"), second;
    int rc = flo_memo_upsert(wf, changes);
    if (rc == 0)
        rc = flo_search_attributes_upsert(wf, FLO_ATTRIBUTES(FLO_INT("Left", left)));
    if (rc == 0)
        rc = flo_side_effect(wf, roll, NULL, &dice);
    if (rc == 0)
        rc = flo_sleep(wf, 10);
    second = flo_patched(wf, "second");
    for (int i = 0; rc == 0 && i < 3; i++) {
        rc = flo_mutable_side_effect(wf, "limit", roll, NULL, NULL, &limit);
        if (rc == 0)
            rc = flo_sleep(wf, 10);
    }
    if (rc)
        return rc;
    next = json_pack("{s:I}", "left", left - 1);
    if (left > 0)
        return flo_continue_as_new(wf, next, NULL);
    struct flo_search_attribute attribute;
    if (!flo_search_attribute_get(wf, "Left", &attribute))
        return FLO_EIO;
    *out_result = json_pack(
        "[b,b,o,o,I,O,s]", (int)first, (int)second, dice, limit, (json_int_t)attribute.integer,
        flo_memo_get(wf, "start"),
        strcmp(flo_workflow_info(wf)->first_run_id, flo_workflow_info(wf)->run_id) ? "continued"
                                                                                   : "first");
    return 0;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "entities",
    .workflows = FLO_WORKFLOWS({"Parent", parent_workflow}, {"Kid", kid_workflow},
                               {"Other", other_workflow}, {"Counter", counter_workflow}),
};
