/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload.h - JSON values to Payloads and back (encodings json/plain, binary/null, binary/plain),
 * and protobuf's durations and timestamps to integers.
 *
 * Everything made here lives in the arena that is passed in. JSON is parsed with caps
 * (RELIABILITY group J): depth 64, duplicate keys refused, no trailing bytes.
 */
#ifndef FLO_WIRE_PAYLOAD_H
#define FLO_WIRE_PAYLOAD_H

#include <jansson.h>
#include <stdint.h>

#include "base/arena.h"
#include "flotilla/error.h"
#include "wire/api.h"

/*
 * value as a json/plain Payload; a raw value (flo_raw_new, flotilla/payload.h) keeps its own
 * encoding; NULL and JSON null become binary/null as the official SDKs do for None.
 * NULL when memory is out.
 */
FloApi__Payload *flo_payload_from_json(struct flo_arena *arena, const json_t *value);
/* A Payloads with one element; NULL value = no payloads at all (returns NULL with *ok true). */
FloApi__Payloads *flo_payloads_from_json(struct flo_arena *arena, const json_t *value);

/*
 * The value of one payload as JSON, a new reference. binary/null gives JSON null; encodings other
 * than json/plain and binary/null give an object {"encoding": "...", "data": "<base64>"} so that
 * user code may pass it on untouched. FLO_EPROTO with a sentence when json/plain does not parse.
 */
FLO_MUST_CHECK int flo_payload_to_json(const FloApi__Payload *payload, json_t **out_value,
                                       struct flo_err *err);
/*
 * The first payload as JSON; no payloads give JSON null; several give a JSON array when
 * as_array, else the first one.
 */
FLO_MUST_CHECK int flo_payloads_to_json(const FloApi__Payloads *payloads, bool as_array,
                                        json_t **out_value, struct flo_err *err);

/* Parse text as one JSON value with the caps above. FLO_EPROTO with line:column. */
FLO_MUST_CHECK int flo_json_parse(const char *text, size_t len, json_t **out_value,
                                  struct flo_err *err);

/* Durations and timestamps. NULL reads as 0. Durations outside +-100 years are clamped. */
int64_t flo_duration_ns(const Google__Protobuf__Duration *duration);
Google__Protobuf__Duration *flo_duration_new(struct flo_arena *arena, int64_t ns);
int64_t flo_timestamp_ns(const Google__Protobuf__Timestamp *timestamp);
Google__Protobuf__Timestamp *flo_timestamp_new(struct flo_arena *arena, int64_t wall_ns);

#endif
