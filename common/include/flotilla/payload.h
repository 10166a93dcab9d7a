/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload.h - the values that workflows and activities take and return.
 *
 * A value is a jansson json_t; it travels as a payload with encoding json/plain, and JSON null as
 * binary/null. Bytes that are no JSON (encoding binary/plain, an encryption codec's, another SDK's
 * json/protobuf, ...) are raw values: an object with the one reserved key FLO_RAW_KEY,
 *
 *     {"__flo_raw": {"encoding": "binary/plain", "data": "<base64>",
 *                    "metadata": {"<other key>": "<base64>", ...}}}
 *
 * ("metadata" only when there is any). Of encoding binary/encrypted none reaches code: a worker
 * that has no codec for it fails the task (docs/codecs.md). Code that does not know an encoding may
 * store such a value and pass it on: it leaves as the payload that came. Only a whole input,
 * result, detail or argument can be raw, not a member inside one. A json/plain text that happens to
 * have this shape arrives as a raw value of encoding json/plain, so that it too leaves unchanged.
 *
 * Limits of incoming JSON: nesting 64, no duplicate keys, integers of 64 bits (larger ones are an
 * error, never rounded), no U+0000 in strings.
 */
#ifndef FLOTILLA_PAYLOAD_H
#define FLOTILLA_PAYLOAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "flotilla/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The reserved key of raw values. */
#define FLO_RAW_KEY "__flo_raw"

/* A raw value of len bytes, copied; a new reference. NULL when memory is out or encoding is no
 * UTF-8. Any thread. */
FLO_API json_t *flo_raw_new(const char *encoding, const void *data, size_t len);

/* Is value a raw value? NULL: false. */
FLO_API bool flo_raw_is(const json_t *value);

/* Its encoding, borrowed from value ("" when the payload named none); NULL when it is not raw. */
FLO_API const char *flo_raw_encoding(const json_t *value);

/*
 * Its bytes, a new block for the caller to free() (never NULL on success). FLO_EINVAL: value is not
 * raw or its data no base64; FLO_ENOMEM. Outputs are untouched on failure.
 */
FLO_API FLO_MUST_CHECK int flo_raw_data(const json_t *value, void **out_data, size_t *out_len);

/*
 * A payload as it came, for code that wants the bytes themselves: an argument or a header of an
 * activity (flotilla/activity.h). Borrowed from whatever it belongs to, and so is what these
 * return. Any thread.
 */
struct flo_payload;

/* Its bytes; never NULL, also when there are none. */
FLO_API const void *flo_payload_data(const struct flo_payload *payload, size_t *out_len);

/* The metadata of that key (not ended by a NUL), or NULL. Its encoding has the key "encoding". */
FLO_API const void *flo_payload_metadata(const struct flo_payload *payload, const char *key,
                                         size_t *out_len);

/* Is that its encoding, e.g. "binary/plain"? */
FLO_API bool flo_payload_encoded_as(const struct flo_payload *payload, const char *encoding);

/* Its value as JSON (a raw value when it is of another encoding), a new reference. FLO_EPROTO with
 * a sentence when json/plain does not parse, FLO_EPERM with one when it is encrypted; FLO_ENOMEM.
 */
FLO_API FLO_MUST_CHECK int flo_payload_json(const struct flo_payload *payload, json_t **out_value,
                                            struct flo_err *err);

#ifdef __cplusplus
}
#endif
#endif
