/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.c - the workflow worker: finds the run of a task, in the cache or new, sees to it that the
 * history is whole, advances it and answers. A task that fails is not tried again and again, as a
 * worker's would be, but is the environment's problem, because the code will not get better.
 */
#include <string.h>

#include "base/alloc.h"
#include "testing/kit.h"
#include "wire/decode.h"
#include "wire/payload.h"

#define STICKY_NS (10 * FLO_NS_PER_S)

void kit_task_free(struct kit_task **task)
{
    struct kit_task *gone = *task;
    *task = NULL;
    if (!gone)
        return;
    kit_local_release(gone);
    flo_arena_fini(&gone->arena);
    flo_free(gone);
}

static struct kit_task *task_new(struct flo_test_env *env,
                                 const FloApi__PollWorkflowTaskQueueResponse *message)
{
    struct kit_task *task = flo_calloc(1, sizeof *task);
    if (!task)
        return NULL;
    task->env = env;
    flo_arena_init(&task->arena, 0);
    task->message = (void *)flo_wire_copy(&message->base, &task->arena);
    if (!task->message) {
        kit_task_free(&task);
        return NULL;
    }
    task->run_id = task->message->workflow_execution->run_id;
    return task;
}

struct flo_run *kit_run_new(struct flo_test_env *env, const char *workflow_id, const char *run_id,
                            bool quiet)
{
    struct flo_run *run;
    if (flo_run_new(quiet ? &env->quiet_env : &env->run_env, kit_find_workflow, env, workflow_id,
                    run_id, &run)) {
        kit_problem(env, FLO_ENOMEM, "no memory for a run");
        return NULL;
    }
    return run;
}

static struct flo_run *run_new(const struct kit_task *task)
{
    return kit_run_new(task->env, task->message->workflow_execution->workflow_id, task->run_id,
                       false);
}

int kit_history(struct flo_test_env *env, const char *workflow_id, const char *run_id,
                struct flo_arena *arena, FloApi__History **out, struct flo_err *err)
{
    FloApi__GetWorkflowExecutionHistoryRequest request =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    FloApi__WorkflowExecution run = FLO_API__WORKFLOW_EXECUTION__INIT;
    FloApi__GetWorkflowExecutionHistoryResponse *page;
    FloApi__History *all = NULL;
    run.workflow_id = KIT_TEXT(workflow_id);
    run.run_id = KIT_TEXT(run_id);
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.execution = &run;
    do {
        int rc = kit_ask(env, "GetWorkflowExecutionHistory", &request.base,
                         &flo_api__get_workflow_execution_history_response__descriptor, arena,
                         &page, err);
        if (rc)
            return rc;
        request.next_page_token = page->next_page_token;
        if (!all) {
            all = page->history;
            continue;
        }
        size_t count = all->n_events + page->history->n_events;
        FloApi__HistoryEvent **events = flo_arena_calloc(arena, count, sizeof *events);
        if (!events)
            return flo_fail(err, FLO_ENOMEM, "no memory for a history");
        memcpy(events, all->events, all->n_events * sizeof *events);
        memcpy(events + all->n_events, page->history->events,
               page->history->n_events * sizeof *events);
        all->events = events;
        all->n_events = count;
    } while (request.next_page_token.len);
    *out = all;
    return 0;
}

/* The task's history is only a part, by design or because it has pages: put what is before and
 * behind its own events around them. Those may be in no history (of a speculative task). */
static int make_whole(struct kit_task *task, struct flo_err *err)
{
    const FloApi__PollWorkflowTaskQueueResponse *message = task->message;
    FloApi__History *own = message->history, *all;
    int rc = kit_history(task->env, message->workflow_execution->workflow_id, task->run_id,
                         &task->arena, &all, err);
    if (rc)
        return rc;
    int64_t first = own->n_events ? own->events[0]->event_id : INT64_MAX;
    int64_t last = own->n_events ? own->events[own->n_events - 1]->event_id : INT64_MAX;
    int64_t end = message->started_event_id ? message->started_event_id : INT64_MAX;
    FloApi__HistoryEvent **events =
        flo_arena_calloc(&task->arena, all->n_events + own->n_events, sizeof *events);
    size_t count = 0, i = 0;
    if (!events)
        return flo_fail(err, FLO_ENOMEM, "no memory for a history");
    for (; i < all->n_events && all->events[i]->event_id < first; i++)
        if (all->events[i]->event_id <= end)
            events[count++] = all->events[i];
    for (size_t k = 0; k < own->n_events; k++)
        events[count++] = own->events[k];
    for (; i < all->n_events; i++)
        if (all->events[i]->event_id > last && all->events[i]->event_id <= end)
            events[count++] = all->events[i];
    own->events = events;
    own->n_events = count;
    return 0;
}

/* The run that takes the task; NULL: a problem. */
static struct flo_run *run_for(struct kit_task *task)
{
    struct flo_test_env *env = task->env;
    struct flo_err err = {0};
    struct flo_run *run = kit_local_take(task);
    if (!run)
        run = flo_map_remove_str(&env->cache, task->run_id);
    bool pages = task->message->next_page_token.len > 0;
    if (run && (pages || flo_run_missing_history(run, task->message)))
        flo_run_destroy(&run);
    if (!run)
        run = run_new(task);
    if (!run || (!pages && !flo_run_missing_history(run, task->message)))
        return run;
    flo_run_destroy(&run);
    if (make_whole(task, &err))
        kit_problem(env, err.code, "%s", err.message);
    else
        run = run_new(task);
    return run;
}

/* ---- answers ---- */

static void fill_sticky(struct kit_task *task, FloApi__StickyExecutionAttributes *sticky,
                        FloApi__TaskQueue *queue, const char *name)
{
    queue->name = flo_arena_printf(&task->arena, "%s-sticky", name);
    queue->kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_STICKY;
    queue->normal_name = KIT_TEXT(name);
    sticky->worker_task_queue = queue;
    sticky->schedule_to_start_timeout = flo_duration_new(&task->arena, STICKY_NS);
}

static const char *queue_name(const struct kit_task *task)
{
    const FloApi__TaskQueue *queue = task->message->workflow_execution_task_queue;
    return queue ? queue->name : task->env->options.task_queue;
}

int kit_worker_respond(struct kit_task *task, const struct flo_activation *activation)
{
    struct flo_test_env *env = task->env;
    FloApi__RespondWorkflowTaskCompletedRequest request =
        FLO_API__RESPOND_WORKFLOW_TASK_COMPLETED_REQUEST__INIT;
    FloApi__StickyExecutionAttributes sticky = FLO_API__STICKY_EXECUTION_ATTRIBUTES__INIT;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    FloApi__RespondWorkflowTaskCompletedResponse *answer;
    struct flo_err err = {0};
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.identity = KIT_TEXT("test");
    request.task_token = task->message->task_token;
    request.commands = activation->commands;
    request.n_commands = activation->command_count;
    request.messages = activation->messages;
    request.n_messages = activation->message_count;
    request.query_results = activation->query_results;
    request.n_query_results = activation->query_result_count;
    request.return_new_workflow_task = true;
    request.force_create_new_workflow_task = activation->more;
    FloApi__RespondWorkflowTaskCompletedRequest__Capabilities capabilities =
        FLO_API__RESPOND_WORKFLOW_TASK_COMPLETED_REQUEST__CAPABILITIES__INIT;
    capabilities.discard_speculative_workflow_task_with_events = true;
    request.capabilities = &capabilities;
    if (env->options.cache != FLO_TEST_CACHE_OFF && !activation->closes) {
        fill_sticky(task, &sticky, &queue, queue_name(task));
        request.sticky_attributes = &sticky;
    }
    int rc = kit_ask(env, "RespondWorkflowTaskCompleted", &request.base,
                     &flo_api__respond_workflow_task_completed_response__descriptor, &task->arena,
                     &answer, &err);
    if (rc && rc != FLO_ENOENT) /* that: the run is over, or the task's time was */
        kit_problem(env, rc, "a workflow task of %s was not taken: %s",
                    task->message->workflow_execution->workflow_id, err.message);
    if (rc)
        return rc;
    env->changes++;
    struct flo_run *run =
        answer->reset_history_event_id > 0 ? flo_map_get_str(&env->cache, task->run_id) : NULL;
    if (run) /* a speculative task left no events behind */
        flo_run_reset_to(run, answer->reset_history_event_id);
    for (size_t i = 0; i < answer->n_activity_tasks; i++)
        kit_activity_task(env, answer->activity_tasks[i]);
    if (answer->workflow_task)
        kit_worker_task(env, answer->workflow_task);
    return 0;
}

static void answer_query(struct kit_task *task, const struct flo_activation *activation)
{
    FloApi__RespondQueryTaskCompletedRequest request =
        FLO_API__RESPOND_QUERY_TASK_COMPLETED_REQUEST__INIT;
    struct flo_err err = {0};
    request.namespace_ = KIT_TEXT(KIT_NAMESPACE);
    request.task_token = task->message->task_token;
    request.completed_type = activation->query_type;
    request.query_result = activation->query_answer;
    if (activation->query_error)
        request.error_message = KIT_TEXT(activation->query_error);
    int rc = kit_ask(task->env, "RespondQueryTaskCompleted", &request.base,
                     &flo_api__respond_query_task_completed_response__descriptor, &task->arena,
                     NULL, &err);
    if (rc && rc != FLO_ENOENT)
        kit_problem(task->env, rc, "the answer to a query was not taken: %s", err.message);
}

static void task_failed(struct kit_task *task, const struct flo_activation *activation)
{
    bool differs =
        activation->cause ==
        FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR;
    kit_problem(task->env, differs ? FLO_ENONDET : FLO_EFAILED, "a workflow task of %s failed: %s",
                task->message->workflow_execution->workflow_id, activation->failure->message);
}

/* Keep the run for the next task, or do not. */
static void put_away(struct flo_test_env *env, const char *run_id, struct flo_run *run)
{
    bool keep = env->options.cache == FLO_TEST_CACHE_ON ||
                (env->options.cache == FLO_TEST_CACHE_RANDOM && flo_rng_below(&env->rng, 2));
    if (keep && flo_map_put_str(&env->cache, run_id, run) == 0)
        return;
    flo_run_destroy(&run);
}

/*
 * The run is put away before the answer leaves, because the next task may come with the server's
 * answer.
 */
static void complete(struct kit_task *task, struct flo_run *run,
                     const struct flo_activation *activation)
{
    struct flo_test_env *env = task->env;
    if (activation->closes)
        flo_run_destroy(&run);
    else
        put_away(env, task->run_id, run);
    if (kit_worker_respond(task, activation)) {
        run = flo_map_remove_str(&env->cache, task->run_id);
        flo_run_destroy(&run);
        return;
    }
    if (activation->closes)
        kit_replay(env, task->message->workflow_execution->workflow_id, task->run_id);
}

void kit_worker_settle(struct kit_task *task, struct flo_run *run,
                       const struct flo_activation *activation)
{
    switch (activation->outcome) {
    case FLO_ACTIVATION_OPEN:
        kit_local_hold(task, run, activation);
        return;
    case FLO_ACTIVATION_COMPLETE:
        complete(task, run, activation);
        break;
    case FLO_ACTIVATION_QUERY:
        put_away(task->env, task->run_id, run);
        answer_query(task, activation);
        break;
    case FLO_ACTIVATION_FAIL:
        task_failed(task, activation);
        flo_run_destroy(&run);
        break;
    }
    kit_task_free(&task);
}

/* ---- tasks ---- */

static void work(struct flo_test_env *env, void *ctx, uint64_t arg)
{
    struct kit_task *task = ctx;
    struct flo_activation activation = {0};
    struct flo_run *run = run_for(task);
    (void)arg;
    if (!run) {
        kit_task_free(&task);
        return;
    }
    if (flo_run_activate(run, task->message, &task->arena, &activation)) {
        kit_problem(env, FLO_ENOMEM, "no memory for a workflow task");
        flo_run_destroy(&run);
        kit_task_free(&task);
        return;
    }
    kit_worker_settle(task, run, &activation);
}

void kit_worker_task(struct flo_test_env *env, const FloApi__PollWorkflowTaskQueueResponse *message)
{
    struct kit_task *task = task_new(env, message);
    if (!task) {
        kit_problem(env, FLO_ENOMEM, "no memory for a workflow task");
        return;
    }
    work(env, task, 0);
}

void kit_worker_fini(struct flo_test_env *env)
{
    for (struct flo_map_entry *it = flo_map_first(&env->cache); it; it = flo_map_next(it)) {
        struct flo_run *run = flo_map_value(it);
        flo_run_destroy(&run);
    }
    flo_map_fini(&env->cache);
}
