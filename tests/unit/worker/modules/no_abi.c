/* SPDX-License-Identifier: Apache-2.0 */
/* no_abi.c - a module whose table forgets its .abi. */
#include "flotilla/worker.h"

FLO_API const struct flo_module flo_module = {.name = "no_abi"};
