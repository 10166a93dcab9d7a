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

/* Is it an override? NULL is fine. Status says why not. */
FLO_MUST_CHECK int flo_options_check_override(struct flo_core *core,
                                              const FloApi__VersioningOverride *override,
                                              struct flo_status *status);
/* Are these options, and is this a mask of them? Both may be NULL. Status says why not. */
FLO_MUST_CHECK int flo_options_check(struct flo_core *core,
                                     const FloApi__WorkflowExecutionOptions *options,
                                     const Google__Protobuf__FieldMask *mask,
                                     struct flo_status *status);
/*
 * Change the options of an open run that the mask names: WorkflowExecutionOptionsUpdated, unless
 * they are as asked already (*out_changed false; may be NULL). The transition stays open. *out: all
 * options now, in scratch. Status says why nothing has changed; after flo_options_check only memory
 * can be missing.
 */
FLO_MUST_CHECK int flo_options_update(struct flo_core *core, struct flo_execution *execution,
                                      const FloApi__WorkflowExecutionOptions *options,
                                      const Google__Protobuf__FieldMask *mask,
                                      FloApi__WorkflowExecutionOptions **out, bool *out_changed,
                                      struct flo_status *status);
/* Write a WorkflowExecutionOptionsUpdated event and do what it says. The transition stays open. */
void flo_options_record(struct flo_core *core, struct flo_execution *execution,
                        FloApi__WorkflowExecutionOptionsUpdatedEventAttributes *attributes,
                        FloApi__Link **links, size_t n_links);
/* Do what such an event says: the run's override, the request that it attaches. event_id 0: it is
 * buffered. */
void flo_options_apply(struct flo_core *core, struct flo_execution *execution,
                       const FloApi__WorkflowExecutionOptionsUpdatedEventAttributes *attributes,
                       int64_t event_id);
/* A kept override as it is shown: in the older forms, too. Changes it; NULL without memory. */
FloApi__VersioningOverride *flo_options_shown(struct flo_core *core,
                                              FloApi__VersioningOverride *override);

#endif
