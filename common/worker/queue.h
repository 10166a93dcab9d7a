/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.h - one task queue that the worker polls: its slots, its long polls, its metrics.
 *
 * A worker has a list of them, and for each kind of task one worker-wide count, the capacity: what
 * the executor can run at once, or what a tuner allows. A slot of a queue is a place of the
 * capacity too, so both are counted by the same struct flo_slots, and only the functions below
 * move either, always together:
 *
 *   reserve   a poll is about to be sent             release   it came back without a task
 *   run       it came back with one                  finish    the task is over
 *   answer    its code has returned (slots.h)        answered  its answer has arrived
 *
 * Loop thread only.
 */
#ifndef FLO_WORKER_QUEUE_H
#define FLO_WORKER_QUEUE_H

#include "base/list.h"
#include "base/map.h"
#include "telemetry/metrics.h"
#include "worker/slots.h"

struct event;
struct flo_worker;

/* Kinds of tasks that are counted apart. */
enum flo_slot_kind {
    FLO_SLOT_WORKFLOW,
    FLO_SLOT_ACTIVITY,
    FLO_SLOT_LOCAL_ACTIVITY, /* those have no queue: only a capacity */
    FLO_SLOT_KINDS
};

enum flo_poller_kind {
    FLO_POLLER_WORKFLOW, /* the normal workflow queue */
    FLO_POLLER_STICKY,   /* this process's own queue, which belongs to it */
    FLO_POLLER_ACTIVITY,
    FLO_POLLER_KINDS
};

/* The long polls of one kind; those of a kind that the queue does not poll have the target 0. */
struct flo_poller_group {
    struct flo_task_queue *queue;
    size_t target;           /* polls to keep open while slots are free */
    struct flo_list polls;   /* of struct poll, in flight */
    struct event *retry;     /* runs after a refused poll, for PAUSE_MS */
    bool paused;             /* until retry fires */
    struct flo_series *open; /* gauge: polls in flight */
};

/* Series of one task type, or those without a type; filled as they are used. */
struct flo_task_series {
    struct flo_series *of[FLO_METRIC_COUNT];
};

struct flo_task_queue {
    struct flo_worker *worker;
    char *name;
    enum flo_slot_kind kind;
    struct flo_slots slots;
    struct flo_poller_group pollers[FLO_POLLER_KINDS];
    struct flo_map type_series;    /* type -> struct flo_task_series, owned */
    struct flo_task_series series; /* without a type */
};

/* The worker's list of queues: one a name of the configuration. They have no slots and no pollers
 * until poll.c sets them up. */
FLO_MUST_CHECK int flo_queues_new(struct flo_worker *worker, struct flo_err *err);
/* Free them; their polls have been ended (flo_poll_fini). */
void flo_queues_destroy(struct flo_worker *worker);

/* Take a slot of the queue and a place of the capacity for a poll. False: there is none. */
bool flo_queue_reserve(struct flo_task_queue *queue);
void flo_queue_release(struct flo_task_queue *queue);
void flo_queue_run(struct flo_task_queue *queue);
void flo_queue_finish(struct flo_task_queue *queue);
void flo_queue_answer(struct flo_task_queue *queue);
void flo_queue_answered(struct flo_task_queue *queue);

/*
 * How many tasks of a kind the worker may hold from now on, over all its queues; what their own
 * slots allow stays the bound of each. Growing sends polls at once. Shrinking takes nothing away:
 * tasks run on and polls that are out stay out, and none is sent until the two together are below
 * total. At least one for each queue stays, so that none is ever left unpolled.
 */
void flo_capacity_set(struct flo_worker *worker, enum flo_slot_kind kind, size_t total);
/* Tasks of all kinds that the worker still has to do with. */
size_t flo_capacity_busy(const struct flo_worker *worker);
/* What can run at once of a kind: the capacity, or the queues' slots when those are fewer. */
size_t flo_capacity_total(const struct flo_worker *worker, enum flo_slot_kind kind);

#endif
