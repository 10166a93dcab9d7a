/* SPDX-License-Identifier: Apache-2.0 */
/*
 * burst.c - --burst: work until the queues are empty, then stop as for SIGTERM.
 *
 * An empty poll takes the server a minute, and says little of the next moment. So "empty" means all
 * of this, for a while (QUIET_MS):
 *
 *   - the worker polls, holds no task and has got none;
 *   - no run in the cache waits for an activity (a workflow worker's own work comes back when that
 *     ends; timers, signals and children may take for ever and are left to the next worker);
 *
 * and then the server says that nothing waits in any of the queues. Of a server that does not tell,
 * a longer silence (UNTOLD_MS) of open polls is taken for it. Attempts that are retried later wait
 * in no queue.
 */
#include <event2/event.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "config/exit_code.h"
#include "worker/backlog.h"
#include "worker/worker.h"

#define LOOK_US 250000L
#define QUIET_MS INT64_C(1000)
#define UNTOLD_MS INT64_C(5000)
#define SERVER_MS INT64_C(30000) /* a server that cannot be reached for so long is not coming */

struct flo_burst {
    struct flo_worker *worker;
    struct event *timer;
    struct flo_backlog backlog;
    uint64_t received; /* as of the last look */
    uint64_t asked;    /* as of the last question */
    int64_t quiet_ns;  /* monotonic: since when nothing has happened */
    int64_t away_ns;   /* monotonic: when the server was there last, or something ran */
};

static bool busy(const struct flo_worker *worker)
{
    return flo_capacity_busy(worker) > 0 || worker->polls == 0 || !worker->connected ||
           (worker->shards && flo_shards_cache_awaiting(worker->shards) > 0);
}

static void on_backlog(void *ctx, int64_t queued)
{
    struct flo_burst *burst = ctx;
    struct flo_worker *worker = burst->worker;
    int64_t quiet_ms = (flo_clock_mono_ns() - burst->quiet_ns) / FLO_NS_PER_MS;
    bool empty = queued == 0 || (queued < 0 && quiet_ms >= UNTOLD_MS);

    if (empty && !busy(worker) && worker->counts.received == burst->asked)
        flo_drain_begin(worker, "burst: the queues are empty");
}

/* A server that went away, or never came, for SERVER_MS; what runs here meanwhile may go on. */
static bool server_is_away(struct flo_burst *burst, int64_t now_ns)
{
    const struct flo_worker *worker = burst->worker;

    if ((worker->connected && worker->state != FLO_WORKER_STARTING) ||
        flo_capacity_busy(worker) > 0)
        burst->away_ns = now_ns;
    return now_ns - burst->away_ns > SERVER_MS * FLO_NS_PER_MS;
}

static void on_look(evutil_socket_t fd, short what, void *ctx)
{
    struct flo_burst *burst = ctx;
    struct flo_worker *worker = burst->worker;
    int64_t now_ns = flo_clock_mono_ns();

    (void)fd;
    (void)what;
    if (worker->state <= FLO_WORKER_RUNNING && server_is_away(burst, now_ns))
        flo_worker_stop(worker, FLO_EXIT_UNAVAILABLE);
    if (worker->state != FLO_WORKER_RUNNING)
        return;
    if (busy(worker) || worker->counts.received != burst->received) {
        burst->received = worker->counts.received;
        burst->quiet_ns = now_ns;
    } else if (now_ns - burst->quiet_ns >= QUIET_MS * FLO_NS_PER_MS) {
        if (burst->backlog.calls == 0)
            burst->asked = burst->received;
        flo_backlog_ask(&burst->backlog, worker, on_backlog, burst);
    }
}

int flo_burst_start(struct flo_worker *worker, struct flo_err *err)
{
    const struct timeval period = {.tv_usec = LOOK_US};
    struct flo_burst *burst = worker->burst = flo_calloc(1, sizeof *burst);

    if (burst) {
        burst->worker = worker;
        burst->quiet_ns = burst->away_ns = flo_clock_mono_ns();
        burst->timer = event_new(worker->base, -1, EV_PERSIST, on_look, burst);
    }
    if (!burst || !burst->timer || event_add(burst->timer, &period))
        return flo_fail(err, FLO_ENOMEM, "no memory for --burst");
    return 0;
}

void flo_burst_fini(struct flo_worker *worker)
{
    struct flo_burst *burst = worker->burst;

    if (!burst)
        return;
    worker->burst = NULL;
    if (burst->timer)
        event_free(burst->timer);
    flo_free(burst);
}
