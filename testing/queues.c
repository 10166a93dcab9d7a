/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queues.c - the worker polls every task queue that there is: those that tests start workflows on,
 * and those that workflows name, once something waits in them.
 */
#include <string.h>

#include "base/alloc.h"
#include "grpc/status.h"
#include "testing/kit.h"

#define STICKY_SUFFIX "-sticky"

static struct kit_queue *find(struct flo_test_env *env, const char *name, bool activity,
                              bool sticky)
{
    FLO_LIST_FOREACH(node, &env->queues)
    {
        struct kit_queue *queue = flo_container(node, struct kit_queue, node);
        if (queue->activity == activity && queue->sticky == sticky &&
            strcmp(queue->name, name) == 0)
            return queue;
    }
    return NULL;
}

static int add(struct flo_test_env *env, const char *name, bool activity, const char *normal_name)
{
    size_t size = strlen(name) + 1;
    if (find(env, name, activity, normal_name != NULL))
        return 0;
    struct kit_queue *queue = flo_calloc(1, sizeof *queue + size);
    if (!queue)
        return kit_problem(env, FLO_ENOMEM, "no memory for a task queue");
    memcpy(queue->name, name, size);
    queue->activity = activity;
    queue->sticky = normal_name != NULL;
    queue->normal_name = KIT_TEXT(normal_name ? normal_name : "");
    flo_list_push_back(&env->queues, &queue->node);
    return 0;
}

int kit_queue_know(struct flo_test_env *env, const char *name)
{
    int rc = add(env, name, false, NULL);
    if (rc == 0)
        rc = add(env, name, true, NULL);
    if (rc || env->options.cache == FLO_TEST_CACHE_OFF)
        return rc;
    const char *sticky = flo_arena_printf(&env->arena, "%s" STICKY_SUFFIX, name);
    const char *normal = flo_arena_strdup(&env->arena, name);
    return sticky && normal ? add(env, sticky, false, normal)
                            : kit_problem(env, FLO_ENOMEM, "no memory for a task queue");
}

/* ---- polls ---- */

static void polled(struct flo_test_env *env, void *ctx, const struct kit_answer *answer)
{
    struct kit_queue *queue = ctx;
    queue->poll = NULL;
    if (answer->code != FLO_GRPC_OK) {
        kit_problem(env, FLO_EFAILED, "a poll of the task queue %s was refused: %s", queue->name,
                    answer->message);
        return;
    }
    if (queue->activity) {
        const FloApi__PollActivityTaskQueueResponse *task = (const void *)answer->body;
        if (task->task_token.len)
            kit_activity_task(env, task);
    } else {
        const FloApi__PollWorkflowTaskQueueResponse *task = (const void *)answer->body;
        if (task->task_token.len)
            kit_worker_task(env, task);
    }
}

static void poll_workflows(struct flo_test_env *env, struct kit_queue *queue,
                           FloApi__TaskQueue *name)
{
    FloApi__PollWorkflowTaskQueueRequest request = FLO_API__POLL_WORKFLOW_TASK_QUEUE_REQUEST__INIT;
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.identity = KIT_TEXT("test");
    request.task_queue = name;
    queue->poll = kit_call(env, "PollWorkflowTaskQueue", &request.base,
                           &flo_api__poll_workflow_task_queue_response__descriptor, polled, queue);
}

static void poll_activities(struct flo_test_env *env, struct kit_queue *queue,
                            FloApi__TaskQueue *name)
{
    FloApi__PollActivityTaskQueueRequest request = FLO_API__POLL_ACTIVITY_TASK_QUEUE_REQUEST__INIT;
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.identity = KIT_TEXT("test");
    request.task_queue = name;
    queue->poll = kit_call(env, "PollActivityTaskQueue", &request.base,
                           &flo_api__poll_activity_task_queue_response__descriptor, polled, queue);
}

static void poll(struct flo_test_env *env, struct kit_queue *queue)
{
    FloApi__TaskQueue name = FLO_API__TASK_QUEUE__INIT;
    name.name = queue->name;
    name.kind = queue->sticky ? FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_STICKY
                              : FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    name.normal_name = queue->normal_name;
    if (queue->activity)
        poll_activities(env, queue, &name);
    else
        poll_workflows(env, queue, &name);
}

/* flo_core_each_queue: a queue that has tasks and nobody who polls it. */
static void discover(void *ctx, const struct flo_core_queue_figures *queue)
{
    struct flo_test_env *env = ctx;
    if (queue->backlog && !queue->pollers && !find(env, queue->queue, queue->activity, false) &&
        !find(env, queue->queue, queue->activity, true))
        (void)kit_queue_know(env, queue->queue);
}

void kit_queues_poll(struct flo_test_env *env)
{
    flo_core_each_queue(env->core, discover, env);
    FLO_LIST_FOREACH(node, &env->queues)
    {
        struct kit_queue *queue = flo_container(node, struct kit_queue, node);
        if (!queue->poll && !env->problem.code)
            poll(env, queue);
    }
}

void kit_queues_stop(struct flo_test_env *env)
{
    FLO_LIST_FOREACH(node, &env->queues)
    {
        struct kit_queue *queue = flo_container(node, struct kit_queue, node);
        if (queue->poll && kit_call_cancel(queue->poll))
            queue->poll = NULL;
    }
}

void kit_queues_fini(struct flo_test_env *env)
{
    while (!flo_list_empty(&env->queues)) {
        struct kit_queue *queue =
            flo_container(flo_list_pop_front(&env->queues), struct kit_queue, node);
        flo_free(queue);
    }
}
