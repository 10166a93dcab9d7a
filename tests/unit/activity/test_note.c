/* SPDX-License-Identifier: Apache-2.0 */
/* test_note.c - activity/note.h: what is put comes out, and damage is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "activity/note.h"

static struct flo_note histogram(void)
{
    struct flo_note note = {.kind = FLO_NOTE_SAMPLE,
                            .sample = {.kind = FLO_HISTOGRAM,
                                       .name = "seconds",
                                       .value = 2.5,
                                       .label_count = 2,
                                       .label_names = {"a", "b"},
                                       .label_values = {"1", ""}}};

    note.sample.counts[0] = 3;
    note.sample.counts[FLO_USER_BUCKETS] = 1u << 30;
    return note;
}

/* A stream of one histogram; the caller ends it. */
static struct flo_buf stream_of_one(void)
{
    const struct flo_note sample = histogram();
    struct flo_buf stream;

    flo_buf_init(&stream, 0);
    assert_int_equal(flo_note_put(&stream, &sample), 0);
    return stream;
}

/* Several records in one stream come out as they went in. */
static void test_put_get_same(void **state)
{
    const struct flo_note every = {.kind = FLO_NOTE_BEAT_EVERY, .every_ms = 1500};
    const struct flo_note sample = histogram();
    struct flo_note out;
    struct flo_buf stream;
    const uint8_t *at;

    (void)state;
    flo_buf_init(&stream, 0);
    assert_int_equal(flo_note_put(&stream, &every), 0);
    assert_int_equal(flo_note_put(&stream, &sample), 0);
    at = stream.data;
    assert_true(flo_note_get(&at, stream.data + stream.len, 4, &out));
    assert_int_equal(out.every_ms, 1500);
    assert_true(flo_note_get(&at, stream.data + stream.len, 4, &out));
    assert_string_equal(out.sample.name, "seconds");
    assert_true(out.sample.value == 2.5);
    assert_int_equal(out.sample.label_count, 2);
    assert_string_equal(out.sample.label_names[1], "b");
    assert_string_equal(out.sample.label_values[1], "");
    assert_memory_equal(out.sample.counts, sample.sample.counts, sizeof sample.sample.counts);
    assert_false(flo_note_get(&at, stream.data + stream.len, 4, &out));
    flo_buf_fini(&stream);
}

/* More labels than the reader takes are refused. */
static void test_get_too_many_labels_refuses(void **state)
{
    struct flo_buf stream = stream_of_one();
    const uint8_t *at = stream.data;
    struct flo_note out;

    (void)state;
    assert_false(flo_note_get(&at, stream.data + stream.len, 1, &out));
    flo_buf_fini(&stream);
}

/* Cut anywhere, or with any byte changed, a stream is read without harm (sanitizers watch). */
static void test_get_damaged_is_harmless(void **state)
{
    struct flo_buf stream = stream_of_one();
    struct flo_note out;

    (void)state;
    for (size_t len = 0; len < stream.len; len++) {
        uint8_t *copy = test_malloc(len + 1); /* of the exact length: reading past it is seen */
        const uint8_t *at = copy;
        if (len > 0)
            memcpy(copy, stream.data, len);
        assert_false(flo_note_get(&at, copy + len, 4, &out));
        test_free(copy);
    }
    for (size_t i = 0; i < stream.len; i++) {
        const uint8_t *at = stream.data;
        stream.data[i] ^= 0xff;
        while (flo_note_get(&at, stream.data + stream.len, 4, &out))
            ;
        stream.data[i] ^= 0xff;
    }
    flo_buf_fini(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_get_same),
        cmocka_unit_test(test_get_too_many_labels_refuses),
        cmocka_unit_test(test_get_damaged_is_harmless),
    };

    return cmocka_run_group_tests_name("activity/note", tests, NULL, NULL);
}
