/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cold.h - open runs that are not in memory.
 *
 *     stored, not looked at yet --flo_core_wake, or asked for--> resident
 *     resident --idle, and the budget is used up--> cold --asked for, or a deadline--> resident
 *
 * An open run in which nothing goes on is in the store whole: what is kept of a cold one is where
 * to find it and when its next deadline is, some 120 bytes. Whoever looks for it
 * (flo_core_find_resident and all that stands on it) brings it back, and so does its deadline; no
 * other part of the core knows that it was away.
 */
#ifndef FLO_ENGINE_CORE_COLD_H
#define FLO_ENGINE_CORE_COLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flo_core;
struct flo_execution;
struct flo_namespace;

/* An open run that is not in memory, brought back: by run id (ns and workflow_id NULL: whatever
 * they are) or the one of a workflow id (run_id ""). NULL: there is none; its row is damaged, which
 * the store has said; or the core has failed. Step memory (scratch) is left alone. */
struct flo_execution *flo_core_cold_find(struct flo_core *core, const struct flo_namespace *ns,
                                         const char *workflow_id, const char *run_id);
/* The turn of one of those that flo_core_expect announced. */
void flo_core_cold_wake(struct flo_core *core, uint64_t key);
/* Is it worth a look? False costs nothing and says that all open runs are in memory. */
bool flo_core_has_cold(const struct flo_core *core);
/* What the run takes has changed: it was stored, or it came. It goes to the end of those that may
 * leave. */
void flo_core_weigh(struct flo_core *core, struct flo_execution *execution);
/* It leaves memory. */
void flo_core_unweigh(struct flo_core *core, struct flo_execution *execution);
/* Past the budget, let some idle runs go; at the end of a step, or after a commit. */
void flo_core_cool(struct flo_core *core);
void flo_core_cold_fini(struct flo_core *core);

#endif
