/* SPDX-License-Identifier: Apache-2.0 */
/* context.h - the attempt as the runner and the public functions share it (this folder only). */
#ifndef FLO_ACTIVITY_CONTEXT_H
#define FLO_ACTIVITY_CONTEXT_H

#include <pthread.h>

#include "activity/task.h"
#include "base/arena.h"
#include "wire/api.h"

struct flo_activity_notices; /* notices.c */
struct flo_activity_tally;   /* tally.c */

struct flo_activity_context {
    const struct flo_activity_library *library;
    struct flo_job_io *io;
    struct flo_arena *arena; /* of the attempt; the activity's own thread only */
    const FloApi__PollActivityTaskQueueResponse *task;
    struct flo_activity_info info;
    flo_activity_fn run;
    json_t *input;          /* argument 0 */
    json_t **arguments;     /* the others, as they were asked for; NULL until one was */
    json_t *last_heartbeat; /* of an earlier attempt; may be NULL */
    void *shared;           /* the module's */
    size_t depth;           /* interceptors that have been entered */
    /* What the activity put down: */
    bool failed;
    FloApi__Failure *failure; /* in arena; NULL although failed: no memory */
    int64_t next_retry_ns;
    FloApi__Payloads *cancel_details, *result; /* in arena */
    const char *token;                         /* in arena */
    /* Made when they are needed, by any thread: */
    pthread_mutex_t mu;
    struct flo_activity_notices *notices; /* guarded by mu */
    struct flo_activity_tally *tally;     /* guarded by mu, and so is what is in it */
};

/* Free what user code put into the context, and what was read for it. */
void flo_activity_context_fini(struct flo_activity_context *ctx);

/* ---- notices.c ---- */
/* The activity function has returned: no callback runs any more. */
void flo_activity_notices_end(struct flo_activity_context *ctx);

/* ---- tally.c ---- */
/* Send what user code has counted since the last time. */
void flo_activity_tally_flush(struct flo_activity_context *ctx);
void flo_activity_tally_end(struct flo_activity_context *ctx);

#endif
