/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - options of an open run that callers may change: UpdateWorkflowExecutionOptions, the
 * operations after a reset, batch jobs; and what a start leaves on a run that was there already.
 */
#ifndef FLO_ENGINE_CORE_OPTIONS_H
#define FLO_ENGINE_CORE_OPTIONS_H

#include "engine/core/core.h"
#include "flotilla/error.h"
#include "wire/api.h"

struct flo_execution; /* execution.h */
struct flo_status;    /* reply.h */

/* Are these options, and is this a mask of them? status: why not. Both may be NULL. */
FLO_MUST_CHECK int flo_options_check(struct flo_core *core,
                                     const FloApi__WorkflowExecutionOptions *options,
                                     const Google__Protobuf__FieldMask *mask,
                                     struct flo_status *status);
/*
 * Change the options of an open run that the mask names: WorkflowExecutionOptionsUpdated, unless
 * they are as asked already. The transition stays open. The options are checked before; else
 * status says why nothing has changed. *out: all options now, in scratch; NULL: not wanted.
 */
FLO_MUST_CHECK int flo_options_update(struct flo_core *core, struct flo_execution *execution,
                                      const FloApi__WorkflowExecutionOptions *options,
                                      const Google__Protobuf__FieldMask *mask, const char *identity,
                                      FloApi__WorkflowExecutionOptions **out,
                                      struct flo_status *status);

#endif
