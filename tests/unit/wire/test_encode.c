/* SPDX-License-Identifier: Apache-2.0 */
/* Encoding: the same bytes as protobuf-c's packer, for random messages of every kind. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "support/cmocka_env.h"
#include "wire/api.h"
#include "wire/decode.h"
#include "wire/field.h"

#define ROUNDS 3000
#define TYPES 17 /* of protobuf-c */
#define SHAPES 6 /* of a field: plain, required, optional, repeated, packed, in a oneof */
#define SLOT 16  /* bytes that a member gets in our own message */

enum shape { PLAIN, REQUIRED, OPTIONAL, REPEATED, PACKED, ONEOF };

struct fixture {
    struct flo_arena arena;
    struct flo_rng rng;
};

static int setup(void **state)
{
    struct fixture *f = flo_calloc(1, sizeof *f);
    flo_arena_init(&f->arena, 0);
    flo_rng_seed(&f->rng, 20261121);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    flo_arena_fini(&f->arena);
    flo_free(f);
    return 0;
}

/* ---- a message type with a field of every type in every shape ---- */

#define FIELDS (TYPES * SHAPES)

/* Quantifiers (8 bytes each) and members behind the head. */
struct every {
    ProtobufCMessage base;
    uint64_t quantifiers[FIELDS + 1]; /* the last one: which of the oneof */
    _Alignas(8) uint8_t members[FIELDS][SLOT];
};

static ProtobufCFieldDescriptor every_fields[FIELDS];
static ProtobufCIntRange every_ranges[2] = {{1, 0}, {0, FIELDS}};
static void every_init(ProtobufCMessage *message);
static ProtobufCMessageDescriptor every_type = {
    .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
    .name = "test.Every",
    .short_name = "Every",
    .sizeof_message = sizeof(struct every),
    .n_fields = FIELDS,
    .fields = every_fields,
    .n_field_ranges = 1,
    .field_ranges = every_ranges,
    .message_init = every_init,
};

static void every_init(ProtobufCMessage *message)
{
    struct every *every = (struct every *)message;
    memset(every, 0, sizeof *every);
    every->base.descriptor = &every_type;
    for (size_t i = 0; i < FIELDS; i++)
        if (every_fields[i].default_value)
            memcpy(every->members[i], &every_fields[i].default_value, sizeof(void *));
}

static void every_make(void)
{
    static const ProtobufCLabel labels[SHAPES] = {
        [PLAIN] = PROTOBUF_C_LABEL_NONE,        [REQUIRED] = PROTOBUF_C_LABEL_REQUIRED,
        [OPTIONAL] = PROTOBUF_C_LABEL_OPTIONAL, [REPEATED] = PROTOBUF_C_LABEL_REPEATED,
        [PACKED] = PROTOBUF_C_LABEL_REPEATED,   [ONEOF] = PROTOBUF_C_LABEL_NONE,
    };
    for (unsigned i = 0; i < FIELDS; i++) {
        enum shape shape = (enum shape)(i % SHAPES);
        ProtobufCType type = (ProtobufCType)(i / SHAPES);
        bool text = type == PROTOBUF_C_TYPE_STRING;
        bool message = type == PROTOBUF_C_TYPE_MESSAGE; /* a required one would have no end */
        bool numbers = flo_wire_layouts[type].wire != WIRE_LEN;
        unsigned which = shape == ONEOF ? FIELDS : i;
        every_fields[i] = (ProtobufCFieldDescriptor){
            .name = "field",
            .id = i + 1,
            .label = labels[message && shape == REQUIRED ? OPTIONAL : shape],
            .type = type,
            .quantifier_offset =
                (unsigned)(offsetof(struct every, quantifiers) + which * sizeof(uint64_t)),
            .offset = (unsigned)(offsetof(struct every, members) + i * SLOT),
            .descriptor = message ? &every_type : NULL,
            .default_value = text && shape == PLAIN ? protobuf_c_empty_string : NULL,
            .flags = (shape == ONEOF ? PROTOBUF_C_FIELD_FLAG_ONEOF : 0) |
                     (shape == PACKED && numbers ? PROTOBUF_C_FIELD_FLAG_PACKED : 0),
        };
    }
}

/* ---- random content ---- */

/* Small numbers, large ones, the borders. */
static uint64_t random_number(struct fixture *f)
{
    static const uint64_t borders[] = {0,
                                       1,
                                       127,
                                       128,
                                       INT32_MAX,
                                       UINT32_MAX,
                                       INT64_MAX,
                                       UINT64_MAX,
                                       UINT64_C(1) << 63,
                                       UINT64_C(0x80000000)};
    uint64_t r = flo_rng_next(&f->rng);
    if (r % 3 == 0)
        return borders[r / 3 % (sizeof borders / sizeof *borders)];
    return flo_rng_next(&f->rng) >> r % 64;
}

static ProtobufCMessage *random_message(struct fixture *f,
                                        const ProtobufCMessageDescriptor *descriptor,
                                        unsigned depth);

static void random_value(struct fixture *f, const ProtobufCFieldDescriptor *field, unsigned depth,
                         void *to)
{
    size_t len =
        flo_rng_next(&f->rng) % 4 ? flo_rng_next(&f->rng) % 30 : flo_rng_next(&f->rng) % 300;
    uint64_t number = random_number(f);
    ProtobufCBinaryData bytes = {len, flo_arena_alloc(&f->arena, len + 1)};
    void *pointer = bytes.data;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        memset(bytes.data, 'a' + (int)(number % 26), len);
        bytes.data[len] = '\0';
        memcpy(to, &pointer, sizeof pointer);
        return;
    case PROTOBUF_C_TYPE_BYTES:
        memset(bytes.data, (int)number, len);
        memcpy(to, &bytes, sizeof bytes);
        return;
    case PROTOBUF_C_TYPE_MESSAGE:
        pointer = random_message(f, field->descriptor, depth + 1);
        memcpy(to, &pointer, sizeof pointer);
        return;
    case PROTOBUF_C_TYPE_BOOL:
        number &= 1;
        break;
    default:
        break;
    }
    memcpy(to, &number, flo_wire_layouts[field->type].size); /* floats, too: any bits */
}

static void random_field(struct fixture *f, const ProtobufCFieldDescriptor *field, unsigned depth,
                         uint8_t *message)
{
    uint8_t *quantifier = message + field->quantifier_offset;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t count = flo_rng_next(&f->rng) % 4, size = flo_wire_layouts[field->type].size;
        if (flo_rng_next(&f->rng) % 16 == 0 && field->type != PROTOBUF_C_TYPE_MESSAGE)
            count = flo_rng_next(&f->rng) % 60;
        uint8_t *array = flo_arena_alloc(&f->arena, count * size);
        for (size_t i = 0; i < count; i++)
            random_value(f, field, depth, array + i * size);
        memcpy(quantifier, &count, sizeof count);
        memcpy(message + field->offset, &array, sizeof array);
        return;
    }
    random_value(f, field, depth, message + field->offset);
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        memcpy(quantifier, &field->id, sizeof field->id);
    } else if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->quantifier_offset) {
        protobuf_c_boolean has = flo_rng_next(&f->rng) % 4 != 0;
        memcpy(quantifier, &has, sizeof has);
    }
}

static void random_unknowns(struct fixture *f, ProtobufCMessage *message)
{
    message->n_unknown_fields = (unsigned)(flo_rng_next(&f->rng) % 3);
    message->unknown_fields =
        flo_arena_calloc(&f->arena, message->n_unknown_fields, sizeof *message->unknown_fields);
    for (unsigned i = 0; i < message->n_unknown_fields; i++)
        message->unknown_fields[i] = (ProtobufCMessageUnknownField){
            .tag = 2000 + (uint32_t)(flo_rng_next(&f->rng) % 100000),
            .wire_type = PROTOBUF_C_WIRE_TYPE_32BIT,
            .len = 4,
            .data = flo_arena_memdup(&f->arena, "wxyz", 4),
        };
}

static ProtobufCMessage *random_message(struct fixture *f,
                                        const ProtobufCMessageDescriptor *descriptor,
                                        unsigned depth)
{
    ProtobufCMessage *message = flo_arena_alloc(&f->arena, descriptor->sizeof_message);
    protobuf_c_message_init(descriptor, message);
    uint64_t rare = 1 + flo_rng_next(&f->rng) % 8;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (field->type == PROTOBUF_C_TYPE_MESSAGE && flo_rng_next(&f->rng) % (2 + depth) > 1)
            continue;
        if (depth < 5 && flo_rng_next(&f->rng) % rare == 0)
            random_field(f, field, depth, (uint8_t *)message);
    }
    if (flo_rng_next(&f->rng) % 4 == 0)
        random_unknowns(f, message);
    return message;
}

/* ---- the tests ---- */

/* All our ways of packing give protobuf-c's bytes; what they are when decoded packs again so. */
static void check_message(struct fixture *f, const ProtobufCMessage *message, bool decodes)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *theirs = flo_malloc(len), *ours = flo_malloc(len), *in_arena;
    struct flo_buf buf;
    size_t arena_len;
    assert_int_equal(protobuf_c_message_pack(message, theirs), len);
    assert_int_equal(flo_wire_size(message), len);
    flo_wire_pack(message, ours, len);
    assert_memory_equal(ours, theirs, len);
    assert_int_equal(flo_wire_encode_arena(message, &f->arena, &in_arena, &arena_len), 0);
    assert_int_equal(arena_len, len);
    assert_memory_equal(in_arena, theirs, len);
    flo_buf_init(&buf, 0);
    flo_buf_append_str(&buf, "before");
    assert_int_equal(flo_wire_encode(message, &buf), 0);
    assert_int_equal(buf.len, 6 + len);
    assert_memory_equal(buf.data + 6, theirs, len);
    if (decodes) {
        ProtobufCMessage *again = NULL;
        assert_int_equal(flo_wire_decode(message->descriptor, theirs, len, &f->arena, &again, NULL),
                         0);
        assert_int_equal(flo_wire_size(again), len);
        flo_wire_pack(again, ours, len);
        assert_memory_equal(ours, theirs, len);
    }
    flo_buf_fini(&buf);
    flo_free(ours);
    flo_free(theirs);
}

/* Every type of field in every shape, with random content. */
static void test_encode_every_type_as_protobuf_c(void **state)
{
    struct fixture *f = *state;
    every_make();
    for (int i = 0; i < ROUNDS / 10; i++) {
        check_message(f, random_message(f, &every_type, 3), true);
        flo_arena_reset(&f->arena);
    }
}

/* Messages of the API, nested, of a few bytes and of many kilobytes. */
static void test_encode_api_messages_as_protobuf_c(void **state)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &flo_api__start_workflow_execution_request__descriptor,
        &flo_api__respond_workflow_task_completed_request__descriptor,
        &flo_api__poll_workflow_task_queue_response__descriptor,
        &flo_api__poll_activity_task_queue_response__descriptor,
        &flo_api__history__descriptor,
        &flo_api__failure__descriptor,
        &flo_api__describe_workflow_execution_response__descriptor,
        &flo_api__workflow_task_completed_metadata__descriptor,
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ROUNDS; i++) {
        check_message(f, random_message(f, types[i % (sizeof types / sizeof *types)], 0), true);
        flo_arena_reset(&f->arena);
    }
}

/* A message of nothing is no bytes. */
static void test_encode_empty_is_nothing(void **state)
{
    struct fixture *f = *state;
    FloApi__Failure failure;
    flo_api__failure__init(&failure);
    check_message(f, &failure.base, true);
}

/* An encoder's bound holds for short messages and for those that are written in place. */
static void test_encode_bound_holds_for_any_size(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {10, 100000};
    for (size_t i = 0; i < 2; i++) {
        FloApi__Payload payload;
        struct flo_buf out;
        flo_api__payload__init(&payload);
        payload.data.len = sizes[i];
        payload.data.data = flo_arena_calloc(&f->arena, sizes[i], 1);
        const size_t len = flo_wire_size(&payload.base);
        flo_buf_init(&out, len - 1);
        assert_int_equal(flo_wire_encode(&payload.base, &out), FLO_ELIMIT);
        assert_int_equal(out.len, 0);
        flo_buf_fini(&out);
        flo_buf_init(&out, len);
        assert_int_equal(flo_wire_encode(&payload.base, &out), 0);
        assert_int_equal(out.len, len);
        flo_buf_fini(&out);
        flo_alloc_fail_after(0, 0);
        flo_buf_init(&out, 0);
        assert_int_equal(flo_wire_encode(&payload.base, &out), FLO_ENOMEM);
        flo_alloc_fail_after(-1, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_encode_every_type_as_protobuf_c, setup, teardown),
        cmocka_unit_test_setup_teardown(test_encode_api_messages_as_protobuf_c, setup, teardown),
        cmocka_unit_test_setup_teardown(test_encode_empty_is_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_encode_bound_holds_for_any_size, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
