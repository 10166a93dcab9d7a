/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the files of the store share; nobody else includes it. */
#ifndef FLO_ENGINE_STORE_INTERNAL_H
#define FLO_ENGINE_STORE_INTERNAL_H

#include <sqlite3.h>
#include <sys/types.h>

#include "engine/store/store.h"

/* ---- files.c: what lies beside the database ---- */

struct flo_store_files {
    char *path, *log_path, *mark_path;
    int lock_fd, mark_fd; /* -1 = none */
    dev_t device;         /* of the database file when it was opened */
    ino_t inode;
    bool created; /* the database was not there before */
};

/* Is the file at path one that an engine may open: empty, or a database of an engine by its header?
 * alone: there is no log to fill it up, so a part that is missing is a damage. Only reads, and
 * makes nothing. FLO_EDATA with "it is ...". */
FLO_MUST_CHECK int flo_store_files_look(const char *path, bool alone, struct flo_err *err);
/* Check the path and what is there, create the file (0600, directory synced), take the lock. Errors
 * as flo_store_open. On failure files is closed. */
FLO_MUST_CHECK int flo_store_files_open(struct flo_store_files *files, const char *path,
                                        struct flo_err *err);
void flo_store_files_close(struct flo_store_files *files);
/* Are database and log still the files that we opened? FLO_EIO with the sentence. */
FLO_MUST_CHECK int flo_store_files_check(const struct flo_store_files *files, struct flo_err *err);
/* The high-water mark: 0 when there is none. FLO_EDATA when the file is not ours. */
FLO_MUST_CHECK int flo_store_mark_read(const struct flo_store_files *files, uint64_t *out_seq,
                                       struct flo_err *err);
/* Write it; not synced, since it only has to outlive the process and mostly the machine. */
FLO_MUST_CHECK int flo_store_mark_write(const struct flo_store_files *files, uint64_t seq,
                                        struct flo_err *err);
/* The name of a file system that SQLite's locking or syncing is not safe on, or NULL. */
const char *flo_store_files_unsafe_fs(const struct flo_store_files *files);

/* ---- sqlite.c: one connection and its statements ---- */

enum flo_store_statement {
    FLO_STORE_SQL_BEGIN,
    FLO_STORE_SQL_COMMIT,
    FLO_STORE_SQL_ROLLBACK,
    FLO_STORE_SQL_SET_SEQ,
    FLO_STORE_SQL_TALLY,
    FLO_STORE_SQL_PUT_NAMESPACE,
    FLO_STORE_SQL_PUT_RECORD,
    FLO_STORE_SQL_DELETE_RECORD,
    FLO_STORE_SQL_RECORDS,
    FLO_STORE_SQL_UPDATE_OPEN,
    FLO_STORE_SQL_UPDATE_STATUS,
    FLO_STORE_SQL_UPDATE_CLOSED,
    FLO_STORE_SQL_GET_STATUS,
    FLO_STORE_SQL_INSERT_RUN,
    FLO_STORE_SQL_INSERT_HISTORY,
    FLO_STORE_SQL_INSERT_ATTRIBUTE,
    FLO_STORE_SQL_END_ATTRIBUTES,
    FLO_STORE_SQL_DELETE_ATTRIBUTES,
    FLO_STORE_SQL_DELETE_RUN,
    FLO_STORE_SQL_DELETE_HISTORY,
    FLO_STORE_SQL_GET_SEQ,
    FLO_STORE_SQL_MAX_KEY,
    FLO_STORE_SQL_NAMESPACES,
    FLO_STORE_SQL_OPEN_KEYS,
    FLO_STORE_SQL_GET_RUN,
    FLO_STORE_SQL_LOCATE_RUN,
    FLO_STORE_SQL_LOCATE_WORKFLOW,
    FLO_STORE_SQL_FIND_RUN,
    FLO_STORE_SQL_FIND_NEWEST,
    FLO_STORE_SQL_HISTORY_FIRST,
    FLO_STORE_SQL_HISTORY,
    FLO_STORE_SQL_HISTORY_REVERSE,
    FLO_STORE_SQL_EXPIRED,
    FLO_STORE_SQL_STARTED,
    FLO_STORE_SQL_SEEK_WORKFLOW,
    FLO_STORE_SQL_SEEK_VALUE,
    FLO_STORE_SQL_FEW_WORKFLOWS,
    FLO_STORE_SQL_FEW_VALUES,
    FLO_STORE_SQL_WINDOW,
    FLO_STORE_STATEMENTS
};

struct flo_store_connection {
    sqlite3 *db;
    sqlite3_stmt *statements[FLO_STORE_STATEMENTS]; /* prepared at first use */
};

/* Open with all safety settings. path NULL = in memory. */
FLO_MUST_CHECK int flo_store_connect(struct flo_store_connection *connection, const char *path,
                                     bool read_only, struct flo_err *err);
void flo_store_disconnect(struct flo_store_connection *connection);
/* Run constant SQL without results. */
FLO_MUST_CHECK int flo_store_exec(struct flo_store_connection *connection, const char *sql,
                                  struct flo_err *err);
/* A statement, reset and ready to be bound. */
FLO_MUST_CHECK int flo_store_prepare(struct flo_store_connection *connection,
                                     enum flo_store_statement which, sqlite3_stmt **out,
                                     struct flo_err *err);
/* Step a statement that gives no row, then reset it. */
FLO_MUST_CHECK int flo_store_run(struct flo_store_connection *connection, sqlite3_stmt *statement,
                                 struct flo_err *err);
/* The code for an SQLite result, with the sentence "what: reason". */
int flo_store_error(sqlite3 *db, int sqlite_rc, const char *what, struct flo_err *err);

/* log_writer.c: the name of the VFS that writes SQLite's log with few calls, for a connection with
 * synchronous=FULL; it stands on the VFS that is the default at the first call. NULL: it cannot be
 * had, and the default one is only slower. Any thread. */
const char *flo_store_log_writer(void);

/* ---- value.c, attribute.c, attribute_rows.c: search attributes ---- */

/* Call fn with each value that the JSON of an attribute of that type has: none for null or what is
 * no JSON of the type, several for a list. A code other than 0 stops and is returned. */
typedef int (*flo_store_value_fn)(void *ctx, const struct flo_store_value *value);
int flo_store_attribute_values(FloApi__IndexedValueType type, const uint8_t *json, size_t len,
                               flo_store_value_fn fn, void *ctx);
void flo_store_bind_value(sqlite3_stmt *statement, int index, const struct flo_store_value *value);
/* The rows of the table attribute for a run that is written: new ones, another close time. */
FLO_MUST_CHECK int flo_store_put_attributes(struct flo_store *store,
                                            const struct flo_core_run_row *row,
                                            struct flo_err *err);
FLO_MUST_CHECK int flo_store_delete_attributes(struct flo_store *store, uint64_t key,
                                               struct flo_err *err);
/* attribute.id of the first value of a run; of the last one is FLO_STORE_VALUES_MAX - 1 more. */
#define FLO_STORE_VALUE_BITS 14
#define FLO_STORE_VALUES_MAX (1 << FLO_STORE_VALUE_BITS)

/* The SQL functions that filters use. */
FLO_MUST_CHECK int flo_store_add_functions(struct flo_store_connection *connection,
                                           struct flo_err *err);

/* ---- tally.c: how many runs of each status a namespace has ---- */

struct flo_store_tally_entry {
    const char *namespace_id; /* of names */
    int status;
    int64_t change;
};

/* What a commit changes; the writer's. */
struct flo_store_tally {
    struct flo_store_tally_entry *entries;
    size_t count, capacity;
    struct flo_arena names;
};

void flo_store_tally_reset(struct flo_store_tally *tally);
void flo_store_tally_fini(struct flo_store_tally *tally);
/* There are change runs more of that status. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_store_tally_add(struct flo_store_tally *tally, const char *namespace_id,
                                       int status, int64_t change, struct flo_err *err);
/* Add what was gathered to the numbers that are stored, within the commit's transaction. */
FLO_MUST_CHECK int flo_store_tally_write(struct flo_store *store, struct flo_err *err);
/* Do the numbers say how many runs fit? */
bool flo_store_tally_knows(const struct flo_store_filter *filter);
/* A statement that gives a status and its number of runs, for each status that fits; ?1 is the
 * namespace, ?2 to ?4 stay NULL, then the filter's. */
FLO_MUST_CHECK int flo_store_tally_prepare(struct flo_store *store,
                                           const struct flo_store_filter *filter,
                                           sqlite3_stmt **out, struct flo_err *err);

/* ---- backfill.c: part of a migration ---- */

/* Rows of the table attribute for all runs that have attributes and no rows. */
FLO_MUST_CHECK int flo_store_fill_attributes(struct flo_store *store, struct flo_err *err);

/* ---- prefix.c: what begins as a filter BY_PREFIX wants ---- */

#define FLO_STORE_PREFIX_VALUES 32

struct flo_store_prefix {
    const char *from, *to; /* all of it is from here on and before there; NULL: there is none */
    /* Of an attribute: its values, if there are no more than FLO_STORE_PREFIX_VALUES. */
    const char *values[FLO_STORE_PREFIX_VALUES];
    size_t value_count;
};

/* Memory is arena's. FLO_ELIMIT, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_store_find_prefix(struct flo_store *store, const char *namespace_id,
                                         const struct flo_store_filter *filter,
                                         struct flo_arena *arena, struct flo_store_prefix *out,
                                         struct flo_err *err);

/* ---- list.c, walk.c ---- */

/* From here to the end of the query SQLite stops itself when the budget is used up. */
void flo_store_budget_begin(struct flo_store *store);
void flo_store_budget_end(struct flo_store *store);
/* The code of a step that gave no row: FLO_ELIMIT when the budget was used up. */
int flo_store_query_error(struct flo_store *store, int step, const char *what, struct flo_err *err);
/* Prepare SQL that was put together. */
FLO_MUST_CHECK int flo_store_prepare_text(struct flo_store *store, struct flo_buf *sql,
                                          sqlite3_stmt **out, struct flo_err *err);
/* The runs of a division are out, unless the filter wants them; ?1 is the namespace. */
void flo_store_put_divisions(struct flo_buf *sql, const struct flo_store_filter *filter);

/* ---- store.c ---- */

struct flo_store {
    struct flo_store_connection writer, reader_file;
    struct flo_store_connection *reader; /* &reader_file, or &writer in memory */
    struct flo_store_files files;
    bool in_memory, accept_data_loss;
    struct flo_arena found;                  /* the run found last (read.c) */
    struct flo_store_tally tally;            /* of the commit (tally.c) */
    int64_t query_budget_ns, query_until_ns; /* list.c; monotonic */
    uint64_t commit_seq;                     /* the writer's */
    uint64_t checkpoints;
    int log_pages; /* set by the WAL hook */
    void (*on_warning)(void *ctx, const char *event, const char *message);
    void *warning_ctx;
};

void flo_store_warn(struct flo_store *store, const char *event, const char *message);

/* read.c: has every statement of the reader been reset, so that it holds no snapshot? True after
 * each of its calls. */
bool flo_store_reader_idle(const struct flo_store *store);

/* Checksum of a history batch: covers its place too, so that a swapped row is noticed. */
uint32_t flo_store_history_crc(uint64_t key, int64_t first_event_id, uint32_t event_count,
                               const void *events, size_t len);
uint32_t flo_store_state_crc(uint64_t key, const void *state, size_t len);
/* Of a record: covers what it is, too. */
uint32_t flo_store_record_crc(const struct flo_core_record_row *row);

/* ---- schema.c ---- */

#define FLO_STORE_APPLICATION_ID 0x464c4f31 /* "FLO1": PRAGMA application_id */

/* Is the writer's database ours? An empty one becomes it, one of an older version is brought up to
 * FLO_STORE_SCHEMA_VERSION. FLO_EDATA: another program's, or a newer engine's. */
FLO_MUST_CHECK int flo_store_check_schema(struct flo_store *store, struct flo_err *err);
/* The number that sql, constant, gives in the first column of its one row. */
FLO_MUST_CHECK int flo_store_number(struct flo_store_connection *connection, const char *sql,
                                    int *out, struct flo_err *err);

#endif
