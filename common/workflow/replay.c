/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c - history into activations.
 *
 * History is cut into sequences, each ended by the WorkflowTaskStarted of a task whose answer
 * counted: one that WorkflowTaskCompleted follows, or the last event, which is the task at hand. A
 * started task that failed, timed out or was overtaken by the run's end is passed over: its events
 * join the next sequence. A completed task without commands that is followed at once by the next
 * one is a heartbeat of a task held open: it joins, too, with the time of the first and the length
 * that history had then, which is what the code saw that ran for it.
 *
 * For each sequence, first all its command events are compared with the commands that code
 * issued in the sequence before; nothing may be left of those. Then what came from outside is
 * applied: start, new random seed, signals and updates, everything else, each group in the order of
 * history.
 * Then the code runs, once.
 *
 * Local activities have no events but markers, which stand among the command events of the task
 * that was open while they ran. So before the next sequence these are looked for ahead, and
 * handed to the code one by one, as they were then; the code runs after each.
 *
 * Updates have no events when they come, either: they are messages of a task. Those that were
 * accepted are found behind that task's completion, and delivered with what the task brought. So a
 * task that brought nothing but updates which were all rejected has not happened for the code:
 * only their validators ran, and nobody was asked whether he can go on.
 *
 * Behind the last sequence there may be command events of its completion (a whole history
 * replayed, a query): they are compared and the rest waits for the task that brings them.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "wire/payload.h"
#include "workflow/entities.h"
#include "workflow/marker.h"
#include "workflow/messages.h"

struct history {
    FloApi__HistoryEvent **events;
    size_t count;
    bool has_updates;           /* some event accepts or admits an update */
    FloApi__Message **messages; /* of the task at hand */
    size_t message_count;
};

struct sequence {
    size_t from, end; /* end: index of its WorkflowTaskStarted */
    size_t first;     /* the WorkflowTaskStarted that gives the time */
    bool live;
};

static bool is(const struct history *h, size_t i, FloApi__EventType type)
{
    return i < h->count && h->events[i]->event_type == type;
}

static bool heartbeat_at(const struct history *h, size_t started)
{
    return is(h, started + 1, FLO_EVENT(WORKFLOW_TASK_COMPLETED)) &&
           is(h, started + 2, FLO_EVENT(WORKFLOW_TASK_SCHEDULED)) &&
           is(h, started + 3, FLO_EVENT(WORKFLOW_TASK_STARTED)) &&
           is(h, started + 4, FLO_EVENT(WORKFLOW_TASK_COMPLETED));
}

/* A heartbeat that brought an update is a task of its own: it does not join those before. */
static void part_from_update(const struct history *h, struct sequence *s)
{
    size_t end = s->first;
    for (size_t i = s->end + 2; i < h->count; i++) {
        if (flo_event_kind(h->events[i]->event_type)->class != FLO_EVENT_COMMAND)
            return;
        if (!is(h, i, FLO_EVENT(WORKFLOW_EXECUTION_UPDATE_ACCEPTED)))
            continue;
        int64_t came_behind = h->events[i]
                                  ->workflow_execution_update_accepted_event_attributes
                                  ->accepted_request_sequencing_event_id;
        if (h->events[end]->event_id > came_behind)
            return;
        while (end + 3 < s->end && h->events[end + 3]->event_id <= came_behind)
            end += 3;
        s->end = end;
        return;
    }
}

static bool next_sequence(const struct history *h, size_t from, struct sequence *out)
{
    for (size_t i = from; i < h->count; i++) {
        if (!is(h, i, FLO_EVENT(WORKFLOW_TASK_STARTED)))
            continue;
        *out = (struct sequence){.from = from, .end = i, .first = i, .live = i + 1 == h->count};
        if (out->live)
            return true;
        if (!is(h, i + 1, FLO_EVENT(WORKFLOW_TASK_COMPLETED)))
            continue;
        while (heartbeat_at(h, out->end))
            out->end += 3;
        if (h->has_updates && out->end > out->first)
            part_from_update(h, out);
        return true;
    }
    return false;
}

/* ---- checking what came over the wire ---- */

static int check_event(const FloApi__HistoryEvent *event, struct flo_err *err)
{
    const struct flo_event_kind *kind = flo_event_kind(event->event_type);
    if (kind->class == FLO_EVENT_UNKNOWN && !event->worker_may_ignore)
        return flo_fail(err, FLO_ENONDET,
                        "history event %" PRId64 " has type %d, which this worker does not know",
                        event->event_id, (int)event->event_type);
    if (kind->attributes && (int)event->attributes_case != kind->attributes)
        return flo_fail(err, FLO_EPROTO,
                        "history event %" PRId64 " (%s) has no attributes of its type",
                        event->event_id, kind->name);
    return 0;
}

static int check_history(const struct flo_run *run, struct history *h, struct flo_err *err)
{
    int64_t expected = run->processed_id + 1;
    for (size_t i = 0; i < h->count; i++, expected++) {
        if (h->events[i]->event_id != expected)
            return flo_fail(err, FLO_EPROTO,
                            "history is not whole: event %" PRId64 " where event %" PRId64
                            " should be",
                            h->events[i]->event_id, expected);
        int rc = check_event(h->events[i], err);
        if (rc)
            return rc;
        if (is(h, i, FLO_EVENT(WORKFLOW_EXECUTION_UPDATE_ACCEPTED)) ||
            is(h, i, FLO_EVENT(WORKFLOW_EXECUTION_UPDATE_ADMITTED)))
            h->has_updates = true;
    }
    bool starts = is(h, 0, FLO_EVENT(WORKFLOW_EXECUTION_STARTED));
    if (run->processed_id == 0 && h->count && !starts)
        return flo_fail(err, FLO_EPROTO, "history does not begin with WorkflowExecutionStarted");
    return 0;
}

/* ---- one sequence ---- */

/* Jobs are applied group by group. */
enum job { JOB_START, JOB_SEED, JOB_SIGNAL, JOB_OTHER, JOB_NONE };

static enum job job_of(const FloApi__HistoryEvent *event)
{
    switch (event->event_type) {
    case FLO_EVENT(WORKFLOW_EXECUTION_STARTED):
        return JOB_START;
    case FLO_EVENT(WORKFLOW_TASK_FAILED):
        return JOB_SEED;
    case FLO_EVENT(WORKFLOW_EXECUTION_SIGNALED):
        return JOB_SIGNAL;
    case FLO_EVENT(WORKFLOW_EXECUTION_CANCEL_REQUESTED):
        return JOB_OTHER;
    default:
        return flo_event_kind(event->event_type)->class == FLO_EVENT_RESULT ? JOB_OTHER : JOB_NONE;
    }
}

/* *out_wakes: the code must run for this. */
static int apply_job(struct flo_run *run, const FloApi__HistoryEvent *event, bool *out_wakes,
                     struct flo_err *err)
{
    *out_wakes = true;
    switch (event->event_type) {
    case FLO_EVENT(WORKFLOW_EXECUTION_STARTED):
        run->started_ns = flo_timestamp_ns(event->event_time);
        return flo_execution_start(run, event, err);
    case FLO_EVENT(WORKFLOW_TASK_FAILED): {
        const FloApi__WorkflowTaskFailedEventAttributes *a =
            event->workflow_task_failed_event_attributes;
        *out_wakes = false;
        if (event->attributes_case ==
                FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_TASK_FAILED_EVENT_ATTRIBUTES &&
            a->cause ==
                FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW)
            flo_execution_reseed(run, a->new_run_id);
        return 0;
    }
    case FLO_EVENT(WORKFLOW_EXECUTION_SIGNALED):
        return flo_signal_event(run, event, err);
    case FLO_EVENT(WORKFLOW_EXECUTION_CANCEL_REQUESTED):
        return flo_execution_cancel_requested(run, event);
    case FLO_EVENT(TIMER_FIRED):
        return flo_timer_event(run, event, err);
    case FLO_EVENT(START_CHILD_WORKFLOW_EXECUTION_FAILED):
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_STARTED):
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_COMPLETED):
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_FAILED):
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_CANCELED):
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_TIMED_OUT):
    case FLO_EVENT(CHILD_WORKFLOW_EXECUTION_TERMINATED):
        return flo_child_event(run, event, err);
    case FLO_EVENT(SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED):
    case FLO_EVENT(EXTERNAL_WORKFLOW_EXECUTION_SIGNALED):
        return flo_signal_external_event(run, event, err);
    case FLO_EVENT(REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED):
    case FLO_EVENT(EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED):
        return flo_cancel_external_event(run, event, out_wakes, err);
    case FLO_EVENT(ACTIVITY_TASK_STARTED):
        *out_wakes = false;
        return flo_activity_event(run, event, err);
    case FLO_EVENT(ACTIVITY_TASK_COMPLETED):
    case FLO_EVENT(ACTIVITY_TASK_FAILED):
    case FLO_EVENT(ACTIVITY_TASK_TIMED_OUT):
    case FLO_EVENT(ACTIVITY_TASK_CANCELED):
        return flo_activity_event(run, event, err);
    default:
        if (event->worker_may_ignore)
            return 0;
        return flo_fail(err, FLO_ENONDET,
                        "history event %" PRId64
                        " (%s) answers a command that the code never issued",
                        event->event_id, flo_event_kind(event->event_type)->name);
    }
}

/* The updates that the sequence's task brought: they came with it, or, while replaying, are told by
 * the events that accept them. */
static int take_in_updates(struct flo_run *run, const struct history *h, const struct sequence *s,
                           struct flo_err *err)
{
    if (s->live)
        return flo_update_messages(run, h->messages, h->message_count, err);
    int rc = 0;
    for (size_t i = s->from; i < s->end && rc == 0; i++) {
        if (is(h, i, FLO_EVENT(WORKFLOW_EXECUTION_UPDATE_ADMITTED)))
            rc = flo_update_admitted(run, h->events[i]);
    }
    for (size_t i = s->end + 2; i < h->count && rc == 0; i++) {
        if (flo_event_kind(h->events[i]->event_type)->class != FLO_EVENT_COMMAND)
            break;
        if (is(h, i, FLO_EVENT(WORKFLOW_EXECUTION_UPDATE_ACCEPTED)))
            rc = flo_update_foresee(run, h->events[i], err);
    }
    return rc;
}

static int apply_group(struct flo_run *run, const struct history *h, const struct sequence *s,
                       enum job group, bool *out_wake, struct flo_err *err)
{
    for (size_t i = s->from; i < s->end; i++) {
        if (job_of(h->events[i]) != group)
            continue;
        bool wakes;
        int rc = group == JOB_SIGNAL && run->messages
                     ? flo_update_deliver(run, h->events[i]->event_id, err)
                     : 0;
        if (rc == 0)
            rc = apply_job(run, h->events[i], &wakes, err);
        if (rc) {
            run->mismatch_id = h->events[i]->event_id;
            return rc;
        }
        if (run->env.observer && (wakes || group == JOB_SEED))
            flo_observe_job(run, NULL, h->events[i]);
        *out_wake |= wakes;
    }
    return 0;
}

/* Values that the code will ask for stand behind the task, as markers. */
static int foresee_values(struct flo_run *run, const struct history *h, const struct sequence *s,
                          struct flo_err *err)
{
    size_t from = s->end + 2;
    return !s->live && from < h->count
               ? flo_evolution_foresee(run, h->events + from, h->count - from, err)
               : 0;
}

static int apply_jobs(struct flo_run *run, const struct history *h, const struct sequence *s,
                      bool *out_wake, struct flo_err *err)
{
    unsigned present = 0; /* groups, as bits: most sequences have jobs of one */
    *out_wake = false;
    for (size_t i = s->from; i < s->end; i++)
        present |= 1U << job_of(h->events[i]);
    for (enum job group = JOB_START; group < JOB_NONE; group++) {
        int rc = present & (1U << group) ? apply_group(run, h, s, group, out_wake, err) : 0;
        if (rc == 0 && group == JOB_START)
            rc = foresee_values(run, h, s, err);
        else if (rc == 0 && group == JOB_SIGNAL && run->messages)
            rc = flo_update_deliver(run, INT64_MAX, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* Compare the command events in [from, end) with what the code issued. */
static int match_commands(struct flo_run *run, const struct history *h, size_t from, size_t end,
                          struct flo_err *err)
{
    const FloApi__HistoryEvent *after = NULL; /* the first event behind the commands */
    for (size_t i = from; i < end; i++) {
        enum flo_event_class class = flo_event_kind(h->events[i]->event_type)->class;
        if (class == FLO_EVENT_COMMAND) {
            int rc = flo_command_match(run, h->events[i], err);
            if (rc)
                return rc;
        } else if (!after && !is(h, i, FLO_EVENT(WORKFLOW_TASK_COMPLETED))) {
            after = h->events[i];
        }
    }
    return flo_command_none_left(run, after, err);
}

static void read_time(struct flo_run *run, const struct history *h, const struct sequence *s)
{
    int64_t now_ns = flo_timestamp_ns(h->events[s->first]->event_time);
    if (now_ns > run->now_ns)
        run->now_ns = now_ns;
}

/* What the code is told of the history for which it runs. */
static void read_length(struct flo_run *run, const FloApi__HistoryEvent *started)
{
    run->info.history_length = started->event_id;
    if (started->attributes_case ==
        FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_TASK_STARTED_EVENT_ATTRIBUTES) {
        const FloApi__WorkflowTaskStartedEventAttributes *a =
            started->workflow_task_started_event_attributes;
        run->info.history_bytes = a->history_size_bytes;
        run->info.continue_as_new_suggested = a->suggest_continue_as_new;
    }
}

static int step(struct flo_run *run, struct flo_err *err)
{
    int rc = flo_execution_step(run, err);
    if (run->env.observer)
        flo_observe_commands(run);
    return rc;
}

/* Run the code for what was applied. Without an event only updates were. */
static int run_code(struct flo_run *run, const FloApi__HistoryEvent *started, bool events,
                    struct flo_err *err)
{
    int64_t length = run->info.history_length, bytes = run->info.history_bytes;
    bool suggested = run->info.continue_as_new_suggested;
    read_length(run, started);
    if (!events)
        run->messages->refused = true;
    int rc = step(run, err);
    if (!events && run->messages->refused) { /* all rejected */
        run->info.history_length = length;
        run->info.history_bytes = bytes;
        run->info.continue_as_new_suggested = suggested;
    }
    if (!events)
        run->messages->refused = false;
    return rc;
}

static int run_sequence(struct flo_run *run, const struct history *h, const struct sequence *s,
                        struct flo_err *err)
{
    bool wake = false;
    int rc = match_commands(run, h, s->from, s->end, err);
    if (rc)
        return rc;
    run->replaying = !s->live;
    read_time(run, h, s);
    if (run->env.observer)
        flo_observe_activation(run, h->events[s->end]->event_id);
    rc = h->has_updates || h->message_count ? take_in_updates(run, h, s, err) : 0;
    if (rc)
        return rc;
    bool updates = run->messages && !flo_list_empty(&run->messages->incoming);
    rc = apply_jobs(run, h, s, &wake, err);
    if (rc)
        return rc;
    run->processed_id = h->events[s->end]->event_id;
    run->last_started_id = run->processed_id;
    size_t scheduled = s->end;
    while (scheduled > s->from && !is(h, scheduled, FLO_EVENT(WORKFLOW_TASK_SCHEDULED)))
        scheduled--;
    run->before_task_id = h->events[scheduled]->event_id - 1;
    run->task_steps = 0;
    rc = flo_list_empty(&run->local_pauses) ? 0 : flo_local_resume(run);
    if (rc)
        return rc;
    return wake || updates ? run_code(run, h->events[s->first], wake, err) : 0;
}

static bool local_marker_at(const struct history *h, size_t i)
{
    return is(h, i, FLO_EVENT(MARKER_RECORDED)) && flo_marker_is_local(h->events[i]);
}

/* Were both local activities handed to the code at once? Other workers may do that. */
static bool same_step(const struct history *h, size_t a, size_t b)
{
    struct flo_marker first, second;
    if (flo_marker_decode(h->events[a], &first, NULL))
        return false;
    int64_t step = first.step;
    flo_marker_fini(&first);
    if (step < 0 || flo_marker_decode(h->events[b], &second, NULL))
        return false;
    bool same = second.step == step;
    flo_marker_fini(&second);
    return same;
}

/* What local activities returned while the sequence's task was open stands behind its completion,
 * as markers: hand it to the code in that order, as it came then. */
static int foresee_markers(struct flo_run *run, const struct history *h, const struct sequence *s,
                           struct flo_err *err)
{
    size_t last = 0; /* the marker that the code has not been run for */
    for (size_t i = s->end + 2; i < h->count && (last || !flo_list_empty(&run->local_waiting));
         i++) {
        bool wakes;
        int rc = 0;
        if (flo_event_kind(h->events[i]->event_type)->class != FLO_EVENT_COMMAND)
            break;
        if (!local_marker_at(h, i))
            continue;
        if (last && !same_step(h, last, i)) {
            last = 0;
            rc = step(run, err);
        }
        if (rc == 0)
            rc = flo_local_foresee(run, h->events[i], &wakes, err);
        if (rc) {
            run->mismatch_id = h->events[i]->event_id;
            return rc;
        }
        if (!wakes)
            continue;
        if (!last && run->env.observer)
            flo_observe_activation(run, run->processed_id);
        if (run->env.observer)
            flo_observe_job(run, NULL, h->events[i]);
        last = i;
    }
    return last ? step(run, err) : 0;
}

/* The command events directly behind the last completed task. */
static int run_tail(struct flo_run *run, const struct history *h, size_t from, struct flo_err *err)
{
    if (!is(h, from, FLO_EVENT(WORKFLOW_TASK_COMPLETED)))
        return 0;
    size_t end = from + 1;
    while (end < h->count && flo_event_kind(h->events[end]->event_type)->class == FLO_EVENT_COMMAND)
        end++;
    int rc = match_commands(run, h, from, end, err);
    if (rc == 0)
        run->processed_id = h->events[end - 1]->event_id;
    return rc;
}

int flo_replay(struct flo_run *run, const FloApi__PollWorkflowTaskQueueResponse *task,
               bool *out_live, struct flo_err *err)
{
    struct history h = {0};
    if (task->history)
        h = (struct history){.events = task->history->events,
                             .count = task->history->n_events,
                             .messages = task->messages,
                             .message_count = task->n_messages};
    while (h.count && h.events[0]->event_id <= run->processed_id) { /* known already */
        h.events++;
        h.count--;
    }
    *out_live = false;
    int rc = check_history(run, &h, err);
    size_t at = 0;
    struct sequence s;
    while (rc == 0 && next_sequence(&h, at, &s)) {
        if (s.live && task->query) /* its task is not this one */
            return 0;
        rc = run_sequence(run, &h, &s, err);
        if (rc == 0 && !s.live)
            rc = foresee_markers(run, &h, &s, err);
        *out_live = s.live;
        at = s.end + 1;
    }
    return rc ? rc : run_tail(run, &h, at, err);
}
