/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timers.h - heaps of deadlines: the core has one for timeouts of runs, tasks and activities, user
 * timers and queries, and one for polls and other calls that wait.
 *
 * A timer sits inside the struct that waits (never allocated alone). Equal deadlines fire in the
 * order in which they were set, so that a simulated run repeats itself exactly.
 */
#ifndef FLO_ENGINE_CORE_TIMERS_H
#define FLO_ENGINE_CORE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"

struct flo_core;
struct flo_core_timer;

/* Called once when due; the timer is unset by then and may be set again, or freed with its owner.
 */
typedef void (*flo_core_timer_fn)(struct flo_core *core, struct flo_core_timer *timer);

struct flo_core_timer {
    int64_t deadline_ns; /* wall clock, as in flo_core_begin */
    uint64_t order;      /* tie-break: when it was set */
    size_t index;        /* place in the heap + 1; 0 = not set */
    flo_core_timer_fn fire;
};

struct flo_core_timers {
    struct flo_core_timer **heap;
    size_t count, cap;
    uint64_t next_order;
};

void flo_core_timers_init(struct flo_core_timers *timers);
void flo_core_timers_fini(struct flo_core_timers *timers);
/* Is it waiting? A zeroed timer is not. */
static inline bool flo_core_timer_is_set(const struct flo_core_timer *timer)
{
    return timer->index != 0;
}
/* Arm, or move, timer. 0 or FLO_ENOMEM (it is then not set). */
FLO_MUST_CHECK int flo_core_timers_set(struct flo_core_timers *timers, struct flo_core_timer *timer,
                                       int64_t deadline_ns, flo_core_timer_fn fire);
/* Disarm; fine when it is not set. */
void flo_core_timers_clear(struct flo_core_timers *timers, struct flo_core_timer *timer);
/* Take out the earliest timer that is due at now_ns, or NULL. */
struct flo_core_timer *flo_core_timers_pop_due(struct flo_core_timers *timers, int64_t now_ns);
/* Move all deadlines by so much. */
void flo_core_timers_shift(struct flo_core_timers *timers, int64_t by_ns);
/* The earliest deadline, INT64_MAX when none is set. */
int64_t flo_core_timers_next(const struct flo_core_timers *timers);

#endif
