/* SPDX-License-Identifier: Apache-2.0 */
/* activities.c - the table of loadtest.so: the activities of load tests (tasks.h). */
#include "loadtest/tasks.h"

/* Activities ask where they are: flo_activity_shared() is the role. */
static int start(const struct flo_module_env *env, void **out_shared, struct flo_err *err)
{
    (void)err;
    *out_shared = (void *)(uintptr_t)env->role;
    return 0;
}

FLO_API extern const struct flo_module flo_module;
const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "loadtest",
    .activities = FLO_ACTIVITIES({"io_simulation", loadtest_io_simulation},
                                 {"cpu_intensive", loadtest_cpu_intensive},
                                 {"memory_operations", loadtest_memory_operations},
                                 {"failure_testing", loadtest_failure_testing}),
    .start = start,
};
