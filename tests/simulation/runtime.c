/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime.c - workflow workers that are the real thing: common/workflow with its cache of runs, fed
 * with the tasks that the core hands out. The engine dies with starts of tasks that were not stored
 * yet, so runs in the caches may have seen events that never were; such a run must not be used
 * (flo_run_missing_history). The code of the workflows is the same each time, so that a task that
 * fails has found history and run at odds: a broken promise.
 *
 * A timer's step begins with local activities. A run that has some at work is held, with its task,
 * by its worker; they take from nothing to longer than a task may.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/list.h"
#include "flotilla/workflow.h"
#include "simulation/workers.h"
#include "wire/api.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "wire/payload.h"
#include "workflow/cache.h"

#define NAME(literal) ((char *)(uintptr_t)(literal))
#define STACK_BYTES ((size_t)64 << 10)
#define CACHE_BYTES ((size_t)16 << 20)
#define CACHE_RUNS 4 /* fewer than there are workflows: some are missed */

/* One worker process: its cache, and the sticky queue that only it polls. */
struct worker {
    struct cast *cast;
    struct flo_run_cache *cache;
    struct flo_list held; /* of struct held */
    char sticky_queue[32];
};

struct runtime {
    struct flo_run_env env;
    struct worker workers[WORKERS];
};

static void poll_normal(struct world *world, void *ctx, uint64_t arg);
static void poll_sticky(struct world *world, void *ctx, uint64_t arg);

/* ---- the workflow ---- */

static int await_two(struct flo_workflow *wf, struct flo_future *const futures[2])
{
    for (unsigned part = 0; part < 2; part++) {
        int rc = flo_await(wf, futures[part], NULL);
        if (rc && rc != FLO_EFAILED)
            return rc;
        flo_failure_clear(wf);
    }
    return 0;
}

static struct flo_future *start_activity(struct flo_workflow *wf, unsigned step, unsigned part)
{
    char id[16];
    struct flo_activity_options options = {.activity_id = id, .start_to_close_ms = 5000};
    snprintf(id, sizeof id, "a%u.%u", step, part);
    return flo_activity_start(wf, "work", NULL, &options);
}

/* Two at once, whose order decides what comes next; some are tried again after a timer. */
static int run_locals(struct flo_workflow *wf)
{
    const struct flo_local_activity_options options = {.start_to_close_ms = 60000};
    struct flo_future *both[] = {flo_local_activity_start(wf, "one", NULL, &options),
                                 flo_local_activity_start(wf, "two", NULL, &options)};
    size_t first;
    int rc = flo_await_any(wf, both, 2, &first);
    if (!rc)
        rc = flo_await(wf, both[first], NULL);
    if (!rc && first)
        rc = flo_sleep(wf, 100);
    return rc ? rc : flo_await(wf, both[1 - first], NULL);
}

static int run_step(struct flo_workflow *wf, enum step kind, unsigned step, unsigned *signals)
{
    struct flo_future *futures[2];
    char name[16];
    int rc;
    switch (kind) {
    case STEP_ACTIVITY:
        futures[0] = futures[1] = start_activity(wf, step, 0);
        return await_two(wf, futures);
    case STEP_TWO_ACTIVITIES:
        futures[0] = start_activity(wf, step, 0);
        futures[1] = start_activity(wf, step, 1);
        return await_two(wf, futures);
    case STEP_TIMER:
        rc = run_locals(wf);
        return rc ? rc : flo_sleep(wf, 1000 + step * 4000);
    default:
        snprintf(name, sizeof name, "s%u", (*signals)++);
        return flo_signal_await(wf, name, -1, NULL);
    }
}

static int program(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    enum step steps[STEPS_MAX];
    unsigned signals = 0, count = program_of(flo_workflow_info(wf)->workflow_id, steps);
    int rc = 0;
    (void)input, (void)out_result;
    for (unsigned step = 0; step < count && !rc; step++)
        rc = run_step(wf, steps[step], step, &signals);
    return rc;
}

static flo_workflow_fn look_up(void *ctx, const char *type)
{
    (void)ctx;
    return strcmp(type, "Program") == 0 ? program : NULL;
}

unsigned workflow_step_kinds(void)
{
    return STEP_CHILD;
}

/* ---- one task ---- */

/* A task until it is answered; lives as long as the world. */
struct task {
    struct worker *worker;
    FloApi__PollWorkflowTaskQueueResponse *message;
    bool beats; /* its heartbeat is set */
    char run_id[64];
};

/* A run with local activities at work. */
struct held {
    struct flo_node node; /* worker->held */
    struct flo_run *run;
    struct task *task; /* the open one; NULL while its heartbeat is on its way */
    char run_id[64];
};

static void got_task(struct worker *worker, const FloApi__PollWorkflowTaskQueueResponse *message);

static struct flo_arena *arena_of(const struct worker *worker)
{
    return &worker->cast->world->arena;
}

static struct held *held_of(const struct worker *worker, const char *run_id)
{
    FLO_LIST_FOREACH(node, &worker->held)
    {
        struct held *held = flo_container(node, struct held, node);
        if (strcmp(held->run_id, run_id) == 0)
            return held;
    }
    return NULL;
}

/* The run is the caller's again. */
static struct flo_run *let_go(struct worker *worker, struct held *held)
{
    struct flo_run *run = held->run;
    flo_list_remove(&worker->held, &held->node);
    flo_free(held);
    return run;
}

static void completion_answered(struct cast *cast, void *ctx, int code, const uint8_t *body,
                                size_t len)
{
    struct task *task = ctx;
    (void)cast;
    if (code != FLO_GRPC_OK) {
        struct held *held = held_of(task->worker, task->run_id);
        struct flo_run *lost = held && !held->task ? let_go(task->worker, held) : NULL;
        flo_run_destroy(&lost);
        flo_run_cache_drop(task->worker->cache, task->run_id);
        return;
    }
    struct flo_arena arena;
    const FloApi__RespondWorkflowTaskCompletedResponse *answer = decode_answer(
        &flo_api__respond_workflow_task_completed_response__descriptor, body, len, &arena);
    struct flo_run *run = answer->reset_history_event_id > 0
                              ? flo_run_cache_take(task->worker->cache, task->run_id)
                              : NULL;
    if (run) {
        flo_run_reset_to(run, answer->reset_history_event_id);
        if (flo_run_cache_put(task->worker->cache, run))
            abort();
    }
    if (answer->workflow_task)
        got_task(task->worker, answer->workflow_task);
    flo_arena_fini(&arena);
}

static void respond(struct task *task, const struct flo_activation *activation)
{
    FloApi__RespondWorkflowTaskCompletedRequest request;
    FloApi__StickyExecutionAttributes sticky;
    FloApi__TaskQueue queue;
    flo_api__respond_workflow_task_completed_request__init(&request);
    flo_api__sticky_execution_attributes__init(&sticky);
    flo_api__task_queue__init(&queue);
    queue.name = task->worker->sticky_queue;
    queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_STICKY;
    queue.normal_name = NAME(QUEUE);
    sticky.worker_task_queue = &queue;
    sticky.schedule_to_start_timeout = flo_duration_new(arena_of(task->worker), 10 * SECOND);
    request.namespace_ = NAME("default");
    request.task_token = task->message->task_token;
    request.commands = activation->commands;
    request.n_commands = activation->command_count;
    request.sticky_attributes = &sticky;
    request.return_new_workflow_task = true;
    request.force_create_new_workflow_task = activation->more;
    say_until_heard(task->worker->cast, "RespondWorkflowTaskCompleted", &request.base,
                    completion_answered, task);
}

static struct flo_run *new_run(const struct task *task)
{
    const struct runtime *runtime = task->worker->cast->runtime;
    struct flo_run *run;
    if (flo_run_new(&runtime->env, look_up, NULL, task->message->workflow_execution->workflow_id,
                    task->run_id, &run))
        abort();
    return run;
}

/* ---- local activities ---- */

static void settle(struct task *task, struct flo_run *run, struct flo_activation activation);

struct local {
    struct worker *worker;
    char run_id[64];
    uint64_t seq;
    int32_t attempt;
};

static void local_ended(struct world *world, void *ctx, uint64_t arg)
{
    struct local *local = ctx;
    struct held *held = held_of(local->worker, local->run_id);
    struct flo_activation activation = {0};
    struct flo_local_result result = {
        .seq = local->seq, .attempt = local->attempt, .ran_ns = (int64_t)arg};
    if (!held) /* its worker gave it up */
        return;
    if (!held->task) {
        world_after(world, 100 * MS, local_ended, local, arg + 100 * MS);
        return;
    }
    if (local->attempt < 3 && world_random(world, 4) == 0) {
        result.failure = flo_failure_application(&world->arena, "again", "Error", false, NULL, 0);
        result.backoff_ns = 500 * MS;
    }
    struct task *task = held->task;
    struct flo_run *run = let_go(local->worker, held);
    if (flo_run_resolve_local(run, task->message, &result, &world->arena, &activation))
        abort();
    settle(task, run, activation);
}

static void begin_local(struct task *task, const struct flo_local_start *start)
{
    struct world *world = task->worker->cast->world;
    struct local *local = flo_arena_calloc(&world->arena, 1, sizeof *local);
    uint64_t takes_ms = world_random(world, world_random(world, 4) ? 200 : 25000);
    if (!local)
        abort();
    local->worker = task->worker;
    local->seq = start->seq;
    local->attempt = start->attempt;
    memcpy(local->run_id, task->run_id, sizeof local->run_id);
    world_after(world, (int64_t)takes_ms * MS, local_ended, local, takes_ms * MS);
}

/* The task cannot stay open any longer. */
static void heartbeat(struct world *world, void *ctx, uint64_t arg)
{
    struct task *task = ctx;
    struct held *held = held_of(task->worker, task->run_id);
    struct flo_activation activation = {0};
    (void)arg;
    if (!held || held->task != task)
        return;
    if (flo_run_yield_task(held->run, task->message, &world->arena, &activation))
        abort();
    held->task = NULL;
    respond(task, &activation);
}

static void hold(struct task *task, struct flo_run *run)
{
    struct held *held = flo_calloc(1, sizeof *held);
    if (!held)
        abort();
    held->run = run;
    held->task = task;
    memcpy(held->run_id, task->run_id, sizeof held->run_id);
    flo_list_push_back(&task->worker->held, &held->node);
    if (task->beats)
        return;
    task->beats = true;
    world_after(task->worker->cast->world, 8 * SECOND, heartbeat, task, 0);
}

/* ---- one answer ---- */

static void settle(struct task *task, struct flo_run *run, struct flo_activation activation)
{
    struct cast *cast = task->worker->cast;
    if (activation.outcome == FLO_ACTIVATION_OPEN) {
        for (size_t i = 0; i < activation.local_start_count; i++)
            begin_local(task, &activation.local_starts[i]);
        hold(task, run);
        return;
    }
    if (activation.outcome != FLO_ACTIVATION_COMPLETE) {
        world_fail(cast->world, "I4: a workflow task of %s fails: %s",
                   task->message->workflow_execution->workflow_id,
                   activation.failure ? activation.failure->message : "it was a query");
        flo_run_destroy(&run);
        return;
    }
    if (activation.closes)
        flo_run_destroy(&run);
    else if (flo_run_cache_put(task->worker->cache, run))
        abort();
    if (!world_fault(cast->world, 30)) /* else the answer is lost: the run stays ahead of history */
        respond(task, &activation);
}

static void activate(struct task *task, struct flo_run *run)
{
    struct flo_activation activation = {0};
    if (flo_run_activate(run, task->message, arena_of(task->worker), &activation))
        abort();
    settle(task, run, activation);
}

/* The history from event 1; the task's own events, which need not be stored, follow it. */
static void fetched(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    struct task *task = ctx;
    struct flo_arena *arena = &world->arena, answer_arena;
    if (code != FLO_GRPC_OK)
        return; /* the task times out */
    const FloApi__GetWorkflowExecutionHistoryResponse *answer = decode_answer(
        &flo_api__get_workflow_execution_history_response__descriptor, body, len, &answer_arena);
    FloApi__History *all = (void *)flo_wire_copy(&answer->history->base, arena);
    flo_arena_fini(&answer_arena);
    FloApi__History *own = task->message->history;
    size_t room = all->n_events + own->n_events, count = 0;
    FloApi__HistoryEvent **events = flo_arena_calloc(arena, room, sizeof *events);
    if (!events)
        abort();
    for (size_t i = 0; i < all->n_events; i++)
        if (all->events[i]->event_id < own->events[0]->event_id)
            events[count++] = all->events[i];
    for (size_t i = 0; i < own->n_events; i++)
        events[count++] = own->events[i];
    own->events = events;
    own->n_events = count;
    struct flo_run *run = new_run(task);
    if (flo_run_missing_history(run, task->message)) { /* it was of an engine that has died */
        flo_run_destroy(&run);
        return;
    }
    activate(task, run);
}

static void got_task(struct worker *worker, const FloApi__PollWorkflowTaskQueueResponse *message)
{
    struct flo_arena *arena = arena_of(worker);
    struct task *task = flo_arena_calloc(arena, 1, sizeof *task);
    if (!task)
        abort();
    task->worker = worker;
    task->message = (void *)flo_wire_copy(&message->base, arena);
    snprintf(task->run_id, sizeof task->run_id, "%s", message->workflow_execution->run_id);
    struct held *held = held_of(worker, task->run_id);
    bool open = held && held->task; /* that task was given up by the engine, and so is the run */
    struct flo_run *run =
        held ? let_go(worker, held) : flo_run_cache_take(worker->cache, task->run_id);
    if (open)
        flo_run_destroy(&run);
    if (run && flo_run_missing_history(run, task->message))
        flo_run_destroy(&run);
    if (!run)
        run = new_run(task);
    if (!flo_run_missing_history(run, task->message)) {
        activate(task, run);
        return;
    }
    flo_run_destroy(&run);
    FloApi__GetWorkflowExecutionHistoryRequest request;
    flo_api__get_workflow_execution_history_request__init(&request);
    request.namespace_ = NAME("default");
    request.execution = task->message->workflow_execution;
    world_call(worker->cast->world, "GetWorkflowExecutionHistory", &request.base, fetched, task);
}

/* ---- polls ---- */

static void got_answer(struct worker *worker, int code, const uint8_t *body, size_t len)
{
    struct flo_arena arena;
    if (code != FLO_GRPC_OK)
        return;
    const FloApi__PollWorkflowTaskQueueResponse *message =
        decode_answer(&flo_api__poll_workflow_task_queue_response__descriptor, body, len, &arena);
    if (message->task_token.len && !world_fault(worker->cast->world, 40))
        got_task(worker, message);
    flo_arena_fini(&arena);
}

static void polled_normal(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    got_answer(ctx, code, body, len);
    world_after(world, code == FLO_GRPC_OK ? 0 : 300 * MS, poll_normal, ctx, 0);
}

static void polled_sticky(struct world *world, void *ctx, int code, const uint8_t *body, size_t len)
{
    got_answer(ctx, code, body, len);
    world_after(world, code == FLO_GRPC_OK ? 0 : 300 * MS, poll_sticky, ctx, 0);
}

static void poll(struct worker *worker, bool sticky)
{
    FloApi__PollWorkflowTaskQueueRequest request;
    FloApi__TaskQueue queue;
    flo_api__poll_workflow_task_queue_request__init(&request);
    flo_api__task_queue__init(&queue);
    queue.name = sticky ? worker->sticky_queue : NAME(QUEUE);
    queue.kind = sticky ? FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_STICKY
                        : FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    queue.normal_name = NAME(sticky ? QUEUE : "");
    request.namespace_ = NAME("default");
    request.task_queue = &queue;
    request.identity = NAME("worker");
    world_call(worker->cast->world, "PollWorkflowTaskQueue", &request.base,
               sticky ? polled_sticky : polled_normal, worker);
}

static void poll_normal(struct world *world, void *ctx, uint64_t arg)
{
    (void)world, (void)arg;
    poll(ctx, false);
}

static void poll_sticky(struct world *world, void *ctx, uint64_t arg)
{
    (void)world, (void)arg;
    poll(ctx, true);
}

void workflow_workers_start(struct cast *cast)
{
    struct runtime *runtime = flo_calloc(1, sizeof *runtime);
    if (!runtime)
        abort();
    flo_workflow_jansson_install();
    cast->runtime = runtime;
    runtime->env = (struct flo_run_env){
        .namespace_ = "default", .identity = "worker", .stack_bytes = STACK_BYTES};
    for (unsigned i = 0; i < WORKERS; i++) {
        struct worker *worker = &runtime->workers[i];
        worker->cast = cast;
        flo_list_init(&worker->held);
        snprintf(worker->sticky_queue, sizeof worker->sticky_queue, "%s-%u", STICKY_QUEUE, i);
        if (flo_run_cache_new(CACHE_BYTES, CACHE_RUNS, &worker->cache))
            abort();
        world_after(cast->world, 0, poll_normal, worker, 0);
        world_after(cast->world, 0, poll_sticky, worker, 0);
    }
}

void workflow_workers_end(struct cast *cast)
{
    struct runtime *runtime = cast->runtime;
    for (unsigned i = 0; i < WORKERS; i++) {
        struct worker *worker = &runtime->workers[i];
        while (!flo_list_empty(&worker->held)) {
            struct flo_run *run =
                let_go(worker, flo_container(flo_list_first(&worker->held), struct held, node));
            flo_run_destroy(&run);
        }
        flo_run_cache_destroy(&worker->cache);
    }
    flo_free(runtime);
}
