/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otlp.h - sends spans and metrics to an OpenTelemetry collector: OTLP/HTTP with JSON
 * (OpenTelemetry Protocol 1.x; "JSON Protobuf Encoding": ids in hex, 64-bit integers as strings).
 *
 * The process never waits for the collector and never grows because of it. Spans are encoded when
 * they are recorded, into at most FLO_OTLP_BATCHES batches of FLO_OTLP_BATCH_SPANS and so many
 * bytes; past that the newest are dropped and counted. Of metrics nothing is queued: they are
 * totals, read anew for each attempt. A collector that is away (no connection, 429, 502, 503, 504)
 * is tried again with growing pauses, or after what its Retry-After says; a batch that finds no
 * taker in a minute is dropped. Other answers than 200 drop what they are about at once.
 *
 * Loop thread only.
 */
#ifndef FLO_TELEMETRY_OTLP_H
#define FLO_TELEMETRY_OTLP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/trace.h"
#include "flotilla/error.h"
#include "telemetry/metrics.h"

struct event_base;
struct flo_otlp; /* opaque */

#define FLO_OTLP_BATCHES 4
#define FLO_OTLP_BATCH_SPANS 512
#define FLO_OTLP_BATCH_BYTES ((size_t)1 << 20)
#define FLO_OTLP_PATIENCE_MS INT64_C(60000)

struct flo_otlp_options {
    /* "http[s]://host[:port][/path]", the whole address of each signal; NULL or "": not sent. */
    const char *metrics_url, *traces_url;
    const char *headers;  /* "key=value,...", values percent-encoded; may be NULL */
    const char *ca_file;  /* for https: PEM; NULL or "": the system's */
    int64_t interval_ms;  /* between two exports of metrics */
    int64_t delay_ms;     /* a span waits for others at most so long */
    int64_t timeout_ms;   /* of one request */
    int64_t patience_ms;  /* 0: FLO_OTLP_PATIENCE_MS; how long a batch is tried */
    const char *service;  /* service.name; NULL or "": resource's, else program */
    const char *program;  /* what service.name is when nobody says it */
    const char *instance; /* service.instance.id */
    const char *version;
    const char *resource; /* "key=value,...", percent-encoded, more attributes; may be NULL */
    struct flo_metrics *metrics; /* borrowed; exported, and counted in */
};

/* Begin. options is borrowed for the call. FLO_EINVAL, FLO_ESYS (no TLS), FLO_ENOMEM. */
FLO_MUST_CHECK int flo_otlp_new(struct event_base *base, const struct flo_otlp_options *options,
                                struct flo_otlp **out, struct flo_err *err);
/* Give up what is under way, free. NULL is fine. */
void flo_otlp_destroy(struct flo_otlp **otlp);

/* Are spans sent? Recording one is then worth while. */
bool flo_otlp_traces(const struct flo_otlp *otlp);

/* SpanKind of OTLP. */
enum flo_span_kind { FLO_SPAN_INTERNAL = 1, FLO_SPAN_SERVER = 2, FLO_SPAN_CLIENT = 3 };

struct flo_otlp_attribute {
    const char *key, *value;
};

/* A span that has ended. All borrowed. */
struct flo_otlp_span {
    struct flo_trace_context context;
    const uint8_t *parent_id; /* NULL: it is the trace's root */
    const char *tracestate;   /* NULL: none */
    const char *verb, *what;  /* its name is "verb:what" */
    enum flo_span_kind kind;
    int64_t start_ns, end_ns; /* wall clock */
    const struct flo_otlp_attribute *attributes;
    size_t attribute_count;
    const char *error;      /* NULL: it went well */
    const char *error_type; /* with error: an exception event of this type; NULL: none */
    const struct flo_trace_context *link; /* NULL: none */
};

/* Queue it, or drop it and count that. */
void flo_otlp_record(struct flo_otlp *otlp, const struct flo_otlp_span *span);

/*
 * The process ends: send what is queued, and the metrics a last time, without retries. done(ctx) is
 * called from the loop when that is over, after max_ms at the latest; once.
 */
void flo_otlp_finish(struct flo_otlp *otlp, int64_t max_ms, void (*done)(void *ctx), void *ctx);

#endif
