/* SPDX-License-Identifier: Apache-2.0 */
/* cron.h - the module of this example. */
#ifndef CRON_H
#define CRON_H

#include <flotilla/worker.h>

extern const struct flo_module cron_module;

#endif
