/* SPDX-License-Identifier: Apache-2.0 */
/* pages.c - the engine's figures, and /health, /ready, /metrics. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

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
    flo_series_set(flo_metrics_get(metrics, FLO_METRIC_ENGINE_COMMIT_CALLS, NULL),
                   (double)(stats.workflow_tasks + stats.activity_tasks));
    flo_series_set(flo_metrics_get(metrics, FLO_METRIC_ENGINE_CONNECTIONS, NULL),
                   (double)flo_grpc_server_connections(shell->server));
    flo_core_each_queue(shell->core, set_queue, metrics);
}

void flo_shell_count_commit(struct flo_shell *shell, const struct flo_committer_stats *stats)
{
    flo_series_inc(flo_metrics_get(shell->metrics, FLO_METRIC_ENGINE_COMMITS, NULL));
    flo_series_observe(flo_metrics_get(shell->metrics, FLO_METRIC_ENGINE_COMMIT_LATENCY, NULL),
                       (double)stats->last_ns / 1e9);
}

/* "host:port" or "[v6]:port" into its parts. */
static int split_address(const char *address, char *host, size_t size, int *port,
                         struct flo_err *err)
{
    const char *colon = strrchr(address, ':');
    char *end = NULL;
    long number = colon ? strtol(colon + 1, &end, 10) : -1;
    size_t len = colon ? (size_t)(colon - address) : 0;
    if (number < 0 || number > 65535 || end == colon + 1 || *end)
        return flo_fail(err, FLO_EINVAL, "%s is no address: HOST:PORT is wanted", address);
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }
    if (len >= size)
        return flo_fail(err, FLO_EINVAL, "%s is no address: the host is too long", address);
    memcpy(host, address, len);
    host[len] = '\0';
    *port = (int)number;
    return 0;
}

int flo_shell_pages_open(struct flo_shell *shell, const char *listen, struct flo_err *err)
{
    char host[256], address[FLO_HTTP_ADDRESS_MAX];
    int port = 0;
    int rc = flo_metrics_add_process(shell->metrics, flo_version(), "engine");
    if (!rc)
        rc = flo_metrics_on_collect(shell->metrics, collect, shell);
    if (rc)
        return flo_fail(err, rc, "cannot set up the metrics: %s", flo_error_text(rc));
    if (!listen)
        return 0;
    rc = split_address(listen, host, sizeof host, &port, err);
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
