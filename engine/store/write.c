/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write.c - the writer: one batch, one transaction; checkpoints.
 *
 * After SQLITE_FULL SQLite has rolled back and its log holds nothing that counts, so the batch may
 * be tried again. Every other failure of a write or sync leaves open whether the transaction will
 * be there after a restart (the log may hold it whole): FLO_EIO, and the caller ends the process.
 */
#include "base/alloc.h"
#include "engine/store/internal.h"

/* Pages in the log past which it is written back: 4 MB of 4 KiB pages. */
#define CHECKPOINT_PAGES 1000

static void bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    sqlite3_bind_text(statement, index, text ? text : "", -1, SQLITE_STATIC);
}

static void bind_blob(sqlite3_stmt *statement, int index, const uint8_t *data, size_t len)
{
    if (data)
        sqlite3_bind_blob64(statement, index, data, len, SQLITE_STATIC);
    else
        sqlite3_bind_null(statement, index);
}

static int put_namespace(struct flo_store *store, const struct flo_core_namespace_row *row,
                         struct flo_err *err)
{
    sqlite3_stmt *statement;
    int rc = flo_store_prepare(&store->writer, FLO_STORE_SQL_PUT_NAMESPACE, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, row->id);
    bind_text(statement, 2, row->name);
    sqlite3_bind_blob64(statement, 3, row->state_len ? row->state : (const uint8_t *)"",
                        row->state_len, SQLITE_STATIC);
    return flo_store_run(&store->writer, statement, err);
}

static int put_record(struct flo_store *store, const struct flo_core_record_row *row,
                      struct flo_err *err)
{
    sqlite3_stmt *statement;
    int rc = flo_store_prepare(
        &store->writer, row->deleted ? FLO_STORE_SQL_DELETE_RECORD : FLO_STORE_SQL_PUT_RECORD,
        &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int(statement, 1, row->kind);
    bind_text(statement, 2, row->namespace_id);
    bind_text(statement, 3, row->id);
    if (!row->deleted) {
        sqlite3_bind_blob64(statement, 4, row->state_len ? row->state : (const uint8_t *)"",
                            row->state_len, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 5, flo_store_record_crc(row));
    }
    return flo_store_run(&store->writer, statement, err);
}

/* Parameters 1 to 10, which all statements of a run share. */
static void bind_run(sqlite3_stmt *statement, const struct flo_core_run_row *row)
{
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)row->key);
    sqlite3_bind_int(statement, 2, row->status);
    sqlite3_bind_int64(statement, 3, row->execution_ns);
    sqlite3_bind_int64(statement, 4, row->history_length);
    sqlite3_bind_int64(statement, 5, row->history_bytes);
    sqlite3_bind_int64(statement, 6, row->state_transitions);
    bind_blob(statement, 7, row->memo, row->memo_len);
    bind_blob(statement, 8, row->search_attributes, row->search_attributes_len);
    sqlite3_bind_blob64(statement, 9, row->state_len ? row->state : (const uint8_t *)"",
                        row->state_len, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 10, flo_store_state_crc(row->key, row->state, row->state_len));
}

static int insert_run(struct flo_store *store, const struct flo_core_run_row *row,
                      struct flo_err *err)
{
    sqlite3_stmt *statement;
    int rc = flo_store_prepare(&store->writer, FLO_STORE_SQL_INSERT_RUN, &statement, err);
    if (rc)
        return rc;
    const char *const texts[] = {
        row->namespace_id,  row->workflow_id,      row->run_id,       row->type,
        row->task_queue,    row->start_request_id, row->first_run_id, row->parent_workflow_id,
        row->parent_run_id, row->root_workflow_id, row->root_run_id,
    };
    bind_run(statement, row);
    sqlite3_bind_int64(statement, 11, row->close_ns);
    sqlite3_bind_int64(statement, 12, row->close_ns ? row->close_ns : INT64_MAX);
    for (int i = 0; i < (int)(sizeof texts / sizeof *texts); i++)
        bind_text(statement, 13 + i, texts[i]);
    sqlite3_bind_int64(statement, 24, row->start_ns);
    return flo_store_run(&store->writer, statement, err);
}

/* Write with one statement; *out_found: was there a row that it fits? old_status: see
 * FLO_STORE_SQL_UPDATE_CLOSED. */
static int update_run(struct flo_store *store, enum flo_store_statement which,
                      const struct flo_core_run_row *row, int old_status, bool *out_found,
                      struct flo_err *err)
{
    sqlite3_stmt *statement;
    int rc = flo_store_prepare(&store->writer, which, &statement, err);
    if (rc)
        return rc;
    bind_run(statement, row);
    if (which == FLO_STORE_SQL_UPDATE_CLOSED) {
        sqlite3_bind_int64(statement, 11, row->close_ns);
        sqlite3_bind_int(statement, 12, old_status);
    }
    rc = flo_store_run(&store->writer, statement, err);
    *out_found = !rc && sqlite3_changes(store->writer.db) > 0;
    return rc;
}

/* The status that is stored of a run; *out_found: there is such a row. */
static int stored_status(struct flo_store *store, uint64_t key, int *out_status, bool *out_found,
                         struct flo_err *err)
{
    sqlite3_stmt *statement;
    int rc = flo_store_prepare(&store->writer, FLO_STORE_SQL_GET_STATUS, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)key);
    const int step = sqlite3_step(statement);
    *out_found = step == SQLITE_ROW;
    if (*out_found)
        *out_status = sqlite3_column_int(statement, 0);
    else
        rc = flo_store_error(store->writer.db, step, "cannot read the database", err);
    sqlite3_reset(statement);
    return rc;
}

#define RUNNING FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_RUNNING

/* Update the row of a run; old_status is what it was. *out_found: there is one. */
static int replace_run(struct flo_store *store, const struct flo_core_run_row *row,
                       int *out_old_status, bool *out_found, struct flo_err *err)
{
    const enum flo_store_statement first =
        row->close_ns ? FLO_STORE_SQL_UPDATE_CLOSED : FLO_STORE_SQL_UPDATE_OPEN;
    *out_old_status = row->close_ns ? RUNNING : row->status;
    int rc = update_run(store, first, row, *out_old_status, out_found, err);
    if (rc || *out_found)
        return rc;
    rc = stored_status(store, row->key, out_old_status, out_found, err);
    if (rc || !*out_found)
        return rc;
    return update_run(store, row->close_ns ? first : FLO_STORE_SQL_UPDATE_STATUS, row,
                      *out_old_status, out_found, err);
}

static int put_run(struct flo_store *store, const struct flo_core_run_row *row, struct flo_err *err)
{
    int rc = 0, old_status = 0;
    bool found = false;
    if (!row->is_new)
        rc = replace_run(store, row, &old_status, &found, err);
    if (!rc && !found)
        rc = insert_run(store, row, err);
    if (!rc && found && old_status != row->status)
        rc = flo_store_tally_add(&store->tally, row->namespace_id, old_status, -1, err);
    if (!rc && (!found || old_status != row->status))
        rc = flo_store_tally_add(&store->tally, row->namespace_id, row->status, 1, err);
    return rc ? rc : flo_store_put_attributes(store, row, err);
}

static int put_history(struct flo_store *store, const struct flo_core_history_row *row,
                       struct flo_err *err)
{
    sqlite3_stmt *statement;
    int rc = flo_store_prepare(&store->writer, FLO_STORE_SQL_INSERT_HISTORY, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)row->key);
    sqlite3_bind_int64(statement, 2, row->first_event_id);
    sqlite3_bind_int64(statement, 3, row->event_count);
    sqlite3_bind_int64(statement, 4,
                       flo_store_history_crc(row->key, row->first_event_id, row->event_count,
                                             row->events, row->len));
    sqlite3_bind_blob64(statement, 5, row->len ? row->events : (const uint8_t *)"", row->len,
                        SQLITE_STATIC);
    return flo_store_run(&store->writer, statement, err);
}

static int run_with_number(struct flo_store *store, enum flo_store_statement which, uint64_t number,
                           struct flo_err *err)
{
    sqlite3_stmt *statement;
    int rc = flo_store_prepare(&store->writer, which, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)number);
    return flo_store_run(&store->writer, statement, err);
}

static int run_plain(struct flo_store *store, enum flo_store_statement which, struct flo_err *err)
{
    sqlite3_stmt *statement;
    int rc = flo_store_prepare(&store->writer, which, &statement, err);
    return rc ? rc : flo_store_run(&store->writer, statement, err);
}

static int delete_run(struct flo_store *store, uint64_t key, struct flo_err *err)
{
    sqlite3_stmt *statement;
    int rc = run_with_number(store, FLO_STORE_SQL_DELETE_HISTORY, key, err);
    if (!rc)
        rc = flo_store_delete_attributes(store, key, err);
    if (!rc)
        rc = flo_store_prepare(&store->writer, FLO_STORE_SQL_DELETE_RUN, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)key);
    int step = sqlite3_step(statement);
    if (step == SQLITE_ROW) {
        rc = flo_store_tally_add(&store->tally, (const char *)sqlite3_column_text(statement, 0),
                                 sqlite3_column_int(statement, 1), -1, err);
        step = sqlite3_step(statement);
    }
    if (!rc)
        rc = flo_store_error(store->writer.db, step, "cannot write the database", err);
    sqlite3_reset(statement);
    return rc;
}

static int apply(struct flo_store *store, const struct flo_core_batch *batch, struct flo_err *err)
{
    int rc = 0;
    flo_store_tally_reset(&store->tally);
    for (size_t i = 0; i < batch->namespace_count && !rc; i++)
        rc = put_namespace(store, &batch->namespaces[i], err);
    for (size_t i = 0; i < batch->record_count && !rc; i++)
        rc = put_record(store, &batch->records[i], err);
    for (size_t i = 0; i < batch->run_count && !rc; i++)
        rc = put_run(store, &batch->runs[i], err);
    for (size_t i = 0; i < batch->history_count && !rc; i++)
        rc = put_history(store, &batch->histories[i], err);
    for (size_t i = 0; i < batch->deleted_count && !rc; i++)
        rc = delete_run(store, batch->deleted_keys[i], err);
    return rc ? rc : flo_store_tally_write(store, err);
}

int flo_store_commit(struct flo_store *store, const struct flo_core_batch *batch,
                     struct flo_err *err)
{
    uint64_t seq = store->commit_seq + 1;
    int rc = 0;

    if (!store->in_memory)
        rc = flo_store_files_check(&store->files, err);
    if (!rc)
        rc = run_plain(store, FLO_STORE_SQL_BEGIN, err);
    if (!rc)
        rc = apply(store, batch, err);
    if (!rc)
        rc = run_with_number(store, FLO_STORE_SQL_SET_SEQ, seq, err);
    if (!rc)
        rc = run_plain(store, FLO_STORE_SQL_COMMIT, err);
    if (rc) {
        struct flo_err ignored;
        if (!sqlite3_get_autocommit(store->writer.db) &&
            run_plain(store, FLO_STORE_SQL_ROLLBACK, &ignored))
            rc = FLO_EIO; /* neither done nor undone */
        return rc == FLO_EFULL || rc == FLO_ENOMEM || rc == FLO_EDATA ? rc : FLO_EIO;
    }
    store->commit_seq = seq;
    return store->in_memory ? 0 : flo_store_mark_write(&store->files, seq, err);
}

int flo_store_checkpoint(struct flo_store *store, bool force, struct flo_err *err)
{
    int pages = 0, written = 0;
    if (store->in_memory || (!force && store->log_pages < CHECKPOINT_PAGES))
        return 0;
    /* A reader may hold the end of the log back: what is left then goes next time. */
    int rc = sqlite3_wal_checkpoint_v2(
        store->writer.db, NULL, force ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE,
        &pages, &written);
    if (rc == SQLITE_BUSY || (rc & 0xff) == SQLITE_FULL)
        return 0;
    if (rc) {
        flo_store_error(store->writer.db, rc, "cannot write the log back", err);
        return FLO_EIO;
    }
    store->checkpoints++;
    store->log_pages = pages - written;
    return 0;
}
