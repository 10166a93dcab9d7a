/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.c - the registry: families from the table, series in insertion order, atomic values.
 *
 * Lock order: registry mutex only. Values are not under it: a rendering may see one series a moment
 * later than another, which is what a scrape is anyway.
 */
#include "telemetry/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "telemetry/log.h"
#include "telemetry/metrics_internal.h"

/* Bucket bounds, in seconds. The SDKs' core buckets, finer at the low end: our calls take
 * microseconds. */
static const double buckets_REQUEST[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                         0.1,    0.25,  0.5,    1,     2.5,  10,    0};
static const double buckets_LONG_REQUEST[] = {0.01, 0.05, 0.1, 0.5, 1,  2.5, 5,
                                              10,   20,   30,  60,  70, 90,  0};
static const double buckets_WORKFLOW_TASK[] = {0.0001, 0.0005, 0.001, 0.005, 0.01, 0.02,
                                               0.05,   0.1,    0.2,   0.5,   1,    0};
static const double buckets_ACTIVITY[] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1,
                                          5,     10,    60,   300,  600, 0};
static const double buckets_SCHEDULE_TO_START[] = {0.001, 0.005, 0.01, 0.05, 0.1,  0.5,
                                                   1,     5,     10,   100,  1000, 0};
static const double buckets_ENDTOEND[] = {0.005, 0.01, 0.05, 0.1, 0.5, 1,    1.5,  2,     5,     10,
                                          30,    60,   120,  300, 600, 1800, 3600, 30600, 86400, 0};
static const double buckets_COMMIT[] = {0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005,
                                        0.01,   0.02,   0.05,   0.1,   1,     0};
#define buckets_NONE NULL

/* NOLINTBEGIN(bugprone-macro-parentheses): the arguments are initialisers */
static const struct flo_metric_desc descs[] = {
#define DESC(ID, KIND, NAME, LABELS, BUCKETS, HELP)                                                \
    [FLO_METRIC_##ID] = {.name = NAME,                                                             \
                         .help = HELP,                                                             \
                         .labels = LABELS,                                                         \
                         .buckets = buckets_##BUCKETS,                                             \
                         .kind = FLO_##KIND},
    FLO_METRIC_NAMES(DESC)
#undef DESC
};
/* NOLINTEND(bugprone-macro-parentheses) */

const struct flo_metric_desc *flo_metric_desc(enum flo_metric metric)
{
    return &descs[metric];
}

const struct flo_metric_desc *flo_metric_desc_by_name(const char *name)
{
    for (size_t i = 0; i < FLO_METRIC_COUNT; i++)
        if (strcmp(descs[i].name, name) == 0)
            return &descs[i];
    return NULL;
}

unsigned flo_metric_count_labels(const char *labels)
{
    unsigned count = *labels ? 1 : 0;
    for (; *labels; labels++)
        count += *labels == ',';
    return count;
}

int flo_metrics_new(struct flo_metrics **out, struct flo_err *err)
{
    struct flo_metrics *metrics = flo_calloc(1, sizeof *metrics);
    if (!metrics)
        return flo_fail(err, FLO_ENOMEM, "no memory for the metrics");
    pthread_mutex_init(&metrics->mu, NULL);
    metrics->max_series = FLO_METRIC_SERIES_MAX;
    for (size_t i = 0; i < FLO_METRIC_COUNT; i++) {
        flo_map_init(&metrics->families[i].by_labels);
        metrics->families[i].label_count = flo_metric_count_labels(descs[i].labels);
    }
    *out = metrics;
    return 0;
}

void flo_family_fini(struct flo_family *family)
{
    for (struct flo_map_entry *it = flo_map_first(&family->by_labels); it; it = flo_map_next(it))
        flo_free(flo_map_value(it));
    flo_map_fini(&family->by_labels);
}

void flo_metrics_destroy(struct flo_metrics **metrics)
{
    if (!*metrics)
        return;
    for (size_t i = 0; i < FLO_METRIC_COUNT; i++)
        flo_family_fini(&(*metrics)->families[i]);
    flo_metrics_user_fini(*metrics);
    pthread_mutex_destroy(&(*metrics)->mu);
    flo_free(*metrics);
    *metrics = NULL;
}

static struct flo_series *series_new(const struct flo_metric_desc *desc)
{
    size_t bounds = 0;
    while (desc->buckets && desc->buckets[bounds] > 0)
        bounds++;
    struct flo_series *series =
        flo_calloc(1, sizeof *series + (desc->buckets ? bounds + 1 : 0) * sizeof series->counts[0]);
    if (series) {
        series->desc = desc;
        series->bound_count = bounds;
    }
    return series;
}

/* The key of a series: its label values, each ended by NUL, cut at whole characters. */
static size_t make_key(char *key, unsigned count, const char *const *values)
{
    size_t len = 0;
    for (unsigned i = 0; i < count; i++) {
        const char *value = values[i] ? values[i] : "";
        size_t value_len = strnlen(value, FLO_METRIC_LABEL_VALUE_MAX + 4);
        if (value_len > FLO_METRIC_LABEL_VALUE_MAX)
            value_len = flo_utf8_cut(value, value_len, FLO_METRIC_LABEL_VALUE_MAX);
        memcpy(key + len, value, value_len);
        key[len + value_len] = '\0';
        flo_utf8_mend(key + len); /* one bad byte, and a scraper refuses the whole page */
        len += value_len + 1;
    }
    return len;
}

/* One more label set for a family that has as many as it may: count it. */
static void count_dropped_locked(struct flo_metrics *metrics, struct flo_family *family,
                                 const struct flo_metric_desc *desc)
{
    struct flo_family *dropped = &metrics->families[FLO_METRIC_SERIES_DROPPED];
    const char *name = desc->name;

    family->full = true;
    if (family != dropped)
        flo_series_inc(
            flo_family_get_locked(metrics, dropped, &descs[FLO_METRIC_SERIES_DROPPED], &name));
}

void flo_metrics_tell_full(struct flo_metrics *metrics, struct flo_family *family,
                           const struct flo_metric_desc *desc)
{
    bool tell;

    pthread_mutex_lock(&metrics->mu);
    tell = family->full && !family->told;
    family->told = family->told || tell;
    pthread_mutex_unlock(&metrics->mu);
    if (tell)
        flo_log(FLO_LOG_WARN, "metrics.full",
                "A metric has as many label sets as it may: further ones count as \"other\"",
                "metric", desc->name, "#max", FLO_NUM(metrics->max_series), NULL);
}

struct flo_series *flo_family_get_locked(struct flo_metrics *metrics, struct flo_family *family,
                                         const struct flo_metric_desc *desc,
                                         const char *const *values)
{
    char key[FLO_METRIC_LABELS_MAX * (FLO_METRIC_LABEL_VALUE_MAX + 1)];
    size_t key_len = make_key(key, family->label_count, values);
    struct flo_series *series = flo_map_get(&family->by_labels, key, key_len);
    if (series)
        return series;
    if (family->by_labels.count >= metrics->max_series) {
        static const char *const other[FLO_METRIC_LABELS_MAX] = {"other", "other", "other", "other",
                                                                 "other", "other", "other"};
        count_dropped_locked(metrics, family, desc);
        key_len = make_key(key, family->label_count, other);
        series = flo_map_get(&family->by_labels, key, key_len);
        if (series)
            return series;
    }
    series = series_new(desc);
    if (series && flo_map_put(&family->by_labels, key, key_len, series, NULL)) {
        flo_free(series);
        series = NULL;
    }
    return series;
}

struct flo_series *flo_metrics_get(struct flo_metrics *metrics, enum flo_metric metric, ...)
{
    if (!metrics)
        return NULL;
    const char *values[FLO_METRIC_LABELS_MAX] = {0};
    va_list ap;
    va_start(ap, metric);
    for (unsigned i = 0; i < metrics->families[metric].label_count; i++) {
        values[i] = va_arg(ap, const char *);
        if (!values[i])
            break; /* fewer values than labels: the rest are empty */
    }
    va_end(ap);
    pthread_mutex_lock(&metrics->mu);
    struct flo_family *family = &metrics->families[metric];
    struct flo_series *series = flo_family_get_locked(metrics, family, &descs[metric], values);
    bool tell = family->full && !family->told;
    pthread_mutex_unlock(&metrics->mu);
    if (tell)
        flo_metrics_tell_full(metrics, family, &descs[metric]);
    return series;
}

void flo_series_add(struct flo_series *series, double amount)
{
    if (!series || isnan(amount) || (series->desc->kind == FLO_COUNTER && amount < 0))
        return;
    double old = atomic_load_explicit(&series->value, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&series->value, &old, old + amount,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

void flo_series_inc(struct flo_series *series)
{
    flo_series_add(series, 1);
}

void flo_series_set(struct flo_series *series, double value)
{
    if (series && !isnan(value))
        atomic_store_explicit(&series->value, value, memory_order_relaxed);
}

void flo_series_clear(struct flo_series *series)
{
    if (series)
        atomic_store_explicit(&series->value, NAN, memory_order_relaxed);
}

void flo_series_observe(struct flo_series *series, double value)
{
    if (!series || isnan(value) || !series->desc->buckets)
        return;
    if (value < 0)
        value = 0; /* a clock of another machine that runs behind ours */
    size_t bucket = 0;
    while (bucket < series->bound_count && value > series->desc->buckets[bucket])
        bucket++;
    atomic_fetch_add_explicit(&series->counts[bucket], 1, memory_order_relaxed);
    flo_series_add(series, value);
}

double flo_series_value(const struct flo_series *series)
{
    if (!series)
        return 0;
    if (!series->desc->buckets)
        return atomic_load_explicit(&series->value, memory_order_relaxed);
    uint64_t count = 0;
    for (size_t i = 0; i <= series->bound_count; i++)
        count += atomic_load_explicit(&series->counts[i], memory_order_relaxed);
    return (double)count;
}

void flo_metrics_set_max_series(struct flo_metrics *metrics, size_t max_series)
{
    metrics->max_series = max_series;
}

void flo_metrics_set_naming(struct flo_metrics *metrics, enum flo_naming naming)
{
    metrics->naming = naming;
}

enum flo_naming flo_metrics_naming(const struct flo_metrics *metrics)
{
    return metrics->naming;
}

int flo_metrics_on_collect(struct flo_metrics *metrics, flo_metrics_collect_fn fn, void *ctx)
{
    int rc = FLO_EFULL;
    pthread_mutex_lock(&metrics->mu);
    if (metrics->collector_count < FLO_COLLECTORS_MAX) {
        metrics->collectors[metrics->collector_count++] =
            (struct flo_collector){.fn = fn, .ctx = ctx};
        rc = 0;
    }
    pthread_mutex_unlock(&metrics->mu);
    return rc;
}

void flo_metrics_zero(struct flo_metrics *metrics, enum flo_metric metric)
{
    if (!metrics)
        return;
    pthread_mutex_lock(&metrics->mu);
    const struct flo_map *series = &metrics->families[metric].by_labels;
    for (struct flo_map_entry *it = flo_map_first(series); it; it = flo_map_next(it))
        flo_series_set(flo_map_value(it), 0);
    pthread_mutex_unlock(&metrics->mu);
}

int flo_metrics_walk(struct flo_metrics *metrics, flo_metrics_walk_fn fn, void *ctx)
{
    struct flo_collector collectors[FLO_COLLECTORS_MAX];
    pthread_mutex_lock(&metrics->mu);
    size_t count = metrics->collector_count;
    memcpy(collectors, metrics->collectors, sizeof collectors);
    pthread_mutex_unlock(&metrics->mu);
    for (size_t i = 0; i < count; i++)
        collectors[i].fn(collectors[i].ctx, metrics); /* without the lock: they look series up */

    int rc = 0;
    pthread_mutex_lock(&metrics->mu);
    for (size_t i = 0; i < FLO_METRIC_COUNT && !rc; i++)
        if (metrics->families[i].by_labels.count)
            rc = fn(ctx, &descs[i], &metrics->families[i].by_labels);
    if (!rc)
        rc = flo_metrics_user_walk_locked(metrics, fn, ctx);
    pthread_mutex_unlock(&metrics->mu);
    return rc;
}
