/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.c - visibility: lists and counts of runs by a filter. The SQL text is put together from
 * constants and the filter's own (rpc/query.c makes it from constants too); values are bound. They
 * run on the loop, so each has a time budget.
 */
#include <assert.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "engine/store/internal.h"

static void bind_values(sqlite3_stmt *statement, int first, const struct flo_store_filter *filter)
{
    for (size_t i = 0; i < filter->value_count; i++) {
        const struct flo_store_value *value = &filter->values[i];
        int index = first + (int)i;
        switch (value->kind) {
        case FLO_STORE_INT:
            sqlite3_bind_int64(statement, index, value->integer);
            break;
        case FLO_STORE_REAL:
            sqlite3_bind_double(statement, index, value->real);
            break;
        case FLO_STORE_TEXT:
            sqlite3_bind_text(statement, index, value->text, -1, SQLITE_STATIC);
            break;
        }
    }
}

/* VM steps between two looks at the clock: well under a millisecond. */
#define STEPS_PER_LOOK 1000

static int over_budget(void *ctx)
{
    const struct flo_store *store = ctx;
    return flo_clock_mono_ns() >= store->query_until_ns;
}

/* From here to the end of the query SQLite stops itself when the budget is used up. */
static void budget_begin(struct flo_store *store)
{
    store->query_until_ns = flo_clock_mono_ns() + store->query_budget_ns;
    sqlite3_progress_handler(store->reader->db, STEPS_PER_LOOK, over_budget, store);
}

static void budget_end(struct flo_store *store)
{
    sqlite3_progress_handler(store->reader->db, 0, NULL, NULL);
}

static int query_error(struct flo_store *store, int step, const char *what, struct flo_err *err)
{
    if ((step & 0xff) == SQLITE_INTERRUPT)
        return flo_fail(err, FLO_ELIMIT,
                        "the query takes too long: narrow it, best by WorkflowId, WorkflowType, "
                        "ExecutionStatus or CloseTime");
    return flo_store_error(store->reader->db, step, what, err);
}

static int prepare(struct flo_store *store, struct flo_buf *sql, sqlite3_stmt **out,
                   struct flo_err *err)
{
    const char *text = flo_buf_cstr(sql);
    if (sql->failed)
        return flo_fail(err, FLO_ENOMEM, "no memory for a query");
    int rc = sqlite3_prepare_v2(store->reader->db, text, -1, out, NULL);
    return rc ? flo_store_error(store->reader->db, rc, "cannot read the runs", err) : 0;
}

static const char *text(sqlite3_stmt *statement, int column)
{
    const unsigned char *value = sqlite3_column_text(statement, column);
    return value ? (const char *)value : "";
}

static void read_visible(sqlite3_stmt *s, struct flo_store_visible *out)
{
    *out = (struct flo_store_visible){
        .row =
            {
                .key = (uint64_t)sqlite3_column_int64(s, 0),
                .namespace_id = text(s, 1),
                .workflow_id = text(s, 2),
                .run_id = text(s, 3),
                .type = text(s, 4),
                .task_queue = text(s, 5),
                .first_run_id = text(s, 6),
                .parent_workflow_id = text(s, 7),
                .parent_run_id = text(s, 8),
                .root_workflow_id = text(s, 9),
                .root_run_id = text(s, 10),
                .start_request_id = "",
                .status = sqlite3_column_int(s, 11),
                .start_ns = sqlite3_column_int64(s, 12),
                .execution_ns = sqlite3_column_int64(s, 13),
                .close_ns = sqlite3_column_int64(s, 14),
                .history_length = sqlite3_column_int64(s, 15),
                .history_bytes = sqlite3_column_int64(s, 16),
                .state_transitions = sqlite3_column_int64(s, 17),
                .memo = sqlite3_column_blob(s, 18),
                .memo_len = (size_t)sqlite3_column_bytes(s, 18),
                .search_attributes = sqlite3_column_blob(s, 19),
                .search_attributes_len = (size_t)sqlite3_column_bytes(s, 19),
            },
        .cursor =
            {
                .close_order = sqlite3_column_int64(s, 20),
                .start_ns = sqlite3_column_int64(s, 12),
                .key = (uint64_t)sqlite3_column_int64(s, 0),
            },
    };
}

int flo_store_list(struct flo_store *store, const char *namespace_id,
                   const struct flo_store_filter *filter, const struct flo_store_cursor *after,
                   size_t limit, bool (*fn)(void *ctx, const struct flo_store_visible *run),
                   void *ctx, struct flo_err *err)
{
    struct flo_buf sql;
    sqlite3_stmt *statement = NULL;
    int step;

    /* Numbered parameters first, then the filter's plain ones, which SQLite counts on from there.
     */
    flo_buf_init(&sql, 0);
    flo_buf_append_str(
        &sql, "SELECT key, namespace_id, workflow_id, run_id, type, task_queue, first_run_id,"
              " parent_workflow_id, parent_run_id, root_workflow_id, root_run_id, status, start_ns,"
              " execution_ns, close_ns, history_length, history_bytes, state_transitions, memo,"
              " search_attributes, close_order FROM run WHERE namespace_id = ?1"
              " AND (close_order, start_ns, key) < (?2, ?3, ?4)");
    if (filter->sql && *filter->sql)
        flo_buf_printf(&sql, " AND (%s)", filter->sql);
    flo_buf_append_str(&sql, " ORDER BY close_order DESC, start_ns DESC, key DESC");
    budget_begin(store);
    int rc = prepare(store, &sql, &statement, err);
    if (rc)
        goto out;
    sqlite3_bind_text(statement, 1, namespace_id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, after ? after->close_order : INT64_MAX);
    sqlite3_bind_int64(statement, 3, after ? after->start_ns : INT64_MAX);
    sqlite3_bind_int64(statement, 4, after ? (sqlite3_int64)after->key : INT64_MAX);
    bind_values(statement, 5, filter);
    while (limit-- && (step = sqlite3_step(statement)) != SQLITE_DONE) {
        struct flo_store_visible run;
        if (step != SQLITE_ROW) {
            rc = query_error(store, step, "cannot read the runs", err);
            break;
        }
        read_visible(statement, &run);
        if (!fn(ctx, &run))
            break;
    }
out:
    budget_end(store);
    sqlite3_finalize(statement);
    assert(flo_store_reader_idle(store));
    flo_buf_fini(&sql);
    return rc;
}

int flo_store_count(struct flo_store *store, const char *namespace_id,
                    const struct flo_store_filter *filter, bool by_status,
                    void (*fn)(void *ctx, int status, int64_t count), void *ctx,
                    struct flo_err *err)
{
    struct flo_buf sql;
    sqlite3_stmt *statement = NULL;
    int step;

    flo_buf_init(&sql, 0);
    flo_buf_printf(&sql, "SELECT %s, count(*) FROM run WHERE namespace_id = ?1",
                   by_status ? "status" : "0");
    if (filter->sql && *filter->sql)
        flo_buf_printf(&sql, " AND (%s)", filter->sql);
    if (by_status)
        flo_buf_append_str(&sql, " GROUP BY status");
    budget_begin(store);
    int rc = prepare(store, &sql, &statement, err);
    if (rc)
        goto out;
    sqlite3_bind_text(statement, 1, namespace_id, -1, SQLITE_STATIC);
    bind_values(statement, 2, filter);
    while ((step = sqlite3_step(statement)) == SQLITE_ROW)
        fn(ctx, sqlite3_column_int(statement, 0), sqlite3_column_int64(statement, 1));
    if (step != SQLITE_DONE)
        rc = query_error(store, step, "cannot count the runs", err);
out:
    budget_end(store);
    sqlite3_finalize(statement);
    assert(flo_store_reader_idle(store));
    flo_buf_fini(&sql);
    return rc;
}

int flo_store_expired(struct flo_store *store, const char *namespace_id, int64_t closed_before_ns,
                      size_t limit, void (*fn)(void *ctx, uint64_t key, const char *run_id),
                      void *ctx, struct flo_err *err)
{
    sqlite3_stmt *statement;
    int step;
    int rc = flo_store_prepare(store->reader, FLO_STORE_SQL_EXPIRED, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_text(statement, 1, namespace_id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, closed_before_ns);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)limit);
    while ((step = sqlite3_step(statement)) == SQLITE_ROW)
        fn(ctx, (uint64_t)sqlite3_column_int64(statement, 0), text(statement, 1));
    if (step != SQLITE_DONE)
        rc = flo_store_error(store->reader->db, step, "cannot read the closed runs", err);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    assert(flo_store_reader_idle(store));
    return rc;
}
