/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure.c - see measure.h.
 *
 * A duration's window is kept as two histograms of the past, `base` and `next`: the newest totals
 * minus base are the observations since base. Once a window has passed next becomes base, so that
 * what is shown is one to two windows old, at the price of two histograms instead of a ring.
 */
#include "supervisor/fleet/measure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "telemetry/procstat.h"

struct totals {
    int64_t at_ms;
    double done, failed, cpu_ms;
};

/* Observations since one to two windows ago. */
struct window {
    int64_t next_at_ms;
    struct flo_fleet_histogram base, next;
};

struct track {
    enum flo_fleet_role role;
    struct totals ring[FLO_MEASURE_RATE_STEPS + 1]; /* newest last */
    unsigned count;
    int64_t rss_bytes;
    uint64_t step; /* the last one that noted it */
    struct window window;
};

struct type {
    uint64_t step;
    struct totals ring[FLO_MEASURE_RATE_STEPS + 1];
    unsigned count;
    struct window window;
};

struct role_window {
    struct window window;
    struct flo_fleet_histogram now, before; /* at the last step and the one before */
};

struct flo_measure {
    struct flo_fleet *fleet;
    struct flo_manager *const *manager;
    struct flo_map tracks; /* boot id, or "pid:N" of a child that does not report */
    struct flo_map types;  /* activity type; local ones with a leading blank */
    struct role_window roles[FLO_FLEET_ROLES];
    uint64_t step;
};

const char *flo_measure_latency_metric(enum flo_fleet_role role)
{
    return flo_metric_desc(role == FLO_FLEET_WORKFLOW ? FLO_METRIC_WORKFLOW_EXECUTION_LATENCY
                                                      : FLO_METRIC_ACTIVITY_EXECUTION_LATENCY)
        ->name;
}

/* ---- windows ---- */

static void window_note(struct window *window, const struct flo_fleet_histogram *now,
                        int64_t now_ms)
{
    if (window->next_at_ms && now_ms - window->next_at_ms < FLO_MEASURE_WINDOW_MS)
        return;
    window->base = window->next_at_ms ? window->next : *now;
    window->next = *now;
    window->next_at_ms = now_ms;
}

static void window_quantiles(const struct window *window, const struct flo_fleet_histogram *now,
                             double *out_p50, double *out_p99)
{
    struct flo_fleet_histogram since;
    flo_fleet_histogram_since(now, &window->base, &since);
    *out_p50 = since.count > 0 ? flo_fleet_quantile(&since, 0.5) : NAN;
    *out_p99 = since.count > 0 ? flo_fleet_quantile(&since, 0.99) : NAN;
}

static void ring_push(struct totals *ring, unsigned *count, const struct totals *totals)
{
    if (*count == FLO_MEASURE_RATE_STEPS + 1)
        memmove(ring, ring + 1, FLO_MEASURE_RATE_STEPS * sizeof *ring);
    else
        ++*count;
    ring[*count - 1] = *totals;
}

/* Growth a second over the ring, or over its last step. */
static bool ring_rates(const struct totals *ring, unsigned count, bool last_step,
                       struct totals *out_rates)
{
    if (count < 2)
        return false;
    const struct totals *from = &ring[last_step ? count - 2 : 0], *to = &ring[count - 1];
    double seconds = (double)(to->at_ms - from->at_ms) / 1e3;
    if (seconds <= 0)
        return false;
    *out_rates = (struct totals){.done = fmax(0, to->done - from->done) / seconds,
                                 .failed = fmax(0, to->failed - from->failed) / seconds,
                                 .cpu_ms = fmax(0, to->cpu_ms - from->cpu_ms) / seconds};
    return true;
}

/* ---- processes ---- */

#define KEY_MAX 48

static void key_of(const struct flo_fleet_entry *entry, pid_t pid, char out[KEY_MAX])
{
    if (entry)
        snprintf(out, KEY_MAX, "%s", entry->boot);
    else
        snprintf(out, KEY_MAX, "pid:%ld", (long)pid);
}

static struct track *track_of(struct flo_measure *measure, const char *key)
{
    struct track *track = flo_map_get_str(&measure->tracks, key);
    if (track)
        return track;
    track = flo_calloc(1, sizeof *track);
    if (track && flo_map_put_str(&measure->tracks, key, track)) {
        flo_free(track);
        return NULL;
    }
    return track;
}

static void note_process(struct flo_measure *measure, const struct flo_fleet_entry *entry,
                         pid_t pid, const struct flo_usage *usage, int64_t now_ms)
{
    char key[KEY_MAX];
    key_of(entry, pid, key);
    struct track *track = track_of(measure, key);
    if (!track || track->step == measure->step)
        return;
    track->step = measure->step;
    track->role = entry ? entry->role : FLO_FLEET_ENGINE;
    struct totals totals = {.at_ms = now_ms};
    if (entry) {
        totals = (struct totals){.at_ms = now_ms,
                                 .done = (double)entry->done,
                                 .failed = (double)entry->failed,
                                 .cpu_ms = (double)entry->cpu_ms};
        track->rss_bytes = entry->rss_bytes;
    }
    if (usage->known) {
        totals.cpu_ms = (double)usage->cpu_ms;
        track->rss_bytes = usage->rss_bytes;
    }
    ring_push(track->ring, &track->count, &totals);
    if (!entry)
        return;
    struct flo_fleet_histogram now;
    const struct flo_fleet_query query = {.metric = flo_measure_latency_metric(entry->role),
                                          .entry = entry};
    (void)flo_fleet_merge(measure->fleet, &query, now_ms, &now);
    window_note(&track->window, &now, now_ms);
}

static void note_children(struct flo_measure *measure, int64_t now_ms)
{
    struct flo_manager *manager = *measure->manager;
    struct flo_process_view view;
    for (size_t i = 0; manager && i < flo_manager_count(manager); i++) {
        struct flo_procstat tree;
        int processes = 0;
        flo_manager_view(manager, i, &view);
        if (!view.pid || flo_procstat_tree(view.pid, &tree, &processes))
            continue;
        const struct flo_usage usage = {.known = true,
                                        .cpu_ms = (int64_t)(tree.cpu_seconds * 1e3),
                                        .rss_bytes = (int64_t)tree.resident_bytes};
        const struct flo_fleet_entry *entry = flo_fleet_by_pid(measure->fleet, view.pid, now_ms);
        if (entry || view.engine)
            note_process(measure, entry, view.pid, &usage, now_ms);
    }
}

static void note_reporters(struct flo_measure *measure, int64_t now_ms)
{
    static const struct flo_usage unknown = {.known = false};
    for (int role = 0; role < FLO_FLEET_ROLES; role++) {
        FLO_LIST_FOREACH(node, &measure->fleet->entries[role])
        {
            const struct flo_fleet_entry *entry = FLO_FLEET_ENTRY(node);
            if (flo_fleet_entry_live(entry, now_ms))
                note_process(measure, entry, 0, &unknown, now_ms);
        }
    }
}

/* Forget what this step did not see. */
static void forget_tracks(struct flo_measure *measure)
{
    struct flo_map_entry *next = NULL;
    for (struct flo_map_entry *it = flo_map_first(&measure->tracks); it; it = next) {
        struct track *track = flo_map_value(it);
        size_t len = 0;
        next = flo_map_next(it);
        if (track->step == measure->step)
            continue;
        const char *key = flo_map_key(it, &len);
        flo_map_remove(&measure->tracks, key, len);
        flo_free(track);
    }
}

static void note_roles(struct flo_measure *measure, int64_t now_ms)
{
    for (int i = 0; i < FLO_FLEET_ROLES; i++) {
        struct role_window *role = &measure->roles[i];
        const struct flo_fleet_query query = {
            .metric = flo_measure_latency_metric((enum flo_fleet_role)i),
            .of_role = true,
            .role = (enum flo_fleet_role)i};
        role->before = role->now;
        (void)flo_fleet_merge(measure->fleet, &query, now_ms, &role->now);
        window_note(&role->window, &role->now, now_ms);
    }
}

void flo_measure_process(const struct flo_measure *measure, const struct flo_fleet_entry *entry,
                         pid_t pid, struct flo_rates *out)
{
    char key[KEY_MAX];
    struct totals rates;
    *out = (struct flo_rates){.p50_s = NAN, .p99_s = NAN};
    key_of(entry, pid, key);
    const struct track *track = flo_map_get_str(&measure->tracks, key);
    if (!track || !ring_rates(track->ring, track->count, false, &rates))
        return;
    out->known = true;
    out->tasks_s = rates.done + rates.failed;
    out->failures_s = rates.failed;
    out->cpu = rates.cpu_ms / 1e3;
    if (!entry)
        return;
    struct flo_fleet_histogram now;
    const struct flo_fleet_query query = {.metric = flo_measure_latency_metric(entry->role),
                                          .entry = entry};
    (void)flo_fleet_merge(measure->fleet, &query, 0, &now);
    window_quantiles(&track->window, &now, &out->p50_s, &out->p99_s);
}

void flo_measure_role(const struct flo_measure *measure, enum flo_fleet_role role, bool last_step,
                      struct flo_rates *out, int64_t *out_rss_bytes, int *out_processes)
{
    const struct role_window *merged = &measure->roles[role];
    *out = (struct flo_rates){.p50_s = NAN, .p99_s = NAN};
    *out_rss_bytes = 0;
    *out_processes = 0;
    for (const struct flo_map_entry *it = flo_map_first(&measure->tracks); it;
         it = flo_map_next(it)) {
        const struct track *track = flo_map_value(it);
        struct totals rates;
        if (track->role != role)
            continue;
        ++*out_processes;
        *out_rss_bytes += track->rss_bytes;
        if (!ring_rates(track->ring, track->count, last_step, &rates))
            continue;
        out->known = true;
        out->tasks_s += rates.done + rates.failed;
        out->failures_s += rates.failed;
        out->cpu += rates.cpu_ms / 1e3;
    }
    if (last_step) {
        const struct window step = {.base = merged->before};
        window_quantiles(&step, &merged->now, &out->p50_s, &out->p99_s);
    } else {
        window_quantiles(&merged->window, &merged->now, &out->p50_s, &out->p99_s);
    }
}

/* ---- activities ---- */

struct gather {
    struct flo_measure *measure;
    int64_t now_ms;
    bool local, note;
    flo_activity_row_fn fn;
    void *ctx;
};

/* The sum of a metric over all series of the type. */
static double sum_of(const struct gather *gather, enum flo_metric metric, const char *type)
{
    const struct flo_fleet_query query = {.metric = flo_metric_desc(metric)->name,
                                          .where = {{"activity_type", type}}};
    return flo_fleet_sum(gather->measure->fleet, &query, gather->now_ms);
}

static struct type *type_of(struct flo_measure *measure, const char *name, bool local)
{
    char key[256];
    snprintf(key, sizeof key, "%s%s", local ? " " : "", name);
    struct type *type = flo_map_get_str(&measure->types, key);
    if (type || measure->types.count >= FLO_MEASURE_TYPES_MAX)
        return type;
    type = flo_calloc(1, sizeof *type);
    if (type && flo_map_put_str(&measure->types, key, type)) {
        flo_free(type);
        return NULL;
    }
    return type;
}

static void fill_cost(const struct gather *gather, const char *type, struct flo_activity_row *row)
{
    const struct flo_fleet_query rss = {.metric =
                                            flo_metric_desc(FLO_METRIC_ACTIVITY_MAX_RSS)->name,
                                        .where = {{"activity_type", type}}};
    row->failed = sum_of(gather,
                         gather->local ? FLO_METRIC_LOCAL_ACTIVITY_EXECUTION_FAILED
                                       : FLO_METRIC_ACTIVITY_EXECUTION_FAILED,
                         type);
    row->cancelled = sum_of(gather,
                            gather->local ? FLO_METRIC_LOCAL_ACTIVITY_EXECUTION_CANCELLED
                                          : FLO_METRIC_ACTIVITY_EXECUTION_CANCELLED,
                            type);
    if (gather->local)
        return;
    row->crashed = sum_of(gather, FLO_METRIC_ACTIVITY_CRASHED, type);
    row->cpu_s = sum_of(gather, FLO_METRIC_ACTIVITY_CPU, type);
    row->system_cpu_s = sum_of(gather, FLO_METRIC_ACTIVITY_SYSTEM_CPU, type);
    row->read_bytes = sum_of(gather, FLO_METRIC_ACTIVITY_READ, type);
    row->written_bytes = sum_of(gather, FLO_METRIC_ACTIVITY_WRITTEN, type);
    row->max_rss_bytes = flo_fleet_max(gather->measure->fleet, &rss, gather->now_ms);
}

static void on_group(void *ctx, const struct flo_fleet_group *group)
{
    const struct gather *gather = ctx;
    struct type *type = type_of(gather->measure, group->value, gather->local);
    if (!type)
        return;
    const struct flo_fleet_histogram *all = &group->histogram;
    if (gather->note) {
        struct totals totals = {.at_ms = gather->now_ms, .done = all->count};
        totals.failed = sum_of(gather,
                               gather->local ? FLO_METRIC_LOCAL_ACTIVITY_EXECUTION_FAILED
                                             : FLO_METRIC_ACTIVITY_EXECUTION_FAILED,
                               group->value);
        type->step = gather->measure->step;
        ring_push(type->ring, &type->count, &totals);
        window_note(&type->window, all, gather->now_ms);
        return;
    }
    struct flo_activity_row row = {.type = group->value,
                                   .local = gather->local,
                                   .attempts = all->count,
                                   .mean_s = all->count > 0 ? all->sum / all->count : NAN};
    struct totals rates;
    window_quantiles(&type->window, all, &row.p50_s, &row.p99_s);
    if (isnan(row.p50_s) && all->count > 0) {
        row.p50_s = flo_fleet_quantile(all, 0.5);
        row.p99_s = flo_fleet_quantile(all, 0.99);
    }
    if (ring_rates(type->ring, type->count, false, &rates)) {
        row.attempts_s = rates.done;
        row.failures_s = rates.failed;
    }
    fill_cost(gather, group->value, &row);
    gather->fn(gather->ctx, &row);
}

static int group_types(struct gather *gather)
{
    int rc = 0;
    for (int local = 0; local < 2 && !rc; local++) {
        const struct flo_fleet_query query = {
            .metric = flo_metric_desc(local ? FLO_METRIC_LOCAL_ACTIVITY_EXECUTION_LATENCY
                                            : FLO_METRIC_ACTIVITY_EXECUTION_LATENCY)
                          ->name};
        gather->local = local;
        rc = flo_fleet_group(gather->measure->fleet, &query, "activity_type", gather->now_ms,
                             on_group, gather);
    }
    return rc;
}

int flo_measure_activities(struct flo_measure *measure, int64_t now_ms, flo_activity_row_fn fn,
                           void *ctx)
{
    struct gather gather = {.measure = measure, .now_ms = now_ms, .fn = fn, .ctx = ctx};
    return group_types(&gather);
}

static void forget_types(struct flo_measure *measure)
{
    struct flo_map_entry *next = NULL;
    for (struct flo_map_entry *it = flo_map_first(&measure->types); it; it = next) {
        struct type *type = flo_map_value(it);
        size_t len = 0;
        next = flo_map_next(it);
        if (type->step == measure->step)
            continue;
        const char *key = flo_map_key(it, &len);
        flo_map_remove(&measure->types, key, len);
        flo_free(type);
    }
}

/* ---- all ---- */

void flo_measure_step(struct flo_measure *measure, int64_t now_ms)
{
    struct gather gather = {.measure = measure, .now_ms = now_ms, .note = true};
    measure->step++;
    note_children(measure, now_ms);
    note_reporters(measure, now_ms);
    forget_tracks(measure);
    note_roles(measure, now_ms);
    if (group_types(&gather) == 0)
        forget_types(measure);
}

int flo_measure_new(struct flo_fleet *fleet, struct flo_manager *const *manager,
                    struct flo_measure **out)
{
    struct flo_measure *measure = flo_calloc(1, sizeof *measure);
    if (!measure)
        return FLO_ENOMEM;
    measure->fleet = fleet;
    measure->manager = manager;
    flo_map_init(&measure->tracks);
    flo_map_init(&measure->types);
    *out = measure;
    return 0;
}

void flo_measure_destroy(struct flo_measure **measure)
{
    if (!*measure)
        return;
    for (struct flo_map_entry *it = flo_map_first(&(*measure)->tracks); it; it = flo_map_next(it))
        flo_free(flo_map_value(it));
    for (struct flo_map_entry *it = flo_map_first(&(*measure)->types); it; it = flo_map_next(it))
        flo_free(flo_map_value(it));
    flo_map_fini(&(*measure)->tracks);
    flo_map_fini(&(*measure)->types);
    flo_free(*measure);
    *measure = NULL;
}
