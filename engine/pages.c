/* SPDX-License-Identifier: Apache-2.0 */
/* pages.c - the engine's figures, and /health, /ready, /metrics. */
#include <stdio.h>
#include <string.h>

#include "base/net.h"
#include "config/process.h"
#include "engine/shell_internal.h"
#include "telemetry/log.h"

static void set(struct flo_metrics *metrics, enum flo_metric id,
                const struct flo_core_queue_figures *queue, double value)
{
    flo_series_set(flo_metrics_get(metrics, id, queue->namespace_, queue->queue,
                                   queue->activity ? "Activity" : "Workflow", NULL),
                   value);
}

/* Gauges of one queue, as they are now: under our names, under the names that scalers of Temporal
 * workers look for, under the real server's. */
static void set_queue(void *ctx, const struct flo_core_queue_figures *queue)
{
    struct flo_shell *shell = ctx;
    struct flo_metrics *metrics = shell->metrics;
    const double backlog = (double)queue->backlog;
    set(metrics, FLO_METRIC_ENGINE_POLLERS, queue, (double)queue->pollers);
    set(metrics, FLO_METRIC_ENGINE_BACKLOG, queue, backlog);
    set(metrics, FLO_METRIC_SERVER_BACKLOG, queue, backlog);
    set(metrics, FLO_METRIC_SERVER_BACKLOG_AGE, queue, (double)queue->backlog_age_ns / 1e9);
    if (shell->no_queue_depth)
        return;
    flo_series_set(flo_metrics_get(metrics,
                                   queue->activity ? FLO_METRIC_ACTIVITY_QUEUE_DEPTH
                                                   : FLO_METRIC_WORKFLOW_QUEUE_DEPTH,
                                   queue->namespace_, queue->queue, queue->queue, NULL),
                   backlog);
}

static void collect(void *ctx, struct flo_metrics *metrics)
{
    struct flo_shell *shell = ctx;
    struct flo_core_stats stats;
    flo_core_stats(shell->core, &stats);
    flo_series_set(flo_metrics_get(metrics, FLO_METRIC_ENGINE_OPEN, NULL), (double)stats.open_runs);
    flo_series_set(flo_metrics_get(metrics, FLO_METRIC_ENGINE_COLD, NULL), (double)stats.cold_runs);
    flo_series_set(flo_metrics_get(metrics, FLO_METRIC_ENGINE_RESIDENT, NULL),
                   (double)stats.resident_bytes);
    flo_series_set(flo_metrics_get(metrics, FLO_METRIC_ENGINE_CONNECTIONS, NULL),
                   (double)flo_grpc_server_connections(shell->server));
    /* Queues that are gone since the last time are at 0, like empty ones. */
    flo_metrics_zero(metrics, FLO_METRIC_ENGINE_POLLERS);
    flo_metrics_zero(metrics, FLO_METRIC_ENGINE_BACKLOG);
    flo_metrics_zero(metrics, FLO_METRIC_SERVER_BACKLOG);
    flo_metrics_zero(metrics, FLO_METRIC_SERVER_BACKLOG_AGE);
    flo_metrics_zero(metrics, FLO_METRIC_WORKFLOW_QUEUE_DEPTH);
    flo_metrics_zero(metrics, FLO_METRIC_ACTIVITY_QUEUE_DEPTH);
    flo_core_each_queue(shell->core, set_queue, shell);
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

/* Serve the pages on "host:port". */
static int listen_on(struct flo_shell *shell, const char *listen,
                     char out_address[FLO_HTTP_ADDRESS_MAX], struct flo_err *err)
{
    char host[FLO_NET_HOST_MAX];
    uint16_t port = 0;
    int rc = flo_net_split(listen, 0, host, &port, err);
    if (!rc && !shell->http)
        rc = flo_http_new(shell->base, shell->metrics, shell->health, &shell->http, err);
    return rc ? rc : flo_http_listen(shell->http, host, port, out_address, err);
}

/* Does nobody else reach the address? */
static bool is_own(const char *listen)
{
    char host[FLO_NET_HOST_MAX];
    uint16_t port;
    return !listen || (!flo_net_split(listen, 0, host, &port, NULL) && flo_net_is_loopback(host));
}

/* The web page shows everything to everybody who reaches it, so it wants to be asked for where
 * others do, and where callers need a key. NULL: it is served; else why it is not. */
static const char *why_no_web(const struct flo_shell_options *options)
{
    const bool own = is_own(options->http_listen) && is_own(options->metrics_listen);
    if (options->no_web)
        return "--no-web was given";
    if (options->web)
        return NULL;
    if (options->keys_file)
        return "with --api-keys it is served only if --web asks for it";
    return own ? NULL : "where other machines reach it, it is served only if --web asks for it";
}

static void say_no_web(void *ctx, const struct flo_http_request *request,
                       struct flo_http_reply *reply)
{
    (void)request;
    flo_http_error(reply, 404, "the web page is not here: %s", (const char *)ctx);
}

static int add_web(struct flo_shell *shell, const char *why_not, struct flo_err *err)
{
    int rc = 0;
    if (shell->http && why_not) {
        rc = flo_http_handle(shell->http, "/", say_no_web, (void *)(uintptr_t)why_not);
    } else if (shell->http) {
        flo_shell_web_source(shell, &shell->web);
        rc = flo_web_install(&shell->web, shell->http);
    }
    return rc ? flo_fail(err, rc, "cannot add the web page: %s", flo_error_text(rc)) : 0;
}

/* One line of the banner: the host as it was given, the port as it is. */
static void print_line(const char *what, const char *listen, const char *bound, const char *path)
{
    const char *host_end = listen ? strrchr(listen, ':') : NULL;
    const char *port = strrchr(bound, ':');
    if (host_end && port)
        printf("%s%.*s%s%s\n", what, (int)(host_end - listen), listen, port, path);
}

/* What Temporal's dev server says when it serves. */
static void print_banner(const struct flo_shell *shell, const struct flo_shell_options *options,
                         const char *ui, const char *metrics, const char *why_no_web)
{
    printf("Flotilla %s (Server " FLO_CORE_SERVER_VERSION ")\n\n", flo_version());
    print_line("Server:  ", options->listen, flo_grpc_server_address(shell->server), "");
    if (!why_no_web)
        print_line("UI:      http://", options->http_listen, ui, "");
    else if (*ui)
        printf("UI:      none: %s\n", why_no_web);
    print_line("Metrics: http://", options->metrics_listen, metrics, "/metrics");
    fflush(stdout);
}

int flo_shell_pages_open(struct flo_shell *shell, const struct flo_shell_options *options,
                         struct flo_err *err)
{
    char ui[FLO_HTTP_ADDRESS_MAX] = "", metrics[FLO_HTTP_ADDRESS_MAX] = "";
    const char *no_web = why_no_web(options);
    shell->no_queue_depth = options->no_queue_depth;
    int rc = flo_metrics_add_process(shell->metrics, flo_version(), "engine");
    if (!rc)
        rc = flo_metrics_on_collect(shell->metrics, collect, shell);
    if (!rc)
        rc = flo_health_export(shell->health, shell->metrics);
    if (rc)
        return flo_fail(err, rc, "cannot set up the metrics: %s", flo_error_text(rc));
    if (options->http_listen) {
        rc = listen_on(shell, options->http_listen, ui, err);
        if (rc && options->http_optional) {
            flo_log(FLO_LOG_WARN, "engine.no_pages", "The pages are not served", "error",
                    err->message, NULL);
            rc = 0;
        }
    }
    if (!rc && options->metrics_listen)
        rc = listen_on(shell, options->metrics_listen, metrics, err);
    if (!rc)
        rc = add_web(shell, no_web, err);
    if (rc)
        return rc;
    if (options->banner) {
        print_banner(shell, options, ui, metrics, no_web);
    } else {
        if (*ui)
            flo_process_announce("flotilla-engine", "http", ui);
        if (*metrics)
            flo_process_announce("flotilla-engine", "metrics", metrics);
    }
    return 0;
}

void flo_shell_pages_close(struct flo_shell *shell)
{
    flo_http_destroy(&shell->http);
}
