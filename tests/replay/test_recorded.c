/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_recorded.c - histories that the official Python SDK wrote on a real server, replayed by C
 * workflows of the same shape (tests/integration/modules/local.c): each to its end, and cut after
 * each of its workflow tasks, as a worker without the run in its cache would get it.
 *
 * tests/replay/histories/NAME.pb: a packed temporal.api.history.v1.History of a run of type NAME.
 */
#include <stdio.h>
#include <string.h>

#include "support/cmocka_env.h"
#include "support/story.h"
#include "support/transitions.h"
#include "wire/decode.h"
#include "workflow/names.h"

extern const struct flo_module flo_module;

static flo_workflow_fn look_up(void *ctx, const char *type)
{
    (void)ctx;
    for (const struct flo_workflow_entry *e = flo_module.workflows; e->type; e++) {
        if (strcmp(e->type, type) == 0)
            return e->run;
    }
    return NULL;
}

static FloApi__History *load(const char *name, struct flo_arena *arena)
{
    static uint8_t bytes[1 << 16];
    ProtobufCMessage *history = NULL;
    char path[300];
    snprintf(path, sizeof path, "%s/%s.pb", HISTORIES, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_in_range(len, 1, sizeof bytes - 1);
    assert_int_equal(flo_wire_decode_part(&flo_api__history__descriptor, &flo_workflow_part, bytes,
                                          len, arena, &history, NULL),
                     0);
    return (FloApi__History *)history;
}

/* Replay the first count events in a new run. */
static void replay(FloApi__History *history, size_t count, struct flo_arena *arena,
                   struct flo_activation *out)
{
    const struct flo_run_env env = {.namespace_ = "default", .identity = "test"};
    FloApi__PollWorkflowTaskQueueResponse task = FLO_API__POLL_WORKFLOW_TASK_QUEUE_RESPONSE__INIT;
    size_t whole = history->n_events;
    struct flo_run *run = NULL;
    assert_int_equal(flo_run_new(&env, look_up, NULL, "workflow-1", "run-1", &run), 0);
    task.history = history;
    task.attempt = 1;
    history->n_events = count;
    assert_int_equal(flo_run_activate(run, &task, arena, out), 0);
    history->n_events = whole;
    if (out->outcome == FLO_ACTIVATION_FAIL)
        fail_msg("after %zu of %zu events: %s", count, whole, out->failure->message);
    flo_run_destroy(&run);
}

/* NAME, and what its last task would be answered with: "Complete" unless the tail is local. */
static void test_recorded_history_replays(void **state)
{
    const char *name = *state;
    struct flo_arena arena;
    struct flo_activation answer = {0};
    flo_arena_init(&arena, 0);
    FloApi__History *history = load(name, &arena);
    for (size_t i = 0; i < history->n_events; i++) {
        if (history->events[i]->event_type == FLO_EVENT(WORKFLOW_TASK_STARTED))
            replay(history, i + 1, &arena, &answer);
    }
    replay(history, history->n_events, &arena, &answer);
    assert_int_equal(answer.outcome, FLO_ACTIVATION_COMPLETE);
    assert_int_equal(answer.command_count, 0);
    assert_int_equal(answer.local_start_count, 0);
    assert_true(answer.closes);
    flo_arena_fini(&arena);
    assert_int_equal(flo_heap_total_bytes(), 0);
}

#define RECORDED(name)                                                                             \
    {                                                                                              \
        name, test_recorded_history_replays, NULL, NULL, (void *)(uintptr_t)(name)                 \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        RECORDED("LocalChain"),  RECORDED("LocalFail"), RECORDED("LocalBackoff"),
        RECORDED("LocalLong"),   RECORDED("LocalBoth"), RECORDED("LocalTimeout"),
        RECORDED("LocalCancel"),
    };
    flo_workflow_jansson_install();
    transitions_watch();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
