/* SPDX-License-Identifier: Apache-2.0 */
/* queue.c - the worker's task queues and what all of them share; see queue.h. */
#include "worker/queue.h"

#include "base/alloc.h"
#include "worker/worker.h"

static struct flo_slots *capacity_of(const struct flo_task_queue *queue)
{
    return &queue->worker->capacity[queue->kind];
}

bool flo_queue_reserve(struct flo_task_queue *queue)
{
    if (flo_slots_free(&queue->slots) == 0 || !flo_slots_reserve(capacity_of(queue)))
        return false;
    (void)flo_slots_reserve(&queue->slots); /* there is one */
    return true;
}

void flo_queue_release(struct flo_task_queue *queue)
{
    flo_slots_release(&queue->slots);
    flo_slots_release(capacity_of(queue));
}

void flo_queue_run(struct flo_task_queue *queue)
{
    flo_slots_run(&queue->slots);
    flo_slots_run(capacity_of(queue));
}

void flo_queue_finish(struct flo_task_queue *queue)
{
    flo_slots_finish(&queue->slots);
    flo_slots_finish(capacity_of(queue));
}

void flo_queue_answer(struct flo_task_queue *queue)
{
    flo_slots_answer(&queue->slots);
    flo_slots_answer(capacity_of(queue));
}

void flo_queue_answered(struct flo_task_queue *queue)
{
    flo_slots_answered(&queue->slots);
    flo_slots_answered(capacity_of(queue));
}

void flo_capacity_set(struct flo_worker *worker, enum flo_slot_kind kind, size_t total)
{
    size_t least = 0, before = worker->capacity[kind].total;

    for (size_t i = 0; i < worker->queue_count; i++)
        least += worker->queues[i].kind == kind;
    flo_slots_resize(&worker->capacity[kind], total > least ? total : least);
    if (worker->capacity[kind].total > before)
        flo_poll_fill(worker);
}

size_t flo_capacity_busy(const struct flo_worker *worker)
{
    size_t busy = 0;

    for (int kind = 0; kind < FLO_SLOT_KINDS; kind++)
        busy += flo_slots_busy(&worker->capacity[kind]);
    return busy;
}

size_t flo_capacity_total(const struct flo_worker *worker, enum flo_slot_kind kind)
{
    size_t own = 0, queues = 0;

    for (size_t i = 0; i < worker->queue_count; i++) {
        if (worker->queues[i].kind != kind)
            continue;
        own += worker->queues[i].slots.total;
        queues++;
    }
    return queues > 0 && own < worker->capacity[kind].total ? own : worker->capacity[kind].total;
}

int flo_queues_new(struct flo_worker *worker, struct flo_err *err)
{
    struct flo_task_queue *queue;

    worker->queues = flo_calloc(1, sizeof *worker->queues);
    if (!worker->queues)
        return flo_fail(err, FLO_ENOMEM, "no memory for the task queues");
    worker->queue_count = 1;
    queue = worker->queues;
    queue->worker = worker;
    queue->kind = worker->role->role == FLO_ROLE_WORKFLOW ? FLO_SLOT_WORKFLOW : FLO_SLOT_ACTIVITY;
    flo_map_init(&queue->type_series);
    for (int kind = 0; kind < FLO_POLLER_KINDS; kind++) {
        queue->pollers[kind].queue = queue;
        flo_list_init(&queue->pollers[kind].polls);
    }
    queue->name = flo_strdup(worker->config->task_queue);
    return queue->name ? 0 : flo_fail(err, FLO_ENOMEM, "no memory for the task queues");
}

void flo_queues_destroy(struct flo_worker *worker)
{
    for (size_t i = 0; i < worker->queue_count; i++) {
        flo_series_fini(&worker->queues[i]);
        flo_free(worker->queues[i].name);
    }
    flo_free(worker->queues);
    worker->queues = NULL;
    worker->queue_count = 0;
}
