/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otlp_metrics.c - the registry in OTLP's JSON form: counters as cumulative monotonic sums, gauges,
 * histograms with explicit bounds. All sums began when the exporter did, with the process.
 *
 * Names are those of the table without "_total", which OpenTelemetry leaves to exporters for
 * Prometheus; the unit at a name's end stays there and is said in "unit", too.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "telemetry/json_text.h"
#include "telemetry/metrics_internal.h"
#include "telemetry/metrics_page.h"
#include "telemetry/otlp_internal.h"

struct walk {
    struct flo_buf *out;
    int64_t start_ns, now_ns;
    bool any;
};

static bool ends_in(const char *name, size_t len, const char *end)
{
    size_t end_len = strlen(end);
    return len > end_len && memcmp(name + len - end_len, end, end_len) == 0;
}

/* UCUM, by the unit that the name ends in; "1" where there is none. */
static const char *unit_of(const char *name, size_t len)
{
    if (ends_in(name, len, "_seconds"))
        return "s";
    return ends_in(name, len, "_bytes") ? "By" : "1";
}

/* A double that JSON has; infinities are the strings that protobuf's JSON form has for them. */
static void put_number(struct flo_buf *out, double value)
{
    if (isinf(value))
        flo_buf_append_str(out, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    else
        flo_metrics_append_number(out, value);
}

static void put_labels(struct flo_buf *out, const char *labels, const char *values)
{
    char key[FLO_METRIC_NAME_MAX];
    bool first = true;

    flo_buf_append_str(out, "\"attributes\":[");
    while (*labels) {
        size_t len = strcspn(labels, ",");
        size_t kept = len < sizeof key ? len : sizeof key - 1;
        memcpy(key, labels, kept);
        key[kept] = '\0';
        flo_otlp_put_attribute(out, first, key, values);
        first = false;
        values += strlen(values) + 1;
        labels += len + (labels[len] == ',');
    }
    flo_buf_append_str(out, "]");
}

static void put_times(const struct walk *walk, bool cumulative)
{
    if (cumulative)
        flo_buf_printf(walk->out, ",\"startTimeUnixNano\":\"%" PRId64 "\"", walk->start_ns);
    flo_buf_printf(walk->out, ",\"timeUnixNano\":\"%" PRId64 "\"", walk->now_ns);
}

/* Buckets, which are added to meanwhile: the count is their sum, whatever the sum of values says.
 */
static void put_buckets(struct flo_buf *out, const struct flo_metric_desc *desc,
                        const struct flo_series *series)
{
    uint64_t total = 0;

    flo_buf_append_str(out, ",\"bucketCounts\":[");
    for (size_t i = 0; i <= series->bound_count; i++) {
        uint64_t count = atomic_load_explicit(&series->counts[i], memory_order_relaxed);
        total += count;
        flo_buf_printf(out, "%s\"%" PRIu64 "\"", i ? "," : "", count);
    }
    flo_buf_append_str(out, "],\"explicitBounds\":[");
    for (size_t i = 0; i < series->bound_count; i++) {
        flo_buf_append_str(out, i ? "," : "");
        flo_metrics_append_number(out, desc->buckets[i]);
    }
    flo_buf_printf(out, "],\"count\":\"%" PRIu64 "\",\"sum\":", total);
    put_number(out, atomic_load_explicit(&series->value, memory_order_relaxed));
}

static double value_of(const struct flo_series *series)
{
    return atomic_load_explicit(&series->value, memory_order_relaxed);
}

static void put_point(const struct walk *walk, const struct flo_metric_desc *desc,
                      const char *labels, const struct flo_series *series)
{
    struct flo_buf *out = walk->out;

    flo_buf_append_str(out, "{");
    put_labels(out, desc->labels, labels);
    put_times(walk, desc->kind != FLO_GAUGE);
    if (desc->kind == FLO_HISTOGRAM) {
        put_buckets(out, desc, series);
    } else {
        flo_buf_append_str(out, ",\"asDouble\":");
        put_number(out, value_of(series));
    }
    flo_buf_append_str(out, "}");
}

static void put_head(struct walk *walk, const struct flo_metric_desc *desc)
{
    static const char *const heads[] = {
        [FLO_COUNTER] = "\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":true,",
        [FLO_GAUGE] = "\"gauge\":{",
        [FLO_HISTOGRAM] = "\"histogram\":{\"aggregationTemporality\":2,"};
    size_t len = strlen(desc->name);

    if (desc->kind == FLO_COUNTER && ends_in(desc->name, len, "_total"))
        len -= strlen("_total");
    flo_buf_printf(walk->out, "%s{\"name\":\"%.*s\",\"description\":", walk->any ? "," : "",
                   (int)len, desc->name);
    flo_json_append_string(walk->out, desc->help);
    flo_buf_printf(walk->out, ",\"unit\":\"%s\",%s\"dataPoints\":[", unit_of(desc->name, len),
                   heads[desc->kind]);
}

static int put_family(void *ctx, const struct flo_metric_desc *desc, const struct flo_map *map)
{
    struct walk *walk = ctx;
    struct flo_buf *out = walk->out;
    size_t start = out->len, points = 0;

    put_head(walk, desc);
    for (struct flo_map_entry *it = flo_map_first(map); it; it = flo_map_next(it)) {
        const struct flo_series *series = flo_map_value(it);
        if (isnan(value_of(series))) /* nobody knows it now */
            continue;
        flo_buf_append_str(out, points++ ? "," : "");
        put_point(walk, desc, flo_map_key(it, NULL), series);
    }
    flo_buf_append_str(out, "]}}");
    if (out->failed)
        return FLO_ENOMEM;
    if (points == 0)
        out->len = start; /* a metric has a point at least */
    else
        walk->any = true;
    return 0;
}

int flo_otlp_put_metrics(struct flo_buf *out, struct flo_metrics *metrics, int64_t start_ns,
                         int64_t now_ns)
{
    struct walk walk = {.out = out, .start_ns = start_ns, .now_ns = now_ns};

    return flo_metrics_walk(metrics, put_family, &walk);
}
