/* SPDX-License-Identifier: Apache-2.0 */
/* unresolved.c - a module that needs a function that nobody has. */
#include "flotilla/worker.h"

int flo_test_function_that_nobody_has(const struct flo_module_env *env, void **out_shared,
                                      struct flo_err *err);

FLO_API const struct flo_module flo_module = {
    .abi = FLO_MODULE_ABI,
    .name = "unresolved",
    .start = flo_test_function_that_nobody_has,
};
