/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intercept.c - a workflow worker with interceptors, headers that travel and metrics of its own,
 * and an activity that says which headers reached it: for tests with real workers.
 */
#include <string.h>

#include <flotilla/worker.h>

static const struct flo_activity_options quick = {.start_to_close_ms = 30000};
static const struct flo_local_activity_options near = {.start_to_close_ms = 30000};

/* The headers tenant, stamp, fleet, as they came; NULL where there is none. */
static int seen(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    static const char *const keys[] = {"tenant", "stamp", "fleet"};

    (void)input;
    *out_result = json_object();
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct flo_payload *header = flo_activity_header(ctx, keys[i]);
        json_t *value = NULL;
        if (header && flo_payload_json(header, &value, NULL))
            return FLO_EPROTO;
        json_object_set_new(*out_result, keys[i], value ? value : json_null());
    }
    return 0;
}

static int get_tenant(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                      json_t **out_result)
{
    (void)message, (void)ctx;
    *out_result = json_incref(flo_context_get(wf, "tenant"));
    return 0;
}

/* What a local activity, an activity here, and one of another queue (another language's) see; in
 * the next run again when it is told to. */
static int headers(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const char *queue = json_string_value(json_object_get(input, "queue"));
    const char *child = json_string_value(json_object_get(input, "child"));
    struct flo_activity_options options = quick;
    struct flo_child_options child_options = {.task_queue = queue};
    json_t *at_hand = NULL, *here = NULL, *there = NULL, *below = NULL;
    int rc = flo_query_handle(wf, "tenant", get_tenant, NULL, NULL);
    if (rc == 0 && json_is_true(json_object_get(input, "again"))) {
        json_t *next = json_deep_copy(input);
        json_object_del(next, "again");
        rc = flo_continue_as_new(wf, next, NULL);
        json_decref(next);
        return rc;
    }
    options.task_queue = queue;
    if (rc == 0)
        rc = flo_local_activity(wf, "seen", NULL, &near, &at_hand);
    if (rc == 0)
        rc = flo_activity(wf, "seen", NULL, &quick, &here);
    if (rc == 0 && queue)
        rc = flo_activity(wf, "seen", NULL, &options, &there);
    if (rc == 0 && child)
        rc = flo_child(wf, child, NULL, &child_options, &below);
    flo_workflow_counter(wf, "header_runs", 1, "where", queue ? "both" : "here", NULL);
    flo_workflow_gauge(wf, "header_depth", 2.5, NULL);
    flo_workflow_histogram(wf, "header_size", 3, NULL);
    flo_workflow_counter(wf, "temporal_mine", 1, NULL); /* is the worker's: refused, and logged */
    *out_result = json_pack("{s:o?, s:o?, s:o?, s:o?}", "local", at_hand, "here", here, "there",
                            there, "child", below);
    return rc;
}

/* Headers as a child, which gets the tenant by the context and fleet as a header of its own; both
 * go on from there. */
static int begin(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_t *own = json_pack("{s:i}", "fleet", 9), *value = json_pack("{s:b}", "again", 1);
    const struct flo_child_options options = {.workflow_id = "kid", .headers = own};
    int rc = flo_context_set(wf, "tenant", input);
    if (rc == 0)
        rc = flo_child(wf, "Headers", value, &options, out_result);
    json_decref(own);
    json_decref(value);
    return rc;
}

static int no_tenant(struct flo_workflow *wf, struct flo_inbound_call *call, json_t **out_result)
{
    if (call->kind == FLO_INBOUND_WORKFLOW && strcmp(call->name, "Headers") == 0 &&
        !json_object_get(call->headers, "tenant"))
        return flo_workflow_fail(wf, "NoTenant", true, NULL, "%s needs a tenant", call->name);
    return flo_inbound_proceed(wf, call, out_result);
}

static int stamp(struct flo_workflow *wf, struct flo_outbound_call *call)
{
    if (call->kind == FLO_OUTBOUND_TIMER || call->kind == FLO_OUTBOUND_CANCEL)
        return 0;
    return flo_outbound_set_header(call, "stamp", json_string(flo_workflow_info(wf)->type));
}

FLO_API const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "intercept",
    .workflows = FLO_WORKFLOWS({"Headers", headers}, {"Begin", begin}),
    .activities = FLO_ACTIVITIES({"seen", seen}),
    .workflow_interceptors = FLO_WORKFLOW_INTERCEPTORS({no_tenant, NULL}, {NULL, stamp}),
    .propagate = (const char *const[]){"tenant", NULL},
};
