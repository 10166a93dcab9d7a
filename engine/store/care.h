/* SPDX-License-Identifier: Apache-2.0 */
/*
 * care.h - what operators do with a database: back it up while an engine runs on it, check it, make
 * it smaller. For `flotilla-engine backup|check|compact`; no engine is needed, and none is
 * disturbed but by the reading.
 */
#ifndef FLO_ENGINE_STORE_CARE_H
#define FLO_ENGINE_STORE_CARE_H

#include <stdbool.h>
#include <stdint.h>

#include "flotilla/error.h"

/* What a check has seen. */
struct flo_store_report {
    uint64_t commit_seq, namespaces, records, runs, open_runs, batches, damages;
};
/* A damage, in one sentence. */
typedef void (*flo_store_damage_fn)(void *ctx, const char *sentence);

/*
 * Look at everything: SQLite's own structure, every checksum, every history from its first event to
 * the last one that its run's state tells of, what its columns say, rows that belong to nothing,
 * the mark beside the file. Reads one snapshot, so that an engine may run. 0, also with damages;
 * FLO_EDATA: it is not an engine's database or so damaged that it cannot be read; errors of
 * flo_store_open.
 */
FLO_MUST_CHECK int flo_store_check(const char *path, flo_store_damage_fn fn, void *ctx,
                                   struct flo_store_report *out, struct flo_err *err);
/*
 * Copy the database at from, as it is at one moment, to the new file to (0600), with its mark;
 * an engine may run on it, and goes on while this reads. The copy is checked, synced, and gets its
 * name last: when that is there it is whole. An earlier attempt's rest is taken away. FLO_EEXIST:
 * to is there, or a log beside it, or another backup to it is being made. FLO_EDATA: the copy has
 * damages, which fn was told, or lacks commits that the mark knows; it is removed.
 */
FLO_MUST_CHECK int flo_store_backup(const char *from, const char *to, flo_store_damage_fn fn,
                                    void *ctx, struct flo_store_report *out, struct flo_err *err);
/*
 * Write the database anew without its free pages. No engine may run on it: FLO_EEXIST. It is whole
 * at each moment: a kill leaves the old one. Sizes in bytes.
 */
FLO_MUST_CHECK int flo_store_compact(const char *path, uint64_t *out_before, uint64_t *out_after,
                                     struct flo_err *err);

#endif
