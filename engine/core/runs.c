/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runs.c - the set of runs.
 *
 *    resident open run --closes--> resident closed run --commit durable--> only in the store
 *          |   ^
 *          v   |    cold.c
 *      cold open run
 *
 * The indexes hold the resident ones; lookups fall back to the cold ones, then to env.store.
 */
#include <string.h>

#include "engine/core/cold.h"
#include "engine/core/execution.h"
#include "engine/core/history_read.h"
#include "engine/core/internal.h"
#include "engine/core/namespace.h"
#include "engine/core/query.h"
#include "engine/core/reply.h"
#include "engine/core/runs.h"
#include "engine/core/task.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/decode.h"

void flo_core_run_hooks_init(struct flo_core_run_hooks *hooks, struct flo_namespace *ns,
                             struct flo_execution *execution)
{
    *hooks = (struct flo_core_run_hooks){.ns = ns, .execution = execution};
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

void flo_core_run_hooks_fini(struct flo_core *core, struct flo_core_run_hooks *hooks)
{
    flo_matching_remove(core, &hooks->workflow_task);
    flo_history_run_gone(core, hooks->execution);
    flo_core_query_run_gone(core, hooks->execution);
    unlink_from(&core->dirty, &hooks->dirty);
    unlink_from(&core->touched, &hooks->touched);
    unlink_from(&core->closed, &hooks->closed);
}

/* ---- finding: run ids and workflow ids ---- */

/* Run ids (and those of namespaces) are random UUIDs of our own making: nobody can choose them to
 * collide, so their last digits are hash enough. id has FLO_UUID_LEN bytes. */
static uint64_t hash_of_uuid(const char *id)
{
    uint64_t last, middle;
    memcpy(&last, id + FLO_UUID_LEN - sizeof last, sizeof last);
    memcpy(&middle, id + FLO_UUID_LEN - 2 * sizeof last, sizeof middle);
    const uint64_t mixed =
        (last * UINT64_C(0x9e3779b97f4a7c15)) ^ (middle * UINT64_C(0xc2b2ae3d27d4eb4f));
    return mixed ^ (mixed >> 32);
}

/* Workflow ids are chosen by clients: a keyed hash. */
static uint64_t hash_of_workflow(const struct flo_namespace *ns, const char *workflow_id)
{
    return flo_hash(workflow_id, strlen(workflow_id)) + hash_of_uuid(ns->id);
}

uint64_t flo_core_hash_run(const char *run_id)
{
    return hash_of_uuid(run_id);
}

uint64_t flo_core_hash_workflow(const struct flo_namespace *ns, const char *workflow_id)
{
    return hash_of_workflow(ns, workflow_id);
}

static struct flo_execution *find_current(const struct flo_core *core,
                                          const struct flo_namespace *ns, const char *workflow_id,
                                          uint64_t hash)
{
    for (struct flo_index_node *node = flo_index_first(&core->current, hash); node;
         node = flo_index_next(node)) {
        const struct flo_core_run_hooks *hooks =
            flo_container(node, struct flo_core_run_hooks, by_workflow_id);
        if (hooks->ns == ns && strcmp(hooks->execution->workflow_id, workflow_id) == 0)
            return hooks->execution;
    }
    return NULL;
}

static void leave_current(struct flo_core *core, struct flo_execution *execution)
{
    flo_index_remove(&core->current, &execution->hooks.by_workflow_id);
    execution->hooks.is_current = false;
}

int flo_core_add_run(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_core_run_hooks *hooks = &execution->hooks;
    const uint64_t hash = hash_of_workflow(hooks->ns, execution->workflow_id);
    struct flo_execution *older = find_current(core, hooks->ns, execution->workflow_id, hash);
    if (flo_index_add(&core->runs, &hooks->by_run_id, hash_of_uuid(execution->run_id)))
        return FLO_ENOMEM;
    if (flo_index_add(&core->current, &hooks->by_workflow_id, hash)) {
        flo_index_remove(&core->runs, &hooks->by_run_id);
        return FLO_ENOMEM;
    }
    hooks->is_current = true;
    if (older)
        leave_current(core, older);
    flo_list_push_back(&core->residents, &hooks->resident);
    if (hooks->key == 0)
        hooks->key = core->next_key++;
    if (flo_execution_is_open(execution))
        core->open_runs++;
    return 0;
}

int flo_core_revive_run(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_core_run_hooks *hooks = &execution->hooks;
    if (flo_index_add(&core->runs, &hooks->by_run_id, hash_of_uuid(execution->run_id)))
        return FLO_ENOMEM;
    flo_list_push_back(&core->residents, &hooks->resident);
    flo_list_push_back(&core->closed, &hooks->closed);
    return 0;
}

void flo_core_remove_run(struct flo_core *core, struct flo_execution *execution)
{
    struct flo_core_run_hooks *hooks = &execution->hooks;
    if (!flo_node_linked(&hooks->resident))
        return;
    flo_core_unweigh(core, execution);
    flo_list_remove(&core->residents, &hooks->resident);
    flo_index_remove(&core->runs, &hooks->by_run_id);
    if (hooks->is_current)
        leave_current(core, execution);
    if (flo_execution_is_open(execution))
        core->open_runs--;
}

/* ---- changes ---- */

void flo_core_touch(struct flo_core *core, struct flo_execution *execution, bool store)
{
    struct flo_core_run_hooks *hooks = &execution->hooks;
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
}

uint64_t flo_core_after(const struct flo_core *core, const struct flo_execution *execution)
{
    const uint64_t seq = execution->hooks.dirty_seq;
    return seq > core->committed_seq ? seq : 0;
}

struct flo_execution *flo_core_in_memory(const struct flo_core *core, const char *run_id)
{
    if (strlen(run_id) != FLO_UUID_LEN)
        return NULL;
    for (struct flo_index_node *node = flo_index_first(&core->runs, hash_of_uuid(run_id)); node;
         node = flo_index_next(node)) {
        struct flo_execution *execution =
            flo_container(node, struct flo_core_run_hooks, by_run_id)->execution;
        if (strcmp(execution->run_id, run_id) == 0)
            return execution;
    }
    return NULL;
}

struct flo_execution *flo_core_resident(struct flo_core *core, const char *run_id)
{
    struct flo_execution *execution = flo_core_in_memory(core, run_id);
    if (execution || !flo_core_has_cold(core) || strlen(run_id) != FLO_UUID_LEN)
        return execution;
    return flo_core_cold_find(core, NULL, NULL, run_id);
}

/* Copy what the store lent into scratch, and decode the state. */
static int adopt_stored(struct flo_core *core, const struct flo_core_stored_run *stored,
                        struct flo_core_run_ref *out)
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
                       const char *workflow_id, const char *run_id, struct flo_core_run_ref *out)
{
    struct flo_core_stored_run stored;
    if (!core->env.store.find)
        return FLO_ENOENT;
    int rc = core->env.store.find(core->env.store.ctx, ns->id, workflow_id, run_id, &stored);
    if (rc)
        return rc;
    if (flo_core_is_deleted(core, stored.key))
        return FLO_ENOENT;
    if (stored.status == FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_RUNNING ||
        stored.status == FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_PAUSED)
        return FLO_EDATA; /* open, and yet it could not be loaded */
    return adopt_stored(core, &stored, out);
}

struct flo_execution *flo_core_find_resident(struct flo_core *core, const struct flo_namespace *ns,
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
    execution = find_current(core, ns, workflow_id, hash_of_workflow(ns, workflow_id));
    if (execution || !flo_core_has_cold(core))
        return execution;
    return flo_core_cold_find(core, ns, workflow_id, "");
}

int flo_core_find_run(struct flo_core *core, struct flo_namespace *ns, const char *workflow_id,
                      const char *run_id, struct flo_core_run_ref *out, struct flo_status *status)
{
    if (!run_id)
        run_id = "";
    *out = (struct flo_core_run_ref){.execution =
                                         flo_core_find_resident(core, ns, workflow_id, run_id)};
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
        flo_status_put(core, status, FLO_GRPC_DATA_LOSS,
                       "the stored run of workflow ID \"%s\" is damaged", workflow_id);
        return FLO_EDATA;
    default:
        flo_status_put(core, status, FLO_GRPC_UNAVAILABLE, "the store cannot be read");
        return FLO_EIO;
    }
}
