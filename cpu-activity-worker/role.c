/* SPDX-License-Identifier: Apache-2.0 */
/*
 * role.c - the CPU activity worker: activities that compute, one executor process a core, pinned,
 * so that a crash, a leak or an endless loop takes down one attempt and not the worker. The
 * template of the processes is forked first of all, while this process is still small and simple.
 * With `executor.isolation: thread` the same work runs on threads: less memory, no such shield.
 */
#include "worker/role.h"

static int prepare(struct flo_worker *worker, struct flo_err *err)
{
    return flo_worker_prepare_executors(worker, "cpu", err);
}

static int start(struct flo_worker *worker, struct flo_err *err)
{
    int rc = flo_worker_start_executors(worker, "cpu", err);

    if (rc)
        return rc;
    return flo_worker_poll_activities(worker, err);
}

const struct flo_role_spec flo_role_cpu_activity = {
    .role = FLO_ROLE_CPU_ACTIVITY,
    .prepare = prepare,
    .start = start,
};
