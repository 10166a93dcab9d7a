/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c - is everything that is stored what was written? One read transaction, so that all that
 * is compared is of one moment, also while an engine commits. The mark is read before it begins: it
 * may only be behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "engine/store/care.h"
#include "engine/store/care_internal.h"
#include "engine/store/internal.h"
#include "flotilla/engine_state.pb-c.h"
#include "wire/api.h"
#include "wire/decode.h"

#define BUSY_MS 5000
#define SENTENCE_MAX 512
#define MARK_TRIES 3

static void damage(struct flo_store_look *look, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void damage(struct flo_store_look *look, const char *fmt, ...)
{
    char sentence[SENTENCE_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    look->report.damages++;
    if (look->fn)
        look->fn(look->ctx, sentence);
}

/* An engine may be writing it: what is damaged once only was half written. */
static void read_mark(struct flo_store_look *look, const char *path)
{
    struct flo_err err;
    struct flo_store_files files = {.mark_path = (char *)(uintptr_t)path,
                                    .mark_fd = open(path, O_RDONLY | O_CLOEXEC)};
    int rc = FLO_EDATA;
    if (files.mark_fd < 0) {
        if (errno != ENOENT) /* there is none beside a copy that was made by hand */
            damage(look, "%s cannot be opened: %s", path, strerror(errno));
        return;
    }
    for (int i = 0; i < MARK_TRIES && rc == FLO_EDATA; i++)
        rc = flo_store_mark_read(&files, &look->mark, &err);
    if (rc)
        damage(look, "%s", err.message);
    close(files.mark_fd);
}

int flo_store_look_open(struct flo_store_look *look, const char *path, struct flo_err *err)
{
    char *mark_path = flo_asprintf("%s.mark", path);
    int application = 0;
    if (!mark_path)
        return flo_fail(err, FLO_ENOMEM, "no memory to open %s", path);
    if (access(path, F_OK)) {
        flo_free(mark_path);
        return flo_fail(err, FLO_ENOENT, "there is no database %s", path);
    }
    flo_arena_init(&look->arena, 0);
    read_mark(look, mark_path);
    flo_free(mark_path);
    int rc = flo_store_files_look(path, false, err); /* before SQLite makes anything beside it */
    /* Not read-only: a log that a killed engine left has to be read, which needs its index. */
    if (!rc)
        rc = flo_store_connect(&look->connection, path, false, err);
    if (!rc) {
        sqlite3_busy_timeout(look->connection.db, BUSY_MS);
        rc = flo_store_exec(&look->connection, "PRAGMA query_only = ON; BEGIN", err);
    }
    if (!rc)
        rc = flo_store_number(&look->connection, "PRAGMA application_id", &application, err);
    if (!rc)
        rc = flo_store_number(&look->connection, "PRAGMA user_version", &look->version, err);
    if (!rc && application != FLO_STORE_APPLICATION_ID)
        rc = flo_fail(err, FLO_EDATA, "it is not a database of an engine");
    if (!rc && (look->version < 1 || look->version > FLO_STORE_SCHEMA_VERSION))
        rc = flo_fail(err, FLO_EDATA, "it has schema version %d, this program knows up to %d",
                      look->version, FLO_STORE_SCHEMA_VERSION);
    if (rc) {
        flo_err_prefix(err, "database %s", path);
        flo_store_look_close(look);
    }
    return rc;
}

void flo_store_look_close(struct flo_store_look *look)
{
    flo_store_disconnect(&look->connection);
    flo_arena_fini(&look->arena);
}

/* ---- each kind of thing ---- */

/* Call row for each row of sql. What SQLite cannot read is a damage, too. */
static int each_row(struct flo_store_look *look, const char *what, const char *sql,
                    int (*row)(struct flo_store_look *look, sqlite3_stmt *statement))
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(look->connection.db, sql, -1, &statement, NULL);
    while (!rc && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        rc = row(look, statement);
        flo_arena_reset(&look->arena);
        if (rc) {
            sqlite3_finalize(statement);
            return rc;
        }
    }
    sqlite3_finalize(statement);
    if ((rc & 0xff) == SQLITE_NOMEM)
        return FLO_ENOMEM;
    if (rc != SQLITE_DONE)
        damage(look, "%s cannot be read: %s", what, sqlite3_errmsg(look->connection.db));
    return 0;
}

static const char *text(sqlite3_stmt *statement, int column)
{
    const unsigned char *value = sqlite3_column_text(statement, column);
    return value ? (const char *)value : "";
}

/* Decode a column into the arena; NULL: it is no such message. */
static void *message(struct flo_store_look *look, sqlite3_stmt *statement, int column,
                     const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *out;
    const void *data = sqlite3_column_blob(statement, column);
    return flo_wire_decode(type, data, (size_t)sqlite3_column_bytes(statement, column),
                           &look->arena, &out, NULL)
               ? NULL
               : out;
}

static int on_structure(struct flo_store_look *look, sqlite3_stmt *statement)
{
    if (strcmp(text(statement, 0), "ok") != 0)
        damage(look, "structure: %s", text(statement, 0));
    return 0;
}

static int on_seq(struct flo_store_look *look, sqlite3_stmt *statement)
{
    look->report.commit_seq = (uint64_t)sqlite3_column_int64(statement, 0);
    if (look->mark > look->report.commit_seq)
        damage(look, "it ends at commit %llu but commit %llu was acknowledged",
               (unsigned long long)look->report.commit_seq, (unsigned long long)look->mark);
    return 0;
}

static int on_namespace(struct flo_store_look *look, sqlite3_stmt *statement)
{
    look->report.namespaces++;
    const FloEngine__NamespaceState *state =
        message(look, statement, 2, &flo_engine__namespace_state__descriptor);
    if (!state || strcmp(state->id, text(statement, 0)) != 0 ||
        strcmp(state->name, text(statement, 1)) != 0)
        damage(look, "namespace %s: its state is damaged", text(statement, 1));
    return 0;
}

static int on_record(struct flo_store_look *look, sqlite3_stmt *statement)
{
    const struct flo_core_record_row row = {
        .kind = sqlite3_column_int(statement, 0),
        .namespace_id = text(statement, 1),
        .id = text(statement, 2),
        .state = sqlite3_column_blob(statement, 3),
        .state_len = (size_t)sqlite3_column_bytes(statement, 3),
    };
    if (flo_store_record_crc(&row) != (uint32_t)sqlite3_column_int64(statement, 4))
        damage(look, "record %s of kind %d: its state is damaged", row.id, row.kind);
    return 0;
}

/* What belongs to nothing. */
static int on_stray(struct flo_store_look *look, sqlite3_stmt *statement)
{
    damage(look, "%s %s belongs to nothing", text(statement, 0), text(statement, 1));
    return 0;
}

/* A number of runs that is kept and is not what there is. */
static int on_tally(struct flo_store_look *look, sqlite3_stmt *statement)
{
    damage(look, "the number %s is wrong by %lld", text(statement, 0),
           (long long)sqlite3_column_int64(statement, 1));
    return 0;
}

/* One batch of the run; *next is the event that it should begin with. */
static bool batch_is_whole(struct flo_store_look *look, sqlite3_stmt *statement, uint64_t key,
                           int64_t *next)
{
    const int64_t first = sqlite3_column_int64(statement, 0);
    const uint32_t count = (uint32_t)sqlite3_column_int64(statement, 1);
    const void *events = sqlite3_column_blob(statement, 3);
    const size_t len = (size_t)sqlite3_column_bytes(statement, 3);
    if (flo_store_history_crc(key, first, count, events, len) !=
            (uint32_t)sqlite3_column_int64(statement, 2) ||
        first != *next)
        return false;
    const FloApi__History *history = message(look, statement, 3, &flo_api__history__descriptor);
    if (!history || history->n_events != count)
        return false;
    for (size_t i = 0; i < history->n_events; i++)
        if (history->events[i]->event_id != (*next)++)
            return false;
    return true;
}

/* The history of the run at statement: whole, and as long as its state says? */
static int check_history(struct flo_store_look *look, sqlite3_stmt *run, uint64_t key, int64_t end)
{
    struct flo_err err;
    sqlite3_stmt *statement;
    int64_t next = 1;
    int step;
    int rc = flo_store_prepare(&look->connection, FLO_STORE_SQL_HISTORY, &statement, &err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)key);
    sqlite3_bind_int64(statement, 2, 0);
    while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
        look->report.batches++;
        if (!batch_is_whole(look, statement, key, &next))
            break;
        flo_arena_reset(&look->arena);
    }
    if (step != SQLITE_DONE)
        damage(look, "run %s of workflow %s: its history is damaged at event %lld", text(run, 2),
               text(run, 1), (long long)next);
    else if (next != end)
        damage(look, "run %s of workflow %s: its history ends at event %lld, not %lld",
               text(run, 2), text(run, 1), (long long)next - 1, (long long)end - 1);
    sqlite3_reset(statement);
    return 0;
}

/* The columns behind those that on_run reads, in the order of RUN_COLUMNS. They have no checksum of
 * their own, but all of them are in the state, which has one; the status is not. */
#define RUN_COLUMNS                                                                                \
    "status, type, task_queue, start_request_id, first_run_id, parent_workflow_id, parent_run_id," \
    " root_workflow_id, root_run_id, start_ns, execution_ns, state_transitions, history_length,"   \
    " memo, search_attributes"

static bool columns_agree(sqlite3_stmt *statement, const FloEngine__ExecutionState *state)
{
    int at = 6;
    const int status = sqlite3_column_int(statement, at++);
    const char *const texts[] = {state->type,
                                 state->task_queue,
                                 state->start_request_id,
                                 state->first_run_id,
                                 state->parent_workflow_id,
                                 state->parent_run_id,
                                 state->root_workflow_id,
                                 state->root_run_id};
    const int64_t numbers[] = {state->start_ns, state->execution_ns, state->state_transitions,
                               state->next_event_id - 1};
    const ProtobufCBinaryData blobs[] = {state->memo, state->search_attributes};
    const bool open =
        status == FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_RUNNING ||
        status == FLO_API__WORKFLOW_EXECUTION_STATUS__WORKFLOW_EXECUTION_STATUS_PAUSED;
    bool agree = open == (state->close_ns == 0);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        agree = strcmp(text(statement, at++), texts[i]) == 0 && agree;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        agree = sqlite3_column_int64(statement, at++) == numbers[i] && agree;
    for (size_t i = 0; i < sizeof blobs / sizeof *blobs; i++, at++) {
        const void *blob = sqlite3_column_blob(statement, at);
        agree = (size_t)sqlite3_column_bytes(statement, at) == blobs[i].len &&
                (!blobs[i].len || memcmp(blob, blobs[i].data, blobs[i].len) == 0) && agree;
    }
    return agree;
}

static int on_run(struct flo_store_look *look, sqlite3_stmt *statement)
{
    const uint64_t key = (uint64_t)sqlite3_column_int64(statement, 0);
    const int64_t close_ns = sqlite3_column_int64(statement, 5);
    look->report.runs++;
    look->report.open_runs += close_ns == 0;
    const bool whole = flo_store_state_crc(key, sqlite3_column_blob(statement, 3),
                                           (size_t)sqlite3_column_bytes(statement, 3)) ==
                       (uint32_t)sqlite3_column_int64(statement, 4);
    const FloEngine__ExecutionState *state =
        whole ? message(look, statement, 3, &flo_engine__execution_state__descriptor) : NULL;
    if (!state || (state->close_ns != 0) != (close_ns != 0)) {
        damage(look, "run %s of workflow %s: its state is damaged", text(statement, 2),
               text(statement, 1));
        return 0;
    }
    if (!columns_agree(statement, state))
        damage(look, "run %s of workflow %s: what lists show of it is not what its state says",
               text(statement, 2), text(statement, 1));
    const int64_t end = state->next_event_id; /* the arena is used anew */
    return check_history(look, statement, key, end);
}

int flo_store_look_through(struct flo_store_look *look, struct flo_err *err)
{
    static const struct {
        const char *what, *sql;
        int (*row)(struct flo_store_look *look, sqlite3_stmt *statement);
        int version; /* there since */
    } parts[] = {
        {"the structure", "PRAGMA integrity_check", on_structure, 1},
        {"the commit number", "SELECT value FROM meta WHERE name = 'commit_seq'", on_seq, 1},
        {"the namespaces", "SELECT id, name, state FROM namespace", on_namespace, 1},
        {"the records", "SELECT kind, namespace_id, id, state, crc FROM record", on_record, 2},
        {"the runs",
         "SELECT key, workflow_id, run_id, state, state_crc, close_ns, " RUN_COLUMNS
         " FROM run ORDER BY key",
         on_run, 1},
        {"the histories",
         "SELECT DISTINCT 'the history of run', key FROM history"
         " WHERE key NOT IN (SELECT key FROM run)",
         on_stray, 1},
        {"the namespaces of runs",
         "SELECT 'run', run_id FROM run WHERE namespace_id NOT IN (SELECT id FROM namespace)",
         on_stray, 1},
        {"the numbers of runs",
         "SELECT name, sum(n) FROM (SELECT name, value AS n FROM meta WHERE name GLOB 'runs/*'"
         " UNION ALL SELECT 'runs/' || namespace_id || '/' || status, -count(*) FROM run"
         " GROUP BY namespace_id, status) GROUP BY name HAVING sum(n) <> 0",
         on_tally, 4},
        {"the search attributes",
         "SELECT DISTINCT 'a search attribute of run', id >> 14 FROM attribute"
         " WHERE id >> 14 NOT IN (SELECT key FROM run)",
         on_stray, 3},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (look->version < parts[i].version)
            continue;
        if (each_row(look, parts[i].what, parts[i].sql, parts[i].row))
            return flo_fail(err, FLO_ENOMEM, "no memory to check the database");
    }
    return 0;
}

int flo_store_check(const char *path, flo_store_damage_fn fn, void *ctx,
                    struct flo_store_report *out, struct flo_err *err)
{
    struct flo_store_look look = {.fn = fn, .ctx = ctx};
    int rc = flo_store_look_open(&look, path, err);
    if (rc)
        return rc;
    rc = flo_store_look_through(&look, err);
    *out = look.report;
    flo_store_look_close(&look);
    return rc;
}
