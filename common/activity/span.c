/* SPDX-License-Identifier: Apache-2.0 */
/* span.c - the span of an activity attempt; see span.h. */
#include "activity/span.h"

#include <inttypes.h>
#include <stdio.h>

#include "wire/payload.h"
#include "wire/tracer.h"

static const char *text(const char *value)
{
    return value ? value : "";
}

void flo_activity_span(const struct flo_trace_sampler *sampler,
                       const FloApi__PollActivityTaskQueueResponse *task, struct flo_arena *arena,
                       struct flo_activity_span *out)
{
    const FloApi__WorkflowExecution *execution = task->workflow_execution;
    const char *run_id = execution ? text(execution->run_id) : "";
    struct flo_activity_span span = {0};
    struct flo_trace_context *own = &span.context;
    struct flo_tracer_data from;
    char parent[FLO_TRACEPARENT_LEN + 1] = "", attempt[48];

    span.has_parent = flo_tracer_read(task->header, arena, &from);
    if (span.has_parent) {
        *own = span.parent = from.context;
        span.tracestate = from.tracestate;
        flo_traceparent_format(&from.context, parent);
    } else {
        flo_trace_derive(own->trace_id, sizeof own->trace_id, "Activity", run_id,
                         text(task->activity_id), NULL);
    }
    own->flags &= (uint8_t)~FLO_TRACE_SAMPLED;
    if (flo_trace_sample(sampler, span.has_parent ? &span.parent : NULL, own->trace_id))
        own->flags |= FLO_TRACE_SAMPLED;
    /* The start tells attempt 1 from the attempt 1 after an operator's reset. */
    snprintf(attempt, sizeof attempt, "%" PRId32 "/%" PRId64, task->attempt,
             flo_timestamp_ns(task->started_time));
    flo_trace_derive(own->span_id, sizeof own->span_id, "RunActivity", parent, run_id,
                     text(task->activity_id), attempt, NULL);
    *out = span;
}
