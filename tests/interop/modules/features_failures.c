/* SPDX-License-Identifier: Apache-2.0 */
/* features_failures.c - how workflows fail, how their tasks fail, and what they see of failures. */
#include <flotilla/worker.h>
#include <string.h>

static const struct flo_activity_options plain = {.start_to_close_ms = 30000};

/* The chain on wf as [[kind, message, type, non_retryable, retry state or timeout,
 * details], ...]. */
static json_t *chain(struct flo_workflow *wf)
{
    struct flo_failure_link link;
    json_t *links = json_array();
    for (unsigned depth = 0; flo_failure_at(wf, depth, &link); depth++)
        json_array_append_new(
            links,
            json_pack("[i,s,s,b,i,i]", (int)link.kind, link.message, link.type,
                      (int)link.non_retryable,
                      link.kind == FLO_FAILURE_TIMEOUT ? (int)link.timeout : (int)link.retry_state,
                      (int)link.detail_count));
    return links;
}

/* Every kind of failure that a call can leave. */
static int failures(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_retry_policy once = {.maximum_attempts = 1};
    const struct flo_activity_options short_ = {.start_to_close_ms = 200, .retry = &once};
    const struct flo_activity_options silent = {
        .start_to_close_ms = 30000, .heartbeat_ms = 200, .retry = &once};
    const struct flo_activity_options nobody = {
        .task_queue = "features-nobody", .schedule_to_start_ms = 100, .start_to_close_ms = 30000};
    const struct flo_activity_options in_all = {.schedule_to_close_ms = 1000};
    const struct {
        const char *type;
        const struct flo_activity_options *options;
    } calls[] = {
        {"broke", &plain},
        {"flaky", &(struct flo_activity_options){.start_to_close_ms = 30000, .retry = &once}},
        {"nap", &short_},
        {"nap", &silent},
        {"nap", &nobody},
        {"nap", &in_all}};
    json_t *seen = json_array();
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        int rc = flo_activity(wf, calls[i].type, input, calls[i].options, NULL);
        json_array_append_new(seen, json_pack("[i,o]", rc, chain(wf)));
    }
    *out_result = seen;
    return 0;
}

/* Fails as its input says. */
static int ends(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const char *how = json_string_value(input);
    json_t *details[] = {json_pack("{s:i}", "left", 3), json_string("two")};
    const struct flo_failure raised = {.type = "NotPaid",
                                       .message = "the card was refused",
                                       .details = details,
                                       .detail_count = 2};
    (void)out_result;
    if (strcmp(how, "typed") == 0)
        return flo_workflow_fail(wf, "Typed", true, details[0], "as it was %s", "told");
    if (strcmp(how, "code") == 0)
        return FLO_ENOENT;
    if (strcmp(how, "activity") == 0)
        return flo_activity(wf, "broke", input, &plain, NULL);
    (void)flo_activity(wf, "broke", input, &plain, NULL);
    return flo_workflow_raise(wf, &raised, true);
}

/* Fails its first two attempts as a whole. */
static int retried(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_workflow_info *info = flo_workflow_info(wf);
    (void)input;
    if (info->attempt < 3)
        return flo_workflow_fail(wf, "NotYet", false, NULL, "attempt %d", (int)info->attempt);
    *out_result =
        json_pack("[i,s,s]", (int)info->attempt, info->last_failure, info->last_failure_type);
    return 0;
}

/* Its tasks fail until a signal has said that what is broken is repaired. */
static int repaired(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    int rc = flo_sleep(wf, 5);
    if (rc)
        return rc;
    if (!flo_signal_take(wf, "repaired", out_result))
        return flo_task_fail(wf, "not repaired yet, after %s", "a timer");
    return 0;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "features_failures",
    .workflows = FLO_WORKFLOWS({"Failures", failures}, {"Ends", ends}, {"Retried", retried},
                               {"Repaired", repaired}),
};
