/* SPDX-License-Identifier: Apache-2.0 */
/* show.h - a schedule as messages. Lists: core.h. */
#ifndef FLO_ENGINE_CORE_SCHEDULE_SHOW_H
#define FLO_ENGINE_CORE_SCHEDULE_SHOW_H

#include "base/arena.h"
#include "engine/core/core.h"
#include "flotilla/error.h"
#include "wire/api.h"

struct flo_schedule; /* schedule.h */

/* Fill in all of out but the token; memory is arena's. 0, FLO_ENOMEM. */
FLO_MUST_CHECK int flo_schedule_describe(const struct flo_schedule *schedule,
                                         struct flo_arena *arena,
                                         FloApi__DescribeScheduleResponse *out);

#endif
