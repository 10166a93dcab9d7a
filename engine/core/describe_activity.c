/* SPDX-License-Identifier: Apache-2.0 */
/* describe_activity.c - what a description of a run tells of a pending activity. */
#include "engine/core/describe.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/run.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/payload.h"

static ProtobufCBinaryData bytes_of(const struct flo_blob *from)
{
    return (ProtobufCBinaryData){.data = from->data, .len = from->len};
}

/* A pending activity, resident or stored. */
struct activity_view {
    const char *id, *type, *task_queue, *identity;
    int stage; /* enum flo_core_activity_stage */
    int32_t attempt, maximum_attempts;
    int64_t first_scheduled_ns, scheduled_ns, started_ns;
    int64_t schedule_to_close_ns, schedule_to_start_ns, start_to_close_ns, heartbeat_ns;
    int64_t initial_interval_ns, maximum_interval_ns;
    double backoff_coefficient;
    bool cancel_requested;
    int64_t last_heartbeat_ns, last_attempt_complete_ns;
    int64_t retry_until_ns;
    bool paused;
    int64_t paused_ns;
    const char *paused_identity, *paused_reason;
    int32_t priority_level;
    float fairness_weight;
    const char *fairness_key; /* NULL: it has no priority of its own */
    ProtobufCBinaryData heartbeat_details, last_failure;
};

static struct activity_view activity_resident(const struct flo_core_activity *a)
{
    return (struct activity_view){.id = a->id,
                                  .type = a->type,
                                  .task_queue = a->task_queue,
                                  .identity = a->identity ? a->identity : "",
                                  .stage = (int)a->stage,
                                  .attempt = a->attempt,
                                  .maximum_attempts = a->maximum_attempts,
                                  .first_scheduled_ns = a->first_scheduled_ns,
                                  .scheduled_ns = a->scheduled_ns,
                                  .started_ns = a->started_ns,
                                  .schedule_to_close_ns = a->schedule_to_close_ns,
                                  .schedule_to_start_ns = a->schedule_to_start_ns,
                                  .start_to_close_ns = a->start_to_close_ns,
                                  .heartbeat_ns = a->heartbeat_ns,
                                  .initial_interval_ns = a->initial_interval_ns,
                                  .maximum_interval_ns = a->maximum_interval_ns,
                                  .backoff_coefficient = a->backoff_coefficient,
                                  .cancel_requested = a->cancel_requested,
                                  .last_heartbeat_ns = a->last_heartbeat_ns,
                                  .last_attempt_complete_ns = a->last_attempt_complete_ns,
                                  .retry_until_ns = a->retry_until_ns,
                                  .paused = a->paused != NULL,
                                  .paused_ns = a->paused ? a->paused->since_ns : 0,
                                  .paused_identity = a->paused ? a->paused->identity : "",
                                  .paused_reason = a->paused ? a->paused->reason : "",
                                  .priority_level = a->priority ? a->priority->level : 0,
                                  .fairness_weight = a->priority ? a->priority->weight : 0,
                                  .fairness_key = a->priority ? a->priority->key : NULL,
                                  .heartbeat_details = bytes_of(&a->heartbeat_details),
                                  .last_failure = bytes_of(&a->last_failure)};
}

static int64_t stored_retry_until(const FloEngine__ActivityState *a)
{
    if (a->retry_until_ns || !a->schedule_to_close_ns)
        return a->retry_until_ns > 0 ? a->retry_until_ns : 0;
    return a->first_scheduled_ns + a->schedule_to_close_ns;
}

static struct activity_view activity_stored(const FloEngine__ActivityState *a)
{
    return (struct activity_view){.id = a->activity_id,
                                  .type = a->type,
                                  .task_queue = a->task_queue,
                                  .identity = a->identity,
                                  .stage = a->stage,
                                  .attempt = a->attempt,
                                  .maximum_attempts = a->maximum_attempts,
                                  .first_scheduled_ns = a->first_scheduled_ns,
                                  .scheduled_ns = a->scheduled_ns,
                                  .started_ns = a->started_ns,
                                  .schedule_to_close_ns = a->schedule_to_close_ns,
                                  .schedule_to_start_ns = a->schedule_to_start_ns,
                                  .start_to_close_ns = a->start_to_close_ns,
                                  .heartbeat_ns = a->heartbeat_ns,
                                  .initial_interval_ns = a->initial_interval_ns,
                                  .maximum_interval_ns = a->maximum_interval_ns,
                                  .backoff_coefficient = a->backoff_coefficient,
                                  .cancel_requested = a->cancel_requested,
                                  .last_heartbeat_ns = a->last_heartbeat_ns,
                                  .last_attempt_complete_ns = a->last_attempt_complete_ns,
                                  .retry_until_ns = stored_retry_until(a),
                                  .paused = a->paused != NULL,
                                  .paused_ns = a->paused ? a->paused->since_ns : 0,
                                  .paused_identity = a->paused ? a->paused->identity : "",
                                  .paused_reason = a->paused ? a->paused->reason : "",
                                  .priority_level = a->priority ? a->priority->level : 0,
                                  .fairness_weight = a->priority ? a->priority->fairness_weight : 0,
                                  .fairness_key = a->priority ? a->priority->fairness_key : NULL,
                                  .heartbeat_details = a->heartbeat_details,
                                  .last_failure = a->last_failure};
}

/* Here every duration is set, also 0. */
static FloApi__ActivityOptions *activity_options(struct flo_core *core,
                                                 const struct activity_view *v, bool *ok)
{
    struct flo_arena *arena = &core->scratch;
    FloApi__ActivityOptions *out = flo_arena_alloc(arena, sizeof *out);
    FloApi__TaskQueue *queue = flo_arena_alloc(arena, sizeof *queue);
    FloApi__RetryPolicy *retry = flo_arena_alloc(arena, sizeof *retry);
    if (!out || !queue || !retry) {
        *ok = false;
        return NULL;
    }
    flo_api__task_queue__init(queue);
    queue->name = (char *)v->task_queue;
    queue->normal_name = (char *)v->task_queue;
    flo_api__retry_policy__init(retry);
    retry->initial_interval = flo_duration_new(arena, v->initial_interval_ns);
    retry->maximum_interval = flo_duration_new(arena, v->maximum_interval_ns);
    retry->backoff_coefficient = v->backoff_coefficient;
    retry->maximum_attempts = v->maximum_attempts;
    flo_api__activity_options__init(out);
    out->task_queue = queue;
    out->retry_policy = retry;
    out->schedule_to_close_timeout = flo_duration_new(arena, v->schedule_to_close_ns);
    out->schedule_to_start_timeout = flo_duration_new(arena, v->schedule_to_start_ns);
    out->start_to_close_timeout = flo_duration_new(arena, v->start_to_close_ns);
    out->heartbeat_timeout = flo_duration_new(arena, v->heartbeat_ns);
    *ok = *ok && retry->initial_interval && retry->maximum_interval &&
          out->schedule_to_close_timeout && out->schedule_to_start_timeout &&
          out->start_to_close_timeout && out->heartbeat_timeout;
    return out;
}

static FloApi__PendingActivityState activity_stage(const struct activity_view *v)
{
    if (v->cancel_requested)
        return FLO_API__PENDING_ACTIVITY_STATE__PENDING_ACTIVITY_STATE_CANCEL_REQUESTED;
    const bool started = v->stage == FLO_CORE_ACTIVITY_STARTED;
    if (v->paused)
        return started ? FLO_API__PENDING_ACTIVITY_STATE__PENDING_ACTIVITY_STATE_PAUSE_REQUESTED
                       : FLO_API__PENDING_ACTIVITY_STATE__PENDING_ACTIVITY_STATE_PAUSED;
    return started ? FLO_API__PENDING_ACTIVITY_STATE__PENDING_ACTIVITY_STATE_STARTED
                   : FLO_API__PENDING_ACTIVITY_STATE__PENDING_ACTIVITY_STATE_SCHEDULED;
}

static FloApi__Priority *priority_of(struct flo_core *core, int32_t level, const char *key,
                                     float weight, bool *ok)
{
    FloApi__Priority *out = flo_arena_alloc(&core->scratch, sizeof *out);
    if (!out) {
        *ok = false;
        return NULL;
    }
    flo_api__priority__init(out);
    out->priority_key = level;
    out->fairness_key = (char *)key;
    out->fairness_weight = weight;
    return out;
}

static void fill_paused(struct flo_core *core, const struct activity_view *v,
                        FloApi__PendingActivityInfo *out, bool *ok)
{
    FloApi__PendingActivityInfo__PauseInfo *info = flo_arena_alloc(&core->scratch, sizeof *info);
    FloApi__PendingActivityInfo__PauseInfo__Manual *manual =
        flo_arena_alloc(&core->scratch, sizeof *manual);
    if (!info || !manual) {
        *ok = false;
        return;
    }
    flo_api__pending_activity_info__pause_info__manual__init(manual);
    manual->identity = (char *)v->paused_identity;
    manual->reason = (char *)v->paused_reason;
    flo_api__pending_activity_info__pause_info__init(info);
    info->pause_time = flo_describe_time(core, v->paused_ns, ok);
    info->paused_by_case = FLO_API__PENDING_ACTIVITY_INFO__PAUSE_INFO__PAUSED_BY_MANUAL;
    info->manual = manual;
    out->paused = true;
    out->pause_info = info;
}

/* Of one that no worker has: when its next attempt begins, how long such a wait is. */
static void fill_next_attempt(struct flo_core *core, const struct activity_view *v,
                              FloApi__PendingActivityInfo *out, bool *ok)
{
    if (v->stage == FLO_CORE_ACTIVITY_BACKOFF && v->scheduled_ns > core->now_ns) {
        out->next_attempt_schedule_time = flo_describe_time(core, v->scheduled_ns, ok);
        out->current_retry_interval =
            flo_describe_duration(core, v->scheduled_ns - v->last_attempt_complete_ns, ok);
        return;
    }
    const struct flo_core_retry_policy policy = {.initial_ns = v->initial_interval_ns,
                                                 .coefficient = v->backoff_coefficient};
    out->current_retry_interval =
        flo_describe_duration(core, flo_core_retry_backoff(&policy, v->attempt), ok);
}

static FloApi__PendingActivityInfo *pending_activity(struct flo_core *core,
                                                     const struct activity_view *v, bool *ok)
{
    FloApi__PendingActivityInfo *out = flo_arena_alloc(&core->scratch, sizeof *out);
    FloApi__ActivityType *type = flo_arena_alloc(&core->scratch, sizeof *type);
    if (!out || !type) {
        *ok = false;
        return NULL;
    }
    flo_api__activity_type__init(type);
    type->name = (char *)v->type;
    flo_api__pending_activity_info__init(out);
    out->activity_id = (char *)v->id;
    out->activity_type = type;
    out->state = activity_stage(v);
    out->attempt = v->attempt;
    out->maximum_attempts = v->maximum_attempts;
    out->scheduled_time = flo_describe_time(core, v->scheduled_ns, ok);
    if (v->stage == FLO_CORE_ACTIVITY_STARTED)
        out->last_started_time = flo_describe_time(core, v->started_ns, ok);
    else if (!v->cancel_requested)
        fill_next_attempt(core, v, out, ok);
    if (v->paused)
        fill_paused(core, v, out, ok);
    if (v->fairness_key)
        out->priority =
            priority_of(core, v->priority_level, v->fairness_key, v->fairness_weight, ok);
    if (v->retry_until_ns)
        out->expiration_time = flo_describe_time(core, v->retry_until_ns, ok);
    out->last_heartbeat_time = flo_describe_time(core, v->last_heartbeat_ns, ok);
    out->last_attempt_complete_time = flo_describe_time(core, v->last_attempt_complete_ns, ok);
    if (v->heartbeat_details.len)
        out->heartbeat_details =
            flo_describe_message(core, &flo_api__payloads__descriptor, v->heartbeat_details, ok);
    if (v->last_failure.len)
        out->last_failure =
            flo_describe_message(core, &flo_api__failure__descriptor, v->last_failure, ok);
    out->last_worker_identity = (char *)v->identity;
    out->activity_options = activity_options(core, v, ok);
    return out;
}

FloApi__PendingActivityInfo *flo_describe_activity(struct flo_core *core,
                                                   const struct flo_core_activity *activity,
                                                   bool *ok)
{
    const struct activity_view view = activity_resident(activity);
    return pending_activity(core, &view, ok);
}

FloApi__PendingActivityInfo *flo_describe_stored_activity(struct flo_core *core,
                                                          const FloEngine__ActivityState *activity,
                                                          bool *ok)
{
    const struct activity_view view = activity_stored(activity);
    return pending_activity(core, &view, ok);
}
