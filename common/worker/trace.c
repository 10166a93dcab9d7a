/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - the worker's spans and metrics on their way to a collector; see trace.h. */
#include "worker/trace.h"

#include <stdio.h>
#include <string.h>

#include "activity/span.h"
#include "base/clock.h"
#include "base/hex.h"
#include "config/process.h"
#include "telemetry/otlp.h"
#include "wire/decode.h"
#include "wire/failure.h"
#include "workflow/run.h"

/* ---- starting ---- */

void flo_tracing_prepare(struct flo_worker *worker)
{
    const struct flo_role_config *config = worker->config;
    static const enum flo_trace_sampling ROOTS[] = {FLO_TRACE_ALWAYS_ON, FLO_TRACE_ALWAYS_OFF,
                                                    FLO_TRACE_RATIO};

    if (!*config->otlp.traces_url)
        return;
    worker->sampler = (struct flo_trace_sampler){
        .root = ROOTS[config->otlp.sampler % FLO_SAMPLER_PARENT_ALWAYS_ON],
        .parent_based = config->otlp.sampler >= FLO_SAMPLER_PARENT_ALWAYS_ON,
        .ratio = config->otlp.sampler_arg};
    worker->run_env.tracing = &worker->sampler;
    worker->library.tracing = &worker->sampler;
}

int flo_tracing_start(struct flo_worker *worker, struct flo_err *err)
{
    const struct flo_role_config *config = worker->config;
    const struct flo_otlp_options options = {
        .metrics_url = config->otlp.metrics_url,
        .traces_url = config->otlp.traces_url,
        .headers = config->otlp.headers,
        .ca_file = config->otlp.ca_file,
        .interval_ms = config->otlp.interval_ms,
        .delay_ms = config->otlp.span_delay_ms,
        .timeout_ms = config->otlp.timeout_ms,
        .service = config->otlp.service_name,
        .program = worker->program,
        .instance = worker->instance_key,
        .version = flo_version(),
        .resource = config->otlp.resource_attributes,
        .metrics = worker->metrics,
    };

    if (!*options.metrics_url && !*options.traces_url)
        return 0;
    return flo_otlp_new(worker->base, &options, &worker->otlp, err);
}

/* ---- spans ---- */

void flo_tracing_workflow(const struct flo_workflow_task *wt)
{
    static const enum flo_span_kind KINDS[] = {[FLO_RUN_SPAN_INTERNAL] = FLO_SPAN_INTERNAL,
                                               [FLO_RUN_SPAN_SERVER] = FLO_SPAN_SERVER,
                                               [FLO_RUN_SPAN_CLIENT] = FLO_SPAN_CLIENT};
    const struct flo_otlp_attribute attributes[] = {{"temporalWorkflowID", wt->workflow_id},
                                                    {"temporalRunID", wt->run_id}};

    for (const struct flo_run_span *s = wt->spans; s; s = s->next) {
        const struct flo_otlp_span span = {
            .context = s->context,
            .parent_id = s->has_parent ? s->parent.span_id : NULL,
            .tracestate = s->tracestate,
            .verb = s->verb,
            .what = s->what,
            .kind = KINDS[s->kind],
            .start_ns = s->time_ns,
            .end_ns = s->time_ns,
            .attributes = attributes,
            .attribute_count = sizeof attributes / sizeof *attributes,
            .error = s->error,
            .error_type = s->error_type,
            .link = s->linked ? &s->link : NULL,
        };
        flo_otlp_record(wt->worker->otlp, &span);
    }
}

/* An attempt that began (monotonic) and ended now. error NULL: it went well. */
static void record_attempt(const struct flo_worker *worker,
                           const FloApi__PollActivityTaskQueueResponse *task, int64_t began_ns,
                           const char *error, const char *error_type)
{
    const FloApi__WorkflowExecution *execution = task->workflow_execution;
    const struct flo_otlp_attribute attributes[] = {
        {"temporalActivityID", task->activity_id},
        {"temporalWorkflowID", execution ? execution->workflow_id : ""},
        {"temporalRunID", execution ? execution->run_id : ""}};
    int64_t now_ns = flo_clock_wall_ns();
    struct flo_activity_span own;
    struct flo_arena arena;

    flo_arena_init(&arena, 0);
    flo_activity_span(worker->library.tracing, task, &arena, &own);
    if (own.context.flags & FLO_TRACE_SAMPLED) {
        const struct flo_otlp_span span = {
            .context = own.context,
            .parent_id = own.has_parent ? own.parent.span_id : NULL,
            .tracestate = own.tracestate,
            .verb = "RunActivity",
            .what = task->activity_type ? task->activity_type->name : "",
            .kind = FLO_SPAN_SERVER,
            .start_ns = now_ns - (flo_clock_mono_ns() - began_ns),
            .end_ns = now_ns,
            .attributes = attributes,
            .attribute_count = sizeof attributes / sizeof *attributes,
            .error = error,
            .error_type = error_type,
        };
        flo_otlp_record(worker->otlp, &span);
    }
    flo_arena_fini(&arena);
}

static const char *message_of(const FloApi__Failure *failure)
{
    return failure->message ? failure->message : "";
}

void flo_tracing_activity(const struct flo_activity_task *at, const FloApi__Failure *failure,
                          const char *why)
{
    record_attempt(at->worker, at->task, at->began_ns, failure ? message_of(failure) : why,
                   failure ? flo_failure_type(failure) : NULL);
}

void flo_tracing_local(const struct flo_local_job *job, const struct flo_outcome *outcome)
{
    const struct flo_worker *worker = job->locals->worker;
    const FloApi__Failure *failure = NULL;
    ProtobufCMessage *body = NULL;
    struct flo_arena arena;
    const char *error = outcome ? NULL : "The activity's answer is damaged";

    flo_arena_init(&arena, 0);
    if (outcome &&
        (outcome->kind == FLO_OUTCOME_FAILED || outcome->kind == FLO_OUTCOME_UNREGISTERED)) {
        error = "";
        if (!flo_wire_decode(&flo_api__failure__descriptor, outcome->body, outcome->body_len,
                             &arena, &body, NULL))
            failure = (const FloApi__Failure *)body;
    }
    if (failure && flo_failure_is_benign(failure)) {
        failure = NULL;
        error = NULL;
    }
    record_attempt(worker, job->task, job->began_ns, failure ? message_of(failure) : error,
                   failure ? flo_failure_type(failure) : NULL);
    flo_arena_fini(&arena);
}

/* ---- log lines ---- */

struct flo_trace_ids flo_tracing_ids(const char *traceparent)
{
    struct flo_trace_context context;
    struct flo_trace_ids ids = {.trace_id = ""};

    if (flo_traceparent_parse(traceparent, &context)) {
        flo_hex_write(context.trace_id, sizeof context.trace_id, ids.trace_id);
        flo_hex_write(context.span_id, sizeof context.span_id, ids.span_id);
    }
    return ids;
}
