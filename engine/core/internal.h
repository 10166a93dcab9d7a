/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - the core's own struct, the calls that wait, the tasks handed out. One run's struct
 * and what can happen to it is execution.h; the set of runs is runs.h.
 *
 * One step (flo_core_call, or one timer of flo_core_fire) has two halves. First a *transition*:
 * a handler changes runs completely and consistently; whatever it changes it marks
 * (flo_core_touch), whatever became ready it queues (flo_matching_add), and nothing reacts yet.
 * Then core_settle() lets the world react until nothing moves: waiting polls meet ready tasks
 * (each start of a task is a transition of its own, hence a history batch of its own), history
 * long polls see new events, queries find their way. So no code ever sees a half-changed run, and
 * a match still happens in the step that made the task ready.
 *
 * Memory: core->scratch holds what one step builds (replies, tokens, lookups); it is reset after
 * the step. Nothing long-lived may point into it.
 */
#ifndef FLO_ENGINE_CORE_INTERNAL_H
#define FLO_ENGINE_CORE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/index.h"
#include "base/list.h"
#include "base/map.h"
#include "base/random.h"
#include "engine/core/core.h"
#include "engine/core/names.h"
#include "engine/core/schedule/schedules.h"
#include "engine/core/timers.h"
#include "engine/core/zone.h"
#include "flotilla/error.h"

struct flo_execution; /* execution.h */

#define FLO_CORE_LONG_POLL_NS (20 * FLO_NS_PER_S) /* a wait for new events */

struct flo_core {
    struct flo_core_env env;
    struct flo_core_options options; /* defaults filled in */
    struct flo_rng rng;
    int64_t now_ns;
    int64_t last_event_ns; /* time of the newest history event: they never go back */
    struct flo_arena scratch;
    struct flo_core_timers timers; /* of runs and all that is not a call */
    struct flo_core_timers waits;  /* of calls that wait: a clock that skips takes them along */
    int fatal; /* FLO_ENOMEM, FLO_EIO in the middle of a transition: nothing may be answered */

    struct flo_map namespaces;    /* name -> struct flo_namespace */
    struct flo_map namespace_ids; /* id -> struct flo_namespace */

    struct flo_list residents; /* runs in memory: open, or closed and unsaved; stored last: last */
    struct flo_index runs;     /* the same by run id */
    struct flo_index current;  /* the newest of each namespace and workflow id */
    struct flo_names names;    /* texts that runs share */
    struct flo_schedules schedules;
    struct flo_zones zones; /* time zones that were asked for */
    size_t open_runs;
    size_t resident_bytes;                /* flo_core_run_hooks.bytes of the residents */
    struct flo_index cold_runs, cold_ids; /* open runs that are not in memory (cold.c) */
    size_t unseen_runs;                   /* stored open runs that flo_core_wake has to come to */
    uint64_t next_key;

    uint64_t transitions;      /* of runs that are stored, not yet in a batch */
    uint64_t next_seq;         /* number that the next batch will get */
    uint64_t committed_seq;    /* last durable batch */
    bool commit_wanted;        /* a reply waits for next_seq */
    int64_t dirty_since_ns;    /* oldest change not yet in a batch; INT64_MAX: none */
    struct flo_list dirty;     /* flo_core_run_hooks.dirty: runs to store with the next batch */
    struct flo_list touched;   /* flo_core_run_hooks.touched: runs that changed in this step */
    struct flo_list unsettled; /* flo_execution.unsettled: other runs are to be told (child.c) */
    struct flo_list
        closed; /* flo_core_run_hooks.closed: closed runs until their commit is durable */
    struct flo_list records; /* struct flo_core_record, changed or deleted: for the next batch */
    struct flo_list jobs;    /* struct flo_job: batch jobs, running or over */
    struct flo_map deleted;  /* key of 8 bytes -> struct flo_core_deleted, until durable */

    struct flo_map calls;         /* call id of 8 bytes -> struct flo_waiting: calls not answered */
    struct flo_map queues;        /* struct flo_queue by namespace, type, kind, name */
    size_t sweep_at;              /* so many queues: look for unused ones */
    struct flo_lane *serving;     /* a task of it is on its way to a poll: it stays; else NULL */
    struct flo_map queue_configs; /* struct flo_queue_config by namespace, type, name */
    struct flo_map workers;       /* struct worker of worker.c by namespace and instance key */
    struct flo_list workers_heard; /* the same, heard of longest ago first */
    size_t worker_bytes;           /* what they take */
    struct flo_list hot_queues;    /* queues where a task and a poll may meet */
    struct flo_map queries;        /* query id of 8 bytes -> struct flo_core_query */
    size_t update_bytes;           /* flo_updates.bytes of all runs */

    struct flo_handed *handed; /* ring of FLO_CORE_HANDED tasks given out last */
    size_t next_handed;

    struct flo_core_stats stats;
};

/* A call that waits for its answer; a member of what it waits as. */
struct flo_waiting {
    uint64_t call;
    /* Forget the call: nobody wants its answer any more. Frees the struct around it. */
    void (*drop)(struct flo_core *core, struct flo_waiting *waiting);
};

/* Enter a waiting call, so that flo_core_cancel_call finds it. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_core_wait(struct flo_core *core, struct flo_waiting *waiting);
/* It is answered (or dropped). */
void flo_core_wait_over(struct flo_core *core, struct flo_waiting *waiting);

/* A task that left with the answer of a poll: when that call is cancelled before the answer is
 * out, the task goes back. */
struct flo_handed {
    uint64_t call;
    bool activity;
    int32_t attempt;
    int64_t scheduled_event_id, started_ns;
    char run_id[FLO_UUID_LEN + 1];
};
#define FLO_CORE_HANDED 1024
/* Remember a task just handed out. */
void flo_core_hand(struct flo_core *core, const struct flo_handed *handed);

/* New ids, NUL-terminated text of FLO_UUID_LEN. */
void flo_core_new_id(struct flo_core *core, char out_text[FLO_UUID_LEN + 1]);

/* Memory ran out where nothing can be undone: the core stops answering and the shell ends. */
void flo_core_set_fatal(struct flo_core *core);
/* The same for any reason: FLO_ENOMEM, FLO_EIO. The first one counts; flo_core_take_batch says it.
 */
void flo_core_set_fatal_as(struct flo_core *core, int error);

#endif
