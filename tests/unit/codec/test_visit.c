/* SPDX-License-Identifier: Apache-2.0 */
/* Which payloads of a message codecs see. */
#include "codec/internal.h"
#include "unit/codec/fixture.h"
#include "wire/decode.h"

/* Counts payloads, and replaces each by another one. */
struct count {
    struct fixture *f;
    int seen;
};

static int replace(void *ctx, FloApi__Payload **place)
{
    struct count *count = ctx;
    count->seen++;
    *place = flo_payload_from_bytes(&count->f->arena, "seen", "", 0);
    return 0;
}

static int visit(struct fixture *f, ProtobufCMessage *message)
{
    struct count count = {f, 0};
    assert_int_equal(flo_payload_visit(message, &f->arena, replace, &count), 0);
    return count.seen;
}

static void arguments_memos_and_details_are_seen(void **state)
{
    struct fixture *f = *state;
    FloApi__StartWorkflowExecutionRequest request = FLO_API__START_WORKFLOW_EXECUTION_REQUEST__INIT;
    FloApi__Memo memo = FLO_API__MEMO__INIT;
    FloApi__Memo__FieldsEntry field = FLO_API__MEMO__FIELDS_ENTRY__INIT, *fields[] = {&field};
    FloApi__UserMetadata metadata = FLO_API__USER_METADATA__INIT;
    request.input = payloads_of(f, 'x', 3);
    request.memo = &memo;
    memo.n_fields = 1;
    memo.fields = fields;
    field.value = payloads_of(f, 'm', 3)->payloads[0];
    request.user_metadata = &metadata;
    metadata.summary = payloads_of(f, 's', 3)->payloads[0];
    assert_int_equal(visit(f, &request.base), 3);
    assert_true(encoded_as(request.input, "seen"));
    assert_true(flo_payload_encoded_as(flo_payload_veil(field.value), "seen"));
}

static void search_attributes_and_headers_are_left_alone(void **state)
{
    struct fixture *f = *state;
    FloApi__StartWorkflowExecutionRequest request = FLO_API__START_WORKFLOW_EXECUTION_REQUEST__INIT;
    FloApi__SearchAttributes search = FLO_API__SEARCH_ATTRIBUTES__INIT;
    FloApi__SearchAttributes__IndexedFieldsEntry
        indexed = FLO_API__SEARCH_ATTRIBUTES__INDEXED_FIELDS_ENTRY__INIT,
        *all[] = {&indexed};
    FloApi__Header header = FLO_API__HEADER__INIT;
    FloApi__Header__FieldsEntry field = FLO_API__HEADER__FIELDS_ENTRY__INIT, *fields[] = {&field};
    indexed.value = payloads_of(f, 'x', 3)->payloads[0];
    field.value = payloads_of(f, 'x', 3)->payloads[0];
    search.n_indexed_fields = header.n_fields = 1;
    search.indexed_fields = all;
    header.fields = fields;
    request.search_attributes = &search;
    request.header = &header;
    assert_int_equal(visit(f, &request.base), 0);
}

static void causes_of_failures_are_seen(void **state)
{
    struct fixture *f = *state;
    FloApi__Failure outer = FLO_API__FAILURE__INIT, inner = FLO_API__FAILURE__INIT;
    FloApi__ApplicationFailureInfo info = FLO_API__APPLICATION_FAILURE_INFO__INIT;
    info.details = payloads_of(f, 'd', 3);
    inner.failure_info_case = FLO_API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO;
    inner.application_failure_info = &info;
    outer.cause = &inner;
    assert_int_equal(visit(f, &outer.base), 1);
    /* A member of the oneof that is not the chosen one is none. */
    inner.failure_info_case = FLO_API__FAILURE__FAILURE_INFO__NOT_SET;
    assert_int_equal(visit(f, &outer.base), 0);
}

static int marker_details(struct fixture *f, const char *name, const char *const *keys, size_t n)
{
    FloApi__RecordMarkerCommandAttributes marker = FLO_API__RECORD_MARKER_COMMAND_ATTRIBUTES__INIT;
    FloApi__RecordMarkerCommandAttributes__DetailsEntry entries[4], *all[4];
    assert_true(n <= 4);
    for (size_t i = 0; i < n; i++) {
        flo_api__record_marker_command_attributes__details_entry__init(&entries[i]);
        entries[i].key = (char *)(uintptr_t)keys[i];
        entries[i].value = payloads_of(f, 'x', 3);
        all[i] = &entries[i];
    }
    marker.marker_name = (char *)(uintptr_t)name;
    marker.n_details = n;
    marker.details = all;
    return visit(f, &marker.base);
}

static void what_runtimes_read_in_markers_is_left_alone(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        marker_details(f, "core_local_activity", (const char *[]){"data", "result"}, 2), 1);
    assert_int_equal(marker_details(f, "core_patch", (const char *[]){"patch-data"}, 1), 0);
    assert_int_equal(marker_details(f, "SideEffect", (const char *[]){"side-effect-id", "data"}, 2),
                     1);
}

static void updates_inside_protocol_messages_are_seen(void **state)
{
    struct fixture *f = *state;
    FloApi__Request request = FLO_API__REQUEST__INIT;
    FloApi__Input input = FLO_API__INPUT__INIT;
    FloApi__Message message = FLO_API__MESSAGE__INIT;
    Google__Protobuf__Any body = GOOGLE__PROTOBUF__ANY__INIT;
    input.args = payloads_of(f, 'u', 3);
    request.input = &input;
    body.type_url = (char *)(uintptr_t) "type.googleapis.com/temporal.api.update.v1.Request";
    assert_int_equal(
        flo_wire_encode_arena(&request.base, &f->arena, &body.value.data, &body.value.len), 0);
    message.body = &body;
    assert_int_equal(visit(f, &message.base), 1);
    ProtobufCMessage *back = NULL;
    assert_int_equal(flo_wire_decode(&flo_api__request__descriptor, body.value.data, body.value.len,
                                     &f->arena, &back, NULL),
                     0);
    assert_true(encoded_as(((FloApi__Request *)back)->input->args, "seen"));
    body.type_url = (char *)(uintptr_t) "type.googleapis.com/something.Else";
    assert_int_equal(visit(f, &message.base), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(arguments_memos_and_details_are_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(search_attributes_and_headers_are_left_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(causes_of_failures_are_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_runtimes_read_in_markers_is_left_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(updates_inside_protocol_messages_are_seen, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
