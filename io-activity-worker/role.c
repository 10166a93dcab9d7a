/* SPDX-License-Identifier: Apache-2.0 */
/*
 * role.c - the IO activity worker: activities that mostly wait (network, files, databases), on a
 * pool of threads. Modules start once, before the threads, and share what they made. With
 * `executor.isolation: process` each activity at work has a process of its own: more memory, and a
 * crash ends one attempt.
 */
#include "worker/role.h"

static int prepare(struct flo_worker *worker, struct flo_err *err)
{
    return flo_worker_prepare_executors(worker, "io", err);
}

static int start(struct flo_worker *worker, struct flo_err *err)
{
    int rc = flo_worker_start_executors(worker, "io", err);

    if (rc)
        return rc;
    return flo_worker_poll_activities(worker, err);
}

const struct flo_role_spec flo_role_io_activity = {
    .role = FLO_ROLE_IO_ACTIVITY,
    .prepare = prepare,
    .start = start,
};
