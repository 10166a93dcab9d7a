/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rebuild.h - a run out of the events of another one: what a reset begins with (rebuild.c).
 */
#ifndef FLO_ENGINE_CORE_REBUILD_H
#define FLO_ENGINE_CORE_REBUILD_H

#include "engine/core/core.h"
#include "engine/core/execution.h"
#include "flotilla/error.h"

struct flo_status; /* reply.h */

struct flo_rebuild {
    const struct flo_execution *base; /* its events */
    int64_t last_id;                  /* up to this one, which ends a batch */
    const char *run_id, *request_id;  /* of the new run */
};

/*
 * Make the run: its history is a copy, its state what the events say. The core does not know it
 * yet, no timer of it is armed, no task queued. Signals and cancel requests to other runs that have
 * no answer among the events are in flo_execution.outbound. 0; with status: INVALID_ARGUMENT (the
 * last event is no end of a batch), FLO_ENOMEM, FLO_EDATA.
 */
FLO_MUST_CHECK int flo_rebuild_run(struct flo_core *core, const struct flo_rebuild *rebuild,
                                   struct flo_execution **out, struct flo_status *status);

#endif
