/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics_page.h - writes a /metrics page: Prometheus text 0.0.4 or OpenMetrics 1.0, in the names
 * that the reader is used to. Both a program's registry and the supervisor's page of the whole
 * fleet are written with it.
 *
 * Inside the program and in reports each metric has one name, that of metric_names.h (tally style).
 * The naming of a page concerns the temporal_ counters and histograms only, which the Temporal SDKs
 * export in three ways; everything else has one name everywhere:
 *
 *   tally    temporal_request_total  temporal_request_latency_seconds  (Go with tally, Java)
 *   core     temporal_request        temporal_request_latency, in ms   (Python, .NET, Ruby, Node)
 *   otel-go  temporal_request        temporal_request_latency_seconds  (Go with OpenTelemetry)
 *
 * With core they have the label service_name="flotilla" as well, as there.
 *
 * A sample has the same name in both formats, so that which of them a scraper negotiates changes
 * nothing in its queries. OpenMetrics wants counters to end in _total; those that a naming shows
 * without it have the type unknown there. _created samples are not written: Prometheus stores them
 * as series of their own, one more for each counter and histogram, and needs none of them.
 *
 * Pure; one page is one thread's.
 */
#ifndef FLO_TELEMETRY_METRICS_PAGE_H
#define FLO_TELEMETRY_METRICS_PAGE_H

#include "telemetry/metrics.h"

#define FLO_METRIC_NAME_MAX 160 /* bytes of a family's name, NUL included; longer ones are cut */

/* Content-Type of the two formats. Static. */
const char *flo_page_content_type(bool openmetrics);
/* Does a reader with this Accept header (NULL: none) want OpenMetrics rather than text? */
bool flo_page_wants_openmetrics(const char *accept);
/* The naming "tally", "core" or "otel-go"; false: there is none of that name. */
bool flo_naming_by_name(const char *name, enum flo_naming *out);
/* The name that the family called name in metric_names.h has in a naming. out holds
 * FLO_METRIC_NAME_MAX bytes. Returns the factor of its values: 1, or 1000 where seconds are shown
 * as milliseconds. */
double flo_page_name(enum flo_naming naming, enum flo_metric_kind kind, const char *name,
                     char out[FLO_METRIC_NAME_MAX]);

/* A page that is being written. Its members are metrics_page.c's own. */
struct flo_page {
    struct flo_buf *out;   /* borrowed */
    struct flo_buf labels; /* of the next sample: a="x",b="y" */
    struct flo_metrics_form form;
    enum flo_metric_kind kind;      /* of the family */
    double factor;                  /* of its values */
    const char *help;               /* borrowed */
    bool announced;                 /* its first lines are written: it has a sample */
    char name[FLO_METRIC_NAME_MAX]; /* of its samples */
};

/* Begin a page that is appended to out. */
void flo_page_begin(struct flo_page *page, struct flo_buf *out,
                    const struct flo_metrics_form *form);
/* The next family, by its name in metric_names.h (or of user code); help may be NULL, and is kept
 * until the next one. All samples of a family have to follow it, and a family may come once a page;
 * one without samples is not shown. */
void flo_page_family(struct flo_page *page, const char *name, enum flo_metric_kind kind,
                     const char *help);
/* A label of the next sample; name need not end with a NUL. The value is UTF-8,
 * and may hold anything. */
void flo_page_label(struct flo_page *page, const char *name, size_t name_len, const char *value);
/* The sample with the labels given since the last one: of a counter or gauge. */
void flo_page_value(struct flo_page *page, double value);
/* A histogram's: bound_count rising bounds, bound_count + 1 counts that are not cumulative. */
void flo_page_histogram(struct flo_page *page, const double *bounds, size_t bound_count,
                        const uint64_t *counts, double sum);
/* End the page: 0, FLO_ENOMEM, or FLO_ELIMIT when out was full. To be called once after begin. */
FLO_MUST_CHECK int flo_page_end(struct flo_page *page);

#endif
