/* SPDX-License-Identifier: Apache-2.0 */
/* context.h - the attempt as the runner and the public functions share it (this folder only). */
#ifndef FLO_ACTIVITY_CONTEXT_H
#define FLO_ACTIVITY_CONTEXT_H

#include "activity/task.h"
#include "base/arena.h"
#include "wire/api.h"

struct flo_activity_context {
    const struct flo_activity_library *library;
    struct flo_job_io *io;
    struct flo_arena *arena; /* of the attempt */
    struct flo_activity_info info;
    json_t *last_heartbeat; /* of an earlier attempt; may be NULL */
    void *shared;           /* the module's */
    /* Put down by flo_activity_fail: */
    bool failed;
    char *failure_type;
    char *failure_message;
    json_t *failure_details;
    bool non_retryable;
    int64_t next_retry_ns;
};

/* Free what user code put into the context. */
void flo_activity_context_fini(struct flo_activity_context *ctx);

#endif
