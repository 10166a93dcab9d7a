/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.c - the tables, and their way from each version to the next.
 *
 * PRAGMA user_version says which version a database has. A new one is made as version 1 and then
 * goes through all steps, as an old one goes through those it lacks: so each step runs in every
 * test. All steps of an open are one transaction: a database has the old version or the new one. A
 * step, once released, never changes.
 *
 * run.close_order is the close time, or the largest integer while the run is open, so that one
 * index serves the order of every list (open first, last closed next), finds the open runs, and
 * those whose retention is over. Two more are for the common filters, by type and by status.
 * Columns that say who a run is never change after the insert; updates of an open run touch no
 * index.
 *
 * The table attribute has a row for each value of each search attribute of a run, for runs that
 * have any beyond BuildIds; its index has the order of lists, too (ended, started and id are
 * close_order, start_ns and key << 14 of the run). id is key << 14 and a number within the run, so
 * that all rows of a run are one range.
 *
 * The table meta has the number of the last commit, and how many runs of each status each namespace
 * has (tally.c).
 */
#include <stdio.h>

#include "engine/store/internal.h"

static const char version_1[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "INSERT INTO meta (name, value) VALUES ('commit_seq', 0);"
    "CREATE TABLE namespace (id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE,"
    " state BLOB NOT NULL) STRICT;"
    "CREATE TABLE run (key INTEGER PRIMARY KEY,"
    " status INTEGER NOT NULL, execution_ns INTEGER NOT NULL, history_length INTEGER NOT NULL,"
    " history_bytes INTEGER NOT NULL, state_transitions INTEGER NOT NULL, memo BLOB,"
    " search_attributes BLOB, state BLOB NOT NULL, state_crc INTEGER NOT NULL,"
    " close_ns INTEGER NOT NULL, close_order INTEGER NOT NULL,"
    " namespace_id TEXT NOT NULL, workflow_id TEXT NOT NULL, run_id TEXT NOT NULL,"
    " type TEXT NOT NULL, task_queue TEXT NOT NULL, start_request_id TEXT NOT NULL,"
    " first_run_id TEXT NOT NULL, parent_workflow_id TEXT NOT NULL, parent_run_id TEXT NOT NULL,"
    " root_workflow_id TEXT NOT NULL, root_run_id TEXT NOT NULL, start_ns INTEGER NOT NULL) STRICT;"
    "CREATE INDEX run_workflow ON run (namespace_id, workflow_id);"
    "CREATE UNIQUE INDEX run_id ON run (namespace_id, run_id);"
    "CREATE INDEX run_list ON run (namespace_id, close_order DESC, start_ns DESC, key DESC);"
    "CREATE INDEX run_type ON run (namespace_id, type, close_order DESC, start_ns DESC, key DESC);"
    "CREATE INDEX run_status ON run"
    " (namespace_id, status, close_order DESC, start_ns DESC, key DESC);"
    "CREATE TABLE history (key INTEGER NOT NULL, first_event_id INTEGER NOT NULL,"
    " event_count INTEGER NOT NULL, crc32c INTEGER NOT NULL, events BLOB NOT NULL,"
    " PRIMARY KEY (key, first_event_id)) STRICT, WITHOUT ROWID;";

/* steps[n]: from version n + 1 to n + 2. */
static const struct step {
    const char *sql;
    int (*then)(struct flo_store *store, struct flo_err *err); /* or NULL */
} steps[] = {
    /* 2: what is durable and no run. */
    {"CREATE TABLE record (kind INTEGER NOT NULL, namespace_id TEXT NOT NULL, id TEXT NOT NULL,"
     " state BLOB NOT NULL, crc INTEGER NOT NULL,"
     " PRIMARY KEY (kind, namespace_id, id)) STRICT, WITHOUT ROWID",
     NULL},
    /* 3: values of search attributes; status leaves the index that each start and end wrote to for
     * one of closed runs only, and one by start time takes its place. */
    {"CREATE TABLE attribute (id INTEGER PRIMARY KEY, space TEXT NOT NULL, name TEXT NOT NULL,"
     " value ANY NOT NULL, ended INTEGER NOT NULL, started INTEGER NOT NULL) STRICT;"
     "CREATE INDEX attribute_value ON attribute"
     " (space, name, value, ended DESC, started DESC, id DESC);"
     "DROP INDEX run_status;"
     "CREATE INDEX run_status ON run"
     " (namespace_id, status, close_order DESC, start_ns DESC, key DESC) WHERE close_ns > 0;"
     "CREATE INDEX run_start ON run (namespace_id, start_ns)",
     NULL},
    /* 4: numbers of runs by status; rows of attributes for runs that are older than their table. */
    {"INSERT INTO meta (name, value) SELECT 'runs/' || namespace_id || '/' || status, count(*)"
     " FROM run GROUP BY namespace_id, status",
     flo_store_fill_attributes},
};
_Static_assert(sizeof steps / sizeof *steps == FLO_STORE_SCHEMA_VERSION - 1,
               "a version without a step to it");

int flo_store_number(struct flo_store_connection *connection, const char *sql, int *out,
                     struct flo_err *err)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(connection->db, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        *out = sqlite3_column_int(statement, 0);
        rc = 0;
    } else {
        rc = flo_store_error(connection->db, rc == SQLITE_DONE ? SQLITE_ERROR : rc,
                             "cannot read the database", err);
    }
    sqlite3_finalize(statement);
    return rc;
}

/* From version on (0: nothing is there) to ours, in one transaction. */
static int bring_up(struct flo_store *store, int version, struct flo_err *err)
{
    char mark[96];
    int rc = flo_store_exec(&store->writer, "BEGIN IMMEDIATE", err);
    if (rc)
        return rc;
    if (version == 0) {
        rc = flo_store_exec(&store->writer, version_1, err);
        version = 1;
    }
    for (; !rc && version < FLO_STORE_SCHEMA_VERSION; version++) {
        const struct step *step = &steps[version - 1];
        rc = flo_store_exec(&store->writer, step->sql, err);
        if (!rc && step->then)
            rc = step->then(store, err);
    }
    snprintf(mark, sizeof mark, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
             FLO_STORE_APPLICATION_ID, FLO_STORE_SCHEMA_VERSION);
    if (!rc)
        rc = flo_store_exec(&store->writer, mark, err);
    return rc; /* an open transaction ends with the connection */
}

int flo_store_check_schema(struct flo_store *store, struct flo_err *err)
{
    char message[96];
    int version = 0, application = 0, tables = 0;
    int rc = flo_store_number(&store->writer, "PRAGMA user_version", &version, err);
    if (!rc)
        rc = flo_store_number(&store->writer, "PRAGMA application_id", &application, err);
    if (!rc)
        rc = flo_store_number(&store->writer, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (rc)
        return rc;
    if (version == 0 && application == 0 && tables == 0)
        return bring_up(store, 0, err);
    if (application != FLO_STORE_APPLICATION_ID)
        return flo_fail(err, FLO_EDATA, "it is an SQLite database of another program");
    if (version == FLO_STORE_SCHEMA_VERSION)
        return 0;
    if (version < 1 || version > FLO_STORE_SCHEMA_VERSION)
        return flo_fail(err, FLO_EDATA,
                        "it has schema version %d, this engine knows versions up to %d", version,
                        FLO_STORE_SCHEMA_VERSION);
    rc = bring_up(store, version, err);
    if (rc)
        return rc;
    snprintf(message, sizeof message, "The database was brought from schema version %d to %d",
             version, FLO_STORE_SCHEMA_VERSION);
    flo_store_warn(store, "store.migrated", message);
    return 0;
}
