/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow.c - a workflow that follows the program in its input, for comparisons with other runtimes:
 * tests/interop/oracle.py has the same interpreter for the official core.
 *
 *     {"rules": [{"on": [], "do": [["timer", 100], ["activity", "quick"]]},
 *                {"on": ["timer 1", "activity 1"], "do": [["complete"]]}]}
 *
 * Each rule is a coroutine that waits until all in "on" holds, and then does what it says, once.
 */
#include <stdio.h>
#include <string.h>

#include "flotilla/worker.h"

#define THINGS_MAX 32

struct program {
    struct flo_workflow *wf; /* the first coroutine */
    struct flo_future *timers[THINGS_MAX], *activities[THINGS_MAX], *locals[THINGS_MAX];
    struct flo_future *children[THINGS_MAX], *started[THINGS_MAX], *externals[THINGS_MAX];
    size_t timer_count, activity_count, local_count, child_count, external_count;
    size_t updates;  /* that came */
    const char *end; /* "complete", "fail", "cancelled", "continue"; NULL: not yet */
};

struct rule {
    struct program *program;
    const json_t *on, *actions;
};

static bool is_ready(struct flo_future *const *things, const char *number)
{
    int n = 0;
    return sscanf(number, "%d", &n) == 1 && n > 0 && n <= THINGS_MAX && things[n - 1] &&
           flo_future_ready(things[n - 1]);
}

static bool holds(const struct program *program, const char *what)
{
    if (strncmp(what, "timer ", 6) == 0)
        return is_ready(program->timers, what + 6);
    if (strncmp(what, "activity ", 9) == 0)
        return is_ready(program->activities, what + 9);
    if (strncmp(what, "local ", 6) == 0)
        return is_ready(program->locals, what + 6);
    if (strncmp(what, "signal ", 7) == 0)
        return flo_signal_count(program->wf, what + 7) > 0;
    if (strncmp(what, "child_started ", 14) == 0)
        return is_ready(program->started, what + 14);
    if (strncmp(what, "child ", 6) == 0)
        return is_ready(program->children, what + 6);
    if (strncmp(what, "external ", 9) == 0)
        return is_ready(program->externals, what + 9);
    if (strcmp(what, "update") == 0)
        return program->updates > 0;
    return strcmp(what, "cancel") == 0 && flo_cancel_requested(program->wf);
}

static bool may_fire(void *ctx)
{
    const struct rule *rule = ctx;
    for (size_t i = 0; i < json_array_size(rule->on); i++) {
        if (!holds(rule->program, json_string_value(json_array_get(rule->on, i))))
            return false;
    }
    return true;
}

static bool is_over(void *ctx)
{
    const struct program *program = ctx;
    return program->end != NULL;
}

/* ["child", ID]: its program completes at once, or ["child", ID, true] when it is cancelled. */
static void start_child(struct flo_workflow *wf, struct program *program, const json_t *action)
{
    const struct flo_child_options options = {.workflow_id =
                                                  json_string_value(json_array_get(action, 1)),
                                              .cancellation = FLO_CHILD_CANCEL_WAIT};
    json_t *input = json_pack("{s:[{s:[s*], s:[[s]]}]}", "rules", "on",
                              json_array_get(action, 2) ? "cancel" : NULL, "do",
                              json_array_get(action, 2) ? "cancelled" : "complete");
    struct flo_child *child = flo_child_start(wf, "Follow", input, &options);
    json_decref(input);
    program->started[program->child_count] = flo_child_started(child);
    program->children[program->child_count++] = flo_child_result(child);
}

static int on_update(struct flo_workflow *wf, const struct flo_message *message, void *ctx,
                     json_t **out_result)
{
    struct program *program = ctx;
    (void)wf;
    program->updates++;
    *out_result = json_incref(message->input);
    return 0;
}

static void act(struct flo_workflow *wf, struct program *program, const json_t *action)
{
    const char *verb = json_string_value(json_array_get(action, 0));
    const json_t *argument = json_array_get(action, 1);
    const char *text = json_string_value(argument);
    size_t n = (size_t)json_integer_value(argument);
    const struct flo_retry_policy once = {.maximum_attempts = 1};
    const struct flo_activity_options options = {.start_to_close_ms = 10000,
                                                 .heartbeat_ms = 5000,
                                                 .cancellation = FLO_CANCEL_WAIT,
                                                 .retry = &once};
    const struct flo_local_activity_options local = {.start_to_close_ms = 10000, .retry = &once};
    if (strcmp(verb, "timer") == 0)
        program->timers[program->timer_count++] = flo_timer_start(wf, (int64_t)n);
    else if (strcmp(verb, "activity") == 0)
        program->activities[program->activity_count++] =
            flo_activity_start(wf, text, NULL, &options);
    else if (strcmp(verb, "local") == 0)
        program->locals[program->local_count++] = flo_local_activity_start(wf, text, NULL, &local);
    else if (strcmp(verb, "cancel_timer") == 0)
        flo_future_cancel(wf, program->timers[n - 1]);
    else if (strcmp(verb, "cancel_activity") == 0)
        flo_future_cancel(wf, program->activities[n - 1]);
    else if (strcmp(verb, "child") == 0)
        start_child(wf, program, action);
    else if (strcmp(verb, "cancel_child") == 0)
        flo_future_cancel(wf, program->children[n - 1]);
    else if (strcmp(verb, "signal") == 0)
        program->externals[program->external_count++] = flo_signal_external_start(
            wf, text, NULL, json_string_value(json_array_get(action, 2)), NULL);
    else if (strcmp(verb, "patch") == 0)
        flo_patched(wf, text);
    else if (strcmp(verb, "deprecate") == 0)
        flo_patch_deprecate(wf, text);
    else if (!program->end)
        program->end = verb;
}

static int run_rule(struct flo_workflow *wf, void *arg, json_t **out_result)
{
    struct rule *rule = arg;
    int rc = flo_await_condition(wf, may_fire, rule, -1);
    (void)out_result;
    for (size_t i = 0; rc == 0 && i < json_array_size(rule->actions); i++)
        act(wf, rule->program, json_array_get(rule->actions, i));
    return rc;
}

static int follow(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct program *program = flo_workflow_alloc(wf, sizeof *program);
    const json_t *rules = json_object_get(input, "rules");
    *program = (struct program){.wf = wf};
    flo_scope_begin(wf, &(struct flo_scope_options){.shielded = true});
    flo_update_handle(wf, "update", NULL, on_update, program, NULL);
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *entry = json_array_get(rules, i);
        struct rule *rule = flo_workflow_alloc(wf, sizeof *rule);
        *rule = (struct rule){program, json_object_get(entry, "on"), json_object_get(entry, "do")};
        flo_future_release(wf, flo_spawn(wf, "rule", run_rule, rule));
    }
    int rc = flo_await_condition(wf, is_over, program, -1);
    if (rc)
        return rc;
    if (strcmp(program->end, "fail") == 0)
        return flo_workflow_fail(wf, "Told", true, NULL, "told to fail");
    if (strcmp(program->end, "continue") == 0) {
        json_t *next = json_pack("{s:[{s:[], s:[[s]]}]}", "rules", "on", "do", "complete");
        rc = flo_continue_as_new(wf, next, NULL);
        json_decref(next);
        return rc;
    }
    if (strcmp(program->end, "cancelled") == 0)
        return FLO_ECANCELLED;
    *out_result = json_string("done");
    return 0;
}

static int quick(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)ctx;
    (void)input;
    *out_result = json_integer(1);
    return 0;
}

static int broken(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)input;
    (void)out_result;
    return flo_activity_fail(ctx, "Broken", true, NULL, "it is broken");
}

/* Until it is told to stop. */
static int endless(struct flo_activity_context *ctx, json_t *input, json_t **out_result)
{
    (void)input;
    (void)out_result;
    do
        flo_activity_heartbeat(ctx, NULL);
    while (!flo_activity_wait_cancelled(ctx, 50));
    return FLO_ECANCELLED;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "follow",
    .workflows = FLO_WORKFLOWS({"Follow", follow}),
    .activities = FLO_ACTIVITIES({"quick", quick}, {"broken", broken}, {"endless", endless}),
};
