/* SPDX-License-Identifier: Apache-2.0 */
/* scale_read.c - see scale_read.h. */
#include "supervisor/scaling/scale_read.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

/* Share of the newest snapshot in a smoothed figure. */
static const double smoothing = 0.3;

static struct flo_scale_worker *worker_of(struct flo_node *node)
{
    return flo_container(node, struct flo_scale_worker, node);
}

void flo_scale_reader_init(struct flo_scale_reader *reader)
{
    flo_list_init(&reader->workers);
    flo_map_init(&reader->by_boot);
}

static void clear_queues(struct flo_scale_worker *worker)
{
    for (size_t i = 0; i < worker->queue_count; i++)
        flo_free(worker->queues[i]);
    worker->queue_count = 0;
}

static void forget(struct flo_scale_reader *reader, struct flo_scale_worker *worker)
{
    flo_list_remove(&reader->workers, &worker->node);
    flo_map_remove_str(&reader->by_boot, worker->boot);
    clear_queues(worker);
    flo_free(worker);
}

void flo_scale_reader_fini(struct flo_scale_reader *reader)
{
    while (reader->workers.count)
        forget(reader, worker_of(flo_list_first(&reader->workers)));
    flo_map_fini(&reader->by_boot);
}

/* ---- one snapshot ---- */

/* The names between the commas of what it reports. */
static void read_queues(struct flo_scale_worker *worker, const char *names)
{
    clear_queues(worker);
    while (*names && worker->queue_count < FLO_SCALE_QUEUES_MAX) {
        size_t len = strcspn(names, ",");
        char *name = flo_strndup(names, len);
        if (!name)
            return;
        worker->queues[worker->queue_count++] = name;
        names += len + (names[len] == ',');
    }
}

/* Smooth what the tasks since the last snapshot took. */
static void read_times(struct flo_scale_worker *worker, struct flo_fleet *fleet,
                       const struct flo_fleet_entry *entry, bool first, int64_t now_ms)
{
    const enum flo_metric metric = worker->role == FLO_FLEET_WORKFLOW
                                       ? FLO_METRIC_WORKFLOW_EXECUTION_LATENCY
                                       : FLO_METRIC_ACTIVITY_EXECUTION_LATENCY;
    const struct flo_fleet_query query = {.metric = flo_metric_desc(metric)->name, .entry = entry};
    struct flo_fleet_histogram times;
    if (!flo_fleet_merge(fleet, &query, now_ms, &times))
        return;
    double tasks = times.count - worker->total_tasks, spent = times.sum - worker->total_s;
    worker->total_tasks = times.count;
    worker->total_s = times.sum;
    if (!(tasks > 0) || !(spent >= 0) || !isfinite(spent / tasks) || !isfinite(tasks))
        return; /* a worker may report anything */
    double share = first || worker->task_s <= 0 ? 1 : smoothing;
    worker->task_s += share * (spent / tasks - worker->task_s);
    worker->weight += share * (tasks - worker->weight);
}

static void read_snapshot(struct flo_scale_worker *worker, struct flo_fleet *fleet,
                          const struct flo_fleet_entry *entry, bool first, int64_t now_ms)
{
    worker->pid = entry->pid;
    snprintf(worker->name, sizeof worker->name, "%s", entry->name);
    snprintf(worker->name_space, sizeof worker->name_space, "%s", entry->name_space);
    worker->used = worker->slots = 0;
    for (unsigned i = 0; i < entry->slot_count; i++) {
        if (strcmp(entry->slots[i].kind, "local-activity") == 0)
            continue;
        worker->used += entry->slots[i].used;
        worker->slots += entry->slots[i].total;
    }
    read_queues(worker, entry->task_queue);
    read_times(worker, fleet, entry, first, now_ms);
}

/* ---- all ---- */

static struct flo_scale_worker *add(struct flo_scale_reader *reader,
                                    const struct flo_fleet_entry *entry)
{
    struct flo_scale_worker *worker = flo_calloc(1, sizeof *worker);
    if (!worker)
        return NULL;
    snprintf(worker->boot, sizeof worker->boot, "%s", entry->boot);
    worker->role = entry->role;
    if (flo_map_put_str(&reader->by_boot, worker->boot, worker)) {
        flo_free(worker);
        return NULL;
    }
    flo_list_push_back(&reader->workers, &worker->node);
    return worker;
}

static void update_entry(struct flo_scale_reader *reader, struct flo_fleet *fleet,
                         const struct flo_fleet_entry *entry, int64_t now_ms)
{
    struct flo_scale_worker *worker = flo_map_get_str(&reader->by_boot, entry->boot);
    bool first = !worker;
    if (first)
        worker = add(reader, entry);
    if (!worker)
        return;
    worker->seen = true;
    worker->running = strcmp(flo_fleet_entry_state(entry, now_ms), "running") == 0;
    if (!first && worker->seq == entry->seq)
        return;
    worker->seq = entry->seq;
    read_snapshot(worker, fleet, entry, first, now_ms);
}

void flo_scale_reader_update(struct flo_scale_reader *reader, struct flo_fleet *fleet,
                             int64_t now_ms)
{
    FLO_LIST_FOREACH(node, &reader->workers)
    worker_of(node)->seen = false;
    for (int role = 0; role < FLO_FLEET_ENGINE; role++) {
        FLO_LIST_FOREACH(node, &fleet->entries[role])
        {
            const struct flo_fleet_entry *entry = flo_container(node, struct flo_fleet_entry, node);
            if (flo_fleet_entry_live(entry, now_ms))
                update_entry(reader, fleet, entry, now_ms);
        }
    }
    FLO_LIST_FOREACH_SAFE(node, &reader->workers)
    {
        if (!worker_of(node)->seen)
            forget(reader, worker_of(node));
    }
}

const struct flo_scale_worker *flo_scale_reader_by_pid(const struct flo_scale_reader *reader,
                                                       int64_t pid)
{
    FLO_LIST_FOREACH(node, &reader->workers)
    {
        const struct flo_scale_worker *worker = worker_of(node);
        if (worker->pid == pid && worker->running)
            return worker;
    }
    return NULL;
}

bool flo_scale_worker_polls(const struct flo_scale_worker *worker, const char *queue)
{
    for (size_t i = 0; i < worker->queue_count; i++)
        if (strcmp(worker->queues[i], queue) == 0)
            return true;
    return false;
}
