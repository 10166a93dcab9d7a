/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity.c - the life of an activity as its workflow sees it.
 *
 *            start           ActivityTask-            ActivityTask-
 *                            Scheduled                Started
 *   (code) --------> ISSUED -----------> SCHEDULED ------------> STARTED
 *                      |                   |     \               /   |
 *                      | cancel            |      \   cancel    /    |
 *                      v                   |       v           v     | Completed, Failed,
 *                   DROPPED                |      CANCELLING or      | TimedOut, Canceled
 *                                          |      ABANDONED          |
 *                                          |             |           |
 *                                          +-------------+-----------+--> CLOSED
 *
 * What cancel does follows the activity's cancellation type: TRY sends a request, and the code
 * sees it cancelled at once; WAIT sends a request, and the code sees how it ends; ABANDON sends
 * nothing. Before it was sent all three withdraw the command. Invariant: the activity is in
 * run->activities, under its scheduled event, from SCHEDULED until CLOSED.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "wire/failure.h"
#include "wire/payload.h"
#include "workflow/fill.h"
#include "workflow/intercept.h"
#include "workflow/trace.h"

#define FAIRNESS_KEY_BYTES 64

enum state { ISSUED, SCHEDULED, STARTED, CANCELLING, ABANDONED, CLOSED, DROPPED };

#define ANY_END (FLO_STATE_BIT(CANCELLING) | FLO_STATE_BIT(ABANDONED) | FLO_STATE_BIT(CLOSED))

static const struct flo_machine_state states[] = {
    [ISSUED] = {"issued", FLO_STATE_BIT(SCHEDULED) | FLO_STATE_BIT(DROPPED)},
    [SCHEDULED] = {"scheduled", FLO_STATE_BIT(STARTED) | ANY_END},
    [STARTED] = {"started", ANY_END},
    [CANCELLING] = {"cancelling", FLO_STATE_BIT(CLOSED)},
    [ABANDONED] = {"abandoned", FLO_STATE_BIT(CLOSED)},
    [CLOSED] = {"closed", 0},
    [DROPPED] = {"dropped", 0},
};

struct flo_activity {
    struct flo_future future; /* first */
    struct flo_machine machine;
    enum flo_cancellation_type cancellation;
    int64_t scheduled_event_id, started_event_id; /* 0 = not yet */
    const char *id, *type;                        /* in texts */
    char texts[];
};

static struct flo_activity *activity_of(const struct flo_command *command)
{
    return flo_container(command->future, struct flo_activity, future);
}

/* The machine's reference goes with its last move. */
static int move(struct flo_activity *activity, enum state to)
{
    struct flo_run *run = activity->future.run;
    int rc = flo_machine_move(&activity->machine, to);
    if (rc)
        return rc;
    if (to == SCHEDULED)
        return flo_map_put(&run->activities, &activity->scheduled_event_id,
                           sizeof activity->scheduled_event_id, activity, NULL);
    if (flo_machine_final(&activity->machine)) {
        flo_map_remove(&run->activities, &activity->scheduled_event_id,
                       sizeof activity->scheduled_event_id);
        flo_future_unref(&activity->future);
    }
    return 0;
}

/* ---- commands ---- */

static int scheduled(struct flo_command *command, const FloApi__HistoryEvent *event)
{
    struct flo_activity *activity = activity_of(command);
    const FloApi__ActivityTaskScheduledEventAttributes *a =
        event->activity_task_scheduled_event_attributes;
    if (strcmp(a->activity_id, activity->id) != 0 || !a->activity_type ||
        strcmp(a->activity_type->name, activity->type) != 0)
        return FLO_ENONDET;
    activity->scheduled_event_id = event->event_id;
    return move(activity, SCHEDULED);
}

static int cancel_requested(struct flo_command *command, const FloApi__HistoryEvent *event)
{
    return event->activity_task_cancel_requested_event_attributes->scheduled_event_id ==
                   activity_of(command)->scheduled_event_id
               ? 0
               : FLO_ENONDET;
}

static void describe_schedule(const struct flo_command *command, char *out_text, size_t size)
{
    const struct flo_activity *activity = activity_of(command);
    snprintf(out_text, size, "activity id %.60s, type %.90s", activity->id, activity->type);
}

static void describe_cancel(const struct flo_command *command, char *out_text, size_t size)
{
    const struct flo_activity *activity = activity_of(command);
    snprintf(out_text, size, "activity of event %" PRId64 ", type %.90s",
             activity->scheduled_event_id, activity->type);
}

static const struct flo_command_ops schedule_ops = {FLO_COMMAND(SCHEDULE_ACTIVITY_TASK), scheduled,
                                                    describe_schedule};
static const struct flo_command_ops cancel_ops = {FLO_COMMAND(REQUEST_CANCEL_ACTIVITY_TASK),
                                                  cancel_requested, describe_cancel};

/* ---- failures ---- */

int flo_activity_fail_future(struct flo_future *future, int rc, const char *message,
                             const FloApi__Failure *cause, FloApi__ActivityFailureInfo *info,
                             const char *type)
{
    FloApi__Failure failure;
    FloApi__ActivityType activity_type;
    flo_api__failure__init(&failure);
    flo_api__activity_type__init(&activity_type);
    activity_type.name = (char *)(uintptr_t)type;
    info->activity_type = &activity_type;
    failure.message = (char *)(uintptr_t)message;
    failure.source = (char *)(uintptr_t)FLO_FAILURE_SOURCE;
    failure.cause = (FloApi__Failure *)(uintptr_t)cause;
    failure.failure_info_case = FLO_API__FAILURE__FAILURE_INFO_ACTIVITY_FAILURE_INFO;
    failure.activity_failure_info = info;
    return flo_future_fail(future, rc, &failure);
}

/* Fail the future with cause (borrowed, may be NULL) wrapped as an activity failure. */
static int fail(struct flo_activity *activity, int rc, const char *message,
                const FloApi__Failure *cause, FloApi__RetryState retry_state, const char *identity)
{
    FloApi__ActivityFailureInfo info;
    flo_api__activity_failure_info__init(&info);
    info.activity_id = (char *)(uintptr_t)activity->id;
    info.identity = (char *)(uintptr_t)identity;
    info.scheduled_event_id = activity->scheduled_event_id;
    info.started_event_id = activity->started_event_id;
    info.retry_state = retry_state;
    return flo_activity_fail_future(&activity->future, rc, message, cause, &info, activity->type);
}

static int fail_cancelled(struct flo_activity *activity, FloApi__Payloads *details,
                          const char *identity)
{
    FloApi__Failure cause;
    FloApi__CanceledFailureInfo info;
    flo_failure_cancelled_init(&cause, &info, "Cancelled");
    info.details = details;
    return fail(activity, FLO_ECANCELLED, "Activity cancelled", &cause,
                FLO_API__RETRY_STATE__RETRY_STATE_CANCEL_REQUESTED, identity);
}

/* ---- cancelling ---- */

static int request_cancel(struct flo_activity *activity)
{
    struct flo_run *run = activity->future.run;
    struct flo_command *command = flo_command_issue(run, &cancel_ops, &activity->future);
    if (!command)
        return FLO_ENOMEM;
    if (!command->message)
        return 0;
    FloApi__RequestCancelActivityTaskCommandAttributes *a = flo_arena_alloc(run->answer, sizeof *a);
    if (!a)
        return FLO_ENOMEM;
    flo_api__request_cancel_activity_task_command_attributes__init(a);
    a->scheduled_event_id = activity->scheduled_event_id;
    command->message->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_REQUEST_CANCEL_ACTIVITY_TASK_COMMAND_ATTRIBUTES;
    command->message->request_cancel_activity_task_command_attributes = a;
    return 0;
}

static void cancel(struct flo_future *future)
{
    struct flo_activity *activity = flo_container(future, struct flo_activity, future);
    bool sent = activity->machine.state == SCHEDULED || activity->machine.state == STARTED;
    int rc = 0;
    if (activity->machine.state == ISSUED) {
        rc = fail_cancelled(activity, NULL, "");
        if (rc == 0) {
            flo_command_withdraw(future->run, &schedule_ops, future);
            rc = move(activity, DROPPED);
        }
    } else if (sent && activity->cancellation == FLO_CANCEL_ABANDON) {
        rc = fail_cancelled(activity, NULL, "");
        if (rc == 0)
            rc = move(activity, ABANDONED);
    } else if (sent) {
        rc = request_cancel(activity);
        if (rc == 0)
            rc = move(activity, CANCELLING);
        if (rc == 0 && activity->cancellation == FLO_CANCEL_TRY)
            rc = fail_cancelled(activity, NULL, "");
    }
    if (rc)
        flo_run_no_memory(future->run);
}

static void describe_future(const struct flo_future *future, char *out_text, size_t size)
{
    const struct flo_activity *activity = flo_container(future, struct flo_activity, future);
    snprintf(out_text, size, "activity id %.60s, type %.90s", activity->id, activity->type);
}

static const struct flo_future_ops future_ops = {.cancel = cancel, .describe = describe_future};

/* ---- the command ---- */

static bool has_priority(const struct flo_priority *priority)
{
    return priority->priority_key || priority->fairness_key || priority->fairness_weight != 0;
}

/* May the server hand it to this process with its answer? */
static bool is_eager(struct flo_run *run, const char *queue, const struct flo_activity_options *o)
{
    if (!run->env.eager_queue || !queue || o->no_eager_execution ||
        run->eager_count == FLO_EAGER_MOST || strcmp(queue, run->env.eager_queue) != 0)
        return false;
    run->eager_count++;
    return true;
}

static int fill_schedule(struct flo_run *run, const struct flo_activity *activity, json_t *input,
                         const json_t *headers, const struct flo_activity_options *o,
                         FloApi__Command *message)
{
    struct flo_arena *arena = run->answer;
    FloApi__ScheduleActivityTaskCommandAttributes *a = flo_arena_alloc(arena, sizeof *a);
    FloApi__ActivityType *type = flo_arena_alloc(arena, sizeof *type);
    FloApi__TaskQueue *queue = flo_arena_alloc(arena, sizeof *queue);
    bool no_memory = false;
    if (!a || !type || !queue)
        return FLO_ENOMEM;
    flo_api__schedule_activity_task_command_attributes__init(a);
    flo_api__activity_type__init(type);
    flo_api__task_queue__init(queue);
    type->name = flo_arena_strdup(arena, activity->type);
    queue->name = flo_arena_strdup(arena, o->task_queue ? o->task_queue : run->info.task_queue);
    queue->kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    a->activity_id = flo_arena_strdup(arena, activity->id);
    a->activity_type = type;
    a->task_queue = queue;
    a->input = input ? flo_payloads_from_json(arena, input) : NULL;
    a->header = headers ? flo_fill_header(arena, headers, &no_memory) : NULL;
    a->schedule_to_close_timeout = flo_fill_duration(arena, o->schedule_to_close_ms, &no_memory);
    a->schedule_to_start_timeout = flo_fill_duration(arena, o->schedule_to_start_ms, &no_memory);
    a->start_to_close_timeout = flo_fill_duration(arena, o->start_to_close_ms, &no_memory);
    a->heartbeat_timeout = flo_fill_duration(arena, o->heartbeat_ms, &no_memory);
    a->retry_policy = o->retry ? flo_fill_retry(arena, o->retry, &no_memory) : NULL;
    a->request_eager_execution = is_eager(run, queue->name, o);
    a->priority =
        has_priority(&o->priority) ? flo_fill_priority(arena, &o->priority, &no_memory) : NULL;
    message->attributes_case =
        FLO_API__COMMAND__ATTRIBUTES_SCHEDULE_ACTIVITY_TASK_COMMAND_ATTRIBUTES;
    message->schedule_activity_task_command_attributes = a;
    if (no_memory || !type->name || !queue->name || !a->activity_id || (input && !a->input))
        return FLO_ENOMEM;
    return 0;
}

/* ---- options ---- */

static int check_texts(const char *type, const struct flo_activity_options *o, struct flo_err *err)
{
    const char *what = !flo_is_text(type)                       ? "type"
                       : !flo_is_text(o->activity_id)           ? "id"
                       : !flo_is_text(o->task_queue)            ? "task queue"
                       : !flo_is_text(o->summary)               ? "summary"
                       : !flo_is_text(o->priority.fairness_key) ? "fairness key"
                                                                : NULL;
    return what ? flo_fail(err, FLO_EINVAL, "activity %.100s: its %s is not UTF-8", type, what) : 0;
}

static int check_times(const char *type, const struct flo_activity_options *o, struct flo_err *err)
{
    const char *negative = o->schedule_to_close_ms < 0   ? "schedule_to_close_ms"
                           : o->schedule_to_start_ms < 0 ? "schedule_to_start_ms"
                           : o->start_to_close_ms < 0    ? "start_to_close_ms"
                           : o->heartbeat_ms < 0         ? "heartbeat_ms"
                                                         : NULL;
    if (negative)
        return flo_fail(err, FLO_EINVAL, "activity %.100s: %s is negative, where 0 means no limit",
                        type, negative);
    if (o->start_to_close_ms == 0 && o->schedule_to_close_ms == 0)
        return flo_fail(err, FLO_EINVAL,
                        "activity %.100s: set start_to_close_ms or schedule_to_close_ms", type);
    return 0;
}

static int check_priority(const char *type, const struct flo_priority *p, struct flo_err *err)
{
    if (p->priority_key < 0)
        return flo_fail(err, FLO_EINVAL, "activity %.100s: its priority_key is negative", type);
    if (p->fairness_key && strlen(p->fairness_key) > FAIRNESS_KEY_BYTES)
        return flo_fail(err, FLO_EINVAL,
                        "activity %.100s: its fairness_key is longer than %d bytes", type,
                        FAIRNESS_KEY_BYTES);
    if (p->fairness_weight != 0 && !(p->fairness_weight >= 0.001F && p->fairness_weight <= 1000.0F))
        return flo_fail(err, FLO_EINVAL,
                        "activity %.100s: its fairness_weight is not between 0.001 and 1000", type);
    return 0;
}

int flo_activity_check(const char *type, const struct flo_activity_options *o, struct flo_err *err)
{
    if (!type || !*type)
        return flo_fail(err, FLO_EINVAL, "an activity needs a type");
    int rc = check_texts(type, o, err);
    if (rc == 0)
        rc = check_times(type, o, err);
    if (rc == 0 && o->retry) {
        rc = flo_retry_check(o->retry, err);
        if (rc)
            flo_err_prefix(err, "activity %.100s", type);
    }
    if (rc == 0 && has_priority(&o->priority))
        rc = check_priority(type, &o->priority, err);
    if (rc == 0 && !flo_is_fields(o->headers))
        return flo_fail(err, FLO_EINVAL, "activity %.100s: its headers are no object", type);
    if (rc == 0 && (unsigned)o->cancellation > FLO_CANCEL_ABANDON)
        return flo_fail(err, FLO_EINVAL, "activity %.100s: %d is no cancellation type", type,
                        (int)o->cancellation);
    return rc;
}

/* ---- starting ---- */

static struct flo_activity *activity_alloc(struct flo_workflow *wf, const char *id,
                                           const char *type)
{
    size_t id_len = strlen(id) + 1, type_len = strlen(type) + 1;
    struct flo_activity *activity =
        flo_heap_calloc(wf->run->heap, sizeof *activity + id_len + type_len);
    if (!activity)
        return NULL;
    flo_future_init(&activity->future, wf->run, wf->scope, &future_ops);
    activity->id = memcpy(activity->texts, id, id_len);
    activity->type = memcpy(activity->texts + id_len, type, type_len);
    activity->machine = (struct flo_machine){states, DROPPED};
    return activity;
}

static int trace_start(struct flo_run *run, const struct flo_activity *activity,
                       FloApi__Command *message)
{
    return flo_trace_activity(run, activity->type,
                              message ? &message->schedule_activity_task_command_attributes->header
                                      : NULL);
}

/* It has passed its checks. NULL: no memory. */
static struct flo_future *issue(struct flo_run *run, struct flo_activity *activity, json_t *input,
                                const json_t *headers, const struct flo_activity_options *o)
{
    activity->machine.state = ISSUED;
    struct flo_command *command = flo_command_issue(run, &schedule_ops, &activity->future);
    if (!command)
        return NULL;
    flo_future_ref(&activity->future); /* the machine's */
    if (command->message && fill_schedule(run, activity, input, headers, o, command->message))
        return NULL;
    if (o->summary && flo_command_summarise(run, command, o->summary))
        return NULL;
    if (run->trace && trace_start(run, activity, command->message))
        return NULL;
    return &activity->future;
}

static struct flo_future *issue_intercepted(struct flo_workflow *wf, struct flo_activity *activity,
                                            json_t *input, const struct flo_activity_options *o)
{
    struct flo_future *future = &activity->future;
    struct flo_outbound out = {
        .call = {.kind = FLO_OUTBOUND_ACTIVITY,
                 .name = activity->type,
                 .task_queue = o->task_queue ? o->task_queue : wf->run->info.task_queue,
                 .workflow_id = "",
                 .input = input,
                 .headers = o->headers}};
    int rc = flo_outbound_run(wf, &out);
    if (rc == 0)
        future = issue(wf->run, activity, out.call.input, out.call.headers, o);
    else if (flo_outbound_refuse(wf, rc, future))
        future = NULL;
    flo_outbound_fini(&out);
    return future;
}

struct flo_future *flo_activity_new(struct flo_workflow *wf, const char *type, json_t *input,
                                    const struct flo_activity_options *options)
{
    static const struct flo_activity_options none = {0};
    const struct flo_activity_options *o = options ? options : &none;
    struct flo_run *run = wf->run;
    char chosen[24] = "";
    struct flo_err why = {0};
    bool refused = flo_activity_check(type, o, &why) != 0, cancelled = flo_workflow_cancelled(wf);
    if (!refused && !cancelled && !o->activity_id)
        flo_decimal(++run->activity_count, chosen);
    struct flo_activity *activity =
        activity_alloc(wf, o->activity_id ? o->activity_id : chosen, type ? type : "");
    if (!activity)
        return NULL;
    activity->cancellation = o->cancellation;
    if (refused) {
        flo_future_refuse(&activity->future, &why);
        return &activity->future;
    }
    if (cancelled)
        return fail_cancelled(activity, NULL, "") ? NULL : &activity->future;
    return run->interception ? issue_intercepted(wf, activity, input, o)
                             : issue(run, activity, input, o->headers, o);
}

/* ---- events ---- */

static int64_t scheduled_id_of(const FloApi__HistoryEvent *event)
{
    switch (event->event_type) {
    case FLO_EVENT(ACTIVITY_TASK_STARTED):
        return event->activity_task_started_event_attributes->scheduled_event_id;
    case FLO_EVENT(ACTIVITY_TASK_COMPLETED):
        return event->activity_task_completed_event_attributes->scheduled_event_id;
    case FLO_EVENT(ACTIVITY_TASK_FAILED):
        return event->activity_task_failed_event_attributes->scheduled_event_id;
    case FLO_EVENT(ACTIVITY_TASK_TIMED_OUT):
        return event->activity_task_timed_out_event_attributes->scheduled_event_id;
    default:
        return event->activity_task_canceled_event_attributes->scheduled_event_id;
    }
}

static int resolve(struct flo_activity *activity, const FloApi__HistoryEvent *event,
                   struct flo_err *err)
{
    switch (event->event_type) {
    case FLO_EVENT(ACTIVITY_TASK_COMPLETED):
        return flo_future_succeed(&activity->future,
                                  event->activity_task_completed_event_attributes->result, err);
    case FLO_EVENT(ACTIVITY_TASK_FAILED): {
        const FloApi__ActivityTaskFailedEventAttributes *a =
            event->activity_task_failed_event_attributes;
        return fail(activity, FLO_EFAILED, "Activity task failed", a->failure, a->retry_state,
                    a->identity);
    }
    case FLO_EVENT(ACTIVITY_TASK_TIMED_OUT): {
        const FloApi__ActivityTaskTimedOutEventAttributes *a =
            event->activity_task_timed_out_event_attributes;
        return fail(activity, FLO_EFAILED, "Activity task timed out", a->failure, a->retry_state,
                    "");
    }
    default: {
        const FloApi__ActivityTaskCanceledEventAttributes *a =
            event->activity_task_canceled_event_attributes;
        return fail_cancelled(activity, a->details, a->identity);
    }
    }
}

int flo_activity_event(struct flo_run *run, const FloApi__HistoryEvent *event, struct flo_err *err)
{
    int64_t scheduled_id = scheduled_id_of(event);
    struct flo_activity *activity =
        flo_map_get(&run->activities, &scheduled_id, sizeof scheduled_id);
    if (!activity)
        return flo_fail(err, FLO_ENONDET,
                        "history event %" PRId64 " (%s) is about the activity of event %" PRId64
                        ", which the code never started or which is over",
                        event->event_id, flo_event_kind(event->event_type)->name, scheduled_id);
    if (event->event_type == FLO_EVENT(ACTIVITY_TASK_STARTED)) {
        activity->started_event_id = event->event_id;
        return activity->machine.state == SCHEDULED ? move(activity, STARTED) : 0;
    }
    int rc = resolve(activity, event, err);
    if (rc == FLO_EPROTO || rc == FLO_EPERM)
        flo_err_prefix(err, "the result of activity %.100s (event %" PRId64 ")", activity->type,
                       event->event_id);
    return rc ? rc : move(activity, CLOSED);
}
