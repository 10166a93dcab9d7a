/* SPDX-License-Identifier: Apache-2.0 */
/* batch.c - running many workflows; each is a small state: starting, sending signals, waiting,
 * done. */
#include "cli/batch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/random.h"
#include "cli/pollers.h"
#include "cli/progress.h"
#include "wire/failure.h"
#include "wire/payload.h"

#define RETRY_MS 300

struct item {
    struct flo_node node; /* in batch->items */
    struct batch *batch;
    size_t index;
    char workflow_id[128];
    char run_id[64];
    char request_id[37];
    int64_t started_ns;           /* at a rate: when it should have been */
    struct event *retry;          /* until the next try after an error */
    struct flo_client_call *call; /* what is under way, or NULL */
    bool running;                 /* started: gets its signals, then waits for the end */
    size_t signalled;             /* signals that the server has acknowledged */
};

struct batch {
    struct cli_session *session;
    const struct cli_batch_options *options;
    struct flo_rng rng;
    struct flo_list items; /* started and not finished */
    size_t next;           /* index of the next to start */
    size_t finished;       /* completed or failed */
    size_t completed;
    size_t ends[CLI_END_COUNT];
    int64_t *latencies; /* [completed] */
    struct event *pace; /* at a rate: when the next starts are due */
    int64_t began_ns;
    struct cli_progress progress;
    struct cli_pollers pollers;
    bool stopped;     /* SIGINT, the time is up, or the server stays away */
    bool interrupted; /* it was SIGINT */
    bool lost;        /* it was the server */
};

static void item_next(struct batch *batch);
static void item_start(struct item *item);
static void item_go_on(struct item *item);
static void item_wait(struct item *item);

/* Errors that pass: the server is away, busy or was asked to wait. Anything else, also UNKNOWN and
 * INTERNAL (which the client has tried again some times), would be tried without end. */
static bool worth_waiting(int code)
{
    switch (code) {
    case FLO_GRPC_UNAVAILABLE:
    case FLO_GRPC_DEADLINE_EXCEEDED:
    case FLO_GRPC_RESOURCE_EXHAUSTED:
    case FLO_GRPC_CANCELLED:
    case FLO_GRPC_ABORTED:
        return true;
    default:
        return false;
    }
}

/* Do starts follow a clock, and not the ends of others? */
static bool is_paced(const struct cli_batch_options *options)
{
    return options->rate || options->batch_size;
}

static void item_free(struct item *item)
{
    flo_list_remove(&item->batch->items, &item->node);
    flo_client_call_cancel(&item->call);
    if (item->retry)
        event_free(item->retry);
    flo_free(item);
}

/* error: what a person should read, NULL for completed. */
static void item_finish(struct item *item, enum cli_end end, const json_t *result,
                        const char *error)
{
    struct batch *batch = item->batch;
    const struct cli_outcome outcome = {.index = item->index,
                                        .end = end,
                                        .latency_ns = flo_clock_mono_ns() - item->started_ns,
                                        .result = result,
                                        .error = error};
    batch->ends[end]++;
    if (end == CLI_END_COMPLETED)
        batch->latencies[batch->completed++] = outcome.latency_ns;
    batch->finished++;
    if (batch->options->on_outcome)
        batch->options->on_outcome(batch->options->ctx, &outcome);
    cli_progress_ended(&batch->progress);
    item_free(item);
    if (cli_pollers_lacking(&batch->pollers))
        cli_pollers_ask(&batch->pollers, NULL, NULL); /* it seems that somebody has come */
    if (batch->finished == batch->options->count)
        event_base_loopbreak(batch->session->base);
    else if (!is_paced(batch->options))
        item_next(batch);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct item *item = arg;
    if (item->running)
        item_go_on(item);
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
    item_finish(item, CLI_END_CALL_ERROR, NULL, text);
}

static enum cli_end end_of(const FloApi__HistoryEvent *event)
{
    switch (event->event_type) {
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
        return CLI_END_COMPLETED;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
        return CLI_END_FAILED;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
        return CLI_END_CANCELLED;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
        return CLI_END_TERMINATED;
    case FLO_API__EVENT_TYPE__EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
        return CLI_END_TIMED_OUT;
    default:
        return CLI_END_CONTINUED;
    }
}

/* The result of a completed workflow; CLI_END_WRONG_RESULT with the reason in text. */
static enum cli_end check_result(struct item *item, const FloApi__HistoryEvent *event,
                                 struct flo_buf *text, json_t **out_result)
{
    const struct cli_batch_options *options = item->batch->options;
    struct flo_err err = {0};
    if (flo_payloads_show(event->workflow_execution_completed_event_attributes->result, false,
                          out_result, &err)) {
        flo_buf_append_str(text, err.message);
        return CLI_END_WRONG_RESULT;
    }
    if (!options->accept || options->accept(options->ctx, item->index, *out_result, text))
        return CLI_END_COMPLETED;
    if (text->len == 0)
        flo_buf_append_str(text, "the result is not what was expected");
    return CLI_END_WRONG_RESULT;
}

/* The last event says how it ended. */
static void item_closed(struct item *item, const FloApi__HistoryEvent *event)
{
    struct flo_buf text;
    json_t *result = NULL;
    enum cli_end end = end_of(event);
    flo_buf_init(&text, 0);
    if (end == CLI_END_COMPLETED)
        end = check_result(item, event, &text, &result);
    else if (end == CLI_END_FAILED)
        flo_failure_describe(event->workflow_execution_failed_event_attributes->failure, &text);
    else
        flo_buf_append_str(&text, cli_end_name(end));
    item_finish(item, end, result, end == CLI_END_COMPLETED ? NULL : flo_buf_cstr(&text));
    json_decref(result);
    flo_buf_fini(&text);
}

static void on_history(void *ctx, const struct flo_grpc_status *status,
                       const ProtobufCMessage *message)
{
    struct item *item = ctx;
    const FloApi__GetWorkflowExecutionHistoryResponse *response =
        (const FloApi__GetWorkflowExecutionHistoryResponse *)message;
    item->call = NULL; /* it has ended */
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
                                                       on_history, item, &item->call);
    if (rc)
        item_finish(item, CLI_END_CALL_ERROR, NULL, flo_error_text(rc));
}

static void on_signalled(void *ctx, const struct flo_grpc_status *status,
                         const ProtobufCMessage *message)
{
    struct item *item = ctx;
    (void)message;
    item->call = NULL; /* it has ended */
    if (status->code == FLO_GRPC_OK) {
        item->signalled++;
        item_go_on(item);
    } else if (status->code == FLO_GRPC_NOT_FOUND) {
        item_wait(item); /* it has ended already; how it did says more than this */
    } else {
        item_trouble(item, status);
    }
}

static void item_signal(struct item *item)
{
    const struct cli_batch_options *options = item->batch->options;
    FloApi__WorkflowExecution execution = FLO_API__WORKFLOW_EXECUTION__INIT;
    FloApi__SignalWorkflowExecutionRequest request =
        FLO_API__SIGNAL_WORKFLOW_EXECUTION_REQUEST__INIT;
    char request_id[64]; /* the same when it is repeated */
    snprintf(request_id, sizeof request_id, "%s-%zu", item->request_id, item->signalled);
    execution.workflow_id = item->workflow_id;
    execution.run_id = item->run_id;
    request.workflow_execution = &execution;
    request.signal_name = (char *)(uintptr_t)options->signal_name;
    request.request_id = request_id;
    int rc = flo_client_signal_workflow_execution(item->batch->session->client, &request,
                                                  on_signalled, item, &item->call);
    if (rc)
        item_finish(item, CLI_END_CALL_ERROR, NULL, flo_error_text(rc));
}

/* What comes next for a workflow that has started. */
static void item_go_on(struct item *item)
{
    if (item->signalled < item->batch->options->signals)
        item_signal(item);
    else
        item_wait(item);
}

static void on_started(void *ctx, const struct flo_grpc_status *status,
                       const ProtobufCMessage *message)
{
    struct item *item = ctx;
    const FloApi__StartWorkflowExecutionResponse *response =
        (const FloApi__StartWorkflowExecutionResponse *)message;
    item->call = NULL; /* it has ended */
    if (status->code != FLO_GRPC_OK) {
        item_trouble(item, status);
        return;
    }
    snprintf(item->run_id, sizeof item->run_id, "%s", response->run_id);
    item->running = true;
    item_go_on(item);
}

static void item_start(struct item *item)
{
    struct batch *batch = item->batch;
    struct flo_arena arena;
    flo_arena_init(&arena, 0);
    const struct cli_batch_options *options = batch->options;
    json_t *input = options->input(options->ctx, item->index);
    struct cli_start_request start;
    cli_start_request_init(&start, item->workflow_id, item->request_id,
                           options->type_of ? options->type_of(options->ctx, item->index)
                                            : options->type,
                           options->task_queue);
    start.message.input = flo_payloads_from_json(&arena, input);
    int rc = flo_client_start_workflow_execution(batch->session->client, &start.message, on_started,
                                                 item, &item->call);
    json_decref(input);
    flo_arena_fini(&arena);
    if (rc)
        item_finish(item, CLI_END_CALL_ERROR, NULL, flo_error_text(rc));
}

/* Paced: when workflow index should start. A late one counts as waiting from here on, so that
 * a server that stalls is not flattered by starts that it held up (coordinated omission). */
static int64_t due_ns(const struct batch *batch, size_t index)
{
    size_t rate = batch->options->rate, size = batch->options->batch_size;
    if (size)
        return batch->began_ns + (int64_t)(index / size) * batch->options->delay_ms * FLO_NS_PER_MS;
    return batch->began_ns + (int64_t)(index / rate) * FLO_NS_PER_S +
           (int64_t)(index % rate) * FLO_NS_PER_S / (int64_t)rate;
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
    item->started_ns = is_paced(batch->options) ? due_ns(batch, item->index) : flo_clock_mono_ns();
    flo_list_push_back(&batch->items, &item->node);
    item->retry = evtimer_new(batch->session->base, on_retry, item);
    flo_rng_uuid4(&batch->rng, item->request_id);
    snprintf(item->workflow_id, sizeof item->workflow_id, "%s-%s", batch->options->id_prefix,
             item->request_id);
    item_start(item);
}

/* Start what is due and sleep until the next is. */
static void on_pace(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct batch *batch = arg;
    int64_t wait_ns = 0;
    while (!batch->stopped && batch->next < batch->options->count) {
        wait_ns = due_ns(batch, batch->next) - flo_clock_mono_ns();
        if (wait_ns > 0)
            break;
        item_next(batch);
    }
    if (batch->stopped || batch->next == batch->options->count)
        return;
    const struct timeval later = {.tv_sec = wait_ns / FLO_NS_PER_S,
                                  .tv_usec = wait_ns % FLO_NS_PER_S / 1000};
    evtimer_add(batch->pace, &later);
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    struct batch *batch = arg;
    batch->stopped = true;
    batch->interrupted = what & EV_SIGNAL;
    event_base_loopbreak(batch->session->base);
}

static void on_give_up(void *ctx)
{
    struct batch *batch = ctx;
    batch->stopped = batch->lost = true;
    event_base_loopbreak(batch->session->base);
}

/* None has ended for a while: ask for the one that has waited longest. */
static void on_still(void *ctx)
{
    struct batch *batch = ctx;
    FLO_LIST_FOREACH(node, &batch->items)
    {
        const struct item *item = flo_container(node, struct item, node);
        if (!item->running)
            continue;
        cli_pollers_ask(&batch->pollers, item->workflow_id, item->run_id);
        return;
    }
    if (!flo_list_empty(&batch->items)) /* not even started */
        cli_pollers_ask(&batch->pollers, NULL, NULL);
}

static bool begin_progress(struct batch *batch)
{
    const struct cli_progress_options options = {.what = "workflows",
                                                 .total = batch->options->count,
                                                 .show = batch->options->progress,
                                                 .every_ms = batch->options->progress_every_ms,
                                                 .away_ms = batch->options->server_timeout_ms,
                                                 .on_still = on_still,
                                                 .on_give_up = on_give_up,
                                                 .ctx = batch};
    cli_pollers_init(&batch->pollers, batch->session, &batch->progress, batch->options->task_queue);
    return cli_progress_init(&batch->progress, batch->session, &options);
}

static void say_stopped(const struct batch *batch)
{
    fprintf(stderr, "flotilla: stopped: %zu of %zu workflows ended, %zu %s, %zu were not started\n",
            batch->finished, batch->options->count, batch->next - batch->finished,
            batch->interrupted ? "go on"
            : batch->lost      ? "were not heard of any more"
                               : "did not end in time",
            batch->options->count - batch->next);
}

static enum cli_end end_of_running(const struct batch *batch)
{
    return batch->interrupted ? CLI_END_LEFT : batch->lost ? CLI_END_LOST : CLI_END_UNFINISHED;
}

static void fill_report(struct batch *batch, struct cli_batch_report *out)
{
    size_t running = batch->next - batch->finished;
    batch->ends[end_of_running(batch)] = running;
    *out = (struct cli_batch_report){
        .completed = batch->completed,
        .failed = batch->next - batch->completed - (batch->interrupted ? running : 0),
        .not_started = batch->options->count - batch->next,
        .interrupted = batch->interrupted,
        .elapsed_ns = flo_clock_mono_ns() - batch->began_ns,
    };
    memcpy(out->ends, batch->ends, sizeof out->ends);
    cli_batch_percentiles(batch->latencies, batch->completed, out);
}

int cli_batch_run(struct cli_session *session, const struct cli_batch_options *options,
                  struct cli_batch_report *out_report)
{
    struct batch batch = {.session = session, .options = options, .began_ns = flo_clock_mono_ns()};
    flo_list_init(&batch.items);
    flo_rng_seed(&batch.rng, flo_random_u64());
    batch.latencies = flo_calloc(options->count, sizeof *batch.latencies);
    struct event *interrupt = evsignal_new(session->base, SIGINT, on_stop, &batch);
    struct event *deadline = evtimer_new(session->base, on_stop, &batch);
    batch.pace = evtimer_new(session->base, on_pace, &batch);
    if (!begin_progress(&batch) || !batch.latencies || !interrupt || !deadline || !batch.pace) {
        fprintf(stderr, "flotilla: out of memory\n");
        return FLO_EXIT_INTERNAL;
    }
    evsignal_add(interrupt, NULL);
    if (options->timeout_ms >= 0) {
        struct timeval tv = {.tv_sec = options->timeout_ms / 1000,
                             .tv_usec = options->timeout_ms % 1000 * 1000};
        evtimer_add(deadline, &tv);
    }
    if (is_paced(options))
        on_pace(-1, 0, &batch);
    for (size_t i = 0; !is_paced(options) && i < options->concurrency && i < options->count; i++)
        item_next(&batch);
    while (batch.finished < options->count && !batch.stopped)
        event_base_loop(session->base, EVLOOP_ONCE);
    cli_pollers_fini(&batch.pollers);
    cli_progress_fini(&batch.progress);
    if (batch.stopped)
        say_stopped(&batch);
    fill_report(&batch, out_report);
    FLO_LIST_FOREACH_SAFE(node, &batch.items)
    item_free(flo_container(node, struct item, node));
    event_free(interrupt);
    event_free(deadline);
    event_free(batch.pace);
    flo_free(batch.latencies);
    return batch.lost ? FLO_EXIT_UNAVAILABLE
           : out_report->failed || (out_report->not_started && !batch.interrupted)
               ? FLO_EXIT_REFUSED
           : batch.interrupted ? FLO_EXIT_SECOND_SIGNAL
                               : 0;
}
