/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_internal.h - what the registry shares with its renderers. */
#ifndef FLO_TELEMETRY_METRICS_INTERNAL_H
#define FLO_TELEMETRY_METRICS_INTERNAL_H

#include <stdatomic.h>

#include "base/map.h"
#include "telemetry/metrics.h"

struct flo_series {
    const struct flo_metric_desc *desc;
    size_t bound_count;     /* of a histogram */
    _Atomic double value;   /* counter, gauge; sum of a histogram */
    atomic_ullong counts[]; /* histogram: bound_count + 1 buckets, not cumulative */
};

/* Called once a family that has series, in the table's order; series maps the NUL-ended label
 * values, one after the other, to struct flo_series. The registry is locked. Non-zero stops. */
typedef int (*flo_metrics_walk_fn)(void *ctx, const struct flo_metric_desc *desc,
                                   const struct flo_map *series);
/* Run the collectors, then walk. Returns what fn returned. */
int flo_metrics_walk(struct flo_metrics *metrics, flo_metrics_walk_fn fn, void *ctx);

#endif
