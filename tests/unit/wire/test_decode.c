/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding: malformed, hostile and odd input, and round trips of honest messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "support/cmocka_env.h"
#include "unit/wire/bytes.h"
#include "wire/api.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "wire/payload.h"

/* An arena, the last error and a builder for wire bytes. */
struct fixture {
    struct flo_arena arena;
    struct flo_buf bytes;
    struct flo_err err;
};

static int setup(void **state)
{
    struct fixture *f = flo_calloc(1, sizeof *f);
    flo_arena_init(&f->arena, 0);
    flo_buf_init(&f->bytes, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    flo_arena_fini(&f->arena);
    flo_buf_fini(&f->bytes);
    flo_free(f);
    return 0;
}

/* Decode what f->bytes holds. */
static int decode(struct fixture *f, const ProtobufCMessageDescriptor *descriptor, void *out)
{
    ProtobufCMessage *message = NULL;
    f->err.message[0] = '\0';
    int rc = flo_wire_decode(descriptor, f->bytes.data, f->bytes.len, &f->arena, &message, &f->err);
    memcpy(out, &message, sizeof message);
    return rc;
}

static int decode_exact(struct fixture *f, const ProtobufCMessageDescriptor *descriptor,
                        const void *data, size_t len)
{
    flo_buf_clear(&f->bytes);
    flo_buf_append(&f->bytes, data, len);
    void *ignored;
    return decode(f, descriptor, &ignored);
}

/* Bytes of a Failure with depth levels of cause below it, built from the inside out. */
static void nested_failure(struct flo_buf *out, unsigned depth)
{
    size_t size = 8 * (size_t)depth + 16, at = size;
    uint8_t *bytes = flo_malloc(size);
    for (unsigned i = 0; i < depth; i++) {
        size_t len = size - at;
        uint8_t header[8];
        size_t n = 0;
        header[n++] = 0x22; /* cause, 4, length-delimited */
        do {
            header[n++] = (uint8_t)(len & 0x7f) | (len > 0x7f ? 0x80 : 0);
            len >>= 7;
        } while (len);
        at -= n;
        memcpy(bytes + at, header, n);
    }
    flo_buf_clear(out);
    flo_buf_append(out, bytes + at, size - at);
    flo_free(bytes);
}

/* A hundred levels are accepted and packed again byte for byte. */
static void test_decode_depth_100_accepted(void **state)
{
    struct fixture *f = *state;
    nested_failure(&f->bytes, 100);
    ProtobufCMessage *message;
    assert_int_equal(decode(f, &flo_api__failure__descriptor, &message), 0);

    struct flo_buf again;
    flo_buf_init(&again, 0);
    assert_int_equal(flo_wire_encode(message, &again), 0);
    assert_int_equal(again.len, f->bytes.len);
    assert_memory_equal(again.data, f->bytes.data, again.len);
    flo_buf_fini(&again);
}

/* One level more is refused, and so is any number of them, fast and without recursion. */
static void test_decode_depth_101_and_more_refused(void **state)
{
    struct fixture *f = *state;
    static const unsigned depths[] = {101, 9000, 600000};
    for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++) {
        nested_failure(&f->bytes, depths[i]);
        void *message;
        assert_int_equal(decode(f, &flo_api__failure__descriptor, &message), FLO_EPROTO);
        assert_non_null(strstr(f->err.message, "nested too deep"));
        assert_non_null(strstr(f->err.message, "Failure.cause.cause"));
    }
}

/* Two bytes a sub-message run into the budget, not into the machine's memory. */
static void test_decode_many_empty_messages_hit_the_budget(void **state)
{
    struct fixture *f = *state;
    size_t len = (size_t)4 * 1024 * 1024;
    for (size_t i = 0; i < len; i += 2)
        flo_buf_append(&f->bytes, "\x0a\x00", 2);
    f->arena.budget_bytes = flo_wire_budget(len);
    void *message;
    assert_int_equal(decode(f, &flo_api__payloads__descriptor, &message), FLO_ELIMIT);
    assert_true(f->arena.held_bytes <= flo_wire_budget(len));
    assert_int_equal(flo_wire_budget(len), 64 * 1024 * 1024);
    assert_int_equal(flo_wire_budget(0), 64 * 1024);
    assert_int_equal(flo_wire_budget(100000), 1600000);
    assert_int_equal(flo_wire_budget(SIZE_MAX), 64 * 1024 * 1024);
}

/* A StartWorkflowExecutionRequest with every kind of field. */
static void start_request(struct fixture *f, struct flo_buf *out)
{
    FloApi__StartWorkflowExecutionRequest request;
    flo_api__start_workflow_execution_request__init(&request);
    json_t *input = json_pack("{s:s, s:[i,i,i]}", "name", "gr\xc3\xbc\xc3\x9f", "n", 1, 2, 3);
    FloApi__WorkflowType type;
    flo_api__workflow_type__init(&type);
    type.name = flo_arena_strdup(&f->arena, "Echo");
    FloApi__RetryPolicy retry;
    flo_api__retry_policy__init(&retry);
    char *errors[] = {flo_arena_strdup(&f->arena, "Fatal"), flo_arena_strdup(&f->arena, "Worse")};
    retry.backoff_coefficient = 2.5;
    retry.maximum_attempts = 7;
    retry.n_non_retryable_error_types = 2;
    retry.non_retryable_error_types = errors;
    retry.initial_interval = flo_duration_new(&f->arena, 1500 * FLO_NS_PER_MS);
    request.namespace_ = flo_arena_strdup(&f->arena, "default");
    request.workflow_id = flo_arena_strdup(&f->arena, "wf-1");
    request.workflow_type = &type;
    request.input = flo_payloads_from_json(&f->arena, input);
    request.retry_policy = &retry;
    request.continued_failure =
        flo_failure_application(&f->arena, "no", "Oops", true, input, FLO_NS_PER_S);
    request.workflow_id_reuse_policy =
        FLO_API__WORKFLOW_ID_REUSE_POLICY__WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE;
    request.request_eager_execution = 1;
    flo_buf_clear(out);
    assert_int_equal(flo_wire_encode(&request.base, out), 0);
    json_decref(input);
}

/* An honest message comes back the same, whatever kinds of fields it has. */
static void test_decode_round_trip_keeps_every_field(void **state)
{
    struct fixture *f = *state;
    start_request(f, &f->bytes);
    FloApi__StartWorkflowExecutionRequest *request;
    f->arena.budget_bytes = flo_wire_budget(f->bytes.len);
    assert_int_equal(decode(f, &flo_api__start_workflow_execution_request__descriptor, &request),
                     0);
    assert_string_equal(request->namespace_, "default");
    assert_string_equal(request->workflow_type->name, "Echo");
    assert_true(request->retry_policy->backoff_coefficient == 2.5);
    assert_int_equal(request->retry_policy->n_non_retryable_error_types, 2);
    assert_string_equal(request->retry_policy->non_retryable_error_types[1], "Worse");
    assert_int_equal(flo_duration_ns(request->retry_policy->initial_interval),
                     1500 * FLO_NS_PER_MS);
    assert_string_equal(flo_failure_type(request->continued_failure), "Oops");
    assert_string_equal(request->identity, "");

    struct flo_buf again;
    flo_buf_init(&again, 0);
    assert_int_equal(flo_wire_encode(&request->base, &again), 0);
    assert_int_equal(again.len, f->bytes.len);
    assert_memory_equal(again.data, f->bytes.data, again.len);
    flo_buf_fini(&again);
}

/* Cut anywhere, a message is refused or is a shorter one, and nothing is read past the end. */
static void test_decode_truncated_at_each_byte_never_overreads(void **state)
{
    struct fixture *f = *state;
    start_request(f, &f->bytes);
    size_t whole = f->bytes.len;
    unsigned accepted = 0;
    for (size_t len = 0; len < whole; len++) {
        uint8_t *exact = flo_memdup(f->bytes.data, len); /* so that ASan sees the end */
        ProtobufCMessage *message;
        struct flo_arena arena;
        flo_arena_init(&arena, 0);
        int rc = flo_wire_decode(&flo_api__start_workflow_execution_request__descriptor, exact, len,
                                 &arena, &message, &f->err);
        assert_true(rc == 0 || rc == FLO_EPROTO);
        accepted += rc == 0;
        flo_arena_fini(&arena);
        flo_free(exact);
    }
    assert_true(accepted < 12); /* only where a top-level field ends */
}

/* Numbers longer than 10 bytes or 64 bits, tag 0, groups and reserved wire types are refused.
 */
static void test_decode_malformed_headers_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}, /* 11 bytes */
        {"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11},     /* 65 bits */
        {"\x10", 1},                                              /* no value */
        {"\x10\x80", 2},                                          /* half a value */
        {"\x00\x00", 2},                                          /* field 0 */
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11},     /* 11-byte tag */
        {"\x80\x80\x80\x80\x80\x01\x00", 7},                      /* field number past 2^29 - 1 */
        {"\x0b\x0c", 2},                                          /* group */
        {"\x0c", 1},                                              /* end of a group */
        {"\x0e\x00", 2},                                          /* wire type 6 */
        {"\x0f\x00", 2},                                          /* wire type 7 */
        {"\x0a\x05"
         "abc",
         5},                                                  /* length past the end */
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, /* length 2^64 - 1 */
        {"\x0d\x01\x02\x03", 4},                              /* 32 bits cut */
        {"\x09\x01\x02\x03\x04\x05\x06\x07", 8},              /* 64 bits cut */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int rc = decode_exact(f, &flo_api__failure__descriptor, cases[i].bytes, cases[i].len);
        if (rc != FLO_EPROTO)
            fail_msg("case %zu gave %d", i, rc);
        assert_non_null(strstr(f->err.message, "Failure: "));
    }
    flo_buf_clear(&f->bytes);
    for (int i = 0; i < 10000; i++)
        flo_buf_append(&f->bytes, "\x0b", 1);
    void *message;
    assert_int_equal(decode(f, &flo_api__failure__descriptor, &message), FLO_EPROTO);
}

/* Unknown fields are accepted, cost linear time, and are packed again. */
static void test_decode_unknown_fields_kept(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100000; i++) {
        put_tag(&f->bytes, (1u << 29) - 1, 0);
        put_varint(&f->bytes, 1);
    }
    put_text(&f->bytes, 1, "the message");
    f->arena.budget_bytes = flo_wire_budget(f->bytes.len);
    FloApi__Failure *failure;
    clock_t began = clock(); /* processor time: others may be busy */
    assert_int_equal(decode(f, &flo_api__failure__descriptor, &failure), 0);
    assert_true(clock() - began < CLOCKS_PER_SEC);
    assert_string_equal(failure->message, "the message");
    assert_int_equal(failure->base.n_unknown_fields, 100000);
    assert_int_equal(protobuf_c_message_get_packed_size(&failure->base), f->bytes.len);
}

/* A known field with another wire type counts as unknown, as it does for the official decoders. */
static void test_decode_wrong_wire_type_is_unknown(void **state)
{
    struct fixture *f = *state;
    put_tag(&f->bytes, 1, 0);
    put_varint(&f->bytes, 5);
    FloApi__Failure *failure;
    assert_int_equal(decode(f, &flo_api__failure__descriptor, &failure), 0);
    assert_string_equal(failure->message, "");
    assert_int_equal(failure->base.n_unknown_fields, 1);
    assert_int_equal(protobuf_c_message_get_packed_size(&failure->base), 2);
}

/* Of many scalars the last wins; many occurrences of one message merge; both in linear time. */
static void test_decode_duplicates_last_wins_and_messages_merge(void **state)
{
    struct fixture *f = *state;
    struct flo_buf cause;
    flo_buf_init(&cause, 0);
    for (int i = 0; i < 300000; i++) {
        flo_buf_clear(&cause);
        put_text(&cause, i % 2 ? 1 : 2, i % 2 ? "m" : "s");
        put_bytes(&f->bytes, 4, cause.data, cause.len);
        put_text(&f->bytes, 1, i < 299999 ? "early" : "last");
    }
    flo_buf_fini(&cause);
    clock_t began = clock(); /* processor time: others may be busy */
    FloApi__Failure *failure;
    assert_int_equal(decode(f, &flo_api__failure__descriptor, &failure), 0);
    assert_true(clock() - began < 10 * CLOCKS_PER_SEC);
    assert_string_equal(failure->message, "last");
    assert_string_equal(failure->cause->message, "m");
    assert_string_equal(failure->cause->source, "s");
}

/* Invalid UTF-8 in a string is refused with the field's path; in bytes it is fine. */
static void test_decode_bad_utf8_refused_in_strings_only(void **state)
{
    struct fixture *f = *state;
    put_bytes(&f->bytes, 2, "ok\xff", 3);
    void *message;
    assert_int_equal(decode(f, &flo_api__start_workflow_execution_request__descriptor, &message),
                     FLO_EPROTO);
    assert_string_equal(f->err.message, "StartWorkflowExecutionRequest.workflow_id: invalid UTF-8");

    flo_buf_clear(&f->bytes);
    put_bytes(&f->bytes, 2, "\xff\0\xc0", 3);
    FloApi__Payload *payload;
    assert_int_equal(decode(f, &flo_api__payload__descriptor, &payload), 0);
    assert_int_equal(payload->data.len, 3);
}

/* NUL in a string is told apart from malformed bytes, and the path goes down to it. */
static void test_decode_nul_in_string_is_einval(void **state)
{
    struct fixture *f = *state;
    struct flo_buf execution;
    flo_buf_init(&execution, 0);
    put_bytes(&execution, 1, "a\0b", 3);
    put_bytes(&f->bytes, 2, execution.data, execution.len);
    flo_buf_fini(&execution);
    void *message;
    assert_int_equal(decode(f, &flo_api__signal_workflow_execution_request__descriptor, &message),
                     FLO_EINVAL);
    assert_string_equal(
        f->err.message,
        "SignalWorkflowExecutionRequest.workflow_execution.workflow_id: NUL in a string");
}

/* Numbers outside an enum or a range are for the caller to judge: they arrive exactly. */
static void test_decode_odd_numbers_arrive_exactly(void **state)
{
    struct fixture *f = *state;
    put_tag(&f->bytes, 11, 0);
    put_varint(&f->bytes, UINT64_MAX); /* -1 */
    FloApi__StartWorkflowExecutionRequest *request;
    assert_int_equal(decode(f, &flo_api__start_workflow_execution_request__descriptor, &request),
                     0);
    assert_int_equal((int)request->workflow_id_reuse_policy, -1);

    flo_buf_clear(&f->bytes);
    put_tag(&f->bytes, 1, 0);
    put_varint(&f->bytes, (uint64_t)INT64_MIN);
    put_tag(&f->bytes, 2, 0);
    put_varint(&f->bytes, 2000000000);
    Google__Protobuf__Duration *duration;
    assert_int_equal(decode(f, &google__protobuf__duration__descriptor, &duration), 0);
    assert_true(duration->seconds == INT64_MIN);
    assert_int_equal(duration->nanos, 2000000000);
}

/* A map with very many entries, all with one key, takes linear time. */
static void test_decode_large_map_is_linear(void **state)
{
    struct fixture *f = *state;
    struct flo_buf entry;
    flo_buf_init(&entry, 0);
    put_text(&entry, 1, "key");
    put_text(&entry, 2, "value");
    for (int i = 0; i < 100000; i++)
        put_bytes(&f->bytes, 1, entry.data, entry.len);
    flo_buf_fini(&entry);
    FloApi__Payload *payload;
    f->arena.budget_bytes = flo_wire_budget(f->bytes.len);
    assert_int_equal(decode(f, &flo_api__payload__descriptor, &payload), 0);
    assert_int_equal(payload->n_metadata, 100000);
    assert_string_equal(payload->metadata[99999]->key, "key");
}

/* Packed and single values of one repeated field mix; a truncated packed number is refused. */
static void test_decode_packed_values(void **state)
{
    struct fixture *f = *state;
    put_bytes(&f->bytes, 1, "\x01\xac\x02", 3);
    put_tag(&f->bytes, 1, 0);
    put_varint(&f->bytes, 3);
    put_bytes(&f->bytes, 1, "", 0);
    FloApi__WorkflowTaskCompletedMetadata *metadata;
    assert_int_equal(decode(f, &flo_api__workflow_task_completed_metadata__descriptor, &metadata),
                     0);
    assert_int_equal(metadata->n_core_used_flags, 3);
    assert_int_equal(metadata->core_used_flags[0], 1);
    assert_int_equal(metadata->core_used_flags[1], 300);
    assert_int_equal(metadata->core_used_flags[2], 3);

    const ProtobufCMessageDescriptor *descriptor =
        &flo_api__workflow_task_completed_metadata__descriptor;
    assert_int_equal(decode_exact(f, descriptor, "\x0a\x02\x01\x80", 4), FLO_EPROTO);
    assert_int_equal(
        decode_exact(f, descriptor, "\x0a\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13),
        FLO_EPROTO);
}

/* Of a oneof set twice the last wins; one that is not set says so. */
static void test_decode_oneof_last_wins(void **state)
{
    struct fixture *f = *state;
    put_bytes(&f->bytes, 7, "", 0);         /* canceled */
    put_bytes(&f->bytes, 6, "\x08\x04", 2); /* timeout, heartbeat */
    FloApi__Failure *failure;
    assert_int_equal(decode(f, &flo_api__failure__descriptor, &failure), 0);
    assert_int_equal(failure->failure_info_case,
                     FLO_API__FAILURE__FAILURE_INFO_TIMEOUT_FAILURE_INFO);
    assert_int_equal(failure->timeout_failure_info->timeout_type,
                     FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_HEARTBEAT);

    flo_buf_clear(&f->bytes);
    assert_int_equal(decode(f, &flo_api__failure__descriptor, &failure), 0);
    assert_int_equal(failure->failure_info_case, FLO_API__FAILURE__FAILURE_INFO__NOT_SET);
}

/* A copy equals its original and does not point into it. */
static void test_copy_outlives_original(void **state)
{
    struct fixture *f = *state;
    struct flo_arena first;
    flo_arena_init(&first, 0);
    FloApi__Failure *original = flo_failure_application(&first, "m", "T", false, NULL, 0);
    original->cause = flo_failure_cancelled(&first, "c", NULL);
    ProtobufCMessage *message = flo_wire_copy(&original->base, &f->arena);
    flo_arena_fini(&first);
    assert_non_null(message);
    FloApi__Failure *copy = (FloApi__Failure *)message;
    assert_string_equal(copy->application_failure_info->type, "T");
    assert_string_equal(copy->cause->message, "c");
}

/* Without memory, at any allocation, decoding and encoding fail cleanly. */
static void test_decode_survives_each_failing_allocation(void **state)
{
    struct fixture *f = *state;
    start_request(f, &f->bytes);
    for (int64_t nth = 0;; nth++) {
        struct flo_arena arena;
        flo_arena_init(&arena, 0);
        ProtobufCMessage *message;
        flo_alloc_fail_after(nth, 0);
        int rc = flo_wire_decode(&flo_api__start_workflow_execution_request__descriptor,
                                 f->bytes.data, f->bytes.len, &arena, &message, &f->err);
        flo_alloc_fail_after(-1, 0);
        flo_arena_fini(&arena);
        if (rc == 0)
            break;
        assert_int_equal(rc, FLO_ELIMIT);
    }
}

/* An encoder's bound refuses a message without writing part of it. */
static void test_encode_past_bound_refused(void **state)
{
    struct fixture *f = *state;
    FloApi__Failure *failure = flo_failure_application(&f->arena, "too long", "T", false, NULL, 0);
    struct flo_buf out;
    flo_buf_init(&out, 4);
    assert_int_equal(flo_wire_encode(&failure->base, &out), FLO_ELIMIT);
    assert_int_equal(out.len, 0);
    flo_buf_fini(&out);

    uint8_t *data;
    size_t len;
    assert_int_equal(flo_wire_encode_arena(&failure->base, &f->arena, &data, &len), 0);
    assert_int_equal(len, protobuf_c_message_get_packed_size(&failure->base));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_decode_depth_100_accepted),
        T(test_decode_depth_101_and_more_refused),
        T(test_decode_many_empty_messages_hit_the_budget),
        T(test_decode_round_trip_keeps_every_field),
        T(test_decode_truncated_at_each_byte_never_overreads),
        T(test_decode_malformed_headers_refused),
        T(test_decode_unknown_fields_kept),
        T(test_decode_wrong_wire_type_is_unknown),
        T(test_decode_duplicates_last_wins_and_messages_merge),
        T(test_decode_bad_utf8_refused_in_strings_only),
        T(test_decode_nul_in_string_is_einval),
        T(test_decode_odd_numbers_arrive_exactly),
        T(test_decode_large_map_is_linear),
        T(test_decode_packed_values),
        T(test_decode_oneof_last_wins),
        T(test_copy_outlives_original),
        T(test_decode_survives_each_failing_allocation),
        T(test_encode_past_bound_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
