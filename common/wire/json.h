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

#include "flotilla/error.h"

/* message as JSON, a new reference; unset fields are left out. NULL when memory is out. */
json_t *flo_wire_to_json(const ProtobufCMessage *message);

#endif
