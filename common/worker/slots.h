/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots.h - how many tasks a worker may hold. A slot is reserved before a poll is sent, because a
 * task that arrives cannot be handed back; it is running from the task's arrival until the task
 * is over.
 *
 *   free ──reserve──► reserved ──run──► running ──answer──► answering
 *    ▲                   │ release         │ finish            │ answered
 *    └───────────────────┴─────────────────┘                   ▼
 *                                                         (no slot)
 *   free + reserved + running == total, or none is free while a smaller total was set and more
 *   are taken; none is free while answering >= total
 *
 * A workflow task runs until its answer has been acknowledged (finish). An activity gives its slot
 * back when its code has returned (answer), so that the next poll goes along with the answer; as
 * many answers again as there are slots may be on their way, then there are no more polls.
 *
 * Loop thread only.
 */
#ifndef FLO_WORKER_SLOTS_H
#define FLO_WORKER_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flo_slots {
    size_t total;
    size_t reserved;  /* by polls in flight */
    size_t running;   /* by tasks */
    size_t answering; /* tasks that have run and whose answer is on its way */
    size_t peak;      /* most running at once since somebody set it back to running */
    uint64_t ended;   /* tasks that were running and are not any more, since the start */
};

void flo_slots_init(struct flo_slots *slots, size_t total);
/* Another total. Below what is taken nothing is lost: none is free until enough came back. */
void flo_slots_resize(struct flo_slots *slots, size_t total);
/* Take a free slot for a poll. False: none is free. */
bool flo_slots_reserve(struct flo_slots *slots);
/* The poll came back without a task. */
void flo_slots_release(struct flo_slots *slots);
/* The poll came back with one: its slot is running now. */
void flo_slots_run(struct flo_slots *slots);
/* The task is over. */
void flo_slots_finish(struct flo_slots *slots);
/* The task has run, its answer is about to be sent. */
void flo_slots_answer(struct flo_slots *slots);
/* Its answer has arrived, or was given up. */
void flo_slots_answered(struct flo_slots *slots);
/* How many tasks the worker still has to do with. */
size_t flo_slots_busy(const struct flo_slots *slots);
size_t flo_slots_free(const struct flo_slots *slots);

#endif
