/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure.h - what the fleet does now: rates of the last seconds and durations of the last minute,
 * of each process, role and activity type, out of totals since their start.
 *
 * Every FLO_MEASURE_STEP_MS the totals of all processes are noted. A process is known in two ways:
 * as a child that the manager runs (then CPU and memory are the kernel's, of all that it started)
 * and as a reporter; they are joined by process id. Loop thread only; times are monotonic
 * milliseconds.
 */
#ifndef FLO_SUPERVISOR_MEASURE_H
#define FLO_SUPERVISOR_MEASURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "supervisor/fleet/fleet.h"
#include "supervisor/processes/manager.h"

#define FLO_MEASURE_STEP_MS 5000
#define FLO_MEASURE_RATE_STEPS 3    /* tasks a second are those of the last 10 to 15 s */
#define FLO_MEASURE_WINDOW_MS 60000 /* durations: of one to two such windows */
#define FLO_MEASURE_TYPES_MAX 256   /* activity types; more are not listed */

struct flo_rates {
    bool known; /* else all are 0: it has just been seen first */
    double tasks_s, failures_s;
    double cpu;          /* cores */
    double p50_s, p99_s; /* NAN without tasks in the window */
};

/* What is used of the machine. */
struct flo_usage {
    bool known;
    int64_t cpu_ms, rss_bytes;
};

/* An activity type, over all live workers that know it. */
struct flo_activity_row {
    const char *type; /* borrowed during the call */
    bool local;
    double attempts, failed, cancelled, crashed; /* since the workers' start */
    double cpu_s, system_cpu_s, max_rss_bytes;   /* max_rss 0: not known */
    double read_bytes, written_bytes;
    double mean_s;       /* of all attempts; NAN without */
    double p50_s, p99_s; /* of the window, or of all attempts when it has none; NAN without */
    double attempts_s, failures_s;
};
typedef void (*flo_activity_row_fn)(void *ctx, const struct flo_activity_row *row);

struct flo_measure; /* opaque */

/* manager: *manager is NULL without local mode, or not made yet. Both borrowed. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_measure_new(struct flo_fleet *fleet, struct flo_manager *const *manager,
                                   struct flo_measure **out);
/* NULL inside is fine. */
void flo_measure_destroy(struct flo_measure **measure);
/* Note the totals; every FLO_MEASURE_STEP_MS. What cannot be noted without memory is unknown. */
void flo_measure_step(struct flo_measure *measure, int64_t now_ms);

/* Of one process: its entry (NULL: it does not report) and its process id. */
void flo_measure_process(const struct flo_measure *measure, const struct flo_fleet_entry *entry,
                         pid_t pid, struct flo_rates *out);
/* Of all processes of a role; last_step: since the step before, else of the last seconds. */
void flo_measure_role(const struct flo_measure *measure, enum flo_fleet_role role, bool last_step,
                      struct flo_rates *out, int64_t *out_rss_bytes, int *out_processes);
/* fn for each activity type, in order of appearance. FLO_ENOMEM. */
FLO_MUST_CHECK int flo_measure_activities(struct flo_measure *measure, int64_t now_ms,
                                          flo_activity_row_fn fn, void *ctx);

/* The name of the histogram of a role's tasks. Static. */
const char *flo_measure_latency_metric(enum flo_fleet_role role);

#endif
