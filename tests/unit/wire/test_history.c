/* SPDX-License-Identifier: Apache-2.0 */
/* Histories from the files of the tools that write them, and messages from JSON of any spelling. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_env.h"
#include "wire/history.h"
#include "wire/json.h"
#include "wire/payload.h"

struct fixture {
    struct flo_arena arena;
    struct flo_err err;
    FloApi__History *history;
};

static int setup(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){0};
    flo_arena_init(&fixture.arena, 64 << 20);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    flo_arena_fini(&f->arena);
    return 0;
}

static int read_text(struct fixture *f, const char *text)
{
    return flo_history_read(text, strlen(text), NULL, &f->arena, &f->history, &f->err);
}

/* The message in text, of the type, as our JSON. */
static void assert_reads(struct fixture *f, const ProtobufCMessageDescriptor *type,
                         const char *text, const char *expected)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    ProtobufCMessage *message = NULL;
    assert_non_null(value);
    int rc = flo_wire_from_json(type, value, &f->arena, &message, &f->err);
    json_decref(value);
    if (rc)
        fail_msg("%s", f->err.message);
    value = flo_wire_to_json(message);
    char *got = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    assert_string_equal(got, expected);
    free(got);
    json_decref(value);
}

static void assert_refuses(struct fixture *f, const ProtobufCMessageDescriptor *type,
                           const char *text, const char *sentence)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    ProtobufCMessage *message = NULL;
    assert_non_null(value);
    assert_int_equal(flo_wire_from_json(type, value, &f->arena, &message, &f->err), FLO_EPROTO);
    assert_string_equal(f->err.message, sentence);
    assert_null(message);
    json_decref(value);
}

/* ---- files ---- */

#define EVENT "{\"eventId\": \"1\", \"eventType\": \"EVENT_TYPE_WORKFLOW_EXECUTION_STARTED\"}"

/* An object, one inside another, the bare array; white space, a line feed, a byte order mark. */
static void test_read_each_wrapping_gives_the_events(void **state)
{
    static const char *const texts[] = {
        "{\"events\": [" EVENT "]}",
        "{\"history\": {\"events\": [" EVENT "]}}",
        "[" EVENT "]",
        "\n\n  {\"events\": [" EVENT "]}",
        "\xef\xbb\xbf[" EVENT "]",
        "{\"history\": [" EVENT "], \"runId\": \"r\"}",
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(read_text(f, texts[i]), 0);
        assert_int_equal(f->history->n_events, 1);
        assert_int_equal(f->history->events[0]->event_id, 1);
        assert_int_equal(f->history->events[0]->event_type, 1);
    }
}

static void test_read_binary_gives_the_events(void **state)
{
    static const char packed[] = {'\n', 4, 8, 7, 0x18, 3}; /* {event_id 7, event_type 3} */
    struct fixture *f = *state;
    assert_int_equal(flo_history_read(packed, sizeof packed, NULL, &f->arena, &f->history, &f->err),
                     0);
    assert_int_equal(f->history->events[0]->event_id, 7);
    assert_int_equal(f->history->events[0]->event_type, 3);
}

/* A first event of 123 bytes makes a packed history begin like JSON behind a line feed. */
static void test_read_binary_that_looks_like_json_gives_the_events(void **state)
{
    /* event_id 7, and 117 bytes of a field that is not in the schema */
    static const char packed[125] = {'\n', '{', 8, 7, '\xfa', '\xf0', 4, 117};
    struct fixture *f = *state;
    assert_int_equal(flo_history_read(packed, sizeof packed, NULL, &f->arena, &f->history, &f->err),
                     0);
    assert_int_equal(f->history->events[0]->event_id, 7);
}

static void assert_bad(struct fixture *f, const char *text, int rc, const char *sentence)
{
    assert_int_equal(read_text(f, text), rc);
    assert_string_equal(f->err.message, sentence);
}

static void test_read_what_is_no_history_says_why(void **state)
{
    struct fixture *f = *state;
    assert_bad(f, "", FLO_EPROTO, "the file is empty");
    assert_bad(f, "{\"events\": []}", FLO_EPROTO, "the history has no events");
    assert_bad(f, "{\"steps\": []}", FLO_EPROTO, "the JSON has no \"events\" array");
    assert_bad(f, "{\"events\": 7}", FLO_EPROTO, "the JSON has no \"events\" array");
    assert_bad(f, "{\"events\": [\n{\"eventId\": }]}", FLO_EPROTO,
               "line 2, column 13: unexpected token near '}'");
    assert_bad(f, "{\"events\": [{}, {\"eventId\": \"x\"}]}", FLO_EPROTO,
               "events[1].eventId: \"x\" is no whole number in range");
    assert_bad(f, "[3]", FLO_EPROTO, "events[0]: an object was expected");
    assert_int_equal(read_text(f, "not a history"), FLO_EPROTO);
    assert_non_null(strstr(f->err.message, "this is neither JSON nor a packed history: "));
}

/* Neither jansson nor the reader goes deep: a limit, measured before. */
static void test_read_deep_nesting_is_refused(void **state)
{
    static char text[5000];
    struct fixture *f = *state;
    memset(text, '[', sizeof text - 1);
    assert_int_equal(read_text(f, text), FLO_ELIMIT);
    size_t at = 0;
    for (int i = 0; i < 120; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "{\"cause\":");
    at += (size_t)snprintf(text + at, sizeof text - at, "{}");
    memset(text + at, '}', 120);
    text[at + 120] = '\0';
    json_t *value = json_loads(text, 0, NULL);
    ProtobufCMessage *message;
    assert_int_equal(
        flo_wire_from_json(&flo_api__failure__descriptor, value, &f->arena, &message, &f->err),
        FLO_EPROTO);
    assert_non_null(strstr(f->err.message, "this nests deeper than 100 messages"));
    json_decref(value);
}

/* What the JSON becomes is bounded by the arena. */
static void test_read_past_the_budget_is_refused(void **state)
{
    struct fixture *f = *state;
    f->arena.budget_bytes = 1 << 12;
    char text[2000] = "[{}";
    for (int i = 0; i < 400; i++)
        memcpy(text + 3 + i * 3, ",{}", 4);
    memcpy(text + 3 + 400 * 3, "]", 2);
    assert_int_equal(read_text(f, text), FLO_ELIMIT);
    assert_string_equal(f->err.message, "the JSON becomes more than there is memory for");
}

/* ---- members ---- */

#define TYPE(name) &flo_api__##name##__descriptor

static void test_names_of_both_spellings_are_known(void **state)
{
    struct fixture *f = *state;
    assert_reads(f, TYPE(history_event), "{\"event_id\": 3, \"taskId\": 4, \"newer\": {\"a\": 1}}",
                 "{\"eventId\":\"3\",\"taskId\":\"4\"}");
}

/* SCREAMING_SNAKE with the type's name, CamelCase without, the number; unknown ones are left out.
 */
static void test_enumerators_of_each_spelling_are_known(void **state)
{
    static const char *const texts[] = {
        "{\"eventType\": \"EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT\"}",
        "{\"eventType\": \"ActivityTaskTimedOut\"}",
        "{\"eventType\": 14}",
        "{\"eventType\": \"ACTIVITY_TASK_TIMED_OUT\"}",
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_reads(f, TYPE(history_event), texts[i],
                     "{\"eventType\":\"EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT\"}");
    assert_reads(f, TYPE(history_event), "{\"eventType\": \"Newer\"}", "{}");
    assert_reads(f, TYPE(timeout_failure_info), "{\"timeoutType\": \"StartToClose\"}",
                 "{\"timeoutType\":\"TIMEOUT_TYPE_START_TO_CLOSE\"}");
}

static void test_times_are_read(void **state)
{
    struct fixture *f = *state;
    assert_reads(f, &google__protobuf__timestamp__descriptor, "\"2017-07-14T02:40:00.123456789Z\"",
                 "\"2017-07-14T02:40:00.123456789Z\"");
    assert_reads(f, &google__protobuf__timestamp__descriptor, "\"2017-07-14T04:40:00+02:00\"",
                 "\"2017-07-14T02:40:00Z\"");
    assert_reads(f, &google__protobuf__timestamp__descriptor, "\"1960-01-01T00:00:00.5Z\"",
                 "\"1960-01-01T00:00:00.500Z\"");
    assert_reads(f, &google__protobuf__duration__descriptor, "\"10s\"", "\"10s\"");
    assert_reads(f, &google__protobuf__duration__descriptor, "\"-1.5s\"", "\"-1.500s\"");
    assert_reads(f, &google__protobuf__duration__descriptor, "\"-0.000000001s\"",
                 "\"-0.000000001s\"");
    assert_reads(f, &google__protobuf__duration__descriptor,
                 "{\"seconds\": \"315576000001\", \"nanos\": 1}",
                 "{\"seconds\":\"315576000001\",\"nanos\":1}");
    assert_refuses(f, &google__protobuf__duration__descriptor, "\"10\"",
                   "\"10\" is no duration (such as \"1.5s\")");
    assert_refuses(f, &google__protobuf__timestamp__descriptor, "\"2017-07-14T02:40:00\"",
                   "\"2017-07-14T02:40:00\" is no timestamp");
    assert_refuses(f, &google__protobuf__timestamp__descriptor, "\"yesterday\"",
                   "\"yesterday\" is no timestamp");
}

static void test_numbers_out_of_range_are_refused(void **state)
{
    struct fixture *f = *state;
    assert_reads(f, TYPE(retry_policy), "{\"maximumAttempts\": 3.0, \"backoffCoefficient\": \"2\"}",
                 "{\"backoffCoefficient\":2.0,\"maximumAttempts\":3}");
    assert_refuses(f, TYPE(retry_policy), "{\"maximumAttempts\": 3000000000}",
                   "maximumAttempts: 3000000000 is out of range");
    assert_refuses(f, TYPE(retry_policy), "{\"maximumAttempts\": 3.5}",
                   "maximumAttempts: 3.5 is no whole number");
    assert_refuses(f, TYPE(retry_policy), "{\"maximumAttempts\": {}}",
                   "maximumAttempts: a whole number was expected, not an object");
    assert_refuses(f, TYPE(retry_policy), "{\"backoffCoefficient\": \"x\"}",
                   "backoffCoefficient: a number was expected, not a text");
    assert_refuses(f, TYPE(history_event), "{\"eventId\": \"9223372036854775808\"}",
                   "eventId: \"9223372036854775808\" is no whole number in range");
    assert_refuses(f, TYPE(history_event), "{\"workerMayIgnore\": 1}",
                   "workerMayIgnore: true or false was expected, not a whole number");
}

/* ---- payloads ---- */

#define PLAIN "\"metadata\":{\"encoding\":\"anNvbi9wbGFpbg==\"}"

static void test_payloads_of_both_forms_are_read(void **state)
{
    struct fixture *f = *state;
    assert_reads(f, TYPE(payloads),
                 "{\"payloads\": [{\"metadata\": {\"encoding\": \"anNvbi9wbGFpbg==\"}, \"data\": "
                 "\"ImhpIg==\"}]}",
                 "{\"payloads\":[{" PLAIN ",\"data\":\"ImhpIg==\"}]}");
    assert_reads(f, TYPE(payloads), "[\"hi\", null]",
                 "{\"payloads\":[{" PLAIN ",\"data\":\"ImhpIg==\"},"
                 "{\"metadata\":{\"encoding\":\"YmluYXJ5L251bGw=\"}}]}");
    assert_reads(f, TYPE(payload), "{\"metadata\": 7}",
                 "{" PLAIN ",\"data\":\"eyJtZXRhZGF0YSI6N30=\"}");
    assert_reads(f, TYPE(payload), "{\"_protoMessageType\": \"a.B\", \"c\": 1}",
                 "{\"metadata\":{\"encoding\":\"anNvbi9wcm90b2J1Zg==\",\"messageType\":\"YS5C\"},"
                 "\"data\":\"eyJjIjoxfQ==\"}");
    assert_reads(f, TYPE(header), "{\"fields\": {\"trace\": {\"a\": true}}}",
                 "{\"fields\":{\"trace\":{" PLAIN ",\"data\":\"eyJhIjp0cnVlfQ==\"}}}");
    assert_refuses(f, TYPE(payload),
                   "{\"metadata\": {\"encoding\": \"anNvbi9wbGFpbg==\"}, \"data\": \"***\"}",
                   "data: this is no base64");
}

/* The other alphabet, without padding. */
static void test_base64_of_the_other_alphabet_is_read(void **state)
{
    struct fixture *f = *state;
    assert_reads(f, TYPE(payload), "{\"metadata\": {\"encoding\": \"YQ\"}, \"data\": \"_-8\"}",
                 "{\"metadata\":{\"encoding\":\"YQ==\"},\"data\":\"/+8=\"}");
}

/* ---- round trips ---- */

/* Recorded histories come back from our own JSON as the bytes that they were. */
static void test_recorded_history_survives_json(void **state)
{
    static const char *const names[] = {"LocalChain", "LocalBackoff", "LocalTimeout", "LocalFail"};
    static uint8_t bytes[1 << 16];
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[300];
        snprintf(path, sizeof path, "%s/%s.pb", HISTORIES, names[i]);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        size_t len = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        assert_int_equal(flo_history_read(bytes, len, NULL, &f->arena, &f->history, &f->err), 0);
        json_t *json = flo_wire_to_json(&f->history->base);
        char *text = json_dumps(json, JSON_INDENT(1));
        FloApi__History *before = f->history;
        if (read_text(f, text))
            fail_msg("%s", f->err.message);
        json_t *again = flo_wire_to_json(&f->history->base);
        assert_true(json_equal(json, again));
        assert_int_equal(flo_wire_size(&f->history->base), flo_wire_size(&before->base));
        json_decref(again);
        json_decref(json);
        free(text);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_read_each_wrapping_gives_the_events),
        T(test_read_binary_gives_the_events),
        T(test_read_binary_that_looks_like_json_gives_the_events),
        T(test_read_what_is_no_history_says_why),
        T(test_read_deep_nesting_is_refused),
        T(test_read_past_the_budget_is_refused),
        T(test_names_of_both_spellings_are_known),
        T(test_enumerators_of_each_spelling_are_known),
        T(test_times_are_read),
        T(test_numbers_out_of_range_are_refused),
        T(test_payloads_of_both_forms_are_read),
        T(test_base64_of_the_other_alphabet_is_read),
        T(test_recorded_history_survives_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
