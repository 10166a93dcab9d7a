/* SPDX-License-Identifier: Apache-2.0 */
/* json_text.h - JSON written straight into a buffer, for pages and reports without a tree. */
#ifndef FLO_TELEMETRY_JSON_TEXT_H
#define FLO_TELEMETRY_JSON_TEXT_H

#include "base/buf.h"

/* text in quotes, escaped; what is not UTF-8 becomes '?'. NULL is written as null. The buffer's
 * `failed` says whether it fitted. */
void flo_json_append_string(struct flo_buf *out, const char *text);

#endif
