/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_wire_decode.c - flo_wire_decode over messages of every shape: no input makes it crash or
 * leave its budget; what it accepts packs, decodes again to the same bytes, and has a JSON form.
 * protobuf-c's own unpacker must see the same message in the packed bytes. The first byte of the
 * input picks the message type.
 */
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "wire/api.h"
#include "wire/decode.h"
#include "wire/json.h"

static const ProtobufCMessageDescriptor *const types[] = {
    &flo_api__start_workflow_execution_request__descriptor,
    &flo_api__respond_workflow_task_completed_request__descriptor,
    &flo_api__poll_workflow_task_queue_response__descriptor,
    &flo_api__history__descriptor,
    &flo_api__failure__descriptor,
    &flo_api__payloads__descriptor,
    &flo_api__describe_workflow_execution_response__descriptor,
    &flo_api__workflow_task_completed_metadata__descriptor,
    &google__rpc__status__descriptor,
    &flo_api__task_queue_stats__descriptor,
};

/* A reader that leaves out most of an event: every third field of what is in every second one. */
static uint64_t keep[64];
static const struct flo_wire_part part = {&flo_api__history_event__descriptor, keep, 64};

/* Decoding a part only must accept whatever decoding the whole does. */
static void check_part(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
                       bool whole_accepted)
{
    for (size_t i = 0; i < 64; i += 2)
        keep[i] = UINT64_C(0x9249249249249249);
    struct flo_arena arena;
    flo_arena_init(&arena, flo_wire_budget(size));
    ProtobufCMessage *message = NULL;
    int rc = flo_wire_decode_part(type, &part, data, size, &arena, &message, NULL);
    FUZZ_CHECK(arena.held_bytes <= arena.budget_bytes);
    FUZZ_CHECK(rc == 0 || !whole_accepted || rc == FLO_ELIMIT);
    if (rc == 0)
        (void)flo_wire_size(message);
    flo_arena_fini(&arena);
}

/* Does the message, or one inside it, carry unknown fields? */
static int has_unknown(const ProtobufCMessage *message)
{
    if (message->n_unknown_fields)
        return 1;
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        const uint8_t *base = (const uint8_t *)message;
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        const ProtobufCMessage *const *children = (const void *)(base + field->offset);
        size_t count = *children != NULL;
        uint32_t which = field->id;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            memcpy(&count, base + field->quantifier_offset, sizeof count);
            memcpy(&children, base + field->offset, sizeof(void *));
        } else if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            memcpy(&which, base + field->quantifier_offset, sizeof which);
        }
        for (size_t k = 0; which == field->id && k < count; k++)
            if (has_unknown(children[k]))
                return 1;
    }
    return 0;
}

/* A message that packs must decode again, to the same bytes. */
static void check_repacks(const ProtobufCMessage *message, size_t input_len)
{
    struct flo_buf packed, again;
    flo_buf_init(&packed, 0);
    flo_buf_init(&again, 0);
    FUZZ_CHECK(flo_wire_encode(message, &packed) == 0);
    struct flo_arena arena;
    flo_arena_init(&arena, 2 * flo_wire_budget(packed.len > input_len ? packed.len : input_len));
    ProtobufCMessage *second = NULL;
    int rc = flo_wire_decode(message->descriptor, packed.data, packed.len, &arena, &second, NULL);
    if (rc == 0) {
        FUZZ_CHECK(flo_wire_encode(second, &again) == 0);
        FUZZ_CHECK(packed.len == again.len);
        FUZZ_CHECK(packed.len == 0 || memcmp(packed.data, again.data, packed.len) == 0);
    } else {
        FUZZ_CHECK(rc == FLO_ELIMIT);
    }
    /* What was packed has no merges and no mixed wire types: both decoders must agree. (A known
     * number of another wire type is unknown to ours, and may be a value to theirs.) */
    if (!has_unknown(message)) {
        ProtobufCMessage *theirs =
            protobuf_c_message_unpack(message->descriptor, NULL, packed.len, packed.data);
        FUZZ_CHECK(theirs);
        flo_buf_clear(&again);
        FUZZ_CHECK(flo_wire_encode(theirs, &again) == 0);
        FUZZ_CHECK(packed.len == again.len);
        FUZZ_CHECK(packed.len == 0 || memcmp(packed.data, again.data, packed.len) == 0);
        protobuf_c_message_free_unpacked(theirs, NULL);
    }
    flo_arena_fini(&arena);
    flo_buf_fini(&packed);
    flo_buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const ProtobufCMessageDescriptor *type = types[data[0] % (sizeof types / sizeof types[0])];
    struct flo_arena arena;
    flo_arena_init(&arena, flo_wire_budget(size - 1));
    struct flo_err err = {0};
    ProtobufCMessage *message = NULL;
    int rc = flo_wire_decode(type, data + 1, size - 1, &arena, &message, &err);
    FUZZ_CHECK(arena.held_bytes <= arena.budget_bytes);
    check_part(type, data + 1, size - 1, rc == 0);
    if (rc == 0) {
        check_repacks(message, size);
        json_t *json = flo_wire_to_json(message);
        FUZZ_CHECK(json);
        json_decref(json);
    } else {
        FUZZ_CHECK(rc == FLO_EPROTO || rc == FLO_EINVAL || rc == FLO_ELIMIT);
        FUZZ_CHECK(err.code == rc &&
                   strncmp(err.message, type->short_name, strlen(type->short_name)) == 0);
    }
    flo_arena_fini(&arena);
    return 0;
}
