/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c - opening and closing: is what is there ours, and is it all that was acknowledged?
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/store/crc32c.h"
#include "engine/store/internal.h"

#define SQLITE_WITH_WAL_RESET_FIX 3051003
#define SYNCHRONOUS_FULL 2 /* as PRAGMA synchronous says it */
#define LOG_SIZE_LIMIT "4194304"
#define QUERY_BUDGET_NS (250 * FLO_NS_PER_MS)

uint32_t flo_store_history_crc(uint64_t key, int64_t first_event_id, uint32_t event_count,
                               const void *events, size_t len)
{
    uint64_t place[3] = {key, (uint64_t)first_event_id, event_count};
    return flo_crc32c(flo_crc32c(0, place, sizeof place), events, len);
}

uint32_t flo_store_state_crc(uint64_t key, const void *state, size_t len)
{
    return flo_crc32c(flo_crc32c(0, &key, sizeof key), state, len);
}

uint32_t flo_store_record_crc(const struct flo_core_record_row *row)
{
    const uint32_t kind = (uint32_t)row->kind;
    uint32_t crc = flo_crc32c(0, &kind, sizeof kind);
    crc = flo_crc32c(crc, row->namespace_id, strlen(row->namespace_id) + 1);
    crc = flo_crc32c(crc, row->id, strlen(row->id) + 1);
    return flo_crc32c(crc, row->state, row->state_len);
}

void flo_store_warn(struct flo_store *store, const char *event, const char *message)
{
    if (store->on_warning)
        store->on_warning(store->warning_ctx, event, message);
}

/* The one row that sql gives; the caller finalizes *out, also after an error. */
static int read_row(struct flo_store_connection *connection, const char *sql, sqlite3_stmt **out,
                    struct flo_err *err)
{
    *out = NULL;
    int rc = sqlite3_prepare_v2(connection->db, sql, -1, out, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(*out);
    if (rc == SQLITE_ROW)
        return 0;
    return flo_store_error(connection->db, rc ? rc : SQLITE_ERROR, "cannot read the database", err);
}

/* The last commit that the database knows must not be older than the last that was acknowledged. */
static int check_mark(struct flo_store *store, struct flo_err *err)
{
    char message[256];
    uint64_t mark = 0;
    int rc = flo_store_mark_read(&store->files, &mark, err);
    if (rc == FLO_EDATA && store->accept_data_loss) {
        flo_store_warn(store, "store.mark_damaged", err->message);
        return flo_store_mark_write(&store->files, store->commit_seq, err);
    }
    if (rc == FLO_EDATA)
        return flo_fail(err, rc,
                        "it may have lost commits, since its mark is damaged; see `flotilla engine "
                        "check`, restore a backup, or go on with --accept-data-loss");
    if (rc || mark == store->commit_seq)
        return rc;
    if (mark <
        store->commit_seq) /* it was not written, or is older: from here on that shows again */
        return flo_store_mark_write(&store->files, store->commit_seq, err);
    snprintf(message, sizeof message,
             "it ends at commit %llu but commit %llu was acknowledged: %llu commits are lost",
             (unsigned long long)store->commit_seq, (unsigned long long)mark,
             (unsigned long long)(mark - store->commit_seq));
    if (!store->accept_data_loss)
        return flo_fail(err, FLO_EDATA,
                        "%s; see `flotilla engine check`, restore a backup, or go on without them "
                        "with --accept-data-loss",
                        message);
    flo_store_warn(store, "store.data_loss", message);
    return flo_store_mark_write(&store->files, store->commit_seq, err);
}

static int load_seq(struct flo_store *store, struct flo_err *err)
{
    sqlite3_stmt *statement;
    int rc = flo_store_prepare(&store->writer, FLO_STORE_SQL_GET_SEQ, &statement, err);
    if (rc)
        return rc;
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        store->commit_seq = (uint64_t)sqlite3_column_int64(statement, 0);
        sqlite3_reset(statement);
        return 0;
    }
    rc = rc == SQLITE_DONE ? flo_fail(err, FLO_EDATA, "its commit number is missing")
                           : flo_store_error(store->writer.db, rc, "cannot read the database", err);
    sqlite3_reset(statement);
    return rc;
}

static int on_log_grown(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct flo_store *store = ctx;
    (void)db, (void)name;
    store->log_pages = pages;
    return SQLITE_OK;
}

static int open_memory(struct flo_store *store, struct flo_err *err)
{
    store->in_memory = true;
    store->reader = &store->writer;
    int rc = flo_store_connect(&store->writer, NULL, false, err);
    return rc ? rc : flo_store_check_schema(store, err);
}

static void warn_about_surroundings(struct flo_store *store)
{
    char message[160];
    const char *unsafe = flo_store_files_unsafe_fs(&store->files);
    if (unsafe) {
        snprintf(message, sizeof message,
                 "The database lies on %s, where locks or syncs may not hold", unsafe);
        flo_store_warn(store, "store.fs_unsafe", message);
    }
    /* The bug needs two connections that checkpoint; here one does. */
    if (sqlite3_libversion_number() < SQLITE_WITH_WAL_RESET_FIX) {
        snprintf(message, sizeof message,
                 "SQLite %s has the WAL-reset bug, which does not touch this engine: nothing needs "
                 "to be done",
                 sqlite3_libversion());
        flo_store_warn(store, "store.sqlite_old", message);
    }
}

/* The log, and a sync at the end of each transaction, which log_writer.c stands on. SQLite says
 * nothing when it does not take a setting, so both are read back. */
static int set_durable(struct flo_store_connection *connection, struct flo_err *err)
{
    sqlite3_stmt *mode = NULL;
    int level = 0;
    int rc = flo_store_exec(connection,
                            "PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL;"
                            "PRAGMA journal_size_limit = " LOG_SIZE_LIMIT,
                            err);
    if (!rc)
        rc = flo_store_number(connection, "PRAGMA synchronous", &level, err);
    if (!rc && level != SYNCHRONOUS_FULL)
        rc = flo_fail(err, FLO_ESYS, "SQLite does not sync each commit: synchronous is %d", level);
    if (!rc)
        rc = read_row(connection, "PRAGMA journal_mode", &mode, err);
    if (!rc && sqlite3_stricmp((const char *)sqlite3_column_text(mode, 0), "wal") != 0)
        rc = flo_fail(err, FLO_ESYS, "SQLite cannot keep a write-ahead log there: the mode is %s",
                      (const char *)sqlite3_column_text(mode, 0));
    sqlite3_finalize(mode);
    return rc;
}

static int open_file(struct flo_store *store, const char *path, struct flo_err *err)
{
    int rc = flo_store_files_open(&store->files, path, err);
    if (rc)
        return rc;
    rc = flo_store_connect(&store->writer, path, false, err);
    if (!rc)
        rc = set_durable(&store->writer, err);
    if (!rc)
        rc = flo_store_check_schema(store, err);
    if (!rc)
        rc = load_seq(store, err);
    if (!rc)
        rc = check_mark(store, err);
    if (rc) {
        if (rc == FLO_EEXIST || rc == FLO_EDATA || rc == FLO_ESYS)
            flo_err_prefix(err, "database %s", path);
        return rc;
    }
    sqlite3_wal_hook(store->writer.db, on_log_grown, store);
    store->reader = &store->reader_file;
    rc = flo_store_connect(store->reader, path, true, err);
    if (!rc)
        warn_about_surroundings(store);
    return rc;
}

int flo_store_open(const struct flo_store_options *options, struct flo_store **out_store,
                   struct flo_err *err)
{
    struct flo_store *store = flo_calloc(1, sizeof *store);
    if (!store)
        return flo_fail(err, FLO_ENOMEM, "no memory for the store");
    store->files.lock_fd = store->files.mark_fd = -1;
    flo_arena_init(&store->found, 0);
    flo_arena_init(&store->tally.names, 0);
    store->accept_data_loss = options->accept_data_loss;
    store->query_budget_ns = options->query_budget_ns ? options->query_budget_ns : QUERY_BUDGET_NS;
    store->on_warning = options->on_warning;
    store->warning_ctx = options->ctx;
    int rc = options->path ? open_file(store, options->path, err) : open_memory(store, err);
    if (rc) {
        flo_store_close(&store);
        return rc == FLO_EFULL ? FLO_EIO : rc; /* nobody waits for room here */
    }
    *out_store = store;
    return 0;
}

void flo_store_close(struct flo_store **store_pointer)
{
    struct flo_store *store = *store_pointer;
    if (!store)
        return;
    flo_store_disconnect(&store->reader_file);
    flo_store_disconnect(&store->writer);
    flo_store_files_close(&store->files);
    flo_arena_fini(&store->found);
    flo_store_tally_fini(&store->tally);
    flo_free(store);
    *store_pointer = NULL;
}

bool flo_store_in_memory(const struct flo_store *store)
{
    return store->in_memory;
}

void flo_store_stats(const struct flo_store *store, struct flo_store_stats *out)
{
    *out = (struct flo_store_stats){.commit_seq = store->commit_seq,
                                    .checkpoints = store->checkpoints,
                                    .log_pages = (size_t)store->log_pages};
}
