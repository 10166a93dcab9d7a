/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_foreign.c - what other workers leave in histories: events of every type that there is, and
 * the markers of the Go and Java SDKs. Whatever it is, the run says yes or no to it.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "support/cmocka_env.h"
#include "wire/payload.h"
#include "workflow/names.h"
#include "workflow/replayer.h"

static int waits(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)input;
    return flo_signal_await(wf, "never", -1, out_result);
}

static flo_workflow_fn look_up(void *ctx, const char *type)
{
    (void)ctx;
    (void)type;
    return waits;
}

static FloApi__HistoryEvent *event_new(struct flo_arena *arena, FloApi__History *history, int type)
{
    FloApi__HistoryEvent *event = flo_arena_alloc(arena, sizeof *event);
    flo_api__history_event__init(event);
    history->events[history->n_events++] = event;
    event->event_id = (int64_t)history->n_events;
    event->event_type = (FloApi__EventType)type;
    return event;
}

/* The attributes that the field of that name holds, all unset; NULL: there is no such field. */
static ProtobufCMessage *attributes_new(struct flo_arena *arena, FloApi__HistoryEvent *event,
                                        const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(event->base.descriptor, name);
    if (!field)
        return NULL;
    const ProtobufCMessageDescriptor *descriptor = field->descriptor;
    ProtobufCMessage *message = flo_arena_alloc(arena, descriptor->sizeof_message);
    descriptor->message_init(message);
    memcpy((uint8_t *)event + field->offset, &message, sizeof message);
    memcpy((uint8_t *)event + field->quantifier_offset, &field->id, sizeof field->id);
    return message;
}

/* "EVENT_TYPE_TIMER_FIRED" as "timer_fired_event_attributes". */
static void attributes_name(const char *type, char *out, size_t size)
{
    size_t len = 0;
    for (type += strlen("EVENT_TYPE_"); *type && len < size - 1; type++)
        out[len++] = (char)(*type == '_' ? '_' : *type + 'a' - 'A');
    snprintf(out + len, size - len, "_event_attributes");
}

/* Start, a task, and room for an event behind it. */
static FloApi__History *history_new(struct flo_arena *arena)
{
    static char type[] = "Waits";
    FloApi__History *history = flo_arena_alloc(arena, sizeof *history);
    flo_api__history__init(history);
    history->events = flo_arena_calloc(arena, 8, sizeof *history->events);
    FloApi__WorkflowExecutionStartedEventAttributes *started = (void *)attributes_new(
        arena, event_new(arena, history, FLO_EVENT(WORKFLOW_EXECUTION_STARTED)),
        "workflow_execution_started_event_attributes");
    started->workflow_type = flo_arena_alloc(arena, sizeof *started->workflow_type);
    flo_api__workflow_type__init(started->workflow_type);
    started->workflow_type->name = type;
    event_new(arena, history, FLO_EVENT(WORKFLOW_TASK_SCHEDULED));
    event_new(arena, history, FLO_EVENT(WORKFLOW_TASK_STARTED));
    event_new(arena, history, FLO_EVENT(WORKFLOW_TASK_COMPLETED));
    return history;
}

static struct flo_replay_verdict replay(const FloApi__History *history, struct flo_arena *arena)
{
    const struct flo_run_env env = {.namespace_ = "default", .identity = "test"};
    struct flo_replay_verdict verdict = {0};
    assert_int_equal(flo_replay_history(&env, look_up, NULL, history, arena, &verdict), 0);
    assert_true(verdict.good || *verdict.message);
    return verdict;
}

/* With attributes and without, before a task and at history's end. */
static void test_every_event_type_is_judged(void **state)
{
    const ProtobufCEnumDescriptor *types = &flo_api__event_type__descriptor;
    (void)state;
    for (unsigned i = 0; i < types->n_values; i++) {
        for (int shape = 0; shape < 4; shape++) {
            struct flo_arena arena;
            char name[100];
            flo_arena_init(&arena, 0);
            FloApi__History *history = history_new(&arena);
            FloApi__HistoryEvent *event = event_new(&arena, history, types->values[i].value);
            attributes_name(types->values[i].name, name, sizeof name);
            if (shape & 1)
                attributes_new(&arena, event, name);
            if (shape & 2) {
                event_new(&arena, history, FLO_EVENT(WORKFLOW_TASK_SCHEDULED));
                event_new(&arena, history, FLO_EVENT(WORKFLOW_TASK_STARTED));
            }
            replay(history, &arena);
            flo_arena_fini(&arena);
        }
    }
    assert_int_equal(flo_heap_total_bytes(), 0);
}

/* The code has no call that wrote them, which is said; they are skipped where they may be. */
static void test_markers_of_other_sdks_are_named(void **state)
{
    static const char *const names[] = {"LocalActivity",       "Version",
                                        "SideEffect",          "MutableSideEffect",
                                        "core_local_activity", "core_patch"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (int ignored = 0; ignored < 2; ignored++) {
            struct flo_arena arena;
            flo_arena_init(&arena, 0);
            FloApi__History *history = history_new(&arena);
            FloApi__HistoryEvent *event = event_new(&arena, history, FLO_EVENT(MARKER_RECORDED));
            FloApi__MarkerRecordedEventAttributes *marker =
                (void *)attributes_new(&arena, event, "marker_recorded_event_attributes");
            marker->marker_name = flo_arena_strdup(&arena, names[i]);
            event->worker_may_ignore = ignored;
            struct flo_replay_verdict verdict = replay(history, &arena);
            bool cores = strncmp(names[i], "core_", 5) == 0; /* and these have no details */
            if (!cores && !ignored) {
                assert_true(verdict.nondeterministic);
                assert_non_null(strstr(verdict.message, "event 5 is MarkerRecorded"));
            } else if (!cores) {
                assert_true(verdict.good);
            }
            flo_arena_fini(&arena);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_event_type_is_judged),
        cmocka_unit_test(test_markers_of_other_sdks_are_named),
    };
    flo_workflow_jansson_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
