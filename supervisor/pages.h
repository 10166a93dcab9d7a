/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.h - what the supervisor serves over HTTP beside /health and /ready: /metrics of the whole
 * fleet, /v1/fleet (JSON, for scripts and the dashboard) and / (the dashboard).
 */
#ifndef FLO_SUPERVISOR_PAGES_H
#define FLO_SUPERVISOR_PAGES_H

#include <jansson.h>

#include "supervisor/events.h"
#include "supervisor/fleet.h"
#include "supervisor/manager.h"
#include "telemetry/http.h"

/* Everything that pages look at; the supervisor owns it. */
struct flo_pages {
    struct flo_fleet *fleet;
    struct flo_events *events;
    struct flo_manager *manager; /* NULL without local mode */
    struct flo_metrics *metrics;
    struct flo_health *health;
    const char *identity; /* the supervisor's */
    const char *endpoint; /* the hub's */
    const char *server;   /* the Temporal service when no engine is run; "" unknown */
    char health_address[FLO_HTTP_ADDRESS_MAX];
    char metrics_address[FLO_HTTP_ADDRESS_MAX];
    int64_t started_ms; /* wall clock */
    struct flo_http_metrics metrics_page;
};

/* Put the pages on http. FLO_EFULL. pages must outlive http. */
FLO_MUST_CHECK int flo_pages_install(struct flo_pages *pages, struct flo_http *http);
void flo_pages_fini(struct flo_pages *pages);

/* The fleet as /v1/fleet shows it (docs/supervisor-protocol.md); NULL without memory. */
json_t *flo_pages_fleet_json(struct flo_pages *pages);
/* The short form for fleet.json: addresses and process ids. */
json_t *flo_pages_addresses_json(struct flo_pages *pages);
/* Is every process that should run up, and every worker ready? reason says what is not. */
bool flo_pages_fleet_ready(struct flo_pages *pages, char *out_reason, size_t size);

/* The dashboard, compiled in. dashboard.c. */
extern const char flo_dashboard_html[];
extern const unsigned flo_dashboard_html_len;

#endif
