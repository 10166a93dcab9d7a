/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the program cpu-activity-worker: the spine (common/worker) in the role of role.c. */
#include "worker/role.h"

int main(int argc, char **argv)
{
    return flo_worker_run(argc, argv, &flo_role_cpu_activity, NULL);
}
