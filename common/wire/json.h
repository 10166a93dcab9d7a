/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - the JSON form of protobuf messages (proto3 JSON mapping: lowerCamelCase names, enums
 * by name, bytes in base64, 64-bit integers as strings, Timestamp and Duration as text), driven by
 * the descriptors: histories as the official tools print them, and answers for --output json.
 */
#ifndef FLO_WIRE_JSON_H
#define FLO_WIRE_JSON_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "flotilla/error.h"

/*
 * message as JSON, a new reference; members in field number order. Unset fields and unknown fields
 * are left out; an enum number without a name stays a number; an Any is {"@type": its URL, "value":
 * its bytes in base64}; a Timestamp or Duration outside its specified range is an object with its
 * two fields. NULL when memory is out or the message nests more than 200 deep. Any thread.
 */
json_t *flo_wire_to_json(const ProtobufCMessage *message);

/*
 * The other way: a message of type descriptor, with all it points to in arena (set its budget to
 * bound it). Beside what flo_wire_to_json writes it takes what other tools do: field names as in
 * the schema (foo_bar), enumerators without their type's name (TimerFired), numbers for texts and
 * texts for numbers, either base64 alphabet, timestamps with an offset, and the shorthand for
 * payloads: their JSON itself, a list of payloads as an array. null is as if it were not there.
 * Members and enumerators that the schema does not know are left out.
 * FLO_EPROTO with the member's path: "events[3].eventId: "x" is no whole number"; FLO_ELIMIT: the
 * budget, or memory, is used up. Any thread.
 */
FLO_MUST_CHECK int flo_wire_from_json(const ProtobufCMessageDescriptor *descriptor,
                                      const json_t *value, struct flo_arena *arena,
                                      ProtobufCMessage **out_message, struct flo_err *err);

#endif
