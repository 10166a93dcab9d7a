/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storm.c - a workflow that runs many activities `hostile` at once and tells how each ended:
 *   {"queue": "cpu", "tasks": ["segv", ...], "timeout_ms": 1500, "heartbeat_ms": 0, "attempts": 1}
 * The result is a list: {"ok": RESULT}, or {"type": ..., "message": ...} of the failure.
 */
#include <flotilla/worker.h>

static json_int_t number(const json_t *input, const char *key, json_int_t otherwise)
{
    const json_t *value = json_object_get(input, key);

    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static json_t *outcome(struct flo_workflow *wf, struct flo_future *future)
{
    json_t *result = NULL;
    int rc = flo_await(wf, future, &result);

    if (rc == 0)
        return json_pack("{s:o}", "ok", result ? result : json_null());
    return json_pack("{s:s, s:s}", "type", flo_failure_type_name(wf), "message",
                     flo_failure_message(wf));
}

static int storm(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_retry_policy retry = {
        .initial_interval_ms = 100, .maximum_attempts = (int32_t)number(input, "attempts", 1)};
    const struct flo_activity_options options = {
        .task_queue = json_string_value(json_object_get(input, "queue")),
        .start_to_close_ms = number(input, "timeout_ms", 60000),
        .heartbeat_ms = number(input, "heartbeat_ms", 0),
        .retry = &retry,
    };
    const json_t *tasks = json_object_get(input, "tasks");
    size_t count = json_array_size(tasks);
    struct flo_future *futures[512];

    if (count > sizeof futures / sizeof futures[0])
        return flo_workflow_fail(wf, "InvalidInput", true, NULL, "too many tasks");
    for (size_t i = 0; i < count; i++) {
        json_t *task =
            json_pack("{s:O, s:I}", "kind", json_array_get(tasks, i), "number", (json_int_t)i);
        futures[i] = flo_activity_start(wf, "hostile", task, &options);
        json_decref(task);
    }
    *out_result = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(*out_result, outcome(wf, futures[i]));
    return 0;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "storm",
    .workflows = FLO_WORKFLOWS({"StormWorkflow", storm}),
};
