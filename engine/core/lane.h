/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane.h - the order of the tasks in one queue (lane.c).
 *
 * A queue has one *lane*, first in, first out, until a task names another priority level or a
 * fairness key, or fairness keys get a rate limit: only then it gets a flo_lanes. A lane holds the
 * tasks of one key at one level. Lower levels go first. Within a level each lane has a *pass*,
 * which a task that leaves advances by 1/weight; the lane with the smallest pass is next (stride
 * scheduling), so that each key gets its share however many tasks it has. A lane that was empty
 * begins at the pass that the level has reached: idling saves nothing up.
 */
#ifndef FLO_ENGINE_CORE_LANE_H
#define FLO_ENGINE_CORE_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "engine/core/priority.h"
#include "engine/core/timers.h"
#include "flotilla/error.h"

struct flo_core;  /* internal.h */
struct flo_queue; /* matching.h */
struct flo_share;

/* Tasks added or given out, in the last seconds: a ring of 5-second slots. */
enum { FLO_RATE_SLOTS = 6, FLO_RATE_SLOT_S = 5 };
struct flo_rate {
    int64_t slot; /* number of the newest slot: time / 5 s */
    uint32_t counts[FLO_RATE_SLOTS];
};
void flo_rate_count(struct flo_rate *rate, int64_t now_ns);
float flo_rate_per_second(const struct flo_rate *rate, int64_t now_ns);

struct flo_lane {
    struct flo_queue *queue;
    struct flo_list tasks;      /* struct flo_task */
    struct flo_share *share;    /* NULL: the queue has no flo_lanes */
    int level;                  /* 1 .. FLO_PRIORITY_LEVELS */
    float weight;               /* of the newest task */
    int64_t pass;               /* in millionths */
    struct flo_core_timer turn; /* in its level's heap, by pass, while it may be next */
};

/* All lanes of one fairness key, and its rate limit. */
struct flo_share {
    struct flo_queue *queue;
    struct flo_lane lanes[FLO_PRIORITY_LEVELS];
    int64_t ready_ns; /* its next task may leave then */
    bool resting;     /* its lanes are in no heap until then */
    struct flo_core_timer ready;
    char key[];
};

struct flo_lanes {
    struct flo_core_timers levels[FLO_PRIORITY_LEVELS]; /* heaps of lanes */
    int64_t passed[FLO_PRIORITY_LEVELS];                /* pass of the task that left last */
    struct flo_rate added[FLO_PRIORITY_LEVELS], dispatched[FLO_PRIORITY_LEVELS];
    struct flo_map shares; /* fairness key -> struct flo_share */
    size_t sweep_at;       /* so many shares: look for unused ones */
    size_t count;          /* tasks in lanes other than queue->base */
};

/* Make queue->base, of a zeroed queue. */
void flo_lanes_init(struct flo_queue *queue);
/* No task waits any more. */
void flo_lanes_fini(struct flo_core *core, struct flo_queue *queue);
/* The lane for tasks of that order; made when it is not there. NULL without memory. */
struct flo_lane *flo_lane_get(struct flo_core *core, struct flo_queue *queue,
                              const struct flo_order_of *order);
/* A task was put into the lane; taken out of it. */
void flo_lane_added(struct flo_core *core, struct flo_lane *lane);
void flo_lane_removed(struct flo_lane *lane);
/* The lane whose first task is next; NULL: there is none, or rate limits of keys hold all back:
 * then the queue becomes hot when one may leave. */
struct flo_lane *flo_lane_next(struct flo_core *core, struct flo_queue *queue);
/* The first task of the lane has left for a worker. */
void flo_lane_passed(struct flo_core *core, struct flo_lane *lane);
/* The rate limit of fairness keys is another: keys that it held back may go. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_lanes_limit(struct flo_core *core, struct flo_queue *queue, double limit);

/* Tasks that wait in the queue; at one level; *since_ns: when the oldest of them came, if that is
 * before it or it is 0. */
size_t flo_lanes_count(const struct flo_queue *queue);
size_t flo_lanes_count_at(const struct flo_queue *queue, int level, int64_t *since_ns);

#endif
