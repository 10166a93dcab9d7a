/* SPDX-License-Identifier: Apache-2.0 */
/* multi_operation.h - answers to ExecuteMultiOperation, update-with-start (multi_operation.c). */
#ifndef FLO_ENGINE_CORE_MULTI_OPERATION_H
#define FLO_ENGINE_CORE_MULTI_OPERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/core/core.h"
#include "engine/core/reply.h"

/* Both operations are done; update names the run. */
void flo_multi_operation_reply(struct flo_core *core, uint64_t call, uint64_t after, bool started,
                               FloApi__UpdateWorkflowExecutionResponse *update);
/* The update failed; started: after the start was done. */
void flo_multi_operation_refuse(struct flo_core *core, uint64_t call, uint64_t after, bool started,
                                const struct flo_status *status);

#endif
