/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execute.c - a workflow task between its poll and its answer: find the run in the cache or make
 * a new one, see to it that the history is whole, advance it. All on the loop thread: workflow
 * code runs for microseconds and cannot block.
 *
 * A run belongs to the cache except while it is advanced, so a second task of the same run (a
 * query) never finds it half way.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "wire/failure.h"
#include "wire/payload.h"
#include "worker/local.h"
#include "worker/worker.h"
#include "workflow/run.h"

/* What one task may take: the largest history that a server keeps (50 MiB), unpacked, and the
 * answer. More is refused, not swallowed. */
#define TASK_BYTES_MAX ((size_t)512 << 20)

static flo_workflow_fn look_up(void *ctx, const char *type)
{
    return flo_registry_workflow(ctx, type);
}

void flo_workflow_task_end(struct flo_workflow_task **task)
{
    struct flo_workflow_task *wt = *task;
    struct flo_worker *worker = wt->worker;
    struct flo_task_queue *queue = wt->queue;
    bool slot_given = wt->slot_given;

    *task = NULL;
    flo_count_workflow(wt, FLO_END_UNREPORTED); /* unless it was counted with its answer */
    if (wt->local)
        flo_local_release(wt, NULL);
    flo_client_call_cancel(&wt->call);
    flo_list_remove(&worker->workflow_tasks, &wt->node);
    flo_arena_fini(&wt->arena);
    flo_free(wt->events);
    flo_free(wt);
    if (!slot_given)
        flo_queue_finish(queue, NULL);
    flo_poll_fill(worker);
    flo_drain_check(worker);
}

/* The run for the task: at work, cached, or new. NULL without memory. */
static struct flo_run *run_for(struct flo_workflow_task *wt)
{
    struct flo_worker *worker = wt->worker;
    struct flo_run *run = worker->locals ? flo_local_take(wt) : NULL;

    if (run)
        return run;
    run = worker->cache ? flo_run_cache_take(worker->cache, wt->run_id) : NULL;
    if (run && flo_run_missing_history(run, wt->task))
        flo_run_destroy(&run); /* a gap: start over */
    if (!run &&
        flo_run_new(&worker->run_env, look_up, worker->registry, wt->workflow_id, wt->run_id, &run))
        return NULL;
    return run;
}

void flo_execute_put_run(struct flo_workflow_task *wt, struct flo_run *run,
                         const struct flo_activation *activation)
{
    struct flo_run_cache *cache = wt->worker->cache;
    bool keep = cache && activation && activation->outcome != FLO_ACTIVATION_FAIL &&
                !(activation->outcome == FLO_ACTIVATION_COMPLETE && activation->closes);

    if (!keep || flo_run_cache_put(cache, run))
        flo_run_destroy(&run);
}

static void advance(struct flo_workflow_task *wt)
{
    struct flo_activation activation = {0};
    struct flo_run *run = run_for(wt);
    int64_t began_ns = flo_clock_mono_ns();
    int rc;

    if (!run) {
        flo_workflow_task_end(&wt); /* no memory: the server gives the task to somebody else */
        return;
    }
    if (flo_run_missing_history(run, wt->task)) {
        flo_run_destroy(&run);
        if (wt->whole) {
            flo_log(FLO_LOG_WARN, "history.gap", "A history does not reach its first event",
                    "workflow_id", wt->workflow_id, "run_id", wt->run_id, NULL);
            flo_workflow_task_end(&wt);
            return;
        }
        flo_history_fetch(wt, true);
        return;
    }
    wt->worker->advancing = wt;
    rc = flo_run_activate(run, wt->task, &wt->arena, &activation);
    wt->worker->advancing = NULL;
    if (rc) {
        flo_execute_put_run(wt, run, NULL);
        flo_workflow_task_end(&wt);
        return;
    }
    flo_series_observe(FLO_TASK_METRIC(wt, WORKFLOW_REPLAY_LATENCY),
                       (double)(flo_clock_mono_ns() - began_ns) / FLO_NS_PER_S);
    if (activation.outcome == FLO_ACTIVATION_OPEN) {
        flo_local_hold(wt, run, &activation);
        return;
    }
    if (wt->local)
        flo_local_release(wt, &activation);
    flo_execute_put_run(wt, run, &activation);
    flo_respond_workflow(wt, &activation);
}

void flo_execute_workflow_resume(struct flo_workflow_task *wt)
{
    advance(wt);
}

/* A codec could not decode the task: its code never sees it. */
static void answer_damaged(struct flo_workflow_task *wt, const char *reason)
{
    struct flo_activation activation = {
        .outcome = FLO_ACTIVATION_FAIL,
        .cause =
            FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE,
        .failure = flo_failure_application(&wt->arena, reason, FLO_FAILURE_CODEC, false, NULL, 0)};

    if (wt->task->query) { /* its token takes no task failure */
        activation = (struct flo_activation){
            .outcome = FLO_ACTIVATION_QUERY,
            .query_type = FLO_API__QUERY_RESULT_TYPE__QUERY_RESULT_TYPE_FAILED,
            .query_error = flo_arena_strdup(&wt->arena, reason)};
    }
    flo_respond_workflow(wt, &activation);
}

void flo_execute_workflow_task(struct flo_task_queue *queue,
                               const FloApi__PollWorkflowTaskQueueResponse *task)
{
    const FloApi__WorkflowExecution *execution = task->workflow_execution;
    struct flo_workflow_task *wt = flo_calloc(1, sizeof *wt);
    struct flo_worker *worker = queue->worker;
    int64_t waited_ns =
        flo_timestamp_ns(task->started_time) - flo_timestamp_ns(task->scheduled_time);

    if (!wt) {
        flo_queue_finish(queue, NULL);
        return;
    }
    wt->worker = worker;
    wt->queue = queue;
    wt->task = task;
    wt->attempt = task->attempt;
    wt->began_ns = flo_clock_mono_ns();
    worker->counts.received++;
    worker->counts.retried += task->attempt > 1;
    flo_arena_init(&wt->arena, TASK_BYTES_MAX);
    flo_list_push_back(&worker->workflow_tasks, &wt->node);
    wt->workflow_id = flo_arena_strdup(&wt->arena, execution ? execution->workflow_id : "");
    wt->run_id = flo_arena_strdup(&wt->arena, execution ? execution->run_id : "");
    wt->type = flo_arena_strdup(&wt->arena, task->workflow_type ? task->workflow_type->name : "");
    if (!wt->workflow_id || !wt->run_id || !wt->type) {
        flo_workflow_task_end(&wt);
        return;
    }
    wt->series = flo_series_for_type(queue, FLO_TYPE_WORKFLOW, wt->type);
    if (waited_ns > 0)
        flo_series_observe(FLO_OWN_METRIC(queue, WORKFLOW_SCHEDULE_TO_START),
                           (double)waited_ns / FLO_NS_PER_S);
    if (flo_client_response_damage(worker->client))
        answer_damaged(wt, flo_client_response_damage(worker->client));
    else if (task->next_page_token.len > 0)
        flo_history_fetch(wt, false);
    else
        advance(wt);
}
