/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads, raw values, JSON from outside, durations and timestamps. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "flotilla/payload.h"
#include "support/cmocka_env.h"
#include "unit/wire/arena_fixture.h"
#include "wire/payload.h"

static const char *encoding_of(const FloApi__Payload *payload)
{
    static char text[64];
    assert_true(payload->n_metadata > 0);
    assert_string_equal(payload->metadata[0]->key, "encoding");
    size_t len = payload->metadata[0]->value.len;
    assert_true(len < sizeof text);
    memcpy(text, payload->metadata[0]->value.data, len);
    text[len] = '\0';
    return text;
}

/* A payload with the encoding, and one more metadata entry when key is given. */
static FloApi__Payload *payload_of(struct flo_arena *arena, const char *encoding, const void *data,
                                   size_t len, const char *key, const char *value)
{
    FloApi__Payload *payload = flo_arena_alloc(arena, sizeof *payload);
    flo_api__payload__init(payload);
    payload->metadata = flo_arena_calloc(arena, 2, sizeof(void *));
    const char *pairs[2][2] = {{key, value}, {"encoding", encoding}};
    for (int i = 0; i < 2; i++) {
        if (!pairs[i][0] || !pairs[i][1])
            continue;
        FloApi__Payload__MetadataEntry *entry = flo_arena_alloc(arena, sizeof *entry);
        flo_api__payload__metadata_entry__init(entry);
        entry->key = flo_arena_strdup(arena, pairs[i][0]);
        entry->value.data = (uint8_t *)flo_arena_strdup(arena, pairs[i][1]);
        entry->value.len = strlen(pairs[i][1]);
        payload->metadata[payload->n_metadata++] = entry;
    }
    payload->data.data = flo_arena_memdup(arena, data, len);
    payload->data.len = len;
    return payload;
}

/* Values of every kind go out as json/plain, compact, and come back equal. */
static void test_payload_round_trips_json(void **state)
{
    static const char *const texts[] = {"true",
                                        "0",
                                        "-1",
                                        "\"\"",
                                        "\"gr\xc3\xbc\xc3\x9f \\\"x\\\"\"",
                                        "[]",
                                        "{}",
                                        "1.5",
                                        "{\"a\":[1,2,{\"b\":null}]}",
                                        "9223372036854775807",
                                        "-9223372036854775808"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *value, *again;
        assert_int_equal(flo_json_parse(texts[i], strlen(texts[i]), &value, NULL), 0);
        FloApi__Payload *payload = flo_payload_from_json(*state, value);
        assert_string_equal(encoding_of(payload), "json/plain");
        assert_int_equal(payload->data.len, strlen(texts[i]));
        assert_memory_equal(payload->data.data, texts[i], payload->data.len);
        assert_int_equal(flo_payload_to_json(payload, &again, NULL), 0);
        assert_true(json_equal(value, again));
        json_decref(value);
        json_decref(again);
    }
}

/* A text longer than the short buffer is complete. */
static void test_payload_long_text_complete(void **state)
{
    json_t *value = json_array();
    for (int i = 0; i < 2000; i++)
        json_array_append_new(value, json_integer(i));
    FloApi__Payload *payload = flo_payload_from_json(*state, value);
    json_t *again;
    assert_int_equal(flo_payload_to_json(payload, &again, NULL), 0);
    assert_true(json_equal(value, again));
    json_decref(value);
    json_decref(again);
}

/* NULL and null are binary/null, without data, as the official SDKs send None. */
static void test_payload_null_is_binary_null(void **state)
{
    json_t *value = json_null();
    FloApi__Payload *payload = flo_payload_from_json(*state, NULL);
    assert_string_equal(encoding_of(payload), "binary/null");
    assert_int_equal(payload->data.len, 0);
    FloApi__Payloads *payloads = flo_payloads_from_json(*state, value);
    assert_int_equal(payloads->n_payloads, 1);
    assert_string_equal(encoding_of(payloads->payloads[0]), "binary/null");
    assert_int_equal(flo_payload_to_json(payload, &value, NULL), 0);
    assert_true(json_is_null(value));
}

/* None gives null, several give an array or the first. */
static void test_payloads_none_one_several(void **state)
{
    struct flo_arena *arena = *state;
    json_t *value = NULL;
    assert_int_equal(flo_payloads_to_json(NULL, true, &value, NULL), 0);
    assert_true(json_is_null(value));

    FloApi__Payload *items[2] = {payload_of(arena, "json/plain", "1", 1, NULL, NULL),
                                 payload_of(arena, "json/plain", "2", 1, NULL, NULL)};
    FloApi__Payloads payloads;
    flo_api__payloads__init(&payloads);
    payloads.payloads = items;
    payloads.n_payloads = 2;
    assert_int_equal(flo_payloads_to_json(&payloads, false, &value, NULL), 0);
    assert_int_equal(json_integer_value(value), 1);
    json_decref(value);
    assert_int_equal(flo_payloads_to_json(&payloads, true, &value, NULL), 0);
    assert_int_equal(json_array_size(value), 2);
    assert_int_equal(json_integer_value(json_array_get(value, 1)), 2);
    json_decref(value);

    items[1]->data.len = 0;
    struct flo_err err;
    assert_int_equal(flo_payloads_to_json(&payloads, true, &value, &err), FLO_EPROTO);
    assert_string_equal(err.message, "json/plain payload: JSON is empty");
}

/* Other encodings, or none, pass through with their bytes and metadata. */
static void test_payload_other_encodings_pass_through(void **state)
{
    struct flo_arena *arena = *state;
    static const char *const encodings[] = {"binary/plain", "binary/sealed", "json/protobuf", NULL};
    for (size_t i = 0; i < 4; i++) {
        FloApi__Payload *payload = payload_of(arena, encodings[i], "\0\xff{", 3, "key-id", "k1");
        json_t *value;
        assert_int_equal(flo_payload_to_json(payload, &value, NULL), 0);
        assert_true(flo_raw_is(value));
        assert_string_equal(flo_raw_encoding(value), encodings[i] ? encodings[i] : "");
        void *data;
        size_t len;
        assert_int_equal(flo_raw_data(value, &data, &len), 0);
        assert_int_equal(len, 3);
        assert_memory_equal(data, "\0\xff{", 3);
        free(data);

        FloApi__Payload *again = flo_payload_from_json(arena, value);
        assert_int_equal(again->n_metadata, payload->n_metadata);
        if (encodings[i])
            assert_string_equal(encoding_of(again), encodings[i]);
        const FloApi__Payload__MetadataEntry *last = again->metadata[again->n_metadata - 1];
        assert_string_equal(last->key, "key-id");
        assert_memory_equal(last->value.data, "k1", 2);
        assert_memory_equal(again->data.data, "\0\xff{", 3);
        json_decref(value);
    }
}

/* A json/plain text in the shape of a raw value leaves as it came instead of as what it claims. */
static void test_payload_lookalike_of_raw_stays_json(void **state)
{
    static const char text[] = "{\"__flo_raw\": {\"encoding\": \"x\", \"data\": \"\"}}";
    FloApi__Payload *payload = payload_of(*state, "json/plain", text, sizeof text - 1, NULL, NULL);
    json_t *value;
    assert_int_equal(flo_payload_to_json(payload, &value, NULL), 0);
    assert_string_equal(flo_raw_encoding(value), "json/plain");
    FloApi__Payload *again = flo_payload_from_json(*state, value);
    assert_string_equal(encoding_of(again), "json/plain");
    assert_int_equal(again->data.len, sizeof text - 1);
    assert_memory_equal(again->data.data, text, sizeof text - 1);
    json_decref(value);
}

/* Objects that are nearly raw values are ordinary ones. */
static void test_raw_shape_is_exact(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "[]",
        "{\"__flo_raw\":1}",
        "{\"__flo_raw\":{\"encoding\":\"x\"}}",
        "{\"__flo_raw\":{\"encoding\":1,\"data\":\"\"}}",
        "{\"__flo_raw\":{\"encoding\":\"x\",\"data\":\"\"},\"more\":1}",
        "{\"__flo_raw\":{\"encoding\":\"x\",\"data\":\"\",\"more\":1}}",
        "{\"__flo_raw\":{\"encoding\":\"x\",\"data\":\"\",\"metadata\":[]}}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *value;
        assert_int_equal(flo_json_parse(texts[i], strlen(texts[i]), &value, NULL), 0);
        assert_false(flo_raw_is(value));
        assert_null(flo_raw_encoding(value));
        json_decref(value);
    }
    assert_false(flo_raw_is(NULL));
    json_t *bad = json_pack("{s:{s:s, s:s}}", FLO_RAW_KEY, "encoding", "x", "data", "!");
    void *data = NULL;
    size_t len;
    assert_int_equal(flo_raw_data(bad, &data, &len), FLO_EINVAL);
    assert_null(data);
    assert_null(flo_payload_from_json(*state, bad));
    json_decref(bad);
}

/* Parse n times open, then n times close. */
static int parse_nested(size_t n, char open, char close, struct flo_err *err)
{
    char *text = flo_malloc(2 * n);
    memset(text, open, n);
    memset(text + n, close, n);
    json_t *value = NULL;
    int rc = flo_json_parse(text, 2 * n, &value, err);
    json_decref(value);
    flo_free(text);
    return rc;
}

/* 64 levels are accepted, 65 and ten million are refused before any recursion. */
static void test_json_depth_cap(void **state)
{
    (void)state;
    struct flo_err err;
    assert_int_equal(parse_nested(64, '[', ']', &err), 0);
    assert_int_equal(parse_nested(65, '[', ']', &err), FLO_EPROTO);
    assert_string_equal(err.message, "JSON nests deeper than 64 levels");
    assert_int_equal(parse_nested(10000000, '[', ']', &err), FLO_EPROTO);
    assert_int_equal(parse_nested(10000000, '{', '}', &err), FLO_EPROTO);

    char brackets[256] = "\"\\\"";
    memset(brackets + 3, '[', 200);
    brackets[203] = '"';
    json_t *value;
    assert_int_equal(flo_json_parse(brackets, 204, &value, &err), 0); /* inside a string */
    json_decref(value);
}

/* What is no JSON, or JSON that would be read wrongly, is refused with its place. */
static void test_json_malformed_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
    } cases[] = {
        {"", 0},
        {" ", 1},
        {"{\"a\":1,\"a\":2}", 13},
        {"1e999", 5},
        {"-1e999", 6},
        {"100000000000000000000", 21},
        {"9223372036854775808", 19},
        {"\"\\ud800\"", 8},
        {"\"\\u0000\"", 8},
        {"\"\xff\"", 3},
        {"1 2", 3},
        {"[1]\0", 4},
        {"[1", 2},
        {"nul", 3},
        {"NaN", 3},
        {"'a'", 3},
        {"[1,]", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *value = NULL;
        struct flo_err err = {0};
        int rc = flo_json_parse(cases[i].text, cases[i].len, &value, &err);
        if (rc != FLO_EPROTO)
            fail_msg("case %zu gave %d", i, rc);
        assert_null(value);
        assert_true(strncmp(err.message, "JSON ", 5) == 0);
    }
}

/* What no codec could read is no value, except for those who only show it. */
static void test_payload_encrypted_refused(void **state)
{
    static const char text[] =
        "{\"__flo_raw\":{\"encoding\":\"binary/encrypted\",\"data\":\"AAEC\","
        "\"metadata\":{\"encryption-key-id\":\"azE=\"}}}";
    struct flo_err err = {0};
    json_t *value, *again = NULL;
    assert_int_equal(flo_json_parse(text, strlen(text), &value, NULL), 0);
    FloApi__Payload *payload = flo_payload_from_json(*state, value);
    assert_int_equal(flo_payload_to_json(payload, &again, &err), FLO_EPERM);
    assert_non_null(strstr(err.message, "key \"k1\""));
    assert_non_null(strstr(err.message, "codec.key_file"));
    assert_int_equal(flo_payload_readable(payload, NULL), FLO_EPERM);
    assert_int_equal(flo_payload_show(payload, &again, NULL), 0);
    assert_true(json_equal(value, again));
    json_decref(value);
    json_decref(again);
}

/* Numbers that a double cannot spoil come back exactly. */
static void test_json_numbers_exact(void **state)
{
    static const char *const texts[] = {"0.1", "-0.0", "1e-300", "0.30000000000000004"};
    for (size_t i = 0; i < 4; i++) {
        json_t *value, *again;
        assert_int_equal(flo_json_parse(texts[i], strlen(texts[i]), &value, NULL), 0);
        FloApi__Payload *payload = flo_payload_from_json(*state, value);
        assert_int_equal(flo_payload_to_json(payload, &again, NULL), 0);
        double a = json_real_value(value), b = json_real_value(again);
        assert_memory_equal(&a, &b, sizeof a);
        json_decref(value);
        json_decref(again);
    }
}

/* An object with very many keys parses in linear time. */
static void test_json_many_keys_fast(void **state)
{
    (void)state;
    struct flo_buf text;
    flo_buf_init(&text, 0);
    for (int i = 0; i < 100000; i++)
        flo_buf_printf(&text, "%c\"key%d\":0", i ? ',' : '{', i);
    flo_buf_append_str(&text, "}");
    clock_t began = clock(); /* processor time: others may be busy */
    json_t *value;
    assert_int_equal(flo_json_parse((char *)text.data, text.len, &value, NULL), 0);
    assert_true(clock() - began < 10 * CLOCKS_PER_SEC);
    assert_int_equal(json_object_size(value), 100000);
    json_decref(value);
    flo_buf_fini(&text);
}

/* Durations are clamped to a century either way, never overflow, and round trip. */
static void test_duration_clamped(void **state)
{
    static const int64_t century = INT64_C(100) * 365 * 24 * 3600 * FLO_NS_PER_S;
    Google__Protobuf__Duration duration;
    google__protobuf__duration__init(&duration);
    assert_true(flo_duration_ns(NULL) == 0);
    static const struct {
        int64_t seconds;
        int32_t nanos;
        int64_t expected;
    } cases[] = {
        {1, 500000000, 1500000000},    {-1, -500000000, -1500000000}, {INT64_MAX, 0, century},
        {INT64_MIN, 0, -century},      {1000000000000, 0, century},   {0, 2000000000, 2000000000},
        {0, INT32_MIN, -2147483648LL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        duration.seconds = cases[i].seconds;
        duration.nanos = cases[i].nanos;
        assert_true(flo_duration_ns(&duration) == cases[i].expected);
    }
    assert_true(flo_duration_ns(flo_duration_new(*state, -1500000000)) == -1500000000);
}

/* Timestamps round trip, also before 1970, and saturate. */
static void test_timestamp_round_trip(void **state)
{
    assert_true(flo_timestamp_ns(NULL) == 0);
    static const int64_t times[] = {0, 1, -1, -1500000000, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        Google__Protobuf__Timestamp *timestamp = flo_timestamp_new(*state, times[i]);
        assert_true(timestamp->nanos >= 0 && timestamp->nanos < FLO_NS_PER_S);
        assert_true(flo_timestamp_ns(timestamp) == times[i]);
    }
    Google__Protobuf__Timestamp far;
    google__protobuf__timestamp__init(&far);
    far.seconds = INT64_MAX;
    assert_true(flo_timestamp_ns(&far) == INT64_MAX);
    far.seconds = INT64_MIN;
    assert_true(flo_timestamp_ns(&far) == INT64_MIN);
}

int main(void)
{
    json_object_seed(0);
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, arena_setup, arena_teardown)
        T(test_payload_round_trips_json),
        T(test_payload_long_text_complete),
        T(test_payload_null_is_binary_null),
        T(test_payloads_none_one_several),
        T(test_payload_other_encodings_pass_through),
        T(test_payload_lookalike_of_raw_stays_json),
        T(test_raw_shape_is_exact),
        T(test_json_depth_cap),
        T(test_json_malformed_refused),
        T(test_payload_encrypted_refused),
        T(test_json_numbers_exact),
        T(test_json_many_keys_fast),
        T(test_duration_clamped),
        T(test_timestamp_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
