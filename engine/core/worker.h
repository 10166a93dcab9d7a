/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - workers as they describe themselves: the last heartbeat of each, in memory only. A
 * worker that is not heard of for a day is forgotten, and the one that was heard of longest ago
 * when there are too many, or what they say takes too much memory (64 MiB).
 */
#ifndef FLO_ENGINE_CORE_WORKER_H
#define FLO_ENGINE_CORE_WORKER_H

#include "wire/api.h"

struct flo_core;      /* internal.h */
struct flo_namespace; /* namespace.h */

/* Remember a heartbeat. Without memory it is as if it had not come. */
void flo_worker_note(struct flo_core *core, const struct flo_namespace *ns,
                     const FloApi__WorkerHeartbeat *heartbeat);
void flo_workers_fini(struct flo_core *core);

#endif
