/* SPDX-License-Identifier: Apache-2.0 */
/* query.h - queries that wait for a worker (query.c). */
#ifndef FLO_ENGINE_CORE_QUERY_H
#define FLO_ENGINE_CORE_QUERY_H

#include <stddef.h>

#include "engine/core/core.h"
#include "flotilla/error.h"
#include "wire/api.h"

struct flo_execution; /* execution.h */

/* Answers that came with RespondWorkflowTaskCompleted. Unknown ids are ignored. */
void flo_core_query_answer(struct flo_core *core, struct flo_execution *execution,
                           FloApi__RespondWorkflowTaskCompletedRequest__QueryResultsEntry **results,
                           size_t count);
/* Put the queries that wait on the run into the answer for its workflow task, which has just been
 * started. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_core_query_attach(struct flo_core *core, struct flo_execution *execution,
                                         FloApi__PollWorkflowTaskQueueResponse *body);
/* The end of a step: let the queries of a run that changed find their way. */
void flo_core_query_settle(struct flo_core *core, struct flo_execution *execution);
/* The run leaves memory: answer, or look elsewhere for, what waits on it. */
void flo_core_query_run_gone(struct flo_core *core, struct flo_execution *execution);

#endif
