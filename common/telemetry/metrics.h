/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.h - counters, gauges and histograms with labels, and their Prometheus text form.
 *
 * A family is a name with its kind, help and label names; those of the project stand in
 * metric_names.h, the table that docs are checked against. A series is a family with label values.
 * Looking a series up takes a mutex; adding to one is a relaxed atomic, so hot paths may keep the
 * pointer: series live as long as the registry. Series per family are bounded: past the bound new
 * label values fall together into one series whose labels are all "other", which
 * flotilla_metrics_series_dropped_total counts and one log line a family says. All functions take
 * NULL series and do nothing, so callers never check for memory.
 *
 * Any thread.
 */
#ifndef FLO_TELEMETRY_METRICS_H
#define FLO_TELEMETRY_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "telemetry/metric_names.h"

#define FLO_METRIC_LABELS_MAX 7        /* labels of one family */
#define FLO_METRIC_BUCKETS_MAX 22      /* bounds of one histogram, +Inf not counted */
#define FLO_METRIC_SERIES_MAX 512      /* series of one family, unless set otherwise */
#define FLO_METRIC_LABEL_VALUE_MAX 128 /* bytes; longer values are cut */

enum flo_metric_kind { FLO_COUNTER, FLO_GAUGE, FLO_HISTOGRAM };

/* FLO_METRIC_ACTIVITY_EXECUTION_LATENCY and so on: one constant a line of metric_names.h. */
enum flo_metric {
#define FLO_METRIC_ENUM(id, kind, name, labels, buckets, help) FLO_METRIC_##id,
    FLO_METRIC_NAMES(FLO_METRIC_ENUM)
#undef FLO_METRIC_ENUM
        FLO_METRIC_COUNT
};

/* A family as the table has it. Static. */
struct flo_metric_desc {
    const char *name;
    const char *help;
    const char *labels;    /* "namespace,task_queue"; "" for none */
    const double *buckets; /* upper bounds, rising, ended by 0; NULL unless a histogram */
    enum flo_metric_kind kind;
};
const struct flo_metric_desc *flo_metric_desc(enum flo_metric metric);
/* The table's entry of that name, or NULL. */
const struct flo_metric_desc *flo_metric_desc_by_name(const char *name);

struct flo_metrics; /* the registry; opaque */
struct flo_series;  /* one series; opaque, owned by the registry */

/* A registry with every family of the table, without series. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_metrics_new(struct flo_metrics **out, struct flo_err *err);
/* Free all, series included: nobody may add any more. NULL is fine. */
void flo_metrics_destroy(struct flo_metrics **metrics);

/*
 * The series of metric with these label values, made at the first call: as many C strings as the
 * table's line names labels, in its order, then NULL. A NULL registry or no memory gives NULL,
 * which the functions below take. Series of families without labels: flo_metrics_get(m, id, NULL).
 */
struct flo_series *flo_metrics_get(struct flo_metrics *metrics, enum flo_metric metric, ...)
    __attribute__((sentinel));

/* Counters and gauges. A counter ignores negative amounts and NaN. */
void flo_series_add(struct flo_series *series, double amount);
void flo_series_inc(struct flo_series *series);
/* Gauges; also for counters that are read from elsewhere (process CPU time). NaN is ignored. */
void flo_series_set(struct flo_series *series, double value);
/* A gauge is not known any more: its series is left out of pages and reports until it is set. */
void flo_series_clear(struct flo_series *series);
/* Set all series of a gauge family to 0, to fill it anew with what there is now. */
void flo_metrics_zero(struct flo_metrics *metrics, enum flo_metric metric);
/* Histograms: one observation, in seconds for the *_seconds families. */
void flo_series_observe(struct flo_series *series, double value);
/* The value of a counter or gauge, the number of observations of a histogram; 0 for NULL. */
double flo_series_value(const struct flo_series *series);

/*
 * Metrics of user code, whose names the table does not have: at most FLO_USER_METRICS_MAX, each
 * with the labels that its first sample had. A sample may stand for many: a counter's amount, a
 * gauge's newest value, a histogram's sum and how many values each bucket got.
 */
#define FLO_USER_METRICS_MAX 64
#define FLO_USER_BUCKETS FLO_METRIC_BUCKETS_MAX /* bounds of every histogram, +Inf not counted */
/* Its bounds, rising, ended by 0. Static. */
const double *flo_user_metric_bounds(void);
struct flo_user_sample {
    enum flo_metric_kind kind;
    const char *name;
    size_t label_count; /* at most FLO_METRIC_LABELS_MAX */
    const char *label_names[FLO_METRIC_LABELS_MAX], *label_values[FLO_METRIC_LABELS_MAX];
    double value;
    uint64_t counts[FLO_USER_BUCKETS + 1]; /* histograms */
};
/* May a metric or label have this name? */
bool flo_metric_name_ok(const char *name);
/* Add a sample. FLO_EINVAL with a sentence: a name that cannot be, that is the program's own or
 * that a sample of another metric has (a gauge jobs_count beside a histogram jobs), another kind or
 * other labels than before, a label's value that is not UTF-8; FLO_EFULL: too many names;
 * FLO_ENOMEM. */
FLO_MUST_CHECK int flo_metrics_user_add(struct flo_metrics *metrics,
                                        const struct flo_user_sample *sample, struct flo_err *err);

/*
 * A callback that runs (on the caller's thread) before each rendering or walk: sets gauges that
 * are cheaper to read than to keep. At most 8. FLO_EFULL past that.
 */
typedef void (*flo_metrics_collect_fn)(void *ctx, struct flo_metrics *metrics);
FLO_MUST_CHECK int flo_metrics_on_collect(struct flo_metrics *metrics, flo_metrics_collect_fn fn,
                                          void *ctx);

/* Sets process_*, flotilla_build_info{version,role}: register once in each program. The strings
 * are copied. */
FLO_MUST_CHECK int flo_metrics_add_process(struct flo_metrics *metrics, const char *version,
                                           const char *role);

/* Another bound than FLO_METRIC_SERIES_MAX; at most once, before the first series. */
void flo_metrics_set_max_series(struct flo_metrics *metrics, size_t max_series);

/* How a page names what the Temporal SDKs export too: telemetry/metrics_page.h. The choices of the
 * setting metrics.naming, in this order. */
enum flo_naming { FLO_NAMING_TALLY, FLO_NAMING_CORE, FLO_NAMING_OTEL_GO };
#define FLO_NAMINGS 3
/* The naming of this program's pages: tally until it is set, which is done once, before the first
 * page is served. */
void flo_metrics_set_naming(struct flo_metrics *metrics, enum flo_naming naming);
enum flo_naming flo_metrics_naming(const struct flo_metrics *metrics);

/* What a page looks like. */
struct flo_metrics_form {
    enum flo_naming naming;
    bool openmetrics; /* 1.0; else Prometheus text, version 0.0.4 */
};
/* Append all families that have series. 0, FLO_ENOMEM, or FLO_ELIMIT when out is full. */
FLO_MUST_CHECK int flo_metrics_render(struct flo_metrics *metrics,
                                      const struct flo_metrics_form *form, struct flo_buf *out);

/* Append all series as the "metrics" array of the report (docs/supervisor-protocol.md), stopping
 * at whole families before max_bytes; *out_left counts the families left out. */
FLO_MUST_CHECK int flo_metrics_render_json(struct flo_metrics *metrics, size_t max_bytes,
                                           struct flo_buf *out, size_t *out_left);

/* A number as text that reads back as the same double. */
#define FLO_METRIC_NUMBER_MAX 32
void flo_metrics_write_number(double value, char out[FLO_METRIC_NUMBER_MAX]);
int flo_metrics_append_number(struct flo_buf *out, double value);

#endif
