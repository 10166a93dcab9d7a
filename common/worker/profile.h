/* SPDX-License-Identifier: Apache-2.0 */
/* profile.h - a CPU profile of the worker and its executor processes, as a command asks for it. */
#ifndef FLO_WORKER_PROFILE_H
#define FLO_WORKER_PROFILE_H

#include "worker/worker.h"

/*
 * Take samples for so many seconds, at hz a second of CPU time, then answer command id with
 * {"folded": TEXT, "samples": N, "lost": N, "left_out": N, "seconds", "hz"}: folded stacks, the
 * most frequent first; left_out counts the samples of those that did not fit. One at a time:
 * FLO_EINVAL. FLO_ENOMEM, FLO_ESYS.
 */
FLO_MUST_CHECK int flo_profile_start(struct flo_worker *worker, uint64_t id, unsigned seconds,
                                     unsigned hz, struct flo_err *err);
/* The worker ends: what was begun is given up. */
void flo_profile_fini(struct flo_worker *worker);

#endif
