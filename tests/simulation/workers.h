/* SPDX-License-Identifier: Apache-2.0 */
/* workers.h - the workers of the simulation; see actors.h. */
#ifndef FLO_SIMULATION_WORKERS_H
#define FLO_SIMULATION_WORKERS_H

#include "simulation/actors.h"

#define QUEUE "queue"
#define STICKY_QUEUE "sticky-queue"

/* Start the polls of workflow and activity workers; they go on for ever. */
void workers_start(struct cast *cast);

#endif
