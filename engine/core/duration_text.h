/* SPDX-License-Identifier: Apache-2.0 */
/* duration_text.h - durations as people write them to the real server: Go's form. */
#ifndef FLO_ENGINE_CORE_DURATION_TEXT_H
#define FLO_ENGINE_CORE_DURATION_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "flotilla/error.h"

/*
 * Read "1h30m", "-1.5s", "0", "300ms": numbers with the units ns, us (or with a micro sign), ms,
 * s, m and h, and d, of 24 hours, when days is true. 0; FLO_EINVAL with Go's sentence.
 */
FLO_MUST_CHECK int flo_duration_text(const char *text, bool days, int64_t *out_ns,
                                     struct flo_err *err);

#endif
