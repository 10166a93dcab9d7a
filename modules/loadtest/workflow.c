/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workflow.c - one task of a load test: the activity of the workflow's own type, on the queue of
 * the worker that it belongs to, with retries. A task that fails is a result like another, with the
 * status "failed", so that the driver can compare it with what it expected.
 */
#include <stdio.h>
#include <string.h>

#include "loadtest/tasks.h"

/* "io_simulation" on the workflow's queue, "cpu_intensive" on its queue with -cpu. */
static const char *queue_of(struct flo_workflow *wf, const struct loadtest_type *type,
                            const json_t *parameters, char *room, size_t size)
{
    const char *given = loadtest_text(parameters, "queue");
    if (*given)
        return given;
    if (!type->computes && !loadtest_may_crash(parameters))
        return NULL; /* the workflow's */
    snprintf(room, size, "%s-cpu", flo_workflow_info(wf)->task_queue);
    return room;
}

static int failed(struct flo_workflow *wf, const struct loadtest_type *type, json_t *parameters,
                  json_t **out_result)
{
    *out_result = json_pack("{s:s, s:s, s:I, s:O, s:{s:s, s:s}}", "status", "failed", "type",
                            type->name, "index", (json_int_t)loadtest_number(parameters, "index"),
                            "parameters", parameters, "error", "type", flo_failure_type_name(wf),
                            "message", flo_failure_message(wf));
    flo_failure_clear(wf);
    return *out_result ? 0 : FLO_ENOMEM;
}

int loadtest_task_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct loadtest_type *type = loadtest_type(flo_workflow_info(wf)->type);
    struct flo_err err = {0};
    json_t *parameters = NULL;
    char room[1100];
    int rc = loadtest_fill(type, input, &parameters, &err);
    if (rc)
        return flo_workflow_fail(wf, "InvalidParameters", true, NULL, "%s", err.message);
    const struct flo_retry_policy retry = {
        .initial_interval_ms = loadtest_number(parameters, "retry_ms"),
        .backoff_coefficient = 2,
        .maximum_attempts = (int32_t)loadtest_number(parameters, "attempts")};
    const struct flo_activity_options options = {
        .task_queue = queue_of(wf, type, parameters, room, sizeof room),
        .start_to_close_ms = loadtest_number(parameters, "timeout_ms"),
        .retry = &retry};
    rc = flo_activity(wf, type->name, parameters, &options, out_result);
    if (rc == FLO_EFAILED)
        rc = failed(wf, type, parameters, out_result);
    json_decref(parameters);
    return rc;
}
