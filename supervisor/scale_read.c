/* SPDX-License-Identifier: Apache-2.0 */
/* scale_read.c - see scale_read.h. */
#include "supervisor/scale_read.h"

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

static const char *text_of(const json_t *snapshot, const char *key)
{
    const char *text = json_string_value(json_object_get(snapshot, key));
    return text ? text : "";
}

/* Where a label stands in the family; SIZE_MAX: it has none of that name. */
static size_t label_at(const json_t *family, const char *label)
{
    const json_t *labels = json_object_get(family, "l");
    for (size_t i = 0; i < json_array_size(labels); i++)
        if (strcmp(json_string_value(json_array_get(labels, i)), label) == 0)
            return i;
    return SIZE_MAX;
}

static void add_queue(struct flo_scale_worker *worker, const char *name)
{
    if (!*name || flo_scale_worker_polls(worker, name) ||
        worker->queue_count == FLO_SCALE_QUEUES_MAX)
        return;
    worker->queues[worker->queue_count] = flo_strdup(name);
    worker->queue_count += worker->queues[worker->queue_count] != NULL;
}

/* A worker's slots are counted for each of its queues. */
static void read_queues(struct flo_scale_worker *worker, const json_t *family)
{
    const json_t *all = json_object_get(family, "s");
    size_t queue = label_at(family, "task_queue"), type = label_at(family, "worker_type");
    for (size_t i = 0; i < json_array_size(all) && queue != SIZE_MAX; i++) {
        const json_t *labels = json_array_get(json_array_get(all, i), 0);
        const char *kind = json_string_value(json_array_get(labels, type));
        if (!kind || strncmp(kind, "Local", 5) != 0)
            add_queue(worker, json_string_value(json_array_get(labels, queue)));
    }
}

/* Smooth what the tasks since the last snapshot took. */
static void read_times(struct flo_scale_worker *worker, const json_t *family, bool first)
{
    double sum = 0, count = 0;
    const json_t *all = json_object_get(family, "s");
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *series = json_array_get(all, i), *buckets = json_array_get(series, 2);
        sum += json_number_value(json_array_get(series, 1));
        for (size_t j = 0; j < json_array_size(buckets); j++)
            count += (double)json_integer_value(json_array_get(buckets, j));
    }
    double tasks = count - worker->total_tasks, spent = sum - worker->total_s;
    worker->total_tasks = count;
    worker->total_s = sum;
    if (tasks <= 0 || spent < 0)
        return;
    double share = first || worker->task_s <= 0 ? 1 : smoothing;
    worker->task_s += share * (spent / tasks - worker->task_s);
    worker->weight += share * (tasks - worker->weight);
}

static void read_metrics(struct flo_scale_worker *worker, const json_t *metrics, bool first)
{
    const char *slots = flo_metric_desc(FLO_METRIC_SLOTS_AVAILABLE)->name;
    const char *times =
        flo_metric_desc(worker->role == FLO_FLEET_WORKFLOW ? FLO_METRIC_WORKFLOW_EXECUTION_LATENCY
                                                           : FLO_METRIC_ACTIVITY_EXECUTION_LATENCY)
            ->name;
    for (size_t i = 0; i < json_array_size(metrics); i++) {
        const json_t *family = json_array_get(metrics, i);
        const char *name = json_string_value(json_object_get(family, "n"));
        const char *kind = json_string_value(json_object_get(family, "k"));
        if (strcmp(name, slots) == 0)
            read_queues(worker, family);
        else if (strcmp(name, times) == 0 && *kind == 'h')
            read_times(worker, family, first);
    }
}

static void read_snapshot(struct flo_scale_worker *worker, const json_t *snapshot, bool first)
{
    const json_t *slots = json_object_get(snapshot, "slots");
    worker->pid = json_integer_value(json_object_get(snapshot, "pid"));
    snprintf(worker->name, sizeof worker->name, "%s", text_of(snapshot, "name"));
    snprintf(worker->name_space, sizeof worker->name_space, "%s", text_of(snapshot, "namespace"));
    worker->used = worker->slots = 0;
    for (size_t i = 0; i < json_array_size(slots); i++) {
        const json_t *slot = json_array_get(slots, i);
        if (strcmp(text_of(slot, "kind"), "local-activity") == 0)
            continue;
        worker->used += json_integer_value(json_object_get(slot, "used"));
        worker->slots += json_integer_value(json_object_get(slot, "total"));
    }
    clear_queues(worker);
    read_metrics(worker, json_object_get(snapshot, "metrics"), first);
    add_queue(worker, worker->queue_count ? "" : text_of(snapshot, "task_queue"));
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

static void update_entry(struct flo_scale_reader *reader, const struct flo_fleet_entry *entry,
                         int64_t now_ms)
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
    read_snapshot(worker, entry->snapshot, first);
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
                update_entry(reader, entry, now_ms);
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
