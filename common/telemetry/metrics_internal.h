/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_internal.h - what the registry shares with its renderers. */
#ifndef FLO_TELEMETRY_METRICS_INTERNAL_H
#define FLO_TELEMETRY_METRICS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "telemetry/metrics.h"

struct flo_series {
    const struct flo_metric_desc *desc;
    size_t bound_count;     /* of a histogram */
    _Atomic double value;   /* counter, gauge; sum of a histogram */
    atomic_ullong counts[]; /* histogram: bound_count + 1 buckets, not cumulative */
};

#define FLO_COLLECTORS_MAX 8

struct flo_family {
    struct flo_map by_labels; /* label values, each with its NUL, to struct flo_series */
    unsigned label_count;
    bool full; /* a label set was folded into "other" */
    bool told; /* and the log says so */
};

struct flo_collector {
    flo_metrics_collect_fn fn;
    void *ctx;
};

struct flo_metrics {
    pthread_mutex_t mu;
    struct flo_family families[FLO_METRIC_COUNT];        /* guarded by mu */
    struct flo_collector collectors[FLO_COLLECTORS_MAX]; /* guarded by mu */
    size_t collector_count;
    size_t max_series;              /* of one family; set before the first */
    enum flo_naming naming;         /* of pages; set before the first */
    struct flo_user_families *user; /* guarded by mu; NULL until the first sample */
};

/* How many names the comma-separated list has. */
unsigned flo_metric_count_labels(const char *labels);
/* The family's series with these label values, made when it is new, folded at the bound. */
struct flo_series *flo_family_get_locked(struct flo_metrics *metrics, struct flo_family *family,
                                         const struct flo_metric_desc *desc,
                                         const char *const *values);
/* Log that the family is full, once. The registry is not locked. */
void flo_metrics_tell_full(struct flo_metrics *metrics, struct flo_family *family,
                           const struct flo_metric_desc *desc);
void flo_family_fini(struct flo_family *family);

/* Called once a family that has series, in the table's order; series maps the NUL-ended label
 * values, one after the other, to struct flo_series. The registry is locked. Non-zero stops. */
typedef int (*flo_metrics_walk_fn)(void *ctx, const struct flo_metric_desc *desc,
                                   const struct flo_map *series);
/* Run the collectors, then walk. Returns what fn returned. */
int flo_metrics_walk(struct flo_metrics *metrics, flo_metrics_walk_fn fn, void *ctx);

/* ---- metrics_user.c ---- */
int flo_metrics_user_walk_locked(struct flo_metrics *metrics, flo_metrics_walk_fn fn, void *ctx);
void flo_metrics_user_fini(struct flo_metrics *metrics);

#endif
