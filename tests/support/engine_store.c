/* SPDX-License-Identifier: Apache-2.0 */
/* engine_store.c - the harness's store: rows in lists, read and written as the core asks. */
#include <string.h>

#include "support/cmocka_env.h"
#include "support/engine_internal.h"

int engine_store_find(void *ctx, const char *namespace_id, const char *workflow_id,
                      const char *run_id, struct flo_core_stored_run *out)
{
    struct engine *engine = ctx;
    const struct engine_stored_run *found = NULL;
    if (engine->fail_store)
        return engine->fail_store;
    for (size_t i = 0; i < engine->run_count; i++) {
        const struct engine_stored_run *run = &engine->runs[i];
        if (run->deleted || strcmp(run->namespace_id, namespace_id) != 0 ||
            strcmp(run->workflow_id, workflow_id) != 0 ||
            (run_id[0] && strcmp(run->run_id, run_id) != 0))
            continue;
        if (!found || run->key > found->key)
            found = run;
    }
    if (!found)
        return FLO_ENOENT;
    *out = (struct flo_core_stored_run){.key = found->key,
                                        .namespace_id = found->namespace_id,
                                        .workflow_id = found->workflow_id,
                                        .run_id = found->run_id,
                                        .status = found->status,
                                        .state = found->state,
                                        .state_len = found->state_len};
    return 0;
}

int engine_store_history(void *ctx, uint64_t key, int64_t first_event_id, bool reverse,
                         bool (*batch)(void *batch_ctx, int64_t first_event_id,
                                       uint32_t event_count, const uint8_t *events, size_t len),
                         void *batch_ctx)
{
    struct engine *engine = ctx;
    if (engine->fail_store)
        return engine->fail_store;
    for (size_t i = 0; i < engine->batch_count; i++) {
        const struct engine_stored_batch *b =
            &engine->batches[reverse ? engine->batch_count - 1 - i : i];
        const int64_t last = b->first_event_id + (int64_t)b->event_count - 1;
        if (b->key != key || (reverse ? b->first_event_id > first_event_id : last < first_event_id))
            continue;
        if (!batch(batch_ctx, b->first_event_id, b->event_count, b->events, b->len))
            break;
    }
    return 0;
}

int engine_store_load(void *ctx, uint64_t key,
                      int (*run_fn)(void *run_ctx, const struct flo_core_stored_run *run,
                                    const struct flo_core_history_batch *batches, size_t count,
                                    struct flo_err *err),
                      void *run_ctx, struct flo_err *err)
{
    struct engine *engine = ctx;
    const struct engine_stored_run *found = NULL;
    size_t count = 0;
    if (engine->fail_store)
        return engine->fail_store;
    for (size_t i = 0; i < engine->run_count; i++)
        if (engine->runs[i].key == key && !engine->runs[i].deleted)
            found = &engine->runs[i];
    if (!found)
        return FLO_ENOENT;
    struct flo_core_history_batch *batches =
        engine_take(engine, (engine->batch_count + 1) * sizeof *batches);
    for (size_t i = 0; i < engine->batch_count; i++) {
        const struct engine_stored_batch *b = &engine->batches[i];
        if (b->key == key)
            batches[count++] = (struct flo_core_history_batch){b->first_event_id, b->event_count,
                                                               b->events, b->len};
    }
    const struct flo_core_stored_run run = {.key = found->key,
                                            .namespace_id = found->namespace_id,
                                            .workflow_id = found->workflow_id,
                                            .run_id = found->run_id,
                                            .status = found->status,
                                            .state = found->state,
                                            .state_len = found->state_len};
    engine->loads++;
    return run_fn(run_ctx, &run, batches, count, err);
}

int engine_store_locate(void *ctx, const char *namespace_id, const char *workflow_id,
                        const char *run_id, uint64_t *out_key)
{
    struct engine *engine = ctx;
    int rc = FLO_ENOENT;
    for (size_t i = 0; i < engine->run_count; i++) {
        const struct engine_stored_run *run = &engine->runs[i];
        if (run->deleted || run->close_ns ||
            (*run_id ? strcmp(run->run_id, run_id) != 0
                     : strcmp(run->namespace_id, namespace_id) != 0 ||
                           strcmp(run->workflow_id, workflow_id) != 0))
            continue;
        *out_key = run->key;
        rc = 0;
    }
    return rc;
}

static void store_run(struct engine *engine, const struct flo_core_run_row *row)
{
    struct engine_stored_run *run = NULL;
    for (size_t i = 0; i < engine->run_count && !run; i++)
        if (engine->runs[i].key == row->key)
            run = &engine->runs[i];
    if (!run) {
        engine->runs =
            engine_grow(engine->runs, engine->run_count, &engine->run_cap, sizeof *engine->runs);
        run = &engine->runs[engine->run_count++];
    }
    *run = (struct engine_stored_run){.key = row->key,
                                      .namespace_id = engine_dup_text(engine, row->namespace_id),
                                      .workflow_id = engine_dup_text(engine, row->workflow_id),
                                      .run_id = engine_dup_text(engine, row->run_id),
                                      .status = row->status,
                                      .close_ns = row->close_ns,
                                      .state = engine_dup(engine, row->state, row->state_len),
                                      .state_len = row->state_len};
}

static void store_batch(struct engine *engine, const struct flo_core_history_row *row)
{
    engine->batches = engine_grow(engine->batches, engine->batch_count, &engine->batch_cap,
                                  sizeof *engine->batches);
    engine->batches[engine->batch_count++] =
        (struct engine_stored_batch){.key = row->key,
                                     .first_event_id = row->first_event_id,
                                     .event_count = row->event_count,
                                     .events = engine_dup(engine, row->events, row->len),
                                     .len = row->len};
}

static void store_record(struct engine *engine, const struct flo_core_record_row *row)
{
    size_t i = 0;
    for (; i < engine->record_count; i++) {
        const struct engine_stored_record *it = &engine->records[i];
        if (it->kind == row->kind && strcmp(it->namespace_id, row->namespace_id) == 0 &&
            strcmp(it->id, row->id) == 0)
            break;
    }
    if (i == engine->record_count) {
        engine->records = engine_grow(engine->records, engine->record_count, &engine->record_cap,
                                      sizeof *engine->records);
        engine->record_count++;
    }
    engine->records[i] = (struct engine_stored_record){
        .kind = row->kind,
        .namespace_id = engine_dup_text(engine, row->namespace_id),
        .id = engine_dup_text(engine, row->id),
        .state = row->deleted ? NULL : engine_dup(engine, row->state, row->state_len),
        .state_len = row->state_len,
        .deleted = row->deleted};
}

static void store_namespace(struct engine *engine, const struct flo_core_namespace_row *row)
{
    size_t i = 0;
    while (i < engine->namespace_count && strcmp(engine->namespaces[i].id, row->id) != 0)
        i++;
    assert_true(i < sizeof engine->namespaces / sizeof *engine->namespaces);
    engine->namespaces[i].id = engine_dup_text(engine, row->id);
    engine->namespaces[i].data = engine_dup(engine, row->state, row->state_len);
    engine->namespaces[i].len = row->state_len;
    if (i == engine->namespace_count)
        engine->namespace_count++;
}

uint64_t engine_store_batch(struct engine *engine, struct flo_core_batch **pbatch)
{
    const struct flo_core_batch *batch = *pbatch;
    const uint64_t seq = batch->seq;
    for (size_t i = 0; i < batch->namespace_count; i++)
        store_namespace(engine, &batch->namespaces[i]);
    for (size_t i = 0; i < batch->record_count; i++)
        store_record(engine, &batch->records[i]);
    for (size_t i = 0; i < batch->run_count; i++)
        store_run(engine, &batch->runs[i]);
    for (size_t i = 0; i < batch->history_count; i++)
        store_batch(engine, &batch->histories[i]);
    for (size_t i = 0; i < batch->deleted_count; i++)
        for (size_t j = 0; j < engine->run_count; j++)
            if (engine->runs[j].key == batch->deleted_keys[i])
                engine->runs[j].deleted = true;
    flo_core_batch_free(pbatch);
    engine->durable_seq = seq;
    flo_core_committed(engine->core, seq);
    return seq;
}

uint64_t engine_commit(struct engine *engine)
{
    struct flo_core_batch *batch;
    if (!engine->dead)
        engine->dead = flo_core_take_batch(engine->core, &batch);
    return engine->dead || !batch ? 0 : engine_store_batch(engine, &batch);
}
