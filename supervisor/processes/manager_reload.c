/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manager_reload.c - fleet.yaml read again while the fleet runs: entries are told by their names;
 * what a replica runs with is compared with what it would be started with now.
 */
#include <event2/event.h>
#include <string.h>

#include "supervisor/processes/manager_internal.h"

struct summary {
    int added, removed, changed;
};

/* Settings that are read once: they stay, and that is said. */
static void tell_what_stays(struct flo_manager *manager, struct flo_fleet_config *fresh)
{
    const struct flo_fleet_config *old = manager->config;
    const struct {
        const char *key;
        bool differs;
    } rows[] = {
        {"state_dir", strcmp(old->state_dir, fresh->state_dir) != 0},
        {"engine.enabled", old->engine.enabled != fresh->engine.enabled},
        {"engine.listen", strcmp(old->engine.listen, fresh->engine.listen) != 0},
        {"supervisor", strcmp(old->supervisor.endpoint, fresh->supervisor.endpoint) != 0},
        {"health", old->health.port != fresh->health.port ||
                       strcmp(old->health.host, fresh->health.host) != 0},
        {"metrics", old->metrics.port != fresh->metrics.port ||
                        strcmp(old->metrics.host, fresh->metrics.host) != 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].differs)
            flo_manager_tell(manager, FLO_LOG_WARN, "fleet.setting_stays", "fleet",
                             "A changed setting holds from the next start of the fleet on",
                             json_pack("{s:s}", "setting", rows[i].key));
    fresh->engine.enabled = old->engine.enabled;
}

/* Match the entries with what is there; those that are there no more have no config. */
static int match_workers(struct flo_manager *manager, const struct flo_fleet_config *fresh,
                         struct summary *summary)
{
    FLO_LIST_FOREACH(node, &manager->workers)
    {
        FLO_WORKER_AT(node)->config = NULL;
    }
    int rc = 0;
    for (size_t i = 0; i < fresh->workers.count; i++) {
        const struct flo_fleet_worker *entry = flo_fleet_config_worker(fresh, i);
        struct flo_managed_worker *worker = flo_manager_find_worker(manager, entry->name);
        if (!worker) {
            worker = flo_managed_worker_new(manager, entry, i);
            if (!worker) { /* the others go on */
                rc = FLO_ENOMEM;
                continue;
            }
            worker->configured = -1;
            summary->added++;
        }
        worker->config = entry;
        worker->order = i;
        if (worker->configured != entry->count)
            worker->replicas = entry->count;
        worker->configured = entry->count;
    }
    return rc;
}

static void retire_all(struct flo_managed_worker *worker)
{
    worker->replicas = 0;
    flo_roll_abort(worker, "it was removed from the fleet's file");
    FLO_LIST_FOREACH_SAFE(node, &worker->manager->processes)
    {
        struct flo_process *process = FLO_PROCESS_AT(node);
        if (process->worker == worker && !process->leaving)
            flo_process_retire(process);
    }
}

/* A replacement on its way that is out of date itself: its predecessor is replaced anew. */
static void drop_stale_replacement(struct flo_managed_worker *worker)
{
    struct flo_process *fresh = worker->roll.fresh;
    struct flo_process *old = fresh ? fresh->replaces : NULL;
    if (!old || !flo_process_changed(fresh))
        return;
    fresh->replaces = NULL;
    flo_process_retire(fresh);
    old->to_roll = true;
}

static void mark_changed(struct flo_manager *manager, struct summary *summary)
{
    FLO_LIST_FOREACH(node, &manager->workers)
    {
        drop_stale_replacement(FLO_WORKER_AT(node));
    }
    FLO_LIST_FOREACH(node, &manager->processes)
    {
        struct flo_process *process = FLO_PROCESS_AT(node);
        const struct flo_fleet_config *config = manager->config;
        process->backoff.min_ms = config->restart.min_backoff_ms;
        process->backoff.max_ms = config->restart.max_backoff_ms;
        process->backoff.stable_after_ms = config->restart.stable_after_ms;
        process->backoff.crash_loop_after = config->restart.crash_loop_after;
        if (process->leaving || process->held || !process->program || !flo_process_changed(process))
            continue;
        summary->changed++;
        if (process->worker)
            flo_roll_mark(process);
        else
            flo_engine_restart(process);
    }
}

static void apply(struct flo_manager *manager, struct summary *summary)
{
    FLO_LIST_FOREACH_SAFE(node, &manager->workers)
    {
        struct flo_managed_worker *worker = FLO_WORKER_AT(node);
        if (worker->config)
            continue;
        summary->removed++;
        retire_all(worker);
        flo_managed_worker_sweep(worker);
    }
    mark_changed(manager, summary);
    FLO_LIST_FOREACH(node, &manager->workers)
    {
        if (FLO_WORKER_AT(node)->config)
            flo_managed_worker_adjust(FLO_WORKER_AT(node), NULL, NULL);
    }
    FLO_LIST_FOREACH_SAFE(node, &manager->workers)
    {
        flo_roll_step(FLO_WORKER_AT(node));
    }
    flo_output_configure(manager->output, manager->config->logs.max_size,
                         manager->config->logs.keep, manager->config->logs.print);
}

int flo_manager_reload(struct flo_manager *manager, struct flo_err *err)
{
    struct flo_fleet_config *fresh = NULL, *old = manager->own;
    struct summary summary = {0};
    struct flo_err local = {0};
    if (!err)
        err = &local;
    if (manager->stopping)
        return flo_fail(err, FLO_ECLOSED, "the fleet is stopping");
    int rc = manager->options.load ? manager->options.load(manager->options.ctx, &fresh, err)
                                   : flo_fail(err, FLO_EUNIMPL, "the fleet has no file");
    if (rc) {
        flo_manager_tell(manager, FLO_LOG_ERROR, "fleet.reload_refused", "fleet", err->message,
                         NULL);
        return rc;
    }
    tell_what_stays(manager, fresh);
    manager->config = manager->own = fresh;
    rc = match_workers(manager, fresh, &summary);
    apply(manager, &summary);
    flo_fleet_config_destroy(&old);
    flo_manager_save_scale(manager);
    flo_manager_tell(manager, FLO_LOG_INFO, "fleet.reloaded", "fleet",
                     "The fleet's file was read again",
                     json_pack("{s:i, s:i, s:i}", "workers_added", summary.added, "workers_removed",
                               summary.removed, "processes_changed", summary.changed));
    flo_manager_watch_update(manager);
    manager->options.on_change(manager->options.ctx);
    return rc ? flo_fail(err, rc, "no memory for all workers") : 0;
}
