/* SPDX-License-Identifier: Apache-2.0 */
/* fanout.h - the module of this example. */
#ifndef FANOUT_H
#define FANOUT_H

#include <flotilla/worker.h>

extern const struct flo_module fanout_module;

#endif
