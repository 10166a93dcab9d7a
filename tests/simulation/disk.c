/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c - plain lists, searched from the end: simulated histories are small. */
#include "simulation/disk.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/decode.h"

/* A simulation without memory says nothing: it ends. */
static void *must(void *block)
{
    if (!block)
        abort();
    return block;
}

void disk_init(struct disk *disk)
{
    memset(disk, 0, sizeof *disk);
}

static void free_run(struct disk_run *run)
{
    for (size_t i = 0; i < run->batch_count; i++)
        flo_free((void *)(uintptr_t)run->batches[i].events);
    flo_free(run->batches);
    flo_free(run->namespace_id);
    flo_free(run->workflow_id);
    flo_free(run->run_id);
    flo_free(run->state);
    flo_free(run);
}

static void free_record(struct disk_record *record)
{
    flo_free(record->namespace_id);
    flo_free(record->id);
    flo_free(record->state);
}

void disk_fini(struct disk *disk)
{
    for (size_t i = 0; i < disk->run_count; i++)
        free_run(disk->runs[i]);
    flo_free(disk->runs);
    flo_free(disk->unseen);
    for (size_t i = 0; i < disk->record_count; i++)
        free_record(&disk->records[i]);
    flo_free(disk->records);
    for (size_t i = 0; i < disk->namespace_count; i++) {
        flo_free(disk->namespaces[i].id);
        flo_free(disk->namespaces[i].state);
    }
    memset(disk, 0, sizeof *disk);
}

static struct disk_run *by_key(struct disk *disk, uint64_t key)
{
    for (size_t i = disk->run_count; i-- > 0;)
        if (disk->runs[i]->key == key)
            return disk->runs[i];
    return NULL;
}

struct disk_run *disk_find_run(struct disk *disk, const char *run_id)
{
    for (size_t i = disk->run_count; i-- > 0;)
        if (!disk->runs[i]->deleted && strcmp(disk->runs[i]->run_id, run_id) == 0)
            return disk->runs[i];
    return NULL;
}

static void breach(struct disk *disk, const char *text)
{
    if (!disk->failure)
        disk->failure = text;
}

static void put_namespace(struct disk *disk, const struct flo_core_namespace_row *row)
{
    struct disk_namespace *found = NULL;
    for (size_t i = 0; i < disk->namespace_count; i++)
        if (strcmp(disk->namespaces[i].id, row->id) == 0)
            found = &disk->namespaces[i];
    if (!found) {
        found = &disk->namespaces[disk->namespace_count++];
        found->id = must(flo_strdup(row->id));
    }
    flo_free(found->state);
    found->state = must(flo_memdup(row->state, row->state_len));
    found->len = row->state_len;
}

static struct disk_record *find_record(struct disk *disk, const struct flo_core_record_row *row)
{
    for (size_t i = 0; i < disk->record_count; i++) {
        struct disk_record *it = &disk->records[i];
        if (it->kind == row->kind && strcmp(it->namespace_id, row->namespace_id) == 0 &&
            strcmp(it->id, row->id) == 0)
            return it;
    }
    return NULL;
}

static void put_record(struct disk *disk, const struct flo_core_record_row *row)
{
    struct disk_record *found = find_record(disk, row);
    if (row->deleted) {
        if (found) {
            free_record(found);
            *found = disk->records[--disk->record_count];
        }
        return;
    }
    if (!found) {
        if (disk->record_count == disk->record_capacity) {
            disk->record_capacity = disk->record_capacity ? disk->record_capacity * 2 : 8;
            disk->records =
                must(flo_reallocarray(disk->records, disk->record_capacity, sizeof *disk->records));
        }
        found = &disk->records[disk->record_count++];
        *found = (struct disk_record){.kind = row->kind,
                                      .namespace_id = must(flo_strdup(row->namespace_id)),
                                      .id = must(flo_strdup(row->id))};
    }
    flo_free(found->state);
    found->state = must(flo_memdup(row->state_len ? row->state : (const uint8_t *)"",
                                   row->state_len ? row->state_len : 1));
    found->len = row->state_len;
}

static struct disk_run *new_run(struct disk *disk, const struct flo_core_run_row *row)
{
    if (disk->run_count == disk->run_capacity) {
        disk->run_capacity = disk->run_capacity ? disk->run_capacity * 2 : 32;
        disk->runs = must(flo_reallocarray(disk->runs, disk->run_capacity, sizeof *disk->runs));
    }
    if (disk_find_run(disk, row->run_id))
        breach(disk, "two runs have one run id");
    struct disk_run *run = must(flo_calloc(1, sizeof *run));
    run->key = row->key;
    run->namespace_id = must(flo_strdup(row->namespace_id));
    run->workflow_id = must(flo_strdup(row->workflow_id));
    run->run_id = must(flo_strdup(row->run_id));
    run->next_event_id = 1;
    disk->runs[disk->run_count++] = run;
    return run;
}

static void put_run(struct disk *disk, const struct flo_core_run_row *row)
{
    struct disk_run *run = by_key(disk, row->key);
    if (!run)
        run = new_run(disk, row);
    if (strcmp(run->run_id, row->run_id) != 0)
        breach(disk, "a run changed its id");
    if (run->close_ns && (run->close_ns != row->close_ns || run->status != row->status))
        breach(disk, "a closed run changed how it ended");
    run->status = row->status;
    run->close_ns = row->close_ns;
    flo_free(run->state);
    run->state = must(flo_memdup(row->state, row->state_len));
    run->state_len = row->state_len;
}

static void put_history(struct disk *disk, const struct flo_core_history_row *row)
{
    struct disk_run *run = by_key(disk, row->key);
    if (!run || row->first_event_id != run->next_event_id || row->event_count == 0) {
        breach(disk, "a history has a gap, or was written twice");
        return;
    }
    if (run->batch_count == run->batch_capacity) {
        run->batch_capacity = run->batch_capacity ? run->batch_capacity * 2 : 8;
        run->batches =
            must(flo_reallocarray(run->batches, run->batch_capacity, sizeof *run->batches));
    }
    run->batches[run->batch_count++] = (struct flo_core_history_batch){
        .first_event_id = row->first_event_id,
        .event_count = row->event_count,
        .events = must(flo_memdup(row->events, row->len)),
        .len = row->len,
    };
    run->next_event_id += row->event_count;
}

void disk_apply(struct disk *disk, const struct flo_core_batch *batch)
{
    for (size_t i = 0; i < batch->namespace_count; i++)
        put_namespace(disk, &batch->namespaces[i]);
    for (size_t i = 0; i < batch->record_count; i++)
        put_record(disk, &batch->records[i]);
    for (size_t i = 0; i < batch->run_count; i++)
        put_run(disk, &batch->runs[i]);
    for (size_t i = 0; i < batch->history_count; i++)
        put_history(disk, &batch->histories[i]);
    for (size_t i = 0; i < batch->deleted_count; i++) {
        struct disk_run *run = by_key(disk, batch->deleted_keys[i]);
        if (run)
            run->deleted = true;
    }
}

static void as_stored(const struct disk_run *run, struct flo_core_stored_run *out)
{
    *out = (struct flo_core_stored_run){
        .key = run->key,
        .namespace_id = run->namespace_id,
        .workflow_id = run->workflow_id,
        .run_id = run->run_id,
        .status = run->status,
        .state = run->state,
        .state_len = run->state_len,
    };
}

static int find(void *ctx, const char *namespace_id, const char *workflow_id, const char *run_id,
                struct flo_core_stored_run *out)
{
    struct disk *disk = ctx;
    if (disk->fails && disk->fails(disk->fails_ctx))
        return FLO_EIO;
    for (size_t i = disk->run_count; i-- > 0;) {
        const struct disk_run *run = disk->runs[i];
        if (run->deleted || strcmp(run->namespace_id, namespace_id) != 0 ||
            strcmp(run->workflow_id, workflow_id) != 0 ||
            (*run_id && strcmp(run->run_id, run_id) != 0))
            continue;
        as_stored(run, out);
        return 0;
    }
    return FLO_ENOENT;
}

static int history(void *ctx, uint64_t key, int64_t first_event_id, bool reverse,
                   bool (*batch_fn)(void *batch_ctx, int64_t first_event_id, uint32_t event_count,
                                    const uint8_t *events, size_t len),
                   void *batch_ctx)
{
    struct disk *disk = ctx;
    const struct disk_run *run = by_key(disk, key);
    size_t at = 0;
    if (disk->fails && disk->fails(disk->fails_ctx))
        return FLO_EIO;
    if (!run)
        return 0;
    if (run->damaged && !disk->damage_unseen)
        return FLO_EDATA;
    while (at < run->batch_count &&
           run->batches[at].first_event_id + (int64_t)run->batches[at].event_count <=
               first_event_id)
        at++;
    if (reverse && at == run->batch_count && at > 0)
        at--;
    for (; at < run->batch_count; at += reverse ? (size_t)-1 : 1) {
        const struct flo_core_history_batch *batch = &run->batches[at];
        if (run->damaged && at + 1 == run->batch_count)
            break; /* unseen */
        if (!batch_fn(batch_ctx, batch->first_event_id, batch->event_count, batch->events,
                      batch->len))
            break;
    }
    return 0;
}

static int load(void *ctx, uint64_t key,
                int (*run_fn)(void *run_ctx, const struct flo_core_stored_run *run,
                              const struct flo_core_history_batch *batches, size_t count,
                              struct flo_err *err),
                void *run_ctx, struct flo_err *err)
{
    struct disk *disk = ctx;
    const struct disk_run *run = by_key(disk, key);
    struct flo_core_stored_run stored;
    if (disk->fails && disk->fails(disk->fails_ctx))
        return FLO_EIO;
    if (!run || run->deleted)
        return FLO_ENOENT;
    if (run->damaged)
        return FLO_EDATA;
    as_stored(run, &stored);
    return run_fn(run_ctx, &stored, run->batches, run->batch_count, err);
}

/* The run's state says that the last batch is not there. */
static void forget_last_batch(struct disk_run *run)
{
    struct flo_arena arena;
    struct flo_buf packed;
    ProtobufCMessage *message;
    flo_arena_init(&arena, 0);
    flo_buf_init(&packed, 0);
    if (flo_wire_decode(&flo_engine__execution_state__descriptor, run->state, run->state_len,
                        &arena, &message, NULL))
        abort();
    ((FloEngine__ExecutionState *)(void *)message)->next_event_id =
        run->batches[run->batch_count - 1].first_event_id;
    if (flo_wire_encode(message, &packed))
        abort();
    flo_free(run->state);
    run->state = must(flo_memdup(packed.data, packed.len));
    run->state_len = packed.len;
    flo_buf_fini(&packed);
    flo_arena_fini(&arena);
}

void disk_damage(const struct disk *disk, struct disk_run *run)
{
    if (run->damaged)
        return;
    run->damaged = true;
    if (disk->damage_unseen)
        forget_last_batch(run);
}

void disk_replace(struct disk_run *run, size_t batch, const uint8_t *events, size_t len)
{
    flo_free((void *)(uintptr_t)run->batches[batch].events);
    run->batches[batch].events = must(flo_memdup(events, len));
    run->batches[batch].len = len;
}

void disk_reopen(struct disk *disk)
{
    for (size_t i = disk->run_count; i-- > 0;) {
        struct disk_run *run = disk->runs[i];
        if (run->deleted || !run->close_ns)
            continue;
        run->close_ns = 0;
        run->status = 1; /* running */
        return;
    }
}

static int locate(void *ctx, const char *namespace_id, const char *workflow_id, const char *run_id,
                  uint64_t *out_key)
{
    struct disk *disk = ctx;
    if (disk->fails && disk->fails(disk->fails_ctx))
        return FLO_EIO;
    for (size_t i = disk->run_count; i-- > 0;) {
        const struct disk_run *run = disk->runs[i];
        if (run->deleted || run->close_ns ||
            (*run_id ? strcmp(run->run_id, run_id) != 0
                     : strcmp(run->namespace_id, namespace_id) != 0 ||
                           strcmp(run->workflow_id, workflow_id) != 0))
            continue;
        *out_key = run->key;
        return 0;
    }
    return FLO_ENOENT;
}

void disk_as_store(struct disk *disk, struct flo_core_store *out)
{
    *out = (struct flo_core_store){
        .ctx = disk, .find = find, .history = history, .load = load, .locate = locate};
}

int disk_recover(struct disk *disk, struct flo_core *core, size_t eager, struct flo_err *err)
{
    int rc = 0;
    uint64_t next_key = 1;
    flo_free(disk->unseen);
    disk->unseen = must(flo_calloc(disk->run_count + 1, sizeof *disk->unseen));
    disk->unseen_count = disk->unseen_next = 0;
    for (size_t i = 0; i < disk->namespace_count && !rc; i++)
        rc = flo_core_load_namespace(core, disk->namespaces[i].state, disk->namespaces[i].len, err);
    for (size_t i = 0; i < disk->record_count && !rc; i++) {
        const struct disk_record *it = &disk->records[i];
        const struct flo_core_record_row row = {.kind = it->kind,
                                                .namespace_id = it->namespace_id,
                                                .id = it->id,
                                                .state = it->state,
                                                .state_len = it->len};
        rc = flo_core_load_record(core, &row, err);
    }
    for (size_t i = 0; i < disk->run_count && !rc; i++) {
        const struct disk_run *run = disk->runs[i];
        struct flo_core_stored_run stored;
        if (run->key >= next_key)
            next_key = run->key + 1;
        if (run->deleted || run->close_ns)
            continue;
        if (eager == 0) {
            disk->unseen[disk->unseen_count++] = run->key;
            continue;
        }
        eager--;
        as_stored(run, &stored);
        rc = flo_core_load_run(core, &stored, run->batches, run->batch_count, err);
    }
    flo_core_expect(core, disk->unseen_count);
    return rc ? rc : flo_core_recovered(core, next_key, err);
}

bool disk_wake(struct disk *disk, struct flo_core *core, size_t count)
{
    for (; count > 0 && disk->unseen_next < disk->unseen_count; count--)
        flo_core_wake(core, disk->unseen[disk->unseen_next++]);
    return disk->unseen_next < disk->unseen_count;
}
