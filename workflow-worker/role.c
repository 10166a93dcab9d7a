/* SPDX-License-Identifier: Apache-2.0 */
/*
 * role.c - the workflow worker: polls workflow tasks, replays and advances workflows on the loop
 * thread, answers queries. It has no executor for activities: workflow code cannot block. Local
 * activities get threads when the first one comes.
 */
#include "worker/role.h"

static int start(struct flo_worker *worker, struct flo_err *err)
{
    const struct flo_role_config *config = flo_worker_config(worker);

    return flo_worker_poll_workflows(worker, (size_t)config->max_concurrent_workflow_task_polls,
                                     (size_t)config->max_concurrent_workflow_tasks, err);
}

const struct flo_role_spec flo_role_workflow = {
    .role = FLO_ROLE_WORKFLOW,
    .start = start,
};
