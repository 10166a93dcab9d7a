/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale.h - how many replicas there should be, of each role and each worker: samples from the
 * workers' reports and the server's backlogs, decisions by supervisor/scaling/scale_policy.h, shown
 * on /v1/scale, asked for by KEDA (supervisor/scaling/keda.h), and, for workers with `autoscale` in
 * fleet.yaml, carried out by the process manager.
 *
 * A group is what is scaled together: all workers of a role, or one worker of fleet.yaml, or of
 * those the ones that poll one queue. Groups come into being when somebody asks for them and are
 * forgotten when nobody has for a while; autoscaled workers' stay. Loop thread only.
 */
#ifndef FLO_SUPERVISOR_SCALE_H
#define FLO_SUPERVISOR_SCALE_H

#include <jansson.h>

#include "config/fleet_config.h"
#include "supervisor/fleet/fleet.h"
#include "supervisor/hub/events.h"
#include "supervisor/processes/manager.h"
#include "supervisor/scaling/backlog.h"
#include "supervisor/scaling/scale_policy.h"
#include "telemetry/http.h"

struct flo_scale; /* opaque: scale.c */

#define FLO_SCALE_GROUPS_MAX 64          /* of one queue; of roles and workers all */
#define FLO_SCALE_GROUP_FORGET_MS 600000 /* not asked for */
#define FLO_SCALE_WARMUP_MS 5000         /* until workers report to a supervisor that comes back */

struct flo_scale_options {
    const struct flo_fleet_config *config; /* borrowed, as all below */
    struct flo_fleet *fleet;
    struct flo_manager *const *manager; /* *manager is NULL without local mode, or not made yet */
    struct flo_metrics *metrics;
    const char *identity;
    struct flo_events *events; /* may be NULL: what was changed, and why */
    int64_t warmup_ms;         /* after the start: who asks from outside gets no count */
};

/* Nothing is asked of the server while scaling.backlog_interval is 0. */
FLO_MUST_CHECK int flo_scale_new(struct event_base *base, const struct flo_scale_options *options,
                                 struct flo_scale **out, struct flo_err *err);
/* The pages and listeners must be gone. NULL is fine. */
void flo_scale_destroy(struct flo_scale **scale);
/* Serve GET /v1/scale, /v1/scale/{role or worker} and /v1/scale/worker/{worker}, each with ?queue=;
 * scale_pages.c. FLO_EFULL, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_scale_install(struct flo_scale *scale, struct flo_http *http);

/* Which group. Empty or NULL: any. */
struct flo_scale_filter {
    const char *role;   /* "workflow", "io-activity", "cpu-activity" */
    const char *worker; /* a name of fleet.yaml */
    const char *queue;
};

/* A group as it is now. Borrowed until the loop turns. */
struct flo_scale_view {
    const char *role, *worker, *queue; /* of the filter, never NULL */
    struct flo_scale_limits limits;
    struct flo_scale_sample sample;
    struct flo_scale_decision decision;
    bool autoscaled; /* the manager carries out what is decided */
    bool warming;    /* the workers that there are may not have reported yet: trust no count */
    const struct flo_backlog_queue *const *queues;
    size_t queue_count;
};

/*
 * The group's view; a new group is sampled at once. FLO_ENOENT: there is no such role, or worker,
 * as err says; FLO_EFULL: too many groups; FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_scale_get(struct flo_scale *scale, const struct flo_scale_filter *filter,
                                 struct flo_scale_view *out, struct flo_err *err);
/* Does a replica have to be there? Something waits or runs. Unknown: yes when any is there. */
bool flo_scale_active(const struct flo_scale_view *view);

/* fn(ctx) after each round of samples, and after each answer of the server. At most one. */
void flo_scale_listen(struct flo_scale *scale, void (*fn)(void *ctx), void *ctx);

/* What the server says of queues: for the fleet's page. */
struct flo_backlogs *flo_scale_backlogs(struct flo_scale *scale);
const struct flo_fleet_config *flo_scale_config(const struct flo_scale *scale);
/* All that /v1/scale shows, and one group of it; NULL without memory. */
json_t *flo_scale_json(struct flo_scale *scale);
json_t *flo_scale_group_json(const struct flo_scale *scale, const struct flo_scale_view *view);

#endif
