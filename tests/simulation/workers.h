/* SPDX-License-Identifier: Apache-2.0 */
/* workers.h - the workers of the simulation; see actors.h. */
#ifndef FLO_SIMULATION_WORKERS_H
#define FLO_SIMULATION_WORKERS_H

#include "simulation/actors.h"

#define QUEUE "queue"
#define STICKY_QUEUE "sticky-queue"
#define WORKERS 3

/* The definite answer to something that was said, or UNAVAILABLE after many attempts. */
typedef void (*said_fn)(struct cast *cast, void *ctx, int code, const uint8_t *body, size_t len);

/* Make a call, and again while nobody knows what came of it. request is copied; done may be NULL.
 */
void say_until_heard(struct cast *cast, const char *method, const ProtobufCMessage *request,
                     said_fn done, void *ctx);
/* An answer as a message in arena, which is initialised here. */
void *decode_answer(const ProtobufCMessageDescriptor *type, const uint8_t *body, size_t len,
                    struct flo_arena *arena);

/* Start the polls of the activity workers; they go on for ever. */
void activity_workers_start(struct cast *cast);
/*
 * The workflow workers are one of two, chosen when the program is linked: program.c has no memory
 * and knows all kinds of steps; runtime.c is the real runtime with its cache of runs.
 */
void workflow_workers_start(struct cast *cast);
void workflow_workers_end(struct cast *cast);
/* They know the steps below this. */
unsigned workflow_step_kinds(void);

#endif
