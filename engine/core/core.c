/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.c - the core's life, its step, the set of runs, and what goes to the store.
 *
 *    resident open run --closes--> resident closed run --commit durable--> only in the store
 *
 * The maps hold resident runs; lookups fall back to env.store. Changes gather on `dirty` until the
 * shell takes a batch; a run that changes while a batch is being committed is simply dirty again
 * for the next one.
 */
#include <string.h>

#include "base/alloc.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/matching.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/decode.h"

/* Changes that no reply waits for are saved after this long. */
#define LAZY_COMMIT_NS FLO_NS_PER_S

/* A deleted run, until the deletion is durable: the store may still show it. */
struct flo_core_deleted {
    uint64_t key, seq;
};

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
    default_to(&core->options.retention_ns, 24 * 3600 * FLO_NS_PER_S);
    default_to(&core->options.history_size_suggest, 4 << 20);
    default_to(&core->options.history_count_suggest, 4096);
    default_to(&core->options.history_size_limit, 50 << 20);
    default_to(&core->options.history_count_limit, 51200);
    default_to(&core->options.blob_size_limit, 2 << 20);
    default_to(&core->options.continue_as_new_min_interval_ns, FLO_NS_PER_S);
    flo_rng_seed(&core->rng, env->seed);
    flo_arena_init(&core->scratch, 0);
    flo_timers_init(&core->timers);
    flo_map_init(&core->namespaces);
    flo_map_init(&core->namespace_ids);
    flo_map_init(&core->runs);
    flo_map_init(&core->current);
    flo_map_init(&core->deleted);
    flo_map_init(&core->calls);
    flo_map_init(&core->queues);
    flo_map_init(&core->queries);
    flo_list_init(&core->dirty);
    flo_list_init(&core->touched);
    flo_list_init(&core->unsettled);
    flo_list_init(&core->closed);
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
    for (struct flo_map_entry *it; (it = flo_map_first(&core->runs));) {
        struct flo_execution *execution = flo_map_value(it);
        flo_execution_destroy(core, &execution);
    }
    for (struct flo_map_entry *it = flo_map_first(&core->deleted); it; it = flo_map_next(it))
        flo_free(flo_map_value(it));
    flo_matching_fini(core);
    flo_namespaces_fini(core);
    flo_map_fini(&core->runs);
    flo_map_fini(&core->current);
    flo_map_fini(&core->deleted);
    flo_map_fini(&core->calls);
    flo_map_fini(&core->queries);
    flo_timers_fini(&core->timers);
    flo_arena_fini(&core->scratch);
    flo_free(core->handed);
    flo_free(core);
    *pcore = NULL;
}

void flo_core_set_fatal(struct flo_core *core)
{
    core->fatal = true;
}

void flo_core_new_id(struct flo_core *core, char out_text[FLO_UUID_LEN + 1])
{
    flo_rng_uuid7(&core->rng, core->now_ns, out_text);
}

/* ---- the step ---- */

/* The second half of a step: let everything react until nothing moves. */
static void core_settle(struct flo_core *core)
{
    while (!core->fatal) {
        flo_arena_reset(&core->scratch); /* nothing of one reaction lives into the next */
        if (!flo_list_empty(&core->unsettled)) {
            flo_execution_settle(core);
            continue;
        }
        struct flo_node *node = flo_list_pop_front(&core->touched);
        if (node) {
            struct flo_run_hooks *hooks = flo_container(node, struct flo_run_hooks, touched);
            flo_query_settle(core, hooks->execution);
            flo_history_settle(core, hooks->execution);
            continue;
        }
        if (flo_list_empty(&core->hot_queues))
            break;
        flo_matching_settle(core);
    }
    flo_arena_reset(&core->scratch);
}

struct method {
    const char *name;
    const ProtobufCMessageDescriptor *request;
    flo_method_fn serve;
};

static const struct method METHODS[] = {
#define METHOD(Name, name) {#Name, &flo_api__##name##_request__descriptor, flo_rpc_##name},
    FLO_METHODS(METHOD)
#undef METHOD
};

static const struct method *find_method(const char *name)
{
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++)
        if (strcmp(METHODS[i].name, name) == 0)
            return &METHODS[i];
    return NULL;
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

void flo_core_fire(struct flo_core *core)
{
    struct flo_timer *timer;
    while (!core->fatal && (timer = flo_timers_pop_due(&core->timers, core->now_ns))) {
        timer->fire(core, timer);
        core_settle(core);
    }
}

int64_t flo_core_next_deadline(const struct flo_core *core)
{
    const int64_t timer = flo_timers_next(&core->timers);
    if (core->dirty_since_ns == INT64_MAX)
        return timer;
    const int64_t save = core->dirty_since_ns + LAZY_COMMIT_NS;
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
        struct flo_activity *activity =
            flo_activity_by_event(execution, handed->scheduled_event_id);
        if (activity && activity->stage == FLO_ACTIVITY_STARTED &&
            activity->attempt == handed->attempt && activity->started_ns == handed->started_ns)
            flo_activity_lost(core, activity);
        return;
    }
    const struct flo_workflow_task *task = &execution->workflow_task;
    if (task->stage == FLO_WORKFLOW_TASK_STARTED && task->attempt == handed->attempt &&
        task->scheduled_id == handed->scheduled_event_id && task->started_ns == handed->started_ns)
        flo_workflow_task_lost(core, execution);
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

/* ---- runs ---- */

void flo_run_hooks_init(struct flo_run_hooks *hooks, struct flo_namespace *ns,
                        struct flo_execution *execution)
{
    *hooks = (struct flo_run_hooks){.ns = ns, .execution = execution};
    hooks->workflow_task.kind = FLO_TASK_WORKFLOW;
    hooks->workflow_task.execution = execution;
    flo_list_init(&hooks->history_waiters);
    flo_list_init(&hooks->queries);
}

static void unlink_from(struct flo_list *list, struct flo_node *node)
{
    if (flo_node_linked(node))
        flo_list_remove(list, node);
}

void flo_run_hooks_fini(struct flo_core *core, struct flo_run_hooks *hooks)
{
    flo_matching_remove(core, &hooks->workflow_task);
    flo_history_run_gone(core, hooks->execution);
    flo_query_run_gone(core, hooks->execution);
    unlink_from(&core->dirty, &hooks->dirty);
    unlink_from(&core->touched, &hooks->touched);
    unlink_from(&core->closed, &hooks->closed);
}

/* Key of the map `current`: namespace id (fixed length), then workflow id. Scratch; NULL: no
 * memory. */
static char *current_key(struct flo_core *core, const struct flo_namespace *ns,
                         const char *workflow_id, size_t *out_len)
{
    const size_t id_len = strlen(workflow_id);
    char *key = flo_arena_alloc(&core->scratch, FLO_UUID_LEN + id_len);
    if (!key)
        return NULL;
    memcpy(key, ns->id, FLO_UUID_LEN);
    memcpy(key + FLO_UUID_LEN, workflow_id, id_len);
    *out_len = FLO_UUID_LEN + id_len;
    return key;
}

int flo_core_add_run(struct flo_core *core, struct flo_execution *execution)
{
    size_t len;
    char *key = current_key(core, execution->hooks.ns, execution->workflow_id, &len);
    if (!key || flo_map_put_str(&core->runs, execution->run_id, execution))
        return FLO_ENOMEM;
    if (flo_map_put(&core->current, key, len, execution, NULL)) {
        flo_map_remove_str(&core->runs, execution->run_id);
        return FLO_ENOMEM;
    }
    if (execution->hooks.key == 0) {
        execution->hooks.key = core->next_key++;
        core->stats.workflows_started++;
    }
    if (flo_execution_is_open(execution))
        core->open_runs++;
    return 0;
}

void flo_core_remove_run(struct flo_core *core, struct flo_execution *execution)
{
    if (flo_map_get_str(&core->runs, execution->run_id) != execution)
        return;
    flo_map_remove_str(&core->runs, execution->run_id);
    size_t len;
    char *key = current_key(core, execution->hooks.ns, execution->workflow_id, &len);
    if (!key)
        flo_core_set_fatal(core); /* the map would point to freed memory */
    else if (flo_map_get(&core->current, key, len) == execution)
        flo_map_remove(&core->current, key, len);
    if (flo_execution_is_open(execution))
        core->open_runs--;
}

void flo_core_touch(struct flo_core *core, struct flo_execution *execution, bool store)
{
    struct flo_run_hooks *hooks = &execution->hooks;
    if (!flo_node_linked(&hooks->touched))
        flo_list_push_back(&core->touched, &hooks->touched);
    if (!store)
        return;
    hooks->dirty_seq = core->next_seq;
    if (!flo_node_linked(&hooks->dirty))
        flo_list_push_back(&core->dirty, &hooks->dirty);
    if (core->dirty_since_ns == INT64_MAX)
        core->dirty_since_ns = core->now_ns;
}

void flo_core_run_closed(struct flo_core *core, struct flo_execution *execution)
{
    if (flo_node_linked(&execution->hooks.closed))
        return;
    flo_list_push_back(&core->closed, &execution->hooks.closed);
    core->open_runs--;
    core->stats.workflows_closed++;
}

uint64_t flo_core_after(const struct flo_core *core, const struct flo_execution *execution)
{
    const uint64_t seq = execution->hooks.dirty_seq;
    return seq > core->committed_seq ? seq : 0;
}

struct flo_execution *flo_core_resident(struct flo_core *core, const char *run_id)
{
    return flo_map_get_str(&core->runs, run_id);
}

int flo_core_delete_run(struct flo_core *core, uint64_t key)
{
    struct flo_core_deleted *deleted = flo_calloc(1, sizeof *deleted);
    if (!deleted)
        return FLO_ENOMEM;
    *deleted = (struct flo_core_deleted){.key = key, .seq = core->next_seq};
    void *old;
    if (flo_map_put(&core->deleted, &key, sizeof key, deleted, &old)) {
        flo_free(deleted);
        return FLO_ENOMEM;
    }
    flo_free(old);
    if (core->dirty_since_ns == INT64_MAX)
        core->dirty_since_ns = core->now_ns;
    return 0;
}

/* Copy what the store lent into scratch, and decode the state. */
static int adopt_stored(struct flo_core *core, const struct flo_core_stored_run *stored,
                        struct flo_run_ref *out)
{
    struct flo_arena *arena = &core->scratch;
    out->stored = *stored;
    out->stored.namespace_id = flo_arena_strdup(arena, stored->namespace_id);
    out->stored.workflow_id = flo_arena_strdup(arena, stored->workflow_id);
    out->stored.run_id = flo_arena_strdup(arena, stored->run_id);
    out->stored.state = flo_arena_memdup(arena, stored->state, stored->state_len);
    if (!out->stored.namespace_id || !out->stored.workflow_id || !out->stored.run_id ||
        !out->stored.state)
        return FLO_ENOMEM;
    ProtobufCMessage *state;
    int rc = flo_wire_decode(&flo_engine__execution_state__descriptor, out->stored.state,
                             out->stored.state_len, arena, &state, NULL);
    if (rc)
        return rc == FLO_ENOMEM ? rc : FLO_EDATA;
    out->state = (struct FloEngine__ExecutionState *)state;
    return 0;
}

static int find_stored(struct flo_core *core, const struct flo_namespace *ns,
                       const char *workflow_id, const char *run_id, struct flo_run_ref *out)
{
    struct flo_core_stored_run stored;
    if (!core->env.store.find)
        return FLO_ENOENT;
    int rc = core->env.store.find(core->env.store.ctx, ns->id, workflow_id, run_id, &stored);
    if (rc)
        return rc;
    if (flo_map_get(&core->deleted, &stored.key, sizeof stored.key))
        return FLO_ENOENT;
    return adopt_stored(core, &stored, out);
}

static struct flo_execution *find_resident(struct flo_core *core, const struct flo_namespace *ns,
                                           const char *workflow_id, const char *run_id)
{
    struct flo_execution *execution;
    if (run_id[0]) {
        execution = flo_core_resident(core, run_id);
        return execution && execution->hooks.ns == ns &&
                       strcmp(execution->workflow_id, workflow_id) == 0
                   ? execution
                   : NULL;
    }
    size_t len;
    const char *key = current_key(core, ns, workflow_id, &len);
    return key ? flo_map_get(&core->current, key, len) : NULL;
}

int flo_core_find_run(struct flo_core *core, struct flo_namespace *ns, const char *workflow_id,
                      const char *run_id, struct flo_run_ref *out, struct flo_status *status)
{
    if (!run_id)
        run_id = "";
    *out = (struct flo_run_ref){.execution = find_resident(core, ns, workflow_id, run_id)};
    if (out->execution)
        return 0;
    int rc = find_stored(core, ns, workflow_id, run_id, out);
    switch (rc) {
    case 0:
        return 0;
    case FLO_ENOENT:
        if (run_id[0])
            flo_status_not_found(core, status,
                                 "workflow execution not found for workflow ID \"%s\" and run ID "
                                 "\"%s\"",
                                 workflow_id, run_id);
        else
            flo_status_not_found(core, status, "workflow not found for ID: %s", workflow_id);
        return FLO_ENOENT;
    case FLO_ENOMEM:
        return flo_status_no_memory(status);
    case FLO_EDATA:
        return flo_status_set(core, status, FLO_GRPC_DATA_LOSS,
                              "the stored run of workflow ID \"%s\" is damaged", workflow_id);
    default:
        return flo_status_set(core, status, FLO_GRPC_UNAVAILABLE, "the store cannot be read");
    }
}

/* ---- recovery ---- */

int flo_core_load_run(struct flo_core *core, const struct flo_core_stored_run *run,
                      const struct flo_core_history_batch *batches, size_t count,
                      struct flo_err *err)
{
    int rc = flo_execution_load(core, run, batches, count, err);
    flo_arena_reset(&core->scratch);
    return rc;
}

int flo_core_recovered(struct flo_core *core, uint64_t next_key, struct flo_err *err)
{
    if (next_key > core->next_key)
        core->next_key = next_key;
    for (struct flo_map_entry *it = flo_map_first(&core->runs), *next; it; it = next) {
        next = flo_map_next(it);
        flo_execution_resume(core, flo_map_value(it));
    }
    core_settle(core);
    return core->fatal ? flo_fail(err, FLO_ENOMEM, "no memory for the stored runs") : 0;
}

/* ---- batches ---- */

bool flo_core_wants_commit(const struct flo_core *core)
{
    return core->commit_wanted || (core->dirty_since_ns != INT64_MAX &&
                                   core->dirty_since_ns + LAZY_COMMIT_NS <= core->now_ns);
}

static int batch_namespaces(struct flo_core *core, struct flo_core_batch *batch)
{
    struct flo_core_namespace_row *rows =
        flo_arena_calloc(&batch->arena, core->namespaces.count + 1, sizeof *rows);
    if (!rows)
        return FLO_ENOMEM;
    for (struct flo_map_entry *it = flo_map_first(&core->namespaces); it; it = flo_map_next(it)) {
        const struct flo_namespace *ns = flo_map_value(it);
        if (!ns->dirty)
            continue;
        struct flo_core_namespace_row *row = &rows[batch->namespace_count++];
        uint8_t *state;
        row->id = flo_arena_strdup(&batch->arena, ns->id);
        row->name = flo_arena_strdup(&batch->arena, ns->name);
        if (!row->id || !row->name ||
            flo_wire_encode_arena(&ns->state->base, &batch->arena, &state, &row->state_len))
            return FLO_ENOMEM;
        row->state = state;
    }
    batch->namespaces = rows;
    return 0;
}

static int batch_runs(struct flo_core *core, struct flo_core_batch *batch)
{
    const size_t runs = core->dirty.count;
    struct flo_core_run_row *rows = flo_arena_calloc(&batch->arena, runs + 1, sizeof *rows);
    struct flo_core_history_row **parts = flo_arena_calloc(&batch->arena, runs + 1, sizeof *parts);
    size_t *counts = flo_arena_calloc(&batch->arena, runs + 1, sizeof *counts);
    if (!rows || !parts || !counts)
        return FLO_ENOMEM;
    size_t total = 0, i = 0;
    FLO_LIST_FOREACH(node, &core->dirty)
    {
        struct flo_run_hooks *hooks = flo_container(node, struct flo_run_hooks, dirty);
        if (flo_execution_collect(hooks->execution, &batch->arena, &rows[i], &parts[i], &counts[i]))
            return FLO_ENOMEM;
        total += counts[i++];
    }
    struct flo_core_history_row *histories =
        flo_arena_calloc(&batch->arena, total + 1, sizeof *histories);
    if (!histories)
        return FLO_ENOMEM;
    for (i = 0; i < runs; i++)
        for (size_t j = 0; j < counts[i]; j++)
            histories[batch->history_count++] = parts[i][j];
    batch->runs = rows;
    batch->run_count = runs;
    batch->histories = histories;
    return 0;
}

static int batch_deleted(struct flo_core *core, struct flo_core_batch *batch)
{
    uint64_t *keys = flo_arena_calloc(&batch->arena, core->deleted.count + 1, sizeof *keys);
    if (!keys)
        return FLO_ENOMEM;
    for (struct flo_map_entry *it = flo_map_first(&core->deleted); it; it = flo_map_next(it)) {
        const struct flo_core_deleted *deleted = flo_map_value(it);
        if (deleted->seq == core->next_seq)
            keys[batch->deleted_count++] = deleted->key;
    }
    batch->deleted_keys = keys;
    return 0;
}

int flo_core_take_batch(struct flo_core *core, struct flo_core_batch **out_batch)
{
    *out_batch = NULL;
    if (core->fatal)
        return FLO_ENOMEM;
    if (core->dirty_since_ns == INT64_MAX)
        return 0;
    struct flo_core_batch *batch = flo_calloc(1, sizeof *batch);
    if (!batch)
        return FLO_ENOMEM;
    flo_arena_init(&batch->arena, 0);
    if (batch_namespaces(core, batch) || batch_runs(core, batch) || batch_deleted(core, batch)) {
        flo_core_set_fatal(core); /* some runs think that their history was taken */
        flo_core_batch_free(&batch);
        return FLO_ENOMEM;
    }
    while (flo_list_pop_front(&core->dirty))
        ;
    for (struct flo_map_entry *it = flo_map_first(&core->namespaces); it; it = flo_map_next(it))
        ((struct flo_namespace *)flo_map_value(it))->dirty = false;
    batch->seq = core->next_seq++;
    core->commit_wanted = false;
    core->dirty_since_ns = INT64_MAX;
    core->stats.commits++;
    *out_batch = batch;
    return 0;
}

void flo_core_batch_free(struct flo_core_batch **batch)
{
    if (!*batch)
        return;
    flo_arena_fini(&(*batch)->arena);
    flo_free(*batch);
    *batch = NULL;
}

void flo_core_committed(struct flo_core *core, uint64_t seq)
{
    core->committed_seq = seq;
    /* In the order of closing; one that changed again afterwards holds up the others a little. */
    for (struct flo_node *node; (node = flo_list_first(&core->closed));) {
        struct flo_run_hooks *hooks = flo_container(node, struct flo_run_hooks, closed);
        if (hooks->dirty_seq > seq)
            break;
        struct flo_execution *execution = hooks->execution;
        if (hooks->delete_when_saved && flo_core_delete_run(core, hooks->key))
            flo_core_set_fatal(core); /* what was promised to go would stay */
        flo_execution_destroy(core, &execution);
    }
    for (struct flo_map_entry *it = flo_map_first(&core->deleted), *next; it; it = next) {
        next = flo_map_next(it);
        struct flo_core_deleted *deleted = flo_map_value(it);
        if (deleted->seq > seq)
            continue;
        flo_map_remove(&core->deleted, &deleted->key, sizeof deleted->key);
        flo_free(deleted);
    }
    flo_arena_reset(&core->scratch);
}

/* ---- figures ---- */

void flo_core_stats(const struct flo_core *core, struct flo_core_stats *out)
{
    *out = core->stats;
    out->open_runs = core->open_runs;
    out->resident_runs = core->runs.count;
    out->calls_waiting = core->calls.count;
    for (struct flo_map_entry *it = flo_map_first(&core->runs); it; it = flo_map_next(it))
        out->history_bytes += ((const struct flo_execution *)flo_map_value(it))->history.len;
    for (struct flo_map_entry *it = flo_map_first(&core->namespaces); it; it = flo_map_next(it)) {
        const struct flo_namespace *ns = flo_map_value(it);
        out->pollers += ns->polls[FLO_QUEUE_WORKFLOW] + ns->polls[FLO_QUEUE_ACTIVITY];
    }
}
