/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule.h - one schedule, and the set of them.
 *
 * A schedule starts a workflow at each moment of its specification. On the real server it is a
 * workflow itself, "temporal-sys-scheduler:<id>", that wakes up, looks at the time since it last
 * did, and sleeps again; ours is a record (record.h) that does the same in the same order, so that
 * what clients see is the same:
 *
 *    wake up  by its timer, by a call (patch, update), by the end of a run that a start waits for
 *      1 moments since the last one -> starts in the buffer, or missed (catch-up window)
 *      2 the call's change
 *      3 backfills -> starts in the buffer, a few at a time
 *      4 the buffer: what may start now by its overlap policy starts, the rest waits or is skipped
 *      5 over for a week, with nothing left to do? -> it closes
 *      6 the timer, for the next moment
 *
 * Workflows are started in the same step, hence in the same commit as the record that tells of
 * them: after a crash both are there, or neither and the moment is still to come.
 *
 * What runs it has started and still goes: the first run of each chain (`running`), without those
 * that may overlap. core->schedules.watched finds the schedule when such a run ends.
 */
#ifndef FLO_ENGINE_CORE_SCHEDULE_SCHEDULE_H
#define FLO_ENGINE_CORE_SCHEDULE_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/random.h"
#include "engine/core/execution.h"
#include "engine/core/record.h"
#include "engine/core/schedule/schedules.h"
#include "engine/core/schedule/spec.h"
#include "engine/core/timers.h"
#include "wire/api.h"

struct flo_namespace; /* namespace.h */
struct flo_status;    /* reply.h */

#define FLO_OVERLAP(name) FLO_API__SCHEDULE_OVERLAP_POLICY__SCHEDULE_OVERLAP_POLICY_##name

enum {
    FLO_SCHEDULE_RECENT = 10,     /* actions that are remembered */
    FLO_SCHEDULE_REQUESTS = 64,   /* ids of calls that are remembered */
    FLO_SCHEDULE_BUFFER = 1000,   /* most starts that wait, and most backfills */
    FLO_SCHEDULE_NOTE_MAX = 1000, /* bytes of a note */
};

/* What its workflow is called on the real server, in front of the schedule's id. */
#define FLO_SCHEDULE_WORKFLOW "temporal-sys-scheduler:"

struct flo_schedule_run {
    char *workflow_id;
    char run_id[FLO_UUID_LEN + 1]; /* the first one of its chain */
};

struct flo_schedule_action {
    struct flo_schedule_run run;
    int64_t due_ns, actual_ns;
    int status; /* temporal.api.enums.v1.WorkflowExecutionStatus */
};

struct flo_schedule_start {
    int64_t nominal_ns, due_ns;
    int policy;  /* temporal.api.enums.v1.ScheduleOverlapPolicy; UNSPECIFIED: the schedule's */
    bool manual; /* triggered or made up for: also while it is paused */
};

struct flo_schedule_backfill {
    int64_t start_ns, end_ns; /* moments after start, up to end */
    int policy;
};

struct flo_schedule {
    struct flo_core_record record;
    struct flo_core_timer timer;
    struct flo_core *core;
    struct flo_namespace *ns;
    char *id;
    char *seed; /* of jitter: "<namespace id>-<id>" */
    char run_id[FLO_UUID_LEN + 1];
    char *request_id;

    struct flo_arena definition; /* holds schedule; replaced whole */
    FloApi__Schedule *schedule;  /* canonical, all parts set; state->notes is `notes` */
    char *notes;                 /* heap */
    struct flo_spec *spec;       /* NULL: its time zone is not there any more */
    struct flo_arena labels;     /* holds memo and attributes */
    FloApi__Memo *memo;          /* or NULL */
    struct flo_arena attributes_arena;
    FloApi__SearchAttributes *attributes; /* or NULL */

    int64_t conflict_token;
    int64_t create_ns, update_ns, processed_ns, closed_ns; /* as in ScheduleRecord */
    int64_t action_count, missed, skipped, dropped;
    struct flo_schedule_action recent[FLO_SCHEDULE_RECENT]; /* oldest first */
    size_t recent_count;
    struct flo_schedule_run *running;
    size_t running_count, running_cap;
    struct flo_schedule_start *buffered;
    size_t buffered_count, buffered_cap;
    bool retry; /* the buffer holds starts that could not be made for now */
    struct flo_schedule_backfill *backfills;
    size_t backfill_count, backfill_cap;
    struct flo_blob last_result, continued_failure;
    char *requests[FLO_SCHEDULE_REQUESTS]; /* oldest first */
    size_t request_count;
};

/* ---- the set (schedules.c) ---- */

/* The schedule of that id, alive or closed, or NULL. */
struct flo_schedule *flo_schedule_find(struct flo_core *core, const struct flo_namespace *ns,
                                       const char *id);
/* A new one, empty but for its names, in the set. NULL without memory. */
struct flo_schedule *flo_schedule_new(struct flo_core *core, struct flo_namespace *ns,
                                      const char *id);
/* Take it out of the set and free it; its row stays. */
void flo_schedule_destroy(struct flo_core *core, struct flo_schedule **schedule);
/*
 * Give it a definition, which is copied: canonical, with its defaults filled in. 0; FLO_EINVAL
 * with the server's sentence; FLO_ENOMEM: it has the old one.
 */
FLO_MUST_CHECK int flo_schedule_define(struct flo_schedule *schedule, const FloApi__Schedule *from,
                                       struct flo_err *err);
FLO_MUST_CHECK int flo_schedule_set_memo(struct flo_schedule *schedule, const FloApi__Memo *memo);
FLO_MUST_CHECK int flo_schedule_set_attributes(struct flo_schedule *schedule,
                                               const FloApi__SearchAttributes *attributes);
FLO_MUST_CHECK int flo_schedule_set_note(struct flo_schedule *schedule, const char *note);
/* The id of the call that made it. */
FLO_MUST_CHECK int flo_schedule_set_request(struct flo_schedule *schedule, const char *request_id);
/* Remember the id of a call. true: it is known already. */
bool flo_schedule_known_request(struct flo_schedule *schedule, const char *request_id);
/* Find its running ones when they end; or not any more. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_schedule_watch(struct flo_schedule *schedule, const char *workflow_id);
void flo_schedule_unwatch(struct flo_schedule *schedule, const char *workflow_id);

/* ---- what is stored (stored.c) ---- */

/* flo_core_record.encode of schedules. */
int flo_schedule_encode(const struct flo_core_record *record, struct flo_arena *arena,
                        const uint8_t **out_state, size_t *out_len);

/* ---- its life (machine.c, action.c) ---- */

/* Wake up. patch, update: the change that a call asks for, or NULL; update has been checked. Ends
 * the step's part of it: the record is marked. */
void flo_schedule_wake(struct flo_schedule *schedule, const FloApi__SchedulePatch *patch,
                       const FloApi__UpdateScheduleRequest *update);
/* Close it: nothing more is started. It is forgotten when the namespace's retention is over. */
void flo_schedule_close(struct flo_schedule *schedule);
/* After a restart: what has come due meanwhile, and its timer. */
void flo_schedule_resume(struct flo_schedule *schedule);
/* The overlap policy that counts: that of a start, or the schedule's. */
int flo_schedule_policy(const struct flo_schedule *schedule, int policy);
/* May an action be taken? One of the schedule's own counts against remaining_actions when take. */
bool flo_schedule_may_act(struct flo_schedule *schedule, bool manual, bool take);
/* Start what may start now; again while true. */
bool flo_schedule_process_buffer(struct flo_schedule *schedule);
/* Which of the running ones have ended meanwhile? */
void flo_schedule_refresh(struct flo_schedule *schedule);
/* A chain is over: its last run (NULL: it is not in memory) and how it ended. */
void flo_schedule_run_ended(struct flo_schedule *schedule, size_t index,
                            const struct flo_execution *execution, int status);

#endif
