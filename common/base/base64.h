/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64.h - base64 with the standard alphabet (RFC 4648 section 4). gRPC's -bin headers come with
 * and without '=' at the end, so the decoder takes both.
 */
#ifndef FLO_BASE_BASE64_H
#define FLO_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"

/* Characters that len bytes become at most (with padding, without a NUL). */
#define FLO_BASE64_TEXT_MAX(len) (((len) + 2) / 3 * 4)
/* Bytes that len characters become at most. */
#define FLO_BASE64_DATA_MAX(len) ((len) / 4 * 3 + 3)

/* Write data as text (no NUL) into out_text, which holds FLO_BASE64_TEXT_MAX(len) characters;
 * padded ends it with '='. Returns the number of characters. */
size_t flo_base64_encode(const void *data, size_t len, bool padded, char *out_text);

/*
 * Decode into out_data, which holds FLO_BASE64_DATA_MAX(len) bytes (out_data may be text itself).
 * 0; FLO_EPROTO: a character outside the alphabet, '=' that does not fill the last group, a single
 * character left over, or bits set that no byte uses (so each value has one spelling but for
 * padding). On failure out_data is scratch and *out_len untouched.
 */
FLO_MUST_CHECK int flo_base64_decode(const char *text, size_t len, uint8_t *out_data,
                                     size_t *out_len);

#endif
