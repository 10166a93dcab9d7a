/* SPDX-License-Identifier: Apache-2.0 */
/* wrong_abi.c - a module of another time. */
#include "flotilla/worker.h"

FLO_API const struct flo_module flo_module = {.abi = FLO_MODULE_ABI + 7, .name = "wrong_abi"};
