/* SPDX-License-Identifier: Apache-2.0 */
/* timers.c - binary heap by (deadline, order of setting); a timer knows its place, so moving and
 * taking out are O(log n) without stale entries. */
#include "engine/core/timers.h"

#include "base/alloc.h"

void flo_core_timers_init(struct flo_core_timers *timers)
{
    *timers = (struct flo_core_timers){0};
}

void flo_core_timers_fini(struct flo_core_timers *timers)
{
    for (size_t i = 0; i < timers->count; i++)
        timers->heap[i]->index = 0;
    flo_free(timers->heap);
    flo_core_timers_init(timers);
}

static bool before(const struct flo_core_timer *a, const struct flo_core_timer *b)
{
    return a->deadline_ns != b->deadline_ns ? a->deadline_ns < b->deadline_ns : a->order < b->order;
}

static void place(struct flo_core_timers *timers, size_t i, struct flo_core_timer *timer)
{
    timers->heap[i] = timer;
    timer->index = i + 1;
}

/* Move the timer at i to where it belongs. */
static void sift(struct flo_core_timers *timers, size_t i)
{
    struct flo_core_timer *timer = timers->heap[i];
    while (i > 0 && before(timer, timers->heap[(i - 1) / 2])) {
        place(timers, i, timers->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count && before(timers->heap[child + 1], timers->heap[child]))
            child++;
        if (!before(timers->heap[child], timer))
            break;
        place(timers, i, timers->heap[child]);
        i = child;
    }
    place(timers, i, timer);
}

int flo_core_timers_set(struct flo_core_timers *timers, struct flo_core_timer *timer,
                        int64_t deadline_ns, flo_core_timer_fn fire)
{
    timer->fire = fire;
    timer->deadline_ns = deadline_ns;
    timer->order = timers->next_order++;
    if (flo_core_timer_is_set(timer)) {
        sift(timers, timer->index - 1);
        return 0;
    }
    if (timers->count == timers->cap) {
        size_t cap = timers->cap ? timers->cap * 2 : 4;
        struct flo_core_timer **heap = flo_reallocarray(timers->heap, cap, sizeof *heap);
        if (!heap)
            return FLO_ENOMEM;
        timers->heap = heap;
        timers->cap = cap;
    }
    place(timers, timers->count++, timer);
    sift(timers, timers->count - 1);
    return 0;
}

void flo_core_timers_clear(struct flo_core_timers *timers, struct flo_core_timer *timer)
{
    if (!flo_core_timer_is_set(timer))
        return;
    size_t i = timer->index - 1;
    timer->index = 0;
    timers->count--;
    if (i == timers->count)
        return;
    place(timers, i, timers->heap[timers->count]);
    sift(timers, i);
}

struct flo_core_timer *flo_core_timers_pop_due(struct flo_core_timers *timers, int64_t now_ns)
{
    if (timers->count == 0 || timers->heap[0]->deadline_ns > now_ns)
        return NULL;
    struct flo_core_timer *timer = timers->heap[0];
    flo_core_timers_clear(timers, timer);
    return timer;
}

void flo_core_timers_shift(struct flo_core_timers *timers, int64_t by_ns)
{
    for (size_t i = 0; i < timers->count; i++)
        timers->heap[i]->deadline_ns += by_ns;
}

int64_t flo_core_timers_next(const struct flo_core_timers *timers)
{
    return timers->count ? timers->heap[0]->deadline_ns : INT64_MAX;
}
