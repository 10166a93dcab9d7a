/* SPDX-License-Identifier: Apache-2.0 */
/* walk.c - runs in the order of their keys, some at a time: what batch jobs go through. */
#include <assert.h>

#include "base/buf.h"
#include "engine/store/internal.h"

/* The key of the last run of the window; last_key when fewer are left. */
static int find_end(struct flo_store *store, uint64_t after_key, uint64_t last_key, size_t limit,
                    uint64_t *out_end, struct flo_err *err)
{
    sqlite3_stmt *statement;
    int rc = flo_store_prepare(store->reader, FLO_STORE_SQL_WINDOW, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)after_key);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)last_key);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)limit - 1);
    const int step = sqlite3_step(statement);
    if (step == SQLITE_ROW)
        *out_end = (uint64_t)sqlite3_column_int64(statement, 0);
    else if (step == SQLITE_DONE)
        *out_end = last_key;
    else
        rc = flo_store_query_error(store, step, "cannot read the runs", err);
    sqlite3_reset(statement);
    return rc;
}

static int prepare_window(struct flo_store *store, const char *namespace_id,
                          const struct flo_store_filter *filter, uint64_t after_key,
                          uint64_t end_key, sqlite3_stmt **out, struct flo_err *err)
{
    struct flo_buf sql;
    flo_buf_init(&sql, 0);
    flo_buf_append_str(&sql, "SELECT key, workflow_id, run_id FROM run WHERE +namespace_id = ?1"
                             " AND key > ?2 AND key <= ?3");
    flo_store_put_divisions(&sql, filter);
    if (filter->sql && *filter->sql)
        flo_buf_printf(&sql, " AND (%s)", filter->sql);
    flo_buf_append_str(&sql, " ORDER BY key");
    int rc = flo_store_prepare_text(store, &sql, out, err);
    flo_buf_fini(&sql);
    if (rc)
        return rc;
    sqlite3_bind_text(*out, 1, namespace_id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(*out, 2, (sqlite3_int64)after_key);
    sqlite3_bind_int64(*out, 3, (sqlite3_int64)end_key);
    for (size_t i = 0; i < filter->value_count; i++)
        flo_store_bind_value(*out, 4 + (int)i, &filter->values[i]);
    return 0;
}

int flo_store_walk(struct flo_store *store, const char *namespace_id,
                   const struct flo_store_filter *filter, uint64_t after_key, uint64_t last_key,
                   size_t limit,
                   int (*fn)(void *ctx, uint64_t key, const char *workflow_id, const char *run_id),
                   void *ctx, uint64_t *out_end, struct flo_err *err)
{
    sqlite3_stmt *statement = NULL;
    uint64_t end_key = last_key;
    int step = SQLITE_ROW;
    flo_store_budget_begin(store);
    int rc = find_end(store, after_key, last_key, limit, &end_key, err);
    if (!rc)
        rc = prepare_window(store, namespace_id, filter, after_key, end_key, &statement, err);
    while (!rc && (step = sqlite3_step(statement)) == SQLITE_ROW)
        rc = fn(ctx, (uint64_t)sqlite3_column_int64(statement, 0),
                (const char *)sqlite3_column_text(statement, 1),
                (const char *)sqlite3_column_text(statement, 2));
    if (!rc && step != SQLITE_DONE)
        rc = flo_store_query_error(store, step, "cannot read the runs", err);
    flo_store_budget_end(store);
    sqlite3_finalize(statement);
    assert(flo_store_reader_idle(store));
    if (!rc)
        *out_end = end_key;
    return rc;
}
