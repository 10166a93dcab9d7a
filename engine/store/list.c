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

void flo_store_bind_value(sqlite3_stmt *statement, int index, const struct flo_store_value *value)
{
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

/* Numbered parameters come first, then the filter's plain ones, which SQLite counts on from there.
 */
enum { AT_NAMESPACE = 1, AT_ATTRIBUTE, AT_VALUE, AT_TO, AT_FILTER };
#define CURSOR 3 /* parameters of a cursor, before the filter's */

/* A filter with the path that is taken. */
struct plan {
    struct flo_store_filter filter;
    /* BY_WORKFLOW, BY_ATTRIBUTE: instead of one value those from this on and before that; or NULL.
     */
    const char *from, *to;
    const struct flo_store_prefix *any_of; /* BY_ATTRIBUTE: one of its values; or NULL */
};

static bool is_by_attribute(const struct plan *plan)
{
    return plan->filter.path == FLO_STORE_BY_ATTRIBUTE;
}

static void bind_plan(sqlite3_stmt *statement, int first, const char *namespace_id,
                      const struct plan *plan)
{
    const struct flo_store_filter *filter = &plan->filter;
    sqlite3_bind_text(statement, AT_NAMESPACE, namespace_id, -1, SQLITE_STATIC);
    if (is_by_attribute(plan)) {
        sqlite3_bind_text(statement, AT_ATTRIBUTE, filter->attribute, -1, SQLITE_STATIC);
        flo_store_bind_value(statement, AT_VALUE, &filter->equals);
    }
    if (plan->from) {
        sqlite3_bind_text(statement, AT_VALUE, plan->from, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, AT_TO, plan->to, -1, SQLITE_STATIC);
    }
    for (size_t i = 0; i < filter->value_count; i++)
        flo_store_bind_value(statement, first + (int)i, &filter->values[i]);
}

void flo_store_put_divisions(struct flo_buf *sql, const struct flo_store_filter *filter)
{
    if (!filter->all_divisions)
        flo_buf_printf(sql,
                       " AND run.key NOT IN (SELECT id >> %d FROM attribute WHERE space = ?1"
                       " AND name = 'TemporalNamespaceDivision')",
                       FLO_STORE_VALUE_BITS);
}

/* From which tables, and what holds of all runs that fit, without the filter's own. ?2 to ?4 are
 * named in every case, so that the others are counted alike. any_index: the order does not matter,
 * and SQLite takes the smallest. */
static void put_from(struct flo_buf *sql, const struct plan *plan, enum flo_store_path path,
                     bool any_index)
{
    static const char *const indexes[] = {
        [FLO_STORE_IN_ORDER] = "run_list",        [FLO_STORE_BY_RUN] = "run_id",
        [FLO_STORE_BY_WORKFLOW] = "run_workflow", [FLO_STORE_BY_TYPE] = "run_type",
        [FLO_STORE_BY_STATUS] = "run_status",     [FLO_STORE_BY_START] = "run_start",
    };
    if (is_by_attribute(plan))
        flo_buf_printf(sql,
                       " FROM attribute INDEXED BY attribute_value CROSS JOIN run"
                       " ON run.key = attribute.id >> %d WHERE space = ?1 AND name = ?2 AND %s",
                       FLO_STORE_VALUE_BITS,
                       plan->from ? "value >= ?3 AND value < ?4" : "value = ?3 AND ?4 IS NULL");
    else if (any_index)
        flo_buf_append_str(sql, " FROM run WHERE namespace_id = ?1 AND ?2 IS ?3 AND ?4 IS NULL");
    else
        flo_buf_printf(sql, " FROM run INDEXED BY %s WHERE namespace_id = ?1 AND ?2 IS NULL AND %s",
                       indexes[path],
                       plan->from ? "workflow_id >= ?3 AND workflow_id < ?4" : "?3 IS ?4");
    flo_store_put_divisions(sql, &plan->filter);
}

/* VM steps between two looks at the clock: well under a millisecond. */
#define STEPS_PER_LOOK 1000

static int over_budget(void *ctx)
{
    const struct flo_store *store = ctx;
    return flo_clock_mono_ns() >= store->query_until_ns;
}

void flo_store_budget_begin(struct flo_store *store)
{
    store->query_until_ns = flo_clock_mono_ns() + store->query_budget_ns;
    sqlite3_progress_handler(store->reader->db, STEPS_PER_LOOK, over_budget, store);
}

void flo_store_budget_end(struct flo_store *store)
{
    sqlite3_progress_handler(store->reader->db, 0, NULL, NULL);
}

int flo_store_query_error(struct flo_store *store, int step, const char *what, struct flo_err *err)
{
    if ((step & 0xff) == SQLITE_INTERRUPT)
        return flo_fail(err, FLO_ELIMIT,
                        "the query takes too long: narrow it, best by WorkflowId, WorkflowType, "
                        "ExecutionStatus or CloseTime");
    return flo_store_error(store->reader->db, step, what, err);
}

int flo_store_prepare_text(struct flo_store *store, struct flo_buf *sql, sqlite3_stmt **out,
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

/* So many runs are sorted rather than sought in a list. */
#define SORT_MAX 2000

/* Are there fewer runs than that in the part of an index that statement, whose own parameters are
 * bound, counts? */
static int are_few(struct flo_store *store, sqlite3_stmt *statement, const char *namespace_id,
                   bool *out_few, struct flo_err *err)
{
    int rc = 0;
    sqlite3_bind_text(statement, 1, namespace_id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, SORT_MAX);
    const int step = sqlite3_step(statement);
    if (step == SQLITE_ROW)
        *out_few = sqlite3_column_int64(statement, 0) < SORT_MAX;
    else
        rc = flo_store_query_error(store, step, "cannot read the runs", err);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return rc;
}

static int plan_start(struct flo_store *store, const char *namespace_id, struct plan *plan,
                      struct flo_err *err)
{
    sqlite3_stmt *statement;
    bool few = false;
    int rc = flo_store_prepare(store->reader, FLO_STORE_SQL_STARTED, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 2, plan->filter.start_from_ns);
    sqlite3_bind_int64(statement, 3, plan->filter.start_to_ns);
    rc = are_few(store, statement, namespace_id, &few, err);
    if (!few)
        plan->filter.path = FLO_STORE_IN_ORDER;
    return rc;
}

/*
 * Few runs that begin so, or runs that are counted, are read from the index. Of many of them a page
 * is soon found in the order of lists; if the values of an attribute are few the lists of these are
 * merged.
 */
static int plan_prefix(struct flo_store *store, const char *namespace_id, bool count,
                       struct flo_arena *arena, struct plan *plan, struct flo_err *err)
{
    struct flo_store_filter *filter = &plan->filter;
    struct flo_store_prefix *prefix = flo_arena_alloc(arena, sizeof *prefix);
    sqlite3_stmt *statement;
    bool few = false;
    if (!prefix)
        return flo_fail(err, FLO_ENOMEM, "no memory for a query");
    int rc = flo_store_find_prefix(store, namespace_id, filter, arena, prefix, err);
    if (rc)
        return rc;
    filter->path = filter->prefix_of ? FLO_STORE_BY_ATTRIBUTE : FLO_STORE_BY_WORKFLOW;
    filter->attribute = filter->prefix_of;
    plan->from = prefix->from ? prefix->from : "";
    plan->to = prefix->to ? prefix->to : "";
    if (count || !prefix->from)
        return 0;
    rc = flo_store_prepare(
        store->reader, filter->attribute ? FLO_STORE_SQL_FEW_VALUES : FLO_STORE_SQL_FEW_WORKFLOWS,
        &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_text(statement, 2, prefix->from, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, prefix->to, -1, SQLITE_STATIC);
    if (filter->attribute)
        sqlite3_bind_text(statement, 5, filter->attribute, -1, SQLITE_STATIC);
    rc = are_few(store, statement, namespace_id, &few, err);
    if (rc || few)
        return rc;
    plan->from = plan->to = NULL;
    if (filter->attribute && prefix->value_count <= FLO_STORE_PREFIX_VALUES)
        plan->any_of = prefix;
    else
        filter->path = FLO_STORE_IN_ORDER;
    return 0;
}

/* arena: of what the plan holds. */
static int make_plan(struct flo_store *store, const char *namespace_id,
                     const struct flo_store_filter *filter, bool count, struct flo_arena *arena,
                     struct plan *out, struct flo_err *err)
{
    *out = (struct plan){.filter = *filter};
    if (filter->path == FLO_STORE_BY_START && !count)
        return plan_start(store, namespace_id, out, err);
    if (filter->path == FLO_STORE_BY_PREFIX)
        return plan_prefix(store, namespace_id, count, arena, out, err);
    return 0;
}

/* The runs of a plan from a cursor on, in the order of lists. */
static int prepare_list(struct flo_store *store, const char *namespace_id, const struct plan *plan,
                        const struct flo_store_cursor *after, sqlite3_stmt **out,
                        struct flo_err *err)
{
    const struct flo_store_filter *filter = &plan->filter;
    const bool by_attribute = is_by_attribute(plan);
    const int64_t first = filter->close_to_ns ? filter->close_to_ns : INT64_MAX;
    struct flo_buf sql;
    flo_buf_init(&sql, 0);
    flo_buf_append_str(
        &sql, "SELECT key, namespace_id, workflow_id, run_id, type, task_queue, first_run_id,"
              " parent_workflow_id, parent_run_id, root_workflow_id, root_run_id, status, start_ns,"
              " execution_ns, close_ns, history_length, history_bytes, state_transitions, memo,"
              " search_attributes, close_order");
    put_from(&sql, plan, filter->path, false);
    if (by_attribute)
        flo_buf_printf(&sql, " AND (ended, started, id) < (?5, ?6, ?7 << %d)",
                       after ? FLO_STORE_VALUE_BITS : 0);
    else
        flo_buf_append_str(&sql, " AND (close_order, start_ns, key) < (?5, ?6, ?7)");
    if (filter->sql && *filter->sql)
        flo_buf_printf(&sql, " AND (%s)", filter->sql);
    flo_buf_append_str(&sql, by_attribute ? " ORDER BY ended DESC, started DESC, id DESC"
                                          : " ORDER BY close_order DESC, start_ns DESC, key DESC");
    int rc = flo_store_prepare_text(store, &sql, out, err);
    flo_buf_fini(&sql);
    if (rc)
        return rc;
    sqlite3_bind_int64(*out, AT_FILTER, after ? after->close_order : first);
    sqlite3_bind_int64(*out, AT_FILTER + 1, after ? after->start_ns : INT64_MAX);
    sqlite3_bind_int64(*out, AT_FILTER + 2, after ? (sqlite3_int64)after->key : INT64_MAX);
    bind_plan(*out, AT_FILTER + CURSOR, namespace_id, plan);
    return 0;
}

/* Lists that are merged: each stands at its next row, or is over (NULL). */
struct merge {
    struct flo_store *store;
    sqlite3_stmt *lists[FLO_STORE_PREFIX_VALUES];
    size_t count;
};

static int advance(struct merge *merge, size_t i, struct flo_err *err)
{
    const int step = sqlite3_step(merge->lists[i]);
    if (step == SQLITE_ROW)
        return 0;
    sqlite3_finalize(merge->lists[i]);
    merge->lists[i] = NULL;
    return flo_store_query_error(merge->store, step, "cannot read the runs", err);
}

/* A list for each value of the plan, or the only one. */
static int open_lists(struct merge *merge, const char *namespace_id, struct plan *plan,
                      const struct flo_store_cursor *after, struct flo_err *err)
{
    const size_t count = plan->any_of ? plan->any_of->value_count : 1;
    int rc = 0;
    for (size_t i = 0; i < count && !rc; i++) {
        if (plan->any_of)
            plan->filter.equals =
                (struct flo_store_value){.kind = FLO_STORE_TEXT, .text = plan->any_of->values[i]};
        rc = prepare_list(merge->store, namespace_id, plan, after, &merge->lists[i], err);
        if (rc)
            break;
        merge->count = i + 1;
        rc = advance(merge, i, err);
    }
    return rc;
}

static bool is_before(const struct flo_store_cursor *a, const struct flo_store_cursor *b)
{
    if (a->close_order != b->close_order)
        return a->close_order > b->close_order;
    return a->start_ns != b->start_ns ? a->start_ns > b->start_ns : a->key > b->key;
}

/* The list whose row is the next one; count when all are over. */
static size_t next_list(const struct merge *merge)
{
    struct flo_store_visible first = {0}, run;
    size_t best = merge->count;
    for (size_t i = 0; i < merge->count; i++) {
        if (!merge->lists[i] || merge->count == 1) {
            best = merge->lists[i] ? i : best;
            continue;
        }
        read_visible(merge->lists[i], &run);
        if (best == merge->count || is_before(&run.cursor, &first.cursor)) {
            first.cursor = run.cursor;
            best = i;
        }
    }
    return best;
}

static int give_page(struct merge *merge, size_t limit,
                     bool (*fn)(void *ctx, const struct flo_store_visible *run), void *ctx,
                     struct flo_err *err)
{
    int rc = 0;
    while (limit-- && !rc) {
        struct flo_store_visible run;
        const size_t next = next_list(merge);
        if (next == merge->count)
            break;
        read_visible(merge->lists[next], &run);
        if (!fn(ctx, &run))
            break;
        if (limit)
            rc = advance(merge, next, err);
    }
    return rc;
}

int flo_store_list(struct flo_store *store, const char *namespace_id,
                   const struct flo_store_filter *filter, const struct flo_store_cursor *after,
                   size_t limit, bool (*fn)(void *ctx, const struct flo_store_visible *run),
                   void *ctx, struct flo_err *err)
{
    struct merge merge = {.store = store};
    struct flo_arena arena;
    struct plan plan;
    flo_arena_init(&arena, 0);
    flo_store_budget_begin(store);
    int rc = make_plan(store, namespace_id, filter, false, &arena, &plan, err);
    if (!rc)
        rc = open_lists(&merge, namespace_id, &plan, after, err);
    if (!rc)
        rc = give_page(&merge, limit, fn, ctx, err);
    flo_store_budget_end(store);
    for (size_t i = 0; i < merge.count; i++)
        sqlite3_finalize(merge.lists[i]);
    flo_arena_fini(&arena);
    assert(flo_store_reader_idle(store));
    return rc;
}

/* Which runs are counted: all, or by their status those that are open or closed. */
enum counted { ALL, OPEN, CLOSED };

/* The columns and tables of a count. Without a better path those of closed runs come from the index
 * of statuses, which has all that is wanted; an open run is running. */
static void put_counted(struct flo_buf *sql, const struct plan *plan, enum counted which)
{
    const struct flo_store_filter *filter = &plan->filter;
    const bool in_order = filter->path == FLO_STORE_IN_ORDER;
    const enum flo_store_path path =
        in_order && which == CLOSED ? FLO_STORE_BY_STATUS : filter->path;
    flo_buf_printf(sql, "SELECT %s, count(*)",
                   which == ALL                ? "0"
                   : in_order && which == OPEN ? "1"
                                               : "status");
    put_from(sql, plan, path, in_order && which == ALL);
    if (which != ALL)
        flo_buf_printf(sql, " AND %s", which == OPEN ? FLO_STORE_IS_OPEN : FLO_STORE_IS_CLOSED);
    if (filter->sql && *filter->sql)
        flo_buf_printf(sql, " AND (%s)", filter->sql);
    if (which != ALL)
        flo_buf_append_str(sql, " GROUP BY 1");
}

/* Call fn with each row, a status and a number; finalizes the statement. */
static int give_counts(struct flo_store *store, sqlite3_stmt *statement, const char *namespace_id,
                       const struct plan *plan, void (*fn)(void *ctx, int status, int64_t count),
                       void *ctx, struct flo_err *err)
{
    int step, rc = 0;
    bind_plan(statement, AT_FILTER, namespace_id, plan);
    while ((step = sqlite3_step(statement)) == SQLITE_ROW)
        fn(ctx, sqlite3_column_int(statement, 0), sqlite3_column_int64(statement, 1));
    if (step != SQLITE_DONE)
        rc = flo_store_query_error(store, step, "cannot count the runs", err);
    sqlite3_finalize(statement);
    assert(flo_store_reader_idle(store));
    return rc;
}

static int count_runs(struct flo_store *store, const char *namespace_id, const struct plan *plan,
                      enum counted which, void (*fn)(void *ctx, int status, int64_t count),
                      void *ctx, struct flo_err *err)
{
    struct flo_buf sql;
    sqlite3_stmt *statement = NULL;

    flo_buf_init(&sql, 0);
    put_counted(&sql, plan, which);
    int rc = flo_store_prepare_text(store, &sql, &statement, err);
    flo_buf_fini(&sql);
    return rc ? rc : give_counts(store, statement, namespace_id, plan, fn, ctx, err);
}

static void add_count(void *ctx, int status, int64_t count)
{
    int64_t *sum = ctx;
    (void)status;
    *sum += count;
}

/* From the numbers that are kept. */
static int count_tally(struct flo_store *store, const char *namespace_id, const struct plan *plan,
                       bool by_status, void (*fn)(void *ctx, int status, int64_t count), void *ctx,
                       struct flo_err *err)
{
    sqlite3_stmt *statement = NULL;
    int64_t sum = 0;
    int rc = flo_store_tally_prepare(store, &plan->filter, &statement, err);
    if (rc || by_status)
        return rc ? rc : give_counts(store, statement, namespace_id, plan, fn, ctx, err);
    rc = give_counts(store, statement, namespace_id, plan, add_count, &sum, err);
    if (!rc)
        fn(ctx, 0, sum);
    return rc;
}

int flo_store_count(struct flo_store *store, const char *namespace_id,
                    const struct flo_store_filter *filter, bool by_status,
                    void (*fn)(void *ctx, int status, int64_t count), void *ctx,
                    struct flo_err *err)
{
    struct flo_arena arena;
    struct plan plan;
    flo_arena_init(&arena, 0);
    flo_store_budget_begin(store);
    int rc = make_plan(store, namespace_id, filter, true, &arena, &plan, err);
    if (!rc && flo_store_tally_knows(filter)) {
        rc = count_tally(store, namespace_id, &plan, by_status, fn, ctx, err);
    } else if (!rc && !by_status) {
        rc = count_runs(store, namespace_id, &plan, ALL, fn, ctx, err);
    } else if (!rc) { /* in two parts, each of which has an index */
        rc = count_runs(store, namespace_id, &plan, OPEN, fn, ctx, err);
        if (!rc)
            rc = count_runs(store, namespace_id, &plan, CLOSED, fn, ctx, err);
    }
    flo_store_budget_end(store);
    flo_arena_fini(&arena);
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
