/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lifecycle.c - work whose length the test chooses.
 *
 * NapsWorkflow {"queue": text, "naps": [milliseconds ...]}: that many activities at once, on queue;
 * the sum of what they say. `nap` sleeps so long, with heartbeats, gives up when it is told to, and
 * says 1; started again after heartbeat details it says so by 1001. EndlessWorkflow never leaves
 * its code. SignalWorkflow waits for the signal `go`.
 */
#include <flotilla/worker.h>

#include <time.h>

#define SLICE_MS 20

static int naps_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static const struct flo_retry_policy retry = {.initial_interval_ms = 100};
    const struct flo_activity_options options = {
        .start_to_close_ms = 60000,
        .heartbeat_ms = 5000,
        .task_queue = json_string_value(json_object_get(input, "queue")),
        .retry = &retry};
    struct flo_group *group = flo_group_new(wf);
    json_t *answers = NULL, *answer, *ms;
    json_int_t sum = 0;
    size_t i;
    int rc;

    json_array_foreach(json_object_get(input, "naps"), i, ms)
        flo_group_add(group, flo_activity_start(wf, "nap", ms, &options));
    rc = flo_group_await_all(group, &answers);
    if (rc)
        return rc;
    json_array_foreach(answers, i, answer) sum += json_integer_value(answer);
    json_decref(answers);
    *out_result = json_integer(sum);
    return 0;
}

static int endless_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    static volatile int forever = 1;

    (void)wf;
    (void)input;
    while (forever)
        ;
    *out_result = json_null();
    return 0;
}

static int signal_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    json_t *value = NULL;
    int rc = flo_signal_await(wf, "go", -1, &value);

    (void)input;
    json_decref(value);
    *out_result = json_null();
    return rc;
}

static int nap(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    const struct timespec slice = {.tv_nsec = SLICE_MS * 1000000L};
    json_int_t ms = json_integer_value(input);
    int before = flo_activity_last_heartbeat(ctx) != NULL;

    for (; ms > 0; ms -= SLICE_MS) {
        json_t *left = json_integer(ms);
        (void)!flo_activity_heartbeat(ctx, left);
        json_decref(left);
        if (flo_activity_cancelled(ctx))
            return FLO_ECANCELLED;
        nanosleep(&slice, NULL);
    }
    *out_result = json_integer(1 + before * 1000);
    return 0;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "lifecycle",
    .workflows =
        FLO_WORKFLOWS({"NapsWorkflow", naps_workflow}, {"EndlessWorkflow", endless_workflow},
                      {"SignalWorkflow", signal_workflow}),
    .activities = FLO_ACTIVITIES({"nap", nap}),
};
