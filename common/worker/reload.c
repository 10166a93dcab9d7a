/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload.c - the configuration is read again while the worker runs.
 *
 * The new one is loaded and checked whole; then each setting that differs is either taken over and
 * applied, or left as it was and named: it needs a restart. So what worker->config holds is what
 * the worker does, and a second reload of the same file says the same again.
 *
 * What can change is what the table below names. A setting that is only looked at when it is used
 * needs no more than to be taken over.
 */
#include <stdlib.h>
#include <string.h>

#include "telemetry/notify.h"
#include "worker/control.h"

/* What must be done once a setting has been taken over. */
enum {
    USED = 0, /* nothing: it is read when it is used */
    SLOTS = 1,
    EXECUTORS = 2,
    POLLERS = 4,
    RATE = 8,
    LEVEL = 16,
    STALL = 32,
    SUMMARY = 64,
    TUNER = 128,
};

static const struct {
    const char *key;
    unsigned needs;
} LIVE[] = {
    {"max_concurrent_workflow_tasks", SLOTS},
    {"max_concurrent_local_activities", SLOTS},
    {"max_concurrent_activities", SLOTS},
    {"queues", SLOTS | POLLERS},
    {"executor.workers", EXECUTORS | SLOTS},
    {"max_concurrent_workflow_task_polls", POLLERS},
    {"max_concurrent_activity_task_polls", POLLERS},
    {"nonsticky_to_sticky_poll_ratio", POLLERS},
    {"pollers.kind", POLLERS},
    {"pollers.min", POLLERS},
    {"pollers.max", POLLERS},
    {"pollers.initial", USED},
    {"max_activities_per_second", RATE},
    {"max_task_queue_activities_per_second", USED},
    {"tuner.workflow_slots.min", TUNER},
    {"tuner.workflow_slots.max", TUNER | SLOTS},
    {"tuner.activity_slots.min", TUNER},
    {"tuner.activity_slots.max", TUNER | SLOTS},
    {"tuner.local_activity_slots.min", TUNER},
    {"tuner.local_activity_slots.max", TUNER | SLOTS},
    {"executor.grace", USED},
    {"sticky_cache.schedule_to_start_timeout", USED},
    {"quarantine.window", USED},
    {"quarantine.max_inputs", USED},
    {"quarantine.keep_input", USED},
    {"health.stall_timeout", STALL},
    {"log.level", LEVEL},
    {"log.summary_interval", SUMMARY},
    {"shutdown_timeout", USED},
};

/* Two loads, and what came of comparing them. */
struct reload {
    struct flo_worker *worker;
    struct flo_role_config *fresh;
    json_t *applied, *needs_restart;
    unsigned needs; /* of what was taken over */
};

/* ---- queues ---- */

static bool same_types(const struct flo_strings *a, const struct flo_strings *b)
{
    bool same = a->count == b->count;

    for (size_t i = 0; same && i < a->count; i++)
        same = strcmp(a->items[i], b->items[i]) == 0;
    return same;
}

/* Are they the same queues, with the same types? Their numbers may differ. */
static bool same_queues(const struct flo_role_config *a, const struct flo_role_config *b)
{
    bool same = a->polled.count == b->polled.count;

    for (size_t i = 0; same && i < a->polled.count; i++)
        same = strcmp(flo_role_config_queue(a, i)->name, flo_role_config_queue(b, i)->name) == 0 &&
               same_types(&flo_role_config_queue(a, i)->activities,
                          &flo_role_config_queue(b, i)->activities);
    return same;
}

/* Slots and threads are the tuner's matter, or are not: that is decided at the start. */
static bool same_tuner(const struct reload *reload)
{
    return reload->fresh->tuner.kind == reload->worker->config->tuner.kind;
}

/* Take the numbers of each queue over. True: something differed. */
static bool adopt_queues(struct reload *reload)
{
    struct flo_worker *worker = reload->worker;
    struct flo_queue_config *own = worker->config->polled.items;
    const bool slots = same_tuner(reload);
    bool news = slots && worker->places_asked > 0;

    if (!slots && reload->fresh->queues.count > 0)
        return false; /* `queues` wants a restart, with all that is in it */
    if (slots)
        worker->places_asked = 0;
    for (size_t i = 0; i < worker->queue_count; i++) {
        const struct flo_queue_config *fresh = flo_role_config_queue(reload->fresh, i);
        struct flo_queue_config was = own[i];
        own[i].weight = fresh->weight;
        if (slots)
            own[i].max_concurrent_activities = fresh->max_concurrent_activities;
        own[i].max_concurrent_activity_task_polls = fresh->max_concurrent_activity_task_polls;
        own[i].max_task_queue_activities_per_second = fresh->max_task_queue_activities_per_second;
        worker->queues[i].share.weight = (uint32_t)fresh->weight;
        news =
            news || was.weight != own[i].weight ||
            was.max_concurrent_activities != own[i].max_concurrent_activities ||
            was.max_concurrent_activity_task_polls != own[i].max_concurrent_activity_task_polls ||
            was.max_task_queue_activities_per_second != own[i].max_task_queue_activities_per_second;
    }
    if (news)
        reload->needs |= SLOTS | POLLERS;
    return news;
}

/* ---- one setting ---- */

static bool is_live(const char *key, unsigned *out_needs)
{
    for (size_t i = 0; i < sizeof LIVE / sizeof *LIVE; i++) {
        if (strcmp(key, LIVE[i].key) == 0) {
            *out_needs = LIVE[i].needs;
            return true;
        }
    }
    return false;
}

static bool depends_on_tuner(const char *key, unsigned needs)
{
    return needs & (SLOTS | EXECUTORS | TUNER) || strncmp(key, "tuner.", 6) == 0;
}

static bool can_apply(const struct reload *reload, const char *key, unsigned *out_needs)
{
    const struct flo_worker *worker = reload->worker;

    if (!is_live(key, out_needs))
        return false;
    if (depends_on_tuner(key, *out_needs) && !same_tuner(reload))
        return false;
    if (*out_needs & TUNER && !worker->tuning)
        *out_needs = USED;      /* a fixed number stands above it */
    if (*out_needs & EXECUTORS) /* 0: counted at the start */
        return worker->executor_threads && reload->fresh->executor.workers > 0;
    if (strcmp(key, "queues") == 0)
        return same_queues(worker->config, reload->fresh);
    return true;
}

static void note(json_t *list, const char *key)
{
    (void)!json_array_append_new(list, json_string(key));
}

/* It may stand on another line, or elsewhere. */
static void same_value(struct flo_config *own, const struct flo_config *fresh, size_t i)
{
    struct flo_source *was = &own->sources[i];
    const struct flo_source *now = &fresh->sources[i];

    if (was->kind != now->kind) {
        (void)!flo_config_adopt(own, fresh, i);
        return;
    }
    was->line = now->line;
    was->column = now->column;
}

static void compare_row(struct reload *reload, size_t i)
{
    struct flo_config *own = &reload->worker->config->config;
    const struct flo_config *fresh = &reload->fresh->config;
    const char *key = own->table[i].key;
    unsigned needs = 0;

    if (flo_config_same(own, fresh, i)) {
        same_value(own, fresh, i);
        return;
    }
    if (can_apply(reload, key, &needs) && flo_config_adopt(own, fresh, i) == 0) {
        reload->needs |= needs;
        note(reload->applied, key);
    } else {
        note(reload->needs_restart, key);
    }
}

/* ---- applying ---- */

static void apply(struct reload *reload)
{
    struct flo_worker *worker = reload->worker;
    const struct flo_role_config *config = worker->config;
    struct flo_err err = {0};

    if (reload->needs & EXECUTORS &&
        flo_executor_resize(worker->executor, (unsigned)config->executor.workers) == 0)
        worker->executor_jobs = (size_t)config->executor.workers;
    if (reload->needs & (TUNER | EXECUTORS))
        flo_resize_settle_tuner(worker);
    if (reload->needs & SLOTS)
        flo_resize_settle_slots(worker);
    if (reload->needs & POLLERS)
        flo_resize_settle_pollers(worker);
    if (reload->needs & RATE)
        (void)!flo_queues_set_rate(worker, config->max_activities_per_second);
    if (reload->needs & LEVEL)
        flo_log_set_level((enum flo_log_level)config->log.level);
    if (reload->needs & STALL)
        flo_watchdog_set_limit(worker->watchdog, config->health.stall_timeout_ms);
    if (reload->needs & SUMMARY) {
        flo_summary_fini(worker);
        if (flo_summary_start(worker, &err))
            flo_log(FLO_LOG_WARN, "worker.no_summary", err.message, NULL);
    }
}

/* ---- telling ---- */

/* "a, b" of a list of keys. */
static void join(const json_t *keys, struct flo_buf *out)
{
    size_t i;
    json_t *key;

    json_array_foreach(keys, i, key)
    {
        flo_buf_printf(out, "%s%s", i ? ", " : "", json_string_value(key));
    }
}

static void tell(const struct reload *reload, const char *why)
{
    struct flo_worker *worker = reload->worker;
    struct flo_buf applied, restart;

    flo_buf_init(&applied, 4096);
    flo_buf_init(&restart, 4096);
    join(reload->applied, &applied);
    join(reload->needs_restart, &restart);
    flo_log(FLO_LOG_INFO, "worker.reloaded", "Settings read again", FLO_LOG_WHO(worker), "why", why,
            "applied", flo_buf_cstr(&applied), "needs_restart", flo_buf_cstr(&restart), NULL);
    flo_tell(worker, FLO_LOG_INFO, "worker.reloaded", "Settings read again", "applied",
             flo_buf_cstr(&applied), "needs_restart", flo_buf_cstr(&restart), NULL);
    flo_buf_fini(&applied);
    flo_buf_fini(&restart);
}

static void tell_failed(struct flo_worker *worker, const char *why, const struct flo_err *err)
{
    flo_log(FLO_LOG_ERROR, "worker.reload_failed",
            "The settings cannot be read again: nothing has changed", FLO_LOG_WHO(worker), "why",
            why, "reason", err->message, NULL);
    flo_tell(worker, FLO_LOG_ERROR, "worker.reload_failed",
             "The settings cannot be read again: nothing has changed", "reason", err->message,
             NULL);
}

static void warn(const struct flo_config *config)
{
    for (size_t i = 0; i < config->warning_count; i++)
        flo_log(FLO_LOG_WARN, "config.warning", config->warnings[i], NULL);
}

static void compare(struct reload *reload)
{
    struct flo_config *own = &reload->worker->config->config;

    for (size_t i = 0; i < own->count; i++)
        if (!own->table[i].roles || own->table[i].roles & own->role)
            compare_row(reload, i);
    if (same_queues(reload->worker->config, reload->fresh) && adopt_queues(reload) &&
        json_array_size(reload->applied) == 0)
        note(reload->applied, "queues"); /* only a command had made them differ */
}

int flo_reload(struct flo_worker *worker, const char *why, json_t **out, struct flo_err *err)
{
    struct reload reload = {.worker = worker};
    bool started = worker->state == FLO_WORKER_RUNNING || worker->state == FLO_WORKER_QUIET;
    struct flo_err own_err = {0};
    json_t *changes = NULL;
    int rc;

    err = err ? err : &own_err;
    if (started)
        flo_notify_reloading();
    rc = flo_role_config_load(worker->config->role, &worker->config->cmdline, &reload.fresh, err);
    if (!rc) {
        reload.applied = json_array();
        reload.needs_restart = json_array();
        changes = json_pack("{s:o, s:o}", "applied", reload.applied, "needs_restart",
                            reload.needs_restart);
        if (!changes)
            rc = flo_fail(err, FLO_ENOMEM, "no memory to read the settings again");
    }
    if (rc) {
        tell_failed(worker, why, err);
    } else {
        warn(&reload.fresh->config);
        compare(&reload);
        apply(&reload);
        tell(&reload, why);
        *out = changes;
    }
    flo_role_config_destroy(&reload.fresh);
    if (started)
        flo_notify_ready();
    return rc;
}
