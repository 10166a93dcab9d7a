/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backfill.c - a step between schema versions that SQL cannot take: the rows of the table attribute
 * for the runs of a database that is older than the table. Part of the migration's transaction.
 */
#include <string.h>

#include "base/arena.h"
#include "engine/core/search_attributes.h"
#include "engine/store/internal.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/decode.h"

/* The type of an attribute by the names of all namespaces, then by those of one. */
static FloApi__IndexedValueType type_of(const FloEngine__NamespaceState *ns, const char *name)
{
    static const struct {
        const char *name;
        FloApi__IndexedValueType type;
    } all[] = {
#define ATTRIBUTE(name, type, settable)                                                            \
    {#name, FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_##type},
        FLO_SEARCH_ATTRIBUTES(ATTRIBUTE)
#undef ATTRIBUTE
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0)
            return all[i].type;
    for (size_t i = 0; i < ns->n_search_attributes; i++)
        if (strcmp(ns->search_attributes[i]->name, name) == 0)
            return (FloApi__IndexedValueType)ns->search_attributes[i]->type;
    return FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_UNSPECIFIED;
}

/* The rows of the run at statement. Attributes that cannot be read have none, as elsewhere. */
static int fill_run(struct flo_store *store, const FloEngine__NamespaceState *ns,
                    sqlite3_stmt *statement, struct flo_arena *arena, struct flo_err *err)
{
    ProtobufCMessage *message;
    const void *blob = sqlite3_column_blob(statement, 3);
    struct flo_core_run_row row = {
        .is_new = true,
        .key = (uint64_t)sqlite3_column_int64(statement, 0),
        .namespace_id = ns->id,
        .start_ns = sqlite3_column_int64(statement, 1),
        .close_ns = sqlite3_column_int64(statement, 2),
        .attributes_changed = true,
    };
    int rc = flo_wire_decode(&flo_api__search_attributes__descriptor, blob,
                             (size_t)sqlite3_column_bytes(statement, 3), arena, &message, NULL);
    if (rc)
        return rc == FLO_ENOMEM ? flo_fail(err, rc, "no memory for search attributes") : 0;
    const FloApi__SearchAttributes *all = (const void *)message;
    struct flo_core_attribute *attributes =
        flo_arena_alloc(arena, (all->n_indexed_fields + 1) * sizeof *attributes);
    if (!attributes)
        return flo_fail(err, FLO_ENOMEM, "no memory for search attributes");
    for (size_t i = 0; i < all->n_indexed_fields; i++) {
        const FloApi__SearchAttributes__IndexedFieldsEntry *field = all->indexed_fields[i];
        const FloApi__IndexedValueType type = type_of(ns, field->key);
        if (field->value && type != FLO_API__INDEXED_VALUE_TYPE__INDEXED_VALUE_TYPE_UNSPECIFIED)
            attributes[row.attribute_count++] =
                (struct flo_core_attribute){.name = field->key,
                                            .type = type,
                                            .json = field->value->data.data,
                                            .len = field->value->data.len};
    }
    row.attributes = attributes;
    return flo_store_put_attributes(store, &row, err);
}

/* All runs of a namespace that have attributes and no rows for them. */
static int fill_namespace(struct flo_store *store, const FloEngine__NamespaceState *ns,
                          struct flo_err *err)
{
    static const char sql[] =
        "SELECT key, start_ns, close_ns, search_attributes FROM run WHERE namespace_id = ?1"
        " AND search_attributes IS NOT NULL AND NOT EXISTS (SELECT 1 FROM attribute"
        " WHERE id >= run.key << ?2 AND id < run.key + 1 << ?2)";
    sqlite3_stmt *statement = NULL;
    struct flo_arena arena;
    int step = sqlite3_prepare_v2(store->writer.db, sql, -1, &statement, NULL), rc = 0;
    flo_arena_init(&arena, 0);
    if (!step) {
        sqlite3_bind_text(statement, 1, ns->id, -1, SQLITE_STATIC);
        sqlite3_bind_int(statement, 2, FLO_STORE_VALUE_BITS);
        while (!rc && (step = sqlite3_step(statement)) == SQLITE_ROW) {
            rc = fill_run(store, ns, statement, &arena, err);
            flo_arena_reset(&arena);
        }
    }
    if (!rc)
        rc = flo_store_error(store->writer.db, step, "cannot read the runs", err);
    sqlite3_finalize(statement);
    flo_arena_fini(&arena);
    return rc;
}

int flo_store_fill_attributes(struct flo_store *store, struct flo_err *err)
{
    sqlite3_stmt *statement;
    ProtobufCMessage *message;
    struct flo_arena arena;
    int step = SQLITE_DONE;
    int rc = flo_store_prepare(&store->writer, FLO_STORE_SQL_NAMESPACES, &statement, err);
    if (rc)
        return rc;
    flo_arena_init(&arena, 0);
    while (!rc && (step = sqlite3_step(statement)) == SQLITE_ROW) {
        /* A namespace that is damaged is recovery's to tell of. */
        if (!flo_wire_decode(&flo_engine__namespace_state__descriptor,
                             sqlite3_column_blob(statement, 0),
                             (size_t)sqlite3_column_bytes(statement, 0), &arena, &message, NULL))
            rc = fill_namespace(store, (const void *)message, err);
        flo_arena_reset(&arena);
    }
    if (!rc)
        rc = flo_store_error(store->writer.db, step, "cannot read the namespaces", err);
    sqlite3_reset(statement);
    flo_arena_fini(&arena);
    return rc;
}
