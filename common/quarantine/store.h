/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - the folder of records: one file ID.json each, shared by all workers of a machine (or,
 * on a shared volume, of several) and by `flotilla quarantine`.
 *
 * A change is made under a lock on the file .lock, as a new file that takes the old one's name: a
 * reader sees the whole old record or the whole new one, and needs no lock. Files are 0600, the
 * folder 0700. Nothing is synced: what a power failure takes is a count. A file that is damaged,
 * too large, no regular file or says another id counts as none; the next crash replaces it.
 *
 * Calls block for the time of small file operations, and at most LOCK_WAIT_MS for the lock; all of
 * them are for the rare case that something crashes. One thread a store.
 */
#ifndef FLO_QUARANTINE_STORE_H
#define FLO_QUARANTINE_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"
#include "quarantine/id.h"

struct flo_quarantine_store; /* opaque */

/* Open the folder; with create it is made when it is missing. FLO_ENOENT, FLO_EPERM, FLO_ESYS. */
FLO_MUST_CHECK int flo_quarantine_store_open(const char *path, bool create,
                                             struct flo_quarantine_store **out,
                                             struct flo_err *err);
void flo_quarantine_store_close(struct flo_quarantine_store **store);

/* A record, a new reference. FLO_ENOENT; FLO_EDATA: there is a file, but it is no record. */
FLO_MUST_CHECK int flo_quarantine_store_read(struct flo_quarantine_store *store, const char *id,
                                             json_t **out, struct flo_err *err);

/* Makes the new record from the old one (NULL: none), a new reference; NULL: leave it. */
typedef json_t *(*flo_quarantine_change_fn)(void *ctx, const json_t *before);
/*
 * Change a record under the lock. A new one has room for max_records: records that only count and
 * did not change for window_ms go first, then, a tenth at a time, the oldest that only count;
 * parked ones stay: FLO_EFULL when there is nothing else, or when the record is too large to be
 * read back. *out (may be NULL) is the new record, or the old one when it was left; NULL without
 * one. FLO_ETIMEDOUT: somebody holds the lock.
 */
struct flo_quarantine_room {
    size_t max_records;
    int64_t window_ms, now_ms;
};
FLO_MUST_CHECK int flo_quarantine_store_change(struct flo_quarantine_store *store, const char *id,
                                               const struct flo_quarantine_room *room,
                                               flo_quarantine_change_fn change, void *ctx,
                                               json_t **out, struct flo_err *err);
/* Remove a record's file, whatever is in it. FLO_ENOENT. */
FLO_MUST_CHECK int flo_quarantine_store_drop(struct flo_quarantine_store *store, const char *id,
                                             struct flo_err *err);

/* Called for each file: record is NULL when it is none (err says why). False ends the walk. */
typedef bool (*flo_quarantine_visit_fn)(void *ctx, const char *id, const json_t *record,
                                        const struct flo_err *err);
FLO_MUST_CHECK int flo_quarantine_store_walk(struct flo_quarantine_store *store,
                                             flo_quarantine_visit_fn visit, void *ctx,
                                             struct flo_err *err);

/* The id in a file's name, cut out; false: it is no record's file. */
bool flo_quarantine_store_file_id(const char *file_name, char out_id[FLO_QUARANTINE_ID_LEN + 1]);
/* The folder's last change, for noticing what others did where nothing tells; 0 when unknown. */
int64_t flo_quarantine_store_changed_ns(const struct flo_quarantine_store *store);

/*
 * The folder that is used when nobody names one: FLOTILLA_STATE_DIR (set by `flotilla up` for its
 * workers), else XDG_STATE_HOME/flotilla, else HOME/.local/state/flotilla, with /quarantine. False:
 * none of them is set, or the path is too long.
 */
bool flo_quarantine_store_default_path(char *out, size_t size);

#endif
