/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jump.c - what a clock that skips needs to know of the core: may it jump, how far, and what must
 * not notice.
 *
 * A jump stands for time in which nothing happens. So it may not be while a worker has something
 * to do, which takes real time; it goes no further than to the next deadline of the stored world;
 * and calls that wait are of the real world, so that they go on waiting as long as they would have.
 */
#include "engine/core/core.h"
#include "engine/core/execution.h"
#include "engine/core/matching.h"

/* An attempt that waits for its time takes none of a worker's. */
static bool activity_busy(const struct flo_core_activity *activity)
{
    return activity->stage == FLO_CORE_ACTIVITY_STARTED || flo_node_linked(&activity->task.node);
}

static bool run_busy(const struct flo_execution *execution)
{
    if (!flo_execution_is_open(execution))
        return false;
    if (execution->workflow_task.stage != FLO_CORE_WORKFLOW_TASK_NONE)
        return true;
    for (size_t i = 0; i < execution->activity_count; i++)
        if (activity_busy(execution->activities[i]))
            return true;
    return false;
}

bool flo_core_busy(const struct flo_core *core)
{
    if (core->queries.count > 0)
        return true;
    FLO_LIST_FOREACH(node, &core->residents)
    {
        if (run_busy(flo_container(node, struct flo_core_run_hooks, resident)->execution))
            return true;
    }
    return false;
}

int64_t flo_core_next_due(const struct flo_core *core)
{
    return flo_core_timers_next(&core->timers);
}

void flo_core_jump(struct flo_core *core, int64_t by_ns)
{
    flo_core_timers_shift(&core->waits, by_ns);
    flo_matching_jump(core, by_ns);
}
