/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_retry.h - whether a failed attempt of a local activity is followed by another one, and
 * when. Pure. The rules are the server's for other activities.
 */
#ifndef FLO_ACTIVITY_LOCAL_RETRY_H
#define FLO_ACTIVITY_LOCAL_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/api.h"

struct flo_local_retry {
    bool again;
    int64_t delay_ns;         /* again: until the next attempt */
    FloApi__RetryState state; /* not again: why */
};

/*
 * policy NULL: for ever, 1 s after the first failure, then twice as long each time, at most 100 s.
 * attempt: the one that failed, from 1. left_ns: until schedule-to-close; INT64_MAX without one.
 */
struct flo_local_retry flo_local_retry(const FloApi__RetryPolicy *policy,
                                       const FloApi__Failure *failure, int32_t attempt,
                                       int64_t left_ns);

#endif
