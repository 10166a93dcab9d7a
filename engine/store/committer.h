/* SPDX-License-Identifier: Apache-2.0 */
/*
 * committer.h - the commit thread: takes one batch at a time, makes it durable, says so.
 *
 * States of the slot between loop and thread: EMPTY -> (submit) FULL -> (thread) WORKING ->
 * (thread) DONE -> (collect) EMPTY. The loop collects when flo_committer_fd becomes readable. On
 * a full disk the thread keeps the batch and tries again until it fits; flo_committer_stalled
 * says so, and the descriptor becomes readable once, without a result. Checkpoints run on the
 * thread after a commit.
 */
#ifndef FLO_ENGINE_STORE_COMMITTER_H
#define FLO_ENGINE_STORE_COMMITTER_H

#include "engine/store/store.h"

struct flo_committer; /* opaque */

/* Start the thread (store in memory: no thread, submit commits at once). store is borrowed and
 * must outlive it. FLO_ESYS, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_committer_new(struct flo_store *store, struct flo_committer **out,
                                     struct flo_err *err);
/* Finish what was submitted (a batch that waits for disk space is given up) and end the thread;
 * then collect once more. Twice is fine. */
void flo_committer_stop(struct flo_committer *committer);
/* Stop and free. A batch that was not collected is lost. NULL is fine. */
void flo_committer_destroy(struct flo_committer **committer);

/* Readable when there is something to collect, or when a batch begins to wait for disk space
 * (eventfd). */
int flo_committer_fd(const struct flo_committer *committer);
/* Is the slot empty? */
bool flo_committer_idle(struct flo_committer *committer);
/* Hand over a batch; only when idle. It is the committer's until collected. */
void flo_committer_submit(struct flo_committer *committer, struct flo_core_batch *batch);
/*
 * Make the descriptor unreadable, and take the batch back, if it is done: true with *out_rc 0 or
 * the fatal code (err: the sentence).
 */
bool flo_committer_collect(struct flo_committer *committer, struct flo_core_batch **out_batch,
                           int *out_rc, struct flo_err *err);
/* Does a batch wait for disk space now? Any thread. */
bool flo_committer_stalled(struct flo_committer *committer);

/* Time spent in commits, for the figures. */
struct flo_committer_stats {
    uint64_t commits;
    int64_t total_ns, max_ns, last_ns;
};
void flo_committer_stats(struct flo_committer *committer, struct flo_committer_stats *out);

#endif
