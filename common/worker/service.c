/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.c - the worker as a service of systemd: its state in a line, more time while it starts or
 * drains, and the watchdog, which is fed only while all that liveness.c looks at gets on. Without a
 * service manager there is no timer.
 */
#include <event2/event.h>

#include "telemetry/notify.h"
#include "worker/control.h"

#define TICK_S 2
#define EXTEND_MS 10000 /* of which the next tick asks again */

static void say_status(const struct flo_worker *worker)
{
    const uint64_t *ended = worker->counts.ended;
    const char *server = worker->config->server.address;
    size_t busy = flo_capacity_busy(worker);

    if (worker->state >= FLO_WORKER_DRAINING)
        flo_notify_status("Draining: %zu tasks run", busy);
    else if (!worker->connected)
        flo_notify_status("No connection to the server at %s: %zu tasks run", server, busy);
    else if (worker->state == FLO_WORKER_STARTING)
        flo_notify_status("Waiting for an answer of the server at %s", server);
    else
        flo_notify_status("%s %s%s: %zu tasks run, %llu completed, %llu failed",
                          worker->state == FLO_WORKER_QUIET ? "Quiet, polls no more" : "Polls",
                          worker->queues[0].name, worker->queue_count > 1 ? " and others" : "",
                          busy, (unsigned long long)ended[FLO_END_COMPLETED],
                          (unsigned long long)ended[FLO_END_FAILED]);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_worker *worker = ctx;

    (void)fd;
    (void)what;
    /* A server that is away is waited for, however long it takes. */
    if (worker->state == FLO_WORKER_STARTING || worker->state >= FLO_WORKER_DRAINING)
        flo_notify_extend(EXTEND_MS);
    say_status(worker);
}

void flo_service_ready(struct flo_worker *worker)
{
    flo_notify_ready();
    say_status(worker);
}

void flo_service_stopping(struct flo_worker *worker)
{
    flo_notify_stopping();
    on_tick(-1, 0, worker);
}

int flo_service_start(struct flo_worker *worker, struct flo_err *err)
{
    const struct timeval tick = {.tv_sec = TICK_S};

    if (!flo_notify_wanted())
        return 0;
    worker->service = event_new(worker->base, -1, EV_PERSIST, on_tick, worker);
    if (!worker->service || event_add(worker->service, &tick))
        return flo_fail(err, FLO_ENOMEM, "no memory for the service manager's timer");
    on_tick(-1, 0, worker);
    return flo_notify_feed(worker->base, worker->health, &worker->service_watchdog, err);
}

void flo_service_fini(struct flo_worker *worker)
{
    if (worker->service)
        event_free(worker->service);
    if (worker->service_watchdog)
        event_free(worker->service_watchdog);
    worker->service = worker->service_watchdog = NULL;
}
