/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execution.h - one run: what is known of it, and everything that can happen to it.
 *
 * A *transition* is what one cause does to one run: some of the functions below, then
 * flo_execution_end, which makes the events of the transition one history batch, counts the
 * transition and marks the run (flo_core_touch). Functions that end the transition themselves say
 * so. No function here lets other runs or waiting polls react: runs that must be told (a parent, a
 * child, the target of a signal) are dealt with by flo_execution_settle at the end of the step,
 * each in a transition of its own, and so without recursion however deep the family is.
 *
 * Memory running out inside a transition cannot be undone piece by piece: such a place calls
 * flo_core_set_fatal, nothing of the step is stored or answered, and the process starts again from
 * the last commit. Those functions therefore return nothing.
 *
 * Time: wall clock nanoseconds of flo_core_begin. Event ids: the history's, from 1; 0 = none.
 */
#ifndef FLO_ENGINE_CORE_EXECUTION_H
#define FLO_ENGINE_CORE_EXECUTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/random.h"
#include "engine/core/core.h"
#include "engine/core/internal.h"
#include "engine/core/priority.h"
#include "engine/core/runs.h"
#include "engine/core/task.h"
#include "engine/core/timers.h"
#include "wire/api.h"

/* ---- parts of a run ---- */

/* A message in wire form on the heap; data NULL = absent. */
struct flo_blob {
    uint8_t *data;
    size_t len;
};

/*
 * The events, one after the other as `0x0A len HistoryEvent` (the wire form of History), so that
 * any range of events is a range of bytes. Batches: the events of one transition each; the last
 * one is open until flo_execution_end.
 */
struct flo_history {
    uint8_t *data;
    uint32_t *index; /* of event id i + 1: where it begins, and FLO_HISTORY_FIRST */
    uint32_t len, cap, index_cap;
    int64_t stored_next_id; /* first event id that no batch for the store has taken */
    int64_t sealed_next_id; /* first event id of the open batch */
    int64_t next_event_id;
};
#define FLO_HISTORY_FIRST (UINT32_C(1) << 31) /* the event is the first of its batch */
#define FLO_HISTORY_MAX_BYTES (FLO_HISTORY_FIRST - 1)

#define FLO_REF_REQUEST (-1) /* flo_buffered_event.ref of an event that attaches a request */

/* An event that came while a workflow task was started: it has no id yet. */
struct flo_buffered_event {
    struct flo_node node;
    FloApi__EventType type;
    int64_t ref; /* event id of the activity, child or timer that it is about, or 0 */
    size_t len;
    uint8_t bytes[]; /* HistoryEvent */
};

/*
 *            schedule              start
 *   NONE ---------------> SCHEDULED -----> STARTED ---> NONE (completed, failed, timed out)
 *     ^                       |
 *     +-----------------------+ sticky queue: schedule-to-start timeout
 *
 * A workflow task of attempt > 1 is transient: its Scheduled and Started events are shown to the
 * worker but written only when it completes. So is a speculative one, which exists for updates
 * alone (update.h): it is not stored at all, and written as soon as anything else happens.
 */
enum flo_core_workflow_task_stage {
    FLO_CORE_WORKFLOW_TASK_NONE,
    FLO_CORE_WORKFLOW_TASK_SCHEDULED,
    FLO_CORE_WORKFLOW_TASK_STARTED,
};

/* What the start of a workflow task said; one block. */
struct flo_task_start {
    bool has_build_id;
    const char *identity, *build_id, *request_id; /* in text */
    char text[];
};

struct flo_core_workflow_task {
    enum flo_core_workflow_task_stage stage;
    bool transient;       /* its events are not in the history */
    bool speculative;     /* ... because it carries nothing but updates */
    bool sticky;          /* scheduled on the sticky queue */
    bool close_attempted; /* the worker tried to close the run while events waited */
    bool suggest_continue_as_new;
    int32_t attempt; /* of the pending task; without one: of the next */
    int64_t scheduled_id, started_id;
    int64_t original_scheduled_ns, scheduled_ns, started_ns;
    int64_t start_to_close_ns;
    int64_t history_bytes;        /* as told to the worker */
    struct flo_task_start *start; /* heap; NULL = not started; until the transition that ends it */
    /* Schedule-to-start (sticky) or start-to-close; before the first task: when it is due. */
    struct flo_core_timer timer;
};

enum flo_core_activity_stage {
    FLO_CORE_ACTIVITY_SCHEDULED, /* an attempt waits for a worker */
    FLO_CORE_ACTIVITY_STARTED,
    FLO_CORE_ACTIVITY_BACKOFF, /* the next attempt waits for its time, scheduled_ns */
};

/* An activity that an operator has paused: since when, who, and why. One block. */
struct flo_activity_paused {
    int64_t since_ns;
    const char *identity, *reason; /* in text */
    char text[];
};

struct flo_core_activity {
    struct flo_task task;        /* while SCHEDULED: in matching */
    struct flo_core_timer timer; /* the next of its timeouts, or the next attempt */
    struct flo_execution *execution;
    int64_t scheduled_id;
    char *id, *type, *task_queue;
    enum flo_core_activity_stage stage;
    int32_t attempt; /* 1, 2, ... */
    int64_t first_scheduled_ns;
    int64_t scheduled_ns; /* of this attempt */
    int64_t started_ns;   /* of this attempt; 0 = not started */
    int64_t schedule_to_close_ns, schedule_to_start_ns, start_to_close_ns,
        heartbeat_ns;                                 /* 0 = no */
    int64_t initial_interval_ns, maximum_interval_ns; /* retry policy */
    double backoff_coefficient;
    int32_t maximum_attempts; /* 0 = no bound */
    int64_t retry_until_ns;   /* no retry begins later; 0 = none. Other options do not move it. */
    struct flo_activity_paused *paused; /* heap; NULL = it is not. Else nothing times out. */
    struct flo_priority *priority;      /* its own; heap; NULL = the run's */
    bool cancel_requested;
    bool was_reset;       /* while an attempt runs: its next heartbeat is told */
    bool heartbeat_reset; /* the next attempt gets no details of this one */
    int64_t cancel_requested_id;
    int64_t last_heartbeat_ns, last_attempt_complete_ns; /* 0 = never */
    struct flo_blob heartbeat_details;                   /* Payloads */
    struct flo_blob last_failure;                        /* Failure of the previous attempt */
    char *identity, *request_id, *build_id;              /* of the last start; may be NULL */
    bool has_build_id;
};

struct flo_user_timer {
    struct flo_core_timer timer; /* in the run's own heap; order = started_id */
    int64_t started_id;
    char id[];
};

/* The user timers of a run (user_timer.c). */
struct flo_user_timers {
    struct flo_execution *execution;
    struct flo_map by_id;        /* timer id -> struct flo_user_timer */
    struct flo_core_timers heap; /* the same by deadline */
    struct flo_core_timer first; /* in the core's: when the first of them is due */
};

struct flo_core_child {
    int64_t initiated_id, started_id;
    struct flo_namespace *ns;
    char *workflow_id, *run_id, *type;
    int parent_close_policy; /* temporal.api.enums.v1.ParentClosePolicy */
};

/* A request that was attached to the run (OnConflictOptions), by the event that tells of it. */
struct flo_run_request {
    char *id;
    int64_t event_id; /* 0 = buffered */
};

/* What few runs have (run_more.c). */
struct flo_run_more {
    char *reset_run_id;                  /* that a reset made out of this one; NULL = none */
    int64_t original_start_ns;           /* a reset made this run: when the first one started */
    bool versioned;                      /* it has or had an override */
    struct flo_blob versioning_override; /* VersioningOverride */
    struct flo_priority *priority;       /* heap; NULL = none was given */
    struct flo_run_request *requests;
    size_t request_count;
    size_t
        kept_signals; /* of execution->signal_requests: those that flo_execution_keep_signal put */
};

/* Something that flo_execution_settle does to another run, asked for by an Initiated event. */
struct flo_outbound; /* child.c */

/* ---- the run ---- */

/*
 * A hundred thousand of them may be open, so what few runs need hangs off a pointer, texts that
 * many runs share are shared, and a history has little room to spare (flo_history_trim).
 */
struct flo_execution {
    struct flo_core_run_hooks hooks; /* key, namespace, dirty lists, task, waiters: runs.h */

    const char *type, *task_queue;              /* core->names */
    const char *workflow_id, *start_request_id; /* these and those below: in text */
    char run_id[FLO_UUID_LEN + 1];
    const char *first_run_id, *original_run_id;
    const char *parent_namespace_id, *parent_workflow_id, *parent_run_id; /* "" = no parent */
    int64_t parent_initiated_id;
    const char *root_workflow_id, *root_run_id; /* itself when it has no parent */

    int status; /* temporal.api.enums.v1.WorkflowExecutionStatus */
    int64_t start_ns;
    int64_t execution_ns; /* start + backoff of the first workflow task */
    int64_t close_ns;     /* 0 while open */
    int64_t execution_timeout_ns, run_timeout_ns, task_timeout_ns; /* 0 = none */
    int64_t execution_deadline_ns; /* of the chain of runs; 0 = none */
    int32_t attempt;
    bool has_retry_policy, has_cron; /* the Started event tells which */
    bool was_reset;                  /* it closed because a reset took over: not stored */
    bool first_task_pending;         /* the first workflow task waits for execution_ns */
    char *new_run_id;                /* that took over when this one closed; heap; NULL = none */

    struct flo_history history;
    struct flo_list buffered; /* struct flo_buffered_event, in order of arrival */
    size_t buffered_bytes;
    bool in_commands;        /* commands are being applied: their events go first */
    bool attributes_changed; /* search_attributes, since a batch had them */
    bool has_attributes;     /* the last batch that had them had some */
    int64_t state_transitions;

    struct flo_core_workflow_task workflow_task;
    int64_t last_completed_started_id; /* WFTStarted of the last completed task; 0 = none */
    const char *sticky_queue;          /* core->names; NULL = not sticky */
    int64_t sticky_schedule_to_start_ns;

    bool cancel_requested;
    char *cancel_request_id; /* heap; NULL = none */

    struct flo_core_activity **activities; /* by scheduled_id, ascending */
    size_t activity_count, activities_cap;
    struct flo_user_timers *user_timers; /* NULL: there never was one */
    struct flo_core_child *
        *children; /* by initiated_id, ascending; with started_id 0: not started */
    size_t child_count, children_cap;
    struct flo_map *signal_requests; /* request ids that were applied -> how it is known; or NULL */
    int64_t signal_count;

    struct flo_updates *updates; /* update.h; NULL: there never was one */
    struct flo_run_more *more;   /* NULL: nothing of it */

    struct flo_blob memo, search_attributes; /* current values: Memo, SearchAttributes */
    struct flo_blob reset_points;            /* ResetPoints */
    struct flo_blob user_metadata;           /* of the start: UserMetadata */
    const char *last_build; /* the last worker's build id, "\n" and checksum where it says one;
                               core->names; NULL = no reset point yet */

    struct flo_core_timer run_timer; /* run or execution timeout */

    struct flo_node unsettled; /* on core->unsettled: outbound is not empty, or it just closed */
    struct flo_list outbound;  /* struct flo_outbound */
    bool close_unsettled;      /* parent and children are to be told */

    char text[];
};

/* What it said of its order in queues; NULL: nothing. */
static inline const struct flo_priority *flo_execution_priority(
    const struct flo_execution *execution)
{
    return execution->more ? execution->more->priority : NULL;
}

static inline bool flo_execution_is_open(const struct flo_execution *execution)
{
    return execution->close_ns == 0;
}

/* ---- life (execution.c) ---- */

/* Everything that makes a run. All borrowed. */
struct flo_execution_args {
    struct flo_namespace *ns;
    const char *run_id;     /* from flo_core_new_id; attributes name it, too */
    const char *request_id; /* of the start */
    /* The Started event, complete: workflow_id, timeouts filled in and capped, parent,
     * first_workflow_task_backoff, first and original run ids, attempt, memo... */
    const FloApi__WorkflowExecutionStartedEventAttributes *started;
    FloApi__UserMetadata *user_metadata; /* or NULL */
    FloApi__Link **links;
    size_t n_links;
};

/*
 * Make a run: appends WorkflowExecutionStarted, arms the run timeout, enters it with
 * flo_core_add_run. No workflow task is scheduled before flo_execution_begin. NULL: memory is out,
 * nothing happened. The transition stays open.
 */
struct flo_execution *flo_execution_new(struct flo_core *core,
                                        const struct flo_execution_args *args);
/* Schedule the first workflow task, or arm its backoff. force: at once (signal-with-start). */
void flo_execution_begin(struct flo_core *core, struct flo_execution *execution, bool force);
/* Free a run: off the maps, queues, timers and lists. Clears the pointer. NULL is fine. */
void flo_execution_destroy(struct flo_core *core, struct flo_execution **execution);

/* End the transition: close the history batch, check limits (a history that is too long
 * terminates the run), touch; store as in flo_core_touch. */
void flo_execution_end(struct flo_core *core, struct flo_execution *execution, bool store);

/* End of a step: start children, deliver to external runs, tell parents and children of closed
 * runs; repeats until nothing is left. Driven by core_settle, before matching. */
void flo_execution_settle(struct flo_core *core);

/*
 * Append a signal (attributes borrowed; request_id dedupes, "" = never) and schedule a workflow
 * task. 0 also for a duplicate. Status: RESOURCE_EXHAUSTED while the run tries to close,
 * INVALID_ARGUMENT past 10,000 signals. The run must be open. links may be NULL.
 */
FLO_MUST_CHECK int flo_execution_signal(
    struct flo_core *core, struct flo_execution *execution,
    const FloApi__WorkflowExecutionSignaledEventAttributes *attributes, FloApi__Link **links,
    size_t n_links, struct flo_status *status);
/* Append a cancel request and schedule a workflow task; nothing when there was one before.
 * request_id may be "". The run must be open. */
void flo_execution_request_cancel(
    struct flo_core *core, struct flo_execution *execution, const char *request_id,
    const FloApi__WorkflowExecutionCancelRequestedEventAttributes *attributes);
/* Terminate an open run: fails a started workflow task, flushes the buffer, closes. */
void flo_execution_terminate_linked(struct flo_core *core, struct flo_execution *execution,
                                    const char *reason, FloApi__Payloads *details,
                                    const char *identity, FloApi__Link **links, size_t n_links);
void flo_execution_terminate(struct flo_core *core, struct flo_execution *execution,
                             const char *reason, FloApi__Payloads *details, const char *identity);

/* ---- history (history.c) ---- */

/* Bytes of the events first .. last (inclusive); all of them must exist. */
void flo_history_range(const struct flo_history *history, int64_t first, int64_t last,
                       const uint8_t **out_data, size_t *out_len);
/* The first and last event of the closed batch that holds event_id; false when it is in none. */
bool flo_history_batch(const struct flo_history *history, int64_t event_id, int64_t *out_first,
                       int64_t *out_last);
/* Decode one event into arena, or NULL without memory. */
FloApi__HistoryEvent *flo_history_decode(const struct flo_history *history, int64_t event_id,
                                         struct flo_arena *arena);
/*
 * The Scheduled and Started events of a started transient workflow task, in the same form, to out
 * (arena memory); nothing when the task is not transient or not started. Their ids are
 * next_event_id and next_event_id + 1. 0, FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_core_workflow_task_synthetic(struct flo_core *core,
                                                    const struct flo_execution *execution,
                                                    const uint8_t **out_data, size_t *out_len);

/* ---- workflow tasks (workflow_task.c) ---- */

/* Schedule a workflow task unless one is pending, the run is closed or waits for its first task. */
void flo_core_workflow_task_schedule(struct flo_core *core, struct flo_execution *execution);
/* The same for updates alone: a speculative one, when nothing asks for a real one. */
void flo_core_workflow_task_speculate(struct flo_core *core, struct flo_execution *execution);
/*
 * Hand the scheduled workflow task to worker. from_sticky: it polled the sticky queue. 0, and the
 * task is STARTED: fill the answer, then flo_execution_end(core, execution, true); FLO_ENOENT:
 * there is none, or the run is not sticky any more.
 */
FLO_MUST_CHECK int flo_core_workflow_task_start(struct flo_core *core,
                                                struct flo_execution *execution,
                                                const struct flo_core_worker *worker,
                                                bool from_sticky);
/* The answer to a start never left (the poll was cancelled): the task times out at once and a new
 * one is scheduled. Ends the transition. */
void flo_core_workflow_task_lost(struct flo_core *core, struct flo_execution *execution);
/* Forget the sticky queue; a task that waits there moves to the normal one when it starts. */
void flo_core_workflow_task_unstick(struct flo_core *core, struct flo_execution *execution);

/* ---- activities (activity.c) ---- */

/*
 * Hand the scheduled attempt to worker: 0 and activity is STARTED; *out_after is the commit that
 * the answer must wait for (the one that scheduled it; for the last permitted attempt the one that
 * will hold this start). Ends the transition. FLO_ENOENT: not startable.
 */
FLO_MUST_CHECK int flo_core_activity_start(struct flo_core *core,
                                           struct flo_core_activity *activity,
                                           const struct flo_core_worker *worker,
                                           uint64_t *out_after);
/* The answer of a poll for a STARTED activity, token included, in scratch. 0, FLO_ENOMEM,
 * FLO_EDATA. */
FLO_MUST_CHECK int flo_core_activity_fill_task(struct flo_core *core,
                                               struct flo_core_activity *activity,
                                               FloApi__PollActivityTaskQueueResponse *body);
/* The answer to a start never left (the poll was cancelled): the attempt goes back to its queue. */
void flo_core_activity_lost(struct flo_core *core, struct flo_core_activity *activity);
/* A pending activity by its Scheduled event, or by its id; or NULL. */
struct flo_core_activity *flo_core_activity_by_event(const struct flo_execution *execution,
                                                     int64_t scheduled_id);
struct flo_core_activity *flo_core_activity_by_id(const struct flo_execution *execution,
                                                  const char *id);

/* ---- what is stored (state.c, state_load.c) ---- */

/* The run's row for the store, and its history batches that no earlier call has given; memory in
 * arena. *out_histories may be NULL when *out_count is 0. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_execution_collect(struct flo_execution *execution, struct flo_arena *arena,
                                         struct flo_core_run_row *out_row,
                                         struct flo_core_history_row **out_histories,
                                         size_t *out_count);
/*
 * Bring back an open run (flo_core_load_run): started tasks stay started with their timers, the
 * rest waits for flo_execution_resume. The core has its namespaces. hooks.key is the stored one
 * when flo_core_add_run is called. FLO_EDATA with a sentence, FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_execution_load(struct flo_core *core, const struct flo_core_stored_run *run,
                                      const struct flo_core_history_batch *batches, size_t count,
                                      struct flo_err *err);
/* After that, when all runs are loaded: queue what is not started, arm timers. restarted: it comes
 * from before the start of the process, and is not sticky any more. */
void flo_execution_resume(struct flo_core *core, struct flo_execution *execution, bool restarted);

#endif
