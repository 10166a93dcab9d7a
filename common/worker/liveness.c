/* SPDX-License-Identifier: Apache-2.0 */
/*
 * liveness.c - /health is about progress, not about existence: it fails when something here stands
 * still that only a new start can move, and says what.
 *
 *   pollers   a poll has been out for one and a half times the time limit of polls, over the
 *             connection that stands, and the server has not said a word about it: no task, no "no
 *             task", no error. A poll is only out with a slot free for it. An idle worker's polls
 *             come back empty every minute. Time without a server does not count: that is for
 *             /ready
 *   loop      the event loop does not turn (telemetry/watchdog.h)
 *   executor  a thread does not get out of an activity whose time is up (stuck.c)
 *   processes an executor process does not come up, or was killed and is still there
 *
 * Nothing here depends on how much work there is: an idle worker is healthy for ever.
 */
#include <event2/event.h>
#include <stdio.h>

#include "base/clock.h"
#include "worker/control.h"
#include "worker/quarantine.h"

#define WATCH_MIN_MS INT64_C(250)
#define WATCH_MAX_MS INT64_C(15000)
#define LAG_SAID_NS FLO_NS_PER_S
#define PROCESS_DOWN_MS INT64_C(60000)

static void check_pollers(struct flo_worker *worker)
{
    int64_t limit_ns = worker->config->server.long_poll_timeout_ms * 3 / 2 * FLO_NS_PER_MS;
    int64_t stands_ns = flo_clock_mono_ns() - worker->connected_ns;
    const char *kind = "", *queue = "";
    int64_t silence_ns = worker->connected ? flo_poll_silence_ns(worker, &kind, &queue) : 0;
    char reason[160];
    bool stuck = silence_ns > limit_ns && stands_ns > limit_ns;

    if (stuck)
        snprintf(reason, sizeof reason, "%s: a poll of %.80s has heard nothing for %lld s", kind,
                 queue, (long long)(silence_ns / FLO_NS_PER_S));
    flo_health_set_live(worker->health, "pollers", !stuck, stuck ? reason : NULL);
}

static void check_processes(struct flo_worker *worker)
{
    char reason[160];
    unsigned first = 0;
    size_t down =
        worker->executor ? flo_executor_down(worker->executor, PROCESS_DOWN_MS, &first) : 0;

    if (down > 0)
        snprintf(reason, sizeof reason,
                 "%zu executor processes, the first is number %u, have neither started nor ended "
                 "for %lld s",
                 down, first, (long long)(PROCESS_DOWN_MS / 1000));
    if (down > 0 || worker->processes_said)
        flo_health_set_live(worker->health, "processes", down == 0, down > 0 ? reason : NULL);
    worker->processes_said = down > 0;
}

static void on_watch(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    check_pollers(ctx);
    check_processes(ctx);
    flo_stuck_look(ctx);
    flo_poison_look(ctx);
    flo_poll_fill(ctx); /* nothing to do but after a poll that found no memory */
}

static size_t append(char *out, size_t size, size_t len, const char *text)
{
    while (*text && len + 1 < size)
        out[len++] = *text++;
    out[len] = '\0';
    return len;
}

/* What the loop is at. Called in a signal handler of the loop's thread: only looks, no stdio. */
static void say_at(void *ctx, char *out, size_t size)
{
    const struct flo_worker *worker = ctx;
    const struct flo_workflow_task *wt = worker->advancing;

    size_t len = 0;

    out[0] = '\0';
    if (!wt)
        return;
    len = append(out, size, len, "in the code of workflow ");
    len = append(out, size, len, wt->workflow_id);
    len = append(out, size, len, ", type ");
    append(out, size, len, wt->type);
}

static void on_lag(void *ctx, int64_t lag_ns)
{
    struct flo_worker *worker = ctx;

    flo_series_set(flo_metrics_get(worker->metrics, FLO_METRIC_LOOP_LAG, NULL),
                   (double)lag_ns / FLO_NS_PER_S);
    if (lag_ns > LAG_SAID_NS)
        flo_log(FLO_LOG_WARN, "loop.late", "The event loop was held up", "#late_ms",
                FLO_NUM(lag_ns / FLO_NS_PER_MS), NULL);
    if (lag_ns >= worker->config->health.stall_timeout_ms * FLO_NS_PER_MS)
        flo_tell(worker, FLO_LOG_ERROR, "loop.recovered",
                 "The event loop stood still, and turns again", "#stood_ms",
                 FLO_NUM(lag_ns / FLO_NS_PER_MS), NULL);
}

int flo_liveness_start(struct flo_worker *worker, struct flo_err *err)
{
    const struct flo_watchdog_options options = {.base = worker->base,
                                                 .http = worker->http,
                                                 .health = worker->health,
                                                 .limit_ms =
                                                     worker->config->health.stall_timeout_ms,
                                                 .at = say_at,
                                                 .on_lag = on_lag,
                                                 .ctx = worker};
    int64_t period_ms = worker->config->server.long_poll_timeout_ms / 4;
    struct timeval period;

    period_ms = period_ms < WATCH_MIN_MS ? WATCH_MIN_MS : period_ms;
    period_ms = period_ms > WATCH_MAX_MS ? WATCH_MAX_MS : period_ms;
    period = (struct timeval){.tv_sec = period_ms / 1000, .tv_usec = period_ms % 1000 * 1000};
    worker->watch = event_new(worker->base, -1, EV_PERSIST, on_watch, worker);
    if (!worker->watch || event_add(worker->watch, &period) < 0)
        return flo_fail(err, FLO_ENOMEM, "no memory for the watch timer");
    flo_health_set_live(worker->health, "pollers", true, NULL);
    return flo_watchdog_new(&options, &worker->watchdog, err);
}

void flo_liveness_fini(struct flo_worker *worker)
{
    flo_watchdog_destroy(&worker->watchdog);
    if (worker->watch)
        event_free(worker->watch);
}
