/* SPDX-License-Identifier: Apache-2.0 */
/*
 * actors.h - who uses the simulated engine: clients that start workflows, signal them and wait for
 * their ends; workflow workers; activity workers. They behave as SDKs do: what got no answer is
 * tried again with the same request id or token. And they remember what was acknowledged to them.
 *
 * A workflow's program follows from its id: one to five steps, each an activity, two activities at
 * once, a timer, waiting for a signal, or a child workflow. So does its fate: most complete, some
 * continue as new once, some are asked to cancel, some have a timeout that may be too short.
 */
#ifndef FLO_SIMULATION_ACTORS_H
#define FLO_SIMULATION_ACTORS_H

#include "simulation/world.h"

#define STEPS_MAX 5
#define RESULTS_MAX 4096

enum step {
    STEP_ACTIVITY,
    STEP_TWO_ACTIVITIES,
    STEP_TIMER,
    STEP_SIGNAL,
    STEP_CHILD, /* from here on only program.c knows them */
    STEP_KINDS
};

enum fate { FATE_PLAIN, FATE_CONTINUES, FATE_CANCELED, FATE_TIMES_OUT };

/* What one client knows of its workflow. */
struct client {
    struct cast *cast;
    char id[32];
    enum fate fate;
    char run_id[64];              /* of the acknowledged start, then what took over; "" before */
    unsigned signals;             /* how many the program waits for */
    unsigned sent;                /* signals that have got a definite answer */
    bool acknowledged[STEPS_MAX]; /* signal number: the answer was OK */
    bool ended;                   /* the close event was seen */
};

/* A result that an activity's completion was acknowledged with. */
struct result {
    char run_id[64];
    char activity_id[16];
    unsigned value;
};

struct cast {
    struct world *world;
    struct client *clients;
    unsigned client_count, ended;
    unsigned next_value;
    struct result results[RESULTS_MAX];
    unsigned result_count;
    void *runtime; /* runtime.c */
};

/* The steps of the workflow with this id; their number. */
unsigned program_of(const char *workflow_id, enum step out_steps[STEPS_MAX]);

enum fate fate_of(const char *workflow_id);

/* Bring clients and workers to life. */
void cast_init(struct cast *cast, struct world *world, unsigned clients);
void cast_fini(struct cast *cast);

/* Is what was acknowledged so far on the disk? Called when the engine has died. */
void cast_check_durable(struct cast *cast);
/* Is every history as it should be, now that all have ended? */
void cast_check_histories(struct cast *cast);

#endif
