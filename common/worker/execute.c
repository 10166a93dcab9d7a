/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execute.c - a workflow task between its poll and its answer, as the loop sees it: to the thread
 * of its run, which advances that (advance.c), and on with what comes back: an answer, local
 * activities to be run, or the wish for a whole history.
 *
 * A task and all that belongs to it is the thread's while wt->at_work, else the loop's.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/utf8.h"
#include "executor/cores.h"
#include "wire/failure.h"
#include "wire/payload.h"
#include "worker/local.h"
#include "worker/replays.h"
#include "worker/worker.h"
#include "workflow/run.h"

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
    flo_execute_drop_run(worker, &wt->run);
    flo_replays_leave(wt);
    flo_deadlock_forget(wt);
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

/* ---- errands: what the thread of a run is to do besides tasks ---- */

static struct flo_errand *errand_new(enum flo_errand_kind kind, const char *run_id)
{
    size_t len = run_id ? strlen(run_id) + 1 : 1;
    struct flo_errand *errand = flo_calloc(1, sizeof *errand + len);

    if (!errand)
        return NULL;
    errand->job.kind = FLO_SHARD_JOB_ERRAND;
    errand->kind = kind;
    if (run_id)
        memcpy(errand->run_id, run_id, len);
    return errand;
}

void flo_execute_drop_run(struct flo_worker *worker, struct flo_run **run)
{
    struct flo_run *gone = *run;
    struct flo_errand *errand;

    *run = NULL;
    if (!gone)
        return;
    errand = worker->shards->stopped ? NULL : errand_new(FLO_ERRAND_DESTROY, NULL);
    if (!errand) { /* no thread runs its code any more, or: no memory is worse than a stack here */
        flo_run_destroy(&gone);
        return;
    }
    errand->run = gone;
    flo_shards_submit(flo_shards_of_run(worker->shards, flo_run_id(gone)), &errand->job);
}

/* Without memory a run stays that is not what history says: its next task finds that out. */
static void send_errand(struct flo_worker *worker, struct flo_shard *shard,
                        struct flo_errand *errand)
{
    if (errand && !worker->shards->stopped)
        flo_shards_submit(shard, &errand->job);
    else
        flo_free(errand);
}

void flo_execute_evict(struct flo_workflow_task *wt)
{
    struct flo_shards *shards = wt->worker->shards;

    if (shards->caching)
        send_errand(wt->worker, flo_shards_of_run(shards, wt->run_id),
                    errand_new(FLO_ERRAND_EVICT, wt->run_id));
}

void flo_execute_reset_run(struct flo_workflow_task *wt, int64_t event_id)
{
    struct flo_shards *shards = wt->worker->shards;
    struct flo_errand *errand = shards->caching ? errand_new(FLO_ERRAND_RESET, wt->run_id) : NULL;

    if (errand)
        errand->event_id = event_id;
    send_errand(wt->worker, flo_shards_of_run(shards, wt->run_id), errand);
}

/* A cache is over the bound that all share, and has no more than its part: the fullest pays. */
static void trim_fullest(struct flo_worker *worker, const struct flo_shard *but)
{
    struct flo_shards *shards = worker->shards;
    struct flo_shard *fullest = NULL;
    size_t most = 0;

    for (unsigned i = 0; i < shards->count; i++) {
        struct flo_run_cache_stats stats;
        if (&shards->of[i] == but)
            continue;
        pthread_mutex_lock(&shards->of[i].cache_mu);
        flo_run_cache_stats(shards->of[i].cache, &stats);
        pthread_mutex_unlock(&shards->of[i].cache_mu);
        if (stats.bytes > most) {
            most = stats.bytes;
            fullest = &shards->of[i];
        }
    }
    if (fullest)
        send_errand(worker, fullest, errand_new(FLO_ERRAND_TRIM, NULL));
}

/* ---- to the thread ---- */

void flo_execute_step(struct flo_workflow_task *wt, enum flo_step step)
{
    wt->step = step;
    wt->at_work = true;
    flo_shards_submit(flo_shards_of_run(wt->worker->shards, wt->run_id), &wt->job);
    flo_deadlock_watch(wt->worker);
}

/* Does it begin with the first event, of a run that has been at work before? */
static bool is_whole_replay(const struct flo_workflow_task *wt)
{
    const FloApi__PollWorkflowTaskQueueResponse *task = wt->task;

    return !wt->run && task->history && task->history->n_events > 0 &&
           task->history->events[0]->event_id == 1 &&
           (task->previous_started_event_id > 0 || task->query);
}

void flo_execute_workflow_resume(struct flo_workflow_task *wt)
{
    flo_local_take(wt);
    if (!is_whole_replay(wt) || flo_replays_enter(wt))
        flo_execute_step(wt, FLO_STEP_ACTIVATE);
}

void flo_execute_replay(struct flo_workflow_task *wt)
{
    if (wt->wants_history)
        flo_history_fetch(wt, true);
    else
        flo_execute_step(wt, FLO_STEP_ACTIVATE);
}

/* ---- and back ---- */

static void say_gap(const struct flo_workflow_task *wt)
{
    flo_log(FLO_LOG_WARN, "history.gap", "A history does not reach its first event", "workflow_id",
            wt->workflow_id, "run_id", wt->run_id, NULL);
}

static void activated(struct flo_workflow_task *wt)
{
    flo_series_observe(FLO_TASK_METRIC(wt, WORKFLOW_REPLAY_LATENCY),
                       (double)wt->ran_ns / FLO_NS_PER_S);
    flo_replays_leave(wt);
    if (wt->activation.outcome == FLO_ACTIVATION_OPEN) {
        flo_local_hold(wt);
        return;
    }
    if (wt->local)
        flo_local_release(wt, &wt->activation);
    flo_respond_workflow(wt, &wt->activation);
}

static void stepped(struct flo_workflow_task *wt)
{
    switch (wt->came) {
    case FLO_CAME_ANSWERED:
        if (wt->step == FLO_STEP_ACTIVATE)
            activated(wt);
        else
            flo_local_stepped(wt);
        break;
    case FLO_CAME_WANTING_HISTORY:
        if (wt->whole) {
            say_gap(wt);
            flo_workflow_task_end(&wt);
            break;
        }
        wt->wants_history = true;
        if (flo_replays_enter(wt))
            flo_history_fetch(wt, true);
        break;
    case FLO_CAME_WITHOUT_MEMORY: /* the server gives the task to somebody else */
        flo_workflow_task_end(&wt);
        break;
    }
}

void flo_execute_dropped(void *ctx, struct flo_shard_job *job)
{
    struct flo_errand *errand;

    (void)ctx;
    if (job->kind != FLO_SHARD_JOB_ERRAND) /* tasks end with the worker */
        return;
    errand = flo_container(job, struct flo_errand, job);
    flo_run_destroy(&errand->run);
    flo_free(errand);
}

void flo_execute_done(void *ctx, struct flo_shard_job *job, bool late)
{
    struct flo_worker *worker = ctx;
    struct flo_workflow_task *wt;

    if (job->kind == FLO_SHARD_JOB_ERRAND) {
        flo_free(flo_container(job, struct flo_errand, job));
        return;
    }
    wt = flo_container(job, struct flo_workflow_task, job);
    if (late) {
        flo_deadlock_over(wt);
        return;
    }
    wt->at_work = false;
    if (wt->over) {
        wt->over = false;
        trim_fullest(worker, flo_shards_of_run(worker->shards, wt->run_id));
    }
    if (wt->unwanted) {
        flo_count_workflow(wt, FLO_END_UNWANTED);
        flo_workflow_task_end(&wt);
        return;
    }
    stepped(wt);
    if (worker->polls_due)
        flo_poll_fill(worker);
}

/* ---- start ---- */

static void warn_threadless(void *ctx, const char *message)
{
    (void)ctx;
    flo_log(FLO_LOG_WARN, "workflow.threadless",
            "A thread for workflows cannot be made: the event loop runs their code", "reason",
            message, NULL);
}

/* `executors`: threads for workflow code. */
int flo_execute_start(struct flo_worker *worker, struct flo_err *err)
{
    struct flo_role_config *config = worker->config;
    struct flo_shards_options options = {.base = worker->base,
                                         .count = (unsigned)config->executors,
                                         .run = flo_advance,
                                         .done = flo_execute_done,
                                         .drop = flo_execute_dropped,
                                         .on_warning = warn_threadless,
                                         .ctx = worker};
    struct flo_cores cores;
    int rc;

    if (config->executors < 0) {
        flo_cores_read("", &cores);
        options.count = flo_cores_fit(&cores);
    }
    if (config->random_eviction.rate > 0) {
        if (config->random_eviction.seed == 0)
            config->random_eviction.seed = (int64_t)(flo_random_u64() % 1000000 + 1);
        flo_log(FLO_LOG_WARN, "cache.random_eviction",
                "Runs leave the cache by chance, as the settings want it", "#rate",
                FLO_NUM(config->random_eviction.rate), "#seed",
                FLO_NUM(config->random_eviction.seed), NULL);
    }
    options.seed = (uint64_t)config->random_eviction.seed;
    rc = flo_shards_new(&options, (size_t)config->sticky_cache.max_bytes,
                        (size_t)config->sticky_cache.max_entries, &worker->shards, err);
    if (rc)
        return rc;
    flo_replays_init(worker);
    return flo_deadlock_start(worker, err);
}

/* ---- a task comes ---- */

/* A codec could not decode the task: its code never sees it. */
static void answer_damaged(struct flo_workflow_task *wt, const char *reason)
{
    struct flo_activation activation = {
        .outcome = FLO_ACTIVATION_FAIL,
        .cause =
            FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE,
        .failure = flo_failure_application(&wt->arena, reason, FLO_FAILURE_CODEC, false, NULL, 0)};

    if (wt->task->query) { /* its token takes no task failure */
        char *query_error = flo_arena_strdup(&wt->arena, reason);
        activation = (struct flo_activation){
            .outcome = FLO_ACTIVATION_QUERY,
            .query_type = FLO_API__QUERY_RESULT_TYPE__QUERY_RESULT_TYPE_FAILED,
            .query_error = query_error ? flo_utf8_mend(query_error) : NULL};
    }
    flo_respond_workflow(wt, &activation);
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
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
    flo_client_keep_response(worker->client, &wt->arena);
    flo_list_push_back(&worker->workflow_tasks, &wt->node);
    wt->workflow_id = or_empty(execution ? execution->workflow_id : NULL);
    wt->run_id = or_empty(execution ? execution->run_id : NULL);
    wt->type = or_empty(task->workflow_type ? task->workflow_type->name : NULL);
    wt->series = flo_series_for_type(queue, FLO_TYPE_WORKFLOW, wt->type);
    if (waited_ns > 0)
        flo_series_observe(FLO_OWN_METRIC(queue, WORKFLOW_SCHEDULE_TO_START),
                           (double)waited_ns / FLO_NS_PER_S);
    if (flo_client_response_damage(worker->client))
        answer_damaged(wt, flo_client_response_damage(worker->client));
    else if (flo_deadlock_holds(worker, wt->run_id))
        flo_deadlock_refuse(wt);
    else if (task->next_page_token.len > 0)
        flo_history_fetch(wt, false);
    else
        flo_execute_workflow_resume(wt);
}
