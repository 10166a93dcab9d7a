/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feature.h - where a part of the engine joins the simulation: actors of its own that use it, and
 * what must hold of it. One file a feature, one line in features.c.
 *
 * A feature's actors live in the world as the others do: they make calls (world_call,
 * say_until_heard), wait (world_after), decide with world_random alone, and take their memory from
 * world->arena. What breaks a promise says so with world_fail, and names the promise (check.c).
 */
#ifndef FLO_SIMULATION_FEATURE_H
#define FLO_SIMULATION_FEATURE_H

#include "simulation/actors.h"

struct feature {
    const char *name;
    /* Bring its actors to life, at the start of the world. */
    void (*begin)(struct cast *cast);
    /* Has it seen all that it waits for? The world ends when all have; I12 says how long that may
     * take. NULL: it waits for nothing. */
    bool (*done)(struct cast *cast);
    /* Is what was acknowledged on the disk? When the engine has died. NULL: nothing to say. */
    void (*check_durable)(struct cast *cast);
    /* Is everything as it should be, at the end? NULL: nothing to say. */
    void (*check_end)(struct cast *cast);
};

/* The state of a feature in this world, zeroed at first; of this size each time. */
void *feature_state(struct cast *cast, const struct feature *feature, size_t bytes);

/* All of them; simulation.c. */
void features_begin(struct cast *cast);
bool features_done(struct cast *cast);
void features_check_durable(struct cast *cast);
void features_check_end(struct cast *cast);

extern const struct feature batches_feature;    /* batches.c */
extern const struct feature operations_feature; /* operations.c */
extern const struct feature queries_feature;    /* queries.c */
extern const struct feature readers_feature;    /* readers.c */
extern const struct feature resets_feature;     /* resets.c */
extern const struct feature schedules_feature;  /* schedules.c */
extern const struct feature updates_feature;    /* updates.c */

#endif
