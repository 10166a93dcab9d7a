/* SPDX-License-Identifier: Apache-2.0 */
/* schedules.h - what the rest of the core, and the lists of the shell, know of schedules. */
#ifndef FLO_ENGINE_CORE_SCHEDULE_SCHEDULES_H
#define FLO_ENGINE_CORE_SCHEDULE_SCHEDULES_H

#include "base/map.h"
#include "engine/core/core.h"
#include "flotilla/error.h"

struct flo_execution; /* execution.h */

/* A member of struct flo_core. */
struct flo_schedules {
    struct flo_map by_id;   /* namespace id, '/', id -> struct flo_schedule */
    struct flo_map watched; /* namespace id, '/', workflow id -> the schedule that started it */
};

void flo_schedules_init(struct flo_schedules *schedules);
void flo_schedules_fini(struct flo_core *core);
/* A record of one is loaded. 0; FLO_EDATA with a sentence; FLO_ENOMEM. */
FLO_MUST_CHECK int flo_schedules_load(struct flo_core *core, const struct flo_core_record_row *row,
                                      struct flo_err *err);
/* All runs are loaded: go on. */
void flo_schedules_resume(struct flo_core *core);
/* A run has closed; for core_settle, which asks only while something is watched. */
void flo_schedules_run_closed(struct flo_core *core, const struct flo_execution *execution);

#endif
