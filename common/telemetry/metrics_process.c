/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_process.c - process_*: read from /proc/self at each scrape. */
#include <dirent.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "telemetry/metrics.h"
#include "telemetry/procstat.h"

static double count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    double count = -1; /* the directory's own */
    for (const struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void set(struct flo_metrics *metrics, enum flo_metric metric, double value)
{
    flo_series_set(flo_metrics_get(metrics, metric, NULL), value);
}

static void collect(void *ctx, struct flo_metrics *metrics)
{
    (void)ctx;
    struct flo_procstat stat;
    if (flo_procstat_read(0, &stat) == 0) {
        double boot = (double)(flo_clock_wall_ns() - flo_clock_mono_ns()) / (double)FLO_NS_PER_S;
        set(metrics, FLO_METRIC_PROCESS_CPU, stat.cpu_seconds);
        set(metrics, FLO_METRIC_PROCESS_VSZ, (double)stat.virtual_bytes);
        set(metrics, FLO_METRIC_PROCESS_RSS, (double)stat.resident_bytes);
        set(metrics, FLO_METRIC_PROCESS_THREADS, (double)stat.threads);
        struct flo_series *start = flo_metrics_get(metrics, FLO_METRIC_PROCESS_START, NULL);
        if (flo_series_value(start) == 0) /* once: the wall clock may be set later */
            flo_series_set(start, boot + stat.start_seconds);
    }
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        set(metrics, FLO_METRIC_PROCESS_PEAK, (double)usage.ru_maxrss * 1024);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        set(metrics, FLO_METRIC_PROCESS_MAX_FDS, (double)limit.rlim_cur);
    set(metrics, FLO_METRIC_PROCESS_FDS, count_fds());
}

int flo_metrics_add_process(struct flo_metrics *metrics, const char *version, const char *role)
{
    flo_series_set(flo_metrics_get(metrics, FLO_METRIC_BUILD_INFO, version, role, NULL), 1);
    return flo_metrics_on_collect(metrics, collect, NULL);
}
