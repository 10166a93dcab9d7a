/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.c - what must be stored: changes gather on core->dirty until the shell takes a batch; a run
 * that changes while a batch is being committed is simply dirty again for the next one. Group
 * commit comes from that alone, without a timer.
 */
#include <string.h>

#include "base/alloc.h"
#include "engine/core/cold.h"
#include "engine/core/execution.h"
#include "engine/core/internal.h"
#include "engine/core/namespace.h"
#include "engine/core/record.h"
#include "engine/core/runs.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/decode.h"

/* Changes that no reply waits for are saved after this long. */
#define LAZY_COMMIT_NS FLO_NS_PER_S

/* A deleted run, until the deletion is durable: the store may still show it. */
struct flo_core_deleted {
    uint64_t key, seq;
};

/* ---- when ---- */

int64_t flo_core_lazy_commit_ns(const struct flo_core *core)
{
    return core->dirty_since_ns == INT64_MAX ? INT64_MAX : core->dirty_since_ns + LAZY_COMMIT_NS;
}

bool flo_core_wants_commit(const struct flo_core *core)
{
    return core->fatal || core->commit_wanted || flo_core_lazy_commit_ns(core) <= core->now_ns;
}

/* ---- deleted runs ---- */

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

bool flo_core_is_deleted(const struct flo_core *core, uint64_t key)
{
    return flo_map_get(&core->deleted, &key, sizeof key) != NULL;
}

int flo_core_expire(struct flo_core *core, uint64_t key, const char *run_id)
{
    if (flo_core_is_deleted(core, key) || flo_core_resident(core, run_id))
        return 0;
    int rc = flo_core_delete_run(core, key);
    if (!rc)
        core->commit_wanted = true;
    return rc;
}

bool flo_core_deleting(const struct flo_core *core)
{
    return core->deleted.count > 0;
}

void flo_core_deleted_fini(struct flo_core *core)
{
    for (struct flo_map_entry *it = flo_map_first(&core->deleted); it; it = flo_map_next(it))
        flo_free(flo_map_value(it));
    flo_map_fini(&core->deleted);
}

/* ---- taking ---- */

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
        struct flo_core_run_hooks *hooks = flo_container(node, struct flo_core_run_hooks, dirty);
        if (flo_core_is_deleted(core, hooks->key))
            continue; /* it would come back */
        if (flo_execution_collect(hooks->execution, &batch->arena, &rows[i], &parts[i], &counts[i]))
            return FLO_ENOMEM;
        flo_core_weigh(core, hooks->execution);
        total += counts[i++];
    }
    struct flo_core_history_row *histories =
        flo_arena_calloc(&batch->arena, total + 1, sizeof *histories);
    if (!histories)
        return FLO_ENOMEM;
    batch->runs = rows;
    batch->run_count = i;
    for (i = 0; i < batch->run_count; i++)
        for (size_t j = 0; j < counts[i]; j++)
            histories[batch->history_count++] = parts[i][j];
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
        return core->fatal;
    if (core->dirty_since_ns == INT64_MAX)
        return 0;
    struct flo_core_batch *batch = flo_calloc(1, sizeof *batch);
    if (!batch)
        return FLO_ENOMEM;
    flo_arena_init(&batch->arena, 0);
    if (batch_namespaces(core, batch) || batch_runs(core, batch) || batch_deleted(core, batch) ||
        flo_core_batch_records(core, batch)) {
        flo_core_set_fatal(core); /* some runs think that their history was taken */
        flo_core_batch_free(&batch);
        return FLO_ENOMEM;
    }
    while (flo_list_pop_front(&core->dirty))
        ;
    flo_core_records_taken(core);
    for (struct flo_map_entry *it = flo_map_first(&core->namespaces); it; it = flo_map_next(it))
        ((struct flo_namespace *)flo_map_value(it))->dirty = false;
    batch->seq = core->next_seq++;
    batch->transitions = core->transitions;
    core->transitions = 0;
    core->commit_wanted = false;
    core->dirty_since_ns = INT64_MAX;
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
        struct flo_core_run_hooks *hooks = flo_container(node, struct flo_core_run_hooks, closed);
        if (hooks->dirty_seq > seq)
            break;
        struct flo_execution *execution = hooks->execution;
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
    flo_core_cool(core);
}
