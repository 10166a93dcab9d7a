/* SPDX-License-Identifier: Apache-2.0 */
/*
 * costs.h - what a fleet's processes do and what its tasks cost, from what the supervisor serves:
 * /v1/fleet and /metrics. Pure; `flotilla top` shows it and `flotilla recommend` reckons with it.
 */
#ifndef FLO_CLI_COSTS_H
#define FLO_CLI_COSTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"

#define CLI_COST_PROCESSES_MAX 1024
#define CLI_COST_TYPES_MAX 256
#define CLI_COST_BUCKETS_MAX 24

/* One task type of a role, over all processes that report, since each of them started. */
struct cli_cost_type {
    char role[24], name[132];
    double count;   /* attempts that ended */
    double seconds; /* that they took together */
    double failed;
    double cpu_seconds, system_cpu_seconds; /* activities only: */
    double max_rss_bytes;                   /* of an executor process; 0 = unknown */
    double read_bytes, written_bytes, voluntary, involuntary;
    size_t bucket_count; /* of their durations: */
    struct {
        double le, count; /* at most so long; how many */
    } buckets[CLI_COST_BUCKETS_MAX];
};

struct cli_cost_process {
    char name[260], identity[260], role[24], state[16];
    int64_t used, total; /* slots of all kinds */
    int64_t done, failed;
    int64_t cpu_ms;    /* with what it started, where the supervisor sees that */
    int64_t rss_bytes; /* the same */
    int64_t age_ms;    /* since it started; 0 = unknown */
    /* From its metrics, of the process itself: */
    double own_cpu_seconds, own_rss_bytes, own_peak_bytes;
};

struct cli_costs {
    struct cli_cost_process *processes;
    struct cli_cost_type *types; /* by role, then by time spent, most first */
    size_t process_count, type_count;
    size_t left_out; /* processes and types past the bounds above */
};

/* Read the two pages; metrics is taken apart in place. FLO_EPROTO: they are none of a supervisor's;
 * FLO_ENOMEM. */
FLO_MUST_CHECK int cli_costs_read(const json_t *fleet, char *metrics, struct cli_costs *out,
                                  struct flo_err *err);
void cli_costs_fini(struct cli_costs *costs);

/* The duration in seconds below which a share (0 to 1) of the type's attempts stayed, reckoned
 * within its bucket as Prometheus does; past the last bound: that bound. -1 without attempts. */
double cli_cost_quantile(const struct cli_cost_type *type, double share);

#endif
