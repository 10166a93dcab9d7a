/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - a run's spans; see trace.h. */
#include "workflow/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "wire/failure.h"
#include "wire/tracer.h"

struct flo_run_trace {
    struct flo_tracer_data data; /* of RunWorkflow, as it is passed on; texts in the run's heap */
    uint64_t activities;         /* started so far */
    const struct flo_run_span *first, **next; /* recorded, not taken; in run->answer */
    char traceparent[FLO_TRACEPARENT_LEN + 1];
};

void flo_trace_forget(struct flo_run *run)
{
    run->trace->first = NULL;
    run->trace->next = &run->trace->first;
}

const struct flo_run_span *flo_trace_take(struct flo_run *run)
{
    const struct flo_run_span *spans = run->trace->first;
    flo_trace_forget(run);
    return spans;
}

/* A span of this id, below RunWorkflow. NULL: no memory. */
static struct flo_run_span *record(struct flo_run *run, const char *verb, const char *what,
                                   enum flo_run_span_kind kind, const uint8_t id[FLO_SPAN_ID_BYTES])
{
    struct flo_run_trace *trace = run->trace;
    struct flo_run_span *span = flo_arena_calloc(run->answer, 1, sizeof *span);
    if (!span)
        return NULL;
    span->context = span->parent = trace->data.context;
    memcpy(span->context.span_id, id, FLO_SPAN_ID_BYTES);
    span->has_parent = true;
    span->verb = verb;
    span->what = flo_arena_strdup(run->answer, what);
    span->kind = kind;
    span->time_ns = run->now_ns;
    if (trace->data.tracestate)
        span->tracestate = flo_arena_strdup(run->answer, trace->data.tracestate);
    if (!span->what || (trace->data.tracestate && !span->tracestate))
        return NULL;
    *trace->next = span;
    trace->next = &span->next;
    return span;
}

static bool is_recorded(const struct flo_run *run)
{
    return !run->replaying && (run->trace->data.context.flags & FLO_TRACE_SAMPLED);
}

/* ---- the beginning ---- */

/* text in the run's heap; *no_memory. */
static const char *keep(struct flo_run *run, const char *text, bool *no_memory)
{
    const char *copy = text ? flo_heap_strdup(run->heap, text) : NULL;
    if (text && !copy)
        *no_memory = true;
    return copy;
}

int flo_trace_begin(struct flo_run *run,
                    const FloApi__WorkflowExecutionStartedEventAttributes *started)
{
    /* After a reset the run has a new id; what began before it is still the first run's. */
    const char *origin =
        *started->original_execution_run_id ? started->original_execution_run_id : run->info.run_id;
    struct flo_run_trace *trace = flo_heap_calloc(run->heap, sizeof *trace);
    struct flo_tracer_data from = {0};
    bool no_memory = !trace;
    if (!trace)
        return FLO_ENOMEM;
    bool has_parent = flo_tracer_read(started->header, run->answer, &from);
    struct flo_trace_context *own = &trace->data.context;
    *own = from.context;
    if (!has_parent)
        flo_trace_derive(own->trace_id, sizeof own->trace_id, "Workflow", origin, NULL);
    bool sampled =
        flo_trace_sample(run->env.tracing, has_parent ? &from.context : NULL, own->trace_id);
    own->flags = (uint8_t)((own->flags & ~FLO_TRACE_SAMPLED) | (sampled ? FLO_TRACE_SAMPLED : 0));
    flo_trace_derive(own->span_id, sizeof own->span_id, "RunWorkflow", origin, NULL);
    trace->data.tracestate = keep(run, from.tracestate, &no_memory);
    trace->data.baggage = keep(run, from.baggage, &no_memory);
    flo_traceparent_format(own, trace->traceparent);
    run->trace = trace;
    run->info.traceparent = trace->traceparent;
    flo_trace_forget(run);
    if (no_memory || !is_recorded(run))
        return no_memory ? FLO_ENOMEM : 0;
    struct flo_run_span *span =
        record(run, "RunWorkflow", run->info.type, FLO_RUN_SPAN_SERVER, own->span_id);
    if (!span)
        return FLO_ENOMEM;
    span->parent = from.context;
    span->has_parent = has_parent;
    return 0;
}

/* ---- on the way ---- */

/* The fields of both; NULL: no memory. mine may be NULL. */
static FloApi__Header *joined(struct flo_run *run, FloApi__Header *tracer, FloApi__Header *mine)
{
    if (!mine || mine->n_fields == 0)
        return tracer;
    size_t count = tracer->n_fields + mine->n_fields;
    FloApi__Header__FieldsEntry **fields = flo_arena_calloc(run->answer, count, sizeof *fields);
    if (!fields)
        return NULL;
    for (size_t i = 0; i < count; i++)
        fields[i] = i < mine->n_fields ? mine->fields[i] : tracer->fields[i - mine->n_fields];
    tracer->fields = fields;
    tracer->n_fields = count;
    return tracer;
}

static int trace_start(struct flo_run *run, const char *verb, const char *type,
                       FloApi__Header **header)
{
    uint64_t number = ++run->trace->activities;
    struct flo_tracer_data data = run->trace->data;
    char text[24];
    if (!header)
        return 0;
    snprintf(text, sizeof text, "%" PRIu64, number);
    flo_trace_derive(data.context.span_id, sizeof data.context.span_id, verb, run->info.run_id,
                     text, NULL);
    FloApi__Header *tracer = flo_tracer_header(&data, run->answer);
    if (tracer)
        tracer = joined(run, tracer, *header);
    if (!tracer ||
        (is_recorded(run) && !record(run, verb, type, FLO_RUN_SPAN_CLIENT, data.context.span_id)))
        return FLO_ENOMEM;
    *header = tracer;
    return 0;
}

int flo_trace_activity(struct flo_run *run, const char *type, FloApi__Header **header)
{
    return trace_start(run, "StartActivity", type, header);
}

int flo_trace_child(struct flo_run *run, const char *type, FloApi__Header **header)
{
    return trace_start(run, "StartChildWorkflow", type, header);
}

int flo_trace_signal(struct flo_run *run, const FloApi__HistoryEvent *event)
{
    const FloApi__WorkflowExecutionSignaledEventAttributes *a =
        event->workflow_execution_signaled_event_attributes;
    uint8_t id[FLO_SPAN_ID_BYTES];
    struct flo_tracer_data sender;
    char text[24];
    if (!is_recorded(run))
        return 0;
    snprintf(text, sizeof text, "%" PRId64, event->event_id);
    flo_trace_derive(id, sizeof id, "HandleSignal", run->info.run_id, text, NULL);
    struct flo_run_span *span =
        record(run, "HandleSignal", a->signal_name, FLO_RUN_SPAN_SERVER, id);
    if (!span)
        return FLO_ENOMEM;
    span->linked = flo_tracer_read(a->header, run->answer, &sender);
    if (span->linked)
        span->link = sender.context;
    return 0;
}

int flo_trace_end(struct flo_run *run, const FloApi__Failure *failure)
{
    uint8_t id[FLO_SPAN_ID_BYTES];
    if (!is_recorded(run))
        return 0;
    flo_trace_derive(id, sizeof id, "CompleteWorkflow", run->info.run_id, NULL);
    struct flo_run_span *span =
        record(run, "CompleteWorkflow", run->info.type, FLO_RUN_SPAN_INTERNAL, id);
    if (!span)
        return FLO_ENOMEM;
    if (failure) {
        span->error = flo_arena_strdup(run->answer, failure->message);
        span->error_type = flo_arena_strdup(run->answer, flo_failure_type(failure));
    }
    return failure && (!span->error || !span->error_type) ? FLO_ENOMEM : 0;
}
