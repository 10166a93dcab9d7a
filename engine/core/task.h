/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.h - tasks that are ready for a worker, and what the rest of the core asks of matching
 * (matching.c; its inside is matching.h).
 */
#ifndef FLO_ENGINE_CORE_TASK_H
#define FLO_ENGINE_CORE_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "flotilla/error.h"

struct flo_core;          /* internal.h */
struct flo_core_activity; /* execution.h */
struct flo_core_query;    /* query.c */
struct flo_execution;     /* execution.h */
struct flo_namespace;     /* namespace.h */
struct flo_lane;          /* lane.h */

enum flo_task_kind { FLO_TASK_WORKFLOW, FLO_TASK_ACTIVITY, FLO_TASK_QUERY };

/* A ready task; sits inside what it is about. Linked = waiting in a queue. */
struct flo_task {
    struct flo_node node;
    enum flo_task_kind kind;
    struct flo_lane *lane; /* while linked: where in its queue (lane.h) */
    int64_t added_ns;
    struct flo_execution *execution;    /* NULL: query of a run that is not resident */
    struct flo_core_activity *activity; /* FLO_TASK_ACTIVITY */
    struct flo_core_query *query;       /* FLO_TASK_QUERY */
};

/* Where a task waits. Names are copied. */
enum flo_queue_type { FLO_QUEUE_WORKFLOW, FLO_QUEUE_ACTIVITY };

/*
 * Queue the pending workflow task of execution (hooks.workflow_task): sticky_name NULL = its
 * normal queue; a sticky queue that nobody has polled for 10 s is passed over. It meets a poll at
 * the end of this step, through flo_core_workflow_task_start. 0, FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_matching_add_workflow_task(struct flo_core *core,
                                                  struct flo_execution *execution,
                                                  const char *normal_name, const char *sticky_name);
/* Queue an attempt of an activity; task is its member, zeroed at first. It meets a poll at the end
 * of this step, through flo_core_activity_start. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_matching_add_activity_task(struct flo_core *core, struct flo_task *task,
                                                  struct flo_execution *execution,
                                                  struct flo_core_activity *activity,
                                                  const char *queue_name);
/* Take a task out of its queue (started otherwise, timed out, run closed). Fine when not queued. */
void flo_matching_remove(struct flo_core *core, struct flo_task *task);
/* Has somebody polled this sticky queue in the last 10 s? */
bool flo_matching_sticky_alive(struct flo_core *core, const struct flo_namespace *ns,
                               const char *sticky_name);
/* Is there a rate limit on the activity queue (no eager activities then)? */
bool flo_matching_rate_limited(struct flo_core *core, const struct flo_namespace *ns,
                               const char *queue_name);

/* Who takes a task: what starts of tasks record. Borrowed. */
struct flo_core_worker {
    const char *identity;
    const char *build_id;   /* "" = none was given */
    bool has_build_id;      /* the poll carried version capabilities or deployment options */
    const char *request_id; /* of this start: unique */
};

#endif
