/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reset.h - a run starts again from a workflow task of its past: what ResetWorkflowExecution and
 * batch jobs share.
 *
 * The new run has the events of the base run up to the workflow task, which fails there; what came
 * after it and is no doing of the workflow's code (signals, updates) is applied again. The run that
 * is open under the workflow id ends.
 */
#ifndef FLO_ENGINE_CORE_RESET_H
#define FLO_ENGINE_CORE_RESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "engine/core/core.h"
#include "flotilla/error.h"
#include "wire/api.h"

struct flo_namespace; /* namespace.h */
struct flo_status;    /* reply.h */

/* What is asked for. All borrowed. */
struct flo_reset {
    struct flo_namespace *ns;
    const char *workflow_id, *run_id; /* the base run; run_id "" = the newest */
    int64_t finish_id;                /* event that closed the workflow task, or would have */
    const char *request_id;           /* not ""; of a reset made before: the run that it made */
    const char *reason;
    FloApi__ResetReapplyType reapply;
    const FloApi__ResetReapplyExcludeType *exclude;
    size_t n_exclude;
    FloApi__PostResetOperation **operations; /* applied to the new run in this order */
    size_t n_operations;
};

/*
 * Reset. Ends its transitions. 0 with the id of the new run and the number of the commit that an
 * answer must wait for (flo_core_reply.after); else status says why nothing has changed.
 */
FLO_MUST_CHECK int flo_reset_run(struct flo_core *core, const struct flo_reset *reset,
                                 char out_run_id[FLO_UUID_LEN + 1], uint64_t *out_after,
                                 struct flo_status *status);

/*
 * Where the target of a batch job's options is in a run (run_id "" = the newest): the event id for
 * flo_reset.finish_id, and the run that it is in, which for a build id may be an earlier one. Else
 * status says why there is no such place, with the sentence of the real server's batch jobs.
 */
FLO_MUST_CHECK int flo_reset_find_target(struct flo_core *core, struct flo_namespace *ns,
                                         const char *workflow_id, const char *run_id,
                                         const FloApi__ResetOptions *options,
                                         char out_run_id[FLO_UUID_LEN + 1], int64_t *out_finish_id,
                                         struct flo_status *status);

#endif
