/* SPDX-License-Identifier: Apache-2.0 */
/* pollers.c - how many polls to keep open; see pollers.h. */
#include "worker/pollers.h"

#include "base/clock.h"

#define PERIOD_NS (100 * FLO_NS_PER_MS)

void flo_pollers_fixed(struct flo_pollers *pollers, size_t polls)
{
    *pollers = (struct flo_pollers){.target = polls, .min = polls, .max = polls};
}

void flo_pollers_autoscale(struct flo_pollers *pollers, size_t min, size_t max, size_t initial,
                           int64_t now_ns)
{
    *pollers = (struct flo_pollers){
        .target = initial, .min = min, .max = max, .may_grow = true, .period_ns = now_ns};
}

/* Close the periods that have passed. */
static void turn(struct flo_pollers *pollers, int64_t now_ns)
{
    int64_t passed = (now_ns - pollers->period_ns) / PERIOD_NS;

    if (passed < 1)
        return;
    if (passed > 1) { /* the newest whole period was an idle one, and followed one or it */
        pollers->may_grow = passed > 2 || pollers->tasks == 0;
        pollers->tasks_before = 0;
    } else {
        pollers->may_grow = pollers->tasks >= (uint64_t)pollers->tasks_before * 11 / 10;
        pollers->tasks_before = pollers->tasks;
    }
    pollers->tasks = 0;
    pollers->period_ns += passed * PERIOD_NS;
}

static void change(struct flo_pollers *pollers, int64_t by)
{
    int64_t target = (int64_t)pollers->target + by;

    if (target < (int64_t)pollers->min)
        pollers->target = pollers->min;
    else if (target > (int64_t)pollers->max)
        pollers->target = pollers->max;
    else
        pollers->target = (size_t)target;
}

void flo_pollers_ended(struct flo_pollers *pollers, const struct flo_poll_end *end, int64_t now_ns)
{
    if (flo_pollers_are_fixed(pollers))
        return;
    turn(pollers, now_ns);
    if (end->task)
        pollers->tasks++;
    if (end->advised) {
        pollers->advised = true;
        if (end->advice < 0 || pollers->may_grow)
            change(pollers, end->advice);
        return;
    }
    if (!pollers->advised)
        return;
    if (end->exhausted)
        change(pollers, -(int64_t)(pollers->target - pollers->target / 2));
    else if (end->refused || !end->task)
        change(pollers, -1);
}
