/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pairs.h - lists of key=value,key=value as OpenTelemetry's environment variables write headers and
 * attributes: percent-encoded, spaces around keys and values left out. Pure; any thread.
 *
 * Specification: OpenTelemetry Protocol Exporter, "Specifying headers via environment variables";
 * W3C Baggage without its properties.
 */
#ifndef FLO_BASE_PAIRS_H
#define FLO_BASE_PAIRS_H

#include <stdbool.h>
#include <stddef.h>

#include "flotilla/error.h"

struct flo_pair {
    char *key, *value; /* decoded; the key is never empty */
};

struct flo_pairs {
    struct flo_pair *items;
    size_t count;
};

/*
 * Read text (NULL: none). headers: the keys must be names that HTTP allows. FLO_EINVAL, with a
 * sentence that says which pair and shows nothing of it: no "=", an empty key, a percent sign
 * without two hex digits, control characters. FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_pairs_parse(const char *text, bool headers, struct flo_pairs *out,
                                   struct flo_err *err);
void flo_pairs_fini(struct flo_pairs *pairs);
/* The value of the last pair of that key, borrowed; NULL when there is none. */
const char *flo_pairs_get(const struct flo_pairs *pairs, const char *key);

#endif
