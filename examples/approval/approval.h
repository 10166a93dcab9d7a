/* SPDX-License-Identifier: Apache-2.0 */
/* approval.h - the module of this example. */
#ifndef APPROVAL_H
#define APPROVAL_H

#include <flotilla/worker.h>

extern const struct flo_module approval_module;

#endif
