/* SPDX-License-Identifier: Apache-2.0 */
/* embed.c - the public entry of libflotilla: any role, for a program of one's own. */
#include "flotilla/worker.h"

#include "config/exit_code.h"
#include "worker/role.h"

int flo_worker_main(int argc, char **argv, enum flo_role role, const struct flo_module *module)
{
    static const struct flo_role_spec *const SPECS[] = {
        [FLO_ROLE_WORKFLOW] = &flo_role_workflow,
        [FLO_ROLE_IO_ACTIVITY] = &flo_role_io_activity,
        [FLO_ROLE_CPU_ACTIVITY] = &flo_role_cpu_activity,
    };

    if ((unsigned)role >= sizeof SPECS / sizeof *SPECS)
        return FLO_EXIT_USAGE;
    return flo_worker_run(argc, argv, SPECS[role], module);
}
