/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule_query.h - the filter language (query.h) on schedules. They are few and in memory, so
 * that their lists evaluate the syntax tree itself.
 */
#ifndef FLO_ENGINE_RPC_SCHEDULE_QUERY_H
#define FLO_ENGINE_RPC_SCHEDULE_QUERY_H

#include "base/arena.h"
#include "engine/core/core.h"
#include "engine/rpc/query.h"
#include "engine/rpc/query_tree.h"

/*
 * Check a query for a list of schedules, which may ask for ScheduleId, TemporalSchedulePaused and
 * search attributes of the namespace. *out: its tree, in arena. FLO_EINVAL with the server's
 * sentence; FLO_ENOMEM.
 */
FLO_MUST_CHECK int flo_schedule_query_parse(const char *text, const char *namespace_name,
                                            const struct flo_query_names *names,
                                            struct flo_arena *arena, struct flo_query_tree *out,
                                            struct flo_err *err);
/* Does the schedule match? Values that cannot be read match nothing. */
bool flo_schedule_query_matches(const struct flo_query_tree *tree,
                                const struct flo_query_names *names,
                                const struct flo_core_schedule *schedule);

#endif
