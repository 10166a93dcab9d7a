/* SPDX-License-Identifier: Apache-2.0 */
/* test_id.c - which inputs count as the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "quarantine/id.h"

#define ID(ns, type, input) id_of((char[FLO_QUARANTINE_ID_LEN + 1]){0}, ns, type, input)

static const char *id_of(char *out, const char *ns, const char *type, const FloApi__Payloads *input)
{
    flo_quarantine_id(ns, type, input, out);
    return out;
}

static ProtobufCBinaryData bytes(const char *text)
{
    return (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)(uintptr_t)text};
}

struct input {
    FloApi__Payload__MetadataEntry entries[2], *entry_list[2];
    FloApi__Payload payload, *payload_list[1];
    FloApi__Payloads all;
};

static char encoding[] = "encoding", zone[] = "zone";

/* One payload with two metadata entries, in this order or the other. */
static const FloApi__Payloads *input_init(struct input *in, const char *data, bool swapped)
{
    *in = (struct input){
        .entries = {FLO_API__PAYLOAD__METADATA_ENTRY__INIT, FLO_API__PAYLOAD__METADATA_ENTRY__INIT},
        .payload = FLO_API__PAYLOAD__INIT,
        .all = FLO_API__PAYLOADS__INIT};
    in->entries[0].key = encoding;
    in->entries[0].value = bytes("json/plain");
    in->entries[1].key = zone;
    in->entries[1].value = bytes("x");
    for (int i = 0; i < 2; i++)
        in->entry_list[i] = &in->entries[swapped ? 1 - i : i];
    in->payload.n_metadata = 2;
    in->payload.metadata = in->entry_list;
    in->payload.data = bytes(data);
    in->payload_list[0] = &in->payload;
    in->all.n_payloads = 1;
    in->all.payloads = in->payload_list;
    return &in->all;
}

/* The order of a map's entries means nothing; everything else does. */
static void test_id_same_and_other_inputs(void **state)
{
    struct input a, b;
    (void)state;
    const FloApi__Payloads *input = input_init(&a, "{}", false);
    const char *id = ID("ns", "type", input);

    assert_int_equal(strlen(id), FLO_QUARANTINE_ID_LEN);
    assert_true(flo_quarantine_id_digits(id, FLO_QUARANTINE_ID_LEN));
    assert_string_equal(id, ID("ns", "type", input_init(&b, "{}", true)));
    assert_string_not_equal(id, ID("ns", "type", input_init(&b, "[]", false)));
    assert_string_not_equal(id, ID("ns2", "type", input));
    assert_string_not_equal(id, ID("nst", "ype", input));
    assert_string_not_equal(id, ID("ns", "type", NULL));
    input_init(&b, "{}", false);
    b.entries[1].value = bytes("y");
    assert_string_not_equal(id, ID("ns", "type", &b.all));
}

/* No input and an empty list of payloads are the same nothing. */
static void test_id_no_input(void **state)
{
    FloApi__Payloads none = FLO_API__PAYLOADS__INIT;
    (void)state;
    assert_string_equal(ID("ns", "type", NULL), ID("ns", "type", &none));
}

static void test_id_digits(void **state)
{
    (void)state;
    assert_true(flo_quarantine_id_digits("0a9f", 4));
    assert_false(flo_quarantine_id_digits("0A9f", 4));
    assert_false(flo_quarantine_id_digits("../x", 4));
    assert_false(flo_quarantine_id_digits("ab", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_id_same_and_other_inputs),
        cmocka_unit_test(test_id_no_input),
        cmocka_unit_test(test_id_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
