/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON form of messages against the text that the official mapping gives. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "support/cmocka_env.h"
#include "wire/api.h"
#include "wire/failure.h"
#include "wire/json.h"
#include "wire/payload.h"

static void assert_json(const void *message, const char *expected)
{
    json_t *value = flo_wire_to_json(message);
    assert_non_null(value);
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    assert_string_equal(text, expected);
    free(text);
    json_decref(value);
}

/* A history as the official tools print it: names, enums, 64-bit numbers, times, maps, bytes. */
static void test_json_history(void **state)
{
    (void)state;
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    char queue_name[] = "q", type_name[] = "Echo", header_key[] = "trace";
    json_t *input = json_string("hi");
    FloApi__TaskQueue queue;
    flo_api__task_queue__init(&queue);
    queue.name = queue_name;
    queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    FloApi__WorkflowType type;
    flo_api__workflow_type__init(&type);
    type.name = type_name;
    FloApi__Header__FieldsEntry field;
    flo_api__header__fields_entry__init(&field);
    field.key = header_key;
    field.value = flo_payload_from_json(&arena, NULL);
    FloApi__Header__FieldsEntry *fields[] = {&field};
    FloApi__Header header;
    flo_api__header__init(&header);
    header.fields = fields;
    header.n_fields = 1;
    FloApi__WorkflowExecutionStartedEventAttributes started;
    flo_api__workflow_execution_started_event_attributes__init(&started);
    started.workflow_type = &type;
    started.task_queue = &queue;
    started.input = flo_payloads_from_json(&arena, input);
    started.workflow_task_timeout = flo_duration_new(&arena, 10 * FLO_NS_PER_S);
    started.attempt = 1;
    started.header = &header;
    FloApi__HistoryEvent event;
    flo_api__history_event__init(&event);
    event.event_id = INT64_C(9007199254740993);
    event.event_time = flo_timestamp_new(&arena, INT64_C(1500000000123456789));
    event.event_type = FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_STARTED;
    event.task_id = 1048576;
    event.attributes_case =
        FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_STARTED_EVENT_ATTRIBUTES;
    event.workflow_execution_started_event_attributes = &started;
    FloApi__HistoryEvent *events[] = {&event};
    FloApi__History history;
    flo_api__history__init(&history);
    history.events = events;
    history.n_events = 1;
    assert_json(&history,
                "{\"events\":[{\"eventId\":\"9007199254740993\","
                "\"eventTime\":\"2017-07-14T02:40:00.123456789Z\","
                "\"eventType\":\"EVENT_TYPE_WORKFLOW_EXECUTION_STARTED\",\"taskId\":\"1048576\","
                "\"workflowExecutionStartedEventAttributes\":{\"workflowType\":{\"name\":\"Echo\"},"
                "\"taskQueue\":{\"name\":\"q\",\"kind\":\"TASK_QUEUE_KIND_NORMAL\"},"
                "\"input\":{\"payloads\":[{\"metadata\":{\"encoding\":\"anNvbi9wbGFpbg==\"},"
                "\"data\":\"ImhpIg==\"}]},\"workflowTaskTimeout\":\"10s\",\"attempt\":1,"
                "\"header\":{\"fields\":{\"trace\":{\"metadata\":{"
                "\"encoding\":\"YmluYXJ5L251bGw=\"}}}}}}]}");
    json_decref(input);
    flo_arena_fini(&arena);
}

/* Times have as few of 0, 3, 6, 9 digits as they need; what has no text keeps its fields. */
static void test_json_times(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        int32_t nanos;
        const char *duration, *timestamp;
    } cases[] = {
        {0, 0, "\"0s\"", "\"1970-01-01T00:00:00Z\""},
        {1, 500000000, "\"1.500s\"", "\"1970-01-01T00:00:01.500Z\""},
        {1, 50000, "\"1.000050s\"", "\"1970-01-01T00:00:01.000050Z\""},
        {1, 5, "\"1.000000005s\"", "\"1970-01-01T00:00:01.000000005Z\""},
        {-1, 0, "\"-1s\"", "\"1969-12-31T23:59:59Z\""},
        {0, -500000000, "\"-0.500s\"", "{\"seconds\":\"0\",\"nanos\":-500000000}"},
        {253402300799, 0, "\"253402300799s\"", "\"9999-12-31T23:59:59Z\""},
        {253402300800, 0, "\"253402300800s\"", "{\"seconds\":\"253402300800\",\"nanos\":0}"},
        {INT64_MIN, 0, "{\"seconds\":\"-9223372036854775808\",\"nanos\":0}",
         "{\"seconds\":\"-9223372036854775808\",\"nanos\":0}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Google__Protobuf__Duration duration;
        google__protobuf__duration__init(&duration);
        Google__Protobuf__Timestamp timestamp;
        google__protobuf__timestamp__init(&timestamp);
        duration.seconds = timestamp.seconds = cases[i].seconds;
        duration.nanos = timestamp.nanos = cases[i].nanos;
        assert_json(&duration, cases[i].duration);
        assert_json(&timestamp, cases[i].timestamp);
    }
}

/* Numbers: wrappers are their value, floats print short, what is no number becomes text. */
static void test_json_numbers(void **state)
{
    (void)state;
    Google__Protobuf__DoubleValue wrapped;
    google__protobuf__double_value__init(&wrapped);
    wrapped.value = 2.5;
    FloApi__TaskQueueMetadata metadata;
    flo_api__task_queue_metadata__init(&metadata);
    metadata.max_tasks_per_second = &wrapped;
    assert_json(&metadata, "{\"maxTasksPerSecond\":2.5}");
    wrapped.value = 0;
    assert_json(&metadata, "{\"maxTasksPerSecond\":0.0}");
    wrapped.value = NAN;
    assert_json(&metadata, "{\"maxTasksPerSecond\":\"NaN\"}");
    wrapped.value = -INFINITY;
    assert_json(&metadata, "{\"maxTasksPerSecond\":\"-Infinity\"}");

    FloApi__TaskQueueStats stats;
    flo_api__task_queue_stats__init(&stats);
    stats.tasks_add_rate = 0.1f;
    stats.approximate_backlog_count = -3;
    assert_json(&stats, "{\"approximateBacklogCount\":\"-3\",\"tasksAddRate\":0.1}");
}

/* Unset is absent; a set oneof member shows even when it is empty; unknown enums stay numbers. */
static void test_json_presence(void **state)
{
    (void)state;
    FloApi__Failure failure;
    flo_api__failure__init(&failure);
    assert_json(&failure, "{}");
    FloApi__TimeoutFailureInfo info;
    flo_api__timeout_failure_info__init(&info);
    failure.failure_info_case = FLO_API__FAILURE__FAILURE_INFO_TIMEOUT_FAILURE_INFO;
    failure.timeout_failure_info = &info;
    assert_json(&failure, "{\"timeoutFailureInfo\":{}}");
    info.timeout_type = (FloApi__TimeoutType)99;
    assert_json(&failure, "{\"timeoutFailureInfo\":{\"timeoutType\":99}}");

    char url[] = "type.googleapis.com/x.Y";
    uint8_t bytes[] = {1, 2};
    Google__Protobuf__Any any;
    google__protobuf__any__init(&any);
    any.type_url = url;
    any.value = (ProtobufCBinaryData){.len = 2, .data = bytes};
    assert_json(&any, "{\"@type\":\"type.googleapis.com/x.Y\",\"value\":\"AQI=\"}");
    google__protobuf__any__init(&any);
    assert_json(&any, "{}");
    Google__Protobuf__Empty empty;
    google__protobuf__empty__init(&empty);
    assert_json(&empty, "{}");
}

/* A map with enum values and one with plain messages; equal keys: the last wins. */
static void test_json_maps(void **state)
{
    (void)state;
    char a[] = "a";
    FloApi__ListSearchAttributesResponse__CustomAttributesEntry first, second;
    flo_api__list_search_attributes_response__custom_attributes_entry__init(&first);
    flo_api__list_search_attributes_response__custom_attributes_entry__init(&second);
    first.key = second.key = a;
    first.value = FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_INT;
    FloApi__ListSearchAttributesResponse__CustomAttributesEntry *entries[] = {&first, &second};
    FloApi__ListSearchAttributesResponse response;
    flo_api__list_search_attributes_response__init(&response);
    response.custom_attributes = entries;
    response.n_custom_attributes = 1;
    assert_json(&response, "{\"customAttributes\":{\"a\":\"INDEXED_VALUE_TYPE_INT\"}}");
    response.n_custom_attributes = 2;
    assert_json(&response, "{\"customAttributes\":{\"a\":\"INDEXED_VALUE_TYPE_UNSPECIFIED\"}}");
}

/* A message that contains itself is refused instead of running out of stack. */
static void test_json_endless_message_refused(void **state)
{
    (void)state;
    FloApi__Failure failure;
    flo_api__failure__init(&failure);
    failure.cause = &failure;
    assert_null(flo_wire_to_json(&failure.base));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_history), cmocka_unit_test(test_json_times),
        cmocka_unit_test(test_json_numbers), cmocka_unit_test(test_json_presence),
        cmocka_unit_test(test_json_maps),    cmocka_unit_test(test_json_endless_message_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
