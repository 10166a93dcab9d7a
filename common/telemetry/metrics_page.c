/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics_page.c - the two text formats and the three namings.
 *
 * Text 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/
 * OpenMetrics 1.0: https://prometheus.io/docs/specs/om/open_metrics_spec/
 * They differ in: the name of a counter's family (without _total), UNIT lines, quotes escaped in
 * help, bounds written as 1.0 instead of 1, "# EOF".
 */
#include "telemetry/metrics_page.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SDK_PREFIX "temporal_"
#define COUNTER_SUFFIX "_total"
#define SECONDS_SUFFIX "_seconds"
#define LE_MAX (FLO_METRIC_NUMBER_MAX + 2)

const char *flo_page_content_type(bool openmetrics)
{
    return openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                       : "text/plain; version=0.0.4; charset=utf-8";
}

/* ---- the Accept header ---- */

/* One element of the header, up to its comma, is it this media type? */
static bool is_type(const char *element, size_t len, const char *type)
{
    size_t type_len = strlen(type);
    return len >= type_len && strncasecmp(element, type, type_len) == 0 &&
           (len == type_len || strchr("; \t", element[type_len]));
}

/* The value of a parameter of the element, without quotes; *out_len 0 when it has none. */
static const char *parameter(const char *element, size_t len, const char *name, size_t *out_len)
{
    const char *end = element + len, *p = memchr(element, ';', len);
    *out_len = 0;
    while (p) {
        p++;
        while (p < end && (*p == ' ' || *p == '\t'))
            p++;
        const char *next = memchr(p, ';', (size_t)(end - p));
        size_t part = (size_t)((next ? next : end) - p), name_len = strlen(name);
        if (part > name_len && strncasecmp(p, name, name_len) == 0 && p[name_len] == '=') {
            const char *value = p + name_len + 1;
            size_t value_len = part - name_len - 1;
            if (value_len && *value == '"') {
                value++;
                value_len--;
            }
            *out_len = strcspn(value, "\" \t;,");
            if (*out_len > value_len)
                *out_len = value_len;
            return value;
        }
        p = next;
    }
    return "";
}

/* How much the element is wanted: 0 to 1, 1 when it does not say. */
static double quality(const char *element, size_t len)
{
    size_t value_len;
    const char *value = parameter(element, len, "q", &value_len);
    char text[8], *end;
    if (value_len == 0)
        return 1;
    if (value_len >= sizeof text)
        return 0;
    memcpy(text, value, value_len);
    text[value_len] = '\0';
    double q = strtod(text, &end);
    return *end || !(q >= 0 && q <= 1) ? 0 : q;
}

static bool version_is_ours(const char *element, size_t len)
{
    size_t value_len;
    const char *value = parameter(element, len, "version", &value_len);
    return value_len == 0 || (value_len == 5 && memcmp(value, "1.0.0", 5) == 0);
}

bool flo_page_wants_openmetrics(const char *accept)
{
    double openmetrics = 0, text = 0;
    for (const char *p = accept; p && *p;) {
        p += strspn(p, ", \t");
        size_t len = strcspn(p, ",");
        double q = quality(p, len);
        if (is_type(p, len, "application/openmetrics-text")) {
            if (version_is_ours(p, len) && q > openmetrics)
                openmetrics = q;
        } else if ((is_type(p, len, "text/plain") || is_type(p, len, "text/*") ||
                    is_type(p, len, "*/*")) &&
                   q > text) {
            text = q;
        }
        p += len;
    }
    return openmetrics > 0 && openmetrics >= text;
}

/* ---- names ---- */

static bool ends_with(const char *text, const char *suffix)
{
    size_t len = strlen(text), suffix_len = strlen(suffix);
    return len > suffix_len && strcmp(text + len - suffix_len, suffix) == 0;
}

static void cut_end(char *text, const char *suffix)
{
    if (ends_with(text, suffix))
        text[strlen(text) - strlen(suffix)] = '\0';
}

static const char *const naming_names[FLO_NAMINGS] = {
    [FLO_NAMING_TALLY] = "tally",
    [FLO_NAMING_CORE] = "core",
    [FLO_NAMING_OTEL_GO] = "otel-go",
};

bool flo_naming_by_name(const char *name, enum flo_naming *out)
{
    for (int i = 0; i < FLO_NAMINGS; i++) {
        if (strcmp(name, naming_names[i]) == 0) {
            *out = (enum flo_naming)i;
            return true;
        }
    }
    return false;
}

static bool is_sdk_metric(const char *name)
{
    return strncmp(name, SDK_PREFIX, strlen(SDK_PREFIX)) == 0;
}

double flo_page_name(enum flo_naming naming, enum flo_metric_kind kind, const char *name,
                     char out[FLO_METRIC_NAME_MAX])
{
    snprintf(out, FLO_METRIC_NAME_MAX, "%s", name);
    if (naming == FLO_NAMING_TALLY || !is_sdk_metric(name))
        return 1;
    /* The one counter whose name has the word in all SDKs. */
    if (kind == FLO_COUNTER && strcmp(name, "temporal_local_activity_total") != 0)
        cut_end(out, COUNTER_SUFFIX);
    if (kind != FLO_HISTOGRAM || naming != FLO_NAMING_CORE || !ends_with(out, SECONDS_SUFFIX))
        return 1;
    cut_end(out, SECONDS_SUFFIX);
    return 1000;
}

/* ---- writing ---- */

void flo_page_begin(struct flo_page *page, struct flo_buf *out, const struct flo_metrics_form *form)
{
    page->out = out;
    flo_buf_init(&page->labels, 0);
    page->form = *form;
    page->kind = FLO_GAUGE;
    page->factor = 1;
    page->help = NULL;
    page->announced = true;
    page->name[0] = '\0';
}

static void put(struct flo_page *page, const char *text)
{
    flo_buf_append_str(page->out, text);
}

/* Text with these characters, and line ends, escaped. */
static void put_escaped(struct flo_buf *out, const char *text, const char *special)
{
    while (*text) {
        size_t plain = strcspn(text, special);
        flo_buf_append(out, text, plain);
        text += plain;
        if (!*text)
            break;
        const char escaped[] = {'\\', *text == '\n' ? 'n' : *text};
        flo_buf_append(out, escaped, sizeof escaped);
        text++;
    }
}

/* What OpenMetrics calls the family. */
static const char *type_of(const struct flo_page *page)
{
    static const char *const names[] = {"counter", "gauge", "histogram"};
    if (page->form.openmetrics && page->kind == FLO_COUNTER &&
        !ends_with(page->name, COUNTER_SUFFIX))
        return "unknown";
    return names[page->kind];
}

void flo_page_family(struct flo_page *page, const char *name, enum flo_metric_kind kind,
                     const char *help)
{
    page->kind = kind;
    page->factor = flo_page_name(page->form.naming, kind, name, page->name);
    page->help = help;
    page->announced = false;
}

/* The lines before a family's first sample. */
static void announce(struct flo_page *page)
{
    static const char *const units[] = {SECONDS_SUFFIX, "_bytes"};
    char family[FLO_METRIC_NAME_MAX];
    page->announced = true;
    memcpy(family, page->name, sizeof family);
    if (page->form.openmetrics && page->kind == FLO_COUNTER)
        cut_end(family, COUNTER_SUFFIX);
    if (page->help) {
        flo_buf_printf(page->out, "# HELP %s ", family);
        put_escaped(page->out, page->help, page->form.openmetrics ? "\\\"\n" : "\\\n");
        put(page, "\n");
    }
    flo_buf_printf(page->out, "# TYPE %s %s\n", family, type_of(page));
    for (size_t i = 0; page->form.openmetrics && i < sizeof units / sizeof *units; i++)
        if (ends_with(family, units[i]))
            flo_buf_printf(page->out, "# UNIT %s %s\n", family, units[i] + 1);
}

void flo_page_label(struct flo_page *page, const char *name, size_t name_len, const char *value)
{
    struct flo_buf *labels = &page->labels;
    if (labels->len)
        flo_buf_append(labels, ",", 1);
    flo_buf_append(labels, name, name_len);
    flo_buf_append(labels, "=\"", 2);
    put_escaped(labels, value, "\\\"\n");
    flo_buf_append(labels, "\"", 1);
}

/* NAME SUFFIX {LABELS,le="..."} VALUE */
static void put_sample(struct flo_page *page, const char *suffix, const char *le, double value)
{
    if (!page->announced)
        announce(page);
    put(page, page->name);
    put(page, suffix);
    if (page->labels.len || le) {
        put(page, "{");
        flo_buf_append(page->out, page->labels.data, page->labels.len);
        if (le)
            flo_buf_printf(page->out, "%sle=\"%s\"", page->labels.len ? "," : "", le);
        put(page, "}");
    }
    put(page, " ");
    flo_metrics_append_number(page->out, value);
    put(page, "\n");
}

/* What a naming adds to the labels. */
static void labels_complete(struct flo_page *page)
{
    if (page->form.naming == FLO_NAMING_CORE && is_sdk_metric(page->name))
        flo_page_label(page, "service_name", strlen("service_name"), "flotilla");
}

static void labels_done(struct flo_page *page)
{
    if (page->labels.failed)
        page->out->failed = true; /* a sample without its labels would be another one */
    flo_buf_clear(&page->labels);
}

void flo_page_value(struct flo_page *page, double value)
{
    labels_complete(page);
    put_sample(page, "", NULL, value);
    labels_done(page);
}

/* A bound as its le label has it: OpenMetrics wants 1.0, not 1. */
static void write_bound(const struct flo_page *page, double bound, char out[LE_MAX])
{
    char number[FLO_METRIC_NUMBER_MAX];
    double shown = page->factor == 1 ? bound : round(bound * page->factor * 1e6) / 1e6;
    flo_metrics_write_number(shown, number);
    snprintf(out, LE_MAX, "%s%s", number,
             page->form.openmetrics && !strpbrk(number, ".eIN") ? ".0" : "");
}

void flo_page_histogram(struct flo_page *page, const double *bounds, size_t bound_count,
                        const uint64_t *counts, double sum)
{
    uint64_t cumulative = 0;
    char le[LE_MAX];
    labels_complete(page);
    for (size_t i = 0; i <= bound_count; i++) {
        cumulative += counts[i];
        write_bound(page, i < bound_count ? bounds[i] : INFINITY, le);
        put_sample(page, "_bucket", le, (double)cumulative);
    }
    put_sample(page, "_sum", NULL, sum * page->factor);
    put_sample(page, "_count", NULL, (double)cumulative);
    labels_done(page);
}

int flo_page_end(struct flo_page *page)
{
    if (page->form.openmetrics)
        put(page, "# EOF\n");
    flo_buf_fini(&page->labels);
    return !page->out->failed ? 0 : page->out->max ? FLO_ELIMIT : FLO_ENOMEM;
}
