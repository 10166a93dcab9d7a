/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload.h - JSON values to Payloads and back (encodings json/plain, binary/null, binary/plain),
 * and protobuf's durations and timestamps to integers.
 *
 * Everything made here lives in the arena that is passed in. JSON is parsed with caps: depth 64,
 * duplicate keys refused, no trailing bytes.
 */
#ifndef FLO_WIRE_PAYLOAD_H
#define FLO_WIRE_PAYLOAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "flotilla/error.h"
#include "wire/api.h"

/* Deepest nesting of arrays and objects in incoming JSON. */
#define FLO_JSON_DEPTH 64

/*
 * value as a json/plain Payload; a raw value (flo_raw_new, flotilla/payload.h) keeps its own
 * encoding, bytes and metadata; NULL and JSON null become binary/null as the official SDKs do for
 * None. NULL when memory is out, or for a raw value whose texts are no base64.
 */
FloApi__Payload *flo_payload_from_json(struct flo_arena *arena, const json_t *value);
/* A Payloads with that one element, also for NULL and JSON null (one binary/null). A call without
 * any arguments has no Payloads at all: leave the field NULL instead. NULL as above. */
FloApi__Payloads *flo_payloads_from_json(struct flo_arena *arena, const json_t *value);

/*
 * The value of one payload as JSON, a new reference. binary/null gives JSON null; encodings other
 * than json/plain and binary/null give a raw value (flotilla/payload.h), which user code may pass
 * on untouched. FLO_EPROTO with a sentence when json/plain does not parse; FLO_EPERM with one
 * when it is still of encoding binary/encrypted, which no codec of this process could read: code
 * must not take it for the value; FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_payload_to_json(const FloApi__Payload *payload, json_t **out_value,
                                       struct flo_err *err);
/*
 * The first payload as JSON; no payloads (NULL or empty) give JSON null; several give a JSON array
 * when as_array, else the first one. Errors as above.
 */
FLO_MUST_CHECK int flo_payloads_to_json(const FloApi__Payloads *payloads, bool as_array,
                                        json_t **out_value, struct flo_err *err);

/* 0, or that FLO_EPERM with its sentence, without making the value. */
FLO_MUST_CHECK int flo_payload_readable(const FloApi__Payload *payload, struct flo_err *err);

/* flo_payload(s)_to_json for whoever only shows or keeps values: an encrypted payload is a raw
 * value, too. */
FLO_MUST_CHECK int flo_payload_show(const FloApi__Payload *payload, json_t **out_value,
                                    struct flo_err *err);
FLO_MUST_CHECK int flo_payloads_show(const FloApi__Payloads *payloads, bool as_array,
                                     json_t **out_value, struct flo_err *err);

/* A payload of these bytes (copied), with this encoding; NULL when memory is out. */
FloApi__Payload *flo_payload_from_bytes(struct flo_arena *arena, const char *encoding,
                                        const void *data, size_t len);
/* The public type (flotilla/payload.h) of the same payload. */
struct flo_payload;
const struct flo_payload *flo_payload_veil(const FloApi__Payload *payload);

/*
 * Parse text as one JSON value, a new reference: nesting at most FLO_JSON_DEPTH, duplicate keys
 * and trailing bytes refused, integers exact in 64 bits or refused, no U+0000. FLO_EPROTO with
 * line:column; FLO_ENOMEM. Programs call json_object_seed(0) at the start of main, before any
 * thread: jansson seeds its hash lazily otherwise, and not atomically.
 */
FLO_MUST_CHECK int flo_json_parse(const char *text, size_t len, json_t **out_value,
                                  struct flo_err *err);

/*
 * Durations and timestamps. NULL reads as 0. Durations outside +-100 years are clamped to that,
 * timestamps to what 64 bits of nanoseconds hold (years 1677 to 2262). The _new functions return
 * NULL when memory is out.
 */
int64_t flo_duration_ns(const Google__Protobuf__Duration *duration);
Google__Protobuf__Duration *flo_duration_new(struct flo_arena *arena, int64_t ns);
int64_t flo_timestamp_ns(const Google__Protobuf__Timestamp *timestamp);
Google__Protobuf__Timestamp *flo_timestamp_new(struct flo_arena *arena, int64_t wall_ns);

#endif
