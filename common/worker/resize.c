/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resize.c - other numbers of slots, threads and polls while the worker runs.
 *
 * Nothing is taken away from what runs: fewer slots mean that none is given until enough tasks have
 * ended, fewer polls that none is sent in place of the next that end, fewer threads that those too
 * many end when they are idle.
 */
#include <stdio.h>
#include <string.h>

#include "worker/control.h"
#include "worker/local.h"

#define SLOTS_MAX 10000
#define LOCAL_MAX 1000
#define POLLERS_MAX 1000

static const char BY_COMMAND[] = "command";

static bool tuned(const struct flo_worker *worker)
{
    return worker->tuning != NULL;
}

static void by_command(struct flo_worker *worker, const char *key)
{
    flo_config_follows(&worker->config->config, key, BY_COMMAND);
}

/* The queue's element of the configuration, to be changed. */
static struct flo_queue_config *settings_of(struct flo_task_queue *queue)
{
    struct flo_worker *worker = queue->worker;

    return (struct flo_queue_config *)worker->config->polled.items + (queue - worker->queues);
}

int flo_resize_queue(struct flo_worker *worker, const char *name, struct flo_task_queue **out,
                     struct flo_err *err)
{
    *out = NULL;
    if (!name || !*name)
        return 0;
    for (size_t i = 0; i < worker->queue_count; i++)
        if (strcmp(worker->queues[i].name, name) == 0)
            *out = &worker->queues[i];
    return *out ? 0
                : flo_fail(err, FLO_EINVAL, "this worker does not poll a queue \"%.100s\"", name);
}

static int check_bounds(const char *what, int64_t value, int64_t least, int64_t most,
                        struct flo_err *err)
{
    if (value >= least && value <= most)
        return 0;
    return flo_fail(err, FLO_EINVAL, "%lld %s: from %lld to %lld are possible", (long long)value,
                    what, (long long)least, (long long)most);
}

/* ---- slots ---- */

static void settle_locals(struct flo_worker *worker)
{
    size_t slots = (size_t)worker->config->max_concurrent_local_activities;
    struct flo_locals *locals = worker->locals;

    if (locals && locals->executor && flo_executor_resize(locals->executor, (unsigned)slots) == 0)
        locals->threads = (unsigned)slots;
    if (!tuned(worker))
        flo_capacity_set(worker, FLO_SLOT_LOCAL_ACTIVITY, slots);
}

void flo_resize_settle_slots(struct flo_worker *worker)
{
    size_t jobs = worker->executor_jobs, places = worker->places_asked;
    struct flo_task_queue *queue = worker->queues;

    if (worker->role->role == FLO_ROLE_WORKFLOW) {
        queue->slots_asked = (size_t)worker->config->max_concurrent_workflow_tasks;
        flo_slots_resize(&queue->slots, queue->slots_asked);
        if (!tuned(worker))
            flo_capacity_set(worker, FLO_SLOT_WORKFLOW, queue->slots_asked);
        settle_locals(worker);
    }
    for (size_t i = 0; i < worker->queue_count; i++, queue++) {
        if (queue->kind != FLO_SLOT_ACTIVITY)
            continue;
        queue->slots_asked = (size_t)settings_of(queue)->max_concurrent_activities;
        flo_slots_resize(&queue->slots, queue->slots_asked < jobs ? queue->slots_asked : jobs);
    }
    if (worker->role->role != FLO_ROLE_WORKFLOW && !tuned(worker))
        flo_capacity_set(worker, FLO_SLOT_ACTIVITY, places && places < jobs ? places : jobs);
    flo_poll_fill(worker);
}

/* Have the tuner's range and the maxima of the queues follow the settings. */
static void settle_tuner(struct flo_worker *worker, enum flo_slot_kind kind)
{
    struct flo_role_config *config = worker->config;
    struct flo_slots_range *range = kind == FLO_SLOT_WORKFLOW ? &config->tuner.workflow_slots
                                    : kind == FLO_SLOT_ACTIVITY
                                        ? &config->tuner.activity_slots
                                        : &config->tuner.local_activity_slots;
    size_t min = (size_t)range->min, max = (size_t)range->max;

    if (kind == FLO_SLOT_ACTIVITY && max > worker->executor_jobs)
        max = worker->executor_jobs;
    flo_tuning_range(worker, kind, min < max ? min : max, max);
}

void flo_resize_settle_tuner(struct flo_worker *worker)
{
    for (int kind = 0; kind < FLO_SLOT_KINDS && tuned(worker); kind++)
        settle_tuner(worker, (enum flo_slot_kind)kind);
}

static int resize_tuned(struct flo_worker *worker, enum flo_slot_kind kind, int64_t slots)
{
    struct flo_role_config *config = worker->config;

    if (kind == FLO_SLOT_WORKFLOW) {
        config->max_concurrent_workflow_tasks = config->tuner.workflow_slots.max = slots;
        by_command(worker, "max_concurrent_workflow_tasks");
        by_command(worker, "tuner.workflow_slots.max");
    } else if (kind == FLO_SLOT_LOCAL_ACTIVITY) {
        config->max_concurrent_local_activities = config->tuner.local_activity_slots.max = slots;
        by_command(worker, "max_concurrent_local_activities");
        by_command(worker, "tuner.local_activity_slots.max");
    } else {
        config->max_concurrent_activities = config->tuner.activity_slots.max = slots;
        by_command(worker, "max_concurrent_activities");
        by_command(worker, "tuner.activity_slots.max");
        if (worker->queue_count == 1)
            settings_of(worker->queues)->max_concurrent_activities = slots;
    }
    settle_tuner(worker, kind);
    flo_resize_settle_slots(worker);
    return 0;
}

/* Of all queues (queue NULL) each wants one, or it might have no poll for long. */
static int check_slots(const struct flo_worker *worker, enum flo_slot_kind kind,
                       const struct flo_task_queue *queue, int64_t slots, struct flo_err *err)
{
    bool workflows = worker->role->role == FLO_ROLE_WORKFLOW;
    int64_t most = SLOTS_MAX;
    char what[80];

    if (workflows != (kind != FLO_SLOT_ACTIVITY))
        return flo_fail(err, FLO_EINVAL, "this worker has no slots for %s",
                        workflows
                            ? "activities; they are of kind workflow and local-activity"
                            : "workflow tasks and local activities; they are of kind activity");
    if (kind == FLO_SLOT_LOCAL_ACTIVITY)
        return check_bounds("slots for local activities", slots, 1, LOCAL_MAX, err);
    if (kind == FLO_SLOT_WORKFLOW)
        return check_bounds("slots for workflow tasks", slots,
                            worker->shards && worker->shards->caching ? 2 : 1, most, err);
    if (most > (int64_t)worker->executor_jobs)
        most = (int64_t)worker->executor_jobs;
    snprintf(what, sizeof what, "slots for activities with %zu executors", worker->executor_jobs);
    return check_bounds(what, slots, queue ? 1 : (int64_t)worker->queue_count, most, err);
}

int flo_resize_slots(struct flo_worker *worker, enum flo_slot_kind kind,
                     struct flo_task_queue *queue, int64_t slots, struct flo_err *err)
{
    struct flo_role_config *config = worker->config;
    int rc = check_slots(worker, kind, queue, slots, err);

    if (rc)
        return rc;
    if (tuned(worker) && !queue)
        return resize_tuned(worker, kind, slots);
    if (!queue && worker->queue_count == 1)
        queue = worker->queues;
    if (kind == FLO_SLOT_WORKFLOW) {
        config->max_concurrent_workflow_tasks = slots;
        by_command(worker, "max_concurrent_workflow_tasks");
    } else if (kind == FLO_SLOT_LOCAL_ACTIVITY) {
        config->max_concurrent_local_activities = slots;
        by_command(worker, "max_concurrent_local_activities");
    } else if (!queue) {
        worker->places_asked = (size_t)slots;
    } else {
        settings_of(queue)->max_concurrent_activities = slots;
        if (worker->queue_count == 1)
            config->max_concurrent_activities = slots;
        by_command(worker, config->queues.count ? "queues" : "max_concurrent_activities");
    }
    flo_resize_settle_slots(worker);
    return 0;
}

/* ---- executors ---- */

int flo_resize_executors(struct flo_worker *worker, int64_t executors, struct flo_err *err)
{
    int rc = 0;

    if (!worker->executor)
        return flo_fail(err, FLO_EINVAL, "this worker runs no activities: it has no executors");
    if (!worker->executor_threads)
        return flo_fail(err, FLO_EINVAL,
                        "executor processes are made when the worker starts: change "
                        "executor.workers and restart it");
    rc = check_bounds("threads", executors, (int64_t)worker->queue_count, FLO_EXECUTOR_THREADS_MAX,
                      err);
    if (!rc && flo_executor_resize(worker->executor, (unsigned)executors))
        rc = flo_fail(err, FLO_EINVAL, "the executor is closed: the worker stops");
    if (rc)
        return rc;
    worker->executor_jobs = (size_t)executors;
    worker->config->executor.workers = executors;
    by_command(worker, "executor.workers");
    if (tuned(worker))
        settle_tuner(worker, FLO_SLOT_ACTIVITY);
    flo_resize_settle_slots(worker);
    return 0;
}

/* ---- pollers ---- */

static void settle_queue_pollers(struct flo_task_queue *queue)
{
    const struct flo_role_config *config = queue->worker->config;
    size_t polls = queue->kind == FLO_SLOT_WORKFLOW
                       ? (size_t)config->max_concurrent_workflow_task_polls
                       : (size_t)settings_of(queue)->max_concurrent_activity_task_polls;

    if (config->pollers.kind == FLO_POLLERS_AUTOSCALE)
        flo_poll_set_pollers(queue, (size_t)config->pollers.min, (size_t)config->pollers.max);
    else
        flo_poll_set_pollers(queue, polls, polls);
}

void flo_resize_settle_pollers(struct flo_worker *worker)
{
    for (size_t i = 0; i < worker->queue_count; i++)
        settle_queue_pollers(&worker->queues[i]);
}

/* A fixed number for a queue, in the configuration. */
static void set_fixed(struct flo_task_queue *queue, int64_t polls)
{
    struct flo_worker *worker = queue->worker;
    struct flo_role_config *config = worker->config;

    if (queue->kind == FLO_SLOT_WORKFLOW) {
        config->max_concurrent_workflow_task_polls = polls;
        by_command(worker, "max_concurrent_workflow_task_polls");
        return;
    }
    settings_of(queue)->max_concurrent_activity_task_polls = polls;
    if (worker->queue_count == 1)
        config->max_concurrent_activity_task_polls = polls;
    by_command(worker, config->queues.count ? "queues" : "max_concurrent_activity_task_polls");
}

int flo_resize_pollers(struct flo_worker *worker, struct flo_task_queue *queue, int64_t min,
                       int64_t max, struct flo_err *err)
{
    struct flo_role_config *config = worker->config;
    bool fixed = min == max;
    int rc = check_bounds("polls", min, fixed && worker->shards && worker->shards->caching ? 2 : 1,
                          POLLERS_MAX, err);

    if (!rc)
        rc = check_bounds("polls", max, min, POLLERS_MAX, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < worker->queue_count && fixed; i++)
        if (!queue || queue == &worker->queues[i])
            set_fixed(&worker->queues[i], min);
    if (queue) {
        flo_poll_set_pollers(queue, (size_t)min, (size_t)max);
        return 0;
    }
    if (!fixed) {
        config->pollers.min = min;
        config->pollers.max = max;
        by_command(worker, "pollers.min");
        by_command(worker, "pollers.max");
    }
    config->pollers.kind = fixed ? FLO_POLLERS_FIXED : FLO_POLLERS_AUTOSCALE;
    by_command(worker, "pollers.kind");
    flo_resize_settle_pollers(worker);
    return 0;
}
