/* SPDX-License-Identifier: Apache-2.0 */
/* replays.c - see replays.h. */
#include "worker/replays.h"

#include <stdio.h>

#include "base/clock.h"
#include "executor/cores.h"
#include "wire/payload.h"
#include "worker/worker.h"

/* The time limit of a task whose run's is not known, as the server's default. */
#define TASK_TIMEOUT_NS (10 * FLO_NS_PER_S)
/* From this attempt on a server gives a task more time than the run's settings say. */
#define LONGER_ATTEMPT 4
/* A task is dropped only so long after its end: our clock began with its arrival. */
#define MARGIN_NS FLO_NS_PER_S

void flo_replays_init(struct flo_worker *worker)
{
    struct flo_cores cores;

    flo_cores_read("", &cores);
    worker->replays.limit = cores.count > 0 ? cores.count : 1;
    flo_list_init(&worker->replays.waiting);
}

/* The time limit of the run's tasks when its first event is here; 0: it is not. */
static int64_t known_timeout_ns(const struct flo_workflow_task *wt)
{
    const FloApi__History *history = wt->task->history;
    const FloApi__HistoryEvent *first =
        history && history->n_events > 0 ? history->events[0] : NULL;

    if (!first ||
        first->attributes_case !=
            FLO_API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_STARTED_EVENT_ATTRIBUTES)
        return 0;
    return flo_duration_ns(
        first->workflow_execution_started_event_attributes->workflow_task_timeout);
}

static struct flo_workflow_task *task_of(struct flo_node *node)
{
    return flo_container(node, struct flo_workflow_task, replay_node);
}

/* Of equal deadlines the newest first. */
static void insert(struct flo_replays *replays, struct flo_workflow_task *wt)
{
    struct flo_node *at = replays->waiting.head.next;

    while (at != &replays->waiting.head && task_of(at)->deadline_ns > wt->deadline_ns)
        at = at->next;
    flo_list_insert_before(&replays->waiting, at, &wt->replay_node);
}

static void begin_storm(struct flo_worker *worker)
{
    struct flo_replays *replays = &worker->replays;

    if (replays->storm)
        return;
    replays->storm = true;
    replays->storm_ns = flo_clock_mono_ns();
    replays->done = 0;
    flo_log(FLO_LOG_INFO, "replays.queued",
            "More runs are to be replayed than there are cores: they wait for their turn",
            FLO_LOG_WHO(worker), "#at_once", FLO_NUM(replays->limit), NULL);
}

static void end_storm(struct flo_worker *worker)
{
    struct flo_replays *replays = &worker->replays;

    if (!replays->storm || replays->running > 0 || replays->waiting.count > 0)
        return;
    replays->storm = false;
    flo_log(FLO_LOG_INFO, "replays.done", "All runs that waited have been replayed",
            FLO_LOG_WHO(worker), "#runs", FLO_NUM(replays->done), "#took_ms",
            FLO_NUM((flo_clock_mono_ns() - replays->storm_ns) / FLO_NS_PER_MS), NULL);
}

bool flo_replays_enter(struct flo_workflow_task *wt)
{
    struct flo_replays *replays = &wt->worker->replays;
    int64_t timeout_ns = known_timeout_ns(wt);

    if (wt->replay == FLO_REPLAY_RUNS)
        return true;
    if (replays->running < replays->limit) {
        wt->replay = FLO_REPLAY_RUNS;
        replays->running++;
        return true;
    }
    wt->deadline_ns = wt->began_ns + (timeout_ns > 0 ? timeout_ns : TASK_TIMEOUT_NS);
    wt->replay = FLO_REPLAY_WAITS;
    insert(replays, wt);
    begin_storm(wt->worker);
    return false;
}

static bool is_over(const struct flo_workflow_task *wt, int64_t now_ns)
{
    return !wt->task->query && wt->attempt < LONGER_ATTEMPT && known_timeout_ns(wt) > 0 &&
           now_ns > wt->deadline_ns + MARGIN_NS;
}

static void let_in(struct flo_worker *worker)
{
    struct flo_replays *replays = &worker->replays;
    struct flo_node *node;

    while (replays->running < replays->limit && (node = flo_list_pop_front(&replays->waiting))) {
        struct flo_workflow_task *wt = task_of(node);
        wt->replay = FLO_REPLAY_NONE;
        if (is_over(wt, flo_clock_mono_ns())) {
            flo_count_workflow(wt, FLO_END_UNWANTED);
            flo_workflow_task_end(&wt);
            continue;
        }
        wt->replay = FLO_REPLAY_RUNS;
        replays->running++;
        flo_execute_replay(wt);
    }
}

void flo_replays_leave(struct flo_workflow_task *wt)
{
    struct flo_worker *worker = wt->worker;
    struct flo_replays *replays = &worker->replays;
    enum flo_replay_state state = wt->replay;

    wt->replay = FLO_REPLAY_NONE;
    if (state == FLO_REPLAY_WAITS)
        flo_list_remove(&replays->waiting, &wt->replay_node);
    if (state != FLO_REPLAY_RUNS)
        return;
    replays->running--;
    replays->done++;
    if (worker->state < FLO_WORKER_STOPPED)
        let_in(worker);
    end_storm(worker);
}
