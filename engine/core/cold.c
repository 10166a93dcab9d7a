/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cold.c - idle runs leave memory when the budget is used up, and come back.
 *
 * core->residents is the order in which runs were last stored: the first ones have been idle for
 * longest. Each look takes a bounded number from its front; a run that cannot go (it has a task, a
 * waiter, something unsaved, a near deadline) goes to the end instead. How much runs take is an
 * estimate that is made anew when a run is stored, which costs a few additions.
 */
#include "engine/core/cold.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/namespace.h"
#include "engine/core/run.h"
#include "engine/core/runs.h"
#include "engine/core/update.h"

/* So many runs are looked at after a step at most. */
#define LOOK_MAX 64
/* A deadline that is nearer keeps a run in memory. */
#define NEAR_NS FLO_NS_PER_S

struct cold {
    struct flo_core_timer timer; /* the earliest deadline of the run; not set: it has none */
    struct flo_index_node by_run_id, by_workflow_id; /* in core->cold_runs, core->cold_ids */
    uint64_t key;
};

/* ---- how much ---- */

/* What malloc adds, and small parts that are not worth counting one by one. */
enum { RUN_EXTRA = 400, ACTIVITY_EXTRA = 200, TIMER_BYTES = 200, CHILD_BYTES = 250 };

static size_t weight(const struct flo_execution *execution)
{
    return sizeof *execution + RUN_EXTRA + execution->history.cap +
           execution->history.index_cap * sizeof *execution->history.index +
           execution->activity_count * (sizeof(struct flo_core_activity) + ACTIVITY_EXTRA) +
           execution->child_count * CHILD_BYTES + flo_user_timers_count(execution) * TIMER_BYTES +
           execution->memo.len + execution->search_attributes.len + execution->reset_points.len +
           execution->user_metadata.len + execution->buffered_bytes;
}

void flo_core_weigh(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_core_run_hooks *hooks = &execution->hooks;
    const size_t bytes = weight(execution);
    if (!flo_node_linked(&hooks->resident))
        return; /* removed, and only waits for its commit */
    core->resident_bytes -= hooks->bytes;
    hooks->bytes = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
    core->resident_bytes += hooks->bytes;
    flo_list_remove(&core->residents, &hooks->resident);
    flo_list_push_back(&core->residents, &hooks->resident);
}

void flo_core_unweigh(struct flo_core *core, struct flo_execution *execution)
{
    core->resident_bytes -= execution->hooks.bytes;
    execution->hooks.bytes = 0;
}

/* ---- back ---- */

static void forget(struct flo_core *core, struct cold *cold)
{
    flo_core_timers_clear(&core->timers, &cold->timer);
    flo_index_remove(&core->cold_runs, &cold->by_run_id);
    flo_index_remove(&core->cold_ids, &cold->by_workflow_id);
    core->open_runs--; /* it comes back, or it is lost */
    flo_free(cold);
}

struct loading {
    struct flo_core *core;
    struct flo_execution *execution;
};

static int on_stored(void *ctx, const struct flo_core_stored_run *run,
                     const struct flo_core_history_batch *batches, size_t count,
                     struct flo_err *err)
{
    struct loading *loading = ctx;
    if (run->status != FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_RUNNING &&
        run->status != FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_PAUSED)
        return FLO_ENOENT;
    if (strlen(run->run_id) == FLO_UUID_LEN &&
        (flo_core_in_memory(loading->core, run->run_id) ||
         flo_index_first(&loading->core->cold_runs, flo_core_hash_run(run->run_id))))
        return FLO_ENOENT; /* it came before its turn */
    int rc = flo_execution_load(loading->core, run, batches, count, err);
    if (!rc)
        loading->execution = flo_core_in_memory(loading->core, run->run_id);
    return rc;
}

/* The run of this key from the store into memory. NULL: it is not open, is here already or is
 * damaged; or the core has failed. restarted: it comes from before the process's start. */
static struct flo_execution *load(struct flo_core *core, uint64_t key, bool restarted)
{
    struct loading loading = {.core = core};
    struct flo_err err;
    struct flo_arena scratch = core->scratch; /* what the step has built stays as it is */
    if (flo_core_is_deleted(core, key))
        return NULL;
    flo_arena_init(&core->scratch, 0);
    int rc = core->env.store.load(core->env.store.ctx, key, on_stored, &loading, &err);
    flo_arena_fini(&core->scratch);
    core->scratch = scratch;
    if (rc && rc != FLO_ENOENT && rc != FLO_EDATA)
        flo_core_set_fatal_as(core, rc == FLO_ENOMEM ? rc : FLO_EIO);
    if (rc || core->fatal)
        return NULL;
    flo_execution_resume(core, loading.execution, restarted);
    return loading.execution;
}

static struct flo_execution *bring_back(struct flo_core *core, struct cold *cold)
{
    const uint64_t key = cold->key;
    forget(core, cold);
    return load(core, key, false);
}

static void on_deadline(struct flo_core *core, struct flo_core_timer *timer)
{
    bring_back(core, flo_container(timer, struct cold, timer)); /* its own timers are due now */
}

bool flo_core_has_cold(const struct flo_core *core)
{
    return core->cold_runs.count > 0 || core->unseen_runs > 0;
}

/* One that no flo_core_wake has come to. */
static struct flo_execution *find_unseen(struct flo_core *core, const struct flo_namespace *ns,
                                         const char *workflow_id, const char *run_id)
{
    uint64_t key;
    if (core->unseen_runs == 0)
        return NULL;
    int rc =
        core->env.store.locate(core->env.store.ctx, ns ? ns->id : NULL, workflow_id, run_id, &key);
    if (rc && rc != FLO_ENOENT)
        flo_core_set_fatal_as(core, FLO_EIO);
    return rc ? NULL : load(core, key, true);
}

void flo_core_cold_wake(struct flo_core *core, uint64_t key)
{
    if (core->fatal || core->unseen_runs == 0)
        return;
    load(core, key, true);
    core->unseen_runs--;
}

static bool is_wanted(const struct flo_execution *execution, const struct flo_namespace *ns,
                      const char *workflow_id, const char *run_id)
{
    return (!*run_id || strcmp(execution->run_id, run_id) == 0) &&
           (!ns || (execution->hooks.ns == ns && strcmp(execution->workflow_id, workflow_id) == 0));
}

struct flo_execution *flo_core_cold_find(struct flo_core *core, const struct flo_namespace *ns,
                                         const char *workflow_id, const char *run_id)
{
    struct flo_index_node *node;
    struct flo_execution *execution = NULL;
    if (core->fatal || (*run_id && strlen(run_id) != FLO_UUID_LEN))
        return NULL;
    if (*run_id) {
        node = flo_index_first(&core->cold_runs, flo_core_hash_run(run_id));
        if (node)
            execution = bring_back(core, flo_container(node, struct cold, by_run_id));
    } else {
        node = flo_index_first(&core->cold_ids, flo_core_hash_workflow(ns, workflow_id));
        if (node)
            execution = bring_back(core, flo_container(node, struct cold, by_workflow_id));
    }
    if (!node)
        execution = find_unseen(core, ns, workflow_id, run_id);
    return execution && is_wanted(execution, ns, workflow_id, run_id) ? execution : NULL;
}

/* ---- away ---- */

static void earlier(int64_t *deadline, const struct flo_core_timer *timer)
{
    if (flo_core_timer_is_set(timer) && timer->deadline_ns < *deadline)
        *deadline = timer->deadline_ns;
}

/* When something is due in the run; INT64_MAX: never. */
static int64_t next_deadline(const struct flo_execution *execution)
{
    int64_t next = INT64_MAX;
    earlier(&next, &execution->run_timer);
    earlier(&next, &execution->workflow_task.timer);
    if (execution->user_timers)
        earlier(&next, &execution->user_timers->first);
    for (size_t i = 0; i < execution->activity_count; i++)
        earlier(&next, &execution->activities[i]->timer);
    return next;
}

/* Is all of it in the store, and does nobody in the core point to it? */
static bool is_idle(const struct flo_core *core, const struct flo_execution *execution)
{
    const struct flo_core_run_hooks *hooks = &execution->hooks;
    const struct flo_updates *updates = execution->updates;
    if (!flo_execution_is_open(execution) || flo_node_linked(&hooks->dirty) ||
        flo_node_linked(&hooks->touched) || flo_node_linked(&hooks->closed) ||
        flo_node_linked(&execution->unsettled) || hooks->dirty_seq > core->committed_seq ||
        execution->workflow_task.stage != FLO_CORE_WORKFLOW_TASK_NONE ||
        flo_node_linked(&hooks->workflow_task.node) || !flo_list_empty(&hooks->history_waiters) ||
        !flo_list_empty(&hooks->queries) || !flo_list_empty(&execution->buffered) ||
        !flo_list_empty(&execution->outbound) ||
        execution->history.stored_next_id != execution->history.next_event_id ||
        (updates && (updates->in_flight > 0 || !flo_list_empty(&updates->active))))
        return false;
    for (size_t i = 0; i < execution->activity_count; i++)
        if (flo_node_linked(&execution->activities[i]->task.node))
            return false;
    return true;
}

/* It stays when there is no memory to remember it by. */
static void let_go(struct flo_core *core, struct flo_execution *execution, int64_t deadline)
{
    struct cold *cold = flo_calloc(1, sizeof *cold);
    if (!cold)
        return;
    cold->key = execution->hooks.key;
    if (flo_index_add(&core->cold_runs, &cold->by_run_id, flo_core_hash_run(execution->run_id)))
        goto no_memory;
    if (flo_index_add(&core->cold_ids, &cold->by_workflow_id,
                      flo_core_hash_workflow(execution->hooks.ns, execution->workflow_id)))
        goto no_memory_ids;
    if (deadline != INT64_MAX &&
        flo_core_timers_set(&core->timers, &cold->timer, deadline, on_deadline))
        goto no_memory_timer;
    flo_execution_destroy(core, &execution);
    core->open_runs++; /* it is still open */
    return;
no_memory_timer:
    flo_index_remove(&core->cold_ids, &cold->by_workflow_id);
no_memory_ids:
    flo_index_remove(&core->cold_runs, &cold->by_run_id);
no_memory:
    flo_free(cold);
}

void flo_core_cool(struct flo_core *core)
{
    const size_t budget = (size_t)core->options.memory_limit;
    if (core->resident_bytes <= budget || !core->env.store.load || core->fatal)
        return;
    for (size_t i = 0; i < LOOK_MAX && core->resident_bytes > budget; i++) {
        struct flo_node *node = flo_list_pop_front(&core->residents);
        if (!node)
            return;
        flo_list_push_back(&core->residents, node);
        struct flo_execution *execution =
            flo_container(node, struct flo_core_run_hooks, resident)->execution;
        const int64_t deadline = next_deadline(execution);
        if (deadline > flo_add_ns(core->now_ns, NEAR_NS) && is_idle(core, execution))
            let_go(core, execution, deadline);
    }
}

void flo_core_cold_fini(struct flo_core *core)
{
    while (core->cold_runs.count > 0)
        for (size_t i = 0; i < core->cold_runs.bucket_count; i++)
            while (core->cold_runs.buckets[i])
                forget(core, flo_container(core->cold_runs.buckets[i], struct cold, by_run_id));
    flo_index_fini(&core->cold_runs);
    flo_index_fini(&core->cold_ids);
}
