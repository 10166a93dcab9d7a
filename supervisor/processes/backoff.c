/* SPDX-License-Identifier: Apache-2.0 */
/* backoff.c - exponential, with a memory of how the last runs went. */
#include "supervisor/processes/backoff.h"

int64_t flo_backoff_next(struct flo_backoff *backoff, int64_t ran_ms)
{
    if (ran_ms >= backoff->stable_after_ms)
        backoff->failures = 0;
    int64_t wait_ms = backoff->min_ms;
    for (int64_t i = 0; i < backoff->failures && wait_ms < backoff->max_ms; i++)
        wait_ms *= 2;
    backoff->failures++;
    return wait_ms < backoff->max_ms ? wait_ms : backoff->max_ms;
}

bool flo_backoff_crash_loop(const struct flo_backoff *backoff)
{
    return backoff->failures >= backoff->crash_loop_after;
}
