/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.h - a run's history from a file: the JSON that `flotilla history -o json`, `temporal
 * workflow show --output json`, the web UI and the SDKs write, or a packed
 * temporal.api.history.v1.History.
 */
#ifndef FLO_WIRE_HISTORY_H
#define FLO_WIRE_HISTORY_H

#include <stddef.h>

#include "base/arena.h"
#include "flotilla/error.h"
#include "wire/api.h"
#include "wire/decode.h"

/* Most bytes of a file: beyond what a server lets a history grow to, with base64 and names. */
#define FLO_HISTORY_FILE_MAX (256u << 20)

/*
 * Read data as a history in arena; which form it has shows in its first bytes. JSON: {"events":
 * [...]}, that under "history", or the bare array. part (may be NULL) as in flo_wire_decode_part,
 * for the binary form. An empty history is refused.
 * FLO_EPROTO with line and column, or the path of the member ("events[3].eventTime: ..."), or the
 * field of the binary form; FLO_ELIMIT: nested too deep, too large; FLO_ENOMEM. Any thread.
 */
FLO_MUST_CHECK int flo_history_read(const void *data, size_t len, const struct flo_wire_part *part,
                                    struct flo_arena *arena, FloApi__History **out_history,
                                    struct flo_err *err);

#endif
