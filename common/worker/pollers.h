/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pollers.h - how many long polls of one kind are kept open: a fixed number, or one that follows
 * the server's advice between bounds. Pure: the clock is passed in.
 *
 * With a poll's answer the server may say how many polls more or fewer it would like; it sees the
 * backlog and how long polls wait. The advice is followed, with three rules of our own:
 *
 *   - growth pays or stops: time is cut into periods of 100 ms, and a poll is added only after a
 *     period that brought a tenth more tasks than the one before it (rounded down: few or no tasks
 *     twice allow it). When more polls bring no more tasks, the work itself is the limit. This is
 *     what keeps the number from swinging.
 *   - once the server has ever advised, a poll that ends empty without advice removes one. A server
 *     that never advises would never add it again, so there the number stays as it began.
 *   - so does a poll that is refused; one refused for RESOURCE_EXHAUSTED halves the number.
 *
 * Fewer polls means only that none is sent in place of the next that end: a poll that is out is
 * never taken back, for it may be bringing a task.
 */
#ifndef FLO_WORKER_POLLERS_H
#define FLO_WORKER_POLLERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flo_pollers {
    size_t target;   /* polls to keep open */
    size_t min, max; /* equal: fixed */
    bool advised;    /* the server has ever advised */
    bool may_grow;
    uint32_t tasks, tasks_before; /* in this period, in the one before */
    int64_t period_ns;            /* when this one began */
};

/* How a poll ended. */
struct flo_poll_end {
    bool task;    /* with a task */
    bool refused; /* with an error; exhausted: RESOURCE_EXHAUSTED */
    bool exhausted;
    bool advised; /* the answer held advice, of so many more or fewer polls: */
    int32_t advice;
};

void flo_pollers_fixed(struct flo_pollers *pollers, size_t polls);
/* 1 <= min <= initial <= max. */
void flo_pollers_autoscale(struct flo_pollers *pollers, size_t min, size_t max, size_t initial,
                           int64_t now_ns);
static inline bool flo_pollers_are_fixed(const struct flo_pollers *pollers)
{
    return pollers->min == pollers->max;
}
/* A poll has ended: set the target. */
void flo_pollers_ended(struct flo_pollers *pollers, const struct flo_poll_end *end, int64_t now_ns);

#endif
