/* SPDX-License-Identifier: Apache-2.0 */
/* request.h - checks of what requests say, with the real server's sentences (request.c). */
#ifndef FLO_ENGINE_CORE_REQUEST_H
#define FLO_ENGINE_CORE_REQUEST_H

#include "engine/core/core.h"
#include "engine/core/reply.h"
#include "flotilla/error.h"
#include "wire/api.h"

#define FLO_CORE_ID_BYTES 1000 /* longest id, name, identity */

/* "<name> is longer than 1000 bytes" and the like. text NULL counts as "". */
FLO_MUST_CHECK int flo_check_id(struct flo_core *core, const char *name, const char *text,
                                struct flo_status *status);
/* Execution of a request: workflow id set, run id empty or a UUID (`Invalid RunId.`). */
FLO_MUST_CHECK int flo_check_execution(struct flo_core *core,
                                       const FloApi__WorkflowExecution *execution,
                                       struct flo_status *status);
/* An enum value of a request: one that its descriptor knows ("Invalid <name>."). Unset is fine. */
FLO_MUST_CHECK int flo_check_enum(struct flo_core *core, const char *name,
                                  const ProtobufCEnumDescriptor *descriptor, int value,
                                  struct flo_status *status);
/* Links of a request: as many, as large and of such kinds as the real server takes. */
FLO_MUST_CHECK int flo_check_links(struct flo_core *core, FloApi__Link *const *links, size_t count,
                                   struct flo_status *status);
/* A payload field: FLO_CORE blob limit, `Blob data size exceeds limit.` NULL is fine. */
FLO_MUST_CHECK int flo_check_blob(struct flo_core *core, const void *message,
                                  struct flo_status *status);
/* What is wrong with a task queue (none, no name, too long, the server's own), or NULL. */
const char *flo_queue_wrong(const FloApi__TaskQueue *queue);
/* What is wrong with a duration (negative, of mixed signs), or NULL. More than 100 years count as
 * 100. NULL is fine. */
const char *flo_duration_wrong(const Google__Protobuf__Duration *duration);
/* The same as a refusal: "An invalid <name> is set on request. cause: ...". */
FLO_MUST_CHECK int flo_check_duration(struct flo_core *core, const char *name,
                                      const Google__Protobuf__Duration *duration,
                                      struct flo_status *status);
FLO_MUST_CHECK int flo_check_retry_policy(struct flo_core *core, const FloApi__RetryPolicy *policy,
                                          struct flo_status *status);

#endif
