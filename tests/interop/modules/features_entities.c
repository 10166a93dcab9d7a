/* SPDX-License-Identifier: Apache-2.0 */
/*
 * features_entities.c - children, other executions, continuing as a new run, values from outside,
 * attributes, what a workflow knows about itself.
 */
#include <flotilla/worker.h>
#include <stdio.h>
#include <string.h>

/* ---- children ---- */

/* Does as its input says: "fail", "go" (waits for that signal), "stay", or anything to echo. */
static int kid(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const char *todo = json_string_value(input);
    if (todo && strcmp(todo, "fail") == 0)
        return flo_workflow_fail(wf, "KidBroke", true, input, "as it was told");
    if (todo && strcmp(todo, "go") == 0)
        return flo_signal_await(wf, "go", -1, out_result);
    if (todo && strcmp(todo, "stay") == 0)
        return flo_sleep(wf, 3600000);
    *out_result = json_incref(input);
    return 0;
}

static const char *kid_id(struct flo_workflow *wf, const char *name)
{
    char *id = flo_workflow_alloc(wf, 300);
    snprintf(id, 300, "%s-%s", flo_workflow_info(wf)->workflow_id, name);
    return id;
}

/* With every option; one that fails; one that is started, signalled and ends. */
static int children(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_retry_policy retry = {.maximum_attempts = 3};
    json_t *memo = json_pack("{s:s}", "note", "from the parent"), *echoed, *signalled, *detail;
    const struct flo_child_options options = {
        .workflow_id = kid_id(wf, "all"),
        .execution_timeout_ms = 300000,
        .run_timeout_ms = 200000,
        .task_timeout_ms = 20000,
        .retry = &retry,
        .parent_close = FLO_PARENT_CLOSE_CANCEL,
        .memo = memo,
        .attributes = FLO_ATTRIBUTES(FLO_KEYWORD("FeatureKeyword", "child")),
        .priority = {.priority_key = 4},
        .summary = "a child",
        .details = "with *everything*"};
    struct flo_failure_link link;
    unsigned depth;
    int rc = flo_child(wf, "Kid", input, &options, &echoed);
    if (rc)
        return rc;
    int failed = flo_child(wf, "Kid", json_string("fail"), NULL, NULL);
    if (!flo_failure_find(wf, FLO_FAILURE_APPLICATION, &link, &depth))
        return FLO_EIO;
    json_t *type = json_string(link.type);
    rc = flo_failure_detail(wf, depth, 0, &detail);
    struct flo_child *child = flo_child_start(wf, "Kid", json_string("go"), NULL);
    if (rc == 0)
        rc = flo_await(wf, flo_child_started(child), NULL);
    if (rc == 0)
        rc = flo_child_signal(wf, child, "go", input);
    if (rc == 0)
        rc = flo_await(wf, flo_child_result(child), &signalled);
    if (rc)
        return rc;
    bool known = strlen(flo_child_run_id(child)) == 36;
    *out_result = json_pack("[o,i,o,o,o,b]", echoed, failed, type, detail, signalled, (int)known);
    return 0;
}

static int child_cancel(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static const struct {
        const char *name;
        enum flo_child_cancellation how;
    } ways[] = {{"wait", FLO_CHILD_CANCEL_WAIT},
                {"try", FLO_CHILD_CANCEL_TRY},
                {"requested", FLO_CHILD_CANCEL_WAIT_REQUESTED},
                {"abandon", FLO_CHILD_CANCEL_ABANDON}};
    json_t *codes = json_array();
    (void)input;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        const struct flo_child_options options = {.workflow_id = kid_id(wf, ways[i].name),
                                                  .parent_close = FLO_PARENT_CLOSE_TERMINATE,
                                                  .cancellation = ways[i].how};
        struct flo_child *child = flo_child_start(wf, "Kid", json_string("stay"), &options);
        int rc = flo_await(wf, flo_child_started(child), NULL);
        if (rc)
            return rc;
        flo_child_cancel(wf, child, "enough");
        json_array_append_new(codes, json_integer(flo_await(wf, flo_child_result(child), NULL)));
    }
    struct flo_child *unsent = flo_child_start(wf, "Kid", json_string("stay"), NULL);
    flo_child_cancel(wf, unsent, NULL);
    json_array_append_new(codes, json_integer(flo_await(wf, flo_child_result(unsent), NULL)));
    *out_result = codes;
    return 0;
}

/* Leaves three children behind, one for each policy. */
static int parent_close(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static const struct {
        const char *name;
        enum flo_parent_close policy;
    } ways[] = {{"terminate", FLO_PARENT_CLOSE_TERMINATE},
                {"abandon", FLO_PARENT_CLOSE_ABANDON},
                {"cancel", FLO_PARENT_CLOSE_CANCEL}};
    (void)input, (void)out_result;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        const struct flo_child_options options = {.workflow_id = kid_id(wf, ways[i].name),
                                                  .parent_close = ways[i].policy};
        struct flo_child *child = flo_child_start(wf, "Kid", json_string("go"), &options);
        int rc = flo_await(wf, flo_child_started(child), NULL);
        if (rc)
            return rc;
    }
    return 0;
}

/* An id that is used again: by one that completed, by one that failed, by one that is open. */
static int child_ids(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static const struct {
        const char *name, *todo;
        enum flo_id_reuse reuse;
    } tries[] = {
        {"ok", "hello", FLO_ID_ALLOW_DUPLICATE},   {"ok", "hello", FLO_ID_ALLOW_DUPLICATE},
        {"ok", "hello", FLO_ID_ALLOW_FAILED_ONLY}, {"ok", "hello", FLO_ID_REJECT_DUPLICATE},
        {"bad", "fail", FLO_ID_ALLOW_DUPLICATE},   {"bad", "hello", FLO_ID_ALLOW_FAILED_ONLY}};
    json_t *codes = json_array();
    (void)input;
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        const struct flo_child_options options = {.workflow_id = kid_id(wf, tries[i].name),
                                                  .id_reuse = tries[i].reuse};
        int rc = flo_child(wf, "Kid", json_string(tries[i].todo), &options, NULL);
        json_array_append_new(codes, json_integer(rc));
    }
    const struct flo_child_options open = {.workflow_id = kid_id(wf, "open")};
    const struct flo_child_options takes = {.workflow_id = kid_id(wf, "open"),
                                            .id_reuse = FLO_ID_TERMINATE_IF_RUNNING};
    struct flo_child *first = flo_child_start(wf, "Kid", json_string("go"), &open);
    int rc = flo_await(wf, flo_child_started(first), NULL);
    json_array_append_new(codes, json_integer(flo_child(wf, "Kid", NULL, &open, NULL)));
    json_array_append_new(codes, json_integer(flo_child(wf, "Kid", NULL, &takes, NULL)));
    json_array_append_new(codes, json_integer(flo_await(wf, flo_child_result(first), NULL)));
    *out_result = codes;
    return rc;
}

/* ---- other executions ---- */

/* Another one, which input names, and one that is not there. */
static int external(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const char *other = json_string_value(input);
    struct flo_future *pending = flo_signal_external_start(wf, other, NULL, "add", input);
    int nobody = flo_signal_external(wf, "nobody", NULL, "add", NULL);
    json_t *type = json_string(flo_failure_type_name(wf));
    int no_cancel = flo_cancel_external(wf, "nobody", NULL, NULL);
    int sent = flo_await(wf, pending, NULL);
    int cancelled = flo_cancel_external(wf, other, NULL, "no longer needed");
    *out_result = json_pack("[i,o,i,i,i]", nobody, type, no_cancel, sent, cancelled);
    return 0;
}

static int other(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input, (void)out_result;
    int rc = flo_signal_await(wf, "add", -1, NULL);
    return rc ? rc : flo_sleep(wf, 3600000);
}

/* ---- continuing ---- */

static json_t *four(void *ctx)
{
    return json_integer(4 + *(int *)ctx);
}

/* {"left": n}: so many more runs. The last one says how it came about. */
static int continues(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_workflow_info *info = flo_workflow_info(wf);
    json_int_t left = json_integer_value(json_object_get(input, "left"));
    json_t *next = json_pack("{s:I}", "left", left - 1), *memo = json_pack("{s:I}", "left", left);
    const struct flo_retry_policy retry = {.maximum_attempts = 2};
    const struct flo_continue_options options = {
        .run_timeout_ms = 100000 + left, .task_timeout_ms = 5000, .retry = &retry, .memo = memo};
    int rc = flo_sleep(wf, 5);
    if (rc)
        return rc;
    if (left > 0)
        return flo_continue_as_new(wf, next, left % 2 ? &options : NULL);
    *out_result = json_pack("[b,b,I,O?]", (int)(strcmp(info->first_run_id, info->run_id) != 0),
                            (int)(strlen(info->continued_run_id) == 36),
                            (json_int_t)info->run_timeout_ms, flo_memo_get(wf, "left"));
    return 0;
}

/* Fills its history until the server suggests to continue; the second run says so. */
static int long_one(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    int zero = 0, rc = 0;
    if (json_is_true(input)) {
        *out_result = json_pack("[b]", (int)flo_workflow_info(wf)->continue_as_new_suggested);
        return 0;
    }
    while (!flo_workflow_info(wf)->continue_as_new_suggested && rc == 0) {
        for (int i = 0; i < 1050 && rc == 0; i++)
            rc = flo_side_effect(wf, four, &zero, NULL);
        if (rc == 0)
            rc = flo_sleep(wf, 1);
    }
    return rc ? rc : flo_continue_as_new(wf, json_true(), NULL);
}

/* ---- values from outside ---- */

struct values {
    json_t *seen;
};

static int get_values(struct flo_workflow *wf, const struct flo_message *m, void *ctx,
                      json_t **out_result)
{
    (void)wf, (void)m;
    *out_result = json_incref(((struct values *)ctx)->seen);
    return 0;
}

static void add_random(struct flo_workflow *wf, json_t *seen)
{
    char uuid[37], number[32];
    flo_workflow_uuid(wf, uuid);
    snprintf(number, sizeof number, "%llu", (unsigned long long)flo_workflow_random(wf));
    json_array_append_new(seen, json_string(uuid));
    json_array_append_new(seen, json_string(number));
    json_array_append_new(seen, json_integer(flo_workflow_now_ms(wf)));
}

/* Everything that could differ from replay to replay; the query asks for it. */
static int values_from_outside(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct values *values = flo_workflow_alloc(wf, sizeof *values);
    int drift = 0, rc = 0;
    (void)input;
    values->seen = json_array();
    flo_query_handle(wf, "values", get_values, values, NULL);
    for (int i = 0; i < 3 && rc == 0; i++) {
        json_t *once, *often;
        rc = flo_side_effect(wf, four, &drift, &once);
        drift = i / 2; /* 0, 0, 1: two records for the mutable one */
        if (rc == 0)
            rc = flo_mutable_side_effect(wf, "limit", four, &drift, NULL, &often);
        if (rc)
            return rc;
        json_array_append_new(values->seen, once);
        json_array_append_new(values->seen, often);
        add_random(wf, values->seen);
        rc = flo_sleep(wf, 5);
    }
    if (rc == 0)
        rc = flo_signal_await(wf, "end", -1, NULL);
    *out_result = json_incref(values->seen);
    return rc;
}

/* ---- attributes and the memo ---- */

static json_t *attribute(struct flo_workflow *wf, const char *name)
{
    struct flo_search_attribute a;
    if (!flo_search_attribute_get(wf, name, &a))
        return json_null();
    switch (a.kind) {
    case FLO_ATTRIBUTE_INT:
        return json_integer(a.integer);
    case FLO_ATTRIBUTE_DOUBLE:
        return json_real(a.number);
    case FLO_ATTRIBUTE_BOOL:
        return json_boolean(a.truth);
    case FLO_ATTRIBUTE_DATETIME:
        return json_integer(a.time_ms);
    case FLO_ATTRIBUTE_KEYWORD_LIST:
        return json_pack("[s,s]", a.list[0], a.list[1]);
    default:
        return json_string(a.text);
    }
}

static int attributes(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static const char *const list[] = {"one", "two", NULL};
    json_t *seen = json_array(), *memo = json_pack("{s:s, s:n}", "stage", "shipping", "start");
    (void)input;
    json_array_append_new(seen, attribute(wf, "FeatureKeyword"));
    int rc = flo_search_attributes_upsert(
        wf,
        FLO_ATTRIBUTES(FLO_KEYWORD("FeatureKeyword", "new"), FLO_TEXT("FeatureText", "two words"),
                       FLO_INT("FeatureInt", 7), FLO_DOUBLE("FeatureDouble", 0.5),
                       FLO_BOOL("FeatureBool", true), FLO_DATETIME("FeatureTime", 1700000000000),
                       FLO_KEYWORDS("FeatureList", list)));
    if (rc == 0)
        rc = flo_sleep(wf, 5);
    if (rc)
        return rc;
    static const char *const names[] = {"FeatureKeyword", "FeatureText", "FeatureInt",
                                        "FeatureDouble",  "FeatureBool", "FeatureTime",
                                        "FeatureList"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        json_array_append_new(seen, attribute(wf, names[i]));
    rc = flo_search_attributes_upsert(wf, FLO_ATTRIBUTES(FLO_UNSET("FeatureInt")));
    json_array_append_new(seen, attribute(wf, "FeatureInt"));
    json_array_append(seen, flo_memo_get(wf, "start"));
    if (rc == 0)
        rc = flo_memo_upsert(wf, memo);
    json_array_append_new(seen, json_boolean(flo_memo_get(wf, "start") == NULL));
    json_array_append(seen, flo_memo_get(wf, "stage"));
    *out_result = seen;
    return rc;
}

/* ---- about itself ---- */

static int info(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_workflow_info *i = flo_workflow_info(wf);
    if (json_is_true(input)) { /* by way of a child */
        const struct flo_child_options options = {.workflow_id = kid_id(wf, "info")};
        return flo_child(wf, "Info", NULL, &options, out_result);
    }
    flo_workflow_log(wf, FLO_LOG_INFO, "looking at itself");
    *out_result = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:i, s:b, s:I, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:i, s:i}",
        "id", i->workflow_id, "run", i->run_id, "type", i->type, "namespace", i->namespace_,
        "queue", i->task_queue, "attempt", (int)i->attempt, "recent",
        (int)(i->start_ms > 1700000000000), "length", (json_int_t)i->history_length, "first",
        i->first_run_id, "continued", i->continued_run_id, "parent", i->parent_workflow_id, "root",
        i->root_workflow_id, "execution_ms", (json_int_t)i->execution_timeout_ms, "run_ms",
        (json_int_t)i->run_timeout_ms, "task_ms", (json_int_t)i->task_timeout_ms, "attempts",
        i->retry ? (int)i->retry->maximum_attempts : 0, "priority", (int)i->priority.priority_key);
    return 0;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "features_entities",
    .workflows = FLO_WORKFLOWS({"Kid", kid}, {"Children", children}, {"ChildCancel", child_cancel},
                               {"ParentClose", parent_close}, {"ChildIds", child_ids},
                               {"External", external}, {"Other", other}, {"Continues", continues},
                               {"LongOne", long_one}, {"Values", values_from_outside},
                               {"Attributes", attributes}, {"Info", info}),
};
