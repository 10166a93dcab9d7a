/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity.c - pending activities: attempts, timeouts, retries, cancellation.
 *
 *            queue               start
 *   SCHEDULED <-- BACKOFF     SCHEDULED --> STARTED
 *       |            ^                        |   |
 *       |            +--- retry of an attempt-+   |
 *       +--> gone <-------------------------------+  completed, failed, timed out, cancelled
 *
 * An attempt that is retried leaves no events: Started is written together with the end, with the
 * time and the number of the last attempt. One timer per activity is armed for the earliest of its
 * deadlines; heartbeats do not move it, it looks again when it fires.
 */
#include <string.h>

#include "base/alloc.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/namespace.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "engine/core/task.h"
#include "engine/core/timers.h"
#include "engine/core/token.h"

#define NOT_STARTED_DETAILS "\"ACTIVITY_ID_NOT_STARTED\""

/* ---- the set of a run ---- */

/* Index of the first activity whose scheduled_id is not below id. */
static size_t lower_bound(const struct flo_execution *execution, int64_t id)
{
    size_t low = 0, high = execution->activity_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (execution->activities[middle]->scheduled_id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct flo_core_activity *flo_core_activity_by_event(const struct flo_execution *execution,
                                                     int64_t scheduled_id)
{
    size_t i = lower_bound(execution, scheduled_id);
    return i < execution->activity_count && execution->activities[i]->scheduled_id == scheduled_id
               ? execution->activities[i]
               : NULL;
}

struct flo_core_activity *flo_core_activity_by_id(const struct flo_execution *execution,
                                                  const char *id)
{
    for (size_t i = 0; i < execution->activity_count; i++)
        if (!strcmp(execution->activities[i]->id, id))
            return execution->activities[i];
    return NULL;
}

int flo_core_activity_insert(struct flo_core_activity *activity)
{
    struct flo_execution *execution = activity->execution;
    if (execution->activity_count == execution->activities_cap) {
        size_t cap = execution->activities_cap ? execution->activities_cap * 2 : 4;
        struct flo_core_activity **list =
            flo_reallocarray(execution->activities, cap, sizeof(struct flo_core_activity *));
        if (!list)
            return FLO_ENOMEM;
        execution->activities = list;
        execution->activities_cap = cap;
    }
    size_t i = lower_bound(execution, activity->scheduled_id);
    memmove(&execution->activities[i + 1], &execution->activities[i],
            (execution->activity_count - i) * sizeof(struct flo_core_activity *));
    execution->activities[i] = activity;
    execution->activity_count++;
    return 0;
}

void flo_core_activity_free(struct flo_core *core, struct flo_core_activity *activity)
{
    if (!activity)
        return;
    flo_core_timers_clear(&core->timers, &activity->timer);
    flo_matching_remove(core, &activity->task);
    flo_blob_clear(&activity->heartbeat_details);
    flo_blob_clear(&activity->last_failure);
    flo_free(activity->id);
    flo_free(activity->type);
    flo_free(activity->task_queue);
    flo_free(activity->identity);
    flo_free(activity->request_id);
    flo_free(activity->build_id);
    flo_free(activity->paused);
    flo_free(activity->priority);
    flo_free(activity);
}

void flo_core_activity_remove(struct flo_core *core, struct flo_core_activity *activity)
{
    struct flo_execution *execution = activity->execution;
    size_t i = lower_bound(execution, activity->scheduled_id);
    execution->activity_count--;
    memmove(&execution->activities[i], &execution->activities[i + 1],
            (execution->activity_count - i) * sizeof(struct flo_core_activity *));
    flo_core_activity_free(core, activity);
}

struct flo_core_activity *flo_core_activity_add(
    struct flo_core *core, struct flo_execution *execution, int64_t scheduled_id,
    const FloApi__ActivityTaskScheduledEventAttributes *attributes, bool queue)
{
    struct flo_core_activity *activity = flo_calloc(1, sizeof *activity);
    if (!activity)
        goto fail;
    activity->execution = execution;
    activity->scheduled_id = scheduled_id;
    activity->id = flo_strdup(attributes->activity_id);
    activity->type = flo_strdup(attributes->activity_type->name);
    activity->task_queue = flo_strdup(attributes->task_queue->name);
    activity->stage = FLO_CORE_ACTIVITY_SCHEDULED;
    activity->attempt = 1;
    activity->first_scheduled_ns = activity->scheduled_ns = core->now_ns;
    activity->schedule_to_close_ns = flo_duration_ns(attributes->schedule_to_close_timeout);
    activity->schedule_to_start_ns = flo_duration_ns(attributes->schedule_to_start_timeout);
    activity->start_to_close_ns = flo_duration_ns(attributes->start_to_close_timeout);
    activity->heartbeat_ns = flo_duration_ns(attributes->heartbeat_timeout);
    if (activity->schedule_to_close_ns)
        activity->retry_until_ns =
            flo_add_ns(activity->first_scheduled_ns, activity->schedule_to_close_ns);
    struct flo_core_retry_policy policy = flo_core_retry_normalise(attributes->retry_policy);
    activity->initial_interval_ns = policy.initial_ns;
    activity->maximum_interval_ns = policy.maximum_ns;
    activity->backoff_coefficient = policy.coefficient;
    activity->maximum_attempts = policy.maximum_attempts;
    if (!activity->id || !activity->type || !activity->task_queue ||
        flo_priority_new(attributes->priority, &activity->priority) ||
        flo_core_activity_insert(activity))
        goto fail;
    if (queue) {
        if (flo_core_activity_queue(core, activity))
            flo_core_set_fatal(core);
        flo_core_activity_arm(core, activity);
    }
    return activity;
fail:
    flo_core_activity_free(core, activity);
    flo_core_set_fatal(core);
    return NULL;
}

int flo_core_activity_queue(struct flo_core *core, struct flo_core_activity *activity)
{
    if (activity->paused)
        return 0;
    return flo_matching_add_activity_task(core, &activity->task, activity->execution, activity,
                                          activity->task_queue);
}

/* ---- deadlines ---- */

struct deadline {
    int64_t at_ns;
    FloApi__TimeoutType type; /* UNSPECIFIED: the next attempt */
};

static void consider(struct deadline *best, int64_t from_ns, int64_t timeout_ns,
                     FloApi__TimeoutType type)
{
    int64_t at = flo_add_ns(from_ns, timeout_ns);
    if (timeout_ns > 0 && at < best->at_ns)
        *best = (struct deadline){at, type};
}

/* The earliest of what can happen next; of equal ones the first in this order. */
static struct deadline next_deadline(const struct flo_core_activity *activity)
{
    struct deadline best = {INT64_MAX, FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_UNSPECIFIED};
    if (activity->paused)
        return best;
    if (activity->stage == FLO_CORE_ACTIVITY_BACKOFF)
        best.at_ns = activity->scheduled_ns;
    if (activity->stage == FLO_CORE_ACTIVITY_STARTED)
        consider(&best, activity->started_ns, activity->start_to_close_ns,
                 FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_START_TO_CLOSE);
    if (activity->stage == FLO_CORE_ACTIVITY_SCHEDULED)
        consider(&best, activity->scheduled_ns, activity->schedule_to_start_ns,
                 FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_SCHEDULE_TO_START);
    consider(&best, activity->first_scheduled_ns, activity->schedule_to_close_ns,
             FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_SCHEDULE_TO_CLOSE);
    if (activity->stage == FLO_CORE_ACTIVITY_STARTED) {
        int64_t alive = activity->last_heartbeat_ns > activity->started_ns
                            ? activity->last_heartbeat_ns
                            : activity->started_ns;
        consider(&best, alive, activity->heartbeat_ns,
                 FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_HEARTBEAT);
    }
    return best;
}

static void due(struct flo_core *core, struct flo_core_timer *timer);

void flo_core_activity_arm(struct flo_core *core, struct flo_core_activity *activity)
{
    struct deadline next = next_deadline(activity);
    if (next.at_ns == INT64_MAX)
        flo_core_timers_clear(&core->timers, &activity->timer);
    else
        flo_core_run_timer(core, &activity->timer, next.at_ns, due);
}

/* ---- ends ---- */

/* Write the Started event of the last attempt, as of when it started (now, for one that is
 * completed by its id before it started, by that identity). Its id, 0 when it is buffered. */
static int64_t record_started(struct flo_core *core, struct flo_core_activity *activity,
                              const char *identity)
{
    FloApi__ActivityTaskStartedEventAttributes started =
        FLO_API__ACTIVITY_TASK_STARTED_EVENT_ATTRIBUTES__INIT;
    FloApi__WorkerVersionStamp version = FLO_API__WORKER_VERSION_STAMP__INIT;
    started.scheduled_event_id = activity->scheduled_id;
    started.identity = flo_text(activity->started_ns ? activity->identity : identity);
    started.request_id = flo_text(activity->request_id);
    started.attempt = activity->attempt;
    started.last_failure =
        flo_blob_decode(core, &activity->last_failure, &flo_api__failure__descriptor);
    if (activity->has_build_id) {
        version.build_id = flo_text(activity->build_id);
        started.worker_version = &version;
    }
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_STARTED,
        .attributes = &started,
        .time_ns = activity->started_ns,
    };
    return flo_history_record(core, activity->execution, &event, activity->scheduled_id);
}

/* Write the end; the activity is gone, the workflow gets a task. Ends the transition. */
static void finish(struct flo_core *core, struct flo_core_activity *activity,
                   FloApi__EventType type, void *attributes)
{
    struct flo_execution *execution = activity->execution;
    struct flo_event event = {.type = type, .attributes = attributes};
    flo_history_record(core, execution, &event, activity->scheduled_id);
    flo_core_activity_remove(core, activity);
    flo_core_workflow_task_schedule(core, execution);
    flo_execution_end(core, execution, true);
}

void flo_core_activity_complete(struct flo_core *core, struct flo_core_activity *activity,
                                FloApi__Payloads *result, const char *identity)
{
    FloApi__ActivityTaskCompletedEventAttributes completed =
        FLO_API__ACTIVITY_TASK_COMPLETED_EVENT_ATTRIBUTES__INIT;
    completed.started_event_id = record_started(core, activity, identity);
    completed.scheduled_event_id = activity->scheduled_id;
    completed.result = result;
    completed.identity = flo_text(identity);
    finish(core, activity, FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_COMPLETED, &completed);
}

void flo_core_activity_cancel(struct flo_core *core, struct flo_core_activity *activity,
                              FloApi__Payloads *details, const char *identity)
{
    FloApi__ActivityTaskCanceledEventAttributes canceled =
        FLO_API__ACTIVITY_TASK_CANCELED_EVENT_ATTRIBUTES__INIT;
    canceled.started_event_id = record_started(core, activity, identity);
    canceled.scheduled_event_id = activity->scheduled_id;
    canceled.latest_cancel_requested_event_id = activity->cancel_requested_id;
    canceled.details = details;
    canceled.identity = flo_text(identity);
    finish(core, activity, FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_CANCELED, &canceled);
}

static void finish_failed(struct flo_core *core, struct flo_core_activity *activity,
                          FloApi__Failure *failure, FloApi__RetryState state, const char *identity)
{
    FloApi__ActivityTaskFailedEventAttributes failed =
        FLO_API__ACTIVITY_TASK_FAILED_EVENT_ATTRIBUTES__INIT;
    failed.started_event_id = record_started(core, activity, identity);
    failed.scheduled_event_id = activity->scheduled_id;
    failed.failure = failure;
    failed.retry_state = state;
    failed.identity = flo_text(identity);
    finish(core, activity, FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_FAILED, &failed);
}

static void finish_timed_out(struct flo_core *core, struct flo_core_activity *activity,
                             FloApi__Failure *failure, FloApi__RetryState state)
{
    FloApi__ActivityTaskTimedOutEventAttributes timed_out =
        FLO_API__ACTIVITY_TASK_TIMED_OUT_EVENT_ATTRIBUTES__INIT;
    if (activity->stage == FLO_CORE_ACTIVITY_STARTED)
        timed_out.started_event_id = record_started(core, activity, NULL);
    timed_out.scheduled_event_id = activity->scheduled_id;
    timed_out.failure = failure;
    timed_out.retry_state = state;
    finish(core, activity, FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT, &timed_out);
}

bool flo_core_activity_request_cancel(struct flo_core *core, struct flo_core_activity *activity,
                                      int64_t requested_id, const char *identity)
{
    activity->cancel_requested = true;
    activity->cancel_requested_id = requested_id;
    if (activity->stage == FLO_CORE_ACTIVITY_STARTED)
        return false;
    FloApi__ActivityTaskCanceledEventAttributes canceled =
        FLO_API__ACTIVITY_TASK_CANCELED_EVENT_ATTRIBUTES__INIT;
    FloApi__Payload__MetadataEntry encoding = FLO_API__PAYLOAD__METADATA_ENTRY__INIT;
    FloApi__Payload__MetadataEntry *metadata = &encoding;
    FloApi__Payload payload = FLO_API__PAYLOAD__INIT, *list = &payload;
    FloApi__Payloads details = FLO_API__PAYLOADS__INIT;
    encoding.key = flo_text("encoding");
    encoding.value = (ProtobufCBinaryData){10, (uint8_t *)flo_text("json/plain")};
    payload.metadata = &metadata;
    payload.n_metadata = 1;
    payload.data = (ProtobufCBinaryData){strlen(NOT_STARTED_DETAILS),
                                         (uint8_t *)flo_text(NOT_STARTED_DETAILS)};
    details.payloads = &list;
    details.n_payloads = 1;
    canceled.details = &details;
    canceled.scheduled_event_id = activity->scheduled_id;
    canceled.latest_cancel_requested_event_id = requested_id;
    canceled.identity = flo_text(identity);
    struct flo_event event = {
        .type = FLO_API__EVENT_TYPE__EVENT_TYPE_ACTIVITY_TASK_CANCELED,
        .attributes = &canceled,
    };
    flo_history_record(core, activity->execution, &event, activity->scheduled_id);
    flo_core_activity_remove(core, activity);
    return true;
}

/* ---- retry ---- */

static FloApi__RetryState decide(struct flo_core *core, const struct flo_core_activity *activity,
                                 const FloApi__Failure *failure, int64_t *out_delay_ns)
{
    if (activity->cancel_requested)
        return FLO_API__RETRY_STATE__RETRY_STATE_CANCEL_REQUESTED;
    FloApi__HistoryEvent *event =
        flo_history_decode(&activity->execution->history, activity->scheduled_id, &core->scratch);
    if (!event) {
        flo_core_set_fatal(core);
        return FLO_API__RETRY_STATE__RETRY_STATE_INTERNAL_SERVER_ERROR;
    }
    struct flo_core_retry_policy policy =
        flo_core_retry_normalise(event->activity_task_scheduled_event_attributes->retry_policy);
    int64_t until = activity->retry_until_ns;
    policy.initial_ns = activity->initial_interval_ns;
    policy.maximum_ns = activity->maximum_interval_ns;
    policy.coefficient = activity->backoff_coefficient;
    policy.maximum_attempts = activity->maximum_attempts;
    if (activity->paused) { /* when to try again, and whether, is for the one who unpauses it */
        policy.maximum_attempts = 0;
        until = 0;
    }
    return flo_core_retry_decide(&policy, activity->attempt, failure, core->now_ns, until,
                                 out_delay_ns);
}

/* The attempt is over, and what was asked of it. */
static void clear_attempt(struct flo_core_activity *activity)
{
    activity->started_ns = 0;
    if (activity->heartbeat_reset) {
        flo_blob_clear(&activity->heartbeat_details);
        activity->last_heartbeat_ns = 0;
    }
    activity->was_reset = activity->heartbeat_reset = false;
}

static void retry(struct flo_core *core, struct flo_core_activity *activity,
                  const FloApi__Failure *failure, int64_t delay_ns)
{
    flo_blob_set(core, &activity->last_failure, failure ? &failure->base : NULL);
    activity->attempt++;
    activity->last_attempt_complete_ns = core->now_ns;
    if (activity->paused) {
        activity->stage = FLO_CORE_ACTIVITY_SCHEDULED;
        activity->started_ns = 0;
    } else {
        activity->stage = FLO_CORE_ACTIVITY_BACKOFF;
        activity->scheduled_ns = flo_add_ns(core->now_ns, delay_ns);
        clear_attempt(activity);
    }
    flo_core_activity_arm(core, activity);
    flo_execution_end(core, activity->execution, true);
}

void flo_core_activity_again(struct flo_core *core, struct flo_core_activity *activity,
                             int64_t at_ns)
{
    flo_matching_remove(core, &activity->task);
    flo_blob_clear(&activity->last_failure);
    clear_attempt(activity);
    activity->scheduled_ns = at_ns;
    activity->stage =
        at_ns > core->now_ns ? FLO_CORE_ACTIVITY_BACKOFF : FLO_CORE_ACTIVITY_SCHEDULED;
    if (activity->stage == FLO_CORE_ACTIVITY_SCHEDULED && flo_core_activity_queue(core, activity))
        flo_core_set_fatal(core);
    flo_core_activity_arm(core, activity);
}

void flo_core_activity_fail(struct flo_core *core, struct flo_core_activity *activity,
                            FloApi__Failure *failure, const char *identity)
{
    static const FloApi__Failure NONE = FLO_API__FAILURE__INIT;
    int64_t delay = 0;
    FloApi__RetryState state = decide(core, activity, failure ? failure : &NONE, &delay);
    if (state == FLO_API__RETRY_STATE__RETRY_STATE_IN_PROGRESS)
        retry(core, activity, failure, delay);
    else
        finish_failed(core, activity, failure, state, identity);
}

static const char *timeout_name(FloApi__TimeoutType type)
{
    switch (type) {
    case FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_START_TO_CLOSE:
        return "activity StartToClose timeout";
    case FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_SCHEDULE_TO_START:
        return "activity ScheduleToStart timeout";
    case FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_SCHEDULE_TO_CLOSE:
        return "activity ScheduleToClose timeout";
    default:
        return "activity Heartbeat timeout";
    }
}

static void time_out(struct flo_core *core, struct flo_core_activity *activity,
                     FloApi__TimeoutType type)
{
    FloApi__TimeoutFailureInfo info = FLO_API__TIMEOUT_FAILURE_INFO__INIT;
    FloApi__Failure failure = FLO_API__FAILURE__INIT;
    info.timeout_type = type;
    info.last_heartbeat_details =
        flo_blob_decode(core, &activity->heartbeat_details, &flo_api__payloads__descriptor);
    failure.message = flo_text(timeout_name(type));
    failure.source = flo_text("Server");
    failure.failure_info_case = FLO_API__FAILURE__FAILURE_INFO_TIMEOUT_FAILURE_INFO;
    failure.timeout_failure_info = &info;
    failure.cause = flo_blob_decode(core, &activity->last_failure, &flo_api__failure__descriptor);
    int64_t delay = 0;
    FloApi__RetryState state = decide(core, activity, &failure, &delay);
    if (state == FLO_API__RETRY_STATE__RETRY_STATE_IN_PROGRESS) {
        failure.cause = NULL;               /* else the chain grows with each attempt */
        info.last_heartbeat_details = NULL; /* the next attempt has them by itself */
        retry(core, activity, &failure, delay);
    } else {
        finish_timed_out(core, activity, &failure, state);
    }
}

static void due(struct flo_core *core, struct flo_core_timer *timer)
{
    struct flo_core_activity *activity = flo_container(timer, struct flo_core_activity, timer);
    struct deadline next = next_deadline(activity);
    if (next.at_ns > core->now_ns) { /* a heartbeat came meanwhile */
        flo_core_activity_arm(core, activity);
        return;
    }
    if (next.type != FLO_API__TIMEOUT_TYPE__TIMEOUT_TYPE_UNSPECIFIED) {
        time_out(core, activity, next.type);
        return;
    }
    activity->stage = FLO_CORE_ACTIVITY_SCHEDULED;
    activity->scheduled_ns = core->now_ns;
    if (flo_core_activity_queue(core, activity))
        flo_core_set_fatal(core);
    flo_core_activity_arm(core, activity);
    flo_execution_end(core, activity->execution, true);
}

/* ---- start ---- */

void flo_core_activity_begin(struct flo_core *core, struct flo_core_activity *activity,
                             const struct flo_core_worker *worker)
{
    flo_matching_remove(core, &activity->task);
    flo_set_text(core, &activity->identity, worker->identity);
    flo_set_text(core, &activity->request_id, worker->request_id);
    flo_set_text(core, &activity->build_id, worker->build_id);
    activity->has_build_id = worker->has_build_id;
    activity->started_ns = flo_event_time(core);
    activity->stage = FLO_CORE_ACTIVITY_STARTED;
    flo_core_activity_arm(core, activity);
}

int flo_core_activity_start(struct flo_core *core, struct flo_core_activity *activity,
                            const struct flo_core_worker *worker, uint64_t *out_after)
{
    struct flo_execution *execution = activity->execution;
    if (!flo_execution_is_open(execution) || activity->stage != FLO_CORE_ACTIVITY_SCHEDULED)
        return FLO_ENOENT;
    uint64_t after = flo_core_after(core, execution);
    flo_core_activity_begin(core, activity, worker);
    flo_execution_end(core, execution, true);
    /* An attempt that must not happen twice leaves only when a crash cannot forget it. */
    bool last = activity->maximum_attempts && activity->attempt >= activity->maximum_attempts;
    *out_after = last ? flo_core_after(core, execution) : after;
    return 0;
}

void flo_core_activity_lost(struct flo_core *core, struct flo_core_activity *activity)
{
    if (activity->stage != FLO_CORE_ACTIVITY_STARTED)
        return;
    activity->stage = FLO_CORE_ACTIVITY_SCHEDULED;
    activity->started_ns = 0;
    if (flo_core_activity_queue(core, activity))
        flo_core_set_fatal(core);
    flo_core_activity_arm(core, activity);
    flo_execution_end(core, activity->execution, true);
}

static int fill_token(struct flo_core *core, const struct flo_core_activity *activity,
                      ProtobufCBinaryData *out)
{
    const struct flo_execution *execution = activity->execution;
    struct flo_token token = {
        .kind = FLO_TOKEN_ACTIVITY,
        .ns = execution->hooks.ns,
        .workflow_id = execution->workflow_id,
        .run_id = execution->run_id,
        .activity_id = activity->id,
        .scheduled_event_id = activity->scheduled_id,
        .started_ns = activity->started_ns,
        .attempt = activity->attempt,
    };
    return flo_token_encode(core, &token, out);
}

/* The policy of the Scheduled event as it is now. */
static int set_policy(struct flo_arena *arena, const struct flo_core_activity *activity,
                      FloApi__RetryPolicy *policy)
{
    policy->initial_interval = flo_duration_new(arena, activity->initial_interval_ns);
    policy->maximum_interval = flo_duration_new(arena, activity->maximum_interval_ns);
    policy->backoff_coefficient = activity->backoff_coefficient;
    policy->maximum_attempts = activity->maximum_attempts;
    return policy->initial_interval && policy->maximum_interval ? 0 : FLO_ENOMEM;
}

int flo_core_activity_fill_task(struct flo_core *core, struct flo_core_activity *activity,
                                FloApi__PollActivityTaskQueueResponse *body)
{
    struct flo_execution *execution = activity->execution;
    struct flo_arena *arena = &core->scratch;
    FloApi__HistoryEvent *event =
        flo_history_decode(&execution->history, activity->scheduled_id, arena);
    FloApi__WorkflowExecution *ids = flo_arena_alloc(arena, sizeof *ids);
    FloApi__WorkflowType *type = flo_arena_alloc(arena, sizeof *type);
    if (!event || !ids || !type || fill_token(core, activity, &body->task_token))
        return FLO_ENOMEM;
    FloApi__ActivityTaskScheduledEventAttributes *scheduled =
        event->activity_task_scheduled_event_attributes;
    flo_api__workflow_execution__init(ids);
    ids->workflow_id = flo_text(execution->workflow_id);
    ids->run_id = execution->run_id;
    flo_api__workflow_type__init(type);
    type->name = flo_text(execution->type);
    body->workflow_namespace = execution->hooks.ns->name;
    body->workflow_type = type;
    body->workflow_execution = ids;
    body->activity_type = scheduled->activity_type;
    body->activity_id = scheduled->activity_id;
    body->header = scheduled->header;
    body->input = scheduled->input;
    body->heartbeat_details =
        flo_blob_decode(core, &activity->heartbeat_details, &flo_api__payloads__descriptor);
    body->scheduled_time = flo_timestamp_new(arena, activity->first_scheduled_ns);
    body->current_attempt_scheduled_time = flo_timestamp_new(arena, activity->scheduled_ns);
    body->started_time = flo_timestamp_new(arena, activity->started_ns);
    body->attempt = activity->attempt;
    body->schedule_to_close_timeout = scheduled->schedule_to_close_timeout;
    body->start_to_close_timeout = scheduled->start_to_close_timeout;
    body->heartbeat_timeout = scheduled->heartbeat_timeout;
    body->retry_policy = scheduled->retry_policy;
    if (body->retry_policy && set_policy(arena, activity, body->retry_policy))
        return FLO_ENOMEM;
    if (scheduled->priority || flo_execution_priority(execution)) {
        bool ok = true;
        const FloApi__Priority *base =
            flo_priority_message(flo_execution_priority(execution), arena, &ok);
        body->priority = flo_priority_merge(base, scheduled->priority, arena);
        if (!ok || !body->priority)
            return FLO_ENOMEM;
    }
    return body->scheduled_time && body->current_attempt_scheduled_time && body->started_time
               ? 0
               : FLO_ENOMEM;
}
