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

/*
 * message as JSON, a new reference; members in field number order. Unset fields and unknown fields
 * are left out; an enum number without a name stays a number; an Any is {"@type": its URL, "value":
 * its bytes in base64}; a Timestamp or Duration outside its specified range is an object with its
 * two fields. NULL when memory is out or the message nests more than 200 deep. Any thread.
 */
json_t *flo_wire_to_json(const ProtobufCMessage *message);

#endif
