/* SPDX-License-Identifier: Apache-2.0 */
/* pages.c - the engine's figures, and /health, /ready, /metrics. */
#include "base/net.h"
#include "config/process.h"
#include "engine/shell_internal.h"

/* Gauges of one queue, as they are now. */
static void set_queue(void *ctx, const char *namespace_, const char *queue, bool activity,
                      size_t backlog, size_t pollers)
{
    struct flo_metrics *metrics = ctx;
    const char *type = activity ? "Activity" : "Workflow";
    flo_series_set(
        flo_metrics_get(metrics, FLO_METRIC_ENGINE_POLLERS, namespace_, queue, type, NULL),
        (double)pollers);
    flo_series_set(
        flo_metrics_get(metrics, FLO_METRIC_ENGINE_BACKLOG, namespace_, queue, type, NULL),
        (double)backlog);
}

static void collect(void *ctx, struct flo_metrics *metrics)
{
    struct flo_shell *shell = ctx;
    struct flo_core_stats stats;
    flo_core_stats(shell->core, &stats);
    flo_series_set(flo_metrics_get(metrics, FLO_METRIC_ENGINE_OPEN, NULL), (double)stats.open_runs);
    flo_series_set(flo_metrics_get(metrics, FLO_METRIC_ENGINE_CONNECTIONS, NULL),
                   (double)flo_grpc_server_connections(shell->server));
    /* Queues that are gone since the last time are at 0, like empty ones. */
    flo_metrics_zero(metrics, FLO_METRIC_ENGINE_POLLERS);
    flo_metrics_zero(metrics, FLO_METRIC_ENGINE_BACKLOG);
    flo_core_each_queue(shell->core, set_queue, metrics);
}

void flo_shell_count_commit(struct flo_shell *shell, const struct flo_committer_stats *stats,
                            uint64_t transitions)
{
    flo_series_add(flo_metrics_get(shell->metrics, FLO_METRIC_ENGINE_COMMIT_CALLS, NULL),
                   (double)transitions);
    flo_series_inc(flo_metrics_get(shell->metrics, FLO_METRIC_ENGINE_COMMITS, NULL));
    flo_series_observe(flo_metrics_get(shell->metrics, FLO_METRIC_ENGINE_COMMIT_LATENCY, NULL),
                       (double)stats->last_ns / 1e9);
}

int flo_shell_pages_open(struct flo_shell *shell, const char *listen, struct flo_err *err)
{
    char host[FLO_NET_HOST_MAX], address[FLO_HTTP_ADDRESS_MAX];
    uint16_t port = 0;
    int rc = flo_metrics_add_process(shell->metrics, flo_version(), "engine");
    if (!rc)
        rc = flo_metrics_on_collect(shell->metrics, collect, shell);
    if (!rc)
        rc = flo_health_export(shell->health, shell->metrics);
    if (rc)
        return flo_fail(err, rc, "cannot set up the metrics: %s", flo_error_text(rc));
    if (!listen)
        return 0;
    rc = flo_net_split(listen, 0, host, &port, err);
    if (!rc)
        rc = flo_http_new(shell->base, shell->metrics, shell->health, &shell->http, err);
    if (!rc)
        rc = flo_http_listen(shell->http, host, port, address, err);
    if (!rc)
        flo_process_announce("flotilla-engine", "http", address);
    return rc;
}

void flo_shell_pages_close(struct flo_shell *shell)
{
    flo_http_destroy(&shell->http);
}
