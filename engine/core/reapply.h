/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reapply.h - the events that a reset applies again: gathered first, which can fail, and applied
 * once the runs change (reapply.c).
 */
#ifndef FLO_ENGINE_CORE_REAPPLY_H
#define FLO_ENGINE_CORE_REAPPLY_H

#include <stdint.h>

#include "base/buf.h"
#include "flotilla/error.h"

struct flo_core;      /* internal.h */
struct flo_execution; /* execution.h */
struct flo_reset;     /* reset.h */
struct flo_status;    /* reply.h */

struct flo_reapply {
    const struct flo_reset *reset;
    const struct flo_execution *base;    /* its events from reset->finish_id on */
    const struct flo_execution *current; /* in memory, or NULL */

    unsigned excluded; /* what is not applied again */
    /* Events of runs that do not change any more, as the wire form of History. Of the current run,
     * which has yet to end, only where it begins; 0 = it has no part in this. */
    struct flo_buf events;
    int64_t current_from;
};

/* Look at the runs, and keep what may be applied again; the first three fields are set. 0; with
 * status: FLO_ENOMEM, FLO_EDATA, FLO_EIO. In any case flo_reapply_fini is due. */
FLO_MUST_CHECK int flo_reapply_gather(struct flo_core *core, struct flo_reapply *chain,
                                      struct flo_status *status);
/* Apply it to the new run. What fails is fatal. */
void flo_reapply(struct flo_core *core, const struct flo_reapply *chain,
                 struct flo_execution *fresh);
void flo_reapply_fini(struct flo_reapply *chain);

#endif
