/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - the small HTTP server of every process: health, metrics and whatever pages a program
 * adds. evhttp on the program's own event loop: no thread.
 *
 * Served from the start: /health and /livez (the loop runs, no live check failed), /ready and
 * /readyz (also every ready check holds), both JSON with the reasons, or lines of text with
 * ?verbose; /metrics. Only GET and HEAD
 * (else 405 with Allow); unknown paths 404; headers at most 8 KiB, no bodies; idle connections are
 * closed. No answer carries CORS headers; all carry nosniff, no-store and a strict
 * Content-Security-Policy. Nothing is read from the file system.
 *
 * Loop thread only, except where said.
 */
#ifndef FLO_TELEMETRY_HTTP_H
#define FLO_TELEMETRY_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/net.h"
#include "telemetry/metrics.h"

struct event_base;

/* ---- health: named checks ---- */

struct flo_health; /* opaque */

/* No checks: live, and ready. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_health_new(struct flo_health **out, struct flo_err *err);
void flo_health_destroy(struct flo_health **health);
/*
 * Set a named check; the first call makes it (at most 16; names and reasons are copied). A failed
 * ready check makes /ready answer 503; a failed live check makes both /health and /ready do so.
 * reason says why in a few words; NULL when ok. Any thread.
 */
void flo_health_set_ready(struct flo_health *health, const char *check, bool ok,
                          const char *reason);
void flo_health_set_live(struct flo_health *health, const char *check, bool ok, const char *reason);
/* Any thread. */
bool flo_health_is_ready(struct flo_health *health);
bool flo_health_is_live(struct flo_health *health);

/* ---- server ---- */

struct flo_http; /* opaque */

struct flo_http_request {
    const char *path;  /* decoded, without query */
    const char *query; /* as sent, NULL when absent */
};

/* What a handler fills; starts as 200, "application/json", empty body. */
struct flo_http_reply {
    int status;
    const char *content_type; /* static or outliving the call */
    const char *csp;          /* static; NULL: the strict default, for pages that need more */
    struct flo_buf body;
};

/* Answer one GET. Runs on the loop: must not block. */
typedef void (*flo_http_handler_fn)(void *ctx, const struct flo_http_request *request,
                                    struct flo_http_reply *reply);

/* A server without listeners. metrics and health may be NULL (then /metrics, or the checks, are
 * absent); both are borrowed and must outlive the server. */
FLO_MUST_CHECK int flo_http_new(struct event_base *base, struct flo_metrics *metrics,
                                struct flo_health *health, struct flo_http **out,
                                struct flo_err *err);
/* Close listeners and connections, free. NULL is fine. */
void flo_http_destroy(struct flo_http **http);

/*
 * Listen on host:port (numeric host or name; port 0: the kernel chooses). All listeners serve all
 * paths. When out_address is not NULL it gets the chosen "HOST:PORT" ("[::1]:80" for IPv6).
 * FLO_ECONN: in use or not ours; FLO_EPERM; FLO_EINVAL: bad host. The program exits 73 (77).
 */
#define FLO_HTTP_ADDRESS_MAX FLO_NET_ADDRESS_MAX
FLO_MUST_CHECK int flo_http_listen(struct flo_http *http, const char *host, int port,
                                   char out_address[FLO_HTTP_ADDRESS_MAX], struct flo_err *err);
/*
 * The two listeners of a program: health and metrics; one when host and port are equal (0 counts).
 * out_health and out_metrics may be NULL.
 */
FLO_MUST_CHECK int flo_http_listen_both(struct flo_http *http, const char *health_host,
                                        int health_port, const char *metrics_host, int metrics_port,
                                        char out_health[FLO_HTTP_ADDRESS_MAX],
                                        char out_metrics[FLO_HTTP_ADDRESS_MAX],
                                        struct flo_err *err);

/* The listening sockets, into out_fds; how many. They stay the server's. */
#define FLO_HTTP_LISTENERS_MAX 4
size_t flo_http_listeners(const struct flo_http *http, int out_fds[FLO_HTTP_LISTENERS_MAX]);

/* Serve path (exact match; replaces what was there) with fn. path is borrowed for ever. At most
 * 32 handlers. FLO_EFULL. */
FLO_MUST_CHECK int flo_http_handle(struct flo_http *http, const char *path, flo_http_handler_fn fn,
                                   void *ctx);

#endif
