/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics_text.c - the registry as Prometheus text (exposition format 0.0.4) and as the JSON of a
 * report. Numbers are written so that they read back as the same double.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "telemetry/json_text.h"
#include "telemetry/metrics_internal.h"

int flo_metrics_append_number(struct flo_buf *out, double value)
{
    if (isnan(value))
        return flo_buf_append_str(out, "NaN");
    if (isinf(value))
        return flo_buf_append_str(out, value > 0 ? "+Inf" : "-Inf");
    if (value == floor(value) && fabs(value) < 1e15)
        return flo_buf_printf(out, "%.0f", value);
    char text[32];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return flo_buf_append_str(out, text);
}

int flo_metrics_append_label_value(struct flo_buf *out, const char *value)
{
    int rc = 0;
    for (const char *p = value; *p && !rc;) {
        size_t plain = strcspn(p, "\\\"\n");
        if (plain)
            rc = flo_buf_append(out, p, plain);
        p += plain;
        if (!*p || rc)
            break;
        rc = flo_buf_append_str(out, *p == '\n' ? "\\n" : *p == '"' ? "\\\"" : "\\\\");
        p++;
    }
    return rc;
}

/* name{a="x",b="y"} with an optional le label; labels are names joined by commas, values NUL-ended
 * one after the other. */
static void put_series(struct flo_buf *out, const char *name, const char *suffix,
                       const char *labels, const char *values, const double *le)
{
    flo_buf_append_str(out, name);
    flo_buf_append_str(out, suffix);
    if (!*labels && !le)
        return;
    const char *separator = "{";
    while (*labels) {
        size_t len = strcspn(labels, ",");
        flo_buf_append_str(out, separator);
        flo_buf_append(out, labels, len);
        flo_buf_append_str(out, "=\"");
        flo_metrics_append_label_value(out, values);
        flo_buf_append_str(out, "\"");
        separator = ",";
        values += strlen(values) + 1;
        labels += len + (labels[len] == ',');
    }
    if (le) {
        flo_buf_append_str(out, separator);
        flo_buf_append_str(out, "le=\"");
        flo_metrics_append_number(out, *le);
        flo_buf_append_str(out, "\"");
    }
    flo_buf_append_str(out, "}");
}

static void put_sample(struct flo_buf *out, double value)
{
    flo_buf_append_str(out, " ");
    flo_metrics_append_number(out, value);
    flo_buf_append_str(out, "\n");
}

static uint64_t bucket_count(const struct flo_series *series, size_t i)
{
    return atomic_load_explicit(&series->counts[i], memory_order_relaxed);
}

static double series_number(const struct flo_series *series)
{
    return atomic_load_explicit(&series->value, memory_order_relaxed);
}

static void render_histogram(struct flo_buf *out, const struct flo_metric_desc *desc,
                             const char *values, const struct flo_series *series)
{
    uint64_t cumulative = 0;
    for (size_t i = 0; i <= series->bound_count; i++) {
        cumulative += bucket_count(series, i);
        double le = i < series->bound_count ? desc->buckets[i] : INFINITY;
        put_series(out, desc->name, "_bucket", desc->labels, values, &le);
        put_sample(out, (double)cumulative);
    }
    put_series(out, desc->name, "_sum", desc->labels, values, NULL);
    put_sample(out, series_number(series));
    put_series(out, desc->name, "_count", desc->labels, values, NULL);
    put_sample(out, (double)cumulative);
}

static int render_family(void *ctx, const struct flo_metric_desc *desc, const struct flo_map *map)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    struct flo_buf *out = ctx;
    flo_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", desc->name, desc->help, desc->name,
                   kinds[desc->kind]);
    for (struct flo_map_entry *it = flo_map_first(map); it; it = flo_map_next(it)) {
        const char *values = flo_map_key(it, NULL);
        const struct flo_series *series = flo_map_value(it);
        if (desc->kind == FLO_HISTOGRAM) {
            render_histogram(out, desc, values, series);
        } else {
            put_series(out, desc->name, "", desc->labels, values, NULL);
            put_sample(out, series_number(series));
        }
    }
    return out->failed ? FLO_ELIMIT : 0;
}

int flo_metrics_render(struct flo_metrics *metrics, struct flo_buf *out)
{
    return flo_metrics_walk(metrics, render_family, out);
}

/* ---- the report's form ---- */

struct json_walk {
    struct flo_buf *out;
    size_t max_bytes;
    size_t left_out;
    bool any;
};

static void json_series(struct flo_buf *out, const struct flo_metric_desc *desc, const char *values,
                        const struct flo_series *series)
{
    flo_buf_append_str(out, "[[");
    const char *separator = "";
    for (const char *labels = desc->labels; *labels;) {
        flo_buf_append_str(out, separator);
        flo_json_append_string(out, values);
        values += strlen(values) + 1;
        separator = ",";
        labels += strcspn(labels, ",");
        labels += *labels == ',';
    }
    flo_buf_append_str(out, "],");
    flo_metrics_append_number(out, series_number(series));
    if (desc->kind == FLO_HISTOGRAM) {
        flo_buf_append_str(out, ",[");
        for (size_t i = 0; i <= series->bound_count; i++)
            flo_buf_printf(out, "%s%llu", i ? "," : "",
                           (unsigned long long)bucket_count(series, i));
        flo_buf_append_str(out, "]");
    }
    flo_buf_append_str(out, "]");
}

static void json_strings(struct flo_buf *out, const char *labels)
{
    const char *separator = "";
    while (*labels) {
        size_t len = strcspn(labels, ",");
        flo_buf_printf(out, "%s\"%.*s\"", separator, (int)len, labels);
        separator = ",";
        labels += len + (labels[len] == ',');
    }
}

static int json_family(void *ctx, const struct flo_metric_desc *desc, const struct flo_map *map)
{
    struct json_walk *walk = ctx;
    struct flo_buf *out = walk->out;
    size_t start = out->len;
    flo_buf_printf(out, "%s{\"n\":\"%s\",\"k\":\"%c\",\"l\":[", walk->any ? "," : "", desc->name,
                   "cgh"[desc->kind]);
    json_strings(out, desc->labels);
    flo_buf_append_str(out, "]");
    if (desc->kind == FLO_HISTOGRAM) {
        flo_buf_append_str(out, ",\"b\":[");
        for (size_t i = 0; desc->buckets[i] > 0; i++) {
            flo_buf_append_str(out, i ? "," : "");
            flo_metrics_append_number(out, desc->buckets[i]);
        }
        flo_buf_append_str(out, "]");
    }
    flo_buf_append_str(out, ",\"s\":[");
    const char *separator = "";
    for (struct flo_map_entry *it = flo_map_first(map); it; it = flo_map_next(it)) {
        flo_buf_append_str(out, separator);
        json_series(out, desc, flo_map_key(it, NULL), flo_map_value(it));
        separator = ",";
    }
    flo_buf_append_str(out, "]}");
    if (out->failed)
        return FLO_ENOMEM;
    if (out->len > walk->max_bytes) {
        out->len = start; /* whole families only */
        walk->left_out++;
    } else {
        walk->any = true;
    }
    return 0;
}

int flo_metrics_render_json(struct flo_metrics *metrics, size_t max_bytes, struct flo_buf *out,
                            size_t *out_left)
{
    struct json_walk walk = {.out = out, .max_bytes = max_bytes};
    flo_buf_append_str(out, "[");
    int rc = flo_metrics_walk(metrics, json_family, &walk);
    flo_buf_append_str(out, "]");
    if (rc == 0 && out->failed)
        rc = FLO_ENOMEM;
    if (rc == 0)
        *out_left = walk.left_out;
    return rc;
}
