/* SPDX-License-Identifier: Apache-2.0 */
/* batch.c - running many workflows; each is a small state: starting, waiting, done. */
#include "cli/batch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "wire/failure.h"
#include "wire/payload.h"

#define RETRY_MS 300

struct item {
    struct batch *batch;
    size_t index;
    char workflow_id[128];
    char run_id[64];
    char request_id[37];
    int64_t started_ns;
    struct event *retry; /* until the next try after an error */
    bool running;        /* started: now waiting for the end */
};

struct batch {
    struct cli_session *session;
    const struct cli_batch_options *options;
    struct flo_rng rng;
    size_t next;     /* index of the next to start */
    size_t finished; /* completed or failed */
    size_t completed;
    int64_t *latencies; /* [completed] */
    int64_t began_ns;
    unsigned shown_tenths;
    bool stopped; /* SIGINT or the time is up */
};

static void item_next(struct batch *batch);
static void item_start(struct item *item);
static void item_wait(struct item *item);

/* Errors after which the same request may still succeed. */
static bool worth_waiting(int code)
{
    return flo_client_retryable(code, NULL, FLO_RETRY_POLL);
}

static void show_progress(struct batch *batch)
{
    const struct cli_batch_options *options = batch->options;
    if (!options->progress)
        return;
    unsigned tenths = (unsigned)(batch->finished * 10 / options->count);
    double seconds = (double)(flo_clock_mono_ns() - batch->began_ns) / (double)FLO_NS_PER_S;
    if (isatty(STDERR_FILENO)) {
        char bar[31];
        size_t filled = batch->finished * 30 / options->count;
        memset(bar, '.', 30);
        memset(bar, '#', filled);
        bar[30] = '\0';
        fprintf(stderr, "\r[%s] %zu/%zu  %.1f s ", bar, batch->finished, options->count, seconds);
        if (batch->finished == options->count)
            fputc('\n', stderr);
    } else if (tenths != batch->shown_tenths) {
        batch->shown_tenths = tenths;
        fprintf(stderr, "%zu/%zu workflows, %.1f s\n", batch->finished, options->count, seconds);
    }
}

static void item_finish(struct item *item, const json_t *result, const char *error)
{
    struct batch *batch = item->batch;
    const struct cli_outcome outcome = {.index = item->index,
                                        .latency_ns = flo_clock_mono_ns() - item->started_ns,
                                        .result = result,
                                        .error = error};
    if (!error)
        batch->latencies[batch->completed++] = outcome.latency_ns;
    batch->finished++;
    if (batch->options->on_outcome)
        batch->options->on_outcome(batch->options->ctx, &outcome);
    show_progress(batch);
    event_free(item->retry);
    flo_free(item);
    if (batch->finished == batch->options->count)
        event_base_loopbreak(batch->session->base);
    else
        item_next(batch);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct item *item = arg;
    if (item->running)
        item_wait(item);
    else
        item_start(item);
}

static void item_trouble(struct item *item, const struct flo_grpc_status *status)
{
    if (worth_waiting(status->code)) {
        const struct timeval later = {.tv_usec = RETRY_MS * 1000L};
        evtimer_add(item->retry, &later);
        return;
    }
    char text[600];
    snprintf(text, sizeof text, "%s: %s", flo_grpc_code_name(status->code), status->message);
    item_finish(item, NULL, text);
}

/* The last event says how it ended. */
static void item_closed(struct item *item, const FloApi__HistoryEvent *event)
{
    struct flo_buf text;
    struct flo_err err = {0};
    json_t *result = NULL;
    flo_buf_init(&text, 0);
    switch (event->event_type) {
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
        if (flo_payloads_to_json(event->workflow_execution_completed_event_attributes->result,
                                 false, &result, &err))
            flo_buf_append_str(&text, err.message);
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
        flo_failure_describe(event->workflow_execution_failed_event_attributes->failure, &text);
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
        flo_buf_append_str(&text, "cancelled");
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
        flo_buf_append_str(&text, "terminated");
        break;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
        flo_buf_append_str(&text, "timed out");
        break;
    default:
        flo_buf_append_str(&text, "went on in another run");
        break;
    }
    item_finish(item, result, text.len ? flo_buf_cstr(&text) : NULL);
    json_decref(result);
    flo_buf_fini(&text);
}

static void on_history(void *ctx, const struct flo_grpc_status *status,
                       const ProtobufCMessage *message)
{
    struct item *item = ctx;
    const FloApi__GetWorkflowExecutionHistoryResponse *response =
        (const FloApi__GetWorkflowExecutionHistoryResponse *)message;
    if (status->code != FLO_GRPC_OK)
        item_trouble(item, status);
    else if (response->history && response->history->n_events)
        item_closed(item, response->history->events[response->history->n_events - 1]);
    else
        item_wait(item);
}

static void item_wait(struct item *item)
{
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    FloApi__GetWorkflowExecutionHistoryRequest request =
        FLO_API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    execution.workflow_id = item->workflow_id;
    execution.run_id = item->run_id;
    request.execution = &execution;
    request.wait_new_event = true;
    request.skip_archival = true;
    request.history_event_filter_type =
        FLO_API__HISTORY_EVENT_FILTER_TYPE__HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
    int rc = flo_client_get_workflow_execution_history(item->batch->session->client, &request,
                                                       on_history, item, NULL);
    if (rc)
        item_finish(item, NULL, flo_error_text(rc));
}

static void on_started(void *ctx, const struct flo_grpc_status *status,
                       const ProtobufCMessage *message)
{
    struct item *item = ctx;
    const FloApi__StartWorkflowExecutionResponse *response =
        (const FloApi__StartWorkflowExecutionResponse *)message;
    if (status->code != FLO_GRPC_OK) {
        item_trouble(item, status);
        return;
    }
    snprintf(item->run_id, sizeof item->run_id, "%s", response->run_id);
    item->running = true;
    item_wait(item);
}

static void item_start(struct item *item)
{
    struct batch *batch = item->batch;
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    json_t *input = batch->options->input(batch->options->ctx, item->index);
    FloApi__WorkflowType type = FLO_API__WORKFLOW_TYPE__INIT;
    FloApi__TaskQueue queue = FLO_API__TASK_QUEUE__INIT;
    FloApi__StartWorkflowExecutionRequest request = FLO_API__START_WORKFLOW_EXECUTION_REQUEST__INIT;
    type.name = (char *)(uintptr_t)batch->options->type;
    queue.name = (char *)(uintptr_t)batch->options->task_queue;
    queue.kind = FLO_API__TASK_QUEUE_KIND__TASK_QUEUE_KIND_NORMAL;
    request.workflow_id = item->workflow_id;
    request.request_id = item->request_id;
    request.workflow_type = &type;
    request.task_queue = &queue;
    request.input = flo_payloads_from_json(&arena, input);
    int rc = flo_client_start_workflow_execution(batch->session->client, &request, on_started, item,
                                                 NULL);
    json_decref(input);
    flo_arena_fini(&arena);
    if (rc)
        item_finish(item, NULL, flo_error_text(rc));
}

static void item_next(struct batch *batch)
{
    if (batch->stopped || batch->next == batch->options->count)
        return;
    struct item *item = flo_calloc(1, sizeof *item);
    if (!item) {
        batch->stopped = true;
        return;
    }
    item->batch = batch;
    item->index = batch->next++;
    item->started_ns = flo_clock_mono_ns();
    item->retry = evtimer_new(batch->session->base, on_retry, item);
    flo_rng_uuid4(&batch->rng, item->request_id);
    snprintf(item->workflow_id, sizeof item->workflow_id, "%s-%s", batch->options->id_prefix,
             item->request_id);
    item_start(item);
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct batch *batch = arg;
    batch->stopped = true;
    event_base_loopbreak(batch->session->base);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int64_t percentile(const int64_t *sorted, size_t count, unsigned percent)
{
    return count ? sorted[(count - 1) * percent / 100] : 0;
}

static void fill_report(struct batch *batch, struct cli_batch_report *out)
{
    size_t n = batch->completed;
    qsort(batch->latencies, n, sizeof *batch->latencies, by_value);
    *out = (struct cli_batch_report){
        .completed = n,
        .failed = batch->options->count - n,
        .elapsed_ns = flo_clock_mono_ns() - batch->began_ns,
        .p50_ns = percentile(batch->latencies, n, 50),
        .p95_ns = percentile(batch->latencies, n, 95),
        .p99_ns = percentile(batch->latencies, n, 99),
        .max_ns = percentile(batch->latencies, n, 100),
    };
}

int cli_batch_run(struct cli_session *session, const struct cli_batch_options *options,
                  struct cli_batch_report *out_report)
{
    struct batch batch = {.session = session, .options = options, .began_ns = flo_clock_mono_ns()};
    flo_rng_seed(&batch.rng, flo_random_u64());
    batch.latencies = flo_calloc(options->count, sizeof *batch.latencies);
    struct event *interrupt = evsignal_new(session->base, SIGINT, on_stop, &batch);
    struct event *deadline = evtimer_new(session->base, on_stop, &batch);
    if (!batch.latencies || !interrupt || !deadline) {
        fprintf(stderr, "flotilla: out of memory\n");
        return FLO_EXIT_INTERNAL;
    }
    evsignal_add(interrupt, NULL);
    if (options->timeout_ms >= 0) {
        struct timeval tv = {.tv_sec = options->timeout_ms / 1000,
                             .tv_usec = options->timeout_ms % 1000 * 1000};
        evtimer_add(deadline, &tv);
    }
    for (size_t i = 0; i < options->concurrency; i++)
        item_next(&batch);
    while (batch.finished < options->count && !batch.stopped)
        event_base_loop(session->base, EVLOOP_ONCE);
    if (batch.stopped)
        fprintf(stderr, "\nflotilla: stopped with %zu of %zu workflows unfinished\n",
                options->count - batch.finished, options->count);
    fill_report(&batch, out_report);
    event_free(interrupt);
    event_free(deadline);
    flo_free(batch.latencies);
    return out_report->failed ? FLO_EXIT_REFUSED : 0;
}

void cli_batch_print(const struct cli_batch_report *r)
{
    double seconds = (double)r->elapsed_ns / (double)FLO_NS_PER_S;
    printf("%zu workflows in %.2f s: %.1f workflows/s, %zu failed\n", r->completed, seconds,
           seconds > 0 ? (double)r->completed / seconds : 0, r->failed);
    printf("latency: p50 %.1f ms, p95 %.1f ms, p99 %.1f ms, max %.1f ms\n", (double)r->p50_ns / 1e6,
           (double)r->p95_ns / 1e6, (double)r->p99_ns / 1e6, (double)r->max_ns / 1e6);
}

json_t *cli_batch_json(const struct cli_batch_report *r)
{
    double seconds = (double)r->elapsed_ns / (double)FLO_NS_PER_S;
    return json_pack("{s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "completed",
                     (json_int_t)r->completed, "failed", (json_int_t)r->failed, "seconds", seconds,
                     "workflowsPerSecond", seconds > 0 ? (double)r->completed / seconds : 0.0,
                     "p50Ms", (double)r->p50_ns / 1e6, "p95Ms", (double)r->p95_ns / 1e6, "p99Ms",
                     (double)r->p99_ns / 1e6, "maxMs", (double)r->max_ns / 1e6);
}
