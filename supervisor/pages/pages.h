/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.h - what the supervisor serves over HTTP beside /health and /ready: /metrics of the whole
 * fleet; JSON for scripts and the dashboard (/v1/fleet, /v1/history, /v1/events, /v1/activities);
 * /v1/stream, the same as server-sent events; and / (the dashboard). docs/dashboard.md describes
 * them.
 *
 *   pages.c        paths, and the pages that are simple
 *   pages_fleet.c  /v1/fleet
 *   pages_live.c   what happens by itself: measuring, history, the stream
 *   dashboard.c    the dashboard's files, compiled in
 */
#ifndef FLO_SUPERVISOR_PAGES_H
#define FLO_SUPERVISOR_PAGES_H

#include <jansson.h>

#include "supervisor/fleet/fleet.h"
#include "supervisor/fleet/history.h"
#include "supervisor/fleet/measure.h"
#include "supervisor/hub/events.h"
#include "supervisor/processes/manager.h"
#include "supervisor/scaling/backlog.h"
#include "telemetry/http_files.h"

#define FLO_STREAM_LISTENERS_MAX 32
#define FLO_STREAM_BACKLOG_BYTES ((size_t)4 << 20) /* for one that does not read */
#define FLO_EVENTS_PAGE_MAX 1000

/* Everything that pages look at; the supervisor owns it. */
struct flo_pages {
    struct flo_fleet *fleet;
    struct flo_events *events;
    struct flo_manager *manager;   /* NULL without local mode */
    struct flo_backlogs *backlogs; /* NULL: the server is not asked */
    struct flo_metrics *metrics;
    struct flo_health *health;
    const char *identity;     /* the supervisor's */
    const char *endpoint;     /* the hub's */
    const char *server;       /* the Temporal service when no engine is run; "" unknown */
    const char *workflow_url; /* dashboard.workflow_url; "" none */
    bool commands;            /* there is a token, so the dashboard may offer to steer */
    char health_address[FLO_HTTP_ADDRESS_MAX];
    char metrics_address[FLO_HTTP_ADDRESS_MAX];
    int64_t started_ms; /* wall clock */

    /* The pages' own, from here on. */
    struct flo_http_metrics metrics_page;
    struct flo_measure *measure;
    struct flo_history *history;
    struct flo_http_channel *stream;
    struct event *step;               /* every FLO_HISTORY_STEP_MS */
    struct event *second;             /* while somebody listens */
    struct flo_http_text *fleet_text; /* the newest rendering of /v1/fleet, shared */
    int64_t fleet_text_ms;
};

/*
 * Put the pages on http and start measuring. FLO_EFULL, FLO_ENOMEM. pages must outlive http, but
 * flo_pages_fini comes before http's end. It may come without install.
 */
FLO_MUST_CHECK int flo_pages_install(struct flo_pages *pages, struct event_base *base,
                                     struct flo_http *http);
void flo_pages_fini(struct flo_pages *pages);

/* The fleet as /v1/fleet shows it (docs/dashboard.md), shared by all that ask at once: a reference
 * for the caller. NULL without memory. */
struct flo_http_text *flo_pages_fleet_text(struct flo_pages *pages);
/* The short form for fleet.json: addresses and process ids. */
json_t *flo_pages_addresses_json(struct flo_pages *pages);
/* Is every process that should run up, every worker ready, and does the server answer? reason says
 * what is not. */
bool flo_pages_fleet_ready(struct flo_pages *pages, char *out_reason, size_t size);

/* pages_live.c */
FLO_MUST_CHECK int flo_pages_live_start(struct flo_pages *pages, struct event_base *base,
                                        struct flo_http *http);
void flo_pages_live_stop(struct flo_pages *pages);
void flo_pages_serve_stream(void *ctx, const struct flo_http_request *request,
                            struct flo_http_reply *reply);

/* The files of the dashboard. dashboard.c. */
extern const struct flo_http_files flo_dashboard_files;

#endif
