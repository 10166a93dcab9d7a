/* SPDX-License-Identifier: Apache-2.0 */
/*
 * advance.c - the work of a shard's thread: find the task's run in the cache or make a new one,
 * see whether the history goes on where that stands, run its code, put it away. Whatever touches a
 * run's code or memory is here; nothing here touches what is the loop's.
 *
 * A run belongs to the cache except while it is advanced, so a second task of the same run (a
 * query) never finds it half way.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "worker/worker.h"
#include "workflow/run.h"

/* What one task may take: the largest history that a server keeps (50 MiB), unpacked, and the
 * answer. More is refused, not swallowed. */
#define TASK_BYTES_MAX ((size_t)512 << 20)
/* An answer that has grown by this is sent: no message may be larger than 4 MiB. */
#define ANSWER_BYTES ((size_t)1 << 20)

static flo_workflow_fn look_up(void *ctx, const char *type)
{
    return flo_registry_workflow(ctx, type);
}

/* ---- the cache ---- */

static struct flo_run *take(struct flo_shard *shard, const char *run_id)
{
    struct flo_run *run;

    if (!shard->cache)
        return NULL;
    pthread_mutex_lock(&shard->cache_mu);
    run = flo_run_cache_take(shard->cache, run_id);
    pthread_mutex_unlock(&shard->cache_mu);
    return run;
}

static void count(struct flo_shard *shard, enum flo_evict_reason reason)
{
    if (!shard->cache)
        return;
    pthread_mutex_lock(&shard->cache_mu);
    flo_run_cache_count(shard->cache, reason);
    pthread_mutex_unlock(&shard->cache_mu);
}

/* By chance, to see that nothing depends on the cache: FLOTILLA_RANDOM_EVICTION. */
static bool is_picked(const struct flo_worker *worker, struct flo_shard *shard)
{
    return worker->config->random_eviction.rate > 0 &&
           flo_rng_unit(&shard->rng) < worker->config->random_eviction.rate;
}

/* Why the run is not kept; FLO_EVICT_REASONS: it is. */
static enum flo_evict_reason reason_to_drop(struct flo_shard *shard,
                                            const struct flo_workflow_task *wt)
{
    const struct flo_activation *a = &wt->activation;

    if (wt->came != FLO_CAME_ANSWERED || a->outcome == FLO_ACTIVATION_FAIL)
        return FLO_EVICT_FAILED;
    if (a->outcome == FLO_ACTIVATION_COMPLETE && a->closes)
        return FLO_EVICT_CLOSED;
    return is_picked(wt->worker, shard) ? FLO_EVICT_FORCED : FLO_EVICT_REASONS;
}

/* Put the run away after its task: into the cache when it may be needed again. */
static void put_away(struct flo_shard *shard, struct flo_workflow_task *wt, struct flo_run *run)
{
    enum flo_evict_reason reason;

    if (!shard->cache) {
        flo_run_destroy(&run);
        return;
    }
    pthread_mutex_lock(&shard->cache_mu);
    if (!flo_shard_given_up()) { /* else all that is the shard's is another thread's */
        reason = reason_to_drop(shard, wt);
        wt->picked = reason == FLO_EVICT_FORCED &&
                     wt->activation.outcome == FLO_ACTIVATION_COMPLETE &&
                     flo_rng_unit(&shard->rng) < 0.5;
        if (reason != FLO_EVICT_REASONS)
            flo_run_cache_count(shard->cache, reason);
        else if (flo_run_cache_put(shard->cache, run) == 0)
            run = NULL; /* handed over */
        wt->over = flo_run_cache_over(shard->cache);
    }
    pthread_mutex_unlock(&shard->cache_mu);
    flo_run_destroy(&run);
}

/* ---- steps ---- */

/* The run for the task: handed over with it, cached, or new. NULL without memory. */
static struct flo_run *run_for(struct flo_shard *shard, struct flo_workflow_task *wt)
{
    struct flo_worker *worker = wt->worker;
    struct flo_run *run = wt->run;

    wt->run = NULL;
    if (run)
        return run;
    run = take(shard, wt->run_id);
    if (run && flo_run_missing_history(run, wt->task)) {
        flo_run_destroy(&run); /* a gap: start over */
        count(shard, FLO_EVICT_GAP);
    }
    if (!run &&
        flo_run_new(&worker->run_env, look_up, worker->registry, wt->workflow_id, wt->run_id, &run))
        return NULL;
    return run;
}

/* What came of a call of the runtime's: an open task's run goes back to the loop with it. */
static void conclude(struct flo_shard *shard, struct flo_workflow_task *wt, struct flo_run *run,
                     int rc, bool keep)
{
    wt->came = rc ? FLO_CAME_WITHOUT_MEMORY : FLO_CAME_ANSWERED;
    if (!rc && (keep || wt->activation.outcome == FLO_ACTIVATION_OPEN))
        wt->run = run;
    else
        put_away(shard, wt, run);
}

static void activate(struct flo_shard *shard, struct flo_workflow_task *wt)
{
    int64_t began_ns = flo_clock_mono_ns();
    struct flo_run *run = run_for(shard, wt);
    int rc;

    if (!run) {
        wt->came = FLO_CAME_WITHOUT_MEMORY;
        return;
    }
    if (flo_run_missing_history(run, wt->task)) {
        flo_run_destroy(&run);
        wt->came = FLO_CAME_WANTING_HISTORY;
        return;
    }
    wt->arena.budget_bytes = TASK_BYTES_MAX;
    rc = flo_run_activate(run, wt->task, &wt->arena, &wt->activation);
    conclude(shard, wt, run, rc, false);
    wt->ran_ns = flo_clock_mono_ns() - began_ns;
}

/* Hand results over until the loop has something to do about one of them. */
static void resolve(struct flo_shard *shard, struct flo_workflow_task *wt)
{
    struct flo_run *run = wt->run;
    struct flo_activation *a = &wt->activation;
    size_t held_bytes = wt->arena.held_bytes;
    int rc = 0;

    wt->run = NULL;
    wt->results_taken = 0;
    do
        rc = flo_run_resolve_local(run, wt->task, wt->results[wt->results_taken++], &wt->arena, a);
    while (!rc && wt->results_taken < wt->result_count && a->outcome == FLO_ACTIVATION_OPEN &&
           a->local_start_count == 0 && a->local_cancel_count == 0 &&
           wt->arena.held_bytes - held_bytes <= ANSWER_BYTES);
    conclude(shard, wt, run, rc, false);
}

static void yield_task(struct flo_shard *shard, struct flo_workflow_task *wt)
{
    struct flo_run *run = wt->run;
    int rc = flo_run_yield_task(run, wt->task, &wt->arena, &wt->activation);

    wt->run = NULL;
    conclude(shard, wt, run, rc, true);
}

/* ---- errands ---- */

static void reset_run(struct flo_shard *shard, const struct flo_errand *errand)
{
    struct flo_run *run = flo_run_cache_take(shard->cache, errand->run_id);

    if (!run)
        return;
    flo_run_reset_to(run, errand->event_id);
    if (flo_run_cache_put(shard->cache, run))
        flo_run_destroy(&run);
}

static void run_errand(struct flo_shard *shard, struct flo_errand *errand)
{
    flo_run_destroy(&errand->run);
    if (!shard->cache)
        return;
    pthread_mutex_lock(&shard->cache_mu);
    if (errand->kind == FLO_ERRAND_EVICT)
        flo_run_cache_evict(shard->cache, errand->run_id, FLO_EVICT_FAILED);
    else if (errand->kind == FLO_ERRAND_RESET)
        reset_run(shard, errand);
    else if (errand->kind == FLO_ERRAND_TRIM)
        flo_run_cache_trim(shard->cache);
    pthread_mutex_unlock(&shard->cache_mu);
}

void flo_advance(struct flo_shard *shard, struct flo_shard_job *job)
{
    struct flo_workflow_task *wt;

    if (job->kind == FLO_SHARD_JOB_ERRAND) {
        run_errand(shard, flo_container(job, struct flo_errand, job));
        return;
    }
    wt = flo_container(job, struct flo_workflow_task, job);
    wt->activation = (struct flo_activation){0};
    if (!flo_shard_is_thread()) /* but the loop's */
        wt->worker->advancing = wt;
    switch (wt->step) {
    case FLO_STEP_ACTIVATE:
        activate(shard, wt);
        break;
    case FLO_STEP_RESOLVE:
        resolve(shard, wt);
        break;
    case FLO_STEP_YIELD:
        yield_task(shard, wt);
        break;
    }
    if (!flo_shard_is_thread())
        wt->worker->advancing = NULL;
}
