/* SPDX-License-Identifier: Apache-2.0 */
/* schedules.c - the set of schedules, and the parts of one that are owned. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/core/internal.h"
#include "engine/core/namespace.h"
#include "engine/core/request.h"
#include "engine/core/schedule/schedule.h"
#include "wire/decode.h"
#include "wire/payload.h"

#define DEFAULT_CATCHUP_NS (INT64_C(365) * 24 * 3600 * FLO_NS_PER_S)
#define MIN_CATCHUP_NS (10 * FLO_NS_PER_S)

void flo_schedules_init(struct flo_schedules *schedules)
{
    flo_map_init(&schedules->by_id);
    flo_map_init(&schedules->watched);
}

void flo_schedules_fini(struct flo_core *core)
{
    for (struct flo_map_entry *it; (it = flo_map_first(&core->schedules.by_id));) {
        struct flo_schedule *schedule = flo_map_value(it);
        flo_schedule_destroy(core, &schedule);
    }
    flo_map_fini(&core->schedules.by_id);
    flo_map_fini(&core->schedules.watched);
}

/* ---- names ---- */

static char *key_of(struct flo_core *core, const struct flo_namespace *ns, const char *id)
{
    return flo_arena_printf(&core->scratch, "%s/%s", ns->id, id);
}

struct flo_schedule *flo_schedule_find(struct flo_core *core, const struct flo_namespace *ns,
                                       const char *id)
{
    if (!core->schedules.by_id.count)
        return NULL;
    char *key = key_of(core, ns, id);
    if (!key) {
        flo_core_set_fatal(core);
        return NULL;
    }
    return flo_map_get_str(&core->schedules.by_id, key);
}

int flo_schedule_watch(struct flo_schedule *schedule, const char *workflow_id)
{
    char *key = key_of(schedule->core, schedule->ns, workflow_id);
    return key ? flo_map_put_str(&schedule->core->schedules.watched, key, schedule) : FLO_ENOMEM;
}

void flo_schedule_unwatch(struct flo_schedule *schedule, const char *workflow_id)
{
    struct flo_map *watched = &schedule->core->schedules.watched;
    char *key = key_of(schedule->core, schedule->ns, workflow_id);
    if (!key)
        flo_core_set_fatal(schedule->core);
    else if (flo_map_get_str(watched, key) == schedule)
        flo_map_remove_str(watched, key);
}

/* ---- one ---- */

struct flo_schedule *flo_schedule_new(struct flo_core *core, struct flo_namespace *ns,
                                      const char *id)
{
    struct flo_schedule *schedule = flo_calloc(1, sizeof *schedule);
    if (!schedule)
        return NULL;
    schedule->core = core;
    schedule->ns = ns;
    schedule->id = flo_strdup(id);
    schedule->seed = flo_asprintf("%s-%s", ns->id, id);
    schedule->request_id = flo_strdup("");
    schedule->notes = flo_strdup("");
    flo_arena_init(&schedule->definition, 0);
    flo_arena_init(&schedule->labels, 0);
    flo_arena_init(&schedule->attributes_arena, 0);
    schedule->record = (struct flo_core_record){.kind = FLO_CORE_RECORD_SCHEDULE,
                                                .namespace_id = ns->id,
                                                .id = schedule->id,
                                                .encode = flo_schedule_encode};
    char *key = key_of(core, ns, id);
    if (!schedule->id || !schedule->seed || !schedule->request_id || !schedule->notes || !key ||
        flo_map_put_str(&core->schedules.by_id, key, schedule))
        flo_schedule_destroy(core, &schedule);
    return schedule;
}

void flo_schedule_destroy(struct flo_core *core, struct flo_schedule **pschedule)
{
    struct flo_schedule *schedule = *pschedule;
    if (!schedule)
        return;
    if (schedule->id) {
        char key[FLO_UUID_LEN + 1 + FLO_CORE_ID_BYTES + 2];
        const int len = snprintf(key, sizeof key, "%s/%s", schedule->ns->id, schedule->id);
        if (len > 0 && (size_t)len < sizeof key &&
            flo_map_get_str(&core->schedules.by_id, key) == schedule)
            flo_map_remove_str(&core->schedules.by_id, key);
    }
    flo_core_timers_clear(&core->timers, &schedule->timer);
    flo_core_record_forget(core, &schedule->record);
    for (size_t i = 0; i < schedule->recent_count; i++)
        flo_free(schedule->recent[i].run.workflow_id);
    for (size_t i = 0; i < schedule->running_count; i++)
        flo_free(schedule->running[i].workflow_id);
    for (size_t i = 0; i < schedule->request_count; i++)
        flo_free(schedule->requests[i]);
    flo_free(schedule->running);
    flo_free(schedule->buffered);
    flo_free(schedule->backfills);
    flo_free(schedule->last_result.data);
    flo_free(schedule->continued_failure.data);
    flo_spec_destroy(&schedule->spec);
    flo_arena_fini(&schedule->definition);
    flo_arena_fini(&schedule->labels);
    flo_arena_fini(&schedule->attributes_arena);
    flo_free(schedule->notes);
    flo_free(schedule->request_id);
    flo_free(schedule->seed);
    flo_free(schedule->id);
    flo_free(schedule);
    *pschedule = NULL;
}

/* ---- its definition ---- */

/* Parts that a request left out, so that nobody has to look whether they are there. */
static int fill_in(struct flo_arena *arena, FloApi__Schedule *schedule)
{
    if (!schedule->action && (schedule->action = flo_arena_alloc(arena, sizeof *schedule->action)))
        flo_api__schedule_action__init(schedule->action);
    if (!schedule->policies &&
        (schedule->policies = flo_arena_alloc(arena, sizeof *schedule->policies)))
        flo_api__schedule_policies__init(schedule->policies);
    if (!schedule->state && (schedule->state = flo_arena_alloc(arena, sizeof *schedule->state)))
        flo_api__schedule_state__init(schedule->state);
    if (!schedule->action || !schedule->policies || !schedule->state)
        return FLO_ENOMEM;
    if (schedule->action->action_case == FLO_API__SCHEDULE_ACTION__ACTION_START_WORKFLOW) {
        FloApi__TaskQueue *queue = schedule->action->start_workflow->task_queue;
        if (queue && !queue->kind)
            queue->kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    }
    FloApi__SchedulePolicies *policies = schedule->policies;
    if (!policies->overlap_policy)
        policies->overlap_policy = FLO_OVERLAP(SKIP);
    const int64_t window_ns =
        policies->catchup_window ? flo_duration_ns(policies->catchup_window) : DEFAULT_CATCHUP_NS;
    policies->catchup_window =
        flo_duration_new(arena, window_ns < MIN_CATCHUP_NS ? MIN_CATCHUP_NS : window_ns);
    return policies->catchup_window ? 0 : FLO_ENOMEM;
}

int flo_schedule_define(struct flo_schedule *schedule, const FloApi__Schedule *from,
                        struct flo_err *err)
{
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    FloApi__ScheduleSpec empty = FLO_API__SCHEDULE_SPEC__INIT;
    FloApi__Schedule shape = *from;
    struct flo_spec *spec = NULL;
    int rc = flo_spec_canonical(&arena, from->spec ? from->spec : &empty, &shape.spec, err);
    if (!rc)
        rc = flo_spec_new(&schedule->core->zones, shape.spec, &spec, err);
    FloApi__Schedule *copy = NULL;
    char *notes = NULL;
    if (!rc) {
        copy = (FloApi__Schedule *)flo_wire_copy(&shape.base, &arena);
        if (!copy || fill_in(&arena, copy) || !(notes = flo_strdup(copy->state->notes)))
            rc = flo_fail(err, FLO_ENOMEM, "no memory for a schedule");
    }
    if (rc) {
        flo_spec_destroy(&spec);
        flo_arena_fini(&arena);
        return rc;
    }
    flo_spec_destroy(&schedule->spec);
    flo_arena_fini(&schedule->definition);
    flo_free(schedule->notes);
    schedule->definition = arena;
    schedule->spec = spec;
    schedule->schedule = copy;
    schedule->notes = copy->state->notes = notes;
    return 0;
}

int flo_schedule_set_memo(struct flo_schedule *schedule, const FloApi__Memo *memo)
{
    schedule->memo = NULL;
    flo_arena_fini(&schedule->labels);
    if (!memo || !memo->n_fields)
        return 0;
    schedule->memo = (FloApi__Memo *)flo_wire_copy(&memo->base, &schedule->labels);
    return schedule->memo ? 0 : FLO_ENOMEM;
}

int flo_schedule_set_attributes(struct flo_schedule *schedule,
                                const FloApi__SearchAttributes *attributes)
{
    schedule->attributes = NULL;
    flo_arena_fini(&schedule->attributes_arena);
    if (!attributes || !attributes->n_indexed_fields)
        return 0;
    schedule->attributes =
        (FloApi__SearchAttributes *)flo_wire_copy(&attributes->base, &schedule->attributes_arena);
    return schedule->attributes ? 0 : FLO_ENOMEM;
}

int flo_schedule_set_note(struct flo_schedule *schedule, const char *note)
{
    char *copy = flo_strdup(note);
    if (!copy)
        return FLO_ENOMEM;
    flo_free(schedule->notes);
    schedule->notes = schedule->schedule->state->notes = copy;
    return 0;
}

int flo_schedule_set_request(struct flo_schedule *schedule, const char *request_id)
{
    char *copy = flo_strdup(request_id);
    if (!copy)
        return FLO_ENOMEM;
    flo_free(schedule->request_id);
    schedule->request_id = copy;
    return 0;
}

bool flo_schedule_known_request(struct flo_schedule *schedule, const char *request_id)
{
    if (!*request_id)
        return false;
    for (size_t i = 0; i < schedule->request_count; i++)
        if (strcmp(schedule->requests[i], request_id) == 0)
            return true;
    char *copy = flo_strdup(request_id);
    if (!copy) {
        flo_core_set_fatal(schedule->core);
        return false;
    }
    if (schedule->request_count == FLO_SCHEDULE_REQUESTS) {
        flo_free(schedule->requests[0]);
        schedule->request_count--;
        memmove(schedule->requests, schedule->requests + 1,
                schedule->request_count * sizeof *schedule->requests);
    }
    schedule->requests[schedule->request_count++] = copy;
    return false;
}
