/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.c - the core's life, its step, the calls that wait, recovery, figures.
 *
 * runs.c keeps the runs, batch.c what goes to the store.
 */
#include <string.h>

#include "base/alloc.h"
#include "engine/core/cold.h"
#include "engine/core/execution.h"
#include "engine/core/history_read.h"
#include "engine/core/internal.h"
#include "engine/core/job.h"
#include "engine/core/matching.h"
#include "engine/core/methods.h"
#include "engine/core/namespace.h"
#include "engine/core/query.h"
#include "engine/core/queue_config.h"
#include "engine/core/record.h"
#include "engine/core/reply.h"
#include "engine/core/runs.h"
#include "engine/core/task.h"
#include "engine/core/timers.h"
#include "engine/core/update.h"
#include "engine/core/worker.h"

/* Scratch memory kept between steps. */
#define SCRATCH_KEEP_BYTES ((size_t)256 << 10)

/* ---- life ---- */

static void default_to(int64_t *option, int64_t value)
{
    if (*option == 0)
        *option = value;
}

int flo_core_new(const struct flo_core_env *env, const struct flo_core_options *options,
                 struct flo_core **out_core)
{
    struct flo_core *core = flo_calloc(1, sizeof *core);
    struct flo_handed *handed = flo_calloc(FLO_CORE_HANDED, sizeof *handed);
    if (!core || !handed) {
        flo_free(core);
        flo_free(handed);
        return FLO_ENOMEM;
    }
    core->env = *env;
    core->handed = handed;
    core->options = options ? *options : (struct flo_core_options){0};
    default_to(&core->options.retention_ns, INT64_C(24) * 3600 * FLO_NS_PER_S);
    default_to(&core->options.history_size_suggest, INT64_C(4) << 20);
    default_to(&core->options.history_count_suggest, 4096);
    default_to(&core->options.history_size_limit, INT64_C(50) << 20);
    default_to(&core->options.history_count_limit, 51200);
    default_to(&core->options.blob_size_limit, INT64_C(2) << 20);
    default_to(&core->options.memory_limit, INT64_MAX);
    default_to(&core->options.update_bytes_limit, INT64_C(256) << 20);
    default_to(&core->options.continue_as_new_min_interval_ns, FLO_NS_PER_S);
    default_to(&core->options.batch_jobs_limit, 1);
    flo_rng_seed(&core->rng, env->seed);
    flo_arena_init(&core->scratch, 0);
    flo_core_timers_init(&core->timers);
    flo_core_timers_init(&core->waits);
    flo_zones_init(&core->zones, env->zone, env->ctx);
    flo_schedules_init(&core->schedules);
    flo_map_init(&core->namespaces);
    flo_map_init(&core->namespace_ids);
    flo_list_init(&core->residents);
    flo_map_init(&core->deleted);
    flo_map_init(&core->calls);
    flo_map_init(&core->queues);
    flo_map_init(&core->queue_configs);
    flo_map_init(&core->workers);
    flo_list_init(&core->workers_heard);
    flo_map_init(&core->queries);
    flo_list_init(&core->dirty);
    flo_list_init(&core->touched);
    flo_list_init(&core->unsettled);
    flo_list_init(&core->closed);
    flo_list_init(&core->jobs);
    flo_list_init(&core->records);
    flo_list_init(&core->hot_queues);
    core->next_key = 1;
    core->next_seq = 1;
    core->dirty_since_ns = INT64_MAX;
    *out_core = core;
    return 0;
}

void flo_core_destroy(struct flo_core **pcore)
{
    struct flo_core *core = *pcore;
    if (!core)
        return;
    for (struct flo_map_entry *it; (it = flo_map_first(&core->calls));) {
        struct flo_waiting *waiting = flo_map_value(it);
        waiting->drop(core, waiting);
    }
    for (struct flo_node *node; (node = flo_list_first(&core->residents));) {
        struct flo_execution *execution =
            flo_container(node, struct flo_core_run_hooks, resident)->execution;
        flo_execution_destroy(core, &execution);
    }
    for (struct flo_node *node; (node = flo_list_first(&core->closed));) { /* deleted ones */
        struct flo_execution *execution =
            flo_container(node, struct flo_core_run_hooks, closed)->execution;
        flo_execution_destroy(core, &execution);
    }
    flo_jobs_fini(core);
    flo_core_deleted_fini(core);
    flo_workers_fini(core);
    flo_queue_configs_fini(core);
    flo_core_records_fini(core);
    flo_schedules_fini(core);
    flo_core_cold_fini(core);
    flo_matching_fini(core);
    flo_namespaces_fini(core);
    flo_index_fini(&core->runs);
    flo_index_fini(&core->current);
    flo_names_fini(&core->names);
    flo_zones_fini(&core->zones);
    flo_map_fini(&core->calls);
    flo_map_fini(&core->queries);
    flo_core_timers_fini(&core->timers);
    flo_core_timers_fini(&core->waits);
    flo_arena_fini(&core->scratch);
    flo_free(core->handed);
    flo_free(core);
    *pcore = NULL;
}

void flo_core_set_fatal_as(struct flo_core *core, int error)
{
    if (!core->fatal)
        core->fatal = error;
}

void flo_core_set_fatal(struct flo_core *core)
{
    flo_core_set_fatal_as(core, FLO_ENOMEM);
}

int flo_core_failed(const struct flo_core *core, const char **out_why)
{
    if (core->fatal)
        *out_why = core->fatal == FLO_EIO ? "the store cannot be read" : "out of memory";
    return core->fatal;
}

void flo_core_new_id(struct flo_core *core, char out_text[FLO_UUID_LEN + 1])
{
    flo_rng_uuid7(&core->rng, core->now_ns, out_text);
}

/* ---- the step ---- */

/* Forget what a reaction built; what a large answer needed goes back to the heap. */
static void scratch_clear(struct flo_core *core)
{
    if (core->scratch.held_bytes > SCRATCH_KEEP_BYTES)
        flo_arena_fini(&core->scratch);
    else
        flo_arena_reset(&core->scratch);
}

/* The second half of a step: let everything react until nothing moves. */
static void core_settle(struct flo_core *core)
{
    while (!core->fatal) {
        scratch_clear(core); /* nothing of one reaction lives into the next */
        if (!flo_list_empty(&core->unsettled)) {
            flo_execution_settle(core);
            continue;
        }
        struct flo_node *node = flo_list_pop_front(&core->touched);
        if (node) {
            struct flo_core_run_hooks *hooks =
                flo_container(node, struct flo_core_run_hooks, touched);
            flo_update_settle(core, hooks->execution);
            flo_core_query_settle(core, hooks->execution);
            flo_history_settle(core, hooks->execution);
            if (core->schedules.watched.count && !flo_execution_is_open(hooks->execution))
                flo_schedules_run_closed(core, hooks->execution);
            continue;
        }
        if (flo_list_empty(&core->hot_queues))
            break;
        flo_matching_settle(core);
    }
    scratch_clear(core);
    flo_core_cool(core);
}

struct method {
    const char *name;
    size_t len;
    const ProtobufCMessageDescriptor *request;
    flo_method_fn serve;
};

static const struct method METHODS[] = {
#define METHOD(Name, name)                                                                         \
    {#Name, sizeof #Name - 1, &flo_api__##name##_request__descriptor, flo_rpc_##name},
    FLO_METHODS(METHOD)
#undef METHOD
};

static const struct method *find_method(const char *name)
{
    const size_t len = strlen(name);
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++)
        if (METHODS[i].len == len && memcmp(METHODS[i].name, name, len) == 0)
            return &METHODS[i];
    return NULL;
}

const char *flo_core_method_at(size_t i)
{
    return i < sizeof METHODS / sizeof *METHODS ? METHODS[i].name : NULL;
}

const ProtobufCMessageDescriptor *flo_core_method(const char *name)
{
    const struct method *method = find_method(name);
    return method ? method->request : NULL;
}

void flo_core_begin(struct flo_core *core, int64_t now_ns)
{
    if (now_ns > core->now_ns)
        core->now_ns = now_ns;
}

void flo_core_call(struct flo_core *core, const char *name, const struct flo_core_call_info *info,
                   const ProtobufCMessage *request)
{
    const struct method *method = find_method(name);
    if (!method || core->fatal) {
        struct flo_status status = {0};
        if (method)
            flo_status_no_memory(&status);
        else
            flo_status_set(core, &status, FLO_GRPC_UNIMPLEMENTED, "unknown method %s", name);
        flo_reply_status(core, info->id, 0, &status);
        return;
    }
    method->serve(core, info, request);
    core_settle(core);
}

/* The earliest timer that is due, or NULL. */
static struct flo_core_timer *pop_due(struct flo_core *core)
{
    const bool waits = flo_core_timers_next(&core->waits) < flo_core_timers_next(&core->timers);
    return flo_core_timers_pop_due(waits ? &core->waits : &core->timers, core->now_ns);
}

void flo_core_fire(struct flo_core *core)
{
    struct flo_core_timer *timer;
    while (!core->fatal && (timer = pop_due(core))) {
        timer->fire(core, timer);
        core_settle(core);
    }
}

int64_t flo_core_next_deadline(const struct flo_core *core)
{
    const int64_t due = flo_core_timers_next(&core->timers);
    const int64_t wait = flo_core_timers_next(&core->waits);
    const int64_t timer = due < wait ? due : wait;
    /* While a batch is out there is nothing to do for the next one: waking up would be spinning. */
    const bool committing = core->committed_seq + 1 < core->next_seq;
    const int64_t save = committing ? INT64_MAX : flo_core_lazy_commit_ns(core);
    return save < timer ? save : timer;
}

/* ---- waiting calls ---- */

int flo_core_wait(struct flo_core *core, struct flo_waiting *waiting)
{
    return flo_map_put(&core->calls, &waiting->call, sizeof waiting->call, waiting, NULL);
}

void flo_core_wait_over(struct flo_core *core, struct flo_waiting *waiting)
{
    flo_map_remove(&core->calls, &waiting->call, sizeof waiting->call);
}

void flo_core_hand(struct flo_core *core, const struct flo_handed *handed)
{
    core->handed[core->next_handed++ % FLO_CORE_HANDED] = *handed;
}

/* The answer with this task never left: give it back, if it is still that very start. */
static void take_back(struct flo_core *core, const struct flo_handed *handed)
{
    struct flo_execution *execution = flo_core_resident(core, handed->run_id);
    if (!execution || !flo_execution_is_open(execution))
        return;
    if (handed->activity) {
        struct flo_core_activity *activity =
            flo_core_activity_by_event(execution, handed->scheduled_event_id);
        if (activity && activity->stage == FLO_CORE_ACTIVITY_STARTED &&
            activity->attempt == handed->attempt && activity->started_ns == handed->started_ns)
            flo_core_activity_lost(core, activity);
        return;
    }
    const struct flo_core_workflow_task *task = &execution->workflow_task;
    if (task->stage == FLO_CORE_WORKFLOW_TASK_STARTED && task->attempt == handed->attempt &&
        task->scheduled_id == handed->scheduled_event_id && task->started_ns == handed->started_ns)
        flo_core_workflow_task_lost(core, execution);
}

void flo_core_cancel_call(struct flo_core *core, uint64_t call)
{
    struct flo_waiting *waiting = flo_map_get(&core->calls, &call, sizeof call);
    if (waiting) {
        waiting->drop(core, waiting);
        core_settle(core);
        return;
    }
    for (size_t i = 0; i < FLO_CORE_HANDED; i++) {
        if (core->handed[i].call != call || !core->handed[i].run_id[0])
            continue;
        take_back(core, &core->handed[i]);
        core->handed[i] = (struct flo_handed){0};
        core_settle(core);
        return;
    }
}

/* ---- recovery ---- */

int flo_core_load_run(struct flo_core *core, const struct flo_core_stored_run *run,
                      const struct flo_core_history_batch *batches, size_t count,
                      struct flo_err *err)
{
    int rc = flo_execution_load(core, run, batches, count, err);
    scratch_clear(core);
    return rc;
}

void flo_core_expect(struct flo_core *core, size_t runs)
{
    core->unseen_runs = runs;
}

void flo_core_wake(struct flo_core *core, uint64_t key)
{
    flo_core_cold_wake(core, key);
    core_settle(core);
}

int flo_core_recovered(struct flo_core *core, uint64_t next_key, struct flo_err *err)
{
    if (next_key > core->next_key)
        core->next_key = next_key;
    FLO_LIST_FOREACH_SAFE(node, &core->residents)
    {
        flo_execution_resume(
            core, flo_container(node, struct flo_core_run_hooks, resident)->execution, true);
    }
    flo_schedules_resume(core);
    core_settle(core);
    if (core->fatal)
        return flo_fail(err, core->fatal, "the stored runs cannot go on: %s",
                        flo_error_text(core->fatal));
    return 0;
}

/* ---- figures ---- */

size_t flo_core_open_runs(const struct flo_core *core)
{
    return core->open_runs + core->unseen_runs;
}

void flo_core_stats(const struct flo_core *core, struct flo_core_stats *out)
{
    *out = core->stats;
    out->open_runs = flo_core_open_runs(core);
    out->cold_runs = core->cold_runs.count + core->unseen_runs;
    out->resident_bytes = core->resident_bytes;
    for (struct flo_map_entry *it = flo_map_first(&core->namespaces); it; it = flo_map_next(it)) {
        const struct flo_namespace *ns = flo_map_value(it);
        out->pollers += ns->polls[FLO_QUEUE_WORKFLOW] + ns->polls[FLO_QUEUE_ACTIVITY];
    }
}
