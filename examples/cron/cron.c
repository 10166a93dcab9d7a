/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cron.c - something that is done again and again for as long as it is wanted: a probe of a
 * target. Signals pause it, resume it, change its pace and end it; a query tells how it stands.
 * After so many rounds it goes on as a new run with an empty history and the state as its input, so
 * that it can go on for years; signals that came meanwhile are taken first.
 */
#include "cron.h"

#include <string.h>

#define ROUNDS_MAX 100 /* of one run */

struct watch {
    json_t *target;
    json_int_t every_ms;
    json_int_t done, failed; /* rounds, of all runs */
    bool paused, stopped;
    bool woken; /* a signal came: look again */
};

static const struct flo_retry_policy once = {.maximum_attempts = 1};
static const struct flo_activity_options probing = {.start_to_close_ms = 30000, .retry = &once};

static int on_pause(struct flo_workflow *wf, const struct flo_message *message, void *ctx)
{
    struct watch *watch = ctx;
    (void)wf;
    watch->paused = strcmp(message->name, "pause") == 0;
    watch->woken = true;
    return 0;
}

static int on_stop(struct flo_workflow *wf, const struct flo_message *message, void *ctx)
{
    struct watch *watch = ctx;
    (void)wf, (void)message;
    watch->stopped = watch->woken = true;
    return 0;
}

static int on_every(struct flo_workflow *wf, const struct flo_message *message, void *ctx)
{
    struct watch *watch = ctx;
    if (json_integer_value(message->input) < 1) {
        flo_workflow_log(wf, FLO_LOG_WARN, "a pace that is no number of milliseconds is ignored");
        return 0;
    }
    watch->every_ms = json_integer_value(message->input);
    watch->woken = true;
    return 0;
}

static int get_status(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                      json_t **out_result)
{
    const struct watch *watch = ctx;
    (void)wf, (void)message;
    *out_result = json_pack("{s:I, s:I, s:b}", "done", watch->done, "failed", watch->failed,
                            "paused", watch->paused);
    return 0;
}

static bool is_woken(void *ctx)
{
    const struct watch *watch = ctx;
    return watch->woken;
}

static json_t *state_of(const struct watch *watch)
{
    return json_pack("{s:O, s:I, s:I, s:I, s:b}", "target", watch->target, "every_ms",
                     watch->every_ms, "done", watch->done, "failed", watch->failed, "paused",
                     watch->paused);
}

/* Wait for the next round, or for the end of a pause: 0; FLO_ECANCELLED. */
static int wait_for_turn(struct flo_workflow *wf, struct watch *watch)
{
    for (;;) {
        watch->woken = false;
        int rc = flo_await_condition(wf, is_woken, watch, watch->paused ? -1 : watch->every_ms);
        if (watch->stopped || rc == FLO_ETIMEDOUT)
            return 0;
        if (rc)
            return rc;
    }
}

static int cron_workflow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct watch *watch = flo_workflow_alloc(wf, sizeof *watch);
    if (!watch)
        return FLO_ENOMEM;
    if (!json_is_string(json_object_get(input, "target")))
        return flo_workflow_fail(wf, "BadInput", true, NULL, "the input must name a target");
    watch->target = json_incref(json_object_get(input, "target"));
    watch->every_ms = json_integer_value(json_object_get(input, "every_ms"));
    if (watch->every_ms < 1)
        watch->every_ms = 60000;
    watch->done = json_integer_value(json_object_get(input, "done"));
    watch->failed = json_integer_value(json_object_get(input, "failed"));
    watch->paused = json_is_true(json_object_get(input, "paused"));
    flo_query_handle(wf, "status", get_status, watch, NULL);
    flo_signal_handle(wf, "pause", on_pause, watch, NULL);
    flo_signal_handle(wf, "resume", on_pause, watch, NULL);
    flo_signal_handle(wf, "every", on_every, watch, NULL);
    flo_signal_handle(wf, "stop", on_stop, watch, NULL);

    for (int round = 0; !watch->stopped; round++) {
        if (round == ROUNDS_MAX || flo_workflow_info(wf)->continue_as_new_suggested)
            return flo_continue_as_new(wf, state_of(watch), NULL);
        int rc = wait_for_turn(wf, watch);
        if (rc || watch->stopped)
            return rc ? rc : get_status(wf, NULL, watch, out_result);
        rc = flo_activity(wf, "probe", watch->target, &probing, NULL);
        if (rc && rc != FLO_EFAILED)
            return rc;
        flo_failure_clear(wf);
        watch->done++;
        watch->failed += rc == FLO_EFAILED;
    }
    return get_status(wf, NULL, watch, out_result);
}

/* A stand-in: targets that begin with '!' are down. */
static int probe(struct flo_activity_context *ctx, json_t *target, json_t **out_result)
{
    (void)out_result;
    if (*json_string_value(target) == '!')
        return flo_activity_fail(ctx, "Down", false, NULL, "%s is down", json_string_value(target));
    return 0;
}

const struct flo_module cron_module = {
    .abi = FLO_MODULE_ABI,
    .name = "cron",
    .workflows = FLO_WORKFLOWS({"Watch", cron_workflow}),
    .activities = FLO_ACTIVITIES({"probe", probe}),
};
