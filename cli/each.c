/* SPDX-License-Identifier: Apache-2.0 */
/* each.c - lanes: each has one call under way, and takes the next workflow when it is answered. */
#include "cli/each.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "cli/batch.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "wire/payload.h"

struct each;

struct lane {
    struct each *each;
    struct flo_client_call *call; /* or NULL */
    int64_t began_ns;
    char workflow_id[128], request_id[37];
};

typedef int (*send_fn)(struct lane *lane, struct flo_arena *arena);

struct each {
    struct cli_session *session;
    const struct cli_each_options *options;
    send_fn send;
    struct flo_rng rng;
    size_t next, answered, failed;
    int64_t *latencies_ns; /* [answered - failed] */
    int64_t began_ns;
    int64_t tenth_ns, last_tenth_ns; /* when a tenth was answered, and when a tenth was left */
    struct cli_progress progress;
    bool stopped; /* the time is over, or the server stays away */
    bool lost;    /* that */
    char first_error[600];
};

static void lane_next(struct lane *lane);

static void note_failure(struct each *each, const char *name, const char *message)
{
    each->failed++;
    if (!*each->first_error)
        snprintf(each->first_error, sizeof each->first_error, "%s: %s", name, message);
}

static void count_answer(struct each *each)
{
    const size_t tenth = each->options->count / 10;
    each->answered++;
    cli_progress_ended(&each->progress);
    if (each->answered == tenth)
        each->tenth_ns = flo_clock_mono_ns();
    if (each->answered == each->options->count - tenth)
        each->last_tenth_ns = flo_clock_mono_ns();
    if (each->answered == each->options->count)
        event_base_loopbreak(each->session->base);
}

static void on_answer(void *ctx, const struct flo_grpc_status *status,
                      const ProtobufCMessage *response)
{
    struct lane *lane = ctx;
    struct each *each = lane->each;
    (void)response;
    lane->call = NULL; /* it has ended */
    if (status->code == FLO_GRPC_OK)
        each->latencies_ns[each->answered - each->failed] = flo_clock_mono_ns() - lane->began_ns;
    else
        note_failure(each, flo_grpc_code_name(status->code), status->message);
    count_answer(each);
    lane_next(lane);
}

static int send_start(struct lane *lane, struct flo_arena *arena)
{
    const struct cli_each_options *options = lane->each->options;
    struct cli_start_request start;
    cli_start_request_init(&start, lane->workflow_id, lane->request_id, options->type,
                           options->task_queue);
    if (options->input)
        start.message.input = flo_payloads_from_json(arena, options->input);
    return flo_client_start_workflow_execution(lane->each->session->client, &start.message,
                                               on_answer, lane, &lane->call);
}

static int send_signal(struct lane *lane, struct flo_arena *arena)
{
    const struct cli_each_options *options = lane->each->options;
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    FloApi__SignalWorkflowExecutionRequest request =
        FLO_API__SIGNAL_WORKFLOW_EXECUTION_REQUEST__INIT;
    execution.workflow_id = lane->workflow_id;
    request.workflow_execution = &execution;
    request.signal_name = (char *)(uintptr_t)options->signal;
    request.request_id = lane->request_id;
    if (options->input)
        request.input = flo_payloads_from_json(arena, options->input);
    return flo_client_signal_workflow_execution(lane->each->session->client, &request, on_answer,
                                                lane, &lane->call);
}

static int send_terminate(struct lane *lane, struct flo_arena *arena)
{
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    FloApi__TerminateWorkflowExecutionRequest request =
        FLO_API__TERMINATE_WORKFLOW_EXECUTION_REQUEST__INIT;
    (void)arena;
    execution.workflow_id = lane->workflow_id;
    request.workflow_execution = &execution;
    return flo_client_terminate_workflow_execution(lane->each->session->client, &request, on_answer,
                                                   lane, &lane->call);
}

static send_fn sender(const char *what)
{
    static const struct {
        const char *what;
        send_fn send;
    } table[] = {{"start", send_start}, {"signal", send_signal}, {"terminate", send_terminate}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].what, what) == 0)
            return table[i].send;
    return NULL;
}

bool cli_each_known(const char *what)
{
    return sender(what) != NULL;
}

/* The next workflow's call; one that cannot even be sent is a failure like another. */
static void lane_next(struct lane *lane)
{
    struct each *each = lane->each;
    while (!each->stopped && each->next < each->options->count) {
        struct flo_arena arena;
        flo_arena_init(&arena, 0);
        snprintf(lane->workflow_id, sizeof lane->workflow_id, "%s-%zu", each->options->id_prefix,
                 each->next++);
        flo_rng_uuid4(&each->rng, lane->request_id);
        lane->began_ns = flo_clock_mono_ns();
        int rc = each->send(lane, &arena);
        flo_arena_fini(&arena);
        if (rc == 0)
            return;
        note_failure(each, "not sent", flo_error_text(rc));
        count_answer(each);
    }
}

static void on_stop(evutil_socket_t fd, short what, void *ctx)
{
    struct each *each = ctx;
    (void)fd, (void)what;
    each->stopped = true;
    event_base_loopbreak(each->session->base);
}

static void on_give_up(void *ctx)
{
    struct each *each = ctx;
    each->stopped = each->lost = true;
    event_base_loopbreak(each->session->base);
}

static bool begin_progress(struct each *each)
{
    const struct cli_progress_options options = {.what = "calls",
                                                 .total = each->options->count,
                                                 .show = each->options->progress,
                                                 .every_ms = each->options->progress_every_ms,
                                                 .away_ms = each->options->server_timeout_ms,
                                                 .on_give_up = on_give_up,
                                                 .ctx = each};
    return cli_progress_init(&each->progress, each->session, &options);
}

/* ---- the report ---- */

static double per_second(size_t count, int64_t ns)
{
    return ns > 0 ? (double)count * FLO_NS_PER_S / (double)ns : 0.0;
}

static void report(struct each *each, int64_t ended_ns)
{
    const size_t count = each->options->count, tenth = count / 10;
    const size_t good = each->answered - each->failed, missing = count - each->answered;
    const double seconds = (double)(ended_ns - each->began_ns) / (double)FLO_NS_PER_S;
    const double rate = per_second(each->answered, ended_ns - each->began_ns);
    const double first = per_second(tenth, each->tenth_ns - each->began_ns);
    const double last = each->last_tenth_ns ? per_second(tenth, ended_ns - each->last_tenth_ns) : 0;
    struct cli_batch_report latency;
    cli_batch_percentiles(each->latencies_ns, good, &latency);
    if (each->options->json) {
        json_t *answer = json_pack(
            "{s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "answered", (json_int_t)good, "failed",
            (json_int_t)each->failed, "notAnswered", (json_int_t)missing, "seconds", seconds,
            "callsPerSecond", rate, "firstTenthPerSecond", first, "lastTenthPerSecond", last,
            "p50Ms", (double)latency.p50_ns / 1e6, "p99Ms", (double)latency.p99_ns / 1e6);
        cli_print_json(answer);
        return;
    }
    printf(
        "%zu calls in %.2f s: %.1f/s, the first tenth at %.1f/s, the last at %.1f/s; %zu failed\n",
        good, seconds, rate, first, last, each->failed);
    printf("latency: p50 %.1f ms, p99 %.1f ms\n", (double)latency.p50_ns / 1e6,
           (double)latency.p99_ns / 1e6);
}

int cli_each_run(struct cli_session *session, const struct cli_each_options *options)
{
    struct each each = {.session = session,
                        .options = options,
                        .send = sender(options->what),
                        .began_ns = flo_clock_mono_ns()};
    const size_t lane_count =
        options->concurrency < options->count ? options->concurrency : options->count;
    int rc = FLO_EXIT_INTERNAL;
    flo_rng_seed(&each.rng, flo_random_u64());
    each.latencies_ns = flo_calloc(options->count, sizeof *each.latencies_ns);
    struct lane *lanes = flo_calloc(lane_count, sizeof *lanes);
    struct event *deadline = evtimer_new(session->base, on_stop, &each);
    struct event *interrupt = evsignal_new(session->base, SIGINT, on_stop, &each);
    if (!begin_progress(&each) || !each.latencies_ns || !lanes || !deadline || !interrupt) {
        fprintf(stderr, "flotilla: out of memory\n");
        goto out;
    }
    evsignal_add(interrupt, NULL);
    if (options->timeout_ms >= 0) {
        const struct timeval tv = {.tv_sec = options->timeout_ms / 1000,
                                   .tv_usec = options->timeout_ms % 1000 * 1000};
        evtimer_add(deadline, &tv);
    }
    for (size_t i = 0; i < lane_count; i++) {
        lanes[i].each = &each;
        lane_next(&lanes[i]);
    }
    while (each.answered < options->count && !each.stopped)
        event_base_loop(session->base, EVLOOP_ONCE);
    const int64_t ended_ns = flo_clock_mono_ns();
    cli_progress_fini(&each.progress);
    report(&each, ended_ns);
    if (each.answered < options->count)
        fprintf(stderr, "flotilla: stopped with %zu of %zu calls not made or not answered\n",
                options->count - each.answered, options->count);
    if (*each.first_error)
        fprintf(stderr, "flotilla load: first failure: %s\n", each.first_error);
    rc = each.lost                                       ? FLO_EXIT_UNAVAILABLE
         : each.failed || each.answered < options->count ? FLO_EXIT_REFUSED
                                                         : 0;
out:
    cli_progress_fini(&each.progress);
    for (size_t i = 0; lanes && i < lane_count; i++)
        flo_client_call_cancel(&lanes[i].call);
    if (deadline)
        event_free(deadline);
    if (interrupt)
        event_free(interrupt);
    flo_free(lanes);
    flo_free(each.latencies_ns);
    return rc;
}
