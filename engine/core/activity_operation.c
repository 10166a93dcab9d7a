/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity_operation.c - pending activities are paused, unpaused, reset, given other options.
 *
 * A paused activity stays in its stage, but is in no queue and has no timer: it neither begins an
 * attempt nor times out. A running attempt is left to its worker, whose next heartbeat is told. An
 * attempt that fails meanwhile is retried whatever the policy says, since its end is for the one
 * who unpauses.
 *
 * Nothing of this is in the history: only the run's state knows.
 */
#include "engine/core/activity_operation.h"

#include <jansson.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/request.h"
#include "engine/core/run.h"
#include "wire/payload.h"

struct flo_activity_paused *flo_activity_paused_new(int64_t since_ns, const char *identity,
                                                    const char *reason)
{
    const size_t identity_len = strlen(identity) + 1, reason_len = strlen(reason) + 1;
    struct flo_activity_paused *paused = flo_calloc(1, sizeof *paused + identity_len + reason_len);
    if (!paused)
        return NULL;
    paused->since_ns = since_ns;
    paused->identity = memcpy(paused->text, identity, identity_len);
    paused->reason = memcpy(paused->text + identity_len, reason, reason_len);
    return paused;
}

/* ---- which ---- */

static bool is_meant(const struct flo_activity_selector *selector,
                     const struct flo_core_activity *activity)
{
    switch (selector->match) {
    case FLO_ACTIVITY_BY_ID:
        return strcmp(activity->id, selector->name) == 0;
    case FLO_ACTIVITY_BY_TYPE:
        return strcmp(activity->type, selector->name) == 0;
    case FLO_ACTIVITY_ALL:
        return true;
    }
    return false;
}

/* The next one that is meant, from number *i on; NULL: no more. Advances *i. */
static struct flo_core_activity *next_meant(const struct flo_execution *execution,
                                            const struct flo_activity_selector *selector, size_t *i)
{
    while (*i < execution->activity_count) {
        struct flo_core_activity *activity = execution->activities[(*i)++];
        if (is_meant(selector, activity))
            return activity;
    }
    return NULL;
}

/* Each activity of the run that is meant. The body may not add or remove any. */
#define EACH_MEANT(activity, execution, selector)                                                  \
    size_t meant_at = 0;                                                                           \
    for (struct flo_core_activity * (activity);                                                    \
         ((activity) = next_meant(execution, selector, &meant_at));)

static int check_any(struct flo_core *core, const struct flo_execution *execution,
                     const struct flo_activity_selector *selector, struct flo_status *status)
{
    size_t i = 0;
    if (next_meant(execution, selector, &i))
        return 0;
    return flo_status_not_found(core, status,
                                "Can't find pending activity with such ID. Invalid activityID or "
                                "activity already completed");
}

/* ---- what a search finds ---- */

/* Is the type of activity number index among those before? */
static bool is_said(const struct flo_execution *execution, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (execution->activities[i]->paused &&
            strcmp(execution->activities[i]->type, execution->activities[index]->type) == 0)
            return true;
    return false;
}

void flo_activities_note_paused(struct flo_core *core, struct flo_execution *execution)
{
    json_t *list = json_array();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < execution->activity_count; i++) {
        if (!execution->activities[i]->paused || is_said(execution, i))
            continue;
        const char *text = flo_arena_printf(&core->scratch, "property:activityType=%s",
                                            execution->activities[i]->type);
        ok = text && json_array_append_new(list, json_string_nocheck(text)) == 0;
    }
    char *json = ok ? json_dumps(list, JSON_COMPACT) : NULL;
    if (json)
        flo_set_keyword_list(core, execution, "TemporalPauseInfo", json);
    else
        flo_core_set_fatal(core);
    free(json);
    json_decref(list);
}

/* ---- pause ---- */

int flo_activities_pause(struct flo_core *core, struct flo_execution *execution,
                         const struct flo_activity_selector *selector,
                         const struct flo_activity_pause *pause, struct flo_status *status)
{
    int rc = check_any(core, execution, selector, status);
    if (rc)
        return rc;
    EACH_MEANT(activity, execution, selector)
    {
        if (activity->paused)
            continue;
        activity->paused = flo_activity_paused_new(core->now_ns, pause->identity, pause->reason);
        if (!activity->paused) {
            flo_core_set_fatal(core);
            break;
        }
        flo_matching_remove(core, &activity->task);
        flo_core_activity_arm(core, activity);
    }
    flo_activities_note_paused(core, execution);
    flo_execution_end(core, execution, true);
    return 0;
}

static void unpause(struct flo_core_activity *activity)
{
    flo_free(activity->paused);
    activity->paused = NULL;
}

static void forget_heartbeat(struct flo_core_activity *activity)
{
    flo_blob_clear(&activity->heartbeat_details);
    activity->last_heartbeat_ns = 0;
}

/* The next attempt of one that does not run: now, or within the jitter. */
static void attempt_soon(struct flo_core *core, struct flo_core_activity *activity,
                         int64_t jitter_ns)
{
    int64_t at_ns = core->now_ns;
    if (jitter_ns > 0)
        at_ns = flo_add_ns(at_ns, (int64_t)flo_rng_below(&core->rng, (uint64_t)jitter_ns));
    flo_core_activity_again(core, activity, at_ns);
}

int flo_activities_unpause(struct flo_core *core, struct flo_execution *execution,
                           const struct flo_activity_selector *selector,
                           const struct flo_activity_unpause *how, struct flo_status *status)
{
    int rc = check_any(core, execution, selector, status);
    if (rc)
        return rc;
    EACH_MEANT(activity, execution, selector)
    {
        if (!activity->paused)
            continue;
        unpause(activity);
        if (how->reset_attempts)
            activity->attempt = 1;
        if (how->reset_heartbeat)
            forget_heartbeat(activity);
        if (activity->stage == FLO_CORE_ACTIVITY_STARTED)
            flo_core_activity_arm(core, activity);
        else
            attempt_soon(core, activity, how->jitter_ns);
    }
    flo_activities_note_paused(core, execution);
    flo_execution_end(core, execution, true);
    return 0;
}

/* ---- options ---- */

/* Those of the Scheduled event, in scratch. NULL: memory is out. */
static FloApi__ActivityOptions *original_options(struct flo_core *core,
                                                 const struct flo_core_activity *activity)
{
    FloApi__ActivityOptions *out = flo_arena_alloc(&core->scratch, sizeof *out);
    FloApi__TaskQueue *queue = flo_arena_alloc(&core->scratch, sizeof *queue);
    FloApi__HistoryEvent *event =
        flo_history_decode(&activity->execution->history, activity->scheduled_id, &core->scratch);
    if (!out || !queue || !event)
        return NULL;
    FloApi__ActivityTaskScheduledEventAttributes *scheduled =
        event->activity_task_scheduled_event_attributes;
    flo_api__task_queue__init(queue);
    queue->name = scheduled->task_queue->name;
    flo_api__activity_options__init(out);
    out->task_queue = queue;
    out->schedule_to_close_timeout = scheduled->schedule_to_close_timeout;
    out->schedule_to_start_timeout = scheduled->schedule_to_start_timeout;
    out->start_to_close_timeout = scheduled->start_to_close_timeout;
    out->heartbeat_timeout = scheduled->heartbeat_timeout;
    out->retry_policy = scheduled->retry_policy;
    return out;
}

static void set_options(struct flo_core *core, struct flo_core_activity *activity,
                        const FloApi__ActivityOptions *options)
{
    const FloApi__RetryPolicy *policy = options->retry_policy;
    flo_set_text(core, &activity->task_queue, options->task_queue->name);
    activity->schedule_to_close_ns = flo_duration_ns(options->schedule_to_close_timeout);
    activity->schedule_to_start_ns = flo_duration_ns(options->schedule_to_start_timeout);
    activity->start_to_close_ns = flo_duration_ns(options->start_to_close_timeout);
    activity->heartbeat_ns = flo_duration_ns(options->heartbeat_timeout);
    activity->initial_interval_ns = flo_duration_ns(policy->initial_interval);
    activity->maximum_interval_ns = flo_duration_ns(policy->maximum_interval);
    activity->backoff_coefficient = policy->backoff_coefficient;
    activity->maximum_attempts = policy->maximum_attempts;
}

/* The options have changed: other deadlines, perhaps another queue, another wait. */
static void follow_options(struct flo_core *core, struct flo_core_activity *activity)
{
    if (activity->stage == FLO_CORE_ACTIVITY_STARTED) {
        flo_core_activity_arm(core, activity);
        return;
    }
    int64_t at_ns = activity->scheduled_ns;
    if (activity->attempt > 1) {
        const struct flo_core_retry_policy policy = {
            .initial_ns = activity->initial_interval_ns,
            .maximum_ns = activity->maximum_interval_ns,
            .coefficient = activity->backoff_coefficient,
        };
        const int64_t wait_ns = flo_core_retry_backoff(&policy, activity->attempt);
        if (wait_ns > 0)
            at_ns = flo_add_ns(activity->last_attempt_complete_ns, wait_ns);
    }
    flo_core_activity_again(core, activity, at_ns);
}

/* The options as they are now, to be changed; in scratch. NULL: memory is out. */
static FloApi__ActivityOptions *current_options(struct flo_core *core,
                                                const struct flo_core_activity *activity)
{
    struct flo_arena *arena = &core->scratch;
    FloApi__ActivityOptions *out = flo_arena_alloc(arena, sizeof *out);
    FloApi__TaskQueue *queue = flo_arena_alloc(arena, sizeof *queue);
    FloApi__RetryPolicy *policy = flo_arena_alloc(arena, sizeof *policy);
    if (!out || !queue || !policy)
        return NULL;
    flo_api__task_queue__init(queue);
    queue->name = flo_arena_strdup(arena, activity->task_queue);
    queue->kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    flo_api__retry_policy__init(policy);
    policy->initial_interval = flo_duration_new(arena, activity->initial_interval_ns);
    policy->maximum_interval = flo_duration_new(arena, activity->maximum_interval_ns);
    policy->backoff_coefficient = activity->backoff_coefficient;
    policy->maximum_attempts = activity->maximum_attempts;
    flo_api__activity_options__init(out);
    out->task_queue = queue;
    out->retry_policy = policy;
    out->schedule_to_close_timeout = flo_duration_new(arena, activity->schedule_to_close_ns);
    out->schedule_to_start_timeout = flo_duration_new(arena, activity->schedule_to_start_ns);
    out->start_to_close_timeout = flo_duration_new(arena, activity->start_to_close_ns);
    out->heartbeat_timeout = flo_duration_new(arena, activity->heartbeat_ns);
    const bool ok = queue->name && policy->initial_interval && policy->maximum_interval &&
                    out->schedule_to_close_timeout && out->schedule_to_start_timeout &&
                    out->start_to_close_timeout && out->heartbeat_timeout;
    return ok ? out : NULL;
}

/* Is path the member called name? Either may be in the form of JSON: retryPolicy, retry_policy. */
static bool is_path(const char *path, const char *name)
{
    for (;; path++, name++) {
        if (*path == '_' && path[1] >= 'a' && path[1] <= 'z') {
            path++;
            if (*path - 'a' + 'A' != *name)
                return false;
        } else if (*path != *name) {
            return false;
        }
        if (!*path)
            return true;
    }
}

static bool has_path(const Google__Protobuf__FieldMask *mask, const char *name)
{
    for (size_t i = 0; i < mask->n_paths; i++)
        if (is_path(mask->paths[i], name))
            return true;
    return false;
}

/* The members of the retry policy that the mask names. */
static int merge_policy(struct flo_core *core, const struct flo_activity_options_update *update,
                        FloApi__RetryPolicy *into, struct flo_status *status)
{
    const FloApi__RetryPolicy *from = update->options->retry_policy;
    const Google__Protobuf__FieldMask *mask = update->mask;
    const bool initial = has_path(mask, "retryPolicy.initialInterval");
    const bool maximum = has_path(mask, "retryPolicy.maximumInterval");
    const bool coefficient = has_path(mask, "retryPolicy.backoffCoefficient");
    const bool attempts = has_path(mask, "retryPolicy.maximumAttempts");
    if (!initial && !maximum && !coefficient && !attempts)
        return 0;
    if (!from)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "RetryPolicy is not provided");
    if (initial)
        into->initial_interval = from->initial_interval;
    if (maximum)
        into->maximum_interval = from->maximum_interval;
    if (coefficient)
        into->backoff_coefficient = from->backoff_coefficient;
    if (attempts)
        into->maximum_attempts = from->maximum_attempts;
    return 0;
}

static int merge(struct flo_core *core, const struct flo_activity_options_update *update,
                 FloApi__ActivityOptions *into, struct flo_status *status)
{
    const FloApi__ActivityOptions *from = update->options;
    const Google__Protobuf__FieldMask *mask = update->mask;
    if (has_path(mask, "taskQueue.name")) {
        if (!from->task_queue)
            return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                                  "TaskQueue is not provided");
        into->task_queue->name = from->task_queue->name;
    }
    if (has_path(mask, "scheduleToCloseTimeout"))
        into->schedule_to_close_timeout = from->schedule_to_close_timeout;
    if (has_path(mask, "scheduleToStartTimeout"))
        into->schedule_to_start_timeout = from->schedule_to_start_timeout;
    if (has_path(mask, "startToCloseTimeout"))
        into->start_to_close_timeout = from->start_to_close_timeout;
    if (has_path(mask, "heartbeatTimeout"))
        into->heartbeat_timeout = from->heartbeat_timeout;
    return merge_policy(core, update, into->retry_policy, status);
}

/* The checks and the filling in that a command to schedule an activity gets, too. */
static int adjust(struct flo_core *core, const struct flo_core_activity *activity,
                  FloApi__ActivityOptions *options, struct flo_status *status)
{
    static const char *const names[] = {"ScheduleToCloseTimeout", "ScheduleToStartTimeout",
                                        "StartToCloseTimeout", "HeartbeatTimeout"};
    Google__Protobuf__Duration **durations[] = {
        &options->schedule_to_close_timeout, &options->schedule_to_start_timeout,
        &options->start_to_close_timeout, &options->heartbeat_timeout};
    const char *queue = options->task_queue->name;
    const char *wrong = NULL;
    int64_t ns[4];
    if (!*queue)
        wrong = "missing task queue name";
    else if (strlen(queue) > FLO_CORE_ID_BYTES)
        wrong = "taskQueue length exceeds limit";
    else if (!strncmp(queue, "/_sys/", 6))
        wrong = "task queue name cannot start with reserved prefix /_sys/";
    if (wrong)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "invalid TaskQueue on ScheduleActivityTaskCommand: %s. "
                              "ActivityId=%s ActivityType=%s",
                              wrong, activity->id, activity->type);
    for (size_t i = 0; i < 4; i++) {
        ns[i] = flo_duration_ns(*durations[i]);
        if (ns[i] < 0)
            return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                                  "Invalid %s for ScheduleActivityTaskCommand: negative duration. "
                                  "ActivityId=%s ActivityType=%s",
                                  names[i], activity->id, activity->type);
    }
    if (!ns[0] && !ns[2])
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "A valid StartToClose or ScheduleToCloseTimeout is not set on "
                              "ScheduleActivityTaskCommand. ActivityId=%s ActivityType=%s",
                              activity->id, activity->type);
    if (ns[0]) {
        ns[1] = flo_min_timeout(ns[1], ns[0]);
        ns[2] = flo_min_timeout(ns[2], ns[0]);
    }
    if (ns[3] > ns[2])
        ns[3] = ns[2];
    for (size_t i = 0; i < 4; i++) {
        *durations[i] = flo_duration_new(&core->scratch, ns[i]);
        if (!*durations[i])
            return flo_status_no_memory(status);
    }
    return 0;
}

/* What one activity is to get. */
static int new_options(struct flo_core *core, const struct flo_core_activity *activity,
                       const struct flo_activity_options_update *update,
                       FloApi__ActivityOptions **out, struct flo_status *status)
{
    *out = update->restore_original ? original_options(core, activity)
                                    : current_options(core, activity);
    if (!*out)
        return flo_status_no_memory(status);
    if (update->restore_original)
        return 0;
    int rc = merge(core, update, *out, status);
    return rc ? rc : adjust(core, activity, *out, status);
}

static int check_update(struct flo_core *core, const struct flo_execution *execution,
                        const struct flo_activity_selector *selector,
                        const struct flo_activity_options_update *update, struct flo_status *status)
{
    if (update->restore_original && update->mask && update->mask->n_paths)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "Both UpdateMask and RestoreOriginal are provided");
    if (!update->restore_original && !update->options)
        return flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT,
                              "ActivityOptions are not provided");
    int rc = check_any(core, execution, selector, status);
    if (!rc && !update->restore_original && !update->mask)
        rc = flo_status_set(core, status, FLO_GRPC_INVALID_ARGUMENT, "UpdateMask is not provided");
    return rc;
}

int flo_activities_update_options(struct flo_core *core, struct flo_execution *execution,
                                  const struct flo_activity_selector *selector,
                                  const struct flo_activity_options_update *update,
                                  FloApi__ActivityOptions **out, struct flo_status *status)
{
    int rc = check_update(core, execution, selector, update, status);
    if (rc)
        return rc;
    FloApi__ActivityOptions **options =
        flo_arena_calloc(&core->scratch, execution->activity_count, sizeof(void *));
    size_t count = 0, set = 0;
    if (!options)
        return flo_status_no_memory(status);
    EACH_MEANT(activity, execution, selector)
    {
        rc = new_options(core, activity, update, &options[count++], status);
        if (rc)
            return rc;
    }
    meant_at = 0;
    for (struct flo_core_activity *activity;
         (activity = next_meant(execution, selector, &meant_at));) {
        set_options(core, activity, options[set++]);
        follow_options(core, activity);
    }
    flo_execution_end(core, execution, true);
    *out = options[count - 1];
    return 0;
}

/* ---- reset ---- */

static int reset(struct flo_core *core, struct flo_core_activity *activity,
                 const struct flo_activity_reset *how)
{
    if (how->restore_original_options) {
        const FloApi__ActivityOptions *options = original_options(core, activity);
        if (!options)
            return FLO_ENOMEM;
        set_options(core, activity, options);
    }
    activity->attempt = 1;
    activity->was_reset = true;
    activity->heartbeat_reset = activity->heartbeat_reset || how->reset_heartbeat;
    if (activity->stage == FLO_CORE_ACTIVITY_STARTED || (activity->paused && how->keep_paused)) {
        flo_core_activity_arm(core, activity);
        return 0;
    }
    unpause(activity);
    attempt_soon(core, activity, how->jitter_ns);
    return 0;
}

int flo_activities_reset(struct flo_core *core, struct flo_execution *execution,
                         const struct flo_activity_selector *selector,
                         const struct flo_activity_reset *how, struct flo_status *status)
{
    int rc = check_any(core, execution, selector, status);
    if (rc)
        return rc;
    EACH_MEANT(activity, execution, selector)
    {
        if (reset(core, activity, how))
            flo_core_set_fatal(core);
    }
    flo_activities_note_paused(core, execution);
    flo_execution_end(core, execution, true);
    return 0;
}
