/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - a lifecycle as a table: states with names, which states may follow, one mover. Each
 * file in this folder holds one lifecycle: its table, its diagram, and the functions that code
 * (flo_workflow calls) and history (events) reach it by.
 */
#ifndef FLO_WORKFLOW_MACHINES_MACHINE_H
#define FLO_WORKFLOW_MACHINES_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "flotilla/error.h"

struct flo_machine_state {
    const char *name; /* for messages */
    uint32_t next;    /* bit n: state n may follow; 0: final */
};

struct flo_machine {
    const struct flo_machine_state *table;
    unsigned state;
};

#define FLO_STATE_BIT(state) (UINT32_C(1) << (state))

/* Move to state. FLO_ENONDET when the table does not allow it: as code moves only along the
 * table, history asked for it. */
FLO_MUST_CHECK int flo_machine_move(struct flo_machine *machine, unsigned state);
#ifndef NDEBUG
/* Builds with assertions tell tests of each move before it is made; file: where the lifecycle is.
 * Set once, before the first run. */
extern void (*flo_machine_watch)(const struct flo_machine *machine, unsigned state,
                                 const char *file);
#define flo_machine_move(machine, state)                                                           \
    (flo_machine_watch ? flo_machine_watch((machine), (state), __FILE__) : (void)0,                \
     flo_machine_move((machine), (state)))
#endif
bool flo_machine_final(const struct flo_machine *machine);
const char *flo_machine_state_name(const struct flo_machine *machine);

#endif
