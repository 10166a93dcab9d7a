/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h - the simulator: engine/core with everything around it played in one thread.
 *
 * Virtual time, one queue of events, one seeded generator that decides everything that may differ:
 *
 *   messages   how long each takes (so they overtake each other), which are lost on the way there
 *              or back, which requests arrive twice
 *   the disk   how long a commit takes, which commits and which reads fail, which closed histories
 *              are damaged
 *   the clock  when the engine's jumps, forward or back
 *   the engine when it dies, also while it is coming up
 *
 * What is on disk (disk.h) survives a death; the core, the replies it holds back and the commit
 * under way do not - the latter is there afterwards or not, as after a real power loss (what that
 * leaves of a file is store_crash.c's matter). The same seed gives the same run, which the hash
 * over all that happened proves.
 */
#ifndef FLO_SIMULATION_WORLD_H
#define FLO_SIMULATION_WORLD_H

#include "base/list.h"
#include "base/map.h"
#include "base/random.h"
#include "engine/core/core.h"
#include "grpc/status.h"
#include "simulation/disk.h"

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)

struct world;

typedef void (*world_fn)(struct world *world, void *ctx, uint64_t arg);
/* The answer to a call; body is borrowed. UNAVAILABLE: nobody knows what came of it. */
typedef void (*world_reply_fn)(struct world *world, void *ctx, int code, const uint8_t *body,
                               size_t len);

struct world_event {
    int64_t at_ns;
    uint64_t order; /* ties are broken by age */
    world_fn fn;
    void *ctx;
    uint64_t arg;
};

/* Promises that a test has broken on purpose, to see that the checks see it (check.c). */
enum broken {
    BROKEN_NONE,
    BROKEN_I1,  /* answers do not wait for their commits */
    BROKEN_I2,  /* a death opens a run again that had ended */
    BROKEN_I3,  /* one of two ends of activities names the other's */
    BROKEN_I4,  /* what activities do leaves no trace now and then */
    BROKEN_I5,  /* an event is missing */
    BROKEN_I6,  /* a start that is repeated is a new one */
    BROKEN_I12, /* after the faults no poll is ever answered */
    BROKEN_I13, /* a damaged history is read as if it were a shorter one */
};

struct world {
    uint64_t seed;
    struct flo_rng rng;
    int64_t now_ns;
    int64_t ahead_ns;           /* how far the engine's clock has jumped by now */
    int64_t faults_end_ns;      /* from then on nothing fails any more */
    uint64_t hash;              /* over all that happened */
    struct world_event *events; /* a heap */
    size_t event_count, event_capacity;
    uint64_t next_order;
    struct disk disk;
    struct flo_core *core; /* NULL while the engine is down */
    uint64_t life;         /* number of starts of the engine */
    int64_t timer_ns;      /* what the core's timer is set to */
    struct flo_core_batch *committing;
    uint64_t durable;       /* last durable commit of this life */
    struct flo_map calls;   /* id -> struct call */
    struct flo_arena arena; /* what actors keep; freed with the world */
    uint64_t next_call;
    unsigned deaths;
    enum broken broken;
    bool traced;         /* print what happens */
    const char *failure; /* the first broken promise */
    char failure_text[256];
};

/* Faults last for faults_ns; broken: what is broken on purpose; traced: print what happens. */
void world_init(struct world *world, uint64_t seed, int64_t faults_ns, enum broken broken,
                bool traced);
void world_fini(struct world *world);

/* Run fn(world, ctx, arg) after delay_ns. */
void world_after(struct world *world, int64_t delay_ns, world_fn fn, void *ctx, uint64_t arg);
/* Run the next event; false when there is none. */
bool world_step(struct world *world);

/* Call the engine over the unreliable network; reply runs once. */
void world_call(struct world *world, const char *method, const ProtobufCMessage *request,
                world_reply_fn reply, void *ctx);

/* True with this probability (of 1000), while faults last. */
bool world_fault(struct world *world, unsigned per_mille);
/* Uniform in [0, bound). */
uint64_t world_random(struct world *world, uint64_t bound);

/* A promise was broken: remember the first one. */
void world_fail(struct world *world, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
