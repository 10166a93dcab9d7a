/* SPDX-License-Identifier: Apache-2.0 */
/* hello.h - the module of this example: a workflow that greets. */
#ifndef HELLO_H
#define HELLO_H

#include <flotilla/worker.h>

extern const struct flo_module hello_module;

#endif
