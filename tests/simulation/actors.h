/* SPDX-License-Identifier: Apache-2.0 */
/*
 * actors.h - who uses the simulated engine: clients that start workflows, signal them and wait for
 * their ends; workflow workers; activity workers. They behave as SDKs do: what got no answer is
 * tried again with the same request id or token. And they remember what was acknowledged to them.
 *
 * A workflow's program follows from its id: one to five steps, each an activity, two activities at
 * once, a timer, waiting for a signal, or a child workflow. So does its fate: most complete, some
 * continue as new once, some fail at first and are retried, some are asked to cancel, some have a
 * timeout that may be too short. What else the engine can do joins in through feature.h.
 */
#ifndef FLO_SIMULATION_ACTORS_H
#define FLO_SIMULATION_ACTORS_H

#include "simulation/world.h"

#define STEPS_MAX 5
#define RESULTS_MAX 4096
#define FEATURES_MAX 16

enum step {
    STEP_ACTIVITY,
    STEP_TWO_ACTIVITIES,
    STEP_TIMER,
    STEP_SIGNAL,
    STEP_CHILD, /* from here on only program.c knows them */
    STEP_KINDS
};

enum fate { FATE_PLAIN, FATE_CONTINUES, FATE_CANCELED, FATE_TIMES_OUT, FATE_RETRIES };

/* What one client knows of its workflow. */
struct client {
    struct cast *cast;
    char id[32];
    enum fate fate;
    char run_id[64];              /* of the acknowledged start, then what took over; "" before */
    unsigned signals;             /* how many the program waits for */
    unsigned sent;                /* signals that have got a definite answer */
    bool acknowledged[STEPS_MAX]; /* signal number: the answer was OK */
    unsigned starts;              /* how often its start was asked for */
    bool reset;                   /* a reset was asked for: it may have runs more (resets.c) */
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
    struct result effects[RESULTS_MAX]; /* what activities did, acknowledged or not */
    unsigned effect_count;
    void *feature_states[FEATURES_MAX]; /* features.c */
    void *runtime;                      /* runtime.c */
};

/* The steps of the workflow with this id; their number. */
unsigned program_of(const char *workflow_id, enum step out_steps[STEPS_MAX]);

enum fate fate_of(const char *workflow_id);
/* Of "wf/c1.0" that of "wf". */
enum fate fate_of_parent(const char *workflow_id);
/* Does such a workflow have a second run of itself? */
bool has_runs(enum fate fate);
/* The client whose workflow it is, or whose child; NULL: nobody's. */
struct client *client_of(struct cast *cast, const char *workflow_id);
/* The newest run of a workflow that is stored, or NULL. */
const struct disk_run *newest_run(const struct cast *cast, const char *workflow_id);

/* Bring clients and workers to life. */
void cast_init(struct cast *cast, struct world *world, unsigned clients);
void cast_fini(struct cast *cast);

/* Is what was acknowledged so far on the disk? Called when the engine has died. */
void cast_check_durable(struct cast *cast);
/* Is every history as it should be, now that all have ended? */
void cast_check_histories(struct cast *cast);

#endif
