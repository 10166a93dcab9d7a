/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manager_scale.c - how many replicas a worker has: from fleet.yaml, by command, by hand.
 *
 * A number that differs from fleet.yaml is kept in STATE_DIR/scale.json, so that a fleet whose
 * supervisor was killed comes back as large as it was. It holds while fleet.yaml asks for the
 * count that it asked for then: who edits the count means it.
 */
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "supervisor/processes/manager_internal.h"

/* ---- workers ---- */

struct flo_managed_worker *flo_manager_find_worker(const struct flo_manager *manager,
                                                   const char *name)
{
    FLO_LIST_FOREACH(node, &manager->workers)
    {
        if (strcmp(FLO_WORKER_AT(node)->name, name) == 0)
            return FLO_WORKER_AT(node);
    }
    return NULL;
}

struct flo_managed_worker *flo_managed_worker_new(struct flo_manager *manager,
                                                  const struct flo_fleet_worker *config,
                                                  size_t order)
{
    struct flo_managed_worker *worker = flo_calloc(1, sizeof *worker);
    if (!worker)
        return NULL;
    *worker = (struct flo_managed_worker){.manager = manager,
                                          .config = config,
                                          .order = order,
                                          .replicas = config->count,
                                          .configured = config->count};
    snprintf(worker->name, sizeof worker->name, "%s", config->name);
    flo_list_push_back(&manager->workers, &worker->node);
    return worker;
}

void flo_managed_worker_free(struct flo_managed_worker *worker)
{
    flo_list_remove(&worker->manager->workers, &worker->node);
    flo_free(worker);
}

void flo_managed_worker_sweep(struct flo_managed_worker *worker)
{
    bool empty = true;
    FLO_LIST_FOREACH(node, &worker->manager->processes)
    {
        empty = empty && FLO_PROCESS_AT(node)->worker != worker;
    }
    if (empty && !worker->config)
        flo_managed_worker_free(worker);
}

/* ---- replicas ---- */

bool flo_process_counts(const struct flo_process *process)
{
    return !process->leaving && !process->replaces;
}

static int64_t count_replicas(const struct flo_managed_worker *worker)
{
    int64_t count = 0;
    FLO_LIST_FOREACH(node, &worker->manager->processes)
    {
        count += FLO_PROCESS_AT(node)->worker == worker && flo_process_counts(FLO_PROCESS_AT(node));
    }
    return count;
}

static bool name_is_taken(const struct flo_manager *manager, const char *name)
{
    FLO_LIST_FOREACH(node, &manager->processes)
    {
        if (strcmp(FLO_PROCESS_AT(node)->name, name) == 0)
            return true;
    }
    return false;
}

/* The first number whose name nobody has: not even one that still finishes its tasks. */
static struct flo_process *add_replica(struct flo_managed_worker *worker)
{
    char name[FLO_PROCESS_NAME_MAX];
    unsigned number = 0;
    do {
        number++;
        if (number == 1 && worker->config->count <= 1)
            snprintf(name, sizeof name, "%s", worker->name);
        else
            snprintf(name, sizeof name, "%.60s-%u", worker->name, number);
    } while (name_is_taken(worker->manager, name));
    return flo_process_new(worker->manager, worker, number, name);
}

void flo_process_retire(struct flo_process *process)
{
    struct flo_managed_worker *worker = process->worker;
    FLO_LIST_FOREACH_SAFE(node, &worker->manager->processes)
    {
        if (FLO_PROCESS_AT(node)->replaces == process) {
            FLO_PROCESS_AT(node)->replaces = NULL; /* first: it would retire nobody, but end here */
            flo_process_retire(FLO_PROCESS_AT(node));
            break;
        }
    }
    if (worker->roll.fresh == process)
        worker->roll.fresh = NULL;
    process->leaving = true;
    process->relaunch = process->to_roll = false;
    if (process->child) {
        flo_process_stop(process);
        return;
    }
    flo_roll_ended(process, "it does not run");
    flo_process_free(process);
}

/* The newest of those that are to run; one that does not run before all others. */
static struct flo_process *pick_newest(const struct flo_managed_worker *worker, bool only_idle)
{
    struct flo_process *newest = NULL;
    FLO_LIST_FOREACH(node, &worker->manager->processes)
    {
        struct flo_process *process = FLO_PROCESS_AT(node);
        if (process->worker == worker && flo_process_counts(process) &&
            (!only_idle || !process->child))
            newest = process;
    }
    return newest;
}

static size_t view_index(const struct flo_manager *manager, const struct flo_process *process)
{
    size_t i = 0;
    FLO_LIST_FOREACH(node, &manager->processes)
    {
        if (FLO_PROCESS_AT(node) == process)
            break;
        i++;
    }
    return i;
}

/* Ask the caller; NULL: none may go now. */
static struct flo_process *pick_by(const struct flo_managed_worker *worker,
                                   flo_manager_pick_fn pick, void *ctx)
{
    struct flo_process_view views[FLO_MANAGER_REPLICAS_MAX];
    struct flo_process *candidates[FLO_MANAGER_REPLICAS_MAX];
    size_t count = 0;
    FLO_LIST_FOREACH(node, &worker->manager->processes)
    {
        struct flo_process *process = FLO_PROCESS_AT(node);
        if (process->worker != worker || !flo_process_counts(process) ||
            count == FLO_MANAGER_REPLICAS_MAX)
            continue;
        flo_manager_view(worker->manager, view_index(worker->manager, process), &views[count]);
        candidates[count++] = process;
    }
    size_t chosen = count ? pick(ctx, views, count) : 0;
    return chosen < count ? candidates[chosen] : NULL;
}

void flo_managed_worker_adjust(struct flo_managed_worker *worker, flo_manager_pick_fn pick,
                               void *pick_ctx)
{
    int64_t count = count_replicas(worker);
    for (; count > worker->replicas; count--) {
        struct flo_process *process = pick_newest(worker, true);
        if (!process)
            process = pick ? pick_by(worker, pick, pick_ctx) : pick_newest(worker, false);
        if (!process) {
            worker->replicas = count;
            return;
        }
        flo_process_retire(process);
    }
    for (; count < worker->replicas; count++) {
        struct flo_process *process = add_replica(worker);
        if (!process) {
            worker->replicas = count; /* no memory */
            return;
        }
        process->added = true;
        flo_process_start(process);
    }
}

/* ---- scale.json ---- */

static void scale_path(const struct flo_manager *manager, char *out, size_t size)
{
    snprintf(out, size, "%s/scale.json", manager->options.state_dir);
}

void flo_manager_save_scale(const struct flo_manager *manager)
{
    char path[PATH_MAX + 16], fresh[PATH_MAX + 24];
    json_t *workers = json_object();
    FLO_LIST_FOREACH(node, &manager->workers)
    {
        const struct flo_managed_worker *worker = FLO_WORKER_AT(node);
        if (worker->config && worker->replicas != worker->config->count)
            (void)json_object_set_new(workers, worker->name,
                                      json_pack("{s:I, s:I}", "replicas",
                                                (json_int_t)worker->replicas, "count",
                                                (json_int_t)worker->config->count));
    }
    json_t *all = json_pack("{s:i, s:o}", "v", 1, "workers", workers);
    scale_path(manager, path, sizeof path);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    if (!all || json_dump_file(all, fresh, JSON_INDENT(2)) || rename(fresh, path))
        flo_log(FLO_LOG_WARN, "scale.save_failed", "The numbers of replicas could not be kept",
                "file", path, NULL);
    json_decref(all);
}

void flo_manager_forget_scale(const struct flo_manager *manager)
{
    char path[PATH_MAX + 16];
    scale_path(manager, path, sizeof path);
    (void)unlink(path);
}

static void remember(struct flo_managed_worker *worker, const json_t *saved)
{
    const json_t *mine = json_object_get(json_object_get(saved, "workers"), worker->name);
    const json_t *replicas = json_object_get(mine, "replicas");
    const json_t *count = json_object_get(mine, "count");
    if (json_is_integer(replicas) && json_is_integer(count) &&
        json_integer_value(count) == worker->config->count && json_integer_value(replicas) >= 0 &&
        json_integer_value(replicas) <= FLO_MANAGER_REPLICAS_MAX)
        worker->replicas = json_integer_value(replicas);
}

int flo_manager_init_workers(struct flo_manager *manager)
{
    char path[PATH_MAX + 16];
    int rc = 0;
    scale_path(manager, path, sizeof path);
    json_t *saved = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    for (size_t i = 0; i < manager->config->workers.count && !rc; i++) {
        struct flo_managed_worker *worker =
            flo_managed_worker_new(manager, flo_fleet_config_worker(manager->config, i), i);
        if (!worker) {
            rc = FLO_ENOMEM;
            break;
        }
        remember(worker, saved);
        for (int64_t n = 0; n < worker->replicas && !rc; n++)
            rc = add_replica(worker) ? 0 : FLO_ENOMEM;
    }
    json_decref(saved);
    return rc;
}

/* ---- commands ---- */

int flo_manager_scale(struct flo_manager *manager, const char *name, int64_t replicas,
                      flo_manager_pick_fn pick, void *pick_ctx, struct flo_err *err)
{
    struct flo_managed_worker *worker = flo_manager_find_worker(manager, name);
    if (manager->stopping)
        return flo_fail(err, FLO_ECLOSED, "the fleet is stopping");
    if (!worker || !worker->config)
        return flo_fail(err, FLO_ENOENT, "the fleet has no worker '%.80s'", name);
    if (replicas < 0 || replicas > FLO_MANAGER_REPLICAS_MAX)
        return flo_fail(err, FLO_ELIMIT, "%lld processes of %s are not possible; 0 to %d are",
                        (long long)replicas, name, FLO_MANAGER_REPLICAS_MAX);
    const struct flo_fleet_worker *config = worker->config;
    if (config->autoscale.enabled == FLO_AUTOSCALE_ON &&
        (replicas < config->autoscale.min || replicas > config->autoscale.max))
        return flo_fail(err, FLO_ELIMIT,
                        "%lld processes of %s are not possible: it follows its load with %lld to "
                        "%lld (autoscale.min, autoscale.max)",
                        (long long)replicas, name, (long long)config->autoscale.min,
                        (long long)config->autoscale.max);
    const int64_t before = worker->replicas;
    worker->replicas = replicas;
    flo_managed_worker_adjust(worker, pick, pick_ctx);
    if (worker->replicas != before) {
        flo_manager_tell(manager, FLO_LOG_INFO, "worker.scaled", worker->name,
                         "The worker has another number of processes",
                         json_pack("{s:I, s:I}", "from", (json_int_t)before, "to",
                                   (json_int_t)worker->replicas));
        flo_manager_save_scale(manager);
        manager->options.on_change(manager->options.ctx);
    }
    return 0;
}

/* Call fn for the replicas that name means: a worker's, or one. FLO_ENOENT; FLO_EINVAL: the engine.
 */
static int for_named(struct flo_manager *manager, const char *name,
                     void (*fn)(struct flo_process *process), struct flo_err *err)
{
    const struct flo_managed_worker *worker = flo_manager_find_worker(manager, name);
    bool found = worker != NULL;
    if (manager->stopping)
        return flo_fail(err, FLO_ECLOSED, "the fleet is stopping");
    if (strcmp(name, "engine") == 0)
        return flo_fail(err, FLO_EINVAL, "the engine is not stopped alone; workers need it");
    FLO_LIST_FOREACH(node, &manager->processes)
    {
        struct flo_process *process = FLO_PROCESS_AT(node);
        bool mine = worker ? process->worker == worker : strcmp(process->name, name) == 0;
        if (mine && !process->leaving) {
            found = true;
            fn(process);
        }
    }
    return found ? 0 : flo_fail(err, FLO_ENOENT, "the fleet has no worker '%.80s'", name);
}

static void hold(struct flo_process *process)
{
    const struct flo_roll *roll = &process->worker->roll;
    if (process->held)
        return;
    process->held = true;
    process->relaunch = false;
    if (roll->fresh && (roll->fresh == process || roll->fresh->replaces == process))
        flo_roll_abort(process->worker, "it was stopped by hand");
    if (process->child) {
        flo_process_stop(process);
        return;
    }
    event_del(process->timer);
    flo_process_set_state(process, FLO_PROCESS_STOPPED);
}

static void let_go(struct flo_process *process)
{
    const bool was_held = process->held;
    process->held = false;
    if (was_held && process->child)
        process->relaunch = true; /* as soon as it has ended */
    if (!process->child)
        flo_process_start(process);
}

int flo_manager_stop_one(struct flo_manager *manager, const char *name, struct flo_err *err)
{
    return for_named(manager, name, hold, err);
}

int flo_manager_start_one(struct flo_manager *manager, const char *name, struct flo_err *err)
{
    return for_named(manager, name, let_go, err);
}
