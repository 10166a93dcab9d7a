/* SPDX-License-Identifier: Apache-2.0 */
/* children.c - steps with other executions: children, which are KitchenSinks, too, and strangers.
 */
#include <stdio.h>
#include <string.h>

#include "kitchen.h"

#define ID_BYTES 1100

/* "/a" is the child a of this execution, "" itself; everything else is an id as it is. */
static const char *id_of(struct flo_workflow *wf, const char *given, char room[ID_BYTES])
{
    if (*given && *given != '/')
        return given;
    snprintf(room, ID_BYTES, "%s%s", flo_workflow_info(wf)->workflow_id, given);
    return room;
}

static enum flo_parent_close parent_close(const json_t *step)
{
    const char *policy = kitchen_text(step, "policy", "terminate");
    if (strcmp(policy, "cancel") == 0)
        return FLO_PARENT_CLOSE_CANCEL;
    return strcmp(policy, "abandon") == 0 ? FLO_PARENT_CLOSE_ABANDON : FLO_PARENT_CLOSE_TERMINATE;
}

static enum flo_child_cancellation cancellation(const json_t *step)
{
    const char *type = kitchen_text(step, "type", "wait");
    if (strcmp(type, "try") == 0)
        return FLO_CHILD_CANCEL_TRY;
    if (strcmp(type, "requested") == 0)
        return FLO_CHILD_CANCEL_WAIT_REQUESTED;
    return strcmp(type, "abandon") == 0 ? FLO_CHILD_CANCEL_ABANDON : FLO_CHILD_CANCEL_WAIT;
}

static struct flo_child *start_child(struct flo_workflow *wf, json_t *step)
{
    char room[ID_BYTES];
    const struct flo_retry_policy retry = {
        .initial_interval_ms = kitchen_number(step, "retry_ms", 20),
        .maximum_attempts = (int32_t)kitchen_number(step, "attempts", 0)};
    const struct flo_child_options options = {
        .workflow_id = id_of(wf, kitchen_text(step, "id", ""), room),
        .run_timeout_ms = kitchen_number(step, "run_timeout_ms", 0),
        .task_timeout_ms = kitchen_number(step, "task_timeout_ms", 0),
        .retry = retry.maximum_attempts ? &retry : NULL,
        .parent_close = parent_close(step),
        .cancellation = cancellation(step),
        .summary = kitchen_text(step, "summary", NULL),
    };
    return flo_child_start(wf, "KitchenSink", json_object_get(step, "input"), &options);
}

struct flo_future *kitchen_start_child(struct kitchen *k, struct flo_workflow *wf, json_t *step)
{
    struct flo_child *child = start_child(wf, step);
    (void)k;
    return kitchen_is(step, "started") ? flo_child_started(child) : flo_child_result(child);
}

/* A child that was cancelled with the steps around it is not there any more for what it is told. */
static int told(struct flo_workflow *wf, int rc)
{
    return rc && flo_scope_cancelled(wf, NULL) ? FLO_ECANCELLED : rc;
}

/* Signals for a child, then how it ended; "early": as futures. */
int kitchen_run_with_child(struct kitchen *k, struct flo_workflow *wf, json_t *step, json_t **out)
{
    struct flo_child *child = start_child(wf, json_object_get(step, "child"));
    json_t *signals = json_object_get(step, "signals"), *signal;
    size_t i;
    json_array_foreach(signals, i, signal)
    {
        const char *name = kitchen_text(signal, "name", "set");
        json_t *input = json_object_get(signal, "input");
        int rc = kitchen_is(step, "early")
                     ? flo_await(wf, flo_child_signal_start(wf, child, name, input), NULL)
                     : flo_child_signal(wf, child, name, input);
        if (rc)
            return told(wf, rc);
    }
    if (kitchen_is(step, "cancel_external")) {
        int rc = flo_cancel_external(wf, flo_child_workflow_id(child), NULL, "the step says so");
        if (rc)
            return told(wf, rc);
    }
    if (kitchen_is(step, "cancel"))
        flo_child_cancel(wf, child, "the step says so");
    return kitchen_outcome(k, wf, step, flo_child_result(child), out);
}

struct flo_future *kitchen_start_signal(struct kitchen *k, struct flo_workflow *wf, json_t *step)
{
    char room[ID_BYTES];
    (void)k;
    return flo_signal_external_start(wf, id_of(wf, kitchen_text(step, "to", ""), room), NULL,
                                     kitchen_text(step, "name", "set"),
                                     json_object_get(step, "input"));
}

struct flo_future *kitchen_start_cancel(struct kitchen *k, struct flo_workflow *wf, json_t *step)
{
    char room[ID_BYTES];
    (void)k;
    return flo_cancel_external_start(wf, id_of(wf, kitchen_text(step, "to", ""), room), NULL,
                                     "the step says so");
}
