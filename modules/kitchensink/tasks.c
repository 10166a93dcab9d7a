/* SPDX-License-Identifier: Apache-2.0 */
/* tasks.c - steps that run the activity, on a queue or in the workflow's worker. */
#include <string.h>

#include "kitchen.h"

static enum flo_cancellation_type cancellation(const json_t *step)
{
    const char *type = kitchen_text(step, "type", "try");
    if (strcmp(type, "wait") == 0)
        return FLO_CANCEL_WAIT;
    return strcmp(type, "abandon") == 0 ? FLO_CANCEL_ABANDON : FLO_CANCEL_TRY;
}

static struct flo_retry_policy retry_of(const json_t *step)
{
    return (struct flo_retry_policy){
        .initial_interval_ms = kitchen_number(step, "retry_ms", 20),
        .backoff_coefficient = 1.5,
        .maximum_attempts = (int32_t)kitchen_number(step, "attempts", 0),
    };
}

struct flo_future *kitchen_start_activity(struct kitchen *k, struct flo_workflow *wf, json_t *step)
{
    const struct flo_retry_policy retry = retry_of(step);
    const struct flo_activity_options options = {
        .task_queue = kitchen_text(step, "queue", NULL),
        .activity_id = kitchen_text(step, "id", NULL),
        .schedule_to_close_ms = kitchen_number(step, "schedule_to_close_ms", 0),
        .schedule_to_start_ms = kitchen_number(step, "schedule_to_start_ms", 0),
        .start_to_close_ms = kitchen_number(step, "start_to_close_ms", 5000),
        .heartbeat_ms = kitchen_number(step, "heartbeat_ms", 0),
        .retry = &retry,
        .cancellation = cancellation(step),
        .summary = kitchen_text(step, "summary", NULL),
    };
    (void)k;
    return flo_activity_start(wf, "cook", step, &options);
}

struct flo_future *kitchen_start_local(struct kitchen *k, struct flo_workflow *wf, json_t *step)
{
    const struct flo_retry_policy retry = retry_of(step);
    const struct flo_local_activity_options options = {
        .activity_id = kitchen_text(step, "id", NULL),
        .schedule_to_close_ms = kitchen_number(step, "schedule_to_close_ms", 0),
        .start_to_close_ms = kitchen_number(step, "start_to_close_ms", 60000),
        .retry = &retry,
        .local_retry_threshold_ms = kitchen_number(step, "threshold_ms", 0),
        .cancellation = cancellation(step),
    };
    (void)k;
    return flo_local_activity_start(wf, "cook", step, &options);
}

int kitchen_same(struct flo_workflow *wf, const char *what, json_t *value)
{
    static const struct flo_retry_policy soon = {.initial_interval_ms = 20};
    static const struct flo_activity_options options = {.start_to_close_ms = 1500, .retry = &soon};
    json_t *input = json_pack("{s:O}", "value", value), *came = NULL;
    int rc = flo_activity(wf, "cook", input, &options, &came);
    if (rc == 0 && !json_equal(came, value))
        rc = kitchen_differs(wf, what);
    json_decref(came);
    json_decref(input);
    json_decref(value);
    return rc;
}

/* An activity whose id is a fresh UUID: another one when replayed would not match its event. */
int kitchen_run_same(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    char uuid[37];
    flo_workflow_uuid(wf, uuid);
    json_t *named = json_pack("{s:s, s:s}", "id", uuid, "value", uuid), *came = NULL;
    int rc = flo_await(wf, kitchen_start_activity(k, wf, named), &came);
    (void)step;
    (void)out;
    if (rc == 0 && strcmp(json_string_value(came), uuid) != 0)
        rc = kitchen_differs(wf, "a UUID");
    json_decref(came);
    json_decref(named);
    return rc;
}
