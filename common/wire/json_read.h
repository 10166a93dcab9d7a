/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_read.h - what the files of JSON reading share: where a value stands, for messages, and the
 * values that hold no others (json_scalar.c). The way in is flo_wire_from_json (wire/json.h).
 */
#ifndef FLO_WIRE_JSON_READ_H
#define FLO_WIRE_JSON_READ_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "flotilla/error.h"

/* Where in the JSON a value stands: a chain up to the root, on the stack. */
struct flo_json_place {
    const struct flo_json_place *up; /* NULL: the root */
    const char *name;                /* a member's; NULL: an element */
    size_t index;                    /* of an element */
};

struct flo_json_reader {
    struct flo_arena *arena;
    struct flo_err *err;
    unsigned depth; /* messages around the one at hand */
};

/* Longest field name in our schema is far below. */
#define FLO_JSON_NAME_SIZE 128

/* "events[3].eventId: " and the sentence; FLO_EPROTO. */
FLO_MUST_CHECK int flo_json_wrong(struct flo_json_reader *reader,
                                  const struct flo_json_place *place, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The arena gave nothing: FLO_ELIMIT with a sentence. */
FLO_MUST_CHECK int flo_json_no_memory(struct flo_json_reader *reader);

/* A value that is no message into to, in the form that the generated structs have it. */
FLO_MUST_CHECK int flo_json_read_scalar(struct flo_json_reader *reader,
                                        const struct flo_json_place *place,
                                        const ProtobufCFieldDescriptor *field, const json_t *value,
                                        void *to);
/* A map's key, from the text that JSON makes of all of them. */
FLO_MUST_CHECK int flo_json_read_key(struct flo_json_reader *reader,
                                     const struct flo_json_place *place,
                                     const ProtobufCFieldDescriptor *field, const char *text,
                                     void *to);
/* "2024-05-01T10:00:00.5Z" and "-1.5s" into the two fields that both messages have. */
FLO_MUST_CHECK int flo_json_read_timestamp(struct flo_json_reader *reader,
                                           const struct flo_json_place *place, const char *text,
                                           int64_t *out_seconds, int32_t *out_nanos);
FLO_MUST_CHECK int flo_json_read_duration(struct flo_json_reader *reader,
                                          const struct flo_json_place *place, const char *text,
                                          int64_t *out_seconds, int32_t *out_nanos);

/* json.c: does a map's entry type stand behind this repeated field of parent? */
bool flo_json_is_map(const ProtobufCMessageDescriptor *parent,
                     const ProtobufCFieldDescriptor *field);
/* json.c: is it a wrapper (DoubleValue, ...), whose JSON is its value? */
bool flo_json_is_wrapper(const ProtobufCMessageDescriptor *descriptor);

#endif
