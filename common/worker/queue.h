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
 * For activities two more things are taken with the slot: tokens (tokens.h) until the code has
 * returned, and a permit of the worker's rate limit (bucket.h) until the poll comes back.
 *
 * Loop thread only.
 */
#ifndef FLO_WORKER_QUEUE_H
#define FLO_WORKER_QUEUE_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "config/role_config.h"
#include "telemetry/metrics.h"
#include "worker/bucket.h"
#include "worker/pollers.h"
#include "worker/share.h"
#include "worker/slots.h"
#include "worker/tokens.h"

struct event;
struct flo_worker;

/* Kinds of tasks that are counted apart. */
enum flo_slot_kind {
    FLO_SLOT_WORKFLOW,
    FLO_SLOT_ACTIVITY,
    FLO_SLOT_LOCAL_ACTIVITY, /* those have no queue: only a capacity */
    FLO_SLOT_KINDS
};
/* "workflow", "activity", "local-activity"; static. */
const char *flo_slot_kind_name(enum flo_slot_kind kind);

enum flo_poller_kind {
    FLO_POLLER_WORKFLOW, /* the normal workflow queue */
    FLO_POLLER_STICKY,   /* this process's own queue, which belongs to it */
    FLO_POLLER_ACTIVITY,
    FLO_POLLER_KINDS
};

/* The long polls of one kind; those of a kind that the queue does not poll have the target 0. */
struct flo_poller_group {
    struct flo_task_queue *queue;
    struct flo_pollers pollers; /* how many to keep open while slots are free */
    struct flo_list polls;      /* of struct poll, in flight */
    struct event *retry;        /* runs after a refused poll, for PAUSE_MS */
    bool paused;                /* until retry fires */
    struct flo_series *open;    /* gauge: polls in flight */
};

/* Series of one task type, or those without a type; filled as they are used. */
struct flo_task_series {
    struct flo_series *of[FLO_METRIC_COUNT];
};

struct flo_task_queue {
    struct flo_worker *worker;
    const struct flo_queue_config *config; /* borrowed */
    char *name;
    enum flo_slot_kind kind;
    struct flo_slots slots;
    size_t slots_asked;         /* by the settings or a command; the executor may have fewer */
    struct flo_share share;     /* its turn among the others */
    bool quiet;                 /* its last poll to end was empty, or none has ended yet */
    struct flo_token_need need; /* what each poll takes: the most that a type of it may need */
    struct flo_poller_group pollers[FLO_POLLER_KINDS];
    struct flo_map type_series;    /* type -> struct flo_task_series, owned */
    struct flo_task_series series; /* without a type */
};

/* What limits polls besides slots. */
struct flo_worker_limits {
    struct flo_tokens tokens;
    struct flo_map needs;    /* type -> struct flo_token_need, owned */
    struct flo_bucket rate;  /* of the worker as a whole */
    struct event *next_poll; /* when the rate allows one; NULL until it is waited for */
};

/* The worker's list of queues: one a name of the configuration. They have no slots and no pollers
 * until poll.c sets them up. */
FLO_MUST_CHECK int flo_queues_new(struct flo_worker *worker, struct flo_err *err);
/* Their names as "a, b". */
void flo_queues_names(const struct flo_worker *worker, struct flo_buf *out);
/* Free them; their polls have been ended (flo_poll_fini). */
void flo_queues_destroy(struct flo_worker *worker);

/* What a poll lacks. */
enum flo_lack {
    FLO_LACKS_NOTHING,
    FLO_LACKS_SLOT,   /* of its own queue */
    FLO_LACKS_TURN,   /* it has a poll out, and what is left is for a queue that has none */
    FLO_LACKS_TOKENS, /* flo_tokens_short says which */
    FLO_LACKS_PERMIT, /* of the rate limit: the same for all queues */
    FLO_LACKS_PLACE,  /* of the capacity: the same for all queues of its kind */
};
/* Take all that a poll needs, or nothing. */
enum flo_lack flo_queue_reserve(struct flo_task_queue *queue);
void flo_queue_release(struct flo_task_queue *queue);
void flo_queue_run(struct flo_task_queue *queue);
/* The type of a running task is known: what it needs of the tokens; the rest of what its poll took
 * goes back. Borrowed as long as the worker. */
const struct flo_token_need *flo_queue_narrow(struct flo_task_queue *queue, const char *type);
/* need: what the task still holds of the tokens, &queue->need before flo_queue_narrow; unused for
 * workflow tasks. */
void flo_queue_finish(struct flo_task_queue *queue, const struct flo_token_need *need);
void flo_queue_answer(struct flo_task_queue *queue, const struct flo_token_need *need);
void flo_queue_answered(struct flo_task_queue *queue);
/* Is a type one that the queue serves, by its list? */
bool flo_queue_serves(const struct flo_task_queue *queue, const char *type);

/*
 * Read the worker's tokens, rate limit and what types need of the configuration, once the types
 * are registered. FLO_ECONFIG when it names a type that no module has; FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_queues_limit(struct flo_worker *worker, struct flo_err *err);
/* Another rate limit of the worker; 0: none. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_queues_set_rate(struct flo_worker *worker, double rate);

/*
 * How many tasks of a kind the worker may hold from now on, over all its queues; what their own
 * slots allow stays the bound of each. Growing sends polls at once. Shrinking takes nothing away:
 * tasks run on and polls that are out stay out, and none is sent until the two together are below
 * total. At least one for each queue stays, so that none is ever left unpolled, except by 0: then
 * there are no new polls at all until it is set again.
 */
void flo_capacity_set(struct flo_worker *worker, enum flo_slot_kind kind, size_t total);
/* Do the queues of a kind have more slots than there are places? */
bool flo_capacity_scarce(const struct flo_worker *worker, enum flo_slot_kind kind);
/* Tasks of all kinds that the worker still has to do with. */
size_t flo_capacity_busy(const struct flo_worker *worker);
/* What can run at once of a kind: the capacity, or the queues' slots when those are fewer. */
size_t flo_capacity_total(const struct flo_worker *worker, enum flo_slot_kind kind);

#endif
