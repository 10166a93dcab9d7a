/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite.c - a connection with safe settings, its statements, and the mapping of its errors.
 *
 * A hostile or restored file must not run code or read beyond itself: DEFENSIVE, no trusted schema,
 * no triggers, no views, no extensions, cell sizes checked, no memory mapping. Checkpoints
 * happen only where we say (WAL-reset bug of SQLite < 3.51.3: they and commits must share one
 * connection).
 */
#include <pthread.h>
#include <stdio.h>

#include "engine/store/internal.h"

static const char *const statement_sql[FLO_STORE_STATEMENTS] = {
    [FLO_STORE_SQL_BEGIN] = "BEGIN IMMEDIATE",
    [FLO_STORE_SQL_COMMIT] = "COMMIT",
    [FLO_STORE_SQL_ROLLBACK] = "ROLLBACK",
    [FLO_STORE_SQL_SET_SEQ] = "UPDATE meta SET value = ?1 WHERE name = 'commit_seq'",
    [FLO_STORE_SQL_TALLY] = "INSERT INTO meta (name, value) VALUES ('runs/' || ?1 || '/' || ?2, ?3)"
                            " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
    [FLO_STORE_SQL_PUT_NAMESPACE] =
        "INSERT INTO namespace (id, name, state) VALUES (?1, ?2, ?3)"
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name, state = excluded.state",
    [FLO_STORE_SQL_PUT_RECORD] =
        "INSERT INTO record (kind, namespace_id, id, state, crc) VALUES (?1, ?2, ?3, ?4, ?5)"
        " ON CONFLICT (kind, namespace_id, id)"
        " DO UPDATE SET state = excluded.state, crc = excluded.crc",
    [FLO_STORE_SQL_DELETE_RECORD] =
        "DELETE FROM record WHERE kind = ?1 AND namespace_id = ?2 AND id = ?3",
    [FLO_STORE_SQL_RECORDS] = "SELECT kind, namespace_id, id, state, crc FROM record"
                              " ORDER BY kind, namespace_id, id",
    /* Most changes of a run touch no index. SQLite writes the entries of an index again whenever
     * one of its columns is set, be it to what it was: so the status, which hardly any open run
     * changes, is set apart. UPDATE_CLOSED fits the rows of the status ?12 only, so that it is
     * known what is one less. All updates give up at rows that are not there. */
    [FLO_STORE_SQL_UPDATE_OPEN] =
        "UPDATE run SET execution_ns = ?3, history_length = ?4, history_bytes = ?5,"
        " state_transitions = ?6, memo = ?7, search_attributes = ?8, state = ?9, state_crc = ?10"
        " WHERE key = ?1 AND status = ?2",
    [FLO_STORE_SQL_UPDATE_STATUS] =
        "UPDATE run SET status = ?2, execution_ns = ?3, history_length = ?4, history_bytes = ?5,"
        " state_transitions = ?6, memo = ?7, search_attributes = ?8, state = ?9, state_crc = ?10"
        " WHERE key = ?1",
    [FLO_STORE_SQL_UPDATE_CLOSED] =
        "UPDATE run SET status = ?2, execution_ns = ?3, history_length = ?4, history_bytes = ?5,"
        " state_transitions = ?6, memo = ?7, search_attributes = ?8, state = ?9, state_crc = ?10,"
        " close_ns = ?11, close_order = ?11 WHERE key = ?1 AND status = ?12",
    [FLO_STORE_SQL_GET_STATUS] = "SELECT status FROM run WHERE key = ?1",
    [FLO_STORE_SQL_INSERT_RUN] =
        "INSERT INTO run (key, status, execution_ns, history_length, history_bytes,"
        " state_transitions, memo, search_attributes, state, state_crc, close_ns, close_order,"
        " namespace_id, workflow_id, run_id, type, task_queue, start_request_id, first_run_id,"
        " parent_workflow_id, parent_run_id, root_workflow_id, root_run_id, start_ns)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,"
        " ?19, ?20, ?21, ?22, ?23, ?24)",
    [FLO_STORE_SQL_INSERT_HISTORY] =
        "INSERT INTO history (key, first_event_id, event_count, crc32c, events)"
        " VALUES (?1, ?2, ?3, ?4, ?5)",
    [FLO_STORE_SQL_INSERT_ATTRIBUTE] =
        "INSERT INTO attribute (id, space, name, value, ended, started)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [FLO_STORE_SQL_END_ATTRIBUTES] = "UPDATE attribute SET ended = ?3 WHERE id BETWEEN ?1 AND ?2",
    [FLO_STORE_SQL_DELETE_ATTRIBUTES] = "DELETE FROM attribute WHERE id BETWEEN ?1 AND ?2",
    [FLO_STORE_SQL_DELETE_RUN] = "DELETE FROM run WHERE key = ?1 RETURNING namespace_id, status",
    [FLO_STORE_SQL_DELETE_HISTORY] = "DELETE FROM history WHERE key = ?1",
    [FLO_STORE_SQL_GET_SEQ] = "SELECT value FROM meta WHERE name = 'commit_seq'",
    [FLO_STORE_SQL_MAX_KEY] = "SELECT coalesce(max(key), 0) FROM run",
    [FLO_STORE_SQL_NAMESPACES] = "SELECT state FROM namespace ORDER BY rowid",
    [FLO_STORE_SQL_OPEN_KEYS] =
        "SELECT key FROM run WHERE namespace_id IN (SELECT id FROM namespace)"
        " AND close_order = 9223372036854775807 ORDER BY key",
    [FLO_STORE_SQL_GET_RUN] =
        "SELECT key, namespace_id, workflow_id, run_id, status, state, state_crc FROM run"
        " WHERE key = ?1",
    [FLO_STORE_SQL_LOCATE_RUN] =
        "SELECT key FROM run WHERE namespace_id IN (SELECT id FROM namespace) AND run_id = ?1"
        " AND close_order = 9223372036854775807",
    [FLO_STORE_SQL_LOCATE_WORKFLOW] =
        "SELECT key FROM run WHERE namespace_id = ?1 AND workflow_id = ?2"
        " AND close_order = 9223372036854775807 ORDER BY key DESC LIMIT 1",
    [FLO_STORE_SQL_FIND_RUN] =
        "SELECT key, namespace_id, workflow_id, run_id, status, state, state_crc FROM run"
        " WHERE namespace_id = ?1 AND run_id = ?3 AND workflow_id = ?2",
    [FLO_STORE_SQL_FIND_NEWEST] =
        "SELECT key, namespace_id, workflow_id, run_id, status, state, state_crc FROM run"
        " WHERE namespace_id = ?1 AND workflow_id = ?2 ORDER BY key DESC LIMIT 1",
    [FLO_STORE_SQL_HISTORY_FIRST] =
        "SELECT max(first_event_id) FROM history WHERE key = ?1 AND first_event_id <= ?2",
    [FLO_STORE_SQL_HISTORY] = "SELECT first_event_id, event_count, crc32c, events FROM history"
                              " WHERE key = ?1 AND first_event_id >= ?2 ORDER BY first_event_id",
    [FLO_STORE_SQL_EXPIRED] =
        "SELECT key, run_id FROM run WHERE namespace_id = ?1 AND close_order < ?2"
        " ORDER BY close_order, start_ns, key LIMIT ?3",
    [FLO_STORE_SQL_STARTED] =
        "SELECT count(*) FROM (SELECT 1 FROM run INDEXED BY run_start WHERE namespace_id = ?1"
        " AND start_ns BETWEEN ?2 AND ?3 LIMIT ?4)",
    [FLO_STORE_SQL_SEEK_WORKFLOW] =
        "SELECT workflow_id FROM run INDEXED BY run_workflow WHERE namespace_id = ?1"
        " AND workflow_id >= ?2 ORDER BY workflow_id LIMIT 1",
    [FLO_STORE_SQL_SEEK_VALUE] =
        "SELECT value FROM attribute INDEXED BY attribute_value WHERE space = ?1 AND name = ?3"
        " AND value >= ?2 ORDER BY value LIMIT 1",
    [FLO_STORE_SQL_FEW_WORKFLOWS] =
        "SELECT count(*) FROM (SELECT 1 FROM run INDEXED BY run_workflow WHERE namespace_id = ?1"
        " AND workflow_id >= ?2 AND workflow_id < ?3 LIMIT ?4)",
    [FLO_STORE_SQL_FEW_VALUES] =
        "SELECT count(*) FROM (SELECT 1 FROM attribute INDEXED BY attribute_value"
        " WHERE space = ?1 AND name = ?5 AND value >= ?2 AND value < ?3 LIMIT ?4)",
    [FLO_STORE_SQL_WINDOW] =
        "SELECT key FROM run WHERE key > ?1 AND key <= ?2 ORDER BY key LIMIT 1 OFFSET ?3",
    [FLO_STORE_SQL_HISTORY_REVERSE] =
        "SELECT first_event_id, event_count, crc32c, events FROM history"
        " WHERE key = ?1 AND first_event_id <= ?2 ORDER BY first_event_id DESC",
};

int flo_store_error(sqlite3 *db, int sqlite_rc, const char *what, struct flo_err *err)
{
    int code;
    switch (sqlite_rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return 0;
    case SQLITE_FULL:
        code = FLO_EFULL;
        break;
    case SQLITE_NOMEM:
        code = FLO_ENOMEM;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT: /* what we write fits, so what is stored does not */
    case SQLITE_SCHEMA:
    case SQLITE_ERROR: /* a table or column that should be there is not */
        code = FLO_EDATA;
        break;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        code = FLO_EPERM;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        code = FLO_EEXIST;
        break;
    case SQLITE_CANTOPEN:
        code = FLO_ESYS;
        break;
    default:
        code = FLO_EIO;
    }
    return flo_fail(err, code, "%s: %s (SQLite %d)", what,
                    db ? sqlite3_errmsg(db) : sqlite3_errstr(sqlite_rc), sqlite_rc);
}

static int configure(struct flo_store_connection *connection, bool read_only, struct flo_err *err)
{
    static const struct {
        int option, value;
    } settings[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},
        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
        {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
        {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        {SQLITE_DBCONFIG_DQS_DML, 0},
        {SQLITE_DBCONFIG_DQS_DDL, 0},
        {SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1},
    };
    sqlite3 *db = connection->db;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        int rc = sqlite3_db_config(db, settings[i].option, settings[i].value, (int *)NULL);
        if (rc)
            return flo_store_error(db, rc, "cannot configure SQLite", err);
    }
    sqlite3_extended_result_codes(db, 1);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 64 << 20);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_busy_timeout(db, read_only ? 2000 : 0);
    return flo_store_exec(connection,
                          "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;"
                          "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4096;"
                          "PRAGMA wal_autocheckpoint = 0",
                          err);
}

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

/* Nobody asks how much memory SQLite holds, and counting it takes a lock at each allocation. It is
 * refused, and no loss, if somebody used the library before us. */
static void set_up_library(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int flo_store_connect(struct flo_store_connection *connection, const char *path, bool read_only,
                      struct flo_err *err)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    *connection = (struct flo_store_connection){0};
    pthread_once(&library_once, set_up_library);
    int rc = sqlite3_open_v2(path ? path : ":memory:", &connection->db, flags,
                             path && !read_only ? flo_store_log_writer() : NULL);
    if (rc)
        rc = flo_store_error(connection->db, rc, "cannot open the database", err);
    else
        rc = configure(connection, read_only, err);
    if (!rc)
        rc = flo_store_add_functions(connection, err);
    if (rc)
        flo_store_disconnect(connection);
    return rc;
}

void flo_store_disconnect(struct flo_store_connection *connection)
{
    for (size_t i = 0; i < FLO_STORE_STATEMENTS; i++)
        sqlite3_finalize(connection->statements[i]);
    sqlite3_close(connection->db);
    *connection = (struct flo_store_connection){0};
}

int flo_store_exec(struct flo_store_connection *connection, const char *sql, struct flo_err *err)
{
    int rc = sqlite3_exec(connection->db, sql, NULL, NULL, NULL);
    return rc ? flo_store_error(connection->db, rc, "cannot set up the database", err) : 0;
}

int flo_store_prepare(struct flo_store_connection *connection, enum flo_store_statement which,
                      sqlite3_stmt **out, struct flo_err *err)
{
    sqlite3_stmt **statement = &connection->statements[which];
    if (!*statement) {
        int rc = sqlite3_prepare_v3(connection->db, statement_sql[which], -1,
                                    SQLITE_PREPARE_PERSISTENT, statement, NULL);
        if (rc)
            return flo_store_error(connection->db, rc, "cannot read the database", err);
    } else {
        sqlite3_reset(*statement);
    }
    *out = *statement;
    return 0;
}

int flo_store_run(struct flo_store_connection *connection, sqlite3_stmt *statement,
                  struct flo_err *err)
{
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_DONE) {
        sqlite3_reset(statement);
        return 0;
    }
    rc = flo_store_error(connection->db, rc, "cannot write the database", err);
    sqlite3_reset(statement);
    return rc;
}
