/* SPDX-License-Identifier: Apache-2.0 */
/* saga.h - the module of this example. */
#ifndef SAGA_H
#define SAGA_H

#include <flotilla/worker.h>

extern const struct flo_module saga_module;

#endif
