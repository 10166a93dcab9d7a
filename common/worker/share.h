/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share.h - whose turn it is, when several queues want places of one executor. Pure.
 *
 * The next place goes to the queue that holds least for its weight: least held / weight. When two
 * are even it goes to the one that was served longest ago. So queues that always want more hold
 * places in the ratio of their weights; and a queue that holds nothing is before all that hold
 * something, so none starves.
 */
#ifndef FLO_WORKER_SHARE_H
#define FLO_WORKER_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flo_share {
    uint32_t weight; /* at least 1 */
    size_t held;     /* places: polls that are out, and running tasks */
    uint64_t served; /* number of the last place that it was given; 0: none yet */
};

/* Is it a's turn before b's? */
bool flo_share_before(const struct flo_share *a, const struct flo_share *b);

#endif
