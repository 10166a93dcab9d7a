/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manager_roll.c - replaces a worker's replicas one after the other.
 *
 *   start first:  next --> new one starts --ready--> old one drains --ended--> next
 *   drain first:  next --> it drains --ended--> it starts again --ready--> next
 *
 * One that does not get ready in start_timeout, or ends before, ends the whole replacement: what a
 * bad program or file breaks is one replica (start first: none), not all of them. Workers are
 * replaced beside each other, replicas of one never.
 */
#include <stdio.h>
#include <string.h>

#include "supervisor/processes/manager_internal.h"

/* Would two of them want one port? Its pages are where its settings say, unless those are 0. */
static bool has_fixed_ports(const struct flo_process *process)
{
    static const char *const keys[] = {"health.port", "metrics.port"};
    const struct flo_fleet_worker *config = process->worker->config;
    const bool given_zero = config->count > 1 || process->replica > 1;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *port = json_object_get(config->set, keys[i]);
        const bool zero =
            port ? (json_is_integer(port) && json_integer_value(port) == 0) ||
                       (json_is_string(port) && strcmp(json_string_value(port), "0") == 0)
                 : given_zero;
        if (!zero)
            return true;
    }
    return false;
}

static bool drains_first(const struct flo_process *process)
{
    switch ((enum flo_fleet_replace)process->worker->config->replace) {
    case FLO_REPLACE_START_FIRST:
        return false;
    case FLO_REPLACE_DRAIN_FIRST:
        return true;
    case FLO_REPLACE_AUTO:
        break;
    }
    return has_fixed_ports(process);
}

/* ---- the end of it ---- */

static void unmark_all(struct flo_managed_worker *worker)
{
    FLO_LIST_FOREACH(node, &worker->manager->processes)
    {
        if (FLO_PROCESS_AT(node)->worker == worker)
            FLO_PROCESS_AT(node)->to_roll = false;
    }
}

void flo_roll_abort(struct flo_managed_worker *worker, const char *why)
{
    struct flo_process *fresh = worker->roll.fresh;
    if (!worker->roll.active)
        return;
    worker->roll.active = false;
    worker->roll.fresh = worker->roll.old = NULL;
    snprintf(worker->roll.error, sizeof worker->roll.error, "%s", why);
    unmark_all(worker);
    if (fresh && fresh->replaces) {
        fresh->replaces = NULL;
        flo_process_retire(fresh);
    }
    flo_manager_tell(worker->manager, FLO_LOG_ERROR, "rolling_restart.failed", worker->name,
                     "The replacement of its processes was given up",
                     json_pack("{s:s, s:I, s:I}", "reason", worker->roll.error, "done",
                               (json_int_t)worker->roll.done, "of",
                               (json_int_t)worker->roll.total));
    worker->manager->options.on_change(worker->manager->options.ctx);
}

static void finish(struct flo_managed_worker *worker)
{
    worker->roll.active = false;
    flo_manager_tell(worker->manager, FLO_LOG_INFO, "rolling_restart.done", worker->name,
                     "Its processes have been replaced",
                     json_pack("{s:I}", "processes", (json_int_t)worker->roll.done));
    worker->manager->options.on_change(worker->manager->options.ctx);
}

/* ---- steps ---- */

static struct flo_process *next_marked(const struct flo_managed_worker *worker)
{
    FLO_LIST_FOREACH(node, &worker->manager->processes)
    {
        struct flo_process *process = FLO_PROCESS_AT(node);
        if (process->worker == worker && process->to_roll && !process->leaving)
            return process;
    }
    return NULL;
}

/* Begin with one replica. */
static void replace(struct flo_process *process)
{
    struct flo_managed_worker *worker = process->worker;
    struct flo_roll *roll = &worker->roll;
    process->to_roll = false;
    process->added = true; /* what it becomes now ends no fleet */
    roll->since_ms = flo_manager_now_ms();
    if (process->held) { /* it takes what is new when it is started */
        roll->done++;
    } else if (!process->child) {
        roll->fresh = process;
        flo_process_start(process);
    } else if (drains_first(process)) {
        process->relaunch = true;
        roll->fresh = process;
        flo_process_stop(process);
    } else {
        struct flo_process *fresh =
            flo_process_new(worker->manager, worker, process->replica, process->name);
        if (!fresh) {
            flo_roll_abort(worker, "out of memory");
            return;
        }
        fresh->added = true;
        fresh->replaces = process;
        fresh->restarts = process->restarts;
        roll->fresh = fresh;
        flo_process_start(fresh);
        if (!fresh->child && flo_manager_engine_known(worker->manager)) {
            char why[FLO_MANAGER_REASON_MAX];
            snprintf(why, sizeof why, "%s cannot be started; the log says why", fresh->name);
            flo_roll_abort(worker, why);
        }
    }
}

/* The one that is awaited: is it ready, is it too late? */
static void await_fresh(struct flo_managed_worker *worker)
{
    struct flo_roll *roll = &worker->roll;
    struct flo_process *fresh = roll->fresh;
    struct flo_process_report report;
    char why[2 * FLO_MANAGER_REASON_MAX];
    if (fresh->relaunch) {
        roll->since_ms = flo_manager_now_ms(); /* it drains still */
        return;
    }
    if (flo_process_ready(fresh, &report)) {
        struct flo_process *old = fresh->replaces;
        roll->fresh = NULL;
        fresh->replaces = NULL;
        if (!old) {
            roll->done++;
            return;
        }
        roll->old = old;
        flo_process_retire(old);
    } else if (flo_manager_now_ms() - roll->since_ms >= worker->manager->config->start_timeout_ms) {
        snprintf(why, sizeof why, "%s does not become ready: %s", fresh->name, report.reason);
        flo_roll_abort(worker, why);
    }
}

void flo_roll_step(struct flo_managed_worker *worker)
{
    struct flo_roll *roll = &worker->roll;
    if (!roll->active || worker->manager->stopping)
        return;
    if (roll->fresh)
        await_fresh(worker);
    while (roll->active && !roll->fresh && !roll->old) {
        struct flo_process *process = next_marked(worker);
        if (process)
            replace(process);
        else
            finish(worker);
    }
    flo_manager_tick_soon(worker->manager);
}

void flo_roll_ended(struct flo_process *process, const char *how)
{
    struct flo_roll *roll = process->worker ? &process->worker->roll : NULL;
    char why[2 * FLO_MANAGER_REASON_MAX];
    if (!roll || !roll->active)
        return;
    if (roll->old == process) {
        roll->old = NULL;
        roll->done++;
        return;
    }
    if (roll->fresh && roll->fresh->replaces == process) { /* it did not wait to be told */
        roll->fresh->replaces = NULL;
        process->leaving = true;
        return;
    }
    if (roll->fresh == process && !process->relaunch) {
        snprintf(why, sizeof why, "%s does not become ready: %s", process->name, how);
        if (process->replaces) {
            process->replaces = NULL;
            process->leaving = true; /* its end is being dealt with: it is forgotten then */
        }
        flo_roll_abort(process->worker, why);
    }
}

/* ---- the command ---- */

void flo_roll_mark(struct flo_process *process)
{
    struct flo_roll *roll = &process->worker->roll;
    if (process->to_roll || !flo_process_counts(process) || process->relaunch ||
        (roll->fresh && roll->fresh->replaces == process)) /* it is at it */
        return;
    process->to_roll = true;
    if (!roll->active) {
        *roll = (struct flo_roll){.active = true};
        process->worker->rolls++;
        flo_manager_tell(process->manager, FLO_LOG_INFO, "rolling_restart.begun",
                         process->worker->name, "Its processes are replaced one after the other",
                         NULL);
    }
    roll->total++;
}

void flo_engine_restart(struct flo_process *engine)
{
    if (engine->child) {
        engine->relaunch = true;
        flo_process_stop(engine);
    } else {
        flo_process_start(engine);
    }
}

int flo_manager_restart(struct flo_manager *manager, const char *name, struct flo_err *err)
{
    const struct flo_managed_worker *worker = name ? flo_manager_find_worker(manager, name) : NULL;
    bool found = !name || worker;
    if (manager->stopping)
        return flo_fail(err, FLO_ECLOSED, "the fleet is stopping");
    FLO_LIST_FOREACH(node, &manager->processes)
    {
        struct flo_process *process = FLO_PROCESS_AT(node);
        bool mine = worker ? process->worker == worker
                    : name ? strcmp(process->name, name) == 0
                           : process->worker != NULL;
        if (!mine || process->leaving)
            continue;
        found = true;
        if (process->worker)
            flo_roll_mark(process);
        else
            flo_engine_restart(process);
    }
    if (!found)
        return flo_fail(err, FLO_ENOENT, "the fleet has no process '%.80s'", name);
    FLO_LIST_FOREACH_SAFE(node, &manager->workers)
    {
        flo_roll_step(FLO_WORKER_AT(node));
    }
    return 0;
}
