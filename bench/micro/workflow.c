/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workflow.c - what the workflow runtime costs: replay of a long history that is decoded, an echo
 * in two tasks that is then dropped, and a coroutine's switches.
 */
#include "base/arena.h"
#include "micro.h"
#include "wire/api.h"
#include "wire/decode.h"
#include "wire/tracer.h"
#include "workflow/coroutine.h"
#include "workflow/names.h"
#include "workflow/run.h"

#define ECHO_FIRST 3 /* events of its first task; all of its second: */
#define ECHO_EVENTS 9

static const struct flo_activity_options options = {.start_to_close_ms = 30000};
static struct flo_arena arena; /* of history */
static FloApi__History *history;
static const struct flo_trace_sampler *tracing; /* of the runs that are made */

static int echo(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    return flo_activity(wf, "echo", input, &options, out_result);
}

static int steps(struct flo_workflow *wf, json_t *input, json_t **out_result)
{
    (void)out_result;
    for (;;) { /* history ends it: it stays waiting */
        json_t *result = NULL;
        int rc = flo_activity(wf, "echo", input, &options, &result);
        json_decref(result);
        if (rc)
            return rc;
    }
}

static flo_workflow_fn lookup(void *ctx, const char *type)
{
    (void)type;
    return *(const flo_workflow_fn *)ctx;
}

static void setup(size_t events)
{
    const uint8_t *data;
    size_t len;
    ProtobufCMessage *message;
    micro_history(events, &data, &len);
    flo_arena_init(&arena, 0);
    micro_check(flo_wire_decode_part(&flo_api__history__descriptor, &flo_workflow_part, data, len,
                                     &arena, &message, NULL),
                "history");
    history = (FloApi__History *)message;
}

/* As a client's interceptor sends it. */
static void add_header(void)
{
    struct flo_tracer_data data = {.tracestate = NULL};
    FloApi__Header *header;
    micro_check(flo_traceparent_parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                      &data.context)
                    ? 0
                    : FLO_EINVAL,
                "traceparent");
    header = flo_tracer_header(&data, &arena);
    micro_check(header ? 0 : FLO_ENOMEM, "header");
    history->events[0]->workflow_execution_started_event_attributes->header = header;
}

static void replay_setup(unsigned times)
{
    (void)times;
    setup(MICRO_HISTORY_EVENTS);
}

static void echo_setup(unsigned times)
{
    (void)times;
    setup(ECHO_EVENTS);
}

static void traced_setup(unsigned times)
{
    static const struct flo_trace_sampler always = {.root = FLO_TRACE_ALWAYS_ON};
    echo_setup(times);
    add_header();
    tracing = &always;
}

static void teardown(void)
{
    tracing = NULL;
    flo_arena_fini(&arena);
    flo_coroutine_trim();
}

static struct flo_run *run_new(flo_workflow_fn *fn)
{
    const struct flo_run_env env = {
        .namespace_ = "default", .identity = "bench", .tracing = tracing};
    struct flo_run *run = NULL;
    micro_check(
        flo_run_new(&env, lookup, fn, "order-12345", "0195f5a0-0000-7000-8000-000000000001", &run),
        "run");
    return run;
}

/* One workflow task with the events [from, to) must be answered with one command. */
static void activate(struct flo_run *run, size_t from, size_t to)
{
    FloApi__PollWorkflowTaskQueueResponse task = FLO_API__POLL_WORKFLOW_TASK_QUEUE_RESPONSE__INIT;
    FloApi__History page = FLO_API__HISTORY__INIT;
    struct flo_activation answer;
    struct flo_arena scratch;
    page.events = history->events + from;
    page.n_events = to - from;
    task.history = &page;
    flo_arena_init(&scratch, 0);
    micro_check(flo_run_activate(run, &task, &scratch, &answer), "activate");
    if (answer.outcome != FLO_ACTIVATION_COMPLETE || answer.command_count != 1)
        micro_check(FLO_EPROTO, answer.failure ? answer.failure->message : "activate");
    flo_arena_fini(&scratch);
}

static void replay(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        flo_workflow_fn fn = steps;
        struct flo_run *run = run_new(&fn);
        activate(run, 0, history->n_events);
        flo_run_destroy(&run);
    }
}

static void workflow_echo(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        flo_workflow_fn fn = echo;
        struct flo_run *run = run_new(&fn);
        activate(run, 0, ECHO_FIRST);
        activate(run, ECHO_FIRST, ECHO_EVENTS);
        flo_run_destroy(&run);
    }
}

static void spin(void *arg)
{
    struct flo_coroutine **self = arg;
    for (;;)
        flo_coroutine_yield(*self);
}

static void coroutine(unsigned times)
{
    struct flo_coroutine *co = NULL;
    micro_check(flo_coroutine_new(0, spin, &co, &co), "coroutine");
    for (unsigned i = 0; i < times; i++)
        flo_coroutine_resume(co);
    flo_coroutine_destroy(&co);
}

const struct micro_part micro_replay = {.name = "replay",
                                        .unit = "event",
                                        .units = MICRO_HISTORY_EVENTS,
                                        .warm = 1,
                                        .times = 3,
                                        .setup = replay_setup,
                                        .run = replay,
                                        .teardown = teardown};
const struct micro_part micro_workflow_echo = {.name = "workflow_echo",
                                               .unit = "workflow",
                                               .units = 1,
                                               .warm = 50,
                                               .times = 500,
                                               .setup = echo_setup,
                                               .run = workflow_echo,
                                               .teardown = teardown};
const struct micro_part micro_workflow_traced = {.name = "workflow_echo_traced",
                                                 .unit = "workflow",
                                                 .units = 1,
                                                 .warm = 50,
                                                 .times = 500,
                                                 .setup = traced_setup,
                                                 .run = workflow_echo,
                                                 .teardown = teardown};
const struct micro_part micro_coroutine = {.name = "coroutine_switch",
                                           .unit = "switch",
                                           .units = 2,
                                           .warm = 1000,
                                           .times = 50000,
                                           .run = coroutine,
                                           .teardown = flo_coroutine_trim};
