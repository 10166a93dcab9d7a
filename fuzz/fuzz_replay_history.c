/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_replay_history.c - any history, handed to workflows that use every kind of call: no
 * input makes the runtime crash, hang or leak. The first byte picks the workflow, how its local
 * activities end, and (0x80)
 * whether events are renumbered from 1, so that mutations get past the check of the ids; the second
 * cuts the history in two tasks for one cached run; the rest is a History message.
 */
#include <stdbool.h>

#include "fuzz.h"
#include "wire/decode.h"
#include "workflow/run.h"

static const struct flo_activity_options options = {.start_to_close_ms = 30000};

static int echo(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return flo_activity(wf, "echo", input, &options, out_result);
}

static bool two(void *ctx)
{
    return flo_signal_count(ctx, "go") >= 2;
}

/* A bit of everything, cancelled work and cleaning up included. */
static int everything(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    struct flo_activity_options waits = options;
    waits.cancellation = FLO_CANCEL_WAIT;
    struct flo_future *both[] = {flo_activity_start(wf, "work", input, &waits),
                                 flo_timer_start(wf, 1000)};
    size_t first = 0;
    int rc = flo_await_any(wf, both, 2, &first);
    if (rc == 0)
        flo_future_cancel(wf, both[1 - first]);
    rc = flo_await_condition(wf, two, wf, 5000);
    struct flo_group *group = flo_group_new(wf);
    for (int i = 0; i < 3; i++)
        flo_group_add(group, flo_activity_start(wf, "part", input, &options));
    rc = flo_group_await_all(group, out_result);
    flo_cancel_shield(wf, true);
    flo_signal_take(wf, "go", NULL);
    rc = flo_activity(wf, "clean", NULL, &options, NULL);
    flo_workflow_log(wf, FLO_LOG_INFO, "%s", flo_failure_message(wf));
    flo_cancel_shield(wf, false);
    return rc;
}

/* One after the other, two side by side, one that is tried again after a timer, one cancelled. */
static int locals(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    const struct flo_local_activity_options plain = {.start_to_close_ms = 30000};
    const struct flo_local_activity_options waits = {
        .start_to_close_ms = 30000, .cancellation = FLO_CANCEL_WAIT, .local_retry_threshold_ms = 1};
    json_t *first = NULL;
    size_t which = 0;
    int rc = flo_local_activity(wf, "twice", input, &waits, &first);
    flo_workflow_log(wf, FLO_LOG_INFO, "%d %s", rc, flo_failure_message(wf));
    struct flo_future *both[] = {flo_local_activity_start(wf, "twice", first, &waits),
                                 flo_local_activity_start(wf, "slow", first, &plain)};
    rc = flo_await_any(wf, both, 2, &which);
    flo_future_cancel(wf, both[which && !rc ? 0 : 1]);
    rc = flo_sleep(wf, 10);
    flo_cancel_shield(wf, true);
    rc = flo_local_activity(wf, "nothing", NULL, &plain, out_result);
    flo_cancel_shield(wf, false);
    return rc;
}

static flo_workflow_fn lookup(void *ctx, const char *type)
{
    (void)type;
    return *(const flo_workflow_fn *)ctx;
}

/* Let what the open task waits for end, in an order and in ways that how decides. */
static void run_locals(struct flo_run *run, const FloApi__PollWorkflowTaskQueueResponse *task,
                       struct flo_arena *arena, struct flo_activation *answer, uint8_t how)
{
    FloApi__Failure failure = FLO_API__FAILURE__INIT;
    for (uint64_t i = 0; i < 8 && answer->outcome == FLO_ACTIVATION_OPEN; i++, how = how * 7 + 3) {
        struct flo_local_result result = {.seq = (i ^ (how & 1)) + 1, .attempt = 1, .ran_ns = how};
        if (how & 2)
            result.failure = &failure;
        if ((how & 6) == 6)
            result.backoff_ns = 1000;
        if ((how & 0x30) == 0x30)
            break;
        FUZZ_CHECK(flo_run_resolve_local(run, task, &result, arena, answer) == 0);
    }
    if (answer->outcome == FLO_ACTIVATION_OPEN)
        FUZZ_CHECK(flo_run_yield_task(run, task, arena, answer) == 0);
}

/* Give the run the first count events. False: it takes no more. */
static bool activate(struct flo_run *run, FloApi__History *history, size_t count, uint8_t how)
{
    FloApi__PollWorkflowTaskQueueResponse task;
    struct flo_activation answer;
    struct flo_arena arena;
    size_t all = history->n_events;
    flo_api__poll_workflow_task_queue_response__init(&task);
    flo_arena_init(&arena, 0);
    history->n_events = count;
    task.history = history;
    bool goes_on = false;
    if (!flo_run_missing_history(run, &task)) {
        FUZZ_CHECK(flo_run_activate(run, &task, &arena, &answer) == 0);
        run_locals(run, &task, &arena, &answer, how);
        FUZZ_CHECK(answer.outcome != FLO_ACTIVATION_FAIL || answer.failure);
        goes_on = answer.outcome == FLO_ACTIVATION_COMPLETE;
    }
    history->n_events = all;
    flo_arena_fini(&arena);
    return goes_on;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct flo_arena arena;
    ProtobufCMessage *message = NULL;
    flo_workflow_jansson_install();
    flo_arena_init(&arena, flo_wire_budget(size));
    if (flo_wire_decode(&flo_api__history__descriptor, data + 2, size - 2, &arena, &message,
                        NULL) == 0) {
        FloApi__History *history = (FloApi__History *)message;
        flo_workflow_fn fn = data[0] & 2 ? locals : data[0] & 1 ? everything : echo;
        struct flo_run_env env = {.namespace_ = "default", .identity = "fuzz"};
        struct flo_run *run = NULL;
        for (size_t i = 0; data[0] & 0x80 && i < history->n_events; i++)
            history->events[i]->event_id = (int64_t)i + 1;
        FUZZ_CHECK(flo_run_new(&env, lookup, &fn, "workflow", "run", &run) == 0);
        if (data[1] > history->n_events || activate(run, history, data[1], data[0]))
            activate(run, history, history->n_events, data[1]);
        FUZZ_CHECK(flo_run_bytes(run) > 0);
        flo_run_destroy(&run);
        FUZZ_CHECK(flo_heap_total_bytes() == 0);
    }
    flo_arena_fini(&arena);
    return 0;
}
