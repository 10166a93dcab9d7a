/* SPDX-License-Identifier: Apache-2.0 */
/* span.c - what a span costs: that of an activity attempt, from its task to the batch. */
#include "activity/span.h"
#include "micro.h"
#include "telemetry/otlp_internal.h"
#include "wire/tracer.h"

static struct flo_arena arena;
static FloApi__PollActivityTaskQueueResponse task;
static FloApi__WorkflowExecution execution;

static void setup(unsigned times)
{
    static char id[] = "order-12345", run_id[] = "0195f5a0-0000-7000-8000-000000000001",
                one[] = "1";
    struct flo_tracer_data data = {.tracestate = NULL};

    (void)times;
    flo_arena_init(&arena, 0);
    flo_api__poll_activity_task_queue_response__init(&task);
    flo_api__workflow_execution__init(&execution);
    execution.workflow_id = id;
    execution.run_id = run_id;
    task.workflow_execution = &execution;
    task.activity_id = one;
    task.attempt = 1;
    flo_trace_derive(data.context.trace_id, sizeof data.context.trace_id, "bench", NULL);
    flo_trace_derive(data.context.span_id, sizeof data.context.span_id, "bench", NULL);
    data.context.flags = FLO_TRACE_SAMPLED;
    task.header = flo_tracer_header(&data, &arena);
    micro_check(task.header ? 0 : FLO_ENOMEM, "header");
}

static void teardown(void)
{
    flo_arena_fini(&arena);
}

static void spans(unsigned times)
{
    static const struct flo_trace_sampler always = {.root = FLO_TRACE_ALWAYS_ON};
    const struct flo_otlp_attribute attributes[] = {{"temporalActivityID", task.activity_id},
                                                    {"temporalWorkflowID", execution.workflow_id},
                                                    {"temporalRunID", execution.run_id}};
    struct flo_buf batch;

    flo_buf_init(&batch, 0);
    for (unsigned i = 0; i < times; i++) {
        struct flo_activity_span own;
        struct flo_arena scratch;
        flo_arena_init(&scratch, 0);
        flo_activity_span(&always, &task, &scratch, &own);
        const struct flo_otlp_span span = {.context = own.context,
                                           .parent_id = own.parent.span_id,
                                           .verb = "RunActivity",
                                           .what = "echo",
                                           .kind = FLO_SPAN_SERVER,
                                           .start_ns = INT64_C(1790000000000000000),
                                           .end_ns = INT64_C(1790000000001000000),
                                           .attributes = attributes,
                                           .attribute_count = 3};
        flo_otlp_put_span(&batch, &span);
        flo_arena_fini(&scratch);
    }
    micro_check(batch.failed ? FLO_ENOMEM : 0, "spans");
    flo_buf_fini(&batch);
}

const struct micro_part micro_span = {.name = "otlp_span",
                                      .unit = "span",
                                      .units = 1,
                                      .warm = 50,
                                      .times = 1000,
                                      .setup = setup,
                                      .run = spans,
                                      .teardown = teardown};
