/* SPDX-License-Identifier: Apache-2.0 */
/* poll.h - what a worker is told when it gets a workflow task (poll.c). */
#ifndef FLO_ENGINE_CORE_POLL_H
#define FLO_ENGINE_CORE_POLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/core.h"
#include "flotilla/error.h"
#include "wire/api.h"

struct flo_execution; /* execution.h */

/*
 * The response for the workflow task of execution that has just been started. sticky: history from
 * the last completed task on; else all of it. body's members and *out_raw (field `history`, and
 * nothing else: append it after the packed body) live in scratch. Attaches waiting queries. 0,
 * FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_poll_fill_workflow_task(struct flo_core *core,
                                               struct flo_execution *execution, bool sticky,
                                               FloApi__PollWorkflowTaskQueueResponse *body,
                                               const uint8_t **out_raw, size_t *out_raw_len);
/* The members of such an answer that name the run and its queue. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_poll_fill_run(struct flo_core *core, const char *workflow_id,
                                     const char *run_id, const char *type, const char *task_queue,
                                     FloApi__PollWorkflowTaskQueueResponse *body);
/*
 * The same as bytes of one length-delimited field (tag + length + message): `workflow_task` of
 * RespondWorkflowTaskCompletedResponse (field 1), `eager_workflow_task` of
 * StartWorkflowExecutionResponse (field 2). For flo_reply_raw.
 */
FLO_MUST_CHECK int flo_poll_workflow_task_field(struct flo_core *core,
                                                struct flo_execution *execution, bool sticky,
                                                uint32_t field, const uint8_t **out_raw,
                                                size_t *out_raw_len);

#endif
