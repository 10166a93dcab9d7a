/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.h - the last hour of the fleet in points five seconds apart: per role what it did and
 * took, per task queue how much waited. A ring of fixed size (about 320 KiB), in memory only: a new
 * supervisor starts with an empty one.
 *
 * Pure: points and times come in. NAN stands for what is not known. Loop thread only.
 */
#ifndef FLO_SUPERVISOR_HISTORY_H
#define FLO_SUPERVISOR_HISTORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flotilla/error.h"

#define FLO_HISTORY_STEP_MS 5000
#define FLO_HISTORY_POINTS 720 /* an hour */
#define FLO_HISTORY_ROLES 4    /* enum flo_fleet_role */
#define FLO_HISTORY_QUEUES 64  /* at the bound the one unseen for longest makes room */
#define FLO_HISTORY_NAME_MAX 128

/* What is known of a role at one moment. The names are those of the JSON. */
#define FLO_HISTORY_FIGURES(X)                                                                     \
    X(tasks_s)    /* tasks a second since the point before */                                      \
    X(failures_s) /* of those, failed */                                                           \
    X(p50_s)      /* duration of those tasks */                                                    \
    X(p99_s)                                                                                       \
    X(slots_used)                                                                                  \
    X(slots_total)                                                                                 \
    X(processes)                                                                                   \
    X(cpu) /* cores */                                                                             \
    X(rss_bytes)

struct flo_history_figures {
#define FLO_HISTORY_MEMBER(name) float name;
    FLO_HISTORY_FIGURES(FLO_HISTORY_MEMBER)
#undef FLO_HISTORY_MEMBER
};

struct flo_history; /* opaque */

/* FLO_ENOMEM. Memory is touched as it fills. */
FLO_MUST_CHECK int flo_history_new(struct flo_history **out);
/* NULL inside is fine. */
void flo_history_destroy(struct flo_history **history);

/* Begin the point of wall_ms; all figures are NAN until they are set. */
void flo_history_begin(struct flo_history *history, int64_t wall_ms);
/* Set figures of the point that was begun last. */
void flo_history_role(struct flo_history *history, int role,
                      const struct flo_history_figures *figures);
/* Tasks that wait in a queue. Names are cut at FLO_HISTORY_NAME_MAX - 1 bytes. */
void flo_history_queue(struct flo_history *history, const char *name, bool activity, double depth);

size_t flo_history_points(const struct flo_history *history);

/*
 * The last `seconds` (at most the whole hour) as {"step_ms", "times": [wall ms ...], "roles":
 * {ROLE: {figure: [...]}}, "queues": [{"queue", "kind", "depth": [...]}]}: equally long lists,
 * oldest first, null for what is not known; roles and queues without any figure are left out. role
 * names come from role_name. NULL without memory.
 */
json_t *flo_history_json(const struct flo_history *history, int64_t seconds,
                         const char *(*role_name)(int role));

#endif
