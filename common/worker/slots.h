/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots.h - how many tasks a worker may hold. A slot is reserved before a poll is sent, because a
 * task that arrives cannot be handed back; it is running from the task's arrival until its answer
 * has been acknowledged.
 *
 *   free ──reserve──► reserved ──run──► running
 *    ▲                   │ release         │ finish
 *    └───────────────────┴─────────────────┘         free + reserved + running == total
 *
 * Loop thread only.
 */
#ifndef FLO_WORKER_SLOTS_H
#define FLO_WORKER_SLOTS_H

#include <stdbool.h>
#include <stddef.h>

struct flo_slots {
    size_t total;
    size_t reserved; /* by polls in flight */
    size_t running;  /* by tasks */
};

void flo_slots_init(struct flo_slots *slots, size_t total);
/* Take a free slot for a poll. False: none is free. */
bool flo_slots_reserve(struct flo_slots *slots);
/* The poll came back without a task. */
void flo_slots_release(struct flo_slots *slots);
/* The poll came back with one: its slot is running now. */
void flo_slots_run(struct flo_slots *slots);
/* The task is done. */
void flo_slots_finish(struct flo_slots *slots);
size_t flo_slots_free(const struct flo_slots *slots);

#endif
