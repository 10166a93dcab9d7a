/* SPDX-License-Identifier: Apache-2.0 */
/* history_page.h - a page of a history: bytes of the wire form of History, in parts. */
#ifndef FLO_ENGINE_CORE_HISTORY_PAGE_H
#define FLO_ENGINE_CORE_HISTORY_PAGE_H

#include "engine/core/core.h"
#include "engine/core/wire_out.h"

struct flo_core;         /* internal.h */
struct flo_core_run_ref; /* runs.h */
struct flo_execution;    /* execution.h */
struct flo_namespace;    /* namespace.h */

struct flo_history_page {
    struct flo_bytes parts[2]; /* scratch, or the run's own memory: use before it changes */
    size_t part_count;
    ProtobufCBinaryData next_page_token; /* empty: this is the last page */
};

/*
 * First page of what a workflow task of execution carries: its events from `first` on, and at the
 * end the synthetic events of a transient task. The token leads to the rest through
 * GetWorkflowExecutionHistory. 0, FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_history_page_for_task(struct flo_core *core,
                                             const struct flo_execution *execution, int64_t first,
                                             struct flo_history_page *out);
/* The same of a run that is only stored. 0, FLO_ENOMEM, FLO_EDATA, FLO_EIO. */
FLO_MUST_CHECK int flo_history_page_stored(struct flo_core *core, struct flo_namespace *ns,
                                           const struct flo_core_run_ref *run, int64_t first,
                                           struct flo_history_page *out);

#endif
