/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attribute_rows.c - the table attribute: what lists find runs by beside the columns of a run.
 *
 * The rows of a run are written when its attributes change, which is seldom, and once more when it
 * closes. Runs without attributes cost nothing.
 */
#include <string.h>

#include "base/arena.h"
#include "engine/store/internal.h"

struct rows {
    struct flo_store *store;
    const struct flo_core_run_row *run;
    const struct flo_core_attribute *attribute;
    struct flo_arena arena;
    const char **items; /* of this attribute, folded: a run has a value once */
    size_t item_count, items_cap;
    sqlite3_int64 next; /* number of the next row */
    struct flo_err *err;
};

static sqlite3_int64 first_id(uint64_t key)
{
    const uint64_t first = key << FLO_STORE_VALUE_BITS;
    return (sqlite3_int64)first;
}

/* Bind the range of a run's rows to ?1 and ?2. */
static int prepare_range(struct flo_store *store, enum flo_store_statement which, uint64_t key,
                         sqlite3_stmt **out, struct flo_err *err)
{
    int rc = flo_store_prepare(&store->writer, which, out, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(*out, 1, first_id(key));
    sqlite3_bind_int64(*out, 2, first_id(key) + FLO_STORE_VALUES_MAX - 1);
    return 0;
}

int flo_store_delete_attributes(struct flo_store *store, uint64_t key, struct flo_err *err)
{
    sqlite3_stmt *statement;
    int rc = prepare_range(store, FLO_STORE_SQL_DELETE_ATTRIBUTES, key, &statement, err);
    return rc ? rc : flo_store_run(&store->writer, statement, err);
}

static int end_attributes(struct flo_store *store, const struct flo_core_run_row *row,
                          struct flo_err *err)
{
    sqlite3_stmt *statement;
    int rc = prepare_range(store, FLO_STORE_SQL_END_ATTRIBUTES, row->key, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 3, row->close_ns);
    return flo_store_run(&store->writer, statement, err);
}

/* The folded text when the list does not have it yet; NULL: it has. */
static int fold_item(struct rows *rows, const char *text, const char **out)
{
    char *folded = flo_arena_strdup(&rows->arena, text);
    *out = NULL;
    if (!folded)
        return flo_fail(rows->err, FLO_ENOMEM, "no memory for search attributes");
    flo_store_fold(folded, folded);
    for (size_t i = 0; i < rows->item_count; i++)
        if (strcmp(rows->items[i], folded) == 0)
            return 0;
    if (rows->item_count == rows->items_cap) {
        const size_t cap = rows->items_cap ? rows->items_cap * 2 : 16;
        const char **items = flo_arena_alloc(&rows->arena, cap * sizeof *items);
        if (!items)
            return flo_fail(rows->err, FLO_ENOMEM, "no memory for search attributes");
        if (rows->item_count)
            memcpy(items, rows->items, rows->item_count * sizeof *items);
        rows->items = items;
        rows->items_cap = cap;
    }
    rows->items[rows->item_count++] = folded;
    *out = folded;
    return 0;
}

static int insert_value(void *ctx, const struct flo_store_value *value)
{
    struct rows *rows = ctx;
    const struct flo_core_run_row *run = rows->run;
    struct flo_store_value stored = *value;
    sqlite3_stmt *statement;
    if (rows->next == FLO_STORE_VALUES_MAX)
        return 0; /* more than the bound on the bytes of all attributes can hold */
    if (rows->attribute->type == FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_KEYWORD_LIST) {
        int rc = fold_item(rows, value->text, &stored.text);
        if (rc || !stored.text)
            return rc;
    }
    int rc = flo_store_prepare(&rows->store->writer, FLO_STORE_SQL_INSERT_ATTRIBUTE, &statement,
                               rows->err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, first_id(run->key) + rows->next++);
    sqlite3_bind_text(statement, 2, run->namespace_id, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, rows->attribute->name, -1, SQLITE_STATIC);
    flo_store_bind_value(statement, 4, &stored);
    sqlite3_bind_int64(statement, 5, run->close_ns ? run->close_ns : INT64_MAX);
    sqlite3_bind_int64(statement, 6, run->start_ns);
    return flo_store_run(&rows->store->writer, statement, rows->err);
}

int flo_store_put_attributes(struct flo_store *store, const struct flo_core_run_row *row,
                             struct flo_err *err)
{
    struct rows rows = {.store = store, .run = row, .err = err};
    int rc = 0;
    if (!row->attributes_changed)
        return row->close_ns && row->has_attributes ? end_attributes(store, row, err) : 0;
    if (!row->is_new)
        rc = flo_store_delete_attributes(store, row->key, err);
    flo_arena_init(&rows.arena, 0);
    for (size_t i = 0; i < row->attribute_count && !rc; i++) {
        rows.attribute = &row->attributes[i];
        if (!flo_store_indexes_attribute(rows.attribute->name))
            continue;
        rows.item_count = 0;
        rc = flo_store_attribute_values(rows.attribute->type, rows.attribute->json,
                                        rows.attribute->len, insert_value, &rows);
    }
    flo_arena_fini(&rows.arena);
    return rc;
}
