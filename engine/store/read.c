/* SPDX-License-Identifier: Apache-2.0 */
/* read.c - the reader: recovery, single runs, histories, lists. Every blob is checked. */
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "engine/store/internal.h"

/* Memory of a found run that is kept for the next one. */
#define FOUND_KEEP_BYTES ((size_t)256 << 10)

bool flo_store_reader_idle(const struct flo_store *store)
{
    for (sqlite3_stmt *it = NULL; (it = sqlite3_next_stmt(store->reader->db, it));)
        if (sqlite3_stmt_busy(it))
            return false;
    return true;
}

static const char *column_text(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    return text ? (const char *)text : "";
}

/* The row (key, namespace_id, workflow_id, run_id, status, state, state_crc), checked. */
static int read_run(sqlite3_stmt *statement, struct flo_core_stored_run *out, struct flo_err *err)
{
    struct flo_core_stored_run run = {
        .key = (uint64_t)sqlite3_column_int64(statement, 0),
        .namespace_id = column_text(statement, 1),
        .workflow_id = column_text(statement, 2),
        .run_id = column_text(statement, 3),
        .status = sqlite3_column_int(statement, 4),
        .state = sqlite3_column_blob(statement, 5),
        .state_len = (size_t)sqlite3_column_bytes(statement, 5),
    };
    if (flo_store_state_crc(run.key, run.state, run.state_len) !=
        (uint32_t)sqlite3_column_int64(statement, 6))
        return flo_fail(err, FLO_EDATA, "the stored state of run %s is damaged", run.run_id);
    *out = run;
    return 0;
}

/* As read_run, copied to arena, so that the statement can be reset. */
static int copy_run(sqlite3_stmt *statement, struct flo_arena *arena,
                    struct flo_core_stored_run *out, struct flo_err *err)
{
    struct flo_core_stored_run run;
    int rc = read_run(statement, &run, err);
    if (rc)
        return rc;
    run.namespace_id = flo_arena_strdup(arena, run.namespace_id);
    run.workflow_id = flo_arena_strdup(arena, run.workflow_id);
    run.run_id = flo_arena_strdup(arena, run.run_id);
    run.state = flo_arena_memdup(arena, run.state, run.state_len);
    if (!run.namespace_id || !run.workflow_id || !run.run_id || !run.state)
        return flo_fail(err, FLO_ENOMEM, "no memory for a run");
    *out = run;
    return 0;
}

/* One row of history as a batch, checked. */
static int read_batch(sqlite3_stmt *statement, uint64_t key, struct flo_core_history_batch *out,
                      struct flo_err *err)
{
    struct flo_core_history_batch batch = {
        .first_event_id = sqlite3_column_int64(statement, 0),
        .event_count = (uint32_t)sqlite3_column_int64(statement, 1),
        .events = sqlite3_column_blob(statement, 3),
        .len = (size_t)sqlite3_column_bytes(statement, 3),
    };
    if (flo_store_history_crc(key, batch.first_event_id, batch.event_count, batch.events,
                              batch.len) != (uint32_t)sqlite3_column_int64(statement, 2))
        return flo_fail(err, FLO_EDATA, "the stored history is damaged at event %lld",
                        (long long)batch.first_event_id);
    *out = batch;
    return 0;
}

/* ---- recovery ---- */

int flo_store_each_namespace(struct flo_store *store, flo_store_namespace_fn fn, void *ctx,
                             struct flo_err *err)
{
    sqlite3_stmt *statement;
    int step;
    int rc = flo_store_prepare(store->reader, FLO_STORE_SQL_NAMESPACES, &statement, err);
    if (rc)
        return rc;
    while (!rc && (step = sqlite3_step(statement)) != SQLITE_DONE) {
        if (step != SQLITE_ROW)
            rc = flo_store_error(store->reader->db, step, "cannot read the namespaces", err);
        else
            rc = fn(ctx, sqlite3_column_blob(statement, 0),
                    (size_t)sqlite3_column_bytes(statement, 0), err);
    }
    sqlite3_reset(statement);
    return rc;
}

int flo_store_each_record(struct flo_store *store, flo_store_record_fn fn, void *ctx,
                          struct flo_err *err)
{
    sqlite3_stmt *statement;
    int step;
    int rc = flo_store_prepare(store->reader, FLO_STORE_SQL_RECORDS, &statement, err);
    if (rc)
        return rc;
    while (!rc && (step = sqlite3_step(statement)) != SQLITE_DONE) {
        if (step != SQLITE_ROW) {
            rc = flo_store_error(store->reader->db, step, "cannot read the records", err);
            break;
        }
        const struct flo_core_record_row row = {
            .kind = sqlite3_column_int(statement, 0),
            .namespace_id = column_text(statement, 1),
            .id = column_text(statement, 2),
            .state = sqlite3_column_blob(statement, 3),
            .state_len = (size_t)sqlite3_column_bytes(statement, 3),
        };
        if (flo_store_record_crc(&row) == (uint32_t)sqlite3_column_int64(statement, 4))
            rc = fn(ctx, &row, err);
        else
            rc = flo_fail(err, FLO_EDATA, "the stored record %s of kind %d is damaged", row.id,
                          row.kind);
        if (rc == FLO_EDATA && store->accept_data_loss) {
            flo_store_warn(store, "store.record_damaged", err->message);
            rc = 0;
        }
    }
    sqlite3_reset(statement);
    return rc;
}

struct batches {
    struct flo_core_history_batch *items;
    size_t count, capacity;
    struct flo_arena arena; /* the events, and the run */
};

static int batches_add(struct batches *batches, const struct flo_core_history_batch *batch)
{
    if (batches->count == batches->capacity) {
        size_t capacity = batches->capacity ? batches->capacity * 2 : 16;
        void *items = flo_reallocarray(batches->items, capacity, sizeof *batches->items);
        if (!items)
            return FLO_ENOMEM;
        batches->items = items;
        batches->capacity = capacity;
    }
    struct flo_core_history_batch *copy = &batches->items[batches->count];
    *copy = *batch;
    copy->events = flo_arena_memdup(&batches->arena, batch->events, batch->len);
    if (!copy->events && batch->len)
        return FLO_ENOMEM;
    batches->count++;
    return 0;
}

/* The whole history of a run; ids must run from 1 without a gap. */
static int load_history(struct flo_store *store, uint64_t key, struct batches *batches,
                        struct flo_err *err)
{
    sqlite3_stmt *statement;
    int64_t next = 1;
    int step;
    int rc = flo_store_prepare(store->reader, FLO_STORE_SQL_HISTORY, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)key);
    sqlite3_bind_int64(statement, 2, 0);
    while (!rc && (step = sqlite3_step(statement)) != SQLITE_DONE) {
        struct flo_core_history_batch batch = {0};
        if (step != SQLITE_ROW) {
            rc = flo_store_error(store->reader->db, step, "cannot read a history", err);
            break;
        }
        rc = read_batch(statement, key, &batch, err);
        if (!rc && batch.first_event_id != next)
            rc = flo_fail(err, FLO_EDATA, "the stored history lacks event %lld", (long long)next);
        if (!rc) {
            next += batch.event_count;
            rc = batches_add(batches, &batch);
            if (rc)
                flo_fail(err, rc, "no memory for a history");
        }
    }
    sqlite3_reset(statement);
    return rc;
}

/* Keys of the open runs. They are read first, so that no statement stays open for long. */
int flo_store_open_keys(struct flo_store *store, uint64_t **out_keys, size_t *out_count,
                        struct flo_err *err)
{
    sqlite3_stmt *statement;
    uint64_t *keys = NULL;
    size_t count = 0, capacity = 0;
    int step;
    int rc = flo_store_prepare(store->reader, FLO_STORE_SQL_OPEN_KEYS, &statement, err);
    if (rc)
        return rc;
    while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
        if (count == capacity) {
            size_t more = capacity ? capacity * 2 : 64;
            uint64_t *grown = flo_reallocarray(keys, more, sizeof *keys);
            if (!grown) {
                rc = flo_fail(err, FLO_ENOMEM, "no memory for %zu open runs", count);
                goto out;
            }
            keys = grown;
            capacity = more;
        }
        keys[count++] = (uint64_t)sqlite3_column_int64(statement, 0);
    }
    if (step != SQLITE_DONE) {
        rc = flo_store_error(store->reader->db, step, "cannot read the open runs", err);
        goto out;
    }
    *out_keys = keys;
    *out_count = count;
    keys = NULL;
out:
    sqlite3_reset(statement);
    flo_free(keys);
    return rc;
}

static int load_run(struct flo_store *store, uint64_t key, flo_store_run_fn fn, void *ctx,
                    struct flo_err *err)
{
    struct batches batches = {0};
    struct flo_core_stored_run run = {0};
    sqlite3_stmt *statement;

    flo_arena_init(&batches.arena, 0);
    int rc = flo_store_prepare(store->reader, FLO_STORE_SQL_GET_RUN, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)key);
    int step = sqlite3_step(statement);
    if (step != SQLITE_ROW)
        rc = step == SQLITE_DONE
                 ? flo_fail(err, FLO_ENOENT, "there is no run %llu", (unsigned long long)key)
                 : flo_store_error(store->reader->db, step, "cannot read a run", err);
    if (!rc)
        rc = copy_run(statement, &batches.arena, &run, err);
    sqlite3_reset(statement);
    if (!rc) {
        rc = load_history(store, key, &batches, err);
        if (rc == FLO_EDATA)
            flo_err_prefix(err, "run %s of workflow %s", run.run_id, run.workflow_id);
    }
    if (!rc)
        rc = fn(ctx, &run, batches.items, batches.count, err);
    flo_free(batches.items);
    flo_arena_fini(&batches.arena);
    return rc;
}

int flo_store_load_open_run(struct flo_store *store, uint64_t key, flo_store_run_fn fn, void *ctx,
                            struct flo_err *err)
{
    int rc = load_run(store, key, fn, ctx, err);
    if (rc == FLO_ENOENT)
        rc = flo_fail(err, FLO_EDATA, "run %llu is in an index only", (unsigned long long)key);
    if (rc == FLO_EDATA && store->accept_data_loss) {
        flo_store_warn(store, "store.run_damaged", err->message);
        rc = 0;
    }
    return rc;
}

int flo_store_each_open_run(struct flo_store *store, flo_store_run_fn fn, void *ctx,
                            struct flo_err *err)
{
    uint64_t *keys = NULL;
    size_t count = 0;
    int rc = flo_store_open_keys(store, &keys, &count, err);
    for (size_t i = 0; i < count && !rc; i++)
        rc = flo_store_load_open_run(store, keys[i], fn, ctx, err);
    flo_free(keys);
    return rc;
}

int flo_store_next_key(struct flo_store *store, uint64_t *out_key, struct flo_err *err)
{
    sqlite3_stmt *statement;
    int rc = flo_store_prepare(store->reader, FLO_STORE_SQL_MAX_KEY, &statement, err);
    if (rc)
        return rc;
    int step = sqlite3_step(statement);
    if (step == SQLITE_ROW)
        *out_key = (uint64_t)sqlite3_column_int64(statement, 0) + 1;
    else
        rc = flo_store_error(store->reader->db, step, "cannot read the runs", err);
    sqlite3_reset(statement);
    return rc;
}

/* ---- what the core reads ---- */

/*
 * *out is copied to store->found, where it lasts until the next call of this kind. A statement that
 * stood on its row instead would keep a snapshot of the log: the reader would see an old state, and
 * the log could never start again.
 */
static int core_find(void *ctx, const char *namespace_id, const char *workflow_id,
                     const char *run_id, struct flo_core_stored_run *out)
{
    struct flo_store *store = ctx;
    struct flo_err err;
    sqlite3_stmt *statement;
    bool newest = *run_id == '\0';

    int rc = flo_store_prepare(store->reader,
                               newest ? FLO_STORE_SQL_FIND_NEWEST : FLO_STORE_SQL_FIND_RUN,
                               &statement, &err);
    if (rc)
        return FLO_EIO;
    sqlite3_bind_text(statement, 1, namespace_id, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, workflow_id, -1, SQLITE_STATIC);
    if (!newest)
        sqlite3_bind_text(statement, 3, run_id, -1, SQLITE_STATIC);
    int step = sqlite3_step(statement);
    if (step == SQLITE_ROW) {
        if (store->found.held_bytes > FOUND_KEEP_BYTES)
            flo_arena_fini(&store->found);
        else
            flo_arena_reset(&store->found);
        rc = copy_run(statement, &store->found, out, &err);
    } else {
        rc = step == SQLITE_DONE ? FLO_ENOENT : FLO_EIO;
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    assert(flo_store_reader_idle(store));
    return rc;
}

/* The first event id of the batch that holds event_id, or event_id when no batch does. */
static int batch_start(struct flo_store *store, uint64_t key, int64_t event_id, int64_t *out)
{
    struct flo_err err;
    sqlite3_stmt *statement;
    int rc = flo_store_prepare(store->reader, FLO_STORE_SQL_HISTORY_FIRST, &statement, &err);
    if (rc)
        return FLO_EIO;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)key);
    sqlite3_bind_int64(statement, 2, event_id);
    if (sqlite3_step(statement) != SQLITE_ROW)
        rc = FLO_EIO;
    else if (sqlite3_column_type(statement, 0) == SQLITE_NULL)
        *out = event_id;
    else
        *out = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return rc;
}

/* Does batch go on where the one before it ended, which *edge says (0: it is the first one)? */
static bool follows(const struct flo_core_history_batch *batch, int64_t first_event_id,
                    bool reverse, int64_t *edge)
{
    const int64_t end = batch->first_event_id + (int64_t)batch->event_count;
    bool fits;
    if (*edge)
        fits = *edge == (reverse ? end : batch->first_event_id);
    else
        fits = reverse ? end > first_event_id
                       : batch->first_event_id <= 1 || batch->first_event_id <= first_event_id;
    *edge = reverse ? batch->first_event_id : end;
    return fits;
}

static int core_history(void *ctx, uint64_t key, int64_t first_event_id, bool reverse,
                        bool (*batch_fn)(void *batch_ctx, int64_t first_event_id,
                                         uint32_t event_count, const uint8_t *events, size_t len),
                        void *batch_ctx)
{
    struct flo_store *store = ctx;
    struct flo_err err;
    sqlite3_stmt *statement;
    int64_t from = 0, edge = 0;
    int step;

    int rc = batch_start(store, key, first_event_id, &from);
    if (rc)
        return rc;
    if (flo_store_prepare(store->reader,
                          reverse ? FLO_STORE_SQL_HISTORY_REVERSE : FLO_STORE_SQL_HISTORY,
                          &statement, &err))
        return FLO_EIO;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)key);
    sqlite3_bind_int64(statement, 2, from);
    while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
        struct flo_core_history_batch batch = {0};
        rc = read_batch(statement, key, &batch, &err);
        if (!rc && !follows(&batch, first_event_id, reverse, &edge))
            rc = FLO_EDATA; /* some are missing: never a silently shorter history */
        if (rc ||
            !batch_fn(batch_ctx, batch.first_event_id, batch.event_count, batch.events, batch.len))
            break;
    }
    sqlite3_reset(statement);
    assert(flo_store_reader_idle(store));
    if (rc)
        return rc;
    return step == SQLITE_ROW || step == SQLITE_DONE ? 0 : FLO_EIO;
}

static int core_load(void *ctx, uint64_t key, flo_store_run_fn fn, void *run_ctx,
                     struct flo_err *err)
{
    struct flo_store *store = ctx;
    int rc = load_run(store, key, fn, run_ctx, err);
    if (rc == FLO_EDATA)
        flo_store_warn(store, "store.run_damaged", err->message);
    assert(flo_store_reader_idle(store));
    return rc;
}

static int core_locate(void *ctx, const char *namespace_id, const char *workflow_id,
                       const char *run_id, uint64_t *out_key)
{
    struct flo_store *store = ctx;
    struct flo_err err;
    sqlite3_stmt *statement;
    int rc = flo_store_prepare(store->reader,
                               *run_id ? FLO_STORE_SQL_LOCATE_RUN : FLO_STORE_SQL_LOCATE_WORKFLOW,
                               &statement, &err);
    if (rc)
        return FLO_EIO;
    sqlite3_bind_text(statement, 1, *run_id ? run_id : namespace_id, -1, SQLITE_STATIC);
    if (!*run_id)
        sqlite3_bind_text(statement, 2, workflow_id, -1, SQLITE_STATIC);
    const int step = sqlite3_step(statement);
    if (step == SQLITE_ROW)
        *out_key = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return step == SQLITE_ROW ? 0 : step == SQLITE_DONE ? FLO_ENOENT : FLO_EIO;
}

void flo_store_as_core_store(struct flo_store *store, struct flo_core_store *out)
{
    *out = (struct flo_core_store){.ctx = store,
                                   .find = core_find,
                                   .history = core_history,
                                   .load = core_load,
                                   .locate = core_locate};
}
