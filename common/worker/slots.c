/* SPDX-License-Identifier: Apache-2.0 */
/* slots.c - counting task slots; see slots.h. */
#include "worker/slots.h"

#include <assert.h>

void flo_slots_init(struct flo_slots *slots, size_t total)
{
    *slots = (struct flo_slots){.total = total};
}

void flo_slots_resize(struct flo_slots *slots, size_t total)
{
    slots->total = total;
}

bool flo_slots_reserve(struct flo_slots *slots)
{
    if (flo_slots_free(slots) == 0)
        return false;
    slots->reserved++;
    return true;
}

void flo_slots_release(struct flo_slots *slots)
{
    assert(slots->reserved > 0);
    slots->reserved--;
}

void flo_slots_run(struct flo_slots *slots)
{
    assert(slots->reserved > 0);
    slots->reserved--;
    slots->running++;
    if (slots->running > slots->peak)
        slots->peak = slots->running;
}

void flo_slots_finish(struct flo_slots *slots)
{
    assert(slots->running > 0);
    slots->running--;
    slots->ended++;
}

void flo_slots_answer(struct flo_slots *slots)
{
    flo_slots_finish(slots);
    slots->answering++;
}

void flo_slots_answered(struct flo_slots *slots)
{
    assert(slots->answering > 0);
    slots->answering--;
}

size_t flo_slots_busy(const struct flo_slots *slots)
{
    return slots->running + slots->answering;
}

size_t flo_slots_free(const struct flo_slots *slots)
{
    size_t taken = slots->reserved + slots->running;

    if (slots->answering >= slots->total)
        return 0;
    return taken < slots->total ? slots->total - taken : 0;
}
