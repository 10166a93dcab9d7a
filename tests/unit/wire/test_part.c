/* SPDX-License-Identifier: Apache-2.0 */
/* test_part.c - decoding a part of a message only. */
#include "support/cmocka_env.h"
#include "unit/wire/bytes.h"
#include "wire/api.h"
#include "wire/decode.h"

/* What a reader leaves out of the messages in an event is not stored, nor looked into; the rest of
 * the event is, and a repeated field that is kept. */
static void test_decode_part_stores_what_is_read(void **state)
{
    (void)state;
    enum { SCHEDULED = 15, COMPLETED = 17 };
    static const uint64_t keep[64] = {
        [2] = UINT64_MAX, [SCHEDULED] = 1u << 1 | 1u << 2, [COMPLETED] = 1u << 1};
    const struct flo_wire_part part = {&flo_api__history_event__descriptor, keep, 64};
    struct flo_buf scheduled, completed, events, bytes;
    struct flo_arena arena;
    struct flo_err err;
    flo_arena_init(&arena, 0);
    flo_buf_init(&bytes, 0);
    flo_buf_init(&scheduled, 0);
    flo_buf_init(&completed, 0);
    flo_buf_init(&events, 0);
    put_text(&scheduled, 1, "id");
    put_bytes(&scheduled, 6, "\xff\xff", 2);  /* input: malformed */
    put_bytes(&scheduled, 2, "\x0a\x01x", 3); /* activity_type x */
    put_text(&scheduled, 600, "unknown, and so high that it is kept");
    put_bytes(&completed, 1, "\x0a\x00\x0a\x00", 4); /* result: two payloads */
    put_text(&completed, 4, "\xff");                 /* identity: no UTF-8 */
    put_tag(&events, 1, 0);
    put_varint(&events, 5);
    put_bytes(&events, 2, "\x08\x07", 2);
    put_bytes(&events, SCHEDULED, scheduled.data, scheduled.len);
    put_bytes(&bytes, 1, events.data, events.len);
    put_text(&events, 900, "unknown");
    put_bytes(&events, COMPLETED, completed.data, completed.len);
    put_bytes(&bytes, 1, events.data, events.len);
    ProtobufCMessage *message = NULL;
    assert_int_equal(flo_wire_decode_part(&flo_api__history__descriptor, &part, bytes.data,
                                          bytes.len, &arena, &message, &err),
                     0);
    const FloApi__History *history = (FloApi__History *)message;
    assert_int_equal(history->n_events, 2);
    const FloApi__ActivityTaskScheduledEventAttributes *a =
        history->events[0]->activity_task_scheduled_event_attributes;
    assert_int_equal(history->events[0]->event_id, 5);
    assert_int_equal(history->events[0]->event_time->seconds, 7);
    assert_string_equal(a->activity_id, "id");
    assert_string_equal(a->activity_type->name, "x");
    assert_null(a->input);
    assert_int_equal(a->base.n_unknown_fields, 1);
    const FloApi__ActivityTaskCompletedEventAttributes *b =
        history->events[1]->activity_task_completed_event_attributes;
    assert_int_equal(b->result->n_payloads, 2);
    assert_string_equal(b->identity, "");
    assert_int_equal(history->events[1]->base.n_unknown_fields, 1);

    flo_buf_append(&bytes, "\x0a\x05\x7a\x0a", 4); /* ends inside an attribute */
    assert_int_equal(flo_wire_decode_part(&flo_api__history__descriptor, &part, bytes.data,
                                          bytes.len, &arena, &message, &err),
                     FLO_EPROTO);
    flo_buf_fini(&bytes);
    flo_arena_fini(&arena);
    flo_buf_fini(&events);
    flo_buf_fini(&completed);
    flo_buf_fini(&scheduled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decode_part_stores_what_is_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
