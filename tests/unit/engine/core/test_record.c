/* SPDX-License-Identifier: Apache-2.0 */
/* test_record.c - records on their way into a batch. */
#include <stdio.h>
#include <string.h>

#include "engine/core/internal.h"
#include "engine/core/record.h"
#include "support/cmocka_env.h"
#include "support/engine_harness.h"

struct thing {
    struct flo_core_record record;
    const char *state;
    int encoded;
};

static int encode(const struct flo_core_record *record, struct flo_arena *arena,
                  const uint8_t **out_state, size_t *out_len)
{
    struct thing *thing = flo_container(record, struct thing, record);
    thing->encoded++;
    *out_len = strlen(thing->state);
    *out_state = flo_arena_memdup(arena, thing->state, *out_len);
    return *out_state ? 0 : FLO_ENOMEM;
}

static struct thing thing(const char *id, const char *state)
{
    return (struct thing){.record = {.kind = 1, .namespace_id = "ns", .id = id, .encode = encode},
                          .state = state};
}

/* The records of the next batch, committed: "a=one b-". */
static const char *batch_text(struct engine *e)
{
    static char text[128];
    struct flo_core_batch *batch;
    assert_int_equal(flo_core_take_batch(e->core, &batch), 0);
    text[0] = '\0';
    if (!batch)
        return "nothing";
    for (size_t i = 0; i < batch->record_count; i++) {
        const struct flo_core_record_row *row = &batch->records[i];
        const size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s%s%.*s", i ? " " : "", row->id,
                 row->deleted ? "-" : "=", (int)row->state_len, (const char *)row->state);
    }
    engine_store_batch(e, &batch);
    return text;
}

/* However often one changes, it is in the batch once, as it is then; an answer waits for that. */
static void test_changed_twice_is_stored_once(void **state)
{
    (void)state;
    struct engine *e = engine_new(1);
    struct thing a = thing("a", "one"), b = thing("b", "two");
    assert_int_equal(flo_core_record_after(e->core, &a.record), 0);
    flo_core_record_changed(e->core, &a.record);
    flo_core_record_changed(e->core, &b.record);
    a.state = "three";
    flo_core_record_changed(e->core, &a.record);
    assert_int_equal(flo_core_record_after(e->core, &a.record), e->core->next_seq);
    assert_string_equal(batch_text(e), "a=three b=two");
    assert_int_equal(a.encoded, 1);
    assert_int_equal(flo_core_record_after(e->core, &a.record), 0);
    assert_string_equal(batch_text(e), "nothing");
    engine_free(e);
}

/* Deleted and made again within one batch: in that order. Deleted alone: without its struct. */
static void test_deleted_keeps_its_place(void **state)
{
    (void)state;
    struct engine *e = engine_new(1);
    struct thing a = thing("a", "one");
    flo_core_record_changed(e->core, &a.record);
    assert_int_equal(flo_core_record_deleted(e->core, &a.record), 0);
    struct thing again = thing("a", "two");
    flo_core_record_changed(e->core, &again.record);
    assert_string_equal(batch_text(e), "a- a=two");
    flo_core_record_changed(e->core, &again.record);
    flo_core_record_forget(e->core, &again.record);
    assert_int_equal(flo_core_record_deleted(e->core, &again.record), 0);
    engine_free(e); /* with a deletion that no batch took */
}

/* A kind that nobody knows is damage, not silence. */
static void test_load_unknown_kind_is_refused(void **state)
{
    (void)state;
    struct engine *e = engine_new(1);
    struct flo_err err = {0};
    const struct flo_core_record_row row = {
        .kind = 999, .namespace_id = "ns", .id = "x", .state = (const uint8_t *)"", .state_len = 0};
    assert_int_equal(flo_core_load_record(e->core, &row, &err), FLO_EDATA);
    assert_non_null(strstr(err.message, "999"));
    engine_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changed_twice_is_stored_once),
        cmocka_unit_test(test_deleted_keeps_its_place),
        cmocka_unit_test(test_load_unknown_kind_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
