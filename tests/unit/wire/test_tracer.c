/* SPDX-License-Identifier: Apache-2.0 */
/* The header that carries trace contexts, to and fro. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "support/cmocka_env.h"
#include "unit/wire/arena_fixture.h"
#include "wire/payload.h"
#include "wire/tracer.h"

#define PARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

/* A header whose one field is a payload of that encoding. */
static FloApi__Header *header_of(struct flo_arena *arena, const char *key, const char *encoding,
                                 const char *text)
{
    FloApi__Header *header = flo_arena_calloc(arena, 1, sizeof *header);
    FloApi__Header__FieldsEntry *entry = flo_arena_calloc(arena, 1, sizeof *entry);
    FloApi__Header__FieldsEntry **entries = flo_arena_calloc(arena, 1, sizeof(void *));
    flo_api__header__init(header);
    flo_api__header__fields_entry__init(entry);
    entry->key = flo_arena_strdup(arena, key);
    entry->value = flo_payload_from_bytes(arena, encoding, text, strlen(text));
    entries[0] = entry;
    header->fields = entries;
    header->n_fields = 1;
    return header;
}

/* What the Python and Go interceptors write is read; what we write is the same. */
static void test_tracer_round_trip(void **state)
{
    struct flo_tracer_data data = {0}, again = {0};
    const FloApi__Header *header =
        header_of(*state, "_tracer-data", "json/plain",
                  "{\"traceparent\":\"" PARENT "\",\"tracestate\":\"a=1\",\"baggage\":\"k=v\"}");
    assert_true(flo_tracer_read(header, *state, &data));
    assert_string_equal(data.tracestate, "a=1");
    assert_string_equal(data.baggage, "k=v");

    FloApi__Header *written = flo_tracer_header(&data, *state);
    assert_non_null(written);
    assert_string_equal(written->fields[0]->key, "_tracer-data");
    const ProtobufCBinaryData *text = &written->fields[0]->value->data;
    static const char expected[] =
        "{\"traceparent\":\"" PARENT "\",\"tracestate\":\"a=1\",\"baggage\":\"k=v\"}";
    assert_int_equal(text->len, strlen(expected));
    assert_memory_equal(text->data, expected, text->len);
    assert_true(flo_tracer_read(written, *state, &again));
    assert_memory_equal(&data.context, &again.context, sizeof data.context);
}

/* What cannot be read is no trace, and no error either. */
static void test_tracer_nonsense(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "\"" PARENT "\"",
        "{\"traceparent\": 7}",
        "{\"traceparent\": \"00-nothing\"}",
        "{\"Traceparent\": \"" PARENT "\"}",
    };
    struct flo_tracer_data data;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (flo_tracer_read(header_of(*state, "_tracer-data", "json/plain", texts[i]), *state,
                            &data))
            fail_msg("taken: %s", texts[i]);
    assert_false(flo_tracer_read(NULL, *state, &data));
    assert_false(flo_tracer_read(
        header_of(*state, "other", "json/plain", "{\"traceparent\":\"" PARENT "\"}"), *state,
        &data));
    assert_false(
        flo_tracer_read(header_of(*state, "_tracer-data", "binary/encrypted", "x"), *state, &data));
}

/* Members that are no texts, or too long to be passed on, are left behind. */
static void test_tracer_leaves_what_is_too_much(void **state)
{
    struct flo_tracer_data data = {0};
    char text[9100], longest[8194];
    memset(longest, 'b', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    snprintf(text, sizeof text,
             "{\"traceparent\":\"" PARENT "\",\"tracestate\":[1],\"baggage\":\"%s\"}", longest);
    assert_true(
        flo_tracer_read(header_of(*state, "_tracer-data", "json/plain", text), *state, &data));
    assert_null(data.tracestate);
    assert_null(data.baggage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tracer_round_trip, arena_setup, arena_teardown),
        cmocka_unit_test_setup_teardown(test_tracer_nonsense, arena_setup, arena_teardown),
        cmocka_unit_test_setup_teardown(test_tracer_leaves_what_is_too_much, arena_setup,
                                        arena_teardown),
    };
    json_object_seed(0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
