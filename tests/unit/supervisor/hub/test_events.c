/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of events: numbers, bounds, copies, listeners. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/hub/events.h"
#include "support/cmocka_env.h"

static int setup(void **state)
{
    return flo_events_new(3, (struct flo_events **)state, NULL);
}

static int teardown(void **state)
{
    flo_events_destroy((struct flo_events **)state);
    return 0;
}

static uint64_t add(struct flo_events *events, const char *message)
{
    const struct flo_event event = {
        .ts_ms = 5, .level = FLO_LOG_DEBUG, .kind = "test.it", .message = message};
    return flo_events_add(events, &event);
}

/* Numbers rise from 1; the oldest make room, and a late reader begins with the oldest kept. */
static void test_ring_keeps_the_newest(void **state)
{
    struct flo_events *events = *state;
    assert_null(flo_events_after(events, 0));
    for (uint64_t i = 1; i <= 5; i++)
        assert_int_equal(add(events, "x"), i);
    assert_int_equal(flo_events_last(events), 5);
    assert_int_equal(flo_events_after(events, 0)->seq, 3);
    assert_int_equal(flo_events_after(events, 3)->seq, 4);
    assert_null(flo_events_after(events, 5));
    assert_null(flo_events_after(events, 99));
}

/* Texts are copied, cut at a whole character; a level below info is info. */
static void test_add_copies_and_cuts(void **state)
{
    struct flo_events *events = *state;
    char text[FLO_EVENT_MESSAGE_MAX + 10];
    memset(text, 'a', sizeof text);
    memcpy(text + FLO_EVENT_MESSAGE_MAX - 1, "\xC3\xA4", 3); /* two bytes, across the bound */
    assert_int_equal(add(events, text), 1);
    text[0] = 'b';
    const struct flo_event *event = flo_events_after(events, 0);
    assert_int_equal(strlen(event->message), FLO_EVENT_MESSAGE_MAX - 1);
    assert_int_equal(event->message[0], 'a');
    assert_string_equal(event->identity, "");
    assert_int_equal(event->level, FLO_LOG_INFO);
}

/* Fields are kept while they are small, and shown. */
static void test_fields(void **state)
{
    struct flo_events *events = *state;
    char *large = malloc(FLO_EVENT_FIELDS_MAX + 1);
    memset(large, 'x', FLO_EVENT_FIELDS_MAX);
    large[FLO_EVENT_FIELDS_MAX] = '\0';
    json_t *small = json_pack("{s:i}", "n", 1), *big = json_pack("{s:s}", "n", large);
    flo_events_add(events, &(struct flo_event){.kind = "a", .fields = small});
    flo_events_add(events, &(struct flo_event){.kind = "b", .fields = big});
    assert_ptr_equal(flo_events_after(events, 0)->fields, small);
    assert_null(flo_events_after(events, 1)->fields);
    json_t *json = flo_event_json(flo_events_after(events, 0));
    assert_true(json_equal(json_object_get(json, "fields"), small));
    assert_string_equal(json_string_value(json_object_get(json, "level")), "info");
    json_decref(json);
    json_decref(small);
    json_decref(big);
    free(large);
}

static void note(void *ctx, const struct flo_event *event)
{
    *(uint64_t *)ctx = event->seq;
}

/* Listeners hear each event until they leave; there is a bound. */
static void test_listeners(void **state)
{
    struct flo_events *events = *state;
    uint64_t heard[FLO_EVENT_LISTENERS_MAX + 1] = {0};
    for (size_t i = 0; i < FLO_EVENT_LISTENERS_MAX; i++)
        assert_int_equal(flo_events_listen(events, note, &heard[i]), 0);
    assert_int_equal(flo_events_listen(events, note, &heard[FLO_EVENT_LISTENERS_MAX]), FLO_EFULL);
    add(events, "one");
    flo_events_unlisten(events, note, &heard[0]);
    add(events, "two");
    assert_int_equal(heard[0], 1);
    for (size_t i = 1; i < FLO_EVENT_LISTENERS_MAX; i++)
        assert_int_equal(heard[i], 2);
    assert_int_equal(flo_events_add(NULL, &(struct flo_event){.kind = "nobody"}), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ring_keeps_the_newest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_add_copies_and_cuts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_listeners, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
