/* SPDX-License-Identifier: Apache-2.0 */
/*
 * observe.c - what others see of the worker: health and metrics pages, the supervisor's reports,
 * the state of the connection.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "base/clock.h"
#include "config/process.h"
#include "grpc/status.h"
#include "worker/control.h"

const char *flo_observe_worker_type(const struct flo_worker *worker)
{
    return worker->role->role == FLO_ROLE_WORKFLOW ? "WorkflowWorker" : "ActivityWorker";
}

void flo_observe_connection(void *ctx, bool connected, const char *reason)
{
    struct flo_worker *worker = ctx;
    const char *address = worker->config->server.address;

    flo_series_set(flo_metrics_get(worker->metrics, FLO_METRIC_CONNECTED, address, NULL),
                   connected);
    if (connected && worker->was_connected && !worker->connected)
        flo_series_inc(flo_metrics_get(worker->metrics, FLO_METRIC_RECONNECTS, address, NULL));
    worker->connected = connected;
    flo_health_set_ready(worker->health, "server", connected, connected ? NULL : reason);
    if (connected) {
        flo_log(FLO_LOG_INFO, "server.connected", "Connected", FLO_LOG_WHO(worker), "server",
                address, NULL);
        if (worker->warned)
            flo_tell(worker, FLO_LOG_INFO, "server.connected", "The server is back", "server",
                     address, NULL);
        worker->was_connected = true;
        worker->connected_ns = flo_clock_mono_ns();
        worker->warned = false;
    } else if (!worker->warned && worker->state < FLO_WORKER_STOPPED) {
        worker->warned = true; /* once, not at each attempt */
        flo_log(FLO_LOG_WARN, "server.unreachable", "Connection error", FLO_LOG_WHO(worker),
                "server", address, "reason", reason, NULL);
        flo_tell(worker, FLO_LOG_WARN, "server.unreachable", "The server cannot be reached",
                 "server", address, "reason", reason, NULL);
    }
}

void flo_observe_unsent(void *ctx, const char *operation, const char *reason)
{
    struct flo_worker *worker = ctx;

    flo_log(FLO_LOG_ERROR, "codec.failed", "An answer was kept back: a codec failed",
            FLO_LOG_WHO(worker), "operation", operation, "reason", reason, NULL);
    flo_tell(worker, FLO_LOG_ERROR, "codec.failed", "An answer was kept back: a codec failed",
             "operation", operation, "reason", reason, NULL);
}

void flo_observe_try(void *ctx, const char *operation, int code, int64_t duration_ns,
                     bool long_poll)
{
    struct flo_worker *worker = ctx;
    const char *ns = worker->config->server.name_space;
    struct flo_series *count, *latency;

    flo_series_of_call(worker, operation, long_poll, &count, &latency);
    flo_series_inc(count);
    flo_series_observe(latency, (double)duration_ns / FLO_NS_PER_S);
    if (code == FLO_GRPC_OK)
        return;
    flo_series_inc(flo_metrics_get(
        worker->metrics, long_poll ? FLO_METRIC_LONG_REQUEST_FAILURE : FLO_METRIC_REQUEST_FAILURE,
        ns, operation, flo_grpc_code_name(code), NULL));
    if (code == FLO_GRPC_RESOURCE_EXHAUSTED)
        flo_series_inc(flo_metrics_get(worker->metrics,
                                       long_poll ? FLO_METRIC_LONG_REQUEST_RESOURCE_EXHAUSTED
                                                 : FLO_METRIC_REQUEST_RESOURCE_EXHAUSTED,
                                       ns, operation, NULL));
}

/* A slot that the queue has and the capacity has not is not available. */
static void collect_slots(struct flo_task_queue *queue, const char *type)
{
    const struct flo_slots *slots = &queue->slots;
    size_t left = flo_slots_free(&queue->worker->capacity[queue->kind]);
    size_t free = flo_slots_free(slots) < left ? flo_slots_free(slots) : left;

    flo_series_set(FLO_METRIC(queue, SLOTS_AVAILABLE, type), (double)(free + slots->reserved));
    flo_series_set(FLO_METRIC(queue, SLOTS_USED, type), (double)slots->running);
    flo_series_set(FLO_METRIC(queue, SLOT_UTILIZATION, type),
                   slots->total ? (double)slots->running / (double)slots->total : 0);
}

/* Only of a worker that has run one. */
static void collect_local_slots(struct flo_worker *worker)
{
    static const char type[] = "LocalActivityWorker";
    struct flo_task_queue *first = worker->queues;
    const struct flo_slots *slots = &worker->capacity[FLO_SLOT_LOCAL_ACTIVITY];

    flo_series_set(FLO_METRIC(first, SLOTS_AVAILABLE, type), (double)flo_slots_free(slots));
    flo_series_set(FLO_METRIC(first, SLOTS_USED, type), (double)slots->running);
    flo_series_set(FLO_METRIC(first, SLOT_UTILIZATION, type),
                   slots->total ? (double)slots->running / (double)slots->total : 0);
}

static void collect_tokens(struct flo_worker *worker)
{
    const struct flo_tokens *tokens = &worker->limits->tokens;

    for (size_t i = 0; i < tokens->count; i++) {
        const struct flo_token_pool *pool = &tokens->pools[i];
        flo_series_set(
            flo_metrics_get(worker->metrics, FLO_METRIC_TOKENS_AVAILABLE, pool->name, NULL),
            pool->total - pool->taken);
        flo_series_set(flo_metrics_get(worker->metrics, FLO_METRIC_TOKENS_USED, pool->name, NULL),
                       pool->taken);
    }
}

/* The sticky cache, and what is replayed without it. */
static void collect_workflows(struct flo_worker *worker)
{
    struct flo_task_queue *first = worker->queues;
    const struct flo_replays *replays = &worker->replays;
    struct flo_run_cache_stats stats;

    flo_series_set(FLO_METRIC(first, WORKFLOW_REPLAYS, "running"), (double)replays->running);
    flo_series_set(FLO_METRIC(first, WORKFLOW_REPLAYS, "waiting"), (double)replays->waiting.count);
    if (!worker->shards->caching)
        return;
    flo_shards_cache_stats(worker->shards, &stats);
    flo_series_set(FLO_METRIC(first, STICKY_CACHE_SIZE), (double)stats.entries);
    flo_series_set(FLO_METRIC(first, STICKY_CACHE_BYTES), (double)stats.bytes);
    flo_series_set(FLO_METRIC(first, STICKY_CACHE_HIT), (double)stats.hits);
    flo_series_set(FLO_METRIC(first, STICKY_CACHE_MISS), (double)stats.misses);
    flo_series_set(FLO_METRIC(first, STICKY_CACHE_EVICTION), (double)stats.evictions);
    for (int reason = 0; reason < FLO_EVICT_REASONS; reason++)
        flo_series_set(FLO_METRIC(first, STICKY_CACHE_EVICTED,
                                  flo_evict_reason_name((enum flo_evict_reason)reason)),
                       (double)stats.evicted[reason]);
}

/* Gauges that are read when somebody looks. */
static void collect(void *ctx, struct flo_metrics *metrics)
{
    struct flo_worker *worker = ctx;

    (void)metrics;
    for (size_t i = 0; i < worker->queue_count; i++)
        collect_slots(&worker->queues[i], flo_observe_worker_type(worker));
    if (worker->locals)
        collect_local_slots(worker);
    if (worker->limits)
        collect_tokens(worker);
    if (worker->shards)
        collect_workflows(worker);
}

static void sample(void *ctx, struct flo_report_sample *out)
{
    const struct flo_worker *worker = ctx;
    enum flo_slot_kind kind = worker->queues[0].kind;
    const uint64_t *ended = worker->counts.ended;

    out->draining = worker->state >= FLO_WORKER_DRAINING;
    out->quiet = worker->state == FLO_WORKER_QUIET || worker->quiet_at_start;
    out->ready = flo_health_is_ready(worker->health);
    out->slots[0].kind = flo_slot_kind_name(kind);
    out->slots[0].used = (uint32_t)worker->capacity[kind].running;
    out->slots[0].total = (uint32_t)flo_capacity_total(worker, kind);
    out->slot_count = 1;
    out->tasks_done = ended[FLO_END_COMPLETED] + ended[FLO_END_CANCELLED];
    out->tasks_failed = ended[FLO_END_FAILED] + ended[FLO_END_CUT];
    out->polls = (uint32_t)worker->polls;
}

static int start_pages(struct flo_worker *worker, struct flo_err *err)
{
    const struct flo_role_config *config = worker->config;
    char metrics_address[FLO_HTTP_ADDRESS_MAX];
    int rc = flo_http_new(worker->base, worker->metrics, worker->health, &worker->http, err);

    if (!rc)
        rc = flo_http_listen_both(worker->http, config->health.host, (int)config->health.port,
                                  config->metrics.host, (int)config->metrics.port,
                                  worker->http_address, metrics_address, err);
    if (rc)
        return rc;
    flo_process_announce(worker->program, "http", worker->http_address);
    flo_process_announce(worker->program, "metrics", metrics_address);
    return 0;
}

static int start_reporter(struct flo_worker *worker, struct flo_err *err)
{
    const struct flo_role_config *config = worker->config;
    const char *name = getenv("FLOTILLA_PROCESS");
    struct flo_buf queues;
    int rc;

    if (!config->supervisor.endpoint[0])
        return 0;
    flo_buf_init(&queues, 4096);
    flo_queues_names(worker, &queues);
    const struct flo_report_options options = {
        .endpoint = config->supervisor.endpoint,
        .secret_key_file = config->supervisor.curve.secret_key_file,
        .server_key_file = config->supervisor.curve.server_key_file,
        .identity = worker->identity,
        .role = flo_role_name(config->role),
        .name = name ? name : "",
        .version = flo_version(),
        .server = config->server.address,
        .name_space = config->server.name_space,
        .task_queue = flo_buf_cstr(&queues),
        .http_address = worker->http_address,
        .interval_ms = config->supervisor.interval_ms,
        .metrics = worker->metrics,
        .sample = sample,
        .sample_ctx = worker,
        .command = flo_command,
        .command_ctx = worker,
    };

    rc = flo_reporter_new(worker->base, &options, &worker->reporter, err);
    flo_buf_fini(&queues);
    if (!rc)
        flo_tell(worker, FLO_LOG_INFO, "worker.started", "Worker started", "version", flo_version(),
                 NULL);
    return rc;
}

int flo_observe_start(struct flo_worker *worker, struct flo_err *err)
{
    const struct flo_role_config *config = worker->config;
    int rc;

    flo_metrics_set_naming(worker->metrics, (enum flo_naming)config->metrics.naming);
    flo_metrics_set_max_series(worker->metrics, (size_t)config->metrics.max_series);
    rc = start_pages(worker, err);
    if (!rc)
        rc = flo_metrics_add_process(worker->metrics, flo_version(), flo_role_name(config->role));
    if (!rc)
        rc = flo_metrics_on_collect(worker->metrics, collect, worker);
    if (!rc)
        rc = flo_health_export(worker->health, worker->metrics);
    if (rc)
        return err->code ? rc : flo_fail(err, rc, "cannot set up the metrics");
    rc = flo_liveness_start(worker, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < worker->queue_count; i++)
        flo_series_inc(
            FLO_METRIC(&worker->queues[i], WORKER_START, flo_observe_worker_type(worker)));
    flo_health_set_ready(worker->health, "started", false, "the server has not answered yet");
    return start_reporter(worker, err);
}

void flo_observe_fini(struct flo_worker *worker)
{
    flo_reporter_destroy(&worker->reporter);
    flo_liveness_fini(worker);
    flo_http_destroy(&worker->http);
}
