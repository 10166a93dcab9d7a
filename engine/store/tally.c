/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tally.c - how many runs of each status a namespace has, kept with every commit.
 *
 * A commit gathers what its rows change and adds it up at its end, one row for each namespace and
 * status whose number changed. Each is a row runs/NAMESPACE/STATUS of the table meta: its page is
 * written by every commit anyway, for the commit number, so that a commit writes no page more.
 *
 * Lists leave out the runs of divisions, of which there are hardly any: they are taken off when
 * somebody asks.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "engine/store/internal.h"

void flo_store_tally_reset(struct flo_store_tally *tally)
{
    tally->count = 0;
    flo_arena_reset(&tally->names);
}

void flo_store_tally_fini(struct flo_store_tally *tally)
{
    flo_free(tally->entries);
    flo_arena_fini(&tally->names);
    *tally = (struct flo_store_tally){0};
}

int flo_store_tally_add(struct flo_store_tally *tally, const char *namespace_id, int status,
                        int64_t change, struct flo_err *err)
{
    for (size_t i = 0; i < tally->count; i++) {
        struct flo_store_tally_entry *entry = &tally->entries[i];
        if (entry->status == status && strcmp(entry->namespace_id, namespace_id) == 0) {
            entry->change += change;
            return 0;
        }
    }
    if (tally->count == tally->capacity) {
        const size_t capacity = tally->capacity ? tally->capacity * 2 : 16;
        void *grown = flo_reallocarray(tally->entries, capacity, sizeof *tally->entries);
        if (!grown)
            return flo_fail(err, FLO_ENOMEM, "no memory to count the runs");
        tally->entries = grown;
        tally->capacity = capacity;
    }
    const char *name = flo_arena_strdup(&tally->names, namespace_id);
    if (!name)
        return flo_fail(err, FLO_ENOMEM, "no memory to count the runs");
    tally->entries[tally->count++] =
        (struct flo_store_tally_entry){.namespace_id = name, .status = status, .change = change};
    return 0;
}

int flo_store_tally_write(struct flo_store *store, struct flo_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < store->tally.count && !rc; i++) {
        const struct flo_store_tally_entry *entry = &store->tally.entries[i];
        sqlite3_stmt *statement;
        if (!entry->change)
            continue;
        rc = flo_store_prepare(&store->writer, FLO_STORE_SQL_TALLY, &statement, err);
        if (rc)
            break;
        sqlite3_bind_text(statement, 1, entry->namespace_id, -1, SQLITE_STATIC);
        sqlite3_bind_int(statement, 2, entry->status);
        sqlite3_bind_int64(statement, 3, entry->change);
        rc = flo_store_run(&store->writer, statement, err);
    }
    return rc;
}

bool flo_store_tally_knows(const struct flo_store_filter *filter)
{
    return filter->only_status || !filter->sql || !*filter->sql;
}

int flo_store_tally_prepare(struct flo_store *store, const struct flo_store_filter *filter,
                            sqlite3_stmt **out, struct flo_err *err)
{
    struct flo_buf sql;
    flo_buf_init(&sql, 0);
    /* As if there were a row of the table run for each status: the conditions of a filter that
     * knows nothing else speak of these three columns. */
    flo_buf_append_str(
        &sql, "SELECT status, sum(runs) FROM (SELECT status, runs, status > 1 AS close_ns,"
              " CASE WHEN status > 1 THEN 1 ELSE 9223372036854775807 END AS close_order FROM ("
              "SELECT CAST(substr(name, length(?1) + 7) AS INTEGER) AS status, value AS runs"
              " FROM meta WHERE name > 'runs/' || ?1 || '/' AND name < 'runs/' || ?1 || '0'");
    if (!filter->all_divisions)
        flo_buf_printf(&sql,
                       " UNION ALL SELECT status, -count(*) FROM run WHERE key IN (SELECT id >> %d"
                       " FROM attribute WHERE space = ?1 AND name = 'TemporalNamespaceDivision')"
                       " GROUP BY status",
                       FLO_STORE_VALUE_BITS);
    flo_buf_append_str(&sql, ")) WHERE ?2 IS ?3 AND ?4 IS NULL");
    if (filter->sql && *filter->sql)
        flo_buf_printf(&sql, " AND (%s)", filter->sql);
    flo_buf_append_str(&sql, " GROUP BY status HAVING sum(runs) > 0");
    int rc = flo_store_prepare_text(store, &sql, out, err);
    flo_buf_fini(&sql);
    return rc;
}
