/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics_text.c - the registry as a page for Prometheus and as the JSON of a report.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "telemetry/json_text.h"
#include "telemetry/metrics_internal.h"
#include "telemetry/metrics_page.h"

/* Most numbers of a page or a report are whole, and there are hundreds. */
static void write_whole(int64_t value, char out[FLO_METRIC_NUMBER_MAX])
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = (uint64_t)(value < 0 ? -value : value); /* below 1e15, so -value is one */
    digits[--at] = '\0';
    do
        digits[--at] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        digits[--at] = '-';
    memcpy(out, digits + at, sizeof digits - at);
}

void flo_metrics_write_number(double value, char out[FLO_METRIC_NUMBER_MAX])
{
    if (isnan(value) || isinf(value)) {
        snprintf(out, FLO_METRIC_NUMBER_MAX, "%s",
                 isnan(value) ? "NaN"
                 : value > 0  ? "+Inf"
                              : "-Inf");
        return;
    }
    if (value == floor(value) && fabs(value) < 1e15) {
        write_whole((int64_t)value, out);
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, FLO_METRIC_NUMBER_MAX, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            break;
    }
}

int flo_metrics_append_number(struct flo_buf *out, double value)
{
    char text[FLO_METRIC_NUMBER_MAX];
    flo_metrics_write_number(value, text);
    return flo_buf_append_str(out, text);
}

static uint64_t bucket_count(const struct flo_series *series, size_t i)
{
    return atomic_load_explicit(&series->counts[i], memory_order_relaxed);
}

static double series_number(const struct flo_series *series)
{
    return atomic_load_explicit(&series->value, memory_order_relaxed);
}

/* A gauge whose value is not known. */
static bool is_absent(const struct flo_metric_desc *desc, const struct flo_series *series)
{
    return desc->kind == FLO_GAUGE && isnan(series_number(series));
}

static void page_labels(struct flo_page *page, const char *labels, const char *values)
{
    while (*labels) {
        size_t len = strcspn(labels, ",");
        flo_page_label(page, labels, len, values);
        values += strlen(values) + 1;
        labels += len + (labels[len] == ',');
    }
}

static int page_family(void *ctx, const struct flo_metric_desc *desc, const struct flo_map *map)
{
    struct flo_page *page = ctx;
    flo_page_family(page, desc->name, desc->kind, desc->help);
    for (struct flo_map_entry *it = flo_map_first(map); it; it = flo_map_next(it)) {
        const struct flo_series *series = flo_map_value(it);
        if (is_absent(desc, series))
            continue;
        page_labels(page, desc->labels, flo_map_key(it, NULL));
        if (desc->kind != FLO_HISTOGRAM) {
            flo_page_value(page, series_number(series));
            continue;
        }
        uint64_t counts[FLO_METRIC_BUCKETS_MAX + 1];
        for (size_t i = 0; i <= series->bound_count; i++)
            counts[i] = bucket_count(series, i);
        flo_page_histogram(page, desc->buckets, series->bound_count, counts, series_number(series));
    }
    return 0;
}

int flo_metrics_render(struct flo_metrics *metrics, const struct flo_metrics_form *form,
                       struct flo_buf *out)
{
    struct flo_page page;
    flo_page_begin(&page, out, form);
    int rc = flo_metrics_walk(metrics, page_family, &page);
    int failed = flo_page_end(&page);
    return rc ? rc : failed;
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
    double number = series_number(series);
    flo_metrics_append_number(out, isfinite(number) ? number : 0); /* JSON has no other */
    if (desc->kind == FLO_HISTOGRAM) {
        flo_buf_append_str(out, ",[");
        for (size_t i = 0; i <= series->bound_count; i++) {
            if (i)
                flo_buf_append(out, ",", 1);
            flo_metrics_append_number(out, (double)bucket_count(series, i));
        }
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
        if (is_absent(desc, flo_map_value(it)))
            continue;
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
