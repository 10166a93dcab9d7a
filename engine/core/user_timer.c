/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user_timer.c - the timers that a workflow's code starts. They have a heap of their own in the
 * run, which shows the core one timer, the earliest; a run that never starts one has none of it.
 */
#include <string.h>

#include "base/alloc.h"
#include "engine/core/execution.h"
#include "engine/core/run.h"

static void user_timer_due(struct flo_core *core, struct flo_core_timer *timer);

/* The run's own heap never fires by itself: its earliest deadline is the run's timer. */
static void never(struct flo_core *core, struct flo_core_timer *timer)
{
    (void)core;
    (void)timer;
}

void flo_user_timers_arm(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_user_timers *timers = execution->user_timers;
    if (!timers)
        return;
    int64_t next = flo_core_timers_next(&timers->heap);
    if (next == INT64_MAX)
        flo_core_timers_clear(&core->timers, &timers->first);
    else if (!flo_core_timer_is_set(&timers->first) || timers->first.deadline_ns != next)
        flo_core_run_timer(core, &timers->first, next, user_timer_due);
}

void flo_user_timers_disarm(struct flo_core *core, struct flo_execution *execution)
{
    if (execution->user_timers)
        flo_core_timers_clear(&core->timers, &execution->user_timers->first);
}

size_t flo_user_timers_count(const struct flo_execution *execution)
{
    return execution->user_timers ? execution->user_timers->by_id.count : 0;
}

struct flo_user_timer *flo_user_timer_find(const struct flo_execution *execution, const char *id)
{
    return execution->user_timers ? flo_map_get_str(&execution->user_timers->by_id, id) : NULL;
}

static struct flo_user_timers *timers_of(struct flo_execution *execution)
{
    struct flo_user_timers *timers = execution->user_timers;
    if (timers)
        return timers;
    timers = flo_calloc(1, sizeof *timers);
    if (!timers)
        return NULL;
    timers->execution = execution;
    flo_map_init(&timers->by_id);
    flo_core_timers_init(&timers->heap);
    execution->user_timers = timers;
    return timers;
}

struct flo_user_timer *flo_user_timer_add(struct flo_core *core, struct flo_execution *execution,
                                          const char *id, int64_t started_id, int64_t deadline_ns)
{
    size_t len = strlen(id);
    struct flo_user_timers *timers = timers_of(execution);
    struct flo_user_timer *timer = timers ? flo_calloc(1, sizeof *timer + len + 1) : NULL;
    if (!timer || flo_map_put_str(&timers->by_id, id, timer)) {
        flo_free(timer);
        flo_core_set_fatal(core);
        return NULL;
    }
    memcpy(timer->id, id, len);
    timer->started_id = started_id;
    if (flo_core_timers_set(&timers->heap, &timer->timer, deadline_ns, never))
        flo_core_set_fatal(core);
    return timer;
}

void flo_user_timer_free(struct flo_execution *execution, struct flo_user_timer *timer)
{
    flo_core_timers_clear(&execution->user_timers->heap, &timer->timer);
    flo_map_remove_str(&execution->user_timers->by_id, timer->id);
    flo_free(timer);
}

void flo_user_timers_fini(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_user_timers *timers = execution->user_timers;
    if (!timers)
        return;
    flo_user_timers_disarm(core, execution);
    flo_core_timers_fini(&timers->heap); /* before the timers in it are freed */
    for (struct flo_map_entry *it = flo_map_first(&timers->by_id); it; it = flo_map_next(it))
        flo_free(flo_map_value(it));
    flo_map_fini(&timers->by_id);
    flo_free(timers);
    execution->user_timers = NULL;
}

/* All timers that are due fire in one transition, in the order (deadline, started). */
static void user_timer_due(struct flo_core *core, struct flo_core_timer *first)
{
    struct flo_user_timers *timers = flo_container(first, struct flo_user_timers, first);
    struct flo_execution *execution = timers->execution;
    struct flo_core_timer *due;
    while ((due = flo_core_timers_pop_due(&timers->heap, core->now_ns))) {
        struct flo_user_timer *timer = flo_container(due, struct flo_user_timer, timer);
        FloApi__TimerFiredEventAttributes fired = FLO_API__TIMER_FIRED_EVENT_ATTRIBUTES__INIT;
        fired.timer_id = timer->id;
        fired.started_event_id = timer->started_id;
        struct flo_event event = {
            .type = FLO_API__EVENT_TYPE__EVENT_TYPE_TIMER_FIRED,
            .attributes = &fired,
        };
        flo_history_record(core, execution, &event, timer->started_id);
        flo_user_timer_free(execution, timer);
    }
    flo_user_timers_arm(core, execution);
    flo_core_workflow_task_schedule(core, execution);
    flo_execution_end(core, execution, true);
}
