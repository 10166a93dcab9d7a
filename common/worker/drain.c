/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drain.c - what signals do: SIGTERM and SIGINT stop the worker, SIGTSTP makes it quiet, SIGCONT
 * ends that.
 *
 * Quiet is what is said of polls below and no more: what runs ends in its own time, heartbeats go
 * on, the process stays, /ready says so. To resume is to poll again, under a new instance key: a
 * server may refuse polls of one that it was told is shut down.
 *
 * Stopping in order, within shutdown_timeout (T):
 *
 *   0            activities hear that the worker is stopping; no new polls; ShutdownWorker, so that
 *                the server stops matching tasks to us; a server that can ends the polls itself,
 *                else they are given up
 *   until then   running tasks finish
 *   T - 1 s - g  activities are told to stop (g: executor.grace); what they answer is reported
 *   T - 1 s      what still runs is reported as a retryable WorkerShutdown failure; from now on
 *                only answers are waited for, not threads
 *   T - 250 ms   end, whatever there is, within T: exit 0, or 75 when there is a task whose end the
 *                server does not know
 *
 * With a T below 2 s the last words begin at its half, and have their 750 ms after it. As soon as
 * nothing is left the loop ends. A second signal to stop ends the process at once, and its executor
 * processes with it.
 */
#include <event2/event.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "grpc/status.h"
#include "worker/control.h"
#include "worker/local.h"

#define LAST_WORD_MS INT64_C(1000) /* for the answers of what was cut */
#define LEAVE_MS INT64_C(250)      /* of those, to take the process apart */
#define POLLS_END_MS 3000          /* a server that ends polls itself gets this long */

static void on_polls_time(evutil_socket_t fd, short what, void *ctx);
static void on_cancel_time(evutil_socket_t fd, short what, void *ctx);
static void on_end_time(evutil_socket_t fd, short what, void *ctx);

static void on_signal(evutil_socket_t number, short what, void *ctx)
{
    struct flo_worker *worker = ctx;

    (void)what;
    if (worker->state >= FLO_WORKER_DRAINING)
        _exit(128 + (int)number); /* the second one: at once */
    flo_drain_begin(worker, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

static void on_quiet_signal(evutil_socket_t number, short what, void *ctx)
{
    (void)what;
    if (number == SIGTSTP)
        flo_quiet_begin(ctx, "SIGTSTP");
    else
        flo_quiet_end(ctx, "SIGCONT");
}

int flo_drain_init(struct flo_worker *worker, struct flo_err *err)
{
    static const int NUMBERS[] = {SIGTERM, SIGINT, SIGTSTP, SIGCONT};

    for (int i = 0; i < 4; i++) {
        worker->signals[i] =
            evsignal_new(worker->base, NUMBERS[i], i < 2 ? on_signal : on_quiet_signal, worker);
        if (!worker->signals[i] || event_add(worker->signals[i], NULL) < 0)
            return flo_fail(err, FLO_ENOMEM, "cannot watch for signals");
    }
    worker->drain_polls = evtimer_new(worker->base, on_polls_time, worker);
    worker->drain_cancel = evtimer_new(worker->base, on_cancel_time, worker);
    worker->drain_end = evtimer_new(worker->base, on_end_time, worker);
    if (!worker->drain_polls || !worker->drain_cancel || !worker->drain_end)
        return flo_fail(err, FLO_ENOMEM, "no memory for the timers of the shutdown");
    return 0;
}

void flo_drain_fini(struct flo_worker *worker)
{
    for (int i = 0; i < 4; i++)
        if (worker->signals[i])
            event_free(worker->signals[i]);
    if (worker->drain_polls)
        event_free(worker->drain_polls);
    if (worker->drain_cancel)
        event_free(worker->drain_cancel);
    if (worker->drain_end)
        event_free(worker->drain_end);
}

static void arm(struct event *timer, int64_t ms)
{
    struct timeval delay = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    event_add(timer, &delay);
}

static void on_shutdown_answer(void *ctx, const struct flo_grpc_status *status,
                               const ProtobufCMessage *response)
{
    struct flo_worker *worker = ctx;

    (void)response;
    worker->shutdown_called = --worker->shutdown_calls == 0;
    if (status->code != FLO_GRPC_OK && worker->state != FLO_WORKER_RUNNING)
        flo_poll_cancel_all(worker); /* they would go on; not those of a worker that has resumed */
    flo_drain_check(worker);
}

/* False: the call could not be made. */
static bool call_shutdown_worker(struct flo_worker *worker, const struct flo_task_queue *queue)
{
    FloApi__ShutdownWorkerRequest request = FLO_API__SHUTDOWN_WORKER_REQUEST__INIT;
    static char reason[] = "graceful shutdown";
    FloApi__TaskQueueType type = queue->kind == FLO_SLOT_WORKFLOW
                                     ? FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_WORKFLOW
                                     : FLO_API__TASK_QUEUE_TYPE__TASK_QUEUE_TYPE_ACTIVITY;

    request.identity = worker->identity;
    request.reason = reason;
    request.worker_instance_key = worker->instance_key;
    request.task_queue = queue->name;
    request.task_queue_types = &type;
    request.n_task_queue_types = 1;
    if (worker->shards && worker->shards->caching)
        request.sticky_task_queue = worker->sticky_queue;
    return !flo_client_shutdown_worker(worker->client, &request, on_shutdown_answer, worker, NULL);
}

/* One call a queue; shutdown_called once all have been answered, or there is nothing to wait for.
 */
static void call_shutdown(struct flo_worker *worker)
{
    for (size_t i = 0; i < worker->queue_count && worker->connected; i++)
        worker->shutdown_calls += call_shutdown_worker(worker, &worker->queues[i]);
    worker->shutdown_called = worker->shutdown_calls == 0;
}

/* No more polls: those that are out end, by the server where it can, else by us. */
static void end_polls(struct flo_worker *worker)
{
    call_shutdown(worker);
    if (!worker->complete_polls || worker->shutdown_called)
        flo_poll_cancel_all(worker);
    else
        arm(worker->drain_polls, POLLS_END_MS);
}

/* ---- quiet ---- */

static void say_quiet(struct flo_worker *worker, bool quiet, const char *why)
{
    flo_log(FLO_LOG_INFO, quiet ? "worker.quiet" : "worker.resumed",
            quiet ? "Worker quiet: it polls no more until it is told to resume" : "Worker resumed",
            FLO_LOG_WHO(worker), "reason", why, "#running", FLO_NUM(flo_capacity_busy(worker)),
            NULL);
    flo_health_set_ready(worker->health, "quiet", !quiet,
                         "quiet: no polls until SIGCONT or flotilla resume");
    flo_tell(worker, FLO_LOG_INFO, quiet ? "worker.quiet" : "worker.resumed",
             quiet ? "Worker quiet: it polls no more until it is told to resume" : "Worker resumed",
             "reason", why, "#running", FLO_NUM(flo_capacity_busy(worker)), NULL);
    if (worker->reporter)
        flo_reporter_send(worker->reporter);
}

void flo_quiet_begin(struct flo_worker *worker, const char *why)
{
    if (worker->state >= FLO_WORKER_QUIET || worker->quiet_at_start)
        return;
    if (worker->state == FLO_WORKER_STARTING) {
        worker->quiet_at_start = true; /* there are no polls yet */
    } else {
        worker->state = FLO_WORKER_QUIET;
        end_polls(worker);
    }
    say_quiet(worker, true, why);
}

void flo_quiet_end(struct flo_worker *worker, const char *why)
{
    struct flo_rng rng;

    if (worker->state != FLO_WORKER_QUIET && !worker->quiet_at_start)
        return;
    worker->quiet_at_start = false;
    if (worker->state == FLO_WORKER_QUIET) {
        flo_rng_seed(&rng, flo_random_u64());
        flo_rng_uuid4(&rng, worker->instance_key);
        event_del(worker->drain_polls);
        worker->state = FLO_WORKER_RUNNING;
    }
    say_quiet(worker, false, why);
    flo_poll_fill(worker);
}

/* ---- stopping ---- */

void flo_drain_begin(struct flo_worker *worker, const char *why)
{
    int64_t total_ms = worker->config->shutdown_timeout_ms;
    int64_t cancel_ms = total_ms - worker->config->executor.grace_ms - LAST_WORD_MS;

    if (worker->state >= FLO_WORKER_DRAINING)
        return;
    worker->state = FLO_WORKER_DRAINING;
    flo_log(FLO_LOG_INFO, "worker.draining", "Worker stopping", FLO_LOG_WHO(worker), "reason", why,
            "#running", FLO_NUM(flo_capacity_busy(worker)), "#timeout_ms", FLO_NUM(total_ms), NULL);
    flo_health_set_ready(worker->health, "draining", false, "the worker is stopping");
    worker->leave_by_ns = flo_clock_mono_ns() + (total_ms - LEAVE_MS) * FLO_NS_PER_MS;
    arm(worker->drain_cancel, cancel_ms > total_ms / 2 ? cancel_ms : total_ms / 2);
    arm(worker->drain_end, total_ms > 2 * LAST_WORD_MS ? total_ms - LAST_WORD_MS : total_ms / 2);
    end_polls(worker);
    if (worker->executor)
        flo_executor_notice_stopping(worker->executor);
    flo_local_notice_stopping(worker);
    flo_service_stopping(worker);
    flo_tell(worker, FLO_LOG_INFO, "worker.draining", "Worker stopping", "reason", why, "#running",
             FLO_NUM(flo_capacity_busy(worker)), "#timeout_ms", FLO_NUM(total_ms), NULL);
    if (worker->reporter)
        flo_reporter_send(worker->reporter);
    flo_drain_check(worker);
}

/* Is anything on its way to the server, or about to be? A thread that works on is not. */
static bool answers_outstanding(const struct flo_worker *worker)
{
    if (!flo_list_empty(&worker->workflow_tasks))
        return true;
    FLO_LIST_FOREACH(node, &worker->activity_tasks)
    {
        const struct flo_activity_task *at = flo_container(node, struct flo_activity_task, node);
        if (at->answer || !at->running) /* not running: its last heartbeat is flushed first */
            return true;
    }
    return false;
}

void flo_drain_check(struct flo_worker *worker)
{
    if (worker->state < FLO_WORKER_DRAINING || worker->state == FLO_WORKER_STOPPED)
        return;
    if ((worker->polls == 0 && flo_capacity_busy(worker) == 0 && worker->shutdown_called) ||
        (worker->last_words && !answers_outstanding(worker)))
        flo_worker_stop(worker, 0);
}

/* The server did not end our polls in time. */
static void on_polls_time(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    flo_poll_cancel_all(ctx);
    flo_drain_check(ctx);
}

/* T - 1 s - g: tell activities to stop. Workflow tasks are short; they need no telling. */
static void on_cancel_time(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_worker *worker = ctx;

    (void)fd;
    (void)what;
    worker->state = FLO_WORKER_CANCELLING;
    flo_poll_cancel_all(worker);
    FLO_LIST_FOREACH(node, &worker->activity_tasks)
    flo_activity_cancel(flo_container(node, struct flo_activity_task, node),
                        FLO_JOB_CANCEL_SHUTDOWN);
    flo_local_cut(worker);
    flo_drain_check(worker);
}

/* T - 1 s: report what does not stop, so that the server need not wait for its timeout, and give
 * the answers that are on their way the time that is left. */
static void on_end_time(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_worker *worker = ctx;

    (void)fd;
    (void)what;
    if (worker->last_words) { /* those had their time */
        flo_worker_stop(worker, 0);
        return;
    }
    FLO_LIST_FOREACH_SAFE(node, &worker->activity_tasks)
    {
        struct flo_activity_task *at = flo_container(node, struct flo_activity_task, node);
        if (!at->running || at->outcome.len > 0)
            continue;
        flo_outcome_fail(at, FLO_FAILURE_SHUTDOWN, "The worker is shutting down");
        at->end = FLO_END_CUT;
        flo_respond_activity(at);
    }
    flo_local_cut_now(worker);
    worker->last_words = true;
    arm(worker->drain_end, LAST_WORD_MS - LEAVE_MS);
    flo_drain_check(worker);
}
