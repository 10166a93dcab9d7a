/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - one execution: made, activated, answered for, freed. */
#include "workflow/run.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "workflow/entities.h"
#include "workflow/messages.h"
#include "workflow/trace.h"

/* How the official SDKs begin the same message: people search for it. */
#define NONDETERMINISM "[TMPRL1100] Nondeterminism error"

int flo_run_new(const struct flo_run_env *env, flo_workflow_lookup_fn lookup, void *lookup_ctx,
                const char *workflow_id, const char *run_id, struct flo_run **out_run)
{
    flo_workflow_jansson_install();
    struct flo_run *run = flo_calloc(1, sizeof *run);
    if (!run)
        return FLO_ENOMEM;
    run->env = *env;
    run->lookup = lookup;
    run->lookup_ctx = lookup_ctx;
    run->machine = (struct flo_machine){flo_execution_states, FLO_RUN_NEW};
    run->main.run = run;
    run->no_memory = (struct flo_future){.run = run, .refs = 1, .ready = true, .rc = FLO_ENOMEM};
    flo_list_init(&run->commands);
    flo_list_init(&run->fresh);
    flo_list_init(&run->coroutines);
    flo_list_init(&run->scope_timers);
    flo_list_init(&run->failed);
    flo_scope_init(&run->scope, run);
    flo_map_init(&run->activities);
    flo_map_init(&run->timers);
    flo_map_init(&run->signals);
    flo_map_init(&run->locals);
    flo_list_init(&run->local_waiting);
    flo_list_init(&run->local_pauses);
    flo_list_init(&run->local_cancels);
    flo_arena_init(&run->main.failure_mem, 0);
    run->heap = flo_heap_new();
    if (run->heap) {
        run->info.workflow_id = flo_heap_strdup(run->heap, workflow_id);
        run->info.run_id = flo_heap_strdup(run->heap, run_id);
    }
    if (!run->heap || !run->info.workflow_id || !run->info.run_id) {
        flo_run_destroy(&run);
        return FLO_ENOMEM;
    }
    run->info.namespace_ = env->namespace_;
    run->info.type = run->info.task_queue = run->info.traceparent = "";
    run->info.first_run_id = run->info.run_id;
    run->info.continued_run_id = run->info.cron = "";
    run->info.parent_namespace = run->info.parent_workflow_id = run->info.parent_run_id = "";
    run->info.root_workflow_id = run->info.root_run_id = "";
    run->info.last_failure = run->info.last_failure_type = "";
    *out_run = run;
    return 0;
}

void flo_run_destroy(struct flo_run **run_ptr)
{
    struct flo_run *run = *run_ptr;
    if (!run)
        return;
    *run_ptr = NULL;
    flo_scheduler_drop(run);
    flo_arena_fini(&run->main.failure_mem); /* also one that never began */
    flo_map_fini(&run->activities);
    flo_map_fini(&run->timers);
    flo_map_fini(&run->signals);
    flo_map_fini(&run->locals);
    flo_entities_fini(run);
    flo_heap_destroy(&run->heap);
    flo_free(run);
}

const char *flo_run_id(const struct flo_run *run)
{
    return run->info.run_id;
}

const char *flo_run_workflow_id(const struct flo_run *run)
{
    return run->info.workflow_id;
}

size_t flo_run_bytes(const struct flo_run *run)
{
    size_t bytes = sizeof *run + flo_heap_bytes(run->heap) + flo_scheduler_bytes(run) +
                   flo_entities_bytes(run);
    const struct flo_map *maps[] = {&run->activities, &run->timers, &run->signals, &run->locals};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        bytes += flo_index_bytes(&maps[i]->index) + maps[i]->count * 96;
    return bytes;
}

bool flo_run_missing_history(const struct flo_run *run,
                             const FloApi__PollWorkflowTaskQueueResponse *task)
{
    size_t count = task->history ? task->history->n_events : 0;
    FloApi__HistoryEvent **events = count ? task->history->events : NULL;
    if (run->processed_id == 0)
        return count == 0 || events[0]->event_id > 1;
    if (task->attempt > 1) /* what the attempt before left in this run never happened */
        return true;
    if (count == 0)
        return !task->query || task->previous_started_event_id > run->last_started_id;
    if (events[0]->event_id > run->processed_id + 1)
        return true;
    if (events[0]->event_id == 1) /* all there is: worth more than what this run remembers */
        return true;
    if (!task->query && task->previous_started_event_id != run->last_started_id)
        return true; /* it answered a task that history does not (any longer) have */
    size_t i = 0;
    while (i < count && events[i]->event_id <= run->processed_id)
        i++;
    if (i == count) /* nothing new: only a query needs nothing new */
        return !task->query;
    /* The task that this run answered last did not count: it has gone ahead of history. */
    return run->processed_id == run->last_started_id &&
           (events[i]->event_type == FLO_EVENT(WORKFLOW_TASK_FAILED) ||
            events[i]->event_type == FLO_EVENT(WORKFLOW_TASK_TIMED_OUT));
}

void flo_run_reset_to(struct flo_run *run, int64_t started_event_id)
{
    if (started_event_id >= run->last_started_id)
        return;
    /* Only that task's own two events are taken back; what was before them stays applied. */
    run->processed_id = run->before_task_id;
    run->last_started_id = started_event_id;
}

/* ---- answering ---- */

static const char *failure_type_of(int rc)
{
    switch (rc) {
    case FLO_ENONDET:
        return "NonDeterminismError";
    case FLO_ENOENT:
        return "NotFoundError";
    case FLO_EPROTO:
        return "DecodeError";
    case FLO_EPERM:
        return "PayloadCodecError";
    case FLO_ETASK:
        return "WorkflowTaskFailed";
    default:
        return flo_error_name(rc);
    }
}

static int answer_broken(struct flo_run *run, const FloApi__PollWorkflowTaskQueueResponse *task,
                         struct flo_arena *arena, struct flo_activation *out)
{
    *out = (struct flo_activation){0};
    if (task->query) { /* its token takes no task failure */
        out->outcome = FLO_ACTIVATION_QUERY;
        out->query_type = FLO_API__QUERY_RESULT_TYPE__QUERY_RESULT_TYPE_FAILED;
        out->query_error = flo_arena_strdup(arena, run->broken);
        return out->query_error ? 0 : FLO_ENOMEM;
    }
    out->outcome = FLO_ACTIVATION_FAIL;
    out->cause =
        run->broken_rc == FLO_ENONDET
            ? FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
            : FLO_API__WORKFLOW_TASK_FAILED_CAUSE__WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE;
    out->failure = flo_failure_application(arena, run->broken, failure_type_of(run->broken_rc),
                                           false, NULL, 0);
    if (out->failure && run->broken_why)
        out->failure->stack_trace = flo_arena_strdup(arena, run->broken_why);
    return out->failure && out->failure->stack_trace ? 0 : FLO_ENOMEM;
}

/* All that was issued since the last answer, as the answer to the task. */
static int complete(struct flo_run *run, const FloApi__PollWorkflowTaskQueueResponse *task,
                    bool live, struct flo_activation *out)
{
    out->outcome = FLO_ACTIVATION_COMPLETE;
    out->closes = run->machine.state == FLO_RUN_CLOSED;
    out->started_ns = run->started_ns;
    out->spans = run->trace ? flo_trace_take(run) : NULL;
    if (live)
        out->sdk_metadata = flo_sdk_metadata(run, task->previous_started_event_id == 0);
    int rc = live ? flo_command_collect(run, out) : 0;
    if (rc == 0 && live && run->messages)
        rc = flo_update_collect(run, out);
    return rc ? rc : flo_query_answer_all(run, task, out);
}

static int answer(struct flo_run *run, const FloApi__PollWorkflowTaskQueueResponse *task, bool live,
                  struct flo_activation *out)
{
    if (task->query)
        return flo_query_answer_task(run, task->query, out);
    if (live && run->locals.count > 0) {
        int rc = flo_local_hand_out(run, out);
        if (rc)
            return rc;
        if (run->local_running > 0 && run->machine.state == FLO_RUN_OPEN) {
            out->outcome = FLO_ACTIVATION_OPEN;
            return 0;
        }
    }
    return complete(run, task, live, out);
}

static int remember_broken(struct flo_run *run, const FloApi__History *history, int rc,
                           struct flo_err *err)
{
    if (!err->code)
        flo_fail(err, rc, "%s", flo_error_text(rc));
    if (rc == FLO_ENONDET) {
        flo_err_prefix(err, NONDETERMINISM);
        run->broken_why = flo_mismatch_explain(run, history ? history->events : NULL,
                                               history ? history->n_events : 0);
    }
    run->broken = flo_heap_strdup(run->heap, err->message);
    if (run->broken)
        flo_text_repair(run->broken);
    run->broken_rc = rc;
    flo_scheduler_drop(run);
    return run->broken ? 0 : FLO_ENOMEM;
}

/* Whatever the activation came to: the answer to say so, or what it says. */
static int conclude(struct flo_run *run, const FloApi__PollWorkflowTaskQueueResponse *task, int rc,
                    struct flo_err *err)
{
    if (run->misuse)
        return remember_broken(run, task->history, run->misuse->code, run->misuse);
    if (run->out_of_memory || flo_heap_failed(run->heap))
        return FLO_ENOMEM; /* whatever it looked like: jansson does not always say so */
    return rc && rc != FLO_ENOMEM ? remember_broken(run, task->history, rc, err) : rc;
}

/* Between these two the run's code may run, with answer as its memory. */
static struct flo_heap *enter(struct flo_run *run, struct flo_arena *arena)
{
    run->answer = arena;
    return flo_heap_enter(run->heap);
}

static void leave(struct flo_run *run, struct flo_heap *outer)
{
    run->answer = NULL;
    run->replaying = true; /* until the next task: nothing that happens between is sent or logged */
    flo_heap_enter(outer);
}

int flo_run_activate(struct flo_run *run, const FloApi__PollWorkflowTaskQueueResponse *task,
                     struct flo_arena *arena, struct flo_activation *out)
{
    struct flo_err err = {0};
    struct flo_activation activation = {0};
    bool live = false;
    int rc = 0;
    struct flo_heap *outer = enter(run, arena);
    run->eager_count = 0;
    if (run->trace)
        flo_trace_forget(run);
    if (!run->broken)
        rc = conclude(run, task, flo_replay(run, task, &live, &err), &err);
    if (rc == 0)
        rc = run->broken ? answer_broken(run, task, arena, &activation)
                         : answer(run, task, live, &activation);
    leave(run, outer);
    if (rc == 0)
        *out = activation;
    return rc;
}

int flo_run_resolve_local(struct flo_run *run, const FloApi__PollWorkflowTaskQueueResponse *task,
                          const struct flo_local_result *result, struct flo_arena *arena,
                          struct flo_activation *out)
{
    struct flo_err err = {0};
    struct flo_activation activation = {0};
    bool wakes = false;
    struct flo_heap *outer = enter(run, arena);
    run->replaying = false;
    int rc = flo_local_resolve(run, result, &wakes, &err);
    if (rc == 0 && wakes)
        rc = flo_execution_step(run, &err);
    rc = conclude(run, task, rc, &err);
    if (rc == 0)
        rc = run->broken ? answer_broken(run, task, arena, &activation)
                         : answer(run, task, true, &activation);
    leave(run, outer);
    if (rc == 0)
        *out = activation;
    return rc;
}

int flo_run_yield_task(struct flo_run *run, const FloApi__PollWorkflowTaskQueueResponse *task,
                       struct flo_arena *arena, struct flo_activation *out)
{
    struct flo_activation activation = {.more = true};
    struct flo_heap *outer = enter(run, arena);
    int rc = complete(run, task, true, &activation);
    leave(run, outer);
    if (rc == 0)
        *out = activation;
    return rc;
}

int64_t flo_run_task_timeout_ns(const struct flo_run *run)
{
    return run->task_timeout_ns;
}

size_t flo_run_local_count(const struct flo_run *run)
{
    return run->local_running + run->local_waiting.count;
}
