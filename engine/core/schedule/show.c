/* SPDX-License-Identifier: Apache-2.0 */
/* show.c - what clients see of a schedule: its description, and its line in lists. */
#include "engine/core/schedule/show.h"

#include <string.h>

#include "base/clock.h"
#include "engine/core/attributes.h"
#include "engine/core/internal.h"
#include "engine/core/message.h"
#include "engine/core/namespace.h"
#include "engine/core/schedule/schedule.h"
#include "wire/decode.h"
#include "wire/payload.h"

enum { FUTURE_DESCRIBED = 10, FUTURE_LISTED = 5, RECENT_LISTED = 5, SPECS_LISTED = 10 };

static FloApi__WorkflowExecution *show_run(struct flo_arena *arena,
                                           const struct flo_schedule_run *run)
{
    FloApi__WorkflowExecution *out = flo_arena_alloc(arena, sizeof *out);
    if (!out)
        return NULL;
    flo_api__workflow_execution__init(out);
    out->workflow_id = flo_arena_strdup(arena, run->workflow_id);
    out->run_id = flo_arena_strdup(arena, run->run_id);
    return out->workflow_id && out->run_id ? out : NULL;
}

/* The newest `most` actions, oldest first. */
static int show_recent(const struct flo_schedule *schedule, struct flo_arena *arena, size_t most,
                       FloApi__ScheduleActionResult ***out, size_t *n)
{
    const size_t count = schedule->recent_count < most ? schedule->recent_count : most;
    const struct flo_schedule_action *from = schedule->recent + schedule->recent_count - count;
    FloApi__ScheduleActionResult **list = flo_arena_calloc(arena, count + 1, sizeof *list);
    if (!list)
        return FLO_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        FloApi__ScheduleActionResult *made = flo_arena_alloc(arena, sizeof *made);
        if (!made)
            return FLO_ENOMEM;
        flo_api__schedule_action_result__init(made);
        made->schedule_time = flo_timestamp_new(arena, from[i].due_ns);
        made->actual_time = flo_timestamp_new(arena, from[i].actual_ns);
        made->start_workflow_result = show_run(arena, &from[i].run);
        made->start_workflow_status = (FloApi__WorkflowExecutionStatus)from[i].status;
        if (!made->schedule_time || !made->actual_time || !made->start_workflow_result)
            return FLO_ENOMEM;
        list[i] = made;
    }
    *out = list;
    *n = count;
    return 0;
}

/* The next moments at which something will be done. */
static int show_future(const struct flo_schedule *schedule, struct flo_arena *arena, size_t most,
                       Google__Protobuf__Timestamp ***out, size_t *n)
{
    const FloApi__ScheduleState *state = schedule->schedule->state;
    if (state->limited_actions && state->remaining_actions < (int64_t)most)
        most = state->remaining_actions < 0 ? 0 : (size_t)state->remaining_actions;
    Google__Protobuf__Timestamp **list = flo_arena_calloc(arena, most + 1, sizeof *list);
    if (!list)
        return FLO_ENOMEM;
    size_t count = 0;
    int64_t at_ns = schedule->processed_ns;
    while (schedule->spec && count < most) {
        at_ns = flo_spec_next(schedule->spec, schedule->seed, at_ns).due_ns;
        if (at_ns == FLO_SPEC_NEVER)
            break;
        if (schedule->update_ns > at_ns)
            continue;
        list[count] = flo_timestamp_new(arena, at_ns);
        if (!list[count++])
            return FLO_ENOMEM;
    }
    *out = list;
    *n = count;
    return 0;
}

static int show_labels(const struct flo_schedule *schedule, struct flo_arena *arena,
                       FloApi__Memo **out_memo, FloApi__SearchAttributes **out_attributes)
{
    *out_memo = NULL;
    *out_attributes = NULL;
    if (schedule->memo) {
        *out_memo = (FloApi__Memo *)flo_wire_copy(&schedule->memo->base, arena);
        if (!*out_memo)
            return FLO_ENOMEM;
    }
    if (!schedule->attributes)
        return 0;
    FloApi__SearchAttributes *copy =
        (FloApi__SearchAttributes *)flo_wire_copy(&schedule->attributes->base, arena);
    if (!copy || flo_attributes_show(schedule->ns, copy, arena))
        return FLO_ENOMEM;
    *out_attributes = copy->n_indexed_fields ? copy : NULL;
    return 0;
}

static FloApi__ScheduleInfo *show_info(const struct flo_schedule *schedule, struct flo_arena *arena)
{
    FloApi__ScheduleInfo *info = flo_arena_alloc(arena, sizeof *info);
    if (!info)
        return NULL;
    flo_api__schedule_info__init(info);
    info->action_count = schedule->action_count;
    info->missed_catchup_window = schedule->missed;
    info->overlap_skipped = schedule->skipped;
    info->buffer_dropped = schedule->dropped;
    info->buffer_size = (int64_t)schedule->buffered_count;
    info->create_time = flo_timestamp_new(arena, schedule->create_ns);
    info->running_workflows =
        flo_arena_calloc(arena, schedule->running_count + 1, sizeof *info->running_workflows);
    if (!info->create_time || !info->running_workflows ||
        (schedule->update_ns &&
         !(info->update_time = flo_timestamp_new(arena, schedule->update_ns))))
        return NULL;
    for (size_t i = 0; i < schedule->running_count; i++) {
        FloApi__WorkflowExecution *run = show_run(arena, &schedule->running[i]);
        if (!run)
            return NULL;
        info->running_workflows[info->n_running_workflows++] = run;
    }
    if (!schedule->spec)
        info->invalid_schedule_error = flo_text("its time zone is not known to this engine");
    return show_recent(schedule, arena, FLO_SCHEDULE_RECENT, &info->recent_actions,
                       &info->n_recent_actions) ||
                   show_future(schedule, arena, FUTURE_DESCRIBED, &info->future_action_times,
                               &info->n_future_action_times)
               ? NULL
               : info;
}

int flo_schedule_describe(const struct flo_schedule *schedule, struct flo_arena *arena,
                          FloApi__DescribeScheduleResponse *out)
{
    FloApi__Schedule *copy = (FloApi__Schedule *)flo_wire_copy(&schedule->schedule->base, arena);
    if (!copy)
        return FLO_ENOMEM;
    flo_spec_show(copy->spec);
    if (copy->action->action_case == FLO_API__SCHEDULE_ACTION__ACTION_START_WORKFLOW &&
        copy->action->start_workflow->search_attributes &&
        flo_attributes_show(schedule->ns, copy->action->start_workflow->search_attributes, arena))
        return FLO_ENOMEM;
    out->schedule = copy;
    out->info = show_info(schedule, arena);
    return out->info ? show_labels(schedule, arena, &out->memo, &out->search_attributes)
                     : FLO_ENOMEM;
}

/* ---- lists ---- */

static void cut(size_t *count)
{
    if (*count > SPECS_LISTED)
        *count = SPECS_LISTED;
}

static FloApi__ScheduleListInfo *list_info(const struct flo_schedule *schedule,
                                           struct flo_arena *arena)
{
    FloApi__ScheduleListInfo *info = flo_arena_alloc(arena, sizeof *info);
    FloApi__ScheduleSpec short_spec = *schedule->schedule->spec;
    if (!info)
        return NULL;
    flo_api__schedule_list_info__init(info);
    short_spec.timezone_data = (ProtobufCBinaryData){0};
    cut(&short_spec.n_exclude_structured_calendar);
    cut(&short_spec.n_interval);
    cut(&short_spec.n_structured_calendar);
    info->spec = (FloApi__ScheduleSpec *)flo_wire_copy(&short_spec.base, arena);
    flo_spec_show(info->spec);
    const FloApi__ScheduleAction *action = schedule->schedule->action;
    if (action->action_case == FLO_API__SCHEDULE_ACTION__ACTION_START_WORKFLOW) {
        info->workflow_type = flo_arena_alloc(arena, sizeof *info->workflow_type);
        if (!info->workflow_type)
            return NULL;
        flo_api__workflow_type__init(info->workflow_type);
        info->workflow_type->name =
            flo_arena_strdup(arena, action->start_workflow->workflow_type->name);
        if (!info->workflow_type->name)
            return NULL;
    }
    info->notes = flo_arena_strdup(arena, schedule->notes);
    info->paused = schedule->schedule->state->paused;
    return !info->spec || !info->notes ||
                   show_recent(schedule, arena, RECENT_LISTED, &info->recent_actions,
                               &info->n_recent_actions) ||
                   show_future(schedule, arena, FUTURE_LISTED, &info->future_action_times,
                               &info->n_future_action_times)
               ? NULL
               : info;
}

int flo_core_show_schedule(const struct flo_core_schedule *listed, struct flo_arena *arena,
                           FloApi__ScheduleListEntry **out)
{
    const struct flo_schedule *schedule = listed->schedule;
    FloApi__ScheduleListEntry *entry = flo_arena_alloc(arena, sizeof *entry);
    if (!entry)
        return FLO_ENOMEM;
    flo_api__schedule_list_entry__init(entry);
    entry->schedule_id = flo_arena_strdup(arena, schedule->id);
    entry->info = list_info(schedule, arena);
    if (!entry->schedule_id || !entry->info ||
        show_labels(schedule, arena, &entry->memo, &entry->search_attributes))
        return FLO_ENOMEM;
    *out = entry;
    return 0;
}

void flo_core_each_schedule(const struct flo_core *core, const char *namespace_id,
                            void (*fn)(void *ctx, const struct flo_core_schedule *schedule),
                            void *ctx)
{
    for (struct flo_map_entry *it = flo_map_first(&core->schedules.by_id); it;
         it = flo_map_next(it)) {
        const struct flo_schedule *schedule = flo_map_value(it);
        if (schedule->closed_ns || strcmp(schedule->ns->id, namespace_id) != 0)
            continue;
        const struct flo_core_schedule listed = {.schedule = schedule,
                                                 .id = schedule->id,
                                                 .run_id = schedule->run_id,
                                                 .create_ns = schedule->create_ns,
                                                 .paused = schedule->schedule->state->paused,
                                                 .attributes = schedule->attributes};
        fn(ctx, &listed);
    }
}
