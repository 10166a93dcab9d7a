/* SPDX-License-Identifier: Apache-2.0 */
/* raw.h - the inside of raw values (flotilla/payload.h), for the payload and JSON converters. */
#ifndef FLO_WIRE_RAW_H
#define FLO_WIRE_RAW_H

#include <jansson.h>
#include <stddef.h>

/* The object under FLO_RAW_KEY, borrowed, when value is a raw value; else NULL. */
json_t *flo_raw_content(const json_t *value);

/* The bytes as a base64 JSON string, a new reference; NULL when memory is out. */
json_t *flo_raw_base64(const void *data, size_t len);

#endif
