/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backoff.h - when a process that died is started again. Pure: times come from outside.
 */
#ifndef FLO_SUPERVISOR_BACKOFF_H
#define FLO_SUPERVISOR_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

struct flo_backoff {
    int64_t min_ms, max_ms;
    int64_t stable_after_ms; /* a run this long starts over at min_ms */
    int64_t crash_loop_after;
    int64_t failures; /* runs in a row that were shorter */
};

/* How long to wait after a run of ran_ms ended: min, 2 min, 4 min ... up to max. */
int64_t flo_backoff_next(struct flo_backoff *backoff, int64_t ran_ms);
/* Has it died crash_loop_after times in a row without a stable run? */
bool flo_backoff_crash_loop(const struct flo_backoff *backoff);

#endif
