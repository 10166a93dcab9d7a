/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain_history.h - what a history says is open: timers that have not fired, the queues of
 * activities, requests to other workflows without an answer, the last workflow task that failed.
 * Pure: events come in, in order.
 */
#ifndef FLO_CLI_EXPLAIN_HISTORY_H
#define FLO_CLI_EXPLAIN_HISTORY_H

#include "base/arena.h"
#include "cli/explain_facts.h"
#include "wire/api.h"

/* Something that an event opened and a later one closes. */
struct cli_explain_open {
    int64_t event_id;
    const char *id;    /* of the timer, the activity */
    const char *queue; /* of the activity */
    int64_t at_ms;     /* when the timer fires */
};
struct cli_explain_open_list {
    struct cli_explain_open *items;
    size_t count, cap;
};

struct cli_explain_scan {
    struct flo_arena *arena; /* borrowed: texts that outlive the events */
    struct cli_explain_open_list timers, activities, externals;
    const char *task_queue; /* where the last workflow task was put */
    bool task_sticky;
    const char *task_identity;                                             /* who took it */
    const char *task_failure, *task_failure_cause, *task_failure_identity; /* since one completed */
    const char *last_event;                                                /* "TIMER_FIRED" */
    int64_t last_event_ms;
    bool poison; /* some failure is of type PoisonTask */
    bool failed; /* memory is out: what was found is not all */
};

void cli_explain_scan_init(struct cli_explain_scan *scan, struct flo_arena *arena);
void cli_explain_scan_event(struct cli_explain_scan *scan, const FloApi__HistoryEvent *event);
void cli_explain_scan_fini(struct cli_explain_scan *scan);
/* The queue of an activity that is open, or NULL. */
const char *cli_explain_scan_queue(const struct cli_explain_scan *scan, const char *activity_id);

/* How the run ended, from its last event, into status' members of facts. */
void cli_explain_close(struct cli_explain_facts *facts, struct flo_arena *arena,
                       const FloApi__HistoryEvent *event);
/* A failure with its causes as text of the arena, "" for NULL. */
const char *cli_explain_failure(struct flo_arena *arena, const FloApi__Failure *failure);
/* Is PoisonTask, with which a worker refuses a parked input, among the types of its chain? */
bool cli_explain_is_poison(const FloApi__Failure *failure);

#endif
