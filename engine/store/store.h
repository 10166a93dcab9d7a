/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - what the engine keeps on disk: namespaces, runs (visibility columns and state),
 * histories. SQLite, WAL, synchronous=FULL.
 *
 * Rules:
 *  - One connection, the writer, commits and checkpoints: flo_store_commit and
 *    flo_store_checkpoint, one thread at a time (the commit thread). All other functions use a
 *    second, read-only connection and belong to the loop thread. So both sides may run at once.
 *  - A failed write or fsync leaves the outcome unknown: FLO_EIO, after which the process must not
 *    acknowledge anything and ends. Only a full disk (FLO_EFULL) rolls back cleanly: try again.
 *  - SQLite notices neither rotten payload bytes nor a lost tail of its log. So each history batch
 *    and each run's state carries a CRC32C that is checked on every read, and the number of the
 * last commit stands in a side file (FILE.mark) as well: a database that is behind it is refused.
 *  - A second process on the same file is refused by a lock on FILE.lock.
 *
 * Without a path the database is in memory: one connection, every function on the loop thread.
 */
#ifndef FLO_ENGINE_STORE_STORE_H
#define FLO_ENGINE_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "engine/core/core.h"
#include "flotilla/error.h"

struct flo_store; /* opaque: store.c */

/* The schema that this program writes (PRAGMA user_version). */
#define FLO_STORE_SCHEMA_VERSION 4

struct flo_store_options {
    const char *path;        /* NULL = in memory */
    bool accept_data_loss;   /* serve although commits or runs are missing or damaged */
    int64_t query_budget_ns; /* how long a list or count may take; 0 = 250 ms */
    /* Something an operator should know that stops nothing: event is a stable dotted name. May
     * be NULL. */
    void (*on_warning)(void *ctx, const char *event, const char *message);
    void *ctx;
};

/*
 * Open, creating file and schema when absent (mode 0600, directory synced).
 * FLO_EEXIST: another process has it, or the path is not a regular file (exit 73); FLO_EPERM (77);
 * FLO_EDATA: not a database, another schema, damaged, or commits are missing (65); FLO_EIO:
 * the disk failed or is full (74); FLO_ESYS: cannot be created, or SQLite cannot keep its log or
 * sync there (71); FLO_ENOMEM (70).
 */
FLO_MUST_CHECK int flo_store_open(const struct flo_store_options *options,
                                  struct flo_store **out_store, struct flo_err *err);
/* Checkpoint, close, unlock. Nobody may be inside another function. NULL is fine. */
void flo_store_close(struct flo_store **store);

bool flo_store_in_memory(const struct flo_store *store);

/* ---- recovery: once, after open; engine/recover.c feeds the core with it ---- */

/* Call fn for each namespace, in the order of their making; a code other than 0 stops and is
 * returned. FLO_EIO. */
typedef int (*flo_store_namespace_fn)(void *ctx, const uint8_t *state, size_t len,
                                      struct flo_err *err);
FLO_MUST_CHECK int flo_store_each_namespace(struct flo_store *store, flo_store_namespace_fn fn,
                                            void *ctx, struct flo_err *err);
/* Call fn for each record, borrowed during fn, by kind, namespace and id. A damaged one is
 * FLO_EDATA, or with accept_data_loss a warning, and is left out. */
typedef int (*flo_store_record_fn)(void *ctx, const struct flo_core_record_row *record,
                                   struct flo_err *err);
FLO_MUST_CHECK int flo_store_each_record(struct flo_store *store, flo_store_record_fn fn, void *ctx,
                                         struct flo_err *err);
/*
 * Call fn for each open run with its whole history, in the order of their making. A damaged run is
 * FLO_EDATA, or with accept_data_loss a warning, and is left out. All borrowed during fn.
 */
typedef int (*flo_store_run_fn)(void *ctx, const struct flo_core_stored_run *run,
                                const struct flo_core_history_batch *batches, size_t count,
                                struct flo_err *err);
FLO_MUST_CHECK int flo_store_each_open_run(struct flo_store *store, flo_store_run_fn fn, void *ctx,
                                           struct flo_err *err);
/* The two halves of that: the keys of the open runs in order, on the heap (flo_free; NULL: none),
 * and one run. */
FLO_MUST_CHECK int flo_store_open_keys(struct flo_store *store, uint64_t **out_keys,
                                       size_t *out_count, struct flo_err *err);
FLO_MUST_CHECK int flo_store_load_open_run(struct flo_store *store, uint64_t key,
                                           flo_store_run_fn fn, void *ctx, struct flo_err *err);
/* The largest key of a run plus one. */
FLO_MUST_CHECK int flo_store_next_key(struct flo_store *store, uint64_t *out_key,
                                      struct flo_err *err);

/* ---- writer ---- */

/*
 * Apply batch in one transaction that is durable on return. Files that were deleted or replaced
 * under us are FLO_EIO. FLO_EFULL: the disk is full, nothing
 * has changed, the same batch may be tried again. FLO_EIO, FLO_ENOMEM: see above; fatal.
 */
FLO_MUST_CHECK int flo_store_commit(struct flo_store *store, const struct flo_core_batch *batch,
                                    struct flo_err *err);
/* Write the log back when it has grown past its bound (~4 MB), or always with force. FLO_EIO is
 * fatal. */
FLO_MUST_CHECK int flo_store_checkpoint(struct flo_store *store, bool force, struct flo_err *err);

/* ---- reader ---- */

/* The functions that the core reads the past with (struct flo_core_store). */
void flo_store_as_core_store(struct flo_store *store, struct flo_core_store *out);

/* A value bound to a `?` of a filter. */
struct flo_store_value {
    enum { FLO_STORE_INT, FLO_STORE_REAL, FLO_STORE_TEXT } kind;
    int64_t integer;
    double real;
    const char *text; /* borrowed */
};

/* How the runs that fit a filter are found; sql says what the path stands on, too. SQLite would
 * have to guess, and guesses badly without figures about what is stored. */
enum flo_store_path {
    FLO_STORE_IN_ORDER,     /* all runs, in the order of lists */
    FLO_STORE_BY_RUN,       /* sql asks for some run ids */
    FLO_STORE_BY_WORKFLOW,  /* for some workflow ids */
    FLO_STORE_BY_ATTRIBUTE, /* for one value of an attribute */
    FLO_STORE_BY_TYPE,      /* for one type */
    FLO_STORE_BY_STATUS,    /* for one status, with FLO_STORE_IS_CLOSED */
    FLO_STORE_BY_PREFIX,    /* for how an attribute or the workflow id begins */
    FLO_STORE_BY_START,     /* for a time of the start, when few runs are that old, else IN_ORDER */
};

/*
 * A condition on runs: an SQL expression over the columns of the table run with `?` for every
 * value. Made by rpc/query.c only, never from a caller's text. "" = all. The functions that it may
 * use are those of attribute.c.
 */
struct flo_store_filter {
    const char *sql;
    const struct flo_store_value *values;
    size_t value_count;
    enum flo_store_path path;
    /* BY_ATTRIBUTE: texts of a KeywordList are folded (flo_store_fold). */
    const char *attribute;
    struct flo_store_value equals;
    /* BY_PREFIX: of an attribute, or NULL: of the workflow id; not "". */
    const char *prefix_of, *prefix;
    int64_t start_from_ns, start_to_ns; /* BY_START: of all runs that fit, inclusive */
    int64_t
        close_to_ns;    /* all runs that fit are closed, at this time at the latest; 0 = no bound */
    bool all_divisions; /* also runs with the attribute TemporalNamespaceDivision */
    bool only_status;   /* sql speaks of nothing but the status: a count reads a few numbers */
};

/* Conditions of a filter that the indexes know: a run is open, is closed. */
#define FLO_STORE_IS_OPEN "close_order > 9223372036854775806"
#define FLO_STORE_IS_CLOSED "close_ns > 0"

/* Are there rows for values of this search attribute (a custom one, or one of the few predefined
 * that are looked for)? BuildIds is none: nearly every run has it. */
bool flo_store_indexes_attribute(const char *name);
/* text as words and items of lists are compared: lower case, without the accents of Latin letters.
 * out has room for strlen(text) + 1 bytes; it may be text. */
void flo_store_fold(const char *text, char *out);

/* Where a page of a list ends: the sort key of its last row. */
struct flo_store_cursor {
    int64_t close_order; /* close time, INT64_MAX while open */
    int64_t start_ns;
    uint64_t key;
};

/* A row of a list; strings borrowed during the callback. */
struct flo_store_visible {
    struct flo_core_run_row row; /* without state */
    struct flo_store_cursor cursor;
};

/*
 * Call fn for up to limit runs of a namespace that fit filter, open ones first, then the last
 * closed, the last started; after `after` when it is not NULL. fn returns false to stop.
 * FLO_ELIMIT: the time budget was used up, since the loop waits meanwhile; fn may have been called
 * by then.
 */
FLO_MUST_CHECK int flo_store_list(struct flo_store *store, const char *namespace_id,
                                  const struct flo_store_filter *filter,
                                  const struct flo_store_cursor *after, size_t limit,
                                  bool (*fn)(void *ctx, const struct flo_store_visible *run),
                                  void *ctx, struct flo_err *err);
/*
 * A window of a walk over the runs of a namespace in the order of their keys, which never change:
 * from the first one behind after_key on, for up to limit runs and up to last_key, calls fn for
 * those that fit filter. *out_end: all up to this key were looked at; last_key at the end. Errors
 * as flo_store_list.
 */
FLO_MUST_CHECK int flo_store_walk(struct flo_store *store, const char *namespace_id,
                                  const struct flo_store_filter *filter, uint64_t after_key,
                                  uint64_t last_key, size_t limit,
                                  int (*fn)(void *ctx, uint64_t key, const char *workflow_id,
                                            const char *run_id),
                                  void *ctx, uint64_t *out_end, struct flo_err *err);
/* Count them, in all or one call for each status that any has; all runs, or all of some status,
 * without looking at one. FLO_ELIMIT as above. */
FLO_MUST_CHECK int flo_store_count(struct flo_store *store, const char *namespace_id,
                                   const struct flo_store_filter *filter, bool by_status,
                                   void (*fn)(void *ctx, int status, int64_t count), void *ctx,
                                   struct flo_err *err);

/*
 * Call fn for up to limit closed runs of a namespace that closed before closed_before_ns, the
 * oldest first. run_id is borrowed during fn. 0; errors as elsewhere.
 */
FLO_MUST_CHECK int flo_store_expired(struct flo_store *store, const char *namespace_id,
                                     int64_t closed_before_ns, size_t limit,
                                     void (*fn)(void *ctx, uint64_t key, const char *run_id),
                                     void *ctx, struct flo_err *err);

/* ---- figures ---- */

struct flo_store_stats { /* of the writer; read them on its thread or when it is idle */
    uint64_t commit_seq; /* last durable commit since the database was made */
    uint64_t checkpoints;
    size_t log_pages; /* pages in the write-ahead log */
};
void flo_store_stats(const struct flo_store *store, struct flo_store_stats *out);

#endif
