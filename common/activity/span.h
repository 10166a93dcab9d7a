/* SPDX-License-Identifier: Apache-2.0 */
/*
 * span.h - the span of an activity attempt, "RunActivity". Its id is derived from the task as it
 * came, so the process that runs the code and the one that exports the span need not tell each
 * other, and no two attempts share one.
 */
#ifndef FLO_ACTIVITY_SPAN_H
#define FLO_ACTIVITY_SPAN_H

#include "base/arena.h"
#include "base/trace.h"
#include "wire/api.h"

struct flo_activity_span {
    struct flo_trace_context context; /* flags say whether it is recorded */
    struct flo_trace_context parent;
    bool has_parent;
    const char *tracestate; /* NULL: none; in the arena */
};

/* Of this attempt: below what its header says, else the root of a trace of its own. */
void flo_activity_span(const struct flo_trace_sampler *sampler,
                       const FloApi__PollActivityTaskQueueResponse *task, struct flo_arena *arena,
                       struct flo_activity_span *out);

#endif
