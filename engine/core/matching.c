/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matching.c - task queues: ready tasks meet waiting polls.
 *
 * A queue is known by namespace, type, kind (sticky or not) and name; it appears with its first
 * task or poll and stays, to be described, while there are few. When there are many, a new one
 * first sweeps away those that are empty and were not polled for five minutes. Adding a task or a
 * poll only makes the queue *hot*; flo_matching_settle brings the two together at the end of the
 * step, one match at a time, because starting a task is a transition of its own.
 *
 * Nothing of a queue is stored: after a restart the runs queue their tasks again.
 */
#include "engine/core/matching.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/namespace.h"
#include "engine/core/queue_config.h"
#include "engine/core/request.h"
#include "engine/core/task.h"
#include "engine/core/timers.h"

/* With so many queues, only those that were polled in the last seconds are kept to be described. */
enum { MAX_SEEN = 1000, SWEEP_MIN = 256, MANY = 20000 };

/* ---- queues ---- */

/* Of a queue's key, before its name. */
enum { KEY_PREFIX = FLO_UUID_LEN + 2 };

/* Namespace id, type, kind, name: KEY_PREFIX bytes and the name's, without an end. */
static void put_key(char *key, const struct flo_namespace *ns, enum flo_queue_type type,
                    bool sticky, const char *name, size_t name_len)
{
    memcpy(key, ns->id, FLO_UUID_LEN);
    key[FLO_UUID_LEN] = type == FLO_QUEUE_WORKFLOW ? 'w' : 'a';
    key[FLO_UUID_LEN + 1] = sticky ? 's' : 'n';
    memcpy(key + KEY_PREFIX, name, name_len);
}

/* The same in scratch; NULL without memory. */
static char *queue_key(struct flo_core *core, const struct flo_namespace *ns,
                       enum flo_queue_type type, bool sticky, const char *name, size_t *out_len)
{
    const size_t name_len = strlen(name);
    char *key = flo_arena_alloc(&core->scratch, KEY_PREFIX + name_len);
    if (!key)
        return NULL;
    put_key(key, ns, type, sticky, name, name_len);
    *out_len = KEY_PREFIX + name_len;
    return key;
}

struct flo_queue *flo_matching_find(struct flo_core *core, const struct flo_namespace *ns,
                                    enum flo_queue_type type, bool sticky, const char *name)
{
    size_t len;
    const char *key = queue_key(core, ns, type, sticky, name, &len);
    return key ? flo_map_get(&core->queues, key, len) : NULL;
}

static void seen_free(struct flo_seen *seen)
{
    flo_free(seen->build_id);
    flo_free(seen);
}

static void queue_free(struct flo_core *core, struct flo_queue *queue)
{
    flo_core_timers_clear(&core->waits, &queue->rate_timer);
    flo_lanes_fini(core, queue);
    if (flo_node_linked(&queue->hot))
        flo_list_remove(&core->hot_queues, &queue->hot);
    for (struct flo_map_entry *it = flo_map_first(&queue->seen); it; it = flo_map_next(it))
        seen_free(flo_map_value(it));
    flo_map_fini(&queue->seen);
    flo_free(queue->name);
    flo_free(queue);
}

static void forget_seen(struct flo_core *core, struct flo_queue *queue)
{
    for (struct flo_map_entry *it = flo_map_first(&queue->seen), *next; it; it = next) {
        next = flo_map_next(it);
        struct flo_seen *seen = flo_map_value(it);
        if (seen->last_poll_ns + FLO_QUEUE_SEEN_NS > core->now_ns)
            continue;
        flo_map_remove_str(&queue->seen, seen->identity);
        seen_free(seen);
    }
}

/* Free the queues that nobody uses. */
static void sweep(struct flo_core *core)
{
    const int64_t kept_ns = core->queues.count < MANY ? FLO_QUEUE_SEEN_NS : FLO_CORE_STICKY_SEEN_NS;
    for (struct flo_map_entry *it = flo_map_first(&core->queues), *next; it; it = next) {
        next = flo_map_next(it);
        struct flo_queue *queue = flo_map_value(it);
        if (flo_lanes_count(queue) || !flo_list_empty(&queue->pollers) ||
            (core->serving && core->serving->queue == queue) ||
            (queue->last_poll_ns != INT64_MIN && queue->last_poll_ns + kept_ns > core->now_ns))
            continue;
        size_t len;
        const char *key = flo_map_key(it, &len);
        flo_map_remove(&core->queues, key, len);
        queue_free(core, queue);
    }
    core->sweep_at = 2 * core->queues.count + SWEEP_MIN;
}

static struct flo_queue *queue_get(struct flo_core *core, struct flo_namespace *ns,
                                   enum flo_queue_type type, bool sticky, const char *name)
{
    size_t len;
    const char *key = queue_key(core, ns, type, sticky, name, &len);
    if (!key)
        return NULL;
    struct flo_queue *queue = flo_map_get(&core->queues, key, len);
    if (queue)
        return queue;
    if (core->queues.count >= core->sweep_at)
        sweep(core);
    queue = flo_calloc(1, sizeof *queue);
    if (!queue)
        return NULL;
    queue->ns = ns;
    queue->type = type;
    queue->sticky = sticky;
    queue->last_poll_ns = INT64_MIN;
    queue->rate_limit = queue->worker_limit = queue->key_limit = -1;
    flo_lanes_init(queue);
    flo_list_init(&queue->pollers);
    flo_map_init(&queue->seen);
    queue->name = flo_strdup(name);
    if (!queue->name || flo_map_put(&core->queues, key, len, queue, NULL)) {
        queue_free(core, queue);
        return NULL;
    }
    if (!sticky && core->queue_configs.count) {
        queue->config = flo_queue_config_find(core, ns, type, name);
        flo_queue_set_limits(core, queue);
    }
    return queue;
}

void flo_matching_fini(struct flo_core *core)
{
    for (struct flo_map_entry *it = flo_map_first(&core->queues); it; it = flo_map_next(it))
        queue_free(core, flo_map_value(it));
    flo_map_fini(&core->queues);
}

void flo_matching_heat(struct flo_core *core, struct flo_queue *queue)
{
    if (!flo_node_linked(&queue->hot) && !flo_list_empty(&queue->pollers) && flo_lanes_count(queue))
        flo_list_push_back(&core->hot_queues, &queue->hot);
}

/* ---- tasks ---- */

static void enqueue(struct flo_core *core, struct flo_lane *lane, struct flo_task *task)
{
    struct flo_queue *queue = lane->queue;
    task->lane = lane;
    task->added_ns = core->now_ns;
    flo_list_push_back(&lane->tasks, &task->node);
    flo_lane_added(core, lane);
    flo_rate_count(&queue->added, core->now_ns);
    flo_matching_heat(core, queue);
}

/* Where a task of that priority waits. A sticky queue is one worker's own, which takes its tasks as
 * they come. */
static struct flo_lane *lane_of(struct flo_core *core, struct flo_queue *queue,
                                const struct flo_priority *base, const struct flo_priority *own)
{
    if (queue->sticky || (!base && !own && !queue->lanes))
        return &queue->base;
    const struct flo_order_of order = flo_priority_order(base, own);
    return flo_lane_get(core, queue, &order);
}

int flo_matching_add_workflow_task(struct flo_core *core, struct flo_execution *execution,
                                   const char *normal_name, const char *sticky_name)
{
    struct flo_namespace *ns = execution->hooks.ns;
    const bool sticky = sticky_name && flo_matching_sticky_alive(core, ns, sticky_name);
    struct flo_queue *queue =
        queue_get(core, ns, FLO_QUEUE_WORKFLOW, sticky, sticky ? sticky_name : normal_name);
    struct flo_lane *lane =
        queue ? lane_of(core, queue, flo_execution_priority(execution), NULL) : NULL;
    if (!lane)
        return FLO_ENOMEM;
    flo_matching_remove(core, &execution->hooks.workflow_task);
    enqueue(core, lane, &execution->hooks.workflow_task);
    return 0;
}

int flo_matching_add_activity_task(struct flo_core *core, struct flo_task *task,
                                   struct flo_execution *execution,
                                   struct flo_core_activity *activity, const char *queue_name)
{
    struct flo_queue *queue =
        queue_get(core, execution->hooks.ns, FLO_QUEUE_ACTIVITY, false, queue_name);
    struct flo_lane *lane =
        queue ? lane_of(core, queue, flo_execution_priority(execution), activity->priority) : NULL;
    if (!lane)
        return FLO_ENOMEM;
    flo_matching_remove(core, task);
    task->kind = FLO_TASK_ACTIVITY;
    task->execution = execution;
    task->activity = activity;
    enqueue(core, lane, task);
    return 0;
}

int flo_matching_add_query_task(struct flo_core *core, struct flo_task *task,
                                struct flo_namespace *ns, bool sticky, const char *queue_name)
{
    struct flo_queue *queue = queue_get(core, ns, FLO_QUEUE_WORKFLOW, sticky, queue_name);
    struct flo_lane *lane =
        queue ? lane_of(core, queue,
                        task->execution ? flo_execution_priority(task->execution) : NULL, NULL)
              : NULL;
    if (!lane)
        return FLO_ENOMEM;
    flo_matching_remove(core, task);
    enqueue(core, lane, task);
    return 0;
}

void flo_matching_remove(struct flo_core *core, struct flo_task *task)
{
    (void)core; /* a queue that is hot for nothing is found so by flo_matching_settle */
    if (!flo_node_linked(&task->node))
        return;
    flo_list_remove(&task->lane->tasks, &task->node);
    flo_lane_removed(task->lane);
    task->lane = NULL;
}

bool flo_matching_sticky_alive(struct flo_core *core, const struct flo_namespace *ns,
                               const char *sticky_name)
{
    const struct flo_queue *queue =
        flo_matching_find(core, ns, FLO_QUEUE_WORKFLOW, true, sticky_name);
    return queue && queue->last_poll_ns != INT64_MIN &&
           (!flo_list_empty(&queue->pollers) ||
            queue->last_poll_ns + FLO_CORE_STICKY_SEEN_NS > core->now_ns);
}

bool flo_matching_rate_limited(struct flo_core *core, const struct flo_namespace *ns,
                               const char *queue_name)
{
    const struct flo_queue *queue =
        flo_matching_find(core, ns, FLO_QUEUE_ACTIVITY, false, queue_name);
    const struct flo_queue_config *config =
        flo_queue_config_find(core, ns, FLO_QUEUE_ACTIVITY, queue_name);
    return (queue && queue->rate_limit >= 0) ||
           (config && (config->queue_limit >= 0 || config->key_limit >= 0));
}

/* ---- polls ---- */

static void poller_drop(struct flo_core *core, struct flo_waiting *waiting)
{
    flo_matching_poller_free(core, flo_container(waiting, struct flo_poller, waiting));
}

static void poller_due(struct flo_core *core, struct flo_core_timer *timer)
{
    flo_poll_answer_empty(core, flo_container(timer, struct flo_poller, timer));
}

void flo_matching_poller_free(struct flo_core *core, struct flo_poller *poller)
{
    flo_core_wait_over(core, &poller->waiting);
    flo_core_timers_clear(&core->waits, &poller->timer);
    flo_list_remove(&poller->queue->pollers, &poller->node);
    poller->queue->ns->polls[poller->queue->type]--;
    flo_free(poller);
}

void flo_matching_jump(struct flo_core *core, int64_t by_ns)
{
    for (struct flo_map_entry *it = flo_map_first(&core->queues); it; it = flo_map_next(it)) {
        struct flo_queue *queue = flo_map_value(it);
        if (queue->last_poll_ns != INT64_MIN)
            queue->last_poll_ns += by_ns;
        queue->rate_refilled_ns += by_ns;
        FLO_LIST_FOREACH(node, &queue->pollers)
        {
            flo_container(node, struct flo_poller, node)->began_ns += by_ns;
        }
        for (struct flo_map_entry *at = flo_map_first(&queue->seen); at; at = flo_map_next(at)) {
            struct flo_seen *seen = flo_map_value(at);
            seen->last_poll_ns += by_ns;
        }
    }
}

/* Note who polled. Not knowing it is no reason to refuse the poll. */
static void note_seen(struct flo_core *core, struct flo_queue *queue, const struct flo_poll *poll)
{
    queue->last_poll_ns = core->now_ns;
    struct flo_seen *seen = flo_map_get_str(&queue->seen, poll->identity);
    if (!seen) {
        if (queue->seen.count >= MAX_SEEN)
            forget_seen(core, queue);
        if (queue->seen.count >= MAX_SEEN)
            return;
        const size_t len = strlen(poll->identity);
        seen = flo_calloc(1, sizeof *seen + len + 1);
        if (!seen)
            return;
        memcpy(seen->identity, poll->identity, len + 1);
        if (flo_map_put_str(&queue->seen, poll->identity, seen)) {
            seen_free(seen);
            return;
        }
    }
    seen->last_poll_ns = core->now_ns;
    seen->rate = poll->max_tasks_per_second ? poll->max_tasks_per_second->value : FLO_POLLER_RATE;
    if (!seen->build_id || strcmp(seen->build_id, poll->build_id) != 0) {
        flo_free(seen->build_id);
        seen->build_id = flo_strdup(poll->build_id);
    }
}

static struct flo_poller *poller_new(const struct flo_poll *poll)
{
    const size_t identity = strlen(poll->identity) + 1, build = strlen(poll->build_id) + 1;
    const size_t key = strlen(poll->instance_key) + 1;
    struct flo_poller *poller = flo_calloc(1, sizeof *poller + identity + build + key);
    if (!poller)
        return NULL;
    poller->identity = memcpy(poller->text, poll->identity, identity);
    poller->build_id = memcpy(poller->text + identity, poll->build_id, build);
    poller->instance_key = memcpy(poller->text + identity + build, poll->instance_key, key);
    poller->has_build_id = poll->has_build_id;
    poller->waiting = (struct flo_waiting){.call = poll->call, .drop = poller_drop};
    return poller;
}

int flo_matching_poll(struct flo_core *core, const struct flo_poll *poll)
{
    struct flo_queue *queue = queue_get(core, poll->ns, poll->type, poll->sticky, poll->queue);
    struct flo_poller *poller = queue ? poller_new(poll) : NULL;
    if (!poller)
        return FLO_ENOMEM;
    if (flo_core_wait(core, &poller->waiting)) {
        flo_free(poller);
        return FLO_ENOMEM;
    }
    if (flo_core_timers_set(&core->waits, &poller->timer, poll->until_ns, poller_due)) {
        flo_core_wait_over(core, &poller->waiting);
        flo_free(poller);
        return FLO_ENOMEM;
    }
    poller->queue = queue;
    poller->began_ns = core->now_ns;
    flo_list_push_back(&queue->pollers, &poller->node);
    poll->ns->polls[poll->type]++;
    note_seen(core, queue, poll);
    if (poll->type == FLO_QUEUE_ACTIVITY)
        flo_queue_worker_limit(core, queue, poll->max_tasks_per_second);
    flo_matching_heat(core, queue);
    return 0;
}

/* ---- advice ---- */

#define IDLE_POLL_NS FLO_NS_PER_S
#define OLD_TASK_NS (200 * FLO_NS_PER_MS)
#define ADVICE_GAP_NS (100 * FLO_NS_PER_MS)
#define FASTER_BY 1.2F /* tasks added to tasks given out */

int32_t flo_matching_advice(struct flo_core *core, const struct flo_poller *poller)
{
    struct flo_queue *queue = poller->queue;
    if (core->now_ns - poller->began_ns >= IDLE_POLL_NS)
        return -1;
    const struct flo_lane *lane = flo_lane_next(core, queue);
    if (!lane || core->now_ns - queue->more_polls_ns < ADVICE_GAP_NS)
        return 0;
    const int64_t added_ns =
        flo_container(flo_list_first(&lane->tasks), struct flo_task, node)->added_ns;
    if (core->now_ns - added_ns < OLD_TASK_NS &&
        flo_rate_per_second(&queue->added, core->now_ns) <=
            FASTER_BY * flo_rate_per_second(&queue->dispatched, core->now_ns))
        return 0;
    queue->more_polls_ns = core->now_ns;
    return 1;
}

/* ---- the match ---- */

void flo_matching_settle(struct flo_core *core)
{
    struct flo_node *node = flo_list_pop_front(&core->hot_queues);
    if (!node)
        return;
    struct flo_queue *queue = flo_container(node, struct flo_queue, hot);
    struct flo_node *poller_node = flo_list_first(&queue->pollers);
    struct flo_lane *lane = poller_node ? flo_lane_next(core, queue) : NULL;
    if (!lane || !flo_queue_rate_allows(core, queue))
        return;
    struct flo_task *task = flo_container(flo_list_first(&lane->tasks), struct flo_task, node);
    flo_matching_remove(core, task);
    core->serving = lane;
    int rc = flo_poll_deliver(core, flo_container(poller_node, struct flo_poller, node), task);
    core->serving = NULL;
    if (rc != FLO_ENOENT) {
        flo_rate_count(&queue->dispatched, core->now_ns);
        flo_lane_passed(core, lane);
        flo_queue_rate_used(queue);
    }
    flo_matching_heat(core, queue);
}

/* ---- shutdown of a worker ---- */

static bool is_workers_poll(const struct flo_poller *poller, const char *sticky_queue,
                            const char *identity, const char *instance_key)
{
    if (instance_key[0])
        return strcmp(poller->instance_key, instance_key) == 0;
    return poller->queue->sticky && strcmp(poller->queue->name, sticky_queue) == 0 &&
           strcmp(poller->identity, identity) == 0;
}

/* Move what waits on the queue of a worker that goes to the normal queues. */
static void abandon_sticky(struct flo_core *core, struct flo_queue *queue)
{
    /* Nothing more is sent there, unless somebody else polls it. */
    queue->last_poll_ns = core->now_ns - FLO_CORE_STICKY_SEEN_NS;
    for (struct flo_node *node; (node = flo_list_first(&queue->base.tasks));) {
        struct flo_task *task = flo_container(node, struct flo_task, node);
        flo_matching_remove(core, task);
        if (task->kind == FLO_TASK_QUERY)
            flo_core_query_requeue(core, task->query);
        else if (flo_matching_add_workflow_task(core, task->execution, task->execution->task_queue,
                                                NULL))
            flo_core_set_fatal(core); /* the task would be lost */
    }
}

void flo_matching_shutdown(struct flo_core *core, const struct flo_namespace *ns,
                           const char *sticky_queue, const char *identity, const char *instance_key)
{
    for (struct flo_map_entry *it = flo_map_first(&core->queues); it; it = flo_map_next(it)) {
        struct flo_queue *queue = flo_map_value(it);
        if (queue->ns != ns)
            continue;
        FLO_LIST_FOREACH_SAFE(node, &queue->pollers)
        {
            struct flo_poller *poller = flo_container(node, struct flo_poller, node);
            if (is_workers_poll(poller, sticky_queue, identity, instance_key))
                flo_poll_answer_empty(core, poller);
        }
    }
    struct flo_queue *sticky = flo_matching_find(core, ns, FLO_QUEUE_WORKFLOW, true, sticky_queue);
    if (sticky_queue[0] && sticky)
        abandon_sticky(core, sticky);
}

/* ---- figures ---- */

/* Of whose workflows are the tasks of a sticky queue? A worker has one such queue, for the
 * workflows of one normal queue, so that the first task tells; NULL: only queries wait. */
static const char *normal_name(const struct flo_queue *sticky)
{
    FLO_LIST_FOREACH(node, &sticky->base.tasks)
    {
        const struct flo_task *task = flo_container(node, const struct flo_task, node);
        if (task->kind == FLO_TASK_WORKFLOW)
            return task->execution->task_queue;
    }
    return NULL;
}

size_t flo_matching_waiting(const struct flo_core *core, const struct flo_queue *queue, int level,
                            int64_t *out_since_ns)
{
    const bool normal = !queue->sticky && queue->type == FLO_QUEUE_WORKFLOW;
    int64_t since_ns = 0;
    size_t waiting = 0;
    for (int i = 1; i <= FLO_PRIORITY_LEVELS; i++)
        if (!level || level == i)
            waiting += flo_lanes_count_at(queue, i, &since_ns);
    if (!level || level == FLO_PRIORITY_DEFAULT_LEVEL)
        for (struct flo_map_entry *it = flo_map_first(&core->queues); it && normal;
             it = flo_map_next(it)) {
            const struct flo_queue *other = flo_map_value(it);
            if (!other->sticky || other->ns != queue->ns || flo_list_empty(&other->base.tasks))
                continue;
            const char *name = normal_name(other);
            if (name && strcmp(name, queue->name) == 0)
                waiting += flo_lanes_count_at(other, FLO_PRIORITY_DEFAULT_LEVEL, &since_ns);
        }
    if (out_since_ns)
        *out_since_ns = since_ns;
    return waiting;
}

/* The normal queue whose tasks wait on that sticky one; NULL: there is none. */
static struct flo_queue *normal_of(const struct flo_core *core, const struct flo_queue *sticky)
{
    char key[KEY_PREFIX + FLO_CORE_ID_BYTES];
    const char *name = normal_name(sticky);
    const size_t len = name ? strlen(name) : 0;
    if (!name || len > FLO_CORE_ID_BYTES)
        return NULL;
    put_key(key, sticky->ns, FLO_QUEUE_WORKFLOW, false, name, len);
    return flo_map_get(&core->queues, key, KEY_PREFIX + len);
}

/* Add up what waits on sticky queues: once for all queues, since there may be many of both. */
static void count_elsewhere(const struct flo_core *core)
{
    for (struct flo_map_entry *it = flo_map_first(&core->queues); it; it = flo_map_next(it)) {
        struct flo_queue *queue = flo_map_value(it);
        queue->elsewhere = 0;
        queue->elsewhere_since_ns = 0;
    }
    for (struct flo_map_entry *it = flo_map_first(&core->queues); it; it = flo_map_next(it)) {
        const struct flo_queue *queue = flo_map_value(it);
        struct flo_queue *normal = queue->sticky ? normal_of(core, queue) : NULL;
        if (normal)
            normal->elsewhere +=
                flo_lanes_count_at(queue, FLO_PRIORITY_DEFAULT_LEVEL, &normal->elsewhere_since_ns);
    }
}

void flo_core_each_queue(const struct flo_core *core,
                         void (*fn)(void *ctx, const struct flo_core_queue_figures *figures),
                         void *ctx)
{
    count_elsewhere(core);
    for (struct flo_map_entry *it = flo_map_first(&core->queues); it; it = flo_map_next(it)) {
        const struct flo_queue *queue = flo_map_value(it);
        if (queue->sticky)
            continue;
        int64_t since_ns = queue->elsewhere_since_ns;
        struct flo_core_queue_figures figures = {
            .namespace_ = queue->ns->name,
            .queue = queue->name,
            .activity = queue->type == FLO_QUEUE_ACTIVITY,
            .backlog = queue->elsewhere,
            .pollers = queue->pollers.count,
        };
        for (int level = 1; level <= FLO_PRIORITY_LEVELS; level++)
            figures.backlog += flo_lanes_count_at(queue, level, &since_ns);
        if (figures.backlog)
            figures.backlog_age_ns = core->now_ns - since_ns;
        fn(ctx, &figures);
    }
}
